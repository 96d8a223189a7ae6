"""The options that pictures have in common, and the arrangement for a page."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import bidirectional, elman, feedback, lstm, parameter, three_delays, unrolled
from drawings import draw_run, overlap, rectangle, unrolled_drawing

import minigrad as mg
import viz
from examples.gallery import attention, delta_rule
from rnn import Cell, cells, t
from viz.annotations.panels import Panel, text_panel
from viz.annotations.places import best_places, extent, magnification
from viz.layout.options import ASPECTS, Options
from viz.pictures.rolled import rolled_graph
from viz.pictures.side_by_side import side_by_side, unroll_zeros
from viz.render import palette
from viz.render.fonts import text_width
from viz.render.scene import CORNER, Box, Scene, text_beside

RUN, LOSS = unrolled(elman, 6)
LOSS.backward()
NETWORK = RUN.cell
PICTURES: dict[Callable[..., Any], tuple[Any, ...]] = {
    viz.rolled: (NETWORK,), viz.unrolled: (RUN, LOSS), viz.both: (NETWORK,), viz.graph: (LOSS,),
    viz.gradient_map: (RUN,), viz.diff: (NETWORK, lstm()), viz.animate: (LOSS,)}
HAVE = {
    "title": set(PICTURES), "parameters": {viz.rolled, viz.unrolled, viz.both, viz.graph, viz.animate},
    "equations": {viz.rolled, viz.unrolled, viz.both, viz.diff, viz.animate}, "legend": set(PICTURES),
    "shapes": {viz.rolled, viz.unrolled, viz.both, viz.animate},
    "biases": {viz.rolled, viz.unrolled, viz.both, viz.animate}, "per_row": {viz.unrolled, viz.both, viz.animate},
    "aspect": {viz.rolled, viz.unrolled, viz.both, viz.graph}, "notation": set(PICTURES), "dark": set(PICTURES)}
LEGEND = Options(legend=True)
EQUATIONS = ["h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", "y[t] = V @ h[t]"]


def source(draw: Callable[..., Any], **options: Any) -> str:
    """The DOT text of a picture, or of the last frame of an animation."""
    drawn = draw(*PICTURES[draw], **options)
    text: str = (drawn.frames[-1] if isinstance(drawn, viz.Animation) else drawn).source
    return text


def named(draw: Callable[..., Any]) -> str:
    return draw.__name__


def texts(scene: Scene) -> list[str]:
    return [text.text for text in scene.texts]


def panels(scene: Scene) -> list[tuple[float, float, float, float]]:
    """The rectangle of what stands around the steps: the list, legends, equations."""
    found = []
    for belongs in (lambda box: box.key[0] == "p" and box.key[1:].isdigit(), lambda box: box.key.startswith("legend"),
                    lambda box: box.key.startswith("color")):
        boxes = [rectangle(box) for box in scene.boxes if belongs(box)]
        if boxes:
            found.append((min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes),
                          max(b[3] for b in boxes)))
    lines = [rectangle(text) for text in scene.texts if text.text in EQUATIONS]
    if lines:
        found.append((lines[0][0], lines[-1][1], max(line[2] for line in lines), lines[0][3]))
    return found


# ---- which picture has which option
@pytest.mark.parametrize("option", [field.name for field in fields(Options)])
def test_a_picture_has_the_options_that_mean_something_for_it(option: str) -> None:
    for draw in PICTURES:
        found = inspect.signature(draw).parameters.get(option)
        assert (found is not None) is (draw in HAVE[option]), draw.__name__
        assert found is None or found.kind is inspect.Parameter.KEYWORD_ONLY
        assert found is None or f"{option}" in (draw.__doc__ or "")


@pytest.mark.parametrize("options, error", [
    ({"title": 3}, TypeError), ({"parameters": "no"}, TypeError), ({"legend": "yes"}, TypeError),
    ({"equations": None}, TypeError), ({"notation": "latex"}, ValueError), ({"aspect": "wide"}, ValueError),
    ({"aspect": 0}, ValueError), ({"aspect": True}, ValueError), ({"biases": True, "level": "ops"}, ValueError)])
def test_a_value_that_an_option_cannot_have_is_refused_by_its_name(options: dict[str, Any], error: type) -> None:
    with pytest.raises(error, match=f"{next(iter(options))}="[:8]):
        viz.unrolled(RUN, **options)


def test_equations_of_runs_are_not_compared() -> None:
    with pytest.raises(ValueError, match="equations= is for Cells"):
        viz.diff(RUN, RUN, equations=True)


# ---- titles
@pytest.mark.parametrize("draw", PICTURES, ids=named)
def test_a_title_is_replaced_or_left_out(draw: Callable[..., Any]) -> None:
    assert 'label="My own title' in source(draw, title="My own title")
    without, usual = source(draw, title=False), source(draw)
    assert "My own" not in usual
    assert without == usual if draw is viz.graph else len(without) < len(usual)


def test_without_a_title_the_step_of_a_backward_pass_is_told() -> None:
    step = LOSS.backward_steps()[0]
    step.run()
    drawn = viz.unrolled(RUN, LOSS, step=step, title=False).source
    assert "backward: step 1 of" in drawn and "elman, unrolled" not in drawn


@pytest.mark.parametrize("options", [{}, {"per_row": 3}, {"aspect": "slide"}, {"legend": True, "equations": True}])
def test_the_title_is_centred_over_the_steps(options: dict[str, Any]) -> None:
    drawing = unrolled_drawing(RUN, LOSS, shown=Options(**options))
    title, = [text for text in drawing.scene.texts if text.text == "elman, unrolled, T = 6"]
    frames = drawing.scene.frames
    assert title.x == pytest.approx((min(f.left for f in frames) + max(f.right for f in frames)) / 2)
    solid = [rectangle(box) for box in drawing.scene.boxes]
    assert not any(overlap(rectangle(title), place) for place in solid) and title.y > max(f.top for f in frames)


# ---- lists, equations, legends
@pytest.mark.parametrize("draw", sorted(HAVE["parameters"], key=named), ids=named)
def test_the_list_of_parameters_is_switched(draw: Callable[..., Any]) -> None:
    assert "p3 [" in source(draw, parameters=True) and "U  (4, 4)" in source(draw, parameters=True)
    assert "p3 [" not in source(draw, parameters=False)
    assert source(draw) == source(draw, parameters=draw not in (viz.rolled, viz.both))


def test_without_the_list_a_term_of_the_loss_on_a_parameter_has_no_arrow() -> None:
    U = RUN.parameters["U"]
    loss = mg.square(RUN["y"].stack()).mean() + 0.1 * mg.square(U).sum()
    assert "p1 -> loss" in viz.unrolled(RUN, loss).source
    assert "-> loss" in viz.unrolled(RUN, loss, parameters=False).source
    assert "p1 -> loss" not in viz.unrolled(RUN, loss, parameters=False).source


@pytest.mark.parametrize("draw", [viz.rolled, viz.unrolled, viz.both, viz.animate], ids=named)
def test_equations_are_written(draw: Callable[..., Any]) -> None:
    for line in EQUATIONS:
        written = f'label="{line}'
        assert written in source(draw, equations=True) and written not in source(draw, equations=False)
    assert source(draw) == source(draw, equations=draw is viz.rolled)


def legend_of(scene: Scene) -> dict[str, Box]:
    boxes = {box.tooltip: box for box in scene.boxes if box.key.startswith("color")}
    return {text.text: boxes[text.text] for text in scene.texts if text.text in boxes}


@pytest.mark.parametrize("make, meanings", [
    (elman, ["input", "state: read by later steps", "output", "given before or after the steps",
             "arrow within a step", "arrow of a state to a later step"]),
    (bidirectional, ["input", "state: read by later steps", "state that runs backward in time", "output",
                     "given before or after the steps", "arrow within a step", "arrow of a state to a later step",
                     "arrow to an earlier step"]),
    (feedback, ["input", "state: read by later steps", "output", "given before or after the steps",
                "arrow within a step", "through time, in its parameter's colour", "arrow of a state to a later step",
                "feedback to a lower layer, one step later"])])
def test_a_legend_explains_the_colours_that_occur(make: Callable[[], Cell], meanings: list[str]) -> None:
    run, _ = unrolled(make, 3)
    scene = draw_run(run, None, [1, 2, 3], shown=Options(legend=True)).scene
    found = legend_of(scene)
    assert set(found) <= set(meanings) and set(meanings) - set(found) <= {"through time, in its parameter's colour"}
    drawn = {box.paint for box in scene.boxes if box.key.startswith("s")}
    assert {box.paint for text, box in found.items() if "arrow" not in text and "through" not in text
            and "feedback" not in text and "given" not in text} == drawn
    assert {box.paint.line for text, box in found.items() if "arrow" in text or "feedback" in text} == {
        arrow.color for arrow in scene.arrows}


def test_arrows_in_the_colours_of_their_parameters_are_explained_as_such() -> None:
    run, _ = unrolled(three_delays, 4)
    assert "arrow of a state to a later step" not in legend_of(draw_run(run, None, [1, 2], shown=LEGEND).scene)
    assert "through time, in its parameter's colour" in legend_of(draw_run(run, None, [1, 2], shown=LEGEND).scene)
    assert "through time, in its parameter's colour" not in legend_of(draw_run(RUN, None, [1], shown=LEGEND).scene)


def test_a_legend_has_the_loss_cuts_statics_and_the_delay() -> None:
    run = elman().unroll(x=np.zeros((4, 1, 3)), chunks=2)
    scene = draw_run(run, run["y"].stack().sum(), [1, 2, 3, 4], shown=Options(legend=True)).scene
    assert {"loss", "arrow to the loss", "cut: no gradient goes back"} <= set(legend_of(scene))
    rolled = viz.rolled(attention(np.random.default_rng(0)), legend=True).source
    assert "static: the same at all steps" in rolled and "delay: z" in rolled and "■" not in rolled


def test_the_legend_of_gradients_is_there_with_heat_alone() -> None:
    heat = viz.unrolled(RUN, LOSS, heat=True).source
    assert "|gradient|" in heat and "boxes and arrows" not in heat
    assert "|gradient|" not in viz.unrolled(RUN, LOSS, heat=True, legend=False).source
    assert "|gradient|" not in viz.unrolled(RUN, LOSS).source
    both = viz.unrolled(RUN, LOSS, heat=True, legend=True).source
    assert "|gradient|" in both and "boxes and arrows" in both


# ---- what is drawn
@pytest.mark.parametrize("draw, message", [
    (lambda: viz.unrolled(RUN, loss=[LOSS]), r"loss= takes a Tensor that was computed from the run, not list: \["),
    (lambda: viz.unrolled(RUN, loss=3), "loss= takes a Tensor .*, not int: 3"),
    (lambda: viz.unrolled(RUN, LOSS, step=3), r"step= takes a step of loss.backward_steps\(\), not int: 3"),
    (lambda: viz.gradient_map([RUN, RUN]), r"viz.gradient_map\(\) takes one run, cell.unroll\(...\), not list"),
    (lambda: viz.rolled([NETWORK]), r"viz.rolled\(\) takes a definition, a Cell, not list"),
    (lambda: viz.both(RUN), r"viz.both\(\) takes a definition, a Cell, not Run"),
    (lambda: viz.graph([LOSS]), r"viz.graph\(\) takes a Tensor, not list"),
    (lambda: viz.animate(LOSS, run=[RUN]), r"run= takes a run, cell.unroll\(...\), not list")])
def test_anything_else_than_the_picture_takes_is_refused(draw: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        draw()


# ---- shapes and biases
def test_shapes_of_all_signals_or_of_none() -> None:
    labels = {shown: {box.label for (_, k), box in draw_run(RUN, None, [1], shown=Options(shapes=shown)).boxes.items()
                      if k == 1} for shown in (None, True, False)}
    assert labels == {None: {"x[1]", "h[1]", "y[1]"}, True: {"x[1] (3)", "h[1] (4)", "y[1] (2)"},
                      False: {"x[1]", "h[1]", "y[1]"}}
    matrix = delta_rule(np.random.default_rng(0))
    assert "S[t] (3×3)" in viz.rolled(matrix).source and "(3×3)" not in viz.rolled(matrix, shapes=False).source
    assert "k[t] (3)" in viz.rolled(matrix, shapes=True).source


def test_the_shape_of_a_run_is_that_of_one_sequence() -> None:
    decoder = attention(np.random.default_rng(0))
    run = decoder.unroll(x=np.zeros((2, 5, 4)), enc=np.zeros((5, 6, 4)))
    drawn = viz.unrolled(run, shapes=True).source
    assert "enc (6×4)" in drawn and "a[1] (6)" in drawn and "x[2] (4)" in drawn
    assert "a[t] (?)" in viz.rolled(decoder, shapes=True).source


def gated() -> Cell:
    W, b, c, s = parameter("W", 4, 3), parameter("b", 4), parameter("c", 4), parameter("s", 4)
    cell = Cell("gated")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(W @ x[t] + 0.5 * h[t-1] - b)
    y[t] = c - s * h[t] + 2 * b
    return cell


def test_a_box_shows_the_parameters_that_are_added_in_their_colours() -> None:
    cell = gated()
    graph = rolled_graph(cell, "signals")
    drawn = viz.rolled(cell, biases=True).source
    colors = graph.colors
    assert f'<FONT COLOR="{colors["b"]}" POINT-SIZE="10">− b</FONT>' in drawn
    assert f'<FONT COLOR="{colors["c"]}" POINT-SIZE="10">+ c</FONT>' in drawn
    assert f'<FONT COLOR="{colors["b"]}" POINT-SIZE="10"> + 2 * b</FONT>' in drawn
    assert "+ W" not in drawn and "+ s" not in drawn
    assert "FONT" not in viz.rolled(cell).source


@pytest.mark.parametrize("options", [{}, {"values": True}, {"values": True, "heat": True}])
def test_a_box_has_room_for_its_biases(options: dict[str, Any]) -> None:
    drawing = draw_run(RUN, LOSS, range(1, 7), shown=Options(biases=True), **options)
    plain = draw_run(RUN, LOSS, range(1, 7), **options)
    before = {box.key: box for box in plain.scene.boxes}
    for (part, k), box in drawing.boxes.items():
        assert bool(box.colored) is (part.signal == "h" and k > 0)
        if box.colored:
            assert box.label == before[box.key].label + "\n+ b" and box.height == before[box.key].height + 12
            assert box.size == before[box.key].size


@pytest.mark.parametrize("options", [{}, {"values": True}])
def test_a_box_is_as_wide_as_several_biases(options: dict[str, Any]) -> None:
    cell = Cell("gru")
    cells.gru(cell, cell.input("x", 4), 4, name="m", rng=np.random.default_rng(0), update="keeps", reset="after")
    drawing = draw_run(cell.unroll(x=np.ones((2, 4))), None, [1, 2], shown=Options(biases=True), **options)
    wide = [box for box in drawing.scene.boxes if box.label.endswith("+ b_xn + b_hn")]
    assert len(wide) == 2
    for box in drawing.scene.boxes:
        added = "".join(text for text, _ in box.colored)
        assert text_width(added, 10) * CORNER + 12 <= box.width


# ---- the arrangement
@pytest.mark.parametrize("options", [
    {}, {"legend": True}, {"equations": True, "legend": True}, {"per_row": 2, "legend": True, "equations": True},
    *({"aspect": aspect, "legend": True, "equations": True} for aspect in (*ASPECTS, 0.5, 1, 1.33, 2, 4))])
@pytest.mark.parametrize("heat", [False, True])
def test_panels_stand_apart_from_the_steps_and_from_each_other(options: dict[str, Any], heat: bool) -> None:
    drawing = unrolled_drawing(RUN, LOSS, heat=heat, values=heat, shown=Options(**options))
    found = panels(drawing.scene)
    assert len(found) == 1 + heat + bool(options.get("legend")) + bool(options.get("equations"))
    assert not any(overlap(a, b) for a, b in combinations(found, 2))
    own = [box for box in drawing.scene.boxes if box.key == "loss" or box.key.startswith("s")]
    steps = [*map(rectangle, own), *((f.left, f.bottom, f.right, f.top) for f in drawing.scene.frames)]
    assert not any(overlap(panel, place) for panel in found for place in steps)
    for arrow in drawing.scene.arrows:
        assert not any(left < x < right and bottom < y < top for x, y in arrow.points
                       for left, bottom, right, top in found)


@pytest.mark.parametrize("options", [{}, {"legend": True}, {"per_row": 3, "legend": True}])
def test_panels_on_the_right_stand_between_top_and_foot_of_the_picture(options: dict[str, Any]) -> None:
    drawing = unrolled_drawing(RUN, LOSS, shown=Options(**options))
    _, bottom, _, top = drawing.extent
    found = [panel for panel in panels(drawing.scene) if panel[0] > max(frame.right for frame in drawing.scene.frames)]
    assert found and all(bottom <= panel[1] and panel[3] <= top for panel in found)


def test_a_long_title_is_above_the_panels() -> None:
    run, loss = unrolled(elman, 1)
    drawing = unrolled_drawing(run, loss, shown=Options(title="A title as long as a line " * 3, legend=True,
                                                        equations=True))
    title, = [text for text in drawing.scene.texts if text.text.startswith("A title")]
    assert max(panel[3] for panel in panels(drawing.scene)) > max(box.top for box in drawing.boxes.values())
    assert not any(overlap(rectangle(title), place) for place in panels(drawing.scene))


def test_the_legend_of_gradients_is_under_the_list_of_parameters() -> None:
    listed, legend = panels(unrolled_drawing(RUN, LOSS, heat=True).scene)
    assert legend[0] == pytest.approx(listed[0]) and legend[3] < listed[1]


def size(**options: Any) -> tuple[float, float]:
    left, bottom, right, top = viz.unrolled(RUN, LOSS, **options)._bounds()
    return right - left, top - bottom


@pytest.mark.parametrize("aspect", mostly_slow(["slide", 1, "page", 0.6, 4 / 3, 3], 2))
@pytest.mark.parametrize("options", [{}, {"values": True, "heat": True}, {"legend": True, "equations": True},
                                     {"parameters": False, "level": "ops"}])
def test_letters_on_a_page_are_as_large_as_in_any_number_of_rows(aspect: Any, options: dict[str, Any]) -> None:
    ratio = ASPECTS.get(aspect, aspect)

    def scale(width: float, height: float) -> float:
        return min(ratio / width, 1 / height)

    chosen = scale(*size(aspect=aspect, **options))
    for per_row in range(1, 7):
        assert chosen >= 0.97 * scale(*size(aspect=aspect, per_row=per_row, **options))
        assert chosen >= 0.97 * scale(*size(per_row=per_row, **options))


def test_a_slide_of_twelve_steps_has_letters_half_as_large_again() -> None:
    run, loss = unrolled(elman, 12)
    widths = [viz.unrolled(run, loss, aspect=aspect)._bounds() for aspect in (None, "slide")]
    before, after = (min(1920 / (right - left), 1080 / (top - bottom)) for left, bottom, right, top in widths)
    assert after > 1.5 * before


def test_rows_that_are_given_are_kept_on_a_page() -> None:
    drawing = unrolled_drawing(RUN, LOSS, shown=Options(per_row=2, aspect="slide"))
    assert drawing.rows is not None and [len(row) for row in drawing.rows.rows] == [3, 2, 2]  # h[0] in the first


def test_panels_stand_in_the_corner_that_a_short_last_row_leaves() -> None:
    drawing = unrolled_drawing(RUN, LOSS, shown=Options(per_row=5, aspect=1, legend=True))
    frames = drawing.scene.frames
    last, found = min(frames, key=lambda frame: frame.top), panels(drawing.scene)
    assert len(found) == 2
    for left, bottom, right, top in found:
        assert last.right < left and right <= max(frame.right for frame in frames) + 60
        assert last.bottom <= bottom and top <= last.top


def test_a_list_with_arrows_to_the_loss_stays_on_the_right() -> None:
    loss = mg.square(RUN["y"].stack()).mean() + 0.1 * mg.square(RUN.parameters["U"]).sum()
    for aspect in (0.3, 1, "slide"):
        scene = unrolled_drawing(RUN, loss, shown=Options(aspect=aspect)).scene
        listed, = panels(scene)
        assert listed[0] > max(frame.right for frame in scene.frames)
        arrow, = [arrow for arrow in scene.arrows if arrow.source == "p1"]
        assert arrow.points[0][0] == pytest.approx(listed[0])


def test_both_pictures_of_a_page_are_beside_each_other_with_their_panels() -> None:
    run = unroll_zeros(elman(), 8)
    for aspect in (None, "slide", 1):
        scene = side_by_side(run, "signals", Options(True, True, True, True, aspect=aspect))
        rolled = [rectangle(box) for box in scene.boxes if box.key.startswith("r_")]
        others = [*panels(scene), *((f.left, f.bottom, f.right, f.top) for f in scene.frames)]
        assert len(rolled) == 4 and len(others) == 3 + 8
        others += [rectangle(box) for box in scene.boxes if not box.key.startswith("r_")]
        assert not any(overlap(a, b) for a in rolled for b in others)
        assert max(box[2] for box in rolled) < min(frame.left for frame in scene.frames)


def rows_of(panel: Scene) -> list[list[str]]:
    heights = sorted({round(text.y) for text in panel.texts}, reverse=True)
    return [[text.text for text in sorted(panel.texts, key=lambda text: text.x) if round(text.y) == y]
            for y in heights]


def test_a_panel_is_divided_into_columns_under_its_heading() -> None:
    scene = Scene("list", texts=[text_beside(0, 20, "heading", 11, palette.TEXT)])
    for number in range(5):
        scene.boxes.append(Box(f"b{number}", 5, -20.0 * number, 10, 10, "", palette.INPUT))
        scene.texts.append(text_beside(15, -20.0 * number, str(number), 10, palette.TEXT))
    panel = Panel(scene, 20.0)
    assert panel.rows == 5 and panel.form.scene is scene
    assert rows_of(panel.in_columns(2).scene) == [["heading"], ["0", "3"], ["1", "4"], ["2"]]
    assert rows_of(panel.in_columns(5).scene) == [["heading"], ["0", "1", "2", "3", "4"]]
    assert not any(overlap(rectangle(a), rectangle(b)) for a, b in combinations(panel.in_columns(3).scene.boxes, 2))


def test_a_panel_below_has_as_many_columns_as_fit() -> None:
    scene = Scene("list", [Box(f"b{number}", 50, -20.0 * number, 100, 10, "", palette.INPUT) for number in range(8)])
    for width, columns in ((100.0, 1), (240.0, 2), (380.0, 3), (2000.0, 8)):
        (form, left, bottom), = best_places([Panel(scene, 20.0)], (0.0, 0.0, width, 1.0), 0.0, 0.3)
        assert (left, form.width) == (0.0, 136.0 * columns - 36.0) and bottom + form.height < 0


def test_the_places_of_panels_are_the_best_of_all_for_every_page() -> None:
    some = [text_panel([(0, "x" * 30)] * 4), text_panel([(0, "y" * 10)] * 12), text_panel([(1, "z" * 60)] * 2)]
    for content in ((0.0, 0.0, 300.0, 900.0), (0.0, 0.0, 900.0, 200.0)):
        height = content[3]
        for ratio in (0.5, 1.0, 2.0):
            chosen = magnification(extent(best_places(some, content, height / 2, ratio), content), ratio)
            widths = [panel.form[1:] for panel in some]
            below = max(content[2], *(w for w, _ in widths)), height + sum(h + 26 for _, h in widths)
            right = content[2] + max(w for w, _ in widths) + 36, max(height, sum(h + 26 for _, h in widths) - 26)
            assert chosen >= magnification(below, ratio) and chosen >= magnification(right, ratio) - 1e-9
