"""From a cyclic definition to an explicit graph: one copy of every equation a time step.

The copies are minigrad Tensors, so the unrolled graph is the graph that `backward()` walks, and
that is backpropagation through time (Werbos, Backpropagation through time, Proc. IEEE 78, 1990).
Every tensor knows the signal, the time step and the line of its equation. Parameters, and what is
computed from parameters alone, exist once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.operators import IDENTITY
from minigrad.origin import Origin, settings
from minigrad.tensor import apply, constant

from .analysis import boundaries, check, nodes, roots
from .data import Data, prepared
from .equations import Apply, Cell, Equation, Read, Signal
from .run import Run


def unroll(cell: Cell, T: int | None, initial: Any, inputs: Mapping[str, Any]) -> Run:
    """Copy the equations of `cell` once a step.

    Args:
        cell: the definition.
        T: the number of steps; needed only where no input tells it.
        initial: None, another run's `state` (or `state.detach()`), {"h": h0} or
            {"h": {0: v, -1: w}}; takes the place of what the definition sets.
        inputs: by name, arrays or Tensors (T, batch, size), or (T, size) without a batch.

    Raises:
        DefinitionError: where the definition can't be computed.
        ValueError: where data are missing, of unequal length, or of a wrong size.
    """
    check(cell)
    unroller = Unroller(cell, prepared(cell, T, initial, inputs))
    try:
        return unroller.run()
    finally:
        settings().origin = None


class Plan:
    """One equation made ready to be computed at any step: operations on numbered registers.

    Attributes:
        start: the registers before a step: constants and parameters filled in.
        reads: (register, signal, offset) of every signal read.
        operations: (op, registers of its operands, register of its result, expression), in order.
        result: the register of the equation's value.
    """

    def __init__(self, equation: Equation, replayed: Mapping[int, Tensor], batch: tuple[int, ...]) -> None:
        self.equation = equation
        self.start: list[Any] = []
        self.reads: list[tuple[int, Signal, int]] = []
        self.operations: list[tuple[Op, tuple[int, ...], int, Apply]] = []
        register: dict[int, int] = {}
        for node in nodes([equation.expression], into_tensors=False):
            register[id(node)] = len(self.start)
            self.start.append(replayed.get(id(node), node))
            if isinstance(node, Read):
                self.reads.append((register[id(node)], node.signal, node.offset))
            elif isinstance(node, Apply):
                assert node.op is not None
                operands = tuple(register[id(x)] for x in node.inputs)
                if isinstance(node.op, ops.Concatenate):  # the one operation that doesn't broadcast
                    operands = tuple(self._for_batch(i, batch) for i in operands)
                self.operations.append((node.op, operands, register[id(node)], node))
        self.result = register[id(equation.expression)]

    def _for_batch(self, number: int, batch: tuple[int, ...]) -> int:
        """A register that holds a constant once for each sequence; itself where it holds no constant."""
        value = self.start[number]
        if not isinstance(value, Tensor) or not batch:
            return number
        self.start.append(apply(ops.BroadcastTo((*batch, *value.shape)), value))
        return len(self.start) - 1


class Unroller:
    """Computes copies on demand: one that reads another waits for it on a stack, without recursion."""

    def __init__(self, cell: Cell, data: Data) -> None:
        self.cell = cell
        self.data = data
        replayed = _replayed(cell)
        self.plans = {equation.signal: Plan(equation, replayed, data.batch) for equation in cell.equations}
        uses = Counter(id(node) for plan in self.plans.values() for *_, node in plan.operations)
        self.shared = {node for node, count in uses.items() if count > 1}  # in several equations
        self.memo: dict[tuple[int, int], Tensor] = {}  # (shared expression, step) -> its copy
        self.shapes = {signal: data.shapes.get(name, signal.shape) for name, signal in cell.signals.items()}
        self.copies: dict[Signal, dict[int, Tensor]] = {signal: {} for signal in cell.signals.values()}
        for signal in self.copies:
            if signal.given:
                self._take_input(signal)
            self._take_boundary(signal, replayed)

    def run(self) -> Run:
        """Every copy at t = 1 … T."""
        for step in range(1, self.data.T + 1):
            for plan in self.plans.values():
                self._compute(plan, step)
        by_name = {signal.name: dict(sorted(tensors.items())) for signal, tensors in self.copies.items()}
        return Run(self.cell, self.data.T, self.data.batch, by_name)

    # ---- values from outside
    def _take_input(self, signal: Signal) -> None:
        """One tensor a step, from the data."""
        whole = self.data.inputs[signal.name]
        for k in range(1, self.data.T + 1):
            settings().origin = self.data.origin.at(signal.name, k)
            copy = whole[k - 1] if isinstance(whole, Tensor) else constant(whole[k - 1, ...])
            shape = self._shape(signal, k)
            copy = copy if copy.shape == shape else apply(ops.BroadcastTo(shape), copy)
            copy.name = signal.name
            self.copies[signal][k] = copy

    def _take_boundary(self, signal: Signal, replayed: Mapping[int, Tensor]) -> None:
        """The values before and after the sequence: set, or zero where none is set."""
        boundary = boundaries(self.cell).get(signal.name)
        given = dict(self.data.initial.get(signal.name, signal.initial))
        given.update({self.data.T + k: value for k, value in signal.final.items()})
        for k, value in given.items():
            computed = signal.equation is not None and 1 <= k - signal.equation.lead <= self.data.T
            if computed or (signal.given and 1 <= k <= self.data.T):
                raise ValueError(f"{signal.name}[{k}] is set at {value.origin}, but its value comes from "
                                 f"{signal.equation.origin if signal.equation else 'the data'}")
            if not value.requires_grad:  # a state takes the data's type
                value = constant(value.numpy().astype(self.data.dtype), value.name, value.origin)
            self.copies[signal][k] = self._copy(replayed.get(id(value), value), signal, k, value.origin)
        if boundary is None:
            return
        after = [self.data.T + k for k in boundary.after]
        for side, needed in (("before the first", [*boundary.before]), ("after the last", after)):
            missing = [k for k in needed if k not in given]
            if missing and (signal.given or len(missing) < len(needed)):
                raise ValueError(self._no_history(signal, missing[0], side))
            for k in missing:
                zeros = constant(np.zeros(self._shape(signal, k), self.data.dtype))
                self.copies[signal][k] = self._copy(zeros, signal, k, _line(signal))

    def _no_history(self, signal: Signal, k: int, side: str) -> str:
        readers = [str(plan.equation.origin) for plan in self.plans.values()
                   if any(source is signal for _, source, _ in plan.reads)]
        place = f"T{k - self.data.T:+d}" if k > self.data.T else str(k)
        return (f"{signal.name}[{place}] is read at {', '.join(dict.fromkeys(readers))}, {side} value that is "
                f"given. Set it: {signal.name}[{place}] = ..., e.g. 0")

    # ---- values that equations compute
    def _compute(self, plan: Plan, step: int) -> None:
        """Compute one copy, after those that it reads."""
        waiting = [(plan, step)]
        while waiting:
            plan, step = waiting[-1]
            needed = self._missing(plan, step)
            if needed is not None:
                waiting.append(needed)
                continue
            waiting.pop()
            k = step + plan.equation.lead
            if k not in self.copies[plan.equation.signal]:
                self.copies[plan.equation.signal][k] = self._evaluate(plan, step)

    def _missing(self, plan: Plan, step: int) -> tuple[Plan, int] | None:
        """The first copy that the equation reads at this step and that isn't there yet."""
        for _, signal, offset in plan.reads:
            if step + offset not in self.copies[signal]:
                source = self.plans[signal]
                return source, step + offset - source.equation.lead
        return None

    def _evaluate(self, plan: Plan, step: int) -> Tensor:
        """The value of the equation at one step; all that it reads is there."""
        signal, k = plan.equation.signal, step + plan.equation.lead
        origin = settings().origin = plan.equation.origin.at(signal.name, k)
        registers = plan.start.copy()
        for register, source, offset in plan.reads:
            registers[register] = self.copies[source][step + offset]
        for op, operands, register, node in plan.operations:
            known = self.memo.get((id(node), step)) if id(node) in self.shared else None
            value = apply(op, *[registers[i] for i in operands]) if known is None else known
            registers[register] = value
            if id(node) in self.shared:
                self.memo[id(node), step] = value
        return self._copy(registers[plan.result], signal, k, origin)

    def _copy(self, value: Any, signal: Signal, k: int, origin: Origin) -> Tensor:
        """A value as the copy of `signal` at step k: with the batch, and a tensor of its own."""
        now = settings()
        if now.origin is None or now.origin.signal != signal.name or now.origin.t != k:
            now.origin = origin.at(signal.name, k)
        if not isinstance(value, Tensor):
            value = constant(np.asarray(value, self.data.dtype))
        shape = self._shape(signal, k, value.shape)
        if value.shape != shape:
            value = apply(ops.BroadcastTo(shape), value)
        elif value.origin is not now.origin or value.name is not None:
            value = apply(IDENTITY, value)
        value.name = signal.name
        return value  # type: ignore[no-any-return]

    def _shape(self, signal: Signal, k: int, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """The shape of a copy; of a signal without a size, found from its first value."""
        own = self.shapes[signal]
        if own is None:
            if shape is None or k <= 0:
                raise ValueError(f"{signal.name}[{k}] has to be guessed, and {signal.name} has no size: "
                                 f"declare it with one, .signal({signal.name!r}, size) at {signal.origin}")
            own = self.shapes[signal] = shape[len(self.data.batch):]
        return self.data.batch + own


def _line(signal: Signal) -> Origin:
    """The line of the signal's equation, or of its declaration where it has none."""
    return signal.equation.origin if signal.equation else signal.origin


def _replayed(cell: Cell) -> dict[int, Tensor]:
    """What the definition computes from parameters alone, computed again from their present values.

    A value that comes from another run stays what it is, connected to that run.
    """
    replayed: dict[int, Tensor] = {}
    for node in nodes(roots(cell)):
        if not isinstance(node, Tensor) or node.op is None or node.t is not None:
            continue
        if all(x.t is None and (x.op is None or id(x) in replayed) for x in node.inputs):
            settings().origin = node.origin
            copy = replayed[id(node)] = apply(node.op, *[replayed.get(id(x), x) for x in node.inputs])
            copy.name = node.name
    return replayed
