"""Positions in a picture, before it is painted: nothing overlaps, time runs to the right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pytest
from cases import thinned
from definitions import (
    DEFINITIONS,
    bidirectional,
    data,
    elman,
    feedback,
    feedback_2,
    gates,
    gru,
    lagged_input,
    lagged_twice,
    lstm,
    own_output,
    parameter,
    skips,
    three_delays,
    twenty,
    two_ahead,
    two_delays,
    unrolled,
)
from drawings import assert_arrows_pass_no_box, norm_text, overlap, rectangle, rolled_drawing, unrolled_drawing

from rnn import Cell, t
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import Box, Scene, Text

ALL = [*DEFINITIONS, lstm, gru, lagged_input, lagged_twice, three_delays, two_ahead, skips, gates, twenty]


def rolled_scene(make: Callable[[], Cell], level: str = "signals") -> Scene:
    return rolled_drawing(make(), level).scene


def unrolled_scene(make: Callable[[], Cell], T: int = 4, loss: bool = True, fold: bool = True,
                   **options: Any) -> Scene:
    run, value = unrolled(make, T)
    return unrolled_drawing(run, value if loss else None, fold, **options).scene


@cache
def scene(make: Callable[[], Cell], T: int, level: str) -> Scene:
    """Return a scene, for reading only; T = 0 is the rolled one."""
    return rolled_scene(make, level) if T == 0 else unrolled_scene(make, T, level=level)


SCENES = [pytest.param(partial(scene, make, T, level), id=f"{make.__name__}-{T or 'rolled'}-{level}")
          for make in ALL for T, level in [*product((0, 1, 2, 4, 30), ["signals"]), *product((0, 2, 30), ["ops"])]]


def labels(scene: Scene) -> list[Text]:
    return [*scene.texts, *(arrow.label for arrow in scene.arrows if arrow.label)]


def named(scene: Scene) -> dict[str, Box]:
    """The boxes by label, but for the parameters' and the squares."""
    return {box.label: box for box in scene.boxes if box.label and not box.key.startswith("p")}


# ---- what holds for every picture
@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_boxes_stand_apart(scene_of: Callable[[], Scene]) -> None:
    for a, b in combinations(scene_of().boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} and {b.label!r}"


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_labels_cover_no_box_and_no_other_label(scene_of: Callable[[], Scene]) -> None:
    scene = scene_of()
    for text in labels(scene):
        for box in scene.boxes:
            assert not overlap(rectangle(text, 1), rectangle(box)), f"{text.text!r} on {box.label!r}"
    for a, b in combinations(labels(scene), 2):
        assert not overlap(rectangle(a, 1), rectangle(b, 1)), f"{a.text!r} on {b.text!r}"


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_no_arrow_passes_through_a_box(scene_of: Callable[[], Scene]) -> None:
    assert_arrows_pass_no_box(scene_of())


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_arrows_begin_and_end_on_the_edge_of_their_boxes(scene_of: Callable[[], Scene]) -> None:
    scene = scene_of()
    boxes = {box.key: box for box in scene.boxes}
    assert len(boxes) == len(scene.boxes)
    for arrow in scene.arrows:
        for key, (x, y) in ((arrow.source, arrow.points[0]), (arrow.target, arrow.points[-1])):
            if boxes[key].circle:
                assert np.hypot(x - boxes[key].x, y - boxes[key].y) == pytest.approx(boxes[key].width / 2, abs=0.6)
                continue
            left, bottom, right, top = rectangle(boxes[key])
            out = max(left - x, x - right, bottom - y, y - top)
            assert abs(out) < 0.6, f"{arrow.tooltip!r} is {out} away from {boxes[key].label!r}"


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_every_label_fits_into_its_box(scene_of: Callable[[], Scene]) -> None:
    for box in scene_of().boxes:
        assert text_width(box.label, box.size) <= box.width - 4 or not box.label


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_a_step_s_frame_holds_its_boxes_and_frames_stand_apart(scene_of: Callable[[], Scene]) -> None:
    scene = scene_of()
    frames = [(frame.left, frame.bottom, frame.right, frame.top) for frame in scene.frames]
    assert not any(overlap(a, b) for a, b in combinations(frames, 2))
    for box in scene.boxes:
        for frame in frames:
            left, bottom, right, top = rectangle(box)
            contained = frame[0] <= left and right <= frame[2] and frame[1] <= bottom and top <= frame[3]
            assert contained or not overlap(rectangle(box), frame), box.label


