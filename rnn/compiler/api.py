"""cell.compile(): the definition as a NumPy program that computes what `unroll` and `backward` compute.

A program is made for the shapes of the data at the first call, by `pipeline.Program`, and cached.
"""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, NDArray

from minigrad import Tensor
from minigrad.interactive import progress
from minigrad.mutation import check_modified
from minigrad.provenance import call_site
from minigrad.settings import settings
from rnn.ir.feeds import boundary_values, draw_masks, fill_after, input_arrays, lowering_options, mask_arrays
from rnn.ir.lowering import LoweringOptions
from rnn.ir.nodes import AFTER, LOSS_SCALE, STATIC, after_name, upstream_name
from rnn.language.cycles import check
from rnn.language.dependencies import computed_tensors, leaves, links, parameters, static_expressions
from rnn.language.equations import Definition, Signal
from rnn.language.selection import part_of
from rnn.unrolling.evaluator import compute_statics, convert_constants, recompute_from_parameters
from rnn.unrolling.inputs import Inputs, prepare_inputs, static_values
from rnn.unrolling.masks import OwnSteps
from rnn.unrolling.options import DEFAULTS, UnrollOptions, list_options
from rnn.unrolling.state import State
from rnn.unrolling.truncation import WindowSteps
from rnn.unrolling.unroll import located

from .backends import NUMPY, LoopBackends, NumpyBackend
from .emit import save_program
from .execution import Call, CallPlan, Loaded
from .pipeline import GradientRequest
from .stream import Stream

MOST_PLANS = 500  # shapes of data whose checks are remembered
_requires_grad, _changes = operator.attrgetter("_requires_grad"), operator.attrgetter("changes")
_adding = threading.Lock()  # held while gradients are added: two threads may add to the same parameter


class Latest(threading.local):
    """The latest call of a thread."""

    call: Call | None = None


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
        if not self._call.holds():
            raise RuntimeError(f"the values of this call are gone: the program of {self._fast.cell.name!r} was called "
                               "again since. Take what you need, outputs['y'], before the next call")
        return self._call

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._call.loaded.program.outputs:
            raise KeyError(f"no signal {name!r}; there are {', '.join(self)}")
        values = self._current().shown(name)
        self._current()  # another thread may have called the program meanwhile
        return values

    def final(self, name: str) -> NDArray[Any]:
        """Return each sequence's value at its last own step: (batch, size); `[name][-1]` without lengths or a mask."""
        if name not in self:
            raise KeyError(f"no signal {name!r}; there are {', '.join(self)}")
        values = self._current().final(name)
        self._current()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._call.loaded.program.outputs)

    def __len__(self) -> int:
        return len(self._call.loaded.program.outputs)

    def _ipython_key_completions_(self) -> list[str]:
        """List the names that `outputs["` completes."""
        return list(self)

    @property
    def state(self) -> State:
        """The state after the last step, constant: `initial=outputs.state` starts the next call or unroll from it."""
        state = self._current().state()
        self._current()
        return state

    def __repr__(self) -> str:
        inputs = self._call.plan.inputs
        return f"<Outputs {', '.join(self)}: T = {inputs.T}, batch {inputs.batch}>"


class Result(NamedTuple):
    """The loss and all signals."""

    loss: float
    outputs: Outputs


