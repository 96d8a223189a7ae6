"""Code generation: scheduled nodes and a buffer plan become the lines of a NumPy program.

The program has three views of each array: `arrays.h` is h at all steps, (T, batch, size); `flat.h` has all
vectors one under another, (T * batch, size), for products; `by_step.h` lists the arrays of single steps.
A node becomes lines by the rule for its operation: TIMED, EXPANSIONS and CONSTANT below. Nothing runs here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from minigrad import Op, ops
from rnn.ir import nodes as ir
from rnn.ir.matrices import is_product, product_kind
from rnn.ir.nodes import Node
from rnn.ir.schedule import Block

from .buffers import BufferPlan, Extent
from .emit import Code, Function, Names, Tiles, identifier

KEYWORD = {"maximum", "minimum"}  # these functions take `out` by keyword only
DTYPES = {"float": "FLOAT", "int": "np.int64", "bool": "bool"}


class Boundary(NamedTuple):
    """A value before the first step (`step` 0 and less) or after the last (1 and more), and its name."""

    name: str
    node: Node
    step: int


def generate(passes: tuple[list[Block], list[Block]], plan: BufferPlan, names: Names, boundaries: list[Boundary],
             weights: Collection[Node], outputs: Mapping[str, Node], gradients: Mapping[str, Node],
             split: bool = False, codegen: Callable[..., Codegen] | None = None) -> Code:
    """Return the text of a program.

    Args:
        codegen: makes what writes it; by default Codegen.
        split: whether what the weights alone determine is computed by a function of its own.
        outputs: a signal at a step, such as h[t] -> its node. A comment in the program names the signal.
        gradients: name in the result of the backward pass -> node.
    """
    functions = []
    for blocks in passes:
        nodes = [node for block in blocks for node in block.nodes]
        read = {x for node in nodes for x in (node, *node.inputs)}
        functions.append(Function([node for node in nodes if isinstance(node.op, ir.Input)],
                                  [node for node in weights if node in read]))
    code = Code(functions[0], functions[1], [boundary.name for boundary in boundaries],
                Function([], functions[0].weights) if split else None)
    gen = (codegen or Codegen)(code, plan, names, outputs)
    gen.allocate()
    gen.copy_inputs(code.forward)
    for name, node, step in boundaries:
        row = plan.lifetimes.margins[node][0] + step - 1
        code.forward.lines.append(f"arrays.{names.of[node]}_all[{row if step <= 0 else f'T + {row}'}] = {name}")
    gen.write_pass(passes[0], code.forward, "forward_tiles")
    if code.prepare is not None:
        _split_arguments(code, code.prepare, names)
    gen.copy_inputs(code.backward)
    gen.write_pass(passes[1], code.backward, "backward_tiles")
    code.views = {**gen.views, **gen.step_views}
    code.gradients = {name: gen.ref(node) for name, node in gradients.items()}
    return code


def _split_arguments(code: Code, prepare: Function, names: Names) -> None:
    """Determine what `prepare` returns, and which weights each of the functions takes."""
    made, read = (set(re.findall(r"\w+", "\n".join(function.lines))) for function in (prepare, code.forward))
    first = (re.match(r"(\w+) = ", line) for line in prepare.lines)
    code.prepared = [name for name in dict.fromkeys(found[1] for found in first if found) if name in read]
    prepare.weights, code.forward.weights = ([x for x in prepare.weights if names.of[x] in words]
                                             for words in (made, read))


class Codegen:
    """Fills a Code.

    Attributes:
        in_loop: whether the lines that are written compute one step, or all steps at once.
        index: "[t - 1]" in a skewed loop, which indexes the arrays of all steps; else empty.
        array_of: name of an array, or of a lane view of one -> its node.
        views, step_views: name of a view -> the expression that makes it; step_views are of arrays of one step.
        transposes: matrix -> the name of its transpose, which is copied before the loop.
    """

    def __init__(self, code: Code, plan: BufferPlan, names: Names, outputs: Mapping[str, Node]) -> None:
        self.code = code
        self.plan = plan
        self.lifetimes = plan.lifetimes
        self.names = names
        self.in_loop = False
        self.index = ""
        self.array_of: dict[str, Node] = {}
        self.views: dict[str, str] = {}
        self.step_views: dict[str, str] = {}
        self.view_names: dict[tuple[str, str], str] = {}  # array, ending -> the name of a view of it
        self.transposes: dict[str, str] = {}
        self.comments: dict[Node, list[str]] = {}  # node -> the signals that are computed with it
        for signal, node in outputs.items():
            while isinstance(node.op, ir.Slice) and node.timed:
                node = node.inputs[0]
            self.comments.setdefault(node, []).append(re.sub(r"[^\w.+\-\[\]]+", "_", signal))

    # ---- arrays
    def allocate(self) -> None:
        """Write the lines that make arrays, and views of the same length of them."""
        plan = self.plan
        stored = [node for node in self.lifetimes.nodes if node.timed and not isinstance(node.op, ir.Backward)
                  and node not in plan.alias_of and node not in self.lifetimes.carried]
        for node in sorted(stored, key=plan.depth):  # an array is made before the views of it
            name = self.names.give(node)
            self.array_of[name] = node
            self.code.buffers.append(f"arrays.{name} = {self._array(node, name)}")

    def _array(self, node: Node, name: str) -> str:
        """Return the expression that makes the array of a node, or the view of another one."""
        op, plan = node.op, self.plan
        if isinstance(op, ir.Shift):
            start = self.lifetimes.margins[node.inputs[0]][0] - op.delay
            return f"arrays.{self.name(node.inputs[0])}_all[{start}:{start} + T]"
        parent = plan.parent(node)
        if parent is None:
            return self._new_array(node, name)
        part = ""
        if node in plan.slot_in:
            start = plan.slot_in[node][1]
            part = self.part(parent, start, start + node.shape[0])
        elif isinstance(op, ir.Slice):
            part = self.part(parent, op.start, op.stop)
        elif isinstance(op, ir.Part):
            part = index_text(op.index)
        elif isinstance(op, ir.Transposed):
            part = ".swapaxes(-1, -2)"
        return f"arrays.{self.name(parent)}{part}"

    def _new_array(self, node: Node, name: str) -> str:
        op, plan = node.op, self.plan
        if isinstance(op, ir.Input) and op.shared:
            return "np.empty((T, 1), FLOAT)"
        dtype = DTYPES["bool" if isinstance(op, ops.Compare) else op.dtype if isinstance(op, ir.Input) else "float"]
        lanes = plan.lanes.get(node)
        axes = ["B", *map(str, node.shape)] if lanes is None else [str(lanes), "B", str(node.shape[0] // lanes)]
        before, after = self.lifetimes.margins.get(node, (0, 0))
        extent = plan.extent(node)
        if extent == Extent.ALL and (before or after):
            rows = ", ".join([f"T + {before + after}", *axes])
            self.code.buffers.append(f"arrays.{name}_all = np.zeros(({rows}), {dtype})")
            return f"arrays.{name}_all[{before}:{before} + T]"
        axes = [*([], ["S"], ["T"])[extent], *axes]
        return f"np.empty({axes[0] if len(axes) == 1 else '(' + ', '.join(axes) + ')'}, {dtype})"

    def part(self, whole: Node, start: int, stop: int) -> str:
        """Return the index of some elements of an array."""
        lanes = self.plan.lanes.get(whole)
        if lanes is None:
            return f"[..., {start}:{stop}]"
        size = whole.shape[0] // lanes
        part = f"{start // size}" if stop - start == size else f"{start // size}:{stop // size}"
        return f"[:, {part}]" if self.plan.extent(whole) else f"[{part}]"

    def copy_inputs(self, function: Function) -> None:
        """Copy the data into the program's own arrays."""
        for node in function.inputs:
            if node.timed:
                function.lines.append(self.call("copyto", f"arrays.{self.names.of[node]}", self.names.of[node]))

    # ---- blocks
    def write_pass(self, blocks: list[Block], function: Function, tiles: str) -> None:
        """Write the body of a function; `tiles` is the wished name of its lists of tiles."""
        for block in blocks:
            if block.direction == 0:
                now = [node for node in block.nodes if node not in self.lifetimes.tile_loop]
                function.lines += self._all_steps(now)
            else:
                self.in_loop, self.transposes = True, {}
                function.lines += self._skewed_loop(block) if block.skewed \
                    else self._loop(block, self.names.free(tiles))
                self.in_loop = False

    def _all_steps(self, nodes: list[Node]) -> list[str]:
        """Return the lines of what no loop passes through, under headings."""
        lines: list[str] = []
        heading = ""
        for node in nodes:
            statements = self.statements(node)
            if self.code.prepare is not None and not node.timed:
                self.code.prepare.lines += statements
                continue
            found = heading or "weights"
            if node in self.lifetimes.static:
                found = "the same at all steps"
            elif node.timed or isinstance(node.op, (*ir.SUMS, ir.AtStep)):
                found = "all steps at once" if node.timed else "summed over all steps"
            if statements and found != heading:
                lines.append(f"# {found}")
                heading = found
            lines += statements
        return lines

    def _loop(self, block: Block, tiles: str) -> list[str]:
        """Return the lines of a loop over the steps; each calls one function on the arrays of one step.

        What the loop alone reads is computed before it for a tile of steps; a loop over tiles is around both.
        """
        outer, self.views = self.views, {}
        self.in_loop = False
        before = [line for node in self.lifetimes.tiled[id(block)] for line in self.statements(node)]
        self.in_loop = True
        body = [line for node in block.nodes for line in self.statements(node)]
        first, each = self._loop_variables(block, body)
        span = "arrays.t" if before else "range(1, T + 1)"
        if block.direction < 0:
            span = "reversed(arrays.t)" if before else "range(T, 0, -1)"
        loop = [*_loop_head(["t", *each], [span, *each.values()]), *_indented(body)]
        return [*first, *self._in_tiles(block, tiles, outer, before, loop, bool(before))]

    def _in_tiles(self, block: Block, tiles: str, outer: dict[str, str], before: list[str], loop: list[str],
                  tiled: bool) -> list[str]:
        """Return the lines of a loop, and of what is computed before it, for one tile of steps after the other.

        Args:
            tiles: the name of the list of tiles.
            outer: the views that were made before the loop was written.
            tiled: whether there are tiles.
        """
        if not tiled:
            self.views = {**outer, **self.views}
            return loop
        self._write_tiles(tiles, [*before, *loop])
        self.views = outer
        order = f"all_steps.{tiles}" if block.direction > 0 else f"reversed(all_steps.{tiles})"
        return [f"for arrays in {order}:  # a tile of steps", "    flat, by_step = arrays.flat, arrays.by_step",
                *_indented([*before, *loop]), "arrays, flat, by_step = all_steps, all_steps.flat, all_steps.by_step"]

    def _loop_variables(self, block: Block, body: list[str]) -> tuple[list[str], dict[str, str]]:
        """Return the lines that name arrays of one step before a loop; and its variables, one array a step."""
        words = set(re.findall(r"\w+", "\n".join(body)))
        lines = []
        each: dict[str, str] = {}
        read = [x for node in block.nodes for x in (node, *node.inputs) if x.timed]
        names = dict.fromkeys([*(self.name(x) for x in read
                                 if x not in self.lifetimes.carried and not isinstance(x.op, ir.Backward)),
                               *self.views, *self.step_views])
        for name in names:
            if name not in words or name not in self.array_of:
                continue
            if self.plan.extent(self.array_of[name]):
                self.views[f"by_step.{name}"] = f"list(arrays.{name})"
                each[name] = f"by_step.{name}" if block.direction > 0 else f"reversed(by_step.{name})"
            else:
                lines.append(f"{name} = arrays.{name}")
        lines += [f"{self.name(node.inputs[0])}.fill(0)" for node in block.nodes if node in self.lifetimes.carried]
        return lines + self._copy_transposes() + self._start_sums(block), each

    def _start_sums(self, block: Block) -> list[str]:
        """Return the lines that begin the sums to which each iteration of a loop adds a term."""
        lines = []
        for node in block.nodes:
            if isinstance(node.op, ir.SumOverTime):
                zeros = self.call("zeros", f"(B, {', '.join(map(str, node.shape))})" if node.shape else "B", "FLOAT")
                lines.append(f"{self.names.give(node)} = {zeros}")
        return lines

    def _copy_transposes(self) -> list[str]:
        """Return the lines that copy transposed matrices: a product with a mere view of one is slower."""
        lines = [f"{transpose} = {self.call('ascontiguousarray', f'{name}.T')}"
                 for name, transpose in self.transposes.items()]
        if self.code.prepare is None:
            return lines
        self.code.prepare.lines += lines
        return []

    def _write_tiles(self, name: str, lines: list[str]) -> None:
        """Record the views of one tile that the lines of a loop use."""
        used = dict.fromkeys(re.findall(r"\barrays\.(\w+)", "\n".join([*lines, *self.views.values()])))
        arrays = [x for x in used if x in self.array_of and x not in self.views]
        made = []
        for x in arrays:
            index = ("", "[:stop - start]", "[start:stop]")[self.plan.extent(self.array_of[x])]
            made.append(f"tile.{x} = arrays.{x}{index}")
        # views of arrays before the views in flat and by_step, which may be made of them
        for x, view in sorted(self.views.items(), key=lambda item: "." in item[0]):
            of_tile = re.sub(r"\barrays\.", "tile.", view)
            made.append(f"tile.{x} = {of_tile}")
        self.code.tiles.append(Tiles(name, sum(max(1, self.array_of[x].size) for x in arrays), made))

    def _skewed_loop(self, block: Block) -> list[str]:
        """Return the lines of a loop in which some nodes are computed with an offset: see `graphs.smallest_offsets`."""
        self.index = "[t - 1]"
        body: list[str] = []
        written = [(block.offset[node], line) for node in block.nodes for line in self.statements(node)]
        for offset, lines in groupby(written, itemgetter(0)):
            step = f"iteration - {offset}"
            body.append(f"    t = {step if block.direction > 0 else f'T + 1 - ({step})'}")
            body += ["    if 1 <= t <= T:", *(f"        {line}" for _, line in lines)]
        self.index = ""
        iterations = f"range(1, T + {1 + max(block.offset.values())})"
        return [*self._copy_transposes(), *self._start_sums(block), f"for iteration in {iterations}:", *body]

    # ---- references to values
    def name(self, node: Node) -> str:
        """Return the name of a node's array."""
        return self.names.give(self.plan.representative(node))

    def ref(self, node: Node, ndim: int = 0) -> str:
        """Return the expression for a value, with axes inserted if it has fewer than `ndim` and broadcasts."""
        if isinstance(node.op, ir.Number):
            return self.constant(node.op.value)
        carried = node in self.lifetimes.carried
        name = self.name(node.inputs[0] if carried else node)
        if node.timed and not carried and not isinstance(node.op, ir.Backward) and (self.index or not self.in_loop):
            name = f"arrays.{name}{self._step(node)}"
        if node.timed and node.ndim < ndim:
            return self.view(node, ("as_vector", "as_matrix")[ndim - 1] if ndim <= 2 else f"as_{ndim}d",
                             index_text((None,) * (ndim - node.ndim)))
        return name

    def view(self, node: Node, ending: str, index: str) -> str:
        """Return the expression for a view of a value, which is made once: its index or method, under a name."""
        array = self.name(node.inputs[0] if node in self.lifetimes.carried else node)
        name = self.view_names.setdefault((array, ending), "") or self.names.free(f"{array}_{ending}")
        self.view_names[array, ending] = name
        self.array_of[name] = node
        views = self.views if self.plan.extent(node) else self.step_views
        views[name] = f"arrays.{array}{index}"
        return f"arrays.{name}{self._step(node)}" if self.index or not self.in_loop else name

    def _step(self, node: Node) -> str:
        """Return the index of this step, in a loop over the arrays of all steps."""
        return "" if node in self.lifetimes.static else self.index

    def constant(self, value: float) -> str:
        """Return the name of a number, as an array of the program's type."""
        for name, known in self.code.constants.items():
            same = known == value or known is value  # NaN isn't equal to itself
            if same and np.signbit(known) == np.signbit(value):
                return name
        name = self.names.free(f"n{value!r}".replace("-", "minus_").replace(".", "_").replace("+", ""))
        self.code.constants[name] = value
        return name

    def call(self, function: str, *arguments: str) -> str:
        """Return a call of one of NumPy's functions."""
        self.code.numpy_functions.add(function)
        return f"{function}({', '.join(arguments)})"

    def flat(self, node: Node) -> str:
        """Return all vectors of a node, one under another."""
        name = self.name(node)
        self.views[f"flat.{name}"] = f"arrays.{name}.reshape({', '.join(['-1', *map(str, node.shape)])})"
        return f"flat.{name}"

    def rows(self, node: Node, ndim: int) -> str:
        """Return all steps, sequences and axes but the last `ndim` as one axis; a copy where they lie apart."""
        if node.ndim == ndim:
            return self.flat(node) if node.timed else self.ref(node)
        return f"{self.ref(node)}.reshape({', '.join(['-1', *map(str, node.shape[node.ndim - ndim:])])})"

    def lanes(self, node: Node, lanes: int) -> str:
        """Return a vector with its lanes apart, (lanes, batch, size)."""
        if node in self.plan.lanes or isinstance(node.op, ir.Number):
            return self.ref(node)
        array = self.name(node.inputs[0] if node in self.lifetimes.carried else node)
        name, size = f"{array}_lanes", node.shape[0] // lanes
        self.array_of[name] = node
        if self.plan.extent(node):
            self.views[name] = f"arrays.{array}.reshape(-1, B, {lanes}, {size}).transpose(0, 2, 1, 3)"
        else:
            self.step_views[name] = f"arrays.{array}.reshape(B, {lanes}, {size}).transpose(1, 0, 2)"
        return f"arrays.{name}{self._step(node)}" if self.index or not self.in_loop else name

    def operation(self, op: Op, node: Node) -> str:
        """Return the name of an operation that is called as an object."""
        for name, (known, _) in self.code.operations.items():
            if known is op:
                return name
        name = self.names.free(identifier(type(op).__name__.lower()))
        self.code.operations[name] = op, node.origin
        return name

    # ---- the lines of one node
    def statements(self, node: Node) -> list[str]:
        """Return the lines that compute a node, none for leaves and views; a comment names the signal."""
        if isinstance(node.op, ir.Leaf) or (node.timed and isinstance(node.op, ir.View)):
            return []
        lines = TIMED.get(type(node.op), _elementwise)(self, node, self.ref(node)) if node.timed \
            else _constant(self, node)
        if lines and node in self.comments:
            lines[-1] += f"  # {', '.join(self.comments[node])}"
        for line in lines:
            self.code.written_for.setdefault(line, node)
        return lines


