"""Every operation against PyTorch and JAX at the ends of the number range, in three float types.

Values, first derivatives (also for infinite, NaN and zero upstream gradients) and second derivatives at ±0, tiny,
huge and infinite numbers and NaN, for all pairs and triples of them where an operation has several operands.
Where minigrad agrees with neither library, or they disagree and it follows one, ON_PURPOSE has a line with the
reason. A difference without a line fails, and so does a line without a difference.

    PYTHONPATH=.:tests/helpers python tests/export/test_numerics_of_exports.py      # prints all differences as a table
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import operators, ops
from rnn import Cell, t

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp, nn, F = jax.numpy, jax.nn, torch.nn.functional

Function = Callable[..., Any]
TYPES = ["float64", "float32", "float16"]
TOLERANCE = {"float64": 1e-11, "float32": 1e-4, "float16": 1e-2}
TORCH_NAMES = {"absolute": "abs", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "arcsinh": "asinh",
               "arccosh": "acosh", "arctanh": "atanh", "power": "pow"}
NOT_ELEMENTWISE = {"matmul", "matvec", "vecdot", "positive"}


def everywhere(f: Function) -> tuple[Function, Function, Function]:
    """Return a function that is written in the same way for all three libraries."""
    return f, f, f


def by_name() -> dict[str, tuple[Function, Function, Function]]:
    """Return each operation of ops.py that is a ufunc, with PyTorch's and JAX's function of that name."""
    found = {}
    for ufunc in (ufunc for ufunc, op in operators.UFUNCS.items() if type(op).__module__ == ops.__name__):
        name = ufunc.__name__
        ours: Function = ufunc
        theirs = getattr(torch, TORCH_NAMES.get(name, name), None), getattr(jnp, name, None)
        if name not in NOT_ELEMENTWISE and None not in theirs:
            found[name] = ours, *theirs
    return found


OF_ONE: dict[str, tuple[Function, Function, Function]] = {
    **{name: each for name, each in by_name().items() if getattr(np, name).nin == 1},
    "sigmoid": (mg.sigmoid, torch.sigmoid, nn.sigmoid),
    "softplus": (mg.softplus, lambda x: F.softplus(x, threshold=1e5), nn.softplus),
    "relu": (mg.relu, torch.relu, nn.relu), "leaky_relu": (mg.leaky_relu, F.leaky_relu, nn.leaky_relu),
    "elu": (mg.elu, F.elu, nn.elu),
    "gelu": (mg.gelu, lambda x: F.gelu(x, approximate="tanh"), lambda x: nn.gelu(x, approximate=True)),
    "clip": (lambda x: mg.clip(x, -1.0, 0.75), lambda x: torch.clamp(x, -1.0, 0.75), lambda x: jnp.clip(x, -1, 0.75)),
    **{f"x ** {n}": everywhere(lambda x, n=n: x ** n) for n in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5)},
    "3 / x": everywhere(lambda x: 3 / x), "x / 3": everywhere(lambda x: x / 3),
    "-log(sigmoid)": (lambda x: -mg.log(mg.sigmoid(x)), lambda x: -torch.log(torch.sigmoid(x)),
                      lambda x: -jnp.log(nn.sigmoid(x))),
    "x * sigmoid": (lambda x: x * mg.sigmoid(x), F.silu, nn.silu),
    "abs ** 2": (lambda x: mg.abs(x) ** 2, lambda x: torch.abs(x) ** 2, lambda x: jnp.abs(x) ** 2),
    "sqrt(x * x)": (lambda x: mg.sqrt(x * x), lambda x: torch.sqrt(x * x), lambda x: jnp.sqrt(x * x)),
    "sqrt(relu)": (lambda x: mg.sqrt(mg.relu(x)), lambda x: torch.sqrt(torch.relu(x)), lambda x: jnp.sqrt(nn.relu(x))),
    "where": (lambda x: mg.where(x > 0, x, 0.0), lambda x: torch.where(x > 0, x, 0.0),
              lambda x: jnp.where(x > 0, x, 0.0)),
}
OF_TWO: dict[str, tuple[Function, Function, Function]] = {
    **{name: each for name, each in by_name().items() if getattr(np, name).nin == 2},
    "mse": (lambda x, y: mg.losses.mse(x, y, "none"), lambda x, y: F.mse_loss(x, y, reduction="none"),
            lambda x, y: (x - y) ** 2),
    "mae": (lambda x, y: mg.losses.mae(x, y, "none"), lambda x, y: F.l1_loss(x, y, reduction="none"),
            lambda x, y: jnp.abs(x - y)),
    "huber": (lambda x, y: mg.losses.huber(x, y, "none"), lambda x, y: F.huber_loss(x, y, reduction="none"),
              lambda x, y: jnp.where(jnp.abs(x - y) <= 1, 0.5 * (x - y) ** 2, jnp.abs(x - y) - 0.5)),
}
OVER_AXES: dict[str, tuple[Function, Function, Function]] = {
    **{name: everywhere(lambda x, name=name: getattr(x, name)(-1)) for name in ("sum", "mean", "prod", "cumsum")},
    "var": (lambda x: x.var(-1), lambda x: x.var(-1, correction=0), lambda x: x.var(-1)),
    "std": (lambda x: x.std(-1), lambda x: x.std(-1, correction=0), lambda x: x.std(-1)),
    "max": (lambda x: x.max(-1), lambda x: x.amax(-1), lambda x: x.max(-1)),
    "min": (lambda x: x.min(-1), lambda x: x.amin(-1), lambda x: x.min(-1)),
    **{f"norm{order}": (lambda x, order=order: mg.norm(x, order, axis=-1),
                        lambda x, order=order: torch.linalg.vector_norm(x, order, -1),
                        lambda x, order=order: jnp.linalg.norm(x, order, -1)) for order in (1, 2, np.inf)},
    "norm ** 2": (lambda x: mg.norm(x, axis=-1) ** 2, lambda x: torch.linalg.vector_norm(x, dim=-1) ** 2,
                  lambda x: jnp.linalg.norm(x, axis=-1) ** 2),
    "sqrt(sum)": (lambda x: mg.sqrt((x * x).sum(-1)), lambda x: torch.sqrt((x * x).sum(-1)),
                  lambda x: jnp.sqrt((x * x).sum(-1))),
    "x / norm": (lambda x: x / mg.norm(x, axis=-1, keepdims=True),
                 lambda x: x / torch.linalg.vector_norm(x, dim=-1, keepdim=True),
                 lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True)),
    "x / sum": (lambda x: x / x.sum(-1, keepdims=True), lambda x: x / x.sum(-1, keepdim=True),
                lambda x: x / x.sum(-1, keepdims=True)),
    "logsumexp": (mg.logsumexp, lambda x: torch.logsumexp(x, -1), lambda x: nn.logsumexp(x, axis=-1)),
    "log_softmax": (mg.log_softmax, lambda x: torch.log_softmax(x, -1), lambda x: nn.log_softmax(x, axis=-1)),
    "softmax": (mg.softmax, lambda x: torch.softmax(x, -1), lambda x: nn.softmax(x, axis=-1)),
}
OPERATIONS = {**OF_ONE, **OF_TWO, **OVER_AXES}


# ---- points
def operands(name: str, dtype: str) -> list[Any]:
    """Return the points at which an operation is compared: for each operand an array."""
    limits = np.finfo(dtype)
    huge, tiny = float(limits.max), float(limits.tiny)
    if name in OF_ONE:
        positive = [0, tiny * 8, tiny ** 0.5, 1e-3, 0.3, 0.75, 1, 2.5, 5, 10, 20, 40, 100, 800, huge ** 0.5 * 2, huge,
                    np.inf]
        return [np.array([*positive, *(-x for x in positive), np.nan], dtype)]
    if name in OF_TWO:
        positive = [0, tiny * 8, tiny ** 0.5, 0.5, 1, 2, 3, 40, huge ** 0.5 * 2, huge, np.inf]
        every = np.array([*positive, *(-x for x in positive), np.nan], dtype)
        return [x.ravel() for x in np.meshgrid(every, every)]
    some = [0.0, tiny ** 0.5 / 8, 1, -3, huge ** 0.5 * 4, -huge, np.inf, -np.inf, np.nan]
    return [np.array(list(product(some, repeat=3)), dtype)]


# ---- derivatives: by name "value", "d0" (by the first operand), "d01" (then by the second)
UPSTREAM = {"inf": np.inf, "nan": np.nan, "0": 0.0}


def weights(out: Any, x: Any) -> Any:
    """Return an upstream gradient: 1, or for a vector of results different numbers."""
    return np.array([1.0, -2.0, 0.5], x.dtype) * np.ones(out.shape, x.dtype) if x.ndim > 1 == out.ndim - 1 \
        else np.ones(out.shape, x.dtype)


def of_minigrad(f: Function, xs: list[Any], twice: bool) -> dict[str, Any]:
    tensors = [mg.Tensor(x, requires_grad=True) for x in xs]
    out = f(*tensors)
    found = {"value": out.data}
    first = mg.grad(out, tensors, weights(out, xs[0]), create_graph=True)
    for i, gradient in enumerate(first):
        found[f"d{i}"] = gradient.data
        for k in range(i, len(xs) if twice else 0):
            try:
                found[f"d{i}{k}"] = mg.grad(gradient, tensors[k], np.ones(gradient.shape))
            except ValueError:  # the derivative is constant
                found[f"d{i}{k}"] = np.zeros_like(xs[k])
    for name, number in UPSTREAM.items():
        if len(xs) == 1:
            found[f"d0 for {name}"] = mg.grad(out, tensors[0], np.full(out.shape, number, xs[0].dtype))
    return found


def of_torch(f: Function, xs: list[Any], twice: bool) -> dict[str, Any]:
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    out = f(*tensors)
    found = {"value": out}
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    first = torch.autograd.grad(out, tensors, torch.tensor(weights(out, xs[0])), create_graph=True, allow_unused=True,
                                materialize_grads=True)
    for i, gradient in enumerate(first):
        found[f"d{i}"] = gradient
        for k in range(i, len(xs) if twice else 0):
            found[f"d{i}{k}"] = torch.autograd.grad(gradient.sum(), tensors[k], **options)[0] \
                if gradient.requires_grad else torch.zeros_like(tensors[k])
    for name, number in UPSTREAM.items():
        if len(xs) == 1:
            found[f"d0 for {name}"] = torch.autograd.grad(out, tensors[0], torch.full_like(out, number), **options)[0]
    return {name: (x.detach() + torch.zeros((), dtype=x.dtype)).numpy() for name, x in found.items()}


def of_jax(f: Function, xs: list[Any], twice: bool) -> dict[str, Any]:
    def first(*arrays: Any) -> Any:
        out, pullback = jax.vjp(f, *arrays)
        return pullback(jnp.asarray(weights(out, xs[0])))

    arrays = [jnp.asarray(x) for x in xs]
    out, pullback = jax.vjp(f, *arrays)
    found = {"value": out}
    for i, gradient in enumerate(first(*arrays)):
        found[f"d{i}"] = gradient
        if twice:
            second = jax.vjp(lambda *arrays, i=i: first(*arrays)[i], *arrays)[1](jnp.ones_like(gradient))
            found.update({f"d{i}{k}": second[k] for k in range(i, len(xs))})
    for name, number in UPSTREAM.items():
        if len(xs) == 1:
            found[f"d0 for {name}"] = pullback(jnp.full(out.shape, number, out.dtype))[0]
    return {name: np.asarray(x) for name, x in found.items()}


# ---- comparison
class Difference(NamedTuple):
    operation: str
    dtype: str
    what: str  # "value", "d0", "d01", "d0 for inf"
    point: tuple[float, ...]  # the operands; of a reduction the vector
    ours: float
    torch: float
    jax: float
    like: str  # whom minigrad follows: "torch", "jax" or "none"


def close(a: Any, b: Any, dtype: str, rows: bool) -> Any:
    """Return where two results agree up to rounding, for rows in relation to the largest element of the row."""
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    finite = np.isfinite(a) & np.isfinite(b)
    scale = np.where(finite, np.maximum(np.abs(a), np.abs(b)), 0)
    if rows:
        scale = np.maximum(scale.max(-1, keepdims=True), 1)
    # XLA rounds subnormal numbers to zero
    near = finite & (np.abs(np.where(finite, a - b, 0)) <= TOLERANCE[dtype] * scale + 3 * float(np.finfo(dtype).tiny))
    return (a == b) | (np.isnan(a) & np.isnan(b)) | near


@cache
def differences(name: str, dtype: str) -> list[Difference]:
    """Return all differences of one operation."""
    xs = operands(name, dtype)
    twice = name in OF_ONE or name in OF_TWO or name in ("norm2", "norm ** 2", "std", "logsumexp", "sqrt(sum)")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ours, theirs, jaxs = (get(f, xs, twice) for get, f in zip((of_minigrad, of_torch, of_jax), OPERATIONS[name]))
        found = []
        for what, a in ours.items():
            b, c = theirs[what], jaxs[what]
            assert a.dtype == dtype, (name, what, a.dtype)
            rows = name in OVER_AXES and what != "value" and a.ndim > 1
            like_torch, like_jax = close(a, b, dtype, rows), close(a, c, dtype, rows)
            for place in np.argwhere(~(like_torch & like_jax)):
                i = tuple(place)
                point = tuple(xs[0][i[0]].tolist()) if name in OVER_AXES else tuple(float(x[i]) for x in xs)
                like = "torch" if like_torch[i] else "jax" if like_jax[i] else "none"
                found.append(Difference(name, dtype, what, point, float(a[i]), float(b[i]), float(c[i]), like))
    return found


# ---- the differences on purpose
class Purpose(NamedTuple):
    operations: tuple[str, ...]
    where: Callable[[Difference], bool]
    reason: str


def order(x: Difference) -> int:
    """Return 0 for a value, 1 for a first derivative, 2 for a second."""
    return 0 if x.what == "value" else len(x.what.split()[0]) - 1


def nan(x: Difference) -> bool:
    return bool(np.isnan(x.point).any())


def zero(x: Difference) -> bool:
    return 0 in x.point or len(set(x.point)) < len(x.point)  # or equal operands, whose difference is 0


def extreme(x: Difference) -> bool:
    """Return whether squares overflow or underflow, or an operand isn't finite."""
    limits = np.finfo(x.dtype)
    sizes = np.abs([p for p in x.point if p != 0])
    return not (np.isfinite(sizes).all() and (sizes < float(limits.max) ** 0.5).all()
                and (sizes > float(limits.tiny) ** 0.5 * 2).all())


