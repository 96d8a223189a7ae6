"""Compare derivatives with central differences, and report what is wrong, where, and the likely cause.

- `gradcheck(f, inputs)` checks a function of tensors; if it is wrong, it finds the operation.
- `check_op(op, *arrays)` checks one operation, your own for example.
- `compare_gradients(name, analytic, numeric)` compares two arrays, e.g. of a backward pass by hand.

The report recognises the usual mistakes: a factor, a sign, a transpose, a sum over a broadcast axis that
is missing, (1, H) for (H,), the gradients of two inputs exchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backward import ancestors, array_of, compute_gradients, initial_gradient, unbroadcast
from .conversion import result_array
from .errors import require_operation
from .ops import Op
from .provenance import call_site
from .tensor import Tensor, apply

Array = NDArray[Any]
Function = Callable[..., Any]
# What a gradient may differ by: a part of its own size, and a part of the largest element's (or of 1).
TOLERANCES = {"float64": (1e-5, 1e-8), "float32": (1e-3, 1e-4), "float16": (5e-2, 5e-2)}
MOST_KINKS = 50  # elements that are examined for a kink
EPS = {"float64": 1e-6, "float32": 5e-3, "float16": 5e-2}  # how far an element moves, relative to its size or 1


def gradcheck(f: Function, inputs: Mapping[str, Tensor] | Sequence[Any] | Tensor, eps: float | None = None,
              rtol: float | None = None, atol: float | None = None, order: int = 1) -> float:
    """Compare the gradients of f with central differences, for every element of every input.

    Also checked: that each gradient has its input's shape and dtype, that f leaves its inputs as
    they are, and that a second call gives the same.

    Args:
        f: a function of the inputs, or one without arguments that uses them. It returns a Tensor;
            of one that isn't a single number a fixed random combination is checked.
        inputs: Tensors or arrays, as a list or by name; or a single one. Only floats that require a gradient are
            perturbed (arrays of floats do); labels, for example, are not.
        eps: how far; by default 1e-6, times an element's size where that is larger than 1. A function of its inputs
            is perturbed in double precision, whatever their type. One without arguments may compute in float32
            where they are: 5e-3 then. Where f is so large that rounding would spoil the differences, the
            distance is larger and the formula of fourth order.
        rtol, atol: an element passes where |analytic - numeric| <= atol + rtol * |numeric|. By
            default they suit the inputs' type.
        order: 2 checks the gradients' own gradients too, by all inputs and by the upstream gradient.

    Returns:
        The largest relative error, |analytic - numeric| / (|analytic| + |numeric|); of elements near
        zero, in relation to a thousandth of the largest one (or of 1).

    Raises:
        AssertionError: names the operation, the first wrong input and element, both values, and
            the cause where it is a usual one. At a kink (relu at 0, ties of max) where the gradient is one
            of the slopes between its two sides, it is a KinkError, which blames no operation.
        ValueError: if no input requires a gradient.
    """
    arguments_of_f = _arguments(f)
    called = arguments_of_f is not None
    inputs = [inputs] if isinstance(inputs, (Tensor, np.ndarray)) else inputs
    named = _named(arguments_of_f or [], inputs)
    wanted = {name: x for name, x in named.items() if x.requires_grad}
    if not wanted:
        raise ValueError("gradcheck: none of the inputs requires a gradient, so there is nothing to check")
    arguments = list(named.values()) if called else []
    in_place = not called or (isinstance(f, _GradientOf) and not f.called)  # f uses these very tensors
    before = {name: x._array.copy() for name, x in named.items()}
    out = f(*arguments)
    weights = _weights(out)
    analytic = _gradients(out, wanted, weights)
    _assert_untouched({name: x._array for name, x in named.items()}, before, "f changes its input")
    again = f(*arguments)
    _assert_same([out], [again], "f gives another value when it is called again. Random draws (dropout, initial "
                 "values) must be seeded inside of f")
    _assert_same(analytic.values(), _gradients(again, wanted, weights).values(),
                 "the gradients differ when they are computed again: does an operation keep something?")
    worst = 0.0
    for name, x in wanted.items():
        _assert_like(analytic[name], x, f"the gradient for {_described(name, x)}", np.ndarray)
        differences = _Differences(f, named, name, weights, called, in_place, eps)
        loose = x.dtype == np.float32 and in_place
        tolerances = _tolerances(x.dtype, rtol, atol) if not loose else (rtol or 1e-2, atol or 2e-3)
        try:
            worst = max(worst, _assert_derivative(f"gradient for {_described(name, x)}", analytic[name], differences,
                                                  *tolerances))
        except KinkError:
            raise
        except AssertionError as error:
            raise AssertionError(_blame(out, str(error))) from None
    if order > 1:
        second = _GradientOf(f, list(wanted), list(named), called)
        inputs_of_second = {**named, "upstream gradient": Tensor(weights, requires_grad=True)}
        try:
            worst = max(worst, gradcheck(second, inputs_of_second, eps, rtol, atol, order - 1))
        except AssertionError as error:
            raise AssertionError(f"in the second derivative: {error}") from None
    return worst


def check_op(op: Op, *arrays: Any, eps: float | None = None, rtol: float | None = None, atol: float | None = None,
             order: int = 1) -> float:
    """Compare an operation's `backward` with central differences of its `forward`.

    Also checked: the gradients' shapes and dtypes, that neither method changes what it is given,
    that a second call gives the same, and that a selective operation can compute each gradient alone.

    Args:
        op: the operation.
        arrays: its inputs, as arrays or Tensors (whose names the report uses). Only floats are perturbed.
        eps, rtol, atol, order: as in gradcheck; the differences are always taken in double precision.

    Returns:
        The largest relative error.

    Raises:
        AssertionError: names the operation, the input and the element, and perhaps the cause.
    """
    require_operation("check_op", op)
    names = _operand_names(op, len(arrays))
    labels = [x.label if isinstance(x, Tensor) else "" for x in arrays]
    inputs = [np.asarray(x._array if isinstance(x, Tensor) else x) for x in arrays]
    title = type(op).__name__
    out, weights, input_grads = _called_twice(op, names, inputs)
    needs = [x.dtype.kind == "f" for x in inputs]
    differences = {i: _forward_differences(op, inputs, i, weights, eps) for i in range(len(inputs)) if needs[i]}
    numeric = {i: difference.derivative()[0] for i, difference in differences.items()}
    worst = 0.0
    for i, expected in numeric.items():
        x = inputs[i]
        where = f"{title}: gradient for input {_described(names[i], x, labels[i])}"
        input_grad = np.zeros_like(x) if input_grads[i] is None else np.asarray(input_grads[i])
        if all(other.dtype in (x.dtype, bool) or other.dtype.kind in "iu" for other in inputs):
            _assert_dtype(input_grad, x, where)
        input_grad = _unbroadcast_checked(where, input_grad, x, out, expected)
        try:
            worst = max(worst, _assert_derivative(where, input_grad, differences[i],
                                                  *_tolerances(x.dtype, rtol, atol)))
        except KinkError:
            raise
        except AssertionError as error:
            why = _cause_among_operands(op, names, inputs, i, input_grad, numeric, weights, eps)
            raise AssertionError(f"{error}{why}") from None
    if order > 1:
        tensors = {name: Tensor(x, requires_grad=needed) for name, x, needed in zip(names, inputs, needs)}
        worst = max(worst, gradcheck(partial(apply, op), tensors, eps, rtol, atol, order))
    return worst


def compare_gradients(name: str, analytic: Any, numeric: Any, rtol: float = 1e-5, atol: float = 1e-8) -> float:
    """Compare a gradient with the right one.

    Returns:
        The largest relative error.

    Raises:
        AssertionError: names the first wrong element, and the cause where it is a usual one.
    """
    analytic, numeric = np.asarray(analytic), np.asarray(numeric)
    if analytic.shape != numeric.shape:
        raise AssertionError(f"gradient for {name} has shape {analytic.shape}; it must be {numeric.shape}"
                             f"{_cause_of_shape(analytic, numeric)}")
    return _assert_close(f"gradient for {name}", analytic, numeric, rtol, atol)


def numeric_gradient(f: Function, x: Tensor | ArrayLike, eps: float | None = None) -> Array:
    """Return the derivative of f with respect to each element of x, by central differences.

    (f(x + eps) - f(x - eps)) / (2 eps), with an error of order eps². f is called twice for each element, and four
    times more where it is so large that rounding requires a larger distance; x ends as it was.

    Args:
        f: returns a single number, as a Tensor, an array or a number; of an array the sum is differentiated. It takes
            x, or has no arguments and uses x itself.
        x: a Tensor of any type, which holds double precision during the calls; or an array. An array that f uses
            itself is moved in its own type.
        eps: the distance; by default 1e-6 (in arrays of float32 5e-3, of float16 5e-2), times the element's size
            where that is larger than 1.

    Raises:
        TypeError: for an array of integers that f uses itself: it can't be moved by a fraction.
    """
    called = bool(_arguments(f))
    if called and not isinstance(x, Tensor):
        x = Tensor(x, dtype=np.result_type(np.asarray(x).dtype, float))
        return _Differences(_OfArray(f), {"x": x}, "x", np.ones(()), True, True, eps).derivative()[0]
    if not isinstance(x, Tensor) and not (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        raise TypeError(f"numeric_gradient moves x by a fraction: x is a Tensor or an array of floats, not "
                        f"{getattr(x, 'dtype', type(x).__name__)} (at {call_site()})")
    return _Differences(f, {"x": x}, "x", np.ones(()), called, True, eps).derivative()[0]


# ---- how the numbers are made --------------------------------------------------------------


class KinkError(AssertionError):
    """A gradient can't be checked: f has a kink there, and the analytic gradient is one of its slopes."""


