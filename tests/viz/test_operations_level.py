"""Pictures at the level of operations; chosen steps; the text in the boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import DEFINITIONS, data, elman, feedback_2, gates, gru, lstm, own_output, skips, unrolled
from drawings import as_written, draw_rolled, draw_run, norm_text

import minigrad as mg
import viz
from rnn import Cell, t
from rnn.language.expressions import Apply
from viz.annotations.heat import (
    BAD,
    BLANK,
    MEANINGS,
    NOT_REACHED,
    TINY,
    UNKNOWN,
    UNREACHABLE,
    UNREACHED,
    ZERO,
    Norm,
    Scale,
)
from viz.annotations.labels import numbers
from viz.layout.folding import choose_steps, find_tensors, make_columns
from viz.layout.layered import layered_layout
from viz.layout.step_graph import step_graph
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette

ALL = [*DEFINITIONS, lstm, gru, gates, skips]


def drawn(make: Callable[[], Cell], T: int = 4, level: str = "signals", steps: list[int] | None = None,
          **options: Any) -> UnrolledDrawing:
    run, loss = unrolled(make, T)
    return draw_run(run, loss, choose_steps(T, True, steps), level, **options)


# ---- operations
def test_operations_say_what_they_do_and_take() -> None:
    cell = Cell()
    x, h = cell.input("x", 3), cell.signal("h", 3)
    W = mg.Tensor(np.eye(3), requires_grad=True, name="W")
    h[t] = np.tanh(W @ x[t] + x[t] @ W - W[0]) * 2 / (1 - h[t-1]) * np.concatenate([x[t][:2], h[t-1][1:2]], axis=-1)
    labels = [part.label for part in step_graph(cell, "ops").parts if part.node is not None]
    assert labels == ["W @", "@ W", "+", "− W[0]", "tanh", "× 2", "1 −", "÷", "[:2]", "[1:2]", "[ ; ]", "⊙"]


def test_an_operation_is_outlined_in_the_colour_of_its_parameter() -> None:
    drawing = drawn(elman, level="ops")
    outlines = {box.label: box.paint.line for (part, k), box in drawing.boxes.items() if part.node is not None}
    colors = drawing.spec.graph.colors
    assert outlines == {"W @": colors["W"], "U @": colors["U"], "+ b": colors["b"], "V @": colors["V"],
                        "+": palette.OPERATION.line, "tanh": palette.OPERATION.line}


@pytest.mark.parametrize("make", ALL)
def test_every_operation_is_drawn_once_a_step_and_once_rolled(make: Callable[[], Cell]) -> None:
    operations = {id(part.node) for part in step_graph(make(), "ops").parts if part.node is not None}
    drawing = drawn(make, level="ops")
    rolled = draw_rolled(make(), "ops")
    assert sum(part.node is not None for part in rolled.boxes) == len(operations) > 0
    for part, copies in drawing.spec.tensors.items():
        assert len(copies) >= 4 and all((part, k) in drawing.boxes for k in copies)


def test_an_operation_that_two_equations_share_is_drawn_once() -> None:
    cell = Cell()
    x, a, b = cell.input("x", 2), cell.signal("a", 2), cell.signal("b", 2)
    shared = np.tanh(x[t])
    a[t] = shared + 1.0
    b[t] = shared * shared
    parts = step_graph(cell, "ops")
    assert [part.label for part in parts.parts if part.node is not None] == ["tanh", "+ 1.0", "⊙"]
    both = [edge for edge in parts.edges if edge.target.label == "⊙"]
    assert len(both) == 2 and both[0].source is both[1].source


@pytest.mark.parametrize("make", ALL)
def test_the_inside_of_every_step_looks_the_same(make: Callable[[], Cell]) -> None:
    drawing = drawn(make, level="ops")
    for part in drawing.spec.graph.parts:
        steps = [k for k in (2, 3, 4) if (part, k) in drawing.boxes]
        at = {(round(drawing.boxes[part, k].x - drawing.layout.column(k).x, 6),
               drawing.boxes[part, k].y) for k in steps}
        assert len(at) == 1


@pytest.mark.parametrize("make", ALL)
def test_arrows_within_a_step_go_up(make: Callable[[], Cell]) -> None:
    for drawing in (draw_rolled(make(), "ops"), drawn(make, level="ops")):
        boxes = {box.key: box for box in drawing.scene.boxes}
        upward = [arrow for arrow in drawing.scene.arrows if arrow.color == palette.ARROW]
        assert upward and all(boxes[arrow.source].top < boxes[arrow.target].bottom for arrow in upward)


@pytest.mark.parametrize("make", ALL)
def test_an_operation_s_box_stands_for_the_tensor_that_it_made(make: Callable[[], Cell]) -> None:
    run, _ = unrolled(make)
    copies = find_tensors(run, step_graph(run.cell, "ops").parts, range(1, 5))
    for part, steps in copies.items():
        for k, tensor in steps.items():
            if isinstance(part.node, Apply):
                assert tensor is not None and tensor.op is part.node.op
                assert (tensor.signal, tensor.t) == (part.signal, k)


def test_without_recording_operations_are_drawn_all_the_same() -> None:
    cell = elman()
    with mg.no_grad():
        run = cell.unroll(**data(cell))
    drawing = draw_run(run, None, [1, 2, 3, 4], "ops")
    assert sum(box.label == "tanh" for box in drawing.scene.boxes) == 4


def test_an_unknown_level_says_which_there_are() -> None:
    with pytest.raises(ValueError, match="no level 'all': level='signals' draws signals, level='ops' operations"):
        viz.rolled(elman(), "all")


def test_one_arrow_s_delay_is_divided_among_the_gates() -> None:
    scene = draw_rolled(gates()).scene
    boxes = {box.key: box for box in scene.boxes}
    squares = [box for box in scene.boxes if box.paint.fill == "#000000"]
    assert len(squares) == 2  # h's, for four gates, and c's own
    targets = sorted(boxes[arrow.target].label for square in squares for arrow in scene.arrows
                     if arrow.source == square.key)
    assert targets == ["c[t]", "f[t]", "g[t]", "i[t]", "o[t]"]


def test_the_main_line_of_a_step_is_straight() -> None:
    drawing = draw_rolled(elman(), "ops")
    xs = {part.label: box.x for part, box in drawing.boxes.items()}
    assert max(abs(xs[name] - xs["x"]) for name in ("W @", "+", "+ b", "tanh", "h", "V @", "y")) < 3
    assert xs["U @"] < xs["W @"]


# ---- the layout itself
def test_layout_takes_crossings_out() -> None:
    layout = layered_layout([0, 0, 1, 1], [20] * 4, [20] * 4, [(0, 3), (1, 2)], [0] * 4)
    assert (layout.x[0] - layout.x[1]) * (layout.x[3] - layout.x[2]) > 0


def test_layout_leaves_room_beside_a_long_edge() -> None:
    layout = layered_layout([0, 1, 2], [30] * 3, [30] * 3, [(0, 1), (1, 2), (0, 2)], [0] * 3)
    bend, = layout.bends[2]
    assert abs(bend - layout.x[1]) >= 30 + 6 + 8 - 1e-6 and layout.bends[:2] == [[], []]


def test_layout_of_random_graphs_keeps_its_distances() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = sorted(rng.integers(0, 5, 14).tolist())
        rows = [sorted(set(rows)).index(row) for row in rows]
        halves = rng.uniform(10, 40, 14).tolist()
        edges = [(a, b) for a in range(14) for b in range(14) if rows[a] < rows[b] and rng.random() < 0.25]
        layout = layered_layout(rows, halves, halves, edges, [0] * 14)
        for a in range(14):
            for b in range(a):
                if rows[a] == rows[b]:
                    assert abs(layout.x[a] - layout.x[b]) >= halves[a] + halves[b] + 16 - 1e-6
        for (low, high), bends in zip(edges, layout.bends):
            for row, x in enumerate(bends, rows[low] + 1):
                assert all(abs(layout.x[other] - x) >= halves[other] for other in range(14) if rows[other] == row)
            assert len(bends) == rows[high] - rows[low] - 1


# ---- chosen steps
def test_chosen_steps_are_drawn_and_all_others_folded() -> None:
    scene = drawn(elman, 100, steps=[1, 2, 50, 100]).scene
    captions = [frame.caption for frame in sorted(scene.frames, key=lambda frame: frame.left)]
    assert captions == ["t = 1", "t = 2", "t = 3 … 49", "t = 50", "t = 51 … 99", "t = 100"]
    labels = {box.label for box in scene.boxes}
    assert {"h[2]", "⋯\n× 47 steps", "h[50]", "⋯\n× 49 steps", "h[100]"} <= labels


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("make", ALL)
def test_state_flows_through_every_fold(make: Callable[[], Cell], level: str) -> None:
    drawing = drawn(make, 20, level, [3, 4, 11])
    folds = [box.key for box in drawing.scene.boxes if "steps" in box.label and "fold" in box.key]
    assert folds
    ends = {key for arrow in drawing.scene.arrows for key in (arrow.source, arrow.target)}
    assert {column.k for column in drawing.layout.columns if column.folded} == {1, 5, 12}
    for start in (1, 5, 12):
        assert any(key.endswith(f"_fold{start}") for key in ends & set(folds))


def test_steps_that_are_not_there_are_refused() -> None:
    run, _ = unrolled(elman)
    with pytest.raises(ValueError, match=r"steps=\[0, 2, 9\]: choose one or more of the run's steps, 1 … 4"):
        viz.unrolled(run, steps=[9, 2, 0])
    with pytest.raises(ValueError, match=r"steps=\[\]"):
        viz.unrolled(run, steps=[])


def test_columns_follow_each_other_without_a_gap() -> None:
    found = make_columns(10, [2, 3, 7], [-1, 0, 2, 3, 7, 11])
    assert [k for column in found for k in column.steps] == list(range(-1, 12))
    assert [column.steps for column in found if column.folded] == [range(1, 2), range(4, 7), range(8, 11)]


# ---- values and heat
def test_values_and_gradients_stand_in_the_boxes() -> None:
    drawing = drawn(elman, values=True)
    for k in (1, 4):
        h = next(steps[k] for part, steps in drawing.spec.tensors.items() if part.label == "h")
        lines = next(box.label for (part, step), box in drawing.boxes.items() if part.label == "h" and step == k)
        assert h is not None and h.grad is not None
        assert lines.split("\n") == [f"h[{k}]", as_written(f"{h.numpy().min():.2g} … {h.numpy().max():.2g}"),
                                     norm_text(h.grad)]


@pytest.mark.parametrize("value, text", [
    (3.14159, "3.1"), ([1.0, -0.5], "1, −0.5"), ([1.0, 2.0, 3.0, 4.0], "1 … 4"), ([], "empty"),
    ([-1e-9, 2.0, 3.0, 4.0], "−1e−09 … 4"), ([0.0] * 4, "all 0"), ([0.5, 0.5001, 0.5, 0.5], "0.5 … 0.5001"),
    ([np.nan, 1.0, 2.0, 3.0], "nan … nan")])
def test_values_are_short(value: object, text: str) -> None:
    assert numbers(mg.Tensor(value)) == text


def test_no_gradient_a_zero_a_tiny_and_a_bad_one_look_different() -> None:
    scale = Scale([Norm(1.0), Norm(1e-30), Norm(None), Norm(0.0), Norm(np.nan)])
    assert (scale.low, scale.high) == (-8, 0)
    patterns = [scale.pattern(Norm(value)) for value in (None, 0.0, 1e-30, np.nan, np.inf)]
    assert patterns == [UNKNOWN, ZERO, TINY, BAD, BAD] and scale.pattern(Norm(0.0, UNREACHED)) == UNREACHABLE
    assert {scale.fill(Norm(value)) for value in (None, 0.0, 1e-30, np.nan)} == {BLANK}
    assert len({scale.fill(Norm(value)) for value in (1e-8, 1e-4, 1.0)} - {BLANK}) == 3
    assert [scale.pattern(Norm(value)) for value in (1e-8, 1e-4, 1.0)] == [None] * 3
    assert len({pattern.kind for pattern in MEANINGS}) == len(MEANINGS) == 5


def test_the_range_of_heat_is_that_of_the_picture() -> None:
    scale = Scale([Norm(3e-5), Norm(2e-3)])
    assert (scale.low, scale.high) == (-5, -2)
    darkness = [int(scale.fill(Norm(value))[3:5], 16) for value in (2e-5, 1e-4, 1e-3, 9e-3)]
    assert darkness == sorted(darkness, reverse=True) and len(set(darkness)) == 4
    assert Scale([]).high > Scale([]).low and Scale([Norm(1.0)]).high > Scale([Norm(1.0)]).low


@pytest.mark.parametrize("level", ["signals", "ops"])
def test_heat_fills_the_boxes_and_says_what_colours_mean(level: str) -> None:
    drawing = drawn(elman, level=level, heat=True)
    scale = drawing.labels.scale
    assert scale is not None
    for (part, k), box in drawing.boxes.items():
        tensor = drawing.spec.tensors[part][k]
        if tensor is not None and tensor.requires_grad:
            assert tensor.grad is not None
            assert box.paint.fill == scale.fill(Norm(float(np.linalg.norm(tensor.grad))))
    meanings = [text.text for text in drawing.scene.texts]
    assert "|gradient|" in meanings and not set(MEANINGS.values()) & set(meanings)


def test_a_legend_lists_the_patterns_that_occur() -> None:
    """A signal that needs no gradient is not one that wasn't computed."""
    run, loss = unrolled(elman, 6)
    for k, value in ((1, 0.0), (2, 1e-40), (3, np.nan)):
        grad = run["h"][k].grad
        assert grad is not None
        grad[...] = value
    mg.optim.SGD(run.parameters, 0.1).step()  # from now on the gradients that are stored are shown
    legend = list(MEANINGS.values())
    for shown, expected in (((1,), ["exactly 0"]), ((2, 5), ["smaller"]), ((1, 2, 3), ["smaller", "exactly 0",
                            "NaN or Inf"]), ((4, 5), [])):
        texts = [text.text for text in draw_run(run, loss, shown, heat=True).scene.texts]
        assert [text for text in texts if text in legend] == expected


