"""Pictures before they are painted, and the geometry of their boxes and arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnn import Cell, Run
from rnn.unrolling.gradients import gradient_sums
from viz.annotations.heat import relative_contributions
from viz.layout.folding import choose_steps
from viz.layout.step_graph import rolled_graph
from viz.pictures.rolled import RolledDrawing
from viz.pictures.unrolled import UnrolledDrawing, unrolled_spec
from viz.render.scene import Arrow, Box, Scene, Text

Rectangle = tuple[float, float, float, float]


def draw_rolled(cell: Cell, level: str = "signals") -> RolledDrawing:
    return RolledDrawing(rolled_graph(cell, level), cell.name, level == "ops").draw()


def draw_run(run: Run, loss: Any, steps: Sequence[int], level: str = "signals", contributions: bool = False,
             **options: Any) -> UnrolledDrawing:
    widths = relative_contributions(run) if contributions else None
    return UnrolledDrawing(replace(unrolled_spec(run, steps, level), parameters=run.parameters,
                                   sums=gradient_sums(run), loss=loss, contributions=widths, **options)).draw()


def rolled_drawing(cell: Cell, level: str = "signals") -> RolledDrawing:
    drawing = draw_rolled(cell, level)
    drawing.add_captions(cell)
    return drawing


def unrolled_drawing(run: Run, loss: Any = None, fold: bool = False, level: str = "signals",
                     steps: Any = None, **options: Any) -> UnrolledDrawing:
    drawing = draw_run(run, loss, choose_steps(run.T, fold, steps), level, **options)
    drawing.add_title()
    return drawing


def rectangle(part: Box | Text, margin: float = 0) -> Rectangle:
    return (part.x - part.width / 2 + margin, part.y - part.height / 2 + margin,
            part.x + part.width / 2 - margin, part.y + part.height / 2 - margin)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def sampled(arrow: Arrow, samples: int = 40) -> Any:
    """Points on the arrow's Bézier curves."""
    s = np.linspace(0, 1, samples)[:, None]
    points = np.array(arrow.points)
    assert len(points) % 3 == 1
    return np.concatenate([(1 - s)**3 * p0 + 3 * (1 - s)**2 * s * p1 + 3 * (1 - s) * s**2 * p2 + s**3 * p3
                           for p0, p1, p2, p3 in (points[i:i + 4] for i in range(0, len(points) - 1, 3))])


def inside(points: Any, part: Box, margin: float = 1) -> bool:
    x, y = points.T
    if part.circle:
        return bool((np.hypot(x - part.x, y - part.y) < part.width / 2 - margin).any())
    box = rectangle(part, margin)
    return bool(((box[0] < x) & (x < box[2]) & (box[1] < y) & (y < box[3])).any())


def assert_arrows_pass_no_box(scene: Scene) -> None:
    for arrow in scene.arrows:
        points = sampled(arrow)
        (left, bottom), (right, top) = points.min(0), points.max(0)
        for box in scene.boxes:
            if overlap((left, bottom, right, top), rectangle(box)):
                assert not inside(points, box), f"{arrow.tooltip!r} through {box.label!r}"
