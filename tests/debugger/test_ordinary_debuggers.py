"""pdb, VS Code and PyCharm step into a backward pass: few presses, named frames, conditional breakpoints.

VS Code's debugger is debugpy; the tests speak the debug adapter protocol with it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import threading
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, ClassVar
from urllib.parse import unquote

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad import Tensor
from minigrad.debugger.variables import rows

ROOT = Path(__file__).parents[2]
TIMEOUT = 120  # seconds that a debugger may take on a busy machine

SCRIPT = textwrap.dedent("""\
    import numpy as np
    import minigrad as mg
    from rnn import Cell, t

    W = mg.Tensor(np.eye(2), requires_grad=True, name="W")
    U = mg.Tensor(np.eye(2), requires_grad=True, name="U")
    cell = Cell("elman")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    loss = mg.losses.mse(cell.unroll(x=np.ones((4, 2)))["h"].stack(), np.zeros((4, 2)))
    loss.backward()
    for step in loss.backward_steps():
        step.run()
    """)
PASS, LOOP = 11, 13  # the lines of backward() and of step.run()


def line_of(file: Path, text: str) -> int:
    """Return the number of the only line with this text."""
    [number] = [number for number, line in enumerate(file.read_text("utf-8").splitlines(), 1) if text in line]
    return number


DERIVATIVE = line_of(ROOT / "minigrad/ops.py", "return grad * (1 - out * out)")
TURN = line_of(ROOT / "minigrad/backward.py", "while node.op is not None:")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "model.py"
    file.write_text(SCRIPT, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


@pytest.fixture(scope="module")
def counter() -> ModuleType:
    """benchmarks/presses.py, which counts presses of "step into"."""
    spec = importlib.util.spec_from_file_location("presses", ROOT / "benchmarks/presses.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values) if len(values) > 1 else values[0], requires_grad=True)


def read(loss: Tensor) -> Tensor:
    """Read the number of a loss, as a program does that prints it."""
    assert loss.data == 6.0
    return loss


class TestPressesOfStepInto:
    """From the line `loss.backward()` to the first line of a derivative, as pdb's `step` counts them."""

    losses: ClassVar[dict[str, Callable[[], Any]]] = {
        "sum": lambda: np.tanh(leaf(0.5, -1.0) * leaf(2.0, 3.0) + leaf(0.1, 0.2)).sum(),
        "unrolled": lambda: mg.losses.mse(elman().unroll(x=np.ones((3, 2, 3)))["y"].stack(), np.zeros((3, 2, 2))),
        "product": lambda: leaf(2.0) * leaf(3.0),
        "penalty": lambda: mg.losses.mse(leaf(1.0, 2.0), [0.0, 0.0]) + leaf(1.0),
        "dot": lambda: (leaf(1.0, 2.0) - leaf(3.0, 4.0)) @ np.ones(2),
        "power": lambda: mg.stack([leaf(1.0), leaf(2.0)])[0] ** 2,
        "read": lambda: read(leaf(2.0) * leaf(3.0)),
    }

    @pytest.mark.parametrize("make", losses.values(), ids=losses)
    def test_are_ten_at_most_over_named_frames_with_the_operands_as_locals(
            self, make: Callable[[], Any], counter: ModuleType) -> None:
        loss = make()
        seen: dict[str, Any] = {}

        def derivative(frame: FrameType) -> bool:
            if os.path.basename(frame.f_code.co_filename) != "ops.py":
                return False
            seen.update(frame.f_locals)
            return True

        def pass_back() -> None:
            loss.backward()

        stops = counter.presses(pass_back, derivative)
        assert 0 < len(stops) <= (8 if len(loss.inputs) == 1 else 10)
        assert [stop.function for stop in stops if stop.event == "call"] == ["backward", "backward"]
        operands = [value for name, value in seen.items() if name not in ("self", "grad", "out", "needs_input_grad")]
        assert seen["grad"] == 1 and seen["out"] is loss._array
        assert all(value is x._array for value, x in zip(operands, loss.inputs))

    def test_are_counted_for_other_engines_by_a_benchmark(self, counter: ModuleType) -> None:
        _, program, derivative = counter.PROGRAMS["minigrad"]
        stops = counter.presses(program(), derivative)
        assert stops[-1].file.endswith("ops.py")
        assert counter.presses(program(), lambda frame: False) == []


