"""The extension in a real VS Code: its buttons walk a backward pass in both directions.

The program is the first one of README.md. The numbers on the screen are compared with those of a pass that the test
process runs itself.
"""

from __future__ import annotations

import json
import platform
import re
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import FAINT, Workbench, opened_browser, server

from minigrad import Tensor
from minigrad.debugger.records import step_record
from minigrad.debugger.timeline import Timeline
from minigrad.formats.describe import tensor_summary

__all__ = ["opened_browser", "server"]  # fixtures
Open = Callable[[dict[str, str]], Workbench]
ROOT = Path(__file__).parents[2]


def readme_program() -> str:
    """Return README's first program up to its backward pass, without the pictures."""
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    program = block.split("loss.backward()")[0] + 'loss.backward()\nprint("gradient of b:", b.grad.sum())\n'
    return "\n".join(line for line in program.split("\n") if not line.startswith("viz."))


PROGRAM = readme_program()
LINES = PROGRAM.split("\n")
EQUATION = next(number for number, line in enumerate(LINES, 1) if line.startswith("h[t] ="))
BACKWARD = LINES.index("loss.backward()") + 1


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    """The same pass in this process, at its end."""
    file = tmp_path_factory.mktemp("reference") / "elman.py"
    names: dict[str, Any] = {}
    exec(compile(PROGRAM.split("loss.backward()")[0], str(file), "exec"), names)
    timeline = Timeline(names["loss"])
    for _ in timeline.run():
        pass
    return timeline


@pytest.fixture
def opened(opened_browser: Any, server: str, tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Workbench]]:
    """Opens VS Code in a folder with files. Its last picture stays beside them, for a test that fails."""
    windows: list[Workbench] = []

    def open_folder(files: dict[str, str]) -> Workbench:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        windows.append(Workbench(opened_browser, server, tmp_path))
        return windows[-1]

    yield open_folder
    for window in windows:
        window.tab.screenshot(path=tmp_path / "last.png")
        window.tab.close()
        assert window.asked == []


def norm_of(timeline: Timeline, number: int) -> float:
    return float(np.linalg.norm(timeline.steps[number - 1].grad))


def chain(timeline: Timeline, number: int) -> list[str]:
    """Return the titles of the steps from one back to the loss, by the largest contribution each time."""
    steps = [timeline.steps[number - 1]]
    while steps[-1].number > 1:
        uses = [use for use in timeline.uses(steps[-1].node) if use.step.number < number]
        steps.append(max(uses, key=lambda use: float(np.linalg.norm(use.contribution))).step)
    return [step_record(timeline, step).title for step in steps]


def norm_after(timeline: Timeline, tensor: Tensor, number: int) -> float:
    """Return the norm of the sum of all contributions up to a step."""
    return float(np.linalg.norm(sum(use.contribution for use in timeline.uses(tensor) if use.step.number <= number)))


def step_to(window: Workbench, timeline: Timeline, number: int) -> None:
    """Press Step Over from the start to a step. VS Code takes no key before it shows the stop."""
    for n in range(1, number + 1):
        window.press("F10")
        window.wait_for_stop(step_record(timeline, timeline.steps[n - 1]).title)
    window.wait_for_graph(f"^step {number} of ")


def stops_at(timeline: Timeline, line: int) -> list[int]:
    """Return the first step of each time step that was computed at a line."""
    times: dict[int | None, int] = {}
    for step in timeline.steps:
        if step.origin.line == line:
            times.setdefault(step.t, step.number)
    return list(times.values())


