"""Cost of a training step of a recurrent network: minigrad unrolled and compiled, NumPy by hand, and peers.

    python benchmarks/training_step.py                                       # ratios: a few minutes
    python benchmarks/training_step.py --cells lstm --sizes 16,1,25 --dtype float32 --contenders compiled unrolled
    python benchmarks/training_step.py --growth                              # time and memory per step, T = 10 … 10,000
    python benchmarks/training_step.py --compile                             # the first call of compiled contenders
    python benchmarks/training_step.py --limit                               # a lower bound: the matrix products alone
    python benchmarks/training_step.py --cells lstm --dtype float32 --sizes 1024,256,100 --contenders jax ours-jax
                                                                             # not in the default sizes: minutes a row
    pip install -e ".[peers]"                                      # all contenders

A step is forward, an output y[t] = V h[t] + c and a loss Σ (y[t] - target[t])² at every step, and the
gradients of all parameters (inputs need none). Inputs are as many as states, outputs are 10. One thread
each. Contenders take turns for several rounds, after a check that each computes the same loss and
gradients as NumPy by hand. Tables are Markdown, and show times as ratios to `optimised`
(by_hand.py): 2.0 is twice its time. The ratio is that of medians, in parentheses that of the shortest.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import by_hand  # noqa: E402
import numpy as np  # noqa: E402
from peers import PEERS  # noqa: E402

import minigrad as mg  # noqa: E402
from rnn import Cell, cells, t  # noqa: E402

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}

OUTPUTS = 10
SIZES = ["16,1,25", "64,16,50", "128,32,100", "256,32,100", "64,1,1000"]
GROWTH = [10, 100, 1000, 10_000]
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}  # of a gradient, against its largest element
FIRST = ["compiled", "jax", "ours-jax", "ours-torch-compiled", "tinygrad"]  # whose first step compiles
ASKED = ["ours-torch-compiled", "tinygrad"]  # compiles longest: only if requested
SLOW, FEW = 0.3, 3  # a step that takes longer than SLOW seconds is measured in FEW rounds
TURN = 0.03  # seconds of one measurement, in which a fast step is repeated


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


class Unrolled:
    """minigrad: the definition unrolled into a graph, and differentiated."""

    def __init__(self, task: Task) -> None:
        self.task, self.cell = task, task.definition
        self.parameters = self.cell.parameters
        self.prepare()

    def prepare(self) -> None:
        """Prepare once, before the first step."""

    def step(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None
        self.loss = self.differentiated()

    def differentiated(self) -> float:
        loss = self.cell.unroll(x=self.task.x, target=self.task.target)["L"].stack().sum()
        loss.backward()
        return float(loss.item())

    def result(self) -> tuple[float, dict[str, Any]]:
        return self.loss, {name: parameter.grad for name, parameter in self.cell.parameters.items()}


class Compiled(Unrolled):
    """minigrad: the definition compiled."""

    def prepare(self) -> None:
        self.fast = self.cell.compile(loss="L")

    def differentiated(self) -> float:
        return float(self.fast(x=self.task.x, target=self.task.target).loss)


class Plain:
    """NumPy by hand, as a student writes it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.run: by_hand.Step = self.chosen()

    def chosen(self) -> by_hand.Step:
        return by_hand.PLAIN[self.task.cell]

    def step(self) -> None:
        self.out = self.run(self.task.parameters, self.task.x, self.task.target)

    def result(self) -> tuple[float, dict[str, Any]]:
        return self.out


class Optimised(Plain):
    """NumPy by hand, as fast as it goes."""

    def chosen(self) -> by_hand.Step:
        return by_hand.optimised(self.task.cell, self.task.x.shape, self.task.H, OUTPUTS, self.task.dtype)


OURS: dict[str, type[Any]] = {"optimised": Optimised, "plain": Plain, "compiled": Compiled, "unrolled": Unrolled}
if not hasattr(Cell, "compile"):
    del OURS["compiled"]
CONTENDERS = {**OURS, **{name: peer for name, (_, peer) in PEERS.items()}}


def able(name: str, task: Task) -> bool:
    return bool(getattr(CONTENDERS[name], "most_steps", task.T) >= task.T)


def contenders(names: list[str], task: Task) -> dict[str, Any]:
    """Return the contenders that can compute the task, after one checked step of each."""
    made = {name: CONTENDERS[name](task) for name in names if able(name, task)}
    expected = Plain(task)
    expected.step()
    for name, contender in made.items():
        contender.step()
        check(name, task, contender.result(), expected.result())
    return made


