"""The step graph: the boxes and edges of one time step, each box with its layer; no coordinates.

A box represents a signal or, at the level of operations, an operation of its equation. An edge
carries its delay. Statics, and operations on statics alone, are boxes beside the time steps (`once`). The graph of
a definition and that of recorded tensors have the same form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.formats.formula import format_index
from rnn import Signal
from rnn.language.dependencies import Link, Product, Start, first_products, links, nodes, starts, statics_read
from rnn.language.equations import Definition, Equation
from rnn.language.expressions import Apply, Expression, Read, Samples, Static, StepNumber, Time, samples_of
from rnn.language.formula import to_text
from rnn.language.graphs import postorder
from viz.render import palette
from viz.render.fonts import clean

from .grouping import groups, layers_above
from .names import Names

LEVELS = ("signals", "ops")
# Typography only: the glyph of an operation's name or infix symbol. Anything else is printed unchanged.
GLYPHS = {"-": "−", "*": "⊙", "/": "÷", "**": "^", "neg": "−", "vecdot": "·", "sigmoid": "σ",
          "concatenate": "[ ; ]"}
LABEL_LENGTH = 14  # characters of a name inside another box's label


@dataclass(eq=False)
class Part:
    """A box of the step graph: a signal, an operation of a signal's equation, or a layer."""

    signal: str  # its name; of an operation, that of the signal whose equation contains it; of a layer, its prefix
    node: Apply | Tensor | None  # the operation, an expression or a recorded tensor; None for the signal itself
    lead: int  # k of the equation `signal[t+k] = ...`
    label: str  # without the time step
    paint: palette.Paint
    names: Sequence[str] = ()  # the parameters among an operation's operands
    text: str = ""  # the formula in full, for a tooltip
    layer: int = 0  # from 0, the lowest
    once: bool = False  # computed once, not at each time step: a static, an operation on statics, an initial value
    source: Expression | None = None  # the expression of the value that is computed once
    shape: str = ""  # of an array that is no vector, "(8×8)"
    given: bool = False  # whether it is an input
    added: Sequence[tuple[str, str]] = ()  # `+ b`: the parameters that its equation adds, with their colours

    members: Sequence[Part] = ()  # of a layer drawn as one box: its signals
    outputs: Sequence[Part] = ()  # those that are read outside it or at other steps, or that none reads
    block: str = ""  # the layer in whose frame it is drawn; its label is without that prefix

    @property
    def added_line(self) -> str:
        """The line under its label that tells the parameters that are added."""
        return "".join(text for text, _ in self.added)

    @property
    def round(self) -> bool:
        """Whether it is drawn as a circle: operations with a glyph of one character are."""
        return self.node is not None and len(self.label) == 1

    def at(self, step: object) -> str:
        """Return the label of a signal at a step, `S[3] (8×8)`; of what has no steps, `enc (8×8)` and `tanh`."""
        place = "" if self.once or self.node is not None or self.members else f"[{step}]"
        return f"{self.label}{place} {self.shape}".rstrip() if self.shape else f"{self.label}{place}"


@dataclass(eq=False)
class Edge:
    """`target` at step k is computed from `source` at step k - delay."""

    source: Part
    target: Part
    delay: int
    names: Sequence[str] = ()  # the parameters that multiply the source
    text: str = ""  # for a tooltip
    factors: Sequence[tuple[str, str]] = ()  # to write at the arrow: the text, `E.T`, and the name of its parameter
    starts: bool = False  # whether the source is an initial value of the target
    carried: Sequence[str] = ()  # from a layer drawn as one box: the signals that are read, without its prefix
    merged: Sequence[Edge] = ()  # to or from such a box: the edges between signals that it stands for

    @property
    def ends(self) -> list[tuple[str, str]]:
        """The names of the signals at both ends of each edge that it stands for."""
        return [(edge.source.signal, edge.target.signal) for edge in self.merged or (self,)]


