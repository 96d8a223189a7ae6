"""Truncated backpropagation through time: which edges of an unrolled graph are cut.

Three kinds, by name, because they give different gradients:

- `chunks=k`: the sequence in pieces of k steps; the state is carried from piece to piece, the
  gradient stops at each border.
- `last=k`: gradients for the last k steps alone; everything before is constant.
- `window=(k1, k2)`: after every k1 steps a backward pass through the last k2 steps, for the losses
  of the last k1 (Williams and Peng, An efficient gradient-based algorithm for on-line training of
  recurrent network trajectories, Neural Computation 2, 1990: BPTT(h; h')).

Values are the same in all of them. Knows steps and nothing of signals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.provenance import Origin


@dataclass(frozen=True)
class Truncation:
    """Where gradients stop. This one: nowhere."""

    T: int

    def cuts(self, made: int, read: int) -> bool:
        """Whether what step `made` made (below 1: an initial value) is a constant for step `read`."""
        return False

    def constant(self, step: int) -> bool:
        """Whether all that a step computes is constant."""
        return False


@dataclass(frozen=True)
class Chunks(Truncation):
    """Pieces of `length` steps. Initial values belong to the first."""

    length: int

    def cuts(self, made: int, read: int) -> bool:
        return (max(made, 1) - 1) // self.length != (read - 1) // self.length


@dataclass(frozen=True)
class Last(Truncation):
    """The last `length` steps alone."""

    length: int

    def cuts(self, made: int, read: int) -> bool:
        return self.constant(max(made, 1)) and not self.constant(read)

    def constant(self, step: int) -> bool:
        return step <= self.T - self.length


@dataclass(frozen=True)
class Windows(Truncation):
    """Every `every` steps a window of `length` steps, which owes the losses of the last `every`."""

    every: int
    length: int

    def windows(self) -> list[tuple[range, range]]:
        """The steps of each window, and those whose losses it owes."""
        result = []
        for done in range(0, self.T, self.every):
            stop = min(done + self.every, self.T)
            result.append((range(self._first(stop), stop + 1), range(done + 1, stop + 1)))
        return result

    def _first(self, stop: int) -> int:
        """The first step of the window that ends with step `stop`."""
        return max(stop - self.length + 1, 1)

    def cuts(self, made: int, read: int) -> bool:
        """In the window that owes step `read`."""
        return max(made, 1) < self._first(min(-(-read // self.every) * self.every, self.T))


def truncation(T: int, chunks: Any, window: Any, last: Any, origin: Origin) -> Truncation:
    """The one kind that is asked for.

    Raises:
        ValueError: for several kinds at once, or lengths that are no positive whole numbers.
    """
    asked = [name for name, value in (("chunks", chunks), ("window", window), ("last", last)) if value is not None]
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(asked)} are different kinds of truncation: choose one (at {origin})")
    if chunks is not None:
        return Chunks(T, _length("chunks", chunks, origin))
    if last is not None:
        return Last(T, _length("last", last, origin))
    if window is None:
        return Truncation(T)
    if not isinstance(window, (tuple, list)) or len(window) != 2:
        raise ValueError(f"window is a pair (k1, k2): every k1 steps, k2 steps back; not {window!r} (at {origin})")
    every, length = (_length(f"window's {name}", value, origin) for name, value in zip(("k1", "k2"), window))
    if length < every:
        raise ValueError(f"window=({every}, {length}): each window owes {every} losses, so it reaches back at least "
                         f"as many steps: k2 ≥ k1 (at {origin})")
    return Windows(T, every, length)


def _length(name: str, value: Any, origin: Origin) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} is a number of steps, 1 or more, not {value!r} (at {origin})")
    return int(value)
