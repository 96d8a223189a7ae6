"""Layers of the boxes in each block of a graph: every box is above those that it is computed from.

Boxes are known by number, in an order in which the ends of an edge come after its start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import log

ROUNDS = 3  # that bring equal names of different blocks to equal layers
SLACK = 2  # layers by which a piece is higher or lower than another
SPACE = 16.0  # between two boxes of a layer, as layered.py has it


def layers_of_steps(inputs: Sequence[Sequence[int]], names: Mapping[int, object]) -> list[int]:
    """Return the layer of every box: the longest path to it; the same for equal names, as far as that can be.

    Args:
        inputs: for each box the boxes in its block that it's computed from.
        names: of the boxes that stay in the layer of their name; others move up to just below their first user.
    """
    wanted: dict[object, int] = {}
    layers: list[int] = []
    for _ in range(ROUNDS):
        layers = []
        for box, sources in enumerate(inputs):
            layers.append(max([layers[source] + 1 for source in sources], default=0))
            if box in names:
                layers[box] = max(layers[box], wanted.get(names[box], 0))
                wanted[names[box]] = layers[box]
    movable: set[int] = set()
    for box, sources in enumerate(inputs):
        if box not in names and movable.issuperset(sources):
            movable.add(box)
    lowest: dict[int, int] = {}  # layer of the lowest user
    for box in range(len(inputs) - 1, -1, -1):
        if box in movable and box in lowest:
            layers[box] = lowest[box] - 1
        for source in inputs[box]:
            lowest[source] = min(lowest.get(source, layers[box]), layers[box])
    return layers


def layers_below(inputs: Sequence[Sequence[int]], widths: Sequence[float], most: float) -> list[int]:
    """Return the layer of every box: just below its lowest user, or below that where a layer is as wide as `most`."""
    depth, full = [0] * len(inputs), [0.0]  # depth counts from the top; full: the width of each layer
    for box in range(len(inputs) - 1, -1, -1):
        while depth[box] < len(full) and full[depth[box]] and full[depth[box]] + widths[box] > most:
            depth[box] += 1
        full += [0.0] * (depth[box] + 1 - len(full))
        full[depth[box]] += widths[box] + SPACE
        for source in inputs[box]:
            depth[source] = max(depth[source], depth[box] + 1)
    return [len(full) - 1 - layer for layer in depth]


def best_shape(shapes: Iterable[tuple[float, float]], aspect: float) -> int:
    """Return the number of the shape (width, height) that is nearest to a ratio of width to height; the first is 0."""
    distances = [abs(log(width / height / aspect)) for width, height in shapes]
    return distances.index(min(distances))


def split(layers: Sequence[int], inputs: Sequence[Sequence[int]], count: int) -> list[tuple[int, int]]:
    """Divide layers into `count` pieces of about equal height: return for each box its piece, and its layer in it.

    A piece ends, within SLACK layers, where it is joined to those above it by the fewest boxes.
    """
    highest: dict[int, int] = {}  # layer of the highest user
    for box, sources in enumerate(inputs):
        for source in sources:
            highest[source] = max(highest.get(source, 0), layers[box])
    total = max(layers) + 1
    leaving = [0] * (total + 1)  # boxes below a layer that are read in it or above
    for box, layer in highest.items():
        weight = 1 if inputs[box] else 2  # a leaf stays with its user
        leaving[layers[box] + 1] += weight
        leaving[layer + 1] -= weight
    joined = list(accumulate(leaving))
    cuts = [0]
    for piece in range(1, count):
        ideal = round(piece * total / count)
        near = [cut for cut in range(ideal - SLACK, ideal + SLACK + 1) if cuts[-1] < cut < total]
        cuts += [min((joined[cut], abs(cut - ideal), cut) for cut in near)[2]] if near else []
    return [(piece, layer - cuts[piece]) for layer in layers for piece in [bisect_right(cuts, layer) - 1]]
