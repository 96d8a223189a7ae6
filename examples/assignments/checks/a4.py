"""Assignment 4: the right edges of unrolled graphs, and what the usual mistakes are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.assignments import a4_source as solution
from examples.assignments.grading import Answers, Assignment, Check, Edge, Finding, Imports
from examples.assignments.graphs import a4 as graphs
from examples.assignments.pictures import of_edges, of_run
from examples.assignments.probes import a4 as probes
from examples.assignments.sandbox import Job

Definition = Sequence[tuple[str, str, int]]
Link = tuple[tuple[str, int], tuple[str, int]]
Unrolled = Counter[Link]  # every edge, and how often it is there
SIGNATURES = {"unroll": ["edges", "T"], "initial_copies": ["edges", "T"], "order_in_a_step": ["edges"],
              "count_paths": ["edges", "T", "start", "end"]}


def reference(name: str) -> Unrolled:
    """The edges of the unrolled graph, as rnn has them."""
    return Counter(((e.source.signal, e.source.t), (e.target.signal, e.target.t)) for e in graphs.network(name).edges())


def unrolled(edges: Definition, shift: Callable[[int, int], int], steps: range) -> Unrolled:
    """The edges where an edge of delay d at step t reads step shift(t, d)."""
    return Counter(((source, shift(t, delay)), (target, t)) for t in steps for source, target, delay in edges)


def wrong_unrollings(edges: Definition, T: int) -> list[tuple[str, Unrolled]]:
    """Known wrong edge lists."""
    steps, right = range(1, T + 1), unrolled(edges, lambda t, d: t - d, range(1, T + 1))
    found = [
        ("every delay is taken as 1: ({}, {}, {}) reads t - {}, not t - 1",
         unrolled(edges, lambda t, d: t - min(d, 1), steps)),
        ("delays are ignored: ({}, {}, {}) reads t - {}, not t", unrolled(edges, lambda t, d: t, steps)),
        ("delays go the wrong way: ({}, {}, {}) reads t - {}, the past", unrolled(edges, lambda t, d: t + d, steps)),
        ("delays are one too long: ({}, {}, {}) reads t - {}", unrolled(edges, lambda t, d: t - d - 1, steps)),
        ("every delay is one too long where there is one: ({}, {}, {}) reads t - {}",
         unrolled(edges, lambda t, d: t - d - (d > 0), steps))]
    texts = [(text.format(*next((e for e in edges if e[2] == max(d for _, _, d in edges)), edges[0]),
                          max(d for _, _, d in edges)), gives) for text, gives in found]
    backward = Counter((b, a) for a, b in right)
    return [*texts,
            ("edges point backward: it is (source copy, target copy)", backward),
            ("steps are counted from 0: they go from 1 to T", unrolled(edges, lambda t, d: t - d, range(T))),
            (f"the last step is missing: steps go from 1 to T = {T}", unrolled(edges, lambda t, d: t - d, range(1, T))),
            (f"there is a step too many: steps go from 1 to T = {T}",
             unrolled(edges, lambda t, d: t - d, range(1, T + 2))),
            ("edges from initial values (t <= 0) are missing: the first steps read them",
             Counter(edge for edge in right if edge[0][1] >= 1)),
            ("edges from initial values at t < 0 are missing: a delay of two reads t = -1",
             Counter(edge for edge in right if edge[0][1] >= 0)),
            ("initial values are all taken as t = 0: a delay of two reads t = -1 too",
             unrolled(edges, lambda t, d: max(t - d, 0), steps)),
            ("edges with a delay are missing: each step is alone", Counter(e for e in right if e[0][1] == e[1][1])),
            *((f"the edge {(source, target, delay)} is missing at every step",
               unrolled([e for e in edges if e != (source, target, delay)], lambda t, d: t - d, steps))
              for source, target, delay in edges)]


def text(copy: tuple[str, int]) -> str:
    return f"{copy[0]}[{copy[1]}]"


def arrow(edge: Link) -> Edge:
    return text(edge[0]), text(edge[1])


@dataclass(frozen=True)
class Structure:
    """The student's edges against those of the reference graph."""

    name: str

    def __call__(self, answers: Answers) -> Finding | None:
        edges = graphs.NETWORKS[self.name]
        listed = answers.plain(f"unroll:{self.name}", "edges")
        try:
            mine = [((str(a), int(i)), (str(b), int(j))) for (a, i), (b, j) in listed]
        except (TypeError, ValueError):
            return Finding("unroll returns no list of ((source, step), (target, step))", "unroll")
        right, found = reference(self.name), Counter(mine)
        missing, extra = sorted(right - found, key=_by_step), sorted(found - right, key=_by_step)
        if not missing and not extra:
            return None
        known = next((f"the edge {' -> '.join(arrow(edge))} is there twice" for edge in extra if edge in right
                      and not missing),
                     None)
        known = known or next((cause for cause, gives in wrong_unrollings(edges, graphs.T) if gives == found), None)
        lines = [f"{len(some)} {word}, first {' -> '.join(arrow(some[0]))}" for some, word in (
            (missing, "missing"), (extra, "too many")) if some]
        first = min([*missing, *extra], key=_by_step)
        return Finding(f"{known or 'the unrolled graph has other edges'}", f"t = {first[1][1]}, unroll of {self.name}",
                       "; ".join(lines), arrow(missing[0]) if missing else None, _copy_until(first), self.name,
                       named=known is not None, extra=tuple(map(arrow, extra)), more=tuple(map(arrow, missing[1:])))


