"""Complex numbers as pairs of real ones, against NumPy's."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t
from rnn.complex import Complex, complex_signal

RNG = np.random.default_rng(4)


def draw(*shape: int) -> Any:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A, B, R = draw(3, 3), draw(3, 3), RNG.normal(size=(3, 3))


@pytest.mark.parametrize("formula", [
    lambda a, b, r: a + b, lambda a, b, r: a - b, lambda a, b, r: a * b, lambda a, b, r: a / b, lambda a, b, r: a @ b,
    lambda a, b, r: a + r, lambda a, b, r: r - a, lambda a, b, r: r * a, lambda a, b, r: a / r, lambda a, b, r: r / a,
    lambda a, b, r: a @ r, lambda a, b, r: r @ a, lambda a, b, r: -a, lambda a, b, r: a.conj() * 2,
    lambda a, b, r: a * (1 - 2j), lambda a, b, r: B @ a, lambda a, b, r: (a @ b)[1], lambda a, b, r: 1j - a])
def test_arithmetic_is_that_of_complex_numbers(formula: Callable[..., Any]) -> None:
    found, expected = formula(Complex(A.real, A.imag), Complex(B.real, B.imag), R), formula(A, B, R)
    np.testing.assert_allclose(found.real, expected.real)
    np.testing.assert_allclose(found.imag, expected.imag)


def test_the_modulus_and_the_polar_form() -> None:
    z = Complex.polar(np.abs(A), np.angle(A))
    np.testing.assert_allclose(z.real + 1j * z.imag, A)
    np.testing.assert_allclose(abs(Complex(A.real, A.imag)), np.abs(A))


def test_a_linear_recurrence_with_complex_states_is_that_of_numpy() -> None:
    cell, lam, U, C = Cell(), 0.9 * np.exp(1j * np.arange(3)), draw(3, 2), draw(4, 3)
    u, y = cell.input("u", 2), cell.signal("y", 4)
    s = complex_signal(cell, "s", 3)
    radius = mg.Tensor(np.full(3, 0.9), requires_grad=True, name="radius")
    s[t] = Complex.polar(radius, np.arange(3.0)) * s[t-1] + Complex(U) @ u[t]
    s[0] = 1 + 2j
    y[t] = (Complex(C) @ s[t]).real
    x, state = RNG.normal(size=(5, 2)), np.full(3, 1 + 2j)
    run = cell.unroll(u=x)
    for k in range(5):
        state = lam * state + U @ x[k]
        np.testing.assert_allclose(run["y"][k + 1].data, (C @ state).real)

    def loss() -> Any:
        return (cell.unroll(u=x)["y"].stack() ** 2).sum()

    np.testing.assert_allclose(mg.grad(loss(), radius), mg.numeric_gradient(loss, radius), rtol=1e-6)


def test_a_signal_on_the_left_leaves_the_operator_to_the_complex_number() -> None:
    cell = Cell()
    x, s, y = cell.input("x", 2), complex_signal(cell, "s", 2), cell.signal("y", 2)
    s[t] = x[t] * s[t-1] + (1 - x[t] / Complex(3.0, 1.0)) + 0.1 * t * Complex(0.0, 1.0)
    y[t] = np.where(s[t] == Complex(s.re[t], s.im[t] * 1), 1.0, 0.0) + 2.0 * (s[t] != s[t-1])
    data, state = RNG.normal(size=(3, 2)), np.zeros(2, complex)
    run = cell.unroll(x=data)
    for k, row in enumerate(data):
        state = row * state + (1 - row / (3 + 1j)) + 0.1j * (k + 1)
        np.testing.assert_allclose(run["s.re"][k + 1].data + 1j * run["s.im"][k + 1].data, state)
    np.testing.assert_array_equal(run["y"].stack().data, np.full((3, 2), 3.0))
    with pytest.raises(TypeError, match=r"complex numbers have no order \(at test_complex"):
        operator.lt(s[t], s[t-1])


def test_an_assignment_that_fails_sets_neither_part() -> None:
    cell = Cell()
    s = complex_signal(cell, "s", 2)
    with pytest.raises(ValueError, match=r"s\.im\[t\] = array\(3, 2\) has shape \(3, 2\)"):
        s[t] = Complex(s.re[t-1], np.ones((3, 2)))
    assert cell.equations == []
    s[t] = Complex(s.re[t-1], np.ones(2))
    assert len(cell.equations) == 2
