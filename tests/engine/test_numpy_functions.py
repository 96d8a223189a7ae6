"""NumPy's functions and methods on Tensors: they become operations, or refuse; none cuts the graph unseen."""

import functools
import inspect
import warnings

import numpy as np
import numpy_calls
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.numpy_functions import TRANSLATIONS, WITHOUT_DERIVATIVE
from minigrad.operators import COMPARISONS, UFUNCS
from minigrad.recipes.functions import NUMPY, recipe_for


def tensor(shape=(2, 3)):
    return mg.Tensor(np.linspace(0.2, 0.9, int(np.prod(shape))).reshape(shape), requires_grad=True, name="x")


X = tensor().data.copy()

# NumPy's spelling, as in other people's programs -> the arguments after x
CALLS = [
    (np.sum, {}), (np.sum, {"axis": 0}), (np.sum, {"axis": (0, 1), "keepdims": True}),
    (np.sum, {"axis": 1, "dtype": None}),
    (np.mean, {"axis": -1, "keepdims": True}), (np.var, {"axis": 0, "ddof": 1}),
    (np.std, {"ddof": 1, "keepdims": True}),
    (np.prod, {"axis": 1}), (np.max, {"axis": 0}), (np.min, {"keepdims": True}), (np.amax, {"axis": 1}), (np.amin, {}),
    (np.cumsum, {"axis": 1}), (np.cumsum, {}), (np.linalg.norm, {}), (np.linalg.norm, {"axis": 1, "keepdims": True}),
    (np.linalg.norm, {"ord": "fro"}), (np.linalg.norm, {"ord": 1, "axis": 0}),
    (np.linalg.norm, {"ord": np.inf, "axis": 0}),
    (np.clip, {"a_min": 0.3, "a_max": 0.5}), (np.clip, {"min": 0.3, "max": None}),
    (np.reshape, {"shape": (3, 2)}), (np.reshape, {"shape": -1}), (np.ravel, {}), (np.squeeze, {}),
    (np.expand_dims, {"axis": 1}), (np.transpose, {}), (np.transpose, {"axes": (1, 0)}),
    (np.swapaxes, {"axis1": 0, "axis2": 1}), (np.moveaxis, {"source": 0, "destination": -1}),
    (np.broadcast_to, {"shape": (2, 2, 3)}), (np.flip, {}), (np.flip, {"axis": 1}), (np.pad, {"pad_width": 1}),
    (np.pad, {"pad_width": ((0, 1), (2, 0)), "mode": "constant", "constant_values": 7.0}), (np.tile, {"reps": (2, 1)}),
    (np.repeat, {"repeats": 2, "axis": 0}), (np.take, {"indices": [0, 0], "axis": 1}),
    (np.take_along_axis, {"indices": np.argsort(-X, axis=1), "axis": 1}),
]


def name_of(value):
    return value.__name__ if callable(value) else ",".join(value) if isinstance(value, dict) else None


@pytest.mark.parametrize("function, options", CALLS, ids=name_of)
def test_a_numpy_function_gives_numpys_values_and_a_gradient(function, options):
    x = tensor()
    ours, theirs = function(x, **options), function(X, **options)
    np.testing.assert_allclose(ours.data, theirs)
    assert ours.dtype == theirs.dtype
    ours.sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize("ufunc", UFUNCS, ids=name_of)
def test_a_ufunc_is_one_operation(ufunc):
    shapes = [(3, 3), (3, 3)] if ufunc in (np.matmul, getattr(np, "vecmat", None)) else [(3, 3), (3,)]
    inputs = [tensor(shape) for shape in shapes[:ufunc.nin]]
    with np.errstate(invalid="ignore"):  # the arccosh of numbers below 1
        out = ufunc(*inputs)
        assert out.op is UFUNCS[ufunc] and out.inputs == tuple(inputs)
        np.testing.assert_allclose(out.data, ufunc(*(x.data for x in inputs)))


