"""Fewer and larger operations with the same results: what an expert does by hand to a recurrence.

Three ideas, one after the other:
- In a loop, what no step needs from the one before is gathered, so that it can be computed outside:
  sums and products change their order.
- Products that read the same vector are one product with the matrices on top of each other (an LSTM's
  gates), and what is done to all of its lanes alike is done once.
- Gradients that meet again in one sum of products are one product of vectors end to end.

A node is changed in place, so whoever reads it goes on reading it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

from minigrad import ops
from minigrad.operators import MUL, TANH

from .adjoint import ELEMENTWISE, is_product
from .nodes import (
    AddN,
    BroadcastMul,
    Compare,
    Concat,
    GradientMask,
    Node,
    Number,
    Shift,
    Slice,
    SumOfOuter,
    SumOverSteps,
    number,
    ordered,
)
from .schedule import loops

ALIKE = (*(kind for kind in ELEMENTWISE if kind is not GradientMask), AddN)


class Joining:
    """Changes the nodes of one pass.

    Args:
        roots: what is computed, both passes.
        inside: the nodes of this pass.
    """

    def __init__(self, roots: Iterable[Node], inside: Callable[[], list[Node]]) -> None:
        self.roots = list(roots)
        self.inside = inside
        self.look()

    def look(self) -> None:
        """Find loops and users again, after changes."""
        self.nodes = self.inside()
        self.loop: dict[Node, int] = {node: number for number, loop in enumerate(loops(self.nodes)) for node in loop}
        self.users: dict[Node, list[Node]] = {}
        for node in ordered(self.roots):
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)

    def in_loop_of(self, x: Node, node: Node) -> bool:
        """Whether x is computed step by step with `node`."""
        return x in self.loop and self.loop[x] == self.loop[node]

    def only_used_by(self, x: Node, node: Node) -> bool:
        """Whether nothing else reads x."""
        return self.users.get(x, []) == [node] and x not in self.roots

    # ---- sums and products in another order
    def gather_sums(self) -> None:
        """a + (b + c) + d as one sum, whose terms from outside of the loop are one term."""
        for node in reversed(self.nodes):
            if node not in self.loop or not isinstance(node.op, (ops.Add, AddN)):
                continue
            terms: list[Node] = []
            waiting = list(node.inputs)[::-1]
            while waiting:
                x = waiting.pop()
                if isinstance(x.op, (ops.Add, AddN)) and x.shape == node.shape and self.only_used_by(x, node):
                    waiting.extend(x.inputs[::-1])
                    for y in x.inputs:  # now read by the node itself
                        self.users[y] = [node if user is x else user for user in self.users[y]]
                else:
                    terms.append(x)
            within = [x for x in terms if self.in_loop_of(x, node)]
            outside = [x for x in terms if not self.in_loop_of(x, node)]
            if len(outside) > 1:
                outside = [total(outside, f"{node.name}_given")]
            node.op, node.inputs = AddN(), (*within, *outside)
        self.look()

    def halve_sigmoids(self) -> None:
        """sigmoid(a) as tanh(a / 2) / 2 + 1 / 2, its weights halved beforehand: then it is a tanh as others are."""
        half = number(0.5)
        for node in self.nodes:
            if node not in self.loop or not isinstance(node.op, ops.Sigmoid):
                continue
            inner = node.inputs[0]
            if not isinstance(inner.op, AddN) or not self.only_used_by(inner, node):
                continue
            terms = [total([scaled(y, half) for y in x.inputs], x.name) if isinstance(x.op, AddN) else scaled(x, half)
                     for x in inner.inputs]
            halved = Node(AddN(), tuple(terms), node.shape, True, f"{node.name}_half")
            bent = Node(TANH, (halved,), node.shape, True, f"{node.name}_tanh")
            node.op, node.inputs = ops.Add(), (Node(MUL, (bent, half), node.shape, True, f"{node.name}_mul"), half)
        self.look()

    def gather_factors(self) -> None:
        """Products along a loop as one vector of the loop times one factor that is known before it."""
        form: dict[Node, tuple[Node, list[Node]]] = {}  # node -> its vector of the loop, its factors from outside
        for node in self.nodes:
            if node not in self.loop:
                continue
            if isinstance(node.op, (ops.Mul, ops.Neg)):
                self._gather_product(node, form)
            elif isinstance(node.op, AddN) and all(x in form for x in node.inputs) and len(node.inputs) > 1:
                vectors = {form[x][0] for x in node.inputs}
                if len(vectors) == 1 and all(form[x][1] for x in node.inputs):
                    one = number(1.0)  # true + true is true, and not 2
                    slopes = [product([*form[x][1], one] if isinstance(form[x][1][-1].op, Compare) else form[x][1])
                              for x in node.inputs]
                    factor = total(slopes, f"{node.name}_slope")
                    form[node] = vectors.pop(), [factor]
                    node.op, node.inputs = MUL, (form[node][0], factor)
            form.setdefault(node, (node, []))
        self.look()

    def _gather_product(self, node: Node, form: dict[Node, tuple[Node, list[Node]]]) -> None:
        within = [x for x in node.inputs if self.in_loop_of(x, node)]
        if len(within) != 1 or within[0].shape != node.shape or isinstance(within[0].op, Shift):
            return
        vector, factors = form.get(within[0], (within[0], []))
        factors = [*factors, *(x for x in node.inputs if x is not within[0])]
        if isinstance(node.op, ops.Neg):
            factors = [*factors, number(-1.0)]
        form[node] = vector, factors
        if len(factors) > 1 or isinstance(node.op, ops.Neg):
            node.op, node.inputs = MUL, (vector, product(factors, f"{node.name}_slope"))

    # ---- products that read the same vector
    def join_products(self) -> None:
        """W1 x, W2 x, ... in a loop as lanes of one product."""
        groups: dict[tuple[int, Node], list[Node]] = {}
        for node in self.nodes:
            if node in self.loop and is_product(node) and isinstance(node.op, ops.MatVec) \
                    and not self._remembered(node):
                groups.setdefault((self.loop[node], node.inputs[1]), []).append(node)
        for (_, vector), members in groups.items():
            if len(members) > 1:
                members.sort(key=self._path, reverse=True)
                matrix = packed([x.inputs[0] for x in members], f"U_{_named(members)}")
                whole = Node(ops.MatVec(), (matrix, vector), (matrix.shape[0],), True, _named(members, "product"))
                become_lanes(members, whole)
        self.look()
        while self._lift():
            self.look()

    def _path(self, node: Node) -> tuple[str, ...]:
        """The operations that are applied one after another, with nothing else of the loop."""
        path: list[str] = []
        while True:
            users = [x for x in self.users.get(node, []) if x in self.loop]
            if len(users) != 1 or not self._alone(users[0], node) or len(path) > 20:
                return tuple(path)
            path.append(type(users[0].op).__name__)
            node = users[0]

    def _alone(self, user: Node, node: Node) -> bool:
        """Whether an operation reads one value of the loop, and works on each element for itself."""
        return (isinstance(user.op, ALIKE) and user.shape == node.shape
                and sum(self.in_loop_of(x, user) for x in user.inputs) == 1)

    def _lift(self) -> bool:
        """An operation that is done to neighbouring lanes alike, done to them at once."""
        lanes: dict[Node, list[Node]] = {}
        for node in self.nodes:
            if isinstance(node.op, Slice) and node.timed and node in self.loop:
                lanes.setdefault(node.inputs[0], []).append(node)
        for whole, members in lanes.items():
            members.sort(key=_start)
            run: list[tuple[Node, Node]] = []
            for lane in [*members, None]:
                user = self._next(lane) if lane is not None else None
                if run and not (user is not None and lane is not None and run[-1][0].op.stop == lane.op.start  # type: ignore[attr-defined]
                                and _alike(user, run[-1][1])):
                    if len(run) > 1:
                        self._do_at_once(whole, run)
                        return True
                    run = []
                if user is not None and lane is not None:
                    run.append((lane, user))
        return False

    def _next(self, lane: Node) -> Node | None:
        users = [x for x in self.users.get(lane, []) if x in self.loop]
        return users[0] if len(users) == 1 and self._alone(users[0], lane) and not self._remembered(users[0]) else None

    def _remembered(self, node: Node) -> bool:
        """Whether another step reads a value: then it needs an array of its own, with room for what is outside."""
        return any(isinstance(user.op, Shift) for user in self.users.get(node, []))

    def _do_at_once(self, whole: Node, run: list[tuple[Node, Node]]) -> None:
        lanes, users = [lane for lane, _ in run], [user for _, user in run]
        start, stop = lanes[0].op.start, lanes[-1].op.stop  # type: ignore[attr-defined]
        vector = whole if stop - start == whole.shape[0] else Node(
            Slice(start, stop), (whole,), (stop - start,), True, f"{whole.name}_part")
        inputs = []
        for position, first in enumerate(users[0].inputs):
            column = [user.inputs[position] for user in users]
            inputs.append(vector if first is lanes[0] else packed(column, _named(users, "given")))
        become_lanes(users, Node(users[0].op, tuple(inputs), vector.shape, True, _named(users)))

    # ---- sums of products
    def join_sums(self) -> None:
        """a1 W1 + a2 W2 + ... in a loop as one product of vectors end to end."""
        for node in self.nodes:
            if node not in self.loop or not isinstance(node.op, AddN):
                continue
            products = [x for x in node.inputs if is_product(x) and isinstance(x.op, ops.MatMul)
                        and self.only_used_by(x, node) and self.in_loop_of(x, node)]
            if len(products) < 2:
                continue
            places = {x: number for number, x in enumerate(self.nodes)}
            products.sort(key=lambda x: (places.get(_vector(x.inputs[0]), -1), places.get(x.inputs[0], -1)))
            vectors = [x.inputs[0] for x in products]
            self._spread(vectors)
            name = _named(vectors)
            whole = Node(ops.MatMul(), (packed(vectors, name), packed([x.inputs[1] for x in products], f"U_{name}")),
                         node.shape, True, f"{node.name}_product")
            rest = tuple(x for x in node.inputs if x not in products)
            node.op, node.inputs = (AddN(), (whole, *rest)) if rest else (whole.op, whole.inputs)
        self.look()

    def _spread(self, vectors: list[Node]) -> None:
        """Neighbours that are one vector times factors of their own, computed at once."""
        run: list[Node] = []
        for node in [*vectors, None]:
            fits = node is not None and isinstance(node.op, ops.Mul) and self.in_loop_of(node.inputs[0], node) \
                and not self.in_loop_of(node.inputs[1], node) and node.inputs[1].shape == node.shape \
                and not self._remembered(node)
            if run and not (fits and node is not None and node.inputs[0] is run[0].inputs[0]):
                if len(run) > 1:
                    factors = packed([x.inputs[1] for x in run], _named(run, "slope"))
                    if isinstance(factors.op, Concat):
                        factors.lanes = len(run)
                    become_lanes(run, Node(BroadcastMul(len(run)), (run[0].inputs[0], factors), factors.shape, True,
                                           _named(run)))
                run = []
            if fits and node is not None:
                run.append(node)

    # ---- gradients of weights
    def join_gradients(self) -> None:
        """Gradients of matrices whose rows belong to parts of one vector, as blocks of rows of one product."""
        parts = self._parts()
        groups: dict[tuple[type, Node, Node | None], list[tuple[int, Node]]] = {}
        for node in self.nodes:
            summed = isinstance(node.op, SumOverSteps) and node.shape == node.inputs[0].shape != ()
            if isinstance(node.op, SumOfOuter) or summed:
                whole, start = _outermost(node.inputs[0], parts)
                other = node.inputs[1] if isinstance(node.op, SumOfOuter) else None
                groups.setdefault((type(node.op), whole, other), []).append((start, node))
        for (_, whole, other), found in groups.items():
            found.sort(key=_first)
            members = [node for _, node in found]
            stops = [start + node.shape[0] for start, node in found]
            if len(members) < 2 or [start for start, _ in found][1:] != stops[:-1]:
                continue
            start, stop = found[0][0], stops[-1]
            left = whole if (start, stop) == (0, whole.shape[0]) else Node(
                Slice(start, stop), (whole,), (stop - start,), True, f"{whole.name}_part")
            op, inputs = (SumOverSteps(left.shape), (left,)) if other is None else (SumOfOuter(), (left, other))
            become_lanes(members, Node(op, inputs, (*left.shape, *members[0].shape[1:]), False, _named(members)))
        self.look()

    def _parts(self) -> dict[Node, tuple[Node, int]]:
        """Where in a Pack each vector of a loop stands."""
        found: dict[Node, tuple[Node, int]] = {}
        for node in self.nodes:
            start = 0
            for x in node.inputs if isinstance(node.op, Concat) and node.timed and node in self.loop else ():
                found[x] = node, start
                start += x.shape[0]
        return found


def _outermost(node: Node, parts: dict[Node, tuple[Node, int]]) -> tuple[Node, int]:
    """The vector that a vector is a part of, and where it begins in it."""
    start = 0
    while True:
        if isinstance(node.op, Slice):
            start += node.op.start
            node = node.inputs[0]
        elif node in parts:
            start += parts[node][1]
            node = parts[node][0]
        else:
            return node, start


def _first(pair: tuple[int, Node]) -> int:
    return pair[0]


def total(terms: list[Node], name: str | None) -> Node:
    """A sum of several terms."""
    if len(terms) == 1:
        return terms[0]
    shape = max((x.shape for x in terms), key=len)
    return Node(AddN(), tuple(terms), shape, any(x.timed for x in terms), name)


def product(factors: list[Node], name: str | None = None) -> Node:
    """A product of several factors, from left to right."""
    result = factors[0]
    for factor in factors[1:]:
        result = Node.apply(MUL, result, factor)
        result.name = name
    return result


def scaled(node: Node, factor: Node) -> Node:
    """A term times a number; of a product the matrix takes it."""
    if not is_product(node):
        return Node(MUL, (node, factor), node.shape, node.timed, f"{node.name}_half")
    W, x = node.inputs if isinstance(node.op, ops.MatVec) else node.inputs[::-1]
    W = Node(MUL, (W, factor), W.shape, False, f"{W.name}_half")
    return Node(node.op, (W, x) if isinstance(node.op, ops.MatVec) else (x, W), node.shape, True, node.name)


def packed(nodes: list[Node], name: str) -> Node:
    """Vectors end to end, or matrices on top of each other; the operation is packed where all have the same."""
    first = nodes[0]
    if all(x is first for x in nodes) and isinstance(first.op, Number):
        return first
    shape = (sum(x.shape[0] for x in nodes), *first.shape[1:])
    if all(isinstance(x.op, Slice) and x.inputs[0] is first.inputs[0] for x in nodes) \
            and all(a.op.stop == b.op.start for a, b in pairwise(nodes)):  # type: ignore[attr-defined]
        whole = first.inputs[0]
        if shape == whole.shape:
            return whole
        return Node(Slice(first.op.start, nodes[-1].op.stop), (whole,), shape, first.timed, name)  # type: ignore[attr-defined]
    if first.timed and not any(isinstance(x.op, Shift) for x in nodes):
        if all(is_product(x) and isinstance(x.op, ops.MatVec) and x.inputs[1] is first.inputs[1] for x in nodes):
            matrix = packed([x.inputs[0] for x in nodes], f"W_{name}")
            return Node(ops.MatVec(), (matrix, first.inputs[1]), shape, True, name)
        columns = _columns(nodes) if isinstance(first.op, AddN) else None
        if columns is not None:
            return Node(AddN(), tuple(packed(column, name) for column in columns), shape, True, name)
    return Node(Concat(), tuple(_merged(nodes)), shape, any(x.timed for x in nodes), name)


def _merged(nodes: list[Node]) -> list[Node]:
    """Lanes that stand together again as what they are lanes of."""
    result: list[Node] = []
    lanes: list[Node] = []
    for node in nodes:
        whole = node.inputs[0] if isinstance(node.op, Slice) else None
        if whole is None or _start(node) != (lanes[-1].op.stop if lanes and lanes[0].inputs[0] is whole else 0):  # type: ignore[attr-defined]
            result += lanes
            lanes = []
        if whole is None:
            result.append(node)
            continue
        lanes.append(node)
        if node.op.stop == whole.shape[0] and _start(lanes[0]) == 0:  # type: ignore[attr-defined]
            result.append(whole)
            lanes = []
    return [*result, *lanes]


def _columns(sums: list[Node]) -> list[list[Node]] | None:
    """The terms of several sums, those that can be packed together side by side; None where some can't."""
    columns: list[list[Node]] = [[] for _ in sums[0].inputs]
    for node in sums:
        waiting = list(node.inputs) if isinstance(node.op, AddN) else []
        for column, wanted in zip(columns, sums[0].inputs):
            found = [x for x in waiting if _kind(x) == _kind(wanted) and x.shape == node.shape]
            if not found:
                return None
            column.append(found[0])
            waiting.remove(found[0])
        if waiting:
            return None
    return columns


