"""What the debugger prints of arrays: every element of a small one, the diagonal of a diagonal Jacobian."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.debugger.commands import set_trace
from minigrad.debugger.formatting import MAX_ROWS, format_array, table


def numbers(lines: list[str]) -> list[float]:
    return [float(word) for line in lines for word in re.findall(r"-?\d+\.\d*", line)]


def talk(loss: Tensor, *commands: str) -> list[str]:
    out = StringIO()
    set_trace(loss, commands=[*commands, "clear", "continue", "continue"], stdin=StringIO(), stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("shape", [(7,), (20,), (100,), (2, 9), (10, 10), (3, 4, 5)])
def test_an_array_of_up_to_a_hundred_elements_is_shown_whole(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape) + 0.25
    assert numbers(format_array("x", array)[1:]) == array.ravel().tolist()


def test_of_a_larger_array_the_first_and_last_three_of_each_axis_are_shown() -> None:
    array = np.arange(101) + 0.25
    lines = format_array("x", array)[1:]
    assert numbers(lines) == [0.25, 1.25, 2.25, 98.25, 99.25, 100.25] and "..." in "".join(lines)


def test_of_a_diagonal_jacobian_the_diagonal_is_shown() -> None:
    w = Tensor([0.5, -1.0, 2.0], requires_grad=True, name="w")
    lines = talk(mg.square(w).sum(), "step 2", "jacobian")
    place = next(i for i, line in enumerate(lines) if line.strip() == "diagonal:")
    assert numbers(lines[place + 1:place + 2]) == [1.0, -2.0, 4.0]  # 2 w


def test_of_another_small_jacobian_every_element_is_shown() -> None:
    W = np.array([[1.5, -2.0], [0.25, 3.0]])
    w = Tensor([0.5, -1.0], requires_grad=True, name="w")
    lines = talk((W @ w).sum(), "step 2", "jacobian")
    assert "diagonal:" not in "".join(lines)
    place = next(i for i, line in enumerate(lines) if "2 x 2" in line)
    assert numbers(lines[place + 1:place + 3]) == W.ravel().tolist()


NESTED = """import minigrad as mg
w = mg.Tensor([0.5, -1.0], requires_grad=True, name="w")
other = mg.Tensor([3.0], requires_grad=True, name="other")
y = mg.square(w)
y.register_hook(lambda grad: mg.square(other).sum().backward())
y.sum().backward()
print("other.grad", other.grad, "w.grad", w.grad)
"""


def test_a_backward_pass_inside_of_a_hook_runs_at_once_and_is_no_session_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(NESTED)
    commands = ["-c", "break op square", "-c", "continue", "-c", "continue"]
    command = [sys.executable, "-m", "minigrad.debugger", *commands, "script.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert "other.grad [6.] w.grad [ 1. -2.]" in done.stdout, done.stdout + done.stderr
    assert sum(line.startswith("backward pass ") for line in done.stdout.splitlines()) == 1


def test_a_jacobian_comes_with_the_norms_of_this_pass_before_and_after_it() -> None:
    w = Tensor([0.5, -1.0, 2.0], requires_grad=True, name="w")
    loss = mg.square(w).sum()
    [line] = [line for line in talk(loss, "step 2", "jacobian") if "this gradient" in line]
    before, after = np.sqrt(3), np.sqrt(1 + 4 + 16)  # of the ones that sum passes on; of 2 w
    assert f"norm {before:.2e} in, {after:.2e} out, ratio {after / before:.2e}" in line


@pytest.mark.parametrize("count", [1, MAX_ROWS, MAX_ROWS + 1, 3 * MAX_ROWS])
def test_a_long_table_shows_its_first_and_last_rows_and_counts_the_others(count: int) -> None:
    lines = table([f"row {i}"] for i in range(count))
    half = MAX_ROWS // 2
    if count <= MAX_ROWS:
        assert lines == [f"    row {i}" for i in range(count)]
    else:
        assert lines == [*(f"    row {i}" for i in range(half)), f"    ... {count - 2 * half} more ...",
                         *(f"    row {i}" for i in range(count - half, count))]


def test_small_derivatives_of_a_diagonal_jacobian_are_counted() -> None:
    w = Tensor([0.001, -0.002, 2.0], requires_grad=True, name="w")
    text = "\n".join(talk(mg.square(w).sum(), "step 2", "jacobian"))
    assert "2 of 3 derivatives below 0.01" in text
    w = Tensor([1.0, -2.0, 2.0], requires_grad=True, name="w")
    assert "derivatives below" not in "\n".join(talk(mg.square(w).sum(), "step 2", "jacobian"))


def test_list_names_a_derivative_whose_source_cannot_be_read() -> None:
    names: dict[str, Any] = {"mg": mg}
    exec("class Typed(mg.Op):\n    def forward(self, x): return 2 * x\n"
         "    def backward(self, grad, out, x): return 2 * grad\n", names)  # as in an interactive session
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    lines = talk(mg.apply(names["Typed"](), x).sum(), "step", "step", "list")
    assert any("the source of Typed.backward can't be read" in line for line in lines), lines


@pytest.mark.parametrize("row", range(3))
def test_the_jacobian_of_a_batch_is_that_of_the_row_with_the_largest_gradient(row: int) -> None:
    x = mg.Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True, name="x")
    weights = np.ones((3, 1))
    weights[row] = 100.0
    lines = talk((mg.square(x) * weights).sum(), "until x", "step 3", "jacobian")
    [head] = [number for number, line in enumerate(lines) if f"for x: 2 x 2, row {row} of the result" in line]
    assert numbers(lines[head + 2:head + 3]) == [4.0 * row + 2, 4.0 * row + 4]  # 2 x
