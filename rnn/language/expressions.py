"""Expressions: values at each time step, made by operators and by NumPy's and minigrad's functions; and `t`, `T`.

    W @ x[t] + U @ h[t-1] + b

Inside an expression everything means what NumPy means for one sequence: shapes, axes, indices, products. An
operation is recorded in the form that computes it for a batch, whose axes come first (see batching.py).
Nothing is computed here. Signals and equations are in equations.py.
"""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.conversion import require_plain
from minigrad.errors import function_error, operation_error
from minigrad.formats.formula import ATOM, Formula
from minigrad.numpy_functions import called
from minigrad.operators import ADD, LOOKUP, STOP_GRADIENT, Operators
from minigrad.provenance import Origin, call_site
from minigrad.tensor import constant, reflected

from .batching import for_batch
from .formula import to_text
from .graphs import postorder
from .numpy_functions import FUNCTIONS, cast, recipe_in_equations
from .own_operations import is_own, refuse_mixing

if TYPE_CHECKING:
    from .equations import Definition, Signal

Shape = tuple[int, ...]
Samples = tuple[Shape, Shape]
# Attributes of Tensors and arrays that exist only where there are values.
NEED_VALUES = frozenset(("data", "dtype", "size", "grad", "requires_grad", "backward", "backward_steps",
                         "item", "numpy", "tolist", "copy"))
KINDS = {"f": float, "i": np.int64, "b": bool}
# & | ^ ~ of an array and an expression, which are connectives of truth values in an equation
CONNECTIVES = {np.bitwise_and: np.logical_and, np.bitwise_or: np.logical_or, np.bitwise_xor: np.logical_xor,
               np.invert: np.logical_not}
FOR_ONE = "Shapes and axes are those of one sequence at one step: the axes of time and batch don't count"
UNBOUND = 101, 103  # two lengths in the place of one that isn't bound yet


class Call(NamedTuple):
    """The call of a function that composed an expression of several operations; only formulas read it."""

    name: str
    operands: tuple[Any, ...]  # the last ones are the values of options
    options: tuple[str, ...] = ()

    def formula(self, parts: Sequence[Formula]) -> Formula:
        """Return `cross_entropy(y[t], label[t])` from the formulas of the operands."""
        first = len(parts) - len(self.options)
        words = [part.text for part in parts[:first]]
        words += [f"{name}={part.text}" for name, part in zip(self.options, parts[first:])]
        return Formula(f"{self.name}({', '.join(words)})", ATOM)


