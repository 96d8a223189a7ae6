"""Parts of the loops by which the cells of the library are checked: one sequence at a time, without the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn import Cell

Parameters = dict[str, Any]
Loop = Callable[[Parameters, Any], Iterator[Any]]


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def softplus(a: Any) -> Any:
    return np.log(1 + np.exp(a))


def values(cell: Cell) -> Parameters:
    """Return the values of the parameters of the layer "a", by their names in it."""
    return {name.removeprefix("a."): p.data for name, p in cell.parameters.items()}


def by_hand(loop: Loop, p: Parameters, x: Any) -> Any:
    """Return the outputs of every sequence of the batch, computed on its own."""
    return np.stack([np.array(list(loop(p, x[:, n]))) for n in range(x.shape[1])], axis=1)
