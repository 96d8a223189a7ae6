"""From a definition to a graph: values, states, boundaries, provenance, and data that don't fit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from definitions import (
    above,
    bidirectional,
    data,
    elman,
    feedback,
    feedback_2,
    lstm,
    own_output,
    parameter,
    two_delays,
    unrolled,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from random_definitions import FUNCTIONS, STEPS, Spec, Term, defined, specs

import minigrad as mg
from rnn import Cell, T, t
from rnn.unrolling.options import OPTION_NAMES

RNG = np.random.default_rng(2)
X = RNG.normal(size=(6, 2, 3))


def ancestors(tensor: mg.Tensor) -> list[mg.Tensor]:
    """All that a tensor was computed from, and itself."""
    seen = {tensor}
    stack = [tensor]
    while stack:
        fresh = set(stack.pop().inputs) - seen
        seen |= fresh
        stack.extend(fresh)
    return list(seen)


def naive_elman(x: Any, cell: Cell, h0: Any = 0.0) -> Any:
    """Elman's equations in plain NumPy: h and y, each (T, batch, size)."""
    W, U, b, V = (cell.parameters[name].data for name in "WUbV")
    h = np.zeros((*x.shape[1:-1], 4)) + h0
    hs = []
    for x_t in x:
        h = np.tanh(x_t @ W.T + h @ U.T + b)
        hs.append(h)
    return np.stack(hs), np.stack(hs) @ V.T


def counter(lead: int = 0) -> Cell:
    """n counts the steps; n[0] = 0."""
    n = Cell("counter").signal("n", ())
    n[t + lead] = n[t + lead - 1] + 1
    return n.cell


# ---- values
@pytest.mark.parametrize("batch", [(), (1,), (2,), (2, 3)])
def test_elman_equals_a_loop(batch: tuple[int, ...]) -> None:
    cell, x = elman(), RNG.normal(size=(6, *batch, 3))
    run = cell.unroll(x=x)
    h, y = naive_elman(x, cell)
    np.testing.assert_allclose(run["h"].stack().data, h, rtol=1e-12)
    np.testing.assert_allclose(run["y"].stack().data, y, rtol=1e-12)
    assert run.T == 6 and run.batch == batch and run["h"][0].shape == (*batch, 4)


def test_copies_are_counted_from_one_and_the_state_before_them_is_zero() -> None:
    run = counter().unroll(T=4)
    assert [run["n"][k].item() for k in range(5)] == [0, 1, 2, 3, 4]
    assert [n.item() for n in run["n"]] == [1, 2, 3, 4] and len(run["n"]) == 4
    stacked = run["n"].stack()
    assert all(stacked.data[k - 1] == run["n"][k].item() for k in (1, 2, 3, 4))


@pytest.mark.parametrize("k", [-1, 5])
def test_a_missing_copy_names_the_existing_ones(k: int) -> None:
    with pytest.raises(IndexError, match=rf"there is no n\[{k}\]: there are n\[0\] … n\[4\] \(T = 4; .*from 1\)"):
        counter().unroll(T=4)["n"][k]


def test_a_network_fed_by_its_own_output_reaches_one_step_further() -> None:
    cell = own_output()
    A, B, C = (p.data for p in cell.parameters.values())
    x, h = np.ones(3), np.zeros(4)
    expected = [x]
    for _ in range(5):
        h = np.tanh(A @ x + B @ h)
        x = 1 / (1 + np.exp(-C @ h))
        expected.append(x)
    run = cell.unroll(T=5)
    np.testing.assert_allclose([run["x"][k].data for k in range(1, 7)], expected)
    np.testing.assert_allclose(run["x"].stack().data, expected[:5])
    np.testing.assert_allclose(run.state.values["x"][1].data, expected[5])


def test_a_signal_defined_for_the_next_step_starts_from_zero() -> None:
    cell = Cell()
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t+1] = 2 * x[t]
    np.testing.assert_array_equal(cell.unroll(x=[1.0, 2.0, 3.0])["y"].stack().data, [0, 2, 4])


def test_a_reversed_signal_starts_from_its_end() -> None:
    cell = Cell()
    x, b = cell.input("x", ()), cell.signal("b", ())
    b[t] = 10 * b[t+1] + x[t]
    assert [n.item() for n in cell.unroll(x=[1.0, 2, 3])["b"]] == [321, 32, 3]
    b[T+1] = 7
    run = cell.unroll(x=[1.0, 2, 3])
    assert [run["b"][k].item() for k in (1, 2, 3, 4)] == [7321, 732, 73, 7]


def test_a_reversed_signal_of_the_future_sees_no_past() -> None:
    x = X.copy()
    before = bidirectional().unroll(x=x)
    x[2] += 1
    after = bidirectional().unroll(x=x)
    same = {name: [np.array_equal(before[name][k].data, after[name][k].data) for k in range(1, 7)]
            for name in ("hf", "hb", "y")}
    assert same == {"hf": [True, True, False, False, False, False], "hb": [False] * 3 + [True] * 3, "y": [False] * 6}


