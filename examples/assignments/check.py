"""Check an assignment: what is wrong first, at which time step, in which operation, and why.

    python -m examples.assignments.check a3 my_a3.py [--out FOLDER] [--format svg] [--no-pictures]

The file may be a notebook. It is run in a process of its own, with limits of time, memory and
output; right results are compared here and are never in that process.
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from viz import PaintError, Picture

from . import kit, reports
from .grading import Answers, Assignment, Outcome, Settings, Unreadable, done, helpers, hidden, read
from .sandbox import Job, Ran, Refused, Unisolated, merged, run
from .variants import variant

HERE = Path(__file__).parent
# A students' kit has neither the solutions nor the options of graders.
teacher = importlib.import_module("examples.assignments.teacher") if (HERE / "teacher.py").exists() else None
NAMES = tuple(sorted({file.name.removesuffix("_source.py") for file in HERE.glob("*_source.py")} | set(kit.names())))
SEED = 0
# What a command that is shown may hold. Nothing of it is special to a shell inside of double quotes, the only
# quotes that Windows' has too (shlex.quote's are single).
PLAIN = re.compile(r"[A-Za-z0-9_.\[\] -]+")
Run = Callable[[Job, Mapping[str, str], "Unisolated | None", "Mapping[str, str] | None"], dict[str, Ran]]


@dataclass
class Result:
    """A part of an assignment, checked: one set of numbers, and what became of each check."""

    part: Assignment
    outcomes: list[Outcome]
    ran: Ran
    seed: int


def parts(name: str, seed: int | None = None, others: bool = False) -> list[Assignment]:
    """Return the parts of an assignment, with the numbers of a seed; `others`: other sizes, for hidden checks.

    A students' kit has those of one seed, as data. Checks that are always hidden are left out: see `kept`.
    """
    if not (HERE / f"{name}_source.py").exists():
        return kit.load(name, seed)
    return [replace(part, checks=[check for check in part.checks if not check.hidden])
            for part in _made(name, SEED if seed is None else seed, others)]


def kept(name: str, seed: int) -> list[Assignment]:
    """Return the parts that have checks that are always hidden, with these alone."""
    found = [replace(part, checks=[check for check in part.checks if check.hidden]) for part in _made(name, seed)]
    return [part for part in found if part.checks]


def _made(name: str, seed: int, others: bool = False) -> list[Assignment]:
    make: Callable[[int, bool], Iterable[Assignment]] = importlib.import_module(
        f"examples.assignments.checks.{name}").assignment
    return [replace(part, seed=seed) for part in make(seed, others)]


def checked(part: Assignment, sources: Mapping[str, str], seed: int, isolation: Unisolated | None = None,
            helpers: Mapping[str, str] | None = None, earlier: Sequence[Outcome] = (), run: Run = run
            ) -> dict[str, Result]:
    """Check one part, for one file, or for several of the teacher's own that run in the same processes.

    `helpers` are the modules handed in beside it; `earlier`: the outcomes of earlier parts; `run`: asks the questions.
    """
    found: dict[str, Ran] = {}
    for job in part.jobs:
        for name, ran in run(job, sources, isolation, helpers).items():
            before = found.setdefault(name, ran)
            before.printed = merged(before.printed, ran.printed)
            before.answers |= {question: answer for question, answer in ran.answers.items() if question != "import"}
    return {name: Result(part, done(part.checks, Answers(ran.answers), earlier), ran, seed)
            for name, ran in found.items()}


def check(name: str, file: Path, settings: Settings | None = None) -> list[Result]:
    """All parts of an assignment, for one file; where the settings say so its hidden checks too."""
    settings = settings or Settings()
    source = {file.name: read(file)}
    beside = helpers(file, source[file.name])
    results: list[Result] = []
    before: list[Outcome] = []  # of visible checks: what is hidden follows from them too
    for part in chosen(name, file.name, source[file.name], settings):
        secret = any(check.hidden for check in part.checks)
        done_so_far = before if secret else []
        results.append(checked(part, source, part.seed, settings.isolation, beside, done_so_far)[file.name])
        before += [] if secret else results[-1].outcomes
    return results


def chosen(name: str, file: str, text: str, settings: Settings) -> list[Assignment]:
    """Return the parts of an assignment for a file: with the numbers of its variant, then the hidden ones.

    Raises:
        Unreadable: where these aren't to be had for this file.
    """
    number = variant(text)
    if settings.variants and number not in settings.variants:
        raise Unreadable(f"{file} has {f'VARIANT = {number}' if number is not None else 'no line VARIANT = ...'}; "
                         f"yours is VARIANT = {' or '.join(map(str, settings.variants))}")
    found = parts(name, number)
    if settings.others:
        found += [*kept(name, number or SEED), *(replace(part, checks=hidden(part.checks))
                                                 for part in parts(name, settings.seed, True))]
    return found


def debugger(result: Result, outcome: Outcome) -> str:
    """Return the command that opens the network of a finding in the debugger, at the wrong result."""
    finding, script = outcome.finding, result.part.script
    if finding is None or not finding.until or not script or outcome.check.hidden:  # those have sizes of their own
        return ""
    arguments = " ".join(filter(None, [script, finding.graph, str(result.seed)]))
    if not PLAIN.fullmatch(finding.until + arguments):
        return ""
    command = "goto" if finding.until.isdigit() else "until"  # a step of the pass, or a tensor
    return f'python -m minigrad.debugger -c "{command} {finding.until}" examples/assignments/graphs/{arguments}'


def draw(results: Sequence[Result], folder: Path, stem: str, ending: str) -> dict[int, Path]:
    """Draw the first finding of each part that has an edge; return the pictures by the outcome's id."""
    drawn: dict[int, Path] = {}
    for key, picture in pictures(results).items():
        path = _no_link(folder / f"{stem}_{len(drawn) + 1}.{ending}")
        try:
            picture.render(outfile=path)
        except PaintError:  # nothing here can paint; DOT text needs nothing
            path = _no_link(path.with_suffix(".dot"))
            picture.render(outfile=path)
        drawn[key] = path
    return drawn


