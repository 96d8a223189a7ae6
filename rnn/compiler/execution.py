"""Running compiled programs: a program loaded by Python, a checked call, its arrays and results.

Doesn't import the passes that make programs.
"""

from __future__ import annotations

import linecache
import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.backward import ancestors, cast_gradient
from minigrad.mutation import check_modified, creation_counter
from minigrad.tensor import constant
from rnn.ir.nodes import Backward
from rnn.language.dependencies import boundaries, integer_tensors
from rnn.unrolling.inputs import Inputs
from rnn.unrolling.state import State
from rnn.unrolling.truncation import LossSteps, WindowSteps

from .emit import render
from .pipeline import Program

MAX_BUFFERS = 4  # (T, batch size) pairs that a program keeps arrays for


class ThreadBuffers(threading.local):
    """The arrays of a program, for each thread its own: several threads can call one program at the same time."""

    def __init__(self, make: Callable[[int, int], SimpleNamespace]) -> None:
        self.of = lru_cache(MAX_BUFFERS)(make)  # a cache of the latest few


class Loaded:
    """A program whose text Python has compiled, and its arrays."""

    def __init__(self, program: Program, dtype: np.dtype[Any], name: str) -> None:
        self.program = program
        self.dtype = dtype
        self.text = render(program.code, program.lowered.cell, program.names, dtype)
        self.file = f"<compiled {''.join(x if x.isprintable() else '?' for x in name)}>"
        linecache.cache[self.file] = (len(self.text), None, self.text.splitlines(True), self.file)
        weakref.finalize(self, linecache.cache.pop, self.file, None)
        space: dict[str, Any] = {name: op for name, (op, _) in program.code.operations.items()}
        exec(compile(self.text, self.file, "exec"), space)
        self.buffers = ThreadBuffers(space["buffers"])
        self.forward = space["forward"]
        self.backward = space.get("backward")
        passes = program.code.forward, program.code.backward
        self.data = [[node.op.name for node in part.inputs] for part in passes]
        self.weights = [[node.op.tensor for node in part.weights] for part in passes]
        self.labels = integer_tensors(program.lowered.cell)

    def place_of(self, error: Exception) -> str | None:
        """Return the operation, the signal and the lines at which an error was raised; None if not in the program."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self.file:
            trace = trace.tb_next
        if trace is None:
            return None
        line = self.text.splitlines()[trace.tb_lineno - 1].strip()
        place = f"  in the program of {self.program.lowered.cell.name!r}, line {trace.tb_lineno}: {line}"
        node = self.program.code.written_for.get(line)
        if node is None:
            return place
        op = node.op.of if isinstance(node.op, Backward) else node.op
        written = f", written at {node.origin}" if node.origin is not None else ""
        return f"{place}\n  which computes {node.name} by {type(op).__name__}{written}"


@dataclass(frozen=True)
class CallPlan:
    """All of a call but its data: made once, it serves every call whose inputs have the same shapes and dtypes.

    Attributes:
        loaded: the program.
        inputs: the checked inputs; in a cached plan without their values.
        boundary: (signal, step) -> the value before or after the sequence that is set.
        copies: id of a tensor that depends on parameters alone -> the same, computed from their present values.
        leaves, trained: the parameters and constants, and which of them required a gradient.
    """

    loaded: Loaded
    inputs: Inputs
    boundary: Mapping[tuple[str, int], Tensor]
    copies: Mapping[int, Tensor]
    leaves: list[Tensor]
    trained: list[bool]

    @cached_property
    def B(self) -> int:
        """The number of sequences."""
        return math.prod(self.inputs.batch)

    @cached_property
    def weights(self) -> list[list[Tensor]]:
        """The tensors that the forward and the backward function take."""
        return [[self.copies.get(id(x), x) for x in tensors] for tensors in self.loaded.weights]

    @cached_property
    def converted(self) -> list[list[int]]:
        """The places of weights of another type than the program's; labels keep theirs."""
        return [[place for place, x in enumerate(tensors)
                 if x.dtype != self.loaded.dtype and id(x) not in self.loaded.labels] for tensors in self.weights]

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
        arrays: the program's own, of the thread that made the call.
        order: position in creation order of the forward pass: parameters may not change after it.
    """

    def __init__(self, plan: CallPlan, values: Mapping[str, Any]) -> None:
        self.plan = plan
        self.loaded = plan.loaded
        self.values = values
        self.arrays = plan.loaded.buffers.of(plan.inputs.T, plan.B)  # of this thread
        self.order = 0

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
        self.arrays.call = None  # from here on the arrays no longer hold the values of the last call
        self.order = next(creation_counter)
        self._run(self.loaded.forward, 0, self.values, self._boundary_arrays())
        self.arrays.call = self

    def holds(self) -> bool:
        """Return whether the arrays still hold the values of this call."""
        return bool(self.arrays.call is self)

    def check_unmodified(self) -> None:
        """Check that no parameter or constant was changed since the forward pass.

        Raises:
            ValueError: if one was; names it and the line.
        """
        for tensor in self.tensors():
            check_modified(tensor)
            if tensor.changes is not None and tensor.changes.last > self.order:
                raise ValueError(f"{tensor!r}: its data was changed (at {tensor.changes.where}) after the program of "
                                 f"{self.loaded.program.lowered.cell.name!r} had used it, so that gradients would be "
                                 "wrong. Call the program again before its backward()")

    def tensors(self) -> list[Tensor]:
        """Return the parameters and constants, and boundary values, that the program reads."""
        read = {*self.loaded.program.lowered.weights, *self.plan.boundary.values()}
        return [x for tensor in read for x in (ancestors(tensor) if tensor.op is not None else [tensor])]

    def backward(self, given: Mapping[str, Any]) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Yield each requested gradient with its tensor.

        Args:
            given: the upstream gradients, or the scale of the loss, by name.
        """
        if self.loaded.backward is None:  # nothing requires a gradient
            return
        results = self._run(self.loaded.backward, 1, {**self.values, **given}, {})
        for key, name in self.loaded.program.gradients.items():
            yield self._target_and_gradient(key, results[name])

    def _run(self, function: Any, number: int, values: Mapping[str, Any], boundary: Mapping[str, Any]) -> Any:
        arguments = [values[name] for name in self.loaded.data[number]]
        weights = [x._data for x in self.plan.weights[number]]
        for index in self.plan.converted[number]:
            weights[index] = weights[index].astype(self.loaded.dtype)
        try:
            return function(self.arrays, *arguments, *weights, **boundary)
        except Exception as error:
            place = self.loaded.place_of(error)
            if place is None:
                raise
            if isinstance(error, (ValueError, TypeError, IndexError)):
                raise type(error)(f"{error}\n{place}") from None
            if hasattr(error, "add_note"):  # since Python 3.11
                error.add_note(place)
            raise

    def _boundary_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the values before and after the sequence, by their names in the program."""
        found = {}
        for key, value in self.plan.boundary.items():
            boundary = self.loaded.program.boundaries[key]
            array = self.plan.copies.get(id(value), value)._data
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
            if gradient.shape == tensor._data.shape and gradient.dtype is tensor._data.dtype:
                return tensor, gradient
        elif isinstance(key, tuple):
            value = plan.boundary[key]
            tensor = plan.copies.get(id(value), value)
            gradient = gradient.reshape((*inputs.batch, *gradient.shape[1:]))
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
