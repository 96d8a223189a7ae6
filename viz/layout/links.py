"""Links between runs, found in the recorded graph: which values of one run another run reads.

A link leads from a signal at a time step to the first box of the other run that is computed from it: an initial value,
a static, an input. What is computed in between, outside of both runs, is told at its arrow. Of a sequence that is
stacked and read step by step, each step has its own link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.formats.describe import tensor_formula
from rnn.unrolling.run_key import Copied, RunKey, copied_from, run_key
from viz.render.fonts import clean

from .folding import Tensors, Where
from .step_graph import Part
from .unrolled_layout import UnrolledSpec

LONGEST = 26  # characters of what is computed in between
# Operations that only arrange values aren't told.
ARRANGING = (ops.Identity, ops.Cast, ops.BroadcastTo, ops.Reshape, ops.Transpose, ops.Stack, ops.Concatenate,
             ops.GetItem, ops.Where)


@dataclass(frozen=True)
class Link:
    """`target`, in one run, is computed from `source`, in another, which no run is between."""

    source: Where
    target: Where
    value: Tensor  # of the source
    result: Tensor  # of the target
    key: RunKey | None  # of the run that reads
    readers: frozenset[Tensor]  # what is computed directly from it, on the way to the target
    between: tuple[Tensor, ...] = ()  # all that is computed on the way, outside of both runs, oldest first
    cut: bool = False  # whether no gradient passes, though the source has one
    alone: bool = True  # whether no third run is read on the way: a formula would not tell the runs apart

    def moved(self, homes: Mapping[Part, Part]) -> Link:
        """Return the link between the boxes of layers that its ends are in."""
        (source, k), (target, end) = self.source, self.target
        return replace(self, source=(homes.get(source, source), k), target=(homes.get(target, target), end))

    @property
    def text(self) -> str:
        """The formula of the operations in between, or the names of these and of parameters; "" for none."""
        told = [node for node in self.between if not isinstance(node.op, ARRANGING)]
        if not told:
            return ""
        formula = tensor_formula(self.between[-1])
        if self.alone and len(formula) <= LONGEST and "…" not in formula:
            return clean(formula)
        names = ["dropout" if isinstance(node.op, ops.DropoutMask) else type(node.op).__name__.lower()
                 for node in told if not isinstance(node.op, (ops.Mul, ops.Div))]
        names = names or [type(node.op).__name__.lower() for node in told]
        names += [x.label for node in self.between for x in node.inputs if x.op is None and x.label]
        return clean(", ".join(dict.fromkeys(names)), LONGEST)


class RunTensors:
    """The tensors of one run that have boxes.

    Attributes:
        signals: the boxes of signals, to which links lead and from which they come.
        boxes: the same; an operation's own box of what an operation computes.
        by_step: the boxes of signals by name and time step.
    """

    def __init__(self, key: RunKey | None, tensors: Tensors, beside: Mapping[Part, Tensor | None]) -> None:
        self.key = key
        self.signals: dict[Tensor, Where] = {}
        self.boxes: dict[Tensor, Where] = {}
        self.by_step: dict[tuple[str, int], tuple[Tensor, Where]] = {}
        for part, steps in [*tensors.items(), *((part, {0: tensor}) for part, tensor in beside.items())]:
            for k, tensor in steps.items():
                if tensor is None:
                    continue
                if part.node is None:
                    self.signals[tensor] = part, k
                    if not part.once:
                        self.by_step[part.signal, k] = tensor, (part, k)
                self.boxes.setdefault(tensor, (part, k))
                if part.node is not None:
                    self.boxes[tensor] = part, k


def find_links(runs: Sequence[RunTensors]) -> list[Link]:
    """Return all links between some runs, by the run that reads and its tensors, oldest first."""
    finder = _Finder(runs)
    return [link for run in runs for tensor in sorted(run.boxes, key=_order) for link in finder.links_to(tensor, run)]


def elsewhere(tensor: Tensor, key: RunKey | None, drawn: Mapping[RunKey, tuple[str, str]],
              own: Collection[str] = ()) -> str:
    """Return the text of an initial value that is another run's: `h[3]`, or `h[3] of encoder` where it isn't clear.

    Args:
        drawn: the prefix and the name of each run in the picture.
        own: the names of the signals of the run that has the initial value.
    """
    found = copied_from(tensor)
    if found is None:
        return ""
    prefix, name = drawn.get(found.run, ("", ""))
    text = f"{clean(found.signal.removeprefix(prefix), 14)}[{found.t}]"
    if found.run in drawn:
        return f"{text} of {clean(name, 20)}" if found.signal.removeprefix(prefix) in own else text
    return f"{text} of " + ("another run" if key is None or found.run.name == key.name else clean(found.run.name, 20))


def arrange(specs: Sequence[UnrolledSpec], links: Sequence[Link]) -> list[list[int]]:
    """Return the runs that stand above each other, lowest first, for each place from left to right.

    A run is above another one of which it reads each step as its own input at that step, as a layer does; what else it
    reads must be of runs further left. Any other run is to the right of those before it.
    """
    number = {part: i for i, spec in enumerate(specs) for part in (*spec.graph.parts, *spec.beside)}
    groups: list[list[int]] = []
    for i, spec in enumerate(specs):
        own = [link for link in links if number[link.target[0]] == i]
        below = groups[-1][-1] if groups else -1
        inputs = [link for link in own if number[link.source[0]] == below]
        others = {number[link.source[0]] for link in own} - {below}
        if inputs and _is_layer(inputs, spec, specs[below]) and others.isdisjoint(groups[-1]):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _is_layer(links: Sequence[Link], spec: UnrolledSpec, below: UnrolledSpec) -> bool:
    """Whether a run reads another one of the same length as inputs alone, and each step at the same step."""
    same = all(link.target[0].given and link.source[1] == link.target[1] for link in links)
    return same and spec.T == below.T and spec.steps == below.steps and (
        {link.target[1] for link in links} == set(range(1, spec.T + 1)))


class _Finder:
    """Finds the values of other runs on the way back from a tensor."""

    def __init__(self, runs: Sequence[RunTensors]) -> None:
        self.signals = {tensor: where for run in runs for tensor, where in run.signals.items()}
        self.by_key = {run.key: run for run in runs if run.key is not None}

    def links_to(self, tensor: Tensor, run: RunTensors) -> Iterator[Link]:
        """Yield the links to one tensor of a run."""
        readers: dict[Tensor, set[Tensor]] = {}
        constants: dict[Tensor, Where] = {}
        passed: set[Tensor] = set()
        stack: list[tuple[Tensor, int | None]] = [(tensor, None)]
        seen = set(stack)
        while stack:
            node, item = stack.pop()
            if node.op is None:
                constants.update(filter(None, [self._original(node, run)]))
            for x, part in _operands(node, item):
                if x in run.boxes:
                    continue
                if x in self.signals:
                    readers.setdefault(x, set()).add(node)
                elif (x, part) not in seen and (run_key(x) in (None, run.key) or x.op is None):
                    seen.add((x, part))
                    passed.add(x)
                    stack.append((x, part))
        alone = len({run_key(x) for x in (*readers, *constants)}) < 2
        between = tuple(sorted((node for node in passed if run_key(node) is None and node.op is not None), key=_order))
        for x in sorted(readers, key=_order):
            yield Link(self.signals[x], run.boxes[tensor], x, tensor, run.key, frozenset(readers[x]), between,
                       alone=alone)
        for x, where in constants.items():
            yield Link(where, run.boxes[tensor], x, tensor, run.key, frozenset(), between, x.requires_grad, alone)

    def _original(self, leaf: Tensor, run: RunTensors) -> tuple[Tensor, Where] | None:
        """Return the value of another run that a constant is a copy of."""
        key, found = run_key(leaf), copied_from(leaf)
        if found is None and key is not run.key and leaf.signal is not None and leaf.t is not None and key is not None:
            found = Copied(key, leaf.signal, leaf.t)
        other = self.by_key.get(found.run) if found else None
        return other.by_step.get((found.signal, found.t)) if other and found and other is not run else None


def _operands(node: Tensor, item: int | None) -> Iterator[tuple[Tensor, int | None]]:
    """Yield the inputs of a tensor, or those that one item of its first axis is computed from, with their item."""
    op, inputs = node.op, node.inputs
    if isinstance(op, ops.DropoutMask):  # it takes the shape alone
        return
    if item is None:
        index = op.index if isinstance(op, ops.GetItem) else None
        one = index if isinstance(index, (int, np.integer)) and not isinstance(index, bool) else None
        for x in inputs:
            yield x, None if one is None else int(one) % len(x._array)
    elif isinstance(op, ops.Stack) and op.axis == 0:
        yield inputs[item], None
    elif isinstance(op, ops.Concatenate) and op.axis % node.ndim == 0:
        for x in inputs:
            if 0 <= item < len(x._array):
                yield x, item
            item -= len(x._array)
    elif isinstance(op, ops.GetItem) and isinstance(op.index, slice):
        yield inputs[0], range(len(inputs[0]._array))[op.index][item]
    else:
        for position, x in enumerate(inputs):
            alike = x.ndim == node.ndim and x.shape[0] == node.shape[0]
            yield x, item if alike and _keeps_first_axis(op, node.ndim, position) else None


def _keeps_first_axis(op: Op | None, ndim: int, position: int) -> bool:
    """Whether each item of an operation's first axis is computed from that item of an operand."""
    if isinstance(op, ops.Concatenate):  # along another axis
        return True
    if isinstance(op, ops.MatMul):
        return ndim > 2 or position == 0
    return op is not None and op.elementwise


def _order(tensor: Tensor) -> int:
    return tensor.order
