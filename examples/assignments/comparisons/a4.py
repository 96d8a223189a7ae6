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
from examples.assignments.pictures import of_run

Definition = Sequence[tuple[str, str, int]]
Copy = tuple[str, int]
Link = tuple[Copy, Copy]
EARLY = "some copies are counted before their sources"  # as with a wrong order of the signals
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


def kept(answers: Answers, question: str, edges: Definition) -> Finding | None:
    """Return a finding if the function has modified the caller's list of edges."""
    left = answers.plain(question, "given")
    if left == [list(edge) for edge in edges]:
        return None
    some = f": {len(left)} of {len(edges)} are left" if isinstance(left, list) and len(left) != len(edges) else ""
    return Finding(f"{question.partition(':')[0]} changes the caller's list of edges{some}. Work on a copy",
                   follows=True)


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
    edges: Definition
    right: Sequence[Link]
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        changed = kept(answers, f"unroll:{self.name}", self.edges)
        if changed is not None:
            return changed
        listed = answers.plain(f"unroll:{self.name}", "found")
        try:
            mine = [(copy_of(source), copy_of(target)) for source, target in listed]
        except (TypeError, ValueError):
            return Finding("unroll returns no list of ((source, step), (target, step))", "unroll", broken=True)
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
                       more=tuple(map(arrow, missing[1:])), mistakes=hit.all_mistakes if hit else (), follows=True)

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
    edges: Definition
    right: Mapping[str, Sequence[tuple[Copy, Copy]]]

    def __call__(self, answers: Answers) -> Finding | None:
        changed = kept(answers, f"initial_copies:{self.name}", self.edges)
        if changed is not None:
            return changed
        for T, copies in self.right.items():
            reader = {_copy(copy): _copy(target) for copy, target in copies}
            right = set(reader)
            listed = answers.plain(f"initial_copies:{self.name}", T)
            try:
                counts = Counter(map(copy_of, listed))
            except (TypeError, ValueError):
                return Finding("initial_copies returns no set of (signal, step)", "initial_copies", broken=True)
            mine, twice = set(counts), sorted(copy for copy, count in counts.items() if count > 1)
            missing, extra = sorted(right - mine), sorted(mine - right)
            if missing:
                reads = reader[missing[0]]
                return Finding(f"{text(missing[0])} is missing: {text(reads)} reads it",
                               f"initial_copies of {self.name}, T = {T}", follows=True,
                               edge=(text(missing[0]), text(reads)), until=text(reads), graph=self.name)
            if extra:
                what = "is no initial value: steps from 1 on are computed" if extra[0][1] > 0 else "is read by nothing"
                return Finding(f"{text(extra[0])} {what}", f"initial_copies of {self.name}, T = {T}", follows=True)
            if twice:
                return Finding(f"{text(twice[0])} is listed {counts[twice[0]]} times; a set holds it once",
                               f"initial_copies of {self.name}, T = {T}", follows=True)
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
            return Finding("order_in_a_step sees a loop without delay where there is none. Does it count edges with a "
                           "delay, or a signal to which two ways lead?",
                           f"order_in_a_step of {self.name}: {shown(edges)}", broken=True, follows=True)
        changed = kept(answers, f"order_in_a_step:{self.name}", edges)
        if changed is not None:
            return changed
        order = answers.plain(f"order_in_a_step:{self.name}", "found")
        where = f"order_in_a_step of {self.name}: {', '.join(map(str, order))}"
        wrong = wrong_order(order, edges)
        if wrong is None:
            return None
        cause, edge = wrong
        return Finding(cause, where, graph=self.name if edge else "", edge=edge, until=edge[0] if edge else "",
                       follows=True)


def wrong_order(order: Sequence[Any], edges: Definition) -> tuple[str, Edge | None] | None:
    """Return the error in an order of signals, and the edge that it concerns."""
    names = sorted({name for source, target, _ in edges for name in (source, target)})
    for name in names:
        if order.count(name) != 1:
            only = all(delay for *ends, delay in edges if name in ends)
            why = ": a signal that has only edges with a delay is computed too" if only and name not in order else ""
            return f"{name} is listed {order.count(name)} times, but should be once{why}", None
    if len(order) != len(names):
        return "there are unknown signals", None
    for source, target, delay in edges:
        if delay == 0 and order.index(source) > order.index(target):
            return (f"{target} comes before {source}, which it reads without delay",
                    (f"{source}[1]", f"{target}[1]"))
    return None


