"""How wide an edge is drawn: by what its time step adds to its parameters' gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnn import Run

THIN = 0.4  # of an edge that adds nothing
WIDE = 6.0  # of the one that adds most


class Widths:
    """The widths of the edges of one run, as parts of the largest contribution to each parameter.

    Raises:
        ValueError: before a backward pass.
    """

    def __init__(self, run: Run) -> None:
        if all(parameter.grad is None for parameter in run.parameters.values()):
            raise ValueError("contributions=True shows what each step adds to the gradients, and there are none yet: "
                             "call loss.backward() first")
        self.parts: dict[str, list[float]] = {}
        for name in run.parameters:
            rows = run.contributions(name).reshape(run.T, -1)
            norms = np.linalg.norm(rows, axis=1)
            self.parts[name] = (norms / (norms.max() or 1.0)).tolist()

    def pen(self, names: Sequence[str], step: int) -> float:
        """The width of an edge through some parameters, at a step."""
        part = max(self.parts[name][step - 1] for name in names)
        return THIN + (WIDE - THIN) * part if np.isfinite(part) else WIDE
