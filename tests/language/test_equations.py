"""The language: what can be written in an equation, what it means, and what is refused."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from definitions import above, elman, lstm, parameter

import minigrad as mg
from rnn import Cell, T, t
from rnn.language.formula import to_text

RNG = np.random.default_rng(1)
X = RNG.normal(size=(3, 2, 5))  # three steps, a batch of two, vectors of five


def value_of(write: Any, size: Any = None) -> Any:
    """The values of y, where y[t] = write(x[t]), over X."""
    cell = Cell()
    x, y = cell.input("x", 5), cell.signal("y", size)
    y[t] = write(x[t])
    return cell.unroll(x=X)["y"].stack().data


# ---- time
def test_steps_are_counted_from_t() -> None:
    assert [repr(time) for time in (t, t-1, t+2, 1+t, t-3+3, T+1)] == ["t", "t-1", "t+2", "t+1", "t", "T+1"]
    assert (t - np.int64(2)).offset == -2


def test_a_signal_is_read_at_whole_steps_only() -> None:
    x = Cell().input("x", 2)
    with pytest.raises(TypeError, match=r"read x at a step relative to t, e\.g\. x\[t-1\], not x\[t-1 \+ 0\.5\]"):
        x[t - 1 + 0.5]


@pytest.mark.parametrize("time", [3, T, "t", slice(None)])
def test_a_signal_is_read_relative_to_t(time: Any) -> None:
    x = Cell().input("x", 2)
    with pytest.raises(TypeError, match=r"read x at a step relative to t, e\.g\. x\[t-1\]"):
        x[time]
    assert repr(x[t-2]) == "x[t-2]"


@pytest.mark.parametrize("time", ["t", 1.5, slice(None)])
def test_only_equations_and_boundary_values_can_be_set(time: Any) -> None:
    with pytest.raises(TypeError, match=r"h\[t\] = \.\.\. is an equation, h\[0\] = \.\.\. an initial value"):
        Cell().signal("h", 2)[time] = 0


# ---- notation
def test_a_matrix_before_a_signal_multiplies_each_vector() -> None:
    W = parameter("W", 4, 5)
    np.testing.assert_allclose(value_of(lambda x: W @ x), np.einsum("ij,tbj->tbi", W.data, X))


def test_a_matrix_after_a_signal_is_multiplied_by_each_vector() -> None:
    W = parameter("W", 5, 4)
    np.testing.assert_allclose(value_of(lambda x: x @ W), X @ W.data)


def test_both_notations_of_the_lecture_notes_agree() -> None:
    W = parameter("W", 5, 5)  # square: a forgotten transpose would not show in the shape
    np.testing.assert_allclose(value_of(lambda x: W @ x), value_of(lambda x: x @ W.T))
    assert not np.allclose(value_of(lambda x: W @ x), value_of(lambda x: x @ W))


def test_a_signal_times_a_signal_is_their_dot_product() -> None:
    np.testing.assert_allclose(value_of(lambda x: x @ (2 * x), ()), 2 * (X ** 2).sum(-1))


def test_a_vector_times_a_signal_is_a_dot_product_on_either_side() -> None:
    v = parameter("v", 5)
    np.testing.assert_allclose(value_of(lambda x: v @ x, ()), X @ v.data)
    np.testing.assert_allclose(value_of(lambda x: x @ v, ()), X @ v.data)


def test_an_array_is_a_constant_operand() -> None:
    W = np.arange(10.0).reshape(2, 5)
    np.testing.assert_allclose(value_of(lambda x: W @ x + np.ones(2)), X @ W.T + 1)


@pytest.mark.parametrize("index", [slice(3), 2, -1, [0, 2], slice(None, None, 2), np.array([4, 4, 0])])
def test_an_index_takes_a_part_of_each_vector(index: Any) -> None:
    np.testing.assert_array_equal(value_of(lambda x: x[index]), X[..., index])
    np.testing.assert_array_equal(value_of(lambda x: x[..., index]), X[..., index])


def test_a_vector_takes_one_index() -> None:
    with pytest.raises(IndexError, match=r"x\[t\] is a vector at each step: it takes one index"):
        value_of(lambda x: x[0, 1])


def test_concatenation_joins_vectors_along_the_last_axis() -> None:
    joined = value_of(lambda x: np.concatenate([x, 2 * x[:1]], axis=-1), 6)
    np.testing.assert_array_equal(joined, np.concatenate([X, 2 * X[..., :1]], axis=-1))


def test_a_constant_vector_joins_those_of_the_whole_batch() -> None:
    joined = value_of(lambda x: np.concatenate([x, np.ones(1)], axis=-1), 6)
    np.testing.assert_array_equal(joined, np.concatenate([X, np.ones((3, 2, 1))], axis=-1))


@pytest.mark.parametrize("write, expected", [
    (np.tanh, np.tanh(X)), (mg.tanh, np.tanh(X)), (np.exp, np.exp(X)), (np.square, X * X), (mg.relu, np.maximum(X, 0)),
    (mg.sigmoid, 1 / (1 + np.exp(-X))), (lambda x: np.log(x * x + 1), np.log(X * X + 1)),
    (lambda x: np.maximum(x, 0.1), np.maximum(X, 0.1)), (lambda x: 2 - x / 4, 2 - X / 4), (lambda x: -x, -X),
    (lambda x: +x, X), (lambda x: 1 / (x ** 2 + 1), 1 / (X ** 2 + 1)), (lambda x: 2 ** x, 2 ** X),
    (lambda x: np.where(np.arange(5) > 2, x, 0.0), np.where(np.arange(5) > 2, X, 0)),
    (lambda x: x.sum(axis=-1), X.sum(-1)), (lambda x: np.sum(x, axis=-1), X.sum(-1)),
    (lambda x: x - x.mean(axis=-1, keepdims=True), X - X.mean(-1, keepdims=True)), (lambda x: x.max(-1), X.max(-1)),
    (mg.softmax, np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
])
def test_functions_of_numpy_and_minigrad_work_on_signals(write: Any, expected: Any) -> None:
    np.testing.assert_allclose(value_of(write), expected)


def test_a_loss_is_a_signal_of_one_number_a_step() -> None:
    cell = Cell()
    x, label, loss = cell.input("x", 5), cell.input("label", ()), cell.signal("loss", ())
    loss[t] = mg.losses.cross_entropy(x[t], label[t], reduction="none")
    labels = np.array([[0, 4], [1, 2], [3, 3]])
    p = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(p, labels[..., None], -1))[..., 0]
    np.testing.assert_allclose(cell.unroll(x=X, label=labels)["loss"].stack().data, expected)


@pytest.mark.parametrize("write", [
    lambda x: x.sum(axis=1), lambda x: np.mean(x, axis=1), lambda x: np.concatenate([x, x], axis=1),
    lambda x: mg.log_softmax(x, axis=-2), lambda x: np.flip(x, 1)])
def test_an_axis_that_one_sequence_lacks_is_refused(write: Any) -> None:
    with pytest.raises(IndexError, match=r"(?s)axis -?\d is out of bounds for array of dimension 1\n.* x\[t\]  \(5,\)"):
        value_of(write)


class Center(mg.Op):
    """x minus its mean over all axes, the batch's too."""

    batchable = False

    def forward(self, x: Any) -> Any:
        return x - np.mean(x)

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad - np.mean(grad)


