"""Every operation against central differences: first and second derivatives, in float32 and float64,
for numbers, vectors, empty arrays, broadcasting both ways and every memory layout.

TABLE (tests/helpers/operation_cases.py) lists operands for each operation; a test checks that no operation
is missing from it. The derivatives at kinks are in the tests below.
"""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from operation_cases import TABLE, X, in_float32, name_of, operations, spread, strided

import minigrad as mg
from minigrad import functions, numpy_ops, ops


@pytest.mark.parametrize(("dtype", "order"), [
    ("float64", 2), *(pytest.param("float32", order, marks=pytest.mark.slow) for order in (1, 2))])
@pytest.mark.parametrize("case", TABLE, ids=name_of)
def test_derivatives_agree_with_central_differences_to_first_and_second_order(case, dtype, order):
    op, *arrays = case
    if dtype == "float32":
        arrays = [in_float32(x) if x.flags.forc else strided(in_float32(x)) for x in arrays]
    assert mg.check_op(op, *arrays, order=order) < (1e-5 if dtype == "float64" else 1e-2)


def test_every_public_function_is_exported():
    public = {name for name, value in vars(functions).items() if inspect.isfunction(value) and name[0] != "_"
              and value.__module__ == functions.__name__}
    assert public - {"ndim", "plain", "shape", "size"} == set(functions.__all__)  # these serve NumPy's dispatch


def test_no_operation_is_missing_from_the_table():
    assert {type(case[0]) for case in TABLE} == operations() >= {ops.Add, numpy_ops.Inv}


@pytest.mark.parametrize("case", TABLE, ids=name_of)
def test_float32_stays_float32(case):
    op, *arrays = case
    op = ops.Cast(np.float32) if isinstance(op, ops.Cast) else op
    tensors = [mg.Tensor(in_float32(x), requires_grad=x.dtype == float) for x in arrays]
    out = mg.apply(op, *tensors)
    assert out.dtype == np.float32
    for gradient in mg.grad(out, [x for x in tensors if x.requires_grad], np.ones(out.shape), create_graph=True):
        assert isinstance(gradient, mg.Tensor) and gradient.dtype == np.float32


@pytest.mark.parametrize("case", TABLE, ids=name_of)
def test_forward_takes_all_floats_and_gives_a_float_array(case):
    op, *arrays = case
    assert np.asarray(op.forward(*arrays)).dtype == float


@pytest.mark.parametrize("case", TABLE, ids=name_of)
def test_the_shape_of_a_result_follows_from_those_of_the_inputs(case):
    op, *arrays = case
    assert op.result_shape(*(x.shape for x in arrays)) == np.shape(op.forward(*arrays))


def test_the_shape_of_a_random_result_is_found_without_a_draw():
    op = ops.DropoutMask(0.5, np.random.default_rng(0))
    assert op.result_shape((2, 3)) == (2, 3)
    assert (op.forward(X) == ops.DropoutMask(0.5, np.random.default_rng(0)).forward(X)).all()


def test_shapes_that_do_not_fit_have_no_result_shape():
    with pytest.raises(ValueError, match="as many columns"):
        ops.MatVec().result_shape((2, 3), (2,))


def gradient(f, *arrays):
    """The gradients of the sum of f, by all arguments."""
    tensors = [mg.Tensor(np.array(x, float), requires_grad=True) for x in arrays]
    found = [g.tolist() for g in mg.grad(f(*tensors), tensors, np.ones(f(*tensors).shape))]
    return found if len(found) > 1 else found[0]


