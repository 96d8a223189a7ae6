"""Time to lay out many signals side by side, rolled and unrolled over four steps, in CPU seconds.

    python benchmarks/layout.py [--counts 12,50,200] [--repeat 5] [--against FOLDER] [--limit 60]

The signals are states that read their own past, or that of a neighbour in a ring. `--against` names a second copy of
the project; the two are measured alternately, each in a process of its own, and the least time of several is shown.
A case that takes longer than --limit seconds is aborted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, time
import numpy as np
import minigrad as mg
import viz
from rnn import Cell, t
from viz.pictures.side_by_side import unroll_zeros

count, neighbour, rolled = map(int, sys.argv[1:])
cell = Cell("parallel")
x, y = cell.input("x", 3), cell.signal("y", 3 * count)
states = [cell.signal(f"s{i}", 3) for i in range(count)]
for i, state in enumerate(states):
    W, U = (mg.Tensor(np.eye(3), requires_grad=True, name=f"{letter}{i}") for letter in "WU")
    state[t] = np.tanh(W @ x[t] + U @ states[(i + neighbour) % count][t-1])
y[t] = np.concatenate([state[t] for state in states], axis=-1)
run = unroll_zeros(cell, 4)
started = time.process_time()
viz.rolled(cell) if rolled else viz.unrolled(run)
print(time.process_time() - started)
"""


def measured(folder: Path, count: int, neighbour: int, rolled: int, limit: float) -> float:
    """Return the CPU seconds of one layout in a process of its own; infinity if it takes too long."""
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(count), str(neighbour), str(rolled)], cwd=folder,
                              env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
                              capture_output=True, text=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return float("inf")
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="12,50,200")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--limit", type=float, default=60)
    options = parser.parse_args()
    folders = [HERE] if options.against is None else [HERE, options.against.resolve()]
    for count in map(int, options.counts.split(",")):
        for neighbour, rolled in ((0, 1), (0, 0), (1, 1), (1, 0)):
            least = dict.fromkeys(folders, float("inf"))
            late: set[Path] = set()
            for _ in range(options.repeat):
                for folder in (each for each in folders if each not in late):
                    seconds = measured(folder, count, neighbour, rolled, options.limit)
                    least[folder] = min(least[folder], seconds)
                    late |= {folder} if seconds == float("inf") else set()
            what = f"{count:4} {'ring' if neighbour else 'independent':11} {'rolled' if rolled else 'unrolled':8}"
            print(what, *(f"{seconds:8.2f} s" if seconds < float("inf") else f"  > {options.limit:.0f} s"
                          for seconds in least.values()), flush=True)


if __name__ == "__main__":
    main()
