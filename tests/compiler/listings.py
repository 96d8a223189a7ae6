"""The results of compiler passes as text: what the READMEs of rnn.ir and rnn.compiler show.

Each function takes `names`, which collects a unique name for each node, so that several listings agree.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rnn.compiler.buffers import BufferPlan
from rnn.ir import nodes as ir
from rnn.ir.nodes import Node
from rnn.ir.schedule import Block


def list_nodes(nodes: Iterable[Node], names: dict[Node, str]) -> str:
    """Return a graph, one equation a line: `h[t] = Tanh(h_sum[t])`, and the shape of the result."""
    return "\n".join(f"{_equation(node, names):<58} {node.shape}" for node in nodes
                     if not isinstance(node.op, ir.Number))


def list_blocks(blocks: Iterable[Block], names: dict[Node, str]) -> str:
    """Return scheduled nodes, under the head of their loop."""
    heads = "all steps at once:", "for t = 1 … T:", "for t = T … 1:"
    return "\n".join(f"{heads[block.direction]}\n{textwrap.indent(list_nodes(block.nodes, names), '    ')}"
                     for block in blocks)


def list_arrays(plan: BufferPlan, names: dict[Node, str]) -> str:
    """Return the arrays of a program, one value a line: its array, or in which other one it is."""
    return "\n".join(f"{_reference(node, names):<20} {_place(plan, node, names)}" for node in plan.lifetimes.nodes
                     if node.timed and not isinstance(node.op, ir.Backward))


def _place(plan: BufferPlan, node: Node, names: dict[Node, str]) -> str:
    margins, parent = plan.lifetimes.margins, plan.parent(node)
    if node in plan.lifetimes.carried:
        return f"none: {_reference(node.inputs[0], names)} of the previous iteration is still there"
    if parent is not None:
        relation = "overwritten by" if node in plan.alias_of else "part of" if node in plan.slot_in else "view of"
        return f"{relation} {_reference(parent, names)}"
    rows = ("", "S, ", f"T + {sum(margins[node])}, " if node in margins else "T, ")[plan.extent(node)]
    return f"array ({rows}{', '.join(map(str, ('B', *node.shape)))})"


def _equation(node: Node, names: dict[Node, str]) -> str:
    op, left = node.op, _reference(node, names)
    if isinstance(op, ir.Leaf):
        return f"{left}: {type(op).__name__.lower()}"
    if isinstance(op, ir.Shift):
        return f"{left} = {_reference(node.inputs[0], names, f't{-op.delay:+d}')}"
    if isinstance(op, ir.AtStep):
        step = op.step if op.step > 0 else f"T{op.step + 1:+d}" if op.step < -1 else "T"
        return f"{left} = {_reference(node.inputs[0], names, step)}"
    options = [f"{name}={getattr(value, '__name__', repr(value))}" for name, value in vars(op).items()]
    operands = [_reference(x, names) for x in node.inputs]
    return f"{left} = {type(op).__name__}({', '.join([*operands, *options])})"


def _reference(node: Node, names: dict[Node, str], step: object = "t") -> str:
    """Return how a listing refers to the value of a node at a step."""
    if isinstance(node.op, ir.Number):
        return repr(node.op.value)
    if node not in names:
        wish, count = node.name or "v", 1
        while (name := wish if count == 1 else f"{wish}{count}") in names.values():
            count += 1
        names[node] = name
    return f"{names[node]}[{step}]" if node.timed else names[node]