class TestAtKinks:
    def test_elements_that_tie_for_the_maximum_share_its_gradient(self):
        assert gradient(mg.max, [1, 3, 3, 2]) == [0, 0.5, 0.5, 0]
        assert gradient(mg.min, [1, 1, 1, 2]) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
        assert mg.Tensor([[1.0, 1.0], [0.0, 2.0]], requires_grad=True).max(axis=1).shape == (2,)
        assert gradient(lambda x: x.max(axis=1), [[1, 1], [0, 2]]) == [[0.5, 0.5], [0, 1]]

    def test_equal_operands_of_maximum_and_minimum_get_half_each(self):
        assert gradient(mg.maximum, [1, 2, 3], [3, 2, 1]) == [[0, 0.5, 1], [1, 0.5, 0]]
        assert gradient(mg.minimum, [1, 2, 3], [3, 2, 1]) == [[1, 0.5, 0], [0, 0.5, 1]]

    @pytest.mark.parametrize("f, at_zero", [
        (mg.relu, 0), (mg.abs, 0), (mg.sign, 0), (mg.leaky_relu, 0.01), (mg.elu, 1), (mg.softplus, 0.5),
        (mg.gelu, 0.5), (lambda x: mg.clip(x, 0, 1), 1), (lambda x: mg.clip(x, -1, 0), 1)])
    def test_the_derivative_at_zero_is_the_documented_one(self, f, at_zero):
        assert gradient(f, [0.0]) == pytest.approx([at_zero])

    def test_a_norm_of_zeros_and_a_deviation_of_equal_numbers_have_gradient_zero(self):
        assert gradient(mg.norm, [0, 0]) == [0, 0]
        assert gradient(mg.std, [2, 2, 2]) == [0, 0, 0]
        assert gradient(mg.norm, [3, 4]) == pytest.approx([0.6, 0.8])

    def test_the_square_root_is_infinitely_steep_at_zero(self):
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            assert gradient(mg.sqrt, [0.0]) == [np.inf]

    def test_zero_to_a_power(self):
        assert gradient(mg.power, [0, 0, 0, 2], [0, 1, 2, 0]) == [[0, 1, 0, 0], [0, 0, 0, pytest.approx(np.log(2))]]

    def test_powers_with_exponent_zero_are_right_to_second_order(self):
        mg.check_op(ops.Pow(), np.array([0.5, 2.0, 3.0]), np.array([0.0, 0.0, 1.0]), order=2)

    @pytest.mark.parametrize("x", [[0, 2, 3], [0, 0, 3], [0, 0, 0], [1, 2, 3, 0, 5]])
    def test_products_with_zeros_are_right_to_second_order(self, x):
        mg.check_op(ops.Prod(), np.array(x, float), order=2)


class TestLargeNumbers:
    """Formulas that would overflow as they stand in a book."""

    @pytest.mark.parametrize("f, x, value, slope", [
        (mg.sigmoid, -1000, 0, 0), (mg.sigmoid, 1000, 1, 0), (mg.softplus, 1000, 1000, 1), (mg.softplus, -1000, 0, 0),
        (mg.elu, 1000, 1000, 1), (mg.elu, -1000, -1, 0), (mg.gelu, 1000, 1000, 1), (mg.gelu, -1000, 0, 0),
        (mg.tanh, 1000, 1, 0)])
    def test_elementwise(self, f, x, value, slope):
        assert f(np.array([x, 1.0])).data[0] == pytest.approx(value)
        assert gradient(f, [x])[0] == pytest.approx(slope)

    def test_softplus_keeps_its_small_slopes(self):
        assert gradient(mg.softplus, [-100.0]) == pytest.approx([np.exp(-100)], rel=1e-12)

    def test_log_softmax_and_logsumexp(self):
        assert mg.logsumexp([1000.0, 1000.0]).item() == pytest.approx(1000 + np.log(2))
        assert mg.log_softmax([1000.0, 0.0]).data == pytest.approx([0, -1000])
        assert mg.softmax([1000.0, 0.0]).data == pytest.approx([1, 0])
        assert gradient(mg.logsumexp, [1000, 1000]) == pytest.approx([0.5, 0.5])

    def test_logsumexp_of_minus_infinity_only(self):
        x = mg.Tensor([[-np.inf, -np.inf], [-np.inf, 1.0]], requires_grad=True)
        y = mg.logsumexp(x)
        y.backward([1.0, 1.0])
        assert y.data.tolist() == [-np.inf, 1] and x.grad.tolist() == [[0, 0], [0, 1]]


PYTORCH = json.loads((Path(__file__).parents[1] / "cases" / "pytorch.json").read_text(encoding="utf-8"))["functions"]


