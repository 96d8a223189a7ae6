"""`viz.graph`: the graph of any tensor; time steps side by side, constants written in the operations that use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import ceil

from minigrad import Tensor, ops
from minigrad.backward import ancestors
from minigrad.formats.describe import tensor_formula, tensor_name
from minigrad.formats.formula import ATOM, Formula
from minigrad.formats.norms import norm
from rnn.unrolling.loss_gradients import LossGradients
from viz.annotations.alt import graph_text
from viz.annotations.heat import Norm
from viz.annotations.labels import mark_nonfinite, nonfinite, numbers
from viz.annotations.legend import PITCH as PITCH_OF_COLORS
from viz.annotations.legend import add_entries
from viz.annotations.panels import Panel, place_title
from viz.annotations.places import add_panels
from viz.layout.blocks import STEP, Key, block_keys
from viz.layout.graph_layout import layout_graph
from viz.layout.options import Options
from viz.layout.page import ASPECT, Net
from viz.layout.page_routes import PageRoutes
from viz.layout.step_graph import operation_label
from viz.render import palette
from viz.render.digraph import Picture, picture
from viz.render.fonts import LINE, clean, text_width
from viz.render.scene import CORNER, Arrow, Box, Frame, Rectangle, Scene, text_beside
from viz.render.typography import true_minus

from .arguments import check_type

FONT_SIZE = 11
MAX_NODES = 2000  # more are unreadable
FIELDS = ("name", "operation", "shape", "data", "gradient", "line")
FEW_USES = 3  # of a leaf that is drawn as a box; with more, it is listed at the side
LONGEST = 40  # characters of a line in a box
SHORT = 14  # characters of a name in the line of an operation
PITCH = 31.0  # from one to the next of the leaves at the side
OPERAND = "·"  # in a formula, one that has a box of its own
PLAIN = Options(title=False)
COLORS = {palette.INPUT: "input", palette.STATE: "result with a name", palette.OUTPUT: "result of an operation",
          palette.LOSS: "the last result", palette.Paint(palette.PARAMETERS[0], palette.SHELF): "parameter",
          palette.CONSTANT: "constant", palette.BAD: "NaN or Inf"}


def graph(tensor: Tensor, show: Collection[str] = ("name", "operation", "shape", "gradient"), *,
          most: int = MAX_NODES, highlight: Collection[Tensor] = (), title: bool | str = False, parameters: bool = True,
          legend: bool = False, aspect: str | float = ASPECT, notation: str = "code", dark: bool = False) -> Picture:
    """Draw the graph of a tensor: inputs at the bottom, results above them; time steps from left to right.

    It has no level, as every tensor of an operation is drawn: `viz.unrolled` draws signals or layers instead.
    What has no time step stands before or after those that it belongs to. A long graph continues in the next column
    or, if it has time steps, in the next row. A number or an array without a name is written in the operation that
    uses it; a parameter that many operations use, or several time steps, is written there too, and listed at the side.

    Gradients are those that went back from `tensor` through this graph, beginning with its own `.grad`: there are none
    if it wasn't differentiated, and those of other losses are not added. A leaf has none once data were modified.

    Args:
        tensor: any tensor.
        show: the lines in each box: some of "name", "operation", "shape", "data", "gradient" and "line". A
            scalar is shown as its value.
        most: the largest number of tensors to draw.
        highlight: tensors to mark with a thick outline.
        title: a title, or True for the tensor's name.
        parameters: list those that are written in several operations at the side.
        legend: explain the colours of boxes.
        aspect: of the page that the picture is for, about: "slide" (16:9), "page" (A4, upright), or width by height.
        notation: "code" writes h[4] as an equation does, "math" draws the step, and the f of W_f, as subscripts.
        dark: light lines on a dark background.

    Raises:
        TypeError: for anything else than a Tensor.
        ValueError: if there are more tensors than `most`; for an unknown word in `show`, or a tensor in
            `highlight` that isn't in the graph.
    """
    options = Options(title, parameters, False, legend, None, False, None, aspect, notation, dark)
    check_type(tensor, Tensor, "viz.graph() takes a Tensor")
    marked = {highlight} if isinstance(highlight, Tensor) else set(highlight)
    unknown = [word for word in show if word not in FIELDS] if not isinstance(show, str) else [show]
    if unknown:
        raise ValueError(f"show={show!r}: {', '.join(map(repr, unknown))} can't be shown. Choose some of "
                         f"{', '.join(map(repr, FIELDS))} in a list")
    nodes = drawable(tensor, most)
    if missing := marked - set(nodes):
        raise ValueError(f"highlight= takes tensors of this graph; not in it: {', '.join(map(repr, missing))}")
    return picture(GraphDrawing(nodes, show, marked, options).draw(), dark, notation)


class GraphDrawing:
    """The scene of a graph.

    Attributes:
        boxes, written: the tensors that have a box, with its number; the text of the others in operations.
        shared: the leaves that are listed at the side, with the look of their boxes.
        gradients: those that went back from the result.
        edges: pairs of numbers of boxes.
    """

    def __init__(self, nodes: Sequence[Tensor], show: Collection[str], marked: Collection[Tensor] = (),
                 options: Options = PLAIN) -> None:
        self.nodes, self.result, self.show, self.marked, self.options = nodes, nodes[-1], show, marked, options
        self.keys = block_keys({node: node.inputs for node in nodes})
        self.gradients = LossGradients(self.result) if "gradient" in show else None
        self.computed = {node.name for node in nodes if node.op and node.name and node.t is not None}
        self.shared: dict[Tensor, palette.Paint] = {}
        self.written: dict[Tensor, str] = {}
        self._write_leaves(nodes)
        self.boxes = {node: number for number, node in enumerate(x for x in nodes if x not in self.written)}
        self.edges = [(self.boxes[x], self.boxes[node]) for node in self.boxes for x in node.inputs if x in self.boxes]

    def _write_leaves(self, nodes: Sequence[Tensor]) -> None:
        """Choose the leaves that are written in the operations that use them."""
        uses = Counter(x for node in nodes for x in node.inputs)
        blocks: dict[Tensor, set[Key]] = {}
        for node in nodes:
            for x in node.inputs:
                blocks.setdefault(x, set()).add(self.keys[node])
        for node in nodes:
            if node.op is not None or node is self.result or node in self.marked:
                continue
            if not node.label and not node.requires_grad and (node.size == 1 or uses[node] == 1):
                self.written[node] = tensor_name(node) if node.size == 1 else tensor_formula(node)
            elif node.t is None and (uses[node] > FEW_USES or len(blocks[node]) > 1):
                self.shared[node] = palette.parameter_paint(len(self.shared), palette.SHELF)
                self.written[node] = clean(node.label, SHORT) or f"p{len(self.shared)}"

    def draw(self) -> Scene:
        """Return the scene with the leaves at the side, the legend and the title."""
        scene = self.draw_tensors()
        over = scene.bounds(0)
        if self.options.parameters:
            self._add_shared(scene)
        if self.options.legend:
            panel = Panel(Scene("colours"), PITCH_OF_COLORS)
            paints = {_paint(node, self.result, self.computed) for node in self.boxes}
            add_entries(panel.scene, [(paint, meaning, False) for paint, meaning in COLORS.items() if paint in paints],
                        "boxes")
            add_panels(scene, [panel], (over[1] + over[3]) / 2, self.options.ratio)
        title = f"the graph of {clean(tensor_name(self.result))}"
        scene.title, scene.alt = self.options.name(title), graph_text(self.nodes)
        place_title(scene, self.options.heading(title), [], over)
        return scene

    def draw_tensors(self) -> Scene:
        """Return the boxes, arrows and frames."""
        scene = Scene("graph", [self._box(node) for node in self.boxes])
        nodes = list(self.boxes)
        routes, keys = layout_graph(nodes, [self.keys[node] for node in nodes],
                                    [(box.width, box.height) for box in scene.boxes], self.edges,
                                    self.options.ratio or ASPECT)
        for number, box in enumerate(scene.boxes):
            box.x, box.y, box.width = routes.x[number], routes.y[number], routes.page.widths[number]
        scene.arrows = self._arrows(nodes, routes, [clean(tensor_name(node), LONGEST) for node in nodes])
        for block, key in zip(routes.page.blocks, keys):
            if key.kind == STEP:
                members = [(scene.boxes[box], nodes[box]) for box in block.boxes]
                self._add_frame(scene, routes.frame(block), key.t, members)
        return scene

    @staticmethod
    def _add_frame(scene: Scene, frame: Rectangle, step: int, members: Sequence[tuple[Box, Tensor]]) -> None:
        """Add the frame of a time step; a step of which nothing is computed has none, and its boxes are dashed."""
        if all(node.op is None or isinstance(node.op, ops.Identity) for _, node in members):
            for box, _ in members:
                box.dashed = True
        else:
            scene.frames.append(Frame(*frame, f"t = {step}"))

    def _box(self, node: Tensor) -> Box:
        text = self._label(node)
        lines = text.count("\n") + 1
        paint, pen, rounded = self._paint(node)
        box = Box(f"n{self.boxes[node]}", 0, 0, 2 * ceil(max(text_width(text, FONT_SIZE) * CORNER + 18, 46) / 4) * 2,
                  2 * ceil((lines * FONT_SIZE * LINE + 10) / 2), text, paint, rounded=rounded, pen=pen,
                  size=FONT_SIZE, tooltip=f"{node!r} {numbers(node)}")
        if nonfinite(node):
            mark_nonfinite(box)
        if node in self.marked:
            box.paint, box.pen = box.paint._replace(line=palette.BACKWARD), 4.0
        return box

    def _label(self, node: Tensor) -> str:
        return label(node, self.show, self.written, self._gradient(node))

    def _gradient(self, node: Tensor) -> str:
        gradient = None if self.gradients is None else self.gradients.of(node)
        return "" if gradient is None else Norm(norm(gradient)).line

    def _paint(self, node: Tensor) -> tuple[palette.Paint, float, bool]:
        """Return colours and width of the outline, and whether a box has round corners."""
        paint, pen = _paint(node, self.result, self.computed), 1.4
        used = [self.shared[x] for x in node.inputs if x in self.shared]
        if used and paint is palette.OUTPUT:
            paint, pen = used[0]._replace(fill=paint.fill), 2.0
        return paint, pen, not (node.op is None and node.requires_grad)

    def _arrows(self, nodes: Sequence[Tensor], routes: PageRoutes, names: Sequence[str]) -> list[Arrow]:
        """Return all arrows; those between time steps are in the colour of states."""
        page = routes.page
        ways: dict[Net, set[int]] = {}
        for (source, target), net, near in zip(self.edges, page.net, page.near):
            a, b = (self.keys[nodes[box]] for box in (source, target))
            if not near:
                between = a.kind == b.kind == STEP and a != b
                ways.setdefault(net, set()).add((1 if a < b else -1) if between else 0)
        arrows = []
        for (source, target), net, near, curve in zip(self.edges, page.net, page.near, routes.curves):
            way = 0 if near else _way(net, ways[net])
            color = {0: palette.ARROW, 1: palette.STATE.line, -1: palette.REVERSED.line}[way]
            arrows.append(Arrow(f"n{source}", f"n{target}", curve, color, 1.8 if way else 1.2,
                                tooltip=f"{names[source]} → {names[target]}"))
        return arrows

    def _add_shared(self, scene: Scene) -> None:
        """List the leaves that are written in several operations to the right, in as many columns as they need."""
        _, bottom, right, top = scene.bounds(0)
        rows = max(int((top - bottom) / PITCH), 4)
        widest, left = 0.0, right + 32
        for number, (node, paint) in enumerate(self.shared.items()):
            if number % rows == 0:
                left, widest = left + widest + 12, 0.0
            size = str(node.shape) if node.size != 1 else true_minus(f"{node.item():.4g}")
            text = "  ".join(filter(None, [self.written[node], size, nonfinite(node), self._gradient(node)]))
            width = text_width(text, FONT_SIZE) * CORNER + 18
            widest = max(widest, width)
            scene.boxes.append(Box(f"p{number}", left + width / 2, top - 24 - PITCH * (number % rows), width, 23, text,
                                   paint, rounded=False, pen=1.8, size=FONT_SIZE, tooltip=f"{node!r} {numbers(node)}"))
        if self.shared:
            scene.texts.append(text_beside(right + 44, top - 2, "used in several places", FONT_SIZE, palette.QUIET))


def _way(net: Net, ways: set[int]) -> int:
    """Return whether the edges of a net lead from step to step, 1, back, -1, or otherwise."""
    found = ways - {0}
    return found.pop() if len(found) == 1 and (len(ways) == 1 or not net[0]) else 0


def drawable(tensor: Tensor, most: int) -> list[Tensor]:
    """Return a tensor and all tensors it was computed from, oldest first; ValueError if they are more than `most`."""
    nodes = ancestors(tensor, most)
    if len(nodes) > most:
        raise ValueError(f"{tensor!r} was computed from more than {most:,} tensors: too many for a picture. "
                         "Draw an earlier one, or the run with viz.unrolled")
    return nodes


def label(node: Tensor, show: Collection[str], written: Mapping[Tensor, str] | None = None,
          gradient: str = "") -> str:
    """Return the lines of a box, in the order of FIELDS; `written` holds the text of operands without a box."""
    lines = []
    if "name" in show and node.label:
        lines.append(clean(node.label))
    if "operation" in show and node.op is not None:
        lines.append(clean(caption(node, written or {}), LONGEST))
    if "shape" in show:
        lines.append(str(node.shape) if node.size != 1 else true_minus(f"{node.item():.4g}"))
    if "data" in show and (node.size != 1 or "shape" not in show):
        lines.append(numbers(node))
    if node.size != 1 and nonfinite(node):
        lines.append(nonfinite(node))
    lines += filter(None, [gradient])
    if "line" in show:
        lines.append(clean(str(node.origin), LONGEST))
    return "\n".join(lines) or OPERAND


def caption(node: Tensor, written: Mapping[Tensor, str]) -> str:
    """Return an operation with its operands that have no box: `tanh`, `W @`, `× 0.999`, `where(array(3, 1), ·, 0)`."""
    assert node.op is not None
    inside = {position: written[x] for position, x in enumerate(node.inputs) if x in written}
    formula = node.op.formula([Formula(written.get(x, OPERAND), ATOM) for x in node.inputs]).text
    if inside and (len(node.inputs) != 2 or len(inside) != 1):
        return formula
    if isinstance(node.op, ops.Identity):
        return f"= {clean(node.inputs[0].label, SHORT)}".rstrip()
    if not inside and isinstance(node.op, (ops.Power, ops.Transpose, ops.GetItem)) and formula.startswith(OPERAND):
        return formula.removeprefix(OPERAND).lstrip()  # `** 2`, `.T`, `[1:]`
    scalar = any(node.inputs[position].ndim == 0 for position in inside)
    return " ".join([operation_label(node.op, len(node.inputs), inside, scalar), *_options(node.op)])


def _options(op: ops.Op) -> list[str]:
    """Return the options of an operation that say something: `axis=1`, but not `keepdims=False`."""
    joins = isinstance(op, (ops.Stack, ops.Concatenate))
    return [f"{name}={value}" for name, value in vars(op).items()
            if value is not None and value is not False and isinstance(value, (bool, int, float, str, tuple))
            and not (joins and value == 0) and not isinstance(op, ops.GetItem)]


def _paint(node: Tensor, tensor: Tensor, computed: Collection[str]) -> palette.Paint:
    if node is tensor:
        return palette.LOSS
    if node.op is None and node.requires_grad:
        return palette.Paint(palette.PARAMETERS[0], palette.SHELF)
    if node.op is None:
        return palette.CONSTANT if node.t is None else palette.STATE if node.name in computed else palette.INPUT
    return palette.STATE if node.label else palette.OUTPUT
