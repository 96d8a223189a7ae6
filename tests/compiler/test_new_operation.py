"""An operation that is new to the library is compiled as well as the old ones; its class is all that is needed."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from definitions import data, parameter
from test_compile import assert_equal, loops_of, with_loss

import minigrad as mg
from minigrad.ops import Array, Elementwise, Tanh
from rnn import Cell, t


class Softsign(Elementwise):
    """x / (1 + |x|): no ufunc computes it."""

    def forward(self, x: Array) -> Array:
        return x / (1 + abs(x))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / ((1 + abs(x)) * (1 + abs(x)))


class Cbrt(Elementwise):
    """The cube root, which NumPy computes."""

    ufunc = np.cbrt

    def forward(self, x: Array) -> Array:
        return np.cbrt(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (3 * out * out)


class Capped(Elementwise):
    """min(x, limit); the derivative compares with ==, and is 1 at the limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def forward(self, x: Array) -> Array:
        return np.minimum(x, self.limit)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (out == x)


class Quarter(Tanh):
    """Inherits a ufunc that computes something else."""

    def forward(self, x: Array) -> Array:
        return 0.25 * np.tanh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (0.25 - 4 * out * out)


class ArraysOnly(Elementwise):
    """sin, with a derivative that can't be written as nodes."""

    def forward(self, x: Array) -> Array:
        return np.sin(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        slope = np.cos(np.array(x, dtype=float))
        assert grad.shape == slope.shape
        return grad * slope


class BranchesOnData(ArraysOnly):
    """The same, with a derivative that looks at the numbers."""

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.cos(x) if (x == x).all() else grad * np.nan


FACTOR = 0.5


class OfAnAttribute(Elementwise):
    """k x."""

    k = 0.5

    def forward(self, x: Array) -> Array:
        return self.k * x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return self.k * grad


class OfAMethod(OfAnAttribute):
    """k x, where the derivative reads k in another method."""

    def slope(self) -> float:
        return self.k

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return self.slope() * grad


class OfAGlobal(Elementwise):
    """FACTOR x."""

    def forward(self, x: Array) -> Array:
        return FACTOR * x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return FACTOR * grad


def two_gates(op: mg.Op) -> Cell:
    """Two products with h[t-1], to each of which the operation is applied."""
    U, R, W, V = (parameter(name, 3, 3) for name in "URWV")
    cell = Cell("two gates")
    x, z, a, h = cell.input("x", 3), *(cell.signal(name, 3) for name in "zah")
    z[t] = mg.apply(op, R @ h[t-1] + V @ x[t] + 2.0)
    a[t] = mg.apply(op, U @ h[t-1] + W @ x[t] + 3.0)
    h[t] = z[t] * a[t]
    return with_loss(cell)


@pytest.mark.parametrize("op", [Softsign(), Cbrt(), Capped(2.0), Quarter()], ids=lambda op: type(op).__name__)
def test_a_new_elementwise_operation_is_fused(op: mg.Op) -> None:
    cell = two_gates(op)
    forward, backward = loops_of(cell.compile("L").source)
    name = type(op).__name__.lower()
    assert len(re.findall(rf"\b{name}\b", forward)) == 1  # one call for both gates
    assert forward.count(".dot(") == backward.count(".dot(") == 1
    assert not re.search(r"\w+\.backward\(", backward)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-11)


def test_a_ufunc_is_called_by_its_name_and_only_for_the_class_that_declares_it() -> None:
    assert "cbrt(" in loops_of(two_gates(Cbrt()).compile("L").source)[0]
    assert "quarter.forward(" in loops_of(two_gates(Quarter()).compile("L").source)[0]


@pytest.mark.parametrize(("kind", "place", "name"), [
    (OfAnAttribute, "object", "k"), (OfAnAttribute, "class", "k"), (OfAMethod, "object", "k"),
    (OfAMethod, "class", "k"), (OfAGlobal, "module", "FACTOR")])
def test_a_variable_of_a_derivative_may_get_another_value(kind: Any, place: str, name: str,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    op, w, cell = kind(), parameter("w"), Cell("variable")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = mg.apply(op, w * x[t] + h[t-1])
    fast, given = cell.compile("h"), {"x": np.ones(2)}
    fast(**given)
    monkeypatch.setattr({"object": op, "class": kind, "module": sys.modules[__name__]}[place], name, 2.0)
    w.grad = None
    fast(**given)
    assert w.grad == 2.0 + (2.0 + 4.0)


@pytest.mark.parametrize("op", [ArraysOnly(), BranchesOnData()], ids=lambda op: type(op).__name__)
def test_a_derivative_for_arrays_alone_is_called_when_the_program_runs(op: mg.Op) -> None:
    cell = two_gates(op)
    assert f"{type(op).__name__.lower()}.backward(" in cell.compile("L").source
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-11)


