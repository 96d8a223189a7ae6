"""The backward passes of a program under a debugger, in place of `Tensor.backward`; errors restore every gradient."""

from __future__ import annotations

import sys
from types import FrameType
from typing import ClassVar

from numpy.typing import ArrayLike

from minigrad.backward import backward
from minigrad.provenance import Origin, call_site
from minigrad.tensor import Tensor

from .breakpoints import AtPass, Breakpoint
from .walk import Walk


class Passes:
    """Base class of debuggers. `debug` is called in each pass that may stop.

    Attributes:
        breakpoints: hold for this pass and for later ones.
        passes: how many passes have begun.
        running: whether a pass is in progress.
        walk: the current pass, or the last one.
        caller: the line that called backward().
    """

    installed: ClassVar[Passes | None] = None  # the debugger that a script runs under; see `install`
    walk: Walk
    caller: Origin

    def __init__(self) -> None:
        self.breakpoints: list[Breakpoint] = []
        self.passes = 0
        self.running = False

    def install(self) -> None:
        """Let `Tensor.backward` and `set_trace` use this debugger, until `uninstall`."""
        def run_backward(out: Tensor, grad: ArrayLike | None = None) -> None:
            self.backward(out, grad)

        Tensor.backward, Passes.installed = run_backward, self

    def uninstall(self) -> None:
        """Restore the ordinary `Tensor.backward`."""
        Tensor.backward, Passes.installed = backward, None

    def backward(self, out: Tensor, grad: ArrayLike | None = None, stop: bool | None = None) -> None:
        """Run `out.backward(grad)`; stop at its start (`stop`; by default in the first pass) and at breakpoints.

        If an error ends the pass, or the user, every `.grad` is as it was before.
        """
        if stop is None:
            stop = self.stops_at_start()
        if not self.running:
            self.passes += 1
        if self.running or out.op is None or not (stop or self.watches()):
            backward(out, grad)
        else:
            self.caller = call_site()
            self._run_pass(Walk(out, grad, self.breakpoints, _user_frame()), stop)

    def _run_pass(self, walk: Walk, stop: bool) -> None:
        self.walk = walk
        self.running = True
        try:
            self.debug(walk, stop)
            if walk.timeline.error is not None:
                raise walk.timeline.error
        except BaseException:
            walk.timeline.rewind()
            raise
        finally:
            self.running = False

    def stops_at_start(self) -> bool:
        """Return whether the pass that begins stops at its start: the first one, and where a breakpoint wants it."""
        return not self.passes or self.starts_by_breakpoint()

    def starts_by_breakpoint(self) -> bool:
        """Return whether a breakpoint stops the pass that begins at its start."""
        return any(place.starts(self.passes + 1) for place in self.breakpoints if isinstance(place, AtPass))

    def watches(self) -> bool:
        """Return whether a pass that doesn't stop at its start may stop later."""
        return bool(self.breakpoints)

    def debug(self, walk: Walk, stop: bool) -> None:
        """Run a pass to its end, with stops; `stop`: at its start too. Errors of steps are raised by the caller."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show the user a line."""
        raise NotImplementedError


def _user_frame() -> FrameType | None:
    """Return the first frame on the call stack that belongs to the user's code."""
    site = call_site()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != site.file:
        frame = frame.f_back
    return frame
