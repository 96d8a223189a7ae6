"""`viz.graph`: the graph of a tensor, laid out by Graphviz."""

from __future__ import annotations

from collections.abc import Collection

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.formats.norms import norm
from viz.annotations.labels import nonfinite, numbers
from viz.render import palette
from viz.render.digraph import Picture, literal
from viz.render.fonts import FAMILY, LINE, clean, text_width
from viz.render.scene import CORNER

FONT_SIZE = 11
MAX_NODES = 2000  # Graphviz needs minutes for more, and the picture is unreadable
FIELDS = ("name", "operation", "shape", "data", "gradient", "line")


def graph(tensor: Tensor, show: Collection[str] = ("name", "operation", "shape", "gradient"), *,
          most: int = MAX_NODES, dark: bool = False, highlight: Collection[Tensor] = ()) -> Picture:
    """Draw the graph of a tensor: leaves at the bottom, the tensor at the top.

    Args:
        tensor: any tensor.
        show: the lines in each box: some of "name", "operation", "shape", "data", "gradient" and "line". A
            scalar is shown as its value.
        most: the largest number of tensors to draw.
        dark: light lines on a dark background.
        highlight: tensors to mark with a thick outline.

    Raises:
        ValueError: if there are more tensors than `most`; for an unknown word in `show`, or a tensor in
            `highlight` that isn't in the graph.
    """
    marked = {highlight} if isinstance(highlight, Tensor) else set(highlight)
    unknown = [word for word in show if word not in FIELDS] if not isinstance(show, str) else [show]
    if unknown:
        raise ValueError(f"show={show!r}: {', '.join(map(repr, unknown))} can't be shown. Choose some of "
                         f"{', '.join(map(repr, FIELDS))} in a list")
    nodes = drawable(tensor, most)
    keys = {node: f"n{number}" for number, node in enumerate(nodes)}
    if missing := marked - set(nodes):
        raise ValueError(f"highlight= takes tensors of this graph; not in it: {', '.join(map(repr, missing))}")
    drawn = empty(dark)
    for node in nodes:
        paint, pen = _paint(node, tensor), 1.4
        if node in marked:
            paint, pen = palette.Paint(palette.BACKWARD, paint.fill), 4.0
        add_node(drawn, keys[node], node, label(node, show), paint, dark, pen)
    for node in nodes:
        for x in node.inputs:
            drawn.edge(keys[x], keys[node])
    return drawn


def empty(dark: bool) -> Picture:
    """Return a picture without nodes, which Graphviz will lay out."""
    background, text, arrow = "#FFFFFF", palette.TEXT, palette.ARROW
    if dark:
        background, text, arrow = map(palette.dark, (background, text, arrow))
    return Picture("graph", graph_attr={"rankdir": "BT", "bgcolor": background, "fontname": FAMILY,
                                         "ranksep": "0.333333"},
                   node_attr={"fontname": FAMILY, "fontsize": f"{FONT_SIZE}", "fontcolor": text, "shape": "box",
                              "fixedsize": "true"},
                   edge_attr={"fontname": FAMILY, "arrowsize": "0.7", "color": arrow})


def add_node(drawn: Picture, key: str, node: Tensor, text: str, paint: palette.Paint, dark: bool, pen: float = 1.4,
             style: str = "") -> None:
    """Add the box of a tensor; a parameter has sharp corners, unless a style is given.

    The size is computed here and rounded to whole points, because versions of Graphviz differ in both.
    """
    width = 2 * round(max(text_width(text, FONT_SIZE) * CORNER + 18, 46) / 2)
    height = 2 * round(((text.count("\n") + 1) * FONT_SIZE * LINE + 10) / 2)
    if dark:
        paint = paint.dark()
    style = style or ("filled" if node.op is None and node.requires_grad else "filled,rounded")
    drawn.node(key, label=literal(text), tooltip=literal(f"{node!r} {numbers(node)}"), fillcolor=paint.fill,
               color=paint.line, penwidth=f"{pen:g}", style=style, width=f"{width / 72:.6f}",
               height=f"{height / 72:.6f}")


def drawable(tensor: Tensor, most: int) -> list[Tensor]:
    """Return a tensor and all tensors it was computed from, oldest first; ValueError if they are more than `most`."""
    nodes = ancestors(tensor, most)
    if len(nodes) > most:
        raise ValueError(f"{tensor!r} was computed from more than {most:,} tensors: too many for a picture. "
                         "Draw an earlier one, or the run with viz.unrolled")
    return nodes


def label(node: Tensor, show: Collection[str]) -> str:
    """Return the lines of a box, in the order of FIELDS."""
    lines = []
    if "name" in show and node.label:
        lines.append(clean(node.label))
    if "operation" in show and node.op is not None:
        lines.append(clean(repr(node.op).removesuffix("()"), 40))
    if "shape" in show:
        lines.append(str(node.shape) if node.size != 1 else f"{node.item():.4g}")
    if "data" in show and (node.size != 1 or "shape" not in show):
        lines.append(numbers(node))
    if node.size != 1 and nonfinite(node):
        lines.append(nonfinite(node))
    if "gradient" in show and node.grad is not None:
        lines.append(f"|g| {norm(node.grad):.1e}")
    if "line" in show:
        lines.append(clean(str(node.origin), 40))
    return "\n".join(lines) or "·"


def _paint(node: Tensor, tensor: Tensor) -> palette.Paint:
    if nonfinite(node):
        return palette.BAD
    if node is tensor:
        return palette.LOSS
    if node.op is None:
        return palette.Paint(palette.PARAMETERS[0], palette.SHELF) if node.requires_grad else palette.CONSTANT
    return palette.STATE if node.label else palette.OUTPUT
