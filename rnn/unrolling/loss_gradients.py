"""The gradients of one loss, where several losses have been differentiated.

Another backward pass overwrites `.grad` of the tensors that it reaches, and adds to that of leaves. So the gradients of
a loss are computed again from its own `.grad`, which passes of other losses don't reach. No `.grad` is changed, and no
hook is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.backward import ancestors, input_gradients


class LossGradients:
    """The gradients that the last backward pass through a loss computed, so far as it has come.

    Where data were modified since, as by an optimiser, they can't be computed again, and the `.grad` of results are
    taken. If there is a sign that these are of several losses, they are left out. Where a tensor has hooks, which may
    replace its gradient, its `.grad` is taken; the gradient of a leaf is that before its hooks.

    Args:
        loss: the tensor that was differentiated.
        near: other tensors that were perhaps computed from the same ones, as those of a run.

    Attributes:
        found: the gradients, by tensor; empty if the loss hasn't been differentiated.
        mixed: whether gradients were left out.
    """

    def __init__(self, loss: Tensor, near: Iterable[Tensor] = ()) -> None:
        self.loss = loss
        self.found: dict[Tensor, Any] = {} if loss.grad is None else {loss: loss.grad}
        self._unknown: dict[Tensor, None] = {}  # tensors whose gradient can't be computed again
        nodes = [node for node in ancestors(loss) if node.requires_grad] if self.found else []
        with np.errstate(all="ignore"):
            for node in reversed(nodes):  # newest first: a node's gradient is complete when it is reached
                self._visit(node)
        self.mixed = bool(self._unknown) and (self._overwritten() or self._left_over(nodes, near))
        if self.mixed:
            for node in self._unknown:
                self.found.pop(node, None)

    def of(self, tensor: Tensor) -> Any:
        """Return the gradient of a tensor; None if none is known."""
        return self.found.get(tensor)

    @property
    def fault(self) -> str:
        """The reason for which gradients are missing; "" without one."""
        name = self.loss.label or "the loss"
        if self.loss.grad is None:
            call = f"{self.loss.label if self.loss.label.isidentifier() else 'loss'}.backward()"
            return f"{name} has no gradients yet, those of the run are of another loss: call {call} first"
        return (f"{name} lacks gradients: those of the run are of several losses, and data were modified since. Call "
                "this before the optimiser's step") if self.mixed else ""

    def require(self) -> None:
        """Raise ValueError if gradients are missing that another pass has overwritten, or if there are none."""
        if self.fault:
            raise ValueError(self.fault)

    def _visit(self, node: Tensor) -> None:
        """Add the contributions of a node to the gradients of its inputs."""
        unknown = node in self._unknown
        if node.op is None:
            if unknown:  # its .grad is the sum over all passes
                self.found.pop(node, None)
            return
        if node.grad is None or not (unknown or node in self.found):  # not reached, or not yet
            self.found.pop(node, None)
            return
        if unknown or node.hooks:
            self.found[node] = node.grad
        try:
            parts = None if unknown else input_gradients(node, self.found[node])
        except ValueError:  # data were modified
            parts = None
        if parts is None:
            self._unknown.update(dict.fromkeys(node.inputs))
            return
        for x, part in zip(node.inputs, parts):
            if part is not None:
                self.found[x] = self.found[x] + part if x in self.found else part

    def _overwritten(self) -> bool:
        """Whether a later pass has replaced a gradient that is known."""
        return any(node.grad is not None and not np.allclose(grad, node.grad, equal_nan=True)
                   for node, grad in self.found.items() if node.op is not None and node not in self._unknown)

    def _left_over(self, nodes: Iterable[Tensor], near: Iterable[Tensor]) -> bool:
        """Whether another pass has reached a tensor that this one doesn't, and from there perhaps an unknown one."""
        own = set(nodes)
        seen = {x for x in near if x.op is not None and x.grad is not None and x not in own}
        stack = list(seen)
        while stack:
            new = [x for x in stack.pop().inputs if x not in seen]
            seen.update(new)
            stack.extend(new)
        return any(node.op is not None and node in seen for node in self._unknown)
