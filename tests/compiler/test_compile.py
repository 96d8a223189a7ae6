"""cell.compile(): the same numbers as the unrolled graph, as a program that one can read, step through and save."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from definitions import DEFINITIONS, above, data, gates, gru, lagged_input, lstm, parameter, skips, three_delays, twenty
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_definitions import STEPS, Spec, Term, defined, specs

import minigrad as mg
from rnn import Cell, T, cells, t
from rnn.compiler.execution import Call

EVERY: list[Callable[[], Cell]] = [*DEFINITIONS, lstm, gru, gates, lagged_input, three_delays, skips, twenty]


def with_loss(cell: Cell) -> Cell:
    """The definition with a loss: the squares of its output."""
    y = cell.signals["y" if "y" in cell.signals else "h" if "h" in cell.signals else next(reversed(cell.signals))]
    loss = cell.signal("L", ())
    loss[t] = (y[t] * y[t]).sum(axis=-1) if y.shape != () else y[t] * y[t]
    return cell


def assert_equal(cell: Cell, given_data: dict[str, Any], rtol: float = 1e-12, **options: Any) -> None:
    """Every signal, the loss and every gradient are those of the unrolled graph."""
    for tensor in cell.parameters.values():
        tensor.grad = None
    run = cell.unroll(**given_data, **options)
    loss = run["L"].stack().sum()
    loss.backward()
    expected = {name: tensor.grad for name, tensor in cell.parameters.items()}
    for tensor in cell.parameters.values():
        tensor.grad = None
    found, outputs = cell.compile("L")(**given_data, **options)
    np.testing.assert_allclose(found, loss.item(), rtol=rtol)
    for name in cell.signals:
        np.testing.assert_allclose(outputs[name], run[name].stack().numpy(), rtol=rtol, atol=rtol)
    for name, tensor in cell.parameters.items():
        wanted = expected[name]
        assert (tensor.grad is None) == (wanted is None), name
        if wanted is not None and tensor.grad is not None:
            assert tensor.grad.shape == wanted.shape and tensor.grad.dtype == wanted.dtype
            np.testing.assert_allclose(tensor.grad, wanted, rtol=rtol, atol=rtol * max(np.abs(wanted).max(), 1),
                                       err_msg=name)


# ---- the same numbers
@pytest.mark.parametrize("options", [{}, {"chunks": 2}, {"last": 3}, {"lengths": [5, 2, 4]}], ids=str)
@pytest.mark.parametrize("make", EVERY)
def test_values_and_gradients_are_those_of_the_unrolled_graph(make: Callable[[], Cell], options: Any) -> None:
    cell = with_loss(make())
    given_data = data(cell, 5, (3,))
    if "T" in given_data and "lengths" in options:
        options = {"mask": np.ones((5,), bool)}  # no input brings a batch
    assert_equal(cell, given_data, **options)


@pytest.mark.parametrize("window", [(1, 1), (2, 3), (2, 5), (7, 7)])
@pytest.mark.parametrize("make", [DEFINITIONS[0], DEFINITIONS[2], DEFINITIONS[4], DEFINITIONS[5], lagged_input, lstm])
def test_sliding_windows(make: Callable[[], Cell], window: tuple[int, int]) -> None:
    cell = with_loss(make())
    T_, given_data = 5, data(cell, 5, (3,))
    run = cell.unroll(**given_data, window=window)
    total: Any = 0.0  # each window differentiates the losses of its own steps
    for part in run.windows:
        total = total + sum(part["L"][k].sum() for k in part.loss_steps)
    total.backward()
    expected = {name: tensor.grad for name, tensor in cell.parameters.items()}
    for tensor in cell.parameters.values():
        tensor.grad = None
    found, outputs = cell.compile("L")(**given_data, window=window)
    assert found == pytest.approx(total.item(), rel=1e-12) and outputs["L"].shape[0] == T_
    for name, tensor in cell.parameters.items():
        wanted = np.zeros(tensor.shape) if expected[name] is None else expected[name]  # where no window reaches it
        np.testing.assert_allclose(tensor.grad, wanted, rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_any_batch_and_any_length(batch: tuple[int, ...], steps: int) -> None:
    cell = with_loss(three_delays())
    assert_equal(cell, data(cell, steps, batch))


def test_float32_stays_float32() -> None:
    cell = with_loss(DEFINITIONS[0](np.float32))  # type: ignore[call-arg]
    given_data = {"x": data(cell)["x"].astype(np.float32)}
    assert_equal(cell, given_data, rtol=2e-5)
    assert cell.compile("L")(**given_data).outputs["h"].dtype == np.float32


STATE_OF_NOTHING = Spec([0, 0, 0], ["linear"] * 3, [[], [Term(0, 0, np.eye(2))], [Term(1, -1, np.eye(2))]],
                        [None] * 3, -1)


TWO_STATES_OF_ONE = Spec([0, 0, 0], ["tanh"] * 3, [[Term(1, -1, np.eye(2)), Term(2, -1, np.eye(2))],
                         [Term(0, -3, np.eye(2))], [Term(0, -3, 0.5 * np.eye(2))]], [None] * 3, -1)


LANES_OF_A_STEP = Spec([0, 0, 0], ["linear", "sigmoid", "linear"], [
    [Term(1, -3, np.eye(2))], [Term(0, -1, np.eye(2)), Term(0, -2, np.eye(2)), Term(2, -2, np.eye(2))],
    [Term(1, -3, 0.5 * np.eye(2))]], [None] * 3, -1)


@example(LANES_OF_A_STEP, {"lengths": [4, 1, 3]})
@example(STATE_OF_NOTHING, {"lengths": [4, 1, 3]})
@example(TWO_STATES_OF_ONE, {})
@given(specs(), st.sampled_from([{}, {"chunks": 2}, {"last": 2}, {"lengths": [4, 1, 3]}]))
@settings(max_examples=60, deadline=None)
def test_every_definition_that_can_be_unrolled_can_be_compiled(spec: Spec, options: dict[str, Any]) -> None:
    cell, _ = defined(spec)
    if spec.leads[0]:  # the loss is a signal of the step itself
        first = cell.signals["s0"]
        copy = cell.signal("copy", 2)
        copy[t] = first[t] * 1.0
    total = cell.signal("L", ())
    scale = parameter("scale", 2)
    total[t] = sum(((scale * s[t] * s[t]).sum(axis=-1) for n, s in cell.signals.items() if n[0] == "s"), 0.0)
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
    assert_equal(cell, {"x": x}, rtol=1e-11, **options)


@st.composite
def gated(draw: st.DrawFn) -> Cell:
    """Up to four signals of several sizes: products with gates, joined vectors, numbers, shared expressions."""
    sizes: list[Any] = draw(st.lists(st.sampled_from([(), 2, 2, 3]), min_size=1, max_size=4))
    cell = Cell("gated")
    signals = [cell.input("x", 2), *(cell.signal(f"s{i}", size) for i, size in enumerate(sizes))]
    numbers = iter(range(1000))

    def read(i: int) -> Any:
        source = draw(st.integers(0, len(sizes)))
        delay = draw(st.integers(0 if source <= i else 1, 2)) if source else draw(st.just(0))
        return signals[source][t - delay]

    def weighed(x: Any, size: Any) -> Any:
        """A term of the wanted size, from what is read."""
        if x.shape == ():
            w = parameter(f"w{next(numbers)}", *(() if size == () else (size, 1)))
            return w * x if size == () else w @ (x * np.ones(1))
        if size == ():
            return parameter(f"w{next(numbers)}", x.shape[0]) @ x
        if x.shape == (size,) and draw(st.booleans()):
            return parameter(f"w{next(numbers)}", size) * x
        if draw(st.booleans()):
            x = parameter(f"w{next(numbers)}", 2) * (parameter(f"w{next(numbers)}", 2, x.shape[0]) @ x)
        return parameter(f"w{next(numbers)}", size, x.shape[0]) @ x

    functions = [np.tanh, mg.sigmoid, mg.relu, lambda a: 1 - mg.sigmoid(a)]
    for i, size in enumerate(sizes):
        vectors = [x for x in (read(i), read(i)) if x.shape != ()]
        term = weighed(read(i), size) if not vectors or size == () else weighed(mg.concatenate(vectors, axis=-1), size)
        total = term + weighed(read(i), size)
        value = draw(st.sampled_from(functions))(total)
        if draw(st.booleans()):
            value = value * draw(st.sampled_from(functions))(weighed(read(i), size) + (0.1 if size == () else
                                                                                     parameter(f"b{i}", size)))
        if draw(st.booleans()):
            value = value + draw(st.sampled_from(functions))(total)
        signals[i + 1][t] = value
    loss = cell.signal("L", ())
    loss[t] = sum(((s[t] * s[t]).sum(axis=-1) if s.shape else s[t] * s[t] for s in signals[1:]), 0.0)
    return cell


@given(gated(), st.sampled_from([{}, {}, {"chunks": 2}, {"last": 2}, {"lengths": [4, 1, 3]}]))
@settings(max_examples=25, deadline=None)
def test_gates_of_any_kind_and_size(cell: Cell, options: dict[str, Any]) -> None:
    assert_equal(cell, data(cell, 4, (3,)), rtol=1e-10, **options)


MULTIPLES: dict[str, Callable[..., Any]] = {
    "a weight of the same product": lambda h, x, A, B, p: A @ (p * (np.hstack([B, A]) @ mg.concatenate([h, h]))),
    "two weights": lambda h, x, A, B, p: np.tanh(p * (A @ h) + 2 * p * (B @ h)),
    "a weight and an input": lambda h, x, A, B, p: np.tanh(p * (A @ h) + x * (B @ h)),
    "the state joined with itself": lambda h, x, A, B, p: np.tanh(np.hstack([A, B]) @ mg.concatenate([h, h]) + p * h),
}


@pytest.mark.parametrize("form", MULTIPLES)
def test_a_gradient_that_several_matrices_multiply(form: str) -> None:
    A, B, p = parameter("A", 2, 2), parameter("B", 2, 2), parameter("p", 2)
    cell = Cell("multiples")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = x[t] + MULTIPLES[form](h[t-1], x[t], A, B, p)
    assert_equal(with_loss(cell), data(cell, 4, (3,)))


RESIDUAL: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {  # a from a[t-1] and B b[t-1]; b from C b[t-1], a
    "inside of both": (lambda a, y: np.tanh(y + a), lambda z, a: np.tanh(z + a)),
    "a gate": (lambda a, y: np.tanh(y + a), lambda z, a: np.tanh(z) * a),
    "linear": (lambda a, y: y + a, lambda z, a: np.tanh(z + a)),
    "outside": (lambda a, y: 0.5 * np.tanh(y) + a, lambda z, a: 0.5 * np.tanh(z) + a),
    "scaled": (lambda a, y: 0.5 * np.tanh(y + a), lambda z, a: np.tanh(mg.where(z > 0.1, z, 0.2 * z) + a)),
}


@pytest.mark.parametrize("options", [{}, {"lengths": [4, 1, 3]}, {"chunks": 2}], ids=str)
@pytest.mark.parametrize("form", RESIDUAL)
def test_a_state_that_is_added_to_its_successor_and_a_vector_that_two_layers_multiply(form: str, options: Any) -> None:
    """The gradients of both layers are joined, and that of the first is also carried to the step before."""
    first, second = RESIDUAL[form]
    B, C = parameter("B", 3, 3), parameter("C", 3, 3)
    cell = Cell("residual")
    x, a, b, L = cell.input("x", 3), cell.signal("a", 3), cell.signal("b", 3), cell.signal("L", ())
    a[t] = first(a[t-1], B @ b[t-1])
    b[t] = second(C @ b[t-1], a[t]) + x[t]
    L[t] = (a[t] * a[t] + b[t] * b[t]).sum(axis=-1)
    assert_equal(cell, data(cell, 4, (3,)), **options)


CELLS: dict[str, Callable[[Cell, Any, Any], Any]] = {
    "elman": lambda c, x, rng: cells.elman(c, x, 4, name="r", rng=rng, biases=2),
    "neurons": lambda c, x, rng: cells.neurons(c, x, 4, name="r", rng=rng),
    "vanilla i": lambda c, x, rng: cells.vanilla(c, x, 4, form="i", name="r", rng=rng),
    "vanilla ii": lambda c, x, rng: cells.vanilla(c, x, 4, form="ii", name="r", rng=rng),
    "jordan": lambda c, x, rng: cells.jordan(c, x, 4, 2, name="r", rng=rng, output_activation=mg.softmax),
    "lstm": lambda c, x, rng: cells.lstm(c, x, 4, name="r", rng=rng),
    "lstm 1997": lambda c, x, rng: cells.lstm(c, x, 4, name="r", rng=rng, forget_gate=False),
    "lstm coupled": lambda c, x, rng: cells.lstm(c, x, 4, name="r", rng=rng, coupled=True),
    "lstm peepholes": lambda c, x, rng: cells.lstm(c, x, 4, name="r", rng=rng, peephole="diagonal"),
    "lstm full peepholes": lambda c, x, rng: cells.lstm(c, x, 4, name="r", rng=rng, peephole="full", biases=2),
    "gru": lambda c, x, rng: cells.gru(c, x, 4, name="r", rng=rng),
    "gru, reset before": lambda c, x, rng: cells.gru(c, x, 4, name="r", rng=rng, reset="before", update="replaces"),
    "gru, no biases": lambda c, x, rng: cells.gru(c, x, 4, name="r", rng=rng, biases=0),
    "bidirectional": lambda c, x, rng: cells.bidirectional(c, cells.lstm, x, 4, name="r", rng=rng),
    "stacked": lambda c, x, rng: cells.stacked(c, cells.gru, x, [4, 4, 4], name="r", rng=rng, residual=True),
    "deep, both directions": lambda c, x, rng: cells.stacked(c, cells.elman, x, [4, 3], name="r", rng=rng,
                                                             directions=2),
}


@pytest.mark.parametrize("options", [{}, {"lengths": [4, 2, 1]}], ids=str)
@pytest.mark.parametrize("kind", CELLS)
def test_every_cell(kind: str, options: Any) -> None:
    cell = Cell(kind)
    x = cell.input("x", 3)
    h = CELLS[kind](cell, x, np.random.default_rng(0))
    loss = cell.signal("L", ())
    loss[t] = mg.losses.mse(h[t], np.full(h.shape, 0.3), reduction="none").sum(axis=-1)
    assert_equal(cell, data(cell, 4, (3,)), **options)


VECTOR_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "pow": lambda a: (1.5 + np.tanh(a)) ** 1.5, "square": np.square, "cube": lambda a: 0.1 * a ** 3,
    "reciprocal": lambda a: 1 / (2 + np.tanh(a)), "exp": lambda a: np.exp(-a * a), "log": lambda a: np.log(a * a + 1),
    "log1p": lambda a: np.log1p(a * a), "sqrt": lambda a: np.sqrt(a * a + 1), "sin": np.sin, "cos": np.cos,
    "relu": mg.relu, "leaky": mg.leaky_relu, "elu": mg.elu, "gelu": mg.gelu, "softplus": mg.softplus,
    "abs": np.abs, "clip": lambda a: np.clip(a, -0.5, 0.5), "softmax": mg.softmax, "log_softmax": mg.log_softmax,
    "maximum": lambda a: np.maximum(a, 0.2 * a), "where": lambda a: mg.where(np.array([True, False, True]), a, 2 * a),
    "mean": lambda a: a - a.mean(axis=-1, keepdims=True), "std": lambda a: a / (1 + a.std(axis=-1, keepdims=True)),
    "norm": lambda a: a / (1 + np.linalg.norm(a, axis=-1, keepdims=True)),
    "max": lambda a: a - a.max(axis=-1, keepdims=True),
    "flip": lambda a: np.flip(a, -1), "slice": lambda a: np.concatenate([a[1:], a[:1]], axis=-1),
    "cumsum": lambda a: np.cumsum(0.3 * a, axis=-1), "neg": lambda a: -a,
    "logsumexp": lambda a: a - mg.logsumexp(a, keepdims=True),
    "prod": lambda a: a * np.prod(np.tanh(a), axis=-1, keepdims=True),
    "arctan": np.arctan, "sinh": lambda a: np.sinh(0.3 * a), "sub": lambda a: 1 - a - 0.2 * a,
    "div": lambda a: a / 3 / 2,
}


@pytest.mark.parametrize("name", VECTOR_FUNCTIONS)
def test_every_function_in_a_loop_and_outside_of_it(name: str) -> None:
    f = VECTOR_FUNCTIONS[name]
    W, U, V = parameter("W", 3, 3), parameter("U", 3, 3), parameter("V", 3, 3)
    cell = Cell(name)
    x, h, y = cell.input("x", 3), cell.signal("h", 3), cell.signal("y", 3)
    h[t] = np.tanh(f(W @ x[t] + U @ h[t-1]))
    y[t] = f(V @ h[t])
    assert_equal(with_loss(cell), data(cell, 4, (2,)), rtol=1e-11)


def test_rows_to_the_left_of_matrices_and_vectors_that_are_weights() -> None:
    W, p, q = parameter("W", 3, 3), parameter("p", 3), parameter("q", 3)
    cell = Cell("rows")
    x, h, s = cell.input("x", 3), cell.signal("h", 3), cell.signal("s", ())
    h[t] = np.tanh(x[t] @ W + p * h[t-1] + q)
    s[t] = p @ h[t]
    loss = cell.signal("L", ())
    loss[t] = s[t] * s[t]
    assert_equal(cell, data(cell, 4, (2,)))


@pytest.mark.parametrize("first", [0, 1])
def test_a_number_at_each_step_that_the_next_step_reads_too(first: int) -> None:
    w = parameter("w", 3)
    cell = Cell("numbers")
    x, a, loss = cell.input("x", 3), cell.signal("a", ()), cell.signal("L", ())
    a[t] = (w * x[t]).mean(axis=-1)
    loss[t] = a[t-first] + a[t-1+first]
    assert_equal(cell, data(cell, 4, (2,)))


def test_a_recurrence_of_numbers() -> None:
    a, b = parameter("a"), parameter("b")
    cell = Cell("filter")
    x, y, loss = cell.input("x", ()), cell.signal("y", ()), cell.signal("L", ())
    y[t] = a * x[t] + b * y[t-1]
    loss[t] = np.square(y[t])
    assert_equal(cell, data(cell, 4, (3,)))
    assert_equal(cell, data(cell, 4, ()))


def test_a_number_times_a_vector_in_a_single_sequence() -> None:
    w = parameter("w", 3)
    cell = Cell("number times vector")
    x, a, h = cell.input("x", 3), cell.signal("a", ()), cell.signal("h", 3)
    a[t] = w @ x[t]
    h[t] = np.tanh(a[t] * h[t-1] + x[t] * a[t])
    assert_equal(with_loss(cell), data(cell, 4, ()))


def test_what_depends_on_parameters_alone_is_computed_anew_and_gives_its_gradient_on() -> None:
    W, b1, b2 = parameter("W", 3, 6), parameter("b1", 3), parameter("b2", 3)
    cell = Cell("views")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(W[:, :3] @ x[t] + W[:, 3:].T @ h[t-1] + (b1 + b2))
    with_loss(cell)
    given_data = data(cell, 4, (2,))
    assert_equal(cell, given_data)
    fast = cell.compile("L")
    before = fast(**given_data).loss
    W.data = W.data * 0.5
    assert fast(**given_data).loss == pytest.approx(cell.unroll(**given_data)["L"].stack().sum().item(), rel=1e-12)
    assert fast(**given_data).loss != before


def test_inputs_with_different_batches_broadcast_again_and_again() -> None:
    cell = Cell("broadcast")
    x, z, h = cell.input("x", 3), cell.input("z", 3), cell.signal("h", 3)
    h[t] = np.tanh(parameter("W", 3, 3) @ h[t-1] + x[t] * z[t])
    with_loss(cell)
    fast = cell.compile("L")
    for seed in range(2):
        rng = np.random.default_rng(seed)
        given_data = {"x": rng.normal(size=(4, 5, 3)), "z": rng.normal(size=(4, 1, 3))}
        assert fast(**given_data).loss == pytest.approx(cell.unroll(**given_data)["L"].stack().sum().item(), rel=1e-12)
    assert_equal(cell, given_data)


def test_labels_are_integers_and_a_wrong_one_is_named() -> None:
    V = parameter("V", 4, 3)
    cell = Cell("labels")
    x, label, y, loss = cell.input("x", 3), cell.input("label", ()), cell.signal("y", 4), cell.signal("L", ())
    y[t] = V @ x[t]
    loss[t] = mg.losses.cross_entropy(y[t], label[t], reduction="none")
    x_data, labels = np.random.default_rng(0).normal(size=(5, 2, 3)), np.arange(10).reshape(5, 2) % 4
    assert_equal(cell, {"x": x_data, "label": labels})
    with pytest.raises(IndexError, match=r"label 9 at \[0, 0\].*\n.*program of 'labels', line \d+: .*forward"):
        cell.compile("L")(x=x_data, label=labels + 9)


def test_labels_that_are_no_integers_are_refused_by_name_and_a_failed_call_leaves_nothing_behind() -> None:
    cell = Cell("labels")
    x, label, loss = cell.input("x", 4), cell.input("label", ()), cell.signal("L", ())
    loss[t] = mg.losses.cross_entropy(parameter("V", 4, 4) @ x[t], label[t], reduction="none")
    fast = cell.compile("L")
    x_data, numbers = np.ones((3, 2, 4)), np.zeros((3, 2), int)
    _, outputs = fast(x=x_data, label=numbers)
    before = fast.gradients["V"]
    with pytest.raises(TypeError, match=r"data for 'label' are float64 .*labels are integers"):
        fast(x=x_data, label=numbers * 1.0)
    assert outputs["L"].shape == (3, 2)  # nothing was computed yet
    with pytest.raises(IndexError, match="label 9"):
        fast(x=x_data, label=numbers + 9)
    with pytest.raises(RuntimeError, match="called again since"):
        outputs["L"]
    np.testing.assert_array_equal(cell.parameters["V"].grad, before)


def test_reading_ahead_inside_of_a_loop() -> None:
    A, B, C = parameter("A", 3, 3), parameter("B", 3, 3), parameter("C", 3, 3)
    cell = Cell("ahead")
    x, a, b = cell.input("x", 3), cell.signal("a", 3), cell.signal("b", 3)
    a[t] = np.tanh(A @ b[t+1] + x[t])
    b[t] = np.tanh(B @ a[t-2] + C @ b[t-1])
    loss = cell.signal("L", ())
    loss[t] = (a[t] * b[t]).sum(axis=-1)
    for steps in (1, 2, 6):
        assert_equal(cell, data(cell, steps, (2,)))
    assert_equal(cell, data(cell, 4, (2,)), lengths=[4, 2])


def test_a_reversed_loop_of_which_a_signal_is_read_from_before() -> None:
    A, B, C = parameter("A", 3, 3), parameter("B", 3, 3), parameter("C", 3, 3)
    cell = Cell("behind")
    x, c, d = cell.input("x", 3), cell.signal("c", 3), cell.signal("d", 3)
    c[t] = np.tanh(A @ d[t-1] + x[t])
    d[t] = np.tanh(B @ c[t+2] + C @ d[t+1])
    loss = cell.signal("L", ())
    loss[t] = (c[t] * d[t]).sum(axis=-1)
    assert_equal(cell, data(cell, 5, (2,)))
    assert_equal(cell, data(cell, 5, (2,)), lengths=[5, 3])


def test_dropout_draws_what_the_unrolled_graph_draws() -> None:
    def network() -> Cell:
        rng = np.random.default_rng(3)
        cell = Cell("dropout")
        h = cells.stacked(cell, cells.elman, cell.input("x", 3), [4, 4], name="r", rng=rng, dropout=0.4)
        loss = cell.signal("L", ())
        loss[t] = (h[t] * h[t]).sum(axis=-1)
        return cell

    first, second = network(), network()
    given_data = data(first, 5, (3,))
    run = first.unroll(**given_data)
    run["L"].stack().sum().backward()
    result = second.compile("L")(**given_data)
    np.testing.assert_array_equal(result.outputs["r.1.dropped"] == 0, run["r.1.dropped"].stack().numpy() == 0)
    for name, tensor in second.parameters.items():
        np.testing.assert_allclose(tensor.grad, first.parameters[name].grad, rtol=1e-12, err_msg=name)


# ---- gradients of other things than parameters, and from other things than a loss
def test_an_input_that_requires_a_gradient_gets_it() -> None:
    cell = with_loss(lagged_input())
    x = mg.Tensor(data(cell, 4)["x"], requires_grad=True)
    cell.unroll(x=x)["L"].stack().sum().backward()
    expected, x.grad = x.grad, None
    cell.compile("L")(x=x)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"lengths": [6, 3, 1, 0]}], ids=str)
@pytest.mark.parametrize("reach", [-2, -1, 1, 2])
def test_an_input_that_is_read_across_the_edge_of_a_window_gets_its_gradient(reach: int, options: Any) -> None:
    w, before = parameter("w"), parameter("before")
    cell = Cell("windows")
    x, h, L = cell.input("x", ()), cell.signal("h", ()), cell.signal("L", ())
    h[t] = np.tanh(w * h[t-1] + x[t+reach] * x[t])
    L[t] = h[t] * h[t]
    x[-1], x[0], x[T+1], x[T+2] = before, 2.0 * before, 0.3, 0.4
    data_ = mg.Tensor(np.random.default_rng(0).normal(size=(6, 4)), requires_grad=True)
    run = cell.unroll(x=data_, window=(2, 3), **options)
    sum(part["L"][k].sum() for part in run.windows for k in part.loss_steps).backward()
    expected = [tensor.grad for tensor in (data_, w, before)]
    for tensor in (data_, w, before):
        tensor.grad = None
    cell.compile("L")(x=data_, window=(2, 3), **options)
    for tensor, wanted in zip((data_, w, before), expected):
        np.testing.assert_allclose(0.0 if tensor.grad is None else tensor.grad, 0.0 if wanted is None else wanted,
                                   rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("back", [1, -1])
def test_the_gradient_of_an_input_may_be_that_of_a_neighbouring_step(back: int) -> None:
    cell = Cell("neighbours")
    x, s, L = cell.input("x", 2), cell.signal("s", 2), cell.signal("L", ())
    s[t] = x[t] + 0.5 * s[t-back]
    L[t] = (s[t-back] * s[t-back]).sum(axis=-1)
    data_ = mg.Tensor(data(cell, 4)["x"], requires_grad=True)
    cell.unroll(x=data_)["L"].stack().sum().backward()
    expected, data_.grad = data_.grad, None
    cell.compile("L")(x=data_)
    np.testing.assert_allclose(data_.grad, expected, rtol=1e-12)


@pytest.mark.parametrize("delay", [1, 2])
def test_an_initial_value_may_be_a_parameter(delay: int) -> None:
    U, h0, h1 = parameter("U", 3, 3), parameter("h0", 3), parameter("h1", 3)
    cell = Cell("start")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(U @ h[t-delay] + x[t])
    h[0] = h0
    if delay == 2:
        h[-1] = h1
    assert_equal(with_loss(cell), data(cell, 4, (2,)))


def test_the_end_of_a_reversed_state_may_be_a_parameter() -> None:
    U, h0 = parameter("U", 3, 3), parameter("h0", 3)
    cell = Cell("end")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(U @ h[t+1] + x[t])
    h[T+1] = h0
    assert_equal(with_loss(cell), data(cell, 4, (2,)))


def test_initial_values_with_the_data_and_a_state_that_is_carried_on() -> None:
    cell = with_loss(DEFINITIONS[5]())
    given_data = data(cell, 6, (2,))
    run = cell.unroll(**given_data)
    fast = cell.compile("L")
    first = fast(x=given_data["x"][:4])
    state = first.outputs.state
    second = fast(x=given_data["x"][4:], initial=state)
    np.testing.assert_allclose(second.outputs["h"], run["h"].stack().numpy()[4:], rtol=1e-12)
    run = cell.unroll(x=given_data["x"][4:], initial=state)  # the state starts an unrolled graph too
    np.testing.assert_allclose(second.outputs["y"], run["y"].stack().numpy(), rtol=1e-12)


def test_the_gradient_goes_back_into_the_run_whose_state_was_given() -> None:
    cell = with_loss(DEFINITIONS[0]())
    given_data = data(cell, 3)
    state = cell.unroll(**given_data).state
    cell.unroll(**given_data, initial=state)["L"].stack().sum().backward()
    expected = {name: tensor.grad for name, tensor in cell.parameters.items()}
    for tensor in cell.parameters.values():
        tensor.grad = None
    cell.compile("L")(**given_data, initial=cell.unroll(**given_data).state)
    for name, tensor in cell.parameters.items():
        np.testing.assert_allclose(tensor.grad, expected[name], rtol=1e-11, err_msg=name)


def test_backward_takes_the_gradients_of_any_signals() -> None:
    cell = DEFINITIONS[1]()
    given_data = data(cell)
    rng = np.random.default_rng(1)
    run = cell.unroll(**given_data)
    dy, dh = rng.normal(size=run["y"].stack().shape), rng.normal(size=run["h2"].stack().shape)
    ((run["y"].stack() * dy).sum() + (run["h2"].stack() * dh).sum()).backward()
    expected = {name: tensor.grad for name, tensor in cell.parameters.items()}
    for tensor in cell.parameters.values():
        tensor.grad = None
    fast = cell.compile()
    outputs = fast(**given_data)
    np.testing.assert_allclose(outputs["y"], run["y"].stack().numpy(), rtol=1e-12)
    fast.backward(y=dy, h2=dh)
    for name, tensor in cell.parameters.items():
        np.testing.assert_allclose(tensor.grad, expected[name], rtol=1e-12, err_msg=name)


# ---- as a user expects it
def test_gradients_are_added_to_those_that_are_there_as_backward_does() -> None:
    cell = with_loss(DEFINITIONS[0]())
    fast = cell.compile("L")
    fast(**data(cell))
    once = {name: tensor.grad.copy() for name, tensor in cell.parameters.items() if tensor.grad is not None}
    fast(**data(cell))
    for name, tensor in cell.parameters.items():
        np.testing.assert_array_equal(tensor.grad, 2 * once[name])
        np.testing.assert_array_equal(fast.gradients[name], once[name])


def test_without_gradients_there_are_none() -> None:
    cell = with_loss(DEFINITIONS[0]())
    with mg.no_grad():
        loss, _ = cell.compile("L")(**data(cell))
    assert loss > 0 and all(tensor.grad is None for tensor in cell.parameters.values())


def test_training_goes_the_same_way_as_with_the_graph() -> None:
    first, second = with_loss(lstm()), with_loss(lstm())
    given_data = data(first, 5, (4,))
    fast = second.compile("L", reduction="mean")
    ours, theirs = (mg.optim.Adam(list(cell.parameters.values()), lr=0.05) for cell in (first, second))
    for _ in range(5):
        ours.zero_grad()
        theirs.zero_grad()
        loss = first.unroll(**given_data)["L"].stack().mean()
        loss.backward()
        assert fast(**given_data).loss == pytest.approx(loss.item(), rel=1e-10)
        ours.step()
        theirs.step()


def test_a_mean_counts_the_steps_that_count() -> None:
    cell = with_loss(DEFINITIONS[0]())
    given_data, lengths = data(cell, 4, (3,)), [4, 1, 2]
    loss = cell.unroll(**given_data, lengths=lengths)["L"].stack().sum().item() / sum(lengths)
    assert cell.compile("L", reduction="mean")(**given_data, lengths=lengths).loss == pytest.approx(loss, rel=1e-12)


def test_other_data_of_the_same_shape_leave_nothing_of_the_first_ones() -> None:
    cell = with_loss(lstm())
    fast = cell.compile("L")
    for seed in range(3):
        given_data = data(cell, seed=seed)
        for tensor in cell.parameters.values():
            tensor.grad = None
        loss, outputs = fast(**given_data)
        values, gradients = outputs["h"], fast.gradients
        assert loss == pytest.approx(cell.unroll(**given_data)["L"].stack().sum().item(), rel=1e-12)
        other = cell.compile("L")
        np.testing.assert_array_equal(values, other(**given_data).outputs["h"])
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, other.gradients[name])


def test_padding_is_never_looked_at() -> None:
    cell = with_loss(lstm())
    given_data, lengths = data(cell, 5, (3,)), [5, 2, 4]
    expected = cell.compile("L")(**given_data, lengths=lengths).loss
    given_data["x"][2:, 1] = np.nan
    assert cell.compile("L")(**given_data, lengths=lengths).loss == expected


def test_a_definition_that_was_changed_is_compiled_anew() -> None:
    cell = with_loss(DEFINITIONS[0]())
    fast = cell.compile("L")
    before = fast(**data(cell)).loss
    cell.signals["h"][0] = np.full(4, 0.5)
    assert fast(**data(cell)).loss != before
    assert_equal(cell, data(cell))


def test_outputs_are_gone_after_another_call() -> None:
    cell = with_loss(DEFINITIONS[0]())
    fast = cell.compile("L")
    _, outputs = fast(**data(cell))
    assert outputs["h"].shape == (4, 5, 4) and list(outputs) == list(cell.signals)
    fast(**data(cell))
    with pytest.raises(RuntimeError, match="called again since"):
        outputs["h"]


@pytest.mark.parametrize(("method", "read"), [
    ("shown", lambda outputs: outputs["h"]), ("final", lambda outputs: outputs.final("h")),
    ("state", lambda outputs: outputs.state)])
def test_values_that_another_call_overwrites_while_they_are_read_are_an_error(
        monkeypatch: pytest.MonkeyPatch, method: str, read: Callable[[Any], Any]) -> None:
    cell = with_loss(DEFINITIONS[0]())
    fast = cell.compile("L")
    _, outputs = fast(**data(cell))
    original = getattr(Call, method)

    def slow(call: Call, *name: str) -> Any:
        values = original(call, *name)
        fast(**data(cell))  # as the thread that owns the arrays would, while this one copies
        return values

    monkeypatch.setattr(Call, method, slow)
    with pytest.raises(RuntimeError, match="called again since"):
        read(outputs)


def test_the_data_are_not_changed() -> None:
    cell = with_loss(DEFINITIONS[0]())
    given_data = data(cell)
    given_data["x"].flags.writeable = False
    copy = given_data["x"].copy()
    cell.compile("L")(**given_data)
    np.testing.assert_array_equal(given_data["x"], copy)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda cell: cell.compile("M"), ValueError, "no signal 'M'"),
    (lambda cell: cell.compile("L", reduction="none"), ValueError, "'sum' or 'mean'"),
    (lambda cell: cell.compile("L")(z=1), ValueError, "no input 'z'"),
    (lambda cell: cell.compile()(**data(cell), window=(1, 2)), ValueError, "compile with loss="),
    (lambda cell: cell.compile().backward(h=1), RuntimeError, "before its backward"),
    (lambda cell: cell.compile().gradients, RuntimeError, "no gradients yet"),
])
def test_what_it_refuses(call: Callable[[Cell], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(with_loss(DEFINITIONS[0]()))


def test_a_gradient_of_another_shape_is_refused_and_changes_nothing() -> None:
    cell = DEFINITIONS[0]()
    fast = cell.compile()
    fast(**data(cell))
    with pytest.raises(ValueError, match=r"gradient of y has shape \(3,\), but \(4, 5, 2\) is needed"):
        fast.backward(y=np.ones(3))
    assert all(tensor.grad is None for tensor in cell.parameters.values())


# ---- as a text
def loops_of(source: str) -> list[str]:
    """The bodies of the program's loops over time."""
    bodies, lines = [], source.splitlines()
    for number, line in enumerate(lines):
        if line.lstrip().startswith(("for t, ", "for (t, ")):
            indent = " " * (len(line) - len(line.lstrip()) + 4)
            header = next(i for i, x in enumerate(lines[number:]) if x.endswith("):"))
            rest = lines[number + header + 1:]
            bodies.append("\n".join(rest[:next(i for i, x in enumerate(rest) if not x.startswith(indent))]))
    return bodies