class _OfArray:
    """A function of an array, as one of a Tensor."""

    def __init__(self, f: Function) -> None:
        self.f = f

    def __call__(self, x: Tensor) -> Any:
        return self.f(x._array.copy())


class _GradientOf:
    """A random combination of f's gradients, as a function: its own gradients are second derivatives.

    It takes f's inputs and the upstream gradient.
    """

    def __init__(self, f: Function, wanted: list[str], names: list[str], called: bool) -> None:
        self.f = f
        self.wanted = wanted
        self.names = names
        self.called = called

    def __call__(self, *inputs: Tensor) -> Any:
        *arguments, incoming = inputs
        named = dict(zip(self.names, arguments))
        out = self.f(*arguments) if self.called else self.f()
        wanted = {named[name] for name in self.wanted}
        found = compute_gradients(out, incoming, wanted)
        total = 0 * incoming.sum()
        for name in self.wanted:
            x = named[name]
            total = total + 0 * x.sum()  # so that every input has a path
            if x in found:
                _assert_like(found[x], x, f"the recorded gradient for {_described(name, x)}", Tensor)
                total = total + (found[x] * _combination(x.shape)).sum()
        return total


def _combination(shape: tuple[int, ...]) -> Array:
    """Return fixed random numbers, none of them near zero."""
    rng = np.random.default_rng(5)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _weights(out: Any) -> Array:
    """Return the upstream gradient of a check: 1 for a single number."""
    if not isinstance(out, Tensor):
        raise AssertionError(f"f returned {type(out).__name__}, not a Tensor: is it made of functions of mg and NumPy?")
    return (np.ones(out.shape) if out.size == 1 else _combination(out.shape)).astype(out.dtype)


