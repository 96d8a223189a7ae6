"""Optimisers follow PyTorch's, number for number; clipping; schedules."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim, schedules

PYTORCH = json.loads((Path(__file__).parents[1] / "cases" / "pytorch.json").read_text(encoding="utf-8"))
START = [[0.5, -1.0], [2.0, 0.25]]
GRADIENTS = [[[0.1, -0.2], [0.3, 1.5]], [[-0.4, 0.2], [0.05, -1.0]], [[0.0, 0.7], [-0.3, 0.2]],
             [[0.25, -0.1], [0.6, 0.4]], [[-1.0, 0.3], [0.2, 0.0]]]
MAKERS = {
    "SGD(lr=0.1)": lambda w: optim.SGD(w, lr=0.1),
    "SGD(lr=0.1, momentum=0.9)": lambda w: optim.SGD(w, lr=0.1, momentum=0.9),
    "SGD(lr=0.1, momentum=0.9, nesterov=True)": lambda w: optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True),
    "SGD(lr=0.1, momentum=0.9, weight_decay=0.05)": lambda w: optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=0.05),
    "SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)":
        lambda w: optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    "Adagrad(lr=0.1)": lambda w: optim.Adagrad(w, lr=0.1),
    "Adagrad(lr=0.1, eps=0.001, weight_decay=0.05)": lambda w: optim.Adagrad(w, lr=0.1, eps=0.001, weight_decay=0.05),
    "RMSprop(lr=0.1)": lambda w: optim.RMSprop(w, lr=0.1),
    "RMSprop(lr=0.1, alpha=0.9, eps=0.001, momentum=0.5, weight_decay=0.05)":
        lambda w: optim.RMSprop(w, lr=0.1, alpha=0.9, eps=0.001, momentum=0.5, weight_decay=0.05),
    "Adam(lr=0.1)": lambda w: optim.Adam(w, lr=0.1),
    "Adam(lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.05)":
        lambda w: optim.Adam(w, lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.05),
    "AdamW(lr=0.1)": lambda w: optim.AdamW(w, lr=0.1),
    "AdamW(lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.5)":
        lambda w: optim.AdamW(w, lr=0.1, betas=(0.8, 0.95), eps=0.001, weight_decay=0.5)}
ALL = pytest.mark.parametrize("name", PYTORCH["optimisers"])


def parameter(values=START, dtype=float):
    return mg.Tensor(values, requires_grad=True, dtype=dtype)


@ALL
def test_five_steps_are_pytorchs(name):
    w = parameter()
    optimizer = MAKERS[name]([w])
    for grad, expected in zip(GRADIENTS, PYTORCH["optimisers"][name], strict=True):
        w.grad = np.array(grad)
        optimizer.step()
        np.testing.assert_allclose(w.data, expected, rtol=1e-12, atol=1e-15)


@ALL
def test_parameters_keep_their_type_and_gradients_their_values(name):
    w = parameter(dtype=np.float32)
    optimizer = MAKERS[name]([w])
    w.grad = np.array(GRADIENTS[0], np.float32)
    optimizer.step()
    assert w.dtype == np.float32
    assert (w.grad == np.array(GRADIENTS[0], np.float32)).all()
    assert all(array.dtype == np.float32 for value in vars(optimizer).values() if isinstance(value, list)
               for array in value if isinstance(array, np.ndarray))


@ALL
def test_a_quadratic_bowl_is_descended(name):
    w = parameter([3.0, -2.0])
    optimizer = MAKERS[name]({"w": w})
    for _ in range(200):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert np.abs(w.data).max() < (1.7 if name.startswith("Adagrad") else 0.1)


def test_the_velocity_doesnt_share_memory_with_the_gradient():
    w, v = parameter(), parameter()
    both = [optim.SGD([p], lr=0.1, momentum=0.9) for p in (w, v)]
    for grad in GRADIENTS:
        for p, optimizer in zip((w, v), both):
            p.grad = np.array(grad)
            optimizer.step()
        w.grad *= 100  # after the last update, so without effect
    assert (w.data == v.data).all()


def test_parameters_without_a_gradient_stay_where_they_are():
    w, unused = parameter(), parameter()
    optimizer = optim.AdamW([w, unused, w], lr=0.1)
    w.grad = np.array(GRADIENTS[0])
    optimizer.step()
    assert unused.data.tolist() == START and len(optimizer.parameters) == 2
    optimizer.zero_grad()
    assert w.grad is None


def test_the_rate_may_be_changed_between_steps():
    w = parameter([1.0])
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = np.ones(1)
    for step in range(3):
        optimizer.lr = schedules.linear(step, 0.3, steps=3)
        optimizer.step()
    assert w.data == pytest.approx([1 - 0.3 - 0.2 - 0.1])


def test_your_own_optimiser_is_one_method():
    class Sign(optim.Optimizer):
        def change(self, index, grad):
            return self.lr * np.sign(grad)

    w = parameter([1.0, -1.0])
    w.grad = np.array([5.0, -0.1])
    Sign([w], lr=0.5).step()
    assert w.data.tolist() == [0.5, -0.5]
    with pytest.raises(NotImplementedError, match="Optimizer has no change"):
        optim.Optimizer([w], lr=1).step()


class TestClipping:
    def test_by_norm_as_pytorch(self):
        a, b = parameter([1.0, 2.0]), parameter([[3.0, -4.0]])
        a.grad, b.grad = np.array([1.0, -2.0]), np.array([[3.0, -4.0]])
        expected = PYTORCH["clip_norm"]
        assert optim.clip_grad_norm([a, b], 2.0) == pytest.approx(expected["norm"])
        np.testing.assert_allclose(a.grad, expected["a"], rtol=1e-6)  # PyTorch adds 1e-6 to the norm
        np.testing.assert_allclose(b.grad, expected["b"], rtol=1e-6)

    def test_small_gradients_stay(self):
        a, unused = parameter([1.0, 2.0]), parameter()
        a.grad = np.array([0.3, 0.4])
        assert optim.clip_grad_norm([a, unused], 1.0) == 0.5
        assert a.grad.tolist() == [0.3, 0.4] and unused.grad is None

    def test_gradients_that_are_not_finite_are_left_for_their_finder(self):
        a = parameter([1.0, 2.0])
        a.grad = np.array([np.inf, 1.0])
        assert optim.clip_grad_norm([a], 1.0) == np.inf
        assert a.grad.tolist() == [np.inf, 1.0]

    def test_by_value(self):
        a, unused = parameter([1.0, 2.0, 3.0], np.float32), parameter()
        a.grad = np.array([-7.0, 0.5, 7.0], np.float32)
        optim.clip_grad_value([a, unused], 1.0)
        assert a.grad.tolist() == [-1, 0.5, 1] and a.grad.dtype == np.float32 and unused.grad is None

    @pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
    @pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
    def test_a_limit_is_positive(self, clip, limit):
        with pytest.raises(ValueError, match="is a positive number"):
            clip([parameter()], limit)


class TestRefusals:
    @pytest.mark.parametrize("make, words", [
        (lambda w: optim.SGD([w], lr=0), "learning rate lr is a positive number"),
        (lambda w: optim.SGD([w], lr=float("nan")), "learning rate lr is a positive number"),
        (lambda w: optim.SGD([w], lr=0.1, momentum=1.0), r"momentum is in \[0, 1\)"),
        (lambda w: optim.SGD([w], lr=0.1, nesterov=True), "needs momentum"),
        (lambda w: optim.Adam([w], betas=(0.9, 1.0)), r"betas\[1\] is in \[0, 1\)"),
        (lambda w: optim.RMSprop([w], alpha=-0.1), r"alpha is in \[0, 1\)"),
        (lambda w: optim.AdamW([w], weight_decay=-1), "weight_decay is zero or positive")])
    def test_options_out_of_range(self, make, words):
        with pytest.raises(ValueError, match=words):
            make(parameter())

    @pytest.mark.parametrize("thing", [np.ones(3), mg.Tensor([1.0]), mg.Tensor([1.0], requires_grad=True) * 2])
    def test_only_parameters_can_be_moved(self, thing):
        with pytest.raises(TypeError, match="moves tensors made with requires_grad=True"):
            optim.SGD([thing], lr=0.1)


class TestSchedules:
    """Plain functions of the number of the update: their values at the ends, in the middle and beyond."""

    @pytest.mark.parametrize("rates, expected", [
        ([schedules.constant(s, 0.1) for s in (0, 99)], [0.1, 0.1]),
        ([schedules.linear(s, 1.0, 10) for s in (0, 5, 10, 11)], [1, 0.5, 0, 0]),
        ([schedules.linear(s, 1.0, 10, end=0.2) for s in (0, 5, 20)], [1, 0.6, 0.2]),
        ([schedules.warmup(s, 1.0, 4) for s in (0, 1, 3, 50)], [0.25, 0.5, 1, 1]),
        ([schedules.exponential(s, 1.0, 0.5, every=2) for s in (0, 1, 2, 4)], [1, math.sqrt(0.5), 0.5, 0.25]),
        ([schedules.stepwise(s, 1.0, 0.1, every=3) for s in (0, 2, 3, 6)], [1, 1, 0.1, 0.01]),
        ([schedules.cosine(s, 1.0, 4) for s in (0, 1, 2, 4, 9)], [1, (1 + math.sqrt(0.5)) / 2, 0.5, 0, 0]),
        ([schedules.cosine(s, 1.0, 4, end=0.1) for s in (0, 2, 4)], [1, 0.55, 0.1])])
    def test_values(self, rates, expected):
        assert rates == pytest.approx(expected)
        assert all(type(rate) is float for rate in rates)

    @pytest.mark.parametrize("call", [
        lambda: schedules.cosine(-1, 1.0, 4), lambda: schedules.linear(0, 1.0, 0),
        lambda: schedules.exponential(1, 1.0, 0.5, 0),
        lambda: schedules.warmup(-2, 1.0, 4), lambda: schedules.stepwise(0, 1.0, 0.5, -1)])
    def test_updates_are_counted_from_zero(self, call):
        with pytest.raises(ValueError, match="counted from 0"):
            call()


class TestListsOfParameters:
    @pytest.mark.parametrize("use", [
        lambda w: mg.optim.SGD(w, lr=0.1), lambda w: mg.optim.Adam(w), lambda w: mg.optim.clip_grad_norm(w, 1.0),
        lambda w: mg.optim.clip_grad_value(w, 1.0)])
    def test_one_tensor_is_no_list(self, use):
        w = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        with pytest.raises(TypeError, match=r"a list of parameters is needed, .*, not <w .* \(at test_optim"):
            use(w)

    @pytest.mark.parametrize("empty", [[], {}, (), iter([])])
    def test_an_empty_list_is_refused(self, empty):
        with pytest.raises(ValueError, match="the list of parameters is empty"):
            mg.optim.SGD(empty, lr=0.1)
