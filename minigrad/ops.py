"""Every differentiable operation: its formula and, right under it, its derivative.

This room knows NumPy arrays only, and no Tensor. An operation is one named class:

- `forward(*inputs)` computes the result;
- `backward(grad, out, *inputs)` returns the gradient for each input (a tuple, or just the
  gradient where there is one input), from `grad`, the gradient of the result `out`.

Options such as `axis` are attributes of the instance; it holds nothing else, so one instance
serves any number of nodes. Gradients of broadcast inputs are returned in the broadcast shape:
the engine sums them down. `backward` is written in NumPy that takes arrays and Tensors alike.

Where a derivative is costly, `selective = True` asks the engine for a last argument `needs`, one
bool an input; a gradient that nobody needs may then be None.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np

Array: TypeAlias = Any  # np.ndarray, or a Tensor when derivatives are themselves recorded
Axis: TypeAlias = "int | tuple[int, ...] | None"
Needs: TypeAlias = "tuple[bool, ...]"


class Op:
    """A differentiable operation. Subclass it with `forward` and `backward` to add your own.

    `mg.apply(YourOp(), x, y)` computes it and records it in the graph.
    """

    selective: ClassVar[bool] = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result, as an array, from the inputs' arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """The gradient for each input, from (grad, out, *inputs)."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


def compute(op: Op, x: Array) -> Array:
    """`op` of an array; or of a Tensor, which records it."""
    return op.forward(x) if isinstance(x, (np.ndarray, np.generic)) else x.apply(op, x)


# ---- arithmetic ----------------------------------------------------------------------------


class Identity(Op):
    """A second name for the same values."""

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad


class Add(Op):
    def forward(self, a: Array, b: Array) -> Array:
        return a + b

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, ...]:
        return grad, grad


class Sub(Op):
    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return a - b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        return grad, -grad if needs[1] else None


class Mul(Op):
    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return a * b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        return (grad * b if needs[0] else None,
                grad * a if needs[1] else None)


class Div(Op):
    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return a / b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        return (grad / b if needs[0] else None,
                -grad * out / b if needs[1] else None)


class Pow(Op):
    """a ** b; at b = 0 the derivative for a is 0, at a = 0 the one for b is 0."""

    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return a ** b

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        return (grad * b * a ** np.where(b == 0, 1, b - 1) if needs[0] else None,
                grad * out * np.log(np.where(a == 0, 1, a)) if needs[1] else None)


class Neg(Op):
    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return -grad


# ---- functions of each element -------------------------------------------------------------


