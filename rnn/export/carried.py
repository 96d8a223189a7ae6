"""The state that a file carries from one call to the next: what `Run.state` has, by names of the file.

A value before the first step is an input, `h[0]`, and its value for the next call an output, `h[T]`; with longer
delays also `h[-1]` and `h[T-1]`, and so on. The number of steps before the call is `t[0]`, after it `t[T]`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.provenance import call_site
from rnn.language.dependencies import DefinitionError, boundaries, expression_shapes, integer_inputs, nodes
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Static
from rnn.language.selection import needed_for, reads_ahead
from rnn.unrolling.evaluator import compute_statics, recompute_from_parameters
from rnn.unrolling.inputs import prepare_inputs, steps_before
from rnn.unrolling.options import UnrollOptions

STEPS_BEFORE, STEPS_AFTER = "t[0]", "t[T]"
_ADVICE = "Write a file for whole sequences, state=False, or one"


def carried_steps(cell: Definition, outputs: Iterable[str]) -> dict[str, range]:
    """Return the steps of each signal that the next call reads: {"h": range(-1, 1)} for h[-1] and h[0].

    Args:
        outputs: the signals to compute; a signal that they don't depend on has no state.

    Raises:
        DefinitionError: where an equation reads a later step than is computed, which is known only in the next call.
    """
    needed = needed_for(cell, outputs)
    _refuse_reads_ahead(cell, needed)
    outside = boundaries(cell)
    return {name: outside[name].before for name, signal in cell.signals.items()
            if signal in needed and name in outside and outside[name].before}


def values_in_use(cell: Definition, carried: Iterable[str]) -> list[Any]:
    """Return all that is written in a definition but for the initial values that a carried state replaces."""
    outside = boundaries(cell)
    return [*(equation.expression for equation in cell.equations),
            *(value for name, signal in cell.signals.items() for k, value in signal.initial.items()
              if name not in carried or k not in outside[name].before),
            *(value for signal in cell.signals.values() for value in signal.final.values())]


def _refuse_reads_ahead(cell: Definition, needed: set[Signal]) -> None:
    for link in reads_ahead(cell, needed):
        raise DefinitionError(
            f"{link.target.name} reads {link}, at {link.equation.origin}, which isn't known at the end of a call: "
            f"a file with state=True can't compute it. {_ADVICE} without {link.target.name}, outputs=[...]")
    for signal in cell.signals.values():
        if signal in needed and signal.lead < 0 and signal.equation is not None:
            raise DefinitionError(
                f"the equation of {signal.name}, at {signal.equation.origin}, defines a step before t, so its last "
                "values aren't known at the end of a call: a file with state=True can't compute them. "
                f"{_ADVICE} without {signal.name}, outputs=[...]")


@dataclass(frozen=True)
class StateInput:
    """A value of the state in a file.

    Attributes:
        signal, k: the value is signal[k], before the first step.
        shape: for one sequence, None for a length that each call binds; its first axis in the file is the batch.
        dtype: of its array.
    """

    signal: str
    k: int
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    @property
    def before(self) -> str:
        """The name of the input."""
        return f"{self.signal}[{self.k}]"

    @property
    def after(self) -> str:
        """The name of the output that is its value in the next call."""
        return f"{self.signal}[T{self.k:+d}]" if self.k else f"{self.signal}[T]"


class OnnxFile(os.PathLike[str]):
    """A file that carries a state, written by `Cell.to_onnx(path, state=True)`.

        file = cell.to_onnx("model.onnx", state=True)
        session = onnxruntime.InferenceSession(str(file))
        state = file.start(batch=1)
        for x in chunks:                             # (T, batch, size), of any number of steps
            y, *after = session.run(["y", *file.state.values()], {"x": x, **state})
            state = dict(zip(file.state, after))

    Attributes:
        path: of the file.
        state: each input of the state -> the output that is its value in the next call, {"h[0]": "h[T]"}. The file
            has it, too: as JSON, in the entry "state" of its metadata.
    """

    def __init__(self, path: Path, cell: Definition, inputs: Sequence[StateInput], counts_steps: bool) -> None:
        self.path = path
        self.state = pairs(inputs, counts_steps)
        self._cell = cell
        self._inputs = inputs

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"<OnnxFile {self.path}, state {', '.join(self.state)}>"

    def start(self, batch: int = 1, initial: Any = None, **statics: Any) -> dict[str, NDArray[Any]]:
        """Return the state of the first call: the values that the definition sets, and zeros for others.

        Args:
            batch: the number of sequences.
            initial: as for `Cell.unroll`: values in place of the definition's, or the state of a run to continue.
            statics: by name, those that initial values are computed from.

        Returns:
            By the names of the file's inputs, arrays (batch, *shape).

        Raises:
            ValueError: where a static or a value is missing, or has the shape of another batch.
        """
        cell, origin = self._cell, call_site()
        if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 1:
            raise ValueError(f"batch is a number of sequences, 1 or more, not {batch!r} (at {origin})")
        labels = integer_inputs(cell)
        data = {name: np.zeros((1, batch, *(x.shape or ())), int if name in labels else float)
                for name, x in cell.signals.items() if x.given}
        data.update((name, np.zeros([n or 1 for n in x.lengths])) for name, x in cell.statics.items())
        prepared = prepare_inputs(cell, {**data, **statics}, UnrollOptions(T=1, initial=initial))
        shapes = self._shapes(prepared.shapes, statics)
        values = {x: prepared.boundary[x.signal].get(x.k) for x in self._inputs}
        set_values = [value for value in values.values() if value is not None]
        for node in nodes(set_values):
            if isinstance(node, Static) and node.name not in statics:
                raise ValueError(f"an initial value is computed from {node.name}, declared at {node.origin}: give it, "
                                 f"start(batch, {node.name}=...) (at {origin})")
        computed = recompute_from_parameters(cell, set_values)
        computed |= compute_statics(cell, prepared, computed, set_values)
        found = {}
        for x, value in values.items():
            array = np.zeros(()) if value is None else computed.get(id(value), value).numpy()
            found[x.before] = np.broadcast_to(array, (batch, *shapes[x])).astype(x.dtype)
        if STEPS_BEFORE in self.state:
            found[STEPS_BEFORE] = np.broadcast_to(steps_before(initial, (batch,), origin), (batch,)).copy()
        return found

    def _shapes(self, bound: Mapping[str, tuple[int, ...]], statics: Mapping[str, Any]
                ) -> dict[StateInput, tuple[int, ...]]:
        """Return the shape of each value for one sequence, from the shapes of inputs and statics."""
        cell = self._cell
        unknown = [x for x in self._inputs if None in x.shape]
        missing = [name for name, x in cell.statics.items() if x.shape is None and name not in statics]
        if unknown and missing:
            raise ValueError(f"{unknown[0].before} is as long as {missing[0]}, declared at "
                             f"{cell.statics[missing[0]].origin}: give it, start(batch, {missing[0]}=...) "
                             f"(at {call_site()})")
        sizes = expression_shapes(cell, bound) if unknown else {}
        found = {x: tuple(n for n in x.shape if n is not None) for x in self._inputs}
        for x in unknown:
            equation = cell.signals[x.signal].equation
            assert equation is not None  # an input has the size that is declared
            found[x] = sizes[id(equation.expression)]
        return found


def pairs(inputs: Iterable[StateInput], counts_steps: bool) -> dict[str, str]:
    """Return the name of each input of the state with that of the output that takes its place in the next call."""
    steps = {STEPS_BEFORE: STEPS_AFTER} if counts_steps else {}
    return {**{x.before: x.after for x in inputs}, **steps}
