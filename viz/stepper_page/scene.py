"""A backward pass as a scene: every tensor that it passes is one box.

Tensors that an unroller made are in the frame of their time step, laid out as by viz.unrolled, the frames of several
runs one after another. Tensors computed from them outside of the recurrence, such as the loss, form a row above, with
the terms that are computed from parameters alone; or, if a run reads them, a row before it. A graph without time steps
is one row, its inputs on the left. All of this is found from the recorded tensors, which know the key of their run: no
definition and no run is needed. What a constant in an equation is computed from isn't recorded; it is drawn as at
another step, whose operations are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from minigrad.formats.describe import operation_name
from rnn.language.graphs import postorder
from rnn.unrolling.run_key import RunKey, copied_from, run_key
from viz.annotations.alt import graph_text, listed
from viz.annotations.cuts import mark_cut
from viz.layout.folding import Tensors, Where
from viz.layout.layered import DISTANCES, Coordinates, layered_layout
from viz.layout.links import Link
from viz.layout.step_graph import LABEL_LENGTH, Edge, Part, StepGraph, assign_layers, operation_label, signal_paint
from viz.layout.step_layout import HEIGHT, SMALL, box_width
from viz.layout.unrolled_layout import UnrolledSpec
from viz.pictures.run_list import numbered
from viz.pictures.runs import Row, RunsDrawing
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import (
    Arrow,
    Box,
    Point,
    Scene,
    horizontal_curve,
    join_curves,
    round_corners,
    straight_line,
    text_beside,
)

APART = 34.0  # from column to column of a row of boxes
UNDER = 14.0  # from a box to the one under it in such a column
TRACK = 9.0  # between arrows that run side by side above the frames
ASIDE = 6.0  # between arrows that go up side by side to the row above the frames
FEW = 4  # a leaf with more users than this has no box; their boxes show its name
MANY = 400  # boxes in a row, above which crossings are not reduced: it would take too long
MINOR = 8.5  # size of an operation's name under a signal's


class BackwardScene:
    """The scene of a backward pass through `nodes`: a tensor and all that it was computed from, oldest first.

    Attributes:
        scene: boxes, arrows and frames, after draw().
        keys: the box of each drawn tensor; of a detached copy, that of the original.
        times: the time step in whose frame a tensor is drawn.
        runs: the number of the run that it belongs to.
        names: of the runs.
        models: of a constant in an equation, the result in its place at another step.
        once: tensors computed from parameters alone, outside of the recurrence.
        shared, colors: parameters, and tensors computed from them alone, that all time steps use; their colours.
    """

    def __init__(self, nodes: Sequence[Tensor]) -> None:
        self.nodes = nodes
        self.scene = Scene("backward pass")
        self.keys: dict[Tensor, str] = {}
        run_keys = _number_runs(nodes)
        self.names = numbered([key.name if key else "" for key in run_keys])
        self.times, self.roles, self.runs, self.models = _align(nodes, run_keys)
        self.steps = dict.fromkeys(node for node in nodes if node in self.times
                                   and any(self.runs.get(x) == self.runs[node] for x in node.inputs))
        if not self.steps:
            self.times = {}
        self.after: set[Tensor] = set()
        for node in nodes:
            if node not in self.times and any(x in self.times or x in self.after for x in node.inputs):
                self.after.add(node)
        self.once = {node for node in nodes if self.steps and node.op is not None and node not in self.times
                     and node not in self.after}
        self.between = _read_by_runs(nodes, self.times, self.runs, self.after | self.once)
        self.after.update(self.once)  # the terms of a loss that are computed from parameters alone
        self.after.difference_update(self.between)
        own = self.once.intersection(self.between)
        used = {x for node in (*self.steps, *self.between) if node not in own for x in node.inputs}
        self.shared = [x for x in nodes if x.requires_grad and x not in self.times and x not in self.after
                       and (x not in self.between or x in own) and (x.op is None or x in used)]
        self.colors = {x: palette.parameter(i) for i, x in enumerate(self.shared)}

    def draw(self) -> BackwardScene:
        """Add the frames of the time steps and the rows above and below, or one row."""
        self._draw()
        self.scene.alt = self._text()
        return self

    def _draw(self) -> None:
        if not self.steps:
            uses = Counter(x for node in self.nodes for x in node.inputs)
            self.scene = self.row("n", [x for x in self.nodes if x.op is not None or uses[x] <= FEW])
            return
        drawn = RecordedRuns(self)
        self.scene = drawn.draw()
        self._add_after([x for x in self.nodes if x in self.after], drawn)

    def _text(self) -> str:
        """Return the picture in words."""
        loss = clean(self.nodes[-1].label or "the loss")
        steps = []
        for run, name in enumerate(self.names if self.steps else []):
            times = sorted({self.times[x] for x in self.steps if self.runs[x] == run})
            signals = dict.fromkeys(clean(x.signal or "") for x in self.nodes
                                    if is_copy(x) and x in self.times and self.runs[x] == run)
            own = f"{clean(name)}: t" if len(self.names) > 1 else "From left to right the time steps t"
            steps.append(f"{own} = {times[0]} … {times[-1]} of {listed(signals)}.")
        return " ".join([f"The graph from which {loss} is computed: {graph_text(self.nodes)}", *steps])

    def step_names(self) -> dict[Tensor, int | str]:
        """Return the time step of each tensor that has one; of several runs with the run's name, "2 of decoder"."""
        if len(self.names) < 2:
            return dict(self.times)
        return {node: f"{k} of {clean(self.names[self.runs[node]])}" for node, k in self.times.items()}

    def step_order(self, among: Collection[int | str | None] | None = None) -> list[int | str]:
        """Return the names of all time steps in order; of several runs those that an equation computes.

        Args:
            among: names of time steps; only the runs that they belong to count.
        """
        names = self.step_names()
        runs = {self.runs[node] for node, name in names.items() if among is None or name in among}
        order = {(self.runs[node], k): names[node] for node, k in self.times.items()
                 if self.runs[node] in runs and (len(self.names) < 2 or node in self.steps)}
        return [order[place] for place in sorted(order)]

    def repeated_signals(self) -> set[str]:
        """Return the names of signals that several runs have."""
        owners: dict[str, set[int]] = {}
        for node, run in self.runs.items():
            if node.signal is not None:
                owners.setdefault(node.signal, set()).add(run)
        return {name for name, runs in owners.items() if len(runs) > 1}

    # ---- labels
    def label(self, node: Tensor) -> str:
        """Return the text in the box of an operation's result: `W @`, `+ b`, `1 −`, `tanh`."""
        assert node.op is not None
        fixed = {i: x for i, x in enumerate(node.inputs) if not self.has_box(x)}
        texts = {i: _constant(x) for i, x in fixed.items()}
        label = operation_label(node.op, len(node.inputs), texts, any(x.size == 1 for x in fixed.values()))
        if len(node.inputs) == 2 and len(fixed) == 1:
            return label
        named = list(dict.fromkeys(texts[i] for i, x in fixed.items() if x.label))
        if len(node.inputs) == len(fixed) == 2 and all(texts.values()) and node.op.symbol:
            glyph = "×" if isinstance(node.op, ops.Mul) and any(x.size == 1 for x in fixed.values()) else label
            return f"{texts[0]} {glyph} {texts[1]}"
        return " ".join([label, ", ".join(named[:3]) + ", …" * (len(named) > 3)]) if named else label

    def has_box(self, x: Tensor) -> bool:
        """Whether a tensor has a box, now or when its row is drawn: a constant in an equation has none."""
        return x in self.keys or x in self.between or (
            x in self.times and (x.op is not None or is_copy(x) or x in self.models))

    def operation(self, node: Tensor) -> str:
        """Return the text under the name of a tensor: its operation, with the operands that have no box."""
        name = operation_name(node)
        if name in ("", "identity", "broadcastto"):
            return ""
        return self.label(node) if any(x.label and not self.has_box(x) for x in node.inputs) else name

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
        made = self.operation(node)
        box = Box(key, 0.0, 0.0, max(box_width([label], 12), text_width(made, MINOR) + 12), HEIGHT, label, paint,
                  rounded=node.op is not None)
        _add_operation(box, made)
        return box

    # ---- rows of boxes outside of the frames
    def row(self, prefix: str, nodes: Sequence[Tensor], left: float = 0.0) -> Scene:
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

    def _add_after(self, nodes: Sequence[Tensor], drawn: RecordedRuns) -> None:
        """Add the row above the frames, at their right end, and arrows to it on tracks under it."""
        if not nodes:
            return
        reads = [(node, x) for node in nodes for x in dict.fromkeys(node.inputs) if x in drawn.where and x in self.keys]
        row = self.row("a", nodes)
        tracks = {node: i for i, node in enumerate(dict.fromkeys(node for node, _ in reads))}
        first = [box.key for box in row.boxes if box.left < min(box.right for box in row.boxes)]
        top = drawn.runs.top + 16
        right = max(frame.right for frame in self.scene.frames)
        self.scene.add(row, right - max(box.right for box in row.boxes),
                       top + TRACK * len(tracks) + 12 - min(box.bottom for box in row.boxes))
        of_key = {box.key: box for box in self.scene.boxes}
        for node, x in reads:
            source, target = of_key[self.keys[x]], of_key[self.keys[node]]
            corners, up = drawn.runs.leave(drawn.where[x], source)
            near = target.left - 15 - (ASIDE * tracks[node] if target.key in first else 0.0)
            self.scene.arrows.append(_upward_arrow(source, target, corners, up, top + TRACK * tracks[node], near))


