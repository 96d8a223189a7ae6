"""`viz.diff`: the difference of two definitions, two runs or two tensors in one picture.

Missing (only in the first): red and dashed. Extra (only in the second): green and bold. Changed:
brown, boxes with sharp corners, arrows dotted. Everything else is grey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from minigrad import Tensor
from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.equations import Definition
from rnn.language.expressions import Expression
from viz.annotations.formulas import Line, formulas, lines
from viz.annotations.panels import INDENT
from viz.layout.folding import Tensors, choose_steps, find_tensors
from viz.layout.names import Names
from viz.layout.options import Options
from viz.layout.step_graph import Edge, Part, StepGraph, assign_layers, constants, step_graph
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Scene, text_beside

from .diff_tensors import draw_tensors
from .difference import CHANGED, SAME, differ, paint_arrow, paint_box, state_of, write_caption
from .rolled import RolledDrawing
from .unrolled_drawing import UnrolledDrawing, unequal_mask

SHOWN = Options(equations=True, legend=True)


def diff(a: Any, b: Any, level: str = "signals", *, values: bool = False, steps: Iterable[int] | None = None,
         title: bool | str = True, equations: bool | None = None, legend: bool = True, notation: str = "code",
         dark: bool = False) -> Picture:
    """Draw the difference of two graphs: parts of `b` that are missing, extra or changed compared with `a`.

    Signals are matched by name, their copies by name and time step, operations by their position in an
    equation, tensors by name or by their position in the graph.

    Args:
        a, b: two Cells, two runs or two Tensors.
        level: for Cells and runs: "signals", or "ops" to compare operations too; a layer as one box ("layers") is
            refused.
        values: for runs and Tensors: compare values too.
        steps: for runs: the steps to draw; all others are folded. All steps are compared.
        title: another title, or False for none; the graph of two Tensors has none unless one is given.
        equations: for Cells: write those that differ; by default they are.
        legend: tell the colours of what is missing, extra and changed, with their numbers.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: if the two are of different kinds.
        ValueError: for an unknown level; if the two can't be drawn in one picture; for equations of runs or Tensors.
    """
    options = Options(title, equations=equations is not False, legend=legend, notation=notation, dark=dark)
    if equations is not None and not isinstance(a, Cell):
        raise ValueError("equations= is for Cells: compare the definitions")
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return picture(draw_tensors(a, b, values, options), dark, notation)
    if isinstance(a, Cell) and isinstance(b, Cell):
        return picture(draw_definitions(DefinitionPair(a, b, level), options), dark, notation)
    if isinstance(a, Run) and isinstance(b, Run):
        pair = DefinitionPair(a.cell, b.cell, level)
        return picture(draw_runs(pair, a, b, steps, values, options), dark, notation)
    raise TypeError(f"viz.diff compares two Cells, two runs or two Tensors, not a {type(a).__name__} with a "
                    f"{type(b).__name__}")


class DefinitionPair:
    """The union of two definitions' parts and edges.

    Attributes:
        parts: the union; parts that both definitions have are the second's.
        first: the corresponding part of the first definition, for parts that have one.
        second: the parts of the second definition.
        owners: for each edge, whether the first and whether the second definition has it.
        changed: parts and edges that both have but that differ.
    """

    def __init__(self, a: Definition, b: Definition, level: str) -> None:
        if level == "layers":
            raise ValueError("viz.diff compares signals, level='signals', or operations too, level='ops': a layer as "
                             "one box has no equation to compare")
        self.a, self.b = a, b
        check(a)
        check(b)
        self.names = Names(a, full=True), Names(b, full=True)  # the two may have different layers
        self.sides = old, new = step_graph(a, level, names=self.names[0]), step_graph(b, level, names=self.names[1])
        for side in self.sides:
            side.drop_unread()
        names = dict.fromkeys([*old.colors, *new.colors])
        self.parts = StepGraph(list(new.parts), colors={name: palette.parameter(i) for i, name in enumerate(names)})
        self.second = set(new.parts)
        self.first = dict(_match_parts(old.parts, new.parts))
        self.changed: set[Part | Edge] = {part for part, before in self.first.items()
                                          if _signature(before, level, a) != _signature(part, level, b)}
        for part, before in self.first.items():
            if part.label != before.label:
                part.label = f"{before.label} → {part.label}"
        matched = set(self.first.values())
        missing = {replace(part): part for part in old.parts if part not in matched}
        self.parts.parts += missing
        self.first |= missing
        self.owners: dict[Edge, tuple[bool, bool]] = {}
        self._join_edges()
        self.parts.edges += self.owners
        try:
            assign_layers(self.parts)
        except ValueError:
            raise ValueError(f"{clean(a.name)!r} and {clean(b.name)!r} compute the same signals in opposite order, so "
                             "they can't be drawn in one picture: draw each by itself") from None

    def _join_edges(self) -> None:
        """Set the owners of all edges; those that only the first definition has come last."""
        joined = {before: part for part, before in self.first.items()}
        before, after = _by_ends(self.sides[0].edges, joined), _by_ends(self.sides[1].edges, {})
        for ends in {**after, **before}:
            edge = after[ends] if ends in after else replace(before[ends], source=ends[0], target=ends[1])
            self.owners[edge] = ends in before, ends in after
            if ends in before and list(before[ends].names) != list(edge.names):
                self.changed.add(edge)

    def state(self, element: Part | Edge) -> str:
        """Return the state of a part or an edge, for all time steps."""
        owners = self.owners[element] if isinstance(element, Edge) else (element in self.first, element in self.second)
        return state_of(*owners, element in self.changed)


def _match_parts(old: Sequence[Part], new: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Return pairs (new, old): signals of the same name, and operations by aligning the two forms of an equation."""
    signals = {part.signal: part for part in old if part.node is None}
    pairs = [(part, signals[part.signal]) for part in new if part.node is None and part.signal in signals]
    for name, lead in dict.fromkeys((part.signal, part.lead) for part in new if part.node is not None):
        before, after = ([part for part in side if part.node is not None and part.signal == name
                          and part.lead == lead] for side in (old, new))
        keys = [[(part.label, repr(getattr(part.node, "op", None))) for part in side] for side in (before, after)]
        for tag, i, i_end, j, j_end in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
            if tag in ("equal", "replace"):  # replaced operations are paired beginning with the equation's result
                pairs += [(x, y) for x, y in zip(after[j:j_end][::-1], before[i:i_end][::-1])
                          if tag == "equal" or _count_operands(x) == _count_operands(y)]
    return pairs


