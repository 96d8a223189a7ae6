"""The playground's view "steps" without a browser: what is recorded of a program's loss, and what can't be."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

import viz
from viz.playground.build import EXAMPLES
from viz.playground.examples import TITLES
from viz.playground.running.program import Program
from viz.playground.session import Session

PROGRAM = """\
import numpy as np
import minigrad as mg
from rnn import Cell, t

net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
U = mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="U")
h[t] = np.tanh(x[t] + U @ h[t-1])
run = net.unroll(x=np.ones((3, 1, 2)))
loss = (run["h"][3] ** 2).sum()
"""
PLAIN = """\
import minigrad as mg
w = mg.Tensor([3.0], requires_grad=True, name="w")
loss = (w ** 2).sum()
"""


def show(session: Session, source: str, **choice: Any) -> Any:
    question = {"view": "steps", "ask": "show", "source": source, "steps": 4, "level": "signals", "heat": False,
                "dark": False} | choice
    return json.loads(session.answer(json.dumps(question)))


def shown(source: str) -> Any:
    return show(Session(), source)


def recorded(source: str) -> Any:
    """Return the data of the recorded pass of a program without problems."""
    answer = shown(source)
    assert answer["problems"] == [] and answer["note"] is None
    return json.loads(answer["steps"]["data"])


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


class TestPass:
    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_is_that_of_the_page_that_viz_stepper_writes(self, name: str) -> None:
        contents = shown(example(name))["steps"]
        page = viz.stepper(Program(example(name), 60).variables["loss"])
        [data] = re.findall(r'id="data">(.*)</script>', page.html)
        assert json.loads(contents["data"]) == json.loads(data)
        assert contents["picture"] in page.html and contents["style"] in page.html
        assert contents["title"] == page.title and len(contents["names"]) == page.steps

    def test_leaves_the_gradients_of_the_program(self) -> None:
        for end, wanted in (("loss.backward()\n", 1), ("loss.backward()\n" * 2, 2), ("", 0)):
            session = Session()
            show(session, PROGRAM + end)
            assert session.program is not None
            once = Program(PROGRAM + "loss.backward()\n", 60).variables["U"].grad
            grad = session.program.variables["U"].grad
            if wanted:
                np.testing.assert_allclose(grad, wanted * once, rtol=1e-12)
            else:
                assert grad is None

    def test_is_that_of_any_loss_without_a_recurrence_too(self) -> None:
        data = recorded(PLAIN)
        total = data["steps"][-1]["passed"][0]["total"]
        assert data["nodes"][-1]["name"] == "loss" and data["arrays"][total]["numbers"] == "6"

    def test_names_the_lines_of_the_program(self) -> None:
        lines = {node["name"]: (node["line"], node["code"]) for node in recorded(PROGRAM)["nodes"] if "op" in node}
        assert lines["h[3]"] == ("program.py:8", "h[t] = np.tanh(x[t] + U @ h[t-1])")
        assert lines["loss"] == ("program.py:10", 'loss = (run["h"][3] ** 2).sum()')

    def test_tells_where_a_nan_appears_first(self) -> None:
        data = recorded(example("not_a_number"))
        found = [step for step in data["steps"] if "nan" in step]
        assert found and "a NaN first appears in the contribution of Power.backward" in found[0]["nan"]
        assert "program.py:20" in found[0]["nan"]

    def test_shows_the_derivative_of_an_operation_of_the_program(self) -> None:
        source = ("import minigrad as mg\nclass Double(mg.Op):\n    def forward(self, x):\n        return 2 * x\n"
                  "    def backward(self, grad, out, x):\n        return (2 * grad,)\n"
                  'w = mg.Tensor([3.0], requires_grad=True, name="w")\nloss = mg.apply(Double(), w).sum()\n')
        data = recorded(source)
        [double] = [op for op in data["ops"] if op["class"] == "Double"]
        assert double["backward"] == "def backward(self, grad, out, x):\n    return (2 * grad,)"

    def test_is_recorded_once_for_all_choices_and_anew_for_another_program(self) -> None:
        session = Session()
        first = show(session, PROGRAM)
        assert show(session, PROGRAM, level="ops", heat=True, dark=True) == first
        assert show(session, PROGRAM + "\n")["steps"]["number"] > first["steps"]["number"]

    def test_adds_what_hooks_print_to_the_output(self) -> None:
        source = PLAIN + "print('ran')\nloss.register_hook(lambda grad: print('hook', grad))\n"
        session = Session()
        for _ in range(2):
            assert show(session, source)["printed"].splitlines() == ["ran", "hook 1.0"]


class TestLossOfAnotherName:
    @pytest.mark.parametrize("source", [PROGRAM, PLAIN])
    def test_is_the_only_one_that_was_differentiated(self, source: str) -> None:
        answer = shown(source.replace("loss =", "err =") + "err.backward()\n")
        assert answer["problems"] == [] and answer["steps"]["names"] == shown(source)["steps"]["names"]


class TestChangedData:
    def test_the_pass_is_that_of_the_present_values(self) -> None:
        answer = shown(PROGRAM + "loss.backward()\nU.data[:] = 0\n")
        assert "changed data after it had computed loss" in answer["changed"]
        assert answer["steps"]["title"] == f"Backward pass of the loss = {2 * np.tanh(1) ** 2:.4g}"
        assert shown(PROGRAM + "loss.backward()\n")["changed"] is None


class TestNoPass:
    def test_a_program_without_a_loss_is_told_to_define_one(self) -> None:
        for source in ("a = 1", "loss = 0.5"):
            answer = shown(source)
            assert answer["steps"] is None and answer["problems"] == []
            assert "the variable loss, a Tensor of one number" in answer["note"]

    def test_a_program_that_fails_has_its_error_alone(self) -> None:
        answer = shown(PROGRAM + "1 / 0\n")
        assert answer["steps"] is None and answer["note"] is None
        assert [problem["kind"] for problem in answer["problems"]] == ["ZeroDivisionError"]

    @pytest.mark.parametrize(("change", "words"), [
        ("run = net.unroll(x=np.ones((2000, 1, 2)))\nloss = run['h'].stack().sum()\n", "more than 2,500 tensors"),
        ("big = mg.Tensor(np.ones((4000, 4000)), requires_grad=True)\nloss = (big * 2).sum()\n", "GB of memory"),
    ])
    def test_a_loss_that_is_too_large_has_a_note(self, change: str, words: str) -> None:
        answer = shown(PROGRAM + change)
        assert answer["steps"] is None and answer["problems"] == [] and words in answer["note"]
        assert "terminal" not in answer["note"] and "Unroll fewer steps" in answer["note"]

    def test_a_definition_that_cannot_be_unrolled_is_a_problem(self) -> None:
        answer = shown(example("no_delay"))
        assert answer["steps"] is None and [problem["kind"] for problem in answer["problems"]] == ["DefinitionError"]

    def test_of_several_losses_one_has_to_be_named(self) -> None:
        for source in (PROGRAM.replace("loss =", "a =") + 'a.backward()\nb = run["h"][1].sum()\nb.backward()\n',
                       PLAIN.replace("loss =", "a =") + "a.backward()\nb = w.sum()\nb.backward()\n"):
            answer = shown(source)
            assert answer["note"] == "There are 2 losses, a and b: give the one to show the name loss."

    @pytest.mark.parametrize(("change", "words"), [
        ('loss = run["h"][3]\n', "single number"),
        ("loss = loss.detach()\n", "no tensor that requires a gradient"),
    ])
    def test_a_loss_that_cannot_be_stepped_through_is_a_problem(self, change: str, words: str) -> None:
        session = Session()
        for _ in range(2):  # also when it is drawn again
            answer = show(session, PROGRAM + change)
            [problem] = answer["problems"]
            assert re.search(words, problem["text"]) and answer["steps"] is None
            assert "the message under the program says why" in answer["note"]
        assert show(session, PROGRAM)["steps"] is not None
