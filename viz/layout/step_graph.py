"""What one time step is made of: signals and, where wanted, the operations between them.

Every part has a layer, counted from the foot in the delay-free order. Knows definitions; knows no
positions, no data and no length of a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from rnn import Signal
from rnn.language.dependencies import Link, edge_weights, links, nodes, parameters
from rnn.language.equations import Apply, Definition, Equation, Expression, Read
from rnn.language.formula import to_text
from viz.render import palette
from viz.render.fonts import clean
from viz.render.palette import Paint

LEVELS = ("signals", "ops")
SIGNS: dict[type[Op], str] = {
    ops.Add: "+", ops.Sub: "−", ops.Mul: "⊙", ops.Div: "÷", ops.Neg: "−", ops.Pow: "^", ops.MatMul: "@",
    ops.MatVec: "@", ops.VecDot: "·", ops.Sigmoid: "σ", ops.Concatenate: "[ ; ]"}
SHOWN = 14  # characters of an operand that stands in an operation's box


@dataclass(eq=False)
class Part:
    """A signal's box, or an operation on the way to one.

    Attributes:
        signal: the signal; of an operation, the one whose equation it stands in.
        node: the operation; None for the signal itself.
        lead: the equation's; an operation stands in the step that its signal is computed for.
        label: what is written in an operation's box.
        names: the parameters that it takes.
        layer: how many parts stand below it within a step.
    """

    signal: Signal
    node: Apply | None
    lead: int
    label: str
    paint: Paint
    names: Sequence[str] = ()
    layer: int = 0

    @property
    def round(self) -> bool:
        """Whether it is drawn as a circle: signs are."""
        return self.node is not None and len(self.label) == 1


@dataclass(eq=False)
class Edge:
    """`target` at step k is computed from `source` at step k - delay.

    Attributes:
        names: the parameters that the source is multiplied by first.
    """

    source: Part
    target: Part
    delay: int
    names: Sequence[str] = ()
    text: str = ""


@dataclass
class Parts:
    """All parts of a definition, and the edges between them, in the order of the equations."""

    cell: Definition
    parts: list[Part] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    colors: dict[str, str] = field(default_factory=dict)

    def is_state(self, part: Part) -> bool:
        """Whether a signal is read at another step than its own."""
        return part.node is None and any(edge.source is part and edge.delay for edge in self.edges)

    def label(self, edge: Edge) -> tuple[str, str]:
        """The parameters that an edge goes through, as text, and the first one's colour."""
        if not edge.names:
            return "", palette.TEXT
        text = ", ".join(clean(name, SHOWN) for name in edge.names[:3]) + (", …" if len(edge.names) > 3 else "")
        return text, self.colors[edge.names[0]]


