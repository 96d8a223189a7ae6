"""The result of an unroll: the copies of every signal by time step, and the state for the next run."""

from __future__ import annotations

import itertools
import operator
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.backward import ancestors
from minigrad.interactive.pictures import Bundle, drawn, view
from rnn.language.cycles import held_signals
from rnn.language.dependencies import Link, boundaries, links, parameters
from rnn.language.equations import Definition, Signal
from rnn.language.expressions import Expression

from . import facts, gradients
from .facts import At, Connection
from .inputs import Inputs
from .masks import OwnSteps, select
from .run_key import RunKey
from .state import State

MOST_DRAWN = 60  # signals of a run whose picture a notebook shows; of many steps it shows a few


class Copies:
    """The copies of one signal: `[k]` is its Tensor at t=k, `stack()` all of t = 1 … T in one Tensor."""

    def __init__(self, name: str, T: int, tensors: Mapping[int, Tensor], own: OwnSteps | None = None) -> None:
        self.name = name
        self.T = T
        self.tensors = tensors
        self._own = own

    def __getitem__(self, k: int) -> Tensor:
        if k not in self.tensors:
            raise IndexError(f"there is no {self.name}[{k}]: there are {self.name}[{min(self.tensors)}] … "
                             f"{self.name}[{max(self.tensors)}] (T = {self.T}; steps count from 1)")
        return self.tensors[k]

    def __len__(self) -> int:
        return self.T

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(1, self.T + 1))

    def stack(self) -> Tensor:
        """Return all steps as one Tensor (T, batch, size), t = 1 … T along the first axis."""
        return mg.stack(list(self))  # type: ignore[no-any-return]

    def final(self) -> Tensor:
        """Return each sequence's value at its last own step: (batch, size); `[T]` without lengths or a mask.

        A sequence of length 0 has the value of a masked step there.
        """
        if self._own is None:
            return self[self.T]
        last = np.where(self._own.length > 0, self._own.column(self._own.length), self.T)
        return select(self.tensors, last, np.ones(last.shape, bool), self[self.T].ndim - last.ndim)

    def __repr__(self) -> str:
        return f"<{self.name}[1] … {self.name}[{self.T}], each {self[self.T].shape}>"


class Window:
    """One window of sliding truncated BPTT, with its own copies; the run keeps those of `loss_steps`.

    Attributes:
        steps: the steps that gradients pass through.
        loss_steps: the steps whose losses this window differentiates.
    """

    def __init__(self, steps: range, loss_steps: range, copies: Mapping[str, Mapping[int, Tensor]]) -> None:
        self.steps = steps
        self.loss_steps = loss_steps
        self._copies = copies

    @property
    def owed(self) -> range:
        """Deprecated name of `loss_steps`."""
        warnings.warn("Window.owed is called Window.loss_steps now", DeprecationWarning, stacklevel=2)
        return self.loss_steps

    def __getitem__(self, name: str) -> Copies:
        return Copies(name, self.steps[-1], self._copies[name])

    def _ipython_key_completions_(self) -> list[str]:
        """List the names that `window["` completes."""
        return [name for name, copies in self._copies.items() if copies]

    def __repr__(self) -> str:
        return (f"<Window of steps {self.steps[0]} … {self.steps[-1]}, "
                f"for the losses of {self.loss_steps[0]} … {self.loss_steps[-1]}>")


_runs: weakref.WeakSet[Run] = weakref.WeakSet()  # those that exist; a tensor doesn't refer to its run


