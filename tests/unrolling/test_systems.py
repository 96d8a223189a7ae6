"""Every recurrent system of the lecture notes, written as its equations.

Values are compared with a loop over plain vectors in the test, or with numbers that others
computed; gradients with central differences.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import case, parameter

import minigrad as mg
from rnn import Cell, DefinitionError, Run, cells, t

STEPS, BATCH, INPUTS, SIZE, OUTPUTS = 5, 3, 2, 4, 2


def data(seed: int = 0, size: int = INPUTS, steps: int = STEPS) -> Any:
    return np.random.default_rng(seed).normal(size=(steps, BATCH, size))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def values(cell: Cell) -> dict[str, Any]:
    return {name: p.data for name, p in cell.parameters.items()}


def assert_values(run: Run, signal: str, expected: Any) -> None:
    """`expected` is [step][sequence], as the loops below make it, or [step] for all sequences."""
    np.testing.assert_allclose(run[signal].stack().data, expected, rtol=1e-11, atol=1e-13)


def assert_gradients(cell: Cell, *signals: str, **given: Any) -> None:
    """Every parameter's gradient, of a loss that sees every step of the signals, each with a weight of its own."""
    def loss() -> Any:
        run = cell.unroll(**given)
        stacks = [run[signal].stack() for signal in signals]
        weights = [np.random.default_rng(9).normal(size=stack.shape) for stack in stacks]
        return mg.stack([(stack * stack * weight).mean() for stack, weight in zip(stacks, weights)]).sum()

    assert mg.gradcheck(loss, cell.parameters, rtol=1e-5, atol=1e-9) < 1e-4


# ---- one layer
def test_no_input_a_markov_chain_is_its_matrix_to_the_power_of_the_time() -> None:
    P = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.0, 0.4, 0.6]])  # P[i, j]: from i to j
    chain = Cell("Markov chain")
    p = chain.signal("p", 3)
    p[t] = p[t-1] @ P
    p[0] = [1.0, 0.0, 0.0]
    run = chain.unroll(T=12)
    for k in range(13):
        np.testing.assert_allclose(run["p"][k].data, np.linalg.matrix_power(P, k)[0], rtol=1e-12)
        assert run["p"][k].data.sum() == pytest.approx(1, rel=1e-12)


def test_no_input_the_state_follows_from_the_state() -> None:
    cell = Cell("h[t] = f(h[t-1])")
    h = cell.signal("h", SIZE)
    h[t] = np.tanh(parameter("U", SIZE, SIZE) @ h[t-1])
    h[0] = parameter("h0", SIZE)
    p = values(cell)
    state, expected = p["h0"], []
    for _ in range(STEPS):
        state = np.tanh(p["U"] @ state)
        expected.append(state)
    assert_values(cell.unroll(T=STEPS), "h", expected)
    assert_gradients(cell, "h", T=STEPS)


def test_with_inputs_and_outputs() -> None:
    cell = Cell("h[t] = f(x[t], h[t-1]), y[t] = g(h[t])")
    x, h, y = cell.input("x", INPUTS), cell.signal("h", SIZE), cell.signal("y", OUTPUTS)
    h[t] = mg.softplus(parameter("W", SIZE, INPUTS) @ x[t] - parameter("U", SIZE, SIZE) @ h[t-1])
    y[t] = np.exp(parameter("V", OUTPUTS, SIZE) @ h[t] * 0.1)
    p, expected = values(cell), np.zeros((STEPS, BATCH, OUTPUTS))
    for n in range(BATCH):
        state = np.zeros(SIZE)
        for k in range(STEPS):
            state = np.log1p(np.exp(p["W"] @ data()[k, n] - p["U"] @ state))
            expected[k, n] = np.exp(0.1 * p["V"] @ state)
    assert_values(cell.unroll(x=data()), "y", expected)
    assert_gradients(cell, "y", x=data())


