"""A pytest plugin that runs tests on mutants, in a copy of the repository; campaign.py starts it.

Its order is a JSON file named by the environment variable MUTATION_ORDER. Two jobs:

contexts: run every test under coverage.py, and write which lines each test executes, and how long it takes.
mutants: collect the tests once; for each mutant fork a process, put the changed function in the place of the
    function in memory (and the changed file on the disk, for programs that tests start), and run the tests that
    execute the changed line until one fails.

A change outside of function bodies, or in lines that also run while modules are imported or tests are collected, takes
effect in a new process only. campaign.py runs those as the job "plain": pytest on the changed file.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from mutants import Mutant

ORDER = json.loads(Path(os.environ["MUTATION_ORDER"]).read_text())
ROOT = Path.cwd()
MEMORY = 6 << 30  # bytes of address space of a mutant's process
SLACK, FACTOR = 30.0, 10.0  # a test may take so many seconds more, and times longer, than without a change

if ORDER["job"] == "contexts":
    import coverage

    COVERAGE = coverage.Coverage(data_file=ORDER["data"], source=[str(ROOT / p) for p in ORDER["packages"]],
                                 config_file=False)
    COVERAGE.start()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose and order the tests of this process."""
    if ORDER["job"] == "contexts":
        items[:] = [item for item in items if item.path.relative_to(ROOT).as_posix() in ORDER["files"]]
    elif ORDER["job"] == "plain":
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in ORDER["tests"] if name in by_name]


class Outcome:
    """Notes the beginning, duration and failure of each test."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        say("start", nodeid)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message if crash is not None else str(report.longrepr).strip().rpartition("\n")[2]
            self.failed.setdefault(report.nodeid, reason)
            say("fail", report.nodeid, " ".join(reason.split())[:200])


OUTCOME = Outcome()
PIPE: int | None = None


def say(*words: str) -> None:
    """Write a line to the process that waits, if any."""
    if PIPE is not None:
        os.write(PIPE, (json.dumps(words) + "\n").encode())


def pytest_configure(config: pytest.Config) -> None:
    """Register the notes, and open the pipe of a job "plain"."""
    global PIPE
    config.pluginmanager.register(OUTCOME)
    PIPE = ORDER.get("pipe")


# ---- contexts -------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Give the lines that run from here on to this test."""
    if ORDER["job"] == "contexts":
        COVERAGE.switch_context(item.nodeid)


def pytest_sessionfinish() -> None:
    """Write the lines of each test."""
    if ORDER["job"] != "contexts":
        return
    COVERAGE.stop()
    data = COVERAGE.get_data()
    names = list(OUTCOME.seconds)
    number = {name: i for i, name in enumerate(names)}
    lines = {Path(file).relative_to(ROOT).as_posix(): {
        str(line): [number.get(context, -1) for context in contexts]  # -1: while importing or collecting
        for line, contexts in data.contexts_by_lineno(file).items()} for file in sorted(data.measured_files())}
    tests = [[name, round(OUTCOME.seconds[name], 4), OUTCOME.failed.get(name, "")] for name in names]
    Path(ORDER["result"]).write_text(json.dumps({"tests": tests, "lines": lines}))


# ---- mutants --------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the mutants of this process instead of the tests."""
    if ORDER["job"] != "mutants":
        return None
    items = {item.nodeid: item for item in session.items}
    functions = live_functions()
    sound: dict[str, bool] = {}
    with open(ORDER["result"], "a") as results:
        for task in ORDER["tasks"]:
            mutant = Mutant(**{**task["mutant"], "text": task["mutant"]["text"].encode(),
                               "outermost": tuple(task["mutant"]["outermost"])})
            original = (ROOT / mutant.file).read_bytes()
            tests = [name for name in task["tests"] if name in items]
            while True:
                answer = in_child(mutant, original, [items[name] for name in tests], functions, task["seconds"])
                test = answer["test"]
                if answer["verdict"] != "caught":
                    break
                if test not in sound:  # does it pass alone, without the change?
                    sound[test] = in_child(None, original, [items[test]], functions, {})["verdict"] == "survived"
                if sound[test]:
                    break
                tests.remove(test)
            results.write(json.dumps({"key": mutant.key, **answer, "of": len(tests), "state": ORDER["state"]}) + "\n")
            results.flush()
    return True


