"""cell.to_onnx(path): a definition as an ONNX file; its graph is written by `OnnxBackend`.

The file's inputs are those of the definition, (T, batch, size) with any T and batch; its outputs the signals at
t = 1 … T, and with state=True the state for the next call; its initializers the parameters; all by the definition's
names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from minigrad.formats.files import write_atomically
from minigrad.provenance import call_site
from rnn.ir.feeds import boundary_values, lowering_options, weight_draws
from rnn.ir.nodes import AFTER, MASK, STATIC, STEP
from rnn.language.dependencies import DefinitionError, nodes, parameters
from rnn.language.equations import Definition
from rnn.language.expressions import Static
from rnn.unrolling.inputs import prepare_inputs
from rnn.unrolling.options import UnrollOptions

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
        states: the inputs of the carried state.
        counts_steps: whether the number of steps before the call is one more.
    """

    def __init__(self, cell: Definition, outputs: Sequence[str] | None, lengths: bool, state: bool,
                 open_lengths: StandIns) -> None:
        own = parameters(cell)
        self.cell = cell
        self.open_lengths = open_lengths
        wide = [x for x in own.values() if x.dtype not in (np.float16, np.float32, np.float64)]
        if wide:
            raise DefinitionError(f"ONNX has no {wide[0].dtype}: convert the parameter {wide[0].label or '(unnamed)'}, "
                                  f"made at {wide[0].origin}, to float64")
        self.backend = backend = OnnxBackend(np.result_type(*(x.dtype for x in own.values() or [np.zeros(1)])))
        shapes = tuple((name, x.shape) for name, x in cell.signals.items() if x.given)
        computed = [name for name, x in cell.signals.items() if not x.given]
        unknown = [name for name in outputs or () if name not in computed]
        if unknown:
            raise ValueError(f"{cell.name!r} computes no signal {unknown[0]!r} (at {call_site()}): it computes "
                             f"{', '.join(computed)}")
        shown = computed if outputs is None else outputs
        carried = carried_steps(cell, shown) if state else {}
        zeros = {name: np.zeros((STEPS, *(shape or ()))) for name, shape in shapes}
        zeros.update((name, np.zeros(shape)) for name, shape in open_lengths.shapes.items())
        shapes += tuple(open_lengths.shapes.items())
        used = values_in_use(cell, carried)
        start = {name: dict.fromkeys(steps, 0.0) for name, steps in carried.items()}
        sample = prepare_inputs(cell, zeros, UnrollOptions(T=STEPS, initial=start))
        outside = boundary_values(cell, sample)
        options = lowering_options(cell, replace(sample, shapes=dict(shapes)), outside, lengths)  # type: ignore[arg-type]
        self.schedule = schedule = Schedule(cell, options, backend, shown, carried, used)
        self.inputs: list[Any] = []  # of the definition
        values = {name: backend.initializer(name, x.numpy().astype(backend.dtype)) for name, x in own.items()}
        statics = self._statics(used)
        self.states = [StateInput(name, k, self._dimensions(schedule.lowered.roots[name].shape), self._state_type(name))
                       for name, steps in carried.items() for k in steps[::-1]]
        self.counts_steps = state and STEP in schedule.givens
        self.entering = entering = self._entering()
        given, T, batch, columns = self._inputs(lengths, [*statics.values(), *entering.values()])
        drawn = {name: self._drawn_weight(name, x) for name, x in weight_draws(cell).items()}
        weights = weigh(cell, backend, values, None, drawn, used)
        for (name, step), tensor in outside.items():
            own_shape = schedule.lowered.roots[name].shape
            if not batch and tensor.ndim > len(own_shape):
                raise DefinitionError(f"a value of {name} {'after' if step > 0 else 'before'} the sequence, set at "
                                      f"{tensor.origin}, has axes of a batch, {tensor.shape}, and {cell.name!r} has no "
                                      f"input whose batch a file could take: set one value, {own_shape}")
        zero = backend.constant(0.0, None)
        whole = Interpreter(backend, schedule, T, batch, given, weights, {}, zero, columns)
        weights = {**weights, **whole.compute_statics(statics)}
        boundary = {(name, step): weights[id(tensor)] for (name, step), tensor in outside.items()
                    if step > 0 or name not in carried}
        boundary.update(((x.signal, x.k - cell.signals[x.signal].lead), entering[x.before]) for x in self.states)
        if columns is not None:
            given = masked_data(schedule, given, boundary, columns, (T, *batch), zero)
        whole = replace(whole, given=given, boundary=boundary)
        self.outputs: list[Any] = []
        for name, value in whole.run().items():
            self._output(name, value, ("T", "batch")[:1 + len(batch)], schedule.lowered.roots[name].shape,
                         cell.signals[name].origin)
        for name, steps in carried.items():
            self._carry(whole, name, steps)
        if self.counts_steps:
            count = backend.constant(T, None) if columns is None else columns.length
            steps = entering[STEPS_BEFORE] + count
            self._output(STEPS_AFTER, steps, ("batch",), (), "the output for the number of steps")

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

    def _carry(self, whole: Interpreter, name: str, steps: range) -> None:
        """Add the last values of a signal, those of each sequence's own steps, to the outputs."""
        backend, root, depth = self.backend, self.schedule.lowered.roots[name], len(steps)
        before = [whole.boundary_row(root, name, step) for step in range(1 - depth, 1)]
        values = whole.read(root)
        if whole.columns is None:
            last = backend.slice_steps(values, -depth, None)
            rows = backend.slice_steps(whole.extend(before, last, []), -depth, None)
        else:
            places = backend.append_axes(backend.numbers(range(depth)), 1) + whole.columns.length
            rows = backend.take_steps(whole.extend(before, values, []), places)
        signal = self.cell.signals[name]
        for x in self.states:
            if x.signal == name:
                row = backend.emit("Gather", rows, backend.numbers(x.k - steps.start), shape=rows.shape[1:], axis=0)
                self._output(x.after, row, ("batch",), root.shape, signal.origin)

    def _output(self, name: str, value: Value, axes: Sequence[str], shape: tuple[int, ...], origin: Any) -> None:
        result = self.backend.named(name, value.shape, value.dtype, origin)
        self.backend.emit("Identity", value, shape=value.shape, name=name)
        self.outputs.append(self._info(result, axes, shape))

    def _drawn_weight(self, name: str, x: Tensor) -> Value:
        """Return the dropout mask of a parameter, an input of the file."""
        given = self.backend.named(name, x.shape, np.dtype(bool), x.origin)
        self.inputs.append(info(given))
        return given

    def _statics(self, used: Sequence[Any]) -> dict[str, Value]:
        """Return the statics that some values need, inputs of the file without a time axis: (batch, *shape)."""
        found, backend = {}, self.backend
        names = {x.name for x in nodes(used, into_tensors=False) if isinstance(x, Static)}
        for name, static in self.cell.statics.items():
            if name in names:
                shape = self.open_lengths.shapes[name]
                found[name] = backend.named(name, (None, *self._dimensions(shape)), backend.dtype, static.origin)
                self.inputs.append(self._info(found[name], ("batch",), shape))
        axes = self.open_lengths.axes.items()
        backend.open = {n: (found[name], 1 + axis) for n, (name, axis) in axes if name in found}
        return found

    def _dimensions(self, shape: tuple[int, ...]) -> Dimensions:
        """Return a shape with None for lengths that a call binds."""
        return tuple(None if n in self.open_lengths.axes else n for n in shape)

    def _inputs(self, lengths: bool, others: Sequence[Value]
                ) -> tuple[dict[str, Value], Value, tuple[Value, ...], Columns | None]:
        """Return the data as inputs of the file, T and the batch as vectors of one number, and the lengths.

        Args:
            others: inputs that have the batch as their first axis.
        """
        backend, given, batch = self.backend, dict[str, Value](), tuple[Value, ...]()
        data = {name: node for name, node in self.schedule.givens.items()
                if not name.startswith((MASK, AFTER, STATIC, STEP))}
        if not data:  # the outputs depend on no input: T and the batch come from the definition's
            roots = self.schedule.lowered.roots
            data = {name: roots[name] for name, signal in self.cell.signals.items() if signal.given}
        for name, node in data.items():
            drawn = name in self.schedule.lowered.draws
            dtype = np.dtype(bool if drawn else np.int64 if node.op.dtype == "int" else backend.dtype)
            given[name] = backend.named(name, (None, None, *node.shape), dtype, node.origin)
            self.inputs.append(info(given[name], ("T", "batch")))
            if drawn:
                given[name] = backend.cast(given[name], backend.dtype)
        if given:
            shape = backend.emit("Shape", next(iter(given.values())), shape=(None,), dtype=np.int64)
            T = backend.slice(shape, 0, 1, 0, (1,))
            batch = (backend.slice(shape, 1, 2, 0, (1,)),)
        else:
            T = backend.named("T", (1,), np.int64, "the input for the number of steps")
            self.inputs.append(info(T))
        ends = None
        if lengths:
            ends = backend.named("lengths", (None,), np.int64, "the input for the lengths")
            self.inputs.append(info(ends, ("batch",)))
            others = [ends, *others]
        if others and not batch:
            shape = backend.emit("Shape", others[0], shape=(None,), dtype=np.int64)
            batch = (backend.slice(shape, 0, 1, 0, (1,)),)
        if ends is None and STEP not in self.schedule.givens:
            return given, T, batch, None
        stop = backend.emit("Squeeze", T, shape=()) + np.int64(1)
        steps = backend.emit("Range", backend.numbers(1), stop, backend.numbers(1), shape=(None,))
        steps = backend.append_axes(steps, len(batch))
        if STEP in self.schedule.givens:
            before = self.entering.get(STEPS_BEFORE)
            numbers = backend.cast(steps if before is None else steps + before, backend.dtype)
            given[STEP] = backend.broadcast(numbers, (T, *batch), ())
        if ends is None:
            return given, T, batch, None
        count = backend.compute(ops.Minimum(), steps, ends)
        return given, T, batch, Columns(backend, T, steps, steps < ends + np.int64(1), count, ends, None)

    def proto(self) -> Any:
        """Return the complete model.

        Raises:
            onnx.checker.ValidationError: where it breaks a rule of ONNX.
        """
        roots = self.schedule.lowered.roots
        shapes = {x.before: roots[x.signal].shape for x in self.states}
        inputs = [*self.inputs, *(self._info(x, ("batch",), shapes.get(name, ())) for name, x in self.entering.items())]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.backend.initializers.items()]
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
        reason = _dependence(model, proto, Model(cell, outputs, lengths, state, other)) if one.axes else None
        if reason is None:
            break
    if reason is not None:
        raise open_error(cell, reason)
    written = write_atomically(path, proto.SerializeToString())
    return OnnxFile(written, cell, model.states, model.counts_steps) if state else written


def _dependence(model: Model, proto: Any, other: Model) -> str | None:
    """Return which part of a file depends on the numbers that stand for open lengths; None if it is right for all."""
    for x, y in zip(model.states, other.states):
        if x.shape != y.shape:
            return f"the length of {x.before} is computed from them"
    node = first_difference(proto.graph, other.proto().graph)
    return None if node is None else f"the {node.op_type} at {node.doc_string} would need them as numbers"
