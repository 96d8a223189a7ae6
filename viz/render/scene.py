"""A scene: boxes, arrows, frames and texts with positions in points, y upward; and the geometry of curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product

import numpy as np

from . import palette
from .fonts import LINE, text_width
from .patterns import Pattern
from .patterns import Point as Point
from .patterns import Rectangle as Rectangle

CORNER = 1.1  # factor on the width of text, which renderers draw slightly wider than the sum of its letters
NEXT_PLACE = 8.0  # distance of places that are tried for a label
DENSITY = 3.0  # distance of the points at which curves are compared with texts


@dataclass
class Box:
    """A labelled box, centred at (x, y)."""

    key: str
    x: float
    y: float
    width: float
    height: float
    label: str
    paint: palette.Paint
    dashed: bool = False
    rounded: bool = True
    pen: float = 1.4
    size: float = 12
    tooltip: str = ""
    circle: bool = False
    color: str = palette.TEXT
    anchor: int = 0  # -1: the label begins at the left side
    colored: Sequence[tuple[str, str]] = ()  # the last line of the label, in pieces with their colours
    pattern: Pattern | None = None  # in the place of a fill
    filled: bool = True

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

    def side(self, y: float, side: int) -> Point:
        """Return the point at height y of the right (1) or left (-1) side."""
        half = self.width / 2
        if self.circle:
            half = math.sqrt(max(half ** 2 - (y - self.y) ** 2, 0.0))
        return self.x + side * half, y


@dataclass
class Text:
    """Text centred at (x, y)."""

    x: float
    y: float
    text: str
    size: float = 11
    color: str = palette.TEXT
    anchor: int = 0  # -1: its left end is certain, as the renderer may draw it wider or narrower; 1: its right end

    @property
    def width(self) -> float:
        return text_width(self.text, self.size) * CORNER

    @property
    def height(self) -> float:
        return (self.text.count("\n") + 1) * self.size * LINE

    @property
    def rectangle(self) -> Rectangle:
        """The bounding box."""
        half = self.width / 2
        return self.x - half, self.y - self.height / 2, self.x + half, self.y + self.height / 2


@dataclass
class Arrow:
    """A line from one box to another along cubic Bézier curves: the start, then three points for each curve."""

    source: str
    target: str
    points: Sequence[Point]
    color: str = palette.ARROW
    pen: float = 1.2
    head: bool = True
    dashed: bool = False
    dotted: bool = False
    label: Text | None = None
    tooltip: str = ""
    branch: bool = False  # whether other arrows share its line but for the end, where its label belongs


@dataclass
class Frame:
    """A rounded frame behind boxes, with a caption at the bottom."""

    left: float
    bottom: float
    right: float
    top: float
    caption: str
    paint: palette.Paint = palette.STEP
    dashed: bool = False
    color: str = palette.QUIET


@dataclass
class Scene:
    """A whole drawing."""

    name: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    title: str = ""  # of the picture, without its steps or values
    alt: str = ""  # the picture in one or two sentences

    def place_labels(self, wanted: Sequence[tuple[Arrow, Sequence[Text]]], crowded: bool = False,
                     lines: Sequence[Sequence[Point]] = ()) -> None:
        """Place the label of each arrow at the candidate, or along the arrow, where it covers least.

        The labels are placed one after another, each around those before it (greedily). In a crowded scene more
        places are tried, above and below the arrow. `lines` are more curves that labels are kept off.
        """
        taken = _Taken([(box.left, box.bottom, box.right, box.top) for box in self.boxes]
                       + [text.rectangle for text in self.texts], [*(arrow.points for arrow in self.arrows), *lines])
        numbers = {id(arrow): number for number, arrow in enumerate(self.arrows)}
        for arrow, candidates in wanted:
            best, least = candidates[0], math.inf
            for text in chain(candidates, _places_along(arrow, candidates[0], crowded)):
                cost = taken.cost(text.rectangle, -1 if crowded else 2, numbers[id(arrow)])
                if cost < least:
                    best, least = text, cost
                if not cost:
                    break
            arrow.label = best
            taken.add(best.rectangle)

    def add(self, other: Scene, dx: float = 0.0, dy: float = 0.0, prefix: str = "") -> None:
        """Add the parts of another scene, moved by (dx, dy), with a prefix on the keys of its boxes."""
        self.boxes += [replace(box, key=prefix + box.key, x=box.x + dx, y=box.y + dy) for box in other.boxes]
        for arrow in other.arrows:
            label = arrow.label and replace(arrow.label, x=arrow.label.x + dx, y=arrow.label.y + dy)
            points = [(x + dx, y + dy) for x, y in arrow.points]
            self.arrows.append(replace(arrow, source=prefix + arrow.source, target=prefix + arrow.target,
                                       points=points, label=label))
        self.frames += [replace(frame, left=frame.left + dx, bottom=frame.bottom + dy, right=frame.right + dx,
                                top=frame.top + dy) for frame in other.frames]
        self.texts += [replace(text, x=text.x + dx, y=text.y + dy) for text in other.texts]

    def bounds(self, margin: float = 12) -> Rectangle:
        """Return left, bottom, right and top of the whole drawing, with a margin."""
        texts = [*self.texts, *(arrow.label for arrow in self.arrows if arrow.label)]
        parts: list[Box | Frame] = [*self.boxes, *self.frames]
        rectangles = [(part.left, part.bottom, part.right, part.top) for part in parts]
        rectangles += [text.rectangle for text in texts]
        rectangles += [(x, y, x, y) for arrow in self.arrows for x, y in arrow.points]
        left, bottom, right, top = zip(*rectangles) if rectangles else ((0.0,),) * 4
        return min(left) - margin, min(bottom) - margin, max(right) + margin, max(top) + margin


def _places_along(arrow: Arrow, text: Text, crowded: bool) -> Iterator[Text]:
    """Yield places for a label on both sides of its arrow, then above and below it; in a crowded scene near to it."""
    own = arrow.points[-7:] if arrow.branch else arrow.points
    for x, y in sample_curve(own, 8)[1:-1]:
        for side in (1, -1):
            yield replace(text, x=x + side * (text.width / 2 + 5), y=y)
    for x, y in sample_curve(own, 16)[1:-1] if crowded else dense_samples(own, NEXT_PLACE).tolist():
        for side, across in product((1, -1), (1, -1)):
            yield replace(text, x=x + across * (text.width / 2 + 2), y=y + side * (text.height / 2 + 2))
        if not crowded:
            yield from (replace(text, x=x + side * (text.width / 2 + 5), y=y) for side in (1, -1))


class _Taken:
    """The rectangles and curves of a scene; a position for a text has a cost.

    The curves are sampled at most DENSITY apart. The samples are sorted by x, so that a text is compared only with
    those above and below it.
    """

    def __init__(self, rectangles: Sequence[Rectangle], curves: Sequence[Sequence[Point]]) -> None:
        self.count = len(rectangles)
        self.rectangles = np.empty((max(2 * self.count, 16), 4))
        self.rectangles[:self.count] = np.reshape(rectangles, (-1, 4))
        samples = [dense_samples(points) for points in curves]
        points = np.concatenate([np.empty((0, 2)), *samples])
        owners = np.repeat(np.arange(len(samples)), [len(each) for each in samples])
        order = np.argsort(points[:, 0], kind="stable")
        self.x, self.y, self.owners = points[order, 0], points[order, 1], owners[order]

    def add(self, rectangle: Rectangle) -> None:
        """Add the rectangle of a text."""
        if self.count == len(self.rectangles):
            self.rectangles = np.concatenate([self.rectangles, np.empty_like(self.rectangles)])
        self.rectangles[self.count] = rectangle
        self.count += 1

    def cost(self, text: Rectangle, overlap: float, own: int) -> float:
        """Return the cost of a position: 100 for each box or text under the text, 1 for each arrow, 0.5 for its own.

        An arrow may pass over the text's upper or lower edge by `overlap`.
        """
        left, bottom, right, top = text
        others = self.rectangles[:self.count]
        covered = np.count_nonzero((left < others[:, 2]) & (others[:, 0] < right)
                                   & (bottom < others[:, 3]) & (others[:, 1] < top))
        start, end = np.searchsorted(self.x, left - 1, "right"), np.searchsorted(self.x, right + 1, "left")
        y = self.y[start:end]
        crossed = set(self.owners[start:end][(bottom + overlap < y) & (y < top - overlap)].tolist())
        return 100 * covered + len(crossed) - 0.5 * (own in crossed)


def dense_samples(points: Sequence[Point], apart: float = DENSITY) -> np.ndarray:
    """Return points on Bézier curves, at most a distance apart on the longest of them."""
    controls = np.array(points)
    steps = np.abs(np.diff(controls, axis=0)).sum(axis=1)  # the control polygon is at least as long as the curve
    longest = max((steps[i:i + 3].sum() for i in range(0, len(steps), 3)), default=0.0)
    s = np.linspace(0.0, 1.0, max(int(longest / apart), 24) + 1)
    weights = np.stack([(1 - s) ** 3, 3 * (1 - s) ** 2 * s, 3 * (1 - s) * s * s, s ** 3], axis=1)
    each = np.stack([controls[i:len(controls) - 3 + i:3] for i in range(4)], axis=1)
    return np.concatenate(list(weights @ each))


def text_beside(x: float, y: float, text: str, size: float, color: str, right: bool = True) -> Text:
    """Return text that begins at (x, y), or ends there if not `right`."""
    placed = Text(x, y, text, size, color, -1 if right else 1)
    half = placed.width / 2
    placed.x += half if right else -half
    return placed


def straight_line(start: Point, end: Point) -> list[Point]:
    """Return a straight line as one Bézier curve."""
    (x0, y0), (x1, y1) = start, end
    return [start, (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3), (x0 + 2 * (x1 - x0) / 3, y0 + 2 * (y1 - y0) / 3), end]


def horizontal_curve(start: Point, end: Point) -> list[Point]:
    """Return a curve that leaves and arrives horizontally."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    return [start, (middle, y0), (middle, y1), end]


