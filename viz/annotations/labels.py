"""The text of an unrolled picture's boxes; their heat, tooltips and marks; the legend of the colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from minigrad import Tensor
from viz.layout.folding import Where
from viz.layout.links import elsewhere
from viz.layout.step_graph import Part
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Box, Scene, text_beside

from .gradients import Gradients
from .heat import UNREACHED, Norm, Scale

FEW = 3  # numbers at most that are written out


class BoxLabels:
    """The labels (`text`), colours (`scale` of the `norms`) and tooltips of the boxes of the steps that are `drawn`.

    Raises:
        ValueError: if a tensor to highlight is not in the picture.
    """

    def __init__(self, spec: UnrolledSpec, drawn: Collection[int]) -> None:
        self.spec = spec
        self.tensors: dict[Where, Tensor | None] = {
            (part, k): tensor for part, steps in spec.tensors.items() for k, tensor in steps.items() if k in drawn}
        tensors = [*self.tensors.values(), spec.loss, *spec.beside.values()]
        recorded = [tensor for steps in spec.tensors.values() for tensor in steps.values() if tensor is not None]
        self.gradients = Gradients(recorded, spec.loss, spec.step)
        self.norms = [self.gradients.norm(tensor) for tensor in tensors]
        self.scale = Scale(self.norms) if spec.heat else None
        unknown = set(spec.highlight) - {tensor for tensor in tensors if tensor is not None}
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ValueError(f"highlight= takes tensors that are drawn, e.g. run['h'][2]; not in the picture: {names}")
        self.text = {(part, k): self._label(part, k) for part, k in self.tensors}
        self.beside = {part: self._with_numbers(part.at(""), spec.beside.get(part) if part.node is None else None)
                       for part in spec.beside}

    def _label(self, part: Part, k: int) -> str:
        """Return `h[3]`, or `h[0] = 0` for a value that was set or assumed; then the requested numbers."""
        if part.node is not None:
            return part.label
        text, tensor = part.at(k), self.tensors[part, k]
        if tensor is None:
            return text
        if self.spec.is_boundary(part, k):
            value = tensor.inputs[0] if tensor.inputs else tensor
            if other := elsewhere(tensor, self.spec.key, self.spec.runs):
                text += f" = {other}"
            elif value.name and value.t is None:
                text += f" = {clean(value.name, 14)}"
            elif not tensor.requires_grad and not tensor.numpy().any():
                text += " = 0"
        return self._with_numbers(text, tensor)

    def _with_numbers(self, text: str, tensor: Tensor | None) -> str:
        """Return a label with the requested numbers under it."""
        lines = [text]
        if tensor is None:
            return text
        if self.spec.values:
            lines.append(numbers(tensor))
        if (self.spec.values or self.spec.heat) and tensor.requires_grad:
            lines.append(self.gradients.norm(tensor).line)
        return "\n".join(lines)

    def finish(self, box: Box, part: Part, k: int) -> None:
        """Add to the box of one copy its tooltip, heat, and the mark of a value that is not finite."""
        box.dashed = part.node is None and self.spec.is_boundary(part, k)
        name = f"{clean(part.signal)}[{k}]"
        self.annotate(box, name if part.node is None else f"{part.label} in {name}", self.tensors[part, k])

    def annotate(self, box: Box, text: str, tensor: Tensor | None) -> None:
        """Add to the box of a tensor a tooltip, heat, and the mark of a value that is not finite."""
        if "\n" in box.label:
            box.size = 10
        box.tooltip = text
        if tensor is None:
            return
        box.tooltip += f" {describe(tensor, self.gradients.norm(tensor))}"
        if self.scale is not None and tensor.requires_grad:
            box.paint = palette.Paint(box.paint.line, self.scale.fill(self.gradients.norm(tensor)))
        if nonfinite(tensor):
            box.paint, box.pen = palette.BAD, 2.4

    def highlighted(self, boxes: Mapping[Where, Box]) -> set[str]:
        """Return the keys of the boxes of highlighted tensors."""
        wanted = set(self.spec.highlight)
        marked = {box.key for where, box in boxes.items() if self.tensors.get(where) in wanted}
        return marked | ({"loss"} if self.spec.loss in wanted else set())


def mark_highlight(scene: Scene, marked: Collection[str]) -> None:
    """Draw some boxes, and the arrows between two of them, with thick lines."""
    for box in scene.boxes:
        if box.key in marked:
            box.paint, box.pen = palette.Paint(palette.MARK, box.paint.fill), 3.6
    for arrow in scene.arrows:
        if arrow.source in marked and arrow.target in marked:
            arrow.color, arrow.pen = palette.MARK, 3.0


def add_legend(scene: Scene, scale: Scale, left: float, bottom: float) -> None:
    """Add a column of colours with their meanings."""
    rows = scale.legend()
    for number, (fill, meaning) in enumerate(rows):
        y = bottom + 15.0 * (len(rows) - number) - 7
        scene.boxes.append(Box(f"legend{number}", left + 10, y, 20, 14, "", palette.Paint(palette.QUIET, fill),
                               rounded=False, pen=0.6, tooltip=f"|g| {meaning}"))
        scene.texts.append(text_beside(left + 26, y, meaning, 10, palette.QUIET))
    scene.texts.append(text_beside(left, bottom + 15.0 * len(rows) + 10, "|gradient|", 11, palette.QUIET))


def numbers(tensor: Tensor) -> str:
    """Return a few numbers as they are, and the range of many."""
    array = tensor.numpy()
    if array.size == 0:
        return "empty"
    if array.size <= FEW:
        return ", ".join(f"{value:.2g}" for value in array.ravel().tolist())
    with np.errstate(invalid="ignore"):
        return f"{np.min(array):.2g} … {np.max(array):.2g}"


def nonfinite(tensor: Tensor) -> str:
    """Return "NaN" or "Inf" if a tensor contains one, otherwise ""."""
    array = tensor.numpy()
    return "" if np.isfinite(array).all() else "NaN" if np.isnan(array).any() else "Inf"


def describe(tensor: Tensor, size: Norm) -> str:
    """Return a tensor's shape, value, gradient and line."""
    known = f"|g| 0, {UNREACHED}" if size.word == UNREACHED else size.line
    gradient = f"gradient {known}" if tensor.requires_grad else "needs no gradient"
    return f"{tensor.shape}: {numbers(tensor)}; {gradient}; {tensor.origin}"
