"""Gradients of values before and after the sequence, where a signal is read beyond both ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from both_ends import Built, Case, X, assert_right, cases
from cases import thinned

import minigrad as mg
from rnn import Cell, T, t


def compiled(built: Built) -> tuple[float, dict[str, Any]]:
    loss = built.cell.compile("L")(x=X, **built.options).loss
    return loss, {name: tensor.grad for name, tensor in built.tensors.items()}


def unrolled(built: Built) -> tuple[float, dict[str, Any]]:
    loss = built.cell.unroll(x=X, **built.options)["L"].stack().sum()
    loss.backward()
    return loss.item(), {name: tensor.grad for name, tensor in built.tensors.items()}


@pytest.mark.parametrize("case", thinned([case for case in cases() if not case.option], 4), ids=str)
def test_compiled(case: Case) -> None:
    assert_right(case, compiled)


@pytest.mark.parametrize("case", [case for case in cases() if case.option and case.lead == 0], ids=str)
def test_compiled_with_given_values(case: Case) -> None:
    assert_right(case, compiled)


@pytest.mark.parametrize("case", cases()[::7], ids=str)
def test_unrolled(case: Case) -> None:
    assert_right(case, unrolled)


def test_a_loop_of_which_only_a_boundary_value_is_learned() -> None:
    """s[k] = 0.5**(T + 2 - k) p: L = s[1] + s[2] of T = 2."""
    p = mg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    cell = Cell()
    s, L = cell.signal("s", 2), cell.signal("L", ())
    s[t+1] = 0.5 * s[t+2]
    s[T+2] = p
    L[t] = s[t].sum(axis=-1)
    loss = cell.compile("L")(T=2).loss
    assert loss == 3 * 0.25  # s[1] isn't computed, so it is zero; s[2] is 0.25 p
    assert p.grad is not None and p.grad.tolist() == [0.25, 0.25]


def test_a_gradient_that_is_the_gradient_of_another_step_alone() -> None:
    """L[t] = min(r[t+1]) * s[t][0], r[t] = s[t+1] - 1, s = p x: of T = 3 only L[1] reads computed values, s[3]."""
    p = mg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    cell = Cell()
    x, s, r, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("r", 2), cell.signal("L", ())
    s[t] = p * x[t]
    r[t] = s[t+1] - np.ones(2)
    L[t] = mg.min(r[t+1], axis=-1) * s[t][0]
    data = np.array([[2.0, 3.0], [0.5, 4.0], [-1.0, 5.0]])
    # r[2] = (-p0 - 1, 5 p1 - 1), r[3] = (-1, -1), r[4] = 0: L = (-p0 - 1) 2 p0 - 0.5 p0
    assert cell.compile("L")(x=data).loss == pytest.approx(-4.0 - 0.5)
    assert p.grad is not None
    np.testing.assert_allclose(p.grad, [-4.0 - 2.0 - 0.5, 0.0], rtol=1e-12)


def test_a_learned_value_that_no_equation_reads() -> None:
    p = mg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    cell = Cell()
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t-1] = p * x[t]
    s[T] = 2 * p
    L[t] = s[t-1].sum(axis=-1)
    assert cell.compile("L")(x=np.ones((3, 2))).loss == 9.0
    assert p.grad is not None and p.grad.tolist() == [3.0, 3.0]


def test_a_path_that_ends_at_an_operand_without_a_derivative() -> None:
    """The condition of `where` passes no gradient: there is nothing to add for the step before."""
    p, q = (mg.Tensor([1.0, 2.0], requires_grad=True, name=name) for name in "pq")
    cell = Cell()
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = mg.relu(p * x[t])
    L[t] = mg.where(s[t-1], q, 0 * q).sum(axis=-1)
    cell.compile("L")(x=np.array([[1.0, -1.0], [1.0, 1.0], [1.0, 1.0]]))
    assert p.grad is None
    assert q.grad is not None and q.grad.tolist() == [2.0, 1.0]


def test_a_value_computed_from_a_parameter_is_computed_anew_at_each_call() -> None:
    p = mg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    cell = Cell()
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = x[t] + s[t-1]
    s[0] = 2 * p
    L[t] = s[t].sum(axis=-1)
    fast = cell.compile("L")
    assert fast(x=np.zeros((1, 2))).loss == 6.0
    p.data = np.array([2.0, 3.0])
    assert fast(x=np.zeros((1, 2))).loss == 10.0


def test_a_learned_end_that_alone_reaches_the_loss_has_the_gradient_of_one_step() -> None:
    """The gradient of the loss is one number for all steps here, and no array."""
    cell, q = Cell("end"), mg.Tensor(0.3, requires_grad=True, name="q")
    z, L = cell.signal("z", ()), cell.signal("L", ())
    z[t] = 0.5
    L[t] = z[t+1]
    z[T+1] = q
    fast = cell.compile(loss="L")
    for steps in (1, 4):
        q.grad = None
        assert fast(T=steps).loss == 0.5 * (steps - 1) + 0.3
        assert q.grad == 1.0


def test_data_whose_gradient_is_the_same_everywhere_get_it_at_each_step() -> None:
    cell, x = Cell("same"), mg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    z, L = cell.input("z", 3), cell.signal("L", ())
    L[t] = 0.5 * z[t].sum(axis=-1)
    cell.compile(loss="L")(z=x)
    assert x.grad.tolist() == [[0.5] * 3] * 2
