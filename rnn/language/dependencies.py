"""The dependency graph of a definition: which signals each equation reads, with which delays.

An equation `h[t] = f(x[t], h[t-1])` has two edges, from x with delay 0 and from h with delay 1. This
module lists nodes, edges, parameters and boundary values; cycles.py decides whether they can be
computed. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from minigrad import Tensor
from minigrad.provenance import call_site

from .equations import Apply, Definition, Equation, Expression, Read, Shape, Signal, refuse_matrix, refuse_numbers
from .graphs import longest_paths, postorder
from .time import t

Result = TypeVar("Result")


def remembered(analysis: Callable[[Definition], Result]) -> Callable[[Definition], Result]:
    """Decorator: remember what an analysis of a definition returned, until the definition changes."""
    known: WeakKeyDictionary[Definition, tuple[tuple[int, ...], Result]] = WeakKeyDictionary()

    @wraps(analysis)
    def lookup(cell: Definition) -> Result:
        state = cell.version, len(cell.signals), len(cell.equations)
        found = known.get(cell)
        if found is None or found[0] != state:
            found = known[cell] = state, analysis(cell)
        return found[1]

    return lookup


class DefinitionError(ValueError):
    """Raised for a definition that can't be computed; the message names the equations and the reason."""


def nodes(roots: Iterable[Any], into_tensors: bool = True) -> list[Any]:
    """Return every distinct node that the roots are computed from, inputs before outputs, left to right.

    Args:
        roots: expressions, Tensors, numbers.
        into_tensors: whether the operations that computed a Tensor are included. Those of a Tensor
            that belongs to a run never are.
    """
    def inputs(node: Any) -> tuple[Any, ...]:
        closed = isinstance(node, Tensor) and (node.t is not None or not into_tensors)
        return () if closed else getattr(node, "inputs", ())

    return postorder(roots, inputs)


def roots(cell: Definition) -> list[Any]:
    """Return everything written in a definition: its equations' expressions, then its boundary values."""
    return [*(equation.expression for equation in cell.equations),
            *(value for signal in cell.signals.values()
              for value in [*signal.initial.values(), *signal.final.values()])]


class ParameterDict(dict[str, Tensor]):
    """The parameters of a definition by name, read-only: an assignment wouldn't change any equation.

    Copies (`copy`, `|`, pickle) are ordinary dicts.
    """

    def _refuse(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(f"a definition's parameters are those that its equations use (at {call_site()}). Set values: "
                        "parameters['W'].data = ..., or interop.assign(cell, {...}). To tie two layers, write one "
                        "tensor into both equations, or give it to the second cell: cells.lstm(..., "
                        "parameters={'W_f': ...})")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Tensor]], tuple[dict[str, Tensor]]]:
        return dict, (dict(self),)


def parameters(cell: Definition) -> ParameterDict:
    """Return the leaves that require a gradient, by name, in the order of their use.

    A parameter without a name is called p1, p2, ...

    Raises:
        DefinitionError: if two of them have the same name.
    """
    found: dict[str, Tensor] = {}
    unnamed = 0
    for node in filter(_is_parameter, leaves(cell)):
        name = node.name
        if name is None:
            unnamed += 1
            name = f"p{unnamed}"
        if name in found:
            raise DefinitionError(f"two parameters are named {name!r}: made at {found[name].origin} and at "
                                  f"{node.origin}. Give each a name of its own, Tensor(..., name=...)")
        found[name] = node
    return ParameterDict(found)


def layer_parameters(cell: Definition, name: str) -> dict[str, Tensor]:
    """Return the parameters of a layer by the rest of their names, "W_f" for "name.W_f"; with those it has in common
    with another layer."""
    found = {**parameters(cell), **cell.tied}
    return {label[len(name) + 1:]: tensor for label, tensor in found.items() if label.startswith(f"{name}.")}


@remembered
def leaves(cell: Definition) -> list[Tensor]:
    """Return the parameters and constants, in the order of their use."""
    return [x for x in nodes(roots(cell)) if isinstance(x, Tensor) and x.op is None]


def _is_parameter(node: Any) -> bool:
    return isinstance(node, Tensor) and node.requires_grad and node.op is None


@remembered
def integer_inputs(cell: Definition) -> set[str]:
    """Return the names of the inputs whose values are integers, such as the labels of a cross entropy."""
    return {x.signal.name for x in _integer_operands(cell) if isinstance(x, Read) and x.signal.given}