def live_functions() -> dict[tuple[str, str, int], list[FunctionType]]:
    """Return the functions of the repository by file, name and first line."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(str(ROOT)):
            code = thing.__code__
            found.setdefault((code.co_filename, code.co_name, code.co_firstlineno), []).append(thing)
    return found


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object, and those of the functions in it."""
    waiting = [code]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def replace_function(mutant: Mutant, changed: bytes, functions: dict[tuple[str, str, int], list[FunctionType]]) -> bool:
    """Put the changed function in the place of the original; return whether it was found."""
    assert mutant.outermost is not None
    if ".".join(Path(mutant.file).with_suffix("").parts) not in sys.modules:
        return True  # the tests will import the changed file
    file = str(ROOT / mutant.file)
    name, line = mutant.outermost
    module = compile(changed, file, "exec", dont_inherit=True)
    replaced = False
    for outer in [code for code in code_objects(module) if (code.co_name, code.co_firstlineno) == (name, line)]:
        for code in code_objects(outer):
            for function in functions.get((file, code.co_name, code.co_firstlineno), ()):
                if len(function.__code__.co_freevars) != len(code.co_freevars):
                    return False
                function.__code__ = code
                replaced = True
    return replaced


def in_child(mutant: Mutant | None, original: bytes, items: list[pytest.Item], functions: Any,
             seconds: dict[str, float]) -> dict[str, Any]:
    """Run tests in a forked process, on a mutant or (None) without a change; return the verdict."""
    began = time.monotonic()
    reader, writer = os.pipe()
    path = None if mutant is None else ROOT / mutant.file
    times = None if path is None else path.stat()
    if mutant is not None and path is not None:
        path.write_bytes(mutant.apply(original))
    try:
        pid = os.fork()
        if pid == 0:
            child(mutant, original, items, functions, writer)
        os.close(writer)
        verdict = watch(pid, reader, seconds)
    finally:
        if path is not None and times is not None:
            path.write_bytes(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return {**verdict, "wall": round(time.monotonic() - began, 2)}


def child(mutant: Mutant | None, original: bytes, items: list[pytest.Item], functions: Any, writer: int) -> None:
    """Run tests until one fails; never return."""
    global PIPE
    import resource

    os.setpgid(0, 0)
    PIPE = writer
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        if mutant is not None and not replace_function(mutant, mutant.apply(original), functions):
            say("not replaced")
            os._exit(1)
        for item, following in zip(items, [*items[1:], None]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if OUTCOME.failed:
                break
        say("end")
    except BaseException as error:  # a change that breaks pytest itself
        say("fail", items[0].nodeid if items else "", repr(error)[:200])
    finally:
        os._exit(0)


def watch(pid: int, reader: int, seconds: dict[str, float]) -> dict[str, Any]:
    """Return the verdict on a child from what it says; a test that takes much longer than usual hangs."""
    ran, last, rest = 0, "", b""
    verdict: dict[str, Any] = {}
    while not verdict:
        ready, _, _ = select.select([reader], [], [], SLACK + FACTOR * seconds.get(last, 1.0))
        data = os.read(reader, 65536) if ready else b""
        if not ready:
            verdict = {"verdict": "caught", "test": last, "reason": "hangs"}
        elif not data:
            verdict = {"verdict": "caught", "test": last, "reason": "the process ends"}
        *lines, rest = (rest + data).split(b"\n")
        for words in map(json.loads, lines):
            if words[0] == "start":
                ran, last = ran + 1, words[1]
            elif words[0] == "fail" and not verdict:
                verdict = {"verdict": "caught", "test": words[1], "reason": words[2]}
            elif words[0] in ("end", "not replaced") and not verdict:
                verdict = {"verdict": "survived" if words[0] == "end" else "not replaced", "test": "", "reason": ""}
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    finally:
        os.close(reader)
    return {**verdict, "ran": ran}
