"""Prepared inputs: the data and options of one unroll, checked against the definition's declarations.

Reads the definition's signals, and of its equations only the steps that they read.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor, ops
from minigrad.provenance import Origin, call_site
from minigrad.tensor import apply
from rnn.language.dependencies import (
    DefinitionError,
    OpenShapeError,
    boundaries,
    check_open_shapes,
    expression_shapes,
    integer_inputs,
    integer_signals,
    nodes,
    parameters,
    reads,
    roots,
)
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Static

from .masks import OwnSteps
from .options import OPTION_NAMES, UnrollOptions
from .state import State
from .truncation import Truncation, make_truncation

Shape = tuple[int, ...]
Values = Tensor | NDArray[Any]


@dataclass(frozen=True)
class Inputs:
    """All that a definition is unrolled over."""

    T: int  # the number of steps
    batch: Shape  # () for a single sequence
    dtype: np.dtype[Any]  # of all values but labels; see _float_type
    values: dict[str, Values]  # input -> all its values, (T, ...)
    statics: dict[str, Values]  # static -> its value, (*batch, *shape) or (*shape)
    shapes: dict[str, Shape]  # input or static -> the shape of one value of one sequence
    boundary: dict[str, dict[int, Tensor]]  # signal -> {k: the value set before the first or after the last step}
    mask: NDArray[np.bool_] | None  # (T, *batch), False where a sequence has ended; None where all have T steps
    truncation: Truncation  # where gradients stop
    origin: Origin  # the line of the call
    start: NDArray[np.int64]  # the steps before this run, (*batch) or (): `t` continues them

    @cached_property
    def steps_after(self) -> NDArray[np.int64]:
        """The number of steps that each sequence has had after this run, (*batch)."""
        return self.start + (np.full(self.batch, self.T) if self.own is None else self.own.length)

    @cached_property
    def own(self) -> OwnSteps | None:
        """The own steps of the sequences; None where nothing is masked."""
        return None if self.mask is None or self.mask.all() else OwnSteps(self.mask)


def prepare_inputs(cell: Definition, inputs: Mapping[str, Any], options: UnrollOptions, batch: Shape | None = None
                   ) -> Inputs:
    """Return the inputs of an unroll, checked.

    Args:
        batch: the shape of the batch; None: that of the data.

    Raises:
        ValueError: for data that are missing, unknown, of unequal length or of a wrong size; for
            boundary values that are set twice or in part; for options that the definition can't have.
        TypeError: for data that aren't numbers, and labels that aren't integers.
    """
    origin = call_site()
    declared = {name: signal for name, signal in cell.signals.items() if signal.given}
    _check_names(cell, {**declared, **cell.statics}, inputs, origin)
    values = {name: _as_values(name, inputs[name], origin) for name in [*declared, *cell.statics]}
    for name in declared:
        check_labels(cell, name, values[name].dtype, origin)
        if values[name].ndim == 0:
            raise ValueError(f"the data for {name!r} are a single number (at {origin}); their first axis must be time")
    T = _common_length({name: values[name] for name in declared}, options.T, origin)
    initial = _initial_values(cell, T, options.initial, origin)
    batch, shapes = _batch_and_shapes(cell, T, declared, values, initial, {} if batch is None else {"batch": batch},
                                      origin)
    check_open_shapes(cell, shapes)
    _check_open_lengths(cell, shapes, origin)
    dtype = _float_type(cell, values)
    values = _of_type(cell, values, dtype)
    mask = mask_of(T, batch, options.lengths, options.mask, origin)
    if mask is not None and not mask.all():
        _refuse_numbered_ends(cell, T, initial, origin)
    truncation = make_truncation(T, options.truncation(), origin)
    truncation.check(cell, origin)
    statics = {name: values.pop(name) for name in cell.statics}
    found = Inputs(T, batch, dtype, values, statics, shapes, _boundary_values(cell, T, initial), mask, truncation,
                   origin, steps_before(options.initial, batch, origin))
    check_truncation(cell, found, found.own)
    return found


def _refuse_numbered_ends(cell: Definition, T: int, initial: Mapping[str, Mapping[int, Tensor]], origin: Origin
                          ) -> None:
    """Raise ValueError for a value after the end that a definition sets by number: each sequence has its own end."""
    for name, signal in cell.signals.items():
        for k in signal.initial:
            if k - signal.lead > T and name not in initial:
                raise ValueError(f"{name}[{k}] is set by its number (at {signal.initial[k].origin}), and the sequences "
                                 f"end at different steps (at {origin}): write {name}[T{k - T:+d}] = ..., which is "
                                 "counted from each sequence's own end")


def _float_type(cell: Definition, values: Mapping[str, Values]) -> np.dtype[Any]:
    """Return the type in which a definition computes: NumPy's result type of its parameters and of the float data.

    Without both it is that of the float constants; without these float64.
    """
    floats = [array.dtype for array in values.values() if array.dtype.kind == "f"]
    floats += [p.dtype for p in parameters(cell).values()]
    floats = floats or [x.dtype for x in nodes(roots(cell)) if isinstance(x, Tensor) and x.dtype.kind == "f"]
    return np.result_type(*floats or [np.dtype(float)])


def static_values(cell: Definition, inputs: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Values]:
    """Return the values of the statics as `prepare_inputs` does, from inputs of the shapes that it checked."""
    return _of_type(cell, {name: _as_values(name, inputs[name], call_site()) for name in cell.statics}, dtype)


def _of_type(cell: Definition, values: Mapping[str, Values], dtype: np.dtype[Any]) -> dict[str, Values]:
    """Return values in the type in which a definition computes; labels stay integers."""
    labels = integer_inputs(cell)
    return {name: array if name in labels else _converted(array, dtype) for name, array in values.items()}


def _converted(values: Values, dtype: np.dtype[Any]) -> Values:
    if values.dtype == dtype:
        return values
    return apply(ops.Cast(dtype), values) if isinstance(values, Tensor) else values.astype(dtype)


def _check_names(cell: Definition, declared: Mapping[str, Signal | Static], inputs: Mapping[str, Any],
                 origin: Origin) -> None:
    for name in inputs:
        if name not in declared:
            near = difflib.get_close_matches(name, [*declared, *OPTION_NAMES], n=1)
            hint = (f"did you mean {near[0]!r}?" if near else
                    f"its inputs are {', '.join(declared)}" if declared else "it has none")
            raise ValueError(f"{cell.name!r} has no input {name!r}: {hint} (at {origin})")
    missing = [name for name in declared if name not in inputs]
    if missing:
        given = ", ".join(f"{name}=..." for name in declared)
        if any(name in OPTION_NAMES for name in declared):  # as keywords they are options
            given = f"inputs={{{', '.join(f'{name!r}: ...' for name in declared)}}}"
        raise ValueError(f"no data for the input {missing[0]!r}, declared at {declared[missing[0]].origin}: "
                         f"pass {given} (at {origin})")


def _as_values(name: str, value: Any, origin: Origin) -> Values:
    """Return the data of one input: a Tensor that requires a gradient, or else a copy as an array."""
    values: Values
    if isinstance(value, Tensor):
        values = value if value.requires_grad else value.numpy()
    else:
        try:
            values = np.array(value)
        except ValueError as error:
            raise ValueError(f"the data for {name!r} are not an array (at {origin}): {error}") from None
    if values.dtype.kind not in "biuf":
        raise TypeError(f"the data for {name!r} are {values.dtype}, not real numbers (at {origin})")
    return values


def check_labels(cell: Definition, name: str, dtype: np.dtype[Any], origin: Origin) -> None:
    """Raise TypeError for data of an input that an operation takes as labels or indices, if they aren't integers."""
    if dtype.kind not in "iu" and name in integer_inputs(cell):
        raise TypeError(f"the data for {name!r} are {dtype} (at {origin}), but labels are integers: the index of the "
                        "right class")


