"""Where the panels around a picture stand: on its right, below it, or in a corner that it leaves free.

For a page of a given width and height they are put where the letters get largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from viz.render.scene import Rectangle, Scene

from .panels import APART, Form, Panel

UNDER = 26.0  # from a panel, or the picture, to the panel under it
MARGIN = 12.0  # of a whole picture, on each side
TITLE = 35.0  # height of a title with its distance


class Placed(NamedTuple):
    """A panel at its place: its form, and where the lower left corner of that is."""

    form: Form
    left: float
    bottom: float


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
        for form, left, bottom in best_places(panels, scene.bounds(0), middle, ratio, above, corner):
            x, y, _, _ = form.scene.bounds(0)
            scene.add(form.scene, left - x, bottom - y)


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
    for form, x, y in places:
        left, bottom, right, top = min(left, x), min(bottom, y), max(right, x + form.width), max(top, y + form.height)
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
    columns = [[form] for form in _in_a_line(panels, right - left)]
    if sum(form.width + APART for form, in columns) - APART > right - left:
        columns = [[panel.form for panel in panels]]
    highest = max(map(_height, columns))
    if highest > top - bottom or max(form.width for column in columns for form in column) > right - left:
        return []
    placed: list[Placed] = []
    for column in columns:
        placed += _stacked(column, left, (bottom + top + highest) / 2)
        left += max(form.width for form in column) + APART
    return placed


def _stacked(column: Sequence[Form], left: float, top: float) -> Iterator[Placed]:
    """Yield panels under each other."""
    for form in column:
        yield Placed(form, left, top - form.height)
        top -= form.height + UNDER


def _height(column: Sequence[Form]) -> float:
    """Return the height of panels under each other."""
    return sum(form.height + UNDER for form in column) - UNDER


def _on_the_right(panels: Sequence[Panel], content: Rectangle, middle: float) -> list[Placed]:
    """Place panels under each other, in a further column if that would be higher than the picture."""
    _, bottom, right, top = content
    most = max([top - bottom, *(panel.form.height for panel in panels)])
    columns: list[list[Panel]] = []
    for panel in panels:
        if not columns or _height([other.form for other in (*columns[-1], panel)]) > most:
            columns.append([])
        columns[-1].append(panel)
    placed: list[Placed] = []
    for column in columns:
        forms, left = [panel.form for panel in column], right + max(panel.aisle for panel in column)
        height = _height(forms)
        upper = min(max(middle + height / 2, bottom + height), top) if height <= top - bottom else (
            (top + bottom + height) / 2)
        placed += _stacked(forms, left, upper)
        right = left + max(form.width for form in forms)
    return placed


def _below(panels: Sequence[Panel], right: Sequence[Placed], content: Rectangle) -> list[Placed]:
    """Place panels beside each other below the picture and the panels on its right, in the fewest rows that fit."""
    left, bottom, _, _ = content
    bottom = min([bottom, *(place.bottom for place in right)])
    width, _ = extent(right, content)
    placed: list[Placed] = []
    for line in _lines(panels, width):
        forms, x = _in_a_line(line, width), left
        for form in forms:
            placed.append(Placed(form, x, bottom - UNDER - form.height))
            x += form.width + APART
        bottom -= UNDER + max(form.height for form in forms)
    return placed


def _lines(panels: Sequence[Panel], width: float) -> list[list[Panel]]:
    """Divide panels into lines that are no wider than the picture, if possible."""
    lines: list[list[Panel]] = []
    filled = math.inf
    for panel in panels:
        if filled + APART + panel.form.width > width:
            lines.append([])
            filled = -APART
        lines[-1].append(panel)
        filled += APART + panel.form.width
    return lines


def _in_a_line(panels: Sequence[Panel], width: float) -> list[Form]:
    """Return panels in as many columns each as make the line of them low without making it wider than the picture."""
    counts = [1] * len(panels)
    while True:
        forms = [panel.in_columns(count) for panel, count in zip(panels, counts)]
        heights = [form.height for form in forms]
        highest = heights.index(max(heights))
        counts[highest] += 1
        if panels[highest].pitch is None or counts[highest] > panels[highest].rows:
            return forms
        wider = [panel.in_columns(count) for panel, count in zip(panels, counts)]
        if sum(form.width + APART for form in wider) - APART > width:
            return forms