ON_PURPOSE = [
    # ---- NaN
    Purpose(("absolute", "mae", "norm1", "norminf", "abs ** 2"), lambda x: nan(x) or bool(np.isnan(x.ours)),
            "the derivative of |x| is NaN where x is NaN; PyTorch has 0 and JAX ±1"),
    Purpose(("sign",), lambda x: nan(x) and x.like == "jax", "the sign of NaN is NaN, as JAX has it; PyTorch has 0"),
    Purpose(("maximum", "minimum"), lambda x: nan(x) and x.like == "jax",
            "beside a NaN neither operand gets a gradient, as in JAX; PyTorch gives it to both"),
    Purpose(("relu", "sqrt(relu)"), lambda x: nan(x) and x.like == "torch",
            "relu passes the gradient where x is NaN, as PyTorch does; JAX has 0"),
    Purpose(("power",), lambda x: nan(x) and order(x) == 2, "a derivative at NaN is NaN, unless the exponent is 0"),
    # ---- kinks
    Purpose(("absolute", "mae", "norm1", "norminf", "abs ** 2"), lambda x: zero(x) and x.like == "torch",
            "the derivative of |x| at 0 is 0, as in PyTorch; JAX has 1"),
    Purpose(("clip",), lambda x: x.like == "torch",
            "at a bound the derivative is 1, and outside of the bounds 0 for every upstream gradient, as in PyTorch"),
    Purpose(("huber",), lambda x: order(x) == 2 and x.like == "jax",
            "where |d| = delta the second derivative is the inner one"),
    Purpose(("norm2", "norm ** 2", "std", "sqrt(sum)", "x / norm"),
            lambda x: zero(x) and x.like == "torch",
            "at 0 a norm has the derivative 0, as in PyTorch, or what the formula gives; JAX has NaN"),
    Purpose(("norm2", "norm ** 2", "std"), lambda x: zero(x) and order(x) == 2,
            "at 0 a norm has no second derivative: infinite or NaN"),
    Purpose(("power",), lambda x: x.point[0] == 0 and order(x) > 0,
            "0 ** 0 has the derivatives 0; 0 to a negative power has the derivative NaN for the exponent, as in JAX"),
    Purpose(("power",), lambda x: x.point[1] == 0 and x.like == "jax",
            "the mixed derivative where the exponent is 0 is 1 / a, as in JAX; PyTorch has 0"),
    Purpose(("max", "min", "norminf"), lambda x: x.what in ("d0 for inf", "d0 for nan"),
            "other elements than the largest have the gradient 0 for infinite and NaN upstream gradients, too"),
    # ---- small values
    Purpose(("expm1",), lambda x: order(x) > 0, "the derivative is exp(x), exact for x far below 0, not expm1(x) + 1"),
    Purpose(("gelu",), lambda x: True, "x sigmoid(z) in the place of x (1 + tanh(z / 2)) / 2 is exact for x far below "
            "0; finite at ±inf, where both others have NaN"),
    Purpose(("elu",), lambda x: x.like == "jax", "the derivative below 0 is elu(x) + alpha, as in JAX"),
    Purpose(("sigmoid", "-log(sigmoid)"), lambda x: x.dtype != "float64" and x.point[0] < 0,
            "sigmoid keeps its values below the smallest normal number, which exp(-x) = inf loses"),
    Purpose(("-log(sigmoid)",), lambda x: order(x) == 2, "rounding: the second derivative is the difference of two "
            "numbers near 1"),
    Purpose(("tanh",), lambda x: order(x) > 0, "rounding of 1 - tanh(x)² where tanh(x) is near ±1, or JAX's tiny "
            "numbers that it takes for 0"),
    Purpose(("softplus",), lambda x: x.like in ("torch", "jax"),
            "exact at both ends; PyTorch overflows where its threshold is turned off, JAX loses subnormal numbers"),
    # ---- huge and tiny numbers
    Purpose(("norm2", "norm ** 2", "x / norm", "std"), extreme,
            "squares that overflow or underflow are rescaled: norm([3e200, 4e200]) is 5e200; both others have inf"),
    Purpose(("divide", "3 / x", "x ** -1", "x ** -2", "x / sum"), lambda x: x.like == "torch",
            "b² isn't formed: JAX's b ** -2 overflows and underflows"),
    Purpose(("3 / x", "x ** -1"), lambda x: order(x) == 1 and extreme(x),
            "an upstream gradient is divided by b before the product, so that large and small ones keep finite"),
    Purpose(("divide",), lambda x: x.like == "jax" and order(x) == 2 and extreme(x),
            "the second derivative is NaN where 1 / b² overflows, as in JAX"),
    Purpose(("huber",), lambda x: order(x) == 1 and x.like == "torch" and (extreme(x) or nan(x)),
            "the linear part doesn't square the error, as the comparison in JAX does"),
    Purpose(("var",), lambda x: (extreme(x) or x.what == "d0 for inf") and x.like != "none",
            "the mean of squares overflows as NumPy's, the derivative as PyTorch's"),
    Purpose(("leaky_relu",), lambda x: x.point[0] == 0 and x.like == "torch",
            "the derivative at 0 is the slope, as in PyTorch; JAX has 1"),
    Purpose(("std",), lambda x: zero(x) and x.what in ("d0 for inf", "d0 for nan") and x.like == "jax",
            "an infinite or NaN upstream gradient times the slope 0 at the kink is NaN, as in JAX"),
    Purpose(("sqrt(sum)", "sqrt(x * x)", "arctan", "exp", "relu"), lambda x: x.like == "torch",
            "JAX has NaN, 0 or other roundings where squares overflow or results are subnormal"),
    Purpose(("power", "x ** 1.5"), lambda x: order(x) > 0 and extreme(x) and x.like != "none",
            "powers of infinite, huge and tiny numbers follow C's pow"),
    Purpose(("x ** 0.5", "x ** 1.5", "x ** -0.5"), lambda x: x.point[0] == -np.inf,
            "x ** 0.5 is NumPy's square root, so NaN at -inf; C's pow has inf"),
    Purpose(("prod", "cumsum"), lambda x: extreme(x), "products that overflow on the way follow the order of the "
            "factors; float16 is combined in float32"),
    Purpose(("x * sigmoid",), lambda x: x.like == "jax" and x.what == "d0 for inf",
            "two operations: both terms of the derivative meet an infinite upstream gradient"),
    # ---- logsumexp
    Purpose(("logsumexp",), lambda x: all(p == -np.inf for p in x.point),
            "of nothing but -inf the derivative is 0: what is masked out gets no gradient; both others have NaN"),
    Purpose(("logsumexp",), lambda x: x.like in ("torch", "jax") and extreme(x),
            "with huge numbers the derivatives still sum to 1, as in JAX; with +inf finite elements have 0, as in "
            "PyTorch"),
]


