"""Gradients through time: against central differences, and against what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import DEFINITIONS, case, data, elman, feedback, gru, lagged_input, lstm, skips, three_delays

import minigrad as mg
from rnn import Cell, t


def slope(loss: Callable[[], mg.Tensor], p: mg.Tensor, direction: Any, eps: float = 1e-6) -> float:
    """The loss's change along a direction of one parameter, by central differences."""
    start, ends = p.data.copy(), []
    for sign in (1, -1):
        p.data = start + sign * eps * direction
        ends.append(loss().item())
    p.data = start
    return (ends[0] - ends[1]) / (2 * eps)


def loss_of(cell: Cell) -> Callable[[], mg.Tensor]:
    """The mean square of the outputs against random targets."""
    inputs = data(cell, T=5, batch=(3,))

    def loss() -> mg.Tensor:
        run = cell.unroll(**inputs)
        output = run["y" if "y" in run else "h"].stack()
        target = np.random.default_rng(1).normal(size=output.shape)
        result: mg.Tensor = mg.losses.mse(output, target)
        return result

    return loss


@pytest.mark.parametrize("make", mostly_slow(
    [lagged_input, three_delays, skips, gru, *DEFINITIONS, lstm], 5))
def test_every_gradient_agrees_with_central_differences(make: Callable[[], Cell]) -> None:
    cell = make()
    for signal in list(cell.signals.values()):
        if signal.equation and 0 not in signal.initial and signal.shape and any(e[0] == signal.name and e[2] > 0
                                                                               for e in cell.edges()):
            values = np.linspace(-0.5, 0.5, signal.shape[0])
            for k in range(max(e[2] for e in cell.edges() if e[0] == signal.name)):
                if signal.equation.lead == 0:
                    signal[-k] = mg.Tensor(values * (k + 1), requires_grad=True, name=f"{signal.name}_{k}")
    loss = loss_of(cell)
    assert mg.gradcheck(loss, cell.parameters, rtol=1e-5, atol=1e-9) < 1e-3
    loss().backward()
    rng = np.random.default_rng(3)
    for p in cell.parameters.values():  # once more, by a loop of our own and along random directions
        direction = rng.normal(size=p.shape)
        assert p.grad is not None
        assert (p.grad * direction).sum() == pytest.approx(slope(loss, p, direction), rel=1e-6, abs=1e-10)


def test_the_gradient_of_a_state_is_the_sum_over_its_output_and_the_next_step() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    y = run["y"].stack()
    (y * y).sum().backward()
    U, V = cell.parameters["U"].data, cell.parameters["V"].data
    expected = np.zeros((5, 4))
    for k in (4, 3, 2, 1):
        expected = expected @ U + 2 * run["y"][k].data @ V  # expected: dL/da[k+1], where h = tanh(a)
        np.testing.assert_allclose(run["h"][k].grad, expected, rtol=1e-12)
        expected = expected * (1 - run["h"][k].data ** 2)


def test_a_tensor_that_the_loss_does_not_depend_on_has_no_gradient() -> None:
    cell = elman()
    run = cell.unroll(**data(cell))
    run["y"][2].sum().backward()
    assert run["h"][2].grad is not None and run["h"][1].grad is not None
    assert run["h"][3].grad is None and run["y"][1].grad is None


def test_two_backward_passes_give_exactly_twice_the_gradient() -> None:
    cell = feedback(2)
    loss = loss_of(cell)()
    loss.backward()
    once = {name: p.grad.copy() for name, p in cell.parameters.items() if p.grad is not None}
    loss.backward()
    for name, p in cell.parameters.items():
        np.testing.assert_array_equal(p.grad, 2 * once[name])


# ---- what PyTorch computes
def from_torch(stored: Any) -> dict[str, mg.Tensor]:
    return {name: mg.Tensor(value, requires_grad=True, name=name) for name, value in stored["values"].items()}


def compare(stored: Any, cell: Cell, tensors: dict[str, mg.Tensor]) -> None:
    """Outputs, the loss and every gradient, those of the data too."""
    y = cell.unroll(x=tensors["x"])["y"].stack()
    np.testing.assert_allclose(y.data, stored["y"], rtol=1e-10)
    loss = mg.losses.mse(y, tensors["target"].data)
    loss.backward()
    assert loss.item() == pytest.approx(stored["loss"], rel=1e-12)
    assert set(stored["grads"]) == {"x", *cell.parameters}
    for name, expected in stored["grads"].items():
        grad = tensors[name].grad
        assert grad is not None and grad.shape == np.shape(expected)
        np.testing.assert_allclose(grad, expected, rtol=stored["tolerance"]["rel"], atol=1e-12, err_msg=name)


def test_elman_agrees_with_torch_nn_rnn() -> None:
    stored = case("torch_elman")
    p = from_torch(stored)
    cell = Cell("elman")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 2)
    h[t] = np.tanh(p["weight_ih_l0"] @ x[t] + p["bias_ih_l0"] + p["weight_hh_l0"] @ h[t-1] + p["bias_hh_l0"])
    h[0] = p["h0"]
    y[t] = p["V"] @ h[t]
    compare(stored, cell, p)


def test_a_bidirectional_network_agrees_with_torch_nn_rnn() -> None:
    stored = case("torch_bidirectional")
    p = from_torch(stored)
    cell = Cell("bidirectional")
    x, hf, hb, y = cell.input("x", 3), cell.signal("hf", 4), cell.signal("hb", 4), cell.signal("y", 2)
    for h, end, before in ((hf, "", -1), (hb, "_reverse", 1)):
        h[t] = np.tanh(p[f"weight_ih_l0{end}"] @ x[t] + p[f"bias_ih_l0{end}"]
                       + p[f"weight_hh_l0{end}"] @ h[t + before] + p[f"bias_hh_l0{end}"])
    y[t] = p["V"] @ np.concatenate([hf[t], hb[t]], axis=-1)
    compare(stored, cell, p)


def test_an_lstm_in_equations_agrees_with_torch_nn_lstm() -> None:
    stored = case("torch_lstm")
    p = from_torch(stored)
    cell = Cell("lstm")
    x, h, c, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("c", 4), cell.signal("y", 2)
    a = p["weight_ih_l0"] @ x[t] + p["bias_ih_l0"] + p["weight_hh_l0"] @ h[t-1] + p["bias_hh_l0"]
    i, f, o = mg.sigmoid(a[:4]), mg.sigmoid(a[4:8]), mg.sigmoid(a[12:])
    c[t] = f * c[t-1] + i * np.tanh(a[8:12])
    h[t] = o * np.tanh(c[t])
    y[t] = p["V"] @ h[t]
    compare(stored, cell, p)


@pytest.mark.parametrize("delay", [1, 2])
def test_a_network_with_feedback_agrees_with_a_loop_in_torch(delay: int) -> None:
    stored = case(f"torch_feedback_{delay}")
    p = from_torch(stored)
    cell = Cell("feedback")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    h1, h2, h3 = cell.signal("h1", 4), cell.signal("h2", 5), cell.signal("h3", 6)
    h1[t] = np.tanh(p["W1"] @ x[t] + p["U1"] @ h1[t-1])
    h2[t] = np.tanh(p["W2"] @ h1[t] + p["U2"] @ h2[t-1] + p["F"] @ h3[t-delay])
    h3[t] = np.tanh(p["W3"] @ h2[t] + p["U3"] @ h3[t-1])
    y[t] = p["V"] @ h3[t]
    compare(stored, cell, p)
