"""Tensor, an array that records the operation and the inputs it was computed from; and `apply`, which records.

A Tensor is a node of the graph: `op` computed it from `inputs`. See backward.py for derivatives, and
mutation.py for modified data.
"""

from __future__ import annotations

import copyreg
import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import asarray, floating, ndarray
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .backward import backward
from .conversion import REAL, holds_operands, own_result, require_plain, result_array
from .errors import forward_nan_error, no_index_error, operation_error
from .formats.describe import short_value, tensor_label, tensor_summary
from .formats.norms import norm
from .formats.values import long_value
from .in_place import InPlace
from .mutation import MutationState, check_modified, creation_counter, expose, record_assignment
from .operators import LOOKUP, Operators
from .ops import GetItem, Op
from .provenance import Origin, call_site
from .settings import settings, thread
from .steps import Steps

_array_of = operator.attrgetter("_array")
LIBRARY_FRAMES = 3  # that are certain where `apply` asks for the line: call_site, apply, and an operator or function


def apply(op: Op, *inputs: Any) -> Any:
    """Compute `op` on inputs and, where one of them requires a gradient, record it.

    Its callers are functions of the library; users call mg.apply.

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
        if type(x) is not Tensor and not isinstance(x, Tensor):
            return _apply_to_others(op, inputs)
        record = record or x._requires_grad
        if x._rare is not None:
            check_modified(x)
    try:
        if len(inputs) == 2:  # fast path: two inputs
            data = op.forward(inputs[0]._array, inputs[1]._array)
        elif len(inputs) == 1:  # fast path: one input
            data = op.forward(inputs[0]._array)
        else:
            data = op.forward(*map(_array_of, inputs))
    except (ValueError, TypeError, IndexError) as error:
        raise operation_error(error, op, inputs) from None
    data = data if type(data) is ndarray else asarray(data) if isinstance(data, floating) else result_array(op, data)
    now = thread.settings
    out: Tensor = _new(Tensor)
    out._array = data
    out.order = next(creation_counter)
    out.origin = now.origin or call_site(LIBRARY_FRAMES)
    out._grad = out.name = out.op = out._first = out._second = out._rare = None
    out._requires_grad = record and now.recording and data.dtype.kind == "f"
    if out._requires_grad or (record and now.recording and op.random):  # recurrences draw again
        out.op = op
        out._first, out._second = inputs if len(inputs) == 2 else (inputs[0] if len(inputs) == 1 else inputs, None)
    if not out._requires_grad:
        out._array = own_result(op, data, inputs)
    if now.anomaly and np.isnan(data).any():
        raise forward_nan_error(op, inputs)
    return out


def _apply_to_others(op: Op, inputs: tuple[Any, ...]) -> Any:
    """Apply `op` if not every input is a Tensor."""
    for x in inputs:
        if isinstance(x, Operators) and not isinstance(x, Tensor):
            return x.apply(op, *inputs)
    result = reflected(op, inputs)
    if result is not NotImplemented:
        return result
    arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
    dtypes = [x.dtype for x in arrays if isinstance(x, (np.ndarray, np.generic))]
    operands = list(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            operands[i] = _operand(op, x, [] if i in op.integer_inputs else dtypes)
    return apply(op, *operands)


def reflected(op: Op, inputs: tuple[Any, ...]) -> Any:
    """Return the result of an operator whose right operand computes it itself; NotImplemented if it doesn't.

    As in NumPy's protocol, it does so if its `__array_ufunc__` is None.
    """
    if len(inputs) != 2 or getattr(inputs[1], "__array_ufunc__", inputs) is not None:
        return NotImplemented
    method = getattr(type(inputs[1]), REFLECTED.get(op.symbol, ""), None)
    return NotImplemented if method is None else method(inputs[1], inputs[0])


def is_symbolic(x: Any) -> bool:
    """Return whether an operand stands for values that aren't known, as expressions and nodes of graphs do."""
    return isinstance(x, Operators) and not isinstance(x, Tensor)


REFLECTED: dict[str | None, str] = {"+": "__radd__", "-": "__rsub__", "*": "__rmul__", "/": "__rtruediv__",
                                    "**": "__rpow__", "@": "__rmatmul__"}


