"""Cost of a training step of a recurrent network: minigrad unrolled and compiled, NumPy by hand, and peers.

    python benchmarks/training_step.py                                       # ratios: ten minutes or so
    python benchmarks/training_step.py --cells lstm --sizes 16,1,25 --dtype float32 --contenders numba compiled
    python benchmarks/training_step.py --threads 2                           # the same at larger sizes, wall time
    python benchmarks/training_step.py --growth                              # time and memory per step, T = 10 … 10,000
    python benchmarks/training_step.py --compile                             # the first call of compiled contenders
    python benchmarks/training_step.py --limit                               # a lower bound: the matrix products alone
    python benchmarks/training_step.py --cells lstm --dtype float32 --sizes 1024,256,100 --contenders jax ours-jax
                                                                             # not in the default sizes: minutes a row
    python benchmarks/summary.py                                   # one table of this and of matrix_states.py
    pip install -e ".[peers,fast]"                                 # all contenders

A step is forward, an output y[t] = V h[t] + c and a loss Σ (y[t] - target[t])² at every step, and the
gradients of all parameters (inputs need none). Inputs are as many as states, outputs are 10. One thread
each unless --threads is given. Contenders take turns for several rounds, after a check that each computes the same
loss and gradients as NumPy by hand. Tables are Markdown, and show times as ratios to the fastest program by hand
(by_hand.py): 2.0 is twice its time. The ratio is that of medians, in parentheses that of the shortest.

A first call is measured in a new process; that of Numba with an empty cache (the folder MINIGRAD_CACHE), and again with
what the first process left there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from measuring import (  # before NumPy
    CLOCKS,
    FEW,
    REFERENCE,
    THREADS,
    Clock,
    Contender,
    Result,
    add_options,
    available,
    compare,
    first_step,
    growth_of_peak,
    in_new_process,
    made,
    measure,
    measured,
    numbers,
    seconds,
    table,
)

# isort: split
import by_hand
import numpy as np
from ours import OURS
from peers import PEERS

import minigrad as mg
from rnn import Cell, cells, t

CELLS = list(by_hand.PLAIN)
OUTPUTS = 10
SIZES = ["16,1,25", "64,16,50", "128,32,100", "256,32,100", "64,1,1000"]
LARGER = ["128,32,100", "256,32,100", "256,128,50"]  # which several threads can share
FIRST = ["64,16,50"]  # of which the first step is measured
GROWTH = [10, 100, 1000, 10_000]


@dataclass
class Task:
    """What every contender computes: a definition, its parameters, and data of one shape.

    Attributes:
        parameters: name -> array. All contenders start from these.
        x, target: (T, B, H), (T, B, OUTPUTS). zero: the state before the first step, (B, H).
    """

    cell: str
    H: int
    B: int
    T: int
    dtype: str

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.definition = self.defined(rng)
        self.parameters = {name: tensor.numpy() for name, tensor in self.definition.parameters.items()}
        self.x = rng.normal(size=(self.T, self.B, self.H)).astype(self.dtype)
        self.target = rng.normal(size=(self.T, self.B, OUTPUTS)).astype(self.dtype)
        self.zero = np.zeros((self.B, self.H), self.dtype)
        self.given = {"x": self.x, "target": self.target}

    def defined(self, rng: np.random.Generator) -> Cell:
        cell = Cell(self.cell)
        x, target = cell.input("x", self.H), cell.input("target", OUTPUTS)
        make: Any = getattr(cells, self.cell)
        h = make(cell, x, self.H, name="cell", rng=rng, dtype=self.dtype)
        V = mg.init.glorot((OUTPUTS, self.H), rng, name="V", dtype=self.dtype)
        c = mg.init.zeros((OUTPUTS,), name="c", dtype=self.dtype)
        y, L = cell.signal("y", OUTPUTS), cell.signal("L", ())
        y[t] = V @ h[t] + c
        L[t] = mg.losses.mse(y[t], target[t], reduction="none").sum(axis=-1)
        return cell

    def tensors(self) -> dict[str, mg.Tensor]:
        """Return all tensors that get a gradient."""
        return dict(self.definition.parameters)


class Plain(Contender):
    """NumPy by hand, as a student writes it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.run: by_hand.Step = self.chosen()

    def chosen(self) -> by_hand.Step:
        return by_hand.PLAIN[self.task.cell]

    def step(self) -> None:
        self.out = self.run(self.task.parameters, self.task.x, self.task.target)

    def result(self) -> Result:
        return self.out


