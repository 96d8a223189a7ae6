"""Assignment 1: how the answers are compared with what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from examples.assignments.grading import Answers, Finding, Numeric, SecondCall, Unmodified, Values
from examples.assignments.graphs import a1 as graphs
from examples.assignments.naming import Edge
from examples.assignments.pictures import of_edges

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
        order = answers.plain("an operation:network", "order")
        if order != list(self.order):
            return Finding(f"the graph is made of {', '.join(map(str, order))}; it must be of {', '.join(self.order)}: "
                           "is an operation called with Tensors instead of arrays?")
        return Values("an operation:network", self.right, prefix="dL/d")(answers)


@dataclass(frozen=True)
class Both:
    """One check and then another."""

    first: Unmodified
    second: SecondCall

    def __call__(self, answers: Answers) -> Finding | None:
        return self.first(answers) or self.second(answers)


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
