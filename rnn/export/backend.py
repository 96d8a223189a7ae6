"""What another library has to be able to do so that a definition runs on it: one method for each operation.

An operation of minigrad.ops is translated by the method of its name, in small letters: LeakyRelu(slope)
of x is `leaky_relu(x, slope=...)`. What follows from other operations is written here, once for all
libraries; at a kink its derivative is the one that minigrad.ops documents. Knows neither signals nor time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from minigrad import Op, ops
from minigrad.ops import ROOT_2_PI, Axis
from minigrad.provenance import Origin

Array: TypeAlias = Any  # what the library computes with
Arrays: TypeAlias = "tuple[Array, ...]"

# Classes without a value, what is drawn before a program runs, and what only derivatives consist of.
UNTRANSLATED = (ops.Op, ops.Elementwise, ops.Reduction, ops.DropoutMask, ops.ScatterAdd)
NAMES: dict[type[Op], str] = {kind: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
                              for kind in vars(ops).values()
                              if isinstance(kind, type) and issubclass(kind, Op) and kind not in UNTRANSLATED}


class Engine:
    """A library that computes with arrays.

    Attributes:
        target: how messages call it.
        module: the module that has its functions, by NumPy's names.
        missing: operations that it lacks -> what to use instead.
    """

    target: ClassVar[str]
    module: Any
    missing: ClassVar[dict[type[Op], str]] = {}

    def lacks(self, op: Op) -> str | None:
        """Why an operation can't be computed here, and what can; None where it can be."""
        if type(op) not in NAMES:
            return "only minigrad's own operations are known there: write the equation with those"
        return self.missing.get(type(op))

    def compute(self, op: Op, *inputs: Array) -> Array:
        """The result of an operation."""
        method: Callable[..., Array] = getattr(self, NAMES[type(op)])
        return method(*inputs, **vars(op))

    def note(self, origin: Origin | None) -> None:
        """The line of what is computed next, for those who write it down."""

    # ---- what a program needs besides operations
    def constant(self, value: Any, like: Any) -> Array:
        """An array or a number of ours; floats in the type `like`."""
        raise NotImplementedError

    def like(self, x: Array, other: Array) -> Array:
        """x in the type of another array."""
        raise NotImplementedError

    def cut(self, x: Array, keep: Array) -> Array:
        """x, through which gradients go where `keep` is True."""
        return x

    def scan(self, step: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]], carry: Arrays, rows: Arrays, T: Any,
             reverse: bool) -> Arrays:
        """A loop over time: `carry, results = step(carry, rows at t)`.

        Args:
            carry: what the first step starts from.
            rows: arrays (T, ...), of which each step gets its own row.
            reverse: from the last step to the first.

        Returns:
            the results of all steps, (T, ...) each.
        """
        raise NotImplementedError

    def spread(self, x: Array, lead: Any, shape: Sequence[int]) -> Array:
        """x broadcast to (*lead, *shape)."""
        return self.module.broadcast_to(x, (*lead, *shape))

    def trailing(self, x: Array, count: int) -> Array:
        """x with axes of length 1 at its end."""
        return x.reshape(tuple(x.shape) + (1,) * count) if count else x

    def elements(self, x: Array, start: int, stop: int) -> Array:
        """A part of each vector of x (..., size)."""
        return x[..., start:stop]

    def split(self, x: Array, sizes: Sequence[int]) -> Sequence[Array]:
        """The parts of each vector of x (..., size), end to end."""
        stops = np.cumsum(sizes)
        return [self.elements(x, int(stop) - size, int(stop)) for size, stop in zip(sizes, stops)]

    def columns(self, W: Array, start: int, stop: int) -> Array:
        """Some columns of a matrix."""
        return W[:, start:stop]

    def steps(self, x: Array, start: int | None, stop: int | None) -> Array:
        """Some steps of x (T, ...)."""
        return x[start:stop]

    # ---- arithmetic
    def identity(self, x: Array) -> Array:
        return x

    def add(self, a: Array, b: Array) -> Array:
        return a + b

    def sub(self, a: Array, b: Array) -> Array:
        return a - b

    def mul(self, a: Array, b: Array) -> Array:
        return a * b

    def div(self, a: Array, b: Array) -> Array:
        return a / b

    def neg(self, x: Array) -> Array:
        return -x

    def pow(self, a: Array, b: Array) -> Array:
        return a ** b

    def power(self, x: Array, exponent: float) -> Array:
        return x ** exponent

    def square(self, x: Array) -> Array:
        return x * x

    # ---- functions of each element
    def exp(self, x: Array) -> Array:
        return self.module.exp(x)

    def expm1(self, x: Array) -> Array:
        return self.module.expm1(x)

    def log(self, x: Array) -> Array:
        return self.module.log(x)

    def log1p(self, x: Array) -> Array:
        return self.module.log1p(x)

    def log2(self, x: Array) -> Array:
        return self.module.log2(x)

    def sqrt(self, x: Array) -> Array:
        return self.module.sqrt(x)

    def abs(self, x: Array) -> Array:
        return self.module.abs(x)

    def sign(self, x: Array) -> Array:
        return self.module.sign(x)

    def sin(self, x: Array) -> Array:
        return self.module.sin(x)

    def cos(self, x: Array) -> Array:
        return self.module.cos(x)

    def tan(self, x: Array) -> Array:
        return self.module.tan(x)

    def sinh(self, x: Array) -> Array:
        return self.module.sinh(x)

    def cosh(self, x: Array) -> Array:
        return self.module.cosh(x)

    def tanh(self, x: Array) -> Array:
        return self.module.tanh(x)

    def arctan(self, x: Array) -> Array:
        return self.module.arctan(x)

    def sigmoid(self, x: Array) -> Array:
        return 0.5 * self.tanh(0.5 * x) + 0.5

    def softplus(self, x: Array) -> Array:
        return self.module.logaddexp(x, self.module.zeros_like(x))

    def relu(self, x: Array) -> Array:
        raise NotImplementedError

    def leaky_relu(self, x: Array, slope: float) -> Array:
        return self.where(x > 0, x, slope * x)

    def elu(self, x: Array, alpha: float) -> Array:
        return self.where(x > 0, x, alpha * self.expm1(self.where(x > 0, 0.0, x)))

    def gelu(self, x: Array) -> Array:
        return 0.5 * x * (1 + self.tanh(ROOT_2_PI * (x + 0.044715 * x * x * x)))

    def clip(self, x: Array, low: float | None, high: float | None) -> Array:
        if low is not None:
            x = self.where(x < low, low, x)
        return x if high is None else self.where(x > high, high, x)

    def maximum(self, a: Array, b: Array) -> Array:
        return self.module.maximum(a, b)

    def minimum(self, a: Array, b: Array) -> Array:
        return self.module.minimum(a, b)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return self.module.where(condition, a, b)

    def cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        raise NotImplementedError

    # ---- over axes
    def count(self, x: Array, axis: Axis) -> Any:
        """How many elements a sum over axes is of."""
        axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
        return int(np.prod([x.shape[i] for i in axes], dtype=int))

    def sum(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.sum(x, axis=axis, keepdims=keepdims)

    def mean(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.sum(x, axis, keepdims) / self.count(x, axis)

    def var(self, x: Array, axis: Axis, keepdims: bool, ddof: float) -> Array:
        distance = x - self.mean(x, axis, True)
        return self.sum(distance * distance, axis, keepdims) / (self.count(x, axis) - ddof)

    def std(self, x: Array, axis: Axis, keepdims: bool, ddof: float) -> Array:
        return self.root(self.var(x, axis, keepdims, ddof))

    def norm(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.root(self.sum(x * x, axis, keepdims))

    def root(self, x: Array) -> Array:
        """The square root, with the derivative 0 at 0."""
        return self.where(x > 0, self.sqrt(self.where(x > 0, x, 1.0)), x)

    def prod(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.prod(x, axis=axis, keepdims=keepdims)

    def max(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return self.module.max(x, axis=axis, keepdims=keepdims)

    def min(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        return -self.max(-x, axis, keepdims)

    def cum_sum(self, x: Array, axis: int | None) -> Array:
        return self.module.cumsum(self.reshape(x, (-1,)) if axis is None else x, 0 if axis is None else axis)

    def log_sum_exp(self, x: Array, axis: Axis, keepdims: bool) -> Array:
        raise NotImplementedError

    def log_softmax(self, x: Array, axis: int) -> Array:
        return x - self.log_sum_exp(x, axis, True)

    # ---- products
    def mat_mul(self, a: Array, b: Array) -> Array:
        return self.module.matmul(a, b)

    def mat_vec(self, W: Array, x: Array) -> Array:
        if W.ndim == 2:
            return self.mat_mul(x, W.T)
        return self.mat_mul(W, x[..., None])[..., 0]

    def vec_dot(self, a: Array, b: Array) -> Array:
        return self.sum(a * b, -1, False)

    def ein_sum(self, *operands: Array, subscripts: str, optimize: Any) -> Array:
        return self.module.einsum(subscripts, *operands)

    # ---- shape
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.module.reshape(x, shape)

    def transpose(self, x: Array, axes: tuple[int, ...] | None) -> Array:
        order = range(x.ndim)[::-1] if axes is None else [n % x.ndim for n in axes]
        return self.module.permute_dims(x, tuple(order))

    def broadcast_to(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.spread(x, (), shape)

    def flip(self, x: Array, axis: Axis) -> Array:
        return self.module.flip(x, tuple(range(x.ndim)) if axis is None else axis)

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
        raise NotImplementedError

    def get_item(self, x: Array, index: Any) -> Array:
        return x[index]

    def pick(self, x: Array, labels: Array) -> Array:
        raise NotImplementedError

    def concatenate(self, *parts: Array, axis: int) -> Array:
        return self.module.concatenate(parts, axis)

    def stack(self, *parts: Array, axis: int) -> Array:
        return self.module.stack(parts, axis)