class TestPdb:
    def test_the_readme_names_the_line_of_the_loop(self) -> None:
        assert re.findall(r"minigrad/backward\.py:(\d+)", (ROOT / "README.md").read_text("utf-8")) == [str(TURN)]

    def session(self, script: Path, environment: dict[str, str], *commands: str) -> str:
        """Return the output of pdb for commands that are typed at the start of the script."""
        done = subprocess.run([sys.executable, "-m", "pdb", str(script)], input="\n".join([*commands, "q"]) + "\n",
                              env=environment, cwd=script.parent, capture_output=True, encoding="utf-8",
                              timeout=TIMEOUT)
        assert not done.stderr, done.stderr
        return done.stdout

    def test_breaks_in_a_derivative_and_shows_its_operands(self, script: Path, environment: dict[str, str]) -> None:
        said = self.session(script, environment, "import minigrad", "b minigrad.ops.Tanh.backward", "c", "a", "up",
                            "p node")
        assert f"ops.py({DERIVATIVE})backward()" in said
        assert re.search(r"self = Tanh\(\)\s+grad = array\(\[.*\]\)\s+out = array\(\[.*\]\)\s+x = array\(\[", said)
        assert re.search(r"<h\[4\] tanh \(2,\)  model.py:9>", said)

    def test_breaks_by_a_condition_before_the_derivative_of_a_node(
            self, script: Path, environment: dict[str, str]) -> None:
        said = self.session(script, environment, "import minigrad",
                            f'b minigrad/backward.py:{TURN}, node.name == "h" and node.t == 3', "c", "p node",
                            "p grads[node].shape", "s", "s", "s", "s")
        assert re.search(r"\(Pdb\) <h\[3\] tanh \(2,\)  model.py:9>\s+\(Pdb\) \(2,\)", said)
        assert f"ops.py({DERIVATIVE})backward()" in said

    def test_breaks_by_a_condition_after_the_derivative_of_a_node(
            self, script: Path, environment: dict[str, str]) -> None:
        said = self.session(script, environment, "import minigrad", "b minigrad.backward.accumulate, node.t == 3",
                            "c", "a")
        assert re.search(r"accumulate\(\)", said)
        assert re.search(r"node = <h\[3\] tanh \(2,\)  model.py:9>\s+input_grads = array\(", said)

    def test_breaks_in_the_users_own_loop(self, script: Path, environment: dict[str, str]) -> None:
        said = self.session(script, environment, f"b {LOOP}, step.name == 'h' and step.t == 2", "c", "p step")
        assert re.search(r"step \d+ of \d+ \(next\): <h\[2\] tanh \(2,\) .*model.py:9>", said)


