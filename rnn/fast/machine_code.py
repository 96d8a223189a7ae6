"""numba.njit for functions of this package, whose machine code is kept in a file where one can be written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Return a decorator of functions to be compiled when they are first called.

    Args:
        options: of numba.njit.
    """
    return partial(_compiled, options)


def _compiled(options: dict[str, Any], function: Function) -> Function:
    try:
        kept: Function = njit(**{**options, "cache": True})(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        kept = njit(**{**options, "cache": False})(function)
    return kept
