"""For the tests of rnn.fast: one definition by the backends "numpy" and "numba", and their distance from unroll."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell
from rnn.compiler.api import Compiled

Arrays = dict[str, Any]


def compiled_in_full(fast: Compiled) -> bool:
    """Return whether Numba computes all loops of a program, and there is one."""
    return set(fast.backend.loops.values()) == {"numba"}


def results(cell: Cell, run: Callable[[], Mapping[str, Any]]) -> Arrays:
    """Return the signals, and the gradients that `run` adds, by name."""
    for tensor in cell.parameters.values():
        tensor.grad = None
    found = dict(run())
    return {**found, **{f"d{name}": np.zeros(x.shape) if x.grad is None else x.grad
                        for name, x in cell.parameters.items()}}


def unrolled(cell: Cell, data: Mapping[str, Any], options: Mapping[str, Any] = {}) -> Arrays:
    """Return the signals, and the gradients of the squares of those that no equation reads, by unroll and backward."""
    def run() -> Arrays:
        found = cell.unroll(**data, **options)
        stacks = {name: found[name].stack() for name, x in cell.signals.items() if not x.given}
        ends = [stacks[name] for name in cell.compile(backend="numpy")._ends()]
        sum((mg.sum(x * x) for x in ends), mg.Tensor(np.zeros(()))).backward()
        return {name: x.numpy() for name, x in stacks.items()}

    return results(cell, run)


def called(fast: Compiled, data: Mapping[str, Any], options: Mapping[str, Any] = {}) -> Arrays:
    """Return the same by a compiled program: one, whose backward pass starts where programs do by default."""
    def run() -> Arrays:
        outputs = fast(**data, **options)
        found = {name: outputs[name] for name, x in fast.cell.signals.items() if not x.given}
        fast.backward(**{name: 2 * found[name] for name in fast._ends()})
        return found

    return results(fast.cell, run)


def distance(found: Arrays, wanted: Arrays) -> float:
    """Return the largest difference of any element, in relation to the largest element of its array."""
    assert set(found) == set(wanted)
    worst = 0.0
    for name, array in wanted.items():
        assert np.shape(found[name]) == array.shape, name
        if array.size:
            worst = max(worst, float(np.abs(found[name] - array).max() / (np.abs(array).max() or 1)))
    return worst


def check(make: Callable[[], Cell], data: Mapping[str, Any], options: Mapping[str, Any] = {}) -> Compiled:
    """Check that the backend "numba" is near to unroll: within ten times the distance of the backend "numpy"."""
    cell = make()
    wanted = unrolled(cell, data, options)
    fast = cell.compile(backend="numba")
    found, by_numpy = called(fast, data, options), called(cell.compile(backend="numpy"), data, options)
    eps = max((float(np.finfo(x.dtype).eps) for x in cell.parameters.values()), default=np.finfo(float).eps)
    # NumPy's tanh is that of unroll, so its distance may be nearly 0; another tanh differs by 2.4 ulp.
    assert distance(found, wanted) <= 10 * max(distance(by_numpy, wanted), 2 * eps)
    return fast