class Optimised(Plain):
    """NumPy by hand, as fast as it goes."""

    def chosen(self) -> by_hand.Step:
        return by_hand.optimised(self.task.cell, self.task.x.shape, self.task.H, OUTPUTS, self.task.dtype)


CONTENDERS: dict[str, type[Contender]] = {REFERENCE: Optimised, "plain": Plain, **OURS, **PEERS}


def contenders(names: list[str], task: Task) -> dict[str, Contender]:
    """Return the contenders that can compute the task, after one checked step of each."""
    return made(names, CONTENDERS, task, Plain)


# ---- tables --------------------------------------------------------------------------------


def tasks(names: list[str], dtypes: list[str], sizes: list[str] | None = None) -> Iterator[tuple[str, Task]]:
    """Return a task of each cell, type and size, with its label."""
    for cell in names:
        for dtype in dtypes:
            for size in sizes or (SIZES if THREADS == 1 else LARGER):
                yield f"{cell} {dtype} {size}", Task(cell, *numbers(size), dtype=dtype)


def ratios(options: argparse.Namespace) -> None:
    compare("H, batch, T", measured(tasks(options.cells, options.dtype, options.sizes), contenders, options), options)


def growth(options: argparse.Namespace) -> None:
    for cell in options.cells:
        times: dict[str, dict[str, str]] = {name: {} for name in options.contenders}
        memory: dict[str, dict[str, str]] = {name: {} for name in options.contenders}
        for T in GROWTH:
            found = contenders(options.contenders, Task(cell, 32, 4, T, "float32"))
            for name, values in measure(found, FEW, CLOCKS[options.clock]).items():
                times[name][str(T)] = f"{statistics.median(values) / T * 1e6:.1f}"
            for name in found if T >= 1000 else ():  # a process' peak says nothing about less
                peak, = in_new_process(__file__, "--peak", name, cell, str(T))
                memory[name][str(T)] = f"{peak / T:,.0f}"
        table(f"{cell}, H = 32, batch 4, float32: µs per time step; T", [str(T) for T in GROWTH], times.items())
        table("peak of memory, bytes per time step; T", [str(T) for T in GROWTH if T >= 1000], memory.items())


def print_peak(name: str, cell: str, T: str) -> None:
    print(growth_of_peak(CONTENDERS[name], lambda steps: Task(cell, 32, 4, steps, "float32"), int(T)))


def compile_times(options: argparse.Namespace) -> None:
    """Print the seconds from a new definition to the end of the first step, in new processes."""
    names = [name for name in options.contenders if CONTENDERS[name].compiles]
    columns = [*names, *(f"{name}, cache filled" for name in names if CONTENDERS[name].caches)]
    table("first step, seconds: wall time (CPU time) + of imports; H, batch, T", columns,
          ((label, {key: text for name in names for key, text in first_steps(name, task).items()})
           for label, task in tasks(options.cells, options.dtype, options.sizes or FIRST)))


def first_steps(name: str, task: Task) -> dict[str, str]:
    """Return the medians of a contender's first step in FEW new processes, and with a cache in FEW more."""
    size = f"{task.H},{task.B},{task.T}"
    taken: dict[str, list[list[float]]] = {}
    for _ in range(FEW):
        with tempfile.TemporaryDirectory() as folder:
            for column in [name, *([f"{name}, cache filled"] if CONTENDERS[name].caches else [])]:
                taken.setdefault(column, []).append(in_new_process(
                    __file__, "--first", name, task.cell, size, task.dtype,
                    MINIGRAD_CACHE=folder, NUMBA_CACHE_DIR=os.path.join(folder, "numba")))
    return {column: "{2:.2f} ({3:.2f}) + {0:.2f} ({1:.2f})".format(*map(statistics.median, zip(*times)))
            for column, times in taken.items()}


