"""Positions inside one time step, the same for the rolled and the unrolled picture.

Rows go up in the order of the layers. States have a row of their own, whose arrows run sideways through the steps;
those that run in one direction and don't read each other within a step share it. More than WIDEST boxes of one layer
are divided into several rows. Between the rows are channels, in which arrows run sideways on numbered tracks (channel
routing: Hashimoto and Stevens, Wire routing by optimizing channel assignment, DAC 1971): the lower tracks of a channel
are the lanes, on which delayed edges run from box to box; the upper ones lead to the row above.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from operator import itemgetter
from typing import NamedTuple

from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Box, Point, Text, join_curves, straight_line, text_beside, vertical_curve

from .layered import layered_layout
from .nested import Boxes, Span, nested_layout
from .step_graph import Edge, Part, StepGraph

HEIGHT = 30.0  # of a signal's box
SMALL = 25.0  # of an operation's box
MARGIN = 24.0  # added to a label's width
FIRST = 24.0  # from a row down to the first track of the channel under it
TRACK = 8.0  # from track to track
CLEARANCE = 4.0  # between a box and an arrow that passes it
FRAME = 8.0  # from a box down to the frame of its layer
NAME = 11.0  # size of its name
STRIP = 20.0  # from a box up to it: its name is between
LabelPoints = list[tuple[Point, bool]]  # candidates for a label: where it begins or, if False, ends
WIDEST = 12  # boxes of one layer in a row
LANE = 12.0  # from lane to lane: a label fits between
LANE_FIRST = 16.0  # from a row up to the first lane of the channel above it
LANE_CORNER = 3.0  # radius: less than PASSING, so that no line crosses another one in a corner
CENTRAL = 0.01  # less than half of the distance of boxes in a row of WIDEST, which has the width 1
DOTTED = 2.4  # width of a dotted line, which looks thinner than others
BESIDE_HEAD = 9.0  # from the end of an arrow down to a label beside its head
PORT = 10.0  # between arrowheads that are side by side
SHIFTS = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, 6, 7, 8)  # of ports where lines would share a segment
PASSING = 4.5  # least distance of lines that pass each other in a channel
FLAT = 0.16  # least ratio of height and width of a curve between two rows
TALLEST = 150.0  # height of a gap that is enlarged for that
SUPERSCRIPTS = str.maketrans("-+0123456789", "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹")
Group = tuple[Part, int, int, bool]  # of delayed edges: source, delay, target's row (or the edge itself), left


@dataclass
class Place:
    """A part's row, its x from the centre line of the step, and its size."""

    row: int
    x: float
    width: float
    height: float


class Entry(NamedTuple):
    """The way in which a delayed edge reaches its target."""

    side: int  # -1 from the left, 1 from the right
    from_below: bool  # on a track under the row and up, because other boxes are beside the target
    group: Group  # edges of one group share their route except for its last piece


class Lane(NamedTuple):
    """The lane on which a delayed edge runs from box to box, in the channel between them or above their row."""

    channel: int
    group: tuple[Part, int, int]  # source, delay, target's row: such edges share their lanes; not in a rolled picture


