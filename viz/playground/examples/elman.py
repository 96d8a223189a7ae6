"""An Elman network: one loop with a delay of one step."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 4
rng = np.random.default_rng(0)
W = mg.init.glorot((8, 3), rng, name="W")
U = mg.init.orthogonal((8, 8), rng, name="U")
V = mg.init.glorot((2, 8), rng, name="V")

elman = Cell("elman")
x = elman.input("x", 3)
h = elman.signal("h", 8)
y = elman.signal("y", 2)
h[t] = np.tanh(W @ x[t] + U @ h[t-1])
y[t] = V @ h[t]

run = elman.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["y"].stack(), rng.normal(size=(T, 1, 2)))
loss.backward()
