"""Loop optimisations: fewer and larger operations with the same results, up to rounding.

Each pass is a function on a `Graph`, run by `optimise` in the order of PASSES:

1. `hoist_terms` and `hoist_factors` reassociate sums and products, so that the part that doesn't depend on
   the previous step leaves the loop (loop-invariant code motion; the schedule then computes it for all
   steps at once).
2. `fuse_products` makes one product of several that multiply the same vector (the gates of an LSTM),
   `fuse_slices` one operation of those that follow on each part, `fuse_sums` one product of a sum of products.
3. `fuse_weight_gradients` makes one product of the gradients of matrices that were fused.
4. `fuse_columns` and `fuse_assembled_gradients` do the same for matrices of which products take blocks of columns, as
   in W [h, x]: they are concatenated whole, and their gradients are assembled as one matrix.

Nodes are rewritten in place (`Graph.rewrite`), so the nodes that read them need no update. In the examples
below, each line is a node of a loop; x and b come from outside of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise, starmap
from operator import attrgetter, itemgetter

import numpy as np

from minigrad import Op, ops
from minigrad.operators import MUL

from . import nodes as ir
from .matrices import is_product, with_axes
from .nodes import Node, apply, number, ordered, users_of
from .schedule import loops


class Graph:
    """The nodes that the passes rewrite, with their users and loops.

    Invariant: at the start of a pass `nodes`, `loop` and `users` describe the graph. `rewrite` makes them
    stale, so a pass that reads them after its own rewrites must either touch only nodes that these rewrites
    didn't, or keep them up to date (`hoist_terms`), or call `refresh` (`fuse_slices`).

    Args:
        roots: everything that is computed, forward and backward.
        select: returns the nodes that the passes may rewrite: those of the forward or of the backward pass.

    Attributes:
        nodes: these nodes, operands first.
        loop: node of a loop -> the number of the loop.
        users: node -> the nodes that read it, of both passes.
    """

    def __init__(self, roots: Iterable[Node], select: Callable[[], list[Node]]) -> None:
        self.roots = list(roots)
        self.select = select
        self.refresh()

    def refresh(self) -> None:
        """Find nodes, loops and users again, after rewrites."""
        self.stale = False
        self.nodes = self.select()
        self.loop: dict[Node, int] = {node: index for index, loop in enumerate(loops(self.nodes)) for node in loop}
        self.users = users_of(ordered(self.roots))

    def rewrite(self, node: Node, op: Op, *inputs: Node) -> None:
        """Let a node compute something else; those that read it get the new value."""
        node.op, node.inputs = op, inputs
        self.stale = True

    def replace_by_slices(self, nodes: list[Node], whole: Node) -> None:
        """Make each node a slice of one that computes them all."""
        if len({node.shape for node in nodes}) == 1:
            whole.lanes = len(nodes)
        start = 0
        for node in nodes:
            self.rewrite(node, ir.Slice(start, start + node.shape[0]), whole)
            start += node.shape[0]

    def same_loop(self, x: Node, node: Node) -> bool:
        """Return whether x is computed step by step together with `node`."""
        return x in self.loop and self.loop[x] == self.loop[node]

    def used_only_by(self, x: Node, node: Node) -> bool:
        """Return whether nothing else reads x."""
        return self.users.get(x, []) == [node] and x not in self.roots

    def read_by_shift(self, node: Node) -> bool:
        """Return whether another step reads a value: its array then has boundary rows, and can't be a slice."""
        return any(isinstance(user.op, ir.Shift) for user in self.users.get(node, []))

    def loop_user(self, node: Node) -> Node | None:
        """Return the only user of a node in its loop, if that works on each element of the node alone."""
        users = [x for x in self.users.get(node, []) if x in self.loop]
        if len(users) != 1:
            return None
        user = users[0]
        elementwise = user.op.elementwise and not isinstance(user.op, ir.View) and user.shape == node.shape
        return user if elementwise and sum(self.same_loop(x, user) for x in user.inputs) == 1 else None


