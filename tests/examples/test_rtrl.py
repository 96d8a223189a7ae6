"""examples/learning/rtrl.py: gradients forward in time against backpropagation and against central differences."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg

sys.path.insert(0, str(Path(__file__).parents[2]))  # the examples are not installed
from examples.learning import rtrl


@pytest.mark.parametrize("piece", [rtrl.STEPS, 7, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gradient_forward_in_time_is_that_of_backpropagation(seed: int, piece: int) -> None:
    rng = np.random.default_rng(seed)
    p, given = rtrl.parameters(rng), rtrl.data(rng)
    assert rtrl.largest_difference(rtrl.forward_in_time(p, given, piece), rtrl.by_backpropagation(p, given)) < 1e-12


def test_both_are_the_slopes_of_the_loss() -> None:
    rng = np.random.default_rng(3)
    p, given = rtrl.parameters(rng, size=3), rtrl.data(rng)
    found = rtrl.forward_in_time(p, given)
    for name in "WUb":
        slope = mg.numeric_gradient(lambda: rtrl.network(p).unroll(**given)["L"].stack().sum(), p[name])
        np.testing.assert_allclose(found[name], slope, rtol=1e-5, atol=1e-6)


def test_the_compiled_definition_computes_the_same_gradient() -> None:
    rng = np.random.default_rng(4)
    p, given = rtrl.parameters(rng), rtrl.data(rng)
    outputs = rtrl.differentiated(p).compile()(**given)
    found = {name: outputs[f"G_{name}"][-1].sum(axis=0) for name in "WUb"}
    assert rtrl.largest_difference(found, rtrl.by_backpropagation(p, given)) < 1e-12


def test_truncation_changes_the_gradient_of_backpropagation_alone() -> None:
    rng = np.random.default_rng(0)
    p, given = rtrl.parameters(rng), rtrl.data(rng)
    assert rtrl.largest_difference(rtrl.by_backpropagation(p, given, chunks=4),
                                   rtrl.by_backpropagation(p, given)) > 0.01


def test_the_state_is_the_size_times_the_number_of_parameters() -> None:
    p = rtrl.parameters(np.random.default_rng(0), size=5)
    parameters = sum(p[name].data.size for name in "WUb")
    assert rtrl.carried(p) == 5 + 5 * parameters + parameters


@pytest.mark.slow
def test_the_example_prints_the_sizes(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "examples.rtrl", "--out", str(tmp_path)],
                          cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert re.search(r"24 +16824 +2900 +290000", done.stdout)
