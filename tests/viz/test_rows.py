"""Time steps in several rows (`per_row`): the picture of one row, divided; its arrows go on at their source's name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest
from cases import thinned
from definitions import DEFINITIONS, elman, gru, lagged_twice, lstm, side_by_side, three_delays, two_ahead, unrolled
from drawings import assert_arrows_pass_no_box, confusions, draw_run, overlap, rectangle, sampled, unrolled_drawing

import viz
from examples.gallery import attention
from examples.gallery import lstm as gates_of_lstm
from rnn import Cell
from viz.annotations.current_step import gradient_arrow
from viz.layout.options import Options
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette
from viz.render.digraph import format_number
from viz.render.scene import Arrow, Frame, Text


def three_states() -> Cell:
    return side_by_side(3, 1)


def decoder() -> Cell:
    return attention(np.random.default_rng(0))


ALL = [*DEFINITIONS, lstm, gru, three_delays, two_ahead, lagged_twice, three_states]
ROWS = [(make, per_row, level) for make in ALL for per_row in (1, 2, 3) for level in ("signals", "ops")
        if level == "signals" or per_row == 2]
T = 5


@cache
def drawn(make: Callable[[], Cell], per_row: int | None, level: str = "signals", steps: int = T) -> UnrolledDrawing:
    """Return a drawing, for reading only."""
    run, loss = unrolled(make, steps)
    return draw_run(run, loss, range(1, steps + 1), level, shown=Options(per_row=per_row))


def frames_of(drawing: UnrolledDrawing) -> list[Frame]:
    """The frames in the order of time."""
    return sorted(drawing.scene.frames, key=lambda frame: (-frame.top, frame.left))


def names_at(drawing: UnrolledDrawing, arrow: Arrow, end: int) -> list[Text]:
    """The names of continued arrows at an end of an arrow, 0 or -1."""
    assert drawing.rows is not None
    x, y = arrow.points[end]
    return [mark.text for mark in drawing.rows.marks
            if abs(mark.text.y - y) < 0.1 and min(abs(side - x) for side in rectangle(mark.text)[::2]) < 4]


# ---- steps
@pytest.mark.parametrize("make, per_row, level", thinned(ROWS, 2))
def test_steps_are_read_from_left_to_right_and_row_by_row(make: Callable[[], Cell], per_row: int, level: str) -> None:
    frames = frames_of(drawn(make, per_row, level))
    assert [frame.caption for frame in frames] == [f"t = {k}" for k in range(1, T + 1)]
    rows = [frames[first:first + per_row] for first in range(0, T, per_row)]
    for row in rows:
        assert len({frame.top for frame in row}) == 1
        assert [frame.left for frame in row] == pytest.approx([frame.left for frame in rows[0][:len(row)]])
    for upper, lower in pairwise(rows):
        assert upper[0].bottom - lower[0].top >= 26


@pytest.mark.parametrize("make, per_row, level", thinned(ROWS, 2))
def test_every_step_looks_as_in_one_row(make: Callable[[], Cell], per_row: int, level: str) -> None:
    one, several = drawn(make, None, level), drawn(make, per_row, level)
    moved_boxes = {box.key: box for box in several.scene.boxes}
    for k, (a, b) in enumerate(zip(frames_of(one), frames_of(several)), 1):
        dx, dy = b.left - a.left, b.top - a.top
        assert (b.right - b.left, b.top - b.bottom) == pytest.approx((a.right - a.left, a.top - a.bottom))
        for (_, step), box in one.boxes.items():
            if step == k:
                moved = moved_boxes[box.key]
                assert (moved.x, moved.y) == pytest.approx((box.x + dx, box.y + dy))
                assert (moved.width, moved.height, moved.label) == (box.width, box.height, box.label)


@pytest.mark.parametrize("make, per_row, level", thinned(ROWS, 2))
def test_nothing_overlaps(make: Callable[[], Cell], per_row: int, level: str) -> None:
    drawing = drawn(make, per_row, level)
    assert drawing.rows is not None
    scene, names = drawing.scene, [mark.text for mark in drawing.rows.marks]
    assert_arrows_pass_no_box(scene)
    solid = [rectangle(box) for box in scene.boxes]
    assert not any(overlap(a, b) for a, b in combinations(solid, 2))
    places = [rectangle(text, 1) for text in (*names, *(arrow.label for arrow in scene.arrows if arrow.label))]
    assert not any(overlap(a, b) for a in places for b in solid)
    marks = [rectangle(text, 1) for text in names]
    assert not any(overlap(a, b) for a, b in combinations(marks, 2))
    assert not any(overlap(mark, (frame.left - 4, frame.bottom, frame.right + 4, frame.top))
                   for mark in marks for frame in scene.frames)


# ---- arrows through time
@pytest.mark.parametrize("make, per_row, level", thinned(ROWS, 2))
def test_an_arrow_ends_in_its_row_and_begins_in_the_next_at_one_name(
        make: Callable[[], Cell], per_row: int, level: str) -> None:
    drawing = drawn(make, per_row, level)
    pieces: dict[tuple[object, int], list[Arrow]] = {}
    for arrow, edge, k in drawing.arrows:
        pieces.setdefault((edge, k), []).append(arrow)
    count = 0
    for arrow, edge, k in drawing.arrows:
        own = pieces[edge, k]
        if arrow is not own[0]:
            continue
        count += len(own) - 1
        row = [(min(max(step, 1), T) - 1) // per_row for step in (k - edge.delay, k)]
        assert len(own) == 1 + abs(row[1] - row[0])
        boxes = drawing.box(edge.source, k - edge.delay), drawing.box(edge.target, k)
        for box, point in zip(boxes, (own[0].points[0], own[-1].points[-1])):
            assert box is not None
            left, bottom, right, top = rectangle(box, -1)
            assert left <= point[0] <= right and bottom <= point[1] <= top
        for before, after in pairwise(own):
            (one,), (other,) = names_at(drawing, before, -1), names_at(drawing, after, 0)
            assert one.text == other.text == f"{edge.source.label}[{k - edge.delay}]"
            assert one.color == other.color == arrow.color
            assert (before.points[-1][0] > after.points[0][0]) is (edge.delay > 0)
    assert count or all(not edge.delay for _, edge, _ in drawing.arrows)


@pytest.mark.parametrize("make, per_row, level", thinned(ROWS, 2))
def test_an_arrow_stays_in_its_row(make: Callable[[], Cell], per_row: int, level: str) -> None:
    drawing = drawn(make, per_row, level)
    frames = frames_of(drawing)
    feet = [frames[first].bottom for first in range(0, T, per_row)]
    for arrow, _, _ in drawing.arrows:
        heights = sampled(arrow)[:, 1]
        rows = [sum(y < foot for foot in feet) for y in (heights.min(), heights.max())]  # values before stand higher
        assert rows[0] == rows[1] < len(feet)


@pytest.mark.parametrize("make", ALL)
def test_lines_of_delayed_edges_stay_unmistakable(make: Callable[[], Cell]) -> None:
    assert confusions(drawn(make, None)) == []
    for per_row in (1, 2, 3):
        found = [line.split(" and ") for line in confusions(drawn(make, per_row))]
        assert [line for line in found if not _end_at_their_name(*line)] == []


def _end_at_their_name(one: str, other: str) -> bool:
    """Whether two arrows of one source end at one point: at its name."""
    return other.endswith(" end at one point") and one.split(" → ")[0] == other.split(" → ")[0]


def test_an_arrow_does_not_bend_between_its_box_and_the_end_of_a_row() -> None:
    one, = [arrow for arrow, edge, k in drawn(elman, None, "ops").arrows if edge.delay and k == 3]
    assert len({y for _, y in one.points}) > 1  # it goes down to another row of boxes
    before, after = [arrow for arrow, edge, k in drawn(elman, 2, "ops").arrows if edge.delay and k == 3]
    assert len({y for _, y in before.points}) == 1
    assert after.points[0][1] - after.points[-1][1] == pytest.approx(one.points[0][1] - one.points[-1][1])


def test_a_name_is_shared_by_the_arrows_of_one_source_that_run_together() -> None:
    run = gates_of_lstm(np.random.default_rng(0)).unroll(x=np.zeros((5, 1, 4)))
    drawing = draw_run(run, None, range(1, 6), shown=Options(per_row=3))
    assert drawing.rows is not None
    names = [mark.text.text for mark in drawing.rows.marks]
    assert sorted(names) == ["c[3]", "c[3]", "h[3]", "h[3]"]


def test_a_static_goes_on_in_every_row() -> None:
    run = decoder().unroll(x=np.zeros((5, 1, 4)), enc=np.zeros((1, 6, 4)))
    drawing = draw_run(run, None, range(1, 6), shown=Options(per_row=2))
    assert drawing.rows is not None
    names = [mark.text for mark in drawing.rows.marks if mark.text.text == "enc"]
    assert len({text.y for text in names}) == 3 and len(names) == 4  # right, left and right, left
    assert_arrows_pass_no_box(drawing.scene)


@pytest.mark.parametrize("make", ALL)
def test_names_of_parameters_are_at_the_same_arrows(make: Callable[[], Cell]) -> None:
    one, several = ({(arrow.label.text, arrow.source, arrow.target) for arrow in drawn(make, per_row).scene.arrows
                     if arrow.label} for per_row in (None, 2))
    assert one == several
    for per_row in (1, 2):
        for arrow in drawn(make, per_row).scene.arrows:
            if arrow.label:
                x, y = np.transpose(sampled(arrow))
                left, bottom, right, top = rectangle(arrow.label, -8)
                assert ((left < x) & (x < right) & (bottom < y) & (y < top)).any(), arrow.tooltip


def test_scissors_contributions_and_marks_are_those_of_one_row() -> None:
    run, loss = unrolled(elman, 6)
    cut = elman().unroll(x=run["x"].stack().numpy(), chunks=3)
    one, several = (draw_run(cut, None, range(1, 7), shown=Options(per_row=per_row)) for per_row in (None, 3))
    assert [text.text for text in one.scene.texts].count("✂") == 1
    assert [text.text for text in several.scene.texts].count("✂") == 1
    pieces = [arrow for arrow, edge, k in several.arrows if edge.delay and k == 4]
    assert len(pieces) == 2 and all(arrow.color == palette.CUT and arrow.dashed for arrow in pieces)
    loss.backward()
    marked = [run["h"][3], run["h"][4]]
    drawing = draw_run(run, loss, range(1, 7), contributions=True, highlight=marked, shown=Options(per_row=3))
    wide = [arrow for arrow, edge, k in drawing.arrows if edge.delay and k == 4]
    assert [arrow.color for arrow in wide] == [palette.MARK] * 2
    pens = [{arrow.pen for arrow, edge, k in drawing.arrows if edge.delay and k == step} for step in (2, 3)]
    assert all(len(each) == 1 for each in pens) and pens[0] != pens[1]


def test_a_gradient_goes_back_along_both_pieces() -> None:
    run, loss = unrolled(elman, 4)
    steps = loss.backward_steps()
    for step in steps:
        step.run()
    drawing = draw_run(run, loss, range(1, 5), shown=Options(per_row=2))
    picture = viz.unrolled(run, loss, step=steps[-1], per_row=2)
    for arrow in [arrow for arrow, edge, k in drawing.arrows if edge.delay and k == 3]:
        x, y = gradient_arrow(arrow).points[-1]
        assert f"e,{format_number(x)},{format_number(y)} " in picture.source


# ---- the loss
@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("per_row", [1, 2, 3])
def test_the_loss_is_above_the_first_row_and_reached_round_the_rows(make: Callable[[], Cell], per_row: int) -> None:
    drawing = drawn(make, per_row)
    frames, boxes = frames_of(drawing), {box.key: box for box in drawing.scene.boxes}
    loss = boxes["loss"]
    assert loss.bottom > frames[0].top
    arrows = [arrow for arrow in drawing.scene.arrows if arrow.target == "loss"]
    assert len(arrows) == len(drawing.loss_inputs.signals)
    for arrow in arrows:
        left, bottom, right, top = rectangle(loss, -0.5)
        assert left <= arrow.points[-1][0] <= right and bottom <= arrow.points[-1][1] <= top
        x, y = boxes[arrow.source].x, boxes[arrow.source].y
        others = [frame for frame in frames if not (frame.left < x < frame.right and frame.bottom < y < frame.top)]
        points = sampled(arrow)
        for frame in others:
            inside = ((frame.left < points[:, 0]) & (points[:, 0] < frame.right)
                      & (frame.bottom < points[:, 1]) & (points[:, 1] < frame.top))
            assert not inside.any()


# ---- folds, few and many
def test_a_fold_is_a_step_of_a_row() -> None:
    run, loss = unrolled(elman, 30)
    drawing = unrolled_drawing(run, loss, fold=True, shown=Options(per_row=4))
    assert [frame.caption for frame in frames_of(drawing)] == [
        "t = 1", "t = 2", "t = 3", "t = 4 … 27", "t = 28", "t = 29", "t = 30"]
    assert drawing.rows is not None and {mark.text.text for mark in drawing.rows.marks} == {"h[27]"}


@pytest.mark.parametrize("per_row", [4, 100])
def test_one_row_is_the_picture_without_rows(per_row: int) -> None:
    run, loss = unrolled(elman, 4)
    assert viz.unrolled(run, loss, per_row=per_row).source == viz.unrolled(run, loss).source


@pytest.mark.parametrize("per_row", [0, -1, 1.5, True])
def test_a_row_has_one_step_or_more(per_row: float) -> None:
    run, _ = unrolled(elman, 4)
    with pytest.raises(ValueError, match=r"per_row=.*: 1 step or more in a row"):
        viz.unrolled(run, per_row=per_row)  # type: ignore[arg-type]


def test_the_picture_is_the_same_every_time() -> None:
    run, loss = unrolled(three_delays, 7)
    assert viz.unrolled(run, loss, per_row=3).source == viz.unrolled(run, loss, per_row=3).source


def test_an_unroll_in_rows_shows_a_name_with_the_arrow_that_it_continues() -> None:
    frames = viz.animate(elman(), T=4, per_row=2).frames
    names = [frame.source.count('label="h[2]') for frame in frames]
    assert names == [0, 0, 1, 3, 3]  # the box of h[2] alone, and with the two names


@pytest.mark.parametrize("make", ALL[:3])
def test_an_arrow_and_the_name_at_its_end_do_not_touch(make: Callable[[], Cell]) -> None:
    drawing = drawn(make, 2)
    ends = [point for arrow in drawing.scene.arrows for point in (arrow.points[0], arrow.points[-1])]
    assert drawing.rows is not None and drawing.rows.marks
    for mark in drawing.rows.marks:
        left, _, right, _ = rectangle(mark.text)
        near = [x for x, y in ends if abs(y - mark.text.y) < 0.1 and left - 9 < x < right + 9]
        assert near and all(x < left - 1 or x > right + 1 for x in near), mark.text.text
