"""Gradient maps: signal by time step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import elman, feedback, unrolled
from drawings import overlap, rectangle, rolled_drawing, unrolled_drawing

import minigrad as mg
import viz
from rnn import Cell, t
from viz.annotations.heat import BAD, UNREACHABLE, ZERO
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
    scene = map_scene(run)
    row = strips(scene)["h1"]
    assert "[60] |g| " in row[-1].tooltip
    greens = [int(box.paint.fill[3:5], 16) for box in row]
    assert np.mean(greens[:10]) > np.mean(greens[-10:]) + 60
    unknown, = (box for box in scene.boxes if box.key.startswith("pattern") and box.y == strips(scene)["y"][0].y)
    assert unknown.pattern == UNREACHABLE and unknown.label == "" and unknown.tooltip == "not reached"
    assert "not reached" in [text.text for text in scene.texts]
    assert (unknown.left, unknown.right) == pytest.approx((row[0].left, row[-1].right))
    assert not any(box.filled for box in strips(scene)["y"]) and all(box.filled for box in row)


def test_a_pattern_covers_neighbours_that_have_the_same_reason() -> None:
    run, _ = unrolled(elman, 8)
    for k, value in ((2, 0.0), (3, 0.0), (5, np.inf), (7, 0.0)):
        grad = run["h"][k].grad
        assert grad is not None
        grad[...] = value
    scene = map_scene(run)
    cells = strips(scene)["h"]
    found = [(box.pattern, round(box.left), round(box.right)) for box in scene.boxes if box.key.startswith("pattern")]
    assert found == [(pattern, round(cells[first].left), round(cells[last].right)) for pattern, first, last in
                     ((ZERO, 1, 2), (BAD, 4, 4), (ZERO, 6, 6))]
    assert [cell.filled for cell in cells] == [True, False, False, True, False, True, False, True]


@pytest.mark.parametrize("T", [3, 30, 300])
def test_the_parts_of_a_map_are_close_together(T: int) -> None:
    """The title, what is shown, the strips, the axis and the legend, from top to bottom, each near the next."""
    run, _ = unrolled(elman, T)
    scene = map_scene(run)
    texts = {text.text.split(",")[0]: text for text in scene.texts}
    top = max(box.top for box in strips(scene)["y"])
    legend = [box for box in scene.boxes if box.key.startswith("legend")]
    title, shown, axis = texts["elman"], texts["|gradient| of each signal at each time step"], texts["t"]
    heights = [title.y, shown.y, top, axis.y, max(box.top for box in legend)]
    assert heights == sorted(heights, reverse=True) and max(-np.diff(heights)[[0, 1, 3]]) < 30
    assert scene.bounds(0)[1] < min(box.bottom for box in legend) + 3
    for text in scene.texts:
        assert not any(overlap(rectangle(text), rectangle(other)) for other in [*scene.boxes, *scene.texts]
                       if other is not text), text.text
    assert scene.title == title.text == "elman, gradient map"


def test_a_map_of_a_network_without_a_name_has_a_title() -> None:
    cell = Cell("")
    h = cell.signal("h", 2)
    h[t] = 0.5 * h[t-1] + mg.Tensor(np.ones(2), requires_grad=True)
    run = cell.unroll(T=2)
    run["h"][2].sum().backward()
    titles = [scene.title for scene in (map_scene(run), rolled_drawing(cell).scene, unrolled_drawing(run).scene)]
    assert titles == ["gradient map", "rolled", "unrolled, T = 2"]


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
