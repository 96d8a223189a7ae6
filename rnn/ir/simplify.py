"""Simplifications of the nodes of both passes together, before the loops: fewer elements to compute with.

Each pass is a function on a `Graph`, as those of fusion.py are, run in the order of SIMPLIFICATIONS:

1. `view_parts` makes views of indices and transpositions.
2. `drop_broadcasts` lets operations that broadcast read a value before it is repeated.
3. `contract_sums` makes products of a matrix with vectors of sums over products: of the gradient of an outer product.
4. `order_factors` multiplies the small factors of a matrix first.
5. `share_equal` computes once what is written twice.
6. `expand_softmax` writes a softmax as exponentials divided by their sum.
"""

from __future__ import annotations

from collections.abc import Iterable

from minigrad import ops
from minigrad.operators import DIV, EXP, MATVEC, MUL, SUB, VECDOT, VECMAT

from . import nodes as ir
from .fusion import Graph, multiply_all
from .matrices import basic_index, exchanges_axes, part, with_axes
from .nodes import Node, apply
from .schedule import same_at_all_steps

ALL = slice(None)


def view_parts(graph: Graph) -> None:
    """Make a view of an index of numbers, slices and new axes, and of a transposed matrix.

    Not of a signal or a value that another step reads, which have arrays of their own.
    """
    for node in graph.nodes:
        if node in graph.roots or graph.read_by_shift(node):
            continue
        index = basic_index(node) if isinstance(node.op, ops.GetItem) else None
        if index is not None:
            graph.rewrite(node, ir.Part(index), *node.inputs)
        elif isinstance(node.op, ops.Transpose) and exchanges_axes(node):
            graph.rewrite(node, ir.Transposed(), *node.inputs)


def drop_broadcasts(graph: Graph) -> None:
    """Let an operation that broadcasts read values before they are repeated, if one of its operands isn't.

        g[t] = BroadcastTo(s[t]);  d[t] = g[t] * x[t]   ->   d[t] = s[t] * x[t]
    """
    for node in graph.nodes:
        if not node.op.elementwise or isinstance(node.op, ir.View):
            continue
        inputs = [_before_broadcast(x) if isinstance(x.op, ops.BroadcastTo) and x not in graph.roots else x
                  for x in node.inputs]
        if any(x.timed and x.shape == node.shape for x in inputs) and inputs != list(node.inputs):
            graph.rewrite(node, node.op, *inputs)


def _before_broadcast(node: Node) -> Node:
    """Return the value that is repeated, with the axes that broadcasting inserts; a number needs none."""
    x = node.inputs[0]
    return with_axes(x, node.ndim) if x.ndim else x


# ---- products of a matrix, rows, columns and numbers
class Factors:
    """The factors of a product of matrices (m, n), by shape: numbers, columns (m), rows (n), and whole matrices.

    Columns and rows are vectors here, numbers have no axes.
    """

    def __init__(self, node: Node, factors: Iterable[Node]) -> None:
        self.numbers: list[Node] = []
        self.columns: list[Node] = []
        self.rows: list[Node] = []
        self.whole: list[Node] = []
        m, n = node.shape
        for x in factors:
            shape = (1,) * (2 - x.ndim) + x.shape
            if x.ndim < 2 and x.timed and x.ndim:  # axes are inserted behind those of a value of each step
                shape = (*x.shape, 1)
            if shape == (1, 1):
                self.numbers.append(_element(x) if x.ndim else x)
            elif shape == (m, 1) and x.timed:
                self.columns.append(part(x, ALL, 0) if x.ndim == 2 else x)
            elif shape == (1, n) and (x.timed or x.ndim == 1):
                self.rows.append(part(x, 0, ALL) if x.ndim == 2 else x)
            else:
                self.whole.append(x)

    def vectors(self) -> list[list[Node]]:
        """Return columns and rows."""
        return [self.columns, self.rows]


def _element(node: Node) -> Node:
    """Return the only element of a value as a number without axes."""
    return part(node, *(0,) * node.ndim) if node.timed else apply(ops.GetItem((0,) * node.ndim), node)


