"""The difference of the graphs of two tensors, laid out as `viz.graph` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from minigrad import Tensor
from minigrad.formats.describe import tensor_name
from viz.layout.blocks import block_keys
from viz.layout.options import Options
from viz.render import palette
from viz.render.fonts import clean
from viz.render.scene import Scene

from .difference import (
    APPEARANCE,
    CHANGED,
    EXTRA,
    MISSING,
    SAME,
    differ,
    paint_arrow,
    paint_box,
    state_of,
    write_caption,
)
from .graph import MAX_NODES, PLAIN, GraphDrawing, drawable, label

SHOWN = "name", "operation", "shape"
Connection = tuple[Tensor, Tensor, int]  # source, target, position among the target's inputs


def draw_tensors(a: Tensor, b: Tensor, values: bool, options: Options) -> Scene:
    """Return the union of two tensors' graphs."""
    drawing = _UnionDrawing(_Union(drawable(a, MAX_NODES), drawable(b, MAX_NODES), values))
    scene, union = drawing.draw_tensors(), drawing.union
    for box, state in zip(scene.boxes, union.states.values()):
        paint_box(box, state)
    for arrow, state in zip(scene.arrows, union.edges.values()):
        paint_arrow(arrow, state)
    title = " → ".join(clean(tensor_name(tensor), 40) for tensor in (a, b))
    write_caption(scene, title, union.states.values(), union.edges.values(), options)
    return scene


class _Union:
    """The union of two graphs of tensors.

    Attributes:
        first: for each tensor of the second graph that matches one of the first, that one.
        states: of all tensors, oldest first: those of the second graph, and those that only the first has.
        edges: the states of all edges.
        inputs: of each tensor, in the union.
    """

    def __init__(self, old: Sequence[Tensor], new: Sequence[Tensor], values: bool) -> None:
        self.first = _match_tensors(old, new)
        order = self._join(old, new)
        while isinstance(order, CycleError):  # the two compute some tensors in opposite order: these are different
            for node in order.args[1]:
                self.first.pop(node, None)
            order = self._join(old, new)
        second = set(new)
        self.states = {node: state_of(node in self.first or node not in second, node in second,
                                      node in self.first and _changed(self.first[node], node, values))
                       for node in order}

    def _join(self, old: Sequence[Tensor], new: Sequence[Tensor]) -> list[Tensor] | CycleError:
        """Set edges and inputs; return all tensors in an order of computation, or the cycle that they form."""
        joined = {before: node for node, before in self.first.items()}
        self.edges: dict[Connection, str] = dict.fromkeys(_edges(new, {}), EXTRA)
        for ends in _edges(old, joined):
            self.edges[ends] = SAME if ends in self.edges else MISSING
        self.inputs: dict[Tensor, list[Tensor]] = {joined.get(node, node): [] for node in (*new, *old)}
        for source, target, _ in self.edges:
            self.inputs[target].append(source)
        try:
            return list(TopologicalSorter(self.inputs).static_order())
        except CycleError as error:
            return error


class _UnionDrawing(GraphDrawing):
    """The scene of a union: every tensor has a box, since each may differ."""

    def __init__(self, union: _Union) -> None:
        self.union, self.show, self.marked, self.options = union, SHOWN, set[Tensor](), PLAIN
        self.keys = block_keys({node: union.inputs[node] for node in union.states})
        self.shared, self.written = dict[Tensor, palette.Paint](), dict[Tensor, str]()
        self.boxes = {node: number for number, node in enumerate(union.states)}
        self.edges = [(self.boxes[source], self.boxes[target]) for source, target, _ in union.edges]

    def _label(self, node: Tensor) -> str:
        text, before = label(node, SHOWN), self.union.first.get(node)
        if before is None or self.union.states[node] != CHANGED or label(before, SHOWN) == text:
            return text
        return f"{label(before, SHOWN)}\n→\n{text}"

    def _paint(self, node: Tensor) -> tuple[palette.Paint, float, bool]:
        return *APPEARANCE[self.union.states[node]], True


def _match_tensors(old: Sequence[Tensor], new: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """Match tensors of the second graph with tensors of the first, in three passes, and return {new: old}.

    Tensors match if they have the same unique name; else if they are the same operations on the same leaves;
    else if they are the same input of two tensors that match.
    """
    ids: dict[Any, int] = {}
    first: dict[Tensor, Tensor] = {}
    _match_by_key(first, _unique_names(old), _unique_names(new))
    _match_by_key(first, _structure_ids(old, ids), _structure_ids(new, ids))
    matched = set(first.values())
    if new[-1] not in first and old[-1] not in matched:
        first[new[-1]] = old[-1]
        matched.add(old[-1])
    for node in reversed(new):  # users before their inputs
        before = first.get(node)
        if before is None or len(node.inputs) != len(before.inputs):
            continue
        for x, y in zip(node.inputs, before.inputs):
            if x not in first and y not in matched and len(x.inputs) == len(y.inputs):
                first[x] = y
                matched.add(y)
    return first


def _match_by_key(first: dict[Tensor, Tensor], old: Mapping[Tensor, Any], new: Mapping[Tensor, Any]) -> None:
    """Add to `first` the tensors that have equal keys and no match yet, in the order of the graphs."""
    matched = set(first.values())
    unmatched: dict[Any, list[Tensor]] = {}
    for node, key in old.items():
        if node not in matched:
            unmatched.setdefault(key, []).append(node)
    for node, key in new.items():
        if node not in first and unmatched.get(key):
            first[node] = unmatched[key].pop(0)


def _unique_names(graph: Sequence[Tensor]) -> dict[Tensor, str]:
    """Return the tensors whose name is unique in a graph, and that name."""
    counts = Counter(node.label for node in graph)
    return {node: node.label for node in graph if node.label and counts[node.label] == 1}


def _structure_ids(graph: Sequence[Tensor], ids: dict[Any, int]) -> dict[Tensor, int]:
    """Return a number for each tensor, equal for the same operations on the same leaves."""
    found: dict[Tensor, int] = {}
    for node in graph:
        key = node.label, node.shape, repr(node.op), tuple(found[x] for x in node.inputs)
        found[node] = ids.setdefault(key, len(ids))
    return found


def _changed(a: Tensor, b: Tensor, values: bool) -> bool:
    return (a.label, repr(a.op)) != (b.label, repr(b.op)) or differ(a, b, values)


def _edges(graph: Sequence[Tensor], joined: Mapping[Tensor, Tensor]) -> list[Connection]:
    """Return the edges of a graph, with the tensors that those of it are joined with."""
    return [(joined.get(x, x), joined.get(node, node), i) for node in graph for i, x in enumerate(node.inputs)]
