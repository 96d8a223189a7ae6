"""Runs a student's file in a process of its own, with limits, and reads what it answered as plain data.

The job goes in through a pipe, answers come out through another one as JSON; nothing is unpickled, and
no file that the student's process may write is ever opened here. A process that dies loses the question
during which it died: the next process starts with the remaining questions.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .inside import LONGEST, MARK, decoded, encoded, short_integer

HERE = Path(__file__).parent
ROOT = HERE.parent.parent  # where minigrad is
SECONDS = 5.0  # for one question
BUDGET = 60.0  # for all questions to one student
START = 30.0  # until a process has started Python and NumPy
MEMORY = 2 << 30  # bytes, for one process and for all together
OUTPUT = 4 << 20  # bytes that may be printed, and bytes in one file
ANSWERS = 16 << 20  # bytes of all answers of one process
FILES = 64  # open files
PROCESSES = 32  # and threads
LINES = 10_000  # that one process may send
PYTHON = (os.path.abspath(sys.executable), "-s", "-B", "-X", "utf8")
SHOWN = 2000  # characters of the text that is printed during a question
DEATHS = 3  # of a student's processes, after which nothing more is asked


@dataclass
class Answer:
    """What a student's code made of one question.

    Attributes:
        values: results by name: arrays, plain values; a Strange where it was neither.
        between: the same, of further calls in the same module, with other inputs: "0 h" is the h of the first of them.
        again: the same, of a last call, with the first inputs.
        alone: the same, of calls with the other inputs, each in a new module.
        later: the error of one of these further calls.
        error: type, message, line, text and function of the exception; or the reason for a missing answer.
        wrote: the same of a write into a read-only input; changed: the inputs that were changed.
        shares: [result, input] that share memory.
    """

    values: dict[str, Any] = field(default_factory=dict)
    between: dict[str, Any] = field(default_factory=dict)
    again: dict[str, Any] = field(default_factory=dict)
    alone: dict[str, Any] = field(default_factory=dict)
    later: dict[str, Any] | None = None
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
    """Answers by question, the text that was printed during each, and the limits that couldn't be set."""

    answers: dict[str, Answer] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Job:
    """The questions that every student's file is asked.

    Attributes:
        probes: the file that calls the student's functions.
        questions: their names there, in order; "import" is always the first.
        data: the inputs by name: arrays, or plain values.
        signatures: the functions that must be there.
        blocked: modules that the student may not import.
        seconds: for one question.
        others: sets of other inputs, for calls in between.
        given: files of this project that the student may import, relative to its folder.
    """

    probes: Path
    questions: Sequence[str]
    data: Mapping[str, Any]
    signatures: Sequence[str]
    blocked: Sequence[str]
    seconds: float = SECONDS
    others: Sequence[Mapping[str, Any]] = ()
    given: Sequence[str] = ()

    @property
    def refused(self) -> list[str]:
        """The packages that can't be imported; of `examples` the given files alone can, where there are some."""
        return [*self.blocked] if self.given else ["examples", *self.blocked]


class Refused(Exception):
    """A file can't be isolated, or its processes not ended; the message says why."""


class Ended(Refused):
    """A signal ends the checker."""


class Signals:
    """Holds back the signals that end the checker, until the student's processes have ended and files are removed.

    Then they are given again, and do as before. In the main thread alone: Python lets no other set handlers.
    """

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGHUP", "SIGINT"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        self.number = self.number or number

    def check(self) -> None:
        """Raise Ended if there was one of them."""
        if self.number:
            raise Ended(f"signal {self.number} has ended the checker: there are no results")

    def __exit__(self, *error: object) -> None:
        for number, before in self.before.items():
            signal.signal(number, before)
        if self.number:
            signal.raise_signal(self.number)
            self.check()  # where that signal's handler goes on


