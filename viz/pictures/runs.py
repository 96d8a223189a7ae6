"""Several runs in one scene: one after another from left to right, with the links between them.

The frames of all runs stand on one line; a run that reads each step of another one as its input stands above it. A link
runs sideways where nothing is between its two boxes, otherwise on a track above all frames. The links that lead to one
box, as from all states of an encoder to the static that holds them, share their way: they are a bracket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad import Tensor
from minigrad.steps import Step
from viz.annotations.current_step import mark_step
from viz.annotations.cuts import mark_cut
from viz.annotations.labels import mark_highlight
from viz.annotations.margin import add_loss
from viz.annotations.places import add_panels
from viz.annotations.shelf import add_loss_terms, listed_parameters, parameter_keys
from viz.layout.folding import Tensors, Where
from viz.layout.links import Link
from viz.layout.step_graph import Part, StepGraph
from viz.render import palette
from viz.render.fonts import clean, text_width
from viz.render.scene import (
    CORNER,
    Arrow,
    Box,
    Point,
    Scene,
    Text,
    join_curves,
    round_corners,
    straight_line,
    text_beside,
    vertical_curve,
)

from .arrangement import make_panels, title_height

if TYPE_CHECKING:
    from .unrolled_drawing import UnrolledDrawing

APART = 46.0  # from run to run, without the links between
TRACK = 9.0  # between links side by side
FIRST = 16.0  # from the frames to the first track above them
TURN = 16.0  # from a run to the first link beside it
NAME = 24.0  # height of the names of the runs
SIZE = 13.0  # of their letters
LABEL = 10.0  # of those that tell what is computed on the way
ASIDE = 10.0  # from a box up to where a link goes aside
BESIDE = 17.0  # from a box of a row to a link that goes up or down beside it
ABOVE = 44.0  # from run to run above each other
BESIDE_LOSS = 7.0  # from an arrow to the loss to a link beside it
PORT = 7.0  # between links that leave a box side by side
CORNERS = 8.0  # radius
CLEAR = 14.0  # the same of an upright link, which passes arrowheads too
SIDE = 0.3  # from the middle of a box to a link above or below it, as a part of its width
FREE = 5.0  # least distance of a link and a box that it passes


class Way(NamedTuple):
    """The shared parts of the links of one bracket: their track above the frames, and the x of their way down."""

    track: int | None
    x: float


class Row:
    """Boxes between two runs, as RunsDrawing takes them.

    Attributes:
        scene: the boxes, and the arrows between them.
        beside: the box of each part.
    """

    def __init__(self, scene: Scene, beside: Mapping[Part, Box]) -> None:
        self.scene, self.beside = scene, beside

    @property
    def parts(self) -> list[Part]:
        """The part of each box."""
        return list(self.beside)

    @property
    def top(self) -> float:
        """The height of its upper edge."""
        return self.scene.bounds(0)[3]


class RunsDrawing:
    """The scene of several runs. The constructor draws the runs, add_links() and add_names() what is between and above.

    Attributes:
        blocks: the drawing of each run, and rows of boxes between runs; all of it is in the scene too.
        drawings: those of the runs.
        links: those between the runs.
        arrows: each arrow of a link that is drawn, with the link; several links of a fold have one.
        groups: the blocks, by number, that stand above each other, for each place from left to right.
        top: the height above all frames; after add_names() also above tracks and names.
    """

    def __init__(self, blocks: Sequence[UnrolledDrawing | Row], links: Sequence[Link],
                 groups: Sequence[Sequence[int]]) -> None:
        self.blocks, self.links, self.groups = blocks, links, groups
        self.drawings = [block for block in blocks if not isinstance(block, Row)]
        self.number = {part: i for i, block in enumerate(blocks) for part in block.parts}
        self.scene = Scene("runs")
        self.arrows: list[tuple[Arrow, Link]] = []
        self.group = {i: number for number, group in enumerate(self.groups) for i in group}
        self._ways: dict[object, Way] = {}
        self._free: dict[tuple[Where, int], bool] = {}
        self._labels: list[tuple[Arrow, list[Text]]] = []
        self._brackets = self._find_brackets()
        self._rights: list[float] = []  # of the groups
        right = 0.0
        for number, group in enumerate(self.groups):
            self._add_group(group, right + (self._gap(number) if number else 0.0))
            right = max(blocks[i].scene.bounds(0)[2] for i in group)
            self._rights.append(right)
        self.top = max(block.top for block in blocks)
        self._parameters: dict[str, list[Tensor]] = {}  # by the keys of the boxes in which they are listed

    def _add_group(self, group: Sequence[int], left: float) -> None:
        """Add runs that stand above each other, with their steps in line."""
        row = self.blocks[group[0]]
        if isinstance(row, Row):
            move(row.scene, left - row.scene.bounds(0)[0], self._height(row), f"r{group[0]}")
            self._add_scene(row.scene)
            return
        drawings = [block for block in (self.blocks[i] for i in group) if not isinstance(block, Row)]
        for drawing in drawings:
            drawing.layout.widen(max(each.layout.half for each in drawings), max(each.layout.gap for each in drawings))
            drawing.add_steps()
        first = left + max(each.layout.column(1).x - each.scene.bounds(0)[0] for each in drawings)
        foot = 0.0
        for i, drawing in zip(group, drawings):
            move_steps(drawing, first - drawing.layout.column(1).x, foot - drawing.layout.foot,
                       f"r{i}" if len(self.blocks) > 1 else "")
            foot = drawing.top + ABOVE
            if drawing is not drawings[0]:
                _drop_captions(drawing.scene, drawings[0].scene)
            self._add_scene(drawing.scene)
            self._labels += drawing.label_candidates

    def _add_scene(self, scene: Scene) -> None:
        self.scene.boxes += scene.boxes
        self.scene.arrows += scene.arrows
        self.scene.frames += scene.frames
        self.scene.texts += scene.texts

    def _height(self, row: Row) -> float:
        """Return the height of a row: its middle is at that of the boxes on its left that it reads."""
        heights = [box.y for link in self.links if link.target[0] in row.beside and link.source[0] not in row.beside
                   for box in [self._box(link.source)] if box is not None]
        _, bottom, _, top = row.scene.bounds(0)
        return max(sum(heights) / len(heights) - (bottom + top) / 2, -bottom) if heights else -bottom

    # ---- links
    def _box(self, where: Where) -> Box | None:
        part, k = where
        block = self.blocks[self.number[part]]
        return block.beside.get(part) if part.once or isinstance(block, Row) else block.box(part, k)

    def _group_of(self, where: Where) -> int:
        return self.group[self.number[where[0]]]

    def _find_brackets(self) -> dict[Link, object]:
        """Return the bracket of each link: one for a target with several sources, else one for a source."""
        sources: dict[Where, set[Where]] = {}
        for link in self.links:
            sources.setdefault(link.target, set()).add(link.source)
        return {link: ("to", link.target) if len(sources[link.target]) > 1 else
                ("from", link.source, self._group_of(link.target)) for link in self.links}

    def _into(self, group: int) -> list[Link]:
        """Return the links that lead to a group from others."""
        return [link for link in self.links if self._group_of(link.target) == group != self._group_of(link.source)]

    def _gap(self, group: int) -> float:
        """Return the width between a group and the one before it."""
        links = self._into(group)
        widest = max((text_width(link.text, LABEL) * CORNER + 12 for link in links), default=0.0)
        return APART + TRACK * max(len({self._brackets[link] for link in links}) - 1, 0) + widest

    def add_links(self) -> None:
        """Add an arrow for each link, and place all labels."""
        drawn: set[tuple[str, str]] = set()
        for link in self.links:
            source, target = self._box(link.source), self._box(link.target)
            if source is None or target is None or (source.key, target.key) in drawn:
                continue
            drawn.add((source.key, target.key))
            self._add_link(link, source, target)
        if self._labels:
            self.scene.place_labels(self._labels, crowded=any(drawing.beside for drawing in self.drawings),
                                    lines=[line for drawing in self.drawings for line in drawing.kept_off()])

    def _add_link(self, link: Link, source: Box, target: Box) -> None:
        points = self._route(link, source, target)
        part = link.target[0]
        once = part.once or (link.source[0].once and part.node is not None)
        color = palette.STATIC.line if once else part.paint.line if part.given else palette.STATE.line
        what = f" by {link.text}" if link.text else ""
        arrow = Arrow(source.key, target.key, points, color, 1.8,
                      tooltip=f"{source.label} → {target.label}{what}".replace("\n", " "))
        self.scene.arrows.append(arrow)
        self.arrows.append((arrow, link))
        if link.cut:
            arrow.tooltip += " (cut: no gradient goes back)"
            self.scene.texts.append(mark_cut(arrow))
        told = any(other.target == link.target or (other.source[0], other.target[0], other.text) ==
                   (link.source[0], link.target[0], link.text) for _, other in self.arrows[:-1])
        if link.text and not told:
            self._labels.append((arrow, self._label_places(link, points, color)))

    def _label_places(self, link: Link, points: Sequence[Point], color: str) -> list[Text]:
        """Return where to write what a link computes: beside it between two runs, or at its last, level piece."""
        if self._group_of(link.source) == self._group_of(link.target):
            y = self._foot(link.target) - ABOVE / 2
            return [text_beside(points[-1][0] + side * 6, y, link.text, LABEL, color, side > 0) for side in (1, -1)]
        (x0, y), (x1, _) = points[-4], points[-1]
        return [Text((x0 + x1) / 2, y + side * 9, link.text, LABEL, color) for side in (1, -1)]

    def _route(self, link: Link, source: Box, target: Box) -> list[Point]:
        """Return the way of a link: up to a run above; sideways; or above all frames, and to the left or upper side."""
        first, last = self._group_of(link.source), self._group_of(link.target)
        if first == last:
            return self._route_upward(link, source, target)
        way, enters, leaves = self._way(link, last), self._is_free(link.target, -1), self._is_free(link.source, 1)
        start, end = source.side(self._port(link, source), 1), target.side(target.y, -1)
        if self._is_sideways(link):
            return round_corners([start, (way.x, start[1]), (way.x, end[1]), end], CORNERS)
        if way.track is None:
            way = self._ways[self._brackets[link]] = Way(self._tracks, way.x)
        y = self.top + FIRST + TRACK * (way.track or 0)
        corners, up = self.leave(link.source, source)
        if leaves and isinstance(self.blocks[self.number[link.source[0]]], Row):
            corners, up = [start, (way.x, start[1])], way.x
        past = self._past(link.source, up)
        corners += [*_aside(up, past, self.blocks[self.number[link.source[0]]].top + ASIDE), (past, y)]
        if enters:
            return round_corners([*corners, (way.x, y), (way.x, end[1]), end], CORNERS)
        if isinstance(self.blocks[self.number[link.target[0]]], Row):
            return round_corners([*corners, (end[0] - BESIDE, y), (end[0] - BESIDE, end[1]), end], CORNERS)
        down = self._clear(link.target)
        port = target.x + (SIDE if down > target.x else -SIDE) * target.width
        down = port if abs(down - target.x) < 1 else down
        past = self._past(link.target, down)
        corners += [(past, y), *_aside(past, down, self.blocks[self.number[link.target[0]]].top + ASIDE),
                    *_aside(down, port, target.top + ASIDE)]
        return round_corners([*corners, (port, target.top)], CORNERS)

    def _port(self, link: Link, source: Box) -> float:
        """Return the height at which a link leaves its source sideways: one for each bracket."""
        heights: dict[object, float] = {}
        for other in self.links:
            box = self._box(other.target) if other.source == link.source else None
            if box is not None and self._is_sideways(other):
                heights.setdefault(self._brackets[other], box.y)
        order = sorted(heights, key=heights.__getitem__)
        if self._brackets[link] not in heights:
            return source.y
        return source.y + PORT * (order.index(self._brackets[link]) - (len(order) - 1) / 2)

    def _is_free(self, where: Where, side: int) -> bool:
        """Whether nothing is beside a box in its group: on the left (-1) or on the right."""
        if (where, side) not in self._free:
            own = self._box(where)
            self._free[where, side] = own is not None and not any(
                side * (box.x - own.x) > (box.width + own.width) / 2 - 0.1
                and abs(box.y - own.y) < box.height / 2 + FREE for box in self._boxes(self._group_of(where)))
        return self._free[where, side]

    def _way(self, link: Link, group: int) -> Way:
        """Return the way of a link's bracket, a new one for the first of its links."""
        bracket = self._brackets[link]
        if bracket not in self._ways:
            into = sorted(self._into(group), key=self._is_sideways, reverse=True)  # these turn first
            for number, each in enumerate(dict.fromkeys(self._brackets[other] for other in into)):
                self._ways[each] = Way(None, self._rights[group - 1] + TURN + TRACK * number)
        return self._ways[bracket]

    def _is_sideways(self, link: Link) -> bool:
        """Whether nothing is between the two boxes of a link that are side by side."""
        first, last = self._group_of(link.source), self._group_of(link.target)
        return last == first + 1 and self._is_free(link.source, 1) and self._is_free(link.target, -1)

    @property
    def _tracks(self) -> int:
        """The number of tracks above the frames that are taken."""
        return sum(way.track is not None for way in self._ways.values())

    def _boxes(self, group: int) -> list[Box]:
        return [box for i in self.groups[group] for box in self.blocks[i].scene.boxes]

    def _route_upward(self, link: Link, source: Box, target: Box) -> list[Point]:
        """Return the way of a link to the same step of the run above."""
        top, foot = self.blocks[self.number[link.source[0]]].top, self._foot(link.target)
        corners, up = self.leave(link.source, source)
        return join_curves(round_corners([*corners, (up, top)], CORNERS), vertical_curve((up, top), (target.x, foot)),
                           straight_line((target.x, foot), (target.x, target.bottom)))

    def _past(self, where: Where, x: float) -> float:
        """Return the x nearest to another at which an upright line passes the runs above a box's own."""
        return _clear_of(self._above(self.number[where[0]]), x, CLEAR)

    def _above(self, block: int) -> list[Box]:
        """Return the boxes of the runs above one."""
        return [box for i in self.groups[self.group[block]] if i > block for box in self.blocks[i].scene.boxes]

    def _foot(self, where: Where) -> float:
        block = self.blocks[self.number[where[0]]]
        return 0.0 if isinstance(block, Row) else block.layout.foot

    def leave(self, where: Where, source: Box) -> tuple[list[Point], float]:
        """Return the first corners of a link that goes up, and its x: past all boxes, beside an arrow to the loss."""
        block = self.blocks[self.number[where[0]]]
        if isinstance(block, Row):
            return [source.side(source.y, 1), (source.right + BESIDE, source.y)], source.right + BESIDE
        up, start = self._clear(where), source.x
        if where in block.loss_inputs.signals:
            aside = BESIDE_LOSS if up >= start else -BESIDE_LOSS
            up, start = up + aside, start + aside
        elif abs(up - start) > 1:  # beside the arrows to the boxes above
            start += math.copysign(SIDE * source.width, up - start)
        return [(start, source.top), *_aside(start, up, source.top + ASIDE)], up

    def _clear(self, where: Where) -> float:
        """Return the x at which a line passes all boxes above a box of a step."""
        part, k = where
        box, block = self._box(where), self.blocks[self.number[part]]
        assert box is not None
        if part.once or isinstance(block, Row):
            return box.x
        return block.layout.home(part, k).x + block.layout.steps.clear_x(part, CLEAR)

    # ---- names
    def add_names(self, names: Sequence[str]) -> None:
        """Add the names of the blocks that have one, at their left end; above the links, if nothing is above them."""
        over = self.top + (FIRST + TRACK * (self._tracks - 1) if self._tracks else 0.0)
        for group in self.groups:
            for i in filter(names.__getitem__, group):
                y = over if i == group[-1] else self.blocks[i].top
                left = self.blocks[i].scene.bounds(0)[0]
                self.scene.texts.append(text_beside(left, y + NAME / 2, clean(names[i], 40), SIZE, palette.TEXT))
        self.top = over + NAME

    # ---- margin
    def _loss_sources(self) -> list[tuple[Box, float]]:
        """Return the boxes that the loss reads, each with an x at which an arrow passes all boxes above it."""
        found = []
        for i, block in enumerate(self.blocks):
            if not isinstance(block, Row):
                found += [(box, _clear_of(self._above(i), x)) for box, x in block.loss_sources()[0]]
        return sorted(found, key=itemgetter(1))

    def add_margin(self, parameters: Mapping[str, Tensor], sums: Mapping[str, Any] | None,
                   direct: Sequence[str], layers: Mapping[str, list[str]]) -> dict[str, str]:
        """Add the loss above all runs, the marks of highlighted tensors, and the panels around.

        Args:
            layers: the names of the parameters that are listed together.

        Returns:
            The key of the box in which each parameter is listed.
        """
        labels = self.drawings[-1].labels
        if labels.spec.loss is not None:
            add_loss(self.scene, labels.spec.loss, self._loss_sources(), self.top, labels)
        mark_highlight(self.scene, {key for each in self.drawings for key in each.labels.highlighted(each.boxes)})
        graph = StepGraph(colors={name: palette.parameter(i) for i, name in enumerate(parameters)}, shelf=dict(layers))
        spec = replace(labels.spec, graph=graph, parameters=parameters)
        middle = (min(each.layout.steps.middle for each in self.drawings)
                  + max(each.layout.steps.middle for each in self.drawings)) / 2
        add_panels(self.scene, make_panels(self.drawings, spec, direct, sums), middle, spec.options.ratio,
                   title_height(spec))
        keys, self._parameters = parameter_keys(spec), listed_parameters(spec)
        if direct and spec.options.parameters:
            add_loss_terms(self.scene, direct, keys)
        return keys

    def contents(self) -> dict[str, list[Tensor]]:
        """Return the tensors that each box stands for, by its key: of a fold or a layer, several."""
        found: dict[str, list[Tensor]] = {}
        for drawing in self.drawings:
            found |= drawing.contents()
        return found | self._parameters

    def mark_step(self, step: Step, once: Mapping[Tensor, str]) -> None:
        """Mark a step of a backward pass, and the arrows along which a gradient has passed.

        Args:
            once: the box of each tensor beside the time steps, and of each parameter that the loss reads.
        """
        tensors: Tensors = {}
        boxes: dict[Where, Box] = {}
        for drawing in self.drawings:
            own, places = drawing.places()
            tensors.update(own)
            boxes.update(places)
        between = {x: arrow.target for arrow, link in self.arrows for x in link.between}
        mark_step(self.scene, tensors, boxes, step, between | dict(once))


