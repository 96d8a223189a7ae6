# %% [markdown]
# # Assignment 2: topological order and the backward pass
#
# A computation is a graph: each node is a number that was computed from other nodes. You write the two
# functions of *reverse-mode automatic differentiation*: a topological order, and the backward pass.
#
# Use Python's own library, and NumPy if you like; the checker has no minigrad, rnn, viz and torch. One call may take
# 2 seconds, so an order of a few thousand nodes must not take time that grows with the square of their number.
#
# Check as often as you like: `python -m examples.assignments.check a2 YOUR_FILE.py`

# %%
from __future__ import annotations

from collections.abc import Sequence


class Node:
    """A number, and how it was computed. This class is given; don't change it.

    Attributes:
        value: the number.
        inputs: the nodes that it was computed from, in order; a node that is used twice is listed twice.
        local: the derivative of this node with respect to each of its inputs.
        grad: what backward() finds: the derivative of the output with respect to this node.
    """

    def __init__(self, value: float, inputs: Sequence[Node] = (), local: Sequence[float] = (), name: str = "") -> None:
        self.value = value
        self.inputs = tuple(inputs)
        self.local = tuple(local)
        self.name = name
        self.grad = 0.0

    def __repr__(self) -> str:
        return self.name


def multiply(a: Node, b: Node, name: str = "") -> Node:
    """Return the product as a node, an example: d(ab)/da = b and d(ab)/db = a."""
    return Node(a.value * b.value, (a, b), (b.value, a.value), name)


# %% [markdown]
# ## 1. Topological order
#
# An order in which every node comes after all its inputs, each node once, the output last, and
# nothing that the output doesn't depend on. Leave the nodes as they are: other functions use the same graph.
#
# Two nodes are the same only if they are the same object: they may have equal values, and no name.
#
# Two traps. A node that is used by several others is still *one* node: in a ladder of 60 diamonds
# there are $2^{60}$ paths, too many to follow them all. And a recurrent network
# over 3,000 steps is a chain that is deeper than Python's stack, so don't use recursion: a list of your
# own is a stack too. (Depth-first search and topological sort: Cormen, Leiserson, Rivest and Stein,
# *Introduction to Algorithms*, chapter on elementary graph algorithms.)

# %%
def topological_order(out: Node) -> list[Node]:
    """Return every node that `out` depends on, and `out` itself: inputs before users, each once."""
    ### BEGIN SOLUTION
    order: list[Node] = []
    seen = {out}
    stack = [(out, iter(out.inputs))]
    while stack:
        node, left = stack[-1]
        x = next(left, None)
        if x is None:
            order.append(node)
            stack.pop()
        elif x not in seen:
            seen.add(x)
            stack.append((x, iter(x.inputs)))
    return order
    ### END SOLUTION


# %% [markdown]
# ## 2. The backward pass
#
# Reverse accumulation (Griewank and Walther, *Evaluating Derivatives*, 2nd ed. 2008, section 3.2): the
# gradient of the output is 1. Go from the output to the leaves, and let each node add its contribution to the
# gradient of each of its inputs: its own gradient $\bar y$ (the upstream gradient; $\bar y$ is also called the
# adjoint of y) times the local derivative:
#
# $$\bar x \mathrel{+}= \bar y \cdot \frac{\partial y}{\partial x} \qquad \text{for every user } y
# \text{ of } x$$
#
# A node may pass on its gradient only when *all* nodes that use it have added their contributions. Paths can have
# different lengths, so the distance from the output doesn't tell when that is; the topological order does.
#
# A second call of `backward` gives the same numbers again, also after a call for another output of the same graph.

# %%
def backward(out: Node) -> None:
    """Set `.grad` of every node that `out` depends on to the derivative of out with respect to it."""
    ### BEGIN SOLUTION
    order = topological_order(out)
    for node in order:
        node.grad = 0.0
    out.grad = 1.0
    for node in reversed(order):
        for x, slope in zip(node.inputs, node.local):
            x.grad += node.grad * slope
    ### END SOLUTION
