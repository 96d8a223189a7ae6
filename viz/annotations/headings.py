"""The title of an unrolled picture, and what it says under it."""

from __future__ import annotations

from collections.abc import Sequence

from viz.layout.unrolled_layout import UnrolledSpec
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Scene, Text

from .current_step import step_caption
from .labels import nonfinite


def add_headings(scene: Scene, title: str, specs: Sequence[UnrolledSpec], notes: Sequence[str] = ()) -> None:
    """Add a title; under it some notes, the step of a backward pass, and the first value that is not finite."""
    left, _, right, top = scene.bounds(0)
    below = [(note, palette.QUIET) for note in notes]
    if specs[0].step is not None:
        below.append((step_caption(specs[0].step), palette.BACKWARD))
    bad = [(tensor.order, f"{clean(part.signal)}[{k}]", nonfinite(tensor)) for spec in specs
           for part, steps in spec.tensors.items() for k, tensor in steps.items()
           if part.node is None and tensor is not None and nonfinite(tensor)]
    if bad:
        _, name, kind = min(bad)
        below.append((f"{kind} in {len(bad)} boxes; the first is {name}", palette.ALARM))
    for number, (text, color) in enumerate(below[::-1]):
        scene.texts.append(Text((left + right) / 2, top + 18 + 20 * number, text, 12, color))
    scene.texts.append(Text((left + right) / 2, top + 26 + 16 * len(below), title, 14))
