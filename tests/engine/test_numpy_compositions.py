"""NumPy's functions that are several operations: their values are NumPy's, their derivatives those of central
differences, to second order; and the cases at which definitions differ."""

import math

import numpy as np
import pytest
from cases import thinned
from numpy_calls import CALLS, SYMMETRIC, name_of, parts_of, with_arrays
from operation_cases import spread, symmetric

import minigrad as mg

WIDENED = {np.quantile, np.percentile, np.cov, np.corrcoef, np.interp, np.inner}  # NumPy makes float64 of float32


def tensors_in(arguments, dtype=float):
    """Return the arguments with tensors, and the list of these."""
    found = []

    def tensor(x):
        found.append(mg.Tensor(x.astype(dtype), requires_grad=True))
        return found[-1]

    return with_arrays(arguments, tensor), found


@pytest.mark.parametrize("case", [*CALLS, *SYMMETRIC], ids=name_of)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_types_are_numpys(case, dtype):
    function, arguments, options = case
    options = {name: x.astype(dtype) if isinstance(x, np.ndarray) else x for name, x in options.items()}
    arguments = [dtype if x is np.float64 else x for x in arguments]
    arrays = with_arrays(arguments, lambda x: x.astype(dtype))
    theirs = function(*arrays, **options)
    given, tensors = tensors_in(arguments, dtype)
    ours = function(*given, **options)
    assert isinstance(ours, tuple) == isinstance(theirs, tuple)
    assert len(parts_of(ours)) == len(parts_of(theirs))
    for a, b in zip(parts_of(ours), parts_of(theirs)):
        assert isinstance(a, mg.Tensor) and a.shape == np.shape(b)
        assert a.dtype == (dtype if function in WIDENED else np.asarray(b).dtype)
        tolerance = 1e-12 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(a.data, b, rtol=tolerance, atol=tolerance)
    assert any(x.requires_grad for x in parts_of(ours)) or not tensors


@pytest.mark.parametrize("case", thinned(map(pytest.param, [*CALLS, *SYMMETRIC]), 4), ids=name_of)
def test_derivatives_agree_with_central_differences_to_second_order(case):
    function, arguments, options = case
    arrays = []
    with_arrays(arguments, arrays.append)
    arrays += [x for x in options.values() if isinstance(x, np.ndarray)]
    finite = [np.where(np.isfinite(x), x, 0.5) for x in arrays]
    gaps = [np.where(np.isfinite(x), 0, x) for x in arrays]  # NaN and infinities are added to what is differentiated

    def f(*tensors):
        rest = iter([x + gap if not np.isfinite(gap).all() else x for x, gap in zip(tensors, gaps)])
        given = with_arrays(arguments, lambda x: next(rest))
        named = {name: next(rest) if isinstance(x, np.ndarray) else x for name, x in options.items()}
        if any(case is one for one in SYMMETRIC):
            given[0] = (given[0] + np.swapaxes(given[0], -1, -2)) / 2
        return np.concatenate([np.ravel(x) for x in parts_of(function(*given, **named)) if x.requires_grad])

    assert mg.gradcheck(f, finite, order=2) < 1e-4


def gradient(f, *arrays):
    """The gradients of the sum of f, by all arguments."""
    tensors = [mg.Tensor(np.array(x, float), requires_grad=True) for x in arrays]
    found = [g.tolist() for g in mg.grad(f(*tensors).sum(), tensors)]
    return found if len(found) > 1 else found[0]


def second(f, x, direction):
    """The derivative of f's gradient along a direction."""
    x = mg.Tensor(np.array(x, float), requires_grad=True)
    first = mg.grad(f(x), x, create_graph=True)
    return mg.grad((first * direction).sum(), x)


