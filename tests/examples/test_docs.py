"""The documentation's code runs: each page's blocks in order, in one namespace."""

from __future__ import annotations

import ast
import json
import linecache
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from painters import CAN_PAINT
from sessions import assert_session

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "{code-cell}" in path.read_text(encoding="utf-8"))
CELL = re.compile(r"^```\{code-cell\} python\n((?::[^\n]*\n)*)(.*?)^```$", re.DOTALL | re.MULTILINE)
NOTEBOOK = ROOT / "examples" / "tour.ipynb"


class Block(NamedTuple):
    """A block of code of a page, where it begins, and the heading of an error that it raises."""

    code: str
    line: int
    error: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(found[2], text.count("\n", 0, found.start(2)), error(text[:found.start()], found[1]))
            for found in CELL.finditer(text)]


def error(before: str, options: str) -> str | None:
    """Return the heading above a block that raises an error."""
    return re.findall(r"^#+ (.*)$", before, re.MULTILINE)[-1] if "raises-exception" in options else None


def run(block: Block, page: Path, names: dict[str, Any]) -> Any:
    """Run a block as a notebook does: the value is that of its last line, where that is an expression."""
    code = "\n" * block.line + block.code  # so that messages name the page's own lines
    linecache.cache[str(page)] = (len(code), None, code.splitlines(True), str(page))
    tree = ast.parse(code, str(page))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(page), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(page), "eval"), names) if last else None  # type: ignore[attr-defined]


def pattern(heading: str) -> str:
    """Return a pattern for messages from a heading, such as "… has no input … / no data for …"."""
    return "|".join(re.escape(part).replace("…", ".*") for part in heading.split(" / "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(ROOT))
    for library in ("matplotlib", "IPython"):
        if library in page.read_text(encoding="utf-8"):
            pytest.importorskip(library)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.error is not None:
            with pytest.raises(Exception, match=pattern(block.error)):
                run(block, page, names)
            continue
        shown = run(block, page, names)
        if CAN_PAINT and hasattr(shown, "_repr_mimebundle_"):
            assert "<svg" in shown._repr_mimebundle_()["image/svg+xml"]


def test_every_block_of_python_is_one_that_runs() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(blocks(page)) == text.count("{code-cell}"), page
        assert "```python" not in text, page


SESSIONS = [(page, session) for page in PAGES
            for session in re.findall(r"^```\{code-block\} text\n(\$ .*?)^```$", page.read_text(encoding="utf-8"),
                                      re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize(("page", "session"), SESSIONS, ids=lambda value: getattr(value, "stem", ""))
def test_a_session_reads_as_the_program_prints_it(page: Path, session: str) -> None:
    assert_session(session, ROOT, page.name)


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("**/*.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


class TestTheNotebook:
    """examples/tour.ipynb is made from docs/tour.md:

        jupytext --from md:myst --to ipynb docs/tour.md --output examples/tour.ipynb
    """

    def test_holds_what_the_page_says(self) -> None:
        jupytext = pytest.importorskip("jupytext")
        page = jupytext.reads((ROOT / "docs" / "tour.md").read_text(encoding="utf-8"), fmt="md:myst")
        stored = jupytext.read(NOTEBOOK)
        assert [(cell.cell_type, cell.source) for cell in stored.cells] == [(cell.cell_type, cell.source)
                                                                           for cell in page.cells]

    def test_is_stored_without_outputs(self) -> None:
        cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        cells = [cell for cell in cells if cell["cell_type"] == "code"]
        assert len(cells) == len(blocks(ROOT / "docs" / "tour.md"))
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)

    @pytest.mark.slow
    def test_runs_and_shows_its_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nbclient = pytest.importorskip("nbclient")
        nbformat = pytest.importorskip("nbformat")
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert sum("image/svg+xml" in output.get("data", {}) for output in shown) == 3


@pytest.mark.slow
def test_a_line_of_a_notebook_is_named_by_its_cell() -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell("import minigrad as mg"),
                      nbformat.v4.new_code_cell("print()\nprint(repr(mg.Tensor([1.0], name='x')))")]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert "<x (1,)  Cell In[2]:2>" in notebook.cells[1].outputs[0].text
