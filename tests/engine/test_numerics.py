"""Values and derivatives at the ends of the number range, against exact mathematics.

tests/export/test_numerics_of_exports.py compares every operation with PyTorch and JAX at such points.
"""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from rnn import Cell, t

INF, NAN = np.inf, np.nan


def differentiated(f, *arrays, dtype=float, upstream=None):
    """Return the value of f and its gradients by all arguments."""
    tensors = [mg.Tensor(np.array(x, dtype), requires_grad=True) for x in arrays]
    out = f(*tensors)
    gradients = mg.grad(out, tensors, np.ones(out.shape) if upstream is None else np.full(out.shape, upstream))
    return out.data, *gradients


def second(f, x):
    """Return the derivative of the sum of f's first derivatives."""
    x = mg.Tensor(np.array(x, float), requires_grad=True)
    out = f(x)
    first = mg.grad(out, x, np.ones(out.shape), create_graph=True).sum()
    return mg.grad(first, x) if first.requires_grad else np.zeros(x.shape)  # the first derivative may be constant


class TestSigmoid:
    @pytest.mark.parametrize("dtype, lowest", [("float64", -745.0), ("float32", -103.0), ("float16", -16.0)])
    def test_the_relative_error_is_that_of_rounding_everywhere(self, dtype, lowest):
        x = np.linspace(lowest, 40, 301).astype(dtype)
        exact = np.array([math.exp(v) / (1 + math.exp(v)) if v < 0 else 1 / (1 + math.exp(-v))
                          for v in x.astype(float).tolist()])
        limits = np.finfo(dtype)
        error = np.abs(mg.sigmoid(x).data.astype(float) - exact)
        assert (error <= 4 * limits.eps * exact + float(limits.smallest_subnormal)).all()

    @pytest.mark.parametrize("dtype, x", [("float64", -40.0), ("float64", -700.0), ("float32", -20.0),
                                          ("float32", -80.0), ("float16", -8.0)])
    def test_the_logarithm_of_it_written_by_hand_is_exact(self, dtype, x):
        loss, gradient = differentiated(lambda x: -mg.log(mg.sigmoid(x)), x, dtype=dtype)
        assert loss == pytest.approx(-x, rel=2e-3 if dtype == "float16" else 1e-6)
        assert gradient == pytest.approx(-1, rel=2e-3 if dtype == "float16" else 1e-6)

    def test_its_ends(self):
        value, gradient = differentiated(mg.sigmoid, [INF, -INF, 1e300, -1e300, 0, NAN])
        assert value.tolist()[:-1] == [1, 0, 1, 0, 0.5] and np.isnan(value[-1])
        assert gradient.tolist()[:-1] == [0, 0, 0, 0, 0.25] and np.isnan(gradient[-1])


class TestSoftplusAndGelu:
    def test_softplus(self):
        value, gradient = differentiated(mg.softplus, [INF, -INF, 1e308, -700, 0])
        assert value.tolist() == [INF, 0, 1e308, math.exp(-700), math.log(2)]
        assert gradient == pytest.approx([1, 0, 1, math.exp(-700), 0.5], rel=1e-12)
        assert second(mg.softplus, [INF, -INF, 40]) == pytest.approx([0, 0, 0])

    def test_gelu(self):
        value, gradient = differentiated(mg.gelu, [INF, -INF, 1e200, -1e200, -8])
        assert value.tolist()[:4] == [INF, 0, 1e200, 0] and gradient.tolist()[:4] == [1, 0, 1, 0]
        argument = 2 * math.sqrt(2 / math.pi) * (-8 - 0.044715 * 512)  # x sigmoid(argument)
        assert value[4] == pytest.approx(-8 * math.exp(argument), rel=1e-12)
        assert second(mg.gelu, [INF, -INF, 1e200, -1e200]).tolist() == [0, 0, 0, 0]

    def test_expm1_keeps_small_slopes(self):
        assert differentiated(mg.expm1, [-100.0, -INF])[1] == pytest.approx([math.exp(-100), 0], rel=1e-12)


