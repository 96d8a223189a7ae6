"""Further operations of NumPy's: functions of each element, sorting, running products, convolution, linear algebra.

They are written as those of ops.py are, and serve NumPy's functions (np.arcsin, np.linalg.inv, ...); the functions
that are made of several operations are in numpy_compositions.py. Operations of linear algebra take matrices, or
stacks of them: (..., n, n). Doesn't import Tensor.
"""

from __future__ import annotations

import math

import numpy as np

from .ops import Abs, Array, Elementwise, Needs, Op, Sigmoid, compute, product_of_others, zeros_as

# ---- functions of each element -------------------------------------------------------------


class Copy(Elementwise, affine=(0,)):
    """The same values in memory of their own."""

    def forward(self, x: Array) -> Array:
        return np.array(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad


class Exp2(Elementwise, ufunc=np.exp2):
    """2 to the power x."""

    def forward(self, x: Array) -> Array:
        return np.exp2(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (out * math.log(2))


class Log10(Elementwise, ufunc=np.log10, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.log10(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (x * math.log(10))


class Cbrt(Elementwise, ufunc=np.cbrt, regular=0.5):
    """The cube root, of negative numbers too; its derivative at 0 is infinite, as the slope is."""

    def forward(self, x: Array) -> Array:
        return np.cbrt(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (3 * out * out)


class Reciprocal(Elementwise, ufunc=np.reciprocal, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.reciprocal(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -grad * out * out


class Fabs(Abs, ufunc=np.fabs):
    """|x| as a float; the derivative at 0 is 0."""

    def forward(self, x: Array) -> Array:
        return np.fabs(x)


class Arcsin(Elementwise, ufunc=np.arcsin, regular=0.5):
    """The inverse of the sine, between -pi/2 and pi/2; its derivative at -1 and 1 is infinite."""

    def forward(self, x: Array) -> Array:
        return np.arcsin(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / np.sqrt((1 - x) * (1 + x))


class Arccos(Elementwise, ufunc=np.arccos, regular=0.5):
    """The inverse of the cosine, between 0 and pi; its derivative at -1 and 1 is infinite."""

    def forward(self, x: Array) -> Array:
        return np.arccos(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -grad / np.sqrt((1 - x) * (1 + x))


class Arcsinh(Elementwise, ufunc=np.arcsinh):
    def forward(self, x: Array) -> Array:
        return np.arcsinh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / np.hypot(x, 1)  # sqrt(x² + 1) without overflow


class Arccosh(Elementwise, ufunc=np.arccosh, regular=2.0):
    """The inverse of the hyperbolic cosine, of numbers from 1 on; its derivative at 1 is infinite."""

    def forward(self, x: Array) -> Array:
        return np.arccosh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (np.sqrt(x - 1) * np.sqrt(x + 1))  # sqrt(x² - 1) without overflow


class Arctanh(Elementwise, ufunc=np.arctanh, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.arctanh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / ((1 - x) * (1 + x))


class Arctan2(Elementwise, ufunc=np.arctan2, selective=True):
    """The angle of the point (b, a) with the first axis, between -pi and pi; at the origin both derivatives are 0."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.arctan2(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        radius = _nonzero(np.hypot(a, b))
        return (grad * (b / radius) / radius if needs_input_grad[0] else None,
                -grad * (a / radius) / radius if needs_input_grad[1] else None)


class Hypot(Elementwise, ufunc=np.hypot, selective=True):
    """sqrt(a² + b²), without overflow; at the origin both derivatives are 0."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.hypot(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        radius = _nonzero(out)
        return (grad * (a / radius) if needs_input_grad[0] else None,
                grad * (b / radius) if needs_input_grad[1] else None)


def _nonzero(x: Array) -> Array:
    """Return x with 1 in the place of 0."""
    return np.where(x == 0, 1, x)


class LogAddExp(Elementwise, ufunc=np.logaddexp, selective=True):
    """log(exp(a) + exp(b)), without overflow. Where both are -inf the derivatives are 0, where both are inf 1."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.logaddexp(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return (grad * _sigmoid_of_difference(a, b, 1.0) if needs_input_grad[0] else None,
                grad * _sigmoid_of_difference(b, a, 1.0) if needs_input_grad[1] else None)


class LogAddExp2(Elementwise, ufunc=np.logaddexp2, selective=True):
    """log2(2**a + 2**b), without overflow. Where both are -inf the derivatives are 0, where both are inf 1."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.logaddexp2(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return (grad * _sigmoid_of_difference(a, b, math.log(2)) if needs_input_grad[0] else None,
                grad * _sigmoid_of_difference(b, a, math.log(2)) if needs_input_grad[1] else None)


def _sigmoid_of_difference(x: Array, other: Array, scale: float) -> Array:
    """Return sigmoid(scale * (x - other)), without inf - inf: exp(x - out), but exact where out rounds log(2) away."""
    return compute(Sigmoid(), scale * (x - np.where(np.abs(x) == np.inf, 0, other)))


class Fmax(Elementwise, ufunc=np.fmax, selective=True):
    """The larger of two, or the other one if one is NaN; where they are equal each gets half of the gradient."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.fmax(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        shared = np.where(a == b, 0.5 * grad, grad)
        return (np.where(a == out, shared, 0) if needs_input_grad[0] else None,
                np.where(b == out, shared, 0) if needs_input_grad[1] else None)


class Fmin(Fmax, ufunc=np.fmin):
    """The smaller of two, or the other one if one is NaN; where they are equal each gets half of the gradient."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.fmin(a, b)


class CopySign(Elementwise, ufunc=np.copysign):
    """|a| with the sign of b; the derivative for a is 0 at a = 0, the one for b is 0 everywhere."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.copysign(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, ...]:
        return grad * (np.sign(a) * np.sign(out)), zeros_as(grad)


class Sinc(Elementwise):
    """sin(pi x) / (pi x), which is 1 at 0.

    Its derivative is -pi times the spherical Bessel function j1(pi x), by its series near 0, where the closed
    form loses digits. (NIST Digital Library of Mathematical Functions, 10.49.3 and 10.53.1.)
    """

    def forward(self, x: Array) -> Array:
        return np.sinc(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        near = x * x < 0.09
        small, large = np.where(near, x, 0) * math.pi, np.where(near, 1, x) * math.pi
        series = 1 - small * small / 220
        for k in range(7, 0, -1):
            series = 1 - small * small / (2 * k * (2 * k + 3)) * series
        closed = np.sin(large) / (large * large) - np.cos(large) / large
        return grad * (-math.pi * np.where(near, small / 3 * series, closed))


# ---- steps: the derivative is 0 everywhere, at the jumps too -------------------------------


class Step(Elementwise):
    """Base class of functions that are constant between jumps."""

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return zeros_as(grad)


class Floor(Step, ufunc=np.floor):
    """The largest whole number that isn't above x; the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return np.floor(x)


class Ceil(Step, ufunc=np.ceil):
    """The smallest whole number that isn't below x; the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return np.ceil(x)


class Trunc(Step, ufunc=np.trunc):
    """x without the digits after the point; the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return np.trunc(x)


class Rint(Step, ufunc=np.rint):
    """The nearest whole number, of two the even one; the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return np.rint(x)


class Round(Step):
    """x with so many decimals; the derivative is 0."""

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def forward(self, x: Array) -> Array:
        return np.round(x, self.decimals)


class Heaviside(Elementwise, ufunc=np.heaviside, affine=(1,)):
    """0 for negative x, 1 for positive x, and b where x is 0; the derivative for x is 0."""

    def forward(self, x: Array, b: Array) -> Array:
        return np.heaviside(x, b)

    def backward(self, grad: Array, out: Array, x: Array, b: Array) -> tuple[Array, ...]:
        return zeros_as(grad), np.where(x == 0, grad, 0)


class FloorDivide(Elementwise, ufunc=np.floor_divide, symbol="//", precedence=2, regular=0.5):
    """The largest whole number that isn't above a / b; both derivatives are 0."""

    def forward(self, a: Array, b: Array) -> Array:
        return a // b

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, ...]:
        return zeros_as(grad), zeros_as(grad)


class Remainder(Elementwise, ufunc=np.remainder, symbol="%", precedence=2, selective=True, regular=0.5):
    """a - floor(a / b) * b, as Python's %; at the jumps the derivatives are those beside them."""

    def forward(self, a: Array, b: Array) -> Array:
        return a % b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return grad, -grad * (a // b) if needs_input_grad[1] else None


class Fmod(Elementwise, ufunc=np.fmod, selective=True, regular=0.5):
    """a - trunc(a / b) * b, as C's fmod; at the jumps the derivatives are those beside them."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.fmod(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return grad, -grad * np.rint((a - out) / b) if needs_input_grad[1] else None


# ---- along an axis -------------------------------------------------------------------------


class CumProd(Op):
    """The running product along an axis; axis=None runs through all elements, in a row. Zeros are allowed."""

    def __init__(self, axis: int | None = None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return np.cumprod(x, axis=self.axis)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        # The gradient is out[i-1] * r[i] with r[i] = grad[i] + x[i+1] * r[i+1], a recurrence that is solved in log n
        # steps of doubling (Kogge and Stone, IEEE Transactions on Computers C-22, 1973). Nothing is divided by x.
        axis = 0 if self.axis is None else self.axis
        flat = np.reshape(x, (-1,)) if self.axis is None else x
        rows, total = np.moveaxis(flat, axis, 0), np.moveaxis(grad, axis, 0)
        before = np.concatenate([np.ones((1, *rows.shape[1:]), x.dtype), np.moveaxis(out, axis, 0)[:-1]])
        factor, distance = _next(rows, 1), 1
        while distance < rows.shape[0]:
            total = total + factor * _next(total, distance)
            factor, distance = factor * _next(factor, distance), 2 * distance
        return np.reshape(np.moveaxis(before[:rows.shape[0]] * total, 0, axis), x.shape)


def _next(x: Array, distance: int) -> Array:
    """Return x[i + distance] at i, along the first axis, and zeros at the end."""
    return np.concatenate([x[distance:], np.zeros(x[:distance].shape, x.dtype)])


class Sort(Op):
    """The elements in ascending order along an axis, NaN last. The gradient goes to each element's own place.

    Equal elements count as sorted in the order in which they stand.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return np.sort(x, axis=self.axis)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        place = np.argsort(np.argsort(x, axis=self.axis, kind="stable"), axis=self.axis)
        return np.take_along_axis(grad, place, axis=self.axis)


class Convolve(Op, selective=True, batchable=False, affine=(0, 1)):
    """The convolution of two vectors (n,), (m,) -> (n + m - 1,)."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.convolve(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return (np.convolve(grad, b[::-1])[b.size - 1:out.size] if needs_input_grad[0] else None,
                np.convolve(grad, a[::-1])[a.size - 1:out.size] if needs_input_grad[1] else None)


# ---- linear algebra ------------------------------------------------------------------------
# Derivatives: Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation
# (Advances in Automatic Differentiation, 2008), sections 2.2 and 3.


class LinearAlgebra(Op):
    """Base class of the operations on matrices (..., n, m)."""

    def samples(self, *shapes: tuple[int, ...]) -> list[Array]:
        """Return unit matrices, which are regular."""
        return [np.broadcast_to(np.eye(shape[-2], shape[-1]) if len(shape) > 1 else 1.0, shape) for shape in shapes]


def _T(x: Array) -> Array:
    """Return the transposes of matrices (..., n, m)."""
    return np.swapaxes(x, -1, -2)


def _symmetric_part(x: Array) -> Array:
    return (x + _T(x)) / 2


def _scaled(x: Array, number: Array) -> Array:
    """Return matrices (..., n, m), each times a number of (...)."""
    return x * np.expand_dims(number, (-1, -2))


class Inv(LinearAlgebra):
    """The inverse of a matrix, or of each of a stack."""

    def forward(self, x: Array) -> Array:
        return np.linalg.inv(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -(_T(out) @ grad @ _T(out))


class Solve(LinearAlgebra, selective=True, affine=(1,)):
    """The solution of A x = b: A (..., n, n) with the columns of b (..., n, m), or with vectors b (..., n)."""

    def __init__(self, vector: bool) -> None:
        self.vector = vector

    def forward(self, A: Array, b: Array) -> Array:
        if self.vector:
            return np.linalg.solve(A, np.expand_dims(b, -1))[..., 0]
        return np.linalg.solve(A, b)

    def backward(self, grad: Array, out: Array, A: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        columns, x = (np.expand_dims(grad, -1), np.expand_dims(out, -1)) if self.vector else (grad, out)
        grad_b = np.linalg.solve(_T(A), columns)
        return (-(grad_b @ _T(x)) if needs_input_grad[0] else None,
                grad_b[..., 0] if self.vector else grad_b)


class Det(LinearAlgebra):
    """The determinant. Its derivative is the matrix of cofactors, right for singular matrices too."""

    def forward(self, x: Array) -> Array:
        return np.linalg.det(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return _scaled(compute(Cofactors(), x), grad)


class Cofactors(LinearAlgebra):
    """The matrix of cofactors, det(x) times the transpose of the inverse, without an inverse.

    Of x = U diag(s) Vᵀ it is det(U) det(V) U diag(products of the other s) Vᵀ. In these bases the derivative for
    the elements on the diagonal is the product of all s but two, and minus that for a pair across the diagonal.
    """

    def forward(self, x: Array) -> Array:
        U, s, Vt = np.linalg.svd(x, full_matrices=False)
        others: Array = product_of_others(s)
        return _scaled((U * np.expand_dims(others, -2)) @ Vt, np.linalg.det(U) * np.linalg.det(Vt))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        n = x.shape[-1]
        U, s, Vt = np.linalg.svd(x, full_matrices=False)
        alone = np.eye(n, dtype=x.dtype)
        apart = 1 - alone
        rest = product_of_others(np.where(alone == 1, 1, np.expand_dims(s, -2))) * apart  # of all s but two
        turned = _T(U) @ grad @ _T(Vt)
        diagonal = np.sum(turned * alone, axis=-1)
        inner = np.expand_dims(np.sum(rest * np.expand_dims(diagonal, -2), axis=-1), -2) * alone - rest * _T(turned)
        return _scaled(U @ inner @ Vt, np.linalg.det(U) * np.linalg.det(Vt))


class DetSign(LinearAlgebra):
    """The sign of the determinant; the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return np.linalg.slogdet(x)[0]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return zeros_as(_scaled(x, grad))


class LogAbsDet(LinearAlgebra, called="log_abs_det"):
    """The logarithm of the absolute value of the determinant; a singular matrix has no derivative."""

    def forward(self, x: Array) -> Array:
        return np.linalg.slogdet(x)[1]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return _scaled(_T(np.linalg.inv(x)), grad)


class Cholesky(LinearAlgebra):
    """The lower triangular L with L Lᵀ = x, of the symmetric part of x. The gradient is symmetric.

    Murray, Differentiation of the Cholesky decomposition (2016, arXiv:1602.07527), eq. 10.
    """

    def forward(self, x: Array) -> Array:
        return np.linalg.cholesky(_symmetric_part(x))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        n = x.shape[-1]
        half = np.tril(np.ones((n, n), x.dtype)) - 0.5 * np.eye(n, dtype=x.dtype)
        inner = (_T(out) @ grad) * half
        left = np.linalg.solve(_T(out), inner)
        return _symmetric_part(_T(np.linalg.solve(_T(out), _T(left))))


class EigenValues(LinearAlgebra):
    """The eigenvalues (..., n), ascending, of the symmetric part of x. The gradient is symmetric.

    Of equal eigenvalues the sum has a derivative; that of each alone is one between those of its sides.
    """

    def forward(self, x: Array) -> Array:
        return np.linalg.eigvalsh(_symmetric_part(x))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        V = np.linalg.eigh(_symmetric_part(x))[1]
        return (V * np.expand_dims(grad, -2)) @ _T(V)


class EigenVectors(LinearAlgebra):
    """The unit eigenvectors, as columns, of the symmetric part of x. Those of equal eigenvalues have no derivative."""

    def forward(self, x: Array) -> Array:
        return np.linalg.eigh(_symmetric_part(x))[1]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        inner = _over_differences(_T(out) @ grad, np.linalg.eigvalsh(_symmetric_part(x)))
        return _symmetric_part(out @ inner @ _T(out))


def _over_differences(x: Array, values: Array) -> Array:
    """Return x[i, j] / (values[j] - values[i]), and 0 on the diagonal."""
    alone = np.eye(values.shape[-1], dtype=values.dtype)
    return x * (1 - alone) / (np.expand_dims(values, -2) - np.expand_dims(values, -1) + alone)


class SingularValues(LinearAlgebra):
    """The singular values (..., min(n, m)), descending. At 0 the derivative is one between those of its sides."""

    def forward(self, x: Array) -> Array:
        return np.linalg.svd(x, compute_uv=False)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        U, _, Vt = np.linalg.svd(x, full_matrices=False)
        return (U * np.expand_dims(grad, -2)) @ Vt


class LeftSingularVectors(LinearAlgebra):
    """U of x = U diag(s) Vᵀ, (..., n, k) with k = min(n, m); none for singular values that are equal, or zero."""

    def forward(self, x: Array) -> Array:
        return np.linalg.svd(x, full_matrices=False)[0]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        _, s, Vt = np.linalg.svd(x, full_matrices=False)
        return _singular_vectors_gradient(grad, out, s, Vt)


class RightSingularVectors(LinearAlgebra):
    """Vᵀ of x = U diag(s) Vᵀ, (..., k, m) with k = min(n, m); none for singular values that are equal, or zero."""

    def forward(self, x: Array) -> Array:
        return np.linalg.svd(x, full_matrices=False)[2]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        U, s, _ = np.linalg.svd(x, full_matrices=False)
        return _T(_singular_vectors_gradient(_T(grad), _T(out), s, _T(U)))


def _singular_vectors_gradient(grad: Array, U: Array, s: Array, Vt: Array) -> Array:
    """Return the gradient for x = U diag(s) Vᵀ from that for U.

    Townsend, Differentiating the singular value decomposition (2016), eq. 19 and 25.
    """
    inner = _T(U) @ grad
    turned = _over_differences(inner - _T(inner), s * s) * np.expand_dims(s, -2)
    outside = (grad - U @ inner) / np.expand_dims(s, -2)
    return (U @ turned + outside) @ Vt


class PseudoInverse(LinearAlgebra):
    """The Moore-Penrose inverse (..., m, n). The derivative holds where the rank stays.

    Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate (SIAM Journal on Numerical Analysis 10, 1973), eq. 4.12.
    """

    def __init__(self, rcond: float | None = None) -> None:
        self.rcond = rcond

    def forward(self, x: Array) -> Array:
        return np.linalg.pinv(x, self.rcond)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        left, right = _T(grad) @ out, out @ _T(grad)
        return (-(_T(out) @ grad @ _T(out)) + (left - x @ out @ left) @ _T(out)
                + _T(out) @ (right - right @ out @ x))
