"""Python and NumPy syntax for operands: +, @, x[i], x.sum(), np.tanh(x), each as an operation.

`Operators` is a mixin for everything that represents an array: Tensor here; expressions and IR nodes in
`rnn`. It translates syntax into operations of ops.py, and the class's `apply` computes or records them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import numpy_ops, ops
from .ops import Axis, Op
from .recipes.attributes import METHODS, MissingMethod

# One instance of each operation without options serves all nodes.
IDENTITY, ADD, SUB, MUL, DIV, POW, NEG = (
    ops.Identity(), ops.Add(), ops.Sub(), ops.Mul(), ops.Div(), ops.Pow(), ops.Neg())
EXP, EXPM1, LOG, LOG1P, LOG2, SQRT, SQUARE, ABS, SIGN = (
    ops.Exp(), ops.Expm1(), ops.Log(), ops.Log1p(), ops.Log2(), ops.Sqrt(), ops.Square(), ops.Abs(), ops.Sign())
SIN, COS, TAN, SINH, COSH, TANH, ARCTAN = (
    ops.Sin(), ops.Cos(), ops.Tan(), ops.Sinh(), ops.Cosh(), ops.Tanh(), ops.Arctan())
SIGMOID, SOFTPLUS, RELU, GELU = ops.Sigmoid(), ops.Softplus(), ops.Relu(), ops.Gelu()
MAXIMUM, MINIMUM, WHERE, MATMUL, MATVEC, VECMAT, VECDOT, PICK = (
    ops.Maximum(), ops.Minimum(), ops.Where(), ops.MatMul(), ops.MatVec(), ops.VecMat(), ops.VecDot(), ops.Gather())
LOOKUP, STOP_GRADIENT = ops.Lookup(), ops.StopGradient()

REMAINDER, FLOOR_DIVIDE, FLOOR, CEIL, TRUNC = (
    numpy_ops.Remainder(), numpy_ops.FloorDivide(), numpy_ops.Floor(), numpy_ops.Ceil(), numpy_ops.Trunc())

UFUNCS: dict[np.ufunc, Op] = {
    kind.ufunc: kind() for kind in vars(numpy_ops).values()
    if isinstance(kind, type) and issubclass(kind, Op) and kind.ufunc is not None}
UFUNCS |= {op.ufunc: op for op in list(vars().values()) if isinstance(op, Op) and op.ufunc is not None}
COMPARISONS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
               np.isnan, np.isinf, np.isfinite, np.signbit,
               np.logical_and, np.logical_or, np.logical_xor, np.logical_not}


class Operators:
    """Python's operators, NumPy's methods and NumPy's functions, each as one operation."""

    __slots__ = ()

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """Return the result of `op` on inputs of which at least one is of this class."""
        raise NotImplementedError

    def written_as(self, name: str, *operands: Any, **options: Any) -> Any:
        """Return itself, as the result of a function that composes operations: a formula shows the call instead.

        Args:
            name, operands: of the function.
            options: those of its options that aren't at their defaults.
        """
        return self

    def __dir__(self) -> list[str]:
        """List the attributes, without the names of other libraries; see MissingMethod."""
        return [name for name in super().__dir__() if name not in METHODS]

    # ---- operators
    def __add__(self, other: Any) -> Any:
        return self.apply(ADD, self, other)

    def __radd__(self, other: Any) -> Any:
        return self.apply(ADD, other, self)

    def __sub__(self, other: Any) -> Any:
        return self.apply(SUB, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.apply(SUB, other, self)

    def __mul__(self, other: Any) -> Any:
        return self.apply(MUL, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.apply(MUL, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.apply(DIV, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.apply(DIV, other, self)

    def __pow__(self, other: Any) -> Any:
        if type(other) in (int, float):
            return self.apply(ops.Power(other), self)
        return self.apply(POW, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.apply(POW, other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.apply(MATMUL, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.apply(MATMUL, other, self)

    def __mod__(self, other: Any) -> Any:
        return self.apply(REMAINDER, self, other)

    def __rmod__(self, other: Any) -> Any:
        return self.apply(REMAINDER, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self.apply(FLOOR_DIVIDE, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.apply(FLOOR_DIVIDE, other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __round__(self, digits: int | None = None) -> Any:
        return self.round(digits or 0)

    def __floor__(self) -> Any:
        return self.apply(FLOOR, self)

    def __ceil__(self) -> Any:
        return self.apply(CEIL, self)

    def __trunc__(self) -> Any:
        return self.apply(TRUNC, self)

    def __neg__(self) -> Any:
        return self.apply(NEG, self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self.apply(ABS, self)

    def __getitem__(self, index: Any) -> Any:
        return self.apply(ops.GetItem(index), self)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self!r} can't be iterated over; index it, or take what you need of it")

    # ---- methods that NumPy's arrays have
    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return the sum over all elements, or over an axis or several."""
        return self.apply(ops.Sum(axis, keepdims), self)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return the mean over all elements, or over an axis or several."""
        return self.apply(ops.Mean(axis, keepdims), self)

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return the mean squared distance from the mean, of all or along axes; the sum is divided by n - ddof."""
        return self.apply(ops.Var(axis, keepdims, ddof), self)

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return the square root of var; the derivative is 0 where all elements are equal."""
        return self.apply(ops.Std(axis, keepdims, ddof), self)

    def prod(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return the product of all elements, or over an axis or several; zeros are allowed."""
        return self.apply(ops.Prod(axis, keepdims), self)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return the largest element, of all or along axes; ties share the gradient equally."""
        return self.apply(ops.Max(axis, keepdims), self)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return the smallest element, of all or along axes; ties share the gradient equally."""
        return self.apply(ops.Min(axis, keepdims), self)

    def argmax(self, axis: int | None = None) -> Any:
        """Return the index of the largest element: a plain array of integers, without derivative."""
        return self.compare(np.argmax, self, axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Return the index of the smallest element: a plain array of integers, without derivative."""
        return self.compare(np.argmin, self, axis)

    def argsort(self, axis: int | None = -1, *, kind: Any = None) -> Any:
        """Return the indices that sort along an axis: a plain array, without derivative."""
        return self.numpy_function(np.argsort, (self, axis, kind), {})

    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return whether any element differs from 0, of all or along axes: plain bools."""
        return self.numpy_function(np.any, (self, axis), {"keepdims": keepdims})

    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return whether all elements differ from 0, of all or along axes: plain bools."""
        return self.numpy_function(np.all, (self, axis), {"keepdims": keepdims})

    def nonzero(self) -> Any:
        """Return the indices of the elements that differ from 0: plain arrays, one for each axis."""
        return self.numpy_function(np.nonzero, (self,), {})

    def searchsorted(self, v: Any, side: Any = "left") -> Any:
        """Return where v belongs into the sorted elements: plain integers, without derivative."""
        return self.numpy_function(np.searchsorted, (self, v, side), {})

    def cumsum(self, axis: int | None = None) -> Any:
        """Return the running sum along an axis; without one, of all elements in a row."""
        return self.apply(ops.CumSum(axis), self)

    def cumprod(self, axis: int | None = None) -> Any:
        """Return the running product along an axis; without one, of all elements in a row."""
        return self.apply(numpy_ops.CumProd(axis), self)

    def round(self, decimals: int = 0) -> Any:
        """Round each element to so many decimals; the derivative is 0."""
        return self.apply(numpy_ops.Round(decimals), self)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """Return the sum of the diagonal of the matrix of two axes."""
        return self.numpy_function(np.trace, (self, offset, axis1, axis2), {})

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """Return the diagonal of the matrix of two axes."""
        return self.numpy_function(np.diagonal, (self, offset, axis1, axis2), {})

    def copy(self) -> Any:
        """Return the same values in memory of their own; gradients pass. For a constant see detach()."""
        return self.apply(numpy_ops.Copy(), self)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Limit each element to at least `min` and at most `max`; None is no bound."""
        return self.numpy_function(np.clip, (self, min, max), {})

    def dot(self, other: Any) -> Any:
        """Return the matrix product, or with a number the product."""
        return self.numpy_function(np.dot, (self, other), {})

    def astype(self, dtype: Any) -> Any:
        """Return the same values, in the same shape, as another type of float."""
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"as {np.dtype(dtype)}, {self!r} would have no gradient. For such a result "
                            "take x.data.astype(...)")
        return self.apply(ops.Cast(dtype), self)

    def reshape(self, *shape: Any) -> Any:
        """Return the same elements in another shape, given as one tuple or as numbers."""
        return self.apply(ops.Reshape(_unpacked(shape)), self)

    def ravel(self) -> Any:
        """Flatten to one axis."""
        return self.apply(ops.Reshape((-1,)), self)

    flatten = ravel

    def squeeze(self, axis: Axis = None) -> Any:
        """Remove axes of length 1, all or those given."""
        return self.numpy_function(np.squeeze, (self, axis), {})

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Exchange two axes."""
        return self.numpy_function(np.swapaxes, (self, axis1, axis2), {})

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        """Repeat each element, or slice along an axis, several times in a row."""
        return self.numpy_function(np.repeat, (self, repeats, axis), {})

    def take(self, indices: Any, axis: int | None = None) -> Any:
        """Return the elements at integer indices, along an axis or of all in a row."""
        return self.numpy_function(np.take, (self, indices, axis), {})

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes; without arguments, reverse them."""
        axes = () if axes == (None,) else _unpacked(axes)
        return self.apply(ops.Transpose(axes or None), self)

    @property
    def T(self) -> Any:
        """The axes reversed."""
        return self.apply(ops.Transpose(), self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged: the transpose of each matrix of a stack."""
        return self.numpy_function(np.swapaxes, (self, -1, -2), {})

    # ---- NumPy's functions on it
    @staticmethod
    def numpy_function(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the minigrad function for a NumPy function; numpy_functions.py, which is imported later, sets it."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        if options.get("out") is not None:
            raise TypeError(f"{name} can't write into an array what it computes from {self!r}: "
                            "the gradient would be lost. Use the result, as in a = a + b")
        if method != "__call__" or options:
            raise TypeError(f"{name} with {', '.join(options) or 'this method'} has no derivative "
                            f"here: call np.{ufunc.__name__} on {self!r} plainly")
        if ufunc in UFUNCS:
            return self.apply(UFUNCS[ufunc], *inputs)
        if ufunc in COMPARISONS:
            return self.compare(ufunc, *inputs)
        return self.numpy_function(ufunc, inputs, options)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return self.numpy_function(function, args, kwargs)

    # ---- comparisons: plain arrays, without derivative
    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """Return the result of a comparison, or of another function without derivative."""
        raise TypeError(f"np.{ufunc.__name__} can't be used here")

    def __eq__(self, other: Any) -> Any:
        return self.compare(np.equal, self, other)

    def __ne__(self, other: Any) -> Any:
        return self.compare(np.not_equal, self, other)

    def __lt__(self, other: Any) -> Any:
        return self.compare(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return self.compare(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return self.compare(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return self.compare(np.greater_equal, self, other)

    __hash__ = object.__hash__


for _name, _recipe in METHODS.items():
    setattr(Operators, _name, MissingMethod(_name, _recipe))


def _unpacked(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """Return (2, 3) for both f(2, 3) and f((2, 3)), as NumPy does."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments
