"""Assignment 4: the right edges of unrolled graphs, and what the usual mistakes are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from examples.assignments import a4_source as solution
from examples.assignments.comparisons.a4 import (
    EARLY,
    Copy,
    Definition,
    Drawing,
    Initial,
    Link,
    Loop,
    Order,
    Paths,
    Structure,
    Turns,
    listing,
)
from examples.assignments.grading import Assignment, Check, Imports, Look
from examples.assignments.graphs import a4 as graphs
from examples.assignments.naming import Candidate, unlike
from examples.assignments.probes import a4 as probes
from examples.assignments.sandbox import Job

Unrolled = Counter[Link]  # every edge, and how often it is there
SIGNATURES = {"unroll": ["edges", "T"], "initial_copies": ["edges", "T"], "order_in_a_step": ["edges"],
              "count_paths": ["edges", "T", "start", "end"]}
# The hidden network is here alone: a students' kit has graphs/a4.py.
NETWORKS: dict[str, Definition] = {
    **graphs.NETWORKS,
    "skips": [("v", "n", 0), ("q", "s", 0), ("p", "s", 0), ("s", "s", 2), ("n", "q", 0), ("q", "p", 1), ("p", "n", 0),
              ("p", "p", 2), ("p", "s", 1), ("x", "p", 0)]}
VISIBLE, HIDDEN = tuple(graphs.NETWORKS), ("skips",)


def networks(seed: int, hidden: bool = False) -> dict[str, Definition]:
    """Return the networks of a variant, or the hidden one with names and an order of edges of its own."""
    return {name: graphs.arranged(NETWORKS[name], seed)[1] for name in (HIDDEN if hidden else VISIBLE)}


def reference(name: str, edges: Definition) -> Unrolled:
    """Return the edges of the unrolled graph, as rnn computes them."""
    run = graphs.network(name, edges)
    return Counter(((e.source.signal, e.source.t), (e.target.signal, e.target.t)) for e in run.edges())


def unrolled(edges: Definition, shift: Callable[[int, int], int], steps: range) -> Unrolled:
    """Return the edges of a graph in which an edge of delay d at step t reads step shift(t, d)."""
    return Counter(((source, shift(t, delay)), (target, t)) for t in steps for source, target, delay in edges)


def wrong_unrollings(edges: Definition, T: int) -> list[tuple[str, Unrolled]]:
    """Return known wrong edge lists."""
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


ENDS = {"feedback": [(("y", 2), ("y", 2)), (("a", 1), ("b", 2)), (("c", 1), ("y", 5)), (("b", 3), ("a", 2)),
                     (("x", 1), ("y", 4))],
        "skips": [(("p", 1), ("p", 3)), (("x", 2), ("s", 4)), (("s", -1), ("s", 3))],
        "branches": [(("g", 2), ("a", 2)), (("x", 1), ("a", 1)), (("g", -1), ("a", 1)), (("g", 0), ("a", 3)),
                     (("u", 1), ("u", 1)), (("u", 1), ("g", 5))],
        "two_delays": [(("h", 1), ("h", 2)), (("h", 1), ("h", 4)), (("x", 1), ("y", 5)), (("h", 0), ("y", 3)),
                       (("h", -1), ("y", 3)), (("h", 0), ("h", 0)), (("h", -1), ("h", 0))]}


def ends_of(name: str, seed: int) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """Return pairs of copies: a few that findings name first, then so many that their counts can't be guessed."""
    names, edges = graphs.arranged(NETWORKS[name], seed)
    signals, targets = sorted(graphs.in_order(edges)), sorted({target for _, target, _ in edges})
    first = [((names[a], start), (names[b], end)) for (a, start), (b, end) in ENDS[name]]
    return list(dict.fromkeys([*first, *(((a, start), (b, end)) for start in range(1, graphs.T) for a in signals
                                         for end in (graphs.T - 1, graphs.T) for b in targets)]))


def structure(name: str, edges: Definition) -> Structure:
    """The edges of the unrolled graph."""
    mistakes = wrong_unrollings(edges, graphs.T)
    return Structure(name, graphs.T, edges, sorted(reference(name, edges).elements()),
                     [Candidate(cause, listing(gives)) for cause, gives in mistakes])