def test_an_operation_that_is_not_batchable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Center\(\) describes all axes .* can't be computed for a batch"):
        value_of(lambda x: mg.apply(Center(), x))


def test_a_numpy_function_without_derivative_is_named_with_its_line() -> None:
    with pytest.raises(TypeError, match=r"np\.unique has no derivative here \(at test_equations\.py:\d+\)"):
        value_of(np.unique)


def test_an_expression_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match=r"x\[t\]"):
        value_of(lambda x: x if x else 0)


@pytest.mark.parametrize("write", [lambda W, x: np.tanh(x), lambda W, x: W @ x, lambda W, x: x + 1, lambda W, x: 2 * x])
def test_a_signal_without_its_step_asks_for_it(write: Any) -> None:
    with pytest.raises(TypeError, match=r"write x\[t\]"):
        write(parameter("W", 4, 5), Cell().input("x", 5))


# ---- sizes
def test_sizes_that_do_not_fit_are_found_where_the_equation_is_written() -> None:
    cell, W = Cell(), parameter("W", 4, 3)
    x, h = cell.input("x", 5), cell.signal("h", 4)
    with pytest.raises(ValueError) as error:
        h[t] = np.tanh(W @ x[t])
    line = above()
    message = str(error.value)
    assert "shape (4, 3) can't multiply vectors of shape (5,)" in message
    assert f"MatVec() at {line}" in message
    assert "W     (4, 3)  made at definitions.py:" in message and f"x[t]  (5,)    made at {line}" in message
    assert cell.equations == []


