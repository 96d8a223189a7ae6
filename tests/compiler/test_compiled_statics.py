"""Values without a time axis in compiled programs: as the unrolled graph computes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import mostly_slow
from definitions import parameter

import minigrad as mg
from rnn import Cell, t

RNG = np.random.default_rng(9)
X = RNG.normal(size=(5, 2, 3))  # five steps, a batch of two, vectors of three
LENGTHS = (np.arange(4) < [[4], [2]]).astype(float)


def attention() -> Cell:
    """A definition that reads two statics in its loop, outside of it, and in its initial value."""
    cell = Cell("attention")
    enc, valid, x = cell.static("enc", (None, 3)), cell.static("valid", (None,)), cell.input("x", 3)
    a, s, y, L = cell.signal("a"), cell.signal("s", 3), cell.signal("y", 3), cell.signal("L", ())
    keys = enc @ parameter("K", 3, 3)
    a[t] = mg.softmax(np.where(valid > 0, keys @ (parameter("W", 3, 3) @ s[t-1]), -np.inf))
    s[t] = np.tanh(parameter("V", 3, 6) @ np.concatenate([x[t] * enc.mean(axis=0), s[t-1]]) + a[t] @ enc)
    y[t] = s[t] + enc[0] * parameter("w", 3)
    L[t] = (y[t] ** 2).sum()
    s[0] = np.tanh(parameter("W0", 3, 3) @ enc.mean(axis=0))
    return cell


def tensor(shape: tuple[int, ...], name: str) -> mg.Tensor:
    return mg.Tensor(np.random.default_rng(3).normal(size=shape), requires_grad=True, name=name)


def total_loss(run: Any) -> mg.Tensor:
    """Return the sum of the losses, each taken from its own window."""
    losses = [window["L"][k] for window in run.windows for k in window.loss_steps] or list(run["L"])
    return mg.stack(losses).sum()


def gradients(tensors: list[mg.Tensor], call: Callable[[], Any]) -> list[Any]:
    """Return the gradients that a call adds."""
    for x in tensors:
        x.grad = None
    call()
    return [x.grad for x in tensors]


def assert_same(cell: Cell, fast: Any, extra: Any = (), **data: Any) -> None:
    """Compare values and gradients of a compiled program with those of the unrolled graph."""
    tensors = [*cell.parameters.values(), *extra]
    run = cell.unroll(**data)
    expected = gradients(tensors, total_loss(run).backward)
    outputs: dict[str, Any] = {}
    computed = gradients(tensors, lambda: outputs.update(fast(**data).outputs))
    for name in outputs:
        np.testing.assert_allclose(outputs[name], run[name].stack().data, atol=1e-12, err_msg=name)
    for x, wanted, found in zip(tensors, expected, computed):
        wanted = np.zeros(x.shape) if wanted is None else wanted  # cut off
        found = np.zeros(x.shape) if found is None else found
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11, err_msg=str(x.name))


@pytest.mark.parametrize("options", [{}, {"lengths": [5, 3]}, {"mask": [[1, 1], [0, 1], [1, 1], [1, 0], [1, 0]]},
                                     {"chunks": 2}, {"last": 2}, {"window": (1, 2)},
                                     {"lengths": [2, 5], "chunks": 2}], ids=str)
def test_values_and_gradients_are_those_of_the_unrolled_graph(options: Any) -> None:
    cell = attention()
    fast = cell.compile(loss="L")
    for S in (4, 2, 4):  # a length is bound at each call
        enc = tensor((2, S, 3), "enc")
        assert_same(cell, fast, [enc], x=X, enc=enc, valid=LENGTHS[:, :S], **options)


def test_without_a_batch_and_shared_by_all_sequences() -> None:
    cell = attention()
    fast = cell.compile(loss="L")
    enc = tensor((4, 3), "enc")
    assert_same(cell, fast, [enc], x=X[:, 0], enc=enc, valid=LENGTHS[1])
    assert_same(cell, fast, [enc], x=X, enc=enc, valid=LENGTHS[1])
    assert_same(cell, fast, [enc], x=X, enc=enc, valid=LENGTHS)
    assert_same(cell, fast, x=X, enc=enc.data, valid=LENGTHS)


def test_an_upstream_gradient_and_a_carried_state() -> None:
    cell, enc = attention(), tensor((2, 4, 3), "enc")
    fast = cell.compile()
    outputs = fast(x=X[:2], enc=enc, valid=LENGTHS)
    state = outputs.state
    whole = cell.unroll(x=X, enc=enc, valid=LENGTHS)
    rest = fast(x=X[2:], enc=enc, valid=LENGTHS, initial=state)
    np.testing.assert_allclose(rest["s"], whole["s"].stack().data[2:], atol=1e-12)
    unrolled = cell.unroll(x=X[2:], enc=enc, valid=LENGTHS, initial=state)
    (expected,) = mg.grad((unrolled["s"].stack() * X[2:]).sum(), [enc])
    fast.backward(s=X[2:])
    np.testing.assert_allclose(enc.grad, expected, atol=1e-12)


def test_a_static_alone_is_an_equation() -> None:
    cell = Cell()
    enc, y, z = cell.static("enc", 3), cell.signal("y", 3), cell.signal("L", ())
    y[t] = enc
    z[t] = (y[t] * np.tanh(enc)).sum()
    assert_same(cell, cell.compile(loss="L"), [e := tensor((2, 3), "enc")], T=3, enc=e)


def test_the_present_values_count_at_each_call_and_changes_before_backward_are_refused() -> None:
    cell = attention()
    fast = cell.compile()
    data = {"x": X, "enc": RNG.normal(size=(2, 4, 3)), "valid": LENGTHS}
    fast(**data)
    cell.parameters["K"].data = np.zeros((3, 3))
    np.testing.assert_allclose(fast(**data)["a"][:, 0], 0.25)
    cell.parameters["K"].data = np.ones((3, 3))
    with pytest.raises(ValueError, match="its data was changed"):
        fast.backward(s=np.ones((5, 2, 3)))


def test_no_gradient_is_recorded_under_no_grad() -> None:
    cell = attention()
    with mg.no_grad():
        cell.compile(loss="L")(x=X, enc=tensor((2, 4, 3), "enc"), valid=LENGTHS)
    assert all(p.grad is None for p in cell.parameters.values())


def test_threads() -> None:
    cell = attention()
    fast = cell.compile()
    data = [RNG.normal(size=(2, 4, 3)) for _ in range(4)]
    found: dict[int, Any] = {}

    def call(i: int) -> None:
        for _ in range(5):
            found[i] = fast(x=X, enc=data[i], valid=LENGTHS)["s"]

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_allclose(found[i], cell.unroll(x=X, enc=data[i], valid=LENGTHS)["s"].stack().data, atol=1e-12)


def test_data_of_a_wrong_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"the static enc has data of shape \(3, 5, 3\)"):
        attention().compile()(x=X, enc=np.ones((3, 5, 3)), valid=np.ones(5))


# ---- random definitions
def random_definition(seed: int) -> tuple[Cell, dict[str, Any], list[mg.Tensor]]:
    """Return a definition of random formulas of two statics, a matrix and a vector, its data, and learned data."""
    rng = np.random.default_rng(seed)
    cell = Cell("random")
    A, b, x = cell.static("A", (4, 3)), cell.static("b", (3,)), cell.input("x", 3)
    h, M, y, L = cell.signal("h", 3), cell.signal("M", (4, 3)), cell.signal("y", 3), cell.signal("L", ())
    W, V, c = parameter("W", 3, 3), parameter("V", 4, 3), parameter("c", 3)
    vectors: list[Callable[[Any, Any], Any]] = [  # of a vector and a matrix with time
        lambda v, m: v * b, lambda v, m: mg.softmax(A @ v) @ A, lambda v, m: W @ (v + b), lambda v, m: v + b * c,
        lambda v, m: np.where(b > 0, v, b), lambda v, m: (m * A).sum(axis=0), lambda v, m: (A * v).mean(axis=0),
        lambda v, m: (A @ W @ v) @ (V * A), lambda v, m: np.tanh(v + A).sum(axis=0), lambda v, m: A[1] * v[0] + m[2],
        lambda v, m: np.linalg.solve(A.T @ A + np.eye(3), v), lambda v, m: (v @ A.T) @ m, lambda v, m: v * (b @ v),
        lambda v, m: np.einsum("ij,ij,j->j", A, m, v), lambda v, m: np.concatenate([b[:1], v[1:]]),
        lambda v, m: v / (1 + b * b), lambda v, m: np.maximum(v, b), lambda v, m: np.outer(b, v)[1] + V[0]]
    matrices: list[Callable[[Any, Any], Any]] = [
        lambda v, m: m * A, lambda v, m: np.outer(A @ b, v), lambda v, m: A @ np.outer(v, b), lambda v, m: m @ A.T @ V,
        lambda v, m: A + v, lambda v, m: m * b + V, lambda v, m: np.outer(A @ v, b),
        lambda v, m: m - np.outer(m @ b, b),
        lambda v, m: A @ W * v, lambda v, m: np.stack([v, b, v, b]), lambda v, m: m + (A * m).sum()]

    def choose(formulas: Any) -> Any:
        return formulas[rng.integers(len(formulas))]

    h[t] = np.tanh(choose(vectors)(x[t] + 0.5 * h[t-1], M[t-1]) + choose(vectors)(h[t-1], M[t-1]))
    M[t] = np.tanh(0.3 * M[t-1] + choose(matrices)(h[t], M[t-1]))
    y[t] = choose(vectors)(h[t], choose(matrices)(x[t], M[t-1])) + (choose(vectors)(x[t], M[t]) if seed % 2 else b)
    L[t] = (y[t] * choose(vectors)(y[t], M[t])).sum() + (M[t] * A).sum() * (b @ x[t])
    if seed % 3 == 0:
        h[0] = np.tanh(W @ b)
    if seed % 4 == 0:
        M[0] = A * b
    learned = [tensor((2, 4, 3), "A"), tensor((2, 3) if seed % 5 else (3,), "b")]
    start = mg.Tensor(rng.normal(size=(6, 2, 3)), requires_grad=True, name="x")
    return cell, {"x": start, "A": learned[0], "b": learned[1]}, [*learned, start]


@pytest.mark.parametrize("seed", mostly_slow(range(40), 20))
def test_random_definitions(seed: int) -> None:
    cell, data, learned = random_definition(seed)
    mask = np.random.default_rng(seed).random((6, 2)) > 0.3
    options = [{}, {"lengths": [6, 3]}, {"mask": mask}, {"chunks": 2}, {"window": (2, 3)}, {"last": 3},
               {"lengths": [2, 5], "chunks": 3}][seed % 7]
    assert_same(cell, cell.compile(loss="L"), learned, **data, **options)


def test_the_mean_of_the_losses() -> None:
    cell, enc = attention(), tensor((2, 4, 3), "enc")
    data = {"x": X, "enc": enc, "valid": LENGTHS, "lengths": [5, 3]}
    (expected,) = mg.grad(cell.unroll(**data)["L"].stack().sum() / 8, [enc])
    cell.compile(loss="L", reduction="mean")(**data)
    np.testing.assert_allclose(enc.grad, expected, atol=1e-12)


# ---- memory and repeated calls
def test_no_array_of_the_program_has_a_copy_of_a_static_for_each_step() -> None:
    T, B, S, D = 7, 5, 6, 4
    cell = Cell("read twice")
    enc, x, h, y = cell.static("enc", (S, D)), cell.input("x", D), cell.signal("h", D), cell.signal("y", D)
    L = cell.signal("L", ())
    h[t] = np.tanh(x[t] + mg.softmax(enc @ h[t-1]) @ enc)
    y[t] = (mg.softmax(enc @ parameter("W", D, D) @ h[t]) @ enc) * enc[0]
    L[t] = (y[t] * (y[t] + enc[1])).sum() * (enc[2] @ x[t])
    fast, value = cell.compile(loss="L"), tensor((B, S, D), "enc")
    assert_same(cell, fast, [value], x=RNG.normal(size=(T, B, D)), enc=value)
    arrays = {name: array for name, array in vars(fast._last.arrays).items() if isinstance(array, np.ndarray)}
    assert max(array.size for array in arrays.values()) < T * B * S * D
    assert arrays["enc"].shape == (B, S, D)  # no axis of time
    small = {name: array.shape for name, array in arrays.items() if name.startswith("enc_")}
    assert all(shape[0] == B for shape in small.values())


def test_the_gradient_of_a_static_is_summed_in_the_loop_where_its_terms_are_computed() -> None:
    cell = Cell("additive")
    enc, x, h, L = cell.static("enc", (6, 4)), cell.input("x", 4), cell.signal("h", 4), cell.signal("L", ())
    h[t] = np.tanh(x[t] + mg.softmax(np.tanh(enc + h[t-1]) @ parameter("w", 4)) @ np.ones((6, 4)))
    L[t] = (h[t] * h[t]).sum()
    fast, value = cell.compile(loss="L"), tensor((5, 6, 4), "enc")
    assert_same(cell, fast, [value], x=RNG.normal(size=(7, 5, 4)), enc=value)
    backward = fast.source[fast.source.index("def backward"):]
    assert ".sum(0)" not in backward and "zeros((B, 6, 4), FLOAT)" in backward


def test_a_gradient_that_is_the_same_at_all_steps() -> None:
    """The gradient of W x[t] + b is the static; it's read at other steps, summed, and returned for each step."""
    cell = Cell("linear")
    enc, x, y, L = cell.static("enc", 3), cell.input("x", 3), cell.signal("y", 3), cell.signal("L", ())
    y[t] = parameter("W", 3, 3) @ (x[t] + parameter("b", 3))
    L[t] = (mg.Tensor(RNG.normal(size=(3, 3))) @ y[t-2]) @ enc + (mg.Tensor(RNG.normal(size=(3, 3))) @ x[t]) @ enc
    y[0], y[-1] = parameter("y0", 3), parameter("y1", 3)
    learned = [tensor((2, 3), "enc"), tensor((5, 2, 3), "x")]
    for options in ({}, {"lengths": [1, 5]}, {"last": 2}, {"chunks": 2}):
        assert_same(cell, cell.compile(loss="L"), learned, x=learned[1], enc=learned[0], **options)


