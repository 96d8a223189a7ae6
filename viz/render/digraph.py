"""A scene as DOT text: a graphviz.Digraph that also renders where no `dot` is installed.

The positions come from the scene: Graphviz only paints them (`layout=nop2`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import graphviz

from minigrad.formats.files import write_atomically
from minigrad.interactive.pictures import SVG, Bundle, image

from . import palette
from .document import finish
from .fonts import FAMILY, LINE, text_width
from .patterns import Pattern, pattern_lines
from .rasterize import VECTOR, paint
from .scene import CORNER, Arrow, Box, Frame, Scene, Text, move_toward, straight_line
from .typography import aligned, check_notation, in_order, printable, quoted, room, with_colors, with_subscripts

DPI = 110  # default resolution of a PNG, for slides
LEAST_DPI = 50  # of a large picture
MAX_PIXELS = 30_000  # in length: Graphviz scales a larger canvas down, and its text becomes unreadable
LARGE = 25_000_000  # pixels of a picture that is painted at a lower resolution, unless one is given
MAX_AREA = 150_000_000  # pixels: 4 bytes each, twice
MAX_PAGE = 14_400  # points, of a PDF page (PDF Reference, implementation limits)
NARROW = 450  # width in points of a picture that fits into any notebook's column
HEAD = 7.0  # length of an arrowhead, in points
INDENT = 7.92  # from the side of a box to a label that begins there
PAINTED = ("png", "svg", "pdf", "jpg", "jpeg", "gif", "webp", "eps", "ps")  # suffixes of pictures, not of DOT text
THICKER = 2.0  # a thick outline than another


class Picture(graphviz.Digraph):
    """A drawing with the interface of graphviz.Digraph: `.source`, `.render(outfile=...)`, `.pipe()`, notebooks.

    Painting needs pygraphviz or the program `dot`; `.source` needs neither. An attribute of the graph is set as in
    graphviz: `picture.attr(bgcolor="transparent")`.

    Attributes:
        title: the picture's title, which an SVG and a PDF have.
        alt: the picture in words, for those who can't see it: the description in an SVG, and the alternative text of
            the image in a notebook. It may be replaced.
    """

    title = ""
    alt = ""

    def copy(self) -> Picture:
        """Return a copy with the same title and text."""
        copied: Picture = super().copy()
        copied.title, copied.alt = self.title, self.alt
        return copied

    def render(self, filename: Any = None, directory: Any = None, *, outfile: Any = None,
               format: str | None = None, dpi: int | None = None, **options: Any) -> str:
        """Write the picture to a file, in the format of its suffix (outfile="h.svg").

        Args:
            outfile: the file to write, atomically.
            format: "png", "svg", "pdf", ...; by default the suffix of outfile.
            dpi: dots per inch of a PNG; by default 110, and fewer for a large picture.
            filename, directory, options: as in graphviz.Digraph.render, which also writes the DOT text to
                `filename` and the picture next to it. A name that ends in a format, "h.png", is that of the picture,
                as `outfile` is.

        Returns:
            The path of the picture.

        Raises:
            OSError: if the file can't be written.
            ValueError: if the picture is too large for the format.
            PaintError: if the picture can't be painted.
        """
        if outfile is None and filename is not None and _suffix(filename) in PAINTED:
            other = [*options, *(["format"] if format not in (None, _suffix(filename)) else [])]
            if other:
                raise ValueError(f"{str(filename)!r} names a picture, which {' and '.join(other)} can't change: "
                                 f"write render(outfile={str(filename)!r}), or a filename that ends in no format")
            outfile = Path(directory or "", filename)
        if outfile is None:
            return super().render(filename, directory=directory, format=format, **options)
        path = Path(outfile)
        kind = format or path.suffix.lstrip(".")
        if not kind:
            raise ValueError(f"the name {str(path)!r} doesn't end in a format: e.g. {path.name}.png, .svg or .pdf")
        write_atomically(path, self._painted(kind, dpi))
        return str(path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **options: Any) -> Bundle:
        """Return what a notebook shows: never wider than its column."""
        forms: Bundle = super()._repr_mimebundle_(include, exclude, **options)
        left, _, right, _ = self._bounds()
        if SVG in forms and include is None and right - left > NARROW:
            forms["text/markdown"] = image(forms[SVG], self._text())
        return forms

    def _repr_image_svg_xml(self) -> str:
        return fit_column(self._painted("svg").decode())

    def _text(self) -> str:
        """Return title and text in one."""
        return ". ".join(filter(None, [self.title, self.alt])) or f"picture of {self.name}"

    def __repr__(self) -> str:
        left, bottom, right, top = self._bounds()
        size = f"{right - left:.0f} x {top - bottom:.0f} points"
        return f"<Picture {self.name!r}, {size}: .render(outfile=...) writes it>"

    def _bounds(self) -> tuple[float, ...]:
        """Return the left, lower, right and upper bound, in points."""
        return tuple(map(float, self.graph_attr.get("bb", "0,0,0,0").split(",")))

    def pipe_at(self, format: str, dpi: int) -> bytes:
        """Return the bytes of the picture in a format; a PNG has `dpi` dots per inch."""
        return self._painted(format, dpi)

    def _painted(self, format: str, dpi: int | None = None) -> bytes:
        if format in ("dot", "gv"):
            return self.source.encode()
        left, bottom, right, top = self._bounds()
        size = right - left, top - bottom
        if dpi is None:
            dpi = default_dpi(*size)
        check_size(*size, format, dpi)
        return finish(paint(self.source, format, dpi), format, self.title or str(self.name), self.alt)

    # The three methods through which the graphviz package runs `dot`; overridden to call paint().
    def _pipe_lines(self, engine: str, format: str, input_lines: Any, **options: Any) -> bytes:
        return self._painted(format)

    def _pipe_lines_string(self, engine: str, format: str, input_lines: Any, *, encoding: str, **options: Any) -> str:
        return self._painted(format).decode(encoding)

    def _render(self, engine: str, format: str, filepath: Any, *args: Any, **options: Any) -> str:
        path = Path(f"{filepath}.{format}")
        write_atomically(path, self._painted(format))
        return str(path)


def _suffix(filename: Any) -> str:
    return Path(filename).suffix.lstrip(".").lower()


def fit_column(svg: str) -> str:
    """Return an SVG that is shown in its own size, or smaller where the column of a page is narrower."""
    return re.sub(r'<svg width="(\d+)pt" height="(\d+)pt"',
                  r'<svg width="\1pt" height="\2pt" style="max-width: 100%; height: auto"', svg, count=1)


def default_dpi(width: float, height: float) -> int:
    """Return the resolution of a picture of a size in points: lower for a large one."""
    area = max(width * height, 1.0) / 72 ** 2
    return min(DPI, max(LEAST_DPI, int(math.sqrt(LARGE / area))))


def check_size(width: float, height: float, format: str, dpi: int) -> None:
    """Check that a picture of a size in points isn't too large for a format.

    Raises:
        ValueError: if it would be unreadable, or need too much memory.
    """
    kind = format.lower().partition(":")[0]
    if kind in VECTOR:
        return
    pixels = [side * dpi / 72 for side in (width, height)]
    if kind == "pdf":
        problem = f"{max(width, height):,.0f} points long, more than the {MAX_PAGE:,} of a page" \
            if max(width, height) > MAX_PAGE else ""
    elif max(pixels) > MAX_PIXELS:
        problem = f"{max(pixels):,.0f} pixels long, more than the {MAX_PIXELS:,} that stay readable"
    else:
        problem = f"{pixels[0]:,.0f} x {pixels[1]:,.0f} pixels, and need {8e-9 * math.prod(pixels):.1f} GB of memory" \
            if math.prod(pixels) > MAX_AREA else ""
    if problem:
        raise ValueError(f"the picture would be {problem}: draw less of it (fewer steps, fold=True), or render it "
                         "as SVG")


def picture(scene: Scene, dark: bool = False, notation: str = "code") -> Picture:
    """Return the DOT graph of a scene, with every part at its position.

    Args:
        notation: "code" writes h[4], "math" draws subscripts.
    """
    subscripts, title, alt = check_notation(notation), scene.title, scene.alt
    bounds = ",".join(format_number(value) for value in scene.bounds())
    background, ink = "white", palette.TEXT
    if dark:
        scene, background, ink = darken_scene(scene), palette.dark("#FFFFFF", ground=True), palette.dark(ink)
    drawn = Picture(
        re.sub(r"\W+", "_", scene.name),
        graph_attr={"layout": "nop2", "bb": bounds, "bgcolor": background,
                    "outputorder": "edgesfirst", "splines": "true", "fontname": FAMILY, "pad": "0.1"},
        node_attr={"fontname": FAMILY, "fontcolor": ink, "fixedsize": "true", "margin": "0", "shape": "box"},
        edge_attr={"fontname": FAMILY, "arrowsize": "0.7"})
    for number, frame in enumerate(scene.frames):
        _draw_frame(drawn, number, frame)
    for box in scene.boxes:
        _draw_box(drawn, box, subscripts)
    for arrow in scene.arrows:
        _draw_arrow(drawn, arrow, subscripts)
    for number, text in enumerate(scene.texts):
        _draw_text(drawn, number, text, subscripts)
    drawn.title, drawn.alt = title or scene.name, alt
    return drawn


def darken_scene(scene: Scene) -> Scene:
    """Return the scene in colours for a dark background."""
    dark = palette.dark
    labels = [arrow.label and replace(arrow.label, color=dark(arrow.label.color)) for arrow in scene.arrows]
    return Scene(
        scene.name,
        [replace(box, paint=box.paint.dark(), color=dark(box.color),
                 colored=[(text, dark(color)) for text, color in box.colored],
                 pattern=box.pattern and box.pattern._replace(color=dark(box.pattern.color))) for box in scene.boxes],
        [replace(arrow, color=dark(arrow.color), label=label) for arrow, label in zip(scene.arrows, labels)],
        [replace(frame, paint=frame.paint.dark(), color=dark(frame.color)) for frame in scene.frames],
        [replace(text, color=dark(text.color)) for text in scene.texts])


def _draw_frame(drawn: Picture, number: int, frame: Frame) -> None:
    caption_at = (frame.left + frame.right) / 2, frame.bottom + 10
    bounds = ",".join(format_number(value) for value in (frame.left, frame.bottom, frame.right, frame.top))
    with drawn.subgraph(name=f"cluster_{number}") as cluster:
        cluster.attr(bb=bounds, style="rounded,filled" + (",dashed" if frame.dashed else ""),
                     fillcolor=frame.paint.fill, color=frame.paint.line, fontname=FAMILY, fontsize="11",
                     fontcolor=frame.color, label=frame.caption, lp=_point(caption_at),
                     lwidth="1", lheight="0.2")


def _draw_box(drawn: Picture, box: Box, subscripts: bool) -> None:
    style = ",".join(["filled"] * (box.filled and box.pattern is None) + ["rounded"] * (box.rounded and not box.circle)
                     + ["dashed"] * (box.dashed or box.paint.style == "dashed")
                     + ["dotted"] * (box.paint.style == "dotted"))
    label = with_colors(box.label, box.size, box.colored, subscripts) if box.colored else _label(
        box.label, box.size, subscripts, box.anchor, box.width - 2 * INDENT)
    attributes = {"color": box.paint.line, "fillcolor": box.paint.fill, "fontsize": format_number(box.size),
                  "height": f"{box.height / 72:.4f}", "label": label,
                  "penwidth": format_number(box.pen + THICKER * (box.paint.style == "thick")),
                  "pos": _point((box.x, box.y)), "style": style, "tooltip": box.tooltip or box.label,
                  "width": f"{box.width / 72:.4f}"}
    if box.anchor:
        attributes["margin"] = f"{INDENT / 72:.2f},0"
    if box.circle:
        attributes["shape"] = "ellipse"
    if box.color != palette.TEXT:
        attributes["fontcolor"] = box.color
    _write(drawn, box.key, attributes)
    if box.pattern is not None:
        _draw_pattern(drawn, box, box.pattern)


def _draw_pattern(drawn: Picture, box: Box, pattern: Pattern) -> None:
    """Draw the lines of a pattern as one edge: edges are painted before boxes, over the frames."""
    label = text_width(box.label, box.size) * CORNER + 3, (box.label.count("\n") + 1) * LINE * box.size + pattern.pen
    corner = "ellipse" if box.circle else "round" if box.rounded else ""
    lines = pattern_lines(pattern, (box.left, box.bottom, box.right, box.top), label if box.label else (0, 0), corner)
    if lines:
        pos = ";".join(" ".join(map(_point, straight_line(start, end))) for start, end in lines)
        _write(drawn, f"{box.key} -> {box.key}", {
            "color": pattern.color, "penwidth": format_number(pattern.pen), "pos": pos, "dir": "none", "tooltip": " "})


def _draw_arrow(drawn: Picture, arrow: Arrow, subscripts: bool) -> None:
    points = list(arrow.points)
    pos = ""
    if arrow.head:
        tip = points[-1]
        points[-1] = move_toward(tip, points[-2], min(HEAD, math.dist(tip, points[-2])))
        pos = f"e,{_point(tip)} "  # DOT: the arrowhead goes from the last point of the curve to this one
    attributes = {"color": arrow.color, "penwidth": format_number(arrow.pen),
                  "pos": pos + " ".join(map(_point, points)),
                  "style": "dashed" if arrow.dashed else "dotted" if arrow.dotted else "solid",
                  "tooltip": arrow.tooltip}
    if arrow.label is not None:
        attributes |= {"label": _label(arrow.label.text, arrow.label.size, subscripts),
                       "lp": _point((arrow.label.x, arrow.label.y)),
                       "fontsize": format_number(arrow.label.size), "fontcolor": arrow.label.color}
    if not arrow.head:
        attributes["dir"] = "none"
    _write(drawn, f"{arrow.source} -> {arrow.target}", attributes)


def _write(drawn: Picture, what: str, attributes: Mapping[str, str]) -> None:
    """Append one line of DOT. graphviz's own node() and edge() take longer than painting the picture."""
    inside = " ".join(f"{name}={quoted(value)}" for name, value in attributes.items())
    drawn.body.append(f"\t{what} [{inside}]\n")