def test_an_equation_must_have_the_declared_size() -> None:
    cell = Cell()
    x = cell.input("x", 5)
    h = cell.signal("h", 4)
    declared = above()
    with pytest.raises(ValueError) as error:
        h[t] = 2 * x[t]
    assert str(error.value) == (f"the equation h[t] = 2 * x[t] has shape (5,) (at {above()}), "
                                f"but h was declared at {declared} with size 4")


def test_a_signal_takes_its_size_from_its_equation() -> None:
    cell = Cell()
    x, y = cell.input("x", 5), cell.signal("y")
    y[t] = parameter("W", 2, 5) @ x[t]
    assert y.shape == (2,)


def test_an_input_without_size_takes_it_from_the_data() -> None:
    cell = Cell()
    x, y = cell.input("x"), cell.signal("y")
    y[t] = 2 * x[t]
    assert cell.unroll(x=np.ones((3, 2, 5)))["y"][1].shape == (2, 5)
    assert cell.unroll(x=np.ones((3, 2, 4)))["y"][1].shape == (2, 4)


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", True, [2]])
def test_a_size_is_a_positive_whole_number(size: Any) -> None:
    with pytest.raises(ValueError, match=r"the size of h is a positive whole number, not .* \(at test_equations\.py"):
        Cell().signal("h", size)


def test_an_initial_value_of_a_wrong_size_names_both_lines() -> None:
    h = Cell().signal("h", 4)
    declared = above()
    with pytest.raises(ValueError) as error:
        h[0] = np.ones(3)
    assert str(error.value) == (f"the value h[0] has shape (3,) (at {above()}), "
                                f"but h was declared at {declared} with size 4")


# ---- definitions
def test_a_signal_defined_twice_names_both_lines() -> None:
    a = Cell().signal("a", 4)
    a[t] = a[t-1]
    first = above()
    with pytest.raises(ValueError) as error:
        a[t] = a[t-2]
    assert str(error.value).startswith(f"a is defined twice: at {first} and at {above()}. ")


def test_two_signals_of_one_name_name_both_lines() -> None:
    cell = Cell()
    cell.input("x", 3)
    first = above()
    with pytest.raises(ValueError) as error:
        cell.signal("x", 3)
    assert str(error.value) == f"there are two signals named 'x': declared at {first} and at {above()}"


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_is_a_string(name: Any) -> None:
    with pytest.raises(TypeError, match="a signal's name is a string that isn't empty"):
        Cell().signal(name, 3)


def test_an_input_has_no_equation() -> None:
    x = Cell("net").input("x", 3)
    with pytest.raises(ValueError, match=r"x is an input: its values are given.*net\.signal\(\.\.\.\) to compute it"):
        x[t] = 2 * x[t-1]


def test_signals_of_two_definitions_do_not_mix() -> None:
    one, two = Cell("one"), Cell("two")
    a, b = one.signal("a", 3), two.signal("b", 3)
    with pytest.raises(ValueError, match=r"different definitions .*a\[t\] of 'one', b\[t\] of 'two'"):
        a[t] + b[t]
    with pytest.raises(ValueError, match=r"a belongs to 'one', but its equation reads signals of 'two'"):
        a[t] = 2 * b[t]


def test_a_boundary_value_is_not_an_expression() -> None:
    a = Cell().signal("a", 3)
    with pytest.raises(TypeError, match=r"a\[0\] is one fixed value: a Tensor, an array or a number, not a\[t\]"):
        a[0] = a[t]


def test_a_failed_equation_can_be_written_again() -> None:
    cell = Cell()
    x, h = cell.input("x", 5), cell.signal("h", 4)
    with pytest.raises(ValueError):
        h[t] = 2 * x[t]
    h[t] = x[t][:4]
    assert [repr(equation) for equation in cell.equations] == ["h[t] = x[t][:4]"]


