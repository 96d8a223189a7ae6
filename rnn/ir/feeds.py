"""What a compiled program is called with: data, masks, random draws and values before the sequence, as arrays.

The batch is one axis here: (T, B, size). Shared by all that computes a definition without a graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from rnn.language.dependencies import Boundary, boundaries
from rnn.language.equations import Definition
from rnn.unrolling.inputs import Data, history
from rnn.unrolling.truncation import Truncation

from .lowering import Lowered, lead_of
from .nodes import LOSS_STEPS, MASK, keep_name


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
        found[MASK] = data.mask.reshape(data.T, -1)
    if type(data.truncation) is not Truncation:
        steps = range(1, data.T + 1)
        found[LOSS_STEPS] = np.array([[not data.truncation.constant(step)] for step in steps])
        for delay in low.keeps:
            found[keep_name(delay)] = np.array([[not data.truncation.cuts(step - delay, step)] for step in steps])
    return found


def draws(low: Lowered, T: int, batch: tuple[int, ...]) -> dict[str, Any]:
    """What dropouts keep, drawn by the definition's generators in the order of `unroll`: step by step."""
    found: dict[str, list[Any]] = {name: [] for name in low.draws}
    for _ in range(T if found else 0):
        for name, (op, shape) in low.draws.items():
            found[name].append(op.forward(np.zeros((*batch, *shape))))
    return {name: np.array(values) for name, values in found.items()}


def counted(data: Data, losses: NDArray[Any]) -> int:
    """How many losses a mean is over: those of steps at which a sequence isn't over."""
    return losses.size if data.mask is None else max(int(data.mask.sum()), 1)


def boundary_values(cell: Definition, data: Data) -> dict[tuple[str, int], Tensor]:
    """The values before and after the sequence that are set and read, by signal and step of its equation.

    Steps up to 0 are before the sequence, 1 and more after it.

    Raises:
        ValueError: where an equation or the data bring that value, or a part of a history is missing.
    """
    found: dict[tuple[str, int], Tensor] = {}
    known = boundaries(cell)
    for signal, given in history(cell, data).items():
        boundary, lead = known.get(signal.name, Boundary(range(0), range(0))), lead_of(signal)
        found.update(((signal.name, k - lead), given[k]) for k in boundary.before if k in given)
        found.update(((signal.name, k - lead), given[data.T + k]) for k in boundary.after if data.T + k in given)
    return found
