"""How derivatives flow: from one tensor back to all that it was computed from.

Reverse accumulation (Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2).
Inputs are always created before outputs, so going through the nodes from the newest to the
oldest meets every node after all its users: no search, no recursion. Knows tensors by their
attributes alone, for `backward` is a method of theirs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy import add, ndarray
from numpy.typing import ArrayLike, NDArray

from .errors import backward_nan_error
from .mutation import check_modified
from .operators import Operators
from .provenance import call_site
from .settings import settings, thread

if TYPE_CHECKING:
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
    waiting: dict[int, Tensor]  # the tensors that were reached, by their order; negative, for
    orders: list[int]  # this heap of the same numbers has its smallest first
    node, totals, waiting, orders = out, {out: np.array(1, out._data.dtype)}, {}, []
    if grad is not None or out._data.ndim or out.op is None or out.hooks is not None:  # not simply a loss
        totals[out] = run_hooks(out, initial_gradient(out, grad))
    while node.op is not None:
        # The same as derivative(), written out: it is faster, and whoever steps into it is there sooner.
        if len(node.inputs) == 1 and not node.op.selective:
            input_grads = node.op.backward(totals[node], node._data, node.inputs[0]._data)
        elif len(node.inputs) == 2 and node.op.selective:
            a, b = node.inputs
            needs = a.requires_grad, b.requires_grad
            input_grads = node.op.backward(totals[node], node._data, a._data, b._data, needs)
        elif not node.op.selective:
            input_grads = node.op.backward(totals[node], node._data, *map(_data_of, node.inputs))
        else:
            input_grads = vjp(node, totals[node], [x.requires_grad for x in node.inputs])
        accumulate(node, input_grads, totals, waiting, orders)
        if not orders:
            break
        node = waiting.pop(heappop(orders))
        if node.hooks is not None:
            totals[node] = run_hooks(node, totals[node])
    for leaf in [x for x in totals if x.hooks is not None and x.op is None and x is not out]:
        totals[leaf] = run_hooks(leaf, totals[leaf])
    for tensor, total in totals.items():
        tensor.grad = total if tensor.op is not None or tensor.grad is None else tensor.grad + total


def accumulate(node: Tensor, input_grads: Any, totals: dict[Tensor, Gradient], waiting: dict[int, Tensor],
               orders: list[int]) -> None:
    """Add what a node's derivative gave to the gradients of its inputs; those that are new wait for their turn."""
    if type(input_grads) is not tuple:
        input_grads = (input_grads,)
    if len(input_grads) != len(node.inputs):
        raise wrong_number(node, input_grads)
    changed = node.changes
    for tensor, input_grad in zip(node.inputs, input_grads):
        changed = changed or tensor.changes
        if input_grad is None or not tensor.requires_grad:
            continue
        data = tensor._data
        if type(input_grad) is not ndarray or input_grad.shape != data.shape or input_grad.dtype is not data.dtype:
            input_grad = cast_gradient(input_grad, tensor, node)
        total = totals.get(tensor)
        if total is not None:
            add(total, input_grad, total)  # in place
            continue
        totals[tensor] = input_grad if is_fresh(input_grad, node, totals[node], input_grads) else input_grad.copy()
        if tensor.op is not None:
            waiting[-tensor.order] = tensor
            heappush(orders, -tensor.order)
    if changed is not None:
        check_unchanged(node)
    if thread.settings.anomaly:
        check_numbers(node, totals[node], input_grads)


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
    wanted: list[Any] = [inputs] if is_tensor(inputs) else list(inputs)
    found = compute_gradients(out, initial_gradient(out, grad_output, create_graph), set(wanted), create_graph)
    for tensor in wanted:
        if tensor not in found:
            raise ValueError(f"{out!r} was not computed from {tensor!r} by recorded operations, so it has no "
                             f"derivative with respect to it (at {call_site()}). Was it detached, or taken by .data?")
    result = [found[tensor] for tensor in wanted]
    return result[0] if is_tensor(inputs) else result


