"""Assignment 6: how answers in names and numbers are checked.

Nothing that is right is stored for parts 3 to 5: the definition is computed by rnn, and the backward passes run in the
debugger, whose record of each step decides. A wrong answer gets a message about the student's own step.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from examples.assignments.grading import Answers, Finding, Look, Unanswered, broken
from examples.assignments.graphs import a6 as graphs
from examples.assignments.naming import Mistake, known
from minigrad.debugger.diagnosis import forward_nan, has_nan, nan_at, zero_at
from minigrad.debugger.records import StepRecord
from minigrad.debugger.walk import Walk
from minigrad.formats.norms import norm

Edge = tuple[str, str, int]
Link = tuple[str, str]
COPY = re.compile(r"[A-Za-z_]\w*\[-?\d+\]")
SCRIPT = "examples/assignments/graphs/a6.py"


def answer(answers: Answers, name: str, length: int | None = None) -> list[Any]:
    """Return a student's answer; where a length is given, None in place of the parts of an answer of another length."""
    found = answers.plain(f"{name}:", "answer")
    if not isinstance(found, list):
        raise Unanswered(broken(name, f"{name} returns no list of names or numbers"))
    return found if length is None or len(found) == length else [None] * length


# ---- part 1
def edges_of(found: Any) -> list[Edge]:
    """Return the edges of an answer as tuples.

    Raises:
        Unanswered: where they aren't (source, target, delay).
    """
    try:
        edges = [(source, target, delay) for source, target, delay in found]
    except (TypeError, ValueError):
        edges = [("", "", 0.5)]
    if all(isinstance(a, str) and isinstance(b, str) and type(delay) is int for a, b, delay in edges):
        return edges
    raise Unanswered(broken("definition", "definition has no edges that can be read"))


def contracted(edges: Iterable[Edge], kept: Iterable[str]) -> list[Edge]:
    """Return edges between the kept signals alone: a path over other signals is one edge, with its total delay.

    A signal that reads itself stays: it is a state of its own.
    """
    left = list(edges)
    for other in sorted({name for edge in left for name in edge[:2]} - {*kept}):
        into = [edge for edge in left if edge[1] == other]
        out_of = [edge for edge in left if edge[0] == other]
        if into and not any(edge[0] == other for edge in into):
            left = [edge for edge in left if other not in edge[:2]]
            left += [(a, b, first + second) for a, _, first in into for _, b, second in out_of]
    return sorted(set(left))


def reads(edges: Iterable[Edge], target: str) -> list[Any]:
    """Return what a signal reads, as [source, delay]."""
    return sorted([source, delay] for source, end, delay in edges if end == target)


@dataclass(frozen=True)
class Reads:
    """The edges of the student's definition: for each signal the right reads, and known wrong ones.

    What is right is a list of one, since a kit seals what is in lists.
    """

    right: Mapping[str, Sequence[Mistake]]
    mistakes: Mapping[str, Sequence[Mistake]]

    def __call__(self, answers: Answers) -> Finding | None:
        names = ["x", *self.right]
        listed = edges_of(answers.plain("definition:edges", "edges"))
        edges, have = contracted(listed, names), answers.plain("definition:edges", "names")
        for name in names:
            if name not in have:
                return Finding(f"there is no signal named {name}; there are {', '.join(sorted(have)) or 'none'}",
                               "definition")
        for name, right in self.right.items():
            mine = reads(edges, name)
            if known(mine, right) is None:
                hit = known(mine, self.mistakes[name])
                cause = hit.mistake if hit else (f"{name} doesn't read the signals that the text names, each with its "
                                                 "delay")
                return Finding(cause, f"the equation of {name}: it reads {_read(mine)}", named=hit is not None)
        return None


def _read(mine: Sequence[Any]) -> str:
    return ", ".join(f"{source}[t{f'-{delay}' if delay > 0 else f'+{-delay}' if delay else ''}]"
                     for source, delay in mine) or "nothing"


@dataclass(frozen=True)
class Computed:
    """The values of the definition, which come from its parameters.

    Where a signal reads others than it should, wrong values follow from that.
    """

    values: Look
    reads: Look

    def __call__(self, answers: Answers) -> Finding | None:
        finding = self.values(answers)
        if finding is not None:
            return replace(finding, follows=self.reads(answers) is not None)
        lost = answers.plain("definition", "lost")
        if not lost:
            return None
        return Finding(f"the values are right, but nothing is computed from {' and '.join(map(str, lost))}: .data, "
                       ".numpy() and np.array() leave the graph, so no gradient comes back", "definition")


