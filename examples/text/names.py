"""Many to one: predict the language of a surname from its letters.

    python -m examples.names [--seed 0] [--steps 300] [--out out/names]

Shows a network that reads a whole sequence and answers once, at its end. The names have unequal
lengths: with `lengths=` each keeps its state after its end, and only the loss at its last letter
counts. The answer is computed at every letter, which shows how the prediction develops.

The data, surnames.txt, are about a hundred common surnames each of six languages; a fifth of them, drawn
anew with each seed, is kept for the test. The network is a GRU (Cho et al., Learning phrase representations
using RNN encoder-decoder, EMNLP 2014) of 32 units.

Measured, for the seeds 0, 1, 2: 83 %, 83 %, 80 % of 126 unseen names are classified correctly; by chance 17 %.
Picture: opinion.png. Time: 3 s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, cells, sequences, t

FILE = Path(__file__).with_name("surnames.txt")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
HIDDEN, BATCH, RATE, TESTED = 32, 64, 0.01, 0.2
Named = tuple[str, int]  # a surname, and the number of its language


def read() -> tuple[list[str], list[Named]]:
    """Return the languages, and every surname with its language's number."""
    lines = [line.split(":") for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [language for language, _ in lines], [(name, number) for number, (_, names) in enumerate(lines)
                                                 for name in names.split()]


def network(languages: int, rng: np.random.Generator) -> Cell:
    cell = Cell("surnames")
    x, language, end = cell.input("x", len(LETTERS)), cell.input("language", ()), cell.input("end", ())
    h = cells.gru(cell, x, HIDDEN, name="h", rng=rng)
    V, c = mg.init.glorot((languages, HIDDEN), rng, name="V"), mg.init.zeros((languages,), name="c")
    y, L = cell.signal("y", languages), cell.signal("L", ())
    y[t] = V @ h[t] + c
    L[t] = end[t] * mg.losses.cross_entropy(y[t], language[t], reduction="none")
    return cell


def encoded(named: Sequence[Named]) -> dict[str, Any]:
    """Return a batch of surnames as inputs of the network."""
    one_hot = np.eye(len(LETTERS))
    x, lengths = sequences.pad([one_hot[[LETTERS.index(letter) for letter in name]] for name, _ in named])
    languages = np.array([number for _, number in named])
    return {"x": x, "lengths": lengths, "language": np.broadcast_to(languages, x.shape[:2]),
            "end": common.at_their_ends(lengths)}


def opinions(cell: Cell, named: Sequence[Named]) -> list[NDArray[np.float64]]:
    """Return the probability of each language after each letter of each name: (letters, languages)."""
    data = encoded(named)
    with mg.no_grad():
        scores = cell.compile()(**data)["y"]
    return [mg.softmax(scores[:length, number]) for number, length in enumerate(data["lengths"])]


def draw_confusion(file: Path, languages: Sequence[str], told: NDArray[np.int64], true: NDArray[np.int64]) -> None:
    """Draw how many names of each language (rows) were classified as which (columns)."""
    counts = np.zeros((len(languages), len(languages)), int)
    np.add.at(counts, (true, told), 1)
    with common.axes(file, title="Surnames that it never saw", xlabel="told", ylabel="true") as drawing:
        drawing.imshow(counts, cmap="Blues", zorder=2)
        for (row, column), count in np.ndenumerate(counts):
            drawing.text(column, row, str(count), ha="center", va="center", zorder=3,
                         color="white" if count > counts.max() / 2 else "black")
        drawing.set_xticks(range(len(languages)), languages, fontsize=8)
        drawing.set_yticks(range(len(languages)), languages)


def draw_opinion(file: Path, languages: Sequence[str], name: str, opinion: NDArray[np.float64]) -> None:
    """Draw the probability of each language, letter by letter."""
    with common.axes(file, title=f"Reading {name}", xlabel="after the letter", ylabel="probability",
                     ylim=(-0.02, 1.02)) as drawing:
        for language, values, color in zip(languages, opinion.T, common.COLORS):
            drawing.plot(values, marker="o", markersize=4, color=color, label=language)
        drawing.set_xticks(range(len(name)), list(name))


def example(options: common.Options) -> None:
    rng = options.rng
    languages, named = read()
    named = [named[number] for number in rng.permutation(len(named))]
    count = int(TESTED * len(named))
    tested, trained = named[:count], named[count:]
    cell = network(len(languages), rng)
    print(cell)
    print(f"{len(trained)} surnames to learn from, {len(tested)} to be told; {', '.join(languages)}")
    viz.rolled(cell).render(outfile=options.out / "rolled.png")

    losses = common.train(cell, lambda: encoded([trained[number] for number in rng.choice(len(trained), BATCH, False)]),
                          options.steps, rate=RATE)
    common.draw_losses(options.out / "loss.png", {"64 surnames": losses},
                       baseline=("by chance", float(np.log(len(languages)))), ylabel="nats per surname")
    found = opinions(cell, tested)
    told, true = np.array([opinion[-1].argmax() for opinion in found]), np.array([number for _, number in tested])
    print(f"{(told == true).mean():.1%} of {count} new surnames are told right; by chance {1 / len(languages):.0%}")
    draw_confusion(options.out / "confusion.png", languages, told, true)
    # The name about which it changed its mind most: its end was believed least at the first letter.
    most = max((number for number in range(count) if told[number] == true[number]),
               key=lambda number: found[number][-1, true[number]] - found[number][0, true[number]])
    draw_opinion(options.out / "opinion.png", languages, tested[most][0], found[most])


if __name__ == "__main__":
    sys.exit(common.Parser("names", __doc__.splitlines()[0], steps=300).run(example))
