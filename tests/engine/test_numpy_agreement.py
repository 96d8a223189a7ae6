"""The values of every function agree with NumPy's, on arrays that hypothesis makes up; and the
gradients of programs that it makes up agree with central differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

FEW = settings(max_examples=25, deadline=None)
NUMBERS = st.floats(-3, 3, width=32)
POSITIVE = st.floats(0.125, 3, width=32)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.sampled_from([np.float64, np.float32])


def arrays(shape=SHAPES, elements=NUMBERS):
    return DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, shape, elements=elements))


def same(ours, theirs):
    """Equal in shape, type and (up to rounding) in value."""
    values = ours.data if isinstance(ours, mg.Tensor) else ours
    theirs = np.asarray(theirs)
    assert values.shape == theirs.shape
    assert values.dtype == theirs.dtype
    tolerance = 1e-5 if theirs.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(values, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["exp", "expm1", "square", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh",
                                  "arctan", "negative"])
@FEW
@given(x=arrays())
def test_functions_of_each_element(name, x):
    same(getattr(mg, name)(x), getattr(np, name)(x))


@pytest.mark.parametrize("name", ["log", "log1p", "log2", "sqrt"])
@FEW
@given(x=arrays(elements=POSITIVE))
def test_functions_of_positive_numbers(name, x):
    same(getattr(mg, name)(x), getattr(np, name)(x))


@pytest.mark.parametrize("f, naive", [
    (mg.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    (mg.softplus, lambda x: np.log(1 + np.exp(x))),
    (mg.relu, lambda x: np.where(x > 0, x, 0)),
    (mg.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    (mg.elu, lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    (mg.gelu, lambda x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x ** 3))))])
@FEW
@given(x=hnp.arrays(np.float64, SHAPES, elements=NUMBERS))
def test_activations_against_their_formula(f, naive, x):
    same(f(x), naive(x))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum"])
@FEW
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), data=st.data())
def test_two_operands_broadcast(name, shapes, data):
    a, b = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    same(getattr(mg, name)(a, b), getattr(np, name)(a, b))


@pytest.mark.parametrize("name", ["divide", "power"])
@FEW
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), data=st.data())
def test_division_and_powers_broadcast(name, shapes, data):
    a, b = (data.draw(arrays(shape, POSITIVE)) for shape in shapes.input_shapes)
    same(getattr(mg, name)(a, b), getattr(np, name)(a, b))


@pytest.mark.parametrize("operate", [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a ** b,
    lambda a, b: a > b, lambda a, b: a >= b, lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a == b,
    lambda a, b: a != b])
@FEW
@given(x=arrays(elements=POSITIVE), number=st.floats(0.5, 2))
def test_operators_with_numbers_on_either_side(operate, x, number):
    tensor = mg.Tensor(x)
    same(operate(tensor, number), operate(x, number))
    same(operate(tensor, x), operate(x, x))
    same(operate(number, tensor), operate(number, x))
    same(operate(tensor, np.float32(number)), operate(x, np.float32(number)))


@FEW
@given(x=arrays())
def test_signs(x):
    same(-mg.Tensor(x), -x)
    same(+mg.Tensor(x), +x)
    same(abs(mg.Tensor(x)), abs(x))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin"])
@FEW
@given(x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)), keepdims=st.booleans(), data=st.data())
def test_reductions(name, x, keepdims, data):
    axes = st.none() | st.integers(-x.ndim, x.ndim - 1)
    if not name.startswith("arg"):
        axes |= hnp.valid_tuple_axes(x.ndim)
    axis = data.draw(axes)
    same(getattr(mg, name)(x, axis, keepdims=keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims))
    same(getattr(mg.Tensor(x), name)(axis), getattr(x, name)(axis))


@FEW
@given(x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=4)), ddof=st.integers(0, 1))
def test_var_and_std_with_ddof(x, ddof):
    same(mg.var(x, -1, ddof=ddof), np.var(x, -1, ddof=ddof))
    same(mg.std(x, 0, ddof=ddof), np.std(x, 0, ddof=ddof))


@FEW
@given(x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)), data=st.data())
def test_cumsum_norm_and_the_softmax_family(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(mg.cumsum(x, axis), np.cumsum(x, axis))
    same(mg.cumsum(x), np.cumsum(x))
    same(mg.norm(x, axis=axis), np.linalg.norm(x, axis=axis))
    same(mg.norm(x), np.linalg.norm(x))
    for order in (1, np.inf):
        same(mg.norm(x, order, axis, True), np.linalg.norm(x, order, axis, True))
    total = np.exp(x).sum(axis, keepdims=True)
    same(mg.softmax(x, axis), np.exp(x) / total)
    same(mg.log_softmax(x, axis), np.log(np.exp(x) / total))
    same(mg.logsumexp(x, axis), np.log(total).squeeze(axis))
    same(mg.logsumexp(x, axis, keepdims=True), np.log(total))


@FEW
@given(shapes=hnp.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3),
       data=st.data())
def test_matmul(shapes, data):
    a, b = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    same(mg.matmul(a, b), np.matmul(a, b))
    same(mg.Tensor(a) @ b, a @ b)
    if b.ndim <= 2:
        same(mg.dot(a, b), np.dot(a, b))


@FEW
@given(shapes=hnp.mutually_broadcastable_shapes(signature="(m,n),(n)->(m)", max_dims=2, max_side=3), data=st.data())
def test_matvec_and_vecdot(shapes, data):
    W, x = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    same(mg.matvec(W, x), np.einsum("...mn,...n->...m", W, x))
    same(mg.vecdot(x, x), np.vecdot(x, x))
    same(mg.outer(W, x), np.outer(W, x))


@pytest.mark.parametrize("text", ["ij,jk->ik", "ij,jk", "ij->ji", "ij->", "ij,ij->i", "...j,jk->...k", "ii", "ii->i",
                                  "ij, kj -> ik", "i...->..."])
@FEW
@given(x=arrays((3, 3)), y=arrays((3, 3)))
def test_einsum(text, x, y):
    operands = (x, y)[:text.split("->")[0].count(",") + 1]
    same(mg.einsum(text, *operands), np.einsum(text, *operands))


@FEW
@given(x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)), data=st.data())
def test_shapes(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    other = data.draw(st.integers(-x.ndim, x.ndim - 1))
    order = data.draw(st.permutations(range(x.ndim)))
    repeats = data.draw(st.integers(0, 3))
    reps = data.draw(st.lists(st.integers(0, 2), max_size=4))
    widths = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=x.ndim, max_size=x.ndim))
    same(mg.reshape(x, (-1, 1)), x.reshape(-1, 1))
    same(mg.Tensor(x).reshape(1, -1), x.reshape(1, -1))
    same(mg.ravel(x), np.ravel(x))
    same(mg.transpose(x), x.T)
    same(mg.transpose(x, order), np.transpose(x, order))
    same(mg.swapaxes(x, axis, other), np.swapaxes(x, axis, other))
    same(mg.moveaxis(x, axis, other), np.moveaxis(x, axis, other))
    same(mg.moveaxis(x, list(range(x.ndim)), order), np.moveaxis(x, list(range(x.ndim)), order))
    same(mg.expand_dims(x, axis), np.expand_dims(x, axis))
    same(mg.expand_dims(x, (0, -1)), np.expand_dims(x, (0, -1)))
    same(mg.squeeze(x), np.squeeze(x))
    same(mg.squeeze(x[:1], 0), np.squeeze(x[:1], 0))
    same(mg.broadcast_to(x, (2, *x.shape)), np.broadcast_to(x, (2, *x.shape)))
    same(mg.flip(x), np.flip(x))
    same(mg.flip(x, axis), np.flip(x, axis))
    same(mg.pad(x, widths, constant_values=1.5), np.pad(x, widths, constant_values=1.5))
    same(mg.pad(x, 1), np.pad(x, 1))
    same(mg.tile(x, reps), np.tile(x, reps))
    same(mg.repeat(x, repeats, axis), np.repeat(x, repeats, axis))
    same(mg.repeat(x, repeats), np.repeat(x, repeats))


@FEW
@given(x=arrays(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3)), data=st.data())
def test_parts_and_their_joining(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    length = x.shape[axis]
    cuts = data.draw(st.lists(st.integers(0, length + 1), max_size=3).map(sorted))
    indices = data.draw(hnp.arrays(int, hnp.array_shapes(max_dims=2, max_side=3),
                                   elements=st.integers(-length, length - 1)))
    same(mg.concatenate([x, x, x[:0]], 0), np.concatenate([x, x, x[:0]], 0))
    same(mg.concatenate([x, x], axis), np.concatenate([x, x], axis))
    same(mg.concatenate([x, x], None), np.concatenate([x, x], None))
    same(mg.stack([x, x], axis), np.stack([x, x], axis))
    same(mg.hstack([x, x]), np.hstack([x, x]))
    same(mg.vstack([x, x]), np.vstack([x, x]))
    same(mg.hstack([x[0, ..., 0], x[0, ..., 0]]), np.hstack([x[0, ..., 0], x[0, ..., 0]]))
    for ours, theirs in zip(mg.split(x, cuts, axis), np.split(x, cuts, axis), strict=True):
        same(ours, theirs)
    for ours, theirs in zip(mg.split(x, length, axis), np.split(x, length, axis), strict=True):
        same(ours, theirs)
    same(mg.take(x, indices, axis), np.take(x, indices, axis))
    same(mg.take(x, indices), np.take(x, indices))
    along = np.argsort(x, axis)
    same(mg.take_along_axis(x, along, axis), np.take_along_axis(x, along, axis))
    last = np.argsort(x, -1)[:1]
    same(mg.take_along_axis(x, last, -1), np.take_along_axis(x, last, -1))
    same(mg.take_along_axis(x, [0, 0], None), np.take_along_axis(x, np.array([0, 0]), None))
    same(mg.clip(x, -1, 0.5), np.clip(x, -1, 0.5))
    same(mg.clip(x, x[:1], None), np.clip(x, x[:1], None))
    same(mg.where(x > 0, x, 1.5), np.where(x > 0, x, 1.5))


@FEW
@given(x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)), data=st.data())
def test_indices(x, data):
    index = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True) | hnp.integer_array_indices(x.shape)
                      | hnp.arrays(bool, x.shape))
    same(mg.Tensor(x)[index], x[index])


# ---- programs ------------------------------------------------------------------------------

UNARY = [np.tanh, np.sin, np.exp, mg.sigmoid, mg.softplus, mg.gelu, np.square, np.arctan, mg.softmax, mg.log_softmax,
         np.transpose, np.ravel, np.cumsum, lambda x: x.sum(axis=0), lambda x: x.mean(keepdims=True),
         lambda x: x[..., 0],
         lambda x: x[..., [0, -1, 0]], lambda x: x[::-1], lambda x: np.std(x, axis=-1, keepdims=True),
         lambda x: mg.logsumexp(x, 0), lambda x: np.expand_dims(x, 0), lambda x: np.prod(x, axis=-1),
         lambda x: np.pad(x, 1), lambda x: np.tile(x, 2), lambda x: np.linalg.norm(x, axis=-1) + 1.0]
BINARY = [np.add, np.subtract, np.multiply, lambda a, b: a / (b * b + 1), np.matmul, np.outer,
          lambda a, b: np.concatenate([a, b], axis=0), lambda a, b: np.stack([a, b]),
          lambda a, b: np.where(a.data > 0, a, b)]
STEPS = st.lists(st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 9), st.integers(0, 9)),
                 min_size=1, max_size=8)


class Program:
    """Steps that each apply a function to earlier results; a step that doesn't fit or grows too large is left out."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, *inputs):
        values = list(inputs)
        for function, first, second in self.steps:
            a, b = values[first % len(values)], values[second % len(values)]
            try:
                value = UNARY[function](a) if function < len(UNARY) else BINARY[function - len(UNARY)](a, b)
            except (ValueError, IndexError, TypeError):
                continue
            if value.size <= 40 and np.abs(value.data).max(initial=0) < 20:
                values.append(value)
        return sum((np.tanh(value).sum() for value in values), 0 * values[0].sum())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_the_gradients_of_random_programs_agree_with_central_differences(steps, seed):
    rng = np.random.default_rng(seed)
    mg.gradcheck(Program(steps), [rng.uniform(0.3, 2, (2, 3)), rng.uniform(-2, -0.3, (3,))], rtol=1e-4, atol=1e-6)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(steps=STEPS.filter(lambda steps: len(steps) <= 4), seed=st.integers(0, 1000))
@pytest.mark.slow
def test_the_second_derivatives_of_random_programs_do_too(steps, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.uniform(0.3, 2, (2, 2)), rng.uniform(-2, -0.3, (2,))]
    mg.gradcheck(Program(steps), inputs, rtol=1e-4, atol=1e-5, order=2)
