"""Pictures of definitions with arrays as states and with values that have no time: their scenes and their texts."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow, thinned
from definitions import data, parameter, unrolled
from drawings import assert_arrows_pass_no_box, draw_run, overlap, rectangle, rolled_drawing, unrolled_drawing

import minigrad as mg
import viz
from rnn import Cell, T, cells, t
from rnn.complex import Complex, complex_signal
from viz.annotations.formulas import LONGEST, Line, formulas, lines
from viz.layout.names import Names
from viz.layout.step_graph import step_graph
from viz.pictures.side_by_side import side_by_side, unroll_zeros
from viz.render import palette
from viz.render.fonts import text_width
from viz.render.scene import Box, Scene

RNG = np.random.default_rng(0)


# ---- definitions
def attending() -> Cell:
    """Attention over a static of any length, with a mask, and a first state computed from it."""
    cell = Cell("attending")
    enc, valid, x = cell.static("enc", (None, 3)), cell.static("valid", (None,)), cell.input("x", 3)
    a, s = cell.signal("a"), cell.signal("s", 3)
    a[t] = mg.softmax(np.where(valid, np.tanh(enc @ parameter("K", 3, 3)) @ s[t-1], -np.inf))
    s[t] = np.tanh(x[t] + parameter("U", 3, 3) @ (a[t] @ enc))
    s[0] = np.tanh(parameter("W0", 3, 3) @ enc.mean(axis=0))
    return cell


def equations(cell: Cell, full: bool = False) -> list[Line]:
    """Return the lines of a definition's equations."""
    names = Names(cell, full)
    return lines(formulas(cell, names), names)


def captioning() -> Cell:
    """A static of which the first state alone is computed."""
    cell = Cell("captioning")
    img, word, h = cell.static("img", 5), cell.input("word", 3), cell.signal("h", 4)
    h[t] = np.tanh(parameter("U", 4, 4) @ h[t-1] + parameter("W", 4, 3) @ word[t])
    h[0] = np.tanh(parameter("W_img", 4, 5) @ img)
    return cell


def delta_rule() -> Cell:
    cell = Cell("delta rule")
    x, S, y = cell.input("x", 2), cell.signal("S", (3, 2)), cell.signal("y", 3)
    S[t] = S[t-1] + np.outer(parameter("V", 3, 2) @ x[t] - S[t-1] @ x[t], x[t])
    y[t] = S[t] @ x[t]
    return cell


def backward_in_time() -> Cell:
    """A state that begins after the last step, from a static that the steps read too."""
    cell = Cell("backward in time")
    img, x, h = cell.static("img", 3), cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(x[t] + h[t+1] * img)
    h[T+1] = parameter("w", 3) * img
    return cell


def given(cell: Cell, steps: int = 3, S: int = 4) -> dict[str, Any]:
    statics = {name: RNG.normal(size=(5, *(S if n is None else n for n in static.lengths)))
               for name, static in cell.statics.items()}
    return {**data(cell, steps), **statics}


def random_definition(seed: int) -> Cell:
    """Up to six states, up to three statics; operations on statics alone; values before the sequence from statics."""
    rng = np.random.default_rng(seed)
    cell = Cell(f"random {seed}")
    shapes = [(2,), (2, 2), (None, 2)]
    statics = [cell.static(f"static {number}", shapes[rng.integers(0, 3)]) for number in range(rng.integers(1, 4))]
    vectors = [static if len(static.lengths) == 1 else np.tanh(static).sum(axis=0) for static in statics]
    signals = [cell.input("x", 2)] + [cell.signal(f"s{number}", 2) for number in range(rng.integers(1, 7))]
    for number, signal in enumerate(signals[1:], 1):
        total: Any = 0.5 * signals[rng.integers(0, number)][t]
        for vector in vectors:
            if rng.random() < 0.4:
                total = total + vector * vectors[0]
        delayed = [other for other in signals[1:] if rng.random() < 0.3]
        for other in delayed:
            total = total + np.tanh(other[t - int(rng.integers(1, 3))])
        signal[t] = total
    W = parameter("W", 2, 2)
    for signal in signals[1:]:
        if rng.random() < 0.5:
            for k in (0, -1):
                signal[k] = W @ vectors[rng.integers(0, len(vectors))]
    return cell


