"""docs/extensions: which cells open in the playground, pictures on a dark page, docstrings as the reference."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from painters import CAN_PAINT

import viz
from minigrad import numpy_ops, ops
from rnn import Cell, Run, Signal, sequences, t
from viz.playground.examples import TITLES

pytest.importorskip("sphinx", reason='no Sphinx: pip install -e ".[docs]"')
nodes = pytest.importorskip("docutils.nodes")
EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"


@pytest.fixture(autouse=True)
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENSIONS))


# ---- links into the playground
def page(*cells: tuple[str, list[str]]) -> Any:
    """Return a page of code cells, each with its tags, as myst-nb makes it."""
    made = nodes.container()
    for source, tags in cells:
        cell = nodes.container("", nb_element="cell_code", cell_metadata={"tags": tags})
        if "remove-input" not in tags:
            cell += nodes.container("", nodes.literal_block("", source), nb_element="cell_code_source")
        made += cell
    return made


def linked(*cells: tuple[str, list[str]], complete: bool = False) -> list[str]:
    import playground

    return [program for _, program, _ in playground.programs(page(*cells), complete)]


IMPORTS = ("import numpy as np\nimport viz\nfrom rnn import Cell, t", [])
PICTURE = ("viz.rolled(cell)", [])


def test_a_cell_that_ends_with_a_picture_opens_with_the_cells_before_it() -> None:
    assert linked(IMPORTS, ("print(1)", []), PICTURE) == [f"{IMPORTS[0]}\n\nprint(1)\n\nviz.rolled(cell)\n"]


def test_a_link_has_the_view_and_the_choices_of_the_picture() -> None:
    import playground

    wanted = {
        "viz.unrolled(run, loss=loss, heat=True)": {"view": "pictures", "heat": True, "level": "signals"},
        "run = 1\nviz.rolled(cell, level='ops')": {"view": "pictures", "heat": False, "level": "ops"},
        "viz.gradient_map(run)": {"view": "gradients", "heat": False, "level": "signals"},
        "viz.unrolled(run, step=step)": {"view": "steps", "heat": False, "level": "signals"},
        "viz.animate(loss)": None, "print(viz.rolled(cell))": None, "": None,
    }
    assert {source: playground.choices_of_picture(source) for source in wanted} == wanted


def test_other_packages_are_not_in_the_playground() -> None:
    assert linked(IMPORTS, ("import matplotlib.pyplot as plt", []), PICTURE) == []
    assert linked(IMPORTS, ("from torch import nn", []), PICTURE) == []
    assert len(linked(IMPORTS, ("import itertools, os.path", []), PICTURE)) == 1


def test_a_tag_adds_a_link_and_another_leaves_a_cell_out_of_all_programs() -> None:
    assert linked(IMPORTS, ("run = cell.unroll(T=4)", ["try"])) == [f"{IMPORTS[0]}\n\nrun = cell.unroll(T=4)\n"]
    assert linked(IMPORTS, ("viz.rolled(slow)", ["no-try"]), PICTURE) == [f"{IMPORTS[0]}\n\nviz.rolled(cell)\n"]


def test_each_cell_of_a_page_of_complete_programs_is_one() -> None:
    cells = ("import os", ["remove-input"]), ("print(1)", []), ("print(2)", ["no-try"]), ("import torch", []), PICTURE
    assert linked(*cells, complete=True) == ["print(1)\n", "viz.rolled(cell)\n"]


def test_a_program_never_lacks_a_hidden_cell() -> None:
    assert linked(IMPORTS, ("cell = hidden()", ["remove-input"]), PICTURE) == []


def test_without_npm_one_line_says_that_the_playground_is_left_out(monkeypatch: pytest.MonkeyPatch,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    import playground

    monkeypatch.setattr(shutil, "which", lambda name: None)
    config = SimpleNamespace(playground=True)
    playground.check_npm(None, config)
    assert config.playground is False
    assert re.fullmatch(r"docs: the playground is left out.* npm, which isn't installed\n", capsys.readouterr().err)


def test_the_programs_of_the_playground_have_the_names_of_its_menu() -> None:
    text = (EXTENSIONS.parent / "playground.md").read_text(encoding="utf-8")
    links = re.findall(r"^- {playground}`(.*) <(\w+)>`$", text, re.MULTILINE)
    assert links == [(title, name) for name, title in TITLES.items()]


# ---- pictures
@pytest.mark.skipif(not CAN_PAINT, reason="nothing paints")
@pytest.mark.parametrize("heat", [False, True])
def test_a_picture_on_a_dark_page_has_the_colours_of_a_dark_picture(tmp_path: Path, heat: bool) -> None:
    import pictures

    cell = Cell("net")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(x[t] + 0.5 * h[t-1])
    run = cell.unroll(x=np.ones((3, 1, 2)))
    light, dark = (viz.unrolled(run, values=heat, dark=dark).pipe("svg", encoding="utf-8") for dark in (False, True))
    (tmp_path / "_images").mkdir()
    file = tmp_path / "_images" / "net.svg"
    file.write_text(light, encoding="utf-8")
    pictures.add_dark_colors(SimpleNamespace(outdir=tmp_path), None)
    both = re.findall(r"(?:fill|stroke):light-dark\((#\w+),(#\w+)\)", file.read_text(encoding="utf-8"))
    assert [new.lower() for _, new in both] == re.findall(r'(?:fill|stroke)="(#\w{6})"', dark)
    assert len(both) > 20
    first = file.read_text(encoding="utf-8")
    pictures.add_dark_colors(SimpleNamespace(outdir=tmp_path), None)  # an incremental build
    assert file.read_text(encoding="utf-8") == first


# ---- docstrings
def rst(text: str, what: str = "function") -> list[str]:
    import docstrings

    lines = text.split("\n")
    docstrings.as_rst(None, what, "name", SimpleNamespace(__doc__=text), None, lines)
    return lines


def test_returns_is_text_and_no_type() -> None:
    assert rst("Draw.\n\nReturns:\n    The page: a file.") == ["Draw.", "", ":returns:", "    The page: a file."]


def test_an_entry_for_several_names_is_one_for_each() -> None:
    assert rst("Args:\n    a, b: numbers,\n        or arrays.") == [
        "Args:", "    a: numbers,", "        or arrays.", "    b: numbers,", "        or arrays."]


def test_a_formula_stays_as_it_is_written() -> None:
    assert rst("Return |x|:\n\n    y = |x| * 2") == ["Return \\|x\\|:", "", "::", "", "    y = |x| * 2"]


def code(operation: Any) -> str:
    import docstrings

    lines: list[str] = []
    docstrings.with_formulas(None, "class", "name", operation, None, lines)
    return "\n".join(line[4:] for line in lines[3:])


def test_an_operation_is_shown_as_its_formula_and_its_derivative_under_each_other() -> None:
    assert code(ops.Tanh) == """class Tanh(Elementwise, ufunc=np.tanh):
    def forward(self, x: Array) -> Array:
        return np.tanh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (1 - out * out)
