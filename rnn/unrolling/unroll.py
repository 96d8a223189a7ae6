"""From a cyclic definition to an explicit graph: one copy of every equation a time step.

The copies are minigrad Tensors, so the unrolled graph is the graph that `backward()` walks, and
that is backpropagation through time (Werbos, Backpropagation through time, Proc. IEEE 78, 1990).
Every tensor knows the signal, the time step and the line of its equation. Parameters, and what is
computed from parameters alone, exist once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.interactive import progress
from minigrad.operators import IDENTITY, WHERE
from minigrad.provenance import Origin
from minigrad.settings import override, settings
from minigrad.tensor import apply, constant
from rnn.language.cycles import check, held_signals, retiming
from rnn.language.dependencies import Boundary, boundaries, expression_shapes, integer_inputs, random_draws
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression

from .evaluator import RegisterProgram, compute_statics, convert_constants, recompute_from_parameters
from .inputs import Inputs, prepare_inputs
from .masks import Flags, OwnSteps, Steps, holds, select
from .options import UnrollOptions
from .run import Run, Window
from .run_key import RunKey
from .truncation import Truncation, WindowSteps


def unroll(cell: Definition, inputs: Mapping[str, Any], options: UnrollOptions) -> Run:
    """Return the unrolled graph of a definition; see Cell.unroll."""
    check(cell)
    return unroll_prepared(cell, prepare_inputs(cell, inputs, options))


def unroll_prepared(cell: Definition, inputs: Inputs) -> Run:
    """Return the unrolled graph of a definition over inputs that are checked."""
    with override(origin=None, recording=settings().recording):  # an Unroller sets both, copy by copy
        return Unroller(cell, inputs).run()


def located(error: IndexError, cell: Definition, inputs: Mapping[str, Any], options: UnrollOptions) -> IndexError:
    """Return the error of a program for an index out of range, with the signal and the step, as an unroll finds them.

    A program that computes all steps at once knows neither.
    """
    try:
        with override(recording=False):
            unroll(cell, inputs, options)
    except IndexError as found:
        return IndexError("\n".join([str(error), *str(found).splitlines()[1:]]))
    except Exception:  # of the data, which the program takes in another form
        return error
    return error


class Unroller:
    """Computes copies on demand: one that reads another waits for it on a stack, without recursion."""

    def __init__(self, cell: Definition, inputs: Inputs) -> None:
        self.cell = cell
        self.inputs = inputs
        self.key = RunKey(cell.name)
        self.now = settings()
        self.recording = self.now.recording
        # Windows start from constants, so no edge is cut inside of one.
        self.truncation = inputs.truncation if inputs.truncation.masks_gradients else Truncation(inputs.T)
        constants = convert_constants(cell, inputs.dtype, recompute_from_parameters(cell))
        statics = compute_statics(cell, inputs, constants)
        self.once = list(statics.values())
        constants |= statics
        self.plans = {equation.signal: RegisterProgram(equation, constants, inputs)
                      for equation in cell.equations}
        uses = Counter(key for plan in self.plans.values() for *_, key in plan.operations)
        self.shared = {key for key, count in uses.items() if count > 1}  # expressions that several equations use
        self.drawn = self._draw()
        self.random = {key for key, *_ in self.drawn}
        self.shared.update(self.random)
        self.unusual = self.shared | {key for plan in self.plans.values() for op, *_, key in plan.operations
                                      if isinstance(op, ops.StopGradient)}
        self.memo = dict(self.drawn)  # (shared expression, step, shift) -> its value
        self.detached: dict[tuple[Signal, int], Tensor] = {}  # copies as constants, for reads that a truncation cuts
        self.shapes = {signal: inputs.shapes.get(name, signal.shape) for name, signal in cell.signals.items()}
        self.own = inputs.own
        self.plain = self.own is None and not self.truncation.masks_gradients  # each read is a whole copy, and uncut
        self.held = held_signals(cell) if self.own else {}  # at masked steps others are zero
        # signal -> by how many own steps its copies are later than its equation's: where a batch with holes needs it
        self.shift = retiming(cell) if self.own and self.own.has_holes else {}
        # (signal, delay, reader's shift, column) -> the keys of a read by sequence, and the sequences that need it
        self.places: dict[tuple[Signal, int, int, int], tuple[Steps, Flags]] = {}
        self.selected: dict[tuple[Signal, int, int, int], Tensor] = {}  # the same -> the value of that read
        # signal -> {k: its copy at step k}; of a window, while it is computed
        self.copies: dict[Signal, dict[int, Tensor]] = {signal: {} for signal in cell.signals.values()}
        self.outside = boundaries(cell)  # signal -> the values before and after the sequence that equations read
        for name, signal in cell.signals.items():
            if signal.given:
                self._add_input(signal)
            self._add_boundary(signal, self.outside.get(name, Boundary(range(0), range(0))), constants)

    def run(self) -> Run:
        """Compute every copy at t = 1 … T."""
        windows = [self._compute_window(window) for window in self.inputs.truncation.windows()]
        if not windows:
            self._compute_steps(range(1, self.inputs.T + 1))
        if self.own is not None:
            self.now.recording = self.recording
            shown = {signal: self._spread(signal, self.own) for signal in self.plans
                     if signal.lead or self.shift.get(signal)}
            self.copies.update(shown)
        self._cut_outputs()
        return Run(self.cell, self.inputs, _by_name(self.copies), windows, self.once, self.key)

    def _cut_outputs(self) -> None:
        """Make the boundary values that are outputs constants where the truncation does: x[1] of `x[t+1] = ...`."""
        for signal, copies in self.copies.items():
            for k in range(1, signal.lead + 1) if self.truncation.constant(1) else ():
                if k in copies and copies[k].requires_grad:
                    copies[k] = copies[k].detach()

    # ---- values from outside
    def _draw(self) -> dict[tuple[int, int, int], Tensor]:
        """Return all that is drawn at random, (expression, step, 0) -> its value: in the order of `random_draws`."""
        draws = random_draws(self.cell)
        shapes = expression_shapes(self.cell, self.inputs.shapes) if draws else {}
        batch = self.inputs.batch
        return {(id(x), step, 0): constant(x.op.forward(*(np.zeros(batch + shapes[id(y)]) for y in x.inputs)), None,
                                           x.origin)
                for step in range(1, self.inputs.T + 1) for x in draws if isinstance(x.op, ops.DropoutMask)}

    def _add_input(self, signal: Signal) -> None:
        """Add one copy a step from the data; masked steps are zero."""
        values = self.inputs.values[signal.name]
        for k in range(1, self.inputs.T + 1):
            origin = self.now.origin = self.key.origin(self.inputs.origin, signal.name, k)
            copy = values[k - 1] if isinstance(values, Tensor) else constant(values[k - 1, ...], None, origin)
            shape = self._shape(signal, k)
            copy = copy if copy._array.shape == shape else apply(ops.BroadcastTo(shape), copy)
            if self.own is not None and k in self.own.masked_columns:
                copy = apply(WHERE, self._mask_at(k, signal), copy, np.zeros((), copy.dtype))
            copy.name = signal.name
            self.copies[signal][k] = copy

    def _add_boundary(self, signal: Signal, outside: Boundary, constants: Mapping[int, Tensor]) -> None:
        """Add the copies before and after the sequence: the values that are set, or zeros."""
        given = self.inputs.boundary[signal.name]
        for k, own in given.items():
            value = constants[id(own)] if isinstance(own, Expression) else own
            if not value.requires_grad:  # a state takes the definition's type, a label that of the labels
                label = signal.given and signal.name in integer_inputs(self.cell)
                dtype = self.inputs.values[signal.name].dtype if label else self.inputs.dtype
                value = constant(value.numpy().astype(dtype), value.name, value.origin)
            copy = constants.get(id(value), value)
            if copy.requires_grad and copy.dtype != self.inputs.dtype:
                copy = apply(ops.Cast(self.inputs.dtype), copy)
            self.copies[signal][self._key_outside(signal, k)] = self._copy(copy, signal, k, own.origin)
        for k in (*outside.before, *(self.inputs.T + k for k in outside.after)):
            if k not in given:
                zeros = constant(np.zeros(self._shape(signal, k), self.inputs.dtype))
                origin = signal.equation.origin if signal.equation else signal.origin
                self.copies[signal][self._key_outside(signal, k)] = self._copy(zeros, signal, k, origin)

    def _key_outside(self, signal: Signal, k: int) -> int:
        """Return the key in `copies` of a value before or after the sequence, beyond those of retimed copies."""
        shift = self.shift.get(signal, 0)
        return k + (min(shift, 0) if k - signal.lead < 1 else max(shift, 0))

    # ---- values that equations compute
    def _compute_window(self, window: WindowSteps) -> Window:
        """Compute one window from constants; the run takes its copies of the steps whose losses it differentiates."""
        whole = self.copies
        self.copies = {signal: dict(copies) if signal.given else {} for signal, copies in whole.items()}
        self.memo, self.selected = dict(self.drawn), {}  # every window has the same draws
        self.now.origin = self.inputs.origin
        for signal, copies in whole.items():  # sequences that have ended read the values after the end
            self.copies[signal].update((k, copy.detach() if window.steps.start > 1 else copy)
                                       for k, copy in copies.items() if k > self.inputs.T + signal.lead
                                       and not signal.given and self.own is not None)
        for value in window.entering(self.cell, self.inputs.T, self.held):
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
        for signal, shift in self.shift.items():  # their last steps are stored outside of 1 … T
            for step in range(steps.stop, steps.stop + shift) if shift > 0 else range(shift + 1, 1):
                self._compute(self.plans[signal], step)

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
        if self.own is None:
            for _, source, offset in plan.reads:
                if step + offset not in self.copies[source]:
                    return self.plans[source], step + offset - source.lead
            return None
        signal = plan.equation.signal
        for _, source, offset in plan.reads:
            for k in self._keys(source, offset, plan, step):
                if k not in self.copies[source]:
                    return self.plans[source], k - source.lead
        if self._holds_at(signal, step):
            previous = step - self.held.get(signal, 0)  # masked sequences hold this step's value
            if previous != step and 1 <= previous <= self.inputs.T and previous not in self.copies[signal]:
                return plan, previous
        return None

    def _evaluate(self, plan: RegisterProgram, step: int) -> Tensor:
        """Return the value of the equation at one step; all copies that it reads exist."""
        signal, k = plan.equation.signal, step + plan.equation.lead
        origin = self.now.origin = self.key.origin(plan.equation.origin, signal.name, k)
        registers, rows = plan.start.copy(), None
        if self.plain:  # fast path
            for register, source, offset in plan.reads:
                registers[register] = self.copies[source][step + offset]
        else:
            self.now.recording = self.recording and not self.truncation.constant(step)
            for register, source, offset in plan.reads:
                registers[register] = self._read(source, offset, plan, step)
            rows = self._masked_rows(plan, step)
        if plan.step_numbers:
            self._load_step_numbers(plan, registers, step)
        for op, operands, register, key in plan.operations:
            if key in self.unusual or (rows is not None and register in plan.singular):
                values = [registers[i] for i in operands]
                registers[register] = self._unusual(plan, op, values, register, key, step, rows)
            elif len(operands) == 2:  # fast path: a call with a tuple of operands takes longer
                registers[register] = apply(op, registers[operands[0]], registers[operands[1]])
            else:
                registers[register] = apply(op, *[registers[i] for i in operands])
        copy = self._copy(registers[plan.result], signal, k, origin)
        if self.own is None or not self._holds_at(signal, step):
            return copy
        return self._hold(copy, signal, k, self._previous(signal, k))

    def _load_step_numbers(self, plan: RegisterProgram, registers: list[Any], step: int) -> None:
        """Load the number of the step, of each sequence its own, into the registers that an equation reads it from."""
        shift = self.shift.get(plan.equation.signal, 0)
        for register, offset in plan.step_numbers:
            own_step = step if self.own is None else np.maximum(self.own.step(step) - shift, 1)
            number = self.inputs.start + own_step + offset
            registers[register] = constant(np.broadcast_to(number, self.inputs.batch).astype(self.inputs.dtype))

    def _unusual(self, plan: RegisterProgram, op: Op, values: list[Any], register: int, key: int, step: int,
                 rows: Flags | None) -> Tensor:
        """Return the result of an operation that isn't simply computed from its operands."""
        at = key, step, self.shift.get(plan.equation.signal, 0)
        if isinstance(op, ops.StopGradient):
            result: Tensor = values[0].detach()
        elif rows is not None and register in plan.singular:
            result = apply(op, *self._regular(op, values, plan.singular[register], rows))
        elif at in self.memo:
            result = self.memo[at]
        elif key in self.random:
            result = self._drawn_at(*at)
        else:
            result = self.memo[at] = apply(op, *values)
        return result

    def _drawn_at(self, key: int, step: int, shift: int) -> Tensor:
        """Return a draw as a retimed equation takes it: of each sequence that of the column of its own step."""
        assert self.own is not None
        own_step, rows = self.own.step(step) - shift, self._rows(step, shift)
        draws = {k: self.drawn[key, k, 0] for k in range(1, self.own.T + 1)}
        return select(draws, self.own.column(own_step), rows, draws[1].ndim - rows.ndim) if rows.any() else draws[1]

    def _read(self, signal: Signal, offset: int, plan: RegisterProgram, step: int) -> Tensor:
        """Return a value as the equation sees it at a step: of each sequence its own, as a constant where it is cut."""
        if self.own is None:
            return self._uncut(signal, step + offset, step, signal.lead - offset)
        keys = self._keys(signal, offset, plan, step)
        delay = signal.lead - offset
        if len(keys) == 1:
            return self._uncut(signal, keys[0], step, delay)
        if not keys:
            return constant(np.zeros(self._shape(signal, step), self.inputs.dtype))
        place = signal, delay, self.shift.get(plan.equation.signal, 0), step
        if place not in self.selected:
            copies = {k: self._uncut(signal, k, step, delay) for k in keys}
            self.selected[place] = select(copies, *self.places[place], len(self.shapes[signal] or ()))
        return self.selected[place]

    def _uncut(self, signal: Signal, k: int, step: int, delay: int) -> Tensor:
        """Return a copy as a read at a step sees it: as a constant where the truncation cuts that edge."""
        copy = self.copies[signal][k]
        after = max(k - signal.lead - self.inputs.T, 0)  # a value after the end belongs to the sequence's own last step
        if not copy.requires_grad or not self.truncation.cuts(step - delay - after, step):
            return copy
        if (signal, k) not in self.detached:
            self.detached[signal, k] = copy.detach()
        return self.detached[signal, k]

    # ---- masks
    def _masked_rows(self, plan: RegisterProgram, step: int) -> Flags | None:
        """Return _rows where a singular operation is computed for sequences that have no step; otherwise None."""
        if self.own is None or not plan.singular:
            return None
        rows = self._rows(step, self.shift.get(plan.equation.signal, 0))
        return None if rows.all() else rows

    def _rows(self, step: int, shift: int) -> Flags:
        """Return which sequences have an own step that an equation computes at a column."""
        assert self.own is not None
        own_step = self.own.step(step) - shift
        found: Flags = self.own.is_step(step) & (own_step >= 1) & (own_step <= self.own.length)
        return found

    def _regular(self, op: Op, operands: Sequence[Any], places: Sequence[int], rows: Flags) -> list[Any]:
        """Return operands with a number in the place of masked sequences: 0 times an infinite derivative is NaN."""
        found = list(operands)
        for place in places:
            x = found[place]
            flags = np.reshape(rows, rows.shape + (1,) * (x.ndim - rows.ndim))
            found[place] = apply(WHERE, flags, x, np.asarray(op.regular, x.dtype))
        return found

    def _keys(self, signal: Signal, offset: int, plan: RegisterProgram, step: int) -> Sequence[int]:
        """Return the keys of the copies that an equation reads at a step: several where sequences differ."""
        own, delay, shift = self.own, signal.lead - offset, self.shift.get(plan.equation.signal, 0)
        if own is None or (delay >= 0 and not own.has_holes) or self._is_held_beside(signal, delay, shift):
            return step + offset,
        place = signal, delay, shift, step
        if place not in self.places:
            own_step = own.step(step) - shift - delay
            self.places[place] = self._places(signal, own_step, delay, own), self._rows(step, shift)
        keys, rows = self.places[place]
        if rows.any():
            return np.unique(keys[rows]).tolist()  # type: ignore[no-any-return]
        return (min(max(step, 1), own.T),) if signal.given else ()  # no value is needed

    def _is_held_beside(self, signal: Signal, delay: int, shift: int) -> bool:
        """Return whether the copy of the column beside has what all sequences read, since it is held up to there."""
        return delay == self.held.get(signal) and not (signal.lead or shift or self.shift.get(signal)
                                                       or self.inputs.truncation.option)

    def _places(self, signal: Signal, step: Steps, delay: int, own: OwnSteps) -> Steps:
        """Return for each sequence the key of the copy with the value of one of its own steps (of the equation)."""
        shift = self.shift.get(signal, 0)
        if signal.lead or shift:  # such copies aren't held
            inside = (step >= 1) & (step <= own.length)
            margin = np.where(step < 1, min(shift, 0), max(shift, 0))
            return np.where(inside, own.column(step + shift), own.column(step) + margin) + signal.lead
        # A truncation may cut the chain of held values from the end to here, and not this read.
        held = 0 if self.inputs.truncation.option else self.held.get(signal, 0)
        return own.column_of_read(step, delay, held)

    def _holds_at(self, signal: Signal, step: int) -> bool:
        """Return whether a sequence is masked at a step, and the copy of a signal has its value for that."""
        return self.own is not None and step in self.own.masked_columns and not signal.lead \
            and not self.shift.get(signal)

    def _hold(self, copy: Tensor, signal: Signal, k: int, held: Any) -> Tensor:
        """Return a copy with the values of masked sequences: the held ones of a state, otherwise zero."""
        copy.name = None
        held = np.zeros((), copy.dtype) if held is None else held
        result: Tensor = apply(WHERE, self._mask_at(k, signal), copy, held)
        result.name = signal.name
        return result

    def _previous(self, signal: Signal, step: int) -> Tensor | None:
        """Return the copy that masked sequences hold at a step, if there is one."""
        direction = self.held.get(signal, 0)
        previous = step - direction
        outside = self.outside.get(signal.name, Boundary(range(0), range(0)))
        read = previous in outside.before or previous - self.inputs.T in outside.after
        if not direction or not (1 <= previous <= self.inputs.T or read) or previous not in self.copies[signal]:
            return None
        copy = self.copies[signal][previous]
        return copy if max(previous, 1) in self.inputs.truncation.reach_of_held(step) else copy.detach()

    def _mask_at(self, k: int, signal: Signal) -> Any:
        """Return the mask of a column as bools that broadcast against the signal's values."""
        assert self.own is not None
        flags = self.own.is_step(k)
        return np.reshape(flags, flags.shape + (1,) * len(self.shapes[signal] or ()))

    def _spread(self, signal: Signal, own: OwnSteps) -> dict[int, Tensor]:
        """Return the copies of a signal by columns, where its equation stores them by other steps."""
        assert signal.equation is not None
        hold, stored, ndim = holds(self.cell)[signal.name], self.copies[signal], len(self.shapes[signal] or ())
        outside = self.outside.get(signal.name, Boundary(range(0), range(0)))
        ends = [0, *(k for k in outside.after), signal.lead]
        columns = range(min(1, 1 + signal.lead, *outside.before), self.inputs.T + max(ends) + 1)
        everyone = np.ones(own.length.shape, bool)
        found: dict[int, Tensor] = {}

        def value(step: Steps, rows: Flags) -> Tensor:
            return select(stored, self._places(signal, step - signal.lead, 0, own), rows, ndim)

        for k in columns if hold.direction >= 0 else reversed(columns):
            self.now.origin = self.key.origin(signal.equation.origin, signal.name, k)
            rows = own.is_step(k)
            copy = value(own.step(k), rows) if rows.any() else constant(np.zeros(self._shape(signal, k)))
            if not rows.all():
                held = found.get(k - hold.direction) if hold.direction else None
                if held is None and ((hold.direction > 0 and hold.first) or (hold.direction < 0 and not hold.last)):
                    held = value(0 * own.length + 1 if hold.direction > 0 else own.length, everyone)
                copy = self._hold(self._copy(copy, signal, k, self.now.origin), signal, k, held)
            found[k] = copy if copy is stored.get(k) else self._copy(copy, signal, k, self.now.origin)
        return found

    # ---- copies
    def _copy(self, value: Any, signal: Signal, k: int, origin: Origin) -> Tensor:
        """Return a value as the copy of `signal` at step k: broadcast to the batch, a tensor of its own."""
        now = self.now
        if now.origin is None or now.origin.signal != signal.name or now.origin.t != k:
            now.origin = self.key.origin(origin, signal.name, k)
        if type(value) is not Tensor and not isinstance(value, Tensor):
            value = constant(np.asarray(value, self.inputs.dtype))
        if value._array.dtype.kind != "f" and not signal.given:  # truth values and indices
            value = constant(value._array.astype(self.inputs.dtype))
        shape = self._shape(signal, k, value._array.shape)
        if value._array.shape != shape:
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


def _progress(variables: Mapping[str, Any], call: progress.Call) -> progress.State:
    """Return how far `Unroller.run` is: by the copies that exist; of windows, by the step of the latest."""
    unroller: Unroller = variables["self"]
    T, origin = unroller.inputs.T, unroller.now.origin
    if unroller.inputs.truncation.windows():
        return progress.State((origin and origin.t) or 0, T)
    return progress.State(sum(len(unroller.copies[signal]) for signal in unroller.plans), T * len(unroller.plans))


progress.watch(Unroller.run, "unroll", _progress)
