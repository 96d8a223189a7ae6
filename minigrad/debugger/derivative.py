"""The source of an operation's derivative: its operands' names, and the lines that ran for a step, with their locals.

The derivative of a step is run once more to see its lines. It depends on its arguments alone, so the result is equal.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from minigrad.ops import Op
from minigrad.settings import override
from minigrad.steps import Step


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a derivative that is about to run.

    Attributes:
        number: its number in the file.
        names: the local variables before it runs.
    """

    number: int
    names: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Derivative:
    """The derivative of a step, as it ran.

    Attributes:
        name: "Tanh.backward".
        file: its source file.
        lines: the lines in the order in which they ran.
        result: its return value.
    """

    name: str
    file: str
    lines: tuple[Line, ...]
    result: Any


def operand_names(op: Op) -> list[str]:
    """Return the names that the derivative's source gives to the inputs, e.g. ["W", "x"]; of `*parts` none."""
    code = _code(op)
    if code is None:
        return []
    names = list(code.co_varnames[3:code.co_argcount])  # after self, grad and out
    return names[:-1] if op.selective and names else names


def source_lines(op: Op) -> tuple[str, frozenset[int]]:
    """Return the source file of an operation's derivative and the lines of its body; ("", none) if it has none."""
    code = _code(op)
    if code is None:
        return "", frozenset()
    lines = {line for _, _, line in code.co_lines() if line is not None}
    return code.co_filename, frozenset(lines - {code.co_firstlineno})


def run_lines(step: Step) -> Derivative | None:
    """Run the derivative of a step again and return the lines that ran; None if it isn't Python code, or fails."""
    code = _code(step.op)
    if code is None or step.grad is None:
        return None
    node = step.node
    needs = [[x.requires_grad for x in node.inputs]] if step.op.selective else []
    lines: list[Line] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not code:
            return None
        if event == "line":
            lines.append(Line(frame.f_lineno, dict(frame.f_locals)))
        return trace

    before = sys.gettrace()
    with override(anomaly=False), np.errstate(all="ignore"):
        sys.settrace(trace)
        try:
            result = step.op.backward(step.grad, node._array, *(x._array for x in node.inputs), *needs)
        except Exception:
            return None
        finally:
            sys.settrace(before)
    return Derivative(f"{type(step.op).__name__}.backward", code.co_filename, tuple(lines), result)


def _code(op: Op) -> CodeType | None:
    """Return the code of an operation's derivative; None if it isn't a Python function."""
    method = inspect.unwrap(type(op).backward)
    return getattr(method, "__code__", None)