def test_a_delay_of_two_has_two_values_before_the_first() -> None:
    fib = Cell().signal("f", ())
    fib[t] = fib[t-1] + fib[t-2]
    fib[0], fib[-1] = 1, 0
    assert [n.item() for n in fib.cell.unroll(T=6)["f"]] == [1, 2, 3, 5, 8, 13]
    assert fib.cell.unroll(T=1)["f"][-1].item() == 0


def test_an_input_may_be_read_with_a_delay() -> None:
    cell = Cell()
    x, y = cell.input("x", ()), cell.signal("y", ())
    y[t] = x[t] - x[t-1]
    x[0] = 5
    np.testing.assert_array_equal(cell.unroll(x=[7.0, 10.0, 20.0])["y"].stack().data, [2, 3, 10])


def test_definitions_may_use_signals_that_are_defined_later() -> None:
    cell = Cell()
    a, b = cell.signal("a", ()), cell.signal("b", ())
    a[t] = 10 * b[t]
    b[t] = a[t-1] + 1
    assert [n.item() for n in cell.unroll(T=3)["a"]] == [10, 110, 1110]


def test_an_equation_may_be_a_mere_copy_or_a_constant() -> None:
    cell = Cell()
    x, y, k, n = cell.input("x", 3), cell.signal("y", 3), cell.signal("k", 3), cell.signal("n", 3)
    y[t] = x[t]
    k[t] = np.arange(3.0)
    n[t] = 0.5
    run = cell.unroll(x=X)
    assert run["y"][2] is not run["x"][2] and run["y"][2].name == "y"
    np.testing.assert_array_equal(run["y"].stack().data, X)
    np.testing.assert_array_equal(run["k"].stack().data, np.broadcast_to(np.arange(3.0), X.shape))
    np.testing.assert_array_equal(run["n"].stack().data, np.full(X.shape, 0.5))


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_a_number_at_each_step_multiplies_a_vector_whatever_the_batch(batch: tuple[int, ...]) -> None:
    cell = Cell()
    x, a, h = cell.input("x", 3), cell.input("a", ()), cell.signal("h", 3)
    h[t] = a[t] * x[t] + mg.maximum(a[t], h[t-1])
    rng = np.random.default_rng(0)
    x_data, a_data = rng.normal(size=(4, *batch, 3)), rng.normal(size=(4, *batch))
    h_now = np.zeros((*batch, 3))
    run = cell.unroll(x=x_data, a=a_data)
    for k in range(4):
        h_now = a_data[k][..., None] * x_data[k] + np.maximum(a_data[k][..., None], h_now)
        np.testing.assert_allclose(run["h"][k + 1].numpy(), h_now, rtol=1e-14)


def test_inputs_with_different_batches_broadcast() -> None:
    cell = Cell()
    x, s, y, z = cell.input("x", 3), cell.input("s", ()), cell.signal("y", 3), cell.signal("z", ())
    y[t] = x[t] * 2
    z[t] = 3 * s[t]
    run = cell.unroll(x=X, s=np.arange(6.0))
    assert run["y"][1].shape == (2, 3) and run["z"][1].shape == (2,)


def test_two_unrolls_are_equal_to_the_last_bit() -> None:
    for make in (elman, feedback_2, bidirectional, own_output, two_delays, lstm):
        (one, loss1), (two, loss2) = unrolled(make), unrolled(make)
        assert loss1.item() == loss2.item()
        for name, p in one.parameters.items():
            np.testing.assert_array_equal(p.grad, two.parameters[name].grad)


def test_the_data_are_copied() -> None:
    x = X.copy()
    run = elman().unroll(x=x)
    x[:] = 0
    np.testing.assert_array_equal(run["x"].stack().data, X)


def test_data_that_require_a_gradient_get_one() -> None:
    x = mg.Tensor(X, requires_grad=True, name="data")
    run = elman().unroll(x=x)
    run["h"][3].sum().backward()
    assert x.grad is not None and x.grad[:3].all() and not x.grad[3:].any()


# ---- initial values and states
def test_an_initial_value_broadcasts_over_the_batch_and_gets_the_summed_gradient() -> None:
    h0 = mg.Tensor([0.1, 0.2, 0.3, 0.4], requires_grad=True, name="h0")
    cell = elman()
    cell.signals["h"][0] = h0
    run = cell.unroll(x=X)
    np.testing.assert_allclose(run["h"].stack().data, naive_elman(X, cell, h0.data)[0])
    run["h"][1].sum().backward()
    assert run["h"][0].grad is not None
    np.testing.assert_allclose(h0.grad, run["h"][0].grad.sum(0))


@pytest.mark.parametrize("initial", [
    {"h": np.full(4, 0.5)}, {"h": {0: 0.5}}, {"h": mg.Tensor(np.full((2, 4), 0.5))}, {"h": [0.5] * 4}])
