"""python -m viz --watch draws again after each change of a file; the progress bar."""

from __future__ import annotations

import io
import linecache
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from viz.cli import Progress, main
from viz.loading import Loader, LoadError

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
    ("raise SystemExit(3)", "SystemExit: 3"), ("net = 3", "an int can't be drawn")])
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


# ---- what a file imports
IMPORTS = "from part_of_it import make\nnet = make()\n"
PART = """
import numpy as np
from rnn import Cell, t
def make():
    net = Cell("{name}")
    x, h = net.input("x", 2), net.signal("h", 2)
    h[t] = np.tanh(x[t] + h[t-1])
    return net
"""


def watched_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: dict[str, str],
                 *changes: dict[str, str]) -> list[str]:
    """Return the picture of model.py:net after each change of some files."""
    picture, waiting, seen = tmp_path / "net.dot", [start, *changes], []

    def write() -> None:
        for name, content in waiting.pop(0).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")

    def sleep(seconds: float) -> None:
        seen.append(picture.read_text(encoding="utf-8") if picture.exists() else "")
        if not waiting:
            raise KeyboardInterrupt
        write()

    write()
    monkeypatch.setattr(time, "sleep", sleep)
    assert main([f"{tmp_path / 'model.py'}:net", "-o", str(picture), "--watch"]) == 130
    return seen


@pytest.mark.parametrize("where, model", [
    ("part_of_it.py", IMPORTS), ("package_of_it/part.py", "from package_of_it.part import make\nnet = make()\n")])
def test_a_change_of_a_module_of_its_folder_is_drawn(where: str, model: str, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    seen = watched_with(tmp_path, monkeypatch, {"model.py": model, where: PART.format(name="first")},
                        {where: PART.format(name="other")},  # as long, and written in the same second
                        {"model.py": model + "\n"}, {where: PART.format(name="third")})
    assert [re.findall("(first|other|third), rolled", text) for text in seen] == [
        ["first"], ["other"], ["other"], ["third"]]
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.rglob("*.pyc"))


def test_modules_of_modules_are_watched_and_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched_with(tmp_path, monkeypatch,
                        {"model.py": IMPORTS, "part_of_it.py": "from inner_part import make\n",
                         "inner_part.py": PART.format(name="first")}, {"inner_part.py": PART.format(name="other")})
    assert "first, rolled" in seen[0] and "other, rolled" in seen[1]


@pytest.mark.parametrize("before, message", [
    ({"part_of_it.py": "def make(:"}, "SyntaxError"), ({"part_of_it.py": "1 / 0"}, "ZeroDivisionError"),
    ({}, "ModuleNotFoundError: No module named 'part_of_it'")])
def test_a_module_that_was_broken_or_missing_is_waited_for(before: dict[str, str], message: str, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    seen = watched_with(tmp_path, monkeypatch, {"model.py": IMPORTS, **before},
                        {"part_of_it.py": PART.format(name="mended")})
    assert seen[0] == "" and "mended, rolled" in seen[1]
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_only_files_of_the_folder_are_watched_and_viz_is_never_forgotten(tmp_path: Path) -> None:
    installed = tmp_path / "venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "installed_there.py").write_text("")
    (tmp_path / "part_of_it.py").write_text("import json, numpy, sys\nsys.path.append(folder := "
                                            f"{str(installed)!r})\nimport installed_there\nsys.path.remove(folder)\n")
    file = tmp_path / "model.py"
    file.write_text("import part_of_it, rnn, viz.cli\n")
    loader = Loader([str(file)])
    loader.load([str(file)])
    assert set(loader.watched) == {file, tmp_path / "part_of_it.py"}
    assert not loader.changed()
    beside_viz = Loader([str(ROOT / "model.py")])  # the folder of all three packages
    with pytest.raises(LoadError, match="there is no file"):
        beside_viz.load([str(ROOT / "model.py")])
    assert sys.modules["viz.cli"].main is main and "part_of_it" in sys.modules
    loader.forget()
    assert "part_of_it" not in sys.modules


def test_the_code_that_messages_quote_is_that_of_the_last_run(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    loader = Loader([str(file)])
    for text in ("a = 1\n", "b = 20\n"):
        file.write_text(text)
        loader.load([str(file)])
        assert linecache.getline(str(file), 1) == text


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
