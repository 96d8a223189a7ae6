"""What leaves the teacher's machine: what graders take, and the kit for students.

    python -m examples.assignments.bundle a3 [--out autograder.zip] [--seed N] [--unsafe]      for Gradescope
    python -m examples.assignments.bundle a3 --grader autolab|otter|nbgrader [--out ...]       for others: graders.py
    python -m examples.assignments.bundle a3 --students [--out a3_kit.zip] [--variant N]
    python -m examples.assignments.bundle --all [--students] [--out ...]

Building needs no network; on Gradescope, setup.sh installs numpy and graphviz with pip.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from . import graders, teacher, variants
from .check import NAMES
from .contents import add, files, write_course, write_students
from .grading import Unreadable
from .sandbox import ROOT

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


def write(name: str, out: Path, seed: int, unsafe: bool = False, variants: str = "") -> None:
    """Write the zip for Gradescope. The same project, seed and table of variants give the same bytes."""
    options = " --unsafe" if unsafe else ""
    options += ' --variants variants.csv --metadata "$base/submission_metadata.json"' if variants else ""
    run = RUN.format(name=name, options=options)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in (("setup.sh", SETUP), ("run_autograder", run)):
            add(archive, inside, text.encode(), 0o755)
        add(archive, "hidden_seed", f"{seed}\n".encode(), 0o600)
        if variants:
            add(archive, "variants.csv", variants.encode(), 0o600)
        for path in files([name]):
            add(archive, path.as_posix(), (ROOT / path).read_bytes(), 0o644)


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.bundle",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES, nargs="?")
    parser.add_argument("--all", action="store_true", help="of all: one kit, or a folder with a file for each")
    parser.add_argument("--students", action="store_true", help="the kit for students instead")
    parser.add_argument("--grader", choices=["gradescope", *graders.WRITERS],
                        help="by default gradescope")
    parser.add_argument("--out", type=Path, help="by default autograder.zip, a3_kit.zip, a3.tar, ...")
    parser.add_argument("--seed", type=int, help="the numbers of the hidden checks; by default others each time")
    parser.add_argument("--unsafe", action="store_true", help="grade even where a file can't be isolated")
    parser.add_argument("--variant", type=variants.number, default=0, help="the numbers of a kit")
    parser.add_argument("--variants", type=Path, help="a table with a line `email,variant` for each student: with "
                        "--students a kit for each variant, else the variant that Gradescope asks of each student")
    given = parser.parse_args(arguments)
    if given.all == bool(given.assignment):
        parser.error("name one assignment, or give --all")
    if given.students and given.grader is not None:
        parser.error("--students writes a kit, which no grader takes: leave out --grader")
    try:
        numbers = teacher.table(given.variants) if given.variants else {}
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    grader = given.grader or "gradescope"
    if given.students:
        return _students(given.assignment, given.out, sorted({*numbers.values()}) or [given.variant])
    names = list(NAMES) if given.all else [given.assignment]
    for name in names:
        seed = secrets.randbelow(1 << 31) if given.seed is None else given.seed
        out = given.out or Path(graders.DEFAULT[grader].format(name))
        if given.all:
            out = (given.out or Path("graders")) / f"{name}_{Path(graders.DEFAULT[grader].format(name)).name}"
            out.parent.mkdir(parents=True, exist_ok=True)
        if grader == "gradescope":
            write(name, out, seed, given.unsafe, given.variants.read_text(encoding="utf-8") if given.variants else "")
        else:
            graders.WRITERS[grader](name, out, seed, given.unsafe)
        print(f"{out}; the hidden checks' numbers: --seed {seed}")
    return 0


def _students(name: str | None, out: Path | None, chosen: Sequence[int]) -> int:
    """Write a kit of one assignment, or of all, for each variant."""
    what = f"{name}_kit" if name else "course_kit"
    for variant in chosen:
        path = out or Path(f"{what}_{variant}.zip" if variant else f"{what}.zip")
        if len(chosen) > 1:
            path = (out or Path(f"{what}s")) / f"{what}_{variant}.zip"
            path.parent.mkdir(parents=True, exist_ok=True)
        if name:
            write_students(name, path, variant)
        else:
            write_course(path, variant)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
