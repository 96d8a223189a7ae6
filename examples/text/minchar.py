"""A character-level language model: min-char-rnn, with the same numbers.

    python -m examples.minchar [--seed 0] [--steps 6000] [--out out/minchar]

Shows truncated backpropagation through time: each update reads 25 letters and starts from the state of the previous
update, without a gradient back into it. The algorithm is that of
Karpathy's min-char-rnn (gist d4dee566867f8291f086, 2015): an Elman network of 100 units, gradients clipped
to ±5 element by element, Adagrad. The text is the beginning of Wells' The Time Machine (1895).

First the losses of 20 updates from the known start (seed 42) are compared with the known trajectory,
tests/cases/minchar_rnn_trajectory.json, on which two programs without minigrad agree; after about 50
updates rounding alone makes two correct programs differ. Then it learns the text by heart, from --seed.

Measured, for the seeds 0, 1, 2: the first 21 losses differ by less than 2e-9 from the known ones; after 6000
updates a letter costs 0.29, 0.10, 0.10 nats over the best hundred of them (at first ln 33 = 3.5). Another order
of the same sums gave 0.04, 0.28, 0.53. In between the losses may jump, which clipping element by element
doesn't prevent. Picture: loss.png. Time: 6 s.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t

CASE = Path(__file__).parents[2] / "tests" / "cases" / "minchar_rnn_trajectory.json"
HIDDEN, CHUNK, RATE, LARGEST = 100, 25, 0.1, 5.0


class Adagrad(mg.optim.Adagrad):
    """Adagrad with its small number inside the root, as that program has it."""

    def change(self, index: int, grad: NDArray[Any]) -> NDArray[Any]:
        s = self.squares[index] = self.squares[index] + grad * grad
        result: NDArray[Any] = self.lr * grad / np.sqrt(s + 1e-8)
        return result


def network(letters: int, seed: int) -> Cell:
    """Return an Elman network with the names of that program, and small normal weights drawn in its order."""
    random = np.random.RandomState(seed)
    Wxh = mg.Tensor(random.randn(HIDDEN, letters) * 0.01, requires_grad=True, name="Wxh")
    Whh = mg.Tensor(random.randn(HIDDEN, HIDDEN) * 0.01, requires_grad=True, name="Whh")
    Why = mg.Tensor(random.randn(letters, HIDDEN) * 0.01, requires_grad=True, name="Why")
    bh, by = mg.init.zeros((HIDDEN,), name="bh"), mg.init.zeros((letters,), name="by")

    cell = Cell("min-char-rnn")
    x, label = cell.input("x", letters), cell.input("label", ())
    h, y, L = cell.signal("h", HIDDEN), cell.signal("y", letters), cell.signal("L", ())
    h[t] = np.tanh(Wxh @ x[t] + Whh @ h[t-1] + bh)
    y[t] = Why @ h[t] + by
    L[t] = mg.losses.cross_entropy(y[t], label[t], reduction="none")
    return cell


def train(cell: Cell, codes: NDArray[np.int64], updates: int, what: str = "training") -> list[float]:
    """Return the loss of every update: the sum over 25 letters, in nats."""
    program = cell.compile(loss="L")
    optimizer = Adagrad(cell.parameters, lr=RATE)
    one_hot = np.eye(codes.max() + 1)
    losses: list[float] = []
    position, state = 0, None
    bar = common.Progress(updates, what)
    for _ in bar:
        if position + CHUNK + 1 >= len(codes):  # the text begins again, and so does the state
            position, state = 0, None
        call_site = slice(position, position + CHUNK)
        optimizer.zero_grad()
        loss, outputs = program(x=one_hot[codes[:-1][call_site]], label=codes[1:][call_site], initial=state)
        mg.optim.clip_grad_value(cell.parameters, LARGEST)
        optimizer.step()
        position, state = position + CHUNK, outputs.state  # constant: no gradient goes back through it
        losses.append(loss)
        bar.show(nats_a_letter=float(np.mean(losses[-100:])) / CHUNK)
    return losses


def sample(cell: Cell, alphabet: str, length: int, rng: np.random.Generator) -> str:
    """Return letters drawn one by one from the network's own predictions."""
    program = cell.compile()
    one_hot = np.eye(len(alphabet))
    text, state = "T", None
    for _ in range(length):
        letter = alphabet.index(text[-1])
        outputs = program(x=one_hot[[letter]], label=[letter], initial=state)
        logits, state = outputs["y"][0], outputs.state
        chances = np.exp(logits - logits.max())
        text += alphabet[rng.choice(len(alphabet), p=chances / chances.sum())]
    return text


def deviation(codes: NDArray[np.int64], known: dict[str, Any]) -> float:
    """Return the largest relative difference to the known trajectory, over its first 21 losses."""
    losses = train(network(int(codes.max()) + 1, seed=42), codes, 21, "known start")
    return max(abs(losses[int(update)] / float(expected["loss"]) - 1)
               for update, expected in known.items() if int(update) < len(losses))


def example(options: common.Options) -> None:
    case = json.loads(CASE.read_text(encoding="utf-8"))
    text = case["text"]
    alphabet = "".join(sorted(set(text)))
    codes = np.array([alphabet.index(letter) for letter in text])
    print(f"the known trajectory: the losses differ by {deviation(codes, case['expected']):.1e} at most (relative)\n")

    cell = network(len(alphabet), options.seed)
    print(cell)
    viz.rolled(cell).render(outfile=options.out / "rolled.png")
    losses = train(cell, codes, options.steps)
    common.draw_losses(options.out / "loss.png", {"25 letters": [loss / CHUNK for loss in losses]},
                       baseline=("all letters alike", np.log(len(alphabet))), ylabel="nats per letter", ylim=(0, 8),
                       title=f"{len(text)} letters, learnt by heart")
    best = common.running_mean(losses, min(100, len(losses))).min() / CHUNK
    print(f"{options.steps} updates: {best:.3f} nats a letter, over the best 100 of them; at first "
          f"{np.log(len(alphabet)):.3f}")
    print(f"it writes: {sample(cell, alphabet, 200, options.rng)}")


if __name__ == "__main__":
    sys.exit(common.Parser("minchar", __doc__.splitlines()[0], steps=6000).run(example))
