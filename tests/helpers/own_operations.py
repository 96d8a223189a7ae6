"""Operations that a user of minigrad might write."""

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


class Spike(mg.Op, elementwise=True):
    """1 where v > 0, else 0; its gradient is that of sigmoid(slope * v), a surrogate. Exports compute it, too."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def forward(self, v: Any) -> Any:
        return np.where(v > 0, 1.0, 0.0)

    def backward(self, grad: Any, out: Any, v: Any) -> Any:
        smooth = 1 / (1 + np.exp(-self.slope * v))
        return grad * self.slope * smooth * (1 - smooth)

    def jax(self, v: Any) -> Any:
        import jax

        smooth = jax.nn.sigmoid(self.slope * v)
        return (v > 0).astype(v.dtype) + (smooth - jax.lax.stop_gradient(smooth))

    def torch(self, v: Any) -> Any:
        import torch

        smooth = torch.sigmoid(self.slope * v)
        return (v > 0).to(v.dtype) + (smooth - smooth.detach())

    def onnx(self, builder: Any, v: Any) -> Any:
        return builder.where(v > 0, 1.0, 0.0)
