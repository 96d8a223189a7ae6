"""A sliding truncation for compiled programs: the data of each window, which begins from constants.

What unroll.py does to the graph: the values are those of the whole sequence; each window goes a
number of steps back for the losses of its last ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from minigrad import Tensor
from minigrad.provenance import call_site
from minigrad.tensor import constant
from rnn.language.dependencies import boundaries, links
from rnn.unrolling.inputs import Data
from rnn.unrolling.truncation import Truncation, Windows

from .execution import Call


@dataclass(frozen=True)
class Owing(Truncation):
    """Nothing is cut, and only the losses of some steps count."""

    owed: range

    def constant(self, step: int) -> bool:
        return step not in self.owed


def windows(whole: Call, truncation: Windows) -> Iterator[Data]:
    """The data of one window after the other, from a call that has computed all values.

    Raises:
        ValueError: where a signal that is computed is read ahead, or an input requires a gradient.
    """
    data, cell = whole.data, whole.loaded.program.lowered.cell
    for link in links(cell):
        if link.delay < 0 and not link.source.given:
            raise ValueError(f"window= cuts loops that run forward in time, but {link.target.name} reads {link} "
                             f"at {link.equation.origin}. Use chunks= or last=")
    if any(isinstance(x, Tensor) for x in data.inputs.values()):
        raise ValueError(f"with window= a compiled program gives no gradient to its inputs (at {call_site()}): "
                         "give arrays, or unroll(window=...)")
    for steps, owed in truncation.windows():
        before = steps.start - 1
        part = slice(before, steps.stop - 1)
        yield replace(data, T=len(steps), inputs={name: x[part] for name, x in data.inputs.items()},
                      mask=None if data.mask is None else data.mask[part], initial=_entering(whole, steps),
                      truncation=Owing(len(steps), range(owed.start - before, owed.stop - before)))


def _entering(whole: Call, steps: range) -> dict[str, dict[int, Tensor]]:
    """The values that a window finds before and after its own: constants, but for what was there before all."""
    data, cell = whole.data, whole.loaded.program.lowered.cell
    found: dict[str, dict[int, Tensor]] = {}
    for name, boundary in boundaries(cell).items():
        lead = boundary.before.stop - 1 if boundary.before else 0
        around = [*boundary.before, *(len(steps) + k for k in boundary.after)]
        for k in around:
            at = steps.start - 1 + k
            step = at - lead if at <= lead else at - lead - data.T
            value = whole.given.get((name, step)) if not 1 <= at - lead <= data.T else None
            if value is None or steps.start > 1:
                value = constant(whole.steps(name, at, at)[0], name)
            found.setdefault(name, {})[k] = value
    return found
