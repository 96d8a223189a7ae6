"""Runs the blocks of a definition on an engine: what no loop passes through at once, each loop as a scan.

A loop carries as many past values of each signal as the longest of its delays. Values are (T, batch,
size); in a loop (batch, size). Knows neither data nor parameters: they are given as the engine's arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minigrad import Tensor, ops

from .analysis import DefinitionError, nodes, roots
from .engine import Array, Arrays, Engine
from .equations import Cell
from .lowering import Options, lead_of, lowered
from .nodes import Columns, Cut, Given, Leaf, Node, Number, Shift, Total, Weight, ordered
from .program import split
from .schedule import Block, blocks

# Their operands broadcast: a number for each sequence against vectors, too.
ALIGNED = (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where, ops.BroadcastTo, Cut,
           Total)
STRUCTURE = (Leaf, Shift, Cut, Total, Columns)


class Recipe:
    """A definition in the order in which it is computed; nothing in it is of one engine.

    Args:
        outputs: the signals that are asked for; None: all.

    Raises:
        DefinitionError: where the definition can't be computed step by step, or where the engine lacks
            an operation: names it and the line of its equation.
    """

    def __init__(self, cell: Cell, options: Options, engine: Engine, outputs: Iterable[str] | None = None) -> None:
        self.cell = cell
        self.low = split(lowered(cell, options))
        self.outputs = list(self.low.roots if outputs is None else outputs)
        every = ordered(self.low.roots[name] for name in self.outputs)
        _check_operations(every, cell, engine)
        self.blocks = blocks(every)
        self.block = {node: block for block in self.blocks for node in block.nodes}
        self.kept = {self.low.roots[name] for name in self.outputs}
        for node in every:
            self.kept.update(_source(x) for x in node.inputs if self.block[node] is not self.block[x])
        self.givens = {node.op.name: node for node in every if isinstance(node.op, Given)}


def _source(node: Node) -> Node:
    """What has to be kept so that a value is there outside of its loop."""
    while isinstance(node.op, Shift):
        node = node.inputs[0]
    return node


def _check_operations(every: list[Node], cell: Cell, engine: Engine) -> None:
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
        if isinstance(op, Given):
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
        step = Step(self, block)
        start = [self.engine.like(self._row(source, signal, 1 - back if block.direction > 0 else back), self.zero)
                 for (source, signal), depth in step.memory.items() for back in range(1, depth + 1)]
        results = self.engine.scan(step, tuple(start), tuple(self._read(x) for x in step.rows), self.T,
                                   block.direction < 0)
        self.values.update(zip(step.results, results))

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
        if isinstance(op, Total):
            total = operands[0]
            for term in operands[1:]:
                total = total + term
            return total
        if isinstance(op, Cut):
            return engine.cut(*operands)
        if isinstance(op, Columns):
            return engine.columns(operands[0], op.start, op.stop)
        if isinstance(op, ops.BroadcastTo) and node.timed:
            return engine.spread(operands[0], lead, op.shape)
        if isinstance(op, ops.Concatenate) and node.timed:
            operands = [value if x.timed else engine.spread(value, lead, x.shape)
                        for x, value in zip(node.inputs, operands)]
        return engine.compute(op, *operands)


class Step:
    """One step of a loop: `carry, results = step(carry, rows)`.

    Attributes:
        memory: (node, its signal) of what is read from steps before -> how many steps back.
        rows: the nodes outside of the loop of which each step gets its own row.
        results: the nodes whose values of all steps are wanted.
    """

    def __init__(self, interpreter: Interpreter, block: Block) -> None:
        self.interpreter = interpreter
        self.block = block
        inside = set(block.nodes)
        sources = dict.fromkeys(x for node in block.nodes for x in node.inputs if x not in inside)
        self.rows = [x for x in sources if x.timed]
        self.outer = {x: interpreter._read(x) for x in sources if not x.timed}
        self.memory: dict[tuple[Node, str], int] = {}
        for node in block.nodes:
            if isinstance(node.op, Shift):
                assert node.op.signal is not None
                key = node.inputs[0], node.op.signal
                self.memory[key] = max(self.memory.get(key, 0), abs(node.op.delay))
        self.results = [node for node in block.nodes if node in interpreter.recipe.kept]

    def __call__(self, carry: Arrays, rows: Arrays) -> tuple[Arrays, Arrays]:
        own = self.interpreter
        values = dict(self.outer)
        values.update(zip(self.rows, rows))
        past: dict[Node, Arrays] = {}
        for (source, _), depth in self.memory.items():
            past[source], carry = carry[:depth], carry[depth:]
        for node in self.block.nodes:
            if isinstance(node.op, Shift):
                values[node] = past[node.inputs[0]][abs(node.op.delay) - 1]
            else:
                values[node] = own.value(node, [values[x] for x in node.inputs], own.batch)
        after = [value for source, before in past.items()
                 for value in (own.engine.like(values[source], own.zero), *before[:-1])]
        return tuple(after), tuple(values[node] for node in self.results)