def test_values_given_with_the_data_replace_the_definition_s(initial: Any) -> None:
    cell = elman()
    cell.signals["h"][0] = np.ones(4)
    run = cell.unroll(x=X, initial=initial)
    np.testing.assert_allclose(run["h"].stack().data, naive_elman(X, cell, 0.5)[0])
    np.testing.assert_allclose(cell.unroll(x=X)["h"].stack().data, naive_elman(X, cell, 1.0)[0])


def test_an_initial_value_can_bring_the_batch() -> None:
    run = counter().unroll(T=2, initial={"n": np.array([0.0, 10.0, 20.0])})
    assert run.batch == (3,)
    np.testing.assert_array_equal(run["n"][2].data, [2, 12, 22])


def test_an_output_that_is_fed_back_can_be_given_its_first_value() -> None:
    run = own_output().unroll(T=2, initial={"x": {1: np.full(3, 0.25)}})
    np.testing.assert_array_equal(run["x"][1].data, np.full(3, 0.25))


def test_the_end_of_a_reversed_state_can_be_given_with_the_data() -> None:
    cell, end = bidirectional(), np.full(4, 0.25)
    run = cell.unroll(x=X, initial={"hb": {7: end}})
    cell.signals["hb"][T+1] = end
    np.testing.assert_array_equal(run["hb"].stack().data, cell.unroll(x=X)["hb"].stack().data)


def test_an_initial_value_that_no_equation_reads_is_kept() -> None:
    run = own_output().unroll(T=2, initial={"x": np.full(3, 0.25)})  # its first value is x[1], not x[0]
    np.testing.assert_array_equal(run["x"][1].data, np.full(3, 0.25))


@pytest.mark.parametrize("make", [elman, feedback, feedback_2, two_delays, lstm])
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_run_continues_from_the_state_of_another(make: Callable[[], Cell], cut: int) -> None:
    def total(run: Any) -> Any:
        return (run["y"].stack() ** 2).sum()

    x = data(make(), T=6)["x"]
    cell = make()
    first = cell.unroll(x=x[:cut])
    second = cell.unroll(x=x[cut:], initial=first.state)
    whole_cell = make()
    whole = whole_cell.unroll(x=x)
    for name in cell.signals:
        joined = np.concatenate([first[name].stack().data, second[name].stack().data])
        np.testing.assert_allclose(joined, whole[name].stack().data, rtol=1e-12)
    (total(first) + total(second)).backward()
    total(whole).backward()
    for name, p in cell.parameters.items():
        np.testing.assert_allclose(p.grad, whole_cell.parameters[name].grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [elman, feedback_2, two_delays])
def test_detaching_the_state_cuts_every_path_to_the_run_before(make: Callable[[], Cell]) -> None:
    cell = make()
    x = data(cell, T=6)["x"]
    first = cell.unroll(x=x[:3])
    connected = cell.unroll(x=x[3:], initial=first.state)["y"].stack()
    cut = cell.unroll(x=x[3:], initial=first.state.detach())["y"].stack()
    np.testing.assert_array_equal(connected.data, cut.data)
    copies = {first[name][k] for name in ("h", "h1", "h2", "h3", "y") if name in first for k in (1, 2, 3)}
    assert copies & set(ancestors(connected)) and not copies & set(ancestors(cut))
    cut.sum().backward()
    assert all(copy.grad is None for copy in copies)


def test_a_state_holds_as_many_values_as_the_longest_delay_needs() -> None:
    state = feedback_2().unroll(x=X).state
    assert {name: sorted(steps) for name, steps in state.values.items()} == {"h1": [0], "h2": [0], "h3": [-1, 0]}
    assert repr(elman().unroll(x=X).state) == "<State h[0] (2, 4)>"


def test_the_state_of_another_run_can_be_used_in_a_definition() -> None:
    first = elman().unroll(x=X)
    cell = elman()
    cell.signals["h"][0] = first["h"][6]
    run = cell.unroll(x=X)
    np.testing.assert_array_equal(run["h"][0].data, first["h"][6].data)
    run["h"][6].sum().backward()
    assert first["h"][1].grad is not None


def test_a_boundary_value_that_an_equation_computes_is_refused_with_both_lines() -> None:
    cell = counter()
    cell.signals["n"][2] = 5
    line = above()
    with pytest.raises(ValueError, match=rf"n\[2\] is set at {line}, but its value comes from test_unroll.py:\d+"):
        cell.unroll(T=3)


def test_a_boundary_value_that_the_data_bring_is_refused() -> None:
    cell = elman()
    cell.signals["x"][1] = np.zeros(3)
    with pytest.raises(ValueError, match=r"x\[1\] is set at test_unroll.py:\d+, but its value comes from the data"):
        cell.unroll(x=X)


# ---- the graph
def test_the_edges_are_those_of_the_textbook_exercise() -> None:
    edges = elman().unroll(x=X[:2]).edges()
    assert [f"{source} -> {target}" for source, target in edges] == [
        "x[1] -> h[1]", "h[0] -> h[1]", "h[1] -> y[1]", "x[2] -> h[2]", "h[1] -> h[2]", "h[2] -> y[2]"]
    assert ("h3", -1) in [edge.source for edge in feedback(2).unroll(x=X).edges()]
    assert (("h", 2), ("x", 3)) in own_output().unroll(T=3).edges()
    assert (("hb", 7), ("hb", 6)) in bidirectional().unroll(x=X).edges()


