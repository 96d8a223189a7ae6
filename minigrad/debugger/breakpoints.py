"""Where the debugger of backward passes stops: one small class a kind of breakpoint.

A breakpoint looks at a step that has just run, and answers why to stop there, or None. The Python
condition is the user's own, on the user's own machine; nothing else is evaluated.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import CodeType
from typing import Any, ClassVar

import numpy as np

from minigrad.steps import Step
from minigrad.tensor import Tensor

from .formatting import called, norm, operation
from .timeline import Timeline


class Refused(ValueError):
    """A command that can't be done, and why: a line for the user."""


class Breakpoint:
    """A place to stop at.

    Attributes:
        number: what `clear` calls it.
        hits: how often it was a reason to stop.
    """

    form: ClassVar[str]

    def __init__(self, words: str) -> None:
        self.words = words
        self.number = 0
        self.hits = 0

    def check(self, timeline: Timeline) -> None:
        """Raise Refused where this pass has no such thing."""

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        """Why to stop after this step, or None."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.form.split()[0] + (f" {self.words}" if self.words else "")


class AtNode(Breakpoint):
    """Stop where the gradient of a tensor is complete: `node h[3]`, or `node h` at every time step."""

    form = "node NAME"

    def check(self, timeline: Timeline) -> None:
        found = timeline.named(self.words)
        if not found:
            raise Refused(unknown(f"no tensor is called {self.words!r} in this pass", self.words, names(timeline)))
        if all(x.op is None for x in found):
            raise Refused(f"{self.words} is a leaf and has no step of its own: 'param {self.words}' stops at each "
                          "contribution to it")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return f"the gradient of {step.node.label}" if self.words in (step.node.label, step.node.name) else None


class AtSignal(Breakpoint):
    """Stop where the gradient of a signal is complete, at every time step."""

    form = "signal NAME"

    def check(self, timeline: Timeline) -> None:
        signals = {step.signal for step in timeline.steps if step.signal}
        if self.words not in signals:
            raise Refused(unknown(f"there is no signal {self.words!r} in this pass", self.words, signals))

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        copy = step.node.name == step.signal == self.words
        return f"the gradient of {step.node.label}" if copy else None


class AtParameter(Breakpoint):
    """Stop after each step that contributes to a leaf."""

    form = "param NAME"

    def check(self, timeline: Timeline) -> None:
        if not timeline.named(self.words):
            leaves = {x.label for x in timeline.tensors if x.op is None and x.label}
            raise Refused(unknown(f"no tensor is called {self.words!r} in this pass", self.words, leaves))

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        for x, share in zip(step.node.inputs, step.input_grads):
            if share is not None and x.label and self.words in (x.label, x.name):
                return f"a contribution to {x.label}"
        return None


class AtOperation(Breakpoint):
    """Stop at the derivative of an operation, e.g. `op tanh`."""

    form = "op NAME"

    def check(self, timeline: Timeline) -> None:
        known = {operation(step.node) for step in timeline.steps}
        if self.words.lower() not in known:
            raise Refused(unknown(f"no operation {self.words!r} in this pass", self.words.lower(), known))

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return f"operation {operation(step.node)}" if operation(step.node) == self.words.lower() else None


class AtTime(Breakpoint):
    """Stop where the pass enters a time step."""

    form = "t NUMBER"

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.t = whole(words, "a time step")

    def check(self, timeline: Timeline) -> None:
        known = sorted({step.t for step in timeline.steps if step.t is not None})
        if self.t not in known:
            range_ = f"there are t = {known[0]} to {known[-1]}" if known else "no step has a time"
            raise Refused(f"there is no t = {self.t} in this pass: {range_}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        before = timeline.steps[step.number - 2].t if step.number > 1 else None
        return f"time step {self.t} begins" if step.t == self.t != before else None


class AtNorm(Breakpoint):
    """Stop where the incoming gradient is longer, or shorter, than a number: `norm > 10`, `norm < 1e-6`."""

    form = "norm > NUMBER"

    def __init__(self, words: str) -> None:
        sign, number = words[:1], words[1:].strip()
        if sign not in ("<", ">"):
            raise Refused("a norm is compared: 'norm > 10' or 'norm < 1e-6'")
        try:
            self.limit = float(number)
        except ValueError:
            raise Refused(f"{number!r} is not a number: 'norm > 10' or 'norm < 1e-6'") from None
        super().__init__(f"{sign} {number}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        if step.grad is None:
            return None
        found = norm(step.grad)
        met = found > self.limit if self.words[0] == ">" else found < self.limit
        return f"|g| = {found:.1e} {self.words}" if met else None


class AtZero(Breakpoint):
    """Stop where a gradient dies: the incoming one isn't zero, a contribution is, exactly and everywhere."""

    form = "zero"

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        if step.grad is None or not step.grad.any():
            return None
        for x, share in zip(step.node.inputs, step.input_grads):
            if share is not None and share.size and not share.any():
                return f"the gradient becomes exactly zero on its way to {called(x)}"
        return None


