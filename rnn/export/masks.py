"""Masked sequences on a backend: their own steps to the front before a computation, and back after it.

The meaning is that of rnn.unrolling.masks; here its arrays are the backend's, which may be traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigrad import ops
from rnn.unrolling.masks import Hold, OwnSteps, passes_after, reach_of_held
from rnn.unrolling.truncation import Truncation

from .backend import Array, Backend


@dataclass(eq=False)
class Columns:
    """The own steps of the sequences of a batch; see OwnSteps.

    Attributes:
        steps: 1 … T, with axes for the batch.
        mask: (T, *batch) bools.
        count: (T, *batch), how many own steps a sequence has had up to each column.
        length: (*batch), the number of its own steps.
        order: (T, *batch), the columns of each sequence counted from 0, its own steps first; None if they are.
        truncation: where held values pass no gradients.
    """

    backend: Backend
    T: Any
    steps: Array
    mask: Array
    count: Array
    length: Array
    order: Array | None
    truncation: Truncation | None = None

    @classmethod
    def of(cls, backend: Backend, own: OwnSteps, truncation: Truncation) -> Columns:
        """Return those of a mask whose values are known."""
        def constant(x: Any) -> Array:
            return backend.constant(x, None)

        steps = np.arange(1, own.T + 1).reshape(own.T, *(1 for _ in own.length.shape))
        return cls(backend, own.T, constant(steps), constant(own.mask), constant(own.count), constant(own.length),
                   constant(own.order) if own.has_holes else None, truncation)

    @cached_property
    def prefix(self) -> Array:
        """The mask of the sequences with their own steps at the front."""
        return self.mask if self.order is None else self.steps < self.length + np.int64(1)

    def compact(self, x: Array) -> Array:
        """Return data (T, *batch, *shape) with each sequence's own steps at the front, and zeros after them."""
        moved = x if self.order is None else self.backend.take_steps(x, self.order)
        return self.backend.zero_masked(moved, self.prefix)

    def fill_after(self, x: Array, values: Mapping[int, Array], shape: tuple[int, ...]) -> Array:
        """Return values (T, *batch, *shape) with others at the steps after the end of each sequence.

        Args:
            values: step after the end, 1, 2, ... -> a value that broadcasts.
        """
        for step, value in values.items():
            x = self._where(self.steps - self.length == np.int64(step), value, x, len(shape))
        return x

    def row_after(self, zero: Array, column: int, values: Mapping[int, Array], shape: tuple[int, ...]) -> Array:
        """Return each sequence's value at column T + `column`, (*batch, *shape), given those after the sequence."""
        for step, value in values.items():
            zero = self._where(self.T - self.length == np.int64(step - column), value, zero, len(shape))
        return zero

    def keep_after(self, keep: Array, delay: int) -> Array:
        """Return where gradients of a read ahead pass, (T, *batch), from the same without the ends of the sequences."""
        return keep | passes_after(self.steps, self.length, np.int64(delay), self._reach())

    def _reach(self) -> tuple[Array, Array]:
        """Return the columns from which held values pass gradients; see `reach_of_held`."""
        assert self.truncation is not None
        first, last = reach_of_held(self.truncation, self.mask.ndim - 1)
        return self.backend.constant(first, None), self.backend.constant(last, None)

    def _where(self, condition: Array, value: Array, other: Array, ndim: int) -> Array:
        value = self.backend.cast_like(value, other)
        return self.backend.where(self.backend.append_axes(condition, ndim), value, other)

    def spread(self, rows: Array, first: int, hold: Hold) -> Array:
        """Return a signal at each column, (T, *batch, *shape).

        Args:
            rows: its values at own steps from `first` on.
        """
        backend = self.backend
        integers = backend.cast_like(self.mask, self.count)
        step = hold.step(self.count, self.length, integers,
                         lambda a, b: backend.compute(ops.Maximum(), a, backend.constant(b, None)),
                         lambda a, b: backend.compute(ops.Minimum(), a, b))
        shown = backend.take_steps(rows, step - np.int64(first))
        if not hold.direction:
            return backend.zero_masked(shown, self.mask)
        if self.truncation is not None and self.truncation.option:
            keep = hold.passes(step, self.mask, self._reach())
            shown = backend.mask_gradient(shown, backend.append_axes(keep, shown.ndim - keep.ndim))
        return shown