class Exp(Op):
    def forward(self, x: Array) -> Array:
        return np.exp(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * out


class Log(Op):
    def forward(self, x: Array) -> Array:
        return np.log(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad / x


class Square(Op):
    def forward(self, x: Array) -> Array:
        return x * x

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (2 * x)


class Tanh(Op):
    def forward(self, x: Array) -> Array:
        return np.tanh(x)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (1 - out * out)


class Sigmoid(Op):
    """1 / (1 + exp(-x)), as tanh, which doesn't overflow."""

    def forward(self, x: Array) -> Array:
        return 0.5 * np.tanh(0.5 * x) + 0.5

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (out * (1 - out))


class Relu(Op):
    """max(x, 0); the derivative at 0 is 0."""

    def forward(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad * (x > 0)


class Maximum(Op):
    """The larger of two; where they are equal each gets half of the gradient."""

    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        return (grad * ((a > b) + 0.5 * (a == b)) if needs[0] else None,
                grad * ((b > a) + 0.5 * (a == b)) if needs[1] else None)


class Where(Op):
    """a where the condition holds, b elsewhere. The condition has no derivative."""

    selective = True

    def forward(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def backward(self, grad: Array, out: Array, condition: Array, a: Array, b: Array,
                 needs: Needs) -> tuple[Array, ...]:
        return (None,
                np.where(condition, grad, 0) if needs[1] else None,
                np.where(condition, 0, grad) if needs[2] else None)


# ---- sums over axes ------------------------------------------------------------------------


class Reduction(Op):
    """What the operations over one, several or all axes have in common."""

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis = axis
        self.keepdims = keepdims

    def restore(self, reduced: Array) -> Array:
        """The reduced axes put back with length 1, so that it broadcasts against the input."""
        if self.keepdims or self.axis is None:
            return reduced
        return np.expand_dims(reduced, self.axis)


class Sum(Reduction):
    def forward(self, x: Array) -> Array:
        return np.sum(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.broadcast_to(self.restore(grad), x.shape)


class Mean(Reduction):
    def forward(self, x: Array) -> Array:
        return np.mean(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        count = x.size // max(out.size, 1)
        return np.broadcast_to(self.restore(grad) / count, x.shape)


class Max(Reduction):
    """The largest element; elements that tie share the gradient equally."""

    def forward(self, x: Array) -> Array:
        return np.max(x, axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        largest = x == self.restore(out)
        return self.restore(grad) * (largest / largest.sum(axis=self.axis, keepdims=True))


class LogSoftmax(Op):
    """log(exp(x) / sum(exp(x))) along an axis, with the maximum taken out so that exp stays finite.

    The derivative is that of Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.106.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        shifted = x - np.max(x, axis=self.axis, keepdims=True)
        return shifted - np.log(np.sum(np.exp(shifted), axis=self.axis, keepdims=True))

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad - np.exp(out) * np.sum(grad, axis=self.axis, keepdims=True)


# ---- products ------------------------------------------------------------------------------


class MatMul(Op):
    """a @ b with every shape that NumPy takes: vectors, matrices, broadcast stacks of matrices."""

    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return np.matmul(a, b)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        # As in NumPy a vector counts as a row on the left and as a column on the right.
        if a.ndim == 1:
            grad = np.expand_dims(grad, -2 if b.ndim > 1 else -1)
            a = np.expand_dims(a, 0)
        column = b.ndim == 1
        if column:
            grad = np.expand_dims(grad, -1)
            b = np.expand_dims(b, -1)
        grad_a = grad @ np.swapaxes(b, -1, -2) if needs[0] else None
        if not needs[1]:
            return grad_a, None
        grad_b = np.swapaxes(a, -1, -2) @ grad
        return grad_a, grad_b[..., 0] if column else grad_b


class MatVec(Op):
    """W x for one vector or a batch of them: W (m, n), x (..., n) -> (..., m)."""

    selective = True

    def forward(self, W: Array, x: Array) -> Array:
        if np.ndim(W) != 2 or np.ndim(x) < 1 or W.shape[1] != x.shape[-1]:
            raise ValueError(f"a matrix of shape {W.shape} can't multiply vectors of shape {x.shape}: "
                             "it needs as many columns as they have elements")
        return np.matmul(x, W.T)

    def backward(self, grad: Array, out: Array, W: Array, x: Array, needs: Needs) -> tuple[Array, ...]:
        grad_W = None
        if needs[0]:
            m, n = W.shape
            grad_W = np.reshape(grad, (-1, m)).T @ np.reshape(x, (-1, n))
        return grad_W, grad @ W if needs[1] else None


class VecDot(Op):
    """The dot product of the last axes: a (..., n), b (..., n) -> (...)."""

    selective = True

    def forward(self, a: Array, b: Array) -> Array:
        return np.sum(a * b, axis=-1)

    def backward(self, grad: Array, out: Array, a: Array, b: Array, needs: Needs) -> tuple[Array, ...]:
        grad = np.expand_dims(grad, -1)
        return (grad * b if needs[0] else None,
                grad * a if needs[1] else None)


# ---- shape ---------------------------------------------------------------------------------


class Reshape(Op):
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return np.reshape(x, self.shape)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return np.reshape(grad, x.shape)


class Transpose(Op):
    """The axes in another order; `axes=None` reverses them."""

    def __init__(self, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return np.transpose(x, self.axes)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        if self.axes is None:
            return np.transpose(grad)
        return np.transpose(grad, tuple(int(i) for i in np.argsort(np.mod(self.axes, x.ndim))))


class BroadcastTo(Op):
    """Repeated along new axes and axes of length 1; the engine sums the gradient down."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return np.broadcast_to(x, self.shape)

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad


class GetItem(Op):
    """x[index]; an element that is picked twice gets both gradients, added."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        return x[self.index]

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return compute(AddAt(self.index, x.shape), grad)


class AddAt(Op):
    """Zeros of a shape, with x added at an index: the transpose of GetItem."""

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index = index
        self.shape = shape

    def forward(self, x: Array) -> Array:
        out = np.zeros(self.shape, np.asarray(x).dtype)
        np.add.at(out, self.index, x)
        return out

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        return grad[self.index]


class Pick(Op):
    """One element of each row: x (..., n), labels (...) of integers -> (...)."""

    def forward(self, x: Array, labels: Array) -> Array:
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels are integers, not {labels.dtype}: the index of the right class")
        if labels.shape != x.shape[:-1]:
            raise ValueError(f"labels have shape {labels.shape}, but {x.shape[:-1]} is needed: "
                             f"one class for each row of {x.shape}")
        classes = x.shape[-1]
        wrong = (labels < 0) | (labels >= classes)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise IndexError(f"label {labels[where]} at {list(where)} is not one of the "
                             f"{classes} classes 0 … {classes - 1}")
        return np.take_along_axis(x, np.expand_dims(labels, -1), -1)[..., 0]

    def backward(self, grad: Array, out: Array, x: Array, labels: Array) -> tuple[Array, ...]:
        one_hot = np.expand_dims(labels, -1) == np.arange(x.shape[-1])
        return np.expand_dims(grad, -1) * one_hot, None


class Concatenate(Op):
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


class Stack(Op):
    """Arrays of one shape laid side by side along a new axis."""

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def forward(self, *parts: Array) -> Array:
        return np.stack(parts, axis=self.axis)

    def backward(self, grad: Array, out: Array, *parts: Array) -> tuple[Array, ...]:
        index: list[Any] = [slice(None)] * out.ndim
        pieces = []
        for position in range(len(parts)):
            index[self.axis] = position
            pieces.append(grad[tuple(index)])
        return tuple(pieces)
