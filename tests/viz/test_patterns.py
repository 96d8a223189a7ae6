"""Patterns: what grey print would hide. Their lines in the scene, and painted."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from definitions import elman
from drawings import draw_run
from painters import BOTH, painting

import minigrad as mg
from rnn import Run
from viz.annotations import heat
from viz.pictures.gradient_map import map_scene
from viz.pictures.graph import GraphDrawing, drawable
from viz.render import palette, rasterize
from viz.render.digraph import DPI, picture
from viz.render.fonts import text_width
from viz.render.patterns import KINDS, Pattern, pattern_lines
from viz.render.scene import CORNER, Box, Scene

TOLD_APART = 10  # of 255 grey levels


# ---- lines
def inside_shape(x: float, y: float, half: tuple[float, float], corner: str) -> bool:
    """Whether a point, from the centre, is inside a shape as it is painted: corners have a radius of 6 points."""
    a, b = half
    if corner == "ellipse":
        return (x / a) ** 2 + (y / b) ** 2 <= 1
    over_x, over_y = abs(x) - (a - 6), abs(y) - (b - 6)
    if corner == "round" and over_x > 0 and over_y > 0:
        return bool(np.hypot(over_x, over_y) <= 6)
    return abs(x) <= a and abs(y) <= b


@pytest.mark.parametrize("corner", ["", "round", "ellipse"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(20, 20), (26, 14), (60, 40), (150, 24), (900, 24)])
def test_lines_are_inside_of_the_box_and_not_under_its_label(kind: str, corner: str, size: tuple[int, int]) -> None:
    width, height = size
    for label in ((0.0, 0.0), (0.4 * width, 0.4 * height)):
        lines = pattern_lines(Pattern(kind), (100, 50, 100 + width, 50 + height), label, corner)
        assert lines
        for line in lines:
            for fraction in np.linspace(0, 1, 30):
                x, y = np.array(line[0]) * (1 - fraction) + np.array(line[1]) * fraction - (
                    100 + width / 2, 50 + height / 2)
                assert inside_shape(x, y, (width / 2, height / 2), corner), (line, x, y)
                assert abs(x) >= label[0] / 2 - 1e-6 or abs(y) >= label[1] / 2 - 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_removes_the_lines_under_it_and_no_other(kind: str) -> None:
    box = (0.0, 0.0, 90.0, 40.0)
    whole = sum(np.hypot(x1 - x, y1 - y) for (x, y), (x1, y1) in pattern_lines(Pattern(kind), box, (0, 0)))
    rest = sum(np.hypot(x1 - x, y1 - y) for (x, y), (x1, y1) in pattern_lines(Pattern(kind), box, (45, 20)))
    assert rest / whole == pytest.approx(0.75, abs=0.12)  # the label covers a quarter


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [1, 2, 3, 4, 5])
def test_no_line_touches_a_line_of_the_label(lines: int, kind: str) -> None:
    height = 30.0 + 12 * (lines - 1)
    box = Box("b", 0, 0, 140, height, "\n".join(["|g| not computed"] * lines), palette.STATE, size=10,
              pattern=Pattern(kind))
    pos, = re.findall(r'b -> b .*pos="(.*?)"', picture(Scene("", [box])).source)
    curves = [np.array([point.split(",") for point in curve.split()], float) for curve in pos.split(";")]
    half_width, half_height = text_width(box.label, 10) / 2, 1.2 * 10 * lines / 2  # Graphviz: 1.2 sizes for a line
    assert curves
    for (x, y), *_, (x1, y1) in curves:
        for fraction in np.linspace(0, 1, 30):
            assert abs(x + fraction * (x1 - x)) > half_width or abs(y + fraction * (y1 - y)) > half_height


def test_lines_are_symmetrical() -> None:
    """The same when the box is turned by 180 degrees, so that neighbours of other widths look alike."""
    for kind in KINDS:
        found = pattern_lines(Pattern(kind), (-40, -15, 40, 15), (0, 0))
        ends = sorted(tuple(np.round(end, 6) + 0.0) for line in found for end in line)
        turned = sorted(tuple(np.round(-np.array(end), 6) + 0.0) for line in found for end in line)
        if kind in ("rising", "grid", "upright"):
            np.testing.assert_allclose(ends, turned, atol=1e-6)


# ---- painted
def special(values: bool = False) -> tuple[Run, mg.Tensor]:
    """A run in which every special case occurs: 0 in h[1], tiny in h[2], NaN in y[3]; y[1] isn't read by the loss."""
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(5, 2, 3)))
    loss = mg.square(run["y"][3]).mean() + mg.square(run["y"][4]).mean()
    loss.backward()
    for name, k, value in (("h", 1, 0.0), ("h", 2, 1e-40), ("y", 3, np.nan)):
        grad = run[name][k].grad
        assert grad is not None
        grad[...] = value
    mg.optim.SGD(run.parameters, 0.1).step()  # from now on the gradients that are stored are shown
    return run, loss