def _label(text: str, size: float, subscripts: bool, anchor: int = 0, width: float = 0) -> str:
    if subscripts:
        return with_subscripts(text, size, anchor, width)
    return aligned(text, anchor) if anchor else text


def _draw_text(drawn: Picture, number: int, text: Text, subscripts: bool) -> None:
    width = text.width if text.anchor == 0 else room(text.text, text.width, text.size)
    label = with_subscripts(text.text, text.size, text.anchor, width) if subscripts else aligned(text.text, text.anchor)
    if not text.text:  # a place that counts in the size; Graphviz's library can crash on a text without a width
        label, width = " ", 1.0
    _write(drawn, f"text{number}", {
        "fontcolor": text.color, "fontsize": format_number(text.size), "height": f"{text.height / 72:.4f}",
        "label": label, "pos": _point((text.x - text.anchor * (width - text.width) / 2, text.y)),
        "shape": "plaintext", "style": "", "tooltip": " ", "width": f"{width / 72:.4f}"})


def literal(text: str) -> str:
    """Return text for graphviz's node() and edge(), escaped so that it has no escapes, entities or markup."""
    return graphviz.nohtml(graphviz.escape(in_order(printable(text)).replace("&", "&amp;")).replace("\n", r"\n"))


def format_number(value: float) -> str:
    """Return a number with at most one decimal and no minus zero, so that the text is the same on every machine."""
    return f"{round(value, 1) + 0.0:g}" if abs(value) < 1e5 else f"{value:.0f}"


def _point(point: Sequence[float]) -> str:
    return f"{format_number(point[0])},{format_number(point[1])}"
