"""An equation made ready to be computed at any step: a list of operations on numbered registers.

Knows one equation at a time, and neither data nor the length of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from minigrad import Op, Tensor, ops
from minigrad.settings import settings
from minigrad.tensor import apply
from rnn.language.dependencies import nodes, roots
from rnn.language.equations import Apply, Definition, Equation, Read, Signal


class Plan:
    """One equation made ready to be computed at any step: operations on numbered registers.

    Attributes:
        start: the registers before a step: constants and parameters filled in.
        reads: (register, signal, offset) of every signal read.
        operations: (op, what picks its operands out of the registers, register of its result, id of
            its expression), in order.
        result: the register of the equation's value.
    """

    def __init__(self, equation: Equation, replayed: Mapping[int, Tensor], batch: tuple[int, ...]) -> None:
        self.equation = equation
        self.start: list[Any] = []
        self.reads: list[tuple[int, Signal, int]] = []
        self.operations: list[tuple[Op, Callable[[list[Any]], Sequence[Any]], int, int]] = []
        register: dict[int, int] = {}
        for node in nodes([equation.expression], into_tensors=False):
            register[id(node)] = len(self.start)
            self.start.append(replayed.get(id(node), node))
            if isinstance(node, Read):
                self.reads.append((register[id(node)], node.signal, node.offset))
            elif isinstance(node, Apply):
                assert node.op is not None
                operands = tuple(register[id(x)] for x in node.inputs)
                if isinstance(node.op, ops.Concatenate):  # the one operation that doesn't broadcast
                    operands = tuple(self._for_batch(i, batch) for i in operands)
                self.operations.append((node.op, _picker(operands), register[id(node)], id(node)))
        self.result = register[id(equation.expression)]

    def _for_batch(self, number: int, batch: tuple[int, ...]) -> int:
        """A register that holds a constant once for each sequence; itself where it holds no constant."""
        value = self.start[number]
        if not isinstance(value, Tensor) or not batch:
            return number
        settings().origin = self.equation.origin
        self.start.append(apply(ops.BroadcastTo((*batch, *value.shape)), value))
        return len(self.start) - 1


def _picker(numbers: tuple[int, ...]) -> Callable[[list[Any]], Sequence[Any]]:
    """What picks the registers of these numbers: itemgetter is faster than a loop, but gives one without a tuple."""
    return itemgetter(*numbers) if len(numbers) > 1 else itemgetter(slice(numbers[0], numbers[0] + 1))


def replayed(cell: Definition) -> dict[int, Tensor]:
    """What the definition computes from parameters alone, computed again from their present values.

    A value that comes from another run stays what it is, connected to that run.
    """
    copies: dict[int, Tensor] = {}
    for node in nodes(roots(cell)):
        if not isinstance(node, Tensor) or node.op is None or node.t is not None:
            continue
        if all(x.t is None and (x.op is None or id(x) in copies) for x in node.inputs):
            settings().origin = node.origin
            copy = copies[id(node)] = apply(node.op, *[copies.get(id(x), x) for x in node.inputs])
            copy.name = node.name
    return copies
