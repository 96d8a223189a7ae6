"""Elementary functions of one number, for loops that LLVM vectorises.

NumPy's and libm's functions are calls, which end the vectorisation of a loop. These are plain arithmetic: no call, no
table, no branch. Each is named by function and type, and takes and returns that type.

An exponential has its argument reduced: x = n log(2) + r with |r| <= log(2)/2, so exp(x) = 2ⁿ (1 + expm1(r)), and
expm1(r) is r + r² P(r). n is found by adding a number so large that its last bit counts ones: the sum is rounded to an
integer, which is in its last bits. log(2) is split into a number with so few bits that its product with n is exact, and
the rest (Cody and Waite, Software Manual for the Elementary Functions, 1980). A logarithm is that of x / 2ⁿ, which is
2 artanh(s) = 2s + s³ P(s²), plus n log(2).

Polynomials have the least largest relative error (Remez's algorithm); `python benchmarks/ulp.py --fit` prints their
coefficients. Errors are the largest that were found, in ulp: units in the last place of the exact result; in float32
of all numbers for exp, tanh and sigmoid, of one in 37 for the others; in float64 of millions for all but erf. NaN,
infinities, overflow, underflow and -0 give the results of NumPy's functions.

The compiler may contract a product and a sum to one instruction, which rounds once. It must not reorder sums:
(x + SHIFT) - SHIFT isn't x. LLVM keeps the permissions of each operation when it moves a function into its caller, so
callers may permit more, but for the absence of NaN and infinities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .machine_code import compiled

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}  # to be moved into their callers


@compiled(**OPTIONS)
def polynomial(x: Any, coefficients: Any) -> Any:
    """Return the polynomial with these coefficients, the constant first, by Horner's rule."""
    total = coefficients[-1]
    for k in range(len(coefficients) - 2, -1, -1):  # LLVM unrolls a short loop
        total = total * x + coefficients[k]
    return total


# ---- float32. Numba computes in float64 as soon as a number of Python's takes part.
ZERO32, HALF32, ONE32, TWO32 = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
NAN32, INFINITY32 = np.float32(np.nan), np.float32(np.inf)
SMALLEST_NORMAL32 = np.float32(2**-126)
LOG2E32 = np.float32(1.4426950408889634)
LOG2_HIGH32, LOG2_LOW32 = np.float32(0.693145751953125), np.float32(1.4286068203094173e-06)  # 16 bits, and the rest
SHIFT32 = np.float32(1.5 * 2**23 + 127)  # its last bits are n + 127: the exponent of 2ⁿ
SHIFT32_TWICE = np.float32(1.5 * 2**23 + 254)  # n as the sum of two such exponents, for subnormal and large results
MANTISSA32 = np.uint32(0x007fffff)
HALF_SQUARE_ROOT32 = np.uint32(0x3f3504f3)  # the bits of sqrt(1/2)
TO_ONE32 = np.uint32(0x3f800000 - 0x3f3504f3)  # from there to the bits of 1
EXPONENT32 = np.uint32(0x4b000000)  # the bits of 2²³: a smaller integer in its last bits is added to it

EXP32 = tuple(np.float32(c) for c in (
    0.5000000044268236, 0.16666666369766317, 0.04166636042905284, 0.008333389454933348, 0.0013940668420905152,
    0.00019845883878581063))
TANH32 = tuple(np.float32(c) for c in (
    0.9999999962985109, 0.6666664468703778, 0.3333361492937546, 0.13336750448349696, 0.043871753251127944,
    0.015163524310923104))
LOG32 = tuple(np.float32(c) for c in (0.666667770533513, 0.39977449508215873, 0.29874419715631684))
LOG1P32 = tuple(np.float32(c) for c in (
    0.6666667562190799, 0.399988777470648, 0.28616884723553637, 0.2142765841124305, 0.2430093315686007))