class Expression(Operators):
    """A value at each time step, e.g. `W @ x[t] + b`.

    Attributes:
        op: the operation, in the form for a batch; None for a leaf, such as a signal that is read.
        inputs: expressions, Tensors and numbers, in order.
        cell: the definition whose signals it reads; None if it reads none.
        samples: two shapes that its value at one step of one sequence can have, different where a length depends
            on the data; None where nothing is known of it.
        kind: "b" for truth values, "i" for integers, otherwise "f", as in NumPy's dtypes.
        origin: the line that wrote it.
    """

    op: Op | None = None
    inputs: tuple[Any, ...] = ()
    cell: Definition | None
    samples: Samples | None
    kind: str = "f"
    origin: Origin
    call: Call | None = None

    def written_as(self, name: str, *operands: Any, **options: Any) -> Any:
        """Return itself, after noting which call composed it; an operand that is returned as it is stays what it is."""
        if self.op is not None and not any(self is x for x in operands):
            self.call = Call(name, (*operands, *options.values()), tuple(options))
        return self

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the expression of `op` at every step, with shapes and axes as for one sequence."""
        for x in inputs:
            if hasattr(type(x), "missing_step"):
                raise x.missing_step()
        result = reflected(op, inputs)
        if result is not NotImplemented:
            return result
        inputs = tuple(map(step_number, inputs))
        if op is ADD and all(getattr(x, "kind", None) == "b" for x in inputs):
            op = ops.Compare(np.logical_or)  # which NumPy's + of truth values is
        if op is LOOKUP and isinstance(inputs[0], Expression):
            raise TypeError(f"{inputs[0]!r} differs from step to step, so {inputs[1]!r} can't index it (at "
                            f"{call_site()}). mg.one_hot({inputs[1]!r}, n) @ {inputs[0]!r} reads a row")
        if isinstance(op, ops.Gather) and isinstance(inputs[1], (int, np.integer)) and not isinstance(inputs[1], bool):
            op, inputs = ops.GetItem((Ellipsis, _class(inputs[0], int(inputs[1])))), inputs[:1]
        try:
            batch_op, operands = for_batch(op, inputs, [isinstance(x, Expression) for x in inputs], _inserted)
        except (ValueError, IndexError) as error:
            if isinstance(op, ops.GetItem) and inputs[0].ndim < 2 and isinstance(op.index, tuple):
                kind = "vector" if inputs[0].ndim else "number"
                raise IndexError(f"{inputs[0]!r} is a {kind} at each step: it takes one index, "
                                 f"not {op.index!r} (at {call_site()})") from None
            raise operation_error(error, op, _labelled(inputs)) from None
        return Apply(batch_op, operands, op)

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """Return a comparison at every step, a bool per element; no gradient passes."""
        if ufunc in (np.argmax, np.argmin):
            return Expression.apply((ops.ArgMax if ufunc is np.argmax else ops.ArgMin)(inputs[1]), inputs[0])
        return Expression.apply(ops.Compare(ufunc), *inputs)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Operators):
            raise TypeError(f"{self!r} can't be indexed by {index!r} (at {call_site()}): only rows of a Tensor can. "
                            f"mg.one_hot({index!r}, n) @ {self!r} picks an element of each step's value")
        return super().__getitem__(index)

    def detach(self) -> Any:
        """Return the same value as a constant: no gradient passes."""
        return self.apply(STOP_GRADIENT, self)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return whether any element differs from 0, of all or along axes."""
        return (self != 0).max(axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return whether all elements differ from 0, of all or along axes."""
        return (self != 0).min(axis, keepdims=keepdims)

    def __and__(self, other: Any) -> Any:
        return _connect(np.bitwise_and, "&", self, other)

    def __or__(self, other: Any) -> Any:
        return _connect(np.bitwise_or, "|", self, other)

    def __xor__(self, other: Any) -> Any:
        return _connect(np.bitwise_xor, "^", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        return _connect(np.invert, "~", self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc in CONNECTIVES and method == "__call__" and not options:
            return _connect(ufunc, f"np.{ufunc.__name__}", *inputs)
        return super().__array_ufunc__(ufunc, method, *inputs, **options)

    @staticmethod
    def numpy_function(function: Any, args: Any, kwargs: Any) -> Any:
        """Call what a NumPy function means for one sequence; its errors name the operands and the line."""
        try:
            if function is np.where and len(args) + len(kwargs) == 1:
                raise NeedsValuesError
            if function in FUNCTIONS:
                return FUNCTIONS[function](*args, **kwargs)
            return Operators.numpy_function(function, args, kwargs)
        except (TypeError, ValueError, IndexError) as error:
            raise _function_error(error, function, [*args, *kwargs.values()]) from None

    def astype(self, dtype: Any) -> Any:
        """Return the values as floats, as integers, cut towards 0, or as truth values."""
        if self.kind == "f" and np.dtype(dtype).kind == "f":
            return super().astype(dtype)
        try:
            return cast(self, dtype)
        except TypeError as error:
            raise function_error(error, "astype", _labelled((self,)), FOR_ONE) from None

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it has a value at each step (at {call_site()}). "
                        "mg.where chooses between two values")

    # ---- Python's and NumPy's protocols that need a value: each is an error with the user's line
    def _no_number(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} has a value at each step of a run, and none in an equation (at {call_site()}): "
                        "compute with operators and with np.* and mg.* functions. To look up rows of a table E, make "
                        f"it a Tensor: mg.Tensor(E)[{self!r}]")

    def _no_sequence(self, *arguments: Any) -> Any:
        raise TypeError(f"{self!r} can't be iterated over and has no len() (at {call_site()}): index it, "
                        f"e.g. {self!r}[0]; its shape is {shape_text(self.samples)}")

    def _no_assignment(self, *arguments: Any) -> Any:
        raise TypeError(f"elements of {self!r} can't be set (at {call_site()}): an equation gives all elements of a "
                        "signal, e.g. h[t] = np.concatenate([a[t], b[t]], axis=-1)")

    __float__ = __int__ = __complex__ = __index__ = __round__ = __array__ = _no_number
    __iter__ = __len__ = __contains__ = __reversed__ = _no_sequence
    __setitem__ = __delitem__ = _no_assignment

    def __getattr__(self, name: str) -> Any:
        if name in NEED_VALUES:
            raise AttributeError(f"{self!r} has no .{name}: it has a value only in a run (at {call_site()}). "
                                 "Take it from there, e.g. run['h'][3]")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def shape(self) -> Shape | None:
        """The shape of its value at one step of one sequence, e.g. `(8,)` or `()`; None if it depends on the data."""
        return known_shape(self.samples)

    @property
    def ndim(self) -> int:
        """The number of axes for one sequence; 1 as long as nothing is known of the shape."""
        return 1 if self.samples is None else len(self.samples[0])

    @property
    def label(self) -> str:
        """The expression as text."""
        return to_text(self)

    def __repr__(self) -> str:
        return self.label


# ---- leaves --------------------------------------------------------------------------------


class Read(Expression):
    """`signal[t + offset]`."""

    def __init__(self, signal: Signal, offset: int) -> None:
        self.signal = signal
        self.offset = offset
        self.cell = signal.cell
        self.origin = call_site()

    @property
    def samples(self) -> Samples | None:  # type: ignore[override]
        """The signal's, which may become known after it is read; until then those of a vector of any length."""
        return self.signal.samples or samples_of((None,))

    @property
    def text(self) -> tuple[str, int]:
        """Its text in a formula, and how tightly that binds."""
        return f"{self.signal.name}[{Time('t', self.offset)!r}]", ATOM


class StepNumber(Expression):
    """`t + offset` as a number, t = 1, 2, ...: masked steps don't count, and a carried state continues it."""

    cell = None
    samples = (), ()

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.origin = call_site()

    @property
    def text(self) -> tuple[str, int]:
        """Its text in a formula, and how tightly that binds."""
        return repr(Time("t", self.offset)), ADD.precedence if self.offset else ATOM


class Static(Expression):
    """A value for each sequence that is the same at all steps. Made by `Cell.static`.

    Attributes:
        name: the keyword of `unroll` for its values.
        lengths: the declared shape; None for a length that each unroll binds.
    """

    def __init__(self, cell: Definition, name: str, lengths: tuple[int | None, ...]) -> None:
        self.cell = cell
        self.name = name
        self.lengths = lengths
        self.origin = call_site()
        self.samples = samples_of(lengths)

    @property
    def text(self) -> tuple[str, int]:
        """Its text in a formula, and how tightly that binds."""
        return self.name, ATOM

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Time):
            raise TypeError(f"{self.name} has one value for each sequence, the same at all steps: write {self.name}, "
                            f"not {self.name}[{index!r}] (at {call_site()})")
        return super().__getitem__(index)

    def _no_assignment(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.name} is a static, whose value is given with the data, once for each sequence, so it "
                        f"can't be set (at {call_site()}). Declare it with .signal({self.name!r}, ...) to compute it")

    __setitem__ = __delitem__ = _no_assignment


