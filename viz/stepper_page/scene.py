"""A backward pass as a scene: every tensor that it passes is one box.

Tensors that an unroller made are in the frame of their time step, laid out as by viz.unrolled.
Tensors computed from them outside of the recurrence, such as the loss, form a row above; tensors computed
from parameters alone form a row below. A graph without time steps is one row, its inputs on the left. All
of this is found from the recorded tensors: no definition and no run is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from minigrad import Tensor
from minigrad.formats.describe import operation_name
from viz.annotations.cuts import mark_cut
from viz.layout.folding import Tensors, Where
from viz.layout.layered import DISTANCES, Coordinates, layered_layout
from viz.layout.step_graph import LABEL_LENGTH, Edge, Part, StepGraph, assign_layers, operation_label, signal_paint
from viz.layout.step_layout import HEIGHT, SMALL, box_width
from viz.layout.unrolled_layout import UnrolledSpec
from viz.pictures.unrolled import UnrolledDrawing
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import Arrow, Box, Scene, horizontal_curve, join_curves, round_corners, straight_line, text_beside

APART = 34.0  # from column to column of a row of boxes
UNDER = 14.0  # from a box to the one under it in such a column
TRACK = 9.0  # between arrows that run side by side above the frames
FEW = 4  # a leaf with more users than this has no box; their boxes show its name
MANY = 400  # boxes in a row, above which crossings are not reduced: it would take too long
MINOR = 8.5  # size of an operation's name under a signal's


class BackwardScene:
    """The scene of a backward pass through `nodes`: a tensor and all that it was computed from, oldest first.

    Attributes:
        scene: boxes, arrows and frames, after draw().
        keys: the box of each drawn tensor; of a detached copy, that of the original.
        times: the time step in whose frame a tensor is drawn.
        shared, colors: parameters, and tensors computed from them alone, that all time steps use; their colours.
    """

    def __init__(self, nodes: Sequence[Tensor]) -> None:
        self.nodes = nodes
        self.scene = Scene("backward pass")
        self.keys: dict[Tensor, str] = {}
        self.times, self.roles = _align(nodes)
        self.steps = [node for node in nodes if node in self.times and any(x in self.times for x in node.inputs)]
        if not self.steps:
            self.times = {}
        self.after: set[Tensor] = set()
        for node in nodes:
            if node not in self.times and any(x in self.times or x in self.after for x in node.inputs):
                self.after.add(node)
        used = {x for step in self.steps for x in step.inputs}
        self.shared = [x for x in nodes if x.requires_grad and x not in self.times and x not in self.after
                       and (x.op is None or x in used)]
        self.colors = {x: palette.parameter(i) for i, x in enumerate(self.shared)}

    def draw(self) -> BackwardScene:
        """Add the frames of the time steps and the rows above and below, or one row."""
        if not self.steps:
            uses = Counter(x for node in self.nodes for x in node.inputs)
            self.scene = self._row("n", [x for x in self.nodes if x.op is not None or uses[x] <= FEW])
            return self
        recorded = RecordedSteps(self)
        self.scene, self.keys = recorded.drawing.scene, recorded.draw()
        self._add_after([x for x in self.nodes if x in self.after], recorded)
        self._add_before([x for x in self.nodes if x.op is not None and x not in self.times and x not in self.after])
        return self

    # ---- labels
    def label(self, node: Tensor) -> str:
        """Return the text in the box of an operation's result: `W @`, `+ b`, `1 −`, `tanh`."""
        assert node.op is not None
        fixed = {i: x for i, x in enumerate(node.inputs) if x not in self.times and x not in self.keys}
        return operation_label(node.op, len(node.inputs), {i: _constant(x) for i, x in fixed.items()},
                               any(x.size == 1 for x in fixed.values()))

    def shared_inputs(self, node: Tensor) -> list[Tensor]:
        """Return the shared tensors among an operation's inputs; the first gives its box the colour."""
        return [x for x in node.inputs if x in self.colors]

    def _box(self, key: str, node: Tensor) -> Box:
        """Return the box of a tensor outside of the frames, at the origin: a large one for a leaf or a name."""
        if node is self.nodes[-1]:
            label, paint = clean(node.name or "loss", LABEL_LENGTH), palette.LOSS
        elif node.op is None:
            color = self.colors.get(node)
            label = _constant(node) or str(node.shape)
            paint = palette.Paint(color, palette.SHELF) if color else palette.CONSTANT
        elif node.label:
            label, paint = clean(node.label, LABEL_LENGTH), palette.HIDDEN
        else:
            label, shared = self.label(node), self.shared_inputs(node)
            circle = len(label) == 1
            paint = palette.Paint(self.colors[shared[0]] if shared else palette.OPERATION.line, "#FFFFFF")
            return Box(key, 0.0, 0.0, SMALL if circle else box_width([label], 11, 30, 14), SMALL, label, paint,
                       size=11, circle=circle, pen=2.0 if shared else 1.4)
        box = Box(key, 0.0, 0.0, box_width([label], 12), HEIGHT, label, paint, rounded=node.op is not None)
        _add_operation(box, node)
        return box

    # ---- rows of boxes outside of the frames
    def _row(self, prefix: str, nodes: Sequence[Tensor], left: float = 0.0) -> Scene:
        """Return boxes in columns, each to the right of all that it was computed from, the lowest at height 0."""
        number = {node: i for i, node in enumerate(nodes)}
        row = Scene("row")
        boxes = row.boxes
        for node, i in number.items():
            boxes.append(self._box(f"{prefix}{i}", node))
            self.keys[node] = boxes[-1].key
        edges = list(dict.fromkeys((number[x], number[node]) for node in nodes for x in node.inputs if x in number))
        columns = _columns(len(nodes), edges)
        halves = [box.height / 2 + (UNDER - DISTANCES[0]) / 2 for box in boxes]  # so that they are UNDER apart
        layout = layered_layout if len(boxes) <= MANY else _stacked_layout
        found = layout(columns, halves, halves, edges, [0] * len(boxes))
        middles = []
        for column in range(max(columns) + 1):
            width = max(box.width for box, own in zip(boxes, columns) if own == column)
            middles.append(left + width / 2)
            left += width + APART
        lowest = min((y - half for y, half in zip(found.x, halves)), default=0.0)
        for box, column, y in zip(boxes, columns, found.x):
            box.x, box.y = middles[column], y - lowest
        for (source, target), bends in zip(edges, found.bends):
            heights = [bend - lowest for bend in bends]
            row.arrows.append(_rightward_arrow(boxes[source], boxes[target], middles[columns[source] + 1:], heights))
        return row

    def _add_before(self, nodes: Sequence[Tensor]) -> None:
        """Add the row below the frames."""
        if nodes:
            left, bottom, _, _ = self.scene.bounds(0)
            row = self._row("b", nodes, left)
            self.scene.add(row, dy=bottom - 36 - max(box.top for box in row.boxes))
            self.scene.texts.append(text_beside(left, bottom - 22, "computed once, for all steps", 11, palette.QUIET))

    def _add_after(self, nodes: Sequence[Tensor], recorded: RecordedSteps) -> None:
        """Add the row above the frames, at their right end, and arrows to it on tracks under it."""
        if not nodes:
            return
        reads = [(node, x) for node in nodes for x in dict.fromkeys(node.inputs) if x in self.times and x in self.keys]
        row = self._row("a", nodes)
        tracks = {node: i for i, node in enumerate(dict.fromkeys(node for node, _ in reads))}
        layout = recorded.drawing.layout
        top = layout.top + 16
        right = max(frame.right for frame in self.scene.frames)
        self.scene.add(row, right - max(box.right for box in row.boxes),
                       top + TRACK * len(tracks) + 12 - min(box.bottom for box in row.boxes))
        of_key = {box.key: box for box in self.scene.boxes}
        for node, x in reads:
            source, target = of_key[self.keys[x]], of_key[self.keys[node]]
            part, k = recorded.where[recorded.origin[x]]
            up = layout.column(k).x + layout.steps.clear_x(part)
            self.scene.arrows.append(_upward_arrow(source, target, up, top + TRACK * tracks[node]))