ERF_HIGH32 = np.float32(-1.128379225730896)  # the constant of the polynomial is this and ERF32[0]
ERF32 = tuple(np.float32(c) for c in (
    5.910312784681176e-08, -0.6366198345770392, -0.10277127715248693, 0.019117694837233332, 0.0002530611622195012,
    -0.0017993539970658629, 0.0007406859850069177, -0.00016747098687357044, 2.135459063460989e-05,
    -1.1932976976408068e-06))


@compiled(**OPTIONS)
def exp_float32(x: np.float32) -> np.float32:
    """Return exp(x). Error <= 0.98 ulp. P has degree 5."""
    x = np.float32(-104) if x < np.float32(-104) else x  # keeps NaN
    x = np.float32(89) if x > np.float32(89) else x
    shifted = x * LOG2E32 + SHIFT32_TWICE
    n = shifted - SHIFT32_TWICE
    r = (x - n * LOG2_HIGH32) - n * LOG2_LOW32
    exponents = np.float32(shifted).view(np.uint32)
    half = np.uint32(exponents >> np.uint32(1))
    power = np.uint32(half << np.uint32(23)).view(np.float32)
    other = np.uint32((exponents - half) << np.uint32(23)).view(np.float32)
    return ((r * r) * polynomial(r, EXP32) + r + ONE32) * power * other


@compiled(**OPTIONS)
def tanh_float32(x: np.float32) -> np.float32:
    """Return tanh(x). Error <= 2.42 ulp.

    tanh(x) = e / (e + 1) with e = expm1(2x) / 2; for negative x the sign is changed. x = n log(2)/2 + r, where
    -0.2 <= 2r/log(2) < 0.8, so that n = 0 for all x at which the rounding of 2ⁿ - 1 would be felt. expm1(2r) / 2 is
    r + r² P(r), P of degree 5.
    """
    y = abs(x)
    y = np.float32(10) if y > np.float32(10) else y  # its tanh is 1
    shifted = (y * (LOG2E32 + LOG2E32) - np.float32(0.3)) + SHIFT32
    n = shifted - SHIFT32
    r = (y - n * (LOG2_HIGH32 * HALF32)) - n * (LOG2_LOW32 * HALF32)
    power = np.uint32(np.float32(shifted).view(np.uint32) << np.uint32(23)).view(np.float32)
    e = ((r * r) * polynomial(r, TANH32) + r) * power + (power * HALF32 - HALF32)
    return np.copysign(e / (e + ONE32), x)


@compiled(**OPTIONS)
def sigmoid_float32(x: np.float32) -> np.float32:
    """Return 1 / (1 + exp(-x)), from exp(-|x|), which doesn't overflow. Error <= 2.41 ulp."""
    e = exp_float32(-abs(x))
    return (ONE32 if x >= ZERO32 else e) / (e + ONE32)


@compiled(**OPTIONS)
def log_float32(x: np.float32) -> np.float32:
    """Return log(x). Error <= 0.81 ulp.

    x = 2ⁿ (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and s = f / (2 + f). The sum 2s + s³ P(s²), P of degree 2, is
    written as f - (f²/2 - s (f²/2 + s² P(s²))), whose rounding errors are small beside f.
    """
    subnormal = x < SMALLEST_NORMAL32
    exponent = np.uint32(np.float32(x * np.float32(2**25) if subnormal else x).view(np.uint32) + TO_ONE32)
    f = np.uint32((exponent & MANTISSA32) + HALF_SQUARE_ROOT32).view(np.float32) - ONE32
    n = np.uint32((exponent >> np.uint32(23)) | EXPONENT32).view(np.float32) - (
        np.float32(2**23 + 127 + 25) if subnormal else np.float32(2**23 + 127))
    s, square = f / (f + TWO32), f * f * HALF32
    z = s * s
    out = n * LOG2_HIGH32 - ((square - (s * (square + z * polynomial(z, LOG32)) + n * LOG2_LOW32)) - f)
    out = NAN32 if x < ZERO32 else out
    out = -INFINITY32 if x == ZERO32 else out
    return out if x < INFINITY32 else x


