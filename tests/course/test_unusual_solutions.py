"""No correct solution fails, however unusual: all checks, the hidden ones too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from unusual_solutions import UNUSUAL

from examples.assignments.check import SEED, check, checked, parts, submitted
from examples.assignments.check import main as run_check
from examples.assignments.grading import Outcome, Unreadable, hidden
from examples.assignments.make import notebook, source

HIDDEN_SEED = 77


def failed(outcomes: list[Outcome]) -> list[str]:
    return [f"{one.check.name}: {one.finding.cause}" for one in outcomes if one.finding is not None]


def test_there_are_many() -> None:
    assert sum(len(some) for some in UNUSUAL.values()) >= 60 and min(map(len, UNUSUAL.values())) >= 10


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_correct_solution_earns_everything(name: str) -> None:
    files = {f"{what}.py": f"{source(name)}\n{code}" for what, code in UNUSUAL[name].items()}
    others = [replace(part, checks=hidden(part.checks)) for part in parts(name, HIDDEN_SEED, True)]
    wrong: dict[str, list[str]] = {}
    for part in [*parts(name), *others]:
        for file, result in checked(part, files, SEED).items():
            wrong[file] = wrong.get(file, []) + failed(result.outcomes)
    assert {file: some for file, some in wrong.items() if some} == {}


# ---- the form of the file
@pytest.mark.parametrize("encoded", [
    lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(), lambda text: text.rstrip("\n").encode(),
    lambda text: ("# σ\n" + text).encode()], ids=["BOM", "CRLF", "CR", "no newline at the end", "UTF-8"])
def test_a_file_of_any_form_is_read(encoded: object, tmp_path: Path) -> None:
    (tmp_path / "a2.py").write_bytes(encoded(source("a2")))  # type: ignore[operator]
    assert failed([one for result in check("a2", tmp_path / "a2.py") for one in result.outcomes]) == []


def test_helper_files_are_handed_in_beside_it(tmp_path: Path) -> None:
    text = source("a3").replace("def sigmoid", "from cells import my_sigmoid\nimport limits, os as m\n\n\ndef other")
    (tmp_path / "a3.py").write_text(text.replace("sigmoid(x @", "my_sigmoid(x @"))
    (tmp_path / "cells.py").write_text("from limits import half\n\n\ndef my_sigmoid(z):\n    import numpy as np\n"
                                       "    return half * (1 + np.tanh(half * z))\n")
    (tmp_path / "limits.py").write_text("half = 0.5\n")
    (tmp_path / "unread.py").write_text("raise SystemExit\n")
    assert failed([one for result in check("a3", tmp_path / "a3.py") for one in result.outcomes]) == []


def test_a_helper_keeps_nothing_from_question_to_question(tmp_path: Path) -> None:
    (tmp_path / "a4.py").write_text(source("a4").replace("from __future__ import annotations", "import kept\n"
                                                         "kept.seen.append(1)\nassert len(kept.seen) == 1"))
    (tmp_path / "kept.py").write_text("seen = []\n")
    assert failed([one for result in check("a4", tmp_path / "a4.py") for one in result.outcomes]) == []


def test_a_helper_that_is_missing_or_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a2.py").write_text(source("a2").replace("from collections", "import utils\nfrom collections"))
    assert run_check(["a2", str(tmp_path / "a2.py"), "--no-pictures"]) == 1
    said = capsys.readouterr().out
    assert "No module named 'utils' (a file of your own must be handed in too, beside this one and in no folder of " \
        "its own)" in said
    (tmp_path / "utils.py").write_text("x = 1\ny = x / 0\n")
    assert run_check(["a2", str(tmp_path / "a2.py"), "--no-pictures"]) == 1
    assert "the file raised ZeroDivisionError: division by zero at line 2 of utils.py: `y = x / 0`" \
        in capsys.readouterr().out


def test_no_helper_stands_for_what_is_forbidden_or_for_a_library(tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a2.py").write_text("import numpy\nassert numpy.pi > 3\nimport torch\n")
    (tmp_path / "numpy.py").write_text("pi = 0\n")
    (tmp_path / "torch.py").write_text("")
    assert run_check(["a2", str(tmp_path / "a2.py"), "--no-pictures"]) == 1
    assert "no module 'torch' here (this assignment is to be done without it)" in capsys.readouterr().out


def test_a_link_is_no_helper(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x = 1\n")
    (tmp_path / "a2.py").write_text("import utils\n")
    try:
        (tmp_path / "utils.py").symlink_to(tmp_path / "secret.txt")
    except OSError:
        pytest.skip("no right to make links")
    with pytest.raises(Unreadable, match=r"utils\.py can't be read: it is a link"):
        check("a2", tmp_path / "a2.py")


def test_a_submission_may_have_a_folder_around_it(tmp_path: Path) -> None:
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "a3.py").write_text("")
    (tmp_path / "homework").mkdir()
    (tmp_path / "homework" / "a3.py").write_text(source("a3"))
    (tmp_path / "homework" / "utils.py").write_text("")
    assert submitted(tmp_path, "a3") == tmp_path / "homework" / "a3.py"
    (tmp_path / "a3.ipynb").write_text(json.dumps(notebook(source("a3"))))
    assert submitted(tmp_path, "a3") == tmp_path / "a3.ipynb"
