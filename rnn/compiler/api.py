"""cell.compile(): the definition as a NumPy program that computes what `unroll` and `backward` compute.

A program is made for the shapes of the data at the first call, by `pipeline.Program`, and cached.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from minigrad.backward import ancestors, compute_gradients
from minigrad.provenance import call_site
from minigrad.settings import settings
from rnn.ir.feeds import boundary_values, draw_masks, input_arrays, lowering_options, mask_arrays
from rnn.ir.lowering import LoweringOptions
from rnn.ir.nodes import LOSS_SCALE, upstream_name
from rnn.language.cycles import check
from rnn.language.dependencies import links, nodes, parameters, roots
from rnn.language.equations import Definition
from rnn.unrolling.evaluator import recompute_from_parameters
from rnn.unrolling.inputs import Inputs, prepare_inputs
from rnn.unrolling.options import DEFAULTS, UnrollOptions, list_options
from rnn.unrolling.state import State

from .emit import save_program
from .execution import Call, CallPlan, Loaded
from .pipeline import GradientRequest, Program


class Outputs(Mapping[str, NDArray[Any]]):
    """The results of a call: `outputs["y"]` is y at t = 1 … T, (T, batch, size).

    The arrays are copies, made on access; the next call overwrites the values.
    """

    def __init__(self, fast: Compiled, call: Call) -> None:
        self._fast = fast
        self._call = call

    def __reduce__(self) -> tuple[Any, ...]:
        """Raise TypeError: the values are in arrays of the program, which a copy doesn't have."""
        raise TypeError(f"{self!r} reads the arrays of its program when it is indexed, so it can't be copied or "
                        "pickled. Copy dict(outputs), arrays by name")

    def _current(self) -> Call:
        """Return the call, unless another one has overwritten its arrays."""
        if self._fast._last is not self._call:
            raise RuntimeError(f"the values of this call are gone: the program of {self._fast.cell.name!r} was called "
                               "again since. Take what you need, outputs['y'], before the next call")
        return self._call

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._call.loaded.program.outputs:
            raise KeyError(f"no signal {name!r}; there are {', '.join(self)}")
        return self._current().steps(name, 1, self._call.plan.inputs.T)

    def __iter__(self) -> Iterator[str]:
        return iter(self._call.loaded.program.outputs)

    def __len__(self) -> int:
        return len(self._call.loaded.program.outputs)

    @property
    def state(self) -> State:
        """The state after the last step, constant: `initial=outputs.state` starts the next call or unroll from it."""
        return self._current().state()

    def __repr__(self) -> str:
        inputs = self._call.plan.inputs
        return f"<Outputs {', '.join(self)}: T = {inputs.T}, batch {inputs.batch}>"


