"""Pictures as DOT: deterministic, equal to the scene, and safe against markup in names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graphviz
import numpy as np
import pytest
from definitions import DEFINITIONS, data, elman, feedback, unrolled
from drawings import draw_rolled, draw_run

import minigrad as mg
import viz
from rnn import Cell, DefinitionError, t
from viz.render.digraph import format_number, literal

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import hashlib, viz
from definitions import DEFINITIONS, unrolled
for make in DEFINITIONS:
    run, loss = unrolled(make, 14)
    for picture in viz.rolled(make()), viz.unrolled(run, loss=loss), viz.unrolled(run, fold=False), viz.graph(loss):
        print(hashlib.sha256(picture.source.encode()).hexdigest())
"""


def pictures(make: Callable[[], Cell]) -> list[viz.Picture]:
    run, loss = unrolled(make)
    return [viz.rolled(make()), viz.unrolled(run, loss=loss), viz.graph(loss)]


# ---- the same every time
@pytest.mark.parametrize("make", DEFINITIONS)
def test_two_builds_give_the_same_text(make: Callable[[], Cell]) -> None:
    assert [picture.source for picture in pictures(make)] == [picture.source for picture in pictures(make)]


@pytest.mark.slow
def test_the_text_does_not_depend_on_the_seed_of_hashes() -> None:
    program = PROGRAM.format(root=str(ROOT), tests=str(ROOT / "tests" / "helpers"))
    answers = [subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
                              capture_output=True, text=True, check=True).stdout for seed in ("0", "1", "12345")]
    assert answers[0].count("\n") == 4 * len(DEFINITIONS) and answers[0] == answers[1] == answers[2]


# ---- graphviz's own
def test_every_drawing_is_a_digraph_and_its_text_needs_no_painter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    for picture in pictures(elman):
        assert isinstance(picture, graphviz.Digraph) and picture.source.startswith("digraph")
    assert viz.rolled(elman()).pipe(format="dot") == viz.rolled(elman()).source.encode()


def attribute(source: str, key: str, name: str) -> str:
    """An attribute of the node `key`."""
    line = next(line for line in source.splitlines() if line.startswith(f"\t{key} ["))
    found = re.search(rf'\b{name}=("([^"]*)"|[^ \]]+)', line)
    assert found
    return found[1].strip('"')


@pytest.mark.parametrize("make", DEFINITIONS)
def test_the_text_has_every_box_where_the_scene_has_it(make: Callable[[], Cell]) -> None:
    run, loss = unrolled(make)
    for scene, picture in ((draw_rolled(make()).scene, viz.rolled(make())),
                           (draw_run(run, loss, [1, 2, 3, 4]).scene, viz.unrolled(run, loss=loss))):
        assert 'layout=nop2' in picture.source
        for box in scene.boxes:
            x, y = map(float, attribute(picture.source, box.key, "pos").split(","))
            assert (x, y) == pytest.approx((box.x, box.y), abs=0.06)
            assert float(attribute(picture.source, box.key, "width")) * 72 == pytest.approx(box.width, abs=0.01)
        assert picture.source.count(" -> ") == len(scene.arrows)
        assert picture.source.count("subgraph cluster_") == len(scene.frames)


@pytest.mark.parametrize("value, text", [
    (-0.0, "0"), (-0.04, "0"), (0.06, "0.1"), (-3.25, "-3.2"), (12345.67, "12345.7"), (2e6 + 0.3, "2000000")])
def test_numbers_are_written_alike_on_every_machine(value: float, text: str) -> None:
    assert format_number(value) == text


# ---- what can't be drawn
def test_a_definition_that_cannot_be_computed_is_not_drawn() -> None:
    a = Cell().signal("a", 2)
    a[t] = np.tanh(a[t])
    with pytest.raises(DefinitionError, match="a -> a"):
        viz.rolled(a.cell)


def test_a_loss_that_was_not_computed_from_the_run_says_how_to_form_one() -> None:
    run, _ = unrolled(elman)
    with pytest.raises(ValueError, match=r"wasn't computed from this run, .*form it from run\[\.\.\.\]"):
        viz.unrolled(run, loss=mg.Tensor(1.0, requires_grad=True, name="other"))


def test_a_loss_that_was_not_recorded_says_why() -> None:
    run, _ = unrolled(elman)
    with mg.no_grad():
        loss = run["y"].stack().sum()
    with pytest.raises(ValueError, match="no_grad"):
        viz.unrolled(run, loss=loss)


