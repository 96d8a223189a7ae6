"""Numbers that others published, or that anyone can redo: courses, an exam, a forum, a gist.

Each file in cases/ says where its numbers come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import case

import minigrad as mg
from minigrad import Op
from rnn import Cell, t


def parameters(values: dict[str, Any]) -> dict[str, mg.Tensor]:
    return {name: mg.Tensor(value, requires_grad=True, name=name, dtype=float) for name, value in values.items()}


def relative_error(a: Any, b: Any) -> float:
    """max |a - b| / max(1e-8, |a| + |b|); first of all the shapes must be equal."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    return float((np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))).max())


def assert_gradients(tensors: dict[str, mg.Tensor], expected: dict[str, Any], tolerance: float) -> None:
    for name, grad in expected.items():
        assert tensors[name].grad is not None, name
        assert relative_error(tensors[name].grad, grad) <= tolerance, name


# ---- engines
def test_micrograd_sanity_check() -> None:
    stored = case("micrograd_sanity")
    x = mg.Tensor(-4.0, requires_grad=True)
    z = 2 * x + 2 + x
    q = mg.relu(z) + z * x
    h = mg.relu(z * z)
    y = h + q + q * x
    y.backward()
    assert {"y": y.item(), "dy_dx": x.grad} == stored["cases"][0]["expected"]


def test_micrograd_other_operations() -> None:
    stored = case("micrograd_sanity")
    a, b = mg.Tensor(-4.0, requires_grad=True), mg.Tensor(2.0, requires_grad=True)
    c = a + b
    d = a * b + b ** 3
    c = c + (c + 1)
    c = c + (1 + c + (-a))
    d = d + (d * 2 + mg.relu(b + a))
    d = d + (3 * d + mg.relu(b - a))
    e = c - d
    f = e ** 2
    g = f / 2.0
    g = g + 10.0 / f
    g.backward()
    assert {"g": g.item(), "dg_da": a.grad, "dg_db": b.grad} == pytest.approx(stored["cases"][1]["expected"], abs=1e-9)


def test_micrograd_a_second_backward_doubles_the_leaves() -> None:
    stored = case("micrograd_sanity")["non_idempotent"]
    a, b, d = (mg.Tensor(value, requires_grad=True) for value in (3.0, 2.0, 1.0))
    e = (a + b) * d
    e.backward()
    e.backward()
    assert {"a": a.grad, "b": b.grad, "d": d.grad} == stored["correct_accumulation"]


class F1(Op):
    """minitorch's test function."""

    def forward(self, x: Any, y: Any) -> Any:
        return x + y + 10

    def backward(self, grad: Any, out: Any, x: Any, y: Any) -> Any:
        return grad, grad


def test_minitorch_diamonds_visit_every_node_after_all_its_users() -> None:
    def f(x: Any, y: Any) -> Any:
        return mg.apply(F1(), x, y)

    def diamond(v: Any) -> Any:
        p = f(0.0, v)
        return f(f(0.0, p), f(0.0, p))

    graphs = [lambda v: f(0.0, v), lambda v: f(0.0, f(0.0, v)), lambda v: f(f(0.0, v), f(0.0, v)), diamond]
    stored = case("minitorch_backprop_topology")["cases"]
    assert len(stored) == len(graphs)
    for graph, expected in zip(graphs, stored):
        v = mg.Tensor(0.0, requires_grad=True)
        graph(v).backward(5.0)
        assert v.grad == expected["dv"], expected["graph"]


# ---- one step
def test_cs231n_one_step_of_a_vanilla_rnn() -> None:
    stored = case("cs231n_rnn_step_forward")
    p = parameters(stored["inputs"])
    cell = Cell()
    x, h = cell.input("x", 10), cell.signal("h", 4)
    h[t] = np.tanh(x[t] @ p["Wx"] + h[t-1] @ p["Wh"] + p["b"])
    run = cell.unroll(x=mg.stack([p["x"]]), initial={"h": p["prev_h"]})
    assert relative_error(run["h"][1].data, stored["expected"]["next_h"]) < 1e-7
    run["h"][1].sum().backward()
    assert_gradients(p, stored["grads_of_sum"], stored["tolerance"]["grads"])


