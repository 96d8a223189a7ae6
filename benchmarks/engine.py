"""Cost per node: minigrad and other engines, in one run, alternating.

    python benchmarks/engine.py            # minigrad, and the peers that are installed
    pip install -e ".[peers]"              # all of them

Prints the median over rounds, and as a ratio to minigrad (2.0 means twice minigrad's cost): building
and differentiating a chain of small operations, per node; a step of a (64, 64) multilayer
perceptron; memory per node; import time beside that of NumPy alone. The row "floor" is NumPy with one
object for each node of the chain: no engine of Python objects costs less.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported: one thread for every engine

import numpy as np  # noqa: E402

STEPS = 20  # of the perceptron, in each round
LINKS = 1000  # of a chain; each is a product and a sum, two nodes
SMALL = np.ones(4)
BATCH, WIDTH = 64, 64


class Minigrad:
    """minigrad."""

    def __init__(self) -> None:
        import minigrad as mg

        self.mg = mg
        rng = np.random.default_rng(0)
        self.data = rng.normal(size=(BATCH, WIDTH))
        self.weights = [rng.normal(size=(WIDTH, WIDTH)) / 8 for _ in range(2)]

    def leaf(self, data: Any) -> Any:
        return self.mg.Tensor(data, requires_grad=True)

    def chain(self) -> Any:
        x, a, b = self.leaf(SMALL), self.leaf(SMALL), self.leaf(SMALL)
        for _ in range(LINKS):
            x = x * a + b
        return x.sum()

    def differentiate(self, out: Any) -> None:
        out.backward()

    def perceptron(self) -> None:
        W, V = map(self.leaf, self.weights)
        h = np.tanh(self.data @ W)
        self.differentiate(((h @ V) ** 2).mean())


class MyGrad(Minigrad):
    """MyGrad with its defaults: it locks the memory of operands, where minigrad detects modification."""

    guarding = True

    def __init__(self) -> None:
        super().__init__()
        import mygrad

        self.mygrad = mygrad

    def leaf(self, data: Any) -> Any:
        return self.mygrad.tensor(data)

    def chain(self) -> Any:
        self.guard()
        return super().chain()

    def guard(self) -> None:
        """Switch memory guarding, for the whole process."""
        if self.guarding:
            self.mygrad.turn_memory_guarding_on()
        else:
            self.mygrad.turn_memory_guarding_off()

    def perceptron(self) -> None:
        self.guard()
        W, V = map(self.leaf, self.weights)
        h = self.mygrad.tanh(self.mygrad.matmul(self.data, W))
        self.differentiate((self.mygrad.matmul(h, V) ** 2).mean())


class MyGradUnguarded(MyGrad):
    """MyGrad without memory guarding: faster, and modification is not detected."""

    guarding = False


class Torch(Minigrad):
    """PyTorch on one thread of the CPU."""

    def __init__(self) -> None:
        super().__init__()
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        self.tensor_data = torch.tensor(self.data)

    def leaf(self, data: Any) -> Any:
        return self.torch.tensor(data, requires_grad=True)

    def perceptron(self) -> None:
        W, V = map(self.leaf, self.weights)
        h = self.torch.tanh(self.tensor_data @ W)
        self.differentiate(((h @ V) ** 2).mean())


class Autograd(Minigrad):
    """HIPS autograd: forward and backward through its tracer."""

    def __init__(self) -> None:
        super().__init__()
        import autograd.core
        import autograd.numpy as anp

        self.core, self.anp = autograd.core, anp

    def chain(self) -> Any:
        return self.core.make_vjp(self.chain_of, (SMALL, SMALL, SMALL))

    def chain_of(self, start: Any) -> Any:
        x, a, b = start
        for _ in range(LINKS):
            x = x * a + b
        return self.anp.sum(x)

    def differentiate(self, out: Any) -> None:
        vjp, value = out
        vjp(np.ones_like(value))

    def perceptron(self) -> None:
        self.differentiate(self.core.make_vjp(self.loss, tuple(self.weights)))

    def loss(self, weights: Any) -> Any:
        W, V = weights
        h = self.anp.tanh(self.anp.dot(self.data, W))
        return self.anp.mean(self.anp.dot(h, V) ** 2)


class Micrograd(Minigrad):
    """micrograd: single numbers, so its chain is of scalars; it has no matrices. Recursive: a short chain."""

    def __init__(self) -> None:
        super().__init__()
        from micrograd.engine import Value

        self.value = Value

    def chain(self) -> Any:
        x, a, b = self.value(1.0), self.value(1.0), self.value(1.0)
        for _ in range(LINKS // 5):
            x = x * a + b
        return x

    perceptron = None  # type: ignore[assignment]


class FloorNode:
    """What a node can't do without: its array, its gradient, the ufunc that computed it, and two inputs."""

    __slots__ = ("array", "grad", "ufunc", "a", "b")

    def __init__(self, ufunc: np.ufunc | None, a: Any, b: Any) -> None:
        self.array = SMALL if ufunc is None else ufunc(a.array, b.array)
        self.grad: Any = None
        self.ufunc, self.a, self.b = ufunc, a, b


