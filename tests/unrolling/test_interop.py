"""Weights from and to PyTorch, ONNX and any source that stacks its gates. What they compute is stored in cases/."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from definitions import case
from onnx_operators import INPUTS, MAKE, SIZE, onnx_definition

import minigrad as mg
from rnn import Cell, T, cells, interop, t

TORCH = {name: stored for name, stored in case("torch_cells").items() if name != "source"}
ONNX = {name: stored for name, stored in case("onnx_cells").items() if name != "source"}


def one(kind: str, name: str = "a", **options: Any) -> Cell:
    """A definition of one cell."""
    cell = Cell("one")
    MAKE[kind](cell, cell.input("x", INPUTS), SIZE, name=name, rng=np.random.default_rng(0), **options)
    return cell


def deep(stored: Any, biases: int = 2, **options: Any) -> tuple[Cell, list[str], bool]:
    """A definition like one of PyTorch's layers, the names of its cells, and whether it is bidirectional."""
    cell = Cell("deep")
    bidirectional = bool(stored["options"].get("bidirectional"))
    layers = stored["options"].get("num_layers", 1)
    if "proj_size" in stored["options"]:
        options["projection"] = stored["options"]["proj_size"]
    cells.stacked(cell, MAKE[stored["kind"]], cell.input("x", INPUTS), [SIZE] * layers, name="net",
                  rng=np.random.default_rng(0), directions=2 if bidirectional else 1,
                  biases=biases if stored["options"].get("bias", True) else 0, **options)
    ends = [".forward", ".backward"] if bidirectional else [""]
    return cell, [f"net.{k}{end}" for k in range(1, layers + 1) for end in ends], bidirectional


def copies(cell: Cell) -> dict[str, Any]:
    return {name: p.numpy() for name, p in cell.parameters.items()}


def assert_untouched(cell: Cell, before: dict[str, Any]) -> None:
    for name, p in cell.parameters.items():
        np.testing.assert_array_equal(p.data, before[name], err_msg=name)


# ---- PyTorch
@pytest.mark.parametrize("name", TORCH)
def test_weights_come_back_from_a_definition_bit_for_bit(name: str) -> None:
    stored = TORCH[name]
    cell, names, bidirectional = deep(stored)
    interop.from_torch(cell, stored["state"], names, bidirectional=bidirectional)
    state = interop.to_torch(cell, names, bidirectional=bidirectional)
    assert list(state) == list(stored["state"])
    for key, value in stored["state"].items():
        np.testing.assert_array_equal(state[key], value, err_msg=key)


@pytest.mark.parametrize("name", TORCH)
def test_a_definition_comes_back_from_pytorchs_form_bit_for_bit(name: str) -> None:
    first, names, bidirectional = deep(TORCH[name], biases=1)
    for seed, p in enumerate(first.parameters.values()):
        p.data = np.random.default_rng(seed).normal(size=p.shape)
    second, _, _ = deep(TORCH[name], biases=1)
    state = interop.to_torch(first, names, bidirectional=bidirectional)
    interop.from_torch(second, state, names, bidirectional=bidirectional)
    if name.startswith("gru") and "without" not in name:  # what is beside the reset gate keeps its own bias
        assert state["bias_hh_l0"][2 * SIZE:].all() and not state["bias_hh_l0"][:2 * SIZE].any()
    assert_untouched(second, copies(first))


