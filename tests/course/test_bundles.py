"""What leaves the teacher's machine: kits of one or all assignments, Autolab's assessment, variants of students."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from examples.assignments import bundle, contents, graders, handin, make, teacher
from examples.assignments.check import NAMES, parts
from examples.assignments.check import main as run_check
from examples.assignments.grading import Unreadable, read
from examples.assignments.make import source, stub
from examples.assignments.sandbox import ROOT
from examples.assignments.variants import variant


# ---- kits
def run(folder: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8", **changed}
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, encoding="utf-8",
                          timeout=200, env=environment)


@pytest.mark.slow  # thousands of mistakes are sealed
def test_one_kit_holds_all_assignments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle.main(["--all", "--students", "--out", str(tmp_path / "course.zip"), "--variant", "2"]) == 0
    with zipfile.ZipFile(tmp_path / "course.zip") as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"course"}
        archive.extractall(tmp_path)
    folder = tmp_path / "course"
    assert {file.stem for file in folder.glob("*.ipynb")} == set(NAMES) == {file.stem for file in folder.glob("*.py")}
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# Assignments {NAMES[0]} to {NAMES[-1]}\n")
    assert not list(folder.rglob("*_source.py")) and not (folder / "examples/assignments/checks").exists()
    for name in ("a2", "a6"):
        ran = run(folder, "-m", "examples.assignments.check", name, f"{name}.py", "--no-pictures")
        assert ran.returncode == 1 and "isn't written yet" in ran.stdout and ", variant 2 (" in ran.stdout, ran.stderr
    (folder / "a2.py").write_text(source("a2", 3))
    ran = run(folder, "-m", "examples.assignments.check", "a2", "a2.py", "--no-pictures")
    assert ran.returncode == 2 and "has VARIANT = 3, and this kit has the numbers of variant 2" in ran.stderr


def test_a_file_without_a_variant_is_checked_with_the_kits(tmp_path: Path) -> None:
    bundle.write_students("a2", tmp_path / "kit.zip", 4)
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "a2_kit" / "a2.py").write_text(source("a2"))
    ran = run(tmp_path / "a2_kit", "-m", "examples.assignments.check", "a2", "a2.py", "--no-pictures")
    assert ran.returncode == 0 and "variant 4" in ran.stdout, ran.stderr


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "usercustomize.py").write_text("")
    ran = subprocess.run([sys.executable, "-S", "-m", "examples.assignments.check", "a2", "a2.py"], cwd=ROOT,
                         capture_output=True, text=True)
    if "numpy" not in ran.stderr:
        pytest.skip("numpy is in the standard library's folder here")
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1 and "Activate the environment" in ran.stderr


def test_a_bundle_for_every_assignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, Path]] = []
    monkeypatch.setattr(bundle, "write", lambda name, out, *more: written.append((name, out)))
    assert bundle.main(["--all", "--out", str(tmp_path / "all")]) == 0
    assert written == [(name, tmp_path / "all" / f"{name}_autograder.zip") for name in NAMES]
    for wrong in ([], ["a1", "--all"]):
        with pytest.raises(SystemExit):
            bundle.main(wrong)


# ---- notebooks
def test_a_students_notebook_installs_checks_and_hands_in() -> None:
    for name in NAMES:
        found = make.notebook(stub(source(name)), name)
        code = ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == "code"]
        assert code[0].startswith("%pip install") and f"assignments.check {name} {name}.ipynb" in code[-2]
        assert f"assignments.handin {name} {name}.ipynb" in code[-1]
        assert "".join(found["cells"][0]["source"]).startswith("# Assignment ")
        assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])


def test_a_notebook_is_handed_in_as_one_python_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a4.ipynb"
    file.write_text(json.dumps(make.notebook(source("a4").replace("start: 1}", "start: 2}"), "a4")))
    assert handin.main(["a4", str(file), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    made = tmp_path / "out" / "a4.py"
    assert "before further checks; not passed: paths: two_delays" in said and str(made) in said
    assert made.read_text() == read(file) and "%run" not in made.read_text()
    assert run_check(["a4", str(made), "--no-pictures"]) == 1
    assert handin.main(["a4", str(tmp_path / "none.py")]) == 2


def test_modules_beside_the_file_are_handed_in_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = source("a2").replace("    return order\n", "    from graphs import first\n    return first(order)\n")
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "graphs.py").write_text("import more\n\n\ndef first(order):\n    return order\n")
    (tmp_path / "more.py").write_text("")
    (tmp_path / "other.py").write_text("")
    assert handin.main(["a2", str(tmp_path / "mine.py"), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.endswith("), and beside it graphs.py, more.py\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a2.py", "graphs.py", "more.py"]
    assert run_check(["a2", str(tmp_path / "out"), "--no-pictures"]) == 0
    (tmp_path / "graphs.py").rename(tmp_path / "a2.py")
    (tmp_path / "mine.py").write_text(text.replace("graphs", "a2"))
    assert handin.main(["a2", str(tmp_path / "mine.py"), str(tmp_path / "out")]) == 2
    assert "give that one another name" in capsys.readouterr().err


def test_cells_of_nbgrader_are_not_the_students(tmp_path: Path) -> None:
    file = tmp_path / "a2.ipynb"
    file.write_text(json.dumps(graders.notebook("a2", source("a2"), 1)))
    assert "passes(" in file.read_text() and "passes(" not in read(file)
    assert run_check(["a2", str(file), "--no-pictures"]) == 0


# ---- Autolab
class Autolab:
    """The steps of an autograding instance, as Autolab's guide for lab authors lists them."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.name, self.place = name, folder / "instance"
        bundle.main([name, "--grader", "autolab", "--seed", "12", "--out", str(folder / "it.tar"), *options])
        with tarfile.open(folder / "it.tar") as archive:
            members = archive.getnames()
            for inside in members:
                (folder / inside).parent.mkdir(parents=True, exist_ok=True)
                (folder / inside).write_bytes(archive.extractfile(inside).read())  # type: ignore[union-attr]
        self.files = {path.name: path for path in (folder / name).iterdir()}
        assert {inside.partition("/")[0] for inside in members} == {name}  # one folder, of the assessment's name
        assert {"autograde-Makefile", "autograde.tar", f"{name}.yml", f"{name}.rb"} <= {*self.files}
        self.place.mkdir()
        (self.place / "bin").mkdir()
        (self.place / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (self.place / "bin" / "python3").chmod(0o755)
        shutil.copy(self.files["autograde-Makefile"], self.place / "Makefile")
        shutil.copy(self.files["autograde.tar"], self.place)

    def grade(self, text: str, **changed: str) -> tuple[str, dict[str, Any]]:
        (self.place / f"{self.name}.py").write_text(text)
        environment = {**os.environ, "PATH": f"{self.place / 'bin'}{os.pathsep}{os.environ['PATH']}", **changed}
        environment.pop("PYTHONPATH", None)
        ran = subprocess.run(["make"], cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=300, env=environment)
        assert ran.returncode == 0, ran.stdout
        lines = ran.stdout.splitlines()
        return "\n".join(lines[:-1]), json.loads(lines[-1])


@pytest.mark.skipif(sys.platform == "win32" or not all(map(shutil.which, ("make", "grep"))), reason="needs make")
def test_autolab_reads_one_total_from_the_last_line(tmp_path: Path) -> None:
    autolab = Autolab(tmp_path, "a2", "--unsafe")
    most = graders.points("a2")
    said, result = autolab.grade(source("a2"))
    assert result == {"scores": {"total": most}} and "other numbers: " in said
    said, result = autolab.grade(stub(source("a2")))
    assert result == {"scores": {"total": 0}} and "isn't written yet" in said
    said, result = autolab.grade(source("a2").replace("x.grad += node", "x.grad = node")
                                 + "print('{\"scores\": {\"total\": 1000}}')\n")
    assert 0 < result["scores"]["total"] < most and "What this check finds is shown" in said
    (autolab.place / "bin" / "python3").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    assert autolab.grade(source("a2")) == ("broken", {"scores": {"total": 0}})


def test_autolab_names_the_problem_and_its_points(tmp_path: Path) -> None:
    autolab = Autolab(tmp_path, "a6")
    text = autolab.files["a6.yml"].read_text()
    fields = dict(re.findall(r"^ *(?:- )?(\w+): *(.*)$", text, flags=re.M))
    assert fields["handin_filename"] == "a6.py" and fields["handout"] in autolab.files
    assert text.count("- name: ") == 1 and "- name: total\n" in text
    assert float(fields["max_score"]) == graders.points("a6") > sum(
        check.points for check, is_hidden in graders.graded("a6") if not is_hidden)
    assert "--unsafe" not in autolab.files["autograde-Makefile"].read_text()
    assert zipfile.is_zipfile(autolab.files["a6_kit.zip"])


def test_a_file_that_is_not_graded_gets_a_last_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for format, last in (("autolab", {"scores": {"total": 0.0}}), ("gradescope", None), ("otter", None)):
        assert run_check(["a2", str(tmp_path / "a2.py"), "--json", format, "--unsafe"]) == 2
        shown = capsys.readouterr().out.splitlines()
        assert format == "otter" or json.loads(shown[-1]) == (last or {
            "score": 0, "output": f"there is no file {str(tmp_path / 'a2.py')!r}"})


# ---- variants of students
TABLE = "email,variant\nada@example.org,4\nBob@example.org,7\n"


def test_each_student_gets_the_variant_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    assert bundle.main(["a6", "--students", "--variants", str(tmp_path / "table.csv"), "--out", str(tmp_path)]) == 0
    for number in (4, 7):
        with zipfile.ZipFile(tmp_path / f"a6_kit_{number}.zip") as archive:
            assert variant(archive.read("a6_kit/a6.py").decode()) == number
    (tmp_path / "submission_metadata.json").write_text(json.dumps({"id": 1, "users": [
        {"email": "bob@example.org", "id": 2, "name": "Bob"}]}))
    options = ["--variants", str(tmp_path / "table.csv"), "--metadata", str(tmp_path / "submission_metadata.json")]
    for number, result in ((7, 0), (4, 2)):
        (tmp_path / "a6.py").write_text(source("a6", number))
        assert run_check(["a6", str(tmp_path / "a6.py"), "--no-pictures", *options]) == result
    assert "a6.py has VARIANT = 4; yours is VARIANT = 7" in capsys.readouterr().err
    (tmp_path / "submission_metadata.json").write_text('{"users": [{"email": "eve@example.org"}]}')
    with pytest.raises(Unreadable, match=r"eve@example\.org is not in the teacher's table"):
        teacher.assigned(tmp_path / "table.csv", tmp_path / "submission_metadata.json")
    (tmp_path / "table.csv").write_text("ada@example.org four\n")
    with pytest.raises(Unreadable, match="lines `email,variant`"):
        teacher.table(tmp_path / "table.csv")


# What may be in results.json: https://gradescope-autograders.readthedocs.io, "Output format".
RESULTS = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility",
           "stdout_visibility", "extra_data", "tests", "leaderboard"}
