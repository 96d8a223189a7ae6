"""`t` and `T`: the time steps that equations refer to, as an index into signals.

A step can be moved by a whole number, and nothing else: Python and NumPy would silently compute something
different from what the equation says (`t == 1` of two objects is False), so every other use is an error.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad.provenance import call_site


class Time:
    """`t` or `T`, and a whole number of steps from it: t-1, t, t+1; T+1."""

    def __init__(self, name: str, offset: int = 0) -> None:
        self.name = name
        self.offset = offset

    def __add__(self, steps: Any) -> Time:
        return Time(self.name, self.offset + self._whole(steps))

    __radd__ = __add__

    def __sub__(self, steps: Any) -> Time:
        return Time(self.name, self.offset - self._whole(steps))

    def _whole(self, steps: Any) -> int:
        try:
            return operator.index(steps)
        except TypeError:
            raise TypeError(f"{self!r} can be moved by a whole number of steps, e.g. t-1, "
                            f"not by {steps!r} (at {call_site()})") from None

    def __repr__(self) -> str:
        return self.name + (f"{self.offset:+d}" if self.offset else "")

    __hash__ = object.__hash__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc in (np.add, np.subtract) and isinstance(inputs[0], Time):
            return inputs[0] + inputs[1] if ufunc is np.add else inputs[0] - inputs[1]
        if ufunc is np.add:
            return inputs[1] + inputs[0]
        return self._refuse()

    def _refuse(self, *operands: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} is an index, as in h[t-1], and has no value to compute with (at {call_site()}). "
                        "Give the step's number as an input: n = cell.input('n', ()), read n[t], and pass "
                        "n=np.arange(1, T+1)")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __bool__ = __int__ = __float__ = __complex__ = __index__ = __round__ = __len__ = __iter__ = __array__ = _refuse
    __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rlshift__ = _refuse
    __rshift__ = __rrshift__ = __neg__ = __pos__ = __abs__ = __invert__ = _refuse
    __getitem__ = __contains__ = __array_function__ = _refuse


t = Time("t")
T = Time("T")
