"""Gradients as colours and line widths.

The colour is the logarithm of the norm, over the range of one picture; the larger, the darker. What is not on the
scale, such as "not computed" and exactly zero, has a pattern of lines, which grey print doesn't change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.formats.norms import norm as norm_of
from rnn import Run
from rnn.unrolling.gradients import Find, contributions_to, has_gradients, stored
from viz.render import palette
from viz.render.patterns import Pattern
from viz.render.scene import Box
from viz.render.typography import true_minus

DECADES = 8  # the longest range of the scale; smaller norms are "tiny"
STOPS = [(int(color[1:3], 16), int(color[3:5], 16), int(color[5:], 16)) for color in palette.HEAT]
BLANK = palette.OPERATION.fill  # of boxes that aren't coloured by a gradient
TINY, ZERO, UNREACHABLE, UNKNOWN = map(Pattern, ("dots", "rising", "upright", "dashes"))
BAD = Pattern("grid", palette.ALARM)
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
        if self.value == 0:
            return "0"
        return true_minus(f"{self.value:.1e}") if math.isfinite(self.value) else f"{self.value}"

    @property
    def line(self) -> str:
        """The line of a box, `|g| 2.1e−01`."""
        if self.word == UNREACHED:
            return UNREACHED
        if self.word == ARRIVED:
            return f"{ARRIVED}: {self}"
        return f"|g| {self} {self.word}" if self.word in (SO_FAR, THROUGH_STEPS) else f"|g| {self}"


# Why a gradient isn't on the scale, in the order of the legend.
MEANINGS = {TINY: "smaller", ZERO: "exactly 0", UNREACHABLE: UNREACHED, UNKNOWN: "not computed", BAD: "NaN or Inf"}


def joint(norms: Sequence[Norm]) -> Norm:
    """Return the norm of several gradients as one vector: "arrived" if some of them aren't complete yet."""
    if len(norms) == 1:
        return norms[0]
    read = [each for each in norms if each.word != UNREACHED]
    if not read:
        return norms[0] if norms else Norm(None)
    known = [each.value for each in read if each.value is not None]
    if not known:
        return read[0]
    words = [each.word for each in read if each.word]
    word = words[0] if words else ARRIVED if len(known) < len(read) else ""
    return Norm(math.hypot(*known), word)


class Scale:
    """A colour scale for the norms of one picture, which range from 10**low to 10**high.

    Attributes:
        patterns: those that the picture needs, in the order of the legend, with their meanings.
    """

    def __init__(self, norms: Iterable[Norm]) -> None:
        norms = list(norms)
        sizes = [size.value for size in norms if size.value and math.isfinite(size.value)]
        self.high = math.ceil(round(math.log10(max(sizes, default=1.0)), 6))
        self.low = max(math.floor(math.log10(min(sizes, default=0.1))), self.high - DECADES)
        self.low = min(self.low, self.high - 1)
        found = {self.pattern(size) for size in norms}
        self.patterns = {pattern: meaning for pattern, meaning in MEANINGS.items() if pattern in found}
        for pattern in (UNREACHABLE, UNKNOWN):
            if pattern in found:
                words = {size.word or str(size) for size in norms if self.pattern(size) == pattern}
                self.patterns[pattern] = ", ".join(sorted(words))

    def pattern(self, size: Norm) -> Pattern | None:
        """Return the pattern of a norm that isn't on the scale."""
        if size.word in (UNREACHED, NOT_REACHED):
            return UNREACHABLE
        if size.value is None:
            return UNKNOWN
        if not math.isfinite(size.value):
            return BAD
        if size.value == 0:
            return ZERO
        return TINY if math.log10(size.value) < self.low else None

    def fill(self, size: Norm) -> str:
        """Return the colour of a norm."""
        if not size.value or self.pattern(size):
            return BLANK
        return self._interpolate((math.log10(size.value) - self.low) / (self.high - self.low))

    def paint_box(self, box: Box, size: Norm) -> None:
        """Fill a box with the colour or the pattern of a norm."""
        box.paint, box.pattern = box.paint._replace(fill=self.fill(size)), self.pattern(size)

    def _interpolate(self, fraction: float) -> str:
        """Return the colour at a fraction of the range, 0 … 1."""
        place = min(max(fraction, 0.0), 1.0) * (len(STOPS) - 1)
        number = min(int(place), len(STOPS) - 2)
        rest = place - number
        mixed = (round(a + (b - a) * rest) for a, b in zip(STOPS[number], STOPS[number + 1]))
        return "#" + "".join(f"{channel:02X}" for channel in mixed)

    def legend(self) -> list[tuple[str, Pattern | None, str]]:
        """Return (colour, pattern, meaning) for a legend, from the largest norm down to what is not on the scale."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        exponents = [*range(self.high, self.low, -step), self.low]
        return [*((self._interpolate((e - self.low) / (self.high - self.low)), None, true_minus(f"1e{e:+d}"))
                  for e in exponents), *((BLANK, pattern, meaning) for pattern, meaning in self.patterns.items())]


def relative_contributions(runs: Sequence[Run], of: Find = stored) -> list[dict[str, list[float]] | None]:
    """Return for each parameter the norms of the contributions of the steps, divided by the largest of all runs.

    Args:
        of: finds the gradient of a tensor.

    Returns:
        Them for each run; None for one without gradients.
    """
    norms = [{name: np.array([norm_of(part) for part in contributions_to(run, name, of)]) for name in run.parameters}
             if has_gradients(run, of) else None for run in runs]
    largest: dict[Tensor, list[float]] = {}
    for run, own in zip(runs, norms):
        for name, sizes in (own or {}).items():
            largest.setdefault(run.parameters[name], []).append(sizes.max())
    found: list[dict[str, list[float]] | None] = []
    for run, own in zip(runs, norms):
        found.append(None if own is None else {
            name: (sizes / (max(sizes.max(), *largest[run.parameters[name]]) or 1.0)).tolist()
            for name, sizes in own.items()})
    return found


def edge_width(contributions: Mapping[str, Sequence[float]], names: Sequence[str], step: int) -> float:
    """Return the width of an edge through some parameters at a step: that of the largest contribution."""
    part = max(contributions[name][step - 1] for name in names)
    return THIN + (WIDE - THIN) * part if np.isfinite(part) else WIDE
