"""The recurrent cells of assignment 3 in minigrad, over the numbers that the checker uses.

    python -m minigrad.debugger -c "until h[3]" examples/assignments/graphs/a3.py [rnn | lstm] [SEED]

What the checker calls `z[t]` is the sum inside tanh or a gate; names and time steps are its own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from rnn import Cell, Run, t

SIZES = 5, 3, 2, 4  # T, N, D, H: all different, so that no wrong product fits by chance
HIDDEN_SIZES = 6, 2, 3, 5
ONES = 1, 1, 1, 1
GATES = ("i", "f", "o", "g")


def numbers(seed: int, sizes: tuple[int, int, int, int] = SIZES) -> dict[str, NDArray[np.float64]]:
    """Return inputs, states, parameters and upstream gradients; nothing symmetric, nothing zero."""
    rng = np.random.default_rng(seed)
    T, N, D, H = sizes
    shapes = {"x": (T, N, D), "dhs": (T, N, H), "h0": (N, H), "c0": (N, H), "W": (D, H), "U": (H, H),
              "b": (H,)}
    for k in GATES:
        shapes |= {f"W_{k}": (D, H), f"U_{k}": (H, H), f"b_{k}": (H,)}
    return {name: rng.normal(size=shape) * (0.6 if name[0] in "WU" else 1.0) for name, shape in shapes.items()}


def large(d: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the same with large inputs, states and upstream gradients, and a gate whose exponential overflows."""
    b_o = d["b_o"].copy()
    b_o[0] = 1000
    return {**d, "x": 4 * d["x"], "c0": 100 * d["c0"], "dhs": 1000 * d["dhs"], "b_o": b_o}


def zeros(d: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the same with zeros: the first input, the first states, biases, upstream gradients before the last."""
    first, last = (np.arange(len(d["x"])) == k for k in (0, len(d["x"]) - 1))
    nothing = {name: np.zeros_like(array) for name, array in d.items() if name[0] == "b" or name in ("h0", "c0")}
    return {**d, **nothing, "x": d["x"] * ~first[:, None, None], "dhs": d["dhs"] * last[:, None, None]}


def rnn(d: dict[str, Any]) -> Run:
    """z[t] = x[t] W + h[t-1] U + b, h[t] = tanh(z[t])."""
    W, U, b = (mg.Tensor(d[name], requires_grad=True, name=name) for name in ("W", "U", "b"))
    cell = Cell("rnn")
    x, z, h = cell.input("x", len(d["W"])), cell.signal("z", len(d["U"])), cell.signal("h", len(d["U"]))
    z[t] = x[t] @ W + h[t-1] @ U + b
    h[t] = np.tanh(z[t])
    h[0] = mg.Tensor(d["h0"], requires_grad=True, name="h0")
    return cell.unroll(x=d["x"])


def lstm(d: dict[str, Any]) -> Run:
    """The gates i, f, o, g; c[t] = f[t] c[t-1] + i[t] g[t], h[t] = o[t] tanh(c[t])."""
    H = len(d["U"])
    cell = Cell("lstm")
    x = cell.input("x", len(d["W"]))
    i, f, o, g, c, h = (cell.signal(name, H) for name in "ifogch")
    for gate in (i, f, o, g):
        W, U, b = (mg.Tensor(d[f"{what}_{gate.name}"], requires_grad=True, name=f"{what}_{gate.name}")
                   for what in "WUb")
        total = x[t] @ W + h[t-1] @ U + b
        gate[t] = np.tanh(total) if gate is g else mg.sigmoid(total)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * np.tanh(c[t])
    h[0] = mg.Tensor(d["h0"], requires_grad=True, name="h0")
    c[0] = mg.Tensor(d["c0"], requires_grad=True, name="c0")
    return cell.unroll(x=d["x"])


def loss_of(run: Run, dhs: NDArray[np.float64]) -> mg.Tensor:
    """Return a loss whose direct gradient for h[t] is dhs[t-1]."""
    loss: mg.Tensor = (run["h"].stack() * dhs).sum()
    loss.name = "loss"
    return loss


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated."""
    d = numbers(seed)
    return loss_of({"rnn": rnn, "lstm": lstm}[name](d), d["dhs"])


if __name__ == "__main__":
    output(sys.argv[1] if len(sys.argv) > 1 else "rnn", int(sys.argv[2]) if len(sys.argv) > 2 else 0).backward()
