"""Assignment 2: what is right of orders and gradients of small graphs, and what the usual mistakes are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from examples.assignments import a2_source as solution
from examples.assignments.grading import Answers, Assignment, Check, Finding, Imports
from examples.assignments.graphs import a2 as graphs
from examples.assignments.pictures import of_edges
from examples.assignments.probes import a2 as probes
from examples.assignments.sandbox import Job

Rows = list[tuple[str, float, list[int], list[float]]]
SIGNATURES = {"topological_order": ["out"], "backward": ["out"]}


def small(seed: int) -> Rows:
    """The graph that pictures and the debugger show."""
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
    """Diamonds one upon the other: x -> (l, r) -> x'. There are 2**rungs paths."""
    rows: Rows = [("x0", 1.0, [], [])]
    for k in range(rungs):
        last = len(rows) - 1
        rows += [(f"l{k}", 1.0, [last], [1.0]), (f"r{k}", 1.0, [last], [0.5]),
                 (f"x{k + 1}", 2.0, [last + 1, last + 2], [1.0, 1.0])]
    return rows


def chain(length: int) -> Rows:
    """One node after the other, deeper than Python's stack."""
    return [("n0", 1.0, [], []), *((f"n{k}", 1.0, [k - 1], [1.0]) for k in range(1, length))]


@dataclass(frozen=True)
class Ordered:
    """Inputs before users, each node once, none missing, none too many."""

    graph: str
    rows: Rows

    def __call__(self, answers: Answers) -> Finding | None:
        finding = self.found(answers)
        if finding is None or self.graph == "small":
            return finding
        return replace(finding, edge=None, until="")  # the picture and the debugger show the small graph

    def found(self, answers: Answers) -> Finding | None:
        """What is wrong."""
        order = answers.plain(f"topological_order:{self.graph}", "order")
        names = [row[0] for row in self.rows]
        where = f"topological_order, the {self.graph} graph"
        if self.graph == "small":
            where += f": {', '.join(map(str, order))}"
        if sorted(map(str, order)) != sorted(names):
            for name in names:
                count = order.count(name)
                if count != 1:
                    users = self._users(name)
                    many = f"stands there {count} times: it is met once for every path to it, but is one node"
                    what = many if count else "is missing"
                    return Finding(f"{name} {what}", where, edge=(name, users[0]) if users else None, until=name)
            return Finding("there are nodes that the output doesn't depend on", where)
        position = {name: k for k, name in enumerate(order)}
        for name, _, inputs, _ in self.rows:
            for i in inputs:
                if position[names[i]] > position[name]:
                    return Finding(f"{names[i]} stands after {name}, which is computed from it: an input comes before "
                                   f"all its users", where, edge=(names[i], name), until=name)
        return None

    def _users(self, name: str) -> list[str]:
        at = [row[0] for row in self.rows].index(name)
        return [row[0] for row in self.rows if at in row[2]]


@dataclass(frozen=True)
class Gradients(Ordered):
    """The gradient of every node, from the output on: which user's contribution is missing."""

    def found(self, answers: Answers) -> Finding | None:
        mine = answers.plain(f"backward:{self.graph}", "first")
        right = gradients(self.rows)
        names = [row[0] for row in self.rows]
        for name in reversed(names):
            if np.isclose(mine[name], right[name], rtol=1e-9, atol=0):
                continue
            shares = self._shares(name, right)
            numbers = f"d{names[-1]}/d{name}: yours {mine[name]:.6g}, right {right[name]:.6g}"
            if self.graph == "small" and shares:
                numbers += " = " + " + ".join(f"{share:.6g} through {user}" for user, share in shares)
            text, user, known = _missing(float(mine[name]), shares)
            where = f"backward, {name}" + (f" (right: {', '.join(names[names.index(name) + 1:])})"
                                           if self.graph == "small" and name != names[-1] else "")
            return Finding(f"the gradient of {name} is wrong: {text}", where, numbers, (name, user) if user else None,
                           name, named=known)
        return None

    def _shares(self, name: str, right: dict[str, float]) -> list[tuple[str, float]]:
        """What each use of a node contributes to its gradient."""
        at = [row[0] for row in self.rows].index(name)
        return [(user, right[user] * slope) for user, _, inputs, local in self.rows
                for i, slope in zip(inputs, local) if i == at]


