"""TABLE: for each operation of minigrad.ops, operands on which its derivatives must be right.

Numbers, vectors, empty arrays, broadcasting both ways and every memory layout.
"""

import sys

import numpy as np

from minigrad import numpy_ops as nps
from minigrad import ops


def spread(shape, low=-2.0, high=2.0, seed=0):
    """Return distinct numbers, evenly spread and shuffled: none is near another, or near zero."""
    count = int(np.prod(shape, dtype=int))
    values = low + (high - low) * (np.arange(count) + 0.53) / max(count, 1)
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def strided(x):
    """Return the same values, every second element of a larger array, backwards."""
    large = np.zeros([2 * n for n in x.shape], x.dtype)
    view = large[tuple(slice(None, None, -2) for _ in x.shape)]
    view[...] = x
    return view


def elementwise(op, low=-2.0, high=2.0):
    shapes = [(), (3,), (0, 3), (2, 3)]
    plain = [(op, spread(shape, low, high)) for shape in shapes]
    return [*plain, (op, strided(spread((2, 3), low, high))), (op, np.asfortranarray(spread((2, 3), low, high)))]


def broadcasting(op, low=-2.0, high=2.0):
    pairs = [((), ()), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((0, 3), (3,)), ((2, 3), ()), ((1, 1), (3,))]
    both = [(op, spread(a, low, high), spread(b, low + 0.01, high, seed=1)) for a, b in pairs]
    a, b = spread((2, 3), low, high), spread((2, 3), low + 0.01, high, seed=1)
    return [*both, (op, strided(a), np.asfortranarray(b)), (op, a, b)]


def reducing(kind, low=-2.0, high=2.0, **options):
    x = spread((2, 3, 2), low, high)
    axes = [None, 0, -1, (0, 2), (-1, 1)]
    return [*((kind(axis, keepdims, **options), x) for axis in axes for keepdims in (False, True)),
            (kind(None, **options), spread((), low, high)), (kind(1, **options), strided(x)),
            (kind(0, **options), np.asfortranarray(x)), (kind(1, **options), spread((0, 3), low, high))]


def products(op, shapes):
    return [(op, spread(a), spread(b, seed=1)) for a, b in shapes]


MATMUL_SHAPES = [((2, 3), (3, 2)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 2)),
                 ((2, 3), (2, 3, 2)), ((2, 1, 2, 3), (2, 3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
                 ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 0, 3), (3, 2))]
STACKS = [(1, 1), (2, 2), (3, 3), (2, 3, 3)]


def regular(shape, seed=0):
    """Return square matrices that are far from singular, with different singular values."""
    return spread(shape, seed=seed) + 3 * np.diag(np.arange(1, shape[-1] + 1))


def symmetric(shape, seed=0):
    """Return symmetric positive definite matrices with different eigenvalues."""
    x = 0.3 * spread(shape, seed=seed)
    return x + np.swapaxes(x, -1, -2) + 3 * np.diag(np.arange(1, shape[-1] + 1))


