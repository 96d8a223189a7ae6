"""The geometry of `viz.graph`: boxes apart, arrows around them, lines that can be told from each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from definitions import DEFINITIONS, bidirectional, elman, lstm, unrolled
from drawings import inside, overlap, rectangle, sampled
from random_graphs import random_graph

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors
from rnn import Cell, cells, t
from viz.pictures.graph import FIELDS, GraphDrawing
from viz.render.fonts import LINE, text_width
from viz.render.scene import Arrow, Box

SHOWN = ("name", "operation", "shape", "gradient")


def drawing(tensor: Tensor, show: Any = SHOWN) -> GraphDrawing:
    return GraphDrawing(ancestors(tensor), show)


def parameter(name: str, *shape: int) -> Tensor:
    return Tensor(np.full(shape, 0.1), requires_grad=True, name=name)


# ---- graphs
def layers(count: int, skip: bool = False) -> Tensor:
    """A feed-forward network, or a residual one."""
    h: Any = Tensor(np.ones((4, 8)), name="x")
    for number in range(1, count + 1):
        out = np.tanh(h @ parameter(f"W{number}", 8, 8) + parameter(f"b{number}", 8))
        h = h + out if skip else out
    return mg.losses.mse(h, np.zeros((4, 8)))


def chain(length: int) -> Tensor:
    x = Tensor(1.0, requires_grad=True, name="a")
    for _ in range(length):
        x = x * 0.999
    return x


def newton(steps: int) -> Tensor:
    a, x = Tensor(2.0, requires_grad=True, name="a"), Tensor(1.0)
    for _ in range(steps):
        x = 0.5 * (x + a / x)
    return x


def diamond() -> Tensor:
    x = parameter("x", 2)
    return (np.tanh(x) * np.exp(x) + np.sin(x) * np.tanh(x)).sum()


def many_leaves(count: int) -> Tensor:
    return np.stack([parameter(f"p{number}", 2) for number in range(count)]).sum()


def several_outputs() -> Tensor:
    values, vectors = np.linalg.eigh(parameter("A", 3, 3) + np.diag([1.0, 2.0, 3.0]))
    first, second = np.split(vectors, [1], axis=1)
    return values.sum() + (first @ second.T[:1]).sum() + np.where(first > 0, first, 0.0).sum()


def recurrence(make: Callable[[], Cell], T: int) -> Tensor:
    return unrolled(make, T)[1]


def encoder_decoder(S: int = 4, T: int = 3) -> Tensor:
    encoder, decoder = Cell("encoder"), Cell("decoder")
    x, s = encoder.input("x", 3), encoder.signal("s", 5)
    s[t] = np.tanh(parameter("W", 5, 3) @ x[t] + parameter("U", 5, 5) @ s[t-1])
    w, h, y = decoder.input("w", 3), decoder.signal("h", 5), decoder.signal("y", 4)
    h[t] = np.tanh(parameter("A", 5, 3) @ w[t] + parameter("B", 5, 5) @ h[t-1])
    y[t] = parameter("C", 4, 5) @ h[t]
    read = encoder.unroll(x=np.ones((S, 2, 3)))
    run = decoder.unroll(w=np.ones((T, 2, 3)), initial={"h": read["s"][S]})
    return mg.losses.mse(run["y"].stack(), np.zeros((T, 2, 4)))


def attention(T: int = 5) -> Tensor:
    """All steps read one tensor that was computed from all steps of another recurrence."""
    first = elman().unroll(x=np.ones((4, 2, 3)))
    decoder = Cell("decoder")
    memory, h = decoder.static("memory", (4, 4)), decoder.signal("h", 4)
    h[t] = np.tanh(mg.softmax(memory @ h[t-1]) @ memory)
    run = decoder.unroll(T=T, memory=np.swapaxes(first["h"].stack(), 0, 1))
    return run["h"].stack().sum()


def delays() -> Tensor:
    cell = Cell("delays")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    x[0] = x[-1] = 0
    h[t] = np.tanh(parameter("W", 2) * x[t] + x[t-2] + h[t-1] + h[t-3])
    return cell.unroll(x=np.ones((9, 1, 2)))["h"].stack().sum()


def running_loss() -> Tensor:
    run = elman().unroll(x=np.ones((6, 2, 3)))
    total: Any = 0.0
    for step in range(1, 7):
        total = total + mg.square(run["y"][step]).sum()
    return total / 6


def last_step() -> Tensor:
    run = elman().unroll(x=np.ones((6, 2, 3)))
    return mg.square(np.tanh(run["h"][6]) @ parameter("R", 4, 1)).mean()


def steps_alone() -> Tensor:
    """Time steps that don't read each other."""
    cell = Cell("alone")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    y[t] = parameter("W", 2, 3) @ x[t]
    return cell.unroll(x=np.ones((7, 2, 3)))["y"].stack().mean()


def deep_lstm() -> Tensor:
    cell = Cell("deep")
    cells.stacked(cell, cells.lstm, cell.input("x", 2), [3, 3], name="net", rng=np.random.default_rng(0), directions=2)
    run = cell.unroll(x=np.ones((5, 1, 2)))
    return run[next(reversed(run.cell.signals))].stack().sum()


def random_tensor(seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 250))
    near = int(rng.integers(2, 60))
    choices = [(int(rng.integers(5)), max(number + 2 - int(rng.integers(near)), 0), int(rng.integers(number + 3)))
               for number in range(size)]
    with np.errstate(all="ignore"):
        return random_graph(choices)[1]


GRAPHS: dict[str, Callable[[], Tensor]] = {
    "one tensor": lambda: Tensor(1.0, name="x"), "layers": lambda: layers(6), "residual": lambda: layers(9, skip=True),
    "chain": lambda: chain(400), "newton": lambda: newton(30), "diamond": diamond,
    "many leaves": lambda: many_leaves(150), "several outputs": several_outputs, "encoder": encoder_decoder,
    "long encoder": lambda: encoder_decoder(20, 15), "attention": attention, "delays": delays,
    "running loss": running_loss, "last step": last_step, "steps alone": steps_alone, "deep lstm": deep_lstm,
    "bidirectional": lambda: recurrence(bidirectional, 7), "lstm": lambda: recurrence(lstm, 5),
    **{f"{make.__name__} {T}": lambda make=make, T=T: recurrence(make, T) for make in DEFINITIONS for T in (1, 3, 30)}}
EVERY = [pytest.param(make, id=name) for name, make in GRAPHS.items()]
EVERY += [pytest.param(lambda seed=seed: random_tensor(seed), id=f"random {seed}") for seed in range(30)]
every_graph = pytest.mark.parametrize("make", EVERY)


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
