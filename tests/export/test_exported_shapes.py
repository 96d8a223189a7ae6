"""Signals of any shape in exports: values and gradients of each formula as the unrolled graph has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)

sys.path.insert(0, str(Path(__file__).parents[1] / "language"))
import test_shapes as shapes  # noqa: E402

EVERY = range(len(shapes.FORMULAS))


def network(number: int) -> tuple[Cell, Any, dict[str, Any]]:
    """Return a definition with a formula of states of different shapes, its values and gradients."""
    cell, states = Cell("formula"), []
    for name, values in shapes.DATA.items():
        x, h = cell.input(name, values.shape[2:]), cell.signal(f"h{name}", values.shape[2:])
        p = mg.Tensor(np.random.default_rng(1).normal(size=values.shape[2:]), requires_grad=True, name=f"p{name}")
        h[t] = np.tanh(x[t] * p + 0.5 * h[t-1])
        states.append(h)
    y, L = cell.signal("y"), cell.signal("L", ())
    formula = shapes.FORMULAS[number](*(h[t] for h in states))
    y[t] = formula
    L[t] = (y[t] ** 2).sum() if np.ndim(formula) else y[t] ** 2
    run = cell.unroll(**shapes.DATA)
    run["L"].stack().sum().backward()
    gradients = {name: np.zeros(p.shape) if p.grad is None else p.grad for name, p in cell.parameters.items()}
    return cell, run["y"].stack().data, gradients


@pytest.mark.parametrize("number", EVERY)
def test_torch(number: int) -> None:
    cell, value, gradients = network(number)
    module = cell.to_torch()
    found = module(**shapes.DATA)
    found["L"].sum().backward()
    np.testing.assert_allclose(found["y"].detach(), value, atol=1e-10)
    for name, p in module.named_parameters():
        gradient = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("number", EVERY[::6])
def test_jax(number: int) -> None:
    cell, value, gradients = network(number)
    f = cell.to_jax()

    def loss(parameters: Any) -> Any:
        found = f(parameters, shapes.DATA)
        return found["L"].sum(), found["y"]

    found, y = jax.grad(loss, has_aux=True)(f.parameters)
    np.testing.assert_allclose(y, value, atol=1e-10)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("number", EVERY)
def test_onnx(number: int, tmp_path: Path) -> None:
    cell, value, _ = network(number)
    path = cell.to_onnx(tmp_path / "m.onnx", outputs=["y"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {x.name: shapes.DATA[x.name] for x in session.get_inputs()}
    np.testing.assert_allclose(session.run(["y"], given)[0], value, atol=1e-10)