def _factors(node: Node, graph: Graph | None = None) -> list[Node]:
    """Return the factors of a product of products, from left to right; with a graph, of those that it alone reads."""
    found: list[Node] = []
    stack = [node]
    while stack:
        x = stack.pop()
        nested = isinstance(x.op, ops.Mul) and x.timed
        if x is node or (nested and (graph is None or graph.used_only_by(x, graph.users[x][0]))):
            stack.extend(x.inputs[::-1])
        else:
            found.append(x)
    return found


def contract_sums(graph: Graph) -> None:
    """Make products of a matrix with vectors of sums over a product of them.

        d[t] = (G[t] * k[t][None, :]).sum(-1)                        ->   d[t] = G[t] @ k[t]
        d[t] = (G[t] * u[t][:, None] * k[t][None, :]).sum((-2, -1))  ->   d[t] = u[t] @ (G[t] @ k[t])
    """
    for node in graph.nodes:
        if not isinstance(node.op, ops.Sum) or not node.timed or node.inputs[0].ndim != 2:
            continue
        product = node.inputs[0]
        axes: set[int | None] = set(node.op.axis) if isinstance(node.op.axis, tuple) else {node.op.axis}
        if isinstance(product.op, ops.Mul) and product.timed and axes <= {-1, -2}:
            found = Factors(product, _factors(product))
            if len(found.whole) == 1 and found.whole[0].timed and found.whole[0].shape == product.shape:
                _contract(graph, node, found, axes)


def _contract(graph: Graph, node: Node, found: Factors, axes: set[int | None]) -> None:
    """Rewrite the sum over one matrix times numbers, columns and rows."""
    name = f"{node.name}_product"
    matrix, column, row = found.whole[0], *(multiply_all(x, name) if x else None for x in found.vectors())
    if axes == {-1} and row is not None:
        value = _times(apply(MATVEC, matrix, row), column)
    elif axes == {-2} and column is not None:
        value = _times(apply(VECMAT, column, matrix), row)
    elif len(axes) == 2 and column is not None and row is not None:
        value = apply(VECDOT, column, apply(MATVEC, matrix, row))
    else:
        return
    for x in [value, *value.inputs]:
        x.name = x.name or name
    value = multiply_all([value, *found.numbers], name)
    if node.op.keepdims:
        view = part(value, *(None if axis in axes else ALL for axis in (-2, -1)))
        if node in graph.roots or graph.read_by_shift(node):  # these have arrays of their own
            graph.rewrite(node, ops.BroadcastTo(node.shape), view)
        else:
            graph.rewrite(node, view.op, value)
    else:
        graph.rewrite(node, value.op, *value.inputs)


def _times(value: Node, factor: Node | None) -> Node:
    return value if factor is None else apply(MUL, value, factor)


def order_factors(graph: Graph) -> None:
    """Multiply numbers, columns and rows of a product of matrices first, and whole matrices last.

        S[t] = b[t] * (u[t][:, None] * k[t][None, :])   ->   S[t] = (b[t] * u[t])[:, None] * k[t][None, :]
    """
    for node in reversed(graph.nodes):
        if not isinstance(node.op, ops.Mul) or not node.timed or node.ndim != 2 or 1 in node.shape:
            continue
        factors = _factors(node, graph)
        if len(factors) < 3:
            continue
        found = Factors(node, factors)
        vectors = next((x for x in found.vectors() if x), None)
        if vectors is None or not found.numbers:
            continue
        vectors[:0] = found.numbers
        column, row = (multiply_all(x, f"{node.name}_factor") if x else None for x in found.vectors())
        terms = [*([part(column, ALL, None)] if column is not None and column.timed else []),
                 *([part(row, None, ALL) if row.timed else row] if row is not None else [])]
        product = [multiply_all(terms, f"{node.name}_factor"), *found.whole]
        *first, last = product if len(product) > 1 else terms
        graph.rewrite(node, MUL, multiply_all(first, f"{node.name}_factor"), last)


