"""What the benchmarks of a training step share: threads, contenders, checks, turns, new processes and tables.

Import this module before NumPy: `--threads N` of the command line, 1 unless given, becomes the number of threads of
every library, most of which read it when they are loaded. Times are CPU times with one thread, as they don't depend on
what else the machine does, and wall times with several.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
_parser.add_argument("--threads", type=int, default=1)
THREADS: int = _parser.parse_known_args()[0].threads

if "numpy" not in sys.modules:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
                     "NPROC"):  # the last is XLA's
        os.environ[variable] = str(THREADS)
    if THREADS == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Array = NDArray[Any]
Result = tuple[float, dict[str, Any]]  # the loss, and the gradients by name
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}

REFERENCE = "by-hand"  # the contender to which others are compared
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}  # of a gradient, against its largest element
SLOW, FEW = 0.3, 3  # a step that takes longer than SLOW seconds is measured in FEW rounds
TURN = 0.03  # seconds of one measurement, in which a fast step is repeated


class Contender:
    """A program for a task: step() is timed, and result() returns what the latest step computed.

    Attributes:
        libraries: the modules that must be installed.
        programs: executables, one of which must be on the path.
        compiles: whether the first step compiles.
        caches: whether a later process finds what the first one compiled.
        most_steps: the length of the longest sequence that it takes.
        asked: whether it takes part only if it is named, as it compiles longest.
    """

    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    compiles = caches = asked = False
    most_steps = math.inf

    def __init__(self, task: Any) -> None:
        raise NotImplementedError

    def step(self) -> None:
        raise NotImplementedError

    def result(self) -> Result:
        raise NotImplementedError


# ---- who takes part --------------------------------------------------------------------------


def missing(kind: type[Contender]) -> str:
    """Return what a contender needs and this machine lacks; empty: nothing."""
    lacking = [library for library in kind.libraries if importlib.util.find_spec(library) is None]
    if not lacking and kind.programs and not any(map(shutil.which, kind.programs)):
        lacking = [" or ".join(kind.programs)]
    return ", ".join(lacking)


def available(names: list[str] | None, kinds: Mapping[str, type[Contender]]) -> list[str]:
    """Return the requested contenders, the reference first, and report those that aren't installed."""
    chosen = []
    for name in dict.fromkeys([REFERENCE, *(names or [name for name, kind in kinds.items() if not kind.asked])]):
        if lacking := missing(kinds[name]):
            print(f"({name} is left out: {lacking} is not installed)")
        else:
            chosen.append(name)
    return chosen


def check(name: str, task: Any, result: Result, expected: Result) -> None:
    """Raise ValueError unless a contender computed the same loss and gradients as NumPy by hand."""
    if result[1].keys() != expected[1].keys():
        raise ValueError(f"{name}: {task} has gradients of {sorted(expected[1])}, and not of {sorted(result[1])}")
    pairs = [("the loss", np.asarray(result[0]), np.asarray(expected[0]))]
    pairs += [(f"the gradient of {key}", result[1][key], array) for key, array in expected[1].items()]
    for what, ours, theirs in pairs:
        error = np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))
        if ours.shape != theirs.shape or not error <= TOLERANCE[task.dtype]:
            raise ValueError(f"{name}: {what} of {task} is {error:.1e} away from NumPy's by hand")


def made(names: Iterable[str], kinds: Mapping[str, type[Contender]], task: Any, expected: type[Contender]
         ) -> dict[str, Contender]:
    """Return the contenders that there are for a task, after one checked step of each."""
    right = expected(task)
    right.step()
    found = {}
    for name in names:
        if name in kinds and kinds[name].most_steps >= task.T:
            found[name] = kinds[name](task)
            found[name].step()
            check(name, task, found[name].result(), right.result())
    return found


# ---- measuring -------------------------------------------------------------------------------


def seconds(step: Callable[[], object], repeats: int = 1, clock: Clock = time.perf_counter) -> float:
    """Return the seconds of one step."""
    started = clock()
    for _ in range(repeats):
        step()
    return (clock() - started) / repeats


