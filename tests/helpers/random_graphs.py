"""Random minigrad graphs, and the comparison of all gradients of two graphs of one form."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor


def random_graph(choices: list[tuple[int, int, int]]) -> tuple[list[Tensor], Tensor]:
    """Return a graph of sums, products, powers and tanh over three leaves: (operation, operand, operand) each."""
    leaves = [Tensor(np.array([0.3, -0.7]) * (i + 1), requires_grad=True, name=f"x{i}") for i in range(3)]
    nodes: list[Any] = list(leaves)
    for operation, first, second in choices:
        a, b = nodes[first % len(nodes)], nodes[second % len(nodes)]
        nodes.append([a + b, a * b, mg.tanh(a - b), a ** 2, a.sum() * b][operation])
    return leaves, (nodes[-1] * 1.0).sum()


def assert_same_gradients(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Compare to the last bit the gradients of each pair of tensors, and of all their ancestors."""
    while pairs:
        ours, theirs = pairs.pop()
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            np.testing.assert_array_equal(ours.grad, theirs.grad)
        pairs += zip(ours.inputs, theirs.inputs)
