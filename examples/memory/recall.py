"""Associative recall: which cells learn to find a value by its key, and for how many pairs, in 300 updates.

    python -m examples.recall [--seed 0] [--steps 300] [--table] [--out DIR]

A sequence lists keys and values, k v k v ..., and then asks for each key once, in a random order; after each question
the network gives the value. (Associative recall: Graves, Wayne and Danihelka, Neural Turing machines, 2014, section
4.3. Many questions about random pairs, "MQAR": Arora et al., Zoology: measuring and improving recall in efficient
language models, 2023, section 4; here all questions follow all pairs.) In the second task every key comes twice, and
the later value counts (Schlag, Irie and Schmidhuber, Linear transformers are secretly fast weight programmers, ICML
2021, section 6.1, settings 1 and 2).

All cells read x[t] = [e[t-1], e[t]], the vectors of two tokens, so that a value and its key are in one input (the
models of Arora et al. have a short convolution for it). The states of the Elman network and of the LSTM are vectors of
64 and 2 x 64 numbers; linear attention and DeltaNet have a matrix of 32 x 32, and fewer parameters. Both write v kᵀ to
it. Linear attention adds, so that two values of a key are both there; DeltaNet first takes out the value that is
there under the key.

Threshold, trained and tested on 16 pairs: linear attention and DeltaNet above 90 % where each key comes once, Elman
network and LSTM below 20 %; where keys come twice DeltaNet above 90 % and linear attention below 60 %. Measured, for
the seeds 0, 1, 2: once: linear attention 97 %, 98 %, 98 %, DeltaNet 100 %, 100 %, 99 %, Elman 2 %, 1 %, 2 %, LSTM 6 %,
4 %, 7 %; twice: DeltaNet 99 %, 99 %, 98 %, linear attention 47 %, 46 %, 48 %, LSTM 4 %, 4 %, 3 %. Of 64 pairs, more
than in training and than the 32 keys that can be orthogonal, DeltaNet recalls 42 %, linear attention 67 %.

Not claimed: that the states of the Elman network and the LSTM are too small; all have equally few updates. An LSTM
trained on 2 pairs answers 52.5 % after 300 updates, 97.5 % after 3000 (seed 0), and on 4 pairs 79 % after 6000 updates
with 64 sequences each.

The full table, each cell trained on each number of pairs, for three seeds from --seed on, is in recall_table.txt beside
this file for the seeds 0, 1, 2:
    python -m examples.recall --table
Picture: recall.png. Time: 28 s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, Signal, cells, t

CELLS: dict[str, tuple[Callable[..., Signal], dict[str, int]]] = {
    "Elman": (cells.elman, {"size": 64}),
    "LSTM": (cells.lstm, {"size": 64}),
    "linear attention": (cells.modern.linear_attention, {"size": 32, "keys": 32}),
    "DeltaNet": (cells.modern.delta_net, {"size": 32, "keys": 32}),
}
RATES = {"Elman": 0.005}  # its loss jumps at the rate of the others
RATE, KEYS, VALUES, EMBEDDED, BATCH, TESTED = 0.01, 64, 64, 32, 32, 100
TRAINED = 16  # pairs in training, unless the table is made
PAIRS = (2, 4, 8, 16, 32, 64)  # in tests
TASKS = {1: "each key comes once", 2: "each key comes twice: the later value counts"}
TABLE_SEEDS, STEPS = (0, 1, 2), 300
Accuracies = dict[str, list[float]]  # by cell, for each of PAIRS


def network(kind: str, rng: np.random.Generator) -> Cell:
    """Return a network that reads tokens w, and gives the score of each value."""
    make, sizes = CELLS[kind]
    cell = Cell(kind)
    w, value, weight = cell.input("w", ()), cell.input("value", ()), cell.input("weight", ())
    E = mg.init.normal((KEYS + VALUES, EMBEDDED), rng, name="E", dtype=np.float32)
    e, x = cell.signal("e", EMBEDDED), cell.signal("x", 2 * EMBEDDED)
    e[t] = E[w[t]]
    x[t] = np.concatenate([e[t-1], e[t]])
    h = make(cell, x, **sizes, name="m", rng=rng, dtype=np.float32)
    V = mg.init.glorot((VALUES, sizes["size"]), rng, name="V", dtype=np.float32)
    y, L = cell.signal("y", VALUES), cell.signal("L", ())
    y[t] = V @ h[t]
    L[t] = weight[t] * mg.losses.cross_entropy(y[t], value[t], reduction="none")
    return cell


def problems(pairs: int, times: int, sequences: int, rng: np.random.Generator) -> common.Batch:
    """Return tokens w (T, sequences), T = (2 times + 1) pairs: each key as often, with new values, then the questions.

    The tokens 0 ... KEYS-1 are keys, those after them values; `value` is the number of the value that was last.
    """
    every = np.arange(sequences)[:, None]
    keys = shuffled(KEYS, sequences, rng)[:, :pairs]
    told = shuffled(times * pairs, sequences, rng) % pairs  # which key of `keys` comes when
    values = rng.integers(VALUES, size=told.shape)
    latest = np.zeros_like(keys)
    for which, given in zip(told.T, values.T):
        latest[every[:, 0], which] = given
    asked = shuffled(pairs, sequences, rng)
    listed = np.stack([keys[every, told], KEYS + values], axis=2).reshape(sequences, -1)
    w = np.concatenate([listed, keys[every, asked]], axis=1).T
    value, weight = np.zeros_like(w), np.zeros(w.shape, np.float32)
    value[-pairs:] = latest[every, asked].T
    weight[-pairs:] = len(w) / pairs  # the mean over all steps is then that over the questions
    return {"w": w, "value": value, "weight": weight}


def shuffled(count: int, sequences: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return 0 ... count-1 in a random order for each sequence, (sequences, count)."""
    return rng.permuted(np.tile(np.arange(count), (sequences, 1)), axis=1)


