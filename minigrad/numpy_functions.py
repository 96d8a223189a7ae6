"""Dispatch table from NumPy functions (`__array_function__`) to the corresponding minigrad functions.

A function that isn't in the table raises an error that names it and similar ones; it never silently returns an
array without a gradient. The ufuncs that are a single operation are in operators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions
from .functions import plain
from .operators import COMPARISONS, UFUNCS, Operators
from .provenance import call_site

# minigrad's functions have NumPy's names; those that are ufuncs in NumPy are in operators.UFUNCS.
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, name): getattr(functions, name) for name in [*functions.__all__, "shape", "ndim", "size"]
    if hasattr(np, name) and not isinstance(getattr(np, name), np.ufunc)}
TRANSLATIONS |= {np.amax: functions.max, np.amin: functions.min, np.linalg.norm: functions.norm}
# Functions without a derivative: they return truth values, positions, or new arrays of a shape.
WITHOUT_DERIVATIVE: set[Callable[..., Any]] = {
    np.all, np.any, np.allclose, np.array_equal, np.array_equiv, np.isclose, np.count_nonzero, np.nonzero,
    np.flatnonzero, np.argwhere, np.argsort, np.argpartition, np.searchsorted, np.digitize,
    np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.iscomplex, np.iscomplexobj,
    np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.can_cast, np.min_scalar_type,
    np.may_share_memory, np.shares_memory, np.array_repr, np.array_str, np.array2string,
}


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a NumPy function called on operands; raise TypeError if it or an option isn't known."""
    if function in WITHOUT_DERIVATIVE:
        return function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})
    ours = TRANSLATIONS.get(function)
    if ours is None:
        raise no_counterpart_error(function)
    if kwargs:
        code = ours.__code__
        known = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
        for name in [name for name in kwargs if name not in known]:
            if kwargs[name] is not None:
                raise TypeError(f"{called(function)} with {name}= has no derivative here (at {call_site()}): "
                                f"{REASONS.get(name, 'it takes ' + ', '.join(known))}")
            del kwargs[name]
    return ours(*args, **kwargs)


REASONS = {"out": "the gradient would be lost. Use the result, as in a = np.f(a)",
           "dtype": "a result has the type of its operands. Use x.astype(dtype) first"}


def no_counterpart_error(function: Callable[..., Any]) -> TypeError:
    """Return the error for a NumPy function that minigrad lacks; it lists those with similar names."""
    import difflib

    known = sorted({called(f) for table in (TRANSLATIONS, UFUNCS, COMPARISONS, WITHOUT_DERIVATIVE) for f in table})
    near = difflib.get_close_matches(called(function), known, n=3, cutoff=0.6)
    hint = f"Near: {', '.join(near)}" if near else f"There are: {', '.join(known)}"
    return TypeError(f"{called(function)} has no derivative here (at {call_site()}). {hint}. "
                     "For a result without gradient call it on x.data; "
                     "for one with a gradient write an operation: a subclass of minigrad.Op")


def called(function: Any) -> str:
    """Return the name of a NumPy function as users write it, e.g. np.linalg.norm."""
    module = getattr(function, "__module__", None) or "numpy"
    parts = [part for part in module.split(".")[1:] if not part.startswith("_")]
    return ".".join(["np", *parts, function.__name__])


# Set here, because operators.py can't import this module: its functions are written in terms of Tensors.
Operators.numpy_function = staticmethod(call)  # type: ignore[method-assign]
