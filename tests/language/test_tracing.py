"""Definitions that are traced from ordinary step functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import rnn
from minigrad import Tensor
from rnn import Cell, t, trace

W = Tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True, name="W")
U = Tensor(np.random.default_rng(1).normal(size=(4, 4)), requires_grad=True, name="U")
V = Tensor(np.random.default_rng(2).normal(size=(2, 4)), requires_grad=True, name="V")


def step(x: Any, h: Any) -> dict[str, Any]:
    h = np.tanh(W @ x + U @ h)
    return {"h": h, "y": V @ h}


def test_a_step_function_becomes_the_definition_that_it_computes() -> None:
    cell = trace(step, inputs={"x": 3}, states={"h": 4}, outputs={"y": 2})
    assert [repr(equation) for equation in cell.equations] == ["h[t] = tanh(W @ x[t] + U @ h[t-1])", "y[t] = V @ h[t]"]
    assert cell.edges() == [("x", "h", 0), ("h", "h", 1), ("h", "y", 0)]
    assert {str(equation.origin).split(":")[0] for equation in cell.equations} == {"test_tracing.py"}
    assert cell.name == "step"


def test_a_traced_definition_equals_a_written_one() -> None:
    data = np.random.default_rng(3).normal(size=(5, 2, 3))
    written = Cell()
    x, h, y = written.input("x", 3), written.signal("h", 4), written.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    y[t] = V @ h[t]
    first, second = (cell.unroll(x=data)["y"].stack() for cell in
                     (written, trace(step, {"x": 3}, {"h": 4}, {"y": 2})))
    np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_states_that_use_each_others_new_values_read_them_at_the_same_step() -> None:
    def lstm_like(x: Any, h: Any, c: Any) -> dict[str, Any]:
        c = mg.sigmoid(h) * c + x
        return {"c": c, "h": np.tanh(c)}

    cell = trace(lstm_like, {"x": 2}, {"h": 2, "c": 2})
    assert ("c", "h", 0) in cell.edges() and ("x", "h", 0) not in cell.edges()


def test_a_step_function_that_does_not_fit_is_named_with_its_line() -> None:
    def wrong(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match=r"wrong \(at test_tracing.py:\d+\) must take the arguments x, h"):
        trace(wrong, {"x": 3}, {"h": 4})
    with pytest.raises(TypeError, match=r"must return a dict from names to values, not Read"):
        trace(wrong, {"x": 3}, {})
    with pytest.raises(ValueError, match=r"must return values for h; it returned some for h, y"):
        trace(step, {"x": 3}, {"h": 4})


def test_an_output_named_like_a_state_is_refused() -> None:
    with pytest.raises(ValueError, match="there are two signals named 'h'"):
        trace(step, {"x": 3}, {"h": 4}, {"h": 4, "y": 2})


def test_the_former_name_is_the_same_function() -> None:
    assert rnn.traced is trace
