"""The tour: train a recurrent network on a real text, and draw it.

    python -m examples.tour

A character-level Elman network reads the first chapters of Alice in Wonderland (alice.txt) and
learns to guess the next letter, by backpropagation through time that is truncated to chunks; the
state is carried from chunk to chunk. Writes pictures into tour/: the network rolled and unrolled,
the loss, and how far back the gradient reaches. Picture: gradient_flow.png. Time: 30 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Run, State, sequences, t

TEXT = Path(__file__).with_name("alice.txt")
HIDDEN, CHUNK, BATCH = 128, 25, 32
RATE, LARGEST_NORM = 4e-3, 5.0
LAGS = 50  # steps over which the flow of the gradient is shown


def elman(letters: int, hidden: int, rng: np.random.Generator) -> Cell:
    """Return Elman's network (Finding structure in time, Cognitive Science 14, 1990), letters in and out."""
    W = mg.init.glorot((hidden, letters), rng, name="W", dtype=np.float32)
    U = mg.init.orthogonal((hidden, hidden), rng, name="U", dtype=np.float32)
    b = mg.init.zeros((hidden,), name="b", dtype=np.float32)
    V = mg.init.glorot((letters, hidden), rng, name="V", dtype=np.float32)
    c = mg.init.zeros((letters,), name="c", dtype=np.float32)

    cell = Cell("Elman network")
    x = cell.input("x", letters)
    h = cell.signal("h", hidden)
    y = cell.signal("y", letters)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t] + c
    return cell


def chunks(codes: NDArray[np.int64], letters: int) -> Iterator[tuple[NDArray[Any], NDArray[Any], bool]]:
    """Yield inputs (T, batch, letters), labels (T, batch), and whether the text begins again; without end.

    The text is cut into as many streams as the batch is wide; each chunk goes on where the one
    before ended.
    """
    inputs, labels = sequences.streams(codes[:-1], BATCH), sequences.streams(codes[1:], BATCH)
    one_hot = np.eye(letters, dtype=np.float32)
    while True:
        begins = True
        for x, label in zip(sequences.chunks(inputs, CHUNK), sequences.chunks(labels, CHUNK)):
            yield one_hot[x], label, begins
            begins = False


def train(cell: Cell, codes: NDArray[np.int64], updates: int) -> tuple[list[float], Run, mg.Tensor]:
    """Train by truncated BPTT; return the losses in nats per letter, the last run and its loss."""
    optimizer = mg.optim.Adam(cell.parameters, lr=RATE)
    losses: list[float] = []
    state: State | None = None
    data = chunks(codes, cell.signals["x"].shape[0])  # type: ignore[index]
    bar = common.Progress(updates)
    for update in bar:
        inputs, labels, begins = next(data)
        run = cell.unroll(x=inputs, initial=None if begins else state)
        loss = mg.losses.cross_entropy(run["y"].stack(), labels)
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm(cell.parameters, LARGEST_NORM)
        optimizer.lr = RATE * (1 - update / updates)
        optimizer.step()
        state = run.state.detach()  # the next chunk goes on from here; its gradient stops here
        losses.append(loss.item())
        bar.show(loss=float(np.mean(losses[-50:])))
    return losses, run, loss


def sample(cell: Cell, alphabet: str, length: int, rng: np.random.Generator, start: str = "Alice ") -> str:
    """Return letters drawn one by one from the network's own predictions, after `start`."""
    one_hot = np.eye(len(alphabet), dtype=np.float32)
    text = start
    with mg.no_grad():
        run = cell.unroll(x=one_hot[[alphabet.index(letter) for letter in start]])
        for _ in range(length):
            logits = run["y"][run.T].data.astype(float)
            chances = np.exp(logits - logits.max())
            letter = rng.choice(len(alphabet), p=chances / chances.sum())
            text += alphabet[letter]
            run = cell.unroll(x=one_hot[[letter]], initial=run.state)
    return text


def gradient_flow(cell: Cell, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the norm of dL[T]/dh[t] for t = 1 … T, where L[T] is the loss at the last step alone."""
    letters = cell.signals["x"].shape[0]  # type: ignore[index]
    run = cell.unroll(x=np.eye(letters, dtype=np.float32)[codes[:LAGS]])
    mg.losses.cross_entropy(run["y"][LAGS], codes[LAGS]).backward()
    for parameter in cell.parameters.values():
        parameter.grad = None
    return np.array([np.linalg.norm(h.grad) for h in run["h"] if h.grad is not None])


def draw_flow(flows: dict[str, NDArray[np.float64]], file: Path) -> None:
    """Draw gradient norms by time step, on a logarithmic scale."""
    with common.axes(file, xlabel="time step t", ylabel="|dL[T]/dh[t]|", yscale="log",
                     title=f"How much the loss at T = {LAGS} depends on the state at t") as axes:
        for (label, norms), (color, marker) in zip(flows.items(), [("#8A8A8A", "o"), ("#D98200", "s")]):
            steps = np.arange(1, len(norms) + 1)
            seen = norms > 0
            axes.plot(steps[seen], norms[seen], marker=marker, markersize=3, color=color, label=label)


def tour(options: common.Options) -> None:
    """Train, sample, and draw all pictures."""
    rng, out = options.rng, options.out
    text = TEXT.read_text(encoding="utf-8").split("\n\n", 1)[1]
    alphabet = "".join(sorted(set(text)))
    codes = np.array([alphabet.index(letter) for letter in text])
    cell = elman(len(alphabet), HIDDEN, rng)
    print(cell)
    print(f"{len(text):,} letters, {len(alphabet)} different ones; "
          f"{sum(p.size for p in cell.parameters.values()):,} parameters")

    viz.rolled(cell).render(outfile=out / "rolled.png")
    print("\nbefore training it writes:\n" + indented(sample(cell, alphabet, 200, options.rng)))
    flows = {"before training": gradient_flow(cell, codes)}

    started = time.perf_counter()
    losses, run, loss = train(cell, codes, options.steps)
    print(f"{options.steps} updates in {time.perf_counter() - started:.0f} s: "
          f"from {losses[0]:.2f} to {np.mean(losses[-50:]):.2f} nats a letter")

    viz.unrolled(run, loss=loss).render(outfile=out / "unrolled.png")
    common.draw_losses(out / "loss.png", {"running mean": losses}, ylabel="cross entropy (nats per letter)",
                       title="Learning to guess the next letter")
    flows["after training"] = gradient_flow(cell, codes)
    draw_flow(flows, out / "gradient_flow.png")
    print("\nafter training it writes:\n" + indented(sample(cell, alphabet, 400, options.rng)))


def indented(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


if __name__ == "__main__":
    parser = common.Parser("tour", "Train a character-level Elman network, and draw it.", steps=3000, out=Path("tour"))
    sys.exit(parser.run(tour))
