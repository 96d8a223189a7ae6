"""The cause that a failed check names: a sum over broadcast axes of which only the first or the last slice is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg


class SliceOfSum(mg.ops.Add):
    """a + b, whose gradient for b is that of one index of the axes over which b was broadcast."""

    def __init__(self, end: int) -> None:
        self.end = end

    def backward(self, grad: Any, out: Any, a: Any, b: Any) -> Any:
        extra = grad.ndim - b.ndim
        index = tuple(self.end if i < extra else slice(self.end, None if self.end == -1 else 1)
                      if b.shape[i - extra] == 1 else slice(None) for i in range(grad.ndim))
        return grad, grad[index]


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize(("shape", "axes"), [((3,), [0]), ((1, 3), [0]), ((4, 1), [1]), ((1,), [0, 1])])
def test_one_slice_of_a_sum_is_named_with_the_axes(shape: tuple[int, ...], axes: list[int], end: int) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="one slice") as error:
        mg.check_op(SliceOfSum(end), rng.normal(size=(4, 3)), rng.normal(size=shape))
    assert f"axes {axes}" in str(error.value).replace("axis", "axes")


class NearlyAdd(mg.ops.Add):
    """a + b, whose two gradients have small relative errors."""

    def __init__(self, *errors: float) -> None:
        self.errors = errors

    def backward(self, grad: Any, out: Any, a: Any, b: Any) -> Any:
        return grad * (1 + self.errors[0]), grad * (1 + self.errors[1])


@pytest.mark.parametrize("errors", [(3e-6, 1e-6), (1e-6, 3e-6), (0.0, 3e-6)])
def test_the_largest_relative_error_is_returned(errors: tuple[float, float]) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3))
    assert mg.check_op(NearlyAdd(*errors), a, b) == pytest.approx(3e-6 / 2, rel=1e-2)  # |a - n| / (|a| + |n|)
    assert mg.check_op(NearlyAdd(0.0, 0.0), a, b) < 1e-8
