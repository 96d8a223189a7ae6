"""Padding a batch of unequal sequences, and cutting a long one into pieces."""

from __future__ import annotations

import numpy as np
import pytest

from rnn import sequences


def test_unequal_sequences_become_one_batch_with_time_first() -> None:
    batch, lengths = sequences.pad([np.ones((2, 3)), 2 * np.ones((4, 3))], value=-1.0)
    assert batch.shape == (4, 2, 3)
    assert lengths.tolist() == [2, 4]
    assert batch[:, 0, 0].tolist() == [1, 1, -1, -1]
    assert batch[:, 1, 0].tolist() == [2, 2, 2, 2]


def test_labels_keep_their_type() -> None:
    batch, _ = sequences.pad([[1, 2], [3]])
    assert batch.dtype == np.int64
    assert batch.tolist() == [[1, 3], [2, 0]]


@pytest.mark.parametrize(("given", "message"), [
    ([], "there is no sequence to pad"),
    ([[1.0], []], r"sequence 1 has no time step: its shape is \(0,\)"),
    ([np.ones((2, 3)), np.ones((2, 4))], r"sequence 1 has shape \(2, 4\), sequence 0 \(2, 3\)"),
])
def test_invalid_sequences_are_refused(given: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sequences.pad(given)


def test_streams_are_consecutive_parts_side_by_side() -> None:
    assert sequences.streams(range(11), 3).T.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert sequences.streams(np.zeros((10, 4)), 2).shape == (5, 2, 4)
    with pytest.raises(ValueError, match="a sequence of 2 steps can't be cut into 3 streams"):
        sequences.streams([1, 2], 3)


def test_chunks_follow_one_another_and_the_last_may_be_shorter() -> None:
    assert [chunk.tolist() for chunk in sequences.chunks(range(5), 2)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="a chunk has at least one step, not 0"):
        list(sequences.chunks([1], 0))


def test_the_former_name_is_the_same_function() -> None:
    assert sequences.padded is sequences.pad
