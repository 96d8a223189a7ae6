"""Runs in the student's process: loads their file, calls their functions, writes plain numbers.

Standard library and NumPy only, and a script by itself: nothing of the project's, so nothing of a
solution, is imported here. What is right, and what a mistake is called, the parent alone knows.

    python inside.py FOLDER        (job.json in FOLDER says what to do; see sandbox.py)
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MANY = 200_000  # numbers in one array; more is no answer


class TimeLimit(BaseException):
    """The time of one call is over. No Exception, so that `except Exception` doesn't swallow it."""


class Student:
    """One file: its text, compiled once, run anew for every question so that none depends on another."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.lines = source.splitlines()
        self.code = compile(source, name, "exec")

    def module(self) -> types.ModuleType:
        """The file, run."""
        module = types.ModuleType("student")
        module.__file__ = self.name
        sys.modules["student"] = module
        exec(self.code, module.__dict__)
        return module


def limit(memory: int, file_size: int) -> str:
    """Limits of this process; returns what can't be limited on this system."""
    try:
        import resource
    except ImportError:  # Windows
        return "memory and output can't be limited on this system"
    refused = []
    for which, most in (("RLIMIT_AS", memory), ("RLIMIT_FSIZE", file_size), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, which), (most, most))
        except (ValueError, OSError):  # macOS has RLIMIT_AS and refuses it
            refused.append(which)
    return f"{', '.join(refused)} can't be set on this system" if refused else ""


def main(folder: Path) -> None:
    """Ask every student every question of the job, and write one file an answer."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sys.path += job["paths"]
    for name in job["blocked"]:
        sys.modules[name] = None  # type: ignore[assignment]  # so that importing it is an ImportError
    (folder / "note").write_text(limit(job["memory"], job["file_size"]), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("probes", folder / "probes.py")
    assert spec is not None and spec.loader is not None
    probes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(probes)
    data = decoded(json.loads((folder / "data.json").read_text(encoding="utf-8")))
    broken = set()  # files that can't be run
    for name, question in job["asked"]:
        if name in broken:
            continue
        (folder / "now").write_text(json.dumps([name, question]), encoding="utf-8")
        answer = answered(folder / "students" / name, question, probes, data, job)
        if question == "import" and "error" in answer:
            broken.add(name)
        text = json.dumps(answer)
        (folder / "answers" / f"{name}.{question.replace(':', '-')}.json").write_text(text, encoding="utf-8")
    (folder / "now").write_text("", encoding="utf-8")


def answered(file: Path, question: str, probes: types.ModuleType, data: dict[str, Any],
             job: dict[str, Any]) -> dict[str, Any]:
    """One question to one student: results twice, or the error; and what was written to."""
    source = file.read_text(encoding="utf-8")
    answer: dict[str, Any] = {}
    try:
        timer(job["seconds"])
        student = Student(file.name, source)
        if question == "import":
            answer["values"] = {"signatures": {"plain": signatures(student.module(), job["signatures"])}}
            return answer
        call = probes.CALLS.get(question) or numeric(*probes.NUMERIC[question])
        given = fresh(data, frozen=True)
        module = student.module()
        try:
            found = call(module, given)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            answer["wrote"] = told(error, source)
            given = fresh(data, frozen=False)
            module = student.module()
            found = call(module, given)
            answer["changed"] = [name for name, x in given.items() if isinstance(x, np.ndarray)
                                 and not np.array_equal(x, data[name], equal_nan=True)]
        answer["values"] = encoded(found)
        answer["shares"] = shared(found, given)
        if ":" not in question:  # what is asked of a whole function is asked twice
            answer["again"] = encoded(call(module, fresh(data, frozen=not answer.get("wrote"))))
    except BaseException as error:  # whatever it is, it is the student's, and the next question goes on
        answer["error"] = told(error, source)
    finally:
        timer(0)
    return answer


def timer(seconds: float) -> None:
    """Raise TimeLimit in so many seconds; where the system has no timer the parent kills the process later."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def over(number: int, frame: Any) -> None:
    """What the timer calls."""
    raise TimeLimit()


def signatures(module: types.ModuleType, wanted: list[str]) -> dict[str, list[str] | None]:
    """The names of the arguments of each function; None where there is no such function."""
    found: dict[str, list[str] | None] = {}
    for name in wanted:
        thing: Any = module
        for part in name.split("."):
            thing = getattr(thing, part, None)
        found[name] = list(inspect.signature(thing).parameters) if callable(thing) else None
    return found


def numeric(loss: Callable[[Any, dict[str, Any]], float], names: tuple[str, ...]) -> Callable[[Any, Any], Any]:
    """Central differences of a student's own forward, (f(x + eps) - f(x - eps)) / (2 eps), for every entry."""
    def differences(student: Any, data: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name in names:
            found[name] = np.zeros_like(data[name])
            for index in np.ndindex(data[name].shape):
                ends = []
                for eps in (1e-5, -1e-5):
                    changed = data[name].copy()
                    changed[index] += eps
                    ends.append(float(loss(student, {**data, name: changed})))
                found[name][index] = (ends[0] - ends[1]) / 2e-5
        return found
    return differences


def fresh(data: dict[str, Any], frozen: bool) -> dict[str, Any]:
    """Copies of all inputs; frozen ones are views of read-only memory, which can't be thawed."""
    copies: dict[str, Any] = {}
    for name, x in data.items():
        if isinstance(x, np.ndarray):
            base = x.copy()
            base.flags.writeable = not frozen
            copies[name] = base.view()
        else:
            copies[name] = json.loads(json.dumps(x))
    return copies


def shared(found: Any, given: dict[str, Any]) -> list[list[str]]:
    """Results that share memory with an input: [result, input]."""
    results = found.items() if isinstance(found, dict) else []
    return [[str(name), other] for name, x in results if isinstance(x, np.ndarray)
            for other, y in given.items() if isinstance(y, np.ndarray) and np.may_share_memory(x, y)]


def encoded(found: Any) -> dict[str, Any]:
    """Results as JSON: arrays with dtype and shape; plain values; or only what type it is."""
    if not isinstance(found, dict):
        return {"": {"type": type(found).__name__}}
    return {str(name): encoded_one(value) for name, value in found.items()}


def encoded_one(value: Any) -> dict[str, Any]:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf" and value.size <= MANY:
        array = np.asarray(value)
        return {"dtype": array.dtype.name, "shape": list(array.shape), "data": array.ravel().tolist()}
    try:
        return {"plain": json.loads(json.dumps(value))}
    except (TypeError, ValueError):
        return {"type": type(value).__name__}


def decoded(data: dict[str, Any]) -> dict[str, Any]:
    """The other way: arrays and plain values by name."""
    return {name: np.array(x["data"], x["dtype"]).reshape(x["shape"]) if "dtype" in x else x.get("plain")
            for name, x in data.items()}


def told(error: BaseException, source: str) -> dict[str, Any]:
    """An error as plain data: its type and message, and the innermost line of the student's file."""
    lines, line, function = source.splitlines(), getattr(error, "lineno", None), ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if trace.tb_frame.f_globals.get("__name__") == "student":
            line, function = trace.tb_lineno, code.co_name
        trace = trace.tb_next
    text = lines[line - 1].strip() if line and line <= len(lines) else ""
    return {"type": type(error).__name__, "message": str(error)[:500], "line": line, "text": text[:200],
            "function": function}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
