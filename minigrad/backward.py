"""How derivatives flow: from one tensor back to all that it was computed from.

Reverse accumulation (Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2).
Inputs are always created before outputs, so going through the nodes from the newest to the
oldest meets every node after all its users: no search, no recursion.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, overload

import numpy as np
from numpy import add, ndarray
from numpy.typing import ArrayLike, NDArray

from .changes import look
from .errors import born_nan_backward
from .origin import here, settings
from .tensor import Tensor

_data_of = operator.attrgetter("_data")
Gradient = Any  # an array, or a Tensor where derivatives are recorded


def backward(out: Tensor, grad: ArrayLike | None = None) -> None:
    """Put the derivative of `out` into `.grad` of every tensor that it was computed from.

    Args:
        out: a single number, unless `grad` is given.
        grad: the derivative of what you are interested in with respect to `out`, of out's shape.

    Leaves (tensors that no operation made) add it to what they hold; all others are overwritten,
    so that calling twice gives exactly twice the gradient at the leaves. An error on the way
    leaves every `.grad` as it was.

    Raises:
        ValueError: where out isn't a single number and no gradient is given, or it has another
            shape; where out needs no gradient; where data has changed since it was used.
        FloatingPointError: under detect_anomaly(), where the first NaN is born.
    """
    gradients = flow(out, start(out, grad))
    for tensor, total in gradients.items():
        tensor.grad = total if tensor.op is not None or tensor.grad is None else tensor.grad + total


@overload
def grad(out: Tensor, inputs: Tensor, grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> Any: ...


@overload
def grad(out: Tensor, inputs: Sequence[Tensor], grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> list[Any]: ...


def grad(out: Tensor, inputs: Tensor | Sequence[Tensor], grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> Any:
    """The derivative of `out` with respect to `inputs`; every `.grad` stays as it is.

    Args:
        out: a single number, unless `grad_output` is given.
        inputs: a tensor, or several.
        grad_output: the derivative of what you are interested in with respect to `out`.
        create_graph: record the derivatives, so that they can be differentiated again.

    Returns:
        An array, or under create_graph a Tensor, of the shape of its input; a list for several.

    Raises:
        ValueError: as backward(); and for an input that `out` wasn't computed from.
    """
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    found = flow(out, start(out, grad_output, create_graph), create_graph, set(wanted))
    for tensor in wanted:
        if tensor not in found:
            raise ValueError(f"{out!r} was not computed from {tensor!r} by recorded operations, so it has no "
                             f"derivative with respect to it (at {here()}). Was it detached, or taken by .data?")
    result = [found[tensor] for tensor in wanted]
    return result[0] if isinstance(inputs, Tensor) else result


def flow(out: Tensor, grad: Gradient, create_graph: bool = False,
         wanted: set[Tensor] | None = None) -> dict[Tensor, Gradient]:
    """The gradient of every tensor that `out` was computed from; of those on the way to the wanted ones."""
    useful = None if wanted is None else on_the_way(out, wanted)
    totals = {out: grad}
    newest = [(-out.order, out)]
    while newest:
        node = heappop(newest)[1]
        if node.hooks is not None:
            totals[node] = hooked(node, totals[node])
        if node.op is None:
            continue
        total = totals[node]
        shares = contributions(node, total, useful, create_graph)
        for tensor, share in zip(node.inputs, shares):
            if share is None:
                continue
            before = totals.get(tensor)
            if before is None:
                totals[tensor] = share if create_graph else owned(share, node, total, shares)
                heappush(newest, (-tensor.order, tensor))
            elif create_graph:
                totals[tensor] = before + share
            else:
                add(before, share, before)  # in place
    return totals


def contributions(node: Tensor, grad: Gradient, useful: set[Tensor] | None = None,
                  create_graph: bool = False) -> list[Gradient | None]:
    """What `node` adds to the gradient of each of its inputs, given the node's own gradient."""
    op: Any = node.op
    inputs = node.inputs
    needs = []
    changed = node.changes
    for x in inputs:
        needs.append(x.requires_grad if useful is None else x in useful)
        changed = changed or x.changes
    if changed is not None:
        check_unchanged(node)
    if create_graph:
        shares = recorded(node, grad, needs)
    elif op.selective:
        shares = op.backward(grad, node._data, *map(_data_of, inputs), needs)
    else:
        shares = op.backward(grad, node._data, *map(_data_of, inputs))
    if type(shares) is not tuple:
        shares = (shares,)
    if len(shares) != len(inputs):
        raise ValueError(f"{op!r}.backward returned {len(shares)} gradients for {len(inputs)} inputs "
                         f"(node {node!r})")
    result: list[Gradient | None] = []
    for tensor, share, needed in zip(inputs, shares, needs):
        if share is None or not needed:
            result.append(None)
        elif (type(share) is ndarray and share.shape == tensor._data.shape
              and share.dtype is tensor._data.dtype):
            result.append(share)
        else:
            result.append(fitted(share, tensor, node))
    if settings().anomaly:
        check_numbers(node, grad, result)
    return result


