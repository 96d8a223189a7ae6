"""docs/exports.md: its blocks run, in order, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

for library in ("jax", "torch", "onnxruntime"):
    pytest.importorskip(library)

pytestmark = pytest.mark.exports
PAGE = Path(__file__).parents[2] / "docs" / "exports.md"


def test_the_blocks_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        code = "\n" * text.count("\n", 0, found.start(1)) + found[1]
        exec(compile(code, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed == re.findall(r"^print\(.*?\)\s+# (.*)$", text, re.MULTILINE)
