"""Python expressions of the user on a step: conditions of breakpoints, log messages, `print` and watches.

An expression sees the step's numbers (`grad`, `out`, `x`, ...), variables that the user has assigned, the tensors of
the pass by their names, the operands by the names of the derivative's source, and the variables of the program where
it called `backward()`. Where several have one name, the first of these has it. Arrays of the pass are read-only: the
pass has used them, or will.
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

    They are `grad` (the upstream gradient), `out` (the result), `x` (the first input), `inputs`, `contributions`,
    `totals`, `t`, `signal`, `op`, `norm`, `node`, `step` and `np`.
    """
    values = [read_only(x._array) for x in step.node.inputs]
    size = float("nan") if step.grad is None else norm(step.grad)
    return {"x": values[0] if values else None, "grad": read_only(step.grad), "out": read_only(step.node._array),
            "inputs": values, "contributions": list(map(read_only, step.input_grads)),
            "totals": list(map(read_only, step.totals)), "t": step.t, "signal": step.signal,
            "op": operation_name(step.node), "norm": size, "node": step.node, "step": step, "np": np}


def start_names(timeline: Timeline) -> dict[str, Any]:
    """Return the same names for the start of a pass, where no step has run."""
    out = timeline.steps.out
    grad = timeline.gradient(out)
    return {"x": None, "grad": read_only(grad), "out": read_only(out._array), "inputs": [], "contributions": [],
            "totals": [], "t": None, "signal": None, "op": "", "norm": norm(grad), "node": out, "step": None, "np": np}


def operands(step: Step) -> dict[str, Any]:
    """Return the operands of a step by the names that the derivative's source gives to them."""
    return dict(zip(operand_names(step.op), [read_only(x._array) for x in step.node.inputs]))


def read_only(value: Any) -> Any:
    """Return a view of an array that can't be written to; anything else unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


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

    def holds(self, step: Step, evaluator: Evaluator | None = None) -> bool:
        """Return whether it is true at a step.

        An error in it is kept. Then it isn't true, as `t > 1` outside of a recurrence; but an unknown name, which is
        a mistake, stops the pass.
        """
        try:
            return bool(eval(self.code, evaluator.names(step) if evaluator else {**operands(step), **step_names(step)}))
        except Exception as error:
            self.error = self.error or f"step {step.number}: {type(error).__name__}: {error}"
            return isinstance(error, NameError)


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
        compile_expression("f" + repr(text))
        fields = re.split(r"(\{\{|\}\}|\{[^{}]*\})", text)  # texts and fields in turn
        self.parts = [compile_expression("f" + repr(field)) for field in fields if field]

    def format(self, names: dict[str, Any]) -> str:
        """Return the message with the values of these names; an error in an expression in its place."""
        return "".join(_format_field(part, names) for part in self.parts)


def _format_field(part: CodeType, names: dict[str, Any]) -> str:
    try:
        return str(eval(part, names))
    except Exception as error:
        return f"<{type(error).__name__}: {error}>"


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
        """Return every name at a step with its meaning; those of `local` come before all others."""
        step = step or self.timeline.current
        own, numbers = (operands(step), step_names(step)) if step else ({}, start_names(self.timeline))
        seen = {name: read_only(value) for name, value in (local or {}).items()}
        return {**self.program, **own, **self.tensors, **self.variables, **numbers, **seen}

    def note(self, text: str, step: Step | None = None) -> str | None:
        """Return a remark on a name in an expression that means the step's number, and not a variable of that name."""
        step = step or self.timeline.current
        used = set(re.findall(r"(?<![\w.])[^\W\d]\w*", text)) - {"np", "t"}
        for name in sorted(used & (step_names(step) if step else start_names(self.timeline)).keys()):
            meaning = "the first input of this operation" if name == "x" else "that of this step"
            if name in self.tensors or name in self.program:
                return f"({name} is {meaning}, not the {'tensor' if name in self.tensors else 'variable'} {name})"
        return None

    def evaluate(self, text: str, step: Step | None = None, local: Mapping[str, Any] | None = None) -> Any:
        """Return the value of an expression at a step, by default the current one.

        Raises CommandError for anything else, and for an error in it.
        """
        code = compile_expression(text)
        try:
            return eval(code, self.names(step, local))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise CommandError(f"{type(error).__name__}: {error}") from None

    def execute(self, text: str, step: Step | None = None, local: Mapping[str, Any] | None = None) -> Any:
        """Run an expression or a statement; return the value of an expression, else None. Assigned names are kept."""
        if _is_expression(text):
            return self.evaluate(text, step, local)
        names = self.names(step, local)
        before = dict(names)
        try:
            exec(compile(text.strip(), "<statement>", "exec"), names)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise CommandError(f"{type(error).__name__}: {error}") from None
        names.pop("__builtins__", None)
        changed = {name: value for name, value in names.items() if name not in before or before[name] is not value}
        taken = sorted(changed.keys() & start_names(self.timeline).keys())
        if taken:
            raise CommandError(f"{taken[0]} is a name of the step: assign to another name")
        self.variables.update(changed)
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
        elif isinstance(steps := found.setdefault(tensor.name, StepsOf(tensor.name)), dict):
            steps.setdefault(tensor.t, tensor)
    return found


class StepsOf(dict[int, Any]):
    """The tensors of a name by time step: `h[3]` in an expression."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __missing__(self, t: Any) -> Any:
        raise KeyError(f"{self.name} has no step {t!r} in this pass; it has {min(self)} to {max(self)}")