def print_first(name: str, cell: str, size: str, dtype: str) -> None:
    print(*first_step(CONTENDERS[name], Task(cell, *numbers(size), dtype=dtype)))


def limit(options: argparse.Namespace) -> None:
    """Print the time of the matrix products alone, at this machine's speed for products of these shapes."""
    clock, names = CLOCKS[options.clock], options.contenders
    columns = ["Mflop", "kB", "loop Gflop/s", "all steps Gflop/s", "products alone, µs", *names, "fastest", "share"]
    table("of one time step, µs; H, batch, T", columns,
          ((label, bound(task, contenders(names, task), clock))
           for label, task in tasks(options.cells, options.dtype, options.sizes)))


def bound(task: Task, found: dict[str, Contender], clock: Clock) -> dict[str, str]:
    """Return the texts of a row of `limit`; share: of the products in the time of the fastest contender."""
    H, B, T, kind = task.H, task.B, task.T, by_hand.OPTIMISED[task.cell]
    gates = kind.products * H
    in_loop = 2 * B * 2 * H * gates  # U h, and Uᵀ da
    outside = 2 * B * 3 * H * (gates + OUTPUTS)  # W x, da hᵀ, da xᵀ; V h, Vᵀ dy, dy hᵀ
    loop_rate, all_rate = (rate(rows, H, gates, task.dtype, clock) for rows in (B, min(B * T, 512)))
    alone = in_loop / loop_rate + outside / all_rate
    taken = {name: min(times) / T for name, times in measure(found, FEW, clock).items()}
    fastest = min(taken, key=lambda name: taken[name])
    moved = kind.row * B * H * np.dtype(task.dtype).itemsize
    return {"Mflop": f"{(in_loop + outside) / 1e6:.2f}", "kB": f"{moved / 1e3:.1f}",
            "loop Gflop/s": f"{loop_rate / 1e9:.1f}", "all steps Gflop/s": f"{all_rate / 1e9:.1f}",
            "products alone, µs": f"{alone * 1e6:.2f}", "fastest": fastest, "share": f"{alone / taken[fastest]:.0%}",
            **{name: f"{best * 1e6:.2f}" for name, best in taken.items()}}


def rate(rows: int, inner: int, columns: int, dtype: str, clock: Clock) -> float:
    """Return the operations per second of a product (rows, inner) (inner, columns), without the call from Python."""
    alone = product(rows, inner, columns, dtype, clock) - product(1, 1, 1, dtype, clock)
    return 2 * rows * inner * columns / max(alone, 1e-9)


def product(rows: int, inner: int, columns: int, dtype: str, clock: Clock) -> float:
    """Return the seconds of a product (rows, inner) (inner, columns), at its best."""
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(dtype) for shape in ((rows, inner), (inner, columns)))
    out = np.empty((rows, columns), dtype)
    repeats = min(20_000, max(3, int(2e7 / out.size / inner)))
    return min(seconds(lambda: left.dot(right, out), repeats, clock) for _ in range(5))


# ---- options -------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description="the cost of a recurrent network's training step")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--sizes", nargs="+", metavar="H,batch,T")
    add_options(parser, rounds=7)
    asked = [name for name, kind in CONTENDERS.items() if kind.asked]
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS),
                        help=f"all but {' and '.join(asked)} unless given")
    kinds = {"growth": growth, "compile": compile_times, "limit": limit}
    for name, what in zip(kinds, ("cost by length", "time of the first step", "what products alone take")):
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--first", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return print_peak(*options.peak)
    if options.first:
        return print_first(*options.first)
    options.contenders = available(options.contenders, CONTENDERS)
    for kind in [run for name, run in kinds.items() if getattr(options, name)] or [ratios]:
        kind(options)


if __name__ == "__main__":
    main()
