"""Cell: a definition with methods to unroll, compile and export it.

The equations are in `rnn.language`; each method here passes the definition on to one package. Compiler
and exports are imported on first use, so that a program that only unrolls doesn't load them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from minigrad import Tensor
from minigrad.interactive.pictures import Bundle, drawn, view
from minigrad.provenance import call_site

from .language import cycles, dependencies
from .language.equations import Definition
from .language.latex import equations_latex
from .unrolling.options import UnrollOptions, list_options
from .unrolling.run import Run
from .unrolling.unroll import unroll

if TYPE_CHECKING:
    from .compiler.api import Compiled
    from .export.carried import OnnxFile
    from .export.jax import JaxFunction
    from .export.torch import CellModule


class Cell(Definition):
    """A recurrence: signals and the equations between them, cyclic or not.

    Args:
        name: of the definition, in messages and pictures.

    Attributes:
        name: its name.
        signals: every signal by name, in the order of declaration.
        statics: every value without a time axis by name, in the order of declaration.
        equations: every equation, in the order of writing.
    """

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that require gradients, by name, in the order in which equations use them."""
        return dependencies.parameters(self)

    loops = cycles.loops
    order = cycles.order
    edges = dependencies.edges

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        """Return what a notebook shows: the cyclic graph, where it can be painted, above the equations."""
        if not self.equations:
            return view(repr(self))
        return view(repr(self), drawn("rolled", self), equations_latex(self))

    @list_options
    def unroll(self, T: int | None = None, **keywords: Any) -> Run:
        """Return an explicit graph of T copies of the equations.

        All values have one type, NumPy's result type of the parameters and the float data: integer and bool data,
        constants and states are converted to it; labels stay integers. Random draws come in this order, here, in
        compiled programs and exports: of parameters first, then at t = 1 … T, at each step as the equations are
        written.

        Args:
            T: the number of steps; needed only without inputs, whose first axis determines it.
            initial: another run's `state` (or `state.detach()`), `{"h": h0}` or `{"h": {0: v, -1: w}}`;
                replaces the values that the definition sets.
            lengths: of the sequences of the batch, if they differ: (batch,) numbers in 0 … T. Each is computed
                as if the other steps were deleted. There a signal on a cycle holds its value; others are zero,
                and so are their gradients.
            mask: the same step by step: (T, batch) bools or numbers, False or 0 where a sequence pauses.
            chunks: truncated backpropagation through time in pieces of this many steps: the state is carried on, and no
                gradient passes from a piece to the one before.
            window: (k1, k2), truncated too: after every k1 steps a backward pass through the last k2 steps, for the
                losses of the last k1.
            last: truncated too: gradients pass through this many steps at the end; all before is constant.
            inputs: by name, arrays or Tensors (T, batch, size), or (T, size) without a batch. `inputs={...}` is a
                dict of them, for names that are options, such as "last".

        Returns:
            A `Run`: `run["h"][3]` is the Tensor h at t = 3, `run["h"].stack()` all steps in one, `run.state` the values
            that another run continues from.

        Raises:
            DefinitionError: where the definition can't be computed.
            ValueError: where data are missing, of unequal length, or of a wrong size.
        """
        options, inputs = UnrollOptions.split(T, keywords)
        return unroll(self, inputs, options)

    def compile(self, loss: str | None = None, reduction: str = "sum",
                backend: Literal["numpy", "numba"] = "numpy") -> Compiled:
        """Return the definition as a NumPy program: the numbers of `unroll` and `backward`, without a graph.

        Args:
            loss: the signal whose sum over steps and sequences is the loss, one number for each; a call then
                computes all gradients too. None: call `fast.backward(y=...)` for gradients.
            reduction: "sum", or "mean".
            backend: "numba" compiles the loops over time to machine code; it needs the extra `fast`.

        Returns:
            A `Compiled`, here called fast: `fast(x=data)` takes the inputs and options of `unroll`, and returns
            `Result(loss, outputs)`; without a loss the outputs alone, arrays by name. `fast.source` is the program.

        Raises:
            DefinitionError: where the definition can't be computed.
            ValueError: for an unknown loss, or one that is a vector; for an unknown backend.
            ModuleNotFoundError: for "numba" without Numba or SciPy; says how to install them.
        """
        from .compiler.api import Compiled
        from .compiler.backends import NUMPY

        if backend == "numpy":
            return Compiled(self, loss, reduction, NUMPY)
        if backend != "numba":
            raise ValueError(f"backend is 'numpy' or 'numba', not {backend!r} (at {call_site()})")
        try:
            from .fast.backend import NUMBA
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("rnn"):
                raise
            raise ModuleNotFoundError(f"{error.name} isn't installed (at {call_site()}): backend='numba' needs pip "
                                      "install 'minigrad-rnn[fast]'", name=error.name) from error
        return Compiled(self, loss, reduction, NUMBA)

    def to_jax(self) -> JaxFunction:
        """Return the definition as a pure function of JAX arrays, f(parameters, inputs); see rnn.export.jax."""
        from .export.jax import JaxFunction

        return JaxFunction(self)

    def to_torch(self) -> CellModule:
        """Return the definition as an nn.Module of PyTorch, whose state_dict has its names; see rnn.export.torch."""
        from .export.torch import CellModule

        return CellModule(self)

    @overload
    def to_onnx(self, path: str | os.PathLike[str], outputs: Sequence[str] | None = None, lengths: bool = False,
                state: Literal[False] = False) -> Path: ...

    @overload
    def to_onnx(self, path: str | os.PathLike[str], outputs: Sequence[str] | None = None, lengths: bool = False, *,
                state: Literal[True]) -> OnnxFile: ...

    def to_onnx(self, path: str | os.PathLike[str], outputs: Sequence[str] | None = None,
                lengths: bool = False, state: bool = False) -> Path | OnnxFile:
        """Write the definition as an ONNX file, its loops as Scan nodes; see rnn.export.onnx_model.

        Args:
            path: the file; it is written whole, or not at all.
            outputs: the signals that it computes; None: all.
            lengths: whether it takes the lengths of the sequences as an input.
            state: whether the values before the first step are inputs, and those for the next call outputs, so that
                the file runs step by step, or chunk by chunk; for definitions that don't read ahead.

        Returns:
            The path; with `state` an `OnnxFile`, which has the names of these inputs and outputs, and the first ones.
        """
        from .export.onnx_model import to_onnx

        return to_onnx(self, path, outputs, lengths, state)
