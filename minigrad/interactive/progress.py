"""Progress bars for calls that take longer than two seconds, in a terminal or a notebook, where tqdm is installed.

    watch(backward, "backward", read)

A thread looks twice a second at the stack of the main thread. Where a watched function has been running for two
seconds, it shows a bar, and moves it by what it reads from the function's local variables. The function itself knows
nothing of it: it has no branch for it and loses no time.

The bar must be gone before the caller prints anything. So it is closed by the end of the call itself: it is one of the
frame's local variables, which Python deletes then. That also tells a long call from many short ones.
"""

from __future__ import annotations

import _thread
import math
import sys
import threading
import time
import weakref
from collections.abc import Callable
from importlib.util import find_spec
from types import CodeType, FrameType
from typing import Any, NamedTuple

PATIENCE = 2.0  # seconds that a call takes before a bar is shown
IDLE, SHOWN = 0.5, 0.1  # seconds between two looks, without a bar and with one
GUARD = "__progress__"  # a local variable that no source has


class State(NamedTuple):
    """How far a call is; of a call that counts nothing, NaN."""

    done: float = math.nan
    total: float = math.nan


UNKNOWN = State()


class Call:
    """A call of a watched function: a local variable of its own frame, so that the end of the call deletes it.

    Attributes:
        since: the time of the first look.
        frames: the frames from the call inwards, while a reader looks at them.
        memory: whatever its reader computes once.
    """

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.since = time.monotonic()
        self.frames: list[FrameType] = []
        self.memory: dict[str, Any] = {}
        self.last: State | None = None
        self.bar: Any = None

    def look(self, variables: dict[str, Any], inwards: list[FrameType]) -> None:
        """Show or move the bar, if it is time."""
        elapsed = time.monotonic() - self.since
        if elapsed < PATIENCE:
            return
        self.frames = inwards
        try:
            state = self.watched.read(variables, self)
        finally:
            self.frames = []  # a frame that its own variable refers to wouldn't be deleted
        moved = state is UNKNOWN or self.last not in (None, state)  # else it may have stopped in a debugger
        self.last = state
        if self.bar is None and moved:
            self.bar = _bar_class()(desc=self.watched.title, leave=False, dynamic_ncols=True, file=sys.stderr,
                                    delay=math.inf)  # nothing is printed before it knows its total
            self.bar.delay, self.bar.start_t = 0, self.bar.start_t - elapsed
        if self.bar is not None and moved:
            self._show(state)

    def _show(self, state: State) -> None:
        known = not math.isnan(state.total)
        self.bar.total = int(state.total) if known else None
        self.bar.bar_format = None if known else "{desc}: {elapsed}"
        if known:
            self.bar.n = max(self.bar.n, min(int(state.done), int(state.total)))
        self.bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    __del__ = close


class Watched(NamedTuple):
    """A function whose long calls are shown."""

    title: str
    read: Callable[[dict[str, Any], Call], State]  # from the local variables of a call


def time_only(variables: dict[str, Any], call: Call) -> State:
    """Return the state of a call that counts nothing: the bar shows its time."""
    return UNKNOWN


_watched: dict[CodeType, Watched] = {}


def watch(function: Any, title: str, read: Callable[[dict[str, Any], Call], State] = time_only) -> None:
    """Show the calls of a function that take long.

    Args:
        function: written in Python.
        title: the word in front of the bar.
        read: returns from a call's local variables how far it is.
    """
    _watched[function.__code__] = Watched(title, read)


class Watcher:
    """Looks at the main thread's stack, and shows the bar of the outermost watched call."""

    def __init__(self) -> None:
        self.thread = threading.main_thread().ident or 0
        self.shown: weakref.ref[Call] | None = None  # keeps no call alive

    def run(self) -> None:
        """Look again and again, until the program ends or turns out to have no tqdm."""
        shown = False
        while True:
            time.sleep(SHOWN if shown else IDLE)
            try:
                shown = self.look()
            except ImportError:  # of tqdm
                return
            except Exception:  # what a reader looks at was just being changed
                shown = False

    def look(self) -> bool:
        """Look once; return whether a bar is shown."""
        inwards: list[FrameType] = []  # from the outermost watched frame
        frame = sys._current_frames().get(self.thread)
        stack = []
        while frame is not None:
            stack.append(frame)
            if frame.f_code in _watched:
                inwards = stack[::-1]
            frame = frame.f_back
        traced = bool(inwards) and inwards[0].f_trace is not None  # by a debugger
        variables = inwards[0].f_locals if inwards and not traced else {}
        call, shown = variables.get(GUARD), None if self.shown is None else self.shown()
        if shown is not None and shown is not call:  # an error ended it, whose traceback keeps the frame
            shown.close()
        if call is not None:
            call.look(variables, inwards)
            self.shown = weakref.ref(call)
        elif variables:
            variables[GUARD] = Call(_watched[inwards[0].f_code])
        return call is not None and call.bar is not None


def _bar_class() -> Callable[..., Any]:
    """Return the class of bars for this terminal or notebook; raise ImportError where tqdm isn't installed."""
    if "ipykernel" in sys.modules and find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:  # tqdm.auto warns in a notebook without widgets
        from tqdm import tqdm
    bar: Callable[..., Any] = tqdm
    return bar


def start() -> None:
    """Begin to watch where there is somebody to see it: in a terminal, or in a notebook that isn't run by a program."""
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None) if "IPython" in sys.modules else None
    seen = getattr(kernel, "_allow_stdin", True) if kernel else sys.stderr is not None and sys.stderr.isatty()
    if seen and not _started:
        _started.append(True)
        # Not threading.Thread: notebooks print what its threads write below the cell that started them.
        _thread.start_new_thread(Watcher().run, ())


_started: list[bool] = []