@remembered
def integer_tensors(cell: Definition) -> set[int]:
    """Return the ids of the tensors whose values are integers. All others are converted to the definition's type."""
    return {id(x) for x in _integer_operands(cell) if isinstance(x, Tensor)}


def _integer_operands(cell: Definition) -> list[Any]:
    return [node.inputs[position] for node in nodes(roots(cell)) if getattr(node, "op", None) is not None
            for position in node.op.integer_inputs]


@remembered
def random_draws(cell: Definition) -> list[Apply]:
    """Return the expressions that are drawn at random at each step, in the order in which they are drawn.

    It is the order in which the equations were written, and in each from left to right; for each of them all at
    step 1 first, then all at step 2, up to step T, whatever the direction of the loops.
    """
    every = nodes([equation.expression for equation in cell.equations], into_tensors=False)
    return [x for x in every if isinstance(x, Apply) and x.op is not None and x.op.random]


@remembered
def random_tensors(cell: Definition) -> list[Tensor]:
    """Return the tensors drawn at random from parameters, once for each unroll, before all that is drawn at steps."""
    return [x for x in nodes(roots(cell)) if isinstance(x, Tensor) and x.op is not None and x.op.random and x.t is None]


def expression_shapes(cell: Definition, given: Mapping[str, Shape]) -> dict[int, Shape]:
    """Return the shape of one value of each expression, by its id, from the shapes of the inputs."""
    found: dict[int, Shape] = {}
    signals = {signal: given.get(name, signal.shape) for name, signal in cell.signals.items()}
    for equation in postorder(cell.equations, same_step_reads):
        for x in nodes([equation.expression], into_tensors=False):
            if isinstance(x, Read):
                shape = signals[x.signal]
                if shape is None:
                    raise DefinitionError(f"{x.signal.name} is read at {equation.origin} before its size is known: "
                                          f"declare it, .signal({x.signal.name!r}, size) at {x.signal.origin}")
            elif isinstance(x, Apply) and x.shape is None:
                shape = x.op.result_shape(*(found[id(part)] for part in x.inputs))  # type: ignore[union-attr]
            else:
                shape = np.shape(x) if isinstance(x, (bool, int, float)) else x.shape
            found[id(x)] = shape
        if signals[equation.signal] is None:
            signals[equation.signal] = found[id(equation.expression)]
    return found


def same_step_reads(equation: Equation) -> list[Equation]:
    """Return the equations whose values of the same step an equation reads."""
    return [read.signal.equation for read in reads(equation) if read.signal.equation
            and read.offset == read.signal.equation.lead]


def check_late_shapes(cell: Definition, inputs: Mapping[str, Shape]) -> None:
    """Check the expressions whose shape only the data tell, which nothing checked when they were written.

    Args:
        inputs: name -> the shape of one value of one sequence.

    Raises:
        ValueError: for a value of several axes, and for a number where a vector could stand: what was written
            would broadcast against the batch.
    """
    shapes: dict[int, Shape | None] = {}  # id of an expression -> its shape; None if it isn't known
    computed: dict[Signal, Shape | None] = {}
    waiting = list(cell.equations) if _has_late_shapes(cell) else []
    while waiting:  # an equation may read a signal whose size a later one tells
        for equation in waiting:
            for node in nodes([equation.expression], into_tensors=False):
                if isinstance(node, Read):
                    own = inputs.get(node.signal.name, node.signal.shape)
                    shapes[id(node)] = computed.get(node.signal) if own is None else own
                elif isinstance(node, Apply) and shapes.get(id(node)) is None:
                    operands = [shapes.get(id(x), getattr(x, "shape", ())) for x in node.inputs]
                    shapes[id(node)] = node.shape if node.shape is not None else _late_shape(node, operands)
            known = shapes.get(id(equation.expression), getattr(equation.expression, "shape", ()))
            computed[equation.signal] = equation.signal.shape if known is None else known
            if known is not None:
                equation.signal.refuse_early_read(known)
        unknown = [equation for equation in waiting if computed[equation.signal] is None]
        waiting = unknown if len(unknown) < len(waiting) else []