def _common_length(values: Mapping[str, Values], T: int | None, origin: Origin) -> int:
    """Return the number of steps, which all inputs and the option T agree on."""
    lengths = {name: array.shape[0] for name, array in values.items()}
    if T is not None:
        if isinstance(T, bool) or not isinstance(T, (int, np.integer)) or T < 1:
            raise ValueError(f"T is a number of steps, 1 or more, not {T!r} (at {origin})")
        lengths = {"the option T" if "T" in lengths else "T": int(T), **lengths}
    if not lengths:
        raise ValueError(f"no input tells the number of steps: pass T=... (at {origin})")
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"inputs of unequal length (at {origin}): {rows}. "
                         "The first axis is time; cut or pad them to one length")
    length = next(iter(lengths.values()))
    if length < 1:
        raise ValueError(f"the data have no time step (at {origin}): {next(iter(lengths))!r} has length 0")
    return length


def initial_by_step(cell: Definition, initial: Any, origin: Origin) -> dict[str, dict[int, Any]]:
    """Return the option `initial`, a State, {"h": h0} or {"h": {0: v, -1: w}}, as {name: {step: value}}.

    Raises:
        TypeError: for any other type.
        ValueError: for an unknown signal.
    """
    given: Mapping[str, Any] = initial.values if isinstance(initial, State) else initial or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"initial is a run's state or a dict from signal names to values, "
                        f"not {type(initial).__name__} (at {origin})")
    for name in given:
        if name not in cell.signals:
            raise ValueError(f"initial sets {name!r}, but {cell.name!r} has no such signal (at {origin}): "
                             f"it has {', '.join(cell.signals)}")
    return {name: dict(value) if isinstance(value, Mapping) else {cell.signals[name].lead: value}
            for name, value in given.items()}