def test_a_legend_says_why_a_gradient_is_unknown() -> None:
    for norms, known in (([Norm(None)], {UNKNOWN: "not computed"}),
                         ([Norm(None, NOT_REACHED), Norm(1.0)], {UNREACHABLE: "not reached"}),
                         ([Norm(0.0, UNREACHED), Norm(None, NOT_REACHED)], {UNREACHABLE: f"{UNREACHED}, not reached"}),
                         ([Norm(None), Norm(None, NOT_REACHED)],
                          {UNREACHABLE: "not reached", UNKNOWN: "not computed"})):
        assert {pattern: meaning for _, pattern, meaning in Scale(norms).legend() if pattern} == known


def test_heat_before_backward_says_not_computed() -> None:
    cell = feedback_2()
    drawing = draw_run(cell.unroll(**data(cell)), None, [1, 2, 3, 4], heat=True)
    labels = {box.label: box.pattern for box in drawing.scene.boxes}
    assert labels["h1[1]\n|g| not computed"] == UNKNOWN


def test_a_zero_gradient_says_zero() -> None:
    run, _ = unrolled(elman)
    (run["y"][2] ** 2).sum().backward()
    loss = (run["h"][2] * 0).sum()
    loss.backward()
    labels = {box.label: box.pattern for box in
              draw_run(run, loss, [1, 2, 3, 4], heat=True).scene.boxes}
    assert labels["h[2]\n|g| 0"] == ZERO