@pytest.mark.parametrize("scene_of", thinned(SCENES, 3))
def test_everything_is_within_the_bounds(scene_of: Callable[[], Scene]) -> None:
    scene = scene_of()
    left, bottom, right, top = scene.bounds(0)
    for part in [*scene.boxes, *labels(scene)]:
        a = rectangle(part)
        assert left <= a[0] + 1e-9 and bottom <= a[1] + 1e-9 and a[2] <= right + 1e-9 and a[3] <= top + 1e-9


# ---- time and layers
@pytest.mark.parametrize("make", ALL)
def test_time_runs_to_the_right(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make, T=5)
    drawing = unrolled_drawing(run, loss)
    for part, copies in drawing.spec.tensors.items():
        xs = [drawing.boxes[part, k].x for k in range(1, 6)]
        assert xs == sorted(set(xs))
        assert len({drawing.boxes[part, k].y for k in range(1, 6)}) == 1
        assert all(drawing.boxes[part, k].right < drawing.boxes[part, 1].left for k in copies if k < 1)
        assert all(drawing.boxes[part, k].left > drawing.boxes[part, 5].right for k in copies if k > 5)
    assert [frame.caption for frame in sorted(drawing.scene.frames, key=lambda f: f.left)] == [
        f"t = {k}" for k in range(1, 6)]


@pytest.mark.parametrize("make, part, steps", [
    (feedback_2, "h3", [0, -1]), (three_delays, "h", [0, -1, -2]), (two_ahead, "b", [5, 6])])
def test_values_before_and_after_the_steps_stand_above_each_other(
        make: Callable[[], Cell], part: str, steps: list[int]) -> None:
    run, _ = unrolled(make)
    boxes = {k: box for (p, k), box in unrolled_drawing(run).boxes.items() if p.signal == part}
    assert len({boxes[k].x for k in steps}) == 1
    assert boxes[steps[0]].y == boxes[1].y
    assert [boxes[b].bottom - boxes[a].top for a, b in pairwise(steps)] == [6.0] * (len(steps) - 1)


@pytest.mark.parametrize("T", [4, 30])
@pytest.mark.parametrize("make", [feedback, own_output, lstm])
def test_an_arrow_through_time_leaves_on_the_right_and_arrives_on_the_left(make: Callable[[], Cell], T: int) -> None:
    scene = unrolled_scene(make, T, loss=False)
    boxes = {box.key: box for box in scene.boxes}
    through_time = [arrow for arrow in scene.arrows if arrow.color != palette.ARROW]
    assert len(through_time) >= 8
    for arrow in through_time:
        assert arrow.points[0][0] == pytest.approx(boxes[arrow.source].right)
        assert arrow.points[-1][0] == pytest.approx(boxes[arrow.target].left)


@pytest.mark.parametrize("make", ALL)
def test_what_is_computed_from_another_signal_of_its_step_stands_higher(make: Callable[[], Cell]) -> None:
    cell = make()
    boxes = {part.signal: box for part, box in rolled_drawing(cell).boxes.items()}
    undelayed = [edge for edge in cell.edges() if edge.delay == 0]
    assert undelayed and all(boxes[edge.source].top < boxes[edge.target].bottom for edge in undelayed)


def test_the_three_layers_stand_in_their_order() -> None:
    boxes = named(rolled_scene(feedback))
    order = sorted(boxes, key=lambda label: boxes[label].y)
    assert order == ["x[t]", "h1[t]", "h2[t]", "h3[t]", "y[t]"]


