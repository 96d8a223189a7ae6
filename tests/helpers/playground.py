"""The playground's site, built by npm with a whole Pyodide, served from this machine, and open in a browser.

The environment variable PYODIDE names the folder of the release; `nox -s playground` provides one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import serving

from viz.playground.__main__ import Handler
from viz.playground.build import build


def release_folder() -> Path:
    """Return the folder of the release; skip the test, or fail in CI, where there is none, or no npm."""
    folder = os.environ.get("PYODIDE")
    if not folder or shutil.which("npm") is None:
        missing = "npm isn't installed" if folder else "PYODIDE names no folder with a release"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return Path(folder)


@contextmanager
def served(root: Path, kits: Sequence[Path] = ()) -> Iterator[str]:
    """Build the site, serve it from a sub-path, and yield its address."""
    build(root / "course" / "playground", str(release_folder()), kits)
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))) as address:
        yield f"{address}course/playground/"


class Playground:
    """The page in a tab, and what it asked of the network and complained of."""

    def __init__(self, browser: Any, address: str, context: Any = None) -> None:
        self.context = context or browser.new_context(viewport={"width": 1440, "height": 900})
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(60_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.refused: dict[str, str] = {}
        self.context.on("requestfailed", lambda request: self.refused.update({request.url: request.failure}))
        self.context.on("console", lambda message: self.complaints.append(f"{message.location}: {message.text}"))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.address = address

    def open(self, fragment: str = "") -> None:
        self.tab.goto("about:blank")
        self.tab.goto(self.address + fragment)

    @property
    def drawn(self) -> int:
        """The number of the last question that was answered."""
        return int(self.tab.evaluate("document.documentElement.dataset.drawn || 0"))

    def after(self, act: Any, *arguments: Any) -> None:
        """Do something, and wait until it is drawn."""
        before = self.drawn
        act(*arguments)
        self.wait(before)

    def wait(self, before: int = 0) -> None:
        self.until(f"(document.documentElement.dataset.drawn || 0) > {before}")

    def until(self, script: str) -> None:
        """Wait until a script returns a true value; Playwright's own way needs eval(), which the page forbids."""
        for _ in range(600):
            if self.tab.evaluate(script):
                return
            self.tab.wait_for_timeout(100)
        raise AssertionError(f"it never became true: {script}")

    def write(self, program: str) -> None:
        self.tab.locator("#editor .cm-content").click()
        self.tab.keyboard.press("Control+a")
        self.tab.keyboard.insert_text(program)

    def run(self, program: str) -> None:
        self.after(self.write, program)

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def labels(self, where: str) -> list[str]:
        return list(self.tab.locator(f"{where} .node text").all_text_contents())

    def boxes(self, where: str, label: str) -> Any:
        return self.tab.locator(f'{where} .node[aria-label="{label}"]')

    @property
    def program(self) -> str:
        return "\n".join(line.strip("\n") for line in self.tab.locator("#editor .cm-line").all_inner_texts())