def _gradients(out: Tensor, wanted: Mapping[str, Tensor], weights: Array) -> dict[str, Array]:
    """Return the gradients of the wanted inputs; zeros for an input without a path."""
    found = compute_gradients(out, initial_gradient(out, weights), set(wanted.values()))
    return {name: found[x] if x in found else np.zeros(x.shape, x.dtype) for name, x in wanted.items()}


class _Differences:
    """Values of f where one element of one input has moved, and what follows from them.

    Args:
        f, called: the function, and whether it takes the inputs as arguments.
        named: the inputs by name; `name` is the one that moves.
        weights: the upstream gradient. The derivative is that of (f * weights).sum().
        in_place: whether f uses these very tensors, so that their data must be replaced for each call.
        eps: the distance; None chooses one by the element, and by the size and precision of f.
    """

    def __init__(self, f: Function, named: Mapping[str, Any], name: str, weights: Array, called: bool,
                 in_place: bool, eps: float | None = None) -> None:
        if not in_place:  # copies in double precision
            named = {key: Tensor(y, y.requires_grad, y.name, np.float64 if y.requires_grad else None)
                     for key, y in named.items()}
        self.f, self.weights, self.eps = f, weights, eps
        self.arguments = list(named.values()) if called else []
        self.x = named[name]
        self.original = self.x._array if isinstance(self.x, Tensor) else self.x.copy()
        self.usual = EPS.get(self.original.dtype.name, EPS["float64"])
        self.dtype = np.result_type(self.original.dtype, float)  # at least double

    def at(self, index: tuple[int, ...], distance: float) -> Array:
        """Return f, weighted, where the element at `index` has moved; the input is as before afterwards."""
        if not isinstance(self.x, Tensor):  # an array, which f uses itself
            self.x[index] += distance
            self.moved = float(self.x[index] - self.original[index])  # rounded to the array's type
            try:
                return self.weighted(self.f(*self.arguments))
            finally:
                self.x[...] = self.original
        changes, self.x.changes = self.x.changes, None
        self.x._array = self.original.astype(self.dtype)
        self.x._array[index] += distance
        self.moved = float(self.x._array[index] - self.original[index])
        try:
            return self.weighted(self.f(*self.arguments))
        finally:
            self.x._array, self.x.changes = self.original, changes

    def weighted(self, out: Any) -> Array:
        array = np.asarray(out._array if isinstance(out, Tensor) else out)
        self.precision = array.dtype if array.dtype.kind == "f" else np.dtype(float)
        return np.asarray(array.astype(self.dtype) * self.weights)

    def derivative(self) -> tuple[Array, Array]:
        """Return the central difference for each element, and how far rounding may move it."""
        result, noise = np.zeros(self.original.shape, self.dtype), np.zeros(self.original.shape, self.dtype)
        for index in np.ndindex(self.original.shape):
            result[index], noise[index] = self.central(index)
        return result, noise

    def central(self, index: tuple[int, ...]) -> tuple[Any, Any]:
        """Return the central difference for one element, and its rounding error.

        Where f is so large that rounding would spoil it, the distance is larger and the formula of fourth order,
        (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h.
        """
        scale = max(1.0, abs(float(self.original[index])))
        h = self.eps or self.usual * scale
        above, up = self.at(index, h), self.moved
        below, down = self.at(index, -h), self.moved
        rounding = float(np.spacing(np.abs(above).max(initial=0.0).astype(self.precision)))
        slope = (above - below).sum() / (up - down)
        limit = self.usual if self.precision == np.float64 else 0.2 * self.usual
        if self.eps or not rounding / h > limit:
            return slope, rounding / h
        far = min(10 * rounding / limit, 0.02 * scale)
        fourth = (8 * (self.at(index, far) - self.at(index, -far))
                  - (self.at(index, 2 * far) - self.at(index, -2 * far))).sum() / (12 * far)
        return (fourth, 2 * rounding / far) if np.isfinite(fourth) else (slope, rounding / h)

    def kink(self, index: tuple[int, ...]) -> tuple[float, float] | None:
        """Return the least and the largest slope at an element where the two sides have different ones, or None.

        At a smooth point the difference of the one-sided differences shrinks with the distance; at a kink it stays.
        """
        middle, gaps = self.at(index, 0.0), []
        for h in (self.usual, self.usual / 8):
            sides = (middle - self.at(index, -h)) / h, (self.at(index, h) - middle) / h
            low, high = np.minimum(*sides).sum(), np.maximum(*sides).sum()
            gaps.append(high - low)
        noise = float(np.spacing(np.abs(middle).max(initial=0.0).astype(self.precision))) / self.usual * 8
        stays = gaps[1] > 0.5 * gaps[0] and gaps[1] > 1e-4 * max(1.0, abs(low), abs(high)) + 4 * noise
        return (float(low), float(high)) if stays else None