@pytest.mark.parametrize("make", ALL)
def test_rolled_and_unrolled_have_the_same_order_and_colours(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make)
    rolled = {part.signal: box for part, box in rolled_drawing(make()).boxes.items()}
    drawing = unrolled_drawing(run, loss)
    step = {part.signal: box for (part, k), box in drawing.boxes.items() if k == 2}
    assert set(step) == set(rolled)
    assert {name: box.paint for name, box in step.items()} == {name: box.paint for name, box in rolled.items()}
    for a, b in combinations(rolled, 2):
        assert np.sign(rolled[a].y - rolled[b].y) == np.sign(step[a].y - step[b].y)
        if rolled[a].y == rolled[b].y:
            assert np.sign(rolled[a].x - rolled[b].x) == np.sign(step[a].x - step[b].x)


def test_inputs_states_outputs_and_reversed_states_differ_in_colour() -> None:
    paints = {label: box.paint for label, box in named(rolled_scene(bidirectional)).items()}
    assert paints == {"x[t]": palette.INPUT, "hf[t]": palette.STATE, "hb[t]": palette.REVERSED, "y[t]": palette.OUTPUT}


# ---- delays
def squares(scene: Scene) -> list[Box]:
    return [box for box in scene.boxes if box.paint.fill == "#000000"]


@pytest.mark.parametrize("make, powers", [
    (elman, ["z⁻¹"]), (feedback, ["z⁻¹"] * 4), (feedback_2, ["z⁻¹"] * 3 + ["z⁻²"]), (bidirectional, ["z⁺¹", "z⁻¹"]),
    (own_output, ["z⁻¹"] * 2), (two_delays, ["z⁻¹", "z⁻¹", "z⁻²"]), (lstm, ["z⁻¹"] * 5)])
def test_every_delay_is_a_black_square_with_its_power_beside_it(make: Callable[[], Cell], powers: list[str]) -> None:
    if make is lstm:  # h is read by four gates in two equations: c reads h and c, h reads h
        powers = ["z⁻¹"] * len([edge for edge in make().edges() if edge.delay])
    scene = rolled_scene(make)
    written = [text for text in scene.texts if text.text in set(powers)]
    assert sorted(text.text for text in written) == sorted(powers)
    delays = [edge.delay for edge in make().edges() if edge.delay]
    assert len(squares(scene)) == len(delays) == len(powers)
    for box in squares(scene):
        near = [text for text in written if abs(text.y - box.y) < 2 and abs(text.x - box.x) < 30]
        assert len(near) == 1
        assert [arrow.head for arrow in scene.arrows if box.key in (arrow.source, arrow.target)] == [False, True]


def test_a_delay_says_how_long_it_is() -> None:
    assert sorted(box.tooltip for box in squares(rolled_scene(feedback_2)))[-1] == "delay of 2 time steps"
    assert "1 time step ahead" in [box.tooltip for box in squares(rolled_scene(bidirectional))]


def test_a_layer_s_own_loop_is_on_the_right_and_feedback_from_above_on_the_left() -> None:
    scene = rolled_scene(feedback)
    boxes = {box.key: box for box in scene.boxes}
    sides = {}
    for arrow in scene.arrows:
        if boxes[arrow.target].paint.fill == "#000000":
            source, = (boxes[arrow.source].label,)
            target = next(boxes[other.target].label for other in scene.arrows if other.source == arrow.target)
            sides[source, target] = ("right" if boxes[arrow.target].x > 0 else "left", arrow.color)
    own = {(f"{name}[t]", f"{name}[t]"): ("right", palette.STATE.line) for name in ("h1", "h2", "h3")}
    assert sides == {**own, ("h3[t]", "h2[t]"): ("left", palette.FEEDBACK)}


@pytest.mark.parametrize("T", [4, 30])
@pytest.mark.parametrize("make, faces", [
    (three_delays, ("top", "top")), (lagged_twice, ("top", "bottom")), (feedback_2, ("bottom", "top"))])
