"""The rolled and the unrolled picture, side by side, and the values of their boxes."""

from __future__ import annotations

import viz
from minigrad import Tensor
from minigrad.formats.describe import tensor_label
from rnn import Cell
from rnn.language.cycles import check
from viz.layout.folding import MANY, choose_steps
from viz.layout.levels import rolled_graph
from viz.pictures.rolled import part_key
from viz.pictures.side_by_side import unroll_zeros
from viz.pictures.unrolled_drawing import copy_key, unrolled_spec
from viz.playground.running.program import FILE, Answer, Program

from .view import Choice, View, as_answer, as_text, attempt, possible_level


class Pictures(View):
    """The pictures of the definitions, and of the runs behind the loss."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}  # of the boxes of the unrolled picture
        self.lines: dict[str, int] = {}  # of the equations of the boxes of rolled pictures

    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return `rolled`, a list of pictures, and `unrolled`, one or None."""
        self.tensors, self.lines = {}, {}
        rolled = [picture for number, cell in enumerate(program.cells())
                  if (picture := attempt(problems, self._rolled, number, cell, choice)) is not None]
        unrolled = None if problems else attempt(problems, self._unrolled, program, choice)
        return {"rolled": rolled, "unrolled": unrolled}

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
        shown = viz.unrolled(runs if len(runs) > 1 else runs[0], loss=loss, level=level, heat=choice.heat,
                             dark=choice.dark)
        if len(runs) == 1:
            spec = unrolled_spec(runs[0], choose_steps(runs[0].T, True, None), level)
            self.tensors = {copy_key(number, k): tensor for number, part in enumerate(spec.graph.parts)
                            for k, tensor in spec.tensors[part].items() if tensor is not None}
        if loss is not None:
            self.tensors["loss"] = loss
        return as_answer(shown, level)

    def reply(self, question: Answer) -> Answer:
        """Return the title, the value, the gradient and the line of a box; nothing of a box without a tensor."""
        if question["ask"] != "box":
            return super().reply(question)
        picture, key = question["picture"], question["key"]
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