@pytest.mark.parametrize("make", [lstm, gates])
def test_gates_are_one_product_and_one_tanh_in_a_loop_and_nothing_else_is_multiplied_there(make: Any) -> None:
    forward, backward = loops_of(with_loss(make()).compile("L").source)
    assert forward.count(".dot(") == backward.count(".dot(") == 1
    assert forward.count("tanh(") == 2 and "tanh(" not in backward


def test_without_a_loss_the_backward_pass_begins_at_what_no_equation_reads() -> None:
    fast = DEFINITIONS[0]().compile()
    assert "def backward(" in fast.source and "dy_given" in fast.source and len(loops_of(fast.source)) == 2
    fast(**data(fast.cell))
    program = fast.source
    fast.backward(y=np.ones((4, 5, 2)))
    assert fast.source == program


def test_a_network_without_a_loop_has_none_in_its_program() -> None:
    cell = Cell("layer")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    y[t] = np.tanh(parameter("V", 2, 3) @ x[t])
    assert loops_of(with_loss(cell).compile("L").source) == []


def test_the_text_has_the_equations_and_the_definitions_names() -> None:
    source = with_loss(DEFINITIONS[0]()).compile("L").source
    assert "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)" in source
    assert "x, W, U, b, V, h_0=0.0)" in source and "for t, " in source and "dU" in source


