"""Whole sessions of an editor with the debug adapter: `python -m minigrad.debugger --dap`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from editor import ROOT, Editor
from numpy.typing import NDArray

Array = NDArray[Any]

MODEL = textwrap.dedent("""\
    import numpy as np
    import minigrad as mg
    from rnn import Cell, t

    rng = np.random.default_rng(7)
    W = mg.Tensor(rng.normal(size=(3, 2)), requires_grad=True, name="W")
    U = mg.Tensor(rng.normal(size=(3, 3)), requires_grad=True, name="U")
    cell = Cell("elman")
    x, h = cell.input("x", 2), cell.signal("h", 3)
    h[t] = np.tanh(W @ x[t]
                   + U @ h[t-1])
    data = rng.normal(size=(4, 2))
    run = cell.unroll(x=data)
    loss = (run["h"][4] ** 2).sum()
    print("before")
    loss.backward()
    print("between")
    loss.backward()
    print("after")
    """)
EQUATION, LOSS, FIRST_PASS, SECOND_PASS = 10, 14, 16, 18  # lines


def line_of(file: Path, text: str) -> int:
    """Return the number of the only line with this text."""
    [number] = [number for number, line in enumerate(file.read_text("utf-8").splitlines(), 1) if text in line]
    return number


OPS = ROOT / "minigrad" / "ops.py"
TANH = line_of(OPS, "return grad * (1 - out * out)")


class Loop:
    """The same network and its gradients as a loop of NumPy."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        W, U = rng.normal(size=(3, 2)), rng.normal(size=(3, 3))
        x = rng.normal(size=(4, 2))
        h = [np.zeros(3)]
        for t in range(4):
            h.append(np.tanh(W @ x[t] + U @ h[-1]))
        self.x, self.h, self.W, self.U = x, h, W, U
        self.dh: dict[int, Array] = {}  # the gradient of h[t]
        self.ds: dict[int, Array] = {}  # that of the sum under the tanh
        later = 2 * h[4]
        for t in (4, 3, 2, 1):
            self.dh[t] = later
            self.ds[t] = self.dh[t] * (1 - h[t] ** 2)
            later = U.T @ self.ds[t]
        self.dU = sum(np.outer(self.ds[t], h[t - 1]) for t in self.ds)
        self.dW = sum(np.outer(self.ds[t], x[t - 1]) for t in self.ds)


LOOP = Loop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.py"
    file.write_text(MODEL, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[Editor]:
    """A session that all tests share which don't leave the first pass."""
    with Editor() as editor:
        editor.launch(model, stopOnEntry=True)
        assert editor.wait("stopped")["reason"] == "entry"
        yield editor


@pytest.fixture
def editor(running: Editor, model: Path) -> Editor:
    """The shared session at the start of the pass, without breakpoints."""
    for file in (model, OPS):
        running.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[])
    running.ask("setFunctionBreakpoints", breakpoints=[])
    running.ask("setExceptionBreakpoints", filters=[])
    running.move("minigradGoto", step=0)
    return running


def set_lines(editor: Editor, file: Path, *places: dict[str, Any]) -> list[dict[str, Any]]:
    """Set the breakpoints of a file."""
    found: list[dict[str, Any]] = editor.ask("setBreakpoints", source={"path": str(file)},
                                             breakpoints=list(places))["breakpoints"]
    return found


def to_h3(editor: Editor) -> None:
    """Go to the step of h[3]'s tanh."""
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "node h[3]"}])
    assert editor.move("continue")["reason"] == "function breakpoint"
    editor.ask("setFunctionBreakpoints", breakpoints=[])


# ---- the stack and the variables
def test_the_pass_starts_at_the_line_that_called_backward(editor: Editor, model: Path) -> None:
    [frame] = editor.frames()
    assert (frame["name"], frame["line"], frame["source"]["path"]) == ("backward()", FIRST_PASS, str(model))
    assert editor.ask("threads")["threads"] == [
        {"id": 1, "name": f"backward pass 1, called at model.py:{FIRST_PASS}"}]


