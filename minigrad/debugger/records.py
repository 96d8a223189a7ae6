"""Records of a backward pass at a position: plain data, from which each front end makes text, messages or a picture.

Arrays are those of the pass, not copies.
"""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.formats.describe import operation_name, tensor_formula, tensor_name
from minigrad.formats.norms import norm
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .timeline import Timeline, Use

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class InputRecord:
    """An input of an operation, and what a step did to its gradient.

    Attributes:
        tensor: the input.
        name: its label, or its formula if it has no name.
        value: its data.
        contribution: the gradient that the step added; None if it added none.
        total: the sum of the contributions so far, in this pass alone; None if there are none.
        complete: whether no later step adds to it.
    """

    tensor: Tensor
    name: str
    value: Array
    contribution: Array | None
    total: Array | None
    complete: bool


@dataclass(frozen=True, eq=False)
class StepRecord:
    """A step that has run.

    Attributes:
        step: the step itself.
        number, count: its number, from 1, and that of all steps.
        tensor: the result of the operation, whose gradient the step takes to the inputs.
        operation: the name of the operation, "tanh".
        name: the tensor's label, or its formula if it has no name.
        formula: how the operation was written, "tanh(W @ x[3] + U @ h[2])".
        signal, t: the signal whose equation computed it, and the time step; None outside a recurrence.
        file, line: the line of the user's program that computed it.
        gradient: the upstream gradient; None if no gradient reaches the operation.
        output: the data of the tensor.
        inputs: the operands in their order.
    """

    step: Step
    number: int
    count: int
    tensor: Tensor
    operation: str
    name: str
    formula: str
    signal: str | None
    t: int | None
    file: str
    line: int
    gradient: Array | None
    output: Array
    inputs: tuple[InputRecord, ...]

    @property
    def title(self) -> str:
        """The label and the operation, "h[3] tanh"; of an unnamed tensor, the formula."""
        return f"{self.tensor.label} {self.operation}" if self.tensor.label else self.formula

    @property
    def code(self) -> str:
        """The text of the line of the user's program; "" if it can't be read."""
        return linecache.getline(self.file, self.line).strip()


@dataclass(frozen=True, eq=False)
class GradientRecord:
    """The gradient of a tensor at a position of the pass, in this pass alone.

    Attributes:
        tensor, name: the tensor, and its label or formula.
        gradient: the sum of the contributions so far; None if there are none.
        complete: whether no later step adds to it.
        uses: the contributions so far, in the order in which they were added.
    """

    tensor: Tensor
    name: str
    gradient: Array | None
    complete: bool
    uses: tuple[Use, ...]


def step_record(timeline: Timeline, step: Step) -> StepRecord:
    """Return the record of a step that has run."""
    node = step.node
    nothing = [None] * len(node.inputs)
    inputs = tuple(
        InputRecord(x, tensor_name(x), x._array, contribution, total, timeline.is_complete(x))
        for x, contribution, total in zip(node.inputs, step.input_grads or nothing, step.totals or nothing))
    return StepRecord(step, step.number, len(timeline.steps), node, operation_name(node), tensor_name(node),
                      tensor_formula(node), step.signal, step.t, step.origin.file, step.origin.line, step.grad,
                      node._array, inputs)


def gradient_record(timeline: Timeline, tensor: Tensor) -> GradientRecord:
    """Return the gradient of a tensor at the current position."""
    return GradientRecord(tensor, tensor_name(tensor), timeline.gradient(tensor), timeline.is_complete(tensor),
                          tuple(timeline.uses(tensor)))


def parameter_records(timeline: Timeline) -> list[GradientRecord]:
    """Return the gradients of the pass's leaves at the current position, in the order in which they were made."""
    return [gradient_record(timeline, x) for x in reversed(timeline.tensors) if x.op is None]


def largest_chain(timeline: Timeline, tensor: Tensor) -> list[Tensor]:
    """Return the tensors on the chain of largest contributions, from a tensor back to the loss."""
    chain = [tensor]
    while (source := largest_source(timeline, chain[-1])) is not None:
        chain.append(source.node)
    return chain


def largest_source(timeline: Timeline, tensor: Tensor) -> Step | None:
    """Return the step that has added the largest contribution to a tensor's gradient, by its norm; None if none has."""
    uses = timeline.uses(tensor)
    if not uses:
        return None
    return uses[int(np.argmax([norm(use.contribution) for use in uses]))].step  # to argmax a NaN is the largest