@dataclass
class StepGraph:
    """The boxes and edges of one time step, in the order of the equations, and the parameters' colours.

    Attributes:
        starts: values before or after the sequence that are computed from statics: each with the edges to it.
        prefix: of all names in the picture's one layer, which are written without it.
        shelf: by a layer's label, the parameters that it alone uses, which are listed together.
        split: layers whose signals have boxes of their own at level "layers", each with the reason.
    """

    parts: list[Part] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    colors: dict[str, str] = field(default_factory=dict)
    starts: list[tuple[Start, list[Edge]]] = field(default_factory=list)
    prefix: str = ""
    shelf: dict[str, list[str]] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The words under a title that tell the prefix, or layers that aren't one box; "" without any."""
        if self.split:
            return "; ".join(f"{clean(name[:-1])} is not one box: {clean(why, 90)}" for name, why in self.split.items())
        told = any(part.block for part in self.parts)  # by a frame
        return f"the names are without their prefix “{clean(self.prefix)}”" if self.prefix and not told else ""

    def recolor(self, numbers: Mapping[str, int]) -> None:
        """Give the parameters the looks with these numbers, and so the operations that use them."""
        self.colors = {name: palette.parameter(number) for name, number in numbers.items()}
        for part in self.parts:
            if part.node is not None and part.names:
                part.paint = palette.parameter_paint(numbers[part.names[0]], part.paint.fill)

    @property
    def once(self) -> list[Part]:
        """The boxes beside the time steps, each after those that it is computed from."""
        return [part for part in self.parts if part.once]

    def drop_unread(self, besides: Collection[Part] = ()) -> None:
        """Remove the statics that no step reads, but for some: initial values alone are computed from them."""
        read = {edge.source for edge in self.edges}.union(besides)
        self.parts = [part for part in self.parts if part in read or not part.once]

    @property
    def undelayed(self) -> list[Edge]:
        """The edges within a step; they form no cycle."""
        return [edge for edge in self.edges if edge.delay == 0]

    def is_state(self, part: Part) -> bool:
        """Whether a signal is read at a step other than its own."""
        return part.node is None and any(edge.source is part and edge.delay for edge in self.edges)

    def label(self, edge: Edge) -> tuple[str, str]:
        """Return the names of an edge's parameters, and the colour of the first; from a layer, of the signals read."""
        carried = _listed(edge.carried)
        if not edge.factors:
            return carried, palette.TEXT
        texts = _listed([text for text, _ in edge.factors])
        return f"{texts} · {carried}" if carried else texts, self.colors[edge.factors[0][1]]


def _listed(texts: Sequence[str]) -> str:
    """Return the first three of some texts."""
    return ", ".join(clean(text, LABEL_LENGTH) for text in texts[:3]) + ", …" * (len(texts) > 3)


