"""examples/memory/initialisations.py: how much of a gradient arrives before training, and what is learned."""

from __future__ import annotations

import numpy as np
import pytest

from examples.memory import initialisations
from examples.memory.initialisations import KINDS, T
from examples.memory.temporal_order import problems, wrong

LEARN = ["tanh, orthogonal", "ReLU, identity", "LSTM, forget bias 3"]


def arriving(kind: str, seed: int) -> float:
    norms = initialisations.gradient_norms(kind, np.random.default_rng(seed))
    return float(norms[0] / norms[-1])


@pytest.mark.parametrize(("kind", "least", "most"), [
    ("tanh, uniform", 0, 1e-9), ("tanh, orthogonal", 0.5, 1), ("ReLU, orthogonal", 0, 1e-7), ("ReLU, identity", 0.1, 1),
    ("LSTM, forget bias 0", 0, 1e-6), ("LSTM, forget bias 3", 1, 1e3)])
def test_what_arrives_before_training(kind: str, least: float, most: float) -> None:
    assert least <= arriving(kind, 0) <= most


def test_the_identity_passes_the_gradients_of_the_units_that_stay_active_unchanged() -> None:
    rng = np.random.default_rng(0)
    run = initialisations.network("ReLU, identity", rng).unroll(**problems(T, 8, rng))
    run["L"][T].mean().backward()
    active = np.all([run["h"][step].data > 0 for step in range(2, T + 1)], axis=0)
    assert 0.05 < active.mean() < 0.95
    np.testing.assert_allclose(run["h"][1].grad, run["h"][T].grad * active, rtol=1e-5)


def test_the_matrices_have_the_radii_that_the_text_says() -> None:
    rng = np.random.default_rng(0)
    radii = {initial.__name__: np.abs(np.linalg.eigvals(initial((200, 200), rng).data)).max()
             for initial in (initialisations.uniform, initialisations.orthogonal, initialisations.identity)}
    assert radii == pytest.approx({"uniform": 0.6, "orthogonal": 1, "identity": 1}, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_where_its_start_keeps_a_gradient(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell, _ = initialisations.trained(kind, 1000, rng)
    share = wrong(cell, problems(T, 500, rng))
    assert share <= 0.05 if kind in LEARN else share >= 0.6
