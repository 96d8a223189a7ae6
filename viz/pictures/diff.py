"""What two graphs differ in: two definitions, two runs or two tensors in one picture.

Missing (only in the first): red and dashed. Extra (only in the second): green and bold. Changed:
amber, its boxes with sharp corners, its arrows dotted. All else is grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from minigrad import Tensor
from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.dependencies import nodes
from rnn.language.equations import Expression
from viz.layout.columns import kept
from viz.layout.copies import Copies, copies_of
from viz.layout.step_graph import Edge, Part, Parts, inputs_first, parts_of, set_layers
from viz.render import palette
from viz.render.digraph import Picture, literal, picture
from viz.render.fonts import clean
from viz.render.palette import Paint
from viz.render.scene import Arrow, Box, Scene, Text, beside

from .graph import MANY, add_node, drawable, empty, label
from .rolled import LONGEST, _Rolled
from .unrolled import MANY as FRAMES
from .unrolled import _Unrolled

SAME, MISSING, EXTRA, CHANGED = "same", "missing", "extra", "changed"
LOOK: dict[str, tuple[Paint, float]] = {  # outline and filling, and how thick
    SAME: (palette.SAME, 1.2), MISSING: (palette.MISSING, 1.6), EXTRA: (palette.EXTRA, 3.2),
    CHANGED: (palette.CHANGED, 2.2)}
STYLES = {MISSING: "red, dashed", EXTRA: "green, bold", CHANGED: "amber, sharp corners, dotted"}


def diff(a: Any, b: Any, level: str = "signals", *, values: bool = False, steps: Iterable[int] | None = None,
         dark: bool = False) -> Picture:
    """Draw what two graphs differ in: what `b` lacks of `a`, has besides, and has otherwise.

    Signals are matched by name, copies by name and time step, operations by their place in an
    equation, tensors by name or by their place in the graph.

    Args:
        a, b: two Cells, two runs or two Tensors.
        level: of Cells and runs: "signals", or "ops" to compare operations too.
        values: of runs and Tensors: numbers that differ are a change too.
        steps: of runs: the steps to draw, all others are folded. All are compared.
        dark: light lines on dark ground.

    Raises:
        TypeError: where the two are of different kinds.
        ValueError: for a level that there isn't; where the two can't stand in one picture.
    """
    kinds = [next((kind for kind in (Cell, Run, Tensor) if isinstance(thing, kind)), None) for thing in (a, b)]
    if kinds[0] is None or kinds[0] is not kinds[1]:
        raise TypeError(f"viz.diff compares two Cells, two runs or two Tensors, not a {type(a).__name__} with a "
                        f"{type(b).__name__}")
    if isinstance(a, Tensor):
        return _tensors(a, b, values, dark)
    both = _Definitions(a, b, level) if isinstance(a, Cell) else _Definitions(a.cell, b.cell, level)
    return picture(_cells(both) if isinstance(a, Cell) else _runs(both, a, b, steps, values), dark)


class _Definitions:
    """Two definitions as one: the parts and edges of both.

    Attributes:
        parts: of both. What both have is the second's.
        first: for each part, the first definition's; second: likewise the second's.
        owners: for each edge, whether the first and the second have it.
        changed: parts and edges that both have, and not the same.
    """

    def __init__(self, a: Cell, b: Cell, level: str) -> None:
        self.a, self.b = a, b
        check(a)
        check(b)
        old, new = parts_of(a, level), parts_of(b, level)
        self.sides = old, new
        names = dict.fromkeys([*old.colors, *new.colors])
        self.parts = Parts(b, list(new.parts), list(new.edges), {name: palette.parameter(i) for i, name in
                                                                 enumerate(names)})
        self.second = {part: part for part in new.parts}
        self.first = dict(_matched(old.parts, new.parts))
        self.changed: set[Part | Edge] = {part for part, before in self.first.items()
                                          if _described(before, level) != _described(part, level)}
        for part, before in self.first.items():
            if part.label != before.label:
                part.label = f"{before.label} → {part.label}"
        self._add_missing(old)
        self.owners: dict[Edge, tuple[bool, bool]] = {}
        self._join_edges(old, new)
        if len(inputs_first(self.parts.parts, [e for e in self.parts.edges if not e.delay])) < len(self.parts.parts):
            raise ValueError(f"{clean(a.name)!r} and {clean(b.name)!r} compute the same signals in opposite order, so "
                             "they can't stand in one picture: draw each by itself")
        set_layers(self.parts)

    def _add_missing(self, old: Parts) -> None:
        """Parts that only the first has; operations stand with the second's signal of that name."""
        known = set(self.first.values())
        for part in old.parts:
            if part not in known:
                added = replace(part, signal=self.b.signals.get(part.signal.name, part.signal))
                self.first[added] = part
                self.parts.parts.append(added)

    def _join_edges(self, old: Parts, new: Parts) -> None:
        joined = {before: part for part, before in self.first.items()}
        before, after = _by_ends(old.edges, joined), _by_ends(new.edges, {})
        for ends, edge in after.items():
            self.owners[edge] = ends in before, True
            if ends in before and list(before[ends].names) != list(edge.names):
                self.changed.add(edge)
        for ends, edge in before.items():
            if ends not in after:
                added = Edge(ends[0], ends[1], edge.delay, edge.names, edge.text)
                self.parts.edges.append(added)
                self.owners[added] = True, False

    def state(self, thing: Part | Edge) -> str:
        """Whose a part or an edge is, whatever the step."""
        owners = self.owners[thing] if isinstance(thing, Edge) else (thing in self.first, thing in self.second)
        return _state(*owners, thing in self.changed)


