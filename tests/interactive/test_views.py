"""What a notebook shows of each object, and the names that it completes; no notebook runs here."""

from __future__ import annotations

import base64
import importlib
import re
import xml.etree.ElementTree as ET
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman
from painters import painting

import minigrad
import minigrad as mg
import minigrad.debugger
import rnn
import viz
from rnn import Cell, Run, t
from rnn.language.latex import equations_latex

ROOT = Path(__file__).parents[2]
X = np.ones((5, 2, 3))
SVG, MARKDOWN, LATEX, TEXT = "image/svg+xml", "text/markdown", "text/latex", "text/plain"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register viz as pyproject.toml does, in whatever state the installation is."""
    monkeypatch.setattr("importlib.metadata.entry_points",
                        lambda group, name: [EntryPoint(name, f"viz:{name}", group)] if hasattr(viz, name) else [])


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **group: [])


def image(markdown: str) -> ET.Element:
    """Return the SVG that an image in Markdown contains."""
    found = re.search(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="[^"]+" style="max-width: 100%">', markdown)
    assert found
    return ET.fromstring(base64.b64decode(found[1]))


def run_of(T: int = 4) -> Run:
    return elman().unroll(x=np.ones((T, 2, 3)))


def test_every_picture_that_is_declared_exists() -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert {"graph", "rolled", "unrolled", "backward"} == set(declared["minigrad.pictures"])
    for place in declared["minigrad.pictures"].values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@painting
def test_a_cell_shows_its_graph_and_its_equations(registered: None) -> None:
    cell = elman()
    forms = cell._repr_mimebundle_()
    assert forms[TEXT] == repr(cell) and forms[SVG] == viz.rolled(cell)._repr_mimebundle_()[SVG]
    assert ET.tostring(image(forms[MARKDOWN])) == ET.tostring(ET.fromstring(forms[SVG].encode()))
    assert forms[MARKDOWN].endswith(f"$$\n{equations_latex(cell)}\n$$")
    assert equations_latex(cell) in forms[LATEX]


def test_a_cell_shows_its_equations_where_nothing_draws(no_pictures: None) -> None:
    forms = elman()._repr_mimebundle_()
    assert set(forms) == {TEXT, MARKDOWN, LATEX} and forms[MARKDOWN] == f"$$\n{equations_latex(elman())}\n$$"


def test_a_cell_that_cannot_be_drawn_or_has_no_equations_is_still_shown(registered: None) -> None:
    cell = Cell("loop")
    a, b = cell.signal("a", 2), cell.signal("b", 2)
    assert cell._repr_mimebundle_() == {TEXT: repr(cell)}
    a[t], b[t] = b[t] + 1, a[t] * 2  # a cycle without a delay
    assert r"a_{t} &= b_{t} + 1" in cell._repr_mimebundle_()[LATEX]


@painting
def test_a_run_shows_its_graph_and_its_signals(registered: None) -> None:
    run = run_of()
    forms = run._repr_mimebundle_()
    image(forms[MARKDOWN])
    assert forms[TEXT] == repr(run) and "T = 4" in ET.tostring(ET.fromstring(forms[SVG].encode()), "unicode")
    assert forms[MARKDOWN].splitlines()[-3:] == [
        "| `x[1]` … `x[4]` | (2, 3) | the data |",
        "| `h[1]` … `h[4]` | (2, 4) | `h[t] = tanh(W @ x[t] + U @ h[t-1] + b)` |",
        "| `y[1]` … `y[4]` | (2, 2) | `y[t] = V @ h[t]` |"]


@painting
def test_of_a_long_run_the_picture_shows_a_few_steps(registered: None) -> None:
    forms = run_of(1000)._repr_mimebundle_()
    assert "`h[1000]`" in forms[MARKDOWN] and len(forms[SVG]) < 3 * len(run_of(4)._repr_mimebundle_()[SVG])


def test_a_run_of_very_many_signals_is_shown_without_a_picture(registered: None) -> None:
    cell = Cell("many")
    for number in range(61):
        h = cell.signal(f"h{number}", 1)
        h[t] = h[t-1] * 0.5
    forms = cell.unroll(T=2)._repr_mimebundle_()
    assert set(forms) == {TEXT, MARKDOWN} and "`h60[2]`" in forms[MARKDOWN] and "<img" not in forms[MARKDOWN]


def test_a_bar_in_a_formula_does_not_end_the_cell_of_the_table(no_pictures: None) -> None:
    cell = Cell("c")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = mg.where((x[t] > 0) | (x[t] < -1), x[t], 0.0)
    [*_, row] = cell.unroll(x=np.ones((3, 2)))._repr_mimebundle_()[MARKDOWN].splitlines()
    assert row.count("|") - row.count("\\|") == 4 and r"\|" in row


@painting
def test_a_picture_is_never_wider_than_the_column_of_a_notebook(tmp_path: Path) -> None:
    narrow, wide = viz.graph(mg.tanh(mg.Tensor([1.0], requires_grad=True))), viz.unrolled(run_of())
    for picture, forms in ((narrow, {SVG}), (wide, {SVG, MARKDOWN})):
        shown = picture._repr_mimebundle_()
        assert set(shown) == forms
        root = ET.fromstring(shown[SVG].encode())
        assert root.get("style") == "max-width: 100%; height: auto"
        _, _, width, height = map(float, root.get("viewBox", "").split())
        assert (root.get("width"), root.get("height")) == (f"{width:.0f}pt", f"{height:.0f}pt")
    assert ET.tostring(image(shown[MARKDOWN])) == ET.tostring(root)
    file = Path(wide.render(outfile=tmp_path / "wide.svg"))
    assert "max-width" not in file.read_text(encoding="utf-8")
    assert set(wide._repr_mimebundle_(include=["image/png"])) == {"image/png"}


def test_pictures_and_programs_say_what_they_are() -> None:
    assert re.fullmatch(r"<Picture 'elman', \d+ x \d+ points: .render\(outfile=...\) writes it>",
                        repr(viz.rolled(elman())))
    fast = elman().compile()
    assert repr(fast) == "<Compiled 'elman': not called yet; .source is its program>"
    fast(x=X)
    assert repr(fast) == "<Compiled 'elman': called on T = 5, batch (2,); .source is its program>"
    cell = Cell("c")
    loss = cell.signal("L", ())
    loss[t] = loss[t-1] * 0.5
    assert repr(cell.compile("L", "mean")).startswith("<Compiled 'c', loss L (mean): not called yet")


# ---- completion
def test_square_brackets_complete_the_signals_that_they_take() -> None:
    run, outputs = run_of(), elman().compile()(x=X)
    windowed = elman().unroll(x=X, window=(1, 2))
    step = elman().compile().stream(batch=None)(x=np.ones(3))
    for owner, names in ((run, ["x", "h", "y"]), (windowed.windows[0], ["x", "h", "y"]), (outputs, list(outputs)),
                         (step, list(step))):
        found = owner._ipython_key_completions_()
        assert found == names and all(owner[name] is not None for name in found)


@pytest.mark.parametrize("module", [minigrad, rnn, viz, rnn.cells, minigrad.debugger], ids=lambda x: x.__name__)
def test_completion_offers_the_public_names_of_a_package(module: Any) -> None:
    assert dir(module) == sorted(module.__all__) and all(hasattr(module, name) for name in dir(module))


@pytest.mark.parametrize(("module", "some"), [
    (rnn.cells.modern, {"mamba", "lru", "delta_net"}), (rnn.cells.memory, {"attention", "stack", "turing_machine"}),
    (rnn.sequences, {"pad", "streams", "chunks"}), (rnn.interop, {"from_torch", "to_onnx", "split"}),
    (mg.losses, {"mse", "cross_entropy"}), (mg.init, {"glorot", "orthogonal"}), (mg.optim, {"Adam", "clip_grad_norm"}),
    (mg.schedules, {"cosine", "warmup"})], ids=lambda x: getattr(x, "__name__", ""))
def test_completion_offers_what_a_module_defines_and_nothing_that_it_imports(module: Any, some: set[str]) -> None:
    assert some <= set(dir(module))
    assert not {"np", "Any", "Tensor", "call_site", "math", "annotations"} & set(dir(module))
    assert not [name for name in dir(module) if name.startswith("_")]
