"""Initial values: PyTorch's formulas, the right distributions, and a generator always."""

import json
from pathlib import Path

import numpy as np
import pytest

from minigrad import init

PYTORCH = json.loads((Path(__file__).parents[1] / "cases" / "pytorch.json").read_text(encoding="utf-8"))["initialisers"]
RANDOM = [init.normal, init.uniform, init.glorot, init.glorot_normal, init.he, init.he_uniform, init.lecun,
          init.orthogonal]
MATRICES = RANDOM[2:]


class Recorder(np.random.Generator):
    """A generator that records its calls."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.asked = {}

    def normal(self, mean, std, size):
        self.asked = {"std": std} if mean == 0 else {"mean": mean}
        return super().normal(mean, std, size)

    def uniform(self, low, high, size):
        self.asked = {"bound": high} if low == -high else {"low": low}
        return super().uniform(low, high, size)


@pytest.mark.parametrize("shape", [(8, 3), (2, 5)])
@pytest.mark.parametrize("name", ["glorot", "glorot_normal", "he", "he_uniform", "lecun"])
def test_bounds_and_deviations_are_pytorchs(name, shape):
    rng = Recorder()
    getattr(init, name)(shape, rng)
    assert rng.asked == pytest.approx(PYTORCH[str(shape)][name], rel=1e-9)


@pytest.mark.parametrize("name, shape, std", [
    ("normal", (300, 200), 1.0), ("uniform", (300, 200), 1 / 3 ** 0.5), ("glorot", (300, 200), (2 / 500) ** 0.5),
    ("glorot_normal", (300, 200), (2 / 500) ** 0.5), ("he", (300, 200), (2 / 200) ** 0.5),
    ("he_uniform", (300, 200), (2 / 200) ** 0.5), ("lecun", (300, 200), (1 / 200) ** 0.5)])
def test_samples_have_mean_zero_and_the_deviation_of_the_formula(name, shape, std):
    sample = getattr(init, name)(shape, np.random.default_rng(0)).data
    assert abs(sample.mean()) < 5 * std / sample.size ** 0.5
    assert sample.std() == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 1)])
def test_orthogonal_rows_or_columns_whichever_are_fewer(shape):
    Q = init.orthogonal(shape, np.random.default_rng(1), gain=2.0).data
    product = Q.T @ Q if shape[0] >= shape[1] else Q @ Q.T
    np.testing.assert_allclose(product, 4 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_evenly_distributed():
    """In two dimensions the angle of the first column is even, and half of them are reflections."""
    rng = np.random.default_rng(2)
    samples = [init.orthogonal((2, 2), rng).data for _ in range(2000)]
    angles = np.arctan2([Q[1, 0] for Q in samples], [Q[0, 0] for Q in samples])
    counts = np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0]
    assert ((counts > 190) & (counts < 310)).all()
    assert np.mean([np.linalg.det(Q) > 0 for Q in samples]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("make", RANDOM)
def test_initial_values_are_named_parameters_of_the_requested_type_and_depend_on_the_seed(make):
    one, same, other = (make((4, 3), np.random.default_rng(seed), name="W", dtype=np.float32) for seed in (0, 0, 1))
    assert one.requires_grad and one.name == "W" and one.dtype == np.float32 and one.shape == (4, 3)
    assert (one.data == same.data).all() and (one.data != other.data).any()
    assert make((4, 3), np.random.default_rng(0)).dtype == np.float64


def test_constants():
    assert init.zeros((2, 3), name="b").data.tolist() == [[0, 0, 0], [0, 0, 0]]
    ones = init.constant((2,), 1.0, name="forget", dtype=np.float32)
    assert ones.data.tolist() == [1, 1] and ones.requires_grad and ones.dtype == np.float32 and ones.name == "forget"


@pytest.mark.parametrize("make", RANDOM)
@pytest.mark.parametrize("rng", [0, None, np.random, np.random.RandomState(0)])
def test_a_generator_must_be_given(make, rng):
    with pytest.raises(TypeError, match=r"rng is a numpy\.random\.Generator"):
        make((4, 3), rng)


@pytest.mark.parametrize("make", MATRICES)
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 3)])
def test_fans_are_those_of_a_matrix(make, shape):
    with pytest.raises(ValueError, match="matrix"):
        make(shape, np.random.default_rng(0))
