"""cell.to_onnx(path): a definition as an ONNX file; its graph is written by `OnnxBackend`.

The file's inputs are those of the definition, (T, batch, size) with any T and batch; its outputs the signals at
t = 1 … T, and with state=True the state for the next call; its initializers the parameters; all by the definition's
names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from minigrad.formats.files import write_atomically
from minigrad.provenance import call_site
from rnn.ir.feeds import boundary_values, lowering_options, weight_draws
from rnn.ir.nodes import ADDED, AFTER, MASK, STATIC, STEP, Node
from rnn.language.dependencies import DefinitionError, integer_inputs, nodes, parameters
from rnn.language.equations import Definition
from rnn.language.expressions import Static
from rnn.unrolling.inputs import prepare_inputs
from rnn.unrolling.options import UnrollOptions

from .backend import Array
from .carried import STEPS_AFTER, STEPS_BEFORE, OnnxFile, StateInput, carried_steps, pairs, values_in_use
from .frontend import masked_data, weigh
from .interpreter import Interpreter, Schedule
from .masks import Columns
from .onnx import IR_VERSION, OPSET, Dimensions, OnnxBackend, Value, helper, info, numpy_helper, onnx
from .open_lengths import StandIns, first_difference, open_error, stand_ins

STEPS = 1000  # of the sequence for which boundaries are looked up; the file takes any number


class Model:
    """A definition as the parts of an ONNX file.

    Attributes:
        carried: signal -> the steps before the first that the file carries from call to call.
        states: the inputs for these values.
        counts_steps: whether the number of steps before the call is one more input.
        inputs, outputs: of the file, those of the state left out.
    """

    def __init__(self, cell: Definition, outputs: Sequence[str] | None, lengths: bool, state: bool,
                 open_lengths: StandIns) -> None:
        self.cell = cell
        self.open_lengths = open_lengths
        self.backend = OnnxBackend(_float_type(cell))
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        computed = [name for name, x in cell.signals.items() if not x.given]
        unknown = [name for name in outputs or () if name not in computed]
        if unknown:
            raise ValueError(f"{cell.name!r} computes no signal {unknown[0]!r} (at {call_site()}): it computes "
                             f"{', '.join(computed)}")
        shown = computed if outputs is None else outputs
        self.carried = carried_steps(cell, shown) if state else {}
        self.used = values_in_use(cell, self.carried)
        outside = self._lower(shown, lengths)
        self.states = [StateInput(name, k, self._open(self.roots[name].shape), self._state_type(name))
                       for name, steps in self.carried.items() for k in steps[::-1]]
        self.counts_steps = state and STEP in self.schedule.givens
        whole = self._interpreter(outside, lengths)
        for name, value in whole.run().items():
            self._output(name, value, ("T", "batch")[:1 + len(whole.batch)], self.roots[name].shape,
                         cell.signals[name].origin)
        self._carry(whole)

    @property
    def roots(self) -> dict[str, Node]:
        """Signal -> its node."""
        return self.schedule.lowered.roots

    def _lower(self, shown: Sequence[str], lengths: bool) -> dict[tuple[str, int], Tensor]:
        """Set the schedule; return the values before and after the sequence, as of `boundary_values`."""
        cell, statics = self.cell, self.open_lengths.shapes
        given = {name: x.shape for name, x in cell.signals.items() if x.given}
        labels = integer_inputs(cell)
        zeros = {**{name: np.zeros((STEPS, *(shape or ())), int if name in labels else float)
                    for name, shape in given.items()},
                 **{name: np.zeros(shape) for name, shape in statics.items()}}
        start = {name: dict.fromkeys(steps, 0.0) for name, steps in self.carried.items()}
        sample = prepare_inputs(cell, zeros, UnrollOptions(T=STEPS, initial=start))
        outside = boundary_values(cell, sample)
        sample = replace(sample, shapes={**given, **statics})  # type: ignore[dict-item]  # an unknown size is refused
        options = lowering_options(cell, sample, outside, lengths)
        self.schedule = Schedule(cell, options, self.backend, shown, self.carried, self.used)
        return outside

    def _interpreter(self, outside: Mapping[tuple[str, int], Tensor], lengths: bool) -> Interpreter:
        """Return the interpreter that writes the graph, with all that it starts from."""
        cell, backend, schedule = self.cell, self.backend, self.schedule
        values = {name: backend.initializer(name, x.numpy().astype(backend.dtype))
                  for name, x in parameters(cell).items()}
        statics = self._statics()
        self.entering = self._entering()
        given, T, batch, columns = self._inputs(lengths, [*statics.values(), *self.entering.values()])
        drawn = {name: self._drawn_weight(name, x) for name, x in weight_draws(cell).items()}
        weights = weigh(cell, backend, values, None, drawn, self.used)
        if not batch:
            self._refuse_batches(outside)
        zero = backend.constant(0.0, None)
        whole = Interpreter(backend, schedule, T, batch, given, weights, {}, zero, columns)
        weights = {**weights, **whole.compute_statics(statics)}
        boundary = {(name, step): weights[id(tensor)] for (name, step), tensor in outside.items()
                    if step > 0 or name not in self.carried}
        boundary.update(((x.signal, x.k - cell.signals[x.signal].lead), self.entering[x.before]) for x in self.states)
        if columns is not None:
            given = masked_data(schedule, given, boundary, columns, (T, *batch), zero)
        return replace(whole, given=given, boundary=boundary)

    def _refuse_batches(self, outside: Mapping[tuple[str, int], Tensor]) -> None:
        """Raise DefinitionError for values of a batch beside a file that has none."""
        for (name, step), tensor in outside.items():
            own = self.roots[name].shape
            if tensor.ndim > len(own):
                raise DefinitionError(f"a value of {name} {'after' if step > 0 else 'before'} the sequence, set at "
                                      f"{tensor.origin}, has axes of a batch, {tensor.shape}, and {self.cell.name!r} "
                                      f"has no input whose batch a file could take: set one value, {own}")

    def _open(self, shape: tuple[int, ...]) -> Dimensions:
        """Return a shape with None for lengths that a call binds."""
        return tuple(None if n in self.open_lengths.axes else n for n in shape)

    def _info(self, value: Value, axes: Sequence[str], shape: tuple[int, ...]) -> Any:
        """Return the type of an input or output, with the names of its axes.

        Args:
            axes: the first ones.
            shape: of its values for one sequence, in the IR.
        """
        known = value.shape[len(axes):]
        return info(value, (*axes, *(self.open_lengths.name(n) if m is None else m for n, m in zip(shape, known))))

    # ---- the state
    def _state_type(self, name: str) -> np.dtype[Any]:
        node = self.schedule.givens.get(name)
        return np.dtype(np.int64) if node is not None and node.op.dtype == "int" else self.backend.dtype

    def _entering(self) -> dict[str, Value]:
        """Return the values before the first step, inputs of the file: (batch, *shape)."""
        backend = self.backend
        found = {x.before: backend.named(x.before, (None, *x.shape), x.dtype, self.cell.signals[x.signal].origin)
                 for x in self.states}
        if self.counts_steps:
            found[STEPS_BEFORE] = backend.named(STEPS_BEFORE, (None,), np.int64, "the input for the number of steps")
        return found

    def _carry(self, whole: Interpreter) -> None:
        """Add the state after the call to the outputs."""
        backend = self.backend
        rows = {name: self._last_rows(whole, name, len(steps)) for name, steps in self.carried.items()}
        for x in self.states:
            place = backend.numbers(x.k - self.carried[x.signal].start)
            row = backend.emit("Gather", rows[x.signal], place, shape=rows[x.signal].shape[1:], axis=0)
            self._output(x.after, row, ("batch",), self.roots[x.signal].shape, self.cell.signals[x.signal].origin)
        if self.counts_steps:
            count = whole.T if whole.columns is None else whole.columns.length
            steps = self.entering[STEPS_BEFORE] + count
            self._output(STEPS_AFTER, steps, ("batch",), (), "the output for the number of steps")

    def _last_rows(self, whole: Interpreter, name: str, count: int) -> Array:
        """Return the last values of a signal, those of each sequence's own steps: (count, batch, *shape)."""
        backend, root = self.backend, self.roots[name]
        before, values = [whole.boundary_row(root, name, step) for step in range(1 - count, 1)], whole.read(root)
        if whole.columns is None:
            rows = whole.extend(before, backend.slice_steps(values, -count, None), [])
            return backend.slice_steps(rows, -count, None)
        places = backend.append_axes(backend.numbers(range(count)), 1) + whole.columns.length
        return backend.take_steps(whole.extend(before, values, []), places)

    def _output(self, name: str, value: Value, axes: Sequence[str], shape: tuple[int, ...], origin: Any) -> None:
        result = self.backend.named(name, value.shape, value.dtype, origin)
        self.backend.emit("Identity", value, shape=value.shape, name=name)
        self.outputs.append(self._info(result, axes, shape))

    def _drawn_weight(self, name: str, x: Tensor) -> Value:
        """Return the dropout mask of a parameter, an input of the file."""
        given = self.backend.named(name, x.shape, np.dtype(bool), x.origin)
        self.inputs.append(info(given))
        return given

    # ---- inputs
    def _statics(self) -> dict[str, Value]:
        """Return the statics that the definition reads, inputs of the file without a time axis: (batch, *shape)."""
        found, backend = {}, self.backend
        names = {x.name for x in nodes(self.used, into_tensors=False) if isinstance(x, Static)}
        for name, static in self.cell.statics.items():
            if name in names:
                shape = self.open_lengths.shapes[name]
                found[name] = backend.named(name, (None, *self._open(shape)), backend.dtype, static.origin)
                self.inputs.append(self._info(found[name], ("batch",), shape))
        backend.fixed = self.open_lengths.fixed
        axes = self.open_lengths.axes.items()
        backend.open = {n: (found[name], 1 + axis) for n, (name, axis) in axes if name in found}
        return found

    def _inputs(self, lengths: bool, others: Sequence[Value]
                ) -> tuple[dict[str, Value], Value, tuple[Value, ...], Columns | None]:
        """Return the data as inputs of the file, T and the batch as vectors of one number, and the lengths.

        Args:
            others: inputs that have the batch as their first axis.
        """
        backend, given, ends = self.backend, self._data(), None
        first = next(iter(given.values()), None)
        if first is None:
            T = backend.named("T", (1,), np.int64, "the input for the number of steps")
            self.inputs.append(info(T))
        else:
            T, others = backend.length(first, 0), [first, *others]
        if lengths:
            ends = backend.named("lengths", (None,), np.int64, "the input for the lengths")
            self.inputs.append(info(ends, ("batch",)))
            others = [*others, ends]
        batch = (backend.length(others[0], 0 if first is None else 1),) if others else ()
        if ends is None and STEP not in self.schedule.givens:
            return given, T, batch, None
        stop = backend.emit("Squeeze", T, shape=()) + np.int64(1)
        steps = backend.append_axes(backend.emit("Range", backend.numbers(1), stop, backend.numbers(1), shape=(None,)),
                                    len(batch))
        if STEP in self.schedule.givens:
            before = self.entering.get(STEPS_BEFORE)
            numbers = backend.cast(steps if before is None else steps + before, backend.dtype)
            given[STEP] = backend.broadcast(numbers, (T, *batch), ())
        if ends is None:
            return given, T, batch, None
        count = backend.compute(ops.Minimum(), steps, ends)
        return given, T, batch, Columns(backend, T, steps, steps < ends + np.int64(1), count, ends, None)

    def _data(self) -> dict[str, Value]:
        """Return the data and random draws of the steps, inputs of the file: (T, batch, *shape)."""
        backend, found = self.backend, {}
        data = {name: node for name, node in self.schedule.givens.items()
                if not name.startswith((MASK, AFTER, STATIC, STEP))}
        if not data:  # the outputs depend on no input: T and the batch come from the definition's
            data = {name: self.roots[name] for name, signal in self.cell.signals.items() if signal.given}
        for name, node in data.items():
            drawn = name in self.schedule.lowered.draws
            dtype = np.dtype(bool if drawn else np.int64 if node.op.dtype == "int" else backend.dtype)
            found[name] = backend.named(name, (None, None, *self._open(node.shape)), dtype, node.origin)
            self.inputs.append(self._info(found[name], ("T", "batch"), node.shape))
            if drawn:
                found[name] = backend.cast(found[name], backend.dtype)
        return found

    def proto(self) -> Any:
        """Return the complete model.

        Raises:
            onnx.checker.ValidationError: where it breaks a rule of ONNX.
        """
        shapes = {x.before: self.roots[x.signal].shape for x in self.states}
        inputs = [*self.inputs, *(self._info(x, ("batch",), shapes.get(name, ())) for name, x in self.entering.items())]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.backend.initializers.items()
                   if name in self.backend.read or not name.startswith(ADDED)]  # constants that nothing reads
        graph = helper.make_graph(self.backend.graphs[0], self.cell.name, inputs, self.outputs, tensors)
        equations = "\n".join(f"{equation!r}    {equation.origin}" for equation in self.cell.equations)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="minigrad-rnn", doc_string=equations)
        state = pairs(self.states, self.counts_steps)
        if state:
            helper.set_model_props(model, {"state": json.dumps(state)})
        onnx.checker.check_model(model, full_check=True)
        return model


