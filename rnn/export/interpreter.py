"""Run the IR of a definition on a backend: each loop as a scan, the rest for all steps at once.

A loop carries as many past values of each signal as its longest delay needs. Values are (T, batch,
*shape); in a loop (batch, *shape). Data and parameters are given as the backend's arrays.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from rnn.ir import nodes as ir
from rnn.ir.fusion import Graph, fuse_products, fuse_slices, hoist_terms, optimise
from rnn.ir.lowering import LoweringOptions, lower, split_products, static_nodes
from rnn.ir.matrices import product_kind
from rnn.ir.nodes import Node, Shift, ordered
from rnn.ir.schedule import Block, blocks, same_at_all_steps
from rnn.language.dependencies import DefinitionError, nodes, roots
from rnn.language.equations import Definition
from rnn.unrolling.masks import holds
from rnn.unrolling.truncation import WindowSteps

from .backend import Array, Arrays, Backend
from .masks import Columns


class Schedule:
    """The IR of a definition as blocks in the order of computation.

    Args:
        backend: used only to check that it has every operation.
        outputs: the signals to compute; None: all.
        carried: more signals whose values are needed.
        among: the values of the definition, of equations and boundaries, that are computed; None: all.

    Attributes:
        static: the nodes that have one value for all steps, without an axis of time.
        kept: the nodes whose values of all steps are needed outside of their block.
        statics: id of an expression of statics -> its node, operands first.
        givens: input, mask or draw by name -> its node.

    Raises:
        DefinitionError: where the definition can't be computed step by step, or where the backend lacks
            an operation: names it and the line of its equation.
    """

    def __init__(self, cell: Definition, options: LoweringOptions, backend: Backend,
                 outputs: Iterable[str] | None = None, carried: Iterable[str] = (),
                 among: Iterable[Any] | None = None) -> None:
        self.cell = cell
        self.lowered = lower(cell, options)
        split_products(ordered(self.lowered.roots.values()))
        self.outputs = list(self.lowered.roots if outputs is None else outputs)
        self.needed = [self.lowered.roots[name] for name in dict.fromkeys([*self.outputs, *carried])]
        written = roots(cell) if among is None else list(among)
        statics = static_nodes(cell, dict(options.shapes), written)
        self.statics = {id_: node for id_, node in statics.items() if node.timed}
        _check_operations([*self._nodes(), *self.statics.values()], written, backend)
        optimise(Graph(self.needed, self._nodes),
                 (hoist_terms, fuse_products, fuse_slices))
        every = self._nodes()
        for node in reversed(every):  # a node that joins others has the line of the first of them
            for x in node.inputs:
                x.origin = x.origin or node.origin
        self.blocks = blocks(every)
        self.block = {node: block for block in self.blocks for node in block.nodes}
        self.static = same_at_all_steps(every, {*self.lowered.roots.values()})
        self.kept = set(self.needed)
        for node in every:
            self.kept.update(_unshifted(x) for x in node.inputs if self.block[node] is not self.block[x])
        self.givens = {node.op.name: node for node in every if isinstance(node.op, ir.Input)}

    def _nodes(self) -> list[Node]:
        """Return the nodes that the outputs need, operands first."""
        return ordered(self.needed)


def _unshifted(node: Node) -> Node:
    """Return the node whose values a chain of shifts reads."""
    while isinstance(node.op, Shift):
        node = node.inputs[0]
    return node


def _check_operations(every: list[Node], written: list[Any], backend: Backend) -> None:
    """Raise where the backend lacks an operation, in an equation or in a value computed from parameters alone."""
    # The interpreter itself computes the operations of the IR.
    used: list[Node | Tensor] = [node for node in every if type(node.op).__module__ != ir.__name__]
    used += [x for x in nodes(written) if isinstance(x, Tensor) and x.op is not None and x.t is None
             and not isinstance(x.op, ops.DropoutMask)]  # which is given, as those of signals are
    for node in used:
        assert node.op is not None
        reason = backend.lacks(node.op)
        if reason is not None:
            raise DefinitionError(f"{backend.target} has no {type(node.op).__name__}, used at {node.origin}: "
                                  f"{reason}")


@dataclass(eq=False)
class Interpreter:
    """One computation of all steps."""

    backend: Backend
    schedule: Schedule
    T: Any  # the number of steps and the shape of the batch as the backend represents them
    batch: Any
    given: Mapping[str, Array]  # input, mask or draw -> the data's values, (T, batch, *shape)
    weights: Mapping[int, Array]  # id of a tensor -> its value
    boundary: Mapping[tuple[str, int], Array]  # (signal, step): 0, -1, ... before the first, 1, 2, ... after the last
    zero: Array  # the number 0 in the type of all states
    columns: Columns | None = None  # where sequences may be masked; the values are then those of their own steps
    once: Mapping[str, Array] = field(default_factory=dict)  # data that are the same at all steps, (batch, *shape)
    values: dict[Node, Array] = field(default_factory=dict)

    def run(self) -> dict[str, Array]:
        """Return every signal at t = 1 … T."""
        for block in self.schedule.blocks:
            if block.direction:
                self._run_loop(block)
            else:
                for node in block.nodes:
                    self.values[node] = self._all_steps(node)
        return self._outputs()

    def run_windows(self, windows: list[WindowSteps]) -> dict[str, Array]:
        """Return every signal, computed window by window; a step's values come from the window of its loss.

        A dropout keeps the same elements of a step in every window.
        """
        roots, backend = self.schedule.lowered.roots, self.backend
        done = dict(self.given)  # signal -> its values of all steps that are computed
        leads = [signal.lead for signal in self.schedule.cell.signals.values() if not signal.given]
        ahead = max(leads) - min(leads)  # after y[t+1] = s[t+1] a window computes step t+1 of s as well
        for window in windows:
            start, stop = window.steps.start - 1, min(window.steps.stop - 1 + ahead, self.T)
            given = {name: backend.slice_steps(x, start, stop) for name, x in self.given.items()}
            boundary = self._entering(window._replace(steps=range(start + 1, stop + 1)), done)
            part = replace(self, T=stop - start, given=given, boundary=boundary, values={}, columns=None)
            part.run()
            for name, signal in self.schedule.cell.signals.items():
                if not signal.given:
                    first, end = window.loss_steps.start - 1 - start, window.loss_steps.stop - 1 - start
                    values = backend.slice_steps(part.values[roots[name]], first, end)
                    done[name] = backend.concatenate(done[name], values, axis=0) if name in done else values
        self.values.update((roots[name], x) for name, x in done.items() if name in roots)
        return self._outputs()

    def _entering(self, window: WindowSteps, done: Mapping[str, Array]) -> dict[tuple[str, int], Array]:
        """Return the boundary values of a window."""
        never = self.backend.constant(False, None)
        found = {}
        for signal, local, step, boundary, constant in window.entering(self.schedule.cell, self.T):
            if boundary is None and local > 0 and not signal.given:  # no step of the window depends on it
                continue
            if boundary is None:
                value = done[signal.name][step - 1]
            elif (signal.name, boundary) in self.boundary:
                value = self.boundary_row(self.schedule.lowered.roots[signal.name], signal.name, boundary)
            else:  # zero
                continue
            found[signal.name, local] = self.backend.mask_gradient(value, never) if constant else value
        return found

    def _outputs(self) -> dict[str, Array]:
        """Return every signal at t = 1 … T; its equation may define another step, x[t+1]."""
        found = {}
        for name in self.schedule.outputs:
            root, lead = self.schedule.lowered.roots[name], self.schedule.cell.signals[name].lead
            if self.columns is not None:
                found[name] = self._spread(root, name, lead, self.columns)
            else:
                found[name] = self._shifted(root, name, lead) if lead else self.values[root]
        return found

    def _spread(self, root: Node, name: str, lead: int, columns: Columns) -> Array:
        """Return a signal at t = 1 … T, from its values at the own steps of its equation."""
        hold = holds(self.schedule.cell)[name]
        first = min(1, (hold.first if hold.direction > 0 else 1) - lead)
        last = max(0, (hold.last if hold.direction < 0 else 0) - lead)
        rows = self.extend([self.boundary_row(root, name, step) for step in range(first, 1)], self.values[root],
                           [self.boundary_row(root, name, step) for step in range(1, last + 1)])
        return columns.spread(rows, first + lead, hold)

    # ---- all steps at once
    def _all_steps(self, node: Node) -> Array:
        op = node.op
        if ir.is_static(node):
            return self.once[op.name]
        if isinstance(op, ir.Input):
            return self.given[op.name]
        if isinstance(op, Shift):
            assert op.signal is not None
            return self._shifted(node.inputs[0], op.signal, op.delay)
        if node in self.schedule.static:
            return self.value(node, [self.read(x) for x in node.inputs], self.batch)
        return self.value(node, self._operands(node), (self.T, *self.batch))

    def _operands(self, node: Node) -> list[Array]:
        """Return what a node of each step reads; what is the same at all steps is repeated where it needs to be."""
        static = self.schedule.static
        broadcasts = (node.op.elementwise or product_kind(node) is not None) and not node.op.aligned \
            and any(x.timed and x not in static for x in node.inputs)
        return [self.backend.broadcast(self.read(x), (self.T, *self.batch), x.shape)
                if x in static and not broadcasts else self.read(x) for x in node.inputs]

    def read(self, x: Node) -> Array:
        if x not in self.values:  # a number, or a shift inside of another loop
            self.values[x] = self._all_steps(x)
        return self.values[x]

    def _shifted(self, source: Node, signal: str, delay: int) -> Array:
        """Return the values of other steps, filled up with those of the boundary."""
        steps = range(1 - delay, 1) if delay > 0 else range(1, 1 - delay)
        rows, values = [self.boundary_row(source, signal, step) for step in steps], self.values[source]
        if delay > 0:
            return self.backend.slice_steps(self.extend(rows, values, []), None, -delay)
        return self.backend.slice_steps(self.extend([], values, rows), -delay, None)

    def extend(self, before: list[Array], values: Array, after: list[Array]) -> Array:
        """Return values (T, ...) with more rows (...) before the first and after the last."""
        backend = self.backend
        stacked = [backend.cast_like(backend.stack(*rows, axis=0), values) for rows in (before, after) if rows]
        parts = [*stacked[:len(stacked) - bool(after)], values, *stacked[len(stacked) - bool(after):]]
        return backend.concatenate(*parts, axis=0)

    def boundary_row(self, source: Node, signal: str, step: int) -> Array:
        """Return a value before or after the sequence, (*batch, *shape); zero if none is set."""
        if step > 0 and self.columns is not None:
            zeros = self.backend.broadcast(self.zero, self.batch, source.shape)
            values = {key: value for (name, key), value in self.boundary.items() if name == signal and key > 0}
            return self.columns.row_after(zeros, step, values, source.shape)
        return self.backend.broadcast(self.boundary.get((signal, step), self.zero), self.batch, source.shape)

    # ---- a loop
    def _run_loop(self, block: Block) -> None:
        """Compute all steps of a loop by the backend's scan."""
        backend, step = self.backend, Step(self, block)
        start = []
        for node, depth in step.memory.items():
            offset, signal = block.offset[node], step.signals.get(node, "")
            start += [self.boundary_row(node, signal, 1 - offset - back if block.direction > 0 else offset + back)
                      for back in range(1, depth + 1)]
        rows = [step.by_round(self.read(x), offset) for x, offset in step.rows]
        for node in step.guarded:
            rows += [step.inside_the_sequence(node), step.outside_of_it(node)]
        results = backend.scan(step, tuple(backend.cast_like(x, self.zero) for x in start), tuple(rows),
                              None if block.skewed else self.T, block.direction < 0)
        for node, values in zip(step.results, results):
            before, after = step.margins(block.offset[node])
            self.values[node] = backend.slice_steps(values, before, -after or None) if block.skewed else values

    def compute_statics(self, data: Mapping[str, Array]) -> dict[int, Array]:
        """Return the value of each expression of statics by its id, (batch, *shape), and set `once`."""
        found: dict[Node, Array] = {}
        for node in ordered(self.schedule.statics.values()):
            found[node] = data[node.op.name] if isinstance(node.op, ir.Input) else \
                self.value(node, [found[x] for x in node.inputs], self.batch)
        by_id = {id_: found[node] for id_, node in self.schedule.statics.items()}
        self.once = {name: by_id[id_] for id_, name in self.schedule.lowered.static_names.items()}
        return by_id

    # ---- one operation
    def value(self, node: Node, operands: list[Array], lead: Any) -> Array:
        """Return the value of a node, of all steps or of one, from its operands.

        Args:
            lead: the axes before those of one value: (T, *batch), or in a loop the batch's.
        """
        op, backend = node.op, self.backend
        backend.origin = node.origin
        if node.timed and (op.elementwise or isinstance(op, (ir.AddN, ir.GradientMask, ops.BroadcastTo))):
            # NumPy's rules hold for the values of one sequence: new axes are inserted after those of the batch.
            operands = [backend.append_axes(value, node.ndim - x.ndim) if x.timed and x.ndim < node.ndim else value
                        for x, value in zip(node.inputs, operands)]
        if (op.aligned or isinstance(op, ir.Concat)) and node.timed:  # which doesn't broadcast
            operands = [value if x.timed else backend.broadcast(value, lead, x.shape)
                        for x, value in zip(node.inputs, operands)]
        match op:
            case ir.Number():
                return backend.constant(op.value, self.zero.dtype)
            case ir.Weight():
                return self.weights[id(op.tensor)]
            case ops.Identity():  # of truth values and integers, too, as numbers
                return backend.cast_like(operands[0], self.zero)
            case ir.AddN():
                return functools.reduce(operator.add, operands)
            case ir.GradientMask():
                return backend.mask_gradient(*operands)
            case ir.ColumnSlice() | ir.Slice():
                return backend.slice_last(operands[0], op.start, op.stop)
            case ir.Concat():
                return backend.concatenate(*operands, axis=-1 if node.timed else 0)
            case ops.BroadcastTo() if node.timed:
                return backend.broadcast(operands[0], lead, op.shape)
        result = backend.compute(op, *operands)
        backend.check_own(op, result, node.shape, len(lead) if node.timed else 0)
        return result


