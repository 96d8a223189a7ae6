"""Batches of sequences: pad unequal ones, cut a long one into streams or chunks.

Plain arrays in, plain arrays out, with time along the first axis. Independent of definitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.interactive.completion import public_names


def pad(sequences: Sequence[ArrayLike], value: float = 0.0) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Pad sequences of unequal length to one batch.

    Args:
        sequences: arrays (T_i, ...), equal in all axes but the first.
        value: fills the steps after the end of the shorter ones.

    Returns:
        An array (T, batch, ...), T being the largest T_i, and the lengths T_i: for
        `unroll(x=..., lengths=...)`.

    Raises:
        ValueError: if there is no sequence, one is empty, or their other axes differ.
    """
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise ValueError("there is no sequence to pad")
    for number, array in enumerate(arrays):
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"sequence {number} has no time step: its shape is {array.shape}")
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(f"sequence {number} has shape {array.shape}, sequence 0 {arrays[0].shape}: "
                             "they may differ in the first axis only")
    lengths = np.array([len(array) for array in arrays])
    batch = np.full((lengths.max(), len(arrays), *arrays[0].shape[1:]), value, np.result_type(*arrays))
    for number, array in enumerate(arrays):
        batch[:len(array), number] = array
    return batch, lengths


padded = pad  # the former name


def streams(sequence: ArrayLike, batch: int) -> NDArray[Any]:
    """Cut a long sequence into `batch` consecutive ones, side by side: (N, ...) -> (N // batch, batch, ...).

    The remaining N % batch steps at the end are left out.

    Raises:
        ValueError: if the sequence has fewer than `batch` steps.
    """
    array = np.asarray(sequence)
    length = len(array) // batch if batch > 0 else 0
    if length == 0:
        raise ValueError(f"a sequence of {len(array)} steps can't be cut into {batch} streams")
    return np.swapaxes(array[:length * batch].reshape(batch, length, *array.shape[1:]), 0, 1)


def chunks(data: ArrayLike, length: int) -> Iterator[NDArray[Any]]:
    """Yield consecutive pieces of `length` steps; the last one may be shorter.

    Raises:
        ValueError: if length isn't positive.
    """
    if length < 1:
        raise ValueError(f"a chunk has at least one step, not {length}")
    array = np.asarray(data)
    for start in range(0, len(array), length):
        yield array[start:start + length]


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