def test_repeated_calls_compute_with_the_present_values() -> None:
    cell = attention()
    fast = cell.compile(loss="L")
    enc, other = tensor((2, 4, 3), "enc"), mg.Tensor(RNG.normal(size=(2, 4, 3)), requires_grad=True, name="other")
    for _ in range(2):
        for value in (enc, other):
            assert_same(cell, fast, [value], x=X, enc=value, valid=LENGTHS)
        for data in (enc.data, other.data, other.data.astype(np.float32)):
            assert_same(cell, fast, x=X, enc=data, valid=LENGTHS > 0)
        cell.parameters["K"].data = cell.parameters["K"].data * 2
        enc.data = enc.data + 1
    assert 0 < len(fast._plans) < 5  # one for each kind of data
    assert all(not plan.statics and not plan.boundary and not plan.inputs.statics for plan in fast._plans.values())
    enc.requires_grad = False
    enc.grad = None
    fast(x=X, enc=enc, valid=LENGTHS)
    assert enc.grad is None


LOSSES: list[Callable[..., Any]] = [  # of a vector a at each step, a matrix V, a static e, a table E, a static token k
    lambda a, V, e, E, k: (a ** 2).sum() + (V @ e).sum(), lambda a, V, e, E, k: (a ** 2).sum() - (V @ e).sum() / 3,
    lambda a, V, e, E, k: (V @ e).sum(), lambda a, V, e, E, k: (a ** 2).sum() + (V @ e)[0],
    lambda a, V, e, E, k: (a ** 2).sum() + E[k].sum(), lambda a, V, e, E, k: a[0] + (e * e).mean(),
    lambda a, V, e, E, k: np.maximum((a ** 2).sum(), (V @ e).sum())]


