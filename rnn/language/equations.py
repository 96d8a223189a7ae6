"""The language: Definition, t, signals and expressions.

    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

Indexing a signal with `t` gives an expression; operations on it give expressions; assigning one
to `signal[t]` writes an equation. Nothing is computed: whether it can be is for analysis.py to
say, and unroll.py does it. This room knows neither loops nor the length of a sequence.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.errors import operation_error
from minigrad.operators import MATMUL, MATVEC, VECDOT, Operators
from minigrad.provenance import Origin, call_site
from minigrad.tensor import constant

from .formula import written

# A signal of such a name could not be told from an option of unroll().
Size = int | tuple[()] | None


class Time:
    """`t` or `T`, and a whole number of steps from it: t-1, t, t+1; T+1."""

    def __init__(self, name: str, offset: int = 0) -> None:
        self.name = name
        self.offset = offset

    def __add__(self, steps: Any) -> Time:
        return Time(self.name, self.offset + _whole(self, steps))

    __radd__ = __add__

    def __sub__(self, steps: Any) -> Time:
        return Time(self.name, self.offset - _whole(self, steps))

    def __repr__(self) -> str:
        return self.name + (f"{self.offset:+d}" if self.offset else "")


def _whole(time: Time, steps: Any) -> int:
    try:
        return operator.index(steps)
    except TypeError:
        raise TypeError(f"{time!r} can be moved by a whole number of steps, e.g. t-1, "
                        f"not by {steps!r} (at {call_site()})") from None


t = Time("t")
T = Time("T")


class Expression(Operators):
    """Something that has a value at each time step, e.g. `W @ x[t] + b`.

    Attributes:
        op: the operation, or None where this is a signal read at some step (see Read).
        inputs: expressions, Tensors, arrays and numbers, in order.
        cell: the definition whose signals it reads.
        shape: the shape of its value at one step of one sequence, `(size,)`, or `()` for a number;
            None where it isn't known before the data are.
        origin: where it was written.
    """

    op: Op | None = None
    inputs: tuple[Any, ...] = ()
    cell: Definition
    shape: tuple[int, ...] | None
    origin: Origin

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """`op` at every step. Inside an equation axis -1 is the vector; there is no other."""
        return Apply(*_for_vectors(op, inputs))

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """Comparisons have no derivative and so no place in an equation."""
        raise TypeError(f"np.{ufunc.__name__} of {inputs[0]!r} can't stand in an equation (at {call_site()}): "
                        "a comparison has no derivative. np.maximum, mg.relu have one")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it has a value at each step (at {call_site()}). "
                        "mg.where chooses between two values")

    @property
    def ndim(self) -> int:
        """1 for a vector, 0 for a number."""
        return 1 if self.shape is None else len(self.shape)

    @property
    def label(self) -> str:
        """The expression as text."""
        return written(self)

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
    def shape(self) -> tuple[int, ...] | None:  # type: ignore[override]
        """The signal's: it may become known after it is read."""
        return self.signal.shape


class Apply(Expression):
    """An operation on expressions, Tensors, arrays and numbers.

    Raises:
        ValueError: where the sizes don't fit, or signals of two definitions are mixed.
    """

    def __init__(self, op: Op, inputs: tuple[Any, ...]) -> None:
        self.op = op
        self.origin = call_site()
        self.inputs = tuple(_constant(x, op, self.origin) for x in inputs)
        cells = {x.cell: x for x in self.inputs if isinstance(x, Expression)}
        if len(cells) > 1:
            names = ", ".join(f"{x!r} of {cell.name!r}" for cell, x in cells.items())
            raise ValueError(f"signals of different definitions in one expression (at {self.origin}): {names}")
        self.cell = next(iter(cells))
        self.shape = _shape(op, self.inputs)


def _constant(x: Any, op: Op, origin: Origin) -> Any:
    """Arrays as Tensors; numbers as they are, so that they take their partners' dtype."""
    if isinstance(x, (Expression, Tensor, int, float)):
        return x
    if isinstance(x, Signal):
        raise _without_step((x,))
    array = np.array(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(op).__name__} takes signals, tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {origin}): {x!r:.60}")
    return constant(array)


