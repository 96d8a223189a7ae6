"""A scene as SVG for a web page: boxes and gradient arrows have ids, colours have a variant for a dark background.

Graphviz isn't needed, as a page has only rectangles, curves and texts; and the same scene gives the
same bytes everywhere. No style attributes are used, so that the page's security policy can forbid them.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from viz.annotations.current_step import gradient_arrow
from viz.render import palette
from viz.render.digraph import THICKER, format_number
from viz.render.scene import Arrow, Box, Frame, Point, Scene, move_toward
from viz.render.typography import in_order

HEAD, HALF_WIDTH = 7.0, 2.6  # length and half the width of an arrowhead
DASHES = {"dashed": "4 3", "dotted": "1.5 2.5"}
# Strokes over a box whose gradient is exactly zero: a grey would be that of a value when it is printed.
HATCH = ('<defs><pattern id="zero" class="hatch" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" '
         'height="6"/><path d="M-1,1L1,-1M0,6L6,0M5,7L7,5"/></pattern></defs>')


class Drawing:
    """A scene as SVG.

    Args:
        scene: what to draw.
        links: for arrows with a gradient, by the keys of both boxes: the name of the gradient arrow.

    Attributes:
        text: the SVG element. A box is a group of class `box` with the id `box-KEY`; a gradient arrow is a
            group of class `back` with the id `back-NAME`.
        style: CSS rules for its colours, on a light and on a dark background.
        width, height: in points.
    """

    def __init__(self, scene: Scene, links: Mapping[tuple[str, str], str]) -> None:
        left, bottom, right, self.top = scene.bounds()
        self.left = left
        self.width, self.height = right - left, self.top - bottom
        self._classes: dict[tuple[str, str], str] = {}
        parts = [self._frame(frame) for frame in scene.frames]
        parts += [self._arrow(arrow) for arrow in scene.arrows]
        parts += [self._linked(gradient_arrow(arrow), links[arrow.source, arrow.target]) for arrow in scene.arrows
                  if (arrow.source, arrow.target) in links]
        parts += [self._box(box) for box in scene.boxes]
        parts += [self._text(text.text, text.x, text.y, text.size, text.color) for text in scene.texts]
        size = f"{format_number(self.width)} {format_number(self.height)}"
        head = f'<svg viewBox="0 0 {size}" role="img" aria-label="{escape(scene.alt or "the graph")}">'
        self.text = "\n".join([head, HATCH, *parts, "</svg>"])
        self.style = "\n".join(self._rules())

    def _class(self, kind: str, color: str) -> str:
        """Return the CSS class for a colour of a line ("l"), a fill ("g") or a text ("t")."""
        return self._classes.setdefault((kind, color), f"{kind}{len(self._classes)}")

    def _rules(self) -> list[str]:
        rules = []
        for (kind, color), name in self._classes.items():
            attribute = "stroke" if kind == "l" else "fill"
            dark = palette.dark(color, ground=kind == "g")
            rules.append(f".{name}{{{attribute}:light-dark({color},{dark})}}")
        return rules

    # ---- parts
    def _frame(self, frame: Frame) -> str:
        classes = f'frame {self._class("l", frame.paint.line)} {self._class("g", frame.paint.fill)}'
        dashes = ' stroke-dasharray="5 3"' if frame.dashed else ""
        x, y = self._at((frame.left, frame.top))
        caption = self._text(frame.caption, (frame.left + frame.right) / 2, frame.bottom + 10, 11, frame.color)
        return (f'<rect class="{classes}" x="{x}" y="{y}" width="{format_number(frame.right - frame.left)}" '
                f'height="{format_number(frame.top - frame.bottom)}" rx="9"{dashes}/>{caption}')

    def _box(self, box: Box) -> str:
        classes = f'{self._class("l", box.paint.line)} {self._class("g", box.paint.fill)}'
        style = "dashed" if box.dashed else box.paint.style
        dashes = f' stroke-dasharray="{DASHES[style]}"' if style in DASHES else ""
        pen = box.pen + THICKER * (style == "thick")
        x, y = self._at((box.left, box.top))
        size = f'width="{format_number(box.width)}" height="{format_number(box.height)}"'
        corner = box.width / 2 if box.circle else 8 if box.rounded else 1
        shape = (f'<rect class="{classes}" x="{x}" y="{y}" {size} rx="{format_number(corner)}" '
                 f'stroke-width="{format_number(pen)}"{dashes}/>')
        return f'<g class="box" id="box-{box.key}">{shape}{self._label(box)}</g>'

    def _label(self, box: Box) -> str:
        """Return the name of a box and, smaller below it, its operation."""
        name, _, operation = box.label.partition("\n")
        if not operation:
            return self._text(name, box.x, box.y, box.size, box.color)
        return (self._text(name, box.x, box.y + 4.5, box.size, box.color)
                + self._text(operation, box.x, box.y - 7.5, 8.5, palette.QUIET))

    def _arrow(self, arrow: Arrow) -> str:
        dashes = ' stroke-dasharray="5 3"' if arrow.dashed else ""
        line = (f'<path class="line {self._class("l", arrow.color)}" d="{self._curve(arrow)}" '
                f'stroke-width="{format_number(arrow.pen)}"{dashes}/>')
        return line + f'<path class="{self._class("t", arrow.color)}" d="{self._head(arrow)}"/>'

    def _linked(self, arrow: Arrow, name: str) -> str:
        return (f'<g class="back" id="back-{name}"><path class="line" d="{self._curve(arrow)}"/>'
                f'<path class="tip" d="{self._head(arrow)}"/></g>')

    def _curve(self, arrow: Arrow) -> str:
        points = list(arrow.points)
        points[-1] = move_toward(points[-1], points[-2], HEAD - 1)
        numbers = [" ".join(self._at(point)) for point in points]
        return f"M{numbers[0]}C{' '.join(numbers[1:])}"

    def _head(self, arrow: Arrow) -> str:
        (x, y), near = arrow.points[-1], arrow.points[-2]
        base = move_toward((x, y), near, HEAD)
        dx, dy = (x - base[0]) / HEAD * HALF_WIDTH, (y - base[1]) / HEAD * HALF_WIDTH
        corners = [(x, y), (base[0] - dy, base[1] + dx), (base[0] + dy, base[1] - dx)]
        return "M" + "L".join(" ".join(self._at(corner)) for corner in corners) + "Z"

    def _text(self, text: str, x: float, y: float, size: float, color: str) -> str:
        at = self._at((x, y - size * 0.36))
        return (f'<text class="{self._class("t", color)}" x="{at[0]}" y="{at[1]}" '
                f'font-size="{format_number(size)}">{escape(in_order(text))}</text>')

    def _at(self, point: Point) -> tuple[str, str]:
        return format_number(point[0] - self.left), format_number(self.top - point[1])
