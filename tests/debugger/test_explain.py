"""explain() says where a gradient comes from, or why there is none."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.debugger.explanation import count_paths, explain
from rnn import Cell, t


def leaf(*values: float) -> Tensor:
    return Tensor(list(values), requires_grad=True, name="w")


def test_a_parameter_of_a_recurrence_by_time_and_every_grad_stays() -> None:
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(3, 2, 3)))
    loss = (run["y"].stack() ** 2).sum()
    text = explain(run.parameters["U"], loss)
    assert re.match(r"U \(4, 4\), made at definitions.py:\d+: \|g\| \S+, by 6 paths from sum\(stack\(.*\n", text)
    assert re.findall(r"t=(\d)  step", text) == ["3", "2", "1"]
    assert all(x.grad is None for x in (*run.parameters.values(), run["h"][3], loss))


def test_a_state_by_the_lag_of_its_uses() -> None:
    run = elman().unroll(x=np.random.default_rng(0).normal(size=(3, 2, 3)))
    text = explain(run["h"][2], (run["y"].stack() ** 2).sum())
    assert re.findall(r"(lag \d)  (.*) \(2, \d\)", text) == [("lag 1", "U @ h[2]"), ("lag 0", "y[2] matvec")]


def test_every_relu_is_off() -> None:
    w = leaf(-1.0, -2.0)
    text = explain(w, mg.relu(w * 2.0).sum())
    assert re.search(r"it becomes exactly zero, in the derivative of relu \(2,\) at test_explain.py:\d+: "
                     "every ReLU is off there", text)


def test_every_relu_is_off_at_a_time_step() -> None:
    W, U = (Tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    cell = Cell("net")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = mg.relu(W @ x[t] + U @ h[t-1])
    run = cell.unroll(x=[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [-9.0, -9.0], [1.0, 1.0], [1.0, 1.0]])
    text = explain(run["h"][2], (run["h"][6] ** 2).sum())
    assert re.findall(r"exactly zero(.*), in the derivative of (.*) \(2,\) at .*: (.*)", text) == [
        (" at t = 4", "relu", "every ReLU is off there")]


def test_a_tensor_that_was_detached() -> None:
    w = leaf(1.0, 2.0)
    text = explain(w, (leaf(3.0, 4.0) * w.detach()).sum())
    assert "was not computed from it" in text
    assert re.search(r"its values are used as a constant by w \* w \(2,\) at test_explain.py:\d+: "
                     r"it was detached at test_explain.py:\d+", text)


def test_a_gradient_becomes_zero_in_a_product_that_passes_one_on_to_its_other_factor() -> None:
    w, zero = leaf(1.0, 2.0), Tensor([0.0, 0.0], requires_grad=True)
    assert re.search(r"exactly zero, in the derivative of mul \(2,\)", explain(w, (w * zero).sum()))


def test_the_state_that_enters_a_window_was_detached_where_it_was_unrolled() -> None:
    run = elman().unroll(x=np.ones((4, 2, 3)), window=(2, 2))
    entering = {x.label: str(x.origin) for x in ancestors(run["h"][4]) if x.origin.detached}
    assert list(entering) == ["h[2]"] and entering["h[2]"].startswith("test_explain.py:")


def test_the_line_of_a_detach_is_named() -> None:
    w = leaf(1.0, 2.0)
    cut = w.detach()
    line = inspect.stack()[0].lineno - 1
    loss = (leaf(3.0, 4.0) * cut).sum()
    assert f": it was detached at test_explain.py:{line}" in explain(w, loss)
    assert re.search(rf"^w \(2,\), made at test_explain.py:{line}: no gradient, because it doesn't require one: "
                     r"it was detached there from w made at test_explain.py:\d+", explain(cut, loss))


def test_a_detached_state_keeps_its_signal_and_time() -> None:
    run = elman().unroll(x=np.ones((3, 2, 3)))
    state = run.state.detach().values["h"][0]
    assert (state.label, state.origin.detached) == ("h[3]", f"h[3] made at {run['h'][3].origin}")
    assert str(state.origin).startswith("test_explain.py:")


def test_values_that_were_taken_by_data() -> None:
    w = leaf(1.0, 2.0)
    text = explain(w, (leaf(3.0, 4.0) * Tensor(w.data)).sum())
    assert re.search(r"as a constant by w \* array\(2,\) \(2,\) at test_explain.py:\d+: "
                     r"taken by .data, at test_explain.py:\d+", text)


def test_a_tensor_that_is_not_used() -> None:
    text = explain(leaf(1.0, 2.0), leaf(3.0).sum())
    assert text.endswith("was not computed from it")


@pytest.mark.parametrize(("tensor", "reason"), [
    (Tensor([1.0], name="c"), "requires_grad=True"),
    (Tensor([1], name="c"), "int64 has none: only floats do"),
])
def test_a_tensor_that_requires_none(tensor: Tensor, reason: str) -> None:
    text = explain(tensor, (leaf(1.0) * tensor).sum())
    assert "no gradient, because it doesn't require one" in text and reason in text


def test_nan() -> None:
    w = leaf(0.0, 4.0)
    with np.errstate(all="ignore"):
        text = explain(w, (mg.sqrt(w) * np.array([0.0, 1.0])).sum())
        forward = explain(w, mg.log(w - 1.0).sum() * 2.0)
    assert re.search(r"a NaN first appears in the contribution of Sqrt.backward to w: .*\(step \d, test_explain.py:\d+",
                     text)
    assert "no NaN" not in forward and "|g|" in forward


def test_an_operation_that_passes_none_on() -> None:
    class Stop(mg.Op):
        def forward(self, x: Any) -> Any:
            return x * 1

        def backward(self, grad: Any, out: Any, x: Any) -> Any:
            return (None,)

    w = leaf(1.0)
    assert "the operations that use it pass none on" in explain(w, mg.apply(Stop(), w).sum())


def test_paths_are_counted_without_walking_each() -> None:
    w = leaf(1.0)
    x = w
    for _ in range(50):
        x = x + x
    assert count_paths(w, x.sum()) == 2 ** 50


def test_the_loss_itself() -> None:
    loss = leaf(1.0).sum()
    assert "its gradient is 1" in explain(loss, loss)
