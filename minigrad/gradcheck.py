"""Derivatives against central differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensor import Tensor, no_grad


def numeric_gradient(f: Callable[[], Tensor], x: Tensor, eps: float = 1e-6) -> NDArray[Any]:
    """The derivative of the single number f() with respect to each element of x.

    Central differences, (f(x + eps) - f(x - eps)) / (2 eps); the error is of order eps².
    f is called twice for each element; x ends as it was.
    """
    grad = np.zeros(x.shape)
    original = x.data.copy()
    try:
        with no_grad():
            for index in np.ndindex(x.shape):
                ends = []
                for sign in (1, -1):
                    moved = original.copy()
                    moved[index] += sign * eps
                    x.data = moved
                    ends.append(float(f().item()))
                grad[index] = (ends[0] - ends[1]) / (2 * eps)
    finally:
        x.data = original
    return grad


def gradcheck(f: Callable[[], Tensor], inputs: Mapping[str, Tensor] | Sequence[Tensor], eps: float = 1e-6,
              rtol: float = 1e-5, atol: float = 1e-8) -> float:
    """Compare f().backward() with central differences, for every element of every input.

    Args:
        f: computes a single number from the inputs, the same each time; float64.
        inputs: the tensors to perturb, as a list or by name.
        eps: how far.
        rtol, atol: an element passes where |analytic - numeric| <= atol + rtol * |numeric|.

    Returns:
        The largest relative error, |analytic - numeric| / max(1e-8, |analytic| + |numeric|).

    Raises:
        AssertionError: names the first wrong input and element, with both values.
    """
    named = dict(inputs) if isinstance(inputs, Mapping) else {x.label or f"input {i}": x
                                                             for i, x in enumerate(inputs)}
    before = {name: x.grad for name, x in named.items()}
    try:
        for x in named.values():
            x.grad = None
        f().backward()
        analytic = {name: np.zeros(x.shape) if x.grad is None else x.grad for name, x in named.items()}
    finally:
        for name, x in named.items():
            x.grad = before[name]
    worst = 0.0
    for name, x in named.items():
        numeric = numeric_gradient(f, x, eps)
        difference = np.abs(analytic[name] - numeric)
        wrong = ~(difference <= atol + rtol * np.abs(numeric))
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise AssertionError(f"gradient for {name} {x.shape} wrong at {list(index)}: "
                                 f"analytic {analytic[name][index]:.6g}, numeric {numeric[index]:.6g}")
        scale = np.maximum(1e-8, np.abs(analytic[name]) + np.abs(numeric))
        worst = max(worst, float((difference / scale).max(initial=0.0)))
    return worst
