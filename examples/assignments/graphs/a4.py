"""The networks of assignment 4 in rnn: feedback, delays of two, and branches of unequal length within a step.

    python -m minigrad.debugger -c "until a[2]" examples/assignments/graphs/a4.py [two_delays | feedback | branches] \
[VARIANT]

A variant is a whole number. It chooses what the signals are called, and the order of the edges.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell, Run, t

Edge = tuple[str, str, int]  # source, target, delay
T = 5
NETWORKS: dict[str, Sequence[Edge]] = {
    "two_delays": [("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("h", "y", 0)],
    "feedback": [("x", "a", 0), ("a", "a", 1), ("b", "a", 1), ("a", "b", 0), ("b", "b", 1), ("c", "b", 2),
                 ("b", "c", 0),
                 ("c", "y", 0)],
    # Neither the names nor the edges, forward or backward, are in an order in which a step can be computed.
    "branches": [("k", "a", 0), ("e", "k", 0), ("g", "a", 0), ("g", "a", 2), ("u", "a", 0), ("g", "k", 0),
                 ("x", "g", 0), ("k", "g", 1), ("g", "e", 0)]}
LETTERS = "abcdefghjkmnpqrsuvwxyz"
ATTEMPTS = 40


def arranged(edges: Sequence[Edge], variant: int) -> tuple[Mapping[str, str], list[Edge]]:
    """Return new names of the signals, and the definition with them, in another order; in variant 0 as it is.

    Of many names and orders those are taken in which the fewest orders are right that take no thought.
    """
    signals = in_order(edges)
    if not variant:
        return {name: name for name in signals}, list(edges)
    found = []
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([variant, attempt])
        names = dict(zip(signals, rng.permutation(list(LETTERS)).tolist()))
        renamed = [(names[source], names[target], delay) for source, target, delay in edges]
        found.append((names, [renamed[k] for k in rng.permutation(len(edges))]))
    return min(found, key=lambda one: easily_right(one[1]))


def easily_right(edges: Sequence[Edge]) -> int:
    """Return how many orders are right that take no thought: of the alphabet, of the list, by a count of sources.

    An input has no sources, so its place in an order matters less.
    """
    targets = {target for _, target, _ in edges}
    direct = [edge for edge in edges if edge[2] == 0]
    inner = [edge for edge in direct if edge[0] in targets]
    listed, reads = in_order(edges), Counter(target for _, target, _ in direct)
    orders = (sorted(listed), sorted(listed, reverse=True), listed, listed[::-1], in_order(edges[::-1]),
              sorted(listed, key=lambda name: reads[name] > 0), sorted(listed, key=lambda name: reads[name]))
    return sum(computable(order, some) for order in orders for some in (inner, direct)) + in_turn(direct) + in_turn(
        direct[::-1])


def in_order(edges: Iterable[Edge]) -> list[str]:
    """Return the signals in the order in which the edges name them."""
    return list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))


def computable(order: Sequence[str], edges: Iterable[Edge]) -> bool:
    """Return whether a step can be computed in an order of all signals."""
    return all(order.index(source) < order.index(target) for source, target, delay in edges if delay == 0)


def in_turn(direct: Sequence[Edge]) -> bool:
    """Return whether each edge, all without delay, comes after those from which its source is computed."""
    return not any(source == target for k, (source, _, _) in enumerate(direct) for _, target, _ in direct[k + 1:])


def network(name: str, edges: Sequence[Edge]) -> Run:
    """Unroll a definition with these edges, each signal tanh of a sum, over T steps.

    Inputs and initial values require gradients, so that the pass has them too.
    """
    rng = np.random.default_rng(0)
    cell = Cell(name)
    targets = list(dict.fromkeys(target for _, target, _ in edges))
    inputs = [name for name in in_order(edges) if name not in targets]
    signals = {name: cell.input(name, 2) if name in inputs else cell.signal(name, 2) for name in [*inputs, *targets]}
    for target in targets:
        terms = [signals[source][t - delay] for source, end, delay in edges if end == target]
        signals[target][t] = np.tanh(sum(terms[1:], terms[0]))
    for source, k in sorted({(source, k) for source, _, delay in edges for k in range(1 - delay, 1)}):
        signals[source][k] = mg.Tensor(rng.normal(size=2), requires_grad=True)
    values: dict[str, Any] = {name: mg.Tensor(rng.normal(size=(T, 2)), requires_grad=True) for name in inputs}
    return cell.unroll(**values)


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated: the sum of all signals that no other reads in the same step.

    So each copy of a signal is in the pass. The numbers are always the same.
    """
    _, edges = arranged(NETWORKS[name], seed)
    run, read = network(name, edges), {source for source, _, delay in edges if delay == 0}
    ends = [run[target].stack().sum() for target in dict.fromkeys(target for _, target, _ in edges)
            if target not in read]
    out: mg.Tensor = sum(ends[1:], ends[0])
    return out


if __name__ == "__main__":
    given = [*sys.argv[1:], *["feedback", "0"][len(sys.argv) - 1:]]
    output(given[0], int(given[1])).backward()
