"""A NaN: the logarithm of a negative number at one step, and all that is computed from it."""

import numpy as np

import minigrad as mg
from rnn import Cell, t

T = 4
u = mg.Tensor([0.5], requires_grad=True, name="u")

net = Cell("logarithm")
x = net.input("x", 1)
a, h = net.signal("a", 1), net.signal("h", 1)
a[t] = np.log(x[t])
h[t] = np.tanh(a[t] + u * h[t-1])

data = np.linspace(1.5, -0.5, T).reshape(T, 1, 1)
with np.errstate(invalid="ignore"):
    run = net.unroll(x=data)
    loss = (run["h"].stack() ** 2).sum()
    loss.backward()
print(loss)
