"""The unrolled picture: a run as an explicit graph, one frame per time step, time to the right.

Colours and the order of rows are those of the rolled picture. Long runs are folded: the first three
steps, the steps between as one frame, the last three; or the steps that are chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from minigrad import Tensor
from minigrad.steps import Step
from rnn import Run
from rnn.language.dependencies import once_expressions, statics_read
from rnn.unrolling.facts import At, Connection
from rnn.unrolling.gradients import gradient_sums, has_gradients, made_outside, require_gradients
from viz.annotations.current_step import mark_step
from viz.annotations.cuts import mark_cut
from viz.annotations.headings import add_headings
from viz.annotations.heat import Scale, edge_width, relative_contributions
from viz.annotations.labels import BoxLabels, add_legend, mark_highlight
from viz.annotations.margin import LossInputs, add_loss, loss_inputs, note_on_way
from viz.annotations.shelf import add_loss_terms, add_parameters
from viz.layout.folding import Column, Where, choose_steps, find_tensors, make_columns
from viz.layout.links import RunTensors, arrange, find_links
from viz.layout.step_graph import Edge, Part, step_graph
from viz.layout.step_layout import HEIGHT, LabelPoints, label_texts, part_box, power
from viz.layout.unrolled_layout import UnrolledLayout, UnrolledSpec
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Frame, Scene, Text

from .beside import add_arrows, add_boxes
from .run_list import (
    all_parameters,
    check_order,
    checked_runs,
    divide_highlight,
    run_names,
    runs_title,
    steps_of_runs,
    sum_of_sums,
)
from .runs import RunsDrawing


def unrolled(run: Run | Sequence[Run], loss: Tensor | None = None, level: str = "signals", fold: bool = True,
             steps: Iterable[int] | None = None, values: bool = False, heat: bool = False, *,
             contributions: bool = False, highlight: Iterable[Tensor] = (), step: Step | None = None,
             notation: str = "code", dark: bool = False) -> Picture:
    """Draw a run: every signal at every time step, and the edges between them.

    Statics are beside the steps, once, with a line to their readers at each step; at level "ops" so are operations
    on statics alone, which are computed once.

    The gradient beside a parameter is what this run contributes to it (the sum of `run.contributions`); there is none
    before a backward pass, or once an optimiser has moved the parameters. A signal "does not reach the loss" if the
    loss wasn't computed from it; without `loss` it is "not reached". With lengths or a mask the heading of a step tells
    how many sequences have it, "t = 4  (1 of 3)".

    Several runs stand side by side, each with its name and its own t = 1, 2, ...: an encoder and its decoder, or
    chunks. An arrow leads from the value of one run to the box of another that is computed from it, an initial value
    `s[0] = h[3]`, a static or an input, with what is computed in between; no gradient passes one with scissors. A run
    that reads each step of another one at the same step, as a second layer does, stands above it.

    Args:
        run: an unrolled definition; or several, in the order in which they were computed.
        loss: a tensor that was computed from the run; it is drawn above the steps.
        level: "signals", or "ops" to draw the operations of every equation too.
        fold: draw only the first and the last three of more than twelve steps.
        steps: the steps to draw instead, e.g. [1, 2, 50, 100]; all others are folded. Of several runs those of all, or
            a list for each.
        values: write values and gradients into the boxes.
        heat: colour the boxes by the logarithm of the gradient's norm, after a backward pass.
        contributions: draw edges wider, the more their time step adds to their parameters' gradients.
        highlight: tensors of the run to mark, with the arrows between them.
        step: a step of `loss.backward_steps()` to mark, with the gradients after it: "arrived" where the step of the
            tensor itself was still to come, "so far" where more is added.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than runs.
        ValueError: if the loss or the step was not computed from this run; if there are too many steps; for heat
            or contributions before a backward pass; for runs in another order, or a run that is given twice.
    """
    runs = [run] if isinstance(run, Run) else checked_runs(run)
    if len(runs) > 1:
        whole = draw_runs(runs, loss, level, fold, steps, values, heat, contributions, highlight, step)
        return picture(whole.scene, dark, notation)
    run, = runs
    if heat and step is None:  # a step has gradients of its own
        require_gradients(run)
    spec = replace(unrolled_spec(run, choose_steps(run.T, fold, steps), level), parameters=run.parameters,
                   sums=gradient_sums(run), loss=loss, values=values, heat=heat, step=step, highlight=tuple(highlight),
                   contributions=relative_contributions(run) if contributions else None)
    drawing = UnrolledDrawing(spec).draw()
    if step is not None:
        listed = _keys_of_listed(run.parameters, drawing.loss_inputs)
        mark_step(drawing.scene, spec.tensors, drawing.boxes, step, keys_of_once(run, drawing) | listed)
    drawing.add_title()
    return picture(drawing.scene, dark, notation)


def _keys_of_listed(parameters: Mapping[str, Tensor], read: LossInputs) -> dict[Tensor, str]:
    """Return the box of each parameter that a loss reads directly."""
    return {tensor: f"p{number}" for number, (name, tensor) in enumerate(parameters.items()) if name in read.parameters}


def draw_runs(runs: Sequence[Run], loss: Tensor | None = None, level: str = "signals", fold: bool = True,
              steps: Any = None, values: bool = False, heat: bool = False, contributions: bool = False,
              highlight: Iterable[Tensor] = (), step: Step | None = None) -> RunsDrawing:
    """Draw several runs in one scene; the options are those of unrolled()."""
    reached = [has_gradients(run) for run in runs]
    if ((heat and step is None) or contributions) and not any(reached):
        require_gradients(runs[-1])
    specs = []
    for run, own, has in zip(runs, steps_of_runs(runs, fold, steps), reached):
        widths = relative_contributions(run, runs) if contributions and has else None
        specs.append(replace(unrolled_spec(run, own, level), loss=loss, values=values, heat=heat, step=step,
                             contributions=widths))
    links = find_links([RunTensors(spec.key, spec.tensors, spec.beside) for spec in specs])
    check_order(runs, specs, links)
    parameters = all_parameters(runs, links)
    colors = {tensor: palette.parameter(number) for number, tensor in enumerate(parameters.values())}
    for run, spec in zip(runs, specs):
        spec.graph.recolor({name: colors[tensor] for name, tensor in run.parameters.items()})
    read = LossInputs({}, [])
    if loss is not None:
        read = loss_inputs({part: copies for spec in specs for part, copies in spec.tensors.items()}, loss, parameters)
    prefixes = {run.key: spec.graph.prefix for run, spec in zip(runs, specs)}
    drawings = [UnrolledDrawing(replace(spec, highlight=own, runs=prefixes), LossInputs(
        {(part, k): None for part, k in read.signals if part in spec.tensors}, []))
        for spec, own in zip(specs, divide_highlight(tuple(highlight), specs))]
    if heat:
        scale = Scale(size for drawing in drawings for size in drawing.labels.norms)
        for drawing in drawings:
            drawing.labels.scale = scale
    whole = RunsDrawing(drawings, links, arrange(specs, links))
    whole.add_links()
    whole.add_names(run_names(runs))
    whole.add_margin(parameters, sum_of_sums(runs, parameters, links), read.parameters)
    if step is not None:
        once = _keys_of_listed(parameters, read)
        for run, drawing in zip(runs, drawings):
            once |= keys_of_once(run, drawing)
        whole.mark_step(step, once)
    notes = [f"{name}: {spec.graph.heading}" for name, spec in zip(run_names(runs), specs) if spec.graph.heading]
    title = runs_title(runs, sum(drawing.folded for drawing in drawings), bool(links))
    add_headings(whole.scene, title, specs, notes + note_on_way(read))
    return whole


def unrolled_spec(run: Run, steps: Sequence[int], level: str = "signals",
                  shapes: Mapping[str, tuple[int, ...]] | None = None) -> UnrolledSpec:
    """Return the description of a run's picture without annotations.

    Args:
        shapes: those to show; None: of all signals and statics in the run.
    """
    once = {id(expression): tensor for expression, tensor in zip(once_expressions(run.cell), run.once)}
    graph = step_graph(run.cell, level, _shapes(run, once) if shapes is None else shapes)
    tensors = find_tensors(run, graph.parts, steps)
    starts = []
    for start, edges in graph.starts:
        k = start.step if isinstance(start.step, int) else run.T + start.step.offset
        if (start.signal.name, k) in run.starts:  # else the call has replaced it
            starts += [(edge, k) for edge in edges if k in tensors[edge.target]]
    first = min(k for copies in tensors.values() for k in copies)
    graph.drop_unread({edge.source for edge, k in starts if k != first})  # the others are beside the first column
    beside = {part: once.get(id(part.source)) for part in (*graph.once, *(edge.source for edge, _ in starts))}
    return UnrolledSpec(run.cell.name, run.T, graph, tensors, steps, level == "ops", frozenset(run.cuts()),
                        beside=beside, starts=starts, valid=valid_sequences(run),
                        sequences=math.prod(run.batch), key=run.key)


def valid_sequences(run: Run) -> list[int]:
    """Return of how many sequences of the batch each step is an own step; nothing if all have all steps."""
    return [] if run.mask is None or run.mask.all() else [int(row.sum()) for row in run.mask]


def _shapes(run: Run, once: Mapping[int, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape for one sequence of each signal and static."""
    tensors = {name: run[name][1] for name in run.cell.signals if name in run}
    tensors |= {name: once[id(static)] for name, static in run.cell.statics.items() if id(static) in once}
    return {name: tensor.shape[len(run.batch):] for name, tensor in tensors.items()}


