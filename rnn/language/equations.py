"""The language of recurrences: signals, equations between them, definitions.

    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

`x[t]` is an expression (see expressions.py), and assigning one to `h[t]` adds an equation to the definition.
Nothing is computed here: cycles.py checks whether a definition can be computed, and rnn.unrolling computes
it. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, ops
from minigrad.operators import Operators
from minigrad.provenance import Origin, call_site
from minigrad.tensor import constant

from .copying import flatten, rebuild
from .expressions import (
    NEED_VALUES,
    Expression,
    Read,
    Samples,
    Shape,
    Static,
    Time,
    is_static,
    known_shape,
    operand,
    samples_of,
    step_number,
)
from .formula import to_text

Size = int | Shape | None


# ---- signals and equations -----------------------------------------------------------------


class Signal(Operators):
    """A vector, a number or any array at each time step. Made by `Cell.input` and `Cell.signal`.

    Attributes:
        samples: two shapes that a value of one sequence can have; see Expression.
        given: whether its values come with the data.
    """

    __hash__ = object.__hash__

    def __init__(self, cell: Definition, name: str, size: Shape | None, given: bool, origin: Origin) -> None:
        self.cell = cell
        self.name = name
        self.samples: Samples | None = (size, size) if size is not None else samples_of((None,)) if given else None
        self.given = given
        self.origin = origin
        self.equation: Equation | None = None
        self.initial: dict[int, Any] = {}  # step (0, -1, ...) -> value before the sequence, a Tensor or an expression
        self.final: dict[int, Any] = {}  # k -> value at T + k, after the sequence
        self.read_early: Origin | None = None  # the first read of it as a vector, before its size was known

    def __getstate__(self) -> dict[str, Any]:
        """Return what a deep copy or a pickle keeps; the definition, which belongs to it, keeps the equation."""
        return {name: x for name, x in vars(self).items() if name not in ("equation", "initial", "final")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @property
    def shape(self) -> Shape | None:
        """The shape of one value of one sequence; None if it isn't known yet."""
        return known_shape(self.samples)

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
        read = Read(self, time.offset)
        if self.samples is None and self.read_early is None:
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
        raise next(x.missing_step() for x in inputs if isinstance(x, Signal))

    compare = apply  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"the signal {self.name} has no values yet: read {self.name}[t] in an equation, "
                        f"or take run[...] of an unrolled one (at {call_site()})")

    def _without_step(self, *arguments: Any, **options: Any) -> Any:
        raise self.missing_step()

    __float__ = __int__ = __complex__ = __index__ = __round__ = __array__ = _without_step
    __len__ = __contains__ = __reversed__ = __call__ = _without_step

    def missing_step(self) -> TypeError:
        """Return the error for a signal in an expression without its step."""
        return TypeError(f"the signal {self.name} has a value at each step: write {self.name}[t] (at {call_site()})")

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
                             f"Give the second one a name of its own{self.cell.advice_in_notebook(origin)}")
        value = step_number(value)
        expression = value if isinstance(value, Expression) else operand(value, ops.Identity(), origin)
        if isinstance(expression, Expression) and expression.cell not in (self.cell, None):
            raise ValueError(f"{self.name} belongs to {self.cell.name!r}, but its equation reads signals of "
                             f"{expression.cell.name!r} (at {origin})")
        equation = Equation(self, lead, expression, origin)
        shape = getattr(expression, "shape", None)  # a plain number fits every size
        if shape is not None:
            self._check_shape(f"the equation {equation!r}", shape, shape, origin)
            self.refuse_early_read(shape)
        if self.samples is None:
            self.samples = expression.samples if isinstance(expression, Expression) else \
                None if shape is None else (shape, shape)
        self.equation = equation
        self.cell.equations.append(equation)

    def refuse_early_read(self, shape: Shape) -> None:
        """Raise ValueError if the signal turns out to be no vector after an equation has read it as one."""
        if self.read_early is not None and len(shape) != 1:
            kind = "a number" if shape == () else f"an array of shape {shape}"
            raise ValueError(f"{self.name} is {kind} at each step, and was read at {self.read_early} before that was "
                             f"known: declare it, .signal({self.name!r}, {shape}) at {self.origin}")

    def boundary(self, time: str, value: Any, origin: Origin) -> Any:
        """Return a value before or after the sequence, a Tensor, an array or a number, as a Tensor.

        An expression of statics and Tensors is returned as it is.

        Raises:
            TypeError: for any other type.
            ValueError: if its shape isn't the signal's, after batch axes.
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
        statics: every value without a time axis by name, in the order of declaration.
        equations: every equation, in the order of writing.
        origin: the line that made it.
        version: the number of changes so far.
        tied: tensors that a layer has in common with another one, by the name that they have in this layer.
    """

    def __init__(self, name: str = "cell") -> None:
        self.name = str(name)
        self.origin = call_site()
        self.signals: dict[str, Signal] = {}
        self.statics: dict[str, Static] = {}
        self.equations: list[Equation] = []
        self.version = 0
        self.tied: dict[str, Tensor] = {}

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo, if there is an error in this context, the signals, equations and boundary values that it added."""
        before = {name: getattr(self, name).copy() for name in ("signals", "statics", "equations", "tied")}
        signals = {signal: {**vars(signal), "initial": signal.initial.copy(), "final": signal.final.copy()}
                   for signal in self.signals.values()}
        try:
            yield
        except BaseException:
            vars(self).update(before)
            for signal, own in signals.items():
                vars(signal).update(own)
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
            size: length of the vector, or a shape such as (8, 8); () for one number a step; None to take it
                from the data, as a vector.

        Raises:
            ValueError: if the name is taken, begins with "~", or can't be written as text.
        """
        return self._declare(name, size, given=True)

    def signal(self, name: str, size: Size = None) -> Signal:
        """Declare a signal that an equation defines.

        Args:
            name: of the signal, in equations, messages, pictures and `run[name]`.
            size: length of the vector, or a shape such as (8, 8); () for one number a step; None to take it
                from the equation, which requires that nothing reads the signal with a delay.

        Raises:
            ValueError: if the name is taken, begins with "~", or can't be written as text.
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
            ValueError: if the name is taken, begins with "~", or can't be written as text.
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
            TypeError, ValueError: for a name that isn't a string, can't be written, or is taken.
        """
        origin = call_site()
        if not isinstance(name, str) or not name:
            raise TypeError(f"a signal's name is a string that isn't empty, not {name!r} (at {origin})")
        if name.startswith("~"):
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): names that begin with '~' stand for "
                             "masks and random draws")
        if any(x == "\0" or "\ud800" <= x <= "\udfff" for x in name):
            raise ValueError(f"a signal can't be named {name!r} (at {origin}): no file and no terminal can contain a "
                             "null character or half of a surrogate pair")
        other = self.signals.get(name, self.statics.get(name))
        if other is not None:
            raise ValueError(f"there are two signals named {name!r}: declared at {other.origin} and at {origin}"
                             f"{self.advice_in_notebook(origin)}")
        return origin

    def advice_in_notebook(self, origin: Origin) -> str:
        """Return what to do where a line is written twice because its cell of a notebook was run again; else ""."""
        if not origin.in_notebook:
            return ""
        return (f". If you ran this cell of the notebook again: {type(self).__name__}({self.name!r}) still has what "
                f"the earlier run wrote. Run the line that makes it first, {self.origin}, and then the cells below it")

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
