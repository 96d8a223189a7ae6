"""Panels around a picture: lists, legends and equations, each a scene that can have several columns; and titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from viz.render import palette
from viz.render.scene import Arrow, Box, Frame, Rectangle, Scene, Text, text_beside

APART = 36.0  # from panel to panel; from column to column of one
LINE = 18.0  # from line to line of text
INDENT = 18.0  # of a line that continues an equation
NEAR = 6.0  # from a title to what is beside it


class Form(NamedTuple):
    """A panel in some columns: its scene, and its size."""

    scene: Scene
    width: float
    height: float


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
    _forms: dict[int, Form] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """The panel in one column."""
        return self.in_columns(1)

    @property
    def rows(self) -> int:
        """The number of its rows, without the heading."""
        return 1 if self.pitch is None else 1 + max((self._row(y) for _, y in self._parts()), default=0)

    def in_columns(self, count: int) -> Form:
        """Return the panel with its rows in some columns, under the heading."""
        if count not in self._forms:
            whole = count == 1 or self.pitch is None
            scene = self.scene if whole else self._divide(-(-self.rows // count))
            left, bottom, right, top = scene.bounds(0)
            self._forms[count] = Form(scene, right - left, top - bottom)
        return self._forms[count]

    def _divide(self, rows: int) -> Scene:
        """Return the scene with `rows` rows in a column."""
        assert self.pitch is not None
        columns: dict[int, Scene] = {}
        for part, y in self._parts():
            column = columns.setdefault(max(self._row(y), 0) // rows, Scene(""))
            own: list[Any] = (column.boxes if isinstance(part, Box) else column.texts if isinstance(part, Text)
                              else column.arrows)
            own.append(part)
        left, _, right, _ = Scene("", self.scene.boxes, texts=[
            text for text in self.scene.texts if self._row(text.y) >= 0]).bounds(0)
        divided = Scene(self.scene.name)
        for number, column in columns.items():
            divided.add(column, number * (right - left + APART), number * rows * self.pitch)
        return divided

    def _parts(self) -> list[tuple[Box | Text | Arrow, float]]:
        """Return all parts with their heights."""
        parts: list[Box | Text] = [*self.scene.boxes, *self.scene.texts]
        return [*((part, part.y) for part in parts), *((arrow, arrow.points[0][1]) for arrow in self.scene.arrows)]

    def _row(self, y: float) -> int:
        """Return the row at a height: 0 is that of the highest box; the heading is above it."""
        assert self.pitch is not None
        return round((max(box.y for box in self.scene.boxes) - y) / self.pitch)


def text_panel(lines: Sequence[tuple[int, str]]) -> Panel:
    """Return a panel of lines of text, given with their indents."""
    scene = Scene("equations", texts=[
        text_beside(INDENT * indent, -LINE * number, line, 11, palette.QUIET)
        for number, (indent, line) in enumerate(lines) if line])
    return Panel(scene)


# ---- titles
def frames_extent(scene: Scene) -> Rectangle:
    """Return the left side, the foot, the right side and the top of all frames."""
    frames = scene.frames
    return (min(frame.left for frame in frames), min(frame.bottom for frame in frames),
            max(frame.right for frame in frames), max(frame.top for frame in frames))


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
