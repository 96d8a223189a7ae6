"""Progress bars: of long calls, from another thread, closed by the end of the call.

The functions under test let another thread look at the stack while they run, so nothing here waits for a clock.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.interactive import progress
from rnn import Cell, cells, t

ROOT = Path(__file__).parents[2]


class Bar:
    """In the place of tqdm: keeps what it would show in `events`."""

    events: list[Any]

    def __init__(self, desc: str, **options: Any) -> None:
        self.desc, self.n, self.total, self.start_t = desc, 0, None, 0.0
        self.events.append(f"{desc} opened")

    def refresh(self) -> None:
        self.events.append((self.n, self.total))

    def close(self) -> None:
        self.events.append(f"{self.desc} closed")


class Look:
    """Lets another thread look at this one's stack: call it inside of a watched function."""

    def __init__(self) -> None:
        self.watcher = progress.Watcher()
        self.watcher.thread = threading.get_ident()

    def __call__(self) -> None:
        other = threading.Thread(target=self.watcher.look)
        other.start()
        other.join()


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Show bars without delay: at the second look a count is read, at the third it has moved. Return what is shown."""
    found: list[Any] = []
    monkeypatch.setattr(Bar, "events", found, raising=False)
    monkeypatch.setattr(progress, "_bar_class", lambda: Bar)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return found


@pytest.fixture
def look() -> Look:
    return Look()


def counting(look: Look, *, times: int) -> None:
    done = 0
    while done < times:
        look()
        done += 1


def read_counting(variables: dict[str, Any], call: progress.Call) -> progress.State:
    return progress.State(variables["done"], variables["times"])


@pytest.fixture
def watched() -> Iterator[None]:
    progress.watch(counting, "count", read_counting)
    yield
    del progress._watched[counting.__code__]


def test_a_bar_moves_with_the_local_variables_and_is_closed_when_the_call_returns(
        events: list[Any], look: Look, watched: None) -> None:
    counting(look, times=5)
    events.append("returned")
    assert events == ["count opened", (2, 5), (3, 5), (4, 5), "count closed", "returned"]


def test_many_short_calls_show_no_bar(events: list[Any], look: Look, watched: None) -> None:
    for _ in range(20):
        counting(look, times=1)
    assert events == []


def test_a_call_that_does_not_move_shows_no_bar(events: list[Any], look: Look, watched: None) -> None:
    progress.watch(counting, "count", lambda variables, call: progress.State(0, 9))
    counting(look, times=5)
    assert events == []


def test_a_call_that_counts_nothing_shows_its_time(events: list[Any], look: Look, watched: None) -> None:
    progress.watch(counting, "count")
    counting(look, times=3)
    assert events == ["count opened", (0, None), (0, None), "count closed"]


def test_the_bar_of_a_call_that_an_error_ended_is_closed_though_the_traceback_keeps_the_frame(
        events: list[Any], look: Look, watched: None) -> None:
    class Failing(Look):
        def __call__(self) -> None:
            super().__call__()
            if len(events) == 2:
                raise ArithmeticError

    failing = Failing()
    with pytest.raises(ArithmeticError) as kept:
        counting(failing, times=5)
    super(Failing, failing).__call__()
    assert kept.tb is not None and events == ["count opened", (2, 5), "count closed"]


def test_a_call_under_a_debugger_shows_no_bar(events: list[Any], look: Look, watched: None) -> None:
    class Traced(Look):
        def __call__(self) -> None:
            sys._getframe(1).f_trace = lambda *arguments: None
            super().__call__()

    counting(Traced(), times=5)
    assert events == []


def test_the_outermost_call_is_shown(events: list[Any], look: Look, watched: None) -> None:
    def outer() -> None:
        for _ in range(3):
            counting(look, times=3)

    progress.watch(outer, "outer")
    outer()
    assert events[0] == "outer opened" and events[-1] == "outer closed" and "count opened" not in events


# ---- the library's functions
class Looking(mg.Op):
    """The identity; each of its passes lets another thread look."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def forward(self, x: Any) -> Any:
        self.look()
        return np.array(x)

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        self.look()
        return grad


def chain(look: Look, length: int) -> mg.Tensor:
    h = mg.Tensor(np.ones(3), requires_grad=True, name="h")
    for _ in range(length):
        h = mg.apply(Looking(look), np.tanh(h))
    return h.sum()


def moves(events: list[Any], title: str) -> tuple[list[float], set[float]]:
    """Return the numbers that a bar showed one after the other, and its totals."""
    assert events[0] == f"{title} opened" and events[-1] == f"{title} closed"
    counted = [event for event in events[1:-1] if event[1] is not None]
    return [done for done, _ in counted], {total for _, total in counted}


def test_backward_counts_from_the_newest_node_to_the_oldest(events: list[Any], look: Look) -> None:
    chain(look, 10).backward()
    shown, totals = moves(events, "backward")
    assert totals == {20} and shown == list(range(5, 20, 2))  # the third look is at the third of ten


