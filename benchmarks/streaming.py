"""Cost of one time step of an LSTM with an output, with the state carried; and of the option initial= of a call.

    python benchmarks/streaming.py                              # 32 inputs, 64 units, 10 outputs, batch 1, float32
    python benchmarks/streaming.py --sizes 32,64,1 128,256,1 32,64,64 --dtype float64

Contenders, of which each computes the next step of one sequence: `stream`, a compiled call with initial=, an unroll
with initial=, nn.LSTM and nn.Linear of PyTorch (if it is installed), and NumPy by hand: all gates as one product, all
arrays made beforehand. They take turns for several rounds, after a check that each computes the same outputs. One
thread each. Tables are Markdown: CPU time of a step, the median of the rounds, and its ratio to NumPy by hand. The
second table compares compiled calls with initial= and without, of some lengths and batches.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import numpy as np  # noqa: E402

import minigrad as mg  # noqa: E402
from rnn import Cell, cells, t  # noqa: E402

OUTPUTS = 10
TURN = 0.02  # seconds of one measurement, in which a step is repeated
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
Array = np.ndarray[Any, Any]
Step = Callable[[Array], Array]  # x[t] (batch, inputs) -> y[t] (batch, OUTPUTS); the state is kept inside


def network(inputs: int, hidden: int, dtype: str) -> Cell:
    rng = np.random.default_rng(0)
    cell = Cell("lstm")
    h = cells.lstm(cell, cell.input("x", inputs), hidden, name="cell", rng=rng, dtype=dtype)
    y = cell.signal("y", OUTPUTS)
    y[t] = mg.init.glorot((OUTPUTS, hidden), rng, name="V", dtype=dtype) @ h[t] + mg.init.zeros(
        (OUTPUTS,), name="c", dtype=dtype)
    return cell


# ---- contenders


def stream(cell: Cell, batch: int) -> Step:
    one_step = cell.compile().stream(batch=batch, outputs=["y"])
    return lambda x: one_step(x=x)["y"]


def compiled(cell: Cell, batch: int) -> Step:
    fast, state = cell.compile(), None

    def step(x: Array) -> Array:
        nonlocal state
        with mg.no_grad():
            outputs = fast(x=x[None], initial=state)
        state = outputs.state
        y: Array = outputs["y"][0]
        return y

    return step


def unrolled(cell: Cell, batch: int) -> Step:
    state = None

    def step(x: Array) -> Array:
        nonlocal state
        with mg.no_grad():
            run = cell.unroll(x=x[None], initial=state)
        state = run.state
        return run["y"][1].numpy()

    return step


def by_hand(cell: Cell, batch: int) -> Step:
    p = {name: tensor.numpy() for name, tensor in cell.parameters.items()}
    V, c_out = p["V"].T.copy(), p["c"]
    hidden = len(V)
    W = np.concatenate([p[f"cell.W_{gate}"] for gate in "ifog"]).T.copy()  # (hidden + inputs, 4 hidden)
    b = np.concatenate([p[f"cell.b_{gate}"] for gate in "ifog"])
    joined = np.zeros((batch, len(W)), W.dtype)  # [h, x]
    h, x_part = joined[:, :hidden], joined[:, hidden:]
    a, c, new = (np.zeros((batch, n), W.dtype) for n in (4 * hidden, hidden, hidden))
    gates, i, f, o, g = a[:, :3 * hidden], *(a[:, n * hidden:(n + 1) * hidden] for n in range(4))

    def step(x: Array) -> Array:
        x_part[...] = x
        joined.dot(W, a)
        np.add(a, b, a)
        np.negative(gates, gates)
        np.exp(gates, gates)
        np.add(gates, 1, gates)
        np.reciprocal(gates, gates)
        np.tanh(g, g)
        np.multiply(f, c, c)
        np.multiply(i, g, new)
        np.add(c, new, c)
        np.tanh(c, new)
        np.multiply(o, new, h)
        return h.dot(V) + c_out

    return step


def pytorch(cell: Cell, batch: int) -> Step:
    import torch

    torch.set_num_threads(1)
    p = {name: torch.tensor(tensor.numpy()) for name, tensor in cell.parameters.items()}
    hidden, joined = p["cell.W_i"].shape
    layer = torch.nn.LSTM(joined - hidden, hidden, dtype=p["V"].dtype)
    output = torch.nn.Linear(hidden, OUTPUTS, dtype=p["V"].dtype)
    W, b = (torch.cat([p[f"cell.{kind}_{gate}"] for gate in "ifgo"]) for kind in "Wb")
    with torch.no_grad():
        for target, value in [(layer.weight_hh_l0, W[:, :hidden]), (layer.weight_ih_l0, W[:, hidden:]),
                              (layer.bias_ih_l0, b), (layer.bias_hh_l0, torch.zeros_like(b)),
                              (output.weight, p["V"]), (output.bias, p["c"])]:
            target.copy_(value)
    state = None

    def step(x: Array) -> Array:
        nonlocal state
        with torch.inference_mode():
            h, state = layer(torch.from_numpy(x)[None], state)
            y: Array = output(h[0]).numpy()
        return y

    return step


CONTENDERS: dict[str, Callable[[Cell, int], Step]] = {
    "NumPy by hand": by_hand, "stream": stream, "compiled call, initial=": compiled, "unroll, initial=": unrolled,
    "nn.LSTM": pytorch}


def contenders(cell: Cell, batch: int) -> dict[str, Step]:
    """Return a new step function of every contender that is installed."""
    found = importlib.util.find_spec("torch") is not None
    return {name: make(cell, batch) for name, make in CONTENDERS.items() if name != "nn.LSTM" or found}


def check(cell: Cell, batch: int, x: Array) -> None:
    """Raise ValueError unless every contender computes the outputs of the whole sequence."""
    wanted = cell.unroll(x=x)["y"].stack().numpy()
    for name, step in contenders(cell, batch).items():
        found = np.stack([step(x_t) for x_t in x])
        if not np.allclose(found, wanted, rtol=0, atol=TOLERANCE[str(x.dtype)] * np.abs(wanted).max()):
            raise ValueError(f"{name} computes other outputs: they differ by {np.abs(found - wanted).max():.2g}")


# ---- measurement


def seconds(call: Callable[[], Any], repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - started) / repeats


def measure(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median CPU time of each call in seconds; they take turns."""
    repeats = {name: max(3, int(TURN / max(seconds(call, 3), 1e-6))) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call, repeats[name]))
    return {name: statistics.median(times) for name, times in taken.items()}


