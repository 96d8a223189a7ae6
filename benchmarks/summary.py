"""One table of the costs of a training step: every cell and matrix state, size and type, contenders in columns.

    python benchmarks/summary.py                                       # CPU time on one thread: a quarter of an hour
    python benchmarks/summary.py --threads 2                           # wall time at larger sizes
    python benchmarks/summary.py --contenders numba compiled torch jax --rounds 15

The rows are those of training_step.py and matrix_states.py, which describe them; a dash is a contender that one of them
lacks. Times are ratios to NumPy by hand. `--dtype`, `--rounds` and `--clock` are theirs too.
"""

from __future__ import annotations

import argparse
from itertools import chain

from measuring import add_options, available, compare, measured  # before NumPy

# isort: split
import matrix_states
import training_step

DEFAULT = ["numba", "compiled", "unrolled", "plain", "torch.nn", "torch", "jax", "ours-jax"]


def main() -> None:
    parser = argparse.ArgumentParser(description="the costs of a training step in one table")
    add_options(parser, rounds=7)
    kinds = {**training_step.CONTENDERS, **matrix_states.CONTENDERS}
    parser.add_argument("--contenders", nargs="+", choices=list(kinds), default=DEFAULT)
    options = parser.parse_args()
    options.contenders = available(options.contenders, kinds)
    compare("size, batch, T", chain(
        measured(training_step.tasks(training_step.CELLS, options.dtype), training_step.contenders, options),
        measured(matrix_states.tasks(list(matrix_states.SIZES), options.dtype), matrix_states.contenders, options),
    ), options)


if __name__ == "__main__":
    main()
