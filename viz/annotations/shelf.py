"""The list of parameters on the right of an unrolled picture, with their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Scene, round_corners, text_beside

from .heat import Norm
from .labels import describe

PITCH = 31.0  # from parameter to parameter
AISLE = 44.0  # from the steps to the list
TRACK = 8.0  # between arrows that run upward there


def add_parameters(scene: Scene, spec: UnrolledSpec, sizes: Mapping[str, Norm], middle: float) -> None:
    """Add the list of parameters on the right: name, shape and the norm of the gradient, in their colours."""
    if not spec.parameters:
        return
    left = scene.bounds(0)[2] + AISLE
    y = middle + len(spec.parameters) / 2 * PITCH
    scene.texts.append(text_beside(left, y + 10, "parameters (shared by all steps)", 11, palette.QUIET))
    positions = {name: position for position, name in enumerate(spec.graph.colors)}
    for number, (name, tensor) in enumerate(spec.parameters.items()):
        known = f"   {sizes[name].line}" if name in sizes else ""
        text = f"{clean(name.removeprefix(spec.graph.prefix))}  {tensor.shape}{known}"
        width = text_width(text, 11) * CORNER + 18
        scene.boxes.append(Box(f"p{number}", left + width / 2, y - 16 - PITCH * number, width, 23, text,
                               palette.parameter_paint(positions[name], palette.SHELF), rounded=False, pen=1.8, size=11,
                               tooltip=f"{clean(name)} {describe(tensor, sizes.get(name, Norm(None)))}"))


def add_loss_terms(scene: Scene, names: Sequence[str], parameters: Sequence[str]) -> None:
    """Add an arrow to the loss from each of some parameters that it reads directly, up beside their list."""
    boxes = {box.key: box for box in scene.boxes}
    loss = boxes["loss"]
    apart = min(TRACK, (loss.height - 8) / max(len(names) - 1, 1))
    for number, name in enumerate(names):
        source = boxes[f"p{parameters.index(name)}"]
        x = source.left - 10 - min(TRACK, (AISLE - 20) / len(names)) * number
        end = loss.side(loss.y + ((len(names) - 1) / 2 - number) * apart, 1)
        points = round_corners([source.side(source.y, -1), (x, source.y), (x, end[1]), end], 6)
        scene.arrows.append(Arrow(source.key, loss.key, points, palette.LOSS.line, 1.2,
                                  tooltip=f"{clean(name)} → {loss.label}"))
