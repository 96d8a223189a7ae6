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
    """Raised in a program whose time is over; no `except Exception` catches it."""


class Watch:
    """Looks at the clock at each line and jump of the program, but at none of the libraries."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def look(self, code: CodeType, *place: int) -> None:
        """Raise Stopped if the time is over."""
        if time.monotonic() > self.end:
            raise Stopped(f"stopped after {self.seconds:g} seconds in this line: is there a loop that doesn't end?")


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
        for event in (monitoring.events.LINE, monitoring.events.JUMP):  # `while True: pass` is one line
            monitoring.register_callback(TOOL, event, watch.look)
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
