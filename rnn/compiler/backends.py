"""How a definition becomes a program that can be called: the seam between the compiler and its backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn.ir.lowering import LoweringOptions
from rnn.language.equations import Definition

from .execution import Loaded
from .pipeline import GradientRequest, Program


class NumpyBackend:
    """The program as NumPy computes it. Other backends are subclasses that override `load`."""

    name = "numpy"

    def load(self, cell: Definition, options: LoweringOptions, request: GradientRequest, dtype: np.dtype[Any],
             name: str, split: bool = False) -> Loaded:
        """Return the program of a definition for inputs of these shapes.

        Args:
            name: of the program, in error messages.
            split: as of `Program`.
        """
        return Loaded(Program(cell, options, request, split=split), dtype, name)


NUMPY = NumpyBackend()


class LoopBackends:
    """Which backend computes each loop over time of a program.

    Attributes:
        name: the backend that was asked for.
        loops: name of a loop in the program -> "numba"; or "numpy: " and the reason.
    """

    def __init__(self, name: str, loops: dict[str, str]) -> None:
        self.name = name
        self.loops = loops

    def __repr__(self) -> str:
        return "\n".join([self.name, *(f"  {loop}: {by}" for loop, by in self.loops.items())])
