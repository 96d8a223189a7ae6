"""The check itself: it passes what is right, and of what is wrong it names operation, input, element and cause."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Op, Tensor, ops
from minigrad.gradcheck import KinkError, _combination, cause, compare_gradients

RNG = np.random.default_rng(0)
A, B, SQUARE = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(3, 3))


def report(check, *args, **options):
    with pytest.raises(AssertionError) as error:
        check(*args, **options)
    return str(error.value)


# ---- operations with the mistakes that people make -----------------------------------------


class HalfMul(ops.Mul):
    def backward(self, grad, out, a, b, needs):
        return grad * b, 0.5 * grad * a


class ExchangedMul(ops.Mul):
    def backward(self, grad, out, a, b, needs):
        return grad * a, grad * b


class NegatedTanh(Op):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, grad, out, x):
        return grad * (out * out - 1)


class UntransposedMatMul(ops.MatMul):
    def backward(self, grad, out, a, b, needs):
        return grad @ b, a.T @ grad


class MeanWithoutDivision(ops.Mean):
    def backward(self, grad, out, x):
        return np.broadcast_to(grad, x.shape)


class OneSliceAdd(ops.Add):
    def backward(self, grad, out, a, b):
        return grad, grad[0]


class KeptDimsAdd(ops.Add):
    def backward(self, grad, out, a, b):
        return grad, grad.sum(axis=0, keepdims=True)


class TransposedShape(ops.Identity):
    def backward(self, grad, out, x):
        return grad.T


class ForgottenDiagonal(ops.Square):
    def backward(self, grad, out, x):
        share = 2 * x * grad
        share[0, 1] = 0
        return share


class InPlaceForward(ops.Neg):
    def forward(self, x):
        x *= -1
        return x


class InPlaceBackward(ops.Tanh):
    def backward(self, grad, out, x):
        grad *= 1 - out * out
        return grad


class Accumulating(ops.Square):
    def __init__(self):
        self.total = 0.0

    def backward(self, grad, out, x):
        self.total = self.total + 2 * x * grad
        return self.total


class WideSquare(ops.Square):
    def backward(self, grad, out, x):
        return (2 * x * grad).astype(np.float64)


class LazyMul(ops.Mul):
    def backward(self, grad, out, a, b, needs):
        return (grad * b if all(needs) else grad), grad * a


class OneShareAdd(ops.Add):
    def backward(self, grad, out, a, b):
        return grad


class NoGradient(ops.Exp):
    def backward(self, grad, out, x):
        return None


class OnlyOnceSquare(ops.Square):
    """Right to first order; np.asarray cuts its derivative off."""

    def backward(self, grad, out, x):
        return grad * (2 * (x.data if isinstance(x, mg.Tensor) else x))


@pytest.mark.parametrize("op, arrays, expected", [
    (HalfMul(), (A, B), "HalfMul: gradient for input b (shape (3, 4)) wrong at [0, 0]: analytic * (exactly half)"),
    (NegatedTanh(), (A,), "NegatedTanh: gradient for input x *(exactly the negative: a sign is wrong)"),
    (UntransposedMatMul(), (SQUARE, SQUARE + 1), "UntransposedMatMul: gradient for input a *"),
    (ExchangedMul(), (A, B), "ExchangedMul: gradient for input a *(exactly the gradient for b: the two are exchanged)"),
    (MeanWithoutDivision(),
    (A,), "*(exactly 12 times, the length of the whole input: a mean where a sum belongs, or *"),
    (OneSliceAdd(), (A, B[0]), "*gradient for input b (shape (4,)) *the sum over the broadcast axes [0] is missing)"),
    (KeptDimsAdd(),
    (A, B[0]), "*for input b (shape (4,)) has shape (1, 4); it must be (4,): was it summed with keepdims=*"),
    (TransposedShape(), (A,), "*has shape (4, 3); it must be (3, 4): it is transposed"),
    (ForgottenDiagonal(),
    (A,), "*wrong at [0, 1]: analytic 0, *(zero where it is wrong: a contribution is missing); 1 of 12*"),
    (InPlaceForward(), (A,), "InPlaceForward.forward changes its input x in place: work on a copy"),
    (InPlaceBackward(), (A,), "InPlaceBackward.backward changes grad in place: work on a copy"),
    (Accumulating(), (A,), "Accumulating.backward gives another value when it is called again"),
    (WideSquare(),
    (A.astype(np.float32),), "WideSquare: gradient for input x (shape (3, 4)) is float64; it must be float32*"),
    (LazyMul(), (A, B), "LazyMul.backward gives another gradient for a where only that one is needed"),
    (OneShareAdd(), (A, B), "OneShareAdd.backward returned 1 gradients for 2 inputs"),
    (NoGradient(), (A,), "NoGradient: gradient for input x *(no gradient arrives*"),
    (ops.DropoutMask(0.5, RNG), (A,), "DropoutMask.forward gives another value when it is called again"),
    (ops.Concatenate(), (A, B, 2 * B), None), (ops.Add(), (A, B[0]), None),
], ids=lambda value: type(value).__name__ if isinstance(value, Op) else "")
def test_the_report_on_an_operation(op, arrays, expected):
    arrays = [x.copy() for x in arrays]
    if expected is None:
        assert mg.check_op(op, *arrays) < 1e-6
    else:
        import fnmatch

        pattern = expected.replace("[", "[[]")
        assert fnmatch.fnmatchcase(report(mg.check_op, op, *arrays), pattern), report(mg.check_op, op, *arrays)


def test_a_report_in_full():
    W = mg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    x = mg.Tensor([[1.0], [2.0]], name="x")

    assert report(mg.check_op, HalfMul(), x, W) == (
        "HalfMul: gradient for input b (W, shape (2, 2)) wrong at [0, 0]: analytic 0.652501, "
        "numeric 1.305 (exactly half)")


class TestFunctions:
    def test_the_operation_at_fault_is_found_in_a_large_graph_with_its_line(self):
        W = mg.Tensor(SQUARE, requires_grad=True, name="W")

        def loss(x):
            h = np.tanh(W @ x)
            return (mg.apply(HalfMul(), x, np.sin(h)) + h).mean()

        text = report(mg.gradcheck, loss, {"x": A[:, :2].copy()})
        first, second = text.splitlines()
        assert first.startswith("HalfMul: gradient for input b (shape (3, 2)) wrong at [0, 0]: analytic ")
        assert first.endswith("(exactly half)")
        assert second.startswith("  at test_gradcheck.py:")
        assert "so in f: gradient for x (shape (3, 2)) wrong at [0, 0]" in second

    def test_names_come_from_the_tensors_the_arguments_or_the_mapping(self):
        def wrong(weights, x):
            return mg.apply(HalfMul(), x, weights)

        assert "so in f: gradient for weights (shape (3, 4))" in report(mg.gradcheck, wrong, [A, B])
        assert "so in f: gradient for W (shape" in report(mg.gradcheck, wrong, [mg.Tensor(A, True, "W"), B])
        named = {"left": mg.Tensor(A, True, "W"), "right": B}
        assert "so in f: gradient for left (W, shape" in report(mg.gradcheck, wrong, named)

    def test_a_gradient_that_is_lost_by_leaving_the_graph(self):
        def cut(x):
            return (x * x.detach()).sum()

        text = report(mg.gradcheck, cut, [A])
        assert "(exactly half)" in text and text.endswith("each operation of f is right by itself")
        assert "no gradient arrives" in report(mg.gradcheck, lambda x, y: (x.detach() * y).sum(), [A, B])

    def test_functions_that_change_their_input_or_draw_at_random(self):
        def changing(x):
            x.data = x.data * 2
            return x.sum()

        rng = np.random.default_rng(0)
        assert "f changes its input x in place" in report(mg.gradcheck, changing, [A])
        assert "must be seeded inside" in report(mg.gradcheck, lambda x: mg.dropout(x, 0.5, rng), [A])

    def test_a_function_without_arguments_and_its_parameters(self):
        W = mg.Tensor(SQUARE, requires_grad=True, name="W")
        W.grad = np.ones((3, 3))
        other = mg.Tensor(A, requires_grad=True)
        data = W.data.copy()

        def loss():
            return np.tanh(W @ other).sum()

        assert mg.gradcheck(loss, {"W": W}) < 1e-7
        assert mg.gradcheck(loss, [W, other], order=2) < 1e-4
        assert (W.data == data).all() and (W.grad == 1).all() and other.grad is None

    def test_one_with_defaults_only_takes_no_arguments(self):
        W = mg.Tensor(SQUARE, requires_grad=True)
        assert mg.gradcheck(lambda power=2: (W ** power).sum(), [W]) < 1e-6

    def test_labels_and_constants_are_not_perturbed(self):
        labels = np.array([0, 3, 1])
        assert mg.gradcheck(mg.losses.cross_entropy, [A, labels], order=2) < 1e-5
        assert mg.gradcheck(lambda x, c: x * abs(c), [A, mg.Tensor(np.zeros((3, 4)))]) < 1e-6
        with pytest.raises(ValueError, match="nothing to check"):
            mg.gradcheck(mg.sum, [labels])

    def test_numpys_functions_can_be_checked_themselves(self):
        assert mg.gradcheck(np.tanh, [A], order=2) < 1e-5
        assert mg.gradcheck(np.multiply, [A, B]) < 1e-6

    def test_results_of_any_shape_are_checked_by_all_their_elements(self):
        class WrongInOneElement(ops.Identity):
            def backward(self, grad, out, x):
                return grad * (np.arange(x.size).reshape(x.shape) != 7)

        assert "wrong at [1, 3]" in report(mg.gradcheck, lambda x: mg.apply(WrongInOneElement(), x), [A])

    def test_float32(self):
        x = A.astype(np.float32)
        assert mg.gradcheck(lambda x: np.tanh(x) @ x.T, [x], order=2) < 1e-2
        W = mg.Tensor(x, requires_grad=True)
        assert mg.gradcheck(lambda: (np.tanh(W) * W).sum(), [W]) < 1e-1
        assert "exactly half" in report(mg.gradcheck, lambda x: mg.apply(HalfMul(), 1.0, x), [x])

    def test_a_derivative_that_cant_be_differentiated_again(self):
        assert mg.check_op(OnlyOnceSquare(), A) < 1e-6
        assert report(mg.check_op, OnlyOnceSquare(), A, order=2).startswith("in the second derivative: gradient for x")

    def test_a_function_that_returns_no_tensor(self):
        with pytest.warns(UserWarning, match="as a Python float it loses it"):
            assert "f returned float" in report(mg.gradcheck, lambda x: float(x.sum()), [A])

    def test_hessians_of_functions_that_differentiate_themselves(self):
        def penalty(x):
            return mg.grad(np.square(x).sum() * x.sum(), x, create_graph=True).sum()

        assert mg.gradcheck(penalty, [A]) < 1e-6


class TestComparingByHand:
    """For a backward pass that was written by hand."""

    def test_equal_ones_pass(self):
        assert compare_gradients("W", A, A + 1e-9) < 1e-6

    @pytest.mark.parametrize("analytic, numeric, words", [
        (A.T, A, "has shape (4, 3); it must be (3, 4): it is transposed"),
        (A.sum(0, keepdims=True), A.sum(0), "has shape (1, 4); it must be (4,): was it summed with keepdims=True?"),
        (A, A.sum(0), "has shape (3, 4); it must be (4,): the sum over its broadcast axis 0 is missing"),
        (A, A.sum(1, keepdims=True), "must be (3, 1): the sum over its broadcast axis 1 is missing"),
        (A, A.sum(), "must be (): the sum over its broadcast axes 0, 1 is missing"),
        (A[0], A, "has shape (4,); it must be (3, 4)"),
        (SQUARE.T, SQUARE, "(exactly the transpose)")])
    def test_shapes(self, analytic, numeric, words):
        assert words in report(compare_gradients, "W", analytic, numeric)

    @pytest.mark.parametrize("factor, words", [
        (-1, "exactly the negative: a sign is wrong"), (0.5, "exactly half"), (2, "exactly double"),
        (-2, "exactly -2 times"),
        (4, "exactly 4 times, the length of axis 1: a mean where a sum belongs, or the reverse?"),
        (1 / 3, "exactly 1/3, the length of axis 0: a mean where a sum belongs, or the reverse?"),
        (7, "exactly 7 times"),
        (0.37, "everywhere 0.37 times"),
        (0, "no gradient arrives: does its way leave the graph, by .data, detach() or float()?")])
    def test_factors(self, factor, words):
        assert cause(factor * A, A) == words

    def test_numbers_that_are_none(self):
        wrong = A.copy()
        wrong[0, 0] = np.nan
        assert cause(wrong, A) == "1 elements are not finite"

    def test_no_cause_is_invented(self):
        assert cause(A, B) == ""
        assert "(" not in report(compare_gradients, "W", A, B).split("numeric")[1]


def test_a_numeric_gradient_leaves_the_tensor_as_it_was():
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    data = x.data
    numeric = mg.numeric_gradient(lambda: (x ** 3).sum(), x)
    assert numeric == pytest.approx([3, 12]) and x.data is data and data.tolist() == [1, 2]


# ---- kinks


class TestKinks:
    """cs231n, notes on neural networks 3, "Kinks in the objective": a difference over a kink is no derivative."""

    X, W = np.array([[0.0, 0.0], [1.0, 2.0]]), Tensor(np.ones((2, 2)), requires_grad=True, name="W")
    b = Tensor(np.zeros(2), requires_grad=True, name="b")

    def test_a_kink_is_called_one_and_no_operation_is_blamed(self):
        with pytest.raises(KinkError, match=r"gradient for b \(shape \(2,\)\) can't be checked at \[0\]: f has a "
                                            r"kink there. Its slopes on the two sides are 1 and 2, .* 1 is one between "
                                            r"them; 2 of 2 elements are at kinks"):
            mg.gradcheck(lambda: mg.relu(self.X @ self.W + self.b).sum(), [self.W, self.b])

    @pytest.mark.parametrize(("op", "arrays", "low", "high"), [
        (ops.Relu(), [np.array([0.0, 1.0])], 0, 1), (ops.LeakyRelu(0.1), [np.array([0.0, 1.0])], 0.1, 1),
        (ops.Clip(0.0, 1.0), [np.array([1.0, 0.5])], 0, 1)])
    def test_of_an_operation_with_the_slopes_of_both_sides(self, op, arrays, low, high):
        weight = _combination((2,))[0]  # the upstream gradient of the check
        slopes = sorted([low * weight, high * weight])
        with pytest.raises(KinkError, match=f"sides are {slopes[0] + 0.0:.6g} and {slopes[1] + 0.0:.6g}"):
            mg.check_op(op, *arrays)

    def test_a_wrong_operation_at_a_kink_is_still_wrong(self):
        class Half(ops.Relu):
            def backward(self, grad, out, x):
                return 1.5 * super().backward(grad, out, x)

        with pytest.raises(AssertionError, match=r"Half: gradient for input x .* wrong at \[1\]: .*1 of 2 elements"):
            mg.check_op(Half(), np.array([0.0, 1.0]))

        class Steep(ops.Relu):
            def backward(self, grad, out, x):
                return grad * np.where(x == 0, 3.0, x > 0)

        with pytest.raises(AssertionError, match=r"wrong at \[0\]") as caught:
            mg.check_op(Steep(), np.array([0.0, 1.0]))
        assert not isinstance(caught.value, KinkError)

    def test_a_steep_but_smooth_function_has_none(self):
        class Steep(ops.Tanh):
            def forward(self, x):
                return np.tanh(200.0 * x)

            def backward(self, grad, out, x):
                return 100.0 * grad * (1 - out * out)

        with pytest.raises(AssertionError, match="exactly half") as caught:
            mg.check_op(Steep(), np.array([0.001, -0.002]))
        assert not isinstance(caught.value, KinkError)


# ---- large losses


@pytest.mark.parametrize("size", [1e5, 1e6, 1e7, 1e9])
def test_a_large_loss_is_right_and_an_error_in_it_is_found(size):
    w = Tensor([0.3, 0.7], requires_grad=True, name="w")
    mg.gradcheck(lambda: size + mg.tanh(w * w).sum(), [w])
    mg.gradcheck(lambda w: size + mg.tanh(w * w).sum(), [w], order=2)

    class Wrong(ops.Tanh):
        def backward(self, grad, out, x):
            return 1.01 * super().backward(grad, out, x)

    with pytest.raises(AssertionError, match="Wrong"):
        mg.gradcheck(lambda: size + mg.apply(Wrong(), w * w).sum(), [w])


# ---- numeric_gradient


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int64, np.uint8])
def test_a_numeric_gradient_is_right_in_every_type(dtype):
    x = Tensor(np.array([1, 100], dtype))
    before = x.data
    np.testing.assert_allclose(mg.numeric_gradient(lambda: (x * x).sum(), x).astype(float), [2, 200], rtol=1e-6)
    of_array = mg.numeric_gradient(lambda a: (a * a).sum(), x.numpy())
    np.testing.assert_allclose(of_array.astype(float), [2, 200], rtol=1e-6)
    assert x.data is before and x.dtype == dtype and x.numpy().tolist() == [1, 100]
    x.data[...] = 3  # exposed data are no obstacle
    np.testing.assert_allclose(mg.numeric_gradient(lambda: (x * x).sum(), x).astype(float), [6, 6], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float16, 0.05), (np.float32, 1e-3), (np.float64, 1e-6),
                                             (np.longdouble, 1e-6)])
def test_a_numeric_gradient_of_an_array_that_f_uses_itself(dtype, rtol):
    a = np.array([1.0, 3.0], dtype)
    np.testing.assert_allclose(mg.numeric_gradient(lambda: (a * a).sum(), a).astype(float), [2, 6], rtol=rtol)
    assert a.tolist() == [1.0, 3.0]


def test_a_numeric_gradient_of_numbers_and_arrays():
    w = Tensor([1.0, 2.0], requires_grad=True)
    for f in (lambda: (w * w).sum(), lambda: (w * w).sum().item(), lambda: (w * w).sum().numpy(), lambda: w * w,
              lambda: [1.0, (w * w).sum().item()]):
        np.testing.assert_allclose(mg.numeric_gradient(f, w), [2, 4], rtol=1e-6)


def test_an_array_of_integers_that_f_uses_itself_is_refused():
    a = np.array([3, 3])
    with pytest.raises(TypeError, match=r"moves x by a fraction: .* not int64 \(at test_gradcheck"):
        mg.numeric_gradient(lambda: (a * a).sum(), a.astype(np.int64))


def test_a_single_input_is_one_input():
    assert mg.gradcheck(lambda x: (x * x).sum(), Tensor([1.0, 2.0], requires_grad=True)) < 1e-6
    assert mg.gradcheck(lambda x: (x * x).sum(), np.array([1.0, 2.0])) < 1e-6


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_gradcheck_in_every_type_of_float(dtype):
    x = Tensor(np.array([0.3, 0.7], dtype), requires_grad=True)
    mg.gradcheck(lambda: mg.tanh(x * x).sum(), [x])
    mg.gradcheck(lambda x: mg.tanh(x * x).sum(), [x])


def test_a_large_curvature_is_no_kink():
    class Steep(ops.Tanh):
        def forward(self, x):
            return np.tanh(1000.0 * x)

        def backward(self, grad, out, x):
            return 1000.3 * grad * (1 - out * out)  # wrong by less than the two one-sided differences are apart

    with pytest.raises(AssertionError, match="wrong") as caught:
        mg.check_op(Steep(), np.array([0.0006]))
    assert not isinstance(caught.value, KinkError)


def test_a_modification_after_a_numeric_gradient_is_noticed_as_before_it():
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    array, loss = w.data, (w * w).sum()
    mg.numeric_gradient(lambda: (w * w).sum(), w)
    array[0] = 9.0
    with pytest.raises(ValueError, match="its data was changed"):
        loss.backward()