# ---- part 2
def listing(edges: Iterable[Link]) -> list[Any]:
    """Return edges in a form that doesn't depend on their order."""
    return [list(edge) for edge in sorted(edges)]


def unrolled(edges: Iterable[Edge], T: int) -> list[Link]:
    """Return the edges of a definition unrolled over T steps."""
    return [(f"{source}[{k - delay}]", f"{target}[{k}]") for k in range(1, T + 1) for source, target, delay in edges]


@dataclass(frozen=True)
class Unrolled:
    """The student's edges over T steps: for each copy the right edges that end there; known wrong lists."""

    T: int
    right: Mapping[str, Sequence[Mistake]]
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        listed = answer(answers, "unrolled_edges")
        mine: list[Link] = []
        for pair in listed:
            names = [re.sub(r"\s", "", name) for name in pair if isinstance(name, str)] if isinstance(
                pair, list) else []
            if len(names) != 2 or len(pair) != 2 or not all(map(COPY.fullmatch, names)):
                return Finding(f"{pair!r:.100} is no edge; an edge is a pair of names such as ('h[1]', 'y[1]')",
                               "unrolled_edges")
            mine.append((names[0], names[1]))
        twice = next((edge for edge, number in Counter(mine).items() if number > 1), None)
        if twice is not None:
            return Finding(f"the edge {' -> '.join(twice)} is there twice", "unrolled_edges")
        ends = {target: [edge for edge in mine if edge[1] == target] for target in self.right}
        wrong = [target for target, right in self.right.items() if known(listing(ends[target]), right) is None]
        superfluous = sorted({target for _, target in mine} - {*self.right})
        if not wrong and not superfluous:
            return None
        hit = known(listing(mine), self.mistakes)
        said = Finding(hit.mistake, "unrolled_edges") if hit is not None else self._first(wrong, superfluous)
        return self._own(answers, mine) or said

    def _own(self, answers: Answers, mine: Sequence[Link]) -> Finding | None:
        """Return a finding where the edges are those of the student's own definition."""
        found = answers.all.get("definition:edges")
        if found is None or found.error is not None or not mine:
            return None
        names = {name.partition("[")[0] for edge in mine for name in edge}
        own = contracted(edges_of(found.values.get("edges")), names)
        if sorted(mine) != sorted(unrolled(own, self.T)):
            return None
        return Finding("these are the edges of your definition, and that isn't the loop of the text: see part 1",
                       "unrolled_edges", named=False, function="definition")

    def _first(self, wrong: Sequence[str], superfluous: Sequence[str]) -> Finding:
        if not wrong:
            name = superfluous[0]
            what = "is given" if name.startswith("x[") else "isn't computed in these steps"
            return Finding(f"an edge ends in {name}, which {what}: no edge ends there", "unrolled_edges")
        right = len(self.right) - len(wrong)
        return Finding(f"the edges that end in {wrong[0]} are not right: which copies does it read?",
                       f"unrolled_edges; of {right} of the {len(self.right)} computed copies they are right",
                       named=False)


# ---- part 3
def names_in(found: Sequence[Any], edges: Sequence[Edge]) -> Finding | None:
    """Return a finding where an answer isn't made of names of signals."""
    known_names = {name for edge in edges for name in edge[:2]}
    unknown = next((name for name in found if not isinstance(name, str) or name not in known_names), known_names)
    if unknown is known_names:
        return None
    return Finding(f"there is no signal {unknown!r:.50}; there are {', '.join(sorted(known_names))}")


def closed(loop: Sequence[Any]) -> list[Any]:
    """Return the names of a loop, each once; the first one may be written again at the end."""
    return list(loop[:-1] if len(loop) > 1 and loop[0] == loop[-1] else loop)


@dataclass(frozen=True)
class Loop:
    """A loop of edges without delay, of a definition that the student knows."""

    edges: Sequence[Edge]

    def __call__(self, answers: Answers) -> Finding | None:
        loop = closed([name.strip() if isinstance(name, str) else name for name in answer(answers, "delay_free_loop")])
        edges = [(source, target, delay) for source, target, delay in self.edges]
        finding = names_in(loop, edges)
        if finding is not None or not loop:
            return finding or Finding("the list is empty", "delay_free_loop")
        if len(set(loop)) < len(loop):
            return Finding("a signal is there twice: name each signal of one loop once", "delay_free_loop")
        pairs = [*pairwise([*loop, loop[0]])]
        delays = {(source, target): delay for source, target, delay in edges}
        if all(delays.get((b, a)) == 0 for a, b in pairs) and not all(delays.get(pair) == 0 for pair in pairs):
            return Finding("these signals form a loop, but values flow through it in the other direction: where the "
                           "equation of one signal reads another, the edge leads from the other to it",
                           "delay_free_loop")
        for source, target in pairs:
            if (source, target) not in delays:
                return Finding(f"the equation of {target} doesn't read {source}: there is no edge from {source} to "
                               f"{target}", "delay_free_loop")
            if delays[source, target]:
                return Finding(f"{target} reads {source} of an earlier step: that edge has a delay, so a loop over it "
                               "can be computed", "delay_free_loop")
        return None