X = spread((3, 4))
ROWS = np.array([2, 0, 2])
TABLE = [
    *elementwise(ops.Identity()), *elementwise(ops.Neg()), *elementwise(ops.Cast(float)),
    *broadcasting(ops.Add()), *broadcasting(ops.Sub()), *broadcasting(ops.Mul()),
    *broadcasting(ops.Div(), 0.5, 2.0), *broadcasting(ops.Pow(), 0.5, 2.0),
    *elementwise(ops.Power(2)), *elementwise(ops.Power(3)), *elementwise(ops.Power(0)), *elementwise(ops.Power(1)),
    *elementwise(ops.Power(0.5), 0.5), *elementwise(ops.Power(-1.5), 0.5),
    *broadcasting(ops.Maximum()), *broadcasting(ops.Minimum()),
    *elementwise(ops.Exp()), *elementwise(ops.Expm1()), *elementwise(ops.Log(), 0.5), *elementwise(ops.Log1p(), -0.5),
    *elementwise(ops.Log2(), 0.5), *elementwise(ops.Sqrt(), 0.5), *elementwise(ops.Square()), *elementwise(ops.Abs()),
    *elementwise(ops.Sign()), *elementwise(ops.Sin()), *elementwise(ops.Cos()), *elementwise(ops.Tan(), -1.0, 1.0),
    *elementwise(ops.Sinh()), *elementwise(ops.Cosh()), *elementwise(ops.Tanh()), *elementwise(ops.Arctan()),
    *elementwise(ops.Sigmoid()), *elementwise(ops.Softplus()), *elementwise(ops.Relu()),
    *elementwise(ops.LeakyRelu(0.2)), *elementwise(ops.Elu(0.7)), *elementwise(ops.Gelu()),
    *elementwise(ops.Clip(-1.0, 0.7)), *elementwise(ops.Clip(None, 0.7)), *elementwise(ops.Clip(-1.0, None)),
    (ops.Where(), X > 0, X, spread((3, 4), seed=1)), (ops.Where(), X > 0, spread((4,)), spread((3, 1), seed=1)),
    (ops.Where(), np.array([True, False]), spread((2, 2)), spread((), seed=1)),
    *reducing(ops.Sum), *reducing(ops.Mean), *reducing(ops.Max), *reducing(ops.Min), *reducing(ops.Prod),
    *reducing(ops.Norm), *reducing(ops.LogSumExp), *broadcasting(ops.Direction(), 0.5, 2.0),
    *[case for case in [*reducing(ops.Var), *reducing(ops.Std)] if case[1].size > 1],
    *[(kind(-1, ddof=1), X) for kind in (ops.Var, ops.Std)], (ops.Prod(1), spread((2, 5))), (ops.Prod(0), X[:1]),
    *[(ops.CumSum(axis), x) for axis in (None, 0, -1) for x in (X, strided(X))], (ops.CumSum(0), spread((0, 3))),
    *[(ops.LogSoftmax(axis), x) for axis in (-1, 0) for x in (X, strided(X), spread((3,)))],
    *products(ops.MatMul(), MATMUL_SHAPES), (ops.MatMul(), strided(X), np.asfortranarray(X.T)),
    *products(ops.VecMat(), [((2,), (2, 3)), ((4, 2), (2, 3)), ((4, 2), (4, 2, 3)), ((2,), (4, 2, 3)),
                             ((0, 2), (2, 3))]),
    (ops.Lookup(), spread((4, 3)), np.array([2, 0, 2])), (ops.Lookup(), spread((4,)), np.array(3)),
    (ops.Lookup(), spread((4, 3)), np.array([[1, 3], [1, 0]])),
    *products(ops.MatVec(), [((2, 3), (3,)), ((2, 3), (4, 3)), ((2, 3), (2, 2, 3)), ((4, 2, 3), (4, 3)),
                             ((4, 2, 3), (3,)), ((2, 3), (0, 3)), ((2, 1, 2, 3), (3, 3))]),
    *products(ops.VecDot(), [((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1, 3), (2, 3)), ((2, 0), (0,))]),
    *[(ops.EinSum(text), *(spread(shape, seed=i) for i, shape in enumerate(shapes))) for text, *shapes in [
        ("ij,jk->ik", (2, 3), (3, 2)), ("ij,jk", (2, 3), (3, 2)), ("bij,bj->bi", (2, 2, 3), (2, 3)), ("ii->i", (3, 3)),
        ("ii", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("i,j->ij", (2,), (3,)), ("i,i", (3,), (3,)),
        ("...i,...i->...", (2, 3), (3,)), ("...ij,jk", (2, 2, 3), (3, 2)), ("i...->...", (2, 3)),
        ("a,ab,b->", (2,), (2, 3), (3,)), ("iij,j->i", (2, 2, 3), (3,)), (",i->i", (), (3,)),
        ("ij,kj->ik", (1, 3), (2, 3)), ("ij,ij->j", (1, 3), (2, 3)), ("iii->i", (2, 2, 2)), ("ij,k->k", (2, 3), (2,)),
        ("...j,...j", (2, 1, 3), (2, 3))]],
    (ops.Reshape((4, 3)), X), (ops.Reshape((-1,)), strided(X)), (ops.Reshape((2, -1)), np.asfortranarray(X)),
    (ops.Reshape(()), spread((1, 1))), (ops.Reshape((3, 0)), spread((0, 2))),
    (ops.Transpose(), X), (ops.Transpose((2, 0, 1)), spread((2, 3, 2))), (ops.Transpose((-1, 0, 1)), spread((2, 3, 2))),
    (ops.Transpose(), spread(())),
    (ops.BroadcastTo((3, 4)), spread((4,))), (ops.BroadcastTo((2, 3)), spread((2, 1))),
    (ops.BroadcastTo((2,)), spread(())), (ops.BroadcastTo((0, 3)), spread((1, 3))),
    *[(ops.Flip(axis), x) for axis in (None, 0, -1, (0, 1)) for x in (X, strided(X))],
    (ops.Pad(((1, 0), (2, 1))), X), (ops.Pad(((0, 0),), 5.0), spread((3,))),
    *[(ops.GetItem(index), x) for x in (X, strided(X)) for index in [
        1, -1, slice(1, None), (slice(None, None, -2), 1), (Ellipsis, 0), (None, slice(2)), (1, 2), [2, 0, 2],
        ROWS, (ROWS, np.array([1, 1, 1])), (ROWS, slice(1, 3)), (slice(None), ROWS), np.array([True, False, True]),
        X > 0, ([0, 1], [3, 3]), (ROWS[:, None], np.array([0, 3])), (0, ROWS), Ellipsis, (), slice(0, 0),
        (ROWS, None, slice(2)), np.zeros((3, 4), bool)]],
    (ops.GetItem(()), spread(())), (ops.GetItem(None), spread(())),
    (ops.ScatterAdd(ROWS, (4, 2)), spread((3, 2))), (ops.ScatterAdd((slice(1, 3), None), (4, 2)), spread((2, 1, 2))),
    (ops.Gather(), X, np.array([3, 0, 0])), (ops.Gather(), spread((3,)), np.array(1)),
    (ops.Gather(), spread((0, 3)), np.zeros(0, int)),
    (ops.Concatenate(), X, spread((1, 4)), spread((0, 4))), (ops.Concatenate(-1), strided(X), spread((3, 2), seed=1)),
    *elementwise(nps.Copy()), *elementwise(nps.Exp2()), *elementwise(nps.Log10(), 0.5),
    *elementwise(nps.Cbrt(), 0.5, 2.0),
    *elementwise(nps.Cbrt(), -2.0, -0.5), *elementwise(nps.Reciprocal(), 0.5), *elementwise(nps.Fabs()),
    *elementwise(nps.Arcsin(), -0.9, 0.9), *elementwise(nps.Arccos(), -0.9, 0.9), *elementwise(nps.Arcsinh()),
    *elementwise(nps.Arccosh(), 1.2, 3.0), *elementwise(nps.Arctanh(), -0.9, 0.9), *broadcasting(nps.Arctan2()),
    *broadcasting(nps.Hypot()), *broadcasting(nps.LogAddExp()), *broadcasting(nps.LogAddExp2()),
    *broadcasting(nps.Fmax()), *broadcasting(nps.Fmin()), *broadcasting(nps.CopySign()),
    *elementwise(nps.Sinc()), *elementwise(nps.Sinc(), -0.2, 0.2), (nps.Sinc(), np.array([0.0, 0.2999, 0.3001, -4.5])),
    *elementwise(nps.Floor()), *elementwise(nps.Ceil()), *elementwise(nps.Trunc()), *elementwise(nps.Rint()),
    *elementwise(nps.Round(1), 0.31, 0.33), *broadcasting(nps.Heaviside()), *broadcasting(nps.FloorDivide(), 0.6, 0.8),
    *broadcasting(nps.Remainder(), 0.6, 0.8), *broadcasting(nps.Fmod(), 0.6, 0.8),
    *[(kind, a, b) for kind in (nps.FloorDivide(), nps.Remainder(), nps.Fmod())
      for a, b in [(np.array([5.3, -5.3, 5.3, -5.3]), np.array([2.0, 2.0, -2.0, -2.0]))]],
    *[(nps.CumProd(axis), x) for axis in (None, 0, -1) for x in (X, strided(X))], (nps.CumProd(0), spread((0, 3))),
    (nps.CumProd(-1), spread((2, 5))), (nps.CumProd(-1), np.array([[2.0, 0, 3, 0, 5], [0, 0, 1, 2, 3]])),
    (nps.CumProd(), spread(())),
    *[(nps.Sort(axis), x) for axis in (0, -1) for x in (X, strided(X))], (nps.Sort(0), spread((0, 3))),
    *products(nps.Convolve(), [((4,), (3,)), ((1,), (3,)), ((3,), (3,))]),
    *[(kind, regular(shape)) for kind in (nps.Inv(), nps.Det(), nps.Cofactors(), nps.DetSign(), nps.LogAbsDet(),
                                          nps.SingularValues(), nps.PseudoInverse(), nps.LeftSingularVectors(),
                                          nps.RightSingularVectors()) for shape in STACKS],
    (nps.Inv(), regular((0, 2, 2))), (nps.Inv(), strided(regular((2, 2)))),
    *[(kind, spread(shape) + np.eye(*shape[-2:])) for kind in (
        nps.SingularValues(), nps.PseudoInverse(), nps.LeftSingularVectors(), nps.RightSingularVectors())
      for shape in [(3, 2), (2, 3), (2, 3, 2)]],
    *[(kind, symmetric(shape)) for kind in (nps.Cholesky(), nps.EigenValues(), nps.EigenVectors()) for shape in STACKS],
    *[(nps.Solve(vector=False), regular(a), spread(b, seed=1)) for a, b in [
        ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 2)), ((2, 2, 2), (2, 2, 1))]],
    *[(nps.Solve(vector=True), regular(a), spread(b, seed=1)) for a, b in [
        ((3, 3), (3,)), ((2, 3, 3), (3,)), ((3, 3), (4, 3)), ((2, 2, 2), (2, 2))]],
    (ops.Stack(), X, X + 1), (ops.Stack(-1), spread(()), spread((), seed=1)), (ops.Stack(1), X, X + 1, X + 2),
]


def operations():
    """Return every operation class of minigrad with a `forward`, and those without a derivative left out."""
    found, waiting = set(), [ops.Op]
    for kind in waiting:  # grows
        waiting += kind.__subclasses__()
        own = kind.__module__.startswith("minigrad.") and vars(sys.modules[kind.__module__]).get(kind.__name__) is kind
        if own and kind.forward is not ops.Op.forward and kind.backward is not ops.Op.backward:
            found.add(kind)
    return found


def in_float32(x):
    return x.astype(np.float32, order="K") if x.dtype == float else x


def name_of(case):
    op, *arrays = case
    return f"{op!r:.50} {'·'.join('x'.join(map(str, x.shape)) or '()' for x in arrays)}"