@pytest.mark.parametrize("make", [elman, feedback_2, bidirectional, own_output, two_delays, lstm])
def test_the_graph_has_exactly_the_edges_that_it_lists(make: Callable[[], Cell]) -> None:
    cell = make()
    run = cell.unroll(**data(cell))
    copies = {run[name][k]: (name, k) for name in cell.signals for k in run[name].tensors}
    found = set()
    for copy, target in copies.items():
        stack = list(copy.inputs)
        while stack:
            node = stack.pop()
            if node in copies:
                found.add((copies[node], target))
            else:
                stack.extend(node.inputs)
    listed = {(tuple(source), tuple(target)) for source, target in run.edges()}
    assert found == {edge for edge in listed if run[edge[1][0]][edge[1][1]].requires_grad}


@pytest.mark.parametrize("make", [elman, feedback_2, bidirectional, own_output, two_delays, lstm])
def test_every_tensor_of_a_run_knows_its_signal_step_and_line(make: Callable[[], Cell]) -> None:
    cell = make()
    run = cell.unroll(**data(cell))
    copies = {run[name][k]: (name, k) for name in cell.signals for k in run[name].tensors}
    lines = {e.signal.name: (e.origin.file, e.origin.line) for e in cell.equations}
    for copy, (name, k) in copies.items():
        assert (copy.name, copy.signal, copy.t) == (name, name, k)
        equation = cell.signals[name].equation
        if equation is None or not 1 <= k - equation.lead <= run.T:
            continue  # given from outside
        stack = [copy]
        while stack:  # all that this copy of the equation computed
            node = stack.pop()
            assert (node.signal, node.t) == (name, k)
            assert (node.origin.file, node.origin.line) == lines[name]
            stack += [x for x in node.inputs if x not in copies and x.op is not None]


def test_a_constant_repeated_for_the_batch_has_its_equation_s_line() -> None:
    W, b, cell = parameter("W", 3, 3), parameter("b", 1), Cell()
    x, y, z = cell.input("x", 3), cell.signal("y", 4), cell.signal("z", 3)
    z[t] = W.T @ x[t]
    y[t] = np.concatenate([x[t], b], axis=-1)
    line = above()
    repeated = next(node for node in ancestors(cell.unroll(x=X)["y"][1]) if node.shape == (2, 1))
    assert str(repeated.origin) == line


def test_a_copy_names_itself_and_its_line() -> None:
    text = repr(elman().unroll(x=X)["h"][3])
    assert text.startswith("<h[3] tanh (2, 4)  definitions.py:")


def test_parameters_exist_once() -> None:
    run, loss = unrolled(elman, T=6)
    leaves = [node for node in ancestors(loss) if node.op is None and node.requires_grad]
    assert {id(leaf) for leaf in leaves} == {id(p) for p in run.parameters.values()}


def test_what_depends_on_parameters_alone_is_computed_once_an_unroll() -> None:
    W, cell = parameter("W", 3, 4), Cell()
    x, y = cell.input("x", 3), cell.signal("y", 4)
    y[t] = np.exp(W).T @ x[t]
    nodes = ancestors(cell.unroll(x=X)["y"].stack())
    assert [type(node.op).__name__ for node in nodes].count("Exp") == 1
    assert [type(node.op).__name__ for node in nodes].count("Transpose") == 1


def test_an_expression_that_several_equations_share_is_computed_once_a_step() -> None:
    W, cell = parameter("W", 3, 3), Cell()
    x, a, b = cell.input("x", 3), cell.signal("a", 3), cell.signal("b", 3)
    gate = mg.sigmoid(W @ x[t] + b[t-1])
    a[t] = gate * 2 + gate
    b[t] = gate * a[t]
    nodes = ancestors(cell.unroll(x=X)["b"].stack())
    assert [type(node.op).__name__ for node in nodes].count("Sigmoid") == len(X)


def test_without_gradients_nothing_is_recorded() -> None:
    with mg.no_grad():
        run = elman().unroll(x=X)
    assert run["h"][6].op is None and not run["h"][6].requires_grad


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_long_sequence_needs_no_recursion(direction: int) -> None:
    w = mg.Tensor(1.0, requires_grad=True, name="w")
    n = Cell().signal("n", ())
    n[t] = w * n[t + direction] + 1
    run = n.cell.unroll(T=20_000)
    last = run["n"][20_000 if direction < 0 else 1]
    last.backward()
    assert last.item() == 20_000 and w.grad == 20_000 * 19_999 / 2


