"""The graph of any tensor: what its boxes say, where time steps stand, what is written and not drawn."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import bidirectional, elman, unrolled
from drawings import norm_text
from painters import painting
from tensor_graphs import (
    attention,
    chain,
    delays,
    drawing,
    encoder_decoder,
    last_step,
    layers,
    parameter,
    running_loss,
    several_outputs,
    steps_alone,
)

import minigrad as mg
import viz
from minigrad import Tensor
from minigrad.backward import ancestors
from rnn import Cell, t
from viz.layout.blocks import AFTER, BEFORE, STEP, Key, block_keys
from viz.pictures.graph import caption
from viz.render import palette
from viz.render.digraph import DPI, default_dpi

ROOT = Path(__file__).parents[2]


def test_a_graph_shows_what_is_asked_for() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    assert r'label="x\n(2,)\n|g| 4.5e+00"' in viz.graph(y).source
    assert r'label="x\n1, 2"' in viz.graph(y, ["data", "name"]).source
    assert re.search(r'label="⊙\\ntest_graph\.py:\d+"', viz.graph(y, ["operation", "line"]).source)
    assert 'label="5"' in viz.graph(y, ["data"]).source and "·" in viz.graph(y, []).source


@pytest.mark.parametrize("show", ["name", ["colour"]])
def test_a_graph_can_t_show_everything(show: Any) -> None:
    with pytest.raises(ValueError, match=r"can't be shown\. Choose some of 'name', 'operation', 'shape', 'data'"):
        viz.graph(mg.Tensor(1.0), show)


def test_the_size_of_a_graph_is_guarded_as_asked() -> None:
    x = y = mg.Tensor(1.0, requires_grad=True)
    for _ in range(30):
        y = y + x
    with pytest.raises(ValueError, match="more than 10 tensors"):
        viz.graph(y, most=10)


# ---- operations
X, W = parameter("x", 4, 3), parameter("W", 3, 3)
CAPTIONS: list[tuple[Tensor, str]] = [
    (X * 0.999, "× 0.999"), (X - np.ones((4, 3)), "− array(4, 3)"), (1 - X, "1 −"), (2 / X, "2 ÷"), (X @ W, "@"),
    (X @ np.ones((3, 2)), "@ array(3, 2)"), (X.mean(), "mean"), (X.sum(axis=1), "sum axis=1"),
    (X.sum(axis=1, keepdims=True), "sum axis=1 keepdims=True"), (X ** 2, "** 2"), (X.T, ".T"), (X[1:], "[1:]"),
    (-X, "−"), (np.tanh(X), "tanh"), (np.stack([X, X]), "stack"), (np.stack([X, X], axis=1), "stack axis=1"),
    (np.where(np.ones((4, 1)) > 0, X, 0.0), "where(array(4, 1), ·, 0)")]


@pytest.mark.parametrize(("tensor", "text"), [pytest.param(*case, id=case[1]) for case in CAPTIONS])
def test_an_operation_is_written_with_its_constants(tensor: Tensor, text: str) -> None:
    drawn = drawing(tensor)
    assert caption(tensor, drawn.written) == text
    assert set(drawn.boxes) == ({X, W} & set(tensor.inputs)) | {tensor}


def test_an_array_that_several_operations_use_has_a_box() -> None:
    x = Tensor(np.ones((2, 3)))
    loss = (x @ parameter("W", 3, 3) + x @ parameter("V", 3, 3)).sum()
    assert x in drawing(loss).boxes


def test_a_parameter_of_few_operations_has_a_box_and_one_of_many_is_listed() -> None:
    for count, listed in ((3, False), (4, True)):
        a, x = parameter("a", 2), parameter("x", 2)
        for _ in range(count):
            x = np.tanh(x) * a
        drawn = drawing(x.sum())
        assert (a in drawn.shared) is listed and (a in drawn.boxes) is not listed
        assert [box.label for box in drawn.draw().boxes if box.key.startswith("p")] == ["a  (2,)"] * listed


def test_a_parameter_of_several_time_steps_is_written_in_them_in_its_colour() -> None:
    run, loss = unrolled(elman, 2)
    drawn = drawing(loss)
    scene = drawn.draw()
    assert {node.name for node in drawn.shared} == {"W", "U", "b", "V"} == set(run.parameters)
    side = {box.label.split()[0]: box for box in scene.boxes if box.key.startswith("p")}
    for name, box in side.items():
        assert box.label.endswith(norm_text(run.parameters[name].grad))
        assert all(box.left > frame.right for frame in scene.frames)
    for box in scene.boxes:
        first = box.label.split("\n")[0]
        if first in ("W @", "U @", "+ b"):
            assert box.paint.line == side[first.strip("@+ ")].paint.line


def test_a_parameter_without_a_name_is_listed_by_a_number() -> None:
    a = x = Tensor(np.ones(2), requires_grad=True)
    for _ in range(5):
        x = x * a
    boxes = drawing(x.sum()).draw().boxes
    assert [box.label.split()[0] for box in boxes if box.key.startswith("p")] == ["p1"]
    assert "⊙ p1" in {box.label.split("\n")[0] for box in boxes}


def test_highlighted_leaves_have_a_box() -> None:
    source = viz.graph(chain(10)).source
    assert "penwidth=\"4\"" not in source and source.count("× 0.999") == 10
    x = chain(10)
    constant = x.inputs[1]
    source = viz.graph(x, highlight=[constant]).source
    assert source.count('penwidth="4"') == 1 and source.count("× 0.999") == 9


def test_tooltips_tell_formulas_and_lines() -> None:
    _, loss = unrolled(elman, 1)
    tips = [box.tooltip for box in drawing(loss).draw().boxes]
    assert any(tip.startswith("<W @ x[1] + U @ h[0] (") and "definitions.py:" in tip for tip in tips)


# ---- time
def names_at(tensor: Tensor, key: Key) -> set[str]:
    """The names, or operations, in a block."""
    keys = block_keys({node: node.inputs for node in ancestors(tensor)})
    return {node.label or type(node.op).__name__.lower() for node, other in keys.items() if other == key}


def test_time_steps_stand_side_by_side_and_the_loss_after_them() -> None:
    _, loss = unrolled(elman, 3)
    scene = drawing(loss).draw()
    frames = sorted(scene.frames, key=lambda frame: frame.left)
    assert [frame.caption for frame in frames] == ["t = 1", "t = 2", "t = 3"]
    boxes = {box.label.split("\n")[0]: box for box in scene.boxes}
    for number, frame in enumerate(frames, 1):
        for name in "xhy":
            assert frame.left < boxes[f"{name}[{number}]"].left and boxes[f"{name}[{number}]"].right < frame.right
    assert boxes["h[0]"].right < frames[0].left and boxes["h[0]"].dashed and boxes["h[0]"].paint == palette.STATE
    assert next(box for box in scene.boxes if box.paint == palette.LOSS).left > frames[-1].right


def test_all_steps_have_one_form() -> None:
    _, loss = unrolled(elman, 6)
    scene = drawing(loss).draw()
    frames = {frame.caption: frame for frame in scene.frames}
    forms = set()
    for number in range(1, 7):
        frame = frames[f"t = {number}"]
        forms.add(tuple(sorted((round(box.x - frame.left, 6), round(box.y - frame.bottom, 6)) for box in scene.boxes
                               if frame.left < box.x < frame.right and frame.bottom < box.y < frame.top)))
    assert len(forms) == 1 and len(forms.pop()) == 7


def test_a_decoder_comes_after_its_encoder() -> None:
    loss = encoder_decoder(2, 2)
    assert names_at(loss, Key(0, STEP, 2)) >= {"s[2]", "x[2]"}
    assert names_at(loss, Key(1, STEP, 0)) == {"h[0]"}
    assert names_at(loss, Key(1, STEP, 2)) >= {"h[2]", "w[2]", "y[2]"}
    assert names_at(loss, Key(1, AFTER)) >= {"stack", "mean"}
    boxes = {box.label.split("\n")[0]: box for box in drawing(loss).draw().boxes}
    assert boxes["h[0]"].dashed and "= s[2]" in boxes["h[0]"].label


def test_a_second_run_of_the_same_definition_comes_after_the_first() -> None:
    cell = elman()
    first = cell.unroll(x=np.ones((2, 1, 3)))
    second = cell.unroll(x=np.ones((2, 1, 3)), initial=first.state)
    loss = second["h"][2].sum()
    assert {key.phase for key in drawing(loss).keys.values()} == {0, 1}
    assert names_at(loss, Key(1, STEP, 2)) >= {"h[2]", "x[2]"}


def test_what_lies_between_two_recurrences_is_drawn_between_them() -> None:
    assert names_at(attention(3), Key(0, AFTER)) == {"stack", "transpose", "memory"}


def test_what_is_computed_before_all_steps_is_drawn_before_them() -> None:
    cell, a = Cell("decay"), parameter("a", 2)
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = mg.sigmoid(a) * h[t-1] + x[t]
    loss = cell.unroll(x=np.ones((3, 1, 2)))["h"][3].sum()
    assert {"a", "sigmoid"} <= names_at(loss, Key(0, BEFORE))


def test_a_loss_of_each_step_stands_in_its_step() -> None:
    loss = running_loss()
    for step in range(1, 7):
        assert {"square", "sum", "add"} <= names_at(loss, Key(0, STEP, step))
    assert names_at(loss, Key(0, AFTER)) == set()


def test_a_loss_of_the_last_step_stands_after_it() -> None:
    assert {"tanh", "square", "mean", "R"} <= names_at(last_step(), Key(0, AFTER))


def test_steps_that_do_not_read_each_other_are_one_sequence() -> None:
    keys = drawing(steps_alone()).keys.values()
    assert {key.t for key in keys if key.kind == STEP} == set(range(1, 8)) and {key.phase for key in keys} == {0}


def test_arrows_through_time_have_the_colour_of_their_direction() -> None:
    for tensor, colors in ((unrolled(bidirectional, 3)[1], {palette.STATE.line, palette.REVERSED.line}),
                           (delays(), {palette.STATE.line})):
        assert {arrow.color for arrow in drawing(tensor).draw().arrows} == {palette.ARROW} | colors


# ---- the page
@pytest.mark.parametrize("tensor", [chain(400), chain(1900 // 2), layers(40), encoder_decoder(30, 30),
                                    unrolled(elman, 60)[1]])
def test_large_graphs_have_the_form_of_a_page(tensor: Tensor) -> None:
    left, bottom, right, top = map(float, viz.graph(tensor).graph_attr["bb"].split(","))
    assert 0.8 < (right - left) / (top - bottom) < 3.2


def test_a_long_chain_stands_in_straight_columns() -> None:
    scene = drawing(chain(100)).draw()
    columns = {round(box.x, 3) for box in scene.boxes}
    assert len(columns) < 15
    ordered = sorted(scene.boxes, key=lambda box: int(box.key[1:]))
    assert all(a.y < b.y if a.x == b.x else a.right < b.left for a, b in pairwise(ordered))


def test_parameters_stand_by_their_operations_where_a_network_is_divided() -> None:
    scene = drawing(layers(12)).draw()
    boxes = {box.key: box for box in scene.boxes}
    for arrow in scene.arrows:
        if boxes[arrow.source].label[0] in "Wb":
            assert boxes[arrow.target].bottom - boxes[arrow.source].top < 30


def test_a_sum_of_many_terms_is_no_staircase() -> None:
    total: Any = 0.0
    for number in range(200):
        x = parameter(f"x{number}", 2)
        total = total + x * x
    left, bottom, right, top = map(float, viz.graph(total.sum()).graph_attr["bb"].split(","))
    assert (right - left) / (top - bottom) < 3.2


def test_small_graphs_are_not_divided() -> None:
    scene = drawing(np.tanh(X @ W + parameter("b", 3)).sum()).draw()
    ys = {box.label.split("\n")[0]: box.y for box in scene.boxes}
    assert ys["W"] == ys["x"] < ys["@"] == ys["b"] < ys["+"] < ys["tanh"] < ys["sum"]


SCRIPT = """
import numpy as np, sys
sys.path.insert(0, "tests/helpers")
from tensor_graphs import GRAPHS, random_tensor
import viz
for make in [GRAPHS[name] for name in ("encoder", "attention", "deep lstm", "layers", "several outputs")]:
    print(viz.graph(make()).source)
