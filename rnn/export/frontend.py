"""The part that all exports share: check inputs as `unroll` does, then run the schedule on a backend.

Values may be arrays of another library, even ones that are only being traced: nothing but their shape
and dtype is read. Anything specific to one library is in its Backend.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from minigrad.provenance import call_site
from rnn.ir.feeds import (
    boundary_values,
    draw_masks,
    draw_weights,
    lowering_options,
    step_numbers,
    uncut_steps,
    values_after,
    weight_draws,
)
from rnn.ir.lowering import LoweringOptions
from rnn.ir.nodes import AFTER, KEEP, MASK, STEP, keep_name
from rnn.language.dependencies import integer_inputs, integer_tensors, nodes, parameters, roots
from rnn.language.equations import Definition
from rnn.unrolling.inputs import Inputs, check_truncation, initial_by_step, mask_of, prepare_inputs, steps_before
from rnn.unrolling.masks import OwnSteps
from rnn.unrolling.options import UnrollOptions

from .backend import Array, Backend
from .interpreter import Interpreter, Schedule
from .masks import Columns


def import_extra(module: str, name: str) -> ModuleType:
    """Import a library that is installed with an extra.

    Raises:
        ModuleNotFoundError: if it isn't installed; with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error.name} isn't installed: pip install 'minigrad-rnn[{name}]'",
                                  name=error.name) from None


