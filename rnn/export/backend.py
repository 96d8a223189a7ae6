"""Backend: the interface between exports and the libraries that they run on.

A method translates each operation of minigrad.ops and minigrad.numpy_ops, and has its name in small letters:
LeakyRelu(slope) of x is `leaky_relu(x, slope=...)`. Without a method it is the `function` of its ufunc; without
both it is refused, with the line of its equation. An operation of the user is translated by a method of its own class,
named by `own_method`. A new target is one subclass of `Backend`: its abstract methods are what every target needs.
Operations that follow from others are defined here. At a kink their derivative is the one that minigrad.ops documents.
Doesn't know signals or time steps.
"""

from __future__ import annotations

import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from minigrad import Op, numpy_ops, ops
from minigrad.ops import GELU_END, ROOT_2_PI, Axis
from minigrad.provenance import Origin
from minigrad.tensor import PYTHON_COMPARISONS
from rnn.language.dependencies import DefinitionError
from rnn.language.own_operations import is_own

Array: TypeAlias = Any  # the array type of the target
Arrays: TypeAlias = "tuple[Array, ...]"
StepFunction: TypeAlias = Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]


@cache
def snake_case(name: str) -> str:
    """Return the name of the method that translates an operation of this name: LogSumExp -> log_sum_exp."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class Backend(ABC):
    """A library that computes with arrays.

    Attributes:
        target: its name in messages.
        own_method: the name of the method by which an operation of the user computes itself here.
        origin: the line of the equation that is computed.
    """

    target: ClassVar[str]
    own_method: ClassVar[str] = ""
    origin: Origin | None = None

    def lacks(self, op: Op) -> str | None:
        """Return why an operation can't be computed here and how to replace it; None if it can be."""
        if is_own(op):
            if self.translation(op) is not None:
                return None
            reason = "only minigrad's own operations are known there: write the equation with those"
            write = f", or give the class a method {self.own_signature(op)}; see mg.Op"
            return f"{reason}{write if self.own_method else ''}"
        if self.translation(op) is None:
            return "the export doesn't translate it: write the equation with other operations"
        return None

    def own_signature(self, op: Op) -> str:
        """Return how the method of an operation of the user is written, e.g. jax(self, x)."""
        operands = inspect.signature(op.forward).parameters.values()
        names = [f"*{x.name}" if x.kind is x.VAR_POSITIONAL else x.name for x in operands]
        return f"{self.own_method}({', '.join(['self', *self.own_arguments(), *names])})"

    def own_arguments(self) -> dict[str, Any]:
        """Return what the method of an operation of the user is called with before its operands, by name."""
        return {}

    def translation(self, op: Op) -> Callable[..., Array] | None:
        """Return the method or function that computes an operation; None if there is none."""
        if is_own(op):
            own: Callable[..., Array] | None = getattr(op, self.own_method, None)
            return own
        method: Callable[..., Array] | None = getattr(self, snake_case(type(op).__name__), None)
        return self.function(op.ufunc) if method is None and op.ufunc is not None else method

    def compute(self, op: Op, *inputs: Array) -> Array:
        """Return the result of an operation."""
        translation = self.translation(op)
        assert translation is not None  # the operations of a definition were checked by `lacks`
        return translation(*self.own_arguments().values(), *inputs) if is_own(op) else translation(*inputs, **vars(op))

    def check_own(self, op: Op, result: Any, shape: tuple[int, ...], batch: int = 0) -> None:
        """Raise where an operation of the user returned something else than an array.

        Args:
            shape: of the value for one sequence.
            batch: the number of axes in front of it.

        Raises:
            DefinitionError: names the method and the line of the equation.
        """
        found = getattr(result, "shape", None)
        if not is_own(op) or (found is not None and len(found) == batch + len(shape)
                              and all(n in (None, m) for n, m in zip(found[batch:], shape))):
            return
        kind = type(result).__name__ if found is None else f"an array of shape {tuple(found)}"
        raise DefinitionError(f"{type(op).__name__}.{self.own_method} returned {kind} (at {self.origin}), but forward "
                              f"returns {shape} for each sequence. It takes and returns arrays of {self.target}, with "
                              "the axes of the batch in front")

    # ---- needed besides operations
    @abstractmethod
    def function(self, ufunc: np.ufunc) -> Callable[..., Array] | None:
        """Return the target's function for a ufunc of NumPy's; None if it has none."""

    @abstractmethod
    def constant(self, value: Any, dtype: Any) -> Array:
        """Return an array or number of NumPy's or minigrad's as one of the target; floats in this dtype."""

    @abstractmethod
    def cast_like(self, x: Array, other: Array) -> Array:
        """Return x in the dtype of another array."""

    def mask_gradient(self, x: Array, keep: Array) -> Array:
        """Return x; gradients pass where `keep` is True. Targets without gradients ignore it."""
        return x

    def zero_masked(self, x: Array, mask: Array) -> Array:
        """Return x with zeros where the mask, which has x's first axes, is False."""
        zero = self.cast_like(self.constant(0.0, None), x)
        return self.where(self.append_axes(mask, x.ndim - mask.ndim), x, zero)

    @abstractmethod
    def take_steps(self, x: Array, index: Array) -> Array:
        """Return x[index[t, b], b] for x (rows, *batch, *shape) and integers (T, *batch): (T, *batch, *shape)."""

    def own_steps_first(self, mask: Array) -> Array:
        """Return the columns of each sequence (T, *batch), counted from 0: first those where a mask isn't 0."""
        raise NotImplementedError(f"{self.target} traces no masks")

    def concrete(self, x: Any) -> Any:
        """Return an array of NumPy's with the values of x; None where they aren't known yet."""
        return np.asarray(x)

    @abstractmethod
    def scan(self, step: StepFunction, carry: Arrays, rows: Arrays, T: Any, reverse: bool) -> Arrays:
        """Run a loop over time, `carry, results = step(carry, [x[t] for x in rows])`.

        Args:
            carry: the values before the first step.
            rows: arrays (T, ...).
            T: the number of steps; None if `rows` has them.
            reverse: from the last step to the first.

        Returns:
            The results of all steps, (T, ...) each.
        """

    @abstractmethod
    def broadcast(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        """Return x broadcast to (*lead, *shape)."""

    @abstractmethod
    def append_axes(self, x: Array, count: int) -> Array:
        """Return x with axes of length 1 at its end."""

    @abstractmethod
    def slice_last(self, x: Array, start: int, stop: int) -> Array:
        """Return x[..., start:stop]."""

    def split_last(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        """Return consecutive parts of x along its last axis."""
        stops = np.cumsum(sizes)
        return [self.slice_last(x, int(stop) - size, int(stop)) for size, stop in zip(sizes, stops)]

    @abstractmethod
    def slice_steps(self, x: Array, start: int | None, stop: int | None) -> Array:
        """Return x[start:stop]."""

    # ---- arithmetic
    def identity(self, x: Array) -> Array:
        return x

    def copy(self, x: Array) -> Array:
        return x

    def pow(self, a: Array, b: Array) -> Array:
        return a ** b

    def power(self, x: Array, exponent: float) -> Array:
        return x ** exponent

    def square(self, x: Array) -> Array:
        return x * x

    # ---- functions of each element
    @abstractmethod
    def where(self, condition: Array, a: Array, b: Array) -> Array: ...

    def compare(self, *inputs: Array, ufunc: np.ufunc) -> Array:
        """Return a comparison or a connective of truth values."""
        if ufunc.__name__ in PYTHON_COMPARISONS:
            return PYTHON_COMPARISONS[ufunc.__name__](*inputs)
        function = self.function(ufunc)
        assert function is not None  # see `lacks`
        return function(*inputs)

    @abstractmethod
    def stop_gradient(self, x: Array) -> Array: ...

    @abstractmethod
    def lookup(self, table: Array, indices: Array) -> Array: ...

    @abstractmethod
    def arg_max(self, x: Array, axis: int, keepdims: bool) -> Array: ...

    def arg_min(self, x: Array, axis: int, keepdims: bool) -> Array:
        return self.arg_max(self.opposite(x), axis, keepdims)

    def opposite(self, x: Array) -> Array:
        """Return -x, or the other truth values, which have no sign: the order is reversed."""
        return self.compute(ops.Compare(np.logical_not), x) if str(x.dtype).endswith("bool") else -x

    def sigmoid(self, x: Array) -> Array:
        return 1 / (1 + self.compute(ops.Exp(), -x))  # where exp(-x) is infinite it is 0

    def leaky_relu(self, x: Array, slope: float) -> Array:
        return self.where(x > 0, x, slope * x)

    def elu(self, x: Array, alpha: float) -> Array:
        return self.where(x > 0, x, alpha * self.compute(ops.Expm1(), self.where(x > 0, 0.0, x)))

    def gelu(self, x: Array) -> Array:
        near = self.clip(x, -GELU_END, GELU_END)
        weight = self.sigmoid(2 * ROOT_2_PI * (near + 0.044715 * near * near * near))
        return self.clip(x, -GELU_END, None) * weight

    def clip(self, x: Array, low: float | None, high: float | None) -> Array:
        if low is not None:
            x = self.where(x < low, low, x)
        return x if high is None else self.where(x > high, high, x)

    def fabs(self, x: Array) -> Array:
        return self.compute(ops.Abs(), x)

    def round(self, x: Array, decimals: int) -> Array:
        scale = 10.0 ** decimals
        return self.compute(numpy_ops.Rint(), x * scale) / scale

    def sinc(self, x: Array) -> Array:
        zero = self.compute(ops.Abs(), x) < 1e-9
        angle = math.pi * self.where(zero, 1.0, x)
        return self.where(zero, 1.0 - x * x, self.compute(ops.Sin(), angle) / angle)

    # ---- over axes
    @abstractmethod
    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array: ...

    @abstractmethod
    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array: ...

    @abstractmethod
    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array: ...

    def axes(self, x: Array, axis: Axis) -> tuple[int, ...]:
        """Return an axis, several, or None for all as the numbers of axes, 0 or more."""
        every = range(x.ndim)
        return tuple(every if axis is None or not every else (every[n] for n in np.atleast_1d(axis)))

    def count_elements(self, x: Array, axis: Axis) -> Any:
        """Return the number of elements that a reduction over axes combines."""
        return math.prod(x.shape[i] for i in self.axes(x, axis))

    def mean(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.sum(x, axis, keepdims) / self.count_elements(x, axis)

    def var(self, x: Array, axis: Axis, keepdims: bool, ddof: float) -> Array:
        distance = x - self.mean(x, axis, True)
        return self.sum(distance * distance, axis, keepdims) / (self.count_elements(x, axis) - ddof)

    def std(self, x: Array, axis: Axis, keepdims: bool, ddof: float) -> Array:
        return self.safe_sqrt(self.var(x, axis, keepdims, ddof))

    def norm(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.safe_sqrt(self.sum(x * x, axis, keepdims))

    def safe_sqrt(self, x: Array) -> Array:
        """Return the square root, with the derivative 0 at 0."""
        return self.where(x > 0, self.compute(ops.Sqrt(), self.where(x > 0, x, 1.0)), x)

    def min(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        largest = self.max(self.opposite(x), axis, keepdims)
        return self.compute(ops.Compare(np.logical_not), largest) if str(x.dtype).endswith("bool") else -largest

    def log_softmax(self, x: Array, axis: int) -> Array:
        return x - self.log_sum_exp(x, axis, True)

    # ---- products and shapes
    @abstractmethod
    def mat_mul(self, a: Array, b: Array) -> Array: ...

    def vec_dot(self, a: Array, b: Array) -> Array:
        return self.sum(a * b, -1, False)

    def vec_mat(self, x: Array, W: Array) -> Array:
        row = self.mat_mul(self.reshape_last(x, 1, (1, x.shape[-1])), W)
        return self.reshape_last(row, 2, row.shape[-1:])

    @abstractmethod
    def reshape(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array: ...

    @abstractmethod
    def reshape_last(self, x: Array, ndim: int, shape: tuple[int, ...]) -> Array:
        """Return x with its last `ndim` axes in another shape; those in front stay."""

    def broadcast_to(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array:
        return self.broadcast(x, () if ndim is None else x.shape[:x.ndim - ndim], shape)

    def get_item(self, x: Array, index: Any) -> Array:
        if not (isinstance(index, tuple) and index and index[0] is Ellipsis):
            places = np.arange(math.prod(x.shape)).reshape(x.shape)[index]  # by NumPy's rules
            return self.take_last(self.reshape(x, (-1,)), places)
        parts = index[1:]  # as in an equation: of the last axes
        used = sum(np.ndim(part) if isinstance(part, np.ndarray) and part.dtype == bool else 1
                   for part in parts if part is not None)
        if len(parts) == used == 1:
            return self.take_last(x, parts[0])
        shape = tuple(x.shape[x.ndim - used:])
        places = np.arange(math.prod(shape)).reshape(shape)[parts]
        if places.size == math.prod(shape) and (places.ravel() == np.arange(places.size)).all():
            return self.reshape_last(x, used, places.shape)  # new axes
        return self.take_last(self.reshape_last(x, used, (math.prod(shape),)), places)

    @abstractmethod
    def take_last(self, x: Array, index: Any) -> Array:
        """Return x[..., index]."""

    @abstractmethod
    def cum_sum(self, x: Array, axis: int | None) -> Array: ...

    @abstractmethod
    def concatenate(self, *parts: Array, axis: int) -> Array: ...

    @abstractmethod
    def stack(self, *parts: Array, axis: int) -> Array: ...


class ModuleBackend(Backend):
    """A library whose `module` has NumPy's functions by NumPy's names."""

    module: Any

    def function(self, ufunc: np.ufunc) -> Callable[..., Array] | None:
        return getattr(self.module, ufunc.__name__, None)

    def broadcast(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        return self.module.broadcast_to(x, (*lead, *shape))

    def append_axes(self, x: Array, count: int) -> Array:
        return x.reshape(tuple(x.shape) + (1,) * count) if count else x

    def slice_last(self, x: Array, start: int, stop: int) -> Array:
        return x[..., start:stop]

    def slice_steps(self, x: Array, start: int | None, stop: int | None) -> Array:
        return x[start:stop]

    # ---- functions of each element
    def softplus(self, x: Array) -> Array:
        return self.module.logaddexp(x, self.module.zeros_like(x))

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return self.module.where(condition, a, b)

    def arg_max(self, x: Array, axis: int, keepdims: bool) -> Array:
        return self.module.argmax(x, axis, keepdims=keepdims)

    # ---- over axes
    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.sum(x, axis=axis, keepdims=keepdims)

    def prod(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.prod(x, axis=axis, keepdims=keepdims)

    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.max(x, axis=axis, keepdims=keepdims)

    def cum_sum(self, x: Array, axis: int | None) -> Array:
        return self.module.cumsum(self.reshape(x, (-1,)) if axis is None else x, 0 if axis is None else axis)

    def cum_prod(self, x: Array, axis: int | None) -> Array:
        return self.module.cumprod(self.reshape(x, (-1,)) if axis is None else x, 0 if axis is None else axis)

    def sort(self, x: Array, axis: int) -> Array:
        return self.module.sort(x, axis)

    # ---- linear algebra; not eigenvectors and singular vectors, whose signs differ from library to library
    def inv(self, x: Array) -> Array:
        return self.module.linalg.inv(x)

    def solve(self, A: Array, b: Array, vector: bool) -> Array:
        if vector:
            return self.module.linalg.solve(A, b[..., None])[..., 0]
        return self.module.linalg.solve(A, b)

    def det(self, x: Array) -> Array:
        return self.module.linalg.det(x)

    def det_sign(self, x: Array) -> Array:
        return self.module.linalg.slogdet(x)[0]

    def log_abs_det(self, x: Array) -> Array:
        return self.module.linalg.slogdet(x)[1]

    def symmetric_part(self, x: Array) -> Array:
        """Return (x + xᵀ) / 2."""
        return (x + x.mT) / 2

    def cholesky(self, x: Array) -> Array:
        return self.module.linalg.cholesky(self.symmetric_part(x))

    def eigen_values(self, x: Array) -> Array:
        return self.module.linalg.eigvalsh(self.symmetric_part(x))

    def singular_values(self, x: Array) -> Array:
        return self.module.linalg.svdvals(x)

    def pseudo_inverse(self, x: Array, rcond: float | None) -> Array:
        return self.module.linalg.pinv(x, rtol=1e-15 if rcond is None else rcond)  # NumPy's default

    # ---- products
    def mat_mul(self, a: Array, b: Array) -> Array:
        return self.module.matmul(a, b)

    def convolve(self, a: Array, b: Array) -> Array:
        return self.module.convolve(a, b)

    def mat_vec(self, W: Array, x: Array) -> Array:
        if W.ndim == 2:
            return self.mat_mul(x, W.T)
        return self.mat_mul(W, x[..., None])[..., 0]

    def ein_sum(self, *operands: Array, subscripts: str, optimize: Any) -> Array:
        return self.module.einsum(subscripts, *operands)

    # ---- shape
    def reshape(self, x: Array, shape: tuple[int, ...], ndim: int | None = None) -> Array:
        return self.module.reshape(x, shape if ndim is None else (*x.shape[:x.ndim - ndim], *shape))

    def reshape_last(self, x: Array, ndim: int, shape: tuple[int, ...]) -> Array:
        return self.reshape(x, shape, ndim)

    def transpose(self, x: Array, axes: tuple[int, ...] | None, ndim: int | None = None) -> Array:
        return self.module.permute_dims(x, ops.Transpose(axes, ndim).order(x.ndim))

    def flip(self, x: Array, axis: Axis) -> Array:
        return self.module.flip(x, self.axes(x, axis))

    def concatenate(self, *parts: Array, axis: int) -> Array:
        return self.module.concatenate(parts, axis)

    def stack(self, *parts: Array, axis: int) -> Array:
        return self.module.stack(parts, axis)
