"""Compiled loops against unroll: definitions, options and cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from backends import check, compiled_in_full
from definitions import above, bidirectional, data, deep_lstm, feedback_2, lstm, own_output, parameter, two_delays
from exports import CASES, values_for

import minigrad as mg
from rnn import Cell, Signal, T, cells, t
from rnn.cells import memory, modern

pytest.importorskip("numba")
pytest.importorskip("scipy")
pytest.importorskip("platformdirs")

LENGTHS = np.array([4, 2, 3, 1, 4])


@pytest.mark.parametrize(("make", "options"), [
    pytest.param(lstm, {}, id="lanes of gates"),
    pytest.param(two_delays, {"lengths": LENGTHS}, id="masks, and a delay of two steps"),
    pytest.param(bidirectional, {"chunks": 2}, id="a loop in each direction, truncated"),
    pytest.param(feedback_2, {}, id="layers that feed back"),
    pytest.param(own_output, {}, id="no data"),
])
def test_a_compiled_loop_computes_what_unroll_computes(make: Callable[[], Cell], options: Any) -> None:
    cell = make()
    assert compiled_in_full(check(make, data(cell), options))


@pytest.mark.slow
@pytest.mark.parametrize(("make", "options"), [x for x in CASES if "window" not in x.values[1]])  # which takes a loss
def test_every_definition_and_option_of_the_exports(make: Callable[[], Cell], options: Any) -> None:
    given = values_for(make())
    if "T" in given and "lengths" in options:
        pytest.skip("there is no batch")
    check(make, given, options)


# ---- the cells of the library
def layer(make: Callable[..., Signal], dtype: Any, **options: Any) -> Callable[[], Cell]:
    def made() -> Cell:
        cell = Cell("layer")
        x = cell.input("x", 5)
        make(cell, x, 6, name="a", rng=np.random.default_rng(0), dtype=dtype, **options)
        return cell

    return made


LAYERS: dict[str, tuple[Callable[..., Signal], dict[str, Any]]] = {
    "elman": (cells.elman, {}), "lstm": (cells.lstm, {}), "gru": (cells.gru, {}), "gru after": (
        cells.gru, {"reset": "after"}), "peephole": (cells.lstm, {"peephole": "diagonal"}),
    "full peephole": (cells.lstm, {"peephole": "full"}), "coupled": (cells.lstm, {"coupled": True}),
    "projection": (cells.lstm, {"projection": 3}), "reversed": (cells.lstm, {"reversed": True}),
    "linear attention": (modern.linear_attention, {"keys": 4}), "delta": (modern.delta_net, {"keys": 4}),
    "mlstm": (modern.mlstm, {"keys": 4}), "slstm": (modern.slstm, {}), "min gru": (modern.min_gru, {}),
    "rwkv": (modern.rwkv, {}), "lru": (modern.lru, {"states": 4}), "mamba": (modern.mamba, {"states": 3}),
    "stack": (memory.stack, {"depth": 3}), "turing machine": (memory.turing_machine, {"slots": 4, "width": 3}),
}
IN_NUMPY = {"stack", "turing machine"}  # cells with a loop that isn't compiled


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_of_the_library_is_compiled(name: str, dtype: str) -> None:
    make, options = LAYERS[name]
    x = np.random.default_rng(1).normal(size=(7, 3, 5)).astype(dtype)
    fast = check(layer(make, dtype, **options), {"x": x})
    assert compiled_in_full(fast) == (name not in IN_NUMPY)


# ---- values before and after the sequence, statics, and single numbers
def test_values_before_the_sequence_are_given_and_learned() -> None:
    start = parameter("start", 4)

    def make() -> Cell:
        cell = two_delays()
        cell.signals["h"][0], cell.signals["h"][-1] = start, np.full(4, 0.3)
        return cell

    check(make, data(make()), {"initial": {"y": np.full((5, 4), 0.2)}})


def test_a_loop_attends_to_a_static() -> None:
    W, U = parameter("W", 4, 3), parameter("U", 4, 4)

    def make() -> Cell:
        cell = Cell("reader")
        x, h, enc = cell.input("x", 3), cell.signal("h", 4), cell.static("enc", (5, 4))
        h[t] = np.tanh(W @ x[t] + U @ (mg.softmax(enc @ h[t-1]) @ enc))
        return cell

    rng = np.random.default_rng(0)
    check(make, {"x": rng.normal(size=(4, 2, 3)), "enc": rng.normal(size=(2, 5, 4))})


def test_a_state_that_is_a_number() -> None:
    a = parameter("a")

    def make() -> Cell:
        cell = Cell("number")
        x, h = cell.input("x", ()), cell.signal("h", ())
        h[t] = np.tanh(a * h[t-1] + x[t]) * t
        return cell

    fast = check(make, {"x": np.random.default_rng(0).normal(size=(6, 3))})
    assert compiled_in_full(fast)


# ---- loops that aren't compiled
def test_a_loop_that_numba_cannot_take_is_computed_by_numpy_and_the_others_are_compiled() -> None:
    U, line = parameter("U", 4, 4), ""

    def make() -> Cell:
        nonlocal line
        cell = Cell("mixed")
        x, h, s = cell.input("x", 4), cell.signal("h", 4), cell.signal("s", 4)
        h[t] = np.tanh(x[t] + U @ h[t-1])
        s[t] = np.sort(h[t] + s[t-1])
        line = above()
        return cell

    fast = check(make, {"x": np.random.default_rng(0).normal(size=(4, 2, 4))})
    loops = fast.backend.loops
    assert sorted(by.split(":")[0] for by in loops.values()) == ["numba", "numba", "numpy", "numpy"]
    assert all("Sort has no compiled form" in by and line in by for by in loops.values() if by != "numba")
    assert repr(fast.backend).splitlines()[0] == "numba"
    assert [text for name, text in loops.items() if f"{name}: {text}" not in repr(fast.backend)] == []


@pytest.mark.slow
def test_deep_networks() -> None:
    cell = deep_lstm(2)
    assert compiled_in_full(check(lambda: deep_lstm(2), data(cell)))


# ---- what is computed for all steps at once
def test_values_of_other_steps_that_no_loop_passes_on() -> None:
    def make() -> Cell:
        cell = Cell("shifts")
        x, a, b, c = cell.input("x", 3), cell.signal("a", 3), cell.signal("b", 3), cell.signal("c", 3)
        a[t] = np.exp(x[t]) * parameter("p", 3)
        b[t] = a[t+1] * a[t-1] + np.tanh(a[t])
        c[t] = b[t-1] * b[t] - mg.min(b[t+1], axis=-1) * x[t]
        return cell

    check(make, {"x": np.random.default_rng(0).normal(size=(5, 2, 3))})


def test_a_gradient_that_is_a_view_of_a_value_that_nothing_else_reads() -> None:
    cell = Cell("late")
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = parameter("p", 3) * x[t+2]
    x[T+1], x[T+2] = np.zeros(3), parameter("end", 3)
    grads = {}
    for backend in ("numpy", "numba"):
        data = mg.Tensor(np.ones((4, 2, 3)), requires_grad=True)
        fast = cell.compile(backend=backend)  # type: ignore[arg-type]
        fast(x=data)
        fast.backward(y=np.ones((4, 2, 3)))
        grads[backend] = data.grad
    np.testing.assert_array_equal(grads["numba"], grads["numpy"])


def test_a_very_long_loop_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnn.fast.loops.LONGEST", 12)
    loops = check(two_delays, data(two_delays()), {}).backend.loops
    assert all("Numba would compile its " in by and "lines for too long (at definitions.py:" in by
               for by in loops.values()), loops


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3), (1, 3), (3, 1)], ids=str)
def test_what_a_matrix_reads_of_its_rows(shape: tuple[int, int]) -> None:
    def make() -> Cell:
        cell, rng = Cell("rows"), np.random.default_rng(0)
        p = mg.Tensor(rng.normal(size=shape[1]), requires_grad=True, name="p")
        x, S, L = cell.input("x", shape), cell.signal("S", shape), cell.signal("L", ())
        S[t] = np.tanh(x[t] * p + S[t-1] / (1 + np.abs(S[t-1]).sum(axis=-1)[..., None]))
        L[t] = (S[t].sum(axis=-1) ** 2).sum()
        return cell

    check(make, data(make(), 4, (3,)), {})


def test_formulas_are_computed_in_the_order_in_which_they_are_written() -> None:
    cell = Cell("order")
    x, h, g = cell.input("x", ()), cell.signal("h", ()), cell.signal("g", ())
    h[t] = (x[t] + h[t-1]) - x[t] + 0.0 * h[t-1]
    g[t] = 1 / (g[t-1] * x[t] + 0.0)
    given = {"x": np.array([[1.0], [-0.0], [np.inf], [1e30]])}
    with np.errstate(all="ignore"):
        expected, found = (cell.compile(backend=backend)(**given, initial={"h": 2.0, "g": 1.0})
                           for backend in ("numpy", "numba"))
        for name in ("h", "g"):
            np.testing.assert_array_equal(np.array(found[name]), np.array(expected[name]), err_msg=name)


class Scale(mg.Op):
    """k x, with a factor that may be assigned."""

    elementwise = True

    def __init__(self, k: float) -> None:
        self.k = k

    def forward(self, x: Any) -> Any:
        return x * self.k

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad * self.k


def test_an_operation_with_attributes_is_left_to_numpy_since_they_may_change() -> None:
    cell, op = Cell("scale"), Scale(0.5)
    x, h, other = cell.input("x", 2), cell.signal("h", 2), cell.signal("other", 2)
    h[t] = mg.apply(op, h[t-1]) + x[t]
    other[t] = np.tanh(other[t-1] + x[t])
    fast, given = cell.compile(backend="numba"), {"x": np.ones((3, 1, 2))}
    assert fast(**given)["h"][-1, 0, 0] == 1.75
    op.k = 0.0
    assert fast(**given)["h"][-1, 0, 0] == 1.0
    reasons = [by for by in fast.backend.loops.values() if by != "numba"]
    assert len(reasons) == 1 and "numba" in fast.backend.loops.values()
    assert re.fullmatch(r"numpy: Scale reads k, which may change \(at test_loops\.py:\d+\)", reasons[0])
    assert reasons[0] in fast.source


class Twice(mg.Op):
    """x as often as it is above 0 and above 1: NumPy's sum of two truth values is a truth value."""

    elementwise = True

    def forward(self, x: Any) -> Any:
        return ((x > 0) + (x > 1)) * x

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return ((x > 0) + (x > 1)) * grad


