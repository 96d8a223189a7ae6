"""Walks over graphs of any kind of node: postorder and strongly connected components.

No walk is recursive, so that the depth of a graph is limited by memory alone. Nodes are told apart by
identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

N = TypeVar("N")
E = TypeVar("E", bound="HasEnds")


class HasEnds(Protocol):
    """An edge: anything with a source and a target."""

    @property
    def source(self) -> Any:
        """The node that is read."""

    @property
    def target(self) -> Any:
        """The node that reads it."""


def postorder(roots: Iterable[N], inputs: Callable[[N], Iterable[N]]) -> list[N]:
    """Return every node that the roots depend on, each once, inputs before outputs.

    This is a topological order. It depends on the order of `roots` and of each node's inputs alone.

    Args:
        roots: where the walk starts.
        inputs: gives the nodes that a node depends on.

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


def components(nodes: Sequence[Any], edges: Sequence[E]) -> list[list[E]]:
    """Return the edges inside each strongly connected component that has any.

    Tarjan, Depth-first search and linear graph algorithms (SIAM J. Comput. 1, 1972), without recursion.

    Args:
        nodes: every node, in the order in which the search visits them. Nodes are hashable.
        edges: every edge between them.
    """
    following: dict[Any, list[Any]] = {node: [] for node in nodes}
    for edge in edges:
        following[edge.source].append(edge.target)
    index: dict[Any, int] = {}
    low: dict[Any, int] = {}  # the smallest index that a node's subtree reaches
    number: dict[Any, int] = {}  # node -> its component, once that is complete
    path: list[Any] = []
    for root in nodes:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        path.append(root)
        work = [(root, iter(following[root]))]
        while work:
            node, targets = work[-1]
            target = next(targets, None)
            if target is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    member = None
                    while member is not node:
                        member = path.pop()
                        number[member] = index[node]
            elif target not in index:
                index[target] = low[target] = len(index)
                path.append(target)
                work.append((target, iter(following[target])))
            elif target not in number:
                low[node] = min(low[node], index[target])
    inside: dict[int, list[E]] = {}
    for edge in edges:
        if number[edge.source] == number[edge.target]:
            inside.setdefault(number[edge.source], []).append(edge)
    return list(inside.values())
