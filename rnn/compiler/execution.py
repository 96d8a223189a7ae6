"""Running compiled programs: a program loaded by Python, a checked call, its arrays and results.

Doesn't import the passes that make programs.
"""

from __future__ import annotations

import linecache
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.backward import cast_gradient
from minigrad.tensor import constant
from rnn.language.dependencies import boundaries
from rnn.unrolling.inputs import Inputs
from rnn.unrolling.state import State
from rnn.unrolling.truncation import LossSteps, WindowSteps

from .emit import render
from .pipeline import Program

MAX_BUFFERS = 4  # (T, batch size) pairs that a program keeps arrays for


class Loaded:
    """A program whose text Python has compiled, and its arrays."""

    def __init__(self, program: Program, dtype: np.dtype[Any], name: str) -> None:
        self.program = program
        self.dtype = dtype
        self.text = render(program.code, program.lowered.cell, program.names, dtype)
        self.file = f"<compiled {name}>"
        linecache.cache[self.file] = (len(self.text), None, self.text.splitlines(True), self.file)
        space: dict[str, Any] = {name: op for name, (op, _) in program.code.operations.items()}
        exec(compile(self.text, self.file, "exec"), space)
        # the arrays for T steps of B sequences, from a cache of the latest few
        self.arrays: Callable[[int, int], SimpleNamespace] = lru_cache(MAX_BUFFERS)(space["buffers"])
        self.forward = space["forward"]
        self.backward = space.get("backward")
        passes = program.code.forward, program.code.backward
        self.data = [[node.op.name for node in part.inputs] for part in passes]
        self.weights = [[node.op.tensor for node in part.weights] for part in passes]


@dataclass(frozen=True)
class CallPlan:
    """All of a call but its data: made once, it serves every call whose inputs have the same shapes and dtypes.

    Attributes:
        loaded: the program.
        inputs: the checked inputs; in a cached plan without their values.
        boundary: (signal, step) -> the value before or after the sequence that is set.
        copies: id of a tensor that depends on parameters alone -> the same, computed from their present values.
    """

    loaded: Loaded
    inputs: Inputs
    boundary: Mapping[tuple[str, int], Tensor]
    copies: Mapping[int, Tensor]

    @cached_property
    def B(self) -> int:
        """The number of sequences."""
        return math.prod(self.inputs.batch)

    @cached_property
    def weights(self) -> list[list[Tensor]]:
        """The tensors that the forward and the backward function take."""
        return [[self.copies.get(id(x), x) for x in tensors] for tensors in self.loaded.weights]

    def without_values(self) -> CallPlan:
        """Return the plan to be cached: it keeps no data alive."""
        return replace(self, inputs=replace(self.inputs, values={}))

    def call(self, values: Mapping[str, Any]) -> Call:
        """Return a call of this plan on other arrays of the same shapes."""
        shapes = self.inputs.shapes
        return Call(self, {name: array.reshape(self.inputs.T, self.B, *shapes[name]) for name, array in values.items()})


