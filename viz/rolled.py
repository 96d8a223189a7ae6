"""A definition as a picture: its loops, each with its delay.

A layer's own loop goes round on the right, feedback to a lower layer comes down on the left, a
delayed edge to a higher layer goes up on the right. A delay is a black square (Goodfellow, Bengio
and Courville, Deep Learning, 2016, section 10.1), with z⁻ᵏ beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnn import Cell, Signal
from rnn.analysis import Link, check

from . import palette
from .dot import Picture, picture
from .fonts import clean
from .palette import Paint
from .rows import HEIGHT, Rows, port
from .scene import Arrow, Box, Point, Scene, Text, beside, climb

PITCH = 88.0  # from row to row
SQUARE = 11.0
SUPERSCRIPTS = str.maketrans("-+0123456789", "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹")
DELAY = Paint("#000000", "#000000")
LONGEST = 96  # characters of an equation


def rolled(cell: Cell) -> Picture:
    """Draw a definition: one box a signal, delayed edges as loops.

    Raises:
        DefinitionError: where the definition can't be computed; says why.
    """
    check(cell)
    return picture(_Rolled(cell).scene)


class _Rolled:
    """The scene of one definition, built layer by layer."""

    def __init__(self, cell: Cell) -> None:
        labels = {signal: [f"{clean(signal.name)}(t)"] for signal in cell.signals.values()}
        self.cell = cell
        self.rows = Rows(cell, labels)
        self.scene = Scene(clean(cell.name, 60))
        self.boxes: dict[Signal, Box] = {}
        for number, (signal, place) in enumerate(self.rows.places.items()):
            box = Box(f"s{number}", place.x, place.row * PITCH, place.width, HEIGHT, labels[signal][0],
                      place.paint, tooltip=str(signal.equation or signal.name))
            self.boxes[signal] = box
            self.scene.boxes.append(box)
        self.right = self.left = self.rows.width / 2  # how far out the picture reaches so far
        self._draw_upward([link for link in self.rows.links if link.delay == 0])
        delayed = [link for link in self.rows.links if link.delay]
        self._draw_own_loops([link for link in delayed if link.source is link.target])
        others = [link for link in delayed if link.source is not link.target]
        self._draw_lanes([link for link in others if not self._rises(link)], -1)
        self._draw_lanes([link for link in others if self._rises(link)], 1)
        self._write_captions()

    def _rises(self, link: Link) -> bool:
        return self.boxes[link.source].y < self.boxes[link.target].y

    def _draw_upward(self, upward: Sequence[Link]) -> None:
        """The arrows within a step."""
        for link in upward:
            source, target = self.boxes[link.source], self.boxes[link.target]
            leaving = self.rows.from_left([other for other in upward if other.source is link.source])
            arriving = self.rows.from_left([other for other in upward if other.target is link.target])
            start = (source.x + port(link, leaving), source.top)
            end = (target.x + port(link, arriving), target.bottom)
            lane = self.rows.lane(self.rows.places[link.source], self.rows.places[link.target].row, end[0])
            points = climb(start, end, lane, PITCH - HEIGHT)
            text, color = self.rows.label(link)
            gap = (PITCH - HEIGHT) / 2
            label = self.scene.free([beside(lane + (7 if right else -7), y, text, 11, color, right)
                                     for y in (start[1] + gap, end[1] - gap) for right in (False, True)])
            self._arrow(source, target, points, link, label if text else None)
            if text:
                self.left = max(self.left, label.width / 2 - label.x)
                self.right = max(self.right, label.width / 2 + label.x)

    def _draw_own_loops(self, loops: Sequence[Link]) -> None:
        """From the top of a box round to its foot, the shortest delay innermost."""
        reach = self.right
        for signal, box in self.boxes.items():
            out = box.right
            for number, link in enumerate(sorted((link for link in loops if link.source is signal),
                                                 key=lambda link: abs(link.delay))):
                text, color = self.rows.label(link)
                x = out + 40
                attach = box.width * (0.28 - 0.12 * number)
                bend = 22.0 + 8 * number
                near = min(attach + 4, x - box.x)
                up = [(box.x + attach, box.top), (box.x + near, box.top + bend),
                      (x, box.top + bend - 9), (x, box.y + SQUARE / 2)]
                down = [(x, box.y - SQUARE / 2), (x, box.bottom - bend + 9),
                        (box.x + near, box.bottom - bend), (box.x + attach, box.bottom)]
                out = self._delay(link, box, box, x, box.y, up, down, text, color, 1)
            reach = max(reach, out)
        self.right = reach

    def _draw_lanes(self, others: Sequence[Link], side: int) -> None:
        """Delayed edges between layers: out sideways, along a lane outside, and in again."""
        lane = self.left if side < 0 else self.right
        for link in sorted(others, key=lambda link: abs(self.boxes[link.source].y - self.boxes[link.target].y)):
            source, target = self.boxes[link.source], self.boxes[link.target]
            text, color = self.rows.label(link)
            x = side * (lane + 36)
            leaving = [other for other in others if other.source is link.source]
            arriving = [other for other in others if other.target is link.target]
            start = (source.left if side < 0 else source.right, source.y + port(link, leaving, 8))
            end = (target.left if side < 0 else target.right, target.y + port(link, arriving, 8))
            middle = (start[1] + end[1]) / 2
            toward = 1 if start[1] > end[1] else -1
            up = _corner(start, (x, middle + toward * SQUARE / 2))
            down = _corner(end, (x, middle - toward * SQUARE / 2))[::-1]
            if text or link.delay:
                lane = self._delay(link, source, target, x, middle, up, down, text, color, side)
        if side < 0:
            self.left = lane
        else:
            self.right = lane

    def _delay(self, link: Link, source: Box, target: Box, x: float, y: float, up: Sequence[Point],
               down: Sequence[Point], text: str, color: str, side: int) -> float:
        """The square with its two halves of the edge; how far out they and their texts reach."""
        steps = "1 time step" if abs(link.delay) == 1 else f"{abs(link.delay)} time steps"
        meaning = f"delay of {steps}" if link.delay > 0 else f"{steps} ahead"
        square = Box(f"z{len(self.scene.boxes)}", x, y, SQUARE, SQUARE, "", DELAY, rounded=False, tooltip=meaning)
        self.scene.boxes.append(square)
        self._arrow(source, square, up, link, None, head=False)
        self._arrow(square, target, down, link, None)
        power = beside(x + side * 11, y, "z" + f"{-link.delay:+d}".replace("+", "⁺").translate(SUPERSCRIPTS), 11,
                       palette.TEXT, side > 0)
        self.scene.texts.append(power)
        reach = [abs(x) + 11 + power.width]
        if text:
            name = beside(x + side * 11, y - 16, text, 10, color, side > 0)
            self.scene.texts.append(name)
            reach.append(abs(x) + 11 + name.width)
        return max(reach)

    def _arrow(self, source: Box, target: Box, points: Sequence[Point], link: Link, label: Text | None,
               head: bool = True) -> None:
        color, pen = self.rows.color(link)
        self.scene.arrows.append(Arrow(source.key, target.key, points, color, pen, head, label=label,
                                       tooltip=f"{link} → {link.target.name}[t]"))

    def _write_captions(self) -> None:
        """The equations on the right, the name above."""
        lines = [clean(repr(equation), LONGEST) for equation in self.cell.equations]
        if any(link.delay for link in self.rows.links):
            lines.append("■  a delay: z⁻ᵏ gives the value of k time steps before")
        middle = (self.rows.count - 1) * PITCH / 2
        for number, line in enumerate(lines):
            y = middle + (len(lines) / 2 - number - 0.5) * 18
            self.scene.texts.append(beside(self.right + 36, y, line, 11, palette.QUIET))
        left, _, right, top = self.scene.bounds(0)
        self.scene.texts.append(Text((left + right) / 2, top + 26, f"{clean(self.cell.name, 60)}, rolled", 14))


def _corner(start: Point, end: Point) -> list[Point]:
    """A curve that leaves horizontally and arrives vertically."""
    (x0, y0), (x1, y1) = start, end
    return [start, (x0 + (x1 - x0) * 0.7, y0), (x1, y0 + (y1 - y0) * 0.1), end]

