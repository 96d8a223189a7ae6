"""Formulas as text: `tanh(W @ x[3] + b)`, from the operations and the names of their operands.

An operation says in `Op.formula` how it is written. Imports nothing of minigrad.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

# Precedence beside that of the infix operators (Op.precedence): of a sign, and of a call or a name.
PREFIX, ATOM = 3, 5


class Formula(NamedTuple):
    """A formula and how tightly its outermost operator binds; a larger number binds tighter."""

    text: str
    precedence: int

    def bracketed(self, least: int) -> str:
        """Return the text, in brackets unless it binds at least as tightly as `least`."""
        return self.text if self.precedence >= least else f"({self.text})"


def infix(symbol: str, precedence: int, operands: Sequence[Formula], from_right: bool = False) -> Formula:
    """Return `a + b`. Operators associate to the left, or `from_right`: the other side's equals need brackets."""
    left, right = (precedence + 1, precedence) if from_right else (precedence, precedence + 1)
    return Formula(f"{operands[0].bracketed(left)} {symbol} {operands[1].bracketed(right)}", precedence)


def call(name: str, op: Any, operands: Sequence[Formula], options: bool) -> Formula:
    """Return `sum(x, axis=1)`; `options`: with axes. NumPy takes arrays to join along an axis as one list."""
    arguments = ", ".join(_first_and_last([operand.text for operand in operands]))
    if hasattr(op, "axis") and len(operands) > 1:
        arguments = f"[{arguments}]"
    return Formula(f"{name}({arguments}{format_options(op, options)})", ATOM)


def written(op: Any, operands: Sequence[Formula], options: bool = True) -> Formula:
    """Return how an operation is written, by its method `formula`.

    That of a user's operation may return a plain text. Where it raises, the operation is written as a call: a message
    must not end a program that runs without it.
    """
    try:
        found = op.formula(operands, options)
        return found if isinstance(found, Formula) else Formula(" ".join(str(found).split()), 0)
    except Exception:
        return call(type(op).__name__.lower(), object(), operands, False)


MOST_OPERANDS = 24  # that a call shows
MOST_INDICES = 6  # of a list, that an index shows


def _first_and_last(words: list[str]) -> list[str]:
    """Return the words, many of them without the middle ones."""
    return words if len(words) <= MOST_OPERANDS else [*words[:3], "…", *words[-2:]]


AXES = ("axis", "axes", "keepdims", "shape")  # options that operations on vectors don't need
HIDDEN = ("ndim", "optimize", "rng")  # options that say nothing about the result of one sequence


def format_options(op: Any, axes: bool) -> str:
    """Return the options of an operation that differ from their defaults, ", axis=1, ddof=1"; `axes`: axes too."""
    given = getattr(op, "__dict__", {})
    parameters = inspect.signature(type(op)).parameters if given else {}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return "".join(f", {name}={_format_option(value)}" for name, value in given.items()
                   if name not in HIDDEN and (axes or name not in AXES) and not _is(value, defaults.get(name, op)))


def _is(value: Any, default: Any) -> bool:
    return value is default or (np.ndim(value) == 0 and type(value) is type(default) and bool(value == default))


def _format_option(value: Any) -> str:
    """Return the value of an option: a number, a tuple of them, or the shape of an array."""
    if isinstance(value, np.ndarray):
        return f"array{value.shape}" if value.ndim else repr(value.item())
    if isinstance(value, tuple):
        return f"({', '.join(map(_format_option, value))}{',' * (len(value) == 1)})"
    return str(value) if isinstance(value, np.dtype) else repr(value.item() if isinstance(value, np.generic) else value)


def format_index(index: Any) -> str:
    """Return an index as it is written between brackets, `1:, None`."""
    parts = index if isinstance(index, tuple) else (index,)
    words = []
    for part in parts:
        if isinstance(part, slice):
            ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
            words.append(":".join(ends if part.step is not None else ends[:2]))
        elif part is Ellipsis:
            words.append("...")
        else:
            array = np.asarray(part)
            listed = str(array.tolist()) if array.size <= MOST_INDICES else "array"
            words.append(listed if array.ndim else str(part))
    return ", ".join(words)
