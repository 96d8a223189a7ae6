"""An LSTM, as six equations. Level "ops" shows the operations of each."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 3
n = 4
rng = np.random.default_rng(0)
W_f, W_i, W_o, W_c = (mg.init.glorot((n, 3), rng, name=f"W_{gate}") for gate in "fioc")
U_f, U_i, U_o, U_c = (mg.init.orthogonal((n, n), rng, name=f"U_{gate}") for gate in "fioc")

lstm = Cell("LSTM")
x = lstm.input("x", 3)
f, i, o, g = (lstm.signal(gate, n) for gate in "fiog")
c, h = lstm.signal("c", n), lstm.signal("h", n)
f[t] = mg.sigmoid(W_f @ x[t] + U_f @ h[t-1])
i[t] = mg.sigmoid(W_i @ x[t] + U_i @ h[t-1])
o[t] = mg.sigmoid(W_o @ x[t] + U_o @ h[t-1])
g[t] = np.tanh(W_c @ x[t] + U_c @ h[t-1])
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * np.tanh(c[t])

run = lstm.unroll(x=rng.normal(size=(T, 1, 3)))
loss = mg.losses.mse(run["h"].stack(), rng.normal(size=(T, 1, n)))
loss.backward()
