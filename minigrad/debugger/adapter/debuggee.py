"""The process of a debugged program: `python -m minigrad.debugger.adapter.debuggee`, which the front starts.

Its standard input carries the editor's requests and its standard output the answers; the program finds the one empty
and the other sent as events.
"""

from __future__ import annotations

import os
import sys
import threading

from minigrad.debugger.evaluation import CommandError
from minigrad.debugger.runner import run

from .messages import Message, Reader, Writer, private_descriptors
from .session import Session
from .streams import flush_output, redirect_output

REFUSED = 2  # exit code


def main() -> int:
    """Run the program that a launch request names; return its exit code."""
    reading, writing = private_descriptors()
    reader, writer = Reader(reading), Writer(writing)
    launch = reader.read()
    if launch is None:
        return REFUSED
    session = Session(writer)
    try:
        program, arguments = options(launch.get("arguments") or {}, session)
    except CommandError as error:
        writer.refuse(launch, str(error))
        return REFUSED
    redirect_output(writer)
    threading.Thread(target=session.serve, args=(reader,), daemon=True).start()
    writer.answer(launch)
    writer.event("initialized")
    session.configured.wait()
    if session.quitting:
        return 0
    try:
        return run(program, arguments, session)
    finally:
        flush_output()


def options(given: Message, session: Session) -> tuple[str, list[str]]:
    """Return the program that a launch request names, and its arguments; set the session's options."""
    program, arguments = given.get("program"), given.get("args") or []
    if not isinstance(program, str) or not program:
        raise CommandError("the launch configuration names no 'program': give the path of a Python script")
    if not os.path.isfile(program):
        raise CommandError(f"there is no script {program!r} ('program' of the launch configuration), seen from "
                           f"{os.getcwd()}")
    if not isinstance(arguments, list) or not all(isinstance(word, str) for word in arguments):
        raise CommandError("'args' of the launch configuration is a list of texts")
    stop = given.get("stopOnEntry")
    if stop is not None and not isinstance(stop, bool):
        raise CommandError("'stopOnEntry' of the launch configuration is true or false")
    session.stop_on_entry = stop
    session.debugging = not given.get("noDebug")
    return os.path.abspath(program), arguments


if __name__ == "__main__":
    sys.exit(main())
