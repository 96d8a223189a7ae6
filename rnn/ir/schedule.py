"""Scheduling: in which order nodes are computed, and which of them for all steps at once.

A strongly connected component of the graph is a loop, to be computed step by step, forward or backward in
time. Every other node is computed for all steps at once. (Loop distribution: Allen and Kennedy, Optimizing
compilers for modern architectures, 2001, section 5.2.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from rnn.language.graphs import components, postorder, smallest_offsets

from .nodes import SUMS, AtStep, Backward, InputGrad, Leaf, Node, Shift, SumOverTime, View, is_static, users_of


class Dependence(NamedTuple):
    """`target` at step t is computed from `source` at step t - delay."""

    source: Node
    target: Node
    delay: int


@dataclass(frozen=True)
class Block:
    """Nodes that are computed together.

    Attributes:
        nodes: in the order in which they are computed.
        direction: 1 for a loop from the first step to the last, -1 from the last to the first; 0: no loop,
            all steps at once.
        offset: node of a loop -> by how many iterations its computation is delayed: in iteration r it computes
            step r - offset. All are 0 unless some node reads ahead against the direction of the loop.
    """

    nodes: tuple[Node, ...]
    direction: int
    offset: Mapping[Node, int] = field(default_factory=dict)

    @property
    def skewed(self) -> bool:
        """Whether some nodes are computed with an offset."""
        return any(self.offset.values())


def dependences(nodes: Iterable[Node]) -> list[Dependence]:
    """Return the edges of the graph."""
    return [Dependence(x, node, node.op.delay if isinstance(node.op, Shift) else 0)
            for node in nodes for x in node.inputs]


def loops(nodes: list[Node]) -> list[list[Node]]:
    """Return the nodes of each loop, in the order of `nodes`."""
    place = {node: index for index, node in enumerate(nodes)}
    inner = [edge for edge in dependences(nodes) if edge.source in place]
    found = [{edge.target for edge in loop} for loop in components(nodes, inner)]
    return [sorted(loop, key=place.__getitem__) for loop in found]


def blocks(nodes: list[Node]) -> list[Block]:
    """Return the blocks in an order in which each comes after those that it reads.

    Args:
        nodes: operands first; nodes that aren't among them have been computed before.
    """
    groups, looping = _groups(nodes)

    def read(group: list[Node]) -> list[list[Node]]:
        found = (groups[edge.source] for edge in dependences(group) if edge.source in groups)
        return [other for other in found if other is not group]

    order = postorder(list({id(group): group for group in groups.values()}.values()), read)
    result: list[Block] = []
    for in_loop, neighbours in groupby(order, lambda group: group[0] in looping):
        if in_loop:
            result += map(_loop, neighbours)
        else:
            result.append(Block(tuple(node for group in neighbours for node in group), 0))
    return result


def same_at_all_steps(nodes: Iterable[Node], rows: Collection[Node]) -> set[Node]:
    """Return the statics, and the nodes that are computed from nothing else of each step: one value is enough.

    Args:
        nodes: operands first.
        rows: nodes whose value at each step is needed.
    """
    found: set[Node] = set()
    every = list(nodes)
    users = users_of(every)
    summed = *SUMS, AtStep
    for node in every:
        inputs = [x for x in node.inputs if x.timed]
        derived = inputs and found.issuperset(inputs) and not isinstance(node.op, (Shift, Backward, InputGrad, Leaf))
        if node.timed and (is_static(node) or (derived and node not in rows and not any(
                isinstance(user.op, summed) for user in users.get(node, ())))):
            found.add(node)
    return found


def _groups(nodes: list[Node]) -> tuple[dict[Node, list[Node]], set[Node]]:
    """Return for each node the nodes that are computed together with it, and all nodes of loops."""
    groups = {node: [node] for node in nodes}
    looping: set[Node] = set()
    for loop in loops(nodes):
        groups.update(dict.fromkeys(loop, loop))
        looping.update(loop)
    place = {node: index for index, node in enumerate(nodes)}
    for node in nodes:
        # the results of a Backward in a loop last for one step; the terms of a sum over time need to last no longer
        backward = node.inputs[0] if isinstance(node.op, (InputGrad, SumOverTime)) else None
        if backward in looping and node not in looping:
            groups[node] = groups[backward]
            groups[node].append(node)
            groups[node].sort(key=place.__getitem__)
            looping.add(node)
    for node in nodes:
        if isinstance(node.op, SumOverTime) and node not in looping:
            loop, terms = _terms_of_sum(node, nodes, groups, looping)
            groups.update(dict.fromkeys(terms, loop))
            looping.update(terms)
            loop.extend(terms)
            loop.sort(key=place.__getitem__)
    return groups, looping


def _terms_of_sum(total: Node, nodes: list[Node], groups: Mapping[Node, list[Node]], looping: set[Node]
                  ) -> tuple[list[Node], list[Node]]:
    """Return a loop, and the nodes that can be computed in it so that the terms of a sum over time last for one step.

    These are the sum, and what is computed for it alone, element by element, from values of the loop; none if there is
    no such loop.
    """
    users, chain = users_of(nodes), [total]
    for node in chain:  # grows
        chain.extend(x for x in node.inputs if x in groups and x not in looping and x.timed and x not in chain
                     and (x.op.elementwise or isinstance(x.op, View)) and not isinstance(x.op, (Leaf, Shift))
                     and set(chain).issuperset(users[x]))
    read = {id(groups[x]): groups[x] for node in chain for x in node.inputs if x in looping}
    loop = next(iter(read.values()), [])
    later, found = list(loop), set(loop)
    for node in later:  # grows: all that is computed from the loop
        new = [user for user in dict.fromkeys(users.get(node, ())) if user not in found]
        later.extend(new)
        found.update(new)
    terms = [node for node in chain if node in found]
    own = {*loop, *terms}
    fits = len(read) == 1 and all(x in own or x not in found for node in terms for x in node.inputs)
    return (loop, terms) if fits else ([], [])


def _loop(members: list[Node]) -> Block:
    """Return a loop with its nodes in the order of one iteration: operands of the same iteration first."""
    inside = set(members)
    edges = [edge for edge in dependences(members) if edge.source in inside]
    forward = 1 if max(edge.delay for edge in edges) > 0 else -1
    # one of the directions works: `cycles.check` rejects definitions with loops in both
    direction, offset = next((x, found) for x in (forward, -forward)
                             if (found := smallest_offsets(edges, [x * edge.delay for edge in edges]))
                             is not None)

    def same_iteration(node: Node) -> list[Node]:
        delay = node.op.delay * direction if isinstance(node.op, Shift) else 0
        return [x for x in node.inputs if x in inside and delay + offset[node] == offset[x]]

    return Block(tuple(postorder(members, same_iteration)), direction, offset)
