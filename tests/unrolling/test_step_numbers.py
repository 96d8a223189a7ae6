"""`t` counts each sequence's own steps, and a carried state continues it; states of some sequences of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, t

X = np.random.default_rng(7).normal(size=(6, 3, 2))  # six steps, a batch of three, vectors of two
HOLES = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]], bool)
ENDS = np.arange(6)[:, None] < [4, 6, 2]


def counting() -> Cell:
    """Return a definition that reads `t` in a loop, outside of it, and backward in time."""
    cell = Cell("counting")
    x, h, y, b, L = (cell.input("x", 2), cell.signal("h", 2), cell.signal("y", 2), cell.signal("b", 2),
                     cell.signal("L", ()))
    h[t] = np.tanh(x[t] + parameter("w", 2) * h[t-1] / t)
    y[t] = h[t] * np.cos(0.3 * t) + (t - 1)
    b[t] = 0.5 * b[t+1] + np.where(t % 2 == 0, x[t], -x[t])
    L[t] = (y[t] ** 2).sum() + (b[t] * h[t]).sum()
    return cell


@pytest.mark.parametrize("mask", [HOLES, ENDS], ids=["holes", "ends"])
@pytest.mark.parametrize("compiled", [False, True])
def test_masked_steps_do_not_count(mask: Any, compiled: bool) -> None:
    cell = counting()
    found = cell.compile()(x=X, mask=mask) if compiled else cell.unroll(x=X, mask=mask)
    for i in range(3):
        alone = cell.unroll(x=X[mask[:, i], i])
        for name in ("h", "y", "b", "L"):
            values = found[name] if compiled else found[name].stack().data
            np.testing.assert_allclose(values[mask[:, i], i], alone[name].stack().data, atol=1e-12)


@pytest.mark.parametrize("options", [{"chunks": 2}, {"window": (2, 3)}, {"window": (1, 2), "lengths": [6, 4, 3]}],
                         ids=str)
def test_truncations_do_not_restart_it(options: Any) -> None:
    cell = forward()
    L = cell.signal("L", ())
    L[t] = (cell.signals["h"][t] ** 2).sum() * t
    fast = cell.compile(loss="L")
    run = cell.unroll(x=X, **options)
    losses = [window["L"][k] for window in run.windows for k in window.loss_steps] or list(run["L"])
    w = cell.parameters["w"]
    (expected,) = mg.grad(mg.stack(losses).sum(), [w])
    fast(x=X, **options)
    np.testing.assert_allclose(w.grad, expected, atol=1e-12)


def forward() -> Cell:
    cell = Cell("forward")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = np.tanh(x[t] + parameter("w", 2) * h[t-1] / t)
    return cell


@pytest.mark.parametrize("first", ["unroll", "compile"])
@pytest.mark.parametrize("second", ["unroll", "compile"])
def test_a_carried_state_continues_it_after_own_steps(first: str, second: str) -> None:
    cell = forward()
    compute = {"unroll": cell.unroll, "compile": cell.compile()}
    state = compute[first](x=X[:3], mask=HOLES[:3]).state
    np.testing.assert_array_equal(state.steps, [2, 3, 2])
    after = compute[second](x=X[3:], initial=state)
    np.testing.assert_array_equal(after.state.steps, [5, 6, 5])
    for i in range(3):
        rows = np.r_[HOLES[:3, i], [True] * 3]
        expected = cell.unroll(x=X[rows, i])["h"].stack().data
        values = after["h"] if second == "compile" else after["h"].stack().data
        np.testing.assert_allclose(values[:, i], expected[-3:], atol=1e-12)


def test_selected_sequences_continue_as_if_they_were_alone() -> None:
    cell = forward()
    run = cell.unroll(x=X[:3], lengths=[3, 2, 1])
    state = run.state.select([2, 0, 0])
    after = cell.unroll(x=X[3:, :3], initial=state)
    for place, source in enumerate([2, 0, 0]):
        alone = cell.unroll(x=np.concatenate([X[:3 - source, source], X[3:, place]]))["h"].stack().data
        np.testing.assert_allclose(after["h"].stack().data[:, place], alone[-3:], atol=1e-12)
    (gradient,) = mg.grad(after["h"].stack().sum(), [cell.parameters["w"]])
    assert not np.allclose(gradient, mg.grad(cell.unroll(x=X[3:], initial=state.detach())["h"].stack().sum(),
                                             [cell.parameters["w"]])[0])  # connected to the run before
    assert cell.unroll(x=X[3:, :1], initial=state.select([1])).batch == (1,)  # fewer sequences


@pytest.mark.parametrize("indices", [[3], [-1], [0.5], 0, [[0]]])
def test_an_index_that_is_no_sequence_is_refused(indices: Any) -> None:
    with pytest.raises(IndexError, match=r"indices 0 … 2 of sequences, not .*\(at test_step_numbers"):
        forward().unroll(x=X).state.select(indices)
    with pytest.raises(ValueError, match="is that of one sequence"):
        forward().unroll(x=X[:, 0]).state.select([0])


def test_a_state_of_another_batch_is_refused() -> None:
    cell = Cell()
    cell.input("x", 2)
    y = cell.signal("y", 2)
    y[t] = cell.signals["x"][t] * t
    with pytest.raises(ValueError, match=r"of a batch of shape \(3,\), but the batch has shape \(2,\)"):
        cell.unroll(x=X[:, :2], initial=cell.unroll(x=X).state)
