"""One of two processes that share a batch; or, for `devices`, one process with two devices.

    python one_of_two.py jax|torch|devices RANK MEETING FOLDER

Writes the gradients of a sum over the whole batch, and says on which devices the batch lay.
"""

from __future__ import annotations

import datetime
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from definitions import bidirectional, feedback_2
from exports import DATA_OF_SIX

from rnn import Cell

DEFINITIONS = (feedback_2, bidirectional)


def by_jax(rank: int, meeting: str, several: bool) -> dict[str, Any]:
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    jax.config.update("jax_enable_x64", True)
    if several:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(meeting, num_processes=2, process_id=rank, initialization_timeout=60)
    mesh = jax.make_mesh((2,), ("batch",))
    share = NamedSharding(mesh, PartitionSpec(None, "batch"))
    own = np.split(DATA_OF_SIX, 2, axis=1)[rank] if several else DATA_OF_SIX
    x = jax.make_array_from_process_local_data(share, own)
    print(f"process {jax.process_index()} of {jax.process_count()}: {x.shape}, of which here "
          f"{[part.data.shape for part in x.addressable_shards]} on {[str(d) for d in jax.local_devices()]}")
    found = {}
    for make in DEFINITIONS:
        f = make().to_jax()
        parameters = jax.device_put(f.parameters, NamedSharding(mesh, PartitionSpec()))
        slope = jax.jit(jax.grad(lambda p, x, f=f: (f(p, {"x": x})["y"] ** 2).sum()))
        found.update({f"{make.__name__} {name}": np.asarray(g) for name, g in slope(parameters, x).items()})
    return found


def by_torch(rank: int, meeting: str) -> dict[str, Any]:
    import torch
    import torch.distributed as processes

    torch.set_num_threads(1)
    processes.init_process_group("gloo", f"file://{meeting}", datetime.timedelta(seconds=60), 2, rank)
    own = np.split(DATA_OF_SIX, 2, axis=1)[rank]
    print(f"process {rank} of {processes.get_world_size()}: {DATA_OF_SIX.shape}, of which here {own.shape}")
    found = {f"{make.__name__} {name}": x for make in DEFINITIONS for name, x in mean_gradients(make, own).items()}
    gc.collect()  # the modules first: one of their threads that needs Python while Python ends aborts the process
    processes.destroy_process_group()
    return found


def mean_gradients(make: Callable[[], Cell], own: np.ndarray) -> dict[str, Any]:
    import torch

    module = torch.nn.parallel.DistributedDataParallel(make().to_torch())
    (2 * module(x=own)["y"].square().sum()).backward()  # it takes the mean over both
    return {name: x.grad.numpy().copy() for name, x in module.module.named_parameters()}


def main() -> None:
    kind, rank, meeting, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    gradients = by_torch(rank, meeting) if kind == "torch" else by_jax(rank, meeting, kind == "jax")
    np.savez(folder / f"{rank}.npz", **gradients)


if __name__ == "__main__":
    main()