def test_the_same_definition_has_the_same_text() -> None:
    assert with_loss(twenty()).compile("L").source == with_loss(twenty()).compile("L").source


def test_debuggers_find_the_text() -> None:
    cell = with_loss(DEFINITIONS[0]())
    fast = cell.compile("L")
    fast(**data(cell))
    assert fast._last is not None
    code = fast._last.loaded.forward.__code__
    assert linecache.getline(code.co_filename, code.co_firstlineno).startswith("def forward(")


def test_a_saved_program_runs_with_numpy_alone(tmp_path: Path) -> None:
    cell = Cell("saved")
    x, label, y, loss = cell.input("x", 3), cell.input("label", ()), cell.signal("y", 4), cell.signal("L", ())
    h = cells.lstm(cell, x, 5, name="r", rng=np.random.default_rng(0))
    y[t] = parameter("V", 4, 5) @ h[t]
    loss[t] = mg.losses.cross_entropy(y[t], label[t], reduction="none")
    fast = cell.compile("L")
    fast.save(tmp_path / "bptt.py")
    given_data = {"x": np.random.default_rng(1).normal(size=(4, 2, 3)), "label": np.arange(8).reshape(4, 2) % 4}
    fast(**given_data)
    weights: dict[str, Any] = {name.replace(".", "_"): tensor.numpy() for name, tensor in cell.parameters.items()}
    np.savez(tmp_path / "data.npz", **given_data, **weights)
    script = (
        "import inspect, sys, numpy as np\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import bptt\n"
        f"given = dict(np.load({str(tmp_path / 'data.npz')!r}))\n"
        "k = bptt.buffers(4, 2)\n"
        "given['label'] = given['label'].astype(int)\n"
        "names = lambda f: list(inspect.signature(f).parameters)[1:]\n"
        "pick = lambda f: [given.get(n, 1.0) for n in names(f) if n in given or n == 'scale']\n"
        "bptt.forward(k, *pick(bptt.forward))\n"
        "print(bptt.backward(k, *pick(bptt.backward))['dV'].sum(), 'minigrad' in sys.modules)\n")
    ran = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    number, imported = ran.stdout.split()
    assert float(number) == pytest.approx(fast.gradients["V"].sum(), rel=1e-12) and imported == "False"


