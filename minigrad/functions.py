"""mg.tanh, mg.concatenate, ...: NumPy's names and semantics, as functions of Tensors.

Each takes Tensors, arrays or numbers, returns a Tensor, and is one operation of ops.py unless
its docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import operators, ops
from .ops import Axis
from .tensor import apply


def add(a: Any, b: Any) -> Any:
    """a + b."""
    return apply(operators.ADD, a, b)


def subtract(a: Any, b: Any) -> Any:
    """a - b."""
    return apply(operators.SUB, a, b)


def multiply(a: Any, b: Any) -> Any:
    """a * b, element by element."""
    return apply(operators.MUL, a, b)


def divide(a: Any, b: Any) -> Any:
    """a / b."""
    return apply(operators.DIV, a, b)


def power(a: Any, b: Any) -> Any:
    """a ** b."""
    return apply(operators.POW, a, b)


def negative(x: Any) -> Any:
    """-x."""
    return apply(operators.NEG, x)


def exp(x: Any) -> Any:
    """e to the power of each element."""
    return apply(operators.EXP, x)


def log(x: Any) -> Any:
    """The natural logarithm."""
    return apply(operators.LOG, x)


def square(x: Any) -> Any:
    """x * x."""
    return apply(operators.SQUARE, x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return apply(operators.TANH, x)


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), without overflow."""
    return apply(operators.SIGMOID, x)


def relu(x: Any) -> Any:
    """max(x, 0); the derivative at 0 is 0."""
    return apply(operators.RELU, x)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two, element by element; equal ones get half of the gradient each."""
    return apply(operators.MAXIMUM, a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, b elsewhere."""
    return apply(operators.WHERE, condition, a, b)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over all elements, or over an axis or several."""
    return apply(ops.Sum(axis, keepdims), x)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over all elements, or over an axis or several."""
    return apply(ops.Mean(axis, keepdims), x)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element, of all or along axes; ties share the gradient equally."""
    return apply(ops.Max(axis, keepdims), x)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(exp(x) / sum(exp(x))) along an axis, stable for large x."""
    return apply(ops.LogSoftmax(axis), x)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, stable for large x: exp of log_softmax."""
    return exp(log_softmax(x, axis))


def matmul(a: Any, b: Any) -> Any:
    """The matrix product, with every shape that NumPy's takes."""
    return apply(operators.MATMUL, a, b)


def matvec(W: Any, x: Any) -> Any:
    """W x for each vector of x: W (m, n), x (..., n) -> (..., m)."""
    return apply(operators.MATVEC, W, x)


def vecdot(a: Any, b: Any) -> Any:
    """The dot product of the last axes: (..., n), (..., n) -> (...)."""
    return apply(operators.VECDOT, a, b)


def pick(x: Any, labels: Any) -> Any:
    """One element of each row: x (..., n), labels (...) of integers in 0 … n-1 -> (...)."""
    return apply(operators.PICK, x, labels)


def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """The same elements in another shape; one length may be -1."""
    return apply(ops.Reshape((shape,) if isinstance(shape, int) else tuple(shape)), x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order; without `axes`, reversed."""
    return apply(ops.Transpose(None if axes is None else tuple(axes)), x)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged: a transpose."""
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, axes)


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """New axes of length 1 at the given positions of the result: a reshape."""
    positions = axis if isinstance(axis, tuple) else (axis,)
    ndim = x.ndim + len(positions)
    new = {position % ndim for position in positions}
    lengths = iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(lengths) for i in range(ndim)))


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """Repeated along new axes and axes of length 1, to a shape."""
    return apply(ops.BroadcastTo(tuple(shape)), x)


def concatenate(parts: Sequence[Any], axis: int = 0) -> Any:
    """Joined end to end along an axis that they have."""
    return apply(ops.Concatenate(axis), *parts)


def stack(parts: Sequence[Any], axis: int = 0) -> Any:
    """Side by side along a new axis."""
    return apply(ops.Stack(axis), *parts)


def shape(x: Any) -> tuple[int, ...]:
    """The length of each axis, as plain numbers."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(x.shape)