def _for_vectors(op: Op, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
    """What the notation of one vector means where the value is a batch of vectors.

    W @ x[t] is a matrix times each vector, x[t] @ y[t] their dot product, x[t][:3] a part of each.
    """
    if op is MATMUL:
        left, right = (isinstance(x, Expression) for x in inputs)
        if left and right:
            return VECDOT, inputs
        if right and np.ndim(inputs[0]) == 1:
            return VECDOT, inputs
        return (MATVEC if right else MATMUL), inputs
    if isinstance(op, ops.GetItem):
        index = op.index if isinstance(op.index, tuple) else (op.index,)
        parts = [part for part in index if part is not Ellipsis]
        if len(parts) != 1 or parts[0] is None:
            raise IndexError(f"{inputs[0]!r} is a vector at each step: it takes one index, "
                             f"not {index!r} (at {call_site()})")
        return ops.GetItem((Ellipsis, parts[0])), inputs
    if isinstance(op, (ops.Reshape, ops.Transpose, ops.BroadcastTo, ops.Stack, ops.EinSum, ops.Pad)):
        raise ValueError(f"{op!r} can't stand in an equation (at {call_site()}): a signal is a vector at each "
                         "step, its batch is implicit. np.concatenate(..., axis=-1) joins vectors")
    if isinstance(op, BROADCASTING):
        return op, _aligned(inputs)
    if getattr(op, "axis", -1) != -1:
        raise ValueError(f"{op!r} can't stand in an equation (at {call_site()}): inside one, axis=-1 is the vector "
                         "and there is no other axis (the batch is implicit). Write axis=-1")
    return op, inputs


BROADCASTING = (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where)


def _aligned(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A number at each step beside a vector, as a vector of one: its batch isn't the other's elements."""
    if max((x.ndim if isinstance(x, Expression) else np.ndim(x)) for x in inputs) == 0:
        return inputs
    return tuple(Apply(ops.GetItem((Ellipsis, None)), (x,)) if isinstance(x, Expression) and x.shape == () else x
                 for x in inputs)


def _shape(op: Op, inputs: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The shape of the result for one sequence, by computing it once, on zeros."""
    if isinstance(op, ops.DropoutMask):  # to compute it would draw from its generator
        return getattr(inputs[0], "shape", ())
    samples = []
    for position, x in enumerate(inputs):
        if not isinstance(x, Expression):
            samples.append(x.numpy() if isinstance(x, Tensor) else np.asarray(x))
        elif x.shape is None:
            return None
        else:
            is_label = isinstance(op, ops.Gather) and position == 1
            samples.append(np.zeros(x.shape, int if is_label else float))
    try:
        with np.errstate(all="ignore"):
            result: tuple[int, ...] = np.shape(op.forward(*samples))
            return result
    except (ValueError, TypeError, IndexError) as error:
        named = [x if isinstance(x, (Expression, Tensor)) else constant(np.asarray(x)) for x in inputs]
        raise operation_error(error, op, named) from None


class Signal(Operators):
    """A vector (or a number) at each time step. Made by `Cell.input` and `Cell.signal`."""

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __init__(self, cell: Definition, name: str, size: Size, given: bool, origin: Origin) -> None:
        self.cell = cell
        self.name = name
        self.shape: tuple[int, ...] | None = (size,) if isinstance(size, int) else size
        self.given = given
        self.origin = origin
        self.equation: Equation | None = None
        self.initial: dict[int, Tensor] = {}  # step (0, -1, ...) -> value before the sequence
        self.final: dict[int, Tensor] = {}  # k -> value at T + k, after the sequence

    def __getitem__(self, time: Any) -> Expression:
        if not isinstance(time, Time) or time.name != "t":
            raise TypeError(f"read {self.name} at a step relative to t, e.g. {self.name}[t-1], "
                            f"not {self.name}[{time!r}] (at {call_site()})")
        return Read(self, time.offset)

    def __setitem__(self, time: Any, value: Any) -> None:
        if isinstance(time, Time) and time.name == "t":
            self.define(time.offset, value, call_site())
        elif isinstance(time, Time):
            self.final[time.offset] = self.boundary(repr(time), value, call_site())
        elif isinstance(time, (int, np.integer)):
            self.initial[int(time)] = self.boundary(repr(time), value, call_site())
        else:
            raise TypeError(f"{self.name}[{time!r}] can't be set: {self.name}[t] = ... is an equation, "
                            f"{self.name}[0] = ... an initial value (at {call_site()})")
        self.cell.version += 1

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """A signal without its step can't stand in a formula."""
        raise _without_step(inputs)

    @staticmethod
    def compare(ufunc: np.ufunc, *inputs: Any) -> Any:
        """A signal without its step can't be compared."""
        raise _without_step(inputs)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"the signal {self.name} has no values yet: read {self.name}[t] in an equation, "
                        "or take run[...] of an unrolled one")

    def define(self, lead: int, value: Any, origin: Origin) -> None:
        """Write the equation `signal[t + lead] = value`; nothing changes where it is wrong."""
        if self.given:
            raise ValueError(f"{self.name} is an input: its values are given, so it has no equation (at {origin}). "
                             f"Declare it with {self.cell.name}.signal(...) to compute it")
        if self.equation is not None:
            raise ValueError(f"{self.name} is defined twice: at {self.equation.origin} and at {origin}. "
                             "Give the second one a name of its own")
        expression = value if isinstance(value, Expression) else _constant(value, ops.Identity(), origin)
        if isinstance(expression, Expression) and expression.cell is not self.cell:
            raise ValueError(f"{self.name} belongs to {self.cell.name!r}, but its equation reads signals of "
                             f"{expression.cell.name!r} (at {origin})")
        shape = getattr(expression, "shape", None)  # a plain number fits every size
        if shape is not None:
            self._fit(shape, False, f"the equation {self.name}[{Time('t', lead)!r}] = {_text(expression)}", origin)
            self.shape = shape
        self.equation = Equation(self, lead, expression, origin)
        self.cell.equations.append(self.equation)

    def boundary(self, time: str, value: Any, origin: Origin) -> Tensor:
        """A value before or after the sequence, checked: a Tensor, an array or a number.

        Raises:
            TypeError: where it is none of these. ValueError: where its size isn't the signal's.
        """
        tensor = value
        if not isinstance(value, Tensor):
            array = np.array(None if isinstance(value, Operators) else value)
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{self.name}[{time}] is one fixed value: a Tensor, an array or a number, "
                                f"not {value!r:.60} (at {origin})")
            tensor = constant(array.astype(float), None, origin)
        if tensor.ndim:
            self._fit(tensor.shape, True, f"the value {self.name}[{time}]", origin)
        return tensor  # type: ignore[no-any-return]

    def _fit(self, shape: tuple[int, ...], batch: bool, what: str, origin: Origin) -> None:
        """Check that a value of `shape`, perhaps with a batch before it, can be this signal's."""
        wanted = self.shape
        if wanted is None:
            return
        own = shape[max(len(shape) - len(wanted), 0):] if batch else shape
        if own != wanted:
            raise ValueError(f"{what} has shape {shape} (at {origin}), but {self.name} was declared at "
                             f"{self.origin} with size {wanted[0] if wanted else '()'}")

    def __repr__(self) -> str:
        return f"<signal {self.name} of {self.cell.name!r}  {self.origin}>"


