"""Gradients as colours and line widths.

The colour is the logarithm of the norm, over the range of one picture. "Not computed", exactly zero,
tiny, and NaN or Inf are not on the scale: each has a colour of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minigrad.formats.norms import norm as norm_of
from rnn import Run
from rnn.unrolling.gradients import has_gradients, require_gradients

DECADES = 8  # the longest range of the scale; smaller norms are "tiny"
STOPS = ((255, 244, 214), (253, 190, 110), (238, 112, 28))  # from small to large
TINY = "#FFFDF4"
ZERO = "#BDBDBD"
UNKNOWN = "#E4ECF7"
BAD = "#FF8A80"
THIN, WIDE = 0.4, 6.0  # the widths of edges that contribute nothing, and most


# Words for a gradient that isn't the complete one of a backward pass.
ARRIVED = "arrived"  # of a tensor whose own step is still to come
SO_FAR = "so far"  # of a leaf, to which further steps add
THROUGH_STEPS = "through the steps"  # without a term of the loss that reads the parameter directly
UNREACHED = "does not reach the loss"  # nothing that the loss was computed from: its gradient is zero
NOT_REACHED = "not reached"  # by the last backward pass, of which only the gradients are known


class Norm(NamedTuple):
    """The norm of a gradient; None if it was not computed."""

    value: float | None
    word: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return self.word or "not computed"
        return "0" if self.value == 0 else f"{self.value:.0e}" if math.isfinite(self.value) else f"{self.value}"

    @property
    def line(self) -> str:
        """The line of a box, `|g| 2e-01`."""
        if self.word == UNREACHED:
            return UNREACHED
        return f"{ARRIVED}: {self}" if self.word == ARRIVED else self.with_number(str(self))

    def with_number(self, number: str) -> str:
        """Return `|g| 2.1e-01 so far`, with the norm as it is given."""
        return f"|g| {number} {self.word}" if self.word in (SO_FAR, THROUGH_STEPS) else f"|g| {number}"


class Scale:
    """A colour scale for the norms of one picture, which range from 10**low to 10**high."""

    def __init__(self, norms: Iterable[Norm]) -> None:
        sizes = [size.value for size in norms if size.value and math.isfinite(size.value)]
        self.high = math.ceil(round(math.log10(max(sizes, default=1.0)), 6))
        self.low = max(math.floor(math.log10(min(sizes, default=0.1))), self.high - DECADES)
        self.low = min(self.low, self.high - 1)

    def fill(self, size: Norm) -> str:
        """Return the colour of a norm."""
        if size.value is None:
            return UNKNOWN
        if not math.isfinite(size.value):
            return BAD
        if size.value == 0:
            return ZERO
        exponent = math.log10(size.value)
        return TINY if exponent < self.low else self._interpolate((exponent - self.low) / (self.high - self.low))

    def _interpolate(self, fraction: float) -> str:
        """Return the colour at a fraction of the range, 0 … 1."""
        place = min(max(fraction, 0.0), 1.0) * (len(STOPS) - 1)
        number = min(int(place), len(STOPS) - 2)
        rest = place - number
        mixed = (round(a + (b - a) * rest) for a, b in zip(STOPS[number], STOPS[number + 1]))
        return "#" + "".join(f"{channel:02X}" for channel in mixed)

    def legend(self) -> list[tuple[str, str]]:
        """Return (colour, meaning) for a legend, from the largest norm down to what is not on the scale."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        exponents = [*range(self.high, self.low, -step), self.low]
        rows = [(self._interpolate((e - self.low) / (self.high - self.low)), f"1e{e:+d}") for e in exponents]
        return [*rows, (TINY, "smaller"), (ZERO, "exactly 0"), (UNKNOWN, "not computed"), (BAD, "NaN or Inf")]


def relative_contributions(run: Run, others: Sequence[Run] = ()) -> dict[str, list[float]]:
    """Return for each parameter the norm of each step's contribution to its gradient, divided by the largest.

    Args:
        others: runs with which a parameter is shared, for the largest.

    Raises:
        ValueError: before a backward pass.
    """
    require_gradients(run)
    norms = {name: _contribution_norms(run, name) for name in run.parameters}
    largest = {tensor: norms[name].max() for name, tensor in run.parameters.items()}
    for other in others:
        for name, tensor in other.parameters.items():
            if tensor in largest and has_gradients(other):
                largest[tensor] = max(largest[tensor], _contribution_norms(other, name).max())
    return {name: (norms[name] / (largest[tensor] or 1.0)).tolist() for name, tensor in run.parameters.items()}


def _contribution_norms(run: Run, name: str) -> np.ndarray:
    return np.array([norm_of(contribution) for contribution in run.contributions(name)])


def edge_width(contributions: Mapping[str, Sequence[float]], names: Sequence[str], step: int) -> float:
    """Return the width of an edge through some parameters at a step: that of the largest contribution."""
    part = max(contributions[name][step - 1] for name in names)
    return THIN + (WIDE - THIN) * part if np.isfinite(part) else WIDE
