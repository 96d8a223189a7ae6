"""The place in the user's program that made a tensor: file, line and, if unrolled, signal and time step.

This module reads Python's frames and is independent of tensors.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType


class Origin:
    """The place in the user's program that made a tensor or an expression.

    Attributes:
        file: path of the source file, as Python has it.
        line: line number, from 1.
        signal: name of the signal whose equation made it; None outside a recurrence.
        t: time step of the copy; None outside a recurrence.
        detached: for a detached tensor, the original in words; else None.
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
        """Return the same line for the copy of `signal` at step `t`."""
        return Origin(self.file, self.line, signal, t)

    def detach(self, line: Origin, detached: str) -> Origin:
        """Return a line as the origin of a detached copy of a tensor that was made here."""
        return Origin(line.file, line.line, self.signal, self.t, detached)

    @property
    def in_notebook(self) -> bool:
        """Whether it is a line of a notebook's cell, or of IPython's prompt, which may be run again."""
        return _cell(self.file) is not None

    @property
    def place(self) -> str:
        """The file as messages name it: "model.py", or "Cell In[4]" in a notebook."""
        return _cell(self.file) or os.path.basename(self.file)

    def __str__(self) -> str:
        return f"{self.place}:{self.line}"

    __repr__ = __str__


def _cell(file: str) -> str | None:
    """Return "Cell In[4]", as IPython's tracebacks write it, for the file that stands for a cell or a prompt."""
    if ("ipykernel" not in file and not file.startswith("<ipython-input")) or "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    number = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(file)
    return None if number is None else f"Cell In[{number}]"


MOST_CODE_OBJECTS = 500  # that the cache of call sites holds


class CallSiteCache(dict[int, tuple[CodeType, dict[int, Origin]]]):
    """Of each code object that called the library, by its id: itself, and the Origin of each instruction by its offset.

    Finding the line of an instruction is slow, and so is hashing a code object, which hashes all of its contents;
    hence the id as a key. An entry holds its code object, so that Python doesn't give the id away again. The cache
    begins anew when it is full: programs that make code, such as notebooks, would fill the memory.
    All tensors that one instruction made share an Origin.
    """

    def add(self, frame: FrameType) -> Origin:
        """Return the Origin of the instruction that a frame is at, and remember it."""
        if len(self) >= MOST_CODE_OBJECTS and id(frame.f_code) not in self:
            self.clear()
        _, sites = self.setdefault(id(frame.f_code), (frame.f_code, {}))
        return sites.setdefault(frame.f_lasti, Origin(frame.f_code.co_filename, frame.f_lineno or 0))


_call_sites = CallSiteCache()
_latest: tuple[CodeType | None, dict[int, Origin]] = None, {}  # the entry of the cache that was used last
_library_folders = {os.path.dirname(os.path.abspath(__file__))}
_library_files: set[str] = set()  # source files that were found to be in one of the folders


def mark_library_file(file: str) -> None:
    """Count all files in the folder of `file` as the library's: no frame of theirs is a call site."""
    global _latest
    _library_folders.add(os.path.dirname(os.path.abspath(file)))
    _call_sites.clear()
    _latest = None, {}


def call_site(depth: int = 2) -> Origin:
    """Return the line of the first frame on the call stack that belongs to the user's code, not to this library.

    Args:
        depth: the number of functions, this one included, that are known to be the library's: at least 2, since it
            calls this one. Each frame that needn't be looked at saves time, as Python makes an object of it.
    """
    global _latest
    try:
        frame = sys._getframe(depth)
        code, sites = _latest
        if frame.f_code is code:  # as in a loop
            return sites[frame.f_lasti]
        while frame.f_code.co_filename in _library_files and frame.f_back is not None:
            frame = frame.f_back
        _, sites = _latest = _call_sites[id(frame.f_code)]
        return sites[frame.f_lasti]
    except (KeyError, ValueError):  # not in the cache; the stack isn't that deep
        return _first_call_site(sys._getframe(2))


def _first_call_site(frame: FrameType) -> Origin:
    """Return the Origin of a frame that isn't in the cache, or of its first caller outside of the library."""
    while in_library(frame.f_code.co_filename) and frame.f_back is not None:
        _library_files.add(frame.f_code.co_filename)
        frame = frame.f_back
    return _call_sites.add(frame)


def in_library(file: str) -> bool:
    """Return whether a source file belongs to this library."""
    path = os.path.abspath(file)
    return any(path.startswith(folder + os.sep) for folder in _library_folders)