def _forward_differences(op: Op, inputs: list[Array], position: int, weights: Array,
                         eps: float | None) -> _Differences:
    """Return differences of an operation's forward for one input, in double precision."""
    tensors = {str(i): _tensor(x) for i, x in enumerate(inputs)}
    return _Differences(partial(apply, op), tensors, str(position), weights, called=True, in_place=False, eps=eps)


def _called_twice(op: Op, names: list[str], inputs: list[Array]) -> tuple[Array, Array, list[Any]]:
    """Return an operation's result, an upstream gradient, and the gradients that backward returns; with checks."""
    title = type(op).__name__
    before = dict(zip(names, [x.copy() for x in inputs]))
    given = dict(zip(names, inputs))
    try:
        out = result_array(op, op.forward(*inputs))
    except TypeError as error:
        raise AssertionError(str(error)) from None
    _assert_untouched(given, before, f"{title}.forward changes its input")
    _assert_same([out], [op.forward(*inputs)], f"{title}.forward gives another value when it is called again")
    if out.dtype.kind != "f":
        raise AssertionError(f"{title} returns {out.dtype}: only floats have a derivative")
    weights = _combination(out.shape).astype(out.dtype)
    needs = tuple(x.dtype.kind == "f" for x in inputs)
    input_grads = _backward(op, weights, out, inputs, needs)
    given |= {"grad": weights, "out": out}
    before |= {"grad": _combination(out.shape).astype(out.dtype), "out": np.asarray(op.forward(*inputs))}
    _assert_untouched(given, before, f"{title}.backward changes")
    _assert_same(input_grads, _backward(op, weights, out, inputs, needs),
                 f"{title}.backward gives another value when it is called again")
    if op.selective:
        for i in range(len(inputs)):
            alone = _backward(op, weights, out, inputs, tuple(j == i and needs[j] for j in range(len(inputs))))
            _assert_same([input_grads[i]], [alone[i]],
                         f"{title}.backward gives another gradient for {names[i]} where only that one is needed")
    return out, weights, input_grads


