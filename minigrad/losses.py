"""Losses: one number for how far a prediction is from its target.

`reduction` is "mean" (over everything, the default), "sum", or "none" (a loss for each element,
or for each row of a classification).
"""

from __future__ import annotations

from typing import Any

from . import functions as f


def mse(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error, (prediction - target)², of two operands of the same shape.

    Raises:
        ValueError: where the shapes differ (broadcasting would hide it), or for an unknown reduction.
    """
    _same_shape("mse", prediction, target)
    return reduced(f.square(prediction - target), reduction)


def cross_entropy(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    """-log softmax(logits)[label], stable for large logits.

    Args:
        logits: (..., classes), any real numbers.
        labels: (...) integers in 0 … classes-1.
        reduction: "mean", "sum" or "none"; "none" gives shape (...).

    Raises:
        IndexError: for a label that is no class. TypeError: for labels that aren't integers.
        ValueError: where the shapes don't fit.
    """
    return reduced(-f.pick(f.log_softmax(logits), labels), reduction)


def reduced(losses: Any, reduction: str) -> Any:
    """The losses' mean, their sum, or themselves."""
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def _same_shape(loss: str, prediction: Any, target: Any) -> None:
    ours, theirs = getattr(prediction, "shape", None), getattr(target, "shape", None)
    if ours is not None and theirs is not None and ours != theirs:
        raise ValueError(f"{loss}: the prediction {prediction!r} has shape {ours}, the target {theirs}; "
                         "they must be equal")