def steps(options: argparse.Namespace) -> None:
    """Print the time of one step."""
    for size in options.sizes:
        inputs, hidden, batch = map(int, size.split(","))
        cell = network(inputs, hidden, options.dtype)
        x = np.random.default_rng(1).normal(size=(12, batch, inputs)).astype(options.dtype)
        check(cell, batch, x)
        found = measure({name: partial(step, x[0]) for name, step in contenders(cell, batch).items()}, options.rounds)
        print(f"\n{inputs} -> {hidden} -> {OUTPUTS}, batch {batch}, {options.dtype}\n\n| one step | µs | ratio |"
              "\n| --- | --- | --- |")
        for name, taken in found.items():
            print(f"| {name} | {taken * 1e6:.1f} | {taken / found['NumPy by hand']:.2f} |")


def initial(options: argparse.Namespace) -> None:
    """Print what initial= costs."""
    inputs, hidden, _ = map(int, options.sizes[0].split(","))
    fast = network(inputs, hidden, options.dtype).compile()
    print(f"\n{inputs} -> {hidden} -> {OUTPUTS}, {options.dtype}\n\n| T, batch | without, µs | initial=, µs | ratio |"
          "\n| --- | --- | --- | --- |")
    for T, batch in [(1, 1), (1, 64), (25, 1), (25, 64)]:
        x = np.random.default_rng(1).normal(size=(T, batch, inputs)).astype(options.dtype)
        state = fast(x=x).state
        found = measure({"without": partial(fast, x=x), "with": partial(fast, x=x, initial=state)}, options.rounds)
        print(f"| {T}, {batch} | {found['without'] * 1e6:.1f} | {found['with'] * 1e6:.1f} | "
              f"{found['with'] / found['without']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="the cost of one step of an LSTM, and of initial=")
    parser.add_argument("--sizes", nargs="+", default=["32,64,1"], metavar="inputs,hidden,batch")
    parser.add_argument("--dtype", choices=list(TOLERANCE), default="float32")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    steps(options)
    initial(options)


if __name__ == "__main__":
    main()
