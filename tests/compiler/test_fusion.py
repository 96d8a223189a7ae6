"""Fusion of operations: what differs is not joined, and what is joined has the numbers of a loop by hand."""

from __future__ import annotations

import ast
import keyword
import re
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from definitions import elman, parameter

import minigrad as mg
from rnn import Cell, t
from rnn.compiler.codegen import _loop_head
from rnn.compiler.emit import identifier
from rnn.ir import nodes as ir
from rnn.ir.fusion import common_name, concatenate


def leaky(x: Any, slope: float) -> Any:
    return np.where(x > 0, x, slope * x)


def unlike_neighbours() -> tuple[Cell, list[Any]]:
    """Five products with one vector, followed by operations of which no two are the same."""
    cell = Cell("unlike")
    h, loss = cell.signal("h", 3), cell.signal("L", ())
    matrices = [parameter(f"U{i}", 3, 3) for i in range(5)]
    a, b, c, d, e = (U @ h[t-1] for U in matrices)
    h[t] = mg.leaky_relu(a, 0.1) + mg.leaky_relu(b, 0.3) * np.tanh(c) + np.clip(d, -0.1, 0.2) - np.clip(e, -0.3, 0.1)
    h[0] = np.array([0.5, -0.8, 0.3])
    loss[t] = (h[t] * h[t]).sum(axis=-1)
    return cell, matrices


def loop_by_hand(matrices: list[Any], steps: int) -> float:
    h, total = np.array([0.5, -0.8, 0.3]), 0.0
    for _ in range(steps):
        a, b, c, d, e = (U @ h for U in matrices)
        h = leaky(a, 0.1) + leaky(b, 0.3) * np.tanh(c) + np.clip(d, -0.1, 0.2) - np.clip(e, -0.3, 0.1)
        total += h @ h
    return total


