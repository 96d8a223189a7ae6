"""The inspection commands of the debugger: print, list, graph."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Sequence
from typing import Any

from minigrad.formats.describe import tensor_name
from minigrad.interactive.pictures import drawing_function
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .breakpoints import CommandError, known_names, unknown_name
from .formatting import format_array
from .timeline import Timeline

PARTS = ("grad", "out", "inputs", "contributions", "totals")  # of a step
FORMER_PARTS = {"shares": "contributions"}  # accepted until version 0.3


def current_step(timeline: Timeline) -> Step:
    """Return the step that has just run; raise CommandError at the start."""
    if timeline.current is None:
        raise CommandError("no step has run yet: 'step' runs the first")
    return timeline.current


def find_one(timeline: Timeline, name: str) -> Tensor:
    """Return the tensor with a name; raise CommandError if there is none, or more than one."""
    found = timeline.find(name)
    if not found:
        raise unknown_name(f"nothing is called {name!r} in this pass", name, known_names(timeline) | set(PARTS))
    if len({x.label for x in found}) > 1:
        raise CommandError(f"{name} is several tensors: {', '.join(x.label for x in found[:8])}; choose one")
    return found[0]


def numbers(timeline: Timeline, what: str) -> list[str]:
    """Return the answer to `print WHAT`."""
    what = FORMER_PARTS.get(what, what)
    if what in ("", *PARTS):
        step = current_step(timeline)
        if step.grad is None:
            raise CommandError(f"no gradient reaches {tensor_name(step.node)}, so there is nothing to show")
        return [line for part in ([what] if what else ["grad", "contributions"]) for line in _part(step, part)]
    name, _, attribute = what.rpartition(".")
    if attribute not in ("data", "grad") or not name:
        name, attribute = what, ""
    tensor = find_one(timeline, name)
    lines = [] if attribute == "grad" else format_array(f"{name}.data", tensor._array)
    if attribute != "data":
        grad = timeline.gradient(tensor)
        so_far = "" if timeline.is_complete(tensor) else " so far"
        lines += [f"{name}.grad: none{so_far}"] if grad is None else format_array(f"{name}.grad{so_far}", grad)
    return lines


def _part(step: Step, part: str) -> list[str]:
    """Return the numbers of one of PARTS."""
    node, inputs = step.node, step.node.inputs
    parts: dict[str, tuple[str, Sequence[Tensor], list[Any]]] = {
        "grad": ("grad of ", [node], [step.grad]), "out": ("", [node], [node._array]),
        "inputs": ("", inputs, [x._array for x in inputs]), "contributions": ("added to ", inputs, step.input_grads),
        "totals": ("sum for ", inputs, step.totals)}
    heading, tensors, arrays = parts[part]
    lines = []
    for x, array in zip(tensors, arrays):
        name = heading + tensor_name(x)
        lines += [f"{name}: nothing"] if array is None else format_array(name, array)
    return lines


def source(timeline: Timeline) -> list[str]:
    """Return the user's line that created the tensor, and the source of the derivative, an arrow at its first line."""
    step = current_step(timeline)
    origin = step.origin
    text = linecache.getline(origin.file, origin.line).strip()
    lines = [f"{origin}: {text}" if text else str(origin)]
    method = type(step.op).backward
    try:
        rows, first = inspect.getsourcelines(method)
    except (OSError, TypeError):
        return [*lines, f"the source of {type(step.op).__name__}.backward can't be read"]
    lines.append(f"{os.path.basename(inspect.getsourcefile(method) or '')}: {step.op!r}")
    # the body begins after the line that ends the signature, which may take several lines
    body = next((number + 1 for number, row in enumerate(rows) if row.split("#")[0].rstrip().endswith(":")), 0)
    return lines + [f"{first + number:5} {'->' if number == body else '  '} {row.rstrip()}"
                    for number, row in enumerate(rows)]


def draw(timeline: Timeline, file: str) -> str:
    """Draw the graph with the current gradients to a file; return a line that says where."""
    try:
        graph = drawing_function("graph")
    except LookupError as error:
        raise CommandError(str(error)) from None
    graph(timeline.steps.out, highlight=[timeline.current.node] if timeline.current else []).render(outfile=file)
    return f"written: {os.path.abspath(file)}"