# ---- marks
def test_highlighted_tensors_and_the_arrows_between_them_are_marked() -> None:
    run, loss = unrolled(elman)
    path = [run["h"][2], run["h"][3], run["y"][3], loss]
    scene = draw_run(run, loss, [1, 2, 3, 4], highlight=path).scene
    boxes = {box.key: box.label for box in scene.boxes}
    assert {box.label for box in scene.boxes if box.paint.line == palette.MARK} == {"h[2]", "h[3]", "y[3]", "loss"}
    marked = {(boxes[arrow.source], boxes[arrow.target]) for arrow in scene.arrows if arrow.color == palette.MARK}
    assert marked == {("h[2]", "h[3]"), ("h[3]", "y[3]"), ("y[3]", "loss")}


@pytest.mark.parametrize("name", ["graph", "node", "edge", "strict", "digraph", "subgraph"])
def test_a_word_of_the_dot_language_is_a_name_like_others(name: str) -> None:
    run, loss = unrolled(elman, 2)
    loss.name = name
    assert f'label="{name}"' in viz.unrolled(run, loss).source


def test_a_tensor_that_is_not_drawn_cannot_be_highlighted() -> None:
    run, _ = unrolled(elman, 30)
    with pytest.raises(ValueError, match=r"highlight= takes tensors that are drawn, .*not in the picture: <h\[15\]"):
        viz.unrolled(run, highlight=[run["h"][15]])


def test_tooltips_tell_value_gradient_and_line() -> None:
    drawing = drawn(own_output, level="ops")
    for (part, k), box in drawing.boxes.items():
        tensor = drawing.spec.tensors[part][k]
        assert tensor is not None
        name = f"{part.signal}[{k}]" if part.node is None else f"{part.label} in {part.signal}[{k}]"
        assert box.tooltip.startswith(f"{name} {tensor.shape}: {numbers(tensor)}; ") and ".py:" in box.tooltip
    assert all(" |g| " in box.tooltip or "no gradient" in box.tooltip for box in drawing.boxes.values())
