"""Sequences of unequal lengths: the heading of a step tells of how many it is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import elman
from drawings import draw_run, rectangle, unrolled_drawing

import viz
from viz.render.scene import Text
from viz.render.typography import true_minus


def captions(steps: Any = None, **options: Any) -> list[str]:
    run = elman().unroll(x=np.ones((5, 3, 3)), **options)
    return [frame.caption for frame in draw_run(run, None, steps or range(1, 6)).scene.frames]


def test_the_heading_counts_the_sequences_that_have_the_step() -> None:
    assert captions(lengths=[5, 3, 1]) == ["t = 1  (3 of 3)", "t = 2  (2 of 3)", "t = 3  (2 of 3)", "t = 4  (1 of 3)",
                                           "t = 5  (1 of 3)"]
    assert captions() == [f"t = {k}" for k in range(1, 6)]


def test_a_mask_with_holes_is_counted_too() -> None:
    mask = np.array([[1, 1, 0, 0, 1], [0, 1, 0, 1, 1], [1, 1, 0, 0, 0]], bool).T
    assert captions(mask=mask) == [f"t = {k + 1}  ({n} of 3)" for k, n in enumerate(mask.sum(1))]


def test_a_fold_tells_its_range() -> None:
    assert captions([1, 5], lengths=[5, 3, 1]) == ["t = 1  (3 of 3)", "t = 2 … 4  (1 … 2 of 3)", "t = 5  (1 of 3)"]


@pytest.mark.parametrize("batch", [3, 128])
def test_a_heading_fits_into_its_frame(batch: int) -> None:
    run = elman().unroll(x=np.ones((5, batch, 3)), lengths=np.arange(batch) % 6)
    for frame in unrolled_drawing(run).scene.frames:
        left, _, right, _ = rectangle(Text((frame.left + frame.right) / 2, frame.bottom + 10, frame.caption, 11))
        assert frame.left < left and right < frame.right


def test_a_difference_tells_it_too() -> None:
    cell = elman()
    runs = [cell.unroll(x=np.ones((5, 3, 3)), lengths=lengths) for lengths in ([5, 4, 4], [5, 3, 1])]
    assert "t = 4  (1 of 3)" in viz.diff(*runs).source


def test_ranges_are_those_of_the_sequences_that_have_the_step() -> None:
    cell = elman()
    data = np.random.default_rng(0).normal(size=(5, 3, 3))
    run = cell.unroll(x=data, lengths=[5, 3, 1])
    labels = [box.label.split("\n") for box in unrolled_drawing(run, values=True).scene.boxes]
    boxes = {name: lines[0] for name, *lines in labels if lines}
    for k in range(1, 6):
        own = run["h"][k].numpy()[[length >= k for length in (5, 3, 1)]]
        assert boxes[f"h[{k}]"] == true_minus(f"{own.min():.2g} … {own.max():.2g}")
