"""A run as a picture: one frame a time step, time to the right, layers upward.

The colours and the order of rows are those of the rolled picture. Long runs are folded: the first
three steps, what lies between as one frame, the last three.
"""

from __future__ import annotations

import numpy as np

from minigrad import Tensor
from rnn import Run, Signal
from rnn.analysis import Link
from rnn.run import At

from . import palette
from .dot import Picture, picture
from .fonts import clean, text_width
from .palette import Paint
from .rows import HEIGHT, MARGIN, Rows, port
from .scene import CORNER, Arrow, Box, Frame, Point, Scene, Text, beside, climb, joined, sideways, straight, upright

PITCH = 66.0  # from row to row
INSIDE = 20.0  # from a frame to the boxes in it
GAP = 30.0  # from frame to frame
FOOT = 46.0  # from the lowest row's middle to the frame's foot
UNFOLDED = 12  # steps at most that are drawn one by one
ENDS = 3  # steps kept at each end of a folded run
MANY = 400  # frames at most
Places = list[tuple[Point, bool]]  # for a label: where it begins, or (False) ends


def unrolled(run: Run, loss: Tensor | None = None, fold: bool = True) -> Picture:
    """Draw a run: every copy of every signal, and the edges between them.

    Args:
        run: an unrolled definition.
        loss: what was computed from the run; it is drawn above the steps.
        fold: draw of more than twelve steps only the first and the last three.

    Raises:
        ValueError: where the loss wasn't computed from this run; where there are too many steps.
    """
    if run.T > MANY and not fold:
        raise ValueError(f"a picture of {run.T} steps can't be read: draw it with fold=True, "
                         f"or unroll at most {MANY} steps")
    return picture(_Unrolled(run, loss, fold and run.T > UNFOLDED).scene)


