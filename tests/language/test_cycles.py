"""Loops, order, facts of unrolled graphs; and definitions traced from step functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, feedback, own_output, two_delays

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, DefinitionError, t, traced


def named(cell: Cell) -> list[tuple[tuple[str, ...], int]]:
    return [(loop.signals, loop.delay) for loop in cell.loops()]


def test_every_loop_is_listed_with_its_signals_and_total_delay() -> None:
    assert named(elman()) == [(("h",), 1)]
    assert named(feedback(2)) == [(("h1",), 1), (("h2",), 1), (("h3",), 1), (("h2", "h3"), 2)]
    assert named(own_output()) in ([(("h",), 1), (("x", "h"), 1)], [(("h",), 1), (("h", "x"), 1)])
    assert sorted(named(bidirectional())) == [(("hb",), -1), (("hf",), 1)]


def test_parallel_edges_make_loops_of_their_own() -> None:
    cell = Cell()
    h = cell.signal("h", 1)
    h[t] = h[t-1] + h[t-2]
    assert sorted(named(cell)) == [(("h",), 1), (("h",), 2)]


def test_a_loop_names_the_lines_that_read() -> None:
    loop = feedback(1).loops()[-1]
    assert [str(origin).split(":")[0] for origin in loop.origins] == ["definitions.py"] * 2


def test_a_definition_without_loops_has_none() -> None:
    cell = Cell()
    x, y = cell.input("x", 1), cell.signal("y", 1)
    y[t] = x[t] + x[t-1]
    assert cell.loops() == []
    assert [(stage.signals, stage.direction) for stage in cell.order()] == [(("x",), 0), (("y",), 0)]


def test_too_many_loops_are_not_listed() -> None:
    cell = Cell()
    signals = [cell.signal(f"s{i}", 1) for i in range(8)]
    for signal in signals:
        signal[t] = sum((other[t-1] for other in signals), 0.0)
    with pytest.raises(DefinitionError, match="more than 1000 loops"):
        cell.loops()


def test_stages_keep_loops_together_and_say_in_which_direction_they_run() -> None:
    assert [(stage.signals, stage.direction) for stage in feedback(1).order()] == [
        (("x",), 0), (("h1",), 1), (("h2", "h3"), 1), (("y",), 0)]
    stages = {stage.signals: stage.direction for stage in bidirectional().order()}
    assert stages == {("x",): 0, ("hf",): 1, ("hb",): -1, ("y",): 0}


def test_every_stage_reads_only_itself_and_stages_before() -> None:
    for definition in (elman, feedback, two_delays, own_output, bidirectional):
        cell = definition()
        done: set[str] = set()
        for stage in cell.order():
            done.update(stage.signals)
            assert {edge.source for edge in cell.edges() if edge.target in stage.signals} <= done


def test_the_order_of_what_cannot_be_computed_is_an_error() -> None:
    cell = Cell()
    a = cell.signal("a", 1)
    a[t] = 2.0 * a[t]
    with pytest.raises(DefinitionError, match="a -> a"):
        cell.order()
    assert named(cell) == [(("a",), 0)]


# ---- unrolled graphs


def stack_of_layers() -> Cell:
    cell = Cell()
    below = cell.input("x", 1)
    for name in ("h1", "h2"):
        layer = cell.signal(name, 1)
        layer[t] = np.tanh(below[t] + layer[t-1])
        below = layer
    return cell


def test_a_plain_stack_is_a_grid_and_feedback_is_none() -> None:
    facts = stack_of_layers().unroll(x=np.zeros((5, 1))).facts()
    assert (facts.is_grid, facts.chains) == (True, 1)
    assert facts.longest_path == 1 + 5  # h1[0] to h1[5], and up
    cell = feedback(1)
    assert not cell.unroll(x=np.zeros((3, *(cell.signals["x"].shape or ())))).facts().is_grid


def test_under_a_delay_of_two_only_odd_and_even_steps_never_meet() -> None:
    cell = Cell()
    x, h = cell.input("x", 1), cell.signal("h", 1)
    h[t] = np.tanh(x[t] + h[t-2])
    facts = cell.unroll(x=np.zeros((7, 1))).facts()
    assert (facts.chains, facts.longest_path, facts.is_grid) == (2, 4, False)


def test_the_longest_path_of_a_chain_is_its_length() -> None:
    cell = Cell()
    h = cell.signal("h", 1)
    h[t] = np.tanh(h[t-1])
    assert cell.unroll(T=9).facts().longest_path == 9


# ---- step functions


W = Tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True, name="W")
U = Tensor(np.random.default_rng(1).normal(size=(4, 4)), requires_grad=True, name="U")
V = Tensor(np.random.default_rng(2).normal(size=(2, 4)), requires_grad=True, name="V")


def step(x: Any, h: Any) -> dict[str, Any]:
    h = np.tanh(W @ x + U @ h)
    return {"h": h, "y": V @ h}


def test_a_step_function_becomes_the_definition_that_it_computes() -> None:
    cell = traced(step, inputs={"x": 3}, states={"h": 4}, outputs={"y": 2})
    assert [repr(equation) for equation in cell.equations] == ["h[t] = tanh(W @ x[t] + U @ h[t-1])", "y[t] = V @ h[t]"]
    assert cell.edges() == [("x", "h", 0), ("h", "h", 1), ("h", "y", 0)]
    assert {str(equation.origin).split(":")[0] for equation in cell.equations} == {"test_cycles.py"}
    assert cell.name == "step"


def test_what_is_traced_equals_what_is_written() -> None:
    data = np.random.default_rng(3).normal(size=(5, 2, 3))
    written = Cell()
    x, h, y = written.input("x", 3), written.signal("h", 4), written.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    y[t] = V @ h[t]
    first, second = (cell.unroll(x=data)["y"].stack() for cell in
                     (written, traced(step, {"x": 3}, {"h": 4}, {"y": 2})))
    np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_states_that_use_each_others_new_values_read_them_at_the_same_step() -> None:
    def lstm_like(x: Any, h: Any, c: Any) -> dict[str, Any]:
        c = mg.sigmoid(h) * c + x
        return {"c": c, "h": np.tanh(c)}

    cell = traced(lstm_like, {"x": 2}, {"h": 2, "c": 2})
    assert ("c", "h", 0) in cell.edges() and ("x", "h", 0) not in cell.edges()


def test_a_step_function_that_does_not_fit_is_named_with_its_line() -> None:
    def wrong(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match=r"wrong \(at test_cycles.py:\d+\) must take the arguments x, h"):
        traced(wrong, {"x": 3}, {"h": 4})
    with pytest.raises(TypeError, match=r"must return a dict from names to values, not Read"):
        traced(wrong, {"x": 3}, {})
    with pytest.raises(ValueError, match=r"must return values for h; it returned some for h, y"):
        traced(step, {"x": 3}, {"h": 4})
