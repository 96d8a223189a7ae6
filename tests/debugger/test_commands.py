"""The terminal's commands beyond moving: expressions, the chain, and pdb's commands for breakpoints."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad import Tensor
from minigrad.debugger.commands import COMMANDS, Debugger, set_trace

T = 4


def network() -> tuple[Any, Tensor]:
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(T, 2, 3)))
    return run, (run["y"].stack() ** 2).sum()


def answers(*commands: str, loss: Tensor | None = None) -> list[str]:
    """Return the answer to each command of a session."""
    said = StringIO()
    set_trace(loss or network()[1], commands=[*commands, "clear", "continue", "continue"], stdin=StringIO(),
              stdout=said)
    parts = re.split(r"^\((?:grad|com)\) ?.*\n", said.getvalue(), flags=re.MULTILINE)
    return parts[1:len(commands) + 1]


class TestExpressions:
    def test_print_evaluates_them_at_the_step(self) -> None:
        _, norms, shape, truth = answers("until h[3]", "p np.linalg.norm(grad)", "print (grad * out).shape",
                                         "p (np.tanh(x) == out).all()")
        step = answers("until h[3]")[0]
        printed = float(re.search(r"\|g\| in (\S+)", step)[1])  # type: ignore[index]
        assert float(norms.split(" = ")[1]) == pytest.approx(printed, rel=0.06)
        assert shape == "(grad * out).shape = (2, 4)\n" and truth == "(np.tanh(x) == out).all() = True\n"

    def test_print_sees_the_variables_of_the_program(self) -> None:
        rate, out = 0.25, StringIO()
        set_trace(network()[1], commands=["p rate * 2", "p T", "c"], stdin=StringIO(), stdout=out)
        assert f"rate * 2 = {rate * 2}\n" in out.getvalue() and "T = 4\n" in out.getvalue()

    def test_print_shows_arrays_as_for_names(self) -> None:
        named, expression = answers("until h[3]", "p grad", "p 1 * grad")[1:]
        assert expression.splitlines()[1:] == named.splitlines()[1:]

    def test_a_statement_keeps_what_it_assigns(self) -> None:
        found = answers("until h[3]", "!g = np.abs(grad)", "p (g == abs(grad)).all()", "step", "p g.shape", "!g.ndim")
        assert [found[1], found[2], found[4], found[5]] == [
            "", "(g == abs(grad)).all() = True\n", "g.shape = (2, 4)\n", "g.ndim = 2\n"]

    def test_a_name_of_many_tensors_lists_the_first_and_counts_the_others(self) -> None:
        run = elman().unroll(x=np.ones((60, 1, 3)))
        [text] = answers("p h", loss=run["y"].stack().sum())
        assert text.startswith("*** h is several tensors: h[60], h[59]") and "... and 52 more; choose one" in text

    def test_display_shows_values_at_each_stop_until_undisplay(self) -> None:
        found = answers("until h[3]", "display t", "display op", "step", "undisplay 1", "step", "display", "undisplay",
                        "step")
        assert found[1:3] == ["1: t = 3\n", "2: op = 'tanh'\n"]
        assert "1: t = 3\n2: op = 'add'\n" in found[3] and "1: " not in found[5] and "2: op = " in found[5]
        assert found[6] == "2: op\n" and "op = " not in found[8]

    def test_args_prints_the_arguments_of_the_derivative_by_name(self) -> None:
        text = answers("until y[4]", "args")[1]
        assert re.findall(r"^(\w+:? ?\S*) \(", text, re.MULTILINE) == ["grad", "out", "W: V", "x: h[4]"]


class TestTheChain:
    def test_up_selects_the_step_that_contributed_most_and_down_goes_back(self) -> None:
        where, up, after, gradient, down, bottom = answers("until h[2]", "where", "up", "where", "args", "down",
                                                           "down")[1:]
        lines = where.splitlines()
        assert lines[-1].startswith("  ->") and up.strip().split() == ["->", *lines[-2].split()]
        assert [line.startswith("  ->") for line in after.splitlines()] == [
            False] * (len(lines) - 2) + [True, False]
        assert "x: h[2] (2, 4)" in gradient and "h[2] tanh" in down
        assert bottom == "*** this is the current step\n"

    def test_ends_at_the_loss(self) -> None:
        assert answers("until h[2]", "up 99")[1] == "*** this is the loss, where the pass starts\n"

    def test_inspection_shows_the_selected_step_until_the_next_move(self) -> None:
        found = answers("until h[2]", "up", "list", "jacobian", "step", "list")
        assert "MatVec()" in found[2] and "Jacobian of matvec" in found[3] and "Add()" in found[5]


class TestMoving:
    def test_return_runs_to_the_last_step_of_each_time_step(self) -> None:
        found = answers("until h[4]", "return", "r", "r")
        ends = [int(number) for text in found[1:] for number in re.findall(r"step (\d+) of", text)]
        steps = network()[1].backward_steps()
        last = {step.t: step.number for step in steps}
        assert ends == [last[4], last[3], last[2]]

    def test_a_temporary_breakpoint_stops_once(self) -> None:
        found = answers("tbreak op tanh", "c", "break", "step", "until h[2]")
        assert "breakpoint 1: operation tanh" in found[1] and found[2] == "no breakpoints\n"
        assert "breakpoint 1" not in found[4]


class TestBreakpoints:
    def test_a_condition_is_given_changed_and_removed(self) -> None:
        found = answers("break h, t < 3", "c", "condition 1 t == 1", "c", "goto 0", "condition 1", "c")
        assert found[0] == "breakpoint 1: h, t < 3\n" and "h[2] tanh" in found[1]
        assert found[2] == "breakpoint 1: h, t == 1\n" and "h[1] tanh" in found[3]
        assert found[5] == "breakpoint 1: h\n" and "h[4] tanh" in found[6]

    def test_ignored_and_disabled_ones_do_not_stop(self) -> None:
        found = answers("b h", "ignore 1 2", "c", "disable 1", "break", "until h[1]", "enable", "goto 0", "c")
        assert found[1] == "breakpoint 1: h, the next 2 hits are ignored\n" and "h[2] tanh" in found[2]
        assert found[4] == "    1  h  hits: 3, disabled\n" and "breakpoint 1" not in found[5]
        assert found[6] == "breakpoint 1: h\n" and "h[4] tanh" in found[8]

    def test_commands_run_whenever_it_stops(self) -> None:
        out = StringIO()
        given = ["b h", "commands", "print t", "end", "c", "c", "clear", "continue", "continue"]
        Debugger(given, StringIO(), out).backward(network()[1])
        assert re.findall(r"t = (\d)", out.getvalue()) == ["4", "3"]

    def test_one_at_a_line_of_the_program(self) -> None:
        loss = network()[1]
        line = next(step.origin.line for step in loss.backward_steps() if step.name == "h")
        found = answers(f"break definitions.py:{line}", "c", "c", loss=loss)
        assert found[0] == f"breakpoint 1: line definitions.py:{line}\n"
        assert "h[4] tanh" in found[1] and "h[3] tanh" in found[2]

    def test_a_norm_stops_once_where_it_is_crossed(self) -> None:
        w = Tensor([1.0], requires_grad=True, name="w")
        found = answers("b norm < 0.01", "c", "step", "step", "back 2", loss=(w * 3.0 * 5.0 * 7.0 * 0.001).sum())
        assert "breakpoint 1: |g| = 1.0e-03 < 0.01" in found[1]
        assert not any("breakpoint 1" in text for text in found[2:4])


def test_help_lists_every_command_with_its_short_names_in_one_line() -> None:
    [text] = answers("help")
    lines = text.splitlines()
    assert len(lines) == len(COMMANDS) + 1 and max(map(len, lines)) <= 110
    for name, short in COMMANDS.items():
        assert any(line.split()[:1 + len(short.split())] == [name, *short.split()] for line in lines), name
    for name in COMMANDS:
        assert answers(f"help {name}")[0].startswith(name)


def test_nothing_is_drawn_in_the_engine_by_looking() -> None:
    loss = network()[1]
    count = mg.Tensor(0.0).order
    answers("until h[2]", "p h[3]", "where", "up", "args", "jacobian", "list", "grads", loss=loss)
    assert mg.Tensor(0.0).order == count + 1
