"""Assignment 2: what is right of orders and gradients of small graphs, and what the usual mistakes are called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from examples.assignments import a2_source as solution
from examples.assignments.comparisons.a2 import Drawing, Gradients, Ordered, Twice
from examples.assignments.grading import Assignment, Check, Imports, InTurn
from examples.assignments.graphs import a2 as graphs
from examples.assignments.probes import a2 as probes
from examples.assignments.sandbox import Job

Rows = list[tuple[str, float, list[int], list[float]]]
SIGNATURES = {"topological_order": ["out"], "backward": ["out"]}


def small(seed: int) -> Rows:
    """Return the graph that pictures and the debugger show."""
    at: dict[str, int] = {}
    values, rows = graphs.leaves(seed), []
    for name, operation, operands in graphs.SMALL:
        at[name] = len(at)
        numbers = [values[x] for x in operands]
        local = numbers[::-1] if operation == "multiply" else [1.0] * len(operands)
        if operation != "leaf":
            values[name] = numbers[0] * numbers[1] if operation == "multiply" else sum(numbers)
        rows.append((name, values[name], [at[x] for x in operands], local))
    return rows


def ladder(rungs: int) -> Rows:
    """Return a chain of diamonds, x -> (l, r) -> x', with 2**rungs paths."""
    rows: Rows = [("x0", 1.0, [], [])]
    for k in range(rungs):
        last = len(rows) - 1
        rows += [(f"l{k}", 1.0, [last], [1.0]), (f"r{k}", 1.0, [last], [0.5]),
                 (f"x{k + 1}", 2.0, [last + 1, last + 2], [1.0, 1.0])]
    return rows


def chain(length: int) -> Rows:
    """Return a chain of nodes that is deeper than Python's stack."""
    return [("n0", 1.0, [], []), *((f"n{k}", 1.0, [k - 1], [1.0]) for k in range(1, length))]


def detour(seed: int) -> Rows:
    """Return a graph in which inner nodes are reached by a short and by a long path, with interior joins."""
    return rows_of(seed, [("x", ()), ("y", ()), ("j", ("x", "y")), ("p", ("j",)), ("q", ("p", "x")), ("r", ("q", "j")),
                          ("s", ("r",)), ("k", ("j", "s")), ("m", ("k",)), ("out", ("j", "m", "k"))])


def unnamed(seed: int) -> Rows:
    """Return a graph of nodes that have no name, some of equal value: they can only be told apart as objects."""
    rows = rows_of(seed, [("a", ()), ("b", ()), ("c", ("a", "b")), ("d", ("a", "b")), ("e", ("c", "d")),
                          ("f", ("e", "c"))])
    return [(name, 2.0, inputs, local) for name, _, inputs, local in rows]


def several(seed: int) -> Rows:
    """Return a graph with two outputs, u and v, which share nodes; w uses both."""
    return rows_of(seed, [("a", ()), ("b", ()), ("c", ("a", "b")), ("d", ("c", "c")), ("u", ("d", "a")),
                          ("v", ("c", "b", "d")), ("w", ("u", "v"))])


def twice(seed: int) -> Rows:
    """Return a graph in which nodes are used twice by one node, and again by others, near to the output and far.

    Near and far come in both orders, so no way through the graph meets all of the near ones last. Two inputs don't
    count: their local derivative is 0; z is used by nothing else.
    """
    rows = rows_of(seed, [
        ("x", ()), ("y", ()), ("z", ()), ("c", ("x", "y")), ("far1", ("c",)), ("far2", ("far1", "y")),
        ("far3", ("far2",)), ("near", ("c", "c")), ("a", ("near", "far3")), ("b", ("far3", "near")),
        ("p", ("y",)), ("q", ("p", "x")), ("k", ("c", "c", "q")), ("m", ("far3", "c", "c")), ("n", ("x", "z", "x")),
        ("left", ("a", "k", "n")), ("right", ("m", "b", "n")), ("out", ("left", "right"))])
    still = {"far2": 1, "n": 1}
    return [(name, value, inputs, [0.0 if still.get(name) == k else slope for k, slope in enumerate(local)])
            for name, value, inputs, local in rows]


def random_graph(seed: int, nodes: int = 40) -> Rows:
    """Return a graph whose nodes each read up to four of the last ones, often one of them twice."""
    rng = np.random.default_rng(seed)
    names = [f"n{k}" for k in range(nodes)]
    return rows_of(seed, [(name, tuple(names[k - 1 - int(i)] for i in rng.integers(0, min(k, 6), rng.integers(1, 5)))
                           if k > 1 else ()) for k, name in enumerate(names)])


def rows_of(seed: int, graph: list[tuple[str, tuple[str, ...]]]) -> Rows:
    """Return the rows of a graph of names, with random values and local derivatives."""
    rng = np.random.default_rng(seed)
    at = {name: i for i, (name, _) in enumerate(graph)}
    return [(name, round(float(rng.uniform(1, 3)), 2), [at[x] for x in inputs],
             [round(float(rng.uniform(0.5, 2)), 2) * (-1) ** (k + i) for k in range(len(inputs))])
            for i, (name, inputs) in enumerate(graph)]


def gradients(rows: Rows, root: int = -1) -> dict[str, float]:
    """Return the right gradients."""
    nodes = probes.built(solution, {"rows": rows, "named": True})
    solution.backward(nodes[root])
    return {node.name: node.grad for node in nodes}


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Order and backward pass of several graphs."""
    rows: dict[str, Rows] = {"small": small(seed), "ladder": ladder(60), "chain": chain(3000), "detour": detour(seed),
                             "unnamed": unnamed(seed), "several": several(seed), "leaf": [("a", 2.0, [], [])],
                             "twice": twice(seed), "random": random_graph(seed)}
    roots = {name: [4, 5, 6, 3] if name == "several" else [len(some) - 1] for name, some in rows.items()}
    order = {name: Ordered(name, some, roots[name]) for name, some in rows.items()}
    back = {name: Gradients(name, some, roots[name], [gradients(some, root) for root in roots[name]],
                            again=name not in ("small", "ladder", "chain")) for name, some in rows.items()}
    others = ["detour", "unnamed", "several", "leaf", "twice", "random"]
    of_order, of_back = ("topological_order",), ("backward", "topological_order")
    checks = [Check("import and signatures", 0, Imports(SIGNATURES)),
              Check("order: a small graph", 2, order["small"], of=of_order),
              Check("order: 60 diamonds", 1, order["ladder"], of=of_order),
              Check("order: a chain of 3,000 nodes", 1, order["chain"], of=of_order),
              Check("order: other graphs", 1, InTurn([order[name] for name in others]), again=1, of=of_order),
              Check("gradients: a small graph", 3, back["small"], again=1, of=of_back),
              Check("gradients: 60 diamonds", 1, back["ladder"], of=of_back),
              Check("gradients: a chain of 3,000 nodes", 1, back["chain"], of=of_back),
              Check("second call", 1, Twice("small", rows["small"], roots["small"], back["small"].right), of=of_back),
              Check("gradients: other graphs", 2, InTurn([back[name] for name in others]), again=1, of=of_back)]
    data = {name: {"rows": some, "roots": roots[name], "named": name != "unnamed"} for name, some in rows.items()}
    job = Job(Path(probes.__file__), list(probes.CALLS), data, list(SIGNATURES), ["minigrad", "rnn", "viz", "torch"],
              seconds=2.0)
    yield Assignment("a2", "topological order and the backward pass", [job], checks, "a2.py", Drawing(rows["small"]))