@pytest.mark.parametrize("call, op", [
    (lambda x: np.where(x > 0.5, x, 0), ops.Where), (lambda x: np.concatenate([x, X], axis=1), ops.Concatenate),
    (lambda x: np.concatenate((X, x), axis=None), ops.Concatenate), (lambda x: np.stack([x, X], axis=-1), ops.Stack),
    (lambda x: np.hstack((X, x)), ops.Concatenate), (lambda x: np.vstack([x[0], x[1]]), ops.Concatenate),
    (lambda x: np.split(x, 3, axis=1)[2], ops.GetItem), (lambda x: np.split(x, [1])[1], ops.GetItem),
    (lambda x: np.einsum("ij,kj->ik", X, x), ops.EinSum), (lambda x: np.einsum("ij->j", x, optimize=True), ops.EinSum),
    (lambda x: np.outer(x[0], X[0]), ops.Mul), (lambda x: np.dot(X.T, x), ops.MatMul),
    (lambda x: np.dot(2.0, x), ops.Mul),
    (lambda x: X.T @ x, ops.MatMul), (lambda x: X * x, ops.Mul), (lambda x: X - x, ops.Sub),
    (lambda x: X ** x, ops.Pow),
    (lambda x: np.float64(2) / x, ops.Div), (lambda x: 2 ** x, ops.Pow), (lambda x: np.add(x, [1, 2, 3]), ops.Add)])
def test_tensors_and_arrays_may_be_mixed_in_any_place(call, op):
    x = tensor()
    out = call(x)
    assert isinstance(out.op, op)
    out.sum().backward()
    assert x.grad.shape == x.shape and x.grad.any()


@pytest.mark.parametrize("call, expected", [
    (lambda x: x.sum(0), X.sum(0)), (lambda x: x.mean(axis=1, keepdims=True), X.mean(axis=1, keepdims=True)),
    (lambda x: x.var(ddof=1), X.var(ddof=1)), (lambda x: x.std(axis=0), X.std(axis=0)),
    (lambda x: x.prod(1), X.prod(1)),
    (lambda x: x.max(), X.max()), (lambda x: x.min(axis=0), X.min(axis=0)), (lambda x: x.cumsum(1), X.cumsum(1)),
    (lambda x: x.clip(0.3, 0.6), X.clip(0.3, 0.6)), (lambda x: x.dot(X.T), X.dot(X.T)),
    (lambda x: x.reshape(3, 2), X.reshape(3, 2)),
    (lambda x: x.reshape((3, -1)), X.reshape(3, 2)), (lambda x: x.ravel(), X.ravel()),
    (lambda x: x.flatten(), X.flatten()),
    (lambda x: x.reshape(1, 6).squeeze(0), X.ravel()), (lambda x: x.swapaxes(0, 1), X.T),
    (lambda x: x.repeat(2, 1), X.repeat(2, 1)),
    (lambda x: x.take([1, 1], 0), X.take([1, 1], 0)), (lambda x: x.transpose(), X.T),
    (lambda x: x.transpose(1, 0), X.T),
    (lambda x: x.transpose((1, 0)), X.T), (lambda x: x.transpose(None), X.T), (lambda x: x.T, X.T),
    (lambda x: abs(x), X),
    (lambda x: x.astype(np.float32), X.astype(np.float32)), (lambda x: x[[0, 0], 1:], X[[0, 0], 1:])])
def test_the_methods_of_arrays(call, expected):
    out = call(tensor())
    assert out.requires_grad
    np.testing.assert_array_equal(out.data, expected)


class TestWithoutDerivative:
    """Truth values, positions and shapes are plain arrays and numbers, as nothing can flow through them."""

    @pytest.mark.parametrize("call", [
        np.argmax, np.argmin, lambda x: np.argmax(x, axis=0), lambda x: np.argmax(x, axis=1, keepdims=True), np.argsort,
        np.isnan, np.isfinite, np.isinf, np.signbit, lambda x: np.greater(x, 0.5),
        lambda x: np.logical_and(x > 0.5, x < 0.8),
        lambda x: np.any(x > 0.5, axis=0), lambda x: np.allclose(x, X),
        lambda x: np.array_equal(X, x), np.shape, np.ndim, np.size,
        lambda x: np.size(x, 1), np.zeros_like, np.ones_like, lambda x: np.count_nonzero(x, axis=1), np.result_type,
        lambda x: np.searchsorted([0.3, 0.5], x), lambda x: x.argmax(), lambda x: x.argmin(axis=1), lambda x: x == X])
    def test_they_are_numpys(self, call):
        ours, theirs = call(tensor()), call(X)
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)


