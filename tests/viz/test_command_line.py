"""python -m viz."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from viz.__main__ import main

FILE = '''
import numpy as np
import minigrad as mg
from rnn import Cell, t
W = mg.Tensor(np.eye(2), requires_grad=True, name="W")
net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
h[t] = np.tanh(W @ x[t] + h[t-1])
run = net.unroll(x=np.ones((60, 2)))
loss = run["h"].stack().sum()
loss.backward()
number = 3
if __name__ == "__main__":
    raise SystemExit("run as a script")
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("options, wanted", [
    ("net", ["h[t]", "net, rolled"]), ("net --level ops", ["tanh", "W @"]), ("net --unroll 3", ["h[3]", "T = 3"]),
    ("net --unroll 60 --steps 1,2,50", ["h[50]", "× 47 steps"]), ("run --level ops", ["h[60]", "tanh"]),
    ("run --values --heat --dark", ["|gradient|", "#1A1A1A"]), ("W", ["(2, 2)"])])
def test_the_command_line_draws_what_is_named(options: str, wanted: list[str], file: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    name, *rest = options.split()
    picture = file.parent / "picture.dot"
    assert main([f"{file}:{name}", *rest, "-o", str(picture)]) == 0
    source = picture.read_text(encoding="utf-8")
    assert all(word in source for word in wanted)
    assert capsys.readouterr() == (f"{picture}\n", "")


def test_a_file_does_not_see_the_arguments_of_viz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.py"
    path.write_text("import sys\nassert len(sys.argv) == 1\n" + FILE)
    monkeypatch.setattr("sys.argv", ["viz", "something"])
    assert main([f"{path}:net", "-o", str(tmp_path / "net.dot")]) == 0
    assert sys.argv == ["viz", "something"]


@pytest.mark.parametrize("what, options, message", [
    ("model.py:nothing", "", "model.py has no 'nothing'; it has W, net, run, loss that can be drawn"),
    ("model.py", "", "'model.py' is not of the form FILE.py:NAME"), ("none.py:net", "", "there is no file 'none.py'"),
    ("model.py:number", "", "a int can't be drawn: name a Cell, an unrolled run or a Tensor"),
    ("model.py:net", "--steps 1,2", "--steps is for a run: give --unroll T too"),
    ("model.py:net", "--unroll 9 --steps 1,x", "--steps 1,x: write whole numbers between commas"),
    ("model.py:net", "--unroll 9 --steps 12", "choose one or more of the run's steps, 1 … 9"),
    ("model.py:net", "--unroll 0", "--unroll 0: unroll 1 step or more"),
    ("model.py:run", "--unroll 3", "--unroll is for a Cell, not for a Run"),
    ("broken.py:net", "", "broken.py:2: ZeroDivisionError: division by zero"),
    ("undefined.py:net", "", "a signal is used but never defined")])
def test_the_command_line_says_in_one_line_what_is_wrong(
        what: str, options: str, message: str, file: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(file.parent)
    Path("broken.py").write_text("x = 1\nx / 0\n")
    Path("undefined.py").write_text("from rnn import Cell, t\nnet = Cell()\na = net.signal('a', 2)\n"
                                    "b = net.signal('b', 2)\na[t] = b[t]\n")
    before = sorted(path.name for path in file.parent.iterdir())
    assert main([what, *options.split(), "-o", "picture.dot"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("viz: ") and message in err and err.count("\n") == 1
    assert sorted(path.name for path in file.parent.iterdir()) == before
