"""Assignment 2: how the answers are compared with what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from examples.assignments.grading import Answers, Finding
from examples.assignments.pictures import of_edges

Rows = Sequence[tuple[str, float, Sequence[int], Sequence[float]]]  # name, value, inputs, local derivatives


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
            counts = Counter(map(str, order))
            for name in names:
                count = counts[name]
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

    right: Mapping[str, float]

    def found(self, answers: Answers) -> Finding | None:
        mine = answers.plain(f"backward:{self.graph}", "first")
        right = self.right
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

    def _shares(self, name: str, right: Mapping[str, float]) -> list[tuple[str, float]]:
        """Return the contribution of each use of a node to its gradient."""
        at = [row[0] for row in self.rows].index(name)
        return [(user, right[user] * slope) for user, _, inputs, local in self.rows
                for i, slope in zip(inputs, local) if i == at]


def _missing(mine: float, shares: list[tuple[str, float]]) -> tuple[str, str, bool]:
    """Return the mistake, the user that it concerns, and whether it explains the number exactly."""
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


@dataclass(frozen=True)
class Drawing:
    """The small graph."""

    rows: Rows

    def __call__(self, finding: Finding) -> Any:
        names = [row[0] for row in self.rows]
        return of_edges([(names[i], name) for name, _, inputs, _ in self.rows for i in inputs], finding)