# ---- reassociation: what doesn't depend on the previous step leaves the loop
def hoist_terms(graph: Graph) -> None:
    """Flatten nested sums, and add the terms from outside of the loop there.

        s[t] = U h[t-1] + (W x[t] + b)   ->   s[t] = U h[t-1] + s_given[t]
                                              s_given[t] = W x[t] + b          (outside)
    """
    for node in reversed(graph.nodes):
        if node not in graph.loop or not isinstance(node.op, (ops.Add, ir.AddN)):
            continue
        terms: list[Node] = []
        stack = list(node.inputs)[::-1]
        while stack:
            x = stack.pop()
            if isinstance(x.op, (ops.Add, ir.AddN)) and x.shape == node.shape and graph.used_only_by(x, node):
                stack.extend(x.inputs[::-1])
                for y in x.inputs:  # read by the node itself from now on
                    graph.users[y] = [node if user is x else user for user in graph.users[y]]
            else:
                terms.append(x)
        inside = [x for x in terms if graph.same_loop(x, node)]
        outside = [x for x in terms if not graph.same_loop(x, node)]
        if len(outside) > 1:
            outside = [add_all(outside, f"{node.name}_given", node.ndim)]
        graph.rewrite(node, ir.AddN(), *inside, *outside)


def hoist_factors(graph: Graph) -> None:
    """Multiply the factors from outside of a loop there: one vector of the loop times one factor remains.

        d2[t] = d1[t] * i[t];  d3[t] = d2[t] * (1 - g[t] * g[t])   ->   d3[t] = d1[t] * slope[t]
        d4[t] = d1[t] * a[t] + d1[t] * b[t]                        ->   d4[t] = d1[t] * (a[t] + b[t])
    """
    form: dict[Node, tuple[Node, list[Node]]] = {}  # node -> vector of the loop, factors from outside: their product
    product: dict[Node, Node] = {}  # node -> the product of these factors, which longer products begin with
    for node in graph.nodes:
        if node not in graph.loop:
            continue
        if isinstance(node.op, (ops.Mul, ops.Neg)):
            _hoist_from_product(graph, node, form, product)
        elif isinstance(node.op, ir.AddN) and all(x in form for x in node.inputs) and len(node.inputs) > 1:
            vectors = {form[x][0] for x in node.inputs}
            if len(vectors) == 1 and all(form[x][1] for x in node.inputs):
                one = number(1.0)  # as numbers: True + True is True, and not 2
                slopes = [multiply_all([product[x], one]) if isinstance(form[x][1][-1].op, ops.Compare) else product[x]
                          for x in node.inputs]
                factor = add_all(slopes, f"{node.name}_slope", node.ndim)
                form[node] = vectors.pop(), [factor]
                product[node] = factor
                graph.rewrite(node, MUL, form[node][0], factor)
        form.setdefault(node, (node, []))


def _hoist_from_product(graph: Graph, node: Node, form: dict[Node, tuple[Node, list[Node]]],
                        product: dict[Node, Node]) -> None:
    inside = [x for x in node.inputs if graph.same_loop(x, node)]
    if len(inside) != 1 or inside[0].shape != node.shape or isinstance(inside[0].op, ir.Shift):
        return
    vector, factors = form.get(inside[0], (inside[0], []))
    more = [number(-1.0)] if isinstance(node.op, ops.Neg) else [x for x in node.inputs if x is not inside[0]]
    form[node] = vector, [*factors, *more]
    outside = _aligned([product[inside[0]], *more] if factors else more, node.ndim)
    product[node] = multiply_all(outside, f"{node.name}_slope")
    if factors or len(more) > 1 or isinstance(node.op, ops.Neg):
        graph.rewrite(node, MUL, vector, product[node])


# ---- products of several matrices with the same vector
def fuse_products(graph: Graph) -> None:
    """Make one product of those that multiply the same vector.

        p[t] = U1 h[t-1];  q[t] = U2 h[t-1]   ->   pq[t] = U h[t-1];  p, q = slices of pq
                                                   (the rows of U are those of U1, then those of U2)
    """
    groups: dict[tuple[int, Node], list[Node]] = {}
    for node in graph.nodes:
        if node in graph.loop and is_product(node) and isinstance(node.op, ops.MatVec) \
                and not graph.read_by_shift(node):
            groups.setdefault((graph.loop[node], node.inputs[1]), []).append(node)
    paths = {node: _following_operations(graph, node) for group in groups.values() for node in group}
    for (_, vector), group in groups.items():
        if len(group) > 1:
            group.sort(key=paths.__getitem__, reverse=True)  # parts with the same operations are neighbours
            matrix = concatenate([x.inputs[0] for x in group], f"U_{common_name(group)}")
            graph.replace_by_slices(group, Node(ops.MatVec(), (matrix, vector), (matrix.shape[0],), True,
                                          common_name(group, "product")))


