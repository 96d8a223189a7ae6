"""Assignment 1: how the answers are compared with what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.assignments.grading import Answers, Finding, Numeric, Unanswered, Values
from examples.assignments.graphs import a1 as graphs
from examples.assignments.naming import Edge
from examples.assignments.pictures import of_edges
from examples.assignments.probes import a1 as probes

Array = NDArray[Any]


def edges(name: str) -> dict[str, Edge]:
    """Return the edges from each operand to the operation."""
    return {operand: (operand, name) for operand in graphs.OPERANDS[name]}


@dataclass(frozen=True)
class InMinigrad:
    """The operations as nodes of a graph: which ones there are, and the gradients of the leaves."""

    order: Sequence[str]
    right: dict[str, Array]

    def __call__(self, answers: Answers) -> Finding | None:
        try:
            order = answers.plain(probes.NETWORK, "order")
            if order != list(self.order):
                return Finding(f"the graph is made of {', '.join(map(str, order))}; it must be of "
                               f"{', '.join(self.order)}: is an operation called with Tensors instead of arrays?")
            finding = Values(probes.NETWORK, self.right, prefix="dL/d")(answers)
        except Unanswered as error:
            finding = error.finding
        return finding and replace(finding, follows=True)


@dataclass(frozen=True)
class Extreme:
    """The gradients of very large numbers are finite; their values are compared elsewhere."""

    name: str
    right: Array

    def __call__(self, answers: Answers) -> Finding | None:
        if np.isfinite(answers.array(f"{self.name}.backward:extremes", "x", self.right)).all():
            return None
        return Finding(f"dx of {self.name}.backward is not finite for x = ±1000: does backward compute an exponential "
                       "again? out has all that it needs", function=f"{self.name}.backward")


@dataclass(frozen=True)
class Renamed:
    """Central differences; the inputs are called as forward calls them."""

    name: str
    right: dict[str, Array]

    def __call__(self, answers: Answers) -> Finding | None:
        question = f"{self.name}.forward:numeric"
        answer = answers.get(question)
        operands = {given: operand for operand, given in graphs.OPERANDS[self.name].items()}
        renamed = {operands[given]: value for given, value in answer.values.items() if given in operands}
        both = Answers({**answers.all, question: type(answer)(values=renamed)})
        return Numeric(question, f"{self.name}.backward", {operands[given]: x for given, x in self.right.items()})(both)


@dataclass(frozen=True)
class Drawing:
    """The operation with its operands and its result."""

    def __call__(self, finding: Finding) -> Any:
        assert finding.edge is not None
        name = finding.edge[1]
        return of_edges([*edges(name).values(), (name, "out"), ("out", "loss")], finding)
