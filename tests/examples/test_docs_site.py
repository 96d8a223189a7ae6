"""The built documentation, whose folder the environment variable DOCS names: `nox -s docs`."""

from __future__ import annotations

import base64
import inspect
import json
import os
import re
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from browser import Opened, browser, serving  # noqa: F401 (a fixture)

import minigrad as mg
import rnn
import viz
from examples import index
from minigrad import numpy_ops, ops
from viz.playground.__main__ import Handler
from viz.playground.build import EXAMPLES
from viz.playground.links import LINKED
from viz.playground.session import Session

SITE = Path(os.environ.get("DOCS", "."))
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("**/*.html")
               if path.relative_to(SITE).parts[0] != "playground") if "DOCS" in os.environ else []
WRITTEN = [page for page in PAGES if not page.startswith(("_modules/", "genindex", "py-modindex", "search"))]
NOT_FOR_USERS = {"apply", "changes", "compare", "hooks", "numpy_function", "written_as"}  # of a Tensor
RESOURCES = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}

if not PAGES:
    pytest.skip("DOCS names no folder with the built documentation", allow_module_level=True)
bs4 = pytest.importorskip("bs4")
SOUPS: dict[str, Any] = {}


def soup(page: str) -> Any:
    """Return the parsed page."""
    if page not in SOUPS:
        SOUPS[page] = bs4.BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    return SOUPS[page]


# ---- the reference
def listed() -> set[str]:
    """Return the names of Python that the site describes, from the inventory that Sphinx writes for other projects."""
    _, _, packed = (SITE / "objects.inv").read_bytes().partition(b"zlib.\n")
    return {line.split()[0] for line in zlib.decompress(packed).decode().splitlines() if " py:" in line}


@pytest.mark.parametrize("package", [mg, rnn, viz], ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_reference(package: Any) -> None:
    older = {name for name in package.__all__ if getattr(getattr(package, name), "__name__", name) in {
        *package.__all__} - {name}}  # another name of the same function
    assert [name for name in package.__all__ if f"{package.__name__}.{name}" not in listed() | {
        f"{package.__name__}.{name}" for name in older}] == []


@pytest.mark.parametrize("module", [ops, numpy_ops], ids=lambda module: module.__name__)
def test_every_operation_is_in_the_reference(module: Any) -> None:
    kinds = [name for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, mg.Op)
             and kind.__module__ == module.__name__ and not name.startswith("_")]
    assert len(kinds) > 30
    assert [name for name in kinds if f"{module.__name__}.{name}" not in listed()] == []


def test_every_method_of_a_tensor_is_in_the_reference() -> None:
    described = re.findall(r"\w+", (inspect.getdoc(mg.Tensor) or "").partition("Args:")[2])
    names = [name for name in dir(mg.Tensor([0.0])) if not name.startswith("_") and name not in NOT_FOR_USERS]
    assert len(names) > 50
    assert [name for name in names if f"minigrad.Tensor.{name}" not in listed() and name not in described] == []


def test_methods_that_a_tensor_inherits_link_to_their_source() -> None:
    [method] = [part for part in soup("api/tensor.html").find_all("dt") if part.get("id") == "minigrad.Tensor.mean"]
    [link] = [link["href"] for link in method.find_all("a") if "_modules" in link["href"]]
    page, _, anchor = link.removeprefix("../").partition("#")
    assert "axis: Axis = None" in soup(page).find(id=anchor).text


def test_the_text_of_returns_is_no_type() -> None:
    fields = [field for page in WRITTEN for field in soup(page).find_all("dt") if field.text.strip() == "Return type:"]
    assert fields == []


# ---- pages and links
def test_titles_of_pages_differ() -> None:
    titles = [re.findall("<title>(.*?)</title>", (SITE / page).read_text(encoding="utf-8"))[0] for page in PAGES]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("page", WRITTEN)
def test_links_lead_somewhere(page: str) -> None:
    for link in soup(page).find_all("a", href=True):
        address = urlsplit(link["href"])
        if address.scheme or not address.path:
            continue
        target = (SITE / page).parent / unquote(address.path)
        assert target.is_file(), f"{page}: {link['href']}"


@pytest.mark.parametrize("page", WRITTEN)
def test_a_page_asks_for_files_of_the_site_alone(page: str) -> None:
    for tag, attribute in RESOURCES.items():
        for found in soup(page).find_all(tag, attrs={attribute: True}):
            address = urlsplit(found[attribute])
            assert address.scheme in ("", "data") and not address.netloc, f"{page}: {found}"


