"""A loop over time on several threads, each with its own sequences of the batch.

Sequences don't depend on each other, so a thread goes through all steps without waiting for another. The environment
variable MINIGRAD_THREADS says how many there are; one if it isn't set. BLAS should then have one thread for each call,
OPENBLAS_NUM_THREADS=1: its own threads would wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

VARIABLE = "MINIGRAD_THREADS"
WORTH = 1_000_000  # multiplications and additions that take longer than to start a thread


def over_batch(function: Callable[..., None], work: int, T: int, B: int, *arguments: Any) -> None:
    """Call a function of (T, first sequence, end, ...) on all sequences, in parts where there are threads.

    Args:
        work: multiplications and additions of one step of one sequence.
    """
    parts = min(threads(), B) if T * B * work > WORTH else 1
    if parts == 1:
        function(T, 0, B, *arguments)
        return
    edges = [B * part // parts for part in range(parts + 1)]
    others = [_pool().submit(function, T, first, end, *arguments) for first, end in pairwise(edges[1:])]
    function(T, 0, edges[1], *arguments)
    for other in others:
        other.result()


@cache
def threads() -> int:
    """Return the number of threads.

    Raises:
        ValueError: where the environment variable is no number above 0.
    """
    asked = os.environ.get(VARIABLE) or "1"
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"{VARIABLE} is a number of threads, 1 or more, not {asked!r}")
    return int(asked)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads() - 1, "minigrad")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has no threads but its own
