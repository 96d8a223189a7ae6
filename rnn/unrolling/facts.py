"""Nodes and edges of an unrolled graph, by signal name and time step, and the shape of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rnn.language.dependencies import layers
from rnn.language.graphs import longest_paths

if TYPE_CHECKING:
    from .run import Run


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


@dataclass(frozen=True)
class Facts:
    """The shape of an unrolled graph.

    Attributes:
        is_grid: whether every edge leads to the next layer in the same step, or to the same signal
            in the next step: then the graph is a grid of layers and steps.
        chains: the number of parts that no edge connects; with delays of two alone, the odd and the
            even steps are separate.
        longest_path: the number of edges on the longest path.
    """

    is_grid: bool
    chains: int
    longest_path: int


def facts(run: Run) -> Facts:
    """Return the shape of a run's graph, from its copies and the edges between them."""
    copies = [At(name, k) for name in run.cell.signals if name in run for k in run[name].tensors]
    edges = run.edges()
    height = {signal.name: number for signal, number in layers(run.cell).items()}
    is_grid = all((source.t == target.t and height[target.signal] == height[source.signal] + 1)
                  or (source.signal == target.signal and target.t == source.t + 1) for source, target in edges)
    return Facts(is_grid, _count_parts(copies, edges), max(longest_paths(copies, edges).values()))


def _count_parts(copies: list[At], edges: list[Connection]) -> int:
    """Count the connected components, by union-find: every edge merges the sets of its two ends."""
    parent = {copy: copy for copy in copies}

    def find(copy: At) -> At:
        while parent[copy] != copy:
            parent[copy] = parent[parent[copy]]  # path halving: later searches are shorter
            copy = parent[copy]
        return copy

    for source, target in edges:
        parent[find(source)] = find(target)
    return sum(parent[copy] == copy for copy in copies)