class Step:
    """One round of a loop: `carry, results = step(carry, rows)`.

    In most loops round t computes step t. In a skewed one, which reads ahead of itself somewhere, round r
    computes step r - offset of a node, and there are as many more rounds as the largest offset. Values of
    steps outside of the sequence are then computed too, and replaced by those of the boundary.
    """

    def __init__(self, interpreter: Interpreter, block: Block) -> None:
        self.interpreter = interpreter
        self.block = block
        self.extra = max(block.offset.values())
        inside = set(block.nodes)
        outer = [(x, node) for node in block.nodes for x in node.inputs if x not in inside]
        # What each round gets a row of, and the offset of its reader; what is the same in all rounds.
        static = interpreter.schedule.static
        self.rows = list(dict.fromkeys((x, block.offset[node]) for x, node in outer if x.timed and x not in static))
        self.outer = {x: interpreter.read(x) for x, _ in outer if not x.timed or x in static}
        self.back: dict[tuple[Node, Node], int] = {}  # (reader, what it reads) -> how many rounds back
        self.memory: dict[Node, int] = {}  # a node that later rounds read -> for how many rounds
        self.signals: dict[Node, str] = {}  # a node of which other steps are read -> its signal
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
        self.guarded = list(self.signals) if block.skewed else []  # whose steps outside of the sequence are read
        self.results = [node for node in block.nodes if node in interpreter.schedule.kept]
        self.lanes = self._lanes()

    def _lanes(self) -> dict[Node, list[Node]]:
        """Return the vectors that slices divide completely -> the slices: one split has a cheaper gradient."""
        found: dict[Node, list[Node]] = {}
        for node in self.block.nodes if not self.block.skewed else ():
            if isinstance(node.op, ir.Slice):
                found.setdefault(node.inputs[0], []).append(node)
        for lanes in found.values():
            lanes.sort(key=operator.attrgetter("op.start"))
        return {whole: lanes for whole, lanes in found.items()
                if [0, *(x.op.stop for x in lanes)] == [*(x.op.start for x in lanes), whole.size]}

    def __call__(self, carry: Arrays, rows: Arrays) -> tuple[Arrays, Arrays]:
        own, backend, offset = self.interpreter, self.interpreter.backend, self.block.offset
        given = dict(zip(self.rows, rows))
        pairs = iter(rows[len(self.rows):])
        edges = dict(zip(self.guarded, zip(pairs, pairs)))  # node -> (inside the sequence?, its value outside)
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
                operands.append(past[x][back - 1] if back else values[x] if x in values else given[x, offset[node]])
            values[node] = operands[0] if isinstance(node.op, Shift) else own.value(node, operands, own.batch)
            if node in edges:
                inside, outside = edges[node]
                values[node] = backend.where(inside, values[node], outside)
            if node in self.lanes:
                parts = backend.split_last(values[node], [x.size for x in self.lanes[node]])
                values.update(zip(self.lanes[node], parts))
        after = [value for node, before in past.items()
                 for value in (backend.cast_like(values[node], own.zero), *before[:-1])]
        return tuple(after), tuple(values[node] for node in self.results)

    # ---- skewed loops
    def margins(self, offset: int) -> tuple[int, int]:
        """Return the number of rounds before the first and after the last step of a node."""
        return (offset, self.extra - offset) if self.block.direction > 0 else (self.extra - offset, offset)

    def by_round(self, values: Array, offset: int) -> Array:
        """Return values (T, ...) by the rounds in which they are read; the first and the last are repeated outside."""
        backend, (before, after) = self.interpreter.backend, self.margins(offset)
        first, last = backend.slice_steps(values, None, 1), backend.slice_steps(values, -1, None)
        parts = [*[first] * before, values, *[last] * after]
        return backend.concatenate(*parts, axis=0) if self.extra else values

    def inside_the_sequence(self, node: Node) -> Array:
        """Return for each round whether a node computes a step of the sequence."""
        own, backend = self.interpreter, self.interpreter.backend
        no, yes = (backend.constant(np.array(flag), None) for flag in (False, True))
        before, after = self.margins(self.block.offset[node])
        return own.extend([no] * before, backend.broadcast(yes, (own.T,), ()), [no] * after)

    def outside_of_it(self, node: Node) -> Array:
        """Return a node's values for the other rounds: those of the boundary."""
        own = self.interpreter
        before, after = self.margins(self.block.offset[node])
        rows = [own.boundary_row(node, self.signals[node], step) for step in range(1 - before, after + 1)]
        middle = own.backend.broadcast(own.zero, (own.T, *own.batch), node.shape)
        return own.extend(rows[:before], middle, rows[before:])
