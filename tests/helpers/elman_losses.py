"""Losses of Elman networks, short and long, and of an LSTM, for the tests of the stepper page."""

from __future__ import annotations

from typing import Any

import numpy as np
from definitions import elman

import minigrad as mg
from rnn import Cell, Run, cells, t


def run_of(T: int = 4, batch: int = 4, **options: Any) -> Run:
    return elman().unroll(x=np.random.default_rng(0).normal(size=(T, batch, 3)), **options)


def loss_of(run: Run) -> mg.Tensor:
    loss: mg.Tensor = mg.losses.mse(run["y"].stack(), np.zeros((run.T, *run.batch, 2)))
    return loss


def long_loss(T: int) -> mg.Tensor:
    """Return the loss of the Elman network by which pages are measured: H = 32, batch 4."""
    rng = np.random.default_rng(0)
    W, U = mg.init.glorot((32, 3), rng, name="W"), mg.init.orthogonal((32, 32), rng, name="U")
    b, V = mg.Tensor(np.zeros(32), requires_grad=True, name="b"), mg.init.glorot((2, 32), rng, name="V")
    cell = Cell("elman")
    x, h, y = cell.input("x", 3), cell.signal("h", 32), cell.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    loss: mg.Tensor = mg.losses.mse(cell.unroll(x=rng.normal(size=(T, 4, 3)))["y"].stack(), np.zeros((T, 4, 2)))
    return loss


def lstm_loss(T: int = 4) -> mg.Tensor:
    """Return a loss with eight parameters and six signals, whose names have a prefix."""
    rng = np.random.default_rng(0)
    cell = Cell("lstm")
    cells.lstm(cell, cell.input("x", 3), 5, name="memory", rng=rng)
    loss: mg.Tensor = (cell.unroll(x=rng.normal(size=(T, 4, 3)))["memory.h"].stack() ** 2).mean()
    return loss
