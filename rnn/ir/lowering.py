"""From the equations of a definition to the nodes of one step: masks, cuts and boundaries spelled out.

What it computes is what unroll.py computes, for any number of steps and any batch. Knows no data but
their shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minigrad import Op, Tensor, ops
from minigrad.operators import WHERE
from rnn.language.cycles import carry_directions, check
from rnn.language.dependencies import DefinitionError, integer_inputs, nodes, reads
from rnn.language.equations import Definition, Equation, Read, Signal

from .nodes import MASK, Dtype, GradientMask, Input, Node, Shape, Shift, Weight, draw_name, keep_name, number, shape_of

SHORT = {"matvec": "product", "matmul": "product", "add": "sum", "concatenate": "joined"}


@dataclass(frozen=True)
class LoweringOptions:
    """Properties of the inputs that the program of a definition depends on.

    Attributes:
        shapes: input name -> the shape of one of its values.
        integers: the inputs that hold integers, such as labels.
        masked: whether sequences may end before others.
        truncated: whether gradients stop anywhere.
    """

    shapes: tuple[tuple[str, Shape], ...]
    integers: tuple[str, ...] = ()
    masked: bool = False
    truncated: bool = False


@dataclass
class Lowered:
    """A definition as nodes.

    Attributes:
        roots: signal name -> the node of its value at step t (of h[t+1] where the equation defines that).
        weights: every tensor that the equations use, with its node, in the order of use.
        keeps: what cuts a gradient that goes `delay` steps back -> its node; 1 where it goes through.
        draws: what is drawn at random at each step, by its name.
    """

    cell: Definition
    options: LoweringOptions
    roots: dict[str, Node] = field(default_factory=dict)
    weights: dict[Tensor, Node] = field(default_factory=dict)
    keeps: dict[int, Node] = field(default_factory=dict)
    draws: dict[str, tuple[ops.DropoutMask, Shape]] = field(default_factory=dict)

    def takes_integers(self, name: str) -> bool:
        """Whether an input's values are integers, such as labels."""
        op = self.roots[name].op
        return isinstance(op, Input) and op.dtype is Dtype.INT


def lowered(cell: Definition, options: LoweringOptions) -> Lowered:
    """The nodes of a definition.

    Raises:
        DefinitionError: where the definition can't be computed, or a size isn't known.
    """
    check(cell)
    return Lowering(cell, options).run()


