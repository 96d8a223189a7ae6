"""What is computed for all steps at once: in turns by NumPy, and in functions that are compiled.

Products of all steps with one matrix and sums over the steps are one call of BLAS each, which stays. The elementwise
operations between them, and the products of the matrices of each sequence, become one function for each turn.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnn.ir import nodes as ir
from rnn.ir.matrices import is_product, product_kind
from rnn.ir.nodes import Node

from .formulas import Unsupported
from .loops import check_supported

FEWEST = 2  # operations that are worth a call of a function


def phases(nodes: list[Node], static: set[Node]) -> Iterator[tuple[bool, list[Node]]]:
    """Yield the nodes in turns, operands first, and whether they are compiled."""
    waiting = nodes
    kind = {node: _is_compiled(node, static) for node in nodes}
    compiled = False
    while waiting:
        later, unknown = set[Node](), set(waiting)
        for node in waiting:  # what is of the other kind, or depends on it, or on another step of this turn
            free = isinstance(node.op, (ir.View, ir.Leaf)) and node.timed
            before = unknown if isinstance(node.op, ir.Shift) else later
            if (kind[node] is not compiled and not free) or any(x in before for x in node.inputs):
                later.add(node)
        part = [node for node in waiting if node not in later]
        if part:
            yield compiled and _is_worth_it(part), part
        waiting = [node for node in waiting if node in later]
        compiled = not compiled


def _is_compiled(node: Node, static: set[Node]) -> bool:
    """Return whether a node is computed by a compiled function."""
    if not node.timed or node in static or is_product(node) or isinstance(node.op, ir.Concat):
        return False
    if product_kind(node) == (2, 2) or any(x.ndim == 2 and not x.timed for x in node.inputs if product_kind(node)):
        return False  # matmul is faster
    try:
        check_supported(node)
    except Unsupported:
        return False
    return True


def _is_worth_it(part: list[Node]) -> bool:
    """Return whether a function is faster than calls of NumPy, each of which goes through all steps."""
    work = [node for node in part if not isinstance(node.op, (ir.View, ir.Leaf))]
    return len(work) >= FEWEST
