"""No wrong solution passes: each place of each solution is changed, and every change that survives is explained."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from mechanical_mutants import changes, compiles, solution_lines, survivors
from unusual_solutions import UNUSUAL

from examples.assignments.check import NAMES
from examples.assignments.make import source
from examples.assignments.sandbox import HERE

EXPLAINED = json.loads(Path(__file__).with_name("equivalent_changes.json").read_text())


def test_every_line_of_every_solution_is_changed() -> None:
    """Lines that can't be changed one at a time have no operator, constant, call with arguments, or statement."""
    counts = {name: len(changes(name)) for name in EXPLAINED}
    assert sum(counts.values()) >= 600 and min(counts.values()) >= 30, counts
    for name in EXPLAINED:
        text = source(name).splitlines()
        changed = {number for change in changes(name) for number, (a, b) in
                   enumerate(zip(text, change.text.splitlines()), 1) if a != b}
        lines = {line for line in solution_lines(source(name)) if "###" not in text[line - 1]}
        assert len(lines - changed) <= len(lines) / 4, [text[line - 1] for line in lines - changed]


def test_a_change_that_is_no_program_is_left_out() -> None:
    assert compiles("x = 1") and not compiles("x = (") and not compiles("\0")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name in EXPLAINED])
def test_every_survivor_is_explained(name: str) -> None:
    assert [key for key in survivors(name, 77) if key not in EXPLAINED[name]] == []


def test_every_explanation_is_of_a_change() -> None:
    for name, some in EXPLAINED.items():
        assert some.keys() <= {change.key for change in changes(name)} and all(some.values())


def test_the_readme_counts_what_was_tried() -> None:
    text = " ".join((HERE / "README.md").read_text(encoding="utf-8").split())
    wrong = sum(len(importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS) for name in NAMES)
    assert f"{sum(map(len, UNUSUAL.values()))} correct solutions in unusual forms" in text
    assert f"{wrong} wrong ones by name" in text
    assert f"{sum(len(changes(name)) for name in EXPLAINED)} in all" in text
