"""In-place operators of a Tensor: `p -= lr * p.grad` writes into p's array under no_grad, and is an error elsewhere.

Without these methods Python would compute `p - lr * p.grad` and bind the name to the new tensor, so that a
loop over parameters would change nothing. For a sum that is recorded, `loss += term`, that is the right result:
the name is bound to a new tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .conversion import real_array
from .errors import in_place_error
from .operators import Operators
from .provenance import call_site
from .settings import thread

if TYPE_CHECKING:
    from .tensor import Tensor


class InPlace:
    """The operators += -= *= /= //= %= **= @= of an array that keeps its shape and dtype."""

    __slots__ = ()

    def __iadd__(self, other: Any) -> Any:
        return modify(self, np.add, "+", other)

    def __isub__(self, other: Any) -> Any:
        return modify(self, np.subtract, "-", other)

    def __imul__(self, other: Any) -> Any:
        return modify(self, np.multiply, "*", other)

    def __itruediv__(self, other: Any) -> Any:
        return modify(self, np.true_divide, "/", other)

    def __ifloordiv__(self, other: Any) -> Any:
        return modify(self, np.floor_divide, "//", other)

    def __imod__(self, other: Any) -> Any:
        return modify(self, np.remainder, "%", other)

    def __ipow__(self, other: Any) -> Any:
        return modify(self, np.power, "**", other)

    def __imatmul__(self, other: Any) -> Any:
        return modify(self, np.matmul, "@", other)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(f"{self!r} takes no assignment to its elements (at {call_site()}): the derivative of what was "
                        "computed before would be lost. mg.where(condition, a, b) and mg.concatenate(parts) make a "
                        "new tensor; x.data[index] = value changes the numbers, without a gradient")


def modify(tensor: Any, ufunc: np.ufunc, symbol: str, other: Any) -> Tensor:
    """Write the result of a ufunc into a tensor's array, and return the tensor.

    Returns:
        The same tensor; NotImplemented, upon which Python computes a new tensor, where the result is recorded, and
        for an operand that defines the operation itself, such as an expression.

    Raises:
        TypeError: outside of no_grad, for a leaf that requires a gradient; if the result has another kind of dtype
            than the tensor, or its array is read-only.
        ValueError: if the result has another shape.
    """
    if _computes_itself(other):
        return NotImplemented  # type: ignore[no-any-return]
    site = call_site()
    if thread.settings.recording and (tensor._requires_grad or getattr(other, "requires_grad", False)):
        if tensor._requires_grad and tensor.op is None:
            raise in_place_error(tensor, symbol, site)
        return NotImplemented  # type: ignore[no-any-return]
    operand: Any = other
    if isinstance(other, InPlace):
        operand = other._array  # type: ignore[attr-defined]
    elif type(other) not in (int, float):
        operand = real_array(other, f"{symbol}=")
    try:
        result = ufunc(tensor._array, operand)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{error}\n  in {tensor!r} {symbol}= ... (at {site})") from None
    if result.shape != tensor.shape:
        raise ValueError(f"{symbol}= works in place, but would give {tensor!r} the shape {result.shape} (at {site})")
    if not np.can_cast(result.dtype, tensor.dtype, "same_kind"):
        raise TypeError(f"{symbol}= works in place, but {tensor!r} holds {tensor.dtype}, which can't take "
                        f"{result.dtype} (at {site})")
    if not tensor._array.flags.writeable:
        raise TypeError(f"{symbol}= works in place, but the array of {tensor!r} is read-only (at {site}): its elements "
                        f"may share memory. Write x = x {symbol} ...")
    tensor.data[...] = result  # reading .data exposes the array, so that the change is noticed
    return tensor  # type: ignore[no-any-return]


def _computes_itself(other: Any) -> bool:
    """Return whether an operand defines the operator: an expression, or a class that refuses NumPy's functions."""
    expression = isinstance(other, Operators) and not isinstance(other, InPlace)
    return expression or getattr(other, "__array_ufunc__", False) is None
