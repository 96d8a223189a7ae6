"""Random recurrences of signals of any shape, against NumPy on one sequence at a time."""

from __future__ import annotations

import numpy as np
import pytest
from shapes import Program, failures, oracle, random_program


def failing(seeds: range, engines: tuple[str, ...]) -> str:
    """Return the first program that is computed wrongly, and how; "" if there is none."""
    for seed in seeds:
        program = random_program(seed)
        found = failures(program, engines)
        if found:
            return "\n".join([f"seed {seed}", program.text(), *found])
    return ""


def test_random_programs() -> None:
    assert failing(range(80), ("compile",)) == ""


@pytest.mark.slow
def test_many_random_programs() -> None:
    assert failing(range(1000, 4000), ("compile",)) == ""


def test_the_oracle_computes_a_sequence_by_itself() -> None:
    program = Program(np.random.default_rng(0), T=3, B=2, lengths=[3, 1])
    program.inputs["x"] = np.arange(6.0).reshape(3, 2)
    program.signals = {"y": ((), "2 * y[t-1] + x[t] * t", False), "z": ((2,), "z[t+1] + np.ones(2) * x[t]", True)}
    program.starts = {"y": "10.0"}
    found = oracle(program, {}, program.inputs, {})
    assert found["y"].tolist() == [[20, 21], [44, 0], [100, 0]]
    assert found["z"][:, :, 0].tolist() == [[6, 1], [6, 0], [4, 0]]


def test_a_wrong_value_and_a_wrong_gradient_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(np.random.default_rng(0), T=2, B=2)
    program.inputs["x"] = np.random.default_rng(1).normal(size=(2, 2, 3))
    program.parameters["W0"] = np.random.default_rng(2).normal(size=(2, 3))
    program.signals = {"y": ((2,), "np.tanh(W0 @ x[t]) + y[t-1]", False)}
    assert failures(program) == []
    import minigrad.ops as ops
    monkeypatch.setattr(ops.Tanh, "backward", lambda self, grad, out, x: grad * (1 - out))
    assert any(message.startswith("unroll gradient") for message in failures(program))
    monkeypatch.setattr(ops.Tanh, "forward", lambda self, x: np.tanh(1.01 * x))
    assert any(message.startswith("unroll y") for message in failures(program))
