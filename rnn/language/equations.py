"""The language of recurrences: signals, expressions over them, equations, definitions.

    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

`x[t]` is an expression, operations on expressions give expressions, and assigning one to `h[t]` adds an
equation to the definition. Nothing is computed here: cycles.py checks whether a definition can be
computed, and rnn.unrolling computes it. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.errors import operation_error
from minigrad.operators import ADD, LOOKUP, STOP_GRADIENT, Operators
from minigrad.provenance import Origin, call_site
from minigrad.tensor import constant

from .batching import for_batch
from .formula import ATOM, to_text
from .graphs import postorder

Shape = tuple[int, ...]
Size = int | Shape | None
Samples = tuple[Shape, Shape]


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

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the expression of `op` on the number of the step."""
        return Expression.apply(op, *map(_step_number, inputs))

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """Return a comparison of the number of the step."""
        return Expression.compare(ufunc, *map(_step_number, inputs))

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it stands for every step (at {call_site()})")

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(f"{self!r} has no elements (at {call_site()})")

    def __repr__(self) -> str:
        return self.name + (f"{self.offset:+d}" if self.offset else "")


def _whole(steps: Any) -> int | None:
    """Return a whole number as an int; None for anything else."""
    try:
        return None if isinstance(steps, Operators) else operator.index(steps)
    except TypeError:
        return None


def _step_number(x: Any) -> Any:
    """Return the expression for `t` with an offset; anything else unchanged."""
    if not isinstance(x, Time):
        return x
    if x.name != "t":
        raise TypeError(f"{x!r} isn't known in an equation (at {call_site()}): it marks the values after the last "
                        "step, h[T+1] = ...")
    return StepNumber(x.offset)


t = Time("t")
T = Time("T")


# ---- expressions ---------------------------------------------------------------------------


class Expression(Operators):
    """A value at each time step, e.g. `W @ x[t] + b`.

    Attributes:
        op: the operation; None for a signal that is read (see Read).
        inputs: expressions, Tensors, arrays and numbers, in order.
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

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the expression of `op` at every step, with axes as for one sequence."""
        inputs = tuple(map(_step_number, inputs))
        if op is ADD and all(getattr(x, "kind", None) == "b" for x in inputs):
            op = ops.Compare(np.logical_or)  # which NumPy's + of truth values is
        if op is LOOKUP and isinstance(inputs[0], Expression):
            raise TypeError(f"{inputs[0]!r} differs from step to step, so {inputs[1]!r} can't index it (at "
                            f"{call_site()}). mg.one_hot({inputs[1]!r}, n) @ {inputs[0]!r} reads a row")
        try:
            batch_op, operands = for_batch(op, inputs, [isinstance(x, Expression) for x in inputs], Apply)
        except (ValueError, IndexError) as error:
            if isinstance(op, ops.GetItem) and inputs[0].ndim == 1 and isinstance(op.index, tuple):
                raise IndexError(f"{inputs[0]!r} is a vector at each step: it takes one index, "
                                 f"not {op.index!r} (at {call_site()})") from None
            raise operation_error(error, op, _labelled(inputs)) from None
        return Apply(batch_op, operands, (op, inputs))

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

    def __and__(self, other: Any) -> Any:
        return self.compare(np.logical_and, self, other)

    def __or__(self, other: Any) -> Any:
        return self.compare(np.logical_or, self, other)

    def __xor__(self, other: Any) -> Any:
        return self.compare(np.logical_xor, self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        return self.compare(np.logical_not, self)

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is neither true nor false: it has a value at each step (at {call_site()}). "
                        "mg.where chooses between two values")

    @property
    def shape(self) -> Shape | None:
        """The shape of its value at one step of one sequence, e.g. `(8,)` or `()`; None if it depends on the data."""
        return _known(self.samples)

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


