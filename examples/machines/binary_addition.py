"""Binary addition: learned on eight bits, right on sixty-five.

    python -m examples.binary_addition [--seed 0] [--steps 600] [--out DIR]

The network reads two numbers bit by bit, the lowest first, and writes their sum. It has to carry one bit from
step to step, which it finds by backpropagation through time. The lowest bit comes first, so that the carry moves
forward in time. (The serial adder, a usual first example
of a sequential machine: Kohavi, Switching and finite automata theory, 1970.)

Threshold: no wrong bit in 500 sums of numbers of 64 bits. Measured: none for seeds 0 to 29.
Picture: loss.png. Time: 1 s.
"""

from __future__ import annotations

import sys

import numpy as np

import viz
from examples import common
from examples.machines.parity import margins, network, with_noise, wrong
from rnn import Cell

BATCH, RATE = 64, 0.02
TRAINED, TESTED = 8, 500  # bits of the numbers in training, sums in the test
LENGTHS = (8, 16, 32, 64)
NOISE = 0.5  # as in parity.py


def sums(length: int, count: int, rng: np.random.Generator) -> common.Batch:
    """Return pairs of numbers of `length` bits, the lowest first, and their sums: x (length + 1, count, 2)."""
    x = rng.integers(0, 2, (length + 1, count, 2))
    x[-1] = 0  # the last step is for the last carry
    target = np.zeros((length + 1, count, 1))
    carry = np.zeros(count, int)
    for step, two in enumerate(x):
        total = two.sum(axis=-1) + carry
        target[step, :, 0], carry = total % 2, total // 2
    return {"x": x.astype(float), "target": target}


def trained(updates: int, rng: np.random.Generator) -> tuple[Cell, list[float]]:
    """Return a network that has seen sums of numbers of TRAINED bits; its losses."""
    cell = network("binary addition", 2, rng)
    losses = common.train(cell, lambda: with_noise(sums(TRAINED, BATCH, rng), NOISE, rng), updates, rate=RATE)
    return cell, losses


def number(bits: np.ndarray) -> int:
    """Return the number of these bits, the lowest first."""
    return sum(int(bit) << place for place, bit in enumerate(bits))


def example(options: common.Options) -> None:
    """Train, add, and print one sum."""
    rng = options.rng
    cell, losses = trained(options.steps, rng)
    for length in LENGTHS:
        errors = wrong(margins(cell, sums(length, TESTED, rng)))
        print(f"numbers of {length} bits: {errors} of {TESTED} sums are wrong")
    print("threshold: 0 at every length")
    batch = sums(LENGTHS[-1], 1, rng)
    right = margins(cell, batch)[:, 0] > 0
    written = np.where(right, batch["target"][:, 0, 0], 1 - batch["target"][:, 0, 0])
    print(f"  {number(batch['x'][:, 0, 0]):>21}\n+ {number(batch['x'][:, 0, 1]):>21}\n= {number(written):>21}")
    viz.both(cell).render(outfile=options.out / "network.png")
    common.draw_losses(options.out / "loss.png", {"running mean": losses}, ylabel="cross entropy (nats per bit)",
                       title=f"Learning to add numbers of {TRAINED} bits", baseline=("ln 2: guessing", np.log(2)))


if __name__ == "__main__":
    sys.exit(common.Parser("binary_addition", "Learn to add binary numbers.", 600).run(example))
