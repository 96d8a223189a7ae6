"""One definition, trained by NumPy, by JAX on two devices, and by PyTorch in two processes.

    python -m examples.outgrown [--seed 0] [--steps 200] [--out out/outgrown]

An LSTM predicts the next value of noisy waves. The equations are written once. Compiled, they run on
NumPy in this process; `cell.to_jax()` runs on two devices of one machine, each with half of the batch;
`cell.to_torch()` is trained by DistributedDataParallel in two processes, each with half of the batch.
All three use the same data and make the same updates, so their losses agree to rounding. The trained
parameters are copied back into the definition by name.

Measured for seeds 0, 1, 2: relative differences of at most 2e-15. Picture: losses.png. Time: 30 s.
"""

from __future__ import annotations

import datetime
import gc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from examples import common
from rnn import Cell, cells, interop, t

STEPS, BATCH, SIZE, RATE = 50, 64, 32, 0.05
PARTS = 2  # devices, and processes
PATIENCE = 600.0  # seconds that a part may take


def definition(seed: int) -> Cell:
    """Return an LSTM with an output and its loss."""
    rng = np.random.default_rng(seed)
    cell = Cell("waves")
    x, target = cell.input("x", 1), cell.input("target", 1)
    h = cells.lstm(cell, x, SIZE, name="lstm", rng=rng)
    V, c = mg.init.glorot((1, SIZE), rng, name="V"), mg.init.zeros((1,), name="c")
    y, L = cell.signal("y", 1), cell.signal("L", ())
    y[t] = V @ h[t] + c
    L[t] = mg.losses.mse(y[t], target[t], reduction="none").sum(axis=-1)
    return cell


def batches(seed: int, updates: int) -> Iterator[dict[str, Any]]:
    """Return waves of any frequency and phase with noise, and their next values: (T, batch, 1) each."""
    rng = np.random.default_rng(seed + 1)
    steps = np.arange(STEPS + 1)[:, None, None]
    for _ in range(updates):
        frequency, phase = rng.uniform(0.1, 0.5, (BATCH, 1)), rng.uniform(0, 2 * np.pi, (BATCH, 1))
        wave = np.sin(frequency * steps + phase) + 0.05 * rng.normal(size=(STEPS + 1, BATCH, 1))
        yield {"x": wave[:-1], "target": wave[1:]}


def shown(title: str, seed: int, updates: int, quiet: bool = False) -> Iterator[dict[str, Any]]:
    """Iterate over the batches, with a progress bar if tqdm is installed and the output is a terminal."""
    if quiet or importlib.util.find_spec("tqdm") is None:
        yield from batches(seed, updates)
    else:
        from tqdm import tqdm

        yield from tqdm(batches(seed, updates), title, updates, leave=False, disable=not sys.stderr.isatty())


class Trained:
    """What a part brings back: the loss of each update, how long it took from the second on, the parameters."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.parameters: dict[str, Any] = {}
        self.started = self.seconds = 0.0

    def add(self, loss: float) -> None:
        """Add the loss of one more update; the first update compiles and isn't timed."""
        self.losses.append(loss)
        if len(self.losses) == 1:
            self.started = time.perf_counter()
        self.seconds = time.perf_counter() - self.started

    def save(self, path: Path) -> None:
        """Save for the process that waits for this one."""
        mg.save(path, {name: np.asarray(x) for name, x in self.parameters.items()})
        path.with_suffix(".json").write_text(json.dumps({"losses": self.losses, "seconds": self.seconds}))

    @staticmethod
    def load(path: Path) -> Trained:
        """Load the result of `save`."""
        trained = Trained()
        vars(trained).update(json.loads(path.with_suffix(".json").read_text()))
        trained.parameters = mg.load(path)
        return trained


# ---- the three of them ---------------------------------------------------------------------


def on_numpy(seed: int, updates: int) -> Trained:
    """Train the compiled definition in this process."""
    cell, trained = definition(seed), Trained()
    fast = cell.compile(loss="L", reduction="mean")
    optimizer = mg.optim.SGD(cell.parameters, lr=RATE)
    for batch in shown("NumPy", seed, updates):
        optimizer.zero_grad()
        trained.add(fast(**batch).loss)
        optimizer.step()
    trained.parameters = {name: x.numpy() for name, x in cell.parameters.items()}
    return trained


def on_jax(seed: int, updates: int) -> Trained:
    """Train on all devices, each with its part of the batch."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    jax.config.update("jax_enable_x64", True)
    f, trained = definition(seed).to_jax(), Trained()
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    share = NamedSharding(mesh, PartitionSpec(None, "batch"))

    def loss(parameters: Any, batch: Any) -> Any:
        return f(parameters, batch)["L"].mean()

    @jax.jit  # type: ignore[untyped-decorator]
    def update(parameters: Any, batch: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(parameters, batch)
        return value, {name: x - RATE * slopes[name] for name, x in parameters.items()}

    parameters = jax.device_put(f.parameters, NamedSharding(mesh, PartitionSpec()))
    for batch in shown(f"JAX, {jax.device_count()} devices", seed, updates):
        value, parameters = update(parameters, jax.device_put(batch, share))
        trained.add(float(value))
    trained.parameters = parameters
    return trained


def on_torch(seed: int, updates: int, rank: int, meeting: Path) -> Trained:
    """Train in one of several processes; DistributedDataParallel averages the gradients of their batches."""
    import torch
    import torch.distributed as processes

    torch.set_num_threads(1)
    processes.init_process_group("gloo", f"file://{meeting}", datetime.timedelta(seconds=60), PARTS, rank)
    trained = _in_parallel(seed, updates, rank)
    gc.collect()  # the module first: one of its threads that needs Python while Python ends aborts the process
    processes.destroy_process_group()
    return trained


def _in_parallel(seed: int, updates: int, rank: int) -> Trained:
    import torch
    import torch.distributed as processes

    module, trained = definition(seed).to_torch(), Trained()
    parallel = torch.nn.parallel.DistributedDataParallel(module)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=RATE)
    for batch in shown(f"PyTorch, {PARTS} processes", seed, updates, quiet=rank > 0):
        optimizer.zero_grad()
        own = {name: np.split(x, PARTS, axis=1)[rank] for name, x in batch.items()}
        loss = parallel(**own)["L"].mean()
        loss.backward()
        optimizer.step()
        whole = loss.detach()
        processes.all_reduce(whole)
        trained.add(whole.item() / PARTS)
    trained.parameters = {name: x.detach().clone() for name, x in module.state_dict().items()}
    return trained


# ---- processes -----------------------------------------------------------------------------


class ProcessError(ChildProcessError):
    """A process ended with an error, or didn't end."""


