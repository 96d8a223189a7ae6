"""Recurrences as their papers write them on PyTorch, JAX and ONNX Runtime, against NumPy."""

from __future__ import annotations

import pytest
from papers import PAPERS
from shapes import failures

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("jax").config.update("jax_enable_x64", True)


@pytest.mark.parametrize("engine", ["torch", "onnx", "jax"])
@pytest.mark.parametrize("name", PAPERS)
def test_a_system_means_in_an_export_what_it_means_in_numpy(name: str, engine: str) -> None:
    assert failures(PAPERS[name], (engine,)) == []
