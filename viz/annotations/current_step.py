"""One step of a backward pass, marked in an unrolled picture: whose turn it is, and what is known so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minigrad import Tensor
from minigrad.steps import Step
from viz.layout.copies import Copies
from viz.layout.step_graph import Part
from viz.render import palette
from viz.render.fonts import clean
from viz.render.palette import Paint
from viz.render.scene import Arrow, Box, Point, Scene, Text

BESIDE = 7.0  # from an arrow to the gradient that goes back along it
LOSS = "loss"


def mark_step(scene: Scene, copies: Copies, boxes: Mapping[tuple[Part, int], Box], step: Step) -> None:
    """Outline the box of a step's tensor; draw gradients that are computed beside the arrows that they go back on.

    Raises:
        ValueError: where the step's tensor stands nowhere in the picture.
    """
    drawn = [(tensor, part, boxes[part, k].key) for part, steps in copies.items() for k, tensor in steps.items()
             if tensor is not None and (part, k) in boxes]
    made = {tensor: key for tensor, _, key in drawn}  # a signal's tensor: its last operation, where that is drawn
    made.update((tensor, key) for tensor, part, key in drawn if part.node is not None)
    read = {**made, **{tensor: key for tensor, part, key in drawn if part.node is None}}
    whole = {(part.signal.name, k): box.key for (part, k), box in boxes.items() if part.node is None}
    call_site = _box_of(step.node, made, whole)
    known = {box.key: box for box in scene.boxes}
    if call_site not in known:
        raise ValueError(f"step={step!r} has no box in this picture: give the loss too, and draw its time step")
    box = known[call_site]
    box.paint, box.pen = Paint(palette.BACKWARD, box.paint.fill), 4.0
    passed = _passed(step, made, read, whole)
    scene.arrows += [gradient_arrow(arrow) for arrow in scene.arrows if (arrow.source, arrow.target) in passed]
    left, _, right, top = scene.bounds(0)
    what = clean(f"{type(step.op).__name__.lower()} in {step.node.label or step.signal or LOSS}")
    text = f"backward: step {step.number} of {len(step.steps)}, {what}"
    scene.texts.append(Text((left + right) / 2, top + 16, text, 12, palette.BACKWARD))


def _box_of(node: Tensor, keys: Mapping[Tensor, str], whole: Mapping[tuple[str, int], str]) -> str:
    """The box of a tensor; of one that isn't drawn, that of the signal whose equation it stands in, or the loss."""
    if node in keys:
        return keys[node]
    return LOSS if node.signal is None else whole.get((node.signal, node.t or 0), "")


def _passed(step: Step, made: Mapping[Tensor, str], read: Mapping[Tensor, str],
            whole: Mapping[tuple[str, int], str]) -> set[tuple[str, str]]:
    """The arrows, by the keys of their boxes, along which a gradient has come back by now."""
    found = set()
    for done in step.steps[:step.number]:
        for x, share in zip(done.node.inputs, done.input_grads):
            if share is not None:
                found.add((_box_of(x, read, whole), _box_of(done.node, made, whole)))
        if done.grad is not None and done.node in made:
            found.add((made[done.node], read[done.node]))  # from a signal to its last operation
    return found


def gradient_arrow(arrow: Arrow) -> Arrow:
    """Return the arrow of a gradient beside an arrow, reversed; it ends on the same sides of the boxes."""
    (x0, y0), (x3, y3) = arrow.points[0], arrow.points[-1]
    aside = BESIDE if (x3 - x0) * (y3 - y0) > 0 else -BESIDE  # of a steep part of a sideways arrow
    dx, dy = BESIDE, -BESIDE
    points: list[Point] = [(x + dx, y + dy) for x, y in arrow.points]
    for end, near in ((0, 1), (-1, -2)):
        (x, y), (x1, y1) = arrow.points[end], arrow.points[near]
        x_too, y_too = (0.0, dy) if abs(y1 - y) < abs(x1 - x) else (dx, 0.0)
        points[end], points[near] = (x + x_too, y + y_too), (x1 + (x_too or aside), y1 + y_too)
    flat = all(abs(y - arrow.points[0][1]) < 0.1 for _, y in arrow.points)
    upright = all(abs(x - arrow.points[0][0]) < 0.1 for x, _ in arrow.points)
    if flat or upright:
        points = [(x + (0 if flat else dx), y + (dy if flat else 0)) for x, y in arrow.points]
    return replace(arrow, points=points[::-1], color=palette.BACKWARD, pen=2.0, label=None, dashed=False,
                   tooltip=f"gradient: {arrow.tooltip}")
