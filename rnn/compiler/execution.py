"""Running compiled programs: a program loaded by Python, a checked call, its arrays and results.

Doesn't import the passes that make programs.
"""

from __future__ import annotations

import linecache
import math
import operator
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Op, Tensor
from minigrad.backward import ancestors, array_of, cast_gradient, compute_gradients
from minigrad.conversion import result_array
from minigrad.functions import where
from minigrad.mutation import check_modified, creation_counter
from minigrad.provenance import call_site
from minigrad.tensor import constant
from rnn.ir.feeds import step_numbers, values_after
from rnn.ir.nodes import AFTER, STEP, Backward, upstream_name
from rnn.language.dependencies import boundaries, integer_tensors
from rnn.language.own_operations import is_own
from rnn.unrolling.inputs import Inputs, initial_by_step
from rnn.unrolling.masks import Hold, OwnSteps, holds, reach_of_held
from rnn.unrolling.state import State
from rnn.unrolling.truncation import LossSteps, WindowSteps

from .emit import render
from .pipeline import Program

MAX_BUFFERS = 4  # (T, batch size) pairs that a program keeps arrays for
_array_of = operator.attrgetter("_array")


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
        space: dict[str, Any] = {name: PlainResults(op) if is_own(op) else op
                                 for name, (op, _) in program.code.operations.items()}
        exec(compile(self.text, self.file, "exec"), space)
        self.new_buffers: Callable[[int, int], SimpleNamespace] = space["buffers"]
        self.buffers = ThreadBuffers(self.new_buffers)
        self.forward = space["forward"]
        self.backward = space.get("backward")
        self.prepare = space.get("prepare")  # of a program that is split
        passes = program.code.forward, program.code.backward
        self.data = [[node.op.name for node in part.inputs] for part in passes]
        self.weights = [[node.op.tensor for node in part.weights] for part in passes]
        self.prepared_from = [] if self.prepare is None else [
            node.op.tensor for node in program.code.prepare.weights]  # type: ignore[union-attr]
        self.labels = integer_tensors(program.lowered.cell)

    def by_numpy(self) -> Loaded:
        """Return the same program for NumPy alone."""
        return self

    def run(self, function: Any, arguments: Iterable[Any], options: Mapping[str, Any]) -> Any:
        """Call a function of the program.

        Raises:
            ValueError, TypeError, IndexError: the error of an operation, with the line of the program.
        """
        try:
            return function(*arguments, **options)
        except Exception as error:
            place = self.place_of(error)
            if place is None:
                raise
            if isinstance(error, (ValueError, TypeError, IndexError)):
                raise type(error)(f"{error}\n{place}") from None
            if hasattr(error, "add_note"):  # since Python 3.11
                error.add_note(place)
            raise

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

    @cached_property
    def holds(self) -> dict[str, Hold]:
        """The values of each signal at masked steps."""
        return holds(self.program.lowered.cell)


