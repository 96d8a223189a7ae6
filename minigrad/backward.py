"""How derivatives flow: from one tensor back to all that it was computed from.

Reverse accumulation (Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2).
Inputs are always created before outputs, so going through the nodes from the newest to the
oldest meets every node after all its users: no search, no recursion.
"""

from __future__ import annotations

import heapq
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .tensor import Tensor

_data_of = operator.attrgetter("_data")
_needs_grad = operator.attrgetter("requires_grad")
_changed = operator.attrgetter("changed")


def backward(out: Tensor, grad: ArrayLike | None = None) -> None:
    """Put the derivative of `out` into `.grad` of every tensor that it was computed from.

    Args:
        out: a single number, unless `grad` is given.
        grad: the derivative of what you are interested in with respect to `out`, of out's shape.

    Leaves (tensors that no operation made) add it to what they hold; all others are overwritten,
    so that calling twice gives exactly twice the gradient at the leaves.

    Raises:
        ValueError: where out isn't a single number and no gradient is given, or it has another
            shape; where out needs no gradient; where data has changed since it was used.
    """
    totals = {out: seed(out, grad)}
    newest = [(-out.order, out)]
    leaves = []
    while newest:
        node = heapq.heappop(newest)[1]
        node_grad = totals.pop(node)
        if node.op is None:
            leaves.append((node, node_grad))
            continue
        node.grad = node_grad
        shares = contributions(node, node_grad)
        for tensor, share in zip(node.inputs, shares):
            if share is None:
                continue
            total = totals.get(tensor)
            if total is None:
                totals[tensor] = owned(share, (node_grad, node._data, *map(_data_of, node.inputs)), shares)
                heapq.heappush(newest, (-tensor.order, tensor))
            else:
                np.add(total, share, out=total)
    for leaf, total in leaves:  # at the end: an error on the way leaves them as they were
        leaf.grad = total if leaf.grad is None else leaf.grad + total


def contributions(node: Tensor, grad: NDArray[Any]) -> list[NDArray[Any] | None]:
    """What `node` adds to the gradient of each of its inputs, given the node's own gradient."""
    inputs = node.inputs
    op = node.op
    assert op is not None
    if node.changed > node.order or max(map(_changed, inputs)) > node.order:
        raise _changed_since(node)
    needs = tuple(map(_needs_grad, inputs))
    if op.selective:
        shares = op.backward(grad, node._data, *map(_data_of, inputs), needs)
    else:
        shares = op.backward(grad, node._data, *map(_data_of, inputs))
    if type(shares) is not tuple:
        shares = (shares,)
    if len(shares) != len(inputs):
        raise ValueError(f"{op!r}.backward returned {len(shares)} gradients for {len(inputs)} inputs "
                         f"(node {node!r})")
    return [fitted(share, tensor, node) if tensor.requires_grad and share is not None else None
            for share, tensor in zip(shares, inputs)]


def fitted(share: Any, tensor: Tensor, node: Tensor) -> NDArray[Any]:
    """A contribution in the shape and dtype of its tensor: broadcasting is undone by summing."""
    data = tensor._data
    if type(share) is not np.ndarray:
        share = np.asarray(share)
    if share.shape != data.shape:
        extra = share.ndim - data.ndim
        axes = tuple(range(extra)) + tuple(
            extra + axis for axis, length in enumerate(data.shape)
            if length == 1 and extra >= 0 and share.shape[extra + axis] != 1)
        reduced = share.sum(axis=axes, keepdims=True)
        if extra < 0 or reduced.shape[extra:] != data.shape:
            raise ValueError(f"{node.op!r}.backward gave {tensor!r} a gradient of shape {share.shape}; "
                             f"it must have the tensor's shape {data.shape} (node {node!r})")
        share = reduced.reshape(data.shape)
    if share.dtype != data.dtype:
        share = share.astype(data.dtype)
    return share  # type: ignore[no-any-return]


def owned(share: NDArray[Any], operands: tuple[Any, ...], shares: list[Any]) -> NDArray[Any]:
    """`share`, or a copy where somebody else holds it: later contributions are added in place."""
    held = (share.base is not None or any(share is operand for operand in operands)
            or sum(share is other for other in shares) > 1)
    return share.copy() if held else share


def seed(out: Tensor, grad: ArrayLike | None) -> NDArray[Any]:
    """The gradient that the backward pass starts from."""
    if not out.requires_grad:
        raise ValueError(f"{out!r} was computed from no tensor that requires a gradient: make one with "
                         "requires_grad=True, and use it itself, not its .data or .detach()")
    if grad is None:
        if out.size != 1:
            raise ValueError(f"backward() starts from a single number, and {out!r} has shape {out.shape}: "
                             "call it on a sum or a mean, or give the gradient: y.backward(grad)")
        return np.ones_like(out._data)
    start = np.array(grad, dtype=out.dtype)
    if start.shape != out.shape:
        raise ValueError(f"the gradient for {out!r} has shape {start.shape}, but {out.shape} is needed")
    return start


def _changed_since(node: Tensor) -> ValueError:
    """The error for data that was assigned after an operation had used it."""
    tensor = max((node, *node.inputs), key=_changed)
    return ValueError(f"{tensor!r}: its data was changed at {tensor.changed_at}, after {node.op!r} "
                      f"at {node.origin} had used it, so the derivative can't be computed any more. "
                      "Call backward() before changing it, or change a copy")
