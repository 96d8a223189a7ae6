"""Both pictures side by side, gradient maps, truncation, contributions, dark ground, graphs, the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import DEFINITIONS, data, elman, feedback, gates, gru, lstm, skips, three_delays, unrolled
from drawings import draw_rolled, draw_run

import minigrad as mg
import viz
from rnn import Cell, Run, t
from viz.__main__ import main
from viz.annotations.heat import THIN, UNKNOWN, WIDE
from viz.layout.folding import Tensors
from viz.layout.step_graph import Edge, Part, StepGraph, assign_layers
from viz.layout.unrolled_layout import UnrolledSpec
from viz.pictures.gradient_map import map_scene
from viz.pictures.side_by_side import side_by_side, unroll_zeros
from viz.pictures.unrolled import UnrolledDrawing
from viz.render import palette
from viz.render.digraph import darken_scene
from viz.render.scene import Scene

ALL = [*DEFINITIONS, lstm, gru, gates, skips, three_delays]


# ---- rolled and unrolled side by side
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
    assert 'label="h(t)"' in source and 'label="h(3)"' in source
    with pytest.raises(ValueError, match="steps=0: unroll 1 … 1000 steps"):
        viz.both(elman(), steps=0)


# ---- imports
def test_pictures_import_neither_the_debugger_nor_the_stepper_page() -> None:
    program = "import sys, viz; print([m for m in sys.modules if 'debugger' in m or 'stepper_page' in m])"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"


# ---- without a run
def test_an_unrolled_picture_is_drawn_from_plain_data() -> None:
    x, h = Part("x", None, 0, "x", palette.INPUT), Part("h", None, 0, "h", palette.STATE)
    graph = StepGraph([x, h], [Edge(x, h, 0), Edge(h, h, 1)])
    assign_layers(graph)
    tensors: Tensors = {x: dict.fromkeys(range(1, 4)), h: dict.fromkeys(range(4))}
    drawing = UnrolledDrawing(UnrolledSpec("by hand", 3, graph, tensors, [1, 3]))
    assert not drawing.scene.boxes and not drawing.scene.arrows
    scene = drawing.draw().scene
    labels = {box.key: box.label.split("\n")[0] for box in scene.boxes}
    assert sorted(labels.values()) == ["h(0)", "h(1)", "h(3)", "x(1)", "x(3)", "⋯"]
    assert sorted((labels[arrow.source], labels[arrow.target]) for arrow in scene.arrows) == [
        ("h(0)", "h(1)"), ("h(1)", "⋯"), ("x(1)", "h(1)"), ("x(3)", "h(3)"), ("⋯", "h(3)")]


# ---- gradient maps
def strips(scene: Scene) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {}
    for box in scene.boxes:
        if box.key.startswith("g"):
            rows.setdefault(box.tooltip.split("[")[0], []).append(box)
    return rows


@pytest.mark.parametrize("T, colours", [(5, 5), (100, 100), (1000, 1000), (2500, 834)])
def test_a_gradient_map_has_a_colour_for_every_step_as_far_as_it_can(T: int, colours: int) -> None:
    run, _ = unrolled(elman, T, batch=())
    scene = map_scene(run)
    rows = strips(scene)
    assert list(rows) == ["h", "y"] and all(len(row) == colours for row in rows.values())
    assert rows["h"][0].y < rows["y"][0].y
    for row in rows.values():
        assert [box.x for box in row] == sorted(box.x for box in row)
        assert row[-1].right - row[0].left <= 900.001
    left, bottom, right, top = scene.bounds()
    assert right - left < 1200 and top - bottom < 300


def test_a_gradient_map_shows_a_gradient_that_vanishes() -> None:
    run, _ = unrolled(feedback, 60)
    for name in run.cell.signals:
        for k in range(1, 61):
            run[name][k].grad = None
    (run["h3"][60] ** 2).sum().backward()
    row = strips(map_scene(run))["h1"]
    assert "[60] |g| " in row[-1].tooltip
    greens = [int(box.paint.fill[3:5], 16) for box in row]
    assert np.mean(greens[:10]) > np.mean(greens[-10:]) + 60
    assert strips(map_scene(run))["y"][0].paint.fill == UNKNOWN


def test_an_axis_has_round_numbers() -> None:
    run, _ = unrolled(elman, 100, batch=())
    numbers = [text.text for text in map_scene(run).texts if text.text.isdigit()]
    assert numbers == ["1", "10", "20", "30", "40", "50", "60", "70", "80", "90", "100"]


def test_one_of_several_steps_with_nan_is_seen() -> None:
    run, _ = unrolled(elman, 2000, batch=())
    grad = run["h"][777].grad
    assert grad is not None
    grad[0] = np.nan
    bad = [box for box in strips(map_scene(run))["h"] if "nan" in box.tooltip]
    assert len(bad) == 1 and "777" in bad[0].tooltip


def test_a_map_without_gradients_is_refused() -> None:
    cell = Cell()
    n = cell.signal("n", ())
    n[t] = n[t-1] + 1
    with pytest.raises(ValueError, match=r"no signal of .* requires a gradient"):
        viz.gradient_map(cell.unroll(T=3))


# ---- truncation and contributions
def truncated(make: Callable[[], Cell], level: str = "signals", **how: Any) -> tuple[Run, Scene]:
    cell = make()
    run = cell.unroll(**data(cell, 6), **how)
    output = run["y" if "y" in run else "h"].stack()
    loss = (output * output).mean()
    loss.backward()
    return run, draw_run(run, loss, range(1, 7), level).scene


@pytest.mark.parametrize("how", [{"chunks": 2}, {"last": 3}, {"window": (2, 3)}, {}])
@pytest.mark.parametrize("make", [elman, feedback, gates, gru, three_delays])
def test_every_cut_edge_is_grey_and_dashed_and_no_other(make: Callable[[], Cell], how: dict[str, Any]) -> None:
    run, scene = truncated(make, **how)
    boxes = {box.key: box.tooltip.split(" ")[0] for box in scene.boxes}
    dashed = sorted((boxes[a.source], boxes[a.target]) for a in scene.arrows if a.dashed)
    assert dashed == sorted((repr(source), repr(target)) for source, target in run.cuts())
    assert all(a.color == palette.CUT for a in scene.arrows if a.dashed)
    marks = [text for text in scene.texts if text.text == "✂"]
    assert bool(marks) == bool(dashed) and len(marks) <= len(dashed)


def test_cuts_are_drawn_among_operations_too() -> None:
    _, scene = truncated(elman, "ops", chunks=3)
    boxes = {box.key: box.label for box in scene.boxes}
    assert [(boxes[a.source], boxes[a.target]) for a in scene.arrows if a.dashed] == [("h(3)", "U @")]


def test_contributions_are_widths() -> None:
    run, _ = unrolled(elman, 5)
    loss = (run["y"][5] ** 2).sum()
    for name in run.cell.signals:
        for k in range(1, 6):
            run[name][k].grad = None
    for parameter in run.parameters.values():
        parameter.grad = None
    loss.backward()
    scene = draw_run(run, loss, range(1, 6), contributions=True).scene
    boxes = {box.key: box.label for box in scene.boxes}
    pens = {boxes[a.target]: a.pen for a in scene.arrows if boxes[a.source].startswith("x")}
    norms = np.linalg.norm(run.contributions("W").reshape(5, -1), axis=1)
    assert [pens[f"h({k})"] for k in range(1, 6)] == pytest.approx(THIN + (WIDE - THIN) * norms / norms.max())
    pens = {boxes[a.target]: a.pen for a in scene.arrows if boxes[a.target].startswith("y")}
    assert pens == {**{f"y({k})": THIN for k in range(1, 5)}, "y(5)": WIDE}


def test_contributions_before_backward_say_what_to_do() -> None:
    cell = elman()
    with pytest.raises(ValueError, match=r"call loss\.backward\(\) first"):
        viz.unrolled(cell.unroll(**data(cell)), contributions=True)


# ---- dark ground
def test_dark_pictures_have_light_text_on_dark_ground_at_the_same_places() -> None:
    run, loss = unrolled(elman)
    light, dark = viz.unrolled(run, loss), viz.unrolled(run, loss, dark=True)
    assert re.findall(r'pos="[^"]*"', light.source) == re.findall(r'pos="[^"]*"', dark.source)
    assert "bgcolor=white" in light.source and 'bgcolor="#1A1A1A"' in dark.source
    for make in (viz.rolled, viz.both):
        assert 'bgcolor="#1A1A1A"' in make(elman(), dark=True).source
    assert 'bgcolor="#1A1A1A"' in viz.gradient_map(run, dark=True).source


def luminance(color: str) -> float:
    channels = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_its_box(dark: bool) -> None:
    """WCAG 2's contrast of 4.5 for text."""
    run, loss = unrolled(lstm, 3)
    scene = draw_run(run, loss, [1, 2, 3], "ops", heat=True).scene
    scene.boxes += draw_rolled(lstm()).scene.boxes
    text = palette.dark(palette.TEXT) if dark else palette.TEXT
    for box in (darken_scene(scene) if dark else scene).boxes:
        lighter, darker = sorted((luminance(text), luminance(box.paint.fill)), reverse=True)
        assert not box.label or (lighter + 0.05) / (darker + 0.05) > 4.5, box.label