def trained(kind: str, pairs: int, times: int, updates: int, rng: np.random.Generator) -> Cell:
    """Return a network that was trained on sequences of so many pairs."""
    cell = network(kind, rng)
    common.train(cell, lambda: problems(pairs, times, BATCH, rng), updates, rate=RATES.get(kind, RATE),
                 what=f"{kind}, {pairs} pairs")
    return cell


def accuracy(cell: Cell, pairs: int, times: int, rng: np.random.Generator) -> float:
    """Return the fraction of questions that are answered with the right value, in new sequences."""
    batch = problems(pairs, times, TESTED, rng)
    with mg.no_grad():
        y = cell.compile()(**batch)["y"]
    return float((y.argmax(axis=-1) == batch["value"])[-pairs:].mean())


def carried(cell: Cell) -> int:
    """Return how many numbers the layer hands from step to step, for one sequence."""
    with mg.no_grad():
        state = cell.compile()(**problems(1, 1, 1, np.random.default_rng(0))).state
    return sum(x.size for name, steps in state.values.items() if name.startswith("m.") for x in steps.values())


def draw(file: Path, found: dict[int, Accuracies], title: str) -> None:
    """Draw the accuracies of each task, by the number of pairs."""
    with common.figure(file, (11, 4.6)) as figure:
        for axes, (times, accuracies) in zip(figure.subplots(1, len(found), sharey=True), found.items()):
            for (kind, values), color, marker in zip(accuracies.items(), common.COLORS, "osD^"):
                axes.plot(PAIRS[:len(values)], values, color=color, marker=marker, label=kind)
            axes.axhline(1 / VALUES, color="#555555", linestyle="--", label="guessing")
            axes.set_xscale("log", base=2)
            axes.set_xticks(PAIRS, map(str, PAIRS))
            axes.set(title=TASKS[times], xlabel="pairs in the sequence", ylim=(-0.03, 1.05))
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel("share of right answers")
        figure.axes[0].legend(loc="best")
        figure.suptitle(title)


