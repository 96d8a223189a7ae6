"""Breakpoints: a time step begins once, and the names that an error suggests are names that can be given."""

from __future__ import annotations

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
