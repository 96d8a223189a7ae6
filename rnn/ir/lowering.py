"""Lowering: translate the equations of a definition into IR nodes, with masks, truncation and boundaries made explicit.

The nodes compute what `unroll` computes, for any number of steps and any batch. Of the data only their
shapes are known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minigrad import Op, Tensor, ops
from minigrad.operators import ADD, WHERE
from rnn.language.cycles import check
from rnn.language.dependencies import (
    DefinitionError,
    integer_inputs,
    nodes,
    random_draws,
    roots,
    same_step_reads,
    static_expressions,
)
from rnn.language.equations import Definition, Equation, Signal
from rnn.language.expressions import Apply, Expression, Read, Static, StepNumber, is_static, operands_without_type
from rnn.language.graphs import postorder

from . import nodes as ir
from .nodes import STEP, Node, Shape, apply, keep_name, number

KINDS: dict[str, ir.Dtype] = {"f": "float", "i": "int", "b": "bool"}
SHORT = {"matvec": "product", "matmul": "product", "add": "sum", "concatenate": "joined"}


@dataclass(frozen=True)
class LoweringOptions:
    """The properties of the data on which the program depends.

    Attributes:
        shapes: input name -> the shape of one of its values.
        integers: the inputs that hold integers, such as labels.
        masked: whether sequences may have different lengths. Each has its own steps at the front.
        after: the signals with values after the end, which sequences that have ended are read with.
        truncated: whether gradients are cut at some steps.
    """

    shapes: tuple[tuple[str, Shape], ...]
    integers: tuple[str, ...] = ()
    masked: bool = False
    after: tuple[str, ...] = ()
    truncated: bool = False


def lower(cell: Definition, options: LoweringOptions) -> Lowered:
    """Return the nodes of a definition.

    Raises:
        DefinitionError: if the definition can't be computed, or a size is unknown.
    """
    check(cell)
    return Lowered(cell, options)


class Lowered:
    """A definition as nodes. Each expression is translated once, equations in an order in which shapes are known.

    Attributes:
        roots: signal name -> the node of its value at step t (of h[t+1] if the equation defines that).
        givens: name -> the node of data: an input, or the values of a signal after the end of each sequence.
        weights: every tensor that the equations use -> its node, in the order of use.
        statics: name -> the node of an expression of statics alone: data that are the same at all steps.
        keeps: delay -> the input that masks the gradient of reads with this delay; 1 where it passes.
        draws: name of an input that is drawn at random at each step -> its operation and shape.
        node_of: id of an expression -> its node.
    """

    def __init__(self, cell: Definition, options: LoweringOptions) -> None:
        self.cell = cell
        self.options = options
        self.weights: dict[Tensor, Node] = {}
        self.keeps: dict[int, Node] = {}
        self.draws: dict[str, tuple[ops.DropoutMask, Shape]] = {}
        self.draw_names = {id(x): f"{ir.ADDED}drawn {n}" for n, x in enumerate(random_draws(cell), 1)}
        self.node_of: dict[int, Node] = {}
        self.static_names = {id(x): f"{ir.STATIC}{n}" for n, x in enumerate(static_expressions(cell), 1)}
        self.statics: dict[str, Node] = {}
        self.shifts: dict[tuple[Signal, int], Node] = {}
        self.signal_values: set[Node] = set()
        self.mask = Node(ir.Input(ir.MASK, "bool"), (), (), True, "mask") if options.masked else None
        self.givens = {signal.name: self._input(signal) for signal in cell.signals.values() if signal.given}
        self.roots = dict(self.givens)
        for equation in postorder(cell.equations, same_step_reads):
            self.roots[equation.signal.name] = self._equation(equation)
        for (signal, _), shift in self.shifts.items():  # only now has every signal a node
            shift.inputs = (self.roots[signal.name],)
        self.roots = {name: self.roots[name] for name in cell.signals if name in self.roots}
        self.draws = {name: self.draws[name] for name in self.draw_names.values() if name in self.draws}

    def _input(self, signal: Signal) -> Node:
        shape = dict(self.options.shapes).get(signal.name, signal.shape)
        if shape is None:
            raise DefinitionError(f"the size of the input {signal.name}, declared at {signal.origin}, isn't known "
                                  f"before there are data: declare it, .input({signal.name!r}, size)")
        integers = integer_inputs(self.cell).union(self.options.integers)
        op = ir.Input(signal.name, "int" if signal.name in integers else "float")
        return Node(op, (), shape, True, signal.name, signal.origin)

    def _equation(self, equation: Equation) -> Node:
        """Return the value of an equation at its step; after a sequence's end that of the boundary, or zero."""
        signal = equation.signal
        for part in nodes([equation.expression], into_tensors=False):
            if id(part) not in self.node_of:
                self.node_of[id(part)] = self._expression(part, equation)
        value = self.node_of[id(equation.expression)]
        shape = signal.shape if signal.shape is not None else value.shape
        if value.shape != shape or not value.timed:
            value = Node(ops.BroadcastTo(shape), (value,), shape, True, None, equation.origin)
        elif not isinstance(getattr(equation.expression, "op", None), Op) or isinstance(value.op, ir.Input) \
                or value in self.signal_values \
                or equation.expression.kind != "f":  # truth values become numbers
            value = Node(ops.Identity(), (value,), shape, True, None, equation.origin)  # a signal has its own node
        self.signal_values.add(value)
        if self.mask is not None:
            value.name = f"{signal.name}_new"
            after = number(0.0)
            if signal.name in self.options.after:
                name = ir.after_name(signal.name)
                after = self.givens[name] = Node(ir.Input(name), (), shape, True, f"{signal.name}_end", signal.origin)
            value = Node(WHERE, (self.mask, value, after), shape, True, None, equation.origin)
        value.name = signal.name
        return value

    def _expression(self, part: Any, equation: Equation) -> Node:
        """Return the node of an expression whose operands have theirs."""
        if isinstance(part, Read):
            if part.signal.given and part.offset == 0:
                return self.roots[part.signal.name]
            return self._read(part.signal, part.signal.lead - part.offset, equation)
        if isinstance(part, StepNumber):
            step = self.node_of.setdefault(id(STEP), Node(ir.Input(STEP), (), (), True, "step"))
            return apply(ADD, step, number(part.offset)) if part.offset else step
        if isinstance(part, Tensor):
            return self.weights.setdefault(
                part, Node(ir.Weight(part), (), part.shape, False, part.label or None, part.origin))
        if not hasattr(part, "op"):
            return number(part)
        if self.static_names and is_static(part):
            return self._static(part, equation)
        operands = _typed(part, [self.node_of[id(x)] for x in part.inputs])
        if part.op.random:  # drawn outside, in the order of `unroll`
            if not isinstance(part.op, ops.DropoutMask):
                raise DefinitionError(f"{part.op!r}, at {part.origin}, draws at random: of such operations compiled "
                                      "programs and exports know mg.dropout alone. Give its draws as an input")
            name = self.draw_names[id(part)]
            self.draws[name] = part.op, operands[0].shape
            return Node(ir.Input(name), (), operands[0].shape, True, f"{equation.signal.name}_keep", part.origin)
        if self.mask is not None and part.op.regular is not None:  # 0 times an infinite derivative is NaN
            regular, label = number(part.op.regular), f"{equation.signal.name}_regular"
            operands = tuple(Node(WHERE, (self.mask, x, regular), x.shape, True, label, part.origin) if x.timed else x
                             for x in operands)
        shape = part.shape if part.shape is not None else part.op.result_shape(*(x.shape for x in operands))
        kind = type(part.op).__name__.lower()
        name = f"{equation.signal.name}_{SHORT.get(kind, kind)}"
        return Node(part.op, operands, shape, True, name, part.origin)

    def _static(self, part: Expression, equation: Equation) -> Node:
        """Return the node of an expression of statics and Tensors: its values are computed before, once for a call."""
        shape = part.shape
        if shape is None and isinstance(part, Static):
            shape = dict(self.options.shapes)[part.name]
        elif shape is None:
            assert part.op is not None
            shape = part.op.result_shape(*(self.node_of[id(x)].shape for x in part.inputs))
        wish = part.name if isinstance(part, Static) else f"{equation.signal.name}_static"
        name = self.static_names.get(id(part), "")
        node = Node(ir.Input(name, KINDS[part.kind], static=True), (), shape, True, wish, part.origin)
        if name:
            self.statics[name] = node
        return node

    def _read(self, signal: Signal, delay: int, equation: Equation) -> Node:
        """Return the signal's value at this step or another one."""
        if delay == 0 and signal.name in self.roots:
            return self.roots[signal.name]
        if signal.shape is None and signal.name not in self.roots:
            raise DefinitionError(f"{signal.name} is read at {equation.origin} before its size is known: declare it, "
                                  f".signal({signal.name!r}, size) at {signal.origin}")
        shape = signal.shape if signal.shape is not None else self.roots[signal.name].shape
        return self._truncate(self._shift(signal, delay, shape), delay)

    def _shift(self, signal: Signal, delay: int, shape: Shape) -> Node:
        key = signal, delay
        if key not in self.shifts:
            side = "before" if delay > 0 else "after"
            name = f"{signal.name}_{side}{'' if abs(delay) == 1 else abs(delay)}"
            self.shifts[key] = Node(ir.Shift(delay, signal.name), (), shape, True, name, signal.origin)
        return self.shifts[key]

    def _truncate(self, shift: Node, delay: int) -> Node:
        """Return a read whose gradient is masked, if gradients are cut."""
        if not self.options.truncated or delay == 0:
            return shift
        name = f"keep_before{delay}" if delay > 0 else f"keep_after{-delay}"
        shared = not self.options.masked or delay > 0  # a value after the end belongs to each sequence's own last step
        keep = self.keeps.setdefault(delay, Node(ir.Input(keep_name(delay), shared=shared), (), (), True, name))
        return Node(ir.GradientMask(), (shift, keep), shift.shape, True, f"{shift.name}_cut", shift.origin)


