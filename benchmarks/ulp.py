"""Errors and times of the elementary functions of rnn/fast/functions.py, and the fit of their coefficients.

    python benchmarks/ulp.py [--names exp,tanh] [--types float32] [--every 1] [--points 1000000]    errors
    python benchmarks/ulp.py --time [--names exp,tanh] [--types float32]                            times
    python benchmarks/ulp.py --fit                                                                  coefficients

An error is the distance from the exact result in units in the last place of that result. All float32 (or each
--every-th) are compared with NumPy's and SciPy's functions in float64, --points numbers in float64 with mpmath at 40
digits: of all magnitudes, in the range where the function changes, and beside the points at which the reduction of the
argument steps. For comparison: the errors of NumPy's and SciPy's functions. Needs the extra `fast`, and mpmath.

Times are CPU nanoseconds an element of a compiled loop, and of NumPy or SciPy: medians of rounds that alternate.

Coefficients are those of the polynomial with the least largest error under a weight (Remez's algorithm on a grid).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from numba import njit
from scipy import special

from rnn.fast import functions

Array = np.ndarray[Any, Any]
Real = Callable[[Any], Any]
FLAGS = {"contract", "reassoc", "arcp", "nsz"}  # more than generated loops and their sums have


def sigmoid(x: Array) -> Array:
    """Return the function as minigrad.ops.Sigmoid computes it."""
    small = np.exp(-np.abs(x))
    return np.maximum(small, x >= 0) / (1 + small)


NUMPY: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "tanh": np.tanh, "sigmoid": sigmoid, "log": np.log,
    "softplus": lambda x: np.logaddexp(x, np.zeros_like(x)), "erf": special.erf}
EXACT: dict[str, Real] = {
    "exp": mpmath.exp, "tanh": mpmath.tanh, "log": mpmath.log, "erf": mpmath.erf,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "softplus": lambda x: mpmath.log1p(mpmath.exp(x))}
RANGES = {"exp": (-745, 709), "tanh": (-20, 20), "sigmoid": (-745, 40), "log": (0.5, 2), "softplus": (-745, 40),
          "erf": (-6, 6)}


def loop(name: str, dtype: str) -> Any:
    """Return a compiled loop that applies a function to an array."""
    function = getattr(functions, f"{name}_{dtype}")

    @njit(error_model="numpy", fastmath=FLAGS)
    def apply(x: Array, out: Array) -> None:
        for i in range(len(x)):
            out[i] = function(x[i])

    return apply


# ---- errors


@njit(error_model="numpy")
def errors(values: Array, rounded: Array, exact: Array, rest: Array, bits: int, least: int, out: Array) -> None:
    """Store the errors of values in ulp; where not all are finite, 0 if values are `rounded`, else infinity.

    `rest` is what is missing in `exact`, in ulp. `bits` and `least` are the number of bits after the point and the
    smallest exponent of the type.
    """
    for i in range(len(values)):
        value = np.float64(values[i])
        exponent = max((np.float64(exact[i]).view(np.int64) >> 52 & 2047) - 1023, least)
        error = value - exact[i]
        tiny = exponent < -900  # the unit may be subnormal
        error = error * 2.0**bits if tiny else error
        unit = np.int64(1023 + exponent - (0 if tiny else bits) << 52).view(np.float64)
        same = (value == rounded[i]) | (np.isnan(value) & np.isnan(rounded[i]))
        finite = (abs(value) < np.inf) & (abs(rounded[i]) < np.inf)
        out[i] = abs(error / unit - rest[i]) if finite else 0.0 if same else np.inf


def worst(x: Array, error: Array) -> tuple[float, float]:
    """Return the largest error and its argument."""
    place = error.argmax()
    return float(error[place]), float(x[place])


def float32_errors(name: str, every: int) -> str:
    """Return the largest error over all float32, or each `every`-th, in words."""
    apply, chunk, largest = loop(name, "float32"), every << 15, (0.0, 0.0)
    for start in range(0, 1 << 32, chunk):
        x = np.arange(start, min(start + chunk, 1 << 32), every, dtype=np.uint64).astype(np.uint32).view(np.float32)
        values, error = np.empty_like(x), np.empty(len(x))
        apply(x, values)
        with np.errstate(all="ignore"):
            exact = NUMPY[name](x.astype(np.float64))
            rounded = exact.astype(np.float32)
        errors(values, rounded, exact, np.zeros_like(exact), 23, -126, error)
        largest = max(largest, worst(x, error))
    return "{:.3f} ulp at {!r}".format(*largest)


def float64_errors(name: str, points: int) -> str:
    """Return the largest errors of the compiled function and of NumPy's over chosen numbers, in words."""
    rng, (low, high), fifth = np.random.default_rng(0), RANGES[name], points // 5
    steps = rng.integers(2 * low, 2 * high, fifth) * (np.log(2) / 2) * (1 + rng.normal(size=fifth) * 1e-13)
    x = np.concatenate([rng.uniform(low, high, fifth), rng.uniform(-2, 2, fifth), rng.normal(size=fifth), steps,
                        np.exp(rng.uniform(-740, 709, fifth)) * rng.choice([-1, 1], fifth)])
    x = np.abs(x) if name == "log" else x
    x = x[(x < 709) | (name == "log")]
    exact = [EXACT[name](mpmath.mpf(float(number))) for number in x]
    nearest = np.array([float(number) for number in exact])
    rest = np.array([float((number - float(number)) / math.ulp(float(number))) for number in exact])
    values, error, of_numpy = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    loop(name, "float64")(x, values)
    errors(values, nearest, nearest, rest, 52, -1022, error)
    with np.errstate(all="ignore"):
        errors(NUMPY[name](x), nearest, nearest, rest, 52, -1022, of_numpy)
    return "{:.3f} ulp at {!r}; NumPy or SciPy {:.3f} at {!r}".format(*worst(x, error), *worst(x, of_numpy))