def test_the_gates_of_an_lstm_are_found_by_name() -> None:
    stored = TORCH["lstm"]["state"]
    cell = one("lstm", biases=2)
    interop.from_torch(cell, stored, ["a"])
    W_ih, W_hh, b_ih = (np.array(stored[key]) for key in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"))
    for row, gate in enumerate("ifgo"):
        rows = slice(row * SIZE, (row + 1) * SIZE)
        np.testing.assert_array_equal(cell.parameters[f"a.W_{gate}"].data[:, :SIZE], W_hh[rows])
        np.testing.assert_array_equal(cell.parameters[f"a.W_{gate}"].data[:, SIZE:], W_ih[rows])
        np.testing.assert_array_equal(cell.parameters[f"a.b_x{gate}"].data, b_ih[rows])


def test_an_update_gate_that_replaces_takes_the_opposite_of_pytorchs_weights_and_gives_them_back() -> None:
    stored = TORCH["gru"]["state"]
    keeps, replaces = one("gru", biases=2), one("gru", biases=2, update="replaces")
    for cell in (keeps, replaces):
        interop.from_torch(cell, stored, ["a"])
    np.testing.assert_array_equal(replaces.parameters["a.W_u"].data, -keeps.parameters["a.W_z"].data)
    np.testing.assert_array_equal(replaces.parameters["a.b_hu"].data, -keeps.parameters["a.b_hz"].data)
    for key, value in interop.to_torch(replaces, ["a"]).items():
        np.testing.assert_array_equal(value, stored[key])


def test_only_the_cells_that_are_named_are_assigned() -> None:
    cell = one("lstm", name="a")
    h = cells.lstm(cell, cell.signals["a.h"], SIZE, name="ab", rng=np.random.default_rng(1))
    y = cell.signal("y", 1)
    y[t] = mg.init.normal((1, SIZE), np.random.default_rng(2), name="answer") @ h[t]
    before = copies(cell)
    interop.from_torch(cell, TORCH["lstm"]["state"], ["a"])
    for name, p in cell.parameters.items():
        assert np.array_equal(p.data, before[name]) == (not name.startswith("a.")), name


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in TORCH["lstm"]["state"].items() if name != key}


@pytest.mark.parametrize(("state", "message"), [
    (without("weight_hh_l0"), r"weight_hh_l0 is missing, for a; there are weight_ih_l0, bias_ih_l0, bias_hh_l0"),
    (without("bias_hh_l0"), "bias_hh_l0 is missing, for a"),
    ({**TORCH["lstm"]["state"], "weight_hr_l0": [[1.0]]}, "nothing takes weight_hr_l0: the cells named are a"),
    (TORCH["lstm_of_two_layers"]["state"], "nothing takes weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1"),
    ({**without("weight_ih_l0"), "weight_ih_l0": np.ones((12, 5))},
     r"weight_ih_l0 has shape \(12, 5\), and a needs \(12, 2\)"),
    ({**without("weight_hh_l0"), "weight_hh_l0": np.ones((3, 12))},
     r"weight_hh_l0 has shape \(3, 12\), and a needs \(12, 3\)"),
    (TORCH["gru"]["state"], r"weight_ih_l0 has shape \(9, 2\), and a needs \(12, 2\)"),
    (TORCH["lstm_without_bias"]["state"], "bias_ih_l0 is missing, for a"),
])
def test_a_state_dict_that_does_not_fit_names_the_entry_and_assigns_nothing(state: Any, message: str) -> None:
    cell = one("lstm")
    before = copies(cell)
    with pytest.raises(ValueError, match=message) as error:
        interop.from_torch(cell, state, ["a"])
    assert "othing was assigned" in str(error.value)
    assert_untouched(cell, before)


def test_an_error_in_the_second_layer_assigns_nothing_to_the_first() -> None:
    stored = TORCH["lstm_of_two_layers"]
    cell, names, _ = deep(stored)
    before = copies(cell)
    with pytest.raises(ValueError, match=r"bias_hh_l1 has shape \(11,\), and net\.2 needs \(12,\)"):
        interop.from_torch(cell, {**stored["state"], "bias_hh_l1": np.zeros(11)}, names)
    assert_untouched(cell, before)


def test_biases_that_a_cell_does_not_have_are_not_dropped() -> None:
    with pytest.raises(ValueError, match="no parameter for bias_ih_l0: a was defined with biases=0"):
        interop.from_torch(one("lstm", biases=0), TORCH["lstm"]["state"], ["a"])


def test_values_that_a_narrower_type_would_round_are_refused() -> None:
    cell = one("lstm", biases=2, dtype=np.float32)
    with pytest.raises(ValueError, match=r"a\.W_. holds float32, which can't hold its float64 values exactly"):
        interop.from_torch(cell, TORCH["lstm"]["state"], ["a"])
    single = {key: np.array(value, np.float32) for key, value in TORCH["lstm"]["state"].items()}
    interop.from_torch(cell, single, ["a"])
    for key, value in interop.to_torch(cell, ["a"]).items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, single[key])


