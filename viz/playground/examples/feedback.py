"""Three layers, of which the third feeds back into the second: a cycle through two signals."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 4
rng = np.random.default_rng(0)
W1, W2, W3 = (mg.init.glorot((4, n), rng, name=f"W{i}") for i, n in enumerate([3, 4, 4], 1))
U1, U2, U3 = (mg.init.orthogonal((4, 4), rng, name=f"U{i}") for i in (1, 2, 3))
F = mg.init.glorot((4, 4), rng, name="F")

net = Cell("layer 3 feeds layer 2")
x = net.input("x", 3)
h1, h2, h3 = net.signal("h1", 4), net.signal("h2", 4), net.signal("h3", 4)
h1[t] = np.tanh(W1 @ x[t] + U1 @ h1[t-1])
h2[t] = np.tanh(W2 @ h1[t] + U2 @ h2[t-1] + F @ h3[t-1])
h3[t] = np.tanh(W3 @ h2[t] + U3 @ h3[t-1])

run = net.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["h3"].stack(), rng.normal(size=(T, 1, 4)))
loss.backward()
