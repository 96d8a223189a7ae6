"""The report of a check: text for people, JSON for graders.

- Gradescope: results.json, https://gradescope-autograders.readthedocs.io ("Output Format").
- Autolab: the last line of the output, `{"scores": {"total": 20}}`; `total` is the name of the only problem.
- otter: a dict from test to score, possible and test_case_results, as GradingResults.to_dict() has it (otter 7).

Each says how the student's process was isolated: the first line of the text; `output` and `extra_data` of
results.json. That it wasn't is a line of its own for the teacher there, `not isolated`, without points.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .grading import Outcome

PROBLEM = "total"  # of Autolab
PRINTED = 20  # lines of each question's text that are shown
WITHHELD = "What this check finds is shown when the teacher releases it."


@dataclass(frozen=True)
class Line:
    """An outcome, the debugger's command, the picture; and whether a hidden check's finding is withheld."""

    outcome: Outcome
    command: str
    picture: Path | None
    withheld: bool

    @property
    def name(self) -> str:
        return self.outcome.check.name

    @property
    def secret(self) -> bool:
        """Whether the finding may not be told."""
        return self.withheld and self.outcome.check.hidden

    @property
    def follows(self) -> bool:
        """Whether the check is told with another, whose mistake it shows."""
        return bool(self.outcome.follows) and not self.secret

    @property
    def points(self) -> str:
        """The points earned of those possible; nothing where the check has none."""
        return f"{self.outcome.score:g}/{self.outcome.check.points:g}" if self.outcome.check.points else ""

    def said(self) -> list[str]:
        """Return the explanation of a failure, as lines."""
        finding = self.outcome.finding
        if finding is None:
            return []
        if self.secret:
            return [WITHHELD]
        lines = [f'probably because of "{self.outcome.follows}": {finding.cause}' if self.outcome.follows
                 else finding.cause]
        lines += [f"where:   {finding.where}"] if finding.where else []
        lines += [f"numbers: {finding.numbers}"] if finding.numbers else []
        lines += [f"look:    {self.command}"] if self.command else []
        lines += [f"picture: {self.picture}"] if self.picture else []
        return [clean(line) for line in lines]


@dataclass(frozen=True)
class About:
    """The information of a report that isn't about a single check."""

    name: str
    title: str
    printed: Mapping[str, str]  # by question
    notes: Sequence[str]
    isolation: str = ""  # how the student's process was isolated, or that it wasn't

    @property
    def head(self) -> str:
        """The first line."""
        return f"{self.name}: {self.title}" + (f" ({self.isolation})" if self.isolation else "")

    @property
    def exposed(self) -> bool:
        """Whether the student's process had the rights of the checker."""
        return self.isolation.startswith("not isolated")


def clean(text: str, most: int = 1000) -> str:
    """Return what a student's file may have had a say in as one line of printable characters.

    A terminal takes no commands from it, no grader a line of its own, and no encoding fails.
    """
    text = text if len(text) <= most else f"{text[:most]} …"
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}"
                   for letter in text)


def text(lines: Sequence[Line], about: About) -> str:
    """Return the report as text: one line for each check, the explanation of a failure below it, and its consequences.

    A withheld check stands for itself: its finding may not be told, nor that it follows from another.
    """
    shown = [about.head]
    for _, head, said in entries(lines):
        shown += [head, *(f"             {one}" for one in said)]
    return "\n".join([*shown, *foot(lines, about)])


def entries(lines: Sequence[Line]) -> Iterator[tuple[Line, str, list[str]]]:
    """Yield each check that stands for itself: its line, and the lines of its explanation and its consequences."""
    by_head: dict[str, list[Line]] = {}
    for line in lines:
        if line.follows:
            by_head.setdefault(line.outcome.follows, []).append(line)
    for line in lines:
        if not line.follows:
            following = [f"{one.points:>5}  {one.name}" for one in by_head.get(line.name, [])]
            yield (line, f"{'ok  ' if line.outcome.finding is None else 'FAIL'} {line.points:>5}  {line.name}",
                   [*line.said(), *(f"{'        ' if number else 'follows:'} {one}" for number, one in
                                    enumerate(following))])


def foot(lines: Sequence[Line], about: About) -> list[str]:
    """Return the lines below the checks: notes, the text that the file has printed, and the points."""
    score, possible = total(lines)
    shown = [f"note: {note}" for note in about.notes]
    for question, said in about.printed.items():
        kept = [clean(one) for one in said.strip("\n").splitlines()]
        shown += [f"printed by {'the file' if question == 'import' else clean(question)}:",
                  *(f"  | {one}" for one in [*kept[:PRINTED], *["…"] * (len(kept) > PRINTED)])]
    return [*shown, f"{score:g} of {possible:g} points"]


def total(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the points earned, and the points possible."""
    return sum(line.outcome.score for line in lines), sum(line.outcome.check.points for line in lines)


def gradescope(lines: Sequence[Line], about: About) -> str:
    """Return the report as Gradescope's results.json."""
    tests = [{"name": line.name, "score": line.outcome.score, "max_score": line.outcome.check.points,
              "status": "passed" if line.outcome.finding is None else "failed", "output": "\n".join(line.said()),
              "visibility": "after_published" if line.outcome.check.hidden else "visible"} for line in lines]
    if about.exposed:
        tests.append({"name": "not isolated", "score": 0, "max_score": 0, "status": "failed",
                      "output": f"For the teacher: {about.isolation}.", "visibility": "hidden"})
    return json.dumps({"output": "\n".join([about.head, *about.notes]), "tests": tests,
                       "extra_data": {"isolation": about.isolation}}, indent=1)


def autolab(lines: Sequence[Line], about: About) -> str:
    """Return the text, and a last line with the total as JSON."""
    return f"{text(lines, about)}\n{json.dumps({'scores': {PROBLEM: total(lines)[0]}})}"


def refusal(format: str, said: str) -> str:
    """Return what a grader reads about a file that isn't graded; "" where it reads nothing."""
    if format == "gradescope":
        return json.dumps({"score": 0, "output": clean(said)})
    return f"{clean(said)}\n{json.dumps({'scores': {PROBLEM: 0.0}})}" if format == "autolab" else ""


def otter(lines: Sequence[Line], about: About) -> str:
    """Return the results by test, as a dict."""
    results: dict[str, Any] = {}
    if about.exposed:
        case = {"name": "not isolated", "body": "", "hidden": True, "points": 0, "success_message": None,
                "failure_message": about.isolation}
        results["not isolated"] = {
            "score": 0, "possible": 0, "name": "not isolated", "path": None, "test_cases": [case],
            "all_or_nothing": True,
            "test_case_results": [{"test_case": case, "message": about.isolation, "passed": False}]}
    for line in lines:
        case = {"name": line.name, "body": "", "hidden": line.outcome.check.hidden, "points": line.outcome.check.points,
                "success_message": None, "failure_message": None}
        passed = line.outcome.finding is None
        results[line.name] = {
            "score": line.outcome.score, "possible": line.outcome.check.points, "name": line.name, "path": None,
            "test_cases": [case], "all_or_nothing": True,
            "test_case_results": [{"test_case": case, "message": "\n".join(line.said()) or None, "passed": passed}]}
    return json.dumps(results, indent=1)


FORMATS: dict[str, Callable[[Sequence[Line], About], Any]] = {"gradescope": gradescope, "autolab": autolab,
                                                              "otter": otter}