@pytest.mark.parametrize(("kind", "options", "message"), [
    ("lstm", {"peephole": "diagonal"}, r"a has peepholes, and PyTorch's nn\.LSTM has none"),
    ("lstm", {"forget_gate": False}, r"a is none of elman, lstm \(with all its gates\) and gru"),
    ("lstm", {"coupled": True}, r"a is none of elman, lstm \(with all its gates\) and gru"),
    ("gru", {"reset": "before"}, r"a resets before the matrix, and PyTorch's nn\.GRU after it"),
])
def test_a_cell_that_pytorch_does_not_have_is_refused(kind: str, options: Any, message: str) -> None:
    cell = one(kind, **options)
    for call in (lambda: interop.from_torch(cell, TORCH[kind]["state"], ["a"]), lambda: interop.to_torch(cell, ["a"])):
        with pytest.raises(ValueError, match=message):
            call()


def test_names_are_those_of_cells() -> None:
    cell = one("lstm")
    with pytest.raises(ValueError, match=r"'one' has no parameters named b\.\*; it has a\.W_f, "):
        interop.from_torch(cell, TORCH["lstm"]["state"], ["b"])
    with pytest.raises(TypeError, match=r"names is a list of cells, e\.g\. \['a'\]"):
        interop.from_torch(cell, TORCH["lstm"]["state"], "a")
    for names in ("a", [], ["a", "a", "a"]):
        with pytest.raises(ValueError, match="names is a list of one cell, or of two, forward and backward; not "):
            interop.to_onnx(cell, names)
    with pytest.raises(ValueError, match="a bidirectional network has two cells a layer, forward and backward"):
        interop.from_torch(cell, TORCH["lstm"]["state"], ["a"], bidirectional=True)


# ---- ONNX


@pytest.mark.parametrize("name", ONNX)
def test_a_cell_agrees_with_onnxs_operator_and_its_tensors_come_back(name: str) -> None:
    stored = ONNX[name]
    inputs = {key: np.array(value) for key, value in stored["inputs"].items()}
    cell, names, output = onnx_definition(stored)
    tensors = {key: inputs[key] for key in "WRBP" if key in inputs}
    interop.from_onnx(cell, names, **tensors, **stored["attributes"])
    for number, own in enumerate(names):
        for label in "hc":
            if f"initial_{label}" in inputs:
                step = T + 1 if own.endswith("backward") else 0
                cell.signals[f"{own}.{label}"][step] = inputs[f"initial_{label}"][number]
    y = cell.unroll(x=inputs["X"])[output].stack().data
    expected = np.concatenate(list(np.moveaxis(np.array(stored["outputs"]["Y"]), 1, 0)), axis=-1)
    np.testing.assert_allclose(y, expected, atol=1e-6)  # theirs are float32

    back = interop.to_onnx(cell, names)
    assert set(back) == set(tensors)
    again, _, _ = onnx_definition(stored)
    interop.from_onnx(again, names, **back, **stored["attributes"])
    assert_untouched(again, copies(cell))
    for key in set("WRP") & set(back):
        np.testing.assert_array_equal(back[key], tensors[key])


def test_with_two_biases_onnxs_tensors_come_back_bit_for_bit() -> None:
    inputs = {key: np.array(value) for key, value in ONNX["lstm"]["inputs"].items()}
    cell = one("lstm", biases=2)
    interop.from_onnx(cell, ["a"], inputs["W"], inputs["R"], inputs["B"])
    for key, value in interop.to_onnx(cell, ["a"]).items():
        np.testing.assert_array_equal(value, inputs[key])


def test_without_b_onnxs_biases_are_zero() -> None:
    inputs = ONNX["lstm"]["inputs"]
    cell = one("lstm")
    interop.from_onnx(cell, ["a"], inputs["W"], inputs["R"])
    assert not any(p.data.any() for name, p in cell.parameters.items() if name.startswith("a.b_"))
    interop.from_onnx(one("lstm", biases=0), ["a"], inputs["W"], inputs["R"])


@pytest.mark.parametrize(("reset", "said", "message"), [
    ("after", None, "does this GRU reset before or after the matrix\\? Pass linear_before_reset=0"),
    ("after", 0, "a resets after the matrix, and with linear_before_reset=0 the operator doesn't"),
    ("before", 1, "a resets before the matrix, and with linear_before_reset=1 the operator doesn't"),
])
def test_linear_before_reset_of_onnxs_gru_is_required(reset: Any, said: int | None, message: str) -> None:
    inputs = ONNX["gru_reset_after"]["inputs"]
    with pytest.raises(ValueError, match=message):
        interop.from_onnx(one("gru", reset=reset), ["a"], inputs["W"], inputs["R"], inputs["B"],
                          linear_before_reset=said)


