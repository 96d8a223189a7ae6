"""Formulas as text: `tanh(W @ x[3] + b)`, from the operations and the names of their operands.

An operation says in `Op.formula` how it is written. Imports nothing of minigrad.
"""

from __future__ import annotations

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
    """Return `sum(x, axis=1)`; NumPy takes arrays to join along an axis as one list."""
    arguments = ", ".join(_first_and_last([operand.text for operand in operands]))
    joins = hasattr(op, "axis") and len(operands) > 1
    if joins:
        arguments = f"[{arguments}]"
    if options:
        arguments += _format_options(op, 0 if joins else None)
    return Formula(f"{name}({arguments})", ATOM)


MOST_OPERANDS = 24  # that a call shows


def _first_and_last(words: list[str]) -> list[str]:
    """Return the words, many of them without the middle ones."""
    return words if len(words) <= MOST_OPERANDS else [*words[:3], "…", *words[-2:]]


def _format_options(op: Any, default_axis: int | None) -> str:
    """Return the axes and the shape that an operation has as options, ", axis=1"."""
    words = ["keepdims=True"] if getattr(op, "keepdims", False) else []
    for name in ("axis", "axes", "shape"):
        value = getattr(op, name, None)
        if value is not None and not (name == "axis" and value == default_axis):
            words.append(f"{name}={tuple(map(int, value)) if isinstance(value, tuple) else value}")
    return "".join(f", {word}" for word in words)


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
            words.append(str(part) if np.ndim(part) == 0 else "array")
    return ", ".join(words)
