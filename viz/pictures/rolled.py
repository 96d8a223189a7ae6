"""The rolled picture: a definition as a cyclic graph, each delay a black square on its edge.

Goodfellow, Bengio and Courville, Deep Learning (2016), section 10.1. A signal's own loop is on the
right, feedback to a lower row comes down on the left, a delayed edge to a higher row goes up on the
right, or on the left if a loop is there. Edges that share a delay divide behind its square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

from rnn import Cell
from rnn.language.cycles import check
from rnn.language.dependencies import parameters as parameters_of
from rnn.language.equations import Definition
from viz.annotations.alt import definition_text, titled
from viz.annotations.formulas import Line, equation_lines
from viz.annotations.layer_frames import add_layer_frames, borders
from viz.annotations.legend import PITCH as LEGEND_PITCH
from viz.annotations.legend import add_entries, box_entries, line_entries
from viz.annotations.panels import Panel, place_title, text_panel
from viz.annotations.places import add_panels
from viz.annotations.shelf import PITCH, add_parameters
from viz.layout.content import add_content
from viz.layout.levels import rolled_graph
from viz.layout.options import Options
from viz.layout.step_graph import Edge, Part, StepGraph
from viz.layout.step_layout import (
    FIRST,
    HEIGHT,
    LANE_CORNER,
    SMALL,
    TRACK,
    Group,
    StepLayout,
    label_texts,
    part_box,
    part_width,
    power,
)
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Point, Scene, Text, round_corners, text_beside

from .arguments import CELL, check_type

BETWEEN, DENSE = 58.0, 30.0  # from row to row; the same between operations
SQUARE = 11.0
ASIDE = 24.0  # more between boxes with an edge from one to the other
BEND, SHARED_BEND = 30.0, 11.0  # radius of the corners of a delayed edge; of edges that share a delay
LOOP = 14.0  # height of a loop above its box, without 8 for each loop
OUT, NEAR = 40.0, 28.0  # from a box to its loop's square; the same beside other loops
BESIDE = 12.0  # half the least distance of two such edges above each other
LANE = 26.0  # from lane to lane: a square with its text fits between
DELAY = palette.Paint("#000000", "#000000")
CAPTIONS = Options(parameters=False, equations=True)


def rolled(cell: Cell, level: str = "signals", *, title: bool | str = True, parameters: bool = False,
           equations: bool = True, legend: bool = False, shapes: bool | None = None, biases: bool = False,
           aspect: str | float | None = None, notation: str = "code", dark: bool = False) -> Picture:
    """Draw a definition: one box per signal, delayed edges as loops.

    The box of a signal that is neither a number nor a vector shows its shape, "S[t] (8×8)". A static has sharp
    corners and no step; an initial value that is computed from statics is dashed. The equations are beside it; parts
    that long ones use several times are written once, as u₁, u₂, ....

    A layer is the signals with a common prefix, as enc.h and enc.c; of nested prefixes the innermost, g.1.forward. At
    level "layers" each is one box, and its equations aren't written. Signals in no layer, and inputs, keep their
    boxes. So do the signals of a layer if, within one step, something else is computed from the layer and read by it,
    or if its equations define different steps; that is told under the title.

    Args:
        cell: a definition.
        level: "signals"; "ops" to draw the operations of every equation too; "layers" to draw each layer as one box,
            and one arrow for all reads between two boxes with the same delay, "h, c".
        title: another title, or False for none.
        parameters: list them, with their shapes.
        equations: write them on the right; those of layers that are one box aren't.
        legend: explain the colours of boxes and arrows.
        shapes: show the shape of every signal, `h[t] (8)`, or of none; by default of arrays that are neither vectors
            nor numbers.
        biases: show in a box the parameters that its equation adds, `+ b`, at level "signals".
        aspect: of the page that the picture is for: "slide" (16:9), "page" (A4, upright), or width by height. The place
            of list, legend and equations is chosen so that the letters are as large as possible there.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than a Cell.
        DefinitionError: if the definition cannot be computed; the message gives the reason.
        ValueError: for an unknown level; for "layers" if there are none; for biases at another level than "signals".
    """
    options = Options(title, parameters, equations, legend, shapes, biases, None, aspect, notation, dark)
    check_type(cell, Cell, f"viz.rolled() {CELL}")
    check(cell)
    graph = rolled_graph(cell, level)
    add_content(graph, cell, level, options)
    drawing = RolledDrawing(graph, cell.name, dense=level == "ops").draw()
    drawing.add_captions(cell, options)
    return picture(drawing.scene, dark, notation)


class RolledDrawing:
    """The scene of a rolled picture. The constructor computes the gaps between rows; draw() draws.

    Attributes:
        steps: positions inside a step.
        boxes, arrows: the box of each part; every arrow with its edge.
        left, right: how far the picture extends so far.
    """

    def __init__(self, graph: StepGraph, name: str, dense: bool = False) -> None:
        self.graph, self.name = graph, clean(name, 60)
        self.scene = Scene(self.name)
        self.boxes: dict[Part, Box] = {}
        self.arrows: list[tuple[Arrow, Edge]] = []
        self._labels: list[tuple[Arrow, list[Text]]] = []  # of arrows, with candidate positions
        self.loops = [edge for edge in graph.edges if edge.delay and edge.source is edge.target]
        sizes = {part: (part_width(part, [box_label(part)]), (HEIGHT if part.node is None else SMALL)
                        + 12 * bool(part.added))
                 for part in graph.parts}
        self.steps = RolledSteps(graph, sizes, {part: self._loops_width(part) for part in graph.parts},
                                 loops={loop.source: self._loops_height(loop.source) for loop in self.loops})
        self.steps.set_sides({edge: self._side(edge) for edge in graph.edges
                              if edge.delay and edge not in self.loops and edge not in self.steps.lanes})
        self.steps.add_departures()
        self.left, self.right = self.steps.left, self.steps.right
        self._tracks: dict[Group, int] = {}  # on which a group of edges enters from below
        for edge, entry in self.steps.entries.items():
            if entry.from_below and entry.group not in self._tracks:
                row = self.steps.places[edge.target].row
                self._tracks[entry.group] = self.steps.tracks[row]
                self.steps.tracks[row] += 1
        self.gaps = self._find_gaps(DENSE if dense else BETWEEN)

    def _loops_width(self, part: Part) -> float:
        texts = [self.graph.label(edge)[0] for edge in self.loops if edge.source is part]
        neighbours = any(edge.delay and edge.source is part and edge.target is not part
                         and edge.target.layer == part.layer for edge in self.graph.edges)
        return ASIDE * neighbours + sum(self._out(part) + 12 + max(20.0, text_width(text, 10) * CORNER)
                                        for text in texts)

    def _out(self, part: Part) -> float:
        """Return the distance of a loop's square, which is smaller if other loops are beside it."""
        layer = [loop.source for loop in self.loops if loop.source.layer == part.layer]
        return OUT if all(other is part for other in layer) else NEAR

    def _loops_height(self, part: Part) -> float:
        return LOOP + 8 * sum(edge.source is part for edge in self.loops)

    def _rises(self, edge: Edge) -> bool:
        return self.steps.places[edge.source].row < self.steps.places[edge.target].row

    def _side(self, edge: Edge) -> int:
        """Go down on the left; up on the right, unless a loop is there."""
        blocked = any(loop.source in (edge.source, edge.target) for loop in self.loops)
        return 1 if self._rises(edge) and not blocked else -1

    def _find_gaps(self, least: float) -> list[float]:
        """Reserve height for tracks, and for a loop above its row and below the next."""
        gaps = []
        for row, tracks in enumerate(self.steps.tracks[1:-1], 1):
            near = (*self.steps.members[row - 1], *self.steps.members[row])
            looped = any(edge.source in near for edge in self.loops)
            gaps.append(max(self.steps.gap(row, least) + (FIRST + TRACK * tracks - 10 if tracks else 0),
                            BETWEEN if looped else 0))
        return gaps

    def draw(self) -> RolledDrawing:
        """Add all boxes, arrows and labels to the scene."""
        self.steps.set_gaps(self.gaps)
        for number, part in enumerate(self.graph.parts):
            place = self.steps.places[part]
            self.boxes[part] = part_box(part_key(number), part, place, place.x, self.steps.y[place.row],
                                        box_label(part))
            self.boxes[part].tooltip, self.boxes[part].colored = clean(part.text, 400), part.added
        self.scene.boxes += self.boxes.values()
        for edge in self.graph.undelayed:
            self._add_upward(edge)
        self._add_loops()
        for edge in self.steps.lanes:
            self._add_lane(edge)
        for side in (-1, 1):
            self._add_delayed(side)
        add_layer_frames(self.scene, self.steps, [0.0])
        self.scene.place_labels(self._labels, crowded=bool(self.graph.once), lines=borders(self.steps, [0.0]))
        return self

    def _add_upward(self, edge: Edge) -> None:
        """Add an arrow within a step."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        points, label_points = self.steps.route_upward(edge, source, target, 0)
        text, color = self.graph.label(edge)
        arrow = self._add_arrow(source, target, points, edge)
        xs = [x for x, _ in points]
        if text:
            labels = label_texts(label_points, text, 11, color)
            self._labels.append((arrow, labels))
            xs += [label.x + side * label.width / 2 for label in labels[:2] for side in (-1, 1)]
        self.left, self.right = max(self.left, -min(xs)), max(self.right, *xs)

    def _add_loops(self) -> None:
        """Add loops from the top of a box round to its foot, the shortest delay innermost."""
        reach = self.right
        for part, box in self.boxes.items():
            out = box.right
            loops = sorted((loop for loop in self.loops if loop.source is part), key=_span)
            for number, edge in enumerate(loops):
                attach = self.steps.loop_port(part, box, number, len(loops))
                x, bend = out + self._out(part), 22.0 + 8 * number
                near = min(attach + 4, x - box.x)
                square, out = self._add_square(edge, x, box.y, self.graph.label(edge), 1)
                self._add_arrow(box, square, [(box.x + attach, box.top), (box.x + near, box.top + bend),
                                              (x, box.top + bend - 9), (x, box.y + SQUARE / 2)], edge, head=False)
                self._add_arrow(square, box, [(x, box.y - SQUARE / 2), (x, box.bottom - bend + 9),
                                              (box.x + near, box.bottom - bend), (box.x + attach, box.bottom)], edge)
            reach = max(reach, out)
        self.right = reach

    def _add_lane(self, edge: Edge) -> None:
        """Add an edge between neighbours in a row: up to its lane, along it through its square, and down."""
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        channel, group = self.steps.lanes[edge]
        start, end = self.steps.lane_ports(edge, source, target)
        side, y = self.steps.direction(edge), self.steps.lane_y(channel, self.steps.numbers[group])
        x = _free_place(start[0], end[0], self._upright(channel))
        square, _ = self._add_square(edge, x, y, ("", ""), 1, 13)
        self._add_arrow(source, square, round_corners([start, (start[0], y), (x - side * SQUARE / 2, y)], LANE_CORNER),
                        edge, head=False)
        arrow = self._add_arrow(square, target, round_corners([(x + side * SQUARE / 2, y), (end[0], y), end],
                                                              LANE_CORNER), edge)
        text, color = self.graph.label(edge)
        if text:
            half = text_width(text, 10) / 2
            points = [((x + away, y + up), True)
                      for away, up in ((-half, -14), (6, -14), (-6 - 2 * half, -14), (24, 11),
                                       (-8 - 2 * half, 11), (-8 - 2 * half, -9))]
            self._labels.append((arrow, label_texts(points, text, 10, color)))

    def _upright(self, channel: int) -> list[float]:
        """Return the x of all edges that go up or down through the lanes of a channel."""
        steps, row = self.steps, channel - 1
        xs = [x for edge, lane in steps.lanes.items() if lane.channel == channel
              for x, _ in steps.lane_ports(edge, self.boxes[edge.source], self.boxes[edge.target])]
        for edge in self.graph.undelayed:
            low, high = steps.places[edge.source].row, steps.places[edge.target].row
            if low == row:
                xs.append(steps.top_port(edge, self.boxes[edge.source])[0])
            elif low < row < high:
                xs.append(steps.bends[edge][row - low - 1])
        return xs + [self._departure(edge)[0][0] for edge in steps.entries
                     if steps.leaves_above(edge) and steps.places[edge.source].row == row]

    def _departure(self, edge: Edge) -> tuple[Point, float]:
        """Return where an edge leaves upward, and the height of its lane."""
        entry, row = self.steps.entries[edge], self.steps.places[edge.source].row
        start = self.steps.outer_port(edge.source, 1, entry.side, entry.group, self.boxes[edge.source])
        return start, self.steps.lane_y(row + 1, self.steps.numbers[entry.group])

    def _add_delayed(self, side: int) -> None:
        """Add delayed edges between rows: out sideways, up or down outside, and in again; long ones outermost.

        Those above each other are equally far out.
        """
        groups: dict[Group, list[Edge]] = {}
        for edge, entry in self.steps.entries.items():
            if entry.side == side:
                groups.setdefault(entry.group, []).append(edge)
        in_order = sorted(groups.values(), key=self._height)
        ports = self._port_heights(in_order)
        heights = [*ports.values(), *(self._track_y(group[0]) for group in groups.values()
                                      if self.steps.entries[group[0]].from_below)]
        heights += [self._departure(edge)[1] for edge in self.steps.entries if self.steps.leaves_above(edge)]
        reach = self.left if side < 0 else self.right
        placed: list[tuple[float, float, float]] = []  # heights between which a group is, and how far out it extends
        levels = [self._levels(edges[0], ports) for edges in in_order]
        for number, edges in enumerate(in_order):
            bend = _clear_radius(*levels[number], [y for ends in levels[number + 1:] for y in ends])
            low, high = min(levels[number]) - BESIDE, max(levels[number]) + BESIDE
            start = max([reach, *(out for bottom, top, out in placed if bottom < high and low < top)])
            placed.append((low, high, self._add_group(edges, side, side * (start + 36), ports, heights, bend)))
        reach = max([reach, *(out for _, _, out in placed)])
        self.left, self.right = (reach, self.right) if side < 0 else (self.left, reach)

    def _levels(self, edge: Edge, ports: Mapping[tuple[Part, Edge], float]) -> tuple[float, float]:
        """Return the heights between which an edge goes up or down beside the boxes."""
        start = self._departure(edge)[1] if self.steps.leaves_above(edge) else ports[edge.source, edge]
        return start, self._track_y(edge) if self.steps.entries[edge].from_below else ports[edge.target, edge]

    def _track_y(self, edge: Edge) -> float:
        """Return the height of the track on which an edge enters from below."""
        return self.steps.track_y(self.steps.places[edge.target].row, self._tracks[self.steps.entries[edge].group])

    def _height(self, edges: Sequence[Edge]) -> float:
        return abs(self.boxes[edges[0].source].y - self.boxes[edges[0].target].y)

    def _port_heights(self, groups: Sequence[Sequence[Edge]]) -> dict[tuple[Part, Edge], float]:
        """Return where on the side of a box each edge is attached, in the order in which edges do not cross."""
        ports: dict[Part, list[tuple[int, Edge]]] = {}
        for rank, (edge, *_) in enumerate(reversed(groups), 1):
            up = rank if self._rises(edge) else -rank
            ports.setdefault(edge.source, []).append((up, edge))
            if not self.steps.entries[edge].from_below:
                ports.setdefault(edge.target, []).append((-up, edge))
        found = {}
        for part, edges in ports.items():
            apart = min(8.0, (self.boxes[part].height - 10) / max(len(edges) - 1, 1))
            for number, (_, edge) in enumerate(sorted(edges, key=itemgetter(0))):
                found[part, edge] = self.boxes[part].y + (number - (len(edges) - 1) / 2) * apart
        return found

    def _add_group(self, edges: Sequence[Edge], side: int, x: float, ports: Mapping[tuple[Part, Edge], float],
                   heights: Sequence[float], bend: float) -> float:
        """Add edges that share a delay, with the square at x; return how far out they extend."""
        edge = edges[0]
        source, target = self.boxes[edge.source], self.boxes[edge.target]
        shared = self.steps.entries[edge].from_below
        first, y = self._levels(edge, ports)
        start, corners = source.side(first, side), list[Point]()
        if self.steps.leaves_above(edge):
            start = self._departure(edge)[0]
            corners = [(start[0], first)]
        middle = _free_height(first, y, heights)
        square, reach = self._add_square(edge, x, middle, ("", "") if shared else self.graph.label(edge), side)
        toward = SQUARE / 2 if first > middle else -SQUARE / 2
        corners = [start, *corners, (x, first), (x, middle + toward)]
        bend = min(bend, SHARED_BEND) if shared else bend
        radii = [LANE_CORNER] * (len(corners) - 3) + [bend]
        self._add_arrow(source, square, round_corners(corners, radii), edge, head=False)
        leaving = (x, middle - toward)
        if shared:
            self._add_branches(edges, side, square, leaving, y, bend)
        else:
            self._add_arrow(square, target, round_corners([leaving, (x, y), target.side(y, side)], bend), edge)
        return reach

    def _add_branches(self, edges: Sequence[Edge], side: int, square: Box, start: Point, y: float,
                      bend: float) -> None:
        """Add the arrows from a shared square along a track to the targets."""
        for edge in edges:
            target = self.boxes[edge.target]
            end = self.steps.bottom_port(edge, target)
            arrow = self._add_arrow(square, target, round_corners([start, (start[0], y), (end[0], y), end],
                                                                  [bend, LANE_CORNER]), edge)
            arrow.branch = len(edges) > 1
            text, color = self.graph.label(edge)
            if text:
                points = [((end[0] + 4 * s, height), s > 0) for height in (end[1] - 9, y - 9) for s in (side, -side)]
                self._labels.append((arrow, label_texts(points, text, 10, color)))

    def _add_square(self, edge: Edge, x: float, y: float, label: tuple[str, str], side: int,
                    raised: float = 0.0) -> tuple[Box, float]:
        """Add the square of a delay with its texts; return it, and how far out the texts extend."""
        steps = "1 time step" if abs(edge.delay) == 1 else f"{abs(edge.delay)} time steps"
        meaning = f"delay of {steps}" if edge.delay > 0 else f"{steps} ahead"
        square = Box(f"z{len(self.scene.boxes)}", x, y, SQUARE, SQUARE, "", DELAY, rounded=False, tooltip=meaning)
        self.scene.boxes.append(square)
        away = side * (3 if raised else 11)
        texts = [text_beside(x + away, y + raised, power(edge.delay), 11, palette.TEXT, side > 0)]
        if label[0]:
            texts.append(text_beside(x + side * 11, y - 16, label[0], 10, label[1], side > 0))
        self.scene.texts += texts
        return square, max(side * x + 11 + text.width for text in texts)

    def _add_arrow(self, source: Box, target: Box, points: Sequence[Point], edge: Edge, head: bool = True) -> Arrow:
        style = self.steps.style(edge)
        arrow = Arrow(source.key, target.key, points, style.color, style.pen, head, edge.starts or style.dashed,
                      style.dotted, tooltip=edge.text)
        self.scene.arrows.append(arrow)
        self.arrows.append((arrow, edge))
        return arrow

    def add_captions(self, cell: Definition, options: Options = CAPTIONS) -> None:
        """Add the equations, the list of parameters and the legend, on the right or on a page below, and the title."""
        over, panels = self.scene.bounds(0), list[Panel]()
        delayed = any(edge.delay for edge in self.graph.edges)
        inside = {own.signal for part in self.graph.parts for own in part.members}
        written = equation_lines(cell, inside) if options.equations else []
        if options.parameters and self.graph.colors:
            list_of = UnrolledSpec(self.name, 1, self.graph, {}, (), parameters=parameters_of(cell))
            panels.append(Panel(Scene("parameters"), PITCH))
            add_parameters(panels[-1].scene, list_of, {}, 0.0)
        if options.legend:
            panels.append(Panel(Scene("colours"), LEGEND_PITCH))
            add_entries(panels[-1].scene, [*box_entries(self.graph.parts, delay=delayed),
                                           *line_entries(map(self.steps.kind_color, self.graph.edges))])
        elif delayed and written:
            written.append(Line(0, "■  a delay: z⁻ᵏ gives the value of k time steps before"))
        if written:
            panels.append(text_panel(written))
        add_panels(self.scene, panels, self.steps.middle, options.ratio)
        title = titled(self.name, "rolled")
        self.scene.title, self.scene.alt = options.name(title), definition_text(self.graph)
        heading = [(self.graph.heading, palette.QUIET)] if self.graph.heading else []
        place_title(self.scene, options.heading(title), heading, over)


class RolledSteps(StepLayout):
    """Positions of the boxes of a definition: squares are on its lanes, and names under them."""

    lane_first, lane_distance = LANE, LANE


def part_key(number: int) -> str:
    """Return the key of the box of a part, by its number in the step graph."""
    return f"s{number}"


def box_label(part: Part) -> str:
    """Return `h[t]`, or an operation's label; below it the parameters that are added."""
    return part.at("t") + f"\n{part.added_line}" * bool(part.added)