class RecordedRuns:
    """The frames of all runs, and the rows of what is computed between them.

    Attributes:
        where: of each tensor that is drawn in a run or between two.
        runs: the drawing, after draw().
    """

    def __init__(self, scene: BackwardScene) -> None:
        self.picture = scene
        self.recorded = [RecordedSteps(scene, number) for number in range(len(scene.names))]
        rows = [_Between(scene, number) for number in range(len(scene.names))]
        self.rows = [row for row in rows if row.nodes]
        self.where = {x: steps.where[steps.origin[x]] for steps in self.recorded for x in steps.origin
                      if steps.origin[x] in steps.where}
        self.where |= {x: where for row in self.rows for x, where in row.where.items()}
        blocks = [(row.run, 0, row.row) for row in self.rows]
        blocks += [(number, 1, steps.drawing) for number, steps in enumerate(self.recorded)]  # type: ignore[misc]
        order = sorted(blocks, key=itemgetter(0, 1))
        self._names = [scene.names[number] if kind else "" for number, kind, _ in order]
        self.runs = RunsDrawing([block for *_, block in order], self._links(), [[i] for i in range(len(order))])

    def _links(self) -> list[Link]:
        """Return all reads from one run to another, and from and to what is between them."""
        parts = [*(steps.parts for steps in self.recorded), *(row.parts for row in self.rows)]
        block = {part: i for i, own in enumerate(parts) for part in own}
        found = []
        for node in self.picture.nodes:
            if node not in self.where:
                continue
            reads = [(x, False) for x in dict.fromkeys(node.inputs) if x in self.where]
            if node.op is None and (original := self._original(node)) is not None:
                reads.append((original, original.requires_grad))
            for x, cut in reads:
                source, target = self.where[x], self.where[node]
                if block[source[0]] != block[target[0]]:
                    cut = cut or any(steps.origin.get(x, x) is not x for steps in self.recorded)
                    found.append(Link(source, target, x, node, None, frozenset([node]), (), cut))
        return found

    def _original(self, node: Tensor) -> Tensor | None:
        """Return the value of another run that an initial value is a constant copy of."""
        copied = copied_from(node)
        if copied is None:
            return None
        return next((x for x in self.picture.nodes if is_copy(x) and x.op is not None
                     and (run_key(x), x.signal, x.t) == copied), None)

    def draw(self) -> Scene:
        """Draw all runs and links, and note the box of each tensor.

        Arrows are drawn alike for all steps of a run: those that were not recorded are removed, cuts are marked.
        """
        runs, scene = self.runs, self.runs.scene
        runs.add_links()
        if len(self.recorded) > 1:
            runs.add_names(self._names)
        links: dict[tuple[str, str], bool] = {(arrow.source, arrow.target): True for arrow, _ in runs.arrows}
        for row in self.rows:
            links.update(dict.fromkeys(((arrow.source, arrow.target) for arrow in row.row.scene.arrows), True))
            self.picture.keys.update((node, row.row.beside[part].key) for node, (part, _) in row.where.items())
        for steps in self.recorded:
            self.picture.keys.update(steps.keys())
            links |= steps.passes()
        linked = {id(arrow) for arrow, _ in runs.arrows}
        scene.arrows = [arrow for arrow in scene.arrows if (arrow.source, arrow.target) in links]
        cuts = {}  # by position: copies of an arrow may coincide
        for arrow in scene.arrows:
            if arrow.color == palette.FEEDBACK:  # the page uses this colour for gradients
                arrow.color = palette.HIDDEN.line
            if id(arrow) not in linked and not links[arrow.source, arrow.target]:
                cut = mark_cut(arrow, samples=8)
                cuts[cut.x, cut.y] = cut
        scene.texts += [cuts[position] for position in sorted(cuts)]
        for steps in self.recorded:
            steps.add_operations()
        return scene


