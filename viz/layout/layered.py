"""Layered graph drawing: x coordinates for boxes that are assigned to layers.

The method of Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system
structures (IEEE Trans. SMC 11, 1981), without its first step: the layers are given (step_graph.py
assigns them by longest paths). Boxes are known by number only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

SWEEPS = 12
BEND = 12.0  # width reserved for an edge in a layer that it passes
DISTANCES = (16.0, 8.0, 2.0)  # the least distance of neighbours of which none, one or both are bends
MINOR = 0.02  # weight of a neighbour that was pushed aside: so that it doesn't bend the main line


class Coordinates(NamedTuple):
    """The result of a layout."""

    x: list[float]  # of every box; 0 is the middle
    bends: list[list[float]]  # for every edge, its x in each layer that it passes


def layered_layout(layers: Sequence[int], lefts: Sequence[float], rights: Sequence[float],
                   edges: Sequence[tuple[int, int]], sides: Sequence[int],
                   first: tuple[Sequence[float], Sequence[float]] | None = None) -> Coordinates:
    """Return x coordinates with few crossings and short, straight edges.

    Args:
        layers, lefts, rights: the layer of each box, from 0; how far it extends from its centre.
        edges: pairs of boxes, the first in a lower layer than the second.
        sides: for each box -1, 0 or 1: prefer the left, no side, the right where the order is free.
        first: for each box, and for each edge in the layers that it passes, its position in an order that is kept
            unless another one has fewer crossings.
    """
    graph = _ProperGraph(layers, lefts, rights, edges, sides)
    if first is not None:
        graph.first = [*first[0], *(position for chain, position in zip(graph.chains, first[1]) for _ in chain[1:-1])]
    x = graph.assign_coordinates(graph.reduce_crossings())
    return Coordinates(x[:graph.boxes], [[x[node] for node in chain[1:-1]] for chain in graph.chains])


def _has_one(layer: Sequence[int]) -> bool:
    return len(layer) == 1


class _ProperGraph:
    """The graph with every edge divided by dummy vertices, so that it joins neighbouring layers only."""

    def __init__(self, layers: Sequence[int], lefts: Sequence[float], rights: Sequence[float],
                 edges: Sequence[tuple[int, int]], sides: Sequence[int]) -> None:
        self.layers, self.lefts, self.rights, self.sides = list(layers), list(lefts), list(rights), list(sides)
        self.boxes = len(layers)
        self.first: list[float] = []
        self.chains = [self._divide(source, target) for source, target in edges]
        self.below: list[list[int]] = [[] for _ in self.layers]
        self.above: list[list[int]] = [[] for _ in self.layers]
        for chain in self.chains:
            for low, high in pairwise(chain):
                self.above[low].append(high)
                self.below[high].append(low)

    def _divide(self, source: int, target: int) -> list[int]:
        """Insert dummy vertices: return an edge as a chain with one node per layer."""
        chain = [source]
        for layer in range(self.layers[source] + 1, self.layers[target]):
            chain.append(len(self.layers))
            self.layers.append(layer)
            self.lefts.append(BEND / 2)
            self.rights.append(BEND / 2)
            self.sides.append(0)
        return [*chain, target]

    # ---- crossing reduction
    def reduce_crossings(self) -> list[list[int]]:
        """Return the nodes of each layer from left to right.

        The barycenter heuristic: sweep up and down, sorting one layer at a time by the mean positions of
        its neighbours. A sweep can make the order worse, so the best one is kept.
        """
        order: list[list[int]] = [[] for _ in range(max(self.layers, default=-1) + 1)]
        first = self.first or [0.0] * len(self.layers)
        for _, _, node in sorted(zip(self.sides, first, range(len(self.layers)))):
            order[self.layers[node]].append(node)
        best = self._crossings(order), [list(layer) for layer in order]
        place = {node: share for layer in order for node, share in _shares(layer)}
        for sweep in range(SWEEPS):
            upward = sweep % 2 == 0
            for layer in (order if upward else order[::-1]):
                self._sort_by_barycenter(layer, place, self.below if upward else self.above)
            crossings = self._crossings(order)
            if crossings < best[0]:
                best = crossings, [list(layer) for layer in order]
        return best[1]

    def _sort_by_barycenter(self, layer: list[int], place: dict[int, float], neighbours: list[list[int]]) -> None:
        """Sort a layer, and set its places; a node without neighbours on that side keeps its position."""
        weight = {}
        for node in layer:
            near = [place[other] for other in neighbours[node]] or [place[node]]
            weight[node] = (round(sum(near) / len(near), 9), self.sides[node], place[node])
        layer.sort(key=weight.__getitem__)
        place.update(_shares(layer))

    def _crossings(self, order: list[list[int]]) -> int:
        """Return the number of pairs of edges that cross: the inversions of their upper ends."""
        place = {node: number for nodes in order for number, node in enumerate(nodes)}
        count = 0
        for nodes in order:
            ends = [high for low in nodes for high in sorted(place[node] for node in self.above[low])]
            passed: list[int] = []
            for end in ends:
                position = bisect_right(passed, end)
                count += len(passed) - position
                passed.insert(position, end)
        return count

    # ---- coordinate assignment
    def assign_coordinates(self, order: list[list[int]]) -> list[float]:
        """Return x of every node: near the mean of its neighbours, at the least distances within a layer.

        Sweeps down and up, one layer at a time, as in crossing reduction.
        """
        x = [0.0] * len(self.layers)
        for nodes in order:
            self._place(nodes, dict.fromkeys(nodes, 0.0), x)
        for sweep in range(2 * SWEEPS):
            downward = sweep % 2 == 0
            for nodes in (order[::-1] if downward else order):
                self._place(nodes, {node: self._barycenter(node, downward, x) for node in nodes}, x)
        self._centre(order, x)
        ends = [x[node] - self.lefts[node] for node in range(self.boxes)]
        ends += [x[node] + self.rights[node] for node in range(self.boxes)]
        middle = (min(ends) + max(ends)) / 2 if ends else 0.0
        straight = all(abs(value - x[0]) < 0.5 for value in x)
        return [value - (x[0] if straight else middle) for value in x]

    def _centre(self, order: Sequence[Sequence[int]], x: list[float]) -> None:
        """Move the layers with one node to the middle, and those between them as a whole, so that nothing leans.

        The middle of what is between them is that of its edges to them.
        """
        alone = {nodes[0] for nodes in order if len(nodes) == 1}
        x[:] = [0.0 if node in alone else place for node, place in enumerate(x)]
        for one, run in groupby(filter(None, order), key=_has_one):
            if one:
                continue
            nodes = [node for layer in run for node in layer]
            ends = [(x[node], MINOR if self.sides[node] and not self.below[node] else 1.0) for node in nodes
                    for other in (*self.below[node], *self.above[node]) if other in alone]
            middle = sum(place * weight for place, weight in ends) / (sum(weight for _, weight in ends) or 1.0)
            for node in nodes:
                x[node] -= middle

    def _barycenter(self, node: int, downward: bool, x: Sequence[float]) -> float:
        near = self.above[node] if downward else self.below[node]
        if not near:
            return x[node]
        weights = [MINOR if self.sides[other] and not self.below[other] else 1.0 for other in near]
        return sum(x[other] * weight for other, weight in zip(near, weights)) / sum(weights)

    def _place(self, nodes: Sequence[int], wanted: dict[int, float], x: list[float]) -> None:
        """Move a layer's nodes as little as possible from their preferred positions (weighted least squares).

        With the least distances subtracted, the condition is that positions do not decrease: isotonic
        regression, solved exactly by pooling adjacent violators. Bends weigh more, to keep edges straight.
        """
        offsets = [0.0] * len(nodes)
        for number, (before, node) in enumerate(pairwise(nodes), 1):
            gap = DISTANCES[(before >= self.boxes) + (node >= self.boxes)]
            offsets[number] = offsets[number - 1] + (self.rights[before] + self.lefts[node] + gap)
        blocks: list[tuple[float, float, int]] = []  # (sum of weighted preferences, sum of weights, nodes)
        for node, offset in zip(nodes, offsets):
            weight = 4.0 if node >= self.boxes else 1.0
            block = ((wanted[node] - offset) * weight, weight, 1)
            while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
                last = blocks.pop()
                block = last[0] + block[0], last[1] + block[1], last[2] + block[2]
            blocks.append(block)
        means = [total / weights for total, weights, count in blocks for _ in range(count)]
        for node, mean, offset in zip(nodes, means, offsets):
            x[node] = mean + offset


def _shares(layer: Sequence[int]) -> list[tuple[int, float]]:
    """Return the position of each node of a layer as a share of its length."""
    return [(node, (number + 0.5) / len(layer)) for number, node in enumerate(layer)]