def step_graph(cell: Definition, level: str, shapes: Mapping[str, tuple[int, ...]] | None = None,
               names: Names | None = None) -> StepGraph:
    """Return the step graph of a definition: level "signals", or "ops" to include operations.

    Args:
        shapes: of signals and statics that data are known of, by name.
        names: the names to write.

    Raises:
        ValueError: for another level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}: level='signals' draws signals, level='ops' operations too")
    names = names or Names(cell)
    graph = StepGraph(colors={name: palette.parameter(i) for i, name in enumerate(names.parameters.values())},
                      prefix=names.only)
    reads = links(cell)
    blocks = _blocks(cell, level, names)
    statics = _add_statics(graph, cell, shapes or {})
    signals = {}
    for signal in cell.signals.values():
        delays = [link.delay for link in reads if link.source is signal]
        if signal.equation or delays:
            block = blocks.get(signal, "")
            signals[signal] = Part(signal.name, None, signal.lead, clean(names.short(signal.name, block or names.only)),
                                   signal_paint(signal.given, delays, signal.shape == ()),
                                   text=_equation_text(signal, names),
                                   shape=shape_label(_samples(signal.name, signal.samples, shapes)),
                                   given=signal.given, block=block)
    if level == "signals":
        graph.parts += signals.values()
        _add_reads(graph, signals, reads, names)
        _add_static_reads(graph, statics, signals, cell.equations, names)
    else:
        _add_operations(graph, signals, statics, cell.equations, names)
    for signal, part in signals.items():
        if _is_target(signal, reads):
            part.paint = palette.TARGET
    for start in starts(cell):
        graph.starts.append((start, [
            Edge(statics[static], signals[start.signal], 0, _parameters_of(products, names),
                 f"{static.name} → {start.signal.name}[{start.step!r}]", _factors(products, start.signal, names))
            for static, products in _static_products(start.value) if start.signal in signals]))
    _add_operations_to_blocks(graph, cell, blocks)
    assign_layers(graph)
    return graph


def _add_operations_to_blocks(graph: StepGraph, cell: Definition, blocks: Mapping[Signal, str]) -> None:
    """Put every operation into the block of its equation; of those that share it, the one computed first."""
    made = {(id(part.node), part.lead): part for part in graph.parts if part.node is not None and not part.once}
    order = layers_above(cell, blocks) if made else {}
    users: dict[Part, dict[Signal, None]] = {}
    for equation in cell.equations if made else ():
        for node in nodes([equation.expression], into_tensors=False):
            if (id(node), equation.lead) in made:
                users.setdefault(made[id(node), equation.lead], {})[equation.signal] = None
    for part, signals in users.items():
        part.block = blocks.get(min(signals, key=order.__getitem__), "")


def _blocks(cell: Definition, level: str, names: Names) -> dict[Signal, str]:
    """Return the layer of each signal that is drawn in a frame with others, or with its operations."""
    if names.full:
        return {}
    return {signal: layer for layer, members in groups(cell).together.items() for signal in members
            if len(members) > 1 or level == "ops"}


def _is_target(signal: Signal, reads: Sequence[Link]) -> bool:
    """Whether an input is what a loss compares with: only numbers that no equation reads are computed from it.

    They are computed from other signals too, and multiply it with no parameter, as a prediction from it would.
    """
    readers = [link for link in reads if link.source is signal]
    losses = {link.target for link in readers}
    if not signal.given or not readers or any(link.source in losses for link in reads):
        return False
    compared = {link.target for link in reads if link.target in losses and not link.source.given}
    return all(link.target.shape == () and (link.target in compared or _has_weights(link)) and not link.delay
               and not first_products(link.equation.expression)[signal, link.equation.lead] for link in readers)


def _has_weights(link: Link) -> bool:
    """Whether the equation of an edge multiplies anything with parameters."""
    return any(first_products(link.equation.expression).values())


def _equation_text(signal: Signal, names: Names) -> str:
    """Return a signal's equation with full names; the name of an input."""
    if signal.equation is None:
        return signal.name
    return f"{signal.name}[{Time('t', signal.lead)!r}] = {names.text(signal.equation.expression, '')}"


def shape_label(samples: Samples | None, least: int = 2) -> str:
    """Return the shape of an array, "(8×8)", with "?" for an unknown length; "" with fewer axes than `least`."""
    if samples is None or len(samples[0]) < least:
        return ""
    return f"({'×'.join(str(n) if n == other else '?' for n, other in zip(*samples))})"


def _samples(name: str, samples: Samples | None, shapes: Mapping[str, tuple[int, ...]] | None) -> Samples | None:
    return samples_of(shapes[name]) if shapes is not None and name in shapes else samples


