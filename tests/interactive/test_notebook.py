"""A real notebook kernel: questions below the cell, errors, views, completion, %debug, progress bars.

Runs where ipykernel is installed: `nox -s docs`, which .ci/run calls.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from painters import painting

ROOT = Path(__file__).parents[2]
SECONDS = 120  # that a cell may take
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Notebook:
    """A kernel and its client. `run` executes a cell; then `texts`, `shown` and `errors` hold what it printed."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, cell: str, answers: Sequence[str] | None = None) -> str:
        """Execute a cell and return its status, "ok" or "error".

        Args:
            answers: typed in the fields below the cell; None: a frontend without such fields, as nbconvert is.
        """
        self.waiting, self.asked = list(answers or []), []
        self.texts, self.shown, self.errors = {"stdout": "", "stderr": ""}, [], []
        reply = self.client.execute_interactive(cell, allow_stdin=answers is not None, timeout=SECONDS,
                                                output_hook=self._print, stdin_hook=self._answer)
        assert not self.waiting, f"never asked for {self.waiting}"
        return str(reply["content"]["status"])

    def _print(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self.texts[content["name"]] += COLOURS.sub("", content["text"])
        elif kind == "error":
            self.errors.append(f"{content['ename']}: {content['evalue']}")
        elif kind in ("execute_result", "display_data"):
            self.shown.append(content["data"])

    def _answer(self, message: dict[str, Any]) -> None:
        self.asked.append(message["content"]["prompt"])
        self.client.input(self.waiting.pop(0) if self.waiting else "quit")

    def complete(self, text: str) -> list[str]:
        """Return what the tab key offers."""
        self.client.complete(text, len(text))
        while True:
            message = self.client.get_shell_msg(timeout=SECONDS)
            if message["msg_type"] == "complete_reply":
                return list(message["content"]["matches"])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    if os.environ.get("CI"):
        import ipykernel  # noqa: F401 (fails where it is missing)
    else:
        pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(env={**os.environ, "PYTHONPATH": str(ROOT)})
    yield Notebook(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(kernel: Any) -> Notebook:
    """Return the kernel with a loss and a recurrence in its namespace."""
    assert kernel.run("""%reset -f
import numpy as np, minigrad as mg, rnn, viz
from rnn import Cell, t
w = mg.Tensor([1., 2.], requires_grad=True, name="w")
loss = (w * w).sum()
W = mg.Tensor(np.eye(3), requires_grad=True, name="W")
elman = Cell("elman")
x, h = elman.input("x", 3), elman.signal("h", 3)
h[t] = np.tanh(W @ h[t-1] + x[t])
run = elman.unroll(x=np.ones((4, 2, 3)))
""", []) == "ok", kernel.errors
    return kernel  # type: ignore[no-any-return]


# ---- mg.set_trace
def test_the_debugger_asks_below_the_cell_and_the_cell_goes_on(notebook: Notebook) -> None:
    assert notebook.run("mg.set_trace(loss)\nprint('the rest', w.grad)", ["step", "print grad", "continue"]) == "ok"
    assert notebook.asked == ["(grad) "] * 3
    assert re.search(r"called at Cell In\[\d+\]:1\n.*step 1 of 2  sum.*grad of sum\(w \* w\) = 1\."
                     r".*the rest \[2\. 4\.\]", notebook.texts["stdout"], re.DOTALL)


def test_quitting_says_what_it_ends_and_leaves_every_grad(notebook: Notebook) -> None:
    assert notebook.run("mg.set_trace(loss)\nprint('the rest')", ["step 2", "quit"]) == "error"
    assert notebook.texts["stdout"].endswith("the rest of this cell doesn't run; every .grad is as it was before the "
                                             "pass\n")
    assert "the rest\n" not in notebook.texts["stdout"] and not notebook.errors
    notebook.run("print(w.grad, [x.grad for x in (loss,)])")
    assert notebook.texts["stdout"] == "None [None]\n"


def test_where_nobody_can_be_asked_one_error_says_so_and_leaves_every_grad(notebook: Notebook) -> None:
    assert notebook.run("mg.set_trace(loss)\nprint('the rest')") == "error"
    [error] = notebook.errors
    assert error.startswith("RuntimeError: the debugger asks for commands, and this notebook is run without a field")
    assert "viz.stepper(loss)" in error and "the rest" not in notebook.texts["stdout"]
    assert notebook.run("print(w.grad)\nmg.set_trace(loss, commands=['continue'])\nprint(w.grad)") == "ok"
    assert notebook.texts["stdout"].startswith("None\n") and notebook.texts["stdout"].endswith("[2. 4.]\n")


def test_an_interrupted_question_is_asked_again(notebook: Notebook) -> None:
    interrupting = "import builtins\ndef once(prompt, real=builtins.input):\n    builtins.input = real\n" \
                   "    raise KeyboardInterrupt\nbuiltins.input = once\nmg.set_trace(loss)"
    assert notebook.run(interrupting, ["continue"]) == "ok"
    assert "--KeyboardInterrupt--" in notebook.texts["stdout"]


# ---- equations that are run again
def test_a_cell_that_is_run_again_is_told_which_cell_to_run_first(notebook: Notebook) -> None:
    assert notebook.run("c = Cell('own')") == "ok"
    line = re.search(r"Cell In\[\d+\]:1", _printed(notebook, "print(c.origin)"))
    assert line is not None
    advice = f"Run the line that makes it first, {line[0]}, and then the cells below it"
    for cell, message in (("s = c.signal('s', 2)", "there are two signals named 's'"),
                          ("s[t] = s[t-1] * 0.5", "s is defined twice"),
                          ("e = c.static('e', 2)", "there are two signals named 'e'")):
        assert notebook.run(cell) == "ok"
        assert notebook.run(cell) == "error"
        assert message in notebook.errors[0] and notebook.errors[0].endswith(advice)


def _printed(notebook: Notebook, cell: str) -> str:
    assert notebook.run(cell) == "ok", notebook.errors
    return notebook.texts["stdout"]


# ---- views
@painting
@pytest.mark.parametrize(("cell", "forms"), [
    ("elman", {"text/plain", "text/markdown", "text/latex", "image/svg+xml"}),
    ("run", {"text/plain", "text/markdown", "image/svg+xml"}),
    ("viz.unrolled(run)", {"text/plain", "text/markdown", "image/svg+xml"}),
    ("elman.compile()", {"text/plain"}), ("W", {"text/plain"})])
def test_a_notebook_shows_an_object(notebook: Notebook, cell: str, forms: set[str]) -> None:
    assert notebook.run(cell) == "ok"
    [shown] = notebook.shown
    assert set(shown) == forms and not notebook.texts["stderr"]


def test_a_list_of_tensors_takes_a_line_for_each(notebook: Notebook) -> None:
    assert notebook.run("W") == "ok"
    assert notebook.shown[0]["text/plain"].count("\n") == 3
    assert notebook.run("[W, W, W]") == "ok"
    assert notebook.shown[0]["text/plain"].count("\n") == 2


# ---- completion
def test_completion(notebook: Notebook) -> None:
    assert notebook.complete('run["') == ["h", "x"]
    assert {"Tensor", "tanh", "set_trace"} <= set(notebook.complete("mg."))
    assert not {"errors", "numpy_ops", "in_place", "call_site", "sys"} & set(notebook.complete("mg."))
    assert notebook.complete("viz.") == ["animate", "Animation", "both", "diff", "gradient_map", "graph", "Page",
                                         "PaintError", "Picture", "rolled", "stepper", "unrolled"]
    assert {"signals", "equations", "unroll", "parameters"} <= set(notebook.complete("elman."))


# ---- IPython's debugger
def test_debug_starts_in_the_users_frame(notebook: Notebook) -> None:
    assert notebook.run("def f(v):\n    here = 'mine'\n    return W @ v\nf(np.ones(5))") == "error"
    assert notebook.run("%debug", ["print('frame of', here)", "up", "print(sorted(set(globals()) & {'elman'}))",
                                   "quit"]) == "ok"
    assert "frame of mine" in notebook.texts["stdout"] and "['elman']" in notebook.texts["stdout"]


def test_stepping_in_ipdb_goes_into_the_engine_and_the_derivative_also_after_an_error(notebook: Notebook) -> None:
    assert notebook.run("W @ np.ones(5)") == "error"
    cell = ("from IPython.core.debugger import Pdb\ndef g():\n    Pdb().set_trace()\n    loss.backward()\ng()")
    notebook.run(cell, [*["step"] * 9, "where", "quit"])
    assert "minigrad/ops.py" in notebook.texts["stdout"].replace("\\", "/")
    assert "skipped" not in notebook.texts["stdout"]


# ---- progress
def test_a_long_pass_shows_a_bar_below_its_own_cell(notebook: Notebook) -> None:
    pytest.importorskip("tqdm")
    assert notebook.run("""import time
from minigrad.interactive import progress
progress.PATIENCE, progress.IDLE, progress.SHOWN = 0.1, 0.05, 0.02
class Slow(mg.Op):
    def forward(self, x): return np.array(x)
    def backward(self, grad, out, x): time.sleep(0.05); return grad
y = w
for _ in range(40): y = mg.apply(Slow(), y)
""", []) == "ok"
    assert notebook.run("y.sum().backward()\nprint('went on')", []) == "ok"
    shown = notebook.texts["stderr"] + str(notebook.shown)  # a widget, where ipywidgets is installed
    assert "backward" in shown and notebook.texts["stdout"] == "went on\n"


def test_a_notebook_that_a_program_runs_shows_no_bar() -> None:
    nbclient = pytest.importorskip("nbclient") if not os.environ.get("CI") else __import__("nbclient")
    nbformat = __import__("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        "import minigrad\nfrom minigrad.interactive import progress\nprint(progress._started)")])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        nbclient.NotebookClient(book, timeout=SECONDS).execute()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    assert book.cells[0].outputs[0]["text"] == "[]\n"