def test_the_abstraction_is_the_equation_for_any_r_and_o() -> None:
    W, U, V = parameter("W", SIZE, INPUTS), parameter("U", SIZE, SIZE), parameter("V", OUTPUTS, SIZE)

    def R(s: Any, x: Any) -> Any:
        return np.tanh(W @ x + U @ s)

    def O(s: Any) -> Any:  # noqa: E743
        return V @ s

    abstract, written = Cell("s[t] = R(s[t-1], x[t]), y[t] = O(s[t])"), Cell("the same in equations")
    y = cells.abstract(abstract, abstract.input("x", INPUTS), SIZE, R, O, name="a")
    x, s, z = written.input("x", INPUTS), written.signal("s", SIZE), written.signal("y", OUTPUTS)
    s[t] = np.tanh(W @ x[t] + U @ s[t-1])
    z[t] = V @ s[t]
    assert_values(abstract.unroll(x=data()), y.name, written.unroll(x=data())["y"].stack().data)
    assert_gradients(abstract, y.name, x=data())


@pytest.mark.parametrize("phi", [np.tanh, mg.sigmoid, mg.relu])
@pytest.mark.parametrize("size", [1, SIZE])
def test_recurrent_neurons_in_row_notation(size: int, phi: Any) -> None:
    cell = Cell("y[t] = Φ(x[t] W_x + y[t-1] W_y + b)")
    x, y = cell.input("x", INPUTS), cell.signal("y", size)
    y[t] = phi(x[t] @ parameter("W_x", INPUTS, size) + y[t-1] @ parameter("W_y", size, size) + parameter("b", size))
    plain = {np.tanh: np.tanh, mg.sigmoid: sigmoid, mg.relu: lambda a: a * (a > 0)}[phi]
    p, expected, rows = values(cell), [], np.zeros((BATCH, size))
    for k in range(STEPS):
        rows = plain(data()[k] @ p["W_x"] + rows @ p["W_y"] + p["b"])
        expected.append(rows)
    assert_values(cell.unroll(x=data()), "y", expected)
    assert_gradients(cell, "y", x=data())


# ---- a network fed by its own output
def reader_and_writer() -> tuple[Cell, Cell]:
    """Elman's network: one that is given x, and one whose x[t+1] is what it says itself."""
    W1, W2, W3 = parameter("W1", SIZE, INPUTS), parameter("W2", SIZE, SIZE), parameter("W3", INPUTS, SIZE)
    reader, writer = Cell("reader"), Cell("writer")
    x, h, y = reader.input("x", INPUTS), reader.signal("h", SIZE), reader.signal("y", INPUTS)
    h[t] = mg.sigmoid(W1 @ x[t] + W2 @ h[t-1])
    y[t] = np.tanh(W3 @ h[t])
    x, h = writer.signal("x", INPUTS), writer.signal("h", SIZE)
    h[t] = mg.sigmoid(W1 @ x[t] + W2 @ h[t-1])
    x[t+1] = np.tanh(W3 @ h[t])
    return reader, writer


def test_elman_generates_from_a_given_start() -> None:
    _, cell = reader_and_writer()
    start = data()[0]
    run = cell.unroll(T=STEPS, initial={"x": {1: start}})
    p = values(cell)
    for n in range(BATCH):
        x, h = start[n], np.zeros(SIZE)
        for k in range(1, STEPS + 1):
            h = sigmoid(p["W1"] @ x + p["W2"] @ h)
            x = np.tanh(p["W3"] @ h)
            np.testing.assert_allclose(run["h"][k].data[n], h, rtol=1e-12)
            np.testing.assert_allclose(run["x"][k + 1].data[n], x, rtol=1e-12)
    assert_gradients(cell, "x", "h", T=STEPS, initial={"x": {1: start}})


