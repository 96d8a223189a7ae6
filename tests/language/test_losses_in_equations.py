"""A loss is a signal like any other: one number for each sequence and step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import parameter

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
    for p in cell.parameters.values():
        p.grad = None
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


# ---- labels of every origin: y[t], a[t] = argmax(y[t]), a static k, an integer input w; by hand, with a[0] = 0
OF_LABELS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (lambda y, a, k, w: mg.losses.cross_entropy(y[t], k, reduction="none"), lambda y, before, k, w: nll(y, k)),
    (lambda y, a, k, w: mg.losses.cross_entropy(y[t], (k + w[t]) % 3, reduction="none"),
     lambda y, before, k, w: nll(y, (k + w) % 3)),
    (lambda y, a, k, w: mg.pick(y[t], a[t-1]), lambda y, before, k, w: y[before]),
    (lambda y, a, k, w: mg.pick(y[t], np.argmax(y[t])), lambda y, before, k, w: y.max()),
    (lambda y, a, k, w: mg.pick(y[t], w[t] % 2), lambda y, before, k, w: y[w % 2]),
    (lambda y, a, k, w: mg.pick(y[t], y[t][0] > 0), lambda y, before, k, w: y[int(y[0] > 0)]),
]


def nll(y: Any, label: int) -> float:
    return float(np.log(np.exp(y).sum()) - y[label])


def labelled(write: Callable[..., Any]) -> Cell:
    cell = Cell("labelled")
    x, w, k = cell.input("x", 2), cell.input("w", ()), cell.static("k", ())
    y, a, L = cell.signal("y", 3), cell.signal("a", ()), cell.signal("L", ())
    y[t] = parameter("V", 3, 2) @ x[t]
    a[t] = np.argmax(y[t])
    a[0] = 0
    L[t] = write(y, a, k, w) + 0 * k
    return cell


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("write", "by_hand"), OF_LABELS)
def test_labels_are_inputs_statics_or_computed(write: Any, by_hand: Any, lengths: Any) -> None:
    cell, labels = labelled(write), np.array([2, 0, 1])
    data = {"x": X, "w": LABELS, "k": labels}
    wanted = np.zeros((5, 3))
    for b in range(3):
        before = 0
        for n in range(5 if lengths is None else lengths[b]):
            y = cell.parameters["V"].data @ X[n, b]
            wanted[n, b] = by_hand(y, before, labels[b], LABELS[n, b])
            before = y.argmax()
    run = cell.unroll(**data, lengths=lengths)
    np.testing.assert_allclose(run["L"].stack().data, wanted, rtol=1e-12)
    gradient = gradients(cell, run["L"].stack().sum())["V"]
    cell.parameters["V"].grad = None
    loss = cell.compile(loss="L")(**data, lengths=lengths)
    np.testing.assert_allclose(loss.outputs["L"], wanted, rtol=1e-12)
    np.testing.assert_allclose(cell.parameters["V"].grad, gradient, rtol=1e-12)


@pytest.mark.parametrize("label, error, words", [
    (0.5, TypeError, r"labels are integers, not 0\.5: the index of the right class"),
    (np.nan, TypeError, "labels are integers, not nan"),
    (3, IndexError, r"label 3\.0 at \[.*\] is not one of the 3 classes 0 … 2"), (-1, IndexError, r"label -1\.0 at")])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_label_of_a_static_that_is_no_class(label: float, error: Any, words: str, compiled: bool) -> None:
    cell = labelled(OF_LABELS[0][0])
    with pytest.raises(error, match=words):
        (cell.compile() if compiled else cell.unroll)(x=X, w=LABELS, k=np.array([0, label, 1]))


def test_a_label_of_a_masked_step_may_be_anything() -> None:
    cell = classifier()
    padded = LABELS.copy()
    padded[2:, 1] = -1
    for call in (cell.unroll, cell.compile()):
        found, wanted = (call(x=X, label=labels, lengths=LENGTHS)["L"] for labels in (padded, LABELS))
        np.testing.assert_array_equal(*(x if isinstance(x, np.ndarray) else x.stack().data for x in (found, wanted)))


def test_a_label_that_is_written_as_a_float_is_refused_where_it_is_written() -> None:
    y = Cell().input("y", 3)
    for labels in (1.0, np.ones(()), Tensor(1.0)):
        with pytest.raises(TypeError, match=r"labels are integers, not float64: .*\(at test_losses_in_equations\.py"):
            mg.pick(y[t], labels)
