"""Loss functions: the distance of a prediction from its target, as one number.

All have the same two options.

reduction: "mean" (over everything, the default), "sum", or "none" (a loss for each element, or
    for each row of a classification).
mask: True, or 1, for what counts. Its shape is that of the losses, or of their first axes: (T,
    batch) for losses (T, batch, size). Masked elements have loss zero and gradient zero, and their
    targets may be anything. A mean divides by the number of losses that count (with none, it is zero).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functions as f
from .conversion import require_plain
from .interactive.completion import public_names
from .operators import Operators
from .tensor import Tensor, is_symbolic


def mse(prediction: Any, target: Any, reduction: str = "mean", *, mask: Any = None) -> Any:
    """Return the squared error (prediction - target)² of two operands of the same shape.

    Raises:
        ValueError: if the shapes differ (broadcasting would hide it), or for an unknown reduction.
    """
    loss = reduced(f.square(_error("mse", prediction, target, mask)), reduction, mask)
    return loss.written_as("mse", prediction, target, **_options(reduction, mask))


def mae(prediction: Any, target: Any, reduction: str = "mean", *, mask: Any = None) -> Any:
    """Return the absolute error |prediction - target|; where they are equal the derivative is 0.

    Raises:
        ValueError: if the shapes differ, or for an unknown reduction.
    """
    loss = reduced(f.abs(_error("mae", prediction, target, mask)), reduction, mask)
    return loss.written_as("mae", prediction, target, **_options(reduction, mask))


def huber(prediction: Any, target: Any, reduction: str = "mean", *, mask: Any = None, delta: float = 1.0) -> Any:
    """Return d²/2 for an error d of at most delta, and its tangent delta * (|d| - delta/2) beyond.

    Huber, Robust estimation of a location parameter (Annals of Mathematical Statistics 35, 1964).
    Both are c * (d - c/2), where c is d clipped to ±delta.

    Raises:
        ValueError: if the shapes differ, for an unknown reduction, or for delta <= 0.
    """
    if not delta > 0:
        raise ValueError(f"huber's delta is a positive number, not {delta!r}")
    error = _error("huber", prediction, target, mask)
    clipped = f.clip(error, -delta, delta)
    loss = reduced(clipped * (error - 0.5 * clipped), reduction, mask)
    return loss.written_as("huber", prediction, target, **_options(reduction, mask), **_unless(1.0, delta=delta))


def cross_entropy(logits: Any, labels: Any, reduction: str = "mean", *, mask: Any = None) -> Any:
    """Return -log softmax(logits)[label], stable for large logits.

    Args:
        logits: (..., classes), any real numbers.
        labels: (...) integers in 0 … classes-1; where masked out, anything.
        reduction: "mean", "sum" or "none"; "none" gives shape (...).
        mask: (...), which rows count.

    Raises:
        IndexError: for a label that is no class.
        TypeError: for labels that aren't integers.
        ValueError: if the shapes don't fit.
    """
    counted = labels if mask is None else _masked(mask, labels)
    loss = reduced(-f.pick(f.log_softmax(logits), counted), reduction, mask)
    return loss.written_as("cross_entropy", logits, labels, **_options(reduction, mask))


def binary_cross_entropy(logits: Any, targets: Any, reduction: str = "mean", *, mask: Any = None) -> Any:
    """Return -y log p - (1 - y) log(1 - p) for p = sigmoid(logit).

    Both logarithms are computed as softplus, log p = -softplus(-logit), which keeps small losses exact.

    Args:
        logits: any real numbers: the score before the sigmoid.
        targets: y of the same shape, from 0 to 1.
        reduction: "mean", "sum" or "none".
        mask: which elements count.

    Raises:
        ValueError: if the shapes differ, for a target outside of 0 … 1, or an unknown reduction.
    """
    _same_shape("binary_cross_entropy", logits, targets)
    written = logits, targets
    if mask is not None:
        targets = _masked(mask, targets)
    if not isinstance(targets, Operators) or isinstance(targets, Tensor):
        values = np.asarray(f.plain(targets))
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"binary_cross_entropy: targets are probabilities from 0 to 1; these go from "
                             f"{values.min():g} to {values.max():g}")
    targets = _in_dtype(targets, logits)
    loss = reduced((1 - targets) * f.softplus(logits) + targets * f.softplus(-logits), reduction, mask)
    return loss.written_as("binary_cross_entropy", *written, **_options(reduction, mask))


def reduced(losses: Any, reduction: str, mask: Any = None) -> Any:
    """Return the losses' mean, their sum, or themselves; only of those that the mask counts."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    if mask is not None:
        mask = _fitted(mask, losses)
        losses = f.where(mask, losses, 0)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if mask is None:
        return losses.mean()
    counted = max(int(np.broadcast_to(f.plain(mask) != 0, losses.shape).sum()), 1)
    if losses.dtype == np.float16:  # which has no sum and no count above 65504
        return (losses.astype(np.float32).sum() / counted).astype(np.float16)
    return losses.sum() / counted