class _Unrolled:
    """The scene of one run."""

    def __init__(self, run: Run, loss: Tensor | None, folded: bool) -> None:
        self.run = run
        self.folded = range(ENDS + 1, run.T - ENDS + 1) if folded else range(0)
        self.scene = Scene(clean(run.cell.name, 60))
        self.signals = list(run.cell.signals.values())
        self.copies = {signal: run[signal.name].tensors for signal in self.signals if signal.name in run}
        self.labels = {(signal, k): self._label(signal, k) for signal, copies in self.copies.items()
                       for k in copies if k not in self.folded}
        self.rows = Rows(run.cell, {signal: [f"{clean(signal.name)}({k})" for k in copies]
                                    for signal, copies in self.copies.items()})
        # Arrows over several steps pass between the rows, and need room there.
        self.pitch = PITCH if all(abs(link.delay) < 2 for link in self.rows.links) else PITCH + 14
        self.bad = [At(signal.name, k) for signal, copies in self.copies.items()
                    for k, tensor in copies.items() if not np.isfinite(tensor.numpy()).all()]
        self.boxes: dict[tuple[Signal, int], Box] = {}
        self.labelled: set[tuple[str, str]] = set()  # (text, box that the arrow leads to)
        self._place_columns()
        self._draw_boxes()
        self._draw_fold()
        for link in self.rows.links:
            self._draw_link(link)
        if loss is not None:
            self._draw_loss(loss)
        self._draw_shelf()
        self._write_title()

    # ---- boxes
    def _label(self, signal: Signal, k: int) -> str:
        """h(3); h(0) = 0 where that was set or assumed."""
        text = f"{clean(signal.name)}({k})".replace("(-", "(−")
        tensor = self.copies[signal][k]
        if self._is_boundary(signal, k):
            value = tensor.inputs[0] if tensor.inputs else tensor
            if value.name and value.t is None:
                text += f" = {clean(value.name, 14)}"
            elif not tensor.requires_grad and not tensor.numpy().any():
                text += " = 0"
        return text

    def _is_boundary(self, signal: Signal, k: int) -> bool:
        """Whether a value was given from outside, before or after what is computed."""
        return not 1 <= k - (signal.equation.lead if signal.equation else 0) <= self.run.T

    def _place_columns(self) -> None:
        """The middle of every time step, of the fold, and of the steps before and after."""
        widest = {bool(delayed): max((text_width(self.rows.label(link)[0], 10) * CORNER for link in self.rows.links
                                      if bool(link.delay) is delayed), default=0.0) for delayed in (False, True)}
        self.half = max(self.rows.width / 2 + INSIDE, widest[False] + 14)
        self.gap = max(GAP, widest[True] + 12 - 2 * INSIDE)
        self.x: dict[int, float] = {}
        self.halves: dict[int, float] = {}  # of each column's width
        right = 0.0
        for k in sorted({k for _, k in self.labels}):
            if self.folded and k == self.folded.stop:
                self.fold_x = right + self.gap + self.half
                right += self.gap + 2 * self.half
            outside = [self._width(signal, k) / 2 + 8 for signal, step in self.labels if step == k]
            self.halves[k] = self.half if 1 <= k <= self.run.T else max(outside)
            self.x[k] = right + self.gap + self.halves[k]
            right = self.x[k] + self.halves[k]

    def _width(self, signal: Signal, k: int) -> float:
        """A value from outside says where it comes from, and is as wide as that needs."""
        needed = text_width(self.labels[signal, k], 12) * CORNER + MARGIN
        return max(self.rows.places[signal].width, needed) if self._is_boundary(signal, k) else \
            self.rows.places[signal].width

    def _draw_boxes(self) -> None:
        """A frame for every step, and in it a box for every copy."""
        top = (self.rows.count - 1) * self.pitch + HEIGHT / 2 + INSIDE
        for k, x in self.x.items():
            if 1 <= k <= self.run.T:
                self.scene.frames.append(Frame(x - self.half, -FOOT, x + self.half, top, f"t = {k}"))
        for number, signal in enumerate(self.rows.places):
            place = self.rows.places[signal]
            for k in self.copies[signal]:
                if k not in self.x:
                    continue
                bad = At(signal.name, k) in self.bad
                paint = palette.BAD if bad else place.paint
                box = Box(f"s{number}_{k}".replace("-", "m"), self.x[k] + place.x, place.row * self.pitch,
                          self._width(signal, k), HEIGHT, self.labels[signal, k], paint,
                          dashed=self._is_boundary(signal, k), pen=2.4 if bad else 1.4,
                          tooltip=f"{signal.name}[{k}] {self.copies[signal][k].shape}")
                self.boxes[signal, k] = box
                self.scene.boxes.append(box)

    def _draw_fold(self) -> None:
        """The steps that are left out, as one frame with a box in the row of each state."""
        if not self.folded:
            return
        top = (self.rows.count - 1) * self.pitch + HEIGHT / 2 + INSIDE
        caption = f"t = {self.folded.start} … {self.folded.stop - 1}"
        self.scene.frames.append(Frame(self.fold_x - self.half, -FOOT, self.fold_x + self.half, top, caption,
                                       palette.FOLD, dashed=True))
        steps = f"× {len(self.folded)} steps"
        for number, (signal, place) in enumerate(self.rows.places.items()):
            if any(link.delay and signal in (link.source, link.target) for link in self.rows.links):
                width = max(place.width, text_width(steps, 10) * CORNER + 10)
                box = Box(f"s{number}_fold", self.fold_x + place.x, place.row * self.pitch, width, HEIGHT + 6,
                          f"⋯\n{steps}", Paint(place.paint.line, palette.FOLD.fill), dashed=True, size=10)
                self.scene.boxes.append(box)
                self.boxes.update({(signal, k): box for k in self.folded})
            else:
                self.scene.texts.append(Text(self.fold_x + place.x, place.row * self.pitch, "⋯", 14, palette.QUIET))

    # ---- edges
    def _draw_link(self, link: Link) -> None:
        """All copies of one edge of the definition; the parameter's name stands at one of them."""
        text, color = self.rows.label(link)
        drawn: set[tuple[str, str]] = set()
        labelled = not text
        lead = link.equation.lead
        last_first = sorted(range(1, self.run.T + 1), reverse=link.delay < 0)
        for k in last_first:
            ends = (link.source, k + lead - link.delay), (link.target, k + lead)
            source, target = self.boxes.get(ends[0]), self.boxes.get(ends[1])
            if source is None or target is None or (source.key, target.key) in drawn:
                continue
            if {at[1] for at in ends} <= set(self.folded):
                continue
            drawn.add((source.key, target.key))
            if link.delay == 0:
                points, labels = self._upward(link, source, target)
            else:
                points, labels = self._across(link, source, target, k)
            label_here = not labelled and not source.dashed and not target.dashed
            labelled = labelled or label_here
            if label_here and (text, target.key) in self.labelled:
                label_here = False
            self.labelled.add((text, target.key))
            stroke, pen = self.rows.color(link)
            self.scene.arrows.append(Arrow(
                source.key, target.key, points, stroke, pen,
                label=self.scene.free([beside(*place, text, 10, color, right) for place, right in labels])
                if label_here else None,
                tooltip=f"{ends[0][0].name}[{ends[0][1]}] → {ends[1][0].name}[{ends[1][1]}]"))

    def _upward(self, link: Link, source: Box, target: Box) -> tuple[list[Point], Places]:
        """Within a step."""
        undelayed = [other for other in self.rows.links if other.delay == 0]
        leaving = self.rows.from_left([other for other in undelayed if other.source is link.source])
        arriving = self.rows.from_left([other for other in undelayed if other.target is link.target])
        start = (source.x + port(link, leaving), source.top)
        end = (target.x + port(link, arriving), target.bottom)
        places = self.rows.places
        middle = source.x - places[link.source].x
        lane = middle + self.rows.lane(places[link.source], places[link.target].row, end[0] - middle)
        points = climb(start, end, lane, self.pitch - HEIGHT)
        gap = (self.pitch - HEIGHT) / 2
        right = start[0] <= end[0]
        # Where the bend is at the top the label stands at the foot.
        heights = [start[1] + gap, end[1] - gap] if abs(lane - end[0]) > 0.1 else [end[1] - gap, start[1] + gap]
        return points, [((lane + (5 if side else -5), y), side) for y in heights for side in (right, not right)]

    def _across(self, link: Link, source: Box, target: Box, k: int) -> tuple[list[Point], Places]:
        """From step to step: straight in a row, as a bend to another row, past the steps between in a lane."""
        forward = 1 if target.x > source.x else -1
        start = (source.right if forward > 0 else source.left, source.y)
        end = (target.left if forward > 0 else target.right, target.y)
        arriving = [other for other in self.rows.links if other.target is link.target and other.delay]
        steps = abs(link.delay)
        if steps == 1 and link.source is link.target:
            return straight(start, end), [(((start[0] + end[0]) / 2 - 8, start[1] + 9), True)]
        rising = target.y - source.y
        spread = port(link, arriving, 7)
        start = (start[0], start[1] + (-7 if rising < 0 else 7))
        end = (end[0], end[1] + (abs(spread) + 6 if rising <= 0 else -abs(spread) - 6))
        if steps == 1:
            points = sideways(start, end)
            middle = (start[1] + end[1]) / 2 + (6 if rising <= 0 else -6)
            return points, [(((start[0] + end[0]) / 2 + 6, middle), True), (((start[0] + end[0]) / 2 - 6, middle), False)]
        lane = target.y + (1 if rising <= 0 else -1) * (HEIGHT / 2 + 8 + 6 * (k % steps))
        out = (self._gap_beside(link.source, source, forward), lane)
        back = (self._gap_beside(link.target, target, -forward), lane)
        points = joined(sideways(start, out), straight(out, back), sideways(back, end))
        return points, [((out[0] + forward * 26, lane + side), True) for side in (8, -8)]

    def _gap_beside(self, signal: Signal, box: Box, side: int) -> float:
        """The middle of the gap to the right (or left) of the step that a box stands in."""
        middle = box.x - self.rows.places[signal].x
        half = next((self.halves[k] for k, x in self.x.items() if abs(x - middle) < 0.1), self.half)
        return middle + side * (half + self.gap / 2)

    # ---- what stands around the steps
    def _draw_loss(self, loss: Tensor) -> None:
        """The loss above, with an arrow from every copy that it was computed from."""
        users = self._sources(loss)
        boxes = sorted({box.key: box for at, box in self.boxes.items() if at in users}.values(), key=lambda b: b.x)
        top = (self.rows.count - 1) * self.pitch + HEIGHT / 2 + INSIDE
        text = clean(loss.name or "loss")
        bad = not np.isfinite(loss.numpy()).all()
        width = max(text_width(text, 12) * CORNER + 34, 16.0 * (len(boxes) + 1))
        x = sum(box.x for box in boxes) / len(boxes)
        box = Box("loss", x, top + 72, width, HEIGHT, text, palette.BAD if bad else palette.LOSS,
                  pen=2.4 if bad else 1.4, tooltip=f"{text} {loss.shape}")
        self.scene.boxes.append(box)
        apart = (width - 24) / max(len(boxes) - 1, 1)
        for number, source in enumerate(boxes):
            end = (x + (number - (len(boxes) - 1) / 2) * apart if len(boxes) > 1 else x, box.bottom)
            points = self._to_loss(source, end, top)
            self.scene.arrows.append(Arrow(source.key, box.key, points, palette.LOSS.line, 1.2,
                                           tooltip=f"{source.tooltip} → {text}"))

    def _to_loss(self, source: Box, end: Point, top: float) -> list[Point]:
        """Up through the rows above, then to the loss."""
        if source.key.endswith("_fold"):
            return upright((source.x, source.top), end)
        signal, k = next(at for at, box in self.boxes.items() if box is source)
        place = self.rows.places[signal]
        lane = self.x[k] + self.rows.lane(place, self.rows.count, place.x)
        points = climb((source.x, source.top), (lane, max(top, source.top)), lane, self.pitch - HEIGHT)
        return joined(points, upright((lane, max(top, source.top)), end))

    def _sources(self, loss: Tensor) -> set[tuple[Signal, int]]:
        """The copies of this run that the loss was computed from directly."""
        known = {tensor: (signal, k) for signal, copies in self.copies.items() for k, tensor in copies.items()}
        found: set[tuple[Signal, int]] = set()
        seen = {loss}
        stack = [loss]
        while stack:
            node = stack.pop()
            if node in known:
                found.add(known[node])
                continue
            fresh = [x for x in node.inputs if x not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        if not found:
            raise ValueError(f"{loss!r} wasn't computed from this run, so it can't be drawn above it: form it from "
                             f"run[...], e.g. run[{self.signals[-1].name!r}].stack()")
        return found

    def _draw_shelf(self) -> None:
        """The parameters, once, in their colours: name, shape and the norm of the gradient."""
        if not self.run.parameters:
            return
        left = self.scene.bounds(0)[2] + 44
        rows = []
        for name, tensor in self.run.parameters.items():
            norm = "|g| not computed" if tensor.grad is None else f"|g| {np.linalg.norm(tensor.grad):.1e}"
            rows.append((name, f"{clean(name)}  {tensor.shape}   {norm}"))
        middle = (self.rows.count - 1) * self.pitch / 2
        y = middle + len(rows) / 2 * 31
        self.scene.texts.append(beside(left, y + 10, "parameters (shared by all steps)", 11, palette.QUIET))
        for number, (name, text) in enumerate(rows):
            width = text_width(text, 11) * CORNER + 18
            self.scene.boxes.append(Box(f"p{number}", left + width / 2, y - 16 - 31 * number, width, 23, text,
                                        Paint(self.rows.colors[name], palette.SHELF), rounded=False, pen=1.8, size=11))

    def _write_title(self) -> None:
        left, _, right, top = self.scene.bounds(0)
        title = f"{clean(self.run.cell.name, 60)}, unrolled, T = {self.run.T}"
        if self.folded:
            title += f": {len(self.folded)} steps folded"
        self.scene.texts.append(Text((left + right) / 2, top + 26, title, 14))
        if self.bad:
            first = min(self.bad, key=lambda at: self.run[at.signal][at.t].order)
            what = "NaN" if np.isnan(self.run[first.signal][first.t].numpy()).any() else "Inf"
            text = f"{what} in {len(self.bad)} boxes; the first is {clean(first.signal)}({first.t})"
            self.scene.texts.append(Text((left + right) / 2, top + 48, text, 12, palette.ALARM))
