"""cell.compile(): the definition as a NumPy program, and how it is called.

The text of a program is made by program.py for the shapes at hand; here it is run on data. What is
computed is what `unroll` and `backward` compute, without a graph.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from minigrad.backward import ancestors, compute_gradients
from minigrad.ops import DropoutMask
from minigrad.provenance import call_site
from minigrad.settings import settings
from rnn.ir.feeds import boundary_values, counted, draws, flags, inputs
from rnn.ir.lowering import Options, lead_of
from rnn.ir.nodes import LOSS_SCALE, upstream_name
from rnn.language.dependencies import check, links, nodes, parameters, roots
from rnn.language.equations import Definition
from rnn.unrolling.evaluator import replayed
from rnn.unrolling.inputs import Data, prepared
from rnn.unrolling.state import State
from rnn.unrolling.truncation import Truncation, Windows

from .emit import save_program
from .execution import Call, Loaded
from .pipeline import GradientRequest, Program
from .sliding import windows


class Outputs(Mapping[str, NDArray[Any]]):
    """What a call computed: `outputs["y"]` is y at t = 1 … T, (T, batch, size).

    The arrays are copies, made when they are asked for; after another call they are gone.
    """

    def __init__(self, fast: Compiled, call: Call) -> None:
        self._fast = fast
        self._call = call

    def _present(self) -> Call:
        if self._fast._last is not self._call:
            raise RuntimeError(f"the values of this call are gone: the program of {self._fast.cell.name!r} was called "
                               "again since. Take what you need, outputs['y'], before the next call")
        return self._call

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._call.loaded.program.outputs:
            raise KeyError(f"no signal {name!r}; there are {', '.join(self)}")
        return self._present().steps(name, 1, self._call.data.T)

    def __iter__(self) -> Iterator[str]:
        return iter(self._call.loaded.program.outputs)

    def __len__(self) -> int:
        return len(self._call.loaded.program.outputs)

    @property
    def state(self) -> State:
        """What the next call, or `unroll`, may start from: `initial=outputs.state`. It is constant."""
        return self._present().state()

    def __repr__(self) -> str:
        return f"<Outputs {', '.join(self)}: T = {self._call.data.T}, batch {self._call.data.batch}>"


class Result(NamedTuple):
    """The loss, and everything that was computed on the way."""

    loss: float
    outputs: Outputs


class Compiled:
    """A definition as a NumPy program; made by `Cell.compile`.

    Attributes:
        cell: the definition.
        loss: the signal that is summed to the loss, or None.
        reduction: "sum", or "mean": over the steps and sequences that count.
    """

    def __init__(self, cell: Definition, loss: str | None = None, reduction: str = "sum") -> None:
        check(cell)
        if loss is not None and loss not in cell.signals:
            raise ValueError(f"{cell.name!r} has no signal {loss!r} to be the loss (at {call_site()}): it has "
                             f"{', '.join(cell.signals)}")
        if loss is not None and lead_of(cell.signals[loss]):
            raise ValueError(f"the loss is a signal that is defined at t, {loss}[t] = ...; {loss} isn't "
                             f"(at {cell.signals[loss].origin})")
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is 'sum' or 'mean', not {reduction!r} (at {call_site()})")
        self.cell = cell
        self.loss = loss
        self.reduction = reduction
        self._programs: dict[Any, Loaded] = {}
        self._routes: dict[Any, Call] = {}  # a call by what its data looked like
        self._last: Call | None = None
        self._gradients: dict[Tensor, NDArray[Any]] | None = None

    def __call__(self, T: int | None = None, *, initial: Any = None, lengths: Any = None, mask: Any = None,
                 chunks: int | None = None, window: tuple[int, int] | None = None, last: int | None = None,
                 **inputs: Any) -> Any:
        """Compute every signal; with a loss, all gradients too, into the parameters' `.grad`.

        As in `backward()` they are added to what is there; under `mg.no_grad()` there are none.

        Args: as for `Cell.unroll`.

        Returns:
            Result(loss, outputs); the outputs alone where there is no loss.

        Raises:
            DefinitionError: where the definition can't be compiled.
            ValueError: as for `Cell.unroll`.
        """
        plain = all(option is None for option in (T, initial, lengths, mask, chunks, window, last))
        call = self._like_before(inputs) if plain else None
        if call is None:
            data = prepared(self.cell, T, inputs, initial=initial, lengths=lengths, mask=mask, chunks=chunks,
                            window=window, last=last)
            sliding = data.truncation
            call = self._windowed(data, sliding) if isinstance(sliding, Windows) else self._first(data)
            if plain:
                self._remember(call, inputs)
        self._last = None  # whatever happens now, the arrays no longer hold what they held
        call.forward()
        self._last = call
        outputs = Outputs(self, call)
        if self.loss is None:
            return outputs
        losses = call.array(self.loss)
        scale = 1.0 if self.reduction == "sum" else 1.0 / counted(call.data, losses)
        if settings().recording:
            self._assign(self._derivatives(call, scale))
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
            raise RuntimeError(f"call the program of {self.cell.name!r} on data before its backward() "
                               f"(at {call_site()})")
        if not gradients:
            raise ValueError(f"backward() starts from the gradients of signals, e.g. "
                             f"backward({next(iter(call.loaded.program.outputs))}=...) (at {call_site()})")
        given = {upstream_name(name): self._given(call, name, value) for name, value in gradients.items()}
        loaded = self._program(call.data, call.given, tuple(gradients))
        if loaded is not call.loaded:  # the values of the call, in the arrays of the program that goes on from them
            call = call.moved_to(loaded)
            call.forward()
            self._last = call
        self._assign(call.backward(given))

    @property
    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients of the last backward pass alone, by the parameter's name (copies)."""
        if self._gradients is None:
            raise RuntimeError(f"the program of {self.cell.name!r} has computed no gradients yet (at {call_site()})")
        return {name: self._gradients[tensor].copy() for name, tensor in parameters(self.cell).items()
                if tensor in self._gradients}

    @property
    def source(self) -> str:
        """The text of the program: that of the last call; before, that for plain data of the declared sizes."""
        return (self._last.loaded if self._last is not None else self._declared()).text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the program as a Python file that needs NumPy alone; whole, or not at all.

        Raises:
            DefinitionError: where it calls an operation that isn't minigrad's own.
        """
        loaded = self._last.loaded if self._last is not None else self._declared()
        return save_program(loaded.program.code, loaded.text, Path(path))

    # ---- which program
    def _declared(self) -> Loaded:
        """The program for data as they are declared."""
        shapes = {name: x.shape for name, x in self.cell.signals.items() if x.given}
        unknown = [name for name, shape in shapes.items() if shape is None]
        if unknown:
            raise ValueError(f"the size of the input {unknown[0]} isn't known before there are data: call the program "
                             f"once, or declare it, .input({unknown[0]!r}, size) (at {call_site()})")
        dtypes = [p.dtype for p in parameters(self.cell).values()] or [np.dtype(float)]
        known = tuple((name, shape) for name, shape in shapes.items() if shape is not None)
        return self._loaded(Options(known), GradientRequest(self._ends(), self.loss), np.result_type(*dtypes))

    def _ends(self) -> tuple[str, ...]:
        """Where a backward pass begins if nothing else is said: at the loss, or at what no equation reads."""
        read = {link.source.name for link in links(self.cell)}
        computed = [name for name, x in self.cell.signals.items() if not x.given and not lead_of(x)]
        ends = tuple(name for name in computed if name not in read) or tuple(computed[-1:])
        return () if self.loss is not None else ends

    def _program(self, data: Data, given: Mapping[tuple[str, int], Tensor], seeds: tuple[str, ...] = (),
                 records: bool = True) -> Loaded:
        """The program for data of these shapes."""
        options = Options(tuple(data.shapes.items()),
                          tuple(name for name, x in data.inputs.items() if x.dtype.kind in "iu"),
                          data.mask is not None, type(data.truncation) is not Truncation)
        wanted = GradientRequest()
        if seeds or (records and settings().recording):
            wanted = GradientRequest(seeds or self._ends(), None if seeds else self.loss,
                            tuple(name for name, x in data.inputs.items() if isinstance(x, Tensor)),
                            tuple(key for key, x in given.items() if x.requires_grad))
        weights = [x.dtype for x in parameters(self.cell).values()]
        return self._loaded(options, wanted, np.result_type(data.dtype, *weights))

    def _loaded(self, options: Options, wanted: GradientRequest, dtype: np.dtype[Any]) -> Loaded:
        key = options, wanted, dtype, self.cell.version
        if key not in self._programs:
            program = Program(self.cell, options, wanted)
            self._programs[key] = Loaded(program, dtype, f"{self.cell.name} {id(self):x}.{len(self._programs)}")
        return self._programs[key]

    # ---- one call
    def _first(self, data: Data, records: bool = True) -> Call:
        """A call whose data were checked."""
        given = boundary_values(self.cell, data)
        loaded = self._program(data, given, records=records)
        low = loaded.program.lowered
        for name, values in data.inputs.items():
            if low.takes_integers(name) and values.dtype.kind not in "iu":
                raise TypeError(f"the data for {name!r} are {values.dtype} (at {call_site()}), but labels are "
                                "integers: the index of the right class")
        copies = replayed(self.cell) if any(x.op is not None for x in low.weights) else {}
        return Call(loaded, data, {**inputs(data), **flags(data, low), **draws(low, data.T, (math.prod(data.batch),))},
                    given, copies)

    def _windowed(self, data: Data, truncation: Windows) -> Call:
        """A call that computes all values at once; its gradients come window by window."""
        if self.loss is None:
            raise ValueError(f"window= chooses losses: compile with loss=... (at {call_site()}), "
                             "or use chunks= or last=")
        if any(isinstance(x.op, DropoutMask) for x in nodes(roots(self.cell)) if hasattr(x, "op")):
            raise ValueError(f"{self.cell.name!r} draws at random, which windows would do anew: use chunks= or last=, "
                             f"or unroll(window=...) (at {call_site()})")
        call = self._first(replace(data, truncation=Truncation(data.T)), records=False)
        call.windows = truncation
        return call

    def _remember(self, call: Call, given_inputs: Mapping[str, Any]) -> None:
        """Let data that look alike take the short way, where nothing has to be looked at again."""
        key = self._looks(given_inputs)
        if key is None:
            return
        alike = all(call.values[name].size == array.size for name, array in given_inputs.items())
        if alike and not call.copies and not call.loaded.program.lowered.draws:
            self._routes[key] = call.template()

    def _looks(self, inputs: Mapping[str, Any]) -> Any:
        """What data look like; None where they have to be looked at more closely."""
        key: list[Any] = [settings().recording, self.cell.version]
        for name, array in inputs.items():
            if type(array) is not np.ndarray:
                return None
            key += name, array.shape, array.dtype
        return tuple(key)

    def _like_before(self, inputs: Mapping[str, Any]) -> Call | None:
        """A call with data that look like those of an earlier one, which were checked."""
        before = self._routes.get(self._looks(inputs))
        return None if before is None else before.again(inputs)

    def _given(self, call: Call, name: str, value: ArrayLike) -> NDArray[Any]:
        """The gradient of a signal's outputs, checked, with one axis for the batch."""
        if name not in call.loaded.program.outputs:
            raise ValueError(f"{self.cell.name!r} has no signal {name!r} (at {call_site()}); there are "
                             f"{', '.join(call.loaded.program.outputs)}")
        if lead_of(self.cell.signals[name]):
            raise ValueError(f"backward() takes gradients of signals that are defined at t, as y[t] = ..., and "
                             f"{name} isn't: define one that is equal to it (at {call_site()})")
        array, shape = np.asarray(value), call.shape(name)
        if array.shape != shape:
            raise ValueError(f"the gradient of {name} has shape {array.shape}, but {shape} is needed "
                             f"(at {call_site()})")
        return array.reshape(call.data.T, call.B, *shape[1 + len(call.data.batch):])

    def _derivatives(self, call: Call, scale: float) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """The gradients of the loss, of one call or of its windows."""
        if call.windows is None:
            yield from call.backward({LOSS_SCALE: scale})
        else:
            for data in windows(call, call.windows):
                window = self._first(data)
                window.forward()
                yield from window.backward({LOSS_SCALE: scale})

    def _assign(self, pairs: Iterator[tuple[Tensor, NDArray[Any]]]) -> None:
        """The results of a backward pass into `.grad`: all of them, or none."""
        gradients: dict[Tensor, NDArray[Any]] = {}
        for tensor, gradient in pairs:
            if tensor.op is None:
                gradients[tensor] = gradient if tensor not in gradients else gradients[tensor] + gradient
                continue
            leaves = {x for x in ancestors(tensor) if x.op is None and x.requires_grad}
            for leaf, share in compute_gradients(tensor, gradient, leaves).items():
                if leaf in leaves:
                    gradients[leaf] = share if leaf not in gradients else gradients[leaf] + share
        for leaf, gradient in gradients.items():
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
        self._gradients = gradients