# ---- operations ----------------------------------------------------------------------------


class Apply(Expression):
    """An operation on expressions, Tensors, arrays and numbers.

    Attributes:
        written: the operation as for one sequence, in the notation of the equation; None for one that is inserted
            between an operand and the operation, e.g. for its axes.

    Raises:
        ValueError: if the shapes don't fit, or signals of two definitions are mixed.
    """

    def __init__(self, op: Op, inputs: tuple[Any, ...], written: Op | None) -> None:
        self.op = op
        self.written = written
        self.origin = call_site()
        self.inputs = tuple(operand(x, op, self.origin, op.aligned or i in op.integer_inputs)
                            for i, x in enumerate(inputs))
        cells = {x.cell: x for x in self.inputs if isinstance(x, Expression) and x.cell is not None}
        if len(cells) > 1:
            names = ", ".join(f"{x!r} of {cell.name!r}" for cell, x in cells.items())
            raise ValueError(f"signals of different definitions in one expression (at {self.origin}): {names}")
        self.cell = next(iter(cells), None)
        if is_own(op):
            shapes = [x.shape if isinstance(x, (Expression, Tensor)) else () for x in self.inputs]
            refuse_mixing(op, self.inputs, shapes, [isinstance(x, Expression) for x in self.inputs], self.origin)
        # Products are shown as what they are for these operands: MatVec.
        self.samples = _result_samples(op, self.inputs, op if written is None or op.symbol == "@" else written)
        self.kind = _result_kind(op, self.inputs)

    @property
    def operands(self) -> tuple[Any, ...]:
        """The operands in the notation of the equation."""
        return tuple(x.inputs[0] if isinstance(x, Apply) and x.written is None else x for x in self.inputs)


