"""Tensor: an array that remembers how it was computed; and `apply`, which makes it remember.

A Tensor is also the node of the graph: `op` made it from `inputs`. How derivatives flow back
through the graph stands in backward.py.
"""

from __future__ import annotations

import itertools
import operator
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import origin as origins
from .errors import explained
from .operators import Operators
from .ops import GetItem, Op
from .origin import Origin, here

_clock = itertools.count(1)  # creation order, which is a topological order
_data_of = operator.attrgetter("_data")
_needs_grad = operator.attrgetter("requires_grad")


class _Recording(threading.local):
    on = True


_recording = _Recording()


class Tensor(Operators):
    """An n-dimensional array, and the operation and inputs that made it.

    Args:
        data: numbers in any form that NumPy takes; they are copied. Real numbers only.
        requires_grad: ask for the derivative with respect to this tensor. Floats only.
        name: how messages, pictures and steppers call it.
        dtype: as in NumPy; by default what `np.array(data)` has.

    Attributes:
        data: the array. Assigning another one of the same shape is how an optimiser steps.
        grad: None, or an array of data's shape and dtype: the derivative of what `backward()`
            was last called on. Leaves accumulate over calls, other tensors are overwritten.
        op, inputs: the operation that made this tensor, and its operands in order.
        order: the position in creation order; inputs always come before outputs.
        origin: the file:line that made it.

    Raises:
        TypeError: for complex numbers or objects, and for integers that require a gradient.
    """

    __slots__ = ("_data", "grad", "requires_grad", "name", "op", "inputs", "order",
                 "changed", "changed_at", "origin", "__weakref__")

    _data: NDArray[Any]
    grad: NDArray[Any] | None
    requires_grad: bool
    name: str | None
    op: Op | None
    inputs: tuple[Tensor, ...]
    order: int
    changed: int  # the clock when `data` was last assigned; 0: never
    changed_at: Origin | None
    origin: Origin

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False, name: str | None = None,
                 dtype: DTypeLike | None = None) -> None:
        origin = origins.current.origin or here()
        array = np.array(data._data if isinstance(data, Tensor) else data, dtype=dtype)
        called = f"tensor {name!r}" if name is not None else "a tensor"
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{called} can't hold {array.dtype} (at {origin}): "
                            "real numbers only, e.g. floats, integers or bools")
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(f"{called} of {array.dtype} can't require a gradient (at {origin}): "
                            "only floats have one. Write 1.0 for 1, or pass dtype=float")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a tensor's name is a string, not {name!r} (at {origin})")
        _set(self, array, requires_grad, origin)
        self.name = name

    # ---- what it is
    @property
    def data(self) -> NDArray[Any]:
        """The array. `x.data = a` and `x.data -= a` are noticed; x keeps its shape and dtype."""
        return self._data

    @data.setter
    def data(self, value: ArrayLike) -> None:
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(f"{self!r} has shape {self.shape}; data of shape {array.shape} "
                             f"can't replace it (at {here()})")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise TypeError(f"{self!r} holds {self.dtype}; {array.dtype} can't replace it (at {here()})")
        self._data = array.astype(self.dtype, copy=False)
        self.changed = next(_clock)
        self.changed_at = here()

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        shape: tuple[int, ...] = self._data.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def t(self) -> int | None:
        """The time step that an unroller made this tensor for, or None."""
        return self.origin.t

    @property
    def signal(self) -> str | None:
        """The signal whose equation made this tensor, or None."""
        return self.origin.signal

    @property
    def label(self) -> str:
        """What a person would call it: `h[3]`, `W`, or nothing."""
        if self.name is None:
            return ""
        return self.name if self.t is None else f"{self.name}[{self.t}]"

    def __repr__(self) -> str:
        words = [self.label or (self.signal and f"in {self.signal}[{self.t}]"),
                 type(self.op).__name__.lower() if self.op else "", str(self.shape)]
        if self.grad is not None:
            words.append(f"|g|={np.linalg.norm(self.grad):.1e}")
        return f"<{' '.join(word for word in words if word)}  {self.origin}>"

    # ---- out of the graph
    def numpy(self) -> NDArray[Any]:
        """A copy of the array."""
        return np.array(self._data)

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self._data.item()

    def detach(self) -> Tensor:
        """The same values as a constant: no gradient flows through it. Shares the array."""
        return constant(self._data, self.name, self.origin)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self.requires_grad:
            raise TypeError(f"{self!r} would become an array that no gradient reaches. "
                            "Use mg's or NumPy's functions on it; x.data is its array")
        return np.array(self._data, dtype=dtype)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self._data)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError(f"{self!r} is a single number: it has no len()")
        return self.shape[0]

    def __iter__(self) -> Any:
        return map(self.__getitem__, range(len(self)))

    # ---- derivatives
    def backward(self, grad: ArrayLike | None = None) -> None:
        """Fill `.grad` of every tensor that this one was computed from; see minigrad.backward."""
        from .backward import backward  # not above: it is written in terms of Tensors

        backward(self, grad)

    # ---- how formulas are recorded
    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """See minigrad.apply."""
        return apply(op, *inputs)

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """The answer of a comparison, as a plain array of bools."""
        if any(isinstance(x, Operators) and not isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        return ufunc(*(x._data if isinstance(x, Tensor) else x for x in inputs))

    def __getitem__(self, index: Any) -> Any:
        return apply(_item(index), self)


def _item(index: Any) -> Op:
    """GetItem with Tensors in the index as plain arrays of integers or bools."""
    if isinstance(index, tuple):
        return GetItem(tuple(map(_plain, index)))
    return GetItem(_plain(index))


def _plain(part: Any) -> Any:
    """One part of an index, without Tensors."""
    if isinstance(part, Operators) and not isinstance(part, Tensor):
        raise TypeError(f"{part!r} can't be an index (at {here()})")
    return part._data if isinstance(part, Tensor) else part


def _set(tensor: Tensor, data: NDArray[Any], requires_grad: bool, origin: Origin) -> None:
    """Every attribute of a tensor that no operation made."""
    tensor._data = data
    tensor.grad = None
    tensor.requires_grad = requires_grad
    tensor.name = None
    tensor.op = None
    tensor.inputs = ()
    tensor.order = next(_clock)
    tensor.changed = 0
    tensor.changed_at = None
    tensor.origin = origin


def constant(data: NDArray[Any], name: str | None = None, origin: Origin | None = None) -> Tensor:
    """A tensor around an array, without copying it."""
    tensor = Tensor.__new__(Tensor)
    _set(tensor, data, False, origin or origins.current.origin or here())
    tensor.name = name
    return tensor


def apply(op: Op, *inputs: Any) -> Any:
    """Compute `op` on inputs and, where one of them requires a gradient, record it.

    Args:
        op: the operation, one of minigrad.ops or your own.
        inputs: Tensors, arrays or numbers.

    Returns:
        A Tensor; or whatever another class of operands among the inputs makes of it.

    Raises:
        ValueError, TypeError, IndexError: what NumPy said, with the operation, every operand's
            name and shape, and where each was made.
    """
    operands: tuple[Tensor, ...] = inputs
    for x in inputs:
        if type(x) is not Tensor:
            for other in inputs:
                if isinstance(other, Operators) and not isinstance(other, Tensor):
                    return other.apply(op, *inputs)
            operands = _tensors(op, inputs)
            break
    try:
        data = op.forward(*map(_data_of, operands))
    except (ValueError, TypeError, IndexError) as error:
        raise explained(error, op, operands) from None
    out = Tensor.__new__(Tensor)
    _set(out, data if type(data) is np.ndarray else np.asarray(data), False,
         origins.current.origin or here())
    if _recording.on and any(map(_needs_grad, operands)) and out._data.dtype.kind == "f":
        out.requires_grad = True
        out.op = op
        out.inputs = operands
    return out


def _tensors(op: Op, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """All inputs as Tensors. A Python number takes the dtype of its partners, as in NumPy."""
    dtypes = [x.dtype for x in inputs if isinstance(x, (Tensor, np.ndarray, np.generic))]
    operands = []
    for x in inputs:
        if isinstance(x, Tensor):
            operands.append(x)
            continue
        weak = isinstance(x, (int, float)) and not isinstance(x, (bool, np.generic)) and bool(dtypes)
        array = np.asarray(x, np.result_type(*dtypes, x) if weak else None)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{type(op).__name__} takes tensors, arrays and real numbers, "
                            f"not {type(x).__name__} (at {here()}): {x!r:.60}")
        operands.append(constant(array))
    return tuple(operands)


class no_grad:
    """`with no_grad():` nothing is recorded in it, in this thread."""

    def __enter__(self) -> None:
        self._before = _recording.on
        _recording.on = False

    def __exit__(self, *exception: object) -> None:
        _recording.on = self._before