def _without_step(inputs: tuple[Any, ...]) -> TypeError:
    name = next(x.name for x in inputs if isinstance(x, Signal))
    return TypeError(f"the signal {name} has a value at each step: write {name}[t] (at {call_site()})")


def _text(x: Any) -> str:
    return written(x)


@dataclass(frozen=True, eq=False)
class Equation:
    """`signal[t + lead] = expression`, and the line it stands on."""

    signal: Signal
    lead: int
    expression: Any
    origin: Origin

    def __repr__(self) -> str:
        return f"{self.signal.name}[{Time('t', self.lead)!r}] = {_text(self.expression)}"


class Definition:
    """A definition: signals and the equations between them, cyclic or not.

    Args:
        name: how messages and pictures call it.

    Attributes:
        signals: every signal by name, in the order of declaration.
        equations: every equation, in the order of writing.
        version: how often something was written into it.
        reserved_names: names that no signal may have.
    """

    reserved_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str = "cell") -> None:
        self.name = str(name)
        self.signals: dict[str, Signal] = {}
        self.equations: list[Equation] = []
        self.version = 0

    def input(self, name: str, size: Size = None) -> Signal:
        """A signal whose values x[1], x[2], ... are given with the data.

        Args:
            name: the keyword of `unroll` that brings its values.
            size: length of the vector; () for one number a step; None to take it from the data.

        Raises:
            ValueError: where the name is taken, or is an option of unroll.
        """
        return self._declare(name, size, given=True)

    def signal(self, name: str, size: Size = None) -> Signal:
        """A signal that an equation defines.

        Args:
            name: how equations, messages, pictures and `run[name]` call it.
            size: length of the vector; () for one number a step; None to take it from the equation,
                which works where nothing reads the signal with a delay.

        Raises:
            ValueError: where the name is taken, or is an option of unroll.
        """
        return self._declare(name, size, given=False)

    def _declare(self, name: str, size: Any, given: bool) -> Signal:
        origin = call_site()
        if not isinstance(name, str) or not name:
            raise TypeError(f"a signal's name is a string that isn't empty, not {name!r} (at {origin})")
        if name in self.reserved_names:
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): it is an option of unroll()")
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