class Read(Expression):
    """`signal[t + offset]`."""

    def __init__(self, signal: Signal, offset: int) -> None:
        self.signal = signal
        self.offset = offset
        self.cell = signal.cell
        self.origin = call_site()

    @property
    def text(self) -> tuple[str, int]:
        """Its text in a formula, and how tightly that binds."""
        return f"{self.signal.name}[{Time('t', self.offset)!r}]", ATOM

    @property
    def samples(self) -> Samples | None:  # type: ignore[override]
        """The signal's, which may become known after it is read."""
        return self.signal.samples


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
        self.samples = _samples(lengths)

    @property
    def text(self) -> tuple[str, int]:
        """Its text in a formula, and how tightly that binds."""
        return self.name, ATOM

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Time):
            raise TypeError(f"{self.name} has one value for each sequence, the same at all steps: write {self.name}, "
                            f"not {self.name}[{index!r}] (at {call_site()})")
        return super().__getitem__(index)


UNBOUND = 101, 103  # two lengths in the place of one that isn't bound yet


class Apply(Expression):
    """An operation on expressions, Tensors, arrays and numbers.

    Attributes:
        written: the operation and the operands as for one sequence, in the notation of the equation.

    Raises:
        ValueError: if the shapes don't fit, or signals of two definitions are mixed.
    """

    def __init__(self, op: Op, inputs: tuple[Any, ...], written: tuple[Op, tuple[Any, ...]] | None = None) -> None:
        self.op = op
        self.written = written or (op, inputs)
        self.origin = call_site()
        self.inputs = tuple(_operand(x, op, self.origin) for x in inputs)
        cells = {x.cell: x for x in self.inputs if isinstance(x, Expression) and x.cell is not None}
        if len(cells) > 1:
            names = ", ".join(f"{x!r} of {cell.name!r}" for cell, x in cells.items())
            raise ValueError(f"signals of different definitions in one expression (at {self.origin}): {names}")
        self.cell = next(iter(cells), None)
        self.samples = _result_samples(op, self.inputs)
        self.kind = _result_kind(op, self.inputs)


def _operand(x: Any, op: Op, origin: Origin) -> Any:
    """Return an array as a Tensor; a number unchanged, so that it takes the other operand's dtype."""
    if isinstance(x, (Expression, Tensor, int, float)):
        return x
    if isinstance(x, Signal):
        raise _missing_step((x,))
    array = np.array(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(op).__name__} takes signals, tensors, arrays and real numbers, "
                        f"not {type(x).__name__} (at {origin}): {x!r:.60}")
    return constant(array)


def _result_samples(op: Op, inputs: tuple[Any, ...]) -> Samples | None:
    """Return the shapes of the result for one sequence; None if nothing is known of that of an input."""
    shapes = [x.samples if isinstance(x, Expression) else (getattr(x, "shape", ()),) * 2 for x in inputs]
    if None in shapes:
        return None
    first, second = zip(*shapes)  # type: ignore[arg-type]
    try:
        one = op.result_shape(*first)
        return one, one if second == first else op.result_shape(*second)
    except (ValueError, TypeError, IndexError) as error:
        if second != first:  # an open length may have to be one of those that are known
            for length in dict.fromkeys(n for shape in first for n in shape if n != UNBOUND[0]):
                with contextlib.suppress(ValueError, TypeError, IndexError):
                    fitted = ([length if n == UNBOUND[0] else n for n in shape] for shape in first)
                    one = op.result_shape(*map(tuple, fitted))
                    return one, one
        raise operation_error(error, op, _labelled(inputs)) from None


def _samples(lengths: tuple[int | None, ...]) -> Samples:
    """Return two shapes with these lengths; for None they differ."""
    one, other = (tuple(stand_in if n is None else n for n in lengths) for stand_in in UNBOUND)
    return one, other


def _known(samples: Samples | None) -> Shape | None:
    """Return the shape if both samples have it."""
    return samples[0] if samples is not None and samples[0] == samples[1] else None


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
        raise operation_error(error, op, _labelled(inputs)) from None
    except (ValueError, IndexError):  # of shapes, which were checked
        return "f"


KINDS = {"f": float, "i": np.int64, "b": bool}


