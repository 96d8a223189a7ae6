"""The frames of a stop: the chain of largest contributions from the current step to the loss, and a derivative's lines.

Frame 1 is the line that called backward(), at the bottom; frame 2 the derivative that is stepped through, at the top;
frame 2 + n is step n.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from minigrad.debugger.derivative import Derivative, Line, run_lines
from minigrad.debugger.evaluation import CommandError, start_names
from minigrad.debugger.records import StepRecord, largest_chain
from minigrad.debugger.walk import Walk
from minigrad.provenance import Origin
from minigrad.steps import Step

from .variables import GRADIENT, Item, Variables

CALLER, INSIDE = 1, 2  # numbers of frames


class Stack:
    """The frames of a pass at its position.

    Attributes:
        walk: the pass.
        caller: the line that called backward().
        derivative: that of the current step, while it is stepped through.
        index: the position among its lines.
        passed: whether the lines of the current step were stepped through to their end.
    """

    def __init__(self, walk: Walk, caller: Origin) -> None:
        self.walk = walk
        self.caller = caller
        self.derivative: Derivative | None = None
        self.index = 0
        self.passed = False
        self._chain: list[int] | None = None  # numbers of steps, from the top

    # ---- the lines of a derivative
    @property
    def line(self) -> Line | None:
        """The line of the derivative that runs next; None outside of it."""
        return self.derivative.lines[self.index] if self.derivative else None

    def enter(self, number: int | None = None) -> bool:
        """Enter the derivative of the current step, at its first line or a given one; return whether it has lines."""
        step = self.walk.timeline.current
        found = run_lines(step) if step is not None and not self.walk.timeline.failed else None
        if found is None or not found.lines:
            return False
        numbers = [line.number for line in found.lines]
        self.derivative, self.index = found, numbers.index(number) if number in numbers else 0
        return True

    def leave(self, passed: bool) -> None:
        """Return to the frame of the step."""
        self.derivative = None
        self.passed = passed

    def move_line(self, distance: int) -> None:
        """Go to the next line of the derivative, or to the previous one; beyond its ends, to the frame of the step."""
        assert self.derivative is not None
        self.index += distance
        if not 0 <= self.index < len(self.derivative.lines):
            self.leave(passed=distance > 0)

    def moved(self) -> None:
        """Note that the walk has moved."""
        self.derivative, self.passed, self._chain = None, False, None

    # ---- frames
    @property
    def top(self) -> Step | None:
        """The step at the top: the one that has just run, or that can't run; None at the start."""
        timeline = self.walk.timeline
        return timeline.steps[timeline.position] if timeline.failed else timeline.current

    def chain(self) -> list[int]:
        """Return the numbers of the steps on the chain of largest contributions, from the top."""
        if self._chain is None:
            timeline = self.walk.timeline
            tensors = largest_chain(timeline, self.top.node) if self.top else []
            self._chain = [timeline.numbers[tensor] for tensor in tensors]
        return self._chain

    def frames(self, start: int, levels: int) -> dict[str, Any]:
        """Answer stackTrace: `levels` frames from number `start`, or all."""
        numbers = [*([INSIDE] if self.derivative else []), *(INSIDE + number for number in self.chain()), CALLER]
        shown = numbers[start:start + levels if levels else None]
        return {"stackFrames": [self._frame(number) for number in shown], "totalFrames": len(numbers)}

    def _frame(self, number: int) -> dict[str, Any]:
        if number == CALLER:
            return _frame(number, "backward()", self.caller.file, self.caller.line)
        if number == INSIDE:
            assert self.derivative is not None and self.line is not None
            return _frame(number, self.derivative.name, self.derivative.file, self.line.number)
        record = self.record(number)
        return _frame(number, frame_name(record), record.file, record.line)

    def record(self, frame: int) -> StepRecord:
        """Return the record of the step of a frame."""
        steps = self.walk.timeline.steps
        number = frame - INSIDE
        last = self.top.number if self.top else 0
        if not 1 <= number <= last:
            raise CommandError(f"there is no frame {frame} at this position of the pass")
        return self.walk.record(steps[number - 1])

    def step_of(self, frame: int | None) -> Step | None:
        """Return the step whose numbers an expression in a frame sees; None: those of the position itself."""
        if frame in (None, INSIDE):
            return self.top
        return None if frame == CALLER else self.record(frame).step

    def locals_of(self, frame: int | None) -> Mapping[str, Any]:
        """Return the further names that an expression in a frame sees."""
        if frame == CALLER:
            return start_names(self.walk.timeline)
        return self.line.names if self.line is not None and frame in (None, INSIDE) else {}

    # ---- scopes
    def scopes(self, frame: int, variables: Variables) -> list[dict[str, Any]]:
        """Answer scopes: the groups of variables of a frame."""
        if frame == INSIDE:
            line = self.line
            if line is None:
                raise CommandError("no derivative is stepped through: 'step into' does that")
            local = [Item(name, value, name, GRADIENT if name == "grad" else "norm")
                     for name, value in line.names.items()]
            groups = {"Locals": local}
        else:
            groups = _start_items(self.walk) if frame == CALLER else step_items(self.record(frame))
        found = [_scope(name, variables.add(lambda items=items: items), len(items))  # type: ignore[misc]
                 for name, items in groups.items()]
        leaves = sum(x.op is None for x in self.walk.timeline.tensors)
        return [*found, _scope("Parameters", variables.add(self._parameters), leaves)]

    def _parameters(self) -> list[Item]:
        return _distinct([Item(x.name, x.gradient, "", GRADIENT, "" if x.complete else "so far")
                          for x in self.walk.parameters()])


