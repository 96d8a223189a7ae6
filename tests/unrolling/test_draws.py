"""Random draws: in which order unroll makes them, and that compiled programs make the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, t

X = np.random.default_rng(1).normal(size=(5, 3, 2))
RATE, SEED = 0.5, 7


def definition(write: Callable[..., None]) -> Cell:
    cell, p = Cell(), Tensor([1.0, 2.0], requires_grad=True, name="p")
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    write(np.random.default_rng(SEED), p, x, s, L)
    return cell


def backward_loop(rng: np.random.Generator, p: Tensor, x: Any, s: Any, L: Any) -> None:
    s[t] = np.tanh(mg.dropout(p * x[t], RATE, rng) + 0.5 * s[t+1])
    L[t] = s[t] @ s[t]


def used_before_defined(rng: np.random.Generator, p: Tensor, x: Any, s: Any, L: Any) -> None:
    L[t] = mg.dropout(s[t], RATE, rng) @ s[t-1]
    s[t] = np.tanh(mg.dropout(p * x[t], RATE, rng) + 0.5 * s[t-1])


def both_directions(rng: np.random.Generator, p: Tensor, x: Any, s: Any, L: Any) -> None:
    z = s.cell.signal("z", 2)
    z[t] = mg.dropout(p * z[t+1] + s[t], RATE, rng)
    shared = mg.dropout(x[t], RATE, rng)
    s[t] = np.tanh(shared + 0.5 * mg.dropout(s[t-1], RATE, rng))
    L[t] = (z[t] * s[t] * shared).sum(axis=-1)


def of_parameters(rng: np.random.Generator, p: Tensor, x: Any, s: Any, L: Any) -> None:
    U = Tensor(np.random.default_rng(9).normal(size=(2, 2)), requires_grad=True, name="U")
    dropped = mg.dropout(U, RATE, rng)
    s[t] = np.tanh(dropped @ s[t-1] + mg.dropout(x[t] * p, RATE, rng))
    L[t] = s[t] @ (dropped @ x[t])
    s[0] = mg.dropout(p, RATE, rng) * 2


DEFINITIONS = [backward_loop, used_before_defined, both_directions, of_parameters]


def naive_backward_loop() -> float:
    """Return the loss of `backward_loop`: the masks are drawn at t = 1 … T, and then the loop runs from T to 1."""
    rng = np.random.default_rng(SEED)
    keep = [rng.random((3, 2)) >= RATE for _ in range(5)]
    s, total = np.zeros((3, 2)), 0.0
    for step in reversed(range(5)):
        s = np.tanh(np.array([1.0, 2.0]) * X[step] * keep[step] / (1 - RATE) + 0.5 * s)
        total += (s * s).sum()
    return total


def naive_used_before_defined() -> float:
    """Return the loss of `used_before_defined`: at each step L's mask is drawn first, as L is written first."""
    rng = np.random.default_rng(SEED)
    s, total = np.zeros((3, 2)), 0.0
    for step in range(5):
        of_loss, of_state = (rng.random((3, 2)) >= RATE for _ in range(2))
        before, s = s, np.tanh(np.array([1.0, 2.0]) * X[step] * of_state / (1 - RATE) + 0.5 * s)
        total += (s * of_loss / (1 - RATE) * before).sum()
    return total


def naive_of_parameters() -> float:
    """Return the loss of `of_parameters`: masks of U and p, in the order of their use, precede those of the steps."""
    rng = np.random.default_rng(SEED)
    U, p = np.random.default_rng(9).normal(size=(2, 2)), np.array([1.0, 2.0])
    rng.random((2, 2)), rng.random(2)  # drawn when the definition was written
    U = U * (rng.random((2, 2)) >= RATE) / (1 - RATE)
    s, total = np.zeros((3, 2)) + 2 * p * (rng.random(2) >= RATE) / (1 - RATE), 0.0
    for step in range(5):
        s = np.tanh(s @ U.T + X[step] * p * (rng.random((3, 2)) >= RATE) / (1 - RATE))
        total += (s * (X[step] @ U.T)).sum()
    return total


@pytest.mark.parametrize(("write", "naive"), [
    (backward_loop, naive_backward_loop), (used_before_defined, naive_used_before_defined),
    (of_parameters, naive_of_parameters)])
def test_the_order_is_that_of_the_steps_and_of_writing(write: Any, naive: Callable[[], float]) -> None:
    wanted = naive()
    assert definition(write).unroll(x=X)["L"].stack().sum().item() == pytest.approx(wanted, rel=1e-12)
    assert definition(write).compile("L")(x=X).loss == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"chunks": 2}, {"last": 2}, {"window": (1, 3)}, {"window": (2, 3)}], ids=str)
@pytest.mark.parametrize("write", DEFINITIONS)
def test_compiled_programs_draw_the_same(write: Any, options: dict[str, Any]) -> None:
    cell, other = definition(write), definition(write)
    if "window" in options and write in (backward_loop, both_directions):
        pytest.skip("windows don't go with loops that run backward")
    fast, losses = other.compile("L"), []
    for _ in range(3):  # each draws anew
        loss = cell.unroll(x=X, **options)["L"].stack().sum()
        loss.backward()
        losses.append(loss.item())
        assert fast(x=X, **options).loss == pytest.approx(losses[-1], rel=1e-12)
    assert len(set(losses)) == 3
    for name, tensor in cell.parameters.items():
        np.testing.assert_allclose(other.parameters[name].grad, tensor.grad, rtol=1e-10, atol=1e-12)  # type: ignore[arg-type]


def test_backward_of_a_compiled_program_has_the_draws_of_its_call() -> None:
    cell, other = definition(both_directions), definition(both_directions)
    fast = other.compile()
    fast(x=X)
    fast.backward(z=np.ones((5, 3, 2)))
    cell.unroll(x=X)["z"].stack().sum().backward()
    np.testing.assert_allclose(other.parameters["p"].grad, cell.parameters["p"].grad, rtol=1e-12)  # type: ignore[arg-type]


def test_the_elements_of_a_parameter_that_are_dropped_differ_between_unrolls() -> None:
    """Of 100 weights about half have a gradient, in two unrolls not the same ones."""
    U, cell = Tensor(np.ones((10, 10)), requires_grad=True, name="U"), Cell()
    x, y = cell.input("x", 10), cell.signal("y", 10)
    y[t] = mg.dropout(U, RATE, np.random.default_rng(0)) @ x[t]
    kept = []
    for _ in range(2):
        U.grad = None
        cell.unroll(x=np.ones((3, 10)))["y"].stack().sum().backward()
        assert set(np.unique(U.grad)) == {0.0, 6.0}  # type: ignore[arg-type]  # three steps, each 1 / (1 - RATE)
        kept.append(U.grad != 0)
    assert 30 < kept[0].sum() < 70 and (kept[0] != kept[1]).any()


def test_an_ordinary_gradient_through_the_dropout_of_a_parameter() -> None:
    """Outside of recurrences nothing is drawn again."""
    U = Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    dropped = mg.dropout(U, RATE, np.random.default_rng(3))
    kept = np.random.default_rng(3).random(4) >= RATE
    assert mg.grad(dropped.sum(), U).tolist() == (kept * 2.0).tolist()
    dropped.sum().backward()
    assert U.grad is not None and U.grad.tolist() == (kept * 2.0).tolist()
