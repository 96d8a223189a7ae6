"""The program `python -m minigrad.debugger`: runs a script as Python would, with its backward passes debugged."""

from __future__ import annotations

import argparse
import bdb
import os
import runpy
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from . import vscode
from .commands import Debugger
from .passes import Passes
from .terminal import discard_output

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    given = parser().parse_args(arguments)
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


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.debugger", description="A pdb for backward passes: run a script and stop at its "
        "first backward(). Type 'help' there.",
        epilog="--dap, alone, serves an editor instead, by the Debug Adapter Protocol on standard input and output.")
    parser.add_argument("-c", dest="commands", metavar="COMMAND", action="append", default=[],
                        help="a command to run first; may be given several times")
    parser.add_argument("--commands", dest="files", metavar="FILE", action="append", default=[],
                        help="a file of commands, one per line, run after those of -c; # begins a comment")
    parser.add_argument("--vscode-extension", metavar="FILE.vsix", action=WriteExtension,
                        help="write the extension for VS Code, to be installed by 'code --install-extension FILE.vsix'")
    parser.add_argument("script", help="the Python script")
    rest = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")
    rest.required = False
    return parser


class WriteExtension(argparse.Action):
    """Writes the extension for VS Code and exits, as `--version` does elsewhere: no script is needed."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        try:
            path = vscode.write(values)
        except (ValueError, OSError) as error:
            parser.error(str(error.args[-1]))
        print(f"written: {os.path.abspath(path)}")
        print(f"install it by: code --install-extension {shlex.quote(os.fspath(path))}")
        parser.exit()


def run(script: str, arguments: Sequence[str], debugger: Passes) -> int:
    """Run a script as __main__, its backward passes under a debugger; return its exit code."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    debugger.install()
    try:
        runpy.run_path(script, run_name="__main__")
        report_end(script, debugger)
    except bdb.BdbQuit:
        return 0
    except (Exception, KeyboardInterrupt) as error:
        return report_error(error)
    finally:
        debugger.uninstall()
        sys.argv, sys.path[:] = argv, path
    return 0


def report_end(script: str, debugger: Passes) -> None:
    """Flush the script's output; if it ran no backward pass, say so."""
    try:
        if not debugger.passes:
            debugger.say(f"{os.path.basename(script)} has ended and never called backward()")
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)


def report_error(error: BaseException) -> int:
    """Print the traceback that Python would print for the script, and return the exit code."""
    if isinstance(error, BrokenPipeError):
        discard_output(sys.stdout)
        return 1
    print(format_traceback(error), end="", file=sys.stderr)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def format_traceback(error: BaseException) -> str:
    """Return a traceback as text, without the frames of the debugger and of runpy."""
    report = traceback.TracebackException.from_exception(error)
    pending = [report]
    while pending:
        part = pending.pop()
        frames = [frame for frame in part.stack if not _is_internal(frame.filename)]
        part.stack = traceback.StackSummary.from_list(frames)
        pending += [other for other in (part.__cause__, part.__context__) if other is not None]
    return "".join(report.format() if report.stack else report.format_exception_only())


def _is_internal(file: str) -> bool:
    return (file.startswith("<frozen runpy") or file == runpy.__file__
            or os.path.abspath(file).startswith(FOLDER + os.sep))
