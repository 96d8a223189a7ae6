"""Names for the nodes and edges of an unrolled graph."""

from __future__ import annotations

from typing import NamedTuple


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
