"""Operations of the user's in equations: each sequence alone, and the same results in graphs and programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t

X = np.random.default_rng(0).normal(size=(4, 3, 2))


class Centered(mg.Op):
    """x minus its mean; over all axes, if `axis` is None."""

    def __init__(self, axis: int | None) -> None:
        self.mean_over = axis

    def forward(self, x: Any) -> Any:
        return x - np.mean(x, axis=self.mean_over, keepdims=True)

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad - np.mean(grad, axis=self.mean_over, keepdims=True)


class Swish(mg.Op):
    """x sigmoid(x), with minigrad's functions in both formulas."""

    def forward(self, x: Any) -> Any:
        return mg.Tensor(x) * mg.sigmoid(x)

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        s = mg.sigmoid(x)
        return grad * (s + x * s * (1 - s))


class Forgetful(mg.Op):
    """The square, whose derivative lacks its return."""

    def forward(self, x: Any) -> Any:
        return x * x

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        2 * grad * x


def cell_with(op: mg.Op) -> tuple[Cell, mg.Tensor]:
    cell, w = Cell(), mg.Tensor([0.5, -0.3], requires_grad=True, name="w")
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = mg.apply(op, w * x[t] + 0.5 * s[t-1])
    L[t] = (s[t] * s[t]).sum(axis=-1)
    return cell, w


def test_an_operation_that_combines_the_sequences_of_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Centered\(.*combines the sequences of a batch \(at test_own_operations\.py"):
        cell_with(Centered(None))


@pytest.mark.parametrize("op", [Centered(-1), Swish()], ids=["Centered", "Swish"])
def test_a_program_has_the_values_and_gradients_of_each_sequence_alone(op: mg.Op) -> None:
    cell, w = cell_with(op)
    total, gradient = 0.0, np.zeros(2)
    for b in range(3):
        loss = cell.unroll(x=X[:, b])["L"].stack().sum()
        total, gradient = total + loss.item(), gradient + mg.grad(loss, w)
    w.grad = None
    result = cell.compile(loss="L")(x=X)
    np.testing.assert_allclose(result.loss, total)
    np.testing.assert_allclose(w.grad, gradient)


def test_a_derivative_without_return_is_named_in_a_program_too() -> None:
    cell, _ = cell_with(Forgetful())
    with pytest.raises(TypeError, match=r"Forgetful\.backward returned None: is its `return` missing\?"):
        cell.compile(loss="L")(x=X)
