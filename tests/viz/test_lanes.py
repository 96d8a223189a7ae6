"""Delays and states side by side: rows, lanes, colours; lines that cross do not look like junctions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from cases import thinned
from definitions import (
    DEFINITIONS,
    bidirectional,
    elman,
    feedback,
    feedback_2,
    gates,
    gru,
    lagged_input,
    lagged_twice,
    lstm,
    parameter,
    side_by_side,
    skips,
    three_delays,
    two_ahead,
    unrolled,
)
from drawings import confusions, labels_on_lines, overlap, rectangle, rolled_drawing, unrolled_drawing
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_random_layouts import assert_tidy

from rnn import Cell, t
from viz.layout.step_layout import WIDEST, power
from viz.pictures.rolled import RolledDrawing
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette
from viz.render.scene import Arrow, Box


def one_two_four() -> Cell:
    A, B, D, E, V = (parameter(name, 4, 4) for name in "ABDEV")
    cell = Cell("delays 1, 2, 4")
    x, h, y = cell.input("x", 4), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(A @ x[t] + B @ h[t-1] + D @ h[t-2] + E @ h[t-4])
    y[t] = V @ h[t]
    return cell


def pair_of_lstms() -> Cell:
    """Return two gated layers that read one input, side by side: states that are read from a lower row."""
    cell = Cell("two LSTMs")
    x, y = cell.input("x", 4), cell.signal("y", 8)
    hidden = []
    for name in "ab":
        i, c, h = (cell.signal(f"{letter}{name}", 4) for letter in "ich")
        i[t] = parameter(f"W{name}", 4, 4) @ x[t] + parameter(f"U{name}", 4, 4) @ h[t-1]
        c[t] = c[t-1] + i[t]
        h[t] = np.tanh(c[t])
        hidden.append(h)
    y[t] = np.concatenate([h[t] for h in hidden], axis=-1)
    return cell


three, twelve = (partial(side_by_side, count) for count in (3, 12))
ring_6, ring_20 = partial(side_by_side, 6, 1), partial(side_by_side, 20, 1)
NAMED: dict[str, Callable[[], Cell]] = {
    **{make.__name__: make for make in (*DEFINITIONS, lstm, gru, gates, lagged_input, lagged_twice, three_delays,
                                        two_ahead, skips, one_two_four, pair_of_lstms)},
    "three": three, "twelve": twelve, "ring_6": ring_6, "ring_20": ring_20}


@cache
def drawing(name: str, T: int, level: str = "signals") -> RolledDrawing | UnrolledDrawing:
    """Return a drawing, for reading only; T = 0 is the rolled one."""
    cell = NAMED[name]()
    return unrolled_drawing(unroll_zeros(cell, T), fold=True, level=level) if T else rolled_drawing(cell, level)


DRAWINGS = [pytest.param(partial(drawing, name, T, level), id=f"{name}-{T or 'rolled'}-{level}")
            for name in NAMED for T, level in ((0, "signals"), (4, "signals"), (30, "signals"), (0, "ops"), (4, "ops"))
            if name not in ("twelve", "ring_20") or (level == "signals" and T < 30)]


def by_signal(drawn: RolledDrawing) -> dict[str, Box]:
    return {part.signal: box for part, box in drawn.boxes.items() if part.node is None}


# ---- lines that are not confused
@pytest.mark.parametrize("draw", thinned(DRAWINGS, 3))
def test_different_edges_share_no_line_and_no_arrowhead_and_cross_at_right_angles(
        draw: Callable[[], RolledDrawing | UnrolledDrawing]) -> None:
    assert confusions(draw()) == []


@pytest.mark.parametrize("draw", thinned(DRAWINGS, 3))
def test_boxes_stand_apart_and_arrows_pass_none(draw: Callable[[], RolledDrawing | UnrolledDrawing]) -> None:
    assert_tidy(draw().scene)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("T", [0, 4])
def test_a_label_lies_on_no_line_of_another_edge(name: str, T: int) -> None:
    assert labels_on_lines(drawing(name, T)) == []


@pytest.mark.parametrize("T", [0, 4])
@pytest.mark.parametrize("name", NAMED)
def test_a_label_lies_on_no_box_and_no_text(name: str, T: int) -> None:
    scene = drawing(name, T).scene
    texts = [*scene.texts, *(arrow.label for arrow in scene.arrows if arrow.label)]
    for a, b in combinations([*(rectangle(text, 1) for text in texts)], 2):
        assert not overlap(a, b)
    assert not any(overlap(rectangle(text, 1), rectangle(box)) for text in texts for box in scene.boxes)


# ---- rows
def test_states_that_do_not_read_each_other_in_a_step_stand_in_one_row() -> None:
    for make in (three, twelve, ring_6):
        run = unroll_zeros(make(), 3)
        for boxes in (by_signal(rolled_drawing(make())),
                      {part.signal: box for (part, k), box in unrolled_drawing(run).boxes.items() if k == 2}):
            states = [box for name, box in boxes.items() if name.startswith("s")]
            assert len({box.y for box in states}) == 1
            assert [box.x for box in states] == sorted({box.x for box in states})


def test_states_in_opposite_directions_have_rows_of_their_own() -> None:
    boxes = by_signal(rolled_drawing(bidirectional()))
    assert boxes["hf"].top < boxes["hb"].bottom


@pytest.mark.parametrize("count, rows", [(12, [12]), (13, [6, 7]), (30, [10, 10, 10]), (50, [10] * 5)])
def test_more_states_than_fit_into_a_row_are_divided_evenly(count: int, rows: list[int]) -> None:
    boxes = by_signal(rolled_drawing(side_by_side(count)))
    heights = [boxes[f"s{number}"].y for number in range(count)]
    assert [heights.count(y) for y in dict.fromkeys(heights)] == rows and max(rows) <= WIDEST
    assert heights == sorted(heights)
    assert boxes["x"].y < min(heights) and max(heights) < boxes["y"].y


@pytest.mark.parametrize("count", [30, 50])
def test_rows_of_one_layer_are_above_each_other(count: int) -> None:
    boxes = by_signal(rolled_drawing(side_by_side(count)))
    rows: dict[float, list[float]] = {}
    for number in range(count):
        rows.setdefault(boxes[f"s{number}"].y, []).append(boxes[f"s{number}"].x)
    middles = [(min(xs) + max(xs)) / 2 for xs in rows.values()]
    assert max(middles) - min(middles) < 120
    assert all(min(xs) < boxes["x"].x < max(xs) for xs in rows.values())


# ---- lanes
def lanes(drawn: UnrolledDrawing) -> dict[tuple[str, str, int], list[tuple[Arrow, int]]]:
    """The arrows that run above or below boxes, by source, target and delay."""
    found: dict[tuple[str, str, int], list[tuple[Arrow, int]]] = {}
    for arrow, edge, k in drawn.arrows:
        if edge in drawn.layout.steps.lanes:
            found.setdefault((edge.source.signal, edge.target.signal, edge.delay), []).append((arrow, k))
    return found


def level_of(arrow: Arrow) -> float:
    """The height at which an arrow runs longest."""
    ys = np.array(arrow.points)[:, 1]
    longest = max(range(0, len(ys) - 3, 3), key=lambda i: abs(arrow.points[i + 3][0] - arrow.points[i][0]))
    assert ys[longest] == ys[longest + 3]
    return float(ys[longest])


def test_copies_that_pass_each_other_are_twelve_points_apart_and_the_longest_delay_is_highest() -> None:
    drawn = drawing("one_two_four", 30)
    assert isinstance(drawn, UnrolledDrawing)
    found = lanes(drawn)
    assert set(found) == {("h", "h", 2), ("h", "h", 4)}
    heights = {delay: sorted({level_of(arrow) for arrow, _ in copies}) for (*_, delay), copies in found.items()}
    assert {delay: len(ys) for delay, ys in heights.items()} == {2: 2, 4: 4}
    ys = heights[2] + heights[4]
    assert np.diff(ys) == pytest.approx(12)
    top = next(box.top for (part, k), box in drawn.boxes.items() if (part.signal, k) == ("h", 1))
    assert ys[0] == pytest.approx(top + 16)
    for (*_, delay), copies in found.items():
        by_end = {k: level_of(arrow) for arrow, k in copies}
        assert all(by_end[k] == by_end[k + delay] for k in by_end if k + delay in by_end)


def test_every_lane_tells_its_parameter_and_its_delay() -> None:
    drawn = drawing("one_two_four", 4)
    assert isinstance(drawn, UnrolledDrawing)
    colors = drawn.spec.graph.colors
    looks = {(edge.names[0], arrow.color, arrow.dashed, arrow.dotted)
             for arrow, edge, _ in drawn.arrows if edge.delay}
    assert looks == {("B", colors["B"], False, False), ("D", colors["D"], True, False), ("E", colors["E"], False, True)}
    shown = {arrow.label.text: arrow.label.color for arrow, edge, _ in drawn.arrows if edge.delay and arrow.label}
    assert shown == {"B": colors["B"], "D z⁻²": colors["D"], "E z⁻⁴": colors["E"]}


def test_the_rolled_picture_has_the_same_colours_and_patterns() -> None:
    for name in ("one_two_four", "lagged_twice", "twelve", "three_delays"):
        looks: list[set[Any]] = []
        for drawn in (drawing(name, 0), drawing(name, 4)):
            looks.append({(item[1].text, item[0].color, item[0].dashed, item[0].dotted)
                          for item in drawn.arrows if item[1].delay})
        assert looks[0] == looks[1]


def test_more_lanes_than_colours_differ_in_their_pattern() -> None:
    drawn = drawing("twelve", 4)
    looks = {(arrow.color, arrow.dashed, arrow.dotted) for arrow, edge, _ in drawn.arrows if edge.delay}
    assert len(looks) == 12


@pytest.mark.parametrize("make", [elman, feedback, feedback_2, lstm])
def test_edges_that_cannot_be_confused_keep_the_colour_of_their_kind(make: Callable[[], Cell]) -> None:
    drawn = unrolled_drawing(unrolled(make)[0])
    found = {arrow.color for arrow, edge, _ in drawn.arrows if edge.delay}
    assert found <= {palette.STATE.line, palette.FEEDBACK}
    assert not any(arrow.dashed or arrow.dotted for arrow, _, _ in drawn.arrows)


@pytest.mark.parametrize("delay, text", [(1, "z⁻¹"), (2, "z⁻²"), (-1, "z⁺¹"), (12, "z⁻¹²")])
def test_a_delay_is_a_power_of_z(delay: int, text: str) -> None:
    assert power(delay) == text


def test_the_heads_of_loops_are_ten_points_apart_in_the_rolled_picture() -> None:
    drawn = drawing("one_two_four", 0)
    box, = (box for part, box in drawn.boxes.items() if getattr(part, "signal", "") == "h")
    ends = sorted(arrow.points[-1][0] for arrow in drawn.scene.arrows if arrow.target == box.key and arrow.head)
    assert len(ends) == 4 and np.diff(ends) == pytest.approx(10)
    assert all(box.left + 4 <= x <= box.right - 4 for x in ends)


def test_edges_between_neighbours_have_their_square_on_a_lane_above_them() -> None:
    drawn = drawing("ring_6", 0)
    states = [box for name, box in by_signal(drawn).items() if name.startswith("s")]  # type: ignore[arg-type]
    squares = [box for box in drawn.scene.boxes if box.paint.fill == "#000000"]
    assert len(squares) == 6
    for square in squares:
        assert square.bottom > states[0].top
        assert states[0].left < square.x < states[-1].right


# ---- random definitions
@st.composite
def definitions(draw: st.DrawFn, most: int = 14) -> Cell:
    """Layers of states and other signals, reads of any signal up to four steps before, rings and loops."""
    cell = Cell("random")
    signals = [cell.input("x", 2)]
    count = draw(st.integers(1, most))
    layer = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    signals += [cell.signal(f"s{number}", 2) for number in range(count)]
    below = {0: [signals[0]]} | {n + 1: [s for s, other in zip(signals[1:], layer) if other == n] for n in range(4)}
    for signal, number in zip(signals[1:], layer):
        readable = [other for n in range(number + 1) for other in below[n]] or signals[:1]
        total: Any = draw(st.sampled_from(readable))[t]
        reads = st.tuples(st.sampled_from(signals[1:]), st.integers(1, 4))
        found = draw(st.lists(reads, max_size=2, unique_by=lambda read: (read[0].name, read[1])))
        for letter, (other, delay) in zip("UV", found):
            total = total + parameter(f"{letter}{signal.name[1:]}", 2, 2) @ other[t-delay]
        signal[t] = np.tanh(total)
    return cell


@settings(max_examples=15, deadline=None, derandomize=True)
@given(definitions(), st.integers(1, 5))
@pytest.mark.slow
def test_random_definitions_are_not_confused(cell: Cell, T: int) -> None:
    check_geometry(cell, T)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
@given(definitions(most=60), st.integers(1, 7))
def test_large_random_definitions_are_not_confused(cell: Cell, T: int) -> None:
    check_geometry(cell, T, labels=False)


def check_geometry(cell: Cell, T: int, labels: bool = True) -> None:
    """Check all that could be confused; `labels` on lines too, for which a picture of 60 signals has no room."""
    for drawn in (rolled_drawing(cell), unrolled_drawing(unroll_zeros(cell, T))):
        assert_tidy(drawn.scene)
        assert confusions(drawn) == []
        texts = [*drawn.scene.texts, *(arrow.label for arrow in drawn.scene.arrows if arrow.label)]
        assert not any(overlap(rectangle(text, 1), rectangle(box)) for text in texts for box in drawn.scene.boxes)
        assert not labels or labels_on_lines(drawn) == []


FOUND = {  # by random tests: the signals that each one reads, and the delays
    "two loops beside a loop":
        "s0=s2 s0-1 s0-4; s1=x s1-3 s1-4; s2=x s2-1; s3=s2 s2-2 s2-3",
    "three ports at one side":
        "s0=x s7-4; s1=x s0-3 s8-1; s2=x s1-4; s3=s5; s4=x s9-1; s5=x s4-2 s9-3; s6=x s9-4; s7=s1 s1-4 s4-1; "
        "s8=x s7-1 s7-2; s9=x s1-2 s1-4",
    "turns":
        "s0=x s2-3 s6-3; s1=s0 s0-1; s2=x; s3=s6 s4-2 s1-3; s4=x s4-1 s6-2; s5=s6 s0-2 s0-3; s6=s4",
    "turns at one height":
        "s0=s1 s2-4 s1-1; s1=x; s2=s1 s1-2",
    "ports above each other":
        "s0=s6; s1=s6; s2=x s9-4 s11-2; s3=x s1-4 s12-3; s4=x; s5=s9 s4-1 s5-2; s6=x s3-2; s7=s6 s9-1 s10-3; "
        "s8=s9; s9=x s4-3; s10=x s6-3 s11-1; s11=x s0-2 s1-4; s12=x s4-1; s13=x s10-2",
    "corners":
        "s0=s5 s5-3 s5-4; s1=s5 s2-3 s2-4; s2=s3; s3=x; s4=x s2-4 s5-2; s5=s3",
    "six edges from one value":
        "s0=x; s1=s0 s0-1 s0-2; s2=s1 s0-1 s0-2; s3=s2 s0-1 s0-2",
    "label at a lane":
        "s0=s4 s1-2; s1=s4; s2=x s4-2; s3=s4; s4=x s2-1 s2-4; s5=s4; s6=s4",
}


def written(equations: str) -> Cell:
    """Return a definition: in `a=b c-2`, a reads b of the same step and, by a parameter, c of two steps before."""
    cell = Cell("found")
    pairs = [equation.split("=") for equation in equations.split("; ")]
    signals = {"x": cell.input("x", 2), **{name: cell.signal(name, 2) for name, _ in pairs}}
    for name, reads in pairs:
        first, *past = reads.split()
        total: Any = signals[first][t]
        for letter, (other, delay) in zip("UV", (read.split("-") for read in past)):
            total = total + parameter(letter + name[1:], 2, 2) @ signals[other][t - int(delay)]
        signals[name][t] = np.tanh(total)
    return cell


@pytest.mark.parametrize("equations", FOUND.values(), ids=FOUND)
def test_definitions_that_were_confused_are_not(equations: str) -> None:
    check_geometry(written(equations), 3)


def test_a_track_is_as_far_below_its_row_as_an_arrowhead_and_a_label_need() -> None:
    drawn = drawing("gru", 4)
    assert isinstance(drawn, UnrolledDrawing)
    heights = {arrow.points[-1][1] - arrow.points[-7][1] for arrow, edge, _ in drawn.arrows
               if drawn.layout.enters_from_below(edge)}
    assert min(heights) == pytest.approx(24)


@pytest.mark.parametrize("name", ["elman", "one_two_four", "gru"])
def test_the_caption_of_a_step_is_below_its_boxes(name: str) -> None:
    scene = drawing(name, 4).scene
    for frame in scene.frames:
        assert min(box.bottom for box in scene.boxes if frame.left < box.x < frame.right) >= frame.bottom + 24


def test_rows_have_one_distance_from_step_to_step() -> None:
    frames = sorted(drawing("twelve", 4).scene.frames, key=lambda frame: frame.left)
    assert len({round(b.left - a.right, 6) for a, b in pairwise(frames)}) == 1
