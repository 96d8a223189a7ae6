"""The boxes beside the time steps of an unrolled picture: statics, operations on statics, and initial values from them.

Each is one box on the left, in a row of its own below the steps. A line runs from it through all steps, and up to its
readers in each of them. A static of which only initial values are computed is beside these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from viz.layout.step_graph import Edge, Part
from viz.layout.step_layout import LabelPoints, part_box
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Arrow, Box, Point, join_curves, round_corners, straight_line

if TYPE_CHECKING:
    from .unrolled_drawing import UnrolledDrawing

APART = 30.0  # from these boxes to the first column
TRACK = 7.0  # between lines that run upward side by side
TURN = 8.0  # radius of a line's corner on the way up


def add_boxes(drawing: UnrolledDrawing) -> dict[Part, Box]:
    """Add one box for each part of the graph that is computed once, all with one centre line."""
    layout, labels = drawing.layout, drawing.labels
    places = {part: layout.beside_place(part) for part in labels.beside}
    room = max((text_width(text, 10) * CORNER for text in map(drawing.start_label, drawing.spec.starts)), default=0.0)
    right = layout.columns[0].left - APART - TRACK * len(drawing.spec.starts) - room
    boxes: dict[Part, Box] = {}
    for number, (part, place) in enumerate(places.items()):
        y = layout.steps.y[place.row]
        while any(abs(box.y - y) < (box.height + place.height) / 2 + 6 for box in boxes.values()):
            y -= 6
        box = part_box(f"o{number}", part, place, right - max(place.width for place in places.values()) / 2, y,
                       labels.beside[part])
        labels.annotate(box, f"{part.text}:", drawing.spec.beside.get(part))
        drawing.scene.boxes.append(box)
        boxes[part] = box
    return boxes


def add_arrows(drawing: UnrolledDrawing, boxes: Mapping[Part, Box]) -> None:
    """Add an arrow to each reader at each step, between these boxes, and to the values before and after the steps."""
    inside = [edge for edge in drawing.spec.graph.edges if edge.target.once]
    for number, edge in enumerate(inside):
        rows = [drawing.layout.steps.places[part].row for part in (edge.source, edge.target)]
        points = _between(boxes[edge.source], boxes[edge.target], rows[1] - rows[0] == 1,
                          min(box.left for box in boxes.values()) - TRACK * (number + 1))
        _add_arrow(drawing, edge, 1, boxes[edge.source], boxes[edge.target], points)
    for edge in drawing.spec.graph.edges:
        if edge.source.once and not edge.target.once:
            _add_branches(drawing, edge, boxes[edge.source])
    for number, (edge, k) in enumerate(drawing.spec.starts):
        target = drawing.boxes[edge.target, k]
        points, labels = _to_initial_value(drawing, edge, boxes[edge.source], target, k, number)
        arrow = _add_arrow(drawing, edge, k, boxes[edge.source], target, points)
        drawing.add_label(edge, arrow, labels)


def _add_branches(drawing: UnrolledDrawing, edge: Edge, source: Box) -> None:
    """Add all copies of an edge into the time steps; one of them shows the names of its parameters."""
    layout, drawn = drawing.layout, set()
    for k in layout.ends(edge):
        target = drawing.box(edge.target, k)
        if target is None or target.key in drawn:
            continue
        drawn.add(target.key)
        middle, place = layout.column(k).x, layout.steps.places[edge.source]
        turn = Box("", middle + place.x, source.y, place.width, 2 * TURN, "", source.paint)
        upward, labels = layout.steps.route_upward(edge, turn, target, middle)
        x, y = upward[0]
        along = round_corners([source.side(source.y, 1), (x, source.y), (x, y)], TURN)
        arrow = _add_arrow(drawing, edge, k, source, target, join_curves(along, upward))
        if len(drawn) == 1:
            drawing.add_label(edge, arrow, labels)


def _between(source: Box, target: Box, adjacent: bool, left: float) -> list[Point]:
    """Return a route between two boxes above each other: straight up, or round on the left past others."""
    if adjacent:
        return straight_line((source.x, source.top), (target.x, target.bottom))
    return round_corners([source.side(source.y, -1), (left, source.y), (left, target.y), target.side(target.y, -1)])


def _to_initial_value(drawing: UnrolledDrawing, edge: Edge, source: Box, target: Box, k: int, number: int
                      ) -> tuple[list[Point], LabelPoints]:
    """Return the route to a value before or after the steps, which it reaches from outside; candidates for a label."""
    steps, before = drawing.layout.steps, k < 1
    column, row, out = drawing.layout.home(edge.target, k), steps.places[edge.target].row, TRACK * (number + 1)
    x = column.left - out if before else column.right + out
    start, end = source.side(source.y, 1), target.side(target.y, -1 if before else 1)
    others = [drawing.boxes.get((part, k)) for part in steps.members[row] if part is not edge.target]
    blocked = any(box and min(x, target.x) < box.x < max(x, target.x) for box in others)
    labels = [((x + (5 if right else -5), source.y + (target.y - source.y) * part), right)
              for part in (0.5, 0.3, 0.7) for right in (before, not before)]
    if blocked:  # it enters from below
        under = steps.y[row] - steps.heights[row] / 2 - TURN
        return round_corners([start, (x, source.y), (x, under), (target.x, under), (target.x, target.bottom)]), labels
    if abs(source.y - target.y) < 0.1:
        return straight_line(start, end), [((start[0] + 4, source.y + 9), True)]
    return round_corners([start, (x, source.y), (x, target.y), end]), labels


def _add_arrow(drawing: UnrolledDrawing, edge: Edge, k: int, source: Box, target: Box, points: list[Point]) -> Arrow:
    tooltip = f"{source.label} → {target.label}".replace("\n", " ")
    return drawing.add_arrow(edge, k, Arrow(source.key, target.key, points, *drawing.layout.steps.style(edge)[:2],
                                            tooltip=tooltip))