# ---- types
def test_states_and_gradients_take_the_type_of_the_data() -> None:
    run = elman(np.float32).unroll(x=X.astype(np.float32))
    loss = run["y"].stack().mean()
    loss.backward()
    assert {run[name][k].dtype for name in "xhy" for k in run[name].tensors} == {np.dtype(np.float32)}
    assert {node.grad.dtype for node in ancestors(loss) if node.grad is not None} == {np.dtype(np.float32)}


def float32_states(value: Any, by_definition: bool) -> bool:
    U = mg.Tensor(np.eye(4), requires_grad=True, name="U", dtype=np.float32)
    cell = Cell()
    x, h = cell.input("x", 4), cell.signal("h", 4)
    h[t] = U @ h[t-1] + x[t]
    if by_definition:
        h[0] = value
    run = cell.unroll(x=np.ones((3, 4), np.float32), initial=None if by_definition else {"h": value})
    return all(run["h"][k].dtype == np.float32 for k in range(4))


def test_a_run_s_state_keeps_its_type() -> None:
    assert float32_states(np.full(4, 0.5, np.float32), by_definition=True)
    assert float32_states(mg.Tensor(np.full(4, 0.5, np.float32)), by_definition=False)


@pytest.mark.parametrize("value", [0.5, np.full(4, 0.5), [0.5] * 4])
@pytest.mark.parametrize("by_definition", [True, False])
def test_an_initial_value_takes_the_type_of_the_data(value: Any, by_definition: bool) -> None:
    assert float32_states(value, by_definition)


def test_an_array_given_with_the_data_keeps_its_type() -> None:
    assert float32_states(np.full(4, 0.5, np.float32), by_definition=False)


def test_integers_as_data_leave_the_states_in_the_parameters_type() -> None:
    assert elman().unroll(x=np.ones((3, 3), int))["h"][0].dtype == np.float64


# ---- data that don't fit
def unrolling(cell: Cell, **inputs: Any) -> tuple[str, str]:
    """The message of the error, and the line that unrolled."""
    with pytest.raises((ValueError, TypeError)) as error:
        cell.unroll(**inputs)
    return str(error.value), above(1)


def two_inputs() -> Cell:
    cell = Cell("two")
    x, z, y = cell.input("x", 3), cell.input("z", 3), cell.signal("y", 3)
    y[t] = x[t] + z[t]
    return cell


def test_inputs_of_unequal_length_are_named_with_their_lengths() -> None:
    message, line = unrolling(two_inputs(), x=np.ones((4, 3)), z=np.ones((5, 3)))
    assert message == (f"inputs of unequal length (at {line}): x 4, z 5. "
                       "The first axis is time; cut or pad them to one length")


def test_a_length_beside_the_data_must_agree_with_them() -> None:
    assert "T 3, x 6" in unrolling(elman(), x=X, T=3)[0]
    assert elman().unroll(x=X, T=6).T == 6


def test_missing_data_name_the_input_its_line_and_the_call() -> None:
    message, line = unrolling(two_inputs(), x=np.ones((4, 3)))
    assert message.startswith("no data for the input 'z', declared at test_unroll.py:")
    assert message.endswith(f"pass x=..., z=... (at {line})")


def test_unknown_data_name_similar_inputs() -> None:
    cell = Cell("net")
    words, y = cell.input("words", 3), cell.signal("y", 3)
    y[t] = words[t]
    message, line = unrolling(cell, word=X)
    assert message == f"'net' has no input 'word': did you mean 'words'? (at {line})"
    assert "its inputs are x, z" in unrolling(two_inputs(), quite_different=X)[0]
    assert "it has none" in unrolling(counter(), x=X)[0]


@pytest.mark.parametrize("shape", [(6, 4), (6,), (6, 3, 4)])
def test_data_of_a_wrong_size_name_the_required_size(shape: tuple[int, ...]) -> None:
    message, line = unrolling(elman(), x=np.ones(shape))
    assert f"the data for 'x' have shape {shape} (at {line}), but (T, 3) or (T, batch, 3) is needed" in message
    assert "x was declared at definitions.py:" in message and message.endswith("with size 3")


def test_batches_that_do_not_fit_are_named() -> None:
    message, line = unrolling(two_inputs(), x=np.ones((4, 2, 3)), z=np.ones((4, 5, 3)))
    assert message == f"the batches don't fit together (at {line}): x (2,), z (5,). Data are (T, batch, size)"


@pytest.mark.parametrize("value, words", [
    ([[1, 2, 3], [4, 5]], "the data for 'x' are not an array"), ("abc", "the data for 'x' are <U3, not real numbers"),
    (np.ones((2, 3)) * 1j, "complex128, not real numbers"), (3.0, "their first axis must be time"),
    (np.ones((0, 3)), "'x' has length 0"), (None, "object, not real numbers")])
def test_data_that_are_no_sequence_of_numbers_are_refused_by_name(value: Any, words: str) -> None:
    message, line = unrolling(elman(), x=value)
    assert words in message and f"(at {line})" in message


def test_the_number_of_steps_is_needed_where_no_input_tells_it() -> None:
    message, line = unrolling(counter())
    assert message == f"no input tells the number of steps: pass T=... (at {line})"