class Cube(mg.Op):
    """An operation of one's own."""

    def forward(self, x: Any) -> Any:
        return x ** 3

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return grad * 3 * x * x


def own_operation() -> Cell:
    cell = Cell("own operation")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = mg.apply(Cube(), parameter("U", 3, 3) @ h[t-1] + x[t])
    return with_loss(cell)


def test_an_operation_of_ones_own_is_called_as_it_is() -> None:
    cell = own_operation()
    assert_equal(cell, {"x": 0.3 * data(cell)["x"]})


def test_an_operation_of_ones_own_can_not_be_saved_and_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Cube\(\), at test_compile.py:\d+, can't be written"):
        own_operation().compile("L").save(tmp_path / "bptt.py")
    assert not list(tmp_path.iterdir())


def test_an_index_of_an_array_can_not_be_saved_and_is_named_with_its_line(tmp_path: Path) -> None:
    cell = Cell()
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(x[t] + parameter("U", 3, 3) @ h[t-1])[np.array([2, 0, 0])]
    fast = with_loss(cell).compile("L")
    with pytest.raises(ValueError, match=r"array\(\[2, 0, 0\]\).*, at test_compile.py:\d+, can't be written"):
        fast.save(tmp_path / "bptt.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since Python 3.11")
def test_an_error_of_floating_point_has_a_note_with_the_signal_and_its_line() -> None:
    cell = Cell("growing")
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.exp(np.abs(parameter("U", 3, 3) @ x[t]))
    line = above()
    fast = with_loss(cell).compile("L")
    with np.errstate(over="raise"), pytest.raises(FloatingPointError) as error:
        fast(x=np.full((2, 3), 1e5))
    [note] = error.value.__notes__
    assert "in the program of 'growing', line " in note and f"written at {line}" in note


