"""docs/bibliography.md: what is said to use a reference cites it, and what the docstrings cite is listed."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import minigrad as mg
from rnn import cells
from rnn.cells import memory, modern

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bibliography.md"
MODULES = {"mg": mg, "cells": cells, "memory": memory, "modern": modern}


class Entry(NamedTuple):
    """A reference: its first author, its year, and what uses it."""

    author: str
    year: str
    uses: list[tuple[str, str]]  # a name or a file, or a page


def entries() -> list[Entry]:
    text = re.sub(r"\n  ", " ", PAGE.read_text(encoding="utf-8"))
    found = re.findall(r"^- \*\*([\w ,.-]+?)[ ,]+(\d{4})\.\*\* .*? \*For\* (.*)\.$", text, re.MULTILINE)
    assert len(found) == text.count("\n- ")
    return [Entry(re.split(r",| and | et al", authors)[0], year, re.findall(r"`([^`]+)`|\]\(([^)]+)\)", uses))
            for authors, year, uses in found]


def cited(use: str, page: str) -> str | None:
    """Return the text that is said to cite a reference; None for an option of a function."""
    if page:
        return (ROOT / "docs" / page).read_text(encoding="utf-8")
    if "/" in use:
        return (ROOT / use).read_text(encoding="utf-8")
    if "=" in use:
        return None
    found = MODULES[use.split(".")[0]]
    for name in use.split(".")[1:]:
        found = getattr(found, name)
    return inspect.getsource(found)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: f"{entry.author} {entry.year}")
def test_what_uses_a_reference_names_it(entry: Entry) -> None:
    assert entry.uses
    for use, page in entry.uses:
        text = cited(use, page)
        assert text is None or entry.author in text, f"{use or page} doesn't cite {entry.author} {entry.year}"


YEAR = re.compile(r"(?<!from )(?<!to )(?<!since )(?<!or )(?<!RFC )\b(?:19[5-9]|20[0-2])\d\b")  # no span, no RFC
MODULE_FILES = sorted(path for package in ("minigrad", "rnn", "viz") for path in (ROOT / package).rglob("*.py"))


def docstrings(file: Path) -> list[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)]


def test_what_docstrings_cite_is_listed() -> None:
    listed, missing = entries(), []
    for file in MODULE_FILES:
        for text in docstrings(file):
            missing += [f"{file.relative_to(ROOT)}: {year} in {text[:60]!r}" for year in YEAR.findall(text)
                        if not any(x.year == year and x.author in text for x in listed)]
    assert not missing, "\n".join(missing)
