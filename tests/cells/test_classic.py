"""Every cell: against a loop over single vectors, against PyTorch's layers, and against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import above, case

import minigrad as mg
from rnn import Cell, Run, Signal, T, cells, interop, t

INPUTS, SIZE, STEPS, BATCH = 2, 3, 4, 2
Parameters = dict[str, Any]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def data(steps: int = STEPS) -> Any:
    return np.random.default_rng(1).normal(size=(steps, BATCH, INPUTS))


def made(make: Callable[..., Signal], *arguments: Any, **options: Any) -> tuple[Cell, Signal]:
    """A definition of one cell over an input, all of whose parameters are random, its biases too."""
    cell = Cell()
    x = cell.input("x", INPUTS)
    h = make(cell, x, SIZE, *arguments, name="a", rng=rng(), **options)
    random = np.random.default_rng(2)
    for p in cell.parameters.values():
        p.data = random.normal(size=p.shape)
    return cell, h


def values(cell: Cell) -> Parameters:
    return {name.removeprefix("a."): p.data for name, p in cell.parameters.items()}


def output(cell: Cell, h: Signal, x: Any) -> Any:
    return cell.unroll(x=x)[h.name].stack().data


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def by_hand(step: Callable[..., tuple[Any, ...]], p: Parameters, x: Any, states: int = 1) -> Any:
    """Every sequence on its own, vector by vector; a step returns the output and the new states."""
    sequences = []
    for n in range(BATCH):
        state: tuple[Any, ...] = (np.zeros(SIZE),) * states
        outputs = []
        for k in range(len(x)):
            y, *rest = step(p, x[k, n], *state)
            state = tuple(rest)
            outputs.append(y)
        sequences.append(outputs)
    return np.stack(sequences, axis=1)


# ---- the equations, as a beginner would program them
def elman(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = np.tanh(p["W"] @ x + p["U"] @ h + p["b"])
    return h, h


def elman_sigmoid(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = sigmoid(p["W"] @ x + p["U"] @ h + p["b"])
    return h, h


def elman_relu(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = np.maximum(p["W"] @ x + p["U"] @ h + p["b"], 0)
    return h, h


def elman_two_biases(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = np.tanh(p["W"] @ x + p["b_x"] + p["U"] @ h + p["b_h"])
    return h, h


def elman_no_bias(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = np.tanh(p["W"] @ x + p["U"] @ h)
    return h, h


def neurons(p: Parameters, x: Any, y: Any) -> tuple[Any, ...]:
    y = np.tanh(x @ p["W_x"] + y @ p["W_y"] + p["b"])
    return y, y


def vanilla_i(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = np.tanh(p["W"][:, :INPUTS] @ x + p["W"][:, INPUTS:] @ h + p["b"])
    return h, h


def vanilla_ii(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    h = p["W"][:, :INPUTS] @ x + p["W"][:, INPUTS:] @ np.tanh(h) + p["b"]
    return h, h


def jordan(p: Parameters, x: Any, y: Any) -> tuple[Any, ...]:
    h = np.tanh(p["W_h"] @ x + p["U_h"] @ y + p["b_h"])
    y = sigmoid(p["W_y"] @ h + p["b_y"])
    return y, y


def total(p: Parameters, gate: str, h: Any, x: Any) -> Any:
    """W h + U x + b, of a gate whose matrix multiplies [h, x]."""
    W = p[f"W_{gate}"]
    return W[:, :SIZE] @ h + W[:, SIZE:] @ x + p[f"b_{gate}"]


def lstm(p: Parameters, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    f, i, o = (sigmoid(total(p, gate, h, x)) for gate in "fio")
    c = f * c + i * np.tanh(total(p, "g", h, x))
    h = o * np.tanh(c)
    return h, h, c


def lstm_1997(p: Parameters, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    i, o = (sigmoid(total(p, gate, h, x)) for gate in "io")
    c = c + i * np.tanh(total(p, "g", h, x))
    h = o * np.tanh(c)
    return h, h, c


def lstm_coupled(p: Parameters, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    f, o = (sigmoid(total(p, gate, h, x)) for gate in "fo")
    c = f * c + (1 - f) * np.tanh(total(p, "g", h, x))
    h = o * np.tanh(c)
    return h, h, c


def lstm_diagonal_peepholes(p: Parameters, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    f, i = (sigmoid(total(p, gate, h, x) + p[f"p_{gate}"] * c) for gate in "fi")
    c = f * c + i * np.tanh(total(p, "g", h, x))
    o = sigmoid(total(p, "o", h, x) + p["p_o"] * c)
    h = o * np.tanh(c)
    return h, h, c


def lstm_full_peepholes(p: Parameters, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    f, i = (sigmoid(total(p, gate, h, x) + p[f"P_{gate}"] @ c) for gate in "fi")
    c = f * c + i * np.tanh(total(p, "g", h, x))
    o = sigmoid(total(p, "o", h, x) + p["P_o"] @ c)
    h = o * np.tanh(c)
    return h, h, c


def gru_of_cho(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    r, z = sigmoid(total(p, "r", h, x)), sigmoid(total(p, "z", h, x))
    h = z * h + (1 - z) * np.tanh(total(p, "n", r * h, x))
    return h, h


def gru_of_chung(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    r, u = sigmoid(total(p, "r", h, x)), sigmoid(total(p, "u", h, x))
    h = (1 - u) * h + u * np.tanh(total(p, "n", r * h, x))
    return h, h


def gru_of_torch(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    r, z = sigmoid(total(p, "r", h, x)), sigmoid(total(p, "z", h, x))
    n = np.tanh(p["W_xn"] @ x + p["b_xn"] + r * (p["W_hn"] @ h + p["b_hn"]))
    h = (1 - z) * n + z * h
    return h, h


def gru_replaces_after(p: Parameters, x: Any, h: Any) -> tuple[Any, ...]:
    r, u = sigmoid(total(p, "r", h, x)), sigmoid(total(p, "u", h, x))
    n = np.tanh(p["W_xn"] @ x + p["b_xn"] + r * (p["W_hn"] @ h + p["b_hn"]))
    h = u * n + (1 - u) * h
    return h, h


CELLS: dict[str, tuple[Callable[..., Signal], dict[str, Any], Callable[..., tuple[Any, ...]], int]] = {
    "elman": (cells.elman, {}, elman, 1),
    "elman, sigmoid": (cells.elman, {"activation": mg.sigmoid}, elman_sigmoid, 1),
    "elman, relu": (cells.elman, {"activation": mg.relu}, elman_relu, 1),
    "elman, two biases": (cells.elman, {"biases": 2}, elman_two_biases, 1),
    "elman, no bias": (cells.elman, {"biases": 0}, elman_no_bias, 1),
    "neurons": (cells.neurons, {}, neurons, 1),
    "vanilla (i)": (cells.vanilla, {"form": "i"}, vanilla_i, 1),
    "vanilla (ii)": (cells.vanilla, {"form": "ii"}, vanilla_ii, 1),
    "jordan": (cells.jordan, {"outputs": SIZE, "output_activation": mg.sigmoid}, jordan, 1),
    "lstm": (cells.lstm, {}, lstm, 2),
    "lstm of 1997": (cells.lstm, {"forget_gate": False}, lstm_1997, 2),
    "lstm, coupled": (cells.lstm, {"coupled": True}, lstm_coupled, 2),
    "lstm, diagonal peepholes": (cells.lstm, {"peephole": "diagonal"}, lstm_diagonal_peepholes, 2),
    "lstm, full peepholes": (cells.lstm, {"peephole": "full"}, lstm_full_peepholes, 2),
    "gru of Cho": (cells.gru, {"update": "keeps", "reset": "before"}, gru_of_cho, 1),
    "gru of Chung": (cells.gru, {"update": "replaces", "reset": "before"}, gru_of_chung, 1),
    "gru of PyTorch": (cells.gru, {}, gru_of_torch, 1),
    "gru, replaces, after": (cells.gru, {"update": "replaces", "reset": "after"}, gru_replaces_after, 1),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_computes_what_a_loop_over_vectors_computes(name: str) -> None:
    make, options, step, states = CELLS[name]
    cell, h = made(make, **options)
    np.testing.assert_allclose(output(cell, h, data()), by_hand(step, values(cell), data(), states), rtol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_a_reversed_cell_reads_from_the_end_to_the_beginning(name: str) -> None:
    make, options, step, states = CELLS[name]
    cell, h = made(make, reversed=True, **options)
    expected = by_hand(step, values(cell), data()[::-1], states)[::-1]
    np.testing.assert_allclose(output(cell, h, data()), expected, rtol=1e-12)


@pytest.mark.parametrize("reversed", mostly_slow([False, True], 1))
@pytest.mark.parametrize("name", CELLS)
def test_the_gradient_of_every_parameter_agrees_with_central_differences(name: str, reversed: bool) -> None:
    make, options, _, _ = CELLS[name]
    cell, h = made(make, reversed=reversed, **options)

    def loss() -> Any:
        y = cell.unroll(x=data(3))[h.name].stack()
        return (y * y * np.arange(1, y.size + 1).reshape(y.shape)).mean()

    assert mg.gradcheck(loss, cell.parameters, rtol=1e-5, atol=1e-9) < 1e-4


@pytest.mark.parametrize("name", CELLS)
def test_every_signal_is_named_and_every_parameter_is_used(name: str) -> None:
    make, options, _, _ = CELLS[name]
    cell, h = made(make, **options)
    run = cell.unroll(x=data())
    assert h.name.startswith("a.") and all(signal in run for signal in cell.signals)
    run[h.name].stack().sum().backward()
    assert all(p.grad is not None for p in cell.parameters.values())


# ---- the abstraction
def test_the_abstraction_takes_any_recurrence_and_any_output() -> None:
    A, B, C = (mg.init.normal(shape, rng(), name=name) for name, shape in [("A", (3, 3)), ("B", (3, 2)), ("C", (2, 3))])

    def R(s: Any, x: Any) -> Any:
        return mg.softplus(A @ s + B @ x)

    def O(s: Any) -> Any:  # noqa: E743
        return mg.sigmoid(C @ s)

    cell = Cell()
    y = cells.abstract(cell, cell.input("x", 2), 3, R, O, name="any")
    run = cell.unroll(x=data())
    for n in range(BATCH):
        s = np.zeros(3)
        for k in range(1, STEPS + 1):
            s = np.log1p(np.exp(A.data @ s + B.data @ data()[k - 1, n]))
            np.testing.assert_allclose(run["any.s"][k].data[n], s, rtol=1e-12)
            np.testing.assert_allclose(run[y.name][k].data[n], sigmoid(C.data @ s), rtol=1e-12)


def test_the_abstraction_without_input_and_output_is_an_autonomous_system() -> None:
    cell = Cell()
    s = cells.abstract(cell, None, 1, lambda s: 2 * s, name="double")
    s[0] = 1.0
    assert cell.unroll(T=10)["double.s"][10].item() == 1024


def test_the_abstraction_runs_backward_too() -> None:
    cell = Cell()
    s = cells.abstract(cell, cell.input("x", INPUTS), INPUTS, lambda s, x: s + x, name="sum", reversed=True)
    np.testing.assert_allclose(output(cell, s, data()), np.cumsum(data()[::-1], axis=0)[::-1])


# ---- PyTorch's layers
TORCH = {name: stored for name, stored in case("torch_cells").items() if name != "source"}
MAKE = {"rnn": cells.elman, "lstm": cells.lstm, "gru": cells.gru}


def like_torch(stored: Any, **options: Any) -> tuple[Cell, Signal, list[str]]:
    """The definition of one of PyTorch's layers, and the names of its cells in PyTorch's order."""
    of_torch = stored["options"]
    directions = 2 if of_torch.get("bidirectional") else 1
    layers = of_torch.get("num_layers", 1)
    if of_torch.get("nonlinearity") == "relu":
        options["activation"] = mg.relu
    if "proj_size" in of_torch:
        options["projection"] = of_torch["proj_size"]
    options.setdefault("biases", 2 if of_torch.get("bias", True) else 0)
    cell = Cell()
    y = cells.stacked(cell, MAKE[stored["kind"]], cell.input("x", INPUTS), [SIZE] * layers, name="net", rng=rng(),
                      directions=directions, **options)
    names = [f"net.{k}{end}" for k in range(1, layers + 1)
             for end in ([".forward", ".backward"] if directions == 2 else [""])]
    return cell, y, names


def start(stored: Any, cell: Cell, names: list[str]) -> list[list[mg.Tensor]]:
    """PyTorch's h_0 (and c_0) as the cells' initial values; of the reversed ones, after the end."""
    tensors: list[list[mg.Tensor]] = []
    for label, both in zip("hc", stored["start"]):
        tensors.append([mg.Tensor(value, requires_grad=True, name=f"{label}0 {name}")
                        for name, value in zip(names, both)])
        for name, value in zip(names, tensors[-1]):
            signal = cell.signals[f"{name}.{label}"]
            signal[T + 1 if name.endswith("backward") else 0] = value
    return tensors


def last(run: Run, name: str, label: str) -> mg.Tensor:
    return run[f"{name}.{label}"][1 if name.endswith("backward") else run.T]


def compare(stored: Any, cell: Cell, y: Signal, names: list[str]) -> dict[str, mg.Tensor]:
    """Outputs, last states, the loss, and the gradients of the data and of the initial states."""
    tensors = start(stored, cell, names)
    x = mg.Tensor(stored["x"], requires_grad=True)
    run = cell.unroll(x=x)
    outputs = run[y.name].stack()
    np.testing.assert_allclose(outputs.data, stored["y"], rtol=1e-11)
    ends = [[last(run, name, label) for name in names] for label in "hc"[:len(tensors)]]
    for found, expected in zip(ends, stored["end"]):
        np.testing.assert_allclose(np.stack([end.data for end in found]), expected, rtol=1e-11)
    loss = (outputs * np.array(stored["weights"])).sum() + mg.stack([end.sum() for both in ends for end in both]).sum()
    assert loss.item() == pytest.approx(stored["loss"], rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(x.grad, stored["grads"]["x"], rtol=1e-10, atol=1e-13)
    for found, expected in zip(tensors, stored["grads"]["start"]):
        np.testing.assert_allclose(np.stack([tensor.grad for tensor in found]), expected, rtol=1e-10, atol=1e-13)
    return {name: p for name, p in cell.parameters.items() if name.startswith("net.")}


@pytest.mark.parametrize(("name", "options"), [
    *((name, {}) for name in TORCH), *((name, {"update": "replaces"}) for name in TORCH if "gru" in name)])
def test_a_cell_agrees_with_pytorchs_layer_in_values_and_in_every_gradient(name: str, options: Any) -> None:
    stored = TORCH[name]
    cell, y, names = like_torch(stored, **options)
    bidirectional = "bidirectional" in stored["options"]
    interop.from_torch(cell, stored["state"], names, bidirectional=bidirectional)
    parameters = compare(stored, cell, y, names)
    expected, _, _ = like_torch(stored, **options)  # the gradients, cut by the same names
    gradients = {key: value for key, value in stored["grads"].items() if key in stored["state"]}
    interop.from_torch(expected, gradients, names, bidirectional=bidirectional)
    assert parameters.keys() == expected.parameters.keys()
    for key, p in parameters.items():
        np.testing.assert_allclose(p.grad, expected.parameters[key].data, rtol=1e-10, atol=1e-13, err_msg=key)


@pytest.mark.parametrize("name", [name for name in TORCH if "without_bias" not in name])
def test_one_bias_is_the_sum_of_pytorchs_two(name: str) -> None:
    cell, y, names = like_torch(TORCH[name], biases=1)
    interop.from_torch(cell, TORCH[name]["state"], names, bidirectional="bidirectional" in TORCH[name]["options"])
    compare(TORCH[name], cell, y, names)


# ---- initial values
def test_the_initial_bias_of_the_forget_gate_is_one() -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    cells.lstm(cell, x, SIZE, name="one", rng=rng())
    cells.lstm(cell, x, SIZE, name="two", rng=rng(), biases=2, forget_bias=3.0)
    cells.lstm(cell, x, SIZE, name="none", rng=rng(), biases=0)
    biases = {name: set(p.data) for name, p in cell.parameters.items() if p.ndim == 1}
    assert biases == {"one.b_f": {1.0}, "one.b_i": {0.0}, "one.b_g": {0.0}, "one.b_o": {0.0},
                      "two.b_xf": {3.0}, "two.b_hf": {0.0}, "two.b_xi": {0.0}, "two.b_hi": {0.0},
                      "two.b_xg": {0.0}, "two.b_hg": {0.0}, "two.b_xo": {0.0}, "two.b_ho": {0.0}}


def test_recurrent_matrices_are_initially_orthogonal_and_gates_differ() -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    cells.lstm(cell, x, 5, name="a", rng=rng())
    cells.gru(cell, x, 5, name="b", rng=rng())
    cells.vanilla(cell, x, 5, form="i", name="c", rng=rng())
    p = {name: tensor.data for name, tensor in cell.parameters.items()}
    recurrent = [p["a.W_f"][:, :5], p["a.W_i"][:, :5], p["b.W_z"][:, :5], p["b.W_hn"], p["c.W"][:, INPUTS:]]
    for U in recurrent:
        np.testing.assert_allclose(U @ U.T, np.eye(5), atol=1e-12)
    assert not np.allclose(p["a.W_f"], p["a.W_i"]) and not np.allclose(p["b.W_z"], p["b.W_r"])


def test_equal_seeds_make_equal_cells() -> None:
    first, second = made(cells.lstm)[0], made(cells.lstm)[0]
    for a, b in zip(first.parameters.values(), second.parameters.values()):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("name", CELLS)
def test_the_requested_dtype_applies_to_parameters_states_and_gradients(name: str) -> None:
    make, options, _, _ = CELLS[name]
    cell, h = made(make, dtype=np.float32, **options)
    run = cell.unroll(x=data().astype(np.float32))
    run[h.name].stack().sum().backward()
    assert {run[signal][k].dtype for signal in cell.signals for k in range(1, STEPS + 1)} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in cell.parameters.values() if p.grad is not None} == {np.dtype(np.float32)}


# ---- gates are named
@pytest.mark.parametrize(("name", "gates", "matrices"), [
    ("lstm", "fig o c h", ["W_f", "W_i", "W_g", "W_o"]),
    ("lstm of 1997", "igo c h", ["W_i", "W_g", "W_o"]),
    ("lstm, coupled", "figo c h", ["W_f", "W_g", "W_o"]),
    ("lstm, diagonal peepholes", "figo c h", ["W_f", "W_i", "W_g", "W_o"]),
    ("gru of Cho", "rzn h", ["W_r", "W_z", "W_n"]),
    ("gru of Chung", "run h", ["W_r", "W_u", "W_n"]),
    ("gru of PyTorch", "rzn h", ["W_r", "W_z", "W_xn", "W_hn"]),
])
def test_gates_are_signals_and_their_matrices_parameters_of_their_own(name: str, gates: str,
                                                                      matrices: list[str]) -> None:
    make, options, _, _ = CELLS[name]
    cell, _ = made(make, **options)
    assert set(cell.signals) == {"x", *(f"a.{gate}" for gate in gates.replace(" ", ""))}
    assert [label for label in values(cell) if label.startswith("W")] == matrices


def test_a_gate_has_values_and_a_gradient() -> None:
    cell, h = made(cells.lstm)
    run = cell.unroll(x=data())
    run[h.name].stack().sum().backward()
    f = run["a.f"][2]
    assert f.shape == (BATCH, SIZE) and ((f.data > 0) & (f.data < 1)).all()
    assert f.grad is not None and f.grad.any()


def test_coupled_gates_sum_to_one() -> None:
    cell, _ = made(cells.lstm, coupled=True)
    run = cell.unroll(x=data())
    np.testing.assert_allclose(run["a.f"].stack().data + run["a.i"].stack().data, 1.0)


# ---- several layers
def test_layers_of_different_cells_can_be_stacked() -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    h1 = cells.lstm(cell, x, 5, name="layer1", rng=rng())
    h2 = cells.gru(cell, h1, 4, name="layer2", rng=rng())
    run = cell.unroll(x=data())
    alone = Cell()
    alone_h = cells.gru(alone, alone.input("x", 5), 4, name="layer2", rng=rng())
    np.testing.assert_allclose(run[h2.name].stack().data, output(alone, alone_h, run["layer1.h"].stack().data))


def test_a_bidirectional_layer_concatenates_a_cell_of_each_direction() -> None:
    cell = Cell()
    h = cells.bidirectional(cell, cells.gru, cell.input("x", INPUTS), SIZE, name="both", rng=rng())
    run = cell.unroll(x=data())
    assert h.shape == (2 * SIZE,)
    both = [run["both.forward.h"].stack().data, run["both.backward.h"].stack().data]
    np.testing.assert_array_equal(run["both.h"].stack().data, np.concatenate(both, axis=-1))
    p = {name.removeprefix("both.backward."): tensor.data for name, tensor in cell.parameters.items()
         if "backward" in name}
    np.testing.assert_allclose(both[1], by_hand(gru_of_torch, p, data()[::-1])[::-1], rtol=1e-12)


def test_a_residual_connection_adds_the_input_of_a_layer_to_its_output() -> None:
    cell = Cell()
    top = cells.stacked(cell, cells.elman, cell.input("x", INPUTS), [4, 4, 4], name="net", rng=rng(), residual=True)
    run = cell.unroll(x=data())
    assert top.name == "net.3.sum" and "net.1.sum" not in run
    second = run["net.2.h"].stack().data + run["net.1.h"].stack().data
    np.testing.assert_array_equal(run["net.2.sum"].stack().data, second)
    np.testing.assert_array_equal(run["net.3.sum"].stack().data, run["net.3.h"].stack().data + second)


def deep(dropout: float, training: bool = True, generator: np.random.Generator | None = None) -> tuple[Cell, Signal]:
    cell = Cell()
    top = cells.stacked(cell, cells.elman, cell.input("x", INPUTS), [50, 50], name="net", rng=generator or rng(),
                        dropout=dropout, training=training)
    return cell, top


def test_dropout_is_applied_between_layers_only() -> None:
    cell, top = deep(0.25)
    run = cell.unroll(x=data(40))
    assert top.name == "net.2.h" and [name for name in cell.signals if "dropped" in name] == ["net.1.dropped"]
    kept = run["net.1.dropped"].stack().data / run["net.1.h"].stack().data
    assert np.all(np.isclose(kept, 0) | np.isclose(kept, 1 / 0.75))
    assert np.mean(kept == 0) == pytest.approx(0.25, abs=0.03)
    assert not np.array_equal(kept[0] == 0, kept[1] == 0) and not np.array_equal(kept[:, 0] == 0, kept[:, 1] == 0)


def test_dropout_is_drawn_anew_at_every_unroll_and_again_from_the_same_state() -> None:
    generator = rng()
    cell, top = deep(0.5, generator=generator)
    before = generator.bit_generator.state
    first, second = output(cell, top, data()), output(cell, top, data())
    generator.bit_generator.state = before
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(output(cell, top, data()), first)


def test_gradients_pass_through_the_elements_that_dropout_keeps() -> None:
    generator = rng()
    cell, top = deep(0.5, generator=generator)
    state = generator.bit_generator.state

    def loss() -> Any:
        generator.bit_generator.state = state
        return (cell.unroll(x=data(2))[top.name].stack() ** 2).mean()

    assert mg.gradcheck(loss, {"b": cell.parameters["net.1.b"]}, rtol=1e-5, atol=1e-9) < 1e-4


def test_a_network_trained_with_dropout_is_evaluated_without() -> None:
    trained, _ = deep(0.5)
    evaluated, top = deep(0.5, training=False, generator=np.random.default_rng(7))
    plain, plain_top = deep(0.0, generator=np.random.default_rng(8))
    interop.assign(evaluated, trained.parameters)
    interop.assign(plain, trained.parameters)
    np.testing.assert_array_equal(output(evaluated, top, data()), output(plain, plain_top, data()))


# ---- what is refused
def test_two_cells_of_one_name_are_refused_before_anything_is_written() -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    cells.lstm(cell, x, SIZE, name="a", rng=rng())
    signals, equations = list(cell.signals), list(cell.equations)
    for make in (cells.gru, cells.elman, cells.lstm):
        with pytest.raises(ValueError, match=r"there are two signals named 'a\.h'") as error:
            make(cell, x, SIZE, name="a", rng=rng())
        assert above() in str(error.value)
    assert list(cell.signals) == signals and cell.equations == equations


@pytest.mark.parametrize(("make", "options", "message"), [
    (cells.gru, {"update": "forgets"}, "update is 'keeps' or 'replaces', not 'forgets'"),
    (cells.gru, {"reset": None}, "reset is 'before' or 'after', not None"),
    (cells.lstm, {"peephole": "both"}, "peephole is None or 'diagonal' or 'full', not 'both'"),
    (cells.lstm, {"biases": 3}, "biases is 0 or 1 or 2, not 3"),
    (cells.lstm, {"coupled": True, "forget_gate": False}, "coupled=True takes i from f, and forget_gate=False"),
    (cells.vanilla, {"form": 1}, "form is 'i' or 'ii', not 1"),
])
def test_unknown_options_are_refused(make: Any, options: Any, message: str) -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    with pytest.raises(ValueError, match=message):
        make(cell, x, SIZE, name="a", rng=rng(), **options)
    assert list(cell.signals) == ["x"]


def test_the_vanilla_network_has_no_default_form() -> None:
    with pytest.raises(TypeError, match="form"):
        cells.vanilla(Cell(), Cell().input("x", 2), 3, name="a", rng=rng())  # type: ignore[call-arg]


@pytest.mark.parametrize("make", [cells.elman, cells.neurons, cells.lstm, cells.gru])
def test_an_input_has_to_be_a_signal_whose_size_is_known(make: Any) -> None:
    cell = Cell()
    unknown, number, x = cell.input("unknown"), cell.input("number", ()), cell.input("x", 2)
    with pytest.raises(ValueError, match="the size of unknown isn't known"):
        make(cell, unknown, SIZE, name="a", rng=rng())
    with pytest.raises(ValueError, match=r"the size of number is \(\), a number"):
        make(cell, number, SIZE, name="a", rng=rng())
    with pytest.raises(TypeError, match=r"a cell reads a signal, e\.g\. .* not x\[t\]"):
        make(cell, x[t], SIZE, name="a", rng=rng())
    assert len(cell.signals) == 3


@pytest.mark.parametrize(("options", "message"), [
    ({"sizes": []}, "net has no layer"),
    ({"sizes": [3], "dropout": 1.0}, r"the dropout rate is in \[0, 1\), not 1.0"),
    ({"sizes": [3, 4], "residual": True}, r"residual=True needs equal sizes, not \[3, 4\]"),
    ({"sizes": [3], "directions": 3}, "directions is 1 or 2, not 3"),
])
def test_invalid_options_of_a_deep_network_are_refused(options: Any, message: str) -> None:
    cell = Cell()
    with pytest.raises(ValueError, match=message):
        cells.stacked(cell, cells.elman, cell.input("x", 2), name="net", rng=rng(), **options)


# ---- projections
def test_a_projection_is_the_matrix_of_the_paper() -> None:
    cell = Cell()
    h = cells.lstm(cell, cell.input("x", INPUTS), SIZE, name="a", rng=rng(), projection=2, peephole="diagonal")
    p = {name[2:]: tensor.data for name, tensor in cell.parameters.items()}
    assert h.shape == (2,) and cell.signals["a.m"].shape == (SIZE,) and p["W_p"].shape == (2, SIZE)
    x, state, c = data()[:, 0], np.zeros(2), np.zeros(SIZE)
    run = cell.unroll(x=x)
    for k, x_t in enumerate(x, 1):  # Sak et al. 2014, eq. 1-6
        both = np.concatenate([state, x_t])
        f, i = (sigmoid(p[f"W_{gate}"] @ both + p[f"p_{gate}"] * c + p[f"b_{gate}"]) for gate in "fi")
        c = f * c + i * np.tanh(p["W_g"] @ both + p["b_g"])
        o = sigmoid(p["W_o"] @ both + p["p_o"] * c + p["b_o"])
        state = p["W_p"] @ (o * np.tanh(c))
        np.testing.assert_allclose(run["a.h"][k].data, state, rtol=1e-12)


# ---- parameters that two layers have in common
EVERY: dict[str, tuple[Any, dict[str, Any]]] = {
    "elman": (cells.elman, {}), "elman_two_biases": (cells.elman, {"biases": 2}), "neurons": (cells.neurons, {}),
    "vanilla_i": (cells.vanilla, {"form": "i"}), "vanilla_ii": (cells.vanilla, {"form": "ii"}),
    "jordan": (cells.jordan, {"outputs": SIZE}), "lstm": (cells.lstm, {}), "lstm_reversed": (cells.lstm, {
        "reversed": True}), "lstm_full": (cells.lstm, {"peephole": "full", "biases": 2, "projection": SIZE}),
    "gru": (cells.gru, {}), "gru_before": (cells.gru, {"reset": "before", "update": "replaces"}),
    "bidirectional": (cells.bidirectional, {"make": cells.gru}),
    "stacked": (cells.stacked, {"make": cells.lstm, "directions": 2})}


def two_layers(name: str, tied: bool) -> Cell:
    """Two layers over the same input, with the same parameters, or with parameters of their own."""
    make, options = EVERY[name]
    cell, size = Cell("two"), [SIZE, SIZE] if name == "stacked" else SIZE
    x = cell.input("x", INPUTS)
    rest = {key: value for key, value in options.items() if key != "make"}
    kind = [options["make"]] if "make" in options else []
    first = make(cell, *kind, x, size, name="a", rng=rng(), **rest)
    if tied:
        rest["parameters"] = cells.parameters_of(cell, "a")
    u = cells.elman(cell, x, INPUTS, name="between", rng=rng(3))
    second = make(cell, *kind, u, size, name="b", rng=rng(1), **rest)
    y = cell.signal("y")
    y[t] = mg.sum(np.sin(first[t]) + second[t] ** 2, axis=-1)
    return cell


@pytest.mark.parametrize("name", EVERY)
def test_two_tied_layers_have_the_sum_of_the_gradients_of_two_equal_ones(name: str) -> None:
    tied, apart = two_layers(name, True), two_layers(name, False)
    for label, tensor in cells.parameters_of(apart, "b").items():
        tensor.data = apart.parameters[f"a.{label}"].data.copy()
    assert not any(key.startswith("b.") for key in tied.parameters)
    assert tied.parameters.keys() == {key for key in apart.parameters if not key.startswith("b.")}
    x = data()
    for cell in (tied, apart):
        cell.unroll(x=x)["y"].stack().sum().backward()
    for key, tensor in tied.parameters.items():
        label = key.removeprefix("a.")
        expected = apart.parameters[key].grad
        if key.startswith("a."):
            expected = expected + apart.parameters[f"b.{label}"].grad
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-10, atol=1e-12, err_msg=key)
    by_graph = {key: tensor.grad for key, tensor in tied.parameters.items()}
    for tensor in tied.parameters.values():
        tensor.grad = None
    tied.compile(loss="y")(x=x)
    for key, tensor in tied.parameters.items():
        np.testing.assert_allclose(tensor.grad, by_graph[key], rtol=1e-10, atol=1e-12, err_msg=key)


def test_a_cell_with_all_parameters_given_draws_nothing() -> None:
    generator = rng(7)
    before = generator.bit_generator.state
    cell = Cell()
    x = cell.input("x", INPUTS)
    cells.gru(cell, x, SIZE, name="a", rng=rng())
    cells.gru(cell, x, SIZE, name="b", rng=generator, parameters=cells.parameters_of(cell, "a"))
    assert generator.bit_generator.state == before


def test_a_part_of_the_parameters_can_be_given_also_a_constant_or_a_formula() -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    cells.elman(cell, x, SIZE, name="a", rng=rng())
    U = cell.parameters["a.U"]
    given = {"U": U.T, "b": mg.Tensor(np.full(SIZE, 0.5))}
    h = cells.elman(cell, x, SIZE, name="b", rng=rng(1), parameters=given)
    assert list(cell.parameters) == ["a.W", "a.U", "a.b", "b.W"]
    W, X, state = cell.parameters["b.W"].data, data(), np.zeros((2, SIZE))
    found = cell.unroll(x=X)[h.name].stack().data
    for k, row in enumerate(X):
        state = np.tanh(row @ W.T + state @ U.data + 0.5)
        np.testing.assert_allclose(found[k], state, rtol=1e-12)


@pytest.mark.parametrize(("parameters", "error", "message"), [
    ({"W_f": mg.Tensor(np.ones((SIZE, 99)), name="wide")}, ValueError,
     r"b\.W_f has shape \(3, 5\), and parameters= gives it .*wide.*, of shape \(3, 99\), made at .*:\d+ \(at"),
    ({"W_q": mg.Tensor(1.0)}, ValueError,
     r"b has no parameter 'W_q' \(at test_classic\.py:\d+\): it has W_f, b_f, W_i"),
    ({"W_f": np.ones((3, 5))}, TypeError, r"(?s)gives 'W_f' array.* it takes Tensors"),
    ("a", TypeError, r"parameters= is a dict from labels, .*parameters_of\(cell, 'layer1'\)")])
def test_parameters_that_do_not_fit_leave_the_definition_as_it_was(parameters: Any, error: Any, message: str) -> None:
    cell = Cell()
    x = cell.input("x", 2)
    cells.lstm(cell, x, 3, name="a", rng=rng())
    text, signals = repr(cell), list(cell.signals)
    with pytest.raises(error, match=message):
        cells.lstm(cell, x, 3, name="b", rng=rng(), parameters=parameters)
    assert repr(cell) == text and list(cell.signals) == signals and not cell.tied
    cells.lstm(cell, x, 3, name="b", rng=rng(), parameters=cells.parameters_of(cell, "a"))


@pytest.mark.parametrize("make", [lambda cell, x, **given: cells.bidirectional(cell, cells.gru, x, SIZE, **given),
                                  lambda cell, x, **given: cells.stacked(cell, cells.gru, x, [SIZE, SIZE], **given)])
def test_parameters_of_a_layer_of_several_cells_are_checked(make: Any) -> None:
    cell = Cell()
    x = cell.input("x", INPUTS)
    with pytest.raises(ValueError, match=r"a has no parameter 'W_z'.*: it has (forward\.\*, backward|1\.\*, 2)\.\*"):
        make(cell, x, name="a", rng=rng(), parameters={"W_z": mg.Tensor(1.0)})
    make(cell, x, name="b", rng=rng())
    text, signals = repr(cell), list(cell.signals)
    last = list(cells.parameters_of(cell, "b"))[-1].rpartition(".")[0]  # an error in the last of its cells
    with pytest.raises(ValueError, match=rf"a\.{last} has no parameter 'W_q' .*: it has W_r"):
        make(cell, x, name="a", rng=rng(), parameters={f"{last}.W_q": mg.Tensor(1.0)})
    assert repr(cell) == text and list(cell.signals) == signals


def test_parameters_of_an_unknown_layer_name_the_parameters() -> None:
    cell = Cell("one")
    cells.elman(cell, cell.input("x", INPUTS), SIZE, name="a", rng=rng())
    with pytest.raises(ValueError, match=r"'one' has no parameters named b\.\* .*it has a\.W, a\.U, a\.b"):
        cells.parameters_of(cell, "b")
