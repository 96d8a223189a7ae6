"""A definition as one program: its nodes forward and backward, simplified and in order, and their text.

Knows the shapes of the data, and no data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minigrad import Tensor, ops
from rnn.ir.adjoint import Adjoint
from rnn.ir.fusion import joined
from rnn.ir.lowering import Lowered, LoweringOptions, lead_of, lowered
from rnn.ir.nodes import LOSS_SCALE, LOSS_STEPS, AddN, ColumnSlice, Input, Node, Shift, Weight, ordered, upstream_name
from rnn.ir.schedule import blocks
from rnn.language.dependencies import boundaries
from rnn.language.equations import Definition, Time

from .codegen import Boundary, Source
from .identifiers import Names


@dataclass(frozen=True)
class Wanted:
    """What a backward pass starts from, and what it is asked for.

    Attributes:
        seeds: the signals whose gradients are given; empty: those of the loss are ones.
        loss: the signal that is summed to the loss.
        inputs: the inputs whose gradients are asked for.
        boundaries: the values before and after the sequence whose gradients are asked for: (signal, step).
    """

    seeds: tuple[str, ...] = ()
    loss: str | None = None
    inputs: tuple[str, ...] = ()
    boundaries: tuple[tuple[str, int], ...] = ()


class Program:
    """What a definition computes, and the text that computes it.

    Attributes:
        low: the definition as nodes.
        names: what the text calls them.
        boundaries: (signal, step) -> the value there; step 0 and less before, 1 and more after the sequence.
        outputs: signal name -> the name of its array.
        gradients: what the backward pass returns: a tensor, an input's name or a boundary -> its name in the text.
        source: the writer, with the lines of all parts.
    """

    def __init__(self, cell: Definition, options: LoweringOptions, wanted: Wanted) -> None:
        self.low = split(lowered(cell, options))
        self.names = Names()
        roots = self.low.roots
        forward = ordered(roots.values())
        self._name(forward)
        gradients = self.wanted_gradients = self._gradients(wanted)
        every = [*roots.values(), *gradients.values()]
        joined(every, self._forward)
        joined(every, self._backward)
        forward, backward = self._forward(), self._backward()
        self.boundaries = self._boundaries()
        labels = {f"{name}[{Time('t', lead_of(cell.signals[name]))!r}]": node for name, node in roots.items()}
        self.source = Source(blocks(forward), blocks(backward), self.names, list(self.boundaries.values()),
                             self.low.weights.values(), labels, gradients)
        self.gradients = {key: f"d{self._label(key)}" for key in gradients}
        self.outputs = {name: self.names.of[node] for name, node in roots.items()}

    def _boundaries(self) -> dict[tuple[str, int], Boundary]:
        """The values from outside of the sequence: h_0, h_m1 for h[-1], hb_T1 for hb[T+1]."""
        found = {}
        for name, boundary in boundaries(self.low.cell).items():
            node, lead = self.low.roots[name], lead_of(self.low.cell.signals[name])
            for end, steps in (("", boundary.before), ("T", boundary.after)):
                for k in steps:
                    called = self.names.free(f"{self.names.of[node]}_{end}{k}".replace("-", "m"))
                    found[name, k - lead] = Boundary(called, node, k - lead)
        return found

    def name_of(self, data: str) -> str:
        """The name that the text gives to data."""
        return next(self.names.of[node] for node in self._forward()
                    if isinstance(node.op, Input) and node.op.name == data)

    def _forward(self) -> list[Node]:
        """The nodes of the forward pass."""
        return ordered(self.low.roots.values())

    def _backward(self) -> list[Node]:
        """The nodes of the backward pass, with the weights' own, which both have."""
        there = set(self._forward())
        needed: set[Node] = set()
        waiting = list(self.wanted_gradients.values())
        while waiting:
            node = waiting.pop()
            if node not in needed and (node not in there or not node.timed):
                needed.add(node)
                waiting.extend(node.inputs)
        return [node for node in ordered(self.wanted_gradients.values()) if node in needed]

    def _name(self, forward: list[Node]) -> None:
        """Signals get their own names first, then weights and data, then what is between."""
        for node in [*self.low.roots.values(), *(x for x in forward if isinstance(x.op, (Weight, Input))), *forward]:
            if node.name is not None:
                self.names.give(node)
                node.name = self.names.of[node]

    def _label(self, key: object) -> str:
        """What a gradient is of: a tensor's name, an input's, or a boundary's."""
        if isinstance(key, Tensor):
            return self.names.of[self.low.weights[key]]
        return self.boundaries[key].name if isinstance(key, tuple) else self.names.of[self.low.roots[str(key)]]

    def _gradients(self, wanted: Wanted) -> dict[object, Node]:
        """The nodes of all gradients that are asked for."""
        roots = self.low.roots
        if not wanted.seeds and wanted.loss is None:
            return {}
        seeds: dict[Node, Node] = {}
        for name in wanted.seeds:
            seeds[roots[name]] = Node(Input(upstream_name(name)), (), roots[name].shape, True,
                                      f"d{roots[name].name}_given")
        if wanted.loss is not None:
            seeds[roots[wanted.loss]] = Node(Input(LOSS_SCALE), (), (), False, "scale")
        if self.low.options.truncated:
            owed = Node(Input(LOSS_STEPS, shared=True), (), (), True, "owed")
            seeds = {node: Node(ops.Mul(), (seed, owed), seed.shape, True, f"d{node.name}_owed")
                     for node, seed in seeds.items()}
        weights = {tensor: node for tensor, node in self.low.weights.items() if tensor.requires_grad}
        inputs = {name: roots[name] for name in wanted.inputs}
        shifts: dict[str, list[Node]] = {}
        for node in ordered(roots.values()):
            if isinstance(node.op, Shift) and node.op.signal is not None:
                shifts.setdefault(node.op.signal, []).append(node)
        targets = [*weights.values(), *inputs.values(), *(x for name, _ in wanted.boundaries for x in shifts[name])]
        adjoint = Adjoint(seeds, targets)
        found: dict[object, Node | None] = {tensor: adjoint.of(node) for tensor, node in weights.items()}
        found.update({name: adjoint.of(node) for name, node in inputs.items()})
        found.update({key: adjoint.at_boundary(shifts[key[0]], key[1]) for key in wanted.boundaries})
        result = {key: node for key, node in found.items() if node is not None}
        simplify(result.values())
        return {key: _collapsed(node) for key, node in result.items()}


