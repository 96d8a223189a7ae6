"""A loss is a signal like any other: one number for each sequence and step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, cells, t

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3, 2))
LABELS = RNG.integers(0, 4, (5, 3))
LENGTHS = [5, 2, 3]


def classifier() -> Cell:
    cell = Cell("classifier")
    x, label = cell.input("x", 2), cell.input("label", ())
    h = cells.elman(cell, x, 6, name="layer", rng=np.random.default_rng(1))
    V = Tensor(np.random.default_rng(2).normal(size=(4, 6)), requires_grad=True, name="V")
    y, L = cell.signal("y", 4), cell.signal("L", ())
    y[t] = V @ h[t]
    L[t] = mg.losses.cross_entropy(y[t], label[t], reduction="none")
    return cell


def gradients(cell: Cell, loss: Tensor) -> dict[str, Any]:
    for parameter in cell.parameters.values():
        parameter.grad = None
    loss.backward()
    return {name: parameter.grad for name, parameter in cell.parameters.items()}


def assert_equal(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, gradient in expected.items():
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-12, atol=1e-14, err_msg=name)


def test_the_sum_over_steps_and_sequences_is_the_loss_formed_outside() -> None:
    cell = classifier()
    run = cell.unroll(x=X, label=LABELS)
    assert run["L"][1].shape == (3,)
    inside = gradients(cell, run["L"].stack().sum())
    again = cell.unroll(x=X, label=LABELS)
    assert_equal(inside, gradients(cell, mg.losses.cross_entropy(again["y"].stack(), LABELS, reduction="sum")))


def test_a_finished_sequence_has_no_loss() -> None:
    cell = classifier()
    run = cell.unroll(x=X, label=LABELS, lengths=LENGTHS)
    losses = run["L"].stack()
    assert (losses.numpy() > 0).sum(axis=0).tolist() == LENGTHS
    inside = gradients(cell, losses.sum())
    again = cell.unroll(x=X, label=LABELS, lengths=LENGTHS)
    outside = mg.losses.cross_entropy(again["y"].stack(), LABELS, reduction="sum", mask=again.mask)
    assert_equal(inside, gradients(cell, outside))


def test_a_squared_error_is_summed_over_its_vector() -> None:
    cell = Cell()
    x, target, L = cell.input("x", 2), cell.input("target", 2), cell.signal("L", ())
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    L[t] = mg.losses.mse(w * x[t], target[t], reduction="none").sum(axis=-1)
    targets = RNG.normal(size=X.shape)
    run = cell.unroll(x=X, target=targets)
    np.testing.assert_allclose(run["L"].stack().numpy(), ((X * [1.0, 2.0] - targets) ** 2).sum(axis=-1))


def test_a_mean_is_over_the_vector_of_each_sequence() -> None:
    cell = Cell()
    x, target, L = cell.input("x", 2), cell.input("target", 2), cell.signal("L", ())
    L[t] = mg.losses.mse(x[t], target[t])
    targets = RNG.normal(size=X.shape)
    losses = cell.unroll(x=X, target=targets)["L"].stack().numpy()
    np.testing.assert_allclose(losses, ((X - targets) ** 2).mean(axis=-1))


def test_gradients_by_lag_take_the_losses_of_the_definition() -> None:
    cell = classifier()
    run = cell.unroll(x=X, label=LABELS)
    lags = run.gradient_by_lag("layer.h", [loss.sum() for loss in run["L"]])
    assert lags.shape == (5,) and (lags > 0).all()


def test_a_label_that_is_no_class_names_the_signal_the_step_and_the_line() -> None:
    cell = classifier()
    wrong = LABELS.copy()
    wrong[2, 1] = 9
    with pytest.raises(IndexError, match=r"label 9 at \[1\] is not one of the 4 classes") as caught:
        cell.unroll(x=X, label=wrong)
    assert "label[3]" in str(caught.value) and "test_losses_in_equations.py:" in str(caught.value)


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_a_mask_may_be_a_signal(name: str) -> None:
    cell = Cell()
    x, m, L = cell.input("x", 3), cell.input("m", 3), cell.signal("L", ())
    w = mg.Tensor([0.5, -1.0, 2.0], requires_grad=True, name="w")
    L[t] = getattr(mg.losses, name)(w * x[t], np.zeros(3), reduction="none", mask=m[t]).sum(axis=-1)
    rng = np.random.default_rng(0)
    data, kept = rng.uniform(0.1, 0.4, (4, 2, 3)), rng.integers(0, 2, (4, 2, 3)).astype(float)
    run = cell.unroll(x=data, m=kept)
    y = np.array([0.5, -1.0, 2.0]) * data
    single = {"mse": y ** 2, "mae": np.abs(y), "huber": 0.5 * y ** 2}[name]
    np.testing.assert_allclose(run["L"].stack().numpy(), (single * kept).sum(-1), rtol=1e-12)
    run["L"].stack().sum().backward()
    slope = {"mse": 2 * y, "mae": np.sign(y), "huber": y}[name]
    np.testing.assert_allclose(w.grad, (slope * data * kept).sum((0, 1)), rtol=1e-12)
