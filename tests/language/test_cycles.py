"""Loops of a definition, and the order in which its signals are computed."""

from __future__ import annotations

import pytest
from definitions import bidirectional, elman, feedback, own_output, two_delays

from rnn import Cell, DefinitionError, t


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
