"""A backward pass as a scene: every tensor that it goes through is one box.

Tensors that an unroller made stand in the frame of their time step, all steps alike. What was
computed from them outside of the recurrence (the loss) stands in a row above, what comes from
parameters alone in a row below. A graph without time steps is one row, its inputs on the left. All
of it is found from the recorded tensors: no definition and no run is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from minigrad import Op, Tensor, ops
from minigrad.debugger.formatting import operation_name
from rnn import Cell, Run, Signal
from rnn.language.equations import Apply
from rnn.unrolling.truncation import Truncation
from viz.layout.copies import Copies
from viz.layout.layered import Layered
from viz.layout.step_graph import SHOWN, SIGNS, Edge, Part, Parts, set_layers
from viz.layout.step_layout import HEIGHT, SMALL, box_width
from viz.pictures.unrolled import _Unrolled
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.palette import Paint
from viz.render.scene import Arrow, Box, Point, Scene, Text, beside, joined, rounded, sampled, sideways, straight

APART = 34.0  # from column to column of a row of boxes
UNDER = 14.0  # from a box to the one under it in such a column
BUS = 9.0  # between arrows that run side by side above the frames
FEW = 4  # operations at most to which arrows lead from a leaf; one that more of them take is named in their boxes
MANY = 400  # boxes in a row, above which they are stacked as they come: putting them in order takes too long
MINOR = 8.5  # size of an operation's name under a signal's


class Tape:
    """A scene of a backward pass.

    Args:
        nodes: a tensor and all that it was computed from, oldest first.

    Attributes:
        scene: boxes, arrows and frames.
        keys: the box of each drawn tensor; of a copy that was cut off, that of the original.
        times: the time step in whose frame a tensor stands.
        shared: parameters, and what is computed from them alone, that the time steps have in common.
        colors: a colour for each of them.
    """

    def __init__(self, nodes: Sequence[Tensor]) -> None:
        self.scene = Scene("backward pass")
        self.keys: dict[Tensor, str] = {}
        self.root = nodes[-1]
        self.times, self.roles = _aligned(nodes)
        steps = [node for node in nodes if node in self.times and any(x in self.times for x in node.inputs)]
        if not steps:
            self.times = {}
        after: set[Tensor] = set()
        for node in nodes:
            if node not in self.times and any(x in self.times or x in after for x in node.inputs):
                after.add(node)
        used = {x for step in steps for x in step.inputs}
        self.shared = [x for x in nodes if x.requires_grad and x not in self.times and x not in after
                       and (x.op is None or x in used)]
        self.colors = {x: palette.parameter(i) for i, x in enumerate(self.shared)}
        if not steps:
            uses = Counter(x for node in nodes for x in node.inputs)
            self._draw_row("n", [x for x in nodes if x.op is not None or uses[x] <= FEW], 0.0, 0.0)
            return
        self.frames = _Frames(self, nodes, {self.times[step] for step in steps})
        self.scene = self.frames.scene
        self.keys = self.frames.keys
        self._draw_after([x for x in nodes if x in after])
        before = [x for x in nodes if x.op is not None and x not in self.times and x not in after]
        if before:
            left, bottom, _, _ = self.scene.bounds(0)
            boxes = self._draw_row("b", before, left, 0.0)
            down = bottom - 36 - max(box.top for box in boxes)
            self._shift(boxes, 0.0, down)
            self.scene.texts.append(beside(left, bottom - 22, "computed once, for all steps", 11, palette.QUIET))

    # ---- labels
    def text(self, node: Tensor) -> str:
        """What stands in the box of an operation's result: `W @`, `+ b`, `1 −`, `tanh`."""
        assert node.op is not None
        sign = SIGNS.get(type(node.op), operation_name(node))
        fixed = [number for number, x in enumerate(node.inputs) if x not in self.times and x not in self.keys]
        if len(node.inputs) != 2 or len(fixed) != 1:
            return sign
        x = node.inputs[fixed[0]]
        operand = clean(x.label, SHOWN) or (f"{x.item():.3g}" if x.size == 1 and x.op is None else "")
        if isinstance(node.op, ops.Mul) and x.size == 1:
            sign = "×"
        commutes = isinstance(node.op, (ops.Add, ops.Mul)) or type(node.op) not in SIGNS
        pair = (sign, operand) if commutes or fixed == [1] else (operand, sign)
        return " ".join(word for word in pair if word)

    def color(self, node: Tensor) -> str | None:
        """The colour of the first shared tensor that an operation takes."""
        return next((self.colors[x] for x in node.inputs if x in self.colors), None)

    def _box(self, key: str, node: Tensor) -> Box:
        """The box of a tensor outside of the frames, at the origin."""
        if node is self.root:
            label, paint, height = clean(node.name or "loss", SHOWN), palette.LOSS, HEIGHT
        elif node.op is None:
            label = clean(node.label, SHOWN) or (f"{node.item():.3g}" if node.size == 1 else str(node.shape))
            color = self.colors.get(node)
            paint, height = Paint(color, palette.SHELF) if color else palette.CONSTANT, HEIGHT
        elif node.label:
            label, paint, height = clean(node.label, SHOWN), palette.HIDDEN, HEIGHT
        else:
            color = self.color(node)
            label, paint, height = self.text(node), Paint(color or palette.OPERATION.line, "#FFFFFF"), SMALL
        small = height == SMALL
        width = box_width([label], 11 if small else 12, 30 if small else 46, 14 if small else 24)
        circle = small and len(label) == 1
        box = Box(key, 0.0, 0.0, SMALL if circle else width, height, label, paint, size=11 if small else 12,
                  circle=circle, rounded=node.op is not None, pen=2.0 if small and self.color(node) else 1.4)
        if not small:
            box.label = with_operation(box, node)
        return box

    # ---- rows of boxes outside of the frames
    def _draw_row(self, prefix: str, nodes: Sequence[Tensor], left: float, bottom: float) -> list[Box]:
        """Boxes in columns, each to the right of all that it was computed from."""
        number = {node: i for i, node in enumerate(nodes)}
        boxes = []
        for node, i in number.items():
            boxes.append(self._box(f"{prefix}{i}", node))
            self.keys[node] = boxes[-1].key
        edges = list(dict.fromkeys((number[x], number[node]) for node in nodes for x in node.inputs if x in number))
        columns = _columns(len(nodes), edges)
        halves = [box.height / 2 + (UNDER - 16) / 2 for box in boxes]  # 16: what Layered leaves between them
        layered = (Layered if len(boxes) <= MANY else _Stacked)(columns, halves, halves, edges, [0] * len(boxes))
        middles = []
        at = left
        for column in range(max(columns) + 1):
            width = max(box.width for box, own in zip(boxes, columns) if own == column)
            middles.append(at + width / 2)
            at += width + APART
        lowest = min((y - half for y, half in zip(layered.x, halves)), default=0.0)
        for box, column, y in zip(boxes, columns, layered.x):
            box.x, box.y = middles[column], bottom + y - lowest
        for (source, target), bends in zip(edges, layered.bends):
            stops = [(middles[columns[source] + 1 + i], bottom + bend - lowest) for i, bend in enumerate(bends)]
            self.scene.arrows.append(_across(boxes[source], boxes[target], stops))
        self.scene.boxes += boxes
        return boxes

    def _shift(self, boxes: Sequence[Box], dx: float, dy: float) -> None:
        """Move boxes, and the arrows between them."""
        moved = {box.key for box in boxes}
        for box in boxes:
            box.x, box.y = box.x + dx, box.y + dy
        for arrow in self.scene.arrows:
            if arrow.source in moved and arrow.target in moved:
                arrow.points = [(x + dx, y + dy) for x, y in arrow.points]

    def _draw_after(self, nodes: Sequence[Tensor]) -> None:
        """The row above the frames, at their end; arrows to it run side by side under it."""
        if not nodes:
            return
        reading = [(node, x) for node in nodes for x in dict.fromkeys(node.inputs)
                   if x in self.times and x in self.keys]
        boxes = self._draw_row("a", nodes, 0.0, 0.0)
        tracks = {node: i for i, node in enumerate(dict.fromkeys(node for node, _ in reading))}
        top = self.frames.top
        right = max(frame.right for frame in self.scene.frames)
        low = top + 16 + BUS * len(tracks) + 12
        self._shift(boxes, right - max(box.right for box in boxes), low - min(box.bottom for box in boxes))
        of_key = {box.key: box for box in self.scene.boxes}
        for node, x in reading:
            source, target = of_key[self.keys[x]], of_key[self.keys[node]]
            lane, bus = self.frames.lane(x), top + 16 + BUS * tracks[node]
            near = target.left - 15
            start = (source.x, source.top)
            aside = [(source.x, source.top + 10), (lane, source.top + 10)] if abs(lane - source.x) > 1 else []
            points = rounded([start, *aside, (lane, bus), (near, bus), (near, target.y), (target.left, target.y)], 8)
            self.scene.arrows.append(Arrow(source.key, target.key, points))


