"""The local Jacobian of one operation, its singular values, and the bounds they put on a gradient's norm.

If the Jacobian is that of one row of a batch, so are the norms beside it: one number and its bounds always belong to
the same matrix. A parameter that the rows share gets the sum over the rows, whose norm one row doesn't bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import input_gradients
from minigrad.formats.describe import operation_name, tensor_name
from minigrad.formats.norms import norm
from minigrad.settings import override
from minigrad.steps import Step
from minigrad.tensor import Tensor

from .formatting import format_array, table

MAX_SIZE = 1_000_000  # elements of a Jacobian
SMALL_BATCH = 4096  # elements up to which the Jacobian of a whole batch is shown
MAX_SHOWN = 12  # rows and columns of a Jacobian that is printed in full


class LocalJacobian(NamedTuple):
    """A local Jacobian: derivatives of the outputs (rows) with respect to one input (columns).

    Attributes:
        matrix: of shape (outputs, inputs); of one row of the batch if `row` is a number.
        row: the row of the batch, or None for the whole batch.
        all_inputs: whether the columns are the whole input, as for a parameter that all rows share.
    """

    matrix: Any
    row: int | None
    all_inputs: bool


def local_jacobian(step: Step, position: int) -> LocalJacobian | None:
    """Return the Jacobian of a step's operation with respect to one input; None if it would be too large.

    If the operation treats the rows of a batch separately, the Jacobian of one row is enough. If the rows
    mix or share the input, it is that of the whole batch if that is small, else that of one row of the result.
    """
    with override(anomaly=False), np.errstate(all="ignore"):
        node, x, row = step.node, step.node.inputs[position], _largest_row(step)
        separate = (row is not None and x.ndim >= 2 and x.shape[0] == node.shape[0]
                    and _rows_are_separate(node, position, row))
        if not separate and node.size * x.size <= SMALL_BATCH:
            row = None
        outputs = node.size if row is None else node.size // node.shape[0]
        if outputs * x.size > MAX_SIZE:
            return None
        matrix = _rows_of_jacobian(node, position, row)
        if separate:
            matrix = matrix.reshape(-1, *x.shape)[:, row].reshape(len(matrix), -1)
        return LocalJacobian(matrix, row, not separate)


def _largest_row(step: Step) -> int | None:
    """Return the row of the batch with the largest upstream gradient; None if there is no batch."""
    node = step.node
    if node.ndim < 2 or node.shape[0] < 2 or not node.size:
        return None
    if step.grad is None:
        return 0
    sizes = [norm(row) for row in step.grad]
    return int(np.argmax(np.nan_to_num(sizes, nan=-1.0)))


def _rows_of_jacobian(node: Tensor, position: int, row: int | None) -> Any:
    """Return the Jacobian of one row of the result, or of all of it: one vector-Jacobian product per output."""
    size = node.size if row is None else node.size // node.shape[0]
    outputs = range((row or 0) * size, (row or 0) * size + size)
    matrix = np.zeros((len(outputs), node.inputs[position].size))
    for number, output in enumerate(outputs):
        unit = np.zeros(node.shape, node.dtype)
        unit.flat[output] = 1
        grad = input_gradients(node, unit)[position]
        if grad is not None:
            matrix[number] = np.ravel(grad)
    return matrix


def _rows_are_separate(node: Tensor, position: int, row: int) -> bool:
    """Return whether `row` of the result depends on `row` of the input alone, and the other rows don't depend on it.

    Tested with two random upstream gradients: one in this row, one in all the others.
    """
    inside = np.zeros(node.shape, node.dtype)
    inside[row] = np.random.default_rng(0).normal(size=node.shape[1:])
    outside = np.random.default_rng(1).normal(size=node.shape).astype(node.dtype)
    outside[row] = 0
    from_row, from_others = input_gradients(node, inside)[position], input_gradients(node, outside)[position]
    if from_row is None or from_others is None:
        return False
    return not np.delete(from_row, row, axis=0).any() and not from_others[row].any()


def report(step: Step) -> list[str]:
    """Return the answer to `jacobian`: the local Jacobian for each input, its singular values and their effect."""
    lines = [f"local Jacobian of {operation_name(step.node)} at {tensor_name(step.node)} {step.node.shape}"]
    for position, x in enumerate(step.node.inputs):
        heading = f"  for {tensor_name(x)}: "
        if not x.requires_grad:
            lines.append(heading + "needs no gradient")
        elif not x.size or not step.node.size:
            lines.append(heading + "empty")
        elif (local := local_jacobian(step, position)) is None:
            lines.append(f"{heading}{step.node.size:,} x {x.size:,} numbers, too many to compute here; make the layer "
                         "or the batch smaller")
        else:
            rows, columns = local.matrix.shape
            part = "" if local.row is None else f", row {local.row} of the result" + (
                f", all of {tensor_name(x)}" if local.all_inputs else " (the rows don't mix)")
            lines += [f"{heading}{rows} x {columns}{part}", *_summary(local.matrix, _norms(step, position, local.row))]
    return lines


def _summary(matrix: Any, norms: list[list[str]]) -> list[str]:
    """Return the elements of a Jacobian if they are few, its norm and its singular values."""
    finite = bool(np.isfinite(matrix).all())
    diagonal = finite and matrix.shape[0] == matrix.shape[1] and not (matrix - np.diag(np.diag(matrix))).any()
    lines = []
    if diagonal and len(matrix) > 1:
        lines += ["    diagonal:", *format_array("", np.diag(matrix))[1:]]
    elif max(matrix.shape) <= MAX_SHOWN:
        lines += format_array("", matrix)[1:]
    if not finite:
        return [*lines, "    not finite: it has no singular values"]
    singular = np.linalg.svd(matrix, compute_uv=False)
    rows = [["norm", f"{norm(matrix):.2e}"],
            ["singular values", f"largest {singular[0]:.2e}, smallest {singular[-1]:.2e}"],
            *norms, ["effect", effect(*factors(singular, matrix.shape))]]
    small = int((np.abs(np.diag(matrix)) < 0.01).sum()) if diagonal else 0
    if small:
        rows.append(["", f"{small} of {len(matrix)} derivatives below 0.01"])
    return [*lines, *table(rows)]


def _norms(step: Step, position: int, row: int | None) -> list[list[str]]:
    """Return a row with the norms of the upstream gradient and of its contribution to one input.

    With the number of a row of the batch, they are those of the gradient of that row alone.
    """
    if step.grad is None:
        return []
    grad = step.grad
    if row is not None:
        grad = np.zeros_like(step.grad)
        grad[row] = step.grad[row]
    with override(anomaly=False), np.errstate(all="ignore"):
        contribution = input_gradients(step.node, grad)[position]
    if contribution is None:
        return []
    before, after = norm(grad), norm(contribution)
    ratio = f", ratio {after / before:.2e}" if before else ""
    return [["this gradient" if row is None else f"gradient of row {row}",
             f"norm {before:.2e} in, {after:.2e} out{ratio}"]]


def factors(singular: Any, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the least and the largest factor by which a Jacobian changes the norm of an upstream gradient.

    They are singular values; but with more outputs than inputs some upstream gradients cancel, and the least is 0.
    """
    outputs, inputs = shape
    return float(singular[-1]) if outputs <= inputs else 0.0, float(singular[0])


def effect(least: float, largest: float) -> str:
    """Return how the norm of a gradient changes, given the least and the largest factor."""
    between = f"{least:.3g}" if f"{least:.3g}" == f"{largest:.3g}" else f"{least:.3g} to {largest:.3g}"
    if largest == 0:
        return "nothing passes: every derivative is exactly zero"
    if largest < 0.999:
        return f"every gradient shrinks: its norm is multiplied by at most {largest:.3g}"
    if least > 1.001:
        return f"every gradient grows by a factor of {between}"
    if least > 0.999 and largest <= 1.001:
        return "the norm is unchanged"
    return f"the norm is multiplied by {between}, depending on the direction"
