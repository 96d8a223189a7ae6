"""The text of a loop over time as one function for Numba.

Each step is a list of statements (`groups.py`): nests of loops over elements, in which all elementwise operations of a
shape are one expression after another, products, and sums. Nothing is allocated in a loop.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from minigrad import ops
from rnn.compiler.buffers import BufferPlan, Extent
from rnn.compiler.emit import Names
from rnn.ir import nodes as ir
from rnn.ir.matrices import is_product, product_kind
from rnn.ir.nodes import Node
from rnn.ir.schedule import Block
from rnn.language.own_operations import is_own, variables_of

from .formulas import OTHERWISE, Unsupported, expanded, number, scalar, takes_truth
from .groups import Group, Groups, is_fused
from .places import Place, is_bool, peeled, place_of

UNROLLED = 32  # iterations from which LLVM doesn't unroll a loop
LONGEST = 300  # lines of a function, each of which is compiled for about 20 ms
VARIABLES = "i", "j", "k", "l", "m", "n"  # over the axes of a value; b is that of the batch
Variables = tuple[str, ...]
# Names that functions read; those of ufuncs are in emit.TAKEN.
RESERVED = ("T", "first", "end", "b", "total", "FLOAT", "SMALLEST_EXPONENT", "sigmoid", "softplus", "product",
            "vector_matrix", "matrix_vector", "matrix_matrix", "vector_vector", "row_sum", "log_softmax")


class LoopText(NamedTuple):
    """A loop as a function.

    Attributes:
        lines: of the function, from its `def` on.
        arrays: the names of the program's arrays that it takes, after T, the range of sequences and the lengths.
        lengths: of short loops.
        work: multiplications and additions of one step of one sequence.
        weights: the values without steps that it takes after them, by their names.
        matrices: matrices that it takes after them: name of the argument -> the node, and whether it is transposed.
        scratch: arrays of one step that it takes last, for copies of the vectors of these nodes.
        tiled: whether some of the arrays have space for a tile of steps alone.
    """

    name: str
    lines: list[str]
    arrays: list[str]
    lengths: list[int]
    work: int
    weights: dict[str, Node]
    matrices: dict[str, tuple[Node, bool]]
    scratch: dict[str, Node]
    tiled: bool


class LoopWriter:
    """Writes one loop.

    Args:
        sunk: values of all steps that are computed for this loop alone, and therefore in it.
        plan: where values lie.
        names: of values in the program.
    """

    def __init__(self, block: Block, sunk: list[Node], plan: BufferPlan, names: Names) -> None:
        self.block = block
        self.plan = plan
        self.program_names = names
        self.local = Names()
        self.local.taken.update((*RESERVED, *VARIABLES))
        self.arrays: dict[str, Node] = {}
        self.weights: dict[str, Node] = {}
        self.matrices: dict[str, tuple[Node, bool]] = {}
        self.lengths: dict[str, int] = {}
        self.scratch: dict[str, Node] = {}
        self.taken: dict[str, str] = {}  # name of an array or a weight in the program -> that of the argument
        self.sunk = sunk

    def write(self, name: str) -> LoopText:
        """Return the function.

        Raises:
            Unsupported: where the loop contains an operation that isn't compiled.
        """
        for node in (*self.sunk, *self.block.nodes):
            if not isinstance(node.op, (ir.View, ir.Leaf)):
                check_supported(node)
        backward = self.block.direction < 0
        body: list[str] = []
        if self.block.skewed:
            for offset, nodes in groupby(self.block.nodes, self.block.offset.__getitem__):
                step = f"iteration - {offset}"
                lines = self._step(list(nodes), [])
                if lines:
                    body += [f"t = {f'T - 1 - ({step})' if backward else step}", "if 0 <= t < T:", *_indented(lines)]
            head = f"for iteration in range(T + {max(self.block.offset.values())}):"
        else:
            body = self._step(list(self.block.nodes), self.sunk)
            head = f"for t in range({'T - 1, -1, -1' if backward else 'T'}):"
        arrays = (self.taken[x] for x in (*self.arrays, *self.weights))
        arguments = ["T", "first", "end", *self.lengths, *arrays, *self.matrices, *self.scratch]
        signature = textwrap.fill(f"def {name}({', '.join(arguments)}):", 110, subsequent_indent=" " * (len(name) + 5))
        tiled = any(self.plan.extent(x) == Extent.TILE for x in self.arrays.values())
        lines = [*signature.splitlines(), f"    {head}", *_indented(_indented(body or ["pass"]))]
        if len(lines) > LONGEST:
            raise Unsupported(f"Numba would compile its {len(lines)} lines for too long")
        return LoopText(name, lines, list(self.arrays), list(self.lengths.values()), self.work(), self.weights,
                        self.matrices, self.scratch, tiled)

    def _step(self, nodes: list[Node], sunk: list[Node]) -> list[str]:
        """Return the lines of one step."""
        groups = Groups([*sunk, *nodes], self.plan)
        lines: list[str] = []
        for group in groups.statements:
            if group.shape is None:
                lines += self._single(group.members[0])
            else:
                lines += Nest(self, groups, group).lines()
        return lines

    def work(self) -> int:
        """Return about how many multiplications and additions one step of one sequence takes."""
        nodes = [x for x in (*self.sunk, *self.block.nodes) if not isinstance(x.op, (ir.View, ir.Leaf))]
        return sum(x.size if is_fused(x) else max([x.size, *(y.size for y in x.inputs)]) for x in nodes)

    # ---- arguments
    def array(self, node: Node) -> str:
        """Return the name of the argument for the array of a node."""
        name = self.program_names.give(self.plan.representative(node))
        self.arrays[name] = node
        return self._argument(name)

    def weight(self, node: Node) -> str:
        """Return the name of the argument for a value without steps."""
        name = self.program_names.give(node)
        self.weights[name] = node
        return self._argument(name)

    def matrix(self, node: Node, transposed: bool) -> str:
        """Return the name of the argument for a matrix of a product, contiguous as it is multiplied."""
        name = self.program_names.give(node) + ("_T" if transposed else "_rows")
        self.matrices[name] = node, transposed
        return name

    def length(self, length: int) -> int | str:
        """Return the length of an innermost loop: of a short one, the name of an argument.

        LLVM unrolls loops of few iterations before it vectorises them, and then can't, unless it doesn't know the
        number.
        """
        if length >= UNROLLED:
            return length
        known = [name for name, number in self.lengths.items() if number == length]
        name = known[0] if known else self.local.free(f"n{length}")
        self.lengths[name] = length
        return name

    def _argument(self, name: str) -> str:
        if name not in self.taken:
            self.taken[name] = self.local.free(name)
        return self.taken[name]

    # ---- elements
    def element(self, node: Node, variables: Variables, offset: int = 0) -> str:
        """Return the expression that reads or writes one element of a value in its array."""
        if isinstance(node.op, ir.Number):
            return number(node.op.value)
        if isinstance(node.op, ir.SumOverTime):
            return _indexed(self.weight(node), ("b", *_shifted(variables, offset)))
        if not node.timed:
            index = _shifted(variables, offset)
            return _indexed(self.weight(node), index) if node.shape else self.weight(node)
        place = self.place(node)
        return place.text(self.array(place.array), variables, offset)

    def place(self, node: Node) -> Place:
        """Return where the elements of a value of each step lie."""
        return place_of(node, self.plan)

    def whole(self, node: Node) -> str | None:
        """Return the expression for all sequences of a step as one contiguous array; None where they lie apart."""
        place = self.place(node)
        if not place.whole(node.shape) or place.lead == ("t", "0"):
            return None
        return f"{self.array(place.array)}[{'t, ' * (place.lead[0] == 't')}first:end]"

    def of_sequence(self, node: Node) -> str | None:
        """Return the expression for the value of one sequence as a contiguous array; None where it isn't one."""
        if not node.timed:
            return self.weight(node)
        place = self.place(node)
        if place.lanes or place.lead == ("t", "0") or any(x[1:] != (1, k) for k, x in enumerate(place.axes)) \
                or place.array.shape[1:] != node.shape[1:]:
            return None
        start, stop = place.axes[0].offset, place.axes[0].offset + node.shape[0]
        part = [] if (start, stop) == (0, place.array.shape[0]) else [f"{start}:{stop}"]
        return f"{self.array(place.array)}[{', '.join([*place.lead, *part])}]"

    def row(self, node: Node, variables: Variables) -> str | None:
        """Return the expression for a row, the elements along the last axis; None where they lie apart."""
        block = self.of_sequence(node)
        if block is None or node.ndim == 1:
            return block
        if not node.timed:
            return f"{block}[{', '.join(variables[:-1])}]"
        place = self.place(node)
        index = *place.lead, *variables[:-1]
        return f"{self.array(place.array)}[{', '.join(index)}]" if place.whole(node.shape) else None

    def scratch_array(self, node: Node) -> str:
        """Return the name of an argument for the vectors of all sequences, apart from the program's arrays."""
        name = self.program_names.free(f"{self.program_names.give(node)}_copy")
        self.scratch[name] = node
        return name

    # ---- statements that are one node
    def _single(self, node: Node) -> list[str]:
        kind = product_kind(node)
        if is_product(node):
            return self._product(node)
        if kind is not None:
            return self._batched_product(node, kind)
        if isinstance(node.op, ops.LogSoftmax):
            return self._log_softmax(node)
        return self._concatenation(node) if isinstance(node.op, ir.Concat) else self._reduction(node)

    def _product(self, node: Node) -> list[str]:
        """A vector of each sequence times a matrix that is the same for all: one product for the batch."""
        transposed = isinstance(node.op, ops.MatVec)
        matrix, vector = node.inputs if transposed else node.inputs[::-1]
        x, before = self._together(vector, f"{self.element(vector, ('i',))}", "{0}[b, i] = {1}")
        out, after = self._together(node, f"{self.element(node, ('i',))}", "{1} = {0}[b, i]")
        return [*before, f"product({x}, {self.matrix(matrix, transposed)}, {out})", *after]

    def _together(self, node: Node, element: str, copy: str) -> tuple[str, list[str]]:
        """Return the vectors of all sequences as one array, which BLAS needs, and the lines that copy them."""
        whole = self.whole(node)
        if whole is not None:
            return whole, []
        name = self.scratch_array(node)
        return f"{name}[first:end]", self._nest(node.shape, [copy.format(name, element)])

    def _batched_product(self, node: Node, kind: tuple[int, int]) -> list[str]:
        """A product of the matrices and vectors of each sequence: by a function where they are contiguous."""
        a, b = node.inputs
        blocks = [self.of_sequence(x) for x in (a, b)]
        function = "_".join(("vector", "matrix")[n - 1] for n in kind)
        if None not in blocks and kind == (1, 1):
            call = f"{function}({', '.join(map(str, blocks))})"
            return ["for b in range(first, end):", f"    {self.element(node, ())} = {call}"]
        blocks.append(self.of_sequence(node) if node.shape else None)
        if None not in blocks:
            return ["for b in range(first, end):", f"    {function}({', '.join(map(str, blocks))})"]
        return self._product_by_elements(node, kind)

    def _product_by_elements(self, node: Node, kind: tuple[int, int]) -> list[str]:
        """Multiply views that aren't contiguous; the innermost loop goes along the rows of one of them."""
        a, b = node.inputs
        left = ("i", "k") if kind[0] == 2 else ("k",)
        right = ("k", "j") if kind[1] == 2 else ("k",)
        out = self.element(node, (*left[:-1], *right[1:]))
        term = f"{self.element(a, left)} * {self.element(b, right)}"
        length, rows = a.shape[-1], a.shape[0] if kind[0] == 2 else 0
        if kind[1] == 1 or not self._along_last(b):
            pair = self.row(a, left), self.row(b.inputs[0], ("j", "k")) if isinstance(b.op, ir.Transposed) else \
                self.row(b, right) if kind[1] == 1 else None
            lines = [f"{out} = vector_vector({', '.join(map(str, pair))})"] if None not in pair else [
                "total = FLOAT(0.0)", f"for k in range({length}):", f"    total += {term}", f"{out} = total"]
            lines = [f"for j in range({b.shape[1]}):", *_indented(lines)] if kind[1] == 2 else lines
        else:
            columns = f"for j in range({self.length(b.shape[1])}):"
            lines = [columns, f"    {out} = FLOAT(0.0)", f"for k in range({length}):", f"    {columns}",
                     f"        {out} += {term}"]
        lines = [f"for i in range({rows}):", *_indented(lines)] if rows else lines
        return ["for b in range(first, end):", *_indented(lines)]

    def _along_last(self, node: Node) -> bool:
        """Return whether neighbours along the last axis of a matrix are neighbours in memory."""
        return not node.timed or self.place(node).axes[-1].of == 1

    def _reduction(self, node: Node) -> list[str]:
        """A sum, a mean or a maximum over axes."""
        op, x = node.op, node.inputs[0]
        summed = [axis + x.ndim for axis in _axes(op)]
        variables = VARIABLES[:x.ndim]
        value = self.element(x, variables)
        value = f"FLOAT({value})" if is_bool(x) else value
        loops = [(variables[k], x.shape[k]) for k in summed]
        start, update, result = "FLOAT(0.0)", f"total += {value}", "total"
        if isinstance(op, ops.Max):
            start = number(float("inf" if isinstance(op, ops.Min) else "-inf"))
            sign = "<" if isinstance(op, ops.Min) else ">"
            update = f"total = {value} if {value} {sign} total or {value} != {value} else total"
        elif x.ndim - 1 in summed and not is_bool(x) and self.row(x, variables) is not None:
            update = f"total += row_sum({self.row(x, variables)})"
            loops = [(v, n) for v, n in loops if v != variables[-1]]
        if isinstance(op, ops.Mean):
            result = f"total / {number(x.size / node.size)}"
        kept = [k for k in range(x.ndim) if k not in summed]
        index = tuple("0" if k in summed else variables[k] for k in range(x.ndim)) if op.keepdims \
            else tuple(variables[k] for k in kept)
        lines = [f"total = {start}", *_loops(loops, [update]), f"{self.element(node, index)} = {result}"]
        return ["for b in range(first, end):", *_indented(_loops([(variables[k], x.shape[k]) for k in kept], lines))]

    def _log_softmax(self, node: Node) -> list[str]:
        """log(exp(x) / sum(exp(x))) along the last axis."""
        variables = VARIABLES[:node.ndim]
        x, out = self.row(node.inputs[0], variables), self.row(node, variables)
        if x is None or out is None:
            raise Unsupported("LogSoftmax of a view has no compiled form", node)
        return self._nest(node.shape[:-1], [f"log_softmax({x}, {out})"])

    def _concatenation(self, node: Node) -> list[str]:
        """Copy the operands of unequal lengths that weren't computed in their place."""
        lines, start = [], 0
        for x in node.inputs:
            if self.plan.slot_in.get(x) != (node, start):
                variables = VARIABLES[:x.ndim]
                lines += self._nest(x.shape, [f"{self.element(node, variables, start)} = "
                                              f"{self.element(x, variables)}"])
            start += x.shape[0]
        return lines

    def _nest(self, shape: Sequence[int], lines: list[str]) -> list[str]:
        return ["for b in range(first, end):", *_indented(_loops(list(zip(VARIABLES, shape)), lines))]