def split(low: Lowered) -> Lowered:
    """W [a, b] as W_a a + W_b b: what a loop doesn't touch is then computed outside of it."""
    for node in ordered(low.roots.values()):
        if not isinstance(node.op, ops.MatVec) or node.inputs[0].timed or node.inputs[0].ndim != 2:
            continue
        W, joined = node.inputs
        if not isinstance(joined.op, ops.Concatenate) or not all(x.timed for x in joined.inputs):
            continue
        terms, start = [], 0
        for part in joined.inputs:
            stop = start + part.shape[0]
            columns = Node(ColumnSlice(start, stop), (W,), (W.shape[0], stop - start), False, f"{W.name}_{part.name}")
            terms.append(Node(ops.MatVec(), (columns, part), node.shape, True, f"{node.name}_product", node.origin))
            start = stop
        node.op, node.inputs = AddN(), tuple(terms)
    return low


def simplify(roots: Iterable[Node]) -> None:
    """Sums of one term are that term."""
    for node in ordered(roots):
        node.inputs = tuple(_collapsed(x) for x in node.inputs)


def _collapsed(node: Node) -> Node:
    while isinstance(node.op, AddN) and len(node.inputs) == 1:
        if node.inputs[0].name in (None, f"{node.name}_part"):
            node.inputs[0].name = node.name
        node = node.inputs[0]
    return node
