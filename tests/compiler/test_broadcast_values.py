"""Compiled sums over axes, repeated numbers and axes of length 1: values and gradients as of the unrolled graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, t


def agrees(cell: Cell, *shapes: tuple[int, ...], **options: Any) -> None:
    """Compare all signals and all gradients, with data x0, x1, ... of these shapes."""
    rng = np.random.default_rng(0)
    data = {f"x{n}": mg.Tensor(rng.normal(size=(3, 2, *shape)), requires_grad=True) for n, shape in enumerate(shapes)}
    own = {**cell.parameters, **data}
    for p in own.values():
        p.grad = None
    run = cell.unroll(**data, **options)
    run["L"].stack().sum().backward()
    expected = {name: np.zeros(p.shape) if p.grad is None else p.grad for name, p in own.items()}
    for p in own.values():
        p.grad = None
    result = cell.compile(loss="L")(**data, **options)
    for name, values in result.outputs.items():
        np.testing.assert_allclose(values, run[name].stack().data, atol=1e-12, err_msg=name)
    for name, p in own.items():
        found = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


REDUCTIONS: list[Callable[[Any], Any]] = [
    lambda S: S.sum(), lambda S: S.sum(axis=-1).sum(), lambda S: S.sum(axis=0).sum(), lambda S: S.mean(axis=-1).sum(),
    lambda S: S.mean(), lambda S: S.sum(axis=-1, keepdims=True).sum(axis=0)[0], lambda S: S.mean(axis=1).mean(),
    lambda S: (S * parameter("r", 3, 2)).sum(), lambda S: (S * parameter("r", 3, 1)).sum(axis=-1).sum()]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (2,), (1,), (3, 1), (1, 2), (1, 1)], ids=str)
def test_a_loss_of_a_matrix_to_which_a_smaller_value_is_added(shape: tuple[int, ...], reduction: Any) -> None:
    cell = Cell("repeated")
    x, s, S, L = cell.input("x0", shape), cell.signal("s", shape), cell.signal("S", (3, 2)), cell.signal("L", ())
    s[t] = x[t] * parameter("v")
    S[t] = s[t] + parameter("p", 3, 2)
    L[t] = reduction(S[t])
    agrees(cell, shape)


def test_the_gradient_of_a_repeated_number_counts_the_elements() -> None:
    v = mg.Tensor(np.array(0.5), requires_grad=True, name="v")
    cell = Cell("repeated")
    x, s, S, L = cell.input("x0", ()), cell.signal("s", ()), cell.signal("S", (3, 2)), cell.signal("L", ())
    s[t] = x[t] * v
    S[t] = s[t] + mg.Tensor(np.ones((3, 2)))
    L[t] = S[t].sum(axis=-1).sum()
    cell.compile(loss="L")(x0=np.ones((1, 1)))
    assert v.grad == 6


@pytest.mark.parametrize("factor", [(), (2,), (1,), (3, 1), (1, 2), (1, 1), (3, 2)], ids=str)
@pytest.mark.parametrize("shape", [(), (2,), (3, 1), (1, 1)], ids=str)
def test_a_loss_of_products_with_a_weight(shape: tuple[int, ...], factor: tuple[int, ...]) -> None:
    cell = Cell("scaled")
    x, s, S, L = cell.input("x0", shape), cell.signal("s", shape), cell.signal("S", (3, 2)), cell.signal("L", ())
    s[t] = np.tanh(x[t])
    S[t] = parameter("W", 3, 3) @ (s[t] * parameter("q", *factor) + parameter("p", 3, 2)) * 0.5
    L[t] = (S[t] * parameter("r", *factor)).sum(axis=-1).sum()
    agrees(cell, shape)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_loss_of_an_outer_product_with_a_weight(rows: int) -> None:
    cell = Cell("outer")
    x, S, L = cell.input("x0", 2), cell.signal("S", (rows, 3)), cell.signal("L", ())
    S[t] = np.outer(parameter("p", rows, 2) @ x[t], parameter("q", 3)) * 0.5
    L[t] = S[t].sum(axis=-1).sum()
    agrees(cell, (2,))


@pytest.mark.parametrize("axis", [0, -1])
def test_terms_of_a_gradient_in_a_loop_that_are_repeated_along_an_axis(axis: int) -> None:
    cell = Cell("rows")
    x, S, a, L = cell.input("x0", (2, 3)), cell.signal("S", (2, 3)), cell.signal("a"), cell.signal("L", ())
    S[t] = np.tanh(x[t] + parameter("p", 3) * S[t-1])
    a[t] = S[t].sum(axis=axis)
    L[t] = (S[t] * S[t] * S[t]).sum() + (a[t] * a[t]).sum() + (S[t] * parameter("q", 3)).sum()
    agrees(cell, (2, 3))
    agrees(cell, (2, 3), lengths=[3, 1])


def test_a_number_of_the_previous_step_that_is_repeated_in_a_loop() -> None:
    cell = Cell("carried")
    x, s, L = cell.input("x0", (3, 2)), cell.signal("s", ()), cell.signal("L", ())
    s[t] = np.tanh(x[t] * s[t-1] + parameter("p", 3, 2)).sum(axis=-1).sum()
    L[t] = s[t-1] * s[t-1]
    agrees(cell, (3, 2))


@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (2, 2, 2)], ids=str)
def test_a_truncated_gradient_of_rows_that_are_scaled(shape: tuple[int, ...]) -> None:
    cell = Cell("cut")
    x, S, L = cell.input("x0", shape), cell.signal("S", shape), cell.signal("L", ())
    S[t] = np.tanh(x[t] + parameter("W", *shape[:-1], shape[-2]) @ (S[t-1] * parameter("p", 2)))
    L[t] = (S[t] * S[t]).sum()
    agrees(cell, shape, chunks=2)


READS: list[Callable[[Any, Any], Any]] = [
    lambda S, x: (S * x).sum(axis=-2), lambda S, x: (S * x * parameter("k", 1, 1)).sum(axis=-2),
    lambda S, x: (S * x).mean(axis=0), lambda S, x: (S * x).sum(axis=0, keepdims=True)[0],
    lambda S, x: x * S.sum(axis=(0, 1))]


@pytest.mark.parametrize("read", READS)
def test_a_matrix_of_one_column_that_the_next_step_reads(read: Any) -> None:
    cell = Cell("column")
    x, S, h, L = cell.input("x0", 3), cell.signal("S", (2, 1)), cell.signal("h", 3), cell.signal("L", ())
    S[t] = parameter("p", 2, 1) * x[t].sum(axis=-1)
    h[t] = np.tanh(read(S[t-1], x[t]))
    L[t] = h[t].sum() + S[t].sum()
    agrees(cell, (3,))


@pytest.mark.parametrize("factor", [(), (1,), (1, 1)], ids=str)
def test_a_weight_of_one_element_in_a_product_of_columns_and_rows(factor: tuple[int, ...]) -> None:
    cell = Cell("one")
    x, y, M, L = cell.input("x0", 3), cell.signal("y", 2), cell.signal("M", (2, 3)), cell.signal("L", ())
    M[t] = y[t-1][:, None] * (x[t] * parameter("k", *factor)) + np.tanh(M[t-1])
    y[t] = (M[t] * x[t] * parameter("l", *factor)).sum(axis=-1)
    L[t] = (y[t] * y[t]).sum() + (M[t-1] * x[t] * y[t][:, None] * parameter("m", *factor)).sum(axis=(0, 1))
    agrees(cell, (3,))


def test_a_signal_that_equals_another_value_has_its_own_boundary() -> None:
    cell = Cell("copy")
    x, s, L = cell.input("x0", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = x[t] ** 1
    s[0] = parameter("start", 2)
    L[t] = (s[t-1] * s[t]).sum()
    agrees(cell, (2,))
