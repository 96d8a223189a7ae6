"""An unrolled definition: its copies by signal and time step, and the state that it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import minigrad as mg
from minigrad import Tensor

from .analysis import boundaries, links
from .equations import Cell


class At(NamedTuple):
    """One copy of a signal."""

    signal: str
    t: int

    def __repr__(self) -> str:
        return f"{self.signal}[{self.t}]"


class Connection(NamedTuple):
    """An edge of the unrolled graph: `target` was computed from `source`."""

    source: At
    target: At


class Copies:
    """The copies of one signal: `[k]` is the one at t=k; `stack()` is t = 1 … T in one Tensor."""

    def __init__(self, name: str, T: int, tensors: Mapping[int, Tensor]) -> None:
        self.name = name
        self.T = T
        self.tensors = tensors

    def __getitem__(self, k: int) -> Tensor:
        if k not in self.tensors:
            known = sorted(self.tensors)
            raise IndexError(f"there is no {self.name}[{k}]: there are {self.name}[{known[0]}] … "
                             f"{self.name}[{known[-1]}] (T = {self.T}; steps count from 1)")
        return self.tensors[k]

    def __len__(self) -> int:
        return self.T

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(1, self.T + 1))

    def stack(self) -> Tensor:
        """All steps as one Tensor (T, batch, size), t = 1 … T along the first axis."""
        stacked: Tensor = mg.stack(list(self))
        return stacked

    def __repr__(self) -> str:
        return f"<{self.name}[1] … {self.name}[{self.T}], each {self[self.T].shape}>"


class State:
    """The past that a run leaves to the next one: the last values of every signal read with a delay.

    Attributes:
        values: signal name -> {step of the next run (0, -1, ...): Tensor}.
    """

    def __init__(self, values: dict[str, dict[int, Tensor]]) -> None:
        self.values = values

    def detach(self) -> State:
        """The same values as constants: the next run's gradients stop there."""
        return State({name: {k: tensor.detach() for k, tensor in steps.items()}
                      for name, steps in self.values.items()})

    def __repr__(self) -> str:
        rows = [f"{name}[{k}] {tensor.shape}" for name, steps in self.values.items()
                for k, tensor in steps.items()]
        return f"<State {', '.join(rows)}>"


class Run:
    """An unrolled definition: `run["h"][3]` is h at t=3, `run["h"].stack()` all its steps in one Tensor.

    Attributes:
        cell: the definition.
        T: the number of steps.
        batch: shape of the batch, e.g. (32,); () where the data had none.
        parameters: the definition's parameters, by name.
    """

    def __init__(self, cell: Cell, T: int, batch: tuple[int, ...], copies: Mapping[str, Mapping[int, Tensor]]) -> None:
        self.cell = cell
        self.T = T
        self.batch = batch
        self.parameters = cell.parameters
        self._copies = copies

    def __getitem__(self, name: str) -> Copies:
        if not self._copies.get(name):
            raise KeyError(f"no signal {name!r} in this run; there are {', '.join(self._copies)}")
        return Copies(name, self.T, self._copies[name])

    def __contains__(self, name: object) -> bool:
        return bool(self._copies.get(str(name)))

    def edges(self) -> list[Connection]:
        """The connections between copies, step by step, within a step in the order of the equations."""
        all_links = links(self.cell)
        return [Connection(At(link.source.name, step + link.equation.lead - link.delay),
                           At(link.target.name, step + link.equation.lead))
                for step in range(1, self.T + 1) for link in all_links]

    @property
    def state(self) -> State:
        """What the next `unroll(initial=...)` starts from; connected to this run until detached."""
        return State({name: {k: self._copies[name][self.T + k] for k in boundary.before}
                      for name, boundary in boundaries(self.cell).items() if boundary.before})

    def __repr__(self) -> str:
        return f"<Run of {self.cell.name!r}: T = {self.T}, batch {self.batch}>"
