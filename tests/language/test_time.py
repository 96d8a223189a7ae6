"""`t` and `T` are indices. Whatever else Python or NumPy would make of them is an error with the user's line."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import above

import minigrad as mg
from rnn import Cell, T, t

NOT_A_NUMBER: list[Callable[[Any], Any]] = [
    lambda x: mg.where(t == 1, x, -x), lambda x: mg.where(t != 1, x, -x), lambda x: t < 3, lambda x: t <= 3,
    lambda x: t > 3, lambda x: t >= 3, lambda x: np.float64(3) == t, lambda x: np.arange(3) == t,
    lambda x: x if t else -x, lambda x: not t, lambda x: t and x, lambda x: t in [1, 2], lambda x: 1 in t,
    lambda x: 0.3 * t, lambda x: t * 0.3, lambda x: np.float64(0.3) * t, lambda x: t / 2, lambda x: 2 / t,
    lambda x: t // 2, lambda x: 2 // t, lambda x: t % 2, lambda x: 2 % t, lambda x: t ** 2, lambda x: 2 ** t,
    lambda x: divmod(t, 2), lambda x: t @ x, lambda x: -t, lambda x: +t, lambda x: ~t, lambda x: abs(t),
    lambda x: 5 - t, lambda x: np.int64(5) - t, lambda x: t & 1, lambda x: t | 1, lambda x: t ^ 1, lambda x: t << 1,
    lambda x: int(t), lambda x: float(t), lambda x: complex(t), lambda x: round(t), lambda x: math.exp(t),
    lambda x: range(t), lambda x: [1, 2][t], lambda x: np.eye(3)[t], lambda x: len(t), lambda x: list(t),
    lambda x: t[0], lambda x: np.cos(t), lambda x: np.sum(t), lambda x: np.where(t, 1, 2), lambda x: np.array(t),
    lambda x: np.stack([t, t]), lambda x: np.isclose(t, 1), lambda x: mg.sin(t), lambda x: mg.Tensor(t),
    lambda x: x + t, lambda x: x * t, lambda x: mg.maximum(t, x), lambda x: T == 3, lambda x: 2 * T]


@pytest.mark.parametrize("write", NOT_A_NUMBER)
def test_t_has_no_value_to_compute_with(write: Callable[[Any], Any]) -> None:
    x = Cell().input("x", 3)
    with pytest.raises(TypeError, match=r"[tT] is an index.*\(at test_time\.py:\d+\).*n=np\.arange\(1, T\+1\)"):
        write(x[t])


def test_a_part_of_t_is_no_step() -> None:
    h = Cell().signal("h", 3)
    with pytest.raises(TypeError) as error:
        h[t // 2]
    assert f"t is an index, as in h[t-1], and has no value to compute with (at {above()})" in str(error.value)


def test_the_number_of_the_step_comes_as_an_input() -> None:
    cell = Cell()
    n, y = cell.input("n", ()), cell.signal("y", ())
    y[t] = 0.5 * n[t]
    assert cell.unroll(n=np.arange(1, 4))["y"].stack().data.tolist() == [0.5, 1.0, 1.5]


def test_t_moves_by_integers_of_numpy_on_either_side() -> None:
    assert [repr(x) for x in (np.int64(1) + t, t + np.int8(1), t - np.int64(2))] == ["t+1", "t+1", "t-2"]
    with pytest.raises(TypeError, match=re.escape("t can be moved by a whole number of steps, e.g. t-1, not by T")):
        t - T


def test_t_moves_by_numpys_functions() -> None:
    assert [repr(x) for x in (np.add(t, 1), np.add(1, t), np.subtract(t, 2), np.subtract(t + 1, 3))] == [
        "t+1", "t+1", "t-2", "t-2"]
    for refused in (lambda: np.subtract(2, t), lambda: np.multiply(t, 2), lambda: np.negative(t)):
        with pytest.raises(TypeError, match="t is an index"):
            refused()


def test_t_can_be_a_key_copied_and_pickled() -> None:
    x = Cell().input("x", 3)
    assert {t: 1}[t] == 1 and t in [t]
    assert [repr(x[time]) for time in (copy.deepcopy(t), pickle.loads(pickle.dumps(t - 1)))] == ["x[t]", "x[t-1]"]