def covered(difference: Difference) -> bool:
    return any(difference.operation in purpose.operations and purpose.where(difference) for purpose in ON_PURPOSE)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_pytorch_or_jax_or_differs_on_purpose(name: str, dtype: str) -> None:
    unexplained = [difference for difference in differences(name, dtype) if not covered(difference)]
    assert not unexplained, "\n".join(map(str, unexplained[:20]))


@pytest.mark.parametrize("purpose", ON_PURPOSE, ids=lambda purpose: purpose.reason[:60])
def test_every_difference_on_purpose_exists(purpose: Purpose) -> None:
    for name in purpose.operations:
        assert any(purpose.where(x) for dtype in TYPES for x in differences(name, dtype)), name


# ---- exports
X = np.array([[-700.0], [-40.0], [-1.0], [40.0]])


def tail() -> Cell:
    cell = Cell("tail")
    x, h, g = cell.input("x", 1), cell.signal("h", 1), cell.signal("g", 1)
    h[t] = -mg.log(mg.sigmoid(x[t] + 0 * h[t-1]))
    g[t] = mg.gelu(x[t])
    return cell


def with_jax(folder: Path) -> Any:
    return tail().to_jax()({}, {"x": X})


def with_torch(folder: Path) -> Any:
    return tail().to_torch()(x=X)


def with_onnx(folder: Path) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tail().to_onnx(folder / "tail.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip("hg", session.run(["h", "g"], {"x": X[:, None]})))


@pytest.mark.parametrize("run", [with_jax, with_torch, with_onnx])
def test_exports_keep_small_sigmoids(run: Callable[[Path], Any], tmp_path: Path) -> None:
    found = {name: np.asarray(value).ravel() for name, value in run(tmp_path).items()}
    np.testing.assert_allclose(found["h"], [700, 40, np.log1p(np.exp(1)), np.exp(-40)], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(found["g"], mg.gelu(X).data.ravel(), rtol=1e-12)


def all_differences() -> Iterator[Difference]:
    for name, dtype in product(OPERATIONS, TYPES):
        yield from differences(name, dtype)


if __name__ == "__main__":
    for row in all_differences():
        print(*row[:3], row.point, *row[4:], "on purpose" if covered(row) else "UNEXPLAINED", sep=" | ")
