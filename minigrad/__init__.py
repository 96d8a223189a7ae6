"""minigrad: arrays that remember how they were computed, and so can be differentiated.

    import minigrad as mg

    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    x.grad                      # array([2., 4.])
"""

from . import init, losses, ops, optim
from .functions import (
    add,
    broadcast_to,
    concatenate,
    divide,
    exp,
    expand_dims,
    log,
    log_softmax,
    matmul,
    matvec,
    max,
    maximum,
    mean,
    multiply,
    negative,
    pick,
    power,
    relu,
    reshape,
    sigmoid,
    softmax,
    square,
    stack,
    subtract,
    sum,
    swapaxes,
    tanh,
    transpose,
    vecdot,
    where,
)
from .gradcheck import gradcheck, numeric_gradient
from .ops import Op
from .tensor import Tensor, apply, no_grad

__all__ = [
    "Op", "Tensor", "add", "apply", "broadcast_to", "concatenate", "divide", "exp", "expand_dims", "gradcheck",
    "init", "log", "log_softmax", "losses", "matmul", "matvec", "max", "maximum", "mean", "multiply", "negative",
    "no_grad", "numeric_gradient", "ops", "optim", "pick", "power", "relu", "reshape", "sigmoid", "softmax",
    "square", "stack", "subtract", "sum", "swapaxes", "tanh", "transpose", "vecdot", "where",
]
