"""An unrolled picture: its content (UnrolledSpec), and all positions and routes (UnrolledLayout).

Edges between steps are straight or curved if no box is between. Edges through several steps, and those of states
that share a row, run on lanes from box to box. All others run along horizontal tracks in the channels between the
rows, and along vertical tracks between two frames. Values before and after the steps stand above each other if their
signal is alone in its row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from minigrad import Tensor
from minigrad.steps import Step
from rnn.unrolling.facts import Connection
from rnn.unrolling.loss_gradients import LossGradients
from rnn.unrolling.run_key import RunKey
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Box, Point, horizontal_curve, misses_boxes, round_corners, straight_line
from viz.render.typography import SMALL as SMALL_LETTERS

from .boundary import Boundary
from .folding import Column, Tensors, Where
from .options import USUAL, Options
from .step_graph import Edge, Part, StepGraph
from .step_layout import (
    FIRST,
    HEIGHT,
    LANE_CORNER,
    MARGIN,
    SMALL,
    TRACK,
    Group,
    LabelPoints,
    Place,
    StepLayout,
    box_width,
    part_width,
)

BETWEEN, DENSE, WIDE = 36.0, 26.0, 48.0  # from row to row; between operations; between layers, with longer labels
INSIDE, FRAMED = 20.0, 10.0  # from a step's frame to the boxes in it, or to the frames of layers
GAP = 30.0  # from frame to frame
BESIDE = 12.0  # from row to row of what is computed once
FOOT = 46.0  # from the lowest row's centre line to the lower side of the frame
LABEL, LARGE = 10.0, 11.0  # size of labels; the same in a picture of layers, which is larger
VERTICAL = 7.0  # between vertical tracks
ASIDE = 7.0  # from the middle of a box's side to an arrow there, and between two such arrows
INNER = 4.0  # the same to the first of several arrows
WIDE_CORNER = 11.0  # with one group of edges, none passes


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
    found: LossGradients | None = None  # the gradients of the loss, if they are known already
    values: bool = False  # written into the boxes
    heat: bool = False  # gradients as colours of the boxes
    step: Step | None = None  # of a backward pass: gradients are those after it
    highlight: Collection[Tensor] = ()
    mask: Any = None  # (T, *batch), whether a step is a sequence's own; None if all are
    contributions: Mapping[str, Sequence[float]] | None = None  # of each step to a parameter's gradient: edge widths
    beside: Mapping[Part, Tensor | None] = field(default_factory=dict)  # the value of each part that is computed once
    starts: Sequence[tuple[Edge, int]] = ()  # edges from such parts to values before and after the steps
    inside: Tensors = field(default_factory=dict)  # those of signals in layers that are drawn as one box
    key: RunKey | None = None  # of the run
    runs: Mapping[RunKey, tuple[str, str]] = field(default_factory=dict)  # drawn with it: prefix and name of each
    options: Options = USUAL
    equations: Sequence[tuple[int, str]] = ()  # lines with their indents

    @cached_property
    def recorded(self) -> Tensors:
        """The tensors of all parts, of signals inside of boxes too."""
        return {**self.tensors, **self.inside}

    @cached_property
    def label_size(self) -> float:
        """The size of the labels of arrows."""
        return LARGE if any(part.members or part.block for part in self.graph.parts) else LABEL

    @cached_property
    def homes(self) -> dict[Part, Part]:
        """The layer whose box a signal is in."""
        return {member: part for part in self.tensors for member in part.members}

    def own(self, k: int) -> Any:
        """Return of each sequence whether a step is its own; None if there is no mask, and outside of the steps."""
        return None if self.mask is None or not 1 <= k <= self.T else self.mask[k - 1]

    def is_boundary(self, part: Part, k: int) -> bool:
        """Whether a value was given from outside, before or after the computed ones."""
        return not 1 <= k - part.lead <= self.T

    def caption(self, column: Column) -> str:
        """Return the heading of a column, `t = 4`; with sequences of unequal lengths `t = 4  (1 of 3)`."""
        first, last = column.steps[0], column.steps[-1]
        text = f"t = {first}" if first == last else f"t = {first} … {last}"
        if self.mask is None:
            return text
        counts = [int(row.sum()) for row in self.mask[first - 1:last]]
        least, most = min(counts), max(counts)
        return f"{text}  ({least if least == most else f'{least} … {most}'} of {self.mask[0].size})"


class UnrolledLayout:
    """Positions and routes: `columns` from the left, `steps` inside each of them.

    stack() derives all heights from the `gaps` between rows, also `foot` and `top` of the frames.
    """

    def __init__(self, spec: UnrolledSpec, columns: list[Column], labels: Mapping[Where, str],
                 beside: Mapping[Part, str]) -> None:
        self.spec, self.columns, self.labels, self.beside = spec, columns, labels, beside
        self._number = {k: number for number, column in enumerate(columns) for k in column.steps}
        self.steps = StepLayout(spec.graph, {part: self._size(part) for part in spec.graph.parts}, unrolled=True)
        self.steps.set_sides({edge: -1 if edge.delay > 0 else 1 for edge in spec.graph.edges
                              if edge.delay and edge not in self.steps.lanes})
        self.steps.add_departures()
        self._tracks: dict[Group, tuple[int, int]] = {}  # group -> its channel, and its first track there
        self._vertical: dict[Group, int] = {}  # group -> its first vertical track
        self._vertical_tracks = 0
        self._assign_tracks()
        self._alone = self._vertical_tracks == 1 and not any(self.steps.lane_counts)
        self._slots = self._assign_slots()
        self._clear: dict[Edge, bool] = {}
        least = DENSE if spec.dense else WIDE if spec.inside else BETWEEN
        self.gaps = [self.steps.gap(channel, least) + (FIRST + TRACK * n - 12 if n else 0)
                     for channel, n in enumerate(self.steps.tracks[1:-1], 1)]
        beside_time = max(len(spec.graph.once) - 1, 0)
        self.gaps[:beside_time] = [BESIDE] * beside_time
        self.boundary = Boundary(self)
        for row, height in self.boundary.heights.items():
            if row < len(self.gaps):
                self.gaps[row] = max(self.gaps[row], height)
        self._set_widths()
        self._place_columns()

    def stack(self) -> None:
        """Set all heights from the gaps."""
        self.steps.set_gaps(self.gaps)
        lowest, highest = self.steps.tracks[0], self.steps.tracks[self.steps.count]
        self.foot = self.steps.y[0] - self.steps.heights[0] / 2 - (FOOT - HEIGHT / 2) - (
            FIRST + TRACK * lowest if lowest else 0) - self.steps.frame_room(0)
        self.top = self.steps.top + INSIDE + self.steps.lanes_height(self.steps.count) + (
            FIRST + TRACK * highest - 8 if highest else 0) + self.steps.frame_room(self.steps.count)
        self.boundary.connect()

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
        added = box_width([part.added_line], SMALL_LETTERS) if part.added else 0.0
        return max(part_width(part, labels or [part.label]), added), height

    def place(self, part: Part, k: int) -> Place:
        """Return a box's place in its step."""
        place = self.steps.places[part]
        return Place(place.row, 0.0 if (part, k) in self.boundary.homes else place.x, self.width(part, k),
                     self.boundary.tall.get((part, k), place.height))

    def width(self, part: Part, k: int) -> float:
        """Return the width of a box; a boundary value is as wide as its own label needs."""
        width = self.steps.places[part].width
        if not self.spec.is_boundary(part, k):
            return width
        return max(width, text_width(self.labels[part, k], 12) * CORNER + MARGIN)

    def position(self, part: Part, k: int) -> Point:
        """Return the centre of a box."""
        place = self.place(part, k)
        return self.home(part, k).x + place.x, self.steps.y[place.row] + self.boundary.rises.get((part, k), 0.0)

    def home(self, part: Part, k: int) -> Column:
        """Return the column that a box stands in: that of its step, but for values that are above each other."""
        return self.column(self.boundary.homes.get((part, k), k))

    def _set_widths(self) -> None:
        """Set half of the width of a step's frame, and the gap between two of them."""
        graph, T = self.spec.graph, self.spec.T
        widest = {bool(delayed): max((self._label_width(edge) for edge in graph.edges
                                      if bool(edge.delay) is delayed), default=0.0) for delayed in (False, True)}
        inside = FRAMED if self.steps.blocks else INSIDE
        half = max(self.steps.left, self.steps.right) + inside
        half = max(half, *(self._reach(part, k) for part, k in self.labels if 1 <= k <= T))
        half = max(half, widest[False] + 14, 38.0 if any(column.folded for column in self.columns) else 0.0)
        captions = [self.spec.caption(column) for column in self.columns if 1 <= column.k <= self.spec.T]
        self.half = max(half, *(text_width(caption, 11) * CORNER / 2 + 8 for caption in captions))
        self.gap = max(GAP, widest[True] + 12 - 2 * inside, VERTICAL * (self._vertical_tracks + 1))

    def widen(self, half: float, gap: float) -> None:
        """Make the frames of the steps, and the gaps between them, at least as wide."""
        self.half, self.gap = max(self.half, half), max(self.gap, gap)
        self._place_columns()

    def _place_columns(self) -> None:
        """Set the sides of all columns: one width for the steps of the sequence, as narrow as possible outside it."""
        T = self.spec.T
        right = 0.0
        for column in self.columns:
            reach = self.half
            if not 1 <= column.k <= T:
                inhabitants = [(part, k) for part, k in self.labels if not 1 <= k <= T and self.home(part, k) is column]
                if not inhabitants:
                    column.left = column.x = column.right = right
                    continue
                reach = max(self._reach(part, k) for part, k in inhabitants)
            room = max(self.boundary.room(column.k > 1), 0.0) if column.k in (1, T + 1) else 0.0
            column.left = right + self.gap + room
            column.x = column.left + reach
            column.right = right = column.x + reach

    def _label_width(self, edge: Edge) -> float:
        return text_width(self.spec.graph.label(edge)[0], self.spec.label_size) * CORNER

    def _reach(self, part: Part, k: int) -> float:
        """Return how far a box extends from the centre line of its step, with a margin."""
        place = self.place(part, k)
        return abs(place.x) + place.width / 2 + 8

    # ---- tracks
    @property
    def has_vertical_tracks(self) -> bool:
        """Whether edges run up or down between two frames."""
        return self._vertical_tracks > 0

    def enters_from_below(self, edge: Edge) -> bool:
        """Whether a delayed edge reaches its target on a track under the row."""
        return edge in self.steps.entries and self.steps.entries[edge].from_below

    def _assign_tracks(self) -> None:
        """Give every group of delayed edges vertical tracks, and horizontal ones where it passes boxes.

        A delay of d needs d horizontal tracks, as d copies of an edge pass each other.
        """
        for edge, entry in self.steps.entries.items():
            if entry.group in self._vertical or self.is_straight(edge):
                continue
            self._vertical[entry.group] = self._vertical_tracks
            self._vertical_tracks += 1 + (abs(edge.delay) > 1)
            if entry.from_below or abs(edge.delay) > 1:
                row = self.steps.places[edge.target].row
                over = not entry.from_below and self.steps.places[edge.source].row >= row
                self._tracks[entry.group] = row + over, self.steps.tracks[row + over]
                self.steps.tracks[row + over] += abs(edge.delay)

    def group(self, edge: Edge) -> object:
        """Return the key of the edges that leave a box together."""
        return self.steps.lanes[edge].group if edge in self.steps.lanes else self.steps.entries[edge].group

    def turn_height(self, edge: Edge, k: int) -> float:
        """Return the height to which an edge that leaves step k on no lane turns."""
        group = self.steps.entries[edge].group
        return self._track_y(edge, k + edge.delay) if group in self._tracks else (
            self.steps.y[self.steps.places[edge.target].row] + self._slots.get((edge, edge.target), 0.0))

    def is_straight(self, edge: Edge) -> bool:
        return edge.source is edge.target and edge not in self.steps.lanes and abs(edge.delay) == 1

    def _assign_slots(self) -> dict[tuple[object, Part], float]:
        """Return how far from the middle of a box's side the edges are that leave (by group) or arrive there.

        In the space between two frames, edges leave boxes of a row on one side and arrive at boxes on the other: all
        have heights of their own, so that no two run on one line.
        """
        ends: dict[tuple[int, int], dict[tuple[object, Part], int]] = {}
        for edge, entry in self.steps.entries.items():
            if self.is_straight(edge):
                continue
            low, high = self.steps.places[edge.source].row, self.steps.places[edge.target].row
            rises = high > low or (high == low and not entry.from_below)
            if not self.steps.leaves_above(edge):
                half = 1 if rises else -1
                ends.setdefault((low, half), {})[entry.group, edge.source] = 0
            if not entry.from_below:
                half = -1 if high > low else 1
                ends.setdefault((high, half), {})[edge, edge.target] = 1
        slots = {}
        for (row, half), found in ends.items():
            first, last = (ASIDE, ASIDE) if len(found) == 1 else (INNER, INNER + ASIDE * (len(found) - 1))
            self.steps.heights[row] = max(self.steps.heights[row], 2 * last + 8)
            for number, key in enumerate(sorted(found, key=found.__getitem__)):
                slots[key] = half * (first + ASIDE * number)
                place = self.steps.places[key[1]]
                place.height = max(place.height, 2 * last + 8)
        return slots

    def _track_y(self, edge: Edge, k: int) -> float:
        """Return the height of the horizontal track of an edge that ends at step k."""
        channel, first = self._tracks[self.steps.entries[edge].group]
        return self.steps.track_y(channel, first + k % abs(edge.delay))

    def _vertical_x(self, edge: Edge, k: int, arriving: bool = False) -> float:
        """Return the vertical track beside the frame that an edge leaves, or arrives at."""
        turn = None if arriving else self._turn(edge, k)
        if turn is not None:
            return turn[0]
        number = self._vertical[self.steps.entries[edge].group] + arriving
        inward = VERTICAL + number * min(VERTICAL, (self.gap - 2 * VERTICAL) / max(self._vertical_tracks - 1, 1))
        column = self.column(k) if arriving else self.home(edge.source, k - edge.delay)
        if (edge.delay > 0) != arriving:
            return column.right + inward
        return column.left - (self.gap - inward)

    def _turn(self, edge: Edge, k: int) -> tuple[float, float] | None:
        """Return x and y at which an edge that ends at step k turns, if it comes from values above each other."""
        return self.boundary.turns.get((edge.source, k - edge.delay, self.group(edge)))

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
        if edge in self.steps.lanes:
            return self._route_on_lane(edge, k, source, target, merged)
        if self.steps.entries[edge].from_below and not merged:
            return self._route_from_below(edge, k, source, target)
        adjacent = abs(self._number[k - edge.delay] - self._number[k]) == 1
        start, end = self._side_ports(edge, k, source, target, merged)
        if not adjacent:
            return self._route_along_track(edge, k, start, end)
        if abs(start[1] - end[1]) < 0.1 and source.y == target.y:
            return straight_line(start, end), [
                (((start[0] + end[0]) / 2 - max(8.0, self._label_width(edge) / 2), start[1] + 9), True)]
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (6 if target.y <= source.y else -6)
        points = horizontal_curve(start, end)
        stacked = self._turn(edge, k) is not None
        if stacked or not self._alone or not self._is_clear(edge, points, source, target, columns, boxes):
            x = self._vertical_x(edge, k)
            points = round_corners([start, *self._leave(edge, k, start, x), (x, end[1]), end],
                                   LANE_CORNER if stacked else self._radius)
        return points, [((x + 6, y), True), ((x - 6, y), False)]

    @property
    def _radius(self) -> float:
        return WIDE_CORNER if self._alone else LANE_CORNER

    def _leave(self, edge: Edge, k: int, start: Point, x: float) -> list[Point]:
        """Return the corners from the start of an edge to a vertical track: sideways, or up and along a lane."""
        if not self.steps.leaves_above(edge) or self._turn(edge, k) is not None:
            return [(x, start[1])]
        channel = self.steps.places[edge.source].row + 1
        y = self.steps.lane_y(channel, self.steps.numbers[self.steps.entries[edge].group])
        return [(start[0], y), (x, y)]

    def _route_on_lane(self, edge: Edge, k: int, source: Box, target: Box,
                       merged: bool) -> tuple[list[Point], LabelPoints]:
        """Go up or down to the lane, along it, and up or down to the target."""
        forward = 1 if edge.delay > 0 else -1
        y = self.lane_height(edge, k)
        turn = self._turn(edge, k)
        start, end = self.steps.lane_ports(edge, source, target)
        corners = [start, (start[0], y)]
        if turn is not None:
            x, port = turn
            start = source.side(port, forward)
            corners = [start, (x, port), (x, y)] if abs(port - y) > 0.1 else [start]
        if merged:
            end = target.side(target.y, -forward)
            x = self._column_side(k, forward) - forward * (4 + 3 * self.steps.numbers[self.steps.lanes[edge].group])
            corners += [(x, y), (x, end[1]), end]
        else:
            corners += [(end[0], y), end]
        labels = [((corners[-3][0] * (1 - part) + end[0] * part, y + side * 6), True)
                  for part in (0.3, 0.2, 0.4, 0.5, 0.6, 0.7, 0.1) for side in (1, -1)]
        return round_corners(corners, LANE_CORNER), labels

    def _column_side(self, k: int, forward: int) -> float:
        return self.column(k).left if forward > 0 else self.column(k).right

    def lane_height(self, edge: Edge, k: int) -> float:
        """Return the height of the lane of an edge that ends at step k.

        Copies that pass each other have different ones. Those from values before the steps are lower, the later the
        value: the order in which these stand above each other.
        """
        lane, reach = self.steps.lanes[edge], abs(edge.delay)
        order = -k if edge.delay > 0 else k - self.spec.T - 1
        return self.steps.lane_y(lane.channel, self.steps.numbers[lane.group] + order % reach)

    def _route_along_track(self, edge: Edge, k: int, start: Point, end: Point) -> tuple[list[Point], LabelPoints]:
        """Go out sideways, along a track past the steps between, and in sideways."""
        y, out, back = self._track_y(edge, k), self._vertical_x(edge, k), self._vertical_x(edge, k, arriving=True)
        forward = 1 if edge.delay > 0 else -1
        labels = [((out + forward * (26 + 24 * n), y + side), True) for n in range(4) for side in (8, -8)]
        return round_corners([start, *self._leave(edge, k, start, out), (out, y), (back, y), (back, end[1]), end],
                             LANE_CORNER), labels

    def _route_from_below(self, edge: Edge, k: int, source: Box, target: Box) -> tuple[list[Point], LabelPoints]:
        """Go out, along a track under the target's row, and up."""
        forward = 1 if edge.delay > 0 else -1
        y, x = self._track_y(edge, k), self._vertical_x(edge, k)
        end = (target.x, target.bottom) if self.column(k).folded else self.steps.bottom_port(edge, target)
        start = self._start(edge, k, source)
        if self._has_one_group(edge) and self._turn(edge, k) is None:
            start = source.side(source.y, forward)
        labels = [((end[0] + 4 * side, height), side > 0)
                  for height in (end[1] - 9, y - 9) for side in (-forward, forward)]
        return round_corners([start, *self._leave(edge, k, start, x), (x, y), (end[0], y), end], self._radius), labels

    def _has_one_group(self, edge: Edge) -> bool:
        """Whether all edges that leave a source sideways are of one group; then they leave in the middle."""
        groups = {entry.group for other, entry in self.steps.entries.items() if other.source is edge.source}
        return len(groups) == 1 and not self.steps.leaves_above(edge)

    def _start(self, edge: Edge, k: int, source: Box) -> Point:
        """Return where an edge that runs on no lane leaves its source."""
        group, forward = self.steps.entries[edge].group, 1 if edge.delay > 0 else -1
        turn = self._turn(edge, k)
        if turn is not None:
            return source.side(turn[1], forward)
        if self.steps.leaves_above(edge):
            return self.steps.outer_port(edge.source, 1, forward, group, source)
        return source.side(source.y + self._slots[group, edge.source], forward)

    def _side_ports(self, edge: Edge, k: int, source: Box, target: Box, merged: bool) -> tuple[Point, Point]:
        """Return where an arrow leaves and arrives, on the sides of its boxes."""
        forward = 1 if edge.delay > 0 else -1
        if self.is_straight(edge) or (merged and source.y == target.y):
            return source.side(source.y, forward), target.side(target.y, -forward)
        end = target.y if merged else target.y + self._slots[edge, edge.target]
        return self._start(edge, k, source), target.side(end, -forward)

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
