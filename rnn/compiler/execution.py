"""One call of a compiled program: its data, its arrays, and what comes back.

Knows programs, and neither how they are made nor what becomes of gradients.
"""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.backward import cast_gradient
from minigrad.tensor import constant
from rnn.ir.lowering import lead_of
from rnn.ir.nodes import Input, Weight
from rnn.language.dependencies import boundaries
from rnn.unrolling.inputs import Data
from rnn.unrolling.state import State
from rnn.unrolling.truncation import Windows

from .emit import render
from .pipeline import Program

MOST_BUFFERS = 4  # shapes of data that a program keeps arrays for


class Loaded:
    """A program whose text has been read in by Python, and its arrays."""

    def __init__(self, program: Program, dtype: np.dtype[Any], name: str) -> None:
        self.program = program
        self.dtype = dtype
        self.text = render(program.code, program.lowered.cell, program.names, dtype)
        self.file = f"<compiled {name}>"
        linecache.cache[self.file] = (len(self.text), None, self.text.splitlines(True), self.file)
        space: dict[str, Any] = {name: op for name, (op, _) in program.code.operations.items()}
        exec(compile(self.text, self.file, "exec"), space)
        self.make_buffers = space["buffers"]
        self.forward = space["forward"]
        self.backward = space.get("backward")
        self.buffers: dict[tuple[int, int], SimpleNamespace] = {}
        passes = program.code.forward, program.code.backward
        self.data = [[node.op.name for node in part.inputs if isinstance(node.op, Input)] for part in passes]
        self.weights = [[node.op.tensor for node in part.weights if isinstance(node.op, Weight)] for part in passes]

    def arrays(self, T: int, B: int) -> SimpleNamespace:
        """The arrays for data of this shape; the latest few are kept."""
        found = self.buffers.pop((T, B), None)
        if found is None:
            found = self.make_buffers(T, B)
            while len(self.buffers) >= MOST_BUFFERS:
                del self.buffers[next(iter(self.buffers))]
        self.buffers[T, B] = found
        return found


