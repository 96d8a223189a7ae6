"""The title of an unrolled picture, and what it says under it."""

from __future__ import annotations

from collections.abc import Sequence

from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Rectangle, Scene

from .current_step import step_caption
from .labels import nonfinite
from .panels import place_title


def add_headings(scene: Scene, title: str, specs: Sequence[UnrolledSpec], notes: Sequence[str],
                 over: Rectangle) -> None:
    """Add a title; under it some notes, the step of a backward pass, and the first value that is not finite.

    Args:
        over: the part of the scene over which they stand.
    """
    below = [(note, palette.QUIET) for note in notes]
    if specs[0].step is not None:
        below.append((step_caption(specs[0].step), palette.BACKWARD))
    bad = {(tensor.order, f"{clean(part.signal)}[{k}]", nonfinite(tensor)): (spec.homes.get(part, part), k)
           for spec in specs for part, steps in spec.recorded.items() for k, tensor in steps.items()
           if part.node is None and tensor is not None and nonfinite(tensor)}
    if bad:
        _, name, kind = min(bad)
        count = len(set(bad.values()))
        below.append((f"{kind} in {count} {'boxes' if count > 1 else 'box'}; the first is {name}", palette.ALARM))
    place_title(scene, specs[0].options.heading(title), below, over)
