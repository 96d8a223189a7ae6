"""The mutation campaign: what it changes, what it leaves out, and a whole campaign on a small project."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import stale
from mutants import mutants_of

HERE = Path(__file__).parent
SOURCE = '''\
"""A docstring, with 1 + 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import math


def mean(values: "list[float]", start: int = 0) -> float:
    """Return the mean."""
    total = 0.0
    for value in values[start:]:
        if value is None or not value > -5:
            raise ValueError(f"{value + 1} is wrong")
        total += value
    return total / max(len(values), 1)


def __repr__(self):
    return 1 + 1


def shape_error(x):
    return ValueError(1 + 1)
'''


def changes(tmp_path: Path, source: str = SOURCE) -> dict[tuple[str, str], str]:
    (tmp_path / "module.py").write_text(source)
    return {(mutant.before, mutant.after): mutant.apply(source.encode()).decode()
            for site in mutants_of(tmp_path, "module.py") for mutant in site}


def test_every_kind_of_change_is_made(tmp_path: Path) -> None:
    found = set(changes(tmp_path))
    assert found == {
        ("0", "1"), ("0", "-1"), ("0.0", "1.0"), ("0.0", "-1.0"), ("start:", "start: without start"),
        ("value is None or not value > -5", "not (value is None or not value > -5)"),
        ("value is None or not value > -5", "(value is None) and (not value > -5)"),
        ("value is None or not value > -5", "(not value > -5)"), ("value is None or not value > -5", "(value is None)"),
        ("value is None", "(value) is not (None)"), ("not value > -5", "value > -5"),
        ("value > -5", "(value) >= (-5)"), ("value > -5", "(value) < (-5)"), ("-5", "-4"), ("-5", "-6"), ("-5", "0"),
        ('raise ValueError(f"{value + 1} is wrong")', "pass"), ("total += value", "pass"),
        ("total += value", "total -= ..."), ("return total / max(len(values), 1)", "return None"),
        ("total / max(len(values), 1)", "(total) * (max(len(values), 1))"),
        ("total / max(len(values), 1)", "(max(len(values), 1)) / (total)"), ("max", "min"),
        ("len(values), 1", "1, len(values)"), ("1", "2"), ("1", "0")}


def test_every_change_is_another_program_with_the_same_lines(tmp_path: Path) -> None:
    before = ast.dump(ast.parse(SOURCE))
    for change, text in changes(tmp_path).items():
        assert ast.dump(ast.parse(text)) != before, change
        assert text.count("\n") == SOURCE.count("\n"), change


def test_a_change_of_several_lines_keeps_the_numbers_of_the_lines_after_it(tmp_path: Path) -> None:
    source = "x = (1 +\n     f(2,\n       3))\ng(4,\n  5)\n"
    assert {text.count("\n") for text in changes(tmp_path, source).values()} == {5}


def test_a_key_outlives_changes_of_other_lines(tmp_path: Path) -> None:
    keys = []
    for source in (SOURCE, SOURCE.replace("import math", "import math\n    import cmath")):
        (tmp_path / "module.py").write_text(source)
        keys.append([mutant.key for site in mutants_of(tmp_path, "module.py") for mutant in site])
    assert keys[0] == keys[1] and len(set(keys[0])) == len(keys[0])


def test_an_explanation_of_a_line_that_has_changed_is_stale(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text("def f(a, b):\n    return a + b\n")
    mutants = [mutant for site in mutants_of(tmp_path, "sums.py") for mutant in site]
    entries = [{"file": m.file, "function": m.function, "before": m.before, "after": m.after, "key": m.key}
               for m in mutants]
    assert stale(tmp_path, entries) == []
    (tmp_path / "sums.py").write_text("def f(a, b):\n    return (a + b) * 2\n")
    [sum_now] = [m.key for site in mutants_of(tmp_path, "sums.py") for m in site if m.before == "a + b"]
    lines = stale(tmp_path, [{**entry, "file": file} for entry in entries for file in ("sums.py", "other.py")])
    assert len(lines) == 2 * len(entries) and all("gone" in line for line in lines if "other.py" in line)
    found = [f"now {sum_now} (line 2)" in line for line in lines if "sums.py" in line]
    assert found == [mutant.before == "a + b" for mutant in mutants]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_campaign_finds_what_the_tests_of_a_small_project_miss(tmp_path: Path) -> None:
    (tmp_path / "minigrad").mkdir()
    (tmp_path / "minigrad" / "__init__.py").write_text("")
    (tmp_path / "minigrad" / "sums.py").write_text(
        "LIMIT = 3\n\n\ndef add(a, b):\n    while a > LIMIT:\n        a -= 1\n    return a + b\n\n\n"
        "def missed(a):\n    return a + 1\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sums.py").write_text(
        "from minigrad.sums import add, missed\n\n\n"
        "def test_add():\n    assert add(6, 2) == 5 and missed(1) is not None\n")
    shutil.copytree(HERE, tmp_path / "tests" / "mutation", ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    (tmp_path / "tests" / "mutation" / "equivalent.json").write_text("[]")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = [sys.executable, "tests/mutation/campaign.py", "minigrad", "--folder", "out", "--jobs", "1"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    verdicts = {(row["function"], row["kind"]): row["verdict"] for row in rows}
    assert found.returncode == 1, found.stdout + found.stderr
    assert {key for key, verdict in verdicts.items() if verdict != "caught"} == {
        ("missed", "operator"), ("missed", "constant")}, verdicts
    assert verdicts["", "constant"] == "caught"  # in a new process
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert again.stdout.splitlines()[-1] == found.stdout.splitlines()[-1]
