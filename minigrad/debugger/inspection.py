"""What the debugger shows of a moment when asked: numbers, sources, the local Jacobian, a picture."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from minigrad.steps import Step
from minigrad.tensor import Tensor

from . import formatting as stops
from .breakpoints import Refused, names, unknown
from .jacobian import report
from .timeline import Timeline

PARTS = ("grad", "out", "inputs", "shares", "totals")


def current(timeline: Timeline) -> Step:
    """The step that has just run.

    Raises:
        Refused: at the start, where none has.
    """
    if timeline.now is None:
        raise Refused("no step has run yet: 'step' runs the first")
    return timeline.now


def reached(timeline: Timeline) -> Step:
    """The step that has just run, where a gradient reached it."""
    step = current(timeline)
    if step.grad is None:
        raise Refused(f"no gradient reaches {stops.called(step.node)}, so there is nothing to show")
    return step


def the(timeline: Timeline, name: str) -> Tensor:
    """The only tensor that is called so.

    Raises:
        Refused: where there is none, or several.
    """
    found = timeline.named(name)
    if not found:
        raise Refused(unknown(f"nothing is called {name!r} in this pass", name, names(timeline) | set(PARTS)))
    if len({x.label for x in found}) > 1:
        raise Refused(f"{name} is several tensors: {', '.join(x.label for x in found[:8])}; choose one")
    return found[0]


def printed(timeline: Timeline, what: str) -> list[str]:
    """The answer to `print WHAT`."""
    if what in ("", *PARTS):
        step = reached(timeline)
        return [line for part in ([what] if what else ["grad", "shares"]) for line in _part(step, part)]
    name, _, attribute = what.rpartition(".")
    if attribute not in ("data", "grad") or not name:
        name, attribute = what, ""
    tensor = the(timeline, name)
    lines = [] if attribute == "grad" else stops.values(f"{name}.data", tensor._data)
    if attribute != "data":
        found = timeline.gradient(tensor)
        so_far = "" if timeline.complete(tensor) else " so far"
        lines += [f"{name}.grad: none{so_far}"] if found is None else stops.values(f"{name}.grad{so_far}", found)
    return lines


def _part(step: Step, part: str) -> list[str]:
    if part == "grad":
        return stops.values(f"grad of {stops.called(step.node)}", step.grad)
    if part == "out":
        return stops.values(stops.called(step.node), step.node._data)
    known: dict[str, list[Any]] = {"inputs": [x._data for x in step.node.inputs], "shares": step.input_grads,
                                   "totals": step.totals}
    heads = {"inputs": "", "shares": "added to ", "totals": "sum for "}
    lines = []
    for x, array in zip(step.node.inputs, known[part]):
        name = heads[part] + stops.called(x)
        lines += [f"{name}: nothing"] if array is None else stops.values(name, array)
    return lines


def jacobian(timeline: Timeline) -> list[str]:
    """The answer to `jacobian`."""
    return report(current(timeline))


def source(timeline: Timeline) -> list[str]:
    """The user's line that made the tensor; then the derivative's source, an arrow at its first line."""
    step = current(timeline)
    origin = step.origin
    text = linecache.getline(origin.file, origin.line).strip()
    lines = [f"{origin}: {text}" if text else str(origin)]
    method = type(step.op).backward
    try:
        rows, first = inspect.getsourcelines(method)
    except (OSError, TypeError):
        return [*lines, f"the source of {type(step.op).__name__}.backward can't be read"]
    file = os.path.basename(inspect.getsourcefile(method) or "")
    body = _body(rows)
    lines.append(f"{file}: {step.op!r}")
    return lines + [f"{first + number:5} {'->' if number == body else '  '} {row.rstrip()}"
                    for number, row in enumerate(rows)]


def _body(rows: list[str]) -> int:
    """Which line is the first under the `def`, whose own may be several."""
    for number, row in enumerate(rows):
        if row.split("#")[0].rstrip().endswith(":"):
            return number + 1
    return 0


def picture(timeline: Timeline, file: str) -> str:
    """Draw the graph with the gradients of this moment; says where."""
    drawn = _drawing("graph")
    out, now = timeline.steps.out, timeline.now
    drawn(out, highlight=[now.node] if now else []).render(outfile=file)
    return f"written: {os.path.abspath(file)}"


def _drawing(name: str) -> Callable[..., Any]:
    """Load a drawing function that another package offers as an entry point of the group `minigrad.pictures`.

    Raises:
        Refused: where none is installed, or it can't be imported.
    """
    for found in entry_points(group="minigrad.pictures", name=name):
        try:
            function: Callable[..., Any] = found.load()
            return function
        except ImportError as error:
            raise Refused(f"no picture: {found.value} can't be imported ({error})") from None
    raise Refused("no picture: no installed package draws graphs (pip install minigrad-rnn brings viz)")
