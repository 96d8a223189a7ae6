"""The mark of an edge through which no gradient passes."""

from __future__ import annotations

from viz.render import palette
from viz.render.scene import Arrow, Text, sample_curve


def mark_cut(arrow: Arrow, fraction: float = 0.5, samples: int = 48, pen: float = 1.4) -> Text:
    """Draw an arrow as one through which no gradient passes; return the scissors."""
    arrow.color, arrow.pen, arrow.dashed, arrow.dotted = palette.CUT, pen, True, False
    points = sample_curve(arrow.points, samples)
    x, y = points[int(len(points) * fraction)]
    return Text(x, y + 9, "✂", 13, palette.QUIET)