def test_frames_are_the_operations_from_the_current_one_to_the_loss(editor: Editor, model: Path) -> None:
    to_h3(editor)
    frames = editor.frames()
    assert frames[0]["name"] == "h[3] tanh" and frames[0]["line"] == EQUATION
    assert frames[0]["source"] == {"name": "model.py", "path": str(model)}
    assert [frame["line"] for frame in frames[-4:]] == [EQUATION, LOSS, LOSS, FIRST_PASS]
    assert len({frame["id"] for frame in frames}) == len(frames)


def test_a_long_stack_is_read_in_parts(editor: Editor) -> None:
    to_h3(editor)
    whole = editor.ask("stackTrace", threadId=1)
    parts = [editor.ask("stackTrace", threadId=1, startFrame=i, levels=2) for i in (0, 2, 4)]
    assert [frame for part in parts for frame in part["stackFrames"]] == whole["stackFrames"][:6]
    assert {part["totalFrames"] for part in parts} == {len(whole["stackFrames"])}


def test_the_numbers_of_a_step_are_those_of_a_loop(editor: Editor) -> None:
    to_h3(editor)
    np.testing.assert_allclose(editor.array(editor.rows("Gradient")["grad"]), LOOP.dh[3])
    np.testing.assert_allclose(editor.array(editor.rows("Output")["out"]), LOOP.h[3])
    [name] = editor.rows("Inputs")
    assert name == "W @ x[3] + U @ h[2]"
    np.testing.assert_allclose(editor.array(editor.rows("Contributions")[name]), LOOP.ds[3])
    np.testing.assert_allclose(editor.array(editor.rows("Totals")[name]), LOOP.ds[3])


def test_parameters_say_whether_their_gradients_are_complete(editor: Editor) -> None:
    assert editor.rows("Parameters")["U"]["value"] == "none so far"
    to_h3(editor)
    row = editor.rows("Parameters")["U"]
    np.testing.assert_allclose(editor.array(row), np.outer(LOOP.ds[4], LOOP.h[3]))
    assert row["value"].endswith("so far")
    last = int(editor.value("len(step.steps)"))
    editor.move("minigradGoto", step=last)
    row = editor.rows("Parameters")["U"]
    np.testing.assert_allclose(editor.array(row), LOOP.dU)
    assert not row["value"].endswith("so far")


def test_frames_further_down_have_their_own_numbers(editor: Editor) -> None:
    to_h3(editor)
    [below] = [frame for frame in editor.frames() if frame["name"] == "h[4] tanh"]
    np.testing.assert_allclose(editor.value("grad", below["id"]), LOOP.dh[4])
    np.testing.assert_allclose(editor.array(editor.rows("Gradient", below["id"])["grad"]), LOOP.dh[4])


def test_a_row_tells_shape_norm_and_first_elements(editor: Editor) -> None:
    to_h3(editor)
    row = editor.rows("Gradient")["grad"]
    assert row["value"] == (f"|g| {np.linalg.norm(LOOP.dh[3]):.1e}  (3,)  "
                            f"[{', '.join(f'{x:.4g}' for x in LOOP.dh[3])}]")
    assert (row["type"], row["indexedVariables"], row["evaluateName"]) == ("ndarray", 3, "grad")
    rows = editor.ask("variables", variablesReference=row["variablesReference"], start=1, count=1)["variables"]
    assert [(one["name"], one["evaluateName"]) for one in rows] == [("[1]", "grad[1]")]


def test_what_was_shown_at_an_earlier_stop_is_refused(editor: Editor) -> None:
    to_h3(editor)
    reference = editor.scopes()["Gradient"]
    editor.move("next")
    assert "the pass has moved on" in editor.refused("variables", variablesReference=reference)
    assert "there is no frame 999" in editor.refused("scopes", frameId=999)


def test_variables_are_not_changed(editor: Editor) -> None:
    to_h3(editor)
    reference = editor.scopes()["Output"]
    for command in ("setVariable", "setExpression"):
        reason = editor.refused(command, variablesReference=reference, name="out", expression="out", value="0")
        assert "can't be changed" in reason and "change the data in the program" in reason
    np.testing.assert_allclose(editor.value("out"), LOOP.h[3])