def test_elman_generates_after_a_given_prefix() -> None:
    reader, writer = reader_and_writer()
    prefix = data(steps=3)
    read = reader.unroll(x=prefix)
    said = writer.unroll(T=4, initial={"x": {1: read["y"][3]}, "h": read["h"][3]})
    p = values(reader)
    for n in range(BATCH):
        h = np.zeros(SIZE)
        for k in range(7):
            x = prefix[k, n] if k < 3 else np.tanh(p["W3"] @ h)
            h = sigmoid(p["W1"] @ x + p["W2"] @ h)
            np.testing.assert_allclose((read["h"][k + 1] if k < 3 else said["h"][k - 2]).data[n], h, rtol=1e-12)

    def loss() -> Any:  # the gradient goes back from what is said into what was read
        read = reader.unroll(x=prefix)
        said = writer.unroll(T=4, initial={"x": {1: read["y"][3]}, "h": read["h"][3]})
        return (said["x"].stack() ** 2).mean()

    assert mg.gradcheck(loss, reader.parameters, rtol=1e-5, atol=1e-9) < 1e-4


def test_the_linear_network_fed_by_its_own_output_is_an_iir_filter() -> None:
    stored = case("scipy_lfilter")
    b, a = stored["b"], stored["a"]
    cell = Cell("IIR filter")
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = b[0] * x[t] + b[1] * x[t-1] + b[2] * x[t-2] - a[1] * y[t-1] - a[2] * y[t-2] - a[3] * y[t-3]
    x[0] = x[-1] = 0
    assert_values(cell.unroll(x=stored["x"]), "y", stored["y"])


# ---- other loops
@pytest.mark.parametrize("delay", [1, 2])
def test_layer_3_feeds_back_to_layer_2(delay: int) -> None:
    cell = Cell("h2[t] reads h3[t-delay]")
    x = cell.input("x", INPUTS)
    h1, h2, h3 = (cell.signal(f"h{i}", SIZE) for i in (1, 2, 3))
    U1, U2, U3, W2, W3, F = (parameter(name, SIZE, SIZE) for name in ("U1", "U2", "U3", "W2", "W3", "F"))
    h1[t] = np.tanh(parameter("W1", SIZE, INPUTS) @ x[t] + U1 @ h1[t-1])
    h2[t] = np.tanh(W2 @ h1[t] + U2 @ h2[t-1] + F @ h3[t-delay])
    h3[t] = np.tanh(W3 @ h2[t] + U3 @ h3[t-1])
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        a, b, c = np.zeros(SIZE), np.zeros(SIZE), [np.zeros(SIZE)] * delay
        for k in range(STEPS):
            a = np.tanh(p["W1"] @ data()[k, n] + p["U1"] @ a)
            b = np.tanh(p["W2"] @ a + p["U2"] @ b + p["F"] @ c[-delay])
            c.append(np.tanh(p["W3"] @ b + p["U3"] @ c[-1]))
        expected[:, n] = c[delay:]
    assert_values(cell.unroll(x=data()), "h3", expected)
    assert_gradients(cell, "h3", x=data())


def test_jordan_the_output_feeds_back_to_the_hidden_layer() -> None:
    cell = Cell("Jordan")
    x, h, y = cell.input("x", INPUTS), cell.signal("h", SIZE), cell.signal("y", OUTPUTS)
    h[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + parameter("U", SIZE, OUTPUTS) @ y[t-1] + parameter("b", SIZE))
    y[t] = mg.sigmoid(parameter("V", OUTPUTS, SIZE) @ h[t])
    p, expected = values(cell), np.zeros((STEPS, BATCH, OUTPUTS))
    for n in range(BATCH):
        said = np.zeros(OUTPUTS)
        for k in range(STEPS):
            said = sigmoid(p["V"] @ np.tanh(p["W"] @ data()[k, n] + p["U"] @ said + p["b"]))
            expected[k, n] = said
    assert_values(cell.unroll(x=data()), "y", expected)
    assert_gradients(cell, "y", x=data())


def test_several_delays_read_the_history_that_is_given() -> None:
    cell = Cell("delays of 1, 2 and 4")
    x, h = cell.input("x", INPUTS), cell.signal("h", SIZE)
    U1, U2, U4 = (parameter(f"U{delay}", SIZE, SIZE) for delay in (1, 2, 4))
    h[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + U1 @ h[t-1] + U2 @ h[t-2] + U4 @ h[t-4])
    for k in (0, -1, -2, -3):
        h[k] = parameter(f"start {k}", SIZE)
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        past = [p[f"start {k}"] for k in (-3, -2, -1, 0)]
        for k in range(STEPS):
            past.append(np.tanh(p["W"] @ data()[k, n] + p["U1"] @ past[-1] + p["U2"] @ past[-2] + p["U4"] @ past[-4]))
        expected[:, n] = past[4:]
    assert_values(cell.unroll(x=data()), "h", expected)
    assert_gradients(cell, "h", x=data())


