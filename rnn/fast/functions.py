"""Elementary functions of one number, for loops that LLVM vectorises.

NumPy's and libm's functions are calls, which end the vectorisation of a loop. These are plain arithmetic: no call, no
table, no branch. Each is named by function and type, and takes and returns that type.

An exponential has its argument reduced: x = n log(2) + r with |r| <= log(2)/2, so exp(x) = 2ⁿ (1 + expm1(r)). n is
found by adding a number so large that its last bit counts ones: the sum is rounded to an integer, which is in its last
bits. log(2) is split into a number with so few bits that its product with n is exact, and the rest (Cody and Waite,
Software Manual for the Elementary Functions, 1980). Polynomials have the least largest relative error (Remez's
algorithm); `python benchmarks/ulp.py --fit` prints their coefficients. Errors are the largest that
`python benchmarks/ulp.py` finds, over all float32 and ten million float64, in ulp: units in the last place of the
exact result. NaN, infinities, overflow, underflow and -0 give the results of NumPy's functions.

The compiler may contract a product and a sum to one instruction, which rounds once. It must not reorder sums:
(x + SHIFT) - SHIFT isn't x. LLVM keeps the permissions of each operation when it moves a function into its caller, so
callers may permit more, but for the absence of NaN and infinities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, to be moved into its callers."""
    decorated: Function = njit(cache=True, error_model="numpy", fastmath={"contract"}, forceinline=True)(function)
    return decorated


# ---- float32. Numba computes in float64 as soon as a number of Python's takes part.
HALF32, ONE32 = np.float32(0.5), np.float32(1)
LOG2E32 = np.float32(1.4426950408889634)
LOG2_HIGH32, LOG2_LOW32 = np.float32(0.693145751953125), np.float32(1.4286068203094173e-06)  # 16 bits, and the rest
SHIFT32 = np.float32(1.5 * 2**23 + 127)  # its last bits are n + 127: the exponent of 2ⁿ
SHIFT32_TWICE = np.float32(1.5 * 2**23 + 254)  # n as the sum of two such exponents, for subnormal and large results
EXP32 = tuple(np.float32(c) for c in (
    0.5000000044268236, 0.16666666369766317, 0.04166636042905284, 0.008333389454933348, 0.0013940668420905152,
    0.00019845883878581063))
TANH32 = tuple(np.float32(c) for c in (
    0.9999999962985109, 0.6666664468703778, 0.3333361492937546, 0.13336750448349696, 0.043871753251127944,
    0.015163524310923104))


@compiled
def exp_float32(x: np.float32) -> np.float32:
    """Return exp(x). Error <= 0.98 ulp.

    expm1(r) is r + r² P(r), P of degree 5.
    """
    x = np.float32(-104) if x < np.float32(-104) else x  # keeps NaN
    x = np.float32(89) if x > np.float32(89) else x
    shifted = x * LOG2E32 + SHIFT32_TWICE
    n = shifted - SHIFT32_TWICE
    r = (x - n * LOG2_HIGH32) - n * LOG2_LOW32
    p = EXP32[5]
    p = p * r + EXP32[4]
    p = p * r + EXP32[3]
    p = p * r + EXP32[2]
    p = p * r + EXP32[1]
    p = p * r + EXP32[0]
    exponents = np.float32(shifted).view(np.uint32)
    half = np.uint32(exponents >> np.uint32(1))
    power = np.uint32(half << np.uint32(23)).view(np.float32)
    other = np.uint32((exponents - half) << np.uint32(23)).view(np.float32)
    return ((r * r) * p + r + ONE32) * power * other


@compiled
def tanh_float32(x: np.float32) -> np.float32:
    """Return tanh(x). Error <= 2.38 ulp.

    tanh(x) = e / (e + 1) with e = expm1(2x) / 2; for negative x the sign is changed. x = n log(2)/2 + r, where
    -0.2 <= 2r/log(2) < 0.8, so that n = 0 for all x at which the rounding of 2ⁿ - 1 would be felt. expm1(2r) / 2 is
    r + r² P(r), P of degree 5.
    """
    y = abs(x)
    y = np.float32(10) if y > np.float32(10) else y  # its tanh is 1
    shifted = (y * (LOG2E32 + LOG2E32) - np.float32(0.3)) + SHIFT32
    n = shifted - SHIFT32
    r = (y - n * (LOG2_HIGH32 * HALF32)) - n * (LOG2_LOW32 * HALF32)
    p = TANH32[5]
    p = p * r + TANH32[4]
    p = p * r + TANH32[3]
    p = p * r + TANH32[2]
    p = p * r + TANH32[1]
    p = p * r + TANH32[0]
    power = np.uint32(np.float32(shifted).view(np.uint32) << np.uint32(23)).view(np.float32)
    e = ((r * r) * p + r) * power + (power * HALF32 - HALF32)
    return np.copysign(e / (e + ONE32), x)