def _following_operations(graph: Graph, node: Node) -> tuple[str, ...]:
    """Return the elementwise operations that are applied to a node one after another, by name."""
    path: list[str] = []
    user = graph.loop_user(node)
    while user is not None and len(path) <= 20:
        path.append(type(user.op).__name__)
        user = graph.loop_user(user)
    return tuple(path)


def fuse_slices(graph: Graph) -> None:
    """Apply an operation at once to neighbouring slices to which it is applied one by one.

        a[t] = tanh(p[t]);  b[t] = tanh(q[t])   ->   ab[t] = tanh(pq[t]);  a, b = slices of ab
    """
    while _fuse_one_run(graph):
        graph.refresh()


def _fuse_one_run(graph: Graph) -> bool:
    """Apply the same operation to neighbouring slices of a vector at once; return whether any was found."""
    slices: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if isinstance(node.op, ir.Slice) and node.timed and node in graph.loop:
            slices.setdefault(node.inputs[0], []).append(node)
    for whole, parts in slices.items():
        run: list[tuple[Node, Node]] = []  # neighbouring slices, and what is done to each
        for part in sorted(parts, key=attrgetter("op.start")):
            user = graph.loop_user(part)
            if user is not None and graph.read_by_shift(user):
                user = None
            if user is not None and run and run[-1][0].op.stop == part.op.start and _same_operation(user, run[-1][1]):
                run.append((part, user))
            elif len(run) > 1:
                break
            else:
                run = [(part, user)] if user is not None else []
        if len(run) > 1:
            _fuse_run(graph, whole, run)
            return True
    return False


def _same_operation(one: Node, other: Node) -> bool:
    """Return whether two operations differ only in operands that can be concatenated."""
    if type(one.op) is not type(other.op) or vars(one.op) != vars(other.op) or len(one.inputs) != len(other.inputs):
        return False
    return all(x is y or (isinstance(x.op, ir.Slice) == isinstance(y.op, ir.Slice) and x.timed == y.timed
                          and not isinstance(x.op, ir.Number) and not isinstance(y.op, ir.Number)
                          and x.shape == one.shape and y.shape == other.shape)
               for x, y in zip(one.inputs, other.inputs))


def _fuse_run(graph: Graph, whole: Node, run: list[tuple[Node, Node]]) -> None:
    parts, users = [part for part, _ in run], [user for _, user in run]
    start, stop = parts[0].op.start, parts[-1].op.stop
    vector = whole if stop - start == whole.shape[0] else Node(
        ir.Slice(start, stop), (whole,), (stop - start,), True, f"{whole.name}_part")
    inputs = []
    for position, first in enumerate(users[0].inputs):
        column = [user.inputs[position] for user in users]
        shared = first.size == 1 and all(x is first for x in column)  # broadcasts against all parts
        inputs.append(vector if first is parts[0] else first if shared
                      else concatenate(column, common_name(users, "given")))
    graph.replace_by_slices(users, Node(users[0].op, tuple(inputs), vector.shape, True, common_name(users)))


# ---- sums of products
def fuse_sums(graph: Graph) -> None:
    """Make one product of a sum of products: the gradient of a state that several gates read.

        dh[t] = da[t] U1 + db[t] U2   ->   dh[t] = dab[t] U     (dab: da and db concatenated)
    """
    for node in graph.nodes:
        if node not in graph.loop or not isinstance(node.op, ir.AddN):
            continue
        products = [x for x in node.inputs if is_product(x) and isinstance(x.op, ops.MatMul)
                    and graph.used_only_by(x, node) and graph.same_loop(x, node)]
        if len(products) < 2:
            continue
        place = {x: index for index, x in enumerate(graph.nodes)}
        products.sort(key=lambda x: (place.get(_loop_vector(x.inputs[0]), -1), place.get(x.inputs[0], -1)))
        vectors = [x.inputs[0] for x in products]
        _fuse_multiples(graph, vectors)
        name = common_name(vectors)
        product = Node(ops.MatMul(), (concatenate(vectors, name), concatenate([x.inputs[1] for x in products],
                                                                              f"U_{name}")),
                       node.shape, True, f"{node.name}_product")
        rest = tuple(x for x in node.inputs if x not in products)
        if rest:
            graph.rewrite(node, ir.AddN(), product, *rest)
        else:
            graph.rewrite(node, product.op, *product.inputs)


