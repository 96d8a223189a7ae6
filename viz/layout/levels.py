"""The step graph at each level: signals, operations too, or one box for each layer.

A layer's box stands for its signals and all edges between them. Edges between the same two boxes with the same delay
are one, which tells the signals that it carries: "h, c".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from minigrad import Tensor
from rnn.language.dependencies import nodes
from rnn.language.equations import Definition
from viz.render import palette
from viz.render.fonts import clean

from .grouping import Groups, groups
from .names import Names, prefix
from .step_graph import LEVELS as SMALLER
from .step_graph import Edge, Part, StepGraph, assign_layers, signal_paint, step_graph

LEVELS = (*SMALLER, "layers")


def level_graph(cell: Definition, level: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> StepGraph:
    """Return the step graph of a definition at a level: "signals", "ops" or "layers".

    Args:
        shapes: of signals and statics that data are known of, by name.

    Raises:
        ValueError: for another level; for "layers" of a definition that has none.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}: level='signals' draws signals, level='ops' operations too, "
                         "level='layers' one box for each layer")
    if level != "layers":
        return step_graph(cell, level, shapes)
    found = groups(cell)
    if not has_layers(cell):
        raise ValueError(f"{cell.name!r} has no layers: level='layers' draws signals with a common prefix, as enc.h "
                         "and enc.c, as one box; level='signals' draws these")
    return _collapse(step_graph(cell, "signals", shapes), cell, found)


def has_layers(cell: Definition) -> bool:
    """Whether signals of a definition have a common prefix, so that it can be drawn at level "layers"."""
    found = groups(cell)
    return bool(found.together or found.split)


def rolled_graph(cell: Definition, level: str) -> StepGraph:
    """Return the step graph with a box for each value before or after the sequence that is computed from statics."""
    graph = level_graph(cell, level)
    for start, edges in graph.starts:
        if edges:
            target, step = edges[0].target, start.step
            label = clean(start.signal.name.removeprefix(target.signal)) if target.members else target.label
            part = Part(target.signal, None, 0, f"{label}[{step}]", target.paint, text=repr(start), once=True,
                        shape=target.shape)
            graph.parts.insert(len(graph.once), part)
            graph.edges += [replace(edge, target=part) for edge in edges]
            graph.edges.append(Edge(part, target, 0, (), f"the value of {label} at {step}", starts=True))
    graph.drop_unread()
    assign_layers(graph)
    return graph


def _collapse(graph: StepGraph, cell: Definition, found: Groups) -> StepGraph:
    """Return a step graph of signals with one box for each layer."""
    parts = {part.signal: part for part in graph.parts if not part.once}
    layers: dict[str, Part] = {}
    for name, signals in found.together.items():
        members = [parts[signal.name] for signal in signals]
        if len({part.lead for part in members}) > 1:
            found.split[name] = "its equations define different steps"
            continue
        layers[name] = Part(name, None, members[0].lead, clean(name[:-1]), palette.OUTPUT, members=members,
                            text="; ".join(part.text for part in members))
    home = {part: layer for layer in layers.values() for part in layer.members}
    edges = _merged(graph.edges, home)
    for layer in layers.values():
        layer.paint = signal_paint(False, [edge.delay for edge in edges if edge.source is layer])
        layer.outputs = _outputs(layer, graph.edges)
    collapsed = StepGraph(
        list(dict.fromkeys(home.get(part, part) for part in graph.parts)), edges, graph.colors,
        [(start, _merged(own, home)) for start, own in graph.starts], split=found.split,
        shelf=_only_users(cell, layers))
    assign_layers(collapsed)
    return collapsed


def _merged(edges: Iterable[Edge], home: Mapping[Part, Part]) -> list[Edge]:
    """Return the edges between boxes: one for all that have the same ends and delay, none within a box and a step."""
    together: dict[tuple[Part, Part, int], list[Edge]] = {}
    for edge in edges:
        source, target = home.get(edge.source, edge.source), home.get(edge.target, edge.target)
        if source is not target or edge.delay:
            together.setdefault((source, target, edge.delay), []).append(edge)
    return [_merge(source, target, delay, own) for (source, target, delay), own in together.items()]


def _merge(source: Part, target: Part, delay: int, edges: Sequence[Edge]) -> Edge:
    if not source.members and not target.members:
        return edges[0]
    carried = dict.fromkeys(edge.source.signal.removeprefix(source.signal) for edge in edges if source.members)
    names = dict.fromkeys(name for edge in edges for name in edge.names)
    factors = dict.fromkeys(factor for edge in edges for factor in edge.factors if not target.members)
    return Edge(source, target, delay, list(names), ", ".join(edge.text for edge in edges), list(factors),
                carried=list(carried), merged=edges)


def _outputs(layer: Part, edges: Iterable[Edge]) -> list[Part]:
    """Return the signals of a layer that are read outside it or at other steps, or that none reads."""
    outside = {edge.source for edge in edges if edge.target not in layer.members or edge.delay}
    read = {edge.source for edge in edges}
    return [part for part in layer.members if part in outside or part not in read]


def _only_users(cell: Definition, layers: Mapping[str, Part]) -> dict[str, list[str]]:
    """Return, by a layer's label, the names of the parameters that no equation outside it uses."""
    names = Names(cell).parameters
    users: dict[str, set[str]] = {}
    for equation in cell.equations:
        layer = prefix(equation.signal.name)
        for x in nodes([equation.expression]):
            if isinstance(x, Tensor) and x in names:
                users.setdefault(names[x], set()).add(layer if layer in layers else "")
    found: dict[str, list[str]] = {}
    for name, own in users.items():
        if len(own) == 1 and "" not in own:
            found.setdefault(layers[min(own)].label, []).append(name)
    return found


def parameter_rows(shelf: Mapping[str, Collection[str]], names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return the rows of a list of parameters: one for all of a layer, with its label; one without for each other."""
    layer_of = {name: label for label, own in shelf.items() for name in own}
    rows: dict[tuple[str, str], list[str]] = {}
    for name in names:
        rows.setdefault((layer_of[name], "") if name in layer_of else ("", name), []).append(name)
    return [(label if len(own) > 1 else "", own) for (label, _), own in rows.items()]