def to_onnx(cell: Definition, path: str | os.PathLike[str], outputs: Sequence[str] | None = None, lengths: bool = False,
            state: bool = False) -> Path | OnnxFile:
    """Write a definition as an ONNX file.

    Its inputs are the definition's, with floats in the parameters' type, and labels as int64; `T` (one
    int64 in a vector) if it has none. A dropout mask is an input of its own, bools.

    With `state` the values before the first step are inputs as well, and their values for the next call outputs,
    named as in rnn.export.carried. What `Run.state` carries in `unroll`, a file carries; with lengths it is each
    sequence's own. One value of a batch serves for all sequences.

    Args, Returns: as for `Cell.to_onnx`.

    Raises:
        DefinitionError: where the definition can't be computed by ONNX; with a state also where an equation reads
            ahead. Then nothing is written.
        ValueError: for an output that it doesn't compute.
    """
    inputs = {name: x.shape for name, x in cell.signals.items() if x.given and x.shape is not None}
    for one, other in stand_ins(cell, inputs):
        model = Model(cell, outputs, lengths, state, one)
        proto = model.proto()
        reason = _dependence(proto, Model(cell, outputs, lengths, state, other).proto()) if one.axes else None
        if reason is None:
            break
    if reason is not None:
        raise open_error(cell, reason)
    written = write_atomically(path, proto.SerializeToString())
    return OnnxFile(written, cell, model.states, model.counts_steps) if state else written


def _dependence(proto: Any, other: Any) -> str | None:
    """Return which part of a file depends on the numbers that stand for open lengths; None if it is right for all."""
    for x, y in zip(proto.graph.input, other.graph.input):
        if x != y:
            return f"the size of the input {x.name} is computed from them"
    node = first_difference(proto.graph, other.graph)
    return None if node is None else f"the {node.op_type} at {node.doc_string} would need them as numbers"


def _float_type(cell: Definition) -> np.dtype[Any]:
    """Return the type of all floats of a file: that of the parameters."""
    own = parameters(cell).values()
    for x in own:
        if x.dtype not in (np.float16, np.float32, np.float64):
            raise DefinitionError(f"ONNX has no {x.dtype}: convert the parameter {x.label or '(unnamed)'}, made at "
                                  f"{x.origin}, to float64")
    return np.result_type(*(x.dtype for x in own or [np.zeros(1)]))
