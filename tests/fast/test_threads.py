"""The sequences of a batch on several threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

for library in ("numba", "scipy", "platformdirs"):
    pytest.importorskip(library)

from rnn.fast import threads  # noqa: E402

PROGRAM = """
import os, sys
sys.path[:0] = ["tests/helpers"]
import numpy as np
from definitions import data, lstm
from rnn.fast import threads
if threads.threads() > 1:
    threads.WORTH = 0
cell = lstm()
outputs = cell.compile(backend="numba")(**data(cell, 6, (5,)))
if hasattr(os, "fork") and os.fork() == 0:  # a child process has a pool of its own
    outputs = cell.compile(backend="numba")(**data(cell, 6, (5,)))
    os._exit(0)
print(threads._pool.cache_info().currsize, [float(x) for x in np.asarray(outputs["y"])[-1].ravel()])
"""


@pytest.mark.parametrize(("T", "B", "parts"), [(1, 1, 1), (10, 1, 1), (10, 2, 2), (10, 7, 3), (1, 7, 1)])
def test_parts_cover_the_batch_once(monkeypatch: pytest.MonkeyPatch, T: int, B: int, parts: int) -> None:
    monkeypatch.setattr(threads, "threads", lambda: 3)
    monkeypatch.setattr(threads, "WORTH", 1)
    threads._pool.cache_clear()
    called: list[tuple[int, int, str]] = []

    def function(steps: int, first: int, end: int, mark: str) -> None:
        called.append((first, end, mark))

    work = 1 if T * B > 1 and T > 1 else 0
    threads.over_batch(function, work, T, B, "x")
    threads._pool.cache_clear()
    assert len(called) == parts and {mark for *_, mark in called} == {"x"}
    assert sorted(b for first, end, _ in called for b in range(first, end)) == list(range(B))


def test_an_error_of_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "threads", lambda: 2)
    threads._pool.cache_clear()

    def function(steps: int, first: int, end: int) -> None:
        if first:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads.over_batch(function, threads.WORTH, 2, 4)
    threads._pool.cache_clear()


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_below_one_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("MINIGRAD_THREADS", asked)
    threads.threads.cache_clear()
    with pytest.raises(ValueError, match="MINIGRAD_THREADS is a number of threads, 1 or more, not"):
        threads.threads()
    monkeypatch.undo()
    threads.threads.cache_clear()


@pytest.mark.slow
def test_values_are_the_same_on_any_number_of_threads() -> None:
    texts = [subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], env={**os.environ, "MINIGRAD_THREADS": n},
                            capture_output=True, text=True, check=True).stdout for n in "123"]
    pools, values = zip(*(text.split(" ", 1) for text in texts))
    assert pools == ("0", "1", "1")
    for value in values[1:]:
        np.testing.assert_allclose(eval(value), eval(values[0]), rtol=1e-12)