def by_label(scene: Scene, label: str) -> Box:
    return next(box for box in scene.boxes if box.label.split("\n")[0] == label)


def arrows(scene: Scene) -> list[tuple[str, str]]:
    """Every arrow by the first lines of the labels of its ends."""
    labels = {box.key: box.label.split("\n")[0] for box in scene.boxes}
    return [(labels[arrow.source], labels[arrow.target]) for arrow in scene.arrows]


# ---- shapes
def test_the_box_of_an_array_shows_its_shape_and_that_of_a_vector_or_a_number_none() -> None:
    cell = delta_rule()
    cell.signal("n", ())[t] = cell.signals["y"][t].sum()
    cell.signal("A", (2, 3, 4))[t] = np.zeros((2, 3, 4))
    labels = {box.label for box in rolled_drawing(cell).scene.boxes}
    assert {"x[t]", "S[t] (3×2)", "y[t]", "n[t]", "A[t] (2×3×4)"} <= labels
    drawn = {box.label for box in unrolled_drawing(cell.unroll(**given(cell))).scene.boxes}
    assert {"S[0] (3×2) = 0", "S[1] (3×2)", "S[3] (3×2)", "y[2]"} <= drawn


def test_an_open_length_is_a_question_mark_until_data_tell_it() -> None:
    cell = attending()
    assert by_label(rolled_drawing(cell).scene, "enc (?×3)") and by_label(rolled_drawing(cell).scene, "valid")
    assert by_label(unrolled_drawing(cell.unroll(**given(cell, S=6))).scene, "enc (6×3)")
    assert by_label(side_by_side(unroll_zeros(cell, 2), "signals"), "enc (?×3)")


@pytest.mark.parametrize("make", [delta_rule, attending, captioning])
def test_values_and_heat_of_arrays_are_abbreviated(make: Any) -> None:
    cell = make()
    run = cell.unroll(**given(cell))
    loss = (run[cell.equations[-1].signal.name].stack() ** 2).sum()
    loss.backward()
    drawing = unrolled_drawing(run, loss, values=True, heat=True, level="ops")
    for box in drawing.scene.boxes:
        assert text_width(box.label, box.size) <= box.width - 4 or not box.label, box.label
    assert viz.gradient_map(run).source and viz.graph(loss, show=("name", "shape", "data")).source


# ---- statics
def test_a_static_is_drawn_once_beside_the_steps_with_an_arrow_to_each_reader_at_each_step() -> None:
    scene = unrolled_drawing(attending().unroll(**given(attending()))).scene
    for label in ("enc (4×3)", "valid"):
        box, = (box for box in scene.boxes if box.label == label)
        assert all(box.right < frame.left for frame in scene.frames) and box.paint == palette.STATIC
    ends = arrows(scene)
    assert sorted(target for source, target in ends if source == "valid") == ["a[1]", "a[2]", "a[3]"]
    assert sorted(target for source, target in ends if source == "enc (4×3)") == [
        "a[1]", "a[2]", "a[3]", "s[0]", "s[1]", "s[2]", "s[3]"]


def test_a_rolled_static_has_no_loop_and_looks_unlike_an_input_and_a_parameter() -> None:
    drawing = rolled_drawing(attending())
    static, x = by_label(drawing.scene, "enc (?×3)"), by_label(drawing.scene, "x[t]")
    assert not static.rounded and x.rounded and static.paint not in (x.paint, palette.CONSTANT)
    assert not any(edge.delay for edge in drawing.graph.edges if "enc" in (edge.source.signal, edge.target.signal))
    assert all(box.bottom > static.top for box in drawing.scene.boxes if box.label.endswith("[t]"))


