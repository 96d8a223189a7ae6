"""Where the signals of one time step stand, and in which colours: the same rolled and unrolled.

Layers go up in the delay-free order. Signals of one layer stand side by side; where one of them
is a state, whose arrows run sideways through the steps, each has a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minigrad import Tensor
from rnn import Cell, Signal
from rnn.analysis import Link, layers, links, parameters, weights

from . import palette
from .fonts import clean, text_width
from .palette import Paint
from .scene import CORNER

HEIGHT = 30.0  # of a box
MARGIN = 24.0  # of a box's width around its label
APART = 16.0  # between boxes side by side


@dataclass
class Place:
    """A signal's place within a step: columns count from the middle of the step, rows from the bottom."""

    row: int
    x: float
    width: float
    paint: Paint


class Rows:
    """The places of all signals of a definition.

    Attributes:
        places: by signal.
        links: every edge of the definition.
        width: of the widest row.
        count: the number of rows.
        colors: of the parameters, by name.
    """

    def __init__(self, cell: Cell, labels: dict[Signal, list[str]]) -> None:
        """`labels`: all that may be written into a signal's boxes, which are as wide as the widest."""
        self.cell = cell
        self.links = links(cell)
        self.colors = {name: palette.parameter(i) for i, name in enumerate(parameters(cell))}
        self._names = {tensor: name for name, tensor in parameters(cell).items()}
        self._weights = {equation: weights(equation) for equation in cell.equations}
        self.places: dict[Signal, Place] = {}
        drawn = [signal for signal in cell.signals.values()
                 if signal.equation or any(link.source is signal for link in self.links)]
        height = layers(cell)
        row = 0
        for layer in range(max(height.values()) + 1):
            members = [signal for signal in drawn if height[signal] == layer]
            row = self._place_layer(members, labels, row)
        self.count = row
        edges = [abs(place.x) + place.width / 2 for place in self.places.values()]
        self.width = 2 * max(edges)

    def _place_layer(self, members: list[Signal], labels: dict[Signal, list[str]], row: int) -> int:
        """Place the signals of one layer from a row on; the next free row."""
        widths = [max(46.0, max(text_width(text, 12) for text in labels[signal]) * CORNER + MARGIN)
                  for signal in members]
        left = -(sum(widths) + APART * (len(widths) - 1)) / 2
        own_rows = len(members) > 1 and any(self.is_state(signal) for signal in members)
        for signal, width in zip(members, widths):
            self.places[signal] = Place(row, left + width / 2, width, self._paint(signal))
            left += width + APART
            row += own_rows
        return row + (bool(members) and not own_rows)

    def is_state(self, signal: Signal) -> bool:
        """Whether a signal is read at another step than its own."""
        return any(link.source is signal and link.delay for link in self.links)

    def _paint(self, signal: Signal) -> Paint:
        delays = [link.delay for link in self.links if link.source is signal and link.delay]
        if signal.given:
            return palette.INPUT
        if delays:
            return palette.STATE if max(delays) > 0 else palette.REVERSED
        if signal.shape == ():
            return palette.LOSS
        read = any(link.source is signal for link in self.links)
        return palette.HIDDEN if read else palette.OUTPUT

    def leftmost(self, signal: Signal) -> bool:
        """Whether nothing stands to the left of a signal in its row."""
        return all(other.x >= self.places[signal].x for other in self.places.values()
                   if other.row == self.places[signal].row)

    def rightmost(self, signal: Signal) -> bool:
        """Whether nothing stands to the right of a signal in its row."""
        return all(other.x <= self.places[signal].x for other in self.places.values()
                   if other.row == self.places[signal].row)

    def lane(self, start: Place, end_row: int, end_x: float) -> float:
        """Where an arrow from a place up to a row passes by the rows between, as near as can be."""
        between = [place for place in self.places.values() if start.row < place.row < end_row]
        candidates = [end_x, start.x]
        candidates += [place.x + side * (place.width / 2 + 8) for place in between for side in (-1, 1)]
        free = [x for x in candidates if all(abs(place.x - x) > place.width / 2 + 6 for place in between)]
        return min(free, key=lambda x: (abs(x - start.x) + abs(x - end_x), x))

    def from_left(self, siblings: Sequence[Link]) -> list[Link]:
        """Edges that share a side of a box, in the order in which they should lie there so as not to cross."""
        return sorted(siblings, key=self._lane_of)

    def _lane_of(self, link: Link) -> float:
        target = self.places[link.target]
        return self.lane(self.places[link.source], target.row, target.x)

    def label(self, link: Link) -> tuple[str, str]:
        """The parameters that an edge goes through, as text, and the first one's colour."""
        offset = link.equation.lead - link.delay
        tensors: list[Tensor] = self._weights[link.equation].get((link.source, offset), [])
        names = [self._names[tensor] for tensor in tensors if tensor in self._names]
        if not names:
            return "", palette.TEXT
        text = ", ".join(clean(name, 14) for name in names[:3]) + (", …" if len(names) > 3 else "")
        return text, self.colors[names[0]]

    def color(self, link: Link) -> tuple[str, float]:
        """The colour and the width of an edge."""
        if link.delay == 0:
            return palette.ARROW, 1.2
        if link.delay < 0:
            return palette.REVERSED.line, 1.8
        if link.source is not link.target and self.places[link.source].row >= self.places[link.target].row:
            return palette.FEEDBACK, 2.0
        return palette.STATE.line, 1.8


def port(link: Link, siblings: Sequence[Link], apart: float = 14) -> float:
    """How far from the middle of its side an edge begins or ends, where several do."""
    return (list(siblings).index(link) - (len(siblings) - 1) / 2) * apart
