"""Positions inside one time step, the same for the rolled and the unrolled picture.

Rows go up in the order of the layers; a state, whose arrows run sideways through the steps, has a row of
its own. Between the rows are channels, in which arrows run sideways on numbered tracks (channel
routing: Hashimoto and Stevens, Wire routing by optimizing channel assignment, DAC 1971).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from operator import itemgetter
from typing import NamedTuple

from viz.render import palette
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Box, Point, Text, join_curves, straight_line, text_beside, vertical_curve

from .layered import layered_layout
from .step_graph import Edge, Part, StepGraph

HEIGHT = 30.0  # of a signal's box
SMALL = 25.0  # of an operation's box
MARGIN = 24.0  # added to a label's width
FIRST = 24.0  # from a row down to the first track of the channel under it
TRACK = 8.0  # from track to track
CLEARANCE = 4.0  # between a box and an arrow that passes it
LabelPoints = list[tuple[Point, bool]]  # candidates for a label: where it begins or, if False, ends
Group = tuple[Part, int, int, bool]  # of delayed edges: source, delay, target's row (or the edge itself), left


@dataclass
class Place:
    """A part's row, its x from the centre line of the step, and its size."""

    row: int
    x: float
    width: float
    height: float


class Entry(NamedTuple):
    """How a delayed edge reaches its target."""

    side: int  # -1 from the left, 1 from the right
    from_below: bool  # on a track under the row and up, because other boxes are beside the target
    group: Group  # edges of one group share their route except for its last piece