def test_cs231n_one_step_of_an_lstm() -> None:
    stored = case("cs231n_lstm_step_forward")
    p = parameters(stored["inputs"])
    cell = Cell()
    x, h, c = cell.input("x", 4), cell.signal("h", 5), cell.signal("c", 5)
    a = x[t] @ p["Wx"] + h[t-1] @ p["Wh"] + p["b"]
    i, f, o, g = mg.sigmoid(a[:5]), mg.sigmoid(a[5:10]), mg.sigmoid(a[10:15]), np.tanh(a[15:])
    c[t] = f * c[t-1] + i * g
    h[t] = o * np.tanh(c[t])
    run = cell.unroll(x=mg.stack([p["x"]]), initial={"h": p["prev_h"], "c": p["prev_c"]})
    assert relative_error(run["h"][1].data, stored["expected"]["next_h"]) < stored["tolerance"]["published"]
    assert relative_error(run["c"][1].data, stored["expected"]["next_c"]) < stored["tolerance"]["published"]
    (run["h"][1].sum() + 2 * run["c"][1].sum()).backward()
    assert_gradients(p, stored["grads"], stored["tolerance"]["grads"])


def test_deeplearning_ai_one_step_with_softmax() -> None:
    stored = case("dlai_rnn_cell_forward")
    values = {name: np.array(value) for name, value in stored["inputs"].items()}
    p = parameters({name: values[name] for name in ("Waa", "Wax", "Wya", "ba", "by")})
    cell = Cell()
    x, a, y = cell.input("x", 3), cell.signal("a", 5), cell.signal("y", 2)
    a[t] = np.tanh(p["Wax"] @ x[t] + p["Waa"] @ a[t-1] + p["ba"][:, 0])
    y[t] = mg.softmax(p["Wya"] @ a[t] + p["by"][:, 0])
    # In the course columns are examples; here the batch comes first.
    run = cell.unroll(x=values["xt"].T[None], initial={"a": values["a_prev"].T})
    a_next, y_pred = run["a"][1].data.T, run["y"][1].data.T
    np.testing.assert_allclose(a_next[4], stored["expected"]["a_next[4]"], rtol=stored["tolerance"]["published"])
    np.testing.assert_allclose(y_pred[1], stored["expected"]["yt_pred[1]"], rtol=stored["tolerance"]["published"])
    assert relative_error(a_next, stored["full"]["a_next"]) < stored["tolerance"]["full"]
    assert relative_error(y_pred, stored["full"]["yt_pred"]) < stored["tolerance"]["full"]


# ---- through time
@pytest.mark.parametrize("steps", ["T1", "T3"])
def test_the_exam_question_by_hand(steps: str) -> None:
    stored = case("exam_rnn_by_hand_T1_and_T3")
    p = parameters(stored["inputs"])
    cell = Cell()
    x, target = cell.input("x", 3), cell.input("target", ())
    h, o, loss = cell.signal("h", 2), cell.signal("o", ()), cell.signal("loss", ())
    h[t] = np.tanh(p["b"] + p["W"] @ h[t-1] + p["U"] @ x[t])
    o[t] = p["c"] + p["v"] @ h[t]
    loss[t] = (o[t] - target[t]) ** 2
    expected = stored[steps]
    run = cell.unroll(x=np.array(expected["x"], float), target=expected["y"])
    total = run["loss"].stack().sum()
    total.backward()
    assert total.item() == pytest.approx(expected["L"], rel=1e-12)
    assert_gradients(p, expected["grads"], stored["tolerance"]["rel"])


def test_the_forum_s_scalar_recurrence_whole_and_truncated() -> None:
    stored = case("pytorch_forum_tbptt_scalar")
    w = mg.Tensor(0.2, requires_grad=True, name="w")
    x = Cell().signal("x", ())
    x[t] = w * x[t-1]
    x[0] = 0.9

    def slope_of(x_t: mg.Tensor) -> Any:
        w.grad = None
        x_t.backward()
        return w.grad

    run = x.cell.unroll(T=3)
    np.testing.assert_allclose(run["x"].stack().data, stored["expected_full"]["x"], atol=1e-15)
    np.testing.assert_allclose([slope_of(x_t) for x_t in run["x"]], stored["expected_full"]["dx_dw"], atol=1e-15)
    truncated, state = [], None
    for _ in range(3):
        run = x.cell.unroll(T=1, initial=state)
        truncated.append(slope_of(run["x"][1]))
        state = run.state.detach()
    np.testing.assert_allclose(truncated, stored["expected_truncated_k1"]["dx_dw"], atol=1e-15)