def measure(contenders: Mapping[str, Contender], rounds: int, clock: Clock) -> dict[str, list[float]]:
    """Return seconds per step, in each round; contenders take turns."""
    once = {name: seconds(contender.step) for name, contender in contenders.items()}
    repeats = {name: max(1, int(TURN / duration)) for name, duration in once.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.freeze()  # a collection then takes no time, whatever libraries are loaded
    for number in range(rounds):
        for name, contender in contenders.items():
            if number < FEW or once[name] < SLOW:
                gc.collect()
                times[name].append(seconds(contender.step, repeats[name], clock))
    gc.unfreeze()
    return times


def in_new_process(script: str, *arguments: str, **variables: str) -> list[float]:
    """Return the numbers that a benchmark prints in a process of its own."""
    out = subprocess.run([sys.executable, script, "--threads", str(THREADS), *arguments], check=True,
                         stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    return [float(number) for number in out.stdout.split()]


def first_step(kind: type[Contender], task: Any) -> tuple[float, ...]:
    """Return the seconds of a contender's first step: of its imports, wall and CPU, and of the rest, wall and CPU."""
    imports = spent(lambda: [importlib.import_module(library) for library in kind.libraries])
    return *imports, *spent(lambda: kind(task).step())


def spent(call: Callable[[], object]) -> list[float]:
    """Return the seconds of a call, by each clock."""
    started = [clock() for clock in CLOCKS.values()]
    call()
    return [clock() - start for clock, start in zip(CLOCKS.values(), started)]


def growth_of_peak(kind: type[Contender], task: Callable[[int], Any], steps: int) -> int:
    """Return by how many bytes this process' peak grows with a task of some steps, after one of 10 steps."""
    for T in (10, steps):
        given = task(T)
        before = peak_so_far(anew=True)
        kind(given).step()
    return peak_so_far() - before


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


# ---- tables ----------------------------------------------------------------------------------


class Row(NamedTuple):
    """Measurements of one task.

    Attributes:
        steps: its time steps.
        times: seconds per training step in each round, by contender.
    """

    label: str
    steps: int
    times: dict[str, list[float]]


def measured(tasks: Iterable[tuple[str, Any]], make: Callable[[list[str], Any], Mapping[str, Contender]],
             options: argparse.Namespace) -> Iterator[Row]:
    """Return the measurements of tasks, which have labels; `make` returns the contenders for a task."""
    for label, task in tasks:
        yield Row(label, task.T, measure(make(options.contenders, task), options.rounds, CLOCKS[options.clock]))


def table(corner: str, columns: list[str], rows: Iterable[tuple[str, Mapping[str, str]]]) -> None:
    """Print a Markdown table, each row when it is known; missing entries are dashes."""
    print(f"\n| {corner} | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}", flush=True)
    for name, row in rows:
        print(f"| {name} | {' | '.join(row.get(column, '—') for column in columns)} |", flush=True)


def compare(corner: str, rows: Iterable[Row], options: argparse.Namespace) -> None:
    """Print contenders in columns, as ratios to NumPy by hand, whose time per time step is printed too.

    A ratio is that of medians, and in parentheses that of the shortest. With several threads, the time per time step
    is printed with each.
    """
    unit = f"{options.clock.replace('cpu', 'CPU')} time, {THREADS} thread{'s' * (THREADS > 1)}"
    absolute = f"{REFERENCE}, µs per time step"
    others = [name for name in options.contenders if name != REFERENCE]
    table(f"{corner}; {unit}", [absolute, *others], ((row.label, _compared(row, absolute)) for row in rows))


def _compared(row: Row, absolute: str) -> dict[str, str]:
    """Return the text of each column of one row."""
    best = row.times[REFERENCE]
    per_step = {name: statistics.median(times) / row.steps * 1e6 for name, times in row.times.items()}
    texts = {absolute: f"{per_step[REFERENCE]:.2f}"}
    for name, times in row.times.items():
        ratio = f"{statistics.median(times) / statistics.median(best):.2f} ({min(times) / min(best):.2f})"
        texts[name] = ratio if THREADS == 1 else f"{per_step[name]:.2f} µs, {ratio}"
    return texts


# ---- options ---------------------------------------------------------------------------------


def numbers(size: str) -> tuple[int, int, int]:
    """Return the numbers of an option such as 64,16,50."""
    first, batch, steps = map(int, size.split(","))
    return first, batch, steps


def add_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Add the options of every benchmark of a training step."""
    parser.add_argument("--dtype", nargs="+", choices=list(TOLERANCE), default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=1, help="of every library; with more than one, the sizes are "
                        "larger unless given, and times are wall times")
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu" if THREADS == 1 else "wall")