REDUCTIONS = ops.Sum, ops.Mean, ops.Max, ops.Min


def check_supported(node: Node) -> None:
    """Check that a node can be computed in a compiled loop.

    Raises:
        Unsupported: if it can't; says why.
    """
    op = node.op.of if isinstance(node.op, (ir.Backward, ir.WeightGrad)) else node.op
    name = ("the derivative of " if op is not node.op else "") + type(op).__name__
    if node.size == 0:
        raise Unsupported("a value without elements", node)
    if isinstance(op, ir.Concat):
        return
    if is_own(op) and (read := variables_of(op, "forward")):
        raise Unsupported(f"{name} reads {', '.join(read)}, which may change", node)
    if is_fused(node):
        if type(op).ufunc in OTHERWISE:
            raise Unsupported(f"{name} has no compiled form", node)
        if scalar(op, ["x"] * len(node.inputs)) is None:
            expanded(node)
    elif isinstance(node.op, ops.Reduction) and type(node.op) in REDUCTIONS:
        if not node.inputs[0].timed or not all(isinstance(axis, int) and axis < 0 for axis in _axes(node.op)):
            raise Unsupported(f"{name} over these axes has no compiled form", node)
    elif isinstance(node.op, ops.LogSoftmax):
        if node.op.axis != -1 or not node.timed:
            raise Unsupported(f"{name} along this axis has no compiled form", node)
    elif op is not node.op or (not is_product(node) and product_kind(node) is None):
        raise Unsupported(f"{name} has no compiled form", node)


