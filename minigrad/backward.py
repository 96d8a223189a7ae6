"""Reverse-mode automatic differentiation: gradients of one tensor with respect to all that it was computed from.

Reverse accumulation (Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2). Inputs are
created before outputs, so creation order is a topological order: a walk from the newest node to the oldest
reaches every node after all of its users. It needs no sort and no recursion.

Read `reference_backward` first: it is the whole algorithm. `backward` computes the same gradients, faster
and with hooks and checks; `accumulate` does one node of it, and the functions below are its details. This
module reads tensors' attributes without importing Tensor, because `backward` is a method of Tensor.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, NDArray

from . import errors
from .conversion import upstream_array
from .mutation import check_modified, sharing_memory
from .operators import IDENTITY, Operators
from .provenance import call_site
from .settings import thread

if TYPE_CHECKING:
    from .tensor import Tensor

Gradient: TypeAlias = Any  # an array, or a Tensor where derivatives are recorded
Gradients: TypeAlias = "dict[Tensor, Gradient]"
Queue: TypeAlias = "list[tuple[int, Tensor]]"  # a heap of the nodes still to be processed, the newest first
_array_of = operator.attrgetter("_array")


def reference_backward(out: Tensor) -> Gradients:
    """Return the gradient of the scalar `out` with respect to each tensor that it was computed from.

    This is the algorithm of `backward` without its speed, hooks and checks. A test compares the two.
    """
    grads = {out: np.ones_like(out._array)}
    for node in reversed(ancestors(out)):  # newest first: a node's gradient is complete when it is reached
        if node.op is None or node not in grads:
            continue  # a leaf, or a constant
        operands = [x._array for x in node.inputs]
        needs = [[x._requires_grad for x in node.inputs]] if node.op.selective else []
        input_grads = node.op.backward(grads[node], node._array, *operands, *needs)
        for x, input_grad in zip(node.inputs, one_per_input(input_grads, node, node.inputs)):
            if x._requires_grad and input_grad is not None:
                input_grad = unbroadcast(input_grad, x.shape)
                grads[x] = grads[x] + input_grad if x in grads else input_grad
    return grads


def backward(out: Tensor, grad: ArrayLike | None = None) -> None:
    """Compute the gradient of `out` with respect to each tensor that it was computed from, into their `.grad`.

    Leaves (tensors that no operation computed) add it to the gradient that they hold. Other tensors overwrite
    theirs, so that two calls give exactly twice the gradients of the leaves. An error changes no `.grad`.

    Args:
        out: a scalar, unless `grad` is given.
        grad: the upstream gradient (of some further quantity with respect to `out`), of out's shape.

    Raises:
        ValueError: if `out` isn't a scalar and `grad` is missing, if `grad` has another shape, if `out`
            requires no gradient, or if data were modified after an operation had used them.
        FloatingPointError: under detect_anomaly(), at the first NaN.
    """
    queue: Queue
    node, grads, queue, anomaly = out, {out: np.array(1, out._array.dtype)}, [], thread.settings.anomaly
    if grad is not None or out._array.ndim or out.op is None or (out._rare and out._rare.hooks):  # no plain scalar loss
        grads[out] = run_hooks(out, initial_gradient(out, grad))
    while node.op is not None:
        if node._second is None and not node.op.selective and type(node._first) is not tuple:  # fast path: one input
            found = node.op.backward(grads[node], node._array, node._first._array)
        elif node._second is not None and node.op.selective:  # fast path: two inputs, e.g. of a product
            a, b = node._first, node._second
            found = node.op.backward(grads[node], node._array, a._array, b._array, (a._requires_grad, b._requires_grad))
        elif node._second is not None:  # fast path: two inputs, e.g. of a sum
            found = node.op.backward(grads[node], node._array, node._first._array, node._second._array)
        else:  # any operation
            needs = [[x._requires_grad for x in node.inputs]] if node.op.selective else []  # one more argument, or none
            found = node.op.backward(grads[node], node._array, *map(_array_of, node.inputs), *needs)
        accumulate(node, found, grads, queue, anomaly)
        if not queue:
            break
        node = heappop(queue)[1]
        if node._rare is not None:
            grads[node] = run_hooks(node, grads[node])
    grads |= {x: run_hooks(x, grads[x]) for x in grads if x._rare is not None and x.op is None and x is not out}
    for tensor, total in grads.items():  # leaves add to their gradient, other tensors overwrite it
        tensor._grad = total if tensor.op is not None or tensor._grad is None else np.asarray(tensor._grad + total)


def accumulate(node: Tensor, input_grads: Any, grads: Gradients, queue: Queue, anomaly: bool) -> None:
    """Add the input gradients of a node to the running totals `grads`; queue inputs that had none before.

    The derivative is checked if `anomaly` asks for it, or if data that it needs may have been modified.
    """
    first, second = node._first, node._second  # a call of .inputs takes longer
    inputs = (first, second) if second is not None else first if type(first) is tuple else (first,)
    input_grads = one_per_input(input_grads, node, inputs)
    must_check = anomaly or node._rare
    for x, term in zip(inputs, input_grads):
        must_check = must_check or x._rare
        if term is not None and x._requires_grad:
            data, total = x._array, grads.get(x)
            if type(term) is not ndarray or term.shape != data.shape or term.dtype is not data.dtype:
                term = cast_gradient(array_of(term), x, node)
            if total is not None:
                total += term  # in place
                continue
            grads[x] = term if is_fresh(term, node, inputs, grads[node], input_grads) else term.copy()
            if x.op is not None:
                heappush(queue, (-x.order, x))  # the newest node has the smallest number
    if must_check:
        check_derivative(node, grads[node], input_grads)


@overload
def grad(out: Tensor, inputs: Tensor, grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> Any: ...


@overload
def grad(out: Tensor, inputs: Sequence[Tensor], grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> list[Any]: ...


@overload
def grad(out: Tensor, inputs: Mapping[str, Tensor], grad_output: ArrayLike | Tensor | None = None,
         create_graph: bool = False) -> dict[str, Any]: ...


def grad(out: Tensor, inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
         grad_output: ArrayLike | Tensor | None = None, create_graph: bool = False) -> Any:
    """Return the gradient of `out` with respect to `inputs`, without touching any `.grad`.

    Args:
        out: a scalar, unless `grad_output` is given.
        inputs: a tensor, a sequence of tensors, or tensors by name.
        grad_output: the upstream gradient of `out`, of its shape.
        create_graph: record the derivatives, so that they can be differentiated again.

    Returns:
        An array, or under create_graph a Tensor, of the input's shape; a list for a sequence, a dict for a dict.

    Raises:
        ValueError: as `backward` does, and for an input that `out` wasn't computed from.
        TypeError: if `out` or one of the inputs isn't a Tensor.
    """
    named: Any = inputs if isinstance(inputs, Mapping) else dict(enumerate(
        inputs if isinstance(inputs, Iterable) and not is_tensor(inputs) else [inputs]))
    errors.require_tensors("mg.grad", {"out": out, **{f"inputs[{name!r}]": x for name, x in named.items()}})
    first: Gradient = initial_gradient(out, grad_output)
    if create_graph:
        first = grad_output if is_tensor(grad_output) else out.apply(IDENTITY, first)
    found = compute_gradients(out, first, set(named.values()))
    for tensor in named.values():
        if tensor not in found:
            raise ValueError(f"{out!r} was not computed from {tensor!r} by recorded operations, so it has no "
                             f"derivative with respect to it (at {call_site()}). Was it detached, or taken by .data?")
    result = {name: found[tensor] for name, tensor in named.items()}
    if isinstance(inputs, Mapping):
        return result
    return result[0] if is_tensor(inputs) else list(result.values())


def compute_gradients(out: Tensor, grad: Gradient, wanted: set[Tensor]) -> Gradients:
    """Return the gradients of the wanted tensors, each an array of its own.

    `grad` is the upstream gradient of `out`. If it is a Tensor, the pass is recorded, and gradients are Tensors.
    """
    useful = nodes_between(out, wanted)
    grads, recorded = {out: grad}, is_tensor(grad)
    for node in reversed(useful):
        if node not in grads:
            continue
        if node._rare is not None:
            grads[node] = run_hooks(node, grads[node])
        if node.op is not None:
            for x, input_grad in zip(node.inputs, input_gradients(node, grads[node], useful)):
                if input_grad is not None:
                    total = grads[x] + input_grad if x in grads else input_grad
                    grads[x] = total if recorded else np.asarray(total)
    return {x: grads[x] if recorded else np.array(grads[x]) for x in wanted if x in grads}


def input_gradients(node: Tensor, grad: Gradient, useful: Collection[Tensor] | None = None) -> list[Gradient | None]:
    """Return the contribution of `node`, with the gradient `grad`, to the gradient of each input, or None.

    Inputs outside of `useful` get none; without it, those that require no gradient. If `grad` is a Tensor,
    the operation's derivative is computed on Tensors, which have the node's line, and thereby recorded.
    """
    op: Any = node.op
    inputs = node.inputs
    needed = [x._requires_grad if useful is None else x in useful for x in inputs]
    needs = [needed] if op.selective else []
    recorded = is_tensor(grad)
    if recorded:
        now = thread.settings
        origin, now.origin = now.origin, node.origin
        try:
            found = op.backward(grad, node, *inputs, *needs)
        finally:
            now.origin = origin
    else:
        found = op.backward(grad, node._array, *map(_array_of, inputs), *needs)
    input_grads: list[Gradient | None] = []
    for x, input_grad, need in zip(inputs, one_per_input(found, node, inputs), needed):
        if input_grad is None or not need:
            input_grad = None
        elif type(input_grad) is not ndarray or recorded or input_grad.shape != x._array.shape \
                or input_grad.dtype is not x._array.dtype:
            input_grad = cast_gradient(input_grad if recorded else array_of(input_grad), x, node)
        input_grads.append(input_grad)
    # The pass doesn't reach the operations that made these operands, and perhaps made them as views of changed data.
    beyond = [] if all(needed) else [x for x, need in zip(inputs, needed) if not need and x.op is not None]
    check_derivative(node, grad, input_grads, sharing_memory(beyond) if beyond else [])
    return input_grads


def nodes_between(out: Tensor, wanted: set[Tensor]) -> dict[Tensor, None]:
    """Return the tensors on the paths from the wanted ones to `out`, oldest first; their gradients are needed."""
    useful: dict[Tensor, None] = {}
    for tensor in ancestors(out):
        if tensor in wanted or (tensor._requires_grad and not useful.keys().isdisjoint(tensor.inputs)):
            useful[tensor] = None
    return useful


def ancestors(out: Tensor, most: float = math.inf) -> list[Tensor]:
    """Return `out` and all tensors that it was computed from, oldest first.

    With more than `most` of them the search ends early, and some are missing.
    """
    seen = {out}
    stack = [out]
    while stack and len(seen) <= most:
        for x in stack.pop().inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return sorted(seen, key=operator.attrgetter("order"))


def initial_gradient(out: Tensor, grad: Any) -> NDArray[Any]:
    """Return the upstream gradient that a pass starts from, as a new array: `grad`, or 1 for a scalar; checked."""
    if not out._requires_grad:
        raise errors.no_gradient_error(out)
    if grad is None and out.size != 1:
        raise errors.not_scalar_error(out)
    first = np.array(np.ones_like(out._array) if grad is None else upstream_array(grad), out.dtype)
    if first.shape != out.shape:
        raise errors.upstream_shape_error(out, first.shape)
    return first


def one_per_input(result: Any, node: Tensor, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    """Return the result of an operation's backward() as a tuple with a gradient, or None, for each input."""
    grads = result if type(result) is tuple else (result,)
    if len(grads) != len(inputs) or (result is None and not getattr(node.op, "selective", False)):
        raise errors.gradient_count_error(node, result)
    return grads


