"""A gradient that vanishes: U is small, so each step back makes it smaller. Switch heat on; try another gain."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 10
rng = np.random.default_rng(0)
W = mg.init.glorot((4, 3), rng, name="W")
U = mg.init.orthogonal((4, 4), rng, gain=0.3, name="U")

net = Cell("vanishing")
x = net.input("x", 3)
h = net.signal("h", 4)
h[t] = np.tanh(W @ x[t] + U @ h[t-1])

run = net.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["h"][T], rng.normal(size=(1, 4)))
loss.backward()
for k, norm in enumerate(run.gradient_norms("h"), 1):
    print(f"|dL/dh[{k}]| = {norm:.1e}")