def keys_of_once(run: Run, drawing: UnrolledDrawing) -> dict[Tensor, str]:
    """Return the box of each tensor beside the steps: its own, or that of what is computed from it.

    Those that are computed from statics alone have their own, or that of the first static they are made of. What is
    computed between another run and an initial value or an input belongs to the first box of these.
    """
    boxes = {id(part.source): box.key for part, box in drawing.beside.items()}
    found = {}
    for expression, tensor in zip(once_expressions(run.cell), run.once):
        key = boxes.get(id(expression)) or boxes.get(id(statics_read(expression)[0]))
        if key is not None:
            found[tensor] = key
    for (part, k), box in drawing.boxes.items():
        copy = drawing.spec.tensors[part].get(k)
        if part.node is None and copy is not None and (part.given or drawing.spec.is_boundary(part, k)):
            found.update((x, box.key) for x in made_outside(copy) if x.op is not None and x is not copy
                         and x not in found)
    return found


class UnrolledDrawing:
    """The scene of an unrolled picture. The constructor computes positions; draw() draws.

    Attributes:
        boxes: by part and step; the box of a fold is under the first of its steps.
        beside: the boxes of what is computed once.
        arrows: every arrow with its edge and the step at which it ends.
    """

    def __init__(self, spec: UnrolledSpec, read: LossInputs | None = None) -> None:
        self.spec = spec
        self.loss_inputs = read or LossInputs({}, [])
        if spec.loss is not None and read is None:
            self.loss_inputs = loss_inputs(spec.tensors, spec.loss, spec.parameters)
        columns = make_columns(spec.T, spec.steps, {k for steps in spec.tensors.values() for k in steps})
        self.labels = BoxLabels(spec, {column.k for column in columns if not column.folded})
        self.layout = UnrolledLayout(spec, columns, self.labels.text, self.labels.beside)
        self.scene = Scene(clean(spec.name, 60))
        self.boxes: dict[Where, Box] = {}
        self.beside: dict[Part, Box] = {}
        self.arrows: list[tuple[Arrow, Edge, int]] = []
        self.label_candidates: list[tuple[Arrow, list[Text]]] = []

    def draw(self) -> UnrolledDrawing:
        """Add boxes, arrows, the loss and the list of parameters to the scene."""
        self.draw_steps()
        self.scene.place_labels(self.label_candidates, crowded=bool(self.beside))
        if self.spec.loss is not None:
            add_loss(self.scene, self.spec.loss, self.loss_sources(), self.layout.top, self.labels)
        mark_highlight(self.scene, self.labels.highlighted(self.boxes))
        spec, direct = self.spec, self.loss_inputs.parameters
        sizes = self.labels.gradients.of_parameters(spec.parameters, spec.sums, direct)
        add_parameters(self.scene, spec, sizes, self.layout.steps.middle)
        if direct:
            add_loss_terms(self.scene, direct, list(spec.parameters))
        if self.labels.scale is not None:
            _, bottom, right, _ = self.scene.bounds(0)
            add_legend(self.scene, self.labels.scale, right + 36, bottom)
        return self

    def draw_steps(self) -> None:
        """Add the boxes and arrows of the steps, without labels at the arrows."""
        self.layout.stack()
        for column in self.layout.columns:
            self._add_column(column)
        self.beside = add_boxes(self)
        for edge in self.spec.graph.edges:
            if not edge.source.once:
                self._add_edge(edge)
        add_arrows(self, self.beside)

    @property
    def parts(self) -> list[Part]:
        """The parts of its boxes."""
        return [*self.spec.graph.parts, *self.spec.beside]

    @property
    def top(self) -> float:
        """The height of the upper side of its frames, and of values above each other beside them."""
        return max([self.layout.top, *(box.top for box in self.scene.boxes)])

    # ---- boxes
    def _add_column(self, column: Column) -> None:
        if 1 <= column.k <= self.spec.T:
            self.scene.frames.append(Frame(
                column.left, self.layout.foot, column.right, self.layout.top, self.spec.caption(column),
                palette.FOLD if column.folded else palette.STEP, column.folded))
        for number, part in enumerate(self.spec.graph.parts):
            if part.once:
                continue
            if column.folded and part.node is None:
                self._add_fold(number, part, column)
            elif not column.folded and column.k in self.spec.tensors[part]:
                self._add_box(number, part, column)

    def _add_box(self, number: int, part: Part, column: Column) -> None:
        box = part_box(f"s{number}_{column.k}".replace("-", "m"), part, self.layout.place(part, column.k),
                       *self.layout.position(part, column.k), self.labels.text[part, column.k])
        self.labels.finish(box, part, column.k)
        self.boxes[part, column.k] = box
        self.scene.boxes.append(box)

    def _add_fold(self, number: int, part: Part, column: Column) -> None:
        """Add a signal of folded steps: a box if an arrow begins or ends there, otherwise dots."""
        place = self.layout.steps.places[part]
        x, y = column.x + place.x, self.layout.steps.y[place.row]
        through_time = any(edge.delay and part in (edge.source, edge.target) for edge in self.spec.graph.edges)
        if not through_time and not any((part, k) in self.loss_inputs.signals for k in column.steps):
            self.scene.texts.append(Text(x, y, "⋯", 14, palette.QUIET))
            return
        steps = f"× {len(column.steps)} steps"
        alone = len(self.layout.steps.members[place.row]) == 1
        width = max(place.width, text_width(steps, 10) * CORNER + 10) if alone else place.width
        box = Box(f"s{number}_fold{column.k}", x, y, width, HEIGHT + 6, f"⋯\n{steps}" if alone else "⋯",
                  palette.Paint(part.paint.line, palette.FOLD.fill), dashed=True, size=10)
        self.scene.boxes.append(box)
        self.boxes[part, column.k] = box

    def box(self, part: Part, k: int, source: Part | None = None) -> Box | None:
        """Return the box of a copy; for a folded operation that of its signal, or of the state that it reads."""
        if k not in self.layout:
            return None
        column = self.layout.column(k)
        if column.folded and part.node is not None:
            own = next(other for other in self.spec.graph.parts if other.node is None and other.signal == part.signal)
            part = own if self.spec.graph.is_state(own) or source is None else source
        return self.boxes.get((part, column.k))

    # ---- edges
    def _add_edge(self, edge: Edge) -> None:
        """Add all copies of an edge; one of them shows the names of its parameters."""
        text, color = self.spec.graph.label(edge)
        style = self.layout.steps.style(edge)
        if abs(edge.delay) > 1:
            text, color = f"{text} {power(edge.delay)}".strip(), color if text else style.color
        labelled = not text
        drawn: set[tuple[str, str]] = set()
        for k in self.layout.ends(edge):
            source, target = self.box(edge.source, k - edge.delay), self.box(edge.target, k, edge.source)
            if source is None or target is None or self._is_hidden(edge, k):
                continue
            ends = source.key, target.key
            if ends in drawn:  # copies that a fold merges
                continue
            drawn.add(ends)
            points, candidates = self.layout.route(edge, k, source, target, self.boxes)
            arrow = self.add_arrow(edge, k, Arrow(
                *ends, points, style.color, style.pen, dashed=style.dashed, dotted=style.dotted,
                tooltip=f"{source.label} → {target.label}".replace("\n", " ")))
            place = arrow, label_texts(candidates, text, 10, color, arrow.pen / 2)
            if not labelled and not source.dashed and not target.dashed:
                labelled = True
                self.label_candidates.append(place)
        if not labelled and drawn and edge in self.layout.steps.lanes:  # all copies come from values before the steps
            self.label_candidates.append(place)

    def _is_hidden(self, edge: Edge, k: int) -> bool:
        """Whether the copy of an edge that ends at step k lies inside a fold."""
        if edge.delay == 0:
            return not self.layout.is_drawn(k)
        return self.layout.column(k) is self.layout.column(k - edge.delay)

    def add_label(self, edge: Edge, arrow: Arrow, points: LabelPoints) -> None:
        """Add the names of an edge's parameters to one of its arrows."""
        text, color = self.spec.graph.label(edge)
        if text:
            self.label_candidates.append((arrow, label_texts(points, text, 10, color, arrow.pen / 2)))

    def add_arrow(self, edge: Edge, k: int, arrow: Arrow) -> Arrow:
        """Add an arrow, as wide as its contribution; mark it if no gradient passes."""
        self.scene.arrows.append(arrow)
        self.arrows.append((arrow, edge, k))
        if self.spec.contributions is not None and edge.names and self.layout.is_drawn(k):
            arrow.pen = edge_width(self.spec.contributions, edge.names, k - edge.target.lead)
        ends = Connection(At(edge.source.signal, k - edge.delay), At(edge.target.signal, k))
        drawn = self.layout.is_drawn(k) or self.layout.is_drawn(k - edge.delay)
        if edge.delay and drawn and ends in self.spec.cuts:
            arrow.tooltip += " (cut: no gradient goes back)"
            cut = mark_cut(arrow, 0.25 if self.layout.enters_from_below(edge) else 0.5)
            if all(abs(text.x - cut.x) > 8 or abs(text.y - cut.y) > 8 for text in self.scene.texts):
                self.scene.texts.append(cut)
        return arrow

    def start_label(self, start: tuple[Edge, int]) -> str:
        """Return the names of the parameters that multiply a static in an initial value."""
        return self.spec.graph.label(start[0])[0]

    # ---- margin
    @property
    def folded(self) -> int:
        """The number of steps inside of folds."""
        return sum(len(column.steps) for column in self.layout.columns if column.folded)

    def loss_sources(self) -> list[tuple[Box, float]]:
        """Return the boxes that the loss reads, each with an x at which an arrow passes all boxes above it."""
        found: dict[str, tuple[float, float, Box]] = {}
        for part, k in self.loss_inputs.signals:
            box = self.box(part, k)
            if box is not None:
                found[box.key] = box.x, self.layout.column(k).x + self.layout.steps.clear_x(part), box
        return [(box, x) for _, x, box in sorted(found.values(), key=itemgetter(0, 1))]

    def add_title(self) -> None:
        """Add the title; under it the step of a backward pass, and the first value that is not finite."""
        title = f"{self.scene.name}, unrolled, T = {self.spec.T}"
        if self.folded:
            title += f": {self.folded} steps folded"
        heading = self.spec.graph.heading
        add_headings(self.scene, title, [self.spec],
                     [*([heading] if heading else []), *note_on_way(self.loss_inputs)])