def _loop_vector(node: Node) -> Node:
    """Return the vector of the loop in a product with a factor from outside."""
    return node.inputs[0] if isinstance(node.op, ops.Mul) else node


def _fuse_multiples(graph: Graph, vectors: list[Node]) -> None:
    """Compute neighbouring multiples of the same vector, each with its own factor from outside, at once.

    The factors are values of each step: the lanes of a concatenated weight aren't stored apart.
    """
    def multiplied(x: Node) -> Node | None:
        fits = isinstance(x.op, ops.Mul) and graph.same_loop(x.inputs[0], x) \
            and x.inputs[1].timed and not graph.same_loop(x.inputs[1], x) \
            and x.inputs[1].shape == x.inputs[0].shape == x.shape and x.ndim == 1 and not graph.read_by_shift(x)
        return x.inputs[0] if fits else None

    for vector, group in groupby(vectors, multiplied):
        run = list(group)
        if vector is not None and len(run) > 1:
            factors = concatenate([x.inputs[1] for x in run], common_name(run, "slope"))
            if isinstance(factors.op, ir.Concat):
                factors.lanes = len(run)
            graph.replace_by_slices(run, Node(ir.BroadcastMul(len(run)), (vector, factors), factors.shape, True,
                                              common_name(run)))


# ---- gradients of weights
def fuse_weight_gradients(graph: Graph) -> None:
    """Compute the gradients of matrices whose products were fused as blocks of rows of one product.

        dU1 = Σ da[t] h[t-1]ᵀ;  dU2 = Σ db[t] h[t-1]ᵀ   ->   dU = Σ dab[t] h[t-1]ᵀ;  dU1, dU2 = rows of dU
    """
    position = _positions(graph)
    groups: dict[tuple[type[Op], Node, tuple[Node, ...]], list[tuple[int, Node]]] = {}
    for node in graph.nodes:
        bias = isinstance(node.op, ir.SumOverSteps) and node.shape == node.inputs[0].shape and node.ndim == 1
        if (isinstance(node.op, ir.SumOfOuter) and all(x.ndim == 1 for x in node.inputs)) or bias:
            whole, start = _outermost(node.inputs[0], position)
            groups.setdefault((type(node.op), whole, node.inputs[1:]), []).append((start, node))
    for (kind, whole, others), found in groups.items():
        found.sort(key=itemgetter(0))
        gradients = [node for _, node in found]
        stops = [start + node.shape[0] for start, node in found]
        if len(gradients) < 2 or [start for start, _ in found][1:] != stops[:-1]:
            continue
        start, stop = found[0][0], stops[-1]
        left = whole if (start, stop) == (0, whole.shape[0]) else Node(
            ir.Slice(start, stop), (whole,), (stop - start,), True, f"{whole.name}_part")
        shape = left.shape + gradients[0].shape[1:]
        graph.replace_by_slices(gradients, Node(kind(), (left, *others), shape, False, common_name(gradients)))


def _positions(graph: Graph) -> dict[Node, tuple[Node, int]]:
    """Return for each operand of a concatenation in a loop: the concatenation, and where it begins in it."""
    found: dict[Node, tuple[Node, int]] = {}
    for node in graph.nodes:
        start = 0
        for x in node.inputs if isinstance(node.op, ir.Concat) and node.timed and node in graph.loop else ():
            found[x] = node, start
            start += x.shape[0]
    return found


def _outermost(node: Node, position: dict[Node, tuple[Node, int]]) -> tuple[Node, int]:
    """Return the largest vector that a vector is a part of, and where it begins in it."""
    start = 0
    while isinstance(node.op, ir.Slice) or node in position:
        whole, offset = (node.inputs[0], node.op.start) if isinstance(node.op, ir.Slice) else position[node]
        node, start = whole, start + offset
    return node, start


