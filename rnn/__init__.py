"""rnn: recurrences, written as equations and unrolled into explicit graphs.

    from rnn import Cell, t

    cell = Cell("elman")
    x = cell.input("x", 3)
    h = cell.signal("h", 8)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    run = cell.unroll(x=data)
"""

from minigrad.origin import hide

from . import cells, interop, sequences
from .analysis import DefinitionError, Edge
from .equations import Cell, Equation, Signal, T, t
from .run import Copies, Run, State
from .structure import Facts, Loop, Stage
from .tracing import traced

__all__ = [
    "Cell", "Copies", "DefinitionError", "Edge", "Equation", "Facts", "Loop", "Run", "Signal", "Stage", "State", "T",
    "cells", "interop", "sequences", "t", "traced",
]

hide(__file__)
