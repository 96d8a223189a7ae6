"""The gradients that a picture shows: how much of each tensor's gradient is known, and its norm.

They are those of a run after a backward pass, or those that had arrived after one of its steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.formats.norms import norm as norm_of
from minigrad.steps import Step
from rnn import Run
from rnn.unrolling.gradients import Find, has_gradients, loss_gradients, require_gradients, stored
from rnn.unrolling.loss_gradients import LossGradients
from viz.layout.unrolled_layout import UnrolledSpec

from .heat import ARRIVED, NOT_REACHED, SO_FAR, THROUGH_STEPS, UNREACHED, Norm


class Gradients:
    """The gradients of one picture.

    Args:
        drawn: the tensors of the run.
        loss: the tensor that is differentiated; None if it isn't known.
        step: a step of a backward pass: gradients are those after it.
        found: the gradients of the loss, if they are known already.
    """

    def __init__(self, drawn: Iterable[Tensor], loss: Tensor | None = None, step: Step | None = None,
                 found: LossGradients | None = None) -> None:
        drawn = list(drawn)
        self.step = step
        self.loss = loss if step is None else step.steps.out
        self.read = None if self.loss is None else {x for x in ancestors(self.loss) if x.requires_grad}
        self.found = LossGradients(loss, drawn) if found is None and loss is not None and step is None else found
        self.begun = any(tensor.grad is not None for tensor in drawn)
        self.complete: dict[Tensor, Any] = {}
        self.totals: dict[Tensor, Any] = {}
        self.waiting: set[Tensor] = set()  # inputs of steps that haven't run
        if step is not None:
            self._replay(step)

    def _replay(self, last: Step) -> None:
        """Collect the gradients after a step, which later steps don't modify."""
        for step in last.steps:
            if not step.done or step.number > last.number:
                self.waiting.update(step.node.inputs)
                continue
            self.complete[step.node] = step.grad
            self.totals.update((x, total) for x, total in zip(step.node.inputs, step.totals) if total is not None)

    @property
    def half_way(self) -> bool:
        """Whether it is known that the backward pass isn't complete."""
        if self.step is not None:
            return bool(self.waiting)
        if self.read is None or self.loss is None or self.loss.grad is None:
            return False
        return any(x.grad is None and x.op is not None for x in self.read)

    def norm(self, tensor: Tensor | None) -> Norm:
        """Return the norm of a tensor's gradient, with the words for one that isn't complete."""
        if tensor is None:
            return Norm(None)
        if self.read is not None and tensor.requires_grad and tensor not in self.read:
            return Norm(0.0, UNREACHED)  # a gradient that it holds is of another loss
        if self.step is not None:
            return self._norm_after_step(tensor)
        grad = tensor.grad if self.found is None else self.found.of(tensor)
        if grad is None:
            return Norm(None, NOT_REACHED if self.begun and self.read is None else "")
        return Norm(_finite_norm(grad))

    def _norm_after_step(self, tensor: Tensor) -> Norm:
        if tensor in self.complete:
            grad = self.complete[tensor]
            return Norm(0.0, UNREACHED) if grad is None else Norm(_finite_norm(grad))
        if tensor not in self.totals:
            return Norm(None)
        size = _finite_norm(self.totals[tensor])
        if tensor.op is None:
            return Norm(size, SO_FAR if tensor in self.waiting else "")
        return Norm(size, ARRIVED)

    def of_parameters(self, parameters: Mapping[str, Tensor], sums: Mapping[str, Any] | None,
                      direct: Collection[str]) -> dict[str, Norm]:
        """Return the norms of parameters' gradients, by name; none for those that aren't known.

        Args:
            sums: what the run has contributed to each gradient; None without a backward pass.
            direct: the names of parameters that the loss reads beside the run.
        """
        if self.step is not None:
            return {name: self.norm(tensor) for name, tensor in parameters.items()}
        words = {name: SO_FAR if self.half_way else THROUGH_STEPS if name in direct else "" for name in parameters}
        return {name: Norm(_finite_norm(total), words[name]) for name, total in (sums or {}).items()}


def require_step_of(step: Step | None, loss: Tensor | None) -> None:
    """Raise ValueError for a step of the backward pass of another loss."""
    if step is not None and loss is not None and step.steps.out is not loss:
        raise ValueError(f"step= is {step!r} of the backward pass of {step.steps.out!r}, and loss= is {loss!r}: give a "
                         "step of loss.backward_steps(), or the loss that is differentiated")


def chosen_gradients(runs: Sequence[Run], loss: Tensor | None, step: Step | None) -> LossGradients | None:
    """Return the gradients of the loss of a picture, or of a step's pass; None if neither is given."""
    out = loss if step is None else step.steps.out
    return None if out is None else loss_gradients(runs, out)


def require_chosen(runs: Sequence[Run], found: LossGradients | None, heat: bool, contributions: bool) -> Find:
    """Return the function that finds the gradients; ValueError if colours or widths need some and there are none."""
    of = stored if found is None else found.of
    if heat or contributions:
        if found is not None and any(map(has_gradients, runs)):
            found.require()
        if not any(has_gradients(run, of) for run in runs):
            require_gradients(runs[-1], of)
    return of


def note_on_loss(spec: UnrolledSpec) -> list[str]:
    """Return a note for a picture with values that lacks gradients because another loss was differentiated."""
    if spec.found is None or spec.step is not None or not spec.values:
        return []
    begun = any(x is not None and x.grad is not None for steps in spec.recorded.values() for x in steps.values())
    return [spec.found.fault] if begun and spec.found.fault else []


def _finite_norm(grad: Any) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return norm_of(grad)