def is_static(expression: Expression) -> bool:
    """Return whether an expression is computed from statics and Tensors alone: the same at all steps."""
    return not any(isinstance(node, (Read, StepNumber)) for node in postorder([expression], _expression_inputs))


def _expression_inputs(node: Any) -> tuple[Any, ...]:
    return node.inputs if isinstance(node, Expression) else ()


def _labelled(inputs: tuple[Any, ...]) -> list[Any]:
    """Return operands as an error names them: numbers and arrays as constants."""
    return [x if isinstance(x, (Expression, Tensor)) else constant(np.asarray(x)) for x in inputs]


# ---- signals and equations -----------------------------------------------------------------


class Signal(Operators):
    """A vector, a number or any array at each time step. Made by `Cell.input` and `Cell.signal`.

    Attributes:
        samples: two shapes that a value of one sequence can have; see Expression.
        given: whether its values come with the data.
    """

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __init__(self, cell: Definition, name: str, size: Shape | None, given: bool, origin: Origin) -> None:
        self.cell = cell
        self.name = name
        self.samples: Samples | None = (size, size) if size is not None else _samples((None,)) if given else None
        self.given = given
        self.origin = origin
        self.equation: Equation | None = None
        self.initial: dict[int, Any] = {}  # step (0, -1, ...) -> value before the sequence, a Tensor or an expression
        self.final: dict[int, Any] = {}  # k -> value at T + k, after the sequence

    @property
    def shape(self) -> Shape | None:
        """The shape of one value of one sequence; None if it isn't known yet."""
        return _known(self.samples)

    @property
    def declared_size(self) -> str:
        """The declared shape in words, "size 4" or "shape (4, 4)"."""
        shape = self.shape or ()
        return f"shape {shape}" if len(shape) > 1 else f"size {shape[0] if shape else '()'}"

    @property
    def lead(self) -> int:
        """k if its equation defines `signal[t + k]`; 0 without an equation."""
        return self.equation.lead if self.equation else 0

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
    def apply(op: Any, *inputs: Any) -> Any:
        """Raise TypeError: a formula reads a signal at a step."""
        raise _missing_step(inputs)

    compare = apply  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"the signal {self.name} has no values yet: read {self.name}[t] in an equation, "
                        "or take run[...] of an unrolled one")

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
        if isinstance(expression, Expression) and expression.cell not in (self.cell, None):
            raise ValueError(f"{self.name} belongs to {self.cell.name!r}, but its equation reads signals of "
                             f"{expression.cell.name!r} (at {origin})")  # type: ignore[union-attr]
        equation = Equation(self, lead, expression, origin)
        shape = getattr(expression, "shape", None)  # a plain number fits every size
        if shape is not None:
            self._check_shape(f"the equation {equation!r}", shape, shape, origin)
        if self.samples is None and not isinstance(expression, (int, float)):
            self.samples = expression.samples if isinstance(expression, Expression) else (shape, shape)
        self.equation = equation
        self.cell.equations.append(equation)

    def boundary(self, time: str, value: Any, origin: Origin) -> Any:
        """Return a value before or after the sequence, a Tensor, an array or a number, as a Tensor.

        An expression of statics and Tensors is returned as it is.

        Raises:
            TypeError: for any other type. ValueError: if its shape isn't the signal's, after batch axes.
        """
        if isinstance(value, Expression) and is_static(value):
            if value.cell is not self.cell:
                raise ValueError(f"{self.name} belongs to {self.cell.name!r}, but {self.name}[{time}] reads statics of "
                                 f"another definition (at {origin})")
            if value.shape is not None:
                self._check_shape(f"the value {self.name}[{time}]", value.shape, value.shape, origin)
            return value
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
        return tensor

    def _check_shape(self, subject: str, shape: Shape, without_batch: Shape, origin: Origin) -> None:
        if self.shape is not None and without_batch != self.shape:
            raise ValueError(f"{subject} has shape {shape} (at {origin}), but {self.name} was declared at "
                             f"{self.origin} with {self.declared_size}")

    def __repr__(self) -> str:
        return f"<signal {self.name} of {self.cell.name!r}  {self.origin}>"


