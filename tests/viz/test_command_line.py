"""python -m viz."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from painters import painting

from viz.__main__ import main
from viz.cli import KINDS

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
    ("run --values --heat --dark", ["|gradient|", "#1A1A1A"]), ("W", ["(2, 2)"]),
    ("rolled net", ["net, rolled"]), ("unrolled net --unroll 2", ["T = 2"]), ("both net", ["rolled", "T = 4"]),
    ("both net --unroll 3 --level ops", ["unrolled, T = 3", "W @"]), ("gradient_map run", ["each time step, T = 60"]),
    ("unrolled loss --steps 1-2,58-60", ["loss", "h[58]", "× 55 steps"]), ("graph loss", ["stack", "sum"]),
    ("run --steps 1-3,59", ["h[3]", "h[59]", "× 55 steps"]),
    ("net --title Mine --legend --shapes --parameters", ["Mine", "boxes and arrows", "h[t] (2)", "W  (2, 2)"]),
    ("both net --equations --notation math --no-title", ["tanh(W @ x<SUB>", "rolled"]),
    ("unrolled loss --steps 1-4 --per-row 2", ["h[2]\\l", "h[2]\\r"]), ("run --aspect 1.5", ["h[60]"]),
    ("graph loss --aspect page --legend", ["the last result"])])
def test_the_command_line_draws_what_is_named(options: str, wanted: list[str], file: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    kind, name, rest = re.fullmatch(r"((?:rolled|unrolled|both|gradient_map|graph) )?(\w+)(.*)", options).groups()
    picture = file.parent / "picture.dot"
    assert main([*(kind or "").split(), f"{file}:{name}", *rest.split(), "-o", str(picture)]) == 0
    source = picture.read_text(encoding="utf-8")
    assert all(word in source for word in wanted)
    assert capsys.readouterr() == (f"{picture}\n", "")


def test_all_runs_of_a_loss_are_drawn(file: Path) -> None:
    with file.open("a") as stream:
        stream.write('second = net.unroll(x=np.ones((2, 2)), initial=run.state)\nboth = second["h"].stack().sum()\n')
    picture = file.parent / "picture.dot"
    assert main(["unrolled", f"{file}:both", "-o", str(picture)]) == 0
    assert all(word in picture.read_text(encoding="utf-8") for word in ("net, run 1", "net, run 2", "h[0] = h[60]"))


def test_a_file_does_not_see_the_arguments_of_viz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.py"
    path.write_text("import sys\nassert len(sys.argv) == 1\n" + FILE)
    monkeypatch.setattr("sys.argv", ["viz", "something"])
    assert main([f"{path}:net", "-o", str(tmp_path / "net.dot")]) == 0
    assert sys.argv == ["viz", "something"]


@pytest.mark.parametrize("what, options, message", [
    ("model.py:nothing", "", "model.py has no 'nothing'; it has W, net, run, loss that can be drawn"),
    ("model.py", "", "'model.py' is not of the form FILE.py:NAME"), ("none.py:net", "", "there is no file 'none.py'"),
    ("model.py:number", "", "an int can't be drawn: name a Cell, an unrolled run or a Tensor"),
    ("model.py:net", "--steps 1,2",
     "--steps does nothing for rolled: it is for unrolled, diff, animate (a Cell is unrolled by --unroll T)"),
    ("model.py:net", "--unroll 9 --steps 1,x", "--steps 1,x: write whole numbers and ranges between commas, e.g. 1"),
    ("model.py:net", "--unroll 9 --steps 12", "choose one or more of the run's steps, 1 … 9"),
    ("model.py:net", "--unroll 0", "--unroll 0: unroll 1 step or more"),
    ("model.py:run", "--unroll 3", "--unroll does nothing for unrolled of a Run: it is for a Cell"),
    ("broken.py:net", "", "broken.py:2: ZeroDivisionError: division by zero (--traceback shows the calls)"),
    ("model.py:h", "", "h is a signal: draw its cell, 'net', which is model.py:net"),
    ("bots model.py:net", "", "'bots' is not of the form FILE.py:NAME, nor one of the kinds rolled, unrolled, both"),
    ("model.py:net model.py:run", "", "a picture is of one FILE.py:NAME, not of 2; the kind stands first, e.g. diff"),
    ("both", "", "both is of one FILE.py:NAME, not of 0"), ("diff model.py:net", "", "diff is of two FILE.py:NAME"),
    ("diff model.py:net model.py:run", "", "viz: diff compares two Cells, two runs or two Tensors, not a Cell with a"),
    ("both model.py:run", "", "both draws a Cell, not a Run"),
    ("gradient_map model.py:net", "", "gradient_map draws a Run, not a Cell"),
    ("stepper model.py:net", "", "stepper draws a Tensor, not a Cell"),
    ("stepper model.py:loss", "", "stepper can't be '.dot': -o steps.html"),
    ("unrolled model.py:net", "", "unrolled of a Cell: give the number of steps, --unroll T"),
    ("unrolled model.py:W", "", "wasn't computed from a run"),
    ("model.py:net", "--values", "--values does nothing for rolled: it is for unrolled, diff, animate"),
    ("model.py:loss", "--level ops", "--level does nothing for graph: it is for rolled, unrolled, both, diff, animate"),
    ("model.py:net", "--level layers", "'net' has no layers: level='layers' draws signals with a common prefix"),
    ("diff model.py:net model.py:net", "--level layers", "compares signals, level='signals', or operations too"),
    ("model.py:net", "--heat", "--heat does nothing for rolled: it is for unrolled"),
    ("animate model.py:net", "--no-heat", "--no-heat does nothing for animate of a Cell: it is for the backward pass"),
    ("animate model.py:run", "--heat", "--heat does nothing for animate: it is for unrolled"),
    ("unrolled model.py:run", "--every 2", "--every does nothing for unrolled: it is for animate"),
    ("both model.py:net", "--seconds 2", "--seconds does nothing for both: it is for animate"),
    ("gradient_map model.py:run", "--unroll 4", "--unroll does nothing for gradient_map: it is for unrolled, both"),
    ("diff model.py:net model.py:net", "--values", "--values does nothing for diff of a Cell: it is for runs and Tens"),
    ("diff model.py:loss model.py:loss", "--steps 1", "--steps does nothing for diff of a Tensor: it is for runs"),
    ("model.py:net", "--dpi 90", "--dpi does nothing for .dot: it is for .gif, .jpeg, .jpg, .png"),
    ("model.py:run", "--steps 5-1", "--steps 5-1: the range 5-1 ends before it begins"),
    ("model.py:run", "--steps 1-999999999", "--steps 1-999999999: a picture of more than 1000 steps can't be read"),
    ("model.py:run", "--steps 1--3", "--steps 1--3: write whole numbers and ranges between commas"),
    ("model.py:net", "--per-row 2", "--per-row does nothing for rolled: it is for unrolled, both, animate"),
    ("gradient_map model.py:run", "--shapes", "--shapes does nothing for gradient_map: it is for rolled, unrolled"),
    ("graph model.py:loss", "--no-equations", "--equations does nothing for graph: it is for rolled, unrolled, both"),
    ("diff model.py:run model.py:run", "--equations", "--equations does nothing for diff of a Run: it is for Cells"),
    ("model.py:run", "--aspect wide", "aspect='wide': 'slide' (16:9), 'page' (A4, upright), or width by height"),
    ("model.py:run", "--per-row 0", "per_row=0: 1 step or more in a row"),
    ("model.py:net", "--level ops --biases", "biases=True is for level='signals': level='ops' draws an"),
    ("undefined.py:net", "", "a signal is used but never defined")])
def test_the_command_line_says_in_one_line_what_is_wrong(
        what: str, options: str, message: str, file: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(file.parent)
    Path("broken.py").write_text("x = 1\nx / 0\n")
    Path("undefined.py").write_text("from rnn import Cell, t\nnet = Cell()\na = net.signal('a', 2)\n"
                                    "b = net.signal('b', 2)\na[t] = b[t]\n")
    before = sorted(path.name for path in file.parent.iterdir())
    assert main([*what.split(), *options.split(), "-o", "picture.dot"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("viz: ") and message in err and err.count("\n") == 1
    assert sorted(path.name for path in file.parent.iterdir()) == before


def test_an_aspect_is_a_ratio_too(file: Path) -> None:
    texts = []
    for number, aspect in enumerate(("16/9", str(16 / 9), "slide")):
        out = file.with_name(f"aspect{number}.dot")
        assert main([f"{file}:run", "--aspect", aspect, "-o", str(out)]) == 0
        texts.append(out.read_text(encoding="utf-8"))
    assert texts[0] == texts[1] == texts[2]


def test_two_files_are_compared(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = file.with_name("other.py")
    other.write_text(FILE.replace("h[t-1])", "h[t-1] + 1.0)"))
    out = file.with_name("diff.dot")
    assert main(["diff", f"{file}:net", f"{other}:net", "--level", "ops", "-o", str(out)]) == 0
    assert "extra" in out.read_text(encoding="utf-8") and capsys.readouterr().err == ""
    assert main(["diff", f"{file}:run", f"{other}:run", "--values", "--steps", "1-2", "-o", str(out)]) == 0
    assert "changed" in out.read_text(encoding="utf-8")


def test_modules_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for folder, name in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.py").write_text(f"name = {name!r}\n")
        (tmp_path / folder / "model.py").write_text("from part import name\n" + FILE.replace('"net"', "name"))
    out = tmp_path / "diff.dot"
    assert main(["diff", f"{tmp_path}/a/model.py:net", f"{tmp_path}/b/model.py:net", "-o", str(out)]) == 0
    assert "first" in out.read_text(encoding="utf-8") and "second" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [[], ["stepper"]])
def test_a_page_is_written_for_a_loss(kind: list[str], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = file.with_name("steps.html")
    assert main([*kind, f"{file}:loss", "-o", str(page)]) == 0
    assert "Backward pass of the loss" in page.read_text(encoding="utf-8")
    assert capsys.readouterr() == (f"{page}\n", "")
    assert main([f"{file}:loss", "--dark", "-o", str(page)]) == 2
    assert "--dark does nothing for stepper: it is for rolled, unrolled" in capsys.readouterr().err


def size_of(picture: Path) -> Any:
    with pytest.importorskip("PIL.Image").open(picture) as image:
        return image.size


@painting
def test_the_resolution_of_a_png(file: Path) -> None:
    sizes = []
    for dpi in (40, 80):
        assert main([f"{file}:net", "--dpi", str(dpi), "-o", str(file.with_name("net.png"))]) == 0
        sizes.append(size_of(file.with_name("net.png")))
    assert sizes[1][0] == pytest.approx(2 * sizes[0][0], abs=2)


@painting
def test_an_animation_is_a_gif_or_numbered_files(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    out = file.with_name("bptt.gif")
    assert main([f"{file}:loss", "--steps", "1,60", "--every", "100", "--dpi", "40", "--no-heat", "--seconds", "0.1",
                 "-o", str(out)]) == 0
    assert out.read_bytes().startswith(b"GIF89a") and capsys.readouterr() == (f"{out}\n", "")
    small = size_of(out)
    assert main([f"{file}:loss", "--steps", "1,60", "--every", "150", "--dpi", "80", "--no-heat",
                 "-o", str(out)]) == 0
    assert size_of(out)[1] == pytest.approx(2 * small[1], abs=2) and capsys.readouterr().err == ""
    for rest, heat in ([], True), (["--no-heat"], False):
        assert main(["animate", f"{file}:loss", *rest, "--steps", "1", "-o", str(file.with_name("b.dot"))]) == 0
        assert ("|gradient|" in file.with_name("b-1.dot").read_text(encoding="utf-8")) == heat
    capsys.readouterr()
    assert main(["animate", f"{file}:net", "--unroll", "2", "--level", "ops", "-o", str(file.with_name("a.dot"))]) == 0
    assert capsys.readouterr().out == "".join(f"{file.with_name(f'a-{number}.dot')}\n" for number in (1, 2, 3))
    assert "tanh" in file.with_name("a-3.dot").read_text(encoding="utf-8")


@painting
@pytest.mark.parametrize("ending, message", [
    (".xyz", "'xyz' is not a format that can be painted: try png, svg or pdf\n"),
    (".html", "rolled can't be an .html file: e.g. .png, .svg or .pdf; stepper makes a page\n"),
    ("", "doesn't end in a format")])
def test_an_ending_that_is_no_format_is_answered_without_a_list(ending: str, message: str, file: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rolled", f"{file}:net", "-o", str(file.with_name("picture")) + ending]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err) < 250 and [path.name for path in file.parent.iterdir()] == ["model.py"]


def test_the_calls_of_an_error_are_shown_on_demand(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "helper_of_model.py").write_text("def halve(x):\n    return x / 0\n")
    path = tmp_path / "model.py"
    path.write_text("from helper_of_model import halve\nnet = 1\nhalve(net)\n")
    assert main([f"{path}:net", "-o", "net.dot"]) == 2
    short = capfd.readouterr().err
    assert short == f"viz: {path}:3: ZeroDivisionError: division by zero (--traceback shows the calls)\n"
    assert main([f"{path}:net", "-o", "net.dot", "--traceback"]) == 2
    long = capfd.readouterr().err
    assert long.startswith("Traceback (most recent call last):\n  File ") and "return x / 0" in long
    assert "runpy" not in long and "loading.py" not in long
    assert long.endswith(f"viz: {path}:3: ZeroDivisionError: division by zero\n")


def test_an_error_while_drawing_is_one_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.py"
    path.write_text(FILE + """
