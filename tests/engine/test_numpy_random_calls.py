"""Random calls of NumPy's functions, with empty arrays, numbers, negative axes and shapes that don't fit.

Wherever NumPy gives a result, minigrad gives the same or refuses; wherever NumPy refuses shapes, so does minigrad.
"""

import warnings
import zlib

import numpy as np
import pytest

import minigrad as mg


class Draw:
    """Arguments that are drawn at random."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def shape(self):
        return tuple(self.rng.integers(0, 4, self.rng.integers(0, 4)).tolist())

    def array(self, *shape):
        return np.asarray(np.round(self.rng.normal(size=shape or self.shape()), 1))

    def axis(self):
        return self.one(0, 1, -1, -2, 2)

    def axes(self):
        return self.one(None, 0, 1, -1, -2, 2, (0, 1), (-1, 0))

    def flat_axis(self):
        return self.one(None, 0, 1, -1)

    def flag(self):
        return bool(self.rng.integers(2))

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))


def reduction(d):
    return (d.array(), d.axes()), {"keepdims": d.flag()}


def two(d):
    return (d.array(), d.array()), {}


def one(d):
    return (d.array(),), {}


def convolution(d):
    return (d.array(), d.array(), d.one("full", "same", "valid")), {}


def cutting(d):
    return (d.array(), d.one(1, 2, 3, [1, 2], [2, 1], [0, 5]), d.axis()), {}


def running(d):
    return (d.array(),), {"axis": d.one(None, 0, -1), "include_initial": d.flag()}


DRAWS = {
    **dict.fromkeys(["ptp", "median", "nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"],
                    reduction),
    **dict.fromkeys(["inner", "vdot", "kron", "polyval", "broadcast_arrays", "vecmat", "linalg.solve", "linalg.outer"],
                    two),
    **dict.fromkeys(["ediff1d", "matrix_transpose", "fliplr", "flipud", "atleast_1d", "atleast_2d", "atleast_3d",
                     "nan_to_num", "linalg.inv", "linalg.det", "linalg.slogdet", "linalg.pinv", "linalg.svdvals",
                     "linalg.trace", "linalg.diagonal"], one),
    "convolve": convolution, "correlate": convolution, "array_split": cutting, "split": cutting,
    "cumulative_sum": running, "cumulative_prod": running,
    "quantile": lambda d: ((d.array(), d.one(0.3, [0.1, 0.9], [[0.5]]), d.axes()), {"keepdims": d.flag()}),
    "trapezoid": lambda d: ((d.array(), None, 1.0, d.axis()), {}),
    "cov": lambda d: ((d.array(),), {"bias": d.flag()}), "corrcoef": one,
    "cumprod": lambda d: ((d.array(), d.flat_axis()), {}), "nancumsum": lambda d: ((d.array(), d.flat_axis()), {}),
    "sort": lambda d: ((d.array(), d.flat_axis()), {}), "round": lambda d: ((d.array(), d.whole(-1, 2)), {}),
    "diff": lambda d: ((d.array(), d.whole(0, 2), d.axis()), {}),
    "roll": lambda d: ((d.array(), d.one(1, -2, 5, (1, 2)), d.axes()), {}),
    "delete": lambda d: ((d.array(), d.one(0, 1, -1, [0, 1], [], slice(1, 3)), d.flat_axis()), {}),
    "insert": lambda d: ((d.array(), d.one(0, 1, -1, [0, 1], [1], slice(0, 2)), d.array(), d.flat_axis()), {}),
    "append": lambda d: ((d.array(), d.array(), d.flat_axis()), {}),
    "diagonal": lambda d: ((d.array(), d.whole(-2, 2), d.axis(), d.axis()), {}),
    "trace": lambda d: ((d.array(), d.whole(-2, 2), d.axis(), d.axis()), {}),
    **{name: lambda d: ((d.array(), d.whole(-2, 2)), {}) for name in ("diag", "diagflat", "tril", "triu")},
    "tensordot": lambda d: ((d.array(), d.array(), d.one(0, 1, 2, ([0], [0]), ([-1], [0]), ([0, 1], [1, 0]))), {}),
    "rot90": lambda d: ((d.array(), d.whole(-4, 4), d.one((0, 1), (1, 0), (-1, 0), (0, 0))), {}),
    "column_stack": lambda d: (([d.array(), d.array()],), {}), "dstack": lambda d: (([d.array(), d.array()],), {}),
    "resize": lambda d: ((d.array(), d.shape()), {}),
    "meshgrid": lambda d: ((d.array(2), d.array(3)), {"indexing": d.one("xy", "ij")}),
    "interp": lambda d: ((d.array(), np.sort(d.array(3)) + np.arange(3.0), d.array(3)), {}),
    "linalg.norm": lambda d: ((d.array(), d.one(None, 1, 2, 3, -1, -2, 0, np.inf, -np.inf, "fro", "nuc"), d.axes()),
                              {"keepdims": d.flag()}),
    "linalg.vector_norm": lambda d: ((d.array(),), {"axis": d.axes(), "ord": d.one(1, 2, 3, 0, np.inf)}),
    "linalg.matrix_norm": lambda d: ((d.array(),), {"ord": d.one("fro", "nuc", 1, 2, -1, -2, np.inf)}),
    "linalg.matrix_power": lambda d: ((d.array(), d.whole(-2, 3)), {}),
    "linalg.vecdot": lambda d: ((d.array(), d.array()), {"axis": d.axis()}),
}
# NumPy refuses what has a plain meaning: an average or a median of nothing, a number as a vector.
LENIENT = {"average", "median", "quantile", "correlate"}


def outcome(function, args, kwargs):
    """The parts of the result; or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args, **kwargs)
    except Exception as error:
        return error
    return list(result) if isinstance(result, (list, tuple)) else [result]