def test_loops_inside_of_loops() -> None:
    cell = Cell("a and b in a loop, each with one of its own, and c around both")
    x, a, b, c = cell.input("x", INPUTS), *(cell.signal(name, SIZE) for name in "abc")
    A, B, C, D, E, F = (parameter(name, SIZE, SIZE) for name in "ABCDEF")
    a[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + A @ a[t-1] + B @ b[t-1] + C @ c[t-2])
    b[t] = mg.sigmoid(D @ a[t] + E @ b[t-2])
    c[t] = F @ b[t]
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        u, v, w = np.zeros(SIZE), [np.zeros(SIZE)] * 2, [np.zeros(SIZE)] * 2
        for k in range(STEPS):
            u = np.tanh(p["W"] @ data()[k, n] + p["A"] @ u + p["B"] @ v[-1] + p["C"] @ w[-2])
            v.append(sigmoid(p["D"] @ u + p["E"] @ v[-2]))
            w.append(p["F"] @ v[-1])
        expected[:, n] = w[2:]
    assert_values(cell.unroll(x=data()), "c", expected)
    assert_gradients(cell, "c", x=data())


@pytest.mark.parametrize("every", [2, 3])
def test_a_slow_layer_is_updated_at_every_kth_step_and_holds_between(every: int) -> None:
    cell = Cell("a fast layer and a slow one")
    x, tick = cell.input("x", INPUTS), cell.input("tick", 1)
    fast, slow = cell.signal("fast", SIZE), cell.signal("slow", SIZE)
    U, V, S, F = (parameter(name, SIZE, SIZE) for name in "UVSF")
    fast[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + U @ fast[t-1] + V @ slow[t-1])
    slow[t] = tick[t] * np.tanh(F @ fast[t] + S @ slow[t-1]) + (1 - tick[t]) * slow[t-1]
    ticks = np.array([[float(k % every == 0)] for k in range(1, STEPS + 1)])
    run = cell.unroll(x=data(), tick=ticks)
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        u, v = np.zeros(SIZE), np.zeros(SIZE)
        for k in range(STEPS):
            u = np.tanh(p["W"] @ data()[k, n] + p["U"] @ u + p["V"] @ v)
            if (k + 1) % every == 0:
                v = np.tanh(p["F"] @ u + p["S"] @ v)
            expected[k, n] = v
    assert_values(run, "slow", expected)
    assert_gradients(cell, "fast", "slow", x=data(), tick=ticks)


def test_forward_and_backward_loops_may_follow_each_other() -> None:
    cell = Cell("there, back again and there")
    x, a, b, c = cell.input("x", INPUTS), *(cell.signal(name, SIZE) for name in "abc")
    A, B, C, D, E = (parameter(name, SIZE, SIZE) for name in "ABCDE")
    a[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + A @ a[t-1])
    b[t] = np.tanh(B @ a[t] + C @ b[t+1])
    c[t] = np.tanh(D @ b[t] + E @ c[t-1])
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        u, v, w = (np.zeros((STEPS + 2, SIZE)) for _ in range(3))
        for k in range(1, STEPS + 1):
            u[k] = np.tanh(p["W"] @ data()[k - 1, n] + p["A"] @ u[k - 1])
        for k in range(STEPS, 0, -1):
            v[k] = np.tanh(p["B"] @ u[k] + p["C"] @ v[k + 1])
        for k in range(1, STEPS + 1):
            w[k] = np.tanh(p["D"] @ v[k] + p["E"] @ w[k - 1])
        expected[:, n] = w[1:-1]
    assert_values(cell.unroll(x=data()), "c", expected)
    assert_gradients(cell, "c", x=data())


