"""An encoder, whose last state is the first state of a decoder that reads its own output."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 3
rng = np.random.default_rng(0)
W, U = mg.init.glorot((4, 3), rng, name="W"), mg.init.orthogonal((4, 4), rng, name="U")
A, B = mg.init.glorot((4, 2), rng, name="A"), mg.init.orthogonal((4, 4), rng, name="B")
V = mg.init.glorot((2, 4), rng, name="V")

encoder = Cell("encoder")
x, h = encoder.input("x", 3), encoder.signal("h", 4)
h[t] = np.tanh(W @ x[t] + U @ h[t-1])

decoder = Cell("decoder")
s, y = decoder.signal("s", 4), decoder.signal("y", 2)
s[t] = np.tanh(A @ y[t-1] + B @ s[t-1])
y[t] = V @ s[t]

read = encoder.unroll(x=rng.normal(size=(T, 1, 3)))
written = decoder.unroll(T, initial={"s": read["h"][T]})
loss = mg.losses.mse(written["y"].stack(), rng.normal(size=(T, 1, 2)))
loss.backward()
