"""Time steps in several rows: a finished picture of one row is divided between columns, its parts moved.

An arrow from row to row is divided too. Each piece ends, and the next one begins, at the name of its source, "h[4]".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from viz.render.fonts import text_width
from viz.render.scene import (
    CORNER,
    Arrow,
    Point,
    Rectangle,
    Scene,
    Text,
    horizontal_curve,
    join_curves,
    straight_line,
    text_beside,
)

from .folding import Column
from .step_graph import Edge

INSIDE = 5.0  # from the line on which a row is divided from the next to its last frame's side: arrows are level there
STUBS = {True: 20.0, False: 14.0}  # from that line to the name of a continued arrow, on the right or left of a row
BETWEEN = 26.0  # from row to row
SIZE = 10.0  # of the names
PITCH = 12.0  # from name to name above each other
TOGETHER = 11.0  # pieces of one source and colour that are nearer to each other share a name
LEVEL = 0.05  # height by which an arrow may rise before the end of a row
HALVINGS = 50  # of an interval, to find a point of a curve

Curve = Sequence[Point]


class Link(NamedTuple):
    """An arrow with its edge and the step at which it ends."""

    arrow: Arrow
    edge: Edge
    k: int


class Mark(NamedTuple):
    """The name of a continued arrow; `k` is the first step that is drawn if it is."""

    text: Text
    k: int


class _End(NamedTuple):
    """An end of a piece of an arrow at the side of a row."""

    row: int
    right: bool
    y: float
    name: str
    piece: Arrow
    first: bool  # whether the piece begins there


class Rows:
    """The rows of a picture.

    Args:
        columns: all columns of the picture.
        T: the number of steps; a column outside 1 … T is in the first or the last row.
        per_row: the number of columns in a row.

    Attributes:
        rows: the columns of each row.
        shift: of each row.
        marks: the names at the ends of rows.
        end: the right side of the last row.
    """

    def __init__(self, columns: Sequence[Column], T: int, per_row: int) -> None:
        inside = [column for column in columns if 1 <= column.k <= T]
        starts = [column.k for column in inside[per_row::per_row]]
        self.rows: list[list[Column]] = [[]]
        for column in columns:
            if column.k in starts:
                self.rows.append([])
            self.rows[-1].append(column)
        self.left = inside[0].left
        self.cuts = [row[-1].right - INSIDE for row in self.rows[:-1]]
        self.shift: list[Point] = [(0.0, 0.0)] * len(self.rows)
        self.marks: list[Mark] = []
        self.end = 0.0

    def row(self, x: float) -> int:
        """Return the row of what is at x in a picture of one row."""
        return bisect_right(self.cuts, x)

    def row_of(self, k: int) -> int:
        """Return the row of a step."""
        return next(number for number, row in enumerate(self.rows) for column in row if k in column.steps)

    def size(self, bounds: Rectangle, names: Sequence[str] = ()) -> tuple[float, float, float]:
        """Return about the width and height that a picture will have, and how much shorter its last row will be.

        Args:
            bounds: those of one row.
            names: of the signals whose arrows go on in other rows.
        """
        left, bottom, right, top = bounds
        widest = 3 + max((text_width(name, SIZE) * CORNER for name in names), default=0.0)
        edges = [left, *self.cuts, right]
        first = [self.left, *(row[0].left for row in self.rows[1:])]
        ends = [(a - start, b - start) for (a, b), start in zip(pairwise(edges), first)]
        reach = [(a - (STUBS[False] + widest if number else 0.0),
                  b + (STUBS[True] + widest if number < len(self.cuts) else 0.0)) for number, (a, b) in enumerate(ends)]
        height = (top - bottom + BETWEEN) * len(self.rows) - BETWEEN
        end = max(b for _, b in reach)
        return end - min(a for a, _ in reach), height, end - reach[-1][1]

    def apply(self, scene: Scene, links: Sequence[Link]) -> list[Link]:
        """Move all parts of a scene to their rows; return the pieces of its arrows, and add the names between them."""
        _, bottom, right, top = scene.bounds(0)
        self.shift = [(self.left - row[0].left if number else 0.0, -number * (top - bottom + BETWEEN))
                      for number, row in enumerate(self.rows)]
        self.end = right + self.shift[-1][0]
        pieces = [piece for link in links for piece in self._pieces(link)]
        for box in scene.boxes:
            box.x, box.y = self._moved(box.x, box.y)
        for frame in scene.frames:
            dx, dy = self.shift[self.row((frame.left + frame.right) / 2)]
            frame.left, frame.right = frame.left + dx, frame.right + dx
            frame.bottom, frame.top = frame.bottom + dy, frame.top + dy
        for text in scene.texts:
            text.x, text.y = self._moved(text.x, text.y)
        for row, (dx, _) in zip(self.rows, self.shift):
            for column in row:
                column.left, column.x, column.right = column.left + dx, column.x + dx, column.right + dx
        scene.arrows[:] = [piece.arrow for piece, _ in pieces]
        self._add_marks(scene, [end for _, ends in pieces for end in ends])
        return [link for link, _ in pieces]

    def _moved(self, x: float, y: float) -> Point:
        dx, dy = self.shift[self.row(x)]
        return x + dx, y + dy

    # ---- arrows
    def _pieces(self, link: Link) -> Iterator[tuple[Link, list[_End]]]:
        """Yield the pieces of an arrow, moved to their rows, and their ends at the sides of rows."""
        arrow, edge, k = link
        divided = list(_divide(arrow.points, self.cuts))
        rows = [self.row((curve[0][0] + curve[-1][0]) / 2) for curve in divided]
        name = edge.source.label if edge.source.once or edge.source.node is not None else (
            f"{edge.source.label}[{k - edge.delay}]")
        label = arrow.label
        labelled = rows.index(self.row(label.x)) if label and self.row(label.x) in rows else 0
        for number, (curve, row) in enumerate(zip(divided, rows)):
            dx, dy = self.shift[row]
            text = replace(label, x=label.x + dx, y=label.y + dy) if label and number == labelled else None
            piece = replace(arrow, points=[(x + dx, y + dy) for x, y in curve], label=text)
            ends = []
            if number:
                ends.append(_End(row, rows[number - 1] > row, piece.points[0][1], name, piece, True))
            if number < len(rows) - 1:
                ends.append(_End(row, rows[number + 1] > row, piece.points[-1][1], name, piece, False))
            yield Link(piece, edge, k), ends

    def _add_marks(self, scene: Scene, ends: Sequence[_End]) -> None:
        """Add the names at both sides of all rows, and lines to them."""
        for row, right in dict.fromkeys((end.row, end.right) for end in ends):
            cut = self.cuts[row if right else row - 1] + self.shift[row][0]
            groups = _grouped([end for end in ends if (end.row, end.right) == (row, right)])
            heights = _spread([sum(end.y for end in group) / len(group) for group in groups])
            for group, y in zip(groups, heights):
                x = cut + STUBS[right] if right else cut - STUBS[right]
                for end in group:
                    _lead(end, (x, y))
                text = text_beside(x + (3 if right else -3), y, group[0].name, SIZE, group[0].piece.color, right)
                scene.texts.append(text)
                self.marks.append(Mark(text, self.rows[row + 1 if right else row][0].k))


def _lead(end: _End, place: Point) -> None:
    """Continue a piece of an arrow to its name, or let it begin there."""
    points = end.piece.points
    near = points[0] if end.first else points[-1]
    curve = straight_line if abs(near[1] - place[1]) < 0.1 else horizontal_curve
    if end.first:
        end.piece.points = join_curves(curve(place, near), points)
    else:
        end.piece.points = join_curves(points, curve(near, place))


def _grouped(ends: Sequence[_End]) -> list[list[_End]]:
    """Return the ends that share a name, from below: those of one name that are near to each other."""
    groups: list[list[_End]] = []
    for end in sorted(ends, key=_height):
        same = [group for group in groups if (group[0].name, group[0].piece.color) == (end.name, end.piece.color)
                and end.y - group[0].y < TOGETHER]
        if same:
            same[-1].append(end)
        else:
            groups.append([end])
    return groups


def _height(end: _End) -> float:
    return end.y


def _spread(heights: Sequence[float]) -> list[float]:
    """Return heights, given from below, moved as little as needed to be PITCH apart: in groups around their means."""
    groups: list[list[float]] = []
    for y in heights:
        groups.append([y])
        while len(groups) > 1 and _lowest(groups[-1]) - _highest(groups[-2]) < PITCH:
            last = groups.pop()
            groups[-1] += last
    return [_lowest(group) + PITCH * number for group in groups for number in range(len(group))]


def _lowest(group: Sequence[float]) -> float:
    return sum(group) / len(group) - PITCH * (len(group) - 1) / 2


def _highest(group: Sequence[float]) -> float:
    return _lowest(group) + PITCH * (len(group) - 1)


# ---- curves
def _divide(points: Curve, cuts: Sequence[float]) -> Iterator[list[Point]]:
    """Yield the pieces of Bézier curves between some upright lines, at which they are level."""
    piece: list[Point] = [points[0]]
    for place in range(0, len(points) - 1, 3):
        curve = list(points[place:place + 4])
        for cut in sorted(cuts, reverse=curve[-1][0] < curve[0][0]):
            low, high = sorted((curve[0][0], curve[-1][0]))
            if low < cut < high:
                first, curve = _split(curve, cut)
                if abs(first[-1][1] - first[0][1]) > LEVEL:  # it would end in the middle of its way up or down
                    border = cut, first[0][1]
                    first, curve = straight_line(first[0], border), horizontal_curve(border, curve[-1])
                yield piece + first[1:]
                piece = [curve[0]]
        piece += curve[1:]
    yield piece


def _split(curve: Curve, cut: float) -> tuple[list[Point], list[Point]]:
    """Return the parts of a cubic Bézier curve on both sides of an upright line (de Casteljau)."""
    low, high = 0.0, 1.0
    rising = curve[-1][0] > curve[0][0]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (_halves(curve, middle)[0][-1][0] < cut) is rising:
            low = middle
        else:
            high = middle
    return _halves(curve, low)


def _halves(curve: Curve, s: float) -> tuple[list[Point], list[Point]]:
    rows = [list(curve)]
    while len(rows[-1]) > 1:
        rows.append([(x0 + s * (x1 - x0), y0 + s * (y1 - y0)) for (x0, y0), (x1, y1) in pairwise(rows[-1])])
    return [row[0] for row in rows], [row[-1] for row in reversed(rows)]
