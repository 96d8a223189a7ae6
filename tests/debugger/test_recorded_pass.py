"""What a recorded pass keeps: its records and sums don't depend on the arrays in `.grad`, and take little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import elman

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.debugger.timeline import Timeline
from minigrad.steps import Step, Steps


def loss_of_a_network() -> Tensor:
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    return mg.losses.mse(elman().unroll(x=x)["y"].stack(), np.ones((5, 2, 2)))  # type: ignore[no-any-return]


def operations_that_share_arrays() -> Tensor:
    """Return a loss whose derivatives pass on their upstream gradient itself, and views of it."""
    x = Tensor(np.arange(6.0), requires_grad=True, name="x")
    y = x.reshape(2, 3) + x.reshape(2, 3)
    return ((y + y.T.T) * y + x.reshape(2, 3)).sum()  # type: ignore[no-any-return]


def a_tensor_on_both_sides() -> Tensor:
    x = Tensor(3.0, requires_grad=True, name="x")
    return (x * x + x) * x  # type: ignore[no-any-return]


LOSSES = {"network": loss_of_a_network, "shared": operations_that_share_arrays, "numbers": a_tensor_on_both_sides}


def numbers(steps: Steps) -> list[Any]:
    """Return a copy of everything that the steps recorded."""
    def copies(arrays: list[Any]) -> list[Any]:
        return [None if array is None else array.tolist() for array in arrays]

    return [copies([step.grad, *step.input_grads, *step.totals]) for step in steps]


def spoil(tensors: list[Tensor]) -> None:
    for x in tensors:
        if x.grad is not None:
            x.grad[...] = np.nan


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("earlier", [False, True], ids=["first", "added"])
def test_grad_may_be_modified_in_place_between_two_steps(make: Callable[[], Tensor], earlier: bool) -> None:
    loss, twin = make(), make()
    if earlier:
        loss.backward()
        twin.backward()
    loss.backward()
    steps, undisturbed = twin.backward_steps(), loss.backward_steps()
    held = {x: x.grad for x in steps.tensors if x.op is None}  # the gradients of the leaves before the pass
    for step in steps:
        step.run()
        spoil([x for x in steps.tensors if x.grad is not held.get(x)])
    for step in undisturbed:
        step.run()
    assert numbers(steps) == numbers(undisturbed)


@pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
def test_a_timeline_restores_gradients_that_were_modified_in_place(make: Callable[[], Tensor]) -> None:
    loss = make()
    loss.backward()
    expected = {x: np.array(x.grad) for x in ancestors(loss) if x.grad is not None}
    for x in expected:
        x.grad = None
    timeline = Timeline(loss)
    for _ in range(3):
        while timeline.forward():
            pass
        for x, grad in expected.items():
            np.testing.assert_array_equal(x.grad, grad, strict=True)
        spoil(timeline.tensors)
        timeline.rewind()
        assert all(x.grad is None for x in expected)


def test_a_timeline_restores_the_gradient_of_a_leaf_with_a_hook_that_adds_to_an_earlier_one() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    x.grad = np.array([100.0, 100.0])
    x.register_hook(lambda grad: grad * 10)
    timeline = Timeline((x * 2.0 + x * 3.0).sum())
    seen = []
    for _ in range(2):
        list(timeline.run())
        assert x.grad.tolist() == [150.0, 150.0] and timeline.gradient(x).tolist() == [50.0, 50.0]  # type: ignore[union-attr]
        while timeline.back():
            seen.append(x.grad.tolist())
    assert seen[:4] == seen[4:] == [[103.0, 103.0], [100.0, 100.0], [100.0, 100.0], [100.0, 100.0]]


def test_at_the_start_a_timeline_restores_the_arrays_that_were_there() -> None:
    loss = loss_of_a_network()
    loss.backward()
    before = {x: x.grad for x in ancestors(loss) if x.requires_grad}
    timeline = Timeline(loss)
    for _ in range(2):
        list(timeline.run())
        for x, grad in before.items():  # leaves add, other tensors overwrite
            np.testing.assert_allclose(x.grad, grad * 2 if x.op is None else grad)
        timeline.rewind()
        assert all(x.grad is grad for x, grad in before.items())


class InPlace(mg.Op):
    """An operation whose derivative is computed in the array of the upstream gradient."""

    def forward(self, x: Any) -> Any:
        return 3 * x

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        grad *= 3
        return grad


def ten_times_in_place(grad: Any) -> None:
    grad *= 10.0


def test_a_derivative_or_a_hook_that_works_in_place_changes_no_other_gradient() -> None:
    def gradients(run: Callable[[Tensor], Any]) -> list[Any]:
        x = Tensor([1.0, 2.0], requires_grad=True)
        inner, hooked, plain = x * 1.0, x * 2.0, x * 5.0
        for tensor in (x, hooked):
            tensor.register_hook(ten_times_in_place)
        run(((mg.apply(InPlace(), inner) + hooked) + plain).sum())
        return [tensor.grad.tolist() for tensor in (x, hooked, plain)]  # type: ignore[union-attr]

    def by_steps(loss: Tensor) -> None:
        for step in loss.backward_steps():
            step.run()

    assert gradients(by_steps) == gradients(Tensor.backward) == [[280.0, 280.0], [10.0, 10.0], [1.0, 1.0]]


def test_a_hook_that_works_in_place_does_not_change_the_contribution_before_it() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 5.0
    y.register_hook(ten_times_in_place)
    above, below = (y * 2.0).backward_steps([1.0, 1.0])
    above.run()
    below.run()
    assert (above.input_grads[0].tolist(), above.totals[0].tolist()) == ([2.0, 2.0], [2.0, 2.0])  # type: ignore[union-attr]
    assert below.grad.tolist() == [20.0, 20.0]  # type: ignore[union-attr]


def test_the_contribution_to_a_parameter_and_its_total_take_two_arrays_a_step() -> None:
    W = Tensor(np.eye(100), requires_grad=True, name="W")
    h = Tensor(np.ones(100))
    for _ in range(30):
        h = np.tanh(W @ h)
    loss = h.sum()
    tracemalloc.start()
    timeline = Timeline(loss)
    list(timeline.run())
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert timeline.position == 61 and W.grad is not None
    contributions = kept / W.nbytes  # 30 of them, 29 totals of more than one, `.grad`, and vectors
    assert 59 < contributions < 63 and peak < kept + 2 * W.nbytes


def test_the_first_contribution_is_the_total_and_the_gradient() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = np.exp(x)
    last, first = np.tanh(y).sum().backward_steps()[1:]
    steps: Steps = first.steps
    for step in steps:
        step.run()
    assert isinstance(last, Step) and last.input_grads[0] is last.totals[0] is first.grad
    assert y.grad is not first.grad
