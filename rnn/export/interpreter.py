"""Runs the blocks of a definition on an engine: what no loop passes through at once, each loop as a scan.

A loop carries as many past values of each signal as the longest of its delays. Values are (T, batch,
size); in a loop (batch, size). Knows neither data nor parameters: they are given as the engine's arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from rnn.ir.fusion import Graph, fuse_products, fuse_slices, hoist_terms, optimise
from rnn.ir.lowering import Options, lead_of, lower, split_products
from rnn.ir.nodes import (
    AddN,
    ColumnSlice,
    Concat,
    GradientMask,
    Input,
    Leaf,
    Node,
    Number,
    Shift,
    Slice,
    Weight,
    ordered,
)
from rnn.ir.schedule import Block, blocks
from rnn.language.dependencies import DefinitionError, nodes, roots
from rnn.language.equations import Definition

from .backend import Array, Arrays, Engine

# Their operands broadcast: a number for each sequence against vectors, too.
ALIGNED = (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where, ops.BroadcastTo,
           GradientMask, AddN)
STRUCTURE = (Leaf, Shift, GradientMask, AddN, ColumnSlice)


class Recipe:
    """A definition in the order in which it is computed; nothing in it is of one engine.

    Args:
        outputs: the signals that are asked for; None: all.

    Raises:
        DefinitionError: where the definition can't be computed step by step, or where the engine lacks
            an operation: names it and the line of its equation.
    """

    def __init__(self, cell: Definition, options: Options, engine: Engine,
                 outputs: Iterable[str] | None = None) -> None:
        self.cell = cell
        self.low = lower(cell, options)
        split_products(ordered(self.low.roots.values()))
        self.outputs = list(self.low.roots if outputs is None else outputs)
        _check_operations(self._nodes(), cell, engine)
        optimise(Graph((self.low.roots[name] for name in self.outputs), self._nodes),
                 (hoist_terms, fuse_products, fuse_slices))
        every = self._nodes()
        for node in reversed(every):  # what joins nodes stands where the first of them stood
            for x in node.inputs:
                x.origin = x.origin or node.origin
        self.blocks = blocks(every)
        self.block = {node: block for block in self.blocks for node in block.nodes}
        self.kept = {self.low.roots[name] for name in self.outputs}
        for node in every:
            self.kept.update(_source(x) for x in node.inputs if self.block[node] is not self.block[x])
        self.givens = {node.op.name: node for node in every if isinstance(node.op, Input)}

    def _nodes(self) -> list[Node]:
        """What the outputs need, operands first."""
        return ordered(self.low.roots[name] for name in self.outputs)


def _source(node: Node) -> Node:
    """What has to be kept so that a value is there outside of its loop."""
    while isinstance(node.op, Shift):
        node = node.inputs[0]
    return node


def _check_operations(every: list[Node], cell: Definition, engine: Engine) -> None:
    """Raise where the engine lacks an operation, in an equation or in what parameters are made into."""
    used: list[Node | Tensor] = [node for node in every if not isinstance(node.op, STRUCTURE)]
    used += [x for x in nodes(roots(cell)) if isinstance(x, Tensor) and x.op is not None and x.t is None]
    for node in used:
        assert node.op is not None
        reason = engine.lacks(node.op)
        if reason is not None:
            raise DefinitionError(f"{engine.target} has no {type(node.op).__name__}, which stands at {node.origin}: "
                                  f"{reason}")


class Interpreter:
    """One computation.

    Args:
        T: the number of steps, as the engine has it.
        batch: the shape of the batch, as the engine has it.
        given: name -> the data's values, (T, batch, size), for every input, mask and draw.
        weights: id of a tensor -> its value.
        boundary: (signal, step) -> its value before the first step (0, -1, ...) or after the last (1, 2, ...).
        zero: the number 0 in the type of all states.
    """

    def __init__(self, engine: Engine, recipe: Recipe, T: Any, batch: Any, given: Mapping[str, Array],
                 weights: Mapping[int, Array], boundary: Mapping[tuple[str, int], Array], zero: Array) -> None:
        self.engine = engine
        self.recipe = recipe
        self.T = T
        self.batch = batch
        self.lead = (T, *batch)
        self.given = given
        self.weights = weights
        self.boundary = boundary
        self.zero = zero
        self.values: dict[Node, Array] = {}

    def run(self) -> dict[str, Array]:
        """Every signal at t = 1 … T."""
        for block in self.recipe.blocks:
            if block.direction:
                self._loop(block)
            else:
                for node in block.nodes:
                    self.values[node] = self._whole(node)
        return {name: self.output(name) for name in self.recipe.outputs}

    def output(self, name: str) -> Array:
        """A signal at t = 1 … T; its equation may define another step, x[t+1]."""
        signal, root = self.recipe.cell.signals[name], self.recipe.low.roots[name]
        return self._shifted(root, name, lead_of(signal)) if lead_of(signal) else self.values[root]

    # ---- all steps at once
    def _whole(self, node: Node) -> Array:
        op = node.op
        if isinstance(op, Input):
            return self.given[op.name]
        if isinstance(op, Shift):
            assert op.signal is not None
            return self._shifted(node.inputs[0], op.signal, op.delay)
        return self.value(node, [self._read(x) for x in node.inputs], self.lead)

    def _read(self, x: Node) -> Array:
        if x not in self.values:  # a number, or a read of another step inside of a loop that is over
            self.values[x] = self._whole(x)
        return self.values[x]

    def _shifted(self, source: Node, signal: str, delay: int) -> Array:
        """The values of other steps, with those of the boundary where the sequence has none."""
        engine, steps = self.engine, range(1 - delay, 1) if delay > 0 else range(1, 1 - delay)
        values = self.values[source]
        rows = [self._row(source, signal, step) for step in steps]
        outside = engine.like(engine.stack(*rows, axis=0), values)
        if delay > 0:
            return engine.steps(engine.concatenate(outside, values, axis=0), None, -delay)
        return engine.steps(engine.concatenate(values, outside, axis=0), -delay, None)

    def _row(self, source: Node, signal: str, step: int) -> Array:
        """A value before or after the sequence, for each sequence of the batch; zero where none is set."""
        return self.engine.spread(self.boundary.get((signal, step), self.zero), self.batch, source.shape)

    # ---- a loop
    def _loop(self, block: Block) -> None:
        """All steps of a loop, by the engine's scan."""
        engine, step = self.engine, Step(self, block)
        start = []
        for node, depth in step.memory.items():
            late, signal = block.offset[node], step.signals.get(node, "")
            start += [self._row(node, signal, 1 - late - back if block.direction > 0 else late + back)
                      for back in range(1, depth + 1)]
        rows = [step.by_round(self._read(x), late) for x, late in step.rows]
        for node in step.guarded:
            rows += [step.inside_the_sequence(node), step.outside_of_it(node)]
        results = engine.scan(step, tuple(engine.like(x, self.zero) for x in start), tuple(rows),
                              None if block.skewed else self.T, block.direction < 0)
        for node, values in zip(step.results, results):
            before, after = step.margins(block.offset[node])
            self.values[node] = engine.steps(values, before, -after or None) if block.skewed else values

    # ---- one operation
    def value(self, node: Node, operands: list[Array], lead: Any) -> Array:
        """The value of a node, of all steps or of one, from its operands.

        Args:
            lead: the axes before those of one value: (T, *batch), or in a loop the batch's.
        """
        op, engine = node.op, self.engine
        engine.note(node.origin)
        if isinstance(op, Number):
            return engine.constant(op.value, self.zero.dtype)
        if isinstance(op, Weight):
            return self.weights[id(op.tensor)]
        if isinstance(op, ALIGNED) and node.timed:
            operands = [engine.trailing(value, node.ndim - x.ndim) if x.timed and x.ndim < node.ndim else value
                        for x, value in zip(node.inputs, operands)]
        if isinstance(op, AddN):
            total = operands[0]
            for term in operands[1:]:
                total = total + term
            return total
        if isinstance(op, GradientMask):
            return engine.cut(*operands)
        if isinstance(op, ColumnSlice):
            return engine.columns(operands[0], op.start, op.stop)
        if isinstance(op, Slice):
            return engine.elements(operands[0], op.start, op.stop)
        if isinstance(op, ops.BroadcastTo) and node.timed:
            return engine.spread(operands[0], lead, op.shape)
        if isinstance(op, (ops.Concatenate, Concat)) and node.timed:
            operands = [value if x.timed else engine.spread(value, lead, x.shape)
                        for x, value in zip(node.inputs, operands)]
        if isinstance(op, Concat):
            return engine.concatenate(*operands, axis=-1 if node.timed else 0)
        return engine.compute(op, *operands)


