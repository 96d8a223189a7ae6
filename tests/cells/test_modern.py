"""Every modern cell against the paper's formula, in a loop over single sequences, and against central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cell_loops import Loop, Parameters, by_hand, sigmoid, softplus, values

import minigrad as mg
from rnn import Cell, Signal, cells, t
from rnn.cells import modern

INPUTS, SIZE, KEYS, STEPS, BATCH = 2, 4, 3, 5, 3
X = np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS))
LENGTHS = [5, 2, 4]


def unit(a: Any) -> Any:
    return a / np.linalg.norm(a)


# ---- the formulas of the papers, for one sequence (T, inputs): yields an output at each step
def linear_attention(p: Parameters, x: Any) -> Iterator[Any]:
    def phi(a: Any) -> Any:
        return np.where(a > 0, a + 1, np.exp(a))

    for k in range(len(x)):  # the quadratic form: a sum over the past, with weights that are normalised
        weights = np.array([phi(p["W_q"] @ x[k]) @ phi(p["W_k"] @ x[j]) for j in range(k + 1)])
        values = np.array([p["W_v"] @ x[j] for j in range(k + 1)])
        yield weights / weights.sum() @ values


def without_divisor(p: Parameters, x: Any) -> Iterator[Any]:
    def phi(a: Any) -> Any:
        return np.where(a > 0, a + 1, np.exp(a))

    for k in range(len(x)):
        yield sum((phi(p["W_q"] @ x[k]) @ phi(p["W_k"] @ x[j])) * (p["W_v"] @ x[j]) for j in range(k + 1))


def delta_net(p: Parameters, x: Any) -> Iterator[Any]:
    S = np.zeros((SIZE, KEYS))
    for u in x:
        k, beta = unit(p["W_k"] @ u), sigmoid(p["w_beta"] @ u)
        alpha = np.exp(-np.exp(p["a"]) * softplus(p["w_alpha"] @ u + p["b_alpha"])) if "a" in p else 1
        S = alpha * S @ (np.eye(KEYS) - beta * np.outer(k, k)) + beta * np.outer(p["W_v"] @ u, k)
        yield S @ unit(p["W_q"] @ u)


def mlstm(p: Parameters, x: Any) -> Iterator[Any]:
    C, n = np.zeros((SIZE, KEYS)), np.zeros(KEYS)
    for u in x:
        q, v = p["W_q"] @ u + p["b_q"], p["W_v"] @ u + p["b_v"]
        k = KEYS ** -0.5 * (p["W_k"] @ u) + p["b_k"]
        i, f = np.exp(p["w_i"] @ u + p["b_i"]), sigmoid(p["w_f"] @ u + p["b_f"])
        C, n = f * C + i * np.outer(v, k), f * n + i * k
        yield sigmoid(p["W_o"] @ u + p["b_o"]) * (C @ q) / max(abs(n @ q), 1)


def slstm(p: Parameters, x: Any) -> Iterator[Any]:
    h, c, n = np.zeros(SIZE), np.zeros(SIZE), np.zeros(SIZE)
    for u in x:
        z, i, f, o = (p[f"W_{g}"] @ u + p[f"R_{g}"] @ h + p[f"b_{g}"] for g in "zifo")
        c, n = sigmoid(f) * c + np.exp(i) * np.tanh(z), sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        yield h


def min_gru(p: Parameters, x: Any) -> Iterator[Any]:
    h = np.zeros(SIZE)
    for u in x:
        z = sigmoid(p["W_z"] @ u + p["b_z"])
        h = h + z * (p["W_h"] @ u + p["b_h"] - h)
        yield h


def rwkv(p: Parameters, x: Any) -> Iterator[Any]:
    w = np.exp(p["decay"])
    past = np.concatenate([np.zeros((1, INPUTS)), x])
    mixed = {g: [p[f"W_{g}"] @ (p[f"mu_{g}"] * b + (1 - p[f"mu_{g}"]) * a) for a, b in zip(past, x)] for g in "rkv"}
    for n in range(len(x)):  # sums over the past, with weights that decay
        weights = [np.exp(mixed["k"][j] - (n - 1 - j) * w) for j in range(n)] + [np.exp(p["u"] + mixed["k"][n])]
        wkv = sum(a * v for a, v in zip(weights, mixed["v"])) / sum(weights)
        yield p["W_y"] @ (sigmoid(mixed["r"][n]) * wkv)


def mamba(p: Parameters, x: Any) -> Iterator[Any]:
    A, states = -np.exp(p["log_A"]), p["log_A"].shape[1]
    h = np.zeros((SIZE, states))
    for row in x:
        u = p["W_u"] @ row
        delta, B, C = softplus(p["W_delta"] @ p["W_r"] @ u + p["b_delta"]), p["W_B"] @ u, p["W_C"] @ u
        y = np.zeros(SIZE)
        for d in range(SIZE):
            for s in range(states):
                h[d, s] = np.exp(delta[d] * A[d, s]) * h[d, s] + delta[d] * B[s] * u[d]
            y[d] = h[d] @ C + p["D"][d] * u[d]
        yield y


def lru(p: Parameters, x: Any) -> Iterator[Any]:
    lam = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    B, C = p["B_re"] + 1j * p["B_im"], p["C_re"] + 1j * p["C_im"]
    for n in range(len(x)):  # the convolution, not the recurrence
        s = sum(lam ** (n - j) * np.exp(p["gamma"]) * (B @ x[j]) for j in range(n + 1))
        yield (C @ s).real + p["D"] @ x[n]


CASES = [
    pytest.param(modern.linear_attention, {"keys": KEYS}, linear_attention, id="linear_attention"),
    pytest.param(modern.linear_attention, {"keys": KEYS, "normalised": False}, without_divisor, id="without divisor"),
    pytest.param(modern.delta_net, {"keys": KEYS}, delta_net, id="delta_net"),
    pytest.param(modern.delta_net, {"keys": KEYS, "gated": True}, delta_net, id="gated delta_net"),
    pytest.param(modern.mlstm, {"keys": KEYS}, mlstm, id="mlstm"),
    pytest.param(modern.slstm, {}, slstm, id="slstm"),
    pytest.param(modern.min_gru, {}, min_gru, id="min_gru"),
    pytest.param(modern.rwkv, {}, rwkv, id="rwkv"),
    pytest.param(modern.mamba, {"states": KEYS, "rank": 2}, mamba, id="mamba"),
    pytest.param(modern.lru, {"states": KEYS}, lru, id="lru"),
]
every_cell = pytest.mark.parametrize(("make", "options", "loop"), CASES)


def made(make: Callable[..., Signal], **options: Any) -> tuple[Cell, str]:
    """Return a definition of one cell over an input, with random parameters, and the name of its output."""
    cell = Cell()
    y = make(cell, cell.input("x", INPUTS), SIZE, name="a", rng=np.random.default_rng(0), **options)
    random = np.random.default_rng(2)
    for p in cell.parameters.values():
        p.data = 0.7 * random.normal(size=p.shape)
    loss = cell.signal("L", ())
    loss[t] = (y[t] * np.cos(np.arange(1.0, SIZE + 1))).sum() + (y[t] * y[t]).sum()
    return cell, y.name


@every_cell
def test_a_cell_computes_the_formula_of_its_paper(make: Any, options: Any, loop: Loop) -> None:
    cell, y = made(make, **options)
    expected = by_hand(loop, values(cell), X)
    np.testing.assert_allclose(cell.unroll(x=X)[y].stack().data, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(cell.compile()(x=X)[y], expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_a_reversed_cell_runs_from_the_end(make: Any, options: Any, loop: Loop) -> None:
    cell, y = made(make, reversed=True, **options)
    expected = by_hand(loop, values(cell), X[::-1])[::-1]
    np.testing.assert_allclose(cell.unroll(x=X)[y].stack().data, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(cell.compile()(x=X)[y], expected, rtol=1e-10, atol=1e-10)


@every_cell
@pytest.mark.parametrize("backward", [False, True])
def test_each_sequence_is_computed_to_its_own_length(make: Any, options: Any, loop: Loop, backward: bool) -> None:
    cell, y = made(make, reversed=backward, **options)
    run, fast = cell.unroll(x=X, lengths=LENGTHS), cell.compile()(x=X, lengths=LENGTHS)
    way = slice(None, None, -1 if backward else 1)
    for n, length in enumerate(LENGTHS):
        expected = by_hand(loop, values(cell), X[:length, n:n + 1][way])[way][:, 0]
        np.testing.assert_allclose(run[y].stack().data[:length, n], expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(fast[y][:length, n], expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_gradients_are_the_slopes_of_the_loss(make: Any, options: Any, loop: Loop) -> None:
    cell, _ = made(make, **options)
    x = X[:4, :2]
    parameters = list(cell.parameters.values())

    def loss() -> Any:
        return cell.unroll(x=x)["L"].stack().sum()

    found = mg.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, found):
        slope = mg.numeric_gradient(loss, parameter)
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-7, err_msg=parameter.name)


@every_cell
@pytest.mark.parametrize(("data", "backward"), [
    ({}, False), ({"lengths": LENGTHS}, False), ({"lengths": LENGTHS}, True), ({"chunks": 4}, False)], ids=str)
def test_the_compiled_gradients_are_those_of_backward(make: Any, options: Any, loop: Loop, data: Any,
                                                            backward: bool) -> None:
    cell, _ = made(make, reversed=backward, **options)
    parameters = cell.parameters
    total = cell.unroll(x=X, **data)["L"].stack().sum()
    expected = mg.grad(total, list(parameters.values()))
    found, _ = cell.compile("L")(x=X, **data)
    np.testing.assert_allclose(found, total.item(), rtol=1e-12)
    for (name, parameter), gradient in zip(parameters.items(), expected):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-11 * max(abs(gradient).max(), 1),
                                   err_msg=name)


@every_cell
def test_tied_layers_read_the_same_parameters(make: Any, options: Any, loop: Loop) -> None:
    cell, y = Cell(), "b"
    x, rng = cell.input("x", INPUTS), np.random.default_rng(0)
    make(cell, x, SIZE, name="a", rng=rng, **options)
    own = cells.parameters_of(cell, "a")
    y = make(cell, x, SIZE, name="b", rng=rng, parameters=own, **options).name
    assert list(cell.parameters) == [f"a.{label}" for label in own]
    expected = by_hand(loop, values(cell), X)
    np.testing.assert_allclose(cell.unroll(x=X)[y].stack().data, expected, rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="c has no parameter 'W_no'"):
        make(cell, x, SIZE, name="c", rng=rng, parameters={"W_no": own[next(iter(own))]}, **options)
    assert not [name for name in cell.signals if name.startswith("c.")]


@every_cell
def test_a_cell_of_float32_stays_one(make: Any, options: Any, loop: Loop) -> None:
    cell = Cell()
    y = make(cell, cell.input("x", INPUTS), SIZE, name="a", rng=np.random.default_rng(0), dtype=np.float32, **options)
    assert {p.dtype for p in cell.parameters.values()} == {np.dtype(np.float32)}
    found = cell.unroll(x=X.astype(np.float32))[y.name].stack()
    assert found.dtype == np.float32
    assert np.abs(found.data - by_hand(loop, values(cell), X)).max() < 1e-4


@every_cell
def test_layers_and_directions_combine_with_every_cell(make: Any, options: Any, loop: Loop) -> None:
    cell = Cell()
    y = cells.stacked(cell, make, cell.input("x", INPUTS), [SIZE, SIZE], name="net", rng=np.random.default_rng(0),
                      directions=2, **options)
    p = {name: tensor.data for name, tensor in cell.parameters.items()}
    layer = X
    for number in "12":
        prefixes = [f"net.{number}.{way}." for way in ("forward", "backward")]
        own = [{name.removeprefix(prefix): a for name, a in p.items() if name.startswith(prefix)}
               for prefix in prefixes]
        both = []
        for way, parameters in zip((1, -1), own):
            both.append(np.stack([np.array(list(_over(loop, parameters, layer[::way, n]))) for n in range(BATCH)],
                                 axis=1)[::way])
        layer = np.concatenate(both, axis=-1)
    np.testing.assert_allclose(cell.unroll(x=X)[y.name].stack().data, layer, rtol=1e-10, atol=1e-10)


def _over(loop: Loop, p: Parameters, x: Any) -> Iterator[Any]:
    """Run a loop over inputs of another length than INPUTS."""
    global INPUTS
    before, INPUTS = INPUTS, x.shape[1]
    try:
        yield from loop(p, x)
    finally:
        INPUTS = before


# ---- single cells
@pytest.mark.parametrize("make", [modern.mlstm, modern.slstm])
def test_large_gates_do_not_overflow(make: Any) -> None:
    """Both are ratios of sums, so a constant added to every input gate changes nothing but the bound of mLSTM."""
    cell, y = made(make, **({"keys": KEYS} if make is modern.mlstm else {}))
    bias = cell.parameters["a.b_i"]
    bias.data = bias.data + 20.0
    reference = cell.unroll(x=X)[y].stack().data
    bias.data = bias.data + 1000.0  # exp(1020) is no number
    run = cell.unroll(x=X)
    np.testing.assert_allclose(run[y].stack().data, reference, rtol=1e-9)
    gradients = mg.grad(run["L"].stack().sum(), list(cell.parameters.values()))
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_large_keys_of_rwkv_do_not_overflow() -> None:
    cell, y = made(modern.rwkv)
    cell.parameters["a.W_k"].data = 2000 * cell.parameters["a.W_k"].data
    run = cell.unroll(x=X)
    assert np.isfinite(run[y].stack().data).all()
    gradients = mg.grad(run["L"].stack().sum(), list(cell.parameters.values()))
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_delta_rule_replaces_what_is_stored_at_a_key() -> None:
    """With β near 1, the memory returns the last value that was written at a key."""
    cell, y = Cell(), "a.y"
    modern.delta_net(cell, cell.input("x", 3), 1, keys=2, name="a", rng=np.random.default_rng(0))
    for label, value in {"W_q": [[1, 0, 0], [0, 1, 0]], "W_k": [[1, 0, 0], [0, 1, 0]], "W_v": [[0, 0, 1]],
                         "w_beta": [50, 50, 0]}.items():
        cell.parameters[f"a.{label}"].data = np.array(value, float)
    written = np.array([[1, 0, 5], [0, 1, 7], [1, 0, 6], [0, 1, 8.0]])
    np.testing.assert_allclose(cell.unroll(x=written)[y].stack().data[:, 0], [5, 7, 6, 8], rtol=1e-9)


def test_the_moduli_of_the_lru_start_within_their_bounds() -> None:
    cell = Cell()
    modern.lru(cell, cell.input("x", INPUTS), SIZE, states=200, name="a", rng=np.random.default_rng(0), r_min=0.5,
               r_max=0.9)
    modulus = np.exp(-np.exp(cell.parameters["a.nu"].data))
    assert 0.5 <= modulus.min() < 0.55 and 0.87 < modulus.max() <= 0.9
    np.testing.assert_allclose(np.exp(cell.parameters["a.gamma"].data), np.sqrt(1 - modulus ** 2))


def test_the_step_size_of_mamba_starts_between_a_thousandth_and_a_tenth() -> None:
    cell = Cell()
    modern.mamba(cell, cell.input("x", INPUTS), 200, states=2, name="a", rng=np.random.default_rng(0))
    start = softplus(cell.parameters["a.b_delta"].data)
    assert 0.001 <= start.min() < 0.0015 and 0.08 < start.max() <= 0.1
    np.testing.assert_allclose(-np.exp(cell.parameters["a.log_A"].data), np.tile([-1.0, -2.0], (200, 1)))


def test_the_lru_checks_its_ring() -> None:
    with pytest.raises(ValueError, match=r"0 <= r_min < r_max < 1 .*not 0\.4 and 1\.5 \(at test_modern.py:\d+\)"):
        cell = Cell()
        cells.modern.lru(cell, cell.input("x", 2), 2, states=3, r_max=1.5, name="l", rng=np.random.default_rng(0))
