"""The product of two matrices by NumPy's own BLAS, for compiled loops.

np.dot in code that Numba compiles calls SciPy's BLAS, another library than NumPy's: a loop and the NumPy program would
round differently, and with NumPy 2.4 and SciPy 1.17 SciPy's takes up to a third longer. So the function of NumPy's
library is called where it is found: in the OpenBLAS of NumPy's wheels, whose integers have 64 bits.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding
from numba import config, types

from .machine_code import compiled

FOLDERS = "../numpy.libs", ".dylibs", "DLLs"  # beside NumPy's package: on Linux and Windows, on macOS
ROW_MAJOR, AS_IT_IS = 101, 111  # constants of the C interface of BLAS, cblas.h
PREFIX = "minigrad_"


def _registered(name: str) -> bool:
    """Make a function of NumPy's BLAS known to compiled code by its name; return whether there is one."""
    package = Path(np.__file__).parent
    for library in [x for folder in FOLDERS for x in sorted((package / folder).glob("*openblas64*"))]:
        try:
            address = ctypes.cast(getattr(ctypes.CDLL(str(library)), f"scipy_cblas_{name}64_"), ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
        if address:
            binding.add_symbol(PREFIX + name, address)
            return True
    return False


def _external(name: str, number: Any) -> Any:
    """Return the function C = alpha A B + beta C of BLAS: order, transpositions, sizes, alpha, A, B, beta, C."""
    pointer, size, constant = types.uintp, types.int64, types.int32
    return types.ExternalFunction(PREFIX + name, types.void(
        constant, constant, constant, size, size, size, number, pointer, size, pointer, size, number, pointer, size))


FOUND = not config.DISABLE_JIT and _registered("sgemm") and _registered("dgemm")  # Python can't call them by symbol
sgemm, dgemm = _external("sgemm", types.float32), _external("dgemm", types.float64)


@compiled(nogil=True)
def numpy_float32(x: Any, M: Any, out: Any) -> None:
    """Write x M into `out`, all of them contiguous."""
    sgemm(ROW_MAJOR, AS_IT_IS, AS_IT_IS, x.shape[0], M.shape[1], M.shape[0], np.float32(1), x.ctypes.data, x.shape[1],
          M.ctypes.data, M.shape[1], np.float32(0), out.ctypes.data, M.shape[1])


@compiled(nogil=True)
def numpy_float64(x: Any, M: Any, out: Any) -> None:
    """Write x M into `out`, all of them contiguous."""
    dgemm(ROW_MAJOR, AS_IT_IS, AS_IT_IS, x.shape[0], M.shape[1], M.shape[0], 1.0, x.ctypes.data, x.shape[1],
          M.ctypes.data, M.shape[1], 0.0, out.ctypes.data, M.shape[1])


@compiled(nogil=True)
def scipy_float32(x: Any, M: Any, out: Any) -> None:
    """Write x M into `out`, all of them contiguous."""
    np.dot(x, M, out)


scipy_float64 = scipy_float32