@pytest.mark.parametrize(("change", "message"), [
    ({"W": np.ones((1, 12, 4))}, r"W has shape \(12, 4\), and a needs \(12, 2\)"),
    ({"R": np.ones((2, 12, 3))}, r"R has shape \(2, 12, 3\), and its first axis is that of the directions: 1, for a"),
    ({"B": np.ones((1, 12))}, r"B has shape \(1, 12\), and a needs \(1, 24\)"),
    ({"P": np.ones((1, 9))}, r"a has no parameter a\.p_i, a\.p_o, a\.p_f"),
])
def test_onnx_tensors_that_do_not_fit_are_named_and_nothing_is_assigned(change: Any, message: str) -> None:
    cell = one("lstm")
    before = copies(cell)
    tensors = {key: ONNX["lstm"]["inputs"][key] for key in "WRB"}
    with pytest.raises(ValueError, match=message):
        interop.from_onnx(cell, ["a"], **{**tensors, **change})
    assert_untouched(cell, before)


def test_onnx_has_diagonal_peepholes_only() -> None:
    with pytest.raises(ValueError, match="a has full peepholes, and ONNX's LSTM diagonal ones"):
        interop.to_onnx(one("lstm", peephole="full"), ["a"])
    inputs = ONNX["lstm"]["inputs"]
    with pytest.raises(ValueError, match=r"no value for a\.p_f, a\.p_i, a\.p_o of a"):
        interop.from_onnx(one("lstm", peephole="diagonal"), ["a"], inputs["W"], inputs["R"], inputs["B"])


# ---- any other order
def test_the_order_of_an_unknown_source_is_required() -> None:
    with pytest.raises(ValueError, match=r"in which order are the gates stacked\? Pass order='ifgo', or another"):
        interop.split(np.zeros(12), None, "ifgo")
    with pytest.raises(ValueError, match="in which order are the gates stacked"):
        interop.from_stacked(one("lstm"), "a", np.zeros((12, 2)), np.zeros((12, 3)))


@pytest.mark.parametrize("order", ["ifg", "ifgoo", "iffo", "ifco", ""])
def test_an_order_that_does_not_have_every_gate_once_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match=f"order='{order}' isn't an order of the gates i, f, g, o"):
        interop.split(np.zeros(12), order, "ifgo")


def test_rows_that_cannot_be_divided_by_the_gates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"an array of shape \(13, 2\) can't be cut into 4 gates of equal size, ifgo"):
        interop.split(np.zeros((13, 2)), "ifgo", "ifgo")


@pytest.mark.parametrize("order", ["ifgo", "iofg", "igfo", "ogif"])
def test_join_is_the_inverse_of_split(order: str) -> None:
    stack = np.arange(24.0).reshape(12, 2)
    parts = interop.split(stack, order, "fgio")
    np.testing.assert_array_equal(parts["g"], stack[3 * order.index("g"):][:3])
    np.testing.assert_array_equal(interop.join(parts, order), stack)


@pytest.mark.parametrize(("kind", "order"), [("lstm", "igfo"), ("lstm", "ofig"), ("gru", "nzr"), ("rnn", "h")])
def test_any_source_can_be_read_in_its_order(kind: str, order: str) -> None:
    """The same layer, stacked in another order, gives the same parameters."""
    stored = {key: np.array(value) for key, value in TORCH[kind]["state"].items()}
    known = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}[kind]
    stacks = [interop.join(interop.split(array, known, known), order) for array in stored.values()]
    expected, found = one(kind, biases=2), one(kind, biases=2)
    interop.from_torch(expected, stored, ["a"])
    interop.from_stacked(found, "a", *stacks, order=order)
    assert_untouched(found, copies(expected))


def test_the_letter_of_the_update_gate_names_its_convention() -> None:
    stored = [np.array(value) for value in TORCH["gru"]["state"].values()]
    keeps, replaces = one("gru", biases=2), one("gru", biases=2, update="replaces")
    interop.from_stacked(keeps, "a", *stored, order="run")
    interop.from_stacked(replaces, "a", *stored, order="run")
    np.testing.assert_array_equal(replaces.parameters["a.W_u"].data[:, SIZE:], stored[0][SIZE:2 * SIZE])
    np.testing.assert_array_equal(keeps.parameters["a.W_z"].data[:, SIZE:], -stored[0][SIZE:2 * SIZE])


