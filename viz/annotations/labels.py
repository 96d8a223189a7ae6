"""The text of an unrolled picture's boxes; their heat, tooltips and marks; the legend of the colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from minigrad import Tensor
from viz.layout.folding import Where
from viz.layout.step_graph import Part
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.patterns import Pattern
from viz.render.scene import CORNER, Box, Scene, text_beside
from viz.render.typography import true_minus

from .gradients import Gradients
from .heat import BAD, BLANK, UNREACHED, Norm, Scale

FEW = 3  # numbers at most that are written out
KEY = 26.0, 14.0  # width and height of a box in a legend
KEY_PITCH = 17.0


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
        self.norms = [self.gradients.norm(x) for x in tensors if x is not None and x.requires_grad]
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
            if value.name and value.t is None:
                text += f" = {clean(value.name, 14)}"
            elif not tensor.requires_grad and not tensor.numpy().any():
                return f"{text} = 0"
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
            self.scale.paint_box(box, self.gradients.norm(tensor))
        elif self.scale is not None:
            box.paint = box.paint._replace(fill=BLANK)
        if nonfinite(tensor):
            mark_nonfinite(box)

    def mark_highlight(self, scene: Scene, boxes: Mapping[Where, Box]) -> None:
        """Draw the boxes of highlighted tensors, and arrows between two of them, with thick lines."""
        wanted = set(self.spec.highlight)
        marked = {box.key for where, box in boxes.items() if self.tensors.get(where) in wanted}
        marked |= {"loss"} if self.spec.loss in wanted else set()
        for box in scene.boxes:
            if box.key in marked:
                box.paint, box.pen = palette.Paint(palette.MARK, box.paint.fill), 3.6
        for arrow in scene.arrows:
            if arrow.source in marked and arrow.target in marked:
                arrow.color, arrow.pen = palette.MARK, 3.0


def mark_nonfinite(box: Box) -> None:
    """Mark a box whose value contains NaN or Inf: by colour, line and pattern."""
    box.paint, box.pen, box.pattern = palette.BAD, 2.4, BAD


def add_legend(scene: Scene, scale: Scale, left: float, bottom: float) -> None:
    """Add a column of colours with their meanings."""
    rows = scale.legend()
    for number, row in enumerate(rows):
        _add_key(scene, number, row, left, bottom + KEY_PITCH * (len(rows) - number - 0.5))
    scene.texts.append(text_beside(left, bottom + KEY_PITCH * len(rows) + 10, "|gradient|", 11, palette.QUIET))


def add_legend_below(scene: Scene, scale: Scale, left: float, right: float, top: float) -> None:
    """Add the colours with their meanings from left to right, in as many rows as they need."""
    heading = text_beside(left, top - KEY_PITCH / 2, "|gradient|", 11, palette.QUIET)
    scene.texts.append(heading)
    start = x = heading.rectangle[2] + 14
    y = heading.y
    for number, row in enumerate(scale.legend()):
        width = KEY[0] + 6 + text_width(row[2], 10) * CORNER
        if x > start and x + width > right:
            x, y = start, y - KEY_PITCH - 2
        _add_key(scene, number, row, x, y)
        x += width + 14


def _add_key(scene: Scene, number: int, row: tuple[str, Pattern | None, str], left: float, y: float) -> None:
    """Add a row of a legend: a small box, and its meaning on the right."""
    fill, pattern, meaning = row
    width, height = KEY
    paint = palette.Paint(palette.QUIET, fill)
    scene.boxes.append(Box(f"legend{number}", left + width / 2, y, width, height, "", paint, rounded=False, pen=0.6,
                           tooltip=f"|g| {meaning}", pattern=pattern))
    scene.texts.append(text_beside(left + width + 6, y, meaning, 10, palette.QUIET))


def numbers(tensor: Tensor) -> str:
    """Return a few numbers as they are, and the range of many."""
    array = tensor.numpy()
    if array.size == 0:
        return "empty"
    if array.size <= FEW:
        return true_minus(", ".join(f"{value:.2g}" for value in array.ravel().tolist()))
    with np.errstate(invalid="ignore"):
        low, high = np.min(array), np.max(array)
    if low == high:
        return true_minus(f"all {low:.2g}")
    return true_minus(f"{low:.2g} … {high:.2g}" if f"{low:.2g}" != f"{high:.2g}" else f"{low:.4g} … {high:.4g}")


def nonfinite(tensor: Tensor) -> str:
    """Return "NaN" or "Inf" if a tensor contains one, otherwise ""."""
    array = tensor.numpy()
    return "" if np.isfinite(array).all() else "NaN" if np.isnan(array).any() else "Inf"


def describe(tensor: Tensor, size: Norm) -> str:
    """Return a tensor's shape, value, gradient and line."""
    known = f"|g| 0, {UNREACHED}" if size.word == UNREACHED else size.line
    gradient = f"gradient {known}" if tensor.requires_grad else "needs no gradient"
    return f"{tensor.shape}: {numbers(tensor)}; {gradient}; {tensor.origin}"