class RecordedSteps:
    """The frames, drawn from a step graph in which tensors that differ only in their time step are one part."""

    def __init__(self, scene: BackwardScene) -> None:
        self.picture = scene
        self.where: dict[Tensor, Where] = {}  # the part and the time step of a tensor
        self.tensors: Tensors = {}
        self.origin = {node: node for node in scene.nodes}  # of a detached copy, what it was copied from
        self._find_parts()
        self.links: dict[tuple[Tensor, Tensor], bool] = {}  # (input, result) -> whether a gradient passes
        graph = StepGraph(list(self.tensors), self._find_edges())
        assign_layers(graph)
        for part in (part for part in graph.parts if part.node is None):
            delays = [edge.delay for edge in graph.edges if edge.source is part]
            given = all(x is None or x.op is None for x in self.tensors[part].values())
            part.paint = signal_paint(given and not any(delays), delays)
        steps = sorted({scene.times[step] for step in scene.steps})
        self.drawing = UnrolledDrawing(UnrolledSpec("recorded", steps[-1], graph, self.tensors, steps, dense=True))

    def _find_parts(self) -> None:
        """Assign every tensor of a time step to a part, by its role and its number among those of that role."""
        parts: dict[tuple[int, int], Part] = {}
        seen: Counter[tuple[int, int]] = Counter()
        newest: dict[tuple[str, int], Tensor] = {}
        for node in self.picture.nodes:
            if node not in self.picture.times or (node.op is None and not is_copy(node)):
                continue
            k, role, name = self.picture.times[node], self.picture.roles[node], node.signal or ""
            if is_copy(node):
                if node.op is None and not node.requires_grad and (name, k) in newest:
                    self.origin[node] = newest[name, k]
                    continue
                newest[name, k] = node
            key = role, seen[role, k]
            seen[role, k] += 1
            if key not in parts:
                parts[key] = self._part(node, name)
                self.tensors[parts[key]] = {}
            self.tensors[parts[key]][k] = node
            self.where[node] = parts[key], k

    def _part(self, node: Tensor, signal: str) -> Part:
        if is_copy(node):
            return Part(signal, None, 0, clean(signal), palette.OUTPUT)
        shared = self.picture.shared_inputs(node)
        line = self.picture.colors[shared[0]] if shared else palette.OPERATION.line
        return Part(signal, node, 0, self.picture.label(node), palette.Paint(line, palette.OPERATION.fill),
                    [x.label for x in shared])

    def _find_edges(self) -> list[Edge]:
        """Return one edge for all reads that differ only in their time step; note which pass a gradient."""
        edges: dict[tuple[Part, Part, int], Edge] = {}
        for node in self.where:
            for x in node.inputs:
                source = self.origin[x]
                if source in self.where:
                    (a, k), (b, m) = self.where[source], self.where[node]
                    edges.setdefault((a, b, m - k), Edge(a, b, m - k, (), f"{a.label} → {b.label}"))
                    self.links[source, node] = self.links.get((source, node), False) or source is x
        return list(edges.values())

    def draw(self) -> dict[Tensor, str]:
        """Draw the frames; return the box of each tensor.

        Arrows are drawn alike for all steps: those that were not recorded are removed, cuts are marked.
        """
        boxes, scene = self.drawing.draw().boxes, self.drawing.scene
        keys = {node: boxes[self.where[source]].key for node, source in self.origin.items()
                if self.where.get(source) in boxes}
        links = {(keys[x], keys[node]): passes for (x, node), passes in self.links.items() if x in keys}
        scene.arrows = [arrow for arrow in scene.arrows if (arrow.source, arrow.target) in links]
        cuts = {}  # by position: copies of an arrow may coincide
        for arrow in scene.arrows:
            if arrow.color == palette.FEEDBACK:  # the page uses this colour for gradients
                arrow.color = palette.HIDDEN.line
            if not links[arrow.source, arrow.target]:
                cut = mark_cut(arrow, samples=8)
                cuts[cut.x, cut.y] = cut
        scene.texts += [cuts[position] for position in sorted(cuts)]
        for (part, k), box in boxes.items():
            made = self.tensors[part].get(k)
            if part.node is None and made is not None:
                _add_operation(box, made)
        return keys


