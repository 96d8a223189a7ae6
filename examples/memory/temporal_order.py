"""Temporal order: the order of two symbols that are many steps apart.

    python -m examples.temporal_order [--seed 0] [--steps 500] [--out DIR]

A sequence has two symbols that matter, each an X or a Y, one about the second tenth and one about the
sixth; all others are distractors. The target after the last step is one of XX, XY, YX, YY.
(Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9, 1997, experiment 6a, there with
100 to 110 steps; here with 30, and with 60 and twice as many updates.) The LSTM starts with forget biases
of 3, so that initially it forgets within about twenty steps instead of four: see forget_bias.py.

Thresholds, on 500 new sequences: at T = 30 GRU and LSTM at most 1% wrong; at T = 60 the LSTM at most 1%,
the plain network at least 50%. Measured at T = 30 for seeds 0 to 9: none, the plain network's neither; at
T = 60 for seeds 0, 1, 2: LSTM none, GRU none, plain 72%, 74%, 78% (the LSTM for seeds 3 to 9: none).
Picture: loss_60.png. Time: 11 s.
"""

from __future__ import annotations

import sys

import numpy as np

import minigrad as mg
from examples import common
from examples.memory.adding import KINDS
from rnn import Cell, t

SIZE, BATCH, TESTED, RATE, FORGET_BIAS = 32, 32, 500, 0.01, 3.0
SYMBOLS = "EBabcdXY"  # the first step, the last step, four distractors, two that matter


def network(kind: str, rng: np.random.Generator) -> Cell:
    """Return a network with one layer of a kind; its last output is one of four orders."""
    cell = Cell(kind)
    x, target, weight = cell.input("x", len(SYMBOLS)), cell.input("target", ()), cell.input("weight", ())
    options = {"forget_bias": FORGET_BIAS} if kind == "lstm" else {}
    h = KINDS[kind](cell, x, SIZE, name="h", rng=rng, dtype=np.float32, **options)
    V = mg.init.glorot((4, SIZE), rng, name="V", dtype=np.float32)
    y, L = cell.signal("y", 4), cell.signal("L", ())
    y[t] = V @ h[t]
    L[t] = weight[t] * mg.losses.cross_entropy(y[t], target[t], reduction="none")
    return cell


def problems(T: int, sequences: int, rng: np.random.Generator) -> common.Batch:
    """Return symbols x (T, sequences, 8), one-hot, and their order: 0 for XX … 3 for YY."""
    codes = rng.integers(2, 6, (T, sequences))
    codes[0], codes[-1] = 0, 1
    first, second = rng.integers(0, 2, (2, sequences))
    every = np.arange(sequences)
    codes[rng.integers(T // 10, T // 5 + 1, sequences), every] = 6 + first
    codes[rng.integers(T // 2, 6 * T // 10 + 1, sequences), every] = 6 + second
    return {"x": np.eye(len(SYMBOLS), dtype=np.float32)[codes], **common.at_the_end(T, 2 * first + second)}


def trained(kind: str, T: int, updates: int, rng: np.random.Generator) -> tuple[Cell, list[float]]:
    """Return a network that has seen sequences of T steps; its losses."""
    cell = network(kind, rng)
    return cell, common.train(cell, lambda: problems(T, BATCH, rng), updates, rate=RATE, what=kind)


def wrong(cell: Cell, batch: common.Batch) -> float:
    """Return the fraction of sequences whose class at the last step is wrong."""
    with mg.no_grad():
        outputs = cell.compile()(**batch)
    return float((outputs["y"][-1].argmax(axis=-1) != batch["target"][-1]).mean())


def example(options: common.Options) -> None:
    """Train each kind at both lengths, and compare."""
    sequence = problems(30, 1, options.rng)
    print("a sequence:", "".join(SYMBOLS[code] for code in sequence["x"][:, 0].argmax(axis=-1)),
          "->", ["XX", "XY", "YX", "YY"][sequence["target"][-1, 0]])
    for T, updates in ((30, options.steps), (60, 2 * options.steps)):
        curves = {}
        for kind in KINDS:
            rng = options.rng
            cell, curves[kind] = trained(kind, T, updates, rng)
            print(f"{kind}: T = {T}, {wrong(cell, problems(T, TESTED, rng)):.1%} wrong after {updates} updates")
        common.draw_losses(options.out / f"loss_{T}.png", curves, baseline=("ln 4: guessing", np.log(4)),
                           ylabel="cross entropy (nats)", title=f"Temporal order, T = {T}")
    print("thresholds: T = 30: gru and lstm at most 1%; T = 60: lstm at most 1%, elman at least 50% (guessing: 75%)")


if __name__ == "__main__":
    sys.exit(common.Parser("temporal_order", "Tell in which order two symbols came.", 500).run(example))