class StepLayout:
    """Positions of the boxes of a step, and the routes of its undelayed edges.

    Args:
        sizes, extra: width and height of each box; width reserved to the right of it.
        apart: whether each box of the graph's `once` has a row of its own.

    Attributes:
        places, bends: the position of each part; for every undelayed edge, its x in the rows that it passes.
        members, y: the parts of each row, from the left; the height of its centre line, after set_gaps().
        left, right: how far the step extends from its centre line.
        tracks: the number of tracks in the channel under each row, and above the last.
        entries: how each delayed edge reaches its target, after set_sides().
    """

    def __init__(self, graph: StepGraph, sizes: Mapping[Part, tuple[float, float]],
                 extra: Mapping[Part, float] | None = None, apart: bool = False) -> None:
        self.graph = graph
        self.apart = apart
        self.places = self._place_rows(sizes)
        self.count = max(place.row for place in self.places.values()) + 1
        self.bends = self._place_in_rows(extra or {})
        self.members: list[list[Part]] = [[] for _ in range(self.count)]
        x = {part: place.x for part, place in self.places.items()}
        for part in sorted(x, key=x.__getitem__):
            self.members[self.places[part].row].append(part)
        bends = [x for passed in self.bends.values() for x in passed]
        self.left = max(-min(bends, default=0.0), *(place.width / 2 - place.x for place in self.places.values()))
        self.right = max(max(bends, default=0.0), *(place.width / 2 + place.x for place in self.places.values()))
        self.heights = [max(self.places[part].height for part in row) for row in self.members]
        self.y = [0.0] * self.count
        self.tracks = [0] * (self.count + 1)
        self.entries: dict[Edge, Entry] = {}

    def _place_rows(self, sizes: Mapping[Part, tuple[float, float]]) -> dict[Part, Place]:
        """Assign rows: the parts of a layer share one, but each state has its own. What has no time is lowest."""
        row_of: dict[Part, int] = {}
        for once, layer in product((True, False), range(max(part.layer for part in self.graph.parts) + 1)):
            members = [part for part in self.graph.parts if part.layer == layer and part.once is once]
            states = [part for part in members if self.graph.is_state(part) or (once and self.apart)]
            for together in [[part for part in members if part not in states], *([state] for state in states)]:
                if together:
                    row_of.update(dict.fromkeys(together, max(row_of.values(), default=-1) + 1))
        return {part: Place(row_of[part], 0.0, max(sizes[part][0], self._ports_width(part)), sizes[part][1])
                for part in self.graph.parts}

    def _ports_width(self, part: Part) -> float:
        """Return the width that a box needs for the arrows on its lower and upper side."""
        arriving = sum(edge.target is part for edge in self.graph.edges)
        leaving = sum(edge.source is part and not edge.delay for edge in self.graph.edges)
        return 0.0 if part.round else 14 + 9.0 * (max(arriving, leaving) - 1)

    def _place_in_rows(self, extra: Mapping[Part, float]) -> dict[Edge, list[float]]:
        """Set the x of every part; return where each undelayed edge passes rows."""
        number = {part: i for i, part in enumerate(self.places)}
        halves = [place.width / 2 for place in self.places.values()]
        edges = self.graph.undelayed
        found = layered_layout(
            [place.row for place in self.places.values()], halves,
            [half + extra.get(part, 0) for part, half in zip(self.places, halves)],
            [(number[edge.source], number[edge.target]) for edge in edges], [self._side(part) for part in self.places])
        for place, x in zip(self.places.values(), found.x):
            place.x = x
        return dict(zip(edges, found.bends))

    def _side(self, part: Part) -> int:
        """Put an operation that reads the past to the left, one that reads the future to the right."""
        delays = [edge.delay for edge in self.graph.edges if edge.target is part and edge.delay]
        return 0 if not delays or part.node is None else -1 if max(delays) > 0 else 1

    # ---- heights
    def set_gaps(self, gaps: Sequence[float]) -> None:
        """Set the heights of the rows from the gaps between them."""
        for row in range(1, self.count):
            self.y[row] = self.y[row - 1] + (self.heights[row - 1] + self.heights[row]) / 2 + gaps[row - 1]

    def track_y(self, channel: int, track: int) -> float:
        """Return the height of a track in the channel under a row, or above the last row."""
        if channel == self.count:
            return self.top + FIRST + TRACK * track
        return self.y[channel] - self.heights[channel] / 2 - FIRST - TRACK * track

    @property
    def top(self) -> float:
        """The upper edge of the highest row."""
        return self.y[-1] + self.heights[-1] / 2

    @property
    def middle(self) -> float:
        """The height half way between the first and the last row."""
        return (self.y[0] + self.y[-1]) / 2

    # ---- ports: the points of a box where arrows are attached
    def set_sides(self, sides: Mapping[Edge, int]) -> None:
        """Set from which side, -1 or 1, delayed edges come; find how they reach their targets, and all ports.

        An edge enters sideways if its target is the outermost box of the row, otherwise from below.
        """
        group = {edge: (edge.source, edge.delay, self.places[edge.target].row, side < 0)
                 for edge, side in sides.items()}
        crowded = {group[edge] for edge, side in sides.items()
                   if edge.target is not self.members[self.places[edge.target].row][0 if side < 0 else -1]}
        self.entries = {edge: Entry(side, True, group[edge]) if group[edge] in crowded
                        else Entry(side, False, (edge.source, edge.delay, id(edge), False))
                        for edge, side in sides.items()}
        self._order_ports()

    def _order_ports(self) -> None:
        """Sort the arrows on the lower and on the upper side of each box from left to right, without crossings."""
        bottom: dict[Part, list[tuple[float, Edge]]] = {part: [] for part in self.places}
        top: dict[Part, list[tuple[float, Edge]]] = {part: [] for part in self.places}
        for edge in self.graph.edges:
            if edge.delay == 0:
                bends = self.bends[edge]
                bottom[edge.target].append((bends[-1] if bends else self.places[edge.source].x, edge))
                top[edge.source].append((bends[0] if bends else self.places[edge.target].x, edge))
            elif edge in self.entries and self.entries[edge].from_below:
                bottom[edge.target].append((self.entries[edge].side * math.inf, edge))
        self._bottom_edges, self._top_edges = (
            {part: [edge for _, edge in sorted(ports, key=itemgetter(0))] for part, ports in side.items()}
            for side in (bottom, top))

    def bottom_port(self, edge: Edge, box: Box) -> Point:
        """Return where an edge ends on the lower side of its target."""
        return _port(box, self._bottom_edges[edge.target], edge, -1)

    def top_port(self, edge: Edge, box: Box) -> Point:
        """Return where an edge begins on the upper side of its source."""
        return _port(box, self._top_edges[edge.source], edge, 1)

    # ---- routes
    def route_upward(self, edge: Edge, source: Box, target: Box, middle: float) -> tuple[list[Point], LabelPoints]:
        """Return the curve of an undelayed edge in the step around `middle`, and candidates for its label."""
        start, end = self.top_port(edge, source), self.bottom_port(edge, target)
        stops = [start]
        for row, bend in enumerate(self.bends[edge], self.places[edge.source].row + 1):
            half = self.heights[row] / 2 + CLEARANCE
            stops += [(middle + bend, self.y[row] - half), (middle + bend, self.y[row] + half)]
        stops.append(end)
        if all(abs(x - start[0]) < 0.1 for x, _ in stops):
            points = straight_line(start, end)
        else:  # curves between the rows, straight lines past them
            points = join_curves(*(straight_line(a, b) if number % 2 else vertical_curve(a, b)
                              for number, (a, b) in enumerate(pairwise(stops))))
        last = stops[-2]
        right = last[0] <= end[0]
        middles = [((last[0] + end[0]) / 2, (last[1] + end[1]) / 2),
                   ((start[0] + stops[1][0]) / 2, (start[1] + stops[1][1]) / 2)]
        return points, [((x + (5 if side else -5), y), side) for x, y in middles for side in (right, not right)]

    def clear_x(self, part: Part) -> float:
        """Return the x nearest to a part at which an arrow can go up from it past all higher boxes."""
        start = self.places[part]
        higher = [place for place in self.places.values() if place.row > start.row]
        candidates = [start.x, *(place.x + side * (place.width / 2 + 8) for place in higher for side in (-1, 1))]
        free = [x for x in candidates if all(abs(place.x - x) > place.width / 2 + 6 for place in higher)]
        return min((abs(x - start.x), x) for x in free)[1]

    def style(self, edge: Edge) -> tuple[str, float]:
        """Return the colour and the width of an edge; edges that share a route share them."""
        if edge in self.entries:
            edge = next(other for other, entry in self.entries.items() if entry.group == self.entries[edge].group)
        if edge.source.once:
            return palette.STATIC.line, 1.2
        if edge.delay == 0:
            return palette.ARROW, 1.2
        if edge.source.given:
            return palette.INPUT.line, 1.8
        if edge.delay < 0:
            return palette.REVERSED.line, 1.8
        if edge.source.signal != edge.target.signal and self.places[edge.source].row >= self.places[edge.target].row:
            return palette.FEEDBACK, 2.0
        return palette.STATE.line, 1.8