def check(window: Workbench, timeline: Timeline, number: int) -> None:
    """Wait for a step, and compare everything on the screen with this process's pass."""
    record = step_record(timeline, timeline.steps[number - 1])
    window.wait_for_graph(f"^step {number} of {len(timeline.steps)}: {re.escape(record.title)}$")
    window.wait_for_stop(record.title)
    value = window.wait_for_value("watch", "norm(grad)", rf"^{re.escape(f'{norm_of(timeline, number):.6g}'[:6])}")
    assert float(value) == pytest.approx(norm_of(timeline, number), rel=1e-6)
    assert window.wait_for_value("watch", "step.number", f"^{number}$")
    grad = record.gradient
    assert grad is not None
    window.wait_for_value("variables", "grad", rf"^\|g\| {re.escape(f'{norm_of(timeline, number):.1e}  {grad.shape}')}")
    window.expect(window.stack, [*chain(timeline, number), "backward()"])
    window.expect(window.line, record.line)


def test_its_buttons_walk_a_pass_in_both_directions(opened: Open, timeline: Timeline) -> None:
    window = opened({"elman.py": PROGRAM})
    window.open("elman.py")
    window.toggle_breakpoint(EQUATION)
    window.press("F5")  # without a launch.json
    window.wait_for_graph(f"^start: {len(timeline.steps)} steps$")
    for expression in ("float(np.linalg.norm(grad))", "step.number"):
        window.watch(expression)
    stops = stops_at(timeline, EQUATION)
    window.click("Continue")
    check(window, timeline, stops[0])
    window.click("Step Over")
    check(window, timeline, stops[0] + 1)
    window.click("Step Back")
    check(window, timeline, stops[0])
    window.click("Continue")
    check(window, timeline, stops[1])
    window.press("F10")
    check(window, timeline, stops[1] + 1)
    window.press("F10")
    check(window, timeline, stops[1] + 2)
    window.click("Reverse")
    check(window, timeline, stops[1])
    window.click("Reverse")
    check(window, timeline, stops[0])
    window.click("Reverse")
    window.wait_for_graph("^start: ")


def test_the_panel_shows_the_gradients_that_are_known_and_a_click_goes_to_a_step(
        opened: Open, timeline: Timeline) -> None:
    window = opened({"elman.py": PROGRAM})
    window.open("elman.py")
    window.press("F5")
    window.wait_for_graph("^start: ")
    assert window.known() == {tensor_summary(timeline.steps.out)}
    step_to(window, timeline, 6)
    reached = {x for x in timeline.tensors if any(use.step.number <= 6 for use in timeline.uses(x))}
    assert window.known() == {tensor_summary(x) for x in {*reached, timeline.steps.out} if x.op is not None}
    assert window.current_box.startswith("h[4] tanh ")
    V = next(x for x in timeline.tensors if x.name == "V")
    assert window.parameter("V") == f"{norm_after(timeline, V, 6):.3g} so far"
    assert window.parameter("W") == "not yet"
    window.box("h[2] tanh").click()
    number = next(step.number for step in timeline.steps if step.node.label == "h[2]")
    window.wait_for_graph(f"^step {number} of ")
    assert window.current_box.startswith("h[2] tanh ")
    assert window.parameter("V") == f"{norm_after(timeline, V, number):.3g} so far"
    assert window.complaints == []


def test_the_panel_can_be_closed_and_shown_again(opened: Open, timeline: Timeline) -> None:
    window = opened({"elman.py": PROGRAM})
    window.open("elman.py")
    window.press("F5")
    window.wait_for_graph("^start: ")
    window.close_tab("Graph")
    window.press("F10")
    window.wait_for_stop(step_record(timeline, timeline.steps[0]).title)
    assert not window.tab.locator("iframe.webview").count()  # it stays closed
    window.click("Show Graph")
    window.wait_for_graph("^step 1 of ")


def test_a_program_that_is_started_again_gets_a_new_picture(
        opened: Open, timeline: Timeline, tmp_path: Path) -> None:
    window = opened({"elman.py": PROGRAM})
    window.open("elman.py")
    window.press("F5")
    window.wait_for_graph("^start: 28 steps")
    step_to(window, timeline, 2)
    (tmp_path / "elman.py").write_text(PROGRAM.replace("size=(4, ", "size=(2, "), encoding="utf-8")
    window.click("Restart")
    window.wait_for_graph("^start: 16 steps")
    assert window.graph.locator(".box.live").count() == 16
    window.click("Continue")  # to the end
    window.graph.locator("#note", has_text="The program has ended.").wait_for()


