"""fast.stream(): one time step at a time computes what a call over the whole sequence computes."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases import thinned
from definitions import (
    DEFINITIONS,
    above,
    bidirectional,
    data,
    elman,
    gates,
    gru,
    lagged_input,
    lstm,
    own_output,
    parameter,
    skips,
    three_delays,
    twenty,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from random_definitions import STEPS, Spec, defined, specs
from shape_formulas import DATA, FORMULAS, network, with_learned_tensors

import minigrad as mg
from rnn import Cell, DefinitionError, cells, t
from rnn.cells import memory, modern

T = 7
BATCHES: list[Any] = [None, 1, 3, (2, 3)]


def shape_of(batch: Any) -> tuple[int, ...]:
    return () if batch is None else batch if isinstance(batch, tuple) else (batch,)


def steps_of(stream: Any, arrays: dict[str, Any], count: int = T) -> dict[str, Any]:
    """Return the outputs of several steps, stacked over time."""
    found = [dict(stream(**{name: x[k] for name, x in arrays.items()})) for k in range(count)]
    return {name: np.stack([step[name] for step in found]) for name in found[0]}


def assert_streams(cell: Cell, arrays: dict[str, Any], batch: Any, rtol: float = 1e-12, initial: Any = None,
                   **statics: Any) -> None:
    """Every signal and the state of a stream are those of the unrolled graph, step by step."""
    fast = cell.compile()
    run = cell.unroll(**(arrays or {"T": T}), initial=initial, **statics)
    stream = fast.stream(batch=batch, initial=initial, **statics)
    found = steps_of(stream, arrays)
    for name in [x for x in cell.signals if x in run]:
        wanted = run[name].stack().data
        if wanted.ndim < found[name].ndim:  # a run without inputs has no batch
            wanted = np.broadcast_to(wanted.reshape(T, *(1 for _ in shape_of(batch)), *wanted.shape[1:]),
                                     found[name].shape)
        np.testing.assert_allclose(found[name], wanted, rtol=rtol, atol=rtol, err_msg=name)
    state = stream.state
    assert state.steps.shape == shape_of(batch)
    assert np.all(state.steps == T)
    assert state.values.keys() == run.state.values.keys()
    for name, values in run.state.values.items():
        assert values.keys() == state.values[name].keys()
        for k, value in values.items():
            np.testing.assert_allclose(state.values[name][k].data, np.broadcast_to(
                value.data, state.values[name][k].shape), rtol=rtol, atol=rtol, err_msg=f"{name}[{k}]")


# ---- against loops in NumPy that share no code


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def test_an_lstm_step_by_step_is_the_formula() -> None:
    cell, x = lstm(), np.random.default_rng(0).normal(size=(T, 1, 3))
    p = {name: tensor.data.copy() for name, tensor in cell.parameters.items()}
    stream, h, c = cell.compile().stream(), np.zeros(4), np.zeros(4)
    for x_t in x:
        i, f, g, o = (p[f"W_{k}"] @ x_t[0] + p[f"U_{k}"] @ h + p[f"b_{k}"] for k in "ifgo")
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out = stream(x=x_t)
        np.testing.assert_allclose(out["y"][0], p["V"] @ h, rtol=1e-12)
        np.testing.assert_allclose(stream.state.values["c"][0].data[0], c, rtol=1e-12)


def test_a_filter_with_delays_of_its_input_and_output_is_the_formula() -> None:
    cell = Cell("filter")
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = 0.5 * x[t] - 0.25 * x[t-1] + 2.0 * x[t-3] + 0.5 * y[t-1] - 0.125 * y[t-2]
    x[0], x[-1], x[-2] = 0.75, -0.5, 0.25
    y[0], y[-1] = 1.0, -2.0
    stream, xs, ys = cell.compile().stream(batch=None), [0.25, -0.5, 0.75], [-2.0, 1.0]
    for x_t in np.random.default_rng(1).normal(size=9):
        xs.append(x_t)
        ys.append(0.5 * xs[-1] - 0.25 * xs[-2] + 2.0 * xs[-4] + 0.5 * ys[-1] - 0.125 * ys[-2])
        assert np.allclose(stream(x=x_t)["y"], ys[-1], rtol=1e-14, atol=0)
    found = {(name, k): float(x.data) for name, steps in stream.state.values.items() for k, x in steps.items()}
    assert found == pytest.approx({("x", 0): xs[-1], ("x", -1): xs[-2], ("x", -2): xs[-3],
                                   ("y", 0): ys[-1], ("y", -1): ys[-2]})


def test_a_matrix_as_state_is_the_formula() -> None:
    cell = Cell("delta rule")
    k, v, b = cell.input("k", 3), cell.input("v", 2), cell.input("b", ())
    S, y = cell.signal("S", (2, 3)), cell.signal("y", 2)
    S[t] = S[t-1] + b[t] * np.outer(v[t] - S[t-1] @ k[t], k[t])
    y[t] = S[t] @ k[t]
    S[0] = np.arange(6.0).reshape(2, 3)
    rng = np.random.default_rng(2)
    stream, states = cell.compile().stream(batch=2), [np.arange(6.0).reshape(2, 3)] * 2
    for _ in range(T):
        k_t, v_t, b_t = rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), rng.uniform(size=2)
        states = [M + b * np.outer(v - M @ k, k) for M, k, v, b in zip(states, k_t, v_t, b_t)]
        found = stream(k=k_t, v=v_t, b=b_t)["y"]
        np.testing.assert_allclose(found, [M @ k for M, k in zip(states, k_t)], rtol=1e-12)


# ---- against whole sequences


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("make", [elman, lstm, gru, gates, lagged_input, three_delays, skips, twenty, own_output,
                                  *(x for x in DEFINITIONS if x not in (bidirectional, elman, own_output))])
def test_a_stream_computes_the_whole_sequence(make: Callable[[], Cell], batch: Any) -> None:
    cell = make()
    arrays = {name: x for name, x in data(cell, T=T, batch=shape_of(batch)).items() if name != "T"}
    assert_streams(cell, arrays, batch)


KEYS = 3
LIBRARY = {
    "elman": cells.elman, "jordan": partial(cells.jordan, outputs=2), "lstm": cells.lstm, "gru": cells.gru,
    "peepholes": partial(cells.lstm, peephole="full"),
    "linear_attention": partial(modern.linear_attention, keys=KEYS), "delta_net": partial(modern.delta_net, keys=KEYS),
    "gated": partial(modern.delta_net, keys=KEYS, gated=True), "mlstm": partial(modern.mlstm, keys=KEYS),
    "slstm": modern.slstm, "min_gru": modern.min_gru, "rwkv": modern.rwkv,
    "mamba": partial(modern.mamba, states=KEYS, rank=2), "lru": partial(modern.lru, states=KEYS),
    "stack": partial(memory.stack, depth=4), "turing_machine": partial(memory.turing_machine, slots=4, width=2)}


@pytest.mark.parametrize("batch", [None, 2], ids=str)
@pytest.mark.parametrize("name", LIBRARY)
def test_every_cell_of_the_library(name: str, batch: Any) -> None:
    cell = Cell(name)
    LIBRARY[name](cell, cell.input("x", 3), 4, name="a", rng=np.random.default_rng(0))  # type: ignore[operator]
    assert_streams(cell, data(cell, T=T, batch=shape_of(batch)), batch, rtol=1e-11)


def translator(rows: int | None = None) -> Cell:
    """Attention over a static of any length, from which the first state is computed too."""
    cell = Cell("translator")
    enc, x = cell.static("enc", (rows, 3)), cell.input("x", 2)
    h, y = cell.signal("h", 4), cell.signal("y", 3)
    context = mg.softmax((enc @ parameter("K", 3, 4)) @ h[t-1]) @ enc
    h[t] = np.tanh(parameter("W", 4, 2) @ x[t] + parameter("C", 4, 3) @ context + parameter("U", 4, 4) @ h[t-1])
    y[t] = parameter("V", 3, 4) @ h[t]
    h[0] = np.tanh(parameter("W0", 4, 3) @ enc.mean(axis=0))
    return cell


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("own", [True, False], ids=["one each", "one for all"])
def test_statics_are_given_once(own: bool, batch: Any) -> None:
    rng, cell = np.random.default_rng(0), translator()
    enc = rng.normal(size=(*(shape_of(batch) if own else ()), 5, 3))
    assert_streams(cell, data(cell, T=T, batch=shape_of(batch)), batch, enc=enc)


def test_a_reset_takes_new_statics_of_another_length_or_keeps_them() -> None:
    rng, cell = np.random.default_rng(0), translator()
    x = data(cell, T=T, batch=(2,))["x"]
    first, second = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4, 3))
    fast = cell.compile()
    stream = fast.stream(batch=2, enc=first)
    for enc, given_anew in [(first, {}), (second, {"enc": second}), (second, {})]:
        stream.reset(**given_anew)
        np.testing.assert_allclose(steps_of(stream, {"x": x})["y"], fast(x=x, enc=enc)["y"], rtol=1e-12)


def test_the_step_number_continues_and_starts_anew_after_a_reset() -> None:
    cell = Cell("counting")
    x, s = cell.input("x", ()), cell.signal("s", ())
    s[t] = 0.5 * s[t-1] + t * x[t]
    assert_streams(cell, {"x": np.ones((T, 3))}, 3)
    stream = cell.compile().stream(batch=None)
    for _ in range(2):
        assert [float(stream(x=1.0)["s"]) for _ in range(3)] == [1.0, 2.5, 4.25]
        stream.reset()
    state = cell.unroll(x=np.ones(4)).state.detach()
    stream.reset(initial=state)
    assert float(stream(x=1.0)["s"]) == 0.5 * float(state.values["s"][0].data) + 5


def test_labels_and_lookups_are_integers() -> None:
    cell = Cell("language model")
    token, h, y = cell.input("token", ()), cell.signal("h", 3), cell.signal("y", 5)
    h[t] = np.tanh(parameter("E", 5, 3)[token[t]] + parameter("U", 3, 3) @ h[t-1] + parameter("F", 5, 3)[token[t-1]])
    y[t] = parameter("V", 5, 3) @ h[t]
    token[0] = 0
    tokens = np.random.default_rng(0).integers(5, size=(T, 2))
    assert_streams(cell, {"token": tokens}, 2)
    stream = cell.compile().stream(batch=2)
    with pytest.raises(TypeError, match=r"'token' are float64 \(at test_stream\.py:\d+\), but labels are integers"):
        stream(token=np.ones(2))
    with pytest.raises(IndexError, match="5"):
        stream(token=[5, 0])
    np.testing.assert_allclose(steps_of(stream, {"token": tokens})["y"], cell.compile()(token=tokens)["y"], rtol=1e-12)


@pytest.mark.parametrize("number", thinned(range(len(FORMULAS)), 3))
def test_each_formula_of_states_of_any_shape(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_learned_tensors(monkeypatch)
    cell = network(number)
    whole = cell.compile()(**DATA)
    batch = next(iter(DATA.values())).shape[1]
    found = steps_of(cell.compile().stream(batch=batch), DATA, len(next(iter(DATA.values()))))
    for name in found:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-11, atol=1e-12, err_msg=name)


@given(specs(), st.sampled_from([None, 2]))
@settings(max_examples=60, deadline=None)
def test_every_definition_that_runs_forward_in_time(spec: Spec, batch: Any) -> None:
    cell, _ = defined(spec)
    x = np.random.default_rng(0).normal(size=(STEPS, *shape_of(batch), 2))
    leads = spec.leads
    if any(leads[i] - term.delay > leads[term.source] for i, terms in enumerate(spec.terms) for term in terms):
        with pytest.raises(DefinitionError):
            cell.compile().stream(batch=batch)
        return
    run, stream = cell.unroll(x=x), cell.compile().stream(batch=batch)
    found = steps_of(stream, {"x": x}, STEPS)
    for name in found:
        np.testing.assert_allclose(found[name], run[name].stack().data, rtol=1e-11, atol=1e-11)


def test_float32_stays_float32_and_later_data_are_converted() -> None:
    cell = elman(np.float32)
    x = data(cell, T=3, batch=(1,))["x"].astype(np.float32)
    stream, whole = cell.compile().stream(), cell.compile()(x=x)["y"]
    for x_t, wanted in zip([x[0], x[1].astype(float), mg.Tensor(x[2])], whole):
        found = stream(x=x_t)["y"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_data_of_another_type_at_the_first_step_start_from_the_state_too() -> None:
    cell = elman(np.float32)
    x = data(cell, T=4, batch=(1,))["x"]
    stream = cell.compile().stream()
    stream.reset(initial=cell.unroll(x=x[:3].astype(np.float32)).state)
    wanted = cell.compile()(x=x)["y"][3]
    np.testing.assert_allclose(stream(x=x[3])["y"], wanted, rtol=1e-5)


# ---- the state


def test_a_stream_continues_a_run_and_a_call_and_they_a_stream() -> None:
    cell = three_delays()
    x, fast = data(cell, T=9, batch=(2,))["x"], cell.compile()
    wanted = fast(x=x)["h"]
    for start in (cell.unroll(x=x[:4]).state, cell.unroll(x=x[:4]).state.detach(), fast(x=x[:4]).state):
        stream = fast.stream(batch=2, initial=start)
        assert np.array_equal(stream.state.values["h"][-2].data, start.values["h"][-2].data)
        np.testing.assert_allclose(steps_of(stream, {"x": x[4:7]}, 3)["h"], wanted[4:7], rtol=1e-12)
        np.testing.assert_allclose(fast(x=x[7:], initial=stream.state)["h"], wanted[7:], rtol=1e-12)
        found = cell.unroll(x=x[7:], initial=stream.state)["h"].stack().data
        np.testing.assert_allclose(found, wanted[7:], rtol=1e-12)


@pytest.mark.parametrize("make", [elman, three_delays, lagged_input, translator])
def test_a_selected_state_repeats_and_reorders_sequences(make: Callable[[], Cell]) -> None:
    cell = make()
    x, fast = data(cell, T=6, batch=(3,))["x"], cell.compile()
    enc = {"enc": np.ones((5, 3))} if cell.statics else {}
    stream = fast.stream(batch=3, **enc)
    steps_of(stream, {"x": x}, 3)
    stream.reset(initial=stream.state.select([2, 0, 0]))
    name = "h"
    found = steps_of(stream, {"x": x[3:]}, 3)[name]
    np.testing.assert_allclose(found, fast(x=np.concatenate([x[:3, [2, 0, 0]], x[3:]]), **enc)[name][3:], rtol=1e-12)


def test_initial_values_by_name_and_a_reset_to_the_values_of_the_definition() -> None:
    cell = three_delays()
    cell.signals["h"][0] = 0.5
    cell.signals["h"][-1] = cell.signals["h"][-2] = np.ones(4)
    x, fast = data(cell, T=4, batch=(2,))["x"], cell.compile()
    given_values = {"h": {0: np.ones((2, 4)), -1: np.zeros(4), -2: mg.Tensor(np.full(4, 2.0), requires_grad=True)}}
    stream = fast.stream(batch=2)
    for initial in (None, given_values, None):
        stream.reset(initial)
        np.testing.assert_allclose(steps_of(stream, {"x": x}, 4)["h"], fast(x=x, initial=initial)["h"], rtol=1e-12)


def test_the_state_before_the_first_step_is_the_initial_one() -> None:
    cell = three_delays()
    assert {k: x.data.tolist() for k, x in cell.compile().stream(batch=1).state.values["h"].items()} \
        == {0: [[0.0] * 4], -1: [[0.0] * 4], -2: [[0.0] * 4]}


# ---- outputs and inputs


def tagger() -> Cell:
    """A network with a loss, which needs labels, and a sum of losses, which is carried."""
    cell = Cell("tagger")
    word, tag = cell.input("word", 3), cell.input("tag", ())
    h, scores, L, total = cell.signal("h", 4), cell.signal("scores", 5), cell.signal("L", ()), cell.signal("total", ())
    h[t] = np.tanh(parameter("W", 4, 3) @ word[t] + parameter("U", 4, 4) @ h[t-1])
    scores[t] = parameter("V", 5, 4) @ h[t]
    L[t] = mg.losses.cross_entropy(scores[t], tag[t], reduction="none")
    total[t] = total[t-1] + L[t]
    return cell


def test_a_step_asks_only_for_the_inputs_of_its_outputs() -> None:
    cell, rng = tagger(), np.random.default_rng(0)
    words, tags = rng.normal(size=(T, 2, 3)), rng.integers(5, size=(T, 2))
    _, whole = cell.compile(loss="L")(word=words, tag=tags)
    wanted = whole["scores"]
    stream = cell.compile(loss="L").stream(batch=2, outputs=["scores"])
    found = steps_of(stream, {"word": words})
    assert list(found) == ["scores"]
    np.testing.assert_allclose(found["scores"], wanted, rtol=1e-12)
    assert list(stream.state.values) == ["h"]
    stream.reset()
    np.testing.assert_allclose(steps_of(stream, {"word": words, "tag": tags})["scores"], wanted, rtol=1e-12)
    with pytest.raises(ValueError, match=r"no data for the input 'word', declared at test_stream\.py:\d+: "
                                         r"call stream\(word=\.\.\.\) \(at test_stream\.py:\d+\)"):
        stream(tag=tags[0])


def test_without_names_of_outputs_the_first_step_decides_what_is_computed() -> None:
    cell, rng = tagger(), np.random.default_rng(0)
    words, tags = rng.normal(size=(T, 2, 3)), rng.integers(5, size=(T, 2))
    whole = cell.compile()(word=words, tag=tags)
    for arrays in ({"word": words}, {"word": words, "tag": tags}):
        found = steps_of(cell.compile().stream(batch=2), arrays)
        assert ("total" in found) == ("tag" in arrays)
        for name in found:
            np.testing.assert_allclose(found[name], whole[name], rtol=1e-12)
    stream = cell.compile().stream(batch=2)
    out = stream(word=words[0])
    with pytest.raises(KeyError, match=r"doesn't compute 'L': it computes word, h, scores\. .*first step was given"):
        out["L"]
    full = cell.compile().stream(batch=2)
    full(word=words[0], tag=tags[0])
    with pytest.raises(ValueError, match="no data for the input 'tag'"):  # the sum would lack a term
        full(word=words[0])


def test_the_state_of_a_whole_run_starts_a_stream_of_some_of_its_signals() -> None:
    cell, rng = tagger(), np.random.default_rng(0)
    words, tags = rng.normal(size=(T, 2, 3)), rng.integers(5, size=(T, 2))
    whole = cell.compile()(word=words, tag=tags)["scores"]
    stream = cell.compile().stream(batch=2, outputs=["scores"],
                                   initial=cell.unroll(word=words[:4], tag=tags[:4]).state)
    np.testing.assert_allclose(steps_of(stream, {"word": words[4:]}, 3)["scores"], whole[4:], rtol=1e-12)


def test_an_input_without_a_declared_size_has_that_of_the_first_step() -> None:
    cell = Cell("open")
    x, s = cell.input("x"), cell.signal("s", 3)
    s[t] = s[t-1] + x[t]
    stream = cell.compile().stream(batch=2)
    with pytest.raises(RuntimeError, match=r"before the first step.*declare them, open\.input\(name, size\)"):
        _ = stream.state
    with pytest.raises(ValueError, match=r"have shape \(3, 3\) \(at .*, but \(2, size\) is needed"):
        stream(x=np.ones((3, 3)))
    assert [stream(x=np.ones((2, 3)))["s"][0, 0] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"have shape \(2, 4\) \(at .*, but \(2, 3\) is needed"):
        stream(x=np.ones((2, 4)))


def test_names_that_are_options_are_given_as_a_dict() -> None:
    cell = Cell("named")
    x, s = cell.input("inputs", ()), cell.signal("s", ())
    s[t] = s[t-1] + x[t]
    b = cell.static("batch", ())
    y = cell.signal("y", ())
    y[t] = s[t] * b
    stream = cell.compile().stream(batch=None, inputs={"batch": 3.0})
    assert [float(stream(inputs={"inputs": 2.0})["y"]) for _ in range(2)] == [6.0, 12.0]
    stream.reset(inputs={"batch": 5.0})
    assert float(stream(inputs={"inputs": 2.0})["y"]) == 10.0


def test_the_outputs_of_a_step_hold_until_the_next_one_and_are_copies() -> None:
    stream = lstm().compile().stream()
    first = stream(x=np.ones((1, 3)))
    y = first["y"]
    y[:] = 100.0
    assert not np.any(first["y"] == 100.0)
    stream(x=np.ones((1, 3)))
    with pytest.raises(RuntimeError, match=r"the stream of 'lstm' has gone on since\. Take .*out\['y'\]"):
        first["y"]


# ---- parameters


@pytest.mark.parametrize("make", [elman, lstm, translator, partial(tagger)])
def test_parameters_that_change_between_steps_are_picked_up(make: Callable[[], Cell]) -> None:
    cell = make()
    name, size = ("word", 3) if "word" in cell.signals else ("x", cell.signals["x"].shape[0])  # type: ignore[index]
    x, fast = np.random.default_rng(0).normal(size=(6, 2, size)), cell.compile()
    enc = {"enc": np.random.default_rng(1).normal(size=(5, 3))} if cell.statics else {}
    output = "scores" if name == "word" else "y"
    stream, state = fast.stream(batch=2, outputs=[output], **enc), None
    views = [p.data for p in cell.parameters.values()]  # arrays that are modified without a sign
    changes: list[Callable[[Any, Any], None]] = [
        lambda p, view: None, lambda p, view: view.__imul__(0.5), lambda p, view: setattr(p, "data", p.data + 0.1),
        lambda p, view: None, lambda p, view: p.__isub__(0.2), lambda p, view: p.data.fill(0.3)]
    for k, change in enumerate(changes):
        with mg.no_grad():
            for p, view in zip(cell.parameters.values(), views):
                change(p, view)
        more = {"tag": np.zeros((1, 2), int)} if name == "word" else {}
        whole = fast(**{name: x[k:k + 1]}, **more, **enc, initial=state)
        np.testing.assert_allclose(stream(**{name: x[k]})[output], whole[output][0], rtol=1e-12, err_msg=str(k))
        state = whole.state


def test_a_stream_keeps_no_array_of_a_parameter() -> None:
    """Else each step would compare all data with a hash, as long as something may modify the array unseen."""
    W, U = parameter("W", 4, 7), parameter("U", 4, 4)
    cell = Cell("joined")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(W @ np.concatenate([x[t], h[t-1]]))
    y[t] = U @ h[t]
    stream, parameters = cell.compile().stream(batch=None), [W, U]
    counts = [sys.getrefcount(p._array) for p in parameters]
    stream(x=np.ones(3))
    assert [sys.getrefcount(p._array) for p in parameters] == counts


def test_tensors_computed_from_parameters_follow_them() -> None:
    W = parameter("W", 3, 3)
    cell = Cell("tied")
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = np.tanh(W @ x[t] + W.T @ h[t-1])
    y[t] = (W * W) @ h[t]
    stream, x_1 = cell.compile().stream(batch=None), np.arange(3.0)
    h_before = np.zeros(3)
    for factor in (1.0, 0.5, 0.5):
        W.data = W.data * factor
        h_before = np.tanh(W.data @ x_1 + W.data.T @ h_before)
        np.testing.assert_allclose(stream(x=x_1)["y"], (W.data * W.data) @ h_before, rtol=1e-12)


def test_training_a_network_between_steps() -> None:
    cell = elman()
    x, fast = data(cell, T=5, batch=(2,))["x"], cell.compile()
    stream, optimizer = fast.stream(batch=2), mg.optim.SGD(cell.parameters, lr=0.1)
    state = None
    for k in range(5):
        found = stream(x=x[k])["y"]
        np.testing.assert_allclose(found, cell.unroll(x=x[k:k + 1], initial=state)["y"][1].data, rtol=1e-12)
        state = stream.state
        fast(x=x)
        fast.backward(y=np.ones((5, 2, 2)))
        optimizer.step()


def with_dropout(seed: int, of_parameter: bool = False) -> Cell:
    rng = np.random.default_rng(seed)
    W, U = parameter("W", 4, 3), parameter("U", 4, 4)
    cell = Cell("dropout")
    x, h, y = cell.input("x", 3), cell.signal("h", 4), cell.signal("y", 4)
    h[t] = np.tanh(mg.dropout(W @ x[t], 0.5, rng) + (mg.dropout(U, 0.5, rng) if of_parameter else U) @ h[t-1])
    y[t] = mg.dropout(h[t], 0.25, rng)
    return cell


@pytest.mark.parametrize("of_parameter", [False, True], ids=["values", "parameters too"])
def test_what_is_drawn_is_drawn_as_by_one_call_for_each_step(of_parameter: bool) -> None:
    x = np.random.default_rng(0).normal(size=(6, 2, 3))
    fast, state, wanted = with_dropout(3, of_parameter).compile(), None, []
    for k in range(6):
        outputs = fast(x=x[k:k + 1], initial=state)
        wanted.append(outputs["y"][0])
        state = outputs.state
    found = steps_of(with_dropout(3, of_parameter).compile().stream(batch=2), {"x": x}, 6)["y"]
    assert np.any(found == 0) and np.any(found != 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


# ---- what is refused, and what a failed step leaves


def test_a_read_ahead_is_refused_by_name_and_line() -> None:
    cell = Cell("ahead")
    x, h, hb, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("hb", 3), cell.signal("y", 3)
    h[t] = np.tanh(x[t] + h[t-1])
    hb[t] = np.tanh(x[t] + hb[t+1])
    line = above()
    y[t] = h[t] + hb[t]
    fast = cell.compile()
    with pytest.raises(DefinitionError, match=rf"hb reads hb\[t\+1\], at {line}, which a stream doesn't know yet .*"
                                              r"\(at test_stream\.py:\d+\): stream\(outputs=\['h'\]\) computes"):
        fast.stream()
    with pytest.raises(DefinitionError, match=r"hb reads hb\[t\+1\]"):
        fast.stream(outputs=["y"])
    found = steps_of(fast.stream(outputs=["h"]), {"x": np.ones((T, 1, 3))})["h"]
    np.testing.assert_allclose(found, fast(x=np.ones((T, 1, 3)))["h"], rtol=1e-12)


def test_an_input_that_is_read_ahead_is_refused_too() -> None:
    cell = Cell("next")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(x[t+1] + h[t-1])
    line = above()
    x.cell.signals["x"].final[1] = mg.Tensor(np.zeros(3))
    with pytest.raises(DefinitionError, match=rf"h reads x\[t\+1\], at {line}, .*call the program on whole sequences"):
        cell.compile().stream()


def test_a_signal_that_is_defined_late_is_refused() -> None:
    cell = Cell("late")
    x, h = cell.input("x", ()), cell.signal("h", ())
    h[t-1] = 2.0 * x[t]
    line = above()
    with pytest.raises(DefinitionError, match=rf"the equation at {line} defines h\[t-1\], so that h\[t\] isn't known"):
        cell.compile().stream()


def test_a_failed_step_changes_nothing() -> None:
    cell = Cell("inverse")
    A, s, token = cell.input("A", (2, 2)), cell.signal("s", 2), cell.input("token", ())
    s[t] = np.linalg.solve(A[t], s[t-1] + s[t-2] + parameter("E", 3, 2)[token[t]]) + 0.1 * t
    rng = np.random.default_rng(0)
    given_steps = [{"A": rng.normal(size=(1, 2, 2)), "token": [k % 3]} for k in range(5)]
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"A": np.zeros((1, 2, 2)), "token": [0]}, np.linalg.LinAlgError, "Singular"),
        ({"A": np.ones((1, 2, 3)), "token": [0]}, ValueError,
         r"'A' have shape \(1, 2, 3\) \(at test_stream\.py:\d+\), but \(1, 2, 2\) is needed"),
        ({"A": np.ones((2, 2)), "token": [0]}, ValueError, r"\(1, 2, 2\) is needed, that of one step, for batch=1"),
        ({"A": np.eye(2)[None], "token": [3]}, IndexError, "3"),
        ({"A": np.eye(2)[None], "token": [0.5]}, TypeError, "labels are integers"),
        ({"A": np.eye(2)[None], "token": np.array([1.0])}, TypeError, r"float64 \(at .*labels are integers"),
        ({"A": [["a", "b"]] * 2, "token": [0]}, TypeError, "not real numbers"),
        ({"A": [[1], [1, 2]], "token": [0]}, ValueError, "not an array"),
        ({"A": np.eye(2)[None]}, ValueError, r"no data for the input 'token'.*call stream\(A=\.\.\., token=\.\.\.\)"),
        ({"A": np.eye(2)[None], "token": [0], "tokens": [0]}, ValueError, "no input 'tokens': did you mean 'token'"),
        ({"A": np.eye(2)[None], "token": [0], "s": [0]}, ValueError, "no input 's'"),
    ]
    undisturbed, stream = cell.compile().stream(), cell.compile().stream()
    for step in given_steps:
        for arguments, error, message in wrong:
            before = stream.state
            with pytest.raises(error, match=message):
                stream(**arguments)
            after = stream.state
            assert all(np.array_equal(x.data, after.values[name][k].data) for name, values in before.values.items()
                       for k, x in values.items())
            assert np.array_equal(before.steps, after.steps)
        out = stream(**step)
        assert np.array_equal(out["s"], undisturbed(**step)["s"])
        with pytest.raises(np.linalg.LinAlgError):
            stream(A=np.zeros((1, 2, 2)), token=[0])
        with pytest.raises(RuntimeError, match="the values of this step are gone"):  # they may be overwritten in part
            out["s"]


def test_a_failed_reset_changes_nothing() -> None:
    cell = translator()
    x, enc = data(cell, T=3, batch=(2,))["x"], np.random.default_rng(0).normal(size=(2, 5, 3))
    stream, undisturbed = (cell.compile().stream(batch=2, enc=enc) for _ in range(2))
    three = cell.compile().stream(batch=3, enc=enc[0])
    for x_t in x:
        for arguments, message in [({"initial": {"g": 0}}, "'translator' has no such signal"),
                                   ({"initial": {"h": np.ones((2, 3))}}, r"h\[0\] has shape \(2, 3\)"),
                                   ({"initial": three.state}, r"batch .*\(3,\)"),
                                   ({"enc": np.ones((5, 4))}, "static enc has data of shape"),
                                   ({"end": enc}, "no static 'end': did you mean 'enc'")]:
            with pytest.raises(ValueError, match=message):
                stream.reset(**arguments)
        assert np.array_equal(stream(x=x_t)["y"], undisturbed(x=x_t)["y"])


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({"batch": 0}, ValueError, "batch is a number of sequences, 1 or more, or None"),
    ({"batch": 1.5}, ValueError, "not 1.5"),
    ({"outputs": "y"}, TypeError, r"outputs is a list of names, \['y'\]"),
    ({"outputs": []}, ValueError, "empty list"),
    ({"outputs": ["z"]}, ValueError, "no signal 'z'"),
    ({"length": 3}, ValueError, "no static 'length': it has none"),
    ({"initial": 3}, TypeError, "initial is a run's state or a dict"),
    ({"initial": {"h": np.ones((2, 4))}}, ValueError, "the batches don't fit together"),
    ({"initial": {"h": np.ones((2, 4))}, "batch": None}, ValueError, r"values have batch axes \(2,\), but this"),
])
def test_wrong_arguments_of_a_stream(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        elman().compile().stream(**arguments)
    assert "test_stream.py:" in str(raised.value)


def test_a_static_is_taken_as_it_was_given() -> None:
    cell, x = translator(), np.random.default_rng(0).normal(size=(3, 1, 2))
    enc = np.random.default_rng(1).normal(size=(5, 3))
    wanted = cell.compile()(x=x, enc=enc)["y"]
    for given_static in (enc.copy(), mg.Tensor(enc, requires_grad=True)):
        stream = cell.compile().stream(enc=given_static)
        for x_t, y in zip(x, wanted):
            np.testing.assert_allclose(stream(x=x_t)["y"], y, rtol=1e-12)
            (given_static if isinstance(given_static, np.ndarray) else given_static.data)[:] = 0
            for p in cell.parameters.values():  # what depends on the static is computed again
                p.data = p.data.copy()


def test_the_text_of_a_step_can_be_read() -> None:
    text = lstm().compile().stream().source
    assert "def prepare(" in text and "def forward(" in text and "def backward(" not in text


def test_a_missing_static_is_named() -> None:
    with pytest.raises(ValueError, match=r"no value for the static 'enc', declared at .*: stream\(enc=\.\.\.\)"):
        translator().compile().stream()


def test_a_definition_that_was_changed_needs_a_new_stream() -> None:
    cell = elman()
    stream = cell.compile().stream()
    z = cell.signal("z", 2)
    z[t] = cell.signals["y"][t] * 2.0
    with pytest.raises(RuntimeError, match="'elman' was changed after this stream had been made"):
        stream(x=np.ones((1, 3)))


def test_a_stream_is_not_copied() -> None:
    with pytest.raises(TypeError, match=r"start another stream from it, fast\.stream\(initial=stream\.state\)"):
        copy.deepcopy(elman().compile().stream())


# ---- several streams


def test_streams_of_one_program_do_not_disturb_each_other_or_its_calls() -> None:
    cell = lstm()
    x, fast = np.random.default_rng(0).normal(size=(3, T, 1, 3)), cell.compile()
    wanted = [fast(x=part)["y"] for part in x]
    streams = [fast.stream() for _ in x]
    for k in range(T):
        for stream, part, whole in zip(streams, x, wanted):
            assert np.array_equal(fast(x=part)["y"], whole)
            np.testing.assert_allclose(stream(x=part[k])["y"], whole[k], rtol=1e-12)


def test_streams_of_one_program_run_in_threads() -> None:
    cell, count, steps = lstm(), 6, 200
    x, fast = np.random.default_rng(0).normal(size=(count, steps, 1, 3)), cell.compile()
    wanted = [fast(x=part)["y"] for part in x]
    found: dict[int, Any] = {}
    start = threading.Barrier(count)

    def work(number: int) -> None:
        start.wait()
        found[number] = steps_of(fast.stream(), {"x": x[number]}, steps)["y"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(count):
        np.testing.assert_allclose(found[number], wanted[number], rtol=1e-12)


def test_a_state_of_some_outputs_is_refused_where_more_is_needed() -> None:
    cell = Cell("two loops")
    x, h, S = cell.input("x", 2), cell.signal("h", 2), cell.signal("S", 2)
    h[t] = h[t-1] + x[t]
    S[t] = S[t-1] + x[t] * t
    S[0] = np.array([7.0, 7.0])
    stream = cell.compile().stream(outputs=["h"])
    stream(x=np.ones((1, 2)))
    for call in (cell.unroll, cell.compile()):
        with pytest.raises(ValueError, match=r"the state has no value of S, which 'two loops' reads .*outputs"):
            call(x=np.ones((2, 1, 2)), initial=stream.state)
    run = cell.unroll(x=np.ones((2, 1, 2)), initial={"h": stream.state.values["h"][0]})
    np.testing.assert_array_equal(run["h"].final().data, [[3.0, 3.0]])
    stream.reset(initial=stream.state)
    np.testing.assert_array_equal(stream(x=np.ones((1, 2)))["h"], [[2.0, 2.0]])
