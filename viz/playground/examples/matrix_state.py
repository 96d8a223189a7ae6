"""A matrix as state: the delta rule (Schlag, Irie and Schmidhuber 2021)."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 3
rng = np.random.default_rng(0)
W_k, W_v = (mg.init.glorot((3, 4), rng, name=name) for name in ("W_k", "W_v"))

net = Cell("delta rule")
x = net.input("x", 4)
k, v, y = net.signal("k", 3), net.signal("v", 3), net.signal("y", 3)
S = net.signal("S", (3, 3))
k[t] = mg.softmax(W_k @ x[t])
v[t] = W_v @ x[t]
S[t] = S[t-1] + np.outer(v[t] - S[t-1] @ k[t], k[t])
y[t] = S[t] @ k[t]

run = net.unroll(x=rng.normal(size=(T, 1, 4)))
loss = mg.losses.mse(run["y"].stack(), rng.normal(size=(T, 1, 3)))
loss.backward()
