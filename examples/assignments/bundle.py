"""The autograder that Gradescope takes, as one zip: the checker, minigrad, and the two scripts it starts.

    python -m examples.assignments.bundle a3 [--out autograder.zip] [--seed N]

Building it needs no network; on Gradescope, setup.sh installs numpy and graphviz with pip.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

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
PACKAGES = ("minigrad", "rnn", "viz", "examples/assignments")


def files(name: str) -> Iterator[Path]:
    """What the checker of one assignment needs, from the project's root."""
    yield Path("examples/__init__.py")
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT)
            other = path.name.endswith("_source.py") and path.name != f"{name}_source.py"
            if path.is_file() and "__pycache__" not in inside.parts and "mutants" not in inside.parts and not other:
                yield inside


def write(name: str, out: Path, seed: int = HIDDEN_SEED) -> None:
    """Write the zip. The same project gives the same bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in (("setup.sh", SETUP), ("run_autograder", RUN.format(name=name, seed=seed))):
            _add(archive, inside, text.encode(), 0o755)
        for path in files(name):
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
    parser.add_argument("--out", type=Path, default=Path("autograder.zip"))
    parser.add_argument("--seed", type=int, default=HIDDEN_SEED, help="the numbers of the hidden checks")
    given = parser.parse_args(arguments)
    write(given.assignment, given.out, given.seed)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