def title(found: dict[int, Accuracies], updates: int) -> str:
    """Return the accuracies on as many pairs as in training, where each key comes once."""
    place = PAIRS.index(TRAINED)
    once = ", ".join(f"{kind} {values[place]:.0%}" for kind, values in found[1].items())
    return f"After {updates} updates on {TRAINED} pairs, right for {TRAINED} pairs with each key once: {once}"


def compare(options: common.Options) -> dict[int, Accuracies]:
    """Return the accuracies on each number of pairs, trained on one of them."""
    found: dict[int, Accuracies] = {}
    for times, task in TASKS.items():
        print(f"\n{task}; trained on {TRAINED} pairs, tested on {', '.join(map(str, PAIRS))}")
        found[times] = {}
        for kind in CELLS:
            rng = options.rng
            cell = trained(kind, TRAINED, times, options.steps, rng)
            found[times][kind] = [accuracy(cell, pairs, times, rng) for pairs in PAIRS]
            print(f"{kind:16} {row(found[times][kind])}")
    return found


def table_seeds(options: common.Options) -> tuple[int, ...]:
    """Return the seeds of the table: three from the given one on, in a small run that one."""
    return (options.seed,) if options.small else tuple(options.seed + number for number in TABLE_SEEDS)


def tabulate(options: common.Options, file: Path) -> dict[int, Accuracies]:
    """Return the accuracies of cells that were trained on each number of pairs, and write those of all seeds.

    Of several seeds, the mean is returned.
    """
    seeds = table_seeds(options)
    found: dict[int, Accuracies] = {}
    lines = [f"python -m examples.recall --table --steps {options.steps}", "",
             f"Right answers in % after {options.steps} updates, for the seeds {', '.join(map(str, seeds))}: each "
             "network trained and tested on sequences of one length."]
    for times, task in TASKS.items():
        found[times] = {}
        lines += ["", task, f"{'':16} " + " ".join(f"{pairs:>11} pairs" for pairs in PAIRS)]
        for kind in CELLS:
            each = np.array([[again(kind, pairs, times, options.steps, seed) for pairs in PAIRS] for seed in seeds])
            found[times][kind] = each.mean(axis=0).tolist()
            lines.append(f"{kind:16} " + " ".join(f"{' '.join(f'{100 * a:.0f}' for a in column):>17}"
                                                  for column in each.T))
            print(lines[-1])
            file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return found


def again(kind: str, pairs: int, times: int, updates: int, seed: int) -> float:
    """Return the accuracy on the number of pairs that a network was trained on."""
    rng = np.random.default_rng(seed)
    return accuracy(trained(kind, pairs, times, updates, rng), pairs, times, rng)


def row(accuracies: list[float]) -> str:
    return " ".join(f"{value:6.1%}" for value in accuracies)


def example(options: common.Options) -> None:
    """Compare the cells on both tasks."""
    for kind in CELLS:
        cell = network(kind, options.rng)
        parameters = sum(p.size for name, p in cell.parameters.items() if name.startswith("m."))
        print(f"{kind:16} carries {carried(cell):5} numbers, has {parameters:6} parameters")
    viz.rolled(cell).render(outfile=options.out / "network.png")
    if options.table:
        print(f"the table is for the seeds {', '.join(map(str, table_seeds(options)))}")
        found = tabulate(options, options.out / "table.txt")
        draw(options.out / "table.png", found, f"Trained and tested on equally many pairs, {options.steps} updates")
    else:
        found = compare(options)
        draw(options.out / "recall.png", found,
             title(found, options.steps))
    print("thresholds at 16 pairs: once: linear attention and DeltaNet above 90%, Elman and LSTM below 20%; "
          "twice: DeltaNet above 90%, linear attention below 60%")


if __name__ == "__main__":
    parser = common.Parser("recall", __doc__.splitlines()[0], steps=STEPS)
    parser.add_argument("--table", action="store_true",
                        help="train on each number of pairs, for three seeds from --seed on: 20 min")
    sys.exit(parser.run(example))
