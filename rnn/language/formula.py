"""Formulas of expressions as text, `tanh(W @ x[t] + U @ h[t-1] + b)`, for messages and pictures.

Reads only `op` and `inputs` of expressions and Tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import Op, Tensor
from minigrad.formats.formula import ATOM, PREFIX, Formula, written

from .graphs import postorder

LONGEST = 2000  # characters; a longer formula is shortened in the middle


def to_text(x: Any, names: Mapping[int, str] | None = None) -> str:
    """Return the formula of an expression, with the names of its signals and tensors.

    Args:
        names: by id, names of parts of the expression that are written in their place.
    """
    named = names or {}
    text: dict[int, Formula] = {}  # by id of a node

    def parts(node: Any) -> tuple[Any, ...]:
        return () if id(node) in named and node is not x else written_operands(node)

    for node in postorder([x], parts):
        if id(node) in named and node is not x:
            text[id(node)] = Formula(named[id(node)], ATOM)
            continue
        formula, precedence = _format_node(node, [text[id(operand)] for operand in parts(node)])
        if len(formula) > LONGEST:
            formula = f"{formula[:LONGEST // 2]} … {formula[-LONGEST // 2:]}"
        text[id(node)] = Formula(formula, precedence)
    return text[id(x)].text


def written_operands(node: Any) -> tuple[Any, ...]:
    """Return the operands to write out; a named tensor is written by its name, what a function composed as its call."""
    if isinstance(node, Tensor) and node.name is not None:
        return ()
    call = getattr(node, "call", None)
    if call is not None:
        return tuple(call.operands)
    found: tuple[Any, ...] = getattr(node, "operands", ()) or getattr(node, "inputs", ())
    return found


def _format_node(node: Any, parts: list[Formula]) -> Formula:
    if hasattr(node, "text"):  # a leaf: a signal read at some step, a static, the number of the step
        return Formula(*node.text)
    if isinstance(node, Tensor):
        if node.name is not None or node.op is None:
            return Formula(node.name or (f"{node.item():g}" if node.size == 1 else f"array{node.shape}"), ATOM)
    elif isinstance(node, str):
        return Formula(repr(node), ATOM)
    elif not hasattr(node, "op"):
        if np.ndim(node):
            return Formula(f"array{np.shape(node)}", ATOM)
        number = node.item() if isinstance(node, (np.generic, np.ndarray)) else node
        return Formula(repr(number), ATOM if number >= 0 else PREFIX)
    call = getattr(node, "call", None)
    if call is not None:
        as_call: Formula = call.formula(parts)
        return as_call
    of_arrays = any(np.ndim(x) > 1 for x in (node, *node.inputs))  # for vectors there are no axes to choose
    op: Op = getattr(node, "written", None) or node.op
    return written(op, parts, of_arrays)
