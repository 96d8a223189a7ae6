"""Formulas show the call of a loss and of softmax as it was written, not the operations that it is composed of."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import viz
from rnn import Cell, t

LOSSES = [("mse", {}), ("mae", {}), ("huber", {}), ("huber", {"delta": 2.0}), ("binary_cross_entropy", {}),
          ("mse", {"reduction": "sum"})]


def with_loss(name: str, options: dict[str, Any]) -> Cell:
    cell = Cell()
    y, d, L = cell.input("y", 3), cell.input("d", 3), cell.signal("L", ())
    L[t] = getattr(mg.losses, name)(mg.sigmoid(y[t]), d[t], **options)
    return cell


@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_a_loss_is_written_as_its_call(name: str, options: dict[str, Any]) -> None:
    cell = with_loss(name, options)
    written = "".join(f", {option}={value!r}" for option, value in options.items())
    assert str(cell.equations[0]) == f"L[t] = {name}(sigmoid(y[t]), d[t]{written})"


def test_labels_and_masks_are_written_as_they_were_given() -> None:
    cell = Cell()
    y, w, m, L = cell.input("y", 3), cell.input("w", ()), cell.input("m", ()), cell.signal("L", ())
    L[t] = 2 * mg.losses.cross_entropy(y[t], w[t], mask=m[t] > 0, reduction="none")
    text = "L[t] = 2 * cross_entropy(y[t], w[t], reduction='none', mask=m[t] > 0)"
    assert str(cell.equations[0]) == text and text in viz.rolled(cell).source
    ops = viz.rolled(cell, "ops").source
    assert "logsoftmax" in ops  # the operations are drawn as they are


@pytest.mark.parametrize(("axis", "text"), [(-1, "softmax(x[t])"), (0, "softmax(x[t], axis=0)")])
def test_softmax_is_written_as_its_call(axis: int, text: str) -> None:
    cell = Cell()
    x, a = cell.input("x", (2, 3)), cell.signal("a", (2, 3))
    a[t] = mg.softmax(x[t], axis)
    assert str(cell.equations[0]) == f"a[t] = {text}" and text in viz.rolled(cell).source


def test_a_part_of_a_call_is_still_abbreviated() -> None:
    cell = Cell()
    W = mg.Tensor(np.ones((3, 3)), requires_grad=True, name="long name")
    x, d, L = cell.input("x", 3), cell.input("d", 3), cell.signal("L", ())
    long = np.tanh(W @ x[t] + W @ d[t] + W @ (x[t] * d[t]))
    L[t] = mg.losses.mse(long, d[t]) + mg.losses.mse(long * long, d[t])
    assert "mse(u₁, d[t]) + mse(u₁ * u₁, d[t])" in viz.rolled(cell).source


@pytest.mark.parametrize("again", [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_a_copy_writes_and_computes_the_same(again: Any, name: str, options: dict[str, Any]) -> None:
    cell = with_loss(name, options)
    other = again(cell)
    rng = np.random.default_rng(0)
    given = {"y": rng.normal(size=(4, 3)), "d": rng.uniform(size=(4, 3))}
    assert str(other.equations[0]) == str(cell.equations[0])
    np.testing.assert_array_equal(other.unroll(**given)["L"].stack().numpy(), cell.unroll(**given)["L"].stack().numpy())
    assert other.equations[0].expression.call.operands[1].signal is other.signals["d"]


def test_a_loss_of_tensors_is_a_tensor_as_before() -> None:
    y = mg.Tensor([1.0, 2.0], requires_grad=True)
    loss = mg.losses.mse(y, [0.0, 0.0])
    assert loss.item() == 2.5 and not hasattr(loss, "call")