def _add_statics(graph: StepGraph, cell: Definition, shapes: Mapping[str, tuple[int, ...]]) -> dict[Static, Part]:
    """Add one box for each static that an equation or an initial value reads."""
    read = {static for x in [*(equation.expression for equation in cell.equations),
                             *(start.value for start in starts(cell))] for static in statics_read(x)}
    found = {static: Part(name, None, 0, clean(name), palette.STATIC, text=f"{name}, the same at all steps", once=True,
                          source=static, shape=shape_label(_samples(name, static.samples, shapes)))
             for name, static in cell.statics.items() if static in read}
    graph.parts += found.values()
    return found


def _static_products(expression: Any) -> list[tuple[Static, list[Product]]]:
    """Return the statics that an expression reads, each with its products with parameters."""
    products = first_products(expression)
    return [(static, products[static, 0]) for static in statics_read(expression)]


def _parameters_of(products: Iterable[Product], names: Names) -> list[str]:
    """Return the names of the parameters of some products."""
    return list(dict.fromkeys(names.parameters[x] for product in products for x in product.parameters
                              if x in names.parameters))


def _factors(products: Iterable[Product], target: Signal, names: Names) -> list[tuple[str, str]]:
    """Return the factors of products in a signal's equation: text, and name of the first parameter."""
    found: dict[str, str] = {}
    for product in products:
        for factor in product.factors:
            own = [names.parameters[x] for x in nodes([factor]) if x in names.parameters]
            text = names.text(factor, names.layer(target.name))
            if len(text) > LABEL_LENGTH and factor.op is not None:
                found.update((names.short(name, names.layer(target.name)), name) for name in own)
            elif own:
                found[text] = own[0]
    return list(found.items())


def _add_static_reads(graph: StepGraph, statics: dict[Static, Part], signals: dict[Signal, Part],
                      equations: Iterable[Equation], names: Names) -> None:
    """Add one edge for each static that an equation reads."""
    for equation in equations:
        for static, products in _static_products(equation.expression):
            graph.edges.append(Edge(statics[static], signals[equation.signal], 0, _parameters_of(products, names),
                                    f"{static.name} → {equation.signal.name}[t]",
                                    _factors(products, equation.signal, names)))


def signal_paint(given: bool, delays: Sequence[int], scalar: bool = False) -> palette.Paint:
    """Return the colours of an input, a state, a number such as a loss, or a signal that is read (`delays`) or not."""
    if given:
        return palette.INPUT
    if any(delays):
        return palette.STATE if max(filter(None, delays)) > 0 else palette.REVERSED
    return palette.LOSS if scalar else palette.HIDDEN if delays else palette.OUTPUT


def _add_reads(graph: StepGraph, signals: dict[Signal, Part], reads: Sequence[Link], names: Names) -> None:
    """Add one edge for each read of a signal in an equation.

    One product of several reads, as of [x[t], h[t-1]], is written at one of their edges: within the step, if possible.
    """
    products = {equation: first_products(equation.expression)
                for equation in dict.fromkeys(link.equation for link in reads)}
    multiplied = {link: products[link.equation].get((link.source, link.equation.lead - link.delay), [])
                  for link in reads}
    written_at: dict[int, Link] = {}
    for link in sorted(reads, key=lambda link: link.delay != 0):
        for product in multiplied[link]:
            written_at.setdefault(id(product.node), link)
    for link in reads:
        own = [product for product in multiplied[link] if written_at[id(product.node)] is link]
        graph.edges.append(Edge(signals[link.source], signals[link.target], link.delay,
                                _parameters_of(multiplied[link], names), f"{link} → {link.target.name}[t]",
                                _factors(own, link.target, names)))


