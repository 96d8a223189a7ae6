"""nbgrader and otter grade the assignments: their own programs, from PyPI, on what `bundle --grader` writes."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from examples.assignments import bundle, graders, make
from examples.assignments.check import check, parts
from examples.assignments.check import main as run_check
from examples.assignments.grading import Settings
from examples.assignments.make import source, stub
from examples.assignments.mutants import a2, a6
from examples.assignments.sandbox import ROOT

SEED = 73
MUTANTS = {"a2": next(one for one in a2.MUTANTS if one.name == "assigned"),
           "a6": next(one for one in a6.MUTANTS if one.name == "nan_beside")}


def texts(name: str) -> dict[str, str]:
    """The right solution, one mistake, and nothing."""
    return {"anna": source(name), "ben": MUTANTS[name].of(source(name)), "cleo": stub(source(name))}


def points(name: str, text: str, folder: Path) -> float:
    """What this project's own checker gives, hidden checks included."""
    file = folder / f"{name}.py"
    file.write_text(text)
    return sum(outcome.score for result in check(name, file, Settings(others=True, seed=SEED))
               for outcome in result.outcomes)


def program(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run([sys.executable, "-m", *arguments], cwd=folder, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=900, env=environment)
    assert ran.returncode == 0, ran.stdout[-3000:]
    return ran.stdout


@pytest.mark.parametrize("name", ["a2", "a6"])
def test_nbgrader_generates_and_grades(name: str, tmp_path: Path) -> None:
    course = tmp_path / "course"
    bundle.main([name, "--grader", "nbgrader", "--seed", str(SEED), "--out", str(course)])
    program(course, "nbgrader", "generate_assignment", name, "--create", "--course-dir", str(course))
    release = json.loads((course / "release" / name / f"{name}.ipynb").read_text())
    code = "\n".join("".join(cell["source"]) for cell in release["cells"])
    assert "YOUR CODE HERE" in code and "SOLUTION" not in code and "HIDDEN" not in code
    assert f"seed={SEED}" not in code and str(ROOT) not in code
    assert not list((course / "release").rglob("*_source.py"))
    right = json.loads((course / "source" / name / f"{name}.ipynb").read_text())
    assert [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in right["cells"]] == [
        cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in release["cells"]]
    for student, text in texts(name).items():
        cells = make.notebook(text)["cells"]
        for mine, theirs in zip(release["cells"], cells):
            mine["source"] = theirs["source"]
        place = course / "submitted" / student / name
        place.mkdir(parents=True)
        (place / f"{name}.ipynb").write_text(json.dumps(release))
    program(course, "nbgrader", "autograde", name, "--create", "--course-dir", str(course))
    program(course, "nbgrader", "export")
    with open(course / "grades.csv", encoding="utf-8") as file:
        scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    most = graders.points(name)
    assert scores == {student: (points(name, text, tmp_path), most) for student, text in texts(name).items()}
    assert scores["anna"][0] == most > scores["ben"][0] > scores["cleo"][0] == 0
    graded = (course / "autograded" / "ben" / name / f"{name}.ipynb").read_text()
    assert MUTANTS[name].said[0] in json.loads(json.dumps(graded))


@pytest.mark.parametrize("name", ["a2", "a6"])
def test_otter_generates_and_runs(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "otter"
    bundle.main([name, "--grader", "otter", "--seed", str(SEED), "--out", str(folder)])
    program(folder, "otter", "generate", "-t", "tests", "-o", str(tmp_path / "autograder.zip"), "examples", "minigrad",
            "rnn", "viz")
    most, found = graders.points(name), {}
    for student, text in texts(name).items():
        place = tmp_path / student
        place.mkdir()
        (place / f"{student}.ipynb").write_text(json.dumps(make.notebook(text, name)))
        shown = program(tmp_path, "otter", "run", str(place / f"{student}.ipynb"), "-a", "autograder.zip", "-o",
                        str(place), "--no-logo", "-p")
        score, possible = re.findall(r"Total Score: ([\d.]+) / ([\d.]+)", shown)[0]
        assert float(possible) == most
        found[student] = float(score)
        assert score_of(json.loads((place / "results.json").read_text())) == float(score)
    assert found == {student: points(name, text, tmp_path) for student, text in texts(name).items()}
    public = json.loads((tmp_path / "ben" / "results.json").read_text())["tests"][0]
    assert public["name"] == "Public Tests" and MUTANTS[name].said[0] in public["output"]
    assert "other numbers" not in public["output"]


def score_of(results: dict[str, Any]) -> float:
    return sum(float(test.get("score", 0)) for test in results["tests"])


def test_otters_json_has_the_fields_of_otter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check --json otter` against the dict of otter's own results."""
    bundle.main(["a2", "--grader", "otter", "--seed", str(SEED), "--out", str(tmp_path / "otter")])
    program(tmp_path / "otter", "otter", "generate", "-t", "tests", "-o", str(tmp_path / "autograder.zip"), "examples",
            "minigrad", "rnn", "viz")
    (tmp_path / "a2.ipynb").write_text(json.dumps(make.notebook(source("a2"))))
    (tmp_path / "run.py").write_text(
        "import json, sys\nfrom otter.run import main\n"
        "found = main(sys.argv[1], autograder='autograder.zip', output_dir='.', no_logo=True)\n"
        "open('theirs.json', 'w').write(json.dumps(found.to_dict(), default=repr))\n")
    subprocess.run([sys.executable, "run.py", str(tmp_path / "a2.ipynb")], cwd=tmp_path, check=True, timeout=600,
                   env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    capsys.readouterr()
    assert run_check(["a2", str(tmp_path / "a2.ipynb"), "--json", "otter", "--unsafe"]) == 0
    mine = json.loads(capsys.readouterr().out)

    def fields(result: dict[str, Any]) -> tuple[set[str], ...]:
        return ({*result}, {*result["test_cases"][0]}, {*result["test_case_results"][0]},
                {*result["test_case_results"][0]["test_case"]})

    [test] = theirs.values()
    assert mine and all(fields(result) == fields(test) for result in mine.values())


def test_a_students_notebook_checks_and_hands_in_from_its_cells(tmp_path: Path) -> None:
    """In a kernel of Jupyter, in the unpacked kit; without the cell that installs."""
    bundle.write_students("a2", tmp_path / "kit.zip")
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        archive.extractall(tmp_path)
    kit = tmp_path / "a2_kit"
    book = json.loads((kit / "a2.ipynb").read_text(encoding="utf-8"))
    book["cells"] = [cell for cell in book["cells"] if "%pip" not in "".join(cell["source"])]
    right = [cell for cell in make.notebook(source("a2"), "a2")["cells"] if "%pip" not in "".join(cell["source"])]
    for mine, theirs in zip(book["cells"], right):
        mine["source"] = theirs["source"]
    (kit / "a2.ipynb").write_text(json.dumps(book), encoding="utf-8")
    program(kit, "nbconvert", "--to", "notebook", "--execute", "a2.ipynb", "--output", "done.ipynb")
    cells = json.loads((kit / "done.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = "".join(text for cell in cells for output in cell.get("outputs", []) for text in output.get("text", []))
    points = f"{sum(one.points for part in parts('a2') for one in part.checks):g}"
    assert f"{points} of {points} points\n" in shown and f"{points} of {points} points, before further checks" in shown
    assert "SystemExit" not in json.dumps(cells)
    assert (kit / "handin" / "a2.py").exists() and run_check(["a2", str(kit / "handin"), "--no-pictures"]) == 0
