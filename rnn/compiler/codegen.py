"""From scheduled nodes to the text of a NumPy program: buffers, a forward pass, a backward pass.

The program keeps three views of each array: `k.h` is h at all steps, (T, batch, size); `rows.h` has all
vectors one under another, (T * batch, size), for products; `steps.h` lists the arrays of single steps.
Knows nodes, what memory.py decided, and text; runs nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigrad import Op, ops
from minigrad.operators import UFUNCS
from rnn.ir.adjoint import ELEMENTWISE, is_product
from rnn.ir.nodes import (
    AddN,
    AtStep,
    Backward,
    BroadcastMul,
    ColumnSlice,
    Compare,
    Concat,
    Dtype,
    GradientMask,
    Input,
    InputGrad,
    Node,
    Number,
    PadColumns,
    Shift,
    Slice,
    SumOfOuter,
    SumOverSteps,
    Weight,
)
from rnn.ir.schedule import Block

from .buffers import VIEWS, Memory, Steps
from .identifiers import Names, identifier

CALLS: dict[type[Op], str] = {type(op): ufunc.__name__ for ufunc, op in UFUNCS.items()}
for kind in (ops.MatMul, ops.MatVec, ops.VecDot, ops.Identity):
    CALLS.pop(kind, None)
BROADCASTING = (*ELEMENTWISE, ops.BroadcastTo, ops.Where, ops.Maximum, ops.Minimum, ops.Pow, Compare)
DTYPES = {Dtype.FLOAT: "FLOAT", Dtype.INT: "np.int64", Dtype.BOOL: "bool"}
CACHE = 4_000_000  # bytes that a loop reads and writes for the steps that are prepared together


@dataclass
class Text:
    """The parts of a program as lines.

    Attributes:
        functions: the names of NumPy's functions that it uses.
        operations: name -> operation, of those that it calls as objects.
        numbers: name -> value, of those that it uses as arrays.
        parts: for each loop that is fed some steps at a time: its name, the numbers of a step, and the
            lines that make the views of these steps.
    """

    buffers: list[str] = field(default_factory=list)
    parts: list[tuple[str, int, list[str]]] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    operations: dict[str, Op] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)


def _wrapped(names: list[str], values: list[str]) -> list[str]:
    """The head of a loop over several lists, over several lines where it is long."""
    whole = f"for {', '.join(names)} in zip({', '.join(values)}):"
    if len(whole) <= 110:
        return [whole]
    fill = textwrap.TextWrapper(106, break_long_words=False, break_on_hyphens=False, subsequent_indent=" " * 8)
    fill.initial_indent = "for ("
    first = fill.wrap(", ".join(names))
    fill.initial_indent = " " * 8
    return [*first[:-1], first[-1] + ") in zip(", *fill.wrap(", ".join(values) + "):")]


def _dotted(view: tuple[str, str]) -> bool:
    """Views of arrays come before rows and steps, which may be made of them."""
    return "." in view[0]


class Boundary(NamedTuple):
    """A value before the first step (`step` 0 and less) or after the last (1 and more), and its name."""

    name: str
    node: Node
    step: int


class Source:
    """Writes the text of a program.

    Args:
        forward, backward: the blocks of both passes.
        names: what nodes are called.
        boundaries: the values from outside of the sequence.
        weights: all there are.
        outputs: what to call a signal at a step, such as h[t] -> its node, whose values are asked for.
        gradients: what is asked for after the backward pass.
    """

    def __init__(self, forward: list[Block], backward: list[Block], names: Names, boundaries: list[Boundary],
                 weights: Iterable[Node], outputs: Mapping[str, Node], gradients: Mapping[Any, Node]) -> None:
        self.text = Text()
        self.names = names
        self.boundaries = boundaries
        self.all_weights = list(weights)
        self.signals: dict[Node, list[str]] = {}  # what is computed with a node
        for signal, node in outputs.items():
            while isinstance(node.op, Slice) and node.timed:
                node = node.inputs[0]
            self.signals.setdefault(node, []).append(re.sub(r"[^\w.+\-\[\]]+", "_", signal))
        self.gradients = gradients
        self.passes = (forward, backward)
        outside: dict[Node, tuple[int, int]] = {}
        for _, node, step in boundaries:
            before, after = outside.get(node, (0, 0))
            outside[node] = max(before, 1 - step), max(after, step)
        asked = [*outputs.values(), *(node for node in gradients.values() if node.timed)]
        self.memory = Memory(self.passes, outside, asked)
        self.margins = self.memory.margins
        self.views: dict[str, str] = {}  # name of a view -> how it is made
        self.lasting: dict[str, str] = {}  # the same, of arrays that have no steps
        self.seen: dict[str, Node] = {}  # the name of each array, and of other views of one, -> its node
        self.index = ""  # what takes one step of an array, in a loop that has no lists of steps
        self.transposes: dict[str, str] = {}  # of the loop that is written
        self._buffers()
        self._take(forward, self.text.forward)
        for boundary in boundaries:
            before = self.margins[boundary.node][0]
            row = f"{before + boundary.step - 1}" if boundary.step <= 0 else f"T + {before + boundary.step - 1}"
            self.text.forward.append(f"k.{names.of[boundary.node]}_all[{row}] = {boundary.name}")
        self._function(forward, self.text.forward, "forward")
        self._take(backward, self.text.backward)
        self._function(backward, self.text.backward, "backward")
        self.views.update(self.lasting)

    # ---- arrays
    def _buffers(self) -> None:
        """The lines that make arrays, and views of them that are as long."""
        memory = self.memory
        stored = [node for node in memory.nodes if node.timed and not isinstance(node.op, (Backward, Number, Weight))
                  and node not in memory.homes and node not in memory.carried]
        for node in sorted(stored, key=self._depth):
            name = self.names.give(node)
            self.seen[name] = node
            self.text.buffers.append(f"k.{name} = {self._made(node, name)}")

    def _depth(self, node: Node) -> int:
        """Arrays are made before views of them, and these before views of views."""
        depth, memory = 0, self.memory
        while node in memory.homes or node in memory.places or node in memory.within or isinstance(node.op, VIEWS):
            if node in memory.places:
                node = memory.places[node][0]
            else:
                node = memory.homes.get(node) or memory.within.get(node) or node.inputs[0]
            depth += 1
        return depth

    def _made(self, node: Node, name: str) -> str:
        """An array, or a view of another one."""
        op, memory = node.op, self.memory
        if isinstance(op, Shift):
            start = self.margins[node.inputs[0]][0] - op.delay
            return f"k.{self._name(node.inputs[0])}_all[{start}:{start} + T]"
        if isinstance(op, Slice):
            return f"k.{self._name(node.inputs[0])}{self._part(node.inputs[0], op.start, op.stop)}"
        if isinstance(op, GradientMask):
            return f"k.{self._name(node.inputs[0])}"
        if node in memory.within:
            return f"k.{self._name(memory.within[node])}"
        if node in memory.places:
            pack, start = memory.places[node]
            return f"k.{self._name(pack)}{self._part(pack, start, start + node.shape[0])}"
        return self._array(node, name)

    def _part(self, whole: Node, start: int, stop: int) -> str:
        """The index of some lanes of an array."""
        lanes = self.memory.lanes.get(whole)
        if lanes is None:
            return f"[..., {start}:{stop}]"
        size = whole.shape[0] // lanes
        part = f"{start // size}" if stop - start == size else f"{start // size}:{stop // size}"
        return f"[:, {part}]" if self.memory.has(whole) else f"[{part}]"

    def _array(self, node: Node, name: str) -> str:
        op = node.op
        if isinstance(op, Input) and op.shared:
            return "np.empty((T, 1), FLOAT)"
        dtype = DTYPES[Dtype.BOOL if isinstance(op, Compare) else op.dtype if isinstance(op, Input) else Dtype.FLOAT]
        lanes = self.memory.lanes.get(node)
        size = ["B", *map(str, node.shape)] if lanes is None else [str(lanes), "B", str(node.shape[0] // lanes)]
        before, after = self.margins.get(node, (0, 0))
        room = self.memory.has(node)
        if room == Steps.ALL and (before or after):
            self.text.buffers.append(f"k.{name}_all = np.zeros((T + {before + after}, {', '.join(size)}), {dtype})")
            return f"k.{name}_all[{before}:{before} + T]"
        if room == Steps.ONE and len(size) == 1:
            return f"np.empty(B, {dtype})"
        return f"np.empty(({', '.join([*([], ['S'], ['T'])[room], *size])}), {dtype})"

    def _name(self, node: Node) -> str:
        """What the text calls a node: as the one that takes its place."""
        return self.names.give(self.memory.home(node))

    def result(self, node: Node) -> str:
        """What the backward pass returns for a node."""
        return self._ref(node, False)

    # ---- what comes from outside
    def _take(self, blocks: list[Block], lines: list[str]) -> None:
        """The data, copied into the program's own arrays."""
        for node in self.data(blocks):
            if node.timed:
                lines.append(self._call("copyto", f"k.{self.names.of[node]}", self.names.of[node]))

    def data(self, blocks: list[Block]) -> list[Node]:
        """The values that the data bring."""
        return [node for block in blocks for node in block.nodes if isinstance(node.op, Input)]

    def weights(self, blocks: list[Block]) -> list[Node]:
        """The weights that a pass reads, as they come in the definition."""
        read = {x for block in blocks for node in block.nodes for x in (node, *node.inputs)}
        return [node for node in self.all_weights if node in read]

    # ---- what is computed
    def _function(self, blocks: list[Block], lines: list[str], name: str) -> None:
        for number, block in enumerate(blocks):
            if block.direction == 0:
                lines += self._at_once([node for node in block.nodes if node not in self.memory.fed])
            elif block.skewed:
                lines += self._skewed_loop(block)
            else:
                lines += self._loop(block, f"{name}_parts{number or ''}")

    def _at_once(self, nodes: list[Node]) -> list[str]:
        """The lines of what no loop passes through, with a word of what comes next."""
        lines: list[str] = []
        before = ""
        for node in nodes:
            new = self._statements(node, False)
            what = before or "weights"
            if node.timed or isinstance(node.op, (SumOfOuter, SumOverSteps, AtStep)):
                what = "all steps at once" if node.timed else "summed over all steps"
            if new and what != before:
                lines.append(f"# {what}")
                before = what
            lines += new
        return lines

    def _loop(self, block: Block, parts: str) -> list[str]:
        """A loop over the steps, each line one call; before it, for some steps at a time, what it is fed with."""
        outer, self.views = self.views, {}
        self.transposes = {}
        fed = [line for node in self.memory.some[id(block)] for line in self._statements(node, False)]
        body = [line for node in block.nodes for line in self._statements(node, True)]
        first, each = self._loop_names(block, body)
        span = "k.t" if fed else "range(1, T + 1)"
        if block.direction < 0:
            span = "reversed(k.t)" if fed else "range(T, 0, -1)"
        loop = [*_wrapped(["t", *each], [span, *each.values()]),
                *(f"    {line}" for line in body)]
        if not fed:
            self.views = {**outer, **self.views}
            return [*first, *loop]
        self._some_steps(parts, [*fed, *loop])
        self.views = outer
        order = f"whole.{parts}" if block.direction > 0 else f"reversed(whole.{parts})"
        return [*first, f"for k in {order}:  # some steps at a time", "    rows, steps = k.rows, k.steps",
                *(f"    {line}" for line in [*fed, *loop]), "k, rows, steps = whole, whole.rows, whole.steps"]

    def _loop_names(self, block: Block, body: list[str]) -> tuple[list[str], dict[str, str]]:
        """The lines that name arrays before a loop; and the names that it gives to each step's arrays."""
        words = set(re.findall(r"\w+", "\n".join(body)))
        lines = []
        each: dict[str, str] = {}
        read = [x for node in block.nodes for x in (node, *node.inputs) if x.timed and x not in self.memory.carried]
        names = dict.fromkeys([*(self._name(x) for x in read if not isinstance(x.op, (Number, Weight, Backward))),
                               *self.views, *self.lasting])
        for name in names:
            if name not in words or name not in self.seen:
                continue
            if self.memory.has(self.seen[name]):
                self.views[f"steps.{name}"] = f"list(k.{name})"
                each[name] = f"steps.{name}" if block.direction > 0 else f"reversed(steps.{name})"
            else:
                lines.append(f"{name} = k.{name}")
        lines += [f"{self._name(node.inputs[0])}.fill(0)" for node in block.nodes if node in self.memory.carried]
        return lines + self._turned(), each

    def _turned(self) -> list[str]:
        """The lines that copy the transposes of a loop's matrices."""
        return [f"{turned} = {self._call('ascontiguousarray', f'{name}.T')}"
                for name, turned in self.transposes.items()]

    def _some_steps(self, parts: str, lines: list[str]) -> None:
        """The lines of `buffers` that make the views of some steps at a time."""
        used = dict.fromkeys(re.findall(r"\bk\.(\w+)", "\n".join([*lines, *self.views.values()])))
        used.pop("t", None)
        arrays = [name for name in used if name in self.seen and name not in self.views]
        made = [f"part.{name} = k.{name}[{'start:stop' if self._stays(name) else ':stop - start'}]" for name in arrays]
        views = [f"part.{name} = {view.replace('k.', 'part.')}"
                 for name, view in sorted(self.views.items(), key=_dotted)]
        width = sum(max(1, self.seen[name].size) for name in arrays)
        self.text.parts.append((parts, width, [*made, *views]))

    def _stays(self, name: str) -> bool:
        """Whether an array has room for all steps."""
        return self.memory.has(self.seen[name]) == Steps.ALL

    def _skewed_loop(self, block: Block) -> list[str]:
        """A loop in which some values come some rounds later than others, since they read ahead."""
        self.index = "[t - 1]"
        self.transposes = {}
        body: list[str] = []
        before = None
        for node in block.nodes:
            statements = self._statements(node, True)
            if statements and block.late[node] != before:
                before = block.late[node]
                step = f"round - {before}" if block.direction > 0 else f"T + 1 - (round - {before})"
                body.append(f"    t = {step}")
                body.append("    if 1 <= t <= T:")
            body += [f"        {line}" for line in statements]
        self.index = ""
        return [*self._turned(), f"for round in range(1, T + {1 + max(block.late.values())}):", *body]

    # ---- how values are called
    def _ref(self, node: Node, loop: bool, ndim: int | None = None) -> str:
        """How a statement calls a value; with axes put in where it broadcasts against vectors."""
        if isinstance(node.op, Number):
            return self._number(node.op.value)
        if node in self.memory.carried:
            return self._name(node.inputs[0])
        name = self._name(node)
        if node.timed and not isinstance(node.op, Backward) and (self.index or not loop):
            name = f"k.{name}{self.index}"
        if ndim is not None and node.timed and len(node.shape) < ndim:
            name += "[" + "..., " + ", ".join(["None"] * (ndim - len(node.shape))) + "]"
        return name

    def _number(self, value: float) -> str:
        for name, known in self.text.numbers.items():
            if known == value and np.signbit(known) == np.signbit(value):
                return name
        name = f"n{value!r}".replace("-", "minus_").replace(".", "_").replace("+", "")
        self.text.numbers[name] = value
        return name

    def _call(self, function: str, *arguments: str) -> str:
        self.text.functions.add(function)
        return f"{function}({', '.join(arguments)})"

    def _rows(self, node: Node) -> str:
        """All vectors of a node, one under another."""
        name = self._name(node)
        self.views[f"rows.{name}"] = f"k.{name}.reshape({', '.join(['-1', *map(str, node.shape)])})"
        return f"rows.{name}"

    def _apart(self, node: Node, lanes: int, loop: bool) -> str:
        """The lanes of a vector apart from each other, (lanes, batch, size)."""
        if node in self.memory.lanes or isinstance(node.op, Number):
            return self._ref(node, loop)
        whole = self._name(node.inputs[0] if node in self.memory.carried else node)
        name, size = f"{whole}_lanes", node.shape[0] // lanes
        self.seen[name] = node
        if self.memory.has(node):
            self.views[name] = f"k.{whole}.reshape(-1, B, {lanes}, {size}).transpose(0, 2, 1, 3)"
        else:
            self.lasting[name] = f"k.{whole}.reshape(B, {lanes}, {size}).transpose(1, 0, 2)"
        return f"k.{name}{self.index}" if self.index or not loop else name

    # ---- the lines of one node
    def _statements(self, node: Node, loop: bool) -> list[str]:
        """The lines that compute a node; at the last one stands which signal that is."""
        lines = self._lines(node, loop)
        if lines and node in self.signals:
            lines[-1] += f"  # {', '.join(self.signals[node])}"
        return lines

    def _lines(self, node: Node, loop: bool) -> list[str]:
        """The lines that compute a node."""
        op, inputs = node.op, node.inputs
        if isinstance(op, (Number, Weight, Input, *VIEWS)) and (node.timed or not isinstance(op, Slice)):
            return []
        if not node.timed:
            return self._once(node)
        out = self._ref(node, loop)
        if isinstance(op, BroadcastMul):
            base = self._ref(inputs[0], loop) + ("" if loop else "[:, None]")
            return [self._call("multiply", base, *(self._apart(x, op.count, loop) for x in (inputs[1], node)))]
        if isinstance(op, Concat):
            return self._pack(node, out, loop)
        if isinstance(op, ops.Sum) and op.axis == -1 and not op.keepdims:
            return [f"{self._ref(inputs[0], loop)}.sum(-1, out={out})"]
        if is_product(node):
            return [self._product(node, out, loop)]
        if isinstance(op, Backward):
            arguments = [self._ref(x, loop, node.inputs[1].ndim if isinstance(op.of, BROADCASTING) else None)
                         for x in inputs]
            needs = [repr(op.needs)] if op.of.selective else []
            return [f"{out} = {self._operation(op.of)}.backward({', '.join(arguments + needs)})"]
        if isinstance(op, InputGrad):
            whole = self._ref(inputs[0], loop)
            several = len(inputs[0].inputs) > 3
            return [self._call("copyto", out, f"{whole}[{op.index}]" if several else whole)]
        if node in self.memory.lanes:
            lanes = self.memory.lanes[node]
            return self._elementwise(node, out, [self._apart(x, lanes, loop) for x in inputs])
        arguments = [self._ref(x, loop, node.ndim if isinstance(op, (*BROADCASTING, AddN)) else None)
                     for x in inputs]
        return self._elementwise(node, out, arguments)

    def _pack(self, node: Node, out: str, loop: bool) -> list[str]:
        """What wasn't written into its place at once is copied there."""
        lines, start = [], 0
        for x in node.inputs:
            if self.memory.places.get(x) != (node, start):
                part = self._part(node, start, start + x.shape[0])
                if loop and part.startswith("[:, ") and self.memory.has(node):
                    part = "[" + part[4:]
                lines.append(self._call("copyto", f"{out}{part}", self._ref(x, loop)))
            start += x.shape[0]
        return lines

    def _once(self, node: Node) -> list[str]:
        """The lines that compute a value which is the same at every step."""
        if isinstance(node.op, (PadColumns, AddN)):
            terms = (node,) if isinstance(node.op, PadColumns) else node.inputs
            places = [x for x in terms if isinstance(x.op, PadColumns)]
            if places:
                return [] if self._only_placed(node) else self._by_columns(node, places)
        return [f"{self.names.give(node)} = {self._untimed(node)}"]

    def _elementwise(self, node: Node, out: str, arguments: list[str]) -> list[str]:
        op = node.op
        if isinstance(op, AddN):
            first = sorted(arguments, key=lambda text: text != out)  # what is overwritten is read first
            lines = [self._call("add", *first[:2], out)]
            return lines + [self._call("add", out, term, out) for term in first[2:]]
        if isinstance(op, ops.Square) or (isinstance(op, ops.Power) and op.exponent == 2):
            return [self._call("multiply", arguments[0], arguments[0], out)]
        if isinstance(op, ops.Sigmoid):
            half = self._number(0.5)
            return [self._call("multiply", arguments[0], half, out), self._call("tanh", out, out),
                    self._call("multiply", out, half, out), self._call("add", out, half, out)]
        if isinstance(op, ops.Relu):
            return [self._call("maximum", arguments[0], self._number(0.0), f"out={out}")]
        if isinstance(op, ops.Power):
            return [self._call("power", arguments[0], self._number(op.exponent), out)]
        if isinstance(op, Compare):
            return [self._call(op.ufunc.__name__, *arguments, out)]
        if type(op) in CALLS:
            last = f"out={out}" if isinstance(op, (ops.Maximum, ops.Minimum)) else out  # as NumPy asks for these
            return [self._call(CALLS[type(op)], *arguments, last)]
        if isinstance(op, (ops.Identity, ops.BroadcastTo)):
            return [self._call("copyto", out, arguments[0])]
        if isinstance(op, ops.Concatenate):
            arguments = [text if x.timed else f"np.broadcast_to({text}, {out}.shape[:-1] + {text}.shape)"
                         for x, text in zip(node.inputs, arguments)]
        return [self._call("copyto", out, f"{self._operation(op)}.forward({', '.join(arguments)})")]

    def _only_placed(self, node: Node) -> bool:
        """Whether a block of columns is written into a matrix, and needs none of its own."""
        users = self.memory.users.get(node, [])
        return isinstance(node.op, PadColumns) and bool(users) and all(isinstance(user.op, AddN) for user in users)

    def _by_columns(self, node: Node, places: list[Node]) -> list[str]:
        """A matrix whose columns, or some of them, are computed block by block."""
        name, end = self.names.give(node), 0
        for place in sorted(places, key=lambda place: place.op.start):  # type: ignore[attr-defined]
            end = end + place.inputs[0].shape[1] if place.op.start == end else -1  # type: ignore[attr-defined]
        whole = end == node.shape[1] and len(places) == max(len(node.inputs), 1)
        lines = [f"{name} = {self._call('empty' if whole else 'zeros', repr(node.shape), 'FLOAT')}"]
        for place in places:
            start = place.op.start  # type: ignore[attr-defined]
            lines.append(f"{name}[:, {start}:{start + place.inputs[0].shape[1]}] {'' if whole else '+'}= "
                         f"{self._ref(place.inputs[0], False)}")
        return lines + [f"{name} += {self._ref(x, False)}" for x in node.inputs
                        if isinstance(node.op, AddN) and x not in places]

    def _operation(self, op: Op) -> str:
        """The name of an operation that is called as an object."""
        for name, known in self.text.operations.items():
            if known is op:
                return name
        name = self.names.free(identifier(type(op).__name__.lower()))
        self.text.operations[name] = op
        return name

    def _product(self, node: Node, out: str, loop: bool) -> str:
        matrix, vector = node.inputs if isinstance(node.op, ops.MatVec) else node.inputs[::-1]
        W = self._ref(matrix, loop)
        if isinstance(node.op, ops.MatVec):
            W = self._transposed(W) if loop else f"{W}.T"
        # dot is faster than matmul, and writes no part of an array
        whole = not {self.memory.home(node)}.intersection((*self.memory.places, *self.memory.within))
        x, out = (self._ref(vector, True), out) if loop else (self._rows(vector), self._rows(node))
        return f"{x}.dot({W}, {out})" if whole else self._call("matmul", x, W, out)

    def _transposed(self, name: str) -> str:
        """The name of a matrix's transpose, copied before the loop: products with a mere view of it are slower."""
        self.transposes[name] = f"{name}_T"
        return f"{name}_T"

    def _untimed(self, node: Node) -> str:
        """A value that is the same at every step, as an expression."""
        op, inputs = node.op, node.inputs
        if isinstance(op, SumOfOuter):
            return f"{self._rows(inputs[0])}.T.dot({self._rows(inputs[1])})"
        if isinstance(op, SumOverSteps):
            share = inputs[0]
            if share.shape == op.shape and op.shape:
                self.views["ones"] = "np.ones(T * B, FLOAT)"
                return f"k.ones.dot({self._rows(share)})"
            axes = (0, *(1 + axis for axis in range(share.ndim)
                         if axis < share.ndim - len(op.shape)
                         or op.shape[axis - share.ndim + len(op.shape)] == 1 != share.shape[axis]))
            return f"{self._rows(share)}.sum({axes}).reshape({op.shape})"
        if isinstance(op, ColumnSlice):
            return f"{self._ref(inputs[0], False)}[:, {op.start}:{op.stop}]"
        if isinstance(op, AtStep):
            name, index = f"k.{self._name(inputs[0])}", op.step - 1 if op.step > 0 else op.step
            return f"{name}[{index}] if T >= {abs(op.step)} else np.zeros({name}.shape[1:], FLOAT)"
        arguments = [self._ref(x, False) for x in inputs]
        if isinstance(op, AddN):
            return " + ".join(arguments)
        if isinstance(op, Concat):
            return self._call("concatenate", f"({', '.join(arguments)})")
        if isinstance(op, Slice):
            return f"{arguments[0]}[{op.start}:{op.stop}]"
        if type(op) in CALLS:
            return self._call(CALLS[type(op)], *arguments)
        return f"{self._operation(op)}.forward({', '.join(arguments)})"
