"""Runs a student's file in a process of its own, with limits, and reads what it answered as plain data.

Files go in, JSON comes out; nothing is unpickled. A process that dies costs the question that it
died of: the next one starts with the questions that are left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .inside import decoded, encoded

HERE = Path(__file__).parent
ROOT = HERE.parent.parent  # where minigrad is
SECONDS = 5.0  # for one question
BUDGET = 60.0  # for all questions to one student
MEMORY = 2 << 30  # bytes
OUTPUT = 4 << 20  # bytes that may be printed
SHOWN = 2000  # of these, characters that are shown
DEATHS = 3  # of a student's processes, after which nothing more is asked


@dataclass
class Answer:
    """What a student's code made of one question.

    Attributes:
        values: results by name: arrays, plain values; a Strange where it was neither.
        again: the same, of a second call in the same process.
        error: type, message, line, text and function of what was raised; or why there is no answer.
        wrote: the same of a write into a read-only input; changed: the inputs that were changed.
        shares: [result, input] that share memory.
    """

    values: dict[str, Any] = field(default_factory=dict)
    again: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    wrote: dict[str, Any] | None = None
    changed: list[str] = field(default_factory=list)
    shares: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Strange:
    """A result that is neither an array nor plain data."""

    type: str


@dataclass
class Ran:
    """Answers by question, what was printed, and what couldn't be limited."""

    answers: dict[str, Answer] = field(default_factory=dict)
    printed: str = ""
    note: str = ""


@dataclass(frozen=True)
class Job:
    """What is asked of every student.

    Attributes:
        probes: the file that calls the student's functions.
        questions: their names there, in order; "import" is always the first.
        data: the inputs by name: arrays, or plain values.
        signatures: the functions that must be there.
        blocked: modules that the student may not import.
        user: whose rights the process has, e.g. "nobody"; only root can choose.
        seconds: for one question.
    """

    probes: Path
    questions: Sequence[str]
    data: Mapping[str, Any]
    signatures: Sequence[str]
    blocked: Sequence[str]
    user: str | None = None
    seconds: float = SECONDS


def run(job: Job, sources: Mapping[str, str]) -> dict[str, Ran]:
    """Ask each student each question; students are given by name, with the text of their file."""
    with tempfile.TemporaryDirectory(prefix="check_") as place:
        folder = Path(place)
        for name in ("students", "answers"):
            (folder / name).mkdir()
        shutil.copy(HERE / "inside.py", folder)
        shutil.copy(job.probes, folder / "probes.py")
        shutil.copytree(ROOT / "minigrad", folder / "packages" / "minigrad",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "data.json").write_text(json.dumps(encoded(dict(job.data))), encoding="utf-8")
        for name, source in sources.items():
            (folder / "students" / name).write_text(source, encoding="utf-8")
        left = [(name, question) for name in sources for question in ("import", *job.questions)]
        found = {name: Ran() for name in sources}
        deaths = dict.fromkeys(sources, 0)
        while left:
            at, ended = _process(folder, job, left)
            done = left.index(at) if at is not None else len(left)
            note, printed = _text(folder / "note"), _text(folder / "printed")[:SHOWN]
            for name, question in left[:done]:
                found[name].answers[question] = _read(folder / "answers" / f"{name}.{question.replace(':', '-')}.json")
            for name in {name for name, _ in left[:done + 1]}:
                found[name].note, found[name].printed = note, found[name].printed or printed
            left = left[done:]
            if at is not None:
                deaths[at[0]] += 1
                while left and left[0][0] == at[0] and (left[0] == at or deaths[at[0]] >= DEATHS):
                    why = ended if left[0] == at else "was not asked: the process had ended too often before"
                    found[at[0]].answers[left.pop(0)[1]] = Answer(error={"type": "", "message": why})
        return found


def _process(folder: Path, job: Job, asked: Sequence[tuple[str, str]]) -> tuple[tuple[str, str] | None, str]:
    """Run one process; the question at which it died, and how; None where it came to its end."""
    (folder / "job.json").write_text(json.dumps({
        "asked": asked, "signatures": list(job.signatures), "blocked": ["examples", *job.blocked], "memory": MEMORY,
        "file_size": OUTPUT, "seconds": job.seconds, "paths": [str(folder / "packages")]}), encoding="utf-8")
    now = folder / "now"
    now.write_text(json.dumps(asked[0]), encoding="utf-8")
    rights: dict[str, Any] = {}
    if job.user is not None:
        import pwd  # only where there are users

        group = pwd.getpwnam(job.user).pw_gid
        rights = {"user": job.user, "group": group, "extra_groups": []}
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, job.user, group)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "VIRTUAL_ENV") if name in os.environ}
    environment = {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
                   "HOME": str(folder)}
    with open(folder / "printed", "wb") as printed:
        process = subprocess.Popen([sys.executable, "-s", "-B", "-X", "utf8", "inside.py", str(folder)], cwd=folder,
                                   env=environment, stdin=subprocess.DEVNULL, stdout=printed,
                                   stderr=subprocess.STDOUT, start_new_session=True, **rights)
        reason = _watched(process, now, job.seconds, BUDGET * len({name for name, _ in asked}))
        _kill(process)
    at = _text(now)
    try:
        question = tuple(json.loads(at)) if at else None
    except (ValueError, TypeError, RecursionError):
        question = asked[0]
    if question is not None and question not in asked:
        question = asked[0]
    return question, reason or _ending(process.returncode)


def _watched(process: subprocess.Popen[bytes], now: Path, seconds: float, budget: float) -> str:
    """Wait for the process; the reason where it must be killed: its own timer has been caught, or isn't there."""
    begun, last, since = time.monotonic(), "", time.monotonic()
    while True:
        try:
            process.wait(timeout=0.02)
            return ""
        except subprocess.TimeoutExpired:
            pass
        text = _text(now)
        if text != last:
            last, since = text, time.monotonic()
        if time.monotonic() - since > seconds + 2:
            return f"did not end within {seconds:g} s and was stopped: is there an endless loop?"
        if time.monotonic() - begun > budget:
            return f"was stopped: all questions together took more than {budget:g} s"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, and those that it has started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _ending(code: int) -> str:
    if code < 0:
        return f"ended the process: {signal.strsignal(-code) or f'signal {-code}'}"
    return f"ended the process (exit code {code}); a function returns its results, it doesn't exit"


def _read(file: Path) -> Answer:
    """One answer. Whatever the file holds, no more than the answer is lost."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        error, wrote = (None if raw.get(name) is None else dict(raw[name]) for name in ("error", "wrote"))
        return Answer(_values(raw.get("values", {})), _values(raw.get("again", {})), error, wrote,
                      list(map(str, raw.get("changed", []))), [list(map(str, x)) for x in raw.get("shares", [])])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Answer(error={"type": "", "message": f"left no readable answer ({type(error).__name__})"})


def _values(raw: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: x for name, x in raw.items() if "type" not in x}
    return {**decoded(plain), **{name: Strange(str(x["type"])) for name, x in raw.items() if "type" in x}}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
