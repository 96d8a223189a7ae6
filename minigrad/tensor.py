"""Tensor, an array that records the operation and the inputs it was computed from; and `apply`, which records.

A Tensor is a node of the graph: `op` computed it from `inputs`. See backward.py for derivatives, and
mutation.py for modified data.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .backward import backward
from .describe import tensor_label, tensor_summary
from .errors import forward_nan_error, operation_error
from .mutation import MutationState, check_modified, creation_counter, expose, record_assignment
from .operators import Operators
from .ops import GetItem, Op
from .provenance import Origin, call_site
from .settings import settings, thread
from .steps import Steps

_data_of = operator.attrgetter("_data")


def apply(op: Op, *inputs: Any) -> Any:
    """Compute `op` on inputs and, where one of them requires a gradient, record it.

    Args:
        op: the operation, one of minigrad.ops or your own.
        inputs: Tensors, arrays or numbers.

    Returns:
        A Tensor; or the result of another operand class's own `apply` (expressions and IR nodes of rnn).

    Raises:
        ValueError, TypeError, IndexError: NumPy's message, with the operation, and the name, shape and
            line of every operand.
        FloatingPointError: under detect_anomaly(), if the result is the first with a NaN.
    """
    record = False
    for x in inputs:
        if type(x) is not Tensor:
            return _apply_to_others(op, inputs)
        record = record or x.requires_grad
        if x.changes is not None:
            check_modified(x)
    try:
        if len(inputs) == 2:  # fast path: two inputs
            data = op.forward(inputs[0]._data, inputs[1]._data)
        elif len(inputs) == 1:  # fast path: one input
            data = op.forward(inputs[0]._data)
        else:
            data = op.forward(*map(_data_of, inputs))
    except (ValueError, TypeError, IndexError) as error:
        raise operation_error(error, op, inputs) from None
    data = data if type(data) is ndarray else np.asarray(data)
    now = thread.settings
    out: Tensor = _new(Tensor)
    out._data = data
    out.grad = out.name = out.changes = out.hooks = None
    out.order = next(creation_counter)
    out.origin = now.origin or call_site()
    if record and now.recording and data.dtype.kind == "f":
        out.requires_grad, out.op, out.inputs = True, op, inputs
    else:
        out.requires_grad, again = False, op.random and record and now.recording  # recurrences draw again
        out.op, out.inputs = (op, inputs) if again else (None, ())
        if data.base is not None or any(data is x._data for x in inputs):
            out._data = data.copy()  # a view of an input would share memory that mutation tracking doesn't see
    if now.anomaly and np.isnan(data).any():
        raise forward_nan_error(op, inputs)
    return out


def _apply_to_others(op: Op, inputs: tuple[Any, ...]) -> Any:
    """Apply `op` if not every input is a Tensor."""
    for x in inputs:
        if isinstance(x, Operators) and not isinstance(x, Tensor):
            return x.apply(op, *inputs)
    dtypes = [x.dtype for x in inputs if isinstance(x, (Tensor, np.ndarray, np.generic))]
    return apply(op, *[x if isinstance(x, Tensor) else _operand(op, x, dtypes) for x in inputs])


def _operand(op: Op, x: Any, dtypes: list[np.dtype[Any]]) -> Tensor:
    """Return an array or a number as a constant. A Python number takes the dtype of its partners, as in NumPy."""
    weak = type(x) in (int, float) and bool(dtypes)
    array = np.array(x, np.result_type(*dtypes, x) if weak else None)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(op).__name__} takes tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {call_site()}): {x!r:.60}")
    return constant(array)


class Tensor(Operators):
    """An n-dimensional array, with the operation and inputs that computed it.

    Args:
        data: numbers in any form that NumPy takes; they are copied. Real numbers only.
        requires_grad: ask for the derivative with respect to this tensor. Floats only.
        name: the name in messages, pictures and the debugger.
        dtype: as in NumPy; by default what `np.array(data)` has.

    Attributes:
        grad: None, or an array of data's shape and dtype: the gradient of the tensor that `backward()`
            was last called on. Leaves accumulate over calls, other tensors are overwritten.
        requires_grad: whether derivatives with respect to this tensor are computed.
        op, inputs: the operation that computed this tensor, and its operands in order; None and () for a
            leaf, and for a tensor that requires no gradient, unless it was drawn at random.
        order: the position in creation order; inputs always come before outputs.
        origin: the file:line that made it.
        changes: bookkeeping of modifications of the data (see mutation.py); None if it was never exposed.
        hooks: the hooks on its gradient; see register_hook.

    Raises:
        TypeError: for complex numbers or objects, and for integers that require a gradient.
    """

    __slots__ = ("_data", "grad", "requires_grad", "name", "op", "inputs", "order", "origin", "changes", "hooks",
                 "__weakref__")

    _data: NDArray[Any]
    grad: NDArray[Any] | None
    requires_grad: bool
    name: str | None
    op: Op | None
    inputs: tuple[Tensor, ...]
    order: int
    origin: Origin
    changes: MutationState | None
    hooks: list[Hook] | None

    apply = staticmethod(apply)

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False, name: str | None = None,
                 dtype: DTypeLike | None = None) -> None:
        origin = settings().origin or call_site()
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
        _fill(self, array, requires_grad, name, origin)

    # ---- attributes
    @property
    def data(self) -> NDArray[Any]:
        """The array itself, to read or to modify.

        An optimiser steps with `x.data = a` or `x.data -= a`; shape and dtype stay. Modifying data that a
        recorded operation still needs makes its backward pass an error; it never yields a wrong gradient.
        """
        expose(self)
        return self._data

    @data.setter
    def data(self, value: ArrayLike) -> None:
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(f"{self!r} has shape {self.shape}; data of shape {array.shape} "
                             f"can't replace it (at {call_site()})")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise TypeError(f"{self!r} holds {self.dtype}; {array.dtype} can't replace it (at {call_site()})")
        self._data = array.astype(self.dtype, copy=False)
        record_assignment(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._data.shape

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
        """The name with the time step: "h[3]", "W"; "" for an unnamed tensor."""
        return tensor_label(self)

    def __repr__(self) -> str:
        gradient = "" if self.grad is None else f" |g|={np.linalg.norm(self.grad):.1e}"
        return f"<{tensor_summary(self)}{gradient}  {self.origin}>"

    # ---- out of the graph
    def numpy(self) -> NDArray[Any]:
        """Return a copy of the array."""
        return np.array(self._data)

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self._data.item()

    def detach(self) -> Tensor:
        """Return the same values as a new constant: no gradient flows through it."""
        own, line = self.origin, settings().origin or call_site()
        origin = Origin(line.file, line.line, own.signal, own.t, detached=f"{self.label or 'a tensor'} made at {own}")
        return constant(self._data.copy(), self.name, origin)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self.requires_grad:
            raise TypeError(f"{self!r} would become an array that no gradient reaches. "
                            "Use mg's or NumPy's functions on it; x.data is its array")
        return np.array(self._data, dtype=dtype)

    def __float__(self) -> float:
        # NumPy also calls this for `array[0] = x`, which can't be distinguished, so no gradient flows there.
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

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            return apply(GetItem(tuple(map(_plain, index))), self)
        return apply(GetItem(_plain(index)), self)

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """Return the result of a comparison as a plain array of bools."""
        if any(isinstance(x, Operators) and not isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        return ufunc(*(x._data if isinstance(x, Tensor) else x for x in inputs))

    # ---- derivatives
    backward = backward  # see backward.py

    def backward_steps(self, grad: ArrayLike | None = None) -> Steps:
        """Return the same pass as a sequence of steps to run one by one; see minigrad.steps."""
        return Steps(self, grad)

    def register_hook(self, hook: Callable[[Any], Any]) -> Hook:
        """Call `hook(grad)` whenever a backward pass has completed this tensor's gradient.

        A returned value replaces the gradient for the rest of the pass; None leaves it.

        Returns:
            A handle, whose `remove()` unregisters the hook.

        Raises:
            ValueError: if the tensor requires no gradient; during the pass, if a replacement has another shape.
        """
        if not self.requires_grad:
            raise ValueError(f"{self!r} requires no gradient: there is nothing to look at (at {call_site()})")
        handle = Hook(self, hook, call_site())
        self.hooks = [*(self.hooks or []), handle]
        return handle


class Hook:
    """Handle of a registered gradient hook."""

    def __init__(self, tensor: Tensor, function: Callable[[Any], Any], origin: Origin) -> None:
        self.tensor = tensor
        self.function = function
        self.origin = origin

    def remove(self) -> None:
        """Unregister this hook."""
        self.tensor.hooks = [hook for hook in self.tensor.hooks or [] if hook is not self] or None


_new = Tensor.__new__


def _fill(tensor: Tensor, data: NDArray[Any], requires_grad: bool, name: str | None, origin: Origin) -> None:
    """Set every attribute of a tensor that no operation computed."""
    tensor._data, tensor.requires_grad = data, requires_grad
    tensor.name, tensor.origin = name, origin
    tensor.grad = tensor.op = tensor.changes = tensor.hooks = None
    tensor.inputs = ()
    tensor.order = next(creation_counter)


def constant(data: NDArray[Any], name: str | None = None, origin: Origin | None = None) -> Tensor:
    """Return a tensor around an array that is referenced nowhere else, without copying it."""
    tensor = _new(Tensor)
    _fill(tensor, data, False, name, origin or settings().origin or call_site())
    return tensor


def _plain(part: Any) -> Any:
    """Return one part of an index without Tensors."""
    if isinstance(part, Operators) and not isinstance(part, Tensor):
        raise TypeError(f"{part!r} can't be an index (at {call_site()})")
    return part._data.copy() if isinstance(part, Tensor) else part
