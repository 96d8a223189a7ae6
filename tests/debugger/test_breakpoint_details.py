"""Breakpoints: a time step begins once, and the names that an error suggests are names that can be given."""

from __future__ import annotations

import re
from io import StringIO

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad.debugger.commands import Debugger, set_trace
from minigrad.debugger.timeline import Timeline
from minigrad.debugger.walk import Walk
from rnn import Cell, t


def talk(loss: mg.Tensor, *commands: str) -> str:
    out = StringIO()
    set_trace(loss, commands=[*commands, "clear", "continue", "continue"], stdin=StringIO(), stdout=out)
    return out.getvalue()


def test_a_time_step_begins_once_also_where_the_pass_begins_in_it() -> None:
    cell = Cell()
    x, h = cell.input("x", ()), cell.signal("h", ())
    w = mg.Tensor(0.5, requires_grad=True, name="w")
    h[t] = np.tanh(w * x[t] + h[t-1])
    run = cell.unroll(x=np.ones(3))
    for start in (3, 2, 1):  # tanh, add and multiply at each step; the first step of the pass is the tanh of t = 3
        text = talk(run["h"][3], f"break t {start}", *["continue"] * 9)
        assert text.count(f"time step {start} begins") == 1, text


def test_an_unknown_parameter_is_answered_with_the_names_of_leaves() -> None:
    run = elman().unroll(x=np.ones((2, 1, 3)))
    text = talk(run["y"].stack().sum(), "break param nobody")
    [line] = [line for line in text.splitlines() if "no tensor is called 'nobody'" in line]
    assert set(line.rpartition("there is ")[2].split(", ")) <= set(run.cell.parameters) | {"x[1]", "x[2]", "h[0]"}
    assert set(line.rpartition("there is ")[2].split(", ")) & set(run.cell.parameters)


def squares() -> mg.Tensor:
    w = mg.Tensor([0.5, -1.0], requires_grad=True, name="w")
    y = mg.square(w)
    y.name = "y"
    return y.sum()


def test_a_norm_may_be_written_without_spaces() -> None:
    for text, reason in (("norm>0.5", "norm > 0.5"), ("norm<9", "norm < 9")):
        compact, spaced = (talk(squares(), f"break {words}", "continue") for words in (text, reason))
        assert compact.replace(text, reason) == spaced and "***" not in spaced


def test_until_a_tensor_whose_step_has_just_run_says_that_it_was_passed() -> None:
    text = talk(squares(), "step 2", "until y", "back", "until y", "until y")
    assert "*** this is the end of the backward pass" in text
    run = elman().unroll(x=np.ones((3, 1, 3)))
    text = talk(run["y"].stack().sum(), "until h[2]", "until h[2]", "until h[1]")
    assert "*** h[2] was passed at step" in text and text.count("*** ") == 1


def test_where_lists_the_path_from_the_loss_to_the_current_tensor() -> None:
    run = elman().unroll(x=np.ones((3, 1, 3)))
    text = talk(run["y"].stack().sum(), "until h[1]", "where")
    path = text.partition("(grad) where\n")[2].partition("(grad)")[0].splitlines()
    numbers = [int(number) for line in path for number in re.findall(r"step +(\d+) ", line)]
    assert path[-1].lstrip().startswith("->") and " h[1] " in path[-1] and not any("->" in line for line in path[:-1])
    assert numbers == sorted(numbers) and numbers[0] == 1 and len(numbers) >= 4


def test_zero_stops_where_a_contribution_is_all_zero_and_the_upstream_gradient_is_not() -> None:
    message = "the contribution to w is exactly zero, the upstream gradient isn't"
    for values, weights, stops in (([0.5, -1.0], [1.0, 1.0], 0), ([-0.5, -1.0], [1.0, 0.0], 1),
                                   ([-0.5, -1.0], [1.0, 1.0], 1), ([-0.5, -1.0], [0.0, 0.0], 0)):
        w = mg.Tensor(values, requires_grad=True, name="w")
        text = talk((mg.relu(w) * np.array(weights)).sum(), "break zero", "continue")
        assert text.count(message) == stops, (values, weights, text)


def test_at_every_position_the_timeline_has_the_gradients_so_far() -> None:
    def loss() -> tuple[list[mg.Tensor], mg.Tensor]:
        w = mg.Tensor([0.5, -1.0], requires_grad=True, name="w")
        chain = [w, np.tanh(w), np.tanh(w) * w]
        chain.append((chain[2] * chain[1]).sum())
        return chain, chain[-1]

    expected, out = loss()
    out.backward()
    tensors, out = loss()
    timeline = Timeline(out)
    complete = []
    while timeline.forward():
        complete.append([timeline.is_complete(x) for x in tensors])
        for x, right in zip(tensors, expected):
            if timeline.is_complete(x):
                np.testing.assert_array_equal(timeline.gradient(x), right.grad)
    assert complete[-1] == [True] * 4 and complete[0] == [False, False, False, True]


def test_a_norm_that_equals_the_limit_is_not_above_it() -> None:
    w = mg.Tensor([1.0], requires_grad=True, name="w")
    for limit, stops in ((0.9, 1), (1, 0), (1.1, 0)):  # the gradient of w is 1, and so is that of the sum
        text = talk(w.sum(), f"break norm > {limit}", "continue")
        assert text.count("breakpoint 1:") == 1 + stops, text  # it is also printed when it is set
    for limit, stops in ((0.9, 0), (1, 0), (1.1, 1)):
        text = talk(w.sum(), f"break norm < {limit}", "continue")
        assert text.count("breakpoint 1:") == 1 + stops, text  # it is also printed when it is set


@pytest.mark.parametrize(("line", "words"), [
    ("break n", ["nan", "node", "norm"]), ("until nod", ["node"]), ("break s", ["signal"]), ("step ", []),
    ("break signal ", ["h", "y"]), ("break op ", ["add", "matvec", "stack", "sum", "tanh"]),
    ("help c", ["clear", "commands", "condition", "continue"]), ("help go", ["goto"]), ("print h[", ["h[1]", "h[2]"]),
    ("break node y[", ["y[1]", "y[2]"]), ("grads y[", ["y[1]", "y[2]"])])
def test_completion_offers_in_order_the_words_that_may_follow(line: str, words: list[str]) -> None:
    debugger = Debugger([], StringIO(), StringIO())
    debugger.walk = Walk(elman().unroll(x=np.ones((2, 1, 3)))["y"].stack().sum())
    start = line.rindex(" ") + 1
    assert debugger.completedefault(line[start:], line, start, len(line)) == words