# ---- values with one value per step: the result is written into the array `out`
def _broadcast_mul(gen: Codegen, node: Node, out: str) -> list[str]:
    vector = gen.ref(node.inputs[0]) + ("" if gen.in_loop else "[:, None]")
    return [gen.call("multiply", vector, *(gen.lanes(x, node.op.count) for x in (node.inputs[1], node)))]


def _concat(gen: Codegen, node: Node, out: str) -> list[str]:
    """Copy the operands that weren't computed in their place."""
    lines, start = [], 0
    for x in node.inputs:
        if gen.plan.slot_in.get(x) != (node, start):
            part = gen.part(node, start, start + x.shape[0])
            if gen.in_loop and part.startswith("[:, ") and gen.plan.extent(node):
                part = "[" + part[4:]
            lines.append(gen.call("copyto", f"{out}{part}", gen.ref(x)))
        start += x.shape[0]
    return lines


def _reduction(gen: Codegen, node: Node, out: str) -> list[str]:
    """A sum or a maximum over axes."""
    op = node.op
    if op.axis is None:
        return _elementwise(gen, node, out)
    axis = op.axis[0] if isinstance(op.axis, tuple) and len(op.axis) == 1 else op.axis
    method = type(op).__name__.lower()
    return [f"{gen.ref(node.inputs[0])}.{method}({axis}, {'keepdims=True, ' if op.keepdims else ''}out={out})"]