class Unisolated:
    """Starts a student's process with the rights of the caller: for a file of one's own.

    isolation.py has the subclass that isolates.
    """

    said = "not isolated: the file has run with your rights"
    arguments: Sequence[str] = ()  # of inside.py

    def start(self, folder: Path, scratch: Path, python: Sequence[str], blocked: Sequence[str]
              ) -> subprocess.Popen[bytes]:
        """Start Python in the scratch folder; `folder` is the grader's, readable for the student's process."""
        return subprocess.Popen([*python, str(folder / "inside.py"), *self.arguments], cwd=scratch,
                                env=environment(scratch), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def inside(self, folder: Path) -> Path:
        """Return where the student's process finds the grader's folder."""
        return folder

    def memory(self) -> int:
        """Return how many bytes all processes of the student have together, where that is known; else 0."""
        return 0

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End the process, and those of its group. (A stronger isolation ends them all.)"""
        try:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()

    def own(self, scratch: Path) -> None:
        """Give the scratch folder, still empty, to the student's user."""

    def clean(self, scratch: Path) -> None:
        """Remove what the student's processes have left; they have ended."""
        shutil.rmtree(scratch, ignore_errors=True)


def environment(home: Path | str) -> dict[str, str]:
    """Return the environment of a student's process: nothing of the grader's own but the system's paths."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "HOME": str(home)}


def run(job: Job, sources: Mapping[str, str], isolation: Unisolated | None = None,
        helpers: Mapping[str, str] | None = None) -> dict[str, Ran]:
    """Ask each student each question; students are given by name, with the text of their file.

    `helpers` are modules that they may import, by name, as text.

    Several files share their processes, so each could answer for the next: give files that you don't
    trust one by one, as check() does.
    """
    isolation = isolation or Unisolated()
    left = [(name, question) for name in sources for question in ("import", *job.questions)]
    found = {name: Ran() for name in sources}
    deaths = dict.fromkeys(sources, 0)
    with Signals() as signals, tempfile.TemporaryDirectory(prefix="check_") as place:
        folder = Path(place)
        prepare(folder, job)
        while left:
            signals.check()
            talk = _process(folder, job, left, sources, isolation, signals, helpers or {})
            for (name, question), answer in zip(left, talk.answers):
                found[name].answers[question] = answer
            for name in {name for name, _ in left[:len(talk.answers) + 1]}:
                found[name].note, found[name].printed = talk.note, merged(found[name].printed, talk.printed)
            left = left[len(talk.answers):]
            if left:  # the process has died of the first of these
                at = left[0]
                deaths[at[0]] += 1
                while left and left[0][0] == at[0] and (left[0] == at or deaths[at[0]] >= DEATHS):
                    why = talk.ended if left[0] == at else "was not asked: the process had ended too often before"
                    found[at[0]].answers[left.pop(0)[1]] = Answer(error={"type": "", "message": why})
    return found


def merged(first: Mapping[str, str], then: Mapping[str, str]) -> dict[str, str]:
    """Return texts by question, each as it is in the first run that has one."""
    return {**first, **{question: text for question, text in then.items() if question not in first}}


def prepare(folder: Path, job: Job) -> None:
    """Fill the grader's folder with what the student's process reads: it is readable for all, no solution in it."""
    shutil.copy(HERE / "inside.py", folder)
    (folder / "packages").mkdir()
    packages = folder / "packages"
    for package in ("minigrad", "rnn", "viz"):
        if package not in job.blocked:
            shutil.copytree(ROOT / package, packages / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in map(Path, job.given):
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, packages / path)
        for parent in [*path.parents][:-1]:
            (packages / parent / "__init__.py").touch()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _process(folder: Path, job: Job, asked: Sequence[tuple[str, str]], sources: Mapping[str, str],
             isolation: Unisolated, signals: Signals, helpers: Mapping[str, str]) -> Conversation:
    """Run one process: how far it came, and how it ended."""
    names = list(dict.fromkeys(name for name, _ in asked))
    budget = BUDGET * len(names)
    text = json.dumps({
        "asked": asked, "students": {name: sources[name] for name in names}, "data": encoded(dict(job.data)),
        "others": [encoded(dict(other)) for other in job.others], "helpers": dict(helpers),
        "probes": job.probes.read_text(encoding="utf-8"), "signatures": list(job.signatures),
        "blocked": job.refused, "seconds": job.seconds,
        "paths": [str(isolation.inside(folder) / "packages")],
        "limits": {"memory": MEMORY, "file_size": OUTPUT, "cpu": int(budget) + 1, "files": FILES,
                   "processes": PROCESSES}}).encode()
    scratch = Path(tempfile.mkdtemp(prefix="scratch_", dir=folder))
    isolation.own(scratch)
    process = isolation.start(folder, scratch, PYTHON, job.blocked)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    answers, printed = Listener(process.stdout, ANSWERS), Listener(process.stderr, OUTPUT)
    threading.Thread(target=_send, args=(process.stdin, text), daemon=True).start()
    talk = Conversation(asked)
    try:
        reason = _watched(process, talk, answers, printed, isolation, signals, job.seconds, budget)
    finally:
        isolation.stop(process)
        for listener in (answers, printed):
            listener.join(2)  # at an end: no process is left that could write
        isolation.clean(scratch)
    talk.hear(answers)
    talk.ended = reason or _ending(process.returncode)
    talk.printed = printed.text()
    return talk


def _send(pipe: IO[bytes], text: bytes) -> None:
    try:
        with pipe:
            pipe.write(text)
    except OSError:  # the process has ended
        pass


class Listener(threading.Thread):
    """Reads a pipe to its end, so that writing to it never stalls, and keeps no more than `most` bytes."""

    def __init__(self, pipe: IO[bytes], most: int) -> None:
        super().__init__(daemon=True)
        self.pipe, self.most, self.full = pipe, most, False
        self.kept = bytearray()
        self.lock = threading.Lock()
        self.start()

    def run(self) -> None:
        """Read."""
        with self.pipe:
            while chunk := os.read(self.pipe.fileno(), 1 << 16):
                with self.lock:
                    left = self.most - len(self.kept)
                    self.full = self.full or len(chunk) > left
                    self.kept += chunk[:left]

    def lines(self, start: int) -> list[bytes]:
        """Return what was read from a position on, in lines, of which the last may be incomplete, or several."""
        with self.lock:
            return bytes(memoryview(self.kept)[start:]).split(b"\n", LINES)

    def text(self) -> dict[str, str]:
        """Return the beginning of the text of each question, as inside.py marks it; "": before the first one."""
        with self.lock:
            text = bytes(self.kept).decode("utf-8", "replace")
        start, *pieces = text.split(f"\n{MARK}", LINES)
        found = {"": start[:SHOWN]} if start.strip() else {}
        for piece in pieces:
            question, _, said = piece.partition("\n")
            if question and said.strip():
                found[question[:100]] = (found.get(question[:100], "") + said)[:SHOWN]
        return found


class Conversation:
    """The answers of one process to its questions.

    One answer is taken for each question, in their order; lines of any other form are ignored. So what a
    student's file writes to the pipe by itself can't be more than an answer.
    """

    def __init__(self, asked: Sequence[tuple[str, str]]) -> None:
        self.asked = asked
        self.answers: list[Answer] = []
        self.begun = -1  # the last question that was begun
        self.since = time.monotonic()  # when
        self.note = self.ended = ""
        self.printed: dict[str, str] = {}
        self.position = self.heard = 0  # the bytes and lines that are understood

    def hear(self, answers: Listener) -> bool:
        """Take in the lines that have arrived; False where one is too long, or there are too many."""
        *lines, rest = answers.lines(self.position)
        for line in lines:
            self.position += len(line) + 1
            self.heard += 1
            if len(line) > 2 * LONGEST or self.heard > LINES:
                return False
            if len(self.answers) < len(self.asked):
                self._take(_message(line))
        return len(rest) <= 2 * LONGEST

    def _take(self, message: dict[str, Any]) -> None:
        at = len(self.answers)
        if self.begun < 0 and isinstance(message.get("note"), str):  # before the file has run
            self.note = message["note"]
        elif type(message.get("begin")) is int and message["begin"] == at and self.begun < at:
            self.begun, self.since = at, time.monotonic()
        elif type(message.get("end")) is int and message["end"] == at:
            self.answers.append(as_answer(message.get("answer")))
            self.since = time.monotonic()


def _watched(process: subprocess.Popen[bytes], talk: Conversation, answers: Listener, printed: Listener,
             isolation: Unisolated, signals: Signals, seconds: float, budget: float) -> str:
    """Listen until the process ends; the reason where it must be ended, as when its own timer is caught."""
    begun = weighed = time.monotonic()
    while True:
        signals.check()
        try:
            process.wait(timeout=0.01)
            return ""
        except subprocess.TimeoutExpired:
            pass
        if not talk.hear(answers) or answers.full:
            return "was stopped: it answers more than an answer can hold"
        if printed.full:
            return "was stopped (too much was printed)"
        now = time.monotonic()
        if now - talk.since > (seconds + 2 if talk.begun >= 0 else START):
            return f"did not end within {seconds:g} s and was stopped: is there an endless loop?"
        if now - begun > budget:
            return f"was stopped: all questions together took more than {budget:g} s"
        if now - weighed > 0.2:
            weighed = now
            if isolation.memory() > MEMORY:
                return f"was stopped: its processes together took more than {MEMORY >> 30} GB of memory"


def _ending(code: int) -> str:
    """Describe how a process ended by itself; a shell around it adds 128 to a signal's number."""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number:
        try:
            return f"ended the process: {signal.strsignal(number) or f'signal {number}'}"
        except ValueError:
            return f"ended the process (exit code {code})"
    return f"ended the process (exit code {code}); a function returns its results, it doesn't exit"


# ---- answers as data
def _message(line: bytes) -> dict[str, Any]:
    """Parse one line of the pipe; an invalid line is dropped, and no other."""
    try:
        message = json.loads(line.decode("utf-8"), parse_int=short_integer)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def as_answer(raw: Any) -> Answer:
    """Parse one answer; an invalid answer is dropped, and no other."""
    try:
        values, between, again, alone = (_values(raw.get(name, {})) for name in ("values", "between", "again", "alone"))
        later, error, wrote = (_error(raw.get(name)) for name in ("later", "error", "wrote"))
        return Answer(values, between, again, alone, later, error, wrote,
                      [_short(x) for x in raw.get("changed", [])[:100]],
                      [[_short(a), _short(b)] for a, b in raw.get("shares", [])[:100]])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as problem:
        return Answer(error={"type": "", "message": f"left no readable answer ({type(problem).__name__})"})


def _values(raw: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: x for name, x in raw.items() if "type" not in x}
    return {**decoded(plain), **{name: Strange(_short(x["type"])) for name, x in raw.items() if "type" in x}}


def _error(raw: Any) -> dict[str, Any] | None:
    """Return an error's parts, each converted to its type."""
    if raw is None:
        return None
    line = raw.get("line")
    return {"line": line if type(line) is int else None,
            **{name: _short(raw.get(name, ""), 500)
               for name in ("type", "message", "text", "function", "file", "cell", "place")}}


def _short(text: Any, most: int = 100) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    return text[:most]
