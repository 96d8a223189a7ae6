"""From scheduled nodes to the text of a NumPy program: buffers, a forward pass, a backward pass.

The program keeps three views of each array: `k.h` is h at all steps, (T, batch, size); `rows.h` has all
vectors one under another, (T * batch, size), for products; `steps.h` lists the arrays of single steps.
Knows nodes and text; runs nothing.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigrad import Op, ops
from minigrad.operators import UFUNCS

from .adjoint import ELEMENTWISE, is_product
from .nodes import (AtStep, Backward, Columns, Compare, Cut, Given, Lane, Node, Number, Outer, OverSteps, Pack, Place,
                    Share, Shift, Spread, Total, Weight)
from .schedule import Block

CALLS: dict[type[Op], str] = {type(op): ufunc.__name__ for ufunc, op in UFUNCS.items()}
for kind in (ops.MatMul, ops.MatVec, ops.VecDot, ops.Identity):
    CALLS.pop(kind, None)
BROADCASTING = (*ELEMENTWISE, ops.BroadcastTo, ops.Where, ops.Maximum, ops.Minimum, ops.Pow, Compare)
VIEWS = (Shift, Cut, Lane)
TAKEN = {"T", "B", "k", "rows", "steps", "t", "np", "FLOAT", "dot", "copyto", "buffers", "forward", "backward",
         "matmul", "concatenate", "zeros", "empty"} | set(CALLS.values())


@dataclass
class Text:
    """The parts of a program as lines.

    Attributes:
        functions: the names of NumPy's functions that it uses.
        operations: name -> operation, of those that it calls as objects.
        numbers: name -> value, of those that it uses as arrays.
    """

    buffers: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    operations: dict[str, Op] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)


class Names:
    """A Python name for each node, from the definition's names where there are some."""

    def __init__(self) -> None:
        self.taken = set(TAKEN)
        self.of: dict[Node, str] = {}

    def give(self, node: Node, wish: str | None = None) -> str:
        """The node's name, which no other one has."""
        if node not in self.of:
            self.of[node] = self.free(identifier(wish or node.name or "a"))
        return self.of[node]

    def free(self, wish: str) -> str:
        """A name that nothing has."""
        name, count = wish, 1
        while name in self.taken:
            count += 1
            name = f"{wish}{count}"
        self.taken.add(name)
        return name


