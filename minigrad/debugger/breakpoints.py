"""Breakpoints of the debugger: one class for each kind, and the parser of the `break` command.

A breakpoint examines the step that has just run and returns the reason to stop there, or None. Only
the condition of `break python` is evaluated as code: the user's own, on the user's machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import CodeType
from typing import ClassVar

import numpy as np

from minigrad.formats.describe import operation_name
from minigrad.steps import Step

from .diagnosis import nan_at, zero_at
from .formatting import norm
from .timeline import Timeline


class CommandError(ValueError):
    """A command can't be run; the message is one line for the user."""


class Breakpoint:
    """Base class of all kinds.

    Attributes:
        form: how the kind is written; its first word is the kind's name.
        argument: the rest of the command, e.g. "h[3]" of "node h[3]".
        number: its number in the session; 0 for the target of `until`.
        hits: how often it stopped the pass.
    """

    form: ClassVar[str]

    def __init__(self, argument: str) -> None:
        self.argument = argument
        self.number = 0
        self.hits = 0

    def check(self, timeline: Timeline) -> None:
        """Raise CommandError if the argument names nothing in this pass."""

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        """Return why to stop after this step, or None."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.form.split()[0] + (f" {self.argument}" if self.argument else "")


class AtNode(Breakpoint):
    """Stop when the gradient of a tensor is complete: `node h[3]`, or `node h` at every time step."""

    form = "node NAME"

    def check(self, timeline: Timeline) -> None:
        name = self.argument
        found = timeline.find(name)
        if not found:
            raise unknown_name(f"no tensor is called {name!r} in this pass", name, known_names(timeline))
        if all(x.op is None for x in found):
            raise CommandError(f"{name} is a leaf and has no step of its own: 'param {name}' stops at each "
                               "contribution to it")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return f"the gradient of {step.node.label}" if self.argument in (step.node.label, step.node.name) else None


class AtSignal(Breakpoint):
    """Stop when the gradient of a signal is complete, at every time step."""

    form = "signal NAME"

    def check(self, timeline: Timeline) -> None:
        signals = {step.signal for step in timeline.steps if step.signal}
        if self.argument not in signals:
            raise unknown_name(f"there is no signal {self.argument!r} in this pass", self.argument, signals)

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        copy = step.node.name == step.signal == self.argument
        return f"the gradient of {step.node.label}" if copy else None


class AtParameter(Breakpoint):
    """Stop after each step that contributes to a leaf."""

    form = "param NAME"

    def check(self, timeline: Timeline) -> None:
        if not timeline.find(self.argument):
            leaves = {x.label for x in timeline.tensors if x.op is None and x.label}
            raise unknown_name(f"no tensor is called {self.argument!r} in this pass", self.argument, leaves)

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        for x, grad in zip(step.node.inputs, step.input_grads):
            if grad is not None and x.label and self.argument in (x.label, x.name):
                return f"a contribution to {x.label}"
        return None


class AtOperation(Breakpoint):
    """Stop at the derivative of an operation, e.g. `op tanh`."""

    form = "op NAME"

    def check(self, timeline: Timeline) -> None:
        known = {operation_name(step.node) for step in timeline.steps}
        if self.argument.lower() not in known:
            raise unknown_name(f"no operation {self.argument!r} in this pass", self.argument.lower(), known)

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return f"operation {operation_name(step.node)}" if operation_name(step.node) == self.argument.lower() else None


class AtTime(Breakpoint):
    """Stop when the pass enters a time step."""

    form = "t NUMBER"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.t = parse_int(argument, "a time step")

    def check(self, timeline: Timeline) -> None:
        known = sorted({step.t for step in timeline.steps if step.t is not None})
        if self.t not in known:
            range_ = f"there are t = {known[0]} to {known[-1]}" if known else "no step has a time"
            raise CommandError(f"there is no t = {self.t} in this pass: {range_}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        before = timeline.steps[step.number - 2].t if step.number > 1 else None
        return f"time step {self.t} begins" if step.t == self.t != before else None


class AtNorm(Breakpoint):
    """Stop when the norm of the upstream gradient is above or below a number: `norm > 10`, `norm < 1e-6`."""

    form = "norm > NUMBER"

    def __init__(self, argument: str) -> None:
        sign, number = argument[:1], argument[1:].strip()
        if sign not in ("<", ">"):
            raise CommandError("norm needs a comparison: 'norm > 10' or 'norm < 1e-6'")
        try:
            self.limit = float(number)
        except ValueError:
            raise CommandError(f"{number!r} is not a number: 'norm > 10' or 'norm < 1e-6'") from None
        super().__init__(f"{sign} {number}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        if step.grad is None:
            return None
        size = norm(step.grad)
        met = size > self.limit if self.argument[0] == ">" else size < self.limit
        return f"|g| = {size:.1e} {self.argument}" if met else None


class AtZero(Breakpoint):
    """Stop when a gradient vanishes: the upstream gradient isn't zero, and a contribution is exactly zero."""

    form = "zero"

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return zero_at(step)


