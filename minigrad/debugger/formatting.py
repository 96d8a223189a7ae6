"""Text formatting for the debugger: tensors, steps, and the current position in the pass, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.formats.describe import operation_name, tensor_name, tensor_summary
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .records import norm
from .timeline import Timeline

MAX_ROWS = 24  # of a table; the middle of a longer one is left out


def format_norm(array: Any) -> str:
    """Return the norm as text; "none" for None."""
    return "none" if array is None else f"{norm(array):.1e}"


def table(rows: Iterable[Iterable[str]], indent: str = "    ") -> list[str]:
    """Return rows of words as aligned lines, at most MAX_ROWS of them."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [indent + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths)).rstrip() for row in cells]
    if len(lines) > MAX_ROWS:
        half = MAX_ROWS // 2
        lines[half:-half] = [f"{indent}... {len(lines) - 2 * half} more ..."]
    return lines


def step_line(step: Step, total: int) -> str:
    """Return a line on a step: its number, time step, tensor, operation, shape, upstream gradient and source line."""
    words = [f"step {step.number} of {total}", "" if step.t is None else f"t={step.t}", tensor_summary(step.node),
             "no gradient reaches it" if step.grad is None else f"|g| in {format_norm(step.grad)}", str(step.origin)]
    return "  ".join(filter(None, words))


def input_lines(step: Step) -> list[str]:
    """Return a line for each input: what the step adds to its gradient, and the sum so far."""
    rows = []
    for x, grad, total in zip(step.node.inputs, step.input_grads, step.totals):
        if grad is None:
            rows.append(["  " + tensor_name(x), str(x.shape), "gets none" if x.requires_grad else "needs no gradient"])
        else:
            rows.append(["+ " + tensor_name(x), str(x.shape), f"adds {format_norm(grad)}  sum {format_norm(total)}"])
    return table(rows)


def position_lines(timeline: Timeline) -> list[str]:
    """Return the current position: the step that has just run and its contributions, or the start."""
    step = timeline.current
    total = len(timeline.steps)
    if step is None:
        out = timeline.steps.out
        return [f"start of the backward pass: {total} steps back from {tensor_summary(out)}  "
                f"|g| {format_norm(timeline.gradient(out))}  {out.origin}"]
    end = ["end of the backward pass: every gradient is complete"] if timeline.finished else []
    return [step_line(step, total), *input_lines(step), *end]


def contribution_table(timeline: Timeline, tensor: Tensor) -> list[str]:
    """Return what each step so far added to a tensor's gradient, and the running sum."""
    uses = timeline.uses(tensor)
    rows = [["-" if use.step.t is None else f"t={use.step.t}", f"step {use.step.number}", tensor_name(use.step.node),
             f"adds {format_norm(use.contribution)}", f"sum {format_norm(use.step.totals[use.position])}"]
            for use in uses]
    return [f"{tensor_name(tensor)} {tensor.shape}, contributions so far: {len(uses)}", *table(rows)]


def largest_path(timeline: Timeline) -> list[str]:
    """Return the chain of largest contributions from the loss to the current tensor."""
    step = timeline.current
    chain = [step.node if step else timeline.steps.out]
    while uses := timeline.uses(chain[-1]):
        largest = int(np.argmax([norm(use.contribution) for use in uses]))  # to argmax a NaN is the largest
        chain.append(uses[largest].step.node)
    rows = [["->" if node is chain[0] else "", f"step {timeline.numbers[node]}", tensor_name(node),
             operation_name(node), str(node.shape), f"|g| {format_norm(timeline.gradient(node))}", str(node.origin)]
            for node in reversed(chain)]
    return table(rows, "  ")


def gradient_table(timeline: Timeline, tensors: Iterable[Tensor]) -> list[str]:
    """Return a line for each tensor: its gradient at the current position."""
    rows = []
    for tensor in tensors:
        grad, complete = timeline.gradient(tensor), timeline.is_complete(tensor)
        row = [tensor_name(tensor), str(tensor.shape), f"|g| {format_norm(grad)}"]
        if grad is None:
            row += ["", "no gradient reaches it" if complete else "not yet"]
        else:
            row += [value_range(grad), "" if complete else "so far"]
        rows.append(row)
    return table(rows)


def value_range(array: Any) -> str:
    """Return the range of the finite elements, and how many elements are zero, NaN or infinite."""
    finite = array[np.isfinite(array)]
    words = [f"from {finite.min():.1e} to {finite.max():.1e}"] if finite.size else []
    for count, kind in [(np.isnan(array).sum(), "NaN"), (np.isinf(array).sum(), "Inf"), ((array == 0).sum(), "zero")]:
        if count:
            words.append(f"{int(count)} of {array.size} {kind}")
    return ", ".join(words) or "empty"


def format_array(name: str, array: Any) -> list[str]:
    """Return a heading and the elements of an array: all of a small one, the edges of a large one."""
    text = np.array2string(np.asarray(array), precision=4, threshold=100, edgeitems=3, max_line_width=92)
    shape = np.shape(array)
    if not shape:
        return [f"{name} = {text}"]
    return [f"{name} {shape}  norm {format_norm(array)}  {value_range(np.asarray(array))}",
            *(f"    {line}" for line in text.splitlines())]
