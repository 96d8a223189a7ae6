"""The loss above the steps of an unrolled picture, and what it was computed from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from minigrad import Tensor
from rnn.unrolling.run_key import run_key
from viz.layout.folding import Tensors, Where
from viz.layout.step_layout import HEIGHT
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Point, Scene, join_curves, round_corners, straight_line, vertical_curve
from viz.render.typography import true_minus

from .labels import BoxLabels, describe, mark_nonfinite, nonfinite

TRACK = 13.0  # from a row of frames up to the arrows that go round to the loss; from the picture to these
CORNER_RADIUS = 6.0
ENTRY = 8.0  # from a loss's lower side up to where they end


class LossInputs(NamedTuple):
    """The signals and parameters that a loss was computed from directly."""

    signals: dict[Where, None]  # an ordered set
    parameters: list[str]
    through: Collection[str] = ()  # the names of runs that are not drawn, on the way to the loss


def loss_inputs(tensors: Tensors, loss: Tensor, parameters: Mapping[str, Tensor]) -> LossInputs:
    """Return the signals at their steps, and the parameters, that a loss was computed from directly.

    Raises:
        ValueError: if there are none, or nothing was recorded.
    """
    where = {tensor: (part, k) for part, steps in tensors.items() if part.node is None
             for k, tensor in steps.items() if tensor is not None}
    found: dict[Where, None] = {}
    seen = {loss}
    stack = [loss]
    while stack:  # a walk that ends at the first signal on each path
        node = stack.pop()
        if node in where:
            found[where[node]] = None
            continue
        new = [x for x in node.inputs if x not in seen]
        seen.update(new)
        stack.extend(new)
    if found:
        return LossInputs(found, [name for name, tensor in parameters.items() if tensor in seen],
                          _runs_between(where, seen))
    if loss.op is None and not loss.requires_grad:
        raise ValueError(f"{loss!r} doesn't remember what it was computed from (under no_grad, or from values that "
                         "require no gradient), so it can't be drawn above the run: compute it outside no_grad")
    name = next(part.signal for part in reversed(tensors) if part.node is None)
    raise ValueError(f"{loss!r} wasn't computed from this run, so it can't be drawn above it: form it from "
                     f"run[...], e.g. run[{name!r}].stack()")


def _runs_between(drawn: Collection[Tensor], walked: Iterable[Tensor]) -> list[str]:
    """Return the names of other runs among tensors that were computed from some that are drawn."""
    keys = {run_key(tensor) for tensor in drawn}
    reached, names = set(drawn), dict[str, None]()
    for node in sorted(walked, key=attrgetter("order")):
        if node not in reached and not reached.isdisjoint(node.inputs):
            reached.add(node)
            key = run_key(node)
            if key is not None and key not in keys:
                names[key.name] = None
    return list(names)


def note_on_way(read: LossInputs) -> list[str]:
    """Return the note that the loss was computed by runs that are not drawn, if it was."""
    names = " and ".join(clean(name, 30) for name in read.through)
    return [f"from here to the loss: by {names}, not drawn"] if names else []


def add_loss(scene: Scene, loss: Tensor, sources: Sequence[tuple[Box, float]], top: float, labels: BoxLabels,
             lower: Sequence[tuple[Box, float, float]] = ()) -> None:
    """Add the loss above the frames; `sources` are the boxes that it reads, each with an x free of boxes above.

    Args:
        lower: the same in lower rows of frames, each with the top of its row.
    """
    text = clean(loss.name or "loss")
    label = f"{text} = {true_minus(f'{loss.item():.3g}')}" if labels.spec.values and loss.size == 1 else text
    finite, size = not nonfinite(loss), labels.gradients.norm(loss)
    width = max(text_width(label, 12) * CORNER + 34, 16.0 * (len(sources) + 1))
    xs = [source.x for source, *_ in sources or lower]
    box = Box("loss", sum(xs) / len(xs), top + 72, width, HEIGHT, label, palette.LOSS,
              tooltip=f"{text} {describe(loss, size)}")
    if not finite:
        mark_nonfinite(box)
    elif labels.scale is not None:
        labels.scale.paint_box(box, size)
    _, _, right, _ = scene.bounds(0)
    scene.boxes.append(box)
    apart = (width - 24) / max(len(sources) - 1, 1)
    for number, (source, x) in enumerate(sources):
        end = (box.x + (number - (len(sources) - 1) / 2) * apart, box.bottom)
        scene.arrows.append(Arrow(source.key, box.key, _route_to_loss(source, x, top, end), palette.LOSS.line, 1.2,
                                  tooltip=f"{source.label} → {text}".replace("\n", " ")))
    for source, x, over in lower:
        track, entry = over + TRACK, box.side(box.bottom + ENTRY, 1)
        out = max(right, box.right) + TRACK
        points = [*_upward(source, x, over), *round_corners([(x, over), (x, track), (out, track), (out, entry[1]),
                                                             entry], CORNER_RADIUS)[1:]]
        scene.arrows.append(Arrow(source.key, box.key, points, palette.LOSS.line, 1.2,
                                  tooltip=f"{source.label} → {text}".replace("\n", " ")))


def _route_to_loss(source: Box, x: float, top: float, end: Point) -> list[Point]:
    """Return a curve from a box up at x, past the boxes above it, and on to the loss."""
    if abs(x - source.x) < 0.1 and source.top >= top - 1:
        return vertical_curve((source.x, source.top), end)
    return join_curves(_upward(source, x, top), vertical_curve((x, top), end))


def _upward(source: Box, x: float, top: float) -> list[Point]:
    """Return a curve from a box up at x, past the boxes above it."""
    start = (source.x, source.top)
    if abs(x - source.x) >= 0.1:
        aside = (x, source.top + 18)
        return join_curves(vertical_curve(start, aside), straight_line(aside, (x, top)))
    return straight_line(start, (x, top))