# ---- parameters
def test_parameters_are_listed_in_the_order_of_their_use() -> None:
    assert list(elman().parameters) == ["W", "U", "b", "V"]
    assert all(p.requires_grad for p in elman().parameters.values())


def test_parameters_inside_expressions_and_initial_values_are_found() -> None:
    cell, W, h0, s = Cell(), parameter("W", 5, 4), parameter("h0", 4), parameter("s", 4)
    x, h = cell.input("x", 5), cell.signal("h", 4)
    h[t] = W.T @ x[t] + h[t-1]
    h[0] = h0 * s
    assert list(cell.parameters) == ["W", "h0", "s"]


def test_unnamed_parameters_are_numbered() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    y[t] = mg.Tensor(np.ones((2, 2)), requires_grad=True) @ x[t] + mg.Tensor(np.ones(2), requires_grad=True)
    assert list(cell.parameters) == ["p1", "p2"]


def test_two_parameters_of_one_name_are_named_with_their_lines() -> None:
    cell = Cell()
    x, y = cell.input("x", 2), cell.signal("y", 2)
    one = mg.Tensor(np.ones(2), requires_grad=True, name="b")
    two = mg.Tensor(np.ones(2), requires_grad=True, name="b")
    lines = above(2), above(1)
    y[t] = x[t] * one + two
    with pytest.raises(ValueError, match=f"two parameters are named 'b': made at {lines[0]} and at {lines[1]}"):
        cell.parameters  # noqa: B018


@pytest.mark.parametrize("make, expected", [
    (lambda W: W.T, lambda W: W.T), (lambda W: W + W * 2, lambda W: 3 * W),
    (lambda W: W[:, ::-1], lambda W: W[:, ::-1]), (lambda W: np.concatenate([W[:2], W[2:]]), lambda W: W)])
def test_expressions_of_parameters_alone_are_recomputed_by_every_unroll(make: Any, expected: Any) -> None:
    W = mg.Tensor(RNG.normal(size=(5, 5)), requires_grad=True, name="W")
    cell = Cell()
    x, y = cell.input("x", 5), cell.signal("y", 5)
    y[t] = make(W) @ x[t]
    for _ in range(2):
        W.data = RNG.normal(size=(5, 5))
        np.testing.assert_allclose(cell.unroll(x=X)["y"].stack().data, X @ expected(W.data).T)


def test_a_computed_initial_value_follows_its_parameters() -> None:
    h0 = mg.Tensor([1.0, 2.0], requires_grad=True, name="h0")
    cell = Cell()
    h = cell.signal("h", 2)
    h[t] = 2 * h[t-1]
    h[0] = h0 * 3
    h0.data = [2.0, 5.0]
    run = cell.unroll(T=2)
    np.testing.assert_array_equal(run["h"][2].data, [24, 60])
    run["h"][2].sum().backward()
    np.testing.assert_array_equal(h0.grad, [12, 12])


# ---- text
@pytest.mark.parametrize("write, text", [
    (lambda W, b, x: np.tanh(W @ x[t] + b), "tanh(W @ x[t] + b)"),
    (lambda W, b, x: W.T @ x[t-1] - (b - x[t]), "W.T @ x[t-1] - (b - x[t])"),
    (lambda W, b, x: (x[t] + b) * 2 - -x[t+1], "(x[t] + b) * 2 - -x[t+1]"),
    (lambda W, b, x: -(x[t] * b), "-(x[t] * b)"),
    (lambda W, b, x: (-x[t]) ** 2 / 0.5, "(-x[t]) ** 2 / 0.5"),
    (lambda W, b, x: x[t] / (b / x[t]), "x[t] / (b / x[t])"),
    (lambda W, b, x: (x[t] ** 2) ** b, "(x[t] ** 2) ** b"),
    (lambda W, b, x: x[t] @ x[t-1], "x[t] @ x[t-1]"),
    (lambda W, b, x: (W @ x[t])[:3:2], "(W @ x[t])[:3:2]"),
    (lambda W, b, x: 2 * (x[t] @ x[t-1]), "2 * (x[t] @ x[t-1])"), (lambda W, b, x: b * (W @ x[t]), "b * (W @ x[t])"),
    (lambda W, b, x: (x[t] @ x[t-1]) * 2, "x[t] @ x[t-1] * 2"), (lambda W, b, x: W @ (x[t] * b), "W @ (x[t] * b)"),
    (lambda W, b, x: np.concatenate([x[t], b * x[t]], axis=-1), "concatenate([x[t], b * x[t]])"),
    (lambda W, b, x: mg.sigmoid(x[t][1]), "sigmoid(x[t][1])"),
    (lambda W, b, x: x[t] + np.ones(5), "x[t] + array(5,)"),
])
def test_the_text_of_an_equation_keeps_its_meaning(write: Any, text: str) -> None:
    assert to_text(write(parameter("W", 5, 5), parameter("b", 5), Cell().input("x", 5))) == text


