"""A vanishing gradient to debug: a recurrence with a small matrix and large inputs.

    python -m minigrad.debugger examples/vanishing.py

Each step back multiplies the gradient by 0.4 and by the slope of tanh, which large inputs make nearly 0. At each state
the debugger shows how much arrives, and why. Try: break norm < 1e-4, continue, where, jacobian, until param U.

Picture: norms.png. Time: 1 s.
"""

import numpy as np

import minigrad as mg
from rnn import Cell, t

rng = np.random.default_rng(0)
data = 2 * rng.normal(size=(6, 4, 3))                # (T, batch, size)
target = np.ones((4, 5))

W = mg.Tensor(rng.normal(size=(5, 3)), requires_grad=True, name="W")
U = mg.Tensor(0.4 * np.eye(5), requires_grad=True, name="U")
b = mg.Tensor(np.zeros(5), requires_grad=True, name="b")

cell = Cell("vanishing")
x = cell.input("x", 3)
h = cell.signal("h", 5)
h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)

run = cell.unroll(x=data)
loss = mg.losses.mse(run["h"][6], target)            # of the last state alone
loss.backward()

for state in run["h"]:
    print(state)

if __package__ and __name__ == "__main__":           # not in the debugger, which runs this file outside of a package
    import sys

    import viz
    from examples import common

    def draw(options: common.Options) -> None:
        """Draw the norms of the gradients."""
        viz.unrolled(run, loss=loss, values=True, heat=True, aspect="slide").render(outfile=options.out / "norms.png")

    sys.exit(common.Parser("vanishing", "A gradient that vanishes.", seeded=False).run(draw))
