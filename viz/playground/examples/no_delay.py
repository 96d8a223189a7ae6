"""A loop without a delay: h[t] needs y[t], which needs h[t]. The message says which read to delay."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

rng = np.random.default_rng(0)
W, F = mg.init.glorot((4, 3), rng, name="W"), mg.init.glorot((4, 2), rng, name="F")
V = mg.init.glorot((2, 4), rng, name="V")

net = Cell("no delay")
x = net.input("x", 3)
h, y = net.signal("h", 4), net.signal("y", 2)
h[t] = np.tanh(W @ x[t] + F @ y[t])
y[t] = V @ h[t]

run = net.unroll(x=rng.normal(size=(4, 1, 3)))