class Compiled:
    """A definition as a NumPy program; made by `Cell.compile`.

    Several threads may call it at the same time: each has arrays of its own. The outputs of a call hold until the
    next call by the same thread, and `backward()` continues the call of its own thread.

    Attributes:
        cell: the definition.
        loss: the signal that is summed to the loss, or None.
        reduction: "sum", or "mean": over the steps and sequences that count.
    """

    def __init__(self, cell: Definition, loss: str | None = None, reduction: str = "sum",
                 by: NumpyBackend = NUMPY) -> None:
        check(cell)
        if loss is not None and not isinstance(loss, str):
            raise TypeError(f"loss= is the name of one signal, not {loss!r:.60} (at {call_site()}): for several losses "
                            "define their sum as a signal, L[t] = L1[t] + 0.1 * L2[t]")
        if loss is not None and loss not in cell.signals:
            raise ValueError(f"{cell.name!r} has no signal {loss!r} to be the loss (at {call_site()}): it has "
                             f"{', '.join(cell.signals)}")
        if loss is not None and cell.signals[loss].equation is None and not cell.signals[loss].given:
            raise ValueError(f"the loss {loss}, declared at {cell.signals[loss].origin}, has no equation yet "
                             f"(at {call_site()}): write {loss}[t] = ...")
        if loss is not None and cell.signals[loss].lead:
            raise ValueError(f"the loss is a signal that is defined at t, {loss}[t] = ...; {loss} isn't "
                             f"(at {cell.signals[loss].origin})")
        shape = None if loss is None else cell.signals[loss].shape
        if loss is not None and shape:
            raise ValueError(_no_loss(cell.signals[loss], shape))
        equation = None if loss is None else cell.signals[loss].equation
        if equation is not None and getattr(equation.expression, "kind", "f") != "f":
            raise ValueError(f"the loss {loss} is a condition or an index, {equation!r}, written at {equation.origin}: "
                             f"no gradient passes it (at {call_site()}). Write a loss of numbers, and count in another "
                             "signal")
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is 'sum' or 'mean', not {reduction!r} (at {call_site()})")
        self.cell = cell
        self.loss = loss
        self.reduction = reduction
        self._by = by
        self._programs: dict[Any, Loaded] = {}
        self._plans: dict[Any, CallPlan] = {}  # by the names, shapes and dtypes of the inputs
        self._numbers = itertools.count()  # of programs
        self._thread = Latest()
        self._shown: Loaded | None = None  # whose text is `source`
        self._gradients: dict[Tensor, NDArray[Any]] | None = None
        self._split = False  # whether what weights alone determine is computed by a function of its own
        self._parts: dict[frozenset[Signal], Compiled] = {}  # definitions of some of the signals, for streams

    def __repr__(self) -> str:
        loss = f", loss {self.loss} ({self.reduction})" if self.loss is not None else ""
        latest = self._thread.call
        inputs = latest.plan.inputs if latest else None
        called = f"called on T = {inputs.T}, batch {inputs.batch}" if inputs else "not called yet"
        return f"<Compiled {self.cell.name!r}{loss}: {called}; .source is its program>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made: the definition is compiled again, where it is used."""
        return type(self), (self.cell, self.loss, self.reduction, self._by)

    @property
    def _last(self) -> Call | None:
        """The latest call of this thread."""
        return self._thread.call

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
        key: Any = None
        values: list[Tensor | NDArray[Any]] = []
        if options is DEFAULTS or options.only_initial():
            key, values = self._key(inputs, options.initial)
        plan = self._plans.get(key)  # None where there is no key
        if plan is not None and plan.trained != list(map(_requires_grad, plan.leaves)):  # one was frozen meanwhile
            plan = None
        if plan is not None:
            call = self._planned_call(plan, inputs, values, options)
        else:
            prepared = prepare_inputs(self.cell, inputs, options)
            windows = bool(prepared.truncation.windows())
            if windows:
                self._check_windows(prepared)
            call = self._checked_call(prepared, records=not windows)
            if key is not None:
                self._cache(key, call, inputs, options.initial)
        self._thread.call = None
        recording = settings().recording
        if self.loss is None and recording:
            for tensors in (call.plan.leaves, call.plan.boundary.values()):
                for tensor in filter(_changes, tensors):  # a change made before the call isn't one made after it
                    check_modified(tensor)
        try:
            call.forward()
        except IndexError as error:
            raise located(error, self.cell, inputs, options) from None
        self._thread.call, self._shown = call, call.loaded
        outputs = Outputs(self, call)
        if self.loss is None:
            return outputs
        scale = 1.0 if self.reduction == "sum" else 1.0 / max(call.plan.counted, 1)
        if recording:
            self._assign(self._derivatives(call, scale))
        return Result(call.total_loss(self.loss) * scale, outputs)

    def backward(self, **gradients: ArrayLike) -> None:
        """Add to the parameters' `.grad`, from the upstream gradients of some signals; after a call.

        Args:
            gradients: by signal name, arrays of the shape of its outputs, (T, batch, size).

        Raises:
            ValueError: for an unknown signal, a gradient of another shape, or a parameter changed since the call.
            RuntimeError: where this thread made no call.
        """
        call = self._last
        if call is None or not call.holds():
            raise RuntimeError(f"call the program of {self.cell.name!r} on data before its backward(), in the same "
                               f"thread (at {call_site()})")
        if not gradients:
            raise ValueError(f"backward() starts from the gradients of signals, e.g. "
                             f"backward({next(iter(call.loaded.program.outputs))}=...) (at {call_site()})")
        given = {upstream_name(name): self._upstream(call, name, value) for name, value in gradients.items()}
        call.check_unmodified()
        plan, options = call.plan, call.loaded.program.lowered.options
        loaded = self._program(options, plan.inputs, plan.boundary, plan.statics, tuple(gradients))
        if loaded is not call.loaded:  # these gradients need another program: compute the call's values there
            call = call.moved_to(loaded)
            call.forward()
            self._thread.call, self._shown = call, loaded
        self._assign(call.backward(given))

    def stream(self, batch: int | tuple[int, ...] | None = 1, outputs: Iterable[str] | None = None,
               initial: Any = None, **statics: Any) -> Stream:
        """Return a function of one time step, which carries the state: `out = stream(x=x_t)`, then `out["y"]`.

        A step computes what `unroll` and a call compute at t = 1, 2, …, without gradients.

        Args:
            batch: the number of sequences, side by side: data of a step have the shape (batch, *shape). None: of one
                sequence without an axis for it, (*shape).
            outputs: the signals to compute; a step takes the inputs that they need. None: all that can be computed
                from the inputs that the first step is given.
            initial: as for `Cell.unroll`: a state, or values by name.
            statics: by name, as for `Cell.unroll`; `inputs={...}` is a dict of them, for names such as "batch".

        Raises:
            DefinitionError: for a definition that reads ahead, such as x[t+1].
            ValueError: for names that the definition doesn't have, and values of a wrong shape.
        """
        return Stream(self, batch, outputs, initial, statics)

    def part(self, signals: frozenset[Signal]) -> Compiled:
        """Return the program of some signals alone, for single steps: without a loss, and with weights prepared."""
        found = self._parts.get(signals)
        if found is None or found.cell.version != self.cell.version:
            found = self._parts[signals] = Compiled(part_of(self.cell, signals), by=self._by)
            found._split = True
        return found

    @property
    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients of the last backward pass alone, by the parameter's name (copies)."""
        if self._gradients is None:
            raise RuntimeError(f"the program of {self.cell.name!r} has computed no gradients yet (at {call_site()}): "
                               "compile it with loss=, or call its backward(y=...) first")
        return {name: self._gradients[tensor].copy() for name, tensor in parameters(self.cell).items()
                if tensor in self._gradients}

    @property
    def source(self) -> str:
        """The text of the program: that of the last call; before, that for plain data of the declared sizes."""
        return self._latest().text

    @property
    def backend(self) -> LoopBackends:
        """Which backend computes each loop over time: of the last call; before, for plain data of declared sizes."""
        return LoopBackends(self._by.name, dict(self._latest().program.code.loops))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the program as a Python file that needs NumPy alone; whole, or not at all.

        Raises:
            DefinitionError: where it calls an operation that isn't minigrad's own.
        """
        loaded = self._latest().by_numpy()
        return save_program(loaded.program.code, loaded.text, Path(path))

    # ---- which program
    def _latest(self) -> Loaded:
        """Return the program of the last call; before, that for inputs of the declared sizes."""
        if self._shown is not None:
            return self._shown
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
        computed = [name for name, x in self.cell.signals.items() if x.equation is not None and not x.lead]
        ends = tuple(name for name in computed if name not in read) or tuple(computed[-1:])
        return () if self.loss is not None else ends

    def _program(self, options: LoweringOptions, inputs: Inputs, boundary: Mapping[tuple[str, int], Tensor],
                 statics: Mapping[str, Tensor], seeds: tuple[str, ...] = (), records: bool = True) -> Loaded:
        """Return the program for inputs of these shapes; with a backward pass if `records` or from `seeds`."""
        wanted = GradientRequest()
        if seeds or (records and settings().recording):
            learned = tuple(key for key, x in boundary.items() if x.requires_grad)
            data = [name for name, x in inputs.values.items() if isinstance(x, Tensor)]
            data += [name for name, x in statics.items() if x.requires_grad]
            if options.masked:  # values after the end are data of sequences that end before T
                after = {name for name, k in learned if k > 0}
                data += [name if self.cell.signals[name].given else after_name(name) for name in sorted(after)]
                learned = tuple(key for key in boundary if key in learned or (key[1] > 0 and key[0] in after))
            wanted = GradientRequest(seeds or self._ends(), None if seeds else self.loss,
                                     tuple(dict.fromkeys(data)), learned)
        weights = [x.dtype for x in parameters(self.cell).values()]
        return self._loaded(options, wanted, np.result_type(inputs.dtype, *weights))

    def _loaded(self, options: LoweringOptions, wanted: GradientRequest, dtype: np.dtype[Any]) -> Loaded:
        key = options, wanted, dtype, self.cell.version, tuple(x.requires_grad for x in leaves(self.cell))
        found = self._programs.get(key)
        if found is None:
            name = f"{self.cell.name} {id(self):x}.{next(self._numbers)}"
            found = self._by.load(self.cell, options, wanted, dtype, name, self._split)
            if wanted.loss is not None and found.program.lowered.roots[wanted.loss].shape:
                raise ValueError(_no_loss(self.cell.signals[wanted.loss],
                                          found.program.lowered.roots[wanted.loss].shape))
            for old in [x for x in self._programs if x[3] != self.cell.version]:  # of the definition before a change
                self._programs.pop(old, None)
            self._programs[key] = found
        return found

    # ---- one call
    def _checked_call(self, inputs: Inputs, known: Mapping[str, Any] | None = None,
                      outer: CallPlan | None = None, records: bool = True) -> Call:
        """Return a call on inputs that were checked against the declarations.

        Args:
            known: of a window, data and draws as the program takes them, (T, B, *shape), from the call over all steps.
            outer: the plan of that call.
        """
        plan = self.plan_for(inputs, outer, records, known is not None)
        lowered = plan.loaded.program.lowered
        arrays = {**input_arrays(inputs), **mask_arrays(inputs, lowered)}
        for name, node in lowered.givens.items():
            if name.startswith(AFTER):
                arrays[name] = np.zeros((inputs.T, plan.B, *node.shape), plan.loaded.dtype)
        if known is None:
            known = {**plan.static_arrays, **draw_masks(lowered, inputs.T, (plan.B,))}
            if plan.own is not None:
                known.update((name, plan.own.compact(known[name])) for name in lowered.draws)
                self._fill_after(plan, plan.own, arrays)
        return Call(plan, {**arrays, **known})

    def plan_for(self, inputs: Inputs, outer: CallPlan | None = None, records: bool = True, by_column: bool = False
                 ) -> CallPlan:
        """Return the plan of a call on inputs that were checked against the declarations; see `_checked_call`."""
        if 0 in inputs.batch:
            raise ValueError(f"these data have no sequence, batch axes {inputs.batch} (at {call_site()}): a program "
                             "needs one at least. unroll takes an empty batch")
        copies, boundary, statics = self.computed_once(inputs, outer)
        options = lowering_options(self.cell, inputs, boundary, inputs.own is not None)
        loaded = self._program(options, inputs, boundary, statics, records=records)
        used = leaves(self.cell)
        return CallPlan(loaded, inputs, boundary, copies, statics, used, [x.requires_grad for x in used], by_column)

    def computed_once(self, inputs: Inputs, outer: CallPlan | None = None
                      ) -> tuple[Mapping[int, Tensor], dict[tuple[str, int], Tensor], Mapping[str, Tensor]]:
        """Return the tensors that are computed once for a call, by the recorded graph.

        Returns:
            id of a Tensor that depends on parameters alone -> the same from their present values; the boundary values;
            name of an expression of statics in the program -> its value.
        """
        boundary = boundary_values(self.cell, inputs)
        if outer is not None:  # whose boundary values are computed already
            return outer.copies, boundary, outer.statics
        copies = recompute_from_parameters(self.cell) if computed_tensors(self.cell) else {}
        if not self.cell.statics:
            return copies, boundary, {}
        found = compute_statics(self.cell, inputs, convert_constants(self.cell, inputs.dtype, copies))
        statics = {f"{STATIC}{n}": found[id(x)] for n, x in enumerate(static_expressions(self.cell), 1)}
        return copies, {key: found.get(id(x), x) for key, x in boundary.items()}, statics

    def _fill_after(self, plan: CallPlan, own: OwnSteps, arrays: dict[str, Any]) -> None:
        """Write the values after the sequence to the end of each sequence."""
        lowered = plan.loaded.program.lowered
        for name, steps in plan.after.items():
            given, shape = self.cell.signals[name].given, lowered.roots[name].shape
            fill_after(arrays[name if given else after_name(name)], own,
                       {step: plan.boundary_array(value, shape) for step, value in steps.items()})

    def _check_windows(self, inputs: Inputs) -> None:
        """Raise ValueError where windows, which are computed one by one after all values, would differ from these."""
        if self.loss is None:
            raise ValueError(f"window= chooses losses: compile with loss=... (at {call_site()}), "
                             "or use chunks= or last=")

    def _key(self, inputs: Mapping[str, Any], initial: Any) -> tuple[Any, list[Tensor | NDArray[Any]]]:
        """Return all of the inputs that a plan depends on, None where they have to be checked again; and `initial`.

        Of the option `initial` the values are returned in a list, as their data may differ from call to call.
        """
        key: list[Any] = [settings().recording, self.cell.version]
        values: list[Tensor | NDArray[Any]] = []
        for name, array in inputs.items():
            if type(array) is ndarray:
                key += name, array.shape, array.dtype
            elif type(array) is Tensor and name in self.cell.statics and array.requires_grad:
                key += name, array.shape, array.dtype, True
            else:
                return None, values
        if initial is None:
            return tuple(key), values
        if self.cell.statics:  # from which initial values may be computed anew
            return None, values
        key.append(initial.steps.shape if type(initial) is State else None)
        given = initial.values if type(initial) is State else initial
        if type(given) is not dict:
            return None, values
        for name, steps in given.items():
            for step, value in steps.items() if type(steps) is dict else [(None, steps)]:
                if type(value) is Tensor and value.op is None:
                    key += name, step, value._array.shape, value._array.dtype, value.requires_grad
                elif type(value) is ndarray:
                    key += name, step, value.shape, value.dtype, None
                else:
                    return None, values
                values.append(value)
        return tuple(key), values

    def _cache(self, key: Any, call: Call, inputs: Mapping[str, Any], initial: Any) -> None:
        """Keep the plan of a call, unless data are broadcast, or values are drawn or computed from parameters."""
        statics = call.plan.inputs.statics
        same = all(call.values[name].size == x.size for name, x in inputs.items() if name not in statics)
        if same and (statics or not call.plan.copies) and not call.loaded.program.lowered.draws:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = call.plan.without_values(initial)

    def _planned_call(self, plan: CallPlan, inputs: Mapping[str, Any], initial: Iterable[Tensor | NDArray[Any]],
                      options: UnrollOptions) -> Call:
        """Return a call of a cached plan on other data; expressions of statics are computed anew."""
        if not self.cell.statics:
            return (plan if options is DEFAULTS else plan.starting_from(initial, options.initial)).call(inputs)
        values = {name: x for name, x in inputs.items() if name not in self.cell.statics}
        statics = static_values(self.cell, inputs, plan.inputs.dtype)
        prepared = replace(plan.inputs, values=values, statics=statics, origin=call_site())
        copies, boundary, computed = self.computed_once(prepared)
        return replace(plan, inputs=prepared, boundary=boundary, copies=copies, statics=computed).call(values)

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

    def _derivatives(self, call: Call, scale: float) -> Iterable[tuple[Tensor, NDArray[Any]]]:
        """Return the gradients of the loss: of the whole call, or of one window after the other."""
        windows = call.plan.inputs.truncation.windows()
        return self._of_windows(windows, call, scale) if windows else call.backward({LOSS_SCALE: scale})

    def _of_windows(self, windows: Iterable[WindowSteps], call: Call, scale: float
                    ) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        for window in windows:
            part = self._checked_call(*call.window_inputs(window), outer=call.plan)
            part.forward()
            yield from part.backward({LOSS_SCALE: scale})

    def _assign(self, terms: Iterable[tuple[Tensor, NDArray[Any]]]) -> None:
        """Add the results of a backward pass to `.grad` of leaves: all of them, or none if one fails."""
        gradients: dict[Tensor, NDArray[Any]] = {}
        for leaf, term in terms:
            gradients[leaf] = term if leaf not in gradients else gradients[leaf] + term
        with _adding:
            for leaf, gradient in gradients.items():  # of its shape and dtype, so that `_grad` is set without a check
                leaf._grad = np.asarray(gradient if leaf._grad is None else leaf._grad + gradient)
            self._gradients = gradients


def _no_loss(signal: Signal, shape: tuple[int, ...]) -> str:
    """Return the message for a loss that isn't a number."""
    line = signal.equation.origin if signal.equation else signal.origin
    return (f"the loss is one number for each sequence and step, but {signal.name}, defined at {line}, has shape "
            f"{shape} (at {call_site()}): sum over its elements, {signal.name}[t] = "
            f"mg.sum(...{', axis=-1' * (len(shape) == 1)})")


def _progress(variables: Mapping[str, Any], call: progress.Call) -> progress.State:
    """Return how far a call is: by the step of the program's loop; UNKNOWN while the program is made."""
    for frame in call.frames:
        if frame.f_code.co_filename.startswith("<compiled ") and isinstance(frame.f_locals.get("t"), int):
            t, T = frame.f_locals["t"], frame.f_locals["T"]
            passes = 1 if variables["self"].loss is None else 2
            return progress.State(t if frame.f_code.co_name == "forward" else passes * T - t, passes * T)
    return progress.UNKNOWN


progress.watch(Compiled.__call__, "compiled program", _progress)
progress.watch(Compiled.backward, "compiled program", _progress)
