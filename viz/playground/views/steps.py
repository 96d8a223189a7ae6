"""The backward pass of the program's loss, to step through: the contents of viz.stepper's page."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

from minigrad import Tensor
from viz.playground.running.program import Answer, Output, Program

from .view import Choice, View, attempt

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
        if problems:
            return {"steps": None, "note": None}
        if self.recorded is None or self.recorded[0] is not program:
            answer = attempt(problems, self._record, program)
            if answer is None:
                return {"steps": None, "note": NO_PASS}
            self.recorded = program, answer
        return self.recorded[1]

    def _record(self, program: Program) -> Answer:
        from viz.stepper_page.page import record  # with the debugger, which few programs need

        loss = program.variables.get("loss")
        if not isinstance(loss, Tensor):
            return {"steps": None, "note": NO_LOSS}
        with contextlib.redirect_stdout(Output()) as output, contextlib.redirect_stderr(output):
            contents = record(loss, MOST, MOST_BYTES)
        self.number += 1
        return {"steps": asdict(contents) | {"number": self.number}, "note": None, "changed": program.changed,
                "printed": program.printed + output.getvalue()}
