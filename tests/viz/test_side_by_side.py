"""The rolled and the unrolled picture side by side, and what drawing needs: no run, no debugger."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from definitions import DEFINITIONS, elman, gates, gru, lstm, skips, three_delays

import minigrad as mg
import viz
from rnn import Cell, t
from viz.layout.folding import Tensors
from viz.layout.step_graph import Edge, Part, StepGraph, assign_layers
from viz.layout.unrolled_layout import UnrolledSpec
from viz.pictures.side_by_side import side_by_side, unroll_zeros
from viz.pictures.unrolled_drawing import UnrolledDrawing
from viz.render import palette

ALL = [*DEFINITIONS, lstm, gru, gates, skips, three_delays]



@pytest.mark.parametrize("level", ["signals", "ops"])
@pytest.mark.parametrize("make", ALL)
def test_both_pictures_have_the_same_heights_and_colours(make: Callable[[], Cell], level: str) -> None:
    cell = make()
    scene = side_by_side(unroll_zeros(cell, 3), level)
    left = {box.key[2:]: box for box in scene.boxes if box.key.startswith("r_s")}
    right = {box.key.removesuffix("_2"): box for box in scene.boxes if re.fullmatch(r"s\d+_2", box.key)}
    assert set(left) == set(right) and len(left) >= 2
    for key, box in left.items():
        assert box.y == right[key].y and box.paint == right[key].paint
    assert max(b.right for b in scene.boxes if b.key.startswith("r_")) < min(
        b.left for b in scene.boxes if not b.key.startswith("r_"))
    assert len({box.key for box in scene.boxes}) == len(scene.boxes)


def test_both_takes_a_definition_and_a_number_of_steps() -> None:
    source = viz.both(elman(), steps=3).source
    assert source.count("subgraph cluster_") == 3 and '"unrolled, T = 3"' in source and 'label="rolled"' in source
    assert 'label="h[t]"' in source and 'label="h[3]"' in source
    with pytest.raises(ValueError, match="steps=0: unroll 1 … 1000 steps"):
        viz.both(elman(), steps=0)


def test_pictures_import_neither_the_debugger_nor_the_stepper_page() -> None:
    program = "import sys, viz; print([m for m in sys.modules if 'debugger' in m or 'stepper_page' in m])"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"


def test_an_unrolled_picture_is_drawn_from_plain_data() -> None:
    x, h = Part("x", None, 0, "x", palette.INPUT), Part("h", None, 0, "h", palette.STATE)
    graph = StepGraph([x, h], [Edge(x, h, 0), Edge(h, h, 1)])
    assign_layers(graph)
    tensors: Tensors = {x: dict.fromkeys(range(1, 4)), h: dict.fromkeys(range(4))}
    drawing = UnrolledDrawing(UnrolledSpec("by hand", 3, graph, tensors, [1, 3]))
    assert not drawing.scene.boxes and not drawing.scene.arrows
    scene = drawing.draw().scene
    labels = {box.key: box.label.split("\n")[0] for box in scene.boxes}
    assert sorted(labels.values()) == ["h[0]", "h[1]", "h[3]", "x[1]", "x[3]", "⋯"]
    assert sorted((labels[arrow.source], labels[arrow.target]) for arrow in scene.arrows) == [
        ("h[0]", "h[1]"), ("h[1]", "⋯"), ("x[1]", "h[1]"), ("x[3]", "h[3]"), ("⋯", "h[3]")]



def test_a_definition_with_labels_is_drawn_in_both_forms() -> None:
    cell = Cell("labels")
    x, label, loss = cell.input("x", 3), cell.input("label", ()), cell.signal("L", ())
    loss[t] = mg.losses.cross_entropy(x[t], label[t], reduction="none")
    assert "label" in viz.both(cell, steps=2).source
