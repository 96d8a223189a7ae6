"""What is written in a picture's boxes, and on them: values, gradients, heat, marks, tooltips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minigrad import Tensor
from viz.layout.step_graph import Part
from viz.render import palette
from viz.render.fonts import clean
from viz.render.palette import Paint
from viz.render.scene import Box, Scene, beside

from .heat import Norm, Scale, norm

FEW = 3  # numbers that are written out
Where = tuple[Part, int]


@dataclass
class Shown:
    """What a picture shows besides names."""

    values: bool = False
    heat: bool = False
    highlight: tuple[Tensor, ...] = ()
    contributions: bool = False


class Notes:
    """What is known of each drawn copy.

    Attributes:
        wide: whether boxes hold more than a name.
        scale: of the colours of gradients; None where they aren't shown.
    """

    def __init__(self, shown: Shown, tensors: Mapping[Where, Tensor | None], loss: Tensor | None) -> None:
        self.shown = shown
        self.tensors = tensors
        self.loss = loss
        self.wide = shown.values or shown.heat
        self.scale = Scale([norm(tensor) for tensor in (*tensors.values(), loss)]) if shown.heat else None
        self.marked = set(shown.highlight)
        unknown = self.marked - {tensor for tensor in tensors.values() if tensor is not None} - {loss}
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ValueError(f"highlight= takes tensors that are drawn, e.g. run['h'][2]; not in the picture: {names}")

    def lines(self, part: Part, k: int) -> list[str]:
        """What stands under the name in a signal's box."""
        tensor = self.tensors[part, k]
        if part.node is not None or tensor is None or not self.wide:
            return []
        gradient = [f"|g| {norm(tensor)}"] if tensor.requires_grad else []
        return [*([numbers(tensor)] if self.shown.values else []), *gradient]

    def paint(self, box: Box, part: Part, k: int) -> None:
        """Heat, if wanted, and smaller letters where there is more to read."""
        tensor = self.tensors[part, k]
        if "\n" in box.label:
            box.size = 10
        if self.scale is not None and tensor is not None and tensor.requires_grad:
            box.paint = Paint(box.paint.line, self.scale.fill(norm(tensor)))

    def tooltip(self, part: Part, k: int, tensor: Tensor | None) -> str:
        """Everything, for pictures that can be pointed at."""
        name = f"{clean(part.signal.name)}[{k}]"
        if part.node is not None:
            name = f"{part.label} in {name}"
        return name if tensor is None else f"{name} {described(tensor)}"

    def mark_highlight(self, scene: Scene, where: Mapping[str, Where]) -> None:
        """Marked boxes get a thick outline, and so do the arrows from one to another."""
        if not self.marked:
            return
        marked = {key for key, at in where.items() if self.tensors.get(at) in self.marked}
        marked |= {"loss"} if self.loss in self.marked else set()
        for box in scene.boxes:
            if box.key in marked:
                box.paint, box.pen = Paint(palette.MARK, box.paint.fill), 3.6
        for arrow in scene.arrows:
            if arrow.source in marked and arrow.target in marked:
                arrow.color, arrow.pen = palette.MARK, 3.0

    def add_legend(self, scene: Scene) -> None:
        """What the colours mean, in the lower right corner."""
        if self.scale is not None:
            _, bottom, right, _ = scene.bounds(0)
            add_legend(scene, self.scale, right + 36, bottom)


def add_legend(scene: Scene, scale: Scale, left: float, bottom: float) -> None:
    """A column of colours with their meanings."""
    rows = scale.legend()
    for number, (fill, meaning) in enumerate(rows):
        y = bottom + 15.0 * (len(rows) - number) - 7
        scene.boxes.append(Box(f"legend{number}", left + 10, y, 20, 14, "", Paint(palette.QUIET, fill),
                               rounded=False, pen=0.6, tooltip=f"|g| {meaning}"))
        scene.texts.append(beside(left + 26, y, meaning, 10, palette.QUIET))
    scene.texts.append(beside(left, bottom + 15.0 * len(rows) + 10, "|gradient|", 11, palette.QUIET))


def numbers(tensor: Tensor) -> str:
    """A few numbers as they are; of many, from where to where they go."""
    array = tensor.numpy()
    if array.size == 0:
        return "empty"
    if array.size <= FEW:
        return ", ".join(f"{value:.2g}" for value in array.ravel().tolist())
    with np.errstate(invalid="ignore"):
        return f"{np.min(array):.2g} … {np.max(array):.2g}"


def described(tensor: Tensor) -> str:
    """Shape, value, gradient and line."""
    size: Norm = norm(tensor)
    gradient = f"gradient |g| {size}" if tensor.requires_grad else "needs no gradient"
    return f"{tensor.shape}: {numbers(tensor)}; {gradient}; {tensor.origin}"
