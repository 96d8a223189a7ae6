"""Terminal I/O of the debugger: reads commands, prints answers, completes words, defers Ctrl-C.

Commands come from a given list, then from a terminal (with history and completion if Python has
readline) or a pipe. Commands that were not typed on a terminal are echoed, so that the output reads
as a session. The state of readline and of the signal handler is restored afterwards.
"""

from __future__ import annotations

import bdb
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any, TextIO

try:
    import readline as _readline
except ImportError:  # Windows
    readline: ModuleType | None = None
else:
    readline = _readline


class Terminal:
    """Reads commands and prints answers.

    Attributes:
        queue: commands that are read before any others.
        interactive: whether commands are typed on a terminal.
    """

    def __init__(self, queue: Iterable[str] = (), stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self.queue = list(queue)
        self.stdin = stdin or sys.stdin
        self.stdout = stdout or sys.stdout
        self.interactive = self.stdin is sys.stdin and self.stdin is not None and self.stdin.isatty()

    def say(self, text: str) -> None:
        """Print a line. A closed pipe ends the session without a traceback."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        try:
            self.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            discard_output(self.stdout)
            raise bdb.BdbQuit from None

    def ask(self, prompt: str) -> str | None:
        """Return the next command; None at the end of the input."""
        if self.queue:
            line: str | None = self.queue.pop(0)
        elif self.interactive:
            return self._input(prompt)
        else:
            line = self.stdin.readline() or None if self.stdin else None
        self.say(f"{prompt}{line or ''}".rstrip())
        return None if line is None else line.strip()

    def _input(self, prompt: str) -> str | None:
        try:
            return input(prompt).strip()
        except EOFError:
            self.say("")
            return None


def discard_output(stream: TextIO) -> None:
    """Redirect a closed pipe to the null device, so that Python's final flush raises no error."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def completion(complete: Callable[[str, int], Any]) -> Iterator[None]:
    """Let the tab key call `complete(text, state)` for a block."""
    if readline is None:
        yield
        return
    before = readline.get_completer(), readline.get_completer_delims()
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n")  # h[3] is one word
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])


class DeferInterrupt:
    """`with DeferInterrupt() as interrupt:` Ctrl-C sets `interrupt.pending` instead of interrupting a step."""

    def __enter__(self) -> DeferInterrupt:
        self.pending = False
        try:
            self.before = signal.signal(signal.SIGINT, self._set_pending)
            self.installed = True
        except ValueError:  # only the main thread may install a handler
            self.installed = False
        return self

    def __exit__(self, *exception: object) -> None:
        if self.installed:
            signal.signal(signal.SIGINT, self.before)

    def is_pending(self) -> bool:
        """Return whether Ctrl-C was pressed."""
        return self.pending

    def _set_pending(self, number: int, frame: FrameType | None) -> None:
        self.pending = True
