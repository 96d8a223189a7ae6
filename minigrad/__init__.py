"""minigrad: arrays that record the operations that produced them (an autograd engine).

    import minigrad as mg

    x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = (x * x).sum()
    y.backward()
    x.grad                      # array([2., 4.])

Imports NumPy only; neither rnn nor viz. The debugger, a subpackage, is imported on first use.
"""

import sys
from typing import TYPE_CHECKING, Any

from . import backward, functions, init, losses, ops, optim, schedules, tensor
from . import numpy_functions as numpy_functions
from .backward import grad
from .errors import require_operation
from .functions import *  # noqa: F403 (the names in functions.__all__)
from .gradcheck import check_op, compare_gradients, gradcheck, numeric_gradient
from .interactive import passes, postmortem, progress
from .interactive.completion import public_names
from .ops import Op
from .provenance import in_library
from .recipes.attributes import MODULE, missing_attribute
from .serialization import load, save
from .settings import detect_anomaly, no_grad
from .tensor import Tensor

if TYPE_CHECKING:
    from .debugger import explain, set_trace

__version__ = "0.2.0"

__all__ = [
    *functions.__all__,
    "Op", "Tensor", "apply", "check_op", "compare_gradients", "detect_anomaly", "explain", "grad", "gradcheck",
    "init", "load", "losses", "no_grad", "numeric_gradient", "ops", "optim", "save", "schedules", "set_trace",
]

postmortem.install(in_library)
progress.watch(backward.backward, "backward", passes.of_backward)
progress.watch(backward.compute_gradients, "backward", passes.of_gradients)
progress.start()


def apply(op: Op, *inputs: Any) -> Any:
    """Compute `op` on inputs and, where one of them requires a gradient, record it.

    Args:
        op: the operation, one of minigrad.ops or your own: an instance of a subclass of Op.
        inputs: Tensors, arrays or numbers.

    Returns:
        A Tensor; or the result of another operand class's own `apply` (an expression inside of an equation).

    Raises:
        TypeError: if `op` isn't an instance of an operation.
        ValueError, TypeError, IndexError: NumPy's message, with the operation, and the name, shape and
            line of every operand.
        FloatingPointError: under detect_anomaly(), if the result is the first with a NaN.
    """
    require_operation("mg.apply", op)
    return tensor.apply(op, *inputs)


def __getattr__(name: str) -> Any:
    """Import the debugger on first use: most programs run without it.

    Raises:
        AttributeError: for any other name; for those of other libraries with the spelling here.
    """
    if name not in ("explain", "set_trace"):
        raise missing_attribute(f"module {__name__!r}", name, MODULE, sys.modules[__name__])
    from . import debugger

    return getattr(debugger, name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
