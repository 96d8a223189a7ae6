"""cell.to_onnx(path): the definition as an ONNX file, for ONNX Runtime and others; needs the extra `onnx`.

A loop stays a loop: a Scan node whose body is one step. The file's inputs are those of the definition,
(T, batch, size) with any T and batch; its outputs the signals at t = 1 … T; its initializers the
parameters; all by the definition's names. The doc_string of each node is the line of its equation.
(ONNX, operators, opset 18: https://onnx.ai/onnx/operators/)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from minigrad import Tensor, ops
from minigrad.formats.files import write_atomically
from minigrad.ops import Axis, einsum_letters
from minigrad.provenance import call_site
from rnn.ir.feeds import boundary_values, lowering_options, weight_draws
from rnn.ir.nodes import ADDED, AFTER, MASK, STATIC, STEP
from rnn.language.dependencies import DefinitionError, nodes, parameters
from rnn.language.equations import Definition
from rnn.language.expressions import Static
from rnn.unrolling.inputs import prepare_inputs
from rnn.unrolling.options import UnrollOptions

from .backend import Array, Arrays, Backend, StepFunction
from .carried import STEPS_AFTER, STEPS_BEFORE, OnnxFile, StateInput, carried_steps, pairs, values_in_use
from .frontend import import_extra, masked_data, weigh
from .interpreter import Interpreter, Schedule
from .masks import Columns

onnx = import_extra("onnx", "onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

OPSET, IR_VERSION = 18, 8
STEPS = 1000  # of the sequence for which boundaries are looked up; the file takes any number
# The ONNX operator for each of NumPy's functions, into which Python's operators are translated, too.
NODES: dict[np.ufunc, str] = {
    np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.true_divide: "Div", np.power: "Pow", np.negative: "Neg",
    np.reciprocal: "Reciprocal", np.floor: "Floor", np.ceil: "Ceil", np.rint: "Round",
    np.less: "Less", np.greater: "Greater", np.equal: "Equal", np.absolute: "Abs", np.sign: "Sign", np.exp: "Exp",
    np.less_equal: "LessOrEqual", np.greater_equal: "GreaterOrEqual", np.logical_and: "And", np.logical_or: "Or",
    np.logical_xor: "Xor", np.logical_not: "Not", np.isnan: "IsNaN", np.isinf: "IsInf",
    np.log: "Log", np.sqrt: "Sqrt", np.sin: "Sin", np.cos: "Cos", np.tanh: "Tanh", np.maximum: "Max", np.minimum: "Min"}
TRUTH_VALUES = (np.less, np.greater, np.equal, np.less_equal, np.greater_equal, np.logical_and, np.logical_or,
                np.logical_xor, np.logical_not, np.isnan, np.isinf)
OF_NUMBERS = ("ReduceSum", "ReduceProd", "ReduceMax", "ReduceLogSumExp", "CumSum", "MatMul", "Einsum", "ArgMax", "TopK")
CONNECTIVES = ("And", "Or", "Xor", "Not", "Where")  # which take truth values; other operators take numbers

Dimensions = tuple[int | None, ...]


class Value(NDArrayOperatorsMixin):
    """A value of the file, in the place of an array while the graph is written.

    Attributes:
        shape: None for T and the batch, which the file leaves open.
    """

    def __init__(self, backend: OnnxBackend, name: str, shape: Dimensions, dtype: Any) -> None:
        self.backend = backend
        self.name = name
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = np.dtype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Value:
        return self.backend.elementwise(NODES[ufunc], *inputs, dtype=bool if ufunc in TRUTH_VALUES else None)


class OnnxBackend(Backend):
    """Writes nodes instead of computing; each method emits those of one operation.

    ONNX Runtime lacks some functions of doubles; they are composed of others.

    Args:
        dtype: float32 or float64, the type of all floats.
    """

    target = "ONNX"
    own_method = "onnx"

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.taken: set[str] = set()
        self.initializers: dict[str, NDArray[Any]] = {}
        self.graphs: list[list[Any]] = [[]]  # nodes: those of the file, then those of a loop's body
        self.transposed: dict[str, Value] = {}
        self.known: dict[Any, Value] = {}  # constants by their type and bytes

    # ---- writing
    def fresh(self, kind: str) -> str:
        """Return an unused name."""
        name = f"{ADDED}{kind} {len(self.taken)}"
        self.taken.add(name)
        return name

    def emit(self, kind: str, *inputs: Any, shape: Dimensions, dtype: Any = None, outside: bool = False,
             name: str | None = None, **attributes: Any) -> Value:
        """Write a node and return its result; `outside` writes it before the current loop."""
        operands = [self.constant(x, self.dtype) for x in inputs]
        if kind in OF_NUMBERS:  # of truth values NumPy takes them, too
            operands = [self.cast(x, self.dtype) if x.dtype == bool else x for x in operands]
        result = Value(self, name or self.fresh(kind), shape, dtype or operands[0].dtype)
        node = helper.make_node(kind, [x.name for x in operands], [result.name], result.name,
                                str(self.origin or ""), **attributes)
        self.graphs[0 if outside else -1].append(node)
        return result

    def elementwise(self, kind: str, *inputs: Any, dtype: Any = None) -> Value:
        """Write a node whose operands broadcast."""
        operands = [self.constant(x, self.dtype) for x in inputs]
        if kind not in CONNECTIVES:
            operands = [self.cast(x, self.dtype) if x.dtype == bool else x for x in operands]
        elif kind != "Where":
            operands = [x if x.dtype == bool else self.cast(x, np.dtype(bool)) for x in operands]
        if kind == "Div" and np.array_equal(self.initializers.get(operands[0].name, np.empty(0)), 1.0):
            # ONNX Runtime 1.32 turns (1 / x) * y into y / x, and in a Scan it loses a y that is an output too.
            kind, operands = "Reciprocal", operands[1:]
        return self.emit(kind, *operands, shape=_broadcast([x.shape for x in operands]), dtype=dtype)

    def constant(self, value: Any, dtype: Any) -> Value:
        if isinstance(value, Value):
            return value
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.kind == "f" or isinstance(value, (int, float)):
            array = array.astype(self.dtype)
        key = array.dtype, array.shape, array.tobytes()
        if key not in self.known:
            self.known[key] = self.initializer(self.fresh("constant"), array)
        return self.known[key]

    def numbers(self, values: Any) -> Value:
        """Return integers (axes, indices, lengths) as a constant."""
        return self.constant(np.asarray(values, np.int64), None)

    def initializer(self, name: str, array: NDArray[Any]) -> Value:
        """Add a constant or parameter to the file."""
        self.taken.add(name)
        self.initializers[name] = array
        return Value(self, name, array.shape, array.dtype)

    def named(self, name: str, shape: Dimensions, dtype: Any, origin: Any) -> Value:
        """Return a value with a name of the definition's: an input or an output.

        Raises:
            DefinitionError: where the name is taken.
        """
        if name in self.taken:
            other = "a parameter" if name in self.initializers else "a part of the state"
            raise DefinitionError(f"names in an ONNX file are unique, but {name!r} is {other} and a signal, "
                                  f"made at {origin}: rename one of them")
        self.taken.add(name)
        return Value(self, name, shape, dtype)

    # ---- needed besides operations
    def own_arguments(self) -> dict[str, Any]:
        return {"builder": self}

    def function(self, ufunc: np.ufunc) -> Callable[..., Array] | None:
        return ufunc if ufunc in NODES else None

    def cast_like(self, x: Array, other: Array) -> Array:
        return x if x.dtype == other.dtype else self.cast(x, other.dtype)

    def scan(self, step: StepFunction, carry: Arrays, rows: Arrays, T: Any, reverse: bool) -> Arrays:
        if not rows:  # a Scan takes its number of steps from its inputs
            rows = (self.emit("Expand", self.constant(0.0, None), T, shape=(None,)),)
        states = [Value(self, self.fresh("state"), x.shape, x.dtype) for x in carry]
        row = [Value(self, self.fresh("row"), x.shape[1:], x.dtype) for x in rows]
        self.graphs.append([])
        after, results = step(tuple(states), tuple(row))
        # The outputs of a body must be computed in it.
        ends = [self.emit("Identity", x, shape=x.shape) for x in [*after, *results]]
        body = helper.make_graph(self.graphs.pop(), self.fresh("step"), [_info(x) for x in [*states, *row]],
                                 [_info(x) for x in ends])
        found = [Value(self, self.fresh("steps"), (None, *x.shape), x.dtype) for x in results]
        last = [self.fresh("last") for _ in states]
        self.graphs[-1].append(helper.make_node(
            "Scan", [x.name for x in [*carry, *rows]], [*last, *(x.name for x in found)], self.fresh("Scan"), body=body,
            num_scan_inputs=len(rows), scan_input_directions=[int(reverse)] * len(rows),
            scan_output_directions=[int(reverse)] * len(found)))
        return tuple(found)

    def broadcast(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        own: Dimensions = tuple(int(n) for n in shape)
        parts = [*lead, *([self.numbers(own)] if own else [])]
        if not parts:
            return self.constant(x, self.dtype)
        key = "lengths", *(part.name for part in parts)
        if key not in self.known:
            self.known[key] = self.emit("Concat", *parts, shape=(len(lead) + len(own),), outside=True, axis=0)
        return self.emit("Expand", x, self.known[key], shape=(*(None for _ in lead), *own))

    def append_axes(self, x: Array, count: int) -> Array:
        axes = range(-count, 0)
        return self.emit("Unsqueeze", x, self.numbers(axes), shape=x.shape + (1,) * count) if count else x

    def slice_last(self, x: Array, start: int, stop: int) -> Array:
        return self.slice(x, start, stop, -1, (*x.shape[:-1], stop - start))

    def slice_steps(self, x: Array, start: int | None, stop: int | None) -> Array:
        return self.slice(x, start or 0, np.iinfo(np.int64).max if stop is None else stop, 0, (None, *x.shape[1:]))

    def slice(self, x: Value, start: int, stop: int, axis: int, shape: Dimensions) -> Value:
        """Return x[start:stop] along an axis."""
        return self.emit("Slice", x, *(self.numbers([n]) for n in (start, stop, axis)), shape=shape)

    def take_steps(self, x: Array, index: Array) -> Array:
        shape = self.emit("Shape", x, shape=(x.ndim,), dtype=np.int64)
        sizes = self.emit("Concat", self.numbers([1]), self.slice(shape, 1, x.ndim, 0, (x.ndim - 1,)),
                          shape=(x.ndim,), axis=0)
        whole = self.emit("Expand", self.append_axes(index, x.ndim - index.ndim), sizes, shape=(None, *x.shape[1:]))
        return self.emit("GatherElements", x, whole, shape=(None, *x.shape[1:]), axis=0)

    # ---- functions of each element
    def expm1(self, x: Array) -> Array:
        return np.tanh(0.5 * x) * (np.exp(x) + 1)  # exact for small x; tanh(x/2) = (eˣ - 1) / (eˣ + 1)

    def log1p(self, x: Array) -> Array:
        # Corrects the rounding error of 1 + x: Goldberg, What every computer scientist should know
        # about floating-point arithmetic (ACM Computing Surveys 23, 1991), theorem 4.
        above = 1 + x
        lost = above - 1
        exact = np.equal(lost, 0.0)
        return self.where(exact, x, np.log(above) * (x / self.where(exact, 1.0, lost)))

    def log2(self, x: Array) -> Array:
        return np.log(x) / float(np.log(2))

    def tan(self, x: Array) -> Array:
        return np.sin(x) / np.cos(x)

    def sinh(self, x: Array) -> Array:
        grown = self.expm1(np.abs(x))  # exact for small x
        return np.sign(x) * 0.5 * (grown + grown / (grown + 1))

    def cosh(self, x: Array) -> Array:
        return 0.5 * np.exp(x) + 0.5 * np.exp(-x)

    def arctan(self, x: Array) -> Array:
        if self.dtype == np.float32:
            return self.elementwise("Atan", x)
        # Double precision by one Newton step from the angle in single precision.
        x = self.clip(x, -1e30, 1e30)
        angle = self.cast(self.elementwise("Atan", self.cast(x, np.dtype(np.float32))), self.dtype)
        sine, cosine = np.sin(angle), np.cos(angle)
        return angle + (x * cosine - sine) / (cosine + x * sine)

    def exp2(self, x: Array) -> Array:
        return np.exp(x * float(np.log(2)))

    def log10(self, x: Array) -> Array:
        return np.log(x) / float(np.log(10))

    def cbrt(self, x: Array) -> Array:
        zero = np.equal(x, 0.0)
        size = self.where(zero, 1.0, np.abs(x))
        root = np.exp(np.log(size) / 3)
        return self.where(zero, x, np.sign(x) * (root - (root * root * root - size) / (3 * root * root)))  # Newton

    def arcsin(self, x: Array) -> Array:
        return 2 * self.arctan(x / (1 + np.sqrt((1 - x) * (1 + x))))

    def arccos(self, x: Array) -> Array:
        return 2 * self.arctan(np.sqrt((1 - x) / (1 + x)))

    def arctan2(self, a: Array, b: Array) -> Array:
        radius = self.hypot(a, b)
        half = self.arctan(a / self.where(np.equal(radius, 0.0), 1.0, radius + np.abs(b)))
        return self.where(self.negative(b), self.copy_sign(np.pi, a) - 2 * half, 2 * half)

    def hypot(self, a: Array, b: Array) -> Array:
        a, b = np.abs(a), np.abs(b)
        large = np.maximum(a, b)
        ratio = np.minimum(a, b) / self.where(np.equal(large, 0.0), 1.0, large)
        return large * np.sqrt(1 + ratio * ratio)

    def arcsinh(self, x: Array) -> Array:
        size = np.abs(x)
        return np.sign(x) * self.log1p(size + size * (size / (1 + self.hypot(x, 1.0))))

    def arccosh(self, x: Array) -> Array:
        return self.log1p(x - 1 + np.sqrt(x - 1) * np.sqrt(x + 1))

    def arctanh(self, x: Array) -> Array:
        return np.sign(x) * 0.5 * self.log1p(2 * np.abs(x) / (1 - np.abs(x)))

    def log_add_exp(self, a: Array, b: Array) -> Array:
        same = np.equal(a, b)
        apart = np.abs(self.where(same, 0.0, a) - self.where(same, 0.0, b))
        return np.maximum(a, b) + self.log1p(np.exp(-apart))

    def log_add_exp2(self, a: Array, b: Array) -> Array:
        unit = float(np.log(2))
        return self.log_add_exp(a * unit, b * unit) / unit

    def negative(self, x: Array) -> Array:
        """Return where the sign of x is minus, -0.0 included."""
        return np.less(self.where(np.equal(x, 0.0), 1 / x, x), 0.0)

    def copy_sign(self, a: Array, b: Array) -> Array:
        size = np.abs(self.constant(a, self.dtype))
        return self.where(self.negative(b), -size, size)

    def fmax(self, a: Array, b: Array) -> Array:
        return self.not_nan(a, b, np.maximum(a, b))

    def fmin(self, a: Array, b: Array) -> Array:
        return self.not_nan(a, b, np.minimum(a, b))

    def not_nan(self, a: Array, b: Array, result: Array) -> Array:
        """Return the other operand where one is NaN, else the result."""
        missing = [self.emit("IsNaN", x, shape=x.shape, dtype=bool) for x in (a, b)]
        return self.where(missing[0], b, self.where(missing[1], a, result))

    def trunc(self, x: Array) -> Array:
        return np.sign(x) * np.floor(np.abs(x))

    def heaviside(self, x: Array, b: Array) -> Array:
        return self.where(x < 0, 0.0, self.where(x > 0, 1.0, self.where(np.equal(x, 0.0), b, x)))

    def fmod(self, a: Array, b: Array) -> Array:
        return self.emit("Mod", a, b, shape=_broadcast([a.shape, b.shape]), fmod=1)

    def remainder(self, a: Array, b: Array) -> Array:
        rest = self.fmod(a, b)
        return self.where(rest * b < 0, rest + b, rest)

    def floor_divide(self, a: Array, b: Array) -> Array:
        return np.rint((a - self.remainder(a, b)) / b)

    def softplus(self, x: Array) -> Array:
        return self.relu(x) + self.log1p(np.exp(-np.abs(x)))

    def relu(self, x: Array) -> Array:
        return self.elementwise("Relu", x)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        a, b = self.constant(a, self.dtype), self.constant(b, self.dtype)
        condition = self.constant(condition, None)
        if condition.dtype != bool:
            condition = self.cast(condition, np.dtype(bool))
        return self.elementwise("Where", condition, a, b, dtype=a.dtype)

    def cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        return self.emit("Cast", x, shape=x.shape, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    # ---- over axes
    def _reduced(self, kind: str, x: Value, axis: Axis, keepdims: bool) -> Value:
        axes = self.axes(x, axis)
        if not axes:  # which would mean all
            return x
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
        return self.emit(kind, x, self.numbers(axes), shape=shape, keepdims=int(keepdims))

    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self._reduced("ReduceSum", x, axis, keepdims)

    def prod(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self._reduced("ReduceProd", x, axis, keepdims)

    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self._reduced("ReduceMax", x, axis, keepdims)

    def cum_sum(self, x: Array, axis: int | None) -> Array:
        flat = self.reshape(x, (-1,)) if axis is None else x
        return self.emit("CumSum", flat, self.numbers(axis or 0), shape=flat.shape)

    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self._reduced("ReduceLogSumExp", x, axis, keepdims)

    def log_softmax(self, x: Array, axis: int) -> Array:
        return self.emit("LogSoftmax", x, shape=x.shape, axis=axis)

    # ---- products
    def mat_mul(self, a: Array, b: Array) -> Array:
        left = a.shape[:-1] if a.ndim == 1 else a.shape[-2:-1]
        lead = _broadcast([a.shape[:-2], b.shape[:-2]])
        return self.emit("MatMul", a, b, shape=(*lead, *left, *(b.shape[-1:] if b.ndim > 1 else ())))

    def mat_vec(self, W: Array, x: Array) -> Array:
        if W.ndim > 2:
            return self.emit("Squeeze", self.mat_mul(W, self.append_axes(x, 1)), self.numbers([-1]),
                             shape=_broadcast([W.shape[:-2], x.shape[:-1]]) + W.shape[-2:-1])
        if W.name not in self.transposed:
            self.transposed[W.name] = self.emit("Transpose", W, shape=W.shape[::-1], outside=True)
        return self.mat_mul(x, self.transposed[W.name])

    def ein_sum(self, *operands: Array, subscripts: str, optimize: Any) -> Array:
        # ONNX Runtime broadcasts neither `...` nor lengths of 1: both are written out.
        terms, result, _ = einsum_letters(subscripts, [x.ndim for x in operands])
        lengths: dict[str, int | None] = {}
        for term, x in zip(terms, operands):
            lengths.update((letter, n) for letter, n in zip(term, x.shape) if lengths.get(letter, 1) == 1)
        whole = []
        for term, x in zip(terms, operands):
            x = self.cast(x, self.dtype) if x.dtype == bool else x
            shape = tuple(lengths[letter] for letter in term)
            whole.append(x if shape == x.shape else self.emit("Expand", x, self.numbers([n or 1 for n in shape]),
                                                              shape=shape))
        return self.emit("Einsum", *whole, shape=tuple(lengths[letter] for letter in result),
                         equation=f"{','.join(terms)}->{result}")

    # ---- shape
    def reshape(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array:
        own = x.shape if ndim is None else x.shape[x.ndim - ndim:]
        return self.reshape_last(x, len(own), np.empty(own, bool).reshape(shape).shape)

    def reshape_last(self, x: Array, ndim: int, shape: tuple[int, ...]) -> Array:
        lead = x.shape[:x.ndim - ndim]
        if not lead:
            return self.emit("Reshape", x, self.numbers(shape), shape=shape, allowzero=1)
        return self.emit("Reshape", x, self.numbers([0] * len(lead) + list(shape)), shape=(*lead, *shape))

    def broadcast_to(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array:
        lead = () if ndim is None else x.shape[:x.ndim - ndim]
        return self.emit("Expand", x, self.numbers([1] * len(lead) + list(shape)), shape=(*lead, *shape))

    def transpose(self, x: Array, axes: tuple[int, ...] | None, ndim: int | None = None) -> Array:
        order = ops.Transpose(axes, ndim).order(x.ndim)
        return self.emit("Transpose", x, shape=tuple(x.shape[n] for n in order), perm=order) if x.ndim > 1 else x

    def flip(self, x: Array, axis: Axis) -> Array:
        axes = self.axes(x, axis)
        ends = [[-1] * len(axes), [np.iinfo(np.int64).min] * len(axes), axes, [-1] * len(axes)]
        return self.emit("Slice", x, *(self.numbers(numbers) for numbers in ends), shape=x.shape)

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float, ndim: int | None = None) -> Array:
        kept = x.ndim - len(widths)
        pairs = [(0, 0)] * kept + list(widths)
        margins = [before for before, _ in pairs] + [after for _, after in pairs]
        shape = (*x.shape[:kept], *(sum(pair) + n for pair, n in zip(widths, x.shape[kept:])))
        return self.emit("Pad", x, self.numbers(margins), self.constant(float(value), None), shape=shape)

    def take_last(self, x: Array, index: Any) -> Array:
        places = np.arange(x.shape[-1])[index]
        return self.emit("Gather", x, self.numbers(places), shape=x.shape[:-1] + places.shape, axis=-1)

    def stop_gradient(self, x: Array) -> Array:
        return x

    def compare(self, *inputs: Array, ufunc: np.ufunc) -> Array:
        if ufunc is np.not_equal:
            return np.logical_not(np.equal(*inputs))
        return super().compare(*inputs, ufunc=ufunc)

    def lookup(self, table: Array, indices: Array) -> Array:
        return self.emit("Gather", table, self.cast(indices, np.dtype(np.int64)),
                         shape=indices.shape + table.shape[1:], axis=0)

    def arg_max(self, x: Array, axis: int, keepdims: bool) -> Array:
        axis = axis % x.ndim
        shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape) if keepdims or i != axis)
        index = self.emit("ArgMax", x, shape=shape, dtype=np.int64, axis=axis, keepdims=int(keepdims))
        return self.cast(index, self.dtype)

    def gather(self, x: Array, labels: Array) -> Array:
        picked = self.emit("GatherElements", x, self.append_axes(labels, 1), shape=(*labels.shape, 1), axis=-1)
        return self.emit("Squeeze", picked, self.numbers([-1]), shape=labels.shape)

    def concatenate(self, *parts: Array, axis: int) -> Array:
        lengths = [x.shape[axis] for x in parts]
        shape = list(parts[0].shape)
        shape[axis] = None if None in lengths else sum(n for n in lengths if n is not None)
        return self.emit("Concat", *parts, shape=tuple(shape), axis=axis)

    def stack(self, *parts: Array, axis: int) -> Array:
        shape = list(parts[0].shape)
        shape.insert(axis % (len(shape) + 1), 1)
        rows = [self.emit("Unsqueeze", x, self.numbers([axis]), shape=tuple(shape)) for x in parts]
        return self.concatenate(*rows, axis=axis)


def _broadcast(shapes: Sequence[Dimensions]) -> Dimensions:
    """Return the broadcast shape; an unknown length stays unknown."""
    result: list[int | None] = []
    for position in range(1, max(map(len, shapes)) + 1):
        lengths = [shape[-position] for shape in shapes if len(shape) >= position]
        result.append(None if None in lengths else np.broadcast_shapes(*((n,) for n in lengths))[0])  # type: ignore[arg-type]
    return tuple(result[::-1])


def _info(value: Value, axes: Sequence[str] = ()) -> Any:
    """Return the type of an input or output, with the names of its first axes."""
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype),
                                         [*axes, *value.shape[len(axes):]])


class Model:
    """A definition as the parts of an ONNX file.

    Attributes:
        states: the inputs of the carried state.
        counts_steps: whether the number of steps before the call is one more.
    """

    def __init__(self, cell: Definition, outputs: Sequence[str] | None, lengths: bool, state: bool) -> None:
        own = parameters(cell)
        self.cell = cell
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
        for name, static in cell.statics.items():
            if static.shape is None:
                raise DefinitionError(f"a file has one size for each value without a time axis, but {name}, declared "
                                      f"at {static.origin}, has a length that each call binds: declare a number")
            zeros[name] = np.zeros(static.shape)
            shapes += (name, static.shape),
        used = values_in_use(cell, carried)
        start = {name: dict.fromkeys(steps, 0.0) for name, steps in carried.items()}
        sample = prepare_inputs(cell, zeros, UnrollOptions(T=STEPS, initial=start))
        outside = boundary_values(cell, sample)
        options = lowering_options(cell, replace(sample, shapes=dict(shapes)), outside, lengths)  # type: ignore[arg-type]
        self.schedule = schedule = Schedule(cell, options, backend, shown, carried, used)
        self.inputs: list[Any] = []  # of the definition
        values = {name: backend.initializer(name, x.numpy().astype(backend.dtype)) for name, x in own.items()}
        statics = self._statics(used)
        self.states = [StateInput(name, k, schedule.lowered.roots[name].shape, self._state_type(name))
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
            self._output(name, value, ("T", "batch")[:1 + len(batch)], cell.signals[name].origin)
        for name, steps in carried.items():
            self._carry(whole, name, steps)
        if self.counts_steps:
            count = backend.constant(T, None) if columns is None else columns.length
            self._output(STEPS_AFTER, entering[STEPS_BEFORE] + count, ("batch",), "the output for the number of steps")

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
                self._output(x.after, row, ("batch",), signal.origin)

    def _output(self, name: str, value: Value, axes: Sequence[str], origin: Any) -> None:
        result = self.backend.named(name, value.shape, value.dtype, origin)
        self.backend.emit("Identity", value, shape=value.shape, name=name)
        self.outputs.append(_info(result, axes))

    def _drawn_weight(self, name: str, x: Tensor) -> Value:
        """Return the dropout mask of a parameter, an input of the file."""
        given = self.backend.named(name, x.shape, np.dtype(bool), x.origin)
        self.inputs.append(_info(given))
        return given

    def _statics(self, used: Sequence[Any]) -> dict[str, Value]:
        """Return the statics that some values need, inputs of the file without a time axis: (batch, *shape)."""
        found = {}
        names = {x.name for x in nodes(used, into_tensors=False) if isinstance(x, Static)}
        for name, static in self.cell.statics.items():
            if name in names:
                assert static.shape is not None
                found[name] = self.backend.named(name, (None, *static.shape), self.backend.dtype, static.origin)
                self.inputs.append(_info(found[name], ("batch",)))
        return found

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
            self.inputs.append(_info(given[name], ("T", "batch")))
            if drawn:
                given[name] = backend.cast(given[name], backend.dtype)
        if given:
            shape = backend.emit("Shape", next(iter(given.values())), shape=(None,), dtype=np.int64)
            T = backend.slice(shape, 0, 1, 0, (1,))
            batch = (backend.slice(shape, 1, 2, 0, (1,)),)
        else:
            T = backend.named("T", (1,), np.int64, "the input for the number of steps")
            self.inputs.append(_info(T))
        ends = None
        if lengths:
            ends = backend.named("lengths", (None,), np.int64, "the input for the lengths")
            self.inputs.append(_info(ends, ("batch",)))
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
        inputs = self.inputs + [_info(x, ("batch",)) for x in self.entering.values()]
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
    model = Model(cell, outputs, lengths, state)
    written = write_atomically(path, model.proto().SerializeToString())
    return OnnxFile(written, cell, model.states, model.counts_steps) if state else written