def _axes(op: ops.Reduction) -> tuple[int, ...]:
    return op.axis if isinstance(op.axis, tuple) else (op.axis,)  # type: ignore[return-value]


class Nest:
    """The nest of loops over elements that computes a group of nodes.

    A line stands in the outermost loop in which all that it reads is known, so `depth` counts loops: 1 is that over
    the sequences.
    """

    def __init__(self, writer: LoopWriter, groups: Groups, group: Group) -> None:
        assert group.shape is not None
        self.writer = writer
        self.groups = groups
        self.shape = group.shape
        self.members = group.members
        self.at_depth: list[list[str]] = [[] for _ in range(len(self.shape) + 1)]
        self.known: dict[object, tuple[str, int]] = {}  # value, offset and indices -> its variable, and the depth

    def lines(self) -> list[str]:
        """Return the lines of the nest."""
        for node in self.members:
            for offset in self.groups.offsets(node):
                self._compute(node, offset)
        lines: list[str] = []
        for depth in range(len(self.shape), -1, -1):
            lines = self.at_depth[depth] + lines
            length = self.shape[depth - 1] if depth else 0
            bound = self.writer.length(length) if depth == len(self.shape) > 0 else length
            head = "b in range(first, end)" if depth == 0 else f"{VARIABLES[depth - 1]} in range({bound})"
            lines = [f"for {head}:", *_indented(lines)] if lines else []
        return lines

    def _compute(self, node: Node, offset: int) -> None:
        """Compute one lane of a node, from its lane of each operand."""
        in_place = False
        if isinstance(node.op, ir.Concat):
            operand, start = divmod(offset, node.inputs[0].shape[0])
            x = node.inputs[operand]
            text, depth = self._value(node, x, start)
            in_place = x in self.groups.stored and self.writer.plan.slot_in.get(x) == (node, offset - start)
        else:
            offsets = [0 if isinstance(node.op, ir.BroadcastMul) and place == 0 else offset
                       for place in range(len(node.inputs))]
            lane = str(offset // self.groups.lane[node]) if len(self.groups.offsets(node)) > 1 else ""
            values = [self._value(node, x, o) for x, o in zip(node.inputs, offsets)]
            text, depth = self._apply(node, values, f"{node.name or 'v'}_t{lane}")
        self.known[node, offset, self._own(node)] = text, depth
        if node in self.groups.stored and not in_place:
            target = self.writer.element(node, self._own(node), offset)
            sign = "+=" if isinstance(node.op, ir.SumOverTime) else "="
            if target != text:
                self.at_depth[-1].append(f"{target} {sign} {text}")

    def _apply(self, node: Node, values: list[tuple[str, int]], wish: str) -> tuple[str, int]:
        """Return the variable that holds the result of an operation, and its depth.

        Args:
            wish: the name of the variable, if it is free.
        """
        arguments = [self._typed(node, place, text) for place, (text, _) in enumerate(values)]
        formula = scalar(node.op, arguments)
        if formula is None:
            return self._expanded(node, values)
        depth = max([0, *(depth for _, depth in values)])
        if formula in arguments:  # passed on
            return formula, depth
        return self._assign(wish, formula, depth), depth

    def _expanded(self, node: Node, values: list[tuple[str, int]]) -> tuple[str, int]:
        """Compute an operation that consists of others."""
        found = dict(zip(node.inputs, values))
        for part in expanded(node):
            if isinstance(part.op, ir.Number):
                found[part] = number(part.op.value), 0
            else:
                found[part] = self._apply(part, [found[x] for x in part.inputs], f"{node.name or 'v'}_part")
        return found[part]

    def _assign(self, wish: str, formula: str, depth: int) -> str:
        name = self.writer.local.free(wish)
        self.at_depth[depth].append(f"{name} = {formula}")
        return name

    def _typed(self, node: Node, place: int, text: str) -> str:
        """Return an operand as a number of the program's type, or as a truth value."""
        x = node.inputs[place]
        truth = is_bool(x)
        if takes_truth(node.op, place):
            return text if truth else f"({text} != FLOAT(0.0))"
        source, _ = peeled(x)
        whole = isinstance(source.op, ir.Input) and source.op.dtype == "int"
        return f"FLOAT({text})" if truth or whole else text

    def _value(self, node: Node, x: Node, offset: int) -> tuple[str, int]:
        """Return the variable of an operand's element, and the loop in which it is known."""
        if isinstance(x.op, ir.Number):
            return number(x.op.value), 0
        if not x.shape or x.shape[0] == 1 != node.shape[0] or (not x.timed and x.ndim < node.ndim):
            offset = 0
        own = self._own(x)
        source, total = peeled(x, offset)
        found = self.known.get((source, total, own)) or self.known.get((x, offset, own))
        if found is not None:
            return found
        assert source not in self.members, f"{source!r} is read before it is computed"
        depth = max([0, *(1 + VARIABLES.index(v) for v in own if v != "0")])
        wish = f"{source.name or 'v'}_t" if x.timed else f"{x.name or 'v'}_w"
        text = self.writer.element(x, own, offset)
        if not x.timed and not x.shape:
            return text, 0
        self.known[source, total, own] = self._assign(wish, text, depth), depth
        return self.known[source, total, own]

    def _own(self, x: Node) -> Variables:
        """Return the indices of an operand; 0 along axes of length 1.

        A value of each step has the first axes of the nest, one without steps the last ones: see `Codegen.ref`.
        """
        axes = range(x.ndim) if x.timed else range(len(self.shape) - x.ndim, len(self.shape))
        return tuple("0" if n == 1 or self.shape[k] == 1 else VARIABLES[k] for k, n in zip(axes, x.shape))


def _shifted(variables: Variables, offset: int) -> Variables:
    """Return indices with an offset on the first axis."""
    return (f"{offset} + {variables[0]}", *variables[1:]) if offset else variables


def _indexed(name: str, index: Sequence[str]) -> str:
    return f"{name}[{', '.join(index)}]" if index else name


def _loops(ranges: Sequence[tuple[str, int]], lines: list[str]) -> list[str]:
    """Return lines within loops, the first outermost."""
    for variable, length in reversed(ranges):
        lines = [f"for {variable} in range({length}):", *_indented(lines)]
    return lines


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
