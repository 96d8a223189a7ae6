"""The shape of an unrolled graph: whether it is a grid, its separate parts, its longest path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnn.language.dependencies import layers

from .at import At

if TYPE_CHECKING:
    from .run import Run


@dataclass(frozen=True)
class Facts:
    """The shape of an unrolled graph.

    Attributes:
        is_grid: whether every edge leads to the next layer in the same step, or to the same signal
            in the next step: then the graph is a grid of layers and steps.
        chains: the number of parts that no edge connects; with a delay of two only, the odd and
            the even steps never meet.
        longest_path: edges on the longest way through the graph.
    """

    is_grid: bool
    chains: int
    longest_path: int


def facts(run: Run) -> Facts:
    """The shape of a run's graph, from its edges between copies."""
    edges = run.edges()
    height = {signal.name: number for signal, number in layers(run.cell).items()}
    is_grid = all((source.t == target.t and height[target.signal] == height[source.signal] + 1)
                  or (source.signal == target.signal and target.t == source.t + 1) for source, target in edges)
    return Facts(is_grid, _parts(run), _longest(run))


def _parts(run: Run) -> int:
    """The number of connected parts, by joining the ends of every edge (union-find)."""
    copies = [At(name, k) for name in run.cell.signals if name in run for k in run[name].tensors]
    leader = {copy: copy for copy in copies}
    for ends in run.edges():
        first, second = (_leader(leader, end) for end in ends)
        leader[first] = second
    return sum(leader[copy] == copy for copy in copies)


def _leader(leader: dict[At, At], copy: At) -> At:
    while leader[copy] != copy:
        leader[copy] = leader[leader[copy]]
        copy = leader[copy]
    return copy


def _longest(run: Run) -> int:
    """Copies are created after all that they read, so one pass in the order of creation is enough."""
    distance: dict[At, int] = {}
    reading: dict[At, list[At]] = {}
    for source, target in run.edges():
        reading.setdefault(target, []).append(source)
    copies = [(tensor.order, At(name, k)) for name in run.cell.signals if name in run
              for k, tensor in run[name].tensors.items()]
    for _, copy in sorted(copies):
        distance[copy] = max((distance[source] + 1 for source in reading.get(copy, [])), default=0)
    return max(distance.values())
