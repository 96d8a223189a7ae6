"""Which time steps are drawn, which are folded, and where each stands: the columns of a picture.

Knows the numbers of steps; knows nothing of what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UNFOLDED = 12  # steps at most that are drawn one by one
ENDS = 3  # steps kept at each end of a folded run


@dataclass
class Column:
    """One step, or several folded into one: `steps`; its middle and how far it reaches to both sides."""

    steps: range
    folded: bool
    x: float = 0.0
    left: float = 0.0
    right: float = 0.0

    @property
    def k(self) -> int:
        """The first of its steps."""
        return self.steps.start


def kept(T: int, fold: bool, steps: Iterable[int] | None) -> list[int]:
    """The steps that are drawn one by one: the given ones; or all of a short run, both ends of a long one.

    Raises:
        ValueError: for a step that the run doesn't have.
    """
    if steps is not None:
        chosen = sorted(set(steps))
        wrong = [k for k in chosen if not 1 <= k <= T]
        if wrong or not chosen:
            raise ValueError(f"steps={chosen}: choose one or more of the run's steps, 1 … {T}")
        return chosen
    if not fold or T <= UNFOLDED:
        return list(range(1, T + 1))
    return [*range(1, ENDS + 1), *range(T - ENDS + 1, T + 1)]


def columns(T: int, before: Sequence[int], shown: Sequence[int], after: Sequence[int]) -> list[Column]:
    """Columns for the values before the sequence, for its steps, and for those after it."""
    found = [Column(range(k, k + 1), False) for k in before]
    last = 0
    for k in [*shown, T + 1]:
        if k > last + 1:
            found.append(Column(range(last + 1, k), True))
        if k <= T:
            found.append(Column(range(k, k + 1), False))
        last = k
    return [*found, *(Column(range(k, k + 1), False) for k in after)]