def test_an_arrow_through_several_steps_leaves_right_of_the_others_and_arrives_left_of_them(
        make: Callable[[], Cell], faces: tuple[str, str], T: int) -> None:
    drawing = unrolled_drawing(unrolled(make, T)[0], fold=True)
    boxes = {box.key: box for box in drawing.scene.boxes}
    far = [arrow for arrow, edge, k in drawing.arrows if edge.delay > 1 and k - edge.delay >= 1]
    assert len(far) >= 2
    for arrow in far:
        source, target = boxes[arrow.source], boxes[arrow.target]
        assert arrow.points[0][1] == pytest.approx(getattr(source, faces[0])) and arrow.points[0][0] >= source.x + 10
        assert arrow.points[-1][1] == pytest.approx(getattr(target, faces[1])) and arrow.points[-1][0] <= target.x - 10


@pytest.mark.parametrize("delay", [1, 2])
def test_feedback_becomes_a_diagonal_that_comes_down_in_its_own_colour(delay: int) -> None:
    run, _ = unrolled(lambda: feedback(delay), T=5)
    scene = unrolled_drawing(run).scene
    boxes = {box.key: box for box in scene.boxes}
    ends = {(boxes[a.source].label.split(" ")[0], boxes[a.target].label) for a in scene.arrows
            if a.color == palette.FEEDBACK}
    assert ends == {(f"h3[{k - delay}]", f"h2[{k}]") for k in range(1, 6)}
    for arrow in scene.arrows:
        if arrow.color == palette.FEEDBACK:
            assert boxes[arrow.source].y > boxes[arrow.target].y and boxes[arrow.source].x < boxes[arrow.target].x


# ---- steps, folding, initial states
@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("T", [1, 2, 12])
def test_every_copy_and_every_edge_is_drawn_once(make: Callable[[], Cell], T: int) -> None:
    run, _ = unrolled(make, T)
    drawing = unrolled_drawing(run)
    keys = {(part.signal, k): box.key for (part, k), box in drawing.boxes.items()}
    assert set(keys) == {(name, k) for name in run.cell.signals for k in run[name].tensors}
    arrows = sorted((arrow.source, arrow.target) for arrow in drawing.scene.arrows)
    assert arrows == sorted((keys[source], keys[target]) for source, target in run.edges())


@pytest.mark.parametrize("T, drawn", [
    (12, list(range(1, 13))), (13, [1, 2, 3, 11, 12, 13]), (100, [1, 2, 3, 98, 99, 100])])
def test_long_runs_keep_three_steps_at_each_end(T: int, drawn: list[int]) -> None:
    scene = unrolled_scene(elman, T)
    captions = [frame.caption for frame in sorted(scene.frames, key=lambda frame: frame.left)]
    expected = [f"t = {k}" for k in drawn]
    if T > 12:
        expected.insert(3, f"t = 4 … {T - 3}")
        assert f"⋯\n× {T - 6} steps" in named(scene)
        assert any(text.text == f"elman, unrolled, T = {T}: {T - 6} steps folded" for text in scene.texts)
    assert captions == expected
    assert {f"{s}[{k}]" for s in "xhy" for k in drawn} <= set(named(scene))
    assert not {f"{s}[{k}]" for s in "xhy" for k in range(1, T + 1) if k not in drawn} & set(named(scene))


def test_a_long_run_can_be_drawn_whole() -> None:
    scene = unrolled_scene(elman, 30, fold=False)
    assert [frame.caption for frame in scene.frames] == [f"t = {k}" for k in range(1, 31)]


def test_the_folded_part_is_entered_and_left() -> None:
    scene = unrolled_scene(elman, 30, loss=False)
    boxes = {box.key: box.label for box in scene.boxes}
    around = [(boxes[a.source], boxes[a.target]) for a in scene.arrows if "steps" in boxes[a.source] + boxes[a.target]]
    assert around == [("h[3]", "⋯\n× 24 steps"), ("⋯\n× 24 steps", "h[28]")]


