"""The intermediate representation: a graph of nodes, each one value of the definition at time step t.

A node has a value at each step (it is *timed*) or one for all steps. Steps are those of the equations:
the equation of h[t+1] computes that value at step t. Reading another step is a `Shift` node; only Shift
nodes may close a cycle. The length of a sequence and the batch are unknown here: `shape` is that of one
value of one sequence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from minigrad import Op, Tensor
from minigrad.provenance import Origin
from rnn.language.graphs import postorder

Shape = tuple[int, ...]
Dtype: TypeAlias = Literal["float", "int", "bool"]  # of an input; "float" is the type in which the program computes

# Names of the inputs that passes add to those of a definition; "~" keeps them apart from the names of signals.
ADDED = "~"  # prefix of all such names
MASK = "~mask"  # bool per step and sequence: False where the sequence has ended
STEP = "~step"  # the number of the step, of each sequence
LOSS_STEPS = "~loss steps"  # per step: 1 where its loss counts in a truncated backward pass
LOSS_SCALE = "~loss scale"  # the gradient of the reported loss by the sum of all losses


STATIC = "~static "  # prefix of the values that are the same at all steps
KEEP = "~keep "


def keep_name(delay: int) -> str:
    """Return the name of the flags that cut gradients of reads with this delay; 1 where a gradient passes."""
    return f"{KEEP}{delay}"


AFTER = "~after "


def after_name(signal: str) -> str:
    """Return the name of the values that a signal has after the end of each sequence."""
    return f"{AFTER}{signal}"


def upstream_name(signal: str) -> str:
    """Return the name of the upstream gradient of a signal."""
    return f"~gradient of {signal}"


class Leaf(Op):
    """A value that no operation computes."""


class Weight(Leaf):
    """A parameter or a constant of the definition; the same at every step."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Number(Leaf):
    """A Python number."""

    def __init__(self, value: float) -> None:
        self.value = value


class Input(Leaf):
    """A value that is given with the data at each step: an input, a mask, or the gradient of a signal.

    `shared` inputs have one value a step for all sequences, `static` ones one value a sequence for all steps.
    """

    def __init__(self, name: str, dtype: Dtype = "float", shared: bool = False, static: bool = False) -> None:
        self.name = name
        self.dtype = dtype
        self.shared = shared
        self.static = static


class View(Op):
    """Base class of the operations whose result is a view of the first operand's array: nothing is computed."""


class Shift(View):
    """x[t - delay]: the value at another step; a negative delay reads a later step.

    Outside of the sequence it is the boundary value of `signal`, or zero where `signal` is None.
    """

    def __init__(self, delay: int, signal: str | None = None) -> None:
        self.delay = delay
        self.signal = signal


class GradientMask(View):
    """The identity, whose gradient is multiplied by `keep` (1 or 0 at each step): truncation."""

    elementwise = True

    def backward(self, grad: Any, out: Any, x: Any, keep: Any) -> tuple[Any, ...]:
        return grad * keep, None


class AddN(Op):
    """The sum of any number of terms; its inputs may be filled in later."""

    elementwise = True


class Backward(Op):
    """Call `of.backward(grad, out, *inputs)` at run time: all gradients that the operation returns."""

    def __init__(self, of: Op, needs: tuple[bool, ...]) -> None:
        self.of = of
        self.needs = needs


class WeightGrad(Op):
    """The gradient of an operand that is the same at all steps: `of.backward`, summed over steps and sequences.

    Attributes:
        index: of the operand.
        axes: of that gradient over all steps, (T, batch, ...) or as the operand, to sum over.
    """

    def __init__(self, of: Op, needs: tuple[bool, ...], index: int, axes: tuple[int, ...]) -> None:
        self.of = of
        self.needs = needs
        self.index = index
        self.axes = axes


class InputGrad(Op):
    """One of the gradients that a Backward returns."""

    def __init__(self, index: int) -> None:
        self.index = index


