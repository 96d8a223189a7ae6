"""Students' kits in the playground: what the site holds of them, and that a check there says what it says at home."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from examples.assignments import bundle, contents, in_page, naming
from examples.assignments.check import NAMES
from examples.assignments.make import source, stub
from examples.assignments.sandbox import ROOT
from viz.playground import build
from viz.playground.__main__ import main
from viz.playground.kits import FACTS, Kit, KitError, read_kits, write_kits

PACKAGES = {name: path for path, name in build.package_files()}
# A worker's side of the page, and nothing of the course but the kit.
PAGE = """
import base64, json, pathlib, sys
sys.stdin.reconfigure(encoding="utf-8")
from viz.playground.session import Session
session = Session()
for question in json.load(sys.stdin):
    print(session.answer(json.dumps({"ask": "check", **question})))
"""
UNUSUAL = [  # at the end of a right solution
    "import rnn", "import minigrad.ops", "from examples.assignments import check", "x = (1,", "raise SystemExit(3)",
    "input()", "import utils", "def rnn_forward(x):\n    pass", "del lstm_backward", "import sys\nsys.path.clear()",
    "print('αβ\\a', end='')\nimport sys, warnings\nprint('to stderr', file=sys.stderr)", "np.seterr(all='raise')",
    "np.float64(1e308) * 10", "while True:\n    print('x' * 100_000)",
    "def rnn_forward(x, h0, W, U, b):\n    return [1]",
    "def rnn_step_forward(x, h_prev, W, U, b):\n    x += 1\n    return np.tanh(x @ W + h_prev @ U + b)"]
WRONG = {"a1": "softmax_wrong_axis", "a2": "once_per_input", "a3": "truncated", "a4": "delay_always_one",
         "a5": "not_detached", "a6": "sign"}


@cache
def made(name: str, folder: Path) -> Path:
    path = folder / f"{name}_kit.zip"
    bundle.write_students(name, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kits")


def kit_of(name: str, folder: Path) -> Kit:
    [kit] = read_kits([made(name, folder)], PACKAGES)
    return kit


def mutant(name: str, which: str | None) -> str:
    """Return a wrong solution by its name, or the first."""
    table = importlib.import_module(f"examples.assignments.mutants.{name}").MUTANTS
    return str(next(one for one in table if which in (None, one.name)).of(source(name)))


def as_text(report: dict[str, Any]) -> str:
    """Return what the page shows of a report."""
    lines = [report["head"]]
    for check in report["checks"]:
        lines += [check["head"], *(f"             {line}" for line in check["said"])]
    return "\n".join([*lines, *report["foot"]]) + "\n"


def in_the_page(kit: Kit, files: list[str], folder: Path) -> list[dict[str, Any]]:
    """Check files as the page does, with minigrad, rnn and viz alone importable."""
    import base64

    (folder / "only").mkdir(exist_ok=True)
    for package in ("minigrad", "rnn", "viz"):
        if not (folder / "only" / package).exists():
            (folder / "only" / package).symlink_to(ROOT / package)
    archive = base64.b64encode(kit.archive()).decode()
    questions = [{"kit": archive, "check": kit.check, "name": kit.name, "file": kit.file, "source": text}
                 for text in files]
    done = subprocess.run([sys.executable, "-c", PAGE], cwd=folder / "only", input=json.dumps(questions), text=True,
                          capture_output=True, encoding="utf-8", timeout=300,
                          env={**os.environ, "PYTHONPATH": str(folder / "only"), "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def at_home(name: str, text: str, folder: Path) -> str:
    """Return what the checker's command prints of a file, but for how its process was isolated."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "examples.assignments.check", name, str(file), "--no-pictures"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, encoding="utf-8",
                          env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.replace(" (not isolated: the file has run with your rights)", "", 1)


@pytest.fixture(scope="module")
def unusual(folder: Path) -> list[dict[str, Any]]:
    """The reports of one process: nothing that a file has changed may reach the next."""
    return in_the_page(kit_of("a3", folder), [f"{source('a3')}\n{added}\n" for added in UNUSUAL], folder)


