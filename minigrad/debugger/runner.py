"""A user's script, run under the debugger of backward passes as if Python had run it."""

from __future__ import annotations

import argparse
import bdb
import os
import runpy
import sys
import traceback
from collections.abc import Sequence

from numpy.typing import ArrayLike

from minigrad.backward import backward as plain
from minigrad.tensor import Tensor

from . import cmd as room
from . import session, timeline
from .cmd import Debugger
from .terminal import silence

OURS = {os.path.abspath(file) for file in (__file__, session.__file__, timeline.__file__)}


def main(arguments: Sequence[str]) -> int:
    """The program `python -m minigrad.debugger`; returns its exit code."""
    given = options().parse_args(arguments)
    commands = list(given.commands)
    for file in given.files:
        try:
            with open(file, encoding="utf-8") as lines:
                commands += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        except OSError as error:
            print(f"the commands can't be read: {error}", file=sys.stderr)
            return 2
    if not os.path.isfile(given.script):
        print(f"there is no script {given.script!r}", file=sys.stderr)
        return 2
    return run(given.script, given.arguments, Debugger(commands))


def options() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.debugger", description="A pdb for backward passes: run a script and stop at its "
        "first backward(). Type 'help' there.")
    parser.add_argument("-c", dest="commands", metavar="COMMAND", action="append", default=[],
                        help="a command to begin with; may be given several times")
    parser.add_argument("--commands", dest="files", metavar="FILE", action="append", default=[],
                        help="a file of commands, one a line, done after those of -c; # begins a comment")
    parser.add_argument("script", help="the Python script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")
    return parser


def run(script: str, arguments: Sequence[str], debugger: Debugger) -> int:
    """Run a script as __main__ with its backward passes under a debugger; returns its exit code."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))

    def backward(out: Tensor, grad: ArrayLike | None = None) -> None:
        debugger.backward(out, grad)

    Tensor.backward = backward
    room.running = debugger
    try:
        runpy.run_path(script, run_name="__main__")
        return end(script, debugger)
    except bdb.BdbQuit:
        return 0
    except (Exception, KeyboardInterrupt) as error:
        return failed(error)
    finally:
        Tensor.backward, room.running = plain, None
        sys.argv, sys.path[:] = argv, path


def end(script: str, debugger: Debugger) -> int:
    """Say so where a script has ended without a backward pass."""
    try:
        if not debugger.passes:
            debugger.terminal.say(f"{os.path.basename(script)} has ended and never called backward()")
        sys.stdout.flush()
    except (bdb.BdbQuit, BrokenPipeError):
        silence(sys.stdout)
    return 0


def failed(error: BaseException) -> int:
    """Print the traceback that Python would print: without our own frames."""
    if isinstance(error, BrokenPipeError):
        silence(sys.stdout)
        return 1
    print(told(error), end="", file=sys.stderr)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def told(error: BaseException) -> str:
    """A traceback as text, without the frames that ran the script."""
    report = traceback.TracebackException.from_exception(error)
    pending = [report]
    while pending:
        part = pending.pop()
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if not _ours(frame.filename)])
        pending += [other for other in (part.__cause__, part.__context__) if other is not None]
    if not report.stack:
        return "".join(report.format_exception_only())
    return "".join(report.format())


def _ours(file: str) -> bool:
    return file.startswith("<frozen runpy") or file == runpy.__file__ or os.path.abspath(file) in OURS