@pytest.mark.parametrize("options", [{}, {"lengths": [4, 2, 1]}, {"chunks": 2}], ids=str)
@pytest.mark.parametrize("write", LOSSES)
def test_a_static_that_adds_to_the_loss(write: Any, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    data, steps = rng.normal(size=(4, 3, 2)), np.arange(4)[:, None] < np.array(options.get("lengths", [4, 4, 4]))
    cell, V, E = Cell(), parameter("V", 3, 2), parameter("E", 4, 2)
    x, e, k, L = cell.input("x", 2), cell.static("e", 2), cell.static("k", ()), cell.signal("L", ())
    L[t] = write(V @ x[t], V, e, E, k)
    given = {"x": data, "e": mg.Tensor(rng.normal(size=(3, 2)), requires_grad=True), "k": np.array([1, 0, 3])}
    leaves = [*cell.parameters.values(), given["e"]]
    wanted = gradients(leaves, (cell.unroll(**given, **options)["L"].stack() * steps).sum().backward)
    found = gradients(leaves, lambda: cell.compile(loss="L")(**given, **options))
    for leaf, gradient, other in zip(leaves, found, wanted):
        np.testing.assert_allclose(np.zeros(leaf.shape) if gradient is None else gradient,
                                   np.zeros(leaf.shape) if other is None else other, atol=1e-12)


@pytest.mark.parametrize("start", [lambda e: np.ones(3), lambda e: np.tanh(e)], ids=["a number", "the static"])
def test_a_static_that_no_equation_reads_is_other_data_at_the_next_call(start: Callable[[Any], Any]) -> None:
    cell, W = Cell(), parameter("W", 3, 3)
    x, e, h, L = cell.input("x", 3), cell.static("e", 3), cell.signal("h", 3), cell.signal("L", ())
    h[t] = np.tanh(x[t] + W @ h[t-1])
    h[0] = start(e)
    L[t] = (h[t] ** 2).sum()
    fast = cell.compile(loss="L")
    for seed in range(3):
        given = {"x": X, "e": np.random.default_rng(seed).normal(size=(2, 3))}
        assert fast(**given).loss == pytest.approx(cell.unroll(**given)["L"].stack().sum().item(), rel=1e-12)


JOINED: dict[str, Callable[..., Any]] = {
    "with the state": lambda x, h, e, S, W, V: W @ np.concatenate([e, x, h]),
    "twice": lambda x, h, e, S, W, V: W @ np.concatenate([e, x, h]) * mg.sigmoid(V @ np.concatenate([h, 2 * e])),
    "as the context of a gate": lambda x, h, e, S, W, V: x * (V @ np.concatenate([e, h])),
    "a matrix with the data": lambda x, h, e, S, W, V: (S + x) @ e + h,
    "a matrix with the state": lambda x, h, e, S, W, V: (S + h) @ x + e @ (S * h),
}


@pytest.mark.parametrize("options", [{}, {"lengths": [5, 2]}, {"chunks": 2}, {"last": 2}], ids=str)
@pytest.mark.parametrize("form", JOINED)
def test_a_static_that_is_joined(form: str, options: dict[str, Any]) -> None:
    """Its gradients, and those of the weights' columns for it, are sums over the steps."""
    cell, W, V = Cell(), parameter("W", 3, 9), parameter("V", 3, 6)
    x, e, S = cell.input("x", 3), cell.static("e", 3), cell.static("S", (3, 3))
    h, L = cell.signal("h", 3), cell.signal("L", ())
    h[t] = np.tanh(JOINED[form](x[t], h[t-1], e, S, W, V))
    L[t] = (h[t] ** 2).sum()
    given = {"x": X, "e": tensor((2, 3), "e"), "S": tensor((2, 3, 3), "S")}
    leaves = [W, V, given["e"], given["S"]]
    steps = np.arange(5)[:, None] < np.array(options.get("lengths", [5, 5]))
    wanted = gradients(leaves, (cell.unroll(**given, **options)["L"].stack() * steps).sum().backward)
    found = gradients(leaves, lambda: cell.compile(loss="L")(**given, **options))
    for gradient, other in zip(found, wanted):
        assert (gradient is None) == (other is None)
        if other is not None:
            np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-12)