def parts_of(cell: Definition, level: str) -> Parts:
    """The parts of a definition at a level of detail: "signals", or "ops" for operations too.

    Raises:
        ValueError: for another level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}: level='signals' draws signals, level='ops' operations too")
    found = Parts(cell, colors={name: palette.parameter(i) for i, name in enumerate(parameters(cell))})
    own: dict[Signal, Part] = {}
    all_links = links(cell)
    for signal in cell.signals.values():
        if signal.equation or any(link.source is signal for link in all_links):
            lead = signal.equation.lead if signal.equation else 0
            own[signal] = Part(signal, None, lead, clean(signal.name), _paint(signal, all_links))
            found.parts.append(own[signal])
    if level == "signals":
        _link_signals(found, own, all_links)
    else:
        _add_operations(found, own)
    set_layers(found)
    return found


def _paint(signal: Signal, all_links: Sequence[Link]) -> Paint:
    delays = [link.delay for link in all_links if link.source is signal and link.delay]
    if signal.given:
        return palette.INPUT
    if delays:
        return palette.STATE if max(delays) > 0 else palette.REVERSED
    if signal.shape == ():
        return palette.LOSS
    return palette.HIDDEN if any(link.source is signal for link in all_links) else palette.OUTPUT


def _link_signals(found: Parts, own: dict[Signal, Part], all_links: Sequence[Link]) -> None:
    """One edge for each read of a signal."""
    names = {tensor: name for name, tensor in parameters(found.cell).items()}
    through = {equation: edge_weights(equation) for equation in found.cell.equations}
    for link in all_links:
        tensors = through[link.equation].get((link.source, link.equation.lead - link.delay), [])
        found.edges.append(Edge(own[link.source], own[link.target], link.delay,
                                [names[tensor] for tensor in tensors if tensor in names],
                                f"{link} → {link.target.name}[t]"))


def _add_operations(found: Parts, own: dict[Signal, Part]) -> None:
    """A part for every operation of every equation; one that two equations share stands there once."""
    names = {tensor: name for name, tensor in parameters(found.cell).items()}
    made: dict[tuple[int, int], Part] = {}
    for equation in found.cell.equations:
        for node in nodes([equation.expression], into_tensors=False):
            if isinstance(node, Apply) and (id(node), equation.lead) not in made:
                part = made[id(node), equation.lead] = _operation(node, equation, names, found.colors)
                found.parts.append(part)
                _link_operands(found, own, made, node.inputs, part)
        _link_operands(found, own, made, [equation.expression], own[equation.signal])


def _link_operands(found: Parts, own: dict[Signal, Part], made: dict[tuple[int, int], Part],
                   operands: Sequence[Any], target: Part) -> None:
    for x in operands:
        if isinstance(x, Read):
            delay = target.lead - x.offset
            found.edges.append(Edge(own[x.signal], target, delay, (), f"{to_text(x)} → {target.label}"))
        elif isinstance(x, Apply):
            source = made[id(x), target.lead]
            found.edges.append(Edge(source, target, 0, (), f"{source.label} → {target.label}"))


def _operation(node: Apply, equation: Equation, names: dict[Tensor, str], colors: dict[str, str]) -> Part:
    """An operation's part, outlined in the colour of the parameter that it takes."""
    leaves = [leaf for leaf in nodes([x for x in node.inputs if isinstance(x, Tensor)]) if leaf in names]
    taken = list(dict.fromkeys(names[leaf] for leaf in leaves))
    paint = Paint(colors[taken[0]], palette.OPERATION.fill) if taken else palette.OPERATION
    return Part(equation.signal, node, equation.lead, operation_label(node), paint, taken)


def operation_label(node: Apply) -> str:
    """`W @`, `+ b`, `1 −`, `tanh`: the operation, and what it takes besides signals."""
    assert node.op is not None
    if isinstance(node.op, ops.GetItem):
        return clean(to_text(node).removeprefix(to_text(node.inputs[0])), SHOWN)
    sign = SIGNS.get(type(node.op), type(node.op).__name__.lower())
    fixed = [position for position, x in enumerate(node.inputs) if not isinstance(x, Expression)]
    if len(node.inputs) != 2 or len(fixed) != 1:
        return sign
    operand = node.inputs[fixed[0]]
    text = clean(to_text(operand), SHOWN)
    if isinstance(node.op, ops.Mul) and np.ndim(operand) == 0:
        sign = "×"
    if type(node.op) not in SIGNS:
        return f"{sign} {text}"
    commutes = isinstance(node.op, (ops.Add, ops.Mul))
    return f"{sign} {text}" if commutes or fixed == [1] else f"{text} {sign}"


def set_layers(found: Parts) -> None:
    """The longest path without delay; what needs nothing of its own step stands just below its user."""
    undelayed = [edge for edge in found.edges if edge.delay == 0]
    for part in inputs_first(found.parts, undelayed):
        below = [edge.source.layer for edge in undelayed if edge.target is part]
        part.layer = 1 + max(below, default=-1)
    floating: set[Part] = set()
    in_order = inputs_first(found.parts, undelayed)
    for part in in_order:
        if part.node is not None and all(edge.source in floating for edge in undelayed if edge.target is part):
            floating.add(part)
    for part in reversed(in_order):
        if part in floating:
            part.layer = min(edge.target.layer for edge in undelayed if edge.source is part) - 1
    for number, layer in enumerate(sorted({part.layer for part in found.parts})):  # no empty ones
        for part in found.parts:
            if part.layer == layer:
                part.layer = number


def inputs_first(parts: Sequence[Part], undelayed: Sequence[Edge]) -> list[Part]:
    """The parts in an order in which each comes after all that it is computed from."""
    waiting = dict.fromkeys(parts, 0)
    leaving: dict[Part, list[Part]] = {part: [] for part in parts}
    for edge in undelayed:
        waiting[edge.target] += 1
        leaving[edge.source].append(edge.target)
    order = [part for part in parts if not waiting[part]]
    for part in order:
        for target in leaving[part]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order
