"""The arrays that a definition without a graph is computed from: data, masks, random draws, boundary values.

Shared by compiled programs and exports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from rnn.language.dependencies import boundaries
from rnn.language.equations import Definition
from rnn.unrolling.inputs import Inputs

from .lowering import Lowered, LoweringOptions
from .nodes import LOSS_STEPS, MASK, keep_name


def lowering_options(inputs: Inputs, masked: bool) -> LoweringOptions:
    """Return the properties of the inputs that a program depends on."""
    integers = tuple(name for name, x in inputs.values.items() if x.dtype.kind in "iu")
    return LoweringOptions(tuple(inputs.shapes.items()), integers, masked, inputs.truncation.masks_gradients)


def input_arrays(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Return the data by name, the batch as one axis: (T, B, *shape). Masked steps are zero."""
    found = {}
    for name, values in inputs.values.items():
        array = values._array if isinstance(values, Tensor) else values
        own = inputs.shapes[name]
        if array.shape[1:] != inputs.batch + own:
            batch = array.shape[1:array.ndim - len(own)]
            array = array.reshape(inputs.T, *(1,) * (len(inputs.batch) - len(batch)), *batch, *own)
            array = np.broadcast_to(array, (inputs.T, *inputs.batch, *own))
        if inputs.mask is not None:
            array = np.where(inputs.mask.reshape(inputs.mask.shape + (1,) * len(own)), array, np.zeros((), array.dtype))
        found[name] = array.reshape(inputs.T, -1, *own)
    return found


def mask_arrays(inputs: Inputs, lowered: Lowered) -> dict[str, Any]:
    """Return the mask (T, B), and the flags (T, 1) of the steps at which a truncation lets gradients pass."""
    found: dict[str, Any] = {}
    if inputs.mask is not None:
        found[MASK] = inputs.mask.reshape(inputs.T, -1)
    if inputs.truncation.masks_gradients:
        steps = range(1, inputs.T + 1)
        found[LOSS_STEPS] = np.array([[not inputs.truncation.constant(step)] for step in steps])
        for delay in lowered.keeps:
            found[keep_name(delay)] = uncut_steps(inputs, delay)[:, None]
    return found


def uncut_steps(inputs: Inputs, delay: int) -> NDArray[np.bool_]:
    """Return for t = 1 … T whether a gradient passes from step t to step t - delay: (T,)."""
    return np.array([not inputs.truncation.cuts(step - delay, step) for step in range(1, inputs.T + 1)])


def draw_masks(lowered: Lowered, T: int, batch: tuple[int, ...]) -> dict[str, Any]:
    """Draw the dropout masks (T, *batch, *shape) by the definition's generators, in the order of `unroll`."""
    found: dict[str, list[Any]] = {name: [] for name in lowered.draws}
    for _ in range(T if found else 0):
        for name, (op, shape) in lowered.draws.items():
            found[name].append(op.forward(np.zeros((*batch, *shape))))
    return {name: np.array(values) for name, values in found.items()}


def boundary_values(cell: Definition, inputs: Inputs) -> dict[tuple[str, int], Tensor]:
    """Return the values before and after the sequence that are set and read, by signal and step of its equation.

    Steps up to 0 are before the sequence, 1 and more after it.
    """
    found: dict[tuple[str, int], Tensor] = {}
    for name, outside in boundaries(cell).items():
        given, lead = inputs.boundary[name], cell.signals[name].lead
        found.update(((name, k - lead), given[k]) for k in outside.before if k in given)
        found.update(((name, k - lead), given[inputs.T + k]) for k in outside.after if inputs.T + k in given)
    return found