def identifier(text: str) -> str:
    """A name that Python takes, from any text: letters, digits and underscores of it."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_")
    if not name or name[0].isdigit():
        name = f"v_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in TAKEN else name


def _wrapped(start: str, parts: list[str]) -> list[str]:
    """A call of zip over several lines where it is long."""
    lines = [start]
    for number, part in enumerate(parts):
        text = part + ("):" if number == len(parts) - 1 else ", ")
        if len(lines[-1]) + len(text) > 110:
            lines[-1] = lines[-1].rstrip()
            lines.append("        ")
        lines[-1] += text
    return lines


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
        outputs: the nodes whose values are asked for after the forward pass.
        gradients: what is asked for after the backward pass.
    """

    def __init__(self, forward: list[Block], backward: list[Block], names: Names, boundaries: list[Boundary],
                 weights: Iterable[Node], outputs: Iterable[Node], gradients: Mapping[Any, Node]) -> None:
        self.text = Text()
        self.names = names
        self.boundaries = boundaries
        self.all_weights = list(weights)
        self.gradients = gradients
        self.outputs = {*outputs, *(node for node in gradients.values() if node.timed)}
        self.passes = (forward, backward)
        self.everything = [node for blocks in self.passes for block in blocks for node in block.nodes]
        self.block: dict[Node, Block] = {node: block for blocks in self.passes for block in blocks
                                         for node in block.nodes}
        self.users: dict[Node, list[Node]] = {}
        for node in self.everything:
            for x in node.inputs:
                self.users.setdefault(x, []).append(node)
        self.margins = self._margins()
        self.carried = {node for node in self.everything if self._is_carried(node)}
        self.kept = {node for node in self.everything if self._is_kept(node)}
        self.places: dict[Node, tuple[Node, int]] = {}  # where in a Pack a value is written at once
        self.homes: dict[Node, Node] = {}  # whose array a value is written into, which then takes its place
        self._find_places()
        self._find_homes()
        self.views: dict[str, None] = {}
        self.index = ""  # what takes one step of an array, in a loop that has no lists of steps
        self.transposes: dict[str, str] = {}  # of the loop that is written
        self.parts: dict[str, Node] = {}  # names of other views of a node's array
        stored = [node for node in self.everything if node.timed and not isinstance(node.op, (Backward, Number, Weight))]
        for node in sorted(stored, key=self._rank):
            self._buffer(node)
        self._take(forward, self.text.forward)
        for boundary in boundaries:
            before = self.margins[boundary.node][0]
            row = f"{before + boundary.step - 1}" if boundary.step <= 0 else f"T + {before + boundary.step - 1}"
            self.text.forward.append(f"k.{names.of[boundary.node]}_all[{row}] = {boundary.name}")
        self._function(forward, self.text.forward)
        self._take(backward, self.text.backward)
        self._function(backward, self.text.backward)
        self.text.buffers += self.views

    # ---- where values are
    def _margins(self) -> dict[Node, tuple[int, int]]:
        """How many steps before the first and after the last are read of each node."""
        found: dict[Node, tuple[int, int]] = {}
        for node in self.everything:
            if isinstance(node.op, Shift):
                before, after = found.get(node.inputs[0], (0, 0))
                found[node.inputs[0]] = max(before, node.op.delay), max(after, -node.op.delay)
        for _, node, step in self.boundaries:
            before, after = found.get(node, (0, 0))
            found[node] = max(before, 1 - step), max(after, step)
        return found

    def _is_carried(self, shift: Node) -> bool:
        """Whether a read of the step before finds the value where that step left it."""
        if not isinstance(shift.op, Shift) or shift.op.signal is not None:
            return False
        source, block = shift.inputs[0], self.block[shift]
        if block.skewed or self.block.get(source) is not block or shift.op.delay != block.direction or source in self.outputs \
                or isinstance(source.op, VIEWS):
            return False
        place = {node: number for number, node in enumerate(block.nodes)}
        readers = self.users.get(shift, [])
        return all(reader in place and not isinstance(reader.op, VIEWS) and place[reader] <= place[source]
                   and (reader is not source or not is_product(reader)) for reader in readers) \
            and all(user is shift or (self.block.get(user) is block and not isinstance(user.op, Shift))
                    for user in self.users.get(source, []))

    def _is_kept(self, node: Node) -> bool:
        """Whether all steps of a value stay; otherwise each step's is written over the last one's."""
        if not node.timed or node in self.outputs or self.block[node].direction == 0:
            return node.timed
        return self.block[node].skewed or any(self.block.get(user) is not self.block[node] or
                   (isinstance(user.op, Shift) and user not in self.carried) or
                   (isinstance(user.op, VIEWS) and not isinstance(user.op, Shift) and self._is_kept(user))
                   for user in self.users.get(node, []))

    def _find_places(self) -> None:
        """What is computed for a Pack alone is written where it belongs; nothing is copied."""
        for pack in self.everything:
            start = 0
            for x in pack.inputs if isinstance(pack.op, Pack) and pack.timed else ():
                together = self.block.get(x) is self.block[pack] or (x in self.block and not (
                    self.block[x].direction or self.block[pack].direction))
                if together and x not in self.places and not isinstance(x.op, (*VIEWS, Given, Number)) \
                        and x not in self.margins and x not in self.outputs:
                    self.places[x] = pack, start
                    if x in self.kept:
                        self.kept.add(pack)
                start += x.shape[0]

    def _find_homes(self) -> None:
        """What only the next operation reads is overwritten by its result."""
        carriers = {node.inputs[0]: node for node in self.carried}
        for node in self.everything:
            if not isinstance(node.op, (*ELEMENTWISE, Total)) or not node.timed or node in carriers:
                continue
            fitting = [x for x in node.inputs if self._may_be_overwritten(x, node) and x not in carriers]
            early = [x for x in fitting if x in self.kept]
            for x in [*early, *fitting][:1]:
                self.homes[x] = node
                if x in self.kept:
                    self.kept.add(node)
                    if node in self.places:
                        self.kept.add(self.places[node][0])

    def _may_be_overwritten(self, x: Node, node: Node) -> bool:
        return (x.timed and x.shape == node.shape and self.users[x] == [node] and x in self.block
                and x not in self.outputs and x not in self.margins and x not in self.places
                and not isinstance(x.op, (*VIEWS, Given, Number, Compare, Pack, Backward))
                and (self.block[x] is self.block[node] or self.block[x].direction == 0))

    def _home(self, node: Node) -> Node:
        while node in self.homes:
            node = self.homes[node]
        return node

    def _buffer(self, node: Node) -> None:
        """The lines that make a node's array, or its view of another one's."""
        if node in self.homes:
            return
        name = self.names.give(node)
        op = node.op
        if isinstance(op, Shift):
            if node not in self.carried:
                self._shifted(node, name)
        elif isinstance(op, VIEWS):
            part = f"[..., {op.start}:{op.stop}]" if isinstance(op, Lane) else ""
            self.text.buffers.append(f"k.{name} = k.{self._name(node.inputs[0])}{part}")
        elif node in self.places:
            pack, start = self.places[node]
            self.text.buffers.append(f"k.{name} = k.{self._name(pack)}[..., {start}:{start + node.shape[0]}]")
        else:
            self._array(node, name)

    def _name(self, node: Node) -> str:
        """What the text calls a node: as the one that takes its place."""
        return self.names.give(self._home(node))

    def _rank(self, node: Node) -> int:
        """Arrays are made before views of them, and these before views of views."""
        depth = 0
        while depth < 100:
            node = self._home(node)
            if node in self.places:
                node = self.places[node][0]
            elif isinstance(node.op, VIEWS):
                node = node.inputs[0]
            else:
                return depth
            depth += 1
        return depth

    def _array(self, node: Node, name: str) -> None:
        dtype = "bool" if isinstance(node.op, Compare) else "FLOAT"
        if isinstance(node.op, Given):
            dtype = node.op.dtype
        if dtype == "step":  # one number a step, the same for all sequences
            self.text.buffers.append(f"k.{name} = np.empty((T, 1), FLOAT)")
            return
        before, after = self.margins.get(node, (0, 0))
        size = "".join(f", {n}" for n in node.shape)
        if node not in self.kept:
            self.text.buffers.append(f"k.{name} = np.empty((B{size}), {dtype})" if size else
                                     f"k.{name} = np.empty(B, {dtype})")
        elif before or after:
            self.text.buffers.append(f"k.{name}_all = np.zeros((T + {before + after}, B{size}), {dtype})")
            self.text.buffers.append(f"k.{name} = k.{name}_all[{before}:{before} + T]")
        else:
            self.text.buffers.append(f"k.{name} = np.empty((T, B{size}), {dtype})")

    def _shifted(self, node: Node, name: str) -> None:
        source = node.inputs[0]
        delay = node.op.delay  # type: ignore[attr-defined]
        start = self.margins[source][0] - delay
        self.text.buffers.append(f"k.{name} = k.{self._name(source)}_all[{start}:{start} + T]")

    def result(self, node: Node) -> str:
        """What the backward pass returns for a node."""
        return self._ref(node, False)

    # ---- what is computed
    def _take(self, blocks: list[Block], lines: list[str]) -> None:
        """The data, copied into the program's own arrays."""
        for node in self.data(blocks):
            if node.timed:
                lines.append(self._call("copyto", f"k.{self.names.of[node]}", self.names.of[node]))

    def data(self, blocks: list[Block]) -> list[Node]:
        """The values that the data bring."""
        return [node for block in blocks for node in block.nodes if isinstance(node.op, Given)]

    def weights(self, blocks: list[Block]) -> list[Node]:
        """The weights that a pass reads, as they come in the definition."""
        read = {x for block in blocks for node in block.nodes for x in (node, *node.inputs)}
        return [node for node in self.all_weights if node in read]

    def _function(self, blocks: list[Block], lines: list[str]) -> None:
        for block in blocks:
            if block.direction == 0:
                for node in block.nodes:
                    lines += self._statements(node, False)
            else:
                lines += self._loop(block)

    def _loop(self, block: Block) -> list[str]:
        """A loop over the steps, each line one call."""
        self.transposes = {}
        if block.skewed:
            return self._skewed_loop(block)
        body = [line for node in block.nodes for line in self._statements(node, True)]
        words = set(re.findall(r"\w+", "\n".join(body)))
        lines = []
        each: dict[str, str] = {}
        candidates = {}
        for node in block.nodes:
            for x in (node, *node.inputs):
                if x.timed and not isinstance(x.op, (Number, Weight, Backward)) and x not in self.carried:
                    candidates[self._name(x)] = x
        candidates.update(self.parts)
        for name, node in candidates.items():
            if name not in words:
                continue
            if self._by_step(node, block):
                self._view(f"steps.{name} = list(k.{name})")
                each[name] = f"steps.{name}" if block.direction > 0 else f"reversed(steps.{name})"
            else:
                lines.append(f"{name} = k.{name}")
        for node in block.nodes:
            if node in self.carried:
                lines.append(f"{self._name(node.inputs[0])}.fill(0)")
        lines += [f"{turned} = {self._call('ascontiguousarray', f'{name}.T')}" for name, turned in self.transposes.items()]
        span = "range(1, T + 1)" if block.direction > 0 else "range(T, 0, -1)"
        lines += _wrapped(f"for {', '.join(['t', *each])} in zip(", [span, *each.values()])
        return lines + [f"    {line}" for line in body]

    def _skewed_loop(self, block: Block) -> list[str]:
        """A loop in which some values come some rounds later than others, since they read ahead."""
        self.index = "[t - 1]"
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
        turned = [f"{turned} = {self._call('ascontiguousarray', f'{name}.T')}" for name, turned in self.transposes.items()]
        return [*turned, f"for round in range(1, T + {1 + max(block.late.values())}):", *body]

    def _by_step(self, node: Node, block: Block) -> bool:
        """Whether a loop takes one step's part of it, and not one array for all steps."""
        while isinstance(node.op, (Cut, Lane)) or node in self.places or node in self.homes:
            node = self._home(node)
            if node in self.places:
                node = self.places[node][0]
            elif isinstance(node.op, (Cut, Lane)):
                node = node.inputs[0]
        return isinstance(node.op, Shift) or node in self.kept or self.block.get(node) is not block

    def _view(self, line: str) -> None:
        self.views.setdefault(line)

    def _ref(self, node: Node, loop: bool, ndim: int | None = None) -> str:
        """How a statement calls a value; with axes put in where it broadcasts against vectors."""
        if isinstance(node.op, Number):
            return self._number(node.op.value)
        if node in self.carried:
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
        self._view(f"rows.{name} = k.{name}.reshape(T * B{''.join(f', {n}' for n in node.shape)})")
        return f"rows.{name}"

    def _by_lanes(self, node: Node, count: int, loop: bool) -> str:
        """A vector as several, or as one that is repeated."""
        whole = self._name(node.inputs[0] if node in self.carried else node)
        name = f"{whole}_lanes" if count > 1 else f"{whole}_lane"
        kept = self._by_step(node, self.block[node]) if node in self.block else True
        lead = "T, B" if kept else "B"
        self.parts[name] = node
        self._view(f"k.{name} = k.{whole}.reshape({lead}, {count}, {node.shape[0] // count})")
        return f"k.{name}{self.index}" if self.index or not loop else name

    def _statements(self, node: Node, loop: bool) -> list[str]:
        """The lines that compute a node."""
        op, inputs = node.op, node.inputs
        if isinstance(op, (Number, Weight, Given, *VIEWS)) and (node.timed or not isinstance(op, Lane)):
            return []
        if isinstance(op, (Place, Total)) and not node.timed:
            places = [x for x in ((node,) if isinstance(op, Place) else inputs) if isinstance(x.op, Place)]
            if places:
                return [] if self._only_placed(node) else self._by_columns(node, places)
        if not node.timed:
            return [f"{self.names.give(node)} = {self._untimed(node)}"]
        out = self._ref(node, loop)
        if isinstance(op, Spread):
            parts = [self._by_lanes(inputs[0], 1, loop), *(self._by_lanes(x, op.count, loop) for x in (inputs[1], node))]
            return [self._call("multiply", *parts)]
        if isinstance(op, Pack):
            starts = [sum(y.shape[0] for y in inputs[:i]) for i in range(len(inputs))]
            return [self._call("copyto", f"{out}[..., {start}:{start + x.shape[0]}]", self._ref(x, loop))
                    for x, start in zip(inputs, starts) if x not in self.places or self.places[x][0] is not node]
        if isinstance(op, ops.Sum) and op.axis == -1 and not op.keepdims:
            return [f"{self._ref(inputs[0], loop)}.sum(-1, out={out})"]
        if is_product(node):
            return [self._product(node, out, loop)]
        if isinstance(op, Backward):
            arguments = [self._ref(x, loop, node.inputs[1].ndim if isinstance(op.of, BROADCASTING) else None)
                         for x in inputs]
            needs = [repr(op.needs)] if op.of.selective else []
            return [f"{out} = {self._operation(op.of)}.backward({', '.join(arguments + needs)})"]
        if isinstance(op, Share):
            whole = self._ref(inputs[0], loop)
            several = len(inputs[0].inputs) > 3
            return [self._call("copyto", out, f"{whole}[{op.index}]" if several else whole)]
        arguments = [self._ref(x, loop, node.ndim if isinstance(op, (*BROADCASTING, Total)) else None)
                     for x in inputs]
        return self._elementwise(node, out, arguments)

    def _elementwise(self, node: Node, out: str, arguments: list[str]) -> list[str]:
        op = node.op
        if isinstance(op, Total):
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
        users = self.users.get(node, [])
        return isinstance(node.op, Place) and bool(users) and all(isinstance(user.op, Total) for user in users)

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
                        if isinstance(node.op, Total) and x not in places]

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
        whole = self._home(node) not in self.places  # dot is faster than matmul, and writes no part of an array
        x, out = (self._ref(vector, True), out) if loop else (self._rows(vector), self._rows(node))
        return f"{x}.dot({W}, {out})" if whole else self._call("matmul", x, W, out)

    def _transposed(self, name: str) -> str:
        """The name of a matrix's transpose, copied before the loop: products with a mere view of it are slower."""
        self.transposes[name] = f"{name}_T"
        return f"{name}_T"

    def _untimed(self, node: Node) -> str:
        """A value that is the same at every step, as an expression."""
        op, inputs = node.op, node.inputs
        if isinstance(op, Outer):
            return f"{self._rows(inputs[0])}.T.dot({self._rows(inputs[1])})"
        if isinstance(op, OverSteps):
            share = inputs[0]
            if share.shape == op.shape and op.shape:
                self._view("k.ones = np.ones(T * B, FLOAT)")
                return f"k.ones.dot({self._rows(share)})"
            axes = (0, *(1 + axis for axis in range(share.ndim)
                         if axis < share.ndim - len(op.shape)
                         or op.shape[axis - share.ndim + len(op.shape)] == 1 != share.shape[axis]))
            return f"{self._rows(share)}.sum({axes}).reshape({op.shape})"
        if isinstance(op, Columns):
            return f"{self._ref(inputs[0], False)}[:, {op.start}:{op.stop}]"
        if isinstance(op, AtStep):
            index = op.step - 1 if op.step > 0 else op.step
            return f"k.{self._name(inputs[0])}[{index}]"
        arguments = [self._ref(x, False) for x in inputs]
        if isinstance(op, Total):
            return " + ".join(arguments)
        if isinstance(op, Pack):
            return self._call("concatenate", f"({', '.join(arguments)})")
        if isinstance(op, Lane):
            return f"{arguments[0]}[{op.start}:{op.stop}]"
        if type(op) in CALLS:
            return self._call(CALLS[type(op)], *arguments)
        return f"{self._operation(op)}.forward({', '.join(arguments)})"
