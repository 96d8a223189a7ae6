"""A check as one statement, for a cell of a notebook or a test of a grader: AssertionError says that it fails.

    from examples.assignments.cells import passes
    passes("a3", "rnn: dL/dh by step")

The checker runs as a program of its own, once for each state of the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from . import reports
from .check import check, debugger, submitted
from .grading import Settings, Unreadable
from .sandbox import ROOT


def passes(name: str, check: str, file: str = ".", seed: int | None = None, project: str = str(ROOT)) -> None:
    """Check a file that was saved.

    Args:
        name: of the assignment; check: the name of one of its checks, as reports have it.
        file: the student's file, or the folder that it is in.
        seed: of the hidden checks' numbers, where it is one of them.
        project: the folder of a project that has them.

    Raises:
        AssertionError: if the check fails; with the explanation.
        Unreadable: where there is no such file.
    """
    path = submitted(Path(file), name).resolve()
    said = _reports(name, str(path), path.stat().st_mtime_ns, seed, project)
    if check not in said:
        raise AssertionError(said.get("", f"there is no check {check!r}; there are {', '.join(said)}"))
    if said[check] is not None:
        raise AssertionError(said[check])


@cache
def _reports(name: str, file: str, changed: int, seed: int | None, project: str) -> dict[str, str | None]:
    """Return the explanations of all checks, None for one that passes; under "" why there are none."""
    command = [sys.executable, "-m", "examples.assignments.cells", name, file, *([] if seed is None else [str(seed)])]
    ran = subprocess.run(command, cwd=project, capture_output=True, encoding="utf-8")
    found: dict[str, str | None] = json.loads(ran.stdout) if ran.returncode == 0 else {"": ran.stderr}
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the explanations of all checks of a file as JSON."""
    name, file, *seed = arguments
    try:
        settings = Settings(others=bool(seed), seed=int(seed[0]) if seed else 0)
        results = check(name, Path(file), settings)
    except Unreadable as error:
        print(reports.clean(str(error)), file=sys.stderr)
        return 2
    said = {outcome.check.name: "\n".join(reports.Line(outcome, debugger(result, outcome), None, False).said()) or None
            for result in results for outcome in result.outcomes}
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
