"""Optimisers: rules that update parameters by their gradients.

An optimiser is made with its parameters (any iterable of Tensors, or a dict by name) and its rates;
`step()` updates the parameters, `zero_grad()` clears the gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .interactive.completion import public_names
from .provenance import call_site
from .tensor import Tensor

Array = NDArray[np.floating[Any]]
Parameters = Iterable[Tensor] | Mapping[str, Tensor]


def _listed(parameters: Parameters) -> list[Tensor]:
    """Return each parameter once, checked."""
    if isinstance(parameters, Tensor) or not isinstance(parameters, (Mapping, Iterable)):
        raise TypeError(f"a list of parameters is needed, e.g. [W, b], not {parameters!r:.80} (at {call_site()})")
    tensors = list(parameters.values() if isinstance(parameters, Mapping) else parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor) or not tensor.requires_grad or tensor.op is not None:
            raise TypeError(f"an optimiser moves tensors made with requires_grad=True, not {tensor!r:.80} "
                            f"(at {call_site()})")
    return list(dict.fromkeys(tensors))


class Optimizer:
    """What all optimisers share: the list of parameters, and step() over those with a gradient.

    Args:
        parameters: any iterable of tensors that require gradients, or a dict by name.
        lr: the learning rate; the attribute may be changed between steps, see schedules.py.
        weight_decay: adds weight_decay * w to the gradient of w (an L2 penalty).
    """

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float = 0.0) -> None:
        if not lr > 0:
            raise ValueError(f"the learning rate lr is a positive number, not {lr!r}")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay is zero or positive, not {weight_decay!r}")
        self.parameters = _listed(parameters)
        if not self.parameters:
            raise ValueError(f"the list of parameters is empty (at {call_site()}): is it an iterator that was used up?")
        self.lr = lr
        self.weight_decay = weight_decay

    def zero_grad(self) -> None:
        """Clear the gradients, to which backward() would add."""
        for parameter in self.parameters:
            parameter._grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient; before backward() none has one, and nothing moves."""
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                self.move(parameter, self.change(index, self.gradient(parameter)))

    def gradient(self, parameter: Tensor) -> Array:
        """Return the gradient with the weight decay added, as `change` receives it."""
        grad = _grad(parameter)
        return grad + self.weight_decay * parameter._array if self.weight_decay else grad

    def move(self, parameter: Tensor, change: Array) -> None:
        """Subtract the result of `change`."""
        parameter.data = parameter._array - change.astype(parameter.dtype, copy=False)

    def change(self, index: int, grad: Array) -> Array:
        """Return what to subtract from parameter number `index`."""
        raise NotImplementedError(f"{type(self).__name__} has no change(index, grad)")

    def zeros(self) -> list[Array]:
        """Return an array of zeros for each parameter."""
        return [np.zeros(p.shape, p.dtype) for p in self.parameters]


class SGD(Optimizer):
    """Gradient descent, optionally with momentum.

        v ← momentum · v + grad;  w ← w - lr · v
        with nesterov:            w ← w - lr · (grad + momentum · v)

    Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
    learning (ICML 2013), eq. 1 to 4, with the rate outside of v, as PyTorch has it.
    """

    def __init__(self, parameters: Parameters, lr: float, momentum: float = 0.0, nesterov: bool = False,
                 weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr, weight_decay)
        self.momentum = _fraction("momentum", momentum)
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead along the momentum: it needs momentum > 0, e.g. 0.9")
        self.nesterov = nesterov
        self.velocity = self.zeros()

    def change(self, index: int, grad: Array) -> Array:
        v = self.velocity[index] = self.momentum * self.velocity[index] + grad
        return self.lr * (grad + self.momentum * v if self.nesterov else v)


class Adagrad(Optimizer):
    """s ← s + grad²;  w ← w - lr · grad / (sqrt(s) + eps)

    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
    optimization (JMLR 12, 2011), section 1.1, the diagonal form.
    """

    def __init__(self, parameters: Parameters, lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr, weight_decay)
        self.eps = eps
        self.squares = self.zeros()

    def change(self, index: int, grad: Array) -> Array:
        s = self.squares[index] = self.squares[index] + grad * grad
        return self.lr * grad / (np.sqrt(s) + self.eps)


