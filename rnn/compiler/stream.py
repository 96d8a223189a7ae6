"""Streaming: a compiled definition one time step at a time, with its state carried along.

    stream = cell.compile().stream(batch=1, outputs=("y",))
    for x_t in arriving:
        y_t = stream(x=x_t)["y"]

A step runs the program for T = 1, of the signals that the outputs need, on arrays of its own; the state is in them.
All checks are made once, but for the shapes of a step's data; and what the weights alone determine is computed again
only after they have changed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.mutation import check_modified
from minigrad.provenance import call_site
from minigrad.settings import override
from minigrad.tensor import constant
from rnn.ir.feeds import draw_masks
from rnn.ir.nodes import STEP
from rnn.language.dependencies import DefinitionError, boundaries, integer_inputs, parameters, random_tensors
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Time
from rnn.language.selection import computable_from, computed_from, needed_for, reads_ahead
from rnn.unrolling.inputs import check_labels, prepare_inputs
from rnn.unrolling.options import UnrollOptions
from rnn.unrolling.state import State

if TYPE_CHECKING:
    from .api import Compiled

Shape = tuple[int, ...]


class StepOutputs(Mapping[str, NDArray[Any]]):
    """The results of one step: `out["y"]` is y at this step, (*batch, *shape).

    The arrays are copies, made on access; the next step overwrites the values.
    """

    def __init__(self, steps: Steps, names: tuple[str, ...]) -> None:
        self._steps = steps
        self._names = names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(f"this stream doesn't compute {name!r}: it computes {', '.join(self)}. A signal is among "
                           "its outputs if it is named there, or without names if the first step was given all inputs "
                           "that the signal needs")
        if self._steps.latest is not self:
            raise RuntimeError(f"the values of this step are gone: the stream of {self._steps.part.cell.name!r} has "
                               f"gone on since. Take what you need, out[{name!r}], before its next step")
        return self._steps.value(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _ipython_key_completions_(self) -> list[str]:
        """List the names that `out["` completes."""
        return list(self)

    def __repr__(self) -> str:
        return f"<StepOutputs {', '.join(self)}>"


class Stream:
    """One step after the other; made by `Compiled.stream`.

    A stream belongs to one thread at a time; several streams of one program may run at the same time.

    Attributes:
        cell: the definition.
        batch: the shape of the batch; () for one sequence without an axis for it.
    """

    def __init__(self, compiled: Compiled, batch: int | Shape | None, outputs: Iterable[str] | None, initial: Any,
                 statics: Mapping[str, Any]) -> None:
        self.cell = compiled.cell
        self.batch = _batch_shape(batch)
        self._compiled = compiled
        self._version = self.cell.version
        self._inputs = {name: x for name, x in self.cell.signals.items() if x.given}
        self._outputs = None if outputs is None else _checked_outputs(self.cell, outputs)
        refuse_reading_ahead(self.cell, self._signals(self.cell.signals))
        self._statics: dict[str, Any] = {}
        self._initial: Any = None
        self._steps: Steps | None = None
        self._begun = False  # whether a step has determined the inputs and their types
        self.reset(initial, **statics)

    def __reduce__(self) -> tuple[Any, ...]:
        """Raise TypeError: a copy would need arrays of its own."""
        raise TypeError(f"{self!r} can't be copied or pickled: keep its state, and start another stream from it, "
                        "fast.stream(initial=stream.state)")

    def __call__(self, **inputs: Any) -> StepOutputs:
        """Compute one step.

        Args:
            inputs: by name, the values of this step, (*batch, *shape). `inputs={...}` is a dict of them. Those that
                no output needs may be left out; if they are given, they are not read.

        Returns:
            The outputs by name.

        Raises:
            ValueError: for an input that is missing or unknown, or of a wrong shape; or from an operation. The state
                is then that of before.
            TypeError: for values that aren't real numbers, or labels that aren't integers.
        """
        inputs = _named(inputs)
        if self.cell.version != self._version:
            raise RuntimeError(f"{self.cell.name!r} was changed after this stream had been made (at {call_site()}): "
                               "make a new one, cell.compile().stream(...)")
        steps = self._steps if self._begun and self._steps is not None else self._first(inputs)
        if len(inputs) > len(steps.declared):
            self._check_names(inputs)
        out = steps.step(inputs)
        self._steps, self._begun = steps, True
        return out

    @property
    def state(self) -> State:
        """The state after the last step, constant; before the first one, that from which it starts.

        `initial=stream.state` starts a stream, an unroll or a compiled call from it. It consists of the signals that
        the outputs need.
        """
        if self._steps is None:
            raise self._unknown("the state")
        return self._steps.state()

    @property
    def source(self) -> str:
        """The text of the program of one step, as soon as the sizes of the inputs are known."""
        if self._steps is None:
            raise self._unknown("the program")
        return self._steps.loaded.text

    def _unknown(self, subject: str) -> RuntimeError:
        return RuntimeError(f"{subject} isn't known before the first step, which brings the sizes of the inputs "
                            f"(at {call_site()}): declare them, {self.cell.name}.input(name, size)")

    def reset(self, initial: Any = None, **statics: Any) -> None:
        """Start anew: from the values that the definition sets, or from `initial`; an invalid one changes nothing.

        Args:
            initial: a state, e.g. `stream.state.select([0, 0, 1])`, or values by name; as for `Cell.unroll`.
            statics: new values of the statics, by name; those that aren't given stay. `inputs={...}` is a dict of them,
                for names such as "initial".
        """
        if self._steps is not None and not statics and isinstance(initial, State) and self._steps.load(initial):
            self._initial = initial
            return
        statics = _named(statics)
        for name in statics:
            _check_name(self.cell, name, self.cell.statics, "static")
        merged = {**self._statics, **statics}
        examples = self._examples() if self._steps is None else self._steps.examples
        if examples is not None:
            self._steps = self._made(examples, merged, initial)
        self._statics, self._initial = merged, initial

    def _signals(self, inputs: Iterable[str]) -> frozenset[Signal]:
        """Return the signals that these inputs make computable, or that the outputs need."""
        names = self._outputs
        if names is None:
            computable = computable_from(self.cell, set(inputs))
            names = tuple(x.name for x in computable if x.equation is not None)
        return frozenset(needed_for(self.cell, names))

    def _examples(self) -> dict[str, NDArray[Any]] | None:
        """Return data of a step, as far as they are known before the first one; None where a size isn't declared."""
        given = [x for x in self._signals(self.cell.signals) if x.given]
        if any(x.shape is None for x in given):
            return None
        dtype = np.result_type(*[x.dtype for x in parameters(self.cell).values()] or [np.dtype(float)])
        labels = integer_inputs(self.cell)
        return {x.name: np.zeros(self.batch + (x.shape or ()), int if x.name in labels else dtype) for x in given}

    def _made(self, examples: Mapping[str, NDArray[Any]], statics: Mapping[str, Any], initial: Any) -> Steps:
        """Return the program of a step for data like these, at its start."""
        part = self._compiled.part(self._signals(examples))
        for name, static in part.cell.statics.items():
            if name not in statics:
                raise ValueError(f"no value for the static {name!r}, declared at {static.origin}: stream({name}=...) "
                                 f"(at {call_site()})")
        own = {name: x.numpy() if isinstance(x, Tensor) else x for name, x in statics.items()
               if name in part.cell.statics}
        given = {name: x for name, x in examples.items() if name in part.cell.signals}
        names = tuple(part.cell.signals) if self._outputs is None else self._outputs
        return Steps(part, given, own, self.batch, _own_values(self.cell, part.cell, initial), names)

    def _first(self, inputs: Mapping[str, Any]) -> Steps:
        """Return the program of a step for the inputs of the first one."""
        declared = self._inputs
        self._check_names(inputs)
        signals = self._signals(inputs)
        missing = [x for x in declared.values() if x.name not in inputs and (x in signals or not signals)]
        if missing:
            raise _missing(missing[0], [x.name for x in declared.values() if x in signals or not signals])
        data = {name: _data_of_step(declared[name], x, self.batch, declared[name].shape) for name, x in inputs.items()
                if declared[name] in signals}
        known = self._steps
        if known is not None and {name: x.dtype for name, x in known.examples.items()} \
                == {name: x.dtype for name, x in data.items()}:
            return known
        return self._made(data, self._statics, self._initial)

    def _check_names(self, inputs: Iterable[str]) -> None:
        for name in inputs:
            _check_name(self.cell, name, self._inputs, "input")

    def __repr__(self) -> str:
        return f"<Stream of {self.cell.name!r}: batch {self.batch}>"