def _product(gen: Codegen, node: Node, out: str) -> list[str]:
    """A product of each vector with a matrix: in a loop for the batch, else for all steps in one call."""
    if not is_product(node):
        return _batched_product(gen, node, out)
    transposed = isinstance(node.op, ops.MatVec)
    matrix, vector = node.inputs if transposed else node.inputs[::-1]
    W = gen.ref(matrix)
    if transposed and gen.in_loop:
        W = gen.transposes.setdefault(W, f"{W}_T")
    elif transposed:
        W = f"{W}.T"
    x, out = (gen.ref(vector), out) if gen.in_loop else (gen.flat(vector), gen.flat(node))
    array = gen.plan.representative(node)
    if array in gen.plan.slot_in or array in gen.plan.inplace_of:  # dot is faster, but can't write a part of an array
        return [gen.call("matmul", x, W, out)]
    return [f"{x}.dot({W}, {out})"]


def _batched_product(gen: Codegen, node: Node, out: str) -> list[str]:
    """A product of matrices and vectors of each sequence, or of one of them with a weight, by one call of matmul."""
    kind = product_kind(node)
    if kind is None:
        return _elementwise(gen, node, out)
    a, b = node.inputs
    if kind == (1, 1):
        return [gen.call("vecdot", gen.ref(a), gen.ref(b), out)]
    left, right = gen.ref(a), gen.ref(b)
    if kind == (2, 1) and b.timed:
        right, out = gen.view(b, "column", "[..., None]"), gen.view(node, "column", "[..., None]")
    elif kind == (1, 2) and a.timed:
        left, out = gen.view(a, "row", "[..., None, :]"), gen.view(node, "row", "[..., None, :]")
    return [gen.call("matmul", left, right, out)]