def compute_gradients(out: Tensor, first: Gradient, wanted: set[Tensor],
                      create_graph: bool = False) -> dict[Tensor, Gradient]:
    """The gradients of the wanted tensors, each an array of its own; under create_graph recorded, as Tensors."""
    useful = nodes_between(out, wanted)
    totals = {out: first}
    for node in reversed(useful):
        if node not in totals:
            continue
        totals[node] = run_hooks(node, totals[node])
        if node.op is not None:
            for x, input_grad in zip(node.inputs, input_gradients(node, totals[node], useful, create_graph)):
                if input_grad is not None:
                    totals[x] = cast_gradient(totals[x] + input_grad, x, node) if x in totals else input_grad
    return {x: totals[x] if create_graph else np.array(totals[x]) for x in wanted if x in totals}


def input_gradients(node: Tensor, grad: Gradient, useful: Collection[Tensor] | None = None,
                  create_graph: bool = False) -> list[Gradient | None]:
    """What `node` adds to the gradient of each of its inputs, given the node's own gradient."""
    needs = [x.requires_grad if useful is None else x in useful for x in node.inputs]
    input_grads = recorded_vjp(node, grad, needs) if create_graph else vjp(node, grad, needs)
    if type(input_grads) is not tuple:
        input_grads = (input_grads,)
    if len(input_grads) != len(node.inputs):
        raise wrong_number(node, input_grads)
    check_unchanged(node)
    found = [None if input_grad is None or not needed else cast_gradient(input_grad, x, node)
             for x, input_grad, needed in zip(node.inputs, input_grads, needs)]
    if settings().anomaly:
        check_numbers(node, grad, found)
    return found


def vjp(node: Tensor, grad: Gradient, needs: Sequence[bool]) -> Any:
    """What the operation's own backward() returns."""
    op: Any = node.op
    if op.selective:
        return op.backward(grad, node._data, *map(_data_of, node.inputs), needs)
    return op.backward(grad, node._data, *map(_data_of, node.inputs))


def recorded_vjp(node: Tensor, grad: Tensor, needs: Sequence[bool]) -> Any:
    """The operation's derivative computed on Tensors, which remember the line of the node."""
    before, settings().origin = settings().origin, node.origin
    try:
        assert node.op is not None
        return node.op.backward(grad, node, *node.inputs, *([needs] if node.op.selective else []))
    finally:
        settings().origin = before


def cast_gradient(input_grad: Any, tensor: Tensor, node: Tensor) -> Gradient:
    """A contribution in the shape and dtype of its tensor: broadcasting is undone by summing."""
    data = tensor._data
    if type(input_grad) is not np.ndarray and not is_tensor(input_grad):
        input_grad = np.asarray(input_grad)
    if input_grad.shape != data.shape:
        input_grad = unbroadcast(input_grad, tensor, node)
    if input_grad.dtype != data.dtype:
        input_grad = input_grad.astype(data.dtype)
    return input_grad


def unbroadcast(input_grad: Gradient, tensor: Tensor, node: Tensor) -> Gradient:
    """The sum over the axes along which a tensor was broadcast."""
    shape = tensor.shape
    extra = input_grad.ndim - len(shape)
    if extra > 0 and input_grad.shape[extra:] == shape:  # e.g. a bias
        if input_grad.size == tensor.size:  # in a batch of one
            return input_grad.reshape(shape)
        return input_grad.sum(axis=tuple(range(extra)), keepdims=True).reshape(shape)
    axes = tuple(range(extra)) + tuple(extra + axis for axis, length in enumerate(shape)
                                       if length == 1 and extra >= 0 and input_grad.shape[extra + axis] != 1)
    reduced = input_grad.sum(axis=axes, keepdims=True) if axes else input_grad
    if extra < 0 or reduced.shape[extra:] != shape:
        raise ValueError(f"{node.op!r}.backward gave {tensor!r} a gradient of shape {input_grad.shape}; "
                         f"it must have the tensor's shape {shape} (node {node!r})")
    return reduced.reshape(shape)