# ---- equal nodes
def share_equal(graph: Graph) -> None:
    """Let all readers of equal nodes read the first of them."""
    first: dict[object, Node] = {}
    instead: dict[Node, Node] = {}
    for node in graph.nodes:
        inputs = node.inputs if isinstance(node.op, ir.Shift) else tuple(instead.get(x, x) for x in node.inputs)
        if inputs != node.inputs:
            graph.rewrite(node, node.op, *inputs)
        whole = _undone(node)
        if whole is not None:
            instead[node] = whole
        if whole is not None or not _repeatable(node):
            continue
        operands = frozenset(inputs) if isinstance(node.op, (ops.Mul, ops.Add)) else inputs
        key = type(node.op), repr(sorted(vars(node.op).items())), operands, node.shape, node.timed
        same = first.setdefault(key, node)
        if same is not node and node not in graph.roots:
            instead[node] = same
    for node in graph.nodes:  # a read of another step comes before the value
        inputs = tuple(instead.get(x, x) for x in node.inputs)
        if isinstance(node.op, ir.Shift) and not _has_same_rows(inputs[0], node.inputs[0], graph):
            continue
        if inputs != node.inputs:
            graph.rewrite(node, node.op, *inputs)


def _has_same_rows(same: Node, node: Node, graph: Graph) -> bool:
    """Return whether an equal value is equal outside of the sequence, too: a signal has boundary values there."""
    return same not in graph.roots and node not in graph.roots and not isinstance(same.op, (ir.View, ir.Leaf))


def _undone(node: Node) -> Node | None:
    """Return the value to which a node is equal: x**1, or x of which a view inserted the axes that it takes away."""
    if isinstance(node.op, ops.Power) and node.op.exponent == 1:
        return node.inputs[0]
    if not isinstance(node.op, ir.Part) or not isinstance(node.inputs[0].op, ir.Part):
        return None
    whole = node.inputs[0].inputs[0]
    return whole if part(node.inputs[0], *node.op.index) is whole else None


def _repeatable(node: Node) -> bool:
    """Return whether an equal operation on the same operands has an equal result."""
    plain = (ops.Sum, ops.MatVec, ops.VecMat, ops.VecDot, ops.BroadcastTo, ir.Part, ir.Transposed)
    elementwise = node.op.elementwise and type(node.op).__module__ == ops.__name__
    return node.timed and bool(node.inputs) and (elementwise or isinstance(node.op, plain))


def expand_softmax(graph: Graph) -> None:
    """Compute a softmax without the logarithm, where only its exponential is read.

        a[t] = exp(log_softmax(e[t]))   ->   n[t] = exp(e[t] - max(e[t]));  a[t] = n[t] / n[t].sum()
    """
    for node in graph.nodes:
        logarithm = node.inputs[0] if isinstance(node.op, ops.Exp) else node
        if not isinstance(logarithm.op, ops.LogSoftmax) or not node.timed or logarithm.op.axis >= 0 \
                or logarithm is node or not graph.used_only_by(logarithm, node):
            continue
        x, axis = logarithm.inputs[0], logarithm.op.axis
        largest = apply(ops.Max(axis, True), x)
        powers = apply(EXP, apply(SUB, x, largest))
        total = apply(ops.Sum(axis, True), powers)
        for value, ending in ((largest, "max"), (powers.inputs[0], "shifted"), (powers, "exp"), (total, "total")):
            value.name, value.origin = node.name and f"{node.name}_{ending}", node.origin
        graph.rewrite(node, DIV, powers, total)


# ---- statics
def repeat_statics(nodes: list[Node], rows: Iterable[Node]) -> None:
    """Compute once what depends on statics alone, before it is repeated for the readers that need it at each step.

    Elementwise operations repeat it themselves.
    """
    static = same_at_all_steps(nodes, set(rows))
    for node in nodes:
        inputs = [x for x in node.inputs if x.timed]
        if not node.timed or node in static or not inputs or not static.issuperset(inputs) or node.op.elementwise \
                or isinstance(node.op, (ir.View, ir.Leaf, ir.Backward, ir.InputGrad, ops.BroadcastTo)):
            continue
        once = Node(node.op, node.inputs, node.shape, True, node.name and f"{node.name}_once", node.origin)
        node.op, node.inputs = ops.BroadcastTo(node.shape), (once,)


SIMPLIFICATIONS = (view_parts, drop_broadcasts, contract_sums, order_factors, share_equal, expand_softmax)