def _backward(gen: Codegen, node: Node, out: str) -> list[str]:
    op = node.op.of
    ndim = node.inputs[1].ndim if broadcasts(op) else 0
    arguments = [gen.ref(x, ndim) for x in node.inputs]
    arguments = _at_each_step(gen, op, node.inputs[1], node.inputs, arguments, arguments[1])
    arguments += [repr(node.op.needs)] if op.selective else []
    return [f"{out} = {gen.operation(op, node)}.backward({', '.join(arguments)})"]


def _weight_grad(gen: Codegen, node: Node) -> str:
    """Return the gradient of an operand that is the same at all steps, from the arrays of all steps."""
    op, of = node.op, node.op.of
    arguments = [gen.ref(x) for x in node.inputs]
    arguments = _at_each_step(gen, of, node.inputs[1], node.inputs, arguments, arguments[1])
    arguments += [repr(op.needs)] if of.selective else []
    grads = f"{gen.operation(of, node)}.backward({', '.join(arguments)})"
    grad = f"{grads}[{op.index}]" if len(node.inputs) > 3 else grads
    return f"{grad}.sum({op.axes}).reshape({node.shape})" if op.axes else grad


def _input_grad(gen: Codegen, node: Node, out: str) -> list[str]:
    """Copy one of the gradients that a `backward` returned.

    That of a weight may be summed over steps and sequences already, as of `x[t] @ w`. SumOverSteps adds up all of
    `out`, so it is written into its first place, and the others are zero.
    """
    every = node.inputs[0]
    several = len(every.inputs) > 3  # the gradient, the result, and two operands or more
    found = f"{gen.ref(every)}[{node.op.index}]" if several else gen.ref(every)
    if every.inputs[2 + node.op.index].timed:
        return [gen.call("copyto", out, found)]
    first = f"(0,) * ({out}.ndim - {found}.ndim) + tuple(map(slice, {found}.shape))"
    return [f"{out}.fill(0)", f"{out}[{first}] = {found}"]


