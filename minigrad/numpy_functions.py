"""Dispatch table from NumPy functions (`__array_function__`) to the corresponding minigrad functions.

A function that isn't in the table raises an error that names it and says what to write instead; it never silently
returns an array without a gradient. The ufuncs that are a single operation are in operators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions, numpy_compositions
from .functions import plain
from .operators import UFUNCS, Operators
from .provenance import call_site
from .recipes.functions import recipe_for

# minigrad's functions have NumPy's names; those that are ufuncs in NumPy are in operators.UFUNCS.
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, name): getattr(functions, name) for name in [*functions.__all__, "shape", "ndim", "size"]
    if hasattr(np, name) and getattr(np, name) not in UFUNCS}
TRANSLATIONS |= {np.amax: functions.max, np.amin: functions.min}
# linalg_inv is np.linalg.inv. Some functions are newer than the oldest NumPy that minigrad runs with.
TRANSLATIONS |= {
    getattr(np.linalg if name.startswith("linalg_") else np, name.removeprefix("linalg_")): function
    for name, function in vars(numpy_compositions).items()
    if name[0] != "_" and getattr(function, "__module__", "") == numpy_compositions.__name__
    and hasattr(np.linalg if name.startswith("linalg_") else np, name.removeprefix("linalg_"))}
# Functions without a derivative: they return truth values, positions, or new arrays of a shape.
WITHOUT_DERIVATIVE: set[Callable[..., Any]] = {
    np.all, np.any, np.allclose, np.array_equal, np.array_equiv, np.isclose, np.count_nonzero, np.nonzero,
    np.flatnonzero, np.argwhere, np.argsort, np.argpartition, np.lexsort, np.searchsorted, np.digitize,
    np.nanargmax, np.nanargmin, np.isin, np.linalg.matrix_rank, np.tril_indices_from, np.triu_indices_from,
    np.diag_indices_from, np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.iscomplex, np.iscomplexobj,
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
    """Return the error for a NumPy function that minigrad lacks, with a recipe where there is one."""
    name = called(function)
    recipe = recipe_for(name)
    return TypeError(f"{name} has no derivative here (at {call_site()}). {f'{recipe}. ' if recipe else ''}"
                     "For a result without gradient call it on x.data; "
                     "for one with a gradient write an operation: a subclass of minigrad.Op")


def called(function: Any) -> str:
    """Return the name of a NumPy function as users write it, e.g. np.linalg.norm."""
    if isinstance(function, np.ufunc) and getattr(np, function.__name__, None) is not function:
        return f"the ufunc {function.__name__}"  # of another library; it doesn't say which
    module = getattr(function, "__module__", None) or "numpy"
    parts = [part for part in module.split(".")[1:] if not part.startswith("_")]
    return ".".join(["np", *parts, function.__name__])


# Set here, because operators.py can't import this module: its functions are written in terms of Tensors.
Operators.numpy_function = staticmethod(call)  # type: ignore[method-assign]
