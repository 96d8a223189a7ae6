"""docs/exports.md and docs/howto/exports.md: their blocks run, in order, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

for library in ("jax", "torch", "onnxruntime"):
    pytest.importorskip(library)

pytestmark = pytest.mark.exports
DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "exports.md", DOCS / "howto" / "exports.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        code = "\n" * text.count("\n", 0, found.start(1)) + found[1]
        exec(compile(code, str(page), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed == re.findall(r"^ *print\(.*?\)\s+# (.*)$", text, re.MULTILINE)
