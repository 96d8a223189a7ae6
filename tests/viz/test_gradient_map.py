"""Gradient maps: signal by time step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import elman, feedback, unrolled

import viz
from rnn import Cell, t
from viz.annotations.heat import UNKNOWN
from viz.pictures.gradient_map import map_scene
from viz.render.scene import Scene


def strips(scene: Scene) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {}
    for box in scene.boxes:
        if box.key.startswith("g"):
            rows.setdefault(box.tooltip.split("[")[0], []).append(box)
    return rows


@pytest.mark.parametrize("T, colours", [(5, 5), (100, 100), (1000, 1000), (2500, 834)])
def test_a_gradient_map_has_a_colour_for_every_step_as_far_as_it_can(T: int, colours: int) -> None:
    run, _ = unrolled(elman, T, batch=())
    scene = map_scene(run)
    rows = strips(scene)
    assert list(rows) == ["h", "y"] and all(len(row) == colours for row in rows.values())
    assert rows["h"][0].y < rows["y"][0].y
    for row in rows.values():
        assert [box.x for box in row] == sorted(box.x for box in row)
        assert row[-1].right - row[0].left <= 900.001
    left, bottom, right, top = scene.bounds()
    assert right - left < 1200 and top - bottom < 300


def test_a_gradient_map_shows_a_gradient_that_vanishes() -> None:
    run, _ = unrolled(feedback, 60)
    for name in run.cell.signals:
        for k in range(1, 61):
            run[name][k].grad = None
    (run["h3"][60] ** 2).sum().backward()
    row = strips(map_scene(run))["h1"]
    assert "[60] |g| " in row[-1].tooltip
    greens = [int(box.paint.fill[3:5], 16) for box in row]
    assert np.mean(greens[:10]) > np.mean(greens[-10:]) + 60
    assert strips(map_scene(run))["y"][0].paint.fill == UNKNOWN


def test_an_axis_has_round_numbers() -> None:
    run, _ = unrolled(elman, 100, batch=())
    numbers = [text.text for text in map_scene(run).texts if text.text.isdigit()]
    assert numbers == ["1", "10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]


def test_one_of_several_steps_with_nan_is_seen() -> None:
    run, _ = unrolled(elman, 2000, batch=())
    grad = run["h"][777].grad
    assert grad is not None
    grad[0] = np.nan
    bad = [box for box in strips(map_scene(run))["h"] if "nan" in box.tooltip]
    assert len(bad) == 1 and "777" in bad[0].tooltip


def test_a_map_without_gradients_is_refused() -> None:
    cell = Cell()
    n = cell.signal("n", ())
    n[t] = n[t-1] + 1
    with pytest.raises(ValueError, match=r"no signal of .* requires a gradient"):
        viz.gradient_map(cell.unroll(T=3))