def _inserted(op: Op, inputs: tuple[Any, ...]) -> Apply:
    """Return an operation that the equation doesn't show."""
    return Apply(op, inputs, None)


def _connect(ufunc: np.ufunc, symbol: str, *operands: Any) -> Any:
    """Return the connective of conditions. Signals and statics may hold truth values, other numbers don't.

    Raises:
        TypeError: for numbers.
    """
    for x in operands:
        kind = getattr(x, "kind", "b") if isinstance(x, (Expression, Tensor)) else np.asarray(x).dtype.kind
        if kind != "b" and not isinstance(x, (Read, Static)):
            raise TypeError(f"{symbol} combines conditions, and {x!r:.60} is a number (at {call_site()}): compare it, "
                            f"e.g. ({x!r:.60} > 0)")
    return Expression.compare(CONNECTIVES[ufunc], *operands)


def operand(x: Any, op: Op, origin: Origin, as_array: bool = False) -> Any:
    """Return an array as a Tensor; a number as one of Python's, so that it takes the other operand's dtype.

    A label, and a number that is joined with others, is an array too.
    """
    if isinstance(x, (Expression, Tensor)) or (type(x) in (bool, int, float) and not as_array):
        return x
    if hasattr(type(x), "missing_step"):
        raise x.missing_step()
    require_plain(x, type(op).__name__)
    array = np.array(x)
    if array.ndim == 0 and type(array.item()) in (bool, int, float) and not as_array:  # e.g. np.sqrt(3)
        return array.item()
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(op).__name__} takes signals, tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {origin}): {x!r:.60}")
    return constant(array)


def _class(scores: Any, label: int) -> int:
    """Return the same label for all steps and sequences, checked as an index of the scores."""
    count = getattr(scores, "shape", None)
    if label < 0 or (count and label >= count[-1]):
        raise IndexError(f"{label} is no class of {scores!r}: classes are 0 to {count[-1] - 1 if count else '...'} "
                         f"(at {call_site()})")
    return label


def is_static(expression: Expression) -> bool:
    """Return whether an expression is computed from statics and Tensors alone: the same at all steps."""
    return not any(isinstance(node, (Read, StepNumber)) for node in postorder([expression], _expression_inputs))


def _expression_inputs(node: Any) -> tuple[Any, ...]:
    return node.inputs if isinstance(node, Expression) else ()


# ---- shapes and kinds of values ------------------------------------------------------------


def samples_of(lengths: tuple[int | None, ...]) -> Samples:
    """Return two shapes with these lengths; for None they differ."""
    one, other = (tuple(stand_in if n is None else n for n in lengths) for stand_in in UNBOUND)
    return one, other


def known_shape(samples: Samples | None) -> Shape | None:
    """Return the shape if both samples have it."""
    return samples[0] if samples is not None and samples[0] == samples[1] else None


def shape_text(samples: Samples | None) -> str:
    """Return a shape in words, "(any, 3)" where a length isn't bound yet."""
    if samples is None:
        return "unknown"
    words = [str(n) if n == other else "any" for n, other in zip(*samples)]
    return f"({', '.join(words)}{',' * (len(words) == 1)})"