def initial(name: str, edges: Definition) -> Initial:
    """The copies at t <= 0, and what reads each of them first."""
    right = {}
    for T in (graphs.T, 1):
        unrolled_edges = sorted(solution.unroll(list(edges), T))
        right[str(T)] = [(copy, next(target for source, target in unrolled_edges if source == copy))
                         for copy in sorted(solution.initial_copies(list(edges), T))]
    return Initial(name, edges, right)


def in_this_order(order: Sequence[str], edges: Definition, start: Copy, end: Copy, first: int = 1) -> int:
    """Return the number of paths that a pass from a first step on finds, with the signals of each step in an order."""
    ways = {start: 1}
    for t in range(first, graphs.T + 1):
        for name in order:
            if (name, t) != start:
                ways[name, t] = sum(ways.get((a, t - delay), 0) for a, b, delay in edges if b == name)
    return ways.get(end, 0)


def edge_by_edge(edges: Definition, start: Copy, end: Copy) -> int:
    """Return the number of paths that a pass finds which follows each edge of a step once, as they are listed."""
    ways = {start: 1}
    for t in range(1, graphs.T + 1):
        for source, target, delay in edges:
            if (target, t) != start:
                ways[target, t] = ways.get((target, t), 0) + ways.get((source, t - delay), 0)
    return ways.get(end, 0)


def paths(name: str, edges: Definition, seed: int) -> Paths:
    """Return the check of the numbers of paths, with known wrong numbers."""
    ends = ends_of(name, seed)

    def counted(edges: Definition) -> list[int]:
        return [solution.count_paths(list(edges), graphs.T, start, end) for start, end in ends]

    def ordered(order: Sequence[str]) -> list[int]:
        return [in_this_order(order, edges, start, end) for start, end in ends]

    right, longest, signals = counted(edges), max(delay for _, _, delay in edges), graphs.in_order(edges)
    early = f"{EARLY}: within a step signals are taken "
    return Paths(name, edges, ends, right, unlike([
        Candidate("it is 1 where there is any: paths are counted, not only found", [min(count, 1) for count in right]),
        Candidate("edges with the longest delay are not followed", counted([e for e in edges if e[2] < longest])),
        Candidate("edges without delay are not followed", counted([e for e in edges if e[2]])),
        Candidate("every delay is taken as 1", counted([(a, b, min(delay, 1)) for a, b, delay in edges])),
        Candidate(f"{early}in the order of the alphabet", ordered(sorted(signals))),
        Candidate(f"{early}in the order in which the edges name them", ordered(signals)),
        Candidate("some copies are passed on before they are complete: each edge of a step is followed once, as they "
                  "are listed", [edge_by_edge(edges, start, end) for start, end in ends]),
        Candidate("it counts paths to copies at t ≤ 0, which are given, so no path leads to them",
                  [in_this_order(solution.order_in_a_step(list(edges)), edges, start, end, min(1, start[1]))
                   for start, end in ends]),
        Candidate("from a copy to itself there is one path",
                  [0 if a == b else n for n, (a, b) in zip(right, ends)])], right))


# Definitions that one process is asked for in turn. The first ones have the same T.
TURNS: list[tuple[Definition, int]] = [
    ([("x", "h", 0), ("h", "h", 1)], 3), ([("h", "h", 1)], 3), ([("p", "q", 1), ("q", "p", 2), ("p", "p", 3)], 3),
    ([("a", "b", 0), ("b", "c", 2), ("a", "c", 0)], 3), ([("x", "h", 0), ("h", "h", 1)], 3), ([], 3),
    ([("h", "h", 1)], 1), ([("h", "h", 4), ("h", "y", 0)], 6),
    ([("x", "h", 1)], 3), ([("x", "h", 0), ("h", "h", 1)], 2),
    ([("c", "z", 1), ("a", "b", 0), ("b", "c", 0)], 2), ([("x", "z", 0), ("z", "a", 0)], 1),
    ([("b", "d", 0), ("c", "d", 0), ("a", "c", 0), ("a", "b", 0)], 2),  # a diamond
    ([("d", "y", 0), ("b", "d", 0), ("c", "d", 0), ("a", "c", 0), ("a", "b", 0)], 1),  # its last signal first
    ([("a", "b", 0), ("a", "c", 0), ("c", "d", 0), ("b", "d", 0)], 2),  # its first signal first
    ([("c", "a", 0), ("d", "a", 0), ("b", "c", 0), ("d", "b", 0), ("a", "d", 2)], 3),  # branches of unequal length
    ([("n", "m", 0), ("q", "p", 0), ("p", "p", 1), ("k", "n", 0)], 2),  # two parts
    ([("b", "a", 0), ("b", "a", 1), ("b", "a", 3), ("a", "b", 2)], 2),  # several edges from one signal to another
    ([("u", "s", 0), ("x", "s", 0), ("s", "r", 0), ("u", "r", 1)], 1),  # two inputs
    ([("g", "f", 1), ("e", "d", 1), ("c", "b", 1), ("a", "b", 0), ("b", "c", 0), ("c", "d", 0), ("d", "e", 0),
      ("e", "f", 0), ("f", "g", 0)], 1)]  # a long chain, its last signals named first
