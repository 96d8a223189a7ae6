"""The step graph: the boxes and edges of one time step, each box with its layer; no coordinates.

A box represents a signal or, at the level of operations, an operation of its equation. An edge
carries its delay. The graph of a definition and that of recorded tensors have the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from rnn import Signal
from rnn.language.dependencies import Link, edge_weights, links, nodes, parameters
from rnn.language.equations import Definition, Equation
from rnn.language.expressions import Apply, Expression, Read
from rnn.language.formula import to_text
from rnn.language.graphs import postorder
from viz.render import palette
from viz.render.fonts import clean

LEVELS = ("signals", "ops")
# Typography only: the glyph of an operation's name or infix symbol. Anything else is printed unchanged.
GLYPHS = {"-": "−", "*": "⊙", "/": "÷", "**": "^", "neg": "−", "vecdot": "·", "sigmoid": "σ", "concatenate": "[ ; ]"}
LABEL_LENGTH = 14  # characters of a name inside another box's label


@dataclass(eq=False)
class Part:
    """A box of the step graph: a signal, or an operation of a signal's equation."""

    signal: str  # the signal's name; of an operation, that of the signal whose equation contains it
    node: Apply | Tensor | None  # the operation, an expression or a recorded tensor; None for the signal itself
    lead: int  # k of the equation `signal[t+k] = ...`
    label: str  # without the time step
    paint: palette.Paint
    names: Sequence[str] = ()  # the parameters among an operation's operands
    text: str = ""  # the formula in full, for a tooltip
    layer: int = 0  # from 0, the lowest

    @property
    def round(self) -> bool:
        """Whether it is drawn as a circle: operations with a glyph of one character are."""
        return self.node is not None and len(self.label) == 1


@dataclass(eq=False)
class Edge:
    """`target` at step k is computed from `source` at step k - delay."""

    source: Part
    target: Part
    delay: int
    names: Sequence[str] = ()  # the parameters that multiply the source
    text: str = ""  # for a tooltip


@dataclass
class StepGraph:
    """The boxes and edges of one time step, in the order of the equations, and the parameters' colours."""

    parts: list[Part] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    colors: dict[str, str] = field(default_factory=dict)

    @property
    def undelayed(self) -> list[Edge]:
        """The edges within a step; they form no cycle."""
        return [edge for edge in self.edges if edge.delay == 0]

    def is_state(self, part: Part) -> bool:
        """Whether a signal is read at a step other than its own."""
        return part.node is None and any(edge.source is part and edge.delay for edge in self.edges)

    def label(self, edge: Edge) -> tuple[str, str]:
        """Return the names of an edge's parameters, and the colour of the first."""
        if not edge.names:
            return "", palette.TEXT
        names = [clean(name, LABEL_LENGTH) for name in edge.names[:3]]
        return ", ".join(names) + ", …" * (len(edge.names) > 3), self.colors[edge.names[0]]


