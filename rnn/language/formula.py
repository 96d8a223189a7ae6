"""Formulas of expressions as text, `tanh(W @ x[t] + U @ h[t-1] + b)`, for messages and pictures.

Reads only `op` and `inputs` of expressions and Tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops

from .graphs import postorder

# Precedence beside that of the infix operators (Op.precedence): of a sign, and of a call or a name.
PREFIX, ATOM = 3, 5
SYMBOLS = {np.equal: "==", np.not_equal: "!=", np.less: "<", np.less_equal: "<=", np.greater: ">",
           np.greater_equal: ">=", np.logical_and: "&", np.logical_or: "|", np.logical_xor: "^"}
CALLED = {"StopGradient": "stop_gradient", "BroadcastTo": "broadcast_to", "ScatterAdd": "scatter_add",
          "LogAbsDet": "log_abs_det"}  # functions in two words; others are the name of the operation
LONGEST = 2000  # characters; a longer formula is shortened in the middle


def to_text(x: Any, names: Mapping[int, str] | None = None) -> str:
    """Return the formula of an expression, with the names of its signals and tensors.

    Args:
        names: by id, names of parts of the expression that are written in their place.
    """
    named = names or {}
    text: dict[int, tuple[str, int]] = {}  # id of a node -> its text and precedence

    def parts(node: Any) -> tuple[Any, ...]:
        return () if id(node) in named and node is not x else written_operands(node)

    for node in postorder([x], parts):
        if id(node) in named and node is not x:
            text[id(node)] = named[id(node)], ATOM
            continue
        formula, precedence = _format_node(node, [text[id(operand)] for operand in parts(node)])
        if len(formula) > LONGEST:
            formula = f"{formula[:LONGEST // 2]} … {formula[-LONGEST // 2:]}"
        text[id(node)] = formula, precedence
    return text[id(x)][0]


def written_operands(node: Any) -> tuple[Any, ...]:
    """Return the operands to write out; a named tensor is written by its name."""
    if isinstance(node, Tensor) and node.name is not None:
        return ()
    found: tuple[Any, ...] = getattr(node, "operands", ()) or getattr(node, "inputs", ())
    return found


def _format_node(node: Any, parts: list[tuple[str, int]]) -> tuple[str, int]:
    if hasattr(node, "text"):  # a leaf: a signal read at some step, a static, the number of the step
        text: tuple[str, int] = node.text
        return text
    if isinstance(node, Tensor):
        if node.name is not None or node.op is None:
            return node.name or (f"{node.item():g}" if node.size == 1 else f"array{node.shape}"), ATOM
    elif not hasattr(node, "op"):
        if np.ndim(node):
            return f"array{np.shape(node)}", ATOM
        number = node.item() if isinstance(node, (np.generic, np.ndarray)) else node
        return repr(number), ATOM if number >= 0 else PREFIX
    of_arrays = any(np.ndim(x) > 1 for x in (node, *node.inputs))
    return _format_operation(getattr(node, "written", None) or node.op, parts, of_arrays)


def _format_operation(op: Op, operands: list[tuple[str, int]], of_arrays: bool) -> tuple[str, int]:
    if op.symbol is not None:
        # Infix operators associate to the left, ** to the right: the other side's equals need brackets.
        rank = op.precedence
        left, right = (rank + 1, rank) if isinstance(op, ops.Pow) else (rank, rank + 1)
        return f"{_bracket(operands[0], left)} {op.symbol} {_bracket(operands[1], right)}", rank
    if isinstance(op, ops.Power):
        return f"{_bracket(operands[0], ATOM)} ** {op.exponent:g}", ops.Pow.precedence
    if isinstance(op, ops.Neg):
        return "-" + _bracket(operands[0], PREFIX), PREFIX
    if isinstance(op, ops.Transpose) and op.axes is None:
        return _bracket(operands[0], ATOM) + ".T", ATOM
    if isinstance(op, ops.GetItem):
        return f"{_bracket(operands[0], ATOM)}[{format_index(op.index)}]", ATOM
    if isinstance(op, ops.Identity):
        return operands[0]
    if isinstance(op, ops.Compare) and op.ufunc is np.logical_not:
        return "~" + _bracket(operands[0], PREFIX), PREFIX
    if isinstance(op, ops.Compare) and op.ufunc in SYMBOLS:
        symbol = SYMBOLS[op.ufunc]
        return f" {symbol} ".join(_bracket(operand, 1) for operand in operands), 0
    if isinstance(op, ops.Compare):
        return f"{op.ufunc.__name__}({', '.join(text for text, _ in operands)})", ATOM
    if isinstance(op, ops.Lookup):
        return f"{_bracket(operands[0], ATOM)}[{operands[1][0]}]", ATOM
    if isinstance(op, ops.EinSum):
        return f"einsum({op.subscripts!r}, {', '.join(text for text, _ in operands)})", ATOM
    arguments = ", ".join(text for text, _ in operands)
    joins = hasattr(op, "axis") and len(operands) > 1
    if joins:  # NumPy takes arrays to join along an axis as one list
        arguments = f"[{arguments}]"
    if of_arrays:  # for vectors there is nothing to choose
        arguments += format_options(op, 0 if joins else None)
    return f"{CALLED.get(type(op).__name__) or type(op).__name__.lower()}({arguments})", ATOM


def format_options(op: Op, default_axis: int | None) -> str:
    """Return the axes and the shape that an operation has as options, ", axis=1"."""
    words = ["keepdims=True"] if getattr(op, "keepdims", False) else []
    for name in ("axis", "axes", "shape"):
        value = getattr(op, name, None)
        if value is not None and not (name == "axis" and value == default_axis):
            words.append(f"{name}={tuple(map(int, value)) if isinstance(value, tuple) else value}")
    return "".join(f", {word}" for word in words)


def _bracket(operand: tuple[str, int], least: int) -> str:
    """Put an operand in brackets unless it binds at least as tightly as `least`."""
    text, precedence = operand
    return text if precedence >= least else f"({text})"


def format_index(index: Any) -> str:
    """Return an index as it is written between brackets, `1:, None`."""
    parts = index if isinstance(index, tuple) else (index,)
    words = []
    for part in parts:
        if isinstance(part, slice):
            ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
            words.append(":".join(ends if part.step is not None else ends[:2]))
        elif part is Ellipsis:
            words.append("...")
        else:
            words.append(str(part) if np.ndim(part) == 0 else "array")
    return ", ".join(words)