class _Between:
    """The tensors that are computed outside of all runs, and read by a run first of all.

    Attributes:
        run: its number.
        nodes, where: the tensors, and the place of each.
        row: their boxes.
    """

    def __init__(self, scene: BackwardScene, run: int) -> None:
        self.run = run
        self.nodes = [node for node in scene.nodes if scene.between.get(node) == run]
        self.where: dict[Tensor, Where] = {
            node: (Part("", None, 0, node.label, palette.OPERATION, once=True), 0) for node in self.nodes}
        self.parts = [part for part, _ in self.where.values()]
        if self.nodes:
            drawn = scene.row(f"m{run}n", self.nodes)
            if scene.once.issuperset(self.nodes):
                drawn.texts.append(text_beside(0.0, -14.0, "computed once", 11, palette.QUIET))
            self.row = Row(drawn, dict(zip(self.parts, drawn.boxes)))


class RecordedSteps:
    """The frames of a run, drawn from a step graph in which tensors that differ only in their time step are one part.

    Attributes:
        where: the part and the time step of a tensor.
        origin: of a detached copy, what it was copied from; of others, themselves.
    """

    def __init__(self, scene: BackwardScene, run: int) -> None:
        self.picture, self.run = scene, run
        self.where: dict[Tensor, Where] = {}
        self.tensors: Tensors = {}
        self.origin = {node: node for node in scene.nodes if node in scene.times and scene.runs[node] == run}
        self._find_parts()
        self._find_rearranged()
        self.links: dict[tuple[Where, Where], bool] = {}  # from, to: whether a gradient passes, if there is one
        graph = StepGraph(list(self.tensors), self._find_edges())
        assign_layers(graph)
        for part in (part for part in graph.parts if part.node is None):
            delays = [edge.delay for edge in graph.edges if edge.source is part]
            given = all(x is None or x.op is None for x in self.tensors[part].values())
            part.paint = signal_paint(given and not any(delays), delays)
        self.parts = graph.parts
        steps = sorted({scene.times[step] for step in scene.steps if scene.runs[step] == run})
        keys = {key: ("", key.name) for key in map(run_key, scene.nodes) if key is not None}
        own = next((run_key(node) for node in self.where if is_copy(node)), None)
        self.drawing = UnrolledDrawing(UnrolledSpec("recorded", steps[-1], graph, self.tensors, steps, dense=True,
                                                    key=own, runs=keys))

    def _find_parts(self) -> None:
        """Assign every tensor of a time step to a part, by its role and its number among those of that role."""
        parts: dict[tuple[int, int], Part] = {}
        seen: Counter[tuple[int, int]] = Counter()
        newest: dict[tuple[str, int], Tensor] = {}
        for node in self.origin:
            if node.op is None and not is_copy(node) and node not in self.picture.models:
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
                parts[key] = self._part(self.picture.models.get(node, node), name)
                self.tensors[parts[key]] = {}
            self.tensors[parts[key]][k] = node
            self.where[node] = parts[key], k

    def _find_rearranged(self) -> None:
        """Find the origin of constants that have, at every step, the values of the same signal in another shape."""
        copies: dict[int, dict[str, Tensor]] = {}
        constants: dict[int, list[Tensor]] = {}
        for node in self.origin:
            if is_copy(node):
                copies.setdefault(self.picture.times[node], {})[node.signal or ""] = node
            elif node.op is None and node.size > 1 and node not in self.where:
                constants.setdefault(self.picture.roles[node], []).append(node)
        for nodes in constants.values():
            own = [copies.get(self.picture.times[node], {}) for node in nodes]
            same = [{name for name, copy in found.items() if copy.size == node.size
                     and np.array_equal(copy._array.ravel(), node._array.ravel())} for node, found in zip(nodes, own)]
            names = set.intersection(*same)
            if len(names) == 1:
                name, = names
                self.origin.update((node, found[name]) for node, found in zip(nodes, own))

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
        for node in list(self.where):
            for x in node.inputs:
                source = self.origin.get(x)
                if source in self.where:
                    self._add_edge(edges, self.where[source], self.where[node], source is x or not source.requires_grad)
        for node, model in self.picture.models.items():
            if node in self.where:
                self._add_unrecorded(edges, model, self.where[node][1])
        return list(edges.values())

    def _add_edge(self, edges: dict[tuple[Part, Part, int], Edge], source: Where, target: Where, passes: bool) -> None:
        (a, k), (b, m) = source, target
        edges.setdefault((a, b, m - k), Edge(a, b, m - k, (), f"{a.label} → {b.label}"))
        self.links[source, target] = self.links.get((source, target), False) or passes

    def _add_unrecorded(self, edges: dict[tuple[Part, Part, int], Edge], model: Tensor, k: int) -> None:
        """Add what a constant at step k is computed from, which isn't recorded: the same as its model's operands."""
        waiting = [(model, k)]
        while waiting:
            node, k = waiting.pop()
            part, own = self.where[node]
            for x in node.inputs:
                if (source := self.origin.get(x)) not in self.where:
                    continue
                other, read = self.where[source]
                place = other, read - own + k
                known = self.tensors[other].get(place[1])
                if known is None and (place, (part, k)) not in self.links:
                    self.tensors[other][place[1]] = None
                    if source.op is not None and not is_copy(source):
                        waiting.append((source, place[1]))
                self._add_edge(edges, place, (part, k), known is None or not known.requires_grad)

    def keys(self) -> dict[Tensor, str]:
        """Return the box of each tensor."""
        boxes = self.drawing.boxes
        return {node: boxes[self.where[source]].key for node, source in self.origin.items()
                if self.where.get(source) in boxes}

    def passes(self) -> dict[tuple[str, str], bool]:
        """Return for each arrow that was recorded, by the keys of its boxes, whether a gradient passes."""
        boxes = self.drawing.boxes
        return {(boxes[source].key, boxes[target].key): passes for (source, target), passes in self.links.items()
                if source in boxes and target in boxes}

    def add_operations(self) -> None:
        """Write the operations that made signals under their names."""
        for (part, k), box in self.drawing.boxes.items():
            made = self.tensors[part].get(k)
            if part.node is None and made is not None and made.op is not None:
                _add_operation(box, self.picture.operation(made))


