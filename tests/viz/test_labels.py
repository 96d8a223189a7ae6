"""The words in pictures: names of parameters at arrows, in equations and in lists; prefixes of layers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from definitions import data, lstm, parameter, skips
from drawings import draw_run, rolled_drawing, unrolled_drawing

import minigrad as mg
import viz
from rnn import Cell, cells, t
from rnn.language.latex import equations_latex
from viz.annotations.formulas import equation_lines
from viz.layout.step_graph import step_graph
from viz.render import palette
from viz.render.scene import Scene

RNG = np.random.default_rng(0)


def at_arrows(scene: Scene) -> list[tuple[str, str, str]]:
    """Return (label, source, target) of each arrow with a label."""
    names = {box.key: box.label for box in scene.boxes}
    return [(arrow.label.text, names[arrow.source], names[arrow.target]) for arrow in scene.arrows if arrow.label]


def texts(scene: Scene) -> list[str]:
    return [text.text for text in scene.texts]


def scenes(cell: Cell) -> tuple[Scene, Scene]:
    run = cell.unroll(x=RNG.normal(size=(3, 2, cell.signals["x"].shape[0])))
    return rolled_drawing(cell).scene, draw_run(run, None, [1, 2, 3]).scene


# ---- a product is labelled once
def test_a_matrix_of_one_product_is_written_once() -> None:
    cell = Cell("LSTM")
    cells.lstm(cell, cell.input("x", 4), 4, name="layer", rng=RNG)
    for scene in scenes(cell):
        found = at_arrows(scene)
        assert [label for label, _, _ in found] == ["W_f", "W_i", "W_g", "W_o"]
        assert [target[0] for _, _, target in found] == ["f", "i", "g", "o"] and {s[0] for _, s, _ in found} == {"x"}
        assert not [text for text in texts(scene) if text.startswith("W_")]  # none at a shared delay


def test_one_matrix_in_two_products_is_written_at_both() -> None:
    W = parameter("W", 3, 3)
    cell = Cell()
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(W @ x[t] + W @ h[t-1])
    rolled, drawn = scenes(cell)
    assert [label for label, _, _ in at_arrows(rolled)] == ["W"] and texts(rolled).count("W") == 1
    assert sorted(source for _, source, _ in at_arrows(drawn)) == ["h[1]", "x[1]"]


def test_the_widths_of_arrows_know_all_of_a_product() -> None:
    cell = Cell()
    cells.lstm(cell, cell.input("x", 4), 4, name="layer", rng=RNG)
    names = Counter(name for edge in step_graph(cell, "signals").edges for name in edge.names)
    assert names == dict.fromkeys(["layer.W_f", "layer.W_i", "layer.W_g", "layer.W_o"], 2)  # from x and from h


# ---- transposed and unnamed parameters
def tied() -> Cell:
    cell, E, U = Cell("tied"), parameter("E", 5, 3), parameter("U", 3, 3)
    x, h, y = cell.input("x", 5), cell.signal("h", 3), cell.signal("y", 5)
    h[t] = np.tanh(E.T @ x[t] + U @ h[t-1])
    y[t] = E @ h[t]
    return cell


def test_a_transposed_matrix_is_written_so_everywhere() -> None:
    for scene in scenes(tied()):
        assert {(label, target[0]) for label, _, target in at_arrows(scene)} >= {("E.T", "h"), ("E", "y")}
    assert "h[t] = tanh(E.T @ x[t] + U @ h[t-1])" in texts(rolled_drawing(tied()).scene)
    assert {"E.T @", "E @", "U @"} <= {part.label for part in step_graph(tied(), "ops").parts}


def test_parameters_without_a_name_are_called_the_same_everywhere() -> None:
    def array(*shape: int) -> mg.Tensor:
        return mg.Tensor(RNG.normal(size=shape), requires_grad=True)

    cell = Cell()
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 2)
    h[t] = np.tanh(array(3, 3) @ x[t] + array(3, 3) @ h[t-1] + array(3))
    y[t] = array(2, 3) @ h[t]
    rolled, _ = scenes(cell)
    assert {"h[t] = tanh(p1 @ x[t] + p2 @ h[t-1] + p3)", "y[t] = p4 @ h[t]", "p2"} <= set(texts(rolled))
    run = cell.unroll(x=np.ones((2, 3)))
    drawn = unrolled_drawing(run).scene
    assert [label for label, _, _ in at_arrows(drawn)] == ["p1", "p2", "p4"]
    assert [box.label.split()[0] for box in drawn.boxes if box.key[0] == "p"] == ["p1", "p2", "p3", "p4"]
    assert {"p1 @", "p2 @", "+ p3", "p4 @"} <= {part.label for part in step_graph(cell, "ops").parts}
    assert "array(" not in viz.rolled(cell, "ops").source + viz.rolled(cell).source


# ---- layers
def two_layers() -> Cell:
    cell = Cell("two layers")
    top = cells.gru(cell, cell.input("x", 4), 4, name="one", rng=RNG)
    cells.gru(cell, top, 4, name="two", rng=RNG)
    return cell


def test_the_prefix_of_the_only_layer_is_told_once() -> None:
    cell = Cell("LSTM")
    cells.lstm(cell, cell.input("x", 4), 4, name="layer", rng=RNG)
    run = cell.unroll(x=np.ones((3, 2, 4)))
    for level in ("signals", "ops"):
        for scene, frames in ((rolled_drawing(cell, level).scene, 1), (unrolled_drawing(run, level=level).scene, 3)):
            told = [text for text in texts(scene) if "layer" in text and text != "layer:"]
            assert told == ["layer"] * frames
            assert not [box.label for box in scene.boxes if "layer." in box.label]
    assert "layer.f[t] = sigmoid(layer.W_f @" in viz.rolled(cell).source  # in the tooltip


def test_the_prefix_of_one_signal_is_told_under_the_title() -> None:
    cell = Cell("Elman")
    cells.elman(cell, cell.input("x", 4), 4, name="layer", rng=RNG)
    told = "the names are without their prefix “layer.”"
    assert told in texts(rolled_drawing(cell).scene) and told in viz.both(cell).source
    assert told not in texts(rolled_drawing(cell, "ops").scene)  # which has a frame


def test_what_reads_the_only_layer_writes_its_names_as_the_boxes_do() -> None:
    cell = Cell()
    h = cells.elman(cell, cell.input("x", 4), 4, name="net", rng=RNG)
    y = cell.signal("y", 2)
    y[t] = parameter("V", 2, 4) @ h[t]
    scene = rolled_drawing(cell).scene
    assert "y[t] = V @ h[t]" in texts(scene) and "h[t]" in {box.label for box in scene.boxes}
    assert "net." not in "".join(texts(scene)).replace("“net.”", "")


def test_each_of_several_layers_has_its_heading() -> None:
    scene = rolled_drawing(two_layers()).scene
    written = texts(scene)
    assert written.count("one:") == written.count("two:") == 1
    assert "n[t] = tanh(W_xn @ one.h[t] + b_xn + r[t] * (W_hn @ h[t-1] + b_hn))" in written
    assert [box.label for box in scene.boxes].count("h[t]") == 2  # in frames
    labels = at_arrows(scene)
    assert {label for label, _, _ in labels} == {"W_r", "W_z", "W_xn"} and len(labels) == 6


def test_a_prefix_stays_where_a_name_would_be_that_of_another() -> None:
    cell = Cell()
    x, h, inner = cell.input("x", 3), cell.signal("h", 3), cell.signal("layer.h", 3)
    inner[t] = np.tanh(parameter("layer.W", 3, 3) @ x[t] + inner[t-1])
    h[t] = inner[t] + h[t-1]
    scene = rolled_drawing(cell).scene
    assert {"h[t]", "layer.h[t]"} <= {box.label for box in scene.boxes}
    assert {"layer.h[t] = tanh(layer.W @ x[t] + layer.h[t-1])", "h[t] = layer.h[t] + h[t-1]"} <= set(texts(scene))


def test_a_difference_writes_full_names() -> None:
    one = Cell("one")
    cells.gru(one, one.input("x", 4), 4, name="one", rng=RNG)
    source = viz.diff(one, two_layers()).source
    assert 'label="one.h[t]"' in source and 'label="h' not in source


@pytest.mark.parametrize("make", [lstm, two_layers, tied, skips])
def test_each_label_is_that_of_an_arrow_to_what_reads_it(make: Any) -> None:
    """An arrow's label is a factor in the equation of the arrow's target."""
    cell = make()
    of_box = {(part.label, part.signal) for part in step_graph(cell, "signals").parts}
    run = cell.unroll(**data(cell))
    for label, _, target in at_arrows(draw_run(run, None, [1, 2, 3, 4]).scene):
        signal = next(signal for name, signal in of_box if name == target.split("[")[0])
        equation = str(cell.signals[signal].equation).replace(signal[:signal.rfind(".") + 1] or "-", "")
        assert all(f"{factor} @" in equation for factor in label.split(", ") if factor != "…")


# ---- colours that tell a kind
def paints(cell: Cell) -> dict[str, Any]:
    return {part.label: part.paint for part in step_graph(cell, "signals").parts}


def test_a_target_is_no_input() -> None:
    cell = Cell()
    x, d, w, y, L = (*(cell.input(name, 3) for name in "xd"), cell.input("w", ()), cell.signal("y", 3),
                     cell.signal("L", ()))
    y[t] = np.tanh(parameter("W", 3, 3) @ x[t] + y[t-1])
    L[t] = mg.losses.mse(y[t], d[t]) + mg.losses.cross_entropy(y[t], w[t])
    found = paints(cell)
    assert (found["x"], found["d"], found["w"]) == (palette.INPUT, palette.TARGET, palette.TARGET)


def test_what_is_also_an_input_of_the_network_is_no_target() -> None:
    cell = Cell()
    x, y, L = cell.input("x", 3), cell.signal("y", 3), cell.signal("L", ())
    y[t] = np.tanh(parameter("W", 3, 3) @ x[t-1] + y[t-1])  # predicts x[t] from x[t-1]
    L[t] = mg.losses.mse(y[t], x[t])
    assert paints(cell)["x"] == palette.INPUT


def test_in_a_regression_without_states_what_is_multiplied_is_the_input() -> None:
    cell = Cell()
    x, d, L = cell.input("x", 3), cell.input("d", 3), cell.signal("L", ())
    L[t] = mg.losses.mse(parameter("W", 3, 3) @ x[t], d[t])
    assert (paints(cell)["x"], paints(cell)["d"]) == (palette.INPUT, palette.TARGET)


def test_inputs_that_are_only_compared_with_each_other_are_inputs() -> None:
    cell = Cell()
    a, b, L, total = cell.input("a", 3), cell.input("b", 3), cell.signal("L", ()), cell.signal("total", ())
    L[t] = mg.losses.mse(a[t], b[t])
    assert set(paints(cell).values()) == {palette.INPUT, palette.LOSS}
    total[t] = total[t-1] + mg.losses.mse(a[t], b[t])
    assert paints(cell)["a"] == palette.INPUT


def test_an_arrow_from_an_earlier_input_is_no_loop() -> None:
    cell = Cell()
    x, h = cell.input("x", 3), cell.signal("h", 3)
    x[0] = 0
    h[t] = np.tanh(parameter("A", 3, 3) @ x[t] + parameter("B", 3, 3) @ x[t-1] + parameter("U", 3, 3) @ h[t-1])
    for scene in (rolled_drawing(cell).scene, unrolled_drawing(cell.unroll(x=np.ones((4, 3)))).scene):
        names = {box.key: box.label[:1] for box in scene.boxes}
        colors = {(names[arrow.source], arrow.color) for arrow in scene.arrows if names[arrow.source] in ("x", "h")}
        assert colors == {("x", palette.ARROW), ("x", palette.INPUT.line), ("h", palette.STATE.line)}


def test_initial_values_of_parameters_are_written_with_the_equations() -> None:
    cell = Cell("starts")
    x, h, q = cell.input("x", 3), cell.signal("h", 3), cell.signal("q", 3)
    h0, W = parameter("h0", 3), parameter("W", 3, 3)
    h[t] = np.tanh(x[t] + h[t-1])
    q[t] = np.tanh(h[t] + q[t-2])
    h[0] = h0
    q[0] = 2 * h0
    q[-1] = W @ h0
    lines = [line.text for line in equation_lines(cell)]
    assert lines[2:] == ["h[0] = h0", "q[0] = 2 * h0", "q[-1] = W @ h0"]
    assert equations_latex(cell).count(r"\\") == len(lines) - 1
