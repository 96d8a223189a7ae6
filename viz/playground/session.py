"""The worker's side of the page: questions and answers in JSON."""

from __future__ import annotations

import json

from .running import kit
from .running.present import bring_up_to_date
from .running.program import SECONDS, Answer, Program, describe
from .views import VIEWS
from .views.notebook import notebook
from .views.view import Choice, View


class Session:
    """The last program, which other choices and other views don't run again, and the views of it."""

    def __init__(self) -> None:
        self.program: Program | None = None
        self.views = {name: view() for name, view in VIEWS.items()}

    def answer(self, request: str) -> str:
        """Answer a question of the page, both as JSON: `{"view": "pictures", "ask": "show" | ..., ...}`.

        About no view are `{"ask": "check", ...}`, which checks an assignment, and `{"ask": "notebook", ...}`, which
        returns the `text` of a program as a notebook, with its pictures if it has run.
        """
        question = json.loads(request)
        if question["ask"] == "check":
            return json.dumps(kit.check(question))
        if question["ask"] == "notebook":
            return json.dumps({"text": notebook(question["source"], self.program)})
        view = self.views[question["view"]]
        return json.dumps(self.show(view, question) if question["ask"] == "show" else view.reply(question))

    def show(self, view: View, question: Answer) -> Answer:
        """Run a program, unless it is that of the last question, and show it.

        Returns:
            `printed`; `problems`, each with the text, the kind of error and the line if it is known; `steps`, the
            number of time steps of the program's first run, or None without one; `trained`, the number of training
            steps since; and the view's own answer.
        """
        if self.program is None or question["source"] != self.program.source:
            self.program = Program(question["source"], SECONDS)
            bring_up_to_date(self.program)
        problems = [] if self.program.problem is None else [describe(self.program.problem)]
        choice = Choice(*(question[name] for name in ("steps", "level", "heat", "dark")))
        shown = view.show(self.program, choice, problems)
        steps = next((run.T for run in self.program.runs()), None)
        return {"printed": self.program.printed, "problems": problems, "steps": steps,
                "trained": self.program.trained} | shown