# ---- moves
def test_a_step_back_restores_the_gradients(editor: Editor) -> None:
    to_h3(editor)
    before, names = editor.rows("Parameters")["U"]["value"], [frame["name"] for frame in editor.frames()]
    editor.move("next")
    assert [frame["name"] for frame in editor.frames()] != names
    stop = editor.move("stepBack")
    assert stop["reason"] == "step" and "h[3] tanh" in stop["description"]
    assert [frame["name"] for frame in editor.frames()] == names
    assert editor.rows("Parameters")["U"]["value"] == before


def test_reverse_continue_stops_at_breakpoints_and_at_the_start(editor: Editor) -> None:
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op tanh"}])
    seen = []
    for _ in range(4):
        editor.move("continue")
        seen.append(editor.top()["name"])
    assert seen == ["h[4] tanh", "h[3] tanh", "h[2] tanh", "h[1] tanh"]
    back = [editor.move("reverseContinue")["reason"] for _ in range(4)]
    assert back == ["function breakpoint"] * 3 + ["step"]
    assert editor.top()["name"] == "backward()"


def test_step_out_goes_to_the_end_of_the_time_step(editor: Editor) -> None:
    to_h3(editor)
    editor.move("stepOut")
    assert editor.value("t") == 3
    editor.move("next")
    assert editor.value("t") == 2


def test_step_in_shows_the_lines_of_the_derivative_with_their_variables(editor: Editor) -> None:
    to_h3(editor)
    step = editor.top()
    assert editor.move("stepIn")["description"] == "Tanh.backward"
    frames = editor.frames()
    assert (frames[0]["name"], frames[0]["source"]["path"], frames[0]["line"]) == ("Tanh.backward", str(OPS), TANH)
    assert frames[1] == step
    local = editor.rows("Locals")
    assert {"self", "grad", "out", "x"} <= set(local)
    np.testing.assert_allclose(editor.array(local["grad"]), LOOP.dh[3])
    np.testing.assert_allclose(editor.value("np.tanh(x)"), LOOP.h[3])
    editor.move("next")  # its only line
    assert editor.top() == step


def test_lines_of_a_derivative_are_stepped_through_in_both_directions(editor: Editor) -> None:
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op matvec"}])
    editor.move("continue")
    step = editor.top()
    editor.move("stepIn")
    lines = [editor.top()["line"]]
    while editor.move("next")["description"] == "MatVec.backward":
        lines.append(editor.top()["line"])
    assert len(lines) > 2 and editor.top() == step
    editor.move("minigradGoto", step=editor.value("step.number"))
    editor.move("stepIn")
    editor.move("next")
    assert editor.top()["line"] == lines[1]
    editor.move("stepBack")
    assert editor.top()["line"] == lines[0]
    editor.move("stepBack")
    assert editor.top() == step


def test_step_in_goes_through_all_derivatives(editor: Editor) -> None:
    seen = []
    for _ in range(60):
        if editor.move("stepIn")["description"].endswith(".backward"):
            name = editor.top()["name"]
            seen += [name] if seen[-1:] != [name] else []
    assert seen[:5] == ["Sum.backward", "Power.backward", "Tanh.backward", "Add.backward",
                        "MatVec.backward"]


def test_step_out_of_a_derivative_returns_to_its_step(editor: Editor) -> None:
    to_h3(editor)
    editor.move("stepIn")
    editor.move("stepOut")
    assert editor.top()["name"] == "h[3] tanh"
    editor.move("stepIn")  # on to the next step
    assert editor.top()["name"] == "Add.backward"


def test_goto_and_restart_frame(editor: Editor) -> None:
    to_h3(editor)
    [below] = [frame for frame in editor.frames() if frame["name"] == "h[4] tanh"]
    assert editor.move("restartFrame", frameId=below["id"])["reason"] == "restart"
    assert editor.top()["name"] == "h[4] tanh"
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op tanh"}])
    for step in (12, 1):  # breakpoints between them don't stop it
        assert editor.move("minigradGoto", step=step)["reason"] == "goto"
        assert editor.value("step.number") == step
    for wrong in (-1, 1000, "2", None, 1.5):
        assert "there is no step" in editor.refused("minigradGoto", step=wrong)