def _options(reduction: str, mask: Any) -> dict[str, Any]:
    """Return the options that a call of a loss shows."""
    return _unless("mean", reduction=reduction) | _unless(None, mask=mask)


def _unless(default: Any, **options: Any) -> dict[str, Any]:
    """Return options that aren't at their default."""
    return {name: value for name, value in options.items() if value is not default and (
        type(value) is not type(default) or value != default)}


def _error(loss: str, prediction: Any, target: Any, mask: Any) -> Any:
    """Return prediction - target, zero where masked out, so that not even a NaN gets into the gradient."""
    _same_shape(loss, prediction, target)
    error = f.subtract(prediction, _in_dtype(target, prediction))
    return error if mask is None else f.where(_fitted(mask, error), error, 0)


def _in_dtype(target: Any, prediction: Any) -> Any:
    """Return a target as an array; one of integers or bools in the prediction's type: a float32 loss stays float32."""
    if isinstance(target, Operators):
        return target
    values = np.asarray(target)
    if isinstance(prediction, Tensor) and prediction.dtype.kind == "f" and values.dtype.kind in "iub":
        return values.astype(prediction.dtype)
    return values if isinstance(target, (list, tuple)) else target


def _fitted(mask: Any, losses: Any) -> Any:
    """Return the mask with axes of length 1 at its end, so that it broadcasts against the losses."""
    if not isinstance(losses, Tensor) or is_symbolic(mask):
        return mask
    require_plain(mask, "mask=")
    values = np.asarray(f.plain(mask))
    if values.shape != losses.shape[:values.ndim]:
        raise ValueError(f"the mask has shape {values.shape}, but the losses have shape {losses.shape}: "
                         f"it must be {losses.shape}, or the first part of it")
    return values.reshape(values.shape + (1,) * (losses.ndim - values.ndim))


def _masked(mask: Any, values: Any) -> Any:
    """Return `values` where the mask holds, and 0 elsewhere, as an array if both are arrays."""
    if isinstance(mask, Operators) or isinstance(values, Operators):
        return f.where(mask, values, 0)
    require_plain(mask, "mask=")
    require_plain(values, "a loss")
    mask, values = np.asarray(mask), np.asarray(values)
    return np.where(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values, 0)


def _shape(x: Any) -> Any:
    """Return the shape of an operand, or of a list of numbers; None if it depends on data that don't exist yet."""
    return x.shape if hasattr(x, "shape") else np.shape(x)


def _same_shape(loss: str, prediction: Any, target: Any) -> None:
    for operand in (prediction, target):
        require_plain(operand, loss)
        if type(operand) in (int, float):
            return  # to broadcast a Python number is no mistake
    ours, theirs = _shape(prediction), _shape(target)
    if ours is not None and theirs is not None and ours != theirs:
        raise ValueError(f"{loss}: the prediction {prediction!r} has shape {ours}, the target {theirs}; "
                         "they must be equal")


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return public_names(globals())
