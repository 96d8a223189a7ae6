"""What the debugger says of a tensor, a step and a moment: plain text, a line a thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.steps import Step
from minigrad.tensor import Tensor

from .timeline import Timeline

MOST = 24  # rows of a table; the middle of a longer one is left out


def norm(array: Any) -> float:
    """The Euclidean length of all numbers in an array."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.ravel(array)))


def size(array: Any) -> str:
    """The norm as text; `none` where there is no array."""
    return "none" if array is None else f"{norm(array):.1e}"


def operation(tensor: Tensor) -> str:
    """The name of the operation that made a tensor, small; nothing for a leaf."""
    return type(tensor.op).__name__.lower() if tensor.op else ""


def called(tensor: Tensor) -> str:
    """A tensor's name, or what it is: `h[3]`, `U`, `add in h[3]`."""
    if tensor.label:
        return tensor.label
    place = f" in {tensor.signal}[{tensor.t}]" if tensor.signal else ""
    return f"{operation(tensor) or 'unnamed'}{place}"


def described(tensor: Tensor) -> str:
    """A tensor's name or place, operation and shape: `h[3] tanh (4, 8)`, `in h[3] add (4, 8)`."""
    name = tensor.label or (f"in {tensor.signal}[{tensor.t}]" if tensor.signal else "")
    return " ".join(word for word in (name, operation(tensor), str(tensor.shape)) if word)


def table(rows: Iterable[Iterable[str]], indent: str = "    ") -> list[str]:
    """Rows of words as aligned lines; where there are too many the middle is left out."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [indent + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths)).rstrip() for row in cells]
    if len(lines) > MOST:
        half = MOST // 2
        lines[half:-half] = [f"{indent}... {len(lines) - 2 * half} more ..."]
    return lines


def headline(step: Step, total: int) -> str:
    """One line on a step: its number, time, tensor, operation, shape, incoming gradient and line."""
    words = [f"step {step.number} of {total}", "" if step.t is None else f"t={step.t}", described(step.node),
             "no gradient reaches it" if step.grad is None else f"|g| in {size(step.grad)}", str(step.origin)]
    return "  ".join(word for word in words if word)


def shares(step: Step) -> list[str]:
    """A line for each input: what the step adds to its gradient, and the sum so far."""
    rows = []
    for x, share, total in zip(step.node.inputs, step.input_grads, step.totals):
        if share is None:
            rows.append(["  " + called(x), str(x.shape), "gets none" if x.requires_grad else "needs no gradient"])
        else:
            rows.append(["+ " + called(x), str(x.shape), f"adds {size(share)}  sum {size(total)}"])
    return table(rows)


def moment(timeline: Timeline) -> list[str]:
    """Where the pass stands: the step that has just run and what it added, or the start."""
    step = timeline.now
    total = len(timeline.steps)
    if step is None:
        out = timeline.steps.out
        return [f"start of the backward pass: {total} steps back from {described(out)}  "
                f"|g| {size(timeline.steps.gradients[out])}  {out.origin}"]
    end = ["end of the backward pass: every gradient is complete"] if timeline.ended else []
    return [headline(step, total), *shares(step), *end]


def contributions(timeline: Timeline, tensor: Tensor) -> list[str]:
    """What each step so far added to a tensor's gradient, and the running sum."""
    uses = timeline.uses(tensor)
    rows = [["-" if use.step.t is None else f"t={use.step.t}", f"step {use.step.number}", called(use.step.node),
             f"adds {size(use.share)}", f"sum {size(use.step.totals[use.position])}"] for use in uses]
    return [f"{called(tensor)} {tensor.shape}, contributions so far: {len(uses)}", *table(rows)]


def path(timeline: Timeline) -> list[str]:
    """The way that most of the current gradient came: from the end of the forward pass down to here."""
    step = timeline.now
    chain = [step.node if step else timeline.steps.out]
    while uses := timeline.uses(chain[-1]):
        largest = max(uses, key=_weight)
        chain.append(largest.step.node)
    rows = [["->" if node is chain[0] else "", f"step {timeline.numbers[node]}", called(node), operation(node),
             str(node.shape), f"|g| {size(timeline.gradient(node))}", str(node.origin)] for node in reversed(chain)]
    return table(rows, "  ")


def _weight(use: Any) -> float:
    weight = norm(use.share)
    return float("inf") if np.isnan(weight) else weight


def gradients(timeline: Timeline, tensors: list[Tensor]) -> list[str]:
    """A line a tensor: its gradient at this moment."""
    rows = []
    for tensor in tensors:
        found = timeline.gradient(tensor)
        row = [called(tensor), str(tensor.shape), f"|g| {size(found)}"]
        if found is None:
            row += ["", "not yet" if not timeline.complete(tensor) else "no gradient reaches it"]
        else:
            row += [extent(found), "" if timeline.complete(tensor) else "so far"]
        rows.append(row)
    return table(rows)


def extent(array: Any) -> str:
    """The range of the numbers in an array, and how many of them are zero, NaN or infinite."""
    finite = array[np.isfinite(array)]
    words = [f"from {finite.min():.1e} to {finite.max():.1e}"] if finite.size else []
    for count, what in [(np.isnan(array).sum(), "NaN"), (np.isinf(array).sum(), "Inf"), ((array == 0).sum(), "zero")]:
        if count:
            words.append(f"{int(count)} of {array.size} {what}")
    return ", ".join(words) or "empty"


def values(name: str, array: Any) -> list[str]:
    """An array in full where it is small, its edges where it is large."""
    text = np.array2string(np.asarray(array), precision=4, threshold=100, edgeitems=3, max_line_width=92)
    rows = [f"    {line}" for line in text.splitlines()]
    shape = np.shape(array)
    return [f"{name} {shape}  norm {size(array)}  {extent(np.asarray(array))}" if shape else f"{name} = {text}",
            *(rows if shape else [])]
