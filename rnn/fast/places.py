"""Where the elements of a value lie: which array of the program, and at which indices of it.

The buffer plan lets values share arrays: one overwrites another, or is a part, a transposition or a view of it. All of
these are affine: index k of the array is offset + step * index of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minigrad import ops
from rnn.compiler.buffers import BufferPlan, Extent
from rnn.ir import nodes as ir
from rnn.ir.nodes import Node


class Axis(NamedTuple):
    """The index of one axis of an array: offset + step * the index of axis `of` of the value; None: the offset."""

    offset: int
    step: int
    of: int | None

    def text(self, variables: Sequence[str]) -> str:
        """Return the index as Python text, from the indices of the value."""
        if self.of is None or variables[self.of] == "0":
            return str(self.offset)
        index = variables[self.of] if self.step == 1 else f"{self.step} * {variables[self.of]}"
        return f"{self.offset} + {index}" if self.offset else index


@dataclass(frozen=True)
class Place:
    """Where the elements of a value lie.

    Attributes:
        array: the node whose array it is.
        axes: one for each axis of that array which is an axis of the node's value.
        lead: the indices before them: "t" and "b" where the array has steps and sequences.
        lanes: the length of a lane, where the lanes of the array are stored apart; else 0.
    """

    array: Node
    axes: tuple[Axis, ...]
    lead: tuple[str, ...]
    lanes: int

    def text(self, array: str, variables: Sequence[str], offset: int = 0) -> str:
        """Return the expression for one element.

        Args:
            array: the name of the array.
            variables: the indices of the value.
            offset: of the first axis: the elements of a lane.
        """
        axes = self.axes
        if offset:
            axes = tuple(x._replace(offset=x.offset + x.step * offset) if x.of == 0 else x for x in axes)
        lead = self.lead
        if self.lanes:
            lane, start = divmod(axes[0].offset, self.lanes)
            axes = (axes[0]._replace(offset=start), *axes[1:])
            lead = (*lead[:-1], str(lane), lead[-1])
        index = ", ".join([*lead, *(x.text(variables) for x in axes)])
        return f"{array}[{index}]"

    def whole(self, shape: tuple[int, ...]) -> bool:
        """Return whether a value of this shape is the whole array."""
        return self.array.shape == shape and not self.lanes \
            and all(x == Axis(0, 1, k) for k, x in enumerate(self.axes))


def place_of(node: Node, plan: BufferPlan) -> Place:
    """Return where the elements of a value lie."""
    ndim = node.ndim
    axes = [Axis(0, 1, k) for k in range(ndim)]
    while True:
        if node in plan.alias_of:
            node = plan.alias_of[node]
        elif node in plan.lifetimes.carried:
            node = node.inputs[0]
        elif node in plan.slot_in:
            node, start = plan.slot_in[node]
            axes[0] = axes[0]._replace(offset=axes[0].offset + start)
        elif node in plan.inplace_of:
            node = plan.inplace_of[node]
        elif isinstance(node.op, ir.View) and not isinstance(node.op, ir.Shift):
            axes = _in_parent(node, axes)
            node = node.inputs[0]
        else:
            break
    lanes = node.shape[0] // plan.lanes[node] if node in plan.lanes else 0
    return Place(node, tuple(axes), _lead(node, plan), lanes)


def _lead(node: Node, plan: BufferPlan) -> tuple[str, ...]:
    """Return the indices of the axes in front of a value's own."""
    if node in plan.lifetimes.static or plan.extent(node) == Extent.ONE:
        return ("b",)
    return ("t", "0") if isinstance(node.op, ir.Input) and node.op.shared else ("t", "b")


def _in_parent(view: Node, axes: list[Axis]) -> list[Axis]:
    """Return the indices of the value that a view shows, from the indices of the view."""
    op, shape = view.op, view.inputs[0].shape
    if isinstance(op, ir.Slice):
        return [axes[0]._replace(offset=axes[0].offset + op.start), *axes[1:]]
    if isinstance(op, ir.Transposed):
        return [*axes[:-2], axes[-1], axes[-2]]
    if not isinstance(op, ir.Part):
        return axes
    indexed = sum(x is not None for x in op.index)
    found = list(axes[:len(shape) - indexed])
    rest = iter(axes[len(found):])
    for x in op.index:
        if x is None:
            next(rest)
            continue
        length = shape[len(found)]
        if isinstance(x, slice):
            start, _, step = x.indices(length)
            axis = next(rest)
            found.append(Axis(start + step * axis.offset, step * axis.step, axis.of))
        else:
            found.append(Axis(x % length, 0, None))
    return found


def peeled(node: Node, offset: int = 0) -> tuple[Node, int]:
    """Return the value of which a node shows elements from `offset` on, through slices and masks of gradients."""
    while node.timed and isinstance(node.op, (ir.Slice, ir.GradientMask)):
        offset += node.op.start if isinstance(node.op, ir.Slice) else 0
        node = node.inputs[0]
    return node, offset


def is_bool(node: Node) -> bool:
    """Return whether the elements of a value are truth values."""
    node, _ = peeled(node)
    while isinstance(node.op, ir.View):
        node = node.inputs[0]
    return isinstance(node.op, ops.Compare) or (isinstance(node.op, ir.Input) and node.op.dtype == "bool")