def vertical_curve(start: Point, end: Point) -> list[Point]:
    """Return a curve that leaves and arrives vertically."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    return [start, (x0, middle), (x1, middle), end]


def join_curves(*curves: Sequence[Point]) -> list[Point]:
    """Concatenate curves, each of which begins where the previous one ends."""
    return [*curves[0], *(point for curve in curves[1:] for point in curve[1:])]


def round_corners(corners: Sequence[Point], radius: float | Sequence[float] = 11) -> list[Point]:
    """Return straight lines through some corners, which are rounded with one radius, or each with its own."""
    curves = []
    last = corners[0]
    radii = [radius] * len(corners) if isinstance(radius, (int, float)) else radius
    for before, corner, after, own in zip(corners, corners[1:], corners[2:], radii):
        first, second = math.dist(before, corner), math.dist(corner, after)
        if first < 0.1 or second < 0.1:
            continue
        r = min(own, first / 2, second / 2)
        enter, leave = _between(corner, before, r / first), _between(corner, after, r / second)
        curves += [straight_line(last, enter),
                   [enter, _between(enter, corner, 0.6), _between(leave, corner, 0.6), leave]]
        last = leave
    return join_curves(*curves, straight_line(last, corners[-1]))


def _between(start: Point, end: Point, fraction: float) -> Point:
    return start[0] + (end[0] - start[0]) * fraction, start[1] + (end[1] - start[1]) * fraction


def move_toward(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from the start; straight below it if the two points coincide."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 0.01:
        dx, dy, length = 0.0, -1.0, 1.0
    return start[0] + dx / length * distance, start[1] + dy / length * distance


def sample_curve(points: Sequence[Point], each: int = 48) -> list[Point]:
    """Return points on Bézier curves, `each` + 1 on each curve."""
    samples = []
    for i in range(0, len(points) - 1, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[i:i + 4]
        for number in range(each + 1):
            s = number / each
            a, b, c, d = (1 - s) ** 3, 3 * (1 - s) ** 2 * s, 3 * (1 - s) * s * s, s ** 3
            samples.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return samples


def misses_boxes(points: Sequence[Point], boxes: Sequence[Box], margin: float = 3) -> bool:
    """Return whether curves pass through no box."""
    return not any(box.left - margin < x < box.right + margin and box.bottom - margin < y < box.top + margin
                   for x, y in sample_curve(points) for box in boxes)
