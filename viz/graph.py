"""Any tensor's graph as a picture: operations and the tensors between them, laid out by Graphviz."""

from __future__ import annotations

import numpy as np

from minigrad import Tensor

from . import palette
from .dot import Picture, literal
from .fonts import FAMILY, clean
from .palette import Paint

MANY = 2000  # nodes; Graphviz needs minutes for more, and nobody can read them


def graph(tensor: Tensor) -> Picture:
    """Draw what a tensor was computed from: leaves at the foot, the tensor on top.

    Raises:
        ValueError: where there are more than two thousand nodes; says what to do.
    """
    nodes = _ancestors(tensor)
    keys = {node: f"n{number}" for number, node in enumerate(nodes)}
    drawn = Picture("graph", graph_attr={"rankdir": "BT", "bgcolor": "white", "fontname": FAMILY, "ranksep": "0.35"},
                    node_attr={"fontname": FAMILY, "fontsize": "11", "fontcolor": palette.TEXT, "shape": "box"},
                    edge_attr={"fontname": FAMILY, "arrowsize": "0.7", "color": palette.ARROW})
    for node in nodes:
        paint = _paint(node, tensor)
        drawn.node(keys[node], label=literal(_label(node)), tooltip=literal(repr(node)), fillcolor=paint.fill,
                   color=paint.line, style="filled" if node.op is None and node.requires_grad else "filled,rounded",
                   penwidth="1.4")
    for node in nodes:
        for x in node.inputs:
            drawn.edge(keys[x], keys[node])
    return drawn


def _ancestors(tensor: Tensor) -> list[Tensor]:
    """The tensor and all that it was computed from, oldest first."""
    seen = {tensor}
    stack = [tensor]
    while stack:
        for x in stack.pop().inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
        if len(seen) > MANY:
            raise ValueError(f"{tensor!r} was computed from more than {MANY:,} tensors: too many for a picture. "
                             "Draw an earlier one, or the run with viz.unrolled")
    return sorted(seen, key=_order)


def _order(node: Tensor) -> int:
    return node.order


def _label(node: Tensor) -> str:
    lines = [clean(node.label)] if node.label else []
    if node.op is not None:
        lines.append(clean(repr(node.op).removesuffix("()"), 40))
    if node.size == 1:
        lines.append(f"{node.item():.4g}")
    else:
        lines.append(str(node.shape))
        if not np.isfinite(node.numpy()).all():
            lines.append("NaN" if np.isnan(node.numpy()).any() else "Inf")
    if node.grad is not None:
        lines.append(f"|g| {np.linalg.norm(node.grad):.1e}")
    return "\n".join(lines)


def _paint(node: Tensor, tensor: Tensor) -> Paint:
    if not np.isfinite(node.numpy()).all():
        return palette.BAD
    if node is tensor:
        return palette.LOSS
    if node.op is None:
        return Paint(palette.PARAMETERS[0], palette.SHELF) if node.requires_grad else palette.CONSTANT
    return palette.STATE if node.label else palette.OUTPUT