def test_neighbouring_operations_with_other_options_are_not_joined() -> None:
    cell, matrices = unlike_neighbours()
    arrays = [U.numpy() for U in matrices]
    found = cell.compile("L")(T=4).loss
    np.testing.assert_allclose(found, loop_by_hand(arrays, 4), rtol=1e-12)
    for k, U in enumerate(matrices):
        for i, j in np.ndindex(3, 3):
            moved = np.zeros((3, 3))
            moved[i, j] = 1e-6
            more, less = ([*arrays[:k], arrays[k] + s * moved, *arrays[k + 1:]] for s in (1, -1))
            numeric = (loop_by_hand(more, 4) - loop_by_hand(less, 4)) / 2e-6
            np.testing.assert_allclose(U.grad[i, j], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("alike", [True, False])
def test_matrices_are_joined_whole_where_they_multiply_the_same_vectors_in_the_same_order(alike: bool) -> None:
    cell = Cell("gated")
    x, h, loss = cell.input("x", 3), cell.signal("h", 3), cell.signal("L", ())
    W, V = parameter("W", 3, 6), parameter("V", 3, 6)
    parts = [h[t-1], x[t]]
    h[t] = np.tanh(W @ np.concatenate(parts)) * mg.sigmoid(V @ np.concatenate(parts if alike else parts[::-1]))
    loss[t] = (h[t] * h[t]).sum(axis=-1)
    rows = np.random.default_rng(0).normal(size=(4, 3))

    def by_hand(W: Any, V: Any) -> float:
        state, total = np.zeros(3), 0.0
        for row in rows:
            joined = [state, row]
            other = joined if alike else joined[::-1]
            state = np.tanh(W @ np.concatenate(joined)) / (1 + np.exp(-V @ np.concatenate(other)))
            total += state @ state
        return total

    fast = cell.compile("L")
    arrays = [W.numpy(), V.numpy()]
    np.testing.assert_allclose(fast(x=rows).loss, by_hand(*arrays), rtol=1e-12)
    for k, matrix in enumerate([W, V]):
        for place in np.ndindex(3, 6):
            moved = np.zeros((2, 3, 6))
            moved[k][place] = 1e-6
            numeric = (by_hand(*(arrays + moved)) - by_hand(*(arrays - moved))) / 2e-6
            np.testing.assert_allclose(matrix.grad[place], numeric, rtol=1e-6, atol=1e-9)
    assert ("concatenate((V, W))" in fast.source or "concatenate((W, V))" in fast.source) == alike
    assert fast.source.count(" = empty(") == (1 if alike else 2)


@pytest.mark.parametrize(("names", "common"), [
    (["gates_f", "gates_i", "gates_o"], "gates_fio"), (["da_gate", "db_gate"], "dab_gate"), (["p", "q"], "pq"),
    (["f_tanh", "i_tanh"], "fi"), (["state_long", "state_other"], "state_long_other"), (["a", "a"], "a"),
    (["first_of_many_names", "second_of_many_names"], "first_second_of_many_names"),
    (["a_rather_long_one", "another_long_two", "third_name"], "a_rather_long_one_to_third_name"),
    (["p_a", "p_bc"], "p_a_bc"), (["s_abcdefgh", "s_ijklmno"], "s_abcdefgh_ijklmno"),  # 16 letters after the prefix
    (["s_abcdefgh", "s_ijklmnop"], "s_abcdefgh_to_ijklmnop")])
def test_nodes_that_were_joined_have_a_name_that_a_reader_can_take_apart(names: list[str], common: str) -> None:
    nodes: Any = [SimpleNamespace(name=name) for name in names]
    assert common_name(nodes) == common
    assert common_name(nodes, "product") == f"{common}_product"


def test_only_slices_that_follow_each_other_are_taken_as_one() -> None:
    whole = ir.Node(mg.ops.Tanh(), (), (6,), True, "whole")
    a, b, c = (ir.Node(ir.Slice(start, start + 2), (whole,), (2,), True, f"part{start}") for start in (0, 2, 4))
    assert concatenate([a, b, c], "x") is whole
    for parts in ([a, b], [b, c]):
        joined = concatenate(parts, "x")
        assert (joined.op.start, joined.op.stop, joined.inputs) == (parts[0].op.start, parts[1].op.stop, (whole,))
    for parts in [[a, c], [b, a], [c, b], [a, a], *map(list, list(permutations([a, b, c]))[1:])]:
        joined = concatenate(parts, "x")
        assert isinstance(joined.op, ir.Concat) and joined.inputs == tuple(parts)


@pytest.mark.parametrize("text", ["x", "1", "1st", "9 lives", "", "+", "é", "class", "x-y", "_x_", "for", "a b c"])
def test_any_text_makes_a_name_that_python_accepts(text: str) -> None:
    name = identifier(text)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


@pytest.mark.parametrize("length", [*range(106, 114), 300])
def test_the_head_of_a_loop_takes_one_line_if_it_fits_into_110_characters(length: int) -> None:
    names, values = [], []
    while len(whole := f"for {', '.join(names)} in zip({', '.join(values)}):") < length - 20:
        names, values = [*names, f"n{len(names)}"], [*values, f"rows[{len(names)}:]"]
    names[-1] += "_" * (length - len(whole))
    whole = f"for {', '.join(names)} in zip({', '.join(values)}):"
    lines = _loop_head(names, values)
    assert (len(lines) == 1) == (len(whole) <= 110) and all(len(line) <= 110 for line in lines), lines
    assert ast.dump(ast.parse("\n".join(lines) + " pass")) == ast.dump(ast.parse(whole + " pass"))


@pytest.mark.parametrize("size", range(1, 5))
def test_the_mean_of_a_vector_gives_each_element_an_equal_part_of_the_gradient(size: int) -> None:
    cell = Cell()
    x, loss = cell.input("x", size), cell.signal("L", ())
    w = mg.Tensor(np.arange(1.0, size + 1), requires_grad=True, name="w")
    loss[t] = (w * x[t]).mean(axis=-1)
    rows = np.arange(3.0 * size).reshape(3, size)
    found = cell.compile("L")(x=rows).loss
    np.testing.assert_allclose(found, (rows * np.arange(1, size + 1)).sum() / size, rtol=1e-14)
    np.testing.assert_allclose(w.grad, rows.sum(axis=0) / size, rtol=1e-14)


def test_a_gradient_that_is_no_block_of_another_one_is_returned_as_it_was_computed() -> None:
    cell = elman()
    loss, y = cell.signal("L", ()), cell.signals["y"]
    loss[t] = (y[t] * y[t]).sum(axis=-1)
    source = cell.compile("L").source
    assert all(f'"d{name}": d{name},' in source for name in cell.parameters)
    assert not re.search(r"^ *d\w+ = d\w+\[", source, re.MULTILINE)


@pytest.mark.parametrize("joined", [np.multiply, np.subtract, np.divide, np.maximum])
def test_products_are_joined_only_where_they_are_added(joined: Any) -> None:
    cell = Cell()
    h, s = cell.signal("h", 3), cell.signal("s", 3)
    A, B = parameter("A", 3, 3), parameter("B", 3, 3)
    h[t] = np.tanh(joined(h[t-1] @ A, s[t-1] @ B))
    s[t] = np.cos(h[t])
    h[0], s[0] = np.array([0.5, -0.8, 0.3]), np.array([0.1, 0.2, -0.4])
    outputs = cell.compile()(T=4)  # without a loss nothing else reads the products
    state, other = np.array([0.5, -0.8, 0.3]), np.array([0.1, 0.2, -0.4])
    for step in range(4):
        state = np.tanh(joined(state @ A.numpy(), other @ B.numpy()))
        other = np.cos(state)
        np.testing.assert_allclose(outputs["h"][step], state, rtol=1e-12)
