"""Pictures before they are painted, and the geometry of their boxes and arrows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnn import Cell, Run
from rnn.unrolling.gradients import gradient_sums, stored
from viz.annotations.gradients import chosen_gradients
from viz.annotations.heat import relative_contributions
from viz.layout.folding import choose_steps
from viz.layout.levels import rolled_graph
from viz.layout.options import USUAL, Options
from viz.layout.step_graph import Edge
from viz.pictures.rolled import RolledDrawing
from viz.pictures.unrolled_drawing import UnrolledDrawing, unrolled_spec
from viz.render.scene import Arrow, Box, Scene, Text

Rectangle = tuple[float, float, float, float]


def draw_rolled(cell: Cell, level: str = "signals") -> RolledDrawing:
    return RolledDrawing(rolled_graph(cell, level), cell.name, level == "ops").draw()


def draw_run(run: Run, loss: Any, steps: Sequence[int], level: str = "signals", contributions: bool = False,
             shown: Options = USUAL, **options: Any) -> UnrolledDrawing:
    found = chosen_gradients([run], loss, options.get("step"))
    of = stored if found is None else found.of
    widths = relative_contributions([run], of)[0] if contributions else None
    spec = unrolled_spec(run, steps, level, options=shown)
    return UnrolledDrawing(replace(spec, parameters=run.parameters, sums=gradient_sums(run, of), loss=loss, found=found,
                                   contributions=widths, **options)).draw()


def rolled_drawing(cell: Cell, level: str = "signals") -> RolledDrawing:
    drawing = draw_rolled(cell, level)
    drawing.add_captions(cell)
    return drawing


def unrolled_drawing(run: Run, loss: Any = None, fold: bool = False, level: str = "signals",
                     steps: Any = None, **options: Any) -> UnrolledDrawing:
    drawing = draw_run(run, loss, choose_steps(run.T, fold, steps), level, **options)
    drawing.add_title()
    return drawing


def as_written(text: str) -> str:
    """Return text as pictures write it: with a minus sign in each number."""
    return text.replace("-", "−")


def norm_text(gradient: Any) -> str:
    """Return what a picture says of a gradient."""
    return as_written(f"|g| {np.linalg.norm(gradient):.1e}")


def rectangle(part: Box | Text, margin: float = 0) -> Rectangle:
    return (part.x - part.width / 2 + margin, part.y - part.height / 2 + margin,
            part.x + part.width / 2 - margin, part.y + part.height / 2 - margin)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def sampled(arrow: Arrow, samples: int = 40, apart: float = 0.0) -> Any:
    """Points on the arrow's Bézier curves: at most `apart` from each other, if given, but for corners."""
    points = np.array(arrow.points)
    assert len(points) % 3 == 1
    return np.concatenate([_on_curve(points[i:i + 4], samples, apart) for i in range(0, len(points) - 1, 3)])


def _on_curve(controls: Any, samples: int, apart: float) -> Any:
    if apart:
        samples = max(int(np.abs(np.diff(controls, axis=0)).sum() / apart) + 2, samples)
    s = np.linspace(0, 1, samples)[:, None]
    p0, p1, p2, p3 = controls
    return (1 - s)**3 * p0 + 3 * (1 - s)**2 * s * p1 + 3 * (1 - s) * s**2 * p2 + s**3 * p3


def inside(points: Any, part: Box, margin: float = 1) -> bool:
    x, y = points.T
    if part.circle:
        return bool((np.hypot(x - part.x, y - part.y) < part.width / 2 - margin).any())
    box = rectangle(part, margin)
    return bool(((box[0] < x) & (x < box[2]) & (box[1] < y) & (y < box[3])).any())


def assert_arrows_pass_no_box(scene: Scene) -> None:
    for arrow in scene.arrows:
        points = sampled(arrow, apart=5)
        (left, bottom), (right, top) = points.min(0), points.max(0)
        for box in scene.boxes:
            if overlap((left, bottom, right, top), rectangle(box)):
                assert not inside(points, box), f"{arrow.tooltip!r} through {box.label!r}"


def traced(arrow: Arrow, apart: float = 2.0) -> Any:
    """Points on an arrow at most `apart` from each other, and the directions there, as two arrays."""
    points = sampled(arrow, 12, apart)
    steps = np.diff(points, axis=0)
    lengths = np.hypot(*steps.T)
    moved = lengths > 1e-6
    return points[:-1][moved], steps[moved] / lengths[moved, None]


