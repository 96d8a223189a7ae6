"""The session of the debugger in a terminal: reads commands, shows stops, keeps the selected step."""

from __future__ import annotations

import bdb
import cmd
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from .breakpoints import AtParameter
from .evaluation import CommandError
from .formatting import contribution_table, position_lines, value_lines
from .passes import Passes
from .records import StepRecord
from .terminal import DeferInterrupt, Terminal, completion
from .timeline import Timeline
from .walk import Cause, Stop, Walk


class Session(Passes, cmd.Cmd):
    """A debugger without its commands, which `commands.Debugger` adds as `do_*` methods.

    Attributes:
        terminal: reads commands and prints answers.
        displays: expressions that are shown at each stop, by number.
        level: how many steps towards the loss the selected step is from the current one, on the largest chain.
    """

    prompt = "(grad) "

    def __init__(self, commands: Iterable[str] = (), stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self.terminal = Terminal(commands, stdin, stdout)
        Passes.__init__(self)
        cmd.Cmd.__init__(self, stdout=self.terminal.stdout)
        self.last_number = 0  # of a breakpoint
        self.displays: dict[int, str] = {}
        self.level = 0
        self.heading = ""  # announces a pass at its first stop

    @property
    def timeline(self) -> Timeline:
        """The current pass."""
        return self.walk.timeline

    def debug(self, walk: Walk, stop: bool) -> None:
        """Read commands at the start, if it stops there, and at breakpoints."""
        self.heading = f"backward pass {self.passes}, called at {self.caller}"
        self.level = 0
        if stop:
            self._show_position()
        if stop or not self.run_to_breakpoint():
            self._read_commands()

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
        if self.timeline.failed or self.timeline.finished:
            return True
        stop = self._run(self.walk.forward)
        if stop.cause is Cause.END:
            self._say(*stop.messages)
            return True
        self.show(stop)
        return False

    def _run(self, move: Callable[..., Stop], *arguments: Any, **options: Any) -> Stop:
        """Return the end of a move of the walk; Ctrl-C ends it after a step."""
        with DeferInterrupt() as interrupt:
            self.walk.interrupted = interrupt.is_pending
            return move(*arguments, **options)

    # ---- the selected step
    def selected(self) -> StepRecord:
        """Return the step that inspection commands show; raise CommandError at the start."""
        if not self.level:
            current = self.walk.current
            if current is None:
                raise CommandError("no step has run yet: 'step' runs the first")
            return current
        return self.walk.chain()[self.level]

    # ---- printing
    def show(self, stop: Stop) -> None:
        """Print a stop: messages, the breakpoints that were hit, and the position."""
        self.level = 0
        self._announce()
        self._say(*stop.messages)
        if stop.cause is Cause.INTERRUPT:
            self._say("--KeyboardInterrupt--")
        for place, reason in stop.hits:
            self._say(f"breakpoint {place.number}: {reason}" if place.number else reason)
        self._show_position()
        for place, _ in stop.hits:
            if isinstance(place, AtParameter):
                self._say(*contribution_table(self.walk.gradient(self.timeline.find(place.argument)[0])))
            self.terminal.queue[:0] = place.commands

    def _announce(self) -> None:
        """Print which pass this is, once."""
        if self.heading:
            self._say(self.heading)
            self.heading = ""

    def _show_position(self) -> None:
        self._announce()
        self._say(*position_lines(self.walk))
        error = self.timeline.error
        if self.timeline.failed:
            self._say(f"*** step {self.timeline.position + 1} can't run: {type(error).__name__}: {error}")
        for number, text in self.displays.items():
            try:
                self._say(*value_lines(f"{number}: {text}", self.walk.evaluator.evaluate(text)))
            except CommandError as problem:
                self._say(f"{number}: {text}: {problem}")

    def say(self, text: str) -> None:
        """Print a line."""
        self.terminal.say(text)

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.terminal.say(line)
