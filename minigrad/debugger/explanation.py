"""`minigrad.explain`: where a tensor's gradient comes from, or why it has none, as a few lines of text."""

from __future__ import annotations

import numpy as np

from minigrad.backward import ancestors, nodes_between
from minigrad.formats.describe import tensor_summary
from minigrad.tensor import Tensor

from .diagnosis import explain_nan, explain_zero, has_nan
from .formatting import contribution_table, format_norm, table
from .records import gradient_record
from .timeline import Timeline


def explain(tensor: Tensor, out: Tensor) -> str:
    """Explain where the gradient of `tensor` comes from when `out.backward()` runs, or why there is none.

    Runs the backward pass and restores every `.grad` afterwards. Hooks are called.

    Args:
        tensor: the tensor in question.
        out: a scalar, such as the loss.
    """
    head = f"{tensor_summary(tensor)}, made at {tensor.origin}:"
    if not tensor.requires_grad:
        return f"{head} no gradient, because it doesn't require one{_why_not_required(tensor)}"
    if not out.requires_grad:
        return (f"{head} no gradient, because {tensor_summary(out)} at {out.origin} was computed from no tensor that "
                "requires one")
    if tensor is out:
        return f"{head} its gradient is 1, because the pass starts from it"
    if tensor not in set(ancestors(out)):
        return "\n".join([f"{head} no gradient, because {tensor_summary(out)} at {out.origin} was not computed from it",
                          *_detached_uses(tensor, out)])
    return "\n".join(_explain_pass(tensor, out, head))


def _why_not_required(tensor: Tensor) -> str:
    if tensor.origin.detached:
        return f": it was detached there from {tensor.origin.detached}"
    if tensor.dtype.kind != "f":
        return f" ({tensor.dtype} has none: only floats do)"
    return ": write requires_grad=True; or it is a constant, made by detach(), .data or under no_grad()"


def _detached_uses(tensor: Tensor, out: Tensor) -> list[str]:
    """Return a line for each operation that uses the tensor's values as a constant."""
    lines = []
    for node in ancestors(out):
        for x in node.inputs:
            if not x.requires_grad and x.shape == tensor.shape and np.array_equal(x._array, tensor._array):
                how = f"it was detached at {x.origin}" if x.origin.detached else f"taken by .data, at {x.origin}"
                lines.append(f"    its values are used as a constant by {tensor_summary(node)} at {node.origin}: {how}")
    return lines


def _explain_pass(tensor: Tensor, out: Tensor, head: str) -> list[str]:
    """Run the pass, explain the gradient of `tensor` in it, and restore every `.grad`."""
    timeline = Timeline(out)
    try:
        for _ in timeline.run():
            pass
        grad = timeline.gradient(tensor)
        if grad is None:
            return [f"{head} no gradient, because the operations that use it pass none on"]
        count = count_paths(tensor, out)
        paths = f"{count:,} path{'s' if count > 1 else ''}"
        lines = [f"{head} |g| {format_norm(grad)}, by {paths} from {tensor_summary(out)}"]
        if has_nan(grad):
            lines.append(f"    {explain_nan(timeline)}")
        elif not grad.any():
            lines += explain_zero(timeline, tensor)
        return [*lines, *_contributions(timeline, tensor)]
    finally:
        timeline.rewind()


def count_paths(tensor: Tensor, out: Tensor) -> int:
    """Count the paths in the graph from `out` back to `tensor`: newest first, each node adds to its inputs' counts."""
    between = nodes_between(out, {tensor})
    counts = dict.fromkeys(between, 0)
    counts[out] = 1
    for node in reversed(ancestors(out)):
        for x in node.inputs if node in between else ():
            if x in between:
                counts[x] += counts[node]
    return counts[tensor]


def _contributions(timeline: Timeline, tensor: Tensor) -> list[str]:
    """Return a line for each contribution: by lag if the tensor has a time step, else by the time step of its use."""
    if tensor.t is None:
        return [f"  {line}" for line in contribution_table(gradient_record(timeline, tensor))[1:]]
    rows = []
    for use in timeline.uses(tensor):
        node = use.step.node
        lag = "" if node.t is None else f"lag {node.t - tensor.t}"
        rows.append([lag, tensor_summary(node), f"adds {format_norm(use.contribution)}", str(node.origin)])
    return table(rows, "      ")
