"""Targets and masks of the losses: lists, tuples and arrays mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, losses

X = np.array([[0.2, 0.7, 0.4], [0.9, 0.1, 0.6]])
TARGETS = {"mse": X[::-1], "mae": X[::-1], "huber": 4 * X[::-1], "cross_entropy": np.array([2, 0]),
           "binary_cross_entropy": np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])}


def as_lists(x: Any) -> Any:
    return x.tolist()


def as_tuples(x: Any) -> Any:
    return tuple(map(as_tuples, x)) if np.ndim(x) else x.item()


@pytest.mark.parametrize("form", [as_lists, as_tuples])
@pytest.mark.parametrize("mask", [None, np.array([True, False]), np.array([False, True])], ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_and_a_mask_may_be_lists_or_tuples(name: str, mask: Any, form: Any) -> None:
    answers = []
    for written in (lambda x: x, form):
        x = Tensor(X, requires_grad=True)
        loss = getattr(losses, name)(x, written(TARGETS[name]), mask=None if mask is None else written(mask))
        loss.backward()
        answers.append((loss.item(), x.grad.tolist()))
    assert answers[0] == answers[1]
    if mask is not None:  # the row that doesn't count has no gradient, the other one has that of a loss of one row
        row = int(np.flatnonzero(mask)[0])
        x = Tensor(X[row:row + 1], requires_grad=True)
        alone = getattr(losses, name)(x, TARGETS[name][row:row + 1])
        alone.backward()
        assert answers[0][0] == pytest.approx(alone.item(), rel=1e-12)
        np.testing.assert_allclose(answers[0][1][row], x.grad[0], rtol=1e-12)
        assert answers[0][1][1 - row] == [0, 0, 0]
