"""The program of the README: a recurrence as on a slide, its pictures, its gradients.

    python -m examples.elman [--seed 0] [--out out/elman]

The network is two equations, of which the first reads its own past. They are drawn as they stand, a cyclic graph;
unrolled over four steps, with the loss; and differentiated through time. At last they are compiled to a NumPy program,
which is printed. Picture: elman_T.png. Time: 1 s.
"""

import sys

import numpy as np

import minigrad as mg
import viz
from examples import common
from rnn import Cell, t


def example(options: common.Options) -> None:
    """Define the network, draw it, unroll it, differentiate it and compile it."""
    rng = options.rng
    data = rng.normal(size=(4, 16, 3))                   # (T, batch, size)
    target = rng.normal(size=(4, 16, 2))

    W = mg.init.glorot((8, 3), rng, name="W")            # any Tensor can be used in an equation
    U = mg.init.orthogonal((8, 8), rng, name="U")
    b = mg.Tensor(np.zeros(8), requires_grad=True, name="b")
    V = mg.init.glorot((2, 8), rng, name="V")

    elman = Cell("elman")
    x = elman.input("x", 3)                              # x[1], x[2], ... are given
    h = elman.signal("h", 8)                             # h[0] is 0 unless set
    y = elman.signal("y", 2)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)            # the slide, literally
    y[t] = V @ h[t]

    viz.rolled(elman).render(outfile=options.out / "elman.png")             # the cyclic graph, with its delay

    run = elman.unroll(x=data)                           # an explicit DAG
    loss = mg.losses.mse(run["y"].stack(), target)
    loss.backward()                                      # backpropagation through time
    viz.unrolled(run, loss=loss).render(outfile=options.out / "elman_T.png")

    for state in run["h"]:                               # h[1], h[2], ...
        print(state)

    fast = elman.compile()                               # the same numbers, as a NumPy program
    print(fast.source)


if __name__ == "__main__":
    sys.exit(common.Parser("elman", "A recurrence as on a slide, its pictures, its gradients.").run(example))