# ---- definition to definition
def test_assign_takes_every_parameter_or_none() -> None:
    first, second = one("gru"), one("gru")
    before = copies(first)
    values = {name: p.data + 1 for name, p in first.parameters.items()}
    interop.assign(second, values)
    assert_untouched(second, values)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({name: value for name, value in values.items() if name != "a.b_hn"}, r"no value for a\.b_hn of 'one'"),
        ({**values, "a.W_f": np.ones(3)}, r"'one' has no parameter a\.W_f"),
        ({**values, "a.b_hn": np.ones((1, 3))}, r"a\.b_hn has shape \(3,\), its value \(1, 3\)"),
    ]
    for bad, message in wrong:
        with pytest.raises(ValueError, match=message + ".*; nothing was assigned"):
            interop.assign(first, bad)
    assert_untouched(first, before)


def test_assigned_values_are_copies() -> None:
    first, second = one("rnn"), one("rnn")
    interop.assign(second, first.parameters)
    W: mg.Tensor = first.parameters["a.W"]
    W.data = W.data + 1
    assert not np.array_equal(second.parameters["a.W"].data, W.data)


# ---- directions
def two(first: bool, second: bool, kind: str = "lstm", **options: Any) -> Cell:
    """A definition of two cells, a and b, over one input; True runs backward."""
    cell = Cell("two")
    x = cell.input("x", INPUTS)
    for name, reverse in (("a", first), ("b", second)):
        MAKE[kind](cell, x, SIZE, name=name, rng=np.random.default_rng(0), reversed=reverse, **options)
    return cell


FORWARD_B = r"b runs forward in time, and {} is of a layer that runs backward: .*reversed=True; nothing was assigned"
BACKWARD_A = r"a runs backward in time, and {} is of a layer that runs forward: .*reversed=False; nothing was assigned"


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("first", "second", "bidirectional", "message"), [
    (False, False, True, FORWARD_B.format("weight_ih_l0_reverse")),
    (True, False, True, BACKWARD_A.format("weight_ih_l0")), (True, True, True, BACKWARD_A.format("weight_ih_l0")),
    (True, False, False, BACKWARD_A.format("weight_ih_l0"))])
def test_weights_of_another_direction_are_refused(kind: str, first: bool, second: bool, bidirectional: bool,
                                                  message: str) -> None:
    cell = two(first, second, kind, biases=2)
    before = copies(cell)
    state = TORCH[kind + ("_bidirectional" if bidirectional else "")]["state"]
    names = ["a", "b"] if bidirectional else ["a"]
    with pytest.raises(ValueError, match=message):
        interop.from_torch(cell, state, names, bidirectional=bidirectional)
    assert_untouched(cell, before)
    with pytest.raises(ValueError, match=message):
        interop.to_torch(cell, names, bidirectional=bidirectional)


def test_a_bidirectional_layer_without_the_option_asks_for_it() -> None:
    with pytest.raises(ValueError, match=r"nothing takes weight_ih_l0_reverse, .*pass bidirectional=True"):
        interop.from_torch(two(False, True, biases=2), TORCH["lstm_bidirectional"]["state"], ["a"])


@pytest.mark.parametrize(("first", "second", "names", "direction", "message"), [
    (False, False, ["a", "b"], None, FORWARD_B.format("the second of two directions")),
    (True, False, ["a", "b"], None, BACKWARD_A.format("the first of two directions")),
    (True, False, ["a"], "forward", BACKWARD_A.format("the forward operator")),
    (True, False, ["b"], "reverse", FORWARD_B.format("the reverse operator")),
    (False, True, ["a", "b"], "reverse", "an operator whose direction is 'reverse' has one cell; named are a, b"),
    (False, True, ["a"], "bidirectional", "whose direction is 'bidirectional' has two cells, forward and backward"),
    (False, True, ["a"], "sideways", "direction is 'forward', 'reverse' or 'bidirectional', not 'sideways'")])
def test_an_onnx_operator_of_another_direction_is_refused(first: bool, second: bool, names: list[str],
                                                          direction: str | None, message: str) -> None:
    cell = two(first, second)
    before = copies(cell)
    tensors = interop.to_onnx(two(False, True), ["a", "b"][:len(names)])
    with pytest.raises(ValueError, match=message):
        interop.from_onnx(cell, names, **tensors, direction=direction)
    assert_untouched(cell, before)


