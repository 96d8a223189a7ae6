"""The rolled and the unrolled picture, side by side, and the values of their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import viz
from minigrad import Tensor
from minigrad.formats.describe import tensor_label
from rnn import Cell
from rnn.language.cycles import check
from rnn.language.equations import Signal
from rnn.unrolling.gradients import Find, loss_gradients, stored
from viz.layout.folding import MANY
from viz.layout.levels import rolled_graph
from viz.layout.options import Options
from viz.pictures.rolled import part_key
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled import draw
from viz.playground.running.program import FILE, Answer, Program
from viz.render.digraph import picture

from .view import Choice, View, as_answer, as_text, attempt, possible_level

NO_LAYERS = "Drawn as signals, because none of them have a common prefix, as enc.h and enc.c, to be a layer: {}."
MOST_TENSORS = 12  # of a box that stands for several


class Pictures(View):
    """The pictures of the definitions, and of the runs behind the loss."""

    def __init__(self) -> None:
        self.tensors: dict[str, list[Tensor]] = {}  # of the boxes of the unrolled picture
        self.lines: dict[str, int] = {}  # of the equations of the boxes of rolled pictures
        self.program: Program | None = None
        self.flat: list[str] = []  # the definitions that are drawn as signals for want of layers
        self.gradient: Find | None = None  # that of the loss, found when the first box is opened

    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return `rolled`, a list of pictures, `unrolled`, one or None, and `notes`, sentences about them."""
        self.tensors, self.lines, self.program, self.gradient, self.flat = {}, {}, program, None, []
        rolled = [picture for number, cell in enumerate(program.cells())
                  if (picture := attempt(problems, self._rolled, number, cell, choice)) is not None]
        unrolled = None if problems else attempt(problems, self._unrolled, program, choice)
        notes = list(_notes(program, self.flat)) if rolled or unrolled else []
        return {"rolled": rolled, "unrolled": unrolled, "notes": notes}

    def _rolled(self, number: int, cell: Cell, choice: Choice) -> Answer | None:
        if not any(signal.equation for signal in cell.signals.values()):
            return None  # the program isn't finished
        check(cell)
        level = possible_level(cell, choice.level)
        if level != choice.level:
            self.flat.append(cell.name)
        answer = as_answer(viz.rolled(cell, level=level, equations=False, dark=choice.dark), level)
        for place, part in enumerate(rolled_graph(cell, level).parts):
            names = [own.signal for own in part.members] or [part.signal]
            lines = [_line(cell.signals[name]) for name in names if name in cell.signals]
            if lines:
                self.lines[f"rolled{number} {part_key(place)}"] = lines[0]
        return answer

    def _unrolled(self, program: Program, choice: Choice) -> Answer | None:
        runs, loss = program.runs(), program.loss
        if not runs:
            cells = [cell for cell in program.cells() if any(one.equation for one in cell.signals.values())]
            if not cells:
                return None
            if not 1 <= choice.steps <= MANY:
                raise ValueError(f"T = {choice.steps}: unroll 1 … {MANY} steps")
            check(cells[-1])
            runs = [unroll_zeros(cells[-1], choice.steps)]
        level = min((possible_level(run.cell, choice.level) for run in runs), key=("signals", "ops", "layers").index)
        drawing = draw(runs, loss, level, heat=choice.heat, options=Options(dark=choice.dark))
        self.tensors = drawing.contents()
        if loss is not None:
            self.tensors["loss"] = [loss]
        return as_answer(picture(drawing.scene, choice.dark, "code"), level)

    def reply(self, question: Answer) -> Answer:
        """Return the tensors and the line of a box ("box")."""
        if question["ask"] != "box":
            return super().reply(question)
        place, key = question["picture"], question["key"]
        if place != "unrolled":
            line = self.lines.get(f"{place} {key}")
            return {} if line is None else {"line": line}
        tensors = self.tensors.get(key, [])
        lines = [tensor.origin.line for tensor in tensors if tensor.origin.file == FILE]
        shown = [{"title": tensor_label(tensor) or key, "shape": list(tensor.shape), "value": as_text(tensor.data)}
                 | self._gradients(tensor) for tensor in tensors[:MOST_TENSORS]]
        return {"tensors": shown, "more": len(tensors) - len(shown), "line": lines[0] if lines else None}

    def _gradients(self, tensor: Tensor) -> Answer:
        """Return `gradient`, that of the loss as the picture has it, and `accumulated`, a `.grad` that differs."""
        if self.gradient is None:
            loss = self.program.loss if self.program else None
            self.gradient = stored if self.program is None or loss is None else loss_gradients(
                self.program.runs(), loss).of
        own, accumulated = self.gradient(tensor), tensor.grad
        return {"gradient": _text(own), "accumulated": None if _same(own, accumulated) else _text(accumulated)}


def _notes(program: Program, flat: list[str]) -> Iterator[str]:
    """Yield the sentences about what the pictures show, where it isn't all that was asked for."""
    if program.changed:
        yield program.changed
    drawn = program.cells()
    more = [cell.name for cell in program.cells(None)[len(drawn):]]
    if more:
        yield f"The first {len(drawn)} definitions are drawn, and {len(more)} more are not: {', '.join(more)}."
    if flat:
        yield NO_LAYERS.format(", ".join(flat))


def _same(a: Any, b: Any) -> bool:
    return b is None or (a is not None and np.allclose(a, b, equal_nan=True))


def _text(array: Any) -> str | None:
    return None if array is None else as_text(array)


def _line(signal: Signal) -> int:
    """Return the line of a signal's equation, or of its declaration."""
    return (signal.equation.origin if signal.equation else signal.origin).line
