"""The gradient map: a strip for every signal, a colour for every time step; shows where gradients vanish."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from rnn import Run
from rnn.unrolling.gradients import require_gradients
from viz.annotations.gradients import Gradients
from viz.annotations.heat import Norm, Scale
from viz.annotations.labels import add_legend
from viz.annotations.panels import place_title
from viz.layout.options import USUAL, Options
from viz.layout.step_graph import step_graph
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.scene import Box, Scene, Text, text_beside

WIDTH = 900.0  # of the strips
HEIGHT = 24.0
PITCH = 30.0
MOST = 1000  # colours in a strip; with more steps, one colour represents several
WIDEST = 30.0  # width of one colour


def gradient_map(run: Run, *, title: bool | str = True, legend: bool = True, notation: str = "code",
                 dark: bool = False) -> Picture:
    """Draw the norm of every signal's gradient at every time step, after a backward pass.

    It has no level: there is a strip for every signal, with its full name.

    Layers go from bottom to top. In a run of more than 1000 steps, a colour shows the largest of several
    gradients.

    Args:
        run: an unrolled definition.
        title: another title, or False for none.
        legend: explain the colours.
        notation: "code" writes names as the code does, "math" draws the f of W_f as a subscript.
        dark: light lines on a dark background.

    Raises:
        ValueError: if no signal requires a gradient; before a backward pass.
    """
    options = Options(title, legend=legend, notation=notation, dark=dark)
    return picture(map_scene(run, options), dark, notation)


def map_scene(run: Run, options: Options = USUAL) -> Scene:
    """Return the strips with axis, title and legend."""
    parts = [part for part in step_graph(run.cell, "signals").parts
             if not part.once and any(tensor.requires_grad for tensor in run[part.signal])]
    if not parts:
        raise ValueError(f"no signal of {run!r} requires a gradient: there is nothing to map")
    require_gradients(run)
    parts.sort(key=attrgetter("layer"))
    each = -(-run.T // MOST)
    groups = [range(k, min(k + each, run.T + 1)) for k in range(1, run.T + 1, each)]
    norm = Gradients(tensor for part in parts for tensor in run[part.signal]).norm
    sizes = {part: [[norm(run[part.signal][k]) for k in group] for group in groups] for part in parts}
    scale = Scale([size for rows in sizes.values() for group in rows for size in group])
    scene = Scene(clean(run.cell.name, 60))
    width = min(WIDTH / len(groups), WIDEST)
    for row, part in enumerate(parts):
        _add_strip(scene, scale, row, clean(part.signal), groups, sizes[part], width)
    _add_axis(scene, run.T, each, width)
    right = width * len(groups)
    title = f"|gradient| of each signal at each time step, T = {run.T}   (backward runs right → left)"
    if options.legend is not False:
        add_legend(scene, scale, right + 40, -HEIGHT / 2 - 10)
    place_title(scene, options.heading(title), [], (0.0, 0.0, right, 0.0))
    return scene


def _add_strip(scene: Scene, scale: Scale, row: int, name: str, groups: Sequence[range],
               sizes: Sequence[Sequence[Norm]], width: float) -> None:
    """Add the colours of one signal, with its name on the left."""
    scene.texts.append(text_beside(-12, row * PITCH, name, 12, palette.TEXT, right=False))
    for number, (steps, group) in enumerate(zip(groups, sizes)):
        size = max(group, key=_weight)
        fill = scale.fill(size)
        where = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} … {steps[-1]}"
        scene.boxes.append(Box(f"g{row}_{number}", width * (number + 0.5), row * PITCH, width, HEIGHT, "",
                               palette.Paint(fill if width < 4 else "#FFFFFF", fill), rounded=False,
                               pen=0.0 if width < 4 else 0.5, tooltip=f"{name}[{where}] {size.line}"))


def _weight(size: Norm) -> float:
    """Order norms: NaN is the largest, one that was not computed the smallest."""
    if size.value is None:
        return -1.0
    return float("inf") if size.value != size.value else size.value


def _add_axis(scene: Scene, T: int, each: int, width: float) -> None:
    """Add the numbers of the first and of some round steps."""
    step = next(round_one for power in range(12) for round_one in (10 ** power, 2 * 10 ** power, 5 * 10 ** power)
                if T / round_one <= 12)
    first = [] if step > 1 and step * width / each < 24 else [1]
    for k in sorted({*first, *range(step, T + 1, step)}):
        scene.texts.append(Text(width * ((k - 1) // each + 0.5), -HEIGHT / 2 - 10, str(k), 10, palette.QUIET))
    scene.texts.append(text_beside(-12, -HEIGHT / 2 - 10, "t", 10, palette.QUIET, right=False))