def _backward(op: Op, weights: Array, out: Array, inputs: list[Array], needs: tuple[bool, ...]) -> list[Any]:
    input_grads = op.backward(weights, out, *inputs, *([needs] if op.selective else []))
    if input_grads is None and not op.selective:
        raise AssertionError(f"{type(op).__name__}: gradient for input {_operand_names(op, 1)[0]} is None (no gradient "
                             "arrives: backward returned None. Is its `return` missing?)")
    input_grads = list(map(array_of, input_grads if isinstance(input_grads, tuple) else (input_grads,)))
    if len(input_grads) != len(inputs):
        raise AssertionError(f"{type(op).__name__}.backward returned {len(input_grads)} gradients "
                             f"for {len(inputs)} inputs")
    return [input_grad if needed else None for input_grad, needed in zip(input_grads, needs)]


def _unbroadcast_checked(where: str, grad: Array, x: Array, out: Array, numeric: Array) -> Array:
    """Return a gradient in its input's shape, as the engine sums it."""
    extra = grad.ndim - x.ndim
    fits = extra >= 0 and grad.shape[:extra] == out.shape[:extra] and all(
        length in (1, n) for length, n in zip(x.shape, grad.shape[extra:]))
    if grad.shape != x.shape and not fits:
        raise AssertionError(f"{where} has shape {grad.shape}; it must be {x.shape}{_cause_of_shape(grad, numeric)}")
    return np.asarray(unbroadcast(grad, x.shape))


# ---- reports -------------------------------------------------------------------------------


def _assert_derivative(what: str, analytic: Array, differences: _Differences, rtol: float, atol: float) -> float:
    """Return the largest relative error of a gradient, if every element is near enough to the differences.

    Raises:
        KinkError: if all elements that differ are at a kink, and between the slopes of its two sides.
        AssertionError: if an element is wrong.
    """
    numeric, noise = differences.derivative()
    largest = max(1.0, float(np.abs(numeric).max(initial=0.0)))
    wrong = ~(np.abs(analytic - numeric) <= atol * largest + rtol * np.abs(numeric) + noise)
    kinks = {}
    margin = (atol + 1e-3) * largest
    for index in [tuple(map(int, position)) for position in np.argwhere(wrong)[:MOST_KINKS]]:
        slopes = differences.kink(index)
        if slopes is not None and slopes[0] - margin <= analytic[index] <= slopes[1] + margin:
            kinks[index], noise[index] = slopes, np.inf
            wrong[index] = False
    if kinks and not wrong.any():
        index, (low, high) = next(iter(kinks.items()))
        raise KinkError(f"{what} can't be checked{f' at {list(index)}' if index else ''}: f has a kink there. Its "
                        f"slopes on the two sides are {low:.6g} and {high:.6g}, and the analytic gradient "
                        f"{analytic[index]:.6g} is one between them; {len(kinks)} of {wrong.size} elements are at "
                        "kinks. Check at other inputs, e.g. without zeros and ties")
    return _assert_close(what, analytic, numeric, rtol, atol, noise)


