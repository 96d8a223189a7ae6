"""Progress bars for calls that take longer than two seconds, in a terminal or a notebook, where tqdm is installed.

    watch(backward, "backward", gradients_so_far)

A thread looks twice a second at the stack of the main thread. Where a watched function has been running for two
seconds, it shows a bar, and moves it by what it reads from the function's local variables. The function itself knows
nothing of it: it has no branch for it and loses no time.

The bar must be gone before the caller prints anything. So it is closed by the end of the call itself: the bar is kept
in the frame's dictionary of local variables, and is closed when Python deletes that.
"""

from __future__ import annotations

import _thread
import math
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

PATIENCE = 2.0  # seconds that a call takes before a bar is shown
IDLE, SHOWN = 0.5, 0.1  # seconds between two looks, without a bar and with one
GUARD = "__progress__"  # a local variable that no source has


class State(NamedTuple):
    """How far a call is."""

    done: float
    total: float  # NaN: unknown


Reader = Callable[[dict[str, Any]], State]  # from the local variables of a call


class Watched(NamedTuple):
    """A function whose calls may be shown."""

    title: str
    read: Reader


def unknown(variables: dict[str, Any]) -> State:
    """Return the state of a call that counts nothing: the bar shows its time."""
    return State(math.nan, math.nan)


_watched: dict[CodeType, Watched] = {}


def watch(function: Any, title: str, read: Reader = unknown) -> None:
    """Show the calls of a function that take long.

    Args:
        function: written in Python.
        title: the word in front of the bar.
        read: returns from a call's local variables how far it is.
    """
    _watched[function.__code__] = Watched(title, read)


class Bar:
    """The bar of one call; deleted, and thereby closed, with the call's local variables."""

    def __init__(self, make: Callable[..., Any], title: str, state: State, elapsed: float) -> None:
        known = not math.isnan(state.total)
        self.bar = make(total=int(state.total) if known else None, desc=title, leave=False, dynamic_ncols=True,
                        bar_format=None if known else "{desc}: {elapsed}", file=sys.stderr)
        self.bar.start_t -= elapsed
        self.show(state)

    def show(self, state: State) -> None:
        """Move the bar; never back."""
        if state.done > self.bar.n:
            self.bar.n = min(int(state.done), self.bar.total)
        self.bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()

    __del__ = close


class Watcher:
    """Looks at the main thread's stack, and shows the bar of the outermost watched call."""

    def __init__(self) -> None:
        self.thread = threading.main_thread().ident
        self.seen: int | None = None  # id of the frame that was found
        self.since = 0.0
        self.last = State(0, 0)
        self.shown = False

    def run(self) -> None:
        """Look again and again, until the program ends."""
        while True:
            time.sleep(SHOWN if self.shown else IDLE)
            try:
                self.look()
            except Exception:  # a bar is no reason to disturb a program; this call gets none
                self.since = math.inf

    def look(self) -> None:
        """Look once."""
        frame, watched = self._find()
        if frame is None or watched is None:
            self.seen, self.shown = None, False
            return
        now = time.monotonic()
        if id(frame) != self.seen:
            self.seen, self.since, self.shown, self.last = id(frame), now, False, State(0, 0)
            return
        elapsed = now - self.since
        if elapsed < PATIENCE or frame.f_trace is not None:  # a debugger steps through it
            return
        variables = frame.f_locals
        state = watched.read(variables)
        moved, self.last = state != self.last, state
        if self.shown:
            variables[GUARD].show(state)
        elif moved:
            variables[GUARD] = Bar(_tqdm(), watched.title, state, elapsed)
            self.shown = True

    def _find(self) -> tuple[FrameType | None, Watched | None]:
        """Return the outermost frame of a watched function."""
        found: tuple[FrameType | None, Watched | None] = None, None
        frame = sys._current_frames().get(self.thread or 0)
        while frame is not None:
            watched = _watched.get(frame.f_code)
            if watched is not None:
                found = frame, watched
            frame = frame.f_back
        return found


def _tqdm() -> Callable[..., Any]:
    """Return the class of bars for this terminal or notebook; raise ImportError where tqdm isn't installed."""
    from tqdm.auto import tqdm

    make: Callable[..., Any] = tqdm
    return make


def start() -> None:
    """Begin to watch where somebody looks: in a terminal, or in a notebook; otherwise do nothing."""
    notebook = "ipykernel" in sys.modules
    if notebook or (sys.stderr is not None and sys.stderr.isatty()):
        # Not threading.Thread: notebooks print what its threads write below the cell that started them.
        _thread.start_new_thread(Watcher().run, ())
