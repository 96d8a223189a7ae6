"""The shape of unrolled graphs: grids, separate chains, the longest path."""

from __future__ import annotations

import numpy as np
from definitions import feedback

from rnn import Cell, t


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
