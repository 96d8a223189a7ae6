"""Panels around a picture: lists, legends and equations, each a scene of its own, to the right of it or below it.

For a page of a given width and height they are put where the letters get largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from viz.render import palette
from viz.render.scene import Box, Frame, Rectangle, Scene, Text, text_beside

UNDER = 26.0  # from a panel, or the picture, to the panel under it
APART = 36.0  # from panel to panel; from column to column of one
LINE = 18.0  # from line to line of text
INDENT = 18.0  # of a line that continues an equation
MARGIN = 12.0  # of a whole picture, on each side
NEAR = 6.0  # from a title to what is beside it
TITLE = 35.0  # height of a title with its distance


@dataclass
class Panel:
    """A panel: its scene in one column.

    Attributes:
        pitch: the distance of its rows; None: it can't be divided into columns.
        aisle: from the picture to this panel on its right.
        bound: whether it has to stand there, because arrows lead from it into the picture.
    """

    scene: Scene
    pitch: float | None = None
    aisle: float = APART
    bound: bool = False
    _divided: dict[int, Scene] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of its rows, without the heading."""
        return 1 if self.pitch is None else 1 + max(map(self._row, self._parts()), default=0)

    def in_columns(self, count: int) -> Scene:
        """Return the scene with its rows in some columns, under the heading."""
        if count == 1 or self.pitch is None:
            return self.scene
        if count not in self._divided:
            self._divided[count] = self._divide(-(-self.rows // count))
        return self._divided[count]

    def _divide(self, rows: int) -> Scene:
        """Return the scene with `rows` rows in a column."""
        assert self.pitch is not None
        left, _, right, _ = Scene("", self.scene.boxes, texts=[
            text for text in self.scene.texts if self._row(text) >= 0]).bounds(0)
        divided = Scene(self.scene.name)
        columns: dict[int, Scene] = {}
        for part in self._parts():
            column = columns.setdefault(max(self._row(part), 0) // rows, Scene(""))
            (column.boxes if isinstance(part, Box) else column.texts).append(part)  # type: ignore[arg-type]
        for number, column in columns.items():
            divided.add(column, number * (right - left + APART), number * rows * self.pitch)
        return divided

    def _parts(self) -> list[Box | Text]:
        return [*self.scene.boxes, *self.scene.texts]

    def _row(self, part: Box | Text) -> int:
        """Return the number of a part's row: 0 is that of the highest box; the heading is above it."""
        assert self.pitch is not None
        return round((max(box.y for box in self.scene.boxes) - part.y) / self.pitch)


class Placed(NamedTuple):
    """A panel at its place: its scene, and where the lower left corner of that is."""

    scene: Scene
    left: float
    bottom: float


def size_of(scene: Scene) -> tuple[float, float]:
    """Return the width and the height of a scene."""
    left, bottom, right, top = scene.bounds(0)
    return right - left, top - bottom


def text_panel(lines: Sequence[tuple[int, str]]) -> Panel:
    """Return a panel of lines of text, given with their indents."""
    scene = Scene("equations", texts=[
        text_beside(INDENT * indent, -LINE * number, line, 11, palette.QUIET)
        for number, (indent, line) in enumerate(lines) if line])
    return Panel(scene)


def add_panels(scene: Scene, panels: Sequence[Panel], middle: float, ratio: float | None = None,
               above: float = TITLE, corner: Rectangle | None = None) -> None:
    """Add panels to a scene, beside or below what is in it.

    Args:
        middle: the height of the middle of panels on the right.
        ratio: the width of the page by its height; None: they are on the right.
        above: the height of a title that will be added.
        corner: a place in the scene where nothing is, on its lower right.
    """
    if panels:
        for panel, left, bottom in best_places(panels, scene.bounds(0), middle, ratio, above, corner):
            x, y, _, _ = panel.bounds(0)
            scene.add(panel, left - x, bottom - y)


def best_places(panels: Sequence[Panel], content: Rectangle, middle: float, ratio: float | None,
                above: float = TITLE, corner: Rectangle | None = None) -> list[Placed]:
    """Return the places of panels with which a picture is drawn largest on a page."""
    if ratio is None:
        return _on_the_right(panels, content, middle)
    return max(_all_places(panels, content, middle, corner),
               key=lambda places: worth(extent(places, content), ratio, above))


def extent(places: Sequence[Placed], content: Rectangle) -> tuple[float, float]:
    """Return the width and the height of a picture with its panels."""
    left, bottom, right, top = content
    for scene, x, y in places:
        width, height = size_of(scene)
        left, bottom, right, top = min(left, x), min(bottom, y), max(right, x + width), max(top, y + height)
    return right - left, top - bottom


def worth(size: tuple[float, float], ratio: float, above: float = TITLE) -> tuple[float, float]:
    """Return how good a size is for a page: by the magnification, then by its area, which should be small."""
    return magnification(size, ratio, above), -size[0] * size[1]


def magnification(size: tuple[float, float], ratio: float, above: float = TITLE) -> float:
    """Return how large a picture under a title is on a page of the height 1: the smaller factor of the two sides."""
    return min(ratio / (size[0] + 2 * MARGIN), 1 / (size[1] + above + 2 * MARGIN))


def _all_places(panels: Sequence[Panel], content: Rectangle, middle: float, corner: Rectangle | None
                ) -> Iterator[list[Placed]]:
    """Yield the ways to place panels: the first ones on the right, the next ones below, the last ones in the corner."""
    bound = max((number for number, panel in enumerate(panels, 1) if panel.bound), default=0)
    for last in range(len(panels), bound - 1, -1):
        inside = _in_corner(panels[last:], corner)
        if last == len(panels) or inside:
            for first in range(last, bound - 1, -1):
                right = _on_the_right(panels[:first], content, middle)
                yield [*right, *_below(panels[first:last], right, content), *inside]


def _in_corner(panels: Sequence[Panel], corner: Rectangle | None) -> list[Placed]:
    """Place panels in a corner, beside each other or else under each other; nothing if they don't fit in."""
    if not panels or corner is None:
        return []
    left, bottom, right, top = corner
    columns = [[scene] for scene in _divided(panels, right - left)]
    if sum(size_of(scene)[0] + APART for scene, in columns) - APART > right - left:
        columns = [[panel.scene for panel in panels]]
    heights = [sum(size_of(scene)[1] + UNDER for scene in column) - UNDER for column in columns]
    if max(heights) > top - bottom or max(size_of(scene)[0] for column in columns for scene in column) > right - left:
        return []
    placed, upper = [], (bottom + top + max(heights)) / 2
    for column in columns:
        y = upper
        for scene in column:
            y -= size_of(scene)[1]
            placed.append(Placed(scene, left, y))
            y -= UNDER
        left += max(size_of(scene)[0] for scene in column) + APART
    return placed


def _on_the_right(panels: Sequence[Panel], content: Rectangle, middle: float) -> list[Placed]:
    """Place panels under each other, in a further column if that would be higher than the picture."""
    _, bottom, right, top = content
    sizes = [size_of(panel.scene) for panel in panels]
    most = max([top - bottom, *(height for _, height in sizes)])
    columns: list[list[int]] = []
    filled = math.inf
    for number, (_, height) in enumerate(sizes):
        if filled + UNDER + height > most:
            columns.append([])
            filled = -UNDER
        columns[-1].append(number)
        filled += UNDER + height
    placed = []
    for column in columns:
        x = right + max(panels[number].aisle for number in column)
        height = sum(sizes[number][1] + UNDER for number in column) - UNDER
        y = middle + height / 2
        y = (top + bottom + height) / 2 if height > top - bottom else min(max(y, bottom + height), top)
        for number in column:
            y -= sizes[number][1]
            placed.append(Placed(panels[number].scene, x, y))
            right = max(right, x + sizes[number][0])
            y -= UNDER
    return placed


def _below(panels: Sequence[Panel], right: Sequence[Placed], content: Rectangle) -> list[Placed]:
    """Place panels beside each other below the picture and the panels on its right, in the fewest rows that fit."""
    left, bottom, _, _ = content
    bottom = min([bottom, *(place.bottom for place in right)])
    width, _ = extent(right, content)
    placed: list[Placed] = []
    for line in _lines(panels, width):
        scenes = _divided(line, width)
        x, lower = left, bottom
        for scene in scenes:
            own, height = size_of(scene)
            placed.append(Placed(scene, x, bottom - UNDER - height))
            x, lower = x + own + APART, min(lower, bottom - UNDER - height)
        bottom = lower
    return placed


def _lines(panels: Sequence[Panel], width: float) -> list[list[Panel]]:
    """Divide panels into lines that are no wider than the picture, if possible."""
    lines: list[list[Panel]] = []
    filled = math.inf
    for panel in panels:
        own, _ = size_of(panel.scene)
        if filled + APART + own > width:
            lines.append([])
            filled = -APART
        lines[-1].append(panel)
        filled += APART + own
    return lines


def _divided(panels: Sequence[Panel], width: float) -> list[Scene]:
    """Return panels in as many columns each as make the line of them low without making it wider than the picture."""
    counts = [1] * len(panels)
    while True:
        scenes = [panel.in_columns(count) for panel, count in zip(panels, counts)]
        heights = [size_of(scene)[1] for scene in scenes]
        highest = heights.index(max(heights))
        counts[highest] += 1
        if panels[highest].pitch is None or counts[highest] > panels[highest].rows:
            return scenes
        wider = [panel.in_columns(count) for panel, count in zip(panels, counts)]
        if sum(size_of(scene)[0] + APART for scene in wider) - APART > width:
            return scenes


# ---- titles
def place_title(scene: Scene, title: str, below: list[tuple[str, str]], over: Rectangle) -> None:
    """Add a title over a part of a scene, and lines under it with their colours, from the upper to the lower one."""
    middle = (over[0] + over[2]) / 2
    texts = [Text(middle, 18 + 20 * number, text, 12, color) for number, (text, color) in enumerate(below[::-1])]
    if title:
        texts.append(Text(middle, 26 + 16 * len(below), title, 14))
    half = max((text.width / 2 for text in texts), default=0.0) + NEAR
    top = max(clear_height(scene, middle - half, middle + half), over[3])
    for text in texts:
        text.y += top
    scene.texts += texts


def clear_height(scene: Scene, left: float, right: float) -> float:
    """Return the height above all of a scene between two upright lines."""
    parts: list[Box | Frame] = [*scene.boxes, *scene.frames]
    texts = [*scene.texts, *(arrow.label for arrow in scene.arrows if arrow.label)]
    extents = chain(((part.left, part.right, part.top) for part in parts),
                    ((text.rectangle[0], *text.rectangle[2:]) for text in texts),
                    ((x, x, y) for arrow in scene.arrows for x, y in arrow.points))
    return max((top for start, end, top in extents if start < right and left < end), default=-math.inf)
