"""What graders other than Gradescope take: Autolab, otter, nbgrader.

- Autolab: https://docs.autolabproject.com, "Guide for Lab Authors". An assessment is a tar with one folder, in it
  `a3.yml` of the same name, `autograde-Makefile` and `autograde.tar`. The hand-in is renamed to `handin_filename`, the
  Makefile to `Makefile`; the last line that `make` prints is JSON, `{"scores": {"total": 20}}`, whose names are
  those of the problems.
- otter: https://otter-grader.readthedocs.io, "Test Files": each check is a test case; `otter generate` makes the zip.
- nbgrader: https://nbgrader.readthedocs.io, "Metadata Format": solution cells, and a cell with points for each check.
  Regions `### BEGIN HIDDEN TESTS` are left out of the version for students, and put back before grading.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import contents, make, reports
from .check import SEED, kept, parts
from .grading import Check, hidden
from .sandbox import ROOT

DEFAULT = {"gradescope": "autograder.zip", "autolab": "{}.tar", "otter": "{}_otter", "nbgrader": "{}_nbgrader"}
MAKEFILE = """all:
	@tar xf autograde.tar
	@cd autograder; python3 -m examples.assignments.check {name} ../{name}.py --json autolab --withheld \\
		--seed-file hidden_seed --no-pictures{options} > report 2> errors.txt; cat report; \\
		grep -q '^{{"scores"' report || {{ cat errors.txt; echo '{{"scores": {{"{problem}": 0}}}}'; }}

clean:
	rm -rf autograder
"""
ASSESSMENT = """---
general:
  name: {name}
  description: ''
  display_name: '{title}'
  handin_filename: {name}.py
  handin_directory: handin
  handout: {name}_kit.zip
  max_grace_days: 0
  max_submissions: -1
  disable_handins: false
  max_size: 2
  has_svn: false
  category_name: Assignments
problems:
- name: {problem}
  description: ''
  max_score: {points:.1f}
  optional: false
autograder:
  autograde_timeout: {seconds}
  autograde_image: autograding_image
  release_score: true
"""
CONFIG = """require "AssessmentBase.rb"

module {module}
  include AssessmentBase

  def assessmentInitialize(course)
    super("{name}", course)
    @problems = []
  end
end
"""
SECONDS = 1500  # README.md, "What a file can do"
OTTER_CASE = '''

@test_case(name={name!r}, points={points!r}, hidden={hidden!r})
def test_{number}(env):
    passes({assignment!r}, {name!r}{more})
'''


def graded(name: str) -> list[tuple[Check, bool]]:
    """Return the checks that have points, and whether each is a hidden one."""
    visible = [check for part in parts(name) for check in part.checks]
    others = [check for part in kept(name, SEED) for check in part.checks]
    others += hidden(check for part in parts(name, SEED, True) for check in part.checks)
    return [(check, check in others) for check in [*visible, *others] if check.points]


def points(name: str) -> float:
    """Return the points of all checks."""
    return sum(check.points for check, _ in graded(name))


# ---- Autolab
def autolab(name: str, out: Path, seed: int, unsafe: bool = False) -> None:
    """Write an assessment as a tar, which Autolab imports."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        for path in contents.files([name]):
            _add(archive, f"autograder/{path.as_posix()}", (ROOT / path).read_bytes())
        _add(archive, "autograder/hidden_seed", f"{seed}\n".encode(), 0o600)
    title = parts(name)[0].title.replace("'", "''")
    texts = {"autograde-Makefile": MAKEFILE.format(name=name, problem=reports.PROBLEM,
                                                   options=" --unsafe" if unsafe else ""),
             f"{name}.yml": ASSESSMENT.format(name=name, title=f"{name}: {title}", problem=reports.PROBLEM,
                                              points=points(name), seconds=SECONDS),
             f"{name}.rb": CONFIG.format(name=name, module=name.capitalize())}
    kit = io.BytesIO()
    contents.write_students(name, kit)
    with tarfile.open(out, "w") as archive:
        for inside, text in texts.items():
            _add(archive, f"{name}/{inside}", text.encode())
        _add(archive, f"{name}/autograde.tar", inner.getvalue())
        _add(archive, f"{name}/{name}_kit.zip", kit.getvalue())


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)  # its date is 1970, its owner root: the same project gives the same bytes
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


# ---- otter
def otter(name: str, out: Path, seed: int, unsafe: bool = False) -> None:
    """Write a folder with the tests and the project, for `otter generate`."""
    text = ['"""The checks of an assignment as test cases of otter."""\n\nfrom otter.test_files import test_case\n\n'
            f"from examples.assignments.cells import passes\n\nOK_FORMAT = False\nname = {name!r}\npoints = None\n"]
    for number, (check, is_hidden) in enumerate(graded(name), 1):
        text.append(OTTER_CASE.format(name=check.name, points=check.points, hidden=is_hidden, number=number,
                                      assignment=name, more=f", seed={seed}" if is_hidden else ""))
    files = {f"tests/{name}.py": "".join(text).encode(), "requirements.txt": b"numpy>=2.0\ngraphviz>=0.20\n",
             "otter_config.json": b'{"show_hidden": false}\n'}
    for path in contents.files([name]):
        files[path.as_posix()] = (ROOT / path).read_bytes()
    _write(out, files)


# ---- nbgrader
def nbgrader(name: str, out: Path, seed: int, unsafe: bool = False) -> None:
    """Write a course folder of nbgrader, with the assignment as its source; the seed and this project's path in it."""
    text = make.source(name)
    files = {path: data for path, data in contents.kit_files([name]).items()
             if path.startswith(("examples/", "minigrad/", "rnn/", "viz/"))}
    files[f"{name}.ipynb"] = (json.dumps(notebook(name, text, seed), indent=1) + "\n").encode()
    _write(out / "source" / name, files)
    _write(out, {"nbgrader_config.py": (
        "c = get_config()\nc.CourseDirectory.course_id = 'course'\n"
        "c.ClearSolutions.code_stub = {'python': '# YOUR CODE HERE\\nraise NotImplementedError'}\n"
        f"c.Execute.timeout = {SECONDS}  # seconds for a cell\n").encode()})


def notebook(name: str, text: str, seed: int) -> dict[str, Any]:
    """Return the source as a notebook for nbgrader, with its metadata and a cell with points for each check."""
    found = make.notebook(text)
    for number, cell in enumerate(found["cells"]):
        solution = any(make.BEGIN.fullmatch(line.rstrip("\n")) for line in cell["source"])
        if cell["cell_type"] == "code" or solution:
            cell["metadata"]["nbgrader"] = _metadata(f"{name}-{number}", solution=solution)
    for number, (check, is_hidden) in enumerate(graded(name), 1):
        lines = ["from examples.assignments.cells import passes\n", "\n"]
        call = f"passes({name!r}, {check.name!r}"
        lines += ["### BEGIN HIDDEN TESTS\n", f"{call}, seed={seed}, project={str(ROOT)!r})\n", "### END HIDDEN TESTS"
                  ] if is_hidden else [f"{call})"]
        found["cells"].append({
            "cell_type": "code", "id": f"check-{number}", "execution_count": None, "outputs": [], "source": lines,
            "metadata": {"nbgrader": {**_metadata(f"{name}-check-{number}", grade=True), "points": check.points}}})
    return found


def _metadata(grade_id: str, solution: bool = False, grade: bool = False) -> dict[str, Any]:
    return {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": solution, "locked": not solution,
            "task": False}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


WRITERS: dict[str, Callable[[str, Path, int, bool], None]] = {"autolab": autolab, "otter": otter, "nbgrader": nbgrader}