class TestReport:
    @pytest.mark.parametrize("name", NAMES)
    def test_is_word_for_word_that_of_the_command(self, name: str, folder: Path) -> None:
        files = [stub(source(name)), mutant(name, WRONG.get(name)), source(name)]
        reports = in_the_page(kit_of(name, folder), files, folder)
        for text, report in zip(files, reports):
            assert as_text(report) == at_home(name, text, folder)
        assert [all(check["passed"] for check in report["checks"]) for report in reports] == [False, False, True]

    def test_of_a_variant_is_that_of_the_command(self, folder: Path) -> None:
        contents.write_students("a6", folder / "a6_variant.zip", 1)
        [kit] = read_kits([folder / "a6_variant.zip"], PACKAGES)
        right, other = in_the_page(kit, [source("a6", 1), source("a6")], folder)
        assert as_text(right) == at_home("a6", source("a6", 1), folder) and "variant 1" in right["head"]
        assert all(check["passed"] for check in right["checks"])
        assert other["checks"] == [] and "VARIANT = 0" in other["foot"][-1] and "variant 1" in other["foot"][-1]

    @pytest.mark.parametrize("number", range(len(UNUSUAL)), ids=[repr(added) for added in UNUSUAL])
    def test_of_a_file_with_something_unusual_is_that_of_the_command(
            self, number: int, unusual: list[dict[str, Any]], folder: Path) -> None:
        assert as_text(unusual[number]) == at_home("a3", f"{source('a3')}\n{UNUSUAL[number]}\n", folder)

    def test_names_the_lines_of_the_file(self) -> None:
        text = source("a3") + "\n\ndef rnn_forward(x, h0, W, U, b):\n    return h0.missing()\n"
        report = in_page.check("a3", "a3.py", text)
        [check] = [one for one in report["checks"] if "AttributeError" in " ".join(one["said"])]
        lines = text.splitlines()
        named, function = check["lines"]
        assert named["wrong"] and named["text"] == f"line {named['line']}"
        assert lines[named["line"] - 1].strip() == "return h0.missing()"
        assert not function["wrong"] and lines[function["line"] - 1].startswith(f"def {function['text']}(")

    def test_names_a_method_of_a_class(self) -> None:
        text = mutant("a1", "sigmoid_half_derivative")
        report = in_page.check("a1", "a1.py", text)
        found = [line for check in report["checks"] for line in check["lines"]]
        assert {line["text"] for line in found} == {"Sigmoid.backward"}
        assert text.splitlines()[found[0]["line"] - 1].strip().startswith("def backward(")

    def test_draws_the_wrong_edge_of_the_first_finding(self) -> None:
        report = in_page.check("a3", "a3.py", mutant("a3", "truncated"))
        pictures = [check["picture"] for check in report["checks"] if check["picture"]]
        assert len(pictures) == 1 and pictures[0]["engine"] == "nop2"
        assert pictures[0]["alt"] == next(check["said"][0] for check in report["checks"] if check["picture"])
        report = in_page.check("a1", "a1.py", mutant("a1", "sigmoid_half_derivative"))
        assert [check["picture"]["engine"] for check in report["checks"] if check["picture"]] == ["dot"]

    def test_leaves_modules_and_imports_as_they_were(self) -> None:
        before = {name: sys.modules[name] for name in sys.modules if name != "student"}
        others = list(sys.meta_path), sys.stdin, sys.stdout
        in_page.check("a3", "a3.py", source("a3") + "\nimport sys\nsys.meta_path.clear()\n")
        assert {name: sys.modules[name] for name in before} == before
        assert (sys.meta_path, sys.stdin, sys.stdout) == others

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="a line can't be stopped before Python 3.12")
    def test_a_loop_that_does_not_end_is_stopped_in_its_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(in_page, "SLOWER", 0.01)
        text = source("a2") + "\n_order = topological_order\ndef topological_order(out):\n    while True: pass\n"
        report = in_page.check("a2", "a2.py", text)
        assert f"did not end in 2 s at line {len(text.splitlines())}: `while True: pass`" in as_text(report)


