"""In-place operators: they write under no_grad, are an error where the derivative would be lost, and are noticed."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from rnn import Cell, t

OPERATORS = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod,
             operator.ipow]


def parameter(values: Any = (3.0, 5.0)) -> Tensor:
    return Tensor(values, requires_grad=True, name="w")


def test_gradient_descent_over_a_list_of_parameters() -> None:
    w = parameter([1.0, 2.0])
    losses = []
    for _ in range(3):
        for p in [w]:
            p.grad = None
        loss = ((w - 3.0) ** 2).sum()
        loss.backward()
        losses.append(loss.item())
        with mg.no_grad():
            for p in [w]:
                p -= 0.25 * p.grad  # type: ignore[operator]
    assert losses == [5.0, 1.25, 0.3125]  # the distance to 3 is halved in each step
    assert w.numpy().tolist() == [2.75, 2.875]


@pytest.mark.parametrize("function", OPERATORS, ids=lambda function: function.__name__)
def test_each_operator_gives_numpys_numbers_in_the_same_array(function: Any) -> None:
    w, expected = parameter(), np.array([3.0, 5.0])
    array = w.data
    with mg.no_grad():
        result = function(w, 2.0)
    function(expected, 2.0)
    assert result is w and w.data is array
    np.testing.assert_array_equal(array, expected)


def test_the_matrix_product() -> None:
    w = parameter([[1.0, 2.0], [3.0, 4.0]])
    with mg.no_grad():
        w @= Tensor([[0.0, 1.0], [1.0, 0.0]])
    assert w.numpy().tolist() == [[2.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize("function", [*OPERATORS, operator.imatmul], ids=lambda function: function.__name__)
def test_each_is_an_error_outside_of_no_grad(function: Any) -> None:
    w = parameter(np.eye(2))
    with pytest.raises(TypeError, match=r"= would write into <w \(2, 2\)  test_in_place.py:\d+> in place.*mg.no_grad"):
        function(w, np.eye(2))
    assert w.numpy().tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_recorded_sum_is_bound_to_a_new_tensor() -> None:
    w = parameter()
    first = total = w * 2.0
    total += w * w
    total *= 3.0
    total.sum().backward()
    assert first is not total and first.numpy().tolist() == (2.0 * w.numpy()).tolist()
    np.testing.assert_allclose(w.grad, 3 * (2 + 2 * w.numpy()))


def test_a_constant_is_modified_as_an_array_unless_the_result_is_recorded() -> None:
    total, same, w = Tensor([1.0, 2.0], name="total"), np.array([1.0, 2.0]), parameter()
    alias = total
    total += np.array([1.0, 1.0])
    same += np.array([1.0, 1.0])
    assert alias is total and total.numpy().tolist() == same.tolist()
    total += w
    assert alias.numpy().tolist() == same.tolist() and total.numpy().tolist() == (same + w.numpy()).tolist()
    total.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_a_constant_that_a_recorded_operation_used_is_noticed() -> None:
    w, c = parameter(), Tensor([2.0, 2.0], name="c")
    loss = (w * c).sum()
    c *= 3.0
    with pytest.raises(ValueError, match=r"<c \(2,\).*its data was changed \(at test_in_place.py:\d+\) after Mul"):
        loss.backward()
    assert w.grad is None


def test_a_parameter_that_a_recorded_operation_used_is_noticed() -> None:
    w = parameter()
    loss = (w * w).sum()
    with mg.no_grad():
        w -= w  # itself as the operand
    assert w.numpy().tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"<w \(2,\).*its data was changed"):
        loss.backward()


@pytest.mark.parametrize("view", [lambda w: w.T, lambda w: w[0], lambda w: w.reshape(-1),
                                  lambda w: mg.dropout(w, 0.5, np.random.default_rng(0), training=False)])
def test_writing_into_a_view_that_was_recorded_is_noticed_where_the_memory_is_used(view: Any) -> None:
    w = parameter([[1.0, 2.0], [3.0, 4.0]])
    part, loss = view(w), (w * w).sum()
    with mg.no_grad():
        part += 1.0
    with pytest.raises(ValueError, match=r"<w \(2, 2\).*its data was changed"):
        loss.backward()


def test_writing_into_the_owner_of_a_view_is_noticed_where_the_view_is_used() -> None:
    w = parameter([[1.0, 2.0], [3.0, 4.0]])
    turned = w.T
    loss = (turned * turned).sum()
    with mg.no_grad():
        w += 1.0
    with pytest.raises(ValueError, match="its data was changed"):
        mg.grad(loss, turned)


@pytest.mark.parametrize(("start", "operand", "kind", "message"), [
    ([1.0, 2.0], np.ones((2, 2)), ValueError, r"\+= works in place, but would give <w \(2,\).* the shape \(2, 2\)"),
    ([1.0, 2.0], np.ones(3), ValueError, r"could not be broadcast .*\n  in <w \(2,\)"),
    ([1, 2], 0.5, TypeError, r"holds int64, which can't take float64"),
    ([1.0, 2.0], "a", TypeError, r"\+= takes real numbers, not <U1"),
    ([1.0, 2.0], 1j, TypeError, r"\+= takes real numbers, not complex128"),
    ([1.0, 2.0], None, TypeError, r"\+= takes real numbers, not object"),
    ([1.0, 2.0], np.ma.array([1.0, 1.0], mask=[0, 1]), TypeError, r"\+= can't take a masked array"),
])
def test_what_does_not_fit_is_refused_and_changes_nothing(start: Any, operand: Any, kind: Any, message: str) -> None:
    w = Tensor(np.array(start, np.int64 if isinstance(start[0], int) else float), name="w")
    with pytest.raises(kind, match=message):
        w += operand
    assert w.numpy().tolist() == start


def test_a_float32_parameter_stays_float32() -> None:
    w = parameter(np.ones(2, np.float32))
    with mg.no_grad():
        w -= np.full(2, 0.5)
    assert w.dtype == np.float32 and w.numpy().tolist() == [0.5, 0.5]


def test_a_broadcast_result_is_read_only() -> None:
    wide = mg.broadcast_to(parameter(), (3, 2))
    with mg.no_grad(), pytest.raises(TypeError, match="is read-only"):
        wide += 1.0


def test_elements_are_not_assigned_and_the_message_names_what_is_meant() -> None:
    for x in (parameter(), Tensor([1.0])):
        with pytest.raises(TypeError, match=r"mg.where.*mg.concatenate.*x.data\[index\] = value"):
            x[0] = 1.0


def test_an_expression_on_the_right_makes_an_expression() -> None:
    cell = Cell("c")
    x = cell.input("x", 2)
    bias = parameter()
    bias += x[t]
    assert repr(bias) == "w + x[t]"
