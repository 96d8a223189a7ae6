"""Conditions, lookup, constants and the number of the step: compile and each export as the unrolled graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import parameter

import minigrad as mg
from rnn import Cell, t

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(5)
X, WORDS = RNG.normal(size=(4, 2, 3)), RNG.integers(0, 5, (4, 2))


def numbers(x: Any, w: Any, p: Any, E: Any) -> Any:
    return p * np.cos(0.3 * t) * x + (t - 1) ** 2 + np.where(t % 2 == 0, 1.0, -t)


def conditions(x: Any, w: Any, p: Any, E: Any) -> Any:
    return np.where((x > 0) & ~(x > 1) | (x == 0), p * x, -x) + p * (x <= p) - (x > 0).sum()


def truth_values(x: Any, w: Any, p: Any, E: Any) -> Any:
    return p * ((x > 0) + (x > 0)) + (x > p).any()


def rows(x: Any, w: Any, p: Any, E: Any) -> Any:
    return E[w] * mg.take(E, w, axis=0) + p * x


def constants(x: Any, w: Any, p: Any, E: Any) -> Any:
    return p * mg.stop_gradient(p * x) + (p * x).detach() + mg.one_hot(np.argmax(p * x), 3)


def functions_of_truth_values(x: Any, w: Any, p: Any, E: Any) -> Any:
    vector = mg.one_hot(w, 5)[:3]
    return p * np.tanh(x > 0) + mg.sigmoid(vector) + np.sqrt(np.argmax(x)) / 3 + np.where(x > p, 0.1, 0.2)


def labels(x: Any, w: Any, p: Any, E: Any) -> Any:
    return mg.pick(p * x, np.argmax(x)) + mg.losses.cross_entropy(p * x, w % 3, reduction="none") * p


def functions_of_conditions(x: Any, w: Any, p: Any, E: Any) -> Any:
    chosen = np.select([x > 0.5, (w > 2).astype(bool)], [p * x, (2 * x).astype(int)], np.full_like(x, p[0]))
    near = np.isclose(x, p, rtol=0.8) | np.isposinf(x) | (np.argmax(x).astype(float) == 1)
    counts = np.count_nonzero(x > 0) * np.any(x > 0.8) + np.all(x < 0.9) + np.argmin(x > 0)
    return p * chosen * near + np.float_power(1 + x * x, 1.5) + counts


FORMULAS = numbers, conditions, truth_values, rows, constants, functions_of_truth_values, labels, \
    functions_of_conditions


def network(formula: Callable[..., Any]) -> Cell:
    cell, p, E = Cell(formula.__name__), parameter("p", 3), parameter("E", 5, 3)
    x, w, h, L = cell.input("x", 3), cell.input("w", ()), cell.signal("h", 3), cell.signal("L", ())
    h[t] = formula(np.tanh(x[t] + 0.5 * h[t-1]), w[t], p, E) * 0.5
    L[t] = (h[t] ** 2).sum() + (E[w[t]] ** 2).sum()
    return cell


def with_compile(cell: Cell, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    loss = cell.compile(loss="L")(**given)
    return loss.outputs["h"], {name: p.grad for name, p in cell.parameters.items()}


def with_torch(cell: Cell, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    module = cell.to_torch()
    found = module(**given)
    found["L"].sum().backward()
    return found["h"].detach(), {name: p.grad for name, p in module.named_parameters()}


def with_jax(cell: Cell, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    f = cell.to_jax()
    found = jax.grad(lambda parameters: f(parameters, given)["L"].sum())(f.parameters)
    return f(f.parameters, given)["h"], found


def with_onnx(cell: Cell, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    session = onnxruntime.InferenceSession(str(cell.to_onnx(path / "m.onnx")), providers=["CPUExecutionProvider"])
    return session.run(["h"], given)[0], {}


@pytest.mark.parametrize("compute", [with_compile, with_torch, with_jax, with_onnx])
@pytest.mark.parametrize("formula", FORMULAS)
def test_values_and_gradients(formula: Any, compute: Any, tmp_path: Path) -> None:
    cell, given = network(formula), {"x": X, "w": WORDS}
    run = cell.unroll(**given)
    own = cell.parameters
    expected = dict(zip(own, mg.grad(run["L"].stack().sum(), list(own.values()))))
    values, gradients = compute(cell, tmp_path, given)
    np.testing.assert_allclose(values, run["h"].stack().data, atol=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-11, err_msg=name)


def test_an_index_that_is_no_row() -> None:
    words = WORDS.copy()
    words[1, 0] = 5
    cell = network(rows)
    with pytest.raises(IndexError, match=r"index 5 .*is not one of the 5 rows 0 … 4(.|\n)*w\[2\]"):
        cell.unroll(x=X, w=words)
    with pytest.raises(IndexError, match=r"index 5 .*is not one of the 5 rows 0 … 4(.|\n)*test_exported_conditions"):
        cell.compile()(x=X, w=words)
    with pytest.raises(IndexError, match=r"index 5 is not one of the 5 rows 0 … 4 \(at test_exported_conditions"):
        cell.to_torch()(x=X, w=words)
    f = cell.to_jax()
    values = np.asarray(f(f.parameters, {"x": X, "w": words})["h"])
    assert np.isnan(values[1:, 0]).all() and np.isfinite(values[:, 1]).all() and np.isfinite(values[0]).all()


@pytest.mark.parametrize("wrong", [5, 1.5, -1])
def test_a_label_that_is_no_class(wrong: float) -> None:
    cell = Cell()
    x, k, L = cell.input("x", 3), cell.static("k", ()), cell.signal("L", ())
    L[t] = mg.losses.cross_entropy(parameter("p", 3) * x[t], k, reduction="none")
    with pytest.raises(IndexError, match=rf"index {wrong:g} is not one of the 3 classes 0 … 2 \(at test_exported"):
        cell.to_torch()(x=X, k=np.array([0, wrong]))
    f = cell.to_jax()
    values = np.asarray(f(f.parameters, {"x": X, "k": np.array([0, wrong])})["L"])
    assert np.isnan(values[:, 1]).all() and np.isfinite(values[:, 0]).all()


def test_labels_that_are_static_or_of_the_step_before(tmp_path: Path) -> None:
    cell, p = Cell(), parameter("p", 3)
    x, k, a = cell.input("x", 3), cell.static("k", ()), cell.signal("a", ())
    h, L = cell.signal("h", ()), cell.signal("L", ())
    a[t] = np.argmax(x[t])
    a[0] = 1
    h[t] = mg.pick(p * x[t], k) + mg.pick(x[t], a[t-1]) * h[t-1]
    L[t] = h[t] ** 2
    given = {"x": X, "k": np.array([2, 0])}
    run = cell.unroll(**given)
    expected = mg.grad(run["L"].stack().sum(), list(cell.parameters.values()))[0]
    for compute in (with_compile, with_torch, with_jax):
        values, gradients = compute(cell, tmp_path, given)
        np.testing.assert_allclose(values, run["h"].stack().data, atol=1e-12)
        np.testing.assert_allclose(gradients["p"], expected, atol=1e-11)
    values, _ = with_onnx(cell, tmp_path, {"x": X, "k": np.array([2.0, 0.0])})
    np.testing.assert_allclose(values, run["h"].stack().data, atol=1e-12)
    masked = cell.unroll(**given, lengths=[4, 2])["h"].stack().data
    found = cell.to_torch()(**given, lengths=np.array([4, 2]))["h"].detach()
    np.testing.assert_allclose(found, masked, atol=1e-12)
