"""Breakpoints of the debugger: one class for each kind, and the parser of the `break` command.

A breakpoint examines the step that has just run and returns the reason to stop there, or None. Only
conditions are evaluated as code: the user's own, on the user's machine.
"""

from __future__ import annotations

import ast
import difflib
import linecache
import os
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

from minigrad.formats.describe import operation_name
from minigrad.formats.norms import norm
from minigrad.ops import Op
from minigrad.provenance import Origin
from minigrad.steps import Step

from .derivative import run_lines, source_lines
from .diagnosis import infinity_at, nan_at, zero_at
from .evaluation import CommandError, Evaluator, Expression, HitCount, LogMessage
from .records import largest_source
from .timeline import Timeline


class Breakpoint:
    """Base class of all kinds.

    Attributes:
        form: how the kind is written; its first word is the kind's name.
        argument: the rest of the command, e.g. "h[3]" of "node h[3]".
        number: its number in the session; 0 for the target of `until`.
        hits: how often it was hit, ignored hits included; a step that is met again counts once.
        enabled: whether it stops the pass at all.
        temporary: whether it is removed when it first stops the pass.
        condition: a further condition, or None.
        ignored: how many of the next hits don't stop the pass.
        hit_count: which hits stop it; None: all of them.
        log: a message that is printed in place of a stop, or None.
        commands: commands that the terminal runs when it stops the pass.
    """

    form: ClassVar[str]

    def __init__(self, argument: str) -> None:
        self.argument = argument
        self.number = 0
        self.hits = 0
        self.enabled = True
        self.temporary = False
        self.condition: Expression | None = None
        self.ignored = 0
        self.hit_count: HitCount | None = None
        self.log: LogMessage | None = None
        self.commands: list[str] = []

    def check(self, timeline: Timeline) -> None:
        """Raise CommandError if the argument names nothing in this pass."""

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        """Return why to stop after this step, or None."""
        raise NotImplementedError

    def is_hit(self, step: Step, timeline: Timeline, evaluator: Evaluator | None = None) -> str | None:
        """Return the reason if the condition holds too, else None; earlier hits have no influence."""
        reason = self.reason(step, timeline)
        if reason is None or (self.condition is not None and not self.condition.holds(step, evaluator)):
            return None
        return reason

    def counts(self) -> bool:
        """Count a hit, and return whether it is one that stops the pass."""
        self.hits += 1
        if self.ignored:
            self.ignored -= 1
            return False
        return self.includes(self.hits)

    def includes(self, hit: int) -> bool:
        """Return whether the hit with a number is one that stops the pass."""
        return self.hit_count is None or self.hit_count.includes(hit)

    def __str__(self) -> str:
        words = self.form.split()[0] + (f" {self.argument}" if self.argument else "")
        return f"{words}, {self.condition.text}" if self.condition else words


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


class AtPass(Breakpoint):
    """Stop at the start of each backward pass, or of the one with a number: `pass`, `pass 3`."""

    form = "pass [NUMBER]"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.wanted = parse_int(argument, "the number of a pass") if argument else None

    def starts(self, number: int) -> bool:
        """Return whether to stop at the start of a pass."""
        return self.enabled and self.wanted in (None, number) and self.counts()

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return None


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


class Crossing(Breakpoint):
    """Base class of those that stop where the upstream gradient crosses a limit.

    It crosses where `holds` is true, and isn't for the gradient from which the largest contribution came.
    """

    def crosses(self, step: Step, timeline: Timeline) -> bool:
        """Return whether the gradient of a step crosses the limit there."""
        if step.grad is None or not self.holds(step.grad, timeline):
            return False
        source = largest_source(timeline, step.node)
        return source is None or source.grad is None or not self.holds(source.grad, timeline)

    def holds(self, grad: Any, timeline: Timeline) -> bool:
        """Return whether a gradient is beyond the limit."""
        raise NotImplementedError


