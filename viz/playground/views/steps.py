"""The backward pass of the program's loss, to step through: the contents of viz.stepper's page."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

from minigrad import Tensor
from viz.playground.running.program import Answer, Output, Program

from .view import Choice, View, attempt, check_definitions, several_losses

MOST = 2500  # tensors; a browser records about 500 a second
MOST_BYTES = 2 ** 28  # of memory, of which a browser gives Python 2 GB
NO_LOSS = "The steps lead back from the variable loss, a Tensor of one number, which this program doesn't define."
NO_PASS = "There are no steps: the message under the program says why."


class Steps(View):
    """The steps of the pass, recorded anew for each program; the pass leaves the program's gradients as they are."""

    def __init__(self) -> None:
        self.number = 0  # of the recording
        self.recorded: tuple[Program, Answer] | None = None

    def show(self, program: Program, choice: Choice, problems: list[Answer]) -> Answer:
        """Return `steps`, the contents of the page with the number of the recording, and `note`; or None for each.

        `changed` is a sentence if the loss was computed again.

        The output of hooks, which a pass calls, follows that of the program.
        """
        check_definitions(program, problems)
        if problems:
            return _without(None)
        if self.recorded is None or self.recorded[0] is not program:
            answer = attempt(problems, self._record, program)
            if answer is None:
                return _without(NO_PASS)
            self.recorded = program, answer
        return self.recorded[1]

    def _record(self, program: Program) -> Answer:
        from viz.stepper_page.page import TooLarge, record  # with the debugger, which few programs need

        loss = _loss(program)
        if loss is None:
            return _without(several_losses(program) or several_losses(program, recurrent=False) or NO_LOSS)
        with contextlib.redirect_stdout(Output()) as output, contextlib.redirect_stderr(output):
            try:
                contents = record(loss, MOST, MOST_BYTES)
            except TooLarge as error:
                return _without(f"There are no steps: {error.reason}.")
        self.number += 1
        return {"steps": asdict(contents) | {"number": self.number}, "note": None, "changed": program.changed,
                "printed": program.printed + output.getvalue()}


def _loss(program: Program) -> Tensor | None:
    """Return the loss of all views; without a recurrence, or a `loss` that is none, what has a message of its own."""
    if program.loss is not None:
        return program.loss
    named, found = program.variables.get("loss"), program.losses(recurrent=False)
    if isinstance(named, Tensor) and not program.losses():
        return named
    return found[0] if len(found) == 1 else None


def _without(note: str | None) -> Answer:
    return {"steps": None, "note": note, "changed": None}
