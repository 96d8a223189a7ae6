"""Checks a file inside of this Python: in a page of the playground, where there is no other process.

The questions, the comparisons and the report are those of `check`. Not so the limits: a time limit reaches the lines
of the file alone, and what the file changes in minigrad or NumPy stays, so each check needs a Python of its own.
`check` here is what the kit's assignment.json names; viz/playground/kits.py describes its arguments and its answer.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from viz import Picture
from viz.playground.running.deadline import Stopped, deadline

from . import reports
from .check import Result, about, checked, chosen, pictures, report_lines
from .grading import Settings, Unreadable
from .inside import Forbidden, Questions, TimeLimit, encoded, without_own_warnings
from .sandbox import OUTPUT, SHOWN, Job, Ran, Unisolated, as_answer

SLOWER = 4  # times as much time as at home: Python in a browser is slower


class InPage(Unisolated):
    """The file runs in a page of the student's own: there is nothing to say of its isolation."""

    said = ""


def check(name: str, file: str, source: str) -> dict[str, Any]:
    """Check an assignment; return the report as data.

    Args:
        name: of the assignment.
        file: the name of the student's file.
        source: its text.
    """
    settings, limit = Settings(InPage()), Limit()
    try:
        asked = chosen(name, file, source, settings)
    except Unreadable as error:
        return {"head": "not checked", "checks": [], "foot": [reports.clean(str(error))]}
    results = [checked(part, {file: source}, part.seed, run=limit.run)[file] for part in asked]
    lines, facts, drawn = report_lines(results, settings, {}), about(results, settings), pictures(results)
    places = definitions(source)
    checks = [{"passed": line.outcome.finding is None, "head": head, "said": said,
               "lines": linked(line, wanted(results), places),
               "picture": as_data(drawn[id(line.outcome)], said) if id(line.outcome) in drawn else None}
              for line, head, said in reports.entries(lines)]
    return {"head": facts.head, "checks": checks, "foot": reports.foot(lines, facts)}


def as_data(picture: Picture, said: Sequence[str]) -> dict[str, str]:
    """Return a picture as DOT text, with the program that lays it out, and words for those who can't see it."""
    return {"dot": picture.source, "engine": picture.graph_attr.get("layout", "dot"), "title": "The wrong edge in red",
            "alt": said[0] if said else ""}


# ---- lines of the file
def linked(line: reports.Line, names: set[str], places: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the lines of the file that a finding names: by number, or by a function."""
    finding = line.outcome.finding
    if finding is None:
        return []
    numbers = [int(number) for number in re.findall(r" at line (\d+)", finding.cause)]
    functions = " ".join([finding.where, finding.cause, finding.function, *line.outcome.check.of[:1]])
    words = re.findall(r"[^\W\d][\w.]*", functions)
    known = [word.rstrip(".") for word in words if word.rstrip(".") in names & places.keys()]
    return [*({"text": f"line {number}", "line": number, "wrong": True} for number in numbers),
            *({"text": name, "line": places[name], "wrong": False} for name in known[:1])]


def wanted(results: Sequence[Result]) -> set[str]:
    """Return the names of the functions that the student writes."""
    return {name for result in results for job in result.part.jobs for name in job.signatures}


def definitions(source: str) -> dict[str, int]:
    """Return the line of each function and method of a file, such as "Sigmoid.backward"; none if it has an error."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node.lineno
            found |= {f"{node.name}.{inner.name}": inner.lineno for inner in node.body
                      if isinstance(node, ast.ClassDef) and isinstance(inner, ast.FunctionDef)}
    return found


# ---- the questions, in this process
class Limit:
    """The time limit of one check: when a call has taken too long, all later ones get less."""

    def __init__(self) -> None:
        self.factor = SLOWER

    def run(self, job: Job, sources: Mapping[str, str], isolation: Unisolated | None = None,
            helpers: Mapping[str, str] | None = None) -> dict[str, Ran]:
        """Ask each file each question, as sandbox.run does; there are no modules beside it."""
        printed = Printed()
        questions = Questions({
            "students": sources, "data": encoded(dict(job.data)), "helpers": {},
            "others": [encoded(dict(other)) for other in job.others], "probes": job.probes.read_text(encoding="utf-8"),
            "signatures": list(job.signatures), "seconds": job.seconds}, self.limited, printed.begin)
        found = {name: Ran() for name in sources}
        for name, ran in found.items():
            with without(job.refused), printed.kept(), np.errstate(), warnings.catch_warnings():
                without_own_warnings()
                for question in ("import", *job.questions):
                    ran.answers[question] = as_answer(printed.checked(questions.answer(name, question)))
            ran.printed = printed.taken()
        return found

    @contextlib.contextmanager
    def limited(self, code: CodeType, seconds: float) -> Iterator[None]:
        """Raise TimeLimit in the line of the file that is running when the time is over."""
        try:
            with deadline(code, self.factor * seconds):
                yield
        except Stopped as stopped:
            self.factor = 1
            raise TimeLimit().with_traceback(stopped.__traceback__) from None


@contextlib.contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """Make modules unavailable for import, until the end of the context."""
    taken = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
    for name in taken:
        del sys.modules[name]
    before = list(sys.meta_path)
    sys.meta_path.insert(0, Forbidden(names))
    try:
        yield
    finally:
        sys.meta_path[:] = before
        sys.modules.update(taken)


class Flood(BaseException):
    """Too much is printed. No Exception, so that `except Exception` doesn't swallow it."""


class Stream(io.StringIO):
    """Keeps the beginning of what is printed, and refuses to go on for ever."""

    written = 0

    def write(self, text: str) -> int:
        """Keep a text, or its beginning.

        Raises:
            Flood: after more than a process may print.
        """
        self.written += len(text)
        if self.written > OUTPUT:
            raise Flood()
        super().write(text[:max(0, SHOWN - self.tell())])
        return len(text)

    def taken(self) -> str:
        """Return the text, and begin anew."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


class Printed:
    """The text that a file prints, by question: errors and warnings, then output, which is buffered at home."""

    def __init__(self) -> None:
        self.streams = Stream(), Stream()
        self.question = ""
        self.texts: dict[str, str] = {}

    def begin(self, question: str) -> None:
        """Begin the text of a question; "": of none."""
        text = "".join(stream.taken() for stream in self.streams)
        if self.question and text.strip():
            self.texts[self.question] = (self.texts.get(self.question, "") + text)[:SHOWN]
        self.question = question

    def taken(self) -> dict[str, str]:
        """Return the text of each question, and begin anew."""
        self.begin("")
        texts, self.texts = self.texts, {}
        return texts

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is printed in the context, which has no input."""
        errors, output = self.streams
        before = sys.stdin
        sys.stdin = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
                yield
        finally:
            sys.stdin = before

    def checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an answer; one that was lost to a flood with the words for it. The next may print again."""
        for stream in self.streams:
            stream.written = 0
        if (answer.get("error") or {}).get("type") == Flood.__name__:
            return {"error": {"type": "", "message": "was stopped (too much was printed)"}}
        return answer