def steps_before(initial: Any, batch: Shape, origin: Origin) -> NDArray[np.int64]:
    """Return how many steps each sequence had before this run, (*batch) or (): those of a carried state.

    Raises:
        ValueError: where the state is that of another batch.
    """
    steps = initial.steps if isinstance(initial, State) else np.zeros((), np.int64)
    if steps.shape not in ((), batch):
        raise ValueError(f"the state is that of a batch of shape {steps.shape}, but the batch has shape {batch} "
                         f"(at {origin})")
    return steps


def _initial_values(cell: Definition, T: int, initial: Any, origin: Origin) -> dict[str, dict[int, Tensor]]:
    """Return the option `initial` as {name: {step: value}}, its steps and shapes checked."""
    known = boundaries(cell)
    missing = [name for name, outside in known.items() if len(outside.before) and name not in initial.values] \
        if isinstance(initial, State) else []
    if missing:
        raise ValueError(f"the state has no value of {missing[0]}, which {cell.name!r} reads at the step before (at "
                         f"{origin}): it is that of another definition, or of a stream of some outputs. Pass values by "
                         "name, initial={...}, to start the others anew")
    values: dict[str, dict[int, Tensor]] = {}
    for name, steps in initial_by_step(cell, initial, origin).items():
        for k, v in steps.items():
            if not isinstance(k, (int, np.integer)):
                raise TypeError(f"initial gives {name} a value for step {k!r}; steps are whole numbers, e.g. "
                                f"{{{name!r}: {{0: value}}}} (at {origin})")
            steps_read = [*known[name].before, *(T + k for k in known[name].after)] if name in known else []
            if k not in steps_read:
                where = ", ".join(f"{name}[{step}]" for step in steps_read)
                hint = f": it reads {where}, so give {{{name!r}: {{{steps_read[0]}: value}}}}" if steps_read else ""
                raise ValueError(f"initial sets {name}[{k}] (at {origin}), but no equation of {cell.name!r} reads "
                                 f"{name} there{hint}")
            values.setdefault(name, {})[int(k)] = cell.signals[name].boundary(f"{k}", v, origin)
    return values


