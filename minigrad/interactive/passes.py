"""How far a backward pass is, from the local variables of the functions of minigrad/backward.py.

A pass goes through the nodes from the newest to the oldest, so the order of creation tells it.
"""

from __future__ import annotations

from typing import Any

from .progress import UNKNOWN, Call, State


def of_backward(variables: dict[str, Any], call: Call) -> State:
    """Return the state of `backward`."""
    out, node = variables["out"], variables.get("node")
    if node is None:
        return UNKNOWN
    if "oldest" not in call.memory:
        call.memory["oldest"] = _old_node(out).order
    return State(out.order - node.order, out.order - call.memory["oldest"])


def of_gradients(variables: dict[str, Any], call: Call) -> State:
    """Return the state of `compute_gradients`."""
    out, node, useful = (variables.get(name) for name in ("out", "node", "useful"))
    if out is None or node is None or not useful:
        return UNKNOWN
    return State(out.order - node.order, out.order - next(iter(useful)).order)


def _old_node(out: Any) -> Any:
    """Return one of the oldest nodes of a graph: the end of the path that goes to the oldest input each time.

    To find the oldest of all would take as long as a pass.
    """
    while True:
        before = [x for x in out.inputs if x.op is not None]
        if not before:
            return out
        out = min(before, key=_order)


def _order(node: Any) -> int:
    order: int = node.order
    return order
