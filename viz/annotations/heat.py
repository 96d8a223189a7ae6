"""Gradients as colours: the logarithm of their norm, over the range that a picture has.

"Not computed yet", exactly zero, tiny, and NaN or Inf are not colours of the scale: each looks
different. Knows numbers; knows nothing of where they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from minigrad import Tensor

DECADES = 8  # that the scale spans at most; what is smaller is tiny
STOPS = ((255, 244, 214), (253, 190, 110), (238, 112, 28))  # from small to large
TINY = "#FFFDF4"
ZERO = "#BDBDBD"
UNKNOWN = "#E4ECF7"
BAD = "#FF8A80"


class Norm(NamedTuple):
    """The size of a gradient, or why there is none: value is None where it wasn't computed."""

    value: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "not computed"
        return "0" if self.value == 0 else f"{self.value:.0e}" if math.isfinite(self.value) else f"{self.value}"


def norm(tensor: Tensor | None) -> Norm:
    """The norm of a tensor's gradient."""
    if tensor is None or tensor.grad is None:
        return Norm(None)
    with np.errstate(over="ignore", invalid="ignore"):
        return Norm(float(np.linalg.norm(tensor.grad)))


class Scale:
    """Colours for the norms of one picture.

    Attributes:
        low, high: the range, as powers of ten.
    """

    def __init__(self, norms: Iterable[Norm]) -> None:
        sizes = [size.value for size in norms if size.value and math.isfinite(size.value)]
        self.high = math.ceil(round(math.log10(max(sizes, default=1.0)), 6))
        self.low = max(math.floor(math.log10(min(sizes, default=0.1))), self.high - DECADES)
        self.low = min(self.low, self.high - 1)

    def fill(self, size: Norm) -> str:
        """The colour of a norm."""
        if size.value is None:
            return UNKNOWN
        if not math.isfinite(size.value):
            return BAD
        if size.value == 0:
            return ZERO
        exponent = math.log10(size.value)
        return TINY if exponent < self.low else self.at((exponent - self.low) / (self.high - self.low))

    def at(self, part: float) -> str:
        """The colour at a part of the range, 0 … 1."""
        place = min(max(part, 0.0), 1.0) * (len(STOPS) - 1)
        number = min(int(place), len(STOPS) - 2)
        rest = place - number
        mixed = (round(a + (b - a) * rest) for a, b in zip(STOPS[number], STOPS[number + 1]))
        return "#" + "".join(f"{channel:02X}" for channel in mixed)

    def legend(self) -> list[tuple[str, str]]:
        """(colour, meaning) for a legend, from the largest to what is no number."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        exponents = [*range(self.high, self.low, -step), self.low]
        rows = [(self.at((e - self.low) / (self.high - self.low)), f"1e{e:+d}") for e in exponents]
        return [*rows, (TINY, "smaller"), (ZERO, "exactly 0"), (UNKNOWN, "not computed"), (BAD, "NaN or Inf")]
