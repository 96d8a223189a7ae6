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
from minigrad.settings import settings
from minigrad.tensor import apply, constant
from rnn.language.cycles import carry_directions, check
from rnn.language.dependencies import Boundary, boundaries, links
from rnn.language.equations import Definition, Signal

from .evaluator import RegisterProgram, recompute_from_parameters
from .inputs import Data, history, prepared
from .run import Run, Window
from .truncation import Truncation, Windows


def unroll(cell: Definition, T: int | None, inputs: Mapping[str, Any], **options: Any) -> Run:
    """See Cell.unroll."""
    check(cell)
    now = settings()
    before = now.recording
    try:
        return Unroller(cell, prepared(cell, T, inputs, **options)).run()
    finally:
        now.origin = None
        now.recording = before


class Unroller:
    """Computes copies on demand: one that reads another waits for it on a stack, without recursion."""

    def __init__(self, cell: Definition, data: Data) -> None:
        self.cell = cell
        self.data = data
        self.now = settings()
        self.recording = self.now.recording
        # Windows are computed one by one, each from constants: nothing is cut inside of one.
        self.truncation = Truncation(data.T) if isinstance(data.truncation, Windows) else data.truncation
        constants = recompute_from_parameters(cell)
        self.plans = {equation.signal: RegisterProgram(equation, constants, data.batch) for equation in cell.equations}
        uses = Counter(key for plan in self.plans.values() for *_, key in plan.operations)
        self.shared = {key for key, count in uses.items() if count > 1}  # in several equations
        self.memo: dict[tuple[int, int], Tensor] = {}  # (shared expression, step) -> its copy
        self.severed: dict[tuple[Signal, int], Tensor] = {}  # copies as constants, where an edge is cut
        self.shapes = {signal: data.shapes.get(name, signal.shape) for name, signal in cell.signals.items()}
        self.holds = {} if data.mask is None else carry_directions(cell)
        self.boundaries = boundaries(cell)
        self.copies: dict[Signal, dict[int, Tensor]] = {signal: {} for signal in cell.signals.values()}
        for signal, given in history(cell, data).items():
            if signal.given:
                self._take_input(signal)
            self._take_boundary(signal, given, constants)

    def run(self) -> Run:
        """Every copy at t = 1 … T."""
        windows = []
        if isinstance(self.data.truncation, Windows):
            windows = self._compute_windows(self.data.truncation)
        else:
            self._compute_steps(range(1, self.data.T + 1))
        return Run(self.cell, self.data, _by_name(self.copies), windows)

    # ---- values from outside
    def _take_input(self, signal: Signal) -> None:
        """One tensor a step, from the data; zero where a sequence is over."""
        whole = self.data.inputs[signal.name]
        for k in range(1, self.data.T + 1):
            self.now.origin = self.data.origin.at(signal.name, k)
            copy = whole[k - 1] if isinstance(whole, Tensor) else constant(whole[k - 1, ...])
            shape = self._shape(signal, k)
            copy = copy if copy.shape == shape else apply(ops.BroadcastTo(shape), copy)
            if self.data.mask is not None and not self.data.mask[k - 1].all():
                copy = apply(WHERE, self._going_on(signal, k), copy, np.zeros((), copy.dtype))
            copy.name = signal.name
            self.copies[signal][k] = copy

    def _take_boundary(self, signal: Signal, given: Mapping[int, Tensor], constants: Mapping[int, Tensor]) -> None:
        """The values before and after the sequence: set, or zero where none is set."""
        for k, value in given.items():
            if not value.requires_grad:  # a state takes the data's type
                value = constant(value.numpy().astype(self.data.dtype), value.name, value.origin)
            self.copies[signal][k] = self._copy(constants.get(id(value), value), signal, k, value.origin)
        boundary = self.boundaries.get(signal.name, Boundary(range(0), range(0)))
        for k in (*boundary.before, *(self.data.T + k for k in boundary.after)):
            if k not in given:
                zeros = constant(np.zeros(self._shape(signal, k), self.data.dtype))
                self.copies[signal][k] = self._copy(zeros, signal, k, _line(signal))

    # ---- values that equations compute
    def _compute_windows(self, truncation: Windows) -> list[Window]:
        """Every window from constants; each step's copy is that of the window which owes its loss."""
        for link in links(self.cell):
            if link.delay < 0 and not link.source.given:
                raise ValueError(f"window= cuts loops that run forward in time, but {link.target.name} reads {link} "
                                 f"at {link.equation.origin}. Use chunks= or last=")
        owned = self.copies
        windows = []
        for steps, owed in truncation.windows():
            self.copies = self._entering(owned, steps.start)
            self.memo = {}
            self._compute_steps(steps)
            for signal, plan in self.plans.items():
                for k in (step + plan.equation.lead for step in owed):
                    owned[signal][k] = self.copies[signal][k]
            windows.append(Window(steps, owed, _by_name(self.copies)))
        self.copies = owned
        return windows

    def _entering(self, owned: Mapping[Signal, Mapping[int, Tensor]], first: int) -> dict[Signal, dict[int, Tensor]]:
        """What a window that begins at step `first` starts from: constants, but for the initial values."""
        if first == 1:
            return {signal: dict(copies) if signal.given else {k: x for k, x in copies.items() if not
                    1 <= k - self.plans[signal].equation.lead <= self.data.T} for signal, copies in owned.items()}
        entering: dict[Signal, dict[int, Tensor]] = {}
        for signal, copies in owned.items():
            before = self.boundaries[signal.name].before if signal.name in self.boundaries else range(0)
            self.now.origin = self.data.origin
            entering[signal] = dict(copies) if signal.given else {
                first - 1 + k: copies[first - 1 + k].detach() for k in before}
        return entering

    def _compute_steps(self, steps: range) -> None:
        for step in steps:
            for plan in self.plans.values():
                self._compute(plan, step)

    def _compute(self, plan: RegisterProgram, step: int) -> None:
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

    def _missing(self, plan: RegisterProgram, step: int) -> tuple[RegisterProgram, int] | None:
        """The first copy that the equation reads at this step and that isn't there yet."""
        for _, signal, offset in plan.reads:
            if step + offset not in self.copies[signal]:
                source = self.plans[signal]
                return source, step + offset - source.equation.lead
        held = step - self.holds.get(plan.equation.signal, step)  # one that is held is read, too
        if held and held + plan.equation.lead not in self.copies[plan.equation.signal]:
            return plan, held
        return None

    def _evaluate(self, plan: RegisterProgram, step: int) -> Tensor:
        """The value of the equation at one step; all that it reads is there."""
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
        over = self.data.mask is not None and not self.data.mask[step - 1].all()
        return self._held(copy, signal, k, step) if over else copy

    def _read(self, signal: Signal, k: int, step: int) -> Tensor:
        """A copy as an equation at a step sees it: a constant where that edge is cut."""
        copy = self.copies[signal][k]
        made = k - (signal.equation.lead if signal.equation else 0)
        if not copy.requires_grad or not self.truncation.cuts(made, step):
            return copy
        if (signal, k) not in self.severed:
            self.severed[signal, k] = copy.detach()
        return self.severed[signal, k]

    def _held(self, copy: Tensor, signal: Signal, k: int, step: int) -> Tensor:
        """Where a sequence is over a state keeps its value; an output is zero."""
        direction = self.holds.get(signal)
        before = np.zeros((), copy.dtype) if direction is None else self._read(signal, k - direction, step)
        copy.name = None
        held: Tensor = apply(WHERE, self._going_on(signal, step), copy, before)
        held.name = signal.name
        return held

    def _going_on(self, signal: Signal, step: int) -> Any:
        """Which sequences go on at a step, as bools that broadcast against the signal's values."""
        assert self.data.mask is not None
        flags = self.data.mask[step - 1]
        return np.reshape(flags, flags.shape + (1,) * len(self.shapes[signal] or ()))

    def _copy(self, value: Any, signal: Signal, k: int, origin: Origin) -> Tensor:
        """A value as the copy of `signal` at step k: with the batch, and a tensor of its own."""
        now = self.now
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


def _by_name(copies: Mapping[Signal, Mapping[int, Tensor]]) -> dict[str, dict[int, Tensor]]:
    """Copies by the signal's name, in the order of time."""
    return {signal.name: dict(sorted(tensors.items())) for signal, tensors in copies.items()}
