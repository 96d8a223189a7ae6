"""Assignment 2: what is right of orders and gradients of small graphs, and what the usual mistakes are called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from examples.assignments import a2_source as solution
from examples.assignments.comparisons.a2 import Drawing, Gradients, Ordered, Twice
from examples.assignments.grading import Assignment, Check, Imports
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


def gradients(rows: Rows) -> dict[str, float]:
    """Return the right gradients."""
    nodes = probes.built(solution, rows)
    solution.backward(nodes[-1])
    return {node.name: node.grad for node in nodes}


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Order and backward pass of three graphs."""
    rows = {"small": small(seed), "ladder": ladder(60), "chain": chain(3000)}
    right = {name: gradients(some) for name, some in rows.items()}
    checks = [Check("import and signatures", 0, Imports(SIGNATURES)),
              Check("order: a small graph", 2, Ordered("small", rows["small"])),
              Check("order: 60 diamonds", 1, Ordered("ladder", rows["ladder"])),
              Check("order: a chain of 3,000 nodes", 1, Ordered("chain", rows["chain"])),
              Check("gradients: a small graph", 3, Gradients("small", rows["small"], right["small"]), again=1),
              Check("gradients: 60 diamonds", 1, Gradients("ladder", rows["ladder"], right["ladder"])),
              Check("gradients: a chain of 3,000 nodes", 1, Gradients("chain", rows["chain"], right["chain"])),
              Check("second call", 1, Twice("small", rows["small"], right["small"]))]
    job = Job(Path(probes.__file__), list(probes.CALLS), rows, list(SIGNATURES), ["minigrad", "rnn", "viz", "torch"],
              seconds=2.0)
    yield Assignment("a2", "topological order and the backward pass", [job], checks, "a2.py", Drawing(rows["small"]))
