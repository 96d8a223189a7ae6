"""A program of the playground: its text is run, and what it defines is drawn as DOT with positions.

The page asks in JSON and is answered in JSON, by `answer()`. Nothing here needs a browser.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import viz
from minigrad import Tensor
from minigrad.formats.describe import tensor_label
from rnn import Cell, Run
from rnn.language.cycles import check
from rnn.language.equations import Definition
from rnn.unrolling.run import runs_behind
from viz.layout.folding import MANY, choose_steps
from viz.layout.levels import has_layers, rolled_graph
from viz.pictures.rolled import part_key
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled_drawing import copy_key, unrolled_spec

from .deadline import Stopped, deadline

FILE = "program.py"  # the name of the program in messages
SECONDS = 10.0  # that a program may run
MOST_PRINTED = 20_000  # characters that are shown
MOST_VALUES = 300  # of an array that is shown whole
MOST_CELLS = 4  # definitions that are drawn
Answer = dict[str, Any]


@dataclass
class Choice:
    """The reader's choices of pictures."""

    steps: int = 4  # of a definition that the program doesn't unroll
    level: str = "signals"
    heat: bool = False
    dark: bool = False


class Program:
    """A program that has run.

    Attributes:
        variables: those that it has defined.
        printed: its output.
        problem: the exception that ended it; None if it came to its end.
    """

    def __init__(self, source: str, seconds: float) -> None:
        self.variables: dict[str, Any] = {"__name__": "__main__", "__file__": FILE}
        self.problem: BaseException | None = None
        linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE
        output = Output()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
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

    @property
    def loss(self) -> Tensor | None:
        """The variable `loss`, if it is a Tensor of one number that was computed from a run."""
        loss = self.variables.get("loss")
        known = isinstance(loss, Tensor) and loss.size == 1 and runs_behind(loss)
        return loss if known else None

    def cells(self) -> list[Cell]:
        """Return the definitions to draw: those of variables, and those of the runs."""
        cells: list[Cell] = self.found(Cell)
        others = {id(run.cell): run.cell for run in self.runs() if isinstance(run.cell, Cell)}  # of no variable
        return list(({id(cell): cell for cell in cells} | others).values())[:MOST_CELLS]

    def runs(self) -> list[Run]:
        """Return the runs to draw: those behind the loss, or the last one."""
        loss = self.loss
        return self.found(Run)[-1:] if loss is None else runs_behind(loss)


class Output(io.StringIO):
    """Text that a program prints; of a very long one only the beginning is kept."""

    cut = False

    def write(self, text: str) -> int:
        room = MOST_PRINTED - self.tell()
        if not self.cut:
            self.cut = len(text) > room
            super().write(text[:room] + "\n... (more was printed)\n" if self.cut else text)
        return len(text)


