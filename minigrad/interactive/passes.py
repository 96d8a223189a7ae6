"""How far a backward pass is, from the local variables of the functions of minigrad/backward.py.

A pass goes through the nodes from the newest to the oldest, so the order of creation tells it.
"""

from __future__ import annotations

import heapq
from typing import Any

from .progress import UNKNOWN, Call, State


def of_backward(variables: dict[str, Any], call: Call) -> State:
    """Return the state of `backward`."""
    out, node = variables["out"], variables.get("node")
    if node is None:
        return UNKNOWN
    if "oldest" not in call.memory:
        call.memory["oldest"] = _oldest(out)
    return State(out.order - node.order, out.order - call.memory["oldest"])


def of_gradients(variables: dict[str, Any], call: Call) -> State:
    """Return the state of `compute_gradients`."""
    out, node, useful = (variables.get(name) for name in ("out", "node", "useful"))
    if out is None or node is None or not useful:
        return UNKNOWN
    return State(out.order - node.order, out.order - next(iter(useful)).order)


def _oldest(out: Any) -> int:
    """Return the order of the oldest node of a graph that an operation computed.

    Goes to the oldest node that is known each time, which leads through a recurrence without a detour.
    """
    seen, waiting, found = {out}, [(out.order, out)], out.order
    while waiting:
        order, node = heapq.heappop(waiting)
        found = min(found, order)
        for x in node.inputs:
            if x.op is not None and x not in seen:
                seen.add(x)
                heapq.heappush(waiting, (x.order, x))
    oldest: int = found
    return oldest