def test_forward_and_backward_loops_through_each_other_can_not_be_computed() -> None:
    cell = Cell("there and back at once")
    x, a, b = cell.input("x", SIZE), cell.signal("a", SIZE), cell.signal("b", SIZE)
    a[t] = np.tanh(x[t] + a[t-1] + b[t-1])
    b[t] = np.tanh(a[t] + b[t+1])
    with pytest.raises(DefinitionError, match="loops in both directions of time over the same signals"):
        cell.unroll(x=data(size=SIZE))


# ---- several layers
def test_a_deep_network_with_a_residual_connection() -> None:
    cell = Cell("two layers, the second adds what it reads")
    x, h1, h2, y = cell.input("x", INPUTS), *(cell.signal(name, SIZE) for name in ("h1", "h2", "y"))
    W, V, U1, U2 = parameter("W", SIZE, INPUTS), *(parameter(name, SIZE, SIZE) for name in ("V", "U1", "U2"))
    h1[t] = np.tanh(W @ x[t] + U1 @ h1[t-1])
    h2[t] = np.tanh(V @ h1[t] + U2 @ h2[t-1])
    y[t] = h1[t] + h2[t]
    p, expected = values(cell), np.zeros((STEPS, BATCH, SIZE))
    for n in range(BATCH):
        u, v = np.zeros(SIZE), np.zeros(SIZE)
        for k in range(STEPS):
            u = np.tanh(p["W"] @ data()[k, n] + p["U1"] @ u)
            v = np.tanh(p["V"] @ u + p["U2"] @ v)
            expected[k, n] = u + v
    assert_values(cell.unroll(x=data()), "y", expected)
    assert_gradients(cell, "y", x=data())


def test_a_bidirectional_network_on_a_bidirectional_network() -> None:
    cell = Cell("bidirectional, stacked, by hb[t+1] = ...")
    x = cell.input("x", INPUTS)
    f1, b1, f2, b2 = (cell.signal(name, SIZE) for name in ("f1", "b1", "f2", "b2"))
    Uf1, Ub1, Uf2, Ub2 = (parameter(f"U_{name}", SIZE, SIZE) for name in ("f1", "b1", "f2", "b2"))
    f1[t] = np.tanh(parameter("W_f1", SIZE, INPUTS) @ x[t] + Uf1 @ f1[t-1])
    b1[t] = np.tanh(parameter("W_b1", SIZE, INPUTS) @ x[t] + Ub1 @ b1[t+1])
    both = np.concatenate([f1[t], b1[t]], axis=-1)
    f2[t] = np.tanh(parameter("W_f2", SIZE, 2 * SIZE) @ both + Uf2 @ f2[t-1])
    b2[t] = np.tanh(parameter("W_b2", SIZE, 2 * SIZE) @ both + Ub2 @ b2[t+1])

    p = values(cell)

    def pass_over(name: str, sequence: Any) -> Any:
        state, states = np.zeros(SIZE), []
        for vector in sequence:
            state = np.tanh(p[f"W_{name}"] @ vector + p[f"U_{name}"] @ state)
            states.append(state)
        return np.array(states)

    run = cell.unroll(x=data())
    for n in range(BATCH):
        x_n = data()[:, n]
        joined = np.concatenate([pass_over("f1", x_n), pass_over("b1", x_n[::-1])[::-1]], axis=1)
        np.testing.assert_allclose(run["f2"].stack().data[:, n], pass_over("f2", joined), rtol=1e-11)
        np.testing.assert_allclose(run["b2"].stack().data[:, n], pass_over("b2", joined[::-1])[::-1], rtol=1e-11)
    assert_gradients(cell, "f2", "b2", x=data())


