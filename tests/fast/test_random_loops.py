"""The fuzzer's random cases with the backend "numba"; many of them where Python runs the generated loops itself.

    NUMBA_DISABLE_JIT=1 python -m pytest tests/fast/test_random_loops.py -m "slow or not slow"
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rnn import Cell, t

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from generator import Generator, Layers
from test_recurrences import failing

numba = pytest.importorskip("numba")
pytest.importorskip("scipy")
pytest.importorskip("platformdirs")

FEW = range(4)  # each is compiled for some seconds


@pytest.mark.parametrize("kind", [Generator, Layers])
def test_random_cases(kind: type[Generator]) -> None:
    message = failing(FEW, ("numba",), kind)
    assert not message, message


IN_PYTHON = pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="each is compiled for some seconds")


@IN_PYTHON
def test_python_runs_the_generated_loops() -> None:
    cell = Cell("loops")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(h[t-1] + x[t])
    fast = cell.compile(backend="numba")
    fast(x=np.ones((3, 2)))
    assert set(fast.backend.loops.values()) == {"numba"}


@pytest.mark.slow
@IN_PYTHON
@pytest.mark.parametrize("first", range(1000, 2000, 200))
@pytest.mark.parametrize("kind", [Generator, Layers])
def test_many_random_cases(kind: type[Generator], first: int) -> None:
    message = failing(range(first, first + 200), ("numba",), kind)
    assert not message, message
