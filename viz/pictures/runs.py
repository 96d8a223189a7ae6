"""Several runs in one scene: one after another from left to right, with the links between them.

The frames of all runs stand on one line. A link runs sideways where nothing is between its two boxes, otherwise on a
track above all frames. The links that lead to one box, as from all states of an encoder to the static that holds them,
share their way: they are a bracket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad import Tensor
from minigrad.steps import Step
from viz.annotations.current_step import mark_step
from viz.annotations.cuts import mark_cut
from viz.annotations.labels import add_legend, mark_highlight
from viz.annotations.margin import add_loss
from viz.annotations.shelf import add_loss_terms, add_parameters
from viz.layout.folding import Where
from viz.layout.links import Link
from viz.layout.step_graph import StepGraph
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Point, Scene, Text, round_corners, text_beside

if TYPE_CHECKING:
    from .unrolled import UnrolledDrawing

APART = 46.0  # from run to run, without the links between
TRACK = 9.0  # between links side by side
FIRST = 16.0  # from the frames to the first track above them
TURN = 16.0  # from a run to the first link beside it
NAME = 24.0  # height of the names of the runs
SIZE = 13.0  # of their letters
LABEL = 10.0  # of those that tell what is computed on the way
ASIDE = 10.0  # from a box up to where a link goes aside
FREE = 5.0  # least distance of a link and a box that it passes


class Way(NamedTuple):
    """What the links of one bracket share: their track above the frames, and the x of their way down."""

    track: int
    x: float


class RunsDrawing:
    """The scene of several runs. The constructor draws the runs, add_links() and add_names() what is between and above.

    Attributes:
        drawings: that of each run, from the left; their boxes and arrows are in the scene too.
        links: those between the runs.
        arrows: each arrow of a link that is drawn, with the link; several links of a fold have one.
        tops: the height above all frames, and above the tracks and names over them.
    """

    def __init__(self, drawings: Sequence[UnrolledDrawing], links: Sequence[Link]) -> None:
        self.drawings, self.links = drawings, links
        self.number = {part: i for i, drawing in enumerate(drawings)
                       for part in (*drawing.spec.graph.parts, *drawing.spec.beside)}
        self.scene = Scene("runs")
        self.arrows: list[tuple[Arrow, Link]] = []
        self._ways: dict[object, Way] = {}
        self._labels: list[tuple[Arrow, list[Text]]] = []
        self.lefts: list[float] = []
        self._brackets = self._find_brackets()
        right = 0.0
        for number, drawing in enumerate(drawings):
            drawing.draw_steps()
            left = drawing.scene.bounds(0)[0]
            self.lefts.append(right + (self._gap(number) if number else 0.0))
            move(drawing, self.lefts[-1] - left, -drawing.layout.foot, f"r{number}")
            right = drawing.scene.bounds(0)[2]
            self.scene.boxes += drawing.scene.boxes
            self.scene.arrows += drawing.scene.arrows
            self.scene.frames += drawing.scene.frames
            self.scene.texts += drawing.scene.texts
            self._labels += drawing.label_candidates
        self.top = max(drawing.layout.top for drawing in drawings)

    # ---- links
    def _box(self, where: Where) -> Box | None:
        part, k = where
        drawing = self.drawings[self.number[part]]
        return drawing.beside.get(part) if part.once else drawing.box(part, k)

    def _find_brackets(self) -> dict[Link, object]:
        """Return the bracket of each link: one for a target with several sources, else one for a source."""
        sources: dict[Where, set[Where]] = {}
        for link in self.links:
            sources.setdefault(link.target, set()).add(link.source)
        return {link: ("to", link.target) if len(sources[link.target]) > 1 else
                ("from", link.source, self.number[link.target[0]]) for link in self.links}

    def _into(self, number: int) -> list[Link]:
        return [link for link in self.links if self.number[link.target[0]] == number]

    def _gap(self, number: int) -> float:
        """Return the width between a run and the one before it."""
        links = self._into(number)
        widest = max((text_width(link.text, LABEL) * CORNER + 12 for link in links), default=0.0)
        return APART + TRACK * max(len({self._brackets[link] for link in links}) - 1, 0) + widest

    def add_links(self) -> None:
        """Add an arrow for each link, and place all labels."""
        drawn: set[tuple[str, str]] = set()
        for number in range(len(self.drawings)):
            for link in self._into(number):
                source, target = self._box(link.source), self._box(link.target)
                if source is None or target is None or (source.key, target.key) in drawn:
                    continue
                drawn.add((source.key, target.key))
                self._add_link(link, source, target)
        self.scene.place_labels(self._labels, crowded=any(drawing.beside for drawing in self.drawings))

    def _add_link(self, link: Link, source: Box, target: Box) -> None:
        points = self._route(link, source, target)
        part = link.target[0]
        color = palette.STATIC.line if part.once else part.paint.line if part.given else palette.STATE.line
        what = f" by {link.text}" if link.text else ""
        arrow = Arrow(source.key, target.key, points, color, 1.8,
                      tooltip=f"{source.label} → {target.label}{what}".replace("\n", " "))
        self.scene.arrows.append(arrow)
        self.arrows.append((arrow, link))
        if link.cut:
            arrow.tooltip += " (cut: no gradient goes back)"
            self.scene.texts.append(mark_cut(arrow))
        if link.text and not any(other.target == link.target for _, other in self.arrows[:-1]):
            (x0, y), (x1, _) = points[-4], points[-1]
            middle = (x0 + x1) / 2
            self._labels.append((arrow, [Text(middle, y + side * 9, link.text, LABEL, color) for side in (1, -1)]))

    def _way(self, link: Link) -> Way:
        """Return the way of a link's bracket, a new one for the first of its links."""
        bracket, number = self._brackets[link], self.number[link.target[0]]
        if bracket not in self._ways:
            beside = sum(self._brackets[other] in self._ways for other in
                         {self._brackets[other]: other for other in self._into(number)}.values())
            before = self.drawings[number - 1].scene.bounds(0)[2]
            self._ways[bracket] = Way(-1, before + TURN + TRACK * beside)
        return self._ways[bracket]

    def _route(self, link: Link, source: Box, target: Box) -> list[Point]:
        """Return the way of a link: sideways, or above the frames; it arrives on the left or, past others, above."""
        way, numbers = self._way(link), [self.number[part] for part, _ in (link.source, link.target)]
        start, end = source.side(source.y, 1), target.side(target.y, -1)
        boxes = [self.drawings[number].scene.boxes for number in numbers]
        enters = not any(box.right <= target.left and abs(box.y - end[1]) < box.height / 2 + FREE for box in boxes[1])
        leaves = not any(box.left >= source.right and abs(box.y - start[1]) < box.height / 2 + FREE for box in boxes[0])
        if numbers[1] == numbers[0] + 1 and enters and leaves:
            return round_corners([start, (way.x, start[1]), (way.x, end[1]), end], 8)
        if way.track < 0:
            tracks = sum(other.track >= 0 for other in self._ways.values())
            way = self._ways[self._brackets[link]] = Way(tracks, way.x)
        y = self.top + FIRST + TRACK * way.track
        up = self._clear(link.source)
        corners = [(source.x, source.top), *_aside(source.x, up, source.top + ASIDE), (up, y)]
        if enters:
            return round_corners([*corners, (way.x, y), (way.x, end[1]), end], 8)
        down = self._clear(link.target)
        port = target.x + (0.3 if down > target.x else -0.3) * target.width
        return round_corners([*corners, (down, y), *_aside(down, port, target.top + ASIDE), (port, target.top)], 8)

    def _clear(self, where: Where) -> float:
        """Return the x at which a line passes all boxes above a box of a step."""
        part, k = where
        box = self._box(where)
        assert box is not None
        if part.once:
            return box.x
        layout = self.drawings[self.number[part]].layout
        return layout.home(part, k).x + layout.steps.clear_x(part)

    # ---- names
    def add_names(self, names: Iterable[str]) -> None:
        """Add the name of each run above its frames, at their left end, and the room for it."""
        tracks = max((way.track + 1 for way in self._ways.values()), default=0)
        self.top += FIRST + TRACK * (tracks - 1) if tracks else 0.0
        for name, left in zip(names, self.lefts):
            self.scene.texts.append(text_beside(left, self.top + NAME / 2, clean(name, 40), SIZE, palette.TEXT))
        self.top += NAME


    # ---- margin
    def add_margin(self, parameters: Mapping[str, Tensor], sums: Mapping[str, Any] | None,
                   direct: Sequence[str]) -> None:
        """Add the loss above all runs, the marks of highlighted tensors, the list of parameters, and the legend."""
        labels = self.drawings[-1].labels
        if labels.spec.loss is not None:
            sources = [source for drawing in self.drawings for source in drawing.loss_sources()]
            add_loss(self.scene, labels.spec.loss, sources, self.top, labels)
        mark_highlight(self.scene, {key for each in self.drawings for key in each.labels.highlighted(each.boxes)})
        graph = StepGraph(colors={name: palette.parameter(i) for i, name in enumerate(parameters)})
        spec = replace(labels.spec, graph=graph, parameters=parameters)
        middle = (min(each.layout.steps.middle for each in self.drawings)
                  + max(each.layout.steps.middle for each in self.drawings)) / 2
        add_parameters(self.scene, spec, labels.gradients.of_parameters(parameters, sums, direct), middle)
        if direct:
            add_loss_terms(self.scene, direct, list(parameters))
        if labels.scale is not None:
            _, bottom, right, _ = self.scene.bounds(0)
            add_legend(self.scene, labels.scale, right + 36, bottom)

    def mark_step(self, step: Step, once: Mapping[Tensor, str]) -> None:
        """Mark a step of a backward pass, and the arrows along which a gradient has passed.

        Args:
            once: the box of each tensor beside the time steps, and of each parameter that the loss reads.
        """
        boxes = {where: box for drawing in self.drawings for where, box in drawing.boxes.items()}
        tensors = {part: steps for drawing in self.drawings for part, steps in drawing.spec.tensors.items()}
        between: dict[Tensor, str] = {}
        passes: dict[tuple[Tensor, Tensor], set[tuple[str, str]]] = {}
        for arrow, link in self.arrows:
            between.update(dict.fromkeys(link.between, arrow.target))
            for reader in link.readers:
                passes.setdefault((link.value, reader), set()).add((arrow.source, arrow.target))
        mark_step(self.scene, tensors, boxes, step, between | dict(once), passes)


