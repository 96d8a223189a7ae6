"""The networks of assignment 6: a definition that can't be computed, and backward passes to step through.

    python examples/assignments/graphs/a6.py faulty [VARIANT]                          prints its equations
    python -m minigrad.debugger examples/assignments/graphs/a6.py nan [VARIANT]        steps in the terminal
    python examples/assignments/graphs/a6.py nan [VARIANT] steps.html                  writes the stepper page

The names of networks are in NETWORKS; those with `my_` are for the answers that are graded. A variant is a whole
number. It chooses names, sizes, and the time steps at which something happens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from rnn import Cell, Run, t

Array = NDArray[Any]
Edge = tuple[str, str, int]  # source, target, delay
Network = tuple[Run, mg.Tensor]  # a run and its loss
H, N = 3, 2  # units, sequences of a batch
# Two loops without delay, b d c and c e d, over one edge in common: one more delay there repairs both.
FAULTY: tuple[Edge, ...] = (("x", "a", 0), ("d", "a", 1), ("a", "b", 0), ("c", "b", 0), ("d", "c", 0), ("b", "c", 2),
                            ("b", "d", 0), ("e", "d", 0), ("c", "e", 0), ("a", "e", 1), ("e", "y", 0))


# ---- a definition that can't be computed
def faulty(variant: int) -> list[Edge]:
    """Return its edges; the variant chooses what the signals are called."""
    roles = ["a", "b", "c", "d", "e"]
    names = dict(zip(roles, np.random.default_rng([variant, 6]).permutation(["p", "q", "r", "s", "u"]).tolist()))
    edges = [(names.get(source, source), names.get(target, target), delay) for source, target, delay in FAULTY]
    return sorted(edges, key=lambda edge: (edge[1] == "y", edge[1]))


def cell_of(edges: Sequence[Edge]) -> Cell:
    """Return a definition with these edges; each signal is tanh of a sum."""
    cell = Cell("faulty")
    targets = list(dict.fromkeys(target for _, target, _ in edges))
    signals = {"x": cell.input("x", H), **{name: cell.signal(name, H) for name in targets}}
    for name in targets:
        terms = [signals[source][t - delay] for source, target, delay in edges if target == name]
        signals[name][t] = np.tanh(sum(terms[1:], terms[0]))
    return cell


# ---- backward passes
class Weights:
    """Random parameters of a recurrence, and inputs that give its sums chosen values."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.W, self.U, self.b = np.eye(H) + 0.3 * rng.normal(size=(H, H)), 0.5 * rng.normal(size=(H, H)), \
            0.1 * rng.normal(size=H)
        self.parameters = [mg.Tensor(value, requires_grad=True, name=name) for name, value in
                           (("W", self.W), ("U", self.U), ("b", self.b))]

    def inputs(self, sums: Array, activation: Callable[[Array], Array]) -> Array:
        """Return x such that W x[t] + U h[t-1] + b are these sums, (T, N, H), where h[t] is their activation."""
        before = np.concatenate([np.zeros((1, N, H)), activation(sums[:-1])])
        return np.asarray((sums - before @ self.U.T - self.b) @ np.linalg.inv(self.W).T)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def signs(rng: np.random.Generator, *shape: int) -> Array:
    return rng.choice([-1.0, 1.0], size=shape)


def middle(rng: np.random.Generator) -> tuple[int, int]:
    """Return the number of steps, and one of them that is neither among the first nor the last ones."""
    T = int(rng.integers(6, 9))
    return T, int(rng.integers(3, T - 1))


def recurrence(name: str, weights: Weights, x: Array, activation: Callable[[Any], Any],
               more: Callable[[Cell, Any], None] | None = None) -> Run:
    """Unroll h[t] = activation(W x[t] + U h[t-1] + b), and further equations."""
    W, U, b = weights.parameters
    cell = Cell(name)
    x_, h = cell.input("x", H), cell.signal("h", H)
    h[t] = activation(W @ x_[t] + U @ h[t-1] + b)
    if more is not None:
        more(cell, h)
    return cell.unroll(x=x)


def make_vanishing(rng: np.random.Generator) -> Network:
    """Every tanh is saturated at one step: 1 - tanh² is exactly zero. At a later step it is only tiny."""
    (T, k), weights = middle(rng), Weights(rng)
    sums = rng.normal(size=(T, N, H))
    sums[k - 1], sums[k] = 30 * signs(rng, N, H), 8 * signs(rng, N, H)
    run = recurrence("vanishing", weights, weights.inputs(sums, np.tanh), np.tanh)
    return run, mg.losses.mse(run["h"][T], rng.normal(size=(N, H)))


def make_my_vanishing(rng: np.random.Generator) -> Network:
    """Every ReLU is off at one step. So h is zero there, and so is one contribution at the step after it."""
    (T, k), weights = middle(rng), Weights(rng)
    sums = 0.2 + np.abs(rng.normal(size=(T, N, H)))
    sums[k - 1] *= -1
    run = recurrence("my_vanishing", weights, weights.inputs(sums, relu), mg.relu)
    return run, mg.losses.mse(run["h"][T], rng.normal(size=(N, H)))


