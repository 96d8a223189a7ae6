"""Cost per time step for growing sequences: unrolling and differentiating an Elman network.

    python benchmarks/unroll.py

Prints time and memory per step for T = 10 … 10,000. The cost is linear in T where the columns are
constant; the ratio is to the row of T = 100.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import tracemalloc

import numpy as np

import minigrad as mg
from rnn import Cell, t


def elman(size: int, rng: np.random.Generator) -> Cell:
    W = mg.init.glorot((size, size), rng, name="W")
    U = mg.init.orthogonal((size, size), rng, name="U")
    b = mg.init.zeros((size,), name="b")
    cell = Cell("elman")
    x, h = cell.input("x", size), cell.signal("h", size)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    return cell


def measure(cell: Cell, data: np.ndarray) -> tuple[float, float]:
    """Return seconds to unroll and to differentiate."""
    gc.collect()
    started = time.perf_counter()
    run = cell.unroll(x=data)
    unrolled = time.perf_counter()
    run["h"][len(data)].backward(np.ones(run["h"][1].shape))
    return unrolled - started, time.perf_counter() - unrolled


def kept_bytes(cell: Cell, data: np.ndarray) -> int:
    """Return the bytes that the graph and its gradients hold."""
    gc.collect()
    tracemalloc.start()
    run = cell.unroll(x=data)
    run["h"][len(data)].backward(np.ones(run["h"][1].shape))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description="time and memory per step of unrolling and of backward")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    cell = elman(options.size, rng)
    lengths = [10, 100, 1000, 10_000]
    data = {T: rng.normal(size=(T, options.batch, options.size)) for T in lengths}
    times: dict[int, list[tuple[float, float]]] = {T: [] for T in lengths}
    for _ in range(options.rounds):
        for T in lengths:
            times[T].append(measure(cell, data[T]))
    unroll = {T: statistics.median(row[0] for row in times[T]) / T * 1e6 for T in lengths}
    backward = {T: statistics.median(row[1] for row in times[T]) / T * 1e6 for T in lengths}
    print(f"Elman, size {options.size}, batch {options.batch}; microseconds and bytes per step (ratio to T = 100)")
    print(f"{'T':>7}  {'unroll':>16}  {'backward':>16}  {'bytes kept':>12}")
    for T in lengths:
        print(f"{T:>7}  {unroll[T]:8.1f} ({unroll[T] / unroll[100]:4.2f})  "
              f"{backward[T]:8.1f} ({backward[T] / backward[100]:4.2f})  {kept_bytes(cell, data[T]) / T:12.0f}")


if __name__ == "__main__":
    main()