@dataclass(frozen=True)
class Loop:
    """Loops without delay are refused: a ValueError, or a subclass of it."""

    loops: Sequence[Definition]

    def __call__(self, answers: Answers) -> Finding | None:
        for edges, raised in zip(self.loops, answers.plain("order_in_a_step:loops", "raised"), strict=True):
            if not isinstance(raised, str) and "ValueError" in raised:
                continue
            said = raised if isinstance(raised, str) else f"raises {raised[0]}"
            return Finding(f"order_in_a_step {said} for {shown(edges)}, which has a loop without delay; it must raise "
                           "ValueError", "order_in_a_step of a loop without delay", follows=True)
        return None


def shown(edges: Definition) -> str:
    """Return a definition as text."""
    return f"[{', '.join(f'({a}, {b}, {delay})' for a, b, delay in edges)}]"


@dataclass(frozen=True)
class Turns:
    """One function of several small definitions, one after another: some without edges, some with delays alone.

    `turns` has each definition with its T; `right` has the results.
    """

    function: str
    turns: Sequence[tuple[Definition, int]]
    right: Sequence[Any]

    def __call__(self, answers: Answers) -> Finding | None:
        found = answers.plain(f"{self.function}:turns", "found")
        for call, ((edges, T), mine, right) in enumerate(zip(self.turns, found, self.right, strict=True)):
            if not self._right(mine, edges, right):
                again = [some for some, _ in self.turns].index(edges) < call
                same_T = call and self.turns[call - 1][1] == T
                before = ", after others in the same process" if again or same_T else ""
                return Finding(f"{self.function} of {shown(edges)} with T = {T} gives {mine!r:.100}{before}; right "
                               f"{'is one order' if self.function == 'order_in_a_step' else 'is'} {right!r:.100}",
                               function=self.function, follows=True)
        return None

    def _right(self, mine: Any, edges: Definition, right: Any) -> bool:
        if self.function == "order_in_a_step":
            return wrong_order(mine, edges) is None
        if self.function == "count_paths":
            return list(map(whole, mine)) == list(right)
        try:
            pairs: list[Any] = [copy_of(one) if self.function == "initial_copies" else tuple(map(copy_of, one))
                                for one in mine]
        except (TypeError, ValueError):
            return False
        wanted: list[Any] = [_copy(one) if self.function == "initial_copies" else _link(one) for one in right]
        return Counter(pairs) == Counter(wanted)


@dataclass(frozen=True)
class Paths:
    """The numbers of paths between copies."""

    name: str
    edges: Definition
    ends: Sequence[tuple[Copy, Copy]]
    right: Sequence[int]
    mistakes: Sequence[Mistake]

    def __call__(self, answers: Answers) -> Finding | None:
        changed = kept(answers, f"count_paths:{self.name}", self.edges)
        if changed is not None:
            return changed
        ends = [(_copy(start), _copy(end)) for start, end in self.ends]
        given = answers.plain(f"count_paths:{self.name}", "found")
        mine = [whole(value) for value in given]
        wrong = next((k for k in range(len(mine)) if mine[k] != self.right[k]), None)
        if wrong is None:
            return None
        start, end = map(text, ends[wrong])
        if mine[wrong] is None:
            return Finding(f"count_paths returns {given[wrong]!r:.60} from {start} to {end}; it must return a whole "
                           f"number", f"count_paths of {self.name}", until=start, graph=self.name, broken=True,
                           follows=True)
        hit = known(mine, self.mistakes)
        lead = "path leads" if self.right[wrong] == 1 else "paths lead"
        return Finding(f"{self.right[wrong]} {lead} from {start} to {end}, not {mine[wrong]}"
                       f"{': ' + hit.mistake if hit else ''}",
                       f"count_paths of {self.name}", until=start, graph=self.name, named=hit is not None,
                       mistakes=hit.all_mistakes if hit else (),
                       follows=hit is None or hit.mistake.startswith(EARLY))


@dataclass(frozen=True)
class Drawing:
    """The unrolled network."""

    networks: Mapping[str, Definition]

    def __call__(self, finding: Finding) -> Any:
        return of_run(graphs.network(finding.graph, self.networks[finding.graph]), finding)
