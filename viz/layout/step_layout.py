"""Where the parts of one time step stand: the same rolled and unrolled.

Layers go up in the delay-free order. Parts of one layer stand side by side; a state, whose arrows
run sideways through the steps, has a row of its own. Between the rows are lanes, in which arrows
run sideways on tracks. Knows nothing of time steps, nor of what is written in a box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from viz.render import palette
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Box, Point, Text, beside, joined, straight, upright

from .layered import Layered
from .step_graph import Edge, Part, Parts

HEIGHT = 30.0  # of a signal's box
SMALL = 25.0  # of an operation's
MARGIN = 24.0  # of a box's width around its label
FIRST = 24.0  # from a row down to the first track of the lane under it
TRACK = 8.0  # from track to track
NEAR = 4.0  # from a box to an arrow that passes it
Places = list[tuple[Point, bool]]  # for a label: where it begins, or (False) ends


@dataclass
class Place:
    """A part's place within a step: x counts from the middle of the step, rows from the foot."""

    row: int
    x: float
    width: float
    height: float


@dataclass(frozen=True)
class Entry:
    """How a delayed edge comes to its target.

    Attributes:
        side: -1: it comes from the left; 1: from the right.
        foot: it enters from below, past the boxes beside; otherwise sideways.
        group: edges of one group share their way but for its end.
    """

    side: int
    foot: bool
    group: tuple[Part, int, int, bool]


class Rows:
    """The places of all parts of a step.

    Attributes:
        places: by part.
        bends: for every undelayed edge, its x in the rows that it passes.
        members: the parts of each row, from the left.
        y: the middle of each row.
        left, right: how far the step reaches from its middle.
    """

    def __init__(self, parts: Parts, widths: Mapping[Part, float], heights: Mapping[Part, float],
                 beside: Mapping[Part, float]) -> None:
        """`beside`: room to the right of a part for its loops."""
        self.parts = parts
        row_of = self._rows()
        widths = {part: max(width, self._port_room(part)) for part, width in widths.items()}
        number = {part: i for i, part in enumerate(parts.parts)}
        undelayed = [edge for edge in parts.edges if edge.delay == 0]
        layered = Layered(
            [row_of[part] for part in number], [widths[part] / 2 for part in number],
            [widths[part] / 2 + beside.get(part, 0) for part in number],
            [(number[edge.source], number[edge.target]) for edge in undelayed], [self._pull(part) for part in number])
        self.places = {part: Place(row_of[part], layered.x[i], widths[part], heights[part])
                       for part, i in number.items()}
        self.bends = dict(zip(undelayed, layered.bends))
        self.count = max(row_of.values()) + 1
        self.members: list[list[Part]] = [[] for _ in range(self.count)]
        for part in sorted(self.places, key=self._x):
            self.members[row_of[part]].append(part)
        bends = [bend for at in layered.bends for bend in at]
        self.left = max(-min(bends, default=0.0), *(place.width / 2 - place.x for place in self.places.values()))
        self.right = max(max(bends, default=0.0), *(place.width / 2 + place.x for place in self.places.values()))
        self.heights = [max(self.places[part].height for part in row) for row in self.members]
        self.y = [0.0] * self.count
        self.lanes = [0] * (self.count + 1)  # tracks in the lane under each row, and above the last
        self.entries: dict[Edge, Entry] = {}
        self._feet: dict[Part, list[Edge]] = {}
        self._heads: dict[Part, list[Edge]] = {}

    def _rows(self) -> dict[Part, int]:
        """The row of each part: those of a layer in one, but each state in its own."""
        row_of: dict[Part, int] = {}
        row = 0
        for layer in range(max(part.layer for part in self.parts.parts) + 1):
            members = [part for part in self.parts.parts if part.layer == layer]
            states = [part for part in members if self.parts.is_state(part)]
            others = [part for part in members if part not in states]
            for together in [others, *([state] for state in states)]:
                row_of.update(dict.fromkeys(together, row))
                row += bool(together)
        return row_of

    def _port_room(self, part: Part) -> float:
        """The width that a box needs for the arrows at its foot and on its head."""
        feet = sum(edge.target is part for edge in self.parts.edges)
        heads = sum(edge.source is part and not edge.delay for edge in self.parts.edges)
        return 0.0 if part.round else 14 + 9.0 * (max(feet, heads) - 1)

    def _pull(self, part: Part) -> int:
        delays = [edge.delay for edge in self.parts.edges if edge.target is part and edge.delay]
        return 0 if not delays or part.node is None else -1 if max(delays) > 0 else 1

    def _x(self, part: Part) -> float:
        return self.places[part].x

    # ---- heights
    def stack(self, gaps: Sequence[float]) -> None:
        """Put the rows above each other, with the given gaps under rows 1, 2, ..."""
        for row in range(1, self.count):
            self.y[row] = self.y[row - 1] + (self.heights[row - 1] + self.heights[row]) / 2 + gaps[row - 1]

    def track(self, lane: int, number: int) -> float:
        """The height of a track: in the lane under a row, or above the last one."""
        if lane == self.count:
            return self.top + FIRST + TRACK * number
        return self.y[lane] - self.heights[lane] / 2 - FIRST - TRACK * number

    @property
    def top(self) -> float:
        """The upper edge of the highest row."""
        return self.y[-1] + self.heights[-1] / 2

    # ---- delayed edges
    def enter(self, sides: Mapping[Edge, int]) -> dict[Edge, Entry]:
        """How each delayed edge comes to its target from a side: past no box beside it."""
        crowded = {self._group(edge, side) for edge, side in sides.items() if not self._sidemost(edge.target, side)}
        entries = {edge: Entry(side, self._group(edge, side) in crowded, self._group(edge, side))
                   for edge, side in sides.items()}
        entries = {edge: entry if entry.foot else Entry(entry.side, False, (edge.source, edge.delay, id(edge), False))
                   for edge, entry in entries.items()}
        self.entries = entries
        self._set_ports(entries)
        return entries

    def _group(self, edge: Edge, side: int) -> tuple[Part, int, int, bool]:
        return edge.source, edge.delay, self.places[edge.target].row, side < 0

    def _sidemost(self, part: Part, side: int) -> bool:
        row = self.members[self.places[part].row]
        return part is row[0 if side < 0 else -1]

    def _set_ports(self, entries: Mapping[Edge, Entry]) -> None:
        """The order in which arrows lie at the feet and heads of boxes, so as not to cross."""
        feet: dict[Part, list[tuple[float, int, Edge]]] = {part: [] for part in self.places}
        heads: dict[Part, list[tuple[float, int, Edge]]] = {part: [] for part in self.places}
        for number, edge in enumerate(self.parts.edges):
            if edge.delay == 0:
                bends = self.bends[edge]
                x = bends[-1] if bends else self.places[edge.source].x
                feet[edge.target].append((x, number, edge))
                heads[edge.source].append((bends[0] if bends else self.places[edge.target].x, number, edge))
            elif edge in entries and entries[edge].foot:
                feet[edge.target].append((entries[edge].side * math.inf, number, edge))
        self._feet = {part: [edge for *_, edge in sorted(at, key=_place)] for part, at in feet.items()}
        self._heads = {part: [edge for *_, edge in sorted(at, key=_place)] for part, at in heads.items()}

    def at_foot(self, edge: Edge, box: Box) -> Point:
        """Where an edge ends at the foot of its target."""
        return port(box, self._feet[edge.target].index(edge), len(self._feet[edge.target]), -1)

    def at_head(self, edge: Edge, box: Box) -> Point:
        """Where an edge begins on the head of its source."""
        return port(box, self._heads[edge.source].index(edge), len(self._heads[edge.source]), 1)

    # ---- edges within a step
    def climb(self, edge: Edge, source: Box, target: Box, middle: float) -> tuple[list[Point], Places]:
        """From a box up to another in the step around `middle`; and where a label may stand beside."""
        start, end = self.at_head(edge, source), self.at_foot(edge, target)
        stops = [start]
        first = self.places[edge.source].row + 1
        for row, bend in enumerate(self.bends[edge], first):
            half = self.heights[row] / 2 + NEAR
            stops += [(middle + bend, self.y[row] - half), (middle + bend, self.y[row] + half)]
        stops.append(end)
        points = straight(start, end) if _in_line(stops) else joined(
            *(straight(a, b) if number % 2 else upright(a, b) for number, (a, b) in enumerate(pairwise(stops))))
        before = stops[-2]
        right = before[0] <= end[0]
        low = (start[1] + stops[1][1]) / 2
        heights = [((before[0] + end[0]) / 2, (before[1] + end[1]) / 2), ((start[0] + stops[1][0]) / 2, low)]
        return points, [((x + (5 if side else -5), y), side) for x, y in heights for side in (right, not right)]

    def past(self, part: Part, x: float) -> float:
        """Where an arrow from a part to above all rows passes those between, as near to x as can be."""
        start = self.places[part]
        above = [place for place in self.places.values() if place.row > start.row]
        candidates = [x, start.x, *(place.x + side * (place.width / 2 + 8) for place in above for side in (-1, 1))]
        free = [at for at in candidates if all(abs(place.x - at) > place.width / 2 + 6 for place in above)]
        return min(free, key=_Distance(start.x, x))

    def color(self, edge: Edge) -> tuple[str, float]:
        """The colour and the width of an edge; those that share a way share them."""
        if edge in self.entries:
            edge = next(other for other, entry in self.entries.items() if entry.group == self.entries[edge].group)
        if edge.delay == 0:
            return palette.ARROW, 1.2
        if edge.delay < 0:
            return palette.REVERSED.line, 1.8
        if edge.source.signal is not edge.target.signal and (
                self.places[edge.source].row >= self.places[edge.target].row):
            return palette.FEEDBACK, 2.0
        return palette.STATE.line, 1.8