def static_nodes(cell: Definition, shapes: Mapping[str, Shape], among: Iterable[Any] | None = None) -> dict[int, Node]:
    """Return the nodes of all expressions of statics and Tensors alone, boundary values included, by id, in order.

    `Lowered` takes the values of the largest of them as data. Here "timed" means a value for each sequence.

    Args:
        shapes: static -> the shape of its value for one sequence.
        among: the values of the definition whose expressions are listed; None: all.

    Raises:
        DefinitionError: where a static is multiplied by random numbers.
    """
    found: dict[int, Node] = {}
    for part in nodes(roots(cell) if among is None else among, into_tensors=False) if cell.statics else ():
        if isinstance(part, Static):
            found[id(part)] = Node(ir.Input(part.name), (), shapes[part.name], True, part.name, part.origin)
        elif isinstance(part, Tensor):
            found[id(part)] = Node(ir.Weight(part), (), part.shape, False, part.label or None, part.origin)
        elif not isinstance(part, Expression):
            found[id(part)] = number(part)
        elif isinstance(part, Apply) and part.op is not None and all(id(x) in found for x in part.inputs):
            operands = _typed(part, [found[id(x)] for x in part.inputs])
            if part.op.random:
                raise DefinitionError(f"mg.dropout of a value without a time axis, at {part.origin}, can't be exported")
            shape = part.op.result_shape(*(x.shape for x in operands))
            found[id(part)] = Node(part.op, operands, shape, True, None, part.origin)
    return found


