"""The lecture's figure: a definition's loop on the left, the same unrolled on the right.

Same colours, same heights: what stands beside each other is the same signal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.dependencies import integer_inputs
from viz.layout.columns import kept
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Scene, Text, moved

from .rolled import _Rolled
from .unrolled import MANY, _Unrolled

APART = 64.0  # between the two pictures


def both(cell: Cell, steps: int = 4, level: str = "signals", *, dark: bool = False) -> Picture:
    """Draw a definition rolled and, beside it, unrolled over some steps.

    Args:
        cell: a definition; its inputs are taken as zeros, only the structure is drawn.
        steps: how many steps to unroll.
        level: "signals", or "ops" to see the operations of every equation too.
        dark: light lines on dark ground.

    Raises:
        DefinitionError: where the definition can't be computed; says why.
        ValueError: for a number of steps that can't be drawn, or a level that there isn't.
    """
    if not 1 <= steps <= MANY:
        raise ValueError(f"steps={steps!r}: unroll 1 … {MANY} steps")
    check(cell)
    return picture(_both(cell, blank(cell, steps), level), dark)


def blank(cell: Cell, T: int) -> Run:
    """A definition unrolled over zeros."""
    integers = integer_inputs(cell)
    inputs: dict[str, Any] = {signal.name: np.zeros((T, *(signal.shape or (() if signal.shape == () else (1,)))),
                                                    int if signal.name in integers else float)
                              for signal in cell.signals.values() if signal.given}
    return cell.unroll(**inputs or {"T": T})


def _both(cell: Cell, run: Run, level: str) -> Scene:
    shown = kept(run.T, False, None)
    gaps = [max(pair) for pair in zip(_Rolled(cell, level).gaps, _Unrolled(run, None, shown, level).gaps)]
    left = _Rolled(cell, level, gaps).scene
    right = _Unrolled(run, None, shown, level, None, gaps, shelf=False).scene
    shift = right.bounds(0)[0] - APART - left.bounds(0)[2]
    scene = Scene(clean(cell.name, 60))
    for part, dx, prefix in ((left, shift, "r_"), (right, 0.0, "")):
        part = moved(part, dx, prefix)
        scene.boxes += part.boxes
        scene.arrows += part.arrows
        scene.frames += part.frames
        scene.texts += part.texts
    x0, y0, x1, y1 = scene.bounds(0)
    scene.texts.append(Text(x0 + (left.bounds(0)[2] - left.bounds(0)[0]) / 2, y0 - 16, "rolled", 12, palette.QUIET))
    middle = (right.bounds(0)[0] + right.bounds(0)[2]) / 2
    scene.texts.append(Text(middle, y0 - 16, f"unrolled, T = {run.T}", 12, palette.QUIET))
    scene.texts.append(Text((x0 + x1) / 2, y1 + 26, clean(cell.name, 60), 14))
    return scene
