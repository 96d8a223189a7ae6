"""Layers as one box each at level "layers", and as frames around their boxes at the other levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from cases import mostly_slow
from definitions import (
    data,
    deep_bidirectional,
    deep_lstm,
    elman,
    feedback_between_layers,
    interleaved,
    random_layers,
    unrolled,
)
from drawings import (
    assert_arrows_pass_no_box,
    draw_run,
    labels_on_lines,
    overlap,
    rectangle,
    rolled_drawing,
    sampled,
    unrolled_drawing,
)

import minigrad as mg
import viz
from rnn import Cell, t
from rnn.language.dependencies import edges
from viz.layout.levels import rolled_graph
from viz.layout.step_graph import StepGraph, step_graph
from viz.pictures.rolled import RolledDrawing
from viz.pictures.side_by_side import side_by_side, unroll_zeros
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette
from viz.render.scene import Box, Frame, Scene, Text
from viz.render.typography import true_minus

Drawing = RolledDrawing | UnrolledDrawing
SEEDS = mostly_slow(range(40), 2)


def box_of(scene: Scene, label: str) -> Box:
    return next(box for box in scene.boxes if box.label.split("\n")[0] == label)


def arrow_labels(scene: Scene) -> dict[tuple[str, str], str]:
    """The label of each arrow that has one, by the labels of its boxes."""
    names = {box.key: box.label for box in scene.boxes}
    return {(names[arrow.source], names[arrow.target]): arrow.label.text for arrow in scene.arrows if arrow.label}


# ---- the graph: each edge between signals is in one edge between boxes, and the other way round
def naive_box(name: str, graph: StepGraph) -> str:
    """The box of a signal: that of the layer whose list has it, or its own."""
    return next((part.signal for part in graph.parts if name in [own.signal for own in part.members]), name)


def naive_edges(cell: Cell, graph: StepGraph) -> dict[tuple[str, str, int], set[str]]:
    """The names of the signals that are read between two boxes, from the edges of the definition."""
    found: dict[tuple[str, str, int], set[str]] = {}
    for source, target, delay in edges(cell):
        ends = naive_box(source, graph), naive_box(target, graph)
        if ends[0] != ends[1] or delay:
            found.setdefault((*ends, delay), set()).add(source)
    return found


def reaches(start: str, goal: str, pairs: set[tuple[str, str]]) -> bool:
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        seen.add(node)
        waiting += [b for a, b in pairs if a == node and b not in seen]
    return goal in seen


@pytest.mark.parametrize("seed", SEEDS)
def test_every_edge_is_in_one_edge_between_boxes(seed: int) -> None:
    cell = random_layers(seed)
    if not any("." in name for name in cell.signals):
        return
    graph = rolled_graph(cell, "layers")
    expected = naive_edges(cell, graph)
    assert Counter((e.source.signal, e.target.signal, e.delay) for e in graph.edges) == dict.fromkeys(expected, 1)
    for edge in graph.edges:
        read = expected[edge.source.signal, edge.target.signal, edge.delay]
        assert sorted(source for source, _ in set(edge.ends)) == sorted(a for a, b, d in edges(cell) if (
            naive_box(a, graph), naive_box(b, graph), d) == (edge.source.signal, edge.target.signal, edge.delay))
        if edge.source.members:
            assert {edge.source.signal + name for name in edge.carried} == read


@pytest.mark.parametrize("seed", SEEDS)
def test_a_layer_is_split_only_if_its_box_would_be_in_a_cycle(seed: int) -> None:
    cell = random_layers(seed)
    if not any("." in name for name in cell.signals):
        return
    graph = rolled_graph(cell, "layers")
    within = {(a, b) for a, b, delay in naive_edges(cell, graph) if not delay}
    assert not any(reaches(b, a, within) for a, b in within)  # no cycle is left
    for layer in graph.split:
        names = [name for name in cell.signals if name.rpartition(".")[0] + "." == layer]

        def home(name: str, layer: str = layer, names: list[str] = names) -> str:
            return layer if name in names else name

        joined = {(home(a), home(b)) for a, b, delay in edges(cell) if not delay and home(a) != home(b)}
        by_prefix = {(a.rpartition(".")[0] or a, b.rpartition(".")[0] or b) for a, b, d in edges(cell) if not d}
        by_prefix = {(a, b) for a, b in by_prefix if a != b}
        assert any(reaches(b, a, joined) for a, b in joined) or any(reaches(b, a, by_prefix) for a, b in by_prefix)


def test_arrows_of_a_run_are_those_of_its_signals_merged() -> None:
    for seed in range(12):
        cell = random_layers(seed)
        if not any("." in name for name in cell.signals):
            continue
        run = unroll_zeros(cell, 4)
        drawing = unrolled_drawing(run, level="layers")
        graph = drawing.spec.graph
        keys = {(part.signal, k): box.key for (part, k), box in drawing.boxes.items()}
        expected = {(keys[naive_box(a.signal, graph), a.t], keys[naive_box(b.signal, graph), b.t])
                    for a, b in run.edges() if (naive_box(a.signal, graph), a.t) != (naive_box(b.signal, graph), b.t)}
        assert Counter((arrow.source, arrow.target) for arrow in drawing.scene.arrows) == dict.fromkeys(expected, 1)


def test_two_layers_that_read_each_other_within_a_step_are_not_both_boxes() -> None:
    graph = rolled_graph(interleaved(), "layers")
    assert {part.signal for part in graph.parts} == {"x", "in.a", "in.h", "y", "up."}
    assert graph.split == {"in.": "it reads y, computed from it in the same step"}
    texts = [text.text for text in rolled_drawing(interleaved(), "layers").scene.texts]
    assert "in is not one box: it reads y, computed from it in the same step" in texts


def test_a_layer_whose_equations_define_different_steps_is_split() -> None:
    cell = Cell("ahead")
    x, h, y = cell.input("x", 2), cell.signal("a.h", 2), cell.signal("a.y", 2)
    y[t] = h[t]
    h[t+1] = np.tanh(x[t] + h[t])
    assert rolled_graph(cell, "layers").split == {"a.": "its equations define different steps"}
    labels = [box.label for box in rolled_drawing(cell, "layers").scene.boxes]
    assert "h[t]" in labels and "y[t]" in labels  # in a frame


def test_the_innermost_prefix_is_the_layer_and_a_signal_beside_layers_is_in_none() -> None:
    graph = rolled_graph(deep_bidirectional(1), "layers")
    assert {part.label for part in graph.parts} == {"x", "g.1.h", "g.1.forward", "g.1.backward", "y"}


def test_inputs_are_in_no_layer() -> None:
    cell = Cell("one")
    x, h, c = cell.input("enc.x", 2), cell.signal("enc.h", 2), cell.signal("enc.c", 2)
    c[t] = x[t] + c[t-1]
    h[t] = np.tanh(c[t])
    assert [box.label for box in rolled_drawing(cell, "layers").scene.boxes if box.label] == ["x[t]", "enc"]


# ---- the picture of layers
def test_arrows_name_the_signals_that_are_read() -> None:
    run, loss = unrolled(lambda: deep_lstm(2), 3)
    assert arrow_labels(unrolled_drawing(run, loss, level="layers").scene) == {
        ("layer1", "layer2"): "h", ("layer2", "y[1]"): "V · h"} | {
        (name, name): "h, c" for name in ("layer1", "layer2")}
    tooltips = {arrow.tooltip for arrow in unrolled_drawing(run, loss, level="layers").scene.arrows}
    assert {"layer1.h[1], layer1.c[1] → layer1", "layer1.h[2] → layer2", "x[1] → layer1"} <= tooltips
    rolled = rolled_drawing(deep_lstm(2), "layers").scene
    assert [text.text for text in rolled.texts].count("h, c") == 2
    assert arrow_labels(rolled) == {("layer1", "layer2"): "h", ("layer2", "y[t]"): "V · h"}


def test_values_before_the_steps_are_those_of_the_signals() -> None:
    run, loss = unrolled(lambda: deep_lstm(1), 2)
    assert [box.label for box in unrolled_drawing(run, loss, level="layers").scene.boxes if box.dashed] == [
        "h[0], c[0] = 0"]
    cell = deep_lstm(1)
    h0 = mg.Tensor(np.ones(4), requires_grad=True, name="h0")
    run = cell.unroll(**data(cell, 2), initial={"layer1.h": h0})
    scene = unrolled_drawing(run, run["y"].stack().sum(), level="layers").scene
    assert [box.label for box in scene.boxes if box.dashed] == ["h[0] = h0\nc[0] = 0"]


def test_a_backward_layer_runs_to_the_left() -> None:
    run, loss = unrolled(deep_bidirectional, 3)
    drawing = unrolled_drawing(run, loss, level="layers")
    boxes = {box.key: box for box in drawing.scene.boxes}
    for arrow, edge, _ in drawing.arrows:
        if edge.delay:
            assert np.sign(boxes[arrow.target].x - boxes[arrow.source].x) == np.sign(edge.delay)
            assert arrow.color == (palette.STATE if edge.delay > 0 else palette.REVERSED).line
    assert [box.label for box in drawing.scene.boxes if box.dashed] == ["h[0] = 0", "h[0] = 0", "h[4] = 0", "h[4] = 0"]
    assert {text.text for text in rolled_drawing(deep_bidirectional(), "layers").scene.texts} >= {"z⁻¹", "z⁺¹"}


def test_feedback_between_layers_has_its_colour() -> None:
    run, loss = unrolled(feedback_between_layers, 3)
    for drawing in (rolled_drawing(feedback_between_layers(), "layers"), unrolled_drawing(run, loss, level="layers")):
        ends = {(item[1].source.label, item[1].target.label) for item in drawing.arrows
                if item[0].color == palette.FEEDBACK}
        assert ends == {("three", "two")}


def test_the_gradient_of_a_layer_is_that_of_what_leaves_it_as_one_vector() -> None:
    run, loss = unrolled(lambda: deep_lstm(2), 3)
    drawing = unrolled_drawing(run, loss, level="layers", values=True, heat=True)
    box = next(box for (part, k), box in drawing.boxes.items() if part.label == "layer1" and k == 2)
    h, c = (run[f"layer1.{name}"][2] for name in "hc")
    norm = np.sqrt(np.square(h.grad).sum() + np.square(c.grad).sum())
    low, high = h.numpy().min(), h.numpy().max()
    assert box.label.split("\n") == ["layer1", true_minus(f"h  {low:.2g} … {high:.2g}"),
                                     true_minus(f"c  {c.numpy().min():.2g} … {c.numpy().max():.2g}"),
                                     true_minus(f"|g| {norm:.1e}")]
    assert drawing.labels.scale is not None
    assert box.paint.fill == drawing.labels.scale.fill(drawing.labels._norm(*next(
        where for where, other in drawing.boxes.items() if other is box and where[0].members)))
    assert "layer1.f[2] (5, 4)" in box.tooltip


def test_the_parameters_of_a_layer_are_listed_together() -> None:
    run, loss = unrolled(lambda: deep_lstm(2), 3)
    rows = [box for box in unrolled_drawing(run, loss, level="layers").scene.boxes if box.key[0] == "p"]
    for row, layer in zip(rows, ("layer1", "layer2")):
        own = [tensor for name, tensor in run.parameters.items() if name.startswith(layer)]
        norm = np.sqrt(sum(np.square(x.grad).sum() for x in own))
        assert row.label == f"{layer}  {sum(x.size for x in own)} numbers   |g| {true_minus(f'{norm:.1e}')}"
    assert rows[2].label.startswith("V  (2, 4)") and len(rows) == 3


def test_a_penalty_on_a_parameter_of_a_layer_has_an_arrow_from_its_row() -> None:
    cell = deep_lstm(2)
    run = cell.unroll(**data(cell, 3))
    W, b = run.parameters["layer2.W_f"], run.parameters["layer2.b_f"]
    loss = run["y"].stack().mean() + mg.square(W).sum() + mg.square(b).sum()
    loss.backward()
    scene = unrolled_drawing(run, loss, level="layers").scene
    row = next(box for box in scene.boxes if box.label.startswith("layer2  "))
    assert [arrow.target for arrow in scene.arrows if arrow.source == row.key] == ["loss"]


def test_a_step_of_a_backward_pass_is_marked_at_its_layer() -> None:
    cell = deep_lstm(2)
    run = cell.unroll(**data(cell, 3))
    loss = run["y"].stack().mean()
    for step in loss.backward_steps():
        step.run()
        if step.name == "layer2.i" and step.t == 3:
            break
    source = viz.unrolled(run, loss=loss, level="layers", heat=True, step=step).source
    assert "layer2.i[3]" in source
    drawing = unrolled_drawing(run, loss, level="layers", heat=True, step=step)
    texts = {(part.label, k): box.label for (part, k), box in drawing.boxes.items() if part.members}
    assert texts["layer2", 3].startswith("layer2\narrived: ") or texts["layer2", 3].startswith("layer2\n|g| ")
    assert texts["layer1", 1] == "layer1\n|g| not computed"


def test_every_step_of_a_pass_has_a_box_and_arrows() -> None:
    cell = deep_bidirectional(1)
    run = cell.unroll(**data(cell, 3))
    loss = run["y"].stack().mean()
    steps = loss.backward_steps()
    for step in steps:
        step.run()
    for step in steps[::7]:
        viz.unrolled(run, loss=loss, level="layers", step=step)
    frames = viz.animate(loss, run=run, level="layers")
    assert sum("g.1.forward" in caption for caption in frames.captions) >= 3


def test_highlight_marks_the_box_of_a_signal_s_layer() -> None:
    run, loss = unrolled(lambda: deep_lstm(1), 3)
    drawing = draw_run(run, loss, [1, 2, 3], "layers", highlight=(run["layer1.g"][2], run["y"][2]))
    marked = {box.key for box in drawing.scene.boxes if box.paint.line == palette.MARK}
    assert marked == {box.key for (part, k), box in drawing.boxes.items() if part.label in ("layer1", "y") and k == 2}


def test_chunks_cut_the_arrow_between_two_layers_and_folds_keep_it() -> None:
    cell = deep_lstm(1)
    run = cell.unroll(**data(cell, 6), chunks=3)
    run["y"].stack().mean().backward()
    drawing = draw_run(run, None, range(1, 7), "layers", contributions=True)
    assert [k for arrow, _, k in drawing.arrows if "cut" in arrow.tooltip] == [4]
    widths = [arrow.pen for arrow, edge, _ in drawing.arrows if edge.names and "cut" not in arrow.tooltip]
    assert len(set(widths)) > 3
    folded = unrolled_drawing(cell.unroll(**data(cell, 20)), fold=True, level="layers").scene
    assert [box.label for box in folded.boxes].count("⋯\n× 14 steps") == 1


def test_a_static_is_read_by_the_layer() -> None:
    cell = Cell("decoder")
    enc, x, s, q = cell.static("enc", 2), cell.input("x", 2), cell.signal("dec.s", 2), cell.signal("dec.q", 2)
    s[t] = np.tanh(x[t] + s[t-1] + q[t-1] + enc)
    q[t] = s[t] * enc
    s[0], q[0] = np.tanh(enc), 2 * enc
    rolled = rolled_drawing(cell, "layers").scene
    assert {"enc", "dec", "s[0]", "q[0]"} <= {box.label for box in rolled.boxes}
    run = cell.unroll(x=np.ones((3, 2)), enc=np.ones(2))
    drawing = unrolled_drawing(run, level="layers")
    key = drawing.beside[next(iter(drawing.beside))].key
    targets = Counter(arrow.target for arrow in drawing.scene.arrows if arrow.source == key)
    assert targets == {box.key: 1 for (part, _), box in drawing.boxes.items() if part.label == "dec"}


def test_nan_is_counted_by_boxes() -> None:
    cell = deep_lstm(1)
    run = cell.unroll(x=np.where(np.arange(3)[:, None] == 1, np.nan, np.ones((3, 3))))
    drawing = unrolled_drawing(run, level="layers")
    texts = [text.text for text in drawing.scene.texts]
    assert {(part.label, k) for (part, k), box in drawing.boxes.items() if box.paint == palette.BAD and (
        part.members or part.label in "xy")} == {("x", 2), ("layer1", 2), ("layer1", 3), ("y", 2), ("y", 3)}
    assert "NaN in 5 boxes; the first is x[2]" in texts  # x[2], and layer and output at 2 and 3


# ---- refusals
def test_a_definition_without_layers_says_so() -> None:
    run, _ = unrolled(elman)
    for draw in (lambda: viz.rolled(elman(), "layers"), lambda: viz.unrolled(run, level="layers"),
                 lambda: viz.both(elman(), level="layers")):
        with pytest.raises(ValueError, match=r"'elman' has no layers: .*level='signals' draws these"):
            draw()


def test_differences_have_no_layers() -> None:
    with pytest.raises(ValueError, match="compares signals, level='signals', or operations too, level='ops'"):
        viz.diff(deep_lstm(1), deep_lstm(1), level="layers")
    with pytest.raises(TypeError, match="level"):
        viz.graph(mg.Tensor(1.0), level="layers")  # type: ignore[call-arg]


# ---- frames at the other levels
def frames_of(drawing: Drawing) -> list[tuple[Frame, Text]]:
    """The frames of layers, each with the text in its upper part."""
    scene = drawing.scene
    found = []
    for frame in scene.frames:
        if frame.paint == palette.LAYER:
            inside = [text for text in scene.texts if frame.left < text.x < frame.right
                      and frame.top - 20 < text.y < frame.top and text.color == palette.QUIET]
            assert len(inside) == 1
            found.append((frame, inside[0]))
    return found


def sides(frame: Frame) -> tuple[float, float, float, float]:
    return frame.left, frame.bottom, frame.right, frame.top


def assert_framed(drawing: Drawing, repeated: int, level: str) -> None:
    """Each frame has the boxes of its layer and no others; no line passes its name; frames are apart."""
    found = frames_of(drawing)
    where = [(part, box) for part, box in (((key[0] if isinstance(key, tuple) else key), box)
                                           for key, box in drawing.boxes.items()) if not box.dashed or "⋯" in box.label]
    framed = {part.signal.rpartition(".")[0] for part, _ in where if part.block}
    assert Counter(name.text for _, name in found) == dict.fromkeys(framed, repeated)
    for (one, _), (other, _) in combinations(found, 2):
        assert not overlap(sides(one), sides(other))
    for frame, name in found:
        for part, box in where:
            own = bool(part.block) and part.block == name.text + "."
            within = overlap(rectangle(box), sides(frame))
            assert within is own or (own and repeated > 1), (name.text, box.label)
            if within:
                left, bottom, right, top = rectangle(box)
                assert frame.left < left and right < frame.right and frame.bottom < bottom and top < frame.top
        assert sides(frame)[0] < rectangle(name)[0] and rectangle(name)[2] < frame.right
    steps = [frame for frame in drawing.scene.frames if frame.paint == palette.STEP]
    for left, bottom, right, top in [sides(frame) for frame, _ in found] * bool(steps):
        assert any(step.left < left and right < step.right and step.bottom + 20 < bottom and top < step.top
                   for step in steps)
    assert_names_clear(drawing)


def assert_names_clear(drawing: Drawing) -> None:
    scene = drawing.scene
    lines = [(arrow, sampled(arrow, apart=3)) for arrow in scene.arrows]
    for _, name in frames_of(drawing):
        left, bottom, right, top = rectangle(name, 1.5)
        for arrow, points in lines:
            x, y = points.T
            assert not ((left < x) & (x < right) & (bottom < y) & (y < top)).any(), (name.text, arrow.tooltip)
        for box in scene.boxes:
            assert not overlap(rectangle(box), rectangle(name)), (name.text, box.label)


@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("seed", SEEDS)
def test_frames_of_random_definitions(seed: int, level: str) -> None:
    cell = random_layers(seed)
    for drawing, count in ((rolled_drawing(cell, level), 1), (unrolled_drawing(unroll_zeros(cell, 3), level=level), 3)):
        assert_framed(drawing, count, level)
        assert_arrows_pass_no_box(drawing.scene)
        for a, b in combinations(drawing.scene.boxes, 2):
            assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} and {b.label!r}"


@pytest.mark.parametrize("seed", SEEDS)
def test_pictures_of_random_layers_are_tidy(seed: int) -> None:
    cell = random_layers(seed)
    if not any("." in name for name in cell.signals):
        return
    for scene in (rolled_drawing(cell, "layers").scene, unrolled_drawing(unroll_zeros(cell, 4), level="layers").scene):
        assert_arrows_pass_no_box(scene)
        for a, b in combinations(scene.boxes, 2):
            assert not overlap(rectangle(a), rectangle(b)), f"{a.label!r} and {b.label!r}"


@pytest.mark.parametrize("make", [deep_lstm, deep_bidirectional, feedback_between_layers])
@pytest.mark.parametrize("level", ["signals", "ops"])
def test_frames_of_deep_networks(make: Callable[[], Cell], level: str) -> None:
    run, loss = unrolled(make, 3)
    assert_framed(rolled_drawing(make(), level), 1, level)
    assert_framed(unrolled_drawing(run, loss, level=level), 3, level)


def test_names_inside_a_frame_are_short() -> None:
    run, loss = unrolled(lambda: deep_lstm(2), 2)
    drawing = unrolled_drawing(run, loss)
    boxes = {box.key: box for box in drawing.scene.boxes}
    inside = Counter(box.label for (part, k), box in drawing.boxes.items() if part.block and k == 1)
    assert inside == dict.fromkeys(["f[1]", "i[1]", "g[1]", "o[1]", "c[1]", "h[1]"], 2)
    labels = Counter(arrow.label.text for arrow in drawing.scene.arrows if arrow.label
                     and boxes[arrow.target].label != "y[1]")
    assert labels == dict.fromkeys(["W_f", "W_i", "W_g", "W_o"], 2)
    assert any(box.tooltip.startswith("layer2.f[1] ") for box in drawing.scene.boxes)
    assert {"layer1.h[1] → layer2.f[1]", "layer1.h[1] → layer1.f[2]"} <= {x.tooltip for x in drawing.scene.arrows}
    assert not labels_on_lines(drawing)


def on_frames(drawing: Drawing) -> list[str]:
    """The labels of arrows that lie on the outline of a frame."""
    found = []
    for label in (arrow.label for arrow in drawing.scene.arrows if arrow.label):
        left, bottom, right, top = rectangle(label, 2)  # without the space above and below its letters
        for frame, _ in frames_of(drawing):
            across = (left < frame.left < right or left < frame.right < right) and frame.bottom < top < frame.top
            along = (bottom < frame.bottom < top or bottom < frame.top < top) and frame.left < left < frame.right
            found += [label.text] * (across or along)
    return found


@pytest.mark.parametrize("cell", [deep_lstm(), deep_bidirectional(), *(random_layers(seed) for seed in (0, 12, 28))])
def test_labels_of_arrows_are_off_the_frames(cell: Cell) -> None:
    assert not on_frames(rolled_drawing(cell))
    assert not on_frames(unrolled_drawing(unroll_zeros(cell, 3)))


def test_layers_that_cannot_stand_together_keep_their_full_names() -> None:
    drawing = rolled_drawing(interleaved())
    assert {"in.a[t]", "in.h[t]", "b[t]", "h[t]"} <= {box.label for box in drawing.scene.boxes}
    assert [name.text for _, name in frames_of(drawing)] == ["up"]


def test_an_operation_that_two_layers_share_is_in_the_frame_of_the_lower_one() -> None:
    cell = Cell("shared")
    x, p, q = cell.input("x", 2), cell.signal("one.p", 2), cell.signal("one.q", 2)
    r, s = cell.signal("two.r", 2), cell.signal("two.s", 2)
    both = np.tanh(x[t])
    r[t] = both + q[t]  # defined first, computed last
    s[t] = r[t] * r[t]
    p[t] = both * both
    q[t] = p[t] + q[t-1]
    parts = step_graph(cell, "ops").parts
    assert {part.block for part in parts if part.label == "tanh"} == {"one."}
    assert_framed(rolled_drawing(cell, "ops"), 1, "ops")


def test_a_stack_of_layers_does_not_lean() -> None:
    run, loss = unrolled(deep_lstm, 3)
    for drawing in (rolled_drawing(deep_lstm()), unrolled_drawing(run, loss), unrolled_drawing(run, loss, level="ops"),
                    unrolled_drawing(run, loss, level="layers")):
        column = [box.x for key, box in drawing.boxes.items() if (key[1] if isinstance(key, tuple) else 1) == 1
                  and box.label.split("[")[0] in ("x", "h", "y", "layer1", "layer4")]
        assert len(column) >= 4 and max(column) - min(column) < 1
    run, loss = unrolled(deep_bidirectional, 3)
    boxes = unrolled_drawing(run, loss, level="layers").boxes
    column = [box.x for (part, k), box in boxes.items() if k == 2 and part.label in ("x", "g.1.h", "g.2.h", "y")]
    assert len(column) == 4 and max(column) - min(column) < 1


def test_delays_of_layers_above_each_other_are_equally_far_out() -> None:
    scene = rolled_drawing(deep_lstm()).scene
    squares = [box.x for box in scene.boxes if box.paint.fill == "#000000"]
    assert len(squares) == 8 and len({round(x, 3) for x in squares}) == 2  # those of h, and the loops of c
    assert min(squares) > min(frame.left for frame in scene.frames) - 60


def test_both_pictures_have_frames_at_the_same_heights() -> None:
    scene = side_by_side(unroll_zeros(deep_lstm(2), 3), "signals")
    heights = {(round(frame.bottom, 3), round(frame.top, 3)) for frame in scene.frames if frame.paint == palette.LAYER}
    assert len([frame for frame in scene.frames if frame.paint == palette.LAYER]) == 8 and len(heights) == 2


# ---- letters on a slide
def least_letter(scene: Scene, width: float = 1920) -> float:
    """The height of the smallest font in pixels, if the picture is as wide as a slide."""
    left, _, right, _ = scene.bounds()
    sizes = [box.size for box in scene.boxes if box.label] + [text.size for text in scene.texts if text.text]
    sizes += [arrow.label.size for arrow in scene.arrows if arrow.label]
    sizes += [11.0 for frame in scene.frames if frame.caption]
    return min(sizes) * width / (right - left)


@pytest.mark.parametrize(("make", "level", "least"), [
    (deep_lstm, "layers", 25), (deep_bidirectional, "layers", 14), (deep_lstm, "signals", 14),
    (deep_bidirectional, "signals", 11), (deep_lstm, "ops", 12), (deep_bidirectional, "ops", 7)])
def test_letters_of_deep_networks_can_be_read_on_a_slide(make: Callable[[], Cell], level: str, least: float) -> None:
    run, loss = unrolled(make, 3)
    assert least_letter(unrolled_drawing(run, loss, level=level).scene) >= least
    assert least_letter(rolled_drawing(make(), level).scene) >= least