def is_copy(node: Tensor) -> bool:
    """Whether a tensor is a signal at a time step, not an operation in its equation."""
    return node.t is not None and node.name is not None and node.name == node.signal


def _constant(x: Tensor) -> str:
    """Return the name of a tensor without a box of its own, or its value."""
    return clean(x.label, LABEL_LENGTH) or (f"{x.item():.3g}" if x.size == 1 and x.op is None else "")


def _add_operation(box: Box, node: Tensor) -> None:
    """Write under a label the operation that made the tensor, if it fits."""
    name = operation_name(node)
    if name not in ("", "identity", "broadcastto") and "\n" not in box.label and (
            text_width(name, MINOR) <= box.width - 8):
        box.label += f"\n{name}"


# ---- the time step of each tensor
def _align(nodes: Sequence[Tensor]) -> tuple[dict[Tensor, int], dict[Tensor, int]]:
    """Return the time step of each tensor that has one, and its role: a number, the same at every step.

    A tensor computed outside of a recurrence but equally for every step, such as a loss at each and their
    running total, belongs to the step that it is computed from.
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
    for node in reversed(nodes):  # a role that occurs at one step only is outside, unless a later step needs it
        if node in times and node.t is None and len(found[roles[node]]) == 1 and node not in needed:
            del times[node]
        elif node in times:
            needed.update(node.inputs)
    return times, roles


def _role(node: Tensor, times: Mapping[Tensor, int], roles: Mapping[Tensor, int]) -> tuple[Any, ...]:
    """Return a tensor's operation with the roles of its inputs, without any time step."""
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


