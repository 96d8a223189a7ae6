"""The arrays that a definition without a graph is computed from: data, masks, random draws, boundary values.

Shared by compiled programs and exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from rnn.language.dependencies import boundaries, random_tensors
from rnn.language.equations import Definition
from rnn.unrolling.inputs import Inputs
from rnn.unrolling.masks import OwnSteps, passes_after, reach_of_held

from .lowering import Lowered, LoweringOptions
from .nodes import ADDED, LOSS_STEPS, MASK, STEP, Input, keep_name


def lowering_options(cell: Definition, inputs: Inputs, boundary: Mapping[tuple[str, int], Any], masked: bool
                     ) -> LoweringOptions:
    """Return the properties of the inputs that a program depends on.

    Args:
        boundary: of `boundary_values`.
    """
    integers = tuple(name for name, x in inputs.values.items() if x.dtype.kind in "iu")
    after = tuple(name for name in values_after(boundary) if masked and not cell.signals[name].given)
    return LoweringOptions(tuple(inputs.shapes.items()), integers, masked, after, inputs.truncation.masks_gradients)


def input_arrays(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Return the data by name, the batch as one axis: (T, B, *shape).

    With a mask each sequence has its own steps at the front, and zeros after them.
    """
    found = {}
    for name, values in inputs.values.items():
        array = values._array if isinstance(values, Tensor) else values
        own = inputs.shapes[name]
        if array.shape[1:] != inputs.batch + own:
            batch = array.shape[1:array.ndim - len(own)]
            array = array.reshape(inputs.T, *(1,) * (len(inputs.batch) - len(batch)), *batch, *own)
            array = np.broadcast_to(array, (inputs.T, *inputs.batch, *own))
        array = array if inputs.own is None else inputs.own.compact(array)
        found[name] = array.reshape(inputs.T, -1, *own)
    return found


def fill_after(array: NDArray[Any], own: OwnSteps, values: Mapping[int, NDArray[Any]]) -> None:
    """Write values into an array (T, B, *shape) at the steps after the end of each sequence.

    Args:
        values: step after the end, 1, 2, ... -> (*shape), or (B, *shape).
    """
    for step, value in values.items():
        rows, sequences = own.steps_after(step)
        array[rows, sequences] = np.broadcast_to(value, array.shape[1:])[sequences]


def mask_arrays(inputs: Inputs, lowered: Lowered) -> dict[str, Any]:
    """Return which steps are own ones (T, B), and the steps (T, 1) at which a truncation lets gradients pass."""
    found: dict[str, Any] = {}
    if inputs.own is not None:
        found[MASK] = inputs.own.prefix.reshape(inputs.T, -1)
    if STEP in {x.op.name for x in lowered.node_of.values() if isinstance(x.op, Input)}:
        found[STEP] = step_numbers(inputs.T, inputs.batch, inputs.start).reshape(inputs.T, -1)
    if inputs.truncation.masks_gradients:
        steps = range(1, inputs.T + 1)
        found[LOSS_STEPS] = np.array([[not inputs.truncation.constant(step)] for step in steps])
        for delay in lowered.keeps:
            keep = uncut_steps(inputs, delay)[:, None]
            if inputs.own is not None and delay < 0:
                step, length = np.arange(1, inputs.T + 1)[:, None], inputs.own.length.reshape(-1)
                keep = keep | passes_after(step, length, delay, reach_of_held(inputs.truncation, 1))
            found[keep_name(delay)] = keep
    return found


def step_numbers(T: int, batch: tuple[int, ...], start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number of each own step of each sequence, (T, *batch), after `start` steps in runs before."""
    steps = np.arange(1.0, T + 1).reshape(T, *(1 for _ in batch)) + start
    return np.broadcast_to(steps, (T, *batch))


def uncut_steps(inputs: Inputs, delay: int) -> NDArray[np.bool_]:
    """Return for t = 1 … T whether a gradient passes from step t to step t - delay: (T,)."""
    return np.array([not inputs.truncation.cuts(step - delay, step) for step in range(1, inputs.T + 1)])


def draw_masks(lowered: Lowered, T: int, batch: tuple[int, ...]) -> dict[str, Any]:
    """Draw the dropout masks (T, *batch, *shape) by the definition's generators, in the order of `random_draws`."""
    found: dict[str, list[Any]] = {name: [] for name in lowered.draws}
    for _ in range(T if found else 0):
        for name, (op, shape) in lowered.draws.items():
            found[name].append(op.forward(np.zeros((*batch, *shape))))
    return {name: np.array(values) for name, values in found.items()}


def values_after(boundary: Mapping[tuple[str, int], Any]) -> dict[str, dict[int, Any]]:
    """Return those of `boundary_values` after the sequence: signal -> {step of its equation after T: value}."""
    found: dict[str, dict[int, Any]] = {}
    for (name, step), value in boundary.items():
        if step > 0:
            found.setdefault(name, {})[step] = value
    return found


def weight_draws(cell: Definition) -> dict[str, Tensor]:
    """Return the tensors drawn at random from parameters, by the names of their draws."""
    return {f"{ADDED}drawn weight {n}": x for n, x in enumerate(random_tensors(cell), 1)}


def draw_weights(cell: Definition) -> dict[str, Any]:
    """Draw the dropout masks of parameters, which come before those of `draw_masks`."""
    return {name: x.op.forward(*(np.zeros(y.shape) for y in x.inputs))  # type: ignore[union-attr]
            for name, x in weight_draws(cell).items()}


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