def _kind(node: Node) -> str:
    """What terms of several sums have in common where they can be packed together."""
    if is_product(node):
        return f"product {id(node.inputs[1])}"
    return "other" if node.timed else "weight"


def become_lanes(nodes: list[Node], whole: Node) -> None:
    """Make each node a lane of one that computes them all."""
    start = 0
    if len({node.shape for node in nodes}) == 1:
        whole.lanes = len(nodes)
    for node in nodes:
        node.op, node.inputs = Slice(start, start + node.shape[0]), (whole,)
        start += node.shape[0]


def _alike(one: Node, other: Node) -> bool:
    """Whether two operations are the same but for what they read from outside of the loop."""
    if type(one.op) is not type(other.op) or vars(one.op) != vars(other.op) or len(one.inputs) != len(other.inputs):
        return False
    return all(x is y or (isinstance(x.op, Slice) == isinstance(y.op, Slice) and x.timed == y.timed
                          and not isinstance(x.op, Number) and not isinstance(y.op, Number)
                          and x.shape == one.shape and y.shape == other.shape)
               for x, y in zip(one.inputs, other.inputs))


def _start(node: Node) -> int:
    start: int = node.op.start  # type: ignore[attr-defined]
    return start


def _vector(node: Node) -> Node:
    """The vector of the loop in a product with a factor from outside."""
    return node.inputs[0] if isinstance(node.op, ops.Mul) else node


