"""OnnxBackend: writes the nodes of an ONNX file; needs the extra `onnx`.

A loop stays a loop: a Scan node whose body is one step. The doc_string of each node is the line of its equation.
(ONNX, operators, opset 18: https://onnx.ai/onnx/operators/)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from minigrad import Op, Tensor, ops
from minigrad.operators import Operators
from minigrad.ops import Axis, einsum_letters
from rnn.ir.nodes import ADDED
from rnn.language.dependencies import DefinitionError
from rnn.language.expressions import CONNECTIVES as LOGICAL

from .backend import Array, Arrays, Backend, StepFunction
from .frontend import import_extra

onnx = import_extra("onnx", "onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

OPSET, IR_VERSION = 18, 8
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


class Value(NDArrayOperatorsMixin, Operators):
    """A value of the file, in the place of an array while the graph is written.

    Python's operators and NumPy's functions on it write nodes.

    Attributes:
        shape: None for T and the batch, which the file leaves open.
    """

    def __init__(self, backend: OnnxBackend, name: str, shape: Dimensions, dtype: Any) -> None:
        self.backend = backend
        self.name = name
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = np.dtype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc in NODES and method == "__call__" and not options:
            return self.backend.elementwise(NODES[ufunc], *inputs, dtype=bool if ufunc in TRUTH_VALUES else None)
        return Operators.__array_ufunc__(self, LOGICAL.get(ufunc, ufunc), method, *inputs, **options)

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Write the nodes of an operation of minigrad."""
        backend: OnnxBackend = next(x.backend for x in inputs if isinstance(x, Value))
        reason = backend.lacks(op)
        if reason is not None:
            raise TypeError(f"ONNX has no {type(op).__name__} (at {backend.origin}): {reason}")
        if op.elementwise:
            inputs = tuple(backend.constant(x, backend.dtype) for x in inputs)
        if isinstance(op, ops.GetItem):
            op = op.for_batch(inputs[0].ndim)  # an index of the last axes: those of T and the batch are open
            index = vars(op)["index"]
            used = len(index) - 1 - sum(part is None for part in index)
            if None in inputs[0].shape[inputs[0].ndim - used:]:
                raise TypeError(f"{inputs[0]!r} can't be indexed along an axis whose length the file leaves open (at "
                                f"{backend.origin}): count from the end, x[..., 0]")
        return backend.compute(op, *inputs)

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """Write the nodes of a comparison, or of the position of the largest or smallest element."""
        if ufunc in (np.argmax, np.argmin):
            kind: Any = ops.ArgMax if ufunc is np.argmax else ops.ArgMin
            return Value.apply(kind(inputs[1]), inputs[0])
        return Value.apply(ops.Compare(ufunc), *inputs)

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false while the file is written (at {self.backend.origin}): "
                        "np.where chooses between two values")

    def _no_number(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} has no numbers while the file is written (at {self.backend.origin}): compute with "
                        "operators, NumPy's functions, and the methods of the builder")

    __float__ = __int__ = __complex__ = __index__ = __array__ = __len__ = _no_number

    def __repr__(self) -> str:
        return f"<value {self.name!r} of an ONNX file, shape {self.shape}>"


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
        self.read: set[str] = set()  # the names of values that nodes read
        self.graphs: list[list[Any]] = [[]]  # nodes: those of the file, then those of a loop's body
        self.transposed: dict[str, Value] = {}
        self.known: dict[Any, Value] = {}  # constants by their type and bytes
        self.fixed: frozenset[int] = frozenset()  # lengths that a definition with open ones declares
        self.open: dict[int, tuple[Value, int]] = {}  # a number that stands for a length -> where that is read

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
        self.read.update(x.name for x in operands)
        result = Value(self, name or self.fresh(kind), shape, dtype or operands[0].dtype)
        node = helper.make_node(kind, [x.name for x in operands], [result.name], result.name,
                                str(self.origin or ""), **attributes)
        self.graphs[0 if outside else -1].append(node)
        return result

    def elementwise(self, kind: str, *inputs: Any, dtype: Any = None) -> Value:
        """Write a node whose operands broadcast."""
        operands = [self.constant(x, self.dtype) for x in inputs]
        if kind not in CONNECTIVES:
            mixed = len({np.dtype(x.dtype).kind for x in operands}) > 1  # labels beside numbers are numbers
            operands = [self.cast(x, self.dtype) if x.dtype == bool or (mixed and x.dtype != self.dtype) else x
                        for x in operands]
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
        self.read.update(x.name for x in [*carry, *rows])
        states = [Value(self, self.fresh("state"), x.shape, x.dtype) for x in carry]
        row = [Value(self, self.fresh("row"), x.shape[1:], x.dtype) for x in rows]
        self.graphs.append([])
        after, results = step(tuple(states), tuple(row))
        # The outputs of a body must be computed in it.
        ends = [self.emit("Identity", x, shape=x.shape) for x in [*after, *results]]
        body = helper.make_graph(self.graphs.pop(), self.fresh("step"), [info(x) for x in [*states, *row]],
                                 [info(x) for x in ends])
        found = [Value(self, self.fresh("steps"), (None, *x.shape), x.dtype) for x in results]
        last = [self.fresh("last") for _ in states]
        self.graphs[-1].append(helper.make_node(
            "Scan", [x.name for x in [*carry, *rows]], [*last, *(x.name for x in found)], self.fresh("Scan"), body=body,
            num_scan_inputs=len(rows), scan_input_directions=[int(reverse)] * len(rows),
            scan_output_directions=[int(reverse)] * len(found)))
        return tuple(found)

    def broadcast(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        x, own = self.constant(x, self.dtype), [int(n) for n in shape]
        has = ((0,) * len(own) + x.shape)[-len(own):] if own else ()
        # Where an open length, or one computed from it, is wanted, an open axis of x has it; 1 keeps that axis.
        kept = [n is None and wanted not in self.fixed for n, wanted in zip(has, own)]
        sizes = self.sizes([1 if keep else wanted for keep, wanted in zip(kept, own)])
        parts = [*lead, *sizes]
        if not parts:
            return x
        key = "lengths", *(part.name for part in parts)
        if key not in self.known:
            self.known[key] = self.emit("Concat", *parts, shape=(len(lead) + len(own),), outside=True, axis=0)
        dims = (None if keep or wanted in self.open else wanted for keep, wanted in zip(kept, own))
        return self.emit("Expand", x, self.known[key], shape=(*(None for _ in lead), *dims))

    def sizes(self, lengths: Sequence[int]) -> list[Value]:
        """Return lengths as vectors, to be concatenated: constants, and the open ones as the call binds them."""
        found, known = list[Value](), list[int]()
        for n in lengths:
            if n in self.open:
                found += [*([self.numbers(known)] if known else []), self.length(*self.open[n], outside=True)]
                known = []
            else:
                known.append(n)
        return [*found, self.numbers(known)] if known else found

    def length(self, x: Value, axis: int, outside: bool = False) -> Value:
        """Return the length of an axis in a call, as a vector of one number."""
        key = "length", x.name, axis
        if not outside:
            return self.emit("Shape", x, shape=(1,), dtype=np.int64, start=axis, end=axis + 1)
        if key not in self.known:
            self.known[key] = self.emit("Shape", x, shape=(1,), dtype=np.int64, outside=True, start=axis, end=axis + 1)
        return self.known[key]

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
        a, b = self._floats(a, b)
        return self.emit("Mod", a, b, shape=_broadcast([a.shape, b.shape]), fmod=1)

    def _floats(self, *operands: Any) -> list[Value]:
        """Return operands, truth values and integers too, as floats."""
        return [x if x.dtype == self.dtype else self.cast(x, self.dtype)
                for x in (self.constant(x, self.dtype) for x in operands)]

    def remainder(self, a: Array, b: Array) -> Array:
        a, b = self._floats(a, b)
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
        if a.dtype != b.dtype:  # truth values and labels beside numbers are numbers
            a, b = self._floats(a, b)
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

    def count_elements(self, x: Array, axis: Axis) -> Any:
        axes = self.axes(x, axis)
        known = math.prod(n for n in (x.shape[axis] for axis in axes) if n is not None)
        lengths = [self.length(x, axis) for axis in axes if x.shape[axis] is None]
        if not lengths:
            return known
        count = reduce(operator.mul, lengths, np.int64(known))
        return self.cast(self.emit("Squeeze", count, shape=()), self.dtype)

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
        open_at: dict[str, tuple[Value, int]] = {}  # letter of an open length -> where it is read
        for term, x in zip(terms, operands):
            lengths.update((letter, n) for letter, n in zip(term, x.shape) if lengths.get(letter, 1) == 1)
            open_at.update((letter, (x, axis)) for axis, letter in enumerate(term) if x.shape[axis] is None)
        whole = []
        for term, x in zip(terms, operands):
            x = self.cast(x, self.dtype) if x.dtype == bool else x
            shape = tuple(lengths[letter] for letter in term)
            if shape != x.shape:
                parts = [self.numbers([n]) if n is not None else self.numbers([1]) if own is None
                         else self.length(*open_at[letter]) for letter, own, n in zip(term, x.shape, shape)]
                x = self.emit("Expand", x, self.emit("Concat", *parts, shape=(len(parts),), axis=0), shape=shape)
            whole.append(x)
        return self.emit("Einsum", *whole, shape=tuple(lengths[letter] for letter in result),
                         equation=f"{','.join(terms)}->{result}")

    # ---- shape
    def reshape(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array:
        own = x.shape if ndim is None else x.shape[x.ndim - ndim:]
        known = shape if None in own else np.empty(own, bool).reshape(shape).shape
        return self.reshape_last(x, len(own), known)

    def reshape_last(self, x: Array, ndim: int, shape: Sequence[int | None]) -> Array:
        """Return x with its last axes in another shape, of which one may be open: None, or -1."""
        lead = x.shape[:x.ndim - ndim]
        numbers = [-1 if n is None else n for n in shape]
        dims = tuple(None if n == -1 else n for n in numbers)
        if not lead:
            return self.emit("Reshape", x, self.numbers(numbers), shape=dims, allowzero=1)
        return self.emit("Reshape", x, self.numbers([0] * len(lead) + numbers), shape=(*lead, *dims))

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
        shape = (*x.shape[:kept], *(n if n is None else sum(pair) + n for pair, n in zip(widths, x.shape[kept:])))
        return self.emit("Pad", x, self.numbers(margins), self.constant(float(value), None), shape=shape)

    def take_last(self, x: Array, index: Any) -> Array:
        if x.shape[-1] is None:
            return self.pick(x, (index,))
        places = np.arange(x.shape[-1])[index]
        return self.emit("Gather", x, self.numbers(places), shape=x.shape[:-1] + places.shape, axis=-1)

    def get_item(self, x: Array, index: Any) -> Array:
        parts = index[1:] if isinstance(index, tuple) and index and index[0] is Ellipsis else None
        used = 0 if parts is None else sum(part is not None for part in parts)
        return super().get_item(x, index) if None not in x.shape[x.ndim - used:] else self.pick(x, parts or ())

    def pick(self, x: Value, parts: tuple[Any, ...]) -> Value:
        """Return x[..., *parts] where one of these axes is open, axis by axis.

        Raises:
            DefinitionError: for several arrays of indices, or bools.
        """
        single = (int, np.integer, slice, type(None))
        arrays = [np.asarray(part) for part in parts if not isinstance(part, single)]
        if len(arrays) > 1 or any(array.ndim != 1 or array.dtype.kind not in "iu" for array in arrays):
            raise DefinitionError(f"ONNX picks from an axis whose length each call binds by numbers, slices and one "
                                  f"list, not by the index at {self.origin}: declare its length")
        axis = x.ndim - sum(part is not None for part in parts)
        for part in parts:
            if part is None:
                x = self.emit("Unsqueeze", x, self.numbers([axis]), shape=(*x.shape[:axis], 1, *x.shape[axis:]))
            elif isinstance(part, slice):
                x = self._slice_open(x, part, axis)
            else:
                places = np.asarray(part)
                x = self.emit("Gather", x, self.numbers(places), axis=axis,
                              shape=(*x.shape[:axis], *places.shape, *x.shape[axis + 1:]))
            axis += part is None or np.ndim(part) > 0 or isinstance(part, slice)
        return x

    def _slice_open(self, x: Value, part: Any, axis: int) -> Value:
        """Return x with a slice of one axis, by Python's rules, which are ONNX's."""
        n, step, most = x.shape[axis], part.step or 1, np.iinfo(np.int64).max
        if part == slice(None):
            return x
        start = part.start if part.start is not None else 0 if step > 0 else most
        stop = part.stop if part.stop is not None else most if step > 0 else -most
        shape = (*x.shape[:axis], None if n is None else len(range(n)[part]), *x.shape[axis + 1:])
        return self.emit("Slice", x, *(self.numbers([number]) for number in (start, stop, axis, step)), shape=shape)

    def stop_gradient(self, x: Array) -> Array:
        return x

    def compare(self, *inputs: Array, ufunc: np.ufunc) -> Array:
        if ufunc is np.not_equal:
            return np.logical_not(np.equal(*inputs))
        if ufunc is np.isfinite:
            return np.logical_not(np.logical_or(np.isnan(inputs[0]), np.isinf(inputs[0])))
        if ufunc is np.signbit:  # of -0.0, too
            return np.logical_or(np.less(inputs[0], 0.0), np.less(np.reciprocal(inputs[0]), 0.0))
        return super().compare(*inputs, ufunc=ufunc)

    def lookup(self, table: Array, indices: Array) -> Array:
        return self.emit("Gather", table, self.cast(indices, np.dtype(np.int64)),
                         shape=indices.shape + table.shape[1:], axis=0)

    def arg_max(self, x: Array, axis: int, keepdims: bool) -> Array:
        axis = axis % x.ndim
        shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape) if keepdims or i != axis)
        x = self.cast(x, self.dtype) if x.dtype == bool else x
        index = self.emit("ArgMax", x, shape=shape, dtype=np.int64, axis=axis, keepdims=int(keepdims))
        return self.cast(index, self.dtype)

    def gather(self, x: Array, labels: Array) -> Array:
        labels = self.cast(labels, np.dtype(np.int64))
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


def info(value: Value, axes: Sequence[Any] = ()) -> Any:
    """Return the type of an input or output, with the names of its first axes."""
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype),
                                         [*axes, *value.shape[len(axes):]])