# ---- times


def times(name: str, dtype: str, size: int) -> tuple[float, float]:
    """Return CPU nanoseconds an element of the compiled loop and of NumPy's function."""
    x = np.abs(np.random.default_rng(0).normal(size=size) * 2 + 1e-3).astype(dtype)
    x *= 1 if name == "log" else np.where(np.arange(size) % 2, 1, -1).astype(dtype)
    out, apply, numpy = np.empty_like(x), loop(name, dtype), NUMPY[name]
    contenders: tuple[Callable[[], Any], ...] = (
        lambda: apply(x, out), lambda: numpy(x, out=out) if isinstance(numpy, np.ufunc) else numpy(x))
    taken: tuple[list[float], ...] = ([], [])
    for _ in range(16):
        for call, record in zip(contenders, taken):
            started = time.process_time()
            for _ in range(max(1, 300_000 // size)):
                call()
            record.append((time.process_time() - started) / max(1, 300_000 // size) / size * 1e9)
    return float(np.median(taken[0][1:])), float(np.median(taken[1][1:]))


# ---- coefficients


def remez(function: Real, weight: Real, low: Any, high: Any, degree: int) -> list[Any]:
    """Return the polynomial that minimises the largest weight(x) |polynomial(x) - function(x)| from low to high."""
    grid = [(low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * (i + 0.7) / 1500) for i in range(1500)]
    values, weights = [function(x) for x in grid], [weight(x) for x in grid]
    places = [i * 1499 // (degree + 1) for i in range(degree + 2)]
    while True:  # the errors at these places are equal with alternating signs; move each to the nearest extremum
        system = mpmath.matrix([[*(grid[i] ** k for k in range(degree + 1)), (-1) ** row / weights[i]]
                                for row, i in enumerate(places)])
        *coefficients, _ = mpmath.lu_solve(system, mpmath.matrix([values[i] for i in places]))
        error = [w * (mpmath.polyval(coefficients[::-1], x) - y) for x, y, w in zip(grid, values, weights)]
        extrema: list[int] = []
        for i, e in enumerate(error):
            if not extrema or (error[extrema[-1]] > 0) != (e > 0):
                extrema.append(i)
            elif abs(e) > abs(error[extrema[-1]]):
                extrema[-1] = i
        while len(extrema) > degree + 2:
            del extrema[0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else -1]
        if extrema == places:
            return coefficients
        places = extrema


def fit() -> None:
    """Print the coefficients of rnn/fast/functions.py."""
    mpmath.mp.dps = 50
    half, tiny = mpmath.log(2) / 2, mpmath.mpf(10) ** -10

    def artanh(z: Any) -> Any:  # (2 artanh(s) / s - 2) / z at s² = z
        return (2 * mpmath.atanh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 2) / z

    def erf_weight(x: Any) -> Any:
        return x * mpmath.erfc(x) / mpmath.erf(x)

    squared = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1) * mpmath.mpf("1.001")) ** 2
    for bits, degrees, end in ((32, (5, 5, 2, 4, 9), 4), (64, (10, 10, 6, 9, 24), 6)):
        polynomials = {
            "EXP": remez(lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: abs(r**2 / mpmath.expm1(r)),
                         -half * mpmath.mpf("1.0005"), half * mpmath.mpf("1.0005"), degrees[0]),
            "TANH": remez(lambda r: (mpmath.expm1(2 * r) / 2 - r) / r**2, lambda r: abs(2 * r**2 / mpmath.expm1(2 * r)),
                          -half * mpmath.mpf("0.2005"), half * mpmath.mpf("0.8005"), degrees[1]),
            "LOG": remez(artanh, lambda z: z / 2, tiny, squared, degrees[2]),
            "LOG1P": remez(artanh, lambda z: z / 2, tiny, mpmath.mpf(1) / 9, degrees[3]),
            "ERF": remez(lambda x: mpmath.log(mpmath.erfc(x)) / x, erf_weight, tiny, mpmath.mpf(end), degrees[4])}
        for name, coefficients in polynomials.items():
            print(f"{name}{bits}", ", ".join(repr(float(c)) for c in coefficients), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(NUMPY))
    parser.add_argument("--types", default="float32,float64")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    mpmath.mp.dps = 40
    if options.fit:
        fit()
    for name in options.names.split(",") if not options.fit else ():
        for dtype in options.types.split(","):
            if options.time:
                sizes = {size: times(name, dtype, size) for size in (64, 1024, 65536)}
                print(f"{name}_{dtype:8}", *(f"{size:6}: {ours:6.2f} ns, NumPy or SciPy {numpy:6.2f}"
                                            for size, (ours, numpy) in sizes.items()), flush=True)
            else:
                print(f"{name}_{dtype:8}", float32_errors(name, options.every) if dtype == "float32"
                      else float64_errors(name, options.points), flush=True)


if __name__ == "__main__":
    main()