def _state(in_first: bool, in_second: bool, changed: bool = False) -> str:
    if not in_first or not in_second:
        return MISSING if in_first else EXTRA
    return CHANGED if changed else SAME


def _matched(old: Sequence[Part], new: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Pairs (of the second, of the first): signals by name, operations by their place in an equation."""
    signals = {part.signal.name: part for part in old if part.node is None}
    pairs = [(part, signals[part.signal.name]) for part in new if part.node is None and part.signal.name in signals]
    for name, lead in dict.fromkeys((part.signal.name, part.lead) for part in new if part.node is not None):
        before, after = ([part for part in side if part.node is not None and part.signal.name == name
                          and part.lead == lead] for side in (old, new))
        keys = [[(part.label, _operation(part)) for part in side] for side in (before, after)]
        for what, i, i_end, j, j_end in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
            if what in ("equal", "replace"):  # what was replaced is put together from the result backward
                pairs += [(x, y) for x, y in zip(after[j:j_end][::-1], before[i:i_end][::-1])
                          if what == "equal" or _operands(x) == _operands(y)]
    return pairs


def _operation(part: Part) -> str:
    return "" if part.node is None else repr(part.node.op)


def _operands(part: Part) -> int:
    """How many of an operation's operands are computed."""
    return 0 if part.node is None else sum(isinstance(x, Expression) for x in part.node.inputs)


def _described(part: Part, level: str) -> Any:
    """What makes a part the same as another."""
    if part.node is not None:
        leaves = nodes([x for x in part.node.inputs if isinstance(x, Tensor)])
        return part.label, repr(part.node.op), [leaf.shape for leaf in leaves if isinstance(leaf, Tensor)]
    equation = repr(part.signal.equation) if level == "signals" else None
    return equation, part.signal.given, part.signal.shape, part.lead


def _by_ends(edges: Iterable[Edge], joined: Mapping[Part, Part]) -> dict[tuple[Part, Part, int, int], Edge]:
    """Edges by source, target, delay, and which it is of those that share these."""
    found: dict[tuple[Part, Part, int, int], Edge] = {}
    for edge in edges:
        ends = joined.get(edge.source, edge.source), joined.get(edge.target, edge.target), edge.delay
        number = 0
        while (*ends, number) in found:
            number += 1
        key = (*ends, number)
        found[key] = edge
    return found


# ---- definitions
def _cells(both: _Definitions) -> Scene:
    drawing = _Rolled(both.b, parts=both.parts)
    for part, box in drawing.boxes.items():
        _paint_box(box, both.state(part))
    for arrow, edge in drawing.ways:
        states = {both.state(edge)}
        if not arrow.head and edge in drawing.entries:  # the way to a delay, which several share
            group = drawing.entries[edge].group
            states = {both.state(other) for other, entry in drawing.entries.items() if entry.group == group}
        _paint_arrow(arrow, states.pop() if len(states) == 1 else SAME)
    for text in drawing.scene.texts:
        text.color = palette.QUIET
    _write_equations(drawing.scene, both, drawing.right + 36)
    _write_caption(drawing.scene, f"{clean(both.a.name)} → {clean(both.b.name)}",
                   map(both.state, both.parts.parts), map(both.state, both.parts.edges))
    return drawing.scene


def _write_equations(scene: Scene, both: _Definitions, x: float) -> None:
    """The equations that differ: as they were, as they are."""
    before, after = ([clean(repr(equation), LONGEST) for equation in cell.equations] for cell in (both.a, both.b))
    lines = [(f"−  {line}", palette.MISSING) for line in before if line not in after]
    lines += [(f"+  {line}", palette.EXTRA) for line in after if line not in before]
    _, bottom, _, top = scene.bounds(0)
    for number, (line, paint) in enumerate(lines):
        y = (bottom + top) / 2 + (len(lines) / 2 - number - 0.5) * 18
        scene.texts.append(beside(x, y, line, 11, paint.line))


# ---- runs
def _runs(both: _Definitions, a: Run, b: Run, steps: Iterable[int] | None, values: bool) -> Scene:
    longer = a if a.T > b.T else b
    shown = kept(longer.T, True, steps)
    if len(shown) > FRAMES:
        raise ValueError(f"a picture of {len(shown)} steps can't be read: choose at most {FRAMES} with steps=[...]")
    compared = _Compared(both, (a, b), shown, values)
    drawing = _Unrolled(longer, None, shown, shelf=False, given=(both.parts, compared.copies))
    for (part, k), box in drawing.boxes.items():
        column = drawing.columns[drawing.column_of[k]]
        _paint_box(box, _together(compared.states[part, step] for step in column.steps
                                  if (part, step) in compared.states))
    ways = [(arrow, edge, k) for arrow, edge, k in drawing.ways if k in compared.steps(edge)]
    drawing.scene.arrows = [arrow for arrow, _, _ in ways]
    for arrow, edge, k in ways:
        _paint_arrow(arrow, compared.edge_state(edge, k))
    for frame in drawing.scene.frames:
        frame.paint = palette.STEP
    T = f"T = {b.T}" if a.T == b.T else f"T = {a.T} → {b.T}"
    edges = [compared.edge_state(edge, k) for edge in both.parts.edges for k in compared.steps(edge)]
    _write_caption(drawing.scene, f"{clean(a.cell.name)} → {clean(b.cell.name)}, unrolled, {T}",
                   compared.states.values(), edges)
    return drawing.scene


class _Compared:
    """Two runs, copy by copy.

    Attributes:
        copies: of both.
        states: for each copy, whose it is, and whether it changed; at all steps.
    """

    def __init__(self, both: _Definitions, runs: tuple[Run, Run], shown: Sequence[int], values: bool) -> None:
        self.both = both
        self.runs = runs
        first, second = (copies_of(run, side, [k for k in shown if k <= run.T])
                         for run, side in zip(runs, both.sides))
        self.copies: Copies = {}
        self.states: dict[tuple[Part, int], str] = {}
        for part in both.parts.parts:
            before = first[both.first[part]] if part in both.first else {}
            after = second[part] if part in both.second else {}
            self.copies[part] = {**before, **after}
            there = [set(side) for side in (before, after)]
            if part.node is not None:
                there = [set(range(1 + part.lead, run.T + 1 + part.lead)) if owned else set()
                         for run, owned in zip(runs, (part in both.first, part in both.second))]
            for k in sorted(there[0] | there[1]):
                computed = k - part.lead >= 1 and part in both.changed
                changed = computed or _differ(before.get(k), after.get(k), values)
                self.states[part, k] = _state(k in there[0], k in there[1], changed)

    def edge_state(self, edge: Edge, k: int) -> str:
        """Whose the copy of an edge is that ends at a step."""
        there = [owned and 1 <= k - edge.target.lead <= run.T
                 for run, owned in zip(self.runs, self.both.owners[edge])]
        return _state(there[0], there[1], edge in self.both.changed)

    def steps(self, edge: Edge) -> range:
        """The steps that copies of an edge end at."""
        T = max(run.T for run, owned in zip(self.runs, self.both.owners[edge]) if owned)
        return range(1 + edge.target.lead, T + 1 + edge.target.lead)


def _differ(a: Tensor | None, b: Tensor | None, values: bool) -> bool:
    """Whether shapes or, if asked, numbers are not the same, but for rounding."""
    if a is None or b is None:
        return False
    return a.shape != b.shape or (values and not np.allclose(a.numpy(), b.numpy(), equal_nan=True))


def _together(states: Iterable[str]) -> str:
    """One state for several copies that are drawn as one."""
    found = set(states) - {SAME}
    return found.pop() if len(found) == 1 else CHANGED if found else SAME


# ---- tensors
def _tensors(a: Tensor, b: Tensor, values: bool, dark: bool) -> Picture:
    """The graphs of two tensors as one, laid out by Graphviz."""
    old, new = drawable(a, MANY), drawable(b, MANY)
    first = _pairs(old, new)
    states = {node: _state(node in first, True, node in first and _changed(first[node], node, values)) for node in new}
    joined = {before: node for node, before in first.items()}
    states.update((node, MISSING) for node in old if node not in joined)
    keys = {node: f"n{number}" for number, node in enumerate(states)}
    drawn = empty(dark)
    for node, state in states.items():
        _add_tensor(drawn, keys[node], node, first.get(node), state, dark)
    arrows = dict.fromkeys(_arrows(new, {}), EXTRA)
    for ends in _arrows(old, joined):
        arrows[ends] = SAME if ends in arrows else MISSING
    for (source, target, _), state in arrows.items():
        paint, pen = LOOK[state]
        drawn.edge(keys[source], keys[target], color=palette.dark(paint.line) if dark else paint.line,
                   penwidth=f"{pen:g}", style="dashed" if state == MISSING else "solid")
    text = "\n".join(line for line, _ in caption(list(states.values()), list(arrows.values())))
    drawn.attr(label=literal(text), labelloc="t", fontsize="11",
               fontcolor=palette.dark(palette.QUIET) if dark else palette.QUIET)
    return drawn


def _pairs(old: Sequence[Tensor], new: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """For tensors of the second graph, that of the first: by name, by what they are made of, by position."""
    numbers: dict[Any, int] = {}
    first: dict[Tensor, Tensor] = {}
    for identity in (_names(old), _names(new)), (_structures(old, numbers), _structures(new, numbers)):
        waiting: dict[Any, list[Tensor]] = {}
        matched = set(first.values())
        for node, key in identity[0].items():
            if node not in matched:
                waiting.setdefault(key, []).append(node)
        for node, key in identity[1].items():
            if node not in first and waiting.get(key):
                first[node] = waiting[key].pop(0)
    matched = set(first.values())
    if new[-1] not in first and old[-1] not in matched:
        first[new[-1]] = old[-1]
        matched.add(old[-1])
    for node in reversed(new):  # users first
        before = first.get(node)
        if before is None or len(node.inputs) != len(before.inputs):
            continue
        for x, y in zip(node.inputs, before.inputs):
            if x not in first and y not in matched and len(x.inputs) == len(y.inputs):
                first[x] = y
                matched.add(y)
    return first


def _names(graph: Sequence[Tensor]) -> dict[Tensor, str]:
    """The tensors whose name no other has."""
    counts: dict[str, int] = {}
    for node in graph:
        counts[node.label] = counts.get(node.label, 0) + 1
    return {node: node.label for node in graph if node.label and counts[node.label] == 1}


def _structures(graph: Sequence[Tensor], numbers: dict[Any, int]) -> dict[Tensor, int]:
    """A number for what each tensor is made of: the same number, the same operations on the same leaves."""
    found: dict[Tensor, int] = {}
    for node in graph:
        key = node.label, node.shape, repr(node.op), tuple(found[x] for x in node.inputs)
        found[node] = numbers.setdefault(key, len(numbers))
    return found


def _changed(a: Tensor, b: Tensor, values: bool) -> bool:
    return (a.label, repr(a.op)) != (b.label, repr(b.op)) or _differ(a, b, values)


def _arrows(graph: Iterable[Tensor], joined: Mapping[Tensor, Tensor]) -> list[tuple[Tensor, Tensor, int]]:
    """(source, target, at which input) of every edge."""
    return [(joined.get(x, x), joined.get(node, node), place) for node in graph for place, x in enumerate(node.inputs)]


def _add_tensor(drawn: Picture, key: str, node: Tensor, before: Tensor | None, state: str, dark: bool) -> None:
    show = ("name", "operation", "shape")
    text = label(node, show)
    if state == CHANGED and before is not None and label(before, show) != text:
        text = f"{label(before, show)}\n→\n{text}"
    paint, pen = LOOK[state]
    style = {MISSING: "filled,rounded,dashed", CHANGED: "filled"}.get(state, "filled,rounded")
    add_node(drawn, key, node, text, paint, dark, pen, style)


# ---- looks
def _paint_box(box: Box, state: str) -> None:
    box.paint, box.pen = LOOK[state]
    box.dashed = state == MISSING or (box.dashed and state == SAME)
    if state == CHANGED:
        box.rounded = box.circle = False
    box.tooltip = box.tooltip if state == SAME else f"{state}: {box.tooltip}"


def _paint_arrow(arrow: Arrow, state: str) -> None:
    paint, arrow.pen = LOOK[state]
    arrow.color = paint.line
    arrow.dashed, arrow.dotted = state == MISSING, state == CHANGED
    arrow.tooltip = arrow.tooltip if state == SAME else f"{state}: {arrow.tooltip}"
    if arrow.label is not None:
        arrow.label.color = paint.line if state != SAME else palette.QUIET


def _write_caption(scene: Scene, title: str, boxes: Iterable[str], arrows: Iterable[str]) -> None:
    """The title, and how much is missing, extra and changed."""
    left, _, right, top = scene.bounds(0)
    middle = (left + right) / 2
    lines = caption(list(boxes), list(arrows))
    for number, (text, color) in enumerate(reversed(lines)):
        scene.texts.append(Text(middle, top + 20 + 17 * number, text, 11, color))
    scene.texts.append(Text(middle, top + 28 + 17 * len(lines), title, 14))


def caption(boxes: Sequence[str], arrows: Sequence[str]) -> list[tuple[str, str]]:
    """Lines that count the differences, with their colours."""
    lines = [(f"{state} ({STYLES[state]}): {_count(boxes.count(state), 'node')}, {_count(arrows.count(state), 'edge')}",
              LOOK[state][0].line) for state in STYLES if state in boxes or state in arrows]
    same = f"{_count(len(boxes), 'node')}, {_count(len(arrows), 'edge')}"
    return lines or [(f"no difference: {same}", palette.QUIET)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
