"""The local Jacobian of one operation, and why a gradient shrinks or grows on its way through it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import input_gradients
from minigrad.settings import settings
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .formatting import called, norm, operation, table, values

MOST = 1_000_000  # numbers in a Jacobian
SMALL = 12  # rows and columns of one that is shown in full


class Local(NamedTuple):
    """A local Jacobian: derivatives of the outputs (rows) with respect to one input (columns).

    Attributes:
        matrix: of one row of the batch where `row` is a number, else of everything.
        row: the row of the batch, where the rows don't mix.
        whole: whether the columns are the whole input all the same (a parameter that all rows share).
    """

    matrix: Any
    row: int | None
    whole: bool


def local(step: Step, position: int) -> Local | None:
    """The Jacobian of a step's operation with respect to one input; None where it would be too large."""
    node, x = step.node, step.node.inputs[position]
    before, settings().anomaly = settings().anomaly, False
    try:
        with np.errstate(all="ignore"):
            return _local(node, position, x, _row(step))
    finally:
        settings().anomaly = before


def _local(node: Tensor, position: int, x: Tensor, row: int | None) -> Local | None:
    if row is not None and x.ndim >= 2 and x.shape[0] == node.shape[0] and _rows_apart(node, position, row):
        if (node.size // node.shape[0]) * x.size > MOST:
            return None
        matrix = _matrix(node, position, row)
        return Local(matrix.reshape(-1, *x.shape)[:, row].reshape(len(matrix), -1), row, False)
    if row is None or (node.size * x.size <= 4096 and x.op is not None):
        return None if node.size * x.size > MOST else Local(_matrix(node, position, None), None, True)
    if (node.size // node.shape[0]) * x.size > MOST:
        return None
    return Local(_matrix(node, position, row), row, True)


def _row(step: Step) -> int | None:
    """The row of the batch with the largest incoming gradient; None where there is no batch."""
    node = step.node
    if node.ndim < 2 or node.shape[0] < 2 or not node.size:
        return None
    if step.grad is None:
        return 0
    sizes = [norm(row) for row in step.grad]
    return int(np.argmax(np.nan_to_num(sizes, nan=-1.0)))


def _matrix(node: Tensor, position: int, row: int | None) -> Any:
    """The rows of the Jacobian, each by one call of backward on a unit vector."""
    chosen = range(node.size) if row is None else range(row * (node.size // len(node._data)),
                                                       (row + 1) * (node.size // len(node._data)))
    rows = np.zeros((len(chosen), node.inputs[position].size))
    for number, element in enumerate(chosen):
        unit = np.zeros(node.shape, node.dtype)
        unit.flat[element] = 1
        share = input_gradients(node, unit)[position]
        if share is not None:
            rows[number] = np.ravel(share)
    return rows


def _rows_apart(node: Tensor, position: int, row: int) -> bool:
    """Whether row `row` of the output and of the input have to do with each other alone."""
    inside = np.zeros(node.shape, node.dtype)
    inside[row] = np.random.default_rng(0).normal(size=node.shape[1:])
    outside = np.random.default_rng(1).normal(size=node.shape).astype(node.dtype)
    outside[row] = 0
    ours, others = input_gradients(node, inside)[position], input_gradients(node, outside)[position]
    if ours is None or others is None:
        return False
    return not np.delete(ours, row, axis=0).any() and not others[row].any()


def report(step: Step) -> list[str]:
    """The local Jacobian with respect to each input, its singular values, and what they mean."""
    lines = [f"local Jacobian of {operation(step.node)} at {called(step.node)} {step.node.shape}"]
    for position, x in enumerate(step.node.inputs):
        if not x.requires_grad:
            lines.append(f"  for {called(x)}: needs no gradient")
        elif not x.size or not step.node.size:
            lines.append(f"  for {called(x)}: empty")
        else:
            lines += _lines(step, position, x)
    return lines


def _lines(step: Step, position: int, x: Tensor) -> list[str]:
    found = local(step, position)
    if found is None:
        return [f"  for {called(x)}: {step.node.size:,} x {x.size:,} numbers, too many to compute here; "
                "make the layer or the batch smaller"]
    matrix = found.matrix
    of = "" if found.row is None else f", row {found.row} alone"
    if found.row is not None:
        of += f" for the whole of {called(x)}" if found.whole else " (the rows don't mix)"
    lines = [f"  for {called(x)}: {matrix.shape[0]} x {matrix.shape[1]}{of}"]
    finite = bool(np.isfinite(matrix).all())
    diagonal = finite and matrix.shape[0] == matrix.shape[1] and not (matrix - np.diag(np.diag(matrix))).any()
    if diagonal and len(matrix) > 1:
        lines += ["    diagonal:", *values("    ", np.diag(matrix))[1:]]
    elif max(matrix.shape) <= SMALL:
        lines += values("    ", matrix)[1:]
    if not finite:
        return [*lines, "    not finite: it has no singular values"]
    small = int((np.abs(np.diag(matrix)) < 0.01).sum()) if diagonal else 0
    singular = np.linalg.svd(matrix, compute_uv=False)
    rows = [["norm", f"{norm(matrix):.2e}"],
            ["singular values", f"largest {singular[0]:.2e}, smallest {singular[-1]:.2e}"],
            *_passed(step, position),
            ["so", meaning(singular)], *([["", f"{small} of {len(matrix)} derivatives below 0.01"]] if small else [])]
    return [*lines, *table(rows)]


def _passed(step: Step, position: int) -> list[list[str]]:
    share = step.input_grads[position] if step.input_grads else None
    if share is None or step.grad is None:
        return []
    came, went = norm(step.grad), norm(share)
    ratio = f", {went / came:.2e} of it" if came else ""
    return [["this gradient", f"{came:.2e} came in, {went:.2e} went on{ratio}"]]


def meaning(singular: Any) -> str:
    """What the singular values do to a gradient."""
    largest, smallest = float(singular[0]), float(singular[-1])
    if largest == 0:
        return "nothing passes: every derivative is exactly zero"
    if largest < 0.999:
        return f"every gradient shrinks here, to {largest:.2g} of its length at most"
    if smallest > 1.001:
        return f"every gradient grows here, to {largest:.2g} of its length at most, {smallest:.2g} at least"
    if largest > 1.001:
        return f"between {smallest:.2g} and {largest:.2g} of its length, by direction"
    return "its length stays" if smallest > 0.999 else f"between {smallest:.2g} and 1 of its length, by direction"