class TestSteps:
    """Functions that are constant between jumps have the derivative 0, at the jumps too."""

    @pytest.mark.parametrize("f", [np.floor, np.ceil, np.trunc, np.rint, np.round, np.fix, np.sign, np.around,
                                   lambda x: x // 0.5, lambda x: 1.0 // x])
    def test_the_derivative_is_zero(self, f):
        assert gradient(f, [-1.5, -1.0, 0.5, 1.0]) == [0, 0, 0, 0]

    def test_python_rounds_by_the_same_operations(self):
        x = mg.Tensor([-1.5, 0.5, 2.56], requires_grad=True)
        assert round(x).data.tolist() == [-2, 0, 3] and round(x, 1).data.tolist() == [-1.5, 0.5, 2.6]
        assert math.floor(x).data.tolist() == [-2, 0, 2] and math.ceil(x).data.tolist() == [-1, 1, 3]
        assert math.trunc(x).data.tolist() == [-1, 0, 2]
        assert x.round(1).data.tolist() == x.data.round(1).tolist()

    @pytest.mark.parametrize(("a", "b"), [(5.3, 2.0), (-5.3, 2.0), (5.3, -2.0), (-5.3, -2.0), (4.0, 2.0)])
    def test_remainders_are_pythons_and_their_derivatives_pytorchs(self, a, b):
        x, y = mg.Tensor(a, requires_grad=True), mg.Tensor(b, requires_grad=True)
        assert (x % y).item() == a % b == (x % b).item() == (a % y).item()
        assert (x // y).item() == a // b == (x // b).item() == (a // y).item()
        assert [part.item() for part in divmod(x, y)] == list(divmod(a, b))
        assert [part.item() for part in divmod(a, y)] == list(divmod(a, b))
        assert np.fmod(x, y).item() == math.fmod(a, b)
        assert gradient(lambda x, y: x % y, a, b) == [1, -(a // b)]  # torch.remainder
        assert gradient(np.fmod, a, b) == [1, -math.trunc(a / b)]  # torch.fmod

    def test_remainders_of_float32_stay_float32(self):
        x = mg.Tensor(np.array([1.5], np.float32))
        assert (x % 0.7).dtype == (x // 0.7).dtype == (0.7 % x).dtype == np.float32


class TestAtKinksAndEnds:
    def test_sorted_elements_that_tie_keep_their_own_gradients(self):
        x = mg.Tensor([2.0, 1.0, 2.0, 1.0], requires_grad=True)
        np.sort(x).backward([1.0, 2.0, 3.0, 4.0])
        assert x.grad.tolist() == [3, 1, 4, 2]

    def test_the_median_of_ties_takes_the_middle_ones_in_order(self):
        assert gradient(np.median, [2, 2, 2]) == [0, 1, 0]
        assert gradient(np.median, [3, 1, 3, 1]) == [0.5, 0, 0, 0.5]

    def test_nan_stays_nan_in_a_median_and_is_ignored_by_nan_functions(self):
        x = mg.Tensor([[np.nan, 1.0, 2.0], [1.0, 5.0, 3.0]], requires_grad=True)
        assert np.isnan(np.median(x, axis=1).data).tolist() == [True, False]
        assert np.isnan(np.quantile(x, 0.2, axis=1).data).tolist() == [True, False]
        (np.nansum(x, axis=1) ** 2).sum().backward()
        assert x.grad.tolist() == [[0, 6, 6], [18, 18, 18]]

    def test_nan_functions_of_nothing_but_nan(self):
        x = mg.Tensor([np.nan, np.nan], requires_grad=True)
        with np.errstate(invalid="ignore"):
            assert [np.isnan(function(x).item()) for function in (np.nanmax, np.nanmin, np.nanmean)] == [True] * 3
        assert (np.nansum(x).item(), np.nanprod(x).item()) == (0, 1)

    def test_the_largest_but_nan_shares_its_gradient_among_ties(self):
        assert gradient(np.nanmax, [1, np.nan, 3, 3]) == [0, 0, 0.5, 0.5]
        assert gradient(np.fmax, [1, 2, np.nan], [1, np.nan, 3]) == [[0.5, 1, 0], [0.5, 0, 1]]

    def test_angles_and_lengths_at_the_origin_have_the_derivative_zero(self):
        assert gradient(np.hypot, 0, 0) == gradient(np.arctan2, 0, 0) == [0, 0]
        assert gradient(np.hypot, 1e200, 1e200) == pytest.approx([0.5 ** 0.5] * 2)
        assert gradient(np.arctan2, 3e-200, 4e-200) == pytest.approx([0.16e200, -0.12e200])
        assert gradient(np.arcsinh, [1e200, 0]) == pytest.approx([1e-200, 1])

    @pytest.mark.parametrize("size", [1e17, -1e17, 1e300])
    @pytest.mark.parametrize("function", [np.logaddexp, np.logaddexp2])
    def test_each_of_two_equal_numbers_gets_half_of_the_gradient_of_logaddexp(self, function, size):
        a, b = (mg.Tensor(size, requires_grad=True) for _ in range(2))
        function(a, b).backward()  # the result is a or b: log(2) is lost in rounding
        assert (a.grad, b.grad) == (0.5, 0.5)

    def test_logaddexp_of_infinities(self):
        inf = np.inf
        a, b = mg.Tensor([-inf, -inf, inf, inf, 2000.0], requires_grad=True), \
            mg.Tensor([-inf, 1.0, 5.0, -inf, 0.0], requires_grad=True)
        for function in (np.logaddexp, np.logaddexp2):
            assert function(a, b).data.tolist() == [-inf, 1, inf, inf, 2000]
            slopes = mg.grad(function(a, b), [a, b], np.ones(5))
            assert [g.tolist() for g in slopes] == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0]]

    def test_norms_of_zeros_have_the_derivative_zero(self):
        for order in (None, 1, 2, 3, 1.5, 0):
            assert gradient(lambda x: np.linalg.norm(x, order), [0, 0]) == [0, 0]  # noqa: B023

    def test_sinc_is_exact_near_zero(self):
        x = np.array([0.0, 1e-9, 1e-4, -1e-4, 0.1])
        series = [math.pi * sum((-1) ** k * 2 * k * (math.pi * v) ** (2 * k - 1) / math.factorial(2 * k + 1)
                                for k in range(1, 9)) for v in x]
        assert gradient(np.sinc, x) == pytest.approx(series, rel=1e-14)

    def test_running_products_with_zeros(self):
        assert gradient(np.cumprod, [0, 0, 2]) == [1, 0, 0]
        assert gradient(np.cumprod, [2, 0, 3]) == [1, 8, 0]

    def test_a_long_running_product_is_no_loop(self):
        x = mg.Tensor(np.ones(50_000), requires_grad=True)
        np.cumprod(x).sum().backward()
        assert x.grad.tolist() == list(range(50_000, 0, -1))


class TestLinearAlgebra:
    @pytest.mark.parametrize("x", [
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 2, 3], [2, 4, 6], [3, 6, 9]], np.zeros((3, 3))],
        ids=["rank 2", "rank 1", "rank 0"])
    def test_the_derivative_of_the_determinant_of_a_singular_matrix_is_the_cofactors(self, x):
        minors = [[np.linalg.det(np.delete(np.delete(np.array(x, float), i, 0), j, 1)) * (-1) ** (i + j)
                   for j in range(3)] for i in range(3)]
        np.testing.assert_allclose(gradient(np.linalg.det, x), minors, atol=1e-12)
        mg.gradcheck(np.linalg.det, [np.array(x, float)], order=2)

    def test_ill_conditioned_determinants(self):
        n = 8
        hilbert = 1 / (np.arange(n)[:, None] + np.arange(n) + 1.0)  # its condition number is 1.5e10
        slopes = np.array(gradient(np.linalg.det, hilbert))
        np.testing.assert_allclose((slopes * hilbert).sum(1), np.linalg.det(hilbert), rtol=1e-5)  # Laplace's expansion

    def test_the_second_derivative_of_a_small_determinant(self):
        # d²det / dx[0,0] dx[1,1] of a 3 x 3 matrix is x[2,2].
        x = [[1, 2, 0.5], [2, 4, 1.0], [3, 1, 7.0]]
        unit = np.zeros((3, 3))
        unit[0, 0] = 1
        assert second(np.linalg.det, x, unit) == pytest.approx(np.array([[0, 0, 0], [0, 7, -1], [0, -1, 4.0]]))

    def test_equal_eigenvalues_and_singular_values_have_derivatives_in_sum(self):
        eye = np.eye(3)
        assert gradient(np.linalg.eigvalsh, eye) == pytest.approx(eye)
        assert gradient(lambda x: np.linalg.norm(x, "nuc"), eye) == pytest.approx(eye)
        assert gradient(lambda x: np.linalg.svdvals(x) ** 2, 3 * eye) == pytest.approx(6 * eye)

    def test_functions_of_a_symmetric_matrix_have_symmetric_gradients(self):
        x = symmetric((3, 3))
        for function in (np.linalg.cholesky, np.linalg.eigvalsh, lambda x: np.linalg.eigh(x)[1] ** 3):
            slopes = np.array(gradient(function, x))
            np.testing.assert_allclose(slopes, slopes.T, rtol=1e-12)

    def test_a_matrix_is_the_product_of_its_parts(self):
        x = mg.Tensor(spread((2, 3, 4)), requires_grad=True)
        U, S, Vh = np.linalg.svd(x, full_matrices=False)
        again = (U * np.expand_dims(S, -2)) @ Vh
        upstream = spread((2, 3, 4), seed=3)
        np.testing.assert_allclose(again.data, x.data, rtol=1e-12)
        np.testing.assert_allclose(mg.grad(again, x, upstream), upstream, rtol=1e-9, atol=1e-9)
        s = mg.Tensor(symmetric((2, 3, 3)), requires_grad=True)
        values, vectors = np.linalg.eigh(s)
        again = (vectors * np.expand_dims(values, -2)) @ vectors.mT
        upstream = symmetric((2, 3, 3), seed=3)
        np.testing.assert_allclose(mg.grad(again, s, upstream), upstream, rtol=1e-9, atol=1e-9)

    def test_upper_factors(self):
        x = mg.Tensor(symmetric((3, 3)), requires_grad=True)
        if tuple(map(int, np.__version__.split(".")[:2])) >= (2, 0):
            np.testing.assert_array_equal(np.linalg.cholesky(x, upper=True).data, np.linalg.cholesky(x).data.T)

    @pytest.mark.parametrize("function", [np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh])
    def test_a_matrix_of_which_one_half_would_be_read_is_refused(self, function):
        with pytest.raises(ValueError, match=r"symmetric matrix.*test_numpy_compositions.py:\d+\).*\(a \+ a\.mT\) / 2"):
            function(mg.Tensor([[2.0, 1.0], [0.0, 2.0]], requires_grad=True))

    def test_singular_matrices_are_refused_by_name(self):
        x = mg.Tensor(np.ones((2, 2)), requires_grad=True, name="A")
        for call in (lambda: np.linalg.inv(x), lambda: np.linalg.solve(x, np.ones(2))):
            with pytest.raises(ValueError, match=r"Singular matrix\n  in (Inv|Solve).*\n.*A"):
                call()
        assert np.linalg.slogdet(x).logabsdet.item() == -np.inf
        with pytest.raises(ValueError, match="Singular matrix"):
            np.linalg.slogdet(x).logabsdet.backward()

    def test_empty_stacks(self):
        x = mg.Tensor(np.zeros((0, 3, 3)), requires_grad=True)
        for function in (np.linalg.inv, np.linalg.det, np.linalg.pinv, np.linalg.svdvals, np.linalg.eigvalsh,
                         np.linalg.cholesky):
            assert mg.grad(function(x).sum(), x).shape == (0, 3, 3)


class TestErrors:
    X = spread((3, 4))

    @pytest.mark.parametrize(("call", "words"), [
        (lambda x: np.linalg.svd(x), "full_matrices=False"), (lambda x: np.linalg.norm(x, 3), "no norm of order 3"),
        (lambda x: np.linalg.norm(x, "max"), "no norm of order 'max'"), (lambda x: np.linalg.det(x), "square"),
        (lambda x: np.linalg.matrix_power(x, 2), "square matrices"),
        (lambda x: np.convolve(x[0], x[0], "half"), '"same"'),
        (lambda x: np.quantile(x, 1.5), "from 0 to 1"),
        (lambda x: np.quantile(x, 0.5, method="lower"), "method='lower'"),
        (lambda x: np.tensordot(x, x, 1), "their lengths differ"), (lambda x: np.cross(x, x), "three elements"),
        (lambda x: np.diff(x, -1), "0 or more"), (lambda x: np.diag(x[None]), "vector or a matrix"),
        (lambda x: np.average(x, axis=1, weights=np.ones(3)), "don't fit the axes"),
        (lambda x: np.interp(x, x, x), "as many values as points"), (lambda x: np.tril(x[0]), "two axes"),
        (lambda x: np.select([x > 0, x < 0], [x]), "as many choices"), (lambda x: np.block([x, [x]]), "nested equally"),
        (lambda x: np.meshgrid(x[0], indexing="yx"), '"xy" or "ij"'), (lambda x: np.vsplit(x[0], 2), "two axes"),
        (lambda x: np.roll(x, 1, 2), "out of bounds"), (lambda x: np.median(x, 2), "out of bounds"),
        (lambda x: np.median(x, (0, 0)), "repeated axis")])
    def test_value_errors(self, call, words):
        with pytest.raises(ValueError, match=words):
            call(mg.Tensor(self.X, requires_grad=True))

    @pytest.mark.parametrize(("call", "words"), [
        (lambda x: np.median(x, out=np.zeros(())), "np.median with out= .*gradient would be lost"),
        (lambda x: np.cumprod(x, dtype=np.float32), "np.cumprod with dtype= .*astype"),
        (lambda x: np.nanmean(x, where=x.data > 0), "np.nanmean with where="),
        (lambda x: np.median(x, overwrite_input=True), "np.median with overwrite_input="),
        (lambda x: np.cov(x, fweights=[1, 2, 1, 1]), "np.cov with fweights="),
        (lambda x: np.linalg.pinv(x, hermitian=True), "np.linalg.pinv with hermitian="),
        (lambda x: np.quantile(x, 0.5, weights=x.data), "np.quantile with weights="),
        (lambda x: np.interp(x, [0, 1], [0, 1], period=2), "np.interp with period="),
        (lambda x: np.full_like(x, 1.0, dtype=np.float32), "np.full_like with dtype="),
        (lambda x: np.floor(x, out=np.zeros((3, 4))), "np.floor can't write"),
        (lambda x: np.divmod(x, 2.0, where=x.data > 0), "np.divmod with where"),
        (lambda x: np.average(x, weights=np.ones(4)), "needs an axis"),
        (lambda x: np.nan_to_num(x, copy=False), "copy=False"),
        (lambda x: np.remainder.reduce(x), "np.remainder.reduce"),
        (lambda x: np.linalg.matrix_power(x[:, :3], 0.5), "whole number"),
        (lambda x: np.select([x.data], [x]), "arrays of bools")])
    def test_type_errors(self, call, words):
        with pytest.raises(TypeError, match=words):
            call(mg.Tensor(self.X, requires_grad=True))


@pytest.mark.parametrize("call", [
    lambda x: x % 2, lambda x: x // 2, lambda x: 7 // x, lambda x: x.round(), np.floor, np.median, np.cumprod, np.copy,
    np.nan_to_num, np.average, np.diff, np.sort, np.nanmean, np.nanvar, np.nanmax, np.nanmin, np.fabs, np.sinc, np.cov,
    lambda x: np.polyval([1, 2], x), lambda x: np.interp(x, [0, 1], [0, 1]), lambda x: np.full_like(x, 2.5),
    lambda x: np.linalg.norm(x, 0), lambda x: np.linalg.norm(x, 3), np.reciprocal, lambda x: np.quantile(x, 0.5)])
def test_integers_have_numpys_values_and_types(call):
    x = np.array([3, -5, 4])
    ours, theirs = call(mg.Tensor(x)), call(x)
    assert ours.data.tolist() == np.asarray(theirs).tolist() and ours.dtype == np.asarray(theirs).dtype