Painter = Callable[[str], bytes]


def by_dot(source: str) -> bytes:
    return rasterize._paint_with_dot(source, "png", DPI)


def by_default(source: str) -> bytes:
    return rasterize.paint(source, "png", DPI)


PAINTERS = [by_default, pytest.param(by_dot, marks=pytest.mark.skipif(not BOTH, reason="there is one painter"))]


class Painted:
    """A scene in grey, 0 … 255 (Rec. 709). A small box at a corner tells where the scene's coordinates are."""

    def __init__(self, scene: Scene, paint: Painter, dark: bool = False) -> None:
        images = pytest.importorskip("matplotlib.image")
        left, _, _, top = scene.bounds(0)
        mark = Box("mark", left - 20, top + 20, 6, 6, "", palette.Paint("#000000", "#000000"), rounded=False, pen=0.0)
        marked = replace(scene, boxes=[*scene.boxes, mark])
        content = images.imread(io.BytesIO(paint(picture(marked, dark).source)))[..., :3]
        self.pixels = 255 * content @ (0.2126, 0.7152, 0.0722)
        rows, columns = np.nonzero(np.abs(self.pixels - self.pixels[0, 0]) > 60)
        self.left, self.top, self.x, self.y = columns.min(), rows.min(), mark.left, mark.top

    def region(self, left: float, bottom: float, right: float, top: float) -> Any:
        """Return the pixels of a rectangle of the scene."""
        rows = [round(self.top + (self.y - y) * DPI / 72) for y in (top, bottom)]
        columns = [round(self.left + (x - self.x) * DPI / 72) for x in (left, right)]
        return self.pixels[rows[0]:rows[1], columns[0]:columns[1]]

    def beside_label(self, box: Box) -> Any:
        """Return the part of a box at the left of its label."""
        label = text_width(box.label, box.size) * CORNER + 4
        return self.region(box.left + 4, box.bottom + 4, box.x - label / 2 - 2, box.top - 4)


def features(pixels: Any) -> Any:
    """Return mean, spread of the columns, spread of the rows, and the rest of the variation."""
    rows, columns = pixels.mean(1), pixels.mean(0)
    rest = pixels - rows[:, None] - columns[None] + pixels.mean()
    return np.array([pixels.mean(), columns.std(), rows.std(), rest.std()])


def assert_told_apart(found: dict[str, Any]) -> None:
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert np.abs(features(a) - features(b)).max() > TOLD_APART, (one, features(a), other, features(b))


@painting
@pytest.mark.parametrize("paint", PAINTERS)
@pytest.mark.parametrize("dark", [False, True])
def test_in_grey_a_map_tells_every_meaning(paint: Painter, dark: bool) -> None:
    run, _ = special()
    scene = map_scene(run)
    painted = Painted(scene, paint, dark)
    cells = {box.tooltip.split(" ")[0]: box for box in scene.boxes if box.key.startswith("g")}
    found = {name: painted.region(box.left + 3, box.bottom + 3, box.right - 3, box.top - 3) for name, box in
             cells.items() if name in ("h[1]", "h[2]", "h[3]", "y[1]", "y[3]")}
    assert_told_apart(found)


@painting
@pytest.mark.parametrize("paint", PAINTERS)
@pytest.mark.parametrize("dark", [False, True])
def test_in_grey_boxes_tell_every_meaning(paint: Painter, dark: bool) -> None:
    """Exactly zero and 1e-1, not computed and 1e-2, and an input, which needs no gradient, are not one grey."""
    scale = heat.Scale([heat.Norm(1.0), heat.Norm(1e-8)])
    looks = {"input": None, "not computed": heat.Norm(None), "exactly 0": heat.Norm(0.0), "smaller": heat.Norm(1e-20),
             "unreached": heat.Norm(0.0, heat.UNREACHED), "nan": heat.Norm(np.nan), "1": heat.Norm(1.0),
             "1e-1": heat.Norm(1e-1), "1e-2": heat.Norm(1e-2), "1e-5": heat.Norm(1e-5)}
    scene = Scene("looks")
    for number, size in enumerate(looks.values()):
        box = Box(f"b{number}", 130 * number, 0, 110, 40, "h[1]\n|g| 0", palette.STATE, size=10)
        if size is None:
            box.paint = palette.Paint(palette.INPUT.line, heat.BLANK)
        else:
            scale.paint_box(box, size)
        scene.boxes.append(box)
    painted = Painted(scene, paint, dark)
    found = {name: painted.beside_label(box) for name, box in zip(looks, scene.boxes)}
    if dark:  # ten decades in less than half of the range of lightness
        del found["1e-1"]
    assert_told_apart(found)


