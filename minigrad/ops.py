"""Every differentiable operation: its formula and, right under it, its derivative.

This module works on NumPy arrays and doesn't import Tensor. An operation is one named class:

- `forward(*inputs)` computes the result;
- `backward(grad, out, *inputs)` returns the gradient for each input (a tuple, or just the
  gradient where there is one input), from `grad`, the gradient of the result `out`.

Options such as `axis` are attributes of the instance; it holds nothing else, so one instance serves any
number of nodes. Gradients of broadcast inputs are returned in the broadcast shape, and the engine undoes
the broadcasting. `backward` is written in NumPy that takes arrays and Tensors alike, so that under
`create_graph` the same formula gives derivatives of derivatives.

At a kink (abs at 0, relu at 0, ties of max) the derivative is one of those between its two sides;
the docstring names it.

If computing a gradient is expensive, set `selective = True`: `backward` then receives a last argument, one
bool per input as PyTorch's `needs_input_grad`, and may return None where it is False.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from .formats.formula import ATOM, PREFIX, Formula, call, format_index, infix

Array: TypeAlias = Any  # np.ndarray, or a Tensor when derivatives are themselves recorded
Axis: TypeAlias = "int | tuple[int, ...] | None"
Needs: TypeAlias = "tuple[bool, ...]"
ALL_INPUTS = range(sys.maxsize)  # of an operation that takes any number of them


class Op:
    """A differentiable operation. Subclass it with `forward` and `backward` to add your own.

    `mg.apply(YourOp(), x, y)` computes it and records it in the graph. The attributes are set in the body of
    the class, or in its first line: `class YourOp(Op, symbol="+", precedence=1):`.

    Exports to other libraries look for a method of the class that computes the operation there. None is needed here.

        jax(self, *operands)             from arrays of JAX
        torch(self, *operands)           from tensors of PyTorch
        onnx(self, builder, *operands)   as nodes of an ONNX file: operands take Python's operators and NumPy's ufuncs;
                                         `builder.where(x > 0, x, 0.0)` and `builder.emit` write further nodes

    Gradients are then those that the library finds for this method, not those of `backward`. A method has them of
    another function f where it returns `value + (f(x) - stop_gradient(f(x)))`; also see jax.custom_vjp and
    torch.autograd.Function.

    Attributes:
        selective: whether `backward` takes a last argument `needs_input_grad`, one bool per input, and may
            return None where it is False.
        elementwise: whether each element of the result depends only on the elements at the same place of
            the inputs, which broadcast against each other.
        ufunc: the NumPy ufunc that computes the same, if there is one.
        symbol: the infix operator with which a formula writes it, e.g. "+".
        precedence: how tightly that operator binds; a larger number binds tighter.
        called: the name with which a formula calls it; by default the name of the class, in lower case.
        random: whether the result is drawn from a generator, so that computing it twice differs.
        integer_inputs: positions of the inputs that hold integers, such as labels. Those that a recurrence computes
            are floats that hold whole numbers.
        regular: a number at which the operation and its derivatives are finite, where they aren't for all numbers.
            Masked steps of a recurrence are computed from it.
        core_ndims: for operations on the last axes of operands, such as products of matrices, the number of those
            axes for each; the axes in front broadcast. As the signature of NumPy's generalized ufuncs.
        aligned: whether all operands need the same axes in front of those it works on: they don't broadcast there.
        differentiable: whether gradients pass; False for comparisons and positions.
        flattens: whether axis=None means the elements of all axes in a row.
        affine: positions of the inputs of which the result is an affine function, the other inputs being constant.
        jointly_affine: whether it is one of those together, as a sum is; otherwise of each alone, as a product is.
        batchable: whether `for_batch` has a result; not so for options that describe all axes of an operand.
    """

    selective: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    ufunc: np.ufunc | None = None
    symbol: ClassVar[str | None] = None
    precedence: ClassVar[int] = 0
    called: ClassVar[str | None] = None
    random: ClassVar[bool] = False
    integer_inputs: ClassVar[tuple[int, ...]] = ()
    core_ndims: ClassVar[tuple[int, ...] | None] = None
    aligned: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    flattens: ClassVar[bool] = False
    affine: ClassVar[Sequence[int]] = ()
    jointly_affine: ClassVar[bool] = False
    regular: ClassVar[float | None] = None
    batchable: ClassVar[bool] = True

    def __init_subclass__(cls, **attributes: Any) -> None:
        """Set the attributes given in the first line of a subclass."""
        super().__init_subclass__()
        unknown = sorted(attributes.keys() - Op.__annotations__.keys())
        if unknown:
            raise TypeError(f"class {cls.__name__}: an operation has no attribute {unknown[0]!r}; "
                            f"the attributes are {', '.join(Op.__annotations__)}")
        for name, value in attributes.items():
            setattr(cls, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result as an array, from the inputs' arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the gradient for each input, from (grad, out, *inputs)."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def result_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result for inputs of the given shapes.

        Computes `forward` once, on `samples`. A random operation draws from a copy of its generator, so that
        later draws stay the same.

        Raises:
            ValueError, TypeError, IndexError: as `forward` does, for shapes that don't fit.
        """
        op = copy.deepcopy(self) if self.random else self
        with np.errstate(all="ignore"):
            return np.shape(op.forward(*self.samples(*shapes)))

    def samples(self, *shapes: tuple[int, ...]) -> list[Any]:
        """Return valid inputs of the given shapes: ones, and the integer 0 at `integer_inputs`.

        Override it where ones are no valid input.
        """
        return [np.zeros(shape, int) if i in self.integer_inputs else np.ones(shape) for i, shape in enumerate(shapes)]

    def for_batch(self, *ndims: int) -> Op:
        """Return the operation that computes this one for each item of a batch.

        The batch's axes precede those of an item, so axes are counted from the end. An elementwise operation
        stays the same; its operands must have as many axes as the result.

        Args:
            ndims: the number of axes of an item of each operand.

        Raises:
            ValueError: if the operation isn't `batchable`, or the item has no such axis.
        """
        if not self.batchable:
            raise ValueError(f"{self!r} describes all axes of its operands, so it can't be computed for a batch")
        axis = 0 if self.flattens and getattr(self, "axis", 0) is None else getattr(self, "axis", None)
        return self if axis is None else self._changed(axis=axes_from_end(axis, ndims[0]))

    def _changed(self, **options: Any) -> Op:
        """Return a copy with other options."""
        other = copy.copy(self)
        vars(other).update(options)
        return other

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        """Return how the operation is written, e.g. `a + b` or `sum(x, axis=1)`; without `options`, no axes are.

        An operation of your own may return a plain text: `return f"relu({operands[0].text})"`.
        """
        if self.symbol is not None:
            return infix(self.symbol, self.precedence, operands)
        return call(self.called or type(self).__name__.lower(), self, operands, options)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