class StepLayout:
    """Positions of the boxes of a step, and the routes of its undelayed edges.

    Args:
        sizes, extra: width and height of each box; width reserved to the right of it.
        unrolled: whether steps stand side by side; then each box of the graph's `once` has a row of its own.
        loops: height that loops need above and below a box.

    Attributes:
        places, bends: the position of each part; for every undelayed edge, its x in the rows that it passes.
        members, y: the parts of each row, from the left; the height of its centre line, after set_gaps().
        left, right: how far the step extends from its centre line.
        tracks: the number of tracks in the channel under each row, and above the last.
        lanes: the lane of each delayed edge that has one.
        numbers: of a group's first lane in its channel.
        lane_counts: the number of lanes in the channel under each row, and above the last.
        lane_first, lane_distance: from a row up to the first lane, and from lane to lane.
        entries: how each other delayed edge reaches its target, after set_sides().
        spans, blocks: the left and right side of each frame; its first and last row.
    """

    lane_first, lane_distance = LANE_FIRST, LANE

    def __init__(self, graph: StepGraph, sizes: Mapping[Part, tuple[float, float]],
                 extra: Mapping[Part, float] | None = None, unrolled: bool = False,
                 loops: Mapping[Part, float] | None = None) -> None:
        self.graph = graph
        self.unrolled = unrolled
        self._delayed: dict[Part, list[Edge]] = {}  # by source
        self._halves: dict[Part, float] = {}  # position in one of several rows of a layer, negative in its left half
        for edge in graph.edges:
            if edge.delay:
                self._delayed.setdefault(edge.source, []).append(edge)
        rows = self._assign_rows()
        self.count = max(rows.values()) + 1
        self.lanes = self._find_lanes(rows)
        widths = self._port_widths(rows)
        self.spans: dict[str, Span] = {}
        self.blocks: dict[str, tuple[int, int]] = {}
        for name in dict.fromkeys(part.block for part in graph.parts if part.block):
            own = [rows[part] for part in graph.parts if part.block == name]
            self.blocks[name] = min(own), max(own)
        self.places = {part: Place(rows[part], 0.0, max(sizes[part][0], widths[part]), sizes[part][1])
                       for part in graph.parts}
        self.bends = self._place_in_rows(extra or {})
        self.members: list[list[Part]] = [[] for _ in range(self.count)]
        x = {part: place.x for part, place in self.places.items()}
        for part in sorted(x, key=x.__getitem__):
            self.members[self.places[part].row].append(part)
        bends = [x for passed in self.bends.values() for x in passed]
        bends += [x for span in self.spans.values() for x in span]
        self.left = max(-min(bends, default=0.0), *(place.width / 2 - place.x for place in self.places.values()))
        self.right = max(max(bends, default=0.0), *(place.width / 2 + place.x for place in self.places.values()))
        self.heights = [max(self.places[part].height for part in row) for row in self.members]
        self.y = [0.0] * self.count
        self.tracks = [0] * (self.count + 1)
        self.numbers: dict[object, int] = {}
        self.lane_counts = [0] * (self.count + 1)
        self._loops = [max((loops or {}).get(part, 0.0) for part in row) if len(row) > 1 else 0.0
                       for row in self.members]
        self._reach = [max((loops or {}).get(part, 0.0) for part in row) for row in self.members]
        self._assign_lanes()
        self.entries: dict[Edge, Entry] = {}

    def _assign_rows(self) -> dict[Part, int]:
        """Return the row of each part. What has no time is lowest."""
        row_of: dict[Part, int] = {}
        row = 0
        for once, layer in product((True, False), range(max(part.layer for part in self.graph.parts) + 1)):
            members = [part for part in self.graph.parts if part.layer == layer and part.once is once]
            for together in self._divide_layer(members, once):
                row_of.update(dict.fromkeys(together, row))
                row += 1
        return row_of

    def _divide_layer(self, members: Sequence[Part], once: bool) -> Iterator[Sequence[Part]]:
        """Yield the rows of a layer: other boxes, states, states that run backward in time."""
        if once and self.unrolled:
            yield from ([part] for part in members)
            return
        kinds: dict[int, list[Part]] = {0: [], 1: [], -1: []}
        for part in members:
            delays = [edge.delay for edge in self._delayed.get(part, ())] if part.node is None else []
            kinds[0 if not delays else 1 if max(delays) > 0 else -1].append(part)
        for parts in (kinds[0], *sorted((kinds[1], kinds[-1]), key=lambda kind: [members.index(x) for x in kind[:1]])):
            rows = math.ceil(len(parts) / WIDEST)
            for number in range(rows):
                row = parts[number * len(parts) // rows:(number + 1) * len(parts) // rows]
                if rows > 1:
                    self._halves |= {part: (i + 0.5) / len(row) - 0.5 or -CENTRAL for i, part in enumerate(row)}
                yield row

    def _is_loop(self, edge: Edge) -> bool:
        """Whether an edge is drawn round its box, which steps side by side leave no place for."""
        return bool(edge.delay) and edge.source is edge.target and not self.unrolled

    # ---- lanes
    def _find_lanes(self, rows: Mapping[Part, int]) -> dict[Edge, Lane]:
        """Find the delayed edges that run on lanes: between neighbours in a row, and through more than one step.

        If such an edge passes between two rows, so do all that lead from one of them to the other.
        """
        delayed = [edge for edges in self._delayed.values() for edge in edges]
        if not self.unrolled:
            return {edge: Lane(rows[edge.source] + 1, (edge.source, edge.delay, number))
                    for number, edge in enumerate(delayed)
                    if rows[edge.source] == rows[edge.target] and edge.source is not edge.target}
        crowd = Counter(rows.values())
        near = [edge for edge in delayed if abs(rows[edge.target] - rows[edge.source]) <= 1]
        found = {edge: _lane(edge, rows) for edge in near if abs(edge.delay) > 1
                 or (rows[edge.source] == rows[edge.target] and crowd[rows[edge.source]] > 1)}
        channels = {lane.channel for lane in found.values()}
        found |= {edge: _lane(edge, rows) for edge in near
                  if rows[edge.source] != rows[edge.target] and _lane(edge, rows).channel in channels}
        return found

    def _assign_lanes(self) -> None:
        """Number the lanes of each channel: a delay of d needs d of them; the shortest delays are lowest.

        Those within a row are below those that lead to or from the row above. In a rolled picture, edges side by side
        share a lane.
        """
        groups = {lane.group: lane.channel for lane in self.lanes.values()}
        used: dict[tuple[int, int], list[tuple[float, float]]] = {}
        within = {group: group[2] == self.places[group[0]].row or not self.unrolled for group in groups}
        for group in sorted(groups, key=lambda group: (not within[group], abs(group[1]))):
            channel = groups[group]
            if self.unrolled:
                self.numbers[group] = self._add_lanes(channel, abs(group[1]))
                continue
            xs = [self.places[part].x for part in (group[0], *self._targets(group))]
            span, number = (min(xs) - LANE, max(xs) + LANE), 0
            while any(span[0] < right and left < span[1] for left, right in used.get((channel, number), ())):
                number += 1
            used.setdefault((channel, number), []).append(span)
            self.numbers[group] = number
            self.lane_counts[channel] = max(self.lane_counts[channel], number + 1)

    def _add_lanes(self, channel: int, count: int) -> int:
        """Add lanes to a channel; return the number of the first."""
        first = self.lane_counts[channel]
        self.lane_counts[channel] += count
        return first

    def _targets(self, group: tuple[Part, int, int]) -> list[Part]:
        return [edge.target for edge, lane in self.lanes.items() if lane.group == group]

    def _port_widths(self, rows: Mapping[Part, int]) -> dict[Part, float]:
        """Return the width that each box needs for the arrows on its lower and upper side."""
        inner, outer = Counter[tuple[Part, int]](), Counter[tuple[Part, int, int]]()
        leaving = dict.fromkeys((edge.source, lane) for edge, lane in self.lanes.items())
        crowd = Counter(rows.values())
        departing = {(edge.source, edge.delay, rows[edge.target]) for edges in self._delayed.values() for edge in edges
                     if edge not in self.lanes and not self._is_loop(edge) and crowd[rows[edge.source]] > 1}
        ends = [*((source, lane.channel, 1) for source, lane in leaving),
                *((source, rows[source] + 1, 1) for source, _, _ in departing),  # if not outermost in their row
                *((edge.target, lane.channel, -1) for edge, lane in self.lanes.items())]
        for part, channel, side in ends:
            outer[part, 1 if channel > rows[part] else -1, side if self.unrolled else 0] += 1
        for edge in self.graph.edges:
            if self._is_loop(edge):
                outer[edge.source, 1, 0] += 1
            elif edge not in self.lanes:
                inner[edge.target, -1] += 1
                inner[edge.source, 1] += not edge.delay
        most = {(part, face): max(outer[part, face, side] for side in (-1, 0, 1))
                for part in self.graph.parts for face in (-1, 1)}
        loops = Counter(edge.source for edges in self._delayed.values() for edge in edges if self._is_loop(edge))
        return {part: 0.0 if part.round else max(
            14 + 9.0 * (inner[part, face] - 1) + 2 * PORT * max(most[part, face], loops[part])
            + PORT * (face < 0 < most[part, face]) for face in (-1, 1)) for part in self.graph.parts}

    def _place_in_rows(self, extra: Mapping[Part, float]) -> dict[Edge, list[float]]:
        """Set the x of every part; return where each undelayed edge passes rows."""
        number = {part: i for i, part in enumerate(self.places)}
        halves = [place.width / 2 for place in self.places.values()]
        edges = self.graph.undelayed
        boxes = Boxes([place.row for place in self.places.values()], halves,
                      [half + extra.get(part, 0) for part, half in zip(self.places, halves)],
                      [self._side(part) for part in self.places], [part.block for part in self.places],
                      [(number[edge.source], number[edge.target]) for edge in edges],
                      {name: text_width(clean(name[:-1]), NAME) * CORNER for name in self.blocks})
        if self.blocks:
            found, self.spans = nested_layout(boxes)
        else:
            found = layered_layout(boxes.rows, boxes.lefts, boxes.rights, boxes.edges, boxes.sides,
                                   self._nested_order(edges) if self._halves else None)
        for place, x in zip(self.places.values(), found.x):
            place.x = x
        return dict(zip(edges, found.bends))

    def _nested_order(self, edges: Sequence[Edge]) -> tuple[list[float], list[float]]:
        """Return an order without crossings for a layer of several rows, as in an onion.

        Edges from below to the upper ones of these rows pass the lower ones in the middle; edges that go up from the
        lower ones pass the upper ones on both sides.
        """
        passing = []
        for edge in edges:
            source, target = self._halves.get(edge.source), self._halves.get(edge.target, 0.0)
            if source is not None:
                passing.append(math.copysign(2 + 1 / (self.places[edge.source].row + 1), source) + source / 1000)
            else:
                near = math.copysign(1 / (self.places[edge.target].row + 1), target)
                passing.append((near + target / 1000) * CENTRAL)
        return [self._halves.get(part, 0.0) for part in self.places], passing

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

    def lane_y(self, channel: int, number: int) -> float:
        """Return the height of a lane in the channel under a row, or above the last row."""
        return self._upper_side(channel - 1) + self._loops[channel - 1] + self.lane_first + self.lane_distance * number

    def lanes_height(self, channel: int) -> float:
        """Return the height at the foot of a channel that its lanes and the loops of the row below take."""
        count = self.lane_counts[channel]
        lanes = self.lane_first + self.lane_distance * (count - 1) + 8 if count else 0.0
        return lanes + self._loops[channel - 1] if channel else 0.0

    def gap(self, channel: int, least: float) -> float:
        """Return the height of a channel: `least` for the curves in it, more where they are wide; the loops, lanes."""
        spans = [abs(a - b) for edge in self.graph.undelayed for row, (a, b) in enumerate(
            pairwise([self.places[edge.source].x, *self.bends[edge], self.places[edge.target].x]),
            self.places[edge.source].row + 1) if row == channel]
        return max(least, min(FLAT * max(spans, default=0.0), TALLEST)) + self.lanes_height(channel) + (
            self._loops[channel]) + self.frame_room(channel)

    # ---- frames of layers
    def frame_room(self, channel: int) -> float:
        """Return the height that frames which begin or end in a channel need there."""
        ends = [rows for rows in self.blocks.values() if channel in (rows[0], rows[1] + 1)]
        return sum(FRAME + self._reach[channel] if channel == first else STRIP + self._reach[channel - 1]
                   for first, _ in ends)

    def frame(self, block: str) -> tuple[float, float, float, float]:
        """Return the left, lower, right and upper side of a layer's frame; its name fits under the upper one."""
        first, last = self.blocks[block]
        left, right = self.spans[block]
        return left, self._frame_foot(first), right, self._frame_top(last)

    def _frame_foot(self, row: int) -> float:
        tracks = FIRST + TRACK * (self.tracks[row] - 1) if self.tracks[row] else 0.0
        return self.y[row] - self.heights[row] / 2 - max(tracks, self._reach[row]) - FRAME

    def _frame_top(self, row: int) -> float:
        return self._upper_side(row) + max(self.lanes_height(row + 1), self._reach[row]) + STRIP

    def loops(self, row: int) -> float:
        """Return the height that loops need above the boxes of a row."""
        return self._loops[row]

    def _upper_side(self, row: int) -> float:
        return self.y[row] + self.heights[row] / 2

    @property
    def top(self) -> float:
        """The upper edge of the highest row."""
        return self._upper_side(-1)

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
        self._order_outer_ports()

    def leaves_above(self, edge: Edge) -> bool:
        """Whether an edge leaves upward to a lane, because other boxes are beside its source."""
        row = self.members[self.places[edge.source].row]
        return edge in self.entries and row[0 if self._leaving_side(edge) < 0 else -1] is not edge.source

    def _leaving_side(self, edge: Edge) -> int:
        """Return the side on which an edge leaves its source: in a rolled picture that on which it comes back."""
        return -self.entries[edge].side if self.unrolled else self.entries[edge].side

    def direction(self, edge: Edge) -> int:
        """Return whether an edge on a lane runs to the right (1) or to the left (-1)."""
        if self.unrolled:
            return 1 if edge.delay > 0 else -1
        return 1 if self.places[edge.source].x <= self.places[edge.target].x else -1

    def _order_outer_ports(self) -> None:
        """Order the ports of lanes, outside those of other arrows: the nearer its lane, the further out is a port.

        So the lanes of one box do not cross there. Edges of one group leave at one port, and arrive at several.
        """
        ends: dict[tuple[Part, int, int], dict[object, int]] = {}
        for edge, lane in self.lanes.items():
            right, number = self.direction(edge), self.numbers[lane.group]
            for part, key, side in ((edge.source, lane.group, right), (edge.target, edge, -right)):
                face = 1 if lane.channel > self.places[part].row else -1
                ends.setdefault((part, face, side), {})[key] = -face * number
        for edge, entry in self.entries.items():
            if self.leaves_above(edge) and entry.group in self.numbers:
                where = edge.source, 1, self._leaving_side(edge)
                ends.setdefault(where, {})[entry.group] = -self.numbers[entry.group]
        self._outer = {where: sorted(keys, key=keys.__getitem__) for where, keys in ends.items()}
        self._shifts = self._shift_ports()

    def _shift_ports(self) -> dict[tuple[Part, int, int], float]:
        """Return how far to move ports outward, so that lines from above and below a channel's lanes pass each other.

        A line from a lower box and one from an upper box share heights if the former leads to a higher lane.
        """
        highest: dict[object, int] = {lane.group: self.numbers[lane.group] + (abs(edge.delay) - 1) * self.unrolled
                   for edge, lane in self.lanes.items()}
        shifts: dict[tuple[Part, int, int], float] = {}
        placed: dict[tuple[int, int], list[tuple[float, float]]] = {}  # x, and the lane that a line leads to
        for where in sorted(self._outer, key=itemgetter(1), reverse=True):
            part, face, side = where
            groups = [self.lanes[key].group if isinstance(key, Edge) else key for key in self._outer[where]]
            ends = [highest.get(group, self.numbers[group]) if face > 0 else self.numbers[group] for group in groups]
            channel = self.places[part].row + (face > 0)
            width = self.places[part].width
            xs = [self.places[part].x + side * self._outer_distance(where, number, width)
                  for number in range(len(groups))]
            room = max(width / 2 - 4 - abs(xs[-1] - self.places[part].x), 0.0)
            met = [(x - low_x, low_x) for x, end in zip(xs, ends) for low_x, low_end in placed.get((channel, 1), ())
                   if face < 0 and low_end >= end]
            shift = min((shift for shift in SHIFTS if shift <= room),
                        key=lambda shift: sum(abs(apart + side * shift) < PASSING for apart, _ in met))
            shifts[where] = shift
            placed.setdefault((channel, face), []).extend((x + side * shift, end) for x, end in zip(xs, ends))
        return shifts

    def add_departures(self) -> None:
        """Give the groups of edges that leave upward a lane."""
        for edge, entry in self.entries.items():
            if self.leaves_above(edge) and entry.group not in self.numbers:
                self.numbers[entry.group] = self._add_lanes(self.places[edge.source].row + 1, 1)
        self._order_outer_ports()

    def outer_port(self, part: Part, face: int, side: int, key: object, box: Box) -> Point:
        """Return a port outside those of other arrows, on the upper (1) or lower (-1) face, right (1) or left."""
        where = part, face, side
        distance = self._outer_distance(where, self._outer[where].index(key), box.width)
        return _on_face(box, side * (distance + self._shifts[where]), face)

    def _outer_distance(self, where: tuple[Part, int, int], position: int, width: float) -> float:
        part, face, _ = where
        lower = 0.0 if face > 0 else PORT / 2  # not below the port of a box above
        return self._half(part, face, width) + PORT * (position + 1) + lower

    def loop_port(self, part: Part, box: Box, number: int, count: int) -> float:
        """Return the distance from the centre of a box to the ends of a loop, 0 the innermost of some, on the right."""
        least = max(self._half(part, face, box.width) + PORT * len(self._outer.get((part, face, 1), ()))
                    for face in (-1, 1))
        return max(least + PORT * (count - number), 0.28 * box.width if count == 1 else 0.0)

    def _count_outer(self, part: Part, face: int) -> int:
        loops = sum(map(self._is_loop, self._delayed.get(part, ())))
        return max(len(self._outer.get((part, face, -1), ())), loops + len(self._outer.get((part, face, 1), ())))

    def _half(self, part: Part, face: int, width: float) -> float:
        """Return how far the arrows on a face that come from no lane extend from its centre."""
        edges = (self._top_edges if face > 0 else self._bottom_edges)[part]
        outer = self._count_outer(part, face)
        return (len(edges) - 1) / 2 * _apart(width, len(edges), outer) if edges else 0.0

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
        return self._port(box, edge.target, edge, -1)

    def top_port(self, edge: Edge, box: Box) -> Point:
        """Return where an edge begins on the upper side of its source."""
        return self._port(box, edge.source, edge, 1)

    def _port(self, box: Box, part: Part, edge: Edge, face: int) -> Point:
        edges = (self._top_edges if face > 0 else self._bottom_edges)[part]
        outer = self._count_outer(part, face)
        return _on_face(box, (edges.index(edge) - (len(edges) - 1) / 2) * _apart(box.width, len(edges), outer), face)

    def lane_ports(self, edge: Edge, source: Box, target: Box) -> tuple[Point, Point]:
        """Return where an edge on a lane leaves and arrives."""
        lane, right = self.lanes[edge], self.direction(edge)
        faces = [1 if lane.channel > self.places[part].row else -1 for part in (edge.source, edge.target)]
        return (self.outer_port(edge.source, faces[0], right, lane.group, source),
                self.outer_port(edge.target, faces[1], -right, edge, target))

    # ---- routes
    def route_upward(self, edge: Edge, source: Box, target: Box, middle: float) -> tuple[list[Point], LabelPoints]:
        """Return the curve of an undelayed edge in the step around `middle`, and candidates for its label."""
        start, end = self.top_port(edge, source), self.bottom_port(edge, target)
        low, high = self.places[edge.source].row, self.places[edge.target].row
        lines = [(start[0], start[1], self._above_lanes(low, start[1]))]  # upright: x, lower and upper end
        for row, bend in enumerate(self.bends[edge], low + 1):
            half = self.heights[row] / 2 + CLEARANCE
            lines.append((middle + bend, self._below_frame(row, self.y[row] - half - self._loops[row]),
                          self._above_lanes(row, self.y[row] + half)))
        lines.append((end[0], self._below_frame(high, end[1] - self._loops[high]), end[1]))
        if all(abs(x - start[0]) < 0.1 for x, _, _ in lines):
            points = straight_line(start, end)
        else:
            points = join_curves(*self._through(lines))
        (x0, _, y0), (x1, y1, _) = lines[:2]
        last = lines[-2]
        right = last[0] <= end[0]
        middles = [((last[0] + end[0]) / 2, (last[2] + lines[-1][1]) / 2), ((x0 + x1) / 2, (y0 + y1) / 2)]
        middles.insert(0 if edge.target.block else 2, (end[0], end[1] - BESIDE_HEAD))  # in its frame, if possible
        return points, [((x + (5 if side else -5), y), side) for x, y in middles for side in (right, not right)]

    def _below_frame(self, row: int, y: float) -> float:
        """Return the height from which an edge goes straight up to a row: from the lower side of a frame."""
        return self._frame_foot(row) if any(first == row for first, _ in self.blocks.values()) else y

    def _above_lanes(self, row: int, y: float) -> float:
        """Return the height up to which an edge goes straight up from a row: past its lanes and loops, its frame."""
        if any(last == row for _, last in self.blocks.values()):
            return self._frame_top(row)
        lanes = self.lanes_height(row + 1)
        return max(y, self._upper_side(row) + lanes) if lanes else y

    def _through(self, lines: Sequence[tuple[float, float, float]]) -> Iterator[list[Point]]:
        """Yield upright lines, and curves between them."""
        for number, (x, low, high) in enumerate(lines):
            if number:
                yield vertical_curve((lines[number - 1][0], lines[number - 1][2]), (x, low))
            if high - low > 0.01:
                yield straight_line((x, low), (x, high))

    def clear_x(self, part: Part, apart: float = 8.0) -> float:
        """Return the x nearest to a part at which an arrow can go up past all higher boxes, `apart` from one."""
        start = self.places[part]
        higher = [place for place in self.places.values() if place.row > start.row]
        candidates = [start.x, *(place.x + side * (place.width / 2 + apart) for place in higher for side in (-1, 1))]
        free = [x for x in candidates if all(abs(place.x - x) > place.width / 2 + 6 for place in higher)]
        return min((abs(x - start.x), x) for x in free)[1]

    def style(self, edge: Edge) -> Style:
        """Return the look of an edge; edges that share a route share it.

        One that could be confused with others has the colour of its parameter: if there are others on lanes of its
        channel, or with its ends and another delay; then the order of the delays gives the pattern.
        """
        edge = self._first_of_group(edge)
        color, pen = self._kind(edge)
        delays = self._parallel_delays(edge)
        if not self._has_own_color(edge):
            return Style(color, pen)
        position = list(self.graph.colors).index(edge.names[0])
        pattern = (delays.index(abs(edge.delay)) + position // len(palette.PARAMETERS)) % 3
        return Style(self.graph.colors[edge.names[0]], DOTTED if pattern == 2 else pen, pattern == 1, pattern == 2)

    def kind_color(self, edge: Edge) -> str | None:
        """Return the colour of an edge's kind; None if it has that of its parameter instead."""
        first = self._first_of_group(edge)
        return None if self._has_own_color(first) else self._kind(first)[0]

    def _has_own_color(self, edge: Edge) -> bool:
        """Whether an edge has the colour of its parameter."""
        return bool(edge.delay and edge.names) and (len(self._parallel_delays(edge)) > 1 or self._has_company(edge))

    def _parallel_delays(self, edge: Edge) -> list[int]:
        return sorted({abs(other.delay) for other in self._parallel(edge)})

    def _first_of_group(self, edge: Edge) -> Edge:
        if edge in self.entries:
            return next(other for other, entry in self.entries.items() if entry.group == self.entries[edge].group)
        return edge

    def _parallel(self, edge: Edge) -> list[Edge]:
        return [other for other in self._delayed.get(edge.source, ()) if other.target is edge.target]

    def _has_company(self, edge: Edge) -> bool:
        """Whether an edge runs on a lane, alone in its group, and others on lanes of the same channel.

        A loop would be on such a lane in the unrolled picture if it is in a row with others.
        """
        if self._is_loop(edge):
            return any(other is not edge.source and other in self._delayed
                       for other in self.members[self.places[edge.source].row])
        lane = self.lanes.get(edge)
        return lane is not None and len(self._targets(lane.group)) == 1 and any(
            other.channel == lane.channel and other.group != lane.group for other in self.lanes.values())

    def _kind(self, edge: Edge) -> tuple[str, float]:
        """Return the colour and the width of an edge by its kind."""
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


class Style(NamedTuple):
    """The look of an edge."""

    color: str
    pen: float
    dashed: bool = False
    dotted: bool = False


def power(delay: int) -> str:
    """Return a delay as a power of z: `z⁻²` is the value of two steps before."""
    return "z" + f"{-delay:+d}".translate(SUPERSCRIPTS)


def _lane(edge: Edge, rows: Mapping[Part, int]) -> Lane:
    """Return the lane of an edge between neighbouring rows, or within one: in the channel between, or above it."""
    source, target = rows[edge.source], rows[edge.target]
    return Lane(max(source, target) + (source == target), (edge.source, edge.delay, target))


def _apart(width: float, count: int, outer: int) -> float:
    """Return the distance of some ports of a box that has others outside."""
    return min(18.0, (width - 14 - 2 * PORT * outer) / max(count - 1, 1))


def _on_face(box: Box, out: float, face: int) -> Point:
    """Return the point on the upper (1) or lower (-1) side of a box, `out` to the right of its centre."""
    out = max(4 - box.width / 2, min(out, box.width / 2 - 4))
    half = math.sqrt(max((box.width / 2) ** 2 - out ** 2, 0.0)) if box.circle else box.height / 2
    return box.x + out, box.y + face * half


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
