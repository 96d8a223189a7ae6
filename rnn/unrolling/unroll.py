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

from minigrad import Tensor, ops
from minigrad.operators import IDENTITY, WHERE
from minigrad.provenance import Origin
from minigrad.settings import override, settings
from minigrad.tensor import apply, constant
from rnn.language.cycles import carry_directions, check
from rnn.language.dependencies import Boundary, boundaries, expression_shapes, integer_inputs, random_draws
from rnn.language.equations import Definition, Signal

from .evaluator import RegisterProgram, convert_constants, recompute_from_parameters
from .inputs import Inputs, prepare_inputs
from .options import UnrollOptions
from .run import Run, Window
from .truncation import Truncation, WindowSteps


def unroll(cell: Definition, inputs: Mapping[str, Any], options: UnrollOptions) -> Run:
    """Return the unrolled graph of a definition; see Cell.unroll."""
    check(cell)
    prepared = prepare_inputs(cell, inputs, options)
    with override(origin=None, recording=settings().recording):  # an Unroller sets both, copy by copy
        return Unroller(cell, prepared).run()


class Unroller:
    """Computes copies on demand: one that reads another waits for it on a stack, without recursion."""

    def __init__(self, cell: Definition, inputs: Inputs) -> None:
        self.cell = cell
        self.inputs = inputs
        self.now = settings()
        self.recording = self.now.recording
        # Windows start from constants, so no edge is cut inside of one.
        self.truncation = inputs.truncation if inputs.truncation.masks_gradients else Truncation(inputs.T)
        constants = convert_constants(cell, inputs.dtype, recompute_from_parameters(cell))
        self.plans = {equation.signal: RegisterProgram(equation, constants, inputs.batch)
                      for equation in cell.equations}
        uses = Counter(key for plan in self.plans.values() for *_, key in plan.operations)
        self.shared = {key for key, count in uses.items() if count > 1}  # expressions that several equations use
        self.drawn = self._draw()
        self.shared.update(key for key, _ in self.drawn)
        self.memo = dict(self.drawn)  # (shared expression, step) -> its value
        self.detached: dict[tuple[Signal, int], Tensor] = {}  # copies as constants, for reads that a truncation cuts
        self.shapes = {signal: inputs.shapes.get(name, signal.shape) for name, signal in cell.signals.items()}
        self.carry = {} if inputs.mask is None else carry_directions(cell)  # at masked steps others are zero
        # signal -> {k: its copy at step k}; of a window, while it is computed
        self.copies: dict[Signal, dict[int, Tensor]] = {signal: {} for signal in cell.signals.values()}
        outside = boundaries(cell)
        for name, signal in cell.signals.items():
            if signal.given:
                self._add_input(signal)
            self._add_boundary(signal, outside.get(name, Boundary(range(0), range(0))), constants)

    def run(self) -> Run:
        """Compute every copy at t = 1 … T."""
        windows = [self._compute_window(window) for window in self.inputs.truncation.windows()]
        if not windows:
            self._compute_steps(range(1, self.inputs.T + 1))
        return Run(self.cell, self.inputs, _by_name(self.copies), windows)

    # ---- values from outside
    def _draw(self) -> dict[tuple[int, int], Tensor]:
        """Return all that is drawn at random, (expression, step) -> its value: in the order of `random_draws`."""
        draws = random_draws(self.cell)
        shapes = expression_shapes(self.cell, self.inputs.shapes) if draws else {}
        return {(id(x), step): constant(x.op.forward(*(np.zeros(self.inputs.batch + shapes[id(y)]) for y in x.inputs)),
                                        None, x.origin)
                for step in range(1, self.inputs.T + 1) for x in draws if isinstance(x.op, ops.DropoutMask)}

    def _add_input(self, signal: Signal) -> None:
        """Add one copy a step from the data; masked steps are zero."""
        values = self.inputs.values[signal.name]
        for k in range(1, self.inputs.T + 1):
            self.now.origin = self.inputs.origin.at(signal.name, k)
            copy = values[k - 1] if isinstance(values, Tensor) else constant(values[k - 1, ...])
            shape = self._shape(signal, k)
            copy = copy if copy.shape == shape else apply(ops.BroadcastTo(shape), copy)
            if self._has_masked(k):
                copy = apply(WHERE, self._mask_at(k, signal), copy, np.zeros((), copy.dtype))
            copy.name = signal.name
            self.copies[signal][k] = copy

    def _add_boundary(self, signal: Signal, outside: Boundary, constants: Mapping[int, Tensor]) -> None:
        """Add the copies before and after the sequence: the values that are set, or zeros."""
        given = self.inputs.boundary[signal.name]
        for k, value in given.items():
            if not value.requires_grad:  # a state takes the definition's type, a label that of the labels
                label = signal.given and signal.name in integer_inputs(self.cell)
                dtype = self.inputs.values[signal.name].dtype if label else self.inputs.dtype
                value = constant(value.numpy().astype(dtype), value.name, value.origin)
            copy = constants.get(id(value), value)
            if copy.requires_grad and copy.dtype != self.inputs.dtype:
                copy = apply(ops.Cast(self.inputs.dtype), copy)
            self.copies[signal][k] = self._copy(copy, signal, k, value.origin)
        for k in (*outside.before, *(self.inputs.T + k for k in outside.after)):
            if k not in given:
                zeros = constant(np.zeros(self._shape(signal, k), self.inputs.dtype))
                origin = signal.equation.origin if signal.equation else signal.origin
                self.copies[signal][k] = self._copy(zeros, signal, k, origin)

    # ---- values that equations compute
    def _compute_window(self, window: WindowSteps) -> Window:
        """Compute one window from constants; the run takes its copies of the steps whose losses it differentiates."""
        whole = self.copies
        self.copies = {signal: dict(copies) if signal.given else {} for signal, copies in whole.items()}
        self.memo = dict(self.drawn)  # every window has the same draws
        self.now.origin = self.inputs.origin
        for value in window.entering(self.cell, self.inputs.T, self.inputs.mask is not None):
            k = value.step + value.signal.lead
            if k in whole[value.signal] and not value.signal.given:
                copy = whole[value.signal][k]
                self.copies[value.signal][k] = copy.detach() if value.constant else copy
        self._compute_steps(window.steps)
        for signal in self.plans:
            for k in (step + signal.lead for step in window.loss_steps):
                whole[signal][k] = self.copies[signal][k]
        found = Window(window.steps, window.loss_steps, _by_name(self.copies))
        self.copies = whole
        return found

    def _compute_steps(self, steps: range) -> None:
        for step in steps:
            for plan in self.plans.values():
                self._compute(plan, step)

    def _compute(self, plan: RegisterProgram, step: int) -> None:
        """Compute one copy, after those that it reads: a depth-first search over missing copies."""
        stack = [(plan, step)]
        while stack:
            plan, step = stack[-1]
            missing = self._missing(plan, step)
            if missing is not None:
                stack.append(missing)
                continue
            stack.pop()
            k = step + plan.equation.lead
            if k not in self.copies[plan.equation.signal]:
                self.copies[plan.equation.signal][k] = self._evaluate(plan, step)

    def _missing(self, plan: RegisterProgram, step: int) -> tuple[RegisterProgram, int] | None:
        """Return the first copy that the equation needs at this step and that isn't computed yet."""
        for _, signal, offset in plan.reads:
            if step + offset not in self.copies[signal]:
                return self.plans[signal], step + offset - signal.lead
        previous = step - self.carry.get(plan.equation.signal, step)  # masked sequences carry this step's value
        if 1 <= previous <= self.inputs.T and previous + plan.equation.lead not in self.copies[plan.equation.signal]:
            return plan, previous
        return None

    def _evaluate(self, plan: RegisterProgram, step: int) -> Tensor:
        """Return the value of the equation at one step; all copies that it reads exist."""
        signal, k = plan.equation.signal, step + plan.equation.lead
        origin = self.now.origin = plan.equation.origin.at(signal.name, k)
        self.now.recording = self.recording and not self.truncation.constant(step)
        registers = plan.start.copy()
        for register, source, offset in plan.reads:
            registers[register] = self._read(source, step + offset, step)
        for op, operands, register, key in plan.operations:
            if key not in self.shared:
                registers[register] = apply(op, *operands(registers))
            elif (key, step) in self.memo:
                registers[register] = self.memo[key, step]
            else:
                registers[register] = self.memo[key, step] = apply(op, *operands(registers))
        copy = self._copy(registers[plan.result], signal, k, origin)
        return self._carry_masked(copy, signal, k, step) if self._has_masked(step) else copy

    def _read(self, signal: Signal, k: int, step: int) -> Tensor:
        """Return a copy as the equations of a step see it: as a constant where the truncation cuts that edge."""
        copy = self.copies[signal][k]
        if not copy.requires_grad or not self.truncation.cuts(k - signal.lead, step):
            return copy
        if (signal, k) not in self.detached:
            self.detached[signal, k] = copy.detach()
        return self.detached[signal, k]

    # ---- masks
    def _has_masked(self, step: int) -> bool:
        """Return whether a sequence of the batch is masked at a step."""
        return self.inputs.mask is not None and not self.inputs.mask[step - 1].all()

    def _carry_masked(self, copy: Tensor, signal: Signal, k: int, step: int) -> Tensor:
        """Return a copy that carries a state's value through masked steps; an output is zero there."""
        previous = k - self.carry[signal] if signal in self.carry else None
        carried = self._read(signal, previous, step) if previous in self.copies[signal] else np.zeros((), copy.dtype)
        copy.name = None
        result: Tensor = apply(WHERE, self._mask_at(step, signal), copy, carried)
        result.name = signal.name
        return result

    def _mask_at(self, step: int, signal: Signal) -> Any:
        """Return the mask of a step as bools that broadcast against the signal's values."""
        assert self.inputs.mask is not None
        flags = self.inputs.mask[step - 1]
        return np.reshape(flags, flags.shape + (1,) * len(self.shapes[signal] or ()))

    # ---- copies
    def _copy(self, value: Any, signal: Signal, k: int, origin: Origin) -> Tensor:
        """Return a value as the copy of `signal` at step k: broadcast to the batch, a tensor of its own."""
        now = self.now
        if now.origin is None or now.origin.signal != signal.name or now.origin.t != k:
            now.origin = origin.at(signal.name, k)
        if not isinstance(value, Tensor):
            value = constant(np.asarray(value, self.inputs.dtype))
        shape = self._shape(signal, k, value.shape)
        if value.shape != shape:
            value = apply(ops.BroadcastTo(shape), value)
        elif value.origin is not now.origin or value.name is not None:
            value = apply(IDENTITY, value)
        value.name = signal.name
        return value  # type: ignore[no-any-return]

    def _shape(self, signal: Signal, k: int, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return the shape of a copy; that of a signal without a declared size comes from its first value."""
        own = self.shapes[signal]
        if own is None:
            if shape is None or k <= 0:
                raise ValueError(f"the shape of {signal.name}[{k}] isn't known, since {signal.name} has no size: "
                                 f"declare it with one, .signal({signal.name!r}, size) at {signal.origin}")
            own = self.shapes[signal] = shape[len(self.inputs.batch):]
        return self.inputs.batch + own


def _by_name(copies: Mapping[Signal, Mapping[int, Tensor]]) -> dict[str, dict[int, Tensor]]:
    """Return copies by the signal's name, in the order of time."""
    return {signal.name: dict(sorted(tensors.items())) for signal, tensors in copies.items()}
