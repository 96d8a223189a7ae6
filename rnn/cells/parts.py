"""Parts of equations that the cells have in common."""

from __future__ import annotations

from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression, T, Time, t


def define(cell: Definition, name: str, expression: Expression) -> Signal:
    """Add a signal with its equation, and the shape of that."""
    signal = cell.signal(name)
    signal[t] = expression
    return signal


def previous(reversed: bool) -> Time:
    """Return the step at which a cell reads its state."""
    step: Time = t + 1 if reversed else t - 1
    return step


def boundary(reversed: bool) -> Time | int:
    """Return the step of a state's initial value."""
    after: Time = T + 1
    return after if reversed else 0
