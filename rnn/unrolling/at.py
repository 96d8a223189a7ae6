"""Nodes and edges of an unrolled graph, by signal name and time step."""

from __future__ import annotations

from typing import NamedTuple


class At(NamedTuple):
    """The copy of a signal at one time step."""

    signal: str
    t: int

    def __repr__(self) -> str:
        return f"{self.signal}[{self.t}]"


class Connection(NamedTuple):
    """An edge of the unrolled graph: `target` is computed from `source`."""

    source: At
    target: At
