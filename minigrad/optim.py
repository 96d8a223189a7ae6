"""Optimisers: how parameters move, given their gradients.

Each is made with its parameters (any iterable of Tensors, or a dict by name) and its rates;
`step()` moves the parameters, `zero_grad()` forgets the gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensor import Tensor

Parameters = Iterable[Tensor] | Mapping[str, Tensor]


def _listed(parameters: Parameters) -> list[Tensor]:
    """Each parameter once, checked."""
    tensors = list(parameters.values() if isinstance(parameters, Mapping) else parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor) or not tensor.requires_grad or tensor.op is not None:
            raise TypeError(f"an optimiser moves tensors made with requires_grad=True, not {tensor!r}")
    return list(dict.fromkeys(tensors))


class Optimizer:
    """What all optimisers share: the list of parameters, and step() over those with a gradient."""

    def __init__(self, parameters: Parameters, lr: float) -> None:
        if not lr > 0:
            raise ValueError(f"the learning rate lr is a positive number, not {lr!r}")
        self.parameters = _listed(parameters)
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget the gradients; backward() adds to them otherwise."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                parameter.data -= self.change(index, parameter.grad).astype(parameter.dtype, copy=False)

    def change(self, index: int, grad: NDArray[Any]) -> NDArray[Any]:
        """What to subtract from parameter number `index`."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    v ← momentum · v + grad;  w ← w - lr · v   (Sutskever et al., ICML 2013, eq. 1, with the rate
    outside of v, as PyTorch has it).
    """

    def __init__(self, parameters: Parameters, lr: float, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is in [0, 1), not {momentum!r}")
        self.momentum = momentum
        self.velocity: dict[int, NDArray[Any]] = {}

    def change(self, index: int, grad: NDArray[Any]) -> NDArray[Any]:
        if self.momentum:
            before = self.velocity.get(index)
            grad = self.velocity[index] = grad if before is None else self.momentum * before + grad
        return self.lr * grad


class Adam(Optimizer):
    """Kingma and Ba, Adam: a method for stochastic optimization (ICLR 2015), algorithm 1."""

    def __init__(self, parameters: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8) -> None:
        super().__init__(parameters, lr)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are in [0, 1), not {betas!r}")
        self.betas = betas
        self.eps = eps
        self.steps = [0] * len(self.parameters)
        self.m = [np.zeros_like(p.data) for p in self.parameters]
        self.v = [np.zeros_like(p.data) for p in self.parameters]

    def change(self, index: int, grad: NDArray[Any]) -> NDArray[Any]:
        beta1, beta2 = self.betas
        self.steps[index] += 1
        m = self.m[index] = beta1 * self.m[index] + (1 - beta1) * grad
        v = self.v[index] = beta2 * self.v[index] + (1 - beta2) * grad * grad
        m_hat = m / (1 - beta1 ** self.steps[index])
        v_hat = v / (1 - beta2 ** self.steps[index])
        result: NDArray[Any] = self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
        return result


def clip_grad_norm(parameters: Parameters, max_norm: float) -> float:
    """Scale all gradients together so that their common 2-norm is at most `max_norm`.

    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (ICML
    2013), algorithm 1.

    Returns:
        The norm before clipping. Where it isn't finite, nothing is scaled.

    Raises:
        ValueError: where max_norm isn't positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is a positive number, not {max_norm!r}")
    tensors = [p for p in _listed(parameters) if p.grad is not None]
    norm = float(np.sqrt(sum(np.square(_grad(p), dtype=float).sum() for p in tensors)))
    if np.isfinite(norm) and norm > max_norm:
        for tensor in tensors:
            tensor.grad = _grad(tensor) * tensor.dtype.type(max_norm / norm)
    return norm


def _grad(tensor: Tensor) -> NDArray[Any]:
    assert tensor.grad is not None
    return tensor.grad