def test_a_signal_named_like_a_step_number_does_not_disturb_folding() -> None:
    cell = Cell("s1_4")
    one, two = cell.signal("s1_4", ()), cell.signal("t = 1", ())
    one[t] = one[t-1] + 1
    two[t] = one[t]
    scene = unrolled_drawing(cell.unroll(T=20), fold=True).scene
    assert len({box.key for box in scene.boxes}) == len(scene.boxes) == 1 + 2 * 6 + 1
    assert {"s1_4[3]", "s1_4[18]", "t = 1[1]"} <= set(named(scene))


def test_initial_states_are_dashed_and_say_their_value() -> None:
    cell = feedback_2()
    cell.signals["h1"][0] = parameter("start", 4)
    cell.signals["h2"][0] = np.ones(5)
    boxes = named(unrolled_drawing(cell.unroll(**data(cell))).scene)
    dashed = {label for label, box in boxes.items() if box.dashed}
    assert dashed == {"h1[0] = start", "h2[0]", "h3[0] = 0", "h3[-1] = 0"}


def test_the_end_of_a_reversed_state_is_dashed_on_the_right() -> None:
    boxes = named(unrolled_scene(bidirectional))
    assert boxes["hb[5] = 0"].dashed and boxes["hb[5] = 0"].x > boxes["hb[4]"].x
    assert boxes["hf[0] = 0"].dashed and boxes["hf[0] = 0"].x < boxes["hf[1]"].x


# ---- parameters, loss, NaN
def shelf(scene: Scene) -> list[Box]:
    return [box for box in scene.boxes if box.key.startswith("p")]


@pytest.mark.parametrize("make", ALL)
def test_a_parameter_stands_once_on_the_shelf(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make, T=8)
    scene = unrolled_drawing(run, loss).scene
    boxes = shelf(scene)
    expected = [f"{name}  {p.shape}   {norm_text(p.grad)}" for name, p in run.parameters.items()]
    assert [box.label for box in boxes] == expected
    assert all(box.left > frame.right for box in boxes for frame in scene.frames)
    assert len({box.paint.line for box in boxes}) == min(len(boxes), 10)


def test_a_parameter_s_name_at_its_use_has_its_colour() -> None:
    for make in (elman, feedback):
        scene = unrolled_scene(make)
        colours = {box.label.split(" ")[0]: box.paint.line for box in shelf(scene)}
        uses = {arrow.label.text: arrow.label.color for arrow in scene.arrows if arrow.label}
        assert uses == {name: color for name, color in colours.items() if name != "b"}


def test_an_edge_through_several_parameters_names_them_all() -> None:
    labels = {arrow.label.text for arrow in unrolled_scene(lstm).arrows if arrow.label}
    assert labels == {"W_f, W_i, W_g", "U_f, U_i, U_g", "W_o", "U_o", "V"}


def test_a_gradient_that_was_not_computed_is_not_a_zero() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    assert [box.label for box in shelf(unrolled_drawing(run).scene)] == [
        f"{name}  {tensor.shape}" for name, tensor in run.parameters.items()]


def test_the_loss_stands_above_with_an_arrow_from_every_copy_it_sees() -> None:
    scene = unrolled_scene(elman, 4)
    boxes = {box.key: box for box in scene.boxes}
    users = [boxes[arrow.source].label for arrow in scene.arrows if arrow.target == "loss"]
    assert users == ["y[1]", "y[2]", "y[3]", "y[4]"]
    assert boxes["loss"].bottom > max(frame.top for frame in scene.frames)


def test_a_loss_of_folded_steps_has_an_arrow_from_them() -> None:
    scene = unrolled_scene(elman, 30)
    boxes = {box.key: box for box in scene.boxes}
    users = [boxes[arrow.source].label for arrow in scene.arrows if arrow.target == "loss"]
    assert users == ["y[1]", "y[2]", "y[3]", "⋯\n× 24 steps", "y[28]", "y[29]", "y[30]"]