def is_copy(node: Tensor) -> bool:
    """Whether a tensor is a signal at a time step, not an operation in its equation."""
    return node.t is not None and node.name is not None and node.name == node.signal


def _constant(x: Tensor) -> str:
    """Return the name of a tensor without a box of its own, or its value."""
    return clean(x.label, LABEL_LENGTH) or (f"{x.item():.3g}" if x.size == 1 and x.op is None else "")


def _add_operation(box: Box, made: str) -> None:
    """Write under a label the operation that made the tensor, shortened if it has to be; nothing if it can't."""
    if "\n" in box.label:
        return
    room = box.width - 8
    shown = made if text_width(made, MINOR) <= room else ""
    if made and not shown and " " in made:  # with operands
        shown = next((text for n in range(len(made) - 1, 3, -1)
                      if text_width(text := f"{made[:n].rstrip()}…", MINOR) <= room), "")
    if shown:
        box.label += f"\n{shown}"


# ---- the time step of each tensor
def _number_runs(nodes: Sequence[Tensor]) -> dict[RunKey | None, int]:
    """Return the number of each run of which something is computed from its own tensors, in the order of creation."""
    found: dict[RunKey | None, int] = {}
    for node in nodes:
        key = run_key(node)
        if node.t is not None and key not in found and any(x.t is not None and run_key(x) is key for x in node.inputs):
            found[key] = len(found)
    return found