def move(drawing: UnrolledDrawing, dx: float, dy: float, prefix: str) -> None:
    """Move a drawing of steps, and put a prefix on the keys of its boxes."""
    scene, layout = drawing.scene, drawing.layout
    for box in scene.boxes:
        box.key, box.x, box.y = prefix + box.key, box.x + dx, box.y + dy
    for arrow in scene.arrows:
        arrow.source, arrow.target = prefix + arrow.source, prefix + arrow.target
        arrow.points = [(x + dx, y + dy) for x, y in arrow.points]
    for text in [*scene.texts, *(text for _, candidates in drawing.label_candidates for text in candidates)]:
        text.x, text.y = text.x + dx, text.y + dy
    for frame in scene.frames:
        frame.left, frame.right = frame.left + dx, frame.right + dx
        frame.bottom, frame.top = frame.bottom + dy, frame.top + dy
    for column in layout.columns:
        column.left, column.x, column.right = column.left + dx, column.x + dx, column.right + dx
    layout.steps.y = [y + dy for y in layout.steps.y]
    layout.foot, layout.top = layout.foot + dy, layout.top + dy


def _aside(x: float, other: float, y: float) -> list[Point]:
    """Return the corners at which an upright line goes aside."""
    return [(x, y), (other, y)] if abs(x - other) > 1 else []