def _result_samples(op: Op, inputs: tuple[Any, ...], written: Op) -> Samples | None:
    """Return the shapes of the result for one sequence; None if nothing is known of that of an input.

    Raises:
        ValueError, TypeError, IndexError: if they don't fit; the error shows the operation as it was `written`.
    """
    shapes = [x.samples if isinstance(x, Expression) else (getattr(x, "shape", ()),) * 2 for x in inputs]
    if None in shapes:
        return None
    first, second = zip(*shapes)
    try:
        one = op.result_shape(*first)
        return one, one if second == first else op.result_shape(*second)
    except (ValueError, TypeError, IndexError) as error:
        if second != first:  # an open length, or one that follows from it, may have to be one of those that are known
            pairs = [list(zip(*samples)) for samples in zip(first, second)]
            for length in dict.fromkeys(n for shape in pairs for n, other in shape if n == other):
                with contextlib.suppress(ValueError, TypeError, IndexError):
                    one = op.result_shape(*(tuple(n if n == other else length for n, other in shape)
                                            for shape in pairs))
                    return one, one
            opened = "|".join(dict.fromkeys(str(n) for shape in pairs for n, other in shape if n != other))
            words = re.sub(rf"\b({opened})\b", "any", str(_as_for_one(error, written, inputs)))
            raise operation_error(type(error)(words), written, _labelled(inputs)) from None
        raise operation_error(_as_for_one(error, written, inputs), written, _labelled(inputs)) from None


def _as_for_one(error: Exception, written: Op, inputs: tuple[Any, ...]) -> Exception:
    """Return the error of the operation on its operands as they were written, without axes that were inserted."""
    operands = _without_inserted(inputs)
    if all(x is y for x, y in zip(operands, inputs)):
        return error
    try:
        written.result_shape(*(x.samples[0] if isinstance(x, Expression) and x.samples else np.shape(x)
                               for x in operands))
    except (ValueError, TypeError, IndexError) as found:
        return found
    return error


def _result_kind(op: Op, inputs: tuple[Any, ...]) -> str:
    """Return the kind of the result, by NumPy's rules for truth values and integers.

    Raises:
        TypeError: where NumPy has no such operation on truth values, e.g. a difference.
    """
    if all(getattr(x, "kind", "f") == "f" for x in inputs) and not isinstance(op, (ops.Compare, ops.ArgMax)):
        return "f"
    samples = [np.zeros((1,) * x.ndim, KINDS[getattr(x, "kind", "f")]) if isinstance(x, Expression) else
               np.zeros((1,) * x.ndim, x.dtype) if isinstance(x, Tensor) else x for x in inputs]
    try:
        with np.errstate(all="ignore"):
            return str(np.asarray(op.forward(*samples)).dtype.kind)
    except TypeError as error:
        if op.ufunc is None:  # not NumPy's, so it takes truth values as numbers
            return "f"
        raise operation_error(error, op, _labelled(inputs)) from None
    except (ValueError, IndexError):  # of shapes, which were checked
        return "f"


def operands_without_type(node: Expression) -> tuple[int, ...]:
    """Return the positions of the operands that are to be converted to the definition's type of floats.

    NumPy would choose another one for the result: float16 for tanh(x[t] > 0), and float64 for argmax(x[t]) / 2 and
    where(x[t] > 0, 0.1, 0.2). Products of truth values and floats exist in NumPy, but not in every target.
    """
    if node.kind != "f" or node.op is None:
        return ()
    choice = isinstance(node.op, ops.Where)
    values = [(place, x, getattr(x, "kind", "f")) for place, x in enumerate(node.inputs)
              if place not in node.op.integer_inputs and not (choice and place == 0)]
    typed = node.op.elementwise and any(kind == "f" and isinstance(x, (Expression, Tensor)) for _, x, kind in values)
    return tuple(place for place, x, kind in values
                 if kind == "i" or (not typed and (kind == "b" or (choice and type(x) is float))))


class NeedsValuesError(TypeError):
    """A function needs values, which an expression has only in a run."""


def _function_error(error: Exception, function: Any, args: Sequence[Any]) -> Exception:
    """Return the error of a NumPy function, with its name, its operands and the line unless it has the line."""
    name = called(function)
    operands = [x for arg in args for x in (arg if isinstance(arg, (list, tuple)) else [arg])
                if isinstance(x, (Expression, Tensor))]
    open_ones = [x for x in operands if isinstance(x, Expression) and x.shape is None]
    if open_ones and isinstance(error, TypeError) and "NoneType" in str(error):
        return TypeError(f"{name} needs all lengths of its operands when the equation is written, and "
                         f"{open_ones[0]!r} has shape {shape_text(open_ones[0].samples)} (at {call_site()}): declare "
                         "its lengths, or write it with operations that need none")
    if isinstance(error, NeedsValuesError) or "has no values yet, and this function" in str(error):
        what = _labelled(tuple(operands))
        shown = f"{what[0].label}, of shape {what[0].shape}, has" if what else "an expression has"
        return TypeError(f"{name} needs values, and {shown} none in an equation (at {call_site()}). "
                         f"{recipe_in_equations(name)}")
    if re.search(r"\bat \S+:\d+", str(error)):  # it has the line
        words = str(error).replace("For a result without gradient call it on x.data; for one with a gradient write",
                                   "Otherwise write")
        return error if words == str(error) else type(error)(words)
    return function_error(error, name, _labelled(tuple(operands)), FOR_ONE)


