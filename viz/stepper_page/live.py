"""A picture of a backward pass that is under way, for an editor's debugger: drawn once, then only its state changes.

The stepper page records a whole pass before it shows it. Here the pass is a Timeline that a debugger moves, and the
picture tells at each stop which gradients are known. minigrad finds it as `backward` in `minigrad.pictures`.
"""

from __future__ import annotations

from typing import Any

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.debugger.records import step_record
from minigrad.debugger.timeline import Timeline
from minigrad.formats.describe import tensor_summary
from minigrad.formats.norms import norm
from minigrad.steps import Step
from viz.annotations import heat
from viz.render.fonts import clean

from .page import read
from .scene import BackwardScene
from .svg import Drawing

MAX_BOXES = 3000  # a panel that follows each step gets slow with more
LOOKS = {heat.BAD: "bad", heat.ZERO: "zero", heat.TINY: "tiny"}  # of picture.css; a colour of the scale is "known"


class LivePicture:
    """The graph of a backward pass, and its state at the current position of a timeline.

    Attributes:
        svg: the picture. A box has the id `box-KEY`, a gradient arrow the id `back-NAME`.
        css: its style sheet, for a light and a dark background.

    Raises:
        ValueError: if the loss was computed from too many tensors.
    """

    def __init__(self, timeline: Timeline) -> None:
        out = timeline.steps.out
        nodes = ancestors(out, MAX_BOXES)
        if len(nodes) > MAX_BOXES:
            raise ValueError(f"{out!r} was computed from more than {MAX_BOXES:,} tensors, too many for a picture that "
                             "follows the steps. Unroll fewer steps: a recurrence does the same at each")
        self.timeline = timeline
        self.scene = BackwardScene(nodes).draw()
        self.boxes = {x: self.scene.keys[x] for x in timeline.tensors if x in self.scene.keys}
        self.titles = {x: f"{clean(tensor_summary(x), 80)}  {clean(str(x.origin), 60)}" for x in timeline.tensors}
        drawing = Drawing(self.scene.scene, self._links())
        self.svg, self.css = drawing.text, f"{read('picture.css')}\n{drawing.style}\n"

    def _links(self) -> dict[tuple[str, str], str]:
        """Return the name of the gradient arrow between two boxes: STEP-POSITION."""
        return {(self.boxes[x], self.boxes[step.node]): f"{step.number}-{position}" for step in self.timeline.steps
                for position, x in enumerate(step.node.inputs) if x in self.boxes and step.node in self.boxes}

    def state(self) -> dict[str, Any]:
        """Return what the picture shows at the current position, as JSON can hold it.

        Returns:
            step, steps: the number of the step that has just run, 0 at the start, and the number of steps.
            title: its tensor and operation, or the formula of an unnamed tensor.
            start, current: the keys of the boxes of the loss and of this tensor; None if it has none.
            boxes: for each box whose gradient is computed in this pass: `look` (waiting, known, tiny, zero or bad: the
                class in `css`), `color` if known, `partly` if later steps add to it, `title` to show beside the
                mouse, and `step`, the step that a click goes to.
            shared: the same for the parameters, which have no boxes, with `name` and `size`, its norm; `now` if this
                step adds to it.
            arrows, now: the names of the arrows along which a gradient has passed, and of those used by this step.
            scale: the exponents `low` and `high` of the colour scale, and its `colors` from low to high.
        """
        timeline, current = self.timeline, self.timeline.current
        done = [step for step in timeline.steps if step.done and step.grad is not None]
        scale = heat.Scale(heat.Norm(norm(step.grad)) for step in done)
        arrows = {step: [f"{step.number}-{i}" for i, grad in enumerate(step.input_grads) if grad is not None]
                  for step in done if step.number <= timeline.position}
        return {
            "step": timeline.position, "steps": len(timeline.steps),
            "title": clean(step_record(timeline, current).title, 80) if current else "",
            "start": self.boxes.get(timeline.steps.out),
            "current": self.boxes.get(current.node) if current else None,
            "boxes": {key: self._gradient(x, scale) for x, key in self.boxes.items()},
            "shared": [self._gradient(x, scale) | {"name": clean(x.label or "unnamed", 40), "now": _adds(current, x)}
                       for x in self.scene.shared],
            "arrows": [name for names in arrows.values() for name in names],
            "now": arrows.get(current, []) if current else [],
            "scale": {"low": scale.low, "high": scale.high, "colors": [_hex(stop) for stop in heat.STOPS]}}

    def _gradient(self, tensor: Tensor, scale: heat.Scale) -> dict[str, Any]:
        """Return the gradient of a tensor so far, as one entry of the state."""
        grad = self.timeline.gradient(tensor)
        complete = self.timeline.is_complete(tensor)
        size = None if grad is None else norm(grad)
        unknown = "none" if complete else "not yet"
        text = unknown if size is None else f"{size:.3g}" + ("" if complete else " so far")
        entry = {"look": "waiting", "size": text, "step": self._step(tensor),
                 "title": f"{self.titles[tensor]}\n|g| {text}"}
        if size is not None:
            pattern = scale.pattern(heat.Norm(size))
            entry |= {"look": LOOKS[pattern] if pattern else "known", "partly": not complete}
            if pattern is None:
                entry["color"] = scale.fill(heat.Norm(size))
        return entry

    def _step(self, tensor: Tensor) -> int:
        """Return the step of a tensor; of a leaf, that which next contributes to it, or the first; 0 for none."""
        number = self.timeline.numbers.get(tensor)
        if number is not None:
            return number
        uses = [step.number for step in self.timeline.steps if any(x is tensor for x in step.node.inputs)] or [0]
        return next((number for number in uses if number > self.timeline.position), uses[0])


def _adds(step: Step | None, tensor: Tensor) -> bool:
    """Return whether a step contributes to the gradient of a tensor."""
    return step is not None and any(x is tensor and grad is not None
                                    for x, grad in zip(step.node.inputs, step.input_grads))


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{channel:02X}" for channel in color)
