"""Complex numbers as pairs of real ones, for recurrences with complex states.

    lam = Complex.polar(np.exp(-np.exp(nu)), np.exp(theta))
    s = complex_signal(cell, "s", 16)
    s[t] = lam * s[t-1] + B @ u[t]
    y[t] = (C @ s[t]).real

writes two real equations, of the signals s.re and s.im. Parts may be expressions, Tensors or arrays. The
derivatives are those of the real parts, so nothing else of the library needs to know complex numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.provenance import call_site

from .equations import Definition, Signal, Size


class Complex:
    """real + i imag, with the arithmetic of complex numbers.

    Args:
        real, imag: expressions, Tensors, arrays or numbers whose shapes broadcast. Without `imag` the first is a
            complex array or number of NumPy's, or is real.
    """

    __array_ufunc__ = None  # an array on the left leaves the operation to this class

    def __init__(self, real: Any, imag: Any = None) -> None:
        if imag is None:
            real, imag = _parts(real)
        self.real: Any = real
        self.imag: Any = 0.0 if imag is None else imag

    @staticmethod
    def polar(modulus: Any, angle: Any) -> Complex:
        """Return modulus * exp(i angle)."""
        return Complex(modulus * np.cos(angle), modulus * np.sin(angle))

    def conj(self) -> Complex:
        """Return the complex conjugate."""
        return Complex(self.real, -self.imag)

    def abs2(self) -> Any:
        """Return the square of the modulus."""
        return self.real * self.real + self.imag * self.imag

    def __abs__(self) -> Any:
        """Return the modulus; its derivative at 0 isn't finite."""
        return np.sqrt(self.abs2())

    def __add__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        return Complex(self.real + real, self.imag if imag is None else self.imag + imag)

    __radd__ = __add__

    def __neg__(self) -> Complex:
        return Complex(-self.real, -self.imag)

    def __sub__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        return Complex(self.real - real, self.imag if imag is None else self.imag - imag)

    def __rsub__(self, other: Any) -> Complex:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        if imag is None:
            return Complex(self.real * real, self.imag * real)
        return Complex(self.real * real - self.imag * imag, self.real * imag + self.imag * real)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        if imag is None:
            return Complex(self.real / real, self.imag / real)
        divisor = Complex(real, imag)
        return self.__mul__(divisor.conj()).__truediv__(divisor.abs2())

    def __rtruediv__(self, other: Any) -> Complex:
        return self.conj().__mul__(other).__truediv__(self.abs2())

    def __matmul__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        if imag is None:
            return Complex(self.real @ real, self.imag @ real)
        return Complex(self.real @ real - self.imag @ imag, self.real @ imag + self.imag @ real)

    def __rmatmul__(self, other: Any) -> Complex:
        real, imag = _parts(other)
        if imag is None:
            return Complex(real @ self.real, real @ self.imag)
        return Complex(real @ self.real - imag @ self.imag, real @ self.imag + imag @ self.real)

    def __getitem__(self, index: Any) -> Complex:
        return Complex(self.real[index], self.imag[index])

    def __eq__(self, other: Any) -> Any:
        real, imag = _parts(other)
        return np.logical_and(self.real == real, self.imag == (0.0 if imag is None else imag))

    def __ne__(self, other: Any) -> Any:
        return np.logical_not(self == other)

    __hash__ = object.__hash__

    def _unordered(self, other: Any) -> Any:
        raise TypeError(f"complex numbers have no order (at {call_site()}): compare their parts, or abs(x)")

    __lt__ = __le__ = __gt__ = __ge__ = _unordered

    def __repr__(self) -> str:
        return f"Complex({self.real!r}, {self.imag!r})"


class ComplexSignal:
    """A signal of complex numbers: two real ones, `name.re` and `name.im`. Made by complex_signal."""

    def __init__(self, re: Signal, im: Signal) -> None:
        self.re = re
        self.im = im

    def __getitem__(self, time: Any) -> Complex:
        return Complex(self.re[time], self.im[time])

    def __setitem__(self, time: Any, value: Any) -> None:
        real, imag = _parts(value)
        with self.re.cell.all_or_nothing():
            self.re[time] = real
            self.im[time] = 0.0 if imag is None else imag


def complex_signal(cell: Definition, name: str, size: Size = None) -> ComplexSignal:
    """Declare a signal of complex numbers, as two real ones; see Cell.signal for the arguments."""
    return ComplexSignal(cell.signal(f"{name}.re", size), cell.signal(f"{name}.im", size))


def _parts(x: Any) -> tuple[Any, Any]:
    """Return the real and the imaginary part; None for that of a real operand."""
    if isinstance(x, Complex):
        return x.real, x.imag
    if isinstance(x, complex) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "c"):
        return x.real, x.imag
    return x, None