class RMSprop(Optimizer):
    """s ← alpha · s + (1 - alpha) · grad²;  v ← momentum · v + grad / (sqrt(s) + eps);  w ← w - lr · v

    Tieleman and Hinton, Neural networks for machine learning (Coursera 2012), lecture 6.5; with
    momentum as PyTorch has it.
    """

    def __init__(self, parameters: Parameters, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr, weight_decay)
        self.alpha = _fraction("alpha", alpha)
        self.eps = eps
        self.momentum = _fraction("momentum", momentum)
        self.squares = self.zeros()
        self.velocity = self.zeros()

    def change(self, index: int, grad: Array) -> Array:
        s = self.squares[index] = self.alpha * self.squares[index] + (1 - self.alpha) * grad * grad
        v = self.velocity[index] = self.momentum * self.velocity[index] + grad / (np.sqrt(s) + self.eps)
        return self.lr * v


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) grad;  v ← β₂ v + (1 - β₂) grad²;  w ← w - lr · m̂ / (sqrt(v̂) + eps)

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) at step t. Kingma and Ba, Adam: a method for stochastic
    optimization (ICLR 2015), algorithm 1.
    """

    def __init__(self, parameters: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr, weight_decay)
        self.betas = _fraction("betas[0]", betas[0]), _fraction("betas[1]", betas[1])
        self.eps = eps
        self.steps = [0] * len(self.parameters)
        self.m = self.zeros()
        self.v = self.zeros()

    def change(self, index: int, grad: Array) -> Array:
        beta1, beta2 = self.betas
        self.steps[index] += 1
        m = self.m[index] = beta1 * self.m[index] + (1 - beta1) * grad
        v = self.v[index] = beta2 * self.v[index] + (1 - beta2) * grad * grad
        m_hat = m / (1 - beta1 ** self.steps[index])
        v_hat = v / (1 - beta2 ** self.steps[index])
        return self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class AdamW(Adam):
    """Adam, and beside it w ← w - lr · decay · w: the decay never passes through m and v.

    Loshchilov and Hutter, Decoupled weight decay regularization (ICLR 2019), algorithm 2.
    """

    def __init__(self, parameters: Parameters, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def gradient(self, parameter: Tensor) -> Array:
        return _grad(parameter)

    def move(self, parameter: Tensor, change: Array) -> None:
        super().move(parameter, change + self.lr * self.weight_decay * parameter._array)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is in [0, 1), not {value!r}")
    return value


def clip_grad_norm(parameters: Parameters, max_norm: float) -> float:
    """Scale all gradients together so that their common 2-norm is at most `max_norm`.

    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (ICML 2013), algorithm 1.

    Returns:
        The norm before clipping, of those that have a gradient: 0 before backward(). Where it isn't finite,
        nothing is scaled.

    Raises:
        ValueError: if max_norm isn't positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is a positive number, not {max_norm!r}")
    tensors = [p for p in _listed(parameters) if p.grad is not None]
    norm = float(np.sqrt(sum(np.square(_grad(p), dtype=float).sum() for p in tensors)))
    if np.isfinite(norm) and norm > max_norm:
        for tensor in tensors:
            tensor.grad = _grad(tensor) * tensor.dtype.type(max_norm / norm)
    return norm


def clip_grad_value(parameters: Parameters, max_value: float) -> None:
    """Clip every element of every gradient to ±max_value. This changes the gradient's direction.

    Raises:
        ValueError: if max_value isn't positive.
    """
    if not max_value > 0:
        raise ValueError(f"max_value is a positive number, not {max_value!r}")
    for parameter in _listed(parameters):
        if parameter.grad is not None:
            parameter.grad = np.clip(parameter.grad, -max_value, max_value)


def _grad(tensor: Tensor) -> Array:
    assert tensor.grad is not None
    return tensor.grad


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
