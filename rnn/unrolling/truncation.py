"""Truncated backpropagation through time: which edges of an unrolled graph pass no gradient.

Three kinds, each with its own gradients; the values are the same in all of them:

- `chunks=k`: the sequence in pieces of k steps; the state is carried from piece to piece, the
  gradient stops at each border.
- `last=k`: gradients for the last k steps alone; everything before is constant.
- `window=(k1, k2)`: after every k1 steps a backward pass through the last k2 steps, for the losses
  of the last k1 (Williams and Peng, An efficient gradient-based algorithm for on-line training of
  recurrent network trajectories, Neural Computation 2, 1990: BPTT(h; h')).

A kind is one class here, listed in KINDS, and one field of `UnrollOptions`. Most kinds only say which
edges are cut (`cuts`, `constant`). One that needs several passes lists them in `windows`; then unroll,
compiled programs and exports run window after window, each from the values that `entering` names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigrad.provenance import Origin
from rnn.language.dependencies import boundaries, links
from rnn.language.equations import Definition, Signal


class Entering(NamedTuple):
    """A value that a window reads from a step outside of itself. Steps are those of the signal's equation."""

    signal: Signal
    local: int  # the step as the window counts: 0, -1, ... before its first, 1, 2, ... after its last
    step: int  # the same step of the whole sequence
    boundary: int | None  # 0, -1, ... before the sequence, 1, 2, ... after it; None for a step of the sequence
    constant: bool  # whether the window's gradient stops at the value


class WindowSteps(NamedTuple):
    """One window: the steps that its gradients pass through, and those whose losses it differentiates."""

    steps: range
    loss_steps: range

    def entering(self, cell: Definition, T: int, held: Collection[Signal] = ()) -> Iterator[Entering]:
        """Yield the values that the window starts from.

        Computed signals enter as constants, but for the initial values of the first window.

        Args:
            held: the signals that take the value of the step before at masked steps.
        """
        outside = boundaries(cell)
        for name, signal in cell.signals.items():
            steps = {k - signal.lead for part in outside.get(name, ()) for k in part}
            for local in sorted(steps | {0} if signal in held else steps):
                step = local + (self.steps.start if local <= 0 else self.steps.stop) - 1
                boundary = step if step < 1 else step - T if step > T else None
                yield Entering(signal, local, step, boundary, not signal.given and self.steps.start > 1)


@dataclass(frozen=True)
class Truncation:
    """No truncation, and the base class of its kinds.

    Attributes:
        T: the number of steps.
        option: the keyword of `unroll` that selects this kind.
        masks_gradients: whether gradients are masked in a pass over the whole sequence.
    """

    T: int
    option: ClassVar[str] = ""
    masks_gradients: ClassVar[bool] = False

    @classmethod
    def create(cls, T: int, value: Any, origin: Origin) -> Truncation:
        """Return the truncation for the value of its option; ValueError for a value that it doesn't take."""
        return cls(T, _length(cls.option, value, origin))  # type: ignore[call-arg]

    def check(self, cell: Definition, origin: Origin) -> None:
        """Raise ValueError where the definition can't be truncated so."""

    def cuts(self, made: int, read: int) -> bool:
        """Return whether step `read` takes what step `made` computed (below 1: an initial value) as a constant."""
        return False

    def constant(self, step: int) -> bool:
        """Return whether all that a step computes is constant."""
        return False

    def reach_of_held(self, step: int) -> range:
        """Return the steps from which a masked step takes a held value with its gradient."""
        return range(1, self.T + 2)

    def windows(self) -> list[WindowSteps]:
        """Return the passes in which the sequence is computed; none for a single pass over all of it."""
        return []


@dataclass(frozen=True)
class Chunks(Truncation):
    """Pieces of `length` steps. Values before the first step belong to the first, those after the last to the last."""

    length: int
    option = "chunks"
    masks_gradients = True

    def cuts(self, made: int, read: int) -> bool:
        return min(max(made, 1), self.T) not in self.reach_of_held(read)

    def reach_of_held(self, step: int) -> range:
        first = (step - 1) // self.length * self.length + 1
        return range(first, first + self.length)


@dataclass(frozen=True)
class Last(Truncation):
    """The last `length` steps alone."""

    length: int
    option = "last"
    masks_gradients = True

    def cuts(self, made: int, read: int) -> bool:
        return self.constant(max(made, 1)) and not self.constant(read)

    def constant(self, step: int) -> bool:
        return step <= self.T - self.length


@dataclass(frozen=True)
class LossSteps(Truncation):
    """Nothing is cut, and only the losses of some steps count: the inside of a window."""

    loss_steps: range
    masks_gradients = True

    def constant(self, step: int) -> bool:
        return step not in self.loss_steps


@dataclass(frozen=True)
class Windows(Truncation):
    """Every `every` steps a window of `length` steps, for the losses of the last `every`."""

    every: int
    length: int
    option = "window"

    @classmethod
    def create(cls, T: int, value: Any, origin: Origin) -> Windows:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ValueError(f"window is a pair (k1, k2): every k1 steps, k2 steps back; not {value!r} (at {origin})")
        every, length = (_length(f"window's {name}", number, origin) for name, number in zip(("k1", "k2"), value))
        if length < every:
            raise ValueError(f"window=({every}, {length}): each window differentiates {every} losses, so it reaches "
                             f"back at least as many steps: k2 ≥ k1 (at {origin})")
        return cls(T, every, length)

    def check(self, cell: Definition, origin: Origin) -> None:
        for link in links(cell):
            if link.delay + min(link.source.lead, 0) < 0 and not link.source.given:
                raise ValueError(f"window= cuts loops that run forward in time, but {link.target.name} reads {link} "
                                 f"at {link.equation.origin}. Use chunks= or last= (at {origin})")

    def windows(self) -> list[WindowSteps]:
        found = []
        for done in range(0, self.T, self.every):
            stop = min(done + self.every, self.T)
            found.append(WindowSteps(range(self._first(stop), stop + 1), range(done + 1, stop + 1)))
        return found

    def cuts(self, made: int, read: int) -> bool:
        # of the window that differentiates the loss of step `read`; it ends with a multiple of `every`
        return max(made, 1) < self._first(min(-(-read // self.every) * self.every, self.T))

    def reach_of_held(self, step: int) -> range:
        done = (step - 1) // self.every * self.every
        return range(done + 1, done + self.every + 1)

    def _first(self, stop: int) -> int:
        """Return the first step of the window that ends with step `stop`."""
        return max(stop - self.length + 1, 1)


KINDS: tuple[type[Truncation], ...] = (Chunks, Windows, Last)


def make_truncation(T: int, asked: Mapping[str, Any], origin: Origin) -> Truncation:
    """Return the requested truncation, from the values of the options (None: not requested).

    Raises:
        ValueError: for several kinds at once, or a value that the option doesn't take.
    """
    chosen = [kind for kind in KINDS if asked[kind.option] is not None]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(kind.option for kind in chosen)} are different kinds of truncation: "
                         f"choose one (at {origin})")
    return chosen[0].create(T, asked[chosen[0].option], origin) if chosen else Truncation(T)


def _length(name: str, value: Any, origin: Origin) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} is a number of steps, 1 or more, not {value!r} (at {origin})")
    return int(value)
