"""Signals of any shape in compiled programs: values and gradients of each formula as the unrolled graph has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t

sys.path.insert(0, str(Path(__file__).parents[1] / "language"))
import test_shapes as shapes


def network(number: int) -> Cell:
    """Return a definition with a formula of states of different shapes, and the sum of its squares as a loss."""
    cell, states = Cell("formula"), []
    for name, values in shapes.DATA.items():
        x, h = cell.input(name, values.shape[2:]), cell.signal(f"h{name}", values.shape[2:])
        p = mg.Tensor(np.random.default_rng(1).normal(size=values.shape[2:]), requires_grad=True, name=f"p{name}")
        h[t] = np.tanh(x[t] * p + 0.5 * h[t-1])
        states.append(h)
    y, L = cell.signal("y"), cell.signal("L", ())
    formula = shapes.FORMULAS[number](*(h[t] for h in states))
    y[t] = formula
    L[t] = (y[t] ** 2).sum() if np.ndim(formula) else y[t] ** 2
    return cell


def with_learned_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("W", "W3"):
        monkeypatch.setattr(shapes, name, mg.Tensor(np.asarray(getattr(shapes, name)), requires_grad=True, name=name))


@pytest.mark.parametrize("learned", [False, True], ids=["constants", "learned"])
@pytest.mark.parametrize("number", range(len(shapes.FORMULAS)))
def test_each_formula(number: int, learned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if learned:
        with_learned_tensors(monkeypatch)
    cell = network(number)
    run = cell.unroll(**shapes.DATA)
    own: dict[str, Any] = dict(cell.parameters)
    expected = dict(zip(own, gradients(run, own)))
    result = cell.compile(loss="L")(**shapes.DATA)
    np.testing.assert_allclose(result.outputs["y"], run["y"].stack().data, atol=1e-12)
    for name, p in own.items():
        found = np.zeros(p.shape) if p.grad is None else p.grad
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def gradients(run: Any, parameters: dict[str, Any]) -> list[Any]:
    """Return the gradients of the sum of all losses; zero for a parameter that the loss doesn't depend on."""
    run["L"].stack().sum().backward()
    found = [np.zeros(p.shape) if p.grad is None else p.grad for p in parameters.values()]
    for p in parameters.values():
        p.grad = None
    return found
