"""Three recurrent layers, of which the third feeds back into the second: no grid.

    python -m examples.feedback [--seed 0] [--out out/feedback]

With a delay of 1 the feedback edge is a diagonal of the unrolled graph, with a delay of 2 it skips a step. For each
delay the gradients are compared with central differences, and the definition is drawn rolled and unrolled.

Measured for seeds 0, 1, 2: a largest relative error of 8e-8, 5e-8, 3e-7. Picture: feedback1_T.png. Time: 1 s.
"""

import sys

import numpy as np

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t


def three_layers(delay: int, rng: np.random.Generator) -> Cell:
    """Return three layers; h2[t] reads h3[t - delay], a cycle through two layers."""
    W1, W2, W3 = (mg.init.glorot(shape, rng, name=f"W{i}") for i, shape in enumerate([(4, 3), (5, 4), (6, 5)], 1))
    U1, U2, U3 = (mg.init.orthogonal((n, n), rng, name=f"U{i}") for i, n in enumerate([4, 5, 6], 1))
    F = mg.init.glorot((5, 6), rng, name="F")
    V = mg.init.glorot((2, 6), rng, name="V")

    cell = Cell(f"layer 3 feeds layer 2, delay {delay}")
    x = cell.input("x", 3)
    h1, h2, h3 = cell.signal("h1", 4), cell.signal("h2", 5), cell.signal("h3", 6)
    y = cell.signal("y", 2)
    h1[t] = np.tanh(W1 @ x[t] + U1 @ h1[t-1])
    h2[t] = np.tanh(W2 @ h1[t] + U2 @ h2[t-1] + F @ h3[t-delay])
    h3[t] = np.tanh(W3 @ h2[t] + U3 @ h3[t-1])
    y[t] = V @ h3[t]
    return cell


def example(options: common.Options) -> None:
    """Check the gradients, and draw, for both delays."""
    rng = options.rng
    data, target = rng.normal(size=(4, 8, 3)), rng.normal(size=(4, 8, 2))
    for delay in (1, 2):
        cell = three_layers(delay, rng)

        def loss_of(definition: Cell = cell) -> mg.Tensor:
            loss: mg.Tensor = mg.losses.mse(definition.unroll(x=data)["y"].stack(), target)
            return loss

        error = mg.gradcheck(loss_of, cell.parameters)
        print(f"delay {delay}: gradients against central differences, largest relative error {error:.1e}")
        run = cell.unroll(x=data)
        loss = mg.losses.mse(run["y"].stack(), target)
        loss.backward()
        viz.rolled(cell).render(outfile=options.out / f"feedback{delay}.png")
        viz.unrolled(run, loss=loss).render(outfile=options.out / f"feedback{delay}_T.png")


if __name__ == "__main__":
    sys.exit(common.Parser("feedback", "Three layers, of which the third feeds back into the second.").run(example))
