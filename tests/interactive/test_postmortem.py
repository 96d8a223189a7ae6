"""The traceback that `%debug` opens: it ends at the user's line if the library raised the error on purpose."""

from __future__ import annotations

import linecache
import traceback
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.interactive.postmortem import Trimmer
from minigrad.provenance import in_library
from rnn import Cell, t

NAMES = {"np": np, "mg": mg, "Cell": Cell, "t": t, "W": mg.Tensor(np.ones((3, 4)), requires_grad=True, name="W")}


def frames(code: str, file: str = "the user's.py") -> tuple[list[str], list[bool]]:
    """Return the functions in the trimmed traceback of some code, and which of them are marked as hidden."""
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    with pytest.raises(Exception, match=r".") as caught:
        exec(compile(code, file, "exec"), dict(NAMES))
    Trimmer(in_library).trim(caught.value)
    places = list(traceback.walk_tb(caught.value.__traceback__))
    first = next(number for number, (frame, _) in enumerate(places) if frame.f_code.co_filename == file)
    return ([frame.f_code.co_name for frame, _ in places[first:]],
            [bool(frame.f_locals.get("__tracebackhide__")) for frame, _ in places[first:]])


@pytest.mark.parametrize("line", [
    "W @ np.ones(7)", "np.ones(7) + W", "np.concatenate([W, mg.Tensor(1.0)])", "W.backward()", "mg.Tensor([1j])",
    "W.nothing", "np.floor(W, where=False)"])
def test_it_ends_at_the_line_that_called_the_library(line: str) -> None:
    assert frames(f"def f():\n    {line}\nf()\n")[0] == ["<module>", "f"]


def test_an_equation_ends_it_too() -> None:
    code = "c = Cell()\nh = c.signal('h', 2)\nh[t] = h[t-1] + 1\nh[t] = h[t-1]\n"
    assert frames(code)[0] == ["<module>"]


def test_library_frames_between_two_of_the_users_are_marked_as_hidden() -> None:
    code = ("def hook(grad):\n    return W @ np.ones(7)\nx = mg.Tensor(1.0, requires_grad=True)\ny = x * 2\n"
            "y.register_hook(hook)\n(y * 3).backward()\n")
    names, hidden = frames(code)
    assert (names[0], names[-1]) == ("<module>", "hook") and len(names) > 2
    assert hidden == [False, *[True] * (len(names) - 2), False]


def test_an_error_of_the_users_own_keeps_its_frames() -> None:
    code = "class Mine(mg.Op):\n    def forward(self, x):\n        return {}['a']\nmg.apply(Mine(), W)\n"
    names, hidden = frames(code)
    assert names[-1] == "forward" and len(names) == 4 and not any(hidden)


def test_a_fault_of_the_library_keeps_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigrad.tensor.asarray", None)  # a call of it fails in a line that raises nothing on purpose
    names, hidden = frames("W.sum()\n")
    assert names[-1] == "apply" and len(names) > 2 and not any(hidden)


def test_a_running_program_has_no_hidden_frame() -> None:
    """ipdb skips hidden frames when it steps: from `backward()` it would pass over the engine."""
    import sys

    seen: list[Any] = []

    class Looking(mg.Op):
        def forward(self, x: Any) -> Any:
            return np.array(x)

        def backward(self, grad: Any, out: Any, x: Any) -> Any:
            frame = sys._getframe(1)
            seen.append((frame.f_code.co_name, dict(frame.f_locals)))
            return grad

    loss = mg.apply(Looking(), mg.Tensor(np.ones(2), requires_grad=True)).sum()
    frames("W @ np.ones(7)\n")
    loss.backward()
    [(name, variables)] = seen
    assert name == "backward" and "__tracebackhide__" not in variables
