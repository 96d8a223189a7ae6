"""Diagnosis of NaN and of vanished gradients: the operation in which each first appears, as a line of text."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backward import nodes_between
from minigrad.formats.describe import operation_name, tensor_formula, tensor_name
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .timeline import Timeline

ZERO_CAUSES = {"relu": "every ReLU is off there", "tanh": "every tanh is saturated there",
               "sigmoid": "every sigmoid is saturated there"}


def has_nan(array: Any) -> bool:
    """Return whether an array contains a NaN."""
    return bool(np.isnan(array).any())


def has_infinity(array: Any) -> bool:
    """Return whether an array contains an infinity."""
    return bool(np.isinf(array).any())


# ---- NaN
def forward_nan(node: Tensor) -> str | None:
    """Return a message if the data of a tensor are the first that contain a NaN, else None."""
    if not has_nan(node._array):
        return None
    sources = [x for x in node.inputs if has_nan(x._array)]
    operation = f"{tensor_formula(node)} at {node.origin}"
    if not sources:
        return f"a NaN first appears in the forward data of {f'{node.label} = ' if node.label else ''}{operation}"
    if all(x.op is None for x in sources):
        return f"{tensor_name(sources[0])} ({sources[0].origin}) contains a NaN from the beginning; used by {operation}"
    return None  # an earlier operation produced it


def first_forward_nan(timeline: Timeline) -> str | None:
    """Return where the first NaN of the forward data appears, or None."""
    for step in reversed(timeline.steps):  # steps run backward: the last was computed first
        if message := forward_nan(step.node):
            return f"{message} (step {step.number})"
    return None


def nan_at(step: Step, timeline: Timeline) -> str | None:
    """Return a message if a NaN first appears at a step: in its forward data, a contribution or a sum; else None."""
    if message := forward_nan(step.node):
        return message
    if step.grad is None or has_nan(step.grad):
        return None
    for x, grad, total in zip(step.node.inputs, step.input_grads, step.totals):
        if grad is not None and has_nan(grad):
            return (f"a NaN first appears in the contribution of {type(step.op).__name__}.backward to "
                    f"{tensor_name(x)}: the upstream gradient has none{_forward_note(step)}")
        if grad is not None and has_nan(total) and not any(
                has_nan(use.contribution) for use in timeline.uses(x) if use.step.number <= step.number):
            return f"a NaN first appears in the sum of the contributions to {tensor_name(x)}: none of them has one"
    return None


def _forward_note(step: Step) -> str:
    """Return a remark if the forward data of a step contain a NaN."""
    for x in (step.node, *step.node.inputs):
        if has_nan(x._array):
            return f", but the forward data of {tensor_name(x)} contain one (made at {x.origin})"
    return ""


def explain_nan(timeline: Timeline) -> str:
    """Return where the first NaN of a complete pass appears: in the forward data, else in the backward pass."""
    if message := first_forward_nan(timeline):
        return message
    found = ((step, nan_at(step, timeline)) for step in timeline.steps)
    return next((f"{message} (step {step.number}, {step.origin})" for step, message in found if message), "")


# ---- infinity
def infinity_at(step: Step, timeline: Timeline) -> str | None:
    """Return a message if an infinity first appears at a step, in a contribution or in a sum; else None."""
    if step.grad is None or has_infinity(step.grad):
        return None
    for x, grad, total in zip(step.node.inputs, step.input_grads, step.totals):
        if grad is not None and has_infinity(grad):
            return (f"an infinity first appears in the contribution of {type(step.op).__name__}.backward to "
                    f"{tensor_name(x)}: the upstream gradient has none")
        if grad is not None and has_infinity(total) and not any(
                has_infinity(use.step.totals[use.position]) for use in timeline.uses(x)
                if use.step.number < step.number):
            return (f"an infinity first appears in the sum of the contributions to {tensor_name(x)}: none of them has "
                    "one")
    return None


# ---- zero
def zero_at(step: Step) -> str | None:
    """Return a message if a contribution of a step is exactly zero and its upstream gradient isn't, else None."""
    if step.grad is None or not step.grad.any():
        return None
    for x, grad in zip(step.node.inputs, step.input_grads):
        if grad is not None and grad.size and not grad.any():
            return f"the contribution to {tensor_name(x)} is exactly zero, the upstream gradient isn't"
    return None


def explain_zero(timeline: Timeline, tensor: Tensor) -> list[str]:
    """Return a line for each operation between the loss and a tensor in which the whole gradient becomes zero."""
    between = nodes_between(timeline.steps.out, {tensor})
    lines = []
    for step in timeline.steps:
        passed = [grad for x, grad in zip(step.node.inputs, step.input_grads) if x in between and grad is not None]
        if step.node in between and step.grad is not None and step.grad.any() and not any(map(np.any, passed)):
            cause = ZERO_CAUSES.get(operation_name(step.node))
            when = "" if step.t is None else f" at t = {step.t}"
            lines.append(f"    it becomes exactly zero{when}, in the derivative of {operation_name(step.node)} "
                         f"{step.node.shape} at {step.origin}{f': {cause}' if cause else ''}")
    return lines or ["    the contributions are zero, or cancel"]
