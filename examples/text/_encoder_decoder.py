"""Encoders whose states a decoder reads by attention: their gradients and training, for several examples.

The encoder's states are a static of the decoder, (batch, S, D). Compiled programs have arrays and no graph, so the
chain rule is applied by hand where they are joined: the decoder's program puts the gradient of the static into its
`.grad`, and the encoder's backward pass starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from examples import common
from rnn import Cell
from rnn.compiler.api import Compiled

STATES = "h.h"  # the signal of the encoder that is read


class Batch(NamedTuple):
    """Inputs of the encoder, and those of the decoder but for its static `states`."""

    source: Mapping[str, Any]
    target: Mapping[str, Any]


def train(encoder: Cell, decoder: Cell, batch: Callable[[], Batch], updates: int, *, rate: float,
          what: str) -> list[float]:
    """Train both by the mean of the decoder's signal L, and return the loss of every update."""
    encode, decode = encoder.compile(), decoder.compile(loss="L", reduction="mean")
    parameters = {**prefixed(encoder), **prefixed(decoder)}
    return common.descend(parameters, lambda: update(encode, decode, batch()), updates, rate=rate, what=what)


def update(encode: Compiled, decode: Compiled, batch: Batch) -> float:
    """Add the gradients of both to their parameters' `.grad`, and return the loss."""
    states = mg.Tensor(rows(encode(**batch.source)[STATES]), requires_grad=True, name="states")
    loss: float = decode(**batch.target, states=states).loss
    encode.backward(**{STATES: rows(states.grad)})
    return loss


def encoded(encoder: Cell, source: Mapping[str, Any]) -> NDArray[Any]:
    """Return the static of the decoder, without gradients."""
    with mg.no_grad():
        return rows(encoder.compile()(**source)[STATES])


def rows(values: Any) -> NDArray[Any]:
    """Return an array with its first two axes exchanged: (T, batch, D) <-> (batch, T, D)."""
    return np.ascontiguousarray(np.swapaxes(values, 0, 1))


def prefixed(cell: Cell) -> dict[str, mg.Tensor]:
    """Return the parameters of a definition, with its name before theirs."""
    return {f"{cell.name}.{name}": p for name, p in cell.parameters.items()}
