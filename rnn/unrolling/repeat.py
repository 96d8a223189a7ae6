"""A loss computed again from the present values of its parameters, without the program that computed it first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.settings import override
from minigrad.tensor import apply

from .run import Run, Window, runs_behind
from .run_key import run_key
from .unroll import unroll_prepared


def repeat(loss: Tensor) -> tuple[Tensor, dict[Run, Run]]:
    """Return a loss of the present values of its parameters, and the new runs that it is computed from, by the old.

    Each run behind it is unrolled again with the same inputs and options: dropout is drawn anew, conditions and
    truncation are those of the new values. The operations between and after the runs are applied again to the new
    results; a run that no variable refers to is repeated as its operations, too. Numbers that the program has taken
    out of the graph, by `.data` or `detach()`, stay as they are, but for values of runs, as in `run.state.detach()`.

    Raises:
        ValueError: if an equation contains a tensor that was computed from another run, and that isn't an input, a
            static or an initial value.
    """
    repetition = Repetition(loss)
    first = loss.order
    with override(recording=True):
        again = repetition.result()
    for node in ancestors(again):
        if node.op is not None and node.order <= first:
            raise ValueError(f"the loss can't be computed again: an equation contains {node!r}, which was computed "
                             "from another run; make it a static of the definition, cell.static(...)")
    return again, repetition.runs


class Repetition:
    """The new tensors and runs by those that they replace."""

    def __init__(self, loss: Tensor) -> None:
        self.loss = loss
        self.old = {run.key: run for run in runs_behind(loss)}
        self.runs: dict[Run, Run] = {}
        self.tensors: dict[Tensor, Tensor] = {}

    def result(self) -> Tensor:
        """Compute all of it, the oldest first: what is computed from a run is newer than the run."""
        for node in ancestors(self.loss):
            run = self.old.get(run_key(node))  # type: ignore[arg-type]
            if run is not None:
                if run not in self.runs:
                    self._unroll(run)
            elif node.op is not None:
                with override(origin=node.origin):
                    again = apply(node.op, *map(self._present, node.inputs))
                again.name = node.name
                self.tensors[node] = again
        return self._present(self.loss)

    def _unroll(self, run: Run) -> None:
        inputs = run.inputs
        boundary = {name: self._present_values(values) for name, values in inputs.boundary.items()}
        again = unroll_prepared(run.cell, replace(inputs, values=self._present_values(inputs.values),
                                                  statics=self._present_values(inputs.statics), boundary=boundary))
        self.runs[run] = again
        pairs: list[tuple[Run | Window, Run | Window]] = [(again, run), *zip(again.windows, run.windows)]
        for new, old in pairs:
            for name in run.cell.signals:
                if name in run:
                    self.tensors.update((tensor, new[name].tensors[k]) for k, tensor in old[name].tensors.items())

    def _present_values(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        return {key: self._present(x) if isinstance(x, Tensor) else x for key, x in values.items()}

    def _present(self, x: Tensor) -> Tensor:
        """Return the new tensor in the place of an old one; a constant copy of a run's value is such a copy again."""
        if x in self.tensors:
            return self.tensors[x]
        run = self.old.get(run_key(x))  # type: ignore[arg-type]
        if run not in self.runs or x.signal is None or x.t is None or x.signal not in self.runs[run]:
            return x
        again = self.runs[run][x.signal].tensors.get(x.t)
        return x if again is None or again.shape != x.shape else again.detach()