@pytest.mark.parametrize("steps", [0, -3, 2.5, "3", True])
def test_the_number_of_steps_is_a_whole_number_above_zero(steps: Any) -> None:
    message, line = unrolling(counter(), T=steps)
    assert message == f"T is a number of steps, 1 or more, not {steps!r} (at {line})"


def test_a_read_before_the_data_names_the_line_and_the_cure() -> None:
    cell = Cell()
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = x[t] + x[t-2]
    line = above()
    assert unrolling(cell, x=X)[0] == (f"x[-1] is read at {line}, before the first value that is given. "
                                       "Set it: x[-1] = ..., e.g. 0")


def test_a_read_after_the_data_names_the_line_and_the_cure() -> None:
    cell = Cell()
    x, y = cell.input("x", 3), cell.signal("y", 3)
    y[t] = x[t+1]
    line = above()
    assert unrolling(cell, x=X)[0] == (f"x[T+1] is read at {line}, after the last value that is given. "
                                       "Set it: x[T+1] = ..., e.g. 0")


def test_half_of_a_history_is_not_completed_in_silence() -> None:
    a = Cell().signal("a", ())
    a[t] = a[t-2] + 1
    line = above()
    a[0] = 1
    assert unrolling(a.cell, T=3)[0].startswith(f"a[-1] is read at {line}, before the first value that is given. ")


def test_an_initial_value_is_not_guessed_without_a_size() -> None:
    cell = Cell()
    x, h = cell.input("x"), cell.signal("h")
    declared = above()
    h[t] = x[t] + h[t-1]
    assert unrolling(cell, x=X)[0] == ("the shape of h[0] isn't known, since h has no size: declare it with one, "
                                       f".signal('h', size) at {declared}")


def test_an_initial_value_for_an_unknown_signal_names_the_signals() -> None:
    message, line = unrolling(elman(), x=X, initial={"c": 0})
    assert message == f"initial sets 'c', but 'elman' has no such signal (at {line}): it has x, h, y"


@pytest.mark.parametrize("initial", [0.5, [1, 2], "h"])
def test_initial_values_come_by_name(initial: Any) -> None:
    message, line = unrolling(elman(), x=X, initial=initial)
    assert "initial is a run's state or a dict from signal names to values" in message and f"(at {line})" in message


def test_an_initial_value_of_another_batch_is_named() -> None:
    message, line = unrolling(elman(), x=X, initial={"h": np.ones((5, 4))})
    assert message == f"the batches don't fit together (at {line}): x (2,), h[0] (5,). Data are (T, batch, size)"


@pytest.mark.parametrize("value", [np.ones(3), "zero", {"a": 1.0}])
def test_an_initial_value_that_does_not_fit_names_its_signal_and_line(value: Any) -> None:
    message, line = unrolling(elman(), x=X, initial={"h": value})
    assert re.search(r"\bh\b", message) and line in message


def test_sizes_found_only_with_the_data_name_the_equation() -> None:
    cell, W = Cell(), parameter("W", 4, 3)
    x, y = cell.input("x"), cell.signal("y", 4)
    y[t] = W @ x[t]
    line = above()
    message, call = unrolling(cell, x=np.ones((6, 2, 5)))
    assert "shape (4, 3) can't multiply vectors of shape (5,)" in message and f"MatMul() at {line}" in message
    assert re.search(rf"x\[t\]  \(5,\)    made at {line}\n.*they are x \(5,\) \(at {call}\)", message)


def test_a_failed_unroll_leaves_the_definition_as_it_was() -> None:
    cell = elman()
    unrolling(cell, x=np.ones((6, 4)))
    with pytest.raises(ValueError):
        cell.unroll(x=X, initial={"h": np.ones((7, 7, 4))})
    tensor = mg.Tensor([1.0])
    assert tensor.t is None and tensor.origin.line  # its line is its own, not an equation's
    np.testing.assert_allclose(cell.unroll(x=X)["h"].stack().data, naive_elman(X, cell)[0])


def test_nan_in_the_data_runs_and_stays_where_it_belongs() -> None:
    x = X.copy()
    x[3, 1, 0] = np.nan
    h = elman().unroll(x=x)["h"].stack().data
    assert np.isfinite(h[:3]).all() and np.isfinite(h[:, 0]).all() and np.isnan(h[3:, 1]).all()


# ---- every definition that can be computed


def naive_value(spec: Spec, x: Any) -> Any:
    """The sum of squares of all signals' values, by asking for each value and remembering it."""
    known: dict[tuple[int, int], Any] = {}

    def value(signal: int, k: int) -> Any:
        step = k - spec.leads[signal]
        if not 1 <= step <= STEPS:
            outside = spec.initial[signal] if (step < 1) == (spec.sign > 0) else None
            return np.zeros((3, 2)) if outside is None else np.broadcast_to(outside, (3, 2))
        if (signal, k) not in known:
            total = x[step - 1]
            for source, delay, weight in spec.terms[signal]:
                total = total + value(source, k - delay) @ weight.T
            known[signal, k] = FUNCTIONS[spec.functions[signal]][1](total)
        return known[signal, k]

    return sum((value(signal, k + spec.leads[signal]) ** 2).sum()
               for signal in range(len(spec.leads)) for k in range(1, STEPS + 1))


