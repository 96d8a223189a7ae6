"""Products and sums that compiled loops call; products by BLAS where that is faster than plain loops."""

from __future__ import annotations

from typing import Any

from .machine_code import compiled

# Formulas are computed as they are written, each operation rounded, as NumPy does. If a product and a sum were
# contracted to one instruction, x * x - y * y would be negative for some x = y, and its root NaN. Only sums of many
# terms are contracted and reordered, in the functions below; NumPy and BLAS have orders of their own, too.
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
SUMS = {**OPTIONS, "fastmath": {"contract", "reassoc"}}
LARGE = 40_000  # elements of a matrix; a vector times a larger one is faster by BLAS
SMALL = 5_000  # multiplications of a product of two matrices; of fewer the call of BLAS costs more

# Functions that stand in generated files, by whose text it is known which BLAS `matrix_product` belongs to.
PRODUCTS = """

@njit(**OPTIONS)
def product(x, M, out):
    if x.shape[0] == 1 and M.size <= LARGE:
        vector_matrix(x[0], M, out[0])
    else:
        matrix_product(x, M, out)


@njit(**OPTIONS)
def matrix_matrix(M, N, out):
    if M.size * N.shape[1] > SMALL:
        matrix_product(M, N, out)
    else:
        for i in range(M.shape[0]):
            vector_matrix(M[i], N, out[i])


@njit(**SUMS)
def log_softmax(x, out):
    largest = x[0]
    for i in range(1, x.size):
        largest = x[i] if x[i] > largest or x[i] != x[i] else largest
    total = FLOAT(0.0)
    for i in range(x.size):
        out[i] = x[i] - largest
        total += exp(out[i])
    total = log(total)
    for i in range(x.size):
        out[i] -= total
"""


@compiled(**SUMS)
def vector_matrix(x: Any, M: Any, out: Any) -> None:
    """Write x M into `out`: (k) times (k, n). Eight rows at a time, so that `out` is read and written less often."""
    whole = M.shape[0] - M.shape[0] % 8
    out[:] = 0
    for i in range(0, whole, 8):
        a, b, c, d, e, f, g, h = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for j in range(M.shape[1]):
            out[j] += (a * M[i, j] + b * M[i + 1, j] + (c * M[i + 2, j] + d * M[i + 3, j])
                       + (e * M[i + 4, j] + f * M[i + 5, j] + (g * M[i + 6, j] + h * M[i + 7, j])))
    for i in range(whole, M.shape[0]):
        for j in range(M.shape[1]):
            out[j] += x[i] * M[i, j]


@compiled(**SUMS)
def matrix_vector(M: Any, x: Any, out: Any) -> None:
    """Write M x into `out`: (n, k) times (k). Four rows at a time, so that x is read less often."""
    whole = M.shape[0] - M.shape[0] % 4
    zero = x.dtype.type(0)
    for i in range(0, whole, 4):
        a, b, c, d = zero, zero, zero, zero
        for j in range(M.shape[1]):
            a += M[i, j] * x[j]
            b += M[i + 1, j] * x[j]
            c += M[i + 2, j] * x[j]
            d += M[i + 3, j] * x[j]
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, d
    for i in range(whole, M.shape[0]):
        a = zero
        for j in range(M.shape[1]):
            a += M[i, j] * x[j]
        out[i] = a


@compiled(**SUMS)
def vector_vector(x: Any, y: Any) -> Any:
    """Return the sum of the products of two vectors' elements."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@compiled(**SUMS)
def row_sum(x: Any) -> Any:
    """Return the sum of a vector."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total
