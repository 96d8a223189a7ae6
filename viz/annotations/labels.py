"""The text of an unrolled picture's boxes; their heat, tooltips and marks; the legend of the colours."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from minigrad import Tensor
from viz.layout.folding import Where
from viz.layout.step_graph import Part
from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Box, Scene, text_beside

from .gradients import Gradients
from .heat import UNREACHED, Norm, Scale, joint

FEW = 3  # numbers at most that are written out


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
        self.gradients = Gradients(recorded, spec.loss, spec.step)
        boxes = [where for where in self.tensors if where[0] in spec.tensors]
        self.norms = [self._norm(part, k) for part, k in boxes]
        self.norms += [self.gradients.norm(tensor) for tensor in (spec.loss, *spec.beside.values())]
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
        tensor, boundary = self.tensors[part, k], self.spec.is_boundary(part, k)
        text = self._with_numbers(part.at(k) + (known_value(tensor) if boundary else ""), tensor)
        return f"{text}\n{part.added_line}" if part.added and tensor is not None and not boundary else text

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
                known.setdefault(known_value(tensor), []).append(f"{name}[{k}]")
            lines = [", ".join(names) + value for value, names in known.items()]
        if self.spec.values:
            lines += [f"{clean(part.signal.removeprefix(layer.signal))}  {numbers(x)}" for part, x in outputs]
        if (self.spec.values or self.spec.heat) and any(x.requires_grad for _, x in outputs):
            lines.append(self._norm(layer, k).line)
        return "\n".join(lines)

    def _outputs(self, layer: Part, k: int) -> list[tuple[Part, Tensor]]:
        """Return the recorded signals that leave the box of a layer at a step."""
        found = [(part, self.tensors.get((part, k))) for part in layer.outputs]
        return [(part, tensor) for part, tensor in found if tensor is not None]

    def _norm(self, part: Part, k: int) -> Norm:
        """Return the norm of a box's gradient: of a layer, that of all signals that leave it as one vector."""
        if not part.members:
            return self.gradients.norm(self.tensors[part, k])
        return joint([self.gradients.norm(tensor) for _, tensor in self._outputs(part, k) if tensor.requires_grad])

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
        if self.scale is not None and any(tensor.requires_grad for _, tensor in self._outputs(layer, k)):
            box.paint = palette.Paint(box.paint.line, self.scale.fill(self._norm(layer, k)))
        if any(nonfinite(tensor) for _, tensor in own):
            box.paint, box.pen = palette.BAD, 2.4

    def annotate(self, box: Box, text: str, tensor: Tensor | None) -> None:
        """Add to the box of a tensor a tooltip, heat, and the mark of a value that is not finite."""
        if box.label.count("\n") > bool(box.colored):
            box.size = 10
        box.tooltip = text
        if tensor is None:
            return
        box.tooltip += f" {describe(tensor, self.gradients.norm(tensor))}"
        if self.scale is not None and tensor.requires_grad:
            box.paint = palette.Paint(box.paint.line, self.scale.fill(self.gradients.norm(tensor)))
        if nonfinite(tensor):
            box.paint, box.pen = palette.BAD, 2.4

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


def known_value(tensor: Tensor | None) -> str:
    """Return ` = 0` or ` = h0` for a value before or after the steps that was assumed or set; "" for another one."""
    if tensor is None:
        return ""
    value = tensor.inputs[0] if tensor.inputs else tensor
    if value.name and value.t is None:
        return f" = {clean(value.name, 14)}"
    return " = 0" if not tensor.requires_grad and not tensor.numpy().any() else ""


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
