"""The unrolled graph holds the operations of the equations, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_a_constant_that_is_joined_is_repeated_only_for_the_sequences_of_a_batch(batch: Any) -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 3)
    b = mg.Tensor([5.0], requires_grad=True, name="b")
    y[t] = mg.concatenate([b, x[t]], axis=-1)
    data = np.arange(float(np.prod((2, *batch, 2)))).reshape(2, *batch, 2)
    run = cell.unroll(x=data)
    joined = run["y"][1].op is not None and run["y"][1]
    assert type(joined.op) is mg.ops.Concatenate
    first = joined.inputs[0]
    assert (first is b) == (batch == ()) and first.shape == (*batch, 1)
    expected = np.concatenate([np.full((*batch, 1), 5.0), data[0]], axis=-1)
    np.testing.assert_array_equal(run["y"][1].numpy(), expected)
    run["y"].stack().sum().backward()
    assert b.grad.tolist() == [2.0 * np.prod(batch, dtype=int)]


def test_what_a_vector_was_computed_from_may_exceed_the_numbers_of_the_definition() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    w = mg.Tensor(np.array([600, -600], np.float32), requires_grad=True, name="w")
    y[t] = mg.log(mg.exp(w.astype(np.float64))) * x[t]  # exp(600) is infinite in float32
    run = cell.unroll(x=np.ones((2, 2), np.float32))
    assert run["y"][1].dtype == np.float32
    np.testing.assert_array_equal(run["y"][1].numpy(), [600, -600])
    run["y"].stack().sum().backward()
    np.testing.assert_allclose(w.grad, [2, 2], rtol=1e-6)


@pytest.mark.parametrize("kinds", [("f4", "f8"), ("f8", "f4"), ("f4", "f8", "f4", "f8"), ("f2", "f8")])
def test_every_constant_takes_the_numbers_of_the_definition(kinds: tuple[str, ...]) -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    total = x[t]
    for number, kind in enumerate(kinds):
        total = total + mg.Tensor(np.full(2, 2.0 ** number, kind))
    y[t] = total
    found = cell.unroll(x=np.zeros((2, 2), np.float32))["y"][1]
    assert found.dtype == np.float32 and found.numpy().tolist() == [2.0 ** len(kinds) - 1] * 2