def test_parameters_beside_a_static_are_named_at_its_arrow() -> None:
    scene = unrolled_drawing(attending().unroll(**given(attending()))).scene
    labels = {box.key: box.label for box in scene.boxes}
    named = {(labels[arrow.source], labels[arrow.target]): arrow.label.text for arrow in scene.arrows if arrow.label}
    assert named["enc (4×3)", "a[1]"] == "K" and named["enc (4×3)", "s[0]"] == "W0"


def test_an_operation_on_statics_alone_is_drawn_once() -> None:
    drawing = unrolled_drawing(attending().unroll(**given(attending())), level="ops")
    once = [part.label for part in drawing.spec.graph.once]
    assert once == ["enc", "valid", "@ K", "tanh"]
    ends = arrows(drawing.scene)
    assert ends.count(("enc (4×3)", "@ K")) == ends.count(("@ K", "tanh")) == 1
    assert len([box for box in drawing.scene.boxes if box.label == "@ K"]) == 1


def test_an_unread_static_and_one_whose_initial_value_is_replaced_are_not_drawn() -> None:
    cell = captioning()
    cell.static("unread", (2, 2))
    run = cell.unroll(**given(cell), initial={"h": np.zeros(4)})
    assert not {"img", "unread (2×2)"} & {box.label for box in unrolled_drawing(run).scene.boxes}
    assert "unread (2×2)" not in {box.label for box in rolled_drawing(cell).scene.boxes}


def test_a_fold_has_one_arrow_from_each_static() -> None:
    scene = unrolled_drawing(attending().unroll(**given(attending(), 30)), fold=True).scene
    keys = {box.label: box.key for box in scene.boxes}
    ends = [(arrow.source, arrow.target) for arrow in scene.arrows]
    assert len(ends) == len(set(ends))
    assert sum(source == keys["valid"] for source, _ in ends) == 7  # three steps at each end, and the fold


# ---- initial values
def test_an_initial_value_from_a_static_has_an_arrow_from_it_and_no_loop() -> None:
    cell = captioning()
    scene = rolled_drawing(cell).scene
    assert ("img", "h[0]") in arrows(scene) and by_label(scene, "h[0]").dashed
    start, = (arrow for arrow in scene.arrows if arrow.dashed)
    assert {box.key: box.label for box in scene.boxes}[start.target] == "h[t]"
    assert [(loop.signals, loop.delay) for loop in cell.loops()] == [(("h",), 1)]
    assert Line(0, "h[0] = tanh(W_img @ img)") in equations(cell)
    drawn = unrolled_drawing(cell.unroll(**given(cell))).scene
    assert [ends for ends in arrows(drawn) if "img" in ends] == [("img", "h[0]")]
    assert by_label(drawn, "img").y == by_label(drawn, "h[0]").y


def test_a_value_after_the_last_step_is_reached_from_the_right() -> None:
    scene = unrolled_drawing(backward_in_time().unroll(**given(backward_in_time()))).scene
    box = by_label(scene, "h[4]")
    arrow, = (arrow for arrow in scene.arrows if arrow.target == box.key)
    assert arrow.points[-1] == pytest.approx((box.right, box.y)) and ("img", "h[4]") in arrows(scene)
    assert ("img", "h[T+1]") in arrows(rolled_drawing(backward_in_time()).scene)


# ---- a backward pass, a difference
def test_a_step_of_the_backward_pass_is_marked_beside_the_steps() -> None:
    cell = captioning()
    img = mg.Tensor(RNG.normal(size=(5, 5)), requires_grad=True, name="img")
    run = cell.unroll(**{**given(cell), "img": img})
    loss = (run["h"].stack() ** 2).sum()
    for step in loss.backward_steps():
        step.run()
    assert step.node in run.once
    source = viz.unrolled(run, loss=loss, step=step).source
    line = next(line for line in source.splitlines() if 'label="img' in line)
    assert palette.BACKWARD in line and "penwidth=4" in line.replace('"', "")
    assert "gradient: img → h[0]" in source


