"""The state that a run leaves for the next one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor
from minigrad.provenance import call_site


class State:
    """The last values of every signal that is read with a delay, as many as its longest delay needs.

    Attributes:
        values: signal name -> {step of the next run (0, -1, ...): Tensor}.
        steps: how many steps each sequence has had, (*batch): masked ones don't count. The next run's `t` continues it.
    """

    def __init__(self, values: dict[str, dict[int, Tensor]], steps: NDArray[np.int64] | int = 0) -> None:
        self.values = values
        self.steps = np.array(steps, np.int64)

    def detach(self) -> State:
        """Return the same values as constants: the gradients of the next run stop there."""
        return State({name: {k: tensor.detach() for k, tensor in steps.items()}
                      for name, steps in self.values.items()}, self.steps)

    def select(self, indices: Any) -> State:
        """Return the state of some sequences, which may be repeated and reordered, as a beam search does.

        Args:
            indices: along the first axis of the batch: integers, e.g. [2, 0, 0].

        Raises:
            ValueError: for the state of a single sequence, without a batch.
            IndexError: for an index that is no sequence, or indices that aren't integers.
        """
        if not self.steps.ndim:
            raise ValueError(f"select() chooses among the sequences of a batch, but this state is that of one sequence "
                             f"(at {call_site()})")
        places = np.asarray(indices)
        count = len(self.steps)
        if places.ndim != 1 or places.dtype.kind not in "iu" or np.any((places < 0) | (places >= count)):
            raise IndexError(f"select() takes a list of indices 0 … {count - 1} of sequences, not {indices!r:.60} "
                             f"(at {call_site()})")
        return State({name: {k: tensor[places] for k, tensor in steps.items()}
                      for name, steps in self.values.items()}, self.steps[places])

    def __repr__(self) -> str:
        rows = [f"{name}[{k}] {x.shape}" for name, steps in self.values.items() for k, x in steps.items()]
        return f"<State {', '.join(rows)}>"
