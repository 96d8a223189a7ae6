"""backward() agrees with reference_backward(), which is the algorithm without speed, hooks and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from definitions import elman, feedback
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors, reference_backward
from rnn import Cell, cells

SHAPES = [(), (3,), (1,), (2, 3), (2, 1), (1, 1), (2, 2, 3), (0, 3)]
DTYPES = ["float64", "float32", "float16", "int64"]


class Aliasing(mg.Op):
    """A sum whose derivative returns the upstream gradient itself, and one array for two inputs."""

    def forward(self, a: Any, b: Any, c: Any) -> Any:
        return a + b + c

    def backward(self, grad: Any, out: Any, a: Any, b: Any, c: Any) -> Any:
        own = grad * 1
        return own, grad, own


class OperandsThemselves(mg.Op):
    """A product whose derivative forgets the upstream gradient: it returns the arrays of its operands."""

    def forward(self, a: Any, b: Any) -> Any:
        return a * b

    def backward(self, grad: Any, out: Any, a: Any, b: Any) -> Any:
        return (b, a) if a.shape == b.shape else (grad, grad)


@st.composite
def leaves(draw: st.DrawFn) -> list[Tensor]:
    """A few arrays of numbers near 1, of several shapes and dtypes; at least one requires a gradient."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES))
        values = np.random.default_rng(number).uniform(0.5, 1.5, shape)
        found.append(Tensor(values.astype(dtype), dtype != "int64" and draw(st.booleans()), f"x{number}"))
    return [*found, Tensor([0.4, 0.7, 1.3], requires_grad=True, name="w")]


UNARY = [
    lambda x: mg.tanh(x), lambda x: -x, lambda x: x ** 2, lambda x: x.sum(axis=-1, keepdims=True) if x.ndim else x,
    lambda x: x.mean() if x.size else x, lambda x: x.ravel(), lambda x: x.T, lambda x: x[..., ::2] if x.ndim else x + 1,
    lambda x: mg.broadcast_to(x, (2, *x.shape)), lambda x: x.detach(), lambda x: x.astype(np.float32),
    lambda x: mg.stack([x, x, x])[1], lambda x: mg.softmax(x) if x.ndim else mg.sigmoid(x), lambda x: +x,
    lambda x: x * Tensor(0.5, requires_grad=True), lambda x: mg.apply(mg.ops.Identity(), x),
    lambda x: mg.apply(Aliasing(), x, x, x),
    lambda x: mg.take(x, [0, 0], axis=-1) if x.ndim and x.shape[-1] else x]
BINARY = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (2 + b * b),
    lambda a, b: mg.maximum(a, b), lambda a, b: mg.where(a.data > 1, a, b), lambda a, b: mg.apply(Aliasing(), a, b, a),
    lambda a, b: mg.apply(OperandsThemselves(), a, b),
    lambda a, b: a @ b, lambda a, b: mg.concatenate([a, b], axis=-1), lambda a, b: mg.einsum("...i,...i->...", a, b)]


def grown(nodes: list[Tensor], choices: list[tuple[int, int, int]]) -> Tensor:
    """The sum of the last tensors that (function, operand, operand) choices make; what doesn't fit is left out."""
    functions: list[Any] = [*UNARY, *BINARY]
    for number, *operands in choices:
        arguments = [nodes[i % len(nodes)] for i in operands]
        try:
            new = mg.tanh(functions[number](*arguments[:1 if number < len(UNARY) else 2]))
        except ValueError:
            continue
        if new.size <= 200:
            nodes.append(new)
    return sum((x.sum() for x in nodes[-3:]), nodes[-1].sum() * nodes[0].sum())


def assert_agrees(out: Tensor) -> None:
    """The gradients that backward() leaves are those of the reference, in each tensor's shape and dtype."""
    expected = reference_backward(out)
    nodes = ancestors(out)
    before = {x: x.numpy() for x in nodes}
    single = any(x.dtype in (np.float16, np.float32) for x in nodes)
    half = any(x.dtype == np.float16 for x in nodes)
    out.backward()
    assert {x for x in nodes if x.grad is not None} == set(expected)
    for x, gradient in expected.items():
        assert x.grad is not None and (x.grad.shape, x.grad.dtype) == (x.shape, x.dtype)
        scale = 1 + np.abs(gradient).max(initial=0)
        np.testing.assert_allclose(x.grad, gradient, rtol=0, atol=scale * (5e-2 if half else 1e-4 if single else 1e-11))
        x.grad[...] = 7.0  # every gradient is an array of its own: this changes no other
    for x in nodes:
        np.testing.assert_array_equal(x.numpy(), before[x])
    assert all((x.grad == 7.0).all() for x in expected if x.grad is not None)


CHOICE = st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 50), st.integers(0, 50))


@given(leaves(), st.lists(CHOICE, min_size=1, max_size=20))
@settings(deadline=None, max_examples=300)
def test_on_random_graphs(nodes: list[Tensor], choices: list[tuple[int, int, int]]) -> None:
    with np.errstate(all="ignore"):
        out = grown(nodes, choices)
        if out.requires_grad:
            assert_agrees(out)


@pytest.mark.parametrize("op", [Aliasing(), OperandsThemselves()])
def test_where_a_derivative_returns_arrays_that_have_other_owners(op: mg.Op) -> None:
    a, b, c = (Tensor([0.5, -1.0], requires_grad=True) for _ in range(3))
    operands = [a, b, c] if isinstance(op, Aliasing) else [a, b]
    assert_agrees((a * c + b * c + mg.apply(op, *operands)).sum())  # the operation comes first in the pass


def test_where_a_parameter_is_newer_than_operations_below_it() -> None:
    old = Tensor([0.5, -1.0], requires_grad=True)
    deep = mg.tanh(old)
    assert_agrees((mg.tanh(deep) * Tensor(2.0, requires_grad=True)).sum())


@pytest.mark.parametrize("options", [{}, {"chunks": 2}, {"last": 2}, {"lengths": [4, 2]}])
@pytest.mark.parametrize("make", [elman, feedback])
def test_on_recurrences(make: Any, options: dict[str, Any]) -> None:
    run = make().unroll(x=np.random.default_rng(0).normal(size=(4, 2, 3)), **options)
    assert_agrees((run["y"].stack() ** 2).sum())


def test_on_stacked_layers_of_gates() -> None:
    cell, rng = Cell("stacked"), np.random.default_rng(0)
    x = cell.input("x", 3)
    h = cells.gru(cell, cells.lstm(cell, x, 4, name="h1", rng=rng), 5, name="h2", rng=rng)
    run = cell.unroll(x=rng.normal(size=(5, 3, 3)), lengths=[5, 2, 4])
    assert_agrees((run[h.name].stack() ** 2).mean())