def _add_operations(graph: StepGraph, signals: dict[Signal, Part], statics: dict[Static, Part],
                    equations: Iterable[Equation], names: Names) -> None:
    """Add a box for every operation, once where equations share it, and edges between operands and results.

    An operation on statics alone is computed once, so its box is beside the time steps.
    """
    once: dict[int, Part] = {id(static): part for static, part in statics.items()}
    made: dict[tuple[int, int], Part] = {}
    parts: list[Part] = []

    def edge(x: Any, target: Part) -> Edge:
        x = written(x)
        if isinstance(x, Read):
            return Edge(signals[x.signal], target, target.lead - x.offset, (), f"{to_text(x)} → {target.label}")
        source = once.get(id(x)) or made[id(x), target.lead]
        return Edge(source, target, 0, (), f"{source.label} → {target.label}")

    for equation in equations:
        for node in nodes([equation.expression], into_tensors=False):
            if not isinstance(node, Apply) or id(node) in once or (id(node), equation.lead) in made:
                continue
            computed = [written(x) for x in node.inputs if _is_computed(x)]
            part = _operation_part(node, equation, names, graph.colors)
            part.once = bool(computed) and all(id(x) in once for x in computed)
            if node.written is None:  # it is inserted, and has no box
                continue
            if part.once:
                part.signal, part.lead, part.source = "", 0, node
                once[id(node)] = part
                graph.parts.append(part)
            else:
                made[id(node), equation.lead] = part
                parts.append(part)
            graph.edges += [edge(x, part) for x in computed]
        if _is_computed(equation.expression):
            graph.edges.append(edge(equation.expression, signals[equation.signal]))
    graph.parts += [*signals.values(), *parts]


def written(x: Any) -> Any:
    """Return an operand in the notation of the equation, without operations that are inserted for its axes."""
    while isinstance(x, Apply) and x.written is None:
        x = x.inputs[0]
    return x


def _is_computed(x: Any) -> bool:
    """Whether an operand has a box of its own: a signal, a static or an operation, no constant."""
    return isinstance(written(x), (Read, Static, Apply))


def _operation_part(node: Apply, equation: Equation, names: Names, colors: dict[str, str]) -> Part:
    """Return an operation's box, outlined in the colour of its first parameter."""
    used = list(dict.fromkeys(names.parameters[tensor] for tensor in constants(node) if tensor in names.parameters))
    paint = palette.OPERATION
    if used:
        paint = palette.parameter_paint(list(colors).index(used[0]), paint.fill)
    label = _expression_label(node, names, names.layer(equation.signal.name))
    return Part(equation.signal.name, node, equation.lead, label, paint, used, to_text(node, names.within("")))


def constants(node: Apply | Tensor) -> list[Tensor]:
    """Return the tensors among an operation's operands, and all that they were computed from."""
    return nodes([x for x in node.inputs if isinstance(x, Tensor)])


def _expression_label(node: Apply, names: Names, layer: str) -> str:
    assert node.op is not None
    if isinstance(node.written, ops.GetItem):
        return clean(f"[{format_index(node.written.index)}]", LABEL_LENGTH)
    fixed = {i: x for i, x in enumerate(node.inputs) if not isinstance(x, Expression) or isinstance(x, StepNumber)}
    if len(fixed) == len(node.inputs) and any(isinstance(x, StepNumber) for x in fixed.values()):
        return clean(names.text(node, layer), LABEL_LENGTH)
    return operation_label(node.op, len(node.inputs), {i: _constant_label(x, names, layer) for i, x in fixed.items()},
                           any(np.ndim(x) == 0 for x in fixed.values()))


def _constant_label(x: Any, names: Names, layer: str) -> str:
    """Return the text of a constant operand; of one that a long formula computes from parameters, `f(nu, theta)`."""
    text = names.text(x, layer)
    if len(text) > LABEL_LENGTH and isinstance(x, Tensor) and x.op is not None:
        leaves = [leaf for leaf in nodes([x]) if isinstance(leaf, Tensor) and leaf.op is None]
        known = [names.short(names.parameters.get(leaf) or leaf.name or "", layer) for leaf in leaves]
        text = f"f({', '.join(filter(None, known))})" if any(known) else text
    return clean(text, LABEL_LENGTH)


