"""Check an assignment: what is wrong first, at which time step, in which operation, and why.

    python -m examples.assignments.check a3 my_a3.py [--json gradescope|autolab|otter] [--hidden] [--out FOLDER]

The file may be a notebook. It is run in a process of its own, with limits of time, memory and
output; what is right is computed here, and nothing of it is ever in that process.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viz import PaintError

from . import reports
from .grading import Answers, Assignment, Outcome, done, hidden, read
from .sandbox import Ran, run

NAMES = tuple(sorted(file.name.removesuffix("_source.py") for file in Path(__file__).parent.glob("*_source.py")))
SEED, HIDDEN_SEED = 0, 1234


@dataclass
class Result:
    """A part of an assignment, checked: one set of numbers, and what became of each check."""

    part: Assignment
    outcomes: list[Outcome]
    ran: Ran
    seed: int


def parts(name: str, seed: int = SEED, others: bool = False) -> list[Assignment]:
    """The parts of an assignment, with the numbers of a seed; `others`: sizes of their own, for hidden checks."""
    make: Callable[[int, bool], Iterable[Assignment]] = importlib.import_module(
        f"examples.assignments.checks.{name}").assignment
    return list(make(seed, others))


def checked(part: Assignment, sources: Mapping[str, str], seed: int, user: str | None = None) -> dict[str, Result]:
    """One part, for one file or several that share their processes."""
    found: dict[str, Ran] = {}
    for job in part.jobs:
        for name, ran in run(replace(job, user=user), sources).items():
            before = found.setdefault(name, ran)
            before.answers |= {question: answer for question, answer in ran.answers.items() if question != "import"}
    return {name: Result(part, done(part.checks, Answers(ran.answers)), ran, seed) for name, ran in found.items()}


def check(name: str, file: Path, others: bool = False, seed: int = HIDDEN_SEED,
          user: str | None = None) -> list[Result]:
    """All parts of an assignment, for one file; with `others` its hidden checks too, with the numbers of `seed`."""
    try:
        source = {file.name: read(file)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{file.name} can't be read: {error}") from None
    results = [checked(part, source, SEED, user)[file.name] for part in parts(name)]
    if others:
        for part in parts(name, seed, True):
            results.append(checked(replace(part, checks=hidden(part.checks)), source, seed, user)[file.name])
    return results


def debugger(result: Result, outcome: Outcome) -> str:
    """The command that opens the network of a finding where it is wrong."""
    finding, script = outcome.finding, result.part.script
    if finding is None or not finding.until or not script or outcome.check.hidden:  # those have sizes of their own
        return ""
    arguments = " ".join(filter(None, [script, finding.graph, str(result.seed)]))
    return f'python -m minigrad.debugger -c "until {finding.until}" examples/assignments/graphs/{arguments}'


def draw(results: Sequence[Result], folder: Path, stem: str, ending: str) -> dict[int, Path]:
    """A picture for the first finding of each part that has an edge; by the outcome's id."""
    drawn: dict[int, Path] = {}
    for result in results:
        for outcome in result.outcomes:
            finding = outcome.finding
            if finding is None or result.part.draw is None or not (finding.edge or finding.extra):
                continue
            path = folder / f"{stem}_{len(drawn) + 1}.{ending}"
            try:
                result.part.draw(finding).render(outfile=path)
            except PaintError:  # nothing here can paint; DOT text needs nothing
                path = path.with_suffix(".dot")
                result.part.draw(finding).render(outfile=path)
            drawn[id(outcome)] = path
            break
    return drawn


class Unreadable(Exception):
    """There is no file to check; the message says why."""


def submitted(path: Path, name: str) -> Path:
    """The file to check; in a folder a3.py or a3.ipynb, or the only file of that kind.

    Raises:
        Unreadable: where there is none, or several that might be it.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise Unreadable(f"there is no file {str(path)!r}")
    files = sorted(file for file in path.iterdir() if file.suffix in (".py", ".ipynb"))
    found = [file for file in files if file.stem == name] or files
    if len(found) != 1:
        raise Unreadable(f"hand in one file, {name}.py or {name}.ipynb; there {'is' if len(found) == 1 else 'are'} "
                         f"{', '.join(file.name for file in found) or 'none'}")
    return found[0]


def options() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.check",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("file", type=Path, help="the student's file, .py or .ipynb; or the folder that it is in")
    parser.add_argument("--json", choices=sorted(reports.FORMATS), help="print what a grader reads, and nothing else")
    parser.add_argument("--hidden", action="store_true",
                        help="for teachers: run the hidden checks too, and say what they find")
    parser.add_argument("--withheld", action="store_true",
                        help="for graders: run the hidden checks, but keep what they find")
    parser.add_argument("--seed", type=int, default=HIDDEN_SEED, help="the numbers of the hidden checks")
    parser.add_argument("--out", type=Path, help="the folder for pictures; by default beside the file")
    parser.add_argument("--format", default="png", choices=("png", "svg", "dot"), help="of the pictures")
    parser.add_argument("--no-pictures", action="store_true")
    parser.add_argument("--user", help="run the student's process with this user's rights (root only), e.g. nobody")
    return parser


def main(arguments: Sequence[str]) -> int:
    """The program; returns 0 where every check passes."""
    given = options().parse_args(arguments)
    try:
        file = submitted(given.file, given.assignment)
        results = check(given.assignment, file, given.hidden or given.withheld, given.seed, given.user)
    except Unreadable as error:
        if given.json == "gradescope":
            print(json.dumps({"score": 0, "output": str(error)}))
        print(error, file=sys.stderr)
        return 2
    folder = given.out or file.parent
    pictures: dict[int, Path] = {}
    if not given.no_pictures:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = draw([result for result in results if given.hidden or not result.outcomes[0].check.hidden], folder,
                        file.stem, given.format)
    write = reports.FORMATS[given.json] if given.json else reports.text
    lines = [(outcome, debugger(result, outcome), pictures.get(id(outcome)))
             for result in results for outcome in result.outcomes]
    notes = list(dict.fromkeys(result.ran.note for result in results if result.ran.note))
    printed = next((result.ran.printed for result in results if result.ran.printed), "")
    print(write([reports.Line(outcome, command, picture, given.withheld and not given.hidden)
                 for outcome, command, picture in lines],
                reports.About(results[0].part.name, results[0].part.title, printed, notes)))
    return 0 if all(outcome.finding is None for outcome, _, _ in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