def repaired(edges: Sequence[Edge], source: str, target: str) -> bool:
    """Return whether the definition can be computed with one more delay on an edge, as rnn decides."""
    changed = [(a, b, delay + ((a, b) == (source, target))) for a, b, delay in edges]
    try:
        graphs.cell_of(changed).unroll(x=np.zeros((2, graphs.N, graphs.H)))
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Repair:
    """The edge that gets one more delay: rnn decides whether the definition can be computed then."""

    edges: Sequence[Edge]

    def __call__(self, answers: Answers) -> Finding | None:
        source, target = answer(answers, "repair", 2)
        if not isinstance(source, str) or not isinstance(target, str):
            return Finding("repair must return two names, the source and the target of an edge", "repair")
        source, target = source.strip(), target.strip()
        edges = [(a, b, delay) for a, b, delay in self.edges]
        finding = names_in((source, target), edges)
        if finding is not None:
            return finding
        delays = {(a, b): delay for a, b, delay in edges}
        if (source, target) not in delays:
            other = " The edge in the other direction exists." if (target, source) in delays else ""
            return Finding(f"the equation of {target} doesn't read {source}: there is no edge from {source} to "
                           f"{target}.{other}", "repair")
        if repaired(edges, source, target):
            return None
        if delays[source, target]:
            return Finding(f"the edge from {source} to {target} has a delay already: it is in no loop without delay",
                           "repair")
        return Finding("with one more delay on that edge there is still a loop without delay: it doesn't go over the "
                       "edge", f"repair: {source} -> {target}")


# ---- part 4
@dataclass(frozen=True)
class Seen:
    """A step in the debugger's record, and what is lost there.

    Attributes:
        record: the step.
        names: what its operation may be called.
        lost: whether it is the operation that is looked for.
        about: the rest of a message about it; before: whether the operation that is looked for is an earlier step.
    """

    record: StepRecord
    names: frozenset[str]
    lost: bool
    about: str
    before: bool | None = None


@cache
def record(name: str, variant: int) -> list[Seen]:
    """Return the steps of a network's backward pass, as the debugger records them."""
    with np.errstate(all="ignore"):
        walk = Walk(graphs.network(name, variant)[1])
        look = _zero if name.endswith("vanishing") else _nan
        return look(walk, [stop.step for stop in walk.run() if stop.step is not None])


def _names(step: StepRecord) -> frozenset[str]:
    op = step.step.op
    names = (step.operation, op.symbol, getattr(op.ufunc, "__name__", ""), step.title, step.formula,
             f"{step.tensor.label} {step.operation}")
    return frozenset(_plain(str(name)) for name in names if name)


def _plain(name: str) -> str:
    """Return a name without spaces, its module, and the shape that the debugger prints after it."""
    return "".join(re.sub(r"^(?:np|mg)\.|\((?:\d+,? *)*\)$", "", name.lower().strip()).split())


def _zero(walk: Walk, steps: Sequence[StepRecord]) -> list[Seen]:
    """Return the steps, with the one at which the whole gradient becomes zero."""
    seen = []
    for step in steps:
        passed = {one.name: norm(one.contribution) for one in step.inputs if one.contribution is not None}
        lost = zero_at(step.step) is not None and not any(passed.values())
        if step.gradient is None or not step.gradient.any():
            about, before = "its upstream gradient is zero already", True
        else:
            sizes = ", ".join(f"{size:.1e} to {name}" for name, size in passed.items())
            about, before = f"its upstream gradient has norm {norm(step.gradient):.1e}, and it passes on {sizes}", None
        seen.append(Seen(step, _names(step), lost, about, before))
    return seen