def pictures(results: Sequence[Result]) -> dict[int, Picture]:
    """Return the picture of the first finding of each part that has an edge, by the outcome's id."""
    found: dict[int, Picture] = {}
    for result in results:
        drawable = ((outcome, outcome.finding) for outcome in result.outcomes
                    if outcome.finding is not None and (outcome.finding.edge or outcome.finding.extra)
                    and not outcome.follows)
        first = next(drawable, None)
        if first is not None and result.part.draw is not None:
            found[id(first[0])] = result.part.draw(first[1])
    return found


def _no_link(path: Path) -> Path:
    """Remove a link that stands where a picture goes: the submission may hold one, and writing follows links."""
    if path.is_symlink():
        path.unlink()
    return path


def printed_text(results: Sequence[Result], settings: Settings) -> dict[str, str]:
    """Return the text that the file has printed, by function; of several calls the first that has printed.

    A file can print the inputs of a hidden run, so that text is only in a report that is the teacher's: one in no
    grader's format, with the findings of the hidden checks.
    """
    teachers = not settings.withheld and not settings.format
    found: dict[str, str] = {}
    for result in results:
        if teachers or not result.outcomes[0].check.hidden:
            for question, text in result.ran.printed.items():
                found.setdefault(question.partition(":")[0], text)
    found.pop("", None)  # of no question
    return found


def submitted(path: Path, name: str) -> Path:
    """Return the file to check; of a folder, or of those in it, a3.py, a3.ipynb or the only one.

    Raises:
        Unreadable: where there is none, or several that might be it.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise Unreadable(f"there is no file {str(path)!r}")
    inner = (folder for folder in sorted(path.iterdir()) if folder.is_dir() and not folder.is_symlink()
             and folder.name[0] not in "._")
    files = _programs(path) or [file for folder in inner for file in _programs(folder)]
    found = [file for file in files if file.stem == name] or files
    if len(found) != 1:
        raise Unreadable(f"hand in one file, {name}.py or {name}.ipynb; there {'is' if len(found) == 1 else 'are'} "
                         f"{', '.join(file.name for file in found) or 'none'}")
    return found[0]


def _programs(folder: Path) -> list[Path]:
    """Return the Python files and notebooks of a folder."""
    return sorted(file for file in folder.iterdir() if file.suffix in (".py", ".ipynb") and file.name[0] not in "._")


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.assignments.check",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("assignment", choices=NAMES)
    parser.add_argument("file", type=Path, help="the student's file, .py or .ipynb; or the folder that it is in")
    parser.add_argument("--out", type=Path, help="the folder for pictures; by default beside the file")
    parser.add_argument("--format", default="png", choices=("png", "svg", "dot"), help="of the pictures")
    parser.add_argument("--no-pictures", action="store_true")
    if teacher is not None:
        teacher.add_options(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 0 if every check passes."""
    given = options().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # the locale's encoding may have fewer letters than a student's text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        settings: Settings = Settings() if teacher is None else teacher.settings(given)
        for line in settings.said:
            print(line, file=sys.stderr)
        file = submitted(given.file, given.assignment)
        results = check(given.assignment, file, settings)
    except (Unreadable, Refused) as error:
        if refusal := reports.refusal(getattr(given, "json", None) or "", str(error)):
            print(refusal)
        print(reports.clean(str(error)), file=sys.stderr)
        return 2
    folder = given.out or file.parent
    painted: dict[int, Path] = {}
    if not given.no_pictures:
        folder.mkdir(parents=True, exist_ok=True)
        shown = [result for result in results if not settings.withheld or not result.outcomes[0].check.hidden]
        painted = draw(shown, folder, file.stem, given.format)
    write = reports.FORMATS[settings.format] if settings.format else reports.text
    lines = report_lines(results, settings, painted)
    print(write(lines, about(results, settings)))
    return 0 if all(line.outcome.finding is None for line in lines) else 1


def report_lines(results: Sequence[Result], settings: Settings, painted: Mapping[int, Path]) -> list[reports.Line]:
    """Return the checks of a report; pictures by the outcome's id."""
    return [reports.Line(outcome, debugger(result, outcome), painted.get(id(outcome)), settings.withheld)
            for result in results for outcome in result.outcomes]


def about(results: Sequence[Result], settings: Settings) -> reports.About:
    """Return the information of a report that isn't about a single check."""
    notes = list(dict.fromkeys(result.ran.note for result in results if result.ran.note))
    return reports.About(results[0].part.name, results[0].part.heading, printed_text(results, settings), notes,
                         settings.isolation.said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
