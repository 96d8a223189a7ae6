"""rnn: recurrences, written as equations and unrolled into explicit graphs.

    from rnn import Cell, t

    cell = Cell("elman")
    x, h = cell.input("x", 3), cell.signal("h", 8)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

    run = cell.unroll(x=data)             # data (T, batch, 3) -> a graph of minigrad Tensors
    run["h"].stack().sum().backward()     # backpropagation through time: W.grad, U.grad, b.grad

Imports minigrad and never viz. language (equations) <- cells; language <- unrolling (graphs) <- ir (one time step as
nodes) <- compiler (NumPy programs), export (JAX, PyTorch, ONNX) <- cell.py <- tracing.py.
"""

from minigrad.interactive.completion import public_names
from minigrad.provenance import mark_library_file

from . import cells, interop, sequences
from .cell import Cell
from .language.cycles import Loop, Stage
from .language.dependencies import DefinitionError, Edge
from .language.equations import Equation, Signal
from .language.expressions import T, t
from .tracing import trace, traced
from .unrolling.facts import Facts
from .unrolling.run import Copies, Run
from .unrolling.state import State

__all__ = [
    "Cell", "Copies", "DefinitionError", "Edge", "Equation", "Facts", "Loop", "Run", "Signal", "Stage", "State", "T",
    "cells", "interop", "sequences", "t", "trace", "traced",
]

mark_library_file(__file__)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
