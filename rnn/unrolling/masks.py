"""Masks: where each sequence's own steps stand among the columns of the batch.

Each sequence is computed as if its masked steps were deleted, and the results are spread back. Its own steps
are counted 1, 2, ... n; like a whole run's, its steps 0, -1, ... come before the first and n + 1, n + 2, ... after the
last. Columns are the steps of the batch, 1 … T. Unrolled graphs, compiled programs and exports all take
from here which column holds which step. Doesn't know equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.operators import WHERE
from minigrad.tensor import apply
from rnn.language.cycles import held_signals
from rnn.language.dependencies import Boundary, boundaries
from rnn.language.equations import Definition

from .truncation import Truncation

Steps = NDArray[np.int64]
Flags = NDArray[np.bool_]


class OwnSteps:
    """The own steps of the sequences of a batch.

    Attributes:
        mask: (T, *batch), False where a sequence is masked.
        T: the number of columns.
        count: (T, *batch), how many own steps a sequence has had up to each column.
        length: (*batch), the number of its own steps.
        has_holes: whether a masked step is followed by one that isn't masked.
        masked_columns: the columns at which some sequence is masked.
    """

    def __init__(self, mask: Flags) -> None:
        self.mask = mask
        self.T = len(mask)
        self.count: Steps = np.cumsum(mask, axis=0)
        self.length: Steps = self.count[-1]
        self.has_holes = bool((mask[1:] & ~mask[:-1]).any())
        self.masked_columns = set((np.flatnonzero(~mask.reshape(self.T, -1).all(axis=1)) + 1).tolist())

    @cached_property
    def order(self) -> Steps:
        """The columns of each sequence (T, *batch), counted from 0: its own steps first."""
        return np.argsort(~self.mask, axis=0, kind="stable")

    @property
    def prefix(self) -> Flags:
        """The mask of the sequences with their own steps at the front."""
        return np.arange(self.T).reshape(self.T, *(1,) * self.length.ndim) < self.length

    def column(self, step: Steps) -> Steps:
        """Return the column of an own step of each sequence; 0, -1, ... before the first, T + 1, ... after the last."""
        inside = np.take_along_axis(self.order, np.clip(step, 1, self.T)[None] - 1, axis=0)[0] + 1
        found: Steps = np.where(step < 1, step, np.where(step > self.length, self.T + step - self.length, inside))
        return found

    def step(self, column: int) -> Steps:
        """Return the own step of each sequence at a column; at a masked one the last step before."""
        found: Steps = self.count[column - 1] if 1 <= column <= self.T else \
            column + (self.length - self.T if column > self.T else 0 * self.length)
        return found

    def is_step(self, column: int) -> Flags:
        """Return whether each sequence has an own step at a column; all have those outside of 1 … T."""
        inside = 1 <= column <= self.T
        return self.mask[column - 1] if inside else np.ones(self.length.shape, bool)

    def column_of_read(self, step: Steps, delay: int, held: int) -> Steps:
        """Return a column that has the value of an own step of each sequence.

        Args:
            held: 1 if the values are held up to the next own step, -1 back to the one before; 0 if not.
            delay: by how many steps the reader is later. In the direction of a signal that is held the column beside
                the next own step is taken, so that a delay of one is the column before for all sequences.
        """
        if delay > 0 and held > 0:
            return self.column(step + 1) - 1
        if delay < 0 and held < 0:
            return self.column(step - 1) + 1
        return self.column(step)

    # ---- arrays (T, *batch, ...)
    def compact(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values with the own steps of each sequence at the front, and zeros after them."""
        if self.has_holes:
            values = np.take_along_axis(values, self._beside(self.order, values), axis=0)
        return np.where(self._beside(self.prefix, values), values, np.zeros((), values.dtype))

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of own steps at their columns, and zeros at the masked ones."""
        if self.has_holes:
            values = np.take_along_axis(values, self._beside(np.maximum(self.count, 1) - 1, values), axis=0)
        return np.where(self._beside(self.mask, values), values, np.zeros((), values.dtype))

    def steps_after(self, step: int) -> tuple[Steps, Steps]:
        """Return the rows and sequences of a step after the end, where that is in 1 … T; for one batch axis."""
        rows = self.length + step - 1
        found = np.flatnonzero(rows < self.T)
        return rows[found], found

    def _beside(self, x: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """Return an array with axes of length 1 at its end, so that it broadcasts against values."""
        return x.reshape(x.shape + (1,) * (values.ndim - x.ndim))


class Hold(NamedTuple):
    """The values of a signal at masked steps.

    Attributes:
        direction: 1: that of the own step before, -1: of the own step after, 0: zero.
        first: the own step whose value is held before the first one: 0, or 1 if the values begin there.
        last: n + this is the own step whose value is held after the last one, against the direction of time: 1 or 0.
    """

    direction: int
    first: int
    last: int

    def step(self, count: Any, length: Any, mask: Any, maximum: Callable[[Any, Any], Any] = np.maximum,
             minimum: Callable[[Any, Any], Any] = np.minimum) -> Any:
        """Return the own step whose value a signal has at each column; at masked ones of direction 0 any.

        Args: of OwnSteps, but for `mask`, which are integers, and the last two, functions of these arrays.
        """
        if self.direction < 0:
            return minimum(count + np.int64(1) - mask, length + np.int64(self.last))
        return maximum(count, np.int64(self.first if self.direction else 1))

    def passes(self, step: Any, mask: Any, reach: tuple[Any, Any]) -> Any:
        """Return where a column passes the gradient of its value: (T, *batch); for sequences that only end.

        Args:
            step: the own step whose value it has.
            reach: the first and the last column, (T, 1, ...), from which held values come with their gradients.
        """
        # A sequence that has ended holds its last step; backward in time the value that enters at T + 1.
        column = len(mask) + 1 if self.direction < 0 else step + (step < 1)
        return mask | (reach[0] <= column) & (column <= reach[1])


def holds(cell: Definition) -> dict[str, Hold]:
    """Return the values of each signal at masked steps."""
    held, outside = held_signals(cell), boundaries(cell)
    found = {}
    for name, signal in cell.signals.items():
        before, after = outside.get(name, Boundary(range(0), range(0)))
        first = 1 if signal.lead > 0 and 0 not in before else 0
        found[name] = Hold(held.get(signal, 0), first, 0 if signal.lead < 0 and 1 not in after else 1)
    return found


def reach_of_held(truncation: Truncation, ndim: int) -> tuple[Steps, Steps]:
    """Return the first and the last column from which each column takes held values with their gradients: (T, 1, ...).

    Args:
        ndim: the number of axes of the batch.
    """
    reach = [truncation.reach_of_held(k) for k in range(1, truncation.T + 1)]
    first, last = np.array([(steps[0], steps[-1]) for steps in reach]).T.reshape(2, truncation.T, *(1,) * ndim)
    return first, last


def passes_after(step: Any, length: Any, delay: Any, reach: tuple[Any, Any]) -> Any:
    """Return where a read ahead passes gradients because its value is one after the end: (T, *batch).

    Such a value belongs to each sequence's own last step. The arrays may be a backend's.

    Args:
        step: 1 … T, with axes for the batch.
        length: (*batch), the number of own steps of each sequence.
        delay: of the read; negative.
        reach: of held values, from `reach_of_held`.
    """
    return (step - delay > length) & (reach[0] <= length) & (length <= reach[1])


def select(copies: Mapping[int, Tensor], keys: Steps, rows: Flags, ndim: int) -> Tensor:
    """Return for each sequence the value of its own key; of sequences outside of `rows` that of any.

    Args:
        copies: key -> a tensor (*batch, ...).
        keys: (*batch).
        rows: (*batch), True for at least one.
        ndim: the number of axes after those of the batch.
    """
    first, *others = (int(key) for key in np.unique(keys[rows])[::-1])
    value = copies[first]
    for key in others:
        value = apply(WHERE, np.reshape(keys == key, keys.shape + (1,) * ndim), copies[key], value)
    return value