@compiled(**OPTIONS)
def softplus_float32(x: np.float32) -> np.float32:
    """Return log(1 + exp(x)). Error <= 1.97 ulp.

    It is max(x, 0) + log(1 + e) with e = exp(-|x|), and log(1 + e) is found as in `log_float32`, without a reduction; P
    has degree 4.
    """
    e = exp_float32(-abs(x))
    s, square = e / (e + TWO32), e * e * HALF32
    z = s * s
    return (e - (square - s * (square + z * polynomial(z, LOG1P32)))) + (x if x > ZERO32 else ZERO32)


@compiled(**OPTIONS)
def erf_float32(x: np.float32) -> np.float32:
    """Return the error function of x. Error <= 2.28 ulp.

    erf(x) = -expm1(y) with y = log(erfc(x)) = x Q(x), Q of degree 9, for 0 <= x <= 4; for negative x the sign is
    changed.
    """
    y = abs(x)
    y = np.float32(4) if y > np.float32(4) else y  # its erf is 1
    y = y * polynomial(y, ERF32) + y * ERF_HIGH32
    shifted = y * LOG2E32 + SHIFT32
    n = shifted - SHIFT32
    r = (y - n * LOG2_HIGH32) - n * LOG2_LOW32
    power = np.uint32(np.float32(shifted).view(np.uint32) << np.uint32(23)).view(np.float32)
    return np.copysign(((r * r) * polynomial(r, EXP32) + r) * power + (power - ONE32), x)


# ---- float64, by the same methods
LOG2E64 = 1.4426950408889634
LOG2_HIGH64, LOG2_LOW64 = 0.6931471805598903, 5.497923018708371e-14  # 42 bits, and the rest
SHIFT64 = 1.5 * 2**52 + 1023
SHIFT64_TWICE = 1.5 * 2**52 + 2046
MANTISSA64 = np.uint64(0x000fffffffffffff)
HALF_SQUARE_ROOT64 = np.uint64(0x3fe6a09e667f3bcd)
TO_ONE64 = np.uint64(0x3ff0000000000000 - 0x3fe6a09e667f3bcd)
EXPONENT64 = np.uint64(0x4330000000000000)

EXP64 = (
    0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321655, 0.0013888888888962598, 0.0001984126988607334,
    2.4801587172242575e-05, 2.755724425430602e-06, 2.7557402765145857e-07, 2.5109024420190087e-08,
    2.087533209914166e-09)
TANH64 = (
    1.0, 0.6666666666666669, 0.33333333333335796, 0.13333333333301017, 0.0444444444379126, 0.012698412824068535,
    0.0031746031033225894, 0.0007054552400170307, 0.00014120610937186075, 2.51939098187816e-05, 5.178140553914436e-06)
LOG64 = (
    0.6666666666666735, 0.3999999999940748, 0.28571428744142596, 0.22222198378342894, 0.1818357517290826,
    0.15313755560750075, 0.1479906816939842)
LOG1P64 = (
    0.6666666666666631, 0.40000000000157243, 0.28571428547854033, 0.22222223969724228, 0.18181743925105015,
    0.1538655992035527, 0.13300973610333208, 0.12106086132246904, 0.08340101803917033, 0.1701857510732315)
ERF_HIGH64 = -1.1283791670955126
ERF64 = (
    -9.740835104789407e-18, -0.6366197723675836, -0.10277260330178872, 0.019128447005069684, 0.00020919469484897754,
    -0.0016962063857846883, 0.000590125553053757, -2.587860471700989e-05, -6.449186005116608e-05,
    2.9724045288243843e-05, -3.4072652696903307e-06, -2.835139282970123e-06, 1.741545675900218e-06)
ERF64_REST = (  # LLVM doesn't unroll a loop over all
    -3.3636286872554614e-07, -1.371832760062527e-07, 1.4176249530188436e-07, -6.573368406409876e-08,
    2.0962709477765937e-08, -4.997719089327177e-09, 9.082261363835784e-10, -1.2484165711538513e-10,
    1.2611099946027065e-11, -8.845678333439702e-13, 3.8505905648780076e-14, -7.834364112932088e-16)