def _clear_radius(start: float, end: float, crossing: Sequence[float]) -> float:
    """Return a radius for the corners of a line from one height to another that others cross in its straight part."""
    low, high = min(start, end), max(start, end)
    near = [min(y - low, high - y) for y in crossing if low < y < high]
    return max(LANE_CORNER, min([BEND, *(distance - 2 for distance in near)]))


def _free_height(start: float, end: float, heights: Sequence[float]) -> float:
    """Return a height for a square between two ends of an edge: near the middle, on none of the other edges."""
    middle = (start + end) / 2
    candidates = (middle + sign * distance for distance in range(0, 60, 4) for sign in (1, -1))
    return next((y for y in candidates if all(abs(y - other) > SQUARE for other in heights)), middle)


def _free_place(start: float, end: float, taken: Sequence[float]) -> float:
    """Return an x for a square on a lane: near the middle, where no edge goes up through it or, better, its text."""
    left, right = min(start, end) + SQUARE + 2, max(start, end) - SQUARE - 2
    middle = (left + right) / 2
    candidates = [middle + sign * 2 * number for number in range(int((right - left) / 4) + 1) for sign in (1, -1)]
    for room in (28, SQUARE - 3):
        for x in candidates:
            if not any(x - SQUARE + 3 < other < x + room for other in taken):
                return x
    return middle


def _span(edge: Edge) -> int:
    return abs(edge.delay)