def test_grad_counts_too(events: list[Any], look: Look) -> None:
    h = mg.Tensor(np.ones(3), requires_grad=True)
    out = h
    for _ in range(10):
        out = mg.apply(Looking(look), out)
    mg.grad(out.sum(), h)
    shown, totals = moves(events, "backward")
    assert totals == {11} and shown == list(range(3, 11))


def recurrence(look: Look) -> Cell:
    cell = Cell("c")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = mg.apply(Looking(look), np.tanh(h[t-1] + x[t]))
    y[t] = h[t] * 2.0
    return cell


def test_unroll_counts_copies(events: list[Any], look: Look) -> None:
    recurrence(look).unroll(x=np.ones((6, 3)))
    shown, totals = moves(events, "unroll")
    assert totals == {12} and shown == [5, 7, 9, 11]  # h[0] is one of them


def test_unroll_in_windows_counts_steps(events: list[Any], look: Look) -> None:
    recurrence(look).unroll(x=np.ones((6, 3)), window=(1, 2))
    shown, totals = moves(events, "unroll")
    assert totals == {6} and shown == sorted(shown) and shown[-1] == 6


def test_a_compiled_program_counts_the_steps_of_both_passes(events: list[Any], look: Look) -> None:
    cell = recurrence(look)
    W = mg.Tensor(np.ones((3, 3)), requires_grad=True, name="W")
    loss = cell.signal("L", ())
    loss[t] = mg.sum(W @ cell.signals["h"][t])
    h2 = cell.signal("g", 3)
    h2[t] = mg.apply(Looking(look), W @ h2[t-1] + cell.signals["x"][t])
    total = cell.signal("M", ())
    total[t] = loss[t] + mg.sum(h2[t])
    cell.compile("M")(x=np.ones((6, 1, 3)))
    shown, totals = moves(events, "compiled program")
    assert totals == {12} and shown == sorted(shown) and min(shown) <= 2 and max(shown) >= 11


@pytest.mark.parametrize("name", ["rolled", "unrolled", "graph", "both", "diff", "gradient_map", "stepper"])
def test_every_drawing_function_is_watched(name: str) -> None:
    import viz

    assert getattr(viz, name).__code__ in progress._watched


def test_a_picture_shows_its_time(events: list[Any], look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    import viz
    from viz.pictures import rolled

    real = rolled.picture

    def picture(*arguments: Any, **options: Any) -> Any:
        look()
        look()
        return real(*arguments, **options)

    monkeypatch.setattr(rolled, "picture", picture)
    cell = Cell("l")
    cells.lstm(cell, cell.input("x", 3), 4, name="m", rng=np.random.default_rng(0))
    viz.rolled(cell)
    assert events == ["draw opened", (0, None), "draw closed"]


# ---- where bars are shown
def test_a_program_whose_output_nobody_sees_starts_no_thread_and_nothing_imports_tqdm() -> None:
    program = ("import sys, minigrad, rnn, viz\nfrom minigrad.interactive import progress\n"
               "print(progress._started, 'tqdm' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_a_terminal_shows_a_bar_and_removes_it_before_the_program_goes_on() -> None:
    pytest.importorskip("tqdm")
    import fcntl
    import os
    import pty
    import struct
    import termios

    program = ("import time, minigrad as mg, numpy as np\nfrom minigrad.interactive import progress\n"
               "progress.PATIENCE, progress.IDLE, progress.SHOWN = 0.1, 0.05, 0.02\n"
               "class Slow(mg.Op):\n"
               "    def forward(self, x): return np.array(x)\n"
               "    def backward(self, grad, out, x): time.sleep(0.05); return grad\n"
               "h = mg.Tensor(np.ones(2), requires_grad=True)\n"
               "for _ in range(30): h = mg.apply(Slow(), h)\n"
               "h.sum().backward(); print('went on')\n")
    end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], stdin=terminal, stdout=terminal, stderr=terminal,
                          env=environment) as process:
        os.close(terminal)
        text = b""
        while True:
            try:
                part = os.read(end, 4096)
            except OSError:  # Linux: the other end was closed
                break
            if not part:
                break
            text += part
        assert process.wait() == 0
    os.close(end)
    shown, _, after = text.decode().partition("went on")
    assert "backward:" in shown and "/30" in shown
    assert shown.endswith("\r") and not shown.rsplit("\r", 2)[-2].strip()  # blanks over the bar
    assert "backward" not in after


def test_without_tqdm_the_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "IDLE", 0.0)
    ended = threading.Event()
    watcher = progress.Watcher()
    watcher.thread = threading.get_ident()

    def run() -> None:
        watcher.run()
        ended.set()

    def waiting() -> None:
        threading.Thread(target=run, daemon=True).start()
        assert ended.wait(60)

    progress.watch(waiting, "wait")
    waiting()
