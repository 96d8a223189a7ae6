"""Names and formulas of tensors, for messages, the debugger and pictures.

Reads only these attributes of a tensor: name, op, inputs, shape, size, signal, t. Imports nothing of minigrad.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .formula import ATOM, PREFIX, Formula, written

DEEPEST = 4  # operations inside each other that a formula shows
LONGEST = 56  # characters of a formula that shows more than one operation
MOST_SHOWN = 8  # elements of an array that is printed with its values


def tensor_label(tensor: Any) -> str:
    """Return a tensor's own name with its time step: "h[3]", "W"; "" for an unnamed one."""
    if tensor.name is None:
        return ""
    return str(tensor.name) if tensor.t is None else f"{tensor.name}[{tensor.t}]"


def operation_name(tensor: Any) -> str:
    """Return the name of the operation that computed a tensor, in lower case: "tanh"; "" for a leaf."""
    return type(tensor.op).__name__.lower() if tensor.op else ""


def equation_label(tensor: Any) -> str:
    """Return the signal and step whose equation computed a tensor: "in h[3]"; "" outside a recurrence."""
    return f"in {tensor.signal}[{tensor.t}]" if tensor.signal else ""


def tensor_name(tensor: Any) -> str:
    """Return a tensor's label, or its formula: "h[3]", "U", "W @ x[3] + U @ h[2]"; "2" or "unnamed" for a constant."""
    if label := tensor_label(tensor):
        return label
    return tensor_formula(tensor) if tensor.op or tensor.size == 1 else "unnamed"


def tensor_summary(tensor: Any) -> str:
    """Return label and operation, or the formula, and the shape: "h[3] tanh (4, 8)", "U @ h[2] (4, 8)", "W (4, 3)"."""
    label = tensor_label(tensor)
    name = _joined(label, operation_name(tensor)) if label or tensor.op is None else tensor_formula(tensor)
    return _joined(name, str(tensor.shape))


def tensor_formula(tensor: Any) -> str:
    """Return the formula of the operation that computed a tensor: "tanh(W @ x[3] + U @ h[2] + b)".

    Operands are written by their labels; unnamed ones by their formulas, as deep as the text stays short, and
    else as "…". A leaf has no formula, and its label is returned.
    """
    formula = ""
    for depth in range(1, DEEPEST + 1):
        longer = _formula_to_depth(tensor, depth)
        if formula and (len(longer) > LONGEST or longer == formula):  # equal: nothing is left to write out
            break
        formula = longer
    return formula


def _formula_to_depth(tensor: Any, depth: int) -> str:
    """Return the formula with `depth` operations inside each other, computed from the innermost outwards."""
    levels = [[tensor]]
    while len(levels) < depth:
        levels.append([x for node in levels[-1] for x in _written_operands(node, node is tensor)])
    below = [x for node in levels[-1] for x in _written_operands(node, node is tensor)]
    formulas = [Formula("…", ATOM) if not tensor_label(x) and x.op else _format_leaf(x) for x in below]
    for level in reversed(levels):
        parts = iter(formulas)
        formulas = [_format_operation(node, [next(parts) for _ in operands]) if operands else _format_leaf(node)
                    for node in level for operands in [_written_operands(node, node is tensor)]]
    return formulas[0].text


def _written_operands(tensor: Any, outermost: bool) -> tuple[Any, ...]:
    """Return the inputs of a tensor whose formula is written out; a named one is written by its label."""
    return () if tensor_label(tensor) and not outermost else tuple(tensor.inputs)


def _format_operation(tensor: Any, operands: list[Formula]) -> Formula:
    return written(tensor.op, operands, any(len(x.shape) > 1 for x in (tensor, *tensor.inputs)))


def _format_leaf(tensor: Any) -> Formula:
    """Return a tensor's label; of an unnamed constant, its number or its shape."""
    if tensor_label(tensor):
        return Formula(tensor_label(tensor), ATOM)
    if tensor.size != 1:
        return Formula(f"array{tensor.shape}", ATOM)
    number = tensor.item()
    return Formula(f"{number:g}", ATOM if number >= 0 else PREFIX)


def short_value(array: Any) -> str:
    """Return the value of a single number or a small array in one line, and two blanks; "" for a larger one."""
    if array.ndim == 0:
        return str(array[()]) + "  "  # of a NumPy number: formatting would show 0.1 of float32 as 0.10000000149011612
    if not 0 < array.size <= MOST_SHOWN:
        return ""
    text = " ".join(np.array2string(array, precision=4, separator=", ").split())
    return re.sub(r" (?=[],])", "", text) + "  "  # without the blanks that align columns


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
