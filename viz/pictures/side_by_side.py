"""A definition rolled on the left and unrolled on the right, as lecture slides show it.

Rows have the same heights and colours in both, so that equal signals are beside each other.
"""

from __future__ import annotations

import numpy as np

from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.dependencies import integer_inputs
from rnn.language.equations import Definition
from viz.annotations.alt import definition_text, titled
from viz.annotations.labels import nonfinite
from viz.layout.folding import MANY
from viz.layout.step_graph import rolled_graph
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Scene, Text

from .rolled import RolledDrawing
from .unrolled import UnrolledDrawing, unrolled_spec

APART = 64.0  # between the two pictures
OPEN = 2  # the length of an axis of a static that data would tell


def both(cell: Cell, steps: int = 4, level: str = "signals", *, notation: str = "code",
         dark: bool = False) -> Picture:
    """Draw a definition rolled and, beside it, unrolled over some steps.

    Args:
        cell: a definition; its inputs are taken as zeros, as only the structure is drawn.
        steps: how many steps to unroll.
        level: "signals", or "ops" to draw the operations of every equation too.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        DefinitionError: if the definition cannot be computed; the message gives the reason.
        ValueError: for a number of steps that cannot be drawn, or an unknown level.
    """
    if not 1 <= steps <= MANY:
        raise ValueError(f"steps={steps!r}: unroll 1 … {MANY} steps")
    check(cell)
    return picture(side_by_side(unroll_zeros(cell, steps), level), dark, notation)


def unroll_zeros(cell: Cell, T: int) -> Run:
    """Return a definition unrolled over zeros; statics are ones, as a mask of zeros would select nothing.

    Where that gives NaN, as a vector divided by its norm, the inputs are ones.
    """
    integers = integer_inputs(cell)
    shapes = {signal.name: (T, *((1,) if signal.shape is None else signal.shape))
              for signal in cell.signals.values() if signal.given}
    statics = {name: np.ones([OPEN if n is None else n for n in static.lengths]) for name, static in
               cell.statics.items()}
    for make in (np.zeros, np.ones):
        inputs = {name: make(shape, int if name in integers else float) for name, shape in shapes.items()}
        with np.errstate(all="ignore"):
            run = cell.unroll(None if inputs else T, inputs={**inputs, **statics})
        if not any(nonfinite(x) for name in cell.signals if name in run for x in run[name]):
            break
    return run


def side_by_side(run: Run, level: str) -> Scene:
    """Return the scene of a run and its definition."""
    spec = unrolled_spec(run, range(1, run.T + 1), level, {})
    left, unrolled = beside_rolled(run.cell, spec, level)
    right = unrolled.scene
    name = clean(spec.name, 60)
    scene = Scene(name)
    scene.add(left)
    scene.add(right)
    x0, y0, x1, y1 = scene.bounds(0)
    start, _, end, _ = left.bounds(0)
    middle = (right.bounds(0)[0] + right.bounds(0)[2]) / 2
    scene.texts += [Text(x0 + (end - start) / 2, y0 - 16, "rolled", 12, palette.QUIET),
                    Text(middle, y0 - 16, f"unrolled, T = {run.T}", 12, palette.QUIET),
                    Text((x0 + x1) / 2, y1 + (40 if spec.graph.heading else 26), name, 14)]
    if spec.graph.heading:
        scene.texts.append(Text((x0 + x1) / 2, y1 + 18, spec.graph.heading, 10, palette.QUIET))
    scene.title = titled(name, "rolled and unrolled")
    scene.alt = f"{definition_text(spec.graph)} Beside it the same, unrolled over T = {run.T}."
    return scene


def beside_rolled(cell: Definition, spec: UnrolledSpec, level: str) -> tuple[Scene, UnrolledDrawing]:
    """Return a definition's rolled picture, placed on the left of its unrolled one, and that; rows have one height."""
    rolled, unrolled = RolledDrawing(rolled_graph(cell, level), spec.name, spec.dense), UnrolledDrawing(spec)
    timed = len({place.row for part, place in rolled.steps.places.items() if not part.once}) - 1
    if timed:  # the gaps between the rows of the time steps, which are above those of the statics
        common = [max(pair) for pair in zip(rolled.gaps[-timed:], unrolled.layout.gaps[-timed:])]
        rolled.gaps[-timed:], unrolled.layout.gaps[-timed:] = common, common
        one, other = rolled.steps.heights, unrolled.layout.steps.heights
        one[-timed - 1:] = other[-timed - 1:] = [max(pair) for pair in zip(one[-timed - 1:], other[-timed - 1:])]
    left, right = rolled.draw().scene, unrolled.draw().scene
    placed = Scene(left.name)
    placed.add(left, right.bounds(0)[0] - APART - left.bounds(0)[2],
               unrolled.layout.steps.y[-1] - rolled.steps.y[-1], "r_")
    return placed, unrolled