def unrolled_value(spec: Spec, x: Any) -> tuple[mg.Tensor, list[list[mg.Tensor]]]:
    """The same through a definition, and the weights of its terms."""
    cell, weights = defined(spec)
    run = cell.unroll(x=x)
    squares = [run[f"s{i}"][k + lead] ** 2 for i, lead in enumerate(spec.leads) for k in range(1, STEPS + 1)]
    return mg.stack(squares).sum(), weights


@given(specs())
@settings(max_examples=150, deadline=None)
def test_every_computable_definition_gives_the_values_of_a_plain_recursion(spec: Spec) -> None:
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
    np.testing.assert_allclose(unrolled_value(spec, x)[0].item(), naive_value(spec, x), rtol=1e-11)


@given(specs(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_every_computable_definition_has_the_slope_of_a_plain_recursion(spec: Spec, random: Any) -> None:
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
    value, weights = unrolled_value(spec, x)
    places = [(i, n) for i, terms in enumerate(spec.terms) for n in range(len(terms))]
    if not places:
        return
    value.backward()
    i, n = random.choice(places)
    direction, eps = np.array([[1.0, -0.5], [0.25, 2.0]]), 1e-6
    ends = []
    for sign in (1, -1):
        terms = [list(row) for row in spec.terms]
        terms[i][n] = terms[i][n]._replace(weight=terms[i][n].weight + sign * eps * direction)
        ends.append(naive_value(spec._replace(terms=terms), x))
    grad = weights[i][n].grad
    slope = 0.0 if grad is None else float((grad * direction).sum())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * eps), rel=1e-5, abs=1e-6 + 1e-8 * value.item())


@given(specs(), st.sampled_from([(1, 1), (1, 2), (2, 3)]), st.sampled_from([{}, {"lengths": [4, 1, 3]}]))
@settings(max_examples=60, deadline=None)
def test_windows_change_no_value(spec: Spec, window: tuple[int, int], options: dict[str, Any]) -> None:
    cell, _ = defined(spec if spec.sign > 0 else Spec([1, 0], ["linear"] * 2, [
        [Term(1, 1, np.eye(2))], []], [None, None], 1))
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 2))
    whole, parts = cell.unroll(x=x, **options), cell.unroll(x=x, window=window, **options)
    for name in cell.signals:
        np.testing.assert_array_equal(parts[name].stack().numpy(), whole[name].stack().numpy(), err_msg=name)


