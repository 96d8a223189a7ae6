"""UnrolledSpec: everything that an unrolled picture shows, as plain data.

viz.unrolled makes one from a run, the stepper page from recorded tensors, the course kit and viz.diff from
what they compare.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from minigrad import Tensor
from rnn.unrolling.at import Connection

from .folding import Tensors
from .step_graph import Part, StepGraph


@dataclass(frozen=True)
class UnrolledSpec:
    """What an unrolled picture shows.

    Attributes:
        name: the definition's name.
        T: the number of time steps.
        graph: the boxes and edges of one step.
        tensors: for each box, its time steps and the tensor at each; None where nothing was recorded.
        steps: the time steps that are drawn one by one; all others are folded.
        dense: whether rows stand closer, for operations.
        cuts: the edges through which no gradient passes.
        parameters: those listed at the side, by name.
        loss: drawn above the steps.
        values, heat: show values in the boxes; gradients as their colours.
        highlight: tensors to mark.
        contributions: for each parameter, what each step adds to its gradient, relative to the largest;
            edges are drawn accordingly wide.
    """

    name: str
    T: int
    graph: StepGraph
    tensors: Tensors
    steps: Sequence[int]
    dense: bool = False
    cuts: Collection[Connection] = ()
    parameters: Mapping[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None
    values: bool = False
    heat: bool = False
    highlight: Collection[Tensor] = ()
    contributions: Mapping[str, Sequence[float]] | None = None

    @property
    def shows_numbers(self) -> bool:
        """Whether boxes contain more than a name."""
        return self.values or self.heat

    def is_boundary(self, part: Part, k: int) -> bool:
        """Whether a value was given from outside, before or after the computed ones."""
        return not 1 <= k - part.lead <= self.T