def _set_values(signal: Signal, T: int, initial: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Return a signal's values before and after the sequence that are set: {step: value}.

    The option `initial` replaces the definition's values on each side on which it has any.
    """
    ends = {k - signal.lead > T for k in initial}
    found = {} if False in ends else dict(signal.initial)
    if True not in ends:
        found.update((T + k, value) for k, value in signal.final.items())
    return {**found, **initial}


def _batch_and_shapes(cell: Definition, T: int, declared: Mapping[str, Signal], values: Mapping[str, Values],
                      initial: Mapping[str, Mapping[int, Tensor]], known: Mapping[str, Shape], origin: Origin
                      ) -> tuple[Shape, dict[str, Shape]]:
    """Return the common shape of the batch, and the shape of one value of each input.

    Args:
        known: that of the batch, where it was given.
    """
    batches: dict[str, Shape] = dict(known)
    shapes: dict[str, Shape] = {}
    for name, signal in declared.items():
        if signal.shape is not None:
            shapes[name] = signal.shape
            batches[name] = _batch_axes(signal, values[name].shape, origin)
    states = _state_batches(cell, T, initial)
    batches.update(states)
    for name in declared:  # without a declared size: the last axis is a vector's, unless all axes are the batch's
        if name not in shapes:
            rest = values[name].shape[1:]
            vector = bool(rest) and not (batches and rest == next(iter(batches.values())))
            shapes[name] = rest[-1:] if vector else ()
            batches[name] = rest[:-1] if vector else rest
    rows = ", ".join(f"{name} {batch}" for name, batch in batches.items())
    try:
        batch = np.broadcast_shapes(*batches.values())
        of_data = np.broadcast_shapes(*(own for name, own in batches.items() if name not in states)) or batch
    except ValueError:
        raise ValueError(f"the batches don't fit together (at {origin}): {rows}. "
                         "Data are (T, batch, size)") from None
    other = [name for name, own in states.items() if own != of_data]
    if other:
        raise ValueError(f"the batches don't fit together (at {origin}): {rows}. {other[0]} has the batch of the data, "
                         f"{of_data}, or no batch axis, which is one value for all sequences")
    for name, static in cell.statics.items():
        own, shapes[name] = _split_static(static, values[name].shape, origin)
        batch = own if not batches and not batch else batch
        if own not in ((), batch):
            wanted = f"a static has no time axis. Give data of shape {(*batch, *shapes[name])}" \
                if len(own) > len(batch) else f"give data of shape {(*batch, *shapes[name])}"
            raise ValueError(f"the static {name} has data of shape {values[name].shape} (at {origin}), with batch axes "
                             f"{own}, but the batch has shape {batch}: {wanted}, or {shapes[name]} for all sequences. "
                             f"It was declared at {static.origin}")
    return batch, shapes


def _check_open_lengths(cell: Definition, shapes: Mapping[str, Shape], origin: Origin) -> None:
    """Check the equations with the lengths that the data have.

    Raises:
        ValueError: where lengths that the definition leaves open don't fit.
    """
    found = {name: shapes[name] for name, static in cell.statics.items() if None in static.lengths}
    found |= {name: shapes[name] for name, signal in cell.signals.items() if signal.given and signal.shape is None}
    if not found:
        return
    given = ", ".join(f"{name} {shape}" for name, shape in found.items())
    try:
        expression_shapes(cell, shapes)
    except OpenShapeError as error:
        raise ValueError(f"{error}\n  Lengths that the data tell have to fit; for one sequence they are {given} "
                         f"(at {origin})") from None
    except DefinitionError:  # of a signal whose size isn't known, which unrolling finds out
        return


def _split_static(static: Static, shape: Shape, origin: Origin) -> tuple[Shape, Shape]:
    """Return the batch's axes of the data of a static, and the shape of its value for one sequence."""
    ndim = len(static.lengths)
    own = shape[max(len(shape) - ndim, 0):]
    if len(own) < ndim or any(n not in (length, None) for length, n in zip(own, static.lengths)):
        sizes = ", ".join("any" if n is None else str(n) for n in static.lengths)
        raise ValueError(f"the static {static.name} has data of shape {shape} (at {origin}), but ({sizes}) or "
                         f"(batch, {sizes}) is needed: it was declared at {static.origin}")
    return shape[:len(shape) - ndim], own


def _state_batches(cell: Definition, T: int, initial: Mapping[str, Mapping[int, Tensor]]) -> dict[str, Shape]:
    """Return the batch axes of every value before or after the sequence that has any: {"h[0]": (batch,)}."""
    found: dict[str, Shape] = {}
    for signal in cell.signals.values():
        for k, value in _set_values(signal, T, initial.get(signal.name, {})).items():
            if signal.shape is not None and value.ndim > len(signal.shape):
                place = f"T{k - T:+d}" if k > T + signal.lead else str(k)
                found[f"{signal.name}[{place}]"] = value.shape[:value.ndim - len(signal.shape)]
    return found


def _batch_axes(signal: Signal, shape: Shape, origin: Origin) -> Shape:
    """Return the axes between time and those of the signal."""
    own = signal.shape or ()
    rest = shape[1:]
    if len(rest) < len(own) or rest[len(rest) - len(own):] != own:
        sizes = "".join(f", {n}" for n in own)
        wanted = f"(T{sizes}) or (T, batch{sizes})" if own else "(T,) or (T, batch)"
        raise ValueError(f"the data for {signal.name!r} have shape {shape} (at {origin}), but {wanted} is "
                         f"needed: {signal.name} was declared at {signal.origin} with {signal.declared_size}")
    return rest[:len(rest) - len(own)]


def mask_of(T: int, batch: Shape, lengths: Any, mask: Any, origin: Origin) -> NDArray[np.bool_] | None:
    """Return (T, *batch) bools from the lengths of the sequences or from the mask itself; None without either.

    Raises:
        ValueError: for both at once, a wrong shape or type, or lengths that are not in 0 … T.
    """
    if lengths is not None and mask is not None:
        raise ValueError(f"lengths and mask both give the lengths of the sequences: give one of them (at {origin})")
    if lengths is not None:
        ends = np.asarray(lengths)
        if ends.dtype.kind not in "iu" or ends.shape != batch:
            raise ValueError(f"lengths are whole numbers, one for each sequence: shape {batch} is needed, "
                             f"not {ends.dtype} of shape {ends.shape} (at {origin})")
        if ends.size and (ends.min() < 0 or ends.max() > T):
            raise ValueError(f"lengths are in 0 … {T} (the data have {T} steps), not {ends.min()} … {ends.max()} "
                             f"(at {origin})")
        result: NDArray[np.bool_] = np.arange(T).reshape(T, *(1 for _ in batch)) < ends
        return result
    if mask is None:
        return None
    flags = np.array(mask)
    if flags.dtype.kind not in "biuf" or flags.shape != (T, *batch):
        raise ValueError(f"the mask is bools (or numbers 0 and 1) of shape {(T, *batch)}, one for each step of each "
                         f"sequence, not {flags.dtype} of shape {flags.shape} (at {origin})")
    other = flags[(flags != 0) & (flags != 1)]
    if other.size:
        raise ValueError(f"the mask has 1 for each step that counts and 0 for the others, not {other[0]} (at {origin})")
    return flags.astype(bool)


def check_truncation(cell: Definition, inputs: Inputs, own: OwnSteps | None) -> None:
    """Raise ValueError where a truncation isn't defined for sequences of these steps."""
    truncation, origin = inputs.truncation, inputs.origin
    if own is None or not truncation.option:
        return
    if own.has_holes:
        raise ValueError(f"{truncation.option}= cuts at columns of the batch, so the mask may only end sequences: here "
                         f"one goes on after a masked step. Leave out {truncation.option}=, or pad at the end "
                         f"(at {origin})")
    if truncation.option == "last":
        raise ValueError(f"last= needs sequences of one length: theirs are {own.length.min()} … {own.length.max()}, "
                         f"of {own.T} steps. Use chunks= or window= (at {origin})")
    for name, values in inputs.boundary.items():
        learned = [k for k, value in values.items() if k > inputs.T + cell.signals[name].lead and value.requires_grad]
        if learned and truncation.option == "window":
            raise ValueError(f"window= with sequences of unequal length gives no gradient to values after the end, but "
                             f"{name}[T+{learned[0] - inputs.T}] requires one, set at {values[learned[0]].origin}. "
                             f"Use chunks= (at {origin})")


def _boundary_values(cell: Definition, T: int, initial: Mapping[str, dict[int, Tensor]]
                     ) -> dict[str, dict[int, Tensor]]:
    """Return the values before and after the sequence that are set, for every signal: {name: {k: value}}.

    Raises:
        ValueError: where an equation or the data bring that value, or a part of a history is missing.
    """
    found: dict[str, dict[int, Tensor]] = {}
    for name, signal in cell.signals.items():
        found[name] = _set_values(signal, T, initial.get(name, {}))
        for k, value in found[name].items():
            if 1 <= k - signal.lead <= T:
                raise ValueError(f"{name}[{k}] is set at {value.origin}, but its value comes from "
                                 f"{signal.equation.origin if signal.equation else 'the data'}")
    indices = integer_signals(cell)  # of which a zero would mean something
    for name, boundary in boundaries(cell).items():
        for needed in ([*boundary.before], [T + k for k in boundary.after]):
            missing = [k for k in needed if k not in found[name]]
            required = cell.signals[name].given or cell.signals[name] in indices
            if missing and (required or len(missing) < len(needed)):
                raise ValueError(_no_value(cell, cell.signals[name], missing[0], T))
    return found


def _no_value(cell: Definition, signal: Signal, k: int, T: int) -> str:
    readers = [str(equation.origin) for equation in cell.equations
               if any(read.signal is signal for read in reads(equation))]
    after = k > T
    place = f"T{k - T:+d}" if after else str(k)
    return (f"{signal.name}[{place}] is read at {', '.join(dict.fromkeys(readers))}, "
            f"{'after the last' if after else 'before the first'} value that is given. "
            f"Set it: {signal.name}[{place}] = ..., e.g. 0")
