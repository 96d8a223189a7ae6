"""Evaluation of one equation at any time step, by a program on numbered registers.

An unroll computes the same expression T times, so its graph is walked once: every node gets a register, and
the operations become a list. A step copies the registers, where constants and parameters are filled in, loads
the signals that it reads, and executes the list. Independent of data and of the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.operators import IDENTITY
from minigrad.settings import override
from minigrad.tensor import apply, constant
from rnn.language.dependencies import computed_tensors, integer_tensors, nodes, once_expressions, written_tensors
from rnn.language.equations import Definition, Equation, Signal
from rnn.language.expressions import Apply, Expression, Read, Static, StepNumber, operands_without_type

from .inputs import Inputs

N = TypeVar("N", Tensor, Expression)


class RegisterProgram:
    """One equation as a list of operations on numbered registers.

    `replacements` maps the id of a Tensor or expression in it to the Tensor to use instead (see
    recompute_from_parameters, compute_statics); `inputs` gives the batch and the type of floats.
    """

    def __init__(self, equation: Equation, replacements: Mapping[int, Tensor], inputs: Inputs) -> None:
        self.equation = equation
        self.inputs = inputs
        self.start: list[Any] = []  # the registers before a step, with constants and parameters filled in
        self.reads: list[tuple[int, Signal, int]] = []  # (register, signal, offset)
        self.step_numbers: list[tuple[int, int]] = []  # (register, offset)
        # (op, registers of its operands, register of its result, id of its expression), in order
        self.operations: list[tuple[Op, tuple[int, ...], int, int]] = []
        # register of a result -> the operands, by their position, that depend on the step, if the operation is singular
        # for some numbers
        self.singular: dict[int, tuple[int, ...]] = {}
        register: dict[int, int] = {}
        for node in nodes([equation.expression], into_tensors=False):
            register[id(node)] = len(self.start)
            self.start.append(replacements.get(id(node), node))
            if id(node) in replacements:
                continue
            if isinstance(node, Read):
                self.reads.append((register[id(node)], node.signal, node.offset))
            elif isinstance(node, StepNumber):
                self.step_numbers.append((register[id(node)], node.offset))
            elif isinstance(node, Apply):
                assert node.op is not None
                operands = tuple(register[id(x)] for x in node.inputs)
                if node.op.aligned:
                    operands = tuple(self._repeat_for_batch(number) if isinstance(x, Tensor) else number
                                     for number, x in zip(operands, node.inputs))
                if places := operands_without_type(node):
                    operands = tuple(self._convert(number) if place in places else number
                                     for place, number in enumerate(operands))
                if node.op.regular is not None:
                    self.singular[register[id(node)]] = tuple(
                        place for place, x in enumerate(node.inputs) if isinstance(x, Expression))
                self.operations.append((node.op, operands, register[id(node)], id(node)))
        self.result = register[id(equation.expression)]  # the register of the equation's value

    def _repeat_for_batch(self, number: int) -> int:
        """Return a register with a constant repeated for each sequence."""
        if not self.inputs.batch:
            return number
        with override(origin=self.equation.origin):  # else it would be the line that calls unroll
            self.start.append(_repeated(self.start[number], self.inputs.batch))
        return len(self.start) - 1

    def _convert(self, number: int) -> int:
        """Return a register with a value in the definition's type of floats."""
        value, dtype = self.start[number], self.inputs.dtype
        if isinstance(value, (Expression, Tensor)):
            cast = ops.Cast(dtype)
            self.operations.append((cast, (number,), len(self.start), id(cast)))
        self.start.append(value if isinstance(value, (Expression, Tensor)) else constant(np.asarray(value, dtype)))
        return len(self.start) - 1


def _repeated(value: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Return a value of all sequences repeated for each of them."""
    repeated: Tensor = apply(ops.BroadcastTo((*batch, *value.shape)), value)
    return repeated


def recompute_from_parameters(cell: Definition, among: Iterable[Any] | None = None) -> dict[int, Tensor]:
    """Recompute every Tensor that the definition computes from parameters alone, e.g. W.T, from their present values.

    The result maps the id of the Tensor in the definition to the new one. A value that comes from another run
    is kept, connected to that run.

    Args:
        among: the values of the definition whose Tensors are recomputed; None: all.
    """
    copies: dict[int, Tensor] = {}
    for node in _part_of(computed_tensors(cell), among):
        assert node.op is not None
        if all(x.t is None and (x.op is None or id(x) in copies) for x in node.inputs):
            with override(origin=node.origin):  # the copy reports the line that wrote the original
                copy = copies[id(node)] = apply(node.op, *[copies.get(id(x), x) for x in node.inputs])
            copy.name = node.name
    return copies


def compute_statics(cell: Definition, inputs: Inputs, replacements: Mapping[int, Tensor],
                    among: Iterable[Any] | None = None) -> dict[int, Tensor]:
    """Compute every expression of statics and Tensors alone, which is the same at all steps, once.

    Args:
        inputs: the data, which contain the values of the statics.
        replacements: as recompute_from_parameters returns them.
        among: the values of the definition whose expressions are computed; None: all.

    Returns:
        id of the expression -> its value, (*batch, *shape).
    """
    found: dict[int, Tensor] = {}
    for node in _part_of(once_expressions(cell), among):
        if isinstance(node, Static):
            found[id(node)] = _static_value(node, inputs)
        else:
            operands = [found.get(id(x), replacements.get(id(x), x)) for x in node.inputs]
            with override(origin=node.origin):
                assert node.op is not None
                if node.op.aligned:
                    operands = [_repeated(x, inputs.batch) if isinstance(x, Tensor) and id(y) not in found else x
                                for x, y in zip(operands, node.inputs)]
                for place in operands_without_type(node):
                    x = operands[place]
                    operands[place] = apply(ops.Cast(inputs.dtype), x if isinstance(x, Tensor) else np.asarray(x))
                stop = isinstance(node.op, ops.StopGradient)
                found[id(node)] = operands[0].detach() if stop else apply(node.op, *operands)
    return found


def _part_of(every: list[N], values: Iterable[Any] | None) -> list[N]:
    """Return those of some nodes that values are computed from, the values included; all for None."""
    if values is None:
        return every
    wanted = {id(node) for node in nodes(values)}
    return [node for node in every if id(node) in wanted]


def _static_value(static: Static, inputs: Inputs) -> Tensor:
    """Return the value of a static, with the axes of the batch."""
    value, shape = inputs.statics[static.name], inputs.batch + inputs.shapes[static.name]
    with override(origin=inputs.origin):
        tensor: Tensor = value if isinstance(value, Tensor) else constant(value)
        tensor = apply(IDENTITY if tensor.shape == shape else ops.BroadcastTo(shape), tensor)
    tensor.name = static.name
    return tensor


def convert_constants(cell: Definition, dtype: np.dtype[Any], copies: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Return `copies`, and a copy in the definition's type of every other Tensor that would widen it.

    Constants are converted, a Tensor that requires a gradient by a recorded Cast. Labels stay integers.
    """
    found, labels = dict(copies), integer_tensors(cell)
    for node in written_tensors(cell):
        if node.dtype == dtype or id(node) in labels:
            continue
        x = found.get(id(node), node)
        if not x.requires_grad:
            found[id(node)] = constant(x.numpy().astype(dtype), x.name, x.origin)
        elif not np.can_cast(x.dtype, dtype):
            with override(origin=x.origin):
                found[id(node)] = apply(ops.Cast(dtype), x)
    return found
