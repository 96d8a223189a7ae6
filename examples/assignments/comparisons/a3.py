"""Assignment 3: how the answers are compared with what is right, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from examples.assignments.grading import UNKNOWN, Answers, Finding
from examples.assignments.graphs import a3 as graphs
from examples.assignments.naming import Edge, Mistake, counted, difference, named, same
from examples.assignments.pictures import of_run

Array = NDArray[Any]
BACKWARD = "in the backward step from"  # begins the name of a mistake in a function of one step


def one_array(name: str, mine: Array, right: Array) -> str:
    """Return the mistake of results of all steps that are the same numbers, as one array changed in place is; or ""."""
    if len(mine) < 2 or not mine.any() or (mine[1:] != mine[0]).any() or (right[1:] == right[0]).all():
        return ""
    return (f"{name}[1] … {name}[{len(mine)}] are all the same numbers: is one array stored for every step, and "
            "changed in place? Store a copy")


@dataclass(frozen=True)
class Forward:
    """The first wrong time step of a forward pass; the usual mistakes of each step, by result."""

    question: str
    right: Mapping[str, Array]
    mistakes: Sequence[Mapping[str, Sequence[Mistake]]]

    def __call__(self, answers: Answers) -> Finding | None:
        mine = {name: answers.array(self.question, name, right) for name, right in self.right.items()}
        for name, right in self.right.items():
            text = one_array(name, mine[name], right)
            if text:
                return Finding(text, f"{name} of {self.question}", difference(name, mine[name], right),
                               until=f"{name}[1]", mistakes=(text,))
        for t in range(1, len(self.mistakes) + 1):
            for name, right in self.right.items():
                if same(mine[name][t - 1], right[t - 1]):
                    continue
                hit = named(mine[name][t - 1], right[t - 1], self.mistakes[t - 1].get(name, []))
                before = f"{name}[{t - 1}] is right, " if t > 1 else ""
                text = hit.mistake if hit else UNKNOWN
                return Finding(f"{before}{name}[{t}] is wrong: {text}", f"t = {t}, {name} of {self.question}",
                               difference(f"{name}[{t}]", mine[name][t - 1], right[t - 1]), hit.edge if hit else None,
                               f"{name}[{t}]", named=hit is not None, mistakes=hit.all_mistakes if hit else ())
        return None


@dataclass(frozen=True)
class ThroughTime:
    """dL/dh (and dL/dc) from T down to 0: the last right step, the first wrong one, and what is wrong between."""

    question: str
    states: Sequence[str]
    right: Mapping[str, Array]
    arriving: Mapping[str, Sequence[Sequence[Mistake]]]  # wrong variants of dL/d state[t], from t = 0 on

    def __call__(self, answers: Answers) -> Finding | None:
        for state in self.states:
            text = one_array(f"dL/d{state}", answers.array(self.question, state, self.right[state]), self.right[state])
            if text:
                return Finding(text, self.question, until=f"{state}[1]", mistakes=(text,))
        last = len(self.right[self.states[0]])
        for t in range(last, -1, -1):
            for state in self.states:
                name = state if t else f"{state}0"
                whole = answers.array(self.question, name, self.right[name])
                mine, right = (x[t - 1] if t else x for x in (whole, self.right[name]))
                if same(mine, right):
                    continue
                hit = named(mine, right, self.arriving[state][t])
                before = f"dL/d{state}[{t + 1}] is right, " if t < last else ""
                text = hit.mistake if hit else f"the contribution through t = {t + 1} is wrong" if t < last else \
                    "it must be the direct gradient alone"
                edge = hit.edge if hit and hit.edge else (f"{state}[{t}]",
                                                          self._next(state, t)) if t < last else None
                return Finding(f"{before}dL/d{state}[{t}] is wrong: {text}", f"t = {t}, {self.question}",
                               difference(f"dL/d{state}[{t}]", mine, right), edge, f"{state}[{t}]" if t else "",
                               named=hit is not None, mistakes=hit.all_mistakes if hit else (),
                               follows=text.startswith(BACKWARD))
        return None

    def _next(self, state: str, t: int) -> str:
        return f"z[{t + 1}]" if len(self.states) == 1 else f"{state if state == 'c' else 'f'}[{t + 1}]"


@dataclass(frozen=True)
class Gradients:
    """Gradients of inputs by step and of parameters, these with what every step contributes."""

    question: str
    right: Mapping[str, Array]
    parts: Mapping[str, Array]  # parameter -> (T, *shape): what each step contributes
    inputs: Sequence[Sequence[Mistake]]  # wrong variants of dL/dx[t], from t = 1 on
    sums: Mapping[str, Sequence[Mistake]]  # and of the parameters' gradients
    edges: Mapping[str, Sequence[Edge]]  # of each parameter, and of "W" for the input, from t = 1 on

    def __call__(self, answers: Answers) -> Finding | None:
        x = answers.array(self.question, "x", self.right["x"])
        text = one_array("dL/dx", x, self.right["x"])
        if text:
            return Finding(text, self.question, until="x[1]", mistakes=(text,))
        for t in range(len(x), 0, -1):
            if not same(x[t - 1], self.right["x"][t - 1]):
                hit = named(x[t - 1], self.right["x"][t - 1], self.inputs[t - 1])
                edge = self.edges["W"][t - 1]
                return Finding(f"dL/dx[{t}] is wrong: {hit.mistake if hit else UNKNOWN}",
                               f"t = {t}, {self.question}", difference(f"dL/dx[{t}]", x[t - 1], self.right["x"][t - 1]),
                               hit.edge if hit else edge, edge[1], named=hit is not None,
                               mistakes=hit.all_mistakes if hit else (), follows=True)
        wrong = [name for name in self.parts
                 if not same(answers.array(self.question, name, self.right[name]), self.right[name])]
        for name in wrong:
            finding = self._parameter(name, answers.array(self.question, name, self.right[name]), wrong)
            if finding.named or name == wrong[-1]:
                return finding
        return None

    def _parameter(self, name: str, mine: Array, wrong: Sequence[str]) -> Finding:
        parts, right = self.parts[name], self.right[name]
        text = counted(mine, parts, f"dL/d{name}")
        hit = None if text else named(mine, right, self.sums[name])
        text = text or (hit.mistake if hit else UNKNOWN)
        also = f"; wrong are {', '.join(wrong)}" if len(wrong) > 1 else f"; of the parameters, only {name} is wrong"
        edges = tuple(self.edges[name])
        return Finding(f"{text if text.startswith('dL/d') else f'dL/d{name} is wrong: {text}'}{also}",
                       f"{self.question}, the sum over t = 1 … {len(parts)}", difference(f"dL/d{name}", mine, right),
                       edges[0], f"param {name}", named=text != UNKNOWN, more=edges[1:],
                       mistakes=hit.all_mistakes if hit else (text,) * (text != UNKNOWN),
                       follows=hit is not None and "at t = 1" not in text)


@dataclass(frozen=True)
class Drawing:
    """The unrolled cell, "rnn" or "lstm"."""

    kind: str
    d: Mapping[str, Any]

    def __call__(self, finding: Finding) -> Any:
        return of_run({"rnn": graphs.rnn, "lstm": graphs.lstm}[self.kind](dict(self.d)), finding)
