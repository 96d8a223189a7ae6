"""Vanishing and exploding gradients, and the cliff in the error surface.

    python -m examples.gradient_flow [--seed 0] [--steps 300] [--out DIR]

First: h[t] = W h[t-1], and the same with tanh, for matrices of several spectral radii ρ. In a linear
recurrence the gradient of the last state scales as ρ to the power of the steps; tanh' is at most 1 and
limits the growth where the state is large (Pascanu, Mikolov and Bengio, On the difficulty of
training recurrent neural networks, ICML 2013, section 2.1).

Second: one neuron, x[t] = w σ(x[t-1]) + b, should end at σ(x[50]) = 0.7. Where the attractor of the
state changes abruptly, the error surface has a wall with a very large gradient. One step of gradient descent
there moves the parameters far away; with the norm clipped to 0.1 it doesn't (section 2.3, figure 6 and
algorithm 1).

Thresholds: the linear gradient changes per step by ρ within 10%; of 100 starts above the cliff all end at an
error below 0.01 with clipping, at most two thirds without. Measured for seeds 0, 1, 2: within 3%; 100%
against 53%, 55%, 49%. Picture: cliff.png. Time: 2 s.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Run, t

T, SIZE = 50, 20
RADII = (0.5, 0.9, 1.0, 1.1, 1.5)
START, TARGET = 0.5, 0.7  # x[0], and what σ(x[T]) should be
RATE, LARGEST_NORM, STARTS = 1.0, 0.1, 100


# ---- vanishing and exploding


def recurrence(radius: float, linear: bool, rng: np.random.Generator) -> Run:
    """Return a run of h[t] = act(W h[t-1]) over T steps, after the backward pass of the sum of h[T]."""
    matrix = rng.normal(size=(SIZE, SIZE))
    W = mg.Tensor(matrix * radius / np.abs(np.linalg.eigvals(matrix)).max(), requires_grad=True, name="W")
    cell = Cell(f"spectral radius {radius:g}")
    h = cell.signal("h", SIZE)
    h[t] = W @ h[t-1] if linear else np.tanh(W @ h[t-1])
    h[0] = mg.Tensor(rng.normal(0, 0.1, SIZE), requires_grad=True, name="h0")
    run = cell.unroll(T=T)
    run["h"][T].sum().backward()
    return run


def factor(norms: NDArray[np.float64]) -> float:
    """Return the factor by which a gradient changes per step back, over the first half of the sequence."""
    return float((norms[0] / norms[T // 2]) ** (2 / T))


def flow(options: common.Options) -> None:
    """Return gradient norms by step, for each radius."""
    with common.axes(options.out / "flow.png", xlabel="time step t", ylabel="|dL/dh[t]|", yscale="log",
                     title="The gradient of the last state, by spectral radius ρ; dashed: with tanh") as axes:
        for radius, color in zip(RADII, common.COLORS):
            factors = {}
            for linear, style in ((True, "-"), (False, "--")):
                run = recurrence(radius, linear, options.rng)
                norms = run.gradient_norms("h")
                factors[linear] = factor(norms)
                axes.plot(np.arange(1, T + 1), norms, style, color=color, label=f"ρ = {radius:g}" if linear else None)
            print(f"ρ = {radius:g}: per step back the gradient is multiplied by {factors[True]:.3f}, with tanh by "
                  f"{factors[False]:.3f}")
    viz.gradient_map(recurrence(0.9, False, options.rng)).render(outfile=options.out / "vanishing.png")


# ---- the cliff


def errors(w: mg.Tensor, b: mg.Tensor) -> mg.Tensor:
    """Return the squared error of x[t] = w σ(x[t-1]) + b after T steps: one neuron for each element of w and b."""
    cell = Cell("one neuron")
    x = cell.signal("x", w.size)
    x[t] = w * mg.sigmoid(x[t-1]) + b
    x[0] = START
    end = mg.sigmoid(cell.unroll(T=T)["x"][T])
    result: mg.Tensor = mg.square(end - TARGET)
    return result


def parameter(values: Any, name: str) -> mg.Tensor:
    return mg.Tensor(np.array(values, float), requires_grad=True, name=name)


def starts(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return places (2, STARTS) above the cliff."""
    return rng.uniform([[4.5], [-2.5]], [[5.5], [-1.5]], (2, STARTS))


def descent(start: NDArray[np.float64], updates: int, largest_norm: float) -> NDArray[np.float64]:
    """Return the paths of gradient descent from n places (2, n), as (updates, 4, n): w, b, error, gradient norm."""
    place = start.copy()
    paths = np.zeros((updates, 4, start.shape[1]))
    for update in range(updates):
        w, b = parameter(place[0], "w"), parameter(place[1], "b")
        error = errors(w, b)
        gradient = np.array(mg.grad(error.sum(), [w, b]))
        norm = np.linalg.norm(gradient, axis=0)
        paths[update] = *place, error.numpy(), norm
        place -= RATE * gradient * np.minimum(1, largest_norm / norm)  # algorithm 1
    return paths


def arrived(paths: NDArray[np.float64]) -> float:
    """Return the fraction of paths whose error, in the mean over the last third, is below 0.01."""
    return float((paths[-len(paths) // 3:, 2].mean(axis=0) < 0.01).mean())


def cliff(options: common.Options) -> None:
    """Draw the error surface and paths on it."""
    start = starts(options.rng)
    paths = {"with clipping": descent(start, options.steps, LARGEST_NORM),
            "without": descent(start, options.steps, np.inf)}
    for label, path in paths.items():
        print(f"{label}: {arrived(path):.0%} of {STARTS} starts end below an error of 0.01; largest gradient "
              f"{path[:, 3].max():.1f}, longest step {np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).max():.1f}")
    one = int(paths["without"][-1, 2].argmax())  # a start that was thrown away
    b, w = np.meshgrid(np.linspace(-4, 0, 240), np.linspace(3, 7, 240), indexing="ij")
    surface = errors(parameter(w.ravel(), "w"), parameter(b.ravel(), "b"))
    with common.axes(options.out / "cliff.png", xlabel="w", ylabel="b", xlim=(3, 7), ylim=(-4, 0),
                     title=f"One neuron after {T} steps: its error, and gradient descent on it") as axes:
        mesh = axes.pcolormesh(w, b, surface.numpy().reshape(w.shape), cmap="Blues", rasterized=True)
        axes.figure.colorbar(mesh, label="error")
        for (label, path), color in zip(paths.items(), ("#009E73", "#D55E00")):
            axes.plot(path[:, 0, one], path[:, 1, one], ".-", color=color, linewidth=1, markersize=4, label=label)
        axes.plot(*start[:, one], "k*", markersize=10, label="start")


def example(options: common.Options) -> None:
    """Run both experiments."""
    flow(options)
    cliff(options)
    print("thresholds: linear, ρ within 10%; with clipping 100%, without at most 67%")


if __name__ == "__main__":
    sys.exit(common.Parser("gradient_flow", "Vanishing and exploding gradients, and the cliff.", 300).run(example))
