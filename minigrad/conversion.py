"""Conversion of a user's values to arrays, which refuses values that would lose a part of their meaning.

np.asarray drops the mask of a masked array, and the units of
an array class that defines NumPy's operations itself; both are refused here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from .operators import Operators
from .provenance import call_site

REAL = "biuf"  # the kinds of NumPy's types that a tensor holds


def require_plain(value: Any, user: str) -> None:
    """Raise TypeError for an array of a class whose meaning a plain array doesn't have.

    Args:
        value: anything; only subclasses of ndarray are examined.
        user: the operation or attribute that takes the value, for the message.
    """
    if type(value) is ndarray or not isinstance(value, ndarray):
        return
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{user} can't take a masked array (at {call_site()}): its mask would be lost. Pass "
                        "array.filled(value) or array.data, and the mask as mask= of a loss or to mg.where")
    if type(value).__array_ufunc__ is not ndarray.__array_ufunc__:
        raise TypeError(f"{user} can't take an array of class {type(value).__name__} (at {call_site()}), which defines "
                        "NumPy's operations itself (__array_ufunc__). Pass np.asarray(array)")


def real_array(value: Any, user: str) -> NDArray[Any]:
    """Return a value as a plain array of real numbers, without a copy where it is one.

    Raises:
        TypeError: for a masked array, for a class with operations of its own, and for other elements.
    """
    require_plain(value, user)
    array = np.asarray(value)
    if array.dtype.kind not in REAL:
        raise TypeError(f"{user} takes real numbers, not {array.dtype} (at {call_site()}): {value!r:.60}")
    return array


def upstream_array(grad: Any) -> NDArray[Any]:
    """Return an upstream gradient, a Tensor or what real_array takes, as an array."""
    return real_array(getattr(grad, "_array", grad), "an upstream gradient")


def holds_operands(value: Any) -> bool:
    """Return whether a list or tuple contains a Tensor or an expression, at any depth."""
    waiting = [value]
    for item in waiting:  # grows in the loop
        if isinstance(item, Operators):
            return True
        if isinstance(item, (list, tuple)):
            waiting += item
    return False


def result_array(op: Any, value: Any) -> NDArray[Any]:
    """Return the result of an operation's forward as an array.

    Raises:
        TypeError: for None, for a masked array, and for anything else that isn't made of real numbers.
    """
    name = f"{type(op).__name__}.forward"
    if value is None:
        raise TypeError(f"the result of {name} is None (at {call_site()}): is its `return` missing?")
    require_plain(value, f"the result of {name}")
    return own_result(op, np.asarray(getattr(value, "_array", value) if isinstance(value, Operators) else value), ())


def own_result(op: Any, data: NDArray[Any], inputs: Any) -> NDArray[Any]:
    """Return a result that isn't recorded, in memory that no operand shares: modifications would be shared unseen."""
    if data.dtype.kind not in REAL:
        raise TypeError(f"{type(op).__name__}.forward returned {data.dtype} (at {call_site()}): only real numbers "
                        "have a derivative here")
    shared = data.base is not None
    for x in inputs:
        shared = shared or data is x._array
    return data.copy() if shared else data