class Call:
    """One call: a plan and arrays.

    Attributes:
        values: data, masks and draws by name, as the program takes them: (T, B, *shape).
        arrays: the program's own.
    """

    def __init__(self, plan: CallPlan, values: Mapping[str, Any]) -> None:
        self.plan = plan
        self.loaded = plan.loaded
        self.values = values
        self.arrays = plan.loaded.arrays(plan.inputs.T, plan.B)

    def moved_to(self, loaded: Loaded) -> Call:
        """Return the same call for another program of the same definition; the data are copied."""
        program = self.loaded.program
        copies = {node.op.name: getattr(self.arrays, program.names.of[node]).copy()
                  for node in program.code.forward.inputs}
        return Call(replace(self.plan, loaded=loaded), {**self.values, **copies})

    def forward(self) -> None:
        """Compute every signal.

        Raises:
            ValueError, TypeError, IndexError: the error of an operation, with the line of the program.
        """
        self._run(self.loaded.forward, 0, self.values, self._boundary_arrays())

    def backward(self, given: Mapping[str, Any]) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Yield each requested gradient with its tensor.

        Args:
            given: the upstream gradients, or the scale of the loss, by name.
        """
        results = self._run(self.loaded.backward, 1, {**self.values, **given}, {})
        for key, name in self.loaded.program.gradients.items():
            yield self._target_and_gradient(key, results[name])

    def _run(self, function: Any, number: int, values: Mapping[str, Any], boundary: Mapping[str, Any]) -> Any:
        arguments = [values[name] for name in self.loaded.data[number]]
        weights = [tensor._array for tensor in self.plan.weights[number]]
        try:
            return function(self.arrays, *arguments, *weights, **boundary)
        except (ValueError, TypeError, IndexError) as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename != self.loaded.file:
                trace = trace.tb_next
            if trace is None:
                raise
            line = linecache.getline(self.loaded.file, trace.tb_lineno).strip()
            raise type(error)(f"{error}\n  in the program of {self.loaded.program.lowered.cell.name!r}, line "
                              f"{trace.tb_lineno}: {line}") from None

    def _boundary_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the values before and after the sequence, by their names in the program."""
        found = {}
        for key, value in self.plan.boundary.items():
            boundary = self.loaded.program.boundaries[key]
            array = self.plan.copies.get(id(value), value)._array
            if array.ndim > len(boundary.node.shape):
                array = np.broadcast_to(array, (*self.plan.inputs.batch, *boundary.node.shape))
                array = array.reshape(self.plan.B, *boundary.node.shape)
            found[boundary.name] = array
        return found

    def _target_and_gradient(self, key: object, gradient: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
        """Return the tensor of a gradient, and the gradient in its shape, as a separate array."""
        plan, inputs = self.plan, self.plan.inputs
        if isinstance(key, Tensor):
            tensor = plan.copies.get(id(key), key)
            if gradient.shape == tensor._array.shape and gradient.dtype is tensor._array.dtype:
                return tensor, gradient
        elif isinstance(key, tuple):
            value = plan.boundary[key]
            tensor = plan.copies.get(id(value), value)
            gradient = gradient.reshape(*inputs.batch, *gradient.shape[1:])
        else:
            tensor = inputs.values[str(key)]  # type: ignore[assignment]
            gradient = gradient.reshape(self.shape(str(key)))
            if inputs.mask is not None:
                mask = inputs.mask.reshape(inputs.mask.shape + (1,) * (gradient.ndim - inputs.mask.ndim))
                gradient = np.where(mask, gradient, 0)
        return tensor, np.array(cast_gradient(gradient, tensor, tensor))

    # ---- results
    def array(self, name: str) -> NDArray[Any]:
        """Return a signal's values at the steps of its equation: the program's own array."""
        found: NDArray[Any] = getattr(self.arrays, self.loaded.program.outputs[name])
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a signal's values at all steps."""
        return (self.plan.inputs.T, *self.plan.inputs.batch, *self.loaded.program.lowered.roots[name].shape)

    def steps(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Return a copy of a signal's values at t = first … last."""
        program = self.loaded.program
        node = program.lowered.roots[name]
        margin = program.plan.lifetimes.margins.get(node)
        array: NDArray[Any] = getattr(self.arrays, program.outputs[name] + ("_all" if margin else ""))
        start = first - 1 - program.lowered.cell.signals[name].lead + (margin[0] if margin else 0)
        part = array[start:start + last - first + 1].reshape(-1, *self.plan.inputs.batch, *node.shape)
        return np.array(part)

    def state(self) -> State:
        """Return the last values of every signal that is read with a delay."""
        T = self.plan.inputs.T
        return State({name: {k: constant(self.steps(name, T + k, T + k)[0], name) for k in boundary.before}
                      for name, boundary in boundaries(self.loaded.program.lowered.cell).items() if boundary.before})

    def window_inputs(self, window: WindowSteps) -> Inputs:
        """Return the inputs of one window of a sliding truncation, from the values of this call over all steps."""
        inputs, cell = self.plan.inputs, self.loaded.program.lowered.cell
        before, length = window.steps.start - 1, len(window.steps)
        part = slice(before, window.steps.stop - 1)
        boundary: dict[str, dict[int, Tensor]] = {}
        for entering in window.entering(cell, inputs.T, masked=False):  # programs take no other boundary values
            name, lead = entering.signal.name, entering.signal.lead
            value = None if entering.boundary is None else self.plan.boundary.get((name, entering.boundary))
            if value is None or entering.constant:
                k = entering.step + lead
                value = constant(self.steps(name, k, k)[0], name)
            k = entering.local + lead + (length if entering.local > 0 else 0)
            boundary.setdefault(name, {})[k] = value
        losses = range(window.loss_steps.start - before, window.loss_steps.stop - before)
        return replace(inputs, T=length, values={name: x[part] for name, x in inputs.values.items()},
                       mask=None if inputs.mask is None else inputs.mask[part], boundary=boundary,
                       truncation=LossSteps(length, losses))
