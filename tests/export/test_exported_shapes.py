"""Signals of any shape in exports: values and gradients of each formula as the unrolled graph has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shape_formulas import DATA, FORMULAS, network

from rnn import Cell

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)

EVERY = range(len(FORMULAS))


def computed(number: int) -> tuple[Cell, Any, dict[str, Any]]:
    """Return a definition with a formula of states of different shapes, its values and gradients."""
    cell = network(number)
    run = cell.unroll(**DATA)
    run["L"].stack().sum().backward()
    gradients = {name: np.zeros(p.shape) if p.grad is None else p.grad for name, p in cell.parameters.items()}
    return cell, run["y"].stack().data, gradients


@pytest.mark.parametrize("number", EVERY)
def test_torch(number: int) -> None:
    cell, value, gradients = computed(number)
    module = cell.to_torch()
    found = module(**DATA)
    found["L"].sum().backward()
    np.testing.assert_allclose(found["y"].detach(), value, atol=1e-10)
    for name, p in module.named_parameters():
        gradient = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("number", EVERY[::6])
def test_jax(number: int) -> None:
    cell, value, gradients = computed(number)
    f = cell.to_jax()

    def loss(parameters: Any) -> Any:
        found = f(parameters, DATA)
        return found["L"].sum(), found["y"]

    found, y = jax.grad(loss, has_aux=True)(f.parameters)
    np.testing.assert_allclose(y, value, atol=1e-10)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("number", EVERY)
def test_onnx(number: int, tmp_path: Path) -> None:
    cell, value, _ = computed(number)
    path = cell.to_onnx(tmp_path / "m.onnx", outputs=["y"])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {x.name: DATA[x.name] for x in session.get_inputs()}
    np.testing.assert_allclose(session.run(["y"], given)[0], value, atol=1e-10)