def recorded(node: Tensor, grad: Tensor, needs: list[bool]) -> Any:
    """The operation's derivative computed on Tensors, which remember the line of the node."""
    before, settings().origin = settings().origin, node.origin
    try:
        assert node.op is not None
        return node.op.backward(grad, node, *node.inputs, *([needs] if node.op.selective else []))
    finally:
        settings().origin = before


def fitted(share: Any, tensor: Tensor, node: Tensor) -> Gradient:
    """A contribution in the shape and dtype of its tensor: broadcasting is undone by summing."""
    data = tensor._data
    if type(share) is not np.ndarray and not isinstance(share, Tensor):
        share = np.asarray(share)
    if share.shape != data.shape:
        share = summed_down(share, tensor, node)
    if share.dtype != data.dtype:
        share = share.astype(data.dtype)
    return share


def summed_down(share: Gradient, tensor: Tensor, node: Tensor) -> Gradient:
    """The sum over the axes along which a tensor was broadcast."""
    shape = tensor.shape
    extra = share.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(extra + axis for axis, length in enumerate(shape)
                                       if length == 1 and extra >= 0 and share.shape[extra + axis] != 1)
    reduced = share.sum(axis=axes, keepdims=True) if axes else share
    if extra < 0 or reduced.shape[extra:] != shape:
        raise ValueError(f"{node.op!r}.backward gave {tensor!r} a gradient of shape {share.shape}; "
                         f"it must have the tensor's shape {shape} (node {node!r})")
    return reduced.reshape(shape)


def owned(share: NDArray[Any], node: Tensor, grad: NDArray[Any], shares: list[Any]) -> Gradient:
    """`share`, or a copy where somebody else holds it: later contributions are added in place."""
    if share is grad or share.base is not None or share is node._data:
        return share.copy()
    times = 0
    for x, other in zip(node.inputs, shares):
        times += share is other
        if share is x._data or times > 1:
            return share.copy()
    return share


def on_the_way(out: Tensor, wanted: set[Tensor]) -> set[Tensor]:
    """The tensors between `out` and the wanted ones: those that need a gradient."""
    useful: set[Tensor] = set()
    for tensor in ancestors(out):
        if tensor in wanted or not useful.isdisjoint(tensor.inputs):
            useful.add(tensor)
    return useful


def ancestors(out: Tensor, most: float = math.inf) -> list[Tensor]:
    """A tensor and all that it was computed from, oldest first; not all of them where there are more than `most`."""
    seen = {out}
    stack = [out]
    while stack and len(seen) <= most:
        for x in stack.pop().inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return sorted(seen, key=operator.attrgetter("order"))


def start(out: Tensor, grad: Any, create_graph: bool = False) -> Gradient:
    """The gradient that the backward pass starts from."""
    if not out.requires_grad:
        raise ValueError(f"{out!r} was computed from no tensor that requires a gradient: make one with "
                         "requires_grad=True, and use it itself, not its .data or .detach()")
    if create_graph and isinstance(grad, Tensor):
        first: Gradient = grad
    elif grad is not None:
        first = np.array(grad._data if isinstance(grad, Tensor) else grad, dtype=out.dtype)
    elif out.size == 1:
        first = np.ones_like(out._data)
    else:
        raise ValueError(f"backward() starts from a single number, and {out!r} has shape {out.shape}: "
                         "call it on a sum or a mean, or give the gradient: y.backward(grad)")
    if first.shape != out.shape:
        raise ValueError(f"the gradient for {out!r} has shape {first.shape}, but {out.shape} is needed")
    return Tensor(first) if create_graph and not isinstance(first, Tensor) else first


def hooked(tensor: Tensor, grad: Gradient) -> Gradient:
    """The gradient after the tensor's hooks have seen it, and perhaps replaced it."""
    for hook in tensor.hooks or []:
        answer = hook.look_at(grad)
        if answer is None:
            continue
        if isinstance(grad, Tensor):
            answer = answer if isinstance(answer, Tensor) else Tensor(answer, dtype=tensor.dtype)
        else:
            answer = np.array(answer, dtype=tensor.dtype)
        if answer.shape != tensor.shape:
            raise ValueError(f"the hook registered at {hook.origin} returned a gradient of shape {answer.shape} "
                             f"for {tensor!r}; {tensor.shape} is needed")
        grad = answer
    return grad


def check_numbers(node: Tensor, grad: Gradient, shares: list[Gradient | None]) -> None:
    """Raise where a contribution holds a NaN: it is the first, as the ones before were checked."""
    for position, share in enumerate(shares):
        if share is not None and np.isnan(share._data if isinstance(share, Tensor) else share).any():
            raise born_nan_backward(node, position, grad._data if isinstance(grad, Tensor) else grad)


def check_unchanged(node: Tensor) -> None:
    """Raise where the data that a node needs for its derivative have changed since it was computed."""
    for tensor in (*node.inputs, node):
        if tensor.changes is None:
            continue
        look(tensor)
        if tensor.changes.last > node.order:
            raise ValueError(
                f"{tensor!r}: its data was changed (at {tensor.changes.where}) after {node.op!r} at {node.origin} "
                "had used it, so the derivative can't be computed any more. Call backward() before changing it, "
                "or change a copy")


