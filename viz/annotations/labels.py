"""The text of an unrolled picture's boxes; their heat, tooltips and marks; the legend of the colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from minigrad import Tensor
from viz.layout.folding import Where
from viz.layout.links import elsewhere
from viz.layout.step_graph import Part
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.patterns import Pattern
from viz.render.scene import CORNER, Box, Scene, text_beside
from viz.render.typography import true_minus

from .gradients import Gradients
from .heat import BAD, BLANK, UNREACHED, Norm, Scale, joint

FEW = 3  # numbers at most that are written out
KEY = 26.0, 14.0  # width and height of a box in a legend
KEY_PITCH = 17.0
ZERO = " = 0"


class BoxLabels:
    """The labels (`text`), colours (`scale` of the `norms`) and tooltips of the boxes of the steps that are `drawn`.

    Raises:
        ValueError: if a tensor to highlight is not in the picture.
    """

    def __init__(self, spec: UnrolledSpec, drawn: Collection[int]) -> None:
        self.spec = spec
        self.tensors: dict[Where, Tensor | None] = {
            (part, k): tensor for part, steps in spec.recorded.items() for k, tensor in steps.items() if k in drawn}
        tensors = [*self.tensors.values(), spec.loss, *spec.beside.values()]
        recorded = [tensor for steps in spec.recorded.values() for tensor in steps.values() if tensor is not None]
        self.gradients = Gradients(recorded, spec.loss, spec.step, spec.found)
        boxes = [where for where in self.tensors if where[0] in spec.tensors]
        self.norms = [self._norm(part, k) for part, k in boxes if self._needs_gradient(part, k)]
        self.norms += [self.gradients.norm(x) for x in (spec.loss, *spec.beside.values())
                       if x is not None and x.requires_grad]
        self.scale = Scale(self.norms) if spec.heat else None
        unknown = set(spec.highlight) - {tensor for tensor in tensors if tensor is not None}
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ValueError(f"highlight= takes tensors that are drawn, e.g. run['h'][2]; not in the picture: {names}")
        self.text = {(part, k): self._label(part, k) for part, k in boxes}
        self.beside = {part: self._with_numbers(part.at(""), spec.beside.get(part) if part.node is None else None)
                       for part in spec.beside}

    def _label(self, part: Part, k: int) -> str:
        """Return `h[3]`, or `h[0] = 0` for a value that was set or assumed; then the requested numbers."""
        if part.node is not None:
            return part.label
        if part.members:
            return self._label_of_layer(part, k)
        tensor, text = self.tensors[part, k], part.at(k)
        if self.spec.is_boundary(part, k):
            known = self._known(tensor)
            return f"{text}{known}" if known == ZERO else self._with_numbers(f"{text}{known}", tensor)
        text = self._with_numbers(text, tensor, self.spec.own(k))
        return f"{text}\n{part.added_line}" if part.added and tensor is not None else text

    def _label_of_layer(self, layer: Part, k: int) -> str:
        """Return the name of a layer; before and after the steps `h[0], c[0] = 0`; then the requested numbers."""
        outputs = self._outputs(layer, k)
        lines = [layer.label]
        if self.spec.is_boundary(layer, k):
            parallel = any(other is not layer and other.members and (other.layer, other.paint) == (
                layer.layer, layer.paint) for other in self.spec.graph.parts)  # in one row
            known: dict[str, list[str]] = {}
            for part, tensor in outputs:
                name = clean(part.signal if parallel else part.signal.removeprefix(layer.signal))
                known.setdefault(self._known(tensor), []).append(f"{name}[{k}]")
            lines = [", ".join(names) + value for value, names in known.items()]
            if set(known) == {ZERO}:
                return lines[0]
        if self.spec.values:
            own = self.spec.own(k)
            lines += [f"{clean(part.signal.removeprefix(layer.signal))}  {numbers(x, own)}" for part, x in outputs]
        if (self.spec.values or self.spec.heat) and self._needs_gradient(layer, k):
            lines.append(self._norm(layer, k).line)
        return "\n".join(lines)

    def _known(self, tensor: Tensor | None) -> str:
        """Return ` = 0`, ` = h0` or ` = s[3]` for a value before or after the steps that was given; "" for another."""
        if tensor is None:
            return ""
        own = {part.signal.removeprefix(self.spec.graph.prefix) for part in self.spec.recorded}
        if other := elsewhere(tensor, self.spec.key, self.spec.runs, own):
            return f" = {other}"
        value = tensor.inputs[0] if tensor.inputs else tensor
        if value.name and value.t is None:
            return f" = {clean(value.name, 14)}"
        return ZERO if not tensor.requires_grad and not tensor.numpy().any() else ""

    def _outputs(self, layer: Part, k: int) -> list[tuple[Part, Tensor]]:
        """Return the recorded signals that leave the box of a layer at a step."""
        found = [(part, self.tensors.get((part, k))) for part in layer.outputs]
        return [(part, tensor) for part, tensor in found if tensor is not None]

    def _norm(self, part: Part, k: int) -> Norm:
        """Return the norm of a box's gradient: of a layer, that of all signals that leave it as one vector."""
        if not part.members:
            return self.gradients.norm(self.tensors[part, k])
        return joint([self.gradients.norm(tensor) for _, tensor in self._outputs(part, k) if tensor.requires_grad])

    def _needs_gradient(self, part: Part, k: int) -> bool:
        """Whether anything that a box shows needs a gradient."""
        if part.members:
            return any(tensor.requires_grad for _, tensor in self._outputs(part, k))
        tensor = self.tensors[part, k]
        return tensor is not None and tensor.requires_grad

    def _with_numbers(self, text: str, tensor: Tensor | None, own: Any = None) -> str:
        """Return a label with the requested numbers under it: those of a batch's sequences that have the step."""
        lines = [text]
        if tensor is None:
            return text
        if self.spec.values:
            lines.append(numbers(tensor, own))
        if (self.spec.values or self.spec.heat) and tensor.requires_grad:
            lines.append(self.gradients.norm(tensor).line)
        return "\n".join(lines)

    def finish(self, box: Box, part: Part, k: int) -> None:
        """Add to the box of one copy its tooltip, heat, and the mark of a value that is not finite."""
        box.dashed = part.node is None and self.spec.is_boundary(part, k)
        box.colored = () if box.dashed else part.added
        if part.members:
            self._finish_layer(box, part, k)
            return
        name = f"{clean(part.signal)}[{k}]"
        self.annotate(box, name if part.node is None else f"{part.label} in {name}", self.tensors[part, k])

    def _finish_layer(self, box: Box, layer: Part, k: int) -> None:
        """Add the same to the box of a layer, for all of its signals."""
        own = [(part, tensor) for part in layer.members if (tensor := self.tensors.get((part, k))) is not None]
        box.size = 10 if "\n" in box.label else box.size
        box.tooltip = "; ".join(f"{clean(part.signal)}[{k}] {describe(tensor, self.gradients.norm(tensor))}"
                                for part, tensor in own)
        self._paint(box, self._norm(layer, k) if self._needs_gradient(layer, k) else None)
        if any(nonfinite(tensor) for _, tensor in own):
            mark_nonfinite(box)

    def annotate(self, box: Box, text: str, tensor: Tensor | None) -> None:
        """Add to the box of a tensor a tooltip, heat, and the mark of a value that is not finite."""
        if box.label.count("\n") > bool(box.colored):
            box.size = 10
        box.tooltip = text
        if tensor is None:
            return
        box.tooltip += f" {describe(tensor, self.gradients.norm(tensor))}"
        self._paint(box, self.gradients.norm(tensor) if tensor.requires_grad else None)
        if nonfinite(tensor):
            mark_nonfinite(box)

    def _paint(self, box: Box, size: Norm | None) -> None:
        """Colour a box by its gradient's norm, if that is wanted; leave one without a gradient blank."""
        if self.scale is not None and size is not None:
            self.scale.paint_box(box, size)
        elif self.scale is not None:
            box.paint = box.paint._replace(fill=BLANK)

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


def numbers(tensor: Tensor, own: Any = None) -> str:
    """Return a few numbers as they are, and the range of many.

    Args:
        own: of each sequence of a batch, whether its numbers count; by default those of all.
    """
    array = tensor.numpy()
    if own is not None and array.shape[:own.ndim] == own.shape:
        array = array[own]
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