def _common_start(names: list[str]) -> str:
    """What all names begin with."""
    length = 0
    while all(len(name) > length and name[length] == names[0][length] for name in names):
        length += 1
    return names[0][:length]


def _named(nodes: list[Node], suffix: str = "") -> str:
    """A name for several nodes together: gates_f, gates_i, gates_o are gates_fio."""
    names = [re.sub(r"(_(product|sum|tanh|half|mul|given|part|slope)\d*)+$", "", x.name or "a") for x in nodes]
    common = _common_start(names)
    end = _common_start([name[len(common):][::-1] for name in names])[::-1]
    end = end if end.startswith("_") else ""
    suffix = "_".join(x for x in (end.strip("_"), suffix) if x)
    rest = [name[len(common):len(name) - len(end)].strip("_") for name in names]
    short = "".join(rest) if all(len(x) <= 1 for x in rest) else "_".join(rest)
    name = common + short if len(short) <= 16 else f"{common}{rest[0]}_to_{rest[-1]}"
    return f"{name}_{suffix}" if suffix else name


def joined(roots: list[Node], inside: Callable[[], list[Node]]) -> None:
    """All of it, on one pass."""
    joining = Joining(roots, inside)
    joining.gather_sums()
    joining.halve_sigmoids()
    joining.gather_factors()
    joining.join_products()
    joining.join_sums()
    joining.join_gradients()
