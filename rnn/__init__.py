"""rnn: recurrences, written as equations and unrolled into explicit graphs.

    from rnn import Cell, t

    cell = Cell("elman")
    x = cell.input("x", 3)
    h = cell.signal("h", 8)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    run = cell.unroll(x=data)
"""

from minigrad.provenance import mark_library_file

from . import cells, interop, sequences
from .cell import Cell
from .language.cycles import Loop, Stage
from .language.dependencies import DefinitionError, Edge
from .language.equations import Equation, Signal, T, t
from .tracing import traced
from .unrolling.facts import Facts
from .unrolling.run import Copies, Run
from .unrolling.state import State

__all__ = [
    "Cell", "Copies", "DefinitionError", "Edge", "Equation", "Facts", "Loop", "Run", "Signal", "Stage", "State", "T",
    "cells", "interop", "sequences", "t", "traced",
]

mark_library_file(__file__)