class _Frames:
    """The frames of the time steps, laid out as viz.unrolled does it.

    Attributes:
        top: the upper edge of the frames.
    """

    def __init__(self, tape: Tape, nodes: Sequence[Tensor], steps: set[int]) -> None:
        self.tape = tape
        self.times = tape.times
        self.where: dict[Tensor, tuple[Part, int]] = {}
        self.copies: Copies = {}
        self.origin = {node: node for node in nodes}  # of a copy that was cut off: what it was copied from
        self._find_parts(nodes)
        edges: dict[tuple[Part, Part, int], Edge] = {}
        links: dict[tuple[Tensor, Tensor], bool] = {}  # (input, result) -> does a gradient pass?
        for node in self.where:
            for x in node.inputs:
                source = self.origin[x]
                if source in self.where:
                    (a, k), (b, m) = self.where[source], self.where[node]
                    edges.setdefault((a, b, m - k), Edge(a, b, m - k, (), f"{a.label} → {b.label}"))
                    links[source, node] = links.get((source, node), False) or source is x
        parts = Parts(self.cell, list(self.copies), list(edges.values()))
        set_layers(parts)
        for part in parts.parts:
            if part.node is None:
                part.paint = _paint(part, parts, self.copies[part])
        run = _Recorded(self.cell, max(steps))
        self.drawn = drawn = _Unrolled(run, None, sorted(steps), "ops", shelf=False, given=(parts, self.copies))
        self.scene, self.top = drawn.scene, drawn.top
        self.keys = {node: drawn.boxes[self.where[source]].key for node, source in self.origin.items()
                     if self.where.get(source) in drawn.boxes}
        self._keep({(self.keys[x], self.keys[node]): passes for (x, node), passes in links.items() if x in self.keys})
        for at, box in drawn.boxes.items():
            made = self.copies[at[0]].get(at[1])
            if at[0].node is None and made is not None:
                box.label = with_operation(box, made)

    def _keep(self, links: Mapping[tuple[str, str], bool]) -> None:
        """Of the arrows, which are alike for all steps, those that were recorded; mark where one was cut."""
        self.scene.arrows = [arrow for arrow in self.scene.arrows if (arrow.source, arrow.target) in links]
        marks: set[Point] = set()
        for arrow in self.scene.arrows:
            if arrow.color == palette.FEEDBACK:  # here the colour of gradients on their way back
                arrow.color = palette.HIDDEN.line
            if not links[arrow.source, arrow.target]:
                arrow.color, arrow.pen, arrow.dashed = palette.CUT, 1.4, True
                way = sampled(arrow.points, 8)
                marks.add(way[len(way) // 2])
        self.scene.texts += [Text(x, y + 9, "✂", 13, palette.QUIET) for x, y in sorted(marks)]

    def _find_parts(self, nodes: Sequence[Tensor]) -> None:
        """One part for all tensors that are the same but for their time step."""
        self.cell = Cell("recorded")
        signals: dict[str, Signal] = {}
        parts: dict[tuple[int, int], Part] = {}
        seen: Counter[tuple[int, int]] = Counter()
        newest: dict[tuple[str, int], Tensor] = {}
        for node in nodes:
            if node not in self.times or (node.op is None and not is_copy(node)):
                continue
            k, role, name = self.times[node], self.tape.roles[node], node.signal or ""
            if is_copy(node):
                if node.op is None and not node.requires_grad and (name, k) in newest:
                    self.origin[node] = newest[name, k]
                    continue
                newest[name, k] = node
            key = role, seen[role, k]
            seen[role, k] += 1
            if key not in parts:
                signal = signals.setdefault(name, Signal(self.cell, name, None, False, node.origin))
                parts[key] = self._part(node, signal)
                self.copies[parts[key]] = {}
            self.copies[parts[key]][k] = node
            self.where[node] = parts[key], k

    def _part(self, node: Tensor, signal: Signal) -> Part:
        if is_copy(node):
            return Part(signal, None, 0, clean(signal.name), palette.OUTPUT)
        assert node.op is not None
        color = self.tape.color(node)
        return Part(signal, _Anonymous(node.op), 0, self.tape.text(node),
                    Paint(color or palette.OPERATION.line, palette.OPERATION.fill), [color] if color else [])

    def lane(self, node: Tensor) -> float:
        """Where an arrow from a tensor goes up past the boxes above it."""
        part, k = self.where[self.origin[node]]
        rows = self.drawn.rows
        return self.drawn.columns[self.drawn.column_of[k]].x + rows.past(part, rows.places[part].x)


class _Recorded(Run):
    """What recorded tensors tell of their run: its length."""

    def __init__(self, cell: Cell, T: int) -> None:
        self.cell = cell
        self.T = T
        self.truncation = Truncation(T)
        self.parameters = {}
        self.windows = []


class _Anonymous(Apply):
    """A recorded operation, of which no equation is known."""

    def __init__(self, op: Op) -> None:
        self.op = op


class _Stacked:
    """Places in columns as Layered gives them, found at once: boxes in the order in which they came."""

    def __init__(self, columns: Sequence[int], lefts: Sequence[float], rights: Sequence[float],
                 edges: Sequence[tuple[int, int]], pulls: Sequence[int]) -> None:
        filled: dict[int, float] = {}
        self.x = []
        for column, left, right in zip(columns, lefts, rights):
            low = filled.get(column, -left)
            self.x.append(low + left)
            filled[column] = low + left + right + 16
        self.bends: list[list[float]] = [[] for _ in edges]


def is_copy(node: Tensor) -> bool:
    """Whether a tensor is a signal at a time step, and no operation on the way to one."""
    return node.t is not None and node.name is not None and node.name == node.signal


def with_operation(box: Box, node: Tensor) -> str:
    """A box's label, and under it the operation that made the tensor, where there is room."""
    name = operation_name(node)
    if name in ("", "identity", "broadcastto") or "\n" in box.label or text_width(name, MINOR) > box.width - 8:
        return box.label
    return f"{box.label}\n{name}"


def _aligned(nodes: Sequence[Tensor]) -> tuple[dict[Tensor, int], dict[Tensor, int]]:
    """The time step of each tensor that has one, and what it is there: the same number at every step.

    What is computed outside of a recurrence but alike for every step, such as a loss at each and
    their running total, belongs to the step that it is computed from.
    """
    times: dict[Tensor, int] = {}
    roles: dict[Tensor, int] = {}
    numbers: dict[Any, int] = {}
    for node in nodes:
        if node.t is not None:
            times[node] = node.t
        elif node.op is not None:
            came = {times[x] for x in node.inputs if x in times}
            if len(came) == 1 or (came and len(node.inputs) == 2):
                times[node] = max(came)
        roles[node] = numbers.setdefault(_role(node, times, roles), len(numbers))
    found: dict[int, set[int]] = {}
    for node, k in times.items():
        found.setdefault(roles[node], set()).add(k)
    needed: set[Tensor] = set()
    for node in reversed(nodes):
        if node in times and node.t is None and len(found[roles[node]]) == 1 and node not in needed:
            del times[node]
        elif node in times:
            needed.update(node.inputs)
    return times, roles


def _role(node: Tensor, times: Mapping[Tensor, int], roles: Mapping[Tensor, int]) -> tuple[Any, ...]:
    """What a tensor is, whatever its time step: its operation and the roles of its inputs."""
    if is_copy(node):
        return "copy", node.name
    inputs: list[Any] = []
    for x in node.inputs:
        if node not in times or x not in times:
            inputs.append(x.requires_grad and x.order)
        elif times[x] < times[node] and x.t is None:
            inputs.append("before")  # a running total
        else:
            inputs.append((roles[x], times[node] - times[x]))
    return node.signal, type(node.op), *inputs


def _paint(part: Part, parts: Parts, copies: Mapping[int, Tensor | None]) -> Paint:
    """The colours that viz.unrolled gives to a signal."""
    delays = [edge.delay for edge in parts.edges if edge.source is part and edge.delay]
    if delays:
        return palette.STATE if max(delays) > 0 else palette.REVERSED
    if all(x is None or x.op is None for x in copies.values()):
        return palette.INPUT
    return palette.HIDDEN if any(edge.source is part for edge in parts.edges) else palette.OUTPUT


def _columns(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The column of each node: right of its inputs; of one that has none, just left of its users."""
    columns = [0] * count
    for source, target in edges:  # by target, oldest first
        columns[target] = max(columns[target], columns[source] + 1)
    targets = {target for _, target in edges}
    for node in range(count):
        near = [columns[target] for source, target in edges if source == node]
        if node not in targets and near:
            columns[node] = min(near) - 1
    return columns


def _across(source: Box, target: Box, stops: Sequence[Point]) -> Arrow:
    """An arrow to the right, through some points."""
    points = [source.side(source.y, 1), *stops, target.side(target.y, -1)]
    curves = [straight(a, b) if abs(a[1] - b[1]) < 0.1 else sideways(a, b) for a, b in pairwise(points)]
    return Arrow(source.key, target.key, joined(*curves))
