"""A definition rolled on the left and unrolled on the right, as lecture slides show it.

Rows have the same heights and colours in both, so that equal signals are beside each other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.dependencies import integer_inputs
from rnn.language.equations import Definition
from viz.annotations.alt import definition_text, titled
from viz.annotations.labels import nonfinite
from viz.annotations.panels import place_title
from viz.layout.content import add_content
from viz.layout.folding import MANY
from viz.layout.levels import rolled_graph
from viz.layout.options import USUAL, Options
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Scene, Text

from .arguments import CELL, check_type
from .rolled import RolledDrawing
from .unrolled_drawing import UnrolledDrawing, unrolled_spec

APART = 64.0  # between the two pictures
UNDER = 16.0  # from the pictures to the words under them
KINDS = ("boxes", "arrows", "frames", "texts")
OPEN = 2  # the length of an axis of a static that data would tell


def both(cell: Cell, steps: int = 4, level: str = "signals", *, title: bool | str = True, parameters: bool = False,
         equations: bool = False, legend: bool = False, shapes: bool | None = None, biases: bool = False,
         per_row: int | None = None, aspect: str | float | None = None, notation: str = "code",
         dark: bool = False) -> Picture:
    """Draw a definition rolled and, beside it, unrolled over some steps.

    Args:
        cell: a definition; its inputs are taken as zeros, as only the structure is drawn.
        steps: how many steps to unroll.
        level: "signals"; "ops" to draw the operations of every equation too; "layers" to draw each layer as one box.
        title, parameters, equations, legend, shapes, biases, per_row, aspect: as in `viz.unrolled`; by default nothing
            is listed, written or explained.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than a Cell.
        DefinitionError: if the definition cannot be computed; the message gives the reason.
        ValueError: for a number of steps that cannot be drawn, or an unknown level.
    """
    options = Options(title, parameters, equations, legend, shapes, biases, per_row, aspect, notation, dark)
    check_type(cell, Cell, f"viz.both() {CELL}")
    if not 1 <= steps <= MANY:
        raise ValueError(f"steps={steps!r}: unroll 1 … {MANY} steps")
    check(cell)
    return picture(side_by_side(unroll_zeros(cell, steps), level, options), dark, notation)


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


def side_by_side(run: Run, level: str, options: Options = USUAL) -> Scene:
    """Return the scene of a run and its definition."""
    spec = replace(unrolled_spec(run, range(1, run.T + 1), level, {}, options),
                   parameters=run.parameters if options.parameters else {})
    unrolled = beside_rolled(run.cell, spec, level, words=True)
    scene, name = unrolled.scene, clean(spec.name, 60)
    heading = [(spec.graph.heading, palette.QUIET)] if spec.graph.heading else []
    place_title(scene, options.heading(name), heading, unrolled.extent)
    scene.name = name
    scene.title = options.name(titled(name, "rolled and unrolled"))
    scene.alt = f"{definition_text(spec.graph)} Beside it the same, unrolled over T = {run.T}."
    return scene


def beside_rolled(cell: Definition, spec: UnrolledSpec, level: str, words: bool = False) -> UnrolledDrawing:
    """Return a definition's unrolled picture with the rolled one on the left of it; rows have one height.

    Args:
        words: whether it is written under them which of the two they are.
    """
    graph = rolled_graph(cell, level)
    add_content(graph, cell, level, spec.options)
    rolled, unrolled = RolledDrawing(graph, spec.name, spec.dense), UnrolledDrawing(spec)
    timed = len({place.row for part, place in rolled.steps.places.items() if not part.once}) - 1
    if timed:  # the gaps between the rows of the time steps, which are above those of the statics
        common = [max(pair) for pair in zip(rolled.gaps[-timed:], unrolled.layout.gaps[-timed:])]
        rolled.gaps[-timed:], unrolled.layout.gaps[-timed:] = common, common
        one, other = rolled.steps.heights, unrolled.layout.steps.heights
        one[-timed - 1:] = other[-timed - 1:] = [max(pair) for pair in zip(one[-timed - 1:], other[-timed - 1:])]
    left, scene = rolled.draw().scene, unrolled.scene
    start, bottom, end, top = left.bounds(0)
    unrolled.room = end - start + APART, top - bottom
    unrolled.draw_steps()
    placed = Scene(left.name)
    placed.add(left, scene.bounds(0)[0] - APART - end, unrolled.layout.steps.y[-1] - rolled.steps.y[-1], "r_")
    if words:
        _add_words(placed, unrolled)
    for kind in KINDS:
        getattr(scene, kind)[:0] = getattr(placed, kind)
    unrolled.draw_panels()
    return unrolled


def _add_words(rolled: Scene, unrolled: UnrolledDrawing) -> None:
    """Write under the two pictures, in one line if there is one row of steps, which they are."""
    left, foot, right, _ = rolled.bounds(0)
    _, bottom, _, _ = unrolled.scene.bounds(0)
    start, _, end, _ = unrolled.steps_extent
    y = foot if unrolled.rows else min(foot, bottom)
    unrolled.scene.texts += [
        Text((left + right) / 2, y - UNDER, "rolled", 12, palette.QUIET),
        Text((start + end) / 2, min(foot, bottom) - UNDER, f"unrolled, T = {unrolled.spec.T}", 12, palette.QUIET)]
