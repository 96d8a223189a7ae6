"""A tag for every step that depends on the future: a bidirectional network.

    python -m examples.tagging [--seed 0] [--steps 600] [--out out/tagging]

Shows a bidirectional network (Schuster and Paliwal, Bidirectional recurrent neural networks, IEEE Trans. Signal
Processing 45, 1997): two equations, one of which reads h[t+1]. Each letter of a random word is
tagged 0 if it occurs once, 1 at its first occurrence, 3 at its last, and 2 between. Whether a letter has occurred
before depends on the past; whether it occurs again depends on the future.

The best accuracy of a network that reads in one direction follows from probabilities: with K kinds of letters,
a letter is not among the next n with probability p = (1 - 1/K)^n, and the best guess is right with probability
max(p, 1 - p). Networks in one direction reach this bound, and cannot exceed it at any size.

Measured, for the seeds 0, 1, 2, in words of 10 letters of 5 kinds, drawn anew:
in both directions 100 % of the tags are right; in one direction 74 to 75 %, with a bound of 74.4 %.
Picture: dependence.png. Time: 4 s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t

KINDS, STEPS, HIDDEN, BATCH, RATE, TESTED = 5, 10, 64, 64, 0.02, 2000
Words = NDArray[np.int64]  # (T, batch)
READERS = ("from the beginning", "from the end", "from both ends")


def network(reader: str, rng: np.random.Generator) -> Cell:
    """Return Elman layers; two of half the size, or one."""
    size = HIDDEN // 2 if reader == "from both ends" else HIDDEN
    cell = Cell(reader)
    x, tag = cell.input("x", KINDS), cell.input("tag", ())
    states = []
    if reader != "from the end":
        W, U, b = layer("", size, rng)
        h = cell.signal("h", size)
        h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
        states.append(h[t])
    if reader != "from the beginning":
        W, U, b = layer("'", size, rng)
        g = cell.signal("g", size)
        g[t] = np.tanh(W @ x[t] + U @ g[t+1] + b)
        states.append(g[t])
    V, c = mg.init.glorot((4, HIDDEN), rng, name="V"), mg.init.zeros((4,), name="c")
    y, L = cell.signal("y", 4), cell.signal("L", ())
    y[t] = V @ mg.concatenate(states, axis=-1) + c
    L[t] = mg.losses.cross_entropy(y[t], tag[t], reduction="none")
    return cell


def layer(mark: str, size: int, rng: np.random.Generator) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
    """Return the parameters of a layer, named W, U and b and a mark."""
    return (mg.init.glorot((size, KINDS), rng, name="W" + mark),
            mg.init.orthogonal((size, size), rng, name="U" + mark), mg.init.zeros((size,), name="b" + mark))


def tags(words: Words) -> Words:
    """Return 0 for a letter that occurs once, 1 for its first occurrence, 3 for its last, 2 between."""
    equal = words[:, None] == words[None]  # at two steps, in each word
    before = np.tril(np.ones((len(words),) * 2, bool), -1)[..., None]
    came = (equal & before).any(axis=1)
    comes = (equal & before.swapaxes(0, 1)).any(axis=1)
    return np.where(came, np.where(comes, 2, 3), np.where(comes, 1, 0))


def ceiling(steps: int, kinds: int) -> float:
    """Return the largest possible accuracy without the future, as the mean over a word."""
    absent = (1 - 1 / kinds) ** np.arange(steps)
    return float(np.maximum(absent, 1 - absent).mean())


def encoded(words: Words) -> dict[str, Any]:
    return {"x": np.eye(KINDS)[words], "tag": tags(words)}


def drawn(rng: np.random.Generator, words: int) -> Words:
    return rng.integers(KINDS, size=(STEPS, words))


def right(cell: Cell, words: Words) -> float:
    """Return the accuracy of the network."""
    with mg.no_grad():
        outputs = cell.compile()(**encoded(words))
    return float((outputs["y"].argmax(axis=-1) == tags(words)).mean())


def dependence(cell: Cell, words: Words) -> NDArray[np.float64]:
    """Return |dL[t]/dx[s]| of the loss at t (rows) and the letter at s (columns)."""
    data = encoded(words)
    x = mg.Tensor(data["x"], requires_grad=True, name="x")
    run = cell.unroll(x=x, tag=data["tag"])
    gradients = [mg.grad(loss.sum(), x) for loss in run["L"]]
    return np.array([np.linalg.norm(gradient, axis=(1, 2)) for gradient in gradients])


def draw_dependence(file: Path, seen: dict[str, NDArray[np.float64]]) -> None:
    """Draw a map for each direction; unseen letters are white."""
    from matplotlib.colors import LogNorm
    with common.figure(file, (10, 3.6)) as figure:
        largest = max(values.max() for values in seen.values())
        for axes, (reader, values) in zip(figure.subplots(1, len(seen)), seen.items()):
            shades = axes.imshow(np.where(values > 0, values, np.nan), cmap="viridis", origin="lower",
                                 extent=(0.5, STEPS + 0.5) * 2, norm=LogNorm(largest * 1e-3, largest))
            steps = range(1, STEPS + 1)
            axes.set(title=reader, xlabel="letter s", ylabel="tag t", xticks=steps, yticks=steps)
        figure.colorbar(shades, ax=figure.axes, label="|dL[t]/dx[s]|", extend="min")


def example(options: common.Options) -> None:
    tested = drawn(np.random.default_rng([options.seed, 1]), TESTED)
    both = network("from both ends", options.rng)
    print(both)
    viz.rolled(both).render(outfile=options.out / "rolled.png")
    viz.unrolled(both.unroll(**encoded(tested[:4, :1]))).render(outfile=options.out / "unrolled.png")
    losses, seen = {}, {}
    for reader in READERS:
        rng = options.rng
        cell = network(reader, rng)
        losses[reader] = common.train(cell, lambda: encoded(drawn(rng, BATCH)), options.steps, rate=RATE, what=reader)  # noqa: B023
        print(f"reading {reader}: {right(cell, tested):.1%} of the tags are right\n")
        seen[reader] = dependence(cell, tested[:, :32])
    print(f"the ceiling for one end: {ceiling(STEPS, KINDS):.1%}")
    common.draw_losses(options.out / "loss.png", losses, ylabel="nats per tag", title="From one end, and from both")
    draw_dependence(options.out / "dependence.png", seen)


if __name__ == "__main__":
    sys.exit(common.Parser("tagging", __doc__.splitlines()[0], steps=600).run(example))