def _copy_until(edge: Link) -> str:
    return text(edge[0]) if 1 <= edge[0][1] <= graphs.T and edge[0][0] != "x" else text(edge[1])


def _by_step(edge: Link) -> tuple[int, str, int, str]:
    return edge[1][1], edge[1][0], edge[0][1], edge[0][0]


@dataclass(frozen=True)
class Initial:
    """The copies at t <= 0."""

    name: str

    def __call__(self, answers: Answers) -> Finding | None:
        for T in (graphs.T, 1):
            edges = graphs.NETWORKS[self.name]
            right = solution.initial_copies(list(edges), T)
            listed = answers.plain(f"initial_copies:{self.name}", str(T))
            try:
                mine = {(str(name), int(k)) for name, k in listed}
            except (TypeError, ValueError):
                return Finding("initial_copies returns no set of (signal, step)", "initial_copies")
            missing, extra = sorted(right - mine), sorted(mine - right)
            if missing:
                reads = next(target for source, target in sorted(solution.unroll(list(edges), T)) if source
                             == missing[0])
                return Finding(f"{text(missing[0])} is missing: {text(reads)} reads it",
                               f"initial_copies of {self.name}, T = {T}",
                               edge=(text(missing[0]), text(reads)), until=text(reads), graph=self.name)
            if extra:
                what = "is no initial value: steps from 1 on are computed" if extra[0][1] > 0 else "is read by nothing"
                return Finding(f"{text(extra[0])} {what}", f"initial_copies of {self.name}, T = {T}")
        return None


@dataclass(frozen=True)
class Order:
    """Signals in an order in which a step can be computed."""

    name: str

    def __call__(self, answers: Answers) -> Finding | None:
        edges = graphs.NETWORKS[self.name]
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


def loop(answers: Answers) -> Finding | None:
    """A loop without delay is refused."""
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
    ends: Sequence[tuple[tuple[str, int], tuple[str, int]]]

    def __call__(self, answers: Answers) -> Finding | None:
        edges = list(graphs.NETWORKS[self.name])
        mine = [answers.plain(f"count_paths:{self.name}", f"{start} {end}") for start, end in self.ends]
        right = self._counted(edges)
        wrong = next((k for k in range(len(mine)) if mine[k] != right[k]), None)
        if wrong is None:
            return None
        longest = max(delay for _, _, delay in edges)
        known = {
            "it is 1 where there is any: ways are added, not only found": [min(count, 1) for count in right],
            "edges with the longest delay are not followed": self._counted([e for e in edges if e[2] < longest]),
            "edges without delay are not followed": self._counted([e for e in edges if e[2]]),
            "every delay is taken as 1": self._counted([(a, b, min(delay, 1)) for a, b, delay in edges]),
            "from a copy to itself there is one path": [0 if a == b else n for n, (a, b) in zip(right, self.ends)]}
        why = next((said for said, counts in known.items() if counts == mine), "")
        start, end = map(text, self.ends[wrong])
        lead = "path leads" if right[wrong] == 1 else "paths lead"
        return Finding(f"{right[wrong]} {lead} from {start} to {end}, not {mine[wrong]}{': ' + why if why else ''}",
                       f"count_paths of {self.name}", until=start, graph=self.name, named=bool(why))

    def _counted(self, edges: list[tuple[str, str, int]]) -> list[int]:
        return [solution.count_paths(edges, graphs.T, start, end) for start, end in self.ends]


ENDS = {"feedback": [(("y", 2), ("y", 2)), (("a", 1), ("b", 2)), (("c", 1), ("y", 5)), (("b", 3), ("a", 2)),
                     (("x", 1), ("y", 4))],
        "skips": [(("p", 1), ("p", 3)), (("x", 2), ("s", 4))],
        "two_delays": [(("h", 1), ("h", 2)), (("h", 1), ("h", 4)), (("x", 1), ("y", 5)), (("h", 0), ("y", 3))]}


def draw(finding: Finding) -> Any:
    """The unrolled network; the definition where a loop is meant."""
    return of_run(graphs.network(finding.graph), finding) if finding.graph else of_edges(
        [(a, b) for a, b, _ in graphs.LOOP], finding)


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Two networks and a loop without delay; hidden: another network. No numbers, so the seed changes nothing."""
    names = ["skips"] if hidden else ["two_delays", "feedback"]
    data: dict[str, Any] = {**graphs.NETWORKS, "loop": graphs.LOOP, "T": graphs.T,
                            **{f"ends_{name}": ends for name, ends in ENDS.items()}}
    checks = [Check("import and signatures", 0, Imports(SIGNATURES))]
    for make, what, points, again in ((Structure, "edges against the reference graph", 3, 2),
                                      (Initial, "initial values", 1, 1),
                                      (Order, "order in a step", 2, 1)):
        checks += [Check(f"{what}: {name}", points, make(name), again=again) for name in names]
    checks.append(Check("a loop without delay", 1, loop))
    checks += [Check(f"paths: {name}", 2, Paths(name, ENDS[name]), again=1) for name in names]
    job = Job(Path(probes.__file__), list(probes.CALLS), data, list(SIGNATURES), ["rnn", "minigrad", "viz", "networkx"])
    yield Assignment("a4", "the unroller", [job], checks, "a4.py", draw)
