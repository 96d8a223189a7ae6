"""Python expressions of the user on a step: conditions of breakpoints, log messages, `print` and watches.

An expression sees the step's numbers (`grad`, `out`, `x`, ...), the tensors of the pass by their names, and the
variables of the program where it called `backward()`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import CodeType, FrameType
from typing import Any

import numpy as np

from minigrad.formats.describe import operation_name
from minigrad.formats.norms import norm
from minigrad.steps import Step

from .derivative import operand_names
from .timeline import Timeline


class CommandError(ValueError):
    """A command can't be run; the message is one line for the user."""


def step_names(step: Step) -> dict[str, Any]:
    """Return the names that an expression may use for a step, with their values.

    They are `grad` (the upstream gradient), `out` (the result), `x` (the first input) and the other operands by the
    names of the derivative's source, `inputs`, `contributions`, `totals`, `t`, `signal`, `op`, `norm`, `node`,
    `step` and `np`.
    """
    values = [x._array for x in step.node.inputs]
    size = float("nan") if step.grad is None else norm(step.grad)
    return {"x": values[0] if values else None, **dict(zip(operand_names(step.op), values)),
            "grad": step.grad, "out": step.node._array, "inputs": values, "contributions": step.input_grads,
            "totals": step.totals, "t": step.t, "signal": step.signal, "op": operation_name(step.node), "norm": size,
            "node": step.node, "step": step, "np": np}


class Expression:
    """A condition: a Python expression that is evaluated at a step.

    Attributes:
        text: its source.
        error: the first error that it raised, with the number of the step; None if it raised none.
        reported: whether the error has been shown.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.code: CodeType = compile_expression(self.text)
        self.error: str | None = None
        self.reported = False

    def holds(self, step: Step) -> bool:
        """Return whether it is true at a step; False where it raises an error, which is kept."""
        try:
            return bool(eval(self.code, step_names(step)))
        except Exception as error:
            self.error = self.error or f"step {step.number}: {type(error).__name__}: {error}"
            return False


def compile_expression(text: str) -> CodeType:
    """Return the code of an expression; raise CommandError if it is none."""
    try:
        return compile(text.strip(), "<expression>", "eval")
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"not a Python expression: {error}") from None


class HitCount:
    """Which hits of a breakpoint stop the pass: `3` (the third), `>= 3`, `> 3`, `== 3` or `% 3` (each third)."""

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"\s*(>=|>|==|=|<=|<|%)?\s*(\d+)\s*", text)
        if match is None or not int(match[2]):
            raise CommandError(f"{text!r} is not a hit condition: write 3, == 3, >= 3, > 3, < 3, <= 3 or % 3")
        self.sign, self.number = match[1] or "==", int(match[2])

    def includes(self, hits: int) -> bool:
        """Return whether the hit with this number, from 1, stops the pass."""
        n = self.number
        answers = {">=": hits >= n, ">": hits > n, "<": hits < n, "<=": hits <= n, "%": hits % n == 0}
        return answers.get(self.sign, hits == n)


class LogMessage:
    """A message with expressions in braces: `|g| of {step.name} is {norm:.1e}`, as an f-string."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = compile_expression("f" + repr(text))

    def format(self, step: Step) -> str:
        """Return the message at a step; an error in an expression in its place."""
        try:
            return str(eval(self.code, step_names(step)))
        except Exception as error:
            return f"{self.text} ({type(error).__name__}: {error})"


class Evaluator:
    """Evaluates expressions and statements during one pass.

    Attributes:
        variables: names that statements of the user have assigned.
    """

    def __init__(self, timeline: Timeline, frame: FrameType | None = None) -> None:
        self.timeline = timeline
        self.program = {**frame.f_globals, **frame.f_locals} if frame is not None else {}
        self.tensors = _tensors_by_name(timeline)
        self.variables: dict[str, Any] = {}

    def names(self, step: Step | None = None, local: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return every name at a step: variables of the program, tensors, the step's numbers, `local`, the user's."""
        step = step or self.timeline.current
        numbers = step_names(step) if step else {"np": np, "grad": self.timeline.gradient(self.timeline.steps.out)}
        return {**self.program, **self.tensors, **numbers, **(local or {}), **self.variables}

    def evaluate(self, text: str, step: Step | None = None, local: Mapping[str, Any] | None = None) -> Any:
        """Return the value of an expression at a step, by default the current one.

        Raises CommandError for anything else, and for an error in it.
        """
        code = compile_expression(text)
        try:
            return eval(code, self.names(step, local))
        except Exception as error:
            raise CommandError(f"{type(error).__name__}: {error}") from None

    def execute(self, text: str, step: Step | None = None, local: Mapping[str, Any] | None = None) -> Any:
        """Run an expression or a statement; return the value of an expression, else None. Assigned names are kept."""
        if _is_expression(text):
            return self.evaluate(text, step, local)
        names = self.names(step, local)
        before = dict(names)
        try:
            exec(compile(text.strip(), "<statement>", "exec"), names)
        except Exception as error:
            raise CommandError(f"{type(error).__name__}: {error}") from None
        names.pop("__builtins__", None)
        self.variables.update({name: value for name, value in names.items()
                               if name not in before or before[name] is not value})
        return None


def _is_expression(text: str) -> bool:
    try:
        compile(text.strip(), "<expression>", "eval")
    except (SyntaxError, ValueError):
        return False
    return True


def _tensors_by_name(timeline: Timeline) -> dict[str, Any]:
    """Return the tensors of a pass by name: `U`, and `h[3]` as the item 3 of a dict `h`."""
    found: dict[str, Any] = {}
    for tensor in timeline.tensors:
        if tensor.name is None or not tensor.name.isidentifier():
            continue
        if tensor.t is None:
            found.setdefault(tensor.name, tensor)
        elif isinstance(steps := found.setdefault(tensor.name, {}), dict):
            steps.setdefault(tensor.t, tensor)
    return found