class Step:
    """One round of a loop: `carry, results = step(carry, rows)`.

    In most loops round t computes step t. Where a loop reads ahead of itself somewhere, some nodes come
    late: in round r they compute step r - late, and there are as many more rounds as the latest is late.
    Values of steps outside of the sequence are then computed too, and replaced by those of the boundary.

    Attributes:
        memory: the nodes that are read from rounds before -> how many rounds back.
        signals: the nodes of which other steps are read -> the signal's name.
        rows: the nodes outside of the loop of which each round gets its own row, and how late it is read.
        guarded: the nodes whose values of steps outside of the sequence are read.
        results: the nodes whose values of all steps are wanted.
    """

    def __init__(self, interpreter: Interpreter, block: Block) -> None:
        self.interpreter = interpreter
        self.block = block
        self.extra = max(block.offset.values())
        inside = set(block.nodes)
        outer = [(x, node) for node in block.nodes for x in node.inputs if x not in inside]
        self.rows = list(dict.fromkeys((x, block.offset[node]) for x, node in outer if x.timed))
        self.outer = {x: interpreter._read(x) for x, _ in outer if not x.timed}
        self.back: dict[tuple[Node, Node], int] = {}  # (what reads, what is read) -> how many rounds back
        self.memory: dict[Node, int] = {}
        self.signals: dict[Node, str] = {}
        for node in block.nodes:
            delay = 0
            if isinstance(node.op, Shift):
                assert node.op.signal is not None
                delay = node.op.delay * block.direction
                self.signals[node.inputs[0]] = node.op.signal
            for x in node.inputs:
                if x in inside:
                    self.back[node, x] = back = delay + block.offset[node] - block.offset[x]
                    self.memory[x] = max(self.memory.get(x, 0), back)
        self.memory = {node: depth for node, depth in self.memory.items() if depth}
        self.guarded = list(self.signals) if block.skewed else []
        self.results = [node for node in block.nodes if node in interpreter.recipe.kept]
        self.lanes = self._lanes()

    def _lanes(self) -> dict[Node, list[Node]]:
        """Vectors that lanes divide without a rest -> the lanes: parted in one go, so are their gradients joined."""
        found: dict[Node, list[Node]] = {}
        for node in self.block.nodes if not self.block.skewed else ():
            if isinstance(node.op, Slice):
                found.setdefault(node.inputs[0], []).append(node)
        for lanes in found.values():
            lanes.sort(key=attrgetter("op.start"))
        return {whole: lanes for whole, lanes in found.items()
                if [0, *(x.op.stop for x in lanes)] == [*(x.op.start for x in lanes), whole.size]}

    def __call__(self, carry: Arrays, rows: Arrays) -> tuple[Arrays, Arrays]:
        own, engine, late = self.interpreter, self.interpreter.engine, self.block.offset
        given = dict(zip(self.rows, rows))
        edges = dict(zip(self.guarded, zip(*[iter(rows[len(self.rows):])] * 2)))
        values = dict(self.outer)
        past: dict[Node, Arrays] = {}
        for node, depth in self.memory.items():
            past[node], carry = carry[:depth], carry[depth:]
        for node in self.block.nodes:
            if node in values:
                continue
            operands = []
            for x in node.inputs:
                back = self.back.get((node, x), 0)
                operands.append(past[x][back - 1] if back else values[x] if x in values else given[x, late[node]])
            values[node] = operands[0] if isinstance(node.op, Shift) else own.value(node, operands, own.batch)
            if node in edges:
                within, outside = edges[node]
                values[node] = engine.where(within, values[node], outside)
            if node in self.lanes:
                values.update(zip(self.lanes[node], engine.split(values[node], [x.size for x in self.lanes[node]])))
        after = [value for node, before in past.items()
                 for value in (engine.like(values[node], own.zero), *before[:-1])]
        return tuple(after), tuple(values[node] for node in self.results)

    # ---- late nodes
    def margins(self, late: int) -> tuple[int, int]:
        """How many rounds there are before the first and after the last step of a node."""
        return (late, self.extra - late) if self.block.direction > 0 else (self.extra - late, late)

    def by_round(self, values: Array, late: int) -> Array:
        """Values (T, ...) in the rounds in which they are read; the first and the last once more outside."""
        engine, (before, after) = self.interpreter.engine, self.margins(late)
        first, last = engine.steps(values, None, 1), engine.steps(values, -1, None)
        parts = [*[first] * before, values, *[last] * after]
        return engine.concatenate(*parts, axis=0) if self.extra else values

    def inside_the_sequence(self, node: Node) -> Array:
        """In which rounds a node computes a step of the sequence: bools."""
        engine, T = self.interpreter.engine, self.interpreter.T
        before, after = self.margins(self.block.offset[node])
        middle = engine.spread(engine.constant(np.array(True), None), (T,), ())
        ends = [engine.constant(np.zeros(count, bool), None) for count in (before, after)]
        return engine.concatenate(ends[0], middle, ends[1], axis=0)

    def outside_of_it(self, node: Node) -> Array:
        """A node's values in the other rounds: those of the boundary."""
        own, engine = self.interpreter, self.interpreter.engine
        before, after = self.margins(self.block.offset[node])
        rows = [own._row(node, self.signals[node], step) for step in [*range(1 - before, 1), *range(1, after + 1)]]
        ends = [engine.like(engine.stack(*part, axis=0), own.zero) for part in (rows[:before], rows[before:]) if part]
        middle = engine.spread(own.zero, own.lead, node.shape)
        return engine.concatenate(*(ends[:1] if before else []), middle, *(ends[-1:] if after else []), axis=0)
