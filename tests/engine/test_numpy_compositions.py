"""NumPy's functions that are several operations: their values are NumPy's, their derivatives those of central
differences, to second order; and the cases at which definitions differ."""

import numpy as np
import pytest
from numpy_calls import CALLS, SYMMETRIC, name_of, parts_of, with_arrays
from operation_cases import spread, symmetric

import minigrad as mg

WIDENED = {np.quantile, np.percentile, np.cov, np.corrcoef, np.interp, np.inner}  # NumPy makes float64 of float32


def tensors_in(arguments, dtype=float):
    """Return the arguments with tensors, and the list of these."""
    found = []

    def tensor(x):
        found.append(mg.Tensor(x.astype(dtype), requires_grad=True))
        return found[-1]

    return with_arrays(arguments, tensor), found


@pytest.mark.parametrize("case", [*CALLS, *SYMMETRIC], ids=name_of)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_types_are_numpys(case, dtype):
    function, arguments, options = case
    options = {name: x.astype(dtype) if isinstance(x, np.ndarray) else x for name, x in options.items()}
    arguments = [dtype if x is np.float64 else x for x in arguments]
    arrays = with_arrays(arguments, lambda x: x.astype(dtype))
    theirs = function(*arrays, **options)
    given, tensors = tensors_in(arguments, dtype)
    ours = function(*given, **options)
    assert isinstance(ours, tuple) == isinstance(theirs, tuple)
    assert len(parts_of(ours)) == len(parts_of(theirs))
    for a, b in zip(parts_of(ours), parts_of(theirs)):
        assert isinstance(a, mg.Tensor) and a.shape == np.shape(b)
        assert a.dtype == (dtype if function in WIDENED else np.asarray(b).dtype)
        tolerance = 1e-12 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(a.data, b, rtol=tolerance, atol=tolerance)
    assert any(x.requires_grad for x in parts_of(ours)) or not tensors


@pytest.mark.parametrize("case", [*CALLS, *SYMMETRIC], ids=name_of)
def test_derivatives_agree_with_central_differences_to_second_order(case):
    function, arguments, options = case
    arrays = []
    with_arrays(arguments, arrays.append)
    options = dict(options)
    for name, x in options.items():
        if isinstance(x, np.ndarray):
            arrays.append(x)
    finite = [np.where(np.isfinite(x), x, 0.5) for x in arrays]
    gaps = [np.where(np.isfinite(x), 0, x) for x in arrays]  # NaN and infinities are added to what is differentiated

    def f(*tensors):
        rest = iter([x + gap if not np.isfinite(gap).all() else x for x, gap in zip(tensors, gaps)])
        given = with_arrays(arguments, lambda x: next(rest))
        named = {name: next(rest) if isinstance(x, np.ndarray) else x for name, x in options.items()}
        if any(case is one for one in SYMMETRIC):
            given[0] = (given[0] + np.swapaxes(given[0], -1, -2)) / 2
        return np.concatenate([np.ravel(x) for x in parts_of(function(*given, **named)) if x.requires_grad])

    assert mg.gradcheck(f, finite, order=2) < 1e-4


def gradient(f, *arrays):
    """The gradients of the sum of f, by all arguments."""
    tensors = [mg.Tensor(np.array(x, float), requires_grad=True) for x in arrays]
    found = [g.tolist() for g in mg.grad(f(*tensors).sum(), tensors)]
    return found if len(found) > 1 else found[0]
