"""Coordinates for a layered graph in which some boxes stand together in frames, each with rows of its own.

Each frame's boxes are laid out by themselves; then the frames, as wide boxes, with all others. So edges between others
pass a frame on one side of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from .layered import BEND, Coordinates, layered_layout

LEFT, RIGHT = 13.0, 19.0  # from a frame to what is in it: on the right, most of a label fits
NAME = 12.0  # more than the width of its name from a line to the side of a frame
PORT = 9.0  # from the middle of a box to a line that leaves it, for each line
Span = tuple[float, float]


@dataclass
class Boxes:
    """Boxes by number: rows from 0, extents to both sides, preferred sides, and the frame of each, or "".

    The rows from the first to the last one of a frame have no other boxes.
    """

    rows: Sequence[int]
    lefts: Sequence[float]
    rights: Sequence[float]
    sides: Sequence[int]
    frames: Sequence[str]
    edges: Sequence[tuple[int, int]]
    names: Mapping[str, float]  # the width of each frame's name


@dataclass
class _Inside:
    """The layout of one frame's boxes around the place where edges from below or above would be straight."""

    numbers: list[int]  # of its boxes
    x: dict[int, float] = field(default_factory=dict)
    bends: dict[int, list[float]] = field(default_factory=dict)  # of an edge, in the rows of this frame
    left: float = 0.0
    right: float = 0.0


def nested_layout(boxes: Boxes) -> tuple[Coordinates, dict[str, Span]]:
    """Return the coordinates of all boxes and bends, and the left and right side of each frame."""
    found = {name: _inside(boxes, name) for name in dict.fromkeys(filter(None, boxes.frames))}
    names: list[int | str] = list(dict.fromkeys(name or number for number, name in enumerate(boxes.frames)))
    place = {name: number for number, name in enumerate(names)}
    unit_of = [place[name or number] for number, name in enumerate(boxes.frames)]
    first = [boxes.rows[number] if isinstance(number, int) else min(boxes.rows[i] for i in found[number].numbers)
             for number in names]
    level = {row: number for number, row in enumerate(sorted(set(first)))}
    between = [number for number, (a, b) in enumerate(boxes.edges) if unit_of[a] != unit_of[b]]
    outer = layered_layout(
        [level[row] for row in first],
        [boxes.lefts[n] if isinstance(n, int) else LEFT - found[n].left for n in names],
        [boxes.rights[n] if isinstance(n, int) else RIGHT + found[n].right for n in names],
        [(unit_of[boxes.edges[n][0]], unit_of[boxes.edges[n][1]]) for n in between],
        [boxes.sides[n] if isinstance(n, int) else 0 for n in names],
        ([0.0] * len(names), [_inner_x(boxes.edges[n], found, boxes.frames) for n in between]))
    middle: dict[int | str, float] = dict(zip(names, outer.x))
    x = [middle[name or number] + (found[name].x[number] if name else 0.0) for number, name in enumerate(boxes.frames)]
    passed = dict(zip(between, outer.bends))
    frame_of = {boxes.rows[number]: name for number, name in enumerate(boxes.frames) if name}
    starts = sorted(level)
    bends = []
    for number, (source, target) in enumerate(boxes.edges):
        own = {name: iter(found[name].bends[number]) for name in (boxes.frames[source], boxes.frames[target]) if name}
        start = bisect_right(starts, boxes.rows[source])
        bends.append([
            middle[name] + next(own[name]) if (name := frame_of.get(row, "")) in own
            else passed[number][bisect_right(starts, row) - start - 1]
            for row in range(boxes.rows[source] + 1, boxes.rows[target])])
    spans = {name: (middle[name] + each.left - LEFT, middle[name] + each.right + RIGHT)
             for name, each in found.items()}
    return Coordinates(x, bends), spans


def _inside(boxes: Boxes, name: str) -> _Inside:
    """Lay out the boxes of a frame, with a place below and above for each box elsewhere that an edge leads to."""
    own = [number for number, frame in enumerate(boxes.frames) if frame == name]
    first = min(boxes.rows[number] for number in own)
    last = max(boxes.rows[number] for number in own)
    local = {number: place for place, number in enumerate(own)}
    below: dict[int, int] = {}
    above: dict[int, int] = {}
    edges: dict[int, tuple[int, int]] = {}
    touching = {number: ends for number, ends in enumerate(boxes.edges) if not local.keys().isdisjoint(ends)}
    for ports, end in ((below, 0), (above, 1)):
        for ends in touching.values():
            if ends[end] not in local:
                ports.setdefault(ends[end], len(own) + len(below) + len(above))
    for number, (a, b) in touching.items():
        edges[number] = local.get(a, below.get(a, 0)), local.get(b, above.get(b, 0))
    count = len(below) + len(above)
    found = layered_layout(
        [*(boxes.rows[number] - first + 1 for number in own), *[0] * len(below), *[last - first + 2] * len(above)],
        [*(boxes.lefts[number] for number in own), *[BEND / 2] * count],
        [*(boxes.rights[number] for number in own), *[BEND / 2] * count],
        list(edges.values()), [*(boxes.sides[number] for number in own), *[0] * count])
    outer = found.x[len(own):]
    sides = [outer[len(below):], outer[:len(below)]]
    middle = next((side[0] for side in sides if len(side) == 1), 0.0)
    bent = [bend - middle for bend in chain.from_iterable(found.bends)]
    leaving = [found.bends[place][-1] if found.bends[place] else found.x[a]
               for place, (a, b) in enumerate(edges.values()) if b >= len(own) + len(below)]
    x = {number: found.x[place] - middle for number, place in local.items()}
    left = min([x[number] - boxes.lefts[number] for number in own] + bent)
    right = max([x[number] + boxes.rights[number] for number in own] + bent)
    first_line, last_line = (near([bend - middle for bend in leaving], default=0.0) for near in (min, max))
    room = PORT * (len(leaving) - 1) + boxes.names[name] + NAME  # for the name, beside lines that go up
    missing = room - (first_line - left + LEFT), room - (right + RIGHT - last_line)
    if min(missing) > 0:
        left, right = (left - missing[0], right) if missing[0] <= missing[1] else (left, right + missing[1])
    return _Inside(own, x, {number: [bend - middle for bend in each] for number, each in zip(edges, found.bends)},
                   left, right)


def _inner_x(edge: tuple[int, int], found: Mapping[str, _Inside], frames: Sequence[str]) -> float:
    """Return a place to the right, in the order in which edges side by side leave or enter frames without crossings."""
    ends = [found[name].x[number] for number, name in zip(edge, (frames[number] for number in edge)) if name]
    return 1.0 + sum(ends) / 1e6
