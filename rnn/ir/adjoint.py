"""The backward pass of a program, as nodes: the adjoint of a recurrence is a recurrence that runs the other way.

For every value v the gradient dv is the sum of what those that use v give it; what reads v `d` steps
later gives it `d` steps earlier (Werbos, Backpropagation through time, Proc. IEEE 78, 1990).
The formulas are those of minigrad.ops, asked for nodes in the place of arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigrad import Op, ops
from minigrad.operators import MATMUL, MATVEC

from .nodes import (
    AddN,
    AtStep,
    Backward,
    ColumnSlice,
    GradientMask,
    InputGrad,
    Leaf,
    Node,
    PadColumns,
    Shift,
    SumOfOuter,
    SumOverSteps,
    ordered,
)

# Their derivatives are formulas of single elements, which hold for nodes as they stand.
ELEMENTWISE = (ops.Identity, ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Neg, ops.Exp, ops.Expm1, ops.Log, ops.Log1p,
               ops.Log2, ops.Sqrt, ops.Square, ops.Abs, ops.Sin, ops.Cos, ops.Tan, ops.Sinh, ops.Cosh, ops.Tanh,
               ops.Arctan, ops.Sigmoid, ops.Relu, ops.Power, GradientMask)


class Adjoint:
    """The gradients of nodes, from those of some of them.

    Args:
        seeds: node -> the node of its gradient from outside.
        wanted: the nodes whose gradients are asked for: weights, inputs.
    """

    def __init__(self, seeds: Mapping[Node, Node], wanted: Iterable[Node]) -> None:
        program = ordered(seeds)
        self.useful = _between(program, set(wanted))
        self.gradients = {node: Node(AddN(), (), node.shape, node.timed, _name(node), node.origin)
                          for node in program if node in self.useful}
        for node, seed in seeds.items():
            if node in self.useful:
                self._add(node, seed)
        self.shifted = {x for node in program if isinstance(node.op, Shift) for x in node.inputs}
        self.uniform: set[Node] = set()  # nodes all of whose gradients are one number
        for node in reversed(program):
            if node in self.useful:
                terms = self.gradients[node].inputs
                if len(terms) == 1 and not terms[0].timed and terms[0].ndim == 0 and node.timed \
                        and node not in self.shifted:
                    self.uniform.add(node)
                self._pass_on(node)

    def of(self, node: Node) -> Node | None:
        """The gradient of a node; None where nothing flows to it."""
        found = self.gradients.get(node)
        return found if found is not None and found.inputs else None

    def at_boundary(self, shifts: Iterable[Node], step: int) -> Node | None:
        """The gradient of a signal's value before the first step (0, -1, ...) or after the last (1, 2, ...).

        Args:
            shifts: the reads of that signal.
            step: 0 is the last value before the first step; with a reversed read 1 is the first after the last.
        """
        terms = []
        for shift in shifts:
            grad, delay = self.of(shift), shift.op.delay  # type: ignore[attr-defined]
            reader = step + delay  # counted from the first step; from behind the last where it is read from there
            if grad is not None and (reader >= 1 if delay > 0 else reader <= 0):
                terms.append(Node(AtStep(reader if delay > 0 else reader - 1), (grad,), shift.shape, False))
        return Node(AddN(), tuple(terms), terms[0].shape, False) if terms else None

    def _add(self, node: Node, share: Node | None) -> None:
        if share is None or node not in self.useful:
            return
        for part in ordered([share]):
            if part.name is None and not isinstance(part.op, Leaf):
                part.name = f"d{node.name}_part" if part is share else f"{node.name}_slope"
        self.gradients[node].inputs += (_fitted(share, node),)

    def _pass_on(self, node: Node) -> None:
        """What a node gives to its inputs."""
        op, grad = node.op, self.gradients[node]
        if node in self.uniform:
            grad = grad.inputs[0]
            if not isinstance(op, (*ELEMENTWISE, AddN)) and not _sums(op):
                grad = Node(ops.BroadcastTo(node.shape), (grad,), node.shape, True, grad.name)
        if isinstance(op, Shift):
            self._add(node.inputs[0], Node(Shift(-op.delay), (grad,), node.shape, True, f"{grad.name}_next"))
        elif _sums(op):
            scale = 1 if isinstance(op, ops.Sum) else node.inputs[0].size
            share = grad if scale == 1 else grad / scale
            x = node.inputs[0]
            self._add(x, share if node in self.uniform else Node(ops.BroadcastTo(x.shape), (share,), x.shape, True))
        elif isinstance(op, AddN):
            for x in node.inputs:
                self._add(x, grad)
        elif isinstance(op, ELEMENTWISE):
            for x, share in zip(node.inputs, _shares(op, grad, node, self._needs(node))):
                self._add(x, share)
        elif is_product(node):
            self._pass_through_product(node, grad)
        elif isinstance(op, ColumnSlice):
            matrix = node.inputs[0]
            self._add(matrix, Node(PadColumns(matrix.shape, op.start), (grad,), matrix.shape, False))
        elif node.inputs:
            needs = self._needs(node)
            whole = Node(Backward(op, needs), (grad, node, *node.inputs), (), True, None, node.origin)
            for index, (x, needed) in enumerate(zip(node.inputs, needs)):
                if needed:
                    self._add(x, Node(InputGrad(index), (whole,), _share_shape(op, node, index, needs), True))

    def _needs(self, node: Node) -> tuple[bool, ...]:
        return tuple(x in self.useful for x in node.inputs)

    def _pass_through_product(self, node: Node, grad: Node) -> None:
        """W x gives Wᵀ grad to x and grad xᵀ to W; x W gives grad Wᵀ to x and x gradᵀ to W."""
        first, second = node.inputs
        if isinstance(node.op, ops.MatVec):
            W, x = first, second
            of_x = Node(MATMUL, (grad, W), x.shape, True)
            of_W = Node(SumOfOuter(), (grad, x), W.shape, False)
        else:
            x, W = first, second
            of_x = Node(MATVEC, (W, grad), x.shape, True)
            of_W = Node(SumOfOuter(), (x, grad), W.shape, False)
        self._add(x, of_x)
        self._add(W, of_W)


def _sums(op: Op) -> bool:
    """Whether an operation is the sum or the mean of a vector."""
    return isinstance(op, (ops.Sum, ops.Mean)) and op.axis == -1 and not op.keepdims


def is_product(node: Node) -> bool:
    """A vector at each step times a matrix that is the same at every step."""
    if isinstance(node.op, ops.MatVec):
        return node.inputs[0].ndim == 2 and not node.inputs[0].timed and node.inputs[1].timed
    if isinstance(node.op, ops.MatMul):
        return node.inputs[1].ndim == 2 and node.inputs[0].timed and node.inputs[0].ndim == 1 \
            and not node.inputs[1].timed
    return False


def _between(program: list[Node], wanted: set[Node]) -> set[Node]:
    """The nodes through which a gradient flows to the wanted ones; a circle needs several rounds."""
    useful: set[Node] = set()
    found = True
    while found:
        found = False
        for node in program:
            if node not in useful and (node in wanted or any(x in useful for x in node.inputs)):
                useful.add(node)
                found = True
    return useful


def _shares(op: Op, grad: Node, node: Node, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """The operation's own derivative, as nodes."""
    shares = op.backward(grad, node, *node.inputs, *([needs] if op.selective else []))
    return shares if isinstance(shares, tuple) else (shares,)


def _fitted(share: Node, node: Node) -> Node:
    """A share in the shape of its node: summed over what was broadcast; over all steps for a weight."""
    if not node.timed:
        return share if not share.timed else Node(SumOverSteps(node.shape), (share,), node.shape, False)
    if share.shape != node.shape and node.shape == (1,):
        share = share.sum(axis=-1, keepdims=True)
    return share


def _share_shape(op: Op, node: Node, index: int, needs: tuple[bool, ...]) -> tuple[int, ...]:
    """The shape of what an operation's derivative returns, by computing it once."""
    samples = [np.full(x.shape, 0 if isinstance(op, ops.Gather) and i else 1, int if isinstance(op, ops.Gather) and i
                       else float) for i, x in enumerate(node.inputs)]
    with np.errstate(all="ignore"):
        out = np.asarray(op.forward(*samples))
        shares = op.backward(np.ones(out.shape), out, *samples, *([needs] if op.selective else []))
    return np.shape(shares[index] if isinstance(shares, tuple) else shares)


def _name(node: Node) -> str | None:
    return None if node.name is None else f"d{node.name}"
