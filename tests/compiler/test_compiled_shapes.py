"""Signals of any shape in compiled programs: values and gradients of each formula as the unrolled graph has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import thinned
from definitions import parameter
from shape_formulas import DATA, FORMULAS, network, with_learned_tensors

import minigrad as mg
from rnn import Cell, cells, t

CASES = [(number, learned) for number, formula in enumerate(FORMULAS)
         for learned in ((False, True) if {"W", "W3"} & set(formula.__code__.co_names) else (False,))]


@pytest.mark.parametrize(("number", "learned"), thinned(CASES, 3))
def test_each_formula(number: int, learned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if learned:
        with_learned_tensors(monkeypatch)
    cell = network(number)
    run = cell.unroll(**DATA)
    own: dict[str, Any] = dict(cell.parameters)
    expected = dict(zip(own, gradients(run, own)))
    result = cell.compile(loss="L")(**DATA)
    np.testing.assert_allclose(result.outputs["y"], run["y"].stack().data, atol=1e-12)
    for name, p in own.items():
        found = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def gradients(run: Any, parameters: dict[str, Any]) -> list[Any]:
    """Return the gradients of the sum of all losses; zero for a parameter that the loss doesn't depend on."""
    run["L"].stack().sum().backward()
    found = [np.zeros(p.shape) if p.grad is None else p.grad for p in parameters.values()]
    for p in parameters.values():
        p.grad = None
    return found


MATRIX, ROWS = parameter("U", 4, 4), parameter("U3", 2, 4, 4)
UPDATES: list[Callable[[Any, Any, Any, Any], Any]] = [  # of a matrix M[t-1] by vectors u[t], v[t-1] and a number s[t]
    lambda M, u, v, s: MATRIX @ M, lambda M, u, v, s: M @ MATRIX, lambda M, u, v, s: (ROWS @ M).sum(axis=0),
    lambda M, u, v, s: (M @ ROWS).mean(axis=0), lambda M, u, v, s: M @ M, lambda M, u, v, s: M @ M.T + M.T @ MATRIX.T,
    lambda M, u, v, s: np.outer(M @ u, u @ M), lambda M, u, v, s: M + s * np.outer(v - M @ u, u),
    lambda M, u, v, s: s * M - s * np.outer(M @ u, u) * 0.5, lambda M, u, v, s: np.outer(MATRIX @ v, v @ MATRIX) - M,
    lambda M, u, v, s: np.outer(MATRIX[0], M @ MATRIX[0]), lambda M, u, v, s: np.outer(MATRIX[0] @ M, MATRIX[1]),
    lambda M, u, v, s: M * (u @ v) + MATRIX * (v @ MATRIX[0]), lambda M, u, v, s: M * (M * np.outer(u, v)).sum(),
    lambda M, u, v, s: M - (s * M * u).sum(axis=1) * v[:, None], lambda M, u, v, s: (M * v[:, None]).sum(axis=0) * M,
    lambda M, u, v, s: M * (M * u * MATRIX[0][:, None]).sum(axis=-2, keepdims=True),
    lambda M, u, v, s: M + (M * u[:, None] * v).sum(axis=(0, 1), keepdims=True),
    lambda M, u, v, s: s * (v[:, None] * (s * M)) * u, lambda M, u, v, s: np.einsum("ij,j,k->ik", M, u, v),
    lambda M, u, v, s: M / (1 + (M * M).sum(axis=1, keepdims=True)), lambda M, u, v, s: mg.softmax(M, axis=-2) * u,
    lambda M, u, v, s: np.concatenate([M[1:], u[None]]), lambda M, u, v, s: M[:, ::-1] * M[2] + M[..., 1:2] * M[1, 3],
    lambda M, u, v, s: M * u[None, :, None][0] + np.broadcast_to(v, (4, 4)), lambda M, u, v, s: M * np.trace(M) / 8,
    lambda M, u, v, s: s[None, None] * M[None][0].T]


