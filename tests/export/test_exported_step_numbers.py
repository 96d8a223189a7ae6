"""The number of the step in exports: as unroll counts it under masks, in windows, after a carried state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import parameter

from rnn import Cell, t

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnxruntime = pytest.importorskip("onnxruntime")
jax.config.update("jax_enable_x64", True)

X = np.random.default_rng(7).normal(size=(6, 3, 2))  # six steps, a batch of three, vectors of two
HOLES = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]], bool)


def counting() -> Cell:
    cell = Cell("counting")
    x, h, y = cell.input("x", 2), cell.signal("h", 2), cell.signal("y", 2)
    h[t] = np.tanh(x[t] + parameter("w", 2) * h[t-1] / t)
    y[t] = h[t] * np.cos(0.3 * t) + np.where(t % 2 == 0, 1.0, t)
    return cell


@pytest.mark.parametrize("options", [{}, {"mask": HOLES}, {"lengths": np.array([6, 2, 4])}, {"window": (1, 2)},
                                     {"chunks": 2}], ids=str)
@pytest.mark.parametrize("target", ["jax", "torch"])
def test_values(target: str, options: Any) -> None:
    cell = counting()
    before = cell.unroll(x=X[:2], lengths=[2, 1, 2]).state.detach()
    for extra in ({}, {"initial": before}):
        run = cell.unroll(x=X, **options, **extra)
        if target == "jax":
            f = cell.to_jax()
            found = f(f.parameters, {"x": X}, **options, **extra)
        else:
            found = {name: x.detach() for name, x in cell.to_torch()(x=X, **options, **extra).items()}
        for name in ("h", "y"):
            np.testing.assert_allclose(found[name], run[name].stack().data, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, np.array([6, 2, 4])], ids=str)
def test_onnx(tmp_path: Path, lengths: Any) -> None:
    cell, options = counting(), {} if lengths is None else {"lengths": lengths}
    path = cell.to_onnx(tmp_path / "m.onnx", lengths=lengths is not None)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [x.name for x in session.get_inputs()] == ["x", *options]
    run = cell.unroll(x=X, **options)
    for name in ("h", "y"):
        found = session.run([name], {"x": X, **options})[0]
        np.testing.assert_allclose(found, run[name].stack().data, atol=1e-12)
