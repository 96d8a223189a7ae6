"""The scene of one unrolled run: its boxes, arrows and frames, and the panels around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from minigrad import Tensor
from rnn import Run
from rnn.language.dependencies import once_expressions, statics_read
from rnn.unrolling.facts import At, Connection
from rnn.unrolling.gradients import made_outside
from viz.annotations.alt import run_text, run_title
from viz.annotations.cuts import mark_cut
from viz.annotations.formulas import equation_lines
from viz.annotations.gradients import note_on_loss
from viz.annotations.headings import add_headings
from viz.annotations.heat import edge_width
from viz.annotations.labels import BoxLabels, mark_highlight
from viz.annotations.layer_frames import add_layer_frames, borders
from viz.annotations.margin import LossInputs, add_loss, loss_inputs, note_on_way
from viz.annotations.panels import frames_extent
from viz.annotations.shelf import add_loss_terms, listed_parameters, parameter_keys
from viz.layout.content import add_content
from viz.layout.folding import Column, Tensors, Where, find_tensors, make_columns
from viz.layout.levels import level_graph
from viz.layout.options import USUAL, Options
from viz.layout.step_graph import Edge, Part
from viz.layout.step_layout import HEIGHT, LabelPoints, label_texts, part_box, power
from viz.layout.unrolled_layout import UnrolledLayout, UnrolledSpec
from viz.layout.wrapping import Rows
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Frame, Point, Rectangle, Scene, Text, straight_line

from .arrangement import add_around, wrap
from .beside import add_arrows, add_boxes


def unrolled_spec(run: Run, steps: Sequence[int], level: str = "signals",
                  shapes: Mapping[str, tuple[int, ...]] | None = None, options: Options = USUAL,
                  numbers: Mapping[Tensor, int] | None = None) -> UnrolledSpec:
    """Return the description of a run's picture without annotations.

    Args:
        shapes: those that are known; None: of all signals and statics in the run.
        numbers: of the parameters, among those of several runs, which tell their colours.
    """
    once = {id(expression): tensor for expression, tensor in zip(once_expressions(run.cell), run.once)}
    known = _shapes(run, once) if shapes is None else shapes
    graph = level_graph(run.cell, level, known)
    if numbers is not None:
        graph.recolor({name: numbers[tensor] for name, tensor in run.parameters.items()})
    add_content(graph, run.cell, level, options, known)
    tensors = find_tensors(run, graph.parts, steps)
    starts = []
    for start, edges in graph.starts:
        k = start.step if isinstance(start.step, int) else run.T + start.step.offset
        if (start.signal.name, k) in run.starts:  # else the call has replaced it
            starts += [(edge, k) for edge in edges if k in tensors[edge.target]]
    starts = list({(edge.source, edge.target, k): (edge, k) for edge, k in starts}.values())  # one for a layer's box
    first = min(k for copies in tensors.values() for k in copies)
    graph.drop_unread({edge.source for edge, k in starts if k != first})  # the others are beside the first column
    beside = {part: once.get(id(part.source)) for part in (*graph.once, *(edge.source for edge, _ in starts))}
    return UnrolledSpec(run.cell.name, run.T, graph, tensors, steps, level == "ops", frozenset(run.cuts()),
                        beside=beside, starts=starts, mask=unequal_mask(run),
                        inside=find_tensors(run, [own for part in graph.parts for own in part.members], steps),
                        key=run.key, options=options,
                        equations=equation_lines(run.cell) if options.equations else ())


def unequal_mask(run: Run) -> Any:
    """Return the mask of a run; None if all sequences have all steps."""
    return None if run.mask is None or run.mask.all() else run.mask


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
        copy = drawing.spec.recorded[part].get(k)
        if part.node is None and copy is not None and (part.given or drawing.spec.is_boundary(part, k)):
            found.update((x, box.key) for x in made_outside(copy) if x.op is not None and x is not copy
                         and x not in found)
    return found


class UnrolledDrawing:
    """The scene of an unrolled picture. The constructor computes positions; draw() draws.

    Attributes:
        boxes: by part and step; the box of a fold is under the first of its steps.
        beside: the boxes of what is computed once.
        arrows: every arrow with its edge and the step at which it ends; or the pieces of one, in several rows.
        rows: the rows of the time steps, if there are several.
        extent: left, bottom, right and top without the panels around.
        room: width that is taken beside the picture on its page; height that is.
    """

    def __init__(self, spec: UnrolledSpec, room: tuple[float, float] = (0.0, 0.0),
                 read: LossInputs | None = None) -> None:
        self.spec, self.room = spec, room
        self.rows: Rows | None = None
        self.extent: Rectangle = (0.0, 0.0, 0.0, 0.0)
        self.loss_inputs = read or LossInputs({}, [])
        if spec.loss is not None and read is None:
            self.loss_inputs = at_home(loss_inputs(spec.recorded, spec.loss, spec.parameters), spec.homes)
        columns = make_columns(spec.T, spec.steps, {k for steps in spec.tensors.values() for k in steps})
        self.labels = BoxLabels(spec, {column.k for column in columns if not column.folded})
        self.layout = UnrolledLayout(spec, columns, self.labels.text, self.labels.beside)
        self.scene = Scene(clean(spec.name, 60))
        self.boxes: dict[Where, Box] = {}
        self.beside: dict[Part, Box] = {}
        self.arrows: list[tuple[Arrow, Edge, int]] = []
        self.label_candidates: list[tuple[Arrow, list[Text]]] = []

    def draw(self) -> UnrolledDrawing:
        """Add boxes, arrows, the loss, and the panels around them to the scene."""
        self.draw_steps()
        self.draw_panels()
        return self

    def draw_steps(self) -> None:
        """Add boxes, arrows and the loss to the scene."""
        self.add_steps()
        self.scene.place_labels(self.label_candidates, crowded=bool(self.beside), lines=self.kept_off())
        self.rows = wrap(self)
        if self.spec.loss is not None:
            sources, lower = self.loss_sources()
            add_loss(self.scene, self.spec.loss, sources, self.layout.top, self.labels, lower)
        mark_highlight(self.scene, self.labels.highlighted(self.boxes))

    def draw_panels(self) -> None:
        """Add lists, legends and equations, and arrows to the loss from the parameters that it reads."""
        add_around(self)
        direct = self.loss_inputs.parameters
        if direct and self.spec.options.parameters:
            add_loss_terms(self.scene, direct, parameter_keys(self.spec))

    def add_steps(self) -> None:
        """Add the boxes and arrows of the steps, and the frames of layers, without labels at the arrows."""
        self.layout.stack()
        for column in self.layout.columns:
            self._add_column(column)
        self.beside = add_boxes(self)
        for edge in self.spec.graph.edges:
            if not edge.source.once:
                self._add_edge(edge)
        add_arrows(self, self.beside)
        add_layer_frames(self.scene, self.layout.steps, self._middles, self._ways())

    @property
    def _middles(self) -> list[float]:
        return [column.x for column in self.layout.columns if 1 <= column.k <= self.spec.T]

    def _ways(self) -> list[list[Point]]:
        """Return the upright pieces of the arrows to the loss, which are drawn later."""
        return [straight_line((x, box.top), (x, self.layout.top)) for box, x in self.loss_sources()[0]]

    def kept_off(self) -> list[list[Point]]:
        """Return curves that aren't arrows but on which no label should be."""
        return [*borders(self.layout.steps, self._middles), *self._ways()]

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
        box = part_box(copy_key(number, column.k), part, self.layout.place(part, column.k),
                       *self.layout.position(part, column.k), self.labels.text[part, column.k])
        self.labels.finish(box, part, column.k)
        self.boxes[part, column.k] = box
        self.boxes.update(((own, column.k), box) for own in part.members if column.k in self.spec.inside[own])
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

    def places(self) -> tuple[Tensors, dict[Where, Box]]:
        """Return all tensors that have a box, and the boxes: also those of folded steps, and beside the steps."""
        boxes = {**self.boxes, **{(part, 0): box for part, box in self.beside.items()}}
        for column in self.layout.columns:
            for part in self.spec.graph.parts if column.folded else ():
                if (part, column.k) in boxes:
                    boxes.update(((own, k), boxes[part, column.k]) for own in (part, *part.members)
                                 for k in column.steps)
        beside: Tensors = {part: {0: self.spec.beside.get(part)} for part in self.beside}
        return self.spec.recorded | beside, boxes

    def contents(self) -> dict[str, list[Tensor]]:
        """Return the tensors that each box stands for, by its key: of a fold or a layer, several."""
        found: dict[str, dict[Tensor, None]] = {}
        tensors, boxes = self.places()
        for (part, k), box in boxes.items():
            tensor = tensors.get(part, {}).get(k)
            if tensor is not None:
                found.setdefault(box.key, {})[tensor] = None
        return {key: list(own) for key, own in found.items()} | listed_parameters(self.spec)

    # ---- edges
    def _add_edge(self, edge: Edge) -> None:
        """Add all copies of an edge; one of them shows the names of its parameters."""
        text, color = self.spec.graph.label(edge)
        style = self.layout.steps.style(edge)
        if abs(edge.delay) > 1:
            text = f"{text} {power(edge.delay)}".strip()
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
                tooltip=f"{self._sources(edge, k - edge.delay, source)} → {_full_name(edge.target, k, target)}"))
            place = arrow, label_texts(candidates, text, self.spec.label_size, color, arrow.pen / 2)
            if not labelled and not source.dashed and not target.dashed:
                labelled = True
                self.label_candidates.append(place)
        if not labelled and drawn and edge in self.layout.steps.lanes:  # all copies come from values before the steps
            self.label_candidates.append(place)

    def _sources(self, edge: Edge, k: int, source: Box) -> str:
        """Return the names of what an edge carries from a step, for a tooltip."""
        if not edge.carried or self.layout.column(k).folded:
            return _full_name(edge.source, k, source)
        return ", ".join(f"{clean(edge.source.signal + name)}[{k}]" for name in edge.carried)

    def _is_hidden(self, edge: Edge, k: int) -> bool:
        """Whether the copy of an edge that ends at step k lies inside a fold."""
        if edge.delay == 0:
            return not self.layout.is_drawn(k)
        return self.layout.column(k) is self.layout.column(k - edge.delay)

    def add_label(self, edge: Edge, arrow: Arrow, points: LabelPoints) -> None:
        """Add the names of an edge's parameters to one of its arrows."""
        text, color = self.spec.graph.label(edge)
        if text:
            texts = label_texts(points, text, self.spec.label_size, color, arrow.pen / 2)
            self.label_candidates.append((arrow, texts))

    def add_arrow(self, edge: Edge, k: int, arrow: Arrow) -> Arrow:
        """Add an arrow, as wide as its contribution; mark it if no gradient passes."""
        self.scene.arrows.append(arrow)
        self.arrows.append((arrow, edge, k))
        cut_pen = 1.4
        if self.spec.contributions is not None and edge.names and self.layout.is_drawn(k):
            cut_pen = arrow.pen = edge_width(self.spec.contributions, edge.names, k - edge.target.lead)
        copies = {Connection(At(source, k - edge.delay), At(target, k)) for source, target in edge.ends}
        drawn = self.layout.is_drawn(k) or self.layout.is_drawn(k - edge.delay)
        if edge.delay and drawn and copies.issubset(self.spec.cuts):
            arrow.tooltip += " (cut: no gradient goes back)"
            cut = mark_cut(arrow, 0.25 if self.layout.enters_from_below(edge) else 0.5, pen=cut_pen)
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

    def loss_sources(self) -> tuple[list[tuple[Box, float]], list[tuple[Box, float, float]]]:
        """Return the boxes that the loss reads, each with an x at which an arrow passes all boxes above it.

        Those in lower rows are apart, with the top of their row.
        """
        found: dict[str, tuple[int, float, float, Box]] = {}
        for part, k in self.loss_inputs.signals:
            box = self.box(part, k)
            if box is not None:
                row = self.rows.row_of(k) if self.rows else 0
                found[box.key] = row, box.x, self.layout.column(k).x + self.layout.steps.clear_x(part), box
        sources = sorted(found.values(), key=itemgetter(0, 1, 2))
        return [(box, x) for row, _, x, box in sources if not row], [
            (box, x, self.layout.top + self.rows.shift[row][1]) for row, _, x, box in sources if row and self.rows]

    def add_title(self) -> None:
        """Add the title; under it the step of a backward pass, and the first value that is not finite."""
        title, heading = run_title(self.spec, self.folded), self.spec.graph.heading
        self.scene.title = self.spec.options.name(title)
        self.scene.alt = run_text(self.spec, self.loss_inputs.signals, self.labels.scale)
        notes = [*([heading] if heading else []), *note_on_way(self.loss_inputs), *note_on_loss(self.spec)]
        add_headings(self.scene, title, [self.spec], notes, self._under_title)

    @property
    def _under_title(self) -> Rectangle:
        """The frames; a loss that stands further to the side counts in their height."""
        left, bottom, right, top = self.steps_extent
        return left, bottom, right, max([top, *(box.top for box in self.scene.boxes if box.key == "loss")])

    @property
    def steps_extent(self) -> Rectangle:
        """The left side of the first frame, its foot, the right side of the last, and its top."""
        return frames_extent(self.scene)


def copy_key(number: int, k: int) -> str:
    """Return the key of the box of a part, by its number in the step graph, at step k."""
    return f"s{number}_{k}".replace("-", "m")


def at_home(read: LossInputs, homes: Mapping[Part, Part]) -> LossInputs:
    """Return what a loss reads, with the boxes of layers in the place of signals that are in them."""
    return read._replace(signals=dict.fromkeys((homes.get(part, part), k) for part, k in read.signals))


def _full_name(part: Part, k: int, box: Box) -> str:
    """Return the label of a box in one line, with the prefix that it has in no frame of its layer."""
    in_frame = part.block and part.node is None and "⋯" not in box.label
    return f"{clean(part.signal)}[{k}]" if in_frame else box.label.replace("\n", " ")