def _count_operands(part: Part) -> int:
    """Return how many operands of an operation are expressions."""
    return 0 if part.node is None else sum(isinstance(x, Expression) for x in part.node.inputs)


def _signature(part: Part, level: str, cell: Definition) -> Any:
    """Return the properties in which a part must equal its counterpart to be unchanged."""
    if part.node is not None:
        return part.label, repr(part.node.op), [tensor.shape for tensor in constants(part.node)]
    if part.once:
        return cell.statics[part.signal].lengths
    signal = cell.signals[part.signal]
    return repr(signal.equation) if level == "signals" else None, signal.given, signal.shape, part.lead


def _by_ends(edges: Iterable[Edge], joined: Mapping[Part, Part]) -> dict[tuple[Part, Part, int, int], Edge]:
    """Return edges by source, target, delay, and a number among those with the same three."""
    found: dict[tuple[Part, Part, int, int], Edge] = {}
    counts: Counter[tuple[Part, Part, int]] = Counter()
    for edge in edges:
        ends = joined.get(edge.source, edge.source), joined.get(edge.target, edge.target), edge.delay
        key = (*ends, counts[ends])
        found[key] = edge
        counts[ends] += 1
    return found


# ---- definitions
def draw_definitions(pair: DefinitionPair, options: Options = SHOWN) -> Scene:
    """Return the rolled graph of both definitions."""
    drawing = RolledDrawing(pair.parts, pair.b.name).draw()
    for part, box in drawing.boxes.items():
        paint_box(box, pair.state(part))
    entries = drawing.steps.entries
    for arrow, edge in drawing.arrows:
        states = {pair.state(edge)}
        if not arrow.head and edge in entries:  # the line to a delay, shared by several edges
            states = {pair.state(other) for other, entry in entries.items() if entry.group == entries[edge].group}
        paint_arrow(arrow, states.pop() if len(states) == 1 else SAME)
    for text in drawing.scene.texts:
        text.color = palette.QUIET
    if options.equations:
        _write_equations(drawing.scene, pair, drawing.right + 36)
    write_caption(drawing.scene, f"{clean(pair.a.name)} → {clean(pair.b.name)}",
                   map(pair.state, pair.parts.parts), map(pair.state, pair.parts.edges), options)
    return drawing.scene


