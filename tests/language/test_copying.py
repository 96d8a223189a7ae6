"""Copies and pickles of definitions, compiled programs, runs and states."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, T, t

COPIES = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
X = np.random.default_rng(0).normal(size=(4, 3, 2))


def definition() -> Cell:
    """A cell with tied weights (W and its transpose), learned values at both ends, and an input read later."""
    W = Tensor([[0.3, -0.2], [0.5, 0.1]], requires_grad=True, name="W")
    first, last = (Tensor(value, requires_grad=True, name=name) for value, name in (([0.1, 0.2], "first"),
                                                                                   ([-0.1, 0.4], "last")))
    cell = Cell("tied")
    x, h, g, y = cell.input("x", 2), cell.signal("h", 2), cell.signal("g", 2), cell.signal("y", 2)
    h[t] = np.tanh(W.T @ h[t-1] + x[t])
    g[t] = np.tanh(W @ g[t+1] + h[t])
    y[t] = (W * W) @ (h[t] + g[t]) * 0.5
    h[0] = first * 2.0
    g[T+1] = last
    return cell


def gradients(cell: Any) -> dict[str, Any]:
    for parameter in cell.parameters.values():
        parameter.grad = None
    cell.unroll(x=X)["y"].stack().sum().backward()
    return {name: parameter.grad for name, parameter in cell.parameters.items()}


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copied_definition_has_parameters_of_its_own_and_the_same_gradients(duplicate: Any) -> None:
    cell = definition()
    other = duplicate(cell)
    assert type(other) is Cell and repr(other) == repr(cell)
    assert not set(cell.parameters.values()) & set(other.parameters.values())
    expected = gradients(cell)
    for parameter in cell.parameters.values():
        parameter.grad = None
    found = gradients(other)
    assert list(found) == list(expected) == ["W", "first", "last"]
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    assert all(parameter.grad is None for parameter in cell.parameters.values())


@pytest.mark.parametrize("duplicate", COPIES)
def test_derived_weights_follow_the_copied_parameter(duplicate: Any) -> None:
    other = duplicate(definition())
    transposed = other.signals["h"].equation.expression.inputs[0].inputs[0].inputs[0]
    assert transposed.inputs[0] is other.parameters["W"]
    mg.gradcheck(lambda: other.unroll(x=X)["y"].stack().sum(), other.parameters)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_long_equation_is_copied_without_recursion(duplicate: Any) -> None:
    w = Tensor([0.5, 0.25], requires_grad=True, name="w")
    cell = Cell("long")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    total = x[t] * w
    for _ in range(1500):
        total = total + 0.0001 * h[t-1]
    h[t] = total
    other = duplicate(cell)
    np.testing.assert_array_equal(other.unroll(x=X)["h"].stack().data, cell.unroll(x=X)["h"].stack().data)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copy_may_begin_at_a_signal_and_goes_on_as_a_definition(duplicate: Any) -> None:
    signal = duplicate(definition().signals["h"])
    assert signal.cell.signals["h"] is signal and repr(signal.equation).startswith("h[t] = tanh(")
    z = signal.cell.signal("z", 2)
    z[t] = signal[t] * 2.0
    run = signal.cell.unroll(x=X)
    np.testing.assert_array_equal(run["z"][2].data, 2 * run["h"][2].data)


def test_a_shallow_copy_has_the_same_signals() -> None:
    cell = definition()
    other = copy.copy(cell)
    assert other.signals is cell.signals and cell.signals["h"].equation is cell.equations[0]


@pytest.mark.parametrize("duplicate", [*COPIES, copy.copy])
def test_a_compiled_program_is_copied_with_its_definition(duplicate: Any) -> None:
    cell = definition()
    loss = cell.signal("L", ())
    loss[t] = (cell.signals["y"][t] * cell.signals["y"][t]).sum(axis=-1)
    fast = cell.compile(loss="L", reduction="mean")
    expected = fast(x=X)
    value, y = expected.loss, expected.outputs["y"]
    other = duplicate(fast)
    found = other(x=X)
    assert found.loss == value
    np.testing.assert_array_equal(found.outputs["y"], y)
    assert (other.cell is cell) == (duplicate is copy.copy)
    with pytest.raises(TypeError, match=r"<Outputs .* can't be copied or pickled. Copy dict\(outputs\)"):
        duplicate(found.outputs)


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_run_and_its_state_are_copied_if_nothing_is_recorded(duplicate: Any) -> None:
    run = definition().unroll(x=X)
    for connected in (run, run.state):
        with pytest.raises(TypeError, match=r"<h\[\d\] \w+ \(3, 2\).*was computed by a recorded operation"):
            duplicate(connected)
    state = duplicate(run.state.detach())
    np.testing.assert_array_equal(state.values["h"][0].data, run["h"][4].data)
    with mg.no_grad():
        other = duplicate(definition().unroll(x=X))
    np.testing.assert_array_equal(other["h"][4].data, run["h"][4].data)


@pytest.mark.parametrize("duplicate", COPIES)
def test_an_int_label_in_an_equation_survives(duplicate: Any) -> None:
    W = Tensor(np.eye(3), requires_grad=True, name="W")
    cell = Cell("labels")
    x, loss = cell.input("x", 3), cell.signal("L", ())
    loss[t] = mg.losses.cross_entropy(W @ x[t], 2, reduction="none")
    data = np.random.default_rng(1).normal(size=(2, 4, 3))
    found = duplicate(cell).unroll(x=data)["L"].stack().data
    np.testing.assert_allclose(found, np.log(np.exp(data).sum(-1)) - data[..., 2])


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_copy_stops_the_same_gradients(duplicate: Any) -> None:
    cell = Cell()
    x, h, e = cell.input("x", 2), cell.signal("h", 2), cell.static("e", 2)
    W = Tensor([1.0, 2.0], requires_grad=True, name="W")
    h[t] = W * x[t] + mg.stop_gradient(W * h[t-1]) + mg.stop_gradient(W * e) + (W * x[t]).detach()

    def slopes(cell: Any) -> Any:
        (gradient,) = mg.grad(cell.unroll(x=X, e=np.ones(2))["h"].stack().sum(), list(cell.parameters.values()))
        return gradient

    np.testing.assert_allclose(slopes(duplicate(cell)), X.sum((0, 1)))
    np.testing.assert_allclose(slopes(cell), X.sum((0, 1)))
