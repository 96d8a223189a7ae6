"""The inspection commands of the debugger: print, list, graph."""

from __future__ import annotations

import inspect
import keyword
import os
from collections.abc import Callable
from typing import Any

from minigrad.interactive.pictures import drawing_function
from minigrad.tensor import Tensor

from .breakpoints import known_names, unknown_name
from .derivative import operand_names, run_lines
from .evaluation import CommandError, start_names
from .formatting import format_array
from .records import StepRecord
from .timeline import Timeline
from .walk import Walk

MOST_NAMES = 8  # that an error lists

PARTS = ("grad", "out", "inputs", "contributions", "totals")  # of a step
FORMER_PARTS = {"shares": "contributions"}  # accepted until version 0.3


def find_one(timeline: Timeline, name: str) -> Tensor | None:
    """Return the tensor with a name, or None; raise CommandError if there is more than one."""
    found = timeline.find(name)
    labels = list(dict.fromkeys(x.label for x in found))
    if len(labels) > MOST_NAMES:
        labels[MOST_NAMES:] = [f"... and {len(labels) - MOST_NAMES:,} more"]
    if len(labels) > 1:
        raise CommandError(f"{name} is several tensors: {', '.join(labels)}; choose one")
    return found[0] if found else None


def numbers(walk: Walk, what: str, selected: Callable[[], StepRecord]) -> list[str] | None:
    """Return the answer to `print WHAT` for a part of the selected step or for a tensor; None for an expression."""
    what = FORMER_PARTS.get(what, what)
    if what not in PARTS and (what in start_names(walk.timeline) or keyword.iskeyword(what)):
        return None
    if what in ("", *PARTS):
        record = selected()
        if record.gradient is None:
            raise CommandError(f"no gradient reaches {record.name}, so there is nothing to show")
        return [line for part in ([what] if what else ["grad", "contributions"]) for line in _part(record, part)]
    name, _, attribute = what.rpartition(".")
    if attribute not in ("data", "grad") or not name:
        name, attribute = what, ""
    tensor = find_one(walk.timeline, name)
    if tensor is None:
        if what.isidentifier() and what not in walk.evaluator.names():
            raise unknown_name(f"nothing is called {what!r} in this pass or in the program", what,
                               known_names(walk.timeline) | set(PARTS))
        return None
    lines = [] if attribute == "grad" else format_array(f"{name}.data", tensor._array)
    if attribute != "data":
        found = walk.gradient(tensor)
        before = walk.timeline.before[tensor] if tensor.op is None else None
        words = ("" if before is None else " of this pass") + ("" if found.complete else " so far")
        lines += ([f"{name}.grad{words}: none"] if found.gradient is None
                  else format_array(f"{name}.grad{words}", found.gradient))
        lines += [] if before is None else format_array(f"{name}.grad with that of earlier passes", tensor.grad)
    return lines


def _part(record: StepRecord, part: str) -> list[str]:
    """Return the numbers of one of PARTS."""
    rows: dict[str, list[tuple[str, Any]]] = {
        "grad": [(f"grad of {record.name}", record.gradient)], "out": [(record.name, record.output)],
        "inputs": [(x.name, x.value) for x in record.inputs],
        "contributions": [(f"added to {x.name}", x.contribution) for x in record.inputs],
        "totals": [(f"sum for {x.name}", x.total) for x in record.inputs]}
    return [line for name, array in rows[part]
            for line in ([f"{name}: nothing"] if array is None else format_array(name, array))]


def arguments(record: StepRecord) -> list[str]:
    """Return the answer to `args`: the arguments of the derivative by the names of its source."""
    if record.gradient is None:
        raise CommandError(f"no gradient reaches {record.name}, so its derivative isn't computed")
    names = operand_names(record.step.op)
    rows = [("grad", record.gradient), ("out", record.output)]
    rows += [(f"{names[i]}: {x.name}" if i < len(names) else x.name, x.value) for i, x in enumerate(record.inputs)]
    return [line for name, array in rows for line in format_array(name, array)]


def source(record: StepRecord) -> list[str]:
    """Return the user's line that created the tensor, and the source of the derivative; -> marks the lines that ran."""
    lines = [f"{record.step.origin}: {record.code}" if record.code else str(record.step.origin)]
    op = record.step.op
    method = type(op).backward
    try:
        rows, first = inspect.getsourcelines(method)
    except (OSError, TypeError):
        return [*lines, f"the source of {type(op).__name__}.backward can't be read"]
    lines.append(f"{os.path.basename(inspect.getsourcefile(method) or '')}: {op!r}")
    derivative = run_lines(record.step)
    ran = {line.number for line in derivative.lines} if derivative else set()
    return lines + [f"{first + number:5} {'->' if first + number in ran else '  '} {row.rstrip()}"
                    for number, row in enumerate(rows)]


def draw(timeline: Timeline, file: str) -> str:
    """Draw the graph with the current gradients to a file; return a line that says where."""
    try:
        graph = drawing_function("graph")
    except LookupError as error:
        raise CommandError(str(error)) from None
    graph(timeline.steps.out, highlight=[timeline.current.node] if timeline.current else []).render(outfile=file)
    return f"written: {os.path.abspath(file)}"
