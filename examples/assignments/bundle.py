"""What leaves the teacher's machine: the autograder that Gradescope takes, and the kit for students, each one zip.

    python -m examples.assignments.bundle a3 [--out autograder.zip] [--seed N]
    python -m examples.assignments.bundle a3 --students [--out a3_kit.zip]

Building needs no network; on Gradescope, setup.sh installs numpy and graphviz with pip.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import make
from .check import HIDDEN_SEED, NAMES
from .sandbox import ROOT

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the container is built.
set -e
base="${AUTOGRADER:-/autograder}"
PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet "numpy>=2.0" "graphviz>=0.20" "pytest>=8"
chmod -R go-rwx "$base/source"  # the student's process has no rights here, where the solutions are
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for every submission.
base="${{AUTOGRADER:-/autograder}}"
mkdir -p "$base/results"
cd "$base/source" || exit 1
user=()  # the student's process runs as nobody, where we may choose and nobody can run Python
if [ "$(id -u)" = 0 ] && su nobody -s /bin/sh -c "$(command -v python3) -c 'import numpy'" 2> /dev/null; then
    user=(--user nobody)
fi
python3 -m examples.assignments.check {name} "$base/submission" --json gradescope --hidden --seed {seed} \\
    --no-pictures "${{user[@]}}" > "$base/results/results.json" 2> "$base/results/errors.txt"
if ! [ -s "$base/results/results.json" ]; then
    echo '{{"score": 0, "output": "The checker itself has failed. Your teacher sees why in errors.txt."}}' \\
        > "$base/results/results.json"
fi
"""
PACKED = """# The right results, for the checker. Packed so that nobody reads them by accident; a secret they are not.
import base64
import zlib

exec(compile(zlib.decompress(base64.b85decode({text!r})), __file__, "exec"))
"""
TEACHERS = ("mutants", "make.py", "bundle.py")  # of no use to others
PACKAGES = ("minigrad", "rnn", "viz", "examples/assignments")


def files(name: str) -> Iterator[Path]:
    """What the checker of one assignment needs, from the project's root."""
    yield Path("examples/__init__.py")
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT)
            other = path.name.endswith("_source.py") and path.name != f"{name}_source.py"
            if path.is_file() and not other and not {"__pycache__", *TEACHERS} & set(inside.parts):
                yield inside


def write(name: str, out: Path, seed: int = HIDDEN_SEED) -> None:
    """Write the zip. The same project gives the same bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in (("setup.sh", SETUP), ("run_autograder", RUN.format(name=name, seed=seed))):
            _add(archive, inside, text.encode(), 0o755)
        for path in files(name):
            _add(archive, path.as_posix(), (ROOT / path).read_bytes(), 0o644)


def write_students(name: str, out: Path) -> None:
    """Write the kit for students: the handout, and the project with the checker, its solution packed."""
    text = make.source(name)
    packed = PACKED.format(text=base64.b85encode(zlib.compress(text.encode(), 9)).decode())
    handout = {f"{name}.py": make.stub(text),
               f"{name}.ipynb": json.dumps(make.notebook(make.stub(text)), indent=1) + "\n",
               f"examples/assignments/{name}_source.py": packed}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, said in handout.items():
            _add(archive, inside, said.encode(), 0o644)
        for path in [*map(Path, ("README.md", "LICENSE", "pyproject.toml")), *files(name)]:
            if path.as_posix() not in handout:
                _add(archive, path.as_posix(), (ROOT / path).read_bytes(), 0o644)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name)  # its date is 1980: no clock in it
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def main(arguments: Sequence[str]) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.bundle",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("--students", action="store_true", help="the kit for students instead")
    parser.add_argument("--out", type=Path, help="by default autograder.zip, or a3_kit.zip")
    parser.add_argument("--seed", type=int, default=HIDDEN_SEED, help="the numbers of the hidden checks")
    given = parser.parse_args(arguments)
    out = given.out or Path(f"{given.assignment}_kit.zip" if given.students else "autograder.zip")
    if given.students:
        write_students(given.assignment, out)
    else:
        write(given.assignment, out, given.seed)
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
