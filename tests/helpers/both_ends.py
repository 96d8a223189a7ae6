"""A family of definitions that read a signal beyond both ends, and the same in loops over numbers.

    s[t+lead] = tanh(W x[t] + 0.5 s[t+lead-sign])       sign 1: forward in time, -1: backward
    L[t] = (sum of (i + 1) s[t+offset_i])², summed over two elements
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from rnn import Cell, T, t
from rnn.language.dependencies import boundaries

STEPS = 4
X = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
W = np.array([0.5, 0.3])
KINDS = ("zero", "constant", "learned")


class Case(NamedTuple):
    """One definition; `before` and `after` are kinds of boundary values, `option`: they come by initial=."""

    sign: int
    lead: int
    offsets: tuple[int, ...]
    before: str
    after: str
    option: bool


def cases() -> list[Case]:
    """Return every combination."""
    reads = [(-1,), (1,), (1, -1), (2, 0, -2), (3, 1)]
    return [Case(*parts) for parts in itertools.product((1, -1), (0, 1, -1), reads, KINDS, KINDS, (False, True))]


class Built(NamedTuple):
    """A definition with its options and tensors, and the values around the sequence: step -> array."""

    cell: Cell
    options: dict[str, Any]
    tensors: dict[str, mg.Tensor]
    outside: dict[int, NDArray[Any]]


def build(case: Case) -> Built:
    """Return the definition of a case."""
    weight = mg.Tensor(W, requires_grad=True, name="W")
    cell = Cell("both ends")
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t + case.lead] = np.tanh(weight * x[t] + 0.5 * s[t + (case.lead - case.sign)])
    total = sum(((i + 1) * s[t + offset] for i, offset in enumerate(case.offsets[1:], 1)), 1 * s[t + case.offsets[0]])
    L[t] = total @ total
    tensors, outside, given = {"W": weight}, {}, {}
    ends = boundaries(cell)["s"]
    for kind, steps in ((case.before, [*ends.before]), (case.after, [STEPS + k for k in ends.after])):
        for k in steps if kind != "zero" else []:
            outside[k] = np.random.default_rng(k + 20).normal(size=2)
            given[k] = outside[k]
            if kind == "learned":
                given[k] = tensors[f"s{k}"] = mg.Tensor(outside[k], requires_grad=True, name=f"s{k}")
    for k, value in given.items() if not case.option else ():
        s[k if k <= case.lead else T + (k - STEPS)] = value
    return Built(cell, {"initial": {"s": given}} if case.option and given else {}, tensors, outside)


def naive_loss(case: Case, weight: NDArray[Any], outside: Mapping[int, NDArray[Any]]) -> float:
    """Return the sum of all losses, computed by loops."""
    s = {k: np.zeros((3, 2)) for k in range(-STEPS, 3 * STEPS)}
    s.update({k: np.zeros((3, 2)) + value for k, value in outside.items()})
    for step in range(1, STEPS + 1) if case.sign > 0 else range(STEPS, 0, -1):
        k = step + case.lead
        s[k] = np.tanh(weight * X[step - 1] + 0.5 * s[k - case.sign])
    losses = [sum((i + 1) * s[step + offset] for i, offset in enumerate(case.offsets)) ** 2
              for step in range(1, STEPS + 1)]
    return float(np.sum(losses))


def central_differences(case: Case, outside: Mapping[int, NDArray[Any]], names: Iterable[str], h: float = 1e-6
                        ) -> dict[str, NDArray[Any]]:
    """Return the gradients of naive_loss by W and by the learned values."""
    def loss_at(name: str, place: int, change: float) -> float:
        weight, values = W.copy(), {k: value.copy() for k, value in outside.items()}
        (weight if name == "W" else values[int(name[1:])])[place] += change
        return naive_loss(case, weight, values)

    return {name: np.array([(loss_at(name, i, h) - loss_at(name, i, -h)) / (2 * h) for i in range(2)])
            for name in names}


def assert_right(case: Case, run: Callable[[Built], tuple[float, dict[str, Any]]]) -> None:
    """Check the loss and the gradients that `run` computes of a case."""
    built = build(case)
    loss, gradients = run(built)
    np.testing.assert_allclose(loss, naive_loss(case, W, built.outside), rtol=1e-10)
    for name, wanted in central_differences(case, built.outside, built.tensors).items():
        found = gradients[name]
        np.testing.assert_allclose(np.zeros(2) if found is None else found, wanted, rtol=1e-5, atol=1e-7, err_msg=name)
