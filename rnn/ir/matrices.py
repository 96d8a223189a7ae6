"""Products of matrices and vectors, their parts and transpositions: which kind a node is, and how to make one."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from minigrad import ops
from minigrad.operators import MATMUL, MATVEC, MUL, VECDOT, VECMAT

from . import nodes as ir
from .nodes import Node, apply

Index: TypeAlias = "tuple[int | slice | None, ...]"  # of the last axes of a value


def is_product(node: Node) -> bool:
    """Return whether a node is a vector at each step times a matrix that is the same at every step."""
    if isinstance(node.op, ops.MatVec):
        return node.inputs[0].ndim == 2 and not node.inputs[0].timed and node.inputs[1].timed
    if isinstance(node.op, ops.MatMul):
        return node.inputs[1].ndim == 2 and node.inputs[0].timed and node.inputs[0].ndim == 1 \
            and not node.inputs[1].timed
    return False


def product_kind(node: Node) -> tuple[int, int] | None:
    """Return whether the operands of a product are vectors (1) or matrices (2); None for all others."""
    kinds = {ops.MatVec: [(2, 1)], ops.VecMat: [(1, 2)], ops.VecDot: [(1, 1)],
             ops.MatMul: [(2, 1), (1, 2), (1, 1), (2, 2)]}
    found = tuple(x.ndim for x in node.inputs)
    return next((kind for kind in kinds.get(type(node.op), ()) if node.timed and kind == found), None)


def basic_index(node: Node) -> Index | None:
    """Return the index of the last axes, if a value of each step is indexed by numbers, slices and new axes alone."""
    index = node.op.index
    if isinstance(node.op, ir.Part):
        return index  # type: ignore[no-any-return]
    if not node.timed or not isinstance(index, tuple) or index[:1] != (Ellipsis,):
        return None
    return _without_first_slices(index[1:]) if all(x is None or type(x) in (int, slice) for x in index[1:]) else None


def _without_first_slices(index: Index) -> Index:
    """Return an index of the last axes without the full slices in front."""
    first = next((place for place, x in enumerate(index) if x != slice(None)), len(index))
    return index[first:]


def exchanges_axes(node: Node) -> bool:
    """Return whether a transposition exchanges rows and columns of the matrices of each step."""
    return isinstance(node.op, ir.Transposed) or (node.timed and node.ndim == 2 and node.op.axes == (-1, -2))


def part(node: Node, *index: int | slice | None) -> Node:
    """Return places of the values of each step; of a part that inserted axes, if they are taken away, the whole."""
    index = _without_first_slices(index)
    if isinstance(node.op, ir.Part) and all(x is None or x == slice(None) for x in node.op.index) \
            and index == tuple(0 if x is None else x for x in node.op.index):
        return node.inputs[0]
    ending = "column" if index == (None,) else "row" if index == (None, slice(None)) else "part"
    places: tuple[Any, ...] = (Ellipsis, *index)
    shape = np.broadcast_to(0, node.shape)[places].shape
    return Node(ir.Part(index), (node,), shape, True, node.name and f"{node.name}_{ending}")


def with_axes(node: Node, ndim: int) -> Node:
    """Return a value of each step with axes of length 1 behind its own, up to `ndim`; other values broadcast as is."""
    return part(node, *(None,) * (ndim - node.ndim)) if node.timed and node.ndim < ndim else node


def outer(a: Node, b: Node) -> Node:
    """Return a bᵀ for vectors of each step, or one of each step and a weight."""
    column = part(a, slice(None), None) if a.timed else apply(ops.GetItem((Ellipsis, None)), a)
    row = part(b, None, slice(None)) if b.timed else b
    return Node(MUL, (column, row), (*a.shape, *b.shape), True)


def products_of_einsum(nodes: list[Node]) -> None:
    """Rewrite einsum of two vectors or matrices as a product of them, which is several times as fast.

        y[t] = EinSum("...ij,...j->...i", S[t], k[t])   ->   y[t] = MatVec(S[t], k[t])
    """
    for node in nodes:
        if not isinstance(node.op, ops.EinSum) or not node.timed or len(node.inputs) != 2:
            continue
        left, result = node.op.subscripts.replace("...", "").split("->")
        of_a, of_b = left.split(",")
        found = _product(node.inputs[0], node.inputs[1], of_a, of_b, result)
        if found is not None:
            node.op, node.inputs = found.op, found.inputs


def _product(a: Node, b: Node, of_a: str, of_b: str, result: str) -> Node | None:
    """Return the product that einsum computes of vectors or matrices whose axes have these letters; None: no such."""
    summed = [x for x in of_a if x in of_b]
    if len({*of_a, *of_b}) != len(of_a + of_b) - len(summed) or len(summed) > 1 or max(a.ndim, b.ndim) > 2:
        return None
    lengths = [dict(zip(of_a, a.shape)), dict(zip(of_b, b.shape))]
    if {*result} != {*of_a, *of_b} - {*summed} or any(lengths[0][x] != lengths[1][x] for x in summed):
        return None
    if result and result[0] in of_b and len(result) == 2:
        a, b, of_a, of_b = b, a, of_b, of_a
    if not summed:
        return outer(a, b) if (a.ndim, b.ndim) == (1, 1) else None
    a = transposed(a) if of_a[0] == summed[0] and a.ndim == 2 else a
    b = transposed(b) if of_b[-1] == summed[0] and b.ndim == 2 else b
    if (a.ndim, b.ndim) == (1, 2) and not a.timed:  # a weight on the left
        a, b = transposed(b), a
    ufuncs = {(1, 1): VECDOT, (2, 1): MATVEC, (1, 2): VECMAT if b.timed else MATMUL, (2, 2): MATMUL}
    return apply(ufuncs[a.ndim, b.ndim], a, b)


def transposed(node: Node) -> Node:
    """Return a matrix with rows and columns exchanged."""
    if isinstance(node.op, ir.Transposed):
        return node.inputs[0]
    if not node.timed:
        return apply(ops.Transpose((-1, -2)), node)
    return Node(ir.Transposed(), (node,), node.shape[::-1], True)
