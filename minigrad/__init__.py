"""minigrad: arrays that remember how they were computed, and so can be differentiated.

    import minigrad as mg

    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    x.grad                      # array([2., 4.])
"""

from typing import TYPE_CHECKING, Any

from . import init, losses, ops, optim, schedules
from . import numpy_functions as numpy_functions
from .backward import grad
from .functions import (
    abs,
    add,
    arctan,
    argmax,
    argmin,
    broadcast_to,
    clip,
    concatenate,
    cos,
    cosh,
    cumsum,
    divide,
    dot,
    dropout,
    einsum,
    elu,
    exp,
    expand_dims,
    expm1,
    flip,
    gelu,
    hstack,
    leaky_relu,
    log,
    log1p,
    log2,
    log_softmax,
    logsumexp,
    matmul,
    matvec,
    max,
    maximum,
    mean,
    min,
    minimum,
    moveaxis,
    multiply,
    negative,
    norm,
    outer,
    pad,
    pick,
    power,
    prod,
    ravel,
    relu,
    repeat,
    reshape,
    sigmoid,
    sign,
    sin,
    sinh,
    softmax,
    softplus,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    subtract,
    sum,
    swapaxes,
    take,
    take_along_axis,
    tan,
    tanh,
    tile,
    transpose,
    var,
    vecdot,
    vstack,
    where,
)
from .gradcheck import check_op, compare_gradients, gradcheck, numeric_gradient
from .ops import Op
from .serialization import load, save
from .tensor import Tensor, apply, detect_anomaly, no_grad

if TYPE_CHECKING:
    from .debugger import explain, set_trace

__version__ = "0.2.0"

__all__ = [
    "Op", "Tensor", "abs", "add", "apply", "arctan", "argmax", "argmin", "broadcast_to", "check_op", "clip",
    "compare_gradients", "concatenate", "cos", "cosh", "cumsum", "detect_anomaly", "divide", "dot", "dropout",
    "einsum", "elu", "exp", "expand_dims", "explain", "expm1", "flip", "gelu", "grad", "gradcheck", "hstack", "init",
    "leaky_relu", "load", "log", "log1p", "log2", "log_softmax", "logsumexp", "losses", "matmul", "matvec",
    "max", "maximum", "mean", "min", "minimum", "moveaxis", "multiply", "negative", "no_grad", "norm",
    "numeric_gradient", "ops", "optim", "outer", "pad", "pick", "power", "prod", "ravel", "relu", "repeat",
    "reshape", "save", "schedules", "set_trace", "sigmoid", "sign", "sin", "sinh", "softmax", "softplus", "split",
    "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan",
    "tanh", "tile", "transpose", "var", "vecdot", "vstack", "where",
]


def __getattr__(name: str) -> Any:
    """Import the debugger when it is first asked for: most programs run without it."""
    if name not in ("explain", "set_trace"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import debugger

    return getattr(debugger, name)