def tensors(x):
    if isinstance(x, list):
        return [tensors(part) for part in x]
    return mg.Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype == float else x


@pytest.mark.parametrize("name", DRAWS)
def test_results_are_numpys_or_refused(name):
    module, _, last = name.rpartition(".")
    function = getattr(getattr(np, module) if module else np, last, None)
    if function is None:
        pytest.skip("newer than this NumPy")
    draw = Draw(zlib.crc32(name.encode()))
    agreed = 0
    for _ in range(400):
        if agreed == 40:
            break
        args, kwargs = DRAWS[name](draw)
        theirs, ours = outcome(function, args, kwargs), outcome(function, tensors(list(args)), kwargs)
        if isinstance(theirs, Exception):
            assert isinstance(ours, Exception) or name in LENIENT, (args, kwargs)
            continue
        if isinstance(ours, Exception):
            assert isinstance(ours, (ValueError, IndexError)), (args, kwargs, ours)
            continue
        agreed += 1
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            values = np.asarray(b)
            assert a.shape == values.shape and a.dtype == values.dtype, (args, kwargs)
            np.testing.assert_allclose(a.data, values, rtol=1e-9, atol=1e-9)
            if a.requires_grad and "Singular" not in str(outcome(a.backward, [np.ones(a.shape)], {})):
                assert all(x.grad.shape == x.shape for x in tensors_of(a))
    assert agreed > 3


def tensors_of(out):
    """The leaves from which a result was computed, and that a gradient has reached."""
    found, waiting = [], [out]
    for x in waiting:  # grows
        waiting += x.inputs
        found += [x] if not x.inputs and x.grad is not None else []
    return found


@pytest.mark.parametrize("call", [
    lambda x: np.vdot(x, x[:1]), lambda x: np.linalg.vecdot(x, x[:1]), lambda x: mg.vecdot(x, x[:1]),
    lambda x: np.linalg.multi_dot([x[None], x, x[:, None]]), lambda x: np.convolve(x[None], x)])
def test_shapes_that_numpy_does_not_broadcast_are_refused(call):
    with pytest.raises(ValueError, match=r"core dimension|multi_dot takes matrices|a vector has one axis"):
        call(mg.Tensor([1.0, 2.0, 3.0], requires_grad=True))
