"""python -m viz --watch draws again after each change of a file; the progress bar."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from viz.cli import Progress, main

ROOT = Path(__file__).parents[2]
FILE = '''
import numpy as np
from rnn import Cell, t
net = Cell("{name}")
x, h = net.input("x", 2), net.signal("h", 2)
h[t] = np.tanh(x[t] + h[t-1])
'''


class Editor:
    """Changes a file each time that the watcher sleeps, and finally presses Ctrl-C."""

    def __init__(self, file: Path, contents: list[str | None], picture: Path) -> None:
        self.file = file
        self.contents = contents
        self.picture = picture
        self.seen: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.seen.append(self.picture.read_text(encoding="utf-8") if self.picture.exists() else "")
        if not self.contents:
            raise KeyboardInterrupt
        content = self.contents.pop(0)
        self.file.unlink(missing_ok=True)
        if content is not None:
            self.file.write_text(content, encoding="utf-8")


def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, *then: str | None) -> list[str]:
    """Return the picture after each change."""
    file, picture = tmp_path / "model.py", tmp_path / "net.dot"
    file.write_text(first, encoding="utf-8")
    editor = Editor(file, list(then), picture)
    monkeypatch.setattr(time, "sleep", editor.sleep)
    assert main([f"{file}:net", "-o", str(picture), "--watch"]) == 130
    return editor.seen


def test_a_change_of_the_file_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    seen = watched(tmp_path, monkeypatch, FILE.format(name="first"), FILE.format(name="other"))
    assert "first, rolled" in seen[0] and "other, rolled" in seen[1]
    assert capsys.readouterr() == (f"{tmp_path / 'net.dot'}\n" * 2, "")


@pytest.mark.parametrize("broken, message", [
    ("x = 1 +", "SyntaxError"), ("1 / 0", "model.py:1: ZeroDivisionError: division by zero"),
    ("raise SystemExit(3)", "SystemExit: 3"), ("net = 3", "a int can't be drawn")])
def test_an_error_is_one_line_and_watching_goes_on(broken: str, message: str, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    seen = watched(tmp_path, monkeypatch, FILE.format(name="first"), broken, FILE.format(name="mended"))
    assert "first" in seen[1] and "mended" in seen[2]
    err = capsys.readouterr().err
    assert message in err and err.startswith("viz: ") and err.count("\n") == 1


def test_a_file_that_is_away_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    seen = watched(tmp_path, monkeypatch, FILE.format(name="first"), None, FILE.format(name="other"))
    assert "first" in seen[1] and "other" in seen[2] and capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C can't be sent to one process alone")
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(FILE.format(name="net"))
    process = subprocess.Popen([sys.executable, "-m", "viz", "model.py:net", "-o", "net.dot", "--watch"], cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "net.dot\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_gone_after(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(2) as progress:
        progress.begin("reading")
        progress.begin("painting")
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert text.index("reading") < text.index("painting") and "1/2" in text
    assert text.endswith("\r") and not text.rstrip("\r").split("\r")[-1].strip()


@pytest.mark.parametrize("terminal, tqdm", [(False, True), (True, False)])
def test_progress_is_silent_elsewhere(terminal: bool, tqdm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    with Progress(2) as progress:
        progress.begin("reading")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