def _write_equations(scene: Scene, pair: DefinitionPair, x: float) -> None:
    """Write the equations that differ: those of the first definition, then those of the second."""
    before, after = ({formula.text: formula for formula in formulas(side, names)}
                     for side, names in zip((pair.a, pair.b), pair.names))
    written: list[tuple[Line, str, palette.Paint]] = []
    for own, other, names, sign, paint in ((before, after, pair.names[0], "−  ", palette.MISSING),
                                           (after, before, pair.names[1], "+  ", palette.EXTRA)):
        written += [(line, sign, paint) for line in lines([own[text] for text in own if text not in other], names)]
    _, bottom, _, top = scene.bounds(0)
    for number, ((indent, line), sign, paint) in enumerate(written):
        y = (bottom + top) / 2 + (len(written) / 2 - number - 0.5) * 18
        scene.texts.append(text_beside(x + INDENT * indent, y, f"{'' if indent else sign}{line}", 11, paint.line))


# ---- runs
def draw_runs(pair: DefinitionPair, a: Run, b: Run, steps: Iterable[int] | None, values: bool,
              options: Options = SHOWN) -> Scene:
    """Return the unrolled graph of both runs."""
    longer = a if a.T > b.T else b
    shown = choose_steps(longer.T, True, steps)
    compared = RunComparison(pair, (a, b), shown, values)
    drawing = UnrolledDrawing(UnrolledSpec(longer.cell.name, longer.T, pair.parts, compared.copies, shown,
                                           cuts=frozenset(longer.cuts()),
                                           beside=dict.fromkeys(pair.parts.once),
                                           mask=unequal_mask(longer))).draw()
    for part, box in drawing.beside.items():
        paint_box(box, pair.state(part))
    for (part, k), box in drawing.boxes.items():
        column = drawing.layout.column(k)
        paint_box(box, _merge_states(compared.states[part, step] for step in column.steps
                                  if (part, step) in compared.states))
    arrows = [(arrow, edge, k) for arrow, edge, k in drawing.arrows if k in compared.steps(edge)]
    drawing.scene.arrows = [arrow for arrow, _, _ in arrows]
    for arrow, edge, k in arrows:
        paint_arrow(arrow, compared.edge_state(edge, k))
    for frame in drawing.scene.frames:
        frame.paint = palette.STEP
    T = f"T = {b.T}" if a.T == b.T else f"T = {a.T} → {b.T}"
    edges = [compared.edge_state(edge, k) for edge in pair.parts.edges for k in compared.steps(edge)]
    write_caption(drawing.scene, f"{clean(a.cell.name)} → {clean(b.cell.name)}, unrolled, {T}",
                   compared.states.values(), edges, options)
    return drawing.scene


class RunComparison:
    """The comparison of two runs, copy by copy.

    Attributes:
        copies: the tensors of both runs; those of the second if both have one.
        states: the state of every copy, at all time steps.
    """

    def __init__(self, pair: DefinitionPair, runs: tuple[Run, Run], shown: Sequence[int], values: bool) -> None:
        self.pair = pair
        self.runs = runs
        first, second = (find_tensors(run, side.parts, [k for k in shown if k <= run.T])
                         for run, side in zip(runs, pair.sides))
        self.copies: Tensors = {}
        self.states: dict[tuple[Part, int], str] = {}
        for part in pair.parts.parts:
            before = first[pair.first[part]] if part in pair.first else {}
            after = second[part] if part in pair.second else {}
            self.copies[part] = {**before, **after}
            in_first, in_second = set(before), set(after)
            if part.node is not None:  # an operation has a copy at every step, also at those that aren't drawn
                in_first, in_second = (set(range(1 + part.lead, run.T + 1 + part.lead)) if owned else set()
                                       for run, owned in zip(runs, (part in pair.first, part in pair.second)))
            for k in sorted(in_first | in_second):
                computed = k - part.lead >= 1 and part in pair.changed
                changed = computed or differ(before.get(k), after.get(k), values)
                self.states[part, k] = state_of(k in in_first, k in in_second, changed)

    def edge_state(self, edge: Edge, k: int) -> str:
        """Return the state of the copy of an edge that ends at step k."""
        in_first, in_second = (owned and 1 <= k - edge.target.lead <= run.T
                               for run, owned in zip(self.runs, self.pair.owners[edge]))
        return state_of(in_first, in_second, edge in self.pair.changed)

    def steps(self, edge: Edge) -> range:
        """Return the steps at which the copies of an edge end."""
        T = max(run.T for run, owned in zip(self.runs, self.pair.owners[edge]) if owned)
        return range(1 + edge.target.lead, T + 1 + edge.target.lead)


def _merge_states(states: Iterable[str]) -> str:
    """Return one state for several copies that are drawn as one."""
    found = set(states) - {SAME}
    return found.pop() if len(found) == 1 else CHANGED if found else SAME
