"""Names of tensors and of their operations, for messages, the debugger and pictures.

Reads only these attributes of a tensor: name, op, shape, signal, t. Imports nothing of minigrad.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

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
    """Return a tensor's label, or its operation and equation: "h[3]", "U", "add in h[3]", "unnamed"."""
    return tensor_label(tensor) or _joined(operation_name(tensor) or "unnamed", equation_label(tensor))


def tensor_summary(tensor: Any) -> str:
    """Return label or equation, operation and shape: "h[3] tanh (4, 8)", "in h[3] add (4, 8)", "W (4, 3)"."""
    return _joined(tensor_label(tensor) or equation_label(tensor), operation_name(tensor), str(tensor.shape))


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