def step_graph(cell: Definition, level: str) -> StepGraph:
    """Return the step graph of a definition: level "signals", or "ops" to include operations.

    Raises:
        ValueError: for another level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}: level='signals' draws signals, level='ops' operations too")
    names = {tensor: name for name, tensor in parameters(cell).items()}
    graph = StepGraph(colors={name: palette.parameter(i) for i, name in enumerate(names.values())})
    reads = links(cell)
    signals = {}
    for signal in cell.signals.values():
        delays = [link.delay for link in reads if link.source is signal]
        if signal.equation or delays:
            signals[signal] = Part(signal.name, None, signal.lead,
                                   clean(signal.name), signal_paint(signal.given, delays, signal.shape == ()),
                                   text=str(signal.equation or signal.name))
    graph.parts += signals.values()
    if level == "signals":
        _add_reads(graph, signals, reads, names)
    else:
        _add_operations(graph, signals, cell.equations, names)
    assign_layers(graph)
    return graph


def signal_paint(given: bool, delays: Sequence[int], scalar: bool = False) -> palette.Paint:
    """Return the colours of an input, a state, a number such as a loss, or a signal that is read (`delays`) or not."""
    if given:
        return palette.INPUT
    if any(delays):
        return palette.STATE if max(filter(None, delays)) > 0 else palette.REVERSED
    return palette.LOSS if scalar else palette.HIDDEN if delays else palette.OUTPUT


def _add_reads(graph: StepGraph, signals: dict[Signal, Part], reads: Sequence[Link], names: dict[Tensor, str]) -> None:
    """Add one edge for each read of a signal in an equation."""
    factors = {equation: edge_weights(equation) for equation in dict.fromkeys(link.equation for link in reads)}
    for link in reads:
        tensors = factors[link.equation].get((link.source, link.equation.lead - link.delay), [])
        graph.edges.append(Edge(signals[link.source], signals[link.target], link.delay,
                                [names[x] for x in tensors if x in names], f"{link} → {link.target.name}[t]"))


def _add_operations(graph: StepGraph, signals: dict[Signal, Part], equations: Iterable[Equation],
                    names: dict[Tensor, str]) -> None:
    """Add a box for every operation, once where equations share it, and edges between operands and results."""
    made: dict[tuple[int, int], Part] = {}
    for equation in equations:
        for node in nodes([equation.expression], into_tensors=False):
            if isinstance(node, Apply) and (id(node), equation.lead) not in made:
                part = made[id(node), equation.lead] = _operation_part(node, equation, names, graph.colors)
                graph.parts.append(part)
                graph.edges += [_operand_edge(x, part, signals, made) for x in node.inputs if _is_computed(x)]
        if _is_computed(equation.expression):
            graph.edges.append(_operand_edge(equation.expression, signals[equation.signal], signals, made))


def _is_computed(x: Any) -> bool:
    """Whether an operand has a box of its own: a read of a signal or an operation, no constant."""
    return isinstance(x, (Read, Apply))


def _operand_edge(x: Any, target: Part, signals: dict[Signal, Part], made: dict[tuple[int, int], Part]) -> Edge:
    if isinstance(x, Read):
        return Edge(signals[x.signal], target, target.lead - x.offset, (), f"{to_text(x)} → {target.label}")
    source = made[id(x), target.lead]
    return Edge(source, target, 0, (), f"{source.label} → {target.label}")


def _operation_part(node: Apply, equation: Equation, names: dict[Tensor, str], colors: dict[str, str]) -> Part:
    """Return an operation's box, outlined in the colour of its first parameter."""
    used = list(dict.fromkeys(names[tensor] for tensor in constants(node) if tensor in names))
    paint = palette.Paint(colors[used[0]], palette.OPERATION.fill) if used else palette.OPERATION
    return Part(equation.signal.name, node, equation.lead, _expression_label(node), paint, used, repr(node))


def constants(node: Apply | Tensor) -> list[Tensor]:
    """Return the tensors among an operation's operands, and all that they were computed from."""
    return nodes([x for x in node.inputs if isinstance(x, Tensor)])


def _expression_label(node: Apply) -> str:
    assert node.op is not None
    if isinstance(node.op, ops.GetItem):
        return clean(to_text(node).removeprefix(to_text(node.inputs[0])), LABEL_LENGTH)
    fixed = {i: x for i, x in enumerate(node.inputs) if not isinstance(x, Expression)}
    return operation_label(node.op, len(node.inputs), {i: clean(to_text(x), LABEL_LENGTH) for i, x in fixed.items()},
                           any(np.ndim(x) == 0 for x in fixed.values()))


def operation_label(op: Op, count: int, constants: Mapping[int, str], scalar: bool) -> str:
    """Return `W @`, `+ b`, `1 −`, `tanh`: an operation's glyph, with the one constant of a binary operation.

    Args:
        op, count: the operation, and its number of operands.
        constants: position and text of the operands without a box of their own.
        scalar: whether the constant is a number; then a product is written ×, not ⊙.
    """
    name = type(op).__name__.lower()
    glyph = GLYPHS.get(name) or GLYPHS.get(op.symbol or "", op.symbol) or name
    if count != 2 or len(constants) != 1:
        return glyph
    (position, constant), = constants.items()
    if isinstance(op, ops.Mul) and scalar:
        glyph = "×"
    function = op.symbol is None and name not in GLYPHS
    after = position == 1 or function or isinstance(op, (ops.Add, ops.Mul))
    return " ".join(filter(None, (glyph, constant) if after else (constant, glyph)))


def assign_layers(graph: StepGraph) -> None:
    """Set every part's layer: the length of the longest path to it along undelayed edges, which form no cycle.

    An operation that reads nothing at its own step moves up to just below its first user, to shorten its
    edges. Layers that this leaves empty are removed.
    """
    inputs: dict[Part, list[Part]] = {part: [] for part in graph.parts}
    users: dict[Part, list[Part]] = {part: [] for part in graph.parts}
    for edge in graph.undelayed:
        inputs[edge.target].append(edge.source)
        users[edge.source].append(edge.target)
    order = postorder(graph.parts, inputs.__getitem__)
    movable: set[Part] = set()
    for part in order:
        part.layer = 1 + max((source.layer for source in inputs[part]), default=-1)
        if part.node is not None and movable.issuperset(inputs[part]):
            movable.add(part)
    for part in reversed(order):
        if part in movable:
            part.layer = min(user.layer for user in users[part]) - 1
    compact = {layer: number for number, layer in enumerate(sorted({part.layer for part in graph.parts}))}
    for part in graph.parts:
        part.layer = compact[part.layer]
