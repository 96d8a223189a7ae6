"""Cells with a memory against loops over single sequences, and against central differences.

Attention is computed by unroll here, which is what takes statics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cell_loops import Loop, Parameters, by_hand, sigmoid, softplus, values

import minigrad as mg
from rnn import Cell, Signal, cells, t
from rnn.cells import memory

INPUTS, SIZE, STEPS, BATCH, ROWS, WIDTH = 2, 3, 5, 3, 4, 2
X = np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS))
ENC = np.random.default_rng(2).normal(size=(BATCH, ROWS, WIDTH))
VALID = np.array([[True, True, True, True], [True, False, True, False], [False, False, False, True]])
LENGTHS = [5, 2, 4]


def softmax(a: Any) -> Any:
    return np.exp(a) / np.exp(a).sum()


# ---- the formulas of the papers, for one sequence
def stack(p: Parameters, x: Any) -> Iterator[Any]:
    h, S = np.zeros(SIZE), np.zeros((ROWS, SIZE))
    for u in x:
        h = sigmoid(p["W"] @ u + p["U"] @ h + p["P"] @ S[0] + p["b"])
        push, pop, keep = softmax(p["A"] @ h + p["a"])
        new = np.zeros_like(S)
        for i in range(ROWS):
            above = S[i - 1] if i else sigmoid(p["D"] @ h + p["d"])
            below = S[i + 1] if i + 1 < ROWS else np.zeros(SIZE)
            new[i] = push * above + pop * below + keep * S[i]
        S = new
        yield h


def turing_machine(p: Parameters, x: Any) -> Iterator[Any]:
    h, M, w, r = np.zeros(SIZE), np.full((ROWS, WIDTH), 1e-6), np.eye(ROWS)[0], np.zeros(WIDTH)
    for u in x:
        h = np.tanh(p["W"] @ u + p["U"] @ h + p["R"] @ r + p["b"])
        k, e, a, s = (p[f"W_{g}"] @ h + p[f"b_{g}"] for g in "keas")
        beta, g, gamma = (p[f"w_{g}"] @ h + p[f"b_{g}"] for g in ("beta", "g", "gamma"))
        similar = np.array([k @ row / np.sqrt((k @ k) * (row @ row) + 1e-16) for row in M])
        wg = sigmoid(g) * softmax(softplus(beta) * similar) + (1 - sigmoid(g)) * w
        shift = softmax(s)
        ws = np.zeros(ROWS)
        for i in range(ROWS):
            for j in range(ROWS):
                for step, weight in zip((-1, 0, 1), shift):
                    if (i - j - step) % ROWS == 0:
                        ws[i] += wg[j] * weight
        w = (ws + 1e-12) ** (1 + softplus(gamma))
        w = w / w.sum()
        r = sum(w[i] * M[i] for i in range(ROWS))
        M = np.array([M[i] * (1 - w[i] * sigmoid(e)) + w[i] * np.tanh(a) for i in range(ROWS)])
        yield h


CASES = [
    pytest.param(memory.stack, {"depth": ROWS}, stack, id="stack"),
    pytest.param(memory.turing_machine, {"slots": ROWS, "width": WIDTH}, turing_machine, id="turing_machine"),
]
every_cell = pytest.mark.parametrize(("make", "options", "loop"), CASES)


def randomise(cell: Cell) -> None:
    random = np.random.default_rng(2)
    for p in cell.parameters.values():
        p.data = random.normal(size=p.shape)


def made(make: Callable[..., Signal], **options: Any) -> Cell:
    """Return a definition of one cell over an input, with random parameters; its output is a.h."""
    cell = Cell()
    y = make(cell, cell.input("x", INPUTS), SIZE, name="a", rng=np.random.default_rng(0), **options)
    assert y.name == "a.h"
    randomise(cell)
    loss = cell.signal("L", ())
    loss[t] = (y[t] * np.cos(np.arange(1.0, SIZE + 1))).sum() + (y[t] * y[t]).sum()
    return cell


@every_cell
@pytest.mark.parametrize("backward", [False, True])
def test_a_cell_computes_the_formula_of_its_paper(make: Any, options: Any, loop: Loop, backward: bool) -> None:
    cell, way = made(make, reversed=backward, **options), slice(None, None, -1 if backward else 1)
    expected = by_hand(loop, values(cell), X[way])[way]
    np.testing.assert_allclose(cell.unroll(x=X)["a.h"].stack().data, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(cell.compile()(x=X)["a.h"], expected, rtol=1e-10, atol=1e-10)


@every_cell
@pytest.mark.parametrize("backward", [False, True])
def test_each_sequence_is_computed_to_its_own_length(make: Any, options: Any, loop: Loop, backward: bool) -> None:
    cell, way = made(make, reversed=backward, **options), slice(None, None, -1 if backward else 1)
    run, fast = cell.unroll(x=X, lengths=LENGTHS), cell.compile()(x=X, lengths=LENGTHS)
    for n, length in enumerate(LENGTHS):
        expected = by_hand(loop, values(cell), X[:length, n:n + 1][way])[way][:, 0]
        np.testing.assert_allclose(run["a.h"].stack().data[:length, n], expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(fast["a.h"][:length, n], expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_gradients_are_the_slopes_of_the_loss(make: Any, options: Any, loop: Loop) -> None:
    cell, x = made(make, **options), X[:3, :2]
    parameters = list(cell.parameters.values())

    def loss() -> Any:
        return cell.unroll(x=x)["L"].stack().sum()

    for parameter, gradient in zip(parameters, mg.grad(loss(), parameters)):
        slope = mg.numeric_gradient(loss, parameter)
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7, err_msg=parameter.name)


@every_cell
@pytest.mark.parametrize(("data", "backward"), [
    ({}, False), ({"lengths": LENGTHS}, False), ({"lengths": LENGTHS}, True), ({"chunks": 4}, False)], ids=str)
def test_the_compiled_gradients_are_those_of_backward(make: Any, options: Any, loop: Loop, data: Any,
                                                            backward: bool) -> None:
    cell = made(make, reversed=backward, **options)
    total = cell.unroll(x=X, **data)["L"].stack().sum()
    expected = mg.grad(total, list(cell.parameters.values()))
    found, _ = cell.compile("L")(x=X, **data)
    np.testing.assert_allclose(found, total.item(), rtol=1e-12)
    for (name, parameter), gradient in zip(cell.parameters.items(), expected):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-11, err_msg=name)


@every_cell
def test_tied_layers_read_the_same_parameters(make: Any, options: Any, loop: Loop) -> None:
    cell, rng = Cell(), np.random.default_rng(0)
    x = cell.input("x", INPUTS)
    make(cell, x, SIZE, name="a", rng=rng, **options)
    y = make(cell, x, SIZE, name="b", rng=rng, parameters=cells.parameters_of(cell, "a"), **options)
    randomise(cell)
    assert all(name.startswith("a.") for name in cell.parameters)
    expected = by_hand(loop, values(cell), X)
    np.testing.assert_allclose(cell.unroll(x=X)[y.name].stack().data, expected, rtol=1e-10, atol=1e-10)


def test_a_push_and_a_pop_restore_the_stack() -> None:
    """Actions that are certain: push on input 1, pop on input -1."""
    cell = Cell()
    h = memory.stack(cell, cell.input("x", 1), 1, depth=3, name="a", rng=np.random.default_rng(0))
    for label, value in {"W": [[20.0]], "U": [[0.0]], "P": [[0.0]], "A": [[2e3], [-2e3], [-1e9]], "a": [-1e3, 1e3, 0],
                         "D": [[0.0]], "d": [1.0], "b": [0.0]}.items():
        cell.parameters[f"a.{label}"].data = np.array(value)
    run = cell.unroll(x=np.array([1, 1, -1, -1.0])[:, None])
    item = sigmoid(1.0)
    np.testing.assert_allclose(run["a.S"].stack().data[..., 0],
                               [[item, 0, 0], [item, item, 0], [item, 0, 0], [0, 0, 0]], atol=1e-12)
    assert h.shape == (1,)


# ---- attention over a static
def decoder(options: Any, rows: int | None = None, width: int | None = WIDTH) -> tuple[Cell, Signal]:
    """Return a decoder whose state asks and reads the context."""
    cell = Cell()
    enc, x, h = cell.static("enc", (rows, width)), cell.input("x", INPUTS), cell.signal("h", SIZE)
    more = {"valid": cell.static("valid", (rows,))} if options.pop("masked", False) else {}
    c = memory.attention(cell, enc, h, 3, name="att", rng=np.random.default_rng(0), **more, **options)
    W = mg.Tensor(np.zeros((SIZE, INPUTS)), requires_grad=True, name="W")
    C = mg.Tensor(np.zeros((SIZE, WIDTH)), requires_grad=True, name="C")
    h[t] = np.tanh(W @ x[t] + (C @ c[t] if options.get("delayed", True) else C @ c[t-1]) + 0.5 * h[t-1])
    randomise(cell)
    return cell, c


def decoder_by_hand(p: Parameters, x: Any, enc: Any, valid: Any, score: str, delayed: bool) -> Any:
    h, c, contexts = np.zeros(SIZE), np.zeros(WIDTH), []
    for u in x:
        if not delayed:
            h = np.tanh(p["W"] @ u + p["C"] @ c + 0.5 * h)
        rows = [row for row, use in zip(enc, valid) if use]
        if score == "additive":
            e = [p["att.v"] @ np.tanh(p["att.W"] @ h + p["att.U"] @ row) for row in rows]
        else:
            e = [h @ p["att.W"].T @ row for row in rows]
        c = sum(weight * row for weight, row in zip(softmax(np.array(e)), rows))
        if delayed:
            h = np.tanh(p["W"] @ u + p["C"] @ c + 0.5 * h)
        contexts.append(c)
    return np.array(contexts)


FORMS = [{"score": score, "delayed": delayed, "masked": masked} for score in ("additive", "dot")
         for delayed in (True, False) for masked in (True, False)]


def statics(masked: bool) -> dict[str, Any]:
    return {"enc": ENC, "valid": VALID} if masked else {"enc": ENC}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_attention_is_a_weighted_mean_of_the_rows_of_a_static(form: Any) -> None:
    cell, c = decoder(dict(form))
    p = {name: tensor.data for name, tensor in cell.parameters.items()}
    valid = VALID if form["masked"] else np.ones_like(VALID)
    found = cell.unroll(x=X, **statics(form["masked"]))[c.name].stack().data
    bounded = cell.unroll(x=X, lengths=LENGTHS, **statics(form["masked"]))[c.name].stack().data
    for n, length in enumerate(LENGTHS):
        expected = decoder_by_hand(p, X[:, n], ENC[n], valid[n], form["score"], form["delayed"])
        np.testing.assert_allclose(found[:, n], expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(bounded[:length, n], expected[:length], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_gradients_of_attention_are_slopes_to_the_static_too(form: Any) -> None:
    cell, c = decoder(dict(form))
    enc = mg.Tensor(ENC[:2], requires_grad=True, name="enc")
    given = {"enc": enc, "valid": VALID[:2]} if form["masked"] else {"enc": enc}

    def loss() -> Any:
        y = cell.unroll(x=X[:3, :2], **given)[c.name].stack()
        return (y * y * np.arange(1.0, WIDTH + 1)).sum()

    inputs = [enc, *cell.parameters.values()]
    for tensor, gradient in zip(inputs, mg.grad(loss(), inputs)):
        np.testing.assert_allclose(gradient, mg.numeric_gradient(loss, tensor), rtol=1e-5, atol=1e-7,
                                   err_msg=str(tensor.name))


def test_one_definition_attends_to_memories_of_any_length() -> None:
    cell, c = decoder({"score": "additive"})
    p = {name: tensor.data for name, tensor in cell.parameters.items()}
    for rows in (1, 6):
        enc = np.random.default_rng(rows).normal(size=(rows, WIDTH))
        run = cell.unroll(x=X[:, 0], enc=enc)
        assert run["att.a"][1].shape == (rows,)
        np.testing.assert_allclose(run[c.name].stack().data,
                                   decoder_by_hand(p, X[:, 0], enc, np.ones(rows), "additive", True), rtol=1e-10)


def test_two_attentions_are_tied() -> None:
    cell, rng = Cell(), np.random.default_rng(0)
    enc, x = cell.static("enc", (ROWS, WIDTH)), cell.input("x", INPUTS)
    one = memory.attention(cell, enc, x, 3, name="a", rng=rng, delayed=False)
    two = memory.attention(cell, enc, x, 3, name="b", rng=rng, delayed=False,
                           parameters=cells.parameters_of(cell, "a"))
    assert list(cell.parameters) == ["a.W", "a.U", "a.v"]
    run = cell.unroll(x=X, enc=ENC)
    np.testing.assert_array_equal(run[one.name].stack().data, run[two.name].stack().data)


def test_attention_over_an_expression_of_statics() -> None:
    cell = Cell()
    enc, x = cell.static("enc", (None, WIDTH)), cell.input("x", INPUTS)
    c = memory.attention(cell, np.tanh(enc), x, 3, name="a", rng=np.random.default_rng(0), delayed=False)
    other = Cell()
    direct = memory.attention(other, other.static("enc", (None, WIDTH)), other.input("x", INPUTS), 3, name="a",
                              rng=np.random.default_rng(0), delayed=False)
    np.testing.assert_allclose(cell.unroll(x=X, enc=ENC)[c.name].stack().data,
                               other.unroll(x=X, enc=np.tanh(ENC))[direct.name].stack().data)


@pytest.mark.parametrize("shape, error, words", [
    ((None, None), ValueError, r"a matrix \(S, D\) with a known D, not enc, written at test_memory\.py:\d+"),
    ((3,), ValueError, r"a matrix \(S, D\)"), ((2, 3, 4), ValueError, r"a matrix \(S, D\)")])
def test_a_memory_that_is_no_matrix_is_refused(shape: Any, error: Any, words: str) -> None:
    cell = Cell()
    with pytest.raises(error, match=words):
        memory.attention(cell, cell.static("enc", shape), cell.input("x", 2), 3, name="a",
                         rng=np.random.default_rng(0))
    assert list(cell.signals) == ["x"]


def test_a_memory_that_changes_with_time_is_refused() -> None:
    cell = Cell()
    x = cell.input("x", (3, 4))
    for given in (x, x[t], ENC):
        with pytest.raises(TypeError, match=r"(?s)attention reads a static, .* \(at test_memory"):
            memory.attention(cell, given, x, 3, name="a", rng=np.random.default_rng(0))  # type: ignore[arg-type]


def test_an_unknown_score_is_refused() -> None:
    cell = Cell()
    with pytest.raises(ValueError, match="score is 'additive' or 'dot', not 'cosine'"):
        memory.attention(cell, cell.static("enc", (3, 2)), cell.input("x", 2), 3, name="a",
                         rng=np.random.default_rng(0), score="cosine")  # type: ignore[arg-type]