class TestKits:
    @pytest.mark.parametrize("name", NAMES)
    def test_nothing_of_the_teachers_is_in_the_site(self, name: str, folder: Path, tmp_path: Path) -> None:
        kit = kit_of(name, folder)
        assert write_kits([kit], tmp_path) == [f"kits/{name}.zip"]
        with zipfile.ZipFile(tmp_path / "kits" / f"{name}.zip") as opened:
            files = {one: opened.read(one).decode() for one in opened.namelist()}
        files["the page"] = build.page("pyodide/", assignments=[kit])
        handout = stub(source(name))
        secret = {line.strip() for line in source(name).splitlines() if len(line.strip()) > 22
                  and line.strip() not in handout}
        assert secret
        for path, text in files.items():
            assert not [line for line in secret if line in text or line in text.replace("\\\"", '"')], path
            assert not {*contents.CLOSED} & {*path.split("/")} - {"README.md"}, path
            assert "_source" not in path and path.partition("/")[0] not in ("minigrad", "rnn", "viz")
        assert "the hidden checks" not in files["README.md"]

    def test_what_the_page_opens_is_the_handout(self, folder: Path) -> None:
        facts = kit_of("a3", folder).described()
        assert facts["source"] == stub(source("a3")) and facts["file"] == "a3.py"
        assert facts["title"] == "a3: RNN and LSTM cells by hand"

    def test_of_a_folder_come_in_order_and_an_old_site_is_emptied(self, tmp_path: Path) -> None:
        for name in ("a4", "a2"):
            bundle.write_students(name, tmp_path / f"kit_{name[::-1]}.zip")
        kits = read_kits([tmp_path], PACKAGES)
        assert [kit.name for kit in kits] == ["a2", "a4"]
        write_kits(kits, tmp_path)
        write_kits(kits[1:], tmp_path)
        assert [file.name for file in (tmp_path / "kits").iterdir()] == ["a4.zip"]

    def test_an_archive_with_solutions_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        bundle.write("a2", tmp_path / "autograder.zip", 0)
        assert main(["--out", str(tmp_path / "site"), "--kits", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "autograder.zip is no students' kit" in said and said.count("\n") == 1
        assert not (tmp_path / "site").exists()

    def test_of_all_assignments_in_one_is_refused(self, tmp_path: Path) -> None:
        contents.write_course(tmp_path / "course_kit.zip")
        with pytest.raises(KitError, match=r"course_kit\.zip is no students' kit of one assignment"):
            read_kits([tmp_path], PACKAGES)

    def changed(self, folder: Path, tmp_path: Path, **files: str | None) -> Path:
        """Write the kit of a2 without its top folder, and with other files."""
        with zipfile.ZipFile(made("a2", folder)) as opened:
            content: dict[str, Any] = {one.partition("/")[2]: opened.read(one) for one in opened.namelist()}
        path = tmp_path / "changed.zip"
        with zipfile.ZipFile(path, "w") as written:
            for name, text in {**content, **{name.replace("__", "/"): text for name, text in files.items()}}.items():
                if text is not None:
                    written.writestr(name, text)
        return path

    def test_of_another_version_is_refused(self, folder: Path, tmp_path: Path) -> None:
        path = self.changed(folder, tmp_path, **{"minigrad__ops.py": "# older"})
        with pytest.raises(KitError, match=r"another version of this project, with another minigrad/ops.py"):
            read_kits([path], PACKAGES)

    @pytest.mark.parametrize("facts", ["{", "[]", "{}", '{"name": "a2"}', json.dumps(
        {"name": "a2", "title": "t", "task": "", "file": "missing.py", "check": "a:b"})])
    def test_that_cannot_be_read_is_refused(self, facts: str, folder: Path, tmp_path: Path) -> None:
        path = self.changed(folder, tmp_path, **{FACTS: facts})
        with pytest.raises(KitError, match=r"changed\.zip can't be read as a students' kit"):
            read_kits([path], PACKAGES)

    @pytest.mark.parametrize("name", ["../a2", "", "a 2", "ä"])
    def test_a_name_that_is_no_file_name_is_refused(self, name: str, folder: Path, tmp_path: Path) -> None:
        facts = {"name": name, "title": "t", "task": "", "file": "a2.py", "check": "a:b"}
        with pytest.raises(KitError, match="only letters, digits"):
            read_kits([self.changed(folder, tmp_path, **{FACTS: json.dumps(facts)})], PACKAGES)

    def test_places_without_kits_are_refused(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "no.zip").write_text("no archive")
        for places, said in (([tmp_path / "no.zip"], "can't be read"), ([tmp_path / "nothing.zip"], "can't be read"),
                             ([folder / "only"], "holds no zip archive"), ([made("a2", folder)] * 2, "another kit")):
            with pytest.raises(KitError, match=said):
                (folder / "only").mkdir(exist_ok=True)
                read_kits(places, PACKAGES)


@pytest.mark.parametrize("rounds", [1, 2, 100])
def test_keys_without_openssl_are_the_same(rounds: int) -> None:
    secret = hashlib.sha256(b"numbers").digest()
    assert naming.pbkdf2("sha256", secret, b"salt", rounds) == hashlib.pbkdf2_hmac("sha256", secret, b"salt", rounds)
