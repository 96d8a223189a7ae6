"""A run as a picture: one frame a time step, time to the right, layers upward.

The colours and the order of rows are those of the rolled picture. Long runs are folded: the first
three steps, what lies between as one frame, the last three; or whichever steps are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from minigrad import Tensor
from minigrad.steps import Step
from rnn import Run
from rnn.unrolling.at import At, Connection
from viz.annotations.contributions import Widths
from viz.annotations.current_step import mark_step
from viz.annotations.labels import Notes, Shown
from viz.annotations.margin import add_loss, add_shelf, sources_of
from viz.layout.columns import Column, columns, kept
from viz.layout.copies import Copies, copies_of
from viz.layout.step_graph import Edge, Part, Parts, parts_of
from viz.layout.step_layout import FIRST, HEIGHT, MARGIN, SMALL, TRACK, Places, Rows, label_at
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import clean, text_width
from viz.render.palette import Paint
from viz.render.scene import CORNER, Arrow, Box, Frame, Point, Scene, Text, clear, rounded, sampled, sideways, straight

from .rolled import part_box, part_width

BETWEEN = 36.0  # from row to row
OPERATIONS = 26.0  # the same where operations are drawn
INSIDE = 20.0  # from a frame to the boxes in it
GAP = 30.0  # from frame to frame
FOOT = 46.0  # from the lowest row's middle to the frame's foot
MANY = 1000  # frames at most
SLOT = 7.0  # between arrows that go up or down between two frames
Group = tuple[Part, int, int, bool]


def unrolled(run: Run, loss: Tensor | None = None, level: str = "signals", fold: bool = True,
             steps: Iterable[int] | None = None, values: bool = False, heat: bool = False, *,
             contributions: bool = False, highlight: Iterable[Tensor] = (), step: Step | None = None,
             dark: bool = False) -> Picture:
    """Draw a run: every copy of every signal, and the edges between them.

    Args:
        run: an unrolled definition.
        loss: what was computed from the run; it is drawn above the steps.
        level: "signals", or "ops" to see the operations of every equation too.
        fold: draw of more than twelve steps only the first and the last three.
        steps: the steps to draw instead, e.g. [1, 2, 50, 100]; all others are folded.
        values: write values and gradients into the boxes.
        heat: fill the boxes by the logarithm of the gradient's norm.
        contributions: draw an edge the wider, the more its time step adds to its parameters' gradients.
        highlight: tensors of the run to mark, with the arrows between them.
        step: a step of `loss.backward_steps()` to mark, with the gradients computed so far.
        dark: light lines on dark ground.

    Raises:
        ValueError: where the loss or the step wasn't computed from this run; where there are too many steps.
    """
    shown = kept(run.T, fold, steps)
    if len(shown) > MANY:
        raise ValueError(f"a picture of {len(shown)} steps can't be read: draw it with fold=True, "
                         f"choose some with steps=[...], or unroll at most {MANY} steps")
    drawing = _Unrolled(run, loss, shown, level, Shown(values, heat, tuple(highlight), contributions))
    drawing.write_title()
    if step is not None:
        mark_step(drawing.scene, drawing.copies, drawing.boxes, step)
    return picture(drawing.scene, dark)


class _Unrolled:
    """The scene of one run."""

    def __init__(self, run: Run, loss: Tensor | None, shown: Sequence[int], level: str = "signals",
                 what: Shown | None = None, gaps: Sequence[float] = (), shelf: bool = True,
                 given: tuple[Parts, Copies] | None = None) -> None:
        self.run = run
        self.scene = Scene(clean(run.cell.name, 60))
        self.parts = given[0] if given else parts_of(run.cell, level)
        self.copies = given[1] if given else copies_of(run, self.parts, shown)
        self.ways: list[tuple[Arrow, Edge, int]] = []  # every arrow, whose it is, and at which step it ends
        self.cuts = set(run.cuts())
        self.widths = Widths(run) if what is not None and what.contributions else None
        self.users = sources_of(run, self.copies, loss) if loss is not None else set()
        steps = {k for copies in self.copies.values() for k in copies}
        self.columns = columns(run.T, sorted(k for k in steps if k < 1), shown, sorted(k for k in steps if k > run.T))
        self.column_of = {k: number for number, column in enumerate(self.columns) for k in column.steps}
        self.bad = [At(part.signal.name, k) for part, copies in self.copies.items() if part.node is None
                    for k, tensor in copies.items() if tensor is not None and not np.isfinite(tensor.numpy()).all()]
        self.notes = Notes(what or Shown(), {(part, k): tensor for part, copies in self.copies.items()
                                             for k, tensor in copies.items() if self._is_drawn(k)}, loss)
        self.labels = {(part, k): self._label(part, k) for part, copies in self.copies.items()
                       for k in copies if self._is_drawn(k)}
        self.rows = Rows(self.parts, {part: self._part_width(part) for part in self.parts.parts},
                         {part: self._part_height(part) for part in self.parts.parts}, {})
        self.entries = self.rows.enter({edge: -1 if edge.delay > 0 else 1 for edge in self.parts.edges if edge.delay})
        self._plan_lanes()
        self.gaps = self._gaps(level, gaps)
        self.rows.stack(self.gaps)
        self.boxes: dict[tuple[Part, int], Box] = {}
        self.in_column: list[list[Box]] = [[] for _ in self.columns]
        self.is_clear: dict[Edge, bool] = {}
        self.wanted: list[tuple[Arrow, list[Text]]] = []  # labels to be placed
        self.labelled: set[tuple[str, str]] = set()  # (text, box that the arrow leads to)
        self._place_columns()
        for column, boxes in zip(self.columns, self.in_column):
            before = len(self.scene.boxes)
            self._draw_column(column)
            boxes += self.scene.boxes[before:]
        for edge in self.parts.edges:
            self._draw_edge(edge)
        self.scene.place_labels(self.wanted)
        if loss is not None:
            add_loss(self.scene, loss, self._loss_sources(), self.top, self.notes)
        self.notes.mark_highlight(self.scene, {box.key: at for at, box in self.boxes.items()})
        if shelf:
            add_shelf(self.scene, run, self.parts.colors, (self.rows.y[0] + self.rows.y[-1]) / 2)
            self.notes.add_legend(self.scene)

    # ---- boxes
    def _is_drawn(self, k: int) -> bool:
        return k in self.column_of and not self.columns[self.column_of[k]].folded

    def _label(self, part: Part, k: int) -> str:
        """h(3); h(0) = 0 where that was set or assumed."""
        text = part.label
        if part.node is None:
            text = f"{part.label}({k})".replace("(-", "(−")
            tensor = self.copies[part][k]
            if tensor is not None and self._is_boundary(part, k):
                value = tensor.inputs[0] if tensor.inputs else tensor
                if value.name and value.t is None:
                    text += f" = {clean(value.name, 14)}"
                elif not tensor.requires_grad and not tensor.numpy().any():
                    text += " = 0"
        return "\n".join([text, *self.notes.lines(part, k)])

    def _is_boundary(self, part: Part, k: int) -> bool:
        """Whether a value was given from outside, before or after what is computed."""
        return not 1 <= k - part.lead <= self.run.T

    def _part_width(self, part: Part) -> float:
        labels = [self.labels[part, k] for k in self.copies[part] if self._is_drawn(k)]
        if part.node is not None or self.notes.wide:
            return part_width(part, labels or [part.label])
        return part_width(part, [f"{part.label}({k})" for k in self.copies[part]])

    def _part_height(self, part: Part) -> float:
        lines = max((self.labels[part, k].count("\n") for k in self.copies[part] if self._is_drawn(k)), default=0)
        return (SMALL if part.node is not None else HEIGHT) + 12 * lines

    def _width(self, part: Part, k: int) -> float:
        """A value from outside says where it comes from, and is as wide as that needs."""
        width = self.rows.places[part].width
        if not self._is_boundary(part, k):
            return width
        return max(width, text_width(self.labels[part, k], 12) * CORNER + MARGIN)

    def _place_columns(self) -> None:
        """Where every column stands."""
        widest = {bool(delayed): max((text_width(self.parts.label(edge)[0], 10) * CORNER for edge in self.parts.edges
                                      if bool(edge.delay) is delayed), default=0.0) for delayed in (False, True)}
        half = max(self.rows.left, self.rows.right) + INSIDE
        half = max(half, *(abs(self.rows.places[part].x) + self._width(part, k) / 2 + 8 for part, k in self.labels
                           if 1 <= k <= self.run.T))
        half = max(half, widest[False] + 14, 38.0 if any(column.folded for column in self.columns) else 0.0)
        self.gap = max(GAP, widest[True] + 12 - 2 * INSIDE, SLOT * (self.slots + 1))
        right = 0.0
        for column in self.columns:
            reach = half
            if not 1 <= column.k <= self.run.T:
                reach = max(abs(self.rows.places[part].x) + self._width(part, column.k) / 2 + 8
                            for part, k in self.labels if k == column.k)
            column.left = right + self.gap
            column.x = column.left + reach
            column.right = right = column.x + reach
        lowest = self.rows.y[0] - self.rows.heights[0] / 2
        self.foot = lowest - (FOOT - HEIGHT / 2) - (FIRST + TRACK * self.rows.lanes[0] if self.rows.lanes[0] else 0)
        above = self.rows.lanes[self.rows.count]
        self.top = self.rows.top + INSIDE + (FIRST + TRACK * above - 8 if above else 0)

    def _draw_column(self, column: Column) -> None:
        if 1 <= column.k <= self.run.T:
            caption = f"t = {column.k}" if not column.folded else f"t = {column.k} … {column.steps[-1]}"
            self.scene.frames.append(Frame(column.left, self.foot, column.right, self.top, caption,
                                           palette.FOLD if column.folded else palette.STEP, column.folded))
        for number, part in enumerate(self.parts.parts):
            if column.folded:
                self._draw_fold(number, part, column)
            elif column.k in self.copies[part]:
                self._draw_box(number, part, column)

    def _draw_box(self, number: int, part: Part, column: Column) -> None:
        """One copy."""
        k, place = column.k, self.rows.places[part]
        box = part_box(f"s{number}_{k}".replace("-", "m"), part, column.x + place.x, self.rows.y[place.row],
                       self._width(part, k), place.height, self.labels[part, k])
        tensor = self.copies[part][k]
        box.dashed = part.node is None and self._is_boundary(part, k)
        self.notes.paint(box, part, k)
        if tensor is not None and not np.isfinite(tensor.numpy()).all():
            box.paint, box.pen = palette.BAD, 2.4
        box.tooltip = self.notes.tooltip(part, k, tensor)
        self.boxes[part, k] = box
        self.scene.boxes.append(box)

    def _draw_fold(self, number: int, part: Part, column: Column) -> None:
        """A part of the steps that are left out: a box for a state, or where an arrow begins; dots for others."""
        if part.node is not None:
            return
        place = self.rows.places[part]
        x, y = column.x + place.x, self.rows.y[place.row]
        through_time = any(edge.delay and part in (edge.source, edge.target) for edge in self.parts.edges)
        if not through_time and not any((part, k) in self.users for k in column.steps):
            self.scene.texts.append(Text(x, y, "⋯", 14, palette.QUIET))
            return
        steps = f"× {len(column.steps)} steps"
        alone = len(self.rows.members[place.row]) == 1
        width = max(place.width, text_width(steps, 10) * CORNER + 10) if alone else place.width
        box = Box(f"s{number}_fold{column.k}", x, y, width, HEIGHT + 6, f"⋯\n{steps}" if alone else "⋯",
                  Paint(part.paint.line, palette.FOLD.fill), dashed=True, size=10)
        self.scene.boxes.append(box)
        self.boxes[part, column.k] = box

    # ---- edges
    def _plan_lanes(self) -> None:
        """The tracks of edges that pass other steps, or boxes of their own; the slots between frames."""
        self.lane: dict[Group, tuple[int, int]] = {}  # group -> (lane, its first track)
        self.slot: dict[Group, int] = {}
        self.slots = 0
        for edge, entry in self.entries.items():
            if entry.group in self.slot:
                continue
            self.slot[entry.group] = self.slots
            self.slots += 1 + (abs(edge.delay) > 1)
            if entry.foot or abs(edge.delay) > 1:
                target = self.rows.places[edge.target].row
                over = not entry.foot and self.rows.places[edge.source].row >= target
                self.lane[entry.group] = target + over, self.rows.lanes[target + over]
                self.rows.lanes[target + over] += abs(edge.delay)

    def _gaps(self, level: str, least: Sequence[float]) -> list[float]:
        base = BETWEEN if level == "signals" else OPERATIONS
        gaps = [base + (FIRST + TRACK * n - 12 if n else 0) for n in self.rows.lanes[1:-1]]
        return [max(pair) for pair in zip(gaps, least)] if least else gaps

    def _draw_edge(self, edge: Edge) -> None:
        """All copies of one edge of the definition; the parameter's name stands at one of them."""
        text, color = self.parts.label(edge)
        stroke, pen = self.rows.color(edge)
        drawn: set[tuple[str, str]] = set()
        labelled = not text
        for k in self._steps(edge):
            source, target = self._end(edge.source, k - edge.delay), self._end(edge.target, k, edge.source)
            if source is None or target is None:
                continue
            if edge.delay and self.column_of[k] == self.column_of[k - edge.delay]:
                continue
            twice = edge.delay and not (self._is_drawn(k) and self._is_drawn(k - edge.delay))
            if twice and (source.key, target.key) in drawn:
                continue
            drawn.add((source.key, target.key))
            if edge.delay == 0 and self._is_drawn(k):
                points, places = self.rows.climb(edge, source, target, self.columns[self.column_of[k]].x)
            elif edge.delay:
                points, places = self._across(edge, source, target, k)
            else:
                continue
            label_here = not labelled and not source.dashed and not target.dashed
            labelled = labelled or label_here
            if label_here and (text, target.key) in self.labelled:
                label_here = False
            self.labelled.add((text, target.key))
            arrow = Arrow(source.key, target.key, points, stroke, pen,
                          tooltip=f"{source.label} → {target.label}".replace("\n", " "))
            self.scene.arrows.append(arrow)
            self.ways.append((arrow, edge, k))
            if self.widths is not None and edge.names and self._is_drawn(k):
                arrow.pen = self.widths.pen(edge.names, k - edge.target.lead)
            self._cut(edge, k, arrow)
            if label_here:
                self.wanted.append((arrow, label_at(places, text, 10, color, arrow.pen / 2)))

    def _cut(self, edge: Edge, k: int, arrow: Arrow) -> None:
        """Mark an edge through which no gradient goes."""
        ends = Connection(At(edge.source.signal.name, k - edge.delay), At(edge.target.signal.name, k))
        if not edge.delay or ends not in self.cuts or not (self._is_drawn(k) or self._is_drawn(k - edge.delay)):
            return
        arrow.color, arrow.pen, arrow.dashed = palette.CUT, 1.4, True
        arrow.tooltip += " (cut: no gradient goes back)"
        way = sampled(arrow.points)
        x, y = way[len(way) // (4 if self.entries[edge].foot else 2)]
        mark = Text(x, y + 9, "✂", 13, palette.QUIET)
        if all(abs(text.x - x) > 8 or abs(text.y - mark.y) > 8 for text in self.scene.texts):
            self.scene.texts.append(mark)

    def _steps(self, edge: Edge) -> list[int]:
        """The steps where copies of an edge may be drawn: not those that lie inside a fold."""
        reach = abs(edge.delay) + 1
        near = {k + shift for column in self.columns for k in (*column.steps[:reach], *column.steps[-reach:])
                for shift in (0, edge.delay)}
        lead = edge.target.lead
        return sorted((k for k in near if 1 <= k - lead <= self.run.T), reverse=edge.delay < 0)

    def _end(self, part: Part, k: int, source: Part | None = None) -> Box | None:
        """The box of a copy; of a folded operation, its signal's, or that of the state that it reads."""
        column = self.columns[self.column_of[k]] if k in self.column_of else None
        if column is None:
            return None
        if column.folded and part.node is not None:
            own = next(other for other in self.parts.parts if other.node is None and other.signal is part.signal)
            part = own if self.parts.is_state(own) or source is None else source
        return self.boxes.get((part, column.k))

    def _across(self, edge: Edge, source: Box, target: Box, k: int) -> tuple[list[Point], Places]:
        """From step to step: straight, as a bend, or between the rows past what stands in the way."""
        entry = self.entries[edge]
        columns = self.column_of[k - edge.delay], self.column_of[k]
        adjacent = abs(columns[0] - columns[1]) == 1
        folded = self.columns[columns[1]].folded and edge.target.node is not None
        start, end = self._ports(edge, source, target, adjacent)
        if entry.foot and not folded:
            return self._from_below(edge, source, target, k, columns)
        if adjacent:
            if abs(start[1] - end[1]) < 0.1 and source.y == target.y:
                return straight(start, end), [(((start[0] + end[0]) / 2 - 8, start[1] + 9), True)]
            falls = target.y <= source.y
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (6 if falls else -6)
            places: Places = [((middle[0] + 6, middle[1]), True), ((middle[0] - 6, middle[1]), False)]
            points = sideways(start, end)
            if not self._is_clear(edge, points, source, target, columns):
                x = self._slot(edge, columns[0], 0)
                points = rounded([start, (x, start[1]), (x, end[1]), end])
            return points, places
        lane, first = self.lane[entry.group]
        y = self.rows.track(lane, first + k % abs(edge.delay))
        out, back = self._slot(edge, columns[0], 0), self._slot(edge, columns[1], 1)
        points = rounded([start, (out, start[1]), (out, y), (back, y), (back, end[1]), end])
        forward = 1 if edge.delay > 0 else -1
        beyond = [(out + forward * (26 + 24 * n), y + side) for n in range(4) for side in (8, -8)]
        return points, [(place, True) for place in beyond]

    def _is_clear(self, edge: Edge, points: Sequence[Point], source: Box, target: Box,
                  columns: tuple[int, int]) -> bool:
        """Whether a bend passes no box; between usual steps what holds for one copy holds for all."""
        usual = not source.dashed and not target.dashed
        if usual and edge in self.is_clear:
            return self.is_clear[edge]
        others = [box for number in columns for box in self.in_column[number]]
        answer = clear(points, [box for box in others if box is not source and box is not target])
        if usual:
            self.is_clear[edge] = answer
        return answer

    def _ports(self, edge: Edge, source: Box, target: Box, adjacent: bool) -> tuple[Point, Point]:
        """Where an arrow leaves and arrives, on the sides of its boxes."""
        forward = 1 if edge.delay > 0 else -1
        if adjacent and source.y == target.y:
            return source.side(source.y, forward), target.side(target.y, -forward)
        rises = target.y > source.y
        apart = min(7.0, source.height / 2 - 5)
        arriving = [other for other in self.entries if other.target is edge.target
                    and not self.entries[other].foot and other.delay * edge.delay > 0]
        number = arriving.index(edge) if edge in arriving else 0
        reach = min(6.0 + 6 * number, target.height / 2 - 4) if len(arriving) > 1 or abs(edge.delay) > 1 else (
            min(6.0, target.height / 2 - 5))
        leaving = apart if rises or source.y == target.y else -apart
        return (source.side(source.y + leaving, forward),
                target.side(target.y + (-reach if rises else reach), -forward))

    def _from_below(self, edge: Edge, source: Box, target: Box, k: int, ends: tuple[int, int],
                    ) -> tuple[list[Point], Places]:
        """Out sideways, along a track under the target's row, and up."""
        forward = 1 if edge.delay > 0 else -1
        lane, first = self.lane[self.entries[edge].group]
        y = self.rows.track(lane, first + k % abs(edge.delay))
        x = self._slot(edge, ends[0], 0)
        folded = self.columns[ends[1]].folded
        end = (target.x, target.bottom) if folded else self.rows.at_foot(edge, target)
        start = (source.right if forward > 0 else source.left, source.y)
        if any(other.source is edge.source and not self.entries[other].foot for other in self.entries):
            start = start[0], start[1] - min(7.0, source.height / 2 - 5)
        places = [((end[0] + 4 * side, end[1] - 9), side > 0) for side in (-forward, forward)]
        return rounded([start, (x, start[1]), (x, y), (end[0], y), end]), places

    def _slot(self, edge: Edge, column: int, arriving: int) -> float:
        """Where an arrow goes up or down beside the column that it leaves, or arrives at."""
        number = self.slot[self.entries[edge].group] + arriving
        inward = SLOT + number * min(SLOT, (self.gap - 2 * SLOT) / max(self.slots - 1, 1))
        after = (edge.delay > 0) != bool(arriving)
        if not arriving:
            return self.columns[column].right + inward if after else self.columns[column].left - inward
        return self.columns[column].left - self.gap + inward if edge.delay > 0 else (
            self.columns[column].right + self.gap - inward)

    # ---- around
    def _loss_sources(self) -> list[tuple[Box, float]]:
        """The boxes that the loss reads, each with where its arrow passes the rows above."""
        found: dict[str, tuple[Box, float]] = {}
        for part, k in self.users:
            box = self._end(part, k)
            if box is not None and box.key not in found:
                middle = self.columns[self.column_of[k]].x
                found[box.key] = box, middle + self.rows.past(part, self.rows.places[part].x)
        return sorted(found.values(), key=_left)

    def write_title(self) -> None:
        """The name above everything, and where the first NaN is."""
        left, _, right, top = self.scene.bounds(0)
        title = f"{clean(self.run.cell.name, 60)}, unrolled, T = {self.run.T}"
        folded = sum(len(column.steps) for column in self.columns if column.folded)
        if folded:
            title += f": {folded} steps folded"
        self.scene.texts.append(Text((left + right) / 2, top + 26, title, 14))
        if self.bad:
            first = min(self.bad, key=self._age)
            what = "NaN" if np.isnan(self.run[first.signal][first.t].numpy()).any() else "Inf"
            text = f"{what} in {len(self.bad)} boxes; the first is {clean(first.signal)}({first.t})"
            self.scene.texts.append(Text((left + right) / 2, top + 48, text, 12, palette.ALARM))

    def _age(self, at: At) -> int:
        return self.run[at.signal][at.t].order


def _left(pair: tuple[Box, float]) -> tuple[float, float]:
    return pair[0].x, pair[0].y
