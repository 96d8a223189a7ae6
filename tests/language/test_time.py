"""`t` and `T` are indices, and `t` is a number in equations. Every other use is an error with the user's line."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, T, t

NUMBERS: list[Callable[[Any], Any]] = [
    lambda t: np.where(t == 1, 2.0, -t), lambda t: np.where(t != 1, 2.0, t), lambda t: (t < 3) * 1.0,
    lambda t: (t <= 3) * 1.0, lambda t: (t > 3) * 1.0, lambda t: (t >= 3) * 1.0, lambda t: (np.float64(3) == t) * 1.0,
    lambda t: (np.arange(3) == t) * 1.0, lambda t: 0.3 * t, lambda t: t * 0.3, lambda t: np.float64(0.3) * t,
    lambda t: t / 2, lambda t: 2 / t, lambda t: t // 2, lambda t: 2 // t, lambda t: t % 2, lambda t: 2 % t,
    lambda t: t ** 2, lambda t: 2.0 ** t, lambda t: -t, lambda t: +t * 1.0, lambda t: abs(t), lambda t: 5 - t,
    lambda t: np.int64(5) - t, lambda t: ((t > 1) & (t < 3)) * 1.0, lambda t: ((t == 1) | ~(t > 2)) * 1.0,
    lambda t: np.cos(t), lambda t: np.sum(t), lambda t: np.where(t > 2, 1.0, 2.0), lambda t: np.stack([t, 2 * t]),
    lambda t: mg.sin(t) if hasattr(t, "offset") else np.sin(t), lambda t: np.maximum(t, 2.0), lambda t: t + 0.5,
    lambda t: (t - 1) * 2.0, lambda t: t * np.arange(3.0), lambda t: np.exp(-t) * t]


@pytest.mark.parametrize("formula", NUMBERS)
def test_t_is_the_number_of_the_step(formula: Callable[[Any], Any]) -> None:
    cell = Cell()
    cell.signal("y")[t] = formula(t)
    expected = [formula(np.float64(k)) for k in range(1, 5)]
    np.testing.assert_allclose(cell.unroll(T=4)["y"].stack().data, expected)


NO_NUMBERS: list[Callable[[Any], Any]] = [
    lambda x: x if t else -x, lambda x: not t, lambda x: t and x, lambda x: 1 in t, lambda x: int(t),
    lambda x: float(t),
    lambda x: complex(t), lambda x: round(t), lambda x: math.exp(t), lambda x: range(t), lambda x: [1, 2][t],
    lambda x: np.eye(3)[t], lambda x: len(t), lambda x: list(t), lambda x: t[0], lambda x: np.array(t),
    lambda x: t in [1, 2], lambda x: T == 3, lambda x: 2 * T, lambda x: x + T]


@pytest.mark.parametrize("write", NO_NUMBERS)
def test_t_has_no_value_outside_of_an_equation(write: Callable[[Any], Any]) -> None:
    x = Cell().input("x", 3)
    with pytest.raises(TypeError, match=r"[tT] (== 1 )?(stands for every step|is neither true nor false|isn't known)|"
                                        r"t == 1 is neither.*\(at test_time\.py:\d+\)"):
        write(x[t])


def test_t_moves_by_integers_of_numpy_on_either_side() -> None:
    assert [repr(x) for x in (np.int64(1) + t, t + np.int8(1), t - np.int64(2))] == ["t+1", "t+1", "t-2"]
    with pytest.raises(TypeError, match=re.escape("T isn't known in an equation")):
        t - T


def test_t_moves_by_numpys_functions() -> None:
    assert [repr(x) for x in (np.add(t, 1), np.add(1, t), np.subtract(t, 2), np.subtract(t + 1, 3))] == [
        "t+1", "t+1", "t-2", "t-2"]
    assert [repr(x) for x in (np.subtract(2, t), np.multiply(t, 2), np.negative(t))] == ["2 - t", "t * 2", "-t"]


def test_t_can_be_a_key_copied_and_pickled() -> None:
    x = Cell().input("x", 3)
    assert {t: 1}[t] == 1 and t in [t]
    assert [repr(x[time]) for time in (copy.deepcopy(t), pickle.loads(pickle.dumps(t - 1)))] == ["x[t]", "x[t-1]"]