def confusions(drawing: RolledDrawing | UnrolledDrawing) -> list[str]:
    """Return what a reader could take for a junction in the lines of delayed edges.

    Two edges that run along each other, that end at one point, or that cross at an angle or in a corner. Edges of
    one source and delay to boxes of one row may share a line: it divides.
    """
    arrows = drawing_arrows(drawing)
    trace = [traced(arrow) for arrow, _ in arrows]
    points, directions = (np.concatenate(parts) for parts in zip(*trace))
    owners = np.repeat(np.arange(len(trace)), [len(each) for each, _ in trace])
    delayed = np.array([bool(edge.delay) for _, edge in arrows])
    found = {f"{arrows[a][0].tooltip} and {arrows[b][0].tooltip} {how}"
             for a, b, how in _meetings(points, directions, owners, delayed)
             if not one_trunk(arrows[a][1], arrows[b][1])}
    heads = [(arrow, edge) for arrow, edge in arrows if arrow.head]
    tips = np.array([arrow.points[-1] for arrow, _ in heads])
    for i, j in np.argwhere(np.triu(np.hypot(*(tips[:, None] - tips[None]).T) < 6.5, 1)):
        (one, edge), (other, second) = heads[i], heads[j]
        if edge is not second and (edge.delay or second.delay):
            found.add(f"{one.tooltip} and {other.tooltip} end at one point")
    return sorted(found)


def drawing_arrows(drawing: RolledDrawing | UnrolledDrawing) -> list[tuple[Arrow, Edge]]:
    return [(item[0], item[1]) for item in drawing.arrows if not item[1].source.once]


def one_trunk(a: Edge, b: Edge) -> bool:
    return a is b or (a.source is b.source and a.delay == b.delay)


def _meetings(points: Any, directions: Any, owners: Any, delayed: Any) -> Iterator[tuple[int, int, str]]:
    """Yield pairs of delayed edges that run along each other or do not cross at right angles."""
    a, b = _near(points)
    keep = (owners[a] != owners[b]) & delayed[owners[a]] & delayed[owners[b]]
    a, b = a[keep], b[keep]
    cosine = np.abs((directions[a] * directions[b]).sum(1))
    ends = np.sort(np.stack([owners[a], owners[b]], axis=1), axis=1)
    for one, other in np.unique(ends[(cosine > 0.2) & (cosine < 0.95)], axis=0).tolist():
        yield one, other, "cross at an angle"
    pairs, counts = np.unique(ends[cosine >= 0.95], axis=0, return_counts=True)
    for one, other in pairs[counts > 4].tolist():
        yield one, other, "run along each other"


def _near(points: Any, distance: float = 2.0) -> tuple[Any, Any]:
    """Return the pairs of points that are at most a distance apart, as two arrays of positions."""
    cells = np.floor(points / distance).astype(np.int64)
    cells -= cells.min(0) - 1
    rows = int(cells[:, 1].max()) + 2
    keys = cells[:, 0] * rows + cells[:, 1]
    order = np.argsort(keys, kind="stable")
    found: list[tuple[Any, Any]] = []
    for shift in (0, 1, rows - 1, rows, rows + 1):
        first, last = (np.searchsorted(keys[order], keys + shift, side) for side in ("left", "right"))
        counts = last - first
        one = np.repeat(np.arange(len(keys)), counts)
        other = order[np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
        keep = np.hypot(*(points[one] - points[other]).T) <= distance
        if not shift:
            keep &= one < other
        found.append((one[keep], other[keep]))
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def labels_on_lines(drawing: RolledDrawing | UnrolledDrawing) -> list[str]:
    """Return the labels that lie on the line of another edge."""
    arrows = drawing_arrows(drawing)
    trace = [traced(arrow)[0] for arrow, _ in arrows]
    found = []
    for arrow, edge in arrows:
        if arrow.label is None:
            continue
        left, bottom, right, top = rectangle(arrow.label, 2)
        for (other, second), points in zip(arrows, trace):
            x, y = points.T
            if second is not edge and ((left < x) & (x < right) & (bottom < y) & (y < top)).any():
                found.append(f"{arrow.label.text} on {other.tooltip}")
    return found
