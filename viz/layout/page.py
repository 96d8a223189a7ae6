"""A graph on a page: blocks of layered boxes side by side, in as many rows as make a page of them.

An edge to the next layers of its block runs between the boxes. Every other one leaves its block (page_routes.py);
those from one box, or to one box, share their lines and are a net. Boxes and blocks are known by number only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .layered import Coordinates, layered_layout
from .layers import best_shape
from .straight import straighten

PADDING = 10.0  # from a block's boxes to its frame
FOOT = 20.0  # the caption of a frame
LAYER = 28.0  # between two layers
GAP = 32.0  # between two blocks, about
SPANS = (6, 1)  # layers that an edge crosses between the boxes: in a small block, in a large one
LARGE = 100  # boxes
FEW = 2  # edges to one box that don't share their lines
ASPECT = 1.6  # width of a page by its height
PORT = 9.0  # between two edges at a box

Net = tuple[bool, int]  # whether its edges have their target in common, and the number of that box, or of the source


@dataclass
class Block:
    """A block: its boxes, which of them are in each layer from the left, and its place on the page."""

    framed: bool
    high: bool = False  # whether it is moved up to the top of its row
    boxes: list[int] = field(default_factory=list)
    layers: list[list[int]] = field(default_factory=list)
    extent: tuple[float, float] = (0.0, 0.0)  # left and right of its centre line
    row: int = 0
    place: int = 0  # in its row
    x: float = 0.0

    @property
    def width(self) -> float:
        return self.extent[1] - self.extent[0] + 2 * PADDING


class Page:
    """Where boxes are in their blocks, and blocks in the rows of a page.

    Args:
        sizes: width and height of every box.
        blocks: the number of the block of every box.
        layers: the layer of every box in its block.
        edges: pairs of boxes.
        framed, high: for each block whether it has a frame, and whether it is moved up to the top of its row.
        aspect: the width of the page by its height.

    Attributes:
        blocks, rows, depth: all blocks; those of each row, from the left; the number of layers of each row.
        x, layer: of every box, relative to its block's centre line; its layer in the row.
        near, bends, net: for every edge whether it runs between the boxes of its block, its x in the layers that it
            then passes, and its net otherwise.
    """

    def __init__(self, sizes: Sequence[tuple[float, float]], blocks: Sequence[int], layers: Sequence[int],
                 edges: Sequence[tuple[int, int]], framed: Sequence[bool], high: Sequence[bool],
                 aspect: float = ASPECT) -> None:
        self.aspect = aspect
        self.block, self.layer, self.edges = blocks, list(layers), edges
        self.heights = [height for _, height in sizes]
        self.blocks = [Block(frame, top) for frame, top in zip(framed, high)]
        for box, block in enumerate(blocks):
            self.blocks[block].boxes.append(box)
        self.near = [self._is_near(source, target) for source, target in edges]
        self.net = self._nets()
        self.widths = self._widened([width for width, _ in sizes])
        self.x = [0.0] * len(sizes)
        self.bends: list[Sequence[float]] = [()] * len(edges)
        self._place_in_blocks()
        self._place_in_rows()

    # ---- nets
    def _is_near(self, source: int, target: int) -> bool:
        block = self.block[source]
        span = SPANS[len(self.blocks[block].boxes) > LARGE]
        return self.block[target] == block and 1 <= self.layer[target] - self.layer[source] <= span

    def _nets(self) -> list[Net]:
        """Return the net of each edge: by its target if many far edges end there, and more than begin at its source."""
        far = [ends for ends, near in zip(self.edges, self.near) if not near]
        begin, end = Counter(source for source, _ in far), Counter(target for _, target in far)
        return [(True, target) if end[target] > max(begin[source], FEW) else (False, source)
                for source, target in self.edges]

    def _widened(self, widths: list[float]) -> list[float]:
        """Return widths that have room for all edges on the upper and the lower side."""
        above, below = Counter[int](), Counter[int]()
        seen: set[tuple[Net, int, bool]] = set()
        for (source, target), net, near in zip(self.edges, self.net, self.near):
            for count, box, leaves in ((above, source, True), (below, target, False)):
                if near or (net, box, leaves) not in seen:
                    count[box] += 1
                    seen.add((net, box, leaves))
        return [max(width, 14 + PORT * (max(above[box], below[box]) - 1)) for box, width in enumerate(widths)]

    # ---- blocks
    def _place_in_blocks(self) -> None:
        """Set x of every box relative to its block. Blocks of one form are laid out once."""
        known: dict[object, Coordinates] = {}
        sides = self._sides()
        inner: list[list[int]] = [[] for _ in self.blocks]
        for number, (source, _) in enumerate(self.edges):
            if self.near[number]:
                inner[self.block[source]].append(number)
        for block, numbers in zip(self.blocks, inner):
            local = {box: place for place, box in enumerate(block.boxes)}
            form = (tuple((self.layer[box], self.widths[box], sides[box]) for box in block.boxes),
                    tuple((local[self.edges[number][0]], local[self.edges[number][1]]) for number in numbers))
            if form not in known:
                known[form] = _coordinates(form[0], form[1], block.framed)
            found, bends = known[form]
            for box, x in zip(block.boxes, found):
                self.x[box] = x
            for number, passed in zip(numbers, bends):
                self.bends[number] = passed
            self._measure(block, [x for passed in bends for x in passed])

    def _measure(self, block: Block, bends: Sequence[float]) -> None:
        block.layers = [[] for _ in range(max(self.layer[box] for box in block.boxes) + 1)]
        for box in sorted(block.boxes, key=self.x.__getitem__):
            block.layers[self.layer[box]].append(box)
        block.extent = (min([*bends, *(self.x[box] - self.widths[box] / 2 for box in block.boxes)]),
                        max([*bends, *(self.x[box] + self.widths[box] / 2 for box in block.boxes)]))

    def _sides(self) -> list[int]:
        """Return for each box whether it has far edges from the left only (-1), to the right only (1), or both."""
        sides = [0] * len(self.x)
        for (source, target), near in zip(self.edges, self.near):
            if not near:
                forward = 1 if self.block[source] <= self.block[target] else -1
                sides[target] -= forward
                sides[source] += forward
        return [(side > 0) - (side < 0) for side in sides]

    # ---- rows of the page
    def _place_in_rows(self) -> None:
        """Divide the blocks into rows of about equal width, so that the page has nearly the wanted width to height."""
        total = sum(block.width + GAP for block in self.blocks)
        height = max(self._estimated_height(block) for block in self.blocks)
        most = len(self.blocks) if any(block.framed for block in self.blocks) else 1
        rows = 1 + best_shape([(total / rows, rows * height) for rows in range(1, most + 1)], self.aspect)
        right, row, place = 0.0, 0, 0
        for block in self.blocks:
            if place and right + block.width / 2 > (row + 1) * total / rows:
                row, place = row + 1, 0
            block.row, block.place = row, place
            right += block.width + GAP
            place += 1
        self.rows: list[list[Block]] = [[] for _ in range(row + 1)]
        for block in self.blocks:
            self.rows[block.row].append(block)
        self.depth = [max(len(block.layers) for block in row) for row in self.rows]
        for block in self.blocks:
            self._raise_to_top(block)

    def _raise_to_top(self, block: Block) -> None:
        missing = self.depth[block.row] - len(block.layers)
        if block.high and missing:
            block.layers = [[] for _ in range(missing)] + block.layers
            for box in block.boxes:
                self.layer[box] += missing

    def _estimated_height(self, block: Block) -> float:
        return 2 * FOOT + sum(max((self.heights[box] for box in layer), default=0) + LAYER for layer in block.layers)


def _coordinates(boxes: Sequence[tuple[int, float, int]], edges: Sequence[tuple[int, int]], step: bool) -> Coordinates:
    """Return the x of boxes, given by layer, width and side; those of a time step are as in the unrolled picture."""
    layers, halves = [layer for layer, _, _ in boxes], [width / 2 for _, width, _ in boxes]
    found = layered_layout(layers, halves, halves, edges, [side for _, _, side in boxes])
    return found if step else straighten(layers, halves, edges, found)