def _operand(op: Op, x: Any, dtypes: list[np.dtype[Any]]) -> Tensor:
    """Return an array or a number as a constant. A Python number takes the dtype of its partners, as in NumPy."""
    number = type(x) in (int, float)
    if not number:
        require_plain(x, type(op).__name__)
    if isinstance(x, np.matrix) and op.symbol in ("*", "**"):
        raise TypeError(f"with np.matrix {op.symbol} is the product or power of matrices, here of elements "
                        f"(at {call_site()}). Write @, or pass np.asarray(matrix)")
    if isinstance(x, (list, tuple)) and holds_operands(x):
        raise TypeError(f"{type(op).__name__} takes one tensor, not a {type(x).__name__} of tensors "
                        f"(at {call_site()}): mg.stack(list) makes one, Python's sum(list) adds them")
    weak = number and bool(dtypes)
    alone = len(dtypes) == 1 and dtypes[0].kind == "f"  # fast path: a number takes the type of the other operand
    try:
        array = np.array(x, (dtypes[0] if alone else np.result_type(*dtypes, x)) if weak else None)
    except (ValueError, OverflowError) as error:  # lists of unequal length, integers that are too large
        raise ValueError(f"{error}\n  in an operand of {type(op).__name__} (at {call_site()}): {x!r:.60}") from None
    if array.dtype.kind not in REAL:
        raise TypeError(f"{type(op).__name__} takes tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {call_site()}): {x!r:.60}")
    return constant(array, None, thread.settings.origin or call_site(LIBRARY_FRAMES + 2))  # this and _apply_to_others