def _port(box: Box, edges: Sequence[Edge], edge: Edge, side: int) -> Point:
    """Return the point of an edge among all on the upper (1) or lower (-1) side of a box."""
    apart = min(18.0, (box.width - 14) / max(len(edges) - 1, 1))
    out = (edges.index(edge) - (len(edges) - 1) / 2) * apart
    half = math.sqrt(max((box.width / 2) ** 2 - out ** 2, 0.0)) if box.circle else box.height / 2
    return box.x + out, box.y + side * half


def box_width(labels: Sequence[str], size: float, least: float = 46.0, margin: float = MARGIN) -> float:
    """Return the width of a box that the widest of some labels fits into."""
    return max(least, max(text_width(text, size) for text in labels) * CORNER + margin)


def part_width(part: Part, labels: Sequence[str]) -> float:
    """Return the width of a part's box, as wide as its widest label needs."""
    if part.round and all(len(text) == 1 for text in labels):
        return SMALL
    return box_width(labels, 12) if part.node is None else box_width(labels, 11, 30, 14)


def part_box(key: str, part: Part, place: Place, x: float, y: float, label: str) -> Box:
    """Return the box of a part; an operation's is small and outlined in its parameter's colour.

    A static's has sharp corners, that of an initial value is dashed.
    """
    if part.node is None:
        is_static, is_initial = part.source is not None, part.once and part.source is None
        return Box(key, x, y, place.width, place.height, label, part.paint, rounded=not is_static, dashed=is_initial)
    return Box(key, x, y, place.width, place.height, label, part.paint, pen=2.0 if part.names else 1.2, size=11,
               circle=part.round and place.width == place.height)


def label_texts(points: LabelPoints, text: str, size: float, color: str, away: float = 0) -> list[Text]:
    """Return a label at each candidate point, moved away from its line."""
    return [text_beside(x + (away if right else -away), y, text, size, color, right) for (x, y), right in points]
