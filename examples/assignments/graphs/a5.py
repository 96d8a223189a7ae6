"""The network of assignment 5 in rnn, its gradient cut at the borders of chunks, over the checker's numbers.

    python -m minigrad.debugger -c "until h[3]" examples/assignments/graphs/a5.py [SEED]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import minigrad as mg
from rnn import Cell, Run, t

SIZES, HIDDEN_SIZES = (8, 3, 2, 4, 2, 3), (9, 2, 3, 5, 1, 4)  # T, N, D, H, M, k: the last chunk is shorter
ONES = 1, 1, 1, 1, 1, 1
TASK = 30, 6, 1, 8, 1, 5


def numbers(seed: int, sizes: tuple[int, int, int, int, int, int] = SIZES) -> dict[str, Any]:
    """Inputs, targets, the first state, parameters; and a task to train on: to say what came one step before."""
    rng = np.random.default_rng(seed)
    T = sizes[0]
    d = _random(rng, sizes, "") | {"lr": 0.02 + 0.005 * (T % 3), "epochs": 2 + T % 2}
    d["target"] = 12 * d["target"]  # so that no gradient is small
    task = _random(rng, TASK, "task_") | {"task_lr": 0.05, "task_epochs": 15}
    task |= {name: 0.5 * task[name] for name in ("task_W", "task_U", "task_V")} | {"task_h0": 0 * task["task_h0"]}
    task["task_target"] = np.concatenate([0 * task["task_x"][:1], task["task_x"][:-1]])
    return {**d, **task}


def _random(rng: np.random.Generator, sizes: tuple[int, int, int, int, int, int], name: str) -> dict[str, Any]:
    T, N, D, H, M, k = sizes
    shapes = {"x": (T, N, D), "target": (T, N, M), "h0": (N, H), "W": (D, H), "U": (H, H), "b": (H,), "V": (H, M)}
    scale = {"W": 0.6, "U": 0.8 / np.sqrt(H), "V": 0.5}
    return {name + what: rng.normal(size=shape) * scale.get(what, 0.7) for what,
            shape in shapes.items()} | {f"{name}k": k}


def network(d: dict[str, Any], k: int | None = None) -> tuple[Run, mg.Tensor]:
    """Return the network unrolled over all steps, in chunks of k if it is given, and its loss."""
    W, U, b, V = (mg.Tensor(d[name], requires_grad=True, name=name) for name in ("W", "U", "b", "V"))
    cell = Cell("truncated")
    x, h, y = cell.input("x", len(W)), cell.signal("h", len(U)), cell.signal("y", V.shape[1])
    h[t] = np.tanh(x[t] @ W + h[t-1] @ U + b)
    y[t] = h[t] @ V
    h[0] = d["h0"]
    run = cell.unroll(x=d["x"], chunks=k) if k else cell.unroll(x=d["x"])
    loss: mg.Tensor = mg.stack([mg.losses.mse(out, target) for out, target in zip(run["y"], d["target"])]).sum()
    loss.name = "loss"
    return run, loss


def output(name: str, seed: int) -> mg.Tensor:
    """Return what is differentiated; there is one network."""
    d = numbers(seed)
    return network(d, d["k"])[1]


if __name__ == "__main__":
    output("", int(sys.argv[1]) if len(sys.argv) > 1 else 0).backward()