def test_a_loss_of_the_last_step_has_no_arrow_from_the_folded_ones() -> None:
    run, _ = unrolled(elman, 30)
    scene = unrolled_drawing(run, (run["y"][30] ** 2).sum(), fold=True).scene
    assert [arrow.source for arrow in scene.arrows if arrow.target == "loss"] == [named(scene)["y[30]"].key]


def test_a_loss_of_one_step_has_one_arrow() -> None:
    run, _ = unrolled(elman)
    scene = unrolled_drawing(run, (run["h"][2] ** 2).sum()).scene
    assert [arrow.source for arrow in scene.arrows if arrow.target == "loss"] == [named(scene)["h[2]"].key]


def test_a_loss_that_was_not_computed_from_the_run_is_refused() -> None:
    (run, _), (_, other) = unrolled(elman), unrolled(elman)
    with pytest.raises(ValueError, match=r"wasn't computed from this run, .*e\.g\. run\['y'\]\.stack"):
        unrolled_drawing(run, other)


@pytest.mark.parametrize("value, word", [(np.nan, "NaN"), (np.inf, "Inf")])
def test_nan_is_marked_in_its_boxes_and_the_first_one_is_named(value: float, word: str) -> None:
    cell = elman()
    inputs = data(cell, T=5)
    inputs["x"][2, 0, 1] = value
    with np.errstate(all="ignore"):
        run = cell.unroll(**inputs)
    scene = unrolled_drawing(run, run["y"].stack().sum()).scene
    marked = {label for label, box in named(scene).items() if box.paint == palette.BAD}
    # tanh(±Inf) is 1: an infinite input goes no further
    expected = {"x[3]", *(f"{s}[{k}]" for s in "hy" for k in (3, 4, 5)), "loss"} if word == "NaN" else {"x[3]"}
    assert marked == expected
    note = next(text for text in scene.texts if text.color == palette.ALARM)
    assert note.text == f"{word} in {'7 boxes' if word == 'NaN' else '1 box'}; the first is x[3]"


def test_nan_in_the_folded_steps_is_named_too() -> None:
    cell = elman()
    inputs = data(cell, T=40)
    inputs["x"][19, 0, 1] = np.nan
    scene = unrolled_drawing(cell.unroll(**inputs), fold=True).scene
    assert any("the first is x[20]" in text.text for text in scene.texts)


# ---- names
@pytest.mark.parametrize("name, shown", [
    ("a\nb", "a⏎b"), ("tab\there", "tab here"), ("h" * 40, "h" * 19 + "…" + "h" * 8), ("ひ\u200bこ", "ひ こ")])
def test_a_name_becomes_one_short_line(name: str, shown: str) -> None:
    assert clean(name) == shown


def test_long_and_wide_names_get_wide_boxes() -> None:
    cell = Cell()
    signals = [cell.signal(name, 2) for name in ("W" * 20, "隐藏状态向量", "i")]
    for before, signal in zip([signals[-1], *signals], signals):
        signal[t] = np.tanh(before[t-1])
    widths = [box.width for box in rolled_drawing(cell).scene.boxes if box.label]
    assert widths[0] > 12 * 20 * 0.9 and widths[1] > 12 * 6 and widths[2] < 60


def everything(scene: Scene) -> Iterator[Any]:
    yield from (scene.boxes, scene.arrows, scene.frames, scene.texts)


@pytest.mark.parametrize("make", ALL)
def test_a_scene_is_the_same_every_time(make: Callable[[], Cell]) -> None:
    assert list(everything(rolled_scene(make))) == list(everything(rolled_scene(make)))
    assert list(everything(unrolled_scene(make))) == list(everything(unrolled_scene(make)))


def test_steps_have_one_width_and_one_distance() -> None:
    frames = sorted(unrolled_scene(feedback_2, 6).frames, key=lambda frame: frame.left)
    assert len({round(frame.right - frame.left, 6) for frame in frames}) == 1
    assert len({round(b.left - a.right, 6) for a, b in pairwise(frames)}) == 1