def _elementwise(gen: Codegen, node: Node, out: str) -> list[str]:
    """Write an operation as calls of ufuncs where it has such a form; else call its forward and copy the result."""
    op = node.op
    if node in gen.plan.lanes:
        arguments = [gen.lanes(x, gen.plan.lanes[node]) for x in node.inputs]
    else:
        arguments = [gen.ref(x, node.ndim if broadcasts(op) else 0) for x in node.inputs]
    if isinstance(op, ir.AddN):
        first = sorted(arguments, key=lambda text: text != out)  # a term that `out` overwrites is read first
        return [gen.call("add", *first[:2], out), *(gen.call("add", out, term, out) for term in first[2:])]
    if isinstance(op, ops.Power) and op.exponent != 2:
        return [gen.call("power", arguments[0], gen.constant(op.exponent), out)]
    if isinstance(op, ops.Where) and isinstance(node.inputs[0].op, ops.Compare) \
            and isinstance(node.inputs[1].op, ir.Number):  # as in the derivative of relu: where(x <= 0, 0, grad)
        first = [] if arguments[2] == out else [gen.call("copyto", out, arguments[2])]
        return [*first, gen.call("copyto", out, arguments[1], f"where={arguments[0]}")]
    if type(op) in EXPANSIONS:
        return [_expand(gen, step, arguments[0], out) for step in EXPANSIONS[type(op)]]
    ufunc = ufunc_of(op)
    if ufunc is not None:
        return [gen.call(ufunc.__name__, *arguments, f"out={out}" if ufunc.__name__ in KEYWORD else out)]
    if isinstance(op, (ops.Identity, ops.BroadcastTo, ops.StopGradient)):
        return [gen.call("copyto", out, arguments[0])]
    if not op.elementwise:
        arguments = _at_each_step(gen, op, node, node.inputs, arguments, out)
    return [gen.call("copyto", out, f"{gen.operation(op, node)}.forward({', '.join(arguments)})")]


