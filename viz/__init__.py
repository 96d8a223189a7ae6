"""viz: pictures of recurrences, rolled and unrolled, and of any tensor's graph.

    viz.rolled(cell).render(outfile="loop.png")
    viz.unrolled(run, loss=loss).render(outfile="graph.svg")
    viz.stepper(loss, "steps.html")
"""

from minigrad.origin import hide

from .both import both
from .diff import diff
from .dot import Picture
from .gradient_map import gradient_map
from .graph import graph
from .page import Page, stepper
from .paint import PaintError
from .rolled import rolled
from .unrolled import unrolled

__all__ = ["Page", "both", "gradient_map", "PaintError", "Picture", "diff", "graph", "rolled", "stepper", "unrolled"]

hide(__file__)