def _typed(part: Apply, operands: list[Node]) -> tuple[Node, ...]:
    """Return the operands of an expression, truth values and integers as numbers where NumPy would choose the type."""
    for place in operands_without_type(part):
        x = operands[place]
        if isinstance(part.inputs[place], Expression):
            operands[place] = Node(ops.Identity(), (x,), x.shape, x.timed, None, part.origin)
    return tuple(operands)


def split_products(nodes: list[Node]) -> None:
    """Rewrite W [a, b] as W_a a + W_b b, so that the part that no loop needs can be computed outside of it.

        h_product[t] = MatVec(W, h_joined[t])       h_product[t] = AddN(h_product2[t], h_product3[t])
        h_joined[t] = Concatenate(x[t], h[t-1])     h_product2[t] = MatVec(W_x, x[t]); W_x = columns of W ...
    """
    for node in nodes:
        if not isinstance(node.op, ops.MatVec) or node.inputs[0].timed or node.inputs[0].ndim != 2:
            continue
        W, joined = node.inputs
        if not isinstance(joined.op, ops.Concatenate) or not all(x.timed for x in joined.inputs):
            continue
        terms, start = [], 0
        for part in joined.inputs:
            stop = start + part.shape[0]
            shape, name = (W.shape[0], stop - start), f"{W.name}_{part.name}"
            columns = Node(ir.ColumnSlice(start, stop), (W,), shape, False, name)
            terms.append(Node(ops.MatVec(), (columns, part), node.shape, True, f"{node.name}_product", node.origin))
            start = stop
        node.op, node.inputs = ir.AddN(), tuple(terms)
