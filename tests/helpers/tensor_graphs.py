"""Graphs of many forms: networks, chains, recurrences one after the other, random ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from definitions import DEFINITIONS, bidirectional, elman, lstm, unrolled
from random_graphs import random_graph

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors
from rnn import Cell, cells, t
from viz.pictures.graph import GraphDrawing

SHOWN = ("name", "operation", "shape", "gradient")


def drawing(tensor: Tensor, show: Any = SHOWN) -> GraphDrawing:
    return GraphDrawing(ancestors(tensor), show)


def parameter(name: str, *shape: int) -> Tensor:
    return Tensor(np.full(shape, 0.1), requires_grad=True, name=name)


def layers(count: int, skip: bool = False) -> Tensor:
    """A feed-forward network, or a residual one."""
    h: Any = Tensor(np.ones((4, 8)), name="x")
    for number in range(1, count + 1):
        out = np.tanh(h @ parameter(f"W{number}", 8, 8) + parameter(f"b{number}", 8))
        h = h + out if skip else out
    return mg.losses.mse(h, np.zeros((4, 8)))


def chain(length: int) -> Tensor:
    x = Tensor(1.0, requires_grad=True, name="a")
    for _ in range(length):
        x = x * 0.999
    return x


def newton(steps: int) -> Tensor:
    a, x = Tensor(2.0, requires_grad=True, name="a"), Tensor(1.0)
    for _ in range(steps):
        x = 0.5 * (x + a / x)
    return x


def diamond() -> Tensor:
    x = parameter("x", 2)
    return (np.tanh(x) * np.exp(x) + np.sin(x) * np.tanh(x)).sum()


def many_leaves(count: int) -> Tensor:
    return np.stack([parameter(f"p{number}", 2) for number in range(count)]).sum()


def several_outputs() -> Tensor:
    values, vectors = np.linalg.eigh(parameter("A", 3, 3) + np.diag([1.0, 2.0, 3.0]))
    first, second = np.split(vectors, [1], axis=1)
    return values.sum() + (first @ second.T[:1]).sum() + np.where(first > 0, first, 0.0).sum()


def recurrence(make: Callable[[], Cell], T: int) -> Tensor:
    return unrolled(make, T)[1]


def encoder_decoder(S: int = 4, T: int = 3) -> Tensor:
    encoder, decoder = Cell("encoder"), Cell("decoder")
    x, s = encoder.input("x", 3), encoder.signal("s", 5)
    s[t] = np.tanh(parameter("W", 5, 3) @ x[t] + parameter("U", 5, 5) @ s[t-1])
    w, h, y = decoder.input("w", 3), decoder.signal("h", 5), decoder.signal("y", 4)
    h[t] = np.tanh(parameter("A", 5, 3) @ w[t] + parameter("B", 5, 5) @ h[t-1])
    y[t] = parameter("C", 4, 5) @ h[t]
    read = encoder.unroll(x=np.ones((S, 2, 3)))
    run = decoder.unroll(w=np.ones((T, 2, 3)), initial={"h": read["s"][S]})
    return mg.losses.mse(run["y"].stack(), np.zeros((T, 2, 4)))


def attention(T: int = 5) -> Tensor:
    """All steps read one tensor that was computed from all steps of another recurrence."""
    first = elman().unroll(x=np.ones((4, 2, 3)))
    decoder = Cell("decoder")
    memory, h = decoder.static("memory", (4, 4)), decoder.signal("h", 4)
    h[t] = np.tanh(mg.softmax(memory @ h[t-1]) @ memory)
    run = decoder.unroll(T=T, memory=np.swapaxes(first["h"].stack(), 0, 1))
    return run["h"].stack().sum()


def delays() -> Tensor:
    cell = Cell("delays")
    x, h = cell.input("x", 2), cell.signal("h", 2)
    x[0] = x[-1] = 0
    h[t] = np.tanh(parameter("W", 2) * x[t] + x[t-2] + h[t-1] + h[t-3])
    return cell.unroll(x=np.ones((9, 1, 2)))["h"].stack().sum()


def ahead() -> Tensor:
    """A tensor that is computed from the step before its own, and read in that step."""
    cell = Cell("ahead")
    x, q, p, r = cell.input("x", 2), cell.signal("q", 2), cell.signal("p", 2), cell.signal("r", 2)
    q[t] = parameter("W", 2) * x[t]
    p[t] = np.tanh(q[t-1])
    r[t] = p[t+1] + q[t]
    return cell.unroll(x=np.ones((5, 1, 2)))["r"].stack().sum()


def running_loss() -> Tensor:
    run = elman().unroll(x=np.ones((6, 2, 3)))
    total: Any = 0.0
    for step in range(1, 7):
        total = total + mg.square(run["y"][step]).sum()
    return total / 6


def last_step() -> Tensor:
    run = elman().unroll(x=np.ones((6, 2, 3)))
    return mg.square(np.tanh(run["h"][6]) @ parameter("R", 4, 1)).mean()


def steps_alone() -> Tensor:
    """Time steps that don't read each other."""
    cell = Cell("alone")
    x, y = cell.input("x", 3), cell.signal("y", 2)
    y[t] = parameter("W", 2, 3) @ x[t]
    return cell.unroll(x=np.ones((7, 2, 3)))["y"].stack().mean()


def deep_lstm() -> Tensor:
    cell = Cell("deep")
    cells.stacked(cell, cells.lstm, cell.input("x", 2), [3, 3], name="net", rng=np.random.default_rng(0), directions=2)
    run = cell.unroll(x=np.ones((5, 1, 2)))
    return run[next(reversed(run.cell.signals))].stack().sum()


def random_tensor(seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 250))
    near = int(rng.integers(2, 60))
    choices = [(int(rng.integers(5)), max(number + 2 - int(rng.integers(near)), 0), int(rng.integers(number + 3)))
               for number in range(size)]
    with np.errstate(all="ignore"):
        return random_graph(choices)[1]


GRAPHS: dict[str, Callable[[], Tensor]] = {
    "one tensor": lambda: Tensor(1.0, name="x"), "layers": lambda: layers(6), "residual": lambda: layers(9, skip=True),
    "chain": lambda: chain(400), "newton": lambda: newton(30), "diamond": diamond,
    "many leaves": lambda: many_leaves(150), "several outputs": several_outputs, "encoder": encoder_decoder,
    "long encoder": lambda: encoder_decoder(20, 15), "attention": attention, "delays": delays, "ahead": ahead,
    "running loss": running_loss, "last step": last_step, "steps alone": steps_alone, "deep lstm": deep_lstm,
    "bidirectional": lambda: recurrence(bidirectional, 7), "lstm": lambda: recurrence(lstm, 5),
    **{f"{make.__name__} {T}": lambda make=make, T=T: recurrence(make, T) for make in DEFINITIONS for T in (1, 3, 30)}}