@remembered
def _has_late_shapes(cell: Definition) -> bool:
    """Return whether the shape of some expression was unknown when it was written."""
    return any(isinstance(node, Expression) and node.shape is None
               for node in nodes([equation.expression for equation in cell.equations], into_tensors=False))


def _late_shape(node: Apply, operands: Sequence[Shape | None]) -> Shape | None:
    """Return the shape of an expression; None where it isn't known, or evaluation will report that shapes don't fit."""
    assert node.op is not None
    if any(shape is None for shape in operands):
        return None
    refuse_numbers(node, operands)
    known = [shape for shape in operands if shape is not None]
    try:
        shape = node.op.result_shape(*known)
    except (ValueError, TypeError, IndexError):
        shape = None
    late = [x for x, own in zip(node.inputs, known) if own == () and isinstance(x, Expression) and x.shape is None]
    if late and (shape is None or shape != ()):
        raise ValueError(f"{late[0]!r} is a number at each step of these data, which the equation at {node.origin} "
                         f"couldn't know: declare the size of the input or signal that it comes from, e.g. ()")
    refuse_matrix(node, shape)
    return shape


class Edge(NamedTuple):
    """`target[t]` is computed from `source[t - delay]`."""

    source: str
    target: str
    delay: int


class Link(NamedTuple):
    """An edge with the equation that it comes from."""

    source: Signal
    target: Signal
    delay: int
    equation: Equation

    def __str__(self) -> str:
        return f"{self.source.name}[{t + (self.equation.lead - self.delay)}]"


def reads(equation: Equation) -> list[Read]:
    """Return the signals that an equation reads, each at each step once, left to right."""
    found: dict[tuple[Signal, int], Read] = {}
    for node in nodes([equation.expression]):
        if isinstance(node, Read):
            found.setdefault((node.signal, node.offset), node)
    return list(found.values())


@remembered
def links(cell: Definition) -> list[Link]:
    """Return every edge with its equation, in the order of the equations."""
    return [Link(read.signal, equation.signal, equation.lead - read.offset, equation)
            for equation in cell.equations for read in reads(equation)]


def edges(cell: Definition) -> list[Edge]:
    """Return the edges as (source, target, delay), in the order of the equations."""
    return [Edge(link.source.name, link.target.name, link.delay) for link in links(cell)]


def layers(cell: Definition) -> dict[Signal, int]:
    """Return the height of each signal within a time step: the longest path of edges without delay to it."""
    return longest_paths(cell.signals.values(), [(link.source, link.target) for link in links(cell) if not link.delay])


def edge_weights(equation: Equation) -> dict[tuple[Signal, int], list[Tensor]]:
    """Return for each (signal, offset) that an equation reads the parameters of its first product."""
    found: dict[tuple[Signal, int], dict[Tensor, None]] = {}
    unweighted: dict[int, list[tuple[Signal, int]]] = {}  # id of a node -> the reads under it without a product yet
    for node in nodes([equation.expression], into_tensors=False):
        if isinstance(node, Read):
            unweighted[id(node)] = [(node.signal, node.offset)]
            found.setdefault((node.signal, node.offset), {})
            continue
        inputs = getattr(node, "inputs", ())
        under = [read for x in inputs for read in unweighted.get(id(x), [])]
        factors = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        if factors and node.op.symbol in ("*", "@"):
            weights = dict.fromkeys(filter(_is_parameter, nodes(factors)))
            for read in under:
                found[read].update(weights)
            under = []
        unweighted[id(node)] = list(dict.fromkeys(under))
    return {read: list(tensors) for read, tensors in found.items()}


class Boundary(NamedTuple):
    """The steps of a signal that equations read and none computes."""

    before: range  # the steps before the first computed one, e.g. range(0, 1) for h[0]
    after: range  # k for the steps T + k after the last computed one


@remembered
def boundaries(cell: Definition) -> dict[str, Boundary]:
    """Return the boundary of every signal that has one."""
    offsets = {signal: [0] for signal in cell.signals.values()}  # every signal has the steps 1 … T
    for equation in cell.equations:
        for read in reads(equation):
            offsets[read.signal].append(read.offset)
    found = {}
    for signal, read_at in offsets.items():
        first = 1 + signal.lead
        boundary = Boundary(range(1 + min(read_at), first), range(first, 1 + max(read_at)))
        if any(boundary):
            found[signal.name] = boundary
    return found
