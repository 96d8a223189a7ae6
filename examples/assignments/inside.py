"""Runs in the student's process: loads their file, calls their functions, sends back plain numbers.

Standard library and NumPy only, and a script by itself: nothing of the project's, so nothing of a
solution, is imported here. What is right, and what a mistake is called, the parent alone knows.

    python inside.py [isolated | UID GID]

The job comes on standard input (see sandbox.py). Answers go out on standard output, one JSON object
a line; what the file prints goes to standard error. A student's file can write to that pipe as well:
it can forge the answers that its functions could have given, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.abc
import importlib.util
import inspect
import json
import math
import os
import re
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MARK = "\x1e"  # in front of the name of a question, where the text begins that is printed during it
LIBRARIES = "minigrad.", "rnn.", "viz."  # whose errors are for users
CELL = re.compile(r"# cell (\d+)")  # the line before each cell of a notebook's code
MANY = 50_000  # numbers in one array; more is no answer
LONGEST = 2 << 20  # bytes of one answer
DTYPES = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
          *(f"float{bits}" for bits in (16, 32, 64)))


class TimeLimit(BaseException):
    """The time of one call is over. No Exception, so that `except Exception` doesn't swallow it."""


class Helpers(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that were handed in beside the file, by their text. The last finder: no library is hidden."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return a spec for a helper; leave any other module to other finders."""
        return importlib.util.spec_from_loader(fullname, self) if fullname in self.sources else None

    def exec_module(self, module: types.ModuleType) -> None:
        """Run a helper's text."""
        name = module.__name__
        exec(compile(self.sources[name], f"{name}.py", "exec"), module.__dict__)

    def forget(self) -> None:
        """Forget the modules, so that the next question runs them anew."""
        for name in self.sources:
            sys.modules.pop(name, None)


class Student:
    """One file: its text, compiled once, run anew for every question so that none depends on another."""

    def __init__(self, name: str, source: str, helpers: Helpers) -> None:
        self.name, self.helpers = name, helpers
        self.code = compile(source, name, "exec")

    def module(self) -> types.ModuleType:
        """Run the file; return its module."""
        self.helpers.forget()
        module = types.ModuleType("student")
        module.__dict__.update(__file__=self.name, display=display)
        sys.modules["student"] = module
        exec(self.code, module.__dict__)
        return module


def display(*shown: Any, **options: Any) -> None:
    """Print what a notebook shows; there the name is given."""
    print(*shown)


class Forbidden(importlib.abc.MetaPathFinder):
    """Refuses to find modules that the assignment is to be done without."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise ModuleNotFoundError for a forbidden module; leave every other one to the next finder."""
        package = fullname.partition(".")[0]
        if package in self.names:
            raise ModuleNotFoundError(f"no module {package!r} here (this assignment is to be done without it)",
                                      name=fullname)


def forbid(names: Sequence[str]) -> None:
    """Make these modules unavailable for import, whatever becomes of sys.modules and sys.meta_path.

    A finder refuses their names. An audit hook, which can't be removed, refuses import statements and
    the opening of any file in their folders, so that another loader doesn't help either. Code in the same
    process can still circumvent both, e.g. through ctypes or another program; isolation.py covers the
    folders themselves where it can.
    """
    folders = tuple(os.path.realpath(place) + os.sep for name in names for place in folders_of(name))
    sys.meta_path.insert(0, Forbidden(names))
    refused, realpath, fsdecode, is_a = frozenset(names), os.path.realpath, os.fsdecode, isinstance

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        """Depends on nothing that a name leads to: all that it uses is its own."""
        package = arguments[0].partition(".")[0] if event == "import" else ""
        if package in refused:
            raise ModuleNotFoundError(f"no module {package!r} here (this assignment is to be done without it)")
        if event == "open" and is_a(arguments[0], (str, bytes)):
            path = realpath(fsdecode(arguments[0]))
            if path.startswith(folders):
                raise ModuleNotFoundError(f"no file {path} here (this assignment is to be done without it)")

    sys.addaudithook(refuse)


def folders_of(name: str) -> list[str]:
    """Return the folders of a package that could be imported; none where there is no such package."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    return list(spec.submodule_search_locations or ()) if spec is not None else []


# ---- rights and limits
def drop_rights(arguments: Sequence[str]) -> None:
    """Change to the user and group that the command line names, irrevocably and without capabilities."""
    import ctypes  # only here: a local check needs none

    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; refused where there is nothing to drop
    if len(arguments) == 2:
        uid, gid = map(int, arguments)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    close_keyrings(libc, own=len(arguments) == 2)
    close_user_namespaces(libc)
    close_keyrings(libc, own=len(arguments) == 2)  # again: each user namespace has others
    for capability in range(64):  # a new namespace gives its first process all
        libc.prctl(24, capability, 0, 0, 0)
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())  # none, of three kinds
    if libc.prctl(38, 1, 0, 0, 0):  # PR_SET_NO_NEW_PRIVS: no set-uid program gives any back
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")


KEY_CALLS = {"x86_64": (248, 250), "aarch64": (217, 219), "riscv64": (217, 219), "loongarch64": (217, 219),
             "ppc64le": (269, 271), "s390x": (278, 280)}  # add_key, keyctl
SESSION, USER, USERS_SESSION = -3, -4, -5  # keyrings: of the process, of the user id, of the user id's sessions


def close_keyrings(libc: Any, own: bool) -> None:
    """Join a new session keyring; with a user id of the student's, close the keyrings of that id.

    The kernel keeps them when all of the user's processes have ended: keys in them would reach the next
    process. Two are cleared and lose all permissions, which their owner can't give back. The persistent
    keyring can't be closed: it is cleared here, and by sweep.py at the end.

    Raises:
        OSError: where a keyring can be used all the same, or the system calls of this machine aren't known.
    """
    if os.uname().machine not in KEY_CALLS:
        raise OSError(f"the keyrings of a {os.uname().machine} machine can't be closed")
    add_key, keyctl = KEY_CALLS[os.uname().machine]
    libc.syscall(keyctl, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING: none of the grader's keys
    if not own:  # the keyrings of a user namespace end with it
        return
    for keyring in (USERS_SESSION, USER):  # in this order: without the second the first isn't found
        libc.syscall(keyctl, 7, keyring)  # KEYCTL_CLEAR
        libc.syscall(keyctl, 5, keyring, 0)  # KEYCTL_SETPERM: nothing, for all
        if libc.syscall(add_key, b"user", b"trial", b"x", 1, keyring) != -1:
            raise OSError("the user's keyrings can't be closed")
    persistent = libc.syscall(keyctl, 22, -1, SESSION)  # KEYCTL_GET_PERSISTENT
    if persistent != -1 and libc.syscall(keyctl, 7, persistent):
        raise OSError("the user's persistent keyring can't be cleared")
    libc.syscall(keyctl, 1, None)  # without the link to it


def close_user_namespaces(libc: Any) -> None:
    """Enter user namespaces, one inside of another, until the kernel allows no more of them.

    In one of its own, a file could mount folders of memory that no limit counts. Namespaces are nested 32
    deep at most, so the innermost one has none inside. Ids stay the same. A child tries it first: where the
    system refuses namespaces, it refuses them to the file, too.
    """
    child = os.fork()
    if not child:
        try:
            status = 0 if new_user_namespace(libc) else 1
        except OSError:
            status = 1
        os._exit(status)
    if os.waitpid(child, 0)[1] == 0:
        while new_user_namespace(libc):
            pass
    libc.prctl(4, 0, 0, 0, 0)


def new_user_namespace(libc: Any) -> bool:
    """Enter a new user namespace with the same ids; False where there can't be one."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(0x10000000):  # CLONE_NEWUSER
        return False
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: or else the files below are root's
    for name, text in (("setgroups", "deny"), ("gid_map", f"{gid} {gid} 1"), ("uid_map", f"{uid} {uid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    return True


def limit(most: dict[str, int]) -> str:
    """Set the limits of this process and its children; return what can't be limited on this system."""
    try:
        import resource
    except ImportError:  # Windows
        return "memory and output can't be limited on this system"
    limits = {"RLIMIT_AS": most["memory"], "RLIMIT_FSIZE": most["file_size"], "RLIMIT_CORE": 0,
              "RLIMIT_CPU": most["cpu"], "RLIMIT_NOFILE": most["files"], "RLIMIT_MSGQUEUE": 0, "RLIMIT_MEMLOCK": 0}
    if sys.platform == "linux":
        limits["RLIMIT_NPROC"] = most["processes"] + threads_of_this_user()
    refused = []
    for which, value in limits.items():
        if not hasattr(resource, which):  # macOS has no message queues
            continue
        kind = getattr(resource, which)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS has RLIMIT_AS and refuses it
            refused.append(which)
    return f"{', '.join(refused)} can't be set on this system" if refused else ""


def threads_of_this_user() -> int:
    """Return how many threads count against RLIMIT_NPROC already; with a user id of its own, one."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(b":", 1) for line in status.read_bytes().splitlines() if b":" in line)
            if int(lines[b"Uid"].split()[0]) == os.getuid():
                total += int(lines[b"Threads"])
        except (OSError, KeyError, ValueError):  # it has ended meanwhile
            continue
    return total


# ---- the conversation
def main(arguments: Sequence[str]) -> None:
    """Ask every student every question of the job, and send one line for each answer."""
    if arguments:
        drop_rights(arguments[-2:] if len(arguments) == 2 else ())
    job = json.loads(sys.stdin.buffer.read())
    answers = os.dup(1)
    os.dup2(2, 1)  # what the file prints, and its child processes, is no answer
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def send(**message: Any) -> None:
        left = memoryview((json.dumps(message) + "\n").encode())
        while left:
            left = left[os.write(answers, left):]

    without_own_warnings()
    sys.path[:1] = []  # this script's own folder
    sys.path += job["paths"]
    send(note=limit(job["limits"]))
    questions = Questions(job)
    forbid(job["blocked"])
    sys.meta_path.append(questions.helpers)
    for number, (name, question) in enumerate(job["asked"]):
        send(begin=number)
        send(end=number, answer=questions.answer(name, question))


def without_own_warnings() -> None:
    """Leave out warnings of the checker's own lines."""
    warnings.filterwarnings("ignore", module=rf"probes|{re.escape(__name__)}")


def mark(question: str) -> None:
    """Separate the text that the file prints: from here on it belongs to this question, or to none."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the file may have closed it, or replaced it
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"\n{MARK}{question}\n".encode())


class Questions:
    """The questions of a job: students' files are asked them one by one.

    Attributes:
        limited: makes a context that limits the time of a file's code, from its code object and seconds.
        mark: is told the question that the text belongs to that is printed from then on; "": none.
    """

    def __init__(self, job: dict[str, Any], limited: Callable[[types.CodeType, float], Any] | None = None,
                 mark: Callable[[str], None] = mark) -> None:
        self.job, self.limited, self.mark = job, limited or alarm, mark
        self.probes = types.ModuleType("probes")
        exec(compile(job["probes"], "probes.py", "exec"), self.probes.__dict__)
        self.data = [decoded(one) for one in (job["data"], *job["others"])]
        self.helpers = Helpers(job["helpers"])
        self.broken: set[str] = set()  # files that can't be run

    def answer(self, name: str, question: str) -> dict[str, Any]:
        """Ask one student one question; return the results or the error, and the inputs that were modified."""
        answer: dict[str, Any] = {}
        if name in self.broken:
            return answer
        sources = {"student": self.job["students"][name], **self.job["helpers"]}
        self.mark("import" if question == "import" else "")  # later the file prints the same again when it is run
        try:
            student = Student(name, sources["student"], self.helpers)
            with self.limited(student.code, self.job["seconds"]):
                self._ask(student, question, answer, sources)
        except BaseException as error:  # whatever it is, it is the student's, and the next question goes on
            answer["error"] = told(error, sources)
            if isinstance(error, TimeLimit):
                answer["error"]["message"] = f"{self.job['seconds']:g} s"
        self.mark("")
        if question == "import" and "error" in answer:
            self.broken.add(name)
        if len(json.dumps(answer)) > LONGEST:
            answer = {"error": {"type": "", "message": "returns more than an answer can hold"}}
        return answer

    def _ask(self, student: Student, question: str, answer: dict[str, Any], sources: dict[str, str]) -> None:
        """Ask a question; put into the answer what is known, step by step, as any of them may fail.

        A whole function is asked again: with other inputs, several sets of them, and then with the first ones.
        """
        if question == "import":
            answer["values"] = {"signatures": {"plain": signatures(student.module(), self.job["signatures"])}}
            return
        call = self.probes.CALLS.get(question) or numeric(*self.probes.NUMERIC[question])
        given = fresh(self.data[0], frozen=True)
        module = student.module()
        self.mark(question if question in self.probes.CALLS else "")
        try:
            found = call(module, given)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            self.mark("")
            answer["wrote"] = told(error, sources)
            given = fresh(self.data[0], frozen=False)
            module = student.module()
            found = call(module, given)
            answer["changed"] = [name for name, x in given.items() if isinstance(x, np.ndarray)
                                 and not np.array_equal(x, self.data[0][name], equal_nan=True)]
        answer["values"] = encoded(found)
        answer["shares"] = shared(found, given)
        self.mark("")  # further calls print the same
        if ":" not in question:
            answer |= self._later(call, student, module, not answer.get("wrote"), sources)

    def _later(self, call: Callable[[Any, Any], Any], student: Student, module: types.ModuleType, frozen: bool,
               sources: dict[str, str]) -> dict[str, Any]:
        """Call a function again that was called with the first inputs: with the others, and with the first.

        The calls with other inputs are compared with those in new modules, where nothing is left of an earlier call.
        Their results have the number of the inputs in front of their names.
        """
        first, *others = self.data
        found: dict[str, Any] = {"between": {}, "alone": {}}
        try:
            for number, other in enumerate(others):
                results = encoded(call(module, fresh(other, frozen)))
                found["between"] |= {f"{number} {name}": x for name, x in results.items()}
            found["again"] = encoded(call(module, fresh(first, frozen)))
            for number, other in enumerate(others):
                results = encoded(call(student.module(), fresh(other, frozen)))
                found["alone"] |= {f"{number} {name}": x for name, x in results.items()}
        except BaseException as error:
            found["later"] = told(error, sources)
        return found


@contextlib.contextmanager
def alarm(code: types.CodeType, seconds: float) -> Iterator[None]:
    """Limit the time of code by the system's timer."""
    timer(seconds)
    try:
        yield
    finally:
        timer(0)


def timer(seconds: float) -> None:
    """Raise TimeLimit in so many seconds; where the system has no timer the parent kills the process later."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def over(number: int, frame: Any) -> None:
    """Raise TimeLimit; the timer calls this."""
    raise TimeLimit()


def signatures(module: types.ModuleType, wanted: list[str]) -> dict[str, list[str] | None]:
    """Return the arguments of each function, as `argument`; None for a function that doesn't exist."""
    found: dict[str, list[str] | None] = {}
    for name in wanted:
        thing: Any = module
        before: list[str] = []
        for part in name.split("."):
            if isinstance(thing, type):  # of a static method, too, `self` is counted
                before = ["self"] * isinstance(inspect.getattr_static(thing, part, None), (staticmethod, classmethod))
            thing = getattr(thing, part, None)
        found[name] = [*before, *map(argument, inspect.signature(thing).parameters.values())] if callable(
            thing) else None
    return found


def argument(given: inspect.Parameter) -> str:
    """Return the name of an argument: "x=" if it has a default; "*x", "**x"; "x!" if it must be given by name."""
    name = "*" * (given.kind is given.VAR_POSITIONAL or 2 * (given.kind is given.VAR_KEYWORD)) + given.name
    if given.default is not given.empty:
        return f"{name}="
    return f"{name}!" if given.kind is given.KEYWORD_ONLY else name


def numeric(loss: Callable[[Any, dict[str, Any]], float], names: tuple[str, ...]) -> Callable[[Any, Any], Any]:
    """Return central differences of a student's own forward, (f(x + eps) - f(x - eps)) / (2 eps), for every entry."""
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
    """Return copies of all inputs; frozen ones are views of read-only memory, which can't be made writable."""
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
    """Return the results that share memory with an input, as [result, input]."""
    results = found.items() if isinstance(found, Mapping) else []
    return [[str(name), other] for name, x in results if isinstance(x, np.ndarray)
            for other, y in given.items() if isinstance(y, np.ndarray) and np.may_share_memory(x, y)]


# ---- plain data
def encoded(found: Any) -> dict[str, Any]:
    """Return results as JSON: arrays with dtype, shape and bytes; plain values; of others the type alone."""
    if not isinstance(found, Mapping):
        return {"": {"type": type(found).__name__}}
    return {str(name): encoded_one(value) for name, value in found.items()}


def encoded_one(value: Any) -> dict[str, Any]:
    """Return one result as JSON; of a wider type of floats than float64 its numbers in float64."""
    if isinstance(value, (np.ndarray, np.longdouble)) and value.dtype == np.longdouble:
        value = value.astype(np.float64)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.name in DTYPES and value.size <= MANY:
        array = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(np.shape(value))
        data = base64.b64encode(array.tobytes()).decode()
        return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}
    try:
        return {"plain": json.loads(json.dumps(value), parse_int=short_integer)}
    except (TypeError, ValueError):
        return {"type": kind_of(value)}


def kind_of(value: Any) -> str:
    """Return the type of a result that isn't sent: of an array the type of its numbers, or that they are too many."""
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    return f"{value.dtype.name} array" + (f" of more than {MANY} numbers" if value.size > MANY else "")


def short_integer(digits: str) -> int:
    """Parse an integer, unless it is so long that parsing would take minutes."""
    if len(digits) > 400:
        raise ValueError("too long")
    return int(digits)


def decoded(data: dict[str, Any]) -> dict[str, Any]:
    """Return arrays and plain values by name, from their JSON.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: where it isn't of that form.
    """
    return {name: decoded_array(x) if "dtype" in x else x["plain"] for name, x in data.items()}


def decoded_array(x: dict[str, Any]) -> Any:
    """Return an array from JSON; check its size against its bytes first."""
    if x["dtype"] not in DTYPES or len(x["shape"]) > 16 or any(type(n) is not int or n < 0 for n in x["shape"]):
        raise ValueError("no array")
    dtype, shape, data = np.dtype(x["dtype"]).newbyteorder("<"), tuple(x["shape"]), base64.b64decode(x["data"])
    if math.prod(shape) > MANY or len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError("no array of that shape")
    if dtype.kind == "b":  # bytes other than 0 and 1 are no truth values
        return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def told(error: BaseException, sources: dict[str, str]) -> dict[str, Any]:
    """Return an error as plain data: its type and message, and the innermost line of the student's files.

    `place` is "student" where the student's code has raised it, else the package of the code that has: "minigrad" or
    "rnn"; "" for the checker's own.
    """
    line, function, module, place = getattr(error, "lineno", None), "", "student", ""
    trace = error.__traceback__
    while trace is not None:
        code, frame = trace.tb_frame.f_code, trace.tb_frame
        inside = str(frame.f_globals.get("__name__"))
        if inside in sources:
            line, function, module, place = trace.tb_lineno, code.co_name, inside, "student"
        elif not place:
            place = inside.partition(".")[0] if inside.startswith(LIBRARIES) else ""
        trace = trace.tb_next
    lines = sources.get(module, "").splitlines()
    text = lines[line - 1].strip() if line and line <= len(lines) else ""
    cells = [(number, found[1]) for number, one in enumerate(lines[:line or 0], 1) if (found := CELL.fullmatch(one))]
    start, cell = cells[-1] if cells else (0, "")
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)[:500]  # the line is told apart
    except BaseException:  # a class of the student's own
        message = ""
    return {"type": type(error).__name__, "message": message, "line": line and line - start, "text": text[:200],
            "function": function, "cell": cell, "file": "" if module == "student" else f"{module}.py", "place": place}


if __name__ == "__main__":
    main(sys.argv[1:])
