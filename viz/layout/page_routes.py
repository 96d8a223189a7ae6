"""The edges of a graph on a page: between the boxes of a block, and from block to block.

An edge from block to block leaves its box to the side, or through the channel above it where other boxes are beside
it; it goes up or down in the gap between two blocks, and if need be along lanes between the rows of the page. It
reaches its target from the side, or through the channel below. So it passes no box.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from viz.render.scene import Point, Rectangle, join_curves, round_corners, straight_line, vertical_curve

from .page import FOOT, LAYER, PADDING, Block, Net, Page
from .tracks import Channel

NEAR = 12.0  # from boxes or frames to the first track beside them
TRACK = 7.0  # from track to track
LANES = 14.0  # between a row and its first lane
BUS = 3  # edges at least of a net whose lanes are all above, or all below their rows
HEAD = 8.0  # of an edge's end that is straight
CORNER = 10.0  # of a box, where no edge is
PORT = 18.0  # between two edges at a box, at most
LEFT, RIGHT = -1, 1
FORWARD, BACKWARD = 8.0, 3.0  # from the middle of a box's side up to where an edge leaves, and down to where one ends
Port = tuple[Net, int, int]  # a net, a box, the side to which it goes; edges of equal ports share the line
Track = tuple[Net, int, int, bool]  # a net, a block, the side, whether it leaves the block


class End(NamedTuple):
    """The way in which an edge leaves or reaches a box: into a gap, from the side of the box or through a channel."""

    box: int
    gap: tuple[int, int]  # the row, and the number of the gap in it
    side: int
    channel: int | None  # the channel under that layer; None from the side of the box
    away: float  # from the middle of the box's side
    port: Port


class Route(NamedTuple):
    """The way of an edge from block to block. Lane k is above row k."""

    net: Net
    start: End
    end: End
    lanes: Sequence[int]

    @property
    def is_level(self) -> bool:
        """Whether it is a horizontal line between two boxes side by side."""
        return self.start.channel is None and self.end.channel is None and not self.start.away and not self.end.away


class PageRoutes:
    """The positions of all boxes and the curves of all edges of a page.

    Attributes:
        x, y: the centre of every box.
        curves: for every edge.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.x, self.y = list(page.x), [0.0] * len(page.x)
        self._sides: dict[tuple[int, int, bool], Net] = {}  # box, side, whether it leaves -> the net that uses the side
        self._gaps: dict[tuple[int, int], Channel[Net]] = defaultdict(Channel)
        self._channels: dict[tuple[int, int], Channel[Track]] = defaultdict(Channel)
        self._lanes: dict[int, Channel[Net]] = defaultdict(Channel)
        self._gutters: dict[int, Channel[Net]] = {LEFT: Channel(), RIGHT: Channel()}
        self._survey_nets()
        self._routes = {number: self._route(number) for number, near in enumerate(page.near) if not near}
        self._order_ports()
        self._use_gaps_and_channels()
        self._set_x()
        self._use_lanes()
        self._set_y()
        self.curves = [self._near_curve(number) if near else self._far_curve(self._routes[number])
                       for number, near in enumerate(page.near)]

    def frame(self, block: Block) -> Rectangle:
        """Return the frame around a block."""
        bottom, top = self._row_ends[block.row]
        return block.x + block.extent[0] - PADDING, bottom, block.x + block.extent[1] + PADDING, top

    # ---- routes, without coordinates
    def _survey_nets(self) -> None:
        """Count the edges of each net, and decide whether its lanes are above or below the rows."""
        page = self.page
        height: Counter[Net] = Counter()
        self._sizes: Counter[Net] = Counter()
        for (source, target), net, near in zip(page.edges, page.net, page.near):
            if not near:
                self._sizes[net] += 1
                for box in (source, target):
                    height[net] += 2 * page.layer[box] - page.depth[self._block(box).row] + 1
        self._is_high = {net: height[net] >= 0 for net in self._sizes}

    def _block(self, box: int) -> Block:
        return self.page.blocks[self.page.block[box]]

    def _route(self, number: int) -> Route:
        source, target = self.page.edges[number]
        net = self.page.net[number]
        a, b = self._block(source), self._block(target)
        forward = self.page.block[source] <= self.page.block[target]
        out = RIGHT if forward else LEFT
        into = out if a is b else -out
        level = self._is_beside(source, target, out) and (source, out, True) not in self._sides
        away = 0.0 if level and (target, into, False) not in self._sides else FORWARD if forward else BACKWARD
        start = self._end(net, source, out, away, True)
        end = self._end(net, target, into, -away, False)
        return Route(net, start, end, () if start.gap == end.gap else self._lanes_of(net, a, b))

    def _is_beside(self, source: int, target: int, side: int) -> bool:
        """Whether nothing is between two boxes of neighbouring blocks."""
        a, b = self._block(source), self._block(target)
        return a.row == b.row and b.place - a.place == side and self.page.layer[source] == self.page.layer[target] \
            and self._is_outermost(source, side) and self._is_outermost(target, -side)

    def _is_outermost(self, box: int, side: int) -> bool:
        return self._block(box).layers[self.page.layer[box]][-1 if side == RIGHT else 0] == box

    def _end(self, net: Net, box: int, side: int, away: float, leaves: bool) -> End:
        """Return an end of an edge: at the box's side, if no box and no other net is in the way."""
        block, layer = self._block(box), self.page.layer[box]
        gap = block.row, block.place + (side == RIGHT)
        free = self._is_outermost(box, side)
        if free and self._sides.setdefault((box, side, leaves), net) == net and (
                away or self._sides.setdefault((box, side, not leaves), net) == net):
            return End(box, gap, side, None, away, (net, box, side))
        return End(box, gap, side, layer + leaves, away, (net, box, side))

    def _lanes_of(self, net: Net, a: Block, b: Block) -> Sequence[int]:
        if abs(a.row - b.row) == 1 and self._sizes[net] < BUS:
            return (max(a.row, b.row),)
        below = not self._is_high[net]
        return (a.row + below,) if a.row == b.row else (a.row + below, b.row + below)

    # ---- ports
    def _order_ports(self) -> None:
        """Set the x of all edges on the upper and lower sides of boxes, in the order that avoids crossings."""
        page = self.page
        lower: dict[int, dict[object, float]] = defaultdict(dict)  # box -> edge or port -> where it comes from
        upper: dict[int, dict[object, float]] = defaultdict(dict)
        for number, (source, target) in enumerate(page.edges):
            if page.near[number]:
                passed = [page.x[source], *page.bends[number], page.x[target]]
                upper[source][number], lower[target][number] = passed[1], passed[-2]
                continue
            route = self._routes[number]
            for side, end in ((upper, route.start), (lower, route.end)):
                if end.channel is not None:
                    side[end.box][end.port] = end.side * float("inf")
        self._port_x: dict[tuple[object, bool], float] = {}  # edge or port, whether it leaves
        for leaves, sides in ((True, upper), (False, lower)):
            for box, ports in sides.items():
                apart = min(PORT, (page.widths[box] - 14) / max(len(ports) - 1, 1))
                for place, port in enumerate(sorted(ports, key=ports.__getitem__)):
                    self._port_x[port, leaves] = page.x[box] + (place - (len(ports) - 1) / 2) * apart
        for number, (source, target) in enumerate(page.edges):
            if page.near[number] and not page.bends[number]:
                self._straighten(number, source, len(upper[source]), target, len(lower[target]))

    def _straighten(self, number: int, source: int, leaving: int, target: int, arriving: int) -> None:
        """Move an edge's only port on a side of a box to where it is vertical, if it then still meets the box."""
        for box, ports, leaves in ((source, leaving, True), (target, arriving, False)):
            x = self._port_x[number, not leaves]
            if ports == 1 and abs(x - self.page.x[box]) < self.page.widths[box] / 2 - CORNER:
                self._port_x[number, leaves] = x
                return

    # ---- tracks
    def _use_gaps_and_channels(self) -> None:
        """Assign tracks in the gaps between blocks and in the channels between layers."""
        for route in self._routes.values():
            if route.start.gap == route.end.gap and not route.lanes:
                if not route.is_level:
                    self._use_gap(route.net, route.start.gap, [route.start, route.end], [])
            else:
                for end, lane in ((route.start, route.lanes[0]), (route.end, route.lanes[-1])):
                    above = lane == end.gap[0]
                    self._use_gap(route.net, end.gap, [end], [2.0 * self.page.depth[end.gap[0]] + 1 if above else -1.0])
            for end in (route.start, route.end):
                if end.channel is not None:
                    self._use_channel(end, end is route.start)
        for gap in self._gaps.values():
            gap.assign()
        for channel in self._channels.values():
            channel.assign()

    def _use_gap(self, net: Net, gap: tuple[int, int], ends: Sequence[End], lanes: Sequence[float]) -> None:
        heights: dict[int, list[float]] = {LEFT: [], RIGHT: []}
        for end in ends:
            level = 2.0 * self.page.layer[end.box] + 1 if end.channel is None else 2.0 * end.channel
            heights[-end.side].append(level)
        self._gaps[gap].add(net, heights[LEFT], heights[RIGHT], lanes)

    def _use_channel(self, end: End, leaves: bool) -> None:
        """Use a track from an edge's port to the gap; gap n is from 2n to 2n + 1, followed by block n."""
        block = self._block(end.box)
        inside = (self._port_x[end.port, leaves] - block.extent[0] + 1) / (block.width + 2)
        stub = 2 * block.place + 1 + inside
        edge = 2.0 * block.place if end.side == LEFT else 2.0 * block.place + 3
        assert end.channel is not None
        self._channels[block.row, end.channel].add(
            self._track(end, leaves), [] if leaves else [stub], [stub] if leaves else [], [edge])

    def _track(self, end: End, leaves: bool) -> Track:
        return end.port[0], self.page.block[end.box], end.side, leaves

    def _use_lanes(self) -> None:
        """Assign tracks between the rows, and those in the margins that join them."""
        for route in self._routes.values():
            if not route.lanes:
                continue
            first, last = self._gap_x(route.net, route.start.gap), self._gap_x(route.net, route.end.gap)
            if len(route.lanes) == 1 or route.lanes[0] == route.lanes[1]:
                self._lane(route, 0, [first, last])
            else:
                margin = self._margins[RIGHT if route.net[0] else LEFT]
                self._lane(route, 0, [first, margin])
                self._lane(route, 1, [last, margin])
                self._gutters[RIGHT if route.net[0] else LEFT].add(route.net, ends=map(float, route.lanes))
        for channel in (*self._lanes.values(), *self._gutters.values()):
            channel.assign()

    def _lane(self, route: Route, number: int, places: Sequence[float]) -> None:
        lane = route.lanes[number]
        row = (route.start if number == 0 else route.end).gap[0]
        above, below = ([], places) if row == lane else (places, [])
        self._lanes[lane].add(route.net, above, below)

    # ---- coordinates
    def _set_x(self) -> None:
        self._gap_left: dict[tuple[int, int], float] = {}
        right = 0.0
        for row, blocks in enumerate(self.page.rows):
            x = 0.0
            for block in blocks:
                x = self._pass_gap((row, block.place), x)
                block.x = x - block.extent[0] + PADDING
                for box in block.boxes:
                    self.x[box] += block.x
                x += block.width
            right = max(right, self._pass_gap((row, len(blocks)), x))
        self._margins = {LEFT: -NEAR, RIGHT: right + NEAR}

    def _pass_gap(self, gap: tuple[int, int], x: float) -> float:
        self._gap_left[gap] = x + NEAR
        return x + 2 * NEAR + TRACK * (max(self._gaps[gap].count, 1) - 1 if gap in self._gaps else 0)

    def _gap_x(self, net: Net, gap: tuple[int, int]) -> float:
        return self._gap_left[gap] + TRACK * self._gaps[gap].track[net]

    def _gutter_x(self, net: Net) -> float:
        side = RIGHT if net[0] else LEFT
        return self._margins[side] + side * TRACK * self._gutters[side].track[net]

    def _set_y(self) -> None:
        """Set the heights of all lanes and layers, from the upper row down."""
        self._lane_top: list[float] = []
        self._layer_y: list[list[tuple[float, float]]] = []  # for each row, bottom and top of every layer
        self._row_ends: list[tuple[float, float]] = []
        y = 0.0
        for row, blocks in enumerate(self.page.rows):
            y = self._pass_lanes(row, y)
            top = y
            layers = [(0.0, 0.0)] * self.page.depth[row]
            y -= PADDING + (self._channel_height(row, len(layers)) - LAYER / 2 if (row, len(layers)) in self._channels
                            else 0.0)
            for layer in range(len(layers) - 1, -1, -1):
                height = max((self.page.heights[box] for block in blocks if layer < len(block.layers)
                              for box in block.layers[layer]), default=0.0)
                layers[layer] = y - height, y
                y -= height + self._channel_height(row, layer)
            y += LAYER - PADDING - FOOT * any(block.framed for block in blocks)
            self._layer_y.append(layers)
            self._row_ends.append((y, top))
            for block in blocks:
                for box in block.boxes:
                    self.y[box] = sum(layers[self.page.layer[box]]) / 2
        self._pass_lanes(len(self.page.rows), y)

    def _pass_lanes(self, lane: int, y: float) -> float:
        count = self._lanes[lane].count if lane in self._lanes else 0
        self._lane_top.append(y - LANES)
        return y - (2 * LANES + TRACK * (count - 1) if count else LANES * (lane > 0))

    def _channel_height(self, row: int, channel: int) -> float:
        tracks = self._channels[row, channel].count if (row, channel) in self._channels else 0
        return max(LAYER, 2 * NEAR + TRACK * (tracks - 1))

    def _channel_y(self, end: End, leaves: bool) -> float:
        """Return the height of an edge's track in a channel; they are numbered from the layer above it."""
        row, channel = end.gap[0], end.channel
        assert channel is not None
        layers = self._layer_y[row]
        track = self._channels[row, channel].track[self._track(end, leaves)]
        if channel < len(layers):
            return layers[channel][0] - NEAR - TRACK * track
        return layers[-1][1] + NEAR + TRACK * (self._channels[row, channel].count - 1 - track)

    # ---- curves
    def _near_curve(self, number: int) -> list[Point]:
        """Return the curve of an edge in its block: curves between the layers, straight lines past their boxes."""
        source, target = self.page.edges[number]
        block, layer = self._block(source), self.page.layer[source]
        layers = self._layer_y[block.row]
        start, end = (block.x + self._port_x[number, leaves] for leaves in (True, False))
        xs = [start, *(block.x + x for x in self.page.bends[number]), end]
        stops = [(start, self.y[source] + self.page.heights[source] / 2), (start, layers[layer][1])]
        for x, (bottom, top) in zip(xs[1:-1], layers[layer + 1:]):
            stops += [(x, bottom), (x, top)]
        stops += [(end, layers[self.page.layer[target]][0] - HEAD),
                  (end, self.y[target] - self.page.heights[target] / 2)]
        if max(xs) - min(xs) < 0.1:
            return straight_line(stops[0], stops[-1])
        return join_curves(*(vertical_curve(a, b) if place % 2 else straight_line(a, b)
                             for place, (a, b) in enumerate(pairwise(stops)) if a != b))

    def _far_curve(self, route: Route) -> list[Point]:
        """Return the curve of an edge from block to block."""
        start, end = self._end_points(route.start, True), self._end_points(route.end, False)[::-1]
        if route.is_level:
            return straight_line(start[0], end[-1])
        first, last = self._gap_x(route.net, route.start.gap), self._gap_x(route.net, route.end.gap)
        corners = [*start, (first, start[-1][1])]
        if route.lanes:
            heights = [self._lane_top[lane] - TRACK * self._lanes[lane].track[route.net] for lane in route.lanes]
            corners.append((first, heights[0]))
            if heights[0] != heights[-1]:
                corners += [(self._gutter_x(route.net), height) for height in heights]
            corners.append((last, heights[-1]))
        return round_corners([*corners, (last, end[0][1]), *end])

    def _end_points(self, end: End, leaves: bool) -> list[Point]:
        """Return the points of an edge from its box outwards, without that in the gap."""
        x, y = self.x[end.box], self.y[end.box]
        if end.channel is None:
            return [(x + end.side * self.page.widths[end.box] / 2, y + end.away)]
        x = self._block(end.box).x + self._port_x[end.port, leaves]
        half = self.page.heights[end.box] / 2
        return [(x, y + half if leaves else y - half), (x, self._channel_y(end, leaves))]