def cast_gradient(grad: Any, x: Tensor, node: Tensor) -> Gradient:
    """Return `grad`, the contribution of `node` to its input `x`, summed to x's shape and cast to its dtype."""
    found = grad if is_tensor(grad) else errors.gradient_array(node, grad)
    if found.shape != x._array.shape:
        found = unbroadcast(found, x._array.shape)
        if found.shape != x._array.shape:
            raise errors.gradient_shape_error(node, x, np.shape(grad))
    return found if found.dtype == x._array.dtype else found.astype(x._array.dtype)


def unbroadcast(grad: Gradient, shape: tuple[int, ...]) -> Gradient:
    """Return the gradient of an array of `shape` that was broadcast to grad's shape: a sum over the repeats."""
    extra = grad.ndim - len(shape)  # leading axes that broadcasting added; it stretched others from length 1
    if shape and 1 not in shape:  # fast path: it stretched none, as of a bias
        return grad.sum(axis=tuple(range(extra)))
    axes = tuple([i for i in range(grad.ndim) if i < extra or shape[i - extra] == 1])
    return grad.sum(axis=axes, keepdims=True).squeeze(tuple(range(extra)))


def is_fresh(array: Any, node: Tensor, inputs: Sequence[Tensor], grad: Gradient, found: Sequence[Any]) -> bool:
    """Return whether an input gradient is an array that nothing else refers to, so that it may be added to in place.

    Operations also return views, the upstream gradient `grad` or an operand itself, or one array twice: `found` are
    all that the node's operation returned.
    """
    if array.base is not None or array is grad or array is node._array:
        return False
    for x in inputs:
        if array is x._array:
            return False
    return len(found) == 1 or found[0] is not found[1] if len(found) < 3 else len(set(map(id, found))) == len(found)