def test_a_definition_shows_its_equations_and_their_lines() -> None:
    lines = repr(elman()).splitlines()
    assert lines[0] == "<Cell 'elman': 2 equations>"
    assert lines[1].startswith("  h[t] = tanh(W @ x[t] + U @ h[t-1] + b)    definitions.py:")
    assert "c[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f) * c[t-1]" in repr(lstm())


def test_the_text_of_an_equation_for_a_later_step_names_that_step() -> None:
    x = Cell().signal("x", 2)
    x[t+1] = 2 * x[t]
    assert repr(x.equation) == "x[t+1] = 2 * x[t]"


def test_a_formula_of_many_shared_parts_stays_short() -> None:
    y = Cell().input("x", 2)[t]
    for _ in range(60):
        y = y + y  # written out in full: 2 ** 60 terms
    assert len(to_text(y)) < 2100


def test_a_size_may_be_numpys_integer() -> None:
    assert Cell().input("x", np.int64(3)).shape == (3,)  # type: ignore[arg-type]


# ---- what Python and NumPy would silently take for something else
MATRIX = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize("write", [
    lambda x: (MATRIX * x).sum(axis=-1), lambda x: mg.logsumexp(MATRIX + x, axis=-1), lambda x: x + MATRIX,
    lambda x: mg.where(MATRIX > 1, x, 0), lambda x: np.ones((2, 3, 3)) @ x, lambda x: np.eye(2) * x[:2],
    lambda x: x[np.array([[0, 1], [1, 2]])]])
@pytest.mark.parametrize("size", [3, None])
def test_a_matrix_at_each_step_is_not_broadcast_against_the_batch(write: Any, size: Any) -> None:
    cell = Cell()
    x, y = cell.input("x", size), cell.signal("y")
    y[t] = write(x[t])
    data = np.random.default_rng(0).normal(size=(2, 3, 3))
    expected = np.array([[np.asarray(write(data[k, b])) for b in range(3)] for k in range(2)])
    np.testing.assert_allclose(cell.unroll(x=data)["y"].stack().data, expected)
    np.testing.assert_allclose(cell.compile()(x=data)["y"], expected)


def test_a_matrix_of_parameters_alone_is_no_value_at_each_step() -> None:
    W = parameter("W", 5, 5)
    np.testing.assert_allclose(value_of(lambda x: (W * W.T + np.eye(5)) @ x), X @ (W.data * W.data.T + np.eye(5)).T)


@pytest.mark.parametrize("write", [
    lambda a: mg.sum(a, axis=-1), mg.softmax, mg.log_softmax, lambda a: mg.logsumexp(a, axis=-1),
    lambda a: mg.max(a, axis=-1), lambda a: mg.prod(a, axis=-1), lambda a: mg.cumsum(a, axis=-1),
    lambda a: np.linalg.norm(a, axis=-1), lambda a: a @ a])
@pytest.mark.parametrize("size", [(), None])
def test_an_operation_along_the_vector_does_not_take_the_batch_of_numbers_for_one(write: Any, size: Any) -> None:
    cell = Cell()
    a, b, y = cell.input("a", size), cell.input("b", ()), cell.signal("y")
    message = r"(?s)(array of dimension 0|not have enough dimensions).*a\[t\]|a\[t\] is a number at each step"
    with pytest.raises((ValueError, IndexError), match=message):
        y[t] = write(a[t]) + b[t]
        cell.unroll(a=np.ones((3, 2)), b=np.ones((3, 2)))


