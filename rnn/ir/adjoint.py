"""Reverse-mode differentiation of the IR. The adjoint of a forward recurrence is a recurrence that runs backward.

The gradient dv is the sum of one term from each user of v: if u[t] reads v[t-d], then dv[t] receives a term
from du[t+d] (Werbos, Backpropagation through time, Proc. IEEE 78, 1990). Elementwise operations are
differentiated by their own `backward` from minigrad.ops, applied to symbols in the place of arrays, so there is
no second set of formulas. For other operations a Backward node calls `backward` when the program runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from minigrad import Op, ops
from minigrad.operators import DIV, EXP, MATMUL, MATVEC, MUL, SUB, VECMAT, Operators
from rnn.language.graphs import postorder
from rnn.language.own_operations import is_own, variables_of

from . import nodes as ir
from .matrices import basic_index, exchanges_axes, is_product, outer, part, product_kind, transposed
from .nodes import Node, apply, is_static, number, ordered, users_of

Grads: TypeAlias = "list[Node | None] | None"  # one per operand; None in the place of the list: no rule


class Symbol(Operators):
    """A node that can be written in formulas as an array: `grad * (x > 0)` makes nodes."""

    __slots__ = ("node",)
    __hash__ = object.__hash__

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value of one sequence."""
        return self.node.shape

    @property
    def ndim(self) -> int:
        """The number of axes of one value."""
        return self.node.ndim

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Symbol:
        """Return the symbol of a node that computes `op`."""
        return Symbol(apply(op, *(x.node if isinstance(x, Symbol) else number(x) for x in inputs)))

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Symbol:
        """Return the symbol of a comparison, which is computed when the program runs."""
        return Symbol.apply(ops.Compare(ufunc), *inputs)

    def __bool__(self) -> bool:
        raise TypeError("a value isn't known before the program runs")


class Adjoint:
    """The gradients of the nodes of a program.

    Args:
        seeds: node -> the node of its upstream gradient.
        wanted: the nodes whose gradients are requested: weights, inputs, reads of boundary values.
    """

    def __init__(self, seeds: Mapping[Node, Node], wanted: Iterable[Node]) -> None:
        program = ordered(seeds)
        self.program = set(program)
        self.active = _active(program, set(wanted))
        self.gradients = {node: Node(ir.AddN(), (), node.shape, node.timed and not is_static(node),
                                     node.name and f"d{node.name}", node.origin)
                          for node in program if node in self.active}
        for node, seed in seeds.items():
            self._add(node, seed)
        shifted = {x for node in program if isinstance(node.op, ir.Shift) for x in node.inputs}
        for node in reversed(program):  # users first, but for users at other steps, which may add their terms later
            if node in self.active:
                self._propagate(node, node not in shifted)

    def of(self, node: Node) -> Node | None:
        """Return the gradient of a node; None if no gradient reaches it."""
        found = self.gradients.get(node)
        return found if found is not None and found.inputs else None

    def drop_zeros(self) -> None:
        """Drop the terms that are zero since no seed reaches them: an operand without a derivative ends their path.

        A sum is zero if all of its terms are, any other term if one of its operands is. Sums may form cycles through
        other steps, so what isn't zero is found as the least fixed point, from the seeds on.
        """
        sums = set(self.gradients.values())
        every = ordered(sums)
        users = users_of(every)
        waiting = [node for node in every if node in self.program or (not node.inputs and node not in sums)]
        alive, missing = set(waiting), {node: 1 if node in sums else len(node.inputs) for node in every}
        for node in waiting:  # grows
            for user in users.get(node, ()):
                missing[user] -= 1
                if missing[user] <= 0 and user not in alive:
                    alive.add(user)
                    waiting.append(user)
        for node in sums:
            node.inputs = tuple(x for x in node.inputs if x in alive)

    def at_boundary(self, shifts: Iterable[Node], step: int) -> Node | None:
        """Return the gradient of a signal's value before the first step (0, -1, ...) or after the last (1, 2, ...).

        Args:
            shifts: the reads of that signal.
            step: 0 is the last value before the first step; 1 is the first after the last.
        """
        terms = []
        for shift in shifts:
            grad, delay = self.of(shift), shift.op.delay
            reader = step + delay  # the step that reads it, counted from the first step (1), or from the last (0)
            inside = reader >= 1 if step <= 0 else reader <= 0
            if grad is not None and inside:
                terms.append(Node(ir.AtStep(reader if step <= 0 else reader - 1), (grad,), shift.shape, False))
        return Node(ir.AddN(), tuple(terms), terms[0].shape, False) if terms else None

    def _add(self, node: Node, term: Node | None) -> None:
        """Add a term to the gradient of a node, and name the nodes that compute the term."""
        if term is None or node not in self.active:
            return
        unnamed = [term]
        for x in unnamed:  # grows
            if x.name is None and not isinstance(x.op, ir.Leaf):
                x.name = f"d{node.name}_part" if x is term else f"{node.name}_slope"
                unnamed.extend(x.inputs)
        self.gradients[node].inputs += (_unbroadcast(term, node),)

    def _propagate(self, node: Node, complete: bool) -> None:
        """Add to the gradients of a node's operands.

        If the only term of the node's gradient is one number for all steps and elements (the scale of a
        loss), it is passed on as it is where broadcasting gives the same result, and never stored as an array.
        """
        op, grad = node.op, self.gradients[node]
        if not op.differentiable:
            return
        compact, terms = grad, grad.inputs
        if complete and node.timed and len(terms) == 1 and not terms[0].timed and terms[0].ndim == 0:
            compact = terms[0]
            grad = Node(ops.BroadcastTo(node.shape), terms, node.shape, True, compact.name)
        needs = tuple(x in self.active for x in node.inputs)
        rule = RULES.get(type(op), _elementwise)
        upstream = compact if op.elementwise or sums_rows(op) else grad
        grads = rule(node, upstream, needs)
        spread = upstream is not grad and grads is not None
        for x, term in zip(node.inputs, _at_run_time(node, grad, needs) if grads is None else grads):
            if term is not None and spread and not x.timed:  # a weight's is summed over all that reads it
                shape = node.shape if op.elementwise else x.shape
                term = Node(ops.BroadcastTo(shape), (term,), shape, True)
            elif term is not None and spread and op.elementwise:
                term = _for_each_repeat(term, x, node)
            self._add(x, term)