class Floor(Minigrad):
    """The limit for an engine of Python objects: NumPy's calls for this chain, and an object for each node.

    It knows two operations and a chain alone; it has no checks, no lines, no broadcasting and no order of nodes.
    """

    def chain(self) -> Any:
        x, a, b = (FloorNode(None, None, None) for _ in range(3))
        for leaf in (a, b):
            leaf.grad = np.zeros_like(SMALL)
        for _ in range(LINKS):
            x = FloorNode(np.add, FloorNode(np.multiply, x, a), b)
        return x

    def differentiate(self, out: Any) -> None:
        node = out
        node.grad = np.ones_like(SMALL)
        while node.ufunc is not None:
            grad, a, b = node.grad, node.a, node.b
            if node.ufunc is np.multiply:
                a.grad = grad * b.array
                b.grad += grad * a.array
            else:
                a.grad = grad.copy()
                b.grad += grad
            node = a

    perceptron = None  # type: ignore[assignment]


# A peer's name begins with its module's.
PEERS: dict[str, type[Minigrad]] = {"autograd": Autograd, "mygrad": MyGrad, "mygrad unguarded": MyGradUnguarded,
                                    "micrograd": Micrograd, "torch": Torch}


def seconds(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the seconds of the processor that a call takes, whatever else runs on the machine, and its result."""
    started = time.process_time()
    result = function(*arguments)
    return time.process_time() - started, result


def repeated(step: Callable[[], None]) -> None:
    for _ in range(STEPS):
        step()


def measure(engines: dict[str, Minigrad], rounds: int) -> dict[str, dict[str, float]]:
    """Return medians in microseconds: per node of the chain, and per step of the perceptron."""
    times: dict[str, dict[str, list[float]]] = {name: {"build": [], "backward": [], "MLP step": []} for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            nodes = 2 * (LINKS // 5 if isinstance(engine, Micrograd) else LINKS)
            gc.collect()
            build, out = seconds(engine.chain)
            backward, _ = seconds(engine.differentiate, out)
            del out
            times[name]["build"].append(build / nodes * 1e6)
            times[name]["backward"].append(backward / nodes * 1e6)
            if engine.perceptron is not None:
                times[name]["MLP step"].append(seconds(repeated, engine.perceptron)[0] / STEPS * 1e6)
    return {name: {what: statistics.median(values) for what, values in rows.items() if values}
            for name, rows in times.items()}


def bytes_per_node(engine: Minigrad) -> float:
    """Return the memory of a node of the chain, as allocated by Python and NumPy (torch allocates outside of both)."""
    engine.chain()
    gc.collect()
    tracemalloc.start()
    out = engine.chain()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del out
    return kept / (2 * (LINKS // 5 if isinstance(engine, Micrograd) else LINKS))


def import_time(module: str, rounds: int) -> float:
    """Return the shortest time of a new process that imports a module, in seconds, with cached bytecode."""
    command = [sys.executable, "-c", f"import {module}"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, env=environment)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="minigrad's cost per node beside other engines'")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    engines: dict[str, Minigrad] = {"minigrad": Minigrad(), "floor": Floor()}
    for name, peer in PEERS.items():
        if importlib.util.find_spec(name.split()[0]):
            engines[name] = peer()
        else:
            print(f"({name} is not installed)")
    results = measure(engines, rounds)
    ours = results["minigrad"]
    print(f"\n{'':<16}  {'build µs/node':>18}  {'backward µs/node':>18}  {'MLP step µs':>18}  {'bytes/node':>12}")
    for name, row in results.items():
        cells = [f"{row[what]:8.2f} ({row[what] / ours[what]:5.1f})" if what in row else "" for what in ours]
        kept = "" if name == "torch" else f"{bytes_per_node(engines[name]):.0f}"
        print(f"{name:<16}  {cells[0]:>18}  {cells[1]:>18}  {cells[2]:>18}  {kept:>12}")
    numpy_alone, with_ours = import_time("numpy", rounds), import_time("minigrad", rounds)
    print(f"\nimport: numpy {numpy_alone * 1e3:.0f} ms, minigrad {with_ours * 1e3:.0f} ms, "
          f"ratio {with_ours / numpy_alone:.2f}")


if __name__ == "__main__":
    main()
