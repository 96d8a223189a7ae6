"""Where a tensor's gradient comes from, or why it has none: a few lines of plain text."""

from __future__ import annotations

import numpy as np

from minigrad.backward import ancestors, nodes_between
from minigrad.tensor import Tensor

from .breakpoints import born_forward, has_nan
from .formatting import called, contributions, described, operation, size, table
from .timeline import Timeline

# What it means that a derivative is zero everywhere.
DEAD = {"relu": "every ReLU is off there", "tanh": "every tanh is saturated there",
        "sigmoid": "every sigmoid is saturated there"}


def explain(tensor: Tensor, out: Tensor) -> str:
    """Say where the gradient of `tensor` comes from when `out.backward()` is called, or why there is none.

    The pass is done to see it, and undone: every `.grad` stays as it is. Hooks are called.

    Args:
        tensor: the tensor whose gradient is in doubt.
        out: a single number, the loss.
    """
    head = f"{described(tensor)}, made at {tensor.origin}:"
    if not tensor.requires_grad:
        return f"{head} no gradient, for it requires none{_reason_for_none(tensor)}"
    if not out.requires_grad:
        return f"{head} no gradient, for {described(out)} at {out.origin} was computed from nothing that requires one"
    if tensor is out:
        return f"{head} its gradient is 1, for the pass starts from it"
    if tensor not in set(ancestors(out)):
        return "\n".join([f"{head} no gradient, for {described(out)} at {out.origin} was not computed from it",
                          *_detached(tensor, out)])
    return "\n".join(_of_the_pass(tensor, out, head))


def _reason_for_none(tensor: Tensor) -> str:
    if tensor.origin.detached:
        return f": it was detached there from {tensor.origin.detached}"
    kind = "" if tensor.dtype.kind == "f" else f" ({tensor.dtype} has none: only floats do)"
    return kind or ": write requires_grad=True; or it is a constant, made by detach(), .data or under no_grad()"


def _detached(tensor: Tensor, out: Tensor) -> list[str]:
    """The operations that use the tensor's values as a constant."""
    lines = []
    for node in ancestors(out):
        for x in node.inputs:
            if not x.requires_grad and x.shape == tensor.shape and np.array_equal(x._data, tensor._data):
                how = f"it was detached at {x.origin}" if x.origin.detached else f"taken by .data, at {x.origin}"
                lines.append(f"    its values are used as a constant by {described(node)} at {node.origin}: {how}")
    return lines


def _of_the_pass(tensor: Tensor, out: Tensor, head: str) -> list[str]:
    timeline = Timeline(out)
    try:
        while timeline.forward():
            pass
        if timeline.error is not None:
            raise timeline.error
        found = timeline.gradient(tensor)
        if found is None:
            return [f"{head} no gradient, for the operations that use it pass none on", *_users(timeline, tensor)]
        ways = paths(tensor, out)
        lines = [f"{head} |g| {size(found)}, by {ways:,} path{'s' if ways > 1 else ''} from {described(out)}"]
        if has_nan(found):
            lines += _nan(timeline)
        elif not found.any():
            lines += _zero(timeline, tensor)
        return [*lines, *_users(timeline, tensor)]
    finally:
        timeline.rewind()


def paths(tensor: Tensor, out: Tensor) -> int:
    """How many ways lead from `out` back to `tensor`."""
    useful = nodes_between(out, {tensor})
    ways = dict.fromkeys(useful, 0)
    ways[out] = 1
    for node in reversed(ancestors(out)):
        for x in node.inputs if node in useful else ():
            if x in useful:
                ways[x] += ways[node]
    return ways[tensor]


def _users(timeline: Timeline, tensor: Tensor) -> list[str]:
    """What each use adds: with the lag where the tensor stands in time, else by the time of the use."""
    if tensor.t is None:
        return [f"  {line}" for line in contributions(timeline, tensor)[1:]]
    rows = []
    for use in timeline.uses(tensor):
        node = use.step.node
        lag = "" if node.t is None else f"lag {node.t - tensor.t}"
        rows.append([lag, described(node), f"adds {size(use.share)}", str(node.origin)])
    return table(rows, "      ")


def _zero(timeline: Timeline, tensor: Tensor) -> list[str]:
    """The operations on the way at which all of the gradient becomes zero."""
    useful = nodes_between(timeline.steps.out, {tensor})
    lines = []
    for step in timeline.steps:
        shares = [share for x, share in zip(step.node.inputs, step.input_grads) if x in useful and share is not None]
        if step.node in useful and step.grad is not None and step.grad.any() and not any(map(np.any, shares)):
            why = DEAD.get(operation(step.node))
            when = "" if step.t is None else f" at t = {step.t}"
            lines.append(f"    it becomes exactly zero{when}, in the derivative of {operation(step.node)} "
                         f"{step.node.shape} at {step.origin}{f': {why}' if why else ''}")
    return lines or ["    the contributions are zero, or cancel"]


def _nan(timeline: Timeline) -> list[str]:
    for step in reversed(timeline.steps):
        if found := born_forward(step.node):
            return [f"    {found}"]
    for step in timeline.steps:
        if step.grad is not None and not has_nan(step.grad):
            for x, share in zip(step.node.inputs, step.input_grads):
                if share is not None and has_nan(share):
                    return [f"    the first NaN is born in what {type(step.op).__name__}.backward adds to {called(x)} "
                            f"at {step.origin}"]
    return []