def check(name: str, task: Task, result: Any, expected: Any) -> None:
    """Raise unless a contender computed the same loss and gradients as another."""
    pairs = [("the loss", np.asarray(result[0]), np.asarray(expected[0]))]
    pairs += [(f"the gradient of {key}", result[1][key], array) for key, array in expected[1].items()]
    for what, ours, theirs in pairs:
        error = np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))
        if ours.shape != theirs.shape or not error <= TOLERANCE[task.dtype]:
            raise ValueError(f"{name}: {what} of {task} is {error:.1e} away from NumPy's by hand")


# ---- measuring -----------------------------------------------------------------------------


def seconds(step: Callable[[], object], repeats: int = 1, clock: Clock = time.perf_counter) -> float:
    """Return the seconds of one step."""
    started = clock()
    for _ in range(repeats):
        step()
    return (clock() - started) / repeats


def measure(made: dict[str, Any], rounds: int, clock: Clock = time.perf_counter) -> dict[str, list[float]]:
    """Return seconds per step, in each round; contenders take turns."""
    once = {name: seconds(contender.step) for name, contender in made.items()}
    repeats = {name: max(1, int(TURN / duration)) for name, duration in once.items()}
    times: dict[str, list[float]] = {name: [] for name in made}
    for number in range(rounds):
        for name, contender in made.items():
            if number < FEW or once[name] < SLOW:
                gc.collect()
                times[name].append(seconds(contender.step, repeats[name], clock))
    return times


def table(corner: str, columns: list[str], rows: dict[str, dict[str, str]]) -> None:
    """Return a Markdown table; missing entries are dashes."""
    print(f"\n| {corner} | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.get(column, '—') for column in columns)} |", flush=True)


def ratios(options: argparse.Namespace) -> None:
    for dtype in options.dtype:
        for cell in options.cells:
            absolute = "optimised, µs per time step"
            rows: dict[str, dict[str, str]] = {name: {} for name in [absolute, *options.contenders]}
            for size in options.sizes:
                task = Task(cell, *numbers(size), dtype=dtype)
                times = measure(contenders(options.contenders, task), options.rounds, options.clock)
                best = times["optimised"]
                rows[absolute][size] = f"{statistics.median(best) / task.T * 1e6:.2f}"
                for name, values in times.items():
                    median = statistics.median(values) / statistics.median(best)
                    rows[name][size] = f"{median:.2f} ({min(values) / min(best):.2f})"
            table(f"{cell}, {dtype}; H, batch, T", options.sizes, rows)


def growth(options: argparse.Namespace) -> None:
    for cell in options.cells:
        times: dict[str, dict[str, str]] = {name: {} for name in options.contenders}
        memory: dict[str, dict[str, str]] = {name: {} for name in options.contenders}
        for T in GROWTH:
            made = contenders(options.contenders, Task(cell, 32, 4, T, "float32"))
            for name, values in measure(made, FEW, options.clock).items():
                times[name][str(T)] = f"{statistics.median(values) / T * 1e6:.1f}"
            for name in made if T >= 1000 else ():  # a process' peak says nothing about less
                memory[name][str(T)] = f"{peak(name, cell, T) / T:,.0f}"
        table(f"{cell}, H = 32, batch 4, float32: µs per time step; T", [str(T) for T in GROWTH], times)
        table("peak of memory, bytes per time step; T", [str(T) for T in GROWTH if T >= 1000], memory)


def peak(name: str, cell: str, T: int) -> int:
    """Return by how many bytes a new process' peak grows with a step of this length, after one of 10 time steps."""
    out = subprocess.run([sys.executable, __file__, "--peak", name, cell, str(T)], check=True, capture_output=True)
    return int(out.stdout)


def print_peak(name: str, cell: str, T: str) -> None:
    for steps in (10, int(T)):
        task = Task(cell, 32, 4, steps, "float32")
        before = peak_so_far(anew=True)
        CONTENDERS[name](task).step()
    print(peak_so_far() - before)


