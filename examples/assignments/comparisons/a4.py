"""Assignment 4: how the answers are compared with what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.assignments.grading import Answers, Finding
from examples.assignments.graphs import a4 as graphs
from examples.assignments.naming import Edge, Mistake, known
from examples.assignments.pictures import of_edges, of_run

Definition = Sequence[tuple[str, str, int]]
Copy = tuple[str, int]
Link = tuple[Copy, Copy]
MOST = 60  # edges that should not be there, in a picture


def listing(edges: Iterable[Link]) -> list[Any]:
    """Return edges in a form that doesn't depend on their order; of a Counter, each as often as it counts."""
    many = edges.elements() if isinstance(edges, Counter) else edges
    return [[list(source), list(target)] for source, target in sorted(many)]


def whole(value: Any) -> int | None:
    """Return a student's number as an integer; None for text, truth values, fractions, and arrays with dimensions.

    A float that is whole counts, as a sum in NumPy gives it.
    """
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iuf":
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def copy_of(pair: Any) -> Copy:
    """Return a student's copy of a signal.

    Raises:
        TypeError, ValueError: where it isn't text and a whole number.
    """
    name, number = pair
    step = whole(number)
    if not isinstance(name, str) or step is None:
        raise TypeError("no copy")
    return name, step


def _copy(pair: Sequence[Any]) -> Copy:
    return str(pair[0]), int(pair[1])


def _link(pair: Sequence[Any]) -> Link:
    return _copy(pair[0]), _copy(pair[1])


def text(copy: tuple[str, int]) -> str:
    return f"{copy[0]}[{copy[1]}]"


def arrow(edge: Link) -> Edge:
    return text(edge[0]), text(edge[1])


@dataclass(frozen=True)
class Structure:
    """The student's edges against those of the reference graph, over T steps; and wrong edge lists."""

    name: str
    T: int
    right: Sequence[Link]
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        listed = answers.plain(f"unroll:{self.name}", "edges")
        try:
            mine = [(copy_of(source), copy_of(target)) for source, target in listed]
        except (TypeError, ValueError):
            return Finding("unroll returns no list of ((source, step), (target, step))", "unroll")
        right, found = Counter(map(_link, self.right)), Counter(mine)
        missing, extra = sorted(right - found, key=_by_step), sorted(found - right, key=_by_step)
        if not missing and not extra:
            return None
        twice = next((f"the edge {' -> '.join(arrow(edge))} is there twice" for edge in extra if edge in right
                      and not missing), None)
        hit = None if twice else known(listing(found), self.mistakes)
        cause = twice or (hit.mistake if hit else None)
        lines = [f"{len(some)} {word}, first {' -> '.join(arrow(some[0]))}" for some, word in (
            (missing, "missing"), (extra, "too many")) if some]
        first = min([*missing, *extra], key=_by_step)
        return Finding(cause or "the unrolled graph has other edges", f"t = {first[1][1]}, unroll of {self.name}",
                       "; ".join(lines), arrow(missing[0]) if missing else None, self._until(first), self.name,
                       named=cause is not None, extra=tuple(map(arrow, extra[:MOST])),
                       more=tuple(map(arrow, missing[1:])))

    def _until(self, edge: Link) -> str:
        """Return the first of an edge's copies that the right graph computes; no name of the student's own."""
        computed = {target for _, target in map(_link, self.right)}
        return next((text(copy) for copy in edge if copy in computed), "")


def _by_step(edge: Link) -> tuple[int, str, int, str]:
    return edge[1][1], edge[1][0], edge[0][1], edge[0][0]


