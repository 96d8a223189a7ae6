"""The gradient map: a strip for every signal, a colour for every time step; shows where gradients vanish."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from minigrad import Tensor
from rnn import Run
from viz.annotations.alt import listed, scale_text, titled
from viz.annotations.gradients import Gradients, chosen_gradients, require_chosen
from viz.annotations.heat import BLANK, Norm, Scale
from viz.annotations.labels import add_legend_below
from viz.layout.options import USUAL, Options
from viz.layout.step_graph import step_graph
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean
from viz.render.patterns import Pattern
from viz.render.scene import Box, Scene, Text, text_beside

from .arguments import check_type

WIDTH = 900.0  # of the strips
HEIGHT = 24.0
PITCH = 30.0
MOST = 1000  # colours in a strip; with more steps, one colour represents several
WIDEST = 30.0  # width of one colour
LEGEND = 420.0  # width of a legend under narrower strips


def gradient_map(run: Run, *, loss: Tensor | None = None, title: bool | str = True, legend: bool = True,
                 notation: str = "code", dark: bool = False) -> Picture:
    """Draw the norm of every signal's gradient at every time step, after a backward pass.

    It has no level: there is a strip for every signal, with its full name.

    Layers go from bottom to top. The larger a gradient, the darker; what is not on the scale has a pattern. In a run of
    more than 1000 steps, a colour shows the largest of several gradients.

    Args:
        run: an unrolled definition.
        loss: the loss whose gradients are shown, if several were differentiated. Without it each gradient is that of
            the last pass that reached its signal.
        title: another title, or False for none.
        legend: explain the colours.
        notation: "code" writes names as the code does, "math" draws the f of W_f as a subscript.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than a run.
        ValueError: if no signal requires a gradient; before a backward pass of the loss.
    """
    options = Options(title, legend=legend, notation=notation, dark=dark)
    check_type(run, Run, "viz.gradient_map() takes one run, cell.unroll(...)")
    return picture(map_scene(run, options, loss), dark, notation)


def map_scene(run: Run, options: Options = USUAL, loss: Tensor | None = None) -> Scene:
    """Return the strips with axis, title and legend."""
    parts = [part for part in step_graph(run.cell, "signals").parts
             if not part.once and any(tensor.requires_grad for tensor in run[part.signal])]
    if not parts:
        raise ValueError(f"no signal of {run!r} requires a gradient: there is nothing to map")
    found = chosen_gradients([run], loss, None)
    require_chosen([run], found, True, False)
    parts.sort(key=attrgetter("layer"))
    each = -(-run.T // MOST)
    groups = [range(k, min(k + each, run.T + 1)) for k in range(1, run.T + 1, each)]
    norm = Gradients((tensor for part in parts for tensor in run[part.signal]), loss, found=found).norm
    sizes = {part: [[norm(run[part.signal][k]) for k in group] for group in groups] for part in parts}
    scale = Scale([size for rows in sizes.values() for group in rows for size in group])
    scene = Scene(clean(run.cell.name, 60))
    width = min(WIDTH / len(groups), WIDEST)
    names = [clean(part.signal) for part in parts]
    for row, part in enumerate(parts):
        _add_strip(scene, scale, row, names[row], groups, sizes[part], width)
    _add_axis(scene, run.T, each, width)
    _add_title(scene, run.T, options)
    left, bottom, right, _ = scene.bounds(0)
    scene.title = options.name(titled(scene.name, "gradient map"))
    scene.alt = f"{shown(run.T)}. Signals from top to bottom: {listed(names[::-1])}. {scale_text(scale)}"
    if options.legend is not False:
        add_legend_below(scene, scale, left, max(right, left + LEGEND), bottom - 14)
    return scene


def shown(T: int) -> str:
    """Return what a map shows."""
    return f"|gradient| of each signal at each time step, T = {T}"


def _add_title(scene: Scene, T: int, options: Options) -> None:
    """Write the title and, under it, what the strips show."""
    left, _, right, top = scene.bounds(0)
    title = options.heading(titled(scene.name, "gradient map"))
    lines = [(f"{shown(T)}   (backward runs right → left)", 11, palette.QUIET), (title, 14, palette.TEXT)]
    for number, (text, size, color) in enumerate(lines if title else []):
        y = top + 18 + 20 * number
        if (line := Text((left + right) / 2, y, text, size, color)).rectangle[0] < left:
            line = text_beside(left, y, text, size, color)
        scene.texts.append(line)


def _add_strip(scene: Scene, scale: Scale, row: int, name: str, groups: Sequence[range],
               sizes: Sequence[Sequence[Norm]], width: float) -> None:
    """Add the colours of one signal, with its name on the left; over neighbours without a colour, one pattern."""
    scene.texts.append(text_beside(-12, row * PITCH, name, 12, palette.TEXT, right=False))
    largest = [max(group, key=_weight) for group in sizes]
    for number, (steps, size) in enumerate(zip(groups, largest)):
        fill, known = scale.fill(size), scale.pattern(size) is None
        where = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} … {steps[-1]}"
        scene.boxes.append(Box(f"g{row}_{number}", width * (number + 0.5), row * PITCH, width, HEIGHT, "",
                               palette.Paint(fill if width < 4 else "#FFFFFF", fill), rounded=False, filled=known,
                               pen=0.5 if known and width >= 4 else 0.0, tooltip=f"{name}[{where}] {size.line}"))
    for pattern, same in groupby(range(len(groups)), lambda number: scale.pattern(largest[number])):
        if pattern is not None:
            _add_pattern(scene, row, pattern, list(same), width, scale.patterns[pattern])


def _add_pattern(scene: Scene, row: int, pattern: Pattern, numbers: Sequence[int], width: float, tip: str) -> None:
    """Add a pattern over the neighbours with these numbers in a strip."""
    first, count = numbers[0], len(numbers)
    scene.boxes.append(Box(f"pattern{row}_{first}", width * (first + count / 2), row * PITCH, width * count, HEIGHT, "",
                           palette.Paint(pattern.color, BLANK), rounded=False, pen=0.6, pattern=pattern, tooltip=tip))


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