def _read_by_runs(nodes: Sequence[Tensor], times: Mapping[Tensor, int], runs: Mapping[Tensor, int],
                  after: Collection[Tensor]) -> dict[Tensor, int]:
    """Return the tensors outside of the runs that a run reads, each with the number of the first of these runs."""
    found: dict[Tensor, int] = {}
    for node in reversed(nodes):
        reader = runs[node] if node in times else found.get(node)
        if reader is not None:
            for x in node.inputs:
                if x in after:
                    found[x] = min(reader, found.get(x, reader))
    return found


def _align(nodes: Sequence[Tensor], run_keys: Mapping[RunKey | None, int]
           ) -> tuple[dict[Tensor, int], dict[Tensor, int], dict[Tensor, int], dict[Tensor, Tensor]]:
    """Return the time step of each tensor that has one; its role: a number, the same at every step; and its run.

    Last, the model of each constant that is an operation's result: the same at a step that needs a gradient there.

    A tensor computed outside of a recurrence but equally for every step, such as a loss at each and their
    running total, belongs to the step that it is computed from.
    """
    times: dict[Tensor, int] = {}
    roles: dict[Tensor, int] = {}
    runs: dict[Tensor, int] = {}
    numbers: dict[Any, int] = {}
    for node in nodes:
        if node.t is not None and run_key(node) in run_keys:
            times[node], runs[node] = node.t, run_keys[run_key(node)]
        elif node.t is None and node.op is not None:
            came = {(runs[x], times[x]) for x in node.inputs if x in times}
            if len(came) == 1 or (came and len(node.inputs) == 2):
                runs[node], times[node] = max(came)
    models = _find_models(nodes, times, runs)
    for node in nodes:
        if node in roles:
            continue
        model = models.get(node, node)
        for x in postorder([model], lambda x: [] if is_copy(x) else [y for y in x.inputs if y not in roles]):
            roles[x] = numbers.setdefault(_role(x, times, roles, runs), len(numbers))
        roles[node] = roles[model]
    found: dict[tuple[int, int], set[int]] = {}
    for node, k in times.items():
        found.setdefault((runs[node], roles[node]), set()).add(k)
    needed: set[Tensor] = set()
    for node in reversed(nodes):  # a role that occurs at one step only is outside, unless a later step needs it
        if node in times and node.t is None and len(found[runs[node], roles[node]]) == 1 and node not in needed:
            del times[node], runs[node]
        elif node in times:
            needed.update(x for x in node.inputs if runs.get(x) == runs[node])
    return times, roles, runs, models


