"""An unrolled picture: its content (UnrolledSpec), and all positions and routes (UnrolledLayout).

Edges between steps are straight or curved if no box is between. Otherwise they run along
horizontal tracks in the channels between the rows, and along vertical tracks between two frames.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minigrad import Tensor
from minigrad.steps import Step
from rnn.unrolling.facts import Connection
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Box, Point, horizontal_curve, misses_boxes, round_corners, straight_line

from .folding import Column, Tensors, Where
from .step_graph import Edge, Part, StepGraph
from .step_layout import FIRST, HEIGHT, MARGIN, SMALL, TRACK, Group, LabelPoints, Place, StepLayout, part_width

BETWEEN, DENSE = 36.0, 26.0  # from row to row; the same between operations
INSIDE = 20.0  # from a frame to the boxes in it
GAP = 30.0  # from frame to frame
BESIDE = 12.0  # from row to row of what is computed once
FOOT = 46.0  # from the lowest row's centre line to the lower side of the frame
VERTICAL = 7.0  # between vertical tracks
ASIDE = 7.0  # from the middle of a box's side to an arrow that leaves there


@dataclass(frozen=True)
class UnrolledSpec:
    """The content of an unrolled picture as plain data; made from a run, from recorded tensors, or from two runs."""

    name: str  # of the definition
    T: int
    graph: StepGraph  # one step
    tensors: Tensors  # for each part, its time steps and the tensor at each
    steps: Sequence[int]  # drawn one by one; all others are folded
    dense: bool = False  # whether rows are closer, for operations
    cuts: Collection[Connection] = ()  # edges through which no gradient passes
    parameters: Mapping[str, Tensor] = field(default_factory=dict)  # listed at the side
    sums: Mapping[str, Any] | None = None  # what the run contributed to their gradients, after a backward pass
    loss: Tensor | None = None  # drawn above the steps
    values: bool = False  # written into the boxes
    heat: bool = False  # gradients as colours of the boxes
    step: Step | None = None  # of a backward pass: gradients are those after it
    highlight: Collection[Tensor] = ()
    valid: Sequence[int] = ()  # at steps 1 … T, of how many sequences they are own steps; empty if of all
    sequences: int = 1
    contributions: Mapping[str, Sequence[float]] | None = None  # of each step to a parameter's gradient: edge widths
    beside: Mapping[Part, Tensor | None] = field(default_factory=dict)  # the value of each part that is computed once
    starts: Sequence[tuple[Edge, int]] = ()  # edges from such parts to values before and after the steps

    def is_boundary(self, part: Part, k: int) -> bool:
        """Whether a value was given from outside, before or after the computed ones."""
        return not 1 <= k - part.lead <= self.T

    def caption(self, column: Column) -> str:
        """Return the heading of a column, `t = 4`; with sequences of unequal lengths `t = 4  (1 of 3)`."""
        first, last = column.steps[0], column.steps[-1]
        text = f"t = {first}" if first == last else f"t = {first} … {last}"
        counts = self.valid[first - 1:last]
        if not counts:
            return text
        least, most = min(counts), max(counts)
        return f"{text}  ({least if least == most else f'{least} … {most}'} of {self.sequences})"


class UnrolledLayout:
    """Positions and routes: `columns` from the left, `steps` inside each of them.

    stack() derives all heights from the `gaps` between rows, also `foot` and `top` of the frames.
    """

    def __init__(self, spec: UnrolledSpec, columns: list[Column], labels: Mapping[Where, str],
                 beside: Mapping[Part, str]) -> None:
        self.spec, self.columns, self.labels, self.beside = spec, columns, labels, beside
        self._number = {k: number for number, column in enumerate(columns) for k in column.steps}
        self.steps = StepLayout(spec.graph, {part: self._size(part) for part in spec.graph.parts}, apart=True)
        self.steps.set_sides({edge: -1 if edge.delay > 0 else 1 for edge in spec.graph.edges if edge.delay})
        self._tracks: dict[Group, tuple[int, int]] = {}  # group -> its channel, and its first track there
        self._vertical: dict[Group, int] = {}  # group -> its first vertical track
        self._vertical_tracks = 0
        self._assign_tracks()
        self._clear: dict[Edge, bool] = {}
        least = DENSE if spec.dense else BETWEEN
        self.gaps = [least + (FIRST + TRACK * n - 12 if n else 0) for n in self.steps.tracks[1:-1]]
        beside_time = max(len(spec.graph.once) - 1, 0)
        self.gaps[:beside_time] = [BESIDE] * beside_time
        self._place_columns()

    def stack(self) -> None:
        """Set all heights from the gaps."""
        self.steps.set_gaps(self.gaps)
        lowest, highest = self.steps.tracks[0], self.steps.tracks[self.steps.count]
        self.foot = self.steps.y[0] - self.steps.heights[0] / 2 - (FOOT - HEIGHT / 2) - (
            FIRST + TRACK * lowest if lowest else 0)
        self.top = self.steps.top + INSIDE + (FIRST + TRACK * highest - 8 if highest else 0)

    def beside_place(self, part: Part) -> Place:
        """Return the place of a box beside the steps: its row, or that of the initial value that is computed of it."""
        own = self.steps.places.get(part)
        row = own.row if own else self.steps.places[next(
            edge.target for edge, _ in self.spec.starts if edge.source is part)].row
        text = self.beside[part]
        return Place(row, 0.0, part_width(part, [text]), own.height if own else HEIGHT + 12 * text.count("\n"))

    # ---- columns
    def __contains__(self, k: int) -> bool:
        """Whether a step has a column, of its own or in a fold."""
        return k in self._number

    def column(self, k: int) -> Column:
        """Return the column of a time step."""
        return self.columns[self._number[k]]

    def is_drawn(self, k: int) -> bool:
        """Whether a step has a column of its own."""
        return k in self and not self.column(k).folded

    def _size(self, part: Part) -> tuple[float, float]:
        """Return the size of a part's boxes: that of the largest label, the same at all steps.

        Within the steps, one that is computed once is a line.
        """
        if part.once:
            return 0.0, (HEIGHT if part.node is None else SMALL) + 12 * self.beside[part].count("\n")
        labels = [self.labels[part, k] for k in self.spec.tensors[part] if (part, k) in self.labels]
        height = (HEIGHT if part.node is None else SMALL) + 12 * max((text.count("\n") for text in labels), default=0)
        if part.node is None and not (self.spec.values or self.spec.heat):
            labels = [part.at(k) for k in self.spec.tensors[part]]
        return part_width(part, labels or [part.label]), height

    def place(self, part: Part, k: int) -> Place:
        """Return a box's place in its step; a boundary value is as wide as its own label needs."""
        place = self.steps.places[part]
        if not self.spec.is_boundary(part, k):
            return place
        width = max(place.width, text_width(self.labels[part, k], 12) * CORNER + MARGIN)
        return Place(place.row, place.x, width, place.height)

    def _place_columns(self) -> None:
        """Set the sides of all columns: one width for the steps of the sequence, as narrow as possible outside it."""
        graph = self.spec.graph
        widest = {bool(delayed): max((text_width(graph.label(edge)[0], 10) * CORNER for edge in graph.edges
                                      if bool(edge.delay) is delayed), default=0.0) for delayed in (False, True)}
        half = max(self.steps.left, self.steps.right) + INSIDE
        half = max(half, *(self._reach(part, k) for part, k in self.labels if 1 <= k <= self.spec.T))
        half = max(half, widest[False] + 14, 38.0 if any(column.folded for column in self.columns) else 0.0)
        captions = [self.spec.caption(column) for column in self.columns if 1 <= column.k <= self.spec.T]
        half = max(half, *(text_width(caption, 11) * CORNER / 2 + 8 for caption in captions))
        self.gap = max(GAP, widest[True] + 12 - 2 * INSIDE, VERTICAL * (self._vertical_tracks + 1))
        right = 0.0
        for column in self.columns:
            reach = half
            if not 1 <= column.k <= self.spec.T:
                reach = max(self._reach(part, k) for part, k in self.labels if k == column.k)
            column.left = right + self.gap
            column.x = column.left + reach
            column.right = right = column.x + reach

    def _reach(self, part: Part, k: int) -> float:
        """Return how far a box extends from the centre line of its step, with a margin."""
        place = self.place(part, k)
        return abs(place.x) + place.width / 2 + 8

    # ---- tracks
    def _assign_tracks(self) -> None:
        """Give every group of delayed edges vertical tracks, and horizontal ones where it passes boxes.

        A delay of d needs d horizontal tracks, as d copies of an edge pass each other.
        """
        for edge, entry in self.steps.entries.items():
            if entry.group in self._vertical:
                continue
            self._vertical[entry.group] = self._vertical_tracks
            self._vertical_tracks += 1 + (abs(edge.delay) > 1)
            if entry.from_below or abs(edge.delay) > 1:
                row = self.steps.places[edge.target].row
                over = not entry.from_below and self.steps.places[edge.source].row >= row
                self._tracks[entry.group] = row + over, self.steps.tracks[row + over]
                self.steps.tracks[row + over] += abs(edge.delay)

    def _track_y(self, edge: Edge, k: int) -> float:
        """Return the height of the horizontal track of an edge that ends at step k."""
        channel, first = self._tracks[self.steps.entries[edge].group]
        return self.steps.track_y(channel, first + k % abs(edge.delay))

    def _vertical_x(self, edge: Edge, k: int, arriving: bool = False) -> float:
        """Return the vertical track beside the frame that an edge leaves, or arrives at."""
        number = self._vertical[self.steps.entries[edge].group] + arriving
        inward = VERTICAL + number * min(VERTICAL, (self.gap - 2 * VERTICAL) / max(self._vertical_tracks - 1, 1))
        column = self.column(k if arriving else k - edge.delay)
        outside = self.gap - inward if arriving else inward
        return column.right + outside if (edge.delay > 0) != arriving else column.left - outside

    # ---- edges
    def ends(self, edge: Edge) -> list[int]:
        """Return the steps at which copies of an edge may end: none inside a fold."""
        reach = abs(edge.delay) + 1
        near = {k + shift for column in self.columns for k in (*column.steps[:reach], *column.steps[-reach:])
                for shift in (0, edge.delay)}
        return sorted((k for k in near if 1 <= k - edge.target.lead <= self.spec.T), reverse=edge.delay < 0)

    def route(self, edge: Edge, k: int, source: Box, target: Box,
              boxes: Mapping[Where, Box]) -> tuple[list[Point], LabelPoints]:
        """Return the curve of an edge's copy that ends at step k, past all boxes, and candidates for its label."""
        if edge.delay == 0:
            return self.steps.route_upward(edge, source, target, self.column(k).x)
        columns = self.column(k - edge.delay), self.column(k)
        merged = columns[1].folded and edge.target.node is not None  # it ends at its signal's fold
        if self.steps.entries[edge].from_below and not merged:
            return self._route_from_below(edge, k, source, target)
        adjacent = abs(self._number[k - edge.delay] - self._number[k]) == 1
        start, end = self._side_ports(edge, source, target, adjacent)
        if not adjacent:
            return self._route_along_track(edge, k, start, end)
        if abs(start[1] - end[1]) < 0.1 and source.y == target.y:
            return straight_line(start, end), [(((start[0] + end[0]) / 2 - 8, start[1] + 9), True)]
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (6 if target.y <= source.y else -6)
        points = horizontal_curve(start, end)
        if not self._is_clear(edge, points, source, target, columns, boxes):
            out = self._vertical_x(edge, k)
            points = round_corners([start, (out, start[1]), (out, end[1]), end])
        return points, [((x + 6, y), True), ((x - 6, y), False)]

    def _route_along_track(self, edge: Edge, k: int, start: Point, end: Point) -> tuple[list[Point], LabelPoints]:
        """Go out sideways, along a track past the steps between, and in sideways."""
        y, out, back = self._track_y(edge, k), self._vertical_x(edge, k), self._vertical_x(edge, k, arriving=True)
        forward = 1 if edge.delay > 0 else -1
        labels = [((out + forward * (26 + 24 * n), y + side), True) for n in range(4) for side in (8, -8)]
        return round_corners([start, (out, start[1]), (out, y), (back, y), (back, end[1]), end]), labels

    def _route_from_below(self, edge: Edge, k: int, source: Box, target: Box) -> tuple[list[Point], LabelPoints]:
        """Go out sideways, along a track under the target's row, and up."""
        forward = 1 if edge.delay > 0 else -1
        y, x = self._track_y(edge, k), self._vertical_x(edge, k)
        end = (target.x, target.bottom) if self.column(k).folded else self.steps.bottom_port(edge, target)
        start = (source.right if forward > 0 else source.left, source.y)
        if any(other.source is edge.source and not entry.from_below for other, entry in self.steps.entries.items()):
            start = start[0], start[1] - ASIDE
        labels = [((end[0] + 4 * side, end[1] - 9), side > 0) for side in (-forward, forward)]
        return round_corners([start, (x, start[1]), (x, y), (end[0], y), end]), labels

    def _side_ports(self, edge: Edge, source: Box, target: Box, adjacent: bool) -> tuple[Point, Point]:
        """Return where an arrow leaves and arrives, on the sides of its boxes."""
        forward = 1 if edge.delay > 0 else -1
        if adjacent and source.y == target.y:
            return source.side(source.y, forward), target.side(target.y, -forward)
        rises = target.y > source.y
        arriving = [other for other, entry in self.steps.entries.items() if other.target is edge.target
                    and not entry.from_below and other.delay * edge.delay > 0]
        number = arriving.index(edge) if edge in arriving else 0
        reach = min(6.0 + 6 * number, target.height / 2 - 4)
        leaving = ASIDE if rises or source.y == target.y else -ASIDE
        return source.side(source.y + leaving, forward), target.side(target.y + (-reach if rises else reach), -forward)

    def _is_clear(self, edge: Edge, points: Sequence[Point], source: Box, target: Box,
                  columns: tuple[Column, Column], boxes: Mapping[Where, Box]) -> bool:
        """Whether a curve passes no box. Between ordinary steps the answer for one copy holds for all."""
        usual = not source.dashed and not target.dashed
        if usual and edge in self._clear:
            return self._clear[edge]
        others = [boxes.get((part, column.k)) for column in columns for part in self.spec.graph.parts]
        answer = misses_boxes(points, [box for box in others if box and box is not source and box is not target])
        if usual:
            self._clear[edge] = answer
        return answer
