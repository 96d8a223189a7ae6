"""The dependency graph of a definition: which signals each equation reads, with which delays.

An equation `h[t] = f(x[t], h[t-1])` has two edges, from x with delay 0 and from h with delay 1. This
module lists nodes, edges, parameters and boundary values; cycles.py decides whether they can be
computed. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from minigrad import Tensor, ops
from minigrad.errors import operation_error
from minigrad.provenance import call_site
from minigrad.settings import override

from .equations import Definition, Equation, Signal
from .expressions import Apply, Expression, Operand, Read, Shape, Static, T, Time, t
from .graphs import longest_paths, postorder

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


class OpenShapeError(ValueError):
    """Raised where shapes that a definition leaves open are known and don't fit."""


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


@remembered
def written_tensors(cell: Definition) -> list[Tensor]:
    """Return the Tensors in the equations, without what computed them."""
    expressions = [equation.expression for equation in cell.equations]
    return [x for x in nodes(expressions, into_tensors=False) if isinstance(x, Tensor)]


@remembered
def computed_tensors(cell: Definition) -> list[Tensor]:
    """Return the Tensors of a definition that are computed from others, and belong to no run; inputs first."""
    return [x for x in nodes(roots(cell)) if isinstance(x, Tensor) and x.op is not None and x.t is None]


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
def integer_signals(cell: Definition) -> set[Signal]:
    """Return the signals, given or computed, that an operation takes as integers: labels and indices."""
    return {x.signal for x in _integer_operands(cell) if isinstance(x, Read)}


@remembered
def integer_tensors(cell: Definition) -> set[int]:
    """Return the ids of the tensors whose values are integers. All others are converted to the definition's type."""
    return {id(x) for x in _integer_operands(cell) if isinstance(x, Tensor)}


def _integer_operands(cell: Definition) -> list[Any]:
    return [node.inputs[position] for node in nodes(roots(cell)) if getattr(node, "op", None) is not None
            for position in node.op.integer_inputs]


@remembered
def static_expressions(cell: Definition) -> list[Expression]:
    """Return the largest expressions in equations that are computed from statics and Tensors alone, in order."""
    constant: set[int] = set()
    found: dict[int, Expression] = {}
    for equation in cell.equations:
        for node in nodes([equation.expression], into_tensors=False):
            inputs = getattr(node, "inputs", ()) if isinstance(node, Apply) else ()
            static = [x for x in inputs if id(x) in constant]
            if isinstance(node, Static) or (static and all(
                    id(x) in constant or not isinstance(x, Expression) for x in inputs)):
                constant.add(id(node))
            else:
                found.update((id(x), x) for x in static)
        if id(equation.expression) in constant:
            found[id(equation.expression)] = equation.expression
    return list(found.values())


@remembered
def once_expressions(cell: Definition) -> list[Expression]:
    """Return the statics and every expression of statics and Tensors alone, which has one value; inputs first."""
    found: dict[int, Expression] = {}
    for node in nodes(roots(cell), into_tensors=False) if cell.statics else ():
        inputs = node.inputs if isinstance(node, Apply) else ()
        if isinstance(node, Static) or (any(id(x) in found for x in inputs) and all(
                id(x) in found or not isinstance(x, Expression) for x in inputs)):
            found[id(node)] = node
    return list(found.values())


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
            elif isinstance(x, Apply) and any(getattr(part, "shape", ()) is None for part in (x, *x.inputs)):
                shape = _result_shape(x, [found[id(part)] for part in x.inputs])
            else:
                shape = given[x.name] if isinstance(x, Static) else np.shape(x) if isinstance(x, (bool, int, float)) \
                    else x.shape
            found[id(x)] = shape
        shape, declared = found[id(equation.expression)], signals[equation.signal]
        if declared is None:
            signals[equation.signal] = shape
        elif shape not in ((), declared) and getattr(equation.expression, "shape", ()) is None:
            raise OpenShapeError(f"the equation {equation!r} has shape {shape} (at {equation.origin}), but "
                                 f"{equation.signal.name} was declared at {equation.signal.origin} with "
                                 f"{equation.signal.declared_size}")
    return found


def _result_shape(x: Apply, shapes: list[Shape]) -> Shape:
    """Return the shape of one value of an operation.

    Raises:
        OpenShapeError: if those of its operands don't fit.
    """
    assert x.op is not None
    try:
        return x.op.result_shape(*shapes)
    except (ValueError, TypeError, IndexError) as error:
        operands = [Operand(part.label, str(shape), part.origin) for part, shape in zip(x.inputs, shapes)
                    if isinstance(part, (Expression, Tensor))]
        with override(origin=x.origin):
            raise OpenShapeError(str(operation_error(error, x.written or x.op, operands))) from None


