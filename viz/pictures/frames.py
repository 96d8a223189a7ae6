"""The frames of an animation as scenes that differ in colours, numbers and arrows alone.

All boxes, texts and frames are where they are in one picture, in which each box is as wide as the widest label that it
gets. Corners at the same two points give all frames one size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest
from typing import NamedTuple

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.formats.describe import tensor_name
from minigrad.steps import Step, Steps
from rnn import Run
from viz.annotations.current_step import BoxKeys, mark_step
from viz.annotations.heat import Scale
from viz.annotations.labels import BoxLabels
from viz.layout.unrolled_layout import UnrolledLayout, UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import Rectangle, Scene, Text

from .unrolled_drawing import UnrolledDrawing, keys_of_once

CAPTION = 30.0  # from a picture to the caption under it


class Frame(NamedTuple):
    """A frame: after `number` steps of a backward pass, or of an unroll."""

    number: int
    caption: str
    scene: Scene


# ---- an unroll
def unrolling(drawing: UnrolledDrawing, every: int, most: int) -> list[Frame]:
    """Return the values before the first step, then `every` more time steps in each frame.

    Raises:
        ValueError: for more than `most` frames.
    """
    spec = drawing.spec
    drawing.add_title()
    columns = drawing.layout.columns
    outside = sum(column.k < 1 for column in columns)
    inside = sum(1 <= column.k <= spec.T for column in columns)
    stops = [*range(every, inside, every), inside]
    _check_number(len(stops) + 1, most, -(-inside // max(most - 1, 1)))
    frames = [Frame(0, "before the first step", _first_columns(drawing, outside))]
    for stop in stops:
        k = columns[outside + stop - 1].steps[-1]
        scene = _first_columns(drawing, outside + stop if stop < inside else len(columns))
        frames.append(Frame(k, f"unrolled to t = {k} of {spec.T}", scene))
    return _finished(frames, drawing.scene)


def _first_columns(drawing: UnrolledDrawing, count: int) -> Scene:
    """Return the part of a picture that belongs to its first columns, or to none."""
    scene, layout = drawing.scene, drawing.layout
    first = {column.k for column in layout.columns[:count]}
    inside = [column for column in layout.columns if 1 <= column.k <= drawing.spec.T]
    later = {box.key for (_, k), box in drawing.boxes.items() if layout.column(k).k not in first}
    hidden = [text for text in scene.texts if any(
        left < text.x < right and foot < text.y < top for left, foot, right, top in _later_places(drawing, first))]
    hidden += [mark.text for mark in drawing.rows.marks if mark.k not in first] if drawing.rows else []
    return Scene(scene.name, [box for box in scene.boxes if box.key not in later],
                 [arrow for arrow in scene.arrows if later.isdisjoint((arrow.source, arrow.target))],
                 [frame for frame, column in zip(scene.frames, inside) if column.k in first],
                 [text for text in scene.texts if not any(text is other for other in hidden)])


def _later_places(drawing: UnrolledDrawing, first: Collection[int]) -> Iterator[Rectangle]:
    """Yield for each row the place of the columns that are not among the first ones."""
    layout, rows = drawing.layout, drawing.rows
    for number, columns in enumerate(rows.rows if rows else [layout.columns]):
        dy = rows.shift[number][1] if rows else 0.0
        shown = [column.right for column in columns if column.k in first]
        yield shown[-1] if shown else columns[0].left, layout.foot + dy, columns[-1].right, layout.top + dy


def _check_number(frames: int, most: int, every: int) -> None:
    if frames > most:
        raise ValueError(f"the animation would have {frames} frames, more than most={most}: take several steps for "
                         f"each, e.g. every={every}, or draw fewer time steps, steps=[...]")


# ---- a backward pass
def backward_pass(run: Run, loss: Tensor, spec: UnrolledSpec, every: int | None, most: int) -> list[Frame]:
    """Return the picture before a backward pass, after some of its steps, and after all; every `.grad` is restored.

    Args:
        every: the steps from one frame to the next; None: those of one box.
        most: the largest number of frames.

    Raises:
        ValueError: for too many frames; and any error of `loss.backward()`.
    """
    before = {x: x.grad for x in ancestors(loss)}
    try:
        steps = loss.backward_steps()
        stops = _Marks(run, UnrolledDrawing(spec).draw()).stops(steps, every)
        _check_number(len(stops) + 2, most, -(-len(steps) // max(most - 2, 1)))
        for step in steps:
            step.run()
    finally:
        for x, grad in before.items():
            x.grad = grad
    first = loss.backward_steps()[0]  # which hasn't run: no gradient is known
    shown = [first, *(steps[stop - 1] for stop in stops), steps[-1]]
    return _draw_pass(run, [replace(spec, step=step) for step in shown], steps, stops)


def _draw_pass(run: Run, specs: Sequence[UnrolledSpec], steps: Steps, stops: Sequence[int]) -> list[Frame]:
    """Return a frame for each description: before the pass, after each stop, after all steps."""
    room = _Room([UnrolledDrawing(spec).labels for spec in specs])
    drawings = [_RoomyDrawing(spec, room).draw() for spec in specs]
    widest = _with_widest_boxes(drawings)
    widest.spec = replace(widest.spec, step=None)  # each frame has a caption of its own
    widest.add_title()
    marks = _Marks(run, widest)
    if stops:
        marks.move_names(steps[stops[-1] - 1])
    scenes = [_with_looks(widest.scene, drawing.scene) for drawing in drawings]
    frames = [Frame(0, "before the backward pass", scenes[0])]
    for start, stop, scene in zip([0, *stops], stops, scenes[1:]):
        marks.mark(scene, steps[stop - 1])
        frames.append(Frame(stop, marks.caption(steps, start, stop), scene))
    if stops:
        marks.mark(scenes[-1], steps[stops[-1] - 1], outline=False)
    frames.append(Frame(len(steps), f"after the backward pass: {len(steps)} steps", scenes[-1]))
    return _finished(frames, widest.scene)


def _with_widest_boxes(drawings: Sequence[UnrolledDrawing]) -> UnrolledDrawing:
    """Return the widest drawing, each of its boxes as wide as in any.

    Those of parameters differ in width; their names stay in place, since they begin at the left side.
    """
    widest = max(drawings, key=lambda drawing: drawing.scene.bounds(0)[2])
    same = zip(*(drawing.scene.boxes for drawing in drawings))
    for box, boxes in zip(widest.scene.boxes, list(same)):
        left, width = box.left, max(other.width for other in boxes)
        if box.key.startswith("p"):
            box.x, box.anchor = left + width / 2, -1
        box.width = width
    return widest


class _Room:
    """The room for the widest label of each box, and one scale of colours for all frames."""

    def __init__(self, labels: Sequence[BoxLabels]) -> None:
        self.texts = {where: _widest(each.text[where] for each in labels) for where in labels[0].text}
        self.beside = {part: _widest(each.beside[part] for each in labels) for part in labels[0].beside}
        self.scale = Scale(size for each in labels for size in each.norms) if labels[0].scale else None


def _widest(labels: Iterable[str]) -> str:
    """Return a label with the most lines of some labels, each as long as the longest of them."""
    lines = zip_longest(*(label.split("\n") for label in labels), fillvalue="")
    return "\n".join(max(texts, key=lambda text: text_width(text, 10)) for texts in lines)


class _RoomyDrawing(UnrolledDrawing):
    """A picture whose boxes have room for the labels of all frames."""

    def __init__(self, spec: UnrolledSpec, room: _Room) -> None:
        super().__init__(spec)
        self.labels.scale = room.scale
        self.layout = UnrolledLayout(spec, self.layout.columns, room.texts, room.beside)


def _with_looks(scene: Scene, other: Scene) -> Scene:
    """Return a scene whose boxes and arrows are where they are in one, and tell the gradients of the other."""
    looks = {box.key: box for box in other.boxes}
    boxes = []
    for box in scene.boxes:
        look = looks.get(box.key, box)
        boxes.append(replace(look, x=box.x, y=box.y, width=box.width, height=box.height, anchor=box.anchor))
    arrows = [replace(arrow, tooltip=look.tooltip) for arrow, look in zip(scene.arrows, other.arrows)]
    return Scene(scene.name, boxes, arrows, list(scene.frames), list(scene.texts))


class _Marks:
    """The steps of a backward pass in a picture."""

    def __init__(self, run: Run, drawing: UnrolledDrawing) -> None:
        self.drawing = drawing
        self.once = keys_of_once(run, drawing)
        self.places = drawing.places()

    def mark(self, scene: Scene, step: Step, outline: bool = True) -> None:
        """Add the arrows of the gradients up to a step, and outline its box."""
        boxes = {box.key: replace(box) for box in scene.boxes}
        mark_step(scene, *self.places, step, self.once)
        if not outline:
            scene.boxes = [boxes[box.key] for box in scene.boxes]

    def move_names(self, step: Step) -> None:
        """Move the names aside that the gradients up to a step would cover, so that all frames have them there."""
        boxes, arrows = [replace(box) for box in self.drawing.scene.boxes], list(self.drawing.scene.arrows)
        mark_step(Scene("", boxes, arrows), *self.places, step, self.once)

    def stops(self, steps: Sequence[Step], every: int | None) -> list[int]:
        """Return the numbers of the steps after which there is a frame: the last of each box, or of `every` steps."""
        found = BoxKeys(self.drawing.spec.recorded, self.drawing.boxes, self.once)  # the first step of a fold alone
        keys = [found.find(step.node) for step in steps]
        known = {box.key for box in self.drawing.scene.boxes}
        drawn = [number for number, key in enumerate(keys, 1) if key in known]
        if every is not None:
            groups = [list(group) for _, group in groupby(drawn, lambda number: (number - 1) // every)]
        else:
            groups = [list(group) for _, group in groupby(drawn, lambda number: keys[number - 1])]
        return [group[-1] for group in groups]

    def caption(self, steps: Sequence[Step], start: int, stop: int) -> str:
        """Return the text under the frame of some steps: their numbers, and the box of the last one."""
        node, layout = steps[stop - 1].node, self.drawing.layout
        if self.drawing.spec.dense:
            name = tensor_name(node)
        elif node.signal is None or node.t is None:
            places = {box.key: f"{part.signal}[{k}]" for (part, k), box in self.drawing.boxes.items()}
            name = places.get(self.once.get(node, ""), steps[0].name or "loss")
        else:
            column = layout.column(node.t) if node.t in layout else None
            last = f" … {column.steps[-1]}" if column and column.folded else ""
            name = f"{node.signal}[{node.t}{last}]"
        number = f"step {stop}" if stop - start == 1 else f"steps {start + 1} … {stop}"
        return f"backward: {number} of {len(steps)}, {clean(name, 40)}"


# ---- all frames
def _finished(frames: Sequence[Frame], scene: Scene) -> list[Frame]:
    """Return the frames with their captions, and of one size."""
    columns = [x for frame in scene.frames for x in (frame.left, frame.right)]
    x, y = (min(columns) + max(columns)) / 2, scene.bounds(0)[1] - CAPTION
    for frame in frames:
        frame.scene.texts.append(Text(x, y, frame.caption, 13, palette.BACKWARD))
    left, bottom, right, top = zip(*(frame.scene.bounds() for frame in frames))
    corners = [Text(min(left), min(bottom), ""), Text(max(right), max(top), "")]
    for frame in frames:
        frame.scene.texts += corners
    return list(frames)