def _at_each_step(gen: Codegen, op: Op, node: Node, operands: Sequence[Node], arguments: list[str], out: str
                  ) -> list[str]:
    """Return operands of `node`, repeated for each step of `out` (in a view) where they are the same at all steps.

    Those of an operation that needs the same axes in front of all operands also for each sequence.
    """
    def repeated(x: Node, text: str) -> str:
        if not x.timed and op.aligned:
            lead = f"{out}.shape[:-{node.ndim}]" if node.ndim else f"{out}.shape"
            return f"np.broadcast_to({text}, {lead} + {text}.shape)"
        if x in gen.lifetimes.static and node not in gen.lifetimes.static and not gen.in_loop:
            return f"np.broadcast_to({text}, {out}.shape[:1] + {text}.shape)"
        return text
    return [repeated(x, text) for x, text in zip(operands, arguments)]


def broadcasts(op: Op) -> bool:
    """Return whether an operation's operands broadcast, so that a number per sequence needs an axis beside vectors."""
    return op.elementwise or isinstance(op, (ops.BroadcastTo, ops.Compare))


def ufunc_of(op: Op) -> np.ufunc | None:
    """Return the ufunc that computes an operation.

    It must be declared by the operation's own class (a subclass may compute something else), and NumPy's own,
    since the program imports it from there.
    """
    if isinstance(op, ops.Compare):
        return op.ufunc
    ufunc: np.ufunc | None = vars(type(op)).get("ufunc") if op.elementwise else None
    own = ufunc is not None and getattr(np, ufunc.__name__, None) is ufunc
    return ufunc if own and not isinstance(op, ops.Identity) else None


