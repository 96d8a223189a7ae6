"""Initial values of parameters. Every one takes an explicit numpy.random.Generator.

Arguments of all of them:

    shape            of the parameter; (out, in) of a matrix that multiplies vectors from the left, W @ x;
    rng              draws the values: numpy.random.default_rng(0);
    name, dtype      of the Tensor that is returned, which requires a gradient.

Errors of all of them: TypeError if rng is no generator; ValueError, of those that need a matrix, for another shape.

In a weight matrix of shape (out, in), as in W @ x, fan_in is the last axis and fan_out the first.
Glorot's formula is symmetric, so it also serves x @ W.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from .interactive.completion import public_names
from .tensor import Tensor

Shape = tuple[int, ...]


def zeros(shape: Shape, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Return a parameter of zeros."""
    return Tensor(np.zeros(shape, dtype), requires_grad=True, name=name)


def constant(shape: Shape, value: float, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Return a parameter whose elements all have one value."""
    return Tensor(np.full(shape, value, dtype), requires_grad=True, name=name)


def normal(shape: Shape, rng: np.random.Generator, std: float = 1.0, name: str | None = None,
           dtype: DTypeLike = float) -> Tensor:
    """Return a parameter drawn from the normal distribution with mean 0 and standard deviation `std`."""
    return Tensor(_generator(rng).normal(0.0, std, shape), requires_grad=True, name=name, dtype=dtype)


def uniform(shape: Shape, rng: np.random.Generator, bound: float = 1.0, name: str | None = None,
            dtype: DTypeLike = float) -> Tensor:
    """Return a parameter drawn evenly from (-bound, bound)."""
    return Tensor(_generator(rng).uniform(-bound, bound, shape), requires_grad=True, name=name, dtype=dtype)


def glorot(shape: Shape, rng: np.random.Generator, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Draw from the uniform distribution in ±sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (AISTATS 2010), eq. 16.
    """
    return uniform(shape, rng, math.sqrt(6 / sum(_matrix(shape))), name, dtype)


def glorot_normal(shape: Shape, rng: np.random.Generator, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Draw from the normal distribution with standard deviation sqrt(2 / (fan_in + fan_out)), as wide as `glorot`."""
    return normal(shape, rng, math.sqrt(2 / sum(_matrix(shape))), name, dtype)


def he(shape: Shape, rng: np.random.Generator, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Draw from the normal distribution with standard deviation sqrt(2 / fan_in), for relu.

    He, Zhang, Ren and Sun, Delving deep into rectifiers (ICCV 2015), eq. 10.
    """
    return normal(shape, rng, math.sqrt(2 / _matrix(shape)[1]), name, dtype)


def he_uniform(shape: Shape, rng: np.random.Generator, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Draw from the uniform distribution in ±sqrt(6 / fan_in), with the variance of `he`."""
    return uniform(shape, rng, math.sqrt(6 / _matrix(shape)[1]), name, dtype)


def lecun(shape: Shape, rng: np.random.Generator, name: str | None = None, dtype: DTypeLike = float) -> Tensor:
    """Draw from the normal distribution with standard deviation sqrt(1 / fan_in).

    LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), eq. 16.
    """
    return normal(shape, rng, math.sqrt(1 / _matrix(shape)[1]), name, dtype)


def orthogonal(shape: Shape, rng: np.random.Generator, gain: float = 1.0, name: str | None = None,
               dtype: DTypeLike = float) -> Tensor:
    """Return `gain` times a matrix with orthonormal rows or columns, whichever are fewer.

    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks
    (ICLR 2014). The QR decomposition is made unique, so that the result is evenly distributed, as in Mezzadri, How to
    generate random matrices from the classical compact groups (Notices of the AMS 54, 2007), section 5.
    """
    rows, columns = _matrix(shape)
    tall = _generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return Tensor(gain * (q if rows >= columns else q.T), requires_grad=True, name=name, dtype=dtype)


def _generator(rng: np.random.Generator) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is a numpy.random.Generator, e.g. np.random.default_rng(0), not {rng!r}")
    return rng


def _matrix(shape: Shape) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"this initial value is for a matrix (out, in), not for shape {shape}")
    if min(shape) < 1:
        raise ValueError(f"a matrix of shape {shape} has no elements to draw")
    return shape[0], shape[1]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
