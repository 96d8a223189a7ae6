"""A layered drawing: in which order boxes stand in their rows, and where.

After Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures
(IEEE Trans. SMC 11, 1981): an edge over several rows gets a bend in each row between; rows are put
in order by the means of their neighbours, as long as fewer edges cross; then every box moves as
near to its neighbours as the boxes beside it let it. Knows boxes by number, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

SWEEPS = 12
BEND = 12.0  # width that an edge takes in a row that it passes
BESIDE = 16.0  # between boxes
LIGHT = 0.02  # how much a box draws its neighbours that stands beside the main line


class Layered:
    """Places of boxes in rows.

    Args:
        rows: the row of each box.
        lefts, rights: how far each reaches to both sides of its middle.
        edges: pairs of boxes, the first in a lower row than the second.
        pulls: for each box, -1, 0 or 1: towards the left, nowhere, the right, where order is free.

    Attributes:
        x: the middle of each box; 0 is the middle of the whole.
        bends: for each edge, its x in every row that it passes, from the foot.
    """

    def __init__(self, rows: Sequence[int], lefts: Sequence[float], rights: Sequence[float],
                 edges: Sequence[tuple[int, int]], pulls: Sequence[int]) -> None:
        self.rows = list(rows)
        self.lefts = list(lefts)
        self.rights = list(rights)
        self.pulls = list(pulls)
        self.boxes = len(rows)
        self.chains = [self._chain(source, target) for source, target in edges]
        self.below: list[list[int]] = [[] for _ in self.rows]
        self.above: list[list[int]] = [[] for _ in self.rows]
        for chain in self.chains:
            for low, high in pairwise(chain):
                self.above[low].append(high)
                self.below[high].append(low)
        self.order: list[list[int]] = [[] for _ in range(max(self.rows, default=-1) + 1)]
        for node in sorted(range(len(self.rows)), key=self._first_place):
            self.order[self.rows[node]].append(node)
        self._sort_rows()
        self.x = self._straightened()
        self.bends = [[self.x[node] for node in chain[1:-1]] for chain in self.chains]
        self.x = self.x[:self.boxes]

    def _chain(self, source: int, target: int) -> list[int]:
        """An edge as a chain of nodes, one a row."""
        chain = [source]
        for row in range(self.rows[source] + 1, self.rows[target]):
            chain.append(len(self.rows))
            self.rows.append(row)
            self.lefts.append(BEND / 2)
            self.rights.append(BEND / 2)
            self.pulls.append(0)
        return [*chain, target]

    def _first_place(self, node: int) -> tuple[int, int]:
        return self.pulls[node], node

    # ---- order
    def _sort_rows(self) -> None:
        """Sweep up and down, and keep the order with the fewest crossings."""
        best = self._crossings(), [list(row) for row in self.order]
        for sweep in range(SWEEPS):
            upward = sweep % 2 == 0
            for row in (self.order if upward else self.order[::-1]):
                self._sort(row, self.below if upward else self.above)
            crossings = self._crossings()
            if crossings < best[0]:
                best = crossings, [list(row) for row in self.order]
        self.order = best[1]

    def _sort(self, row: list[int], neighbours: list[list[int]]) -> None:
        """By the mean place of the neighbours in one direction; one without stays where it is."""
        place = {node: (number + 0.5) / len(order) for order in self.order for number, node in enumerate(order)}
        weight = {}
        for node in row:
            near = [place[other] for other in neighbours[node]]
            mean = sum(near) / len(near) if near else place[node]
            weight[node] = (round(mean, 9), self.pulls[node], place[node])
        row.sort(key=weight.__getitem__)

    def _crossings(self) -> int:
        """How many pairs of edges cross between neighbouring rows."""
        place = {node: number for order in self.order for number, node in enumerate(order)}
        count = 0
        for order in self.order:
            ends = [high for low in order for high in sorted(place[node] for node in self.above[low])]
            count += sum(right < left for number, left in enumerate(ends) for right in ends[number + 1:])
        return count

    # ---- positions
    def _straightened(self) -> list[float]:
        """Where every node stands: near its neighbours, and no nearer to those beside it than allowed."""
        x = [0.0] * len(self.rows)
        for order in self.order:
            wanted = dict.fromkeys(order, 0.0)
            self._place(order, wanted, x)
        for sweep in range(2 * SWEEPS):
            downward = sweep % 2 == 0
            for order in (self.order[::-1] if downward else self.order):
                self._place(order, {node: self._wish(node, downward, x) for node in order}, x)
        edges = [x[node] - self.lefts[node] for node in range(self.boxes)]
        edges += [x[node] + self.rights[node] for node in range(self.boxes)]
        middle = (min(edges) + max(edges)) / 2 if edges else 0.0
        straight = all(abs(value - x[0]) < 0.5 for value in x)
        return [value - (x[0] if straight else middle) for value in x]

    def _wish(self, node: int, downward: bool, x: Sequence[float]) -> float:
        """Where a node would stand by its neighbours in one direction."""
        near = self.above[node] if downward else self.below[node]
        if not near:
            return x[node]
        weights = [LIGHT if self.pulls[other] and not self.below[other] else 1.0 for other in near]
        return sum(x[other] * weight for other, weight in zip(near, weights)) / sum(weights)

    def _place(self, order: Sequence[int], wanted: dict[int, float], x: list[float]) -> None:
        """The least squares of moving, under the least distances: pool adjacent violators."""
        offsets = []
        offset = 0.0
        for number, node in enumerate(order):
            if number:
                before = order[number - 1]
                bends = (before >= self.boxes) + (node >= self.boxes)
                offset += self.rights[before] + self.lefts[node] + (BESIDE, 8.0, 2.0)[bends]
            offsets.append(offset)
        blocks: list[tuple[float, float, int]] = []  # (sum of weighted wishes, of weights, how many)
        for node, offset in zip(order, offsets):
            weight = 4.0 if node >= self.boxes else 1.0
            block = ((wanted[node] - offset) * weight, weight, 1)
            while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
                last = blocks.pop()
                block = last[0] + block[0], last[1] + block[1], last[2] + block[2]
            blocks.append(block)
        number = 0
        for total, weights, count in blocks:
            for _ in range(count):
                x[order[number]] = total / weights + offsets[number]
                number += 1