def frame_name(record: StepRecord) -> str:
    """Return the name of a step's frame: "h[3] tanh", "U @ h[2]  t = 3"."""
    return record.title if record.t is None or record.tensor.label else f"{record.title}  t = {record.t}"


def _frame(number: int, name: str, file: str, line: int) -> dict[str, Any]:
    source = {"name": os.path.basename(file)}
    if os.path.isfile(file):
        source["path"] = os.path.abspath(file)
    return {"id": number, "name": name, "source": source, "line": line, "column": 1, "canRestart": number > INSIDE}


def _scope(name: str, reference: int, count: int) -> dict[str, Any]:
    return {"name": name, "variablesReference": reference, "namedVariables": count, "expensive": False,
            **({"presentationHint": "locals"} if name == "Locals" else {})}


def _start_items(walk: Walk) -> dict[str, list[Item]]:
    """Return the items of the frame that called backward(): the gradient from which the pass starts."""
    loss = walk.timeline.steps.out
    return {"Gradient": [Item("grad", walk.gradient(loss).gradient, "", GRADIENT)],
            "Output": [Item("out", loss._array)]}


def step_items(record: StepRecord) -> dict[str, list[Item]]:
    """Return the items of a step's frame, by scope."""
    reached = "" if record.gradient is not None else "(no gradient reaches it)"
    inputs = list(enumerate(record.inputs))
    return {
        "Gradient": [Item("grad", record.gradient, "grad", GRADIENT, reached)],
        "Output": [Item("out", record.output, "out")],
        "Inputs": _distinct([Item(x.name, x.value, f"inputs[{i}]") for i, x in inputs]),
        "Contributions": _distinct([
            Item(x.name, x.contribution, f"contributions[{i}]", GRADIENT,
                 "" if x.tensor.requires_grad else "(needs no gradient)") for i, x in inputs]),
        "Totals": _distinct([
            Item(x.name, x.total, f"totals[{i}]", GRADIENT,
                 "" if x.complete or not x.tensor.requires_grad else "so far") for i, x in inputs])}


def _distinct(items: list[Item]) -> list[Item]:
    """Number the items that have the same name: editors tell rows apart by their names."""
    seen: dict[str, int] = {}
    found = []
    for item in items:
        seen[item.name] = seen.get(item.name, 0) + 1
        found.append(item if seen[item.name] == 1 else item._replace(name=f"{item.name} ({seen[item.name]})"))
    return found