@pytest.mark.parametrize("f", [lambda a: mg.apply(ArraysOnly(), a), lambda a: (2 + np.tanh(a)) ** (1 + a * a)],
                         ids=["arrays only", "pow"])
@pytest.mark.parametrize("size", [(), 3])
def test_the_gradient_of_a_loss_is_an_array_for_a_derivative_that_takes_arrays_alone(f: Any, size: Any) -> None:
    cell = Cell("loss")
    x, y, loss = cell.input("x", size), cell.signal("y", size), cell.signal("L", ())
    y[t] = f(x[t] * parameter("w", *(() if size == () else (size,))))
    loss[t] = y[t] * 1.0 if size == () else y[t].sum(axis=-1)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-11)
    direct = Cell("direct")
    x2, loss2 = direct.input("x", ()), direct.signal("L", ())
    loss2[t] = f(x2[t] * parameter("v"))
    assert_equal(direct, data(direct, 4, (2,)), rtol=1e-11)


@pytest.mark.parametrize("f", [
    lambda a: np.maximum(a, 0.0), lambda a: np.minimum(a, a), lambda a: np.clip(a, -0.1, 0.1), mg.softplus,
    lambda a: mg.where(np.array([True, False, True]), a, -a)], ids=["max", "tie", "clip", "softplus", "where"])
def test_library_operations_that_compare_are_differentiated_by_nodes(f: Any) -> None:
    U, cell = parameter("U", 3, 3), Cell("compare")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = f(U @ h[t-1] + x[t])
    fast = with_loss(cell).compile("L")
    assert not re.search(r"\w+\.backward\(", fast.source)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-11)


@pytest.mark.parametrize("name", ["cbrt", "arrays", "flat", "by_step", "tile", "all_steps", "iteration",
                                  "forward_tiles", "backward_tiles", "t", "S", "my_arrays", "tank"])
def test_a_signal_may_have_any_name_of_the_programs_own(name: str) -> None:
    U, cell = parameter("U", 3, 3), Cell("names")
    x, h = cell.input("x", 3), cell.signal(name, 3)
    y = cell.signal(f"{name} {name}", 3)
    h[t] = mg.apply(Cbrt(), U @ h[t-1] + parameter("W", 3, 3) @ x[t])
    y[t] = np.tanh(parameter("V", 3, 3) @ h[t] + parameter("R", 3, 3) @ y[t-1])
    loss = cell.signal("L", ())
    loss[t] = (y[t] * y[t]).sum(axis=-1)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-10)


def test_gates_that_share_a_factor_of_one_element() -> None:
    U, R = parameter("U", 3, 3), parameter("R", 3, 3)
    cell = Cell("shared factor")
    x, s, h = cell.input("x", 3), cell.input("s", ()), cell.signal("h", 3)
    factor = s[t] * np.ones(1)
    h[t] = np.tanh(factor * (R @ h[t-1])) * np.tanh(factor * (U @ h[t-1])) + x[t]
    assert_equal(with_loss(cell), data(cell, 4, (2,)), rtol=1e-11)


class Hinge(Elementwise):
    """x, but 0 below 1/2 and at infinity; the derivative compares a value that nothing else reads."""

    def forward(self, x: Array) -> Array:
        return np.where((x * x < 0.25) | (x == np.inf), 0, x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.where(x * x < 0.25, 0, np.where(x == np.inf, 0, grad))


def test_a_comparison_does_not_take_the_memory_of_its_operand_and_numbers_may_be_infinite() -> None:
    cell = two_gates(Hinge())
    assert not re.search(r"\w+\.backward\(", cell.compile("L").source)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-11)


def test_the_derivative_for_a_matrix_is_summed_over_steps_and_sequences() -> None:
    cell = Cell("solve")
    A, x, h = parameter("A", 3, 3), cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.linalg.solve(A, x[t] + 0.1 * h[t-1])
    assert_equal(with_loss(cell), data(cell, 4, (2,)), rtol=1e-9)
