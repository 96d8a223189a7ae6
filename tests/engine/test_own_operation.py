"""A user's own operation is a subclass of Op with two methods, and works with everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from own_operations import Swish, swish

import minigrad as mg
import viz
from rnn import Cell, t


class WrongSwish(Swish):
    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return 2 * super().backward(grad, out, x)


class Scaled(mg.Op, symbol="*", precedence=2, selective=True):
    def forward(self, a: Any, b: Any) -> Any:
        return a * b

    def backward(self, grad: Any, out: Any, a: Any, b: Any, needs_input_grad: Any) -> tuple[Any, ...]:
        return grad * b if needs_input_grad[0] else None, grad * a if needs_input_grad[1] else None


def test_it_is_checked_against_central_differences_to_second_order() -> None:
    mg.check_op(Swish(1.5), np.linspace(-2, 2, 7), order=2)


def test_a_wrong_derivative_is_blamed_on_it() -> None:
    with pytest.raises(AssertionError, match=r"WrongSwish: gradient for input x \(shape \(7,\)\).*double"):
        mg.check_op(WrongSwish(1.5), np.linspace(-2, 2, 7))
    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(AssertionError, match="WrongSwish"):
        mg.gradcheck(lambda: mg.apply(WrongSwish(1.0), mg.tanh(x)).sum(), [x])


def test_derivatives_of_its_derivative_are_recorded() -> None:
    x = mg.Tensor(0.5, requires_grad=True)
    slope = mg.grad(swish(x), x, create_graph=True)
    eps = 1e-6
    numeric = (mg.grad(swish(y := mg.Tensor(0.5 + eps, requires_grad=True)), y)
               - mg.grad(swish(z := mg.Tensor(0.5 - eps, requires_grad=True)), z)) / (2 * eps)
    assert mg.grad(slope, x) == pytest.approx(numeric, rel=1e-6)


def test_it_stands_in_equations_with_its_name_line_and_gradient() -> None:
    U = mg.Tensor(np.eye(2) * 0.5, requires_grad=True, name="U")
    cell = Cell("own")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    h[t] = swish(U @ h[t-1] + x[t])
    assert repr(cell.equations[0]) == "h[t] = swish(U @ h[t-1] + x[t], slope=1.5)"
    data = np.random.default_rng(0).normal(size=(4, 3, 2))
    mg.gradcheck(lambda: cell.unroll(x=data)["h"][4].sum(), cell.parameters)


def test_it_stands_in_pictures() -> None:
    x = mg.Tensor([1.0], requires_grad=True, name="x")
    assert "swish slope=1.5" in viz.graph(swish(x)).source


def test_its_errors_name_it_and_its_operands() -> None:
    class Halves(mg.Op):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

    with pytest.raises(ValueError, match=r"in Halves\(\) at test_own_operation.py:\d+, of\n    a "):
        mg.apply(Halves(), mg.Tensor(np.ones(2), name="a"), np.ones(3))
    with pytest.raises(NotImplementedError, match="Halves has no backward"):
        mg.apply(Halves(), mg.Tensor(1.0, requires_grad=True), 1.0).backward()


def test_attributes_may_be_given_in_the_first_line_of_the_class() -> None:
    assert Scaled.symbol == "*" and Scaled.precedence == 2 and Scaled.selective
    assert not Scaled.elementwise and mg.Op.symbol is None
    mg.check_op(Scaled(), np.ones(3), np.arange(3.0))
    with pytest.raises(TypeError, match="class Misspelt: an operation has no attribute 'selectiv'; the attributes are"):
        class Misspelt(mg.Op, selectiv=True):
            pass


class Twice(mg.Op):
    def forward(self, x: Any) -> Any:
        return 2 * x

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return 2 * grad


class ForgotForward(Twice):
    def forward(self, x: Any) -> Any:
        2 * x


class ForgotBackward(Twice):
    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        2 * grad


class ComplexResult(Twice):
    def forward(self, x: Any) -> Any:
        return x * 1j


class ListOfGradients(mg.Op):
    def forward(self, a: Any, b: Any) -> Any:
        return a * b

    def backward(self, grad: Any, out: Any, a: Any, b: Any) -> Any:
        return [grad * b, grad * a]


class TextAsGradient(Twice):
    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        return "2"


class OfFunctions(mg.Op):
    """Swish, whose two methods use minigrad's functions on arrays."""

    def forward(self, x: Any) -> Any:
        return x * mg.sigmoid(x)

    def backward(self, grad: Any, out: Any, x: Any) -> Any:
        s = mg.sigmoid(x)
        return grad * (s + x * s * (1 - s))


def test_a_class_in_place_of_an_instance_is_named() -> None:
    x = mg.Tensor([1.0])
    for function in (mg.apply, mg.check_op):
        with pytest.raises(TypeError, match=r"takes an instance of .*\(at test_own.*\): write Twice\(\) for Twice"):
            function(Twice, x)
        with pytest.raises(TypeError, match=r"takes an instance of an operation, .* not <\(1,\)  test_own"):
            function(x, Twice())  # type: ignore[arg-type]


@pytest.mark.parametrize(("op", "message"), [
    (ForgotForward(), r"the result of ForgotForward.forward is None \(at test_own.*: is its `return` missing"),
    (ComplexResult(), r"ComplexResult.forward returned complex128")])
def test_a_result_that_is_no_array_of_numbers_is_named(op: mg.Op, message: str) -> None:
    for requires_grad in (True, False):
        with pytest.raises(TypeError, match=message):
            mg.apply(op, mg.Tensor([1.0], requires_grad=requires_grad))
    with pytest.raises(AssertionError, match=message):
        mg.check_op(op, np.ones(2))


@pytest.mark.parametrize(("op", "kind", "message"), [
    (ForgotBackward(), ValueError, r"ForgotBackward\(\).backward returned None: is its `return` missing"),
    (ListOfGradients(), ValueError, "returned 1 gradients for 2 inputs.*It returned one list; several .* a tuple"),
    (TextAsGradient(), TypeError, r"TextAsGradient\(\).backward returned a gradient of <U1, made from str")])
def test_a_gradient_that_is_none_is_named_in_training_and_by_check_op(op: mg.Op, kind: Any, message: str) -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    inputs = [x, x] if isinstance(op, ListOfGradients) else [x]
    for differentiate in (lambda y: y.backward(np.ones(2)), lambda y: mg.grad(y, x, np.ones(2)),
                          lambda y: [step.run() for step in y.backward_steps(np.ones(2))]):
        with pytest.raises(kind, match=message):
            differentiate(mg.apply(op, *inputs))
        assert x.grad is None
    with pytest.raises((AssertionError, TypeError)):
        mg.check_op(op, *[np.ones(2)] * len(inputs))


def test_both_methods_may_use_functions_of_tensors() -> None:
    mg.check_op(OfFunctions(), np.array([1.0, -2.0]), order=2)
    x = mg.Tensor([1.0, -2.0], requires_grad=True)
    (mg.apply(OfFunctions(), x) + mg.apply(OfFunctions(), 2.0 * x)).sum().backward()
    s = 1 / (1 + np.exp(-np.array([[1.0, -2.0], [2.0, -4.0]])))
    a = np.array([[1.0, -2.0], [2.0, -4.0]])
    slope = s + a * s * (1 - s)
    np.testing.assert_allclose(x.grad, slope[0] + 2 * slope[1])
    assert type(x.grad) is np.ndarray
