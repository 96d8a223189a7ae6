"""Cell: a definition together with everything that can be done with it.

The equations stand in `rnn.language`; each method hands the definition to the package that does the
work. Compiler and exports are imported when they are first asked for, so that a program that only
unrolls does not load them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad import Tensor

from .language import cycles, dependencies
from .language.cycles import Loop, Stage
from .language.dependencies import Edge
from .language.equations import Definition
from .unrolling.run import Run
from .unrolling.unroll import unroll

if TYPE_CHECKING:
    from .compiler.api import Compiled
    from .export.jax import JaxFunction
    from .export.torch import CellModule


class Cell(Definition):
    """A recurrence: signals and the equations between them, cyclic or not.

    Args:
        name: how messages and pictures call it.

    Attributes:
        signals: every signal by name, in the order of declaration.
        equations: every equation, in the order of writing.
        version: how often something was written into it.
    """

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that require gradients, by name, in the order in which equations use them."""
        return dependencies.parameters(self)

    def loops(self) -> list[Loop]:
        """Every loop: its signals, its lines, its total delay; the shortest first."""
        return cycles.loops(self)

    def order(self) -> list[Stage]:
        """The order in which signals can be computed: each stage's signals, and its direction in time."""
        return cycles.order(self)

    def edges(self) -> list[Edge]:
        """The connections: (source, target, delay), in the order of the equations."""
        return dependencies.edges(self)

    def unroll(self, T: int | None = None, *, initial: Any = None, lengths: Any = None, mask: Any = None,
               chunks: int | None = None, window: tuple[int, int] | None = None, last: int | None = None,
               **inputs: Any) -> Run:
        """An explicit graph of T copies of the equations.

        Args:
            T: the number of steps; needed only where no input tells it.
            initial: another run's `state` (or `state.detach()`), {"h": h0} or {"h": {0: v, -1: w}};
                takes the place of what the definition sets.
            lengths: of each sequence of the batch, where they differ: (batch,) numbers in 1 … T. A
                finished sequence holds its states; its outputs are zero, and so are their gradients.
            mask: the same step by step: (T, batch) bools, False where a sequence pauses.
            chunks, window, last: truncated backpropagation through time; see rnn.truncation.
            inputs: by name, arrays or Tensors (T, batch, size), or (T, size) without a batch.

        Raises:
            DefinitionError: where the definition can't be computed.
            ValueError: where data are missing, of unequal length, or of a wrong size.
        """
        return unroll(self, T, inputs, initial=initial, lengths=lengths, mask=mask, chunks=chunks, window=window,
                      last=last)

    def compile(self, loss: str | None = None, reduction: str = "sum") -> Compiled:
        """The same definition as a NumPy program: the numbers of `unroll` and `backward`, without a graph.

        Args:
            loss: the signal whose sum over steps and sequences is the loss; a call then computes all
                gradients too. None: gradients are asked for by `fast.backward(y=...)`.
            reduction: "sum", or "mean".

        Raises:
            DefinitionError: where the definition can't be computed. ValueError: for an unknown loss.
        """
        from .compiler.api import Compiled

        return Compiled(self, loss, reduction)

    def to_jax(self) -> JaxFunction:
        """The same definition as a pure function of JAX arrays, f(parameters, inputs); see rnn.to_jax."""
        from .export.jax import JaxFunction

        return JaxFunction(self)

    def to_torch(self) -> CellModule:
        """The same definition as an nn.Module of PyTorch, whose state_dict has its names; see rnn.to_torch."""
        from .export.torch import CellModule

        return CellModule(self)

    def to_onnx(self, path: str | os.PathLike[str], outputs: Sequence[str] | None = None,
                lengths: bool = False) -> Path:
        """The same definition as an ONNX file, its loops as Scan nodes; see rnn.to_onnx.

        Args:
            path: the file; it is written whole, or not at all.
            outputs: the signals that it computes; None: all.
            lengths: whether it takes the lengths of the sequences as an input.
        """
        from .export.onnx import to_onnx

        return to_onnx(self, path, outputs, lengths)