class Adapter:
    """A client of debugpy as VS Code is one: JSON messages through pipes."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "debugpy.adapter"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.watch = threading.Timer(TIMEOUT, self.process.kill)
        self.watch.start()
        self.sent = 0
        self.waiting: list[dict[str, Any]] = []  # messages that were not asked for yet

    def close(self) -> None:
        try:
            self.request("disconnect", terminateDebuggee=True)
            self.process.communicate()  # it has ended once its pipe is closed
        finally:
            self.watch.cancel()

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request without waiting for the response; return its number."""
        assert self.process.stdin is not None
        self.sent += 1
        text = json.dumps({"seq": self.sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        self.process.stdin.flush()
        return self.sent

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the body of a response."""
        number = self.send(command, **arguments)
        answer = self.message(lambda message: message.get("request_seq") == number)
        assert answer["success"], answer
        body: dict[str, Any] = answer.get("body") or {}
        return body

    def message(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that matches; keep the others."""
        for number, message in enumerate(self.waiting):
            if wanted(message):
                return self.waiting.pop(number)
        while True:
            message = self.read()
            if wanted(message):
                return message
            self.waiting.append(message)

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        for line in iter(self.process.stdout.readline, b"\r\n"):
            assert line, "the debugger has ended"
            name, _, value = line.decode().partition(":")
            length = int(value) if name == "Content-Length" else length
        found: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return found

    def launch(self, configuration: dict[str, Any], file: Path, *breakpoints: dict[str, Any]) -> None:
        """Start a program with breakpoints in `file`."""
        self.request("initialize", adapterID="debugpy", pathFormat="path")
        self.send("launch", **configuration)
        self.message(lambda message: message.get("event") == "initialized")
        verified = self.request("setBreakpoints", source={"path": str(file)}, breakpoints=breakpoints)
        assert all(place["verified"] for place in verified["breakpoints"])
        self.request("configurationDone")

    def stopped(self) -> dict[str, Any]:
        """Return the frame in which the program has stopped, once it has."""
        event = self.message(lambda message: message.get("event") in ("stopped", "terminated"))
        assert event["event"] == "stopped", "the program has ended, and never stopped"
        self.thread = event["body"]["threadId"]
        frame: dict[str, Any] = self.request("stackTrace", threadId=self.thread, levels=1)["stackFrames"][0]
        return frame

    def go(self, command: str) -> dict[str, Any]:
        """Send `stepIn` or `continue`; return the frame in which it stops."""
        self.request(command, threadId=self.thread)
        return self.stopped()

    def variables(self, reference: int) -> dict[str, dict[str, Any]]:
        """Return the rows below a variable or a scope, by name."""
        found = self.request("variables", variablesReference=reference)["variables"]
        assert len({variable["name"] for variable in found}) == len(found)  # VS Code shows no two of one name
        return {variable["name"]: variable for variable in found}

    def scope(self, frame: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the rows of the local variables of a frame."""
        return self.variables(self.request("scopes", frameId=frame["id"])["scopes"][0]["variablesReference"])

    def locals(self, frame: dict[str, Any]) -> dict[str, str]:
        """Return the local variables of a frame, as they are displayed."""
        return {name: variable["value"] for name, variable in self.scope(frame).items()}

    def expand(self, variable: dict[str, Any]) -> dict[str, str]:
        """Return the rows below a variable, as they are displayed."""
        return {name: row["value"] for name, row in self.variables(variable["variablesReference"]).items()}

    def evaluate(self, expression: str, frame: dict[str, Any]) -> str:
        """Return the value of an expression in a frame, as the watch displays it."""
        value: str = self.request("evaluate", expression=expression, frameId=frame["id"], context="watch")["result"]
        return value


def launch_json() -> dict[str, Any]:
    """Return the configuration in the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    [block] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    [configuration] = json.loads(block)["configurations"]
    return configuration  # type: ignore[no-any-return]


class TestDebugpy:
    @pytest.fixture
    def adapter(self, environment: dict[str, str]) -> Iterator[Adapter]:
        pytest.importorskip("debugpy")
        adapter = Adapter(environment)
        yield adapter
        adapter.close()

    def configuration(self, script: Path, just_my_code: bool) -> dict[str, Any]:
        """As in the README, with minigrad as an installed package; VS Code's default is justMyCode: true."""
        configuration = launch_json()
        installed = os.pathsep.join([str(ROOT), *sysconfig.get_paths().values()])
        assert configuration["justMyCode"] is False and configuration["program"] == "${file}"
        return {**configuration, "program": str(script), "justMyCode": just_my_code, "console": "internalConsole",
                "cwd": str(script.parent), "python": [sys.executable], "env": {"LIBRARY_ROOTS": installed}}

    @pytest.mark.slow
    def test_breaks_by_a_condition_in_the_users_own_loop(self, script: Path, adapter: Adapter) -> None:
        adapter.launch(self.configuration(script, just_my_code=True), script,
                       {"line": LOOP, "condition": 'step.name == "h" and step.t == 3'})
        frame = adapter.stopped()
        assert (frame["line"], os.path.basename(frame["source"]["path"])) == (LOOP, "model.py")
        assert re.fullmatch(r"step \d+ of \d+ \(next\): <\[0\.9597, 0\.9597\]  h\[3\] tanh \(2,\) .*model.py:9>",
                            adapter.locals(frame)["step"])

    @pytest.mark.slow
    def test_passes_over_an_installed_minigrad_by_default(self, script: Path, adapter: Adapter) -> None:
        adapter.launch(self.configuration(script, just_my_code=True), script, {"line": PASS})
        adapter.stopped()
        frame = adapter.go("stepIn")
        assert (frame["line"], os.path.basename(frame["source"]["path"])) == (PASS + 1, "model.py")

    def test_steps_into_a_derivative_in_ten_presses_at_most(self, script: Path, adapter: Adapter) -> None:
        adapter.launch(self.configuration(script, just_my_code=False), script, {"line": PASS})
        frame = adapter.stopped()
        presses = 0
        while os.path.basename(frame["source"]["path"]) != "ops.py":
            frame = adapter.go("stepIn")
            presses += 1
            assert presses <= 10
        assert {"grad", "out", "x"} <= set(adapter.locals(frame))

    def test_breaks_in_a_derivative_and_shows_its_operands(self, script: Path, adapter: Adapter) -> None:
        adapter.launch(self.configuration(script, just_my_code=False), ROOT / "minigrad/ops.py",
                       {"line": DERIVATIVE})
        frame = adapter.stopped()
        shown = adapter.locals(frame)
        assert frame["line"] == DERIVATIVE
        assert shown["self"] == "Tanh()"
        assert all(shown[name].startswith("array([") for name in ("grad", "out", "x"))


VARIABLES = textwrap.dedent("""\
    import numpy as np
    import minigrad as mg
    from minigrad.mutation import creation_counter
    from rnn import Cell, t

    class Scaled(mg.Tensor):
        def __repr__(self):
            return "scaled"

    W = mg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, name="W")
    scaled = Scaled([1.0, 2.0])
    large = mg.Tensor(np.zeros((600, 2)), name="large")
    cell = Cell("elman")
    x, h = cell.input("x", 3), cell.signal("h", 2)
    h[t] = np.tanh(W @ x[t] + 0.5 * h[t-1])
    run = cell.unroll(x=np.ones((4, 2, 3)), lengths=[4, 2])
    out = run["h"][3]
    loss = mg.losses.mse(run["h"].stack(), np.zeros((4, 2, 2)))
    steps = loss.backward_steps()
    steps[0].run()
    step = steps[1]
    step.run()
    pass
    steps = step = None
    W.grad = None
    loss.backward()
    """)


class TestVariables:
    """A variable that is expanded shows values that it stores; rows have a norm and, where it is short, the value."""

    @pytest.fixture
    def adapter(self, environment: dict[str, str]) -> Iterator[Adapter]:
        pytest.importorskip("debugpy")
        adapter = Adapter(environment)
        yield adapter
        adapter.close()

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "variables.py"
        path.write_text(VARIABLES, encoding="utf-8")
        return path

    @pytest.mark.slow
    def test_expanding_computes_nothing_and_shows_stored_values(self, program: Path, adapter: Adapter) -> None:
        adapter.launch(TestDebugpy().configuration(program, just_my_code=False), program,
                       {"line": line_of(program, "pass")})
        frame = adapter.stopped()
        state = "creation_counter, W.changes, loss.changes, out.changes"
        before = adapter.evaluate(state, frame)
        shown = adapter.scope(frame)
        below = {name: adapter.variables(shown[name]["variablesReference"]) for name in
                 ("W", "loss", "out", "step", "steps", "run", "cell", "h", "scaled", "large")}
        for variable in [row for found in below.values() for row in found.values()]:
            if variable["variablesReference"]:
                adapter.variables(variable["variablesReference"])
        assert adapter.evaluate(state, frame) == before and re.match(r"\(count\(\d+\), None, None, None\)", before)

        texts = {name: {key: row["value"] for key, row in found.items()} for name, found in below.items()}
        assert texts["W"]["data"] == "(2, 3)  norm 7.4e+00  [[0. 1. 2.] [3. 4. 5.]]"  # 7.4 is the root of 55
        assert not {"T", "_data", "_array", "mT"} & set(texts["W"]) and texts["W"]["grad"] == "None"
        assert re.fullmatch(r"0\.\d+", texts["loss"]["data"]) and texts["loss"]["grad"] == "1."
        assert shown["W"]["value"] == ("<[[0., 1., 2.], [3., 4., 5.]]  W (2, 3)  norm 7.4e+00  variables.py:10>")
        assert re.fullmatch(r"<0\.\d+  mean\(.*\) \(\)  \|g\| 1\.0e\+00  variables\.py:18>", shown["loss"]["value"])
        assert re.fullmatch(r"<.*h\[3\] .*norm \d.*variables\.py:15>", shown["out"]["value"])
        assert shown["scaled"]["value"] == "scaled" and texts["scaled"]["data"] == "(2,)  norm 2.2e+00  [1. 2.]"
        assert re.fullmatch(r"step 2 of \d+ \(done\): <.*square\(.*\) \(4, 2, 2\)  norm .*\|g\| 2\.5e-01.*>",
                            shown["step"]["value"])  # 16 equal numbers whose sum is 1: the norm is 1/4
        assert texts["step"]["grad"].startswith("(4, 2, 2)  norm 2.5e-01  [[[0.0625")
        assert sum(name.startswith(("input_grads[0] of", "totals[0] of")) for name in texts["step"]) == 2
        assert re.match(r"step 3 of \d+ \(next\)", texts["steps"]["next"])
        assert texts["run"]["T"] == "4" and "state" not in texts["run"]

        assert adapter.expand(below["W"]["data"]) == {
            "ndarray": "array([[0., 1., 2.],\n       [3., 4., 5.]])", "[0]": "(3,)  norm 2.2e+00  [0. 1. 2.]",
            "[1]": "(3,)  norm 7.1e+00  [3. 4. 5.]"}
        assert adapter.variables(below["W"]["data"]["variablesReference"])["[1]"]["evaluateName"] == "W.data[1]"
        many = adapter.expand(below["large"]["data"])
        assert len(many) == 502 and many["..."] == "'100 more'"

    @pytest.mark.slow
    def test_inside_of_a_pass_a_tensor_shows_its_gradient_in_this_pass(self, program: Path, adapter: Adapter) -> None:
        adapter.launch(TestDebugpy().configuration(program, just_my_code=False), ROOT / "minigrad/backward.py",
                       {"line": TURN, "condition": 'node.name == "h" and node.t == 2'})
        frame = adapter.stopped()
        norm = float(adapter.evaluate("float(np.linalg.norm(grads[node]))", frame))
        node = adapter.scope(frame)["node"]
        assert f"|g| {norm:.1e} in this pass" in node["value"] and norm > 0
        shown = adapter.expand(node)
        assert f"norm {norm:.1e}" in shown["grad (in this pass)"] and "grad" not in shown

    def test_a_program_without_minigrad_does_not_import_it(self, tmp_path: Path, adapter: Adapter) -> None:
        program = tmp_path / "other.py"
        program.write_text("import sys, fractions\nx = fractions.Fraction(1, 3)\npass\n", encoding="utf-8")
        adapter.launch(TestDebugpy().configuration(program, just_my_code=False), program, {"line": 3})
        frame = adapter.stopped()
        assert adapter.expand(adapter.scope(frame)["x"])["numerator"] == "1"
        assert adapter.evaluate("'minigrad' in sys.modules", frame) == "False"

    def test_rows_are_also_answered_by_name_as_pycharm_asks_for_them(self, environment: dict[str, str]) -> None:
        pytest.importorskip("debugpy")
        program = ("from debugpy._vendored import force_pydevd\n"
                   "from _pydevd_bundle.pydevd_xml import get_type, var_to_xml\n"
                   "import minigrad as mg\n"
                   "x = mg.Tensor([3.0, 4.0], name='x')\n"
                   "resolver = get_type(x)[2]\n"
                   "data = resolver.resolve(x, 'data')\n"
                   "print(sorted(resolver.get_dictionary(x))[:3], get_type(data)[2].resolve(data, '[1]'))\n"
                   "print(var_to_xml(x, 'x'))\n")
        done = subprocess.run([sys.executable, "-Xfrozen_modules=off", "-c", program], env=environment, timeout=TIMEOUT,
                              capture_output=True, encoding="utf-8", check=True)
        first, second = done.stdout.splitlines()[:2]
        assert first == "['changes', 'data', 'dtype'] 4.0"
        assert "[3., 4.]  x (2,)  norm 5.0e+00" in unquote(second)

    def test_a_tensor_that_is_being_made_shows_what_it_has_so_far(self) -> None:
        unfinished = Tensor.__new__(Tensor)
        unfinished.name, unfinished.order = "W", 3
        assert rows(unfinished) == [("name", "W", ".name"), ("order", 3, ".order")]

    def test_the_plugin_is_packaged_where_pydevd_looks_for_it(self) -> None:
        tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
        assert any(fnmatchcase("pydevd_plugins.extensions", pattern) for pattern in declared["include"])
        assert declared.get("namespaces", True)  # a folder without __init__.py is a namespace package
        [file] = (ROOT / "pydevd_plugins").rglob("*.py")  # an __init__.py would overwrite that of other distributions
        assert file.name.startswith("pydevd_plugin")  # others are not loaded


class TestCompiledPrograms:
    """A compiled program has no file, but debuggers show its lines."""

    PROGRAM = (
        "import numpy as np, minigrad as mg\n"
        "from rnn import Cell, t\n"
        "U = mg.Tensor(np.eye(2), requires_grad=True, name='U')\n"
        "cell = Cell('net')\n"
        "x, h, L = cell.input('x', 2), cell.signal('h', 2), cell.signal('L', ())\n"
        "h[t] = np.tanh(U @ h[t-1] + x[t])\n"
        "L[t] = h[t] @ h[t]\n"
        "fast = cell.compile('L')\n"
        "fast(x=np.ones((3, 2)))\n"
        "fast(x=np.ones((3, 2)))\n")

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "compiled.py"
        path.write_text(self.PROGRAM, encoding="utf-8")
        return path

    def test_pdb_shows_its_lines(self, program: Path, environment: dict[str, str]) -> None:
        commands = ["b 10", "c", "b fast._last.loaded.forward", "c", "ll", "q"]
        ran = subprocess.run([sys.executable, "-m", "pdb", str(program)], input="\n".join(commands) + "\n",
                             capture_output=True, text=True, env=environment, timeout=TIMEOUT, check=False)
        assert "<compiled net" in ran.stdout and "def forward(" in ran.stdout, ran.stdout + ran.stderr
        assert "copyto(arrays.x, x)" in ran.stdout

    @pytest.mark.slow
    def test_debugpy_shows_its_lines(self, program: Path, environment: dict[str, str]) -> None:
        pytest.importorskip("debugpy")
        adapter = Adapter(environment)
        try:
            adapter.launch(TestDebugpy().configuration(program, just_my_code=False), program, {"line": 10})
            adapter.stopped()
            adapter.request("setFunctionBreakpoints", breakpoints=[{"name": "run"}])  # it calls the program
            frame = adapter.go("continue")
            assert os.path.basename(frame["source"]["path"]) == "execution.py"
            for _ in range(10):
                frame = adapter.go("stepIn")
                if frame["name"] == "forward" and "compiled" in frame["source"].get("path", ""):
                    break
            source = frame["source"]
            text = adapter.request("source", source=source, sourceReference=source.get("sourceReference", 0))["content"]
            assert "def forward(" in text and text.splitlines()[frame["line"] - 1].strip()
            assert {"x", "U"} <= set(adapter.locals(frame))
        finally:
            adapter.close()
