"""A time limit for code that doesn't end: an error in the line that is running, where Python can raise one."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from types import CodeType
from typing import Any

TOOL = 4  # a number that no debugger or profiler uses (PEP 669)


class Stopped(BaseException):
    """Raised in a program whose time is over; no `except Exception` catches it.

    Attributes:
        line: the line that the time was spent in; None if it is the line that was interrupted.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


class Watch:
    """Looks at the clock at each line and jump of the program, but at none of the libraries."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.line: int | None = None  # that runs, since `began`

    def at_line(self, code: CodeType, line: int) -> None:
        """Look at the beginning of a line."""
        self._look()
        self.line = line

    def at_jump(self, code: CodeType, *offsets: int) -> None:
        """Look at a jump, also to the same line."""
        self._look()

    def _look(self) -> None:
        """Raise Stopped if the time is over; of a line whose calls took most of it, when they have returned."""
        now = time.monotonic()
        spent = now - self.began
        if now > self.end and self.line is not None and spent > self.seconds / 2:
            raise Stopped(f"line {self.line} took {spent:.2g} s, and a program may run {self.seconds:g} s: is T, or an "
                          "array, very large?", self.line)
        if now > self.end:
            raise Stopped(f"stopped after {self.seconds:g} seconds in this line: is there a loop that doesn't end?")
        self.began = now


@contextlib.contextmanager
def deadline(code: CodeType, seconds: float) -> Iterator[None]:
    """Limit the time of code, from Python 3.12 on (`sys.monitoring`); before, and inside of a library, it runs on."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        yield
        return
    monitoring.use_tool_id(TOOL, "playground")
    try:
        watch = Watch(seconds)
        monitoring.register_callback(TOOL, monitoring.events.LINE, watch.at_line)
        monitoring.register_callback(TOOL, monitoring.events.JUMP, watch.at_jump)  # `while True: pass` is one line
        for each in parts(code):
            monitoring.set_local_events(TOOL, each, monitoring.events.LINE | monitoring.events.JUMP)
        yield
    finally:
        monitoring.free_tool_id(TOOL)


def parts(code: CodeType) -> list[CodeType]:
    """Return the code objects of a program: its own, and those of its functions and classes."""
    found = [code]
    for each in found:  # which grows
        found += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
    return found