def test_jump_to_a_line_offers_its_steps(editor: Editor, model: Path) -> None:
    source = {"path": str(model)}
    targets = editor.ask("gotoTargets", source=source, line=LOSS)["targets"]
    assert [target["id"] for target in targets] == [1, 2]
    editor.move("goto", targetId=targets[1]["id"])
    assert editor.value("step.number") == 2
    assert "no operation of this pass was computed at" in editor.refused("gotoTargets", source=source, line=1)


# ---- breakpoints
def test_a_line_of_an_equation_stops_once_at_each_time_step(editor: Editor, model: Path) -> None:
    [place] = set_lines(editor, model, {"line": EQUATION})
    assert place["verified"] and place["line"] == EQUATION
    seen = []
    for _ in range(4):
        stop = editor.move("continue")
        assert (stop["reason"], stop["hitBreakpointIds"]) == ("breakpoint", [place["id"]])
        seen.append(editor.top()["name"])
    assert seen == ["h[4] tanh", "h[3] tanh", "h[2] tanh", "h[1] tanh"]


def test_another_line_of_the_same_statement_is_the_same_place(editor: Editor, model: Path) -> None:
    [place] = set_lines(editor, model, {"line": EQUATION + 1})
    assert place["verified"]
    editor.move("continue")
    assert editor.top()["name"] == "h[4] tanh"


def test_a_condition_is_a_python_expression_on_the_step(editor: Editor, model: Path) -> None:
    set_lines(editor, model, {"line": EQUATION, "condition": "t == 2 and norm < 1e6"})
    editor.move("continue")
    assert editor.top()["name"] == "h[2] tanh"


@pytest.mark.parametrize(("text", "expected"), [("2", "h[3] tanh"), (">= 3", "h[2] tanh"), ("% 4", "h[1] tanh")])
def test_a_hit_condition_counts(editor: Editor, model: Path, text: str, expected: str) -> None:
    set_lines(editor, model, {"line": EQUATION, "hitCondition": text})
    editor.move("continue")
    assert editor.top()["name"] == expected


def test_a_log_message_is_shown_and_does_not_stop(editor: Editor, model: Path) -> None:
    before = len(editor.output())
    set_lines(editor, model, {"line": EQUATION, "logMessage": "{op} at {t}: {norm:.4f}", "condition": "t != 3"})
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "node h[1]"}])
    editor.move("continue")
    assert editor.output()[before:].splitlines() == [
        f"tanh at {t}: {np.linalg.norm(LOOP.dh[t]):.4f}" for t in (4, 2, 1)]


@pytest.mark.parametrize(("wrong", "reason"), [
    ({"condition": "t =="}, "not a Python expression"), ({"hitCondition": "often"}, "not a hit condition"),
    ({"logMessage": "{t"}, "not a Python expression")])
def test_a_breakpoint_with_a_wrong_addition_never_stops(editor: Editor, model: Path, wrong: dict[str, str],
                                                        reason: str) -> None:
    [place] = set_lines(editor, model, {"line": EQUATION, **wrong})
    assert not place["verified"] and reason in place["message"]
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "node h[1]"}])
    assert editor.move("continue")["reason"] == "function breakpoint"


def test_an_error_in_a_condition_is_reported_once(editor: Editor, model: Path) -> None:
    before = len(editor.output())
    set_lines(editor, model, {"line": EQUATION, "condition": "nothing > 1"})
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "node h[1]"}])
    editor.move("continue")
    assert editor.output()[before:].count("NameError: name 'nothing' is not defined") == 1


