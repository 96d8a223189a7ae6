"""NumPy's functions in equations: each elementwise one and those along the vector, unrolled, compiled and saved."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow, thinned
from definitions import data, parameter
from test_compile import assert_equal, with_loss

from minigrad import numpy_ops
from minigrad.ops import Elementwise
from rnn import Cell, t

# Where a function isn't defined on all numbers, tanh of its operand is scaled and moved into where it is.
DOMAIN: dict[Any, tuple[float, float]] = {np.arccosh: (1.0, 2.5), np.log10: (0.5, 1.0)}
UFUNCS = sorted({kind.ufunc for kind in vars(numpy_ops).values() if isinstance(kind, type)
                 and issubclass(kind, Elementwise) and kind.ufunc is not None}, key=lambda ufunc: ufunc.__name__)
OTHERS: dict[str, Callable[[Any, Any], Any]] = {
    "sinc": lambda a, b: np.sinc(a), "round": lambda a, b: np.round(a, 1) + a, "%": lambda a, b: a % 0.3,
    "//": lambda a, b: a // 0.3 + a, "r%": lambda a, b: 2.0 % (a + 2.0), "deg2rad": lambda a, b: np.deg2rad(a),
    "cumprod": lambda a, b: np.cumprod(a, axis=-1), "sort": lambda a, b: np.sort(a),
    "select": lambda a, b: np.select([np.array([True, False, True])], [a], b),
    "solve": lambda a, b: np.linalg.solve(parameter("A", 3, 3) + 2 * np.eye(3), a),
    "solve a batch": lambda a, b: np.linalg.solve(2 * np.eye(3), a * b), "copy": lambda a, b: a.copy(),
    "inner": lambda a, b: np.inner(a, b) * a, "roll": lambda a, b: np.roll(a, 1, axis=-1),
    "diff": lambda a, b: b * np.diff(a, prepend=np.zeros(1)),
    "vector norm": lambda a, b: b / np.linalg.vector_norm(a, axis=-1),
    "norm": lambda a, b: a / np.linalg.norm(b, 1),
    "divmod": lambda a, b: sum(divmod(a, 0.3)),
}


def definition(f: Callable[[Any, Any], Any]) -> Cell:
    """Return h[t] = f of two products with h[t-1]."""
    R, U, W, V = (parameter(name, 3, 3) for name in "RUWV")
    cell = Cell("numpy")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = 0.5 * f(0.8 * np.tanh(R @ h[t-1] + V @ x[t]), 0.8 * np.tanh(U @ h[t-1] + W @ x[t])) + 0.1 * x[t]
    return with_loss(cell)


def call(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    scale, shift = DOMAIN.get(ufunc, (1.0, 0.0))
    return lambda a, b: ufunc(*(scale * x + shift for x in (a, b)[:ufunc.nin]))


CASES = [*(pytest.param(call(ufunc), id=ufunc.__name__) for ufunc in UFUNCS),
         *(pytest.param(f, id=name) for name, f in OTHERS.items())]


@pytest.mark.parametrize("f", thinned(CASES, 2))
def test_a_compiled_program_computes_the_same(f: Callable[[Any, Any], Any]) -> None:
    cell = definition(f)
    assert_equal(cell, data(cell, 4, (2,)), rtol=1e-10)
    assert_equal(cell, data(cell, 4, ()), rtol=1e-10)
    assert_equal(cell, data(cell, 4, (3,)), rtol=1e-10, lengths=[4, 2, 3])


@pytest.mark.parametrize("f", mostly_slow([case for case in CASES if case.id in (
    "arctan2", "logaddexp", "heaviside", "sinc", "cumprod", "sort", "%")], 3))
def test_a_saved_program_needs_numpy_alone(f: Callable[[Any, Any], Any], tmp_path: Path) -> None:
    cell = definition(f)
    fast, given = cell.compile("L"), data(cell, 4, (2,))
    loss, _ = fast(**given)
    path = fast.save(tmp_path / "saved.py")
    text = path.read_text(encoding="utf-8")
    assert "minigrad" not in "".join(line for line in text.splitlines() if "import" in line)
    spec = importlib.util.spec_from_file_location("saved", path)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    weights = {name: x.numpy() for name, x in cell.parameters.items()}
    arrays = program.buffers(4, 2)
    names = program.forward.__code__.co_varnames[:program.forward.__code__.co_argcount]
    inputs = {**weights, "x": given["x"]}
    program.forward(arrays, *(inputs[name] for name in names[1:] if name in inputs))
    np.testing.assert_allclose(np.sum(arrays.L), loss, rtol=1e-12)


def test_an_infinite_derivative_at_a_masked_step_reaches_no_parameter() -> None:
    """log is infinite at 0: what a masked step computes is multiplied by 0, and must be finite."""
    w = parameter("w")
    cell = Cell("logarithm")
    x, h, L = cell.input("x", ()), cell.signal("h", ()), cell.signal("L", ())
    h[t] = np.log(w * w * x[t] + h[t-1]**2 + 1e-300)
    L[t] = np.sqrt(h[t]**2) * np.log(x[t])
    X = np.array([[2.0, 3.0, 5.0], [7.0, 11.0, 13.0], [17.0, 19.0, 23.0]])
    w.grad, expected = None, 0.0
    for sequence, length in enumerate([3, 1, 2]):  # each alone
        cell.unroll(x=X[:length, sequence])["L"].stack().sum().backward()
        expected, w.grad = expected + w.grad.item(), None
    X[1:, 1] = X[2, 2] = 0.0  # padded
    cell.compile("L")(x=X, lengths=[3, 1, 2])
    np.testing.assert_allclose(w.grad, expected, rtol=1e-12)