# ---- how networks are used
def encoder_and_decoder() -> tuple[Cell, Cell]:
    """The decoder reads at each step what should have been said before, or what it said: as the coin falls.

    Scheduled sampling: Bengio, Vinyals, Jaitly and Shazeer (NeurIPS 2015).
    """
    encoder, decoder = Cell("encoder"), Cell("decoder")
    x, h = encoder.input("x", INPUTS), encoder.signal("h", SIZE)
    h[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + parameter("U", SIZE, SIZE) @ h[t-1])

    target, coin = decoder.input("target", OUTPUTS), decoder.input("coin", 1)
    d, y, said = decoder.signal("d", SIZE), decoder.signal("y", OUTPUTS), decoder.signal("said", OUTPUTS)
    said[t] = coin[t] * target[t-1] + (1 - coin[t]) * y[t-1]
    d[t] = np.tanh(parameter("A", SIZE, OUTPUTS) @ said[t] + parameter("B", SIZE, SIZE) @ d[t-1])
    y[t] = parameter("V", OUTPUTS, SIZE) @ d[t]
    target[0] = 0  # the beginning of the sentence
    return encoder, decoder


COINS = {"teacher forcing": np.ones((4, BATCH, 1)), "its own output": np.zeros((4, BATCH, 1)),
         "scheduled sampling": np.random.default_rng(5).integers(0, 2, (4, BATCH, 1)).astype(float)}


@pytest.mark.parametrize("way", COINS)
def test_the_encoders_last_state_starts_the_decoder(way: str) -> None:
    encoder, decoder = encoder_and_decoder()
    target, coin = data(3, OUTPUTS, 4), COINS[way]
    read = encoder.unroll(x=data())
    run = decoder.unroll(target=target, coin=coin, initial={"d": read["h"][STEPS]})
    p, expected = {**values(encoder), **values(decoder)}, np.zeros((4, BATCH, OUTPUTS))
    for n in range(BATCH):
        state, said = np.zeros(SIZE), np.zeros(OUTPUTS)
        for k in range(STEPS):
            state = np.tanh(p["W"] @ data()[k, n] + p["U"] @ state)
        for k in range(4):
            if coin[k, n, 0]:
                said = target[k - 1, n] if k else np.zeros(OUTPUTS)
            state = np.tanh(p["A"] @ said + p["B"] @ state)
            said = expected[k, n] = p["V"] @ state
    assert_values(run, "y", expected)

    def loss() -> Any:
        read = encoder.unroll(x=data())
        run = decoder.unroll(target=target, coin=coin, initial={"d": read["h"][STEPS]})
        return mg.losses.mse(run["y"].stack(), target)

    assert mg.gradcheck(loss, {**encoder.parameters, **decoder.parameters}, rtol=1e-5, atol=1e-9) < 1e-4


def test_scheduled_sampling_is_reproducible_and_differs_from_both_other_modes() -> None:
    _, decoder = encoder_and_decoder()
    target = data(3, OUTPUTS, 4)
    again = np.random.default_rng(5).integers(0, 2, (4, BATCH, 1)).astype(float)
    said = [decoder.unroll(target=target, coin=coin)["y"].stack().data for coin in (again, *COINS.values())]
    sampled, forced, own, before = said
    np.testing.assert_array_equal(sampled, before)
    assert not np.array_equal(sampled, forced) and not np.array_equal(sampled, own)


def test_the_decoder_can_be_written_as_starting_at_the_encoders_state() -> None:
    encoder, decoder = encoder_and_decoder()
    given = {"target": data(3, OUTPUTS, 4), "coin": COINS["its own output"]}
    read = encoder.unroll(x=data())
    by_initial = decoder.unroll(**given, initial={"d": read["h"][STEPS]})["y"].stack().data
    decoder.signals["d"][0] = read["h"][STEPS]
    run = decoder.unroll(**given)
    np.testing.assert_array_equal(run["y"].stack().data, by_initial)
    run["y"].stack().sum().backward()
    assert encoder.parameters["W"].grad is not None and encoder.parameters["W"].grad.any()


def used() -> tuple[Cell, dict[str, Any]]:
    cell = Cell("Elman")
    x, h, y = cell.input("x", INPUTS), cell.signal("h", SIZE), cell.signal("y", OUTPUTS)
    h[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + parameter("U", SIZE, SIZE) @ h[t-1])
    y[t] = parameter("V", OUTPUTS, SIZE) @ h[t]
    return cell, values(cell)


