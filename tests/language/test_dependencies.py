"""The edges of a definition, with their delays."""

from __future__ import annotations

from definitions import bidirectional, elman, feedback, own_output, parameter, two_delays

import minigrad as mg
from rnn import Cell, t


def test_edges_say_source_target_and_delay_in_the_order_of_the_equations() -> None:
    assert elman().edges() == [("x", "h", 0), ("h", "h", 1), ("h", "y", 0)]
    assert feedback(2).edges() == [("x", "h1", 0), ("h1", "h1", 1), ("h1", "h2", 0), ("h2", "h2", 1), ("h3", "h2", 2),
                                   ("h2", "h3", 0), ("h3", "h3", 1), ("h3", "y", 0)]
    assert two_delays().edges() == [("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("y", "h", 1), ("h", "y", 0)]


def test_a_signal_that_runs_backward_has_a_negative_delay() -> None:
    assert ("hb", "hb", -1) in bidirectional().edges()


def test_an_equation_for_the_next_step_delays_what_it_reads() -> None:
    assert own_output().edges() == [("x", "h", 0), ("h", "h", 1), ("h", "x", 1)]


def test_a_signal_read_twice_at_one_step_is_one_edge() -> None:
    a = Cell().signal("a", 2)
    a[t] = a[t-1] * a[t-1] + a[t-2]
    assert a.cell.edges() == [("a", "a", 1), ("a", "a", 2)]


def test_the_edges_of_an_incomplete_definition_are_listed() -> None:
    cell = Cell()
    a, b = cell.signal("a", 2), cell.signal("b", 2)
    a[t] = b[t-1]
    assert cell.edges() == [("b", "a", 1)]


def test_parameters_are_no_edges() -> None:
    cell, W = Cell(), parameter("W", 2, 2)
    a = cell.signal("a", 2)
    a[t] = mg.tanh(W @ a[t-1]) + W[0]
    assert cell.edges() == [("a", "a", 1)] and list(cell.parameters) == ["W"]
