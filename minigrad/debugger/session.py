"""The session of the debugger: reads commands, moves through a backward pass, stops at breakpoints."""

from __future__ import annotations

import bdb
import cmd
from collections.abc import Iterable, Sequence
from typing import TextIO

from numpy.typing import ArrayLike

from minigrad.backward import backward
from minigrad.provenance import call_site
from minigrad.tensor import Tensor

from .breakpoints import AtParameter, Breakpoint, CommandError, Condition
from .formatting import contribution_table, position_lines
from .terminal import DeferInterrupt, Terminal, completion
from .timeline import Timeline


class Session(cmd.Cmd):
    """A debugger without its commands, which `commands.Debugger` adds as `do_*` methods.

    Attributes:
        terminal: reads commands and prints answers.
        breakpoints: hold for this pass and for later ones.
        timeline: the current pass.
        passes: how many passes have begun.
        running: whether a pass is in progress.
    """

    prompt = "(grad) "
    timeline: Timeline

    def __init__(self, commands: Iterable[str] = (), stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self.terminal = Terminal(commands, stdin, stdout)
        super().__init__(stdout=self.terminal.stdout)
        self.breakpoints: list[Breakpoint] = []
        self.last_number = 0  # of a breakpoint
        self.passes = 0
        self.running = False
        self.heading = ""  # announces a pass at its first stop

    def backward(self, out: Tensor, grad: ArrayLike | None = None, stop: bool | None = None) -> None:
        """Run `out.backward(grad)`; stop at its start (`stop`; by default in the first pass) and at breakpoints.

        Raises BdbQuit if the user quits; every `.grad` is then as it was before the pass.
        """
        if stop is None:
            stop = not self.passes
        if not self.running:
            self.passes += 1
        if self.running or out.op is None or not (stop or self.breakpoints):
            backward(out, grad)
        else:
            self._run_pass(Timeline(out, grad), stop)

    def _run_pass(self, timeline: Timeline, stop: bool) -> None:
        self.timeline = timeline
        self.running = True
        self.heading = f"backward pass {self.passes}, called at {call_site()}"
        try:
            if stop:
                self._show_position()
            if stop or not self.run_to_breakpoint():
                self._read_commands()
            if self.timeline.error is not None:
                raise self.timeline.error
        except BaseException:
            self.timeline.rewind()
            raise
        finally:
            self.running = False

    def _read_commands(self) -> None:
        """Read and run commands until one of them lets the program continue."""
        with completion(self.complete):
            done = False
            while not done:
                try:
                    line = self.terminal.ask(self.prompt)
                    done = self.onecmd("quit" if line is None else line)
                except KeyboardInterrupt:
                    self._say("--KeyboardInterrupt--")

    def onecmd(self, line: str) -> bool:
        """Run one command; an error in it is printed as one line, and the session continues."""
        try:
            return bool(super().onecmd(line))
        except bdb.BdbQuit:
            raise
        except CommandError as error:
            self._say(f"*** {error}")
        except Exception as error:
            self._say(f"*** {type(error).__name__}: {' '.join(str(error).split())}")
        return False

    # ---- moving
    def run_to_breakpoint(self) -> bool:
        """Run to the next breakpoint or to the end; return True if the program may continue."""
        if not self.timeline.failed and not self.timeline.finished:
            if self._move(+1, self.breakpoints):
                return False
            if not self.timeline.finished:  # interrupted, or the next step raised
                self._show_position()
                return False
        return True

    def _move_and_show(self, direction: int, limit: int | None = None, until: Sequence[Breakpoint] = ()) -> None:
        """Move until a breakpoint, one of `until`, the limit or the end, and show the position."""
        if limit is not None and limit < 1:
            raise CommandError("a number of steps is 1 or more")
        if not self._move(direction, [*until, *self.breakpoints], limit):
            if until and self.timeline.finished:
                self._say(f"no more {until[0]} in this pass")
            self._show_position()

    def _move(self, direction: int, breakpoints: Sequence[Breakpoint], limit: int | None = None) -> bool:
        """Move forward, or back if negative; return True if a breakpoint was hit, which has then been reported."""
        with DeferInterrupt() as interrupt:
            while self.timeline.forward() if direction > 0 else self.timeline.back():
                limit = None if limit is None else limit - 1
                if self._report_hits(breakpoints):
                    return True
                if limit == 0:
                    return False
                if interrupt.pending:
                    self._say("--KeyboardInterrupt--")
                    return False
        return False

    def _report_hits(self, breakpoints: Sequence[Breakpoint]) -> bool:
        """Report every breakpoint that the current step hits; return whether there is one."""
        step = self.timeline.current
        if step is None:
            return False
        hits = []
        for place in breakpoints:
            reason = place.reason(step, self.timeline)
            if isinstance(place, Condition) and place.error and not place.reported:
                place.reported = True
                self._say(f"*** breakpoint {place.number} is not met where it raises:", f"    {place.error}")
            if reason is not None:
                place.hits += 1
                hits.append((place, reason))
        if not hits:
            return False
        self._announce()
        self._say(*(f"breakpoint {place.number}: {reason}" if place.number else reason for place, reason in hits))
        self._show_position()
        for place, _ in hits:
            if isinstance(place, AtParameter):
                self._say(*contribution_table(self.timeline, self.timeline.find(place.argument)[0]))
        return True

    # ---- printing
    def _announce(self) -> None:
        """Print which pass this is, once."""
        if self.heading:
            self._say(self.heading)
            self.heading = ""

    def _show_position(self) -> None:
        self._announce()
        self._say(*position_lines(self.timeline))
        error = self.timeline.error
        if self.timeline.failed:
            self._say(f"*** step {self.timeline.position + 1} can't run: {type(error).__name__}: {error}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.terminal.say(line)
