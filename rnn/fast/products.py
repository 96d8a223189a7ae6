"""Products with a matrix that is the same for all sequences, called by compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
LARGE = 40_000  # elements of a matrix; a vector times a larger one is faster by BLAS


@njit(**OPTIONS)
def product(x, M, out):  # type: ignore[no-untyped-def]
    """Write x M into `out`: (B, k) times (k, n); of one sequence without a call of BLAS, which costs more."""
    if x.shape[0] > 1:
        np.dot(x, M, out)
    elif M.size > LARGE:
        np.dot(x[0], M, out[0])
    else:
        rows = M.shape[0] - M.shape[0] % 8
        y = out[0]
        y[:] = 0
        for i in range(0, rows, 8):  # eight rows at a time: `out` is read and written less often
            a, b, c, d = x[0, i], x[0, i + 1], x[0, i + 2], x[0, i + 3]
            e, f, g, h = x[0, i + 4], x[0, i + 5], x[0, i + 6], x[0, i + 7]
            for j in range(M.shape[1]):
                y[j] += (a * M[i, j] + b * M[i + 1, j] + (c * M[i + 2, j] + d * M[i + 3, j])
                         + (e * M[i + 4, j] + f * M[i + 5, j] + (g * M[i + 6, j] + h * M[i + 7, j])))
        for i in range(rows, M.shape[0]):
            for j in range(M.shape[1]):
                y[j] += x[0, i] * M[i, j]
