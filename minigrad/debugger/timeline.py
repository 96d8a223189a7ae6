"""Reversible execution of a backward pass: moves forward and back through its steps and restores every `.grad`.

Each step runs once. Its changes to `.grad` are kept, so moving back and forward again restores the same
arrays: nothing is recomputed, and hooks are called once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from numpy.typing import ArrayLike, NDArray

from minigrad.steps import Step, Steps
from minigrad.tensor import Tensor

Array = NDArray[Any]


class Use(NamedTuple):
    """A step that has a tensor as its input number `position`."""

    step: Step
    position: int

    @property
    def contribution(self) -> Array | None:
        """The gradient that the step adds to that input; None if it adds none or hasn't run."""
        return self.step.input_grads[self.position] if self.step.input_grads else None


class Timeline:
    """A backward pass and a position in it.

    Attributes:
        steps: the steps of the pass.
        position: the number of steps before the current position.
        error: the exception that the next step raised, if it did; that step can't run.
    """

    def __init__(self, out: Tensor, grad: ArrayLike | None = None) -> None:
        self.steps = steps = Steps(out, grad)
        self.position = 0
        self.error: Exception | None = None
        # (tensor, its .grad before, its .grad after) for each change; one list for each step that has ever run
        self.changes: list[list[tuple[Tensor, Array | None, Array | None]]] = []
        self.numbers = {step.node: step.number for step in steps}
        self.tensors = steps.tensors
        self.names: dict[str, list[Tensor]] = {}  # tensors by label, `h[3]`, and by name, `h`
        for x in self.tensors:
            for name in {x.label, x.name or x.label} - {""}:
                self.names.setdefault(name, []).append(x)
        self._uses: dict[Tensor, list[Use]] = {}
        for step in steps:
            for position, x in enumerate(step.node.inputs):
                self._uses.setdefault(x, []).append(Use(step, position))

    @property
    def current(self) -> Step | None:
        """The step that has just run; None at the start."""
        return self.steps[self.position - 1] if self.position else None

    @property
    def finished(self) -> bool:
        """Whether the position is after the last step."""
        return self.position == len(self.steps)

    @property
    def failed(self) -> bool:
        """Whether the next step can't run because it raised `error`."""
        return self.error is not None and self.position == len(self.changes)

    def forward(self) -> bool:
        """Move one step forward; return False at the end, or if the step raised (see `error`)."""
        if self.finished or self.failed:
            return False
        if self.position == len(self.changes):
            return self._run(self.steps[self.position])
        for tensor, _, after in self.changes[self.position]:
            tensor.grad = after
        self.position += 1
        return True

    def back(self) -> bool:
        """Move one step back; return False at the start."""
        if not self.position:
            return False
        self.position -= 1
        for tensor, before, _ in self.changes[self.position]:
            tensor.grad = before
        return True

    def rewind(self) -> None:
        """Move to the start, which restores every `.grad`."""
        while self.back():
            pass

    def run(self) -> Iterator[Step]:
        """Move to the end and yield each step after it has run; raise the error of a step that can't run."""
        while self.forward():
            yield self.steps[self.position - 1]
        if self.error is not None:
            raise self.error

    def _run(self, step: Step) -> bool:
        before = {step.node: step.node.grad}
        before.update((x, x.grad) for x in step.node.inputs if x.requires_grad and x.op is None)
        if step.number == len(self.steps):  # the hooks of the leaves run after the last step
            before.update((x, x.grad) for x in self.steps.before)
        try:
            step.run()
        except Exception as error:
            self.error = error
            for tensor, grad in before.items():
                tensor.grad = grad
            return False
        self.changes.append([(tensor, grad, tensor.grad) for tensor, grad in before.items()])
        self.position += 1
        return True

    # ---- the state at the current position
    def uses(self, tensor: Tensor) -> list[Use]:
        """Return the contributions to a tensor's gradient so far, in the order in which they were added."""
        return [use for use in self._uses.get(tensor, [])
                if use.step.number <= self.position and use.contribution is not None]

    def gradient(self, tensor: Tensor) -> Array | None:
        """Return the gradient of a tensor so far, in this pass alone."""
        number = self.numbers.get(tensor)
        if number is not None and number <= self.position:
            return self.steps[number - 1].grad
        if tensor is self.steps.out:
            return self.steps.gradients[tensor]
        uses = self.uses(tensor)
        return uses[-1].step.totals[uses[-1].position] if uses else None

    def is_complete(self, tensor: Tensor) -> bool:
        """Return whether no later step contributes to a tensor's gradient."""
        uses = self._uses.get(tensor, [])
        return not uses or uses[-1].step.number <= self.position

    def find(self, name: str) -> list[Tensor]:
        """Return the tensors with a label such as `h[3]` or a name such as `h`, in the order of the pass."""
        return self.names.get(name, [])