class Export:
    """A definition on a backend. Checked inputs and schedules are cached by the shapes of the data.

    Attributes:
        declared: the schedule for the declared sizes; None if only the data tell one of them.

    Raises:
        DefinitionError: where the definition can't be computed there; if only the data tell a size,
            then at the first call.
    """

    def __init__(self, cell: Definition, backend: Backend) -> None:
        self.cell = cell
        self.backend = backend
        self._cache: dict[Any, tuple[Inputs, Schedule]] = {}
        declared = [(name, x.shape) for name, x in cell.signals.items() if x.given]
        shapes = tuple((name, shape) for name, shape in declared if shape is not None)
        statics = [(name, x.shape) for name, x in cell.statics.items()]
        shapes += tuple((name, shape) for name, shape in statics if shape is not None)
        complete = len(shapes) == len(declared) + len(statics)
        self.declared = Schedule(cell, LoweringOptions(shapes), backend) if complete else None

    def _prepare(self, inputs: Mapping[str, Array], options: UnrollOptions) -> tuple[Inputs, Schedule]:
        """Return the inputs' shapes and options, checked, and the schedule for them; from the cache if it has them."""
        initial = initial_by_step(self.cell, options.initial, call_site())
        key = (self.cell.version, options.T, _shapes(inputs), *((name, _shapes(steps)) for name, steps
               in initial.items()), options.lengths is None, options.mask is None, str(options.truncation()))
        if key not in self._cache:
            stand_ins = {name: {step: _stand_in(x) for step, x in steps.items()} for name, steps in initial.items()}
            prepared = prepare_inputs(self.cell, {name: _stand_in(x) for name, x in inputs.items()},
                                      replace(options, initial=stand_ins or options.initial, lengths=None, mask=None))
            masked = options.lengths is not None or options.mask is not None
            lowering = lowering_options(self.cell, prepared, boundary_values(self.cell, prepared), masked)
            self._cache[key] = prepared, Schedule(self.cell, lowering, self.backend)
        return self._cache[key]

    def __call__(self, values: Mapping[str, Array], inputs: Mapping[str, Array], options: UnrollOptions, dtype: Any,
                 draws: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return every signal at t = 1 … T, (T, batch, *shape).

        Args:
            values: of the parameters, by name.
            dtype: the backend's, of all floats.
            draws: dropout masks by name, (T, batch, *shape); None: draw them now.
        """
        self._check_gradients(inputs, options)
        prepared, schedule = self._prepare(inputs, options)
        backend = self.backend
        if draws is None:
            draws = draw_weights(self.cell)
            draws.update(draw_masks(schedule.lowered, prepared.T, prepared.batch))
        weights = weigh(self.cell, backend, values, dtype, draws)
        given = {name: self._input(name, value, prepared, dtype) for name, value in inputs.items()
                 if name not in self.cell.statics}
        given.update((name, self._drawn(name, draws, schedule, prepared, dtype)) for name in schedule.lowered.draws)
        if STEP in schedule.givens:
            start = steps_before(options.initial, prepared.batch, call_site())
            given[STEP] = backend.constant(np.array(step_numbers(prepared.T, prepared.batch, start)), dtype)
        zero, columns = backend.constant(0.0, dtype), self._columns(prepared, options)
        given.update(self._keep_flags(schedule, prepared, columns))
        whole = Interpreter(backend, schedule, prepared.T, prepared.batch, given, weights, {}, zero, columns)
        weights = {**weights, **whole.compute_statics({name: self._static(name, inputs[name], prepared, dtype)
                                                       for name in self.cell.statics})}
        initial = initial_by_step(self.cell, options.initial, call_site())
        boundary: dict[tuple[str, int], Array] = {}
        for (name, step), tensor in boundary_values(self.cell, prepared).items():
            k = step + self.cell.signals[name].lead + (prepared.T if step > 0 else 0)
            given_now = k in initial.get(name, {})
            boundary[name, step] = backend.constant(initial[name][k], dtype) if given_now else weights[id(tensor)]
        if columns is not None:
            given = masked_data(schedule, given, boundary, columns, (prepared.T, *prepared.batch), zero)
        whole = replace(whole, given=given, boundary=boundary)
        windows = prepared.truncation.windows()
        found = whole.run_windows(windows) if windows else whole.run()
        return {name: self._mask_loss_steps(value, name, prepared) for name, value in found.items()}

    def _check_gradients(self, inputs: Mapping[str, Array], options: UnrollOptions) -> None:
        """Raise TypeError for a Tensor that requires a gradient, which the other library can't compute."""
        given = dict(inputs)
        for name, steps in initial_by_step(self.cell, options.initial, call_site()).items():
            given.update((f"{name}[{step}]", value) for step, value in steps.items())
        for name, value in given.items():
            if isinstance(value, Tensor) and value.requires_grad:
                raise TypeError(f"{name} is {value!r}, but gradients here are those of {self.backend.target} (at "
                                f"{call_site()}): give an array of {self.backend.target}, or a constant, x.detach() or "
                                "state.detach()")

    # ---- data
    def _input(self, name: str, value: Array, inputs: Inputs, dtype: Any) -> Array:
        """Return an input as (T, *batch, *shape), broadcast along the batch."""
        array, own = self.backend.constant(value, dtype), inputs.shapes[name]
        if name not in integer_inputs(self.cell):  # data of integers and bools, too, take the definition's type
            array = self.backend.cast_like(array, self.backend.constant(0.0, dtype))
        if tuple(array.shape[1:]) == inputs.batch + own:
            return array
        batch = array.shape[1:array.ndim - len(own)]
        array = self.backend.reshape(array, (inputs.T, *(1,) * (len(inputs.batch) - len(batch)), *batch, *own))
        return self.backend.broadcast(array, (inputs.T, *inputs.batch), own)

    def _static(self, name: str, value: Array, inputs: Inputs, dtype: Any) -> Array:
        """Return the value of a static as (*batch, *shape)."""
        array, own = self.backend.constant(value, dtype), inputs.shapes[name]
        if name not in integer_inputs(self.cell):
            array = self.backend.cast_like(array, self.backend.constant(0.0, dtype))
        return self.backend.broadcast(array, inputs.batch, own)

    def _columns(self, inputs: Inputs, options: UnrollOptions) -> Columns | None:
        """Return the own steps of the sequences, checked if their values are known; None without mask and lengths."""
        lengths, mask = options.lengths, options.mask
        if lengths is None and mask is None:
            return None
        backend, truncation = self.backend, inputs.truncation
        ends, flags = (None if x is None else backend.concrete(x) for x in (lengths, mask))
        if (ends is None) == (lengths is None) and (flags is None) == (mask is None):
            checked = mask_of(inputs.T, inputs.batch, ends, flags, call_site())
            assert checked is not None
            own = OwnSteps(checked)
            check_truncation(self.cell, inputs, None if checked.all() else own)
            return Columns.of(backend, own, truncation)
        given = lengths if mask is None else mask  # only the shape is known: check that of ones
        ones = np.ones(given.shape, str(given.dtype))
        mask_of(inputs.T, inputs.batch, None if lengths is None else ones, None if mask is None else ones, call_site())
        if truncation.option == "last" or (truncation.option and mask is not None):
            raise ValueError(f"{truncation.option}= needs {'a mask' if lengths is None else 'lengths'} whose values "
                             f"are known: they aren't where the function is traced (at {inputs.origin})")
        steps = backend.constant(np.arange(1, inputs.T + 1).reshape(inputs.T, *(1 for _ in inputs.batch)), None)
        if mask is None:
            count = backend.compute(ops.Minimum(), steps, given)
            return Columns(backend, inputs.T, steps, steps < given + 1, count, given, None, truncation)
        count = backend.cum_sum(backend.cast_like(given, steps), 0)
        order = backend.own_steps_first(given)
        return Columns(backend, inputs.T, steps, given != 0, count, count[-1], order, truncation)

    def _drawn(self, name: str, drawn: Mapping[str, Array], schedule: Schedule, inputs: Inputs, dtype: Any) -> Array:
        """Return one dropout mask as numbers 0 and 1."""
        shape = (inputs.T, *inputs.batch, *schedule.lowered.draws[name][1])
        if name not in drawn or tuple(drawn[name].shape) != shape:
            node = schedule.givens[name]
            raise ValueError(f"the dropout of {node.name} (at {node.origin}) needs bools {shape} here: draw them "
                             f"before the call, draws=f.draws({inputs.T}, {inputs.batch})")
        return self.backend.cast_like(self.backend.constant(drawn[name], None), self.backend.constant(0.0, dtype))

    def _keep_flags(self, schedule: Schedule, inputs: Inputs, columns: Columns | None) -> dict[str, Array]:
        """Return for each delay the steps at which gradients pass: bools (T, 1, ...), or (T, *batch)."""
        shape, found = (inputs.T, *(1 for _ in inputs.batch)), {}
        for delay in schedule.lowered.keeps:
            keep = self.backend.constant(uncut_steps(inputs, delay).reshape(shape), None)
            found[keep_name(delay)] = keep if columns is None or delay > 0 else columns.keep_after(keep, delay)
        return found

    def _mask_loss_steps(self, value: Array, name: str, inputs: Inputs) -> Array:
        """Return a signal through which no gradient enters at steps that the truncation makes constant."""
        lead = self.cell.signals[name].lead
        flags = np.array([not inputs.truncation.constant(max(k - lead, 1)) for k in range(1, inputs.T + 1)])
        if flags.all():
            return value
        keep = self.backend.constant(flags.reshape(inputs.T, *(1,) * (value.ndim - 1)), None)
        return self.backend.mask_gradient(value, keep)


def weigh(cell: Definition, backend: Backend, values: Mapping[str, Array], dtype: Any, drawn: Mapping[str, Array],
          among: Iterable[Any] | None = None) -> dict[int, Array]:
    """Return every tensor of the definition by its id: parameters, constants, and what is computed from these.

    Args:
        values: of the parameters, by name.
        drawn: the dropout masks of parameters, by the names of `weight_draws`.
        among: the values of the definition that are computed; None: all.

    Raises:
        ValueError: where a parameter is missing, unknown, or of another shape.
    """
    own = parameters(cell)
    _check_parameters(own, values, cell.name)
    names = {id(tensor): name for name, tensor in own.items()}
    found: dict[int, Array] = {}
    labels, zero = integer_tensors(cell), backend.constant(0.0, dtype)
    for name, x in weight_draws(cell).items():
        if name not in drawn or tuple(drawn[name].shape) != x.shape:
            raise ValueError(f"the dropout of a parameter (at {x.origin}) needs bools {x.shape} here, {name!r}: "
                             "draw them before the call, draws=f.draws(T, batch)")
        found[id(x)] = backend.cast_like(backend.constant(drawn[name], None), zero)
    for x in nodes(roots(cell) if among is None else among):
        if not isinstance(x, Tensor) or id(x) in found:
            continue
        if id(x) in names:
            found[id(x)] = backend.constant(values[names[id(x)]], dtype)
        elif x.op is None or x.t is not None:
            value = backend.constant(x.numpy(), dtype)
            found[id(x)] = value if id(x) in labels else backend.cast_like(value, zero)
        else:
            backend.origin = x.origin
            found[id(x)] = backend.compute(x.op, *(found[id(part)] for part in x.inputs))
            backend.check_own(x.op, found[id(x)], x.shape)
    return found


def masked_data(schedule: Schedule, given: Mapping[str, Array], boundary: Mapping[tuple[str, int], Array],
                columns: Columns, lead: tuple[Any, ...], zero: Array) -> dict[str, Array]:
    """Return the data with each sequence's own steps at the front, the mask, and the values after their ends.

    Args:
        lead: T and the batch.
        zero: the number 0 in the type of all states.
    """
    found = {name: value if name.startswith((KEEP, STEP)) else columns.compact(value) for name, value in given.items()}
    found[MASK] = columns.prefix
    every = values_after(boundary)
    for name, node in schedule.lowered.givens.items():
        after = every.get(name.removeprefix(AFTER), {})
        if after:
            values = found[name] if name in found else columns.backend.broadcast(zero, lead, node.shape)
            found[name] = columns.fill_after(values, after, node.shape)
    return found


def _check_parameters(own: Mapping[str, Tensor], given: Mapping[str, Array], name: str) -> None:
    missing, unknown = [x for x in own if x not in given], [x for x in given if x not in own]
    if missing or unknown:
        problem = f"no value for the parameter {missing[0]!r}" if missing else f"there is no parameter {unknown[0]!r}"
        raise ValueError(f"{problem} of {name!r} (at {call_site()}): it has {', '.join(own)}")
    for label, tensor in own.items():
        if tuple(given[label].shape) != tensor.shape:
            raise ValueError(f"the parameter {label!r} of {name!r} has shape {tensor.shape}, its value "
                             f"{tuple(given[label].shape)} (at {call_site()})")


def _stand_in(value: Any) -> Any:
    """Return zeros of the shape of another library's array, to be checked in its place; other values as they are."""
    if isinstance(value, (Tensor, np.ndarray, np.generic, int, float, list, tuple)) or not hasattr(value, "shape"):
        return value
    return np.zeros(tuple(value.shape), str(value.dtype).removeprefix("torch."))


def _shapes(values: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple((name, np.shape(x), str(getattr(x, "dtype", ""))) for name, x in values.items())