def run_hooks(tensor: Tensor, grad: Gradient) -> Gradient:
    """Return a tensor's gradient after its hooks have seen it, and perhaps replaced it by one of the same shape."""
    for hook in tensor.hooks or []:
        answer = hook.function(grad)
        if answer is not None:
            if not (is_tensor(grad) and is_tensor(answer)):
                array = np.array(answer, tensor.dtype)
                answer = tensor.apply(IDENTITY, array) if is_tensor(grad) else array
            if answer.shape != tensor.shape:
                raise errors.hook_shape_error(hook, answer.shape)
            grad = answer
    return grad


def check_derivative(node: Tensor, grad: Gradient, input_grads: Sequence[Any], used: Sequence[Tensor] = ()) -> None:
    """Raise an error for a derivative that can't be trusted; `used` are further tensors whose data it needs.

    Raises:
        ValueError: if data of the node or its inputs were modified after the operation had used them.
        FloatingPointError: under detect_anomaly(), if an input gradient holds a NaN. It is the first of
            the pass, because the nodes before were checked.
    """
    for tensor in (node, *node.inputs, *used):
        if tensor._rare is not None and check_modified(tensor) > node.order:
            raise errors.modified_error(tensor, node)
    if thread.settings.anomaly:
        for position, (x, input_grad) in enumerate(zip(node.inputs, input_grads)):
            if input_grad is not None and x._requires_grad and np.isnan(array_of(input_grad)).any():
                raise errors.backward_nan_error(node, position, array_of(grad))


def is_tensor(x: Any) -> bool:
    """Return whether `x` is a Tensor, not an array."""
    return isinstance(x, Operators)


def array_of(x: Any) -> Any:
    """Return the array of a Tensor; anything else unchanged."""
    return x._array if is_tensor(x) else x
