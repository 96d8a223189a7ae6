"""A backward pass under the user's commands: when it stops, how it travels, how it ends."""

from __future__ import annotations

import bdb
import cmd
from abc import abstractmethod
from collections.abc import Iterable
from typing import TextIO

from numpy.typing import ArrayLike

from minigrad.backward import backward as plain
from minigrad.provenance import call_site
from minigrad.tensor import Tensor

from . import formatting as stops
from .breakpoints import AtParameter, Breakpoint, Condition, Refused
from .terminal import Completion, Patience, Terminal
from .timeline import Timeline


class Session(cmd.Cmd):
    """A backward pass under the user's commands; what the commands are stands in debugger.py.

    Attributes:
        terminal: where commands come from and answers go.
        breakpoints: where to stop, in this pass and in later ones.
        timeline: the pass that is looked at.
        passes: how many passes there were.
    """

    prompt = "(grad) "
    timeline: Timeline

    def __init__(self, commands: Iterable[str] = (), stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self.terminal = Terminal(commands, stdin, stdout)
        super().__init__(stdout=self.terminal.stdout)
        self.breakpoints: list[Breakpoint] = []
        self.numbered = 0
        self.passes = 0
        self.busy = False
        self.heading = ""  # of a pass that was not announced yet

    def backward(self, out: Tensor, grad: ArrayLike | None = None) -> None:
        """In place of backward(): the first pass stops at its start, later ones at breakpoints alone."""
        first = not self.passes
        if not self.busy:
            self.passes += 1
        if self.busy or out.op is None or not (first or self.breakpoints):
            plain(out, grad)
        else:
            self.session(Timeline(out, grad), stop=first)

    def session(self, timeline: Timeline, stop: bool = True) -> None:
        """Go through a backward pass, under the user's commands.

        Raises:
            BdbQuit: where the user quits; every `.grad` is then what it was before the pass.
        """
        self.timeline = timeline
        self.busy = True
        self.heading = f"backward pass {self.passes}, called at {call_site()}"
        try:
            if stop:
                self._show()
            if stop or not self.do_continue(""):
                self._loop()
        except BaseException:
            self.timeline.rewind()
            raise
        finally:
            self.busy = False
        if self.timeline.error is not None:
            self.timeline.rewind()
            raise self.timeline.error

    def _loop(self) -> None:
        """Read commands and do them until one lets the program go on."""
        with Completion(self.complete):
            done = False
            while not done:
                try:
                    line = self.terminal.ask(self.prompt)
                    done = self.onecmd("quit" if line is None else line)
                except KeyboardInterrupt:
                    self._say("--KeyboardInterrupt--")

    def onecmd(self, line: str) -> bool:
        """Do a command; what goes wrong in it is a line, and the session goes on."""
        try:
            return bool(super().onecmd(line))
        except bdb.BdbQuit:
            raise
        except Refused as error:
            self._say(f"*** {error}")
        except Exception as error:
            self._say(f"*** {type(error).__name__}: {' '.join(str(error).split())}")
        return False

    @abstractmethod
    def do_continue(self, argument: str) -> bool:
        """Run on; True where the program may go on."""

    def _travel(self, direction: int, also: list[Breakpoint], limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise Refused("a number of steps is 1 or more")
        if not self._reached(direction, [*also, *self.breakpoints], limit):
            if also and self.timeline.ended:
                self._say(f"no more {also[0]} in this pass")
            self._show()

    def _reached(self, direction: int, wanted: list[Breakpoint], limit: int | None = None) -> bool:
        """Go on or back until a breakpoint is met, and say so; False where the way or the limit ended first."""
        with Patience() as ctrl_c:
            while self.timeline.forward() if direction > 0 else self.timeline.back():
                limit = None if limit is None else limit - 1
                if self._met(wanted):
                    return True
                if limit == 0:
                    return False
                if ctrl_c.pressed:
                    self._say("--KeyboardInterrupt--")
                    return False
        return False

    def _met(self, wanted: list[Breakpoint]) -> bool:
        step = self.timeline.now
        found = []
        for place in wanted if step is not None else []:
            assert step is not None
            why = place.reason(step, self.timeline)
            self._report_condition(place)
            if why is not None:
                place.hits += 1
                found.append((place, why))
        for place, why in found:
            self._announce()
            self._say(f"breakpoint {place.number}: {why}" if place.number else why)
        if found:
            self._show()
            for place, _ in found:
                if isinstance(place, AtParameter):
                    self._say(*stops.contributions(self.timeline, self.timeline.named(place.words)[0]))
        return bool(found)

    def _report_condition(self, place: Breakpoint) -> None:
        if isinstance(place, Condition) and place.error and not place.reported:
            place.reported = True
            self._say(f"*** breakpoint {place.number} is not met where it raises:", f"    {place.error}")

    def _announce(self) -> None:
        """Say which pass this is, at its first stop."""
        if self.heading:
            self._say(self.heading)
            self.heading = ""

    def _show(self) -> None:
        self._announce()
        self._say(*stops.moment(self.timeline))
        error = self.timeline.error
        if self.timeline.stuck:
            self._say(f"*** step {self.timeline.at + 1} can't run: {type(error).__name__}: {error}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.terminal.say(line)
