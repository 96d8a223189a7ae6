"""The geometry of pictures of random definitions, and of every cell of the library."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from drawings import assert_arrows_pass_no_box, overlap, rectangle, rolled_drawing, sampled, unrolled_drawing

from rnn import Cell, cells, t
from viz.pictures.side_by_side import unroll_zeros
from viz.render import palette
from viz.render.scene import Scene

CELLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (cells.elman, {}), (cells.lstm, {}), (cells.lstm, {"peephole": "full"}), (cells.gru, {}),
    (cells.elman, {"reversed": True})]


def random_definition(seed: int) -> Cell:
    """Up to nine signals; reads of lower ones at the same step, of any one up to three steps before."""
    rng = np.random.default_rng(seed)
    cell = Cell(f"random {seed}")
    signals = [cell.input("x", 2)] + [cell.signal(f"s{number}", 2) for number in range(rng.integers(1, 9))]
    for number, signal in enumerate(signals[1:], 1):
        total: Any = 0.5 * signals[rng.integers(0, number)][t]
        for other in signals[:number]:
            if rng.random() < 0.3:
                total = total + other[t]
        for other in signals[1:]:
            if rng.random() < 0.2:
                total = total + np.tanh(other[t - int(rng.integers(1, 4))])
        signal[t] = total
    return cell


def test_arrows_within_a_step_stay_in_its_frame() -> None:
    for seed in range(25):
        scene = unrolled_drawing(unroll_zeros(random_definition(seed), 2)).scene
        for arrow in (arrow for arrow in scene.arrows if arrow.color == palette.ARROW):
            (left, _), (right, _) = sampled(arrow).min(0), sampled(arrow).max(0)
            assert any(frame.left <= left and right <= frame.right for frame in scene.frames), seed


def assert_tidy(scene: Scene) -> None:
    """Boxes stand apart, arrows pass none, and begin and end at theirs."""
    for a, b in combinations(scene.boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} and {b.label!r}"
    assert_arrows_pass_no_box(scene)


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("seed", mostly_slow(range(25), 4))
def test_random_definitions_are_tidy(seed: int, level: str) -> None:
    cell = random_definition(seed)
    assert_tidy(rolled_drawing(cell, level).scene)
    assert_tidy(unrolled_drawing(unroll_zeros(cell, 5), level=level).scene)


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize(("make", "options"), CELLS)
def test_the_cells_of_the_library_are_tidy(make: Callable[..., Any], options: dict[str, Any], level: str) -> None:
    cell = Cell("cell")
    make(cell, cell.input("x", 2), 3, name="a", rng=np.random.default_rng(0), **options)
    assert_tidy(rolled_drawing(cell, level).scene)
    assert_tidy(unrolled_drawing(unroll_zeros(cell, 3), level=level).scene)


@pytest.mark.parametrize("level", ["signals", "ops"])
def test_a_deep_bidirectional_network_is_tidy(level: str) -> None:
    cell = Cell("deep")
    cells.stacked(cell, cells.gru, cell.input("x", 2), [3, 3], name="net", rng=np.random.default_rng(0), directions=2,
                  residual=False)
    assert_tidy(rolled_drawing(cell, level).scene)
    assert_tidy(unrolled_drawing(unroll_zeros(cell, 3), level=level).scene)