class Lowering:
    """Makes nodes of expressions, each once; equations in an order in which shapes become known."""

    def __init__(self, cell: Definition, options: LoweringOptions) -> None:
        self.result = Lowered(cell, options)
        self.given_shapes = dict(options.shapes)
        self.integers = integer_inputs(cell).union(options.integers)
        self.made: dict[int, Node] = {}  # id of an expression -> its node
        self.shifts: dict[tuple[Signal, int], Node] = {}
        self.owned: set[Node] = set()  # the values of signals
        self.states = carry_directions(cell) if options.masked else {}
        self.mask = Node(Input(MASK, Dtype.BOOL), (), (), True, "mask") if options.masked else None

    def run(self) -> Lowered:
        """Every signal's node."""
        cell, roots = self.result.cell, self.result.roots
        for signal in cell.signals.values():
            if signal.given:
                roots[signal.name] = self._input(signal)
        for equation in _in_order(cell):
            roots[equation.signal.name] = self._equation(equation)
        for (signal, _), shift in self.shifts.items():
            shift.inputs = (roots[signal.name],)
        result = self.result
        result.roots = {name: roots[name] for name in cell.signals if name in roots}
        return result

    def _input(self, signal: Signal) -> Node:
        shape = self.given_shapes.get(signal.name, signal.shape)
        if shape is None:
            raise DefinitionError(f"the size of the input {signal.name}, declared at {signal.origin}, isn't known "
                                  f"before there are data: declare it, .input({signal.name!r}, size)")
        dtype = Dtype.INT if signal.name in self.integers else Dtype.FLOAT
        return Node(Input(signal.name, dtype), (), shape, True, signal.name, signal.origin)

    def _equation(self, equation: Equation) -> Node:
        """The value of an equation at its step, held or zero where a sequence is over."""
        signal = equation.signal
        for part in nodes([equation.expression], into_tensors=False):
            if id(part) not in self.made:
                self.made[id(part)] = self._part(part, equation)
        value = self.made[id(equation.expression)]
        shape = signal.shape if signal.shape is not None else value.shape
        if value.shape != shape or not value.timed:
            value = Node(ops.BroadcastTo(shape), (value,), shape, True, None, equation.origin)
        elif not isinstance(getattr(equation.expression, "op", None), Op) or value in self.owned:
            value = Node(ops.Identity(), (value,), shape, True, None, equation.origin)
        self.owned.add(value)
        if self.mask is not None:
            value.name = f"{signal.name}_new"
            hold = self.states.get(signal)
            before = number(0.0) if hold is None else self._cut(self._shift(signal, hold, shape), hold)
            value = Node(WHERE, (self.mask, value, before), shape, True, None, equation.origin)
        value.name = signal.name
        return value

    def _part(self, part: Any, equation: Equation) -> Node:
        """One node of an expression; its operands are made."""
        if isinstance(part, Read):
            if part.signal.given and part.offset == 0:
                return self.result.roots[part.signal.name]
            return self._read(part.signal, lead_of(part.signal) - part.offset, equation)
        if isinstance(part, Tensor):
            return self.result.weights.setdefault(
                part, Node(Weight(part), (), part.shape, False, part.label or None, part.origin))
        if not hasattr(part, "op"):
            return number(part)
        operands = tuple(self.made[id(x)] for x in part.inputs)
        if isinstance(part.op, ops.DropoutMask):
            name = draw_name(len(self.result.draws) + 1)
            self.result.draws[name] = part.op, operands[0].shape
            return Node(Input(name), (), operands[0].shape, True, f"{equation.signal.name}_keep", part.origin)
        shape = part.shape if part.shape is not None else shape_of(part.op, operands)
        kind = type(part.op).__name__.lower()
        name = f"{equation.signal.name}_{SHORT.get(kind, kind)}"
        return Node(part.op, operands, shape, True, name, part.origin)

    def _read(self, signal: Signal, delay: int, equation: Equation) -> Node:
        """The signal's value at this step or another one."""
        if delay == 0 and signal.name in self.result.roots:
            return self.result.roots[signal.name]
        if signal.shape is None and signal.name not in self.result.roots:
            raise DefinitionError(f"{signal.name} is read at {equation.origin} before its size is known: declare it, "
                                  f".signal({signal.name!r}, size) at {signal.origin}")
        shape = signal.shape if signal.shape is not None else self.result.roots[signal.name].shape
        return self._cut(self._shift(signal, delay, shape), delay)

    def _shift(self, signal: Signal, delay: int, shape: Shape) -> Node:
        key = signal, delay
        if key not in self.shifts:
            way = "before" if delay > 0 else "after"
            name = f"{signal.name}_{way}{'' if abs(delay) == 1 else abs(delay)}"
            self.shifts[key] = Node(Shift(delay, signal.name), (), shape, True, name, signal.origin)
        return self.shifts[key]

    def _cut(self, shift: Node, delay: int) -> Node:
        """A read through which some steps' gradients don't go."""
        if not self.result.options.truncated or delay == 0:
            return shift
        name = f"goes_back_{delay}" if delay > 0 else f"goes_on_{-delay}"
        keep = self.result.keeps.setdefault(delay, Node(Input(keep_name(delay), shared=True), (), (), True, name))
        return Node(GradientMask(), (shift, keep), shift.shape, True, None, shift.origin)


def lead_of(signal: Signal) -> int:
    """How many steps later than the step of its equation a signal's value is."""
    return signal.equation.lead if signal.equation else 0


def _in_order(cell: Definition) -> list[Equation]:
    """The equations so that each comes after those whose values of the same step it reads."""
    done: dict[Equation, None] = {}
    for start in cell.equations:
        stack = [start]
        while stack:
            waiting = [read.signal.equation for read in reads(stack[-1]) if read.signal.equation
                       and read.offset == read.signal.equation.lead and read.signal.equation not in done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                done[stack.pop()] = None
    return list(done)