TEST = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags",
        "visibility", "extra_data"}


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="Gradescope's scripts need bash")
def test_gradescopes_script_asks_for_the_students_variant(tmp_path: Path) -> None:
    base = tmp_path / "autograder"
    for folder in ("source", "submission", "results", "bin"):
        (base / folder).mkdir(parents=True)
    (tmp_path / "table.csv").write_text(TABLE)
    bundle.main(["a6", "--variants", str(tmp_path / "table.csv"), "--unsafe", "--out", str(tmp_path / "it.zip")])
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        assert {"setup.sh", "run_autograder"} <= {*archive.namelist()}  # in the root of the zip
        assert archive.getinfo("variants.csv").external_attr >> 16 & 0o077 == 0
        archive.extractall(base / "source")
    shutil.copy(base / "source" / "run_autograder", base)
    (base / "bin" / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (base / "bin" / "python3").chmod(0o755)
    environment = {**os.environ, "AUTOGRADER": str(base), "PATH": f"{base / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    (base / "submission" / "a6.py").write_text(source("a6", 7))
    for email in ("Bob@example.org", "ada@example.org"):
        (base / "submission_metadata.json").write_text(json.dumps({"users": [{"email": email, "id": 1, "name": "X"}]}))
        subprocess.run(["bash", str(base / "run_autograder")], env=environment, check=True, timeout=200)
        results = json.loads((base / "results" / "results.json").read_text(encoding="utf-8"))
        assert {*results} <= RESULTS
        if email[0] == "a":
            assert results == {"score": 0, "output": "a6.py has VARIANT = 7; yours is VARIANT = 4"}
            continue
        for test in results["tests"]:
            assert {*test} <= TEST and test["status"] in ("passed", "failed")
            assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
            assert 0 <= test["score"] <= test["max_score"]
        assert sum(test["score"] for test in results["tests"]) == graders.points("a6")
        mine = [test for test in results["tests"] if test["name"].startswith("my_")]
        assert len(mine) == 3 and {test["visibility"] for test in mine} == {"after_published"}


@pytest.mark.parametrize("text, found", [
    ("email,variant\nA@b.c, 3\n\nd@e.f,0\n", {"a@b.c": 3, "d@e.f": 0}), ("a@b.c,3\n", {"a@b.c": 3}),
    ("\ufeffemail;variant\na@b.c;3\n", {"a@b.c": 3}), ("name\tEmail\tVariant\nAda, L.\ta@b.c\t3\n", {"a@b.c": 3})])
def test_tables_of_spreadsheets_are_read(text: str, found: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    assert teacher.table(tmp_path / "table.csv") == found


@pytest.mark.parametrize("text, said", [
    ("a@b.c,3\na@b.c,4\n", "a@b.c has two variants"), ("a@b.c,-1\n", "from 0 to 999999999, not '-1'"),
    ("a@b.c\n", "lines"),    ("a@b.c,3,x\n", "lines"), ("a@b.c,1234567890\n", "from 0 to 999999999")])
def test_a_wrong_table_is_one_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text(text)
    assert bundle.main(["a6", "--students", "--variants", str(tmp_path / "table.csv"), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("number", ["-1", "1000000000", "x"])
def test_a_variant_that_no_file_can_name_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    for main in (make.main, bundle.main):
        with pytest.raises(SystemExit):
            main(["a6", "--variant", number])
        assert "--variant: invalid number value" in capsys.readouterr().err


def test_a_kit_is_for_no_grader(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bundle.main(["a6", "--students", "--grader", "otter"])
    assert "leave out --grader" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_a_handout_names_the_packages_that_the_checker_refuses(name: str) -> None:
    for job in (job for part in parts(name) for job in part.jobs):
        assert [package for package in job.blocked if package not in stub(source(name))] == []


def test_a_kit_of_all_names_its_own_archive(tmp_path: Path) -> None:
    assert "!unzip -q course_kit.zip && mv course_kit/* ." in contents.kit_files(NAMES)["a3.ipynb"].decode()