def is_fresh(input_grad: NDArray[Any], node: Tensor, grad: NDArray[Any], input_grads: Sequence[Any]) -> bool:
    """Whether nobody else holds `share`, so that later contributions may be added in place."""
    if input_grad is grad or input_grad.base is not None or input_grad is node._data:
        return False
    if len(input_grads) == 1:
        return input_grad is not node.inputs[0]._data
    times = 0
    for x, other in zip(node.inputs, input_grads):
        times += input_grad is other
        if input_grad is x._data:
            return False
    return times == 1


def nodes_between(out: Tensor, wanted: set[Tensor]) -> dict[Tensor, None]:
    """The tensors between `out` and the wanted ones, oldest first: those that need a gradient."""
    useful: dict[Tensor, None] = {}
    for tensor in ancestors(out):
        if tensor in wanted or any(x in useful for x in tensor.inputs):
            useful[tensor] = None
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


def initial_gradient(out: Tensor, grad: Any, create_graph: bool = False) -> Gradient:
    """The gradient that the backward pass starts from."""
    if not out.requires_grad:
        raise ValueError(f"{out!r} was computed from no tensor that requires a gradient: make one with "
                         "requires_grad=True, and use it itself, not its .data or .detach()")
    if create_graph and is_tensor(grad):
        first: Gradient = grad
    elif grad is not None:
        first = np.array(grad._data if is_tensor(grad) else grad, dtype=out.dtype)
    elif out.size == 1:
        first = np.ones_like(out._data)
    else:
        raise ValueError(f"backward() starts from a single number, and {out!r} has shape {out.shape}: "
                         "call it on a sum or a mean, or give the gradient: y.backward(grad)")
    if first.shape != out.shape:
        raise ValueError(f"the gradient for {out!r} has shape {first.shape}, but {out.shape} is needed")
    return type(out)(first) if create_graph and not is_tensor(first) else first


def is_tensor(x: Any) -> bool:
    """Whether it is a Tensor, and no array."""
    return isinstance(x, Operators)


def run_hooks(tensor: Tensor, grad: Gradient) -> Gradient:
    """The gradient after the tensor's hooks have seen it, and perhaps replaced it."""
    for hook in tensor.hooks or []:
        answer = hook.look_at(grad)
        if answer is None:
            continue
        if is_tensor(grad):
            answer = answer if is_tensor(answer) else type(tensor)(answer, dtype=tensor.dtype)
        else:
            answer = np.array(answer, dtype=tensor.dtype)
        if answer.shape != tensor.shape:
            raise ValueError(f"the hook registered at {hook.origin} returned a gradient of shape {answer.shape} "
                             f"for {tensor!r}; {tensor.shape} is needed")
        grad = answer
    return grad


def wrong_number(node: Tensor, input_grads: tuple[Any, ...]) -> ValueError:
    """The error for a derivative that doesn't return one gradient an input."""
    return ValueError(f"{node.op!r}.backward returned {len(input_grads)} gradients for {len(node.inputs)} inputs "
                      f"(node {node!r})")


def check_numbers(node: Tensor, grad: Gradient, input_grads: Sequence[Gradient]) -> None:
    """Raise where a contribution holds a NaN: it is the first, as the ones before were checked."""
    for position, input_grad in enumerate(input_grads):
        needed = input_grad is not None and node.inputs[position].requires_grad
        if needed and np.isnan(input_grad._data if is_tensor(input_grad) else input_grad).any():
            raise backward_nan_error(node, position, grad._data if is_tensor(grad) else grad)


def check_unchanged(node: Tensor) -> None:
    """Raise where the data that a node needs for its derivative have changed since it was computed."""
    for tensor in (*node.inputs, node):
        if tensor.changes is None:
            continue
        check_modified(tensor)
        if tensor.changes.last > node.order:
            raise ValueError(
                f"{tensor!r}: its data was changed (at {tensor.changes.where}) after {node.op!r} at {node.origin} "
                "had used it, so the derivative can't be computed any more. Call backward() before changing it, "
                "or change a copy")