# ---- matrices of which several products take blocks of columns
def fuse_columns(graph: Graph) -> None:
    """Concatenate matrices once, and not one block of columns after the other.

        U = rows of U1, U2;  V = rows of V1, V2   ->   W = rows of W1, W2;  U, V = columns of W
                                                       (U1, V1 are columns of W1, U2, V2 of W2)
    """
    groups: dict[tuple[Node, ...], list[Node]] = {}
    for node in graph.nodes:
        if isinstance(node.op, ir.Concat) and all(isinstance(x.op, ir.ColumnSlice) for x in node.inputs) \
                and len({(x.op.start, x.op.stop) for x in node.inputs}) == 1:
            groups.setdefault(tuple(x.inputs[0] for x in node.inputs), []).append(node)
    for matrices, nodes in groups.items():
        if len(nodes) > 1:
            whole = concatenate(list(matrices), common_name(list(matrices)))
            for node in nodes:
                graph.rewrite(node, node.inputs[0].op, whole)


def fuse_assembled_gradients(graph: Graph) -> None:
    """Assemble the gradients of several matrices from blocks of columns as one.

        dW1 = columns dU1, dV1;  dW2 = columns dU2, dV2   ->   dW = columns dU, dV;  dW1, dW2 = rows of dW
                                                               (dU1, dU2 are rows of dU, dV1, dV2 of dV)
    """
    groups: dict[tuple[tuple[Node, int], ...], list[Node]] = {}
    for node in graph.nodes:
        if isinstance(node.op, ir.AddN) and all(isinstance(x.op, ir.PadColumns) for x in node.inputs):
            blocks = [(x.inputs[0], x.op.start) for x in node.inputs]
            if all(isinstance(x.op, ir.Slice) for x, _ in blocks):
                groups.setdefault(tuple((x.inputs[0], start) for x, start in blocks), []).append(node)
    for places, nodes in groups.items():
        nodes.sort(key=lambda node: node.inputs[0].inputs[0].op.start)
        rows = [[node.inputs[number].inputs[0] for node in nodes] for number in range(len(places))]
        if len(nodes) > 1 and all(starmap(_continues, (pair for part in rows for pair in pairwise(part)))):
            shape = (sum(node.shape[0] for node in nodes), *nodes[0].shape[1:])
            padded = (Node(ir.PadColumns(start), (concatenate(part, common_name(part)),), shape, False)
                      for part, (_, start) in zip(rows, places))
            graph.replace_by_slices(nodes, Node(ir.AddN(), tuple(padded), shape, False, common_name(nodes)))


PASSES = (hoist_terms, hoist_factors, fuse_products, fuse_slices, fuse_sums, fuse_weight_gradients, fuse_columns,
          fuse_assembled_gradients)


def optimise(graph: Graph, passes: Iterable[Callable[[Graph], None]] = PASSES,
             observe: Callable[[str, list[Node]], None] | None = None) -> None:
    """Run passes one after another; `observe` is called after each with its name and the nodes."""
    for rewrite in passes:
        rewrite(graph)
        if graph.stale:
            graph.refresh()
        if observe is not None:
            observe(rewrite.__name__, graph.nodes)


# ---- making nodes
def add_all(terms: list[Node], name: str | None, ndim: int) -> Node:
    """Return the sum of several terms of a value with `ndim` axes."""
    if len(terms) == 1:
        return terms[0]
    terms = _aligned(terms, ndim)
    shape = np.broadcast_shapes(*(x.shape for x in terms))
    return Node(ir.AddN(), tuple(terms), shape, any(x.timed for x in terms), name)


def _aligned(values: list[Node], ndim: int) -> list[Node]:
    """Return several operands of a value with `ndim` axes so that some of them can be joined before the others.

    A number of each step times a weight (n) is a row of a matrix, and no column.
    """
    several = len(values) > 1 and ndim > 1 and any(x.ndim for x in values)
    return [with_axes(x, ndim) for x in values] if several else values


def multiply_all(factors: list[Node], name: str | None = None) -> Node:
    """Return the product of several factors, from left to right."""
    result = factors[0]
    for factor in factors[1:]:
        result = apply(MUL, result, factor)
        result.name = name
    return result


def concatenate(nodes: list[Node], name: str) -> Node:
    """Return a node that is several vectors, or the rows of several matrices, one after another.

    Nothing is copied if they are slices of one vector. Products with the same vector, and sums of such
    products, are computed as one.
    """
    return _as_slice(nodes, name) or _as_product(nodes, name) or _as_sum(nodes, name) or Node(
        ir.Concat(), tuple(_rejoin_slices(nodes)), _joint_shape(nodes), any(x.timed for x in nodes), name)


