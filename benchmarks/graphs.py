"""CPU time to lay out and paint the graph of a tensor with `viz.graph`, and the size of the picture.

    python benchmarks/graphs.py [--tensors 100,500,2000] [--dot]

An unrolled Elman network, a stack of LSTMs, a chain, a residual network and a random graph, each with about so many
tensors. With --dot, also Graphviz's own layout of the same boxes and edges by `dot`, for at most --limit seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import minigrad as mg
import viz
from minigrad.backward import ancestors
from rnn import Cell, cells, t
from viz.render.digraph import literal

SIZE = 8


def elman(count: int) -> mg.Tensor:
    """Seven tensors a step."""
    rng = np.random.default_rng(0)
    W, U, V = (mg.init.glorot((SIZE, SIZE), rng, name=name) for name in "WUV")
    b = mg.Tensor(np.zeros(SIZE), requires_grad=True, name="b")
    cell = Cell("elman")
    x, h, y = cell.input("x", SIZE), cell.signal("h", SIZE), cell.signal("y", SIZE)
    h[t] = np.tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    run = cell.unroll(x=rng.normal(size=(max(count // 7 - 2, 1), 4, SIZE)))
    return differentiated(mg.square(run["y"].stack()).mean())


def lstms(count: int) -> mg.Tensor:
    """Two layers, 40 tensors a step."""
    rng = np.random.default_rng(0)
    cell = Cell("lstm")
    h = cell.input("x", SIZE)
    for name in ("first", "second"):
        h = cells.lstm(cell, h, SIZE, name=name, rng=rng)
    run = cell.unroll(x=rng.normal(size=(max(count // 40 - 1, 1), 4, SIZE)))
    return differentiated(mg.square(run["second.h"].stack()).mean())


def chain(count: int) -> mg.Tensor:
    """A number multiplied again and again; every second tensor is a constant."""
    x = mg.Tensor(1.0, requires_grad=True, name="a")
    for _ in range(count // 2 - 1):
        x = x * 0.999
    return differentiated(x)


def residual(count: int) -> mg.Tensor:
    """Four tensors a layer."""
    rng = np.random.default_rng(0)
    h: Any = mg.Tensor(rng.normal(size=(4, SIZE)), name="x")
    for number in range(count // 4 - 1):
        h = h + np.tanh(h @ mg.init.glorot((SIZE, SIZE), rng, name=f"W{number}"))
    return differentiated(mg.square(h).mean())


def tangle(count: int) -> mg.Tensor:
    """Each tensor is computed from a recent one and from any one."""
    rng = np.random.default_rng(0)
    nodes: list[Any] = [mg.Tensor(np.ones(2), requires_grad=True, name=f"x{number}") for number in range(3)]
    for number in range(3, count - 1):
        nodes.append(np.tanh(nodes[number - 1 - int(rng.integers(min(3, number)))]) if number % 2
                     else nodes[-1] + nodes[int(rng.integers(number))])
    return differentiated(nodes[-1].sum())


def differentiated(loss: mg.Tensor) -> mg.Tensor:
    loss.backward()
    return loss


def measured(make: Callable[[int], mg.Tensor], count: int) -> str:
    """Return the CPU seconds of layout, SVG and PNG, and the size in pixels."""
    loss = make(count)
    times = [time.process_time()]
    picture = viz.graph(loss, most=10 ** 6)
    times.append(time.process_time())
    for format in ("svg", "png"):
        content = picture.pipe(format=format)
        times.append(time.process_time())
    place, svg, png = (end - start for start, end in pairwise(times))
    width, height = (int.from_bytes(content[at:at + 4], "big") for at in (16, 20))
    return (f"{make.__name__:9} {len(ancestors(loss)):5} tensors  layout {place:5.2f} s  SVG {place + svg:5.2f} s  "
            f"PNG {place + png:5.2f} s  {width:6,} x {height:6,} pixels")


def by_dot(make: Callable[[int], mg.Tensor], count: int) -> None:
    """Lay out all tensors as boxes of the program dot, and paint them as SVG."""
    nodes = ancestors(make(count))
    keys = {node: f"n{number}" for number, node in enumerate(nodes)}
    drawn = viz.Picture("graph", graph_attr={"rankdir": "BT"}, node_attr={"shape": "box"})
    for node, key in keys.items():
        drawn.node(key, label=literal(f"{node.label}\n{node.shape}"))
        for x in node.inputs:
            drawn.edge(keys[x], key)
    started = time.process_time()
    drawn.pipe(format="svg")
    print(f"{make.__name__:9} {len(nodes):5} tensors  dot: SVG {time.process_time() - started:5.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensors", default="100,500,2000")
    parser.add_argument("--dot", action="store_true")
    parser.add_argument("--limit", type=float, default=60)
    options = parser.parse_args()
    for make in (elman, lstms, chain, residual, tangle):
        for count in map(int, options.tensors.split(",")):
            print(measured(make, count), flush=True)
            if options.dot:
                process = multiprocessing.Process(target=by_dot, args=(make, count))
                process.start()
                process.join(options.limit)
                if process.is_alive():
                    print(f"{make.__name__:9} dot: more than {options.limit:.0f} s", flush=True)
                    process.terminate()


if __name__ == "__main__":
    main()
