"""What leaves the teacher's machine: the autograder that Gradescope takes, and the kit for students, each one zip.

    python -m examples.assignments.bundle a3 [--out autograder.zip] [--seed N] [--unsafe]
    python -m examples.assignments.bundle a3 --students [--out a3_kit.zip]

Building needs no network; on Gradescope, setup.sh installs numpy and graphviz with pip.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import kit, make
from .check import NAMES, parts
from .sandbox import HERE, ROOT

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the container is built.
set -e
base="${AUTOGRADER:-/autograder}"
PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet "numpy>=2.0" "graphviz>=0.20" "pytest>=8"
chmod -R go-rwx "$base/source"  # the student's process has no rights here, where the solutions are
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for every submission. The checker runs the student's file as another user, or not at all.
base="${{AUTOGRADER:-/autograder}}"
mkdir -p "$base/results"
chmod go-rwx "$base"  # no other user sees the solutions, the seed, submissions and results
cd "$base/source" || exit 1
python3 -m examples.assignments.check {name} "$base/submission" --json gradescope --hidden --seed-file hidden_seed \\
    --no-pictures{options} > "$base/results/unfinished" 2> "$base/results/errors.txt"
if ! [ -s "$base/results/unfinished" ]; then
    echo '{{"score": 0, "output": "The checker itself has failed. Your teacher sees why in errors.txt."}}' \\
        > "$base/results/unfinished"
fi
mv "$base/results/unfinished" "$base/results/results.json"
"""
TEACHERS = ("mutants", "make.py", "bundle.py", "students.md")  # of no use to graders
# What isn't for students: the solutions, lists of mistakes, the hidden checks, the teacher's page.
CLOSED = (*TEACHERS, "checks", "teacher.py", "isolation.py", "enter.sh", "sweep.py", "README.md")
PACKAGES = ("minigrad", "rnn", "viz", "examples/assignments")


def files(name: str, without: Sequence[str] = TEACHERS) -> Iterator[Path]:
    """Return the files that the checker of one assignment needs, relative to the project's root."""
    yield Path("examples/__init__.py")
    others = {f"{other}{ending}" for other in NAMES if other != name for ending in (".py", "_source.py")}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT)
            course = package == "examples/assignments"
            if path.is_file() and "__pycache__" not in inside.parts and not (
                    course and ({*without} & {*inside.parts} or path.name in others)):
                yield inside


def write(name: str, out: Path, seed: int, unsafe: bool = False) -> None:
    """Write the zip. The same project and seed give the same bytes."""
    run = RUN.format(name=name, options=" --unsafe" if unsafe else "")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in (("setup.sh", SETUP), ("run_autograder", run)):
            _add(archive, inside, text.encode(), 0o755)
        _add(archive, "hidden_seed", f"{seed}\n".encode(), 0o600)
        for path in files(name):
            _add(archive, path.as_posix(), (ROOT / path).read_bytes(), 0o644)


def write_students(name: str, out: Path) -> None:
    """Write the kit for students: the handout, and the project with the checks as data instead of the solution."""
    stub, checks = make.stub(make.source(name)), parts(name)
    texts = {f"{name}.py": stub, f"{name}.ipynb": json.dumps(make.notebook(stub), indent=1) + "\n",
             f"examples/assignments/kit_data/{name}.json": kit.text(name, checks),
             "assignment.json": json.dumps({  # for viz.playground
                 "name": name, "title": f"{name}: {checks[0].title}", "task": make.task(stub), "file": f"{name}.py",
                 "check": "examples.assignments.in_page:check"}, indent=1, ensure_ascii=False) + "\n",
             "README.md": (HERE / "students.md").read_text(encoding="utf-8").replace("NAME", name)}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, said in texts.items():
            _add(archive, inside, said.encode(), 0o644)
        for path in [*map(Path, ("LICENSE", "pyproject.toml")), *files(name, CLOSED)]:
            if path.name != f"{name}_source.py":
                _add(archive, path.as_posix(), (ROOT / path).read_bytes(), 0o644)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name)  # its date is 1980: no clock in it
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.bundle",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("--students", action="store_true", help="the kit for students instead")
    parser.add_argument("--out", type=Path, help="by default autograder.zip, or a3_kit.zip")
    parser.add_argument("--seed", type=int, help="the numbers of the hidden checks; by default others each time")
    parser.add_argument("--unsafe", action="store_true", help="grade even where a file can't be isolated")
    given = parser.parse_args(arguments)
    out = given.out or Path(f"{given.assignment}_kit.zip" if given.students else "autograder.zip")
    if given.students:
        write_students(given.assignment, out)
        print(out)
    else:
        seed = secrets.randbelow(1 << 31) if given.seed is None else given.seed
        write(given.assignment, out, seed, given.unsafe)
        print(f"{out}; the hidden checks' numbers: --seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
