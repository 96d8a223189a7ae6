"""Folding: which time steps are drawn one by one, and the tensor of each box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from minigrad import Tensor
from rnn import Run
from rnn.language.equations import Equation

from .step_graph import Part

UNFOLDED = 12  # the longest run that is drawn without folding
ENDS = 3  # steps kept at each end of a folded run
MANY = 1000  # steps drawn one by one at most
Where = tuple[Part, int]  # a part at a time step
Tensors = dict[Part, dict[int, Tensor | None]]  # None: not recorded


@dataclass
class Column:
    """One step, or several that are folded into one: its centre line `x`, and the sides of its frame."""

    steps: range
    folded: bool
    x: float = 0.0
    left: float = 0.0
    right: float = 0.0

    @property
    def k(self) -> int:
        """The first of its steps."""
        return self.steps.start


def choose_steps(T: int, fold: bool, steps: Iterable[int] | None) -> list[int]:
    """Return the steps to draw one by one: `steps`; or all of a short run, both ends of a long one.

    Raises:
        ValueError: for a step that the run does not have; for too many steps.
    """
    if steps is None and fold and T > UNFOLDED:
        return [*range(1, ENDS + 1), *range(T - ENDS + 1, T + 1)]
    chosen = list(range(1, T + 1)) if steps is None else sorted(set(steps))
    if not chosen or not 1 <= chosen[0] <= chosen[-1] <= T:
        raise ValueError(f"steps={chosen}: choose one or more of the run's steps, 1 … {T}")
    if len(chosen) > MANY:
        folded = "draw it with fold=True, or " if steps is None else ""
        raise ValueError(f"a picture of {len(chosen)} steps can't be read: {folded}choose at most {MANY} with "
                         "steps=[...]")
    return chosen


def make_columns(T: int, steps: Sequence[int], occupied: Iterable[int]) -> list[Column]:
    """Return columns for the occupied steps before and after a sequence, its chosen steps, and folds between."""
    outside = sorted(k for k in occupied if not 1 <= k <= T)
    columns = [Column(range(k, k + 1), False) for k in outside if k < 1]
    last = 0
    for k in [*steps, T + 1]:
        if k > last + 1:
            columns.append(Column(range(last + 1, k), True))
        if k <= T:
            columns.append(Column(range(k, k + 1), False))
        last = k
    return [*columns, *(Column(range(k, k + 1), False) for k in outside if k > T)]


def find_tensors(run: Run, parts: Sequence[Part], steps: Iterable[int]) -> Tensors:
    """Return for each signal its tensor at every step, for each operation those at the given steps.

    A layer that is drawn as one box has several at a step: they are under its signals.
    """
    chosen = set(steps)
    tensors: Tensors = {}
    recorded: dict[tuple[str, int], dict[int, Tensor]] = {}
    for part in parts:
        if part.once:
            tensors[part] = {}
            continue
        if part.members:
            tensors[part] = dict.fromkeys(sorted({k for own in part.members for k in run[own.signal].tensors}))
            continue
        if part.node is None:
            tensors[part] = dict(run[part.signal].tensors)
            continue
        tensors[part] = {}
        for k in range(1 + part.lead, run.T + 1 + part.lead):
            if 1 <= k <= run.T and k not in chosen:
                continue
            if (part.signal, k) not in recorded:
                recorded[part.signal, k] = _tensors_of_equation(
                    run.cell.signals[part.signal].equation, run[part.signal].tensors, k)
            tensors[part][k] = recorded[part.signal, k].get(id(part.node))
    return tensors


def _tensors_of_equation(equation: Equation | None, tensors: Mapping[int, Tensor], k: int) -> dict[int, Tensor]:
    """Match an equation's operations with the graph recorded at step k: walk down both from the result."""
    assert equation is not None
    found: dict[int, Tensor] = {}
    pairs = [(equation.expression, tensors[k])]
    while pairs:
        node, tensor = pairs.pop()
        operation = getattr(node, "op", None)
        if operation is None or isinstance(node, Tensor) or id(node) in found:
            continue
        # The unroller may have put a copy, or a broadcast over the batch, on top of the operation.
        while tensor.op is not operation and len(tensor.inputs) == 1 and tensor.t == k:
            tensor = tensor.inputs[0]
        if tensor.op is operation:
            found[id(node)] = tensor
            pairs += zip(node.inputs, tensor.inputs)
    return found