class TestLogSumExp:
    @pytest.mark.filterwarnings("ignore:invalid value")
    @pytest.mark.parametrize("x, value, gradient", [
        ([INF, -INF, 1], INF, [NAN, 0, 0]), ([NAN, 1], NAN, [NAN, NAN]), ([-INF, -INF], -INF, [0, 0]),
        ([-INF, 1], 1, [0, 1]), ([1e307, -1e307], 1e307, [1, 0]), ([INF, 700], INF, [NAN, 0])])
    def test_with_infinities_and_nan(self, x, value, gradient):
        found = differentiated(mg.logsumexp, x)
        np.testing.assert_array_equal(found[0], value)
        np.testing.assert_array_equal(found[1], gradient)

    def test_a_masked_class_has_probability_zero(self):
        value, gradient = differentiated(mg.softmax, [-INF, 0, 0], upstream=[1.0, 2.0, 0.0])
        assert value.tolist() == [0, 0.5, 0.5] and gradient.tolist() == [0, 0.5, -0.5]


class TestDivisionAndPowers:
    @pytest.mark.parametrize("a, b, upstream, expected", [
        (1e200, 1e200, 1, -1e-200), (1e200, 1e200, 1e200, -1), (1e-200, 1e-200, 1e-200, -1),
        (1, 1e-160, 1e-200, -1e120), (1, 1e200, 1e300, -1e-100), (1, INF, 1, 0), (0, 1e-300, 1, 0)])
    def test_the_derivative_of_a_quotient_needs_no_square(self, a, b, upstream, expected):
        assert differentiated(lambda a, b: a / b, a, b, upstream=upstream)[2] == pytest.approx(expected, rel=1e-12)

    def test_huge_exponents(self):
        a, b = mg.Tensor([0.5, 0.0], requires_grad=True), np.array([1e308, 1e308])
        (first,) = mg.grad(a ** b, [a], np.ones(2), create_graph=True)
        assert first.data.tolist() == [0, 0] and mg.grad(first.sum(), a).tolist() == [0, 0]

    @pytest.mark.parametrize("exponent, expected", [(0, 0), (1, 0), (2, 2), (3, 0)])
    def test_second_derivatives_of_powers_at_zero(self, exponent, expected):
        assert second(lambda x: x ** exponent, 0.0) == expected
        assert second(lambda x: mg.power(x, np.array(float(exponent))), 0.0) == expected


class TestInfiniteUpstreamGradients:
    """A slope of zero gives zero: an infinite gradient is not multiplied by it."""

    @pytest.mark.filterwarnings("ignore:divide by zero")
    def test_through_relu(self):
        assert differentiated(lambda x: mg.sqrt(mg.relu(x)), [-1.0, 0.0, 4.0])[1].tolist() == [0, 0, 0.25]

    @pytest.mark.parametrize("f, gradient", [
        (mg.relu, [0, INF]), (mg.sign, [0, 0]), (lambda x: x ** 0, [0, 0]), (lambda x: mg.clip(x, 0, 9), [0, INF]),
        (lambda x: mg.maximum(x, 0), [0, INF]), (lambda x: mg.minimum(x, 0), [INF, 0]),
        (mg.max, [0, INF]), (mg.min, [INF, 0]), (lambda x: mg.pick(x, np.array(1)), [0, INF])])
    def test_through_operations_that_select(self, f, gradient):
        assert differentiated(f, [-1.0, 2.0], upstream=INF)[1].tolist() == gradient

    def test_in_a_compiled_program(self):
        cell = Cell("relu")
        x, y, L = cell.input("x", 2), cell.signal("y", 2), cell.signal("L", ())
        h = cell.signal("h", 2)
        w = mg.Tensor([-1.0, 4.0], requires_grad=True, name="w")
        h[t] = mg.relu(w * x[t] + 0 * h[t-1])
        y[t] = mg.sqrt(h[t])
        L[t] = y[t].sum(axis=-1)
        with np.errstate(divide="ignore"):
            cell.compile(loss="L")(x=np.ones((3, 2)))
        assert w.grad.tolist() == [0, 0.75]