class Call:
    """One call.

    Attributes:
        data: what the program is called with, checked.
        values: the same as the program takes it: (T, B, size).
        given: the values before and after the sequence, by signal and step.
        copies: what depends on parameters alone, computed anew.
        windows: of a sliding truncation; its gradients come from calls of their own.
        k: the program's arrays.
    """

    def __init__(self, loaded: Loaded, data: Data, values: dict[str, Any],
                 given: Mapping[tuple[str, int], Tensor], copies: Mapping[int, Tensor]) -> None:
        self.loaded = loaded
        self.data = data
        self.B = math.prod(data.batch)
        self.values = values
        self.given = given
        self.copies = copies
        self.weights = [[copies.get(id(x), x) for x in tensors] for tensors in loaded.weights]
        self.windows: Windows | None = None
        self.k = loaded.arrays(data.T, self.B)

    def template(self) -> Call:
        """The same without arrays: only what they look like."""
        call: Call = Call.__new__(Call)
        call.__dict__.update(self.__dict__)
        call.values = {name: array.shape for name, array in self.values.items()}
        call.data = replace(self.data, inputs={})
        del call.k
        return call

    def again(self, inputs: Mapping[str, Any]) -> Call:
        """A call like this template with data of their own."""
        call: Call = Call.__new__(Call)
        call.__dict__.update(self.__dict__)
        call.values = {name: array.reshape(self.values[name]) for name, array in inputs.items()}
        call.k = self.loaded.arrays(self.data.T, self.B)
        return call

    def moved_to(self, loaded: Loaded) -> Call:
        """The same call in the arrays of another program of the same definition."""
        values = dict(self.values)
        for name in self.loaded.data[0]:
            values[name] = getattr(self.k, self.loaded.program.name_of(name)).copy()
        return Call(loaded, self.data, values, self.given, self.copies)

    def forward(self) -> None:
        """Compute every signal.

        Raises:
            ValueError, TypeError, IndexError: what an operation said, with the line of the program.
        """
        self._run(self.loaded.forward, 0, self.values, self._boundary_values())

    def backward(self, given: Mapping[str, Any]) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """The gradients of what they are asked for, each with the tensor it belongs to."""
        results = self._run(self.loaded.backward, 1, {**self.values, **given}, {})
        for key, name in self.loaded.program.gradients.items():
            yield self._target(key, results[name])

    def _run(self, function: Any, number: int, values: Mapping[str, Any], boundary: Mapping[str, Any]) -> Any:
        arguments = [values[name] for name in self.loaded.data[number]]
        weights = [tensor._data for tensor in self.weights[number]]
        try:
            return function(self.k, *arguments, *weights, **boundary)
        except (ValueError, TypeError, IndexError) as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename != self.loaded.file:
                trace = trace.tb_next
            if trace is None:
                raise
            line = linecache.getline(self.loaded.file, trace.tb_lineno).strip()
            raise type(error)(f"{error}\n  in the program of {self.loaded.program.lowered.cell.name!r}, line "
                              f"{trace.tb_lineno}: {line}") from None

    def _boundary_values(self) -> dict[str, NDArray[Any]]:
        """The values before and after the sequence, by their names in the text."""
        found = {}
        for key, value in self.given.items():
            boundary = self.loaded.program.boundaries[key]
            array = self.copies.get(id(value), value)._data
            if array.ndim > len(boundary.node.shape):
                array = np.broadcast_to(array, (*self.data.batch, *boundary.node.shape))
                array = array.reshape(self.B, *boundary.node.shape)
            found[boundary.name] = array
        return found

    def _target(self, key: object, gradient: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
        """What a gradient belongs to, and the gradient in its shape, in memory of its own."""
        if isinstance(key, Tensor):
            tensor = self.copies.get(id(key), key)
            if gradient.shape == tensor._data.shape and gradient.dtype is tensor._data.dtype:
                return tensor, gradient
        elif isinstance(key, tuple):
            value = self.given[key]
            tensor = self.copies.get(id(value), value)
            gradient = gradient.reshape(*self.data.batch, *gradient.shape[1:])
        else:
            tensor = self.data.inputs[str(key)]  # type: ignore[assignment]
            gradient = gradient.reshape(self.shape(str(key)))
            if self.data.mask is not None:
                mask = self.data.mask.reshape(self.data.mask.shape + (1,) * (gradient.ndim - self.data.mask.ndim))
                gradient = np.where(mask, gradient, 0)
        return tensor, np.array(cast_gradient(gradient, tensor, tensor))

    # ---- what it computed
    def array(self, name: str) -> NDArray[Any]:
        """A signal's values at the steps of its equation, as the program has them."""
        found: NDArray[Any] = getattr(self.k, self.loaded.program.outputs[name])
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a signal's values at all steps."""
        return (self.data.T, *self.data.batch, *self.loaded.program.lowered.roots[name].shape)

    def steps(self, name: str, first: int, last: int) -> NDArray[Any]:
        """A copy of a signal's values from one step to another, as the definition counts them."""
        program = self.loaded.program
        node = program.lowered.roots[name]
        margin = program.plan.lifetimes.margins.get(node)
        array: NDArray[Any] = getattr(self.k, program.outputs[name] + ("_all" if margin else ""))
        start = first - 1 - lead_of(program.lowered.cell.signals[name]) + (margin[0] if margin else 0)
        part = array[start:start + last - first + 1].reshape(-1, *self.data.batch, *node.shape)
        return np.array(part)

    def state(self) -> State:
        """The last values of every signal that is read with a delay."""
        T = self.data.T
        return State({name: {k: constant(self.steps(name, T + k, T + k)[0], name) for k in boundary.before}
                      for name, boundary in boundaries(self.loaded.program.lowered.cell).items() if boundary.before})
