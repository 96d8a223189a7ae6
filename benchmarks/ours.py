"""minigrad's contenders: a task's definition unrolled, or compiled by a backend.

A task has a definition with a loss L, the data `given` by name, and `tensors()`, those that get a gradient.
"""

from __future__ import annotations

from typing import Any

from measuring import Contender, Result


class Unrolled(Contender):
    """The definition unrolled into a graph, and differentiated."""

    def __init__(self, task: Any) -> None:
        self.cell, self.given, self.tensors = task.definition, task.given, task.tensors()

    def step(self) -> None:
        for tensor in self.tensors.values():
            tensor.grad = None
        self.loss = self.differentiated()

    def differentiated(self) -> float:
        loss = self.cell.unroll(**self.given)["L"].stack().sum()
        loss.backward()
        return float(loss.item())

    def result(self) -> Result:
        return self.loss, {name: tensor.grad for name, tensor in self.tensors.items()}


class Compiled(Unrolled):
    """The definition as a NumPy program."""

    compiles = True

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self.fast = self.program()

    def program(self) -> Any:
        return self.cell.compile(loss="L")

    def differentiated(self) -> float:
        return float(self.fast(**self.given).loss)


class Numba(Compiled):
    """The definition as a program that Numba compiles."""

    libraries = ("numba", "scipy")
    caches = True

    def program(self) -> Any:
        return self.cell.compile(loss="L", backend="numba")


OURS: dict[str, type[Contender]] = {"numba": Numba, "compiled": Compiled, "unrolled": Unrolled}