def _missing_step(inputs: tuple[Any, ...]) -> TypeError:
    name = next(x.name for x in inputs if isinstance(x, Signal))
    return TypeError(f"the signal {name} has a value at each step: write {name}[t] (at {call_site()})")


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
        statics: every value without a time axis by name, in the order of declaration.
        equations: every equation, in the order of writing.
        version: the number of changes so far.
        reserved_names: names that no signal may have.
    """

    reserved_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str = "cell") -> None:
        self.name = str(name)
        self.signals: dict[str, Signal] = {}
        self.statics: dict[str, Static] = {}
        self.equations: list[Equation] = []
        self.version = 0

    def input(self, name: str, size: Size = None) -> Signal:
        """Declare a signal whose values x[1], x[2], ... are given with the data.

        Args:
            name: the keyword of `unroll` for its values.
            size: length of the vector, or a shape such as (8, 8); () for one number a step; None to take it
                from the data, as a vector.

        Raises:
            ValueError: if the name is taken, or is an option of unroll.
        """
        return self._declare(name, size, given=True)

    def signal(self, name: str, size: Size = None) -> Signal:
        """Declare a signal that an equation defines.

        Args:
            name: of the signal, in equations, messages, pictures and `run[name]`.
            size: length of the vector, or a shape such as (8, 8); () for one number a step; None to take it
                from the equation, which requires that nothing reads the signal with a delay.

        Raises:
            ValueError: if the name is taken, or is an option of unroll.
        """
        return self._declare(name, size, given=False)

    def static(self, name: str, shape: int | tuple[int | None, ...]) -> Static:
        """Declare a value that is given once for each sequence and is the same at all steps, e.g. an encoded image.

        Args:
            name: the keyword of `unroll` for it: data of shape (batch, *shape), or `shape` for all sequences.
            shape: of the value of one sequence; None for a length that each unroll binds.

        Returns:
            An expression, read without a step: `enc @ q[t]`.

        Raises:
            ValueError: if the name is taken, or is an option of unroll.
        """
        origin = self._check_name(name)
        lengths = shape if isinstance(shape, tuple) else (shape,)
        _check_lengths(name, tuple(n for n in lengths if n is not None) if isinstance(shape, tuple) else shape, origin)
        static = self.statics[name] = Static(self, name, lengths)
        self.version += 1
        return static

    def _declare(self, name: str, size: Any, given: bool) -> Signal:
        origin = self._check_name(name)
        if size is not None:
            size = _check_lengths(name, size, origin)
        signal = self.signals[name] = Signal(self, name, size, given, origin)
        self.version += 1
        return signal

    def _check_name(self, name: Any) -> Origin:
        """Return the line that declares a name.

        Raises:
            TypeError, ValueError: for a name that isn't a string, or is taken.
        """
        origin = call_site()
        if not isinstance(name, str) or not name:
            raise TypeError(f"a signal's name is a string that isn't empty, not {name!r} (at {origin})")
        if name in self.reserved_names:
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): it is an option of unroll()")
        other = self.signals.get(name) or self.statics.get(name)
        if other is not None:
            raise ValueError(f"there are two signals named {name!r}: declared at {other.origin} and at {origin}")
        return origin

    def __repr__(self) -> str:
        lines = [f"<{type(self).__name__} {self.name!r}: {len(self.equations)} equations>"]
        lines += [f"  {equation!r}    {equation.origin}" for equation in self.equations]
        return "\n".join(lines)


def _check_lengths(name: str, size: Any, origin: Origin) -> Shape:
    """Return a declared size, a number or a tuple, as a shape."""
    lengths = size if isinstance(size, tuple) else (size,)
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in lengths):
        wanted = "shape of {} has positive whole numbers" if isinstance(size, tuple) else \
            "size of {} is a positive whole number"
        raise ValueError(f"the {wanted.format(name)}, not {size!r} (at {origin})")
    return tuple(map(int, lengths))
