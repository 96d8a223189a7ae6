"""A program of the playground: its text is run, with a time limit; its definitions, runs and loss are found.

Nothing here needs a browser.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import traceback
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from minigrad import Tensor
from minigrad.backward import ancestors
from rnn import Cell, Run
from rnn.language.dependencies import DefinitionError
from rnn.unrolling.run import runs_behind

from .deadline import Stopped, deadline
from .in_page import about_module, replace_terminal_and_files
from .restoring import restored

FILE = "program.py"  # the name of the program in messages
SECONDS = 10.0  # that a program may run
MOST_PRINTED = 20_000  # characters that are shown
MOST_CELLS = 4  # definitions that are drawn
Answer = dict[str, Any]


class Program:
    """A program that has run.

    Attributes:
        source: its text.
        variables: those that it has defined.
        printed: its output.
        trained: the number of training steps that have moved its parameters since.
        problem: the exception that ended it; None if it came to its end.
        changed: the sentence that says that its loss was computed again; None if it is that of the program.
    """

    def __init__(self, source: str, seconds: float) -> None:
        self.source, self.trained = source, 0
        self.variables: dict[str, Any] = {"__name__": "__main__", "__file__": FILE}
        self.problem: BaseException | None = None
        self.changed: str | None = None
        linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE
        output = Output()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), restored():
            replace_terminal_and_files()
            try:
                code = compile(source, FILE, "exec")
                with deadline(code, seconds):
                    exec(code, self.variables)
            except (Exception, SystemExit, KeyboardInterrupt, Stopped) as error:
                self.problem = error
        self.printed = output.getvalue()

    def found(self, kind: type) -> list[Any]:
        """Return the variables' values of a type, each once, in the order in which the names were defined."""
        return list({id(value): value for value in self.variables.values() if isinstance(value, kind)}.values())

    @cached_property
    def loss(self) -> Tensor | None:
        """The loss that all views show, a number that was computed from a run; None without one, and with several.

        It is found once, after the program has run: one that replaces it has no gradient by which to find it.
        """
        found = self.losses()
        return found[0] if len(found) == 1 else None

    def losses(self, recurrent: bool = True) -> list[Tensor]:
        """Return the losses: the variable `loss`, if it is a Tensor of one number that was computed from a run.

        Otherwise those that `backward()` was called on, and that no other such one was computed from.

        Args:
            recurrent: whether they are computed from a run.
        """
        named = self.variables.get("loss")
        if isinstance(named, Tensor) and _is_loss(named, recurrent):
            return [named]
        found = [one for one in self.found(Tensor) if one.grad is not None and _is_loss(one, recurrent)]
        inner = {x for one in found for x in ancestors(one) if x is not one}
        return [one for one in found if one not in inner]

    def name_of(self, value: Any) -> str:
        """Return the name of the variable that has a value; "" if there is none."""
        return next((name for name, own in self.variables.items() if own is value), "")

    def replace(self, replaced: Mapping[Any, Any]) -> None:
        """Replace the values of variables, such as a run by a later one."""
        by_id = {id(old): new for old, new in replaced.items()}
        self.loss = by_id.get(id(self.loss), self.loss)
        self.variables = {name: by_id.get(id(value), value) for name, value in self.variables.items()}

    def cells(self, most: int | None = MOST_CELLS) -> list[Cell]:
        """Return the definitions to draw, not more than `most`: those of variables, and those of the runs."""
        cells: list[Cell] = self.found(Cell)
        others = {id(run.cell): run.cell for run in self.runs() if isinstance(run.cell, Cell)}  # of no variable
        return list(({id(cell): cell for cell in cells} | others).values())[:most]

    def runs(self) -> list[Run]:
        """Return the runs to draw: those behind the loss, or the last one."""
        loss = self.loss
        return self.found(Run)[-1:] if loss is None else runs_behind(loss)


def _is_loss(tensor: Tensor, recurrent: bool) -> bool:
    return tensor.size == 1 and tensor.op is not None and (not recurrent or bool(runs_behind(tensor)))


class Output(io.StringIO):
    """Text that a program prints; of a very long one only the beginning is kept."""

    cut = False

    def write(self, text: str) -> int:
        room = MOST_PRINTED - self.tell()
        if not self.cut:
            self.cut = len(text) > room
            super().write(text[:room] + "\n... (more was printed)\n" if self.cut else text)
        return len(text)


def describe(error: BaseException) -> Answer:
    """Return the kind, the text and the lines of an error: that where the program was, and those that it names.

    Of an error in a definition `line` is one that it names: there the equation is, and not where it was to be unrolled.
    """
    text = (about_module(error) if isinstance(error, ModuleNotFoundError)
            else str(error.msg if isinstance(error, SyntaxError) else error))
    lines, named = [*_program_lines(error)], [int(line) for line in re.findall(rf"\b{re.escape(FILE)}:(\d+)", text)]
    lines = named + lines if isinstance(error, DefinitionError) else lines + named
    return {"kind": type(error).__name__, "text": text, "line": lines[0] if lines else None,
            "lines": sorted(set(lines))}


def _program_lines(error: BaseException) -> Iterator[int]:
    """Yield the line at which the program was last."""
    if isinstance(error, SyntaxError) and error.filename == FILE and error.lineno is not None:
        yield error.lineno
        return
    if isinstance(error, Stopped) and error.line is not None:
        yield error.line
        return
    calls = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    yield from (line for line in calls[-1:] if line is not None)
