"""FORMULAS of a number, a matrix, a vector and an array of three axes, with the same meaning in equations and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t

RNG = np.random.default_rng(3)
S, M, V, A = (RNG.normal(size=(2, 3, *shape)) for shape in [(), (3, 4), (4,), (2, 3, 4)])
DATA = {"s": S, "m": M, "v": V, "a": A}  # two steps, a batch of three: a number, a matrix, a vector, three axes
W, W3 = RNG.normal(size=(4, 4)), RNG.normal(size=(2, 4, 5))

FORMULAS: list[Callable[[Any, Any, Any, Any], Any]] = [
    # products of every pair of ranks
    lambda s, m, v, a: m @ v, lambda s, m, v, a: v @ m.T, lambda s, m, v, a: m @ m.T, lambda s, m, v, a: m @ W,
    lambda s, m, v, a: W @ v, lambda s, m, v, a: v @ W, lambda s, m, v, a: W[:3, :3] @ m, lambda s, m, v, a: v @ v,
    lambda s, m, v, a: a @ v, lambda s, m, v, a: a @ W, lambda s, m, v, a: a @ m.T, lambda s, m, v, a: m @ W3,
    lambda s, m, v, a: v @ W3, lambda s, m, v, a: a @ W3, lambda s, m, v, a: m[0] @ W3, lambda s, m, v, a: W3.mT @ v
    if hasattr(W3, "mT") else np.swapaxes(W3, 1, 2) @ v, lambda s, m, v, a: m[:, 0] @ m,
    lambda s, m, v, a: np.outer(m[0], v), lambda s, m, v, a: np.outer(np.arange(3.0), v),
    lambda s, m, v, a: np.einsum("ij,kij->kj", m, a), lambda s, m, v, a: np.einsum("ij,j", m, v),
    lambda s, m, v, a: np.einsum("...j,jk->...k", a, W), lambda s, m, v, a: np.einsum("ii->i", m[:, :3]),
    # broadcasting
    lambda s, m, v, a: m + v, lambda s, m, v, a: m * s, lambda s, m, v, a: v - s, lambda s, m, v, a: a / (1 + m * m),
    lambda s, m, v, a: m[:, :1] * v, lambda s, m, v, a: np.maximum(m, np.ones(4)),
    lambda s, m, v, a: m + np.ones((3, 1)),
    lambda s, m, v, a: np.ones((2, 1, 1)) * m, lambda s, m, v, a: v[:, None] + v, lambda s, m, v, a: v[None] * m,
    lambda s, m, v, a: np.where(np.arange(4) > 1, m, v), lambda s, m, v, a: np.broadcast_to(v, (3, 4)) * m,
    lambda s, m, v, a: np.broadcast_to(s, (2,)),
    # reductions
    lambda s, m, v, a: m.sum(), lambda s, m, v, a: m.sum(axis=0), lambda s, m, v, a: m.mean(axis=1, keepdims=True) * m,
    lambda s, m, v, a: m.mean(axis=-1), lambda s, m, v, a: a.mean(axis=2) * 2, lambda s, m, v, a: a.mean(axis=(0, 1)),
    lambda s, m, v, a: a.sum(axis=-1), lambda s, m, v, a: a.max(axis=(0, 2)), lambda s, m, v, a: a.min(axis=-1),
    lambda s, m, v, a: m.std(),
    lambda s, m, v, a: np.linalg.norm(m), lambda s, m, v, a: np.prod(m, axis=0), lambda s, m, v, a: s.sum() + s.max(),
    lambda s, m, v, a: mg.logsumexp(m, axis=0), lambda s, m, v, a: mg.log_softmax(a, axis=1),
    lambda s, m, v, a: mg.softmax(m), lambda s, m, v, a: np.cumsum(m, axis=0), lambda s, m, v, a: np.cumsum(m),
    # indices
    lambda s, m, v, a: m[1], lambda s, m, v, a: m[:, 1], lambda s, m, v, a: m[..., -1], lambda s, m, v, a: m[1, 2],
    lambda s, m, v, a: a[0, :, 1:3], lambda s, m, v, a: m[None], lambda s, m, v, a: m[:, None, ::2],
    lambda s, m, v, a: m[[2, 0, 2]], lambda s, m, v, a: a[:, [0, 1], [2, 3]], lambda s, m, v, a: a[1, [0, 2]],
    lambda s, m, v, a: m[np.arange(12).reshape(3, 4) % 2 == 0], lambda s, m, v, a: a[..., None],
    lambda s, m, v, a: s[None], lambda s, m, v, a: np.take(m, [1, 0], axis=1), lambda s, m, v, a: np.roll(m, 1, axis=0),
    # shapes
    lambda s, m, v, a: m.T, lambda s, m, v, a: v.T, lambda s, m, v, a: a.T,
    lambda s, m, v, a: np.transpose(a, (2, 0, 1)),
    lambda s, m, v, a: np.swapaxes(a, 0, 2), lambda s, m, v, a: np.moveaxis(a, 0, -1),
    lambda s, m, v, a: m.reshape(2, 6), lambda s, m, v, a: a.reshape(-1, 4), lambda s, m, v, a: m.ravel(),
    lambda s, m, v, a: np.stack([m, 2 * m]), lambda s, m, v, a: np.stack([v, v], axis=1),
    lambda s, m, v, a: np.stack([s, 2 * s]), lambda s, m, v, a: np.stack([s, 0.5, v[0]]),
    lambda s, m, v, a: np.concatenate([v, np.full(2, 0.5)]), lambda s, m, v, a: np.concatenate([m, m]),
    lambda s, m, v, a: np.concatenate([m, np.ones((3, 2))], axis=1), lambda s, m, v, a: np.concatenate([m, v[None]]),
    lambda s, m, v, a: np.vstack([m, v]), lambda s, m, v, a: np.hstack([v, m[0]]), lambda s, m, v, a: np.flip(m),
    lambda s, m, v, a: np.flip(a, axis=1), lambda s, m, v, a: np.pad(m, 1), lambda s, m, v, a: np.tile(v, 2),
    lambda s, m, v, a: np.repeat(m, 2, axis=0), lambda s, m, v, a: np.squeeze(m[:1]), lambda s, m, v, a: m[:, :, None],
    lambda s, m, v, a: np.convolve(v, [0.5, 2.0, -1.0], "same"), lambda s, m, v, a: np.convolve(m[0, :2], v),
    lambda s, m, v, a: np.correlate(v, m[1, :3]), lambda s, m, v, a: np.convolve(np.ones(3), v, "valid"),
    lambda s, m, v, a: np.expand_dims(m, 0), lambda s, m, v, a: np.split(m, 2, axis=1)[1],
    # truth values, counts and arrays of a shape
    lambda s, m, v, a: np.any(m > 1, axis=1) * m[:, 0], lambda s, m, v, a: np.any(a > 1.5, (0, 2), keepdims=True) * a,
    lambda s, m, v, a: np.all(v > -1) * v, lambda s, m, v, a: v * (m > 0).all(axis=0),
    lambda s, m, v, a: np.count_nonzero(m > 0, axis=0) * v, lambda s, m, v, a: np.count_nonzero(v) * m,
    lambda s, m, v, a: np.zeros_like(m) + v, lambda s, m, v, a: np.ones_like(s) * v,
    lambda s, m, v, a: np.full_like(v, 2.5) * m, lambda s, m, v, a: np.isclose(m, v, rtol=0.5) * m,
    lambda s, m, v, a: np.isclose(0.5, m, atol=0.4) * v, lambda s, m, v, a: np.allclose(v, 0, atol=1.5) * v,
    lambda s, m, v, a: np.select([m > 1, m > v], [v, 2 * m], -v), lambda s, m, v, a: np.select([v > 0], [m]),
    lambda s, m, v, a: (m > 0).astype(float) @ v, lambda s, m, v, a: (v > 0).astype(int) * v / 2,
    lambda s, m, v, a: (v > 0).astype(bool) * m, lambda s, m, v, a: np.isposinf(v / 0.1) + v * ~np.isneginf(v),
]


def network(number: int) -> Cell:
    """Return a definition with a formula of states of different shapes, and the sum of its squares as a loss."""
    cell, states = Cell("formula"), []
    for name, values in DATA.items():
        x, h = cell.input(name, values.shape[2:]), cell.signal(f"h{name}", values.shape[2:])
        p = mg.Tensor(np.random.default_rng(1).normal(size=values.shape[2:]), requires_grad=True, name=f"p{name}")
        h[t] = np.tanh(x[t] * p + 0.5 * h[t-1])
        states.append(h)
    y, L = cell.signal("y"), cell.signal("L", ())
    formula = FORMULAS[number](*(h[t] for h in states))
    y[t] = formula
    L[t] = (y[t] ** 2).sum() if np.ndim(formula) else y[t] ** 2
    return cell


def with_learned_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the matrices of the formulas parameters."""
    for name in ("W", "W3"):
        monkeypatch.setitem(globals(), name, mg.Tensor(np.asarray(globals()[name]), requires_grad=True, name=name))