class Own(mg.Op):
    def forward(self, x):
        return x * 1
    def backward(self, grad, out, x):
        raise LookupError("no derivative")
own = mg.apply(Own(), loss)
""")
    for rest in ([], ["--traceback"]):
        assert main([f"{path}:own", "-o", str(tmp_path / "a.html"), *rest]) == 2
        err = capsys.readouterr().err
        assert err.endswith("viz: LookupError: no derivative\n") and ("in backward" in err) == bool(rest)


def test_help_names_every_kind() -> None:
    done = subprocess.run([sys.executable, "-m", "viz", "--help"], cwd=Path(__file__).parents[2], text=True,
                          capture_output=True, check=True)
    assert all(re.search(rf"^  {kind}  ", done.stdout, re.MULTILINE) for kind in KINDS)


def test_layers_are_drawn_by_the_command_line(tmp_path: Path) -> None:
    path, out = tmp_path / "deep.py", tmp_path / "deep.dot"
    path.write_text("import numpy as np\nfrom rnn import Cell, cells\nnet = Cell('net')\n"
                    "cells.gru(net, net.input('x', 2), 2, name='enc', rng=np.random.default_rng(0))\n")
    for kind in ("rolled", "both", "animate"):
        target = out if kind != "animate" else tmp_path / "a.dot"
        assert main([kind, f"{path}:net", "--level", "layers", "-o", str(target)]) == 0
        written = out if kind != "animate" else next(tmp_path.glob("a-*.dot"))
        assert 'label="enc"' in written.read_text(encoding="utf-8")
