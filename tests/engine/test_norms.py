"""The norm that messages and pictures show is that of the numbers, whatever their type and size."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.formats.norms import norm
from rnn import Cell, t


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e-24, 1e-6, 1.0, 6e4, 1e20, 1e300])
def test_it_neither_vanishes_nor_overflows_where_the_elements_do_not(dtype, scale):
    values = (np.array([[3.0, -4.0], [0.0, 12.0]]) * scale).astype(dtype)
    if not np.isfinite(values).all():
        assert norm(values) == math.inf
    else:
        assert norm(values) == pytest.approx(math.hypot(*map(float, values.ravel())), rel=1e-12)


def test_of_nothing_of_numbers_and_of_what_is_not_finite():
    assert norm(np.zeros((0, 3))) == 0.0 and norm(-2.0) == 2.0 and norm(np.array([3, 4])) == 5.0
    assert math.isnan(norm([1.0, np.nan])) and norm([1.0, -np.inf]) == math.inf


def test_a_tiny_gradient_of_float32_is_told_as_it_is():
    w = mg.Tensor(np.float32([1.0, 1.0]), requires_grad=True, name="w")
    (w * np.float32(1e-30)).sum().backward()
    assert "|g|=1.4e-30" in repr(w)
    cell = Cell()
    x, h = cell.input("x", 1), cell.signal("h", 1)
    h[t] = np.float32(1e-12) * h[t-1] + x[t]
    run = cell.unroll(x=np.ones((4, 1), np.float32))
    run["h"][4].sum().backward()
    np.testing.assert_allclose(run.gradient_norms("h"), [1e-36, 1e-24, 1e-12, 1.0], rtol=1e-3)
