"""The debugger of backward passes: golden sessions, moving in both directions, breakpoints, the terminal.

A golden session is a file of tests/cases/sessions that reads like a terminal: the script after `$ cat`,
then the session. The text after each prompt is given by --commands; the output must be equal, numbers
to 3 % (the last digit printed may differ between machines).
"""

from __future__ import annotations

import bdb
import os
import re
import select
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import elman
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import assert_same_gradients, random_graph

import minigrad as mg
import viz
from minigrad import Tensor, backward
from minigrad.debugger.breakpoints import parse
from minigrad.debugger.commands import Debugger, set_trace
from minigrad.debugger.jacobian import local_jacobian
from minigrad.debugger.timeline import Timeline

ROOT = Path(__file__).parents[2]
SESSIONS = sorted((ROOT / "tests" / "cases" / "sessions").glob("*.txt"))
PROMPT = "(grad) "
SCRIPT = """import minigrad as mg
w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
y = mg.tanh(w * w)
y.name = "y"
y.sum().backward()
print("w.grad", w.grad)
"""


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "minigrad.debugger", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def debug(folder: Path, script: str, *commands: str, stdin: str = "", before: tuple[str, ...] = (),
          arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a script under the debugger, with commands given by -c."""
    (folder / "script.py").write_text(script, encoding="utf-8")
    given = [word for command in commands for word in ("-c", command)]
    return subprocess.run(command_line(*before, *given, "script.py", *arguments), cwd=folder, env=environment(),
                          input=stdin, capture_output=True, text=True, check=False, timeout=60)


def talk(loss: Tensor, *commands: str) -> str:
    """Return the output of a session in this process: the commands, then `continue`."""
    out = StringIO()
    set_trace(loss, commands=[*commands, "clear", "continue", "continue"], stdin=StringIO(), stdout=out)
    return out.getvalue()


def recurrence(T: int = 3) -> tuple[Any, Tensor]:
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(T, 2, 3)))
    return run, (run["y"].stack() ** 2).sum()


def alike(ours: str, golden: str) -> None:
    number = re.compile(r"(?<![\w.])-?\d+\.\d*(?:e[-+]\d+)?")
    for line, expected in zip(ours.splitlines(), golden.splitlines()):
        assert number.sub("#", line).split() == number.sub("#", expected).split()
        found, wanted = ([float(word) for word in number.findall(text)] for text in (line, expected))
        np.testing.assert_allclose(found, wanted, rtol=0.03, atol=2e-4 if "[" in line else 0, err_msg=line)
    assert len(ours.splitlines()) == len(golden.splitlines())


# ---- golden sessions
@pytest.mark.parametrize("path", SESSIONS, ids=[path.stem for path in SESSIONS])
def test_a_session_prints_the_recorded_output(path: Path, tmp_path: Path) -> None:
    program, command, golden = re.split(r"(\$ python -m minigrad.debugger .*\n)", path.read_text(encoding="utf-8"))
    name = command.split()[-1]
    source = program.partition("\n")[2] or (ROOT / "examples" / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(source, encoding="utf-8")
    commands = [line[len(PROMPT):] for line in golden.splitlines() if line.startswith(PROMPT)]
    (tmp_path / "commands.txt").write_text("# recorded\n" + "\n".join(commands), encoding="utf-8")
    done = subprocess.run(command_line("--commands", "commands.txt", name), cwd=tmp_path, env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", check=False)
    alike(done.stdout, golden)
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert done.returncode == 0


# ---- moving in both directions
MOVES = st.lists(st.one_of(
    st.sampled_from(["step", "step 3", "back", "back 2", "reverse-continue", "until", "until op tanh", "until nan",
                     "break op mul", "break norm > 0.5", "clear", "goto 0", "", "jacobian", "print", "grads", "where"]),
    st.integers(0, 30).map("goto {}".format)), max_size=15)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12), MOVES)
@settings(deadline=None, max_examples=150)
def test_any_walk_ends_in_the_gradients_of_backward(choices: list[tuple[int, int, int]], moves: list[str]) -> None:
    with np.errstate(all="ignore"):
        leaves, out = random_graph(choices)
        twins, twin = random_graph(choices)
        for x in (*leaves, *twins):
            x.grad = np.array([0.25, 3.0])  # from a pass before
        out.backward()
        talk(twin, *moves)
    assert_same_gradients([(out, twin), *zip(leaves, twins)])


def test_each_position_has_the_same_gradients_in_both_directions() -> None:
    run, loss = recurrence()
    run.parameters["V"].register_hook(np.negative)  # called after the last step, which V has no part in
    timeline = Timeline(loss)

    def gradients() -> list[bytes | None]:
        return [None if x.grad is None else x.grad.tobytes() for x in timeline.tensors]

    first = [gradients()]
    while timeline.forward():
        first.append(gradients())
    for moment in reversed(first[:-1]):
        assert timeline.back() and gradients() == moment
    for moment in first[1:]:
        assert timeline.forward() and gradients() == moment


def test_going_back_and_forward_calls_no_hook_again() -> None:
    seen: list[float] = []

    def record(grad: Any) -> None:
        seen.append(float(grad))

    x = Tensor(2.0, requires_grad=True)
    y = x * 3.0
    x.register_hook(record)
    y.register_hook(record)
    talk(y * y, "step 9", "goto 0", "step 9", "back", "step")
    assert seen == [12.0, 36.0]


def test_a_tensor_twice_an_input_gets_two_contributions_that_stay_as_they_were() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    timeline = Timeline((x * x + x * 3.0).sum())
    while timeline.forward():
        pass
    assert [use.contribution.tolist() for use in timeline.uses(x) if use.contribution is not None] == [
        [3.0, 3.0], [1.0, 2.0], [1.0, 2.0]]


def test_quitting_leaves_every_gradient_as_it_was() -> None:
    run, loss = recurrence()
    parameters = list(run.parameters.values())
    for x in parameters:
        x.grad = np.ones(x.shape)
    before = [x.grad for x in parameters]
    with pytest.raises(bdb.BdbQuit):
        set_trace(loss, commands=["step 20", "quit"], stdout=StringIO())
    assert all(x.grad is grad for x, grad in zip(parameters, before)) and run["h"][3].grad is None


# ---- breakpoints
def stops(loss: Tensor, place: str) -> list[str]:
    """Return the steps at which a breakpoint stops, as the session prints them."""
    out = StringIO()
    debugger = Debugger([f"break {place}", *["continue"] * 60], StringIO(), out)
    debugger.backward(loss)
    return re.findall(r"^step \d+ of \d+  (.*?) \(.*\)  .*$", out.getvalue(), re.MULTILINE)


@pytest.mark.parametrize(("place", "expected"), [
    ("node h[2]", ["t=2  h[2] tanh"]),
    ("node h", ["t=3  h[3] tanh", "t=2  h[2] tanh", "t=1  h[1] tanh"]),
    ("signal h", ["t=3  h[3] tanh", "t=2  h[2] tanh", "t=1  h[1] tanh"]),
    ("op TANH", ["t=3  h[3] tanh", "t=2  h[2] tanh", "t=1  h[1] tanh"]),
    ("param U", ["t=3  U @ h[2]", "t=2  U @ h[1]", "t=1  U @ h[0]"]),
    ("t 2", ["t=2  y[2] matvec"]),
    ("python t == 2 and signal == 'h' and op == 'tanh' and norm > 0 and grad.ndim and step.number and np.pi",
     ["t=2  h[2] tanh"]),
    ("norm < 1e-9", []),
    ("norm>1e9", []),
    ("zero", ["t=1  U @ h[0]"]),  # h[0] is zero, so the contribution to U is
    ("nan", []),
])
def test_a_breakpoint_of_every_kind(place: str, expected: list[str]) -> None:
    assert stops(recurrence()[1], place) == expected


def test_norms_stop_where_a_gradient_is_longer_or_shorter() -> None:
    w = Tensor([1.0], requires_grad=True, name="w")
    assert stops(((w * 100.0) * 0.001).sum(), "norm < 0.01") == ["w * 100"]
    assert stops(((w * 0.001) * 100.0).sum(), "norm > 50") == ["w * 0.001"]


def test_a_gradient_that_becomes_zero_in_a_relu() -> None:
    w = Tensor([-1.0, -2.0], requires_grad=True, name="w")
    text = talk(mg.relu(w * 2.0).sum(), "break zero", "continue", "jacobian")
    assert "the contribution to w * 2 is exactly zero, the upstream gradient isn't" in text
    assert "nothing passes: every derivative is exactly zero" in text


def nan_text(loss: Tensor) -> str:
    with np.errstate(all="ignore"):
        return talk(loss, "break nan", "continue")


def test_the_first_nan_in_the_forward_data() -> None:
    with np.errstate(all="ignore"):
        w = Tensor([-1.0, 4.0], requires_grad=True, name="w")
        text = nan_text((mg.log(w * 1.0) * 2.0).sum())
    assert re.search(r"a NaN first appears in the forward data of log\(w \* 1\) at test_debugger.py:\d+\n"
                     r"step 3 of 4", text)


def test_the_first_nan_in_the_data_that_the_user_gave() -> None:
    w = Tensor([np.nan, 4.0], requires_grad=True, name="w")
    assert re.search(r"w \(test_debugger.py:\d+\) contains a NaN from the beginning; used by w \* 2 at",
                     nan_text((w * 2.0 * 3.0).sum()))


def test_the_first_nan_in_a_contribution() -> None:
    w = Tensor([0.0, 4.0], requires_grad=True, name="w")
    text = nan_text((mg.sqrt(w) * np.array([0.0, 1.0]) * 2.0).sum())  # 0 times an infinite slope
    assert "in the contribution of Sqrt.backward to w: the upstream gradient has none\nstep 4 of 4" in text


def test_a_nan_is_reported_where_it_first_appears_and_not_where_it_is_passed_on() -> None:
    w = Tensor([0.0, 4.0], requires_grad=True, name="w")
    with np.errstate(all="ignore"):
        assert stops((mg.sqrt(w * 1.0) * np.array([0.0, 1.0])).sum(), "nan") == ["sqrt(w * 1)"]


def test_the_first_nan_in_a_sum_of_contributions() -> None:
    w = Tensor([0.0], requires_grad=True, name="w")
    text = nan_text((mg.sqrt(w) - mg.sqrt(w)).sum())  # inf - inf
    assert "a NaN first appears in the sum of the contributions to w: none of them has one" in text


def test_until_a_parameter_shows_its_contributions_by_time_and_the_running_sum() -> None:
    run, loss = recurrence()
    text = talk(loss, "until param U", "", "", "print U.grad")
    table = re.findall(r"^    t=(\d) .*adds (\S+)  sum (\S+)$", text.split("contributions so far: 3")[1], re.MULTILINE)
    assert [row[0] for row in table] == ["3", "2", "1"]
    each = run.contributions("U")
    np.testing.assert_allclose([float(row[1]) for row in table],
                               [np.linalg.norm(each[k]) for k in (2, 1, 0)], rtol=0.06, atol=1e-12)
    np.testing.assert_allclose([float(row[2]) for row in table],
                               [np.linalg.norm(each[k:].sum(0)) for k in (2, 1, 0)], rtol=0.06)


def test_a_condition_that_raises_is_reported_once_and_not_met() -> None:
    text = talk(recurrence()[1], "break python t > 1", "until t 3")
    assert text.count("the condition of breakpoint 1 raises an error:\n    step 1: TypeError") == 1
    assert "time step 3 begins" in text and "breakpoint 1: t > 1" in text


def test_an_unknown_name_in_a_condition_stops_the_pass() -> None:
    text = talk(recurrence()[1], "break tanh, nonsense > 1", "continue")
    assert "*** the condition of breakpoint 1 raises an error:\n    step 5: NameError: name 'nonsense'" in text
    assert re.search(r"^breakpoint 1: operation tanh\nstep 5 of", text, re.MULTILINE)


def test_breakpoints_apply_to_later_passes_which_stop_only_there() -> None:
    out = StringIO()
    debugger = Debugger(["break param w", "continue", "continue", "clear", "continue"], StringIO(), out)
    w = Tensor([1.0], requires_grad=True, name="w")
    for _ in range(3):
        debugger.backward((w * 2.0).sum())
    assert re.findall(r"^backward pass \d", out.getvalue(), re.MULTILINE) == ["backward pass 1", "backward pass 2"]
    np.testing.assert_array_equal(w.grad, [6.0])


# ---- inspection
@pytest.mark.parametrize("name", ["tanh", "softmax", "product", "transposed", "sum", "stack", "leaf", "columns"])
def test_the_jacobian_is_that_of_central_differences(name: str) -> None:
    leaf = Tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True)
    w = leaf * 1.0
    out = {"tanh": mg.tanh(w), "softmax": mg.softmax(w), "product": w @ np.arange(12.0).reshape(3, 4),
           "transposed": w.T, "sum": w.sum(axis=0), "stack": mg.stack([w, leaf]), "leaf": mg.exp(leaf.T),
           "columns": mg.cumsum(w, axis=0)}[name]
    timeline = Timeline((out * 1.0).sum())
    while timeline.current is None or timeline.current.node is not out:
        timeline.forward()
    found = local_jacobian(timeline.current, 0)
    assert found is not None
    assert found.all_inputs == (name not in ("tanh", "softmax", "product", "leaf"))  # rows that don't mix
    op, others = out.op, [x.data for x in out.inputs[1:]]
    x = out.inputs[0].data.copy()
    columns = []
    for element in range(x.size):
        high, low = x.copy(), x.copy()
        high.flat[element] += 1e-6
        low.flat[element] -= 1e-6
        columns.append((op.forward(high, *others) - op.forward(low, *others)) / 2e-6)
    full = np.stack(columns, axis=-1).reshape(*out.shape, *x.shape)
    if found.row is not None:
        full = full[found.row] if found.all_inputs else full[found.row][..., found.row, :]
    np.testing.assert_allclose(found.matrix.ravel(), full.ravel(), atol=1e-8)


def test_a_jacobian_that_would_be_too_large_is_not_computed() -> None:
    w = Tensor(np.ones(2000), requires_grad=True, name="w")
    assert "2,000 x 2,000 numbers, too many" in talk(mg.tanh(w).sum(), "step 2", "jacobian")


def test_list_shows_the_users_line_and_the_derivatives_own_source() -> None:
    text = talk(recurrence()[1], "until op tanh", "list")
    assert re.search(r"definitions.py:\d+: h\[t\] = .*\nops.py: Tanh\(\)\n", text)
    assert re.search(r"\n +\d+ +def backward.*\n +\d+ -> +return grad \*", text)


def test_print_and_grads() -> None:
    text = talk(recurrence()[1], "print", "until h[2]", "print out", "p inputs", "p totals", "p h[3]", "p U.data",
                "p h", "p nobody", "grads h*", "grads zz")
    assert "*** no step has run yet" in text
    assert re.search(r"h\[3\]\.data \(2, 4\)  norm .*\n.*\n.*\nh\[3\]\.grad \(2, 4\)  norm", text)
    assert "*** h is several tensors: h[3], h[2], h[1]; choose one" in text
    assert "*** nothing is called 'nobody' in this pass" in text
    assert re.search(r"h\[1\]  \(2, 4\)  \|g\| \S+ +(from .*so far|not yet)", text)
    assert "*** no named tensor matches 'zz'" in text


def test_the_former_name_of_contributions_still_prints_them() -> None:
    new, old = (talk(recurrence()[1], "step 4", f"print {word}") for word in ("contributions", "shares"))
    assert old.replace("print shares", "print contributions") == new and "added to " in new


def test_graph_writes_a_picture_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "now.svg"
    text = talk(recurrence(1)[1], "step 4", f"graph {file}")
    if "written" in text:
        assert f"written: {file}" in text and file.stat().st_size > 1000
    else:
        assert "***" in text  # nothing paints here: said in a line


def test_graph_marks_the_step_that_has_just_run(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr("viz.render.digraph.Picture.render", lambda self, **options: drawn.append(self.source))
    loss = mg.tanh(Tensor([1.0, 2.0], requires_grad=True)).sum()
    talk(loss, "step 2", "graph")
    assert re.findall(r'label="(\w+)[^]]*penwidth="4"', "".join(drawn)) == ["tanh"]


def test_only_tensors_of_a_graph_can_be_marked() -> None:
    with pytest.raises(ValueError, match=r"highlight= takes tensors of this graph; not in it: <other"):
        viz.graph(Tensor(1.0), highlight=[Tensor(1.0, name="other")])


def test_graph_without_viz_names_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viz", None)
    assert "*** no picture: viz:graph can't be imported" in talk(recurrence(1)[1], "graph")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **group: ())
    assert "*** no picture: no installed distribution registers 'graph'" in talk(recurrence(1)[1], "graph")


# ---- errors are one line
@pytest.mark.parametrize(("command", "answer"), [
    ("frobnicate", "no command 'frobnicate'; 'help' lists the commands"),
    ("brake", "no command 'brake'; did you mean break? 'help' lists the commands"),
    ("step x", "'x' is not a number of steps: write a whole number"),
    ("step 0", "a number of steps is 1 or more"),
    ("back", "this is the start of the backward pass"),
    ("goto 999", "there is no step 999"),
    ("goto", "write: goto N, with the number of a step, 0 to 21"),
    ("break sometimes", "no tensor or operation is called 'sometimes' in this pass; there is U"),
    ("break every time", "'every' is not a kind of breakpoint; the kinds are: node NAME"),
    ("break line 3", "no operation of this pass was computed"),
    ("break nowhere.py:3", "no operation of this pass was computed in nowhere.py; the files are definitions.py"),
    ("break definitions.py:1", "no operation of this pass was computed at definitions.py:1; lines with operations are"),
    ("break nan, t ==", "not a Python expression"),
    ("break exploding soon", "'soon' is not a number"),
    ("tbreak", "write: tbreak WHERE"),
    ("condition 7 t == 3", "there is no breakpoint 7"),
    ("condition", "'' is not the number of a breakpoint"),
    ("ignore 1 x", "there is no breakpoint 1"),
    ("enable 3", "there is no breakpoint 3"),
    ("commands", "there is no breakpoint 0"),
    ("undisplay 2", "there is no display 2"),
    ("display nonsense", "NameError: name 'nonsense' is not defined"),
    ("up", "no step has run yet"),
    ("args", "no step has run yet"),
    ("!", "write a Python statement"),
    ("!x = = 3", "SyntaxError"),
    ("print 1 / 0", "ZeroDivisionError: division by zero"),
    ("break node", "write: node NAME"),
    ("break nan now", "nan takes no argument, not 'now'"),
    ("break node hh", "no tensor is called 'hh' in this pass; there is h"),
    ("break node U", "U is a leaf and has no step of its own: 'param U' stops at each contribution to it"),
    ("break op tan", "no operation 'tan' in this pass; there is tanh"),
    ("break t 17", "there is no t = 17 in this pass: there are t = 1 to 3"),
    ("break signal q", "there is no signal 'q' in this pass; there is h, y"),
    ("break norm 3", "norm needs a comparison: 'norm > 10' or 'norm < 1e-6'"),
    ("break norm > much", "'much' is not a number"),
    ("break python 1 +", "not a Python expression"),
    ("clear 7", "there is no breakpoint 7"),
    ("until nowhere", "no tensor is called 'nowhere' in this pass"),
    ("help frob", "no command 'frob'"),
    ("jacobian", "no step has run yet: 'step' runs the first"),
    ("list", "no step has run yet"),
])
def test_an_invalid_command_prints_one_line_and_the_session_continues(command: str, answer: str) -> None:
    lines = talk(recurrence()[1], command, "step").splitlines()
    said = lines[lines.index(PROMPT + command) + 1:lines.index(PROMPT + "step")]
    assert len(said) == 1 and said[0].startswith("*** ") and answer in said[0]
    assert "step 1 of" in lines[lines.index(PROMPT + "step") + 1]


def test_until_a_tensor_that_was_passed_names_its_step() -> None:
    assert "*** h[3] was passed at step" in talk(recurrence()[1], "until h[2]", "until h[3]")


def test_each_command_has_its_help() -> None:
    text = talk(recurrence(1)[1], "help", "help step", "?rc", "h b")
    for name in ("step", "reverse-continue", "jacobian", "quit"):
        assert re.search(rf"^    {name} +\w", text, re.MULTILINE)
    assert "short: s n next" in text and "short: rc" in text and "python CONDITION  a Python" in text


def test_a_step_that_raises_is_reported_and_the_program_gets_its_error() -> None:
    class Broken(mg.Op):
        def forward(self, x: Any) -> Any:
            return x * 2

        def backward(self, grad: Any, out: Any, x: Any) -> Any:
            raise ArithmeticError("no derivative today")

    w = Tensor([1.0], requires_grad=True, name="w")
    w.grad = before = np.array([7.0])
    broken = mg.apply(Broken(), w * 1.0)
    loss = (broken * w).sum()
    out = StringIO()
    with pytest.raises(ArithmeticError, match="no derivative today"):
        set_trace(loss, commands=["continue", "step", "back", "continue", "continue"], stdin=StringIO(), stdout=out)
    assert out.getvalue().count("*** step 3 can't run: ArithmeticError: no derivative today") == 2
    assert "*** the next step can't run" in out.getvalue()
    assert w.grad is before and broken.grad is None and loss.grad is None


def test_a_parsed_breakpoint_reads_as_it_was_written() -> None:
    assert [str(parse(text)) for text in ("node h[3]", "norm  >  2", "zero", "t 3")] == [
        "node h[3]", "norm > 2", "zero", "t 3"]


# ---- programs
def test_the_script_is_main_with_its_own_arguments_folder_and_ending(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 5\n")
    script = SCRIPT + "import sys, beside\nprint(__name__, sys.argv, beside.value)\nsys.exit(3)\n"
    done = debug(tmp_path, script, "continue", arguments=("-c", "two words"))
    assert done.stdout.endswith("__main__ ['script.py', '-c', 'two words'] 5\n")
    assert (done.returncode, done.stderr) == (3, "")


def test_a_pipe_gives_the_commands_and_its_end_quits(tmp_path: Path) -> None:
    done = debug(tmp_path, SCRIPT, stdin="step\n\nback\n")
    assert re.findall(r"^step \d", done.stdout, re.MULTILINE) == ["step 1", "step 2", "step 1"]
    assert "\x1b" not in done.stdout and "w.grad" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_of_the_command_line_come_before_those_of_a_file_and_of_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("# a comment\n\nstep 2\n")
    done = debug(tmp_path, SCRIPT, "step", stdin="where\ncontinue\n", before=("--commands", "file.txt"))
    assert re.findall(r"^\(grad\) (.*)$", done.stdout, re.MULTILINE) == ["step", "step 2", "where", "continue"]
    assert "w.grad [" in done.stdout


def test_a_script_that_raises_shows_its_own_frames_alone(tmp_path: Path) -> None:
    done = debug(tmp_path, SCRIPT + "def inner():\n    1 / 0\ninner()\n", "continue")
    assert done.returncode == 1
    assert re.findall(r'File "(?:.*[/\\])?(.*?)", line (\d+)', done.stderr) == [("script.py", "9"), ("script.py", "8")]
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_an_error_of_backward_itself_shows_no_frame_of_the_debugger(tmp_path: Path) -> None:
    done = debug(tmp_path, "import minigrad as mg\n(mg.Tensor([1.0, 2.0], requires_grad=True) * 2.0).backward()\n")
    assert "starts from a single number" in done.stderr and done.returncode == 1
    assert all(file not in done.stderr for file in ("runner.py", "commands.py", "session.py", "timeline.py"))


def test_a_script_that_cannot_be_compiled(tmp_path: Path) -> None:
    done = debug(tmp_path, "x = (\n")
    assert done.returncode == 1 and "SyntaxError" in done.stderr and "runpy" not in done.stderr


def test_a_script_without_backward_says_so(tmp_path: Path) -> None:
    done = debug(tmp_path, "print('hello')\n")
    assert done.stdout == "hello\nscript.py has ended and never called backward()\n"
    assert done.returncode == 0


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    done = debug(tmp_path, SCRIPT, before=("--commands", "none.txt"))
    assert done.returncode == 2 and "the commands can't be read" in done.stderr
    done = subprocess.run(command_line("none.py"), cwd=tmp_path, env=environment(), capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and done.stderr == "there is no script 'none.py'\n"


def test_set_trace_in_a_program_that_runs_under_the_debugger_is_the_same_debugger(tmp_path: Path) -> None:
    script = SCRIPT + "from minigrad.debugger import set_trace\nset_trace((w * 3.0).sum())\n"
    done = debug(tmp_path, script, "break param w", "continue", "continue", "break", "continue", "continue")
    assert "backward pass 2, called at script.py:8" in done.stdout
    assert "(grad) break\n    1  param w  hits: 1\n" in done.stdout


def test_a_closed_pipe_ends_the_session_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(command_line("script.py"), cwd=tmp_path, env=environment(), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write("step\n" * 20)
    process.stdin.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(20) == 0


def test_afterwards_backward_is_the_plain_one(tmp_path: Path) -> None:
    from minigrad.debugger.runner import run

    (tmp_path / "script.py").write_text(SCRIPT)
    before, out = backward.backward, StringIO()
    assert run(str(tmp_path / "script.py"), [], Debugger(["continue"], StringIO(), out)) == 0
    assert backward.backward is before is Tensor.backward and Debugger.installed is None
    assert "start of the backward pass" in out.getvalue()


# ---- a terminal
LAUNCH = ("import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
          "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])")


class Pty:
    """A program on a real pseudo-terminal, which it controls."""

    def __init__(self, folder: Path, script: str) -> None:
        import pty
        import termios

        (folder / "script.py").write_text(script)
        self.ours, self.theirs = pty.openpty()
        self.modes = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, "-m", "minigrad.debugger", "script.py"], cwd=folder,
            env={**environment(), "TERM": "xterm"}, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True)
        self.text = ""

    def until(self, wanted: str) -> str:
        """Return the output up to a text."""
        end = time.monotonic() + 20
        while wanted not in self.text:
            ready, _, _ = select.select([self.ours], [], [], max(end - time.monotonic(), 0))
            assert ready, f"{wanted!r} never came: {self.text!r}"
            self.text += os.read(self.ours, 4096).decode()
        found, _, self.text = self.text.partition(wanted)
        return found + wanted

    def send(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def end(self) -> int:
        """Wait for the end; the terminal must be in its former state."""
        import termios

        code = self.process.wait(20)
        assert termios.tcgetattr(self.theirs) == self.modes
        return code

    def __enter__(self) -> Pty:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")


@terminal
def test_a_session_on_a_terminal(tmp_path: Path) -> None:
    pytest.importorskip("readline")
    with Pty(tmp_path, SCRIPT.replace('"y"', '"y[1]"')) as pty:
        pty.until(PROMPT)
        pty.send("step\r")
        assert "step 1 of 3" in pty.until(PROMPT)
        pty.send("\r")  # Enter repeats
        assert "step 2 of 3" in pty.until(PROMPT)
        time.sleep(0.2)  # readline misses keys between the prompt and its waiting
        pty.send("\x03")  # Ctrl-C
        pty.until("--KeyboardInterrupt--")
        pty.until(PROMPT)
        pty.send("rev\t\r")  # the tab key
        assert "start of the backward pass" in pty.until(PROMPT)
        pty.send("unt y[\t\r")
        assert "the gradient of y[1]" in pty.until(PROMPT)
        pty.send("break ze\t\r")
        assert "breakpoint 1: zero" in pty.until(PROMPT)
        pty.send("\x1b[A\r")  # history
        assert "breakpoint 2: zero" in pty.until(PROMPT)
        pty.send("\x04")  # Ctrl-D
        assert pty.end() == 0


@terminal
def test_a_program_continues_after_the_terminal_session(tmp_path: Path) -> None:
    with Pty(tmp_path, SCRIPT + "answer = input('more? ')\nprint('answer:', answer)\n") as pty:
        pty.until(PROMPT)
        pty.send("c\r")
        assert "w.grad" in pty.until("more? ")
        pty.send("yes\r")
        pty.until("answer: yes")
        assert pty.end() == 0


@terminal
def test_ctrl_c_in_a_long_pass_stops_between_two_steps(tmp_path: Path) -> None:
    slow = SCRIPT.replace("y.sum()", "y.register_hook(wait)\nfor _ in range(300): y = y + 0.0; y.register_hook(wait)\n"
                          "y.sum()").replace("w =", "import time\ndef wait(grad): time.sleep(0.05)\nw =")
    with Pty(tmp_path, slow) as pty:
        pty.until(PROMPT)
        pty.send("c\r")
        time.sleep(0.4)
        pty.send("\x03")
        pty.until("--KeyboardInterrupt--")
        assert re.search(r"step \d+ of 30\d ", pty.until(PROMPT))
        pty.send("goto 0\r")
        assert "start of the backward pass" in pty.until(PROMPT)
        pty.send("q\r")
        assert pty.end() == 0


@terminal
def test_a_script_that_raises_leaves_the_terminal_in_order(tmp_path: Path) -> None:
    with Pty(tmp_path, SCRIPT + "1 / 0\n") as pty:
        pty.until(PROMPT)
        pty.send("c\r")
        pty.until("ZeroDivisionError")
        assert pty.end() == 1


@terminal
def test_ctrl_c_in_the_script_ends_it_as_python_would(tmp_path: Path) -> None:
    with Pty(tmp_path, SCRIPT + "import time\nprint('busy', flush=True)\ntime.sleep(30)\n") as pty:
        pty.until(PROMPT)
        pty.send("c\r")
        pty.until("busy")
        os.killpg(pty.process.pid, signal.SIGINT)
        pty.until("KeyboardInterrupt")
        assert pty.end() == 130
