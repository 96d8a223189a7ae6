"""A bidirectional network: hb[t] reads hb[t+1], so it is computed from the end (Schuster and Paliwal 1997)."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 4
rng = np.random.default_rng(0)
W, A = (mg.init.glorot((4, 3), rng, name=name) for name in "WA")
U, B = (mg.init.orthogonal((4, 4), rng, name=name) for name in "UB")
V = mg.init.glorot((2, 8), rng, name="V")

net = Cell("bidirectional")
x = net.input("x", 3)
hf, hb = net.signal("hf", 4), net.signal("hb", 4)
y = net.signal("y", 2)
hf[t] = np.tanh(W @ x[t] + U @ hf[t-1])
hb[t] = np.tanh(A @ x[t] + B @ hb[t+1])
y[t] = V @ np.concatenate([hf[t], hb[t]], axis=-1)

run = net.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["y"].stack(), rng.normal(size=(T, 1, 2)))
loss.backward()
