"""NumPy's functions on Tensors: which of ours does the work of which of NumPy's.

A function that stands in no row raises an error that names it and what is near; it never returns
an array that is cut off from the graph. (NumPy's ufuncs that are one operation of ours stand in
operators.py, where they need no detour.)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions
from .operators import UFUNCS
from .origin import here

TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: functions.sum,
    np.mean: functions.mean,
    np.max: functions.max,
    np.where: functions.where,
    np.reshape: functions.reshape,
    np.transpose: functions.transpose,
    np.swapaxes: functions.swapaxes,
    np.expand_dims: functions.expand_dims,
    np.broadcast_to: functions.broadcast_to,
    np.concatenate: functions.concatenate,
    np.stack: functions.stack,
    np.vecdot: functions.vecdot,
    np.shape: functions.shape,
    np.ndim: functions.ndim,
}


def translated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Our function for one of NumPy's.

    Raises:
        TypeError: where there is none; says which ones are near in name.
    """
    ours = TRANSLATIONS.get(function)
    if ours is None:
        name = function.__name__
        known = sorted({*(f.__name__ for f in TRANSLATIONS), *(u.__name__ for u in UFUNCS)})
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Near: {', '.join('np.' + other for other in near)}" if near else f"There are: {', '.join(known)}"
        raise TypeError(f"np.{name} has no derivative here (at {here()}). {hint}. "
                        "For a result without gradient call it on x.data; "
                        "for one with a gradient write an operation: a subclass of minigrad.Op")
    return ours