class AtNorm(Crossing):
    """Stop when the norm of the upstream gradient crosses a number: `norm > 10`, `norm < 1e-6`."""

    form = "norm > NUMBER"

    def __init__(self, argument: str) -> None:
        sign, number = argument[:1], argument[1:].strip()
        if sign not in ("<", ">") or number.startswith("="):
            raise CommandError("norm needs a comparison: 'norm > 10' or 'norm < 1e-6'")
        try:
            self.limit = float(number)
        except ValueError:
            raise CommandError(f"{number!r} is not a number: 'norm > 10' or 'norm < 1e-6'") from None
        super().__init__(f"{sign} {number}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return f"|g| = {norm(step.grad):.1e} {self.argument}" if self.crosses(step, timeline) else None

    def holds(self, grad: Any, timeline: Timeline) -> bool:
        size = norm(grad)
        return size > self.limit if self.argument[0] == ">" else size < self.limit


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


class AtInfinity(Breakpoint):
    """Stop when an infinity first appears in a gradient: in a contribution, or in a sum of finite contributions."""

    form = "inf"

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return infinity_at(step, timeline)


class AtExplosion(Crossing):
    """Stop when the norm of the upstream gradient first exceeds FACTOR times that of the loss, 1000 by default."""

    form = "exploding [FACTOR]"
    FACTOR = 1000.0

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        try:
            self.factor = float(argument or self.FACTOR)
        except ValueError:
            raise CommandError(f"{argument!r} is not a number: 'exploding' or 'exploding 100'") from None
        if not self.factor > 0:
            raise CommandError(f"the factor of 'exploding' is positive, not {argument}")

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        if not self.crosses(step, timeline):
            return None
        return f"the gradient explodes: |g| = {norm(step.grad):.1e}, more than {self.factor:g} times that of the loss"

    def holds(self, grad: Any, timeline: Timeline) -> bool:
        return norm(grad) > self.factor * norm(timeline.steps[0].grad)


class AtLine(Breakpoint):
    """Stop at the operations that a line of the program computed: `line model.py:12`, or `line 12` of the script.

    Several operations of a line at one time step are one visit of the line: the pass stops at the first of them at
    which the condition holds. A loop visits it again where an instruction computes another result. A line of the source
    of a derivative, `line ops.py:310`, stops at each step whose derivative runs it.
    """

    form = "line FILE:NUMBER"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.file, _, number = argument.rpartition(":")
        self.line = parse_int(number, "the number of a line")
        self._lines: dict[str, range] = {}  # those that are meant, in each file of the program
        self._code: dict[type[Op], frozenset[int]] = {}  # and in the derivative of each class of operations
        self._visits: tuple[Timeline | None, dict[int, int]] = None, {}  # of a pass

    def check(self, timeline: Timeline) -> None:
        if any(self.contains(step) or self._derivative_lines(step.op) for step in timeline.steps):
            return
        lines = sorted({step.origin.line for step in timeline.steps if self._lines_of(step.origin.file)})
        if lines:
            raise CommandError(f"no operation of this pass was computed at {self.argument}; lines with operations are "
                               f"{', '.join(map(str, lines[:12]))}{', ...' if len(lines) > 12 else ''}")
        files = sorted({step.origin.place for step in timeline.steps})
        raise CommandError(f"no operation of this pass was computed in {self.file or 'this file'}; the files are "
                           f"{', '.join(files[:8])}")

    def contains(self, step: Step) -> bool:
        """Return whether the operation of a step was computed at the line, or at another of the same statement."""
        return self.covers(step.origin)

    def covers(self, origin: Origin) -> bool:
        """Return whether a place in the program is at the line, or at another of the same statement."""
        return origin.line in self._lines_of(origin.file)

    def line_in_derivative(self, step: Step) -> int | None:
        """Return the line of the step's derivative that is meant, as it first ran; None if none of it ran."""
        lines = self._derivative_lines(step.op)
        derivative = run_lines(step) if lines else None
        return next((line.number for line in derivative.lines if line.number in lines), None) if derivative else None

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        if self.contains(step):
            return f"line {step.origin}"
        line = self.line_in_derivative(step)
        file = os.path.basename(self.file)
        return None if line is None else f"line {file}:{line} of {type(step.op).__name__}.backward"

    def is_hit(self, step: Step, timeline: Timeline, evaluator: Evaluator | None = None) -> str | None:
        reason = super().is_hit(step, timeline, evaluator)
        if reason is None or not self.contains(step):
            return reason
        start = self._visit_starts(timeline)[step.number]
        earlier = timeline.steps[start - 1:step.number - 1]
        return None if any(super(AtLine, self).is_hit(other, timeline, evaluator) for other in earlier) else reason

    def _visit_starts(self, timeline: Timeline) -> dict[int, int]:
        """Return for each step at the line the number of the first step of its visit."""
        if self._visits[0] is not timeline:
            starts: dict[int, int] = {}
            seen: set[tuple[int, type[Op]]] = set()  # instructions of the current visit, and their operations
            start = 0
            for before, step in zip([None, *timeline.steps], timeline.steps):
                if not self.contains(step):
                    continue
                key = id(step.origin), type(step.op)
                if before is None or before.number not in starts or before.t != step.t or (
                        step.t is None and key in seen):
                    start, seen = step.number, set()
                seen.add(key)
                starts[step.number] = start
            self._visits = timeline, starts
        return self._visits[1]

    def _lines_of(self, file: str) -> range:
        """Return the lines that are meant, if the file is; else none."""
        if file not in self._lines:
            self._lines[file] = statement_lines(file, self.line) if self._is_file(file) else range(0)
        return self._lines[file]

    def _derivative_lines(self, op: Op) -> frozenset[int]:
        """Return the lines that are meant and that are code of an operation's derivative."""
        if type(op) not in self._code:
            file, lines = source_lines(op)
            self._code[type(op)] = lines & frozenset(self._lines_of(file) if lines else ())
        return self._code[type(op)]

    def _is_file(self, file: str) -> bool:
        """Return whether a source file is meant: by its whole path, or by the last parts of it."""
        if os.path.isabs(self.file):
            return _canonical(file) == _canonical(self.file)
        if not self.file:
            return file == getattr(sys.modules.get("__main__"), "__file__", None)
        if Origin(file, 1).place in (self.file, f"Cell {self.file}"):
            return True
        return ("/" + file.replace(os.sep, "/")).endswith("/" + self.file.replace(os.sep, "/"))


def _canonical(file: str) -> str:
    return os.path.normcase(os.path.realpath(file))


def statement_lines(file: str, line: int) -> range:
    """Return the lines of the innermost statement of a file that contains a line; of a compound statement, its head."""
    try:
        return innermost_statement(ast.parse("".join(linecache.getlines(file))), line)
    except (SyntaxError, ValueError):
        return range(line, line + 1)


def innermost_statement(tree: ast.AST, line: int) -> range:
    """Return the lines of the innermost statement that contains a line; of a compound statement, its head."""
    found = range(line, line + 1)
    for node in ast.walk(tree):  # outer statements come first
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            if node.lineno <= line < end:
                found = range(node.lineno, end)
    return found


class Condition(Breakpoint):
    """Stop when a Python expression of node, step, grad, out, x, t, signal, op, norm and np is true."""

    form = "python CONDITION"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.condition = Expression(argument)

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return self.condition.text if self.condition else "every step"

    def __str__(self) -> str:
        return f"python {self.condition.text if self.condition else True}"


class Named(Breakpoint):
    """Stop at a tensor, at contributions to a parameter, or at an operation: the first of these that has the name."""

    form = "NAME"

    def check(self, timeline: Timeline) -> None:
        known = {operation_name(step.node) for step in timeline.steps}
        if not timeline.find(self.argument) and self.argument.lower() not in known:
            raise unknown_name(f"no tensor or operation is called {self.argument!r} in this pass", self.argument,
                               known | known_names(timeline))

    def reason(self, step: Step, timeline: Timeline) -> str | None:
        return self._meaning(timeline).reason(step, timeline)

    def _meaning(self, timeline: Timeline) -> Breakpoint:
        """Return the breakpoint that the name means in a pass; one that no step meets if it means nothing there."""
        found = timeline.find(self.argument)
        if not found:
            return AtOperation(self.argument)
        return AtParameter(self.argument) if all(x.op is None for x in found) else AtNode(self.argument)

    def __str__(self) -> str:
        return super().__str__().removeprefix("NAME ")


KINDS: dict[str, type[Breakpoint]] = {kind.form.split()[0]: kind for kind in (
    AtNode, AtSignal, AtParameter, AtOperation, AtLine, AtPass, AtTime, AtNorm, AtExplosion, AtZero, AtInfinity, AtNan,
    Condition)}


def parse(text: str) -> Breakpoint:
    """Return the breakpoint for a text such as `node h[3]`, `norm > 1`, `model.py:12` or `nan, t == 3`.

    Raises CommandError if it is none.
    """
    place, _, condition = (text, "", "") if text.split()[:1] == ["python"] else text.partition(",")
    found = _parse_place(place.strip())
    if condition.strip():
        found.condition = Expression(condition)
    return found


def _parse_place(text: str) -> Breakpoint:
    word, argument = split_kind(text)
    if word in KINDS:
        kind = KINDS[word]
        if "[" not in kind.form and bool(argument) != (" " in kind.form):
            problem = f"{kind.form} takes no argument, not {argument!r}" if argument else f"write: {kind.form}"
            raise CommandError(problem)
        return kind(argument)
    if text.rpartition(":")[2].isdigit():
        return AtLine(text)
    if argument or not text:
        forms = ", ".join(kind.form for kind in KINDS.values())
        raise CommandError(f"{word!r} is not a kind of breakpoint; the kinds are: {forms}")
    return Named(text)


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
    return set(timeline.names)


def unknown_name(problem: str, name: str, known: Iterable[str]) -> CommandError:
    """Return an error that lists the known names most similar to `name`."""
    ordered = sorted(set(known))
    near = difflib.get_close_matches(name, ordered, 3) or ordered[:8]
    return CommandError(f"{problem}; there is {', '.join(near)}" if near else problem)
