"""The methods that every export target must have, and the error for a missing operation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import above
from exports import OPERATIONS, REFUSED
from operation_cases import operations

import minigrad as mg
from minigrad import numpy_ops, ops
from rnn import Cell, DefinitionError, t
from rnn.export.backend import Backend

X = np.random.default_rng(0).normal(size=(4, 5, 3))


class Softsign(ops.Elementwise):
    """x / (1 + |x|)."""

    def forward(self, x: Any) -> Any:
        return x / (1 + abs(x))

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad / (1 + abs(x)) ** 2


Softsign.__module__ = ops.__name__  # as if it were a new operation of minigrad.ops


def defined() -> tuple[Cell, str]:
    """A definition with the new operation, and its line."""
    cell = Cell("new")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = mg.apply(Softsign(), x[t] + 0.5 * h[t-1])
    return cell, above()


def run_jax(cell: Cell, folder: Path) -> Any:
    return cell.to_jax()({}, {"x": X})["h"]


def run_torch(cell: Cell, folder: Path) -> Any:
    return cell.to_torch()(x=X)["h"]


def run_onnx(cell: Cell, folder: Path) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = cell.to_onnx(folder / "model.onnx")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["h"], {"x": X})[0]


TARGETS = [("jax", "JAX", "JaxBackend", run_jax), ("torch", "PyTorch", "TorchBackend", run_torch),
           ("onnx", "ONNX", "OnnxBackend", run_onnx)]


@pytest.mark.parametrize("name", sorted(Backend.__abstractmethods__))
def test_a_target_that_lacks_a_required_method_cannot_be_made(name: str) -> None:
    def method(*args: Any) -> None: ...

    target = type("Target", (Backend,), {x: method for x in Backend.__abstractmethods__ if x != name})
    with pytest.raises(TypeError, match=rf"abstract class Target .*\b{name}\b"):
        target()
    type("Target", (target,), {name: method})()


@pytest.mark.parametrize(("library", "target", "backend", "run"), TARGETS)
def test_a_new_operation_is_refused_with_its_line_until_the_target_has_a_method(
        library: str, target: str, backend: str, run: Callable[[Cell, Path], Any], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    cell, line = defined()
    with pytest.raises(DefinitionError, match=f"{target} has no Softsign, used at {line}: .*doesn't translate"):
        run(cell, tmp_path)
    assert not list(tmp_path.iterdir())
    kind = getattr(__import__(f"rnn.export.{library}", fromlist=[backend]), backend)
    monkeypatch.setattr(kind, "softsign", lambda self, x: x / (1 + self.compute(ops.Sqrt(), x * x)), raising=False)
    if library == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    np.testing.assert_allclose(run(cell, tmp_path), cell.unroll(x=X)["h"].stack().numpy(), rtol=1e-12)


@pytest.mark.parametrize(("library", "target", "backend", "run"), TARGETS)
def test_an_operation_that_a_target_lacks_is_refused_by_name_and_all_others_are_translated(
        library: str, target: str, backend: str, run: Callable[[Cell, Path], Any]) -> None:
    pytest.importorskip(library)
    kind = getattr(__import__(f"rnn.export.{library}", fromlist=[backend]), backend)
    made = kind(np.dtype(float)) if library == "onnx" else kind()
    refused = {type(op) for op, *_ in OPERATIONS if made.lacks(op) is not None}
    assert refused == REFUSED[target]


REFUSED_CASES = [pytest.param(target, next(case for case in OPERATIONS if type(case[0]) is kind),
                              id=f"{target} {kind.__name__}")
                 for target, kinds in REFUSED.items() for kind in sorted(kinds, key=lambda kind: kind.__name__)]


@pytest.mark.parametrize(("target", "case"), REFUSED_CASES)
def test_a_definition_with_an_operation_that_a_target_lacks_is_refused_by_name_and_line(
        target: str, case: Any, tmp_path: Path) -> None:
    """Once with the operation at each step, once with it in a value that is computed from a parameter alone."""
    library, run = next((library, run) for library, name, _, run in TARGETS if name == target)
    pytest.importorskip(library)
    op, first, *others = case
    for alone in (False, True) if op.batchable else (True,):
        cell = Cell("lacking")
        x, h = cell.input("x", 3), cell.signal("h", 3)
        operand = mg.Tensor(first, requires_grad=True, name="W") if alone else mg.Tensor(first) * x[t][0]
        result = mg.apply(op, operand, *others)
        line = above()
        h[t] = x[t] + result.sum()
        message = f"{target} has no {type(op).__name__}, used at {line}: the export doesn't translate it"
        with pytest.raises(DefinitionError, match=f"{message}: write the equation with other operations"):
            run(cell, tmp_path)
        assert not list(tmp_path.iterdir())


def test_the_operations_that_targets_are_tested_with_are_all_of_equations() -> None:
    only_in_derivatives = {ops.ScatterAdd, ops.Direction, numpy_ops.Cofactors}
    assert {type(op) for op, *_ in OPERATIONS} == operations() - only_in_derivatives
