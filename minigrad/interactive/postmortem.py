"""IPython's `%debug` after an error that the library raised on purpose: it starts at the user's line.

Such an error names the user's line and says what to do there, so the library's frames below that line are cut off the
traceback once the notebook has printed it. After any other error, such as a fault of the library, they stay. Only the
traceback of an error that has ended a cell is changed: a debugger that steps through a running program finds every
frame, which `__tracebackhide__` in the functions themselves would prevent.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Callable
from types import TracebackType
from typing import Any


def install(in_library: Callable[[str], bool]) -> None:
    """Let IPython cut the traceback of an error after each cell; nothing where IPython doesn't run.

    Args:
        in_library: whether a source file is one of the library's.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.events.register("post_run_cell", Trimmer(in_library).after_cell)


class Trimmer:
    """Cuts library frames off the tracebacks of deliberate errors."""

    def __init__(self, in_library: Callable[[str], bool]) -> None:
        self.in_library = in_library
        self.standard = sysconfig.get_paths()["stdlib"] + os.sep
        self.numpy = os.path.dirname(str(sys.modules["numpy"].__file__)) + os.sep

    def after_cell(self, result: Any) -> None:
        """Cut the traceback of the error that ended a cell."""
        if result.error_in_exec is not None:
            self.trim(result.error_in_exec)

    def trim(self, error: BaseException) -> None:
        """Cut off the frames below the user's line; mark those between two lines of the user's as hidden."""
        places = _places(error.__traceback__)
        if not places or not self._raised_on_purpose(places[-1]):
            return
        while places and self._is_passed(places[-1]):
            places.pop()
        if not places:
            return
        places[-1].tb_next = None
        for place in places:
            if self.in_library(place.tb_frame.f_code.co_filename):
                place.tb_frame.f_locals["__tracebackhide__"] = True

    def _raised_on_purpose(self, place: TracebackType) -> bool:
        """Return whether the library's `raise` made an error, rather than an operation that failed."""
        file = place.tb_frame.f_code.co_filename
        return self.in_library(file) and linecache.getline(file, place.tb_lineno).strip().startswith("raise ")

    def _is_passed(self, place: TracebackType) -> bool:
        """Return whether a frame is the library's, or that of a function through which the user's line calls it."""
        file = place.tb_frame.f_code.co_filename
        standard = file.startswith(self.standard) and "site-packages" not in file
        return self.in_library(file) or standard or file.startswith(self.numpy)


def _places(traceback: TracebackType | None) -> list[TracebackType]:
    """Return the entries of a traceback, the innermost last."""
    found = []
    while traceback is not None:
        found.append(traceback)
        traceback = traceback.tb_next
    return found
