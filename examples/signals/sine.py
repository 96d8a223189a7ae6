"""A training loop in ten lines: the next value of a sine wave, then a forecast.

    python -m examples.sine [--seed 0] [--steps 600] [--out DIR]

The network learns from waves of unequal length to predict the next value, with the true value as the input of
each step (teacher forcing). A second definition uses the same parameters and reads its own output, x[t+1] = y[t]:
it continues a wave from its first ten values.

Threshold: 60 steps ahead the largest error of 32 waves is below 0.2. Measured for seeds 0, 1, 2: 0.05,
0.09, 0.06.
Picture: forecast.png. Time: 6 s.
"""

import sys

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, sequences, t

SIZE, BATCH, SHORTEST, LONGEST, GIVEN = 16, 32, 20, 40, 10


def waves(rng: np.random.Generator, lengths: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """Return sines of one frequency and any phase: (length + 1, 1) each."""
    return [np.sin(0.3 * np.arange(length + 1) + rng.uniform(0, 2 * np.pi))[:, None] for length in lengths]


def definitions(rng: np.random.Generator) -> tuple[Cell, Cell]:
    """Return the network told the true values, and the network fed by its own output: one set of parameters."""
    W, V = mg.init.glorot((SIZE, 1), rng, name="W"), mg.init.glorot((1, SIZE), rng, name="V")
    U, b = mg.init.orthogonal((SIZE, SIZE), rng, name="U"), mg.init.zeros((SIZE,), name="b")
    taught = Cell("taught")
    x, h, y = taught.input("x", 1), taught.signal("h", SIZE), taught.signal("y", 1)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    alone = Cell("alone")
    x, h = alone.signal("x", 1), alone.signal("h", SIZE)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    x[t+1] = V @ h[t]
    return taught, alone


def train(cell: Cell, updates: int, rng: np.random.Generator) -> float:
    optimizer = mg.optim.Adam(cell.parameters, lr=0.01)
    bar = common.Progress(updates)
    for update in bar:
        values, lengths = sequences.pad(waves(rng, rng.integers(SHORTEST, LONGEST + 1, BATCH)))
        run = cell.unroll(x=values[:-1], lengths=lengths - 1)
        assert run.mask is not None  # (T, batch): True where a wave goes on
        loss = mg.losses.mse(run["y"].stack(), values[1:], mask=run.mask[..., None])
        optimizer.zero_grad()
        loss.backward()
        mg.optim.clip_grad_norm(cell.parameters, 1.0)
        optimizer.lr = mg.schedules.cosine(update, 0.01, updates)
        optimizer.step()
        bar.show(loss=loss.item())
    return float(loss.item())


def forecast(taught: Cell, alone: Cell, steps: int,
             rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return new waves (steps, BATCH, 1), and the network's forecasts from its own predictions."""
    values, _ = sequences.pad(waves(rng, np.full(BATCH, GIVEN + steps)))
    with mg.no_grad():
        start = taught.unroll(x=values[:GIVEN])
        run = alone.unroll(T=steps, initial={"h": start["h"][GIVEN], "x": start["y"][GIVEN]})
    return values[GIVEN:GIVEN + steps], run["x"].stack().numpy()


def example(options: common.Options) -> None:
    """Train, then let it continue from its own output."""
    rng = options.rng
    taught, alone = definitions(rng)
    print(taught, alone, sep="\n")
    loss = train(taught, options.steps, rng)
    print(f"{options.steps} updates: the mean squared error of the next value is {loss:.1e}")
    for steps in (20, 60):
        waves, predicted = forecast(taught, alone, steps, rng)
        print(f"largest error on {BATCH} new waves, {steps} steps ahead alone: {np.abs(predicted - waves).max():.3f}")
    viz.both(alone).render(outfile=options.out / "alone.png")
    with common.axes(options.out / "forecast.png", xlabel="steps ahead", ylabel="x",
                     title="A wave, and the forecast from the network's own output") as axes:
        axes.plot(waves[:, 0, 0], color=common.COLORS[0], linewidth=2, label="the wave")
        axes.plot(predicted[:, 0, 0], "--", color=common.COLORS[1], linewidth=2, label="the network, alone")


if __name__ == "__main__":
    sys.exit(common.Parser("sine", "Forecast a sine wave.", 600).run(example))
