"""A loss computed again from changed parameters, against the same program run with these from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, t
from rnn.unrolling.repeat import repeat

Build = Callable[[Tensor, Tensor], Tensor]  # the loss of two parameters
DATA = np.random.default_rng(0).normal(size=(6, 2, 3))


def network(W: Tensor, U: Tensor) -> Cell:
    cell = Cell("net")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    return cell


def plain(W: Tensor, U: Tensor) -> Tensor:
    run = network(W, U).unroll(x=DATA)
    keep.append(run)
    return (run["h"].stack() ** 2).mean() + 0.1 * (W ** 2).sum()


def truncated(W: Tensor, U: Tensor) -> Tensor:
    run = network(W, U).unroll(x=DATA, chunks=2)
    keep.append(run)
    return (run["h"].stack() ** 2).mean()


def windows(W: Tensor, U: Tensor) -> Tensor:
    run = network(W, U).unroll(x=DATA, window=(2, 3))
    keep.append(run)
    return (run["h"].stack() ** 2).mean()


def inside_a_window(W: Tensor, U: Tensor) -> Tensor:
    run = network(W, U).unroll(x=DATA, window=(2, 3))
    keep.append(run)
    return (run.windows[-1]["h"][4] ** 2).sum() + run["h"][6].sum()


def static(W: Tensor, U: Tensor) -> Tensor:
    reader = network(W, U).unroll(x=DATA)
    writer = Cell("writer")
    states, s = writer.static("states", (6, 3)), writer.signal("s", 3)
    s[t] = np.tanh(U @ s[t-1] + states.sum(axis=0))
    run = writer.unroll(T=2, states=np.swapaxes(reader["h"].stack(), 0, 1))
    keep.extend([reader, run])
    return (run["s"].stack() ** 2).mean()


def lengths(W: Tensor, U: Tensor) -> Tensor:
    run = network(W, U).unroll(x=DATA, lengths=[4, 6])
    keep.append(run)
    return (run["h"].final() ** 2).sum()


def condition(W: Tensor, U: Tensor) -> Tensor:
    cell = Cell("net")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.where(h[t-1] > 0, np.tanh(W @ x[t]), mg.stop_gradient(U @ h[t-1]) + W @ x[t])
    run = cell.unroll(x=DATA)
    keep.append(run)
    return (run["h"].stack() ** 2).mean()


def transposed(W: Tensor, U: Tensor) -> Tensor:
    run = network(W.T, U).unroll(x=DATA)
    keep.append(run)
    return (run["h"].stack() ** 2).mean()


def run_without_a_variable(W: Tensor, U: Tensor) -> Tensor:
    return (network(W, U).unroll(x=DATA)["h"].stack() ** 2).mean()


keep: list[Any] = []  # runs; without a variable a run is gone


def parameters(scale: float) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(3)
    values = [scale * rng.normal(size=(3, 3)) for _ in range(2)]
    return Tensor(values[0], requires_grad=True, name="W"), Tensor(values[1], requires_grad=True, name="U")


@pytest.mark.parametrize("build", [plain, truncated, windows, inside_a_window, static, lengths, condition,
                                   transposed, run_without_a_variable])
def test_loss_and_gradients_are_those_of_the_new_values(build: Build) -> None:
    keep.clear()
    old, new = parameters(0.4), parameters(0.9)
    loss = build(*old)
    for parameter, value in zip(old, new):
        parameter.data = value.numpy()
    again, _ = repeat(loss)
    expected = build(*new)
    assert again.item() == expected.item() != loss.item()
    again.backward()
    expected.backward()
    for parameter, value in zip(old, new):
        assert (parameter.grad is None) == (value.grad is None)
        if value.grad is not None:
            np.testing.assert_array_equal(parameter.grad, value.grad)


def test_runs_that_read_each_other_are_connected_again_and_detached_states_are_those_of_the_new_run() -> None:
    keep.clear()
    old, new = parameters(0.4), parameters(0.9)

    def build(W: Tensor, U: Tensor) -> Tensor:
        cell = network(W, U)
        first = cell.unroll(x=DATA[:3])
        second = cell.unroll(x=DATA[3:], initial=first.state)
        third = cell.unroll(x=second["h"].stack(), initial={"h": first["h"][2].detach()})
        keep.extend([first, second, third])
        return (third["h"].stack() ** 2).mean() * second["h"][1].sum()

    loss = build(*old)
    for parameter, value in zip(old, new):
        parameter.data = value.numpy()
    again, runs = repeat(loss)
    expected = build(*new)
    assert again.item() == expected.item()
    assert list(runs) == keep[:3]
    for number, run in enumerate(keep[:3]):
        np.testing.assert_array_equal(runs[run]["h"].stack().data, keep[3 + number]["h"].stack().data)
    again.backward()
    expected.backward()
    for parameter, value in zip(old, new):
        np.testing.assert_array_equal(parameter.grad, value.grad)


def test_the_old_graph_stays_as_it_was() -> None:
    W, U = parameters(0.4)
    loss = plain(W, U)
    loss.backward()
    before = loss.item(), W.grad.copy()
    repeat(loss)
    assert loss.item() == before[0]
    np.testing.assert_array_equal(W.grad, before[1])


def test_dropout_is_drawn_anew() -> None:
    W, U = parameters(0.4)
    cell = Cell("net")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = mg.dropout(np.tanh(W @ x[t] + U @ h[t-1]), 0.5, np.random.default_rng(0))
    run = cell.unroll(x=DATA)
    loss = (run["h"].stack() ** 2).mean()
    assert len({repeat(loss)[0].item() for _ in range(4)}) == 4


def test_names_and_lines_are_those_of_the_first_time() -> None:
    W, U = parameters(0.4)
    loss = plain(W, U)
    loss.name = "loss"
    again, runs = repeat(loss)
    [(old, new)] = runs.items()
    assert again.name == "loss" and again.origin.line == loss.origin.line
    assert (new["h"][2].label, new["h"][2].origin.line) == ("h[2]", old["h"][2].origin.line)


def test_a_tensor_of_another_run_inside_of_an_equation_is_refused() -> None:
    W, U = parameters(0.4)
    first = network(W, U).unroll(x=DATA)
    summary = first["h"].stack().mean(axis=(0, 1))
    other = Cell("other")
    s = other.signal("s", 3)
    s[t] = np.tanh(U @ s[t-1] + summary)
    run = other.unroll(T=3)
    loss = (run["s"].stack() ** 2).sum()
    with pytest.raises(ValueError, match="another run; make it a static"):
        repeat(loss)