# ---- any tensor's graph
def test_a_graph_shows_what_is_asked_for() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    assert r'label="x\n(2,)\n|g| 4.5e+00"' in viz.graph(y).source
    assert r'label="x\n1, 2"' in viz.graph(y, ["data", "name"]).source
    assert re.search(r'label="Mul\\ntest_more\.py:\d+"', viz.graph(y, ["operation", "line"]).source)
    assert "label=5 " in viz.graph(y, ["data"]).source and "·" in viz.graph(y, []).source


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


# ---- the command line
FILE = '''
import numpy as np
import minigrad as mg
from rnn import Cell, t
W = mg.Tensor(np.eye(2), requires_grad=True, name="W")
net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
h[t] = np.tanh(W @ x[t] + h[t-1])
run = net.unroll(x=np.ones((60, 2)))
loss = run["h"].stack().sum()
loss.backward()
number = 3
if __name__ == "__main__":
    raise SystemExit("run as a script")
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("options, wanted", [
    ("net", ["h(t)", "net, rolled"]), ("net --level ops", ["tanh", "W @"]), ("net --unroll 3", ["h(3)", "T = 3"]),
    ("net --unroll 60 --steps 1,2,50", ["h(50)", "× 47 steps"]), ("run --level ops", ["h(60)", "tanh"]),
    ("run --values --heat --dark", ["|gradient|", "#1A1A1A"]), ("W", ["(2, 2)"])])
def test_the_command_line_draws_what_is_named(options: str, wanted: list[str], file: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    name, *rest = options.split()
    picture = file.parent / "picture.dot"
    assert main([f"{file}:{name}", *rest, "-o", str(picture)]) == 0
    source = picture.read_text(encoding="utf-8")
    assert all(word in source for word in wanted)
    assert capsys.readouterr() == (f"{picture}\n", "")


def test_a_file_does_not_see_the_arguments_of_viz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.py"
    path.write_text("import sys\nassert len(sys.argv) == 1\n" + FILE)
    monkeypatch.setattr("sys.argv", ["viz", "something"])
    assert main([f"{path}:net", "-o", str(tmp_path / "net.dot")]) == 0
    assert sys.argv == ["viz", "something"]


@pytest.mark.parametrize("what, options, message", [
    ("model.py:nothing", "", "model.py has no 'nothing'; it has W, net, run, loss that can be drawn"),
    ("model.py", "", "'model.py' is not of the form FILE.py:NAME"), ("none.py:net", "", "there is no file 'none.py'"),
    ("model.py:number", "", "a int can't be drawn: name a Cell, an unrolled run or a Tensor"),
    ("model.py:net", "--steps 1,2", "--steps is for a run: give --unroll T too"),
    ("model.py:net", "--unroll 9 --steps 1,x", "--steps 1,x: write whole numbers between commas"),
    ("model.py:net", "--unroll 9 --steps 12", "choose one or more of the run's steps, 1 … 9"),
    ("model.py:net", "--unroll 0", "--unroll 0: unroll 1 step or more"),
    ("model.py:run", "--unroll 3", "--unroll is for a Cell, not for a Run"),
    ("broken.py:net", "", "broken.py:2: ZeroDivisionError: division by zero"),
    ("undefined.py:net", "", "a signal is used but never defined")])
def test_the_command_line_says_in_one_line_what_is_wrong(
        what: str, options: str, message: str, file: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(file.parent)
    Path("broken.py").write_text("x = 1\nx / 0\n")
    Path("undefined.py").write_text("from rnn import Cell, t\nnet = Cell()\na = net.signal('a', 2)\n"
                                    "b = net.signal('b', 2)\na[t] = b[t]\n")
    before = sorted(path.name for path in file.parent.iterdir())
    assert main([what, *options.split(), "-o", "picture.dot"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("viz: ") and message in err and err.count("\n") == 1
    assert sorted(path.name for path in file.parent.iterdir()) == before


def test_a_definition_with_labels_is_drawn_in_both_forms() -> None:
    cell = Cell("labels")
    x, label, loss = cell.input("x", 3), cell.input("label", ()), cell.signal("L", ())
    loss[t] = mg.losses.cross_entropy(x[t], label[t], reduction="none")
    assert "label" in viz.both(cell, steps=2).source
