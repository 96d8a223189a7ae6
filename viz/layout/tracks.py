"""Tracks: parallel lines side by side, on each of which lie several pieces of lines that don't overlap.

The left-edge algorithm (Hashimoto and Stevens, Wire routing by optimizing channel assignment, DAC 1971).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from heapq import heappop, heappush
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
MOST_SORTED = 40  # pieces of a channel whose tracks are put in the order with the fewest crossings


class Piece(NamedTuple):
    """A line on a track from `low` to `high`, and where it is left to each side: at right angles to the track."""

    low: float
    high: float
    before: tuple[float, ...]  # the places from which lines go to the side of the lower track numbers
    after: tuple[float, ...]


class Channel(Generic[K]):
    """Lines in one channel, by the name of what they belong to; those of one name are one line."""

    def __init__(self) -> None:
        self.pieces: dict[K, Piece] = {}
        self.track: dict[K, int] = {}
        self.count = 0

    def add(self, name: K, before: Iterable[float] = (), after: Iterable[float] = (),
            ends: Iterable[float] = ()) -> None:
        """Add a line that joins some places, from which it goes to one side or the other, or where it ends."""
        before, after = tuple(before), tuple(after)
        places = [*before, *after, *ends]
        if name in self.pieces:
            known = self.pieces[name]
            places += [known.low, known.high]
            before, after = known.before + before, known.after + after
        self.pieces[name] = Piece(min(places), max(places), before, after)

    def assign(self) -> None:
        """Give every line the lowest track on which it touches no other; then sort the tracks."""
        busy: list[tuple[float, int]] = []  # (end, track)
        free: list[int] = []
        for name, piece in sorted(self.pieces.items(), key=_by_start):
            while busy and busy[0][0] < piece.low:
                heappush(free, heappop(busy)[1])
            if not free:
                heappush(free, self.count)
                self.count += 1
            self.track[name] = heappop(free)
            heappush(busy, (piece.high, self.track[name]))
        if self.count > 1 and len(self.pieces) <= MOST_SORTED:
            self._sort()

    def _sort(self) -> None:
        """Exchange neighbouring tracks as long as that removes crossings."""
        on: list[list[Piece]] = [[] for _ in range(self.count)]
        for name, track in self.track.items():
            on[track].append(self.pieces[name])
        order = list(range(self.count))
        for place in [*range(self.count - 1)] * self.count:
            first, second = on[order[place]], on[order[place + 1]]
            if _crossings(second, first) < _crossings(first, second):
                order[place:place + 2] = order[place + 1], order[place]
        new = {track: place for place, track in enumerate(order)}
        self.track = {name: new[track] for name, track in self.track.items()}


def _by_start(item: tuple[K, Piece]) -> tuple[float, float]:
    return item[1].low, item[1].high


def _crossings(first: list[Piece], second: list[Piece]) -> int:
    """Return how many lines cross if the lines `first` have the lower track number."""
    return sum(sum(other.low < place < other.high for place in piece.after) +
               sum(piece.low < place < piece.high for place in other.before) for piece in first for other in second)