class Result(NamedTuple):
    """The loss and all signals."""

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
        if loss is not None and cell.signals[loss].lead:
            raise ValueError(f"the loss is a signal that is defined at t, {loss}[t] = ...; {loss} isn't "
                             f"(at {cell.signals[loss].origin})")
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is 'sum' or 'mean', not {reduction!r} (at {call_site()})")
        self.cell = cell
        self.loss = loss
        self.reduction = reduction
        self._programs: dict[Any, Loaded] = {}
        self._plans: dict[Any, CallPlan] = {}  # by the names, shapes and dtypes of the inputs
        self._last: Call | None = None
        self._gradients: dict[Tensor, NDArray[Any]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made: the definition is compiled again, where it is used."""
        return type(self), (self.cell, self.loss, self.reduction)

    @list_options
    def __call__(self, T: int | None = None, **keywords: Any) -> Any:
        """Compute every signal; with a loss, all gradients too, into the parameters' `.grad`.

        As in `backward()` they are added to `.grad`; under `mg.no_grad()` there are none.

        Args: as for `Cell.unroll`.

        Returns:
            Result(loss, outputs); the outputs alone without a loss.

        Raises:
            DefinitionError: where the definition can't be compiled.
            ValueError: as for `Cell.unroll`.
        """
        options, inputs = UnrollOptions.split(T, keywords)
        key = self._key(inputs) if options is DEFAULTS else None
        plan = self._plans.get(key) if key is not None else None
        if plan is not None:
            call = plan.call(inputs)
        else:
            prepared = prepare_inputs(self.cell, inputs, options)
            windows = bool(prepared.truncation.windows())
            if windows:
                self._check_windows(prepared)
            call = self._checked_call(prepared, records=not windows)
            if key is not None:
                self._cache(key, call, inputs)
        self._last = None  # from here on the arrays no longer hold the values of the last call
        call.forward()
        self._last = call
        outputs = Outputs(self, call)
        if self.loss is None:
            return outputs
        losses, mask = call.array(self.loss), call.plan.inputs.mask
        counted = losses.size if mask is None else max(int(mask.sum()), 1)  # a mean is over steps that aren't masked
        scale = 1.0 if self.reduction == "sum" else 1.0 / counted
        if settings().recording:
            self._assign(self._derivatives(call, scale))
        return Result(float(losses.sum()) * scale, outputs)

    def backward(self, **gradients: ArrayLike) -> None:
        """Add to the parameters' `.grad`, from the upstream gradients of some signals; after a call.

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
        given = {upstream_name(name): self._upstream(call, name, value) for name, value in gradients.items()}
        plan, options = call.plan, call.loaded.program.lowered.options
        loaded = self._program(options, plan.inputs, plan.boundary, tuple(gradients))
        if loaded is not call.loaded:  # these gradients need another program: compute the call's values there
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
        return self._latest().text

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the program as a Python file that needs NumPy alone; whole, or not at all.

        Raises:
            DefinitionError: where it calls an operation that isn't minigrad's own.
        """
        loaded = self._latest()
        return save_program(loaded.program.code, loaded.text, Path(path))

    # ---- which program
    def _latest(self) -> Loaded:
        """Return the program of the last call; before, that for inputs of the declared sizes."""
        if self._last is not None:
            return self._last.loaded
        shapes = {name: x.shape for name, x in self.cell.signals.items() if x.given}
        unknown = [name for name, shape in shapes.items() if shape is None]
        if unknown:
            raise ValueError(f"the size of the input {unknown[0]} isn't known before there are data: call the program "
                             f"once, or declare it, .input({unknown[0]!r}, size) (at {call_site()})")
        dtypes = [p.dtype for p in parameters(self.cell).values()] or [np.dtype(float)]
        known = tuple((name, shape) for name, shape in shapes.items() if shape is not None)
        return self._loaded(LoweringOptions(known), GradientRequest(self._ends(), self.loss), np.result_type(*dtypes))

    def _ends(self) -> tuple[str, ...]:
        """Return the signals at which a backward pass starts by default: those that no equation reads."""
        read = {link.source.name for link in links(self.cell)}
        computed = [name for name, x in self.cell.signals.items() if not x.given and not x.lead]
        ends = tuple(name for name in computed if name not in read) or tuple(computed[-1:])
        return () if self.loss is not None else ends

    def _program(self, options: LoweringOptions, inputs: Inputs, boundary: Mapping[tuple[str, int], Tensor],
                 seeds: tuple[str, ...] = (), records: bool = True) -> Loaded:
        """Return the program for inputs of these shapes; with a backward pass if `records` or from `seeds`."""
        wanted = GradientRequest()
        if seeds or (records and settings().recording):
            wanted = GradientRequest(seeds or self._ends(), None if seeds else self.loss,
                            tuple(name for name, x in inputs.values.items() if isinstance(x, Tensor)),
                            tuple(key for key, x in boundary.items() if x.requires_grad))
        weights = [x.dtype for x in parameters(self.cell).values()]
        return self._loaded(options, wanted, np.result_type(inputs.dtype, *weights))

    def _loaded(self, options: LoweringOptions, wanted: GradientRequest, dtype: np.dtype[Any]) -> Loaded:
        key = options, wanted, dtype, self.cell.version
        if key not in self._programs:
            program = Program(self.cell, options, wanted)
            self._programs[key] = Loaded(program, dtype, f"{self.cell.name} {id(self):x}.{len(self._programs)}")
        return self._programs[key]

    # ---- one call
    def _checked_call(self, inputs: Inputs, records: bool = True) -> Call:
        """Return a call on inputs that were checked against the declarations."""
        boundary = boundary_values(self.cell, inputs)
        loaded = self._program(lowering_options(inputs, inputs.mask is not None), inputs, boundary, records=records)
        lowered = loaded.program.lowered
        for name, values in inputs.values.items():
            if lowered.roots[name].op.dtype == "int" and values.dtype.kind not in "iu":
                raise TypeError(f"the data for {name!r} are {values.dtype} (at {call_site()}), but labels are "
                                "integers: the index of the right class")
        copies = recompute_from_parameters(self.cell) if any(x.op is not None for x in lowered.weights) else {}
        arrays = {**input_arrays(inputs), **mask_arrays(inputs, lowered),
                  **draw_masks(lowered, inputs.T, (math.prod(inputs.batch),))}
        return Call(CallPlan(loaded, inputs, boundary, copies), arrays)

    def _check_windows(self, inputs: Inputs) -> None:
        """Raise ValueError where windows, which are computed one by one after all values, would differ from these."""
        if self.loss is None:
            raise ValueError(f"window= chooses losses: compile with loss=... (at {call_site()}), "
                             "or use chunks= or last=")
        if any(getattr(node.op, "random", False) for node in nodes(roots(self.cell)) if hasattr(node, "op")):
            raise ValueError(f"{self.cell.name!r} draws at random, and windows would draw again: use chunks= or last=, "
                             f"or unroll(window=...) (at {call_site()})")
        if settings().recording and any(isinstance(x, Tensor) for x in inputs.values.values()):
            raise ValueError(f"with window= a compiled program gives no gradient to its inputs (at {call_site()}): "
                             "give arrays, or unroll(window=...)")

    def _key(self, inputs: Mapping[str, Any]) -> Any:
        """Return all of the inputs that a plan depends on; None where they have to be checked again."""
        key: list[Any] = [settings().recording, self.cell.version]
        for name, array in inputs.items():
            if type(array) is not np.ndarray:
                return None
            key += name, array.shape, array.dtype
        return tuple(key)

    def _cache(self, key: Any, call: Call, inputs: Mapping[str, Any]) -> None:
        """Keep the plan of a call, unless values are broadcast, drawn, or computed from parameters at each call."""
        same_size = all(call.values[name].size == array.size for name, array in inputs.items())
        if same_size and not call.plan.copies and not call.loaded.program.lowered.draws:
            self._plans[key] = call.plan.without_values()

    def _upstream(self, call: Call, name: str, value: ArrayLike) -> NDArray[Any]:
        """Return the upstream gradient of a signal, checked, with one axis for the batch."""
        if name not in call.loaded.program.outputs:
            raise ValueError(f"{self.cell.name!r} has no signal {name!r} (at {call_site()}); there are "
                             f"{', '.join(call.loaded.program.outputs)}")
        if self.cell.signals[name].lead:
            raise ValueError(f"backward() takes gradients of signals that are defined at t, as y[t] = ..., and "
                             f"{name} isn't: define one that is equal to it (at {call_site()})")
        array, shape = np.asarray(value), call.shape(name)
        if array.shape != shape:
            raise ValueError(f"the gradient of {name} has shape {array.shape}, but {shape} is needed "
                             f"(at {call_site()})")
        return array.reshape(call.plan.inputs.T, call.plan.B, *shape[1 + len(call.plan.inputs.batch):])

    def _derivatives(self, call: Call, scale: float) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Yield the gradients of the loss: of the whole call, or of one window after the other."""
        windows = call.plan.inputs.truncation.windows()
        if not windows:
            yield from call.backward({LOSS_SCALE: scale})
        for window in windows:
            part = self._checked_call(call.window_inputs(window))
            part.forward()
            yield from part.backward({LOSS_SCALE: scale})

    def _assign(self, pairs: Iterator[tuple[Tensor, NDArray[Any]]]) -> None:
        """Add the results of a backward pass to `.grad`: all of them, or none if one fails."""
        gradients: dict[Tensor, NDArray[Any]] = {}
        for tensor, gradient in pairs:
            terms = {tensor: gradient}
            if tensor.op is not None:
                leaves = {x for x in ancestors(tensor) if x.op is None and x.requires_grad}
                found = compute_gradients(tensor, gradient, leaves)
                terms = {leaf: term for leaf, term in found.items() if leaf in leaves}
            for leaf, term in terms.items():
                gradients[leaf] = term if leaf not in gradients else gradients[leaf] + term
        for leaf, gradient in gradients.items():
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
        self._gradients = gradients