def _find_models(nodes: Sequence[Tensor], times: Mapping[Tensor, int], runs: Mapping[Tensor, int]
                 ) -> dict[Tensor, Tensor]:
    """Return for each constant in an equation the operation's result in its place at another step.

    The operands of what needs no gradient aren't recorded, as of [h[t-1], x[t]] at t = 1. All copies of a signal are
    computed by one equation, so they are compared with the one of which most operations are recorded.
    """
    copies: dict[tuple[int, str | None], list[Tensor]] = {}
    for node in nodes:
        if is_copy(node) and node.op is not None and node in times:
            copies.setdefault((runs[node], node.signal), []).append(node)
    found: dict[Tensor, Tensor] = {}
    for own in copies.values():
        model = max(own, key=lambda copy: len(postorder([copy], _operands_within)))
        for copy in own:
            pairs, seen = [(model, copy)] * (type(model.op) is type(copy.op)), {copy}
            while pairs:
                for there, here in zip(*(x.inputs for x in pairs.pop())):
                    if here in seen or is_copy(here) or is_copy(there) or here.t is None or there.op is None:
                        continue
                    seen.add(here)
                    if here.op is None:
                        found.setdefault(here, there)
                    elif type(here.op) is type(there.op):
                        pairs.append((there, here))
    return found


def _operands_within(x: Tensor) -> list[Tensor]:
    """Return the operands of an operation that are operations of the same equation."""
    return [y for y in x.inputs if y.op is not None and y.t is not None and not is_copy(y)]


def _role(node: Tensor, times: Mapping[Tensor, int], roles: Mapping[Tensor, int], runs: Mapping[Tensor, int]
          ) -> tuple[Any, ...]:
    """Return a tensor's operation with the roles of its inputs, without any time step."""
    if is_copy(node):
        return "copy", node.name
    inputs: list[Any] = []
    for x in node.inputs:
        if node not in times or x not in times or runs[node] != runs[x]:
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


def _upward_arrow(source: Box, target: Box, first: Sequence[Point], x: float, y: float, near: float) -> Arrow:
    """Return an arrow that goes up at x, along the track at height y, up at `near`, and into its target's left side."""
    corners = [*first, (x, y), (near, y), (near, target.y), (target.left, target.y)]
    return Arrow(source.key, target.key, round_corners(corners, 8))
