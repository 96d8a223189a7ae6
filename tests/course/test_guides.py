"""The guides for teachers: complete, on the docs page by half, and never in a kit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.assignments import contents
from examples.assignments.check import NAMES
from examples.assignments.make import main, new, source
from examples.assignments.sandbox import HERE, ROOT

MARK = "<!-- for teachers -->"
PUBLIC = ("**Objectives.**", "**Prerequisites.**", "**Time.**", "**Reading.**", "**Questions in words")
TEACHERS = ("## Rubric", "## Common mistakes", "## Solution guide")


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_complete(name: str) -> None:
    first, _, second = (HERE / "guides" / f"{name}.md").read_text(encoding="utf-8").partition(MARK)
    assert first.startswith(f"# {name}: ") and [part for part in PUBLIC if part not in first] == []
    assert [part for part in TEACHERS if part not in second] == []
    for page in re.findall(r"\]\(\.\./\.\./\.\./(docs/[^)]+)\)", first):
        assert (ROOT / page).exists(), page
    written = re.findall(r"def (\w+)|class (\w+)", source(name))
    told = second.partition("## Solution guide")[2]
    assert "Part 1" in told or any(f"`{word}`" in told for pair in written for word in pair if word)


def test_the_docs_page_includes_the_first_half_of_each_guide() -> None:
    page = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
    for name in NAMES:
        block = re.search(rf"```{{include}} \.\./examples/assignments/guides/{name}\.md\n(.*?)```", page, flags=re.S)
        assert block is not None and f":end-before: {MARK}\n" in block[1], name
    assert "\ncourse\n" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_no_guide_is_in_a_kit_or_in_a_grader() -> None:
    for without in (contents.TEACHERS, contents.CLOSED):
        assert not [path for path in contents.files(NAMES, without) if {"guides", "template"} & {*path.parts}]


def test_the_skeleton_is_a_whole_assignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it works is seen by running the tests with it: README, "Add an assignment"."""
    for folder in ("checks", "comparisons", "graphs", "guides", "mutants", "probes", "template"):
        (tmp_path / folder).mkdir()
    for file in (HERE / "template").glob("*.txt"):
        (tmp_path / "template" / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("examples.assignments.make.HERE", tmp_path)
    paths = new("a17", 'It\'s "quoted"')
    have = {path.relative_to(HERE).as_posix() for name in NAMES for path in HERE.rglob(f"{name}*")
            if "__pycache__" not in path.parts and path.suffix in (".py", ".md")}
    assert {path.relative_to(tmp_path).as_posix().replace("a17", "a1") for path in paths} == {
        path for path in have if re.search(r"(^|/)a1(_source)?\.", path)}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"NAME_|NAME\.|NUMBER|TITLE", text), path
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    with pytest.raises(ValueError, match="already exists"):
        new("a17", "Another")


def test_names_of_assignments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seventh", "--new", "It"]) == 1 and "is called a7, a8" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["a99"])
    assert "there is no assignment 'a99'; --new TITLE writes one" in capsys.readouterr().err
