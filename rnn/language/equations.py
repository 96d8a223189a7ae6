"""The language of recurrences: signals, expressions over them, equations, definitions.

    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

`x[t]` is an expression, operations on expressions give expressions, and assigning one to `h[t]` adds an
equation to the definition. Nothing is computed here: cycles.py checks whether a definition can be
computed, and rnn.unrolling computes it. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.conversion import require_plain
from minigrad.errors import operation_error
from minigrad.operators import MATMUL, MATVEC, VECDOT, Operators
from minigrad.provenance import Origin, call_site
from minigrad.tensor import constant

from .copying import flatten, rebuild
from .formula import to_text
from .own_operations import is_own, refuse_mixing
from .time import Time

Size = int | tuple[()] | None
Shape = tuple[int, ...]
# Attributes of Tensors and arrays that exist only where there are values.
NEED_VALUES = frozenset(("data", "dtype", "size", "grad", "requires_grad", "backward", "backward_steps", "detach",
                         "item", "numpy", "tolist", "copy", "any", "all"))


# ---- expressions ---------------------------------------------------------------------------


class Expression(Operators):
    """A value at each time step, e.g. `W @ x[t] + b`.

    Attributes:
        op: the operation; None for a signal that is read (see Read).
        inputs: expressions, Tensors, arrays and numbers, in order.
        cell: the definition whose signals it reads.
        shape: of its value at one step of one sequence, `(size,)` or `()`; None if it depends on the data.
        origin: the line that wrote it.
    """

    op: Op | None = None
    inputs: tuple[Any, ...] = ()
    cell: Definition
    shape: Shape | None
    origin: Origin

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the expression of `op` at every step. Inside an equation axis -1 is the vector, the only axis."""
        if any(isinstance(x, Signal) for x in inputs):
            raise _missing_step(inputs)
        return Apply(*_batch(op, inputs))

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """Raise TypeError: comparisons have no derivative, so no equation contains one."""
        raise TypeError(f"np.{ufunc.__name__} of {inputs[0]!r} can't be used in an equation (at {call_site()}): "
                        "a comparison has no derivative. np.maximum, mg.relu have one")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it has a value at each step (at {call_site()}). "
                        "mg.where chooses between two values")

    # ---- Python's and NumPy's protocols that need a value: each is an error with the user's line
    def _no_number(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} has a value at each step of a run, and none in an equation (at {call_site()}): "
                        "compute with operators and with np.* and mg.* functions. To look up rows of a table, give "
                        "one-hot data, x[t] @ E, or look them up outside, x=E[indices]")

    def _no_sequence(self, *arguments: Any) -> Any:
        raise TypeError(f"{self!r} can't be iterated over and has no len() (at {call_site()}): index it, "
                        f"e.g. {self!r}[0]; its shape is {self.shape}")

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
    def ndim(self) -> int:
        """1 for a vector, 0 for a number."""
        return 1 if self.shape is None else len(self.shape)

    @property
    def label(self) -> str:
        """The expression as text."""
        return to_text(self)

    def __repr__(self) -> str:
        return self.label


class Read(Expression):
    """`signal[t + offset]`."""

    def __init__(self, signal: Signal, offset: int) -> None:
        self.signal = signal
        self.offset = offset
        self.cell = signal.cell
        self.origin = call_site()

    @property
    def shape(self) -> Shape | None:  # type: ignore[override]
        """The signal's shape, which may become known after it is read."""
        return self.signal.shape


class Apply(Expression):
    """An operation on expressions, Tensors, arrays and numbers.

    Raises:
        ValueError: if the shapes don't fit, or signals of two definitions are mixed.
    """

    def __init__(self, op: Op, inputs: tuple[Any, ...]) -> None:
        self.op = op
        self.origin = call_site()
        self.inputs = tuple(_operand(x, op, self.origin, i in op.integer_inputs) for i, x in enumerate(inputs))
        cells = {x.cell: x for x in self.inputs if isinstance(x, Expression)}
        if len(cells) > 1:
            names = ", ".join(f"{x!r} of {cell.name!r}" for cell, x in cells.items())
            raise ValueError(f"signals of different definitions in one expression (at {self.origin}): {names}")
        self.cell = next(iter(cells))
        shapes = [x.shape if isinstance(x, (Expression, Tensor)) else () for x in self.inputs]
        if is_own(op):
            refuse_mixing(op, self.inputs, shapes, [isinstance(x, Expression) for x in self.inputs], self.origin)
        refuse_numbers(self, [getattr(x, "shape", ()) for x in self.inputs])
        self.shape = _result_shape(op, self.inputs)
        refuse_matrix(self, self.shape)


