"""The program of the README: a recurrence as on a slide, its pictures, its gradients.

    python -m examples.elman [FOLDER]

Writes elman.png (the cyclic graph) and elman_T.png (unrolled) into FOLDER, by default the current one. Time: 1 s.
"""

import sys
from pathlib import Path

import numpy as np

import minigrad as mg
import viz
from rnn import Cell, t

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
rng = np.random.default_rng(0)
data = rng.normal(size=(4, 16, 3))                   # (T, batch, size)
target = rng.normal(size=(4, 16, 2))

W = mg.init.glorot((8, 3), rng, name="W")            # any Tensor can be used in an equation
U = mg.init.orthogonal((8, 8), rng, name="U")
b = mg.Tensor(np.zeros(8), requires_grad=True, name="b")
V = mg.init.glorot((2, 8), rng, name="V")

elman = Cell("elman")
x = elman.input("x", 3)                              # x[1], x[2], ... are given
h = elman.signal("h", 8)                             # h[0] is 0 unless set
y = elman.signal("y", 2)
h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)            # the slide, literally
y[t] = V @ h[t]

viz.rolled(elman).render(outfile=folder / "elman.png")             # the cyclic graph, with its delay

run = elman.unroll(x=data)                           # an explicit DAG
loss = mg.losses.mse(run["y"].stack(), target)
loss.backward()                                      # backpropagation through time
viz.unrolled(run, loss=loss).render(outfile=folder / "elman_T.png")

for state in run["h"]:                               # h[1], h[2], ...
    print(state)

fast = elman.compile()                               # the same numbers, as a NumPy program
print(fast.source)
