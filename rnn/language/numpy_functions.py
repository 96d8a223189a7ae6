"""NumPy's functions in equations that on Tensors have no derivative: truth values, counts, arrays of a shape.

Tensors have values, so that minigrad computes these at once; an expression has none. They are written here with
operators and reductions, which NumPy and minigrad understand alike. minigrad.numpy_functions has all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.operators import Operators

TYPES = {"f": float, "i": np.int64, "b": bool}  # of the kinds of expressions
CHOOSE = "np.where(condition, a, b) and np.select choose between values"
OF_NAN = "np.where(np.isnan(x), 0, x) replaces NaN"
ELSE = "An equation takes operators, comparisons, np.where, reductions, and functions with a derivative"
POSITIONS = "np.argmax and np.argmin give positions"
RECIPES: dict[str, str] = {  # what an equation takes in the place of a function that needs values
    "np.where": CHOOSE, "np.nonzero": CHOOSE, "np.flatnonzero": CHOOSE, "np.argwhere": CHOOSE, "np.extract": CHOOSE,
    "np.compress": CHOOSE, "np.argsort": POSITIONS,
    "np.searchsorted": "(v[..., None] > a).sum(axis=-1) counts the elements of a that are less than v",
    "np.digitize": "(x[..., None] >= bins).sum(axis=-1) counts the bins that begin up to x",
    "np.argpartition": POSITIONS, "np.lexsort": POSITIONS, "np.nan_to_num": OF_NAN,
    "np.isin": "(x == a) | (x == b) compares with each element",
    "np.array_equal": "(a == b).all() compares all elements", "np.array_equiv": "(a == b).all() compares all elements",
}


def recipe_in_equations(name: str) -> str:
    """Return what to write in an equation in the place of a NumPy function that needs values."""
    if name.startswith("np.nan") and name not in RECIPES:
        return OF_NAN
    return RECIPES.get(name, ELSE)


def any_of(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return whether any element differs from 0, of all or along axes."""
    return a.any(axis, keepdims=keepdims)


def all_of(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return whether all elements differ from 0, of all or along axes."""
    return a.all(axis, keepdims=keepdims)


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return how many elements differ from 0, of all or along axes."""
    return (a != 0).sum(axis, keepdims=keepdims)


def full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    """Return an array of the shape of `a` with one value, or with values that broadcast to it."""
    shape = a.shape if shape is None else shape
    if shape is None:  # it depends on the data
        return np.where(a == a, fill_value, fill_value)
    if isinstance(fill_value, Operators):
        return mg.broadcast_to(fill_value, shape)
    return np.full(shape, fill_value, TYPES[a.kind] if dtype is None else dtype)


def zeros_like(a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    """Return zeros of the shape of `a`."""
    return full_like(a, 0.0, dtype, shape=shape)


def ones_like(a: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    """Return ones of the shape of `a`."""
    return full_like(a, 1.0, dtype, shape=shape)


def _floats(x: Any) -> Any:
    """Return an operand, also of truth values or integers, as floats."""
    if not isinstance(x, Operators):
        return np.asarray(x, float) if np.ndim(x) else float(x)
    return x * 1.0 if getattr(x, "kind", "f") != "f" else x


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Return whether |a - b| <= atol + rtol * |b|, or both are equal; infinities are only to themselves."""
    a, b = map(_floats, (a, b))
    near = abs(a - b) <= atol + rtol * abs(b)
    if isinstance(b, Operators) or not np.isfinite(b).all():
        near = near & np.isfinite(b) | (a == b)
    return near | np.isnan(a) & np.isnan(b) if equal_nan else near


def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """Return whether all elements are close; see isclose."""
    return isclose(a, b, rtol, atol, equal_nan).all()


def float_power(x1: Any, x2: Any) -> Any:
    """Return x1 ** x2, of integers too as floats."""
    return _floats(x1) ** x2


def isposinf(x: Any) -> Any:
    """Return whether each element is infinite and positive."""
    return x == np.inf


def isneginf(x: Any) -> Any:
    """Return whether each element is infinite and negative."""
    return x == -np.inf


def cast(x: Any, dtype: Any) -> Any:
    """Return an expression as floats of the definition's type, as integers, cut towards 0, or as truth values.

    Raises:
        TypeError: for another type.
    """
    kind, size = np.dtype(dtype).kind, np.dtype(dtype).itemsize
    if kind == "f":
        return x * 1.0
    if kind == "b":
        return x != 0
    if kind != "i" or size < 4:
        raise TypeError(f"an equation has no numbers of type {np.dtype(dtype)}: x.astype takes float, int and bool")
    return np.where(x, 1, 0) if x.kind == "b" else np.trunc(x) if x.kind == "f" else x


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.any: any_of, np.all: all_of, np.count_nonzero: count_nonzero, np.full_like: full_like, np.isclose: isclose,
    np.zeros_like: zeros_like, np.ones_like: ones_like, np.allclose: allclose, np.float_power: float_power,
    np.isposinf: isposinf, np.isneginf: isneginf,
}