@given(specs(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_mask_with_holes_has_the_values_of_the_compiled_program(spec: Spec, seed: int) -> None:
    cell, _ = defined(spec)
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(STEPS, 3, 2)), rng.random((STEPS, 3)) < 0.6
    run, outputs = cell.unroll(x=x, mask=mask), cell.compile()(x=x, mask=mask)
    for name in cell.signals:
        if not cell.signals[name].given:
            np.testing.assert_allclose(run[name].stack().numpy(), outputs[name], atol=1e-12, err_msg=name)


# ---- options
def test_help_lists_the_options_of_every_method_that_takes_them() -> None:
    expected = ["T", "initial", "lengths", "mask", "chunks", "window", "last", "inputs"]
    for method in (Cell.unroll, type(elman().compile()).__call__):
        signature = inspect.signature(method)
        assert list(signature.parameters)[1:] == expected
        assert signature.parameters["lengths"].kind is inspect.Parameter.KEYWORD_ONLY
        assert signature.parameters["inputs"].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("name", [*OPTION_NAMES, "inputs", "self"])
def test_an_input_named_like_an_option_is_given_in_inputs(name: str) -> None:
    cell, plain = Cell("c"), Cell("plain")
    for definition, label in ((cell, name), (plain, "x")):
        x, u, h = definition.input(label, 3), definition.input("u", 3), definition.signal("h", 3)
        h[t] = np.tanh(x[t] + 0.5 * h[t-1]) * u[t]
    u = np.ones_like(X)
    expected = plain.unroll(x=X, u=u, lengths=[6, 4])["h"].stack().data
    for options in ({"inputs": {name: X}, "u": u}, {"inputs": {name: X, "u": u}}):
        run = cell.unroll(lengths=[6, 4], **options)
        np.testing.assert_array_equal(run["h"].stack().data, expected)
    np.testing.assert_allclose(cell.compile()(inputs={name: X, "u": u}, lengths=[6, 4])["h"], expected, rtol=1e-12)
    with pytest.raises(ValueError, match=f"no data for the input '{name}'.*pass "):
        cell.unroll(u=u)


def test_inputs_that_nothing_names_once_are_refused() -> None:
    with pytest.raises(TypeError, match=r"the input 'x' is given twice, in inputs= and by its name \(at test_unroll"):
        elman().unroll(x=X, inputs={"x": X})
    with pytest.raises(ValueError, match="'elman' has no input 'q'"):
        elman().unroll(inputs={"x": X, "q": X})
    cell = Cell()
    h, T_ = cell.signal("h", 3), cell.input("T", 3)
    h[t] = T_[t]
    with pytest.raises(ValueError, match=r"unequal length .*the option T 4, T 6"):
        cell.unroll(T=4, inputs={"T": X})
    with pytest.raises(ValueError, match=r"pass inputs=\{'T': \.\.\.\}"):
        cell.unroll(T=4)


def test_a_packed_sequence_is_to_be_padded() -> None:
    packed = type("PackedSequence", (), {})()
    for call in (elman().unroll, elman().compile()):
        with pytest.raises(TypeError, match=r"'x' are a PackedSequence \(at test_unroll\.py:\d+\): pad it, .*lengths="):
            call(x=packed)


def test_a_misspelt_option_is_corrected() -> None:
    with pytest.raises(ValueError, match=r"'elman' has no input 'length': did you mean 'lengths'\?"):
        elman().unroll(x=X, length=[6, 5])


def test_options_that_are_none_are_not_given() -> None:
    cell = elman()
    given = cell.unroll(x=X, T=None, lengths=None, window=None)
    np.testing.assert_array_equal(given["y"].stack().numpy(), cell.unroll(x=X)["y"].stack().numpy())


@pytest.mark.parametrize("execute", [lambda cell: cell.unroll(x=X), lambda cell: cell.compile()(x=X)])
def test_later_tensors_have_the_lines_that_make_them(execute: Callable[[Cell], Any]) -> None:
    cell, U = Cell(), parameter("U", 6, 3)
    x, h = cell.input("x", 3), cell.signal("h", 3)
    h[t] = np.tanh(x[t] + U[:3].T @ h[t-1])
    execute(cell)
    assert str(mg.Tensor(1.0).origin) == above(0)


# ---- the batch of values before and after the sequence
@pytest.mark.parametrize("lead", [-1, 1])
@pytest.mark.parametrize("by_definition", [False, True])
@pytest.mark.parametrize(("data", "state"), [
    ((3,), (1,)), ((3,), (2,)), ((1,), (3,)), ((2, 3), (3,)), ((2, 3), (1, 3))])
def test_a_value_with_a_batch_has_exactly_the_batch_of_the_data(lead: int, by_definition: bool, data: tuple[int, ...],
                                                                state: tuple[int, ...]) -> None:
    def call(shape: tuple[int, ...], execute: Callable[[Cell], Any]) -> Any:
        cell = Cell("c")
        x, h = cell.input("x", 4), cell.signal("h", 4)
        h[t] = x[t] + h[t + lead]
        value, step = np.ones((*shape, 4)), 0 if lead < 0 else 6
        if by_definition:
            h[0 if lead < 0 else T + 1] = value
        return execute(cell)(x=np.ones((5, *data, 4)), **({} if by_definition else {"initial": {"h": {step: value}}}))

    for execute in (lambda cell: cell.unroll, lambda cell: cell.compile()):
        with pytest.raises(ValueError, match=r"the batches don't fit together \(at test_unroll\.py:\d+\): x .*h\["):
            call(state, execute)
    shared, own = call((), lambda cell: cell.unroll), call(data, lambda cell: cell.unroll)
    np.testing.assert_array_equal(shared["h"].stack().data, own["h"].stack().data)


def test_the_state_of_another_batch_is_not_carried_on() -> None:
    cell, x = elman(), np.ones((6, 4, 3))
    for call in (cell.unroll, cell.compile()):
        for state in (cell.unroll(x=x[:, :1]).state, cell.compile()(x=x[:, :1]).state):
            with pytest.raises(ValueError, match=r"h\[0\] has the batch of the data, \(4,\), or no batch axis"):
                call(x=x, initial=state)
    one = cell.unroll(x=np.ones((6, 3))).state
    assert cell.unroll(x=np.ones((6, 4, 3)), initial=one)["h"][0].shape == (4, 4)


def test_values_of_several_batches_are_not_broadcast_to_one_where_the_data_have_none() -> None:
    cell = Cell()
    x, a, b = cell.input("x", 2), cell.signal("a", 2), cell.signal("b", 2)
    a[t], b[t] = x[t] + a[t-1], a[t] + b[t-1]
    with pytest.raises(ValueError, match=r"b\[0\] has the batch of the data, \(3,\), or no batch axis"):
        cell.unroll(x=np.ones((4, 2)), initial={"a": np.ones((3, 2)), "b": np.ones((1, 2))})


def test_an_initial_value_that_nothing_reads_names_the_steps_that_are_read() -> None:
    cell = Cell()
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = x[t] + h[t+1]
    with pytest.raises(ValueError, match=r"initial sets h\[0\].*: it reads h\[6\], so give \{'h': \{6: value\}\}"):
        cell.unroll(x=np.ones((5, 2)), initial={"h": np.ones(2)})