print(viz.graph(random_tensor(5)).source)
"""


@pytest.mark.slow
def test_the_text_is_the_same_in_every_process() -> None:
    texts = {subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=True, capture_output=True,
                            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}).stdout
             for seed in ("1", "2")}
    assert len(texts) == 1 and len(texts.pop()) > 50_000


# ---- the size of pictures
def square(side: float) -> viz.Picture:
    """A picture of a size in points."""
    picture = viz.graph(several_outputs())
    picture.graph_attr["bb"] = f"0,0,{side},{side}"
    return picture


@pytest.mark.parametrize("format", ["png", "jpg", "gif", "bmp", "webp", "PNG", "png:cairo"])
def test_a_picture_that_needs_too_much_memory_is_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"would be 13,889 x 13,889 pixels, and need 1\.5 GB of memory: draw less "
                                         r"of it \(.*\), or render it as SVG"):
        square(5000).render(outfile=tmp_path / "g", format=format, dpi=200)
    with pytest.raises(ValueError, match="pixels long, more than the 30,000 that stay readable"):
        square(50_000).render(outfile=tmp_path / "g", format=format, dpi=100)
    assert os.listdir(tmp_path) == []


def test_a_page_of_pdf_is_not_longer_than_readers_take(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="15,000 points long, more than the 14,400 of a page"):
        square(15_000).render(outfile=tmp_path / "g.pdf")


@painting
def test_svg_has_any_size() -> None:
    assert square(50_000).pipe(format="svg").startswith(b"<?xml")


def test_large_pictures_have_fewer_dots_per_inch() -> None:
    assert default_dpi(1000, 1000) == DPI
    for width, height in ((6000, 4000), (20_000, 500), (5000, 5000)):
        dpi = default_dpi(width, height)
        assert 23e6 < width * height * dpi ** 2 / 72 ** 2 <= 25e6 or dpi == DPI
    assert default_dpi(50_000, 50_000) == 50
