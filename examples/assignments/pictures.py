"""The graph of an assignment, with the wrong edge in red."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnn import Run
from viz import Picture
from viz.layout.step_graph import Part
from viz.layout.step_layout import power
from viz.pictures.unrolled_drawing import UnrolledDrawing, unrolled_spec
from viz.render import palette
from viz.render.digraph import literal, picture
from viz.render.fonts import FAMILY, text_width
from viz.render.scene import CORNER, Arrow, Text, horizontal_curve

from .grading import Finding
from .naming import Edge

PEN = 3.6
LINE = 90  # letters


def of_run(run: Run, finding: Finding) -> Picture:
    """Draw an unrolled definition: wrong edges red, all others grey, superfluous edges red and dashed."""
    drawing = UnrolledDrawing(unrolled_spec(run, range(1, run.T + 1))).draw()
    scene = drawing.scene
    boxes = {label(part, k): box for (part, k), box in drawing.boxes.items() if part.node is None}
    guilty = {edge for edge in (finding.edge, *finding.more) if edge is not None}
    for arrow in scene.arrows:
        arrow.color = palette.SAME.line
    for arrow, edge, k in drawing.arrows:
        if arrow.label is not None and arrow.label.text.endswith(power(edge.delay)):  # the course writes no delay so
            arrow.label = None
        if (label(edge.source, k - edge.delay), label(edge.target, k)) in guilty:
            arrow.color, arrow.pen = palette.ALARM, PEN
            scene.arrows.append(scene.arrows.pop(scene.arrows.index(arrow)))  # above all others
    for source, target in finding.extra:
        if source in boxes and target in boxes:
            start, end = boxes[source], boxes[target]
            scene.arrows.append(Arrow(start.key, end.key, horizontal_curve((start.right, start.y), (end.left, end.y)),
                                      palette.ALARM, PEN, dashed=True))
    left, _, right, top = scene.bounds(0)
    lines = wrapped(finding.cause) + ["(dashed: edges that should not be there)"] * bool(finding.extra)
    scene.texts.append(Text((left + right) / 2, top + 14 + 7 * len(lines), "\n".join(lines), 12, palette.ALARM))
    return picture(scene)


def label(part: Part, k: int) -> str:
    """Return a copy's name as findings write it."""
    return f"{part.signal}[{k}]"


def of_edges(edges: Iterable[Edge], finding: Finding) -> Picture:
    """Draw any small graph, laid out by Graphviz, from the labels of boxes and the arrows between them."""
    drawn = Picture("graph", graph_attr={"rankdir": "BT", "bgcolor": "#FFFFFF", "fontname": FAMILY,
                                         "ranksep": "0.333333"},
                    node_attr={"fontname": FAMILY, "fontsize": "11", "fontcolor": palette.TEXT, "shape": "box",
                               "fixedsize": "true"},
                    edge_attr={"fontname": FAMILY, "arrowsize": "0.7", "color": palette.ARROW})
    drawn.attr(label=literal("\n".join(wrapped(finding.cause))), labelloc="t", fontsize="12", fontcolor=palette.ALARM)
    every = list(edges)
    names = list(dict.fromkeys(name for edge in [*every, *finding.extra] for name in edge))
    for number, name in enumerate(names):
        width = max(text_width(name, 11) * CORNER + 18, 46)
        drawn.node(f"n{number}", label=literal(name), width=f"{width / 72:.4f}", height="0.36", style="filled,rounded",
                   fillcolor=palette.OUTPUT.fill, color=palette.OUTPUT.line)
    keys = {name: f"n{number}" for number, name in enumerate(names)}
    guilty = {finding.edge, *finding.more}
    for source, target in [*every, *finding.extra]:
        red = (source, target) in guilty or (source, target) in finding.extra
        drawn.edge(keys[source], keys[target], color=palette.ALARM if red else palette.ARROW,
                   penwidth=f"{PEN if red else 1.2:g}",
                   style="dashed" if (source, target) in finding.extra else "solid")
    return drawn


def wrapped(text: str) -> list[str]:
    """Return a sentence broken into lines that fit above a picture."""
    lines = [""]
    for word in re.split(r"\s+", text):
        if len(lines[-1]) + len(word) > LINE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
