"""Patterns inside boxes: what a colour can't tell in grey print, or to the colour-blind, is told by lines.

They are straight lines, so that every program that paints DOT paints them alike. They keep inside the shape of a box,
and away from its label.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import palette

Point = tuple[float, float]
Segment = tuple[Point, Point]
Rectangle = tuple[float, float, float, float]  # left, bottom, right, top
HalfPlane = tuple[float, float, float]  # a, b, c: the points at which ax + by <= c

APART = 6.0  # between parallel lines, and between dots
INSET = 1.5  # from the outline of a box
CORNER = 6.0  # along both sides of a rounded corner, which a line doesn't enter
SHORTEST = 1.5  # of a line
DASH, SPACE = 7.0, 5.0
DOT = 1.6
SIDES = 16  # of the polygon that stands for an ellipse


class Pattern(NamedTuple):
    """Lines in a box: a kind of `KINDS`, with colour and width."""

    kind: str
    color: str = palette.PATTERN
    pen: float = 1.0


def pattern_lines(pattern: Pattern, inside: Rectangle, label: tuple[float, float], corner: str = "") -> list[Segment]:
    """Return the lines of a pattern in a rectangle, but for the middle where a label of a width and a height stands.

    Args:
        corner: "round" for rounded corners, "ellipse" for an ellipse.
    """
    left, bottom, right, top = inside
    x, y = (left + right) / 2, (bottom + top) / 2
    width, height = label
    hole = _planes((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    shape = _shape((left + INSET, bottom + INSET, right - INSET, top - INSET), corner)
    found = []
    for line in KINDS[pattern.kind](inside):
        kept = _interval(line, shape)
        covered = _interval(line, hole) if kept and width else None
        least = min(SHORTEST, math.dist(*line))
        for start, end in _without(kept, covered) if kept else ():
            if (end - start) * math.dist(*line) >= least - 1e-9:
                found.append((_along(line, start), _along(line, end)))
    return found


# ---- the lines of each kind, over the whole rectangle
def _rising(inside: Rectangle) -> Iterator[Segment]:
    left, bottom, right, top = inside
    height = top - bottom
    for x in _spread(left - height, right, APART * math.sqrt(2)):
        yield (x, bottom), (x + height, top)


def _upright(inside: Rectangle) -> Iterator[Segment]:
    left, bottom, right, top = inside
    for x in _spread(left, right, APART):
        yield (x, bottom), (x, top)


def _grid(inside: Rectangle) -> Iterator[Segment]:
    left, bottom, right, top = inside
    yield from _upright(inside)
    for y in _spread(bottom, top, APART):
        yield (left, y), (right, y)


def _dots(inside: Rectangle) -> Iterator[Segment]:
    left, bottom, right, top = inside
    for number, y in enumerate(_spread(bottom, top, APART)):
        for x in _spread(left + (number % 2) * APART / 2, right, APART):
            yield (x - DOT / 2, y), (x + DOT / 2, y)


def _dashes(inside: Rectangle) -> Iterator[Segment]:
    left, bottom, right, top = inside
    for number, y in enumerate(_spread(bottom, top, APART)):
        for x in _spread(left + (number % 2) * (DASH + SPACE) / 2, right, DASH + SPACE):
            yield (x - DASH / 2, y), (x + DASH / 2, y)


KINDS = {"rising": _rising, "grid": _grid, "dots": _dots, "dashes": _dashes, "upright": _upright}


def _spread(low: float, high: float, apart: float) -> list[float]:
    """Return numbers between low and high at a distance, as far from the one end as from the other."""
    count = max(int((high - low - APART) / apart), 0)
    first = (low + high - count * apart) / 2
    return [first + apart * number for number in range(count + 1)]


# ---- clipping: Cyrus and Beck, Generalized two- and three-dimensional clipping (1978)
def _planes(box: Rectangle) -> list[HalfPlane]:
    left, bottom, right, top = box
    return [(-1.0, 0.0, -left), (0.0, -1.0, -bottom), (1.0, 0.0, right), (0.0, 1.0, top)]


def _shape(box: Rectangle, corner: str) -> list[HalfPlane]:
    """Return the half-planes of which a shape is the intersection."""
    left, bottom, right, top = box
    x, y = (left + right) / 2, (bottom + top) / 2
    half_width, half_height = (right - left) / 2, (top - bottom) / 2
    if corner == "ellipse":
        turns = [2 * math.pi * number / SIDES for number in range(SIDES)]
        normals = [(math.cos(turn) / half_width, math.sin(turn) / half_height) for turn in turns]
        within = math.cos(math.pi / SIDES)  # of the polygon with its corners on the ellipse
        return [(a, b, a * x + b * y + within) for a, b in normals]
    planes = _planes(box)
    if corner == "round":
        reach = half_width + half_height - min(CORNER, half_width, half_height)
        planes += [(a, b, a * x + b * y + reach) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    return planes


def _interval(line: Segment, planes: Sequence[HalfPlane]) -> tuple[float, float] | None:
    """Return from which to which fraction of its length a line is inside of all half-planes; None if nowhere."""
    (x, y), (x1, y1) = line
    start, end = 0.0, 1.0
    for a, b, c in planes:
        rest, slope = c - a * x - b * y, a * (x1 - x) + b * (y1 - y)
        if abs(slope) < 1e-9:
            if rest < 0:
                return None
        elif slope > 0:
            end = min(end, rest / slope)
        else:
            start = max(start, rest / slope)
    return (start, end) if start < end else None


def _without(kept: tuple[float, float], covered: tuple[float, float] | None) -> list[tuple[float, float]]:
    if covered is None:
        return [kept]
    (start, end), (first, last) = kept, covered
    return [(a, b) for a, b in ((start, min(end, first)), (max(start, last), end)) if a < b]


def _along(line: Segment, fraction: float) -> Point:
    (x, y), (x1, y1) = line
    return x + (x1 - x) * fraction, y + (y1 - y) * fraction