class TestRefusals:
    @pytest.mark.parametrize("call, name, recipe", [
        (lambda x: np.nanmedian(x), "np.nanmedian", "np.median"), (lambda x: np.unique(x), "np.unique", "return_index"),
        (lambda x: np.linalg.qr(x), "np.linalg.qr", "np.linalg.cholesky"),
        (lambda x: np.modf(x), "np.modf", "np.trunc"),
        (lambda x: np.fft.fft(x), "np.fft.fft", "complex"), (lambda x: np.fft.rfft2(x), "np.fft.rfft2", "complex"),
        (lambda x: np.linalg.eig(x[:, :2]), "np.linalg.eig", "np.linalg.eigh"),
        (lambda x: np.spacing(x), "np.spacing", ""),
        (lambda x: np.savez("file", x), "np.savez", "mg.save"),
        (lambda x: np.bitwise_or(x, 1), "np.bitwise_or", "integers"),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), "np.lib.stride_tricks.sliding_window_view", "x[np"),
        (lambda x: np.histogram(x), "np.histogram", "x.data"), (lambda x: np.put(x, 0, 1.0), "np.put", "np.where")])
    def test_an_unsupported_function_is_named_with_a_recipe(self, call, name, recipe):
        with pytest.raises(TypeError, match=f"^{name} has no derivative here") as error:
            call(tensor())
        assert recipe in str(error.value) and len(str(error.value)) < 500
        assert "test_numpy_functions.py" in str(error.value) and "minigrad.Op" in str(error.value)

    def test_a_ufunc_of_another_library_is_not_called_numpys(self):
        def square(x):
            return x * x

        with pytest.raises(TypeError, match=r"^the ufunc square \(vectorized\) has no derivative"):
            np.frompyfunc(square, 1, 1)(tensor())
        assert "mg.sigmoid(x)" in recipe_for("the ufunc expit")

    def test_the_functions_of_scipy_have_recipes(self):
        special = pytest.importorskip("scipy.special")
        with pytest.raises(TypeError, match=r"^the ufunc expit has no derivative .*Write mg\.sigmoid"):
            special.expit(tensor())

    def test_every_recipe_is_for_a_function_that_is_refused(self):
        known = {*TRANSLATIONS, *WITHOUT_DERIVATIVE, *UFUNCS, *COMPARISONS}
        for name in NUMPY:
            if name.startswith("np.") and not name.endswith("."):
                assert functools.reduce(getattr, name.split(".")[1:], np) not in known, name

    def test_a_list_of_tensors_is_to_be_stacked(self):
        x = tensor(())
        with pytest.raises(TypeError, match=r"mg\.stack for a list of tensors;"):
            np.sum([x, x])

    @pytest.mark.parametrize("call, words", [
        (lambda x: np.sum(x, out=np.zeros(())), r"np.sum with out= .*the gradient would be lost"),
        (lambda x: np.mean(x, dtype=np.float32), r"np.mean with dtype= .*astype"),
        (lambda x: np.sum(x, where=X > 0), r"np.sum with where= .*it takes x, axis, keepdims"),
        (lambda x: np.max(x, initial=3.0), "np.max with initial="),
        (lambda x: np.concatenate([x, x], dtype=np.float32), "np.concatenate with dtype="),
        (lambda x: np.einsum("ij->i", x, out=np.zeros(2)), "np.einsum with out="),
        (lambda x: np.add(x, 1, out=np.zeros((2, 3))), "np.add can't write into an array"),
        (lambda x: np.add(x, 1, where=X > 0.5), "np.add with where"),
        (lambda x: np.exp(x, dtype=np.float32), "np.exp with dtype"),
        (lambda x: np.add.reduce(x), "np.add.reduce"),
        (lambda x: np.multiply.outer(x, x), "np.multiply.outer"),
        (lambda x: np.sum(x, 0, np.float32), "positional"),
        (lambda x: x.sum(0, np.float32), "positional")])
    def test_options_that_would_lose_the_gradient_or_be_ignored(self, call, words):
        with pytest.raises(TypeError, match=words):
            call(tensor())

    def test_adding_to_an_array_in_place(self):
        total = np.zeros((2, 3))
        with pytest.raises(TypeError, match="can't write into an array"):
            total += tensor()
        assert not total.any()

    def test_becoming_an_array(self):
        with pytest.raises(TypeError, match="no gradient reaches"):
            np.asarray(tensor())
        with pytest.raises(TypeError, match="no gradient reaches"):
            np.array([tensor().sum(), 1.0])


