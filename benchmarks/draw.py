"""Time to draw and size of the picture: an Elman network with its loss, as SVG.

    python benchmarks/draw.py [--steps 5,20,50,100,500] [--limit 60]

viz at both levels, whole and folded; torchviz and torchview where they are installed
(pip install torch torchviz torchview; they need the program dot). A drawing that takes longer than
--limit seconds is aborted, and not repeated with more steps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

import minigrad as mg
import viz
from rnn import Cell, t

SIZE = 32
BATCH = 4


def ours(T: int, level: str, fold: bool) -> str:
    """Return the picture as SVG."""
    rng = np.random.default_rng(0)
    W, U, V = (mg.init.glorot((SIZE, SIZE), rng, name=name) for name in "WUV")
    cell = Cell("elman")
    x, h, y = cell.input("x", SIZE), cell.signal("h", SIZE), cell.signal("y", SIZE)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1])
    y[t] = V @ h[t]
    run = cell.unroll(x=rng.normal(size=(T, BATCH, SIZE)))
    loss = (run["y"].stack() ** 2).mean()
    loss.backward()
    started = time.perf_counter()
    svg: str = viz.unrolled(run, loss, level, fold).pipe(format="svg", encoding="utf-8")
    return f"{time.perf_counter() - started} {svg}"


def ours_signals(T: int) -> str:
    """Draw every step with its signals."""
    return ours(T, "signals", False)


def ours_operations(T: int) -> str:
    """Draw every step with its operations."""
    return ours(T, "ops", False)


def ours_folded(T: int) -> str:
    """Draw six steps with their operations; the steps between are folded."""
    return ours(T, "ops", True)


def torchviz(T: int) -> str:
    """Return torchviz's picture of the same graph."""
    import torch
    from torchviz import make_dot

    network = torch.nn.RNNCell(SIZE, SIZE)
    h, outputs = torch.zeros(BATCH, SIZE), []
    for _ in range(T):
        h = network(torch.randn(BATCH, SIZE), h)
        outputs.append(h)
    loss = (torch.stack(outputs) ** 2).mean()
    started = time.perf_counter()
    svg = make_dot(loss, params=dict(network.named_parameters())).pipe(format="svg").decode()
    return f"{time.perf_counter() - started} {svg}"


def torchview(T: int) -> str:
    """Return torchview's picture of the same module, unrolled."""
    import torch
    from torchview import draw_graph

    class Unrolled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.RNNCell(SIZE, SIZE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.zeros(BATCH, SIZE)
            for step in x:
                h = self.cell(step, h)
            return h

    started = time.perf_counter()
    drawn = draw_graph(Unrolled(), input_data=torch.randn(T, BATCH, SIZE)).visual_graph
    svg = drawn.pipe(format="svg").decode()
    return f"{time.perf_counter() - started} {svg}"


def answer(draw: Callable[[int], str], T: int, end: Connection) -> None:
    """Send time and size of one drawing, or the missing module, through a pipe."""
    try:
        seconds, svg = draw(T).split(" ", 1)
        width, height = re.findall(r'<svg width="(\d+)pt" height="(\d+)pt"', svg)[0]
        end.send(f"{float(seconds):7.2f} s  {int(width) * 4 // 3:6,} x {int(height) * 4 // 3:6,} px")
    except ImportError as error:
        end.send(f"not installed: {error.name}")
    except Exception as error:
        end.send(f"{type(error).__name__}: {error}"[:60])


def measured(draw: Callable[[int], str], T: int, limit: float) -> str | None:
    """Measure one drawing in a separate process; None if it takes too long."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=answer, args=(draw, T, far))
    process.start()
    found: str | None = near.recv() if near.poll(limit) else None
    process.terminate()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="5,20,50,100,500")
    parser.add_argument("--limit", type=float, default=60)
    options = parser.parse_args()
    for draw in (ours_signals, ours_operations, ours_folded, torchviz, torchview):
        for T in map(int, options.steps.split(",")):
            found = measured(draw, T, options.limit)
            print(f"{draw.__name__:16}  T = {T:4}  {found or f'longer than {options.limit:.0f} s'}", flush=True)
            if found is None or found.startswith("not installed"):
                break


if __name__ == "__main__":
    main()