@painting
def test_in_a_run_inputs_states_and_what_was_not_computed_differ_in_grey() -> None:
    run, _ = special()
    drawing = draw_run(run, None, range(1, 6), heat=True)
    painted = Painted(drawing.scene, by_default)
    boxes = {box.label.split("\n")[0]: box for box in drawing.scene.boxes}
    named = {name: boxes[name] for name in ("h[1]", "h[2]", "h[3]", "y[1]", "y[3]")}
    assert [box.pattern for box in named.values()] == [heat.ZERO, heat.TINY, None, heat.UNREACHABLE, heat.BAD]
    looks = {name: painted.beside_label(box) for name, box in named.items()}
    begun = elman().unroll(x=np.ones((5, 2, 3)))
    step = mg.square(begun["y"][4]).mean().backward_steps()[0]
    step.run()
    half = draw_run(begun, step.steps.out, range(1, 6), heat=True, step=step).scene
    waiting, = (box for box in half.boxes if box.label.startswith("h[3]"))
    assert waiting.pattern == heat.UNKNOWN
    looks["waiting"] = Painted(half, by_default).beside_label(waiting)
    assert_told_apart(looks)
    assert boxes["x[1]"].paint.fill == heat.BLANK and boxes["x[1]"].pattern is None


def test_a_value_that_is_not_finite_has_a_pattern_in_every_picture() -> None:
    cell = elman()
    x = np.ones((3, 2, 3))
    x[2] = np.nan
    run = cell.unroll(x=x)
    loss = run["y"].stack().sum()
    loss.name = "loss"
    for scene in (draw_run(run, loss, [1, 2, 3]).scene, GraphDrawing(drawable(loss, 100), ("name",)).draw()):
        found = {box.label.split("\n")[0]: box for box in scene.boxes}
        bad = {"x[3]", "y[3]", "h[3]", "loss"}
        assert bad <= set(found) and found["h[1]"].pattern is None
        assert {(found[name].pattern, found[name].paint) for name in bad} == {(heat.BAD, palette.BAD)}


def test_a_highlighted_tensor_that_is_not_finite_keeps_both_marks() -> None:
    bad = mg.Tensor(np.array([1.0, np.nan]), requires_grad=True, name="bad")
    drawn = GraphDrawing(drawable(bad.sum(), 9), ("name",), {bad}).draw()
    box, = (box for box in drawn.boxes if box.label.startswith("bad"))
    assert (box.pattern, box.paint.line, box.pen) == (heat.BAD, palette.BACKWARD, 4.0)


def strokes(scene: Scene, format: str) -> int:
    """Return how many open lines a painted scene has."""
    content = rasterize.paint(picture(scene).source, format)
    if format == "svg":
        return len(re.findall(rb'<path fill="none"[^>]*d="M[^C]*C[^"CZ]*"', content))
    if format == "ps":
        return len(re.findall(rb"newpath [-\d. ]+moveto\s+[-\d. ]+curveto\s+stroke", content))
    streams = [zlib.decompress(stream) for stream in re.findall(rb"stream\n(.*?)\nendstream", content, re.DOTALL)
               if stream[:1] == b"\x78"]
    return len(re.findall(rb" c S", b"".join(streams))) + len(re.findall(rb" c\nS", b"".join(streams)))


@painting
@pytest.mark.parametrize("format", ["svg", "pdf", "ps"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_has_all_lines(format: str, kind: str) -> None:
    plain = Scene("box", [Box("a", 0, 0, 90, 40, "", palette.STATE, rounded=False, filled=False)])
    patterned = replace(plain, boxes=[replace(plain.boxes[0], pattern=Pattern(kind))])
    lines = pattern_lines(Pattern(kind), (-45, -20, 45, 20), (0, 0))
    assert strokes(patterned, format) - strokes(plain, format) == len(lines) > 5
