"""A real VS Code without a window, for tests of its extension: code-server, driven in Chromium by Playwright.

`nox -s vscode` installs code-server and sets CODE_SERVER to its folder. One server serves all tests of a file, its
settings and extensions in a temporary folder; each test opens a folder of its own in a fresh window.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import launched

from minigrad.debugger import vscode

# The texts of the panel with a contrast under 4.5 to 1 to what is behind them.
FAINT = """body => {
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = color => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(color[i] / 255), 0);
    const ground = numbers(getComputedStyle(body).backgroundColor), found = [];
    const check = (element, text, behind) => {
        const [high, low] = [light(numbers(text)), light(behind)].sort((a, b) => b - a);
        if ((high + 0.05) / (low + 0.05) < 4.5) found.push(element.outerHTML.slice(0, 90));
    };
    for (const e of body.querySelectorAll('h1, #legend > span, #shared b, #shared span, button'))
        if (e.innerText) check(e, getComputedStyle(e).color, ground);
    for (const box of body.querySelectorAll('.box:not(.partly)')) {
        const fill = numbers(getComputedStyle(box.querySelector('rect')).fill);
        for (const e of box.querySelectorAll('text')) check(e, getComputedStyle(e).fill, fill);
    }
    return found;
}"""
PATIENCE = int(os.environ.get("PATIENCE", 60_000))  # milliseconds that a busy machine may take for anything
SETTINGS = {
    "chat.disableAIFeatures": True, "editor.minimap.enabled": False, "extensions.ignoreRecommendations": True,
    "security.workspace.trust.enabled": False, "telemetry.telemetryLevel": "off", "update.mode": "none",
    "window.commandCenter": False, "window.restoreWindows": "none", "workbench.enableExperiments": False,
    "workbench.layoutControl.enabled": False, "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none", "workbench.tips.enabled": False}


def code_server() -> list[str]:
    """Return the command that starts code-server. Without one the tests are skipped, and in CI they fail."""
    folder = Path(os.environ.get("CODE_SERVER", "missing"), "node_modules")
    if not folder.is_dir():
        missing = "no VS Code: nox -s vscode installs code-server, and tells where by CODE_SERVER"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return [str(folder / "node" / "bin" / "node"), str(folder / "code-server" / "out" / "node" / "entry.js")]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run a server with the extension, its own files below `folder`; yield its address."""
    command = code_server()
    data, extensions = folder / "data", folder / "extensions"
    with zipfile.ZipFile(io.BytesIO(vscode.build())) as archive:
        archive.extractall(folder / "unpacked")
    extensions.mkdir()
    (folder / "unpacked" / "extension").rename(extensions / "minigrad.minigrad-debugger")
    for name, content in (("User", SETTINGS), ("Machine", {"minigrad.python": sys.executable})):
        (data / name).mkdir(parents=True)
        (data / name / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "config.yaml").write_text("auth: none\n", encoding="utf-8")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--auth", "none", "--bind-addr", f"127.0.0.1:{port}", "--config", str(folder / "config.yaml"),
               "--user-data-dir", str(data), "--extensions-dir", str(extensions), "--disable-telemetry",
               "--disable-update-check", "--disable-workspace-trust", "--disable-getting-started-override"]
    environment = os.environ | {"EXTENSIONS_GALLERY": "{}", "OMP_NUM_THREADS": "1"}  # asks no gallery of extensions
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen([*command, *options], env=environment, stdout=log, stderr=log,
                                  start_new_session=True)
        try:
            _wait_for(port, server, folder / "log.txt")
            yield f"http://127.0.0.1:{port}/"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(PATIENCE // 100):
        assert server.poll() is None, log.read_text()
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"code-server didn't start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of one server for all tests of a file."""
    with served(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def opened_browser() -> Iterator[Any]:
    """Return one Chromium for all tests of a file."""
    with launched() as opened:
        yield opened


class Workbench:
    """VS Code's window, with short names for what tests do and read.

    Attributes:
        tab: Playwright's own page.
        asked: the addresses outside of this machine that it requested.
        complaints: of the panel's security policy, and errors of its script.
    """

    def __init__(self, browser: Any, address: str, folder: Path, width: int = 1600, height: int = 1000) -> None:
        self.tab = browser.new_page(viewport={"width": width, "height": height})
        self.tab.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("console", self._complain)
        self.tab.on("request", self._ask)
        self.tab.goto(f"{address}?folder={folder}")
        self.tab.locator(".monaco-workbench .explorer-folders-view").wait_for()

    def _ask(self, request: Any) -> None:
        # vscode-cdn.net is the name under which a worker of the page itself serves the files of panels
        if not re.match(r"(http|ws)s?://127\.0\.0\.1[:/]|data:|blob:|https://[\w.+-]*vscode-cdn\.net/", request.url):
            self.asked.append(request.url)

    def _complain(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "panel.js" in str(message.location):
            self.complaints.append(message.text)

    # ---- files and commands
    def open(self, file: str) -> None:
        """Open a file from the list, and wait until the extension is there: the editor offers breakpoints then."""
        self.tab.locator(f'.explorer-folders-view [aria-label^="{file}"]').dblclick()
        self.tab.locator(".margin-view-overlays .line-numbers").first.wait_for()
        hint = self.tab.locator(".codicon-debug-hint")
        for attempt in range(PATIENCE // 200):
            x, y = self._margin(1)
            self.tab.mouse.move(x, y + attempt % 2)
            self.tab.wait_for_timeout(200)
            if hint.count():
                return
        hint.wait_for()

    def _margin(self, line: int) -> tuple[float, float]:
        """Return the place in the margin of a line."""
        number = self.tab.locator(".margin-view-overlays .line-numbers").get_by_text(str(line), exact=True)
        box = number.bounding_box()
        return box["x"] - 8, box["y"] + box["height"] / 2

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def click(self, name: str) -> None:
        """Click on a button of the debugger's bar: Continue, Step Over, Step Back, Reverse."""
        self.tab.locator(f'.debug-toolbar .action-label[aria-label^="{name}"]').click()

    def toggle_breakpoint(self, line: int) -> None:
        """Click in the margin beside a line."""
        self.tab.mouse.click(*self._margin(line))
        self.tab.locator(".codicon-debug-breakpoint:not(.codicon-debug-hint)").first.wait_for()

    def close_tab(self, name: str) -> None:
        tab = self.tab.locator(".tabs-container .tab", has_text=name)
        tab.click(button="middle")
        tab.wait_for(state="detached")

    def expect_message(self, pattern: str) -> str:
        """Wait for a notification and return its text."""
        found = self.tab.locator(".notification-list-item-message", has_text=re.compile(pattern))
        found.wait_for()
        return str(found.inner_text())

    # ---- where the program has stopped
    def wait_for_stop(self, title: str) -> None:
        """Wait until the top of the call stack is the frame with this title, which may be followed by its time step."""
        pattern = re.compile(rf"^{re.escape(title)}(\s+t = -?\d+)?$")
        self.tab.locator(".debug-call-stack .stack-frame .label").first.filter(has_text=pattern).wait_for()

    def expect(self, read: Callable[[], Any], value: Any) -> None:
        """Wait until what is read from the screen has a value; VS Code fills its views one after the other."""
        for _ in range(PATIENCE // 200):
            if read() == value:
                return
            self.tab.wait_for_timeout(200)
        assert read() == value

    def stack(self) -> list[str]:
        """Return the frames of the call stack, without their time steps."""
        frames = self.tab.locator(".debug-call-stack .stack-frame .label").all_inner_texts()
        return [frame.split("  t = ")[0] for frame in frames]

    def line(self) -> int | None:
        """Return the line of the editor that is marked as the current one."""
        marks = self.tab.locator(".view-overlays .debug-top-stack-frame-line").evaluate_all(
            "marks => marks.map(mark => getComputedStyle(mark.parentElement).top)")
        numbers = self.tab.locator(".margin-view-overlays > div").evaluate_all(
            "rows => rows.map(row => [getComputedStyle(row).top, row.innerText.trim()])")
        return next((int(text) for top, text in numbers if [top] == marks[:1] and text), None)

    def variables(self, section: str = "variables") -> dict[str, str]:
        """Return the visible rows of a section, variables or watch, by name."""
        rows = self.tab.locator(f".debug-{section} .monaco-list-row .expression")
        found = rows.evaluate_all("rows => rows.map(row => [row.querySelector('.name')?.innerText ?? '', "
                                  "row.querySelector('.value')?.innerText ?? ''])")
        return {name.rstrip(" =:"): value for name, value in found}

    def watch(self, expression: str) -> None:
        """Add an expression to the section Watch."""
        header = self.tab.locator(".pane-header", has_text="Watch")
        header.hover()
        header.locator('.action-label[aria-label="Add Expression"]').click()
        self.tab.locator(".debug-watch .inputBoxContainer input, .debug-watch input").fill(expression)
        self.press("Enter")

    def wait_for_value(self, section: str, name: str, pattern: str) -> str:
        """Wait until the row of a name shows a value; return it."""
        row = self.tab.locator(f".debug-{section} .monaco-list-row .expression").filter(
            has=self.tab.locator(".name", has_text=name))
        value = row.locator(".value", has_text=re.compile(pattern)).first
        value.wait_for()
        return str(value.inner_text())

    # ---- the panel
    @property
    def graph(self) -> Any:
        """The page of the panel Graph."""
        return self.tab.frame_locator("iframe.webview.ready").frame_locator("#active-frame")

    def wait_for_graph(self, title: str) -> None:
        self.graph.locator("#title", has_text=re.compile(title)).wait_for()

    @property
    def current_box(self) -> str:
        """The name of the tensor of the marked box, as its tooltip gives it: h[4] tanh (16, 8)."""
        return str(self.graph.locator(".box.current > title").text_content()).split("  ")[0]

    def box(self, name: str) -> Any:
        """Return the box whose tooltip begins with a name."""
        return self.graph.locator(".box", has=self.graph.locator(":scope > title").filter(
            has_text=re.compile(f"^{re.escape(name)}"))).first

    def parameter(self, name: str) -> str:
        """Return the norm that is shown for a parameter."""
        row = self.graph.locator("#shared .param", has=self.tab.locator(f'b:text-is("{name}")'))
        return str(row.locator("span").last.inner_text())

    def known(self) -> set[str]:
        """Return the names of the tensors whose boxes show a gradient."""
        titles = self.graph.locator(".box.known > title, .box.tiny > title").all_text_contents()
        return {title.split("  ")[0] for title in titles}