@compiled(**OPTIONS)
def exp_float64(x: float) -> float:
    """Return exp(x). Error <= 0.98 ulp. P has degree 10."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    shifted = x * LOG2E64 + SHIFT64_TWICE
    n = shifted - SHIFT64_TWICE
    r = (x - n * LOG2_HIGH64) - n * LOG2_LOW64
    exponents = np.float64(shifted).view(np.uint64)
    half = np.uint64(exponents >> np.uint64(1))
    power = np.uint64(half << np.uint64(52)).view(np.float64)
    other = np.uint64((exponents - half) << np.uint64(52)).view(np.float64)
    return ((r * r) * polynomial(r, EXP64) + r + 1.0) * power * other


@compiled(**OPTIONS)
def tanh_float64(x: float) -> float:
    """Return tanh(x). Error <= 2.32 ulp. P has degree 10."""
    y = abs(x)
    y = 20.0 if y > 20.0 else y
    shifted = (y * (2 * LOG2E64) - 0.3) + SHIFT64
    n = shifted - SHIFT64
    r = (y - n * (LOG2_HIGH64 / 2)) - n * (LOG2_LOW64 / 2)
    power = np.uint64(np.float64(shifted).view(np.uint64) << np.uint64(52)).view(np.float64)
    e = ((r * r) * polynomial(r, TANH64) + r) * power + (power * 0.5 - 0.5)
    return np.copysign(e / (e + 1.0), x)


@compiled(**OPTIONS)
def sigmoid_float64(x: float) -> float:
    """Return 1 / (1 + exp(-x)). Error <= 2.41 ulp."""
    e = exp_float64(-abs(x))
    return (1.0 if x >= 0.0 else e) / (e + 1.0)


@compiled(**OPTIONS)
def log_float64(x: float) -> float:
    """Return log(x). Error <= 0.81 ulp. P has degree 6."""
    subnormal = x < 2.0**-1022
    exponent = np.uint64(np.float64(x * 2.0**54 if subnormal else x).view(np.uint64) + TO_ONE64)
    f = np.uint64((exponent & MANTISSA64) + HALF_SQUARE_ROOT64).view(np.float64) - 1.0
    n = np.uint64((exponent >> np.uint64(52)) | EXPONENT64).view(np.float64) - (
        2.0**52 + 1023 + 54 if subnormal else 2.0**52 + 1023)
    s, square = f / (f + 2.0), f * f * 0.5
    z = s * s
    out = n * LOG2_HIGH64 - ((square - (s * (square + z * polynomial(z, LOG64)) + n * LOG2_LOW64)) - f)
    out = np.nan if x < 0.0 else out
    out = -np.inf if x == 0.0 else out
    return out if x < np.inf else x


@compiled(**OPTIONS)
def softplus_float64(x: float) -> float:
    """Return log(1 + exp(x)). Error <= 1.93 ulp. P has degree 9."""
    e = exp_float64(-abs(x))
    s, square = e / (e + 2.0), e * e * 0.5
    z = s * s
    return (e - (square - s * (square + z * polynomial(z, LOG1P64)))) + (x if x > 0.0 else 0.0)


@compiled(**OPTIONS)
def erf_float64(x: float) -> float:
    """Return the error function of x. Error <= 2.23 ulp. Q has degree 24, for 0 <= x <= 6."""
    y = abs(x)
    y = 6.0 if y > 6.0 else y
    y = y * polynomial(y, (*ERF64, polynomial(y, ERF64_REST))) + y * ERF_HIGH64
    shifted = y * LOG2E64 + SHIFT64
    n = shifted - SHIFT64
    r = (y - n * LOG2_HIGH64) - n * LOG2_LOW64
    power = np.uint64(np.float64(shifted).view(np.uint64) << np.uint64(52)).view(np.float64)
    return np.copysign(((r * r) * polynomial(r, EXP64) + r) * power + (power - 1.0), x)