"""


def test_the_first_line_of_an_operation_says_from_which_class_it_has_the_rest() -> None:
    assert re.match(r"class Floor\(Step.*\):\n    def forward", code(numpy_ops.Floor))
    assert "backward" not in code(numpy_ops.Floor)
    assert re.match(r"class MatVec\(Op(?:.|\n)*\):\n    def forward", code(ops.MatVec))  # on several lines


def test_other_classes_have_no_code_in_the_reference() -> None:
    assert code(Run) == code(ops.Op) == ""


def test_a_default_value_that_is_a_function_of_numpys_is_written_as_one_writes_it() -> None:
    import docstrings

    assert docstrings.with_aliases("(activation=<ufunc 'tanh'>, size: int)") == "(activation=np.tanh, size: int)"


def test_the_arguments_of_a_class_that_programs_do_not_call_are_left_out() -> None:
    import docstrings

    assert docstrings.short_signature(None, "class", "rnn.Signal", Signal, None, "(cell, origin)", None) == ("", None)
    assert docstrings.short_signature(None, "class", "rnn.Cell", Cell, None, "(name)", None) == ("(name)", None)


def test_a_former_name_of_a_function_is_left_out() -> None:
    import docstrings

    assert docstrings.is_left_out(None, "module", "padded", sequences.padded, False, None)
    assert not docstrings.is_left_out(None, "module", "pad", sequences.pad, False, None)


METHODS = [x for owner in (Cell, Run) for name, x in inspect.getmembers(owner, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize("method", METHODS, ids=lambda x: x.__qualname__)
def test_a_method_describes_no_argument_that_a_call_does_not_have(method: Any) -> None:
    section = re.search(r"Args:\n((?: {4,}.*\n?)+)", inspect.getdoc(method) or "")
    described = re.findall(r"^    (\w+(?:, \w+)*):", section[1] if section else "", re.MULTILINE)
    taken = [*inspect.signature(method).parameters][1:]
    assert {name for names in described for name in names.split(", ")} <= set(taken)
