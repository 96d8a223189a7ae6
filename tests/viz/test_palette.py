"""The palette: told apart by the colour-blind, in grey print, and readable on a light and on a dark ground."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from colours import contrast, difference, least_difference, lightness
from definitions import bidirectional, data, elman, feedback_2, lstm, unrolled
from drawings import draw_run, rolled_drawing, unrolled_drawing

import minigrad as mg
from rnn import Cell, cells, t
from viz.annotations.heat import Norm, Scale
from viz.pictures.difference import APPEARANCE
from viz.pictures.gradient_map import map_scene
from viz.render import palette
from viz.render.digraph import darken_scene
from viz.render.scene import Box, Point, Scene

TEXT, LINE = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
APART = 10.0  # CIEDE2000; a just noticeable difference is about 1
BOXES = [palette.INPUT, palette.TARGET, palette.STATE, palette.REVERSED, palette.STATIC, palette.HIDDEN,
         palette.OUTPUT, palette.LOSS]
ARROWS = [palette.ARROW, palette.STATE.line, palette.REVERSED.line, palette.INPUT.line, palette.STATIC.line,
          palette.LOSS.line, palette.FEEDBACK, palette.BACKWARD]
SETS = {"boxes": [*(paint.line for paint in BOXES), palette.ALARM], "arrows": ARROWS,
        "parameters": palette.PARAMETERS, "differences": [paint.line for paint, _ in APPEARANCE.values()]}


@pytest.mark.parametrize("one, other, expected", [  # of the table by Sharma, Wu and Dalal
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425), ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644), ((50, 0, 0), (50, -1, 2), 2.3669),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373), ((50, 2.5, 0), (73, 25, -18), 27.1492)])
def test_the_measure_is_that_of_its_authors(one: tuple[float, ...], other: tuple[float, ...],
                                            expected: float) -> None:
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_colours_that_occur_together_are_apart_for_every_kind_of_vision(name: str, dark: bool) -> None:
    colors = [palette.dark(color) if dark else color for color in SETS[name]]
    found = least_difference(colors)
    assert found[0] >= APART, found


def test_forty_parameters_have_forty_looks() -> None:
    looks = {(paint.line, paint.style) for paint in (palette.parameter_paint(i, palette.SHELF) for i in range(40))}
    assert len(looks) == 40 and {style for _, style in looks} == set(palette.LINES)


def test_the_parameters_of_four_layers_have_different_boxes() -> None:
    """At the side, and around the operations that read them."""
    cell, rng = Cell("deep"), np.random.default_rng(0)
    x = cell.input("x", 3)
    for layer in range(4):
        x = cells.lstm(cell, x, 3, name=f"l{layer}", rng=rng)
    run = cell.unroll(x=np.ones((1, 2, 3)))
    drawing = draw_run(run, None, [1], "ops")
    side = {box.label.split()[0]: (box.paint.line, box.paint.style) for box in drawing.scene.boxes
            if box.key.startswith("p")}
    assert len(side) == len(set(side.values())) == 32
    readers = {part.names[0]: box for (part, _), box in drawing.boxes.items() if part.names}
    assert {name: (box.paint.line, box.paint.style) for name, box in readers.items()} == side


def test_forty_leaves_of_a_graph_have_forty_looks() -> None:
    from viz.pictures.graph import GraphDrawing, drawable

    leaves = [mg.Tensor(np.ones(2), requires_grad=True, name=f"w{i}") for i in range(40)]
    total = sum((x * x * x * x * x for x in leaves), mg.Tensor(np.ones(2)))
    drawn = GraphDrawing(drawable(total, 1000), ("name",))
    assert len({(paint.line, paint.style) for paint in drawn.shared.values()}) == len(drawn.shared) == 40


# ---- contrast
def many_delays() -> Cell:
    """Lanes in the colours of their parameters, and values before the first step."""
    cell, rng = Cell("delays"), np.random.default_rng(0)
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    U, V, W = (mg.Tensor(rng.normal(size=(3, 3)) / 9, requires_grad=True, name=name) for name in "UVW")
    h[t] = np.tanh(U @ h[t-1] + V @ h[t-2] + W @ h[t-4] + x[t-1])
    y[t] = h[t] + x[t]
    x[0] = 0
    return cell


def attending() -> Cell:
    """A decoder with a static, from which its first state is computed."""
    cell, rng = Cell("attending"), np.random.default_rng(0)
    enc, x, s = cell.static("enc", (6, 3)), cell.input("x", 3), cell.signal("s", 3)
    context = cells.memory.attention(cell, enc, s, 4, name="att", rng=rng)
    s[t] = np.tanh(x[t] + context[t])
    s[0] = np.tanh(mg.Tensor(np.eye(3), requires_grad=True, name="W") @ enc.mean(axis=0))
    return cell


def scenes() -> dict[str, Scene]:
    found = {}
    for make in (elman, bidirectional, feedback_2, lstm, many_delays, attending):
        cell = make()
        statics = {"enc": np.ones((5, 6, 3))} if make is attending else {}
        run = cell.unroll(**data(cell, T=6), **statics)
        loss = mg.square(run[list(run.cell.signals)[-1]].stack()).sum()
        loss.backward()
        for level in ("signals", "ops"):
            found[f"{cell.name} rolled {level}"] = rolled_drawing(cell, level).scene
            found[f"{cell.name} {level}"] = unrolled_drawing(run, loss, level=level, steps=[1, 2, 6]).scene
            found[f"{cell.name} {level} heat"] = unrolled_drawing(run, loss, level=level, heat=True).scene
    cell = elman()
    run = cell.unroll(**data(cell, T=9), chunks=3)
    found["cut"] = unrolled_drawing(run).scene
    mg.square(run["y"].stack()).sum().backward()
    found["map"] = map_scene(run)
    return found


def ground(scene: Scene, at: Point) -> str:
    """Return the colour behind a point: of the frame that it is in, or the page."""
    fills = [frame.paint.fill for frame in scene.frames
             if frame.left < at[0] < frame.right and frame.bottom < at[1] < frame.top]
    return fills[-1] if fills else "#FFFFFF"


def faint(scene: Scene, look: Callable[[str], str], under: Callable[[str], str]) -> list[str]:
    """Return what has too little contrast with its ground; `look` and `under` give the colours that are painted."""
    texts = [(text.text, text.color, (text.x, text.y)) for text in scene.texts]
    texts += [(arrow.label.text, arrow.label.color, (arrow.label.x, arrow.label.y)) for arrow in scene.arrows
              if arrow.label]
    found = [text for text, color, at in texts if contrast(look(color), under(ground(scene, at))) < TEXT]
    for arrow in scene.arrows:
        if contrast(look(arrow.color), under(ground(scene, arrow.points[-1]))) < LINE:
            found.append(arrow.tooltip)
    for frame in scene.frames:
        if contrast(look(frame.paint.line), under("#FFFFFF")) < LINE or (
                contrast(look(frame.color), under(frame.paint.fill)) < TEXT):
            found.append(frame.caption)
    return found + [box.label or box.tooltip for box in scene.boxes if is_faint(scene, box, look, under)]


def is_faint(scene: Scene, box: Box, look: Callable[[str], str], under: Callable[[str], str]) -> bool:
    behind = ground(scene, (box.x, box.y))
    inside = box.paint.fill if box.filled and box.pattern is None else behind
    if box.pattern and contrast(look(box.pattern.color), under(behind)) < LINE:
        return True
    if box.label and contrast(look(box.color), under(inside)) < TEXT:
        return True
    strip = box.key.startswith("g") and box.pen <= 0.5  # of a map: colours side by side need no lines
    return not strip and contrast(look(box.paint.line), under(behind)) < LINE


@pytest.mark.parametrize("dark", [False, True])
def test_texts_lines_and_patterns_have_contrast(dark: bool) -> None:
    def look(color: str) -> str:
        return palette.dark(color) if dark else color

    def under(color: str) -> str:
        return palette.dark(color, ground=True) if dark else color

    found = {name: faint(scene, look, under) for name, scene in scenes().items()}
    assert len(found) > 30 and not any(found.values()), found


def test_differences_have_contrast() -> None:
    for paint, _ in APPEARANCE.values():
        assert contrast(paint.line, "#FFFFFF") >= (LINE if paint is palette.SAME else TEXT)
        for shade in (paint, paint.dark()):
            text = palette.TEXT if shade is paint else palette.dark(palette.TEXT)
            assert contrast(shade.line, shade.fill) >= LINE and contrast(text, shade.fill) >= TEXT


# ---- dark ground
def test_a_dark_ground_keeps_the_order_of_lightness_reversed() -> None:
    greys = [f"#{level:02X}{level:02X}{level:02X}" for level in range(0, 256, 15)]
    for ground_ in (False, True):
        light = [lightness(palette.dark(grey, ground_)) for grey in greys]
        assert all(a > b or (a > 95 and b > 95) for a, b in pairwise(light))
    assert palette.dark("#FFFFFF", ground=True) == "#1A1A1A"


def test_a_dark_scene_has_the_same_parts() -> None:
    run, loss = unrolled(elman)
    run["h"][1].grad = np.zeros_like(run["h"][1].numpy())
    scene = unrolled_drawing(run, loss, heat=True).scene
    dark = darken_scene(scene)
    for box, other in zip(scene.boxes, dark.boxes):
        assert other.paint == box.paint.dark() and (other.x, other.y, other.label) == (box.x, box.y, box.label)
        assert (other.pattern is None) == (box.pattern is None)
        if box.pattern is not None and other.pattern is not None:
            assert other.pattern == box.pattern._replace(color=palette.dark(box.pattern.color))


# ---- heat
def test_the_larger_a_gradient_the_darker_its_colour() -> None:
    scale = Scale([Norm(1.0), Norm(1e-8)])
    light = [lightness(scale.fill(Norm(10.0 ** -k))) for k in range(9)]
    assert min(np.diff(light)) > 3.5  # from decade to decade, so that grey print tells two
    assert light[-1] < 94 < lightness(palette.INPUT.fill)


def test_on_a_dark_ground_a_larger_gradient_is_lighter() -> None:
    scale = Scale([Norm(1.0), Norm(1e-8)])
    light = [lightness(palette.dark(scale.fill(Norm(10.0 ** -k)), ground=True)) for k in range(9)]
    assert max(np.diff(light)) < -2.5
