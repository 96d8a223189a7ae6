"""What stands around the steps of an unrolled picture: the loss above, the parameters on their shelf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigrad import Tensor
from rnn import Run
from viz.layout.copies import Copies
from viz.layout.step_graph import Part
from viz.layout.step_layout import HEIGHT
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.palette import Paint
from viz.render.scene import CORNER, Arrow, Box, Scene, beside, joined, straight, upright

from .heat import norm
from .labels import Notes, described


def sources_of(run: Run, copies: Copies, loss: Tensor) -> set[tuple[Part, int]]:
    """The copies of a run that a loss was computed from directly.

    Raises:
        ValueError: where there are none, or nothing was recorded.
    """
    known = {tensor: (part, k) for part, steps in copies.items() if part.node is None
             for k, tensor in steps.items() if tensor is not None}
    found: set[tuple[Part, int]] = set()
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
    if found:
        return found
    name = next(part.signal.name for part in reversed(copies) if part.node is None)
    if loss.op is None and not loss.requires_grad:
        raise ValueError(f"{loss!r} doesn't remember what it was computed from (under no_grad, or from values that "
                         "require no gradient), so it can't be drawn above the run: compute it outside no_grad")
    raise ValueError(f"{loss!r} wasn't computed from this run, so it can't be drawn above it: form it from "
                     f"run[...], e.g. run[{name!r}].stack()")


def add_loss(scene: Scene, loss: Tensor, sources: Sequence[tuple[Box, float]], top: float, notes: Notes) -> None:
    """The loss above, with an arrow from every box that it reads, past the rows above that."""
    text = clean(loss.name or "loss")
    label = f"{text} = {loss.item():.3g}" if notes.shown.values and loss.size == 1 else text
    bad = not np.isfinite(loss.numpy()).all()
    width = max(text_width(label, 12) * CORNER + 34, 16.0 * (len(sources) + 1))
    x = sum(source.x for source, _ in sources) / len(sources)
    paint = palette.BAD if bad else palette.LOSS
    if notes.scale is not None and not bad:
        paint = Paint(paint.line, notes.scale.fill(norm(loss)))
    box = Box("loss", x, top + 72, width, HEIGHT, label, paint, pen=2.4 if bad else 1.4,
              tooltip=f"{text} {described(loss)}")
    scene.boxes.append(box)
    apart = (width - 24) / max(len(sources) - 1, 1)
    for number, (source, lane) in enumerate(sources):
        end = (x + (number - (len(sources) - 1) / 2) * apart, box.bottom)
        points = upright((lane, top), end)
        if abs(lane - source.x) < 0.1:
            points = joined(straight((source.x, source.top), (lane, top)), points) if source.top < top - 1 else (
                upright((source.x, source.top), end))
        else:
            points = joined(upright((source.x, source.top), (lane, source.top + 18)),
                            straight((lane, source.top + 18), (lane, top)), points)
        scene.arrows.append(Arrow(source.key, box.key, points, palette.LOSS.line, 1.2,
                                  tooltip=f"{source.label} → {text}".replace("\n", " ")))


def add_shelf(scene: Scene, run: Run, colors: Mapping[str, str], middle: float) -> None:
    """The parameters, once, in their colours: name, shape and the norm of the gradient."""
    if not run.parameters:
        return
    left = scene.bounds(0)[2] + 44
    y = middle + len(run.parameters) / 2 * 31
    scene.texts.append(beside(left, y + 10, "parameters (shared by all steps)", 11, palette.QUIET))
    for number, (name, tensor) in enumerate(run.parameters.items()):
        size = "|g| not computed" if tensor.grad is None else f"|g| {np.linalg.norm(tensor.grad):.1e}"
        text = f"{clean(name)}  {tensor.shape}   {size}"
        width = text_width(text, 11) * CORNER + 18
        scene.boxes.append(Box(f"p{number}", left + width / 2, y - 16 - 31 * number, width, 23, text,
                               Paint(colors[name], palette.SHELF), rounded=False, pen=1.8, size=11,
                               tooltip=f"{clean(name)} {described(tensor)}"))