LOOPS: list[Definition] = [
    [("x", "p", 0), ("q", "p", 0), ("r", "q", 0), ("p", "r", 0), ("p", "p", 1)], [("s", "s", 0)],
    [("x", "h", 0), ("h", "y", 0), ("u", "v", 0), ("v", "u", 0), ("v", "h", 1)],
    [("a", "b", 0), ("b", "a", 0)], [("a", "b", 1), ("b", "b", 0)],
    [("a", "b", 0), ("b", "a", 1), ("b", "a", 0)],  # with a delay, and without
    [("e", "a", 0), ("a", "b", 0), ("d", "e", 0), ("c", "d", 0), ("b", "c", 0)],  # long
    [("x", "a", 0), ("x", "b", 0), ("a", "d", 0), ("b", "d", 0), ("d", "f", 0), ("f", "d", 0)],  # behind a diamond
    [("a", "a", 1), ("b", "b", 1), ("b", "a", 0), ("a", "b", 0), ("a", "y", 0)]]


def arranged_turns(seed: int) -> list[tuple[Definition, int]]:
    """Return the definitions of TURNS with the names of a variant. Their orders are those in which mistakes show."""
    return [(renamed(edges, seed), T) for edges, T in TURNS]


def renamed(edges: Definition, seed: int) -> Definition:
    """Return a definition with the names of a variant, in the order as it is."""
    names, _ = graphs.arranged(edges, seed)
    return [(names[source], names[target], delay) for source, target, delay in edges]


def turns(function: str, asked: Sequence[tuple[Definition, int]]) -> Turns:
    """Return the check of a function that is asked for several definitions in turn."""
    return Turns(function, asked, [probes.ASK[function](solution, list(edges), T) for edges, T in asked])


FUNCTIONS = {"unroll": ("unroll",), "initial_copies": ("initial_copies", "unroll"),
             "order_in_a_step": ("order_in_a_step",), "count_paths": ("count_paths", "order_in_a_step", "unroll")}


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Three networks, and loops without delay; hidden: another network. The seed chooses names and orders."""
    found, asked = networks(seed, hidden), arranged_turns(seed)
    loops = [renamed(edges, seed) for edges in LOOPS]
    data: dict[str, Any] = {"loops": loops, "turns": asked, "T": graphs.T, **found,
                            **{f"ends_{name}": ends_of(name, seed) for name in found}}
    questions = [question for question in probes.CALLS if question.partition(":")[2] in data]
    checks = [Check("import and signatures", 0, Imports(SIGNATURES))]
    table: list[tuple[Callable[[str, Definition], Look], str, str, int, int]] = [
        (structure, "edges against the reference graph", "unroll", 2, 2),
        (initial, "initial values", "initial_copies", 1, 1), (Order, "order in a step", "order_in_a_step", 2, 1)]
    for make, what, function, points, again in table:
        checks += [Check(f"{what}: {name}", points, make(name, edges), again=again, of=FUNCTIONS[function])
                   for name, edges in found.items()]
    checks.append(Check("loops without delay", 1, Loop(loops), of=FUNCTIONS["order_in_a_step"]))
    checks += [Check(f"paths: {name}", 2, paths(name, edges, seed), again=1, of=FUNCTIONS["count_paths"])
               for name, edges in found.items()]
    checks += [Check(f"several definitions in turn: {function}", 1, turns(function, asked), of=of)
               for function, of in FUNCTIONS.items()]
    job = Job(Path(probes.__file__), questions, data, list(SIGNATURES), ["rnn", "minigrad", "viz", "networkx"])
    yield Assignment("a4", "the unroller", [job], checks, "a4.py", Drawing(found))
