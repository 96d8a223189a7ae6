"""Assignment 4: in any variant, with any hidden seed, easy orders are wrong; the debugger knows all that is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from examples.assignments.check import checked, parts
from examples.assignments.checks import a4 as checks
from examples.assignments.checks.a4 import Definition
from examples.assignments.grading import Finding, Outcome
from examples.assignments.graphs import a4 as graphs
from examples.assignments.make import source
from examples.assignments.pictures import of_run
from examples.assignments.probes import a4 as probes
from minigrad.backward import ancestors

SEEDS = (0, 1, 2, 3, 7, 77, 1234, 10**9)


def targets_of(edges: Definition) -> set[str]:
    return {target for _, target, delay in edges if not delay}


def swapped_once(edges: Definition) -> list[str]:
    names = graphs.in_order(edges)
    for first, then, delay in edges:
        if delay == 0 and names.index(first) > names.index(then):
            names.remove(first)
            names.insert(names.index(then), first)
    return names


EASY: dict[str, Callable[[Definition], list[str]]] = {
    "the alphabet": lambda edges: sorted(graphs.in_order(edges)),
    "the alphabet backward": lambda edges: sorted(graphs.in_order(edges), reverse=True),
    "as listed": graphs.in_order,
    "as listed backward": lambda edges: graphs.in_order(edges[::-1]),
    "the reverse": lambda edges: graphs.in_order(edges)[::-1],
    "inputs first": lambda edges: sorted(graphs.in_order(edges), key=lambda name: name in targets_of(edges)),
    "inputs first, the rest by the alphabet": lambda edges: sorted(
        sorted(graphs.in_order(edges)), key=lambda name: name in targets_of(edges)),
    "by the number of sources": lambda edges: sorted(
        graphs.in_order(edges), key=lambda name: sum(b == name and not d for _, b, d in edges)),
    "swapped once": swapped_once}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_easy_order_is_right(seed: int, hidden: bool) -> None:
    found = [*checks.networks(seed, hidden).values(), *(edges for edges, _ in checks.arranged_turns(seed))]
    for what, order in EASY.items():
        wrong = [edges for edges in found if not graphs.computable(order(edges), edges)]
        assert wrong, what
    direct = [[edge for edge in edges if not edge[2]] for edges in found]
    assert any(not graphs.in_turn(edges) and not graphs.in_turn(edges[::-1]) for edges in direct)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_paths_in_an_easy_order_are_others(seed: int, hidden: bool) -> None:
    found: set[str] = set()
    for name, edges in checks.networks(seed, hidden).items():
        look = checks.paths(name, edges, seed)
        targets = {target for _, target, _ in edges}
        computed = [edge for edge in edges if edge[0] in targets]  # an input may come late: it has no sources
        for what, order in EASY.items():
            right = [checks.in_this_order(order(edges), edges, *pair) for pair in look.ends] == list(look.right)
            assert right == graphs.computable(order(edges), computed), (name, what)
            found |= set() if right else {what}
    assert set(EASY) - found <= {"swapped once"}, set(EASY) - found


def test_a_variant_has_names_and_orders_of_its_own() -> None:
    found = [checks.networks(seed) for seed in SEEDS]
    assert found[0] == graphs.NETWORKS
    for name in graphs.NETWORKS:
        assert len({str(sorted(one[name])) for one in found}) == len(found)
        for one in found:
            assert sorted(d for *_, d in one[name]) == sorted(d for *_, d in graphs.NETWORKS[name])
    assert len({str(checks.networks(seed, True)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_unrolled_edges_of_a_variant_are_those_of_rnn(seed: int) -> None:
    for name, edges in {**checks.networks(seed), **checks.networks(seed, True)}.items():
        assert sorted(checks.solution.unroll(list(edges), graphs.T)) == sorted(
            checks.reference(name, edges).elements())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_the_debugger_knows_every_copy(name: str, seed: int) -> None:
    """Inputs and initial values too: a finding may name any."""
    labels = {tensor.label for tensor in ancestors(graphs.output(name, seed)) if tensor.requires_grad}
    links = checks.solution.unroll(list(checks.networks(seed)[name]), graphs.T)
    named = {copy for link in links for copy in link} | {copy for ends in checks.ends_of(name, seed) for copy in ends}
    assert {f"{signal}[{k}]" for signal, k in named} <= labels


@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_pictures_write_no_names_that_the_text_has_not(name: str) -> None:
    text = of_run(graphs.network(name, graphs.NETWORKS[name]), Finding("it")).source
    assert set(re.findall(r'label="([^"]*)"', text)) and "W_" not in text and "z⁻" not in text


def outcomes(files: dict[str, str], seed: int) -> dict[str, list[Outcome]]:
    [part] = parts("a4", seed)
    return {name: result.outcomes for name, result in checked(part, files, seed).items()}


def test_the_solution_is_right_in_a_variant_and_a_mistake_has_its_names() -> None:
    found = outcomes({"right": source("a4"), "wrong": source("a4").replace("(source, t - delay)", "(source, t)"),
                      "sorted": f"{source('a4')}\n_order = order_in_a_step\ndef order_in_a_step(edges):\n"
                                "    return sorted(_order(edges))\n"}, 7)
    assert [one.check.name for one in found["right"] if one.finding is not None] == []
    heads = {name: [one.finding for one in some if one.finding is not None and not one.follows]
             for name, some in found.items()}
    names = dict(graphs.arranged(graphs.NETWORKS["two_delays"], 7)[0])
    assert [one.cause for one in heads["wrong"]] == [
        f"delays are ignored: ({names['h']}, {names['h']}, 2) reads t - 2, not t"]
    assert len(heads["sorted"]) == 1 and "comes before" in heads["sorted"][0].cause


@pytest.mark.parametrize("edges", checks.LOOPS)
def test_each_loop_is_one(edges: Definition) -> None:
    with pytest.raises(ValueError, match="loop"):
        checks.solution.order_in_a_step(list(edges))
    direct = {(a, b) for a, b, delay in edges if delay == 0}
    while (longer := direct | {(a, d) for a, b in direct for c, d in direct if b == c}) != direct:
        direct = longer
    assert any(a == b for a, b in direct)


@pytest.mark.parametrize("edges, T", checks.TURNS)
def test_numbers_of_paths_by_enumeration(edges: Definition, T: int) -> None:
    """Against all paths, one by one."""
    links = [((a, t - d), (b, t)) for t in range(1, T + 1) for a, b, d in edges]
    for start in {copy for link in links for copy in link}:
        ends, number = [start], {start: 1}
        while ends:
            ends = [b for end in ends for a, b in links if a == end]
            for end in ends:
                number[end] = number.get(end, 0) + 1
        for end in {copy for link in links for copy in link}:
            assert checks.solution.count_paths(list(edges), T, start, end) == number.get(end, 0)
    assert probes.ASK["unroll"](checks.solution, list(edges), T) == [[list(a), list(b)] for a, b in links]
