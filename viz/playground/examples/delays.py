"""One signal that reads itself one, two and three steps ago."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 6
rng = np.random.default_rng(0)
W = mg.init.glorot((4, 3), rng, name="W")
U1, U2, U3 = (mg.init.orthogonal((4, 4), rng, gain=0.5, name=f"U{delay}") for delay in (1, 2, 3))

net = Cell("three delays")
x = net.input("x", 3)
h = net.signal("h", 4)
h[t] = np.tanh(W @ x[t] + U1 @ h[t-1] + U2 @ h[t-2] + U3 @ h[t-3])

run = net.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["h"][T], rng.normal(size=(1, 4)))
loss.backward()