def test_breakpoints_without_operations_say_why(editor: Editor, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    [place] = set_lines(editor, other, {"line": 1})
    assert not place["verified"] and "other.py; the files are model.py" in place["message"]
    [place] = set_lines(editor, model, {"line": 1})
    assert not place["verified"]
    assert f"lines with operations are {EQUATION}" in place["message"]


def test_a_line_of_a_derivative_stops_inside_it(editor: Editor) -> None:
    [place] = set_lines(editor, OPS, {"line": TANH, "condition": "t < 4"})
    assert place["verified"]
    stop = editor.move("continue")
    assert stop["hitBreakpointIds"] == [place["id"]] and "Tanh.backward" in stop["text"]
    frames = editor.frames()
    assert [frame["name"] for frame in frames[:2]] == ["Tanh.backward", "h[3] tanh"]
    assert frames[0]["line"] == TANH
    np.testing.assert_allclose(editor.array(editor.rows("Locals")["grad"]), LOOP.dh[3])


@pytest.mark.parametrize(("name", "step"), [
    ("op tanh", "h[4] tanh"), ("signal h", "h[4] tanh"), ("node h[2]", "h[2] tanh"), ("h[2]", "h[2] tanh"),
    ("tanh", "h[4] tanh"), ("t 3", "h[3] tanh"), ("param U", "U @ h[3]  t = 4"), ("U", "U @ h[3]  t = 4")])
def test_function_breakpoints_are_names(editor: Editor, name: str, step: str) -> None:
    [place] = editor.ask("setFunctionBreakpoints", breakpoints=[{"name": name}])["breakpoints"]
    assert place["verified"]
    assert editor.move("continue")["reason"] == "function breakpoint"
    assert editor.top()["name"] == step


def test_a_function_breakpoint_with_an_unknown_name_names_known_ones(editor: Editor) -> None:
    names = ["op tan", "signal k", "norm = 3", "jump around"]
    places = editor.ask("setFunctionBreakpoints", breakpoints=[{"name": name} for name in names])["breakpoints"]
    assert not any(place["verified"] for place in places)
    assert "tanh" in places[0]["message"] and "there is h" in places[1]["message"]
    assert "norm needs a comparison" in places[2]["message"] and "not a kind of breakpoint" in places[3]["message"]


def test_numbers_of_breakpoints_are_unique_and_stay(editor: Editor, model: Path) -> None:
    first, second = set_lines(editor, model, {"line": EQUATION}, {"line": LOSS})
    third, = editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op tanh"}])["breakpoints"]
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert set_lines(editor, model, {"line": LOSS})[0]["id"] == second["id"]


def test_a_later_line_of_a_derivative_is_where_the_pass_stops(editor: Editor) -> None:
    editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "op matvec"}])
    editor.move("continue")
    editor.ask("setFunctionBreakpoints", breakpoints=[])
    editor.move("stepIn")
    first = editor.top()["line"]
    editor.move("next")
    second = editor.top()["line"]
    assert second != first
    editor.move("minigradGoto", step=0)
    set_lines(editor, OPS, {"line": second})
    editor.move("continue")
    assert (editor.top()["name"], editor.top()["line"]) == ("MatVec.backward", second)


def test_requests_that_come_while_the_pass_moves_are_answered(editor: Editor) -> None:
    numbers = [editor.send(command, {"threadId": 1}) for command in ["next", *["stackTrace"] * 30, "threads"]]
    assert [editor.response(number)["command"] for number in numbers[-1:]] == ["threads"]
    answered = {message["request_seq"] for message in editor.history if message["type"] == "response"}
    assert set(numbers) <= answered
    editor.wait("stopped")


# ---- expressions
def test_expressions_see_the_step_the_tensors_and_the_program(editor: Editor) -> None:
    to_h3(editor)
    np.testing.assert_allclose(editor.value("grad * (1 - out ** 2)"), LOOP.ds[3])
    np.testing.assert_allclose(editor.value("U.data @ h[2].data"), LOOP.U @ LOOP.h[2])
    np.testing.assert_allclose(editor.value("data[2]"), LOOP.x[2])
    answer = editor.ask("evaluate", expression="np.outer(grad, out)", context="watch")
    assert answer["result"].startswith("norm ") and answer["indexedVariables"] == 3
    np.testing.assert_allclose(editor.array({**answer, "value": answer["result"]}), np.outer(LOOP.dh[3], LOOP.h[3]))