@pytest.mark.parametrize("level", ["signals", "ops"])
def test_definitions_and_runs_with_statics_are_compared(level: str) -> None:
    a, b = attending(), attending()
    b.signal("extra", 3)[t] = b.statics["enc"].mean(axis=0) * b.signals["s"][t]
    assert "extra (green, bold)" in viz.diff(a, b, level).source
    assert "extra (green, bold)" in viz.diff(a.unroll(**given(a)), b.unroll(**given(b)), level).source
    assert "no difference" in viz.diff(a, attending(), level).source


# ---- geometry
def assert_tidy(scene: Scene) -> None:
    for a, b in combinations(scene.boxes, 2):
        assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} and {b.label!r}"
    for a, b in combinations(scene.texts, 2):
        assert not overlap(rectangle(a, 1), rectangle(b, 1)), f"{a.text!r} on {b.text!r}"
    assert_arrows_pass_no_box(scene)
    assert len({box.key for box in scene.boxes}) == len(scene.boxes)


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("seed", mostly_slow([24, 33, *range(20)], 4))  # first: an initial value between others
def test_random_definitions_with_statics_are_tidy(seed: int, level: str) -> None:
    cell = random_definition(seed)
    assert_tidy(rolled_drawing(cell, level).scene)
    run = unroll_zeros(cell, 3)
    assert_tidy(unrolled_drawing(run, level=level, values=bool(seed % 2)).scene)
    assert_tidy(side_by_side(run, level))


CELLS: list[tuple[Any, dict[str, Any]]] = [
    (cells.modern.linear_attention, {"keys": 2}), (cells.modern.delta_net, {"keys": 2}),
    (cells.modern.delta_net, {"keys": 2, "gated": True, "reversed": True}), (cells.modern.mlstm, {"keys": 2}),
    (cells.modern.slstm, {}), (cells.modern.min_gru, {}), (cells.modern.rwkv, {}), (cells.modern.mamba, {"states": 2}),
    (cells.modern.lru, {"states": 2}), (cells.memory.stack, {"depth": 4}),
    (cells.memory.turing_machine, {"slots": 5, "width": 3})]


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize(("make", "options"), thinned(CELLS, 3))
def test_modern_cells_and_memories_are_tidy(make: Any, options: dict[str, Any], level: str) -> None:
    cell = Cell("cell")
    make(cell, cell.input("x", 4), 3, name="a", rng=np.random.default_rng(0), **options)
    assert_tidy(rolled_drawing(cell, level).scene)
    assert_tidy(side_by_side(unroll_zeros(cell, 2), level))
    shown = equations(cell)
    assert all(len(text) <= LONGEST and "…" not in text for _, text in shown)


def test_both_pictures_have_the_same_heights_above_the_statics() -> None:
    for make in (attending, captioning, backward_in_time):
        scene = side_by_side(unroll_zeros(make(), 3), "signals")
        left = {box.label.split("[t]")[0]: box.y for box in scene.boxes
                if box.key.startswith("r_") and "[t]" in box.label}
        right = {box.label.split("[2]")[0]: box.y for box in scene.boxes if "[2]" in box.label}
        assert left == pytest.approx(right)


def test_structure_is_drawn_without_marks_of_numbers_that_are_made_up() -> None:
    cell = Cell()
    x, k = cell.input("x", 3), cell.signal("k", 3)
    k[t] = x[t] / np.linalg.norm(x[t])  # NaN for zeros
    assert palette.ALARM not in viz.both(cell).source


# ---- operations
def test_operations_that_an_equation_does_not_show_have_no_box() -> None:
    cell = delta_rule()
    labels = [part.label for part in step_graph(cell, "ops").parts if part.node is not None]
    assert labels == ["V @", "@", "−", "[:, None]", "⊙", "+", "@"]


