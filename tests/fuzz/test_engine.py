"""Random programs for the engine, judged by central differences: values are NumPy's, gradients are never wrong.

tests/export/test_engine_against_torch.py judges them by PyTorch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import engine
import numpy as np
import pytest
from engine import Line, Program, Writer, Wrong, check, shrink

import minigrad as mg

KEPT = json.loads((Path(__file__).parents[1] / "cases" / "engine_programs.json").read_text())


@pytest.mark.parametrize("kept", KEPT, ids=[f"{case['kind']}, {case['seed']}".replace(" ", "_") for case in KEPT])
def test_programs_that_failed_once_are_right(kept: dict[str, Any]) -> None:
    check(engine.loaded(kept))


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_random_programs_have_right_gradients_or_are_refused(start: int) -> None:
    answers = []
    for seed in range(start, start + 50):
        program = Writer(seed).program()
        try:
            answers.append(check(program))
        except Wrong as wrong:
            pytest.fail(f"{wrong}\n{shrink(program, False).text()}")
    assert answers.count("right") > 15


@pytest.mark.slow
@pytest.mark.parametrize("start", range(10_000, 20_000, 1000))
def test_many_random_programs_have_right_gradients_or_are_refused(start: int) -> None:
    for seed in range(start, start + 1000):
        program = Writer(seed).program()
        try:
            check(program)
        except Wrong as wrong:
            pytest.fail(f"{wrong}\n{shrink(program, False).text()}")


def test_the_fuzzer_notices_a_wrong_derivative_and_shortens_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mg.ops.Tanh, "backward", lambda self, grad, out, x: grad * (1 - out))
    leaf = Line("leaf", 0, [], "mg.Tensor([0.3, -0.7], requires_grad=True)", "np.array([0.3, -0.7])")
    program = Program([leaf, Line("op", 1, [0], "np.sin({0})", "np.sin({0})", "torch.sin({0})"),
                       Line("op", 2, [0], "np.tanh({0})", "np.tanh({0})", "torch.tanh({0})"),
                       Line("op", 3, [2], "np.sum({0})", "np.sum({0})", "torch.sum({0})")], "backward", 0)
    with pytest.raises(Wrong, match="wrong gradient"):
        check(program)
    assert len(shrink(program, False).lines) == 3


def test_the_fuzzer_notices_a_change_that_is_not_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigrad.backward.check_derivative", lambda *arguments: None)
    leaf = Line("leaf", 0, [], "mg.Tensor([0.3, -0.7], requires_grad=True)", "np.array([0.3, -0.7])")
    program = Program([leaf, Line("op", 1, [0], "{0} * {0}", "{0} * {0}", "{0} * {0}"),
                       Line("change", 0, [0], "{0}.data[...] = 2.0"),
                       Line("op", 2, [1], "np.sum({0})", "np.sum({0})", "torch.sum({0})")], "backward", 0)
    with pytest.raises(Wrong, match="wrong gradient"):
        check(program)


def test_programs_are_the_same_for_one_seed_and_can_be_stored() -> None:
    program = Writer(5).program()
    assert Writer(5).program().text() == program.text()
    assert engine.loaded(json.loads(json.dumps(engine.stored(program, "kind")))).text() == program.text()
    assert np.isfinite(program.seed)
