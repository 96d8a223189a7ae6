"""What a run offers beside its copies."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, t


def decay() -> tuple[Cell, mg.Tensor]:
    """h[t] = a * h[t-1] + x[t], whose parameter is one number."""
    cell, a = Cell("decay"), mg.Tensor(0.5, requires_grad=True, name="a")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = a * h[t-1] + x[t]
    return cell, a


def test_the_former_name_of_a_windows_loss_steps_warns() -> None:
    window = decay()[0].unroll(x=np.ones(4), window=(2, 3)).windows[1]
    with pytest.warns(DeprecationWarning, match=r"owed is called Window\.loss_steps now"):
        assert window.owed == window.loss_steps == range(3, 5)


def test_a_parameter_that_is_one_number_has_one_contribution_for_each_step() -> None:
    cell, _ = decay()
    run = cell.unroll(x=[1.0, 0.0, 0.0])  # h = 1, a, a ** 2
    run["h"][3].backward()
    np.testing.assert_allclose(run.contributions("a"), [0.0, 0.5, 0.5])
