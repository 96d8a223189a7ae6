# %% [markdown]
# # Assignment 4: the unroller
#
# A recurrent network is a cyclic graph whose edges have delays. The edge `("h", "h", 1)` means that h[t] is
# computed from h[t-1], `("x", "h", 0)` that h[t] is computed from x[t]; an edge with a delay of 2 reads two steps
# back. Unrolled over T steps it is a graph without cycles, over copies: `("h", 3)` is h[3].
#
# The list of edges has no particular order, and the names of signals say nothing about theirs. There may be several
# inputs, parts without a connection, and several edges from one signal to another, with different delays. Leave the
# list as it is: the caller uses it again.
#
# Steps count from 1 to T. Copies at t ≤ 0 are initial values, given from outside.
#
# Use Python's own library, and NumPy if you like; the checker has no minigrad, rnn, viz and networkx.
#
# Check as often as you like: `python -m examples.assignments.check a4 YOUR_FILE.py`

# %%
from __future__ import annotations

Edge = tuple[str, str, int]  # source, target, delay
Copy = tuple[str, int]  # signal, time step


# %% [markdown]
# ## 1. The edge list
#
# $$(a, b, d) \quad\longrightarrow\quad \big((a, t-d),\, (b, t)\big) \qquad t = 1, \dots, T$$
#
# (Goodfellow, Bengio and Courville, *Deep Learning*, 2016, section 10.1: unfolding computational graphs.)

# %%
def unroll(edges: list[Edge], T: int) -> list[tuple[Copy, Copy]]:
    """Return every edge of the unrolled graph as (source copy, target copy), in any order."""
    ### BEGIN SOLUTION
    return [((source, t - delay), (target, t)) for t in range(1, T + 1) for source, target, delay in edges]
    ### END SOLUTION


# %% [markdown]
# ## 2. Initial values
#
# Which copies at t ≤ 0 are read? A delay of two needs two of them: at t = 1 it reads t = -1, and at t = 2 it
# reads t = 0. With few steps fewer are read.

# %%
def initial_copies(edges: list[Edge], T: int) -> set[Copy]:
    """Return the copies at t <= 0 that steps 1 ... T read."""
    ### BEGIN SOLUTION
    return {copy for copy, _ in unroll(edges, T) if copy[1] <= 0}
    ### END SOLUTION


# %% [markdown]
# ## 3. The order within a step
#
# Within one step a signal can be computed when all signals that it reads *without delay* are known. Edges with a delay
# don't matter here: the values that they read are known already. But a signal that has only such edges is part of the
# step, too. If a loop has no delay at all, each of its signals depends on itself at the same step, and none of them
# can be computed (Karp, Miller and Winograd, *The organization of
# computations for uniform recurrence equations*, J. ACM 14, 1967).

# %%
def order_in_a_step(edges: list[Edge]) -> list[str]:
    """Return every signal once, in an order in which they can be computed.

    Raises:
        ValueError: where there is a loop without delay.
    """
    ### BEGIN SOLUTION
    left = list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))
    order: list[str] = []
    while left:
        ready = [name for name in left
                 if not any(target == name and delay == 0 and source in left for source, target, delay in edges)]
        if not ready:
            raise ValueError(f"a loop without delay among {', '.join(left)}")
        order += ready
        left = [name for name in left if name not in ready]
    return order
    ### END SOLUTION


# %% [markdown]
# ## 4. Back through the unrolled graph
#
# How many paths lead from copy a to copy b? Along each of them a contribution to the gradient flows
# back, so this is the number of products that the chain rule adds up. Go through the copies in an order in which
# sources come first: the number of paths to a copy is the sum of the numbers of its sources, over its incoming edges.
# Copies at t ≤ 0 are given, so no path leads to them, but from them.

# %%
def count_paths(edges: list[Edge], T: int, start: Copy, end: Copy) -> int:
    """The number of paths from one copy to another in the graph unrolled over T steps; 1 from a copy to itself."""
    ### BEGIN SOLUTION
    ways: dict[Copy, int] = {start: 1}
    order = order_in_a_step(edges)
    for t in range(1, T + 1):
        for name in order:
            if (name, t) != start:
                incoming = [(source, t - delay) for source, target, delay in edges if target == name]
                ways[name, t] = sum(ways.get(copy, 0) for copy in incoming)
    return ways.get(end, 0)
    ### END SOLUTION