class Tensor(InPlace, Operators):
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

    __slots__ = ("_array", "_grad", "_requires_grad", "name", "op", "_first", "_second", "order", "origin", "_rare",
                 "__weakref__")

    _array: NDArray[Any]
    _grad: NDArray[Any] | None  # behind .grad and .requires_grad, which check what is assigned
    _requires_grad: bool
    name: str | None
    op: Op | None
    # Behind .inputs: one input, or two; of more, the first is the tuple of all. Most nodes have two, and for them a
    # tuple would be a sixth of the memory of a small node, and one more object for Python's garbage collector.
    _first: Any
    _second: Tensor | None
    order: int
    origin: Origin
    _rare: RareAttributes | None  # behind .changes and .hooks

    apply = staticmethod(apply)

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False, name: str | None = None,
                 dtype: DTypeLike | None = None) -> None:
        origin = settings().origin or call_site()
        called = f"tensor {name!r}" if name is not None else "a tensor"
        require_plain(data, called)
        if isinstance(data, (list, tuple)) and holds_operands(data):
            raise TypeError(f"{called} is made of numbers, and these are tensors (at {origin}): mg.stack(list) joins "
                            "them, and keeps the gradient")
        array = np.array(data._array if isinstance(data, Tensor) else data, dtype=dtype)
        if array.dtype.kind not in REAL:
            raise TypeError(f"{called} can't hold {array.dtype} (at {origin}): "
                            "real numbers only, e.g. floats, integers or bools")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a tensor's name is a string, not {name!r} (at {origin})")
        _fill(self, array, _checked_flag(requires_grad, array, called, origin), name, origin)

    # ---- attributes
    @property
    def data(self) -> NDArray[Any]:
        """The array itself, to read or to modify.

        An optimiser steps with `x.data = a` or `x.data -= a`; shape and dtype stay. Modifying data that a
        recorded operation still needs makes its backward pass an error; it never yields a wrong gradient.
        An array that is assigned is used itself if it owns its memory; of a view a copy is made.
        """
        expose(self)
        return self._array

    @data.setter
    def data(self, value: ArrayLike) -> None:
        array = self._converted(value, "data")
        if not (array.flags.owndata and array.flags.writeable):
            array = array.copy()  # through the memory's owner it could be modified unseen
        self._array = array
        record_assignment(self)

    def _converted(self, value: Any, attribute: str) -> NDArray[Any]:
        """Return a value for `data` or `grad` as an array of this tensor's dtype; raise an error if it doesn't fit."""
        if type(value) is not ndarray:  # a repr takes time
            require_plain(value, f".{attribute} of {self!r}")
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(f"{self!r} has shape {self.shape}; {attribute} of shape {array.shape} "
                             f"can't replace it (at {call_site()})")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise TypeError(f"{self!r} holds {self.dtype}; {array.dtype} can't replace it "
                            f"(at {call_site()})")
        return array.astype(self.dtype, copy=False)

    @property
    def grad(self) -> NDArray[Any] | None:
        """The gradient of the tensor that `backward()` was last called on, as a plain array; None: there is none.

        Assigned are None, an array of the tensor's shape, which is cast to its dtype, or one Python number for all
        elements.
        """
        return self._grad

    @grad.setter
    def grad(self, value: ArrayLike | None) -> None:
        if isinstance(value, Tensor) and value.requires_grad:
            raise TypeError(f".grad of {self!r} is an array without a graph (at {call_site()}). "
                            "For a gradient that is itself differentiated keep the result of mg.grad; "
                            "here assign its .data")
        if type(value) in (int, float):
            value = np.full(self.shape, value, self.dtype)
        self._grad = None if value is None else self._converted(value, "grad")

    @property
    def requires_grad(self) -> bool:
        """Whether derivatives with respect to this tensor are computed; assign it to freeze or free a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        flag = _checked_flag(value, self._array, repr(self), call_site())
        if self.op is not None and not flag:
            raise ValueError(f"{self!r} was computed from tensors that require a gradient, so it "
                             f"requires one (at {call_site()}). x.detach() is a copy without")
        self._requires_grad = flag

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The operands of `op` in their order; () for a leaf."""
        first = self._first
        if self._second is not None:
            return first, self._second
        return first if type(first) is tuple else () if first is None else (first,)

    @property
    def changes(self) -> MutationState | None:
        """The bookkeeping of modifications of the data (see mutation.py); None if it was never exposed."""
        return None if self._rare is None else self._rare.changes

    @changes.setter
    def changes(self, value: MutationState | None) -> None:
        self._rare = self._rare or RareAttributes()
        self._rare.changes = value

    @property
    def hooks(self) -> list[Hook] | None:
        """The hooks on the gradient; see register_hook."""
        return None if self._rare is None else self._rare.hooks

    @hooks.setter
    def hooks(self, value: list[Hook] | None) -> None:
        self._rare = self._rare or RareAttributes()
        self._rare.hooks = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the elements."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    @property
    def nbytes(self) -> int:
        """Number of bytes of the elements."""
        return self.size * self.itemsize

    @property
    def itemsize(self) -> int:
        """Number of bytes of one element."""
        return self.dtype.itemsize

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
        gradient = "" if self._grad is None else f" |g|={norm(self._grad):.1e}"
        return f"<{tensor_summary(self)}{gradient}  {self.origin}>"

    def __str__(self) -> str:
        return f"<{short_value(self._array)}{repr(self)[1:]}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print as `print` does, where IPython and Jupyter display a value; alone, a larger array with its values."""
        printer.text(str(self) + (long_value(self._array) if len(printer.stack) == 1 else ""))

    # ---- copies
    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle of a leaf keeps: everything but its place in graphs, and its hooks.

        Raises:
            TypeError: for a tensor that an operation computed: a copy would be cut off from its inputs, or bring
                copies of the whole graph.
        """
        if self.op is not None:
            raise TypeError(f"{self!r} was computed by a recorded operation, so it can't be copied or "
                            "pickled: its gradient would not reach the tensors it was computed from. Copy x.detach(), "
                            "or compute it again from the copies")
        if self.hooks:
            warnings.warn(f"the hook registered at {self.hooks[0].origin} stays with {self!r}: a copy "
                          "or a pickle of the tensor has no hooks", UserWarning, stacklevel=2)
        extra = {name: getattr(self, name) for name in _own_attributes(type(self)) if hasattr(self, name)}
        return {"data": self._array, "grad": self._grad, "requires_grad": self._requires_grad, "name": self.name,
                "origin": self.origin, "extra": extra | getattr(self, "__dict__", {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        _fill(self, np.array(state["data"]), state["requires_grad"], state["name"], state["origin"])
        self._grad = None if state["grad"] is None else np.array(state["grad"])
        for name, value in state["extra"].items():
            setattr(self, name, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    # ---- out of the graph
    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self.numpy().tolist()

    def numpy(self) -> NDArray[Any]:
        """Return a copy of the array."""
        return np.array(self._array)

    def item(self, *index: Any) -> Any:
        """Return the only element, or the one at an index, as a Python number.

        Raises:
            ValueError: without an index, if there are none or several.
        """
        if not index and self._array.size != 1:
            raise ValueError(f"{self!r} isn't a single number (at {call_site()}): take one element, "
                             "a sum or a mean; x.data is its array")
        return self._array.item(*index)

    def detach(self) -> Tensor:
        """Return the same values as a new constant: no gradient flows through it."""
        own, line = self.origin, settings().origin or call_site()
        origin = own.detach(line, f"{self.label or 'a tensor'} made at {own}")
        return constant(self._array.copy(), self.name, origin)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self._requires_grad:
            raise TypeError(f"{self!r} would become an array that no gradient reaches. Use mg's or NumPy's functions "
                            "on it (mg.logsumexp and mg.softmax for SciPy's), and mg.stack for a list of tensors; "
                            "x.data is its array, x.item() the number of a single one")
        return np.array(self._array, dtype=dtype)

    def __float__(self) -> float:
        if self._requires_grad and settings().recording:  # math.exp(x) and array[0] = x call this too
            warnings.warn(f"{self!r} requires a gradient, and as a Python float it loses it "
                          f"(at {call_site()}). mg's and NumPy's functions keep it; x.item() is the number",
                          UserWarning, stacklevel=2)
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self._array)

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
        if isinstance(index, Operators) and not isinstance(index, Tensor):  # an index of each step
            return apply(LOOKUP, self, index)
        return apply(GetItem(_plain(index)), self)

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """Return the result of a comparison as a plain array of bools."""
        if any(map(is_symbolic, inputs)):
            return NotImplemented
        arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        if getattr(arrays[-1], "__array_ufunc__", arrays) is None and ufunc.__name__ in PYTHON_COMPARISONS:
            return PYTHON_COMPARISONS[ufunc.__name__](*arrays)  # such as pytest.approx, which compares itself
        return ufunc(*arrays)

    # ---- derivatives
    backward = backward  # see backward.py

    def backward_steps(self, grad: ArrayLike | None = None) -> Steps:
        """Return the same pass as a sequence of steps to run one by one; see minigrad.steps."""
        return Steps(self, grad)

    def register_hook(self, hook: Callable[[Any], Any]) -> Hook:
        """Call `hook(grad)` whenever a backward pass has completed this tensor's gradient.

        A returned value replaces the gradient for the rest of the pass; None leaves it. Under create_graph the
        hook gets a Tensor, and acts on the recorded pass too: in a second pass it is called again wherever a
        derivative formula uses this tensor, so that second derivatives are those of the formulas with the hook,
        and depend on how an operation's derivative is written. Copies and pickles of the tensor have no hooks.

        Returns:
            A handle, whose `remove()` unregisters the hook.

        Raises:
            ValueError: if the tensor requires no gradient; during the pass, if a replacement has another shape.
        """
        if not self.requires_grad:
            raise ValueError(f"{self!r} requires no gradient: there is nothing to look at "
                             f"(at {call_site()})")
        handle = Hook(self, hook, call_site())
        self.hooks = [*(self.hooks or []), handle]
        return handle


class RareAttributes:
    """Attributes that few tensors have, in one object: the other tensors spend one slot on all of them."""

    __slots__ = ("changes", "hooks")

    def __init__(self) -> None:
        self.changes: MutationState | None = None
        self.hooks: list[Hook] | None = None


class Hook:
    """Handle of a registered gradient hook."""

    def __init__(self, tensor: Tensor, function: Callable[[Any], Any], origin: Origin) -> None:
        self.tensor = tensor
        self.function = function
        self.origin = origin

    def remove(self) -> None:
        """Unregister this hook."""
        self.tensor.hooks = [hook for hook in self.tensor.hooks or [] if hook is not self] or None


PYTHON_COMPARISONS: dict[str, Callable[..., Any]] = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge}

_new = Tensor.__new__


def _fill(tensor: Tensor, data: NDArray[Any], requires_grad: bool, name: str | None, origin: Origin) -> None:
    """Set every attribute of a tensor that no operation computed."""
    tensor._array, tensor._requires_grad = data, requires_grad
    tensor.name, tensor.origin = name, origin
    tensor._grad = tensor.op = tensor._first = tensor._second = tensor._rare = None
    tensor.order = next(creation_counter)


def recorded(op: Op, inputs: tuple[Tensor, ...], data: NDArray[Any], name: str | None, origin: Origin) -> Tensor:
    """Return a tensor that is recorded as the result of `op`, with data that were computed before."""
    tensor = constant(data, name, origin)
    tensor._requires_grad, tensor.op = True, op
    tensor._first, tensor._second = inputs if len(inputs) == 2 else (inputs[0] if len(inputs) == 1 else inputs, None)
    return tensor


def _checked_flag(requires_grad: Any, array: NDArray[Any], called: str, origin: Origin) -> bool:
    """Return a valid value of requires_grad for an array."""
    if not isinstance(requires_grad, (bool, np.bool_)):
        raise TypeError(f"requires_grad of {called} is True or False, not {requires_grad!r:.60} (at {origin})")
    if requires_grad and array.dtype.kind != "f":
        raise TypeError(f"{called} of {array.dtype} can't require a gradient (at {origin}): "
                        "only floats have one. Write 1.0 for 1, or pass dtype=float")
    return bool(requires_grad)


def _own_attributes(kind: type) -> list[str]:
    """Return the names of the slots that subclasses of Tensor add."""
    slots = [vars(base).get("__slots__", ()) for base in kind.__mro__[:kind.__mro__.index(Tensor)]]
    return [name for names in slots for name in ([names] if isinstance(names, str) else names)
            if name not in ("__dict__", "__weakref__")]


def constant(data: NDArray[Any], name: str | None = None, origin: Origin | None = None) -> Tensor:
    """Return a tensor around an array that is referenced nowhere else, without copying it."""
    tensor = _new(Tensor)
    _fill(tensor, data, False, name, origin or settings().origin or call_site())
    return tensor


def _plain(part: Any) -> Any:
    """Return one part of an index without Tensors."""
    if is_symbolic(part):
        raise no_index_error(part)
    return part._array.copy() if isinstance(part, Tensor) else part
