"""A view of the page: the side of Python that answers it, in values that JSON has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import viz
from minigrad import Tensor
from rnn.language.cycles import check
from rnn.language.equations import Definition
from viz.layout.levels import has_layers
from viz.playground.running.program import Answer, Program, describe

MOST_VALUES = 300  # of an array that is shown whole
NO_RUN = "There is no run yet: unroll a definition, as in run = cell.unroll(x=data)."
NO_PARAMETER = ("The loss was computed from nothing that requires a gradient: make a parameter, as in "
                'W = mg.init.glorot((8, 3), rng, name="W").')
NO_LOSS = ("There is no loss yet: compute one number from the run, as in "
           'loss = mg.losses.mse(run["h"].stack(), target), and call loss.backward().')
SEVERAL = "There are {} losses, {}: give the one to show the name loss."


@dataclass
class Choice:
    """The reader's choices of pictures."""

    steps: int = 4  # of a definition that the program doesn't unroll
    level: str = "signals"
    heat: bool = False
    dark: bool = False


class View(ABC):
    """Answers one view of the page.

    Each view is made once, and keeps what its replies need of the program that it showed last.
    """

    @abstractmethod
    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return what the view shows of a program that has run; add errors to the problems."""

    def reply(self, question: Answer) -> Answer:
        """Answer a question about what is shown, such as which value a box has; `question["ask"]` tells which one.

        Raises:
            ValueError: for a question that the view doesn't know.
        """
        raise ValueError(f"{type(self).__name__} doesn't answer {question['ask']!r}")


def check_definitions(program: Program, problems: list[Answer]) -> None:
    """Add the errors in the definitions of a program to the problems, unless there are others."""
    if not problems:
        for cell in program.cells():
            if any(signal.equation for signal in cell.signals.values()):
                attempt(problems, check, cell)


def several_losses(program: Program, recurrent: bool = True) -> str | None:
    """Return the sentence for a program with several losses of which none is named."""
    found = program.losses(recurrent)
    names = [program.name_of(loss) for loss in found]
    return SEVERAL.format(len(found), ", ".join(names[:-1]) + f" and {names[-1]}") if len(found) > 1 else None


def missing_loss(program: Program, problems: list[Answer]) -> str | None:
    """Return the sentence that says what a program without a loss has to do; add errors in its definitions."""
    check_definitions(program, problems)
    if problems or program.loss is not None:
        return None
    if several := several_losses(program):
        return several
    loss = program.variables.get("loss")
    if isinstance(loss, Tensor) and not loss.requires_grad:
        return NO_PARAMETER
    return NO_LOSS if program.runs() else NO_RUN


def possible_level(cell: Definition, level: str) -> str:
    """Return the level, or "signals" for a definition without layers."""
    return level if level != "layers" or has_layers(cell) else "signals"


def attempt(problems: list[Answer], draw: Callable[..., Any], *arguments: Any) -> Any:
    """Draw a picture; if that fails, add the error to the problems, unless it is among them."""
    try:
        return draw(*arguments)
    except Exception as error:
        told = describe(error)
        if all(told["text"] != other["text"] for other in problems):
            problems.append(told)
        return None


def as_answer(picture: viz.Picture, level: str) -> Answer:
    """Return a picture for the page: DOT with positions, title, and text for those who can't see it."""
    return {"dot": picture.source, "title": picture.title, "alt": picture.alt, "level": level}


def as_text(array: Any) -> str:
    """Return the values of an array, shortened in the middle if there are many."""
    return np.array2string(np.asarray(array), precision=4, threshold=MOST_VALUES, max_line_width=80)
