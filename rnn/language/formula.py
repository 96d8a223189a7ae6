"""Equations as text: `tanh(W @ x[t] + U @ h[t-1] + b)`.

For messages and pictures. Knows expressions and Tensors by their `op` and `inputs` only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Op, Tensor, ops

from .graphs import postorder

# How tightly each binds (Python's own order), and its sign. A call or a name binds tightest.
PREFIX, ATOM = 3, 5
LONGEST = 2000  # characters; a longer formula is shortened in the middle


def written(x: Any) -> str:
    """The formula of an expression, with the names of its signals and tensors."""
    text: dict[int, tuple[str, int]] = {}  # id of a node -> its text, and how tightly it binds
    for node in postorder([x], _inputs):
        formula, binding = _formula(node, [text[id(part)] for part in _inputs(node)])
        if len(formula) > LONGEST:
            formula = f"{formula[:LONGEST // 2]} … {formula[-LONGEST // 2:]}"
        text[id(node)] = formula, binding
    return text[id(x)][0]


def _inputs(node: Any) -> tuple[Any, ...]:
    """The operands to write out; a named tensor is written by its name."""
    if isinstance(node, Tensor) and node.name is not None:
        return ()
    return getattr(node, "inputs", ())


def _formula(node: Any, parts: list[tuple[str, int]]) -> tuple[str, int]:
    if hasattr(node, "offset"):  # a signal, read at some step
        return f"{node.signal.name}[t{node.offset:+d}]" if node.offset else f"{node.signal.name}[t]", ATOM
    if isinstance(node, Tensor):
        if node.name is not None or node.op is None:
            return node.name or (f"{node.item():g}" if node.size == 1 else f"array{node.shape}"), ATOM
    elif not hasattr(node, "op"):
        return (repr(node), ATOM if node >= 0 else PREFIX) if np.ndim(node) == 0 else ("array", ATOM)
    return _operation(node.op, parts)


def _operation(op: Op, parts: list[tuple[str, int]]) -> tuple[str, int]:
    if op.symbol is not None:
        binding = op.precedence
        # Left-associative, but for **: the side on which equals need brackets differs.
        left, right = (binding + 1, binding) if isinstance(op, ops.Pow) else (binding, binding + 1)
        return f"{_bracketed(parts[0], left)} {op.symbol} {_bracketed(parts[1], right)}", binding
    if isinstance(op, ops.Power):
        return f"{_bracketed(parts[0], ATOM)} ** {op.exponent:g}", 4
    if isinstance(op, ops.Neg):
        return "-" + _bracketed(parts[0], PREFIX), PREFIX
    if isinstance(op, ops.Transpose) and op.axes is None:
        return _bracketed(parts[0], ATOM) + ".T", ATOM
    if isinstance(op, ops.GetItem):
        return f"{_bracketed(parts[0], ATOM)}[{_index(op.index)}]", ATOM
    inner = ", ".join(text for text, _ in parts)
    if isinstance(op, ops.Identity):
        return inner, parts[0][1]
    if isinstance(op, (ops.Concatenate, ops.Stack)):
        inner = f"[{inner}]"
    return f"{type(op).__name__.lower()}({inner})", ATOM


def _bracketed(part: tuple[str, int], least: int) -> str:
    text, binding = part
    return text if binding >= least else f"({text})"


def _index(index: Any) -> str:
    """An index as it is written between brackets."""
    parts = index if isinstance(index, tuple) else (index,)
    words = []
    for part in parts:
        if isinstance(part, slice):
            ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
            words.append(":".join(ends if part.step is not None else ends[:2]))
        elif part is not Ellipsis:
            words.append(str(part) if np.ndim(part) == 0 else "array")
    return ", ".join(words) or "..."
