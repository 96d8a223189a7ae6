"""Reversible execution of a backward pass: moves forward and back through its steps and restores every `.grad`.

Each step runs once and keeps the gradients that it computed, from which moving back and forward again sets every
`.grad`: no derivative is computed twice, and hooks are called once.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
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
        self.computed = 0  # the number of steps that have ever run
        self.before = {x: x.grad for x in steps.tensors}
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
        return self.error is not None and self.position == self.computed

    def forward(self) -> bool:
        """Move one step forward; return False at the end, or if the step raised (see `error`)."""
        if self.finished or self.failed:
            return False
        step = self.steps[self.position]
        if self.position == self.computed:
            return self._run(step)
        self.position += 1
        self._restore(step)
        return True

    def back(self) -> bool:
        """Move one step back; return False at the start."""
        if not self.position:
            return False
        self.position -= 1
        self._restore(self.steps[self.position])
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
        try:
            step.run()
        except Exception as error:
            self.error = error
            self._restore(step)
            return False
        self.computed += 1
        self.position += 1
        return True

    def _restore(self, step: Step) -> None:
        """Set each `.grad` that a step changes to its value at the current position."""
        changed = {step.node, *(x for x in step.node.inputs if x.op is None and x.requires_grad)}
        if step.number == len(self.steps):  # the hooks of the leaves run after the last step
            changed.update(self.steps.before)
        for tensor in changed:
            grad, before = self.gradient(tensor), self.before[tensor]
            if grad is None or self.numbers.get(tensor, 0) > self.position:
                tensor.grad = before
            else:  # an array of its own, which the user may modify
                tensor.grad = grad.copy() if before is None or tensor.op else np.asarray(before + grad)

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
        if tensor is self.steps.out or (self.finished and tensor.op is None):
            return self.steps.gradients.get(tensor)
        use = self._last_use(tensor)
        return use.step.totals[use.position] if use else None

    def _last_use(self, tensor: Tensor) -> Use | None:
        """Return the last contribution to a tensor's gradient so far."""
        uses = self._uses.get(tensor, [])
        for index in reversed(range(bisect_right(uses, self.position, key=operator.attrgetter("step.number")))):
            if uses[index].contribution is not None:
                return uses[index]
        return None

    def is_complete(self, tensor: Tensor) -> bool:
        """Return whether no later step contributes to a tensor's gradient."""
        uses = self._uses.get(tensor, [])
        return not uses or uses[-1].step.number <= self.position

    def find(self, name: str) -> list[Tensor]:
        """Return the tensors with a label such as `h[3]` or a name such as `h`, in the order of the pass."""
        return self.names.get(name, [])
