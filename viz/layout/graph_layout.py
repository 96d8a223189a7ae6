"""The layout of a graph of tensors: its blocks, their layers, and the page that they are placed on.

Time steps are blocks side by side. Of a graph without time steps, and of what is computed before or after them, a block
is cut into pieces side by side where it would be too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

from minigrad import Tensor

from .blocks import AFTER, STEP, Key
from .layers import SPACE, best_shape, layers_below, layers_of_steps, split
from .page import ASPECT, GAP, LAYER, PADDING, Page
from .page_routes import PageRoutes

FEW = 10  # layers of a block that isn't cut
NARROW = 600.0  # width of a layer that isn't divided
Size = tuple[float, float]


def layout_graph(tensors: Sequence[Tensor], keys: Sequence[Key], sizes: Sequence[Size],
                 edges: Sequence[tuple[int, int]], aspect: float = ASPECT) -> tuple[PageRoutes, list[Key]]:
    """Return the layout of a graph, and the key of each block.

    Args:
        tensors: those that have a box, oldest first.
        keys, sizes: the block, and the width and height of each.
        edges: pairs of numbers of tensors.
        aspect: the width of the page by its height.
    """
    inputs: list[list[int]] = [[] for _ in tensors]  # those in the same block
    for source, target in edges:
        if keys[source] == keys[target]:
            inputs[target].append(source)
    layers, pieces = _layers(tensors, keys, sizes, inputs, aspect)
    order = sorted(set(zip(keys, pieces)))
    number = {place: block for block, place in enumerate(order)}
    blocks = [number[place] for place in zip(keys, pieces)]
    timed = any(key.kind == STEP for key, _ in order)
    page = Page(sizes, blocks, layers, edges, [key.kind == STEP for key, _ in order],
                [timed and key.kind == AFTER for key, _ in order], aspect)
    return PageRoutes(page), [key for key, _ in order]


def _layers(tensors: Sequence[Tensor], keys: Sequence[Key], sizes: Sequence[Size],
            inputs: Sequence[Sequence[int]], aspect: float) -> tuple[list[int], list[int]]:
    """Return the layer of each tensor, and the piece of its block that it is in."""
    members: dict[Key, list[int]] = {}  # of the steps of one phase together
    for box, key in enumerate(keys):
        members.setdefault(key if key.kind != STEP else Key(key.phase, STEP), []).append(box)
    layers, pieces = [0] * len(tensors), [0] * len(tensors)
    highest = FEW
    for key in sorted(members, key=_steps_first):
        boxes = members[key]
        local = {box: place for place, box in enumerate(boxes)}
        own = [[local[x] for x in inputs[box]] for box in boxes]
        if key.kind == STEP:
            names = {local[box]: tensors[box].name for box in boxes if tensors[box].t is not None and tensors[box].name}
            found = layers_of_steps(own, names)
            highest = max(highest, *(layer + 1 for layer in found))
            cut = [(0, layer) for layer in found]
        else:
            cut = _cut(own, [sizes[box] for box in boxes], None if len(members) == 1 else highest, aspect)
        for box, (piece, layer) in zip(boxes, cut):
            pieces[box], layers[box] = piece, layer
    return layers, pieces


def _steps_first(key: Key) -> tuple[bool, Key]:
    return key.kind != STEP, key


def _cut(inputs: Sequence[Sequence[int]], sizes: Sequence[Size], most: int | None, aspect: float
         ) -> list[tuple[int, int]]:
    """Return for each box its piece and its layer in it: at most so many layers, or as many as make a page."""
    height = sum(height for _, height in sizes) / len(sizes) + LAYER
    area = sum((width + SPACE) * height for width, _ in sizes)
    widths = [width for width, _ in sizes]
    layers = layers_below(inputs, widths, max(NARROW, sqrt(area * aspect)))
    count = max(layers) + 1
    if count <= FEW:
        return [(0, layer) for layer in layers]
    if most is not None:
        return split(layers, inputs, ceil(count / most))
    wide = [0.0] * count
    for layer, width in zip(layers, widths):
        wide[layer] += width + SPACE
    shapes = [(_pieces_width(wide, pieces), ceil(count / pieces) * height) for pieces in range(1, ceil(count / 3) + 1)]
    return split(layers, inputs, best_shape(shapes, aspect) + 1)


def _pieces_width(wide: Sequence[float], pieces: int) -> float:
    """Return the width of all pieces of a block side by side, from the widths of its layers."""
    each = ceil(len(wide) / pieces)
    return sum(max(wide[first:first + each]) + GAP + 2 * PADDING for first in range(0, len(wide), each))
