"""The playground's views of gradients and training, and its notebook, without a browser."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from viz.playground.build import EXAMPLES
from viz.playground.examples import TITLES
from viz.playground.running.program import Program
from viz.playground.session import Session
from viz.playground.views import training

DEFINITION = """\
import numpy as np
import minigrad as mg
from rnn import Cell, t

net = Cell("net")
x, h = net.input("x", 2), net.signal("h", 2)
U = mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="U")
h[t] = np.tanh(x[t] + U @ h[t-1])
"""
RUN = "run = net.unroll(x=np.ones((3, 1, 2)))\n"
LOSS = 'loss = (run["h"][3] ** 2).sum()\n'
PROGRAM = DEFINITION + RUN + LOSS + "loss.backward()\n"
TRAINABLE = [name for name in TITLES if name not in ("no_delay", "not_a_number")]


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


def show(session: Session, view: str, source: str, **choice: Any) -> Any:
    return ask(session, {"view": view, "ask": "show", "source": source, "steps": 4, "level": "signals", "heat": False,
                         "dark": False} | choice)


def ask(session: Session, question: dict[str, Any]) -> Any:
    return json.loads(session.answer(json.dumps(question)), parse_constant=pytest.fail)  # NaN is no JSON


def train(session: Session, steps: int, rate: float = 0.05, optimizer: str = "sgd") -> Any:
    return ask(session, {"view": "training", "ask": "train", "steps": steps, "rate": rate, "optimizer": optimizer})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SLICE", 60.0)


class TestLoss:
    @pytest.mark.parametrize("end, name", [
        ("loss = (run['h'][3] ** 2).sum()", "loss"), ("L = (run['h'][3] ** 2).sum()\nL.backward()", "L"),
        ("a = run['h'][3].sum()\nerr = a * a\nerr.backward()", "err")])
    def test_is_the_variable_loss_or_the_only_number_that_was_differentiated(self, end: str, name: str) -> None:
        program = Program(DEFINITION + RUN + end, 10)
        assert program.loss is program.variables[name]

    @pytest.mark.parametrize("end", ["L = run['h'][3].sum()", "U.sum().backward()", "loss = 3.0",
                                     "a = run['h'][1].sum()\nb = run['h'][2].sum()\na.backward()\nb.backward()"])
    def test_is_none_of_several_and_nothing_else(self, end: str) -> None:
        assert Program(DEFINITION + RUN + end, 10).loss is None

    def test_of_several_one_has_to_be_named_for_every_view(self) -> None:
        source = DEFINITION + RUN + "a = run['h'][1].sum()\nb = run['h'][2].sum()\na.backward()\nb.backward()\n"
        for view in ("gradients", "training"):
            assert show(Session(), view, source)["missing"].startswith("There are 2 losses, a and b")
        assert show(Session(), "gradients", source + "loss = a\n")["maps"]


class TestGradients:
    def test_tables_have_the_norms_of_the_run(self) -> None:
        session = Session()
        [shown] = show(session, "gradients", PROGRAM)["maps"]
        assert session.program is not None
        run = session.program.variables["run"]
        signals, parameters = shown["tables"]
        [row] = [row for row in signals["rows"] if row["name"] == "h"]
        assert row["cells"] == [f"{size:.1e}" for size in run.gradient_norms("h")]
        assert row["largest"] == 1 + int(run.gradient_norms("h").argmax())
        [row] = parameters["rows"]
        norms = [float(np.linalg.norm(part)) for part in run.contributions("U")]
        assert row["name"] == "U" and row["cells"] == ["0" if not size else f"{size:.1e}" for size in norms]
        assert norms[0] == 0 and row["largest"] == 1 + int(np.argmax(norms))
        assert signals["heads"] == ["signal", "largest at", "t = 1", "t = 2", "t = 3"]

    def test_a_step_that_the_pass_did_not_reach_is_no_zero(self) -> None:
        [shown] = show(Session(), "gradients", PROGRAM.replace('["h"][3]', '["h"][2]'))["maps"]
        assert shown["tables"][0]["rows"][0]["cells"][2] == "–"

    def test_a_nan_is_called_so(self) -> None:
        rows = [row for table in show(Session(), "gradients", example("not_a_number"))["maps"][0]["tables"]
                for row in table["rows"]]
        nan = [row for row in rows if "NaN" in row["cells"]]
        assert nan and all((row["at"], row["largest"]) == ("NaN", None) for row in nan)
        assert not any("nan" in row["cells"] for row in rows)

    def test_infinity_and_zero_are_called_so(self) -> None:
        source = PROGRAM.replace("np.tanh(x[t] + U @ h[t-1])", "x[t] + U * h[t-1]").replace("eye(2) * 0.5", "ones(2)")
        for end, at, cells in (("loss = run['h'][3].sum() * np.inf", "t = 1", ["Inf"] * 3),
                               ("loss = (run['h'][3] * 0).sum()", "all are 0", ["0"] * 3)):
            with np.errstate(all="ignore"):
                [shown] = show(Session(), "gradients", source.replace(LOSS, end + "\n"))["maps"]
            [row] = [row for row in shown["tables"][0]["rows"] if row["name"] == "h"]
            assert (row["at"], row["cells"]) == (at, cells)

    def test_of_a_long_run_the_first_and_the_last_steps_are_in_the_tables(self) -> None:
        [shown] = show(Session(), "gradients", PROGRAM.replace("(3, 1, 2)", "(40, 1, 2)"))["maps"]
        assert shown["tables"][0]["heads"][2:] == ["t = 1", "t = 2", "t = 3", "⋯", "t = 38", "t = 39", "t = 40"]
        assert all(len(row["cells"]) == 7 for table in shown["tables"] for row in table["rows"])

    @pytest.mark.parametrize("name", [name for name in TITLES if name != "no_delay"])
    def test_every_example_has_a_map_of_each_run(self, name: str) -> None:
        answer = show(Session(), "gradients", example(name), dark=True)
        assert answer["problems"] == [] and len(answer["maps"]) == 1 + (name == "encoder_decoder")
        for shown in answer["maps"]:
            assert "layout=nop2" in shown["picture"]["dot"] and shown["picture"]["alt"]

    @pytest.mark.parametrize("source, words", [
        (DEFINITION, "run = cell.unroll"), (DEFINITION + RUN, "loss = mg.losses.mse"),
        (DEFINITION + RUN + LOSS, "call loss.backward()"), ("", "run = cell.unroll")])
    def test_a_program_without_gradients_is_told_its_next_line(self, source: str, words: str) -> None:
        answer = show(Session(), "gradients", source)
        assert words in answer["missing"] and answer["maps"] == [] and answer["problems"] == []

    def test_an_error_of_the_program_or_of_a_definition_keeps_the_last_maps(self) -> None:
        for source, kind in (("1 / 0", "ZeroDivisionError"), (example("no_delay"), "DefinitionError")):
            answer = show(Session(), "gradients", source)
            assert answer["maps"] is None and [problem["kind"] for problem in answer["problems"]] == [kind]


class TestTraining:
    def test_the_losses_are_those_of_a_loop_with_minigrads_optimiser(self) -> None:
        for name in ("sgd", "adam"):
            session = Session()
            show(session, "training", PROGRAM)
            found = train(session, 5, 0.1, name)["losses"]
            variables: dict[str, Any] = {}
            exec(DEFINITION, variables)
            U, expected = variables["U"], []
            optimizer = (mg.optim.SGD if name == "sgd" else mg.optim.Adam)([U], lr=0.1)
            for _ in range(6):
                loss = (variables["net"].unroll(x=np.ones((3, 1, 2)))["h"][3] ** 2).sum()
                expected.append(loss.item())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            assert found == expected

    def test_a_loss_of_another_name_is_trained_as_one_that_is_named_loss(self) -> None:
        sessions = {name: Session() for name in ("loss", "err")}
        for name, session in sessions.items():
            show(session, "training", PROGRAM.replace("loss", name))
            train(session, 2, 0.1, "sgd")
        named, other = (train(session, 3, 0.1, "sgd") for session in sessions.values())
        assert named == other and len(other["losses"]) == 6
        maps = [show(session, "gradients", PROGRAM.replace("loss", name))["maps"] for name, session in sessions.items()]
        assert maps[0] == maps[1] and maps[0]

    @pytest.mark.parametrize("name", TRAINABLE)
    def test_lowers_the_loss_of_every_example(self, name: str) -> None:
        session = Session()
        first = show(session, "training", example(name))
        assert first["missing"] is None and "moves" in first["about"]
        answer = train(session, 60, 0.01, "adam")
        assert len(answer["losses"]) == 61 and answer["ended"] is None
        assert answer["losses"][-1] < 0.9 * answer["losses"][0] == 0.9 * first["losses"][0]

    def test_steps_go_on_where_the_last_ones_ended(self) -> None:
        sessions = Session(), Session()
        for session in sessions:
            show(session, "training", PROGRAM)
        train(sessions[0], 7, 0.1, "adam")
        for steps in (3, 4):
            answer = train(sessions[1], steps, 0.1, "adam")
        assert answer == train(sessions[0], 0, 0.1, "adam")

    def test_the_learning_rate_may_change_between(self) -> None:
        sessions = Session(), Session()
        for session in sessions:
            show(session, "training", PROGRAM)
            train(session, 2, 0.1, "adam")
        slow, fast = (train(session, 1, rate, "adam")["losses"] for session, rate in zip(sessions, (0.001, 0.2)))
        assert slow[:3] == fast[:3] and slow[3] > fast[3]

    def test_an_answer_takes_one_step_and_more_while_there_is_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        session = Session()
        show(session, "training", PROGRAM)
        monkeypatch.setattr(training, "SLICE", 0.0)
        assert len(train(session, 100000)["losses"]) == 2

    def test_the_other_views_show_the_trained_values_with_their_gradients(self) -> None:
        session = Session()
        before = show(session, "pictures", PROGRAM)
        show(session, "training", PROGRAM)
        losses = train(session, 10)["losses"]
        after = show(session, "pictures", PROGRAM, heat=True)
        assert (before["trained"], after["trained"], after["problems"]) == (0, 10, [])
        assert session.program is not None and session.program.loss is not None
        assert session.program.loss.item() == losses[-1] and session.program.loss.grad is not None
        assert session.program.runs() == [session.program.variables["run"]]
        assert show(session, "gradients", PROGRAM)["maps"]
        assert show(session, "training", PROGRAM)["losses"] == losses

    def test_reset_returns_to_the_values_of_the_program(self) -> None:
        session = Session()
        first = show(session, "pictures", PROGRAM)
        losses = show(session, "training", PROGRAM)["losses"]
        train(session, 10)
        assert ask(session, {"view": "training", "ask": "reset"}) == {"losses": losses, "ended": None}
        assert show(session, "pictures", PROGRAM) == first
        assert session.program is not None
        np.testing.assert_array_equal(session.program.variables["U"].data, np.eye(2) * 0.5)

    def test_another_program_begins_anew(self) -> None:
        session = Session()
        losses = show(session, "training", PROGRAM)["losses"]
        train(session, 3)
        assert show(session, "training", PROGRAM + "\n")["losses"] == losses

    def test_a_loss_that_grows_beyond_all_numbers_ends_it_and_the_step_is_named(self) -> None:
        session = Session()
        source = PROGRAM.replace("np.tanh(x[t] + U @ h[t-1])", "x[t] + U @ h[t-1]")
        show(session, "training", source)
        answer = train(session, 100, 1e6)
        last = len(answer["losses"]) - 1
        assert f"Step {last + 1} made the loss" in answer["ended"] and all(map(math.isfinite, answer["losses"]))
        assert len(train(session, 100, 0.1)["losses"]) == last + 1, "it goes on after a reset alone"
        assert ask(session, {"view": "training", "ask": "reset"})["ended"] is None

    def test_a_loss_that_is_no_number_from_the_beginning_is_told(self) -> None:
        session = Session()
        assert "nan before the first step" in show(session, "training", example("not_a_number"))["ended"]

    @pytest.mark.parametrize("rate", [0, -1, math.inf])
    def test_a_learning_rate_that_is_not_positive_is_refused(self, rate: float) -> None:
        session = Session()
        show(session, "training", PROGRAM)
        assert "learning rate" in train(session, 1, rate)["ended"]

    @pytest.mark.parametrize("source, words", [
        (DEFINITION, "run = cell.unroll"), (DEFINITION + RUN, "loss = mg.losses.mse"),
        (PROGRAM.replace("requires_grad=True, ", "").replace("loss.backward()", ""), "nothing that requires a grad")])
    def test_a_program_that_cannot_be_trained_is_told_its_next_line(self, source: str, words: str) -> None:
        session = Session()
        answer = show(session, "training", source)
        assert words in answer["missing"] and answer["losses"] == []
        assert train(session, 1)["ended"] == "There is nothing to train."


class TestOwnTraining:
    """Programs that train in a loop of their own, whose last step follows the last loss."""

    LOOP = (DEFINITION + "opt = mg.optim.SGD([U], lr=0.1)\nfor i in range(4):\n"
            "    run = net.unroll(x=np.ones((3, 1, 2)))\n"
            '    loss = (run["h"][3] ** 2).sum()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n')

    def test_every_view_shows_the_loss_of_the_trained_values(self) -> None:
        session = Session()
        map_ = show(session, "gradients", self.LOOP)
        assert "after it had computed loss" in map_["changed"] and map_["problems"] == [] and len(map_["maps"]) == 1
        assert session.program is not None and session.program.loss is not None
        U = session.program.variables["U"].data
        h = np.zeros(2)
        for _ in range(3):
            h = np.tanh(1 + U @ h)
        assert session.program.loss.item() == pytest.approx((h ** 2).sum())
        assert show(session, "steps", self.LOOP)["problems"] == []
        assert map_["changed"] in show(session, "pictures", self.LOOP, heat=True)["notes"]
        training = show(session, "training", self.LOOP)
        assert training["losses"] == [session.program.loss.item()] and map_["changed"] in training["about"]
        losses = train(session, 3, 0.1)["losses"]
        assert len(losses) == 4 and losses == sorted(losses, reverse=True)

    def test_the_gradients_are_those_of_a_pass_through_it(self) -> None:
        sessions = Session(), Session()
        again = self.LOOP + "run = net.unroll(x=np.ones((3, 1, 2)))\n" + LOSS + "opt.zero_grad()\nloss.backward()\n"
        maps = [show(session, "gradients", source)["maps"] for session, source in zip(sessions, (self.LOOP, again))]
        assert maps[0] == maps[1]
        U, expected = (session.program.variables["U"].grad for session in sessions if session.program is not None)
        np.testing.assert_array_equal(U, expected)

    def test_a_loss_that_cannot_be_repeated_stays(self) -> None:
        source = (self.LOOP.replace("U @ h[t-1]", "U @ h[t-1] * c").replace('net = Cell("net")', "c = mg.Tensor(2.0)\n"
                  'class Once(mg.Op):\n    ran = False\n    def forward(self, x):\n        if Once.ran: raise OSError\n'
                  "        Once.ran = True\n        return x\n    def backward(self, grad, out, x): return (grad,)\n"
                  'net = Cell("net")').replace("range(4)", "range(1)")
                  .replace(".sum()", ".sum()\n    loss = mg.apply(Once(), loss)"))
        session = Session()
        assert show(session, "pictures", source)["notes"] == []
        assert session.program is not None and session.program.variables["U"].grad is not None

    def test_a_program_whose_data_stay_has_no_note(self) -> None:
        session = Session()
        assert show(session, "pictures", PROGRAM + "print(U.data)\n")["notes"] == []
        assert show(session, "gradients", PROGRAM)["changed"] is None


class TestNotebook:
    @staticmethod
    def cells(session: Session, source: str) -> list[tuple[str, str]]:
        text = ask(session, {"view": "pictures", "ask": "notebook", "source": source})["text"]
        made = json.loads(text)
        assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
        assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
        return [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]]

    @pytest.mark.parametrize("name", TRAINABLE)
    def test_runs_the_program_and_draws_it(self, name: str) -> None:
        session, source = Session(), example(name)
        show(session, "pictures", source)
        cells = self.cells(session, source)
        assert cells[0][0] == "markdown" and "%pip install" in cells[0][1]
        assert cells[1] == ("code", source.strip())
        variables: dict[str, Any] = {}
        for kind, text in cells[1:]:
            assert kind == "code"
            exec(text, variables)
        drawn = "\n".join(text for _, text in cells[2:])
        assert drawn.count("viz.rolled(") == drawn.count("viz.gradient_map(") == 1 + (name == "encoder_decoder")
        assert drawn.count("viz.unrolled(") == 1

    @pytest.mark.parametrize("view", ["gradients", "steps", "training"])
    def test_is_the_same_whichever_view_was_shown(self, view: str) -> None:
        sessions = Session(), Session()
        for session, shown in zip(sessions, ("pictures", view)):
            show(session, shown, PROGRAM)
        cells = self.cells(sessions[0], PROGRAM)
        assert len(cells) == 5 and cells == self.cells(sessions[1], PROGRAM)

    def test_of_a_program_that_has_not_run_has_no_calls(self) -> None:
        session = Session()
        show(session, "pictures", PROGRAM)
        for source in (PROGRAM + "# changed", ""):
            assert [text for _, text in self.cells(session, source)[1:]] == [source.strip()]