class Session:
    """What the page's worker keeps: the last program, which other choices of pictures don't run again."""

    def __init__(self) -> None:
        self.source: str | None = None
        self.program: Program | None = None
        self.tensors: dict[str, Tensor] = {}  # of the boxes of the unrolled picture
        self.lines: dict[str, int] = {}  # of the equations of the boxes of rolled pictures

    def answer(self, request: str) -> str:
        """Answer a question of the page, both as JSON: `{"ask": "draw" | "box", ...}`."""
        question = json.loads(request)
        reply = self.draw(question) if question["ask"] == "draw" else self.box(question["picture"], question["key"])
        return json.dumps(reply)

    def draw(self, question: Answer) -> Answer:
        """Run a program, unless it is that of the last question, and draw it.

        Returns:
            `printed`; `rolled`, a list of pictures; `unrolled`, one or None; `problems`, each with the text, the kind
            of error and the line if it is known.
        """
        if self.program is None or question["source"] != self.source:
            self.source, self.program = question["source"], Program(question["source"], SECONDS)
        program = self.program
        choice = Choice(*(question[name] for name in ("steps", "level", "heat", "dark")))
        problems = [] if program.problem is None else [describe(program.problem)]
        self.tensors, self.lines = {}, {}
        rolled = [picture for number, cell in enumerate(program.cells())
                  if (picture := attempt(problems, self._rolled, number, cell, choice)) is not None]
        unrolled = None
        if not problems:
            unrolled = attempt(problems, self._unrolled, choice)
        return {"printed": program.printed, "rolled": rolled, "unrolled": unrolled, "problems": problems}

    def _rolled(self, number: int, cell: Cell, choice: Choice) -> Answer | None:
        if not any(signal.equation for signal in cell.signals.values()):
            return None  # the program isn't finished
        check(cell)
        level = possible_level(cell, choice.level)
        answer = as_answer(viz.rolled(cell, level=level, equations=False, dark=choice.dark), level)
        for place, part in enumerate(rolled_graph(cell, level).parts):
            signal = cell.signals.get(part.signal)
            if signal is not None:
                origin = signal.equation.origin if signal.equation else signal.origin
                self.lines[f"rolled{number} {part_key(place)}"] = origin.line
        return answer

    def _unrolled(self, choice: Choice) -> Answer | None:
        assert self.program is not None
        runs, loss = self.program.runs(), self.program.loss
        if not runs:
            cells = [cell for cell in self.program.cells() if any(one.equation for one in cell.signals.values())]
            if not cells:
                return None
            if not 1 <= choice.steps <= MANY:
                raise ValueError(f"T = {choice.steps}: unroll 1 … {MANY} steps")
            check(cells[-1])
            runs = [unroll_zeros(cells[-1], choice.steps)]
        level = min((possible_level(run.cell, choice.level) for run in runs), key=("signals", "ops", "layers").index)
        shown = viz.unrolled(runs if len(runs) > 1 else runs[0], loss=loss, level=level, heat=choice.heat,
                             dark=choice.dark)
        if len(runs) == 1:
            spec = unrolled_spec(runs[0], choose_steps(runs[0].T, True, None), level)
            self.tensors = {copy_key(number, k): tensor for number, part in enumerate(spec.graph.parts)
                            for k, tensor in spec.tensors[part].items() if tensor is not None}
        if loss is not None:
            self.tensors["loss"] = loss
        return as_answer(shown, level)

    def box(self, picture: str, key: str) -> Answer:
        """Return the title, the value, the gradient and the line of a box; nothing of a box without a tensor."""
        if picture != "unrolled":
            line = self.lines.get(f"{picture} {key}")
            return {} if line is None else {"line": line}
        tensor = self.tensors.get(key)
        if tensor is None:
            return {}
        origin = tensor.origin
        line = origin.line if origin is not None and origin.file == FILE else None
        return {"title": tensor_label(tensor) or key, "shape": list(tensor.shape), "value": as_text(tensor.data),
                "gradient": None if tensor.grad is None else as_text(tensor.grad), "line": line}


def possible_level(cell: Definition, level: str) -> str:
    """Return the level, or "signals" for a definition without layers."""
    return level if level != "layers" or has_layers(cell) else "signals"


def attempt(problems: list[Answer], draw: Callable[..., Answer | None], *arguments: Any) -> Answer | None:
    """Draw a picture; if that fails, add the error to the problems."""
    try:
        return draw(*arguments)
    except Exception as error:
        problems.append(describe(error))
        return None


def as_answer(picture: viz.Picture, level: str) -> Answer:
    """Return a picture for the page: DOT with positions, title, and text for those who can't see it."""
    return {"dot": picture.source, "title": picture.title, "alt": picture.alt, "level": level}


def as_text(array: Any) -> str:
    """Return the values of an array, shortened in the middle if there are many."""
    return np.array2string(np.asarray(array), precision=4, threshold=MOST_VALUES, max_line_width=80)


def describe(error: BaseException) -> Answer:
    """Return the kind, the text and the lines of an error: those where the program was, then those that it names."""
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    lines = [*_program_lines(error), *(int(line) for line in re.findall(rf"\b{re.escape(FILE)}:(\d+)", text))]
    return {"kind": type(error).__name__, "text": text, "line": lines[0] if lines else None,
            "lines": sorted(set(lines))}


def _program_lines(error: BaseException) -> Iterator[int]:
    """Yield the line at which the program was last."""
    if isinstance(error, SyntaxError) and error.filename == FILE and error.lineno is not None:
        yield error.lineno
        return
    calls = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    yield from (line for line in calls[-1:] if line is not None)
