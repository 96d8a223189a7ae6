"""Gradients are arrays of the tensor's shape and type, also those of single numbers, however they are computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg


def by_steps(loss: mg.Tensor) -> None:
    for step in loss.backward_steps():
        step.run()


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("compute", [mg.Tensor.backward, by_steps])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 3)])
@pytest.mark.parametrize("function", [lambda x: x * 3, lambda x: x / 2, lambda x: x ** 2, np.tanh, lambda x: x + x,
                                      lambda x: x.sum() * x])
def test_a_gradient_is_an_array_of_the_tensors_shape_and_type(function: Callable[[Any], Any], shape: tuple[int, ...],
                                                              dtype: Any, compute: Any, times: int) -> None:
    x = mg.Tensor(np.full(shape, 0.5), requires_grad=True, dtype=dtype)
    y = function(x)
    loss = y.sum() if y.ndim else y
    for _ in range(times):
        compute(loss)
    for tensor in (x, y):
        assert type(tensor.grad) is np.ndarray
        assert tensor.grad.shape == tensor.shape and tensor.grad.dtype == tensor.dtype
        tensor.grad[...] = 0  # it can be changed in place
        assert not tensor.grad.any()