class AtNan(Breakpoint):
    """Stop when a NaN first appears, in the forward data or in a gradient."""

    form = "nan"

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return nan_at(step, timeline)


class Condition(Breakpoint):
    """Stop when a Python expression of node, step, grad, t, signal, op, norm and np is true."""

    form = "python CONDITION"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        try:
            self.code: CodeType = compile(argument.strip(), "<condition>", "eval")
        except (SyntaxError, ValueError) as error:
            raise CommandError(f"not a Python expression: {error}") from None
        self.error: str | None = None  # the first one that it raised
        self.reported = False

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        size = float("nan") if step.grad is None else norm(step.grad)
        variables = {"node": step.node, "step": step, "grad": step.grad, "t": step.t, "signal": step.signal,
                     "op": operation_name(step.node), "norm": size, "np": np}
        try:
            return self.argument if eval(self.code, variables) else None
        except Exception as error:
            self.error = self.error or f"step {step.number}: {type(error).__name__}: {error}"
            return None


KINDS: dict[str, type[Breakpoint]] = {kind.form.split()[0]: kind for kind in (
    AtNode, AtSignal, AtParameter, AtOperation, AtTime, AtNorm, AtZero, AtNan, Condition)}


def parse(text: str) -> Breakpoint:
    """Return the breakpoint for a text such as `node h[3]`, `norm > 1` or `nan`; raise CommandError if it is none."""
    word, argument = split_kind(text)
    if word not in KINDS:
        forms = ", ".join(kind.form for kind in KINDS.values())
        raise CommandError(f"{word!r} is not a kind of breakpoint; the kinds are: {forms}")
    kind = KINDS[word]
    if bool(argument) != (" " in kind.form):
        raise CommandError(f"{kind.form} takes no argument, not {argument!r}" if argument else f"write: {kind.form}")
    return kind(argument)


def split_kind(text: str) -> tuple[str, str]:
    """Split a text into the kind of breakpoint and its argument; accepts `norm>1` too."""
    word, _, rest = text.strip().partition(" ")
    if word.startswith(("norm>", "norm<")):
        word, rest = "norm", text.strip()[4:]
    return word, rest.strip()


def parse_int(text: str, meaning: str) -> int:
    """Return the integer in a text; raise a CommandError that says what it should be (`meaning`) if it isn't one."""
    try:
        return int(text)
    except ValueError:
        raise CommandError(f"{text!r} is not {meaning}: write a whole number") from None


def known_names(timeline: Timeline) -> set[str]:
    """Return the names and labels of all tensors of a pass: h[3], h, U."""
    return {name for x in timeline.tensors for name in (x.label, x.name) if name}


def unknown_name(problem: str, name: str, known: Iterable[str]) -> CommandError:
    """Return an error that lists the known names most similar to `name`."""
    ordered = sorted(set(known))
    near = difflib.get_close_matches(name, ordered, 3) or ordered[:8]
    return CommandError(f"{problem}; there is {', '.join(near)}" if near else problem)
