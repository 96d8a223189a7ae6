"""The compiler from a definition to the text of its program: the passes in their order.

    equations -> lower -> split_products -> Adjoint -> simplify -> optimise (forward, backward)
              -> blocks -> BufferPlan -> generate -> render

Of the data only their shapes are known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minigrad import Tensor, ops
from minigrad.operators import WHERE
from rnn.ir.adjoint import Adjoint
from rnn.ir.fusion import Graph, optimise
from rnn.ir.lowering import LoweringOptions, lower, split_products
from rnn.ir.matrices import products_of_einsum
from rnn.ir.nodes import (
    LOSS_SCALE,
    LOSS_STEPS,
    SUMS,
    AddN,
    Input,
    Node,
    Shift,
    View,
    Weight,
    is_static,
    number,
    ordered,
    upstream_name,
)
from rnn.ir.schedule import blocks
from rnn.ir.simplify import SIMPLIFICATIONS, repeat_statics
from rnn.language.dependencies import boundaries
from rnn.language.equations import Definition
from rnn.language.expressions import Time

from .buffers import BufferPlan, Lifetimes
from .codegen import Boundary, Codegen, broadcasts, generate
from .emit import Names

Observer = Callable[[str, Any], None]


def unobserved(name: str, result: Any) -> None:
    """Do nothing after a pass."""


@dataclass(frozen=True)
class GradientRequest:
    """What a backward pass starts from, and which gradients it returns; those of weights always.

    Attributes:
        seeds: the signals whose upstream gradients are given.
        loss: the signal that is summed to the loss.
        inputs: the data whose gradients are returned: inputs, statics, and values after the end of each sequence.
        boundaries: the values before and after the sequence whose gradients are returned: (signal, step).
    """

    seeds: tuple[str, ...] = ()
    loss: str | None = None
    inputs: tuple[str, ...] = ()
    boundaries: tuple[tuple[str, int], ...] = ()


class Program:
    """A compiled definition.

    Args:
        observe: called after each pass with its name and its result: nodes, blocks, or the plan of the arrays.
        split: whether what the weights alone determine is computed by a function of its own, if there are no gradients.
        codegen: makes what writes the text.

    Attributes:
        request: the argument.
        lowered: the definition as nodes.
        names: the names of nodes in the text.
        boundaries: (signal, step) -> the value there; step 0 and less before, 1 and more after the sequence.
        outputs: signal name -> the name of its array.
        gradients: what the backward pass returns: a tensor, an input's name or a boundary -> its name in the text.
        plan: the arrays.
        code: the text.
    """

    def __init__(self, cell: Definition, options: LoweringOptions, request: GradientRequest,
                 observe: Observer = unobserved, split: bool = False,
                 codegen: Callable[..., Codegen] = Codegen) -> None:
        self.request = request
        self.lowered = lower(cell, options)
        roots = self.lowered.roots.values()
        nodes = ordered(roots)
        observe("lower", nodes)
        split_products(nodes)
        products_of_einsum(nodes)
        nodes = ordered(roots)
        observe("split_products", nodes)
        self.names = Names()
        self._name_nodes(nodes)
        gradients = self._differentiate(request, nodes)
        computed = set(nodes)  # by the forward pass

        def backward_nodes() -> list[Node]:
            return _only_backward(gradients.values(), computed)

        observe("Adjoint", backward_nodes())
        optimise(Graph([*roots, *gradients.values()], lambda: ordered([*roots, *gradients.values()])), SIMPLIFICATIONS,
                 observe)
        forward = Graph([*roots, *gradients.values()], lambda: ordered(roots))
        observe("forward", forward.nodes)
        optimise(forward, observe=observe)
        computed = set(forward.nodes)
        backward = Graph(forward.roots, backward_nodes)
        observe("backward", backward.nodes)
        optimise(backward, observe=observe)
        every = [*forward.nodes, *backward.nodes]
        repeat_statics(every, {*roots, *gradients.values(), *(x.inputs[0] for x in every if isinstance(x.op, Shift))})
        backward.refresh()
        for node in [*reversed(backward.nodes), *reversed(forward.nodes)]:  # made by a pass: the line of their reader
            for x in node.inputs:
                x.origin = x.origin or node.origin
        passes = blocks(forward.nodes), blocks(backward.nodes)
        observe("blocks", [*passes[0], *passes[1]])
        self.boundaries = self._boundary_values()
        self.plan = BufferPlan(Lifetimes(passes, [(node, step) for _, node, step in self.boundaries.values()],
                                         [*roots, *(node for node in gradients.values() if node.timed)]))
        observe("BufferPlan", self.plan)
        self.gradients = {key: f"d{self._label(key)}" for key in gradients}
        signals = {f"{name}[{Time('t', cell.signals[name].lead)!r}]": node
                   for name, node in self.lowered.roots.items()}
        self.code = generate(passes, self.plan, self.names, list(self.boundaries.values()),
                             self.lowered.weights.values(), signals,
                             {self.gradients[key]: node for key, node in gradients.items()}, split and not gradients,
                             codegen)
        self.outputs = {name: self.names.of[node] for name, node in self.lowered.roots.items()}

    def _differentiate(self, request: GradientRequest, nodes: list[Node]) -> dict[object, Node]:
        """Return the nodes of all requested gradients."""
        roots = self.lowered.roots
        if not request.seeds and request.loss is None:
            return {}
        seeds = {roots[name]: Node(Input(upstream_name(name)), (), roots[name].shape, True,
                                   f"d{roots[name].name}_given") for name in request.seeds}
        if request.loss is not None:
            seed = Node(Input(LOSS_SCALE), (), (), False, "scale")
            if request.loss in self.lowered.options.after:  # which are no losses
                assert self.lowered.mask is not None
                seed = Node(WHERE, (self.lowered.mask, seed, number(0.0)), (), True, "dloss")
            seeds[roots[request.loss]] = seed
        if self.lowered.options.truncated:
            counts = Node(Input(LOSS_STEPS, shared=True), (), (), True, "loss_steps")
            seeds = {node: Node(ops.Mul(), (seed, counts), seed.shape, True, f"d{node.name}_counted")
                     for node, seed in seeds.items()}
        weights = {tensor: node for tensor, node in self.lowered.weights.items() if tensor.requires_grad}
        given = {**self.lowered.givens, **self.lowered.statics}
        inputs = {name: given[name] for name in request.inputs}
        shifts: dict[str, list[Node]] = {}
        for node in nodes:
            if isinstance(node.op, Shift) and node.op.signal is not None:
                shifts.setdefault(node.op.signal, []).append(node)
        adjoint = Adjoint(seeds, [*weights.values(), *inputs.values(),
                                  *(x for name, _ in request.boundaries for x in shifts.get(name, ()))])
        adjoint.drop_zeros()
        found: dict[object, Node | None] = {key: adjoint.of(node) for key, node in [*weights.items(), *inputs.items()]}
        found.update({key: adjoint.at_boundary(shifts.get(key[0], ()), key[1]) for key in request.boundaries})
        gradients = {key: node for key, node in found.items() if node is not None}
        for node in ordered(gradients.values()):  # replace sums of one term by that term
            if isinstance(node.op, Shift):
                node.inputs = tuple(map(_shiftable, node.inputs))
            else:
                whole = isinstance(node.op, (View, *SUMS)) or (node.timed and not broadcasts(node.op))
                node.inputs = tuple(map(_viewable if whole else _only_term, node.inputs))
        return {key: _of_each_step(_only_term(node), inputs[key]) if key in inputs and not is_static(inputs[key])
                else _only_term(node) for key, node in gradients.items()}

    # ---- names
    def _name_nodes(self, nodes: list[Node]) -> None:
        """Give signals their own names first, then weights and inputs, then intermediate values."""
        leaves = [x for x in nodes if isinstance(x.op, (Weight, Input))]
        for node in [*self.lowered.roots.values(), *leaves, *nodes]:
            if node.name is not None:
                node.name = self.names.give(node)

    def _boundary_values(self) -> dict[tuple[str, int], Boundary]:
        """Return the values from outside of the sequence: h_0, h_m1 for h[-1], h_T1 for h[T+1]."""
        found = {}
        for name, boundary in boundaries(self.lowered.cell).items():
            node, lead = self.lowered.roots[name], self.lowered.cell.signals[name].lead
            for end, steps in (("", boundary.before), ("T", boundary.after)):
                for step in steps:
                    label = self.names.free(f"{self.names.of[node]}_{end}{step}".replace("-", "m"))
                    found[name, step - lead] = Boundary(label, node, step - lead)
        return found

    def _label(self, key: object) -> str:
        """Return the name of a tensor, an input or a boundary value in the text."""
        if isinstance(key, Tensor):
            return self.names.give(self.lowered.weights[key])
        given = {**self.lowered.givens, **self.lowered.statics}
        return self.boundaries[key].name if isinstance(key, tuple) else self.names.of[given[str(key)]]


def _only_backward(gradients: Iterable[Node], forward: set[Node]) -> list[Node]:
    """Return the nodes of the backward pass: those that the forward pass lacks, and those that have no steps."""
    roots, needed = list(gradients), set[Node]()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in needed and (node not in forward or not node.timed):
            needed.add(node)
            stack.extend(node.inputs)
    return [node for node in ordered(roots) if node in needed]


def _shiftable(node: Node) -> Node:
    """Return a value that a Shift can read: it needs boundary rows, so a sum of one term that is a view is a copy."""
    term = _only_term(node)
    return _copied(node, term) if term.timed and isinstance(term.op, View) else _viewable(node)


def _viewable(node: Node) -> Node:
    """Return a value as an array of all steps, which views, sums and products need: a term without steps has none."""
    term = _only_term(node)
    return term if term.timed or not node.timed else _copied(node, term)


def _copied(node: Node, term: Node) -> Node:
    """Return a sum as an array of its only term."""
    if term is not node:
        node.op, node.inputs = ops.BroadcastTo(node.shape), (term,)
    return node


def _of_each_step(node: Node, data: Node) -> Node:
    """Return the gradient of data with its value at each step; where all are the same, it may be one number."""
    if node.timed and node.shape == data.shape:
        return node
    return Node(ops.BroadcastTo(data.shape), (node,), data.shape, True, f"d{data.name}")


def _only_term(node: Node) -> Node:
    """Return the only term of a sum, which takes its name; other nodes as they are."""
    while isinstance(node.op, AddN) and len(node.inputs) == 1:
        if node.inputs[0].name in (None, f"{node.name}_part"):
            node.inputs[0].name = node.name
        node = node.inputs[0]
    return node