TIMED: dict[type[Op], Callable[[Codegen, Node, str], list[str]]] = {
    ir.BroadcastMul: _broadcast_mul, ir.Concat: _concat, ops.Sum: _reduction, ops.Max: _reduction,
    ops.MatVec: _product, ops.MatMul: _product, ops.VecMat: _product, ops.VecDot: _product, ir.Backward: _backward,
    ir.InputGrad: _input_grad}


# Operations of one operand x as calls of NumPy's functions, each of which writes into `out`.
EXPANSIONS: dict[type[Op], list[tuple[str | float, ...]]] = {
    ops.Sigmoid: [("negative", "x"), ("minimum", "out", "LARGEST_EXPONENT"), ("exp", "out"), ("add", "out", 1.0),
                  ("reciprocal", "out")],  # 1 / (1 + exp(-x)): exact but where it is less than 2 / the largest number
    ops.Square: [("multiply", "x", "x")], ops.Power: [("multiply", "x", "x")],  # other powers: _elementwise
    ops.Relu: [("maximum", "x", 0.0)]}


def _expand(gen: Codegen, step: tuple[str | float, ...], x: str, out: str) -> str:
    function, *operands = step
    values = [{"x": x, "out": out}.get(a, a) if isinstance(a, str) else gen.constant(a) for a in operands]
    return gen.call(str(function), *values, f"out={out}" if function in KEYWORD else out)


# ---- values that are the same at every step: weights and their gradients
def _constant(gen: Codegen, node: Node) -> list[str]:
    """Return the lines that compute a value which is the same at every step."""
    terms = (node,) if isinstance(node.op, ir.PadColumns) else node.inputs if isinstance(node.op, ir.AddN) else ()
    columns = [x for x in terms if isinstance(x.op, ir.PadColumns)]
    if columns:
        return _assemble_columns(gen, node, columns)
    if isinstance(node.op, ir.SumOverTime) and gen.in_loop:
        return [gen.call("add", gen.names.give(node), gen.ref(node.inputs[0]), gen.names.give(node))]
    return [f"{gen.names.give(node)} = {_constant_value(gen, node)}"]


