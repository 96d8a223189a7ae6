"""A backward pass as a sequence of steps that the caller runs one after the other.

    for step in loss.backward_steps():
        print(step)
        step.run()

After the last step every `.grad` is as after `loss.backward()`. The derivatives are computed by
backward.py; this module keeps the order, and what each step adds.

What the steps keep is never modified, so a gradient that several of them keep is one array. Every `.grad` is a copy,
which the caller may modify between two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backward import ancestors, initial_gradient, input_gradients, is_fresh, run_hooks
from .ops import Op

if TYPE_CHECKING:
    from .tensor import Tensor

Array = NDArray[Any]


class Step:
    """The derivative of one operation: it takes a tensor's gradient to those of its inputs.

    Attributes:
        node: the tensor whose gradient is propagated.
        op, name, signal, t, origin: those of the tensor.
        grad: its gradient, once the step has run; None if no gradient reaches it.
        input_grads: what the step added to the gradient of each input (None: nothing), once it has run.
        totals: the gradient of each input after the step; of a leaf, in this pass alone.
        done: whether it has run.
    """

    def __init__(self, steps: Steps, number: int, node: Tensor) -> None:
        self.steps = steps
        self.number = number
        self.node = node
        assert node.op is not None
        self.op: Op = node.op
        self.name, self.origin = node.name, node.origin
        self.signal, self.t = self.origin.signal, self.origin.t
        self.grad: Array | None = None
        self.input_grads: list[Array | None] = []
        self.totals: list[Array | None] = []
        self.done = False

    @property
    def shares(self) -> list[Array | None]:
        """The former name of `input_grads`."""
        return self.input_grads

    def run(self) -> None:
        """Compute the input gradients, and add them to the totals.

        Raises:
            RuntimeError: if an earlier step hasn't run, or this one has.
        """
        steps = self.steps
        if self.done:
            raise RuntimeError(f"{self!r} has run already; a new pass begins with backward_steps()")
        if self is not steps.next:
            raise RuntimeError(f"{self!r} needs gradients that the steps before it compute: run {steps.next!r} first")
        steps.finished += 1
        self.done = True
        node, gradients = self.node, steps.gradients
        if node in gradients:
            self.grad = steps.complete(node)
            self.input_grads, inputs = input_gradients(node, self.grad), node.inputs
            for x, input_grad in zip(inputs, self.input_grads):
                if input_grad is not None:
                    steps.add(x, input_grad, is_fresh(input_grad, node, inputs, self.grad, self.input_grads))
            self.totals = [gradients.get(x) for x in inputs]
        if steps.finished == len(steps.steps):
            steps.finish()

    def __repr__(self) -> str:
        state = "next" if self.steps.next is self else "done" if self.done else "waiting"
        if self.steps.unreached(self):
            state += ", no gradient"
        return f"step {self.number} of {len(self.steps)} ({state}): {self.node!r}"


class Steps(Sequence[Step]):
    """The steps of one backward pass, in the order in which they run; made by `Tensor.backward_steps`."""

    def __init__(self, out: Tensor, grad: ArrayLike | None = None) -> None:
        self.out = out
        self.gradients: dict[Tensor, Array] = {out: initial_gradient(out, grad)}
        self.tensors = [x for x in reversed(ancestors(out)) if x.requires_grad]  # newest first
        self.before = {x: x.grad for x in self.tensors if x.op is None}
        nodes = (x for x in self.tensors if x.op is not None)
        self.steps = [Step(self, number, node) for number, node in enumerate(nodes, 1)]
        self.finished = 0
        if not self.steps:
            self.finish()  # out is a leaf

    @overload
    def __getitem__(self, index: int) -> Step: ...

    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...

    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        return self.steps[index]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def next(self) -> Step | None:
        """The step that runs next; None after the last."""
        return self.steps[self.finished] if self.finished < len(self.steps) else None

    def unreached(self, step: Step) -> bool:
        """Return whether it is known that no gradient reaches a step."""
        return step.number <= self.finished + 1 and step.node not in self.gradients

    def add(self, x: Tensor, input_grad: Array, fresh: bool) -> None:
        """Add a contribution to the gradient of a tensor; `fresh` if nothing but the step refers to its array."""
        if x in self.gradients:
            self.gradients[x] = np.asarray(self.gradients[x] + input_grad)  # a new array: steps keep the former total
        else:
            self.gradients[x] = input_grad if fresh else input_grad.copy()
        if x.op is None:
            self.publish(x)

    def complete(self, x: Tensor) -> Array:
        """Run the hooks of a tensor, whose gradient is complete now; return the gradient."""
        if x._rare is not None:
            self.gradients[x] = run_hooks(x, self.gradients[x].copy())  # a hook may modify its array
        self.publish(x)
        return self.gradients[x]

    def publish(self, x: Tensor) -> None:
        """Set `.grad` of a tensor to its gradient so far, added to the one that a leaf had before the pass."""
        before = self.before.get(x)
        x._grad = self.gradients[x].copy() if before is None else np.asarray(before + self.gradients[x])

    def finish(self) -> None:
        """Run the hooks of the leaves, whose gradients are complete now."""
        for x in self.before:
            if x in self.gradients:
                self.complete(x)

    def __repr__(self) -> str:
        return f"<{len(self)} steps back from {self.out!r}, {self.finished} done>"