class SumOverSteps(Op):
    """The sum over all steps and sequences, and over broadcast axes: the gradient of a bias."""


class SumOfOuter(Op):
    """The outer products a bᵀ, summed over all steps and sequences: the gradient of a matrix.

    Of matrices a (k, m) and b (k, n) the sum is over their rows too; of a (k) and b (k, n) it is a vector (n).
    """


class SumOverTime(Op):
    """The sum over all steps, for each sequence: the gradient of a static."""


class OuterOverTime(Op):
    """The outer products a bᵀ, summed over all steps for each sequence: the gradient of a static matrix."""


SUMS = SumOverSteps, SumOfOuter, WeightGrad, SumOverTime, OuterOverTime  # over all steps


class AtStep(Op):
    """The value at one step, counted from the first (1, 2, ...) or from the last (-1, -2, ...)."""

    def __init__(self, step: int) -> None:
        self.step = step


class Concat(Op):
    """Concatenation along the first axis: of vectors, or of the rows of matrices."""


class Slice(View):
    """Elements start:stop of a vector, or rows start:stop of a matrix."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop


class Part(View):
    """x[..., *index]: single places, slices and new axes, of the last axes of each value."""

    def __init__(self, index: tuple[int | slice | None, ...]) -> None:
        self.index = index


class Transposed(View):
    """A matrix with rows and columns exchanged."""


class BroadcastMul(Op):
    """x (n) times each of the `count` lanes of y (count * n): one vector times several."""

    def __init__(self, count: int) -> None:
        self.count = count


class ColumnSlice(Op):
    """Columns start:stop of a matrix."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop


class PadColumns(Op):
    """A block of columns in a matrix of zeros: the gradient of ColumnSlice."""

    def __init__(self, start: int) -> None:
        self.start = start


@dataclass(eq=False, repr=False, slots=True)
class Node:
    """One value, and the operation that computes it."""

    op: Any  # an Op: the operation with its options, or the kind of leaf
    inputs: tuple[Node, ...]
    shape: Shape  # of its value for one sequence; a weight's own
    timed: bool  # whether it has a value at each step
    name: str | None = None  # in generated text, before it is made unique
    origin: Origin | None = None  # the line of its equation
    lanes: int = 1  # how many vectors of equal length it concatenates, e.g. the gates of an LSTM

    @property
    def ndim(self) -> int:
        """The number of axes of one value."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements of one value."""
        return int(np.prod(self.shape))

    def __repr__(self) -> str:
        return f"<{self.name or ''} {self.op!r} {self.shape}{' timed' if self.timed else ''}>"


def is_static(node: Node) -> bool:
    """Return whether a node is data that are the same at all steps."""
    return isinstance(node.op, Input) and node.op.static


def number(value: Any) -> Node:
    """Return a number as a node."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"not a real number: {value!r}")
    return Node(Number(value), (), (), False)


def apply(op: Op, *operands: Node) -> Node:
    """Return a node that computes an operation."""
    return Node(op, operands, op.result_shape(*(x.shape for x in operands)), any(x.timed for x in operands))


def ordered(roots: Iterable[Node]) -> list[Node]:
    """Return every node that the roots depend on, operands first.

    The operand of a Shift isn't needed at the same step, so it may come later; this is what breaks cycles.
    """
    done: dict[Node, None] = {}

    def same_step(node: Node) -> Iterable[Node]:
        return () if isinstance(node.op, Shift) else [x for x in node.inputs if x not in done]

    waiting = list(roots)
    while waiting:
        found = postorder([x for x in waiting if x not in done], same_step)
        done.update(dict.fromkeys(found))
        waiting = [x for node in found if isinstance(node.op, Shift) for x in node.inputs]
    return list(done)


def users_of(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Return the nodes that read each node, in order; a node that reads it twice is listed twice."""
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, []).append(node)
    return users