def operation_label(op: Op, count: int, constants: Mapping[int, str], scalar: bool) -> str:
    """Return `W @`, `+ b`, `1 −`, `tanh`: an operation's glyph, with the one constant of a binary operation.

    Args:
        op, count: the operation, and its number of operands.
        constants: position and text of the operands without a box of their own.
        scalar: whether the constant is a number; then a product is written ×, not ⊙.
    """
    name = op.called or type(op).__name__.lower()
    if isinstance(op, ops.Compare):
        ufunc: Any = op.ufunc
        name = op.symbols.get(ufunc, ufunc.__name__)
    if isinstance(op, ops.Lookup) and 0 in constants:
        return f"{constants[0]}[ ]"
    glyph = GLYPHS.get(name) or GLYPHS.get(op.symbol or "", op.symbol) or name
    if count != 2 or len(constants) != 1:
        return glyph
    (position, constant), = constants.items()
    if isinstance(op, ops.Mul) and scalar:
        glyph = "×"
    function = op.symbol is None and name not in GLYPHS and not isinstance(op, ops.Compare)
    after = position == 1 or function or isinstance(op, (ops.Add, ops.Mul))
    return " ".join(filter(None, (glyph, constant) if after else (constant, glyph)))


def assign_layers(graph: StepGraph) -> None:
    """Set every part's layer: the length of the longest path to it along undelayed edges, which form no cycle.

    An operation that reads nothing at its own step moves up to just below its first user, to shorten its
    edges. Layers that this leaves empty are removed. The parts of a block have layers of their own.
    """
    blocks: dict[str, list[Part]] = {}
    for part in graph.parts:
        if part.block:
            blocks.setdefault(part.block, []).append(part)
    if not blocks:
        _assign_longest_paths(graph)
        return
    units = {name: Part(name, None, 0, name, palette.OPERATION) for name in blocks}  # stand for the blocks
    whole = {part: units.get(part.block, part) for part in graph.parts}
    edges = [Edge(whole[edge.source], whole[edge.target], 0) for edge in graph.undelayed]
    _assign_longest_paths(StepGraph(list(dict.fromkeys(whole.values())),
                                    [edge for edge in edges if edge.source is not edge.target]))
    free = 0
    layers: dict[int, list[Part]] = {}
    for part in dict.fromkeys(whole.values()):
        if not part.once:
            layers.setdefault(part.layer, []).append(part)
    for _, parts in sorted(layers.items()):
        alone = [part for part in parts if part.signal not in blocks or part is not units[part.signal]]
        for part in alone:
            part.layer = free
        free += bool(alone)
        for name in [part.signal for part in parts if part not in alone]:
            own = set(blocks[name])
            _assign_longest_paths(StepGraph(blocks[name], [edge for edge in graph.undelayed if edge.source in own
                                                           and edge.target in own]))
            for part in blocks[name]:
                part.layer += free
            free = max(part.layer for part in blocks[name]) + 1


def _assign_longest_paths(graph: StepGraph) -> None:
    """Set every part's layer, as of a graph without blocks."""
    inputs: dict[Part, list[Part]] = {part: [] for part in graph.parts}
    users: dict[Part, list[Part]] = {part: [] for part in graph.parts}
    for edge in graph.undelayed:
        if edge.source.once == edge.target.once:  # boxes beside the time steps have layers of their own
            inputs[edge.target].append(edge.source)
            users[edge.source].append(edge.target)
    order = postorder(graph.parts, inputs.__getitem__)
    movable: set[Part] = set()
    for part in order:
        part.layer = 1 + max((source.layer for source in inputs[part]), default=-1)
        if part.node is not None and not part.once and movable.issuperset(inputs[part]):
            movable.add(part)
    for part in reversed(order):
        if part in movable:
            part.layer = min(user.layer for user in users[part]) - 1
    for once in (True, False):
        parts = [part for part in graph.parts if part.once is once]
        compact = {layer: number for number, layer in enumerate(sorted({part.layer for part in parts}))}
        for part in parts:
            part.layer = compact[part.layer]
