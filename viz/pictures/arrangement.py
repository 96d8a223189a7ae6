"""How an unrolled picture is arranged: its time steps in rows, and the panels around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viz.annotations.labels import add_legend
from viz.annotations.legend import PITCH as LEGEND_PITCH
from viz.annotations.legend import add_entries, box_entries, line_entries
from viz.annotations.panels import APART, Panel, text_panel
from viz.annotations.places import TITLE, add_panels, best_places, extent, worth
from viz.annotations.shelf import AISLE, PITCH, add_parameters
from viz.layout.wrapping import Link, Rows
from viz.render.scene import Scene

if TYPE_CHECKING:
    from .unrolled import UnrolledDrawing

ROWS = (*range(1, 13), *(int(12 * 1.25 ** power) for power in range(1, 10)))  # that are tried on a page
STEP = 20.0  # height of the line that tells a step of a backward pass
LONGER = (0, 1, 2)  # steps that a row may have more than the last one, which then has a corner
LOSS = 90.0  # height that a loss takes above the steps
ROUND = 13.0  # width that its arrows take beside several rows
HEAT_PITCH = 15.0  # of the legend of gradients


def panels_of(drawing: UnrolledDrawing) -> list[Panel]:
    """Return the panels of a picture: parameters, legends, equations."""
    spec, panels = drawing.spec, list[Panel]()
    if spec.parameters and spec.options.parameters:
        direct = drawing.loss_inputs.parameters
        sizes, scene = drawing.labels.gradients.of_parameters(spec.parameters, spec.sums, direct), Scene("parameters")
        add_parameters(scene, spec, sizes, 0.0)
        panels.append(Panel(scene, PITCH, AISLE, bool(direct)))
    if drawing.labels.scale is not None and spec.options.legend is not False:
        scene = Scene("gradients")
        add_legend(scene, drawing.labels.scale, 0.0, 0.0)
        panels.append(Panel(scene, HEAT_PITCH))
    if spec.options.legend:
        panels.append(_colors(drawing))
    if spec.options.equations:
        panels.append(text_panel(spec.equations))
    return panels


def _colors(drawing: UnrolledDrawing) -> Panel:
    """Return the legend of the colours of boxes and arrows."""
    spec, steps, scene = drawing.spec, drawing.layout.steps, Scene("colours")
    drawn = [edge for edge in spec.graph.edges if not edge.target.once]
    outside = any(spec.is_boundary(part, k) for part, k in drawing.labels.text)
    loss = spec.loss is not None
    add_entries(scene, [*box_entries(spec.graph.parts, loss=loss, outside=outside),
                        *line_entries(map(steps.kind_color, drawn), loss=loss, cut=bool(spec.cuts))])
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
    above, bounds = _title_height(drawing), drawing.scene.bounds(0)
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
    add_panels(scene, panels_of(drawing), middle, drawing.spec.options.ratio, _title_height(drawing), corner)


def _title_height(drawing: UnrolledDrawing) -> float:
    """Return the height of the title and of the line of a backward step under it."""
    return TITLE * bool(drawing.spec.options.title) + STEP * (drawing.spec.step is not None)
