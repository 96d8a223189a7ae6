"""Values without a time axis in compiled programs: as the unrolled graph computes them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
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


def assert_same(cell: Cell, fast: Any, extra: Any = (), **data: Any) -> None:
    """Compare values and gradients of a compiled program with those of the unrolled graph."""
    tensors = [*cell.parameters.values(), *extra]
    for x in tensors:
        x.grad = None
    run = cell.unroll(**data)
    total_loss(run).backward()
    expected = [x.grad for x in tensors]
    for x in tensors:
        x.grad = None
    _, outputs = fast(**data)
    for name in outputs:
        np.testing.assert_allclose(outputs[name], run[name].stack().data, atol=1e-12, err_msg=name)
    for x, gradient in zip(tensors, expected):
        gradient = np.zeros(x.shape) if gradient is None else gradient  # cut off
        np.testing.assert_allclose(x.grad, gradient, rtol=1e-9, atol=1e-11, err_msg=str(x.name))


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
