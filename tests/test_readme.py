"""Every block of the README runs as typed, top to bottom, and prints what the README says.

- Python blocks are one program, model.py, that grows block by block: names are shared, line numbers go on.
- A block without a language after a Python block is what that block prints, a traceback included.
- A block that begins with `$` is a session: a command, and what is typed at its prompts.
- Shell blocks run in a folder that holds model.py; .ci/run runs those that create an environment.

The output is compared by tests/helpers/sessions.py: `...` matches any text, fractions agree to 3 %.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import re
import shlex
import shutil
import subprocess
import sys
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from painters import painting
from sessions import ENVIRONMENT, assert_prints, assert_session

import minigrad

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block, and where it begins."""

    language: str
    text: str
    line: int


BLOCKS = [Block(found[1], found[2], README.count("\n", 0, found.start()) + 2)
          for found in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "sh"]
SESSIONS = [block for block in BLOCKS if not block.language and block.text.startswith("$ ")]
PRINTED = {before: block for before, block in pairwise(BLOCKS) if not block.language and block not in SESSIONS}


def run(block: Block, above: int, names: dict[str, Any]) -> str:
    """Execute a block of model.py that has `above` lines before it; what it prints, with the traceback of an error."""
    code = "\n" * above + block.text
    linecache.cache["model.py"] = (len(code), None, code.splitlines(True), "model.py")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, "model.py", "exec"), names)
        except Exception as error:
            if block not in PRINTED:
                raise
            out.write("".join(traceback.format_exception(error)))
    return out.getvalue()


@painting
def test_the_python_blocks_run_in_order_and_print_what_they_say(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    above = 0
    for block in PYTHON:
        printed = run(block, above, names)
        above += block.text.count("\n")
        if block in PRINTED:
            assert_prints(printed, PRINTED[block].text, f"README.md:{PRINTED[block].line}")
        if block is PYTHON[0]:
            assert sorted(path.name for path in tmp_path.iterdir()) == ["elman.png", "elman_T.png"]
            assert "step 5 of 28 (next): <y[4] matvec (16, 2)" in printed and "def " in printed
    assert {"steps.html", "bptt.py"} <= {path.name for path in tmp_path.iterdir()}


@painting
@pytest.mark.parametrize("block", SESSIONS, ids=lambda block: block.text.splitlines()[0])
def test_a_session_reads_as_the_program_prints_it(block: Block, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(PYTHON[0].text, encoding="utf-8")
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "vanishing.py", tmp_path / "examples")
    assert_session(block.text, tmp_path, f"README.md:{block.line}")


@painting
def test_the_shell_blocks_run(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(PYTHON[0].text, encoding="utf-8")
    blocks = [block.text for block in SHELL if not block.text.startswith("python3 -m venv")]
    commands = [line for text in blocks for line in text.splitlines()]
    assert commands
    for command in commands:
        done = subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=tmp_path, env=ENVIRONMENT,
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "elman.svg").read_bytes().startswith(b"<?xml")


def test_the_two_commands_are_run_by_ci() -> None:
    environments = [block.text for block in SHELL if block.text.startswith("python3 -m venv")]
    assert len(environments) == 2 and all(text.count("\n") == 1 for text in environments)
    assert "'/^python3 -m venv /p' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert [block.line for block in BLOCKS
            if block not in [*PYTHON, *SHELL, *SESSIONS, *PRINTED.values()] and block.language != "json"] == []
    assert all(before in PYTHON for before in PRINTED)
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)


def test_every_path_that_is_named_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:minigrad|rnn|viz|examples|benchmarks|docs|tests)/[\w/.]*)`", README):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (examples\.\w+)", README):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def test_every_extra_is_named() -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    table = README[README.index("| extra |"):README.index("## Features")]
    first_column = "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    assert set(re.findall(r"`(\w+)`", first_column)) == set(extras)


def test_the_changelog_begins_with_the_version() -> None:
    versions = re.findall(r"^## \[?(\d[\w.]*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert citation and versions[0] == citation[1] == minigrad.__version__