def _operand(x: Any, op: Op, origin: Origin, integer: bool = False) -> Any:
    """Return an array as a Tensor; a number as one of Python's, so that it takes the other operand's dtype.

    Where the operation takes an `integer`, such as a label, a number is an array too, and keeps its own dtype.
    """
    if isinstance(x, (Expression, Tensor)) or (type(x) in (bool, int, float) and not integer):
        return x
    if isinstance(x, Signal):
        raise _missing_step((x,))
    require_plain(x, type(op).__name__)
    array = np.array(x)
    if array.ndim == 0 and type(array.item()) in (bool, int, float) and not integer:  # e.g. np.sqrt(3)
        return array.item()
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(op).__name__} takes signals, tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {origin}): {x!r:.60}")
    return constant(array)


def _result_shape(op: Op, inputs: tuple[Any, ...]) -> Shape | None:
    """Return the shape of the result for one sequence; None if that of an input depends on the data."""
    shapes = [getattr(x, "shape", ()) for x in inputs]
    if None in shapes:
        return None
    try:
        return op.result_shape(*shapes)
    except (ValueError, TypeError, IndexError) as error:
        operands = [x if isinstance(x, (Expression, Tensor)) else constant(np.asarray(x)) for x in inputs]
        raise operation_error(error, op, operands) from None


def refuse_numbers(expression: Apply, shapes: Sequence[Shape | None]) -> None:
    """Raise ValueError for a number at each step whose last axis an operation takes: that would be the batch's.

    Args:
        shapes: of the operands, for one sequence; None if one isn't known yet.
    """
    op = expression.op
    for x, shape in zip(expression.inputs, shapes):
        takes_vectors = isinstance(op, ops.VecDot) or getattr(op, "axis", None) == -1
        if shape == () and isinstance(x, Expression) and takes_vectors:
            raise ValueError(f"{op!r} takes vectors (at {expression.origin}), and {x!r} is a number at each step: "
                             "it has no axis")


def refuse_matrix(expression: Any, shape: Shape | None) -> None:
    """Raise ValueError for a value of several axes at each step, which would broadcast against the batch.

    Args:
        expression: an Expression or a Tensor.
        shape: of its value for one sequence; None if it isn't known yet.
    """
    if shape is None or len(shape) < 2:
        return
    error = ValueError(f"{to_text(expression)} has shape {shape} at each step: in an equation a value is a vector or a "
                       "number, because the axes of the batch, which aren't written, come first. Write a product, "
                       "W @ x[t], or one vector of all elements")
    operands = [constant(np.asarray(x)) if np.isscalar(x) else x for x in expression.inputs]
    raise operation_error(error, expression.op or ops.Identity(), operands or [expression])


# ---- from one sequence to a batch of sequences ---------------------------------------------


