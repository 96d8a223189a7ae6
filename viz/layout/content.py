"""More text for the boxes of a step graph: the shapes of signals, and the parameters that are added to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minigrad import Tensor, ops
from rnn.language.dependencies import nodes
from rnn.language.equations import Definition
from rnn.language.expressions import samples_of
from viz.render.fonts import clean

from .names import Names
from .options import Options, check_biases
from .step_graph import LABEL_LENGTH, StepGraph, shape_label, written

MOST = 2  # parameters that are written in a box


def add_content(graph: StepGraph, cell: Definition, level: str, options: Options,
                shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
    """Change shapes and biases of a graph's boxes to what is wanted.

    Args:
        shapes: of signals and statics that data are known of, by name.

    Raises:
        ValueError: for biases at a level where they have boxes.
    """
    check_biases(options.biases, level)
    if options.shapes is not None:
        _set_shapes(graph, cell, shapes or {}, options.shapes)
    if options.biases:
        _add_biases(graph, cell)


def _set_shapes(graph: StepGraph, cell: Definition, shapes: Mapping[str, tuple[int, ...]], shown: bool) -> None:
    known = {name: signal.samples for name, signal in cell.signals.items()}
    known |= {name: static.samples for name, static in cell.statics.items()}
    known |= {name: samples_of(shape) for name, shape in shapes.items()}
    for part in graph.parts:
        if part.node is None:
            part.shape = shape_label(known.get(part.signal), 1) if shown else ""


def _add_biases(graph: StepGraph, cell: Definition) -> None:
    names = Names(cell)
    boxes = {part.signal: part for part in graph.parts if part.node is None and not part.once}
    for equation in cell.equations:
        found = dict(_added(equation.expression, names, names.layer(equation.signal.name)))
        pieces = [(text, graph.colors[name]) for text, name in found.items()]
        more = [(" …", pieces[0][1])] if len(pieces) > MOST else []
        spaced = [(f" {text}" if number else text, color) for number, (text, color) in enumerate(pieces[:MOST])]
        boxes[equation.signal.name].added = spaced + more


def _added(expression: Any, names: Names, layer: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter, or formula of parameters, that an expression adds or subtracts: text, and a name."""
    for node in nodes([expression], into_tensors=False):
        if not isinstance(getattr(node, "op", None), (ops.Add, ops.Sub)):
            continue
        for position, x in enumerate(map(written, node.inputs)):
            own = [names.parameters[leaf] for leaf in nodes([x]) if leaf in names.parameters] \
                if isinstance(x, Tensor) else []
            if own:
                sign = "−" if position and isinstance(node.op, ops.Sub) else "+"
                yield f"{sign} {clean(names.text(x, layer), LABEL_LENGTH)}", own[0]
