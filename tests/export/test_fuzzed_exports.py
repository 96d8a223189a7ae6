"""The fuzzer's cases on the exports: those that it kept, and random ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from engines import problems
from generator import Layers
from kept import EXPORTS, KEPT
from test_recurrences import failing, kept

LIBRARIES = {"jax": "jax", "torch": "torch", "onnx": "onnxruntime"}
FEW = {"jax": range(12), "torch": range(100), "onnx": range(60)}
MANY = {"jax": range(1000, 1010), "torch": range(1000, 2000), "onnx": range(1000, 1500)}  # JAX compiles each


@pytest.mark.parametrize(("name", "engine"), kept(EXPORTS))
def test_kept_cases(name: str, engine: str) -> None:
    pytest.importorskip(LIBRARIES[engine])
    assert problems(KEPT[name].case, engine) == []


@pytest.mark.parametrize("engine", EXPORTS)
def test_random_cases(engine: str) -> None:
    pytest.importorskip(LIBRARIES[engine])
    message = failing(FEW[engine], (engine,))
    assert not message, message


@pytest.mark.parametrize("engine", EXPORTS)
def test_random_layers(engine: str) -> None:
    pytest.importorskip(LIBRARIES[engine])
    message = failing(FEW[engine], (engine,), Layers)
    assert not message, message


@pytest.mark.slow
@pytest.mark.parametrize("engine", EXPORTS)
def test_many_random_cases(engine: str) -> None:
    pytest.importorskip(LIBRARIES[engine])
    message = failing(MANY[engine], (engine,))
    assert not message, message