def _clear_of(boxes: Sequence[Box], x: float, apart: float = 8.0) -> float:
    """Return the x nearest to another at which an upright line passes some boxes."""
    near = [box for box in boxes if box.left - 40 < x < box.right + 40]
    candidates = [x, *(box.x + side * (box.width / 2 + apart) for box in near for side in (-1, 1))]
    free = [each for each in candidates if all(abs(box.x - each) > box.width / 2 + 6 for box in near)]
    return min(free, key=lambda each: (round(abs(each - x), 3), -each))


def move(scene: Scene, dx: float, dy: float, prefix: str) -> None:
    """Move all parts of a scene, and put a prefix on the keys of its boxes."""
    for box in scene.boxes:
        box.key, box.x, box.y = prefix + box.key, box.x + dx, box.y + dy
    for arrow in scene.arrows:
        arrow.source, arrow.target = prefix + arrow.source, prefix + arrow.target
        arrow.points = [(x + dx, y + dy) for x, y in arrow.points]
    for text in scene.texts:
        text.x, text.y = text.x + dx, text.y + dy
    for frame in scene.frames:
        frame.left, frame.right = frame.left + dx, frame.right + dx
        frame.bottom, frame.top = frame.bottom + dy, frame.top + dy


def move_steps(drawing: UnrolledDrawing, dx: float, dy: float, prefix: str) -> None:
    """Move the drawing of a run, and put a prefix on the keys of its boxes."""
    layout = drawing.layout
    move(drawing.scene, dx, dy, prefix)
    for text in (text for _, candidates in drawing.label_candidates for text in candidates):
        text.x, text.y = text.x + dx, text.y + dy
    for column in layout.columns:
        column.left, column.x, column.right = column.left + dx, column.x + dx, column.right + dx
    layout.steps.y = [y + dy for y in layout.steps.y]
    layout.foot, layout.top = layout.foot + dy, layout.top + dy


def _drop_captions(scene: Scene, lower: Scene) -> None:
    """Remove the headings of steps that are below, too."""
    if [frame.caption for frame in scene.frames] == [frame.caption for frame in lower.frames]:
        for frame in scene.frames:
            frame.caption = ""


def _aside(x: float, other: float, y: float) -> list[Point]:
    """Return the corners at which an upright line goes aside."""
    return [(x, y), (other, y)] if abs(x - other) > 1 else []
