"""The arrangement of an unrolled picture: its time steps in rows, and the panels around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from viz.annotations.labels import KEY_PITCH, add_legend
from viz.annotations.legend import PITCH as LEGEND_PITCH
from viz.annotations.legend import add_entries, box_entries, line_entries
from viz.annotations.panels import APART, Panel, text_panel
from viz.annotations.places import TITLE, add_panels, best_places, extent, worth
from viz.annotations.shelf import AISLE, PITCH, add_parameters
from viz.layout.unrolled_layout import UnrolledSpec
from viz.layout.wrapping import Link, Rows
from viz.render.scene import Scene

if TYPE_CHECKING:
    from .unrolled_drawing import UnrolledDrawing

ROWS = (*range(1, 13), *(int(12 * 1.25 ** power) for power in range(1, 10)))  # that are tried on a page
STEP = 20.0  # height of the line that tells a step of a backward pass
LONGER = (0, 1, 2)  # steps that a row may have more than the last one, which then has a corner
LOSS = 90.0  # height that a loss takes above the steps
ROUND = 13.0  # width that its arrows take beside several rows


def panels_of(drawing: UnrolledDrawing) -> list[Panel]:
    """Return the panels of a picture: parameters, legends, equations."""
    return make_panels([drawing], drawing.spec, drawing.loss_inputs.parameters, drawing.spec.sums)


def make_panels(drawings: Sequence[UnrolledDrawing], spec: UnrolledSpec, direct: Sequence[str],
                sums: Mapping[str, Any] | None) -> list[Panel]:
    """Return the panels of a picture of one or several runs.

    Args:
        spec: with the parameters of all of them.
        direct: the names of those that the loss reads directly.
        sums: what all runs contributed to their gradients.
    """
    labels, panels = drawings[-1].labels, list[Panel]()
    if spec.parameters and spec.options.parameters:
        scene = Scene("parameters")
        add_parameters(scene, spec, labels.gradients.of_parameters(spec.parameters, sums, direct), 0.0)
        panels.append(Panel(scene, PITCH, AISLE, bool(direct)))
    if labels.scale is not None and spec.options.legend is not False:
        scene = Scene("gradients")
        add_legend(scene, labels.scale, 0.0, 0.0)
        panels.append(Panel(scene, KEY_PITCH))
    if spec.options.legend:
        panels.append(_colors(drawings))
    if spec.options.equations:
        panels += [text_panel([*([(0, f"{each.scene.name}:")] if len(drawings) > 1 else []), *each.spec.equations])
                   for each in drawings]
    return panels


def _colors(drawings: Sequence[UnrolledDrawing]) -> Panel:
    """Return the legend of the colours of boxes and arrows."""
    scene, specs = Scene("colours"), [drawing.spec for drawing in drawings]
    outside = any(drawing.spec.is_boundary(part, k) for drawing in drawings for part, k in drawing.labels.text)
    loss = specs[0].loss is not None
    add_entries(scene, [*box_entries([part for spec in specs for part in spec.graph.parts], loss=loss, outside=outside),
                        *line_entries([drawing.layout.steps.kind_color(edge) for drawing in drawings
                                       for edge in drawing.spec.graph.edges if not edge.target.once],
                                      loss=loss, cut=any(spec.cuts for spec in specs))])
    return Panel(scene, LEGEND_PITCH)


def wrap(drawing: UnrolledDrawing) -> Rows | None:
    """Put the columns of a drawn picture into rows, if that is wanted or, on a page, makes it larger."""
    per_row = _steps_in_a_row(drawing)
    count = _count(drawing)
    if per_row is None or per_row >= count:
        return None
    rows = Rows(drawing.layout.columns, drawing.spec.T, per_row)
    links = [Link(*item) for item in drawing.arrows]
    drawing.arrows[:] = rows.apply(drawing.scene, links)
    return rows


def _count(drawing: UnrolledDrawing) -> int:
    return sum(1 <= column.k <= drawing.spec.T for column in drawing.layout.columns)


def _steps_in_a_row(drawing: UnrolledDrawing) -> int | None:
    """Return the number of columns in a row with which the picture is largest on its page."""
    options, count = drawing.spec.options, _count(drawing)
    ratio = options.ratio
    if options.per_row is not None or ratio is None:
        return options.per_row
    panels, names = panels_of(drawing), [f"{part.label}[{drawing.spec.T}]" for part in drawing.spec.graph.parts
                                         if drawing.spec.graph.is_state(part)]
    best: dict[tuple[float, float], int] = {}
    above, bounds = title_height(drawing.spec), drawing.scene.bounds(0)
    for per_row in dict.fromkeys(min(-(-count // rows) + more, count) for more in LONGER for rows in ROWS):
        width, height, free = Rows(drawing.layout.columns, drawing.spec.T, per_row).size(bounds, names)
        width += drawing.room[0] + (ROUND if drawing.spec.loss is not None and per_row < count else 0.0)
        row = drawing.layout.top - drawing.layout.foot
        content = 0.0, 0.0, width, max(height + (LOSS if drawing.spec.loss is not None else 0.0), drawing.room[1])
        corner = width - free + APART, 0.0, width, row
        places = best_places(panels, content, height / 2, ratio, above, corner)
        best.setdefault(worth(extent(places, content), ratio, above), per_row)
    return best[max(best)]


def add_around(drawing: UnrolledDrawing) -> None:
    """Add the panels around the picture."""
    scene, middle = drawing.scene, drawing.layout.steps.middle
    drawing.extent = scene.bounds(0)
    corner = None
    if drawing.rows is not None:
        _, bottom, _, top = drawing.steps_extent
        middle = (top + bottom) / 2
        corner = drawing.rows.end + APART, bottom, drawing.extent[2], min(frame.top for frame in scene.frames)
    add_panels(scene, panels_of(drawing), middle, drawing.spec.options.ratio, title_height(drawing.spec), corner)


def title_height(spec: UnrolledSpec) -> float:
    """Return the height of the title and of the line of a backward step under it."""
    return TITLE * bool(spec.options.title) + STEP * (spec.step is not None)