def test_hundreds_of_frames_are_refused_with_what_to_do() -> None:
    n = Cell().signal("n", ())
    n[t] = n[t-1] + 1
    run = n.cell.unroll(T=1001)
    with pytest.raises(ValueError, match=r"a picture of 1001 steps can't be read: draw it with fold=True"):
        viz.unrolled(run, fold=False)
    assert "n[1001]" in viz.unrolled(run).source


def test_a_folded_picture_does_not_grow_with_the_sequence() -> None:
    n = Cell().signal("n", ())
    n[t] = n[t-1] + 1
    lines = [viz.unrolled(n.cell.unroll(T=T)).source.count("\n") for T in (20, 3000)]
    assert lines[0] == lines[1]


def test_a_graph_of_thousands_of_tensors_is_refused_with_what_to_do() -> None:
    x = y = mg.Tensor(1.0, requires_grad=True)
    for _ in range(2001):
        y = y + x
    with pytest.raises(ValueError, match=r"more than 2,000 tensors: too many for a picture\. Draw an earlier one"):
        viz.graph(y)


# ---- any tensor's graph
def test_a_graph_shows_operations_names_shapes_and_gradients() -> None:
    W = mg.Tensor(np.ones((2, 3)), requires_grad=True, name="W")
    y = np.tanh(W @ np.ones(3)).sum()
    y.backward()
    source = viz.graph(y).source
    assert r'label="W\n(2, 3)\n|g| ' in source and r'label="@ array(3,)\n(2,)\n|g| ' in source
    assert r'label="tanh\n(2,)\n|g| ' in source and r'label="sum\n' in source
    assert source.count(" -> ") == 3  # from W, the product, its tanh


def test_a_tensor_that_is_used_twice_is_drawn_once_with_two_arrows() -> None:
    x = mg.Tensor(3.0, requires_grad=True, name="x")
    source = viz.graph(x * x).source
    assert source.count("label=") == 2 and source.count(" -> ") == 2


def test_nan_in_a_graph_is_written_in_its_box() -> None:
    x = mg.Tensor([1.0, np.nan], requires_grad=True, name="x")
    assert re.search(r'label="x\\n\(2,\)\\nNaN"', viz.graph(x * 2).source)


# ---- names
WICKED = ['say "hi"', "back\\slash", "{a|b}", "<script>alert(1)</script>", "<b>bold</b>", "a\nb", "&amp;", "&lt;x&gt;",
          "Größe", "θ_ħ", "隐藏", "😀", "\\N\\G", "%s", "]; node [", "'", "<>", "//", "#", "\\"]


@pytest.mark.parametrize("text", WICKED)
def test_a_literal_label_is_quoted(text: str) -> None:
    quoted = graphviz.Digraph()
    quoted.node("n", label=literal(text))
    line = quoted.source.splitlines()[1]
    assert line.startswith('\tn [label="') and line.endswith('"]')
    assert not re.search(r'(?<!\\)(\\\\)*"', line[len('\tn [label="'):-2])  # no quote ends it early


@pytest.mark.parametrize("name", [name for name in WICKED if name != "\\"])  # see test_painting
def test_a_name_with_markup_adds_nothing_to_the_structure(name: str) -> None:
    def draw(name: str) -> list[str]:
        cell = Cell(name)
        W = mg.Tensor(np.eye(2), requires_grad=True, name=f"W {name}")
        x, h = cell.input(f"x {name}", 2), cell.signal(name, 2)
        h[t] = np.tanh(W @ x[t] + h[t-1])
        run = cell.unroll(**{f"x {name}": np.ones((3, 2))})
        loss = run[name].stack().sum()
        loss.name = name
        return [viz.rolled(cell).source, viz.unrolled(run, loss=loss).source, viz.graph(loss).source]

    for wicked, plain in zip(draw(name), draw("p" * len(name))):
        assert [re.split(r' \[|"', line)[0] for line in wicked.splitlines()[1:]] == [
            re.split(r' \[|"', line)[0] for line in plain.splitlines()[1:]]


def test_definitions_of_every_name_can_be_stored_as_text(tmp_path: Path) -> None:
    cell = feedback()
    path = viz.rolled(cell).render(outfile=tmp_path / "loop.dot")
    assert Path(path).read_text(encoding="utf-8") == viz.rolled(cell).source


def test_drawing_leaves_the_run_as_it_was() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    before: Any = {name: p.data.copy() for name, p in run.parameters.items()}
    viz.unrolled(run, loss=run["y"].stack().sum())
    assert all(np.array_equal(p.data, before[name]) and p.grad is None for name, p in run.parameters.items())
