"""Folding and unfolding: from a cyclic definition to the edges of its unrolled graph, and back.

    python -m examples.fold_unfold [--seed 0] [--out DIR]

The textbook exercise (Goodfellow, Bengio and Courville, Deep learning, 2016, section 10.1), in both
directions. An edge of a definition is (source, target, delay); of the unrolled graph (source at a step,
target at a step). Unfolding copies each edge to every step; folding writes down how many steps every edge
goes, which works if and only if all steps have the same edges. With a delay of 1 there is one chain
of states; with 2 there are two, which never meet; with both, the number of paths from h[1] to h[n]
is the n-th Fibonacci number.

After three fixed definitions comes an exercise of your own, drawn from the seed.

Threshold: folding what was unfolded gives the definition, for 200 random definitions. Measured for seeds
0, 1, 2: 200 of 200. Picture: delays_1_and_2.png. Time: 1 s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t
from rnn.unrolling.facts import At, Connection

STEPS, RANDOM = 4, 200
Edge = tuple[str, str, int]  # source, target, delay
FIXED: dict[str, list[Edge]] = {
    "delay 1": [("x", "h", 0), ("h", "h", 1), ("h", "y", 0)],
    "delay 2": [("x", "h", 0), ("h", "h", 2), ("h", "y", 0)],
    "delays 1 and 2": [("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("h", "y", 0)],
}


def definition(name: str, edges: Sequence[Edge]) -> Cell:
    """Return the definition with these edges: every signal is tanh of a weighted sum; x is the input."""
    cell = Cell(name)
    signals = {"x": cell.input("x", ())}
    for _, target, _ in edges:
        if target not in signals:
            signals[target] = cell.signal(target, ())
    for target in list(signals)[1:]:
        terms = [mg.Tensor(0.5, requires_grad=True, name=f"w{number}") * signals[source][t - delay]
                 for number, (source, where, delay) in enumerate(edges, 1) if where == target]
        signals[target][t] = np.tanh(sum(terms[1:], terms[0]))
    if any(source == "x" and delay for source, _, delay in edges):
        for step in range(max(delay for source, _, delay in edges if source == "x")):
            signals["x"][-step] = 0
    return cell


def unfolded(cell: Cell, steps: int) -> list[Connection]:
    """Return the edges between copies, for t = 1 … steps; those that come from t < 1 start at initial values."""
    return cell.unroll(x=np.zeros(steps)).edges()


def folded(edges: Iterable[Connection]) -> list[Edge]:
    """Return the definition's edges, from those of an unrolled graph alone, in the order in which they are met.

    Raises:
        ValueError: where the steps differ, so that the graph isn't an unrolled definition.
    """
    steps: dict[Edge, list[int]] = {}
    for source, target in edges:
        steps.setdefault((source.signal, target.signal, target.t - source.t), []).append(target.t)
    every = set().union(*steps.values())
    for (start, end, delay), seen in steps.items():
        step = min(every - set(seen), default=0)
        if step:
            raise ValueError(f"this is no unrolled definition: step {step} has no edge "
                             f"{At(start, step - delay)} -> {At(end, step)}, step {seen[0]} has one like it")
    return list(steps)


def random_edges(rng: np.random.Generator) -> list[Edge]:
    """Return up to five signals and about twice as many edges: upward without delay, any direction with one or two."""
    names = ["x", *"abcd"[:rng.integers(2, 5)]]
    edges = [(names[place - 1], name, 0) for place, name in enumerate(names) if place]
    for _ in range(len(names)):
        source, target = (int(place) for place in rng.integers(0, len(names), 2))
        if target:
            delay = int(rng.integers(0 if source < target else 1, 3))
            edges.append((names[source], names[target], delay))
    return sorted(set(edges), key=lambda edge: names.index(edge[1]))


def agrees(edges: Sequence[Edge]) -> bool:
    """Return True if folding the unfolded edges gives the definition, and that unfolds to the same graph."""
    graph = unfolded(definition("first", edges), STEPS)
    again = folded(graph)
    return set(again) == set(edges) and set(unfolded(definition("again", again), STEPS)) == set(graph)


def show(name: str, edges: Sequence[Edge], options: common.Options) -> None:
    """Print an exercise and its solution, and draw it."""
    cell = definition(name, edges)
    graph = unfolded(cell, STEPS)
    facts = cell.unroll(x=np.zeros(STEPS)).facts()
    print(f"{name}: {', '.join(f'{a} -> {b} (delay {delay})' for a, b, delay in edges)}")
    for step in range(1, STEPS + 1):
        print(f"  t = {step}:  " + "  ".join(f"{edge.source} -> {edge.target}" for edge in graph
                                            if edge.target.t == step))
    print(f"  {len(edges)} edges x {STEPS} steps = {len(graph)}; parts that no edge connects: {facts.chains}; "
          f"longest path: {facts.longest_path}")
    viz.both(cell, steps=STEPS).render(outfile=options.out / f"{name.replace(' ', '_')}.png")


def example(options: common.Options) -> None:
    """Check three fixed exercises, one drawn at random, and many more."""
    rng = options.rng
    for name, edges in {**FIXED, f"exercise {options.seed}": random_edges(rng)}.items():
        show(name, edges, options)
    right = sum(agrees(random_edges(rng)) for _ in range(RANDOM))
    print(f"random definitions that come back from their unrolled graph: {right} of {RANDOM}; threshold: all")
    graph = unfolded(definition("delay 1", FIXED["delay 1"]), STEPS)
    try:
        folded(edge for edge in graph if edge.target != At("h", 3))
    except ValueError as error:
        print(f"without the edges into h[3]: {error}")


if __name__ == "__main__":
    sys.exit(common.Parser("fold_unfold", "A cyclic definition and its unrolled graph, both ways.").run(example))
