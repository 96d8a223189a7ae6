"""Graph algorithms against brute force, on random graphs of up to five nodes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn.language import graphs


class Edge(NamedTuple):
    source: int
    target: int
    weight: int = 0


NODES = range(5)
edge_lists = st.lists(st.builds(Edge, st.sampled_from(NODES), st.sampled_from(NODES), st.integers(-2, 2)),
                      max_size=9, unique=True)


def reachable(start: int, edges: list[Edge]) -> set[int]:
    """The nodes that a path of one or more edges leads to."""
    found: set[int] = set()
    while new := {edge.target for edge in edges if edge.source in found | {start}} - found:
        found |= new
    return found


def paths(edges: list[Edge], path: tuple[Edge, ...]) -> list[tuple[Edge, ...]]:
    """A path and every longer one that begins with it and visits no node twice, but for a return to its start."""
    found = [path]
    if path[-1].target != path[0].source:
        for edge in edges:
            if edge.source == path[-1].target and edge.target not in {e.target for e in path}:
                found += paths(edges, (*path, edge))
    return found


def cycles(edges: list[Edge]) -> set[frozenset[Edge]]:
    return {frozenset(path) for first in edges for path in paths(edges, (first,))
            if path[-1].target == path[0].source}


def is_closed(cycle: list[Edge]) -> bool:
    return all(a.target == b.source for a, b in pairwise([*cycle, cycle[0]]))


@given(edge_lists)
def test_an_order_has_every_source_before_its_target_and_a_cycle_has_no_order(edges: list[Edge]) -> None:
    ends = [(edge.source, edge.target) for edge in edges]
    if cycles(edges):
        with pytest.raises(ValueError, match="the graph has a cycle"):
            graphs.topological_order(NODES, ends)
        with pytest.raises(ValueError, match="the graph has a cycle"):
            graphs.postorder(NODES, lambda node: [e.source for e in edges if e.target == node])
        return
    for order in (graphs.topological_order(NODES, ends),
                  graphs.postorder(NODES, lambda node: [e.source for e in edges if e.target == node])):
        assert sorted(order) == [*NODES]
        assert all(order.index(source) < order.index(target) for source, target in ends)


def test_nodes_that_are_not_ordered_by_edges_keep_their_order() -> None:
    assert graphs.topological_order("dcba", [("a", "b")]) == ["d", "c", "a", "b"]


@given(edge_lists)
def test_the_longest_path_of_an_acyclic_graph_is_found(edges: list[Edge]) -> None:
    if cycles(edges):
        return
    every = [path for first in edges for path in paths(edges, (first,))]
    assert graphs.longest_paths(NODES, [(edge.source, edge.target) for edge in edges]) == {
        node: max((len(path) for path in every if path[-1].target == node), default=0) for node in NODES}


@given(edge_lists)
def test_a_component_has_the_edges_whose_ends_reach_each_other(edges: list[Edge]) -> None:
    def together(a: int, b: int) -> bool:
        return a == b or (b in reachable(a, edges) and a in reachable(b, edges))

    inside = [edge for edge in edges if together(edge.source, edge.target)]
    expected = {frozenset(e for e in inside if together(e.source, edge.source)) for edge in inside}
    assert {frozenset(component) for component in graphs.components(NODES, edges)} == expected


@given(edge_lists)
def test_every_simple_cycle_is_yielded_once(edges: list[Edge]) -> None:
    found = list(graphs.simple_cycles(NODES, edges))
    assert all(map(is_closed, found))
    assert len(found) == len(cycles(edges)) and {frozenset(cycle) for cycle in found} == cycles(edges)


@given(edge_lists)
def test_the_shortest_cycle_has_the_fewest_edges(edges: list[Edge]) -> None:
    found = graphs.shortest_cycle(edges)
    assert (found is None) == (not cycles(edges))
    if found is not None:
        assert is_closed(found) and len(found) == min(map(len, cycles(edges)))


@given(edge_lists)
def test_a_cycle_of_total_weight_zero_or_less_is_found_where_there_is_one(edges: list[Edge]) -> None:
    for component in graphs.components(NODES, edges):
        found = graphs.nonpositive_cycle(component, [edge.weight for edge in component])
        exists = any(sum(edge.weight for edge in cycle) <= 0 for cycle in cycles(component))
        assert (found is not None) == exists
        if found is not None:
            assert is_closed(found) and sum(edge.weight for edge in found) <= 0


def test_the_depth_of_a_graph_is_not_limited_by_the_call_stack() -> None:
    deep = list(range(100_000))
    edges = [Edge(a, b) for a, b in pairwise(deep)]
    assert graphs.postorder([deep[-1]], lambda node: [deep[node - 1]] if node else []) == deep
    assert graphs.longest_paths(deep, [(edge.source, edge.target) for edge in edges])[deep[-1]] == len(edges)
    assert len(graphs.components(deep, [*edges, Edge(deep[-1], 0)])[0]) == len(deep)
