"""One step of a backward pass, marked in an unrolled picture, with the gradients computed so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minigrad import Tensor
from minigrad.steps import Step
from rnn.unrolling.run_key import RunKey, run_key
from viz.layout.folding import Tensors, Where
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Arrow, Box, Point, Scene, Text, sample_curve

BESIDE = 7.0  # from an arrow to the gradient's
LOSS = "loss"


def mark_step(scene: Scene, tensors: Tensors, boxes: Mapping[Where, Box], step: Step,
              once: Mapping[Tensor, str] | None = None) -> None:
    """Outline the box of a step's tensor, and add an arrow for every gradient that was computed.

    Args:
        tensors, boxes: those of the time steps, and of what is computed once.
        once: the box in which the step of any other tensor is marked; that of each parameter that the loss reads.

    Raises:
        ValueError: if the step's tensor is not in the picture.
    """
    keys = BoxKeys(tensors, boxes, once or {})
    key = keys.find(step.node)
    box = next((box for box in scene.boxes if box.key == key), None)
    if box is None:
        raise ValueError(f"step={step!r} has no box in this picture: give the loss too, and draw its time step")
    box.paint, box.pen = palette.Paint(palette.BACKWARD, box.paint.fill), 4.0
    passed = keys.passed(step) if scene.arrows else set()
    for arrow in [arrow for arrow in scene.arrows if (arrow.source, arrow.target) in passed]:
        back = gradient_arrow(arrow)
        scene.arrows.append(back)
        if arrow.label is not None and _covers(back, arrow.label):
            arrow.label = replace(arrow.label, x=arrow.label.x + BESIDE + 2)


def _covers(arrow: Arrow, label: Text) -> bool:
    """Whether an arrow passes over a label, or touches it on its left."""
    left, bottom, right, top = label.rectangle
    return any(left - 2 < x < right and bottom < y < top for x, y in sample_curve(arrow.points))


def step_caption(step: Step) -> str:
    """Return `backward: step 9 of 21, matvec in h[3]`."""
    place = step.node.label or LOSS
    if step.signal is not None and step.t is not None:
        place = f"{step.signal}[{step.t}]"
    return clean(f"backward: step {step.number} of {len(step.steps)}, {type(step.op).__name__.lower()} in {place}", 90)


class BoxKeys:
    """The keys of the boxes of tensors.

    At the level of operations a signal's tensor has two boxes: that of its last operation, in which it is
    computed, and that of the signal, from which it is read.
    """

    def __init__(self, tensors: Tensors, boxes: Mapping[Where, Box], once: Mapping[Tensor, str]) -> None:
        drawn = [(tensor, part, boxes[part, k].key) for part, steps in tensors.items() for k, tensor in steps.items()
                 if tensor is not None and (part, k) in boxes]
        signals = {tensor: key for tensor, part, key in drawn if part.node is None}
        leaves = {tensor: key for tensor, key in once.items() if tensor.op is None}
        self.computed = {**leaves, **signals, **{tensor: key for tensor, part, key in drawn if part.node is not None}}
        self.read = {**self.computed, **signals}
        self.places = {**once, **self.computed}
        self.signals = {(_run_of(tensors[part].get(k)), part.signal, k): box.key
                        for (part, k), box in boxes.items() if part.node is None}

    def find(self, node: Tensor) -> str:
        """Return a tensor's box; without one, that of the signal whose equation contains it, or of the loss."""
        if node in self.places:
            return self.places[node]
        return LOSS if node.signal is None else self.signals.get((_run_of(node), node.signal, node.t or 0), "")

    def passed(self, step: Step) -> set[tuple[str, str]]:
        """Return the arrows, by the keys of their boxes, along which a gradient has passed.

        What has no box, as an operation at the level of signals or a signal in a fold, belongs to all boxes that are
        computed from it.
        """
        found: set[tuple[str, str]] = set()
        users: dict[Tensor, set[str]] = {step.steps.out: {self.find(step.steps.out)}}
        for done in step.steps[:step.number]:
            if done.grad is None:
                continue
            own = self._own(done.node, self.computed)
            ends = users.pop(done.node, set()) if own is None else {own}
            for x, grad in zip(done.node.inputs, done.input_grads):
                source = self._own(x, self.read)
                if grad is not None and source is None:
                    users.setdefault(x, set()).update(ends)
                elif grad is not None and source is not None:
                    found.update((source, end) for end in ends)
            if done.node in self.computed:
                found.add((self.computed[done.node], self.read[done.node]))  # from a signal to its last operation
        return found

    def _own(self, x: Tensor, keys: Mapping[Tensor, str]) -> str | None:
        """Return the box of a tensor or, of a window's copy of a signal, that of the signal; None without one."""
        if x not in keys and x.signal is not None and x.name == x.signal:
            return self.signals.get((_run_of(x), x.signal, x.t or 0))
        return keys.get(x)


def _run_of(tensor: Tensor | None) -> RunKey | None:
    return None if tensor is None else run_key(tensor)


def gradient_arrow(arrow: Arrow) -> Arrow:
    """Return the arrow of a gradient beside an arrow, reversed; it ends on the same sides of the boxes."""
    (x0, y0), (x3, y3) = arrow.points[0], arrow.points[-1]
    aside = BESIDE if (x3 - x0) * (y3 - y0) > 0 else -BESIDE  # of a steep part of a sideways arrow
    dx, dy = BESIDE, -BESIDE
    points: list[Point] = [(x + dx, y + dy) for x, y in arrow.points]
    for end, near in ((0, 1), (-1, -2)):
        (x, y), (x1, y1) = arrow.points[end], arrow.points[near]
        x_shift, y_shift = (0.0, dy) if abs(y1 - y) < abs(x1 - x) else (dx, 0.0)
        x_near = x_shift or (aside if (x1 + aside - x) * (x1 - x) > 0 else 0.0)  # a short piece keeps its direction
        points[end], points[near] = (x + x_shift, y + y_shift), (x1 + x_near, y1 + y_shift)
    flat = all(abs(y - y0) < 0.1 for _, y in arrow.points)
    upright = all(abs(x - x0) < 0.1 for x, _ in arrow.points)
    if flat or upright:
        points = [(x + (0 if flat else dx), y + (dy if flat else 0)) for x, y in arrow.points]
    return replace(arrow, points=points[::-1], color=palette.BACKWARD, pen=2.0, label=None, dashed=False,
                   tooltip=f"gradient: {arrow.tooltip}")
