"""Text formatting for the debugger: records of a pass and the current position in it, as lines of text."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.formats.describe import tensor_name, tensor_summary
from minigrad.formats.norms import norm
from minigrad.tensor import Tensor

from .records import GradientRecord, StepRecord
from .walk import Walk

MAX_ROWS = 24  # of a table; the middle of a longer one is left out
_repr = reprlib.Repr()
_repr.maxother = _repr.maxstring = 200  # characters


def format_norm(array: Any) -> str:
    """Return the norm as text; "none" for None."""
    return "none" if array is None else f"{norm(array):.1e}"


def table(rows: Iterable[Iterable[str]], indent: str = "    ", most: int = MAX_ROWS) -> list[str]:
    """Return rows of words as aligned lines, at most `most` of them: the middle is left out."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [indent + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths)).rstrip() for row in cells]
    if len(lines) > most:
        half = most // 2
        lines[half:-half] = [f"{indent}... {len(lines) - 2 * half} more ..."]
    return lines


def step_line(record: StepRecord) -> str:
    """Return a line on a step: its number, time step, tensor, shape, upstream gradient and source line."""
    words = [f"step {record.number} of {record.count}", "" if record.t is None else f"t={record.t}",
             f"{record.title} {record.output.shape}",
             "no gradient reaches it" if record.gradient is None else f"|g| in {format_norm(record.gradient)}",
             str(record.step.origin)]
    return "  ".join(filter(None, words))


def input_lines(record: StepRecord) -> list[str]:
    """Return a line for each input: what the step adds to its gradient, and the sum so far."""
    rows = []
    for x in record.inputs:
        if x.contribution is None:
            status = "gets none" if x.tensor.requires_grad else "needs no gradient"
            rows.append(["  " + x.name, str(x.value.shape), status])
        else:
            rows.append(["+ " + x.name, str(x.value.shape),
                         f"adds {format_norm(x.contribution)}  sum {format_norm(x.total)}"])
    return table(rows)


def position_lines(walk: Walk) -> list[str]:
    """Return the current position: the step that has just run and its contributions, or the start."""
    record = walk.current
    if record is None:
        out = walk.timeline.steps.out
        return [f"start of the backward pass: {walk.count} steps from {tensor_summary(out)}  "
                f"|g| {format_norm(walk.timeline.gradient(out))}  {out.origin}"]
    end = ["end of the backward pass: every gradient is complete"] if walk.timeline.finished else []
    return [step_line(record), *input_lines(record), *end]


def contribution_table(record: GradientRecord) -> list[str]:
    """Return what each step so far added to a tensor's gradient, and the running sum."""
    rows = [["-" if use.step.t is None else f"t={use.step.t}", f"step {use.step.number}", tensor_name(use.step.node),
             f"adds {format_norm(use.contribution)}", f"sum {format_norm(use.step.totals[use.position])}"]
            for use in record.uses]
    return [f"{record.name} {record.tensor.shape}, contributions so far: {len(record.uses)}", *table(rows)]


def chain_table(chain: Sequence[StepRecord], selected: int) -> list[str]:
    """Return a line for each step of the chain from the loss to the current one; an arrow at the selected one.

    The chain begins at the current step, as `Walk.chain` returns it.
    """
    rows = [["->" if level == selected else "", f"step {record.number}", f"{record.title} {record.output.shape}",
             f"|g| {format_norm(record.gradient)}", str(record.step.origin)]
            for level, record in reversed(list(enumerate(chain)))]
    return table(rows, "  ")


def gradient_table(records: Iterable[GradientRecord]) -> list[str]:
    """Return a line for each tensor: its gradient at the current position."""
    rows = []
    for record in records:
        grad = record.gradient
        row = [record.name, str(record.tensor.shape), f"|g| {format_norm(grad)}"]
        if grad is None:
            row += ["", "no gradient reaches it" if record.complete else "not yet"]
        else:
            row += [value_range(grad), "" if record.complete else "so far"]
        rows.append(row)
    return table(rows)


def value_lines(name: str, value: Any) -> list[str]:
    """Return the value of an expression: arrays with shape and norm, anything else as Python prints it."""
    if isinstance(value, Tensor):
        return [*format_array(name, value._array), f"    {value!r}"]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub":
        return format_array(name, value)
    return [f"{name} = {_repr.repr(value)}"]


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
