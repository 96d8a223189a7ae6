"""Time travel in a backward pass: forward and back along its steps, and every `.grad` goes along.

A step runs once. What it did to the gradients is kept, so going back and forward again puts the
very same arrays in place: nothing is computed a second time, and hooks are called once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import ArrayLike, NDArray

from minigrad.backward import ancestors
from minigrad.steps import Step, Steps
from minigrad.tensor import Tensor

Array = NDArray[Any]


class Change(NamedTuple):
    """What a step did to the `.grad` of a tensor."""

    tensor: Tensor
    before: Array | None
    after: Array | None


class Use(NamedTuple):
    """A step that may add to a tensor's gradient, and which of its inputs the tensor is."""

    step: Step
    position: int

    @property
    def share(self) -> Array | None:
        """What it adds there."""
        return self.step.input_grads[self.position] if self.step.input_grads else None


class Timeline:
    """A backward pass and a moment of it.

    Attributes:
        steps: the steps of the pass.
        at: how many steps have run at this moment.
        error: what the next step raised; it can't run.
    """

    def __init__(self, out: Tensor, grad: ArrayLike | None = None) -> None:
        self.steps = steps = Steps(out, grad)
        self.at = 0
        self.error: Exception | None = None
        self.changes: list[list[Change]] = []  # of every step that has ever run
        self.numbers = {step.node: step.number for step in steps}
        self.tensors = [x for x in reversed(ancestors(steps.out)) if x.requires_grad]
        self._uses: dict[Tensor, list[Use]] = {}
        for step in steps:
            for position, x in enumerate(step.node.inputs):
                self._uses.setdefault(x, []).append(Use(step, position))

    @property
    def now(self) -> Step | None:
        """The step that has just run; None at the start."""
        return self.steps[self.at - 1] if self.at else None

    @property
    def ended(self) -> bool:
        """Whether every step has run."""
        return self.at == len(self.steps)

    @property
    def stuck(self) -> bool:
        """Whether the next step can't run: it raised `error`."""
        return self.error is not None and self.at == len(self.changes)

    def forward(self) -> bool:
        """Go a step on; False where there is none, or where it raised (see `error`)."""
        if self.ended or self.stuck:
            return False
        if self.at == len(self.changes):
            return self._run(self.steps[self.at])
        for change in self.changes[self.at]:
            change.tensor.grad = change.after
        self.at += 1
        return True

    def back(self) -> bool:
        """Go a step back; False at the start."""
        if not self.at:
            return False
        self.at -= 1
        for change in self.changes[self.at]:
            change.tensor.grad = change.before
        return True

    def rewind(self) -> None:
        """Go back to the start: every `.grad` is what it was."""
        while self.back():
            pass

    def _run(self, step: Step) -> bool:
        touched = {step.node: step.node.grad}
        touched.update((x, x.grad) for x in step.node.inputs if x.requires_grad and x.op is None)
        if step.number == len(self.steps):  # the leaves' hooks are called after it
            touched.update((x, x.grad) for x in self.steps.before)
        try:
            step.run()
        except Exception as error:
            self.error = error
            for tensor, before in touched.items():
                tensor.grad = before
            return False
        self.changes.append([Change(tensor, before, tensor.grad) for tensor, before in touched.items()])
        self.at += 1
        return True

    # ---- what is known at this moment
    def uses(self, tensor: Tensor) -> list[Use]:
        """The contributions to a tensor's gradient so far, in the order in which they came."""
        return [use for use in self._uses.get(tensor, []) if use.step.number <= self.at and use.share is not None]

    def gradient(self, tensor: Tensor) -> Array | None:
        """The gradient of a tensor as far as this pass has it."""
        number = self.numbers.get(tensor)
        if number is not None and number <= self.at:
            return self.steps[number - 1].grad
        if tensor is self.steps.out:
            return self.steps.gradients[tensor]
        uses = self.uses(tensor)
        return uses[-1].step.totals[uses[-1].position] if uses else None

    def complete(self, tensor: Tensor) -> bool:
        """Whether nothing more will be added to a tensor's gradient."""
        uses = self._uses.get(tensor, [])
        return not uses or uses[-1].step.number <= self.at

    def named(self, name: str) -> list[Tensor]:
        """The tensors that are called so, as h[3] or as h, in the order of the pass."""
        return [x for x in self.tensors if name in (x.label, x.name) and x.label]
