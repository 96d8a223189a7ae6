"""The random programs of tests/fuzz/engine.py, judged by PyTorch's autograd."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import engine
from engine import Writer, Wrong, check, shrink

KEPT = json.loads((Path(__file__).parents[1] / "cases" / "engine_programs.json").read_text())


@pytest.mark.parametrize("kept", KEPT, ids=[f"{case['kind']}, {case['seed']}".replace(" ", "_") for case in KEPT])
def test_programs_that_failed_once_have_the_gradients_of_pytorch(kept: dict[str, Any]) -> None:
    check(engine.loaded(kept), with_torch=True)


@pytest.mark.parametrize("start", [*range(0, 500, 100), *(
    pytest.param(start, marks=pytest.mark.slow) for start in range(100_000, 110_000, 1000))])
def test_random_programs_have_the_gradients_of_pytorch_or_are_refused(start: int) -> None:
    for seed in range(start, start + (100 if start < 1000 else 1000)):
        program = Writer(seed).program()
        try:
            check(program, with_torch=True)
        except Wrong as wrong:
            pytest.fail(f"{wrong}\n{shrink(program, True).text()}")
