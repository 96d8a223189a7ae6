"""The runs that a tensor was computed from, found without a reference from tensors to runs."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from definitions import elman

import minigrad as mg
from rnn.unrolling.run import runs_behind


def test_the_runs_behind_a_tensor_are_found_in_the_order_of_their_making() -> None:
    cell, data = elman(), np.ones((2, 1, 3))
    first = cell.unroll(x=data)
    unused = cell.unroll(x=data)
    second = cell.unroll(x=data, initial=first.state)
    assert runs_behind(second["y"].stack().sum()) == [first, second]
    assert runs_behind(first["h"][1] * 2) == [first]
    assert runs_behind(unused["y"][2]) == [unused]
    assert runs_behind(cell.parameters["W"] ** 2) == [] == runs_behind(mg.Tensor(1.0))
    apart = cell.unroll(x=data, initial=first.state.detach())
    assert runs_behind(apart["y"][2]) == [apart]


def test_neither_a_tensor_nor_the_search_keeps_a_run_alive() -> None:
    run = elman().unroll(x=np.ones((2, 1, 3)))
    loss, alive = run["y"].stack().sum(), weakref.ref(run)
    assert runs_behind(loss) == [run]
    gc.disable()
    try:
        del run
        assert alive() is None and runs_behind(loss) == []
    finally:
        gc.enable()
    loss.backward()