# ---- positions of a row
def _columns(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return each node's column: right of its inputs; for one without inputs, just left of its users."""
    columns = [0] * count
    users: dict[int, list[int]] = {}
    for source, target in edges:  # by target, oldest first
        columns[target] = max(columns[target], columns[source] + 1)
        users.setdefault(source, []).append(target)
    targets = {target for _, target in edges}
    for node, near in users.items():
        if node not in targets:
            columns[node] = min(columns[target] for target in near) - 1
    return columns


def _stacked_layout(columns: Sequence[int], lefts: Sequence[float], rights: Sequence[float],
                    edges: Sequence[tuple[int, int]], sides: Sequence[int]) -> Coordinates:
    """Return coordinates as layered_layout() does, in linear time: boxes in the given order, edges straight."""
    filled: dict[int, float] = {}
    x = []
    for column, left, right in zip(columns, lefts, rights):
        low = filled.get(column, -left)
        x.append(low + left)
        filled[column] = low + left + right + DISTANCES[0]
    return Coordinates(x, [[] for _ in edges])


def _rightward_arrow(source: Box, target: Box, xs: Sequence[float], ys: Sequence[float]) -> Arrow:
    """Return an arrow to the right through the points with these coordinates, as many as there are `ys`."""
    points = [source.side(source.y, 1), *zip(xs, ys), target.side(target.y, -1)]
    curves = [straight_line(a, b) if abs(a[1] - b[1]) < 0.1 else horizontal_curve(a, b) for a, b in pairwise(points)]
    return Arrow(source.key, target.key, join_curves(*curves))


def _upward_arrow(source: Box, target: Box, x: float, y: float) -> Arrow:
    """Return an arrow that goes up at x, along the track at height y, and enters its target from the left."""
    near, start = target.left - 15, (source.x, source.top)
    aside = [(source.x, source.top + 10), (x, source.top + 10)] if abs(x - source.x) > 1 else []
    corners = [start, *aside, (x, y), (near, y), (near, target.y), (target.left, target.y)]
    return Arrow(source.key, target.key, round_corners(corners, 8))
