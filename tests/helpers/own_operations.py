"""An operation that a user of minigrad might write."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg


class Swish(mg.Op):
    """x * sigmoid(slope * x)."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def forward(self, x: Any) -> Any:
        return x / (1 + np.exp(-self.slope * x))

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        gate = 1 / (1 + np.exp(-self.slope * x))
        return grad * (gate + self.slope * out * (1 - gate))


def swish(x: Any) -> Any:
    return mg.apply(Swish(1.5), x)
