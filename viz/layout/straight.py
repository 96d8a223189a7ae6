"""Coordinates for a layered graph that keep long chains of boxes straight.

Brandes and Köpf, Fast and simple horizontal coordinate assignment (Graph Drawing 2001): every box is aligned with
a neighbour in the next layer, where that crosses no other alignment, and what is in line is pushed together. That is
done four times, towards each corner, and each box gets the median of its four places. The neighbour is not the median
of all, as in the paper, but of those on the longest path: a long chain with branches on one side would lean otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from .layered import DISTANCES, Coordinates

WIDE = 2.0  # a layout by the width of its widest layer


def straighten(layers: Sequence[int], halves: Sequence[float], edges: Sequence[tuple[int, int]],
               found: Coordinates) -> Coordinates:
    """Return other coordinates for boxes in the same order as in `found`; `halves` are half the widths of boxes."""
    graph = _Order(layers, halves, edges, found)
    x = graph.places()
    if max(x) - min(x) > WIDE * max(map(graph.width, graph.rows)):  # branches that are pushed aside by the next ones
        graph.keep_longest_path()
        x = graph.places()
    return Coordinates(x[:graph.boxes], [[x[node] for node in chain[1:-1]] for chain in graph.chains])


class _Order:
    """The order of boxes and bends in each layer, and their neighbours in the next ones from left to right."""

    def __init__(self, layers: Sequence[int], halves: Sequence[float], edges: Sequence[tuple[int, int]],
                 found: Coordinates) -> None:
        self.boxes = len(layers)
        x, self.layer, self.halves = list(found.x), list(layers), list(halves)
        self.chains: list[list[int]] = []
        for (source, target), bends in zip(edges, found.bends):
            chain = [source]
            for number, bend in enumerate(bends, 1):
                chain.append(len(x))
                x.append(bend)
                self.layer.append(layers[source] + number)
                self.halves.append(0.0)
            self.chains.append([*chain, target])
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        for node in sorted(range(len(x)), key=x.__getitem__):
            self.rows[self.layer[node]].append(node)
        self.position = {node: place for row in self.rows for place, node in enumerate(row)}
        self.below: dict[int, list[int]] = defaultdict(list)
        self.above: dict[int, list[int]] = defaultdict(list)
        for chain in self.chains:
            for low, high in pairwise(chain):
                self.below[high].append(low)
                self.above[low].append(high)
        self._keep_main_line(self.below, self.rows)
        self._keep_main_line(self.above, self.rows[::-1])
        self._bent = self._crossing_bends()

    def _keep_main_line(self, neighbours: dict[int, list[int]], rows: Sequence[Sequence[int]]) -> None:
        """Keep the neighbours at the end of the longest path, boxes rather than bends, from left to right."""
        length = [0] * len(self.layer)
        for row in rows:
            for node in row:
                near = neighbours.get(node)
                if near:
                    best = max((length[other], other < self.boxes) for other in near)
                    length[node] = best[0] + 1
                    neighbours[node] = sorted((other for other in near if (length[other], other < self.boxes) == best),
                                              key=self.position.__getitem__)

    def keep_longest_path(self) -> None:
        """Keep in line only the boxes of a path from top to bottom."""
        node, path = self.rows[-1][0], set[int]()
        while node not in path:
            path.add(node)
            node = next(iter(self.below.get(node, ())), node)
        for neighbours in (self.below, self.above):
            for node in list(neighbours):
                neighbours[node] = [other for other in neighbours[node] if node in path and other in path]

    def width(self, row: Sequence[int]) -> float:
        """Return the least width of a layer."""
        return sum(self._distance(first, second) for first, second in pairwise(row)) + self.halves[row[0]] + \
            self.halves[row[-1]]

    def places(self) -> list[float]:
        """Return the x of every node; 0 is the middle."""
        places = [self.place(below, mirrored) for below in (True, False) for mirrored in (False, True)]
        widths = [max(place) - min(place) for place in places]
        narrow = places[widths.index(min(widths))]
        for number, place in enumerate(places):
            shift = max(narrow) - max(place) if number % 2 else min(narrow) - min(place)
            places[number] = [x + shift for x in place]
        x = [sum(sorted(four)[1:3]) / 2 for four in zip(*places)]
        middle = (min(x) + max(x)) / 2
        return [value - middle for value in x]

    def place(self, below: bool, mirrored: bool) -> list[float]:
        """Return places of all nodes that are aligned with their neighbours below or above, from one side."""
        rows = [row[::-1] for row in self.rows] if mirrored else self.rows
        root = self._align(rows if below else rows[::-1], self.below if below else self.above, mirrored)
        x = self._compact(rows, root)
        return [-value for value in x] if mirrored else x

    def _align(self, rows: Sequence[Sequence[int]], neighbours: Mapping[int, list[int]], mirrored: bool) -> list[int]:
        """Return for every node the first one of those in line with it."""
        root = list(range(len(self.layer)))
        for row in rows:
            last = -1.0  # how far to the side the row before is in use
            taken = set[int]()
            for node in row:
                near = neighbours.get(node, [])
                middles = near[(len(near) - 1) // 2:len(near) // 2 + 1]
                for other in middles[::-1] if mirrored else middles:
                    place = self.position[other] if not mirrored else -self.position[other] + len(self.layer)
                    if other not in taken and place > last and self._ends(node, other) not in self._bent:
                        root[node], last = root[other], place
                        taken.add(other)
                        break
        return root

    def _ends(self, node: int, other: int) -> tuple[int, int]:
        return (node, other) if self.layer[node] < self.layer[other] else (other, node)

    def _compact(self, rows: Sequence[Sequence[int]], root: Sequence[int]) -> list[float]:
        """Return places for all nodes: as far to one side as they go, then as near to their neighbours as they go."""
        after: dict[int, dict[int, float]] = defaultdict(dict)  # line -> the next ones, and their least distances
        before: dict[int, dict[int, float]] = defaultdict(dict)
        for row in rows:
            for first, second in pairwise(row):
                a, b = root[first], root[second]
                after[a][b] = before[b][a] = max(after[a].get(b, 0.0), self._distance(first, second))
        order = _sorted_lines(sorted(set(root)), after, before)
        x: dict[int, float] = {}
        for line in order:
            x[line] = max([x[other] + apart for other, apart in before.get(line, {}).items()], default=0.0)
        for line in reversed(order):
            if line in after:
                x[line] = max(x[line], min(x[other] - apart for other, apart in after[line].items()))
        return [x[line] for line in root]

    def _distance(self, first: int, second: int) -> float:
        bends = (first >= self.boxes) + (second >= self.boxes)
        return self.halves[first] + self.halves[second] + DISTANCES[bends]

    def _crossing_bends(self) -> set[tuple[int, int]]:
        """Return the pieces of edges, from below, that cross the middle of a long edge, which is kept straight."""
        pieces: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for chain in self.chains:
            for low, high in pairwise(chain):
                pieces[self.layer[low]].append((low, high))
        found = set()
        for together in pieces.values():
            middle = [piece for piece in together if min(piece) >= self.boxes]
            for low, high in together:
                if min(low, high) < self.boxes and any(
                        (self.position[low] - self.position[a]) * (self.position[high] - self.position[b]) < 0
                        for a, b in middle):
                    found.add((low, high))
        return found


def _sorted_lines(lines: Sequence[int], after: Mapping[int, Mapping[int, float]],
                  before: Mapping[int, Mapping[int, float]]) -> list[int]:
    """Return lines in an order in which each comes after those beside it on one side."""
    waiting = {line: len(before.get(line, ())) for line in lines}
    order = [line for line in lines if not waiting[line]]
    for line in order:  # grows
        for other in after.get(line, ()):
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    return order
