"""A vanishing gradient to debug: a recurrence with a small matrix and large inputs.

    python -m minigrad.debugger examples/vanishing.py

Try: break norm < 1e-4, continue, where, jacobian, until param U. Time: 1 s.
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