@dataclass(frozen=True)
class Initial:
    """The copies at t <= 0: for each T the right ones, and what reads each of them first."""

    name: str
    right: Mapping[str, Sequence[tuple[Copy, Copy]]]

    def __call__(self, answers: Answers) -> Finding | None:
        for T, copies in self.right.items():
            reader = {_copy(copy): _copy(target) for copy, target in copies}
            right = set(reader)
            listed = answers.plain(f"initial_copies:{self.name}", T)
            try:
                counts = Counter(map(copy_of, listed))
            except (TypeError, ValueError):
                return Finding("initial_copies returns no set of (signal, step)", "initial_copies")
            mine, twice = set(counts), sorted(copy for copy, count in counts.items() if count > 1)
            missing, extra = sorted(right - mine), sorted(mine - right)
            if missing:
                reads = reader[missing[0]]
                return Finding(f"{text(missing[0])} is missing: {text(reads)} reads it",
                               f"initial_copies of {self.name}, T = {T}",
                               edge=(text(missing[0]), text(reads)), until=text(reads), graph=self.name)
            if extra:
                what = "is no initial value: steps from 1 on are computed" if extra[0][1] > 0 else "is read by nothing"
                return Finding(f"{text(extra[0])} {what}", f"initial_copies of {self.name}, T = {T}")
            if twice:
                return Finding(f"{text(twice[0])} stands there {counts[twice[0]]} times; a set holds it once",
                               f"initial_copies of {self.name}, T = {T}")
        return None


@dataclass(frozen=True)
class Order:
    """Signals in an order in which a step can be computed."""

    name: str
    edges: Definition

    def __call__(self, answers: Answers) -> Finding | None:
        edges = self.edges
        error = answers.all[f"order_in_a_step:{self.name}"].error
        if error is not None and error.get("type") == "ValueError":
            return Finding("order_in_a_step sees a loop without delay where there is none: an edge with a delay "
                           "reads what is there already, so it doesn't count", f"order_in_a_step of {self.name}")
        order = answers.plain(f"order_in_a_step:{self.name}", "order")
        names = {name for source, target, _ in edges for name in (source, target)}
        where = f"order_in_a_step of {self.name}: {', '.join(map(str, order))}"
        if sorted(map(str, order)) != sorted(names):
            wrong = sorted(name for name in names if order.count(name) != 1)
            return Finding(f"{wrong[0]} stands there {order.count(wrong[0])} times" if wrong
                           else "there are unknown signals", where)
        for source, target, delay in edges:
            if delay == 0 and order.index(source) > order.index(target):
                return Finding(f"{target} stands before {source}, which it reads without delay", where, graph=self.name,
                               edge=(f"{source}[1]", f"{target}[1]"), until=f"{source}[1]")
        return None


@dataclass(frozen=True)
class Loop:
    """A loop without delay is refused."""

    def __call__(self, answers: Answers) -> Finding | None:
        raised = answers.plain("order_in_a_step:loop", "raised")
        if raised == "ValueError":
            return None
        said = f"raises {raised}" if raised else f"returns {answers.plain('order_in_a_step:loop', 'order')}"
        return Finding(f"p needs q, q needs r, r needs p at one step: order_in_a_step {said}; it must raise ValueError",
                       "order_in_a_step of a loop without delay")


@dataclass(frozen=True)
class Paths:
    """How many ways there are between copies."""

    name: str
    ends: Sequence[tuple[Copy, Copy]]
    right: Sequence[int]
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        ends = [(_copy(start), _copy(end)) for start, end in self.ends]
        given = [answers.plain(f"count_paths:{self.name}", f"{start} {end}") for start, end in ends]
        mine = [whole(value) for value in given]
        wrong = next((k for k in range(len(mine)) if mine[k] != self.right[k]), None)
        if wrong is None:
            return None
        start, end = map(text, ends[wrong])
        if mine[wrong] is None:
            said = f"an array of shape {given[wrong].shape}" if isinstance(given[wrong], np.ndarray) else given[wrong]
            return Finding(f"count_paths returns {said!r} from {start} to {end}; it must return a whole number",
                           f"count_paths of {self.name}", until=start, graph=self.name)
        hit = known(mine, self.mistakes)
        lead = "path leads" if self.right[wrong] == 1 else "paths lead"
        return Finding(f"{self.right[wrong]} {lead} from {start} to {end}, not {mine[wrong]}"
                       f"{': ' + hit.mistake if hit else ''}",
                       f"count_paths of {self.name}", until=start, graph=self.name, named=hit is not None)


@dataclass(frozen=True)
class Drawing:
    """The unrolled network; the definition where a loop is meant."""

    networks: Mapping[str, Definition]

    def __call__(self, finding: Finding) -> Any:
        if finding.graph:
            return of_run(graphs.network(finding.graph, self.networks[finding.graph]), finding)
        return of_edges([(a, b) for a, b, _ in graphs.LOOP], finding)
