"""NumPy's functions that are made of several operations, or of one of numpy_ops.py; `linalg_inv` is np.linalg.inv.

They have NumPy's names and argument order, and are called through NumPy only: np.trace(x), not mg.trace(x).
numpy_functions.py finds them here by name. Arguments that aren't listed are refused by name, never ignored.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from . import functions as f
from . import numpy_ops, operators, ops
from .functions import plain
from .ops import Axis
from .provenance import call_site
from .tensor import Tensor, apply, constant


def _operand(x: Any) -> Any:
    """Return an operand with methods: an array or a number as a constant."""
    return x if isinstance(x, operators.Operators) else constant(np.array(x))


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return the axes, None for all, as different numbers from 0."""
    if axis is None:
        return tuple(range(ndim))
    return np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def _axis(axis: int, ndim: int) -> int:
    """Return one axis as a number from 0."""
    return np.lib.array_utils.normalize_axis_index(axis, ndim)


def _slice(x: Any, part: slice, axis: int) -> Any:
    """Return part of x along an axis."""
    return x[(slice(None),) * _axis(axis, x.ndim) + (part,)]


def _kept(x: Any, result: Any, axis: Axis, keepdims: bool) -> Any:
    """Return the result of a reduction, with axes of length 1 in the place of the reduced ones if asked for."""
    return f.expand_dims(result, _axes(axis, x.ndim)) if keepdims else result


def _last(x: Any, axis: Axis) -> Any:
    """Return x with the given axes joined as the last one."""
    axes = _axes(axis, x.ndim)
    if axes == (x.ndim - 1,):  # it is; in an equation of rnn it always is
        return x
    kept = [i for i in range(x.ndim) if i not in axes]
    lengths = [x.shape[i] for i in kept] + [math.prod(x.shape[i] for i in axes)]
    return f.reshape(f.transpose(x, [*kept, *axes]), lengths)


# ---- functions of each element -------------------------------------------------------------


def deg2rad(x: Any) -> Any:
    """Return degrees as radians."""
    return _operand(x) * (math.pi / 180)


def rad2deg(x: Any) -> Any:
    """Return radians as degrees."""
    return _operand(x) * (180 / math.pi)


radians, degrees = deg2rad, rad2deg


def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), which is 1 at 0."""
    return apply(numpy_ops.Sinc(), x)


def round(a: Any, decimals: int = 0) -> Any:
    """Round to so many decimals; the derivative is 0."""
    return _operand(a).round(decimals)


around = round


def fix(x: Any) -> Any:
    """Round towards 0; the derivative is 0."""
    return apply(operators.TRUNC, x)


def divmod(a: Any, b: Any) -> tuple[Any, Any]:
    """Return a // b and a % b."""
    return apply(operators.FLOOR_DIVIDE, a, b), apply(operators.REMAINDER, a, b)


def conjugate(x: Any) -> Any:
    """Return real numbers as they are."""
    return apply(numpy_ops.Copy(), x)


def real(val: Any) -> Any:
    """Return real numbers as they are."""
    return apply(numpy_ops.Copy(), val)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: float | None = None,
               neginf: float | None = None) -> Any:
    """Replace NaN and infinities by numbers; there the derivative is 0."""
    if not copy:
        raise TypeError(f"np.nan_to_num with copy=False (at {call_site()}) would change its operand, "
                        "which its derivative may need: use the result")
    x = _operand(x)
    values = plain(x)
    if values.dtype.kind != "f":
        return x
    limits = np.finfo(values.dtype)
    x = f.where(np.isnan(values), nan, x)
    x = f.where(np.isposinf(values), limits.max if posinf is None else posinf, x)
    return f.where(np.isneginf(values), limits.min if neginf is None else neginf, x)


# ---- sums, means and other reductions ------------------------------------------------------


