"""The order in which a program's nodes are computed: all steps at once where no loop passes through.

A strongly connected component of the nodes is a loop: it has to be computed step by step, forward or
backward in time. Every other node can be computed for all steps in one go. (It is what a compiler
calls loop distribution: Allen and Kennedy, Optimizing compilers for modern architectures, 2001,
section 5.2.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .analysis import DefinitionError, components
from .nodes import Node, Shift


class Flow(NamedTuple):
    """`target` is computed from the value that `source` had `delay` steps before."""

    source: Node
    target: Node
    delay: int


@dataclass(frozen=True)
class Block:
    """Nodes that are computed together.

    Attributes:
        nodes: in the order in which they are computed.
        direction: 1 for a loop from the first step on, -1 from the last back; 0: for all steps at once.
    """

    nodes: tuple[Node, ...]
    direction: int


def flows(nodes: Iterable[Node]) -> list[Flow]:
    """What each node is computed from."""
    return [Flow(x, node, node.op.delay if isinstance(node.op, Shift) else 0) for node in nodes for x in node.inputs]


def loops(nodes: list[Node]) -> list[list[Node]]:
    """The nodes of each loop, in the order of `nodes`."""
    place = {node: number for number, node in enumerate(nodes)}
    edges = [flow for flow in flows(nodes) if flow.source in place]
    return [sorted({flow.target for flow in loop}, key=place.__getitem__)
            for loop in components(nodes, edges)]  # type: ignore[arg-type, type-var]


def blocks(nodes: list[Node]) -> list[Block]:
    """The order of computation; nodes that aren't given here are there already.

    Raises:
        DefinitionError: where a loop reads ahead of itself.
    """
    place = {node: number for number, node in enumerate(nodes)}
    found = loops(nodes)
    group: dict[Node, int] = {node: -1 - number for node, number in place.items()}
    for number, loop in enumerate(found):
        group.update(dict.fromkeys(loop, number))
    members: dict[int, list[Node]] = {}
    for node in nodes:
        members.setdefault(group[node], []).append(node)
    result: list[Block] = []
    for number in _sorted(members, group, place):
        if number < 0 and result and result[-1].direction == 0:
            result[-1] = Block((*result[-1].nodes, *members[number]), 0)
        elif number < 0:
            result.append(Block(tuple(members[number]), 0))
        else:
            result.append(_loop(members[number], place))
    return result


def _sorted(members: dict[int, list[Node]], group: dict[Node, int], place: dict[Node, int]) -> list[int]:
    """The groups so that each comes after those that it reads."""
    needs: dict[int, dict[int, None]] = {number: {} for number in members}
    for flow in flows(place):
        if flow.source in place and group[flow.source] != group[flow.target]:
            needs[group[flow.target]][group[flow.source]] = None
    done: dict[int, None] = {}
    for start in members:
        stack = [start]
        while stack:
            waiting = [x for x in needs[stack[-1]] if x not in done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                done[stack.pop()] = None
    return list(done)


def _loop(members: list[Node], place: dict[Node, int]) -> Block:
    """A loop's nodes in the order of one step: a read of another step comes first."""
    inside = set(members)
    delays = [node.op.delay for node in members if isinstance(node.op, Shift) and node.inputs[0] in inside]
    direction = 1 if max(delays) > 0 else -1
    ahead = [node for node in members if isinstance(node.op, Shift) and node.op.delay * direction < 0]
    if ahead:
        raise DefinitionError(f"a loop that runs {'forward' if direction > 0 else 'backward'} in time reads ahead of "
                              f"itself at {ahead[0].origin}: this can be unrolled, and not compiled")
    order: dict[Node, None] = {}
    for start in members:
        stack = [start]
        while stack:
            node = stack[-1]
            sources = () if isinstance(node.op, Shift) and node.op.delay else node.inputs
            waiting = [x for x in sources if x in inside and x not in order]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                order[stack.pop()] = None
    return Block(tuple(order), direction)
