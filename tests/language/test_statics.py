"""Values without a time axis, the number of the step, conditions, lookup, constants: by a loop in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import above, parameter

import minigrad as mg
from rnn import Cell, T, t

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 2, 3))  # four steps, a batch of two, vectors of three


def assert_gradients(cell: Cell, name: str, extra: Any = (), **data: Any) -> None:
    """Compare gradients of the squares of a signal with central differences."""
    def loss() -> Any:
        return (cell.unroll(**data)[name].stack() ** 2).sum()

    tensors = [*cell.parameters.values(), *extra]
    for tensor, gradient in zip(tensors, mg.grad(loss(), tensors)):
        np.testing.assert_allclose(gradient, mg.numeric_gradient(loss, tensor), rtol=1e-6, atol=1e-7)


def unrolled(cell: Cell, **data: Any) -> Any:
    return cell.unroll(**data)


def compiled(cell: Cell, **data: Any) -> Any:
    return cell.compile()(**data)


# ---- statics
def attention() -> Cell:
    cell = Cell("attention")
    enc, valid, x = cell.static("enc", (None, 3)), cell.static("valid", (None,)), cell.input("x", 3)
    a, s = cell.signal("a"), cell.signal("s", 3)
    a[t] = mg.softmax(np.where(valid, enc @ (parameter("W", 3, 3) @ s[t-1]), -np.inf))
    s[t] = np.tanh(x[t] + a[t] @ enc)
    s[0] = np.tanh(parameter("W0", 3, 3) @ enc.mean(axis=0))
    return cell


@pytest.mark.parametrize("S", [1, 4])
def test_a_static_is_one_value_for_each_sequence_of_any_length(S: int) -> None:
    cell, enc = attention(), RNG.normal(size=(2, S, 3))
    valid = np.arange(S) < [[S], [max(S - 1, 1)]]
    W, W0 = (p.data for p in cell.parameters.values())
    run = cell.unroll(x=X, enc=enc, valid=valid)
    for b in range(2):
        s = np.tanh(W0 @ enc[b].mean(0))
        np.testing.assert_allclose(run["s"][0].data[b], s)
        for k in range(4):
            e = np.exp(enc[b] @ (W @ s)) * valid[b]
            s = np.tanh(X[k, b] + e / e.sum() @ enc[b])
            np.testing.assert_allclose(run["a"][k + 1].data[b], e / e.sum())
            np.testing.assert_allclose(run["s"][k + 1].data[b], s)


def test_gradients_reach_a_static_and_the_parameters_of_its_initial_value() -> None:
    enc = mg.Tensor(RNG.normal(size=(2, 4, 3)), requires_grad=True, name="enc")
    assert_gradients(attention(), "s", [enc], x=X, enc=enc, valid=np.ones((2, 4), bool))


def test_a_static_without_batch_axes_is_shared_by_all_sequences() -> None:
    cell, enc = attention(), RNG.normal(size=(4, 3))
    shared = cell.unroll(x=X, enc=enc, valid=np.ones(4, bool))["s"].stack().data
    own = cell.unroll(x=X, enc=np.stack([enc, enc]), valid=np.ones((2, 4), bool))["s"].stack().data
    np.testing.assert_array_equal(shared, own)


def test_what_is_computed_from_statics_alone_exists_once() -> None:
    cell = Cell()
    enc, x, y = cell.static("enc", (5, 3)), cell.input("x", 3), cell.signal("y", 5)
    keys = np.tanh(enc @ parameter("K", 3, 3))
    y[t] = keys @ x[t]
    run = cell.unroll(x=X, enc=RNG.normal(size=(2, 5, 3)))
    assert len({id(run["y"][k].inputs[0]) for k in range(1, 5)}) == 1


def test_a_static_is_joined_with_a_parameter() -> None:
    cell, b = Cell(), parameter("b", 2)
    img, x, y = cell.static("img", 3), cell.input("x", 3), cell.signal("y", 5)
    y[t] = np.concatenate([img, b]) * x[t].sum()
    expected = np.concatenate([X[0], np.tile(b.data, (2, 1))], 1) * X.sum(-1, keepdims=True)
    np.testing.assert_allclose(cell.unroll(x=X, img=X[0])["y"].stack().data, expected)
    np.testing.assert_allclose(cell.compile()(x=X, img=X[0])["y"], expected)
    assert_gradients(cell, "y", x=X, img=X[0])


def test_without_inputs_the_batch_is_that_of_the_statics() -> None:
    cell = Cell()
    img, h = cell.static("img", 3), cell.signal("h", 3)
    h[t] = 0.5 * h[t-1]
    h[0] = 2 * img
    np.testing.assert_allclose(cell.unroll(T=2, img=X[0])["h"][2].data, 0.5 * X[0])


@pytest.mark.parametrize("shape, words", [
    ((4, 2, 5, 3), r"batch axes \(4, 2\), but the batch has shape \(2,\): a static has no time axis"),
    ((3, 5, 3), r"batch axes \(3,\), but the batch has shape \(2,\): give data of shape \(2, 5, 3\), or \(5, 3\) for"),
    ((1, 5, 3), r"batch axes \(1,\)"),
    ((2, 5, 4), r"\(any, 3\) or \(batch, any, 3\) is needed: it was declared at test_statics"), ((3,), r"is needed")])
def test_a_static_of_a_wrong_shape_is_named(shape: Any, words: str) -> None:
    with pytest.raises(ValueError, match=rf"the static enc has data of shape .*{words}"):
        attention().unroll(x=X, enc=np.ones(shape), valid=np.ones(5, bool))


def test_a_static_has_no_step() -> None:
    enc = Cell().static("enc", 3)
    with pytest.raises(TypeError, match=r"the same at all steps: write enc, not enc\[t-1\] \(at test_statics"):
        enc[t-1]


def test_a_static_can_not_be_set() -> None:
    cell = Cell()
    enc, x = cell.static("enc", 3), cell.input("x", 3)
    for index in (t, 0):
        with pytest.raises(TypeError, match=r"enc is a static, .*can't be set \(at test_statics.*\.signal\('enc',"):
            enc[index] = x[t]
    assert not cell.equations


def test_a_shape_with_an_open_length_is_named_where_it_does_not_fit() -> None:
    cell = Cell()
    enc, y = cell.static("enc", (None, 2)), cell.signal("y", 3)
    with pytest.raises(ValueError, match=r"shape \(any, 2\) can't multiply .*\n.*\n +enc +\(any, 2\)  made at test_s"):
        y[t] = enc @ y[t-1]
    with pytest.raises(TypeError, match=r"its shape is \(any, 2\)"):
        list(enc)


@pytest.mark.parametrize("call", [unrolled, compiled])
def test_open_lengths_that_disagree_are_named_in_terms_of_one_sequence(call: Any) -> None:
    with pytest.raises(ValueError, match=r"shapes \(6,\) \(5,\).*\n  in Where\(\) at test_statics\S+, of\n"
                       r" +valid +\(6,\)  made at .*\n +enc @ \(W @ s\[t-1\]\) +\(5,\)(.|\n)*have to fit; for one "
                       r"sequence they are enc \(5, 3\), valid \(6,\) \(at test_statics"):
        call(attention(), x=X, enc=np.ones((2, 5, 3)), valid=np.ones((2, 6), bool))


@pytest.mark.parametrize("call", [unrolled, compiled])
def test_an_open_length_that_is_not_the_declared_one_is_named_with_the_equation(call: Any) -> None:
    cell = Cell()
    enc, x, y = cell.static("enc", (None, 3)), cell.input("x", 3), cell.signal("y", 4)
    y[t] = enc @ x[t]
    with pytest.raises(ValueError, match=r"equation y\[t\] = enc @ x\[t\] has shape \(5,\) \(at test_statics.*size 4"
                                         r"\n.*for one sequence they are enc \(5, 3\)"):
        call(cell, x=X, enc=np.ones((2, 5, 3)))
    call(cell, x=X, enc=np.ones((2, 4, 3)))


def test_a_missing_static_is_named() -> None:
    with pytest.raises(ValueError, match=r"no data for the input 'enc', declared at test_statics"):
        attention().unroll(x=X, valid=np.ones(5, bool))


def test_names_of_statics_and_signals_are_one_set() -> None:
    cell = Cell()
    cell.static("a", 3)
    first = above()
    with pytest.raises(ValueError, match=f"two signals named 'a': declared at {first} and at"):
        cell.signal("a", 3)


def test_an_initial_value_reads_no_signal() -> None:
    cell = Cell()
    img, h = cell.static("img", 3), cell.signal("h", 3)
    with pytest.raises(TypeError, match=r"h\[0\] is one fixed value"):
        h[0] = img + h[t-1]
    with pytest.raises(ValueError, match=r"the value h\[0\] has shape \(2,\).*with size 3"):
        h[0] = img[:2]


# ---- the number of the step
def test_t_counts_the_steps() -> None:
    cell = Cell()
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = x[t] * np.cos(0.3 * t) + (t - 1) ** 2 + np.where(t % 2 == 0, 1.0, -t)
    k = np.arange(1, 5).reshape(4, 1, 1)
    expected = X * np.cos(0.3 * k) + (k - 1) ** 2 + np.where(k % 2 == 0, 1, -k)
    np.testing.assert_allclose(cell.unroll(x=X)["y"].stack().data, expected)
    assert repr(cell.equations[0]).startswith("y[t] = x[t] * cos(0.3 * t) + (t-1) ** 2 + where(")


def test_a_formula_of_t_alone_is_an_equation() -> None:
    cell = Cell()
    cell.signal("y", ())[t] = 1 / (t + 1)
    np.testing.assert_allclose(cell.unroll(T=3)["y"].stack().data, [1/2, 1/3, 1/4])


@pytest.mark.parametrize("write, words", [
    (lambda x: x[2 * t], r"read x at a step relative to t, e\.g\. x\[t-1\], not x\[2 \* t\]"),
    (lambda x: x[t] if t else 0, "t is neither true nor false"), (lambda x: x[t] if t > 1 else 0, "neither true nor"),
    (lambda x: x[t] * T, "T isn't known in an equation"), (lambda x: t[0], "t stands for every step")])
def test_what_a_step_can_not_be_is_refused(write: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words + r".*\(at test_statics"):
        write(Cell().input("x", 3))


# ---- conditions
def test_comparisons_choose_and_multiply() -> None:
    cell = Cell()
    x, y = cell.input("x", 3), cell.signal("y", 3)
    w = parameter("w", 3)
    y[t] = np.where((x[t] > 0) & ~(x[t] > 1) | (x[t] == 0), w * x[t], -x[t]) + w * (x[t] <= w) - (x[t] > 0).sum()
    v = w.data
    expected = np.where((X > 0) & ~(X > 1), v * X, -X) + v * (v >= X) - (X > 0).sum(-1, keepdims=True)
    np.testing.assert_allclose(cell.unroll(x=X)["y"].stack().data, expected)
    assert_gradients(cell, "y", x=X)


def test_a_signal_holds_a_truth_value_as_zero_or_one() -> None:
    cell = Cell()
    x, b, c = cell.input("x", 3), cell.signal("b", 3), cell.signal("c", 3)
    b[t] = x[t] > 0
    c[t] = b[t] + b[t] + ((x[t] > 0) + (x[t] > 0))
    run = cell.unroll(x=X.astype(np.float32))
    assert run["b"][1].dtype == np.float32
    np.testing.assert_array_equal(run["c"].stack().data, 3.0 * (X > 0))  # + of truth values is "or", as in NumPy


def test_an_array_of_truth_values_stands_on_either_side() -> None:
    cell, flags = Cell(), np.array([True, False, True])
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = (flags & (x[t] > 0)) + 2.0 * ((x[t] > 0) | flags)
    expected = (flags & (X > 0)) + 2.0 * ((X > 0) | flags)
    np.testing.assert_array_equal(cell.unroll(x=X)["y"].stack().data, expected)


def test_a_difference_of_truth_values_is_refused_as_in_numpy() -> None:
    x = Cell().input("x", 3)
    with pytest.raises(TypeError, match=r"numpy boolean subtract.*\n.*in Sub\(\) at test_statics"):
        (x[t] > 0) - (x[t] < 0)


# ---- lookup
def test_rows_of_a_table_are_read_by_an_integer_signal() -> None:
    cell, E = Cell(), parameter("E", 5, 3)
    w, y = cell.input("w", ()), cell.signal("y", 3)
    y[t] = E[w[t]] * mg.take(E, w[t], axis=0)
    words = RNG.integers(0, 5, (4, 2))
    np.testing.assert_allclose(cell.unroll(w=words)["y"].stack().data, E.data[words] ** 2)
    assert_gradients(cell, "y", w=words)
    assert repr(cell.equations[0]) == "y[t] = E[w[t]] * E[w[t]]"


def test_several_rows_of_a_table_at_a_step() -> None:
    cell, E = Cell(), parameter("E", 5, 3)
    w, y = cell.input("w", 2), cell.signal("y", (2, 3))
    y[t] = E[w[t]]
    words = RNG.integers(0, 5, (4, 2, 2))
    np.testing.assert_allclose(cell.unroll(w=words)["y"].stack().data, E.data[words])


def test_a_token_that_the_network_computed_is_looked_up() -> None:
    cell, E = Cell(), parameter("E", 5, 3)
    w, h, y = cell.signal("w", ()), cell.signal("h", 3), cell.signal("y", 5)
    h[t] = np.tanh(h[t-1] + E[w[t-1]])
    y[t] = E @ h[t]
    w[t] = np.argmax(y[t])
    w[0] = 2
    h_now, token = np.zeros(3), 2
    run = cell.unroll(T=4)
    for k in range(1, 5):
        h_now = np.tanh(h_now + E.data[token])
        token = int(np.argmax(E.data @ h_now))
        assert run["w"][k].item() == token


def test_the_start_of_a_computed_token_must_be_set() -> None:
    cell, E = Cell(), parameter("E", 5, 3)
    w, y = cell.signal("w", ()), cell.signal("y", 3)
    y[t] = E[w[t-1]]
    w[t] = np.argmax(y[t])
    with pytest.raises(ValueError, match=r"w\[0\] is read at test_statics.*Set it: w\[0\] = "):
        cell.unroll(T=3)


@pytest.mark.parametrize("index", [-1, 5, 1.5])
def test_an_index_that_is_no_row_names_signal_and_step(index: float) -> None:
    cell, E = Cell(), parameter("E", 5, 3)
    w, v, y = cell.input("w", ()), cell.signal("v", ()), cell.signal("y", 3)
    v[t] = w[t] * 0.5
    y[t] = E[v[t]]
    words = np.array([[0, 2], [4, 2 * index]])
    with pytest.raises(IndexError, match=r"index .* at \[1\] is not one of the 5 rows 0 … 4(.|\n)*v\[2\]"):
        cell.unroll(w=words)


@pytest.mark.parametrize("words", [[1.0, 2.0], [True, False], [1.5, 0.0]])
@pytest.mark.parametrize("call", [Cell.unroll, lambda cell, w: cell.compile()(w=w),
                                  lambda cell, w: cell.compile().stream(batch=None)(w=w[0])])
def test_the_data_of_an_index_are_integers(words: Any, call: Any) -> None:
    cell = Cell()
    w, y = cell.input("w", ()), cell.signal("y", 3)
    y[t] = parameter("E", 5, 3)[w[t]]
    data = np.array(words)
    with pytest.raises(TypeError, match=rf"the data for 'w' are {data.dtype} \(at test_statics.py:\d+\), but labels "
                                        "are integers: the index of the right class"):
        call(cell, w=data)


def test_a_value_of_each_step_is_not_indexed_by_a_signal() -> None:
    cell = Cell()
    x, w = cell.input("x", 3), cell.input("w", ())
    with pytest.raises(TypeError, match=r"x\[t\] can't be indexed by w\[t\].*mg\.one_hot\(w\[t\], n\) @ x\[t\]"):
        x[t][w[t]]


# ---- values without gradient
def test_no_gradient_passes_a_constant_an_index_or_a_comparison() -> None:
    cell, w = Cell(), parameter("w", 3)
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = w * mg.stop_gradient(w * x[t]) + (w * x[t]).detach() + mg.one_hot(np.argmax(w * x[t]), 3)
    run = cell.unroll(x=X)
    one_hot = np.eye(3)[np.argmax(w.data * X, -1)]
    np.testing.assert_allclose(run["y"].stack().data, w.data * w.data * X + w.data * X + one_hot)
    run["y"].stack().sum().backward()
    np.testing.assert_allclose(w.grad, (w.data * X).sum((0, 1)))


def test_one_hot_of_numbers_is_an_array() -> None:
    np.testing.assert_array_equal(mg.one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(IndexError, match=r"index 3 at .* is not one of the 3 rows"):
        mg.one_hot([3], 3)


@pytest.mark.parametrize("write", [lambda s: np.roll(s, 1, axis=0), lambda s: np.split(s, 2, axis=1), np.diff,
                                   lambda s: np.repeat(s, 2, axis=0), lambda s: np.trace(s @ s.T)])
def test_a_function_that_needs_a_length_that_is_not_bound_yet_is_refused_by_name(write: Any) -> None:
    s = Cell().static("s", (None, 2))
    with pytest.raises(TypeError, match=r"needs all lengths .* s.* has shape \(any, \w+\) \(at test_statics.py:\d+\)"):
        write(s)


# ---- types
OF_OTHER_TYPES: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [  # in an equation; by hand, in float64
    (lambda x: np.tanh(x > 0), lambda x: np.tanh(1.0 * (x > 0))),
    (lambda x: mg.sigmoid(mg.one_hot(np.argmax(x), 3)), lambda x: 1 / (1 + np.exp(-np.eye(3)[x.argmax()]))),
    (lambda x: x * np.argmax(x), lambda x: x * float(x.argmax())),
    (lambda x: np.where(x > 0, 0.1, 0.2), lambda x: np.where(x > 0, 0.1, 0.2)),
    (lambda x: np.sqrt(np.argmax(x)) + x, lambda x: float(x.argmax()) ** 0.5 + x),
    (lambda x: (x > 0).mean() + x, lambda x: (x > 0).sum() / 3 + x),
    (lambda x: np.ones((3, 3)) @ (x > 0), lambda x: np.full(3, float((x > 0).sum()))),
    (lambda x: (x > 0).sum() * 0.5 + x, lambda x: (x > 0).sum() * 0.5 + x),
    (lambda x: np.stack([x[0], 0.1, np.argmax(x)]), lambda x: np.array([x[0], 0.1, x.argmax()])),
    (lambda x: np.abs(x > 0) * 0.3, lambda x: 0.3 * (x > 0)),
    (lambda x: x > 0, lambda x: 1.0 * (x > 0)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("write", "by_hand"), OF_OTHER_TYPES)
def test_functions_of_truth_values_and_integers_have_the_definitions_type(write: Any, by_hand: Any, dtype: Any) -> None:
    cell, data = Cell(), X.astype(dtype)
    x = cell.input("x", 3)
    cell.signal("y", 3)[t] = write(x[t])
    wanted = [[by_hand(np.asarray(one, float)) for one in row] for row in data]
    for found in (cell.unroll(x=data)["y"].stack().data, cell.compile()(x=data)["y"]):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-6 if dtype == np.float32 else 1e-12)


def test_an_index_that_is_computed_is_named_with_its_step_and_not_read_where_it_is_masked() -> None:
    cell = Cell()
    w, y = cell.input("w", ()), cell.signal("y", 3)
    y[t] = parameter("E", 4, 3)[w[t] - 1] + mg.one_hot(w[t] - 1, 4)[:3]
    words, (E,) = np.array([[1, 2], [3, 4], [4, 1]]), cell.parameters.values()
    wanted = (E.data + np.eye(4)[:, :3])[words - 1]
    wanted[1:, 1] = 0
    for found in (cell.unroll(w=words, lengths=[3, 1])["y"].stack().data, cell.compile()(w=words, lengths=[3, 1])["y"]):
        np.testing.assert_allclose(found, wanted)
    for call in (cell.unroll, cell.compile()):
        with pytest.raises(IndexError, match=r"index 4 at \[(1, )?1\] is not one of the 4 rows(.|\n)*part of y\[2\]"):
            call(w=words + 1 * (words == 4))


def test_connectives_take_conditions_and_refuse_numbers() -> None:
    cell = Cell()
    x, on, y = cell.input("x", 3), cell.input("on", 3), cell.signal("y", 3)
    y[t] = np.where((x[t] > 0) & ~on[t] | (np.arange(3) == 2), 1.0, 0.0)
    given = RNG.random((4, 3)) > 0.5
    np.testing.assert_array_equal(cell.unroll(x=X[:, 0], on=given)["y"].stack().data,
                                  (X[:, 0] > 0) & ~given | (np.arange(3) == 2))
    for write in (lambda: x[t] & 1, lambda: 8 | x[t], lambda: ~(2 * x[t]), lambda: np.bitwise_and(on[t], 3),
                  lambda: (x[t] > 0) ^ x[t].sum(), lambda: np.arange(3) & x[t]):
        with pytest.raises(TypeError, match=r"combines conditions, and .* is a number \(at test_statics.py:\d+\)"):
            write()