def test_a_number_that_only_the_data_tell_is_not_broadcast_against_a_vector() -> None:
    cell = Cell()
    a, _, y = cell.input("a"), cell.input("b", ()), cell.signal("y", 2)
    y[t] = a[t] * np.array([1.0, 2.0])
    for call in (cell.unroll, cell.compile()):
        with pytest.raises(ValueError, match=r"a\[t\] is a number at each step of these data.*declare the size"):
            call(a=np.ones((3, 2)), b=np.ones((3, 2)))


def test_a_number_becomes_a_vector_of_one_element() -> None:
    cell = Cell()
    a, b, y = cell.input("a", ()), cell.input("b", ()), cell.signal("y", 2)
    y[t] = np.concatenate([a[t][None], b[t][None]], axis=-1)
    A, B = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    np.testing.assert_array_equal(cell.unroll(a=A, b=B)["y"].stack().data, np.stack([A, B], axis=-1))
    np.testing.assert_array_equal(cell.compile()(a=A, b=B)["y"], np.stack([A, B], axis=-1))


@pytest.mark.parametrize("write", [
    len, list, float, int, complex, round, math.exp, reversed, iter, range, operator.index, np.array, np.asarray,
    lambda x: 1 in x, lambda x: [*x], lambda x: np.array([x[0], x[1]]), lambda x: np.eye(5)[x], lambda x: [1, 2][x],
    lambda x: parameter("E", 4, 2)[0, x], lambda x: x and 1, lambda x: not x,
    lambda x: min(x, 2 * x), lambda x: sorted([x, 2 * x]),
    lambda x: x in [2 * x], lambda x: any([x]), lambda x: np.median(x),
    lambda x: x.__setitem__(0, 1.0), lambda x: x.__delitem__(0), lambda x: x == "a"])
def test_a_use_that_needs_the_value_of_an_expression_is_an_error_with_its_line(write: Any) -> None:
    with pytest.raises(TypeError, match=r"\(at test_equations\.py:\d+\)"):
        value_of(write)


@pytest.mark.parametrize("name", ["data", "grad", "requires_grad", "backward", "item", "numpy", "size", "dtype"])
def test_attributes_of_values_are_refused_with_the_line(name: str) -> None:
    x = Cell().input("x", 3)
    with pytest.raises(AttributeError, match=rf"x\[t\] has no \.{name}: it has a value only in a run"):
        getattr(x[t], name)
    with pytest.raises(AttributeError, match=rf"the signal x has no \.{name}: .*run\['x'\]"):
        getattr(x, name)
    assert not hasattr(x[t], "unknown") and not hasattr(x, "unknown")


def test_an_array_indexed_by_a_signal_says_how_it_is_done() -> None:
    with pytest.raises(TypeError, match=r"w\[t\] has a value at each step.*it a Tensor: mg\.Tensor\(E\)\[w\[t\]\]"):
        np.eye(4)[Cell().input("w", ())[t]]


@pytest.mark.parametrize("use", [
    len, float, int, math.exp, round, reversed, operator.index, np.array, lambda h: h == 1, lambda h: h != 1,
    lambda h: 1 in h, lambda h: h(0), lambda h: np.eye(3)[h], lambda h: mg.where(h == Cell().input("x", 2), 1.0, 0.0)])
def test_a_signal_without_its_step_has_no_value(use: Any) -> None:
    with pytest.raises(TypeError, match=r"the signal \w has a value at each step: write \w\[t\] \(at test_equations"):
        use(Cell().signal("h", 2))


def test_a_signal_without_its_step_beside_one_with_it_asks_for_it() -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    for write in (lambda: x[t] + h, lambda: mg.where(x[t], h, 0)):
        with pytest.raises(TypeError, match=r"write h\[t\]"):
            write()


def test_signals_are_keys_and_are_found_in_lists_of_themselves() -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    assert {x: 1, h: 2}[h] == 2 and x in [x, h] and {x, h} == {h, x} and bool(x)


@pytest.mark.parametrize("time", [True, np.True_])
def test_a_truth_value_is_no_step(time: Any) -> None:
    with pytest.raises(TypeError, match=r"h\[0\] = \.\.\. an initial value"):
        Cell().signal("h", 2)[time] = 0.0


def test_an_equation_is_not_removed() -> None:
    h = Cell().signal("h", 2)
    with pytest.raises(TypeError, match="can't be removed"):
        del h[t]
