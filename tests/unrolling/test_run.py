"""What a run offers beside its copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
import viz
from rnn import Cell, Run, t


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


QUESTIONS: dict[str, Callable[[Run], Any]] = {
    "contributions": lambda run: run.contributions("U"), "gradient_norms": lambda run: run.gradient_norms("h"),
    "norms of an input": lambda run: run.gradient_norms("x"), "gradient_map": viz.gradient_map,
    "heat": lambda run: viz.unrolled(run, heat=True), "widths": lambda run: viz.unrolled(run, contributions=True)}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("options", [{}, {"last": 2}, {"chunks": 2}])
def test_a_question_about_gradients_before_backward_is_one_error(question: str, options: Any) -> None:
    cell = elman()
    earlier = cell.unroll(x=np.ones((5, 3)), **options)
    earlier["y"].stack().sum().backward()  # gradients of the parameters, but not this run's
    run = cell.unroll(x=np.ones((5, 3)), **options)
    message = r"^<Run of 'elman': T = 5, batch \(\)> has no gradients yet: call loss\.backward\(\) first$"
    with pytest.raises(ValueError, match=message):
        QUESTIONS[question](run)
    run["y"].stack().sum().backward()
    QUESTIONS[question](run)


def test_windows_have_gradients_of_their_own() -> None:
    cell = elman()
    run = cell.unroll(x=np.ones((5, 3)), window=(1, 3))
    with pytest.raises(ValueError, match=r"call loss\.backward\(\) first"):
        run.contributions("U")
    run["y"].stack().sum().backward()
    assert run.contributions("U").any()


@pytest.mark.parametrize("question", ["contributions", "gradient_norms"])
def test_a_run_that_records_nothing_says_why_there_are_no_gradients(question: str) -> None:
    with mg.no_grad():
        run = elman().unroll(x=np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"has no gradients: it has no parameters .* under no_grad\(\)"):
        QUESTIONS[question](run)


def test_after_backward_a_step_that_was_not_reached_is_nan_and_one_of_zero_is_zero() -> None:
    cell = elman()
    run = cell.unroll(x=np.ones((5, 3)))
    (run["y"][3].sum() + 0.0 * run["y"][4].sum()).backward()
    norms = run.gradient_norms("y")
    assert np.isnan(norms[[0, 1, 4]]).all() and norms[3] == 0 and norms[2] > 0
