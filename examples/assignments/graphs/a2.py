"""The small graph of assignment 2 in minigrad.

    python -m minigrad.debugger -c "until d" examples/assignments/graphs/a2.py [SEED]
"""

from __future__ import annotations

import sys

import numpy as np

import minigrad as mg

# (name, operation, operands): d and a are used by several nodes, g twice by the same one
SMALL = [("a", "leaf", ()), ("b", "leaf", ()), ("c", "leaf", ()), ("d", "multiply", ("a", "b")),
         ("e", "add", ("d", "c")),
         ("f", "multiply", ("e", "d")), ("g", "add", ("f", "a")), ("h", "multiply", ("g", "g"))]


def leaves(seed: int) -> dict[str, float]:
    """Return the numbers of the leaves."""
    rng = np.random.default_rng(seed)
    return {name: round(float(rng.uniform(1, 3)), 2) for name, operation, _ in SMALL if operation == "leaf"}


def small(seed: int) -> mg.Tensor:
    """Return the graph as tensors."""
    values = leaves(seed)
    made: dict[str, mg.Tensor] = {}
    for name, operation, operands in SMALL:
        if operation == "leaf":
            made[name] = mg.Tensor(values[name], requires_grad=True, name=name)
        else:
            made[name] = {"add": mg.add, "multiply": mg.multiply}[operation](*(made[x] for x in operands))
            made[name].name = name
    return made["h"]


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated; there is one graph."""
    return small(seed)


if __name__ == "__main__":
    small(int(sys.argv[1]) if len(sys.argv) > 1 else 0).backward()