def ptp(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the largest minus the smallest element; ties share the gradient equally."""
    return f.max(a, axis, keepdims=keepdims) - f.min(a, axis, keepdims=keepdims)


def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Return sum(weights * a) / sum(weights); with `returned`, the sum of the weights too."""
    a = _operand(a)
    if weights is None:
        mean = f.mean(a, axis, keepdims=keepdims)
        return (mean, f.broadcast_to(constant(np.asarray(a.size / mean.size, a.dtype)), mean.shape)) \
            if returned else mean
    weights = _operand(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError(f"average of shape {a.shape} with weights of shape {weights.shape} needs an axis")
        axes = _axes(axis, a.ndim)
        if weights.shape != tuple(a.shape[i] for i in axes):
            raise ValueError(f"weights of shape {weights.shape} don't fit the axes {axis} of an array of {a.shape}")
        lengths = [n if i in axes else 1 for i, n in enumerate(a.shape)]
        weights = f.reshape(f.transpose(weights, np.argsort(axes).tolist()), lengths)
    total = f.sum(f.broadcast_to(weights, a.shape), axis, keepdims=keepdims)
    mean = f.sum(a * weights, axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Return the integral by the trapezoidal rule, over points x or points at a distance dx."""
    y = _operand(y)
    if x is not None:
        dx = diff(x, axis=axis if np.ndim(x) > 1 else -1)
        if np.ndim(x) == 1:
            dx = f.reshape(dx, [-1 if i == _axis(axis, y.ndim) else 1 for i in range(y.ndim)])
    both = _slice(y, slice(1, None), axis) + _slice(y, slice(None, -1), axis)
    return f.sum(both * dx / 2, axis)


def median(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the middle element in order, or the mean of the two middle ones; NaN if there is one."""
    a = _operand(a)
    rows = sort(_last(a, axis))
    n = rows.shape[-1]
    middle = f.mean(rows[..., (n - 1) // 2:n // 2 + 1], -1)
    return _kept(a, f.where(np.isnan(plain(rows[..., n - 1])), np.nan, middle) if n else middle, axis, keepdims)


def quantile(a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the q-quantile, 0 ≤ q ≤ 1, interpolated linearly between the two nearest elements; q is constant."""
    if method != "linear":
        raise ValueError(f"quantile has no derivative here for method={method!r}: it takes method='linear'")
    a, q = _operand(a), np.asarray(plain(q), float)
    if not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"quantiles are numbers from 0 to 1, not {q}")
    rows = sort(_last(a, axis))
    n = rows.shape[-1]
    if n == 0:
        raise ValueError(f"an array of shape {a.shape} has no quantile along axis {axis}")
    found = []
    for position in (q * (n - 1)).ravel().tolist():
        below = int(position)
        low, high = rows[..., below], rows[..., builtins.min(below + 1, n - 1)]
        found.append(f.where(np.isnan(plain(rows[..., n - 1])), np.nan, low + (high - low) * (position - below)))
    result = f.stack([_kept(a, value, axis, keepdims) for value in found])
    return f.reshape(result, q.shape + result.shape[1:])


def percentile(a: Any, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the q-th percentile, 0 ≤ q ≤ 100; see quantile."""
    return quantile(a, np.asarray(plain(q), float) / 100, axis, method=method, keepdims=keepdims)


def nansum(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the sum of all elements but NaN."""
    return f.sum(_without_nan(a, 0), axis, keepdims=keepdims)


def nanprod(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the product of all elements but NaN."""
    return f.prod(_without_nan(a, 1), axis, keepdims=keepdims)


def nanmean(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the mean of all elements but NaN; NaN where there is none."""
    return nansum(a, axis, keepdims=keepdims) / _count(a, axis, keepdims)


def nanvar(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return the variance of all elements but NaN; see var."""
    a = _operand(a)
    distance = f.where(np.isnan(plain(a)), 0, a - nanmean(a, axis, keepdims=True))
    count = _count(a, axis, keepdims) - np.asarray(ddof, a.dtype)
    return f.sum(distance * distance, axis, keepdims=keepdims) / np.where(count > 0, count, np.nan).astype(a.dtype)


def nanstd(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Return the square root of nanvar; where all elements are equal the derivative is 0."""
    variance = nanvar(a, axis, ddof=ddof, keepdims=keepdims)
    flat = plain(variance) == 0
    return f.where(flat, 0, f.sqrt(f.where(flat, 1, variance)))


def nanmax(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the largest element, ignoring NaN; ties share the gradient equally."""
    if np.result_type(plain(a)).kind != "f":
        return f.max(a, axis, keepdims=keepdims)
    found = f.max(_without_nan(a, -np.inf), axis, keepdims=keepdims)
    return f.where(_count(a, axis, keepdims) == 0, np.nan, found)


def nanmin(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the smallest element, ignoring NaN; ties share the gradient equally."""
    if np.result_type(plain(a)).kind != "f":
        return f.min(a, axis, keepdims=keepdims)
    found = f.min(_without_nan(a, np.inf), axis, keepdims=keepdims)
    return f.where(_count(a, axis, keepdims) == 0, np.nan, found)


def nancumsum(a: Any, axis: int | None = None) -> Any:
    """Return the running sum, in which NaN counts as 0."""
    return f.cumsum(_without_nan(a, 0), axis)


def nancumprod(a: Any, axis: int | None = None) -> Any:
    """Return the running product, in which NaN counts as 1."""
    return cumprod(_without_nan(a, 1), axis)


def _without_nan(a: Any, value: float) -> Any:
    return f.where(np.isnan(plain(a)), value, a)


def _count(a: Any, axis: Axis, keepdims: bool) -> Any:
    """Return the number of elements that aren't NaN, as floats of a's type."""
    values = plain(a)
    return np.asarray(np.sum(~np.isnan(values), axis=axis, keepdims=keepdims), np.result_type(values, np.float16))


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    """Return the matrix of covariances of variables, the rows of m (with `rowvar` False its columns)."""
    m = f.vstack([_variables(x, rowvar) for x in (m, y) if x is not None])
    distance = m - f.mean(m, 1, keepdims=True)
    count = m.shape[1] - (1 - bool(bias) if ddof is None else ddof)
    return f.squeeze(f.matmul(distance, f.transpose(distance)) / np.asarray(builtins.max(count, 0), m.dtype))


def _variables(x: Any, rowvar: bool) -> Any:
    """Return one variable in each row."""
    x = _operand(x)
    if x.ndim > 2:
        raise ValueError(f"variables are the rows of a matrix, or one vector, not an array of {x.ndim} axes")
    return x.T if not rowvar and x.ndim == 2 else x


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """Return the matrix of correlation coefficients of variables, the rows of x (with `rowvar` False its columns)."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    deviation = f.sqrt(diagonal(c))
    return c / f.expand_dims(deviation, 1) / f.expand_dims(deviation, 0)


# ---- along an axis -------------------------------------------------------------------------


def cumprod(a: Any, axis: int | None = None) -> Any:
    """Return the running product along an axis; without one, of all elements in a row."""
    return apply(numpy_ops.CumProd(axis), a)


def cumulative_sum(x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Return the running sum along an axis, with `include_initial` from 0 on."""
    return _from_initial(f.cumsum(x, _only_axis(x, axis)), 0, axis, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Any:
    """Return the running product along an axis, with `include_initial` from 1 on."""
    return _from_initial(cumprod(x, _only_axis(x, axis)), 1, axis, include_initial)


def _only_axis(x: Any, axis: int | None) -> int:
    if axis is None and np.ndim(x) != 1:
        raise ValueError(f"an array of {np.ndim(x)} axes needs the argument axis=")
    return 0 if axis is None else axis


def _from_initial(x: Any, initial: float, axis: int | None, include: bool) -> Any:
    axis = _axis(axis or 0, x.ndim)
    first = [1 if i == axis else length for i, length in enumerate(x.shape)]
    return f.concatenate([np.full(first, initial, x.dtype), x], axis) if include else x


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Return the differences of neighbours along an axis, n times."""
    a = _operand(a)
    if n < 0:
        raise ValueError(f"the order of differences is 0 or more, not {n!r}")
    shape = [1 if i == _axis(axis, a.ndim) else length for i, length in enumerate(a.shape)]
    ends = [None if x is None else x if np.ndim(x) else f.broadcast_to(x, shape) for x in (prepend, append)]
    parts = [x for x in (ends[0], a, ends[1]) if x is not None]
    a = f.concatenate(parts, axis) if n and len(parts) > 1 else a
    for _ in range(n):
        a = _slice(a, slice(1, None), axis) - _slice(a, slice(None, -1), axis)
    return a if n else apply(numpy_ops.Copy(), a)


def ediff1d(ary: Any) -> Any:
    """Return the differences of neighbours, of all elements in a row."""
    return diff(f.ravel(ary))


def sort(a: Any, axis: int | None = -1, kind: str | None = None) -> Any:
    """Sort in ascending order along an axis, None: all elements in a row. The gradient goes to each own place."""
    return apply(numpy_ops.Sort(0), f.ravel(a)) if axis is None else apply(numpy_ops.Sort(axis), a)


def roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    """Shift elements along an axis or several; those that leave at one end come in at the other."""
    if axis is None and np.ndim(a) != 1:
        return f.reshape(roll(f.ravel(a), shift, 0), np.shape(a))
    axis = 0 if axis is None else axis
    a = _operand(a)
    for by, one in np.broadcast(shift, axis):
        n = a.shape[_axis(one, a.ndim)]
        first = -int(by) % n if n else 0
        a = f.concatenate([_slice(a, slice(first, None), one), _slice(a, slice(None, first), one)], one)
    return a


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Return the convolution of two vectors; mode "full", "same" or "valid" as in NumPy."""
    a, v = atleast_1d(_vector(a), _vector(v))
    a, v = (v, a) if v.shape[0] > a.shape[0] else (a, v)
    return _central(_full_convolution(a, v), a.shape[0], v.shape[0], mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Return the correlation sum(a[n + k] * v[n]) of two vectors; mode as for convolve."""
    a, v = _vector(a), _vector(v)
    if v.shape[0] > a.shape[0]:
        return f.flip(correlate(v, a, mode))
    return _central(_full_convolution(a, f.flip(v)), a.shape[0], v.shape[0], mode)


def _full_convolution(a: Any, v: Any) -> Any:
    """Return the convolution of n and m ≤ n elements where they overlap, n + m - 1 of them.

    The operation works on two vectors. Where an operand stands for several arrays, it is a sum of shifted products,
    which broadcast.
    """
    if all(isinstance(x, (np.ndarray, Tensor)) for x in (a, v)):
        return apply(numpy_ops.Convolve(), a, v)
    n = v.shape[0]
    return reduce(operator.add, (f.pad(a, (k, n - 1 - k)) * v[k] for k in range(n)))


def _vector(x: Any) -> Any:
    x = _operand(x)
    if x.ndim > 1:
        raise ValueError(f"a vector has one axis; this array has {x.ndim}")
    return x


def _central(full: Any, n: int, m: int, mode: str) -> Any:
    """Return the part of a full convolution of n and m ≤ n elements that a mode has."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f'mode is "full", "same" or "valid", not {mode!r}')
    start = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
    return full[start:start + {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]]


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """Interpolate linearly between points (xp, fp), xp ascending; constant outside. All have derivatives."""
    x, xp, fp = _operand(x), _operand(xp), _operand(fp)
    if xp.ndim != 1 or fp.shape != xp.shape or not xp.size:
        raise ValueError(f"interp needs as many values as points, of one axis, not {fp.shape} for {xp.shape}")
    values, points = plain(x), plain(xp)
    if xp.size == 1:
        result = f.broadcast_to(fp[0], x.shape)
    else:
        i = np.clip(np.searchsorted(points, values, side="right") - 1, 0, xp.size - 2)
        low, high = fp[i], fp[i + 1]
        result = low + (high - low) * ((x - xp[i]) / (xp[i + 1] - xp[i]))
    result = f.where(values < points[0], fp[0] if left is None else left, result)
    return f.where(values > points[-1], fp[xp.size - 1] if right is None else right, result)


def polyval(p: Any, x: Any) -> Any:
    """Return the polynomial with the coefficients p, highest first, at each x, by Horner's rule."""
    p, x = _operand(p), _operand(x)
    result = x * 0
    for i in range(p.shape[0]):
        result = result * x + p[i]
    return result


# ---- selecting -----------------------------------------------------------------------------


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Return, element by element, the choice of the first condition that holds, else the default."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select takes as many choices as conditions, one or more, "
                         f"not {len(choicelist)} for {len(condlist)}")
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        known = isinstance(condition, Tensor) or not isinstance(condition, operators.Operators)
        if known and np.asarray(plain(condition)).dtype != bool:  # an expression has no values yet
            raise TypeError(f"conditions are arrays of bools, not {np.asarray(plain(condition)).dtype}")
        result = f.where(condition, choice, result)
    return result


def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """Return the slices along an axis where a condition, a vector, holds."""
    return f.take(a, np.flatnonzero(plain(condition)), axis)


def extract(condition: Any, arr: Any) -> Any:
    """Return the elements where a condition holds, in a row."""
    return f.take(arr, np.flatnonzero(plain(condition)))


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Return the array without the slices at some indices along an axis: a take."""
    count = np.size(arr) if axis is None else np.shape(arr)[axis]
    return f.take(arr, np.delete(np.arange(count), plain(obj)), axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Return the array with values inserted before some indices along an axis: a concatenate and a take."""
    arr, values = _operand(arr), _operand(values)
    if axis is None:
        arr, axis = f.ravel(arr), 0
    axis, n = _axis(axis, arr.ndim), arr.shape[axis]
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        values = values if values.ndim else f.reshape(values, 1)
        values = f.moveaxis(f.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape), 0, axis)
        count = values.shape[axis]
    else:
        count = np.insert(np.arange(n), obj, -1).size - n
        values = f.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    lengths = [count if i == axis else length for i, length in enumerate(arr.shape)]
    both = f.concatenate([arr, f.broadcast_to(values, lengths).astype(np.result_type(plain(arr)))], axis)
    return f.take(both, np.insert(np.arange(n), obj, np.arange(n, n + count)), axis)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal of the matrix of two axes, as the last axis: an index."""
    a = f.moveaxis(_operand(a), (axis1, axis2), (-2, -1))
    rows, columns = _diagonal_places(a.shape[-2:], offset)
    return a[..., rows, columns]


def _diagonal_places(shape: Sequence[int], offset: int) -> tuple[Any, Any]:
    rows = np.diagonal(np.broadcast_to(np.arange(shape[0])[:, None], shape), offset).copy()
    return rows, rows + offset


def diag(v: Any, k: int = 0) -> Any:
    """Return the k-th diagonal of a matrix, or the matrix with a vector as its k-th diagonal."""
    v = _operand(v)
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag takes a vector or a matrix, not an array of {v.ndim} axes")
    chosen = np.eye(v.shape[0] + builtins.abs(k), k=k, dtype=bool)
    return f.where(chosen, f.pad(v, (builtins.max(k, 0), builtins.max(-k, 0))) if k else v, 0)  # column j has v[j - k]


def diagflat(v: Any, k: int = 0) -> Any:
    """Return the matrix with all elements in a row as its k-th diagonal."""
    return diag(f.ravel(v), k)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sum of the diagonal of the matrix of two axes."""
    return f.sum(diagonal(a, offset, axis1, axis2), -1)


def tril(m: Any, k: int = 0) -> Any:
    """Return the matrix, or each of a stack, with zeros above the k-th diagonal."""
    return f.where(_below(m, k), m, 0)


def triu(m: Any, k: int = 0) -> Any:
    """Return the matrix, or each of a stack, with zeros below the k-th diagonal."""
    return f.where(_below(m, k - 1), 0, m)


def _below(m: Any, k: int) -> Any:
    """Return a mask, for matrices (..., n, m): True up to the k-th diagonal."""
    if np.ndim(m) < 2:
        raise ValueError(f"a matrix has two axes; this array has {np.ndim(m)}")
    return np.tri(np.shape(m)[-2], np.shape(m)[-1], k, dtype=bool)


# ---- products ------------------------------------------------------------------------------


def inner(a: Any, b: Any) -> Any:
    """Return the sums of products over the last axes."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return f.multiply(a, b)
    return f.vecdot(a, b) if np.ndim(a) == np.ndim(b) == 1 else tensordot(a, b, (-1, -1))


def vdot(a: Any, b: Any, /) -> Any:
    """Return the sum of the products of all elements."""
    return f.vecdot(f.ravel(a), f.ravel(b))  # which refuses different numbers of elements


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Return the sums of products over some axes of a and b: a number of them, or a pair of lists; a matmul."""
    a, b = _operand(a), _operand(b)
    if np.ndim(axes) == 0 and not isinstance(axes, (list, tuple)):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    axes_a, axes_b = (_axes(tuple(np.atleast_1d(np.asarray(part, int)).tolist()), x.ndim)
                      for part, x in zip(axes, (a, b)))
    summed = [a.shape[i] for i in axes_a]
    if summed != [b.shape[i] for i in axes_b]:
        raise ValueError(f"tensordot can't sum axes {axes_a} of {a.shape} with axes {axes_b} of {b.shape}: "
                         "their lengths differ")
    rest_a = [i for i in range(a.ndim) if i not in axes_a]
    rest_b = [i for i in range(b.ndim) if i not in axes_b]
    rows, columns = [a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b]
    left = f.reshape(f.transpose(a, [*rest_a, *axes_a]), (math.prod(rows), math.prod(summed)))
    right = f.reshape(f.transpose(b, [*axes_b, *rest_b]), (math.prod(summed), math.prod(columns)))
    return f.reshape(f.matmul(left, right), [*rows, *columns])


def kron(a: Any, b: Any) -> Any:
    """Return the Kronecker product."""
    a, b = _operand(a), _operand(b)
    ndim = builtins.max(a.ndim, b.ndim)
    lengths_a, lengths_b = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    left = f.reshape(a, [n for length in lengths_a for n in (length, 1)])
    right = f.reshape(b, [n for length in lengths_b for n in (1, length)])
    return f.reshape(left * right, [n * m for n, m in zip(lengths_a, lengths_b)])


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Return the cross products of vectors of three elements along an axis."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    a, b = f.moveaxis(_operand(a), axisa, -1), f.moveaxis(_operand(b), axisb, -1)
    if (a.shape[-1], b.shape[-1]) != (3, 3):
        raise ValueError(f"cross takes vectors of three elements, not {a.shape[-1]} and {b.shape[-1]}")
    after, before = [1, 2, 0], [2, 0, 1]
    return f.moveaxis(a[..., after] * b[..., before] - a[..., before] * b[..., after], -1, axisc)


def copy(a: Any) -> Any:
    """Return the same values as the result of an operation; gradients pass."""
    return apply(numpy_ops.Copy(), a)


def astype(x: Any, dtype: Any, /) -> Any:
    """Return the same values as another type of float."""
    return _operand(x).astype(dtype)


def full_like(a: Any, fill_value: Any, *, shape: Any = None) -> Any:
    """Return an array of the shape and type of `a` that is filled with a value, which may have a gradient."""
    value = apply(ops.Cast(np.result_type(plain(a))), fill_value) if isinstance(fill_value, Tensor) else \
        np.asarray(fill_value, np.result_type(plain(a)))
    return f.broadcast_to(value, np.shape(a) if shape is None else shape)


def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """Return all operands in the shape to which they broadcast."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(f.broadcast_to(x, shape) for x in args)


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Any, ...]:
    """Return one array for each vector, constant along the axes of all others."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f'indexing is "xy" or "ij", not {indexing!r}')
    found = [f.reshape(x, [-1 if i == j else 1 for j in range(len(xi))]) for i, x in enumerate(xi)]
    if indexing == "xy" and len(xi) > 1:
        found = [f.swapaxes(x, 0, 1) for x in found]
    return tuple(found) if sparse else broadcast_arrays(*found)


def matrix_transpose(x: Any, /) -> Any:
    """Return each matrix of a stack transposed."""
    if np.ndim(x) < 2:
        raise ValueError(f"a matrix has two axes; this array has {np.ndim(x)}")
    return f.swapaxes(x, -1, -2)


def fliplr(m: Any) -> Any:
    """Reverse the order of the columns."""
    return f.flip(m, 1)


def flipud(m: Any) -> Any:
    """Reverse the order of the rows."""
    return f.flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """Turn the plane of two axes k times by 90 degrees, from the first towards the second."""
    first, second = _axes(tuple(axes), np.ndim(m))
    if k % 4 == 0:
        return apply(numpy_ops.Copy(), m)
    if k % 4 == 2:
        return f.flip(m, (first, second))
    return f.swapaxes(f.flip(m, second), first, second) if k % 4 == 1 else f.flip(f.swapaxes(m, first, second), second)


def atleast_1d(*arys: Any) -> Any:
    """Return each operand with one axis or more."""
    return _each([x if np.ndim(x) else f.reshape(x, 1) for x in arys])


def atleast_2d(*arys: Any) -> Any:
    """Return each operand with two axes or more; new ones stand in front."""
    return _each([x if np.ndim(x) > 1 else f.reshape(x, (1, -1)) for x in arys])


def atleast_3d(*arys: Any) -> Any:
    """Return each operand with three axes or more, (1, n, 1) for a vector and (n, m, 1) for a matrix."""
    shapes = [{0: (1, 1, 1), 1: (1, *np.shape(x), 1), 2: (*np.shape(x), 1)}.get(np.ndim(x)) for x in arys]
    return _each([x if shape is None else f.reshape(x, shape) for x, shape in zip(arys, shapes)])


def _each(results: list[Any]) -> Any:
    return results[0] if len(results) == 1 else tuple(results)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join values to the end along an axis; None: all elements in a row."""
    return f.concatenate([arr, values], axis)


def column_stack(tup: Sequence[Any]) -> Any:
    """Join along the second axis, vectors as columns."""
    return f.concatenate([x if np.ndim(x) > 1 else f.reshape(x, (-1, 1)) for x in tup], 1)


def dstack(tup: Sequence[Any]) -> Any:
    """Join along the third axis."""
    return f.concatenate([atleast_3d(x) for x in tup], 2)


def block(arrays: Any) -> Any:
    """Join nested lists of blocks: the innermost along the last axis, the next along the one before it."""
    depth, level = 0, arrays
    while isinstance(level, list):
        if not level:
            raise ValueError("block takes no empty lists")
        depth, level = depth + 1, level[0]
    ndim = builtins.max([depth, *(np.ndim(x) for x in _leaves(arrays, depth))])
    return _join(arrays, depth, ndim)


def _leaves(arrays: Any, depth: int) -> list[Any]:
    """Return the blocks, all of which stand at one depth."""
    level = [arrays]
    for _ in range(depth):
        if not all(isinstance(part, list) for part in level):
            raise ValueError("block takes lists that are all nested equally deep")
        level = [x for part in level for x in part]
    if any(isinstance(x, list) for x in level):
        raise ValueError("block takes lists that are all nested equally deep")
    return level


def _join(arrays: Any, depth: int, ndim: int) -> Any:
    if depth == 0:
        return f.reshape(arrays, (1,) * (ndim - np.ndim(arrays)) + np.shape(arrays))
    return f.concatenate([_join(part, depth - 1, ndim) for part in arrays], -depth)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut along an axis into a list, into so many nearly equal parts, or at the given indices."""
    n = np.shape(ary)[axis]
    parts = np.array_split(np.arange(n), indices_or_sections)
    return f.split(ary, np.cumsum([part.size for part in parts])[:-1].tolist(), axis) if \
        np.ndim(indices_or_sections) == 0 else f.split(ary, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the second axis, a vector along its only one."""
    return f.split(ary, indices_or_sections, 1 if np.ndim(ary) > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the first axis."""
    if np.ndim(ary) < 2:
        raise ValueError("vsplit takes an array of two axes or more")
    return f.split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the third axis."""
    if np.ndim(ary) < 3:
        raise ValueError("dsplit takes an array of three axes or more")
    return f.split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Return the slices along an axis."""
    return tuple(f.moveaxis(_operand(x), axis, 0))


def resize(a: Any, new_shape: Any) -> Any:
    """Return the elements, repeated as often as needed, in a new shape."""
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    return f.reshape(f.take(a, np.resize(np.arange(np.size(a)), math.prod(shape))), shape) if np.size(a) else \
        f.broadcast_to(np.zeros((), np.result_type(plain(a))), shape)


# ---- np.linalg -----------------------------------------------------------------------------


class EigenDecomposition(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class SignLogDet(NamedTuple):
    sign: Any
    logabsdet: Any


class SingularValueDecomposition(NamedTuple):
    U: Any
    S: Any
    Vh: Any


def linalg_inv(a: Any) -> Any:
    """Return the inverse of a matrix, or of each of a stack. For inv(A) @ b, np.linalg.solve(A, b) is exacter."""
    return apply(numpy_ops.Inv(), a)


def linalg_solve(a: Any, b: Any) -> Any:
    """Return the x with a x = b: a (..., n, n), b (n,) or (..., n, m)."""
    return apply(numpy_ops.Solve(vector=np.ndim(b) == 1), a, b)


def linalg_det(a: Any) -> Any:
    """Return the determinant; its derivative is right for singular matrices too."""
    return apply(numpy_ops.Det(), a)


def linalg_slogdet(a: Any) -> SignLogDet:
    """Return the sign and the logarithm of the absolute value of the determinant."""
    return SignLogDet(apply(numpy_ops.DetSign(), a), apply(numpy_ops.LogAbsDet(), a))


def linalg_cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Return the lower triangular L with L Lᵀ = a, or with `upper` its transpose; the gradient is symmetric."""
    L = apply(numpy_ops.Cholesky(), _symmetric("cholesky", a))
    return f.swapaxes(L, -1, -2) if upper else L


def linalg_eigh(a: Any, UPLO: str = "L") -> EigenDecomposition:
    """Return the eigenvalues, ascending, and eigenvectors, as columns, of a symmetric matrix."""
    a = _symmetric("eigh", a)
    return EigenDecomposition(apply(numpy_ops.EigenValues(), a), apply(numpy_ops.EigenVectors(), a))


def linalg_eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Return the eigenvalues of a symmetric matrix, ascending."""
    return apply(numpy_ops.EigenValues(), _symmetric("eigvalsh", a))


def _symmetric(name: str, a: Any) -> Any:
    """Return a matrix, or a stack, that is symmetric up to rounding; NumPy would read one half of another one.

    Raises:
        ValueError: if it isn't symmetric.
    """
    known = isinstance(a, Tensor) or not isinstance(a, operators.Operators)  # an expression has no values yet
    values = np.asarray(plain(a) if known else 0)
    if values.ndim > 1 and values.shape[-1] == values.shape[-2]:
        allowed = np.sqrt(np.finfo(np.result_type(values, np.float16)).eps) * np.abs(values).max(initial=0)
        if (np.abs(values - np.swapaxes(values, -1, -2)) > allowed).any():
            raise ValueError(f"np.linalg.{name} takes a symmetric matrix, and {a!r:.80} isn't symmetric "
                             f"(at {call_site()}): only its lower half would be read. Write (a + a.mT) / 2")
    return a


def linalg_svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return U, S, Vh with a = U diag(S) Vh, or S alone; full_matrices=True is taken for square matrices only."""
    if not compute_uv:
        return linalg_svdvals(a)
    if full_matrices and np.shape(a)[-1] != np.shape(a)[-2]:
        raise ValueError(f"np.linalg.svd of {np.shape(a)} has no derivative here with full_matrices=True (at "
                         f"{call_site()}): the added vectors aren't determined. Pass full_matrices=False")
    return SingularValueDecomposition(*(apply(op, a) for op in (
        numpy_ops.LeftSingularVectors(), numpy_ops.SingularValues(), numpy_ops.RightSingularVectors())))


def linalg_svdvals(x: Any, /) -> Any:
    """Return the singular values, descending."""
    return apply(numpy_ops.SingularValues(), x)


def linalg_pinv(a: Any, rcond: float | None = None) -> Any:
    """Return the Moore-Penrose inverse of a matrix, or of each of a stack."""
    return apply(numpy_ops.PseudoInverse(rcond), a)


def linalg_matrix_power(a: Any, n: int) -> Any:
    """Return a square matrix to a whole power, by repeated squaring; a negative one of the inverse."""
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"matrix_power takes square matrices, not {shape}")
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power takes a whole number as exponent, not {n!r}")
    if n == 0:
        return f.add(f.multiply(a, 0), np.eye(shape[-1], dtype=np.result_type(plain(a))))
    square, n, result = (linalg_inv(a) if n < 0 else _operand(a)), builtins.abs(n), None
    while n:
        if n % 2:
            result = square if result is None else result @ square
        n //= 2
        square = square @ square if n else square
    return apply(numpy_ops.Copy(), result) if result is a else result


def linalg_multi_dot(arrays: Sequence[Any]) -> Any:
    """Return the matrix product of all, from left to right, or from right to left if the last one is a vector."""
    if len(arrays) < 2:
        raise ValueError(f"multi_dot takes two arrays or more, not {len(arrays)}")
    if any(np.ndim(x) != 2 for x in arrays[1:-1]) or not {np.ndim(arrays[0]), np.ndim(arrays[-1])} <= {1, 2}:
        raise ValueError("multi_dot takes matrices; the first and the last may be vectors")
    parts = list(arrays)
    from_right = np.ndim(parts[-1]) == 1
    while len(parts) > 1:
        if from_right:
            parts[-2:] = [f.matmul(parts[-2], parts[-1])]
        else:
            parts[:2] = [f.matmul(parts[0], parts[1])]
    return parts[0]


def linalg_norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return a norm of vectors (one axis) or of matrices (two), for every order of NumPy's.

    Vectors: the p-norm; at 0 its derivative is 0. Matrices: "fro", "nuc", 1, -1, 2, -2, inf, -inf.
    """
    x = _operand(x)
    if ord is None:
        return f.norm(x, None, axis, keepdims)
    axes = _axes(axis, x.ndim)
    if len(axes) == 1:
        return linalg_vector_norm(x, axis=-1 if x.ndim == 1 else axes[0], ord=ord, keepdims=keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm with ord={ord!r} is one of vectors or matrices, of one axis or two, not of {len(axes)}")
    return _matrix_norm(x, ord, axes, keepdims)


def linalg_vector_norm(x: Any, /, *, axis: Axis = None, ord: Any = 2, keepdims: bool = False) -> Any:
    """Return the p-norm over all elements, or over axes; at 0 its derivative is 0. The order 0 counts elements."""
    if isinstance(ord, str):
        raise ValueError(f"the order of a vector norm is a number, not {ord!r}")
    x = _operand(x)
    _axes(axis, x.ndim)  # raises an error for one that x doesn't have
    if ord == 2:
        return f.norm(x, None, axis, keepdims)
    if ord == np.inf or ord == -np.inf:
        return (f.max if ord > 0 else f.min)(f.abs(x), axis, keepdims=keepdims)
    if ord == 0:
        return f.sum(f.where(plain(x) != 0, x * 0.0 + 1.0, x * 0.0), axis, keepdims=keepdims)
    if ord == 1:
        return f.sum(f.abs(x), axis, keepdims=keepdims)
    total = f.sum(f.abs(x) ** float(ord), axis, keepdims=keepdims)
    zero = plain(total) == 0
    return f.where(zero, 0 if ord > 0 else np.inf, f.where(zero, 1, total) ** float(1 / ord))


def linalg_matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return a norm of each matrix (..., n, m); orders as for np.linalg.norm."""
    x = _operand(x)
    return _matrix_norm(x, ord, _axes((-2, -1), x.ndim), keepdims)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord == "fro" or ord is None:
        return f.norm(x, None, axes, keepdims)
    matrices = f.moveaxis(x, axes, (-2, -1))
    if ord in ("nuc", 2, -2):
        values = linalg_svdvals(matrices)
        result = f.sum(values, -1) if ord == "nuc" else f.max(values, -1) if ord == 2 else f.min(values, -1)
    elif ord in (1, -1, np.inf, -np.inf):
        sums = f.sum(f.abs(matrices), -2 if ord in (1, -1) else -1)
        result = f.max(sums, -1) if ord > 0 else f.min(sums, -1)
    else:
        raise ValueError(f"a matrix has no norm of order {ord!r}: there are 'fro', 'nuc', 1, -1, 2, -2, inf, -inf")
    return _kept(x, result, axes, keepdims)


def linalg_trace(x: Any, /, *, offset: int = 0) -> Any:
    """Return the sum of the diagonal of each matrix (..., n, m)."""
    return trace(x, offset, -2, -1)


def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return the diagonal of each matrix (..., n, m)."""
    return diagonal(x, offset, -2, -1)


def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """Return x1[i] * x2[j] of two vectors."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"outer takes vectors, not arrays of {np.ndim(x1)} and {np.ndim(x2)} axes")
    return f.outer(x1, x2)


def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the cross products of vectors of three elements along an axis."""
    return cross(x1, x2, axis=axis)


def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    """Return the matrix product."""
    return f.matmul(x1, x2)


def linalg_matrix_transpose(x: Any, /) -> Any:
    """Return each matrix of a stack transposed."""
    return matrix_transpose(x)


def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Return the sums of products over some axes; see tensordot."""
    return tensordot(x1, x2, axes)


def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the dot products along an axis."""
    return f.vecdot(f.moveaxis(_operand(x1), axis, -1), f.moveaxis(_operand(x2), axis, -1))
