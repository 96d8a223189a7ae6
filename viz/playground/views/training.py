"""Training: the parameters behind the program's loss, moved by an optimiser in as many steps as are asked for."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.optim import SGD, Adam, Optimizer
from rnn.unrolling.repeat import repeat
from viz.pictures.run_list import run_names
from viz.playground.running.program import FILE, Answer, Program

from .view import Choice, View, missing_loss

OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
MOST_NAMES = 12  # of parameters in a sentence
SLICE = 0.1  # seconds of training for one answer, after which the page may stop it


class Training(View):
    """The loss of the program by training step.

    The runs and the loss of the program are replaced by those of the trained parameters, which the other views show
    then.
    """

    def __init__(self) -> None:
        self.program: Program | None = None
        self.parameters: list[Tensor] = []
        self.start: list[NDArray[Any]] = []  # the parameters' values before the first step
        self.losses: list[float] = []
        self.optimizer: Optimizer | None = None

    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return `missing`, a sentence, if there is nothing to train; otherwise `about`, and the `losses` so far."""
        missing = missing_loss(program, problems)
        if problems or missing:
            self.program = None
            return {"missing": missing, "about": "", "losses": [], "ended": None}
        if program is not self.program:
            self._begin(program)
        return {"missing": None, "about": self._about(program)} | self._state()

    def reply(self, question: Answer) -> Answer:
        """Train ("train", with `steps`, `rate` and `optimizer`), or return to the first values ("reset").

        Returns:
            `losses`, all so far, the first one before any step; and `ended`, the reason why training can't go on.
        """
        if question["ask"] not in ("train", "reset"):
            return super().reply(question)
        if self.program is None:
            return {"losses": [], "ended": "There is nothing to train."}
        failed = None
        try:
            with np.errstate(all="ignore"):
                if question["ask"] == "reset":
                    self._reset()
                else:
                    self._train(question["steps"], question["rate"], question["optimizer"])
        except Exception as error:
            failed = str(error) or type(error).__name__
        return self._state() | ({"ended": failed} if failed else {})

    def _state(self) -> Answer:
        """Return the losses, and the reason why training can't go on."""
        return {"losses": [loss for loss in self.losses if math.isfinite(loss)], "ended": self._divergence()}

    def _begin(self, program: Program) -> None:
        assert program.loss is not None
        self.program, self.optimizer = program, None
        self.parameters = parameters(program.loss)
        self.start = [parameter.numpy() for parameter in self.parameters]
        self.losses = [program.loss.item()]

    def _train(self, steps: int, rate: float, name: str) -> None:
        """Take some steps, as many as there is time for."""
        assert self.program is not None
        if type(self.optimizer) is not OPTIMIZERS[name]:
            self.optimizer = OPTIMIZERS[name](self.parameters, rate)
        if not 0 < rate < math.inf:
            raise ValueError(f"the learning rate is a positive number, not {rate:g}")
        self.optimizer.lr = rate
        end = time.monotonic() + SLICE
        for _ in range(steps):
            if not math.isfinite(self.losses[-1]):
                break
            self._differentiate()
            self.optimizer.step()
            self.losses.append(self._repeat())
            self.program.trained += 1
            if time.monotonic() > end:
                break
        self._differentiate()  # for the views of gradients

    def _reset(self) -> None:
        assert self.program is not None
        for parameter, values in zip(self.parameters, self.start):
            parameter.data = values.copy()
        self.optimizer, self.program.trained = None, 0
        self.losses = [self._repeat()]
        self._differentiate()

    def _repeat(self) -> float:
        """Compute the loss of the present values of the parameters; return it."""
        assert self.program is not None and self.program.loss is not None
        loss, runs = repeat(self.program.loss)
        self.program.replace({self.program.loss: loss, **runs})
        return float(loss.item())

    def _differentiate(self) -> None:
        assert self.program is not None and self.program.loss is not None
        for parameter in self.parameters:
            parameter.grad = None
        self.program.loss.backward()

    def _divergence(self) -> str | None:
        if math.isfinite(self.losses[-1]):
            return None
        step = len(self.losses) - 1
        if not step:
            return f"The loss is {self.losses[-1]} before the first step: there is nothing to descend."
        return (f"Step {step} made the loss {self.losses[-1]}, and training stopped there. Reset, and take a smaller "
                "learning rate.")

    def _about(self, program: Program) -> str:
        """Return the text that says what a step repeats, and which tensors it moves."""
        names = " and ".join(f"{name} (T = {run.T})" for name, run in zip(run_names(program.runs()), program.runs()))
        moved, more = ", ".join(map(_name, self.parameters[:MOST_NAMES])), len(self.parameters) - MOST_NAMES
        moved += f" and {more} more" if more > 0 else ""
        before = f"{program.changed} " if program.changed else ""
        return (f"{before}Each step unrolls {names} again with the same data, computes the loss and its gradient, and "
                f"moves {moved}. The other views show the trained values until the program changes.")


def parameters(loss: Tensor) -> list[Tensor]:
    """Return the tensors without inputs that a loss was computed from and that require a gradient, oldest first."""
    return [tensor for tensor in ancestors(loss) if tensor.op is None and tensor.requires_grad]


def _name(tensor: Tensor) -> str:
    place = f"line {tensor.origin.line}" if tensor.origin.file == FILE else str(tensor.origin)
    return tensor.label or f"a tensor without a name ({place})"
