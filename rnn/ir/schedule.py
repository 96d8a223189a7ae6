"""The order in which a program's nodes are computed: all steps at once where no loop passes through.

A strongly connected component of the nodes is a loop: it has to be computed step by step, forward or
backward in time. Every other node can be computed for all steps in one go. (It is what a compiler
calls loop distribution: Allen and Kennedy, Optimizing compilers for modern architectures, 2001,
section 5.2.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rnn.language.graphs import components

from .nodes import InputGrad, Node, Shift


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
        late: by how many steps each node of a loop comes later than the earliest ones; all 0, unless
            the loop reads ahead of itself somewhere.
    """

    nodes: tuple[Node, ...]
    direction: int
    late: Mapping[Node, int] = field(default_factory=dict)

    @property
    def skewed(self) -> bool:
        """Whether some nodes are computed later than others."""
        return any(self.late.values())


def flows(nodes: Iterable[Node]) -> list[Flow]:
    """What each node is computed from."""
    return [Flow(x, node, node.op.delay if isinstance(node.op, Shift) else 0) for node in nodes for x in node.inputs]


def loops(nodes: list[Node]) -> list[list[Node]]:
    """The nodes of each loop, in the order of `nodes`."""
    place = {node: number for number, node in enumerate(nodes)}
    edges = [flow for flow in flows(nodes) if flow.source in place]
    found = [{flow.target: None for flow in loop} for loop in components(nodes, edges)]
    return [sorted(loop, key=place.__getitem__) for loop in found]


def blocks(nodes: list[Node]) -> list[Block]:
    """The order of computation; nodes that aren't given here are there already."""
    place = {node: number for number, node in enumerate(nodes)}
    found = loops(nodes)
    group: dict[Node, int] = {node: -1 - number for node, number in place.items()}
    for number, loop in enumerate(found):
        group.update(dict.fromkeys(loop, number))
    for node in nodes:
        if isinstance(node.op, InputGrad):  # what an operation's derivative returns is gone after the step
            whole = group.get(node.inputs[0], -1)
            group[node] = whole if whole >= 0 else group[node]
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
            result.append(_loop(members[number]))
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


def _loop(members: list[Node]) -> Block:
    """A loop's nodes in the order of one round: a value comes after what it reads of the same round."""
    inside = set(members)
    edges = [flow for flow in flows(members) if flow.source in inside]
    direction = 1 if max(flow.delay for flow in edges) > 0 else -1
    late = _late(members, edges, direction)
    if late is None:
        direction = -direction
        late = _late(members, edges, direction)
    assert late is not None  # analysis.check has seen to it
    order: dict[Node, None] = {}
    for start in members:
        stack = [start]
        while stack:
            node = stack[-1]
            delay = node.op.delay * direction if isinstance(node.op, Shift) else 0
            waiting = [x for x in node.inputs if x in inside and x not in order and delay + late[node] == late[x]]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                order[stack.pop()] = None
    return Block(tuple(order), direction, late)


def _late(members: list[Node], edges: list[Flow], direction: int) -> dict[Node, int] | None:
    """The fewest steps by which each node must come later, so that none reads what isn't there yet.

    The longest paths over negated delays (Bellman and Ford); None where a loop runs the other way.
    Leiserson and Saxe, Retiming synchronous circuitry (Algorithmica 6, 1991), call it retiming.
    """
    late = dict.fromkeys(members, 0)
    for _ in range(len(members) + 1):
        changed = False
        for flow in edges:
            needed = late[flow.source] - flow.delay * direction
            if needed > late[flow.target]:
                late[flow.target] = needed
                changed = True
        if not changed:
            return late
    return None
