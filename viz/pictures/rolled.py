"""A definition as a picture: its loops, each with its delay.

A layer's own loop goes round on the right, feedback to a lower layer comes down on the left, a
delayed edge to a higher layer goes up on the right, or on the left where a loop is in the way. A
delay is a black square (Goodfellow, Bengio and Courville, Deep Learning, 2016, section 10.1), with
z⁻ᵏ beside it; edges that share one divide behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnn import Cell
from rnn.language.cycles import check
from viz.layout.step_graph import Edge, Part, Parts, parts_of
from viz.layout.step_layout import FIRST, HEIGHT, SMALL, TRACK, Entry, Rows, box_width, label_at
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean, text_width
from viz.render.palette import Paint
from viz.render.scene import CORNER, Arrow, Box, Point, Scene, Text, beside, rounded

BETWEEN = 58.0  # from row to row
OPERATIONS = 30.0  # the same where operations are drawn
SQUARE = 11.0
BEND = 30.0  # radius of a lane's corners
OUT = 40.0  # from a box to its loop's square, and from lane to lane
SUPERSCRIPTS = str.maketrans("-+0123456789", "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹")
DELAY = Paint("#000000", "#000000")
LONGEST = 96  # characters of an equation


def rolled(cell: Cell, level: str = "signals", *, dark: bool = False) -> Picture:
    """Draw a definition: one box a signal, delayed edges as loops.

    Args:
        cell: a definition.
        level: "signals", or "ops" to see the operations of every equation too.
        dark: light lines on dark ground.

    Raises:
        DefinitionError: where the definition can't be computed; says why.
        ValueError: for a level that there isn't.
    """
    check(cell)
    drawing = _Rolled(cell, level)
    drawing.write_captions()
    return picture(drawing.scene, dark)


class _Rolled:
    """The scene of one definition, built layer by layer."""

    def __init__(self, cell: Cell, level: str = "signals", gaps: Sequence[float] = (),
                 parts: Parts | None = None) -> None:
        self.cell = cell
        self.parts = parts or parts_of(cell, level)
        self.ways: list[tuple[Arrow, Edge]] = []  # every arrow, and whose it is
        self.scene = Scene(clean(cell.name, 60))
        labels = {part: f"{part.label}(t)" if part.node is None else part.label for part in self.parts.parts}
        delayed = [edge for edge in self.parts.edges if edge.delay]
        self.loops = [edge for edge in delayed if edge.source is edge.target]
        self.rows = Rows(self.parts, {part: part_width(part, [text]) for part, text in labels.items()},
                         {part: SMALL if part.node is not None else HEIGHT for part in labels},
                         {part: self._loop_room(part) for part in labels})
        self.entries = self.rows.enter({edge: self._side(edge) for edge in delayed if edge not in self.loops})
        self.lane_of = self._lanes()
        self.gaps = self._gaps(level, gaps)
        self.rows.stack(self.gaps)
        self.boxes = {part: self._box(number, part, labels[part]) for number, part in enumerate(self.parts.parts)}
        self.wanted: list[tuple[Arrow, list[Text]]] = []  # labels to be placed
        self.right, self.left = self.rows.right, self.rows.left  # how far out the picture reaches so far
        for edge in self.parts.edges:
            if edge.delay == 0:
                self._draw_upward(edge)
        self._draw_own_loops()
        self._draw_lanes(-1)
        self._draw_lanes(1)
        self.scene.place_labels(self.wanted)

    def _loop_room(self, part: Part) -> float:
        texts = [self.parts.label(edge)[0] for edge in self.loops if edge.source is part]
        return sum(OUT + 12 + max(20.0, text_width(text, 10) * CORNER) for text in texts)

    def _rises(self, edge: Edge) -> bool:
        return self.rows.places[edge.source].row < self.rows.places[edge.target].row

    def _side(self, edge: Edge) -> int:
        """Down on the left, up on the right, if no loop is there."""
        in_the_way = any(loop.source in (edge.source, edge.target) for loop in self.loops)
        return 1 if self._rises(edge) and not in_the_way else -1

    def _lanes(self) -> dict[tuple[Part, int, int, bool], int]:
        """The track on which each group of edges comes in under its row."""
        track: dict[tuple[Part, int, int, bool], int] = {}
        for edge, entry in self.entries.items():
            if entry.foot and entry.group not in track:
                row = self.rows.places[edge.target].row
                track[entry.group] = self.rows.lanes[row]
                self.rows.lanes[row] += 1
        return track

    def _gaps(self, level: str, least: Sequence[float]) -> list[float]:
        base = BETWEEN if level == "signals" else OPERATIONS
        gaps = [base + (FIRST + TRACK * n - 10 if n else 0) for n in self.rows.lanes[1:-1]]
        for row in range(1, self.rows.count):  # room for a loop over a row, and under the next
            for part in (*self.rows.members[row - 1], *self.rows.members[row]):
                if any(edge.source is part for edge in self.loops):
                    gaps[row - 1] = max(gaps[row - 1], BETWEEN)
        return [max(pair) for pair in zip(gaps, least)] if least else gaps

    def _box(self, number: int, part: Part, text: str) -> Box:
        place = self.rows.places[part]
        tooltip = str(part.signal.equation or part.signal.name) if part.node is None else repr(part.node)
        box = part_box(f"s{number}", part, place.x, self.rows.y[place.row], place.width, place.height, text)
        box.tooltip = clean(tooltip, 400)
        self.scene.boxes.append(box)
        return box

    def _draw_upward(self, edge: Edge) -> None:
        """An arrow within a step."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        points, places = self.rows.climb(edge, source, target, 0)
        text, color = self.parts.label(edge)
        self._arrow(source, target, points, edge)
        xs = [x for x, _ in points]
        if text:
            self.wanted.append((self.scene.arrows[-1], label_at(places, text, 11, color)))
            xs += [edge_x for label in self.wanted[-1][1][:2] for edge_x in (
                label.x - label.width / 2, label.x + label.width / 2)]
        self.left, self.right = max(self.left, -min(xs)), max(self.right, *xs)

    def _draw_own_loops(self) -> None:
        """From the top of a box round to its foot, the shortest delay innermost."""
        reach = self.right
        for part, box in self.boxes.items():
            out = box.right
            for number, edge in enumerate(sorted((loop for loop in self.loops if loop.source is part), key=_span)):
                x = out + OUT
                attach = box.width * (0.28 - 0.12 * number)
                bend = 22.0 + 8 * number
                near = min(attach + 4, x - box.x)
                up = [(box.x + attach, box.top), (box.x + near, box.top + bend),
                      (x, box.top + bend - 9), (x, box.y + SQUARE / 2)]
                down = [(x, box.y - SQUARE / 2), (x, box.bottom - bend + 9),
                        (box.x + near, box.bottom - bend), (box.x + attach, box.bottom)]
                square, out = self._square(edge, x, box.y, self.parts.label(edge), 1)
                self._arrow(box, square, up, edge, head=False)
                self._arrow(square, box, down, edge)
            reach = max(reach, out)
        self.right = reach

    def _draw_lanes(self, side: int) -> None:
        """Delayed edges between rows: out sideways, along a lane outside, and in again."""
        groups: dict[tuple[Part, int, int, bool], list[Edge]] = {}
        for edge, entry in self.entries.items():
            if entry.side == side:
                groups.setdefault(entry.group, []).append(edge)
        lanes = sorted(groups.values(), key=self._height_of)
        ports = self._ports(lanes, side)
        self.levels = [*ports.values(), *(self.rows.track(self.rows.places[edges[0].target].row, self.lane_of[group])
                                          for group, edges in groups.items() if group in self.lane_of)]
        lane = self.left if side < 0 else self.right
        for edges in lanes:
            x = side * (lane + 36)
            lane = self._draw_group(edges, self.entries[edges[0]], x, ports)
        if side < 0:
            self.left = lane
        else:
            self.right = lane

    def _height_of(self, edges: Sequence[Edge]) -> float:
        """How far up or down a group of edges goes; those with a longer way run further out."""
        source, target = self.boxes[edges[0].source], self.boxes[edges[0].target]
        return abs(source.y - target.y)

    def _ports(self, lanes: Sequence[Sequence[Edge]], side: int) -> dict[tuple[Part, Edge], float]:
        """The height on the side of a box where each edge is attached, so that lanes don't cross."""
        at: dict[Part, list[tuple[int, Edge]]] = {}
        for number, edges in enumerate(lanes, 1):
            edge = edges[0]
            up = 1 if self._rises(edge) else -1
            at.setdefault(edge.source, []).append((up * (len(lanes) + 1 - number), edge))
            if not self.entries[edge].foot:
                at.setdefault(edge.target, []).append((-up * (len(lanes) + 1 - number), edge))
        found = {}
        for part, edges_there in at.items():
            ordered = [edge for _, edge in sorted(edges_there, key=_first)]
            apart = min(8.0, (self.boxes[part].height - 10) / max(len(ordered) - 1, 1))
            for number, edge in enumerate(ordered):
                found[part, edge] = self.boxes[part].y + (number - (len(ordered) - 1) / 2) * apart
        return found

    def _draw_group(self, edges: Sequence[Edge], entry: Entry, x: float,
                    ports: dict[tuple[Part, Edge], float]) -> float:
        """Edges that share a delay; how far out they and their texts reach."""
        first = edges[0]
        source, target = self.boxes[first.source], self.boxes[first.target]
        start = source.side(ports[first.source, first], entry.side)
        if entry.foot:
            y = self.rows.track(self.rows.places[first.target].row, self.lane_of[entry.group])
        else:
            y = ports[first.target, first]
        middle = self._free_height(start[1], y)
        toward = SQUARE / 2 if start[1] > y else -SQUARE / 2
        square, reach = self._square(first, x, middle, ("", "") if entry.foot else self.parts.label(first), entry.side)
        leaving = (x, middle - toward)
        if not entry.foot:
            end = target.side(y, entry.side)
            self._arrow(source, square, rounded([start, (x, start[1]), (x, middle + toward)], BEND), first,
                        head=False)
            self._arrow(square, target, rounded([leaving, (x, y), end], BEND), first)
            return reach
        self._arrow(source, square, rounded([start, (x, start[1]), (x, middle + toward)]), first, head=False)
        for edge in edges:
            target = self.boxes[edge.target]
            end = self.rows.at_foot(edge, target)
            text, color = self.parts.label(edge)
            places = [((end[0] + 4 * s, end[1] - 9), s > 0) for s in (entry.side, -entry.side)]
            self._arrow(square, target, rounded([leaving, (x, y), (end[0], y), end]), edge)
            if text:
                self.wanted.append((self.scene.arrows[-1], label_at(places, text, 10, color)))
        return reach

    def _free_height(self, start: float, end: float) -> float:
        """Where on a lane a square stands: near the middle, on no other edge's way."""
        middle = (start + end) / 2
        steps = [sign * distance for distance in range(0, 60, 4) for sign in (1, -1)]
        free = [middle + step for step in steps if all(abs(middle + step - y) > SQUARE for y in self.levels)]
        return free[0] if free else middle

    def _square(self, edge: Edge, x: float, y: float, label: tuple[str, str], side: int) -> tuple[Box, float]:
        """The square of a delay with its texts, and how far out they reach."""
        steps = "1 time step" if abs(edge.delay) == 1 else f"{abs(edge.delay)} time steps"
        meaning = f"delay of {steps}" if edge.delay > 0 else f"{steps} ahead"
        square = Box(f"z{len(self.scene.boxes)}", x, y, SQUARE, SQUARE, "", DELAY, rounded=False, tooltip=meaning)
        self.scene.boxes.append(square)
        power = beside(x + side * 11, y, "z" + f"{-edge.delay:+d}".replace("+", "⁺").translate(SUPERSCRIPTS), 11,
                       palette.TEXT, side > 0)
        self.scene.texts.append(power)
        reach = [abs(x) + 11 + power.width]
        if label[0]:
            name = beside(x + side * 11, y - 16, label[0], 10, label[1], side > 0)
            self.scene.texts.append(name)
            reach.append(abs(x) + 11 + name.width)
        return square, max(reach)

    def _arrow(self, source: Box, target: Box, points: Sequence[Point], edge: Edge,
               head: bool = True) -> None:
        color, pen = self.rows.color(edge)
        self.scene.arrows.append(Arrow(source.key, target.key, points, color, pen, head, tooltip=edge.text))
        self.ways.append((self.scene.arrows[-1], edge))

    def write_captions(self) -> None:
        """The equations on the right, the name above."""
        lines = [clean(repr(equation), LONGEST) for equation in self.cell.equations]
        if any(edge.delay for edge in self.parts.edges):
            lines.append("■  a delay: z⁻ᵏ gives the value of k time steps before")
        middle = (self.rows.y[0] + self.rows.y[-1]) / 2
        for number, line in enumerate(lines):
            y = middle + (len(lines) / 2 - number - 0.5) * 18
            self.scene.texts.append(beside(self.right + 36, y, line, 11, palette.QUIET))
        left, _, right, top = self.scene.bounds(0)
        self.scene.texts.append(Text((left + right) / 2, top + 26, f"{clean(self.cell.name, 60)}, rolled", 14))


def part_width(part: Part, labels: Sequence[str], size: float = 12) -> float:
    """The width of a part's box for the widest of its labels."""
    if part.round and all(len(text) == 1 for text in labels):
        return SMALL
    return box_width(labels, size) if part.node is None else box_width(labels, size - 1, 30, 14)


def part_box(key: str, part: Part, x: float, y: float, width: float, height: float, label: str) -> Box:
    """The box of a part: a signal's, or an operation's, small and outlined in its parameter's colour."""
    if part.node is None:
        return Box(key, x, y, width, height, label, part.paint)
    return Box(key, x, y, width, height, label, part.paint, pen=2.0 if part.names else 1.2, size=11,
               circle=part.round and width == height)


def _span(edge: Edge) -> int:
    return abs(edge.delay)


def _first(pair: tuple[int, Edge]) -> int:
    return pair[0]