def states(p: dict[str, Any], x: Any) -> Any:
    """h[1], h[2], ... of one sequence."""
    h, found = np.zeros(SIZE), []
    for vector in x:
        h = np.tanh(p["W"] @ vector + p["U"] @ h)
        found.append(h)
    return np.array(found)


def test_one_to_one_is_a_layer_without_a_loop() -> None:
    cell = Cell("one to one")
    x, y = cell.input("x", INPUTS), cell.signal("y", OUTPUTS)
    y[t] = np.tanh(parameter("W", OUTPUTS, INPUTS) @ x[t])
    assert_values(cell.unroll(x=data(steps=1)), "y", np.tanh(data(steps=1) @ values(cell)["W"].T))
    assert_gradients(cell, "y", x=data(steps=1))


def test_one_to_many_one_vector_starts_a_sequence() -> None:
    cell = Cell("one to many")
    x, h, y = cell.input("x", INPUTS), cell.signal("h", SIZE), cell.signal("y", OUTPUTS)
    h[t] = np.tanh(parameter("W", SIZE, INPUTS) @ x[t] + parameter("U", SIZE, SIZE) @ h[t-1])
    y[t] = parameter("V", OUTPUTS, SIZE) @ h[t]
    once = np.concatenate([data(steps=1), np.zeros((STEPS - 1, BATCH, INPUTS))])  # then nothing more
    p = values(cell)
    assert_values(cell.unroll(x=once), "y", np.stack([states(p, once[:, n]) @ p["V"].T for n in range(BATCH)], axis=1))
    assert_gradients(cell, "y", x=once)


def test_many_to_one_the_loss_depends_on_the_last_output_only() -> None:
    cell, p = used()
    run = cell.unroll(x=data())
    last = run["y"][STEPS]
    np.testing.assert_allclose(last.data, [p["V"] @ states(p, data()[:, n])[-1] for n in range(BATCH)], rtol=1e-12)
    mg.losses.cross_entropy(last, [0, 1, 1]).backward()
    assert run["h"][1].grad is not None and run["y"][1].grad is None

    def loss() -> Any:
        return mg.losses.cross_entropy(cell.unroll(x=data())["y"][STEPS], [0, 1, 1])

    assert mg.gradcheck(loss, cell.parameters, rtol=1e-5, atol=1e-9) < 1e-4


def test_many_to_many_aligned_the_loss_depends_on_every_output() -> None:
    cell, p = used()
    run = cell.unroll(x=data())
    assert_values(run, "y", np.stack([states(p, data()[:, n]) @ p["V"].T for n in range(BATCH)], axis=1))
    assert_gradients(cell, "y", x=data())


# ---- the two forms of the vanilla network
def test_the_two_vanilla_forms_are_one_network_for_tanh_sigmoid_and_relu(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    done = subprocess.run([sys.executable, "-m", "examples.equivalence", "--out", str(tmp_path)],
                          cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    title, _, head, *rows, _ = done.stdout.splitlines()
    assert title.startswith("form (i) against form (ii)") and head.split() == ["tanh", "sigmoid", "relu"]
    assert [row[:24].strip() for row in rows] == [
        "states: h - σ(a)", "loss", "dL/da - dL/dh · σ'(a)", "dL/dW", "dL/db", "dL/dV", "dL/da0", "dL/dx"]
    assert all(float(number) < 1e-14 for row in rows for number in row[24:].split())


@pytest.mark.parametrize("activation", [np.tanh, mg.sigmoid, mg.relu])
def test_the_cells_of_both_forms_have_states_mapped_onto_each_other(activation: Any) -> None:
    both = Cell("both forms of one network")
    x = both.input("x", INPUTS)
    first = cells.vanilla(both, x, SIZE, form="i", name="i", rng=np.random.default_rng(0), activation=activation)
    second = cells.vanilla(both, x, SIZE, form="ii", name="ii", rng=np.random.default_rng(0), activation=activation)
    start = parameter("a0", SIZE)
    first[0], second[0] = activation(start), start
    run = both.unroll(x=data())
    np.testing.assert_allclose(run["i.h"].stack().data, activation(run["ii.h"].stack()).data, rtol=1e-13, atol=1e-15)