def check_open_shapes(cell: Definition, given: Mapping[str, Shape]) -> None:
    """Check inputs of which no size was declared: an equation takes them for vectors, and counts axes accordingly.

    Args:
        given: name -> the shape of one value of one sequence.

    Raises:
        ValueError: for data that are numbers, where the equation would mean something else by them.
    """
    numbers = {x for name, x in cell.signals.items() if x.given and x.shape is None and given[name] == ()}
    for equation in cell.equations if numbers else ():
        first: dict[int, Read] = {}  # id of what is computed from such an input -> the read of it
        for node in nodes([equation.expression], into_tensors=False):
            if isinstance(node, Read) and node.signal in numbers:
                first[id(node)] = node
            elif isinstance(node, Apply) and any(id(x) in first for x in node.inputs):
                read = first[id(node)] = next(first[id(x)] for x in node.inputs if id(x) in first)
                if not _stays_number(node, [() if id(x) in first else getattr(x, "shape", ()) for x in node.inputs]):
                    raise ValueError(f"{read!r} is a number at each step of these data, which the equation at "
                                     f"{equation.origin} couldn't know: declare the size of the input "
                                     f"{read.signal.name}, .input({read.signal.name!r}, ()) at {read.signal.origin}")


def _stays_number(node: Apply, shapes: list[Shape | None]) -> bool:
    """Return whether an operation on numbers gives a number, so that no axis is taken for another."""
    try:
        return node.op.elementwise and None not in shapes and node.op.result_shape(*shapes) == ()  # type: ignore
    except (ValueError, TypeError, IndexError):
        return False


def same_step_reads(equation: Equation) -> list[Equation]:
    """Return the equations whose values of the same step an equation reads."""
    return [read.signal.equation for read in reads(equation) if read.signal.equation
            and read.offset == read.signal.equation.lead]


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
    """Return the edges as (source, target, delay), in the order of the equations.

    Statics and initial values are no edges: they have no time, so nothing delays them and they close no loop.
    """
    return [Edge(link.source.name, link.target.name, link.delay) for link in links(cell)]


def layers(cell: Definition) -> dict[Signal, int]:
    """Return the height of each signal within a time step: the longest path of edges without delay to it."""
    return longest_paths(cell.signals.values(), [(link.source, link.target) for link in links(cell) if not link.delay])


def statics_read(expression: Any) -> list[Static]:
    """Return the statics that an expression reads, each once, left to right."""
    return [node for node in nodes([expression], into_tensors=False) if isinstance(node, Static)]


class Start(NamedTuple):
    """A value before or after the sequence that is computed from statics or parameters: `signal[step] = value`."""

    signal: Signal
    step: int | Time  # 0, -1, ..., or T + k
    value: Expression

    def __repr__(self) -> str:
        return f"{self.signal.name}[{self.step!r}] = {self.value!r}"


def starts(cell: Definition) -> list[Start]:
    """Return the values before and after the sequence that are computed from statics."""
    return [start for start in written_starts(cell) if isinstance(start.value, Expression)]


def written_starts(cell: Definition) -> list[Start]:
    """Return the values before and after the sequence that are computed from statics or parameters."""
    return [Start(signal, step, value) for signal in cell.signals.values()
            for step, value in [*signal.initial.items(), *((T + k, value) for k, value in signal.final.items())]
            if isinstance(value, Expression) or value.requires_grad]


class Product(NamedTuple):
    """A product of what an expression reads with Tensors that are made of parameters."""

    node: Apply
    factors: list[Tensor]  # as they are written, E or E.T

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters that the factors are made of."""
        return list(filter(_is_parameter, nodes(self.factors)))


def first_products(expression: Any) -> dict[tuple[Signal | Static, int], list[Product]]:
    """Return for each (signal, offset) and (static, 0) that an expression reads its first products with parameters.

    A table whose rows it looks up is the factor of a product: with the one-hot vector of the index. What is
    concatenated has one product.
    """
    found: dict[tuple[Signal | Static, int], list[Product]] = {}
    # id of a node -> the reads under it without a product yet
    unweighted: dict[int, list[tuple[Signal | Static, int]]] = {}
    for node in nodes([expression], into_tensors=False):
        if isinstance(node, (Read, Static)):
            read: tuple[Signal | Static, int] = (node, 0) if isinstance(node, Static) else (node.signal, node.offset)
            unweighted[id(node)] = [read]
            found.setdefault(read, [])
            continue
        inputs = getattr(node, "inputs", ())
        under = [read for x in inputs for read in unweighted.get(id(x), [])]
        factors = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        if factors and (node.op.symbol in ("*", "@") or isinstance(node.op, ops.Lookup)):
            for one in dict.fromkeys(under):
                found[one].append(Product(node, factors))
            under = []
        unweighted[id(node)] = list(dict.fromkeys(under))
    return found


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
