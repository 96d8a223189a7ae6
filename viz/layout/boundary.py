"""Values before and after the steps of an unrolled picture: their positions, and how arrows leave them.

The values of a row stand above each other, in the order of their lanes. Those of a signal that is alone in its row
begin in line with it. Their arrows leave sideways, and turn up or down (`turns`) in the space before the first step,
each at an x of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .folding import Where
from .step_graph import Edge, Part

if TYPE_CHECKING:
    from .unrolled_layout import UnrolledLayout

ABOVE = 6.0  # between boxes that stand above each other
TURN = 9.0  # between two arrows that turn up or down
EDGE = 5.0  # from a corner of a box to an arrow at its side
CLEAR = 6.0  # from an arrow to a lane of another edge, or to another arrow
Leaving = tuple[Part, int, object]  # a part, its step, and the group of the edges that leave there


class Turn(NamedTuple):
    """Where a group of edges that leaves a value turns: the heights before and after it."""

    start: float
    end: float
    leaving: Leaving


class Boundary:
    """Positions outside the steps.

    Attributes:
        homes: the step in whose column a value stands, if not its own.
        rises: its height above its row.
        tall: its own height: its arrows leave there side by side.
        heights: the height that values above a row need.
        turns: where the edges of a group turn: x, and the height at which they leave their box.
    """

    def __init__(self, layout: UnrolledLayout) -> None:
        self.layout = layout
        self.homes: dict[Where, int] = {}
        self.rises: dict[Where, float] = {}
        self.tall: dict[Where, float] = {}
        self.heights: dict[int, float] = {}
        self.turns: dict[Leaving, tuple[float, float]] = {}
        self._count = {False: 0, True: 0}  # of turns
        T = layout.spec.T
        for after in (False, True):
            outside: dict[int, dict[Part, list[int]]] = {}
            for part, copies in layout.spec.tensors.items():
                steps = sorted((k for k in copies if (k > T if after else k < 1)), key=_reversed if not after else None)
                if steps:
                    outside.setdefault(layout.steps.places[part].row, {})[part] = steps
            if all(len(parts) == 1 and len(*parts.values()) == 1 for parts in outside.values()):
                continue  # each stands in line with its signal
            for row, parts in outside.items():
                self._stack(row, parts, after, alone=len(outside) == 1)

    def _stack(self, row: int, parts: dict[Part, list[int]], after: bool, alone: bool) -> None:
        """Put the values of one row above each other: around its lanes if no other row has values there (`alone`)."""
        steps = self.layout.steps
        order = sorted(((part, k) for part, copies in parts.items() for k in copies), key=self._lowest_lane)
        nearest = min(copies[0] for copies in parts.values()) if after else max(copies[0] for copies in parts.values())
        for part, k in order:
            ports = len(self._groups(part, k))
            self.tall[part, k] = max(steps.places[part].height, 2 * EDGE + CLEAR * (ports - 1))
        pitch = max(self.tall[where] for where in order) + ABOVE
        first = 0.0
        if not alone:
            self.heights[row] = pitch * len(order)
        elif len(parts) > 1:
            lanes = steps.lanes_height(row + 1) - steps.loops(row)
            first = max((steps.heights[row] + lanes - pitch * (len(order) - 1)) / 2, first - pitch * len(order) / 2)
        for number, where in enumerate(order):
            self.homes[where], self.rises[where] = nearest, first + pitch * number
        self._count[after] += sum(len(self._groups(part, k)) for part, k in order)

    def _groups(self, part: Part, k: int) -> dict[object, Edge]:
        """Return an edge of each group that leaves a value, but for straight ones."""
        layout = self.layout
        edges = [edge for edge in layout.spec.graph.edges if edge.source is part and edge.delay
                 and 1 <= k + edge.delay - edge.target.lead <= layout.spec.T]
        return {layout.group(edge): edge for edge in edges if not layout.is_straight(edge)}

    def _lowest_lane(self, where: Where) -> tuple[float, int]:
        """Return the order in which values stand above each other: by distance from the steps, then by lane."""
        part, k = where
        steps = self.layout.steps
        return abs(k - 0.5), min((steps.numbers[lane.group] for edge, lane in steps.lanes.items()
                                  if edge.source is part), default=0)

    def room(self, after: bool) -> float:
        """Return the width that the turns need before the steps, or after them, beside the vertical tracks."""
        return TURN * (self._count[after] + 1) - (0.0 if self.layout.has_vertical_tracks else self.layout.gap)

    def connect(self) -> None:
        """Find where the arrows of values above each other leave, and where they turn; all heights are known."""
        for after in (False, True):
            outside = [where for where in self.rises if (where[1] > 1) is after]
            goals = {where: self._goals(*where) for where in outside}
            taken = [y for found in goals.values() for y, _ in found]
            turning = [turn for where in sorted(outside, key=self.rises.__getitem__)
                       for turn in self._leave(where, goals[where], taken)]
            up = sorted((turn for turn in turning if turn.end > turn.start + 0.1), key=_start, reverse=True)
            down = sorted((turn for turn in turning if turn.end < turn.start - 0.1), key=_start)
            straight = [turn for turn in turning if abs(turn.end - turn.start) <= 0.1]
            for number, turn in enumerate(_uncrossed([*up, *down]) + straight, 1):
                column = self.layout.home(*turn.leaving[:2])
                x = column.left - TURN * number if after else column.right + TURN * number
                self.turns[turn.leaving] = x, turn.start

    def _goals(self, part: Part, k: int) -> list[tuple[float, object]]:
        """Return the height that each group of edges that leaves a value leads to, from the lowest, and its key."""
        layout, lanes = self.layout, self.layout.steps.lanes
        found = [(layout.lane_height(edge, k + edge.delay) if edge in lanes else layout.turn_height(edge, k), group)
                 for group, edge in self._groups(part, k).items()]
        return sorted(found, key=_first)

    def _leave(self, where: Where, goals: list[tuple[float, object]], taken: list[float]) -> Iterator[Turn]:
        """Yield for each group of edges that leaves a value its turn: from a port that is clear of others and of lines.

        The higher an edge leads, the higher is its port.
        """
        part, k = where
        middle = self.layout.position(part, k)[1]
        reach = self.layout.place(part, k).height / 2 - EDGE
        straight = any(edge.source is part and self.layout.is_straight(edge) for edge in self.layout.spec.graph.edges)
        lines = [middle] if straight and not self.rises[where] else []
        low = middle - reach
        for above, (y, group) in zip(reversed(range(len(goals))), goals):
            high = middle + reach - CLEAR * above
            candidates = [low + (high - low) * number / 16 for number in range(17)] + [y] * (low <= y <= high)
            others = [*lines, *(other for other in taken if other != y)]
            port = min(candidates, key=partial(_port_cost, y=y, others=others))
            low = port + CLEAR
            yield Turn(port, y, (part, k, group))


def _port_cost(port: float, y: float, others: Sequence[float]) -> tuple[float, float]:
    """Return a cost of an edge's port on the side of a box: low if it is clear of other lines and near to y."""
    return -min((abs(port - other) for other in others if abs(port - other) < CLEAR), default=CLEAR), abs(port - y)


def _uncrossed(turns: Sequence[Turn]) -> list[Turn]:
    """Order turns from the values: one that begins at the height where another one ends is before it.

    Else they would share a line (channel routing's vertical constraints). Otherwise the order is kept.
    """
    before = {turn.leaving: {other.leaving for other in turns if abs(other.start - turn.end) < CLEAR
                             and other is not turn} for turn in turns}
    order: list[Turn] = []
    left = list(turns)
    while left:
        rest = {turn.leaving for turn in left}
        chosen = next((turn for turn in left if not before[turn.leaving] & rest), left[0])
        left.remove(chosen)
        order.append(chosen)
    return order


def _start(turn: Turn) -> float:
    return turn.start


def _first(goal: tuple[float, object]) -> float:
    return goal[0]


def _reversed(k: int) -> int:
    return -k
