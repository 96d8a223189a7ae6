"""Elementary functions of rnn/fast: errors in ulp, special values, and the packed instructions of their loops."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from rnn.fast import functions  # noqa: E402

Array = np.ndarray[Any, Any]
FLAGS = {"contract", "reassoc", "arcp", "nsz"}  # more than generated loops and their sums have


def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softplus(x: Array) -> Array:
    return np.logaddexp(x, np.zeros_like(x))


def erf(x: Array) -> Array:
    """Return exp(-x²) 2 / sqrt(pi) Σ 2ᵏ x²ᵏ⁺¹ / (1 · 3 · ... · (2k+1)), whose terms have one sign."""
    y = np.clip(x, -7, 7)
    total = term = y
    for k in range(250):
        term = term * (y * y * 2 / (2 * k + 3))
        total = total + term
    return np.where(abs(y) < 7, np.exp(-y * y) * total * 2 / np.sqrt(4 * np.arctan(x.dtype.type(1))), np.sign(y))


EXACT: dict[str, Callable[[Array], Array]] = {  # in wider floats
    "exp": np.exp, "tanh": np.tanh, "sigmoid": sigmoid, "log": np.log, "softplus": softplus, "erf": erf}
MOST_ULP = {"exp": 1.1, "tanh": 2.5, "sigmoid": 2.5, "log": 1, "softplus": 2.5, "erf": 2.5}
WIDER = {"float32": np.float64, "float64": np.longdouble}
TYPES = ["float32", *(["float64"] if np.finfo(np.longdouble).nmant >= 63 else [])]
CASES = [(name, dtype) for name in EXACT for dtype in TYPES]


def loop(name: str, dtype: str) -> Any:
    """Return a compiled loop that applies a function to an array."""
    function = getattr(functions, f"{name}_{dtype}")

    @numba.njit(error_model="numpy", fastmath=FLAGS)
    def apply(x: Array, out: Array) -> None:
        for i in range(len(x)):
            out[i] = function(x[i])

    return apply


def computed(name: str, x: Array) -> Array:
    out = np.empty_like(x)
    loop(name, x.dtype.name)(x, out)
    return out


def errors(values: Array, exact: Array) -> Array:
    """Return the errors of values in ulp of the exact results, where these are finite."""
    info = np.finfo(values.dtype)
    exponent = np.maximum(np.frexp(exact)[1], info.minexp + 1)
    return np.abs(values - exact) / np.ldexp(exact.dtype.type(1), exponent - info.nmant - 1)


def hard_points(dtype: str) -> Array:
    """Return numbers of all magnitudes, and neighbours of the points at which the reduction of the argument changes."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    magnitudes = np.exp(rng.uniform(np.log(info.smallest_subnormal), np.log(info.max), 4000))
    halves = np.arange(-2200, 2200) * (np.log(2) / 2) * (1 + rng.normal(size=4400) * info.eps)
    return np.concatenate([rng.uniform(-3, 3, 4000), magnitudes, -magnitudes, halves]).astype(dtype)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_errors_are_a_few_ulp(name: str, dtype: str) -> None:
    x = hard_points(dtype)
    values = computed(name, x)
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(WIDER[dtype]))
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(values[~finite], rounded[~finite])
    assert errors(values[finite], exact[finite]).max() <= MOST_ULP[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_special_values_are_those_of_numpy(name: str, dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, info.min, 1000, -1000,
                  info.smallest_subnormal, -info.smallest_subnormal], dtype)
    values = computed(name, x)
    with np.errstate(all="ignore"):
        expected = EXACT[name](x)
    np.testing.assert_array_equal(values, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(values[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_any_pattern_of_a_nan_is_one_in_the_result(name: str, dtype: str) -> None:
    bits, whole = np.finfo(dtype).nmant, np.dtype(f"u{np.dtype(dtype).itemsize}").type
    infinity = np.array(np.inf, dtype).view(whole)
    patterns = infinity | np.random.default_rng(0).integers(1, 2**bits, 1000, whole)
    assert np.isnan(computed(name, patterns.view(dtype))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_a_loop_computes_several_elements_at_once(name: str, dtype: str) -> None:
    apply = loop(name, dtype)
    apply.compile((numba.types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C"),) * 2)
    text = next(iter(apply.inspect_llvm().values()))
    kind = {"float32": "float", "float64": "double"}[dtype]
    instruction = "fmul" if name in ("exp", "erf") else "fdiv"
    assert re.search(rf"{instruction} [a-z ]*<\d+ x {kind}>", text)


@numba.njit(error_model="numpy")
def float32_errors(values: Array, exact: Array, out: Array) -> None:
    """Store errors as `errors` does, eight at once: infinity where one result isn't finite and differs."""
    for i in range(len(values)):
        value, rounded = np.float64(values[i]), np.float64(np.float32(exact[i]))
        exponent = max((np.float64(exact[i]).view(np.int64) >> 52 & 2047) - 23, 1023 - 149)
        error = abs(value - exact[i]) / np.int64(exponent << 52).view(np.float64)
        same = (value == rounded) | (np.isnan(value) & np.isnan(rounded))
        finite = (abs(value) < np.inf) & (abs(rounded) < np.inf)
        out[i] = error if finite else 0.0 if same else np.inf


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_errors_of_all_float32_values(name: str) -> None:
    exact = EXACT[name] if name != "erf" else pytest.importorskip("scipy.special").erf
    apply, chunk = loop(name, "float32"), 1 << 18
    values, found, largest = np.empty(chunk, np.float32), np.empty(chunk), 0.0
    for start in range(0, 1 << 32, chunk):
        x = np.arange(start, start + chunk, dtype=np.uint32).view(np.float32)
        apply(x, values)
        with np.errstate(all="ignore"):
            float32_errors(values, exact(x.astype(np.float64)), found)
        largest = max(largest, found.max())
    assert largest <= MOST_ULP[name]


def test_the_compiled_errors_are_those_of_numpy() -> None:
    exact = np.array([1, 1, 4.2e-45, 1e39, np.nan, 1, 1e-50, 0, -3, np.inf, 1e-39])
    values = np.array([1, 1 + 2**-23, 5e-45, np.inf, np.nan, np.nan, 0, 0, -3.5, 1, 1e-39], np.float32)
    found = np.empty(len(values))
    with np.errstate(all="ignore"):
        float32_errors(values, exact, found)
        finite = np.isfinite(exact.astype(np.float32)) & np.isfinite(values)
    np.testing.assert_allclose(found[finite], errors(values[finite], exact[finite]))
    np.testing.assert_array_equal(found[~finite], [0, 0, np.inf, np.inf])
