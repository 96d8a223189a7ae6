"""The data of one unroll, checked: how many steps, which batch, which values from outside.

Knows the definition's signals, and of its equations only how far they reach.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.provenance import Origin, call_site
from rnn.language.dependencies import Boundary, boundaries, parameters, reads
from rnn.language.equations import Definition, Signal

from .state import State
from .truncation import Truncation, truncation

Shape = tuple[int, ...]
Values = Tensor | NDArray[Any]


@dataclass
class Data:
    """What a definition is unrolled over.

    Attributes:
        T: the number of steps.
        batch: the shape of the batch; () for a single sequence.
        dtype: that of the states.
        inputs: input name -> all its values, (T, ...).
        shapes: signal name -> the shape of one value of one sequence, for the inputs.
        initial: signal name -> {step: value}, in the place of what the definition sets.
        mask: (T, *batch) bools, False where a sequence is over; None where none is.
        truncation: where gradients stop.
        origin: the line that unrolls.
    """

    T: int
    batch: Shape
    dtype: np.dtype[Any]
    inputs: dict[str, Values]
    shapes: dict[str, Shape]
    initial: dict[str, dict[int, Tensor]]
    mask: NDArray[np.bool_] | None
    truncation: Truncation
    origin: Origin


def prepared(cell: Definition, T: int | None, inputs: Mapping[str, Any], initial: Any, lengths: Any, mask: Any,
             chunks: Any, window: Any, last: Any) -> Data:
    """The data of an unroll, checked against the declarations.

    Raises:
        ValueError: for data that are missing, unknown, of unequal length or of a wrong size.
        TypeError: for data that aren't numbers.
    """
    origin = call_site()
    declared = {name: signal for name, signal in cell.signals.items() if signal.given}
    _check_names(cell, declared, inputs, origin)
    values = {name: _values(name, inputs[name], origin) for name in declared}
    steps = _length(values, T, origin)
    starts = _initial(cell, steps, initial, origin)
    batch, shapes = _batch(cell, declared, values, starts, origin)
    floats = [array.dtype for array in values.values() if array.dtype.kind == "f"]
    floats = floats or [p.dtype for p in parameters(cell).values()] or [np.dtype(float)]
    return Data(steps, batch, np.result_type(*floats), values, shapes, starts,
                _mask(steps, batch, lengths, mask, origin), truncation(steps, chunks, window, last, origin), origin)


def _check_names(cell: Definition, declared: Mapping[str, Signal], inputs: Mapping[str, Any], origin: Origin) -> None:
    for name in inputs:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = (f"did you mean {near[0]!r}?" if near else
                    f"its inputs are {', '.join(declared)}" if declared else "it has none")
            raise ValueError(f"{cell.name!r} has no input {name!r}: {hint} (at {origin})")
    missing = [name for name in declared if name not in inputs]
    if missing:
        given = ", ".join(f"{name}=..." for name in declared)
        raise ValueError(f"no data for the input {missing[0]!r}, declared at {declared[missing[0]].origin}: "
                         f"call unroll({given}) (at {origin})")


def _values(name: str, value: Any, origin: Origin) -> Values:
    """The data of one input: a Tensor that requires a gradient, or an array of our own, that nobody changes."""
    values: Values
    if isinstance(value, Tensor):
        values = value if value.requires_grad else value.numpy()
    else:
        try:
            values = np.array(value)
        except ValueError as error:
            raise ValueError(f"the data for {name!r} are no array (at {origin}): {error}") from None
    if values.dtype.kind not in "biuf":
        raise TypeError(f"the data for {name!r} are {values.dtype}, not real numbers (at {origin})")
    if values.ndim == 0:
        raise ValueError(f"the data for {name!r} are one number (at {origin}); they need a first axis: time")
    return values


def _length(values: Mapping[str, Values], T: int | None, origin: Origin) -> int:
    lengths = {name: array.shape[0] for name, array in values.items()}
    if T is not None:
        if isinstance(T, bool) or not isinstance(T, (int, np.integer)) or T < 1:
            raise ValueError(f"T is a number of steps, 1 or more, not {T!r} (at {origin})")
        lengths = {"T": int(T), **lengths}
    if not lengths:
        raise ValueError(f"no input tells the number of steps: call unroll(T=...) (at {origin})")
    if len(set(lengths.values())) > 1:
        rows = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"inputs of unequal length (at {origin}): {rows}. "
                         "The first axis is time; cut or pad them to one length")
    length = next(iter(lengths.values()))
    if length < 1:
        raise ValueError(f"the data have no time step (at {origin}): {next(iter(lengths))!r} has length 0")
    return length


def _initial(cell: Definition, T: int, initial: Any, origin: Origin) -> dict[str, dict[int, Tensor]]:
    """{name: {step: value}} from a State, {"h": h0} or {"h": {0: v, -1: w}}."""
    given: Mapping[str, Any] = initial.values if isinstance(initial, State) else initial or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"initial is a run's state or a dict from signal names to values, "
                        f"not {type(initial).__name__} (at {origin})")
    known = boundaries(cell)
    values: dict[str, dict[int, Tensor]] = {}
    for name, value in given.items():
        if name not in cell.signals:
            raise ValueError(f"initial sets {name!r}, but {cell.name!r} has no such signal (at {origin}): "
                             f"it has {', '.join(cell.signals)}")
        signal = cell.signals[name]
        first = signal.equation.lead if signal.equation else 0
        steps = value if isinstance(value, Mapping) else {first: value}
        for k, v in steps.items():
            if not isinstance(k, (int, np.integer)):
                raise TypeError(f"initial gives {name} a value for step {k!r}; steps are whole numbers, e.g. "
                                f"{{{name!r}: {{0: value}}}} (at {origin})")
            if name not in known or not (k in known[name].before or k - T in known[name].after):
                raise ValueError(f"initial sets {name}[{k}] (at {origin}), but no equation of {cell.name!r} reads "
                                 f"{name} there")
            values.setdefault(name, {})[int(k)] = signal.boundary(f"{k}", v, origin)
    return values


def _batch(cell: Definition, declared: Mapping[str, Signal], values: Mapping[str, Values],
           initial: Mapping[str, Mapping[int, Tensor]], origin: Origin) -> tuple[Shape, dict[str, Shape]]:
    """The common shape of the batch, and the shape of each input's vector."""
    batches: dict[str, Shape] = {}
    shapes: dict[str, Shape] = {}
    for name, signal in declared.items():
        if signal.shape is not None:
            shapes[name] = signal.shape
            batches[name] = _leading(signal, values[name].shape, origin)
    for signal in cell.signals.values():
        for k, value in initial.get(signal.name, signal.initial).items():
            if signal.shape is not None and value.ndim > len(signal.shape):
                batches[f"{signal.name}[{k}]"] = value.shape[:value.ndim - len(signal.shape)]
    for name in declared:  # those whose size the data tell: a vector, unless all axes are the batch's
        if name not in shapes:
            rest = values[name].shape[1:]
            vector = bool(rest) and not (batches and rest == next(iter(batches.values())))
            shapes[name] = rest[-1:] if vector else ()
            batches[name] = rest[:-1] if vector else rest
    try:
        return np.broadcast_shapes(*batches.values()), shapes
    except ValueError:
        rows = ", ".join(f"{name} {batch}" for name, batch in batches.items())
        raise ValueError(f"the batches don't fit together (at {origin}): {rows}. "
                         "Data are (T, batch, size)") from None


