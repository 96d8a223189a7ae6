"""The debugger's side of the terminal: lines in, lines out, and everything as it was afterwards.

A line comes from the commands given beforehand, from a terminal (with history and completion, where
Python has readline) or from a pipe. Lines that nobody typed on a terminal are echoed, so that what
is printed reads as a session.
"""

from __future__ import annotations

import bdb
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any, TextIO

try:
    import readline as _readline
except ImportError:  # Windows
    readline: ModuleType | None = None
else:
    readline = _readline


class Terminal:
    """Where commands come from and answers go.

    Attributes:
        queue: commands to be read before any other.
    """

    def __init__(self, queue: Iterable[str] = (), stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self.queue = list(queue)
        self.stdin = stdin or sys.stdin
        self.stdout = stdout or sys.stdout
        self.typed = self.stdin is sys.stdin and self.stdin is not None and self.stdin.isatty()

    def say(self, text: str) -> None:
        """Print a line. A reader who has gone away ends the session, and no traceback follows."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        try:
            self.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            silence(self.stdout)
            raise bdb.BdbQuit from None

    def ask(self, prompt: str) -> str | None:
        """The next command; None where there is no more."""
        if self.queue:
            line: str | None = self.queue.pop(0)
        elif self.typed:
            return self._typed(prompt)
        else:
            line = self.stdin.readline() or None if self.stdin else None
        self.say(f"{prompt}{line or ''}".rstrip())
        return None if line is None else line.strip()

    def _typed(self, prompt: str) -> str | None:
        try:
            return input(prompt).strip()
        except EOFError:
            self.say("")
            return None


def silence(stream: TextIO) -> None:
    """Let what is still in a stream's buffer go nowhere, so that the interpreter's end is quiet."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Completion:
    """`with Completion(complete):` the tab key asks `complete(text, state)`; afterwards what it asked before."""

    def __init__(self, complete: Callable[[str, int], Any]) -> None:
        self.complete = complete

    def __enter__(self) -> None:
        if readline is None:
            return
        self.before = readline.get_completer(), readline.get_completer_delims()
        readline.set_completer(self.complete)
        readline.set_completer_delims(" \t\n")  # h[3] is one word
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")

    def __exit__(self, *exception: object) -> None:
        if readline is not None:
            readline.set_completer(self.before[0])
            readline.set_completer_delims(self.before[1])


class Patience:
    """`with Patience() as ctrl_c:` Ctrl-C waits until the step that is running is complete.

    Attributes:
        pressed: whether it was pressed.
    """

    def __enter__(self) -> Patience:
        self.pressed = False
        try:
            self.before = signal.signal(signal.SIGINT, self._press)
            self.installed = True
        except ValueError:  # only the main thread may
            self.installed = False
        return self

    def __exit__(self, *exception: object) -> None:
        if self.installed:
            signal.signal(signal.SIGINT, self.before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
