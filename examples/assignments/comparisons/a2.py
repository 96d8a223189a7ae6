"""Assignment 2: how the answers are compared with what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from examples.assignments.grading import UNKNOWN, Answers, Finding
from examples.assignments.pictures import of_edges

Rows = Sequence[tuple[str, float, Sequence[int], Sequence[float]]]  # label, value, inputs, local derivatives
WHAT = {"small": "the small graph", "ladder": "the ladder of diamonds", "chain": "the chain",
        "detour": "a graph with paths of unequal length",
        "unnamed": "a graph of nodes without names (called by the order of their creation here)",
        "several": "a graph with several outputs", "leaf": "a graph of one node",
        "twice": "a graph with nodes that are used twice by one node, and again by another", "random": "a random graph"}
FEW = 12  # nodes, of which findings list the order


@dataclass(frozen=True)
class Ordered:
    """Inputs before users, each node once, none missing, none too many: for each root in turn, then the first again."""

    graph: str
    rows: Rows
    roots: Sequence[int]

    def __call__(self, answers: Answers) -> Finding | None:
        finding = self.found(answers)
        if finding is None or self.graph == "small":
            return finding and replace(finding, follows=True)
        # the picture and the debugger show the small graph
        return replace(finding, edge=None, until="", follows=True)

    def found(self, answers: Answers) -> Finding | None:
        """Return the finding, with the edge and the node of it."""
        question = f"topological_order:{self.graph}"
        kept = self.kept(answers, question)
        if kept is not None:
            return kept
        for call, (root, order) in enumerate(zip(self.calls, answers.plain(question, "orders"), strict=True)):
            finding = self._wrong(order, root)
            if finding is not None:
                return replace(finding, cause=f"{self.of_call(call)}{finding.cause}")
        return None

    @property
    def calls(self) -> list[int]:
        """The outputs that the function is called with, in turn."""
        return [*self.roots, self.roots[0]]

    def of_call(self, call: int) -> str:
        """Return the beginning of a sentence about one of several calls."""
        if not call:
            return ""
        root = self.rows[self.calls[call]][0]
        return f"in a second call on the same graph, {f'from {root}, ' if len(self.roots) > 1 else ''}"

    def kept(self, answers: Answers, question: str) -> Finding | None:
        """Return a finding if the function has modified the graph."""
        names = answers.plain(question, "changed")
        if names:
            return Finding(f"{question.partition(':')[0]} changes .{', .'.join(map(str, names))} of a node: the graph "
                           "is the caller's")
        return None

    def depends(self, root: int) -> list[int]:
        """Return the nodes that a node depends on, and itself."""
        found = {root}
        for i in range(root, -1, -1):
            found |= {*self.rows[i][2]} if i in found else set()
        return sorted(found)

    def _wrong(self, order: Sequence[int], root: int) -> Finding | None:
        where = f"topological_order, {WHAT[self.graph]}"
        names = [row[0] for row in self.rows]
        if len(self.rows) <= FEW:
            where += f": {', '.join(names[i] if 0 <= i < len(names) else '?' for i in order)}"
        counts, wanted = Counter(order), self.depends(root)
        for i in wanted:
            if counts[i] != 1:
                many = f"is listed {counts[i]} times, once for every path to it, but is one node"
                users = [user for user, row in enumerate(self.rows) if i in row[2] and user in wanted]
                return Finding(f"{names[i]} {many if counts[i] else 'is missing'}", where,
                               edge=(names[i], names[users[0]]) if users else None, until=names[i])
        if len(order) != len(wanted):
            return Finding("there are nodes that the output doesn't depend on", where)
        position = {i: k for k, i in enumerate(order)}
        for user in wanted:
            for i in self.rows[user][2]:
                if position[i] > position[user]:
                    return Finding(f"{names[i]} comes after {names[user]}, which is computed from it: an input comes "
                                   f"before all its users", where, edge=(names[i], names[user]), until=names[user])
        return None


@dataclass(frozen=True)
class Gradients(Ordered):
    """The gradient of every node, from the output on: the first that is wrong, and the mistake that gives it.

    `right` has those of each root; `again`: whether the calls after the first one count.
    """

    right: Sequence[Mapping[str, float]]
    again: bool = True

    def found(self, answers: Answers) -> Finding | None:
        question = f"backward:{self.graph}"
        kept = self.kept(answers, question)
        if kept is not None:
            return kept
        calls = [(root, self.right[self.roots.index(root)]) for root in self.calls]
        for call, ((root, right), grads) in enumerate(zip(calls, answers.plain(question, "grads"), strict=True)):
            finding = self._wrong_gradient(grads, right, self.depends(root))
            if finding is not None and (self.again or not call):
                return replace(finding, cause=f"{self.of_call(call)}{finding.cause}")
        return None

    def _wrong_gradient(self, grads: Sequence[float], right: Mapping[str, float], wanted: Sequence[int]
                        ) -> Finding | None:
        out = self.rows[wanted[-1]][0]
        done: list[str] = []
        for i in reversed(wanted):
            name = self.rows[i][0]
            if np.isclose(grads[i], right[name], rtol=1e-9, atol=1e-12):
                done.append(name)
                continue
            shares = [(user, right[self.rows[user][0]] * slope, user) for user in wanted
                      for x, slope in zip(*self.rows[user][2:]) if x == i]
            named = [(self.rows[user][0], share) for user, share, _ in shares]
            numbers = f"d{out}/d{name}: yours {grads[i]:.6g}, right {right[name]:.6g}"
            if len(self.rows) <= FEW and named:
                numbers += " = " + " + ".join(f"{share:.6g} through {user}" for user, share in named)
            text, user, known = _missing(float(grads[i]), named, self._variants(i, right, wanted))
            where = f"backward, {WHAT[self.graph]}, {name}" + (
                f" (right: {', '.join(reversed(done))})" if len(self.rows) <= FEW and done else "")
            return Finding(f"the gradient of {name} is wrong: {text}", where, numbers, (name, user) if user else None,
                           name, named=known, mistakes=(text,) if known else ())
        return None

    def _variants(self, i: int, right: Mapping[str, float], wanted: Sequence[int]) -> list[tuple[str, float]]:
        """Return the sums that other factors than the local derivatives give."""
        uses = [(right[self.rows[user][0]], k, self.rows[user]) for user in wanted
                for k, x in enumerate(self.rows[user][2]) if x == i]
        return [
            ("the local derivatives are in the wrong order: those of the other input",
             sum(grad * row[3][len(row[3]) - 1 - k] for grad, k, row in uses)),
            ("the local derivative is missing: each user adds its gradient times node.local",
             sum(grad for grad, _, _ in uses)),
            ("the factor is the value of the input, but should be the local derivative: node.grad * slope",
             sum(grad * self.rows[i][1] for grad, _, _ in uses)),
            ("the factor is the value of the user, but should be the local derivative: node.grad * slope",
             sum(grad * row[1] for grad, _, row in uses)),
            ("the gradient of the user is missing: it is the local derivatives alone, but node.grad * slope is added",
             sum(row[3][k] for _, k, row in uses))]


def _missing(mine: float, shares: Sequence[tuple[str, float]], variants: Sequence[tuple[str, float]]
             ) -> tuple[str, str, bool]:
    """Return the mistake, the user that it concerns, and whether it explains the number exactly."""
    def fits(number: float) -> bool:
        return bool(np.isclose(mine, number, rtol=1e-9, atol=0))

    total = sum(share for _, share in shares)
    last = shares[-1][0] if shares else ""
    if not shares:
        return "the output's gradient is 1, the derivative of itself", "", True
    if mine == 0:
        return "nothing arrives. A node passes on its gradient when it has it: the output comes first", last, True
    users = [user for user, _ in shares]
    for user, share in shares:
        if len(shares) > 1 and fits(share):
            if users.count(user) == len(shares):
                return f"{user} uses it {len(shares)} times, but one use alone counts (= where += belongs?)", user, True
            others = [other for other in dict.fromkeys(users) if other != user]
            return (f"it holds the contribution through {user} alone; that through {' and '.join(others)} is missing "
                    "(= where += belongs, or its users come too late?)", others[0], True)
        if len(shares) > 1 and fits(total - share):
            return f"the contribution through {user} is missing", user, True
    for text, number in (("exactly twice: something is counted twice", 2 * total),
                         ("exactly the negative: a sign is wrong", -total),
                         ("it is one too large: does it begin at 1?", total + 1), *variants):
        if fits(number):
            return text, last, True
    return UNKNOWN, last, False


@dataclass(frozen=True)
class Twice(Gradients):
    """A second backward pass over the same graph gives the same."""

    def found(self, answers: Answers) -> Finding | None:
        first, *_, second = answers.plain(f"backward:{self.graph}", "grads")
        for row, a, b in reversed(list(zip(self.rows, first, second, strict=True))):
            if not np.isclose(a, b, rtol=1e-9, atol=1e-12):
                left = "gradients of the first call are" if np.isclose(b, 2 * a) else "something of the first call is"
                return Finding(f"the second call of backward gives {b:.6g} for {row[0]}, the first gave {a:.6g}"
                               f": {left} still there", "backward", until=row[0])
        if super().found(answers):
            return Finding("it counts when the gradients of the first call are right", named=False, follows=True)
        return None


@dataclass(frozen=True)
class Drawing:
    """The small graph."""

    rows: Rows

    def __call__(self, finding: Finding) -> Any:
        names = [row[0] for row in self.rows]
        return of_edges([(names[i], name) for name, _, inputs, _ in self.rows for i in inputs], finding)
