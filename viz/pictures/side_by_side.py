"""A definition rolled on the left and unrolled on the right, as lecture slides show it.

Rows have the same heights and colours in both, so that equal signals are beside each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.dependencies import integer_inputs
from viz.layout.folding import MANY
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Scene, Text

from .rolled import RolledDrawing
from .unrolled import UnrolledDrawing, unrolled_spec

APART = 64.0  # between the two pictures


def both(cell: Cell, steps: int = 4, level: str = "signals", *, dark: bool = False) -> Picture:
    """Draw a definition rolled and, beside it, unrolled over some steps.

    Args:
        cell: a definition; its inputs are taken as zeros, as only the structure is drawn.
        steps: how many steps to unroll.
        level: "signals", or "ops" to draw the operations of every equation too.
        dark: light lines on a dark background.

    Raises:
        DefinitionError: if the definition cannot be computed; the message gives the reason.
        ValueError: for a number of steps that cannot be drawn, or an unknown level.
    """
    if not 1 <= steps <= MANY:
        raise ValueError(f"steps={steps!r}: unroll 1 … {MANY} steps")
    check(cell)
    return picture(side_by_side(unroll_zeros(cell, steps), level), dark)


def unroll_zeros(cell: Cell, T: int) -> Run:
    """Return a definition unrolled over zeros."""
    integers = integer_inputs(cell)
    inputs: dict[str, Any] = {signal.name: np.zeros((T, *((1,) if signal.shape is None else signal.shape)),
                                                    int if signal.name in integers else float)
                              for signal in cell.signals.values() if signal.given}
    return cell.unroll(**inputs or {"T": T})


def side_by_side(run: Run, level: str) -> Scene:
    """Return the scene of a run and its definition."""
    spec = unrolled_spec(run, range(1, run.T + 1), level)
    rolled, unrolled = RolledDrawing(spec.graph, spec.name, spec.dense), UnrolledDrawing(spec)
    rolled.gaps = unrolled.layout.gaps = [max(pair) for pair in zip(rolled.gaps, unrolled.layout.gaps)]
    left, right = rolled.draw().scene, unrolled.draw().scene
    shift = right.bounds(0)[0] - APART - left.bounds(0)[2]
    name = clean(spec.name, 60)
    scene = Scene(name)
    scene.add(left, shift, prefix="r_")
    scene.add(right)
    x0, y0, x1, y1 = scene.bounds(0)
    start, _, end, _ = left.bounds(0)
    middle = (right.bounds(0)[0] + right.bounds(0)[2]) / 2
    scene.texts += [Text(x0 + (end - start) / 2, y0 - 16, "rolled", 12, palette.QUIET),
                    Text(middle, y0 - 16, f"unrolled, T = {run.T}", 12, palette.QUIET),
                    Text((x0 + x1) / 2, y1 + 26, name, 14)]
    return scene
