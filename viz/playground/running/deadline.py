"""A time limit for code that doesn't end: an error in the line that is running, where Python can raise one."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from rnn.unrolling.unroll import Unroller

LONG = [method.__code__ for method in vars(Unroller).values() if isinstance(method, FunctionType)]  # they take T turns
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
    """Looks at the clock at each line and jump of the program, and of the libraries in the loops over time steps."""

    def __init__(self, own: Iterable[CodeType], seconds: float) -> None:
        self.own = set(own)
        self.seconds = seconds
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.line: int | None = None  # that runs, since `began`

    def at_line(self, code: CodeType, line: int) -> None:
        """Look at the beginning of a line."""
        self.began = self._look()
        self.line = line

    def at_jump(self, code: CodeType, *offsets: int) -> None:
        """Look at a jump, also to the same line."""
        now = self._look()
        if code in self.own:
            self.began = now

    def _look(self) -> float:
        """Return the time; raise Stopped if it is over, in the line whose call took most of it if there is one."""
        now = time.monotonic()
        spent = now - self.began
        if now > self.end and self.line is not None and spent > self.seconds / 2:
            raise Stopped(f"line {self.line} took {spent:.2g} s, and a program may run {self.seconds:g} s: is T, or an "
                          "array, very large?", self.line)
        if now > self.end:
            raise Stopped(f"stopped after {self.seconds:g} seconds in this line: is there a loop that doesn't end?")
        return now


@contextlib.contextmanager
def deadline(code: CodeType, seconds: float) -> Iterator[None]:
    """Limit the time of code, from Python 3.12 on (`sys.monitoring`).

    Before, and inside of libraries but for the loop over time steps, it runs on.
    """
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        yield
        return
    own, library = parts([code]), parts(LONG)
    line, jump = monitoring.events.LINE, monitoring.events.JUMP  # `while True: pass` is one line
    watch = Watch(own, seconds)
    monitoring.use_tool_id(TOOL, "playground")
    try:
        monitoring.register_callback(TOOL, line, watch.at_line)
        monitoring.register_callback(TOOL, jump, watch.at_jump)
        for each in own:
            monitoring.set_local_events(TOOL, each, line | jump)
        for each in library:
            monitoring.set_local_events(TOOL, each, jump)
        yield
    finally:
        for each in own + library:  # a later training calls them too
            monitoring.set_local_events(TOOL, each, 0)
        for event in (line, jump):
            monitoring.register_callback(TOOL, event, None)
        monitoring.free_tool_id(TOOL)


def parts(codes: Iterable[CodeType]) -> list[CodeType]:
    """Return code objects, and those of the functions and classes inside of them."""
    found = list(codes)
    for each in found:  # which grows
        found += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
    return found