def peak_so_far(anew: bool = False) -> int:
    """Bytes; anew: the peak starts again from what is used now (Linux alone can, and getrusage() can't there:
    it counts the parent's peak)."""
    status = Path("/proc/self/status")
    if status.exists():
        if anew:
            Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def compile_times(options: argparse.Namespace) -> None:
    """Measure the seconds from a new definition to the end of the first step."""
    names = [name for name in options.contenders if name in FIRST]
    rows: dict[str, dict[str, str]] = {f"{name}, {cell}": {} for cell in options.cells for name in names}
    for cell in options.cells:
        for size in options.sizes:
            for name in names:
                task = Task(cell, *numbers(size), dtype="float32")
                if able(name, task):
                    started = time.perf_counter()
                    CONTENDERS[name](task).step()
                    rows[f"{name}, {cell}"][size] = f"{time.perf_counter() - started:.3f}"
    table("first step, seconds; H, batch, T", options.sizes, rows)


def limit(options: argparse.Namespace) -> None:
    """Print the time of the matrix products alone, at this machine's speed for products of these shapes."""
    columns = ["Mflop", "kB", "loop Gflop/s", "all steps Gflop/s", "products alone, µs", "optimised, µs", "share"]
    for dtype in options.dtype:
        rows: dict[str, dict[str, str]] = {}
        for cell in options.cells:
            for size in options.sizes:
                task = Task(cell, *numbers(size), dtype=dtype)
                H, B, T, kind = task.H, task.B, task.T, by_hand.OPTIMISED[cell]
                gates = kind.products * H
                in_loop = 2 * B * 2 * H * gates  # U h, and Uᵀ da
                outside = 2 * B * 3 * H * (gates + OUTPUTS)  # W x, da hᵀ, da xᵀ; V h, Vᵀ dy, dy hᵀ
                loop_rate, all_rate = (rate(rows, H, gates, dtype, options.clock) for rows in (B, min(B * T, 512)))
                alone = in_loop / loop_rate + outside / all_rate
                optimised = min(measure(contenders(["optimised"], task), FEW, options.clock)["optimised"]) / T
                moved = kind.row * B * H * np.dtype(dtype).itemsize
                values = [f"{(in_loop + outside) / 1e6:.2f}", f"{moved / 1e3:.1f}", f"{loop_rate / 1e9:.1f}",
                          f"{all_rate / 1e9:.1f}", f"{alone * 1e6:.2f}", f"{optimised * 1e6:.2f}",
                          f"{alone / optimised:.0%}"]
                rows[f"{cell} {size}"] = dict(zip(columns, values))
        table(f"{dtype}, of one time step", columns, rows)


def rate(rows: int, inner: int, columns: int, dtype: str, clock: Clock) -> float:
    """Return the operations per second of a product (rows, inner) (inner, columns), at its best."""
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(dtype) for shape in ((rows, inner), (inner, columns)))
    out = np.empty((rows, columns), dtype)
    repeats = max(3, int(2e7 / out.size / inner))
    return 2 * inner * out.size / min(seconds(lambda: left.dot(right, out), repeats, clock) for _ in range(5))


# ---- options -------------------------------------------------------------------------------


def numbers(size: str) -> tuple[int, int, int]:
    H, B, T = map(int, size.split(","))
    return H, B, T


def installed(names: list[str] | None) -> list[str]:
    """Return the requested contenders, `optimised` first, and report those that aren't installed."""
    chosen = []
    for name in dict.fromkeys(["optimised", *(names or [name for name in CONTENDERS if name not in ASKED])]):
        if name in PEERS and importlib.util.find_spec(PEERS[name][0]) is None:
            print(f"({name} is not installed)")
        elif name == "tinygrad" and shutil.which("clang") is None:
            print("(tinygrad compiles its kernels with clang, which is not installed)")
        elif name == "ours-torch-compiled" and not any(map(shutil.which, ("g++", "clang++"))):
            print("(torch.compile needs a C++ compiler, and none is installed)")
        else:
            chosen.append(name)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description="the cost of a recurrent network's training step")
    parser.add_argument("--cells", nargs="+", choices=list(by_hand.PLAIN), default=list(by_hand.PLAIN))
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="H,batch,T")
    parser.add_argument("--dtype", nargs="+", choices=list(TOLERANCE), default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall",
                        help="cpu: the time of this process alone, where the machine has other things to do")
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS),
                        help=f"all but {' and '.join(ASKED)} unless given")
    kinds = {"growth": growth, "compile": compile_times, "limit": limit}
    for name, what in zip(kinds, ("cost by length", "time of the first step", "what products alone take")):
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return print_peak(*options.peak)
    options.contenders, options.clock = installed(options.contenders), CLOCKS[options.clock]
    for kind in [run for name, run in kinds.items() if getattr(options, name)] or [ratios]:
        kind(options)


if __name__ == "__main__":
    main()