@pytest.mark.parametrize("name", PYTORCH)
def test_values_and_derivatives_are_pytorchs_at_the_kink_too(name):
    x = mg.Tensor([-3.0, -0.7, 0.0, 0.4, 2.5], requires_grad=True)
    y = getattr(mg, name)(x)
    y.backward(np.array([1.0, -2.0, 3.0, 0.5, -1.0]) if y.ndim else None)
    np.testing.assert_allclose(y.data, PYTORCH[name]["value"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(x.grad, PYTORCH[name]["grad"], rtol=1e-12, atol=1e-15)


def test_gelu_is_within_the_documented_distance_of_the_exact_one():
    from math import erf, sqrt

    x = np.linspace(-5, 5, 401)
    exact = [0.5 * v * (1 + erf(v / sqrt(2))) for v in x]
    assert np.abs(mg.gelu(x).data - exact).max() < 5e-4


def test_an_index_is_copied_so_that_its_owner_may_change_it():
    x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    index = np.array([0, 0])
    y = x[index].sum()
    index[:] = 2
    y.backward()
    assert x.grad.tolist() == [2, 0, 0]


def test_a_gradient_passes_a_cast_to_a_narrower_type_in_its_own():
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    y = x.astype(np.float32)
    (y * y).sum().backward()
    assert (y.grad.dtype, x.grad.dtype, x.grad.tolist()) == (np.float32, np.float64, [2, 4])


def test_a_product_of_many_numbers_costs_no_square():
    x = mg.Tensor(np.ones(50_000), requires_grad=True)
    mg.prod(x).backward()
    assert (x.grad == 1).all()


class TestDropout:
    def test_kept_elements_are_scaled_and_the_others_are_zero(self):
        x = mg.Tensor(np.full((100, 100), 2.0), requires_grad=True)
        y = mg.dropout(x, 0.25, np.random.default_rng(0))
        y.sum().backward()
        assert set(np.unique(y.data)) == {0, 2 / 0.75}
        assert np.mean(y.data == 0) == pytest.approx(0.25, abs=0.02)
        assert (x.grad == y.data / 2).all()

    def test_the_generator_decides(self):
        x = np.ones(50)
        first, second = (mg.dropout(x, 0.5, np.random.default_rng(7)).data for _ in range(2))
        assert (first == second).all()
        rng = np.random.default_rng(7)
        assert (mg.dropout(x, 0.5, rng).data != mg.dropout(x, 0.5, rng).data).any()

    def test_gradients_are_right_where_the_generator_is_made_anew(self):
        mg.gradcheck(lambda x: mg.dropout(x, 0.5, np.random.default_rng(0)), [spread((3, 4))], order=2)

    def test_it_is_off_outside_of_training(self):
        x = mg.Tensor([1.0, 2.0], requires_grad=True)
        assert mg.dropout(x, 0.9, np.random.default_rng(0), training=False).data.tolist() == [1, 2]

    @pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
    def test_a_rate_is_a_probability_below_one(self, rate):
        with pytest.raises(ValueError, match=r"rate is in \[0, 1\)"):
            mg.dropout(np.ones(3), rate, np.random.default_rng(0))

    def test_a_seed_is_no_generator(self):
        with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
            mg.dropout(np.ones(3), 0.5, 42)

    def test_float32_stays_float32(self):
        assert mg.dropout(np.ones(3, np.float32), 0.5, np.random.default_rng(0)).dtype == np.float32


class TestCompositions:
    """Functions made of several operations: once more against central differences, in both orders."""

    @pytest.mark.parametrize("f", [
        lambda x: mg.ravel(x), lambda x: mg.squeeze(x[:1]), lambda x: mg.squeeze(x[:, :1], 1),
        lambda x: mg.expand_dims(x, (0, -1)), lambda x: mg.swapaxes(x, 0, -1), lambda x: mg.moveaxis(x, 0, -1),
        lambda x: mg.tile(x, (2, 1, 2)), lambda x: mg.tile(x, 2), lambda x: mg.repeat(x, 2, axis=1),
        lambda x: mg.repeat(x, [2, 0, 1], axis=0), lambda x: mg.repeat(x, 2),
        lambda x: mg.take(x, [[3, 3], [0, 1]], axis=1),
        lambda x: mg.take(x, [5, 5, 0]), lambda x: mg.take(x, 2, axis=-1), lambda x: mg.take(x, [1, 1], axis=-2),
        lambda x: mg.take_along_axis(x, np.argsort(x.data, axis=1), 1), lambda x: mg.pad(x, (1, 2)),
        lambda x: mg.split(x, [1, 2], axis=1)[1], lambda x: mg.concatenate(mg.split(x, 2, axis=-1)),
        lambda x: mg.hstack([x, x]), lambda x: mg.vstack([x, x[0]]), lambda x: mg.outer(x, x[0]),
        lambda x: mg.dot(x, x[0]), lambda x: mg.softmax(x), lambda x: mg.softmax(x, axis=0),
        lambda x: mg.norm(x, 1, axis=0), lambda x: mg.norm(x, np.inf, axis=1), lambda x: mg.clip(x, x[0], None),
        lambda x: mg.concatenate([x, x[0]], axis=None), lambda x: x.astype(np.float64)])
    def test_gradients(self, f):
        assert mg.gradcheck(f, [X], order=2) < 1e-5


class TestErrors:
    @pytest.mark.parametrize("call, words", [
        (lambda x: mg.clip(x), "needs a bound"),
        (lambda x: mg.norm(x, 3), "ord=3"),
        (lambda x: mg.norm(x, 2), "ord=2"),
        (lambda x: mg.dot(x, np.ones((2, 4, 3))), "einsum, or with matmul"),
        (lambda x: mg.pad(x, 1, mode="edge"), "mode='edge'"),
        (lambda x: mg.pad(x, 1, constant_values=(1, 2)), "one constant value"),
        (lambda x: mg.apply(ops.Pad(((1, 1),)), x), "margin for 1 axes doesn't fit"),
        (lambda x: mg.take_along_axis(x, [0, 1]), "as many axes"),
        (lambda x: mg.split(x, 3, axis=1), "equal division"),
        (lambda x: mg.squeeze(x, 0), "cannot select an axis"),
        (lambda x: mg.matvec(x, np.ones(3)), "as many columns"),
        (lambda x: mg.matmul(x, x), "matmul"),
        (lambda x: mg.expand_dims(x, 5), "axis 5 is out of bounds"),
        (lambda x: mg.moveaxis(x, 7, 0), "out of bounds")])
    def test_value_errors_name_the_problem(self, call, words):
        with pytest.raises(ValueError, match=words):
            call(mg.Tensor(X, requires_grad=True))

    @pytest.mark.parametrize("call, words", [
        (lambda x: mg.take(x, [0.5]), "integers"),
        (lambda x: mg.take(x, [True, False]), "integers"),
        (lambda x: mg.einsum(x, [0, 1]), "begins with a string"),
        (lambda x: x.astype(int), "would have no gradient"),
        (lambda x: mg.pick(x, [0.0, 1.0, 2.0]), "labels are integers"),
        (lambda x: mg.sum(x, 0, True), "positional")])
    def test_type_errors_name_the_problem(self, call, words):
        with pytest.raises(TypeError, match=words):
            call(mg.Tensor(X, requires_grad=True))

    def test_a_label_that_is_no_class_is_named(self):
        with pytest.raises(IndexError, match=r"label 4 at \[1\] is not one of the 4 classes"):
            mg.pick(X, [0, 4, 0])

    def test_an_operation_without_methods_says_so(self):
        with pytest.raises(NotImplementedError, match="Op has no forward"):
            ops.Op().forward(X)
        with pytest.raises(NotImplementedError, match="DropoutMask has no backward"):
            ops.DropoutMask(0.5, np.random.default_rng(0)).backward(X, X, X)


def test_an_operation_shows_its_options():
    assert repr(ops.Sum(0, True)) == "Sum(axis=0, keepdims=True)"
    assert repr(ops.EinSum("ij->i")) == "EinSum(subscripts='ij->i', optimize=False)"
    assert repr(ops.DropoutMask(0.5, np.random.default_rng(0))) == "DropoutMask(rate=0.5)"


@pytest.mark.parametrize(("op", "function"), [(ops.Concatenate(), np.concatenate), (ops.Stack(), np.stack)])
def test_arrays_are_joined_along_the_first_axis_unless_another_one_is_given(op, function):
    parts = [spread((3, 2)), spread((3, 2)) + 1]
    found = mg.apply(op, *parts)
    np.testing.assert_array_equal(found.numpy(), function(parts))
    mg.check_op(op, *parts)


# ---- inputs of which an operation is an affine function
def distance_from_affine(case, positions):
    """Return how far f(3 a - 2 b) is from 3 f(a) - 2 f(b), where a and b differ in the inputs at some positions."""
    op, *arrays = case
    others = [0.02 * np.arange(x.size).reshape(x.shape) - 0.7 * x if i in positions else x
              for i, x in enumerate(arrays)]
    mixed = [3 * a - 2 * b if i in positions else a for i, (a, b) in enumerate(zip(arrays, others))]
    try:
        with np.errstate(all="ignore"):
            first, second, both = (np.asarray(op.forward(*x)) for x in (arrays, others, mixed))
    except np.linalg.LinAlgError:  # outside of its domain, which an affine function doesn't have
        return np.inf
    return float(np.nan_to_num(np.abs(both - (3 * first - 2 * second)), nan=1.0).max(initial=0.0))


@pytest.mark.parametrize("kind", sorted(operations(), key=lambda kind: kind.__name__))
def test_an_operation_says_of_which_inputs_it_is_an_affine_function(kind):
    cases = [case for case in TABLE if type(case[0]) is kind]
    floats = sorted({i for case in cases for i, x in enumerate(case[1:]) if x.dtype == float})
    for position in floats:
        apart = max(distance_from_affine(case, [position]) for case in cases if len(case) > position + 1)
        assert (apart < 1e-9) == (position in kind.affine), position
    together = [i for i in floats if i in kind.affine]
    if len(together) > 1:
        assert (max(distance_from_affine(case, together) for case in cases) < 1e-9) == kind.jointly_affine