# ---- examples
@pytest.mark.parametrize("example", index.examples(), ids=lambda example: example.name)
def test_an_example_is_on_the_page_of_its_topic_with_its_picture(example: index.Example) -> None:
    section = soup(f"examples/{example.topic}.html").find(id=example.name)
    [picture] = section.find_all("img")
    assert picture["alt"] == f"{example.name}: {example.summary}"
    shown, stored = (re.sub(rb"<style>.*?</style>| style=\"[^\"]*\"", b"", file.read_bytes()) if file.suffix == ".svg"
                     else file.read_bytes() for file in (SITE / "examples" / picture["src"], example.stored))
    assert shown == stored
    text = " ".join(section.text.split())
    assert example.command.split(" [")[0] in text and example.time in text
    for block in [*example.about, *example.claims, example.measured]:
        assert " ".join(block.replace("`", "").split()) in text
    assert f"{example.topic}.html#{example.name}" in [
        link["href"] for link in soup("examples/index.html").find_all("a", href=True)]


# ---- programs in links
def linked() -> Iterator[tuple[str, str]]:
    """Yield the programs of links into the playground, with a name for each."""
    for page in WRITTEN:
        for number, link in enumerate(soup(page).select("a.playground")):
            packed = link["href"].partition(LINKED)[2].partition("&")[0]  # choices of the page may follow
            if packed:
                program = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), -zlib.MAX_WBITS)
                yield f"{page} {number}", program.decode()


PROGRAMS = dict(linked())
SHOWS_AN_ERROR = (EXAMPLES / "no_delay.py").read_text(encoding="utf-8")


def test_the_course_has_programs_to_try() -> None:
    if not (SITE / "playground").exists():
        pytest.skip("the site was built without the playground")
    assert {"bptt.html 0", "unrolling.html 0", "lstm.html 0", "index.html 0"} <= PROGRAMS.keys()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_to_try_draws_in_the_playground(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    question = {"view": "pictures", "ask": "show", "source": PROGRAMS[name], "steps": 4, "level": "signals",
                "heat": False, "dark": False}
    answer = json.loads(Session().answer(json.dumps(question)))
    problems = [problem["kind"] for problem in answer["problems"]]
    assert problems == ["DefinitionError"] * (PROGRAMS[name] == SHOWS_AN_ERROR), "give the cell the tag no-try"
    assert answer["rolled"] or answer["unrolled"] or problems


@pytest.fixture
def served() -> Iterator[str]:
    """Serve the site from a sub-path, and return its address."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), partial(SubPath, directory=str(SITE)))) as address:
        yield f"{address}course/"


class SubPath(Handler):
    """Serves the folder as /course/."""

    def translate_path(self, path: str) -> str:
        inside = path.partition("/course/")[2] if path.startswith("/course/") else "missing"
        return super().translate_path("/" + inside)


@pytest.mark.parametrize("page", ["bptt.html", "playground.html"])
def test_a_link_opens_the_playground_with_its_program(page: str, served: str, browser: Any) -> None:  # noqa: F811
    if not (SITE / "playground").exists():
        pytest.skip("the site was built without the playground")
    context = browser.browser.new_context()
    context.route(lambda address: not address.startswith(served), lambda route: route.abort())  # Pyodide's host
    tab = context.new_page()
    tab.goto(served + page)
    link = tab.locator("a.playground[href*='#program=']").first
    program = PROGRAMS[f"{page} {0 if page == 'bptt.html' else 1}"]
    link.click()
    tab.locator(".cm-line", has_text=program.splitlines()[0]).first.wait_for()
    assert tab.url.startswith(f"{served}playground/index.html#program=")
    assert tab.locator(".cm-line").first.inner_text() == program.splitlines()[0]
    assert tab.locator("#asked").is_hidden() == (page == "playground.html")  # the playground's own examples may run
    context.close()


# ---- in a browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("page", WRITTEN)
def test_a_page_reads_well(page: str, width: int, scheme: str, browser: Any) -> None:  # noqa: F811
    opened = Opened(browser, SITE / page, width, 900, scheme)
    try:
        opened.tab.wait_for_load_state("networkidle")
        assert opened.run("document.documentElement.scrollWidth") <= width
        assert opened.run("document.querySelector('.content')?.scrollWidth ?? 0") <= width
        assert opened.run("[...document.images].filter(image => !image.alt.trim()).map(image => image.src)") == []
        assert opened.run("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == []
        assert opened.run("getComputedStyle(document.body).colorScheme") == scheme
        assert [address for address in opened.asked if not address.startswith(("file:", "data:", "blob:"))] == []
        assert opened.complaints == []
    finally:
        opened.tab.close()
