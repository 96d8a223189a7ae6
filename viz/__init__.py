"""viz: pictures of recurrences, rolled and unrolled, and of any tensor's graph.

    viz.rolled(cell).render(outfile="loop.png")
    viz.unrolled(run, loss=loss).render(outfile="graph.svg")
    viz.stepper(loss, "steps.html")
    viz.animate(loss, "bptt.gif")

May import minigrad and rnn. Its folders import in one direction: render <- layout <- annotations <- pictures <-
stepper_page. A run goes through these stages once: step graph, labels, layout, annotations, scene, DOT.
"""

from typing import TYPE_CHECKING, Any

from minigrad.interactive import progress
from minigrad.interactive.completion import public_names
from minigrad.provenance import mark_library_file

from .pictures.animation import Animation, animate
from .pictures.diff import diff
from .pictures.gradient_map import gradient_map
from .pictures.graph import graph
from .pictures.rolled import rolled
from .pictures.side_by_side import both
from .pictures.unrolled import unrolled
from .render.digraph import Picture
from .render.rasterize import PaintError

if TYPE_CHECKING:
    from .stepper_page.page import Page, stepper

__all__ = [
    "Animation", "Page", "PaintError", "Picture", "animate", "both", "diff", "gradient_map", "graph", "rolled",
    "stepper", "unrolled",
]

mark_library_file(__file__)
for drawing in (both, diff, gradient_map, graph, rolled, unrolled, Picture._painted):
    progress.watch(drawing, "draw")
del drawing


def __getattr__(name: str) -> Any:
    """Import the stepper page on first use: it needs the debugger, which pictures do not."""
    if name not in ("Page", "stepper"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .stepper_page import page

    return getattr(page, name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
