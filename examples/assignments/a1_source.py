# %% [markdown]
# # Assignment 1: operations and their derivatives
#
# A differentiable operation is a class with two methods: `forward` computes the result, `backward`
# computes the gradients of the operands from the gradient of the result. Write five of them, and `unbroadcast`.
#
# **Arguments and result of backward.** `grad` is the *upstream gradient*, $\partial L / \partial\,$out for some
# scalar L: an array of the shape of `out`. Then come `out` itself and the operands. `backward` returns one gradient
# for each operand, *of that operand's shape*: a tuple, or the array alone where there is one operand.
#
# **Notation.** $\bar a = \partial L / \partial a$ is called the *adjoint* of $a$; so $\overline{out}$ is `grad`.
#
# What `backward` computes is a *vector-Jacobian product* (VJP): the upstream gradient times the Jacobian of the
# operation (Griewank and Walther, *Evaluating Derivatives*, 2nd ed. 2008, section 3.2). The Jacobian itself is never
# built.
#
# **State.** An instance computes one result: `forward` is called before `backward`, so what `forward` keeps on `self`
# may be used there. Another instance of the same class has other operands.
#
# Use NumPy and minigrad; the checker has no rnn, viz, torch and jax.
#
# Check as often as you like: `python -m examples.assignments.check a1 YOUR_FILE.py`

# %%
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg

Array = NDArray[Any]


# %% [markdown]
# ## 1. Broadcasting backwards
#
# `(3, 4) * (4,)` uses each of the four numbers three times. The gradient of a number that is used
# several times is the *sum* of the gradients of its uses. So sum over every axis that broadcasting has added or
# stretched, and return exactly the shape that the operand had.

# %%
def unbroadcast(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient down to the shape of an operand that was broadcast. grad (4, 3, 2), shape (3, 1) -> (3, 1)."""
    ### BEGIN SOLUTION
    extra = grad.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1)
    return np.asarray(grad.sum(axis=axes, keepdims=True).reshape(shape))
    ### END SOLUTION


# %% [markdown]
# ## 2. Multiplication, with broadcasting
#
# $$out = a \odot b, \qquad \bar a = \overline{out} \odot b, \qquad \bar b = \overline{out} \odot a$$

# %%
class Multiply(mg.Op):
    """a * b, elementwise; the operands may be broadcast."""

    def forward(self, a: Array, b: Array) -> Array:
        ### BEGIN SOLUTION
        return a * b
        ### END SOLUTION

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, Array]:
        ### BEGIN SOLUTION
        return unbroadcast(grad * b, a.shape), unbroadcast(grad * a, b.shape)
        ### END SOLUTION


# %% [markdown]
# ## 3. The logistic sigmoid
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}, \qquad \sigma' = \sigma (1 - \sigma)$$
#
# The result must be right for large numbers too: $e^{1000}$ overflows to infinity, but $\sigma(-1000) = 0$ and
# $\sigma(1000) = 1$. $\sigma(x) = \frac12 (1 + \tanh \frac x2)$ never overflows. (Where the result is right, NumPy's
# warning about an overflow costs no points.)

# %%
class Sigmoid(mg.Op):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Array) -> Array:
        ### BEGIN SOLUTION
        return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
        ### END SOLUTION

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        ### BEGIN SOLUTION
        return np.asarray(grad * out * (1 - out))
        ### END SOLUTION


# %% [markdown]
# ## 4. The matrix product
#
# For matrices $a$ (n, k) and $b$ (k, m):
# $$out = a\,b, \qquad \bar a = \overline{out}\; b^\top, \qquad \bar b = a^\top\, \overline{out}$$
# (Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
# differentiation*, 2008, section 2.2.2.) No other products have the right shapes.

# %%
class MatMul(mg.Op):
    """a @ b for two matrices."""

    def forward(self, a: Array, b: Array) -> Array:
        ### BEGIN SOLUTION
        return a @ b
        ### END SOLUTION

    def backward(self, grad: Array, out: Array, a: Array, b: Array) -> tuple[Array, Array]:
        ### BEGIN SOLUTION
        return grad @ b.T, a.T @ grad
        ### END SOLUTION


# %% [markdown]
# ## 5. The mean over an axis
#
# The mean contains every number along the axis with the weight $1/n$, where n is the length of the axis. The axis
# may be negative, as in NumPy.

# %%
class Mean(mg.Op):
    """x.mean(axis)."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        ### BEGIN SOLUTION
        return np.asarray(x.mean(axis=self.axis))
        ### END SOLUTION

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        ### BEGIN SOLUTION
        return np.asarray(np.expand_dims(grad, self.axis) / x.shape[self.axis] * np.ones_like(x))
        ### END SOLUTION


# %% [markdown]
# ## 6. Softmax over the last axis
#
# $$s_i = \frac{e^{x_i}}{\sum_j e^{x_j}}, \qquad \bar x_i = s_i \Big(\bar s_i - \sum_j \bar s_j s_j\Big)$$
#
# Each result depends on *every* element of its row, hence the sum. Subtract the row's largest number
# before you take exponentials: the result is the same, and nothing overflows (Goodfellow, Bengio and
# Courville, *Deep Learning*, 2016, section 4.1).

# %%
class Softmax(mg.Op):
    """exp(x) / sum(exp(x)), along the last axis."""

    def forward(self, x: Array) -> Array:
        ### BEGIN SOLUTION
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))
        ### END SOLUTION

    def backward(self, grad: Array, out: Array, x: Array) -> Array:
        ### BEGIN SOLUTION
        return np.asarray(out * (grad - (grad * out).sum(axis=-1, keepdims=True)))
        ### END SOLUTION


# %% [markdown]
# They are now operations of minigrad: `mg.apply(Sigmoid(), x)` records them, `backward()` uses them.
