"""The list of parameters on the right of an unrolled picture, with their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minigrad import Tensor
from viz.layout.levels import parameter_rows
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Scene, round_corners, text_beside

from .heat import Norm, joint
from .labels import describe

PITCH = 31.0  # from parameter to parameter
AISLE = 44.0  # from the steps to the list
TRACK = 8.0  # between arrows that run upward there


def add_parameters(scene: Scene, spec: UnrolledSpec, sizes: Mapping[str, Norm], middle: float) -> None:
    """Add the list of parameters on the right: name, shape and the norm of the gradient, in their colours."""
    if not spec.parameters:
        return
    left = scene.bounds(0)[2] + AISLE
    rows = parameter_rows(spec.graph.shelf, spec.parameters)
    y = middle + len(rows) / 2 * PITCH
    scene.texts.append(text_beside(left, y + 10, "parameters (shared by all steps)", 11, palette.QUIET))
    positions = {name: position for position, name in enumerate(spec.graph.colors)}
    for number, (layer, names) in enumerate(rows):
        tensors = [spec.parameters[name] for name in names]
        size = joint([sizes[name] for name in names if name in sizes]) if sizes else None
        text = f"{clean(names[0].removeprefix(spec.graph.prefix))}  {tensors[0].shape}"
        paint = palette.parameter_paint(positions[names[0]], palette.SHELF)
        if layer:
            text = f"{layer}  {sum(x.size for x in tensors):,} numbers"
            paint = palette.Paint(palette.QUIET, palette.SHELF)
        if size is not None:
            text = f"{text}   {size.line}"
        width = text_width(text, 11) * CORNER + 18
        about = [f"{clean(name)} {describe(x, sizes.get(name, Norm(None)))}" for name, x in zip(names, tensors)]
        scene.boxes.append(Box(f"p{number}", left + width / 2, y - 16 - PITCH * number, width, 23, text,
                               paint, rounded=False, pen=1.8, size=11, tooltip="; ".join(about)))


def parameter_keys(spec: UnrolledSpec) -> dict[str, str]:
    """Return the key of the box in which each parameter is listed."""
    rows = parameter_rows(spec.graph.shelf, spec.parameters)
    return {name: f"p{number}" for number, (_, names) in enumerate(rows) for name in names}


def listed_parameters(spec: UnrolledSpec) -> dict[str, list[Tensor]]:
    """Return the parameters of each box of the list, by its key."""
    found: dict[str, list[Tensor]] = {}
    for name, key in parameter_keys(spec).items():
        found.setdefault(key, []).append(spec.parameters[name])
    return found


def add_loss_terms(scene: Scene, names: Sequence[str], keys: Mapping[str, str]) -> None:
    """Add an arrow to the loss from each of some parameters that it reads directly, up beside their list.

    Args:
        keys: of the box in which each parameter is listed.
    """
    boxes = {box.key: box for box in scene.boxes}
    loss = boxes["loss"]
    read: dict[str, list[str]] = {}
    for name in names:
        read.setdefault(keys[name], []).append(name)
    apart = min(TRACK, (loss.height - 8) / max(len(read) - 1, 1))
    for number, (key, own) in enumerate(read.items()):
        source = boxes[key]
        x = source.left - 10 - min(TRACK, (AISLE - 20) / len(read)) * number
        end = loss.side(loss.y + ((len(read) - 1) / 2 - number) * apart, 1)
        points = round_corners([source.side(source.y, -1), (x, source.y), (x, end[1]), end], 6)
        scene.arrows.append(Arrow(source.key, loss.key, points, palette.LOSS.line, 1.2,
                                  tooltip=f"{', '.join(map(clean, own))} → {loss.label}"))
