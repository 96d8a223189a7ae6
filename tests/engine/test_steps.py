"""A backward pass, step by step: the same as backward(), with all intermediate values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from definitions import elman, feedback
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import assert_same_gradients, random_graph

import minigrad as mg
from minigrad import Tensor


def leaf(value: float, name: str) -> Tensor:
    return Tensor(value, requires_grad=True, name=name)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=150)
def test_after_the_last_step_every_gradient_is_that_of_backward(choices: list[tuple[int, int, int]]) -> None:
    with np.errstate(all="ignore"):
        leaves, out = random_graph(choices)
        twins, twin = random_graph(choices)
        out.backward()
        for step in twin.backward_steps():
            step.run()
    assert_same_gradients([(out, twin), *zip(leaves, twins)])


def test_the_steps_of_a_recurrence_know_their_signal_time_and_line() -> None:
    run = elman().unroll(x=np.zeros((3, 2, 3)))
    steps = (run["y"].stack() ** 2).sum().backward_steps()
    for step in steps:
        step.run()
    states = [step for step in steps if step.name == "h"]
    assert [(step.t, step.signal, type(step.op).__name__) for step in states] == [
        (3, "h", "Tanh"), (2, "h", "Tanh"), (1, "h", "Tanh")]
    assert str(states[0].origin).startswith("definitions.py:")


def test_a_step_shows_its_upstream_gradient_contributions_and_running_totals() -> None:
    x = leaf(3.0, "x")
    y = x * x  # one tensor as both inputs
    steps = (y + x).backward_steps()
    first, second = steps
    first.run()
    assert (first.grad, first.input_grads, x.grad) == (1.0, [1.0, 1.0], 1.0)
    assert first.shares is first.input_grads  # the former name
    second.run()
    assert second.input_grads == [3.0, 3.0]
    assert second.totals == [7.0, 7.0]
    assert x.grad == 7.0


def test_the_contributions_of_a_step_do_not_change_later() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    steps = (x * 2.0 + x * 3.0).sum().backward_steps()
    for step in steps:
        step.run()
    added = [step.input_grads[0].tolist() for step in steps if type(step.op).__name__ == "Mul"]  # type: ignore[union-attr]
    assert sorted(added) == [[2.0, 2.0], [3.0, 3.0]]


def test_a_leaf_has_no_steps_and_its_gradient_at_once() -> None:
    x = leaf(2.0, "x")
    assert len(x.backward_steps()) == 0
    assert x.grad == 1.0


def test_gradients_of_leaves_add_to_what_they_hold() -> None:
    x = leaf(2.0, "x")
    (x * 5.0).backward()
    for step in (x * 3.0).backward_steps():
        step.run()
    assert x.grad == 8.0


def test_a_step_fits_a_line_and_says_where_it_stands() -> None:
    run = elman().unroll(x=np.zeros((3, 2, 3)))
    steps = run["h"][3].backward_steps(np.ones((2, 4)))
    steps[0].run()
    assert re.fullmatch(r"step 1 of \d+ \(done\): <h\[3\] tanh \(2, 4\) \|g\|=\S+  definitions.py:\d+>", repr(steps[0]))
    assert re.fullmatch(r"step 2 of \d+ \(next\): <W @ x\[3\] \+ U @ h\[2\] \+ b \(2, 4\)  definitions.py:\d+>",
                        repr(steps[1]))
    assert "(waiting)" in repr(steps[2])
    assert re.match(r"<\d+ steps back from <h\[3\] tanh.*>, 1 done>", repr(steps))


def test_steps_run_in_order_and_once() -> None:
    x = leaf(2.0, "x")
    steps = mg.tanh(x * 3.0).backward_steps()
    with pytest.raises(RuntimeError, match=r"step 2 of 2 \(waiting\).*run step 1 of 2 \(next\)"):
        steps[1].run()
    steps[0].run()
    with pytest.raises(RuntimeError, match="has run already"):
        steps[0].run()


def test_a_tensor_that_no_gradient_reaches_is_a_step_without_one() -> None:
    class Stop(mg.Op):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

        def backward(self, grad: Any, out: Any, a: Any, b: Any) -> Any:
            return grad, None

    x = leaf(2.0, "x")
    inner = x * 4.0
    steps = mg.apply(Stop(), x * 1.0, inner).backward_steps()
    for step in steps:
        step.run()
    assert inner.grad is None and x.grad == 1.0
    assert next(step for step in steps if step.node is inner).grad is None


def test_hooks_see_the_same_as_in_backward() -> None:
    seen: list[float] = []

    def look(grad: Any) -> Any:
        seen.append(float(grad))
        return grad * 2

    x = leaf(2.0, "x")
    y = x * 3.0
    y.register_hook(look)
    x.register_hook(look)
    for step in (y * y).backward_steps():
        step.run()
    assert seen == [12.0, 72.0]
    assert x.grad == 144.0


def test_it_starts_as_backward_does() -> None:
    with pytest.raises(ValueError, match="backward\\(\\) starts from a single number"):
        Tensor([1.0, 2.0], requires_grad=True).backward_steps()


def test_the_feedback_network_step_by_step() -> None:
    cell = feedback(2)
    data = np.random.default_rng(0).normal(size=(4, 2, *(cell.signals["x"].shape or ())))

    def gradients(step_by_step: bool) -> dict[str, Any]:
        for parameter in cell.parameters.values():
            parameter.grad = None
        loss = mg.square(cell.unroll(x=data)["y"].stack()).mean()
        if step_by_step:
            for step in loss.backward_steps():
                step.run()
        else:
            loss.backward()
        return {name: parameter.grad for name, parameter in cell.parameters.items()}

    plain, stepped = gradients(False), gradients(True)
    for name in plain:
        np.testing.assert_array_equal(plain[name], stepped[name])