class TestLengths:
    """Norms and deviations of numbers whose squares overflow or underflow."""

    @pytest.mark.parametrize("scale", [1e-200, 1e200, 1.0, 1e-320])
    def test_a_norm(self, scale):
        value, gradient = differentiated(mg.norm, np.array([3.0, 4.0]) * scale)
        rel = 1e-12 if scale > 1e-300 else 1e-2  # subnormal numbers have few digits
        assert value == pytest.approx(5 * scale, rel=rel, abs=0)
        assert gradient == pytest.approx([0.6, 0.8], rel=rel)

    def test_rows_of_different_scale(self):
        x = np.array([[3.0, 4.0], [3e200, 4e200], [3e-200, 4e-200], [0, 0], [INF, 1]])
        assert mg.norm(x, axis=1).data == pytest.approx([5, 5e200, 5e-200, 0, INF], rel=1e-12, abs=0)
        assert mg.norm(x, axis=1, keepdims=True).shape == (5, 1)
        assert mg.norm(np.zeros((0, 3)), axis=0).data.tolist() == [0, 0, 0]

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_a_deviation(self, scale):
        value, gradient = differentiated(lambda x: mg.std(x), np.array([1.0, 3.0]) * scale)
        assert value == pytest.approx(scale, rel=1e-12, abs=0) and gradient == pytest.approx([-0.5, 0.5], rel=1e-12)

    def test_float16(self):
        assert mg.norm(np.full(4, 300, np.float16)).data == np.float16(600)
        assert mg.std(np.array([-60000, 60000], np.float16)).data == np.float16(60000)

    @pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
    def test_a_norm_has_no_second_derivative_at_zero(self):
        assert not np.isfinite(second(mg.norm, [0.0, 0.0])).any()
        assert np.isnan(second(lambda x: mg.norm(x) ** 2, [0.0, 0.0])).all()  # 0 would be wrong: (x * x).sum() has 2
        assert second(lambda x: (x * x).sum(), [0.0, 0.0]).tolist() == [2, 2]
        assert second(lambda x: mg.norm(x) ** 2, [3.0, 4.0]) == pytest.approx([2, 2])

    def test_a_deviation_of_one_number_is_constant(self):
        assert second(lambda x: mg.std(x, axis=-1), [[1.0], [2.0]]).tolist() == [[0], [0]]


