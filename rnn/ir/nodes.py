"""Values of a program over time: what an equation computes, and what it computes it from, as a graph of nodes.

A node has one value for each step (it is *timed*), or one for all of them. Steps are those of the
equations: at step t an equation for h[t+1] computes that. A read of another step is a node of its
own, `Shift`, and the only place where a graph may close a circle. Nodes know neither the length of a
sequence nor the batch: `shape` is that of one value of one sequence.

Anything that is written for arrays can be written for nodes, so the derivatives in minigrad.ops give
the nodes of a backward pass: there is no second set of formulas.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops
from minigrad.operators import Operators
from minigrad.provenance import Origin

Shape = tuple[int, ...]

# Names of the inputs that passes add to those of a definition; "~" keeps them apart from the names of signals.
ADDED = "~"  # prefix of all such names
MASK = "~mask"  # bool per step and sequence: False where the sequence has ended
LOSS_STEPS = "~loss steps"  # per step: 1 where its loss counts in a truncated backward pass
LOSS_SCALE = "~loss scale"  # the gradient of the reported loss by the sum of all losses


def keep_name(delay: int) -> str:
    """Return the name of the flags that cut gradients of reads with this delay; 1 where a gradient passes."""
    return f"~keep {delay}"


def draw_name(number: int) -> str:
    """Return the name of the values that the n-th random operation draws."""
    return f"~drawn {number}"


def upstream_name(signal: str) -> str:
    """Return the name of the upstream gradient of a signal."""
    return f"~gradient of {signal}"


class Dtype(Enum):
    """Element type of an input; what it is called in a target's text is that target's concern."""

    FLOAT = "float"  # the type in which the program computes
    INT = "int"
    BOOL = "bool"


class Leaf(Op):
    """A value that no operation computes."""


class Weight(Leaf):
    """A parameter or a constant of the definition; the same at every step."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Number(Leaf):
    """A plain number."""

    def __init__(self, value: float) -> None:
        self.value = value


class Input(Leaf):
    """A value that comes with the data, at each step: an input, a mask, or the gradient of a signal.

    `shared` inputs have one value a step for all sequences.
    """

    def __init__(self, name: str, dtype: Dtype = Dtype.FLOAT, shared: bool = False) -> None:
        self.name = name
        self.dtype = dtype
        self.shared = shared


class Shift(Op):
    """The value of another step: `delay` steps before this one, or after it where it is negative.

    Steps that nobody computes have the values of the signal's boundary; without a signal they are zero.
    """

    def __init__(self, delay: int, signal: str | None = None) -> None:
        self.delay = delay
        self.signal = signal


class GradientMask(Op):
    """The same value; its gradient goes through at the steps where `keep` is 1, and not where it is 0."""

    def forward(self, x: Any, keep: Any) -> Any:
        return x

    def backward(self, grad: Any, out: Any, x: Any, keep: Any) -> tuple[Any, ...]:
        return grad * keep, None


class AddN(Op):
    """The sum of any number of terms; its inputs may be filled in later."""

    def forward(self, *terms: Any) -> Any:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class Compare(Op):
    """A comparison of numbers, element by element, by one of NumPy's functions."""

    ufunc: np.ufunc

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc = ufunc

    def forward(self, *inputs: Any) -> Any:
        return self.ufunc(*inputs)


class Backward(Op):
    """The gradients that an operation gives its inputs, from (grad, out, *inputs), all of them."""

    def __init__(self, of: Op, needs: tuple[bool, ...]) -> None:
        self.of = of
        self.needs = needs


class InputGrad(Op):
    """One of the gradients of a Backward."""

    def __init__(self, index: int) -> None:
        self.index = index


class SumOverSteps(Op):
    """The sum over all steps and sequences, and over what a shape was broadcast along: a weight's gradient."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


class SumOfOuter(Op):
    """a bᵀ, summed over all steps and sequences: the gradient of a matrix."""


class AtStep(Op):
    """The value at one step alone, counted from the first (1) or from the last (-1)."""

    def __init__(self, step: int) -> None:
        self.step = step


class Concat(Op):
    """Vectors end to end in one, the lanes; or the rows of matrices one under another."""


class Slice(Op):
    """One of the vectors (or blocks of rows) that a Pack joined."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop


class BroadcastMul(Op):
    """One vector times each lane of another: x (n), lanes (count * n) -> (count * n)."""

    def __init__(self, count: int) -> None:
        self.count = count


class ColumnSlice(Op):
    """Some columns of a matrix."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop


class PadColumns(Op):
    """A block of columns in a matrix of zeros: the gradient of Columns."""

    def __init__(self, shape: Shape, start: int) -> None:
        self.shape = shape
        self.start = start


class Node(Operators):
    """One value of a program.

    Attributes:
        op: the operation that computes it, or what kind of leaf it is.
        inputs: its operands.
        shape: of one value of one sequence; a weight's own shape.
        timed: whether it has a value at each step.
        name: what the program calls it; None for one without a name in the definition.
        origin: the line of its equation.
        lanes: how many vectors of equal length it joins.
    """

    __slots__ = ("op", "inputs", "shape", "timed", "name", "origin", "lanes")

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __init__(self, op: Op, inputs: tuple[Node, ...], shape: Shape, timed: bool, name: str | None = None,
                 origin: Origin | None = None) -> None:
        self.op = op
        self.inputs = inputs
        self.shape = shape
        self.timed = timed
        self.name = name
        self.origin = origin
        self.lanes = 1

    @property
    def ndim(self) -> int:
        """Axes of one value."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Elements of one value."""
        return int(np.prod(self.shape))

    @staticmethod
    def apply(op: Op, *inputs: Any) -> Any:
        """A node that computes `op`; plain numbers become nodes."""
        operands = tuple(x if isinstance(x, Node) else number(x) for x in inputs)
        return Node(op, operands, shape_of(op, operands), any(x.timed for x in operands))

    @staticmethod
    def compare(ufunc: Any, *inputs: Any) -> Any:
        """A comparison is an operation like others: the program computes it."""
        return Node.apply(Compare(ufunc), *inputs)

    def __repr__(self) -> str:
        return f"<{self.name or ''} {self.op!r} {self.shape}{' timed' if self.timed else ''}>"


def number(value: Any) -> Node:
    """A plain number as a node."""
    return Node(Number(value), (), (), False)


def shape_of(op: Op, inputs: tuple[Node, ...]) -> Shape:
    """The shape of a result for one sequence, by computing it once, on zeros."""
    samples = [np.zeros(x.shape, int if isinstance(op, ops.Gather) and position == 1 else float)
               for position, x in enumerate(inputs)]
    with np.errstate(all="ignore"):
        shape: Shape = np.shape(op.forward(*samples))
    return shape


def ordered(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots need, operands first; what a shift reads comes later, if it wasn't there."""
    done: dict[Node, None] = {}
    later = list(roots)
    for root in later:
        stack = [root]
        while stack:
            node = stack[-1]
            shifted = isinstance(node.op, Shift)
            waiting = [x for x in node.inputs if x not in done] if not shifted else []
            if waiting:
                stack.extend(reversed(waiting))
                continue
            stack.pop()
            if node not in done and shifted:
                later.extend(node.inputs)
            done[node] = None
    return list(done)