def _constant_value(gen: Codegen, node: Node) -> str:
    op = node.op
    if isinstance(op, ir.SumOfOuter):
        a, b = (gen.rows(x, x.ndim - node.inputs[0].ndim + node.ndim - 1) for x in node.inputs)
        return f"{a}.T.dot({b})" if node.ndim == 2 else f"{a}.dot({b})"
    if isinstance(op, ir.SumOverSteps):
        return _sum_over_steps(gen, node)
    if isinstance(op, ir.SumOverTime):
        return f"{gen.ref(node.inputs[0])}.sum(0)"
    if isinstance(op, ir.OuterOverTime):
        a, b = map(gen.ref, node.inputs)
        return gen.call("matmul", f"{a}.transpose(1, 2, 0)", f"{b}.transpose(1, 0, 2)")
    if isinstance(op, ir.WeightGrad):
        return _weight_grad(gen, node)
    if isinstance(op, ir.AtStep) and not node.inputs[0].timed:  # the same at all steps, such as the scale of a loss
        lead = f"(arrays.B, {', '.join(map(str, node.shape))})"
        return f"np.broadcast_to({gen.ref(node.inputs[0])} if T >= {abs(op.step)} else 0.0, {lead})"
    if isinstance(op, ir.AtStep):
        step, name = op.step, f"arrays.{gen.name(node.inputs[0])}"
        return f"{name}[{step - 1 if step > 0 else step}] if T >= {abs(step)} else np.zeros({name}.shape[1:], FLOAT)"
    values = [gen.ref(x) for x in node.inputs]
    if isinstance(op, ir.ColumnSlice):
        columns = f"{values[0]}[:, {op.start}:{op.stop}]"
        multiplied = any(is_product(x) and not gen.lifetimes.block[x].direction
                         for x in gen.lifetimes.users.get(node, ()))  # for many steps at once: the copy costs less
        return gen.call("ascontiguousarray", columns) if multiplied else columns
    if isinstance(op, ir.Slice):
        return f"{values[0]}[{op.start}:{op.stop}]"
    if isinstance(op, ir.AddN):
        return " + ".join(values)
    if isinstance(op, ir.Concat):
        return gen.call("concatenate", f"({', '.join(values)})")
    ufunc = ufunc_of(op)
    return gen.call(ufunc.__name__, *values) if ufunc is not None \
        else f"{gen.operation(op, node)}.forward({', '.join(values)})"


def _assemble_columns(gen: Codegen, node: Node, blocks: list[Node]) -> list[str]:
    """Write blocks of columns into one matrix; if they don't fill it exactly, add them to zeros."""
    users = gen.lifetimes.users.get(node, [])
    if isinstance(node.op, ir.PadColumns) and users and all(isinstance(user.op, ir.AddN) for user in users):
        return []  # written into the matrix of the sum
    places = [(x.op.start, x.op.start + x.inputs[0].shape[1], gen.ref(x.inputs[0])) for x in blocks]
    edges = [0, *(edge for start, stop, _ in sorted(places) for edge in (start, stop)), node.shape[1]]
    filled = edges[::2] == edges[1::2] and len(blocks) == max(len(node.inputs), 1)
    name = gen.names.give(node)
    lines = [f"{name} = {gen.call('empty' if filled else 'zeros', repr(node.shape), 'FLOAT')}"]
    lines += [f"{name}[:, {start}:{stop}] {'' if filled else '+'}= {value}" for start, stop, value in places]
    return lines + [f"{name} += {gen.ref(x)}" for x in node.inputs if isinstance(node.op, ir.AddN) and x not in blocks]


def _sum_over_steps(gen: Codegen, node: Node) -> str:
    """The sum over steps, sequences and the axes that were broadcast."""
    x, shape = node.inputs[0], node.shape
    if x.shape == shape and len(shape) == 1:
        gen.views["ones"] = "np.ones(T * B, FLOAT)"  # a product with ones is faster than a sum over the first axis
        if len(shape) == 1:
            return f"arrays.ones.dot({gen.flat(x)})"
        return f"arrays.ones.dot({gen.flat(x)}.reshape(-1, {node.size})).reshape({shape})"
    added = x.ndim - len(shape)
    axes = (0, *(1 + axis for axis in range(x.ndim)
                 if axis < added or shape[axis - added] == 1 != x.shape[axis]))
    return f"{gen.flat(x)}.sum({axes}).reshape({shape})"


# ---- text
def index_text(index: Sequence[int | slice | None]) -> str:
    """Return an index of the last axes as Python text."""
    def text(x: int | slice | None) -> str:
        if not isinstance(x, slice):
            return repr(x)
        ends = ["" if end is None else str(end) for end in (x.start, x.stop, x.step)]
        return ":".join(ends[:3 if x.step is not None else 2])
    return f"[..., {', '.join(map(text, index))}]" if index else ""


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _loop_head(names: list[str], values: list[str]) -> list[str]:
    """Return the head of a loop over several lists, on several lines if it is long."""
    whole = f"for {', '.join(names)} in zip({', '.join(values)}):"
    if len(whole) <= 110:
        return [whole]
    fill = textwrap.TextWrapper(106, break_long_words=False, break_on_hyphens=False, subsequent_indent=" " * 8)
    fill.initial_indent = "for ("
    first = fill.wrap(", ".join(names))
    fill.initial_indent = " " * 8
    return [*first[:-1], first[-1] + ") in zip(", *fill.wrap(", ".join(values) + "):")]