def _leading(signal: Signal, shape: Shape, origin: Origin) -> Shape:
    """The axes between time and the vector."""
    own = signal.shape or ()
    rest = shape[1:]
    if len(rest) < len(own) or rest[len(rest) - len(own):] != own:
        wanted = f"(T, {own[0]}) or (T, batch, {own[0]})" if own else "(T,) or (T, batch)"
        raise ValueError(f"the data for {signal.name!r} have shape {shape} (at {origin}), but {wanted} is "
                         f"needed: {signal.name} was declared at {signal.origin} with size {own[0] if own else ()}")
    return rest[:len(rest) - len(own)]


def _mask(T: int, batch: Shape, lengths: Any, mask: Any, origin: Origin) -> NDArray[np.bool_] | None:
    """(T, *batch) bools from the lengths of the sequences or from the mask itself."""
    if lengths is not None and mask is not None:
        raise ValueError(f"lengths and mask say the same in two ways: give one (at {origin})")
    if lengths is not None:
        ends = np.asarray(lengths)
        if ends.dtype.kind not in "iu" or ends.shape != batch:
            raise ValueError(f"lengths are whole numbers, one for each sequence: shape {batch} is needed, "
                             f"not {ends.dtype} of shape {ends.shape} (at {origin})")
        if ends.size and (ends.min() < 1 or ends.max() > T):
            raise ValueError(f"lengths are in 1 … {T} (the data have {T} steps), not {ends.min()} … {ends.max()} "
                             f"(at {origin})")
        result: NDArray[np.bool_] = np.arange(T).reshape(T, *(1 for _ in batch)) < ends
        return result
    if mask is None:
        return None
    flags = np.array(mask)
    if flags.dtype != bool or flags.shape != (T, *batch):
        raise ValueError(f"the mask is bools of shape {(T, *batch)}, one for each step of each sequence, "
                         f"not {flags.dtype} of shape {flags.shape} (at {origin})")
    return flags


def history(cell: Definition, data: Data) -> dict[Signal, dict[int, Tensor]]:
    """The values before and after the sequence that are set, signal by signal, by step.

    Raises:
        ValueError: where an equation or the data bring that value, or a part of a history is missing.
    """
    found: dict[Signal, dict[int, Tensor]] = {}
    known = boundaries(cell)
    for signal in cell.signals.values():
        T, lead = data.T, signal.equation.lead if signal.equation else 0
        given = {**signal.initial, **{T + k: value for k, value in signal.final.items()}}
        given = found[signal] = data.initial.get(signal.name, given)
        for k, value in given.items():
            if 1 <= k - lead <= T:
                raise ValueError(f"{signal.name}[{k}] is set at {value.origin}, but its value comes from "
                                 f"{signal.equation.origin if signal.equation else 'the data'}")
        boundary = known.get(signal.name, Boundary(range(0), range(0)))
        for needed in ([*boundary.before], [T + k for k in boundary.after]):
            missing = [k for k in needed if k not in given]
            if missing and (signal.given or len(missing) < len(needed)):
                raise ValueError(_no_history(cell, signal, missing[0], T))
    return found


def _no_history(cell: Definition, signal: Signal, k: int, T: int) -> str:
    readers = [str(equation.origin) for equation in cell.equations
               if any(read.signal is signal for read in reads(equation))]
    late = k > T
    place = f"T{k - T:+d}" if late else str(k)
    return (f"{signal.name}[{place}] is read at {', '.join(dict.fromkeys(readers))}, "
            f"{'after the last' if late else 'before the first'} value that is given. "
            f"Set it: {signal.name}[{place}] = ..., e.g. 0")
