"""Real-time recurrent learning: the same gradient forward in time, by a state with three axes.

    python -m examples.rtrl [--seed 0] [--out out/rtrl]

A network h[t] = tanh(a[t]), a[t] = W x[t] + U h[t-1] + b, with the loss L = 1/2 Σ |V h[t] - d[t]|². Backpropagation
through time keeps all steps and goes back over them. Real-time recurrent learning carries the derivatives of the state
by the parameters along with the state (Williams and Zipser, A learning algorithm for continually running fully
recurrent neural networks, Neural Computation 1, 1989). With [k, i, j] for the derivative of h_k by U_ij:

    P_U[t][k, i, j] = (1 - h[t][k]²) (Σ_l U[k, l] P_U[t-1][l, i, j] + δ_ki h[t-1][j])
    G_U[t]          = G_U[t-1] + Σ_k (Vᵀ e[t])[k] P_U[t][k]             e[t] = V h[t] - d[t]

and likewise for W, with x[t] in the place of h[t-1], and for b, with 1. These are equations of the same language: the
second definition below is the first one, and its derivative. G_U[T] is dL/dU, without a backward pass.

The gradient is complete at every step, and needs no past but the state, so that it stays exact if the sequence is cut
into pieces whose states are passed on; that of backpropagation in pieces is truncated. The price is the state: H times
the number of parameters, whatever T is, and a product of it with U at every step.

Threshold: the gradients agree to 1e-12 of the largest, also in pieces of one step. Measured for seeds 0, 1, 2: at most
9e-16. Picture: kept.png. Time: 1 s.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

import minigrad as mg
from examples import common
from rnn import Cell, t

INPUTS, SIZE, OUTPUTS, STEPS, BATCH = 3, 6, 2, 40, 4
SIZES = (6, 12, 24)  # whose memory is compared
Parameters = dict[str, mg.Tensor]
Arrays = dict[str, Any]


def parameters(rng: np.random.Generator, size: int = SIZE) -> Parameters:
    return {"W": mg.init.glorot((size, INPUTS), rng, name="W"), "U": mg.init.orthogonal((size, size), rng, name="U"),
            "b": mg.init.normal((size,), rng, std=0.1, name="b"), "V": mg.init.glorot((OUTPUTS, size), rng, name="V")}


def data(rng: np.random.Generator) -> Arrays:
    return {"x": rng.normal(size=(STEPS, BATCH, INPUTS)), "d": rng.normal(size=(STEPS, BATCH, OUTPUTS))}


def network(p: Parameters) -> Cell:
    """Return the network and its loss."""
    cell = Cell("network")
    x, d = cell.input("x", INPUTS), cell.input("d", OUTPUTS)
    h, e, L = cell.signal("h", p["b"].shape), cell.signal("e", OUTPUTS), cell.signal("L", ())
    h[t] = np.tanh(p["W"] @ x[t] + p["U"] @ h[t-1] + p["b"])
    e[t] = p["V"] @ h[t] - d[t]
    L[t] = 0.5 * (e[t] * e[t]).sum()
    return cell


def differentiated(p: Parameters) -> Cell:
    """Return the network, and below it its derivative forward in time."""
    H = len(p["b"].data)
    W, U, b, V = (p[name] for name in "WUbV")
    cell = Cell("differentiated")
    x, d = cell.input("x", INPUTS), cell.input("d", OUTPUTS)
    h, e, dh = cell.signal("h", H), cell.signal("e", OUTPUTS), cell.signal("dh", H)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    e[t] = V @ h[t] - d[t]
    dh[t] = V.T @ e[t]

    one = np.eye(H)  # δ_ki
    direct = {"W": np.einsum("ki,j->kij", one, x[t]), "U": np.einsum("ki,j->kij", one, h[t-1]), "b": one}
    for name, of_step in direct.items():
        shape = p[name].shape
        P, G = cell.signal(f"P_{name}", (H, *shape)), cell.signal(f"G_{name}", shape)
        passed_on = np.einsum("kl,l...->k...", U, P[t-1])
        slope = (1 - h[t] * h[t]).reshape(H, *(1,) * len(shape))
        P[t] = slope * (passed_on + of_step)
        G[t] = G[t-1] + np.einsum("k,k...->...", dh[t], P[t])
    return cell


def by_backpropagation(p: Parameters, given: Arrays, **options: Any) -> Arrays:
    """Return the gradients summed over the batch, from the end of the sequence to its start."""
    loss = network(p).unroll(**given, **options)["L"].stack().sum()
    names = ["W", "U", "b"]
    return dict(zip(names, mg.grad(loss, [p[name] for name in names])))


def forward_in_time(p: Parameters, given: Arrays, piece: int = STEPS) -> Arrays:
    """Return the same gradients, from the state after the last step; the sequence is read in pieces."""
    cell = differentiated(p)
    options: Arrays = {}
    for start in range(0, STEPS, piece):
        part = {name: array[start:start + piece] for name, array in given.items()}
        run = cell.unroll(**part, **options)
        options = {"initial": run.state.detach()}
    return {name: run[f"G_{name}"].final().data.sum(axis=0) for name in ("W", "U", "b")}


def largest_difference(found: Arrays, wanted: Arrays) -> float:
    """Return the largest difference of any element, relative to the largest element of its array."""
    return max(float(np.abs(found[name] - wanted[name]).max() / np.abs(wanted[name]).max()) for name in wanted)


def carried(p: Parameters) -> int:
    """Return how many numbers the second definition carries from step to step, for each sequence."""
    cell = differentiated(p)
    names = {edge.source for edge in cell.edges() if edge.delay}
    return sum(math.prod(cell.signals[name].shape or ()) for name in names)


def kept(size: int, steps: int) -> int:
    """Return how many numbers backpropagation keeps for each sequence: the inputs, the states and the errors."""
    return steps * (INPUTS + size + OUTPUTS)


def draw_kept(options: common.Options) -> None:
    """Draw how many numbers both keep for sequences of up to 10000 steps."""
    steps = [10, 100, 1000, 10000]
    with common.axes(options.out / "kept.png", xscale="log", yscale="log", ylim=(50, 2e7),
                     xlabel="steps T of the sequence", ylabel="numbers kept for each sequence",
                     title="Forward in time, the memory grows with H³ and not with T") as axes:
        for size, color in zip(SIZES, common.COLORS):
            axes.plot(steps, [carried(parameters(options.rng, size))] * len(steps), color=color, linewidth=2,
                      label=f"H = {size}: forward in time")
            axes.plot(steps, [kept(size, T) for T in steps], "--", color=color, linewidth=2,
                      label=f"H = {size}: backpropagation")


def example(options: common.Options) -> None:
    """Compare the gradients, and the numbers that both keep."""
    p, given = parameters(options.rng), data(options.rng)
    wanted = by_backpropagation(p, given)
    print("difference from backpropagation through time, relative to the largest element:")
    print(f"    forward in time                    {largest_difference(forward_in_time(p, given), wanted):.0e}")
    print(f"    forward in time, step by step      {largest_difference(forward_in_time(p, given, 1), wanted):.0e}")
    truncated = by_backpropagation(p, given, chunks=4)
    print(f"    backpropagation in pieces of four  {largest_difference(truncated, wanted):.0e}")
    print("\nnumbers that are kept for each sequence:")
    print("    size   forward in time   backpropagation, T = 100    T = 10000")
    for size in SIZES:
        print(f"    {size:4} {carried(parameters(options.rng, size)):17} {kept(size, 100):26} {kept(size, 10000):12}")
    draw_kept(options)


if __name__ == "__main__":
    sys.exit(common.Parser("rtrl", "Gradients forward in time, equal to those of backpropagation.").run(example))
