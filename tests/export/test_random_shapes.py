"""Random recurrences of signals of any shape (tests/fuzz/shapes.py) on PyTorch, ONNX Runtime and JAX."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from shapes import failures, random_program

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("jax").config.update("jax_enable_x64", True)


@pytest.mark.parametrize(("engine", "seeds"), [
    ("torch", range(40)), ("onnx", range(40)), ("jax", range(8)),
    pytest.param("torch", range(4000, 4600), marks=pytest.mark.slow),
    pytest.param("onnx", range(4000, 4600), marks=pytest.mark.slow)])
def test_random_programs(engine: str, seeds: range) -> None:
    for seed in seeds:
        program = random_program(seed)
        assert failures(program, (engine,)) == [], f"seed {seed}\n{program.text()}"