@pytest.mark.parametrize("formula", [
    lambda x, y: np.sqrt(x * x - y * y), lambda x, y: 1e30 * x * (1e30 * x) - y / 0.0,
    lambda x, y: np.sign(x * 0.3 - y * 0.3), lambda x, y: mg.apply(Twice(), x + 3.0),
    lambda x, y: np.log(mg.sigmoid(-1000.0 - x * x))], ids=["root", "infinities", "sign", "truth", "sigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formulas_are_rounded_and_decide_as_in_the_numpy_program(formula: Any, dtype: str) -> None:
    w = mg.Tensor(np.ones(64, dtype), requires_grad=True, name="w")
    cell = Cell("as written")
    x, h, L = cell.input("x", 64), cell.signal("h", 64), cell.signal("L", ())
    h[t] = formula(x[t] * w, x[t]) + 0.0 * h[t-1]
    L[t] = h[t].sum(axis=-1)
    given = {"x": np.random.default_rng(0).normal(size=(2, 64)).astype(dtype)}
    found = []
    for backend in ("numpy", "numba"):
        w.grad = None
        with np.errstate(all="ignore"):
            found.append((cell.compile("L", backend=backend)(**given).outputs["h"], w.grad))
    for numpy, numba in zip(*found):
        np.testing.assert_allclose(numba, numpy, rtol=1e-5)


@pytest.mark.parametrize("formula", [
    lambda h, x: np.where(np.arange(4) > 1, np.tanh(h), x), lambda h, x: np.tanh(h) * np.arange(4) + x,
    lambda h, x: np.tanh(h) * mg.Tensor(np.float32(0.5) * np.arange(4, dtype=np.float32)) + x],
    ids=["truth values", "whole numbers", "float32"])
def test_a_loop_with_a_constant_of_another_type_is_compiled_once(formula: Any) -> None:
    w = mg.Tensor(np.ones(4), requires_grad=True, name="w")
    cell = Cell("constant")
    x, h, L = cell.input("x", 4), cell.signal("h", 4), cell.signal("L", ())
    h[t] = formula(w * h[t-1], x[t])
    L[t] = h[t].sum(axis=-1)
    fast = cell.compile("L", backend="numba")
    fast(x=np.ones((3, 4)))
    functions = [fast._latest().forward.__globals__[name] for name in fast.backend.loops]
    assert [len(function.signatures) for function in functions] == [1, 1]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_whole_number_of_more_than_64_bits(backend: str) -> None:
    cell = Cell("large")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t] = 0.5 * h[t-1] + x[t] * 10**20
    fast = cell.compile(backend=backend)
    assert fast(x=[1.0, 2.0])["h"].tolist() == [1e20, 2.5e20]
    assert set(fast.backend.loops.values()) == ({"numba"} if backend == "numba" else set())


@pytest.mark.parametrize("name", ["SMALLEST_EXPONENT", "FLOAT", "sigmoid"])
def test_a_signal_may_have_a_name_that_loops_read(name: str) -> None:
    cell = Cell("names")
    x, h = cell.input("x", ()), cell.signal(name, ())
    h[t] = mg.sigmoid(h[t-1] + x[t])
    fast, given = cell.compile(backend="numba"), {"x": np.array([-1.0, 2.0])}
    np.testing.assert_allclose(fast(**given)[name], cell.compile()(**given)[name], rtol=1e-12)
    assert set(fast.backend.loops.values()) == {"numba"}


def test_lanes_of_one_element() -> None:
    def make() -> Cell:
        cell, rng = Cell("one"), np.random.default_rng(0)
        W, U = (mg.init.glorot(shape, rng, name=name) for name, shape in (("W", (1, 2)), ("U", (1, 2))))
        x, s, L = cell.input("x", 2), cell.signal("s", 1), cell.signal("L", ())
        s[t] = np.tanh(W @ x[t] + U @ np.concatenate([s[t-1], s[t-1]]))
        L[t] = s[t].sum(axis=-1)
        return cell

    check(make, data(make(), 4, (3,)), {})


def test_the_gradient_of_a_static_is_summed_in_the_compiled_loop() -> None:
    cell, rng = Cell("static"), np.random.default_rng(0)
    W = mg.init.orthogonal((4, 4), rng, name="W")
    x, g, h, L = cell.input("x", 4), cell.static("g", 4), cell.signal("h", 4), cell.signal("L", ())
    h[t] = np.tanh(W @ h[t-1] + g * x[t] * h[t-1])
    L[t] = (h[t] * h[t]).sum(axis=-1)
    given, values, found = {"x": rng.normal(size=(5, 3, 4))}, rng.normal(size=(3, 4)), []
    for backend in ("numpy", "numba"):
        tensor, W.grad = mg.Tensor(values, requires_grad=True, name="g"), None
        fast = cell.compile(loss="L", backend=backend)
        fast(**given, g=tensor, initial={"h": np.ones(4)})
        found.append((tensor.grad, W.grad))
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=1e-11)
    assert compiled_in_full(fast)


def test_a_joined_vector_that_lies_in_place_and_that_its_own_nest_reads() -> None:
    def make() -> Cell:
        W, w = parameter("W", 3, 6), parameter("w", 3)
        cell = Cell("joined")
        x, s, L = cell.input("x", 3), cell.signal("s", 3), cell.signal("L", ())
        s[t] = np.tanh(W @ np.concatenate([s[t-1], s[t-1]]) + w * s[t-1] + x[t])
        L[t] = (s[t] * s[t]).sum(axis=-1)
        return cell

    assert compiled_in_full(check(make, data(make(), 4, (3,)), {}))