def test_the_direction_of_a_cell_in_equations_is_that_of_its_loop() -> None:
    for step, expected in ((-1, 1), (1, -1)):
        cell = Cell()
        x, h = cell.input("x", INPUTS), cell.signal("state", SIZE)
        W, U, b = (mg.Tensor(np.zeros(shape), requires_grad=True, name=f"a.{label}") for label, shape in
                   (("W", (SIZE, INPUTS)), ("U", (SIZE, SIZE)), ("b", SIZE)))
        h[t] = np.tanh(W @ x[t] + U @ h[t + step] + b)
        assert interop.Layer(cell, "a").direction == expected


# ---- the names and forms in which weights come
@pytest.mark.parametrize("layers", [1, 2])
def test_a_layer_of_several_cells_is_named_by_its_own_name(layers: int) -> None:
    stored = TORCH[f"lstm_bidirectional{'_of_two_layers' if layers == 2 else ''}"]
    whole, names, _ = deep(stored)
    single, _, _ = deep(stored)
    interop.from_torch(whole, stored["state"], ["net"], bidirectional=True)
    interop.from_torch(single, stored["state"], names, bidirectional=True)
    assert_untouched(whole, copies(single))
    assert list(interop.to_torch(whole, ["net"], bidirectional=True)) == list(stored["state"])
    if layers == 1:
        for key, value in interop.to_onnx(whole, ["net"]).items():
            np.testing.assert_array_equal(value, interop.to_onnx(single, names)[key])


class TorchTensor:
    """The methods of a torch.Tensor that requires a gradient and may be of bfloat16."""

    def __init__(self, values: Any, dtype: str = "torch.float64", detached: bool = False) -> None:
        self.values, self.dtype, self.detached = np.array(values), dtype, detached

    def detach(self) -> TorchTensor:
        return TorchTensor(self.values, self.dtype, True)

    def cpu(self) -> TorchTensor:
        return self

    def float(self) -> TorchTensor:
        return TorchTensor(self.values, "torch.float32", self.detached)

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        if not self.detached or self.dtype == "torch.bfloat16":
            raise RuntimeError("Can't call numpy() on Tensor that requires grad, or of bfloat16")
        return self.values


