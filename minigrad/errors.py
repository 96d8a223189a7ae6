"""Messages that name the operation, its operands, their shapes and the lines that made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import origin as origins
from .ops import Op
from .origin import here


def explained(error: Exception, op: Op, operands: Iterable[Any]) -> Exception:
    """The error with what NumPy said first, then the operation and its operands.

    `operands` have `shape`, `label` and `origin`, as Tensors have.
    """
    kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
    rows = [(operand.label or "(unnamed)", str(operand.shape), f"made at {operand.origin}")
            for operand in operands]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{error}", f"  in {op!r} at {origins.current.origin or here()}, of"]
    lines += [f"    {name:<{widths[0]}}  {shape:<{widths[1]}}  {where}" for name, shape, where in rows]
    return kind("\n".join(lines))