def _assert_close(what: str, analytic: Array, numeric: Array, rtol: float, atol: float,
                  noise: Array | float = 0.0) -> float:
    """Return the largest relative error, if every element is near enough."""
    difference = np.abs(analytic - numeric)
    largest = max(1.0, float(np.abs(numeric).max(initial=0.0)))
    wrong = ~(difference <= atol * largest + rtol * np.abs(numeric) + noise)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        count = f"; {wrong.sum()} of {wrong.size} elements are wrong" if not wrong.all() else ""
        why = cause(analytic, numeric)
        raise AssertionError(f"{what} wrong{f' at {list(index)}' if index else ''}: analytic {analytic[index]:.6g}, "
                             f"numeric {numeric[index]:.6g}{f' ({why})' if why else ''}{count}")
    scale = np.maximum(1e-3 * largest, np.abs(analytic) + np.abs(numeric))
    return float((difference / scale).max(initial=0.0))


def cause(analytic: Array, numeric: Array) -> str:
    """Return the likely cause of a wrong gradient, from its relation to the right one of the same shape, or ""."""
    if not np.isfinite(analytic).all():
        return f"{(~np.isfinite(analytic)).sum()} elements are not finite"
    if not analytic.any():
        return "no gradient arrives: does its way leave the graph, by .data, detach() or float()?"
    if analytic.ndim >= 2 and _alike(analytic, np.swapaxes(numeric, -1, -2)):
        return "exactly the transpose"
    factor = float((analytic * numeric).sum() / max((numeric * numeric).sum(), 1e-300))
    if _alike(analytic, factor * numeric):
        return _factor(factor, numeric)
    wrong = ~np.isclose(analytic, numeric, rtol=1e-3, atol=1e-4)
    if not analytic[wrong].any():
        return "zero where it is wrong: a contribution is missing"
    return ""


def _factor(factor: float, numeric: Array) -> str:
    """Return a constant factor in words."""
    known = {-1.0: "exactly the negative: a sign is wrong", 0.5: "exactly half", 2.0: "exactly double"}
    for value, words in known.items():
        if abs(factor / value - 1) < 1e-3:
            return words
    for times, words in ((factor, "exactly {} times"), (1 / factor, "exactly 1/{}")):
        whole = round(times)
        if abs(whole) >= 2 and abs(times / whole - 1) < 1e-3:
            axes = [f"axis {axis}" for axis, n in enumerate(numeric.shape) if n == abs(whole)]
            axes += ["the whole input"] if numeric.size == abs(whole) else []
            hint = f", the length of {axes[0]}: a mean where a sum belongs, or the reverse?" if axes else ""
            return words.format(whole) + hint
    return f"everywhere {factor:.4g} times" if (numeric != 0).sum() > 1 else ""


def _cause_of_shape(analytic: Array, numeric: Array) -> str:
    """Return the likely cause of a gradient's wrong shape."""
    wanted = numeric.shape
    if analytic.shape == wanted[::-1]:
        return ": it is transposed"
    extra = analytic.ndim - len(wanted)
    if extra > 0 and analytic.shape == (1,) * extra + wanted:
        return ": was it summed with keepdims=True?"
    if extra >= 0:
        axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(wanted) if analytic.shape[extra + i] != n)
        summed = analytic.sum(axis=axes)
        if summed.size == numeric.size and _alike(summed.reshape(wanted), numeric):
            return f": the sum over its broadcast {'axis' if len(axes) == 1 else 'axes'} " \
                   f"{', '.join(map(str, axes))} is missing"
    return ""


def _cause_among_operands(op: Op, names: list[str], inputs: list[Array], position: int, input_grad: Array,
                          numeric: dict[int, Array], weights: Array, eps: float | None) -> str:
    """Return whether it is the gradient of another operand, or one slice of a sum, in words."""
    for other, right in numeric.items():
        if other != position and right.shape == input_grad.shape and _alike(input_grad, right):
            return f" (exactly the gradient for {names[other]}: the two are exchanged)"
    x = inputs[position]
    try:
        apart = [*inputs]
        apart[position] = np.broadcast_to(x, np.broadcast_shapes(x.shape, weights.shape)).copy()
        full = _forward_differences(op, apart, position, weights, eps).derivative()[0]
    except (ValueError, TypeError, IndexError):  # not an operation that broadcasts
        return ""
    extra = full.ndim - x.ndim
    axes = [i for i in range(full.ndim) if i < extra or x.shape[i - extra] != full.shape[i]]
    for end in (0, -1):
        one = full[tuple(end if i in axes else slice(None) for i in range(full.ndim))]
        if axes and one.size == input_grad.size and _alike(one.reshape(input_grad.shape), input_grad):
            return f" (it is one slice only: the sum over the broadcast axes {axes} is missing)"
    return ""