def _batch(op: Op, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
    """Return the operation and inputs that compute `op` for each sequence, with batch axes in front.

    W @ x[t] becomes a matrix times each vector, x[t] @ y[t] the dot product of each pair.
    """
    if op is MATMUL:
        left, right = (isinstance(x, Expression) for x in inputs)
        if right:
            return (VECDOT if left or np.ndim(inputs[0]) == 1 else MATVEC), inputs
        return MATMUL, inputs
    if isinstance(op, ops.Gather) and isinstance(inputs[1], (int, np.integer)) and not isinstance(inputs[1], bool):
        return ops.GetItem((Ellipsis, _class(inputs[0], int(inputs[1])))), inputs[:1]
    if isinstance(op, ops.GetItem):
        index = op.index if isinstance(op.index, tuple) else (op.index,)
        parts = [part for part in index if part is not Ellipsis]
        if len(parts) == 1 and parts[0] is None and inputs[0].shape == ():  # a number as a vector of one element
            return ops.GetItem((Ellipsis, None)), inputs
        if len(parts) != 1 or parts[0] is None:
            kind = "number" if inputs[0].shape == () else "vector"
            raise IndexError(f"{inputs[0]!r} is a {kind} at each step: it takes one index, "
                             f"not {index!r} (at {call_site()})")
        return ops.GetItem((Ellipsis, parts[0])), inputs
    if not op.batchable:
        raise ValueError(f"{op!r} can't be used in an equation (at {call_site()}): a signal is a vector at each "
                         "step, its batch is implicit. np.concatenate(..., axis=-1) joins vectors")
    if op.elementwise and len(inputs) > 1:
        return op, _align_numbers(inputs)
    if getattr(op, "axis", -1) != -1:
        raise ValueError(f"{op!r} can't be used in an equation (at {call_site()}): inside one, axis=-1 is the vector "
                         "and there is no other axis (the batch is implicit). Write axis=-1")
    return op, inputs


def _class(scores: Any, label: int) -> int:
    """Return the same label for all steps and sequences, checked as an index of the scores."""
    count = getattr(scores, "shape", None)
    if label < 0 or (count and label >= count[-1]):
        raise IndexError(f"{label} is no class of {scores!r}: classes are 0 to {count[-1] - 1 if count else '...'} "
                         f"(at {call_site()})")
    return label


def _align_numbers(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Reshape numbers that are combined with vectors into vectors of one element.

    A batch of numbers has shape (batch,), which would broadcast against the elements of a vector.
    """
    if max((x.ndim if isinstance(x, Expression) else np.ndim(x)) for x in inputs) == 0:
        return inputs
    return tuple(Apply(ops.GetItem((Ellipsis, None)), (x,)) if isinstance(x, Expression) and x.shape == () else x
                 for x in inputs)


# ---- signals and equations -----------------------------------------------------------------


class Signal(Operators):
    """A vector (or a number) at each time step. Made by `Cell.input` and `Cell.signal`.

    Attributes:
        shape: `(size,)`, or `()` for a number; None if it isn't known yet.
        given: whether its values come with the data.
    """

    __hash__ = object.__hash__

    def __init__(self, cell: Definition, name: str, size: Size, given: bool, origin: Origin) -> None:
        self.cell = cell
        self.name = name
        self.shape: Shape | None = (size,) if isinstance(size, int) else size
        self.given = given
        self.origin = origin
        self.equation: Equation | None = None
        self.read_early: Origin | None = None  # the first read of it as a vector, before its size was known
        self.initial: dict[int, Tensor] = {}  # step (0, -1, ...) -> value before the sequence
        self.final: dict[int, Tensor] = {}  # k -> value at T + k, after the sequence

    def __getstate__(self) -> dict[str, Any]:
        """Return what a deep copy or a pickle keeps; the definition, which belongs to it, keeps the equation."""
        return {name: x for name, x in vars(self).items() if name not in ("equation", "initial", "final")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @property
    def lead(self) -> int:
        """k if its equation defines `signal[t + k]`; 0 without an equation."""
        return self.equation.lead if self.equation else 0

    def __getitem__(self, time: Any) -> Expression:
        if not isinstance(time, Time) or time.name != "t":
            raise TypeError(f"read {self.name} at a step relative to t, e.g. {self.name}[t-1], "
                            f"not {self.name}[{time!r}] (at {call_site()})")
        read = Read(self, time.offset)
        if self.shape is None and not self.given and self.read_early is None:
            self.read_early = read.origin
        return read

    def __setitem__(self, time: Any, value: Any) -> None:
        if isinstance(time, Time) and time.name == "t":
            self.define(time.offset, value, call_site())
        elif isinstance(time, Time):
            self.final[time.offset] = self.boundary(repr(time), value, call_site())
        elif isinstance(time, (int, np.integer)) and not isinstance(time, bool):
            self.initial[int(time)] = self.boundary(repr(time), value, call_site())
        else:
            raise TypeError(f"{self.name}[{time!r}] can't be set: {self.name}[t] = ... is an equation, "
                            f"{self.name}[0] = ... an initial value (at {call_site()})")
        self.cell.version += 1

    @staticmethod
    def apply(op: Any, *inputs: Any) -> Any:
        """Raise TypeError: a formula reads a signal at a step."""
        raise _missing_step(inputs)

    compare = apply  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"the signal {self.name} has no values yet: read {self.name}[t] in an equation, "
                        f"or take run[...] of an unrolled one (at {call_site()})")

    def _without_step(self, *arguments: Any, **options: Any) -> Any:
        raise _missing_step((self,))

    __float__ = __int__ = __complex__ = __index__ = __round__ = __array__ = _without_step
    __len__ = __contains__ = __reversed__ = __call__ = _without_step

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name in NEED_VALUES:
            raise AttributeError(f"the signal {self.name} has no .{name}: it has values only in a run, "
                                 f"run[{self.name!r}] (at {call_site()})")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delitem__(self, time: Any) -> None:
        raise TypeError(f"{self.name}[{time!r}] can't be removed from a definition (at {call_site()}): "
                        "write a new definition")

    def define(self, lead: int, value: Any, origin: Origin) -> None:
        """Add the equation `signal[t + lead] = value`; an invalid one changes nothing.

        Raises:
            ValueError: for an input, a second equation, another definition's signals, a wrong shape.
        """
        if self.given:
            raise ValueError(f"{self.name} is an input: its values are given, so it has no equation (at {origin}). "
                             f"Declare it with {self.cell.name}.signal(...) to compute it")
        if self.equation is not None:
            raise ValueError(f"{self.name} is defined twice: at {self.equation.origin} and at {origin}. "
                             "Give the second one a name of its own")
        expression = value if isinstance(value, Expression) else _operand(value, ops.Identity(), origin)
        if isinstance(expression, Expression) and expression.cell is not self.cell:
            raise ValueError(f"{self.name} belongs to {self.cell.name!r}, but its equation reads signals of "
                             f"{expression.cell.name!r} (at {origin})")
        equation = Equation(self, lead, expression, origin)
        shape = getattr(expression, "shape", None)  # a plain number fits every size
        refuse_matrix(expression, shape)
        if shape is not None:
            self._check_shape(f"the equation {equation!r}", shape, shape, origin)
            self.refuse_early_read(shape)
            self.shape = shape
        self.equation = equation
        self.cell.equations.append(equation)

    def refuse_early_read(self, shape: Shape) -> None:
        """Raise ValueError if the signal turns out to be a number after an equation has read it as a vector."""
        if self.read_early is not None and shape == ():
            raise ValueError(f"{self.name} is a number at each step, and was read at {self.read_early} before that was "
                             f"known: declare it, .signal({self.name!r}, ()) at {self.origin}")

    def boundary(self, time: str, value: Any, origin: Origin) -> Tensor:
        """Return a value before or after the sequence, a Tensor, an array or a number, as a Tensor.

        Raises:
            TypeError: for any other type. ValueError: if its shape isn't the signal's, after batch axes.
        """
        tensor = value
        if not isinstance(value, Tensor):
            array = np.array(None if isinstance(value, Operators) else value)
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{self.name}[{time}] is one fixed value: a Tensor, an array or a number, "
                                f"not {value!r:.60} (at {origin})")
            tensor = constant(array.astype(float), None, origin)
        if tensor.ndim and self.shape is not None:
            without_batch = tensor.shape[max(tensor.ndim - len(self.shape), 0):]
            self._check_shape(f"the value {self.name}[{time}]", tensor.shape, without_batch, origin)
        return tensor  # type: ignore[no-any-return]

    def _check_shape(self, subject: str, shape: Shape, without_batch: Shape, origin: Origin) -> None:
        if self.shape is not None and without_batch != self.shape:
            raise ValueError(f"{subject} has shape {shape} (at {origin}), but {self.name} was declared at "
                             f"{self.origin} with size {self.shape[0] if self.shape else '()'}")

    def __repr__(self) -> str:
        return f"<signal {self.name} of {self.cell.name!r}  {self.origin}>"


def _missing_step(inputs: tuple[Any, ...]) -> TypeError:
    name = next(x.name for x in inputs if isinstance(x, Signal))
    return TypeError(f"the signal {name} has a value at each step: write {name}[t] (at {call_site()})")


def _inputs(node: Any) -> tuple[Any, ...]:
    """Return what a node of an expression is computed from, but not the graph of a run."""
    closed = isinstance(node, Tensor) and node.t is not None
    return () if closed else getattr(node, "inputs", ())


@dataclass(frozen=True, eq=False)
class Equation:
    """`signal[t + lead] = expression`, and the line that wrote it."""

    signal: Signal
    lead: int
    expression: Any
    origin: Origin

    def __repr__(self) -> str:
        return f"{self.signal.name}[{Time('t', self.lead)!r}] = {to_text(self.expression)}"


class Definition:
    """Signals and the equations between them, cyclic or not.

    Args:
        name: of the definition, in messages and pictures.

    Attributes:
        signals: every signal by name, in the order of declaration.
        equations: every equation, in the order of writing.
        version: the number of changes so far.
        tied: tensors that a layer has in common with another one, by the name that they have in this layer.
    """

    def __init__(self, name: str = "cell") -> None:
        self.name = str(name)
        self.signals: dict[str, Signal] = {}
        self.equations: list[Equation] = []
        self.version = 0
        self.tied: dict[str, Tensor] = {}

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo, if there is an error in this context, the signals and equations that it added."""
        signals, equations, tied = self.signals.copy(), self.equations.copy(), self.tied.copy()
        try:
            yield
        except BaseException:
            self.signals, self.equations, self.tied = signals, equations, tied
            self.version += 1
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Return what a deep copy or a pickle keeps: everything, the expressions as a flat list (see copying.py)."""
        boundaries = [(signal, kind, step, value) for signal in self.signals.values() for kind in ("initial", "final")
                      for step, value in getattr(signal, kind).items()]
        rows, numbers = flatten([*(equation.expression for equation in self.equations), *(x[3] for x in boundaries)],
                                _inputs)
        return {**vars(self), "rows": rows,
                "equations": [(x.signal, x.lead, numbers[id(x.expression)], x.origin) for x in self.equations],
                "boundaries": [(signal, kind, step, numbers[id(value)]) for signal, kind, step, value in boundaries]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        nodes, boundaries = rebuild(state.pop("rows")), state.pop("boundaries")
        vars(self).update(state)
        for signal in self.signals.values():
            signal.equation, signal.initial, signal.final = None, {}, {}
        self.equations = [Equation(signal, lead, nodes[number], origin)
                          for signal, lead, number, origin in state["equations"]]
        for equation in self.equations:
            equation.signal.equation = equation
        for signal, kind, step, number in boundaries:
            getattr(signal, kind)[step] = nodes[number]

    def __copy__(self) -> Definition:
        """Return a second definition with the same signals and equations; copy.deepcopy copies these too."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def input(self, name: str, size: Size = None) -> Signal:
        """Declare a signal whose values x[1], x[2], ... are given with the data.

        Args:
            name: the keyword of `unroll` for its values; for the name of an option, unroll(inputs={name: ...}).
            size: length of the vector; () for one number a step; None to take it from the data.

        Raises:
            ValueError: if the name is taken, begins with "~", or can't be written as text.
        """
        return self._declare(name, size, given=True)

    def signal(self, name: str, size: Size = None) -> Signal:
        """Declare a signal that an equation defines.

        Args:
            name: of the signal, in equations, messages, pictures and `run[name]`.
            size: length of the vector; () for one number a step; None to take it from the equation,
                which requires that nothing reads the signal with a delay.

        Raises:
            ValueError: if the name is taken, begins with "~", or can't be written as text.
        """
        return self._declare(name, size, given=False)

    def _declare(self, name: str, size: Any, given: bool) -> Signal:
        origin = call_site()
        if not isinstance(name, str) or not name:
            raise TypeError(f"a signal's name is a string that isn't empty, not {name!r} (at {origin})")
        if name.startswith("~"):
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): names that begin with '~' stand for "
                             "masks and random draws")
        if any(x == "\0" or "\ud800" <= x <= "\udfff" for x in name):
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): no file and no terminal can contain a "
                             "null character or half of a surrogate pair")
        if name in self.signals:
            raise ValueError(f"there are two signals named {name!r}: declared at "
                             f"{self.signals[name].origin} and at {origin}")
        if size is not None and not (isinstance(size, tuple) and size == ()):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"the size of {name} is a positive whole number, not {size!r} (at {origin})")
            size = int(size)
        signal = self.signals[name] = Signal(self, name, size, given, origin)
        self.version += 1
        return signal

    def __repr__(self) -> str:
        lines = [f"<{type(self).__name__} {self.name!r}: {len(self.equations)} equations>"]
        lines += [f"  {equation!r}    {equation.origin}" for equation in self.equations]
        return "\n".join(lines)
