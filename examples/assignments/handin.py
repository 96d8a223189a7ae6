"""Makes what is handed in: of a notebook or a Python file one Python file, and copies of the modules beside it.

    python -m examples.assignments.handin a3 a3.ipynb [FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from .check import NAMES, check, submitted
from .grading import Unreadable, helpers, read


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 0 if there is a file to hand in, whatever its points are."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.handin",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("file", type=Path, help="your file, .py or .ipynb; save it first")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("handin"))
    given = parser.parse_args(arguments)
    try:
        file = submitted(given.file, given.assignment)
        text, results = read(file), check(given.assignment, file)
        modules = {f"{name}.py": said for name, said in helpers(file, text).items()}
        if f"{given.assignment}.py" in modules:
            raise Unreadable(f"{file.name} imports another file {given.assignment}.py, which is the name of the file "
                             "to hand in: give that one another name")
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = [outcome for result in results for outcome in result.outcomes]
    failed = [outcome.check.name for outcome in outcomes if outcome.finding is not None]
    given.folder.mkdir(parents=True, exist_ok=True)
    path = given.folder / f"{given.assignment}.py"
    for name, said in {**modules, path.name: text}.items():
        (given.folder / name).write_text(said, encoding="utf-8")
    print(f"{sum(outcome.score for outcome in outcomes):g} of "
          f"{sum(outcome.check.points for outcome in outcomes):g} points, before further checks"
          + (f"; not passed: {', '.join(failed)}" if failed else ""))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside = f", and beside it {', '.join(sorted(modules))}" if modules else ""
    print(f"hand in {path.resolve()} ({path.stat().st_size} bytes, SHA-256 {digest[:16]}){beside}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
