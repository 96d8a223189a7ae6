"""Frames around the boxes of each layer, with its name where no line passes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from viz.layout.step_layout import NAME, STRIP, StepLayout
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Frame, Point, Scene, Text, dense_samples, round_corners, text_beside

INSIDE = 8.0  # from the side of a frame to its name
NEXT = 4.0  # from one place that is tried to the next
CLEAR = 9.0  # from a name to a line, if possible: the arrow of a gradient fits between


def add_layer_frames(scene: Scene, steps: StepLayout, middles: Sequence[float],
                     lines: Sequence[Sequence[Point]] = ()) -> None:
    """Add the frames of all layers in the steps around some centre lines, and their names.

    A name is at one place in all of them: the leftmost under the upper side of its frame that is clear of arrows and
    of the given lines.
    """
    if not steps.blocks:
        return
    taken = np.concatenate([np.empty((0, 2)), *(dense_samples(points, 6.0) for points in
                                                  (*(arrow.points for arrow in scene.arrows), *lines))])
    for block in steps.blocks:
        left, bottom, right, top = steps.frame(block)
        name = text_beside(left + INSIDE, top - STRIP / 2, clean(block[:-1]), NAME, palette.QUIET)
        near = taken[np.abs(taken[:, 1] - name.y) < name.height / 2 + 1, 0]
        last = max(right - INSIDE - name.width / 2, name.x)
        places = [*np.arange(name.x, last, NEXT).tolist(), last]
        x = min(places, key=partial(_cost, near, half=name.width / 2, middles=middles))
        for middle in middles:
            scene.frames.append(Frame(middle + left, bottom, middle + right, top, "", palette.LAYER))
            scene.texts.append(Text(middle + x, name.y, name.text, NAME, palette.QUIET))


def borders(steps: StepLayout, middles: Sequence[float]) -> list[list[Point]]:
    """Return the outlines of these frames as curves, so that labels can be placed beside them."""
    found = []
    for left, bottom, right, top in map(steps.frame, steps.blocks):
        corners = [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
        found += [round_corners([(middle + x, y) for x, y in corners]) for middle in middles]
    return found


def _cost(points: np.ndarray, x: float, half: float, middles: Sequence[float]) -> tuple[int, int]:
    """Return how many points are on a name, and how many near to it, in all steps together."""
    distances = [np.abs(points - middle - x) for middle in middles]
    return (sum(int(np.count_nonzero(each < half + 2)) for each in distances),
            sum(int(np.count_nonzero(each < half + CLEAR)) for each in distances))
