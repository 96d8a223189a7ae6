"""Where a tensor was written: file, line and, for an unrolled one, signal and time step.

This room knows Python's frames and nothing of tensors.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType


class Origin:
    """The place in the user's program that made something.

    Attributes:
        file: path of the source file, as Python has it.
        line: line number, from 1.
        signal: name of the signal whose equation made it; None outside a recurrence.
        t: time step of that copy; None outside a recurrence.
        detached: what it was detached from, in words; None for what wasn't.
    """

    __slots__ = ("file", "line", "signal", "t", "detached")

    def __init__(self, file: str, line: int, signal: str | None = None, t: int | None = None,
                 detached: str | None = None) -> None:
        self.file = file
        self.line = line
        self.signal = signal
        self.t = t
        self.detached = detached

    def at(self, signal: str, t: int) -> Origin:
        """The same line, for the copy of `signal` at step `t`."""
        return Origin(self.file, self.line, signal, t)

    def __str__(self) -> str:
        return f"{_cell(self.file) or os.path.basename(self.file)}:{self.line}"

    __repr__ = __str__


def _cell(file: str) -> str | None:
    """`Cell In[4]` for the file that Jupyter makes of a notebook's cell, as its own tracebacks have it."""
    if "ipykernel" not in file or "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    number = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(file)
    return None if number is None else f"Cell In[{number}]"


_library_folders = {os.path.dirname(os.path.abspath(__file__))}  # their files are not the user's
_library_files: set[str] = set()  # source files that were found to stand in one of the rooms
# One Origin an instruction, shared by all that it made: by the id of its code, and its place in
# there. (A code object's own hash is slow. Held beside its Origins, its id isn't used again.)
_site_cache: dict[int, dict[int, Origin]] = {}
_held_code: list[CodeType] = []


def mark_library_file(file: str) -> None:
    """Leave the frames of every file beside `file` out: the user didn't write them."""
    _library_folders.add(os.path.dirname(os.path.abspath(file)))
    _site_cache.clear()


def call_site() -> Origin:
    """The nearest line on the call stack that stands outside our own rooms."""
    frame = sys._getframe(2)  # the caller of here() is never the user
    while frame.f_code.co_filename in _library_files:
        if frame.f_back is None:
            break
        frame = frame.f_back
    try:
        return _site_cache[id(frame.f_code)][frame.f_lasti]
    except KeyError:
        return _first_seen(frame)


def _in_library(file: str) -> bool:
    path = os.path.abspath(file)
    return any(path.startswith(folder + os.sep) for folder in _library_folders)


def _first_seen(frame: FrameType) -> Origin:
    """The origin of an instruction that is met for the first time, or of its first caller that isn't ours."""
    while _in_library(frame.f_code.co_filename) and frame.f_back is not None:
        _library_files.add(frame.f_code.co_filename)
        frame = frame.f_back
    code = frame.f_code
    if id(code) not in _site_cache:
        _held_code.append(code)
    origin = Origin(code.co_filename, frame.f_lineno or 0)
    return _site_cache.setdefault(id(code), {}).setdefault(frame.f_lasti, origin)