class Module:
    """The methods of an nn.Module."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries

    def state_dict(self) -> dict[str, Any]:
        return self.entries


@pytest.mark.parametrize("form", [
    lambda tensors: tensors, Module, lambda tensors: iter(tensors.items()), lambda tensors: list(tensors.items()),
    lambda tensors: Module({key.removesuffix("_l0"): x for key, x in tensors.items()})])  # nn.LSTMCell
@pytest.mark.parametrize("dtype", ["torch.float64", "torch.bfloat16"])
def test_weights_come_as_a_module_as_tensors_and_as_pairs(form: Any, dtype: str) -> None:
    stored = TORCH["lstm"]["state"]
    cell, expected = one("lstm", biases=2), one("lstm", biases=2)
    interop.from_torch(cell, form({key: TorchTensor(value, dtype) for key, value in stored.items()}), ["a"])
    interop.from_torch(expected, stored, ["a"])
    assert_untouched(cell, copies(expected))


@pytest.mark.parametrize(("state", "error", "message"), [
    (3, TypeError, r"from_torch takes a layer of PyTorch, its state_dict\(\) or named_parameters\(\).* not int"),
    ([np.ones(2)], TypeError, "not list"),
    ({f"lstm.{key}": value for key, value in TORCH["lstm"]["state"].items()}, ValueError,
     r"weight_ih_l0 is missing, for a; there are lstm\.weight_ih_l0, .*Give the layer alone, e\.g\. model\.lstm")])
def test_another_object_than_a_layer_is_refused(state: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        interop.from_torch(one("lstm"), state, ["a"])


def test_projections_are_checked_on_both_sides() -> None:
    stored = TORCH["lstm_projected"]["state"]
    with pytest.raises(ValueError, match="weight_hr_l0 is the matrix of a projection: define a with projection=2"):
        interop.from_torch(one("lstm"), stored, ["a"])
    cell = one("lstm", projection=2, biases=2)
    with pytest.raises(ValueError, match="weight_hr_l0 is missing, for a"):
        interop.from_torch(cell, TORCH["lstm"]["state"], ["a"])
    with pytest.raises(ValueError, match="a has a projection, and ONNX's LSTM has none"):
        interop.to_onnx(cell, ["a"])
    W_x, W_h, b_x, b_h, W_p = stored.values()
    with pytest.raises(ValueError, match="W_p is missing: a has a projection"):
        interop.from_stacked(cell, "a", W_x, W_h, b_x, b_h, order="ifgo")
    with pytest.raises(ValueError, match="no parameter for W_p: a was defined without projection="):
        interop.from_stacked(one("lstm", biases=2), "a", np.ones((12, 2)), np.ones((12, 3)), b_x, b_h, order="ifgo",
                             W_p=W_p)
    interop.from_stacked(cell, "a", W_x, W_h, b_x, b_h, order="ifgo", W_p=W_p)
    for key, value in interop.to_torch(cell, ["a"]).items():
        np.testing.assert_array_equal(value, stored[key])


# ---- layers with parameters in common
def tied() -> Cell:
    cell = Cell("tied")
    x = cell.input("x", SIZE)
    below = cells.lstm(cell, x, SIZE, name="a", rng=np.random.default_rng(0), biases=2)
    cells.lstm(cell, below, SIZE, name="b", rng=np.random.default_rng(0), biases=2,
               parameters=cells.parameters_of(cell, "a"))
    return cell


def test_tied_layers_give_their_weights_twice_and_take_equal_ones() -> None:
    cell, other = tied(), tied()
    state = interop.to_torch(cell, ["a", "b"])
    assert len(state) == 8
    np.testing.assert_array_equal(state["weight_ih_l1"], state["weight_ih_l0"])
    for tensor in other.parameters.values():
        tensor.data = np.zeros(tensor.shape)
    interop.from_torch(other, state, ["a", "b"])
    assert_untouched(other, copies(cell))
    interop.from_torch(other, {key: value for key, value in state.items() if key.endswith("l0")}, ["b"])
    state["weight_ih_l1"] = state["weight_ih_l1"] + 1
    with pytest.raises(ValueError, match=r"a\.W_f and b\.W_f are one tensor, and their values differ; nothing was"):
        interop.from_torch(other, state, ["a", "b"])
    assert_untouched(other, copies(cell))


def test_a_parameter_that_is_computed_takes_no_value() -> None:
    cell = Cell()
    x = cell.input("x", SIZE)
    cells.elman(cell, x, SIZE, name="a", rng=np.random.default_rng(0))
    given = {"U": cell.parameters["a.U"].T}
    cells.elman(cell, x, SIZE, name="b", rng=np.random.default_rng(0), parameters=given)
    before = copies(cell)
    with pytest.raises(ValueError, match=r"b\.U is computed by .*set what it is computed from; nothing was assigned"):
        interop.from_torch(cell, interop.to_torch(cell, ["b"]), ["b"])
    assert_untouched(cell, before)


# ---- the dict of parameters
def test_parameters_are_read_only_and_say_how_to_tie() -> None:
    cell = tied()
    W = mg.Tensor(np.zeros((SIZE, 2 * SIZE)), requires_grad=True)
    for change in (lambda p: p.__setitem__("b.W_f", W), lambda p: p.update(a=W), lambda p: p.pop("a.W_f"),
                   lambda p: p.__delitem__("a.W_f"), lambda p: p.clear(), lambda p: p.setdefault("q", W),
                   lambda p: p.popitem(), lambda p: p.__ior__({"a": W})):
        for parameters in (cell.parameters, cell.unroll(x=np.ones((2, SIZE))).parameters):
            with pytest.raises(TypeError, match=r"at test_interop\.py:\d+.*To tie two layers, .*parameters=\{'W_f': "):
                change(parameters)
    assert isinstance(cell.parameters, dict) and len(cell.parameters) == 12


def test_copies_of_the_parameters_can_be_changed() -> None:
    cell = tied()
    for changed in (dict(cell.parameters), cell.parameters.copy(), cell.parameters | {}, copy.copy(cell.parameters),
                    copy.deepcopy(cell).parameters | {}, pickle.loads(pickle.dumps(cell.parameters))):
        changed["q"] = 1
        assert len(changed) == 13