class TestFloat16:
    """Counts and sums above 65504, its largest number."""

    COUNT = 70_000

    def of_ones(self, f):
        x = mg.Tensor(np.ones(self.COUNT, np.float16), requires_grad=True)
        out = f(x)
        out.backward()
        assert out.dtype == x.grad.dtype == np.float16
        return out.item(), x.grad

    @pytest.mark.parametrize("f, value, slope", [
        (mg.max, 1, 1 / COUNT), (mg.min, 1, 1 / COUNT), (mg.mean, 1, 1 / COUNT), (mg.prod, 1, 1),
        (lambda x: mg.losses.mse(x, np.zeros(70_000, np.float16)), 1, 2 / COUNT),
        (lambda x: mg.losses.mse(x, np.zeros(70_000, np.float16), mask=np.ones(70_000, bool)), 1, 2 / COUNT),
        (mg.logsumexp, 1 + math.log(COUNT), 1 / COUNT), (lambda x: -mg.log_softmax(x)[0], math.log(COUNT), 1 / COUNT)])
    def test_of_equal_numbers(self, f, value, slope):
        found, gradient = self.of_ones(f)
        assert found == pytest.approx(value, rel=2e-3)
        assert gradient[1:].astype(float) == pytest.approx(slope, rel=1e-2)

    def test_the_variance(self):
        x = mg.Tensor(np.tile(np.array([-4, 4], np.float16), self.COUNT // 2), requires_grad=True)
        mg.var(x).backward()
        assert mg.var(x).item() == 16 and mg.std(x).item() == 4 and mg.std(x, ddof=1).item() == 4
        assert x.grad[:2].astype(float) == pytest.approx([-8 / self.COUNT, 8 / self.COUNT], rel=2e-2)

    def test_sums_and_products_may_exceed_the_range_in_between(self):
        x = np.array([60000, 60000, -60000], np.float16)
        assert mg.sum(x).item() == 60000
        with np.errstate(over="ignore"):  # of 120000
            assert mg.cumsum(x).data.tolist() == [60000, INF, 60000]
        assert mg.prod(np.array([1000, 1000, 0.01], np.float16)).item() == pytest.approx(1e4, rel=1e-2)
        assert mg.vecdot(np.array([300, 300], np.float16), np.array([300, -300], np.float16)).item() == 0


class TestLosses:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_a_small_cross_entropy_is_exact(self, dtype):
        value, gradient = differentiated(
            lambda x: mg.losses.binary_cross_entropy(x, np.array([1, 0]), "none"), [30.0, -30.0], dtype=dtype)
        assert value.dtype == dtype
        assert value == pytest.approx([math.exp(-30)] * 2, rel=1e-5, abs=0)
        assert gradient == pytest.approx([-math.exp(-30), math.exp(-30)], rel=1e-5, abs=0)

    @pytest.mark.parametrize("loss", [mg.losses.binary_cross_entropy, mg.losses.mse, mg.losses.mae, mg.losses.huber])
    @pytest.mark.parametrize("target", [np.array([0, 1]), np.array([False, True]), [0, 1]])
    def test_targets_that_are_integers_keep_the_type_of_the_prediction(self, loss, target):
        x = mg.Tensor(np.array([0.5, -1], np.float32), requires_grad=True)
        result = loss(x, target)
        result.backward()
        assert result.dtype == x.grad.dtype == np.float32
        assert result.item() == pytest.approx(loss(x, np.array(target, np.float32)).item())


class TestCompiled:
    def program(self, dtype):
        """Return a definition with sigmoids in its loop and outside of it, and its weight."""
        cell = Cell("tail")
        w = mg.Tensor(np.ones(1, dtype), requires_grad=True, name="w")
        x, z, y, L = cell.input("x", 1), cell.signal("z", 1), cell.signal("y", 1), cell.signal("L", ())
        z[t] = mg.sigmoid(w * x[t] + 0 * z[t-1])
        y[t] = mg.sigmoid(w * x[t])
        L[t] = (-mg.log(z[t]) - mg.log(y[t])).sum(axis=-1)
        return cell, w

    @pytest.mark.parametrize("dtype, x", [("float64", -40.0), ("float64", -700.0), ("float32", -20.0),
                                          ("float32", -85.0), ("float64", 1000.0), ("float32", 200.0)])
    def test_sigmoids_keep_their_tail(self, dtype, x):
        cell, w = self.program(dtype)
        data = np.full((3, 1), x, dtype)
        fast = cell.compile(loss="L")(x=data)
        gradient = w.grad
        run = cell.unroll(x=data)
        assert fast.outputs["z"] == pytest.approx(run["z"].stack().data, rel=1e-6, abs=0)
        assert fast.outputs["y"] == pytest.approx(run["y"].stack().data, rel=1e-6, abs=0)
        assert float(fast.loss) == pytest.approx(6 * max(-x, 0), rel=1e-6)
        assert gradient == pytest.approx(-6 * x if x < 0 else 0, rel=1e-5)

    @pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
    def test_beyond_its_range_a_sigmoid_is_the_smallest_number_of_which_the_reciprocal_is_finite(self, dtype):
        cell, _ = self.program(dtype)
        fast = cell.compile(loss="L")(x=np.array([[-INF], [-1e4]], dtype))
        floor = 2 / float(np.finfo(dtype).max)
        assert fast.outputs["z"].astype(float) == pytest.approx(floor, rel=1e-2, abs=0)
        assert np.isfinite(float(fast.loss))


def test_the_derivative_of_direction_is_the_formula():
    mg.check_op(ops.Direction(), np.array([1.0, -2.0]), np.array([3.0, 0.5]), order=2)


@pytest.mark.parametrize("value, times", [(3.0, 1), (1e-170, 2), (1e170, 2), (INF, 2), (0.0, 2)])
def test_a_length_is_computed_again_only_where_squares_over_or_underflow(value, times):
    calls = []

    def root(x):
        calls.append(x)
        return np.sqrt(np.sum(x * x))

    found = ops.rescaled(root, np.array([value, -value]), None)
    np.testing.assert_allclose(found, math.sqrt(2) * value, rtol=1e-15)
    assert len(calls) == times
