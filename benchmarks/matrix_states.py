"""Cost of a training step where the state or what is read is a matrix: minigrad compiled, NumPy by hand, and peers.

    python benchmarks/matrix_states.py                                 # all tasks: some minutes
    python benchmarks/matrix_states.py --tasks delta_net mamba --sizes 64,4,50 --dtype float32 --contenders numba torch
    python benchmarks/matrix_states.py --threads 2                     # the same with larger batches, wall time
    python benchmarks/matrix_states.py --memory                        # peak of memory of a step instead of time

A step is forward, a loss Σ y[t]² at every step, and the gradients of all parameters (of attention, those of the
encoder's states too). By hand: batched products, of all steps at once where no loop needs them, and everything that
backward needs is kept (matrix_by_hand.py); PyTorch the same, with autograd (matrix_peers.py). Contenders take turns for
several rounds, on one thread unless --threads is given, after a check that each computes the same loss and gradients as
NumPy by hand. The table is read as that of training_step.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from measuring import (  # before NumPy
    REFERENCE,
    THREADS,
    Contender,
    Result,
    add_options,
    available,
    compare,
    growth_of_peak,
    in_new_process,
    made,
    measured,
    numbers,
    table,
)

# isort: split
import matrix_by_hand
import numpy as np
from matrix_peers import TorchLoop
from ours import OURS
from peers import OursJax

import minigrad as mg
from rnn import Cell, cells, t

SIZES = {"delta_net": ["64,4,50", "16,8,200", "32,8,100"], "mamba": ["64,4,50", "128,8,100"],
         "mlstm": ["64,4,50", "32,8,100"], "linear_attention": ["64,4,50", "32,8,100"],
         "additive": ["32,8,100", "64,16,100"], "dot": ["32,8,100", "64,16,100"]}
LARGER = ["64,32,50", "128,16,50"]  # which several threads can share
SOURCES = {32: 20, 64: 50}  # size of attention -> length of what it reads
STATES, RANK = 16, 4  # of Mamba


@dataclass
class Task:
    """What every contender computes: a definition, its parameters, and data of one shape.

    Attributes:
        x: (T, B, size).
        enc: what attention reads, (B, length, size); None for the others.
        arrays: name -> array of all that gets a gradient; names are those of matrix_by_hand.py.
    """

    name: str
    size: int
    B: int
    T: int
    dtype: str

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.definition = Cell(self.name)
        self.enc: mg.Tensor | None = None
        x, L = self.definition.input("x", self.size), self.definition.signal("L", ())
        self.x = rng.normal(size=(self.T, self.B, self.size)).astype(self.dtype)
        self.given: dict[str, Any] = {"x": self.x}
        self.reads = self.name not in matrix_by_hand.BY_HAND
        y = (self._decoder if self.reads else self._layer)(x, rng)
        L[t] = (y[t] * y[t]).sum()
        self.arrays = {self._short(name): tensor.numpy() for name, tensor in self.tensors().items()}

    def _layer(self, x: Any, rng: np.random.Generator) -> Any:
        make: Any = getattr(cells.modern, self.name)
        sizes = {"states": STATES, "rank": RANK} if self.name == "mamba" else {"keys": self.size}
        return make(self.definition, x, self.size, name="a", rng=rng, dtype=self.dtype, **sizes)

    def _decoder(self, x: Any, rng: np.random.Generator) -> Any:
        cell, size = self.definition, self.size
        enc, h = cell.static("enc", (None, size)), cell.signal("h", size)
        attention: Any = cells.memory.attention
        c = attention(cell, enc, h, size, name="a", rng=rng, dtype=self.dtype, score=self.name)
        W, U, V = (mg.init.glorot((size, size), rng, name=name, dtype=self.dtype) for name in "WUV")
        h[t] = np.tanh(W @ x[t] + U @ h[t-1] + V @ c[t])
        source = rng.normal(0, 0.3, (self.B, SOURCES.get(size, size), size)).astype(self.dtype)
        self.enc = self.given["enc"] = mg.Tensor(source, requires_grad=True, name="enc")
        return h

    def _short(self, name: str) -> str:
        return name if self.reads else name.removeprefix("a.")

    def tensors(self) -> dict[str, mg.Tensor]:
        """Return all tensors that get a gradient."""
        return {**self.definition.parameters, **({} if self.enc is None else {"enc": self.enc})}

    def by_tensor(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return gradients by the names of the tensors."""
        return found if self.reads else {f"a.{name}": array for name, array in found.items()}


class ByHand(Contender):
    """NumPy by hand."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def step(self) -> None:
        task = self.task
        if task.reads:
            self.out = matrix_by_hand.attention(task.arrays, task.x, task.arrays["enc"], task.name == "additive")
        else:
            self.out = matrix_by_hand.BY_HAND[task.name](task.arrays, task.x)

    def result(self) -> Result:
        return self.out[0], self.task.by_tensor(self.out[1])


CONTENDERS: dict[str, type[Contender]] = {REFERENCE: ByHand, **OURS, "torch": TorchLoop, "ours-jax": OursJax}


def contenders(names: list[str], task: Task) -> dict[str, Contender]:
    """Return the contenders, after one checked step of each."""
    return made(names, CONTENDERS, task, ByHand)


# ---- tables --------------------------------------------------------------------------------


def tasks(names: list[str], dtypes: list[str], sizes: list[str] | None = None) -> Iterator[tuple[str, Task]]:
    """Return a task of each name, type and size, with its label."""
    for name in names:
        for dtype in dtypes:
            for size in sizes or (SIZES[name] if THREADS == 1 else LARGER):
                yield f"{name} {dtype} {size}", Task(name, *numbers(size), dtype=dtype)


def memory(options: argparse.Namespace) -> None:
    """Print the peak of memory of a step, in new processes."""
    table("peak of memory, MB; size, batch, T", options.contenders,
          ((label, {name: f"{in_new_process(__file__, '--peak', name, *label.split())[0] / 1e6:.1f}"
                    for name in options.contenders})
           for label, _ in tasks(options.tasks, options.dtype, options.sizes)))


def print_peak(contender: str, name: str, dtype: str, size: str) -> None:
    channels, batch, T = numbers(size)
    print(growth_of_peak(CONTENDERS[contender], lambda steps: Task(name, channels, batch, steps, dtype), T))


def main() -> None:
    parser = argparse.ArgumentParser(description="the cost of a training step of matrix states and reads")
    parser.add_argument("--tasks", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--sizes", nargs="+", metavar="size,batch,T")
    add_options(parser, rounds=15)
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), help="all unless given")
    parser.add_argument("--memory", action="store_true", help="peak of memory instead of time")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return print_peak(*options.peak)
    options.contenders = available(options.contenders, CONTENDERS)
    if options.memory:
        memory(options)
    else:
        found = tasks(options.tasks, options.dtype, options.sizes)
        compare("size, batch, T", measured(found, contenders, options), options)


if __name__ == "__main__":
    main()
