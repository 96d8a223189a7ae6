"""What is drawn, and where: boxes, arrows, frames and texts with positions, in points, y upward.

Knows nothing of what they stand for, nor of how they are painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import palette
from .fonts import LINE, text_width
from .palette import Paint

Point = tuple[float, float]
CORNER = 1.1  # width of a line of text, as it may come out a little wider than its letters


@dataclass
class Box:
    """A labelled box, centred at (x, y)."""

    key: str
    x: float
    y: float
    width: float
    height: float
    label: str
    paint: Paint
    dashed: bool = False
    rounded: bool = True
    pen: float = 1.4
    size: float = 12
    tooltip: str = ""

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2


@dataclass
class Text:
    """Text centred at (x, y)."""

    x: float
    y: float
    text: str
    size: float = 11
    color: str = palette.TEXT

    @property
    def width(self) -> float:
        return text_width(self.text, self.size) * CORNER

    @property
    def height(self) -> float:
        return (self.text.count("\n") + 1) * self.size * LINE


@dataclass
class Arrow:
    """A line from one box to another along Bézier curves: points p0, then three for each curve."""

    source: str
    target: str
    points: Sequence[Point]
    color: str = palette.ARROW
    pen: float = 1.2
    head: bool = True
    dashed: bool = False
    label: Text | None = None
    tooltip: str = ""


@dataclass
class Frame:
    """A rounded frame behind boxes, with a caption inside at its foot."""

    left: float
    bottom: float
    right: float
    top: float
    caption: str
    paint: Paint = palette.STEP
    dashed: bool = False


@dataclass
class Scene:
    """A whole drawing."""

    name: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def free(self, candidates: Sequence[Text]) -> Text:
        """The first of some places for a text where it covers no box and no other text."""
        texts = [*self.texts, *(arrow.label for arrow in self.arrows if arrow.label)]
        taken: list[Box | Text] = [*self.boxes, *texts]
        for text in candidates:
            if not any(abs(text.x - other.x) < (text.width + other.width) / 2
                       and abs(text.y - other.y) < (text.height + other.height) / 2 for other in taken):
                return text
        return candidates[0]

    def bounds(self, margin: float = 12) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of all that is drawn, with a margin."""
        texts = [*self.texts, *(arrow.label for arrow in self.arrows if arrow.label)]
        rectangles = [(b.left, b.bottom, b.right, b.top) for b in self.boxes]
        rectangles += [(f.left, f.bottom, f.right, f.top) for f in self.frames]
        rectangles += [(t.x - t.width / 2, t.y - t.height / 2, t.x + t.width / 2, t.y + t.height / 2) for t in texts]
        rectangles += [(x, y, x, y) for arrow in self.arrows for x, y in arrow.points]
        left, bottom, right, top = zip(*rectangles) if rectangles else ((0.0,),) * 4
        return min(left) - margin, min(bottom) - margin, max(right) + margin, max(top) + margin


def beside(x: float, y: float, text: str, size: float, color: str, right: bool = True) -> Text:
    """Text that begins (or, to the left, ends) at (x, y)."""
    placed = Text(x, y, text, size, color)
    half = text_width(text, size) / 2
    placed.x += half if right else -half
    return placed


def straight(start: Point, end: Point) -> list[Point]:
    """A straight line as one curve."""
    (x0, y0), (x1, y1) = start, end
    return [start, (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3), (x0 + 2 * (x1 - x0) / 3, y0 + 2 * (y1 - y0) / 3), end]


def sideways(start: Point, end: Point) -> list[Point]:
    """A curve that leaves and arrives horizontally."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    return [start, (middle, y0), (middle, y1), end]


def upright(start: Point, end: Point) -> list[Point]:
    """A curve that leaves and arrives vertically."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    return [start, (x0, middle), (x1, middle), end]


def joined(*curves: Sequence[Point]) -> list[Point]:
    """Curves one after the other, each beginning where the one before ends."""
    return [*curves[0], *(point for curve in curves[1:] for point in curve[1:])]


def climb(start: Point, end: Point, lane: float, gap: float) -> list[Point]:
    """Up from one box to another, past the rows between in a lane."""
    if abs(start[0] - end[0]) < 0.1 and abs(lane - start[0]) < 0.1:
        return straight(start, end)
    if end[1] - start[1] <= gap + 0.1:
        return upright(start, end)
    enter, leave = (lane, start[1] + gap), (lane, end[1] - gap)
    return joined(upright(start, enter), straight(enter, leave), upright(leave, end))