def test_conditions_lookups_and_the_number_of_the_step_say_what_they_do() -> None:
    cell = Cell()
    x, w, y = cell.input("x", 3), cell.input("w", ()), cell.signal("y", 3)
    y[t] = np.where((t % 2 == 0) & ~(x[t] > 0.5), mg.stop_gradient(x[t]), parameter("E", 5, 3)[w[t]] * (0.3 * t))
    labels = [part.label for part in step_graph(cell, "ops").parts if part.node is not None]
    assert labels == ["t % 2", "== 0", "> 0.5", "~", "&", "stop_gradient", "E[ ]", "0.3 * t", "⊙", "where"]
    assert repr(cell.equations[0]) == (
        "y[t] = where((t % 2 == 0) & ~(x[t] > 0.5), stop_gradient(x[t]), E[w[t]] * (0.3 * t))")
    assert step_graph(cell, "signals").edges[1].names == ["E"]


# ---- texts
def test_reductions_of_arrays_show_their_axes_and_those_of_vectors_do_not() -> None:
    cell = Cell()
    X, v = cell.input("X", (2, 3))[t], cell.input("v", 3)[t]
    assert [str(x) for x in (X.sum(axis=1), X.sum(), X.reshape(6), np.concatenate([X, X], axis=1), np.stack([v, v]),
                             X.max(axis=0, keepdims=True), v.sum(axis=-1), X.T)] == [
        "sum(X[t], axis=1)", "sum(X[t])", "reshape(X[t], shape=(6,))", "concatenate([X[t], X[t]], axis=1)",
        "stack([v[t], v[t]])", "max(X[t], axis=0, keepdims=True)", "sum(v[t])", "X[t].T"]


def test_a_long_equation_is_divided_and_loses_nothing() -> None:
    cell = Cell()
    signals = [cell.input(f"a long name {number}", 2) for number in range(12)]
    cell.signal("y", 2)[t] = sum((np.tanh(signal[t] * (signal[t] + 1)) for signal in signals[1:]), signals[0][t])
    shown = equations(cell)
    assert len(shown) > 3 and all(len(text) <= LONGEST for _, text in shown)
    assert " ".join(text for _, text in shown) == repr(cell.equations[0])
    assert all(text.startswith("+ ") for _, text in shown[1:])  # at the loosest operator


def test_a_part_that_long_equations_repeat_is_written_once() -> None:
    cell = Cell()
    x, y, z = cell.input("x", 2), cell.signal("y", 2), cell.signal("z", 2)
    part = np.tanh(parameter("a weight with a name", 2, 2) @ x[t] + parameter("a bias with a name", 2))
    y[t] = part * part + y[t-1] * part
    z[t] = part / (part * part + z[t-1])
    assert equations(cell) == [
        (0, "y[t] = u₁ * u₁ + y[t-1] * u₁"), (1, "u₁ = tanh(a weight with a name @ x[t] + a bias with a name)"),
        (0, "z[t] = u₁ / (u₁ * u₁ + z[t-1])")]


def test_a_pair_of_complex_numbers_and_its_weights_are_readable() -> None:
    cell = Cell()
    x, s = cell.input("x", 2), complex_signal(cell, "s", 2)
    s[t] = Complex.polar(np.exp(-np.exp(parameter("nu", 2))), np.exp(parameter("theta", 2))) * s[t-1] + x[t]
    assert [text for _, text in equations(cell, full=True)][1:3] == [
        "u₁ = exp(-exp(nu)) * cos(exp(theta))", "u₂ = exp(-exp(nu)) * sin(exp(theta))"]
    assert [part.label for part in step_graph(cell, "ops").parts].count("⊙ f(nu, theta)") == 4


def test_edges_and_loops_are_those_of_signals() -> None:
    cell = attending()
    assert [tuple(edge) for edge in cell.edges()] == [("s", "a", 1), ("x", "s", 0), ("a", "s", 0)]
    assert [loop.signals for loop in cell.loops()] == [("a", "s")]
    assert [stage.signals for stage in cell.order()] == [("x",), ("a", "s")]


def test_pictures_of_vectors_are_as_they_were() -> None:
    from definitions import elman
    run, loss = unrolled(elman)
    assert "×" not in viz.unrolled(run, loss=loss).source + viz.rolled(elman()).source
    assert draw_run(run, loss, [1, 2, 3, 4]).beside == {}