class PlainResults:
    """An operation of the user's, whose results and gradients become arrays as in the recorded graph."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def forward(self, *operands: Any) -> NDArray[Any]:
        """Return the result as an array."""
        return result_array(self.op, self.op.forward(*operands))

    def backward(self, *arguments: Any) -> Any:
        """Return the gradients as arrays.

        Raises:
            TypeError: for None in the place of the gradients.
        """
        found = self.op.backward(*arguments)
        if found is None:
            raise TypeError(f"{type(self.op).__name__}.backward returned None: is its `return` missing? For an operand "
                            "without a gradient it returns (None,)")
        return tuple(map(array_of, found)) if isinstance(found, tuple) else array_of(found)


@dataclass(frozen=True)
class CallPlan:
    """All of a call but its data: made once, it serves every call whose inputs have the same shapes and dtypes.

    Attributes:
        loaded: the program.
        inputs: the checked inputs; in a cached plan without their values.
        boundary: (signal, step) -> the value before or after the sequence that is set.
        copies: id of a tensor that depends on parameters alone -> the same, computed from their present values.
        statics: name -> the value of an expression of statics, (*batch, *shape), which is the same at all steps.
        leaves, trained: the parameters and constants, and which of them required a gradient.
        by_column: whether values after the end are those of the columns T + 1, ..., and not of own steps: in a window.
        places: of a cached plan, the keys in `boundary` of the values that `initial` gives, in their order.
    """

    loaded: Loaded
    inputs: Inputs
    boundary: Mapping[tuple[str, int], Tensor]
    copies: Mapping[int, Tensor]
    statics: Mapping[str, Tensor]
    leaves: list[Tensor]
    trained: list[bool]
    by_column: bool = False
    places: Sequence[tuple[str, int]] = ()

    @cached_property
    def B(self) -> int:
        """The number of sequences."""
        return math.prod(self.inputs.batch)

    @cached_property
    def own(self) -> OwnSteps | None:
        """The own steps of the sequences, with one axis for the batch; None where nothing is masked."""
        mask = self.inputs.mask
        return None if mask is None or self.inputs.own is None else OwnSteps(mask.reshape(self.inputs.T, self.B))

    @cached_property
    def counted(self) -> int:
        """The number of values of a signal at steps that aren't masked."""
        return self.inputs.T * self.B if self.inputs.mask is None else int(self.inputs.mask.sum())

    @cached_property
    def after(self) -> dict[str, dict[int, Tensor]]:
        """The values after the sequence: signal -> {step of its equation after T: value}."""
        return values_after(self.boundary)

    def boundary_array(self, value: Tensor, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a value before or after the sequence as the program takes it: (*shape), or (B, *shape)."""
        array = self.copies.get(id(value), value)._array
        if array.ndim > len(shape):
            whole = *self.inputs.batch, *shape
            array = array if array.shape == whole else np.broadcast_to(array, whole)
            array = array if len(self.inputs.batch) == 1 else array.reshape(self.B, *shape)
        return array

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs as the program takes them: (T, B, *shape)."""
        return {name: (self.inputs.T, self.B, *shape) for name, shape in self.inputs.shapes.items()}

    @cached_property
    def weights(self) -> list[list[Tensor]]:
        """The tensors that the forward and the backward function take."""
        return [[self.copies.get(id(x), x) for x in tensors] for tensors in self.loaded.weights]

    @cached_property
    def converted(self) -> list[list[int]]:
        """The places of weights of another type than the program's; labels keep theirs."""
        return [[place for place, x in enumerate(tensors)
                 if x.dtype != self.loaded.dtype and id(x) not in self.loaded.labels] for tensors in self.weights]

    @cached_property
    def targets(self) -> tuple[list[tuple[str, Tensor]], list[tuple[str, Any]]]:
        """The names of gradients: those that are of a leaf as they are, each with it; all others, each with its key.

        Functions of NumPy compute arrays of the program's type; operations that are called may return others.
        """
        program, plain, other = self.loaded.program, list[tuple[str, Tensor]](), list[tuple[str, Any]]()
        for key, name in program.gradients.items():
            if isinstance(key, Tensor) and key.op is None and key.ndim and key.dtype == self.loaded.dtype \
                    and not program.code.operations:
                plain.append((name, key))
            else:
                other.append((name, key))
        return plain, other

    @property
    def static_arrays(self) -> dict[str, NDArray[Any]]:
        """The values of the expressions of statics as the program takes them: (B, *shape)."""
        ndim = len(self.inputs.batch)
        return {name: x._array.reshape(self.B, *x.shape[ndim:]) for name, x in self.statics.items()}

    def without_values(self, initial: Any) -> CallPlan:
        """Return the plan to be cached: it keeps no data alive.

        Args:
            initial: the option of that name, whose form the plan is for.
        """
        cell, T = self.loaded.program.lowered.cell, self.inputs.T
        places = []
        for name, steps in initial_by_step(cell, initial, self.inputs.origin).items():
            lead = cell.signals[name].lead
            places += [(name, step - lead if step <= lead else step - lead - T) for step in steps]
        boundary = {key: value for key, value in self.boundary.items() if key not in places}
        if cell.statics:  # initial values may be computed from them: those that the definition sets are kept
            return replace(self, inputs=replace(self.inputs, values={}, statics={}), statics={}, boundary={}, copies={})
        return replace(self, inputs=replace(self.inputs, values={}, boundary={}), boundary=boundary, places=places)

    def call(self, values: Mapping[str, Any]) -> Call:
        """Return a call of this plan on other arrays of the same shapes."""
        shapes, T = self.shapes, self.inputs.T
        given = {name: array if array.shape == shapes[name] else array.reshape(shapes[name])
                 for name, array in values.items()}
        if STEP in self.loaded.data[0]:
            given[STEP] = step_numbers(T, self.inputs.batch, self.inputs.start).reshape(T, -1)
        return Call(self, {**given, **self.static_arrays} if self.statics else given)

    def starting_from(self, values: Iterable[Tensor | NDArray[Any]], initial: Any) -> CallPlan:
        """Return the plan for other data of the option `initial`, of the same form: `values` are its values in order.

        As fast as possible: `replace` would cost as much as a step of a small network.
        """
        _ = self.B, self.own, self.counted, self.shapes, self.weights, self.converted  # computed here, once for all
        _ = self.targets
        boundary = dict(zip(self.places, values))
        for (name, step), value in boundary.items():
            if type(value) is not Tensor:
                signal = self.loaded.program.lowered.cell.signals[name]
                boundary[name, step] = signal.boundary(str(step + signal.lead), value, call_site())
        inputs = self.inputs
        if type(initial) is State:
            inputs = object.__new__(Inputs)
            vars(inputs).update(vars(self.inputs), start=initial.steps)
        plan = object.__new__(CallPlan)
        vars(plan).update(vars(self), inputs=inputs, boundary={**self.boundary, **boundary})
        return plan


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
        self._run(self.loaded.forward, 0, {}, self._boundary_arrays())
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
            if tensor.changes is not None and check_modified(tensor) > self.order:
                raise ValueError(f"{tensor!r}: its data was changed (at {tensor.changes.where}) after the program of "
                                 f"{self.loaded.program.lowered.cell.name!r} had used it, so that gradients would be "
                                 "wrong. Call the program again before its backward()")

    def tensors(self) -> list[Tensor]:
        """Return the parameters and constants, and boundary values, that the program reads."""
        read = {*self.loaded.program.lowered.weights, *self.plan.boundary.values(), *self.plan.statics.values()}
        return [x for tensor in read for x in (ancestors(tensor) if tensor.op is not None else [tensor])]

    def backward(self, given: Mapping[str, Any]) -> list[tuple[Tensor, NDArray[Any]]]:
        """Return the gradients of leaves; one may have several terms.

        Args:
            given: the upstream gradients, (T, B, *shape), or the scale of the loss, by name.
        """
        if self.loaded.backward is None:  # nothing requires a gradient
            return []
        plan = self.plan
        found: list[tuple[Tensor, NDArray[Any]]] = []
        if plan.own is not None:
            given = dict(given)
            for name in self.loaded.program.lowered.cell.signals:
                if upstream_name(name) in given:
                    held, given[upstream_name(name)] = self._compact_upstream(name, given[upstream_name(name)])
                    if (name, 0) in plan.boundary and plan.boundary[name, 0].requires_grad:
                        found += _of_leaves(*self._target_and_gradient((name, 0), held))
        results = self._run(self.loaded.backward, 1, given, {})
        leaves, others = plan.targets
        found += [(leaf, results[name]) for name, leaf in leaves]
        for name, key in others:
            for pair in self._pairs(key, results[name]):
                found += _of_leaves(*pair)
        return found

    def _pairs(self, key: object, gradient: NDArray[Any]) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Yield the tensors that a gradient of the program belongs to, each with its part."""
        if isinstance(key, tuple) and self._after(*key):  # a column after T: own steps that differ
            for step, value, sequences in self._after(*key):
                if value.requires_grad:
                    part = np.zeros_like(gradient)
                    part[sequences] = gradient[sequences]
                    yield self._target_and_gradient((key[0], step), part)
            return
        if isinstance(key, str) and key not in self.plan.statics:
            yield from self._pairs_after(key.removeprefix(AFTER), gradient)
            if not isinstance(self.plan.inputs.values.get(key), Tensor):
                return
        yield self._target_and_gradient(key, gradient)

    def _pairs_after(self, name: str, gradient: NDArray[Any]) -> Iterator[tuple[Tensor, NDArray[Any]]]:
        """Yield the values after the end that sequences have in 1 … T, from the gradient of all steps."""
        own = self.plan.own
        for step, value in self.plan.after.get(name, {}).items():
            if own is not None and value.requires_grad:
                rows, sequences = own.steps_after(step)
                found = np.zeros(gradient.shape[1:], gradient.dtype)
                found[sequences] = gradient[rows, sequences]
                yield self._target_and_gradient((name, step), found)

    def _compact_upstream(self, name: str, gradient: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return an upstream gradient of the value before the first step, and (T, B, *shape) by own steps.

        The vector-Jacobian product of `shown`: a value that is held gets the sum over the steps that hold it.
        """
        step, counts = self._shown_steps(name)
        truncation = self.plan.inputs.truncation
        if truncation.masks_gradients and self.plan.own is not None:
            counts = counts & self.loaded.holds[name].passes(step, self.plan.own.mask, reach_of_held(truncation, 1))
        total = np.zeros((len(gradient) + 2, *gradient.shape[1:]), gradient.dtype)
        sequences = np.broadcast_to(np.arange(self.plan.B), step.shape)
        np.add.at(total, (step[counts], sequences[counts]), gradient[counts])
        return total[0], total[1:-1]

    def _run(self, function: Any, number: int, given: Mapping[str, Any], boundary: Mapping[str, Any]) -> Any:
        """Call one of the two functions of the program.

        Args:
            number: 0: forward, 1: backward.
            given: arguments by name, beside `values`.
            boundary: those of boundary values.
        """
        values, weights = self.values, [*map(_array_of, self.plan.weights[number])]
        for index in self.plan.converted[number]:
            weights[index] = weights[index].astype(self.loaded.dtype)
        data = [given[name] if name in given else values[name] for name in self.loaded.data[number]]
        return self.loaded.run(function, [self.arrays, *data, *weights], boundary)

    def _boundary_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the values before and after the sequence, by their names in the program."""
        found, plan, known = {}, self.plan, self.loaded.program.boundaries
        for key, value in plan.boundary.items():
            boundary = known[key]
            array = plan.boundary_array(value, boundary.node.shape)
            after = self._after(*key) if plan.own is not None else []
            if after:
                array = np.zeros((self.plan.B, *boundary.node.shape), array.dtype)
                for _, own_value, sequences in after:
                    values = np.broadcast_to(self.plan.boundary_array(own_value, boundary.node.shape), array.shape)
                    array[sequences] = values[sequences]
            found[boundary.name] = array
        return found

    def _after(self, name: str, column: int) -> list[tuple[int, Tensor, NDArray[np.int64]]]:
        """Return the values at a column after T where sequences differ: their own steps, values, and sequences."""
        own = self.plan.own
        if own is None or column < 1 or self.plan.by_column:
            return []
        steps = column + own.T - own.length
        return [(step, value, np.flatnonzero(steps == step)) for step, value in self.plan.after[name].items()]

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
            gradient = gradient.reshape((*inputs.batch, *gradient.shape[1:]))
        elif key in plan.statics:
            tensor = plan.statics[str(key)]
            gradient = gradient.reshape(tensor.shape)
        else:
            tensor = inputs.values[str(key)]  # type: ignore[assignment]
            gradient = gradient if plan.own is None else plan.own.spread(gradient)
            ndim = len(inputs.shapes[str(key)])
            gradient = _sum_over_batch(gradient.reshape(self.shape(str(key))), tensor.shape, ndim)
        return tensor, np.array(cast_gradient(gradient, tensor, tensor))

    # ---- results
    def array(self, name: str) -> NDArray[Any]:
        """Return a signal's values at the steps of its equation: the program's own array."""
        found: NDArray[Any] = getattr(self.arrays, self.loaded.program.outputs[name])
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a signal's values at all steps."""
        return (self.plan.inputs.T, *self.plan.inputs.batch, *self.loaded.program.lowered.roots[name].shape)

    def _with_margins(self, name: str) -> tuple[NDArray[Any], int]:
        """Return a signal's values with those of the boundary, (T + margins, B, *shape), and the row of t = 1."""
        program = self.loaded.program
        margin = program.plan.lifetimes.margins.get(program.lowered.roots[name])
        array: NDArray[Any] = getattr(self.arrays, program.outputs[name] + ("_all" if margin else ""))
        return array, (margin[0] if margin else 0) - program.lowered.cell.signals[name].lead

    def steps(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Return a copy of a signal's values at t = first … last; with a mask of each sequence's own steps."""
        array, start = self._with_margins(name)
        part = array[start + first - 1:start + last]
        return np.array(part.reshape(-1, *self.plan.inputs.batch, *self.loaded.program.lowered.roots[name].shape))

    def _at(self, name: str, step: NDArray[np.int64], counts: Any = True) -> NDArray[Any]:
        """Return a signal's values at own steps (..., B); zero outside of those that are known, and where not `counts`.
        """
        array, start = self._with_margins(name)
        rows = step + (start - 1)
        counts = (rows >= 0) & (rows < len(array)) & counts
        found: NDArray[Any] = array[np.where(counts, rows, 0), np.arange(self.plan.B)]
        found[~counts] = 0
        return found.reshape((*step.shape[:-1], *self.plan.inputs.batch, *array.shape[2:]))

    def _shown_steps(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the own step whose value a signal has at each column, (T, B), and where it isn't zero."""
        own, hold = self.plan.own, self.loaded.holds[name]
        assert own is not None
        return hold.step(own.count, own.length, own.mask), own.mask | bool(hold.direction)

    def shown(self, name: str) -> NDArray[Any]:
        """Return a copy of a signal's values at t = 1 … T: the columns of the batch."""
        if self.plan.own is None:
            return self.steps(name, 1, self.plan.inputs.T)
        found: NDArray[Any] = self._at(name, *self._shown_steps(name))
        return found

    def final(self, name: str) -> NDArray[Any]:
        """Return a copy of each sequence's value at its last own step."""
        own = self.plan.own
        if own is None:
            last: NDArray[Any] = self.steps(name, self.plan.inputs.T, self.plan.inputs.T)[0]
            return last
        shown: NDArray[Any] = self._at(name, own.length)
        empty = (own.length == 0).reshape(*self.plan.inputs.batch, *(1,) * (shown.ndim - len(self.plan.inputs.batch)))
        found: NDArray[Any] = np.where(empty, self.shown(name)[-1], shown)
        return found

    def total_loss(self, name: str) -> float:
        """Return the sum of the losses that count."""
        losses, own = self.array(name), self.plan.own
        return float(losses.sum() if own is None else losses[own.prefix].sum())

    def state(self) -> State:
        """Return the last values of every signal that is read with a delay."""
        own, inputs = self.plan.own, self.plan.inputs
        T = inputs.T
        return State({name: {k: constant(self.steps(name, T + k, T + k)[0] if own is None
                                         else self._at(name, own.length + k), name) for k in boundary.before}
                      for name, boundary in boundaries(self.loaded.program.lowered.cell).items() if boundary.before},
                     inputs.steps_after)

    def _entering(self, name: str, k: int) -> Tensor:
        """Return a value that a window starts from: constant, but for data that require a gradient."""
        value = constant(self.steps(name, k, k)[0], name)
        inputs, own = self.plan.inputs, self.plan.own
        data = inputs.values.get(name)
        if isinstance(data, Tensor) and data.requires_grad and 1 <= k <= inputs.T:
            has_step: Any = own is None or own.mask[k - 1].reshape(*inputs.batch, *(1,) * len(inputs.shapes[name]))
            value = where(has_step, data[k - 1], value)
        return value

    def window_inputs(self, window: WindowSteps) -> tuple[Inputs, dict[str, Any]]:
        """Return the inputs and the data of one window of a truncation, from the values of this call over all steps."""
        inputs, cell = self.plan.inputs, self.loaded.program.lowered.cell
        before, length = window.steps.start - 1, len(window.steps)
        part = slice(before, window.steps.stop - 1)
        boundary: dict[str, dict[int, Tensor]] = {}
        for entering in window.entering(cell, inputs.T):
            name, lead = entering.signal.name, entering.signal.lead
            value = None if entering.boundary is None else self.plan.boundary.get((name, entering.boundary))
            if value is None or entering.constant or (inputs.own is not None and entering.local > 0):
                value = self._entering(name, entering.step + lead)
            k = entering.local + lead + (length if entering.local > 0 else 0)
            boundary.setdefault(name, {})[k] = value
        losses = range(window.loss_steps.start - before, window.loss_steps.stop - before)
        found = replace(inputs, T=length, values={name: x[part] for name, x in inputs.values.items()},
                        mask=None if inputs.own is None else inputs.own.mask[part], boundary=boundary,
                        truncation=LossSteps(length, losses))
        names = {STEP, *inputs.values, *self.loaded.program.lowered.draws}
        of_steps = {name: x[part] for name, x in self.values.items() if name in names or name.startswith(AFTER)}
        return found, of_steps | {name: self.values[name] for name in self.plan.statics}


def _of_leaves(tensor: Tensor, gradient: NDArray[Any]) -> list[tuple[Tensor, NDArray[Any]]]:
    """Return the gradients of the leaves that a tensor was computed from, given its own."""
    if tensor.op is None:
        return [(tensor, gradient)]
    trained = {x for x in ancestors(tensor) if x.op is None and x.requires_grad}
    return [(leaf, term) for leaf, term in compute_gradients(tensor, gradient, trained).items() if leaf in trained]


def _sum_over_batch(gradient: NDArray[Any], shape: tuple[int, ...], ndim: int) -> NDArray[Any]:
    """Return the gradient of data that lack axes of the batch, or have axes of length 1 there: the sum over these.

    Args:
        gradient: (T, *batch, *own).
        shape: of the data.
        ndim: the number of axes of one value of one sequence.
    """
    given = shape[1:len(shape) - ndim]
    missing = gradient.ndim - len(shape)
    full = shape[0], *(1,) * missing, *given, *shape[len(shape) - ndim:]
    axes = tuple(axis for axis, (size, own) in enumerate(zip(gradient.shape, full)) if own == 1 and size > 1)
    return (gradient.sum(axis=axes) if axes else gradient).reshape(shape)
