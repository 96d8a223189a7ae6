"""cell.compile(): the definition as a NumPy program, and how it is called.

The text of a program is made by program.py for the shapes at hand; here it is run on data. What is
computed is what `unroll` and `backward` compute, without a graph.
"""

from __future__ import annotations

import linecache
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from minigrad.backward import fitted, flow
from minigrad.origin import here, settings
from minigrad.tensor import constant

from .analysis import DefinitionError, boundaries, check
from .data import Data, prepared
from .equations import Cell
from .listing import listing
from .lowering import Options, lead_of
from .plan import replayed
from .program import Program, Wanted
from .run import State
from .truncation import Truncation, Windows

MOST_BUFFERS = 4  # shapes of data that a program keeps arrays for


class Outputs(Mapping[str, NDArray[Any]]):
    """What a call computed: `outputs["y"]` is y at t = 1 … T, (T, batch, size).

    The arrays are copies, made when they are asked for; after another call they are gone.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def __getitem__(self, name: str) -> NDArray[Any]:
        call = self._call
        if name not in call.loaded.program.outputs:
            raise KeyError(f"no signal {name!r}; there are {', '.join(call.loaded.program.outputs)}")
        call.check_present()
        return call.steps(name, 1, call.data.T)

    def __iter__(self) -> Iterator[str]:
        return iter(self._call.loaded.program.outputs)

    def __len__(self) -> int:
        return len(self._call.loaded.program.outputs)

    @property
    def state(self) -> State:
        """What the next call, or `unroll`, may start from: `initial=outputs.state`. It is constant."""
        return self._call.state()

    def __repr__(self) -> str:
        return f"<Outputs {', '.join(self)}: T = {self._call.data.T}, batch {self._call.data.batch}>"


class Result(NamedTuple):
    """The loss, and everything that was computed on the way."""

    loss: float
    outputs: Outputs


class Loaded:
    """A program whose text has been read in by Python, and its arrays."""

    def __init__(self, program: Program, dtype: np.dtype[Any], name: str) -> None:
        self.program = program
        self.text = listing(program, dtype)
        self.file = f"<compiled {name}>"
        linecache.cache[self.file] = (len(self.text), None, self.text.splitlines(True), self.file)
        space: dict[str, Any] = dict(program.source.text.operations)
        exec(compile(self.text, self.file, "exec"), space)
        self.make_buffers = space["buffers"]
        self.forward = space["forward"]
        self.backward = space.get("backward")
        self.buffers: dict[tuple[int, int], SimpleNamespace] = {}
        source = program.source
        names = program.names.of
        self.forward_data = [(node.op.name, names[node]) for node in source.data(source.passes[0])]
        self.backward_data = [(node.op.name, names[node]) for node in source.data(source.passes[1])]
        self.forward_weights = [(names[node], node.op.tensor) for node in source.weights(source.passes[0])]
        self.backward_weights = [(names[node], node.op.tensor) for node in source.weights(source.passes[1])]

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
    """One call: its data, and where its values are."""

    def __init__(self, fast: Compiled, loaded: Loaded, data: Data, values: dict[str, Any],
                 given: dict[tuple[str, int], Tensor], copies: Mapping[int, Tensor]) -> None:
        self.fast = fast
        self.loaded = loaded
        self.data = data
        self.B = math.prod(data.batch)
        self.k = loaded.arrays(data.T, self.B)
        self.values = values
        self.given = given
        self.copies = copies

    def check_present(self) -> None:
        """Raise where a later call has overwritten the values."""
        if self.fast._last is not self:
            raise RuntimeError(f"the values of this call are gone: {self.fast.cell.name!r} was called again since. "
                               "Take what you need, outputs['y'], before the next call")

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a signal's values at all steps."""
        return (self.data.T, *self.data.batch, *self.loaded.program.low.roots[name].shape)

    def boundary_values(self) -> dict[str, NDArray[Any]]:
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

    def target(self, key: object, gradient: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
        """What a gradient belongs to, and the gradient in its shape."""
        tensor: Tensor
        if isinstance(key, Tensor):
            tensor = self.copies.get(id(key), key)
        elif isinstance(key, tuple):
            value = self.given[key]
            tensor = self.copies.get(id(value), value)
            gradient = gradient.reshape(*self.data.batch, *gradient.shape[1:])
        else:
            tensor = self.data.inputs[key]
            gradient = gradient.reshape(self.shape(key))
            if self.data.mask is not None:
                mask = self.data.mask.reshape(self.data.mask.shape + (1,) * (gradient.ndim - self.data.mask.ndim))
                gradient = np.where(mask, gradient, 0)
        return tensor, np.array(fitted(gradient, tensor, tensor))

    def state(self) -> State:
        """The last values of every signal that is read with a delay."""
        self.check_present()
        T = self.data.T
        return State({name: {k: constant(self.steps(name, T + k, T + k)[0], name) for k in boundary.before}
                      for name, boundary in boundaries(self.fast.cell).items() if boundary.before})

    def steps(self, name: str, first: int, last: int) -> NDArray[Any]:
        """A copy of a signal's values from one step to another, as the definition counts them."""
        program = self.loaded.program
        node = program.low.roots[name]
        margin = program.source.margins.get(node)
        array = getattr(self.k, program.outputs[name] + ("_all" if margin else ""))
        start = first - 1 - lead_of(self.fast.cell.signals[name]) + (margin[0] if margin else 0)
        return array[start:start + last - first + 1].reshape(-1, *self.data.batch, *node.shape).copy()  # type: ignore[no-any-return]


class Compiled:
    """A definition as a NumPy program; made by `Cell.compile`.

    Attributes:
        cell: the definition.
        loss: the signal that is summed to the loss, or None.
    """

    def __init__(self, cell: Cell, loss: str | None = None, reduction: str = "sum") -> None:
        check(cell)
        self.cell = cell
        self.loss = loss
        self.reduction = reduction
        if loss is not None and loss not in cell.signals:
            raise ValueError(f"{cell.name!r} has no signal {loss!r} to be the loss (at {here()}): it has "
                             f"{', '.join(cell.signals)}")
        if loss is not None and lead_of(cell.signals[loss]):
            raise ValueError(f"the loss is a signal that is defined at t, {loss}[t] = ...; {loss} isn't "
                             f"(at {cell.signals[loss].origin})")
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is 'sum' or 'mean', not {reduction!r} (at {here()})")
        self._programs: dict[Any, Loaded] = {}
        self._last: Call | None = None
        self._gradients: dict[str, NDArray[Any]] | None = None

    def __call__(self, T: int | None = None, *, initial: Any = None, lengths: Any = None, mask: Any = None,
                 chunks: int | None = None, window: tuple[int, int] | None = None, last: int | None = None,
                 **inputs: Any) -> Any:
        """Compute every signal; with a loss, its gradients too, into the parameters' `.grad`.

        Args: as for `Cell.unroll`.

        Returns:
            Result(loss, outputs); the outputs alone where there is no loss.

        Raises:
            DefinitionError: where the definition can't be compiled.
            ValueError: as for `Cell.unroll`.
        """
        data = prepared(self.cell, T, inputs, initial=initial, lengths=lengths, mask=mask, chunks=chunks,
                        window=window, last=last)
        given = _boundary_values(self.cell, data)
        record = settings().recording and self.loss is not None
        call = self._forward(data, given)
        outputs = Outputs(call)
        if self.loss is None:
            return outputs
        losses = getattr(call.k, call.loaded.program.outputs[self.loss])
        scale = 1.0 if self.reduction == "sum" else 1.0 / _counted(data, losses)
        if record:
            self._differentiate(call, {"~scale": scale})
        return Result(float(losses.sum()) * scale, outputs)

    def backward(self, **gradients: ArrayLike) -> None:
        """Put derivatives into the parameters' `.grad`, from the gradients of some signals; after a call.

        Args:
            gradients: by signal name, arrays of the shape of its outputs, (T, batch, size).

        Raises:
            ValueError: for an unknown signal, or a gradient of another shape.
            RuntimeError: where there was no call.
        """
        call = self._last
        if call is None:
            raise RuntimeError(f"call the program of {self.cell.name!r} on data before its backward() (at {here()})")
        given = {}
        for name, value in gradients.items():
            if name not in call.loaded.program.outputs:
                raise ValueError(f"{self.cell.name!r} has no signal {name!r} (at {here()}); there are "
                                 f"{', '.join(call.loaded.program.outputs)}")
            if lead_of(self.cell.signals[name]):
                raise ValueError(f"backward() takes gradients of signals that are defined at t, as y[t] = ..., and "
                                 f"{name} isn't: define one that is equal to it (at {here()})")
            array, shape = np.asarray(value), call.shape(name)
            if array.shape != shape:
                raise ValueError(f"the gradient of {name} has shape {array.shape}, but {shape} is needed (at {here()})")
            given[f"~{name}"] = array.reshape(call.data.T, call.B, *shape[1 + len(call.data.batch):])
        if not given:
            raise ValueError(f"backward() starts from the gradients of signals, e.g. "
                             f"backward({next(iter(call.loaded.program.outputs))}=...) (at {here()})")
        loaded = self._program(call.data, call.given, tuple(gradients))
        if loaded is not call.loaded:  # the values of the call, in the arrays of the program that goes on from them
            call = self._forward(call.data, call.given, loaded, call.values)
        self._differentiate(call, given)

    @property
    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients of the last backward pass alone, by the parameter's name (copies)."""
        if self._gradients is None:
            raise RuntimeError(f"the program of {self.cell.name!r} has computed no gradients yet (at {here()})")
        return {name: value.copy() for name, value in self._gradients.items()}

    @property
    def source(self) -> str:
        """The text of the program: that of the last call; before, that for plain data of the declared sizes."""
        if self._last is not None:
            return self._last.loaded.text
        return self._plain().text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the program as a Python file that needs NumPy alone; whole, or not at all.

        Raises:
            DefinitionError: where it calls an operation that isn't minigrad's own.
        """
        loaded = self._last.loaded if self._last is not None else self._plain()
        return saved(loaded.program, loaded.text, Path(path))

    # ---- what a call does
    def _plain(self) -> Loaded:
        """The program for data as they are declared."""
        shapes = {name: x.shape for name, x in self.cell.signals.items() if x.given}
        unknown = [name for name, shape in shapes.items() if shape is None]
        if unknown:
            raise ValueError(f"the size of the input {unknown[0]} isn't known before there are data: call the program "
                             f"once, or declare it, .input({unknown[0]!r}, size) (at {here()})")
        dtypes = [p.dtype for p in self.cell.parameters.values()] or [np.dtype(float)]
        return self._loaded(Options(tuple(shapes.items())), Wanted((), self.loss), np.result_type(*dtypes))  # type: ignore[arg-type]

    def _program(self, data: Data, given: Mapping[tuple[str, int], Tensor], seeds: tuple[str, ...] = ()) -> Loaded:
        """The program for data of these shapes."""
        options = Options(tuple(data.shapes.items()),
                          tuple(name for name, x in data.inputs.items() if x.dtype.kind in "iu"),
                          data.mask is not None, type(data.truncation) is not Truncation)
        wanted: Wanted = Wanted()
        if seeds or (self.loss is not None and settings().recording):
            wanted = Wanted(seeds, None if seeds else self.loss,
                            tuple(name for name, x in data.inputs.items() if isinstance(x, Tensor)),
                            tuple(key for key, x in given.items() if x.requires_grad))
        weights = [x.dtype for x in self.cell.parameters.values()]
        return self._loaded(options, wanted, np.result_type(data.dtype, *weights))

    def _loaded(self, options: Options, wanted: Wanted, dtype: np.dtype[Any]) -> Loaded:
        key = options, wanted, dtype, len(self.cell.equations)
        if key not in self._programs:
            program = Program(self.cell, options, wanted)
            self._programs[key] = Loaded(program, dtype, f"{self.cell.name} {id(self):x}.{len(self._programs)}")
        return self._programs[key]

    def _forward(self, data: Data, given: dict[tuple[str, int], Tensor], loaded: Loaded | None = None,
                 values: dict[str, Any] | None = None) -> Call:
        loaded = loaded or self._program(data, given)
        if values is None:
            values = {**_inputs(data), **_flags(data, loaded.program), **_draws(data, loaded.program)}
        copies = replayed(self.cell) if any(x.op is not None for _, x in loaded.forward_weights) else {}
        call = Call(self, loaded, data, values, given, copies)
        loaded.forward(call.k, *(values[name] for name, _ in loaded.forward_data),
                       *(copies.get(id(x), x)._data for _, x in loaded.forward_weights), **call.boundary_values())
        self._last = call
        return call

    def _differentiate(self, call: Call, given: Mapping[str, Any]) -> None:
        """The backward pass, and its results into `.grad`: all of them, or none."""
        loaded = call.loaded
        assert loaded.backward is not None
        values = {**call.values, **given}
        results = loaded.backward(call.k, *(values[name] for name, _ in loaded.backward_data),
                                  *(call.copies.get(id(x), x)._data for _, x in loaded.backward_weights))
        gradients: dict[Tensor, NDArray[Any]] = {}
        for key, name in loaded.program.gradients.items():
            tensor, gradient = call.target(key, results[name])
            for leaf, share in flow(tensor, gradient).items() if tensor.op is not None else [(tensor, gradient)]:
                if leaf.op is None:
                    gradients[leaf] = share if leaf not in gradients else gradients[leaf] + share
        for leaf, gradient in gradients.items():
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
        self._gradients = {name: gradients[x] for name, x in self.cell.parameters.items() if x in gradients}


def _inputs(data: Data) -> dict[str, NDArray[Any]]:
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


def _flags(data: Data, program: Program) -> dict[str, Any]:
    """Where sequences are over, and where gradients stop."""
    flags: dict[str, Any] = {}
    if data.mask is not None:
        flags["~mask"] = data.mask.reshape(data.T, -1)
    if type(data.truncation) is not Truncation:
        steps = range(1, data.T + 1)
        flags["~owed"] = np.array([[not data.truncation.constant(step)] for step in steps])
        for delay in program.low.keeps:
            flags[f"~keep {delay}"] = np.array([[not data.truncation.cuts(step - delay, step)] for step in steps])
    return flags


def _draws(data: Data, program: Program) -> dict[str, Any]:
    """What is drawn at random, in the order in which the unrolled graph draws it: step by step."""
    draws = {name: [] for name in program.low.draws}
    for _ in range(data.T if draws else 0):
        for name, (op, shape) in program.low.draws.items():
            draws[name].append(op.forward(np.zeros((*data.batch, *shape))))
    return {name: np.reshape(values, (data.T, -1, *program.low.draws[name][1])) for name, values in draws.items()}


def _counted(data: Data, losses: NDArray[Any]) -> int:
    """How many losses a mean is over: those of steps at which a sequence isn't over."""
    return losses.size if data.mask is None else max(int(data.mask.sum()), 1)


def _boundary_values(cell: Cell, data: Data) -> dict[tuple[str, int], Tensor]:
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
