"""A digital filter is a recurrent network: its coefficients found by backpropagation through time.

    python -m examples.iir_filter [--seed 0] [--steps 600] [--out DIR]

A filter with infinite impulse response is a linear recurrence with delays of one and two,

    y[t] = b0 x[t] + b1 x[t-1] + b2 x[t-2] - a1 y[t-1] - a2 y[t-2]

(Oppenheim and Schafer, Discrete-time signal processing, section 6.1). Here it is a Butterworth low-pass.
Given are white noise x and the output, measured with an error at each step; a1, a2, b0, b1 and b2 are
learned, starting from zero. Least squares with the measured y in place of y[t-1] and y[t-2] (teacher forcing, in
the terms of recurrent networks) is biased by the measurement errors; the network that reads only its own past
isn't (Ljung, System identification, 1999: equation error against
output error).

Threshold: the network's largest error of a coefficient below 0.05, and below a fifth of that of least
squares. Measured for seeds 0, 1, 2: 0.002, 0.020, 0.017 against 0.42, 0.43, 0.46. Picture: response.png. Time: 2 s.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t

T, SEQUENCES, RATE = 100, 20, 0.05
CUTOFF = 0.1  # cycles a sample
NOISE = 0.1  # standard deviation of the errors of measurement
Coefficients = dict[str, float]


def butterworth(cutoff: float) -> Coefficients:
    """Return the low-pass of order two, by the bilinear transform (Oppenheim and Schafer, section 7.2)."""
    k = np.tan(np.pi * cutoff)
    scale = 1 / (1 + np.sqrt(2) * k + k * k)
    return {"b0": k * k * scale, "b1": 2 * k * k * scale, "b2": k * k * scale,
            "a1": 2 * (k * k - 1) * scale, "a2": (1 - np.sqrt(2) * k + k * k) * scale}


def definition(coefficients: Coefficients) -> Cell:
    """Return the filter with these coefficients as its parameters."""
    b0, b1, b2, a1, a2 = (mg.Tensor([coefficients[name]], requires_grad=True, name=name)
                          for name in ("b0", "b1", "b2", "a1", "a2"))
    cell = Cell("second-order filter")
    x, target = cell.input("x", 1), cell.input("target", 1)
    y, L = cell.signal("y", 1), cell.signal("L", ())
    x[0] = x[-1] = 0
    y[t] = b0 * x[t] + b1 * x[t-1] + b2 * x[t-2] - a1 * y[t-1] - a2 * y[t-2]
    L[t] = mg.square(y[t] - target[t])[0]
    return cell


def measurements(truth: Coefficients, rng: np.random.Generator) -> common.Batch:
    """Return white noise x (T, SEQUENCES, 1), and the filter's measured output."""
    x = rng.normal(size=(T, SEQUENCES))
    y = np.zeros((T + 2, SEQUENCES))  # the first two rows are y[-1] and y[0]
    past = np.concatenate([np.zeros((2, SEQUENCES)), x])
    for k in range(2, T + 2):
        y[k] = (truth["b0"] * past[k] + truth["b1"] * past[k - 1] + truth["b2"] * past[k - 2]
                - truth["a1"] * y[k - 1] - truth["a2"] * y[k - 2])
    return {"x": x[..., None], "target": (y[2:] + rng.normal(0, NOISE, x.shape))[..., None]}


def identified(batch: common.Batch, updates: int) -> tuple[Coefficients, list[float]]:
    """Return the coefficients that backpropagation through time finds, from zero; the losses."""
    cell = definition(dict.fromkeys(butterworth(CUTOFF), 0.0))
    losses = common.train(cell, lambda: batch, updates, rate=RATE)
    return {name: parameter.item() for name, parameter in cell.parameters.items()}, losses


def least_squares(batch: common.Batch) -> Coefficients:
    """Return the coefficients that fit each measured output to the measured ones before it."""
    x, y = batch["x"], batch["target"]
    columns = [x[2:], x[1:-1], x[:-2], -y[1:-1], -y[:-2]]
    solution = np.linalg.lstsq(np.stack([column.ravel() for column in columns], axis=1), y[2:].ravel())[0]
    return dict(zip(("b0", "b1", "b2", "a1", "a2"), solution.tolist()))


def largest_error(found: Coefficients, truth: Coefficients) -> float:
    return max(abs(found[name] - truth[name]) for name in truth)


def response(coefficients: Coefficients, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |H| at frequencies in cycles per sample."""
    c, z = coefficients, np.exp(-2j * np.pi * frequency)
    result: NDArray[np.float64] = np.abs((c["b0"] + c["b1"] * z + c["b2"] * z**2) / (1 + c["a1"] * z + c["a2"] * z**2))
    return result


def example(options: common.Options) -> None:
    """Measure, identify, compare."""
    truth = butterworth(CUTOFF)
    batch = measurements(truth, options.rng)
    network, losses = identified(batch, options.steps)
    every = {"the filter": truth, "network (BPTT)": network, "least squares": least_squares(batch)}
    print(f"{'':16}" + "".join(f"{name:>9}" for name in truth) + "   largest error")
    for label, found in every.items():
        print(f"{label:16}" + "".join(f"{found[name]:9.4f}" for name in truth) + f"{largest_error(found, truth):16.4f}")
    print(f"mean squared error {losses[-1]:.4f}; the errors of measurement have the variance {NOISE ** 2:.4f}")
    print("threshold: the network's largest error below 0.05, and below a fifth of that of least squares")
    viz.both(definition(truth)).render(outfile=options.out / "filter.png")
    frequency = np.linspace(0, 0.5, 200)
    with common.axes(options.out / "response.png", xlabel="frequency (cycles per sample)", ylabel="|H|",
                     title="The filter, and what was found from its output") as axes:
        for (label, found), color, style in zip(every.items(), common.COLORS, ("-", "--", ":")):
            axes.plot(frequency, response(found, frequency), style, color=color, linewidth=2, label=label)


if __name__ == "__main__":
    sys.exit(common.Parser("iir_filter", "Identify a digital filter by its output.", 600).run(example))