class Operand(NamedTuple):
    """An operand as an error names it."""

    label: str
    shape: str
    origin: Origin


def _labelled(inputs: tuple[Any, ...]) -> list[Any]:
    """Return operands as an error names them: shapes for one sequence, numbers and arrays as constants."""
    return [Operand(x.label, shape_text(x.samples), x.origin) if isinstance(x, Expression) else
            x if isinstance(x, Tensor) else constant(np.asarray(x)) for x in _without_inserted(inputs)]


def _without_inserted(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the operands that the equation shows in the place of operations that were inserted."""
    while any(isinstance(x, Apply) and x.written is None for x in inputs):
        inputs = tuple(x.inputs[0] if isinstance(x, Apply) and x.written is None else x for x in inputs)
    return inputs


# ---- time ----------------------------------------------------------------------------------


class Time(Operators):
    """`t` or `T`, and a whole number of steps from it: t-1, t, t+1; T+1.

    In arithmetic and comparisons, 0.3 * t or t % 2 == 0, `t` is the number of the step: see StepNumber.
    """

    def __init__(self, name: str, offset: int = 0) -> None:
        self.name = name
        self.offset = offset

    def __add__(self, steps: Any) -> Any:
        whole = _whole(steps)
        return super().__add__(steps) if whole is None else Time(self.name, self.offset + whole)

    def __radd__(self, steps: Any) -> Any:
        whole = _whole(steps)
        return super().__radd__(steps) if whole is None else Time(self.name, self.offset + whole)

    def __sub__(self, steps: Any) -> Any:
        whole = _whole(steps)
        return super().__sub__(steps) if whole is None else Time(self.name, self.offset - whole)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        steps = _whole(inputs[-1] if inputs[0] is self else inputs[0])  # NumPy's integers move t as Python's do
        if ufunc is np.add and steps is not None:
            return self + steps
        if ufunc is np.subtract and steps is not None and inputs[0] is self:
            return self - steps
        return super().__array_ufunc__(ufunc, method, *inputs, **options)

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the expression of `op` on the number of the step."""
        return Expression.apply(op, *inputs)

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """Return a comparison of the number of the step."""
        return Expression.compare(ufunc, *inputs)

    @staticmethod
    def numpy_function(function: Any, args: Any, kwargs: Any) -> Any:
        """Call a NumPy function on the number of the step."""
        return Expression.numpy_function(function, tuple(map(step_number, args)), kwargs)

    @property
    def shape(self) -> Shape:
        """That of a number."""
        return ()

    @property
    def ndim(self) -> int:
        """That of a number."""
        return 0

    def _refuse(self, *operands: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} stands for every step, and has no value here (at {call_site()}): it is an index, as "
                        "in h[t-1], or a number in an equation, as in 0.3 * t")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it stands for every step (at {call_site()}). "
                        "mg.where chooses between two values")

    __int__ = __float__ = __complex__ = __index__ = __round__ = __len__ = __iter__ = __array__ = _refuse
    __getitem__ = __contains__ = __setitem__ = _refuse

    def __repr__(self) -> str:
        return self.name + (f"{self.offset:+d}" if self.offset else "")


def _whole(steps: Any) -> int | None:
    """Return a whole number as an int; None for anything else."""
    try:
        return None if isinstance(steps, Operators) else operator.index(steps)
    except TypeError:
        return None


def step_number(x: Any) -> Any:
    """Return the expression for `t` with an offset; anything else unchanged."""
    if not isinstance(x, Time):
        return x
    if x.name != "t":
        raise TypeError(f"{x!r} isn't known in an equation (at {call_site()}): it marks the values after the last "
                        "step, h[T+1] = ...")
    return StepNumber(x.offset)


t = Time("t")
T = Time("T")
