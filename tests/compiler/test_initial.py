"""initial= of a compiled call: each call starts from its own values, also where the checks are remembered."""

from __future__ import annotations

from collections.abc import Callable

import definitions
import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t


def sums_with_step_numbers() -> Cell:
    cell = Cell("sums")
    x, s = cell.input("x", 3), cell.signal("s", 3)
    s[t] = 0.5 * s[t-1] + t * x[t]
    return cell


def test_a_second_call_of_a_program_with_step_numbers_counts_from_one_again() -> None:
    fast, x = sums_with_step_numbers().compile(), np.ones((3, 3))
    for _ in range(2):
        assert np.allclose(fast(x=x)["s"][:, 0], [1, 2.5, 4.25])


@pytest.mark.parametrize("make", [definitions.elman, definitions.two_delays, definitions.lagged_input,
                                  definitions.own_output, sums_with_step_numbers])
def test_each_call_starts_from_its_own_initial_values(make: Callable[[], Cell]) -> None:
    cell = make()
    fast, whole = cell.compile(), definitions.data(cell, T=6)
    wanted = cell.unroll(**whole)
    state = None
    for k in range(6):  # the second and later calls with a state use what the first one prepared
        part = {name: 1 if name == "T" else x[k:k + 1] for name, x in whole.items()}
        outputs = fast(initial=state, **part)
        for name in outputs:
            assert np.allclose(outputs[name][0], wanted[name][k + 1].data, rtol=1e-12, atol=0), name
        state = outputs.state


def test_a_remembered_call_takes_arrays_and_passes_gradients_to_tensors() -> None:
    cell = definitions.elman()
    fast, x = cell.compile(), definitions.data(cell)["x"]
    for seed in range(3):
        h0 = np.random.default_rng(seed).normal(size=(5, 4))
        start = mg.Tensor(h0, requires_grad=True)
        run = cell.unroll(x=x, initial={"h": start})
        assert np.allclose(fast(x=x, initial={"h": h0})["y"], run["y"].stack().data, rtol=1e-12)
        assert np.allclose(fast(x=x, initial={"h": {0: start}})["y"], run["y"].stack().data, rtol=1e-12)
        start.grad = None
        fast.backward(y=np.ones((4, 5, 2)))
        assert np.allclose(start.grad, mg.grad(run["y"].stack().sum(), start), rtol=1e-10)


def test_a_value_of_another_shape_is_checked_after_calls_that_were_remembered() -> None:
    cell = definitions.elman()
    fast, x = cell.compile(), definitions.data(cell)["x"]
    for _ in range(2):
        fast(x=x, initial={"h": np.ones((5, 4))})
    with pytest.raises(ValueError, match=r"h\[0\] has shape \(5, 3\)"):
        fast(x=x, initial={"h": np.ones((5, 3))})
    with pytest.raises(ValueError, match="initial sets 'g'"):
        fast(x=x, initial={"g": np.ones((5, 4))})
    with pytest.raises(ValueError, match="batch"):
        fast(x=x, initial={"h": np.ones((6, 4))})
