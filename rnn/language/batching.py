"""From one sequence to a batch of sequences: the operations of equations with batch axes in front.

Inside an equation everything means what NumPy means for one sequence. The values of a batch have its axes in
front of those, so axes are counted from the end (`Op.for_batch`), and operands that broadcast get their missing
axes behind those of the batch. Doesn't know signals or time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import Op, ops
from minigrad.operators import MATMUL, MATVEC, VECDOT, VECMAT

Operands = tuple[Any, ...]


def for_batch(op: Op, inputs: Operands, batched: Sequence[bool], make: Callable[[Op, Operands], Any]
              ) -> tuple[Op, Operands]:
    """Return the operation and the operands that compute `op` for each sequence.

    Args:
        inputs: operands with the axes of one sequence.
        batched: for each of them whether it has a value for each sequence.
        make: builds the expression of an operation on operands.

    Raises:
        ValueError, IndexError: if the operation has no such form.
    """
    ndims = [np.ndim(x) for x in inputs]
    if op.flattens and getattr(op, "axis", 0) is None and ndims[0] != 1:
        inputs, ndims = (make(ops.Reshape((-1,)).for_batch(ndims[0]), inputs),), [1]
    if isinstance(op, ops.BroadcastTo):
        return op.for_batch(len(op.shape)), (_insert_axes(inputs[0], len(op.shape) - ndims[0], make),)
    if isinstance(op, ops.MatMul) and all(ndims):
        op = _product(ndims, batched[1])
    core = [0] * len(ndims) if op.elementwise else [min(n, 2) for n in ndims] if op is MATMUL else op.core_ndims
    if core is not None:  # the axes in front of the core broadcast
        outer = [n - own for n, own in zip(ndims, core)]
        inputs = tuple(_insert_axes(x, max(outer) - n, make) if one else x for x, n, one in zip(inputs, outer, batched))
    return op.for_batch(*ndims), inputs


def _product(ndims: Sequence[int], right_batched: bool) -> Op:
    """Return the operation of `@` by the operands' axes: a matrix times each vector, the dot product of each pair."""
    left, right = ndims
    if right == 1:
        return VECDOT if left == 1 else MATVEC
    return VECMAT if left == 1 and (right_batched or right > 2) else MATMUL


def _insert_axes(x: Any, count: int, make: Callable[[Op, Operands], Any]) -> Any:
    """Return an operand with axes of length 1 between the batch's and its own."""
    if count <= 0:
        return x
    return make(ops.GetItem((Ellipsis, *[None] * count, *[slice(None)] * np.ndim(x))), (x,))