def test_a_second_pass_gets_a_picture_of_its_own(opened: Open) -> None:
    program = PROGRAM + "\n(V * V).sum().backward()\n"
    window = opened({"elman.py": program})
    window.open("elman.py")
    window.toggle_breakpoint(program.split("\n").index("(V * V).sum().backward()") + 1)
    window.press("F5")
    window.wait_for_graph("^start: ")
    window.click("Continue")
    window.wait_for_graph("^start: 2 steps")
    assert window.graph.locator(".box.live").count() == 3  # two operations and V


def test_too_large_a_pass_is_said_in_the_panel(opened: Open) -> None:
    program = PROGRAM.replace("size=(4, ", "size=(600, ")
    window = opened({"elman.py": program})
    window.open("elman.py")
    window.press("F5")
    window.graph.locator("#note", has_text="too many for a picture").wait_for()


@pytest.mark.parametrize("theme", ["Default Dark Modern", "Default High Contrast", "Default High Contrast Light"])
def test_every_text_of_the_panel_can_be_read_in_the_theme(
        opened: Open, timeline: Timeline, theme: str) -> None:
    window = opened({"elman.py": PROGRAM, ".vscode/settings.json": json.dumps({"workbench.colorTheme": theme})})
    window.open("elman.py")
    window.press("F5")
    window.wait_for_graph("^start: ")
    step_to(window, timeline, 9)
    assert window.graph.locator("html").get_attribute("data-theme") == ("light" if "Light" in theme else "dark")
    assert window.graph.locator("body").evaluate(FAINT) == []


class TestLaunching:
    """What stands in the way of a session is said in a sentence that tells what to do."""

    def launch(self, opened: Open, files: dict[str, str], **configuration: Any) -> Workbench:
        configuration = {"type": "minigrad", "request": "launch", "name": "one"} | configuration
        launch = {"version": "0.2.0", "configurations": [configuration]}
        window = opened({"elman.py": PROGRAM, ".vscode/launch.json": json.dumps(launch)} | files)
        window.open("elman.py")
        window.press("F5")
        return window

    def message(self, opened: Open, files: dict[str, str], **configuration: Any) -> str:
        return self.launch(opened, files, **configuration).expect_message("^minigrad: ")

    def test_no_interpreter(self, opened: Open) -> None:
        message = self.message(opened, {}, python="/no/such/python")
        assert "There is no Python interpreter /no/such/python. Write its path in the setting " in message

    def test_no_minigrad(self, opened: Open, tmp_path: Path) -> None:
        venv.create(tmp_path / "bare", with_pip=False)
        python = str(tmp_path / "bare" / "bin" / "python")
        message = self.message(opened, {}, python=python, env={"PYTHONPATH": ""})
        assert f"{python} (Python {platform.python_version()}) has no minigrad. Run: {python} -m pip install" in message

    def test_an_old_minigrad(self, opened: Open) -> None:
        old = {"old/minigrad/__init__.py": "", "old/minigrad/debugger/__init__.py": ""}
        message = self.message(opened, old, env={"PYTHONPATH": "${workspaceFolder}/old"})
        assert "is too old for VS Code. Run: " in message and message.endswith("--upgrade")

    def test_no_program(self, opened: Open) -> None:
        assert "There is no program " in self.message(opened, {}, program="${workspaceFolder}/other.py")

    def test_a_program_with_arguments_in_a_folder(self, opened: Open) -> None:
        program = "import os, sys\nprint(sys.argv[1:], os.path.basename(os.getcwd()), os.environ['COLOUR'])\n"
        window = self.launch(opened, {"models/show.py": program}, program="${workspaceFolder}/models/show.py",
                             args=["--epochs", "3"], cwd="${workspaceFolder}/models", env={"COLOUR": "green"})
        window.tab.locator(".repl", has_text="['--epochs', '3'] models green").wait_for()