def axes_from_end(axis: Any, ndim: int) -> Any:
    """Return an axis, or several, counted from the end: -1 is the last.

    Raises:
        ValueError: if there is none (NumPy's AxisError).
    """
    if not isinstance(axis, tuple):
        return np.lib.array_utils.normalize_axis_index(axis, ndim) - ndim
    return tuple(np.lib.array_utils.normalize_axis_index(one, ndim) - ndim for one in axis)


class Elementwise(Op, elementwise=True):
    """Base class of the operations on corresponding elements of inputs that broadcast."""


def compute(op: Op, x: Array, *others: Array) -> Array:
    """Apply `op` to arrays; or to Tensors, which record it."""
    return op.forward(x, *others) if isinstance(x, (np.ndarray, np.generic)) else x.apply(op, x, *others)


def combined(reduce: Callable[..., Array], x: Array, **options: Any) -> Array:
    """Return a sum, product or variance of an array; of float16 in float32, as partial results may exceed 65504."""
    if getattr(x, "dtype", None) != np.float16:  # a compiled program also passes plain numbers
        return reduce(x, **options)
    return reduce(x, dtype=np.float32, **options).astype(np.float16)


def divided(x: Array, count: float) -> Array:
    """Return x / count; of float16, which has no count above 65504, x * (1 / count)."""
    return x * float(np.divide(1.0, count)) if x.dtype == np.float16 else x / count


def zeros_as(grad: Array) -> Array:
    """Return zeros in the place of a gradient. (grad * 0 would be NaN where it is infinite.)"""
    return np.where(True, 0, grad)


# ---- arithmetic ----------------------------------------------------------------------------


class Identity(Elementwise, ufunc=np.positive, affine=(0,)):
    """A second name for the same values."""

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return operands[0]

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad


class Add(Elementwise, ufunc=np.add, symbol="+", precedence=1, affine=(0, 1), jointly_affine=True):
    def forward(self, a: Array, b: Array) -> Array:
        return a + b

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, ...]:
        return grad, grad


class Sub(Elementwise, ufunc=np.subtract, symbol="-", precedence=1, selective=True, affine=(0, 1), jointly_affine=True):
    def forward(self, a: Array, b: Array) -> Array:
        return a - b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return grad, -grad if needs_input_grad[1] else None


class Mul(Elementwise, ufunc=np.multiply, symbol="*", precedence=2, selective=True, affine=(0, 1)):
    def forward(self, a: Array, b: Array) -> Array:
        return a * b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return (grad * b if needs_input_grad[0] else None,
                grad * a if needs_input_grad[1] else None)


class Div(Elementwise, ufunc=np.divide, symbol="/", precedence=2, selective=True, regular=0.5, affine=(0,)):
    """a / b; the derivative for b is that for a times -a / b, without b², which overflows and underflows early."""

    def forward(self, a: Array, b: Array) -> Array:
        return a / b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        grad_a = grad / b
        return grad_a, -grad_a * out if needs_input_grad[1] else None


class Pow(Elementwise, ufunc=np.power, symbol="**", precedence=4, selective=True, regular=0.5):
    """a ** b; at 0 ** 0 the derivative for a is 0, at a = 0 the one for b is 0."""

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return infix("**", self.precedence, operands, from_right=True)

    def forward(self, a: Array, b: Array) -> Array:
        return a ** b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return (grad * (b * a ** np.where((a == 0) & (b == 0), 1, b - 1)) if needs_input_grad[0] else None,
                grad * (out * np.log(np.where(a == 0, 1, a))) if needs_input_grad[1] else None)


class Power(Elementwise, regular=0.5):
    """x to a fixed power, as in x ** 2; at 0 ** 0 the derivative is 0."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return Formula(f"{operands[0].bracketed(ATOM)} ** {self.exponent:g}", Pow.precedence)

    def forward(self, x: Array) -> Array:
        return x ** self.exponent

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        if self.exponent == 0:
            return zeros_as(grad)
        return grad * (self.exponent * x ** (self.exponent - 1))


class Neg(Elementwise, ufunc=np.negative, affine=(0,)):
    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return Formula("-" + operands[0].bracketed(PREFIX), PREFIX)

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -grad


class Cast(Elementwise, affine=(0,)):
    """The same values as another type of float."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def forward(self, x: Array) -> Array:
        return x.astype(self.dtype)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return compute(Cast(x.dtype), grad)


# ---- functions of each element -------------------------------------------------------------