@compiled
def sigmoid_float32(x: np.float32) -> np.float32:
    """Return 1 / (1 + exp(-x)), from exp(-|x|), which doesn't overflow. Error <= 2.36 ulp."""
    e = exp_float32(-abs(x))
    return (ONE32 if x >= np.float32(0) else e) / (e + ONE32)


# ---- float64
LOG2E64 = 1.4426950408889634
LOG2_HIGH64, LOG2_LOW64 = 0.6931471805598903, 5.497923018708371e-14  # 42 bits, and the rest
SHIFT64 = 1.5 * 2**52 + 1023
SHIFT64_TWICE = 1.5 * 2**52 + 2046
EXP64 = (
    0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321655, 0.0013888888888962598, 0.0001984126988607334,
    2.4801587172242575e-05, 2.755724425430602e-06, 2.7557402765145857e-07, 2.5109024420190087e-08,
    2.087533209914166e-09)
TANH64 = (
    1.0, 0.6666666666666669, 0.33333333333335796, 0.13333333333301017, 0.0444444444379126, 0.012698412824068535,
    0.0031746031033225894, 0.0007054552400170307, 0.00014120610937186075, 2.51939098187816e-05, 5.178140553914436e-06)


@compiled
def exp_float64(x: float) -> float:
    """Return exp(x), as `exp_float32` does with P of degree 10. Error <= 0.98 ulp."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    shifted = x * LOG2E64 + SHIFT64_TWICE
    n = shifted - SHIFT64_TWICE
    r = (x - n * LOG2_HIGH64) - n * LOG2_LOW64
    p = EXP64[10]
    p = p * r + EXP64[9]
    p = p * r + EXP64[8]
    p = p * r + EXP64[7]
    p = p * r + EXP64[6]
    p = p * r + EXP64[5]
    p = p * r + EXP64[4]
    p = p * r + EXP64[3]
    p = p * r + EXP64[2]
    p = p * r + EXP64[1]
    p = p * r + EXP64[0]
    exponents = np.float64(shifted).view(np.uint64)
    half = np.uint64(exponents >> np.uint64(1))
    power = np.uint64(half << np.uint64(52)).view(np.float64)
    other = np.uint64((exponents - half) << np.uint64(52)).view(np.float64)
    return ((r * r) * p + r + 1.0) * power * other


@compiled
def tanh_float64(x: float) -> float:
    """Return tanh(x), as `tanh_float32` does with P of degree 10. Error <= 2.32 ulp."""
    y = abs(x)
    y = 20.0 if y > 20.0 else y
    shifted = (y * (2 * LOG2E64) - 0.3) + SHIFT64
    n = shifted - SHIFT64
    r = (y - n * (LOG2_HIGH64 / 2)) - n * (LOG2_LOW64 / 2)
    p = TANH64[10]
    p = p * r + TANH64[9]
    p = p * r + TANH64[8]
    p = p * r + TANH64[7]
    p = p * r + TANH64[6]
    p = p * r + TANH64[5]
    p = p * r + TANH64[4]
    p = p * r + TANH64[3]
    p = p * r + TANH64[2]
    p = p * r + TANH64[1]
    p = p * r + TANH64[0]
    power = np.uint64(np.float64(shifted).view(np.uint64) << np.uint64(52)).view(np.float64)
    e = ((r * r) * p + r) * power + (power * 0.5 - 0.5)
    return np.copysign(e / (e + 1.0), x)


@compiled
def sigmoid_float64(x: float) -> float:
    """Return 1 / (1 + exp(-x)), from exp(-|x|), which doesn't overflow. Error <= 2.41 ulp."""
    e = exp_float64(-abs(x))
    return (1.0 if x >= 0.0 else e) / (e + 1.0)