# These read and write files, or change settings of the process.
REACH_OUT = {"fromfile", "genfromtxt", "info", "load", "loadtxt", "memmap", "save", "savetxt",
             "savez", "savez_compressed", "set_printoptions", "setbufsize", "seterr", "seterrcall", "show_config",
             "show_runtime", "test", "from_dlpack", "frombuffer"}
PUBLIC = [pytest.param(getattr(module, name), id=f"{module.__name__}.{name}") for module in (np, np.linalg, np.fft)
          for name in sorted(set(module.__all__) - REACH_OUT)
          if callable(getattr(module, name)) and not inspect.isclass(getattr(module, name))]


ARGUMENTS = [(), (1,), (2,), ((2, 3),), ([0, 1],), (X,), (0.5, 0.9), ([0, 1], 0), (0, 1), (X, X)]


def numbers_of(function, rest, place, values):
    """The floats in what the function returns for a tensor with these values at a place among the arguments."""
    x = mg.Tensor(values, requires_grad=True)
    arguments = [(x, *rest), (*rest, x), ([x, x], *rest)][place]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*arguments)
    except Exception:  # refused, or arguments that don't fit
        return []
    parts = result if isinstance(result, (list, tuple)) else [result]
    return [np.array(part) for part in parts
            if isinstance(part, (np.ndarray, float, complex, np.inexact)) and np.asarray(part).dtype.kind in "fcO"]


@pytest.mark.parametrize("function", PUBLIC)
def test_no_public_function_of_numpy_returns_numbers_cut_off_from_the_graph(function):
    """Each is called on tensors of two values, in several places, with arguments that may fit. Numbers that
    aren't Tensors and yet depend on the values would be cut off."""
    for rest in ARGUMENTS:
        for place in range(3):
            for values in (X, X[:, :2], X[0], X[0, 0]):
                one = numbers_of(function, rest, place, values)
                other = numbers_of(function, rest, place, values * 1.1)
                assert len(one) == len(other)
                for a, b in zip(one, other):
                    assert function in (np.empty, np.empty_like) or np.array_equal(a, b, equal_nan=True), \
                        f"{function.__name__} of {rest}, tensor at {place}: {a}"


def test_every_row_of_the_table_is_tested():
    called = {function for function, *_ in [*CALLS, *numpy_calls.CALLS, *numpy_calls.SYMMETRIC]}
    elsewhere = {np.argmax, np.argmin, np.where, np.dot, np.outer, np.einsum, np.concatenate, np.stack, np.hstack,
                 np.vstack, np.split, np.shape, np.ndim, np.size}
    assert set(TRANSLATIONS) == called | elsewhere


@pytest.mark.parametrize("shapes", [((2, 3), (1, 3)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((1,), ()),
                                    ((2, 2, 3), (1, 2, 3)), ((0, 3), (2, 3))], ids=str)
@pytest.mark.parametrize("function", [np.vstack, np.hstack, np.concatenate, np.stack])
def test_joined_parts_of_any_rank_have_the_values_of_numpy_and_each_gets_its_rows(function, shapes):
    parts = [mg.Tensor(np.arange(np.prod(shape, dtype=int)) + 100.0 * (i + 1), requires_grad=True).reshape(shape)
             for i, shape in enumerate(shapes)]
    try:
        expected = function([part.numpy() for part in parts])
    except ValueError:
        with pytest.raises(ValueError):
            function(parts)
        return
    out = function(parts)
    np.testing.assert_array_equal(out.numpy(), expected)
    upstream = np.arange(expected.size, dtype=float).reshape(expected.shape)
    out.backward(upstream)
    for part in parts:  # the gradient of each element is the upstream gradient at its place
        for value, gradient in zip(part.numpy().ravel(), part.grad.ravel()):
            assert upstream[expected == value] == gradient