def _missing(mine: float, shares: list[tuple[str, float]]) -> tuple[str, str, bool]:
    """The mistake; the user that it concerns; whether it explains the number exactly."""
    total = sum(share for _, share in shares)
    last = shares[-1][0] if shares else ""
    if not shares:
        return "the output's gradient is 1, the derivative of itself", "", True
    if mine == 0:
        return f"nothing arrives: does {last} pass on its gradient before it has it? The output comes first", last, True
    users = [user for user, _ in shares]
    for user, share in shares:
        if len(shares) > 1 and np.isclose(mine, share, rtol=1e-9):
            if users.count(user) == len(shares):
                return f"{user} uses it {len(shares)} times, but one use alone counts (= where += belongs?)", user, True
            others = [other for other in users if other != user]
            return (f"it holds the contribution through {user} alone; that through {' and '.join(others)} is missing "
                    "(= where += belongs, or its users come too late?)", others[0], True)
        if np.isclose(mine, total - share, rtol=1e-9):
            return f"the contribution through {user} is missing", user, True
    if np.isclose(mine, 2 * total, rtol=1e-9):
        return "exactly twice: something is counted twice", last, True
    return "what its users pass on is not complete when they pass it on: is the order reversed?", last, False


@dataclass(frozen=True)
class Twice(Gradients):
    """A second backward pass over the same graph gives the same."""

    def found(self, answers: Answers) -> Finding | None:
        values = answers.get(f"backward:{self.graph}").values
        for name, _, _, _ in reversed(self.rows):
            first, second = values["first"][name], values["second"][name]
            if first != second:
                twice = ", exactly twice" if np.isclose(second, 2 * first) else ""
                return Finding(f"the second call of backward gives {second:.6g} for {name}, the first gave {first:.6g}"
                               f"{twice}: gradients of the first call are still there", "backward", until=name)
        return Finding("it earns its points once the first call is right") if super().found(answers) else None


def gradients(rows: Rows) -> dict[str, float]:
    """The right gradients."""
    nodes = probes.built(solution, rows)
    solution.backward(nodes[-1])
    return {node.name: node.grad for node in nodes}


@dataclass(frozen=True)
class Drawing:
    """The small graph."""

    rows: Rows

    def __call__(self, finding: Finding) -> Any:
        names = [row[0] for row in self.rows]
        return of_edges([(names[i], name) for name, _, inputs, _ in self.rows for i in inputs], finding)


def assignment(seed: int, hidden: bool = False) -> Iterable[Assignment]:
    """Order and backward pass of three graphs."""
    rows = {"small": small(seed), "ladder": ladder(60), "chain": chain(3000)}
    checks = [Check("import and signatures", 0, Imports(SIGNATURES)),
              Check("order: a small graph", 2, Ordered("small", rows["small"])),
              Check("order: 60 diamonds", 1, Ordered("ladder", rows["ladder"])),
              Check("order: a chain of 3,000 nodes", 1, Ordered("chain", rows["chain"])),
              Check("gradients: a small graph", 3, Gradients("small", rows["small"]), again=1),
              Check("gradients: 60 diamonds", 1, Gradients("ladder", rows["ladder"])),
              Check("gradients: a chain of 3,000 nodes", 1, Gradients("chain", rows["chain"])),
              Check("second call", 1, Twice("small", rows["small"]))]
    job = Job(Path(probes.__file__), list(probes.CALLS), rows, list(SIGNATURES), ["minigrad", "rnn", "viz", "torch"],
              seconds=2.0)
    yield Assignment("a2", "topological order and the backward pass", [job], checks, "a2.py", Drawing(rows["small"]))
