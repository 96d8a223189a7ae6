"""Messages that name the operation, its operands, their shapes and the lines that made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .ops import Op
from .provenance import call_site
from .settings import settings


def operation_error(error: Exception, op: Op, operands: Iterable[Any]) -> Exception:
    """The error with what NumPy said first, then the operation and its operands.

    `operands` have `shape`, `label` and `origin`, as Tensors have.
    """
    kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
    return kind("\n".join([f"{error}", f"  in {op!r} at {settings().origin or call_site()}, of", *_rows(operands)]))


def forward_nan_error(op: Op, operands: Iterable[Any]) -> FloatingPointError:
    """The error for the first NaN of a forward pass."""
    operands = list(operands)
    holders = [operand for operand in operands if np.isnan(operand._data).any()]
    where = settings().origin or call_site()
    if holders:
        head = f"NaN reaches {op!r} at {where} in {holders[0]!r}; it stood there from the beginning"
    else:
        head = f"the first NaN of the forward pass is born in {op!r} at {where}"
    return FloatingPointError("\n".join([f"{head}; operands:", *_rows(operands, values=True)]))


def backward_nan_error(node: Any, position: int, grad: Any) -> FloatingPointError:
    """The error for the first NaN of a backward pass, in the contribution of a node to one input."""
    tensor = node.inputs[position]
    finite = "finite" if np.isfinite(grad).all() else "not finite itself"
    return FloatingPointError("\n".join([
        f"the first NaN of the backward pass is born in {type(node.op).__name__}.backward of {node!r}, in the "
        f"gradient for {tensor!r}; the incoming gradient is {finite}; operands:", *_rows(node.inputs, values=True)]))


def _rows(operands: Iterable[Any], values: bool = False) -> list[str]:
    """One line an operand: name, shape, the line that made it, and the range of its values if asked for."""
    rows = [[operand.label or "(unnamed)", str(operand.shape), *([_range(operand._data)] if values else []),
             f"made at {operand.origin}"] for operand in operands]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["    " + "  ".join(f"{word:<{width}}" for word, width in zip(row, widths)).rstrip() for row in rows]


def _range(data: Any) -> str:
    if data.size == 0:
        return "empty"
    if np.isnan(data).any():
        return f"{int(np.isnan(data).sum())} NaN of {data.size}"
    return f"from {data.min():.4g} to {data.max():.4g}"
