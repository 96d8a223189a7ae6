"""The looks of the four states of `viz.diff`: colours, patterns and widths; and a caption that counts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from minigrad import Tensor
from viz.layout.options import Options
from viz.render import palette
from viz.render.scene import Arrow, Box, Scene, Text

SAME, MISSING, EXTRA, CHANGED = "same", "missing", "extra", "changed"
APPEARANCE: dict[str, tuple[palette.Paint, float]] = {  # colours and line width
    SAME: (palette.SAME, 1.2), MISSING: (palette.MISSING, 1.6), EXTRA: (palette.EXTRA, 3.2),
    CHANGED: (palette.CHANGED, 2.2)}
STYLES = {MISSING: "red, dashed", EXTRA: "green, bold", CHANGED: "brown, sharp corners, dotted"}


def state_of(in_first: bool, in_second: bool, changed: bool = False) -> str:
    """Return the state of an element, by which of the two have it."""
    if not in_first or not in_second:
        return MISSING if in_first else EXTRA
    return CHANGED if changed else SAME


def differ(a: Tensor | None, b: Tensor | None, values: bool) -> bool:
    """Return whether the shapes differ, or with `values` the elements by more than rounding."""
    if a is None or b is None:
        return False
    return a.shape != b.shape or (values and not np.allclose(a.numpy(), b.numpy(), equal_nan=True))


def paint_box(box: Box, state: str) -> None:
    """Set the look of a box."""
    box.paint, box.pen = APPEARANCE[state]
    box.dashed = state == MISSING or (box.dashed and state == SAME)
    if state == CHANGED:
        box.rounded = box.circle = False
    box.tooltip = box.tooltip if state == SAME else f"{state}: {box.tooltip}"


def paint_arrow(arrow: Arrow, state: str) -> None:
    """Set the look of an arrow."""
    paint, arrow.pen = APPEARANCE[state]
    arrow.color = paint.line
    arrow.dashed, arrow.dotted = state == MISSING, state == CHANGED
    arrow.tooltip = arrow.tooltip if state == SAME else f"{state}: {arrow.tooltip}"
    if arrow.label is not None:
        arrow.label.color = paint.line if state != SAME else palette.QUIET


def write_caption(scene: Scene, title: str, boxes: Iterable[str], arrows: Iterable[str], options: Options) -> None:
    """Write the title, and how much is missing, extra and changed."""
    left, _, right, top = scene.bounds(0)
    middle = (left + right) / 2
    counted = caption(list(boxes), list(arrows))
    scene.title, scene.alt = options.name(title), f"Differences: {'; '.join(text for text, _ in counted)}."
    lines = counted if options.legend else []
    for number, (text, color) in enumerate(reversed(lines)):
        scene.texts.append(Text(middle, top + 20 + 17 * number, text, 11, color))
    if options.title:
        scene.texts.append(Text(middle, top + 28 + 17 * len(lines), options.heading(title), 14))


def caption(boxes: Sequence[str], arrows: Sequence[str]) -> list[tuple[str, str]]:
    """Return lines that count the differences, with their colours."""
    lines = [(f"{state} ({STYLES[state]}): {_count(boxes.count(state), 'node')}, {_count(arrows.count(state), 'edge')}",
              APPEARANCE[state][0].line) for state in STYLES if state in boxes or state in arrows]
    same = f"{_count(len(boxes), 'node')}, {_count(len(arrows), 'edge')}"
    return lines or [(f"no difference: {same}", palette.QUIET)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
