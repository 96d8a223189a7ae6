"""The legend of the colours of boxes and arrows: those that occur in a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from viz.layout.step_graph import Part
from viz.render import palette
from viz.render.scene import Box, Scene, text_beside

PITCH = 18.0
SAMPLE, HEIGHT = 26.0, 14.0  # of a coloured box
SMALL = 11.0  # side of a black square
THIN = 0.5  # height of a box that is painted as a line: by its outline
BOXES = {
    palette.INPUT: "input", palette.TARGET: "target: only a loss reads it",
    palette.STATIC: "static: the same at all steps", palette.STATE: "state: read by later steps",
    palette.REVERSED: "state that runs backward in time", palette.HIDDEN: "hidden: read within its step",
    palette.OUTPUT: "output", palette.LOSS: "loss"}
LINES = {
    palette.ARROW: "arrow within a step", palette.INPUT.line: "arrow of an input to a later step",
    palette.STATE.line: "arrow of a state to a later step", palette.REVERSED.line: "arrow to an earlier step",
    palette.FEEDBACK: "feedback to a lower layer, one step later", palette.STATIC.line: "arrow of a static",
    palette.LOSS.line: "arrow to the loss", palette.CUT: "cut: no gradient goes back"}
PARAMETER = "through time, in its parameter's colour"
OUTSIDE = "given before or after the steps"
OPERATION = "operation; with a parameter in its colour"
DELAY = "delay: z⁻ᵏ gives the value of k time steps before"
SQUARE = palette.Paint("#000000", "#010101")  # outline and fill are one for lines alone
Entry = tuple[palette.Paint, str, bool]  # of a box, or of a line if fill and outline are one; meaning; dashed


def box_entries(parts: Iterable[Part], *, loss: bool = False, outside: bool = False,
                delay: bool = False) -> Iterator[Entry]:
    """Yield the entries of the boxes that occur.

    Args:
        loss: whether there is a box for a loss.
        delay: whether there are the black squares of delays.
        outside: whether there are values before or after the steps, which are dashed.
    """
    parts = list(parts)
    found = {part.paint for part in parts if part.node is None} | ({palette.LOSS} if loss else set())
    yield from ((paint, meaning, False) for paint, meaning in BOXES.items() if paint in found)
    if outside:
        yield palette.Paint(palette.STATE.line, "#FFFFFF"), OUTSIDE, True
    if any(part.node is not None for part in parts):
        yield palette.OPERATION, OPERATION, False
    if delay:
        yield SQUARE, DELAY, False


def line_entries(colors: Iterable[str | None], *, loss: bool = False, cut: bool = False) -> Iterator[Entry]:
    """Yield the entries of the arrows that occur.

    Args:
        colors: those of the kinds of the edges, None for one in its parameter's colour.
        loss: whether there are arrows to a loss.
        cut: whether truncation cuts edges.
    """
    found = {*colors, palette.LOSS.line if loss else "", palette.CUT if cut else ""}
    yield from ((palette.Paint(color, color), meaning, color == palette.CUT)
                for color, meaning in LINES.items() if color in found)
    if None in found:
        yield palette.Paint(palette.TEXT, palette.TEXT), PARAMETER, False


def add_entries(scene: Scene, entries: Sequence[Entry], heading: str = "boxes and arrows") -> None:
    """Add a row for each entry under a heading."""
    scene.texts.append(text_beside(0, PITCH, heading, 11, palette.QUIET))
    for number, (paint, meaning, dashed) in enumerate(entries):
        y = -PITCH * number
        is_line = paint.line == paint.fill
        width, height = (SMALL, SMALL) if paint is SQUARE else (SAMPLE, THIN if is_line else HEIGHT)
        scene.boxes.append(Box(f"color{number}", SAMPLE / 2, y, width, height, "", paint, dashed=dashed,
                               rounded=not is_line and paint not in (palette.STATIC, SQUARE),
                               pen=1.2 if is_line else 1.4, tooltip=meaning))
        scene.texts.append(text_beside(SAMPLE + 8, y, meaning, 10, palette.QUIET))