def test_the_console_runs_statements(editor: Editor) -> None:
    to_h3(editor)
    assert editor.ask("evaluate", expression="mine = grad.sum()", context="repl")["result"] == ""
    assert editor.value("mine") == pytest.approx(LOOP.dh[3].sum())
    editor.ask("evaluate", expression="print('shown')", context="repl")
    assert editor.output("stdout").endswith("shown\n")


def test_an_error_in_an_expression_is_one_line(editor: Editor) -> None:
    to_h3(editor)
    assert editor.refused("evaluate", expression="1/0", context="watch") == "ZeroDivisionError: division by zero"
    assert "not a Python expression" in editor.refused("evaluate", expression="(1", context="watch")
    assert "SyntaxError" in editor.refused("evaluate", expression="if:", context="repl")


def test_the_mouse_runs_no_code(editor: Editor) -> None:
    to_h3(editor)
    assert editor.ask("evaluate", expression="h[2]", context="hover")["result"].startswith("h[2] tanh (3,)")
    assert editor.ask("evaluate", expression="grad[0]", context="hover")["result"] == str(LOOP.dh[3][0])
    assert "only names" in editor.refused("evaluate", expression="print(1)", context="hover")
    assert "NameError" in editor.refused("evaluate", expression="nowhere", context="hover")


def test_completion(editor: Editor) -> None:
    to_h3(editor)
    targets = editor.ask("completions", text="grad + contr", column=13)["targets"]
    assert targets == [{"label": "contributions", "start": 7, "length": 5}]
    labels = [target["label"] for target in editor.ask("completions", text="np.linalg.no", column=13)["targets"]]
    assert "norm" in labels


# ---- refusals
def test_unknown_requests_and_arguments_of_a_wrong_type_are_refused(editor: Editor) -> None:
    assert editor.refused("jump") == "this debugger has no request 'jump'"
    for command, arguments in [("scopes", {}), ("variables", {"variablesReference": "x"}), ("evaluate", {}),
                               ("stackTrace", {"startFrame": "x"}), ("setBreakpoints", {"source": 3}),
                               ("setBreakpoints", {"source": {"name": "untitled"}}), ("goto", {"targetId": []}),
                               ("setFunctionBreakpoints", {"breakpoints": [3]}), ("completions", {"text": 1})]:
        editor.refused(command, **arguments)
    assert not editor.response(editor.send("scopes", [1, 2]))["success"]
    assert editor.top()["name"] == "backward()"


REQUESTS = ["threads", "stackTrace", "scopes", "variables", "evaluate", "completions", "exceptionInfo", "gotoTargets",
            "setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints", "setVariable", "setExpression",
            "next", "stepIn", "stepOut", "stepBack", "reverseContinue", "goto", "restartFrame", "minigradGoto",
            "minigradGraph", "source", "modules", "launch", "attach", "configurationDone"]
MOVES = {"next", "stepIn", "stepOut", "stepBack", "reverseContinue", "goto", "restartFrame", "minigradGoto"}
VALUES = [0, 1, 2, 5, 9, -1, 3.5, 10 ** 30, "", "x", "grad", "h[3]", "op tanh", "(", None, True, [], [1], [{}], {},
          {"path": "model.py"}, [{"line": 10}], [{"line": "x", "condition": "1"}], [{"name": "U"}], ["nan"]]
KEYS = ["threadId", "frameId", "variablesReference", "expression", "context", "source", "breakpoints", "filters",
        "filterOptions", "line", "text", "column", "targetId", "step", "pass", "start", "count", "startFrame", "levels"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_asked_each_request_has_one_answer(editor: Editor, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(150):
        command = REQUESTS[rng.integers(len(REQUESTS))]
        keys = rng.choice(KEYS, size=rng.integers(6), replace=False)
        answer = editor.response(editor.send(command, {key: VALUES[rng.integers(len(VALUES))] for key in keys}))
        assert answer["command"] == command
        assert answer["success"] or answer["message"]
        if command in MOVES and answer["success"]:
            editor.wait("stopped")
            editor.move("minigradGoto", step=int(rng.integers(10)))  # away from the end, which ends the pass
    answers = [message["request_seq"] for message in editor.history if message["type"] == "response"]
    assert answers == list(range(1, editor.sequence + 1))
