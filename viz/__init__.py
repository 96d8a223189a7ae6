"""viz: pictures of recurrences, rolled and unrolled, and of any tensor's graph.

    viz.rolled(cell).render(outfile="loop.png")
    viz.unrolled(run, loss=loss).render(outfile="graph.svg")
"""

from minigrad.origin import hide

from .dot import Picture
from .graph import graph
from .paint import PaintError
from .rolled import rolled
from .unrolled import unrolled

__all__ = ["PaintError", "Picture", "graph", "rolled", "unrolled"]

hide(__file__)
