"""The networks of assignment 4 in rnn: three layers with feedback, and a state that is read with a delay of two.

    python -m minigrad.debugger -c "until a[2]" examples/assignments/graphs/a4.py [feedback | two_delays]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

import minigrad as mg
from rnn import Cell, Run, t

T = 5
NETWORKS = {
    "feedback": [("x", "a", 0), ("a", "a", 1), ("b", "a", 1), ("a", "b", 0), ("b", "b", 1), ("c", "b", 2),
                 ("b", "c", 0),
                 ("c", "y", 0)],
    "two_delays": [("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("h", "y", 0)]}
LOOP = [("x", "p", 0), ("q", "p", 0), ("r", "q", 0), ("p", "r", 0), ("p", "p", 1)]


def network(name: str, edges: Sequence[tuple[str, str, int]] = ()) -> Run:
    """Unroll a definition with these edges, by default those of the name, each signal tanh of a sum, over T steps."""
    rng = np.random.default_rng(0)
    edges = edges or NETWORKS[name]
    cell = Cell(name)
    signals = {"x": cell.input("x", 2)}
    targets = list(dict.fromkeys(target for _, target, _ in edges))
    for target in targets:
        signals[target] = cell.signal(target, 2)
    for target in targets:
        terms = [mg.Tensor(rng.normal(size=(2, 2)), requires_grad=True,
                           name=f"W_{source}{target}{delay}") @ signals[source][
            t - delay] for source, end, delay in edges if end == target]
        signals[target][t] = np.tanh(sum(terms[1:], terms[0]))
    return cell.unroll(x=rng.normal(size=(T, 2)))


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated, the sum of all outputs, so that each copy of a signal is in the pass.

    The numbers are always the same.
    """
    out: mg.Tensor = network(name)["y"].stack().sum()
    return out


if __name__ == "__main__":
    output(sys.argv[1] if len(sys.argv) > 1 else "feedback", 0).backward()