def _nan(walk: Walk, steps: Sequence[StepRecord]) -> list[Seen]:
    """Return the steps, with the one that produces the first NaN: in the forward data, else in a gradient."""
    forward = any(has_nan(step.output) for step in steps)
    seen = []
    for step in steps:
        before: bool | None = None
        if forward:
            sources = [one.name for one in step.inputs if has_nan(one.value)]
            lost = forward_nan(step.tensor) is not None
            about = "its result has no NaN"
            if has_nan(step.output):
                about, before = (f"its result has a NaN, but so has its input {' and '.join(sources)}: it was produced "
                                 "by an operation that is computed earlier"), False
        else:
            lost = nan_at(step.step, walk.timeline) is not None
            about = "neither its upstream gradient nor a gradient that it passes on has a NaN"
            if step.gradient is not None and has_nan(step.gradient):
                about, before = "its upstream gradient has a NaN already", True
        seen.append(Seen(step, _names(step), lost, about, before))
    return seen


@dataclass(frozen=True)
class Stop:
    """The step at which a gradient is lost, by the record of the debugger."""

    name: str
    variant: int

    def right(self) -> tuple[int, str]:
        """Return the number of the step and the name of its operation."""
        step = next(one for one in record(self.name, self.variant) if one.lost)
        return step.record.number, step.record.operation

    def __call__(self, answers: Answers) -> Finding | None:
        number, name = answer(answers, self.name, 2)
        if type(number) is not int or not isinstance(name, str):
            return Finding(f"{self.name} must return the number of a step and the name of an operation, such as "
                           "(3, 'tanh')", self.name)
        steps = record(self.name, self.variant)
        if not 1 <= number <= len(steps):
            return Finding(f"there is no step {number}: the pass has the steps 1 to {len(steps)}", self.name)
        seen, right = steps[number - 1], next(one.record.number for one in steps if one.lost)
        if not seen.lost:
            step = seen.record
            where = (f"{step.tensor.label} = " if step.tensor.label else "") + step.formula
            later = not seen.before if seen.before is not None else number < right
            lead = "go on to later steps" if later else "go back to earlier steps"
            return Finding(f"step {number} is {step.operation}, {where}; {seen.about}: {lead}",
                           f"the network {self.name} of variant {self.variant}", until=str(number), graph=self.name)
        if _plain(name) not in seen.names:
            return Finding(f"step {number} is right, but its operation isn't {name!r:.50}: the debugger names it",
                           self.name, until=str(number), graph=self.name)
        return None


# ---- part 5
@cache
def measured(name: str, variant: int) -> dict[str, Any]:
    """Return norms at each time step of a network: of the contributions to dL/dU and dL/dW, and of dL/dh."""
    run, loss = graphs.network(name, variant)
    loss.backward()
    return {"U": graphs.norms(run, "U"), "W": graphs.norms(run, "W"), "h": run.gradient_norms("h")}


@dataclass(frozen=True)
class Largest:
    """The time step that contributes most to dL/dU, by `run.contributions`."""

    name: str
    variant: int

    def right(self) -> tuple[int, float]:
        """Return the time step, and the norm of its contribution to four digits."""
        sizes = measured(self.name, self.variant)["U"]
        return int(np.argmax(sizes)) + 1, float(f"{max(sizes):.4g}")

    def __call__(self, answers: Answers) -> Finding | None:
        step, size = answer(answers, self.name, 2)
        if type(step) is not int or not (type(size) is float or (type(size) is int and abs(size) < 10**300)):
            return Finding(f"{self.name} must return a time step and a norm, such as (2, 0.731)", self.name)
        sizes, (right, largest) = measured(self.name, self.variant), self.right()
        T = len(sizes["U"])
        where = f"the network {self.name} of variant {self.variant}"
        if step == right:
            if abs(size - largest) <= 0.006 * largest:
                return None
            more = "three digits are wanted" if abs(size - largest) <= 0.05 * largest else \
                "it is the root of the sum of squares of all its elements"
            return Finding(f"t = {step} is right, but the norm of its contribution isn't {size:g}: {more}", where)
        if not 1 <= step <= T:
            return Finding(f"there is no t = {step}: the time steps are 1 to {T}", where)
        cause = f"t = {step} contributes a matrix of norm {sizes['U'][step - 1]:.3g}: it isn't the largest"
        others = {"W": "a contribution to dL/dW", "h": "dL/dh[t]; a contribution to dL/dU depends on h[t-1] too"}
        if step == right - 1:
            cause += ". Row 0 of run.contributions belongs to t = 1"
        else:
            cause += next((f". The largest at t = {step} is {what}" for name, what in others.items()
                           if int(np.argmax(sizes[name])) + 1 == step), "")
        return Finding(cause, where)


