"""A real browser without a window, for tests of pages: Chromium, driven by Playwright.

Everything that a page asks of the network and everything that it complains about is kept, and at
the end there must be none of it.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
import viz

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]


def chromium() -> str:
    """Return the path of a Chromium. Without one the tests are skipped, and in CI they fail."""
    found = [path for name in NAMES if (path := shutil.which(name))]
    if not found:
        missing = "no Chromium on the PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found[0]


@contextmanager
def launched() -> Iterator[Any]:
    """Start Chromium, and end it after the block."""
    driver = pytest.importorskip("playwright.sync_api", reason='no driver: pip install -e ".[browser]"')
    path = chromium()
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=OPTIONS, headless=True)
        yield opened
        opened.close()


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread until the end of the block, which gets the server's address."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return one browser for all tests of a file."""
    with launched() as opened:
        yield opened.new_context(offline=True, reduced_motion="reduce")


class Opened:
    """A page in the browser, with short names for what tests do and read.

    Args:
        fragment: the end of the address, such as "#step=3".
        before: a script that runs before those of the page.

    Attributes:
        tab: Playwright's own page.
        asked: the addresses that it requested.
        complaints: messages of the console, and errors of scripts.
    """

    def __init__(self, browser: Any, page: viz.Page, width: int = 1280, height: int = 800,
                 scheme: str = "light", fragment: str = "", before: str = "") -> None:
        self.tab = browser.new_page()
        self.tab.set_viewport_size({"width": width, "height": height})
        self.tab.emulate_media(color_scheme=scheme)
        self.tab.set_default_timeout(5000)
        if before:
            self.tab.add_init_script(before)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", self._ask)
        self.tab.on("console", self._complain)
        self.tab.on("pageerror", self._complain)
        self.address = Path(page).absolute().as_uri()
        self.tab.goto(self.address + fragment)

    def _ask(self, request: Any) -> None:
        self.asked.append(request.url)

    def _complain(self, message: Any) -> None:
        self.complaints.append(getattr(message, "text", None) or str(message))

    def check(self) -> None:
        """Assert that the page requested only itself and logged no complaint."""
        assert {address.partition("#")[0] for address in self.asked} == {self.address}
        assert self.complaints == []

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def texts(self, selector: str) -> list[str]:
        return list(self.tab.locator(selector).all_inner_texts())

    def run(self, script: str) -> Any:
        return self.tab.evaluate(script)

    def wait(self, selector: str, pattern: str) -> None:
        """Wait for a text."""
        self.tab.locator(selector, has_text=re.compile(pattern)).wait_for()

    def until(self, script: str) -> None:
        """Wait until a script returns a true value."""
        for _ in range(100):
            if self.run(script):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(f"it never became true: {script}")

    @property
    def at(self) -> int:
        """Return the number of steps that have run."""
        return int(self.text("#count").split("/")[0])

    def go(self, step: int) -> None:
        """Go to a step, by the slider."""
        self.tab.locator("#slider").fill(str(step))

    def box(self, label: str) -> Any:
        """Return the box in the picture with this label."""
        return self.tab.locator(f'.box:has(> text:text-is("{label}"))').first

    def look(self, label: str) -> str:
        """Return the state of a box's gradient: waiting, known, tiny, zero or bad."""
        return str(self.box(label).get_attribute("data-look"))


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the page of a loss; at the end no page may have asked for anything or complained."""
    pages: list[Opened] = []

    def open_page(loss: mg.Tensor, **options: Any) -> Opened:
        pages.append(Opened(browser, viz.stepper(loss, tmp_path / f"{len(pages)}.html"), **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.check()
        page.tab.close()
