"""One of each, in under two seconds, as a hook before every commit: forward, backward, unroll, picture.

    python -m pytest tests/test_tiny.py
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
import viz
from rnn import Cell, Run, t


def one_unit() -> Run:
    """h[t] = tanh(w h[t-1] + x[t]) over three steps."""
    w = mg.Tensor(0.5, requires_grad=True, name="w")
    cell = Cell("unit")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = np.tanh(w * h[t-1] + x[t])
    return cell.unroll(x=[1.0, 0.0, 0.0])


def test_one_forward() -> None:
    x = mg.Tensor([1.0, 2.0], name="x")
    assert (x * x + 1).sum().item() == 7.0


def test_one_backward() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    (x * x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2.0, 4.0]


def test_one_unroll() -> None:
    run = one_unit()
    h1 = np.tanh(1.0)
    h2 = np.tanh(0.5 * h1)
    assert [h.item() for h in run["h"]] == pytest.approx([h1, h2, np.tanh(0.5 * h2)])
    run["h"][2].backward()
    assert run.parameters["w"].grad == pytest.approx((1 - h2 ** 2) * h1)


def test_one_picture() -> None:
    run = one_unit()
    source = viz.unrolled(run, loss=run["h"][3] ** 2).source
    assert all(name in source for name in ("h[1]", "h[2]", "h[3]", "t = 3"))