def make_nan(rng: np.random.Generator) -> Network:
    """A logarithm or a root of a negative number; its result is fed back."""
    (T, k), weights = middle(rng), Weights(rng)
    v, function = mg.Tensor(signs(rng, H), requires_grad=True, name="v"), (np.log, np.sqrt)[rng.integers(2)]
    R = mg.Tensor(0.3 * rng.normal(size=H), requires_grad=True, name="R")
    W, U, b = weights.parameters
    cell = Cell("nan")
    x, h, q, g = cell.input("x", H), cell.signal("h", H), cell.signal("q", ()), cell.signal("g", ())
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + R * g[t-1] + b)
    q[t] = v @ h[t]
    g[t] = function(q[t])
    sums = v.data * (0.5 + rng.uniform(size=(T, N, H)))  # q is positive
    sums[k - 1, rng.integers(N)] *= -1
    before, fed = np.zeros((N, H)), np.zeros((N, 1))
    data = np.zeros((T, N, H))
    for step in range(T):
        data[step] = (sums[step] - before @ weights.U.T - np.nan_to_num(fed) * R.data - weights.b) @ np.linalg.inv(
            weights.W).T
        before = np.tanh(sums[step])
        fed = function(before @ v.data)[:, None]
    run = cell.unroll(x=data)
    return run, run["g"].stack().sum()


def make_my_nan(rng: np.random.Generator) -> Network:
    """The Euclidean norm of a state that is zero: its value is right, and its derivative is zero times infinity."""
    (T, k), weights = middle(rng), Weights(rng)
    squared = (np.square, lambda value: value * value)[rng.integers(2)]

    def length(cell: Cell, h: Any) -> None:
        n = cell.signal("n", ())
        n[t] = np.sqrt(squared(h[t]).sum())

    sums = 0.2 + np.abs(rng.normal(size=(T, N, H)))
    sums[k - 1, rng.integers(N)] *= -1
    run = recurrence("my_nan", weights, weights.inputs(sums, relu), mg.relu, length)
    return run, run["n"].stack().sum()


def make_contributions(rng: np.random.Generator) -> Network:
    """A recurrence with a loss at every step. See `distinct` for which numbers are chosen."""
    (T, _), weights = middle(rng), Weights(rng)
    run = recurrence("contributions", weights, rng.normal(size=(T, N, H)), np.tanh)
    targets = rng.normal(size=(T, N, H)) * rng.uniform(0.2, 2, size=(T, 1, 1))
    return run, mg.stack([mg.losses.mse(out, target) for out, target in zip(run["h"], targets)]).sum()


def distinct(network: Network) -> bool:
    """Return whether one time step contributes clearly most to dU, and neither most to dW nor has the largest dh."""
    run, loss = network
    loss.backward()
    sizes = norms(run, "U")
    second, first = sorted(sizes)[-2:]
    largest, others = int(np.argmax(sizes)), (int(np.argmax(norms(run, "W"))), int(np.argmax(run.gradient_norms("h"))))
    return first > 1.25 * second and 0 < largest < run.T - 2 and largest not in others


def norms(run: Run, name: str) -> list[float]:
    """Return the norm of each time step's contribution to the gradient of a parameter."""
    return [float(np.linalg.norm(row)) for row in run.contributions(name)]


NETWORKS: dict[str, Callable[[np.random.Generator], Network]] = {
    "vanishing": make_vanishing, "my_vanishing": make_my_vanishing, "nan": make_nan, "my_nan": make_my_nan,
    "contributions": make_contributions, "my_contributions": make_contributions}


def network(name: str, variant: int) -> Network:
    """Return a network of NETWORKS and its loss, not differentiated yet."""
    build, number = NETWORKS[name], list(NETWORKS).index(name)
    tries: Iterable[list[int]] = ([variant, number, attempt] for attempt in count())
    with np.errstate(all="ignore"):
        seeds = next(one for one in tries
                     if build is not make_contributions or distinct(build(np.random.default_rng(one))))
        run, loss = build(np.random.default_rng(seeds))
    loss.name = "loss"
    return run, loss


def output(name: str, variant: int) -> mg.Tensor:
    """Return what is differentiated."""
    return network(name, variant)[1]


def main(arguments: Sequence[str]) -> None:
    """Run the command line."""
    name, number = [*arguments, *("nan", "0")[len(arguments):]][:2]
    if name not in ("faulty", *NETWORKS) or not number.isdecimal():
        sys.exit(f"there is no network {name!r} of variant {number!r}: give one of faulty, {', '.join(NETWORKS)}, and "
                 "a whole number from 0 on, such as nan 0")
    variant = int(number)
    if name == "faulty":
        print(*cell_of(faulty(variant)).equations, sep="\n")
        return
    loss = output(name, variant)
    with np.errstate(all="ignore"):
        if len(arguments) > 2:
            print(viz.stepper(loss, arguments[2]).path)
        else:
            loss.backward()


if __name__ == "__main__":
    main(sys.argv[1:])
