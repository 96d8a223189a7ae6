"""The unrolled picture: a run as an explicit graph, one frame per time step, time to the right.

Colours and the order of rows are those of the rolled picture. Long runs are folded: the first three
steps, the steps between as one frame, the last three; or the steps that are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any

from minigrad import Tensor
from minigrad.steps import Step
from rnn import Run
from rnn.unrolling.gradients import Find, gradient_sums
from viz.annotations.alt import runs_text
from viz.annotations.current_step import mark_step
from viz.annotations.gradients import chosen_gradients, note_on_loss, require_chosen, require_step_of
from viz.annotations.headings import add_headings
from viz.annotations.heat import Scale, relative_contributions
from viz.annotations.margin import LossInputs, loss_inputs, note_on_way
from viz.annotations.panels import frames_extent
from viz.annotations.shelf import parameter_keys
from viz.layout.folding import choose_steps
from viz.layout.levels import has_layers
from viz.layout.links import RunTensors, arrange, find_links
from viz.layout.options import USUAL, Options
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render.digraph import Picture, picture

from .arguments import LOSS, STEP, check_type
from .run_list import (
    all_parameters,
    check_order,
    checked_runs,
    divide_highlight,
    layers_of_parameters,
    run_names,
    runs_title,
    steps_of_runs,
    sum_of_sums,
)
from .runs import RunsDrawing
from .unrolled_drawing import UnrolledDrawing, at_home, keys_of_once, unrolled_spec


def unrolled(run: Run | Sequence[Run], loss: Tensor | None = None, level: str = "signals", fold: bool = True,
             steps: Iterable[int] | None = None, values: bool = False, heat: bool = False, *,
             contributions: bool = False, highlight: Iterable[Tensor] = (), step: Step | None = None,
             title: bool | str = True, parameters: bool = True, equations: bool = False, legend: bool | None = None,
             shapes: bool | None = None, biases: bool = False, per_row: int | None = None,
             aspect: str | float | None = None, notation: str = "code", dark: bool = False) -> Picture:
    """Draw a run: every signal at every time step, and the edges between them.

    Statics are beside the steps, once, with a line to their readers at each step; at level "ops" so are operations
    on statics alone, which are computed once.

    The gradient beside a parameter is what this run contributes to it (the sum of `run.contributions`); there is none
    before a backward pass, or once an optimiser has moved the parameters. With `loss` all gradients are those of the
    loss, also where another one was differentiated before or after it. A signal "does not reach the loss" if the
    loss wasn't computed from it; without `loss` it is "not reached". With lengths or a mask the heading of a step tells
    how many sequences have it, "t = 4  (1 of 3)".

    At level "layers" one arrow stands for all reads between two boxes with the same delay, and names the signals that
    are read, "h, c". The values of a layer's box are those of the signals that leave it, its gradient is that of these
    as one vector; its parameters are listed together. See `viz.rolled` about layers that have no box.

    Several runs stand side by side, each with its name and its own t = 1, 2, ...: an encoder and its decoder, or
    chunks. An arrow leads from the value of one run to the box of another that is computed from it, an initial value
    `s[0] = h[3]`, a static or an input, with what is computed in between; no gradient passes one with scissors. A run
    that reads each step of another one at the same step, as a second layer does, stands above it. At level "layers" the
    signals of a run that has no layers keep their boxes.

    Args:
        run: an unrolled definition; or several, in the order in which they were computed.
        loss: a tensor that was computed from the run; it is drawn above the steps. Without it the gradient of a tensor
            is that of the last backward pass that reached it, so give it after passes of several losses.
        level: "signals"; "ops" to draw the operations of every equation too; "layers" to draw each layer, the signals
            with a common prefix, enc.h and enc.c, as one box.
        fold: draw only the first and the last three of more than twelve steps.
        steps: the steps to draw instead, e.g. [1, 2, 50, 100]; all others are folded. Of several runs those of all, or
            a list for each.
        values: write values and gradients into the boxes.
        heat: colour the boxes by the logarithm of the gradient's norm, after a backward pass; the larger, the darker.
            What is not on the scale has a pattern, which the legend explains.
        contributions: draw edges wider, the more their time step adds to their parameters' gradients.
        highlight: tensors of the run to mark, with the arrows between them.
        step: a step of `loss.backward_steps()` to mark, with the gradients after it: "arrived" where the step of the
            tensor itself was still to come, "so far" where more is added.
        title: another title, or False for none.
        parameters: list them, with their shapes and gradients, on the right.
        equations: write them too.
        legend: explain the colours of boxes and arrows; False: not even those of gradients.
        shapes: show the shape of every signal, `h[3] (8)`, or of none; by default of arrays that are neither vectors
            nor numbers.
        biases: show in a box the parameters that its equation adds, `+ b`, at level "signals".
        per_row: the number of time steps, or folds, in a row. Arrows from row to row end and begin at the name of
            their source, "h[4]". By default all are in one row.
        aspect: of the page that the picture is for: "slide" (16:9), "page" (A4, upright), or width by height. Rows,
            unless `per_row` is given, and the place of lists, legends and equations are chosen so that the letters are
            as large as possible there.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than runs, and a Tensor as the loss.
        ValueError: if the loss or the step was not computed from this run; for a step of another loss; if there are too
            many steps; for heat or contributions before a backward pass of the loss, or after those of several and an
            optimiser's step; for biases or contributions at level "ops", where each parameter has a box; for runs in
            another order, or a run that is given twice; for several runs in rows.
    """
    options = Options(title, parameters, equations, legend, shapes, biases, per_row, aspect, notation, dark)
    if contributions and level == "ops":
        raise ValueError("contributions=True is for the levels 'signals' and 'layers', whose arrows stand for "
                         "parameters: at level='ops' a parameter has a box")
    runs = [run] if isinstance(run, Run) else checked_runs(run)
    check_type(loss, (Tensor, NoneType), LOSS)
    check_type(step, (Step, NoneType), STEP)
    drawing = draw(runs, loss, level, fold, steps, values, heat, contributions, highlight, step, options)
    return picture(drawing.scene, dark, notation)


def draw(runs: Sequence[Run], loss: Tensor | None = None, level: str = "signals", fold: bool = True, steps: Any = None,
         values: bool = False, heat: bool = False, contributions: bool = False, highlight: Iterable[Tensor] = (),
         step: Step | None = None, options: Options = USUAL) -> UnrolledDrawing | RunsDrawing:
    """Draw one run or several; the options are those of unrolled()."""
    if len(runs) > 1:
        return draw_runs(runs, loss, level, fold, steps, values, heat, contributions, highlight, step, options)
    run, = runs
    require_step_of(step, loss)
    found = chosen_gradients(runs, loss, step)
    of = require_chosen(runs, found, heat and step is None, contributions)  # a step has gradients of its own
    spec = replace(unrolled_spec(run, choose_steps(run.T, fold, steps), level, options=options),
                   parameters=run.parameters, sums=gradient_sums(run, of), loss=loss, found=found, values=values,
                   heat=heat, step=step, highlight=tuple(highlight),
                   contributions=relative_contributions([run], of)[0] if contributions else None)
    drawing = UnrolledDrawing(spec).draw()
    if step is not None:
        keys = parameter_keys(spec)
        listed = {run.parameters[name]: keys[name] for name in drawing.loss_inputs.parameters}
        mark_step(drawing.scene, *drawing.places(), step, keys_of_once(run, drawing) | listed)
    drawing.add_title()
    return drawing


def draw_runs(runs: Sequence[Run], loss: Tensor | None = None, level: str = "signals", fold: bool = True,
              steps: Any = None, values: bool = False, heat: bool = False, contributions: bool = False,
              highlight: Iterable[Tensor] = (), step: Step | None = None, options: Options = USUAL) -> RunsDrawing:
    """Draw several runs in one scene; the options are those of unrolled()."""
    if options.per_row is not None:
        raise ValueError("per_row= is for one run: draw each by itself, or fewer steps of all, steps=[...]")
    require_step_of(step, loss)
    found = chosen_gradients(runs, loss, step)
    of = require_chosen(runs, found, heat and step is None, contributions)
    specs = [replace(spec, loss=loss, found=found, values=values, heat=heat, step=step)
             for spec in _specs(runs, steps_of_runs(runs, fold, steps), level, contributions, options, of)]
    homes = {part: home for spec in specs for part, home in spec.homes.items()}
    links = [link.moved(homes) for link in find_links([RunTensors(x.key, x.recorded, x.beside) for x in specs])]
    check_order(runs, specs, links)
    parameters = all_parameters(runs, links)
    read = LossInputs({}, [])
    if loss is not None:
        recorded = {part: copies for spec in specs for part, copies in spec.recorded.items()}
        read = at_home(loss_inputs(recorded, loss, parameters), homes)
    specs = [replace(spec, highlight=own) for spec, own in zip(specs, divide_highlight(tuple(highlight), specs))]
    drawings = _drawings(runs, specs, read)
    whole, names = RunsDrawing(drawings, links, arrange(specs, links)), run_names(runs)
    whole.add_links()
    whole.add_names(names)
    listed = whole.add_margin(parameters, sum_of_sums(runs, parameters, links, of), read.parameters,
                              layers_of_parameters(runs, specs, parameters))
    if step is not None:
        once = {parameters[name]: listed[name] for name in read.parameters}
        for run, drawing in zip(runs, drawings):
            once |= keys_of_once(run, drawing)
        whole.mark_step(step, once)
    linked = {(whole.number[link.source[0]], whole.number[link.target[0]]) for link in links}
    _add_words(whole, runs, specs, read, runs_title(runs, sum(each.folded for each in drawings), linked))
    return whole


def _specs(runs: Sequence[Run], steps: Sequence[Sequence[int]], level: str, contributions: bool,
           options: Options, of: Find) -> list[UnrolledSpec]:
    """Return the descriptions of the runs, in which a parameter has one colour.

    At level "layers" a run without any has its signals, if another one has layers.
    """
    layers = [has_layers(run.cell) for run in runs]
    levels = ["signals" if level == "layers" and any(layers) and not own else level for own in layers]
    numbers = {tensor: number for number, tensor in enumerate(all_parameters(runs, ()).values())}
    widths = relative_contributions(runs, of) if contributions else [None] * len(runs)
    return [replace(unrolled_spec(run, own, each, None, options, numbers), contributions=own_widths)
            for run, own, each, own_widths in zip(runs, steps, levels, widths)]


def _drawings(runs: Sequence[Run], specs: Sequence[UnrolledSpec], read: LossInputs) -> list[UnrolledDrawing]:
    """Return the drawings of the runs, with one scale of the colours of gradients."""
    drawn = {run.key: (spec.graph.prefix, name) for run, spec, name in zip(runs, specs, run_names(runs))}
    drawings = [UnrolledDrawing(replace(spec, runs=drawn), read=LossInputs(
        {(part, k): None for part, k in read.signals if part in spec.tensors}, [])) for spec in specs]
    if specs[0].heat:
        scale = Scale(size for drawing in drawings for size in drawing.labels.norms)
        for drawing in drawings:
            drawing.labels.scale = scale
    return drawings


def _add_words(whole: RunsDrawing, runs: Sequence[Run], specs: Sequence[UnrolledSpec], read: LossInputs,
               title: str) -> None:
    """Add the title, notes under it, and the text for where the picture can't be seen."""
    names, options, scene = run_names(runs), specs[0].options, whole.scene
    notes = [f"{name}: {spec.graph.heading}" for name, spec in zip(names, specs) if spec.graph.heading]
    scene.title, scene.alt = options.name(title), runs_text(
        names, specs, [drawing.loss_inputs.signals for drawing in whole.drawings], whole.drawings[0].labels.scale)
    left, bottom, right, _ = frames_extent(scene)
    notes += note_on_way(read) + note_on_loss(specs[0])
    add_headings(scene, title, specs, notes, (left, bottom, right, scene.bounds(0)[3]))
