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

TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: functions.sum,
    np.mean: functions.mean,
    np.var: functions.var,
    np.std: functions.std,
    np.prod: functions.prod,
    np.max: functions.max,
    np.amax: functions.max,
    np.min: functions.min,
    np.amin: functions.min,
    np.cumsum: functions.cumsum,
    np.linalg.norm: functions.norm,
    np.argmax: functions.argmax,
    np.argmin: functions.argmin,
    np.clip: functions.clip,
    np.where: functions.where,
    np.dot: functions.dot,
    np.outer: functions.outer,
    np.einsum: functions.einsum,
    np.reshape: functions.reshape,
    np.ravel: functions.ravel,
    np.squeeze: functions.squeeze,
    np.expand_dims: functions.expand_dims,
    np.transpose: functions.transpose,
    np.swapaxes: functions.swapaxes,
    np.moveaxis: functions.moveaxis,
    np.broadcast_to: functions.broadcast_to,
    np.flip: functions.flip,
    np.pad: functions.pad,
    np.tile: functions.tile,
    np.repeat: functions.repeat,
    np.concatenate: functions.concatenate,
    np.stack: functions.stack,
    np.hstack: functions.hstack,
    np.vstack: functions.vstack,
    np.split: functions.split,
    np.take: functions.take,
    np.take_along_axis: functions.take_along_axis,
    np.shape: functions.shape,
    np.ndim: functions.ndim,
    np.size: functions.size,
}
# Functions without a derivative: they return truth values, positions, or new arrays of a shape.
WITHOUT_DERIVATIVE: set[Callable[..., Any]] = {
    np.all, np.any, np.allclose, np.array_equal, np.array_equiv, np.isclose, np.count_nonzero, np.nonzero,
    np.flatnonzero, np.argwhere, np.argsort, np.argpartition, np.searchsorted, np.digitize,
    np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.iscomplex, np.iscomplexobj,
    np.zeros_like, np.ones_like, np.empty_like, np.result_type, np.can_cast, np.min_scalar_type,
    np.may_share_memory, np.shares_memory, np.array_repr, np.array_str, np.array2string,
}


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a NumPy function for arguments of which at least one is a Tensor or another operand.

    Raises:
        TypeError: for a function without a counterpart, and for options that the counterpart lacks.
    """
    if function in WITHOUT_DERIVATIVE:
        return function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})
    ours = translated(function)
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


def translated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the minigrad function that corresponds to a NumPy function.

    Raises:
        TypeError: if there is none; the message lists those with similar names.
    """
    ours = TRANSLATIONS.get(function)
    if ours is None:
        import difflib

        known = sorted({called(f) for table in (TRANSLATIONS, UFUNCS, COMPARISONS, WITHOUT_DERIVATIVE) for f in table})
        near = difflib.get_close_matches(called(function), known, n=3, cutoff=0.6)
        hint = f"Near: {', '.join(near)}" if near else f"There are: {', '.join(known)}"
        raise TypeError(f"{called(function)} has no derivative here (at {call_site()}). {hint}. "
                        "For a result without gradient call it on x.data; "
                        "for one with a gradient write an operation: a subclass of minigrad.Op")
    return ours


def called(function: Any) -> str:
    """Return the name of a NumPy function as users write it, e.g. np.linalg.norm."""
    module = getattr(function, "__module__", None) or "numpy"
    parts = [part for part in module.split(".")[1:] if not part.startswith("_")]
    return ".".join(["np", *parts, function.__name__])


# Set here, because operators.py can't import this module: its functions are written in terms of Tensors.
Operators.numpy_function = staticmethod(call)  # type: ignore[method-assign]
