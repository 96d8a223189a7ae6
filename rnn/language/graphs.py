"""Algorithms on directed graphs of any kind of node: orders, components, cycles.

An edge is anything with a `source` and a `target`. No algorithm is recursive, so that the depth of a graph
is limited only by memory, and the results depend only on the order of the arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

N = TypeVar("N")
H = TypeVar("H", bound=Hashable)
E = TypeVar("E", bound="HasEnds")


class HasEnds(Protocol):
    """An edge: `target` is computed from `source`."""

    @property
    def source(self) -> Any: ...

    @property
    def target(self) -> Any: ...


def postorder(roots: Iterable[N], inputs: Callable[[N], Iterable[N]]) -> list[N]:
    """Return every node that the roots depend on, each once, inputs before outputs.

    `inputs` returns the nodes that a node depends on. Nodes are compared by identity.

    Raises:
        ValueError: for a graph with a cycle.
    """
    done: dict[int, N] = {}
    expanded: set[int] = set()
    stack = list(roots)[::-1]
    while stack:
        node = stack[-1]
        waiting = [x for x in inputs(node) if id(x) not in done]
        if not waiting:
            done.setdefault(id(stack.pop()), node)
        elif id(node) in expanded:  # its inputs were walked, and one of them waits for it
            raise ValueError(f"the graph has a cycle through {node!r}")
        else:
            expanded.add(id(node))
            stack.extend(reversed(waiting))
    return list(done.values())


def topological_order(nodes: Iterable[H], edges: Iterable[tuple[H, H]]) -> list[H]:
    """Return the nodes in an order in which the source of every edge comes before its target.

    Kahn, Topological sorting of large networks (Communications of the ACM 5, 1962). Nodes without
    incoming edges come first, in the order given; every other one follows when its last source is placed.
    Edges are (source, target) pairs.

    Raises:
        ValueError: for a graph with a cycle.
    """
    targets: dict[H, list[H]] = {node: [] for node in nodes}
    missing = dict.fromkeys(targets, 0)  # node -> the number of its sources that are not placed yet
    for source, target in edges:
        targets[source].append(target)
        missing[target] += 1
    order = [node for node, count in missing.items() if not count]
    for node in order:  # the list grows while it is walked
        for target in targets[node]:
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    if len(order) < len(targets):
        raise ValueError("the graph has a cycle")
    return order


def longest_paths(nodes: Iterable[H], edges: Iterable[tuple[H, H]]) -> dict[H, int]:
    """Return for each node of an acyclic graph how many edges the longest path to it has."""
    edges = list(edges)
    sources: dict[H, list[H]] = {node: [] for node in nodes}
    for source, target in edges:
        sources[target].append(source)
    length: dict[H, int] = {}
    for node in topological_order(sources, edges):
        length[node] = max((length[source] + 1 for source in sources[node]), default=0)
    return length


def components(nodes: Sequence[Any], edges: Sequence[E]) -> list[list[E]]:
    """Return the edges inside each strongly connected component that has any.

    Tarjan, Depth-first search and linear graph algorithms (SIAM J. Comput. 1, 1972). The search visits the
    nodes in the order given.
    """
    outgoing = _outgoing(edges)
    remaining = {node: iter(outgoing.get(node, ())) for node in nodes}
    index: dict[Any, int] = {}
    low: dict[Any, int] = {}  # the smallest index that a node's subtree reaches
    number: dict[Any, int] = {}  # node -> its component, once that is complete
    path: list[Any] = []  # the visited nodes whose component is not complete
    for root in nodes:
        work = [] if root in index else [root]
        while work:
            node = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                path.append(node)
            edge = next(remaining[node], None)
            if edge is not None:
                if edge.target not in index:
                    work.append(edge.target)
                elif edge.target not in number:
                    low[node] = min(low[node], index[edge.target])
                continue
            work.pop()
            if work:
                low[work[-1]] = min(low[work[-1]], low[node])
            if low[node] == index[node]:  # nothing reaches further up: the end of the path is a component
                member = None
                while member is not node:
                    member = path.pop()
                    number[member] = index[node]
    inside: dict[int, list[E]] = {}
    for edge in edges:
        if number[edge.source] == number[edge.target]:
            inside.setdefault(number[edge.source], []).append(edge)
    return list(inside.values())


def simple_cycles(nodes: Sequence[Any], edges: Sequence[E]) -> Iterator[list[E]]:
    """Yield every cycle that visits no node twice, as its edges; their number can grow exponentially.

    Tiernan, An efficient search algorithm to find the elementary circuits of a graph (Communications
    of the ACM 13, 1970): a cycle starts at the first of its nodes, so that each is found once.
    """
    rank = {node: number for number, node in enumerate(nodes)}
    outgoing = _outgoing(edges)
    for start in nodes:
        path: list[E] = []
        choices = [iter(outgoing.get(start, ()))]
        while choices:
            edge = next(choices[-1], None)
            if edge is None:
                choices.pop()
                del path[-1:]
            elif edge.target is start:
                yield [*path, edge]
            elif rank[edge.target] > rank[start] and all(edge.target is not before.target for before in path):
                path.append(edge)
                choices.append(iter(outgoing.get(edge.target, ())))


def shortest_cycle(edges: Sequence[E]) -> list[E] | None:
    """Return the edges of a cycle with the fewest edges; None if there is none.

    Breadth-first search from every node that has an outgoing edge.
    """
    outgoing = _outgoing(edges)
    best: list[E] | None = None
    for start in outgoing:
        reached_by: dict[Any, E] = {}
        queue = deque([start])
        while queue and start not in reached_by:
            for edge in outgoing.get(queue.popleft(), ()):
                if edge.target not in reached_by:
                    reached_by[edge.target] = edge
                    queue.append(edge.target)
        if start in reached_by:
            cycle = _cycle_through(start, reached_by)
            if best is None or len(cycle) < len(best):
                best = cycle
    return best


def nonpositive_cycle(edges: Sequence[E], weights: Sequence[int]) -> list[E] | None:
    """Return the edges of a cycle whose total weight is 0 or less; None if there is none.

    The search for a negative cycle by Bellman and Ford (Bellman, On a routing problem, Quarterly of
    Applied Mathematics 16, 1958). Weights are scaled so that a total of 0 becomes negative and a total
    of 1 stays positive: a cycle has at most as many edges as there are nodes.
    """
    nodes = dict.fromkeys(edge.target for edge in edges)
    scale = len(nodes) + 1
    distance = dict.fromkeys(nodes, 0)
    reached_by: dict[Any, E] = {}
    last = None
    for _ in nodes:
        last = None
        for edge, weight in zip(edges, weights):
            shorter = distance[edge.source] + weight * scale - 1
            if shorter < distance[edge.target]:
                distance[edge.target] = shorter
                reached_by[edge.target] = edge
                last = edge.target
        if last is None:
            return None
    for _ in nodes:  # a node that still changes need not lie on the cycle: go back until it must
        last = reached_by[last].source
    return _cycle_through(last, reached_by)


def smallest_offsets(edges: Sequence[E], delays: Sequence[int]) -> dict[Any, int] | None:
    """Return the smallest offset of each node, 0 or more, with which no edge reads ahead; None if there are none.

    Retiming (Leiserson and Saxe, Retiming synchronous circuitry, Algorithmica 6, 1991): an edge
    from u to v with delay d requires offset[v] >= offset[u] - d. The smallest offsets are the longest paths
    over negated delays, by the algorithm of Bellman and Ford. If they still grow after as many rounds as
    there are nodes, some cycle has a negative delay.
    """
    offset = dict.fromkeys((node for edge in edges for node in (edge.source, edge.target)), 0)
    for _ in range(len(offset) + 1):
        changed = False
        for edge, delay in zip(edges, delays):
            needed = offset[edge.source] - delay
            if needed > offset[edge.target]:
                offset[edge.target] = needed
                changed = True
        if not changed:
            return offset
    return None


def _outgoing(edges: Iterable[E]) -> dict[Any, list[E]]:
    outgoing: dict[Any, list[E]] = {}
    for edge in edges:
        outgoing.setdefault(edge.source, []).append(edge)
    return outgoing


def _cycle_through(node: Any, reached_by: Mapping[Any, E]) -> list[E]:
    """Return the cycle through a node, from the edge by which a search reached each node."""
    cycle = [reached_by[node]]
    while cycle[-1].source is not node:
        cycle.append(reached_by[cycle[-1].source])
    return cycle[::-1]
