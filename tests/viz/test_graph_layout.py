"""The geometry of `viz.graph`: boxes apart, arrows around them, lines that can be told from each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations, pairwise

import pytest
from cases import thinned
from drawings import inside, overlap, rectangle, sampled
from tensor_graphs import GRAPHS, SHOWN, drawing, random_tensor

from minigrad import Tensor
from viz.pictures.graph import FIELDS
from viz.render.fonts import LINE, text_width
from viz.render.scene import Arrow, Box

EVERY = [pytest.param(make, id=name) for name, make in GRAPHS.items()]
EVERY += [pytest.param(lambda seed=seed: random_tensor(seed), id=f"random {seed}",
                       marks=[pytest.mark.slow] if seed > 2 else []) for seed in range(30)]
every_graph = pytest.mark.parametrize("make", thinned(EVERY, 4))


# ---- boxes
def grid(boxes: list[Box], size: float = 200.0) -> dict[tuple[int, int], list[Box]]:
    """Boxes by the squares of a grid that they touch."""
    found = defaultdict(list)
    for box in boxes:
        for column in range(int(box.left // size), int(box.right // size) + 1):
            for row in range(int(box.bottom // size), int(box.top // size) + 1):
                found[column, row].append(box)
    return found


@every_graph
def test_boxes_and_frames_stand_apart(make: Callable[[], Tensor]) -> None:
    scene = drawing(make()).draw()
    for near in grid(scene.boxes).values():
        for a, b in combinations(near, 2):
            assert not overlap(rectangle(a, -2), rectangle(b, -2)), (a.label, b.label)
    frames = [(frame.left, frame.bottom, frame.right, frame.top) for frame in scene.frames]
    assert not any(overlap(a, b) for a, b in combinations(frames, 2))
    for frame in frames:
        for box in scene.boxes:
            left, bottom, right, top = rectangle(box)
            within = frame[0] <= left and right <= frame[2] and frame[1] <= bottom and top <= frame[3]
            assert within or not overlap(frame, rectangle(box)), box.label


@every_graph
def test_labels_fit_into_their_boxes(make: Callable[[], Tensor]) -> None:
    for show in (SHOWN, FIELDS):
        for box in drawing(make(), show).draw().boxes:
            assert text_width(box.label, box.size) + 8 <= box.width, box.label
            assert (box.label.count("\n") + 1) * box.size * LINE <= box.height, box.label


@every_graph
def test_captions_of_frames_are_clear(make: Callable[[], Tensor]) -> None:
    scene = drawing(make()).draw()
    points = {id(arrow): sampled(arrow) for arrow in scene.arrows}
    for frame in scene.frames:
        middle, half = (frame.left + frame.right) / 2, text_width(frame.caption, 11) / 2
        caption = (middle - half, frame.bottom + 3, middle + half, frame.bottom + 17)
        assert not any(overlap(caption, rectangle(box)) for box in scene.boxes)
        for arrow in scene.arrows:
            x, y = points[id(arrow)].T
            assert not ((caption[0] < x) & (x < caption[2]) & (caption[1] < y) & (y < caption[3])).any()


# ---- arrows
@every_graph
def test_every_edge_has_an_arrow_from_box_to_box_that_passes_no_other(make: Callable[[], Tensor]) -> None:
    drawn = drawing(make())
    scene = drawn.draw()
    expected = sorted((f"n{drawn.boxes[x]}", f"n{drawn.boxes[node]}") for node in drawn.boxes for x in node.inputs
                      if x not in drawn.written)
    assert sorted((arrow.source, arrow.target) for arrow in scene.arrows) == expected
    boxes, near = {box.key: box for box in scene.boxes}, grid(scene.boxes)
    for arrow in scene.arrows:
        assert_on_border(arrow.points[0], boxes[arrow.source])
        assert_on_border(arrow.points[-1], boxes[arrow.target])
        points = sampled(arrow)
        squares = {(int(x // 200), int(y // 200)) for x, y in points}
        for box in {box.key: box for square in squares for box in near.get(square, ())}.values():
            assert not inside(points, box), f"{arrow.tooltip} through {box.label!r}"


def assert_on_border(point: tuple[float, float], box: Box) -> None:
    x, y = point
    beside = min(abs(x - box.left), abs(x - box.right)) < 0.01 and box.bottom < y < box.top
    above = min(abs(y - box.bottom), abs(y - box.top)) < 0.01 and box.left < x < box.right
    assert beside or above, (point, box)


@every_graph
def test_arrows_of_different_boxes_share_no_line(make: Callable[[], Tensor]) -> None:
    """Two may cross; they run along each other only if they come from one box or go to one box."""
    lines = defaultdict(list)
    for arrow in drawing(make()).draw().arrows:
        for way, place, low, high in straight_parts(arrow):
            lines[way, place].append((low, high, arrow))
    for pieces in lines.values():
        pieces.sort(key=lambda piece: piece[:2])
        for number, (_, high, first) in enumerate(pieces):
            for low, _, second in pieces[number + 1:]:
                if low >= high - 0.5:
                    break
                assert first.source == second.source or first.target == second.target, (first.tooltip, second.tooltip)


def straight_parts(arrow: Arrow) -> list[tuple[str, float, float, float]]:
    """The horizontal and vertical parts: direction, place, from, to."""
    parts = []
    for i in range(0, len(arrow.points) - 1, 3):
        (x0, y0), (x1, y1) = arrow.points[i], arrow.points[i + 3]
        if abs(x0 - x1) < 0.01 and abs(y0 - y1) > 1:
            parts.append(("|", round(x0, 1), min(y0, y1), max(y0, y1)))
        elif abs(y0 - y1) < 0.01 and abs(x0 - x1) > 1:
            parts.append(("-", round(y0, 1), min(x0, x1), max(x0, x1)))
    return parts


@every_graph
def test_arrowheads_stand_apart(make: Callable[[], Tensor]) -> None:
    """Arrows that end at one point are of one net: all arrows into a box, or from one."""
    ends: dict[tuple[float, ...], list[Arrow]] = defaultdict(list)
    for arrow in drawing(make()).draw().arrows:
        x, y = arrow.points[-1]
        ends[round(x, 1), round(y, 1)].append(arrow)
    for arrows in ends.values():
        assert len({arrow.target for arrow in arrows}) == 1
        tips = {arrow.points[-2] for arrow in arrows}
        assert len(tips) == 1
    below = sorted((y, x) for x, y in ends)
    assert all(b[0] - a[0] > 0.1 or b[1] - a[1] > 6 for a, b in pairwise(below))