class Run:
    """An unrolled definition: `run["h"][3]` is h at t=3, `run["h"].stack()` all its steps in one Tensor.

    Attributes:
        cell: the definition.
        T: the number of steps.
        batch: shape of the batch, e.g. (32,); () if the data have none.
        parameters: the definition's parameters, by name.
        mask: (T, *batch) bools, False where a sequence pauses or is over; None if all have T steps.
        truncation: where gradients stop.
        windows: those of sliding truncation; otherwise empty.
    """

    def __init__(self, cell: Definition, inputs: Inputs, copies: Mapping[str, Mapping[int, Tensor]],
                 windows: list[Window], once: Sequence[Tensor], key: RunKey) -> None:
        self.cell = cell
        self.T = inputs.T
        self.batch = inputs.batch
        self.mask = inputs.mask
        self._own = inputs.own
        self._steps = inputs.steps_after
        self.truncation = inputs.truncation
        self.parameters = parameters(cell)
        self.windows = windows
        self.once = once  # of each of once_expressions(cell), (*batch, *shape)
        self.key = key  # the part of a run that its tensors refer to: see run_key()
        # (name, k) of the values before and after the sequence that the definition computes from statics
        self.starts = {(name, k) for name, values in inputs.boundary.items() for k, value in values.items()
                       if isinstance(value, Expression)}
        self._copies = copies
        self.inputs = inputs  # the data and options, as they were checked
        _runs.add(self)

    def __getitem__(self, name: str) -> Copies:
        if not self._copies.get(name):
            raise KeyError(f"no signal {name!r} in this run; there are {', '.join(self._ipython_key_completions_())}")
        return Copies(name, self.T, self._copies[name], self._own)

    def __contains__(self, name: object) -> bool:
        return bool(self._copies.get(str(name)))

    def _ipython_key_completions_(self) -> list[str]:
        """List the names that `run["` completes."""
        return [name for name, copies in self._copies.items() if copies]

    def edges(self) -> list[Connection]:
        """Return the edges between copies, step by step, within a step in the order of the equations."""
        return [_connection(link, step) for step, link in self._links()]

    def cuts(self) -> list[Connection]:
        """Return the edges that a truncated backward pass doesn't follow."""
        return [_connection(link, step) for step, link in self._links() if not link.source.given
                and self.truncation.cuts(step + link.equation.lead - link.delay - link.source.lead, step)]

    def _links(self) -> Iterator[tuple[int, Link]]:
        return itertools.product(range(1, self.T + 1), links(self.cell))

    # ---- functions of a run with modules of their own
    facts = facts.facts
    contributions = gradients.contributions
    gradient_norms = gradients.gradient_norms
    gradient_by_lag = gradients.gradient_by_lag

    @property
    def state(self) -> State:
        """The values that `unroll(initial=...)` continues from; connected to this run until detached.

        With lengths or a mask they are each sequence's own last ones.
        """
        held = {} if self._own is None else held_signals(self.cell)
        return State({name: {k: self._last(name, k, held.get(self.cell.signals[name], 0)) for k in boundary.before}
                      for name, boundary in boundaries(self.cell).items() if boundary.before}, self._steps)

    def _last(self, name: str, k: int, held: int) -> Tensor:
        """Return each sequence's value k steps after its last own one (0, -1, ...: before)."""
        copies, own = self._copies[name], self._own
        if own is None:
            return copies[self.T + k]
        columns = own.column_of_read(own.length + k, 1 - k, held)
        value = select(copies, columns, np.ones(columns.shape, bool), copies[self.T].ndim - columns.ndim)
        return value

    def __repr__(self) -> str:
        return f"<Run of {self.cell.name!r}: T = {self.T}, batch {self.batch}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        """Return what a notebook shows: the unrolled graph, folded if it is long, and a table of the signals."""
        rows = [f"**{self.cell.name}**: T = {self.T}, batch {self.batch}", "", "| | each step | from |",
                "|---|---|---|"]
        rows += [f"| `{name}[1]` … `{name}[{self.T}]` | {self[name][self.T].shape} "
                 f"| {_source(self.cell.signals[name])} |" for name in self._ipython_key_completions_()]
        svg = drawn("unrolled", self) if len(self.cell.signals) <= MOST_DRAWN else None
        return view(repr(self), svg, rows="\n".join(rows))


def _source(signal: Signal) -> str:
    """Return where the values of a signal come from, for a table in Markdown."""
    text = "the data" if signal.given else f"`{signal.equation!r}`"
    return text.replace("|", "\\|")


def _connection(link: Link, step: int) -> Connection:
    """Return the copy of an edge that its equation makes at a step."""
    lead = link.equation.lead
    return Connection(At(link.source.name, step + lead - link.delay), At(link.target.name, step + lead))


def runs_behind(tensor: Tensor) -> list[Run]:
    """Return the runs that a tensor was computed from, the oldest first; one that no variable refers to is gone."""
    used = set(ancestors(tensor))
    found = []
    for run in list(_runs):
        own = [copy for name in run.cell.signals if name in run for copy in run[name] if copy in used and copy.op]
        if own:
            found.append((min(map(operator.attrgetter("order"), own)), run))
    return [run for _, run in sorted(found, key=operator.itemgetter(0))]
