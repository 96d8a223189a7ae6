"""How the playground loads in a real browser: what fails is told, a newer site waits, Pyodide is on another host.

The environment variable PYODIDE names the folder of a release; `nox -s playground` provides one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import launched, serving
from playground import Playground, release_folder

from viz.playground import build
from viz.playground.__main__ import Handler, main

KEPT = """caches.keys().then(names => Promise.all(names.map(name => caches.open(name).then(cache => cache.keys()))))
    .then(kept => kept.flat().map(request => request.url))"""


class Server(ThreadingHTTPServer):
    """Serves a folder; `broken` says how a file is answered instead: "cut", "text" (its type), or a status."""

    def __init__(self, folder: Path) -> None:
        self.broken: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        super().__init__(("127.0.0.1", 0), partial(BreakingHandler, directory=str(folder)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class BreakingHandler(Handler):
    server: Server

    @property
    def fault(self) -> str:
        return self.server.broken.get(self.path.rpartition("/")[2], "")

    def do_GET(self) -> None:
        if self.fault.isdigit():
            self.send_error(int(self.fault))
        else:
            super().do_GET()

    def end_headers(self) -> None:
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        return "text/plain" if self.fault == "text" else super().guess_type(path)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if self.fault == "cut":
            outputfile.write(source.read(1000))
            self.close_connection = True
        else:
            super().copyfile(source, outputfile)


@contextmanager
def serving_folder(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def release() -> Path:
    return release_folder()


@pytest.fixture(scope="module")
def built(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build.build(folder, str(release)) is None
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as opened:
        yield opened


def test_folders_are_named_from_where_the_command_runs(
        release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release").symlink_to(release)
    monkeypatch.chdir(tmp_path)
    assert main(["--out", "site", "--pyodide", "release"]) == 0
    assert {"compiled.zip", "library.zip", "index.html"} <= {file.name for file in (tmp_path / "site").iterdir()}


def until_kept(page: Playground, *names: str) -> None:
    """Wait until the service worker has files."""
    for _ in range(300):
        if {*names} <= {url.rpartition("/")[2] for url in page.tab.evaluate(KEPT)}:
            return
        page.tab.wait_for_timeout(100)
    raise AssertionError(f"not kept: {names}")


class TestFailures:
    @pytest.mark.parametrize("file, fault, told", [
        ("packages.zip", "404", "packages.zip: the server answers 404"),
        ("pyodide.js", "404", "pyodide.js"),
        ("pyodide.asm.wasm", "cut", "WebAssembly: "),
        ("pyodide.asm.wasm", "text", "WebAssembly: .*MIME"),
        ("library.zip", "cut", "library.zip: "),
        ("numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl", "cut", "numpy-2.0.2"),
        ("worker.js", "500", "worker.js")])
    def test_a_file_that_cannot_be_loaded_is_named_and_another_try_helps(
            self, built: Path, browser: Any, file: str, fault: str, told: str) -> None:
        with serving_folder(built) as server:
            server.broken[file] = fault
            page = Playground(browser, server.address)
            page.open()
            page.until("!document.getElementById('again').hidden")
            page.until(f"/Python could not be loaded. .*{told}/.test(document.getElementById('loading').innerText)")
            assert page.tab.locator("#progress").is_hidden() and page.drawn == 0
            page.tab.select_option("#examples", "lstm")
            assert page.tab.locator("#again").is_visible(), "other things on the page leave it there"
            server.broken.clear()
            page.after(page.tab.click, "#again")
            assert page.tab.locator("#unrolled svg").count() == 1 and page.tab.locator("#loading").is_hidden()
            page.context.close()

    def test_the_bar_moves_and_what_is_loaded_is_said(self, built: Path, browser: Any) -> None:
        with serving_folder(built) as server:
            page = Playground(browser, server.address)
            page.tab.add_init_script("""window.seen = [];
                addEventListener("DOMContentLoaded", () => {
                    if (!document.getElementById("loading")) return;  // about:blank
                    const look = () => seen.push([document.getElementById("loading-what").textContent,
                                                  document.getElementById("progress").value]);
                    new MutationObserver(look).observe(document.getElementById("loading"),
                        {subtree: true, childList: true, attributes: true, characterData: true});
                });""")
            page.open()
            page.wait()
            seen = page.tab.evaluate("seen")
            values = [value for _, value in seen]
            assert values == sorted(values) and len(set(values)) >= 8 and values[-1] == 1
            said = list(dict.fromkeys(text for text, _ in seen))
            assert said[:3] == ["loading Python and NumPy", "loading NumPy", "loading minigrad, rnn and viz"]
            assert page.tab.locator("#loading").get_attribute("role") == "status" and page.complaints == []
            page.context.close()


class TestNewerVersion:
    def test_waits_until_the_reader_wants_it_and_keeps_the_program(
            self, built: Path, browser: Any, tmp_path: Path) -> None:
        shutil.copytree(built, tmp_path / "site")
        with serving_folder(tmp_path / "site") as server:
            page = Playground(browser, server.address)
            page.open()
            page.wait()
            until_kept(page, "library.zip", "licences.txt", "pyodide.asm.wasm")
            assert page.tab.locator("#newer").is_hidden()
            for name in ("style.css", "index.html"):
                file = tmp_path / "site" / name
                file.write_text(file.read_text(encoding="utf-8").replace("<h1>", "<h1>New ") + "\n/* new */",
                                encoding="utf-8")
            script = build.service(tmp_path / "site", "pyodide/")
            (tmp_path / "site" / "service.js").write_text(script, encoding="utf-8")
            page.open()
            page.wait()
            page.until("!document.getElementById('newer').hidden")
            style = "fetch('style.css').then(answer => answer.text()).then(text => text.includes('/* new */'))"
            assert page.text("h1") == "Recurrences" and not page.tab.evaluate(style)
            page.run("print('mine')")
            page.tab.click("#update")
            page.tab.locator("h1", has_text="New Recurrences").wait_for()
            page.wait()
            assert page.program == "print('mine')" and page.text("#printed").strip() == "mine"
            assert page.tab.evaluate(style) and page.tab.locator("#newer").is_hidden()
            assert len(page.tab.evaluate("caches.keys()")) == 1
            page.context.set_offline(True)
            page.open()
            page.wait()
            assert page.text("h1") == "New Recurrences" and page.complaints == []
            page.context.close()


class TestPyodideElsewhere:
    @pytest.mark.parametrize("compiled", [True, False])
    def test_is_loaded_from_its_host_and_kept(self, built: Path, release: Path, browser: Any, tmp_path: Path,
                                              compiled: bool) -> None:
        with serving_folder(release) as host, serving_folder(tmp_path / "site") as server:
            host.headers["Access-Control-Allow-Origin"] = "*"
            if compiled:
                assert build.build(tmp_path / "site", host.address) is None
            else:  # the host didn't answer when the site was built
                shutil.copytree(built, tmp_path / "site", ignore=shutil.ignore_patterns("pyodide", "library.zip",
                                                                                        "compiled.zip"))
                build.write_site(tmp_path / "site", host.address, None)
            page = Playground(browser, server.address)
            page.open()
            page.wait()
            assert page.tab.locator("#unrolled svg").count() == 1 and page.complaints == []
            assert {url.rpartition("/")[2] for url in page.asked if url.startswith(host.address)} >= {
                "pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "pyodide-lock.json"}
            assert (f"{host.address}python_stdlib.zip" in page.asked) is not compiled
            until_kept(page, "pyodide.asm.wasm", "page.js", "packages.zip")
            page.context.set_offline(True)
            page.open()
            page.wait()
            assert page.tab.locator("#unrolled svg").count() == 1 and page.complaints == []
            page.context.close()

    def test_too_old_a_release_and_a_host_that_shares_nothing_are_told(
            self, built: Path, release: Path, browser: Any, tmp_path: Path) -> None:
        lock = json.loads((release / "pyodide-lock.json").read_text(encoding="utf-8"))
        lock["info"] |= {"python": "3.11.3", "version": "0.25.1"}
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")
        shutil.copyfile(release / "pyodide.js", tmp_path / "old" / "pyodide.js")
        shutil.copytree(built, tmp_path / "site", ignore=shutil.ignore_patterns("pyodide"))
        with serving_folder(tmp_path / "old") as host, serving_folder(tmp_path / "site") as server:
            build.write_site(tmp_path / "site", host.address, None)
            for headers, told in (({"Access-Control-Allow-Origin": "*"}, "holds Pyodide 0.25.1 with Python 3.11.3 and "
                                   "NumPy 2.0.2; needed are Python 3.12 and NumPy 2.0, or newer"),
                                  ({}, f"{host.address}pyodide")):  # the script, or the list of packages
                host.headers = headers
                page = Playground(browser, server.address)
                page.open()
                page.until("!document.getElementById('again').hidden")
                assert told in page.text("#loading")
                page.context.close()
