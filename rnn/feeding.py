"""What a compiled program is called with: data, masks, random draws and values before the sequence, as arrays.

The batch is one axis here: (T, B, size). Shared by all that computes a definition without a graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.origin import here

from .analysis import boundaries
from .data import Data
from .equations import Cell
from .lowering import Lowered, lead_of
from .truncation import Truncation


def inputs(data: Data) -> dict[str, NDArray[Any]]:
    """The data as (T, B, size); zero where a sequence is over."""
    found = {}
    for name, values in data.inputs.items():
        array = values._data if isinstance(values, Tensor) else values
        own = data.shapes[name]
        if array.shape[1:] != data.batch + own:
            batch = array.shape[1:array.ndim - len(own)]
            array = array.reshape(data.T, *(1,) * (len(data.batch) - len(batch)), *batch, *own)
            array = np.broadcast_to(array, (data.T, *data.batch, *own))
        if data.mask is not None:
            array = np.where(data.mask.reshape(data.mask.shape + (1,) * len(own)), array, np.zeros((), array.dtype))
        found[name] = array.reshape(data.T, -1, *own)
    return found


def flags(data: Data, low: Lowered) -> dict[str, Any]:
    """Where sequences are over, and where gradients stop."""
    found: dict[str, Any] = {}
    if data.mask is not None:
        found["~mask"] = data.mask.reshape(data.T, -1)
    if type(data.truncation) is not Truncation:
        steps = range(1, data.T + 1)
        found["~owed"] = np.array([[not data.truncation.constant(step)] for step in steps])
        for delay in low.keeps:
            found[f"~keep {delay}"] = np.array([[not data.truncation.cuts(step - delay, step)] for step in steps])
    return found


def draws(data: Data, low: Lowered) -> dict[str, Any]:
    """What is drawn at random, in the order in which the unrolled graph draws it: step by step."""
    found: dict[str, list[Any]] = {name: [] for name in low.draws}
    for _ in range(data.T if found else 0):
        for name, (op, shape) in low.draws.items():
            found[name].append(op.forward(np.zeros((*data.batch, *shape))))
    return {name: np.reshape(values, (data.T, -1, *low.draws[name][1])) for name, values in found.items()}


def counted(data: Data, losses: NDArray[Any]) -> int:
    """How many losses a mean is over: those of steps at which a sequence isn't over."""
    return losses.size if data.mask is None else max(int(data.mask.sum()), 1)


def boundary_values(cell: Cell, data: Data) -> dict[tuple[str, int], Tensor]:
    """The values before and after the sequence that are set, by signal and step of its equation.

    Raises:
        ValueError: where an equation computes it, or a part of a history is missing.
    """
    found: dict[tuple[str, int], Tensor] = {}
    known = boundaries(cell)
    for signal in cell.signals.values():
        T, lead = data.T, lead_of(signal)
        given = {**signal.initial, **{T + k: value for k, value in signal.final.items()}}
        given = data.initial.get(signal.name, given)
        for k, value in given.items():
            if 1 <= k - lead <= T:
                raise ValueError(f"{signal.name}[{k}] is set at {value.origin}, but its value comes from "
                                 f"{signal.equation.origin if signal.equation else 'the data'}")
        boundary = known.get(signal.name)
        if boundary is None:
            continue
        needed = [*boundary.before], [T + k for k in boundary.after]
        for part in needed:
            missing = [k for k in part if k not in given]
            if missing and (signal.given or len(missing) < len(part)):
                place = str(missing[0]) if missing[0] <= T else f"T{missing[0] - T:+d}"
                raise ValueError(f"{signal.name}[{place}] is read, and no value is given for it (at {here()}). "
                                 f"Set it: {signal.name}[{place}] = ..., e.g. 0")
        for k, value in given.items():
            if k in needed[0] or k in needed[1]:
                found[signal.name, k - lead if k <= lead else k - lead - T] = value
    return found