def together(commands: Sequence[Sequence[str]], seconds: float, environment: Mapping[str, str] | None = None) -> None:
    """Run programs at the same time, and wait for all of them.

    Raises:
        ProcessError: as soon as one of them fails, or the time is over; the others are ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, f"{number}.txt") for number in range(len(commands))]
        running: list[subprocess.Popen[bytes]] = []
        try:
            for command, log in zip(commands, logs):
                with log.open("wb") as file:  # the first one's progress bar is seen
                    errors = None if command is commands[0] and sys.stderr.isatty() else file
                    running.append(subprocess.Popen(command, stderr=errors, env={**os.environ, **(environment or {})}))
            _wait(running, logs, seconds)
        finally:
            for process in running:
                process.kill()
                process.wait()


def _wait(running: Sequence[subprocess.Popen[bytes]], logs: Sequence[Path], seconds: float) -> None:
    """Wait until all processes have ended without an error."""
    end = time.monotonic() + seconds
    while any(process.poll() is None for process in running):
        if time.monotonic() > end:
            raise ProcessError(f"after {seconds:g} s not all of {len(running)} processes were done")
        if any(process.poll() for process in running):
            time.sleep(1.0)  # who fails because another one did, fails now
            break
        time.sleep(0.05)
    failed = [number for number, process in enumerate(running) if process.returncode]
    if failed:
        reports = [f"process {number} of {len(running)} ended with status {running[number].returncode}: "
                   f"{(logs[number].read_text(errors='replace').strip() or 'no message').splitlines()[-1]}"
                   for number in failed]
        raise ProcessError("\n".join(reports))


def work(name: str, seed: int, updates: int, rank: int, folder: str) -> None:
    """Train in this process, and save the result for the one that waits."""
    place = Path(folder)
    trained = on_jax(seed, updates) if name == "jax" else on_torch(seed, updates, rank, place / "meeting")
    if rank == 0:
        trained.save(place / f"{name}.npz")


def part(name: str, options: common.Options, folder: Path) -> Trained:
    """Train in processes of their own."""
    devices = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={PARTS}".strip()
    programs = [f"from {__spec__.name} import work; work{(name, options.seed, options.steps, rank, str(folder))}"
                for rank in range(PARTS if name == "torch" else 1)]
    together([[sys.executable, "-c", program] for program in programs], PATIENCE, {"XLA_FLAGS": devices})
    return Trained.load(folder / f"{name}.npz")


# ---- side by side --------------------------------------------------------------------------


def draw_losses(options: common.Options, found: Mapping[str, Trained]) -> None:
    """Draw the losses of all, over each other."""
    with common.axes(options.out / "losses.png", xlabel="update", ylabel="mean squared error", yscale="log",
                     title="One definition, trained by each library: the losses agree to rounding") as axes:
        for (title, trained), color, style, width in zip(found.items(), common.COLORS, ("-", "--", ":"), (5, 3, 2)):
            updates = range(1, len(trained.losses) + 1)
            axes.plot(updates, trained.losses, style, color=color, linewidth=width, label=title)


def example(options: common.Options) -> None:
    """Train everywhere, and compare."""
    cell = definition(options.seed)
    print(cell)
    found = {"NumPy, compiled": on_numpy(options.seed, options.steps)}
    with tempfile.TemporaryDirectory() as folder:
        for name, title in (("jax", f"JAX, {PARTS} devices"), ("torch", f"PyTorch, {PARTS} processes")):
            if importlib.util.find_spec(name) is None:
                print(f"{title}: not installed; pip install 'minigrad-rnn[{name}]'")
            else:
                found[title] = part(name, options, Path(folder))
    ours = np.array(found["NumPy, compiled"].losses)
    print(f"\n{'':22} {'ms/update':>10} {'first loss':>11} {'last loss':>11} {'largest difference':>19}")
    for title, trained in found.items():
        apart = np.abs(np.array(trained.losses) / ours - 1).max()
        pace = 1000 * trained.seconds / max(options.steps - 1, 1)
        print(f"{title:22} {pace:10.1f} {trained.losses[0]:11.6f} {trained.losses[-1]:11.6f} {apart:19.1e}")
    data = next(batches(options.seed, 1))
    for title, trained in found.items():
        interop.assign(cell, trained.parameters)
        loss = mg.mean(cell.unroll(**data)["L"].stack())
        print(f"{title}: back in the definition by name; the loss of the first batch is {loss.item():.6f}")
    draw_losses(options, found)


if __name__ == "__main__":
    sys.exit(common.Parser("outgrown", "One definition on NumPy, JAX and PyTorch.", 200).run(example))