def test_names_are_text_and_never_code(tmp_path: Path) -> None:
    evil = '"""\nimport os; os.abort()\n'
    cell = Cell(evil)
    x = cell.input('x"); import os; os.abort() #', 3)
    h = cell.signal("import os\nos.abort()", 3)
    W = mg.Tensor(np.eye(3), requires_grad=True, name="lambda")
    h[t] = np.tanh(W @ x[t] + W @ h[t-1])
    loss = cell.signal("L", ())
    loss[t] = h[t] @ h[t]
    fast = cell.compile("L")
    fast(**{'x"); import os; os.abort() #': np.ones((2, 1, 3))})
    assert fast.gradients["lambda"].shape == (3, 3)
    text = fast.save(tmp_path / "evil.py").read_text(encoding="utf-8")
    body = text.split('"""', 2)[2]
    assert "import os" not in body and "abort()" not in body.replace("_abort_", "")


@pytest.mark.parametrize("loss", [["y", "h"], ("y",), 3])
def test_a_loss_that_is_no_name_of_a_signal_is_refused(loss: Any) -> None:
    message = r"loss= is the name of one signal, not .* \(at test_compile\.py:\d+\).*L1\[t\] \+"
    with pytest.raises(TypeError, match=message):
        lstm().compile(loss=loss)


def test_a_batch_without_sequences_is_refused() -> None:
    cell = Cell()
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = x[t] + y[t-1]
    assert cell.unroll(x=np.ones((4, 0, 3)))["y"].stack().shape[:2] == (4, 0)
    with pytest.raises(ValueError, match=r"no sequence, batch axes \(0,\) \(at test_compile.py:\d+\).*unroll"):
        cell.compile()(x=np.ones((4, 0, 3)))
