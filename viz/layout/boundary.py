"""Values before and after the steps of an unrolled picture: their positions, and how arrows leave them.

The values of a row stand above each other, in the order of their lanes. Those of a signal that is alone in its row
begin in line with it. Their arrows leave sideways, and turn up or down (`turns`) in the space before the first step,
each at an x of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .folding import Where
from .step_graph import Edge, Part

if TYPE_CHECKING:
    from .unrolled_layout import UnrolledLayout

ABOVE = 6.0  # between boxes that stand above each other
TURN = 9.0  # between two arrows that turn up or down
EDGE = 5.0  # from a corner of a box to an arrow at its side
CLEAR = 6.0  # from an arrow to a lane of another edge, or to another arrow
Leaving = tuple[Part, int, object]  # a part, its step, and the group of the edges that leave there


class Boundary:
    """Positions outside the steps.

    Attributes:
        homes: the step in whose column a value stands, if not its own.
        rises: its height above its row.
        heights: the height that values above a row need.
        turns: where the edges of a group turn: x, and the height at which they leave their box.
    """

    def __init__(self, layout: UnrolledLayout) -> None:
        self.layout = layout
        self.homes: dict[Where, int] = {}
        self.rises: dict[Where, float] = {}
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
        pitch = max(steps.places[part].height for part in parts) + ABOVE
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
        """Return the width that the turns need before the steps, or after them."""
        return max(TURN * (self._count[after] + 1) - self.layout.gap + self._first, 0.0)

    @property
    def _first(self) -> float:
        """The distance of the first turn from a box: beyond the vertical tracks."""
        return self.layout.gap if self.layout.has_vertical_tracks else 0.0

    def connect(self) -> None:
        """Find where the arrows of values above each other leave, and where they turn; all heights are known."""
        for after in (False, True):
            turning: list[tuple[float, float, Leaving]] = []
            for (part, k), _ in sorted(self.rises.items(), key=_height):
                if (k > 1) is after:
                    turning += self._leave(part, k)
            up = sorted((turn for turn in turning if turn[1] > turn[0] + 0.1), key=_start, reverse=True)
            down = sorted((turn for turn in turning if turn[1] < turn[0] - 0.1), key=_start)
            straight = [turn for turn in turning if abs(turn[1] - turn[0]) <= 0.1]
            for number, (y, _, leaving) in enumerate([*up, *down, *straight], 1):
                column, out = self.layout.home(leaving[0], leaving[1]), self._first + TURN * number
                self.turns[leaving] = column.left - out if after else column.right + out, y

    def _leave(self, part: Part, k: int) -> list[tuple[float, float, Leaving]]:
        """Return for each group of edges that leaves a value: its height there, where it leads to, and its key."""
        layout, steps = self.layout, self.layout.steps
        middle, height = layout.position(part, k)[1], steps.places[part].height
        straight = [edge for edge in layout.spec.graph.edges if edge.source is part and layout.is_straight(edge)]
        taken = [middle] if straight and not self.rises[part, k] else []
        goals: list[tuple[float, int, object]] = []
        for number, (group, edge) in enumerate(self._groups(part, k).items()):
            y = layout.lane_height(edge, k + edge.delay) if edge in steps.lanes else layout.turn_height(edge, k)
            goals.append((y, number, group))
        lanes = [steps.lane_y(channel, number) for channel in (steps.places[part].row, steps.places[part].row + 1)
                 for number in range(steps.lane_counts[channel])]
        found: list[tuple[float, float, Leaving]] = []
        for y, _, group in sorted(goals, key=_first_two):
            port = _free_port(y, middle, height, taken, [other for other in lanes if abs(other - y) > 0.1])
            taken.append(port)
            found.append((port, y, (part, k, group)))
        return found


def _free_port(y: float, middle: float, height: float, taken: list[float], lanes: list[float]) -> float:
    """Return the height nearest to y on the side of a box that is clear of other arrows and of their lanes."""
    reach = height / 2 - EDGE
    if abs(y - middle) <= reach and all(abs(y - other) >= CLEAR for other in taken):
        return y
    candidates = sorted((middle + reach * number / 8 for number in range(-8, 9)), key=lambda port: abs(port - y))
    for clear in (CLEAR, CLEAR / 2):
        for port in candidates:
            if all(abs(port - other) >= clear for other in (*taken, *lanes)):
                return port
    return candidates[0]


def _reversed(k: int) -> int:
    return -k


def _height(item: tuple[Where, float]) -> float:
    return item[1]


def _start(turn: tuple[float, float, Leaving]) -> float:
    return turn[0]


def _first_two(goal: tuple[float, int, object]) -> tuple[float, int]:
    return goal[:2]