class _Distance:
    """How far a way through x is, from one place to another."""

    def __init__(self, start: float, end: float) -> None:
        self.start = start
        self.end = end

    def __call__(self, x: float) -> tuple[float, float]:
        return abs(x - self.start) + abs(x - self.end), x


def _place(item: tuple[float, int, Edge]) -> tuple[float, int]:
    return item[:2]


def _in_line(stops: Sequence[Point]) -> bool:
    return all(abs(x - stops[0][0]) < 0.1 for x, _ in stops)


def port(box: Box, number: int, count: int, side: int) -> Point:
    """One of several points on the head (1) or foot (-1) of a box, from the left."""
    apart = min(18.0, (box.width - 14) / max(count - 1, 1))
    out = (number - (count - 1) / 2) * apart
    half = math.sqrt(max((box.width / 2) ** 2 - out ** 2, 0.0)) if box.circle else box.height / 2
    return box.x + out, box.y + side * half


def box_width(labels: Sequence[str], size: float, least: float = 46.0, margin: float = MARGIN) -> float:
    """The width of a box for the widest of some labels."""
    return max(least, max(text_width(text, size) for text in labels) * CORNER + margin)


def label_at(places: Places, text: str, size: float, color: str, away: float = 0) -> list[Text]:
    """A label at each of some places, or a little away from it."""
    return [beside(x + (away if right else -away), y, text, size, color, right) for (x, y), right in places]