class Steps:
    """The program of one step, its arrays, and the state in them.

    A signal that is read with delays has the values of its last steps in the rows of one array, the newest in the last
    row. At the next step these move up by one row, once its data have been checked: so a step that fails leaves
    the state in the first rows.

    Attributes:
        part: the compiled definition of the signals that the outputs need.
        examples: data of a step.
        names: of the outputs.
        latest: the outputs of the last step.
    """

    def __init__(self, part: Compiled, examples: Mapping[str, NDArray[Any]], statics: Mapping[str, Any], batch: Shape,
                 initial: Any, names: tuple[str, ...]) -> None:
        self.part = part
        self.examples = {name: np.zeros_like(x) for name, x in examples.items()}
        self.names = names
        self.latest: StepOutputs | None = None
        options = UnrollOptions(None if examples else 1, initial=initial)
        with override(recording=False):
            inputs = prepare_inputs(part.cell, {**{name: x[None] for name, x in self.examples.items()}, **statics},
                                    options, batch)
            if inputs.batch != batch:
                raise ValueError(f"the initial values have batch axes {inputs.batch}, but this stream has {batch} "
                                 f"(at {call_site()}): stream(batch=...) sets them")
            self.plan = part.plan_for(inputs, records=False)
        self.loaded = self.plan.loaded
        self.arrays = self.loaded.new_buffers(1, self.plan.B)
        self.values: dict[str, Any] = self.plan.static_arrays
        self.declared = [(part.cell.signals[name], (*batch, *inputs.shapes[name]), x.dtype)
                         for name, x in inputs.values.items()]
        self._lay_out()
        self._load({key: self.plan.boundary_array(value, self.loaded.program.boundaries[key].node.shape)
                    for key, value in self.plan.boundary.items()}, inputs.start)
        self._positions: list[int] | None = None  # of the last changes of the weights
        self._drawn = bool(random_tensors(part.cell))  # weights are drawn anew at each step
        self._fresh = True  # those that are computed from parameters were computed just now
        self._prepared: dict[str, Any] = {}

    def _lay_out(self) -> None:
        """Find the rows of the arrays that hold the state, and those that hold the outputs."""
        program = self.loaded.program
        margins, signals = program.plan.lifetimes.margins, program.lowered.cell.signals
        self.rows: dict[tuple[str, int], tuple[NDArray[Any], int]] = {}  # (signal, step) -> array, row after a step
        self.moves: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}  # signal -> the rows to be written, and read
        self.options: dict[str, NDArray[Any]] = {}
        for (name, step), boundary in program.boundaries.items():
            every = getattr(self.arrays, f"{program.names.of[boundary.node]}_all")
            last = margins[boundary.node][0]
            self.rows[name, step] = every, last + step
            self.options[boundary.name] = every[last + step - 1]
            self.moves[name] = every[:last], every[1:last + 1]
        self.shown: dict[str, NDArray[Any]] = {}
        for name, array in program.outputs.items():
            if (margin := margins.get(program.lowered.roots[name])) is not None:
                self.shown[name] = getattr(self.arrays, f"{array}_all")[margin[0] - signals[name].lead]
            else:
                self.shown[name] = getattr(self.arrays, array)[0]

    def _load(self, values: Mapping[tuple[str, int], Any], start: NDArray[np.int64]) -> None:
        """Set the values that are given, and the number of steps before."""
        for key, value in values.items():
            every, row = self.rows[key]
            every[row - 1] = value
        self.start = np.broadcast_to(start, self.plan.inputs.batch).copy()
        self.count = 0
        self.moved = True  # whether the rows have moved up since the last step
        self.latest = None
        self.values[STEP] = (self.start.reshape(1, -1) + 1).astype(float)

    def load(self, state: State) -> bool:
        """Start from a state; return False, and change nothing, where that needs the checks of a new start."""
        batch, signals, values = self.plan.inputs.batch, self.loaded.program.lowered.cell.signals, {}
        for (name, step), (every, _) in self.rows.items():
            value = state.values.get(name, {}).get(step + signals[name].lead)
            if value is None or value.dtype.kind != every.dtype.kind or value.shape != (*batch, *every.shape[2:]):
                return False
            values[name, step] = value._array.reshape(every.shape[1:])
        if state.steps.shape not in ((), batch):
            return False
        self._load(values, state.steps)
        return True

    def state(self) -> State:
        """Return copies of the values that the next step reads."""
        batch, signals = self.plan.inputs.batch, self.loaded.program.lowered.cell.signals
        values: dict[str, dict[int, Tensor]] = {}
        for (name, step), (every, row) in self.rows.items():
            value = np.array(every[row - self.moved].reshape((*batch, *every.shape[2:])))
            values.setdefault(name, {})[step + signals[name].lead] = constant(value, name)
        return State(values, self.start + self.count)

    def value(self, name: str) -> NDArray[Any]:
        """Return a copy of a signal's value at this step."""
        value = self.shown[name]
        return np.array(value.reshape((*self.plan.inputs.batch, *value.shape[1:])))

    def step(self, inputs: Mapping[str, Any]) -> StepOutputs:
        """Compute one step."""
        data = self._checked(inputs)
        self.latest = None
        if not self.moved:
            for target, source in self.moves.values():
                target[...] = source
            self.values[STEP] += 1
            self.moved = True
        self._refresh()
        values = {**self.values, **data}
        if self.loaded.program.lowered.draws:
            values.update(draw_masks(self.loaded.program.lowered, 1, (self.plan.B,)))
        arguments = [values[name] for name in self.loaded.data[0]]
        self.loaded.run(self.loaded.forward, [self.arrays, *arguments, *self._arrays_of(self.plan.weights[0])],
                        {**self.options, **self._prepared})
        self.count += 1
        self.moved = False
        self.latest = StepOutputs(self, self.names)
        return self.latest

    def _checked(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the data of a step as the program takes them, (1, B, *shape)."""
        found = {}
        for signal, shape, dtype in self.declared:
            if signal.name not in inputs:
                raise _missing(signal, [x.name for x, *_ in self.declared])
            array = inputs[signal.name]
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                array = _data_of_step(signal, array, self.plan.inputs.batch,
                                      shape[len(self.plan.inputs.batch):]).astype(dtype, copy=False)
            found[signal.name] = array.reshape(1, self.plan.B, *shape[len(self.plan.inputs.batch):])
        return found

    def _refresh(self) -> None:
        """Compute what weights alone determine, if they have changed since the last step."""
        positions = [0 if x.changes is None else check_modified(x) for x in self.plan.leaves]
        if positions == self._positions and not self._drawn:
            return
        plan = self.plan
        if (plan.copies or plan.statics) and not self._fresh:
            with override(recording=False):
                copies, _, statics = self.part.computed_once(plan.inputs)
            self.plan = replace(plan, copies=copies, statics=statics)
            self.values.update(self.plan.static_arrays)
        if self.loaded.prepare is not None:
            weights = [self.plan.copies.get(id(x), x) for x in self.loaded.prepared_from]
            made = self.loaded.run(self.loaded.prepare, self._arrays_of(weights), {})
            # a view of a weight would count as another holder of its array: see minigrad.mutation
            self._prepared = {"prepared": tuple(x if x.base is None else x.copy() for x in made)}
        self._positions, self._fresh = positions, False

    def _arrays_of(self, weights: Iterable[Tensor]) -> list[NDArray[Any]]:
        """Return the arrays of weights in the program's type; labels keep theirs."""
        dtype, labels = self.loaded.dtype, self.loaded.labels
        return [x._array if x._array.dtype == dtype or id(x) in labels else x._array.astype(dtype) for x in weights]


# ---- checks


def refuse_reading_ahead(cell: Definition, signals: frozenset[Signal]) -> None:
    """Raise DefinitionError if one of these signals reads a step later than the one that is being computed."""
    ahead = reads_ahead(cell, signals)
    late = [x for x in cell.equations if x.signal in signals and x.lead < 0]
    if ahead:
        link = ahead[0]
        others = sorted(x.name for x in set(cell.signals.values()) - computed_from(cell, [x.target for x in ahead])
                        if x.equation is not None)
        hint = f"stream(outputs={others!r}) computes the others" if others else "call the program on whole sequences"
        raise DefinitionError(f"{link.target.name} reads {link}, at {link.equation.origin}, which a stream doesn't "
                              f"know yet when it computes step t (at {call_site()}): {hint}")
    if late:
        name = late[0].signal.name
        raise DefinitionError(f"the equation at {late[0].origin} defines {name}[{Time('t', late[0].lead)!r}], so that "
                              f"{name}[t] isn't known at step t (at {call_site()}): define {name}[t] = ...")


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of a call, with those of the dict `inputs` among them."""
    if "inputs" in values and isinstance(values["inputs"], Mapping):
        return {**values["inputs"], **{name: x for name, x in values.items() if name != "inputs"}}
    return values


def _batch_shape(batch: Any) -> Shape:
    """Return the option `batch` as a shape."""
    shape = () if batch is None else batch if isinstance(batch, tuple) else (batch,)
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in shape):
        raise ValueError(f"batch is a number of sequences, 1 or more, or None for one without a batch axis, not "
                         f"{batch!r} (at {call_site()})")
    return tuple(map(int, shape))


def _checked_outputs(cell: Definition, outputs: Iterable[str]) -> tuple[str, ...]:
    """Return the option `outputs`; raise an error for what is no list of names of signals."""
    if isinstance(outputs, str):
        raise TypeError(f"outputs is a list of names, [{outputs!r}], not one name (at {call_site()})")
    names = tuple(outputs)
    if not names:
        raise ValueError(f"outputs is an empty list (at {call_site()}): name a signal of {cell.name!r}")
    for name in names:
        _check_name(cell, name, cell.signals, "signal")
        if not cell.signals[name].given and cell.signals[name].equation is None:
            raise ValueError(f"{name}, declared at {cell.signals[name].origin}, has no equation (at {call_site()})")
    return names


def _check_name(cell: Definition, name: str, known: Mapping[str, Any], kind: str) -> None:
    """Raise ValueError for a name that isn't among those that are known."""
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{cell.name!r} has no {kind} {name!r}: {hint} (at {call_site()})")


def _missing(signal: Signal, needed: Iterable[str]) -> ValueError:
    """Return the error for data that are missing."""
    return ValueError(f"no data for the input {signal.name!r}, declared at {signal.origin}: call "
                      f"stream({', '.join(f'{name}=...' for name in needed)}) (at {call_site()})")


def _data_of_step(signal: Signal, value: Any, batch: Shape, own: Shape | None) -> NDArray[Any]:
    """Return the data of one input at one step, checked.

    Args:
        own: the shape of a value of one sequence; None: any vector or number.
    """
    try:
        array = value._array if isinstance(value, Tensor) else np.asarray(value)
    except ValueError as error:
        raise ValueError(f"the data for {signal.name!r} are not an array (at {call_site()}): {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the data for {signal.name!r} are {array.dtype}, not real numbers (at {call_site()})")
    check_labels(signal.cell, signal.name, array.dtype, call_site())
    rest = array.shape[len(batch):]
    if array.shape[:len(batch)] != batch or (len(rest) > 1 if own is None else rest != own):
        wanted = f"{batch + own}" if own is not None else f"({''.join(f'{n}, ' for n in batch)}size)"
        why = f"that of one step, for batch={batch[0] if len(batch) == 1 else batch or None}"
        raise ValueError(f"the data for {signal.name!r} have shape {array.shape} (at {call_site()}), but {wanted} is "
                         f"needed, {why}: {signal.name} was declared at {signal.origin}")
    return array


def _own_values(cell: Definition, part: Definition, initial: Any) -> Any:
    """Return those values of the option `initial` that a part of the definition reads."""
    if isinstance(initial, State):
        read = boundaries(part)
        return State({name: {k: value for k, value in steps.items() if k in read[name].before}
                      for name, steps in initial.values.items() if name in read}, initial.steps)
    if isinstance(initial, Mapping):
        return {name: value for name, value in initial.items() if name not in cell.signals or name in part.signals}
    return initial