class AtNan(Breakpoint):
    """Stop where a NaN is born, in the forward data or in a gradient."""

    form = "nan"

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        node = step.node
        if forward := born_forward(node):
            return forward
        if step.grad is None or has_nan(step.grad):
            return None
        for position, (x, share) in enumerate(zip(node.inputs, step.input_grads)):
            if share is not None and has_nan(share):
                return (f"a NaN is born here, in what {type(step.op).__name__}.backward adds to {called(x)}: "
                        f"the incoming gradient has none{blame(step)}")
            if share is not None and self._in_the_sum(step, position, timeline):
                return f"a NaN is born here, in the sum of the contributions to {called(x)}: none of them has one"
        return None

    def _in_the_sum(self, step: Step, position: int, timeline: Timeline) -> bool:
        total = step.totals[position]
        if total is None or not has_nan(total):
            return False
        uses = timeline.uses(step.node.inputs[position])
        return not any(has_nan(use.share) for use in uses if use.step.number <= step.number)


class Condition(Breakpoint):
    """Stop where a Python expression is true; it may use node, step, grad, t, signal, op, norm and np."""

    form = "python CONDITION"

    def __init__(self, words: str) -> None:
        super().__init__(words)
        try:
            self.code: CodeType = compile(words.strip(), "<condition>", "eval")
        except (SyntaxError, ValueError) as error:
            raise Refused(f"not a Python expression: {error}") from None
        self.error: str | None = None  # what it raised first
        self.reported = False

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        known = {"node": step.node, "step": step, "grad": step.grad, "t": step.t, "signal": step.signal,
                 "op": operation(step.node), "norm": float("nan") if step.grad is None else norm(step.grad), "np": np}
        try:
            return self.words if eval(self.code, known) else None
        except Exception as error:
            self.error = self.error or f"step {step.number}: {type(error).__name__}: {error}"
            return None


KINDS: dict[str, type[Breakpoint]] = {kind.form.split()[0]: kind for kind in (
    AtNode, AtSignal, AtParameter, AtOperation, AtTime, AtNorm, AtZero, AtNan, Condition)}


def parsed(text: str) -> Breakpoint:
    """The breakpoint that `node h[3]`, `norm > 1` or `nan` stand for.

    Raises:
        Refused: where it stands for none.
    """
    word, rest = split(text)
    if word not in KINDS:
        raise Refused(f"{word!r} is no kind of breakpoint; there are: " + ", ".join(k.form for k in KINDS.values()))
    kind = KINDS[word]
    if bool(rest) != (" " in kind.form):
        raise Refused(f"write it as: {kind.form}" if rest == "" else f"{kind.form} takes nothing more, not {rest!r}")
    return kind(rest)


def split(text: str) -> tuple[str, str]:
    """The kind of a breakpoint and the rest: also of `norm>1`."""
    word, _, rest = text.strip().partition(" ")
    if word.startswith(("norm>", "norm<")):
        word, rest = "norm", text.strip()[4:]
    return word, rest.strip()


def whole(text: str, what: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise Refused(f"{text!r} is not {what}: write a whole number") from None


def names(timeline: Timeline) -> set[str]:
    """What tensors of a pass can be called: h[3], h, U."""
    return {name for x in timeline.tensors for name in (x.label, x.name) if name}


def unknown(problem: str, name: str, known: Iterable[str]) -> str:
    """The problem, and names that are meant perhaps."""
    ordered = sorted(set(known))
    near = difflib.get_close_matches(name, ordered, 3) or ordered[:8]
    return f"{problem}; there is {', '.join(near)}" if near else problem


def has_nan(array: Any) -> bool:
    """Whether there is a NaN in an array."""
    return bool(np.isnan(array).any())


def born_forward(node: Tensor) -> str | None:
    """That the data of a tensor are the first with a NaN, or None."""
    if not has_nan(node._data):
        return None
    holders = [x for x in node.inputs if has_nan(x._data)]
    what = f"{operation(node)} of {', '.join(called(x) for x in node.inputs)} at {node.origin}"
    if not holders:
        return f"a NaN is born in the forward data of {called(node)}: {what}"
    if all(x.op is None for x in holders):
        return f"a NaN stood in {called(holders[0])} ({holders[0].origin}) from the beginning; it enters by {what}"
    return None


def forward_nan(timeline: Timeline) -> str | None:
    """Where the first NaN of the forward data was born, or None."""
    for step in reversed(timeline.steps):
        if found := born_forward(step.node):
            return f"{found} (step {step.number})"
    return None


def blame(step: Step) -> str:
    """That the forward data hold a NaN, where they do."""
    for x in (step.node, *step.node.inputs):
        if has_nan(x._data):
            return f", but the forward data of {called(x)} has (made at {x.origin})"
    return ""
