"""Breakpoints: a time step begins once, and the names that an error suggests are names that can be given."""

from __future__ import annotations

import re
from io import StringIO

import numpy as np
from definitions import elman

import minigrad as mg
from minigrad.debugger.commands import set_trace
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
