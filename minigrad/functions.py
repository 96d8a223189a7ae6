"""mg.tanh, mg.concatenate, ...: functions of Tensors with NumPy's names and semantics.

Each takes Tensors, arrays or numbers, returns a Tensor, and is one operation of ops.py unless its
docstring says otherwise. They are written out, so that `help` and debuggers show them.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import operators, ops
from .conversion import real_array
from .ops import Axis
from .provenance import call_site
from .tensor import Tensor, apply, is_symbolic

__all__ = [  # the names that minigrad exports; shape, ndim, size and plain are for NumPy's dispatch
    "abs", "add", "arctan", "argmax", "argmin", "broadcast_to", "clip", "concatenate", "cos", "cosh", "cumsum",
    "divide", "dot", "dropout", "einsum", "elu", "exp", "expand_dims", "expm1", "flip", "gelu", "hstack",
    "leaky_relu", "log", "log1p", "log2", "log_softmax", "logsumexp", "matmul", "matvec", "max", "maximum", "mean",
    "min", "minimum", "moveaxis", "multiply", "negative", "norm", "outer", "pad", "pick", "power", "prod", "ravel",
    "one_hot", "stop_gradient",
    "relu", "repeat", "reshape", "sigmoid", "sign", "sin", "sinh", "softmax", "softplus", "split", "sqrt", "square",
    "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tile",
    "transpose", "var", "vecdot", "vstack", "where",
]

# ---- arithmetic ----------------------------------------------------------------------------


def add(a: Any, b: Any) -> Any:
    """Return a + b, element by element; shapes broadcast as in NumPy."""
    return apply(operators.ADD, a, b)


def subtract(a: Any, b: Any) -> Any:
    """Return a - b, element by element; shapes broadcast as in NumPy."""
    return apply(operators.SUB, a, b)


def multiply(a: Any, b: Any) -> Any:
    """Return a * b, element by element; shapes broadcast as in NumPy."""
    return apply(operators.MUL, a, b)


def divide(a: Any, b: Any) -> Any:
    """Return a / b, element by element; shapes broadcast as in NumPy."""
    return apply(operators.DIV, a, b)


def power(a: Any, b: Any) -> Any:
    """Return a ** b, element by element; shapes broadcast as in NumPy."""
    return apply(operators.POW, a, b)


def negative(x: Any) -> Any:
    """Return -x, element by element."""
    return apply(operators.NEG, x)


# ---- functions of each element -------------------------------------------------------------


def exp(x: Any) -> Any:
    """Return e to the power of each element."""
    return apply(operators.EXP, x)


def expm1(x: Any) -> Any:
    """Return exp(x) - 1 of each element, exact for small x."""
    return apply(operators.EXPM1, x)


def log(x: Any) -> Any:
    """Return the natural logarithm of each element."""
    return apply(operators.LOG, x)


def log1p(x: Any) -> Any:
    """Return log(1 + x) of each element, exact for small x."""
    return apply(operators.LOG1P, x)


def log2(x: Any) -> Any:
    """Return the logarithm of each element to base 2."""
    return apply(operators.LOG2, x)


def sqrt(x: Any) -> Any:
    """Return the square root of each element; its derivative at 0 is infinite."""
    return apply(operators.SQRT, x)


def square(x: Any) -> Any:
    """Return x * x, element by element."""
    return apply(operators.SQUARE, x)


def abs(x: Any) -> Any:
    """Return |x| of each element; the derivative at 0 is 0."""
    return apply(operators.ABS, x)


def sign(x: Any) -> Any:
    """Return -1, 0 or 1, the sign of each element; the derivative is 0."""
    return apply(operators.SIGN, x)


def sin(x: Any) -> Any:
    """Return the sine of each element, in radians."""
    return apply(operators.SIN, x)


def cos(x: Any) -> Any:
    """Return the cosine of each element, in radians."""
    return apply(operators.COS, x)


def tan(x: Any) -> Any:
    """Return the tangent of each element, in radians."""
    return apply(operators.TAN, x)


def sinh(x: Any) -> Any:
    """Return the hyperbolic sine of each element."""
    return apply(operators.SINH, x)


def cosh(x: Any) -> Any:
    """Return the hyperbolic cosine of each element."""
    return apply(operators.COSH, x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of each element."""
    return apply(operators.TANH, x)


def arctan(x: Any) -> Any:
    """Return the inverse of the tangent of each element, in radians between -pi/2 and pi/2."""
    return apply(operators.ARCTAN, x)


