"""How derivatives flow: what backward() and grad() promise for every graph."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import grad


def leaf(*values: float, name: str | None = None) -> Tensor:
    return Tensor(np.array(values) if len(values) != 1 else values[0], requires_grad=True, name=name)


def test_a_node_that_is_used_many_times_gets_every_contribution() -> None:
    x = leaf(3.0)
    (x * x + x - x / x).backward()
    assert x.grad == pytest.approx(2 * 3 + 1)


def test_gradients_flow_through_a_node_once_all_its_users_are_done() -> None:
    """A diamond of sixty levels has 2**60 paths, and 60 nodes."""
    x = y = leaf(1.0)
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0 ** 60


def test_two_backward_passes_give_exactly_twice_the_gradient_of_leaves() -> None:
    rng = np.random.default_rng(0)
    W = Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    h = mg.tanh(W @ np.ones(3))
    loss = (h * h).sum()
    loss.backward()
    once, inner = W.grad, h.grad
    assert once is not None
    loss.backward()
    np.testing.assert_array_equal(W.grad, 2 * once)
    np.testing.assert_array_equal(h.grad, inner)


def test_a_deep_chain_needs_no_recursion_and_is_freed_at_once() -> None:
    x = y = leaf(1.0)
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0
    before = len(gc.get_objects())
    del y
    assert len(gc.get_objects()) < before - 100_000  # by reference counts, without a collection


def test_a_wide_tree_visits_every_node_once() -> None:
    leaves = [leaf(float(i)) for i in range(4096)]
    level = leaves
    while len(level) > 1:
        level = [a * 1.0 + b for a, b in zip(level[::2], level[1::2])]
    level[0].backward()
    assert all(x.grad == 1.0 for x in leaves)


def test_the_gradient_has_the_shape_and_dtype_of_its_tensor() -> None:
    a = Tensor(np.ones((3, 1), np.float32), requires_grad=True)
    b = Tensor(np.ones((2, 1, 4)), requires_grad=True)
    (a * b).sum().backward()
    assert a.grad is not None and b.grad is not None
    assert (a.grad.shape, a.grad.dtype) == ((3, 1), np.float32)
    assert (b.grad.shape, b.grad.dtype) == ((2, 1, 4), np.float64)
    assert a.grad.tolist() == [[8.0]] * 3
    assert b.grad.tolist() == [[[3.0] * 4]] * 2


def test_float32_stays_float32() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = mg.sigmoid(2 * x + 1.5) ** 2
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32


def test_no_two_gradients_share_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = x + y
    w = z.reshape(1, 2)
    w.sum().backward()
    grads = [x.grad, y.grad, z.grad, w.grad]
    for i, first in enumerate(grads):
        for second in grads[i + 1:]:
            assert first is not None and second is not None
            assert not np.shares_memory(first, second)


def test_an_operation_that_hands_back_its_operands_is_not_corrupted() -> None:
    class Product(mg.Op):
        def forward(self, a, b):  # type: ignore[no-untyped-def]
            return a * b

        def backward(self, grad, out, a, b):  # type: ignore[no-untyped-def]
            return b, a  # right only where grad is 1, and aliases of the data

    a, b = leaf(2.0), leaf(5.0)
    (a + b + mg.apply(Product(), a, b)).backward()
    assert (a.grad, b.grad) == (6.0, 3.0)
    assert (a.item(), b.item()) == (2.0, 5.0)


def test_an_operation_that_hands_back_its_only_operand_is_not_corrupted() -> None:
    class HalfSquare(mg.Op):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return x * x / 2

        def backward(self, grad, out, x):  # type: ignore[no-untyped-def]
            return x  # right only where grad is 1, and the data themselves

    x = leaf(1.0, 2.0)
    (x.sum() + mg.apply(HalfSquare(), x).sum()).backward()
    assert x.numpy().tolist() == [1.0, 2.0]
    assert x.grad is not None and x.grad.tolist() == [2.0, 3.0]


def test_an_operation_may_give_one_array_to_both_inputs() -> None:
    class Mean(mg.Op):
        def forward(self, a, b):  # type: ignore[no-untyped-def]
            return (a + b) / 2

        def backward(self, grad, out, a, b):  # type: ignore[no-untyped-def]
            half = grad / 2
            return half, half

    a, b = leaf(1.0, 1.0), leaf(2.0, 2.0)
    (a * 1.0 + mg.apply(Mean(), a, b)).sum().backward()
    assert a.grad is not None and a.grad.tolist() == [1.5, 1.5]
    assert b.grad is not None and b.grad.tolist() == [0.5, 0.5]


class NeedsChecked(mg.Op):
    """A product that records which gradients were requested."""

    selective = True

    def __init__(self) -> None:
        self.asked: list[tuple[bool, ...]] = []

    def forward(self, a, b):  # type: ignore[no-untyped-def]
        return a * b

    def backward(self, grad, out, a, b, needs):  # type: ignore[no-untyped-def]
        self.asked.append(tuple(needs))
        return grad * b if needs[0] else None, grad * a if needs[1] else None


def test_no_gradient_is_computed_for_an_input_that_needs_none() -> None:
    op = NeedsChecked()
    mg.apply(op, leaf(1.0), 2.0).backward()
    a, b = leaf(1.0), leaf(2.0)
    grad(mg.apply(op, a, b), b)
    assert op.asked == [(True, False), (False, True)]


def test_an_error_during_the_pass_changes_no_gradient() -> None:
    class Broken(mg.Op):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return x

        def backward(self, grad, out, x):  # type: ignore[no-untyped-def]
            return np.ones((7, 7))

    x = leaf(1.0, 2.0)
    (x * 1.0).sum().backward()
    before = x.grad
    y = x * 3.0
    with pytest.raises(ValueError, match=r"Broken\(\).backward gave .* a gradient of shape \(7, 7\)"):
        (mg.apply(Broken(), y).sum() + x.sum()).backward()
    assert x.grad is before
    assert y.grad is None


def test_a_wrong_number_of_gradients_is_an_error() -> None:
    class Forgetful(mg.Op):
        def forward(self, a, b):  # type: ignore[no-untyped-def]
            return a + b

        def backward(self, grad, out, a, b):  # type: ignore[no-untyped-def]
            return grad

    with pytest.raises(ValueError, match="returned 1 gradients for 2 inputs"):
        mg.apply(Forgetful(), leaf(1.0), leaf(2.0)).backward()


# ---- where a backward pass starts


def test_backward_of_a_vector_requires_a_gradient() -> None:
    y = leaf(1.0, 2.0, name="y")
    with pytest.raises(ValueError, match=r"<y \(2,\).*has shape \(2,\): call it on a sum or a mean"):
        y.backward()
    y.backward(np.array([3.0, 4.0]))
    assert y.grad is not None and y.grad.tolist() == [3.0, 4.0]


def test_a_start_of_the_wrong_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"has shape \(3,\), but \(2,\) is needed"):
        leaf(1.0, 2.0).backward(np.ones(3))


def test_backward_without_any_tensor_that_requires_a_gradient_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"requires a gradient: make one with requires_grad=True"):
        (Tensor(2.0) * 3.0).backward()


def test_the_gradient_that_was_given_stays_the_callers() -> None:
    x, given = leaf(1.0, 2.0), np.ones(2)
    (x * 2.0).backward(given)
    assert given.tolist() == [1.0, 1.0]
    x.backward(given)
    assert x.grad is not None and not np.shares_memory(x.grad, given)


# ---- grad


def test_grad_returns_arrays_in_order_and_leaves_grad_alone() -> None:
    x, y = leaf(2.0), leaf(5.0)
    assert grad(x * x * y, [y, x]) == [4.0, 20.0]
    assert grad(x * y, x) == 5.0
    assert grad(x * x * y, {"b": y, "a": x}) == {"b": 4.0, "a": 20.0}
    assert x.grad is None and y.grad is None


def test_no_two_results_of_grad_share_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    first, second = grad((x + y).sum(), [x, y])
    assert not np.shares_memory(first, second)
    first += 1.0  # nor is it read-only, as a sum's derivative is


def test_grad_takes_the_derivative_for_an_inner_tensor() -> None:
    x = leaf(2.0)
    y = x * x
    assert grad(y * y, y) == 8.0


def test_grad_without_a_path_names_both_ends() -> None:
    x, other = leaf(1.0, name="x"), leaf(2.0, name="other")
    with pytest.raises(ValueError, match=r"<x \* 2 \(\).*was not computed from <other"):
        grad(x * 2.0, other)


def test_derivatives_of_derivatives() -> None:
    """d³/dx³ of x⁴ is 24x."""
    x = leaf(3.0)
    y = x * x * x * x
    for expected in (108.0, 108.0, 72.0):
        y = grad(y, x, create_graph=True)
        assert y.item() == expected


def test_a_hessian_row_by_row_and_its_product_with_a_vector() -> None:
    """f = sum(tanh(A x)²); its Hessian against central differences of the gradient."""
    rng = np.random.default_rng(1)
    A, v = rng.normal(size=(4, 3)), rng.normal(size=3)
    x = Tensor(rng.normal(size=3), requires_grad=True)

    def slope(point: Tensor) -> Tensor:
        y = mg.tanh(A @ point)
        gradient: Tensor = grad((y * y).sum(), point, create_graph=True)
        return gradient

    gradient = slope(x)
    hessian = np.array([grad(gradient[i], x) for i in range(3)])
    eps = 1e-6
    numeric = np.array([(slope(Tensor(x.numpy() + eps * e, requires_grad=True)).numpy()
                         - slope(Tensor(x.numpy() - eps * e, requires_grad=True)).numpy()) / (2 * eps)
                        for e in np.eye(3)])
    np.testing.assert_allclose(hessian, numeric, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(grad((gradient * v).sum(), x), hessian @ v, rtol=1e-12)


def test_the_recorded_backward_pass_remembers_the_lines_of_the_forward_pass() -> None:
    x = leaf(2.0)
    y = mg.tanh(x)
    z = grad(y, x, create_graph=True)
    assert z.op is not None
    assert z.origin is y.origin


# ---- hooks


def test_a_hook_sees_the_whole_gradient_once() -> None:
    x = leaf(2.0)
    y = x * 1.0
    seen: list[float] = []
    y.register_hook(seen.append)
    (y * 3.0 + y * 4.0).backward()
    assert seen == [7.0]


def test_a_hook_can_replace_the_gradient_and_be_removed() -> None:
    x = leaf(2.0)
    y = x * 5.0

    def clipped(grad: np.ndarray) -> np.ndarray:
        return np.minimum(grad, 1.0)

    hook = y.register_hook(clipped)
    (y * 3.0).backward()
    assert (y.grad, x.grad) == (1.0, 5.0)
    hook.remove()
    x.grad = None
    (y * 3.0).backward()
    assert (y.grad, x.grad) == (3.0, 15.0)


@pytest.mark.parametrize("make", [lambda: leaf(2.0), lambda: leaf(2.0) * 3.0], ids=["leaf", "result"])
def test_a_hook_on_the_start_of_the_pass_is_called_once(make: Callable[[], Tensor]) -> None:
    out = make()
    seen: list[float] = []
    out.register_hook(seen.append)
    out.backward()
    assert seen == [1.0]


def test_a_hook_on_a_leaf_sees_this_pass_alone() -> None:
    x = leaf(2.0)
    seen: list[float] = []
    (x * 3.0).backward()
    x.register_hook(seen.append)
    (x * 4.0).backward()
    assert seen == [4.0]
    assert x.grad == 7.0


def test_a_hook_that_changes_the_shape_is_named() -> None:
    x = leaf(1.0, 2.0)

    def wrong(grad: np.ndarray) -> np.ndarray:
        return grad[:1]

    x.register_hook(wrong)
    with pytest.raises(ValueError, match=r"the hook registered at test_backward.py:\d+ returned a gradient of "
                                         r"shape \(1,\)"):
        x.sum().backward()
    assert x.grad is None


def test_a_hook_requires_a_gradient() -> None:
    with pytest.raises(ValueError, match="requires no gradient"):
        Tensor(1.0).register_hook(print)


# ---- what is not recorded


def test_nothing_is_recorded_under_no_grad() -> None:
    x = leaf(2.0)
    with mg.no_grad():
        y = x * 3.0
    assert not y.requires_grad and y.op is None
    assert (x * 3.0).requires_grad


def test_detach_stops_the_gradient() -> None:
    x = leaf(2.0)
    (x * (x * 3.0).detach()).backward()
    assert x.grad == 6.0


def test_cost_grows_with_the_number_of_nodes_and_not_faster() -> None:
    """Counted in operations and not in seconds: each node's derivative is taken once."""
    count = 0

    class Counted(mg.Op):
        def forward(self, a, b):  # type: ignore[no-untyped-def]
            return a + b

        def backward(self, grad, out, a, b):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            return grad, grad

    op, x = Counted(), leaf(1.0)
    y = x
    for _ in range(200):
        y = mg.apply(op, y, y)
    started = time.monotonic()
    y.backward()
    assert count == 200
    assert time.monotonic() - started < 60  # 2**200 paths would take for ever