# ---- one rule per operation: the gradients of the operands, from the node and its gradient
def _shift(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """u[t] = v[t-d]: dv[t] += du[t+d]."""
    return [Node(ir.Shift(-node.op.delay), (grad,), node.shape, True, f"{grad.name}_next")]


def _sum(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """The sum or the mean over some axes: all elements that are added have the same gradient."""
    op, x = node.op, node.inputs[0]
    axes = op.axis if isinstance(op.axis, tuple) else (op.axis,)
    if not x.timed or not all(isinstance(axis, int) and -x.ndim <= axis < 0 for axis in axes):
        return None
    count = x.size // max(node.size, 1)
    term = grad if isinstance(op, ops.Sum) or count == 1 else apply(DIV, grad, number(count))
    if not grad.timed:
        return [term]
    if not op.keepdims and not sums_rows(op):
        term = part(term, *(None if axis - x.ndim in axes else slice(None) for axis in range(x.ndim)))
    return [Node(ops.BroadcastTo(x.shape), (term,), x.shape, True)]


def _log_softmax(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """y = log softmax(x): dx = dy - exp(y) Σ dy."""
    if not node.timed or not node.op.axis < 0:
        return None
    total = apply(ops.Sum(node.op.axis, True), grad)
    return [apply(SUB, grad, apply(MUL, apply(EXP, node), total))]


def _getitem(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """Take the new axes away where an index does nothing else than to insert some."""
    index = basic_index(node)
    if index is None or any(x is not None and x != slice(None) for x in index):
        return None
    return [part(grad, *(0 if x is None else x for x in index))]


def _transpose(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    return [transposed(grad)] if exchanges_axes(node) else None


def _add_n(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    return [grad] * len(node.inputs)


def _columns(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    return [Node(ir.PadColumns(node.op.start), (grad,), node.inputs[0].shape, False)]


def _product(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """y = W x: dx = Wᵀ dy, dW = dy xᵀ. y = x W: dx = dy Wᵀ, dW = x dyᵀ."""
    if not is_product(node):
        return _batched_product(node, grad)
    if isinstance(node.op, ops.MatVec):
        W, x = node.inputs
        return [_sum_of_outer(grad, x, W), Node(MATMUL, (grad, W), x.shape, True)]
    x, W = node.inputs
    return [Node(MATVEC, (W, grad), x.shape, True), _sum_of_outer(x, grad, W)]


def _sum_of_outer(a: Node, b: Node, of: Node) -> Node:
    """Return the gradient of a weight. Where an operand is a static, the other one is summed over the steps first."""
    if is_static(a) or is_static(b):
        a, b = (x if is_static(x) else Node(ir.SumOverTime(), (x,), x.shape, False, x.name) for x in (a, b))
    return Node(ir.SumOfOuter(), (a, b), of.shape, False)


def _batched_product(node: Node, grad: Node) -> Grads:
    """A product of matrices and vectors of each sequence, or of one of them with a weight.

    y = A x: dA = dy xᵀ, dx = dyᵀ A. y = xᵀ A: dx = A dy, dA = x dyᵀ. y = A B: dA = dy Bᵀ, dB = Aᵀ dy.
    Of a weight it is summed over all steps and sequences.
    """
    a, b = node.inputs
    kind = product_kind(node)
    if kind == (2, 1):
        return [outer(grad, b), apply(VECMAT, grad, a) if b.timed else _sum_of_outer(grad, a, b)]
    if kind == (1, 2):
        return [Node(MATVEC, (b, grad), a.shape, True), outer(a, grad) if b.timed else _sum_of_outer(a, grad, b)]
    if kind == (1, 1):
        return [Node(MUL, (grad, y), y.shape, True) if x.timed else _sum_of_outer(grad, y, x)
                for x, y in ((a, b), (b, a))]
    if kind == (2, 2):
        of_a = Node(MATMUL, (grad, transposed(b)), a.shape, True) if a.timed \
            else _sum_of_outer(transposed(grad), transposed(b), a)
        of_b = Node(MATMUL, (transposed(a), grad), b.shape, True) if b.timed else _sum_of_outer(a, grad, b)
        return [of_a, of_b]
    return None


def _elementwise(node: Node, grad: Node, needs: tuple[bool, ...]) -> Grads:
    """Apply the operation's own derivative to nodes.

    Returns:
        None if the operation isn't elementwise, takes arrays alone, reads variables, which may change, or computes
        with truth values.
    """
    op = node.op
    if not op.elementwise or (is_own(op) and variables_of(op, "backward")):
        return None
    try:
        grads = op.backward(*map(Symbol, (grad, node, *node.inputs)), *([needs] if op.selective else []))
    except (TypeError, AttributeError, ValueError):
        return None
    grads = grads if isinstance(grads, tuple) else (grads,)
    if not all(x is None or isinstance(x, Symbol) for x in grads):
        return None
    found = [None if x is None else x.node for x in grads]
    if is_own(op) and computes_with_truth(made_of([x for x in found if x], [grad, node, *node.inputs])):
        return None
    return found


def made_of(results: Iterable[Node], operands: Iterable[Node]) -> list[Node]:
    """Return the nodes from which results are computed, given operands: operands of a node come before it."""
    known = set(operands)
    return [x for x in postorder(results, lambda x: () if x in known else x.inputs) if x not in known]


def computes_with_truth(nodes: Iterable[Node]) -> bool:
    """Return whether a value is computed from truth values alone, by another operation than a comparison.

    NumPy's sum of two truth values is a truth value. That of two nodes is a number.
    """
    truths: set[Node] = set()
    for node in nodes:
        operands = node.inputs[1:] if type(node.op) is ops.Where else node.inputs
        if isinstance(node.op, ops.Compare):
            truths.add(node)
        elif operands and truths.issuperset(operands):
            return True
    return False


RULES: dict[type[Op], Callable[[Node, Node, tuple[bool, ...]], Grads]] = {
    ir.Shift: _shift, ops.Sum: _sum, ops.Mean: _sum, ir.AddN: _add_n, ir.ColumnSlice: _columns,
    ops.MatVec: _product, ops.MatMul: _product, ops.VecMat: _product, ops.VecDot: _product, ops.GetItem: _getitem,
    ir.Part: _getitem, ops.Transpose: _transpose, ir.Transposed: _transpose, ops.LogSoftmax: _log_softmax}


def _at_run_time(node: Node, grad: Node, needs: tuple[bool, ...]) -> list[Node | None]:
    """Call the operation's backward when the program runs: once for operands of each step, once for each other one."""
    if not node.inputs:
        return []
    of_steps = tuple(needed and x.timed for needed, x in zip(needs, node.inputs))
    every = Node(ir.Backward(node.op, of_steps), (grad, node, *node.inputs), (), True, None, node.origin)
    found: list[Node | None] = []
    for index, (x, needed) in enumerate(zip(node.inputs, needs)):
        if not needed:
            found.append(None)
        elif x.timed:
            found.append(Node(ir.InputGrad(index), (every,), _grad_shape(node, index, of_steps, ()), True))
        else:
            found.append(_weight_grad(node, grad, index))
    return found


def _weight_grad(node: Node, grad: Node, index: int) -> Node:
    """Return the gradient of an operand that is the same at all steps.

    Some derivatives sum over the axes along which the operand was broadcast themselves, others leave it to the engine.
    """
    shape = node.inputs[index].shape
    only = tuple(i == index for i in range(len(node.inputs)))
    whole = _grad_shape(node, index, only, LEAD)
    added = len(whole) - len(shape)
    axes = (*range(added), *(added + i for i, n in enumerate(shape) if n == 1 != whole[added + i]))
    return Node(ir.WeightGrad(node.op, only, index, axes), (grad, node, *node.inputs), shape, False, None, node.origin)


LEAD = 2, 3  # numbers of steps and sequences of samples


def _grad_shape(node: Node, index: int, needs: tuple[bool, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a gradient that the operation's backward returns, by computing it on samples."""
    op = node.op
    shapes = [(*lead, *x.shape) if x.timed else x.shape for x in node.inputs]
    if op.aligned:
        shapes = [(*lead, *x.shape) for x in node.inputs]
    operands = op.samples(*shapes)
    with np.errstate(all="ignore"):
        out = np.asarray(op.forward(*operands))
        grads = op.backward(np.ones(out.shape), out, *operands, *([needs] if op.selective else []))
    return np.shape(grads[index] if isinstance(grads, tuple) else grads)


def sums_rows(op: Op) -> bool:
    """Return whether an operation is the sum or the mean over the last axis, which it removes."""
    return isinstance(op, (ops.Sum, ops.Mean)) and op.axis in (-1, (-1,)) and not op.keepdims


def _active(program: list[Node], wanted: set[Node]) -> set[Node]:
    """Return the nodes that depend on a wanted one: only they need a gradient."""
    users = users_of(program)
    found: set[Node] = set()
    stack = [node for node in program if node in wanted]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(user for user in users.get(node, ()) if user.op.differentiable)
    return found


def _unbroadcast(term: Node, node: Node) -> Node:
    """Return a term in the shape of its node: over what was broadcast, over all steps for a weight and a static."""
    if not node.timed:
        return term if not term.timed else Node(ir.SumOverSteps(), (term,), node.shape, False)
    axes = tuple(i for i in range(-min(term.ndim, node.ndim), 0) if node.shape[i] == 1 != term.shape[i])
    if axes:
        term = apply(ops.Sum(axes if len(axes) > 1 else axes[0], True), term)
    if (term.timed and term.shape != node.shape) or (is_static(node) and (not term.timed or term.shape != node.shape)):
        term = Node(ops.BroadcastTo(node.shape), (term,), node.shape, True, term.name)
    return _over_time(term) if is_static(node) else term


def _for_each_repeat(term: Node, x: Node, node: Node) -> Node:
    """Return a term of the gradient of x times the number of elements of `node` that share each of its elements.

    Axes along which x is broadcast and the term isn't count: their sum is taken by a factor.
    """
    whole, own = node.shape, (1,) * (node.ndim - x.ndim) + x.shape
    has = (1,) * (node.ndim - term.ndim) + term.shape
    count = math.prod(n for n, of_x, of_term in zip(whole, own, has) if of_x == of_term == 1)
    return term if count == 1 else apply(MUL, term, number(count))


def _over_time(term: Node) -> Node:
    """Return the sum of a term over all steps for each sequence; of outer products as one product of matrices."""
    if isinstance(term.op, ops.Mul) and all(isinstance(x.op, ir.Part) for x in term.inputs):
        column, row = term.inputs
        if column.op.index == (None,) and row.op.index == (None, slice(None)):
            return Node(ir.OuterOverTime(), (*column.inputs, *row.inputs), term.shape, False, term.name)
    return Node(ir.SumOverTime(), (term,), term.shape, False, term.name)