def sigmoid(x: Any) -> Any:
    """Return the logistic function 1 / (1 + exp(-x)) of each element, without overflow."""
    return apply(operators.SIGMOID, x)


def relu(x: Any) -> Any:
    """Return max(x, 0) of each element; the derivative at 0 is 0."""
    return apply(operators.RELU, x)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """Return the elements of x that are positive, slope * x elsewhere."""
    return apply(ops.LeakyRelu(slope), x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return the elements of x that are positive, alpha * (exp(x) - 1) elsewhere."""
    return apply(ops.Elu(alpha), x)


def gelu(x: Any) -> Any:
    """Return each element times the normal distribution function of it, in its approximation by tanh; see ops.Gelu."""
    return apply(operators.GELU, x)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)) of each element, without overflow."""
    return apply(operators.SOFTPLUS, x)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of two, element by element; equal ones get half of the gradient each."""
    return apply(operators.MAXIMUM, a, b)


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of two, element by element; equal ones get half of the gradient each."""
    return apply(operators.MINIMUM, a, b)


def clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Limit each element to at least the first bound and at most the second; None is no bound.

    Numbers make one operation, and the derivative at a bound is 1. Arrays and Tensors as bounds
    make a maximum and a minimum, which share the gradient at a bound.

    Args:
        x: an array of any shape.
        a_min, a_max, min, max: the bounds, by either name; arrays broadcast against x.

    Raises:
        ValueError: without any bound.
    """
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None and high is None:
        raise ValueError("clip needs a bound: clip(x, low, high), either of which may be None")
    if not any(np.ndim(bound) or isinstance(bound, operators.Operators) for bound in (low, high)):
        return apply(ops.Clip(None if low is None else float(low), None if high is None else float(high)), x)
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return the elements of a where the condition holds, and those of b elsewhere; shapes broadcast as in NumPy."""
    return apply(operators.WHERE, condition, a, b)


def dropout(x: Any, rate: float, rng: np.random.Generator, training: bool = True) -> Any:
    """Set each element to zero with probability `rate`, and divide the others by 1 - rate.

    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (JMLR 15,
    2014), with the scaling moved into training. Two operations: which to keep, and a product.

    Args:
        x: what to drop from.
        rate: the probability, in [0, 1).
        rng: draws anew at each call; in an equation of rnn at each step, for a parameter at each unroll.
        training: False returns x itself.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the dropout rate is in [0, 1), not {rate!r}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is a numpy.random.Generator, e.g. np.random.default_rng(0), not {rng!r}")
    if not training or rate == 0:
        return apply(operators.IDENTITY, x)
    return x * apply(ops.DropoutMask(rate, rng), x) / (1 - rate)


# ---- over axes -----------------------------------------------------------------------------


def sum(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the sum over all elements, or over an axis or several.

    Args:
        x: an array of any shape.
        axis: the axis, or a tuple of several; None: all of them.
        keepdims: leave the axes in the result, with length 1.

    Returns:
        A Tensor of x's shape without these axes; a single number has the shape ().

    Raises:
        IndexError: for an axis that x doesn't have.
    """
    return apply(ops.Sum(axis, keepdims), x)


def mean(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the mean over all elements, or over an axis or several.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
    """
    return apply(ops.Mean(axis, keepdims), x)


def var(x: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return the mean squared distance from the mean; the sum is divided by n - ddof.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
        ddof: what is subtracted from the number n of elements; 1 estimates the variance of a population.
    """
    return apply(ops.Var(axis, keepdims, ddof), x)


def std(x: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return the square root of var; the derivative is 0 where all elements are equal.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
        ddof: what is subtracted from the number n of elements; 1 estimates the variance of a population.
    """
    return apply(ops.Std(axis, keepdims, ddof), x)


def prod(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the product of all elements, or over an axis or several; zeros are allowed.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
    """
    return apply(ops.Prod(axis, keepdims), x)


def max(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the largest element, of all or along axes; ties share the gradient equally.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
    """
    return apply(ops.Max(axis, keepdims), x)


def min(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the smallest element, of all or along axes; ties share the gradient equally.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
    """
    return apply(ops.Min(axis, keepdims), x)


def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the index of the largest element: a plain array of integers, without derivative."""
    if is_symbolic(x):
        return apply(ops.ArgMax(axis, keepdims), x)
    return np.argmax(real_array(plain(x), "argmax"), axis=axis, keepdims=keepdims)


def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return the index of the smallest element: a plain array of integers, without derivative."""
    if is_symbolic(x):
        return apply(ops.ArgMin(axis, keepdims), x)
    return np.argmin(real_array(plain(x), "argmin"), axis=axis, keepdims=keepdims)


def cumsum(x: Any, axis: int | None = None) -> Any:
    """Return the running sum along an axis; without one, of all elements in a row."""
    return apply(ops.CumSum(axis), x)


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the 2-norm (of a matrix: Frobenius'); the derivative at 0 is 0.

    With `ord` 1 or inf, of vectors, the sum or the largest of the absolute values: two operations.

    Args:
        x: an array of any shape; with one axis the norms of vectors, with two or none Frobenius'.
        ord: None, 1, 2, inf, or "fro".
        axis, keepdims: as in `sum`, and so is the shape of the result.

    Raises:
        ValueError: for another order, whose derivative np.linalg.norm has.
    """
    vectors = isinstance(axis, int) or (axis is None and np.ndim(x) == 1)
    if ord is None or (ord == 2 and vectors) or (ord == "fro" and not vectors):
        return apply(ops.Norm(axis, keepdims), x)
    if ord == 1 and vectors:
        return sum(abs(x), axis, keepdims=keepdims)
    if ord == np.inf and vectors:
        return max(abs(x), axis, keepdims=keepdims)
    raise ValueError(f"norm has no derivative here for ord={ord!r}, axis={axis!r}: it takes ord=None, "
                     "or 1, 2, inf along one axis, or 'fro'. np.linalg.norm has the other orders")


def logsumexp(x: Any, axis: Axis = -1, *, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) along an axis or several, stable for large x.

    Args:
        x: an array of any shape.
        axis, keepdims: as in `sum`, and so is the shape of the result.
    """
    return apply(ops.LogSumExp(axis, keepdims), x)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return log(exp(x) / sum(exp(x))) along an axis, stable for large x.

    Args:
        x: an array of any shape, of numbers that may be large.
        axis: the axis along which the exponentials are divided by their sum.

    Returns:
        A Tensor of x's shape.
    """
    return apply(ops.LogSoftmax(axis), x)


def softmax(x: Any, axis: int = -1) -> Any:
    """Return exp(x) / sum(exp(x)) along an axis, stable for large x: exp of log_softmax.

    Args:
        x: an array of any shape, of numbers that may be large.
        axis: the axis along which the exponentials are divided by their sum.

    Returns:
        A Tensor of x's shape.
    """
    return exp(log_softmax(x, axis)).written_as("softmax", x, **({} if axis == -1 else {"axis": axis}))


# ---- products ------------------------------------------------------------------------------


def matmul(a: Any, b: Any) -> Any:
    """Return the matrix product, for all shapes that NumPy takes.

    Args:
        a, b: (..., k, m) and (..., m, n) -> (..., k, n), where the leading axes broadcast; a vector (m,) on the left is
            a row, on the right a column, and its axis is left out of the result.

    Raises:
        ValueError: for numbers without axes, and for lengths that don't fit.
    """
    return apply(operators.MATMUL, a, b)


def dot(a: Any, b: Any) -> Any:
    """Return the matrix product, or the product if one operand is a number; for more than two axes see matmul.

    Raises:
        ValueError: for a second operand with more than two axes, where np.dot isn't np.matmul.
    """
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return multiply(a, b)
    if np.ndim(b) > 2:
        raise ValueError(f"dot with a second operand of {np.ndim(b)} axes has no derivative here: "
                         "say with einsum, or with matmul, which axes are meant")
    return matmul(a, b)


def matvec(W: Any, x: Any) -> Any:
    """Return W x for each vector of x: W (..., m, n), x (..., n) -> (..., m)."""
    return apply(operators.MATVEC, W, x)


def vecdot(a: Any, b: Any) -> Any:
    """Return the dot product of the last axes: (..., n), (..., n) -> (...)."""
    return apply(operators.VECDOT, a, b)


def outer(a: Any, b: Any) -> Any:
    """Return a[i] * b[j], of operands taken as vectors: m and n elements -> (m, n), a column times a row."""
    if np.ndim(a) == np.ndim(b) == 1 and isinstance(a, operators.Operators):
        return multiply(a[:, None], b)
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    """Return Einstein's sum, e.g. einsum("bij,bj->bi", W, x), for every string that NumPy takes.

    Args:
        subscripts: a letter for each axis of each operand, and after "->" those of the result.
        operands: arrays with as many axes as they have letters; "..." stands for further ones.
        optimize: as in np.einsum: in which order to multiply.

    Raises:
        TypeError: if the first argument is no string.
        ValueError: for lengths that don't fit.
    """
    if not isinstance(subscripts, str):
        raise TypeError(f'einsum begins with a string, e.g. einsum("ij,j->i", W, x), not {subscripts!r:.60}')
    return apply(ops.EinSum(subscripts, optimize), *operands)


# ---- shape ---------------------------------------------------------------------------------


def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """Return the same elements in another shape; one length may be -1.

    Raises:
        ValueError: if the shape has another number of elements.
    """
    return apply(ops.Reshape((shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)), x)


def ravel(x: Any) -> Any:
    """Flatten to one axis: a reshape."""
    return reshape(x, -1)


def squeeze(x: Any, axis: Axis = None) -> Any:
    """Remove axes of length 1, all or those given: a reshape."""
    return reshape(x, np.squeeze(_outline(np.shape(x)), axis).shape)


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """Insert axes of length 1 at the given positions of the result: a reshape."""
    return reshape(x, np.expand_dims(_outline(np.shape(x)), axis).shape)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Permute the axes; without `axes`, reverse them."""
    return apply(ops.Transpose(None if axes is None else tuple(axes)), x)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes: a transpose."""
    return transpose(x, np.swapaxes(_outline(range(np.ndim(x))), axis1, axis2).shape)  # axis i has length i


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Move axes to other positions: a transpose."""
    return transpose(x, np.moveaxis(_outline(range(np.ndim(x))), source, destination).shape)  # axis i has length i


def broadcast_to(x: Any, shape: int | Sequence[int]) -> Any:
    """Repeat along new axes and axes of length 1, to a shape."""
    return apply(ops.BroadcastTo((shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)), x)


def flip(x: Any, axis: Axis = None) -> Any:
    """Reverse the order of the elements along an axis or several; without one, along all."""
    return apply(ops.Flip(axis), x)


def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: float = 0) -> Any:
    """Surround x by a constant; pad_width as in NumPy: a number, (before, after), or a pair for each axis."""
    if mode != "constant":
        raise ValueError(f"pad has no derivative here for mode={mode!r}: it takes mode='constant'")
    if np.ndim(constant_values):
        raise ValueError(f"pad takes one constant value here, not {constant_values!r}")
    if not np.ndim(x):
        return apply(operators.IDENTITY, x)  # a number has no sides
    widths = np.broadcast_to(plain(pad_width), (np.ndim(x), 2)).tolist()
    return apply(ops.Pad(tuple((before, after) for before, after in widths), constant_values), x)


def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """Repeat the whole array reps times along each axis: reshape, broadcast and reshape again."""
    times = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    lengths = np.shape(x)
    ndim = builtins.max(len(lengths), len(times))
    lengths = (1,) * (ndim - len(lengths)) + lengths
    times = (1,) * (ndim - len(times)) + times
    apart = broadcast_to(reshape(x, [n for length in lengths for n in (1, length)]),
                         [n for pair in zip(times, lengths) for n in pair])
    return reshape(apart, [n * length for n, length in zip(times, lengths)])


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element (or slice along an axis) several times in a row: a take."""
    count = np.shape(x)[axis] if axis is not None and np.ndim(x) else np.size(x)
    return take(x, np.repeat(np.arange(count), plain(repeats)), axis)


# ---- joining and selecting ------------------------------------------------------------------


def concatenate(parts: Sequence[Any], axis: int | None = 0) -> Any:
    """Join arrays end to end along an axis that they have; axis=None: all elements in a row.

    Args:
        parts: arrays whose shapes differ in this axis only, where the result is as long as all of them.
        axis: the axis.

    Raises:
        ValueError: for other shapes.
    """
    if axis is None:
        return concatenate([ravel(part) for part in parts])
    return apply(ops.Concatenate(axis), *parts)


def stack(parts: Sequence[Any], axis: int = 0) -> Any:
    """Join n arrays of one shape along a new axis, of length n."""
    return apply(ops.Stack(axis), *parts)


def hstack(parts: Sequence[Any]) -> Any:
    """Join along the second axis, vectors along their only one: a concatenate."""
    parts = [part if np.ndim(part) else reshape(part, 1) for part in parts]
    return concatenate(parts, -1 if np.ndim(parts[0]) == 1 else 1)


def vstack(parts: Sequence[Any]) -> Any:
    """Join along the first axis, vectors as rows: a concatenate."""
    return concatenate([part if np.ndim(part) > 1 else reshape(part, (1, -1)) for part in parts], 0)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut x along an axis into a list: into so many equal parts, or at the given indices."""
    axis = range(np.ndim(x))[axis]
    pieces = np.split(np.arange(np.shape(x)[axis]), plain(indices_or_sections))
    whole = (slice(None),) * axis
    return [apply(ops.GetItem((*whole, slice(piece[0], piece[-1] + 1) if len(piece) else slice(0, 0))), x)
            for piece in (piece.tolist() for piece in pieces)]


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the elements at integer indices, along an axis or of all in a row: an index.

    Args:
        x: an array of any shape.
        indices: integers of any shape, from -n to n - 1.
        axis: the axis, whose place the shape of the indices takes; None: of x flattened.

    Raises:
        TypeError: for indices that aren't integers.
        IndexError: for one that is out of range.
    """
    if is_symbolic(indices):  # an index of each step
        if axis != 0 and not (axis is None and np.ndim(x) == 1):
            raise ValueError(f"take reads rows by {indices!r}: it needs axis=0, not axis={axis!r} (at {call_site()})")
        return apply(operators.LOOKUP, x, indices)
    where = np.asarray(plain(indices))
    if where.dtype.kind not in "iu" and where.size:
        raise TypeError(f"take needs integers as indices, not {where.dtype}")
    if axis is None or (axis in (0, -1) and not np.ndim(x)):  # a number is a vector of one element, as in NumPy
        return apply(ops.GetItem(where.astype(int)), ravel(x))
    before = (slice(None),) * axis if axis >= 0 else (Ellipsis,)
    after = (slice(None),) * (-1 - axis)
    return apply(ops.GetItem((*before, where.astype(int), *after)), x)


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """Return the element at each index along an axis, with indices as np.argsort gives them: an index."""
    where = np.asarray(plain(indices))
    if axis is None:
        return take(x, where)
    if where.ndim != np.ndim(x):
        raise ValueError(f"take_along_axis needs indices with as many axes as x has: {np.ndim(x)}, not {where.ndim}")
    index = list(np.ogrid[tuple(map(slice, np.shape(x)))])
    index[axis] = where
    return apply(ops.GetItem(tuple(index)), x)


def stop_gradient(x: Any) -> Any:
    """Return the same values, of any shape, as a constant: no gradient passes. Of a Tensor, its detach()."""
    if is_symbolic(x):
        return apply(operators.STOP_GRADIENT, x)
    return (x if isinstance(x, Tensor) else Tensor(x)).detach()


def one_hot(i: Any, n: int) -> Any:
    """Return vectors of n elements, 1 at the index i and 0 elsewhere: i (...) of integers -> (..., n); no gradient.

    Raises:
        TypeError: if n isn't a whole number of 1 or more.
        IndexError: for an index that isn't one of 0 ... n-1.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise TypeError(f"mg.one_hot(i, n) takes the number n of classes, 1 or more, not {n!r}, for i = {i!r:.60} of "
                        f"shape {i.shape if hasattr(i, 'shape') else np.shape(i)} (at {call_site()})")
    if is_symbolic(i):  # an index of each step
        return apply(operators.LOOKUP, Tensor(np.eye(n), name=f"eye({n})"), i)
    return operators.LOOKUP.forward(np.eye(n), np.asarray(plain(i)))


def pick(x: Any, labels: Any) -> Any:
    """Return one element of each row: x (..., n), labels (...) of integers in 0 … n-1 -> (...).

    Raises:
        TypeError: for labels that aren't integers.
        IndexError: for one that isn't one of 0 … n-1.
    """
    if not isinstance(labels, operators.Operators) or isinstance(labels, Tensor):  # others have no values yet
        kind = np.asarray(plain(labels)).dtype
        if kind.kind not in "iu":
            raise TypeError(f"labels are integers, not {kind}: the index of the right class (at {call_site()})")
    return apply(operators.PICK, x, labels)


# ---- shapes as plain numbers ----------------------------------------------------------------


def shape(x: Any) -> tuple[int, ...]:
    """Return the length of each axis, as plain numbers."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return int(x.ndim)


def size(x: Any, axis: int | None = None) -> int:
    """Return the number of elements, or the length of an axis."""
    return math.prod(x.shape) if axis is None else int(x.shape[axis])


def _outline(shape: Sequence[int]) -> Any:
    """Return an array of a shape that takes no memory, to compute shapes with NumPy."""
    return np.broadcast_to(0, shape)


def plain(x: Any) -> Any:
    """Return the array of a Tensor, anything else as it is; raise TypeError for an operand without values."""
    if is_symbolic(x):
        raise TypeError(f"{x!r} has no values yet, and this function needs them (at {call_site()})")
    return x._array if isinstance(x, Tensor) else x