class Exp(Elementwise, ufunc=np.exp):
    def forward(self, x: Array) -> Array:
        return np.exp(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * out


class Expm1(Elementwise, ufunc=np.expm1):
    """exp(x) - 1, exact for small x."""

    def forward(self, x: Array) -> Array:
        return np.expm1(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.exp(x)


class Log(Elementwise, ufunc=np.log, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.log(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / x


class Log1p(Elementwise, ufunc=np.log1p, regular=0.5):
    """log(1 + x), exact for small x."""

    def forward(self, x: Array) -> Array:
        return np.log1p(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (1 + x)


class Log2(Elementwise, ufunc=np.log2, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.log2(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (x * math.log(2))


class Sqrt(Elementwise, ufunc=np.sqrt, regular=0.5):
    """The square root; its derivative at 0 is infinite, as the slope is. sqrt(x + eps) has a finite one."""

    def forward(self, x: Array) -> Array:
        return np.sqrt(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (2 * out)


class Square(Elementwise, ufunc=np.square):
    def forward(self, x: Array) -> Array:
        return x * x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (2 * x)


class Abs(Elementwise, ufunc=np.absolute):
    """|x|; the derivative at 0 is 0."""

    def forward(self, x: Array) -> Array:
        return np.abs(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.sign(x)


class Sign(Elementwise, ufunc=np.sign):
    """-1, 0 or 1; the derivative is 0 everywhere, at the jump too."""

    def forward(self, x: Array) -> Array:
        return np.sign(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return zeros_as(grad)


class Sin(Elementwise, ufunc=np.sin):
    def forward(self, x: Array) -> Array:
        return np.sin(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.cos(x)


class Cos(Elementwise, ufunc=np.cos):
    def forward(self, x: Array) -> Array:
        return np.cos(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -grad * np.sin(x)


class Tan(Elementwise, ufunc=np.tan, regular=0.5):
    def forward(self, x: Array) -> Array:
        return np.tan(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (1 + out * out)


class Sinh(Elementwise, ufunc=np.sinh):
    def forward(self, x: Array) -> Array:
        return np.sinh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.cosh(x)


class Cosh(Elementwise, ufunc=np.cosh):
    def forward(self, x: Array) -> Array:
        return np.cosh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.sinh(x)


class Tanh(Elementwise, ufunc=np.tanh):
    def forward(self, x: Array) -> Array:
        return np.tanh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (1 - out * out)


class Arctan(Elementwise, ufunc=np.arctan):
    def forward(self, x: Array) -> Array:
        return np.arctan(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / (1 + x * x)


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x)), for negative x as exp(x) / (1 + exp(x)): neither overflows, and small values are exact.

    (0.5 * tanh(0.5 * x) + 0.5 loses them to cancellation: it is exactly 0 from x = -38 on, in float32 from -17 on.)
    """

    def forward(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))
        return np.maximum(small, x >= 0) / (1 + small)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (out * (1 - out))


class Softplus(Elementwise):
    """log(1 + exp(x)), which doesn't overflow as log(exp(0) + exp(x)); the derivative is sigmoid(x)."""

    def forward(self, x: Array) -> Array:
        return np.logaddexp(x, 0)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * compute(Sigmoid(), x)


class Relu(Elementwise):
    """max(x, 0); the derivative at 0 is 0."""

    def forward(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.where(x <= 0, 0, grad)


class LeakyRelu(Elementwise):
    """x where it is positive, slope * x elsewhere; the derivative at 0 is `slope`.

    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models (ICML 2013).
    """

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Array) -> Array:
        return np.where(x > 0, x, self.slope * x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.where(x > 0, grad, self.slope * grad)


class Elu(Elementwise):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere; the derivative at 0 is alpha.

    Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
    linear units (ICLR 2016), eq. 15.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * np.where(x > 0, 1, out + self.alpha)


class Gelu(Elementwise):
    """x * Phi(x), Phi being the normal distribution function, in its approximation by tanh:

        x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x³)))

    Hendrycks and Gimpel, Gaussian error linear units (2016), section 2. It is within 5e-4 of the
    exact one, for which NumPy lacks the error function.
    """

    def forward(self, x: Array) -> Array:
        return np.maximum(x, -GELU_END) * compute(Sigmoid(), self.argument(x))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        near = np.minimum(np.maximum(x, -GELU_END), GELU_END)
        weight = compute(Sigmoid(), self.argument(x))
        return grad * (weight + near * weight * (1 - weight) * (2 * ROOT_2_PI * (1 + 3 * 0.044715 * near * near)))

    def argument(self, x: Array) -> Array:
        """Return z with sigmoid(z) = (1 + tanh(z / 2)) / 2, which doesn't cancel for negative x."""
        near = np.minimum(np.maximum(x, -GELU_END), GELU_END)  # x³ overflows early
        return 2 * ROOT_2_PI * (near + 0.044715 * near * near * near)


GELU_END = 25.0  # the sigmoid is exactly 0 or 1 from there on
ROOT_2_PI = math.sqrt(2 / math.pi)


class Clip(Elementwise):
    """x, but no less than `low` and no more than `high` (None: no bound); at a bound the derivative is 1."""

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
        return np.clip(x, self.low, self.high)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.where(x != out, 0, grad)


class Maximum(Elementwise, ufunc=np.maximum, selective=True):
    """The larger of two; where they are equal each gets half of the gradient."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        shared = np.where(a == b, 0.5 * grad, grad)
        return (np.where(a >= b, shared, 0) if needs_input_grad[0] else None,
                np.where(b >= a, shared, 0) if needs_input_grad[1] else None)


class Minimum(Elementwise, ufunc=np.minimum, selective=True):
    """The smaller of two; where they are equal each gets half of the gradient."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        shared = np.where(a == b, 0.5 * grad, grad)
        return (np.where(a <= b, shared, 0) if needs_input_grad[0] else None,
                np.where(b <= a, shared, 0) if needs_input_grad[1] else None)


class Where(Elementwise, selective=True, affine=(1, 2), jointly_affine=True):
    """a where the condition holds, b elsewhere. The condition has no derivative."""

    def forward(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def backward(self, grad: Array, out: Array, condition: Array, a: Array, b: Array,
                 needs_input_grad: Needs) -> tuple[Array, ...]:
        return (None,
                np.where(condition, grad, 0) if needs_input_grad[1] else None,
                np.where(condition, 0, grad) if needs_input_grad[2] else None)


class Compare(Elementwise, differentiable=False):
    """An elementwise comparison, or a connective of truth values, by one of NumPy's ufuncs; without derivative."""

    ufunc: np.ufunc
    symbols: ClassVar[dict[np.ufunc, str]] = {
        np.equal: "==", np.not_equal: "!=", np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
        np.logical_and: "&", np.logical_or: "|", np.logical_xor: "^", np.logical_not: "~"}

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc = ufunc

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        symbol = self.symbols.get(self.ufunc)
        if symbol == "~":
            return Formula("~" + operands[0].bracketed(PREFIX), PREFIX)
        if symbol is None:
            return call(self.ufunc.__name__, object(), operands, options)
        return Formula(f" {symbol} ".join(operand.bracketed(1) for operand in operands), 0)

    def forward(self, *inputs: Array) -> Array:
        return self.ufunc(*inputs)



class StopGradient(Elementwise, called="stop_gradient", differentiable=False, affine=(0,)):
    """The same values, as a constant: no gradient passes."""

    def forward(self, x: Array) -> Array:
        return x


class DropoutMask(Op, random=True, differentiable=False):
    """Which elements a dropout keeps: True with probability 1 - rate. It takes only the shape of x.

    Each call of `forward` draws anew from the generator. Bools have no derivative.
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        self.rate, self.rng = rate, rng

    def forward(self, x: Array) -> Array:
        return self.rng.random(np.shape(x)) >= self.rate

    def __repr__(self) -> str:
        return f"DropoutMask(rate={self.rate!r})"


# ---- sums over axes ------------------------------------------------------------------------


class Reduction(Op):
    """Base class of reductions (sum, mean, max, ...) over one, several or all axes."""

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = axis, keepdims

    def for_batch(self, *ndims: int) -> Op:
        every = tuple(range(ndims[0])) if self.axis is None else self.axis
        return self._changed(axis=axes_from_end(every, ndims[0]))

    def restore(self, reduced: Array, x: Array) -> Array:
        """Return a reduced array with its axes put back with length 1, so that it broadcasts against the input x."""
        if self.keepdims or self.axis is None or x.ndim == 0:
            return reduced
        return np.expand_dims(reduced, self.axis)


class Sum(Reduction, affine=(0,)):
    def forward(self, x: Array) -> Array:
        return combined(np.sum, x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.broadcast_to(self.restore(grad, x), x.shape)


class Mean(Reduction, affine=(0,)):
    def forward(self, x: Array) -> Array:
        return np.mean(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        count = x.size // max(out.size, 1)
        return np.broadcast_to(divided(self.restore(grad, x), count), x.shape)


class Var(Reduction):
    """The mean of (x - mean)², or with `ddof` their sum divided by n - ddof."""

    def __init__(self, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> None:
        super().__init__(axis, keepdims)
        self.ddof = ddof

    def forward(self, x: Array) -> Array:
        return combined(np.var, x, axis=self.axis, keepdims=self.keepdims, ddof=self.ddof)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        count = x.size // max(out.size, 1) - self.ddof
        return self.restore(divided(grad, count / 2), x) * (x - np.mean(x, axis=self.axis, keepdims=True))


class Std(Var):
    """The square root of Var. Where all elements are equal it has a kink, and the derivative is 0.

    Of one element it is always 0.
    """

    def forward(self, x: Array) -> Array:
        return rescaled(self.deviation, x, self.axis)

    def deviation(self, x: Array) -> Array:
        """Return the standard deviation of numbers whose squares don't overflow."""
        return combined(np.std, x, axis=self.axis, keepdims=self.keepdims, ddof=self.ddof)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        count = x.size // max(out.size, 1) - self.ddof
        if x.size == out.size:
            return np.broadcast_to(zeros_as(self.restore(grad, x)), x.shape)
        distance = x - np.mean(x, axis=self.axis, keepdims=True)
        return self.restore(divided(grad, count), x) * compute(Direction(), distance, self.restore(out, x))


class Norm(Reduction):
    """The root of the sum of squares, of all elements or along axes. At 0 the derivative is 0."""

    def forward(self, x: Array) -> Array:
        return rescaled(self.root, x, self.axis)

    def root(self, x: Array) -> Array:
        """Return the norm of numbers whose squares don't overflow."""
        return np.sqrt(np.sum(x * x, axis=self.axis, keepdims=self.keepdims))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return self.restore(grad, x) * compute(Direction(), x, self.restore(out, x))


class Direction(Elementwise, selective=True, affine=(0,)):
    """x / length, and 0 where the length is 0: the derivative of a norm, which has a kink there.

    Its own derivative is infinite at the kink, or NaN as 0 / 0: a norm has no second derivative at 0.
    """

    def forward(self, x: Array, length: Array) -> Array:
        return x / np.where(length == 0, 1, length)

    def backward(self, grad: Array, out: Array, x: Array, length: Array,
                 needs_input_grad: Needs) -> tuple[Array, ...]:
        grad_x = grad / length
        return grad_x, -grad_x * out if needs_input_grad[1] else None


def rescaled(measure: Callable[[Array], Array], x: Array, axis: Axis) -> Array:
    """Return a length of x whose formula squares x; of x divided by a power of two where squares over- or underflow."""
    if x.dtype == np.float16:
        return rescaled(measure, x.astype(np.float32), axis).astype(np.float16)
    with np.errstate(over="ignore"):
        length = measure(x)
    limits = np.finfo(length.dtype)
    if ((length > math.sqrt(limits.tiny / limits.eps)) & (length < np.inf)).all():
        return length
    largest = np.max(np.abs(x), axis=axis, keepdims=True, initial=0)
    exponent = np.where(np.isfinite(largest), np.frexp(largest)[1], 0)
    return np.ldexp(measure(np.ldexp(x, -exponent)), np.reshape(exponent, np.shape(length)))


class Prod(Reduction):
    """The product. Its derivative is the product of the other elements, without division: zeros are fine."""

    def forward(self, x: Array) -> Array:
        return combined(np.prod, x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        axes = np.arange(x.ndim) if self.axis is None or x.ndim == 0 else np.mod(np.atleast_1d(self.axis), x.ndim)
        kept = np.setdiff1d(np.arange(x.ndim), axes)
        order = [int(axis) for axis in (*kept, *axes)]  # the reduced axes last, and then as one
        lengths = [x.shape[axis] for axis in order]
        rows = np.reshape(np.transpose(x, order), (*lengths[:len(kept)], math.prod(lengths[len(kept):])))
        others = np.reshape(product_of_others(rows), lengths)
        return self.restore(grad, x) * np.transpose(others, [order.index(axis) for axis in range(x.ndim)])


def product_of_others(x: Array) -> Array:
    """Return for each element of x (..., n) the product of the n-1 others in its row, in log n steps of halving."""
    n = x.shape[-1]
    if n <= 1:
        return np.ones(x.shape, x.dtype)
    if n % 2:
        x = np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1)
    a, b = x[..., 0::2], x[..., 1::2]
    rest = product_of_others(a * b)
    return np.reshape(np.stack([rest * b, rest * a], axis=-1), x.shape)[..., :n]


class Max(Reduction):
    """The largest element; elements that tie share the gradient equally."""

    def forward(self, x: Array) -> Array:
        return np.max(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        found = x == self.restore(out, x)
        part = (found / np.sum(found, axis=self.axis, keepdims=True)).astype(x.dtype)
        return np.where(part == 0, 0, self.restore(grad, x)) * part


class Min(Max):
    """The smallest element; elements that tie share the gradient equally."""

    def forward(self, x: Array) -> Array:
        return np.min(x, axis=self.axis, keepdims=self.keepdims)


class ArgMax(Op, flattens=True, differentiable=False):
    """The index of the largest element along an axis; axis=None: of all elements in a row. Without derivative."""

    def __init__(self, axis: int | None = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        return np.argmax(x, axis=self.axis, keepdims=self.keepdims)


class ArgMin(ArgMax):
    """The index of the smallest element along an axis; axis=None: of all elements in a row. Without derivative."""

    def forward(self, x: Array) -> Array:
        return np.argmin(x, axis=self.axis, keepdims=self.keepdims)


class CumSum(Op, flattens=True, affine=(0,)):
    """The running sum along an axis; axis=None runs through all elements, in a row."""

    def __init__(self, axis: int | None = None) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return combined(np.cumsum, x, axis=self.axis)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        axis = 0 if self.axis is None else self.axis
        return np.reshape(np.flip(np.cumsum(np.flip(grad, axis), axis), axis), x.shape)


class LogSumExp(Reduction):
    """log(sum(exp(x))), with the maximum subtracted first so that exp stays finite. The derivative is softmax(x).

    Of nothing but -inf it is -inf, with the derivative 0.
    """

    def forward(self, x: Array) -> Array:
        top = np.max(x, axis=self.axis, keepdims=True)
        top = np.where(np.isinf(top), 0, top)
        with np.errstate(divide="ignore", over="ignore"):
            return log_of_sum(np.exp(x - top), top, self.axis, self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        weights = np.exp(x - self.restore(np.where(out == -np.inf, 0, out), x))
        total = compute(Sum(self.axis, True), weights)  # not exactly 1: large x leave few digits for log(sum)
        return self.restore(grad, x) * (weights / np.where(total > 0, total, 1))


class LogSoftmax(Op):
    """log(exp(x) / sum(exp(x))) along an axis, with the maximum subtracted first so that exp stays finite.

    The derivative is that of Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.106.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        shifted = x - np.max(x, axis=self.axis, keepdims=True)
        return shifted - log_of_sum(np.exp(shifted), 0, self.axis, True)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad - np.exp(out) * np.sum(grad, axis=self.axis, keepdims=True)


def log_of_sum(x: Array, shift: Array, axis: Axis, keepdims: bool) -> Array:
    """Return log(sum(x)) + shift; of float16 in float32, as the sum of many may exceed 65504."""
    total = np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float32 if x.dtype == np.float16 else None)
    return (np.log(total) + np.reshape(shift, total.shape if np.ndim(shift) else ())).astype(x.dtype)


# ---- products ------------------------------------------------------------------------------


class MatMul(Op, ufunc=np.matmul, symbol="@", precedence=2, selective=True, affine=(0, 1)):
    """a @ b with every shape that NumPy takes: vectors, matrices, broadcast stacks of matrices."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.matmul(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        # As in NumPy a vector counts as a row on the left and as a column on the right.
        row, column = a.ndim == 1, b.ndim == 1
        if row:
            grad = np.expand_dims(grad, -1 if column else -2)
            a = np.expand_dims(a, 0)
        if column:
            grad = np.expand_dims(grad, -1)
            b = np.expand_dims(b, -1)
        grad_a = grad_b = None
        if needs_input_grad[0]:
            grad_a = grad @ np.swapaxes(b, -1, -2)
            grad_a = grad_a[..., 0, :] if row else grad_a
        if needs_input_grad[1]:
            if b.ndim == 2 < a.ndim:  # one b for all matrices of a: one product, not one for each
                rows = math.prod(a.shape[:-1])
                a, grad = np.reshape(a, (rows, a.shape[-1])), np.reshape(grad, (rows, grad.shape[-1]))
            grad_b = np.swapaxes(a, -1, -2) @ grad
            grad_b = grad_b[..., 0] if column else grad_b
        return grad_a, grad_b


class VecMat(Op, ufunc=getattr(np, "vecmat", None), symbol="@", precedence=2, selective=True, core_ndims=(1, 2),
             affine=(0, 1)):
    """x W for one vector or a batch of them: x (..., n), W (..., n, m) -> (..., m)."""

    def forward(self, x: Array, W: Array) -> Array:
        if W.ndim < 2 or x.ndim < 1 or W.shape[-2] != x.shape[-1]:
            raise ValueError(f"vectors of shape {x.shape} can't multiply a matrix of shape {W.shape}: "
                             "it needs as many rows as they have elements")
        return np.matmul(np.expand_dims(x, -2), W)[..., 0, :]

    def backward(self, grad: Array, out: Array, x: Array, W: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        return ((W @ np.expand_dims(grad, -1))[..., 0] if needs_input_grad[0] else None,
                np.expand_dims(x, -1) * np.expand_dims(grad, -2) if needs_input_grad[1] else None)


class MatVec(Op, ufunc=getattr(np, "matvec", None), symbol="@", precedence=2, selective=True, core_ndims=(2, 1),
             affine=(0, 1)):
    """W x for one vector or a batch of them: W (m, n), x (..., n) -> (..., m).

    W may be a batch of matrices (..., m, n) too; the batches broadcast.
    """

    def forward(self, W: Array, x: Array) -> Array:
        if W.ndim < 2 or x.ndim < 1 or W.shape[-1] != x.shape[-1]:
            raise ValueError(f"a matrix of shape {W.shape} can't multiply vectors of shape {x.shape}: "
                             "it needs as many columns as they have elements")
        if W.ndim == 2:
            return np.matmul(x, W.T)
        return np.matmul(W, np.expand_dims(x, -1))[..., 0]

    def backward(self, grad: Array, out: Array, W: Array, x: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        grad_W = None
        if W.ndim > 2:
            if needs_input_grad[0]:
                grad_W = np.expand_dims(grad, -1) * np.expand_dims(x, -2)
            return grad_W, (np.expand_dims(grad, -2) @ W)[..., 0, :] if needs_input_grad[1] else None
        if needs_input_grad[0]:
            m, n = W.shape
            rows = math.prod(x.shape[:-1])
            grad_W = grad.reshape(rows, m).T @ x.reshape(rows, n)
        return grad_W, grad @ W if needs_input_grad[1] else None


class VecDot(Op, ufunc=np.vecdot, symbol="@", precedence=2, selective=True, core_ndims=(1, 1), affine=(0, 1)):
    """The dot product of the last axes: a (..., n), b (..., n) -> (...)."""

    def forward(self, a: Array, b: Array) -> Array:
        return np.vecdot(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs_input_grad: Needs) -> tuple[Array, ...]:
        grad = np.expand_dims(grad, -1)
        return (grad * b if needs_input_grad[0] else None,
                grad * a if needs_input_grad[1] else None)


class EinSum(Op, selective=True, affine=ALL_INPUTS):
    """Einstein's sum over products, e.g. EinSum("bij,bj->bi").

    The gradient for an operand is another one: the result changes places with the operand.
    """

    def __init__(self, subscripts: str, optimize: Any = False) -> None:
        self.subscripts, self.optimize = subscripts, optimize

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return call("einsum", object(), [Formula(repr(self.subscripts), ATOM), *operands], options=False)

    def for_batch(self, *ndims: int) -> Op:
        terms, result, _ = einsum_letters(self.subscripts, ndims)
        return self._changed(subscripts=f"{','.join('...' + term for term in terms)}->...{result}")

    def forward(self, *operands: Array) -> Array:
        return np.einsum(self.subscripts, *operands, optimize=self.optimize)

    def backward(self, grad: Array, out: Array, *operands_and_needs_input_grad: Any) -> tuple[Array, ...]:
        *operands, needs_input_grad = operands_and_needs_input_grad
        terms, result, spare = einsum_letters(self.subscripts, [x.ndim for x in operands])
        lengths: dict[str, int] = {}
        for term, x in zip(terms, operands):
            lengths.update((letter, n) for letter, n in zip(term, x.shape) if lengths.get(letter, 1) == 1)
        input_grads: list[Array] = []
        for i, x in enumerate(operands):
            if not needs_input_grad[i]:
                input_grads.append(None)
                continue
            factors = [(result, grad), *((terms[j], y) for j, y in enumerate(operands) if j != i)]
            target = ""
            for letter, new in zip(terms[i], reversed(spare)):
                if letter in target:  # a diagonal: the unit matrix puts it back in place
                    factors.append((letter + new, np.eye(lengths[letter], dtype=x.dtype)))
                    letter, lengths[new] = new, lengths[letter]
                target += letter
            known = {letter for term, y in factors for letter, n in zip(term, y.shape) if n == lengths[letter]}
            alone = [letter for letter in target if letter not in known]  # summed in x: everywhere the same
            factors.append(("".join(alone), np.ones([lengths[letter] for letter in alone], x.dtype)))
            input_grads.append(np.einsum(f"{','.join(term for term, _ in factors)}->{target}",
                                    *(y for _, y in factors), optimize=self.optimize))
        return tuple(input_grads)


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum_letters(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str, str]:
    """Return the axes of each operand and of the result, one letter each, and the letters not in use.

    `...` and a result that isn't written are written out.
    """
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    if not arrow:
        named = left.replace("...", "").replace(",", "")
        result = "..." * ("..." in left) + "".join(sorted(x for x in set(named) if named.count(x) == 1))
    terms = left.split(",")
    hidden = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims)]
    free = "".join(letter for letter in LETTERS if letter not in subscripts)
    dots, free = free[:max(hidden)], free[max(hidden):]
    terms = [term.replace("...", dots[len(dots) - n:]) for term, n in zip(terms, hidden)]
    return terms, result.replace("...", dots), free


# ---- shape ---------------------------------------------------------------------------------


class Reshape(Op, affine=(0,)):
    """The same elements in another shape. With `ndim` only the last `ndim` axes change; those in front stay."""

    ndim: int | None = None

    def __init__(self, shape: tuple[int, ...], ndim: int | None = None) -> None:
        self.shape = shape
        if ndim is not None:
            self.ndim = ndim

    def for_batch(self, *ndims: int) -> Op:
        return self._changed(ndim=ndims[0])

    def forward(self, x: Array) -> Array:
        return np.reshape(x, self.shape if self.ndim is None else (*x.shape[:x.ndim - self.ndim], *self.shape))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.reshape(grad, x.shape)


class Transpose(Op, affine=(0,)):
    """The axes in another order; `axes=None` reverses them. With `ndim` the axes in front of the last `ndim` stay."""

    ndim: int | None = None

    def __init__(self, axes: tuple[int, ...] | None = None, ndim: int | None = None) -> None:
        self.axes = axes
        if ndim is not None:
            self.ndim = ndim

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        if self.axes is None:
            return Formula(operands[0].bracketed(ATOM) + ".T", ATOM)
        return super().formula(operands, options)

    def for_batch(self, *ndims: int) -> Op:
        every = tuple(range(ndims[0]))[::-1] if self.axes is None else self.axes
        return self._changed(axes=axes_from_end(every, ndims[0]), ndim=ndims[0])

    def order(self, ndim: int) -> tuple[int, ...]:
        """Return all axes of an operand in the order of the result."""
        if self.axes is None:
            return tuple(range(ndim))[::-1]
        kept = 0 if self.ndim is None else ndim - self.ndim
        return (*range(kept), *(axis % ndim for axis in self.axes))

    def forward(self, x: Array) -> Array:
        return np.transpose(x, self.order(x.ndim))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.transpose(grad, tuple(int(i) for i in np.argsort(self.order(x.ndim))))


class BroadcastTo(Op, called="broadcast_to", affine=(0,)):
    """Repeated along new axes and axes of length 1; the engine sums the gradient down.

    With `ndim` the axes in front of the last `ndim` stay.
    """

    ndim: int | None = None

    def __init__(self, shape: tuple[int, ...], ndim: int | None = None) -> None:
        self.shape = shape
        if ndim is not None:
            self.ndim = ndim

    def for_batch(self, *ndims: int) -> Op:
        return self._changed(ndim=ndims[0])

    def forward(self, x: Array) -> Array:
        return np.broadcast_to(x, self.shape if self.ndim is None else (*x.shape[:x.ndim - self.ndim], *self.shape))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad


class Flip(Op, affine=(0,)):
    """The elements in reverse order along an axis or several; axis=None: along all."""

    def __init__(self, axis: Axis = None) -> None:
        self.axis = axis

    def for_batch(self, *ndims: int) -> Op:
        every = tuple(range(ndims[0])) if self.axis is None else self.axis
        return self._changed(axis=axes_from_end(every, ndims[0]))

    def forward(self, x: Array) -> Array:
        return np.flip(x, self.axis)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.flip(grad, self.axis)


class Pad(Op, affine=(0,)):
    """x with a margin of one value: widths has (before, after) for each axis, with `ndim` for the last `ndim` axes."""

    ndim: int | None = None

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float = 0.0, ndim: int | None = None) -> None:
        self.widths, self.value = widths, value
        if ndim is not None:
            self.ndim = ndim

    def for_batch(self, *ndims: int) -> Op:
        return self._changed(ndim=ndims[0])

    def forward(self, x: Array) -> Array:
        if len(self.widths) != (x.ndim if self.ndim is None else self.ndim):
            raise ValueError(f"a margin for {len(self.widths)} axes doesn't fit an array of shape {x.shape}")
        kept = [(0, 0)] * (x.ndim - len(self.widths))
        return np.pad(x, [*kept, *self.widths], constant_values=self.value)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        lengths = x.shape[x.ndim - len(self.widths):]
        index = (Ellipsis, *(slice(before, before + n) for (before, _), n in zip(self.widths, lengths)))
        return grad[index]


class GetItem(Op, affine=(0,)):
    """x[index]; an element that is picked twice gets both gradients, added."""

    def __init__(self, index: Any) -> None:
        self.index = _own(index)

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return Formula(f"{operands[0].bracketed(ATOM)}[{format_index(self.index)}]", ATOM)

    def for_batch(self, *ndims: int) -> Op:
        return GetItem(_index_of_items(self.index, ndims[0]))

    def forward(self, x: Array) -> Array:
        return x[self.index]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return compute(ScatterAdd(self.index, x.shape), grad)


class ScatterAdd(Op, called="scatter_add", affine=(0,)):
    """Zeros of a shape, with x added at an index: the transpose of GetItem."""

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index, self.shape = index, shape

    def forward(self, x: Array) -> Array:
        out = np.zeros(self.shape, x.dtype)
        if _picks_once(self.index):
            out[self.index] = x
        else:
            np.add.at(out, self.index, x)
        return out

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad[self.index]


def _own(index: Any) -> Any:
    """Return the index with copies of its arrays and lists, which their owner may change later."""
    if isinstance(index, tuple):
        return tuple(_own(part) for part in index)
    return np.array(index) if isinstance(index, np.ndarray) or (isinstance(index, list) and index) else index


def _index_of_items(index: Any, ndim: int) -> tuple[Any, ...]:
    """Return the index that picks from each item of a batch, whose axes precede the item's `ndim` axes."""
    parts = list(index) if isinstance(index, tuple) else [index]
    lists = [position for position, part in enumerate(parts) if isinstance(part, (np.ndarray, list))]
    picked = [position for position, part in enumerate(parts)
              if lists and part is not None and part is not Ellipsis and not isinstance(part, slice)]
    if picked and picked != list(range(picked[0], picked[-1] + 1)):
        raise IndexError(f"lists and numbers of {index!r} are separated by slices: index in two steps")
    used = sum(np.ndim(part) if isinstance(part, np.ndarray) and part.dtype == bool else 1
               for part in parts if part is not None and part is not Ellipsis)
    if used > ndim:
        raise IndexError(f"too many indices: {index!r} has {used}, the value has {ndim} axes")
    place = next((position for position, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[place:place + 1] = [slice(None)] * (ndim - used)
    while parts and isinstance(parts[0], slice) and parts[0] == slice(None):
        del parts[0]  # `...` stands for them
    return (Ellipsis, *parts)


def _picks_once(index: Any) -> bool:
    """Return whether surely no element is picked twice: with slices, numbers and masks it is sure."""
    for part in index if isinstance(index, tuple) else (index,):
        mask = isinstance(part, np.ndarray) and part.dtype == bool
        if not (part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer)) or mask):
            return False
    return True


class Gather(Op, integer_inputs=(1,), aligned=True, affine=(0,), regular=0.0):
    """One element of each row: x (..., n), labels (...) from 0 to n-1 -> (...).

    The labels may be floats that hold whole numbers, as the signals of a recurrence do.
    """

    def forward(self, x: Array, labels: Array) -> Array:
        if labels.shape != x.shape[:-1]:
            raise ValueError(f"labels have shape {labels.shape}, but {x.shape[:-1]} is needed: "
                             f"one class for each row of {x.shape}")
        classes = x.shape[-1]
        if labels.dtype.kind not in "iu" and (labels != np.trunc(labels)).any():
            raise TypeError(f"labels are integers, not {labels[labels != np.trunc(labels)][0]}: "
                            "the index of the right class")
        wrong = (labels < 0) | (labels >= classes)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(f"label {labels[where]} at {list(where)} is not one of the "
                             f"{classes} classes 0 … {classes - 1}")
        return np.take_along_axis(x, np.expand_dims(labels.astype(np.int64, copy=False), -1), -1)[..., 0]

    def backward(self, grad: Array, out: Array, x: Array, labels: Array) -> tuple[Array, ...]:
        one_hot = np.expand_dims(labels, -1) == np.arange(x.shape[-1])
        return np.where(one_hot, np.expand_dims(grad, -1), 0), None


class Lookup(Op, integer_inputs=(1,), affine=(0,), regular=0.0):
    """Rows of a table by their indices: table (n, ...), indices (...) from 0 to n-1.

    The indices may be floats that hold whole numbers. A row that is read twice gets both gradients, added.
    """

    def formula(self, operands: Sequence[Formula], options: bool = True) -> Formula:
        return Formula(f"{operands[0].bracketed(ATOM)}[{operands[1].text}]", ATOM)

    def forward(self, table: Array, indices: Array) -> Array:
        return table[self.rows(table, indices)]

    def backward(self, grad: Array, out: Array, table: Array, indices: Array) -> tuple[Array, ...]:
        return compute(ScatterAdd(self.rows(table, getattr(indices, "data", indices)), table.shape), grad), None

    @staticmethod
    def rows(table: Array, indices: Array) -> Any:
        """Return the indices as integers.

        Raises:
            IndexError: for an index that isn't one of 0 ... n-1.
        """
        rows = np.asarray(indices).astype(np.int64)
        wrong = (rows != indices) | (rows < 0) | (rows >= table.shape[0])
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(f"index {np.asarray(indices)[where]:g}{f' at {list(where)}' if where else ''} is not one "
                             f"of the {table.shape[0]} rows 0 … {table.shape[0] - 1}")
        return rows


class Concatenate(Op, aligned=True, affine=ALL_INPUTS, jointly_affine=True):
    """Arrays joined end to end along an axis that they have."""

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def forward(self, *parts: Array) -> Array:
        return np.concatenate(parts, axis=self.axis)

    def backward(self, grad: Array, out: Array, *parts: Array) -> tuple[Array, ...]:
        index: list[Any] = [slice(None)] * out.ndim
        pieces = []
        start = 0
        for part in parts:
            stop = start + part.shape[self.axis]
            index[self.axis] = slice(start, stop)
            pieces.append(grad[tuple(index)])
            start = stop
        return tuple(pieces)


class Stack(Op, aligned=True, affine=ALL_INPUTS, jointly_affine=True):
    """Arrays of one shape laid side by side along a new axis."""

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def for_batch(self, *ndims: int) -> Op:
        return self._changed(axis=axes_from_end(self.axis, ndims[0] + 1))

    def forward(self, *parts: Array) -> Array:
        return np.stack(parts, axis=self.axis)

    def backward(self, grad: Array, out: Array, *parts: Array) -> tuple[Array, ...]:
        index: list[Any] = [slice(None)] * out.ndim
        pieces = []
        for position in range(len(parts)):
            index[self.axis] = position
            pieces.append(grad[tuple(index)])
        return tuple(pieces)