def _alike(a: Array, b: Array) -> bool:
    """Return whether two arrays are equal up to rounding, and not both zero."""
    scale = float(np.abs(b).max(initial=0.0))
    return a.shape == b.shape and scale > 0 and bool(np.allclose(a, b, rtol=1e-3, atol=1e-4 * scale))


def _blame(out: Tensor, found: str) -> str:
    """Return a report on the first operation in f's graph that is wrong by itself, or else on f."""
    for node in ancestors(out):
        if node.op is None or sum(x.size for x in node.inputs) > 5000:
            continue
        try:
            check_op(node.op, *node.inputs)
        except KinkError:
            continue
        except AssertionError as error:
            return f"{error}\n  at {node.origin}; so in f: {found}"
    return f"{found}\n  each operation of f is right by itself"


def _assert_like(gradient: Any, x: Tensor, what: str, kind: Any) -> None:
    if not isinstance(gradient, kind):
        raise AssertionError(f"{what} is a {type(gradient).__name__}, not a {kind.__name__}")
    if gradient.shape != x.shape:
        raise AssertionError(f"{what} has shape {gradient.shape}; it must be {x.shape}")
    _assert_dtype(gradient, x, what)


def _assert_dtype(gradient: Any, x: Any, what: str) -> None:
    if gradient.dtype != x.dtype:
        raise AssertionError(f"{what} is {gradient.dtype}; it must be {x.dtype}, as its input is")


def _assert_untouched(now: Mapping[str, Array], before: Mapping[str, Array], what: str) -> None:
    for name, array in now.items():
        if not np.array_equal(array, before[name], equal_nan=array.dtype.kind == "f"):
            raise AssertionError(f"{what} {name} in place: work on a copy")


def _assert_same(first: Any, second: Any, what: str) -> None:
    for one, other in zip(first, second):
        if one is None and other is None:
            continue
        a, b = (np.asarray(x._array if isinstance(x, Tensor) else x) for x in (one, other))
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            raise AssertionError(what)


def _tolerances(dtype: np.dtype[Any], rtol: float | None, atol: float | None) -> tuple[float, float]:
    usual = TOLERANCES.get(dtype.name, TOLERANCES["float64"])
    return usual[0] if rtol is None else rtol, usual[1] if atol is None else atol


def _described(name: str, x: Any, label: str | None = None) -> str:
    label = x.label if label is None else label
    return f"{name} ({f'{label}, ' if label and label != name else ''}shape {x.shape})"


def _arguments(f: Function) -> list[str] | None:
    """Return the names of f's arguments as far as they are known; None if all have defaults: f takes no inputs."""
    try:
        parameters = inspect.signature(f).parameters
    except (ValueError, TypeError):  # a ufunc
        return []
    called = any(p.kind is p.VAR_POSITIONAL or (p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
                                                and p.default is p.empty) for p in parameters.values())
    return list(parameters) if called else None


def _named(arguments: list[str], inputs: Mapping[str, Tensor] | Sequence[Any]) -> dict[str, Tensor]:
    """Return the inputs as tensors, by their own name or that of f's argument."""
    if isinstance(inputs, Mapping):
        return {name: _tensor(x) for name, x in inputs.items()}
    named: dict[str, Tensor] = {}
    for i, x in enumerate(map(_tensor, inputs)):
        name = x.label or (arguments[i] if i < len(arguments) else f"input {i}")
        named[name if name not in named else f"{name} (input {i})"] = x
    return named


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x, requires_grad=np.asarray(x).dtype.kind == "f")


def _operand_names(op: Op, count: int) -> list[str]:
    """Return the names that `forward` gives its inputs: a, b; or parts[0], parts[1]."""
    names: list[str] = []
    for p in inspect.signature(op.forward).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(count - len(names))]
        else:
            names.append(p.name)
    return names