@pytest.mark.parametrize("options", [{}, {"lengths": [5, 2, 4]}, {"chunks": 2}], ids=str)
@pytest.mark.parametrize("number", thinned(range(len(UPDATES)), 3))
def test_each_update_of_a_matrix_in_a_loop(number: int, options: Any) -> None:
    rng = np.random.default_rng(number)
    cell = Cell("update")
    x, a, M, u, v, s, L = (cell.input("x", 4), cell.input("a", ()), cell.signal("M", (4, 4)), cell.signal("u", 4),
                           cell.signal("v", 4), cell.signal("s", ()), cell.signal("L", ()))
    u[t] = np.tanh(parameter("P", 4, 4) @ x[t])
    v[t] = np.tanh(0.3 * v[t-1] + M[t-1] @ u[t] + parameter("p", 4))
    s[t] = mg.sigmoid(a[t] + parameter("q"))
    M[t] = np.tanh(UPDATES[number](M[t-1], u[t], v[t-1], s[t]) + 0.2 * np.outer(x[t], u[t]))
    L[t] = (M[t] @ u[t]).sum() + (M[t] * M[t]).sum() * s[t]
    start = mg.Tensor(rng.normal(size=(3, 4, 4)), requires_grad=True, name="M0")
    x_data = mg.Tensor(rng.normal(size=(5, 3, 4)), requires_grad=True, name="x")
    data = {"x": x_data, "a": rng.normal(size=(5, 3)), "initial": {"M": start}, **options}
    own = {**cell.parameters, "M0": start, "x": x_data}
    for p in own.values():
        p.grad = None
    run = cell.unroll(**data)
    expected = dict(zip(own, gradients(run, own)))
    result = cell.compile(loss="L")(**data)
    for name in ("M", "v", "L"):
        np.testing.assert_allclose(result.outputs[name], run[name].stack().data, atol=1e-12, err_msg=name)
    for name, p in own.items():
        found = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(found, expected[name], rtol=1e-8, atol=1e-12, err_msg=name)


EINSUMS = ["ij,j->i", "ij,i->j", "i,ij->j", "j,ij->i", "ij,jk->ik", "ij,kj->ik", "ji,jk->ki", "ij,jk->ki", "ij,jk",
           "i,i", "i,i->", "i,j->ij", "i,j->ji", "ij,ij->ij", "ij,ij->", "ij,j->ij", "ij,j->", "ii,i->i", "i,j->i",
           "ij,kl->ijkl"]


@pytest.mark.parametrize("weight", ["none", "left", "right"])
@pytest.mark.parametrize("subscripts", EINSUMS)
def test_each_einsum_of_two_operands(subscripts: str, weight: str) -> None:
    """Square operands, so that letters in a wrong place give wrong numbers and no error."""
    cell = Cell("einsum")
    terms = subscripts.split("->")[0].split(",")
    signals = [cell.signal(f"s{n}", (4,) * len(term)) for n, term in enumerate(terms)]
    inputs = [cell.input(f"x{n}", (4,) * len(term)) for n, term in enumerate(terms)]
    for s, x in zip(signals, inputs):
        s[t] = np.tanh(x[t] + 0.3 * s[t-1])
    left, right = (parameter(f"W{n}", *(4,) * len(term)) if weight == side else s[t]
                   for n, (term, s, side) in enumerate(zip(terms, signals, ("left", "right"))))
    y, L = cell.signal("y"), cell.signal("L", ())
    formula = np.einsum(subscripts, left, right)
    y[t] = formula
    L[t] = (y[t] ** 2).sum() if np.ndim(formula) else y[t] ** 2
    rng = np.random.default_rng(5)
    data = {x.name: mg.Tensor(rng.normal(size=(3, 2, *x.shape)), requires_grad=True) for x in inputs}
    own = {**cell.parameters, **data}
    run = cell.unroll(**data)
    expected = dict(zip(own, gradients(run, own)))
    result = cell.compile(loss="L")(**data)
    np.testing.assert_allclose(result.outputs["y"], run["y"].stack().data, atol=1e-12)
    for name, p in own.items():
        found = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_einsum_of_matrices_is_a_product() -> None:
    cell = Cell("memory")
    M, k, y = cell.input("M", (3, 4)), cell.input("k", 4), cell.signal("y", 3)
    y[t] = np.einsum("ij,j->i", M[t], k[t])
    assert "matmul(arrays.M, arrays.k_column, arrays.y_column)" in cell.compile().source


def test_the_delta_rule_is_computed_by_products_of_matrices_with_vectors() -> None:
    cell = Cell("delta")
    x, L = cell.input("x", 5), cell.signal("L", ())
    y = cells.modern.delta_net(cell, x, 4, keys=3, name="d", rng=np.random.default_rng(0))
    L[t] = (y[t] * y[t]).sum()
    fast = cell.compile(loss="L")
    fast(x=np.random.default_rng(1).normal(size=(6, 2, 5)))
    lines = fast.source[fast.source.index("def forward"):].splitlines()
    assert not any(".forward(" in line or ".backward(" in line for line in lines)  # no operation at run time
    loops = [line.strip() for line in lines if line.startswith(" " * 8) or line.startswith(" " * 12)]
    calls = [line.split("(")[0] for line in loops if line.endswith(")") and "zip" not in line and line[0] != " "]
    whole = [name for name, array in vars(fast._last.arrays).items()
             if isinstance(array, np.ndarray) and array.base is None and array.shape[1:] == (2, 4, 3)]
    assert calls.count("matmul") == 2 and len(whole) == 2, (calls, whole)  # S and its gradient, of all steps