def _joint_shape(nodes: list[Node]) -> tuple[int, ...]:
    return (sum(x.shape[0] for x in nodes), *nodes[0].shape[1:])


def _as_slice(nodes: list[Node], name: str) -> Node | None:
    """Neighbouring slices of one vector are a slice of it, or all of it."""
    if not isinstance(nodes[0].op, ir.Slice) or not all(starmap(_continues, pairwise(nodes))):
        return None
    whole, shape = nodes[0].inputs[0], _joint_shape(nodes)
    return whole if shape == whole.shape else Node(
        ir.Slice(nodes[0].op.start, nodes[-1].op.stop), (whole,), shape, whole.timed, name)


def _continues(x: Node, y: Node) -> bool:
    """Return whether x and y are slices of one vector, and y begins where x ends."""
    return isinstance(x.op, ir.Slice) and isinstance(y.op, ir.Slice) and x.inputs == y.inputs \
        and x.op.stop == y.op.start


def _as_product(nodes: list[Node], name: str) -> Node | None:
    """Products with the same vector are one product, with the rows of all matrices."""
    if not all(is_product(x) and isinstance(x.op, ops.MatVec) and x.inputs[1] is nodes[0].inputs[1] for x in nodes):
        return None
    matrix = concatenate([x.inputs[0] for x in nodes], f"W_{name}")
    return Node(ops.MatVec(), (matrix, nodes[0].inputs[1]), _joint_shape(nodes), True, name)


def _as_sum(nodes: list[Node], name: str) -> Node | None:
    """Sums whose terms match are one sum of concatenated terms."""
    timed = nodes[0].timed and not any(isinstance(x.op, ir.Shift) for x in nodes)
    columns = _matching_terms(nodes) if timed and isinstance(nodes[0].op, ir.AddN) else None
    return None if columns is None else Node(
        ir.AddN(), tuple(concatenate(column, name) for column in columns), _joint_shape(nodes), True, name)


def _rejoin_slices(nodes: list[Node]) -> list[Node]:
    """Replace slices that together are all of a vector by that vector."""
    result: list[Node] = []
    for node in nodes:
        result.append(node)
        if isinstance(node.op, ir.Slice) and node.op.stop == node.inputs[0].shape[0]:
            first = len(result) - 1
            while first and _continues(result[first - 1], result[first]):
                first -= 1
            if result[first].op.start == 0:
                result[first:] = node.inputs
    return result


def _matching_terms(sums: list[Node]) -> list[list[Node]] | None:
    """Return the terms of several sums in columns that can be concatenated; None if some can't."""
    columns: list[list[Node]] = [[] for _ in sums[0].inputs]
    for node in sums:
        terms = list(node.inputs) if isinstance(node.op, ir.AddN) else []
        for column, wanted in zip(columns, sums[0].inputs):
            found = next((x for x in terms if _kind(x) == _kind(wanted) and x.shape == node.shape), None)
            if found is None:
                return None
            column.append(found)
            terms.remove(found)
        if terms:
            return None
    return columns


def _kind(node: Node) -> str:
    """Return a key that is equal for terms that can be concatenated."""
    if is_product(node):
        return f"product {id(node.inputs[1])}"
    return "other" if node.timed else "weight"


def _common_start(names: list[str]) -> str:
    """Return the common beginning of all names."""
    length = 0
    while all(len(name) > length and name[length] == names[0][length] for name in names):
        length += 1
    return names[0][:length]


def common_name(nodes: list[Node], suffix: str = "") -> str:
    """Return a name for several nodes together: for gates_f, gates_i, gates_o it is gates_fio."""
    names = [re.sub(r"(_(product|sum|tanh|mul|given|part|slope)\d*)+$", "", x.name or "a") for x in nodes]
    start = _common_start(names)
    end = _common_start([name[len(start):][::-1] for name in names])[::-1]
    end = end if end.startswith("_") else ""
    suffix = "_".join(x for x in (end.strip("_"), suffix) if x)
    rest = [name[len(start):len(name) - len(end)].strip("_") for name in names]
    short = "".join(rest) if all(len(x) <= 1 for x in rest) else "_".join(rest)
    name = start + short if len(short) <= 16 else f"{start}{rest[0]}_to_{rest[-1]}"
    return f"{name}_{suffix}" if suffix else name