def test_dive_into_deep_learning_backpropagation_through_time() -> None:
    stored = case("d2l_bptt_linear_rnn")
    values, expected, rel = stored["inputs"], stored["expected"], stored["tolerance"]["rel"]
    p = parameters({name: values[name] for name in ("Whx", "Whh", "Wqh")})
    cell = Cell()
    x, h, o = cell.input("x", 3), cell.signal("h", 4), cell.signal("o", 2)
    h[t] = p["Whx"] @ x[t] + p["Whh"] @ h[t-1]
    o[t] = p["Wqh"] @ h[t]
    run = cell.unroll(x=values["x"])
    loss = 0.5 * ((run["o"].stack() - np.array(values["y"])) ** 2).sum() / 6
    loss.backward()
    assert loss.item() == pytest.approx(expected["L"], rel=rel)
    np.testing.assert_allclose([h_t.grad for h_t in run["h"]], expected["dL_dh"], rtol=1e-9)
    for name in p:
        np.testing.assert_allclose(p[name].grad, expected[f"d{name}"], rtol=1e-9)
    per_step = [np.outer(run["h"][k].grad, run["h"][k - 1].data) for k in range(1, 7)]
    np.testing.assert_allclose(per_step, expected["dWhh_per_step"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("number", range(10))
def test_gradients_vanish_and_explode_with_the_spectral_radius(number: int) -> None:
    stored = case("pascanu_gradient_norms")
    expected = stored["expected"][number]
    W = np.array(stored["inputs"]["W_unscaled"])
    W = mg.Tensor(W * expected["rho"] / np.abs(np.linalg.eigvals(W)).max(), requires_grad=True, name="W")
    h = Cell().signal("h", 20)
    h[t] = np.tanh(h[t-1] @ W) if expected["act"] == "tanh" else h[t-1] @ W
    h[0] = mg.Tensor(stored["inputs"]["h0"], requires_grad=True, name="h0")
    run = h.cell.unroll(T=50)
    run["h"][50].sum().backward()
    norms = {k: np.linalg.norm(run["h"][int(k)].grad) for k in expected["norm_dL_dh_t"]}
    assert norms == pytest.approx(expected["norm_dL_dh_t"], rel=stored["tolerance"]["rel"])


def test_the_first_updates_of_min_char_rnn() -> None:
    stored = case("minchar_rnn_trajectory")
    text = stored["text"]
    vocabulary = sorted(set(text))
    V, H, n = len(vocabulary), 100, 25
    codes = np.array([vocabulary.index(character) for character in text])
    random = np.random.RandomState(42)
    p = parameters({"Wxh": random.randn(H, V) * 0.01, "Whh": random.randn(H, H) * 0.01,
                    "Why": random.randn(V, H) * 0.01, "bh": np.zeros(H), "by": np.zeros(V)})
    cell = Cell("min-char-rnn")
    x, label = cell.input("x", V), cell.input("label", ())
    h, loss = cell.signal("h", H), cell.signal("loss", ())
    h[t] = np.tanh(p["Wxh"] @ x[t] + p["Whh"] @ h[t-1] + p["bh"])
    loss[t] = mg.losses.cross_entropy(p["Why"] @ h[t] + p["by"], label[t], reduction="none")
    memory = {name: np.zeros(tensor.shape) for name, tensor in p.items()}
    smooth, losses, smooths = 25 * np.log(V), {}, {}
    position, state = 0, None
    for update in range(21):
        if position + n + 1 >= len(codes):
            position, state = 0, None
        run = cell.unroll(x=np.eye(V)[codes[position:position + n]], label=codes[position + 1:position + n + 1],
                          initial=state)
        total = run["loss"].stack().sum()
        for tensor in p.values():
            tensor.grad = None
        total.backward()
        if update == 0:
            start = stored["iter0_unclipped_grads"]
            norms = {f"d{name}_norm": np.linalg.norm(p[name].grad) for name in ("Whh", "Wxh", "Why")}
            assert norms == pytest.approx({name: start[name] for name in norms}, rel=1e-9)
            assert p["Whh"].grad.sum() == pytest.approx(start["dWhh_sum"], rel=1e-9)
            np.testing.assert_allclose(p["by"].grad[:5], start["dby"], rtol=1e-9)
        for name, tensor in p.items():
            grad = np.clip(tensor.grad, -5, 5)
            memory[name] += grad * grad
            tensor.data -= 0.1 * grad / np.sqrt(memory[name] + 1e-8)
        smooth = 0.999 * smooth + 0.001 * total.item()
        losses[str(update)], smooths[str(update)] = total.item(), smooth
        position, state = position + n, run.state.detach()
    for update, expected in stored["expected"].items():
        if int(update) <= 20:
            rel = 1e-10 if int(update) <= 5 else 1e-7
            assert losses[update] == pytest.approx(expected["loss"], rel=rel)
            assert smooths[update] == pytest.approx(expected["smooth"], rel=rel)
